//! In which order do the moves run? List scheduling of all moves into waves, each safe at its worst moment.
//!
//! A *unit* is one move; the members of a gang that start or stop are one unit. Units are tried in a fixed order (repairs
//! first, then the highest gain, then those that leave room others wait for, then the task's number), and a unit that
//! does not fit waits for the node or group that refused it; only a change there brings it back. So the work grows with
//! the number of moves and of what they touch, not with their product.
//!
//! When no unit fits alone, those that only wait for room that the others leave at once (resources that are not
//! transient) are tried together: a ring of such moves runs in one wave. What is left then is blocked; parking and
//! restarts are not done here.
//!
//! Every wave leaves a valid state, so the plan is cut where it is best: least excess, then highest objective.

use super::slots::Slots;
use super::tally::{Change, Tally};
use super::wave::{Step, Wait, Wave};
use super::{Move, Reason, caps};
use crate::control::{Control, Progress};
use crate::model::{
    GroupId, NodeId, Place, Placement, Problem, SHARE_ONE, Spot, TaskId, Usage, is_moved, score, task_violations,
    total_excess, violations, worsened,
};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

/// Moves in an order that is safe, and where they lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ordered {
    /// The moves.
    pub waves: Vec<Vec<Move>>,
    /// State after the last wave.
    pub reached: Placement,
    /// Tasks whose move has no safe order.
    pub blocked: Vec<TaskId>,
}

/// Orders the way from the current placement to `target`.
///
/// A move that would make a rule worse is dropped, and so is one that `max_moves` has no room for. With
/// `moves.mode = simultaneous` there is one wave; if the target breaks a rule or a cap, the least valuable of the moves
/// that take part in it are dropped until it does not. When `control` stops the run, the waves found so far are the plan.
///
/// # Panics
/// When `target` has not one spot for every task.
pub fn order(problem: &Problem, target: &Placement, control: &Control) -> Ordered {
    assert_eq!(target.len(), problem.tasks.len(), "a placement has a spot for every task");
    let slots = Slots::new(problem);
    let first = order_once(problem, &slots, target, control);
    if control.must_stop() {
        return first;
    }
    // No disruption for crumbs, nor for moves whose beneficiary has no order: try without them.
    let trimmed = trim(problem, &slots, &first);
    if trimmed == first.reached {
        return first;
    }
    let mut second = order_once(problem, &slots, &trimmed, control);
    if rank(problem, &second) < rank(problem, &first) {
        second.blocked = first.blocked.into_iter().chain(second.blocked).collect::<BTreeSet<_>>().into_iter().collect();
        second.blocked.retain(|task| second.reached.spot(*task) == problem.current.spot(*task));
        return second;
    }
    first
}

/// Smaller is better: excess, objective, number of moves.
fn rank(problem: &Problem, ordered: &Ordered) -> (i128, Reverse<i128>, usize) {
    let gain = ordered.waves.iter().flatten().map(|step| step.gain).sum();
    let moves = ordered.waves.iter().map(Vec::len).sum();
    (total_excess(&violations(problem, &ordered.reached)), Reverse(gain), moves)
}

/// The state reached without the moves that gained nothing and are not missed at the end.
fn trim(problem: &Problem, slots: &Slots, ordered: &Ordered) -> Placement {
    let mut tally = Tally::new(problem, slots);
    for step in ordered.waves.iter().flatten() {
        tally.apply(step.task, &step.to);
    }
    for step in ordered.waves.iter().flatten().rev() {
        if step.gain > 0 || matches!(step.reason, Reason::Admit | Reason::Repair) {
            continue;
        }
        let change = tally.apply(step.task, &step.from);
        if change.excess > 0 || change.gain < 0 {
            tally.apply(step.task, &step.to);
        }
    }
    tally.into_placement()
}

fn order_once(problem: &Problem, slots: &Slots, target: &Placement, control: &Control) -> Ordered {
    let units = units(problem, slots, target);
    let (waves, blocked) = if problem.moves.simultaneous {
        (vec![at_once(problem, &units)], Vec::new())
    } else {
        let objective = score(problem, target).objective();
        let report = |done| control.report(Progress { phase: "order", done, objective, bound: None });
        list_schedule(problem, slots, &units, report)
    };
    let mut ordered = finish(problem, slots, &units, waves);
    ordered.blocked = blocked.into_iter().flat_map(|unit: usize| &units[unit].steps).map(|step| step.task).collect();
    ordered.blocked.sort_unstable();
    ordered
}

