//! Who waits elsewhere while others pass? Parking and restarts, for moves that are in each other's way.
//!
//! Two full nodes that exchange tasks, or a ring of them, have no order in which every move is safe. A *parking move* takes
//! one task to a node with room, and to its target when its turn has come. Where no node has room for it, a task that may be
//! stopped is: it *restarts* at its target. Each is said by the reason of the move that begins it.
//!
//! At a deadlock the way out is tried for real, move after move, and taken back; what worked becomes units that the list
//! scheduling puts into waves. Tried are, cheapest first, the tasks that leave the place somebody waits for. A task takes
//! at most one detour, so this ends.

use super::list::{Unit, Waiting};
use super::slots::Slots;
use super::step::{Hop, Step};
use super::wave::Wave;
use super::{Move, Reason};
use crate::control::Control;
use crate::model::{
    NodeId, Piece, Problem, Spot, TaskId, move_cost, newcomer_forbidden, task_violations, way_cost, worsened,
};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Most nodes looked at over a whole ordering: a second or two. What is left then stays blocked, as it is told.
const LOOKS_MAX: usize = 200_000_000;
/// Up to so many deadlocked units, one detour is found at a time, so that none is superfluous; a second or two at most.
const ONE_BY_ONE_MAX: usize = 1000;
/// Most tasks sent elsewhere to let one unit pass.
const ASIDE_MAX: usize = 8;

/// How far the scheduling may go.
pub(super) struct Detours {
    may_restart: bool,
    taken: HashSet<TaskId>,
    /// The node after the one where room was found last: nodes before it were full a moment ago.
    cursor: usize,
    looks_left: usize,
}

/// What replaces blocked units.
pub(super) struct Way {
    pub(super) replaced: Vec<usize>,
    pub(super) added: Vec<usize>,
}

/// A blocked unit and those that could make way for it, cheapest first.
struct Jam {
    unit: usize,
    aside: Vec<usize>,
}

/// The deadlock that is being looked at.
pub(super) struct Scene<'a, 'p> {
    pub(super) problem: &'a Problem,
    slots: &'a Slots,
    pub(super) units: &'a [Unit],
    pub(super) wave: &'a mut Wave<'p>,
    /// By node: somebody waits for it, so it is no place to wait at, if others have room.
    crowded: Vec<bool>,
    /// By node: something was found to move there at this deadlock, so what is there next is not known yet.
    near: Vec<bool>,
    /// Units that have nowhere to wait as things stand: they are not looked at again for every unit in whose way they are.
    homeless: HashSet<usize>,
    /// What was carried out, to be taken back.
    pub(super) tried: Vec<Vec<Step>>,
}

impl<'a, 'p> Scene<'a, 'p> {
    pub(super) fn new(
        problem: &'a Problem,
        slots: &'a Slots,
        units: &'a [Unit],
        wave: &'a mut Wave<'p>,
    ) -> Scene<'a, 'p> {
        let nobody = || vec![false; problem.nodes.len()];
        let (crowded, near, homeless) = (nobody(), nobody(), HashSet::new());
        Scene { problem, slots, units, wave, crowded, near, homeless, tried: Vec::new() }
    }

    pub(super) fn step(&self, unit: usize, ends: [&Spot; 2], hop: Hop) -> Step {
        Step::between(self.problem, self.slots, self.units[unit].steps[0].task, ends, hop)
    }

    /// Carries the steps out, if that is safe.
    pub(super) fn runs(&mut self, steps: Vec<Step>) -> bool {
        let fits = self.wave.try_add(&steps, false).is_ok();
        if fits {
            self.wave.commit();
            self.tried.push(steps);
        }
        fits
    }

    /// Carries the whole unit out, if that is safe.
    pub(super) fn passes(&mut self, unit: usize) -> bool {
        let again = |step: &Step| Step::between(self.problem, self.slots, step.task, [&step.from, &step.to], step.hop);
        let steps = self.units[unit].steps.iter().map(again).collect();
        self.runs(steps)
    }

