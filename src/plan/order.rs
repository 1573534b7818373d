//! In which order do the moves run? All moves become units, units become waves, each safe at its worst moment.
//!
//! A *unit* is one move; the members of a gang that start or stop are one unit. Units are numbered in a fixed order
//! (repairs first, then the highest gain, then those that leave room others wait for, then the task's number), and
//! `list.rs` puts them into waves. What it cannot place is tried again, in this order, each only where the one before left
//! something blocked:
//!
//! 1. those that were blocked come first, before others take their room;
//! 2. every order of the moves that have to do with them, where these are few (`chain.rs`);
//! 3. parking moves (`detour.rs`), every order of those few in which tasks may wait elsewhere (`tangle.rs`), then restarts.
//!
//! Every wave leaves a valid state, so the plan is cut where it is best: least excess, then highest objective; never while
//! a task is parked or stopped on its way. Moves that only pay together with a blocked one are then left out, and the
//! rest is ordered again. Whoever searches on from what was reached puts the two ways together ([`joined`]).

use super::detour::{Detours, detour_cost};
use super::list::{Unit, list_schedule};
use super::slots::Slots;
use super::step::{Hop, Step};
use super::tally::{Change, Tally};
use super::tell::{self, Leg, Way, departures};
use super::{Move, Reason, caps, chain, tangle};
use crate::control::{Control, Progress};
use crate::model::{
    GroupId, NodeId, Place, Placement, Problem, SHARE_ONE, Spot, TaskId, Usage, score, task_violations, total_excess,
    violations, worsened,
};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Most times that moves which pay with a blocked one only are left out and the rest is ordered again; three are seldom used.
const TRIMS_MAX: usize = 6;

/// Moves in an order that is safe, and where they lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ordered {
    /// The moves.
    pub waves: Vec<Vec<Move>>,
    /// State after the last wave.
    pub reached: Placement,
    /// Moves that have no safe order, and where they would lead.
    pub blocked: Vec<(TaskId, Spot)>,
    /// Blocked moves of which not every order was tried: too many have to do with each other, or time was short.
    pub untried: usize,
    /// The clock or a signal ended the search for a way for what is blocked, or the looks from where the plan ends.
    pub is_cut: bool,
    /// The last look from where the plan ends still found moves.
    pub unsettled: Option<Unsettled>,
}

/// Planning again from where a plan ends may find more, see `bulk/again.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsettled {
    /// So often was it looked at.
    pub looks: u32,
    /// So many moves the last look found.
    pub moves: usize,
}

impl Ordered {
    /// Moves that take a running task off a node, detours included: what `max_moves` counts.
    pub fn departures(&self) -> u32 {
        departures(self.waves.iter().flatten()) as u32
    }
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
    let mut best = order_once(problem, &slots, target, control);
    for _ in 0..TRIMS_MAX {
        if control.must_stop() {
            best.ordered.is_cut |= !best.ordered.blocked.is_empty();
            break;
        }
        // No disruption for crumbs, nor for moves whose beneficiary has no order: try without them.
        let trimmed = trim(problem, &slots, &best.whole);
        if trimmed == best.ordered.reached {
            break;
        }
        let next = order_once(problem, &slots, &trimmed, control);
        // A detour where the first needed none is no improvement.
        let is_detour = |found: &Found| detour_count(&found.ordered) > 0;
        let needs_detour = is_detour(&next) && !is_detour(&best) && best.ordered.blocked.is_empty();
        if needs_detour || rank(problem, &next.ordered) >= rank(problem, &best.ordered) {
            break;
        }
        let before = std::mem::replace(&mut best, next);
        let blocked = before.ordered.blocked.into_iter().chain(std::mem::take(&mut best.ordered.blocked));
        let stays = |task: &TaskId| best.ordered.reached.spot(*task) == problem.current.spot(*task);
        let blocked: BTreeMap<TaskId, Spot> = blocked.filter(|(task, _)| stays(task)).collect();
        best.ordered.blocked = blocked.into_iter().collect();
        best.ordered.untried = best.ordered.untried.max(before.ordered.untried);
        best.ordered.is_cut |= before.ordered.is_cut;
    }
    best.ordered
}

/// The way of `first`, and on it goes: `second` is ordered from where `first` leads, and moves none of its tasks again.
/// `None` where `first` alone is no worse, as [`order()`] has it.
pub fn joined(problem: &Problem, first: &Ordered, second: Ordered, control: &Control) -> Option<Ordered> {
    let slots = Slots::new(problem);
    let way = tell::way(problem, &slots, legs(first.waves.iter().chain(&second.waves)));
    let (untried, is_cut) = (second.untried, second.is_cut);
    let both = Ordered { untried, is_cut, ..way.cut(problem, second.blocked) };
    if rank(problem, &both) >= rank(problem, first) {
        return None;
    }
    // In one go it may take fewer waves.
    let again = order_once(problem, &slots, &both.reached, control).ordered;
    let is_shorter = again.reached == both.reached && again.waves.len() < both.waves.len();
    if is_shorter && rank(problem, &again) <= rank(problem, &both) {
        return Some(Ordered { blocked: both.blocked, untried, is_cut, ..again });
    }
    Some(both)
}