struct Unit {
    steps: Vec<Step>,
    alone: Change,
}

/// All units, most urgent first.
fn units(problem: &Problem, slots: &Slots, target: &Placement) -> Vec<Unit> {
    let mut gangs: HashMap<GroupId, Vec<Step>> = HashMap::new();
    let mut list: Vec<Vec<Step>> = Vec::new();
    for task in problem.task_ids() {
        let (from, to) = (problem.current.spot(task), target.spot(task));
        if from == to || worsens_alone(problem, task, to) {
            continue;
        }
        let step = Step::new(problem, slots, task, to);
        let gang_of = |group: &GroupId| problem.groups[group.index()].gang;
        let group = problem.tasks[task.index()].group.filter(|group| gang_of(group).is_some());
        // Members that change their domain together do so in one wave.
        let is_bound = group.and_then(|group| gang_of(&group)).is_some_and(|gang| gang.within.is_some());
        match group {
            Some(group) if step.starts() || step.stops() || is_bound => gangs.entry(group).or_default().push(step),
            _ => list.push(vec![step]),
        }
    }
    gangs.retain(|group, _| !splits_gang(problem, *group, target));
    list.extend(gangs.into_values());
    let crowd = waiting_for_room(problem, &list);
    let mut tally = Tally::new(problem, slots);
    let mut units: Vec<Unit> = Vec::with_capacity(list.len());
    for steps in list {
        let mut alone = Change::default();
        for step in &steps {
            alone += tally.apply(step.task, &step.to);
        }
        for step in steps.iter().rev() {
            tally.apply(step.task, problem.current.spot(step.task));
        }
        units.push(Unit { steps, alone });
    }
    let frees = |unit: &Unit| -> usize {
        let touches = unit.steps.iter().flat_map(|step| &step.touches);
        touches.filter(|t| t.parts_before > t.parts_after).filter_map(|t| crowd.get(&t.node)).sum()
    };
    units.sort_by_cached_key(|unit| {
        let repairs = unit.alone.excess < 0;
        (Reverse(repairs), Reverse(unit.alone.gain), Reverse(frees(unit)), unit.steps[0].task)
    });
    units
}

/// The new spot breaks a rule of the task itself more than the current one does.
fn worsens_alone(problem: &Problem, task: TaskId, to: &Spot) -> bool {
    let before = task_violations(problem, task, problem.current.spot(task));
    !worsened(&before, &task_violations(problem, task, to)).is_empty()
}

/// The target runs some members of a gang, not enough, and more are missing than at the start.
fn splits_gang(problem: &Problem, group: GroupId, target: &Placement) -> bool {
    let members = &problem.groups[group.index()].members;
    let placed = |placement: &Placement| members.iter().filter(|task| placement.spot(**task).is_placed()).count();
    let least = problem.groups[group.index()].gang.map_or(0, |gang| gang.least as usize);
    let missing = |placed: usize| if placed == 0 { 0 } else { least.saturating_sub(placed) };
    missing(placed(target)) > missing(placed(&problem.current))
}

/// For nodes that cannot take all their newcomers yet: how many there are.
fn waiting_for_room(problem: &Problem, units: &[Vec<Step>]) -> HashMap<NodeId, usize> {
    let mut arrivals: HashMap<NodeId, (usize, Vec<i128>)> = HashMap::new();
    for step in units.iter().flatten() {
        for touch in step.touches.iter().filter(|t| t.parts_after > t.parts_before) {
            let entry = arrivals.entry(touch.node).or_insert_with(|| (0, vec![0; problem.resources.len()]));
            entry.0 += 1;
            for (sum, amount) in entry.1.iter_mut().zip(problem.requirement(step.task)) {
                *sum += i128::from(*amount) * i128::from(touch.parts_after - touch.parts_before);
            }
        }
    }
    let usage = Usage::of(problem, &problem.current);
    let one = i128::from(SHARE_ONE);
    arrivals.retain(|node, (_, sums)| {
        let rows = sums.iter().zip(usage.amounts(*node)).zip(problem.allocatable(*node));
        rows.into_iter().any(|((sum, used), capacity)| sum + used > i128::from(*capacity) * one)
    });
    arrivals.into_iter().map(|(node, (count, _))| (node, count)).collect()
}

