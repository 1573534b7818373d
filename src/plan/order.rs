//! In which order do the moves run? All moves become units, units become waves, each safe at its worst moment.
//!
//! A *unit* is one move; the members of a gang that start or stop are one unit. Units are numbered in a fixed order
//! (repairs first, then the highest gain, then those that leave room others wait for, then the task's number), and
//! `list.rs` puts them into waves. What it cannot place is tried again, in this order, each only where the one before left
//! something blocked:
//!
//! 1. those that were blocked come first, before others take their room;
//! 2. every order of the moves that have to do with them, where these are few (`chain.rs`);
//! 3. parking moves, then restarts (`detour.rs`).
//!
//! Every wave leaves a valid state, so the plan is cut where it is best: least excess, then highest objective; never while
//! a task is parked or stopped on its way.

use super::detour::{Detours, detour_cost};
use super::list::{Unit, list_schedule};
use super::slots::Slots;
use super::step::{Hop, Step};
use super::tally::{Change, Tally};
use super::{Move, Reason, caps, chain};
use crate::control::{Control, Progress};
use crate::model::{
    GroupId, NodeId, Place, Placement, Problem, SHARE_ONE, Spot, TaskId, Usage, is_moved, score, task_violations,
    total_excess, violations, worsened,
};
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};

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
    // A detour where the first needed none is no improvement.
    let needs_detour = detour_count(&second) > 0 && detour_count(&first) == 0 && first.blocked.is_empty();
    if !needs_detour && rank(problem, &second) < rank(problem, &first) {
        second.blocked = first.blocked.into_iter().chain(second.blocked).collect::<BTreeSet<_>>().into_iter().collect();
        second.blocked.retain(|task| second.reached.spot(*task) == problem.current.spot(*task));
        return second;
    }
    first
}

fn detour_count(ordered: &Ordered) -> usize {
    let moves = ordered.waves.iter().flatten();
    moves.filter(|step| matches!(step.reason, Reason::Park | Reason::Restart)).count()
}

/// Smaller is better: excess, objective less what detours cost, number of moves.
fn rank(problem: &Problem, ordered: &Ordered) -> (i128, Reverse<i128>, usize) {
    let gain: i128 = ordered.waves.iter().flatten().map(|step| step.gain).sum();
    let moves = ordered.waves.iter().map(Vec::len).sum();
    let cost = detour_cost(problem, ordered.waves.iter().flatten());
    (total_excess(&violations(problem, &ordered.reached)), Reverse(gain - cost), moves)
}

/// The state reached without the moves that gained nothing and are not missed at the end.
fn trim(problem: &Problem, slots: &Slots, ordered: &Ordered) -> Placement {
    let mut tally = Tally::new(problem, slots);
    let mut gains: HashMap<TaskId, i128> = HashMap::new();
    for step in ordered.waves.iter().flatten() {
        tally.apply(step.task, &step.to);
        *gains.entry(step.task).or_default() += step.gain;
    }
    for step in ordered.waves.iter().flatten().rev() {
        // A task on a detour is judged by its whole way, once.
        let is_part = matches!(step.reason, Reason::Park | Reason::Restart);
        if is_part || gains[&step.task] > 0 || matches!(step.reason, Reason::Admit | Reason::Repair | Reason::Drain) {
            continue;
        }
        let change = tally.apply(step.task, problem.current.spot(step.task));
        if change.excess > 0 || change.gain < 0 {
            tally.apply(step.task, &step.to);
        }
    }
    tally.into_placement()
}