/// The same way to its very end, with gains and reasons in the points of `problem`: for whoever ordered it in points of his own.
pub fn told(problem: &Problem, ordered: Ordered) -> Ordered {
    let way = tell::way(problem, &Slots::new(problem), legs(ordered.waves.iter()));
    Ordered { waves: way.moves, ..ordered }
}

fn legs<'a>(waves: impl Iterator<Item = &'a Vec<Move>>) -> Vec<Vec<Leg>> {
    let mut seen: HashSet<TaskId> = HashSet::new();
    let mut leg = |step: &Move| {
        let is_new = seen.insert(step.task);
        let hop = match step.reason {
            Reason::Park => Hop::Park,
            Reason::Restart => Hop::Stop,
            _ if is_new => Hop::Whole,
            _ => Hop::Onward,
        };
        Leg { task: step.task, from: step.from.clone(), to: step.to.clone(), hop }
    };
    waves.map(|wave| wave.iter().map(&mut leg).collect()).collect()
}

/// True when `other` is the better plan: less excess, then more points for its moves, then fewer of them.
pub fn is_better(problem: &Problem, other: &Ordered, than: &Ordered) -> bool {
    rank(problem, other) < rank(problem, than)
}

/// An order, and all that could be ordered before it was cut where it is best.
struct Found {
    ordered: Ordered,
    whole: Vec<Vec<Move>>,
}

fn detour_count(ordered: &Ordered) -> usize {
    let moves = ordered.waves.iter().flatten();
    moves.filter(|step| matches!(step.reason, Reason::Park | Reason::Restart)).count()
}

/// Smaller is better: excess, objective less what the moves cost that it does not show, number of moves.
fn rank(problem: &Problem, ordered: &Ordered) -> (i128, Reverse<i128>, usize) {
    let gain: i128 = ordered.waves.iter().flatten().map(|step| step.gain).sum();
    let moves = ordered.waves.iter().map(Vec::len).sum();
    let steps = || ordered.waves.iter().flatten();
    let cost = detour_cost(problem, steps()) + charge(problem) * departures(steps()) as i128;
    (total_excess(&violations(problem, &ordered.reached)), Reverse(gain - cost), moves)
}

/// Scaled points that every move of a running task has to bring.
pub(super) fn charge(problem: &Problem) -> i128 {
    i128::from(problem.moves.min_gain) * i128::from(SHARE_ONE)
}

/// The state reached without the moves that gained nothing and are not missed at the end.
fn trim(problem: &Problem, slots: &Slots, waves: &[Vec<Move>]) -> Placement {
    let mut tally = Tally::new(problem, slots);
    let mut gains: HashMap<TaskId, i128> = HashMap::new();
    for step in waves.iter().flatten() {
        tally.apply(step.task, &step.to);
        *gains.entry(step.task).or_default() += step.gain;
    }
    // A task on a detour is judged by its whole way, once.
    let is_part = |step: &&Move| matches!(step.reason, Reason::Park | Reason::Restart);
    let mut open: Vec<&Move> = waves.iter().flatten().filter(|step| !is_part(step)).collect();
    let worth = |step: &Move| if problem.current.spot(step.task).is_placed() { charge(problem).max(1) } else { 1 };
    open.retain(|step| {
        let serves = matches!(step.reason, Reason::Admit | Reason::Repair | Reason::Drain);
        gains[&step.task] < worth(step) && !serves
    });
    // One that goes home may make the way home free for another.
    loop {
        let before = open.len();
        for step in std::mem::take(&mut open).into_iter().rev() {
            let change = tally.apply(step.task, problem.current.spot(step.task));
            if change.excess > 0 || -change.gain >= worth(step) {
                tally.apply(step.task, &step.to);
                open.push(step);
            }
        }
        open.reverse();
        if open.len() == before {
            return tally.into_placement();
        }
    }
}