    /// Takes back what was carried out after the first `count` tries.
    pub(super) fn take_back(&mut self, count: usize) {
        for steps in self.tried.drain(count..).rev() {
            self.wave.undo(&steps);
        }
    }
}

impl Detours {
    /// `taken` have their detour.
    pub(super) fn new(may_restart: bool, taken: HashSet<TaskId>) -> Detours {
        Detours { may_restart, taken, cursor: 0, looks_left: LOOKS_MAX }
    }

    /// A way out of the deadlock, if there is one. The wave is as it was afterwards.
    pub(super) fn find(
        &mut self,
        problem: &Problem,
        slots: &Slots,
        units: &mut Vec<Unit>,
        wave: &mut Wave,
        waiting: &Waiting,
        control: &Control,
    ) -> Option<Way> {
        let jams = jams(problem, units, waiting, &self.taken);
        if jams.is_empty() {
            return None;
        }
        let mut scene = Scene::new(problem, slots, units, wave);
        waiting.node.keys().chain(waiting.room.keys()).for_each(|node| scene.crowded[node.index()] = true);
        let mut away = self.solve(&mut scene, &jams, Hop::Park, control);
        let mut hop = Hop::Park;
        if away.is_empty() && self.may_restart {
            hop = Hop::Stop;
            away = self.solve(&mut scene, &jams, hop, control);
        }
        (!away.is_empty()).then(|| self.part(problem, slots, units, away, hop))
    }

    /// Which units go where until the others have passed.
    fn solve(&mut self, scene: &mut Scene, jams: &[Jam], hop: Hop, control: &Control) -> BTreeMap<usize, Spot> {
        let mut away: BTreeMap<usize, Spot> = BTreeMap::new();
        let mut done: HashSet<usize> = HashSet::new();
        scene.homeless.clear();
        for jam in jams {
            if control.must_stop() {
                break;
            }
            let all_units = scene.units;
            let is_near = touched(all_units, jam.unit).any(|node| scene.near[node.index()]);
            if away.contains_key(&jam.unit) || is_near {
                continue;
            }
            let free = |unit: &&usize| {
                let is_taken = **unit == jam.unit || done.contains(*unit) || away.contains_key(*unit);
                !is_taken && !scene.homeless.contains(*unit)
            };
            let aside: Vec<usize> = jam.aside.iter().filter(free).copied().collect();
            // One task alone, the cheapest that will do; else as many as it takes.
            let all = (aside.len() > 1).then_some(&aside[..]);
            let sets = (0..aside.len()).map(|i| &aside[i..=i]).chain(all);
            let Some(found) = sets.into_iter().find_map(|set| self.make_way(scene, jam.unit, set, hop)) else {
                continue;
            };
            done.insert(jam.unit);
            touched(all_units, jam.unit).for_each(|node| scene.near[node.index()] = true);
            for (unit, spot) in found {
                touched(all_units, unit).chain(spot.node()).for_each(|node| scene.near[node.index()] = true);
                away.insert(unit, spot);
            }
            // One at a time: the next deadlock, after all that this one opens, may need none. Where there are many, those
            // far from each other go together.
            if hop == Hop::Stop || jams.len() <= ONE_BY_ONE_MAX {
                break;
            }
        }
        scene.take_back(0);
        away
    }

    /// Sends tasks of the set away until the unit passes; where it does not, all is as before.
    fn make_way(&mut self, scene: &mut Scene, unit: usize, set: &[usize], hop: Hop) -> Option<Vec<(usize, Spot)>> {
        let count = scene.tried.len();
        let mut sent = Vec::new();
        for other in set {
            if let Some(spot) = self.away(scene, *other, hop) {
                sent.push((*other, spot));
                if scene.passes(unit) {
                    return Some(sent);
                }
            }
        }
        scene.take_back(count);
        None
    }