/// Units that wait, by what they wait for.
#[derive(Default)]
struct Waiting {
    node: HashMap<NodeId, Vec<usize>>,
    room: HashMap<NodeId, Vec<usize>>,
    group: HashMap<GroupId, Vec<usize>>,
}

impl Waiting {
    fn park(&mut self, unit: usize, wait: Wait) {
        match wait {
            Wait::Node(node) => self.node.entry(node).or_default().push(unit),
            Wait::Room(node) => self.room.entry(node).or_default().push(unit),
            Wait::Group(group) => self.group.entry(group).or_default().push(unit),
            Wait::Never => {}
        }
    }

    fn all(&self) -> Vec<usize> {
        let lists = self.node.values().chain(self.room.values()).chain(self.group.values());
        let mut units: Vec<usize> = lists.flatten().copied().collect();
        units.sort_unstable();
        units
    }
}

fn list_schedule(
    problem: &Problem,
    slots: &Slots,
    units: &[Unit],
    report: impl Fn(u32),
) -> (Vec<Vec<usize>>, Vec<usize>) {
    let mut wave = Wave::new(problem, slots);
    let mut waiting = Waiting::default();
    let mut ready: BinaryHeap<Reverse<usize>> = (0..units.len()).map(Reverse).collect();
    let mut waves = Vec::new();
    let (mut count, mut told) = (0, 0);
    loop {
        let mut chosen = Vec::new();
        while let Some(Reverse(unit)) = ready.pop() {
            match wave.try_add(&units[unit].steps, false) {
                Ok(()) => {
                    chosen.push(unit);
                    for touch in units[unit].steps.iter().flat_map(|step| &step.touches) {
                        if touch.parts_after < touch.parts_before {
                            ready.extend(waiting.room.remove(&touch.node).into_iter().flatten().map(Reverse));
                        }
                    }
                }
                Err(wait) => waiting.park(unit, wait),
            }
        }
        if chosen.is_empty() {
            chosen = ring(units, &mut wave, &waiting.all());
            if chosen.is_empty() {
                return (waves, waiting.all());
            }
            let gone: BTreeSet<usize> = chosen.iter().copied().collect();
            for list in waiting.node.values_mut().chain(waiting.room.values_mut()).chain(waiting.group.values_mut()) {
                list.retain(|unit| !gone.contains(unit));
            }
        }
        count += chosen.len();
        waves.push(chosen);
        let done = (count * 1000 / units.len()) as u32;
        if done > told {
            told = done;
            report(done);
        }
        let (nodes, groups) = wave.commit();
        for node in nodes {
            let freed = waiting.node.remove(&node).into_iter().chain(waiting.room.remove(&node));
            ready.extend(freed.flatten().map(Reverse));
        }
        for group in groups {
            let needs = problem.groups[group.index()].depends_on.iter().map(|need| need.group);
            let needed = slots.dependants(group).iter().map(|(other, _)| *other);
            for near in std::iter::once(group).chain(needs).chain(needed) {
                ready.extend(waiting.group.remove(&near).into_iter().flatten().map(Reverse));
            }
        }
    }
}

/// Moves that can only run together, because each takes the room that another leaves at once.
fn ring(units: &[Unit], wave: &mut Wave, waiting: &[usize]) -> Vec<usize> {
    let mut chosen = BTreeSet::new();
    let mut arrivals: HashMap<NodeId, BTreeSet<usize>> = HashMap::new();
    for unit in waiting {
        let steps = &units[*unit].steps;
        if steps.iter().any(|step| step.starts() || step.stops()) || wave.try_add(steps, true).is_err() {
            continue;
        }
        chosen.insert(*unit);
        for touch in steps.iter().flat_map(|step| &step.touches).filter(|t| t.parts_after > t.parts_before) {
            arrivals.entry(touch.node).or_default().insert(*unit);
        }
    }
    let mut suspects: Vec<NodeId> = arrivals.keys().copied().collect();
    suspects.sort_unstable();
    while let Some(node) = suspects.pop() {
        while wave.is_overfull(node) {
            let last = arrivals.get_mut(&node).and_then(|list| list.pop_last());
            let last = last.expect("a node can only have become overfull by a newcomer");
            if !chosen.remove(&last) {
                continue;
            }
            wave.remove(&units[last].steps);
            suspects.extend(units[last].steps.iter().flat_map(|step| &step.touches).map(|touch| touch.node));
        }
    }
    chosen.into_iter().collect()
}

