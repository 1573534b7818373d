//! Does the plan keep what it promises? Everything in it is worked out again from the snapshot and the plan alone.
//!
//! Nothing of what made the plan is used here: neither the model's arithmetic nor the ordering nor its sentences (see `recount.rs` and
//! `excuse.rs`). The plan
//! is replayed wave by wave, and every violation is listed, not the first. Names beyond those of [`Rule`]:
//!
//! | name | violated when |
//! |---|---|
//! | fingerprint | the plan is for another snapshot |
//! | goal | the plan's points are for another goal |
//! | unknown | a move, or the list of nodes to be emptied, names a task or node that does not exist |
//! | under_way | a move of a task that was under way before the plan began, which ends where it was going |
//! | twice | a task moves twice, and the first move is no detour that ends in an earlier wave, or moves a third time |
//! | detour | a task that is parked or stopped to restart does not go on |
//! | from | a move does not start where the task is |
//! | nothing | a move leads where the task is already |
//! | reason | the reason does not suit the move; `drain` from a node that was not to be emptied |
//! | wave_order | `simultaneous` and more than one wave |
//! | max_unavailable, max_per_node, max_in_flight, max_from_node, max_to_node, max_per_domain, max_amounts | a wave exceeds the cap |
//! | gain, objective, gap | the figure is not the one worked out here |
//! | proof | the prices mean nothing, or prove less than claimed (`certify.rs`) |
//! | bound | below the objective reached, or below what the prices prove and not the exact solver's |
//! | status | `optimal` without a bound that equals the objective; `infeasible` with other blockers than the rules broken at the end |
//! | unplaced, blocked | the list is wrong; so is what keeps an unplaced task out |
//! | unexplored | it hides how the search ended or what that leaves open, or says it otherwise; it counts other moves than are blocked |
//! | reserve | a domain's tasks do not come back as promised (`reserve.rs`) |
//! | arithmetic | a sum does not fit 128 bits |

use super::certify::certify;
use super::detours::Detours;
use super::recount::{
    self, Held, Mark, broken_rules, covered, group_points, has_moved, held, marks, node_points, note, task_points,
    weigh,
};
use super::reserve::check;
use super::under_way::spots_before;
use super::{Move, Plan, Reason};
use crate::model::{
    DEVICE_MILLI, DomainId, Goal, GroupId, LevelId, NodeId, Place, Placement, Problem, Proof, ResourceId, Rule,
    SHARE_ONE, Spot, TaskId, Violation, scaled_text,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// One thing that is wrong with a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// Name of the rule.
    pub rule: &'static str,
    /// Wave, counted from 0; `None` for the end state and the plan as a whole.
    pub wave: Option<usize>,
    /// Place and figures.
    pub text: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.wave {
            Some(wave) => write!(f, "{}: wave {}: {}", self.rule, wave + 1, self.text),
            None => write!(f, "{}: {}", self.rule, self.text),
        }
    }
}

/// What verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Everything that is wrong; empty = the plan is right.
    pub violations: Vec<Breach>,
    /// What the end state still breaks, never more than the start did unless listed above too.
    pub remaining: Vec<Violation>,
    /// Scaled objective at the start and at the end, when the sums fit.
    pub objective: Option<(i128, i128)>,
    /// Scaled upper bound that the plan's prices prove, worked out again.
    pub proven: Option<i128>,
    /// Number of moves.
    pub move_count: usize,
    /// Waves, counted from 0, after which the plan had better not be cut: every rule holds as it did, none is less broken, and
    /// the objective is so much (scaled, more than 0) below that of the start.
    pub lows: Vec<(usize, i128)>,
    /// Where the plan leads.
    pub reached: Placement,
}

impl Verdict {
    /// True when nothing is wrong.
    pub fn is_right(&self) -> bool {
        self.violations.is_empty()
    }
}