    /// Carries out the first part of a detour, if there is a place for it.
    fn away(&mut self, scene: &mut Scene, unit: usize, hop: Hop) -> Option<Spot> {
        let (problem, step) = (scene.problem, &scene.units[unit].steps[0]);
        if hop == Hop::Stop {
            let stop = scene.step(unit, [&step.from, &Spot::Unplaced], hop);
            let may = problem.tasks[step.task.index()].evictable && scene.runs(vec![stop]);
            return may.then_some(Spot::Unplaced);
        }
        let count = problem.nodes.len();
        for among_crowded in [false, true] {
            for node in (0..count).map(|i| NodeId::new((self.cursor + i) % count)) {
                self.looks_left = self.looks_left.saturating_sub(1);
                if self.looks_left == 0 {
                    return None;
                }
                if scene.crowded[node.index()] != among_crowded || scene.near[node.index()] {
                    continue;
                }
                if step.from.is_on(node) || step.to.is_on(node) {
                    continue;
                }
                let Some(spot) = parking_place(problem, step, node, scene.wave) else { continue };
                let park = scene.step(unit, [&step.from, &spot], hop);
                if scene.runs(vec![park]) {
                    self.cursor = node.index();
                    return Some(spot);
                }
            }
        }
        scene.homeless.insert(unit);
        None
    }

    /// Parts the units in two.
    fn part(
        &mut self,
        problem: &Problem,
        slots: &Slots,
        units: &mut Vec<Unit>,
        away: BTreeMap<usize, Spot>,
        hop: Hop,
    ) -> Way {
        let mut way = Way { replaced: Vec::new(), added: Vec::new() };
        for (unit, spot) in away {
            let step = &units[unit].steps[0];
            self.taken.insert(step.task);
            let hops = [(&step.from, &spot, hop), (&spot, &step.to, Hop::Onward)];
            let [first, second] = hops.map(|(from, to, hop)| Step::between(problem, slots, step.task, [from, to], hop));
            let number = units.len();
            // Whoever follows the whole move follows its end.
            let second = Unit { next: units[unit].next, follows: true, ..Unit::new(vec![second]) };
            units.push(Unit { onward: Some(number + 1), ..Unit::new(vec![first]) });
            units.push(second);
            way.replaced.push(unit);
            way.added.push(number);
        }
        way
    }
}

/// Scaled points of detours that the objective does not show: [`extra`] of each.
pub(super) fn detour_cost<'a>(problem: &Problem, moves: impl Iterator<Item = &'a Move>) -> i128 {
    extra(problem, moves).into_iter().map(|(_, points)| points).sum()
}

/// Tasks on a detour, in plan order, with scaled points beyond what the objective shows: one more move of the task, and its
/// way by where it waits less the straight one.
pub(super) fn extra<'a>(problem: &Problem, moves: impl Iterator<Item = &'a Move>) -> Vec<(TaskId, i128)> {
    let mut list: Vec<(TaskId, i128)> = Vec::new();
    let mut open: HashMap<TaskId, (usize, &Spot)> = HashMap::new();
    for step in moves {
        if matches!(step.reason, Reason::Park | Reason::Restart) {
            open.insert(step.task, (list.len(), &step.to));
            list.push((step.task, move_cost(problem, step.task, &step.to).into_iter().sum()));
        } else if let Some((at, by)) = open.remove(&step.task) {
            // A task that stops on its way goes the straight one, which the objective shows.
            if by.is_placed() {
                let straight = way_cost(problem, problem.current.spot(step.task), &step.to);
                list[at].1 += way_cost(problem, by, &step.to) - straight;
            }
        }
    }
    list
}

/// Nodes that a unit has to do with.
fn touched(units: &[Unit], unit: usize) -> impl Iterator<Item = NodeId> {
    units[unit].steps.iter().flat_map(|step| &step.touches).map(|touch| touch.node)
}