/// The units of the one wave of `simultaneous` mode.
fn at_once(problem: &Problem, units: &[Unit]) -> Vec<usize> {
    let before = violations(problem, &problem.current);
    let mut chosen: BTreeSet<usize> = (0..units.len()).collect();
    loop {
        let mut placement = problem.current.clone();
        for step in chosen.iter().flat_map(|unit| &units[*unit].steps) {
            placement.set(step.task, step.to.clone());
        }
        let worse = worsened(&before, &violations(problem, &placement));
        let steps: Vec<(usize, &Step)> =
            chosen.iter().flat_map(|unit| units[*unit].steps.iter().map(move |step| (*unit, step))).collect();
        let mut dropped = caps::least_valuable(problem, &steps);
        for violation in &worse {
            // The units are in order of value, so the last that takes part is the least valuable.
            let culprits = steps.iter().filter(|(_, step)| caps::takes_part(problem, step, violation.place));
            let count = match violation.place {
                Place::Plan => violation.excess as usize,
                _ => 1,
            };
            dropped.extend(culprits.rev().map(|(unit, _)| *unit).take(count));
        }
        if dropped.is_empty() {
            assert!(worse.is_empty(), "what is worse than the start comes from a move: {worse:?}");
            return chosen.into_iter().collect();
        }
        chosen.retain(|unit| !dropped.contains(unit));
    }
}

/// Gains and reasons in plan order, cut at the best wave.
fn finish(problem: &Problem, slots: &Slots, units: &[Unit], waves: Vec<Vec<usize>>) -> Ordered {
    let mut tally = Tally::new(problem, slots);
    let broken = total_excess(&violations(problem, &problem.current));
    let mut total = Change::default();
    let mut best = ((0, Reverse(0)), 0);
    let mut moves: Vec<Vec<Move>> = Vec::with_capacity(waves.len());
    for wave in waves {
        let mut list = Vec::new();
        // Within a wave one move may undo what another one did a moment before: that repairs nothing.
        let is_broken = broken + total.excess > 0;
        for step in wave.into_iter().flat_map(|unit| &units[unit].steps) {
            let from = problem.current.spot(step.task).clone();
            let change = tally.apply(step.task, &step.to);
            total += change;
            let moved = is_moved(problem, tally.placement(), step.task);
            let reason = reason(&from, &step.to, moved, is_broken && change.excess < 0, change.gain);
            list.push(Move { task: step.task, from, to: step.to.clone(), reason, gain: change.gain });
        }
        moves.push(list);
        let rank = (total.excess, Reverse(total.gain));
        if rank < best.0 {
            best = (rank, moves.len());
        }
    }
    moves.truncate(best.1);
    let mut reached = problem.current.clone();
    for step in moves.iter().flatten() {
        reached.set(step.task, step.to.clone());
    }
    debug_assert!(worsened(&violations(problem, &problem.current), &violations(problem, &reached)).is_empty());
    debug_assert_eq!(
        moves.iter().flatten().map(|step| step.gain).sum::<i128>(),
        score(problem, &reached).objective() - score(problem, &problem.current).objective()
    );
    Ordered { waves: moves, reached, blocked: Vec::new() }
}

fn reason(from: &Spot, to: &Spot, is_moved: bool, repairs: bool, gain: i128) -> Reason {
    match (from.is_placed(), to.is_placed()) {
        (false, _) => Reason::Admit,
        (_, false) => Reason::Evict,
        _ if !is_moved => Reason::Resize,
        _ if repairs => Reason::Repair,
        _ if gain > 0 => Reason::Improve,
        _ => Reason::Enable,
    }
}