/// Checks a plan against a snapshot.
pub fn verify(problem: &Problem, plan: &Plan) -> Verdict {
    let start = broken_rules(problem, problem.current.spots());
    let before = spots_before(problem);
    let mut replay = Replay {
        problem,
        allowed: start.iter().map(|violation| ((violation.rule, violation.place), violation.excess)).collect(),
        limit: held(problem, problem.current.spots()),
        held: held(problem, &before),
        spots: before,
        moved: vec![0; problem.groups.len()],
        moved_most: 0,
        dependants: dependants(problem),
        marks: marks(problem),
        seen: BTreeSet::new(),
        drain: plan.drain.iter().copied().collect(),
        detours: Detours::default(),
        gained: Some(0),
        found: Vec::new(),
    };
    replay.raise_limits();
    if plan.fingerprint != problem.fingerprint {
        let text = format!("the plan is for {}, the snapshot is {}", plan.fingerprint, problem.fingerprint);
        replay.add("fingerprint", None, text);
    }
    if plan.goal != problem.goal {
        let word = |goal: Option<Goal>| goal.map_or("the snapshot's objective", Goal::word);
        let text = format!("the plan is for {}, its points are counted for {}", word(plan.goal), word(problem.goal));
        replay.add("goal", None, text);
    }
    if problem.moves.simultaneous && plan.waves.len() > 1 {
        replay.add("wave_order", None, format!("{} waves, but all moves run at the same time", plan.waves.len()));
    }
    let mut lows = Vec::new();
    for (wave, moves) in plan.waves.iter().enumerate() {
        replay.wave(wave, moves, wave + 1 == plan.waves.len());
        lows.extend(replay.low(&start).map(|points| (wave, points)));
    }
    if plan.waves.is_empty() {
        replay.under_way().iter().for_each(|step| _ = replay.shift(step));
    }
    let remaining = broken_rules(problem, &replay.spots);
    replay.end_state(&remaining);
    replay.detours_end(plan.waves.len());
    replay.blockers(plan, &remaining);
    let objective = replay.figures(plan);
    let proven = replay.proof(plan, &start);
    replay.lists(plan);
    for text in plan.reserve.iter().flat_map(|reserve| check(problem, &replay.spots, reserve)) {
        replay.found.push(Breach { rule: "reserve", wave: None, text });
    }
    Verdict {
        violations: replay.found,
        remaining,
        objective,
        proven,
        move_count: plan.waves.iter().map(Vec::len).sum(),
        lows,
        reached: Placement::from_spots(replay.spots),
    }
}

/// The scaled upper bound that prices prove for a problem, worked out from the two alone.
///
/// # Errors
/// Why the prices are refused.
pub fn proven(problem: &Problem, proof: &Proof) -> Result<i128, String> {
    certify(problem, &broken_rules(problem, problem.current.spots()), proof)
}

/// A plan in the course of being carried out.
pub(super) struct Replay<'a> {
    pub(super) problem: &'a Problem,
    allowed: BTreeMap<(Rule, Place), i128>,
    limit: Vec<Held>,
    held: Vec<Held>,
    pub(super) spots: Vec<Spot>,
    /// Tasks moved, by group.
    moved: Vec<i128>,
    moved_most: i128,
    /// What variance is measured against; `None` when that does not fit.
    marks: Option<Vec<Option<Mark>>>,
    /// By group: those that need it.
    dependants: Vec<Vec<GroupId>>,
    pub(super) seen: BTreeSet<TaskId>,
    /// Nodes that were to be emptied.
    pub(super) drain: BTreeSet<NodeId>,
    pub(super) detours: Detours,
    /// Scaled objective now less that of the start, while the sums fit.
    gained: Option<i128>,
    found: Vec<Breach>,
}

/// Members of a group in a domain during a wave.
#[derive(Default, Clone, Copy)]
struct Heads {
    /// There before or after.
    any: i128,
    /// There before and after.
    both: i128,
    /// There after.
    after: i128,
}

/// A group during a wave.
struct Motion {
    /// Ran before and after.
    lasting: i128,
    /// Runs after.
    placed: i128,
    /// Members whose set of nodes changes.
    changing: usize,
    /// Those of them that are nowhere meanwhile.
    restarting: usize,
}