/// The blocked units with those that could make way for them; the cheapest first.
fn jams(problem: &Problem, units: &[Unit], waiting: &Waiting, taken: &HashSet<TaskId>) -> Vec<Jam> {
    let price = |unit: usize| {
        let step = &units[unit].steps[0];
        // What the move itself costs stands for what the detour will, before that has a place.
        let points: i128 = move_cost(problem, step.task, &step.to).into_iter().sum();
        (points, size(problem, step.task), unit)
    };
    let all = waiting.all();
    let mut leaving: HashMap<NodeId, Vec<usize>> = HashMap::new();
    let mut of_group = HashMap::<_, Vec<usize>>::new();
    for unit in &all {
        if let Some(step) = can_go(problem, &units[*unit]).filter(|step| !taken.contains(&step.task)) {
            leaving.entry(step.from.node().expect("only what runs can go")).or_default().push(*unit);
            step.group.into_iter().for_each(|group| of_group.entry(group).or_default().push(*unit));
        }
    }
    for list in leaving.values_mut().chain(of_group.values_mut()) {
        list.sort_by_cached_key(|unit| price(*unit));
        list.truncate(ASIDE_MAX);
    }
    let none = Vec::new();
    let by_node = waiting.node.iter().chain(&waiting.room);
    let by_node = by_node.flat_map(|(node, list)| list.iter().map(|unit| (*unit, leaving.get(node).unwrap_or(&none))));
    let by_group = waiting.group.iter();
    let by_group = by_group.flat_map(|(g, list)| list.iter().map(|unit| (*unit, of_group.get(g).unwrap_or(&none))));
    let mut jams: Vec<Jam> = by_node.chain(by_group).map(|(unit, aside)| Jam { unit, aside: aside.clone() }).collect();
    jams.retain(|jam| !jam.aside.is_empty());
    jams.sort_by_cached_key(|jam| (price(jam.aside[0]), jam.unit));
    jams
}

/// The move of a unit whose task may take a detour.
pub(super) fn can_go<'a>(problem: &Problem, unit: &'a Unit) -> Option<&'a Step> {
    match &unit.steps[..] {
        // A gang stays together, also on its way.
        [step] if step.group.is_some_and(|group| problem.groups[group.index()].gang.is_some()) => None,
        [step] => match (&step.from, step.hop) {
            (Spot::On(_), Hop::Whole) if !step.stops() => Some(step),
            _ => None,
        },
        _ => None,
    }
}

/// What moves with the task: the sum of its amounts. Only compared, and only where the points are the same.
pub(super) fn size(problem: &Problem, task: TaskId) -> i64 {
    problem.requirement(task).iter().fold(0, |sum: i64, amount| sum.saturating_add(*amount))
}

/// Where on a node the task could wait, with the share it has now.
pub(super) fn parking_place(problem: &Problem, step: &Step, node: NodeId, wave: &Wave) -> Option<Spot> {
    let Spot::On(piece) = step.from else { return None };
    if !wave.may_have_room(node, problem.requirement(step.task), piece.share.parts())
        || newcomer_forbidden(problem, step.task, node).is_some()
    {
        return None;
    }
    let mut devices = 0u64;
    if let Some(request) = &problem.tasks[step.task.index()].device {
        // The fullest first: what is parked breaks up no free device.
        let free = wave.room_for(node, request).into_iter();
        let mut free: Vec<(i128, usize)> = free.map(|(d, held)| (-held, d)).collect();
        free.sort_unstable();
        devices = free.iter().take(request.count as usize).fold(0, |set, (_, d)| set | 1 << d);
    }
    let spot = Spot::On(Piece { node, devices, ..piece });
    let start = task_violations(problem, step.task, problem.current.spot(step.task));
    worsened(&start, &task_violations(problem, step.task, &spot)).is_empty().then_some(spot)
}
