//! May this unit run in the same wave as those already chosen? The state of the cluster before, during and after one wave.
//!
//! The meaning of *worst moment* is in `plan/mod.rs`. Every limit is the larger of the rule's own and what the snapshot
//! already had there. A unit is added and taken back at a price that depends on the unit alone.

use super::flight::Flight;
use super::slots::{Slots, domains};
use super::step::{Hop, Step};
use crate::model::{
    DEVICE_MILLI, DeviceRequest, DomainId, GroupId, LevelId, NodeId, Place, Placement, Problem, Rule, SHARE_ONE, Usage,
    violations,
};
use std::collections::{HashMap, HashSet};

/// A unit has to wait until something changes here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Room that is still held during the wave, or a cap of the node.
    Node(NodeId),
    /// Room that others who leave in the same wave may still give.
    Room(NodeId),
    /// A rule or cap of the group.
    Group(GroupId),
    /// A cap of the wave as a whole, or of a domain.
    Flight,
    /// Nothing will help: the budget is spent.
    Never,
}

/// Why a unit may not run in a wave: the name of a rule or cap, and what has to change first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) rule: &'static str,
    pub(super) wait: Wait,
}

/// Members of a group in a domain.
#[derive(Clone, Copy, Default)]
struct Cell {
    now: u32,
    arriving: u32,
    leaving: u32,
}

impl Cell {
    fn possible(self) -> u32 {
        self.now + self.arriving
    }
    fn certain(self) -> u32 {
        self.now - self.leaving
    }
    fn after(self) -> u32 {
        self.now + self.arriving - self.leaving
    }
}

#[derive(Default)]
struct Slot {
    cells: HashMap<DomainId, Cell>,
    covered_certain: usize,
    covered_after: usize,
    touched: Vec<DomainId>,
}

#[derive(Clone, Copy, Default)]
struct Head {
    placed: usize,
    starting: usize,
    stopping: usize,
    changing: usize,
    restarting: usize,
    unavailable: usize,
    /// Stopped in an earlier wave, to start again in a later one.
    down: i64,
    /// What this wave changes about that.
    down_change: i64,
}

/// Scaled or milli.
#[derive(Clone, Copy, Default)]
struct Held {
    /// Before the wave.
    before: i128,
    /// What arrives while what leaves is still there.
    arriving: i128,
    /// What restarts here: it waits until it has room.
    late: i128,
    /// After the wave.
    after: i128,
    limit: i128,
}

impl Held {
    /// At the worst moment. What restarts may take the room of what arrives, so the two are not in each other's way.
    fn peak(&self) -> i128 {
        self.before + self.arriving + if self.arriving > 0 { self.late } else { 0 }
    }
    /// Room that somebody holds, or will ask for, during the wave.
    fn claimed(&self) -> i128 {
        self.before + self.arriving + self.late
    }
}

pub(super) struct Wave<'a> {
    problem: &'a Problem,
    slots: &'a Slots,
    excess: HashMap<(Rule, Place), i128>,
    amounts: Vec<Held>,
    /// Milli of each device, then the memory of each, of nodes where that is counted.
    devices: Vec<Vec<Held>>,
    moves_at: Vec<u32>,
    flight: Flight,
    slot: Vec<Slot>,
    head: Vec<Head>,
    moved: u64,
    /// Moves run that were under way before the plan began.
    is_held_up: bool,
    /// Groups of those moves, and groups that have to do with them by a rule: they wait until these have ended.
    groups_held_up: HashSet<GroupId>,
    nodes: Vec<NodeId>,
    groups: Vec<GroupId>,
}