impl Replay<'_> {
    pub(super) fn add(&mut self, rule: &'static str, wave: Option<usize>, text: String) {
        self.found.push(Breach { rule, wave, text });
    }

    /// Capacity, or what was held at the start where that was more.
    fn raise_limits(&mut self) {
        for (n, limit) in self.limit.iter_mut().enumerate() {
            let capacity = self.problem.allocatable(NodeId::new(n));
            for (amount, capacity) in limit.amounts.iter_mut().zip(capacity) {
                *amount = (*amount).max(i128::from(*capacity) * i128::from(SHARE_ONE));
            }
            limit.milli.iter_mut().for_each(|milli| *milli = (*milli).max(i128::from(DEVICE_MILLI)));
            for (memory, device) in limit.memory.iter_mut().zip(&self.problem.nodes[n].devices) {
                *memory = (*memory).max(i128::from(device.memory));
            }
        }
    }

    pub(super) fn name(&self, task: TaskId) -> &str {
        &self.problem.tasks[task.index()].name
    }

    fn wave(&mut self, wave: usize, moves: &[Move], is_last: bool) {
        let moves: Vec<&Move> = moves.iter().filter(|step| self.is_sound(wave, step)).collect();
        let under_way = if wave == 0 { self.under_way() } else { Vec::new() };
        let under_way: Vec<&Move> = under_way.iter().collect();
        let all = || under_way.iter().chain(&moves).copied();
        let before: BTreeMap<TaskId, Spot> =
            all().map(|step| (step.task, self.spots[step.task.index()].clone())).collect();
        let mut peak = self.peak(all());
        let touched: BTreeSet<NodeId> = moves.iter().flat_map(|step| self.nodes_of(step)).collect();
        peak.retain(|node, _| touched.contains(node));
        self.caps(wave, &moves, &under_way);
        under_way.iter().for_each(|step| _ = self.shift(step));
        for step in &moves {
            self.make(wave, step);
        }
        if self.problem.moves.simultaneous {
            return;
        }
        for (node, peak) in &peak {
            self.node_limits(wave, *node, peak, is_last);
        }
        let mut groups: BTreeSet<GroupId> = BTreeSet::new();
        for group in moves.iter().filter_map(|step| self.problem.tasks[step.task.index()].group) {
            groups.insert(group);
            groups.extend(&self.dependants[group.index()]);
        }
        for group in groups {
            self.group_rules(wave, group, &before, is_last);
        }
    }

    /// How far the objective is below that of the start, where no rule is less broken than it was.
    fn low(&self, start: &[Violation]) -> Option<i128> {
        let excess = |broken: &[Violation]| broken.iter().map(|violation| violation.excess).sum::<i128>();
        let lost = self.gained.filter(|gained| *gained < 0).map(|gained| -gained)?;
        let is_repaired = !start.is_empty() && excess(&broken_rules(self.problem, &self.spots)) < excess(start);
        (!is_repaired).then_some(lost)
    }

    /// Names that exist, one move per task, from where it is to somewhere else. What is not sound is not replayed.
    fn is_sound(&mut self, wave: usize, step: &Move) -> bool {
        let (task_count, node_count) = (self.problem.tasks.len(), self.problem.nodes.len());
        if step.task.index() >= task_count {
            self.add("unknown", Some(wave), format!("task number {} of {task_count}", step.task.0));
            return false;
        }
        let name = self.name(step.task).to_string();
        if let Some(piece) = step.to.pieces().iter().find(|piece| piece.node.index() >= node_count) {
            self.add("unknown", Some(wave), format!("task {name} to node number {} of {node_count}", piece.node.0));
            return false;
        }
        if step.to != Spot::from_pieces(step.to.pieces().to_vec()) {
            self.add(Rule::Share.name(), Some(wave), format!("task {name}: empty pieces, or out of order"));
            return false;
        }
        if self.is_under_way(step.task) {
            self.add("under_way", Some(wave), format!("task {name} is under way and ends where it was going"));
            return false;
        }
        let actual = &self.spots[step.task.index()];
        if step.from != *actual {
            let text = format!("task {name} is {}, the move says {}", self.spot(actual), self.spot(&step.from));
            self.add("from", Some(wave), text);
        }
        if self.spots[step.task.index()] == step.to {
            self.add("nothing", Some(wave), format!("task {name} is there already: {}", self.spot(&step.to)));
        }
        if !self.seen.insert(step.task) && !self.goes_on(wave, step) {
            self.add("twice", Some(wave), format!("task {name} moves a second time"));
            return false;
        }
        self.note_detour(wave, step);
        true
    }

    /// Is a part of it on a node that was to be emptied?
    pub(super) fn is_drained(&self, spot: &Spot) -> bool {
        spot.pieces().iter().any(|piece| self.drain.contains(&piece.node))
    }

    pub(super) fn spot(&self, spot: &Spot) -> String {
        let piece = |piece: &crate::model::Piece| {
            let node = self.problem.nodes.get(piece.node.index()).map_or("?", |node| node.name.as_str());
            let devices = if piece.devices == 0 { String::new() } else { format!(" devices {:#b}", piece.devices) };
            format!("{} of {node}{devices}", piece.share)
        };
        match spot.pieces() {
            [] => "nowhere".to_string(),
            pieces => format!("on {}", pieces.iter().map(piece).collect::<Vec<_>>().join(" and ")),
        }
    }

    fn nodes_of(&self, step: &Move) -> BTreeSet<NodeId> {
        let old = self.spots[step.task.index()].pieces();
        old.iter().chain(step.to.pieces()).map(|piece| piece.node).collect()
    }

    /// A running task that stops on its nodes before it starts on others.
    pub(super) fn restarts(&self, step: &Move) -> bool {
        let may = self.problem.tasks[step.task.index()].restarts && !self.is_under_way(step.task);
        may && step.to.is_placed() && self.leaves(step)
    }

    /// What touched nodes hold while every source and every target is occupied. What restarts waits for its room, so it only
    /// counts where others arrive, whose room it may take.
    fn peak<'m>(&self, moves: impl Iterator<Item = &'m Move>) -> BTreeMap<NodeId, Held> {
        let none = |node: NodeId| Held::none(self.problem, node);
        // What arrives, and what waits for its room.
        let mut sums: BTreeMap<NodeId, [Held; 2]> = BTreeMap::new();
        for step in moves {
            let late = usize::from(self.restarts(step));
            for node in self.nodes_of(step) {
                let on = |pieces: &[crate::model::Piece]| {
                    let here = pieces.iter().filter(|piece| piece.node == node);
                    here.fold((0, 0), |(parts, devices), p| (parts + i128::from(p.share.parts()), devices | p.devices))
                };
                let old = self.spots[step.task.index()].pieces();
                let ((had, had_devices), (has, has_devices)) = (on(old), on(step.to.pieces()));
                let own = weigh(self.problem, step.task, (has - had).max(0), has_devices & !had_devices, node);
                sums.entry(node).or_insert_with(|| [none(node), none(node)])[late].add(&own, 1);
            }
        }
        let together = |held: &[i128], [arriving, late]: [&[i128]; 2]| -> Vec<i128> {
            let rows = held.iter().zip(arriving).zip(late);
            rows.map(|((held, arriving), late)| held + arriving + if *arriving > 0 { *late } else { 0 }).collect()
        };
        let worst = |(node, [arriving, late]): (NodeId, [Held; 2])| {
            let held = &self.held[node.index()];
            let amounts = together(&held.amounts, [&arriving.amounts, &late.amounts]);
            let milli = together(&held.milli, [&arriving.milli, &late.milli]);
            let memory = together(&held.memory, [&arriving.memory, &late.memory]);
            (node, Held { amounts, milli, memory, pieces: held.pieces })
        };
        sums.into_iter().map(worst).collect()
    }

    /// Carries out one move and checks what it says about itself.
    fn make(&mut self, wave: usize, step: &Move) {
        let gain = self.change(step);
        self.gained = self.gained.zip(gain).and_then(|(sum, gain)| sum.checked_add(gain));
        let name = self.name(step.task).to_string();
        match gain {
            None => self.add("arithmetic", Some(wave), format!("the gain of task {name}")),
            Some(gain) if gain != step.gain => {
                let text = format!("task {name}: {} claimed, {} found", scaled_text(step.gain), scaled_text(gain));
                self.add("gain", Some(wave), text);
            }
            Some(_) => {}
        }
        let start = self.problem.current.spot(step.task);
        let is_moved = has_moved(self.problem, step.task, &step.to);
        let runs_elsewhere = is_moved && step.to.is_placed();
        // Whoever leaves a node that is to be emptied drains, whatever else that does.
        let drains = runs_elsewhere && self.is_drained(start) && !self.is_drained(&step.to);
        let goes = runs_elsewhere && !drains;
        let fits = match step.reason {
            Reason::Admit => !start.is_placed(),
            Reason::Park | Reason::Restart => self.suits_detour(step),
            Reason::Evict => start.is_placed() && !step.to.is_placed(),
            Reason::Resize => start.is_placed() && !is_moved,
            Reason::Drain => drains,
            Reason::Repair => goes && self.allowed.keys().any(|(rule, _)| *rule != Rule::Drain),
            Reason::Improve => goes && gain.is_none_or(|gain| gain > 0),
            Reason::Enable => goes && gain.is_none_or(|gain| gain <= 0),
        };
        if !fits {
            self.add("reason", Some(wave), format!("task {name}: {:?} does not suit the move", step.reason));
        }
    }

    /// Puts the task on its new spot; gives the old one.
    fn shift(&mut self, step: &Move) -> Spot {
        let old = std::mem::replace(&mut self.spots[step.task.index()], step.to.clone());
        for (pieces, sign) in [(old.pieces(), -1), (step.to.pieces(), 1)] {
            for piece in pieces {
                let parts = i128::from(piece.share.parts());
                let own = weigh(self.problem, step.task, parts, piece.devices, piece.node);
                let held = &mut self.held[piece.node.index()];
                held.add(&own, sign);
                held.pieces = if sign > 0 { held.pieces + 1 } else { held.pieces - 1 };
            }
        }
        old
    }

    /// Carries the move out; scaled points after minus before.
    fn change(&mut self, step: &Move) -> Option<i128> {
        let nodes = self.nodes_of(step);
        let worth = |replay: &Self, spot: &Spot| -> Option<i128> {
            let [value, task_move, node_move] = task_points(replay.problem, step.task, spot)?;
            let mut sum = value.checked_sub(task_move)?.checked_sub(node_move)?;
            for node in &nodes {
                let marks = replay.marks.as_ref()?;
                for cost in node_points(replay.problem, marks, *node, &replay.held[node.index()])? {
                    sum = sum.checked_sub(cost)?;
                }
            }
            sum.checked_sub(group_points(replay.problem, replay.moved_most)?)
        };
        let before = worth(self, &self.spots[step.task.index()]);
        let old = self.shift(step);
        if let Some(group) = self.problem.tasks[step.task.index()].group {
            let [was, is] = [&old, &step.to].map(|spot| i128::from(has_moved(self.problem, step.task, spot)));
            self.moved[group.index()] += is - was;
            self.moved_most = match is < was {
                true => self.moved.iter().copied().max().unwrap_or(0),
                false => self.moved_most.max(self.moved[group.index()]),
            };
        }
        worth(self, &step.to)?.checked_sub(before?)
    }

    fn node_limits(&mut self, wave: usize, node: NodeId, peak: &Held, is_last: bool) {
        let name = &self.problem.nodes[node.index()].name;
        let (limit, after) = (&self.limit[node.index()], &self.held[node.index()]);
        let mut found: Vec<(Rule, String)> = Vec::new();
        for (r, resource) in self.problem.resources.iter().enumerate() {
            let text = |amount: i128| {
                let (amount, limit) = (scaled_text(amount), scaled_text(limit.amounts[r]));
                format!("node {name}, {}: {amount} held, at most {limit}", resource.name)
            };
            if resource.transient && peak.amounts[r] > limit.amounts[r] {
                found.push((Rule::Transient, text(peak.amounts[r])));
            }
            if !is_last && after.amounts[r] > limit.amounts[r] {
                found.push((Rule::Capacity, text(after.amounts[r])));
            }
        }
        let of_devices = [
            (Rule::Device, "milli", &limit.milli, &peak.milli, &after.milli),
            (Rule::DeviceMemory, "of memory", &limit.memory, &peak.memory, &after.memory),
        ];
        for (rule, what, limit, peak, after) in of_devices {
            for (d, limit) in limit.iter().enumerate() {
                let text = |held: i128| format!("node {name}, device {d}: {held} {what} held, at most {limit}");
                if peak[d] > *limit {
                    found.push((Rule::Transient, text(peak[d])));
                }
                if !is_last && after[d] > *limit {
                    found.push((rule, text(after[d])));
                }
            }
        }
        for (rule, text) in found {
            self.add(rule.name(), Some(wave), text);
        }
    }

    /// Heads per domain and the group as a whole, during a wave that has just been carried out.
    fn heads(&self, group: GroupId, level: LevelId, before: &BTreeMap<TaskId, Spot>) -> BTreeMap<DomainId, Heads> {
        let mut heads: BTreeMap<DomainId, Heads> = BTreeMap::new();
        for member in &self.problem.groups[group.index()].members {
            let now = &self.spots[member.index()];
            let after = covered(self.problem, now, level);
            let was = before.get(member).map_or_else(|| after.clone(), |spot| covered(self.problem, spot, level));
            for domain in &was {
                heads.entry(*domain).or_default().any += 1;
            }
            for domain in &after {
                let stays = was.binary_search(domain).is_ok();
                let heads = heads.entry(*domain).or_default();
                heads.after += 1;
                heads.both += i128::from(stays);
                heads.any += i128::from(!stays);
            }
        }
        heads
    }

    fn motion(&self, group: GroupId, before: &BTreeMap<TaskId, Spot>) -> Motion {
        let mut motion = Motion { lasting: 0, placed: 0, changing: 0, restarting: 0 };
        for member in &self.problem.groups[group.index()].members {
            let now = &self.spots[member.index()];
            let was = before.get(member).unwrap_or(now);
            motion.placed += i128::from(now.is_placed());
            motion.lasting += i128::from(now.is_placed() && was.is_placed());
            let nodes = |spot: &Spot| spot.pieces().iter().map(|piece| piece.node).collect::<Vec<_>>();
            let (is_changing, lasts) = (nodes(was) != nodes(now), now.is_placed() && was.is_placed());
            let restarts = self.problem.tasks[member.index()].restarts && !self.is_under_way(*member);
            motion.changing += usize::from(is_changing);
            motion.restarting += usize::from(is_changing && lasts && restarts);
        }
        motion
    }

    fn group_rules(&mut self, wave: usize, group: GroupId, before: &BTreeMap<TaskId, Spot>, is_last: bool) {
        let spec = &self.problem.groups[group.index()];
        let motion = self.motion(group, before);
        let mut found: Vec<Violation> = Vec::new();
        for level in &spec.conflict {
            for (domain, heads) in self.heads(group, *level, before) {
                let place = Place::GroupDomain(group, *level, domain);
                note(&mut found, Rule::Conflict, place, heads.any - 1);
            }
        }
        for spread in &spec.spread {
            let heads = self.heads(group, spread.level, before);
            let min = i128::from(spread.min);
            let missing = |placed: i128, covered: usize| placed.min(min) - covered as i128;
            let mut excess = missing(motion.placed, heads.values().filter(|heads| heads.after > 0).count());
            let lone = usize::from(motion.changing == 1) * motion.restarting;
            if motion.changing > 1 || lone > 0 {
                let lasting = heads.values().filter(|heads| heads.both > 0).count();
                excess = excess.max(missing(motion.lasting - lone as i128, lasting));
            }
            note(&mut found, Rule::Spread, Place::GroupLevel(group, spread.level), excess);
        }
        for need in &spec.depends_on {
            let others = self.heads(need.group, need.level, before);
            let other = self.motion(need.group, before);
            let adverse = motion.changing + other.changing > 1 || motion.restarting + other.restarting > 0;
            for (domain, own) in self.heads(group, need.level, before) {
                let other = others.get(&domain).copied().unwrap_or_default();
                let is_missing =
                    if adverse { own.any > 0 && other.both == 0 } else { own.after > 0 && other.after == 0 };
                let place = Place::Needs(group, need.group, need.level, domain);
                note(&mut found, Rule::Dependency, place, i128::from(is_missing));
            }
        }
        if !is_last {
            recount::gang(self.problem, group, &self.spots, &mut found);
        }
        for violation in found {
            self.object(Some(wave), &violation);
        }
    }

    fn end_state(&mut self, remaining: &[Violation]) {
        for violation in remaining {
            self.object(None, violation);
        }
    }

    /// Lists a violation that the start did not have, or had less of.
    fn object(&mut self, wave: Option<usize>, violation: &Violation) {
        let at = |rule: Rule| self.allowed.get(&(rule, violation.place)).copied().unwrap_or(0);
        let allowed = match (violation.rule, violation.place) {
            (Rule::Transient, Place::NodeResource(..)) => at(Rule::Transient).max(at(Rule::Capacity)),
            (Rule::Transient, Place::NodeDevice(..)) => at(Rule::Transient).max(at(Rule::Device)),
            (Rule::Transient, Place::DeviceMemory(..)) => at(Rule::Transient).max(at(Rule::DeviceMemory)),
            (rule, _) => at(rule),
        };
        if violation.excess <= allowed.max(0) {
            return;
        }
        let line = violation.describe(self.problem);
        let text = line.strip_prefix(&format!("{}: ", violation.rule.name())).unwrap_or(&line).to_string();
        let text = match allowed {
            0 => text,
            _ => format!("{text} ({} at the start)", figure(violation.place, allowed)),
        };
        self.add(violation.rule.name(), wave, text);
    }
}

fn dependants(problem: &Problem) -> Vec<Vec<GroupId>> {
    let mut list = vec![Vec::new(); problem.groups.len()];
    for (g, spec) in problem.groups.iter().enumerate() {
        for need in &spec.depends_on {
            list[need.group.index()].push(GroupId::new(g));
        }
    }
    list
}

fn figure(place: Place, excess: i128) -> String {
    match place {
        Place::NodeResource(_, ResourceId(_)) => scaled_text(excess),
        _ => excess.to_string(),
    }
}
