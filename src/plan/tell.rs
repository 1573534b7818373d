//! What is each hop of an ordered way worth, why is it made, and after which wave is it best to stop?

use super::order::charge;
use super::slots::Slots;
use super::step::Hop;
use super::tally::{Change, Tally};
use super::{Move, Ordered, Reason};
use crate::model::{Placement, Problem, Rule, Spot, TaskId, is_moved, score, total_excess, violations, worsened};
use std::cmp::Reverse;

/// One hop of a task.
pub(super) struct Leg {
    pub(super) task: TaskId,
    pub(super) from: Spot,
    pub(super) to: Spot,
    pub(super) hop: Hop,
}

/// Moves in waves with their gains and reasons.
pub(super) struct Way {
    pub(super) moves: Vec<Vec<Move>>,
    /// Waves up to the best one.
    best: usize,
    /// Waves up to the last one after which no task is on a detour.
    pub(super) sound: usize,
}

impl Way {
    /// The waves up to the best one.
    pub(super) fn cut(mut self, problem: &Problem, blocked: Vec<(TaskId, Spot)>) -> Ordered {
        self.moves.truncate(self.best);
        let mut reached = problem.current.clone();
        for step in self.moves.iter().flatten() {
            reached.set(step.task, step.to.clone());
        }
        debug_assert!(worsened(&violations(problem, &problem.current), &violations(problem, &reached)).is_empty());
        debug_assert_eq!(
            self.moves.iter().flatten().map(|step| step.gain).sum::<i128>(),
            score(problem, &reached).objective() - score(problem, &problem.current).objective()
        );
        Ordered { waves: self.moves, reached, blocked, untried: 0, is_cut: false, unsettled: None }
    }
}

/// Gains and reasons in plan order.
pub(super) fn way(problem: &Problem, slots: &Slots, waves: Vec<Vec<Leg>>) -> Way {
    let mut tally = Tally::new(problem, slots);
    let start = violations(problem, &problem.current);
    let broken = total_excess(&start);
    // A node that is to be emptied is no rule of the cluster: who leaves it drains.
    let has_repairs = start.iter().any(|violation| violation.rule != Rule::Drain);
    let mut total = Change::default();
    let mut best = ((0, Reverse(0)), 0);
    let (mut away, mut sound, mut moved) = (0, 0, 0);
    let mut moves: Vec<Vec<Move>> = Vec::with_capacity(waves.len());
    for wave in waves {
        let mut list = Vec::new();
        // Within a wave one move may undo what another one did a moment before: that repairs nothing.
        let is_broken = has_repairs && broken + total.excess > 0;
        for leg in wave {
            let change = tally.apply(leg.task, &leg.to);
            total += change;
            let repairs = is_broken && change.excess < 0;
            let reason = reason(problem, tally.placement(), &leg, repairs, change.gain);
            match leg.hop {
                Hop::Whole => {}
                Hop::Park | Hop::Stop => away += 1,
                Hop::Onward => away -= 1,
            }
            list.push(Move { task: leg.task, from: leg.from, to: leg.to, reason, gain: change.gain });
        }
        moved += departures(list.iter()) as i128;
        moves.push(list);
        if away > 0 {
            continue;
        }
        sound = moves.len();
        let rank = (total.excess, Reverse(total.gain - charge(problem) * moved));
        if rank < best.0 {
            best = (rank, sound);
        }
    }
    Way { moves, best: best.1, sound }
}

/// Moves that take a running task off a node, detours included: what `max_moves` counts.
pub(super) fn departures<'a>(moves: impl Iterator<Item = &'a Move>) -> usize {
    moves.filter(|step| step.from.is_placed() && !step.from.same_nodes(&step.to)).count()
}

fn reason(problem: &Problem, placement: &Placement, leg: &Leg, repairs: bool, gain: i128) -> Reason {
    let is_moved = is_moved(problem, placement, leg.task);
    let from = problem.current.spot(leg.task);
    let drains = |spot: &Spot| spot.pieces().iter().any(|piece| problem.nodes[piece.node.index()].draining);
    match (leg.hop, from.is_placed(), leg.to.is_placed()) {
        (Hop::Park, ..) => Reason::Park,
        (Hop::Stop, ..) => Reason::Restart,
        (_, false, _) => Reason::Admit,
        (_, _, false) => Reason::Evict,
        _ if is_moved && drains(from) && !drains(&leg.to) => Reason::Drain,
        _ if !is_moved => Reason::Resize,
        _ if repairs => Reason::Repair,
        _ if gain > 0 => Reason::Improve,
        _ => Reason::Enable,
    }
}