/// The best order found for this target.
fn order_once(problem: &Problem, slots: &Slots, target: &Placement, control: &Control) -> Ordered {
    let mut units = units(problem, slots, target);
    if problem.moves.simultaneous {
        let waves = vec![at_once(problem, &units)];
        return finish(problem, slots, &units, waves, &[]);
    }
    let objective = score(problem, target).objective();
    let report = |done| control.report(Progress { phase: "order", done, objective, bound: None });
    let attempt = |units: &mut Vec<Unit>, detours: Option<Detours>| {
        let (waves, blocked) = list_schedule(problem, slots, units, detours, report);
        finish(problem, slots, units, waves, &blocked)
    };
    let mut best = attempt(&mut units, None);
    let is_done = |ordered: &Ordered| ordered.blocked.is_empty() || control.must_stop();
    if is_done(&best) {
        return best;
    }
    let urgent: HashSet<TaskId> = best.blocked.iter().copied().collect();
    units.sort_by_key(|unit| !urgent.contains(&unit.steps[0].task));
    let mut again = attempt(&mut units, None);
    if !is_done(&again) && chain::settle(problem, slots, &mut units, &again.blocked) {
        again = attempt(&mut units, None);
    }
    let is_ordered = is_done(&again);
    let is_complete = again.blocked.is_empty();
    keep_better(problem, &mut best, again);
    if is_complete {
        // All of them have an order: what is left out is left out because it does not pay.
        best.blocked.clear();
    }
    if is_ordered {
        return best;
    }
    let count = units.len();
    for may_restart in [false, true] {
        units.truncate(count);
        let other = attempt(&mut units, Some(Detours::new(may_restart)));
        let is_ordered = is_done(&other);
        keep_better(problem, &mut best, other);
        if is_ordered {
            break;
        }
    }
    best
}

fn keep_better(problem: &Problem, best: &mut Ordered, other: Ordered) {
    if rank(problem, &other) < rank(problem, best) {
        *best = other;
    }
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
    let mut units: Vec<(Change, Unit)> = Vec::with_capacity(list.len());
    for steps in list {
        let mut alone = Change::default();
        for step in &steps {
            alone += tally.apply(step.task, &step.to);
        }
        for step in steps.iter().rev() {
            tally.apply(step.task, problem.current.spot(step.task));
        }
        units.push((alone, Unit::new(steps)));
    }
    let frees = |unit: &Unit| -> usize {
        let touches = unit.steps.iter().flat_map(|step| &step.touches);
        touches.filter(|t| t.parts_before > t.parts_after).filter_map(|t| crowd.get(&t.node)).sum()
    };
    units.sort_by_cached_key(|(alone, unit)| {
        (Reverse(alone.excess < 0), Reverse(alone.gain), Reverse(frees(unit)), unit.steps[0].task)
    });
    units.into_iter().map(|(_, unit)| unit).collect()
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
fn finish(problem: &Problem, slots: &Slots, units: &[Unit], waves: Vec<Vec<usize>>, blocked: &[usize]) -> Ordered {
    let mut blocked: Vec<TaskId> = blocked.iter().flat_map(|unit| &units[*unit].steps).map(|step| step.task).collect();
    blocked.sort_unstable();
    let mut tally = Tally::new(problem, slots);
    let broken = total_excess(&violations(problem, &problem.current));
    let mut total = Change::default();
    let mut best = ((0, Reverse(0)), 0);
    let mut away = 0;
    let mut moves: Vec<Vec<Move>> = Vec::with_capacity(waves.len());
    for wave in waves {
        let mut list = Vec::new();
        // Within a wave one move may undo what another one did a moment before: that repairs nothing.
        let is_broken = broken + total.excess > 0;
        for step in wave.into_iter().flat_map(|unit| &units[unit].steps) {
            let from = step.from.clone();
            let change = tally.apply(step.task, &step.to);
            total += change;
            let moved = is_moved(problem, tally.placement(), step.task);
            let reason = match step.hop {
                Hop::Park => Reason::Park,
                Hop::Stop => Reason::Restart,
                Hop::Whole | Hop::Onward => {
                    let start = problem.current.spot(step.task);
                    let drains = |spot: &Spot| spot.pieces().iter().any(|p| problem.nodes[p.node.index()].draining);
                    match moved && step.to.is_placed() && drains(start) && !drains(&step.to) {
                        true => Reason::Drain,
                        false => reason(start, &step.to, moved, is_broken && change.excess < 0, change.gain),
                    }
                }
            };
            match step.hop {
                Hop::Whole => {}
                Hop::Park | Hop::Stop => away += 1,
                Hop::Onward => away -= 1,
            }
            list.push(Move { task: step.task, from, to: step.to.clone(), reason, gain: change.gain });
        }
        moves.push(list);
        let rank = (total.excess, Reverse(total.gain));
        if rank < best.0 && away == 0 {
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
    Ordered { waves: moves, reached, blocked }
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