impl<'a> Wave<'a> {
    /// The first wave: in it are the moves that are under way, and nothing else yet.
    pub(super) fn new(problem: &'a Problem, slots: &'a Slots) -> Wave<'a> {
        let mut before = problem.current.clone();
        let mut steps = Vec::new();
        for (task, from) in &problem.under_way {
            before.set(*task, from.clone());
            let step = Step::between(problem, slots, *task, [from, problem.current.spot(*task)], Hop::Whole);
            // Whatever it does otherwise: this one holds both places.
            steps.push(Step { restarts: false, ..step });
        }
        let mut wave = Wave::at(problem, slots, &before);
        wave.shift(&steps, true);
        wave.note(&steps);
        (wave.moved, wave.is_held_up) = (0, !steps.is_empty());
        for group in steps.iter().filter_map(|step| step.group) {
            let needs = problem.groups[group.index()].depends_on.iter().map(|need| need.group);
            let needed = slots.dependants(group).iter().map(|(other, _)| *other);
            wave.groups_held_up.extend(std::iter::once(group).chain(needs).chain(needed));
        }
        wave
    }

    /// An empty wave on a placement, under the limits of the current one.
    pub(super) fn at(problem: &'a Problem, slots: &'a Slots, placement: &Placement) -> Wave<'a> {
        let [start, usage] = [&problem.current, placement].map(|placement| Usage::of(problem, placement));
        let one = i128::from(SHARE_ONE);
        let held = |now: i128, limit: i128| Held { before: now, after: now, limit, ..Held::default() };
        let amounts = problem.node_ids().flat_map(|node| {
            let rows = usage.amounts(node).iter().zip(start.amounts(node)).zip(problem.allocatable(node));
            rows.map(|((now, start), capacity)| held(*now, (*start).max(i128::from(*capacity) * one)))
        });
        let device_row = |node: NodeId| {
            let milli = usage.devices(node).iter().zip(start.devices(node));
            let milli = milli.map(|(now, start)| held(i128::from(*now), i128::from((*start).max(DEVICE_MILLI))));
            let memory = usage.device_memory(node).iter().zip(start.device_memory(node));
            let memory = memory.zip(&problem.nodes[node.index()].devices);
            let memory = memory.map(|((now, start), device)| held(*now, (*start).max(i128::from(device.memory))));
            milli.chain(memory).collect()
        };
        let mut wave = Wave {
            problem,
            slots,
            excess: violations(problem, &problem.current).iter().map(|v| ((v.rule, v.place), v.excess)).collect(),
            amounts: amounts.collect(),
            devices: problem.node_ids().map(device_row).collect(),
            moves_at: vec![0; problem.nodes.len()],
            flight: Flight::default(),
            slot: (0..slots.len()).map(|_| Slot::default()).collect(),
            head: vec![Head::default(); problem.groups.len()],
            moved: 0,
            is_held_up: false,
            groups_held_up: HashSet::new(),
            nodes: Vec::new(),
            groups: Vec::new(),
        };
        for group in problem.group_ids() {
            for task in &problem.groups[group.index()].members {
                let spot = placement.spot(*task);
                wave.head[group.index()].placed += usize::from(spot.is_placed());
                for (level, slot) in slots.of_group(group) {
                    for domain in domains(problem, spot, *level) {
                        wave.slot[*slot].cells.entry(domain).or_default().now += 1;
                    }
                }
            }
        }
        for slot in &mut wave.slot {
            slot.covered_certain = slot.cells.len();
            slot.covered_after = slot.cells.len();
        }
        wave
    }

    /// Adds the unit if the worst moment and the end of the wave keep every rule; with `crowded` the room after the wave
    /// is not looked at (the caller settles it for all units together).
    pub(super) fn try_add(&mut self, unit: &[Step], crowded: bool) -> Result<(), Refusal> {
        self.add(unit);
        let fits = self.check(unit, crowded);
        if fits.is_err() {
            self.take_out(unit);
        }
        fits
    }

    /// Adds the unit, whatever it breaks: for looking at a wave that is known to hold.
    pub(super) fn add(&mut self, unit: &[Step]) {
        self.shift(unit, true);
        self.note(unit);
    }

    /// The most that the node holds of each resource while the wave runs and at its end. Scaled.
    pub(super) fn peaks(&self, node: NodeId) -> Vec<i128> {
        self.row(node).iter().map(|held| held.peak().max(held.after)).collect()
    }

    /// Takes out what was added last.
    pub(super) fn take_out(&mut self, unit: &[Step]) {
        for step in unit.iter().rev() {
            self.nodes.truncate(self.nodes.len() - step.touches.len());
            self.groups.truncate(self.groups.len() - usize::from(step.group.is_some()));
            for (slot, _, _) in &step.cells {
                self.slot[*slot].touched.pop();
            }
        }
        self.shift(unit, false);
    }

    /// Remembers where the unit changes something.
    fn note(&mut self, unit: &[Step]) {
        for step in unit {
            self.nodes.extend(step.touches.iter().map(|touch| touch.node));
            self.groups.extend(step.group);
            for (slot, domain, _) in &step.cells {
                self.slot[*slot].touched.push(*domain);
            }
        }
    }

    /// Takes a unit out again.
    pub(super) fn remove(&mut self, unit: &[Step]) {
        self.shift(unit, false);
    }

    /// The wave has run. Returns the nodes and groups where something changed.
    pub(super) fn commit(&mut self) -> (Vec<NodeId>, Vec<GroupId>) {
        let width = self.problem.resources.len();
        let mut nodes = std::mem::take(&mut self.nodes);
        nodes.sort_unstable();
        nodes.dedup();
        for node in &nodes {
            let row = &mut self.amounts[node.index() * width..][..width];
            for held in row.iter_mut().chain(&mut self.devices[node.index()]) {
                *held = Held { before: held.after, after: held.after, limit: held.limit, ..Held::default() };
            }
            self.moves_at[node.index()] = 0;
        }
        self.flight.clear();
        self.is_held_up = false;
        self.groups_held_up.clear();
        let mut groups = std::mem::take(&mut self.groups);
        groups.sort_unstable();
        groups.dedup();
        for group in &groups {
            let head = &mut self.head[group.index()];
            let (placed, down) = (head.placed + head.starting - head.stopping, head.down + head.down_change);
            *head = Head { placed, down, ..Head::default() };
            for (_, slot) in self.slots.of_group(*group) {
                let slot = &mut self.slot[*slot];
                for domain in slot.touched.drain(..) {
                    if let Some(cell) = slot.cells.get_mut(&domain) {
                        *cell = Cell { now: cell.after(), ..Cell::default() };
                        if cell.now == 0 {
                            slot.cells.remove(&domain);
                        }
                    }
                }
                slot.covered_certain = slot.covered_after;
            }
        }
        (nodes, groups)
    }

    /// Takes back what ran in the wave before, whatever the rules say; nothing may be added to this wave yet.
    pub(super) fn undo(&mut self, unit: &[Step]) {
        let moved = self.moved - unit.iter().filter(|step| step.is_moved()).count() as u64;
        let back: Vec<Step> = unit.iter().rev().map(|step| step.reversed(self.problem, self.slots)).collect();
        self.shift(&back, true);
        self.note(&back);
        self.commit();
        self.moved = moved;
        for step in unit {
            if let Some(group) = step.group {
                self.head[group.index()].down -= step.down();
            }
        }
    }

    /// Nothing may fit only because of moves that were under way before the plan began.
    pub(super) fn is_held_up(&self) -> bool {
        self.is_held_up
    }

    /// No further move may begin in this wave.
    pub(super) fn is_full(&self) -> bool {
        self.flight.is_full(self.problem)
    }

    /// True when a newcomer of this size has room on a node while the wave runs; a first look only.
    pub(super) fn may_have_room(&self, node: NodeId, requirement: &[i64], parts: u32) -> bool {
        let row = &self.amounts[node.index() * requirement.len()..][..requirement.len()];
        let fits =
            |(held, amount): (&Held, &i64)| held.claimed() + i128::from(*amount) * i128::from(parts) <= held.limit;
        row.iter().zip(requirement).all(fits)
    }

    /// The devices of a node that a request may use and that have room for it while the wave runs, with the milli held of each.
    pub(super) fn room_for(&self, node: NodeId, request: &DeviceRequest) -> Vec<(usize, i128)> {
        let host = &self.problem.nodes[node.index()];
        let (milli, memory) = self.devices[node.index()].split_at(host.devices.len());
        let (most, eligible) = (i128::from(DEVICE_MILLI - request.milli), request.eligible(host));
        let has_memory = |d: usize| {
            request.memory == 0 || memory[d].claimed() + i128::from(request.memory) <= host.devices[d].memory.into()
        };
        let held = milli.iter().map(Held::claimed).enumerate();
        held.filter(|(d, held)| eligible >> d & 1 == 1 && *held <= most && has_memory(*d)).collect()
    }

    /// True when a node would hold more after the wave than it may.
    pub(super) fn is_overfull(&self, node: NodeId) -> bool {
        let devices = &self.devices[node.index()];
        self.row(node).iter().chain(devices).any(|held| held.after > held.limit)
    }

    fn shift(&mut self, unit: &[Step], add: bool) {
        let width = self.problem.resources.len();
        let sign = if add { 1 } else { -1 };
        let step_count = |count: &mut usize, by: bool| {
            *count = if add { *count + usize::from(by) } else { *count - usize::from(by) };
        };
        for step in unit {
            let request = self.problem.tasks[step.task.index()].device.as_ref();
            let [milli, memory] = request.map_or([0, 0], |request| [i64::from(request.milli), request.memory]);
            let requirement = self.problem.requirement(step.task);
            let restarts = step.restarts;
            for touch in &step.touches {
                let (before, after) = (i128::from(touch.parts_before), i128::from(touch.parts_after));
                let row = &mut self.amounts[touch.node.index() * width..][..width];
                for (r, held) in row.iter_mut().enumerate() {
                    let amount = i128::from(requirement[r]);
                    held.after += sign * amount * (after - before);
                    if self.problem.resources[r].transient {
                        let arrival = if restarts { &mut held.late } else { &mut held.arriving };
                        *arrival += sign * amount * (after - before).max(0);
                    }
                }
                let host = &self.problem.nodes[touch.node.index()].devices;
                for (slot, held) in self.devices[touch.node.index()].iter_mut().enumerate() {
                    let d = slot % host.len();
                    let (had, has) = (touch.devices_before >> d & 1 == 1, touch.devices_after >> d & 1 == 1);
                    let amount = match slot < host.len() {
                        true => milli,
                        false if host[d].memory > 0 => memory,
                        false => 0,
                    };
                    let amount = sign * i128::from(amount);
                    held.after += amount * (i128::from(has) - i128::from(had));
                    let arrival = if restarts { &mut held.late } else { &mut held.arriving };
                    *arrival += amount * i128::from(has && !had);
                }
                let moves = &mut self.moves_at[touch.node.index()];
                *moves = if add { *moves + 1 } else { *moves - 1 };
            }
            for (slot, domain, arrives) in &step.cells {
                self.shift_cell(*slot, *domain, *arrives, add);
            }
            if let Some(group) = step.group {
                let head = &mut self.head[group.index()];
                step_count(&mut head.starting, step.starts());
                step_count(&mut head.stopping, step.stops());
                step_count(&mut head.changing, step.changes_nodes);
                step_count(&mut head.restarting, restarts);
                step_count(&mut head.unavailable, step.is_moved());
                head.down_change += if add { step.down() } else { -step.down() };
            }
            self.flight.shift(self.problem, step, add);
            let moved = u64::from(step.is_moved());
            self.moved = if add { self.moved + moved } else { self.moved - moved };
        }
    }

    fn shift_cell(&mut self, slot: usize, domain: DomainId, arrives: bool, add: bool) {
        let slot = &mut self.slot[slot];
        let cell = slot.cells.entry(domain).or_default();
        let was = *cell;
        let count = if arrives { &mut cell.arriving } else { &mut cell.leaving };
        *count = if add { *count + 1 } else { *count - 1 };
        let is = *cell;
        slot.covered_certain = slot.covered_certain + usize::from(is.certain() > 0) - usize::from(was.certain() > 0);
        slot.covered_after = slot.covered_after + usize::from(is.after() > 0) - usize::from(was.after() > 0);
    }

    fn check(&self, unit: &[Step], crowded: bool) -> Result<(), Refusal> {
        let refuse = |rule: &'static str, wait: Wait| Err(Refusal { rule, wait });
        if self.problem.moves.max_moves.is_some_and(|most| self.moved > u64::from(most)) {
            return refuse(Rule::MoveBudget.name(), Wait::Never);
        }
        if let Some(cap) = self.flight.exceeded(self.problem, unit) {
            return refuse(cap, Wait::Flight);
        }
        if let Some((cap, node)) = self.flight.crowded_node(self.problem, unit) {
            return refuse(cap, Wait::Node(node));
        }
        for touch in unit.iter().flat_map(|step| &step.touches) {
            let node = touch.node;
            if self.problem.moves.max_per_node.is_some_and(|most| self.moves_at[node.index()] > most) {
                return refuse("max_per_node", Wait::Node(node));
            }
            let above = |held: &Held| held.peak() > held.limit;
            let mut row = self.row(node).iter().zip(&self.problem.resources);
            if let Some(slot) = self.devices[node.index()].iter().position(above) {
                let is_memory = slot >= self.problem.nodes[node.index()].devices.len();
                let rule = if is_memory { Rule::DeviceMemory } else { Rule::Device };
                return refuse(rule.name(), Wait::Node(node));
            }
            if row.any(|(held, resource)| resource.transient && above(held)) {
                return refuse(Rule::Transient.name(), Wait::Node(node));
            }
            if !crowded && self.is_overfull(node) {
                return refuse(Rule::Capacity.name(), Wait::Room(node));
            }
        }
        let mut groups: Vec<GroupId> = unit.iter().filter_map(|step| step.group).collect();
        groups.dedup();
        for group in groups {
            if self.groups_held_up.contains(&group) {
                return refuse("under_way", Wait::Group(group));
            }
            if let Some(rule) = self.broken_group_rule(group, unit) {
                return refuse(rule, Wait::Group(group));
            }
        }
        Ok(())
    }

    fn row(&self, node: NodeId) -> &[Held] {
        let width = self.problem.resources.len();
        &self.amounts[node.index() * width..][..width]
    }

    fn allowed(&self, rule: Rule, place: Place) -> i128 {
        self.excess.get(&(rule, place)).copied().unwrap_or(0)
    }

    /// The name of a rule or cap of the group that does not hold.
    fn broken_group_rule(&self, group: GroupId, unit: &[Step]) -> Option<&'static str> {
        let spec = &self.problem.groups[group.index()];
        let head = self.head[group.index()];
        let placed_after = head.placed + head.starting - head.stopping;
        let unavailable = head.unavailable as i64 + head.down;
        if spec.max_unavailable.is_some_and(|most| unavailable > i64::from(most)) {
            return Some("max_unavailable");
        }
        if let Some(gang) = spec.gang.filter(|_| placed_after > 0) {
            let missing = i128::from(gang.least) - placed_after as i128;
            let domains = |level| self.slot[self.slots.get(group, level)].covered_after as i128;
            let spans = |level| domains(level) - 1 > self.allowed(Rule::Gang, Place::GroupLevel(group, level));
            if missing > self.allowed(Rule::Gang, Place::Group(group)) || gang.within.is_some_and(spans) {
                return Some(Rule::Gang.name());
            }
        }
        for spread in &spec.spread {
            let slot = &self.slot[self.slots.get(group, spread.level)];
            let allowed = self.allowed(Rule::Spread, Place::GroupLevel(group, spread.level));
            let missing =
                |placed: usize, covered: usize| (spread.min as usize).min(placed) as i128 - covered as i128 > allowed;
            // Alone, a task that restarts is nowhere meanwhile; one that moves live is in one of the two domains.
            let lone = usize::from(head.changing == 1 && head.restarting == 1);
            let mid_wave =
                (head.changing > 1 || lone > 0) && missing(head.placed - head.stopping - lone, slot.covered_certain);
            if mid_wave || missing(placed_after, slot.covered_after) {
                return Some(Rule::Spread.name());
            }
        }
        for level in &spec.conflict {
            let slot = self.slots.get(group, *level);
            let cells = unit.iter().filter(|step| step.group == Some(group)).flat_map(|step| &step.cells);
            for (_, domain, _) in cells.filter(|(at, _, arrives)| *at == slot && *arrives) {
                let together = i128::from(self.cell(slot, *domain).possible());
                if together - 1 > self.allowed(Rule::Conflict, Place::GroupDomain(group, *level, *domain)) {
                    return Some(Rule::Conflict.name());
                }
            }
        }
        let needs = spec.depends_on.iter().map(|need| (group, need.group, need.level));
        let needed = self.slots.dependants(group).iter().map(|(other, level)| (*other, group, *level));
        let is_kept = needs.chain(needed).all(|(needy, needed, level)| self.is_supplied(needy, needed, level, unit));
        (!is_kept).then_some(Rule::Dependency.name())
    }

    fn cell(&self, slot: usize, domain: DomainId) -> Cell {
        self.slot[slot].cells.get(&domain).copied().unwrap_or_default()
    }

    /// The dependency rule in the domains that this wave touches.
    fn is_supplied(&self, needy: GroupId, needed: GroupId, level: LevelId, unit: &[Step]) -> bool {
        let slots = [self.slots.get(needy, level), self.slots.get(needed, level)];
        let heads = [needy, needed].map(|group| self.head[group.index()]);
        let changing: usize = heads.iter().map(|head| head.changing).sum();
        let is_adverse = changing > 1 || heads.iter().any(|head| head.restarting > 0);
        let holds = |domain: &DomainId| {
            let (own, other) = (self.cell(slots[0], *domain), self.cell(slots[1], *domain));
            let is_missing = if is_adverse {
                own.possible() > 0 && other.certain() == 0
            } else {
                own.after() > 0 && other.after() == 0
            };
            let excess = i128::from(is_missing);
            excess <= self.allowed(Rule::Dependency, Place::Needs(needy, needed, level, *domain))
        };
        // The second task in motion changes how the first is judged; from the third on only the new domains matter.
        let newcomers = unit.iter().filter(|step| step.changes_nodes).count();
        if changing > newcomers + 1 {
            let cells = unit.iter().flat_map(|step| &step.cells).filter(|(slot, _, _)| slots.contains(slot));
            return cells.map(|(_, domain, _)| domain).all(holds);
        }
        slots.iter().flat_map(|slot| &self.slot[*slot].touched).all(holds)
    }
}