/// The best order found for this target.
fn order_once(problem: &Problem, slots: &Slots, target: &Placement, control: &Control) -> Found {
    let mut units = units(problem, slots, target);
    if problem.moves.simultaneous {
        let waves = vec![at_once(problem, &units)];
        return finish(problem, slots, &units, waves, &[]);
    }
    let objective = score(problem, target).objective();
    let report = |done| control.report(Progress { phase: "order", done, objective, bound: None });
    let attempt = |units: &mut Vec<Unit>, detours: Option<Detours>| {
        let (waves, blocked) = list_schedule(problem, slots, units, detours, control, report);
        finish(problem, slots, units, waves, &blocked)
    };
    let is_blocked = |found: &Found| !found.ordered.blocked.is_empty();
    let mut best = attempt(&mut units, None);
    // Of all that is blocked, until every order was tried that is to be.
    let (mut untried, mut tangles) = (usize::MAX, Vec::new());
    let mut has_more = is_blocked(&best);
    if has_more && !control.must_stop() {
        let urgent: HashSet<TaskId> = best.ordered.blocked.iter().map(|(task, _)| *task).collect();
        units.sort_by_key(|unit| !urgent.contains(&unit.steps[0].task));
        let mut again = attempt(&mut units, None);
        if is_blocked(&again) && !control.must_stop() {
            let settled = chain::settle(problem, slots, &mut units, &again.ordered.blocked, control);
            (untried, tangles) = (settled.untried, settled.tangles);
            if settled.is_changed {
                keep_better(problem, &mut best, again);
                again = attempt(&mut units, None);
            }
        }
        has_more = is_blocked(&again);
        keep_better(problem, &mut best, again);
        if !has_more {
            // All of them have an order: what is left out is left out because it does not pay.
            best.ordered.blocked.clear();
        }
    }
    let mut detour = |units: &[Unit], best: &mut Found, may_restart: bool, parked: &HashSet<TaskId>| {
        if has_more && !control.must_stop() {
            let other = attempt(&mut units.to_vec(), Some(Detours::new(may_restart, parked.clone())));
            has_more = is_blocked(&other);
            keep_better(problem, best, other);
        }
        has_more && !control.must_stop()
    };
    let nobody = HashSet::new();
    if detour(&units, &mut best, false, &nobody) {
        let blocked: HashSet<TaskId> = best.ordered.blocked.iter().map(|(task, _)| *task).collect();
        let is_blocked = |unit: &usize| units[*unit].steps.iter().any(|step| blocked.contains(&step.task));
        tangles.retain(|set| set.iter().any(is_blocked));
        let mut untied = units.clone();
        let parked = tangle::untie(problem, slots, &mut untied, &tangles, control);
        if !parked.is_empty() {
            detour(&untied, &mut best, false, &parked);
            detour(&untied, &mut best, true, &parked);
        }
        // Ways with parking are found set by set, and one may stand in the way of another: so restarts also without them.
        detour(&units, &mut best, true, &nobody);
    }
    let blocked = best.ordered.blocked.len();
    best.ordered.untried = untried.min(blocked);
    best.ordered.is_cut = blocked > 0 && has_more && control.must_stop();
    best
}

/// The better order, and the longer way for what is left out of it later.
fn keep_better(problem: &Problem, best: &mut Found, other: Found) {
    let count = |found: &Found| found.whole.iter().map(Vec::len).sum::<usize>();
    let is_longer = count(&other) > count(best);
    if rank(problem, &other.ordered) < rank(problem, &best.ordered) {
        best.ordered = other.ordered;
    }
    if is_longer {
        best.whole = other.whole;
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
        // Members that change their domain together do so in one wave; within it they move one by one.
        let within = group.and_then(|group| Some((group, gang_of(&group)?.within?)));
        let is_bound = within.is_some_and(|(group, level)| {
            let bound = slots.get(group, level);
            step.cells.iter().any(|(slot, ..)| *slot == bound)
        });
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

/// Gains and reasons in plan order, whole and cut at the best wave.
fn finish(problem: &Problem, slots: &Slots, units: &[Unit], waves: Vec<Vec<usize>>, blocked: &[usize]) -> Found {
    // Of a task on a detour both parts may be blocked; it is one move, to where the second leads, which has a higher number.
    let blocked: BTreeSet<usize> = blocked.iter().copied().collect();
    let steps = blocked.iter().flat_map(|unit| &units[*unit].steps);
    let blocked: BTreeMap<TaskId, Spot> = steps.map(|step| (step.task, step.to.clone())).collect();
    let blocked = blocked.into_iter().collect();
    let leg = |step: &Step| Leg { task: step.task, from: step.from.clone(), to: step.to.clone(), hop: step.hop };
    let legs = |wave: Vec<usize>| wave.into_iter().flat_map(|unit| &units[unit].steps).map(leg).collect();
    let way: Way = tell::way(problem, slots, waves.into_iter().map(legs).collect());
    Found { whole: way.moves[..way.sound].to_vec(), ordered: way.cut(problem, blocked) }
}
