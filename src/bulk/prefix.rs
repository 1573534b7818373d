//! How much of the queue can be accepted? The longest prefix of the waiting tasks, in the order of the snapshot, of which none has
//! to be refused; earlier ones are arranged anew for that.
//!
//! Whether a prefix can be placed is asked of the search itself, with the rest of the queue told to wait. A longer prefix contains the
//! shorter ones, so the lengths are bisected; but the search is no proof, and what it did not place might still have a place. So the
//! answer is a prefix that can be placed, not the longest there is.

use super::{Options, Outcome, solve};
use crate::control::Control;
use crate::model::{Placement, Problem, SHARE_ONE, Spot, TaskId, violations, worsened};
use crate::plan::Status;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Searches for the longest prefix; gives the placement of the last one that was wholly placed, and its length.
///
/// A time limit is shared by the probes; an effort is what each of them gets.
///
/// # Panics
/// As [`solve`].
pub fn longest_prefix(problem: &Problem, options: &Options, control: &Control) -> (Outcome, usize) {
    let waits = |task: &TaskId| !problem.current.spot(*task).is_placed() && !problem.tasks[task.index()].pinned;
    let queue: Vec<TaskId> = problem.task_ids().filter(waits).collect();
    let mut best = Outcome {
        placement: problem.current.clone(),
        effort: 0,
        evaluations: 0,
        status: Status::Feasible,
        troubles: Vec::new(),
    };
    // `low` tasks can be placed; more than `high` cannot, as far as was found.
    let (mut low, mut high) = (0, queue.len());
    let mut length = high;
    while low < high && !control.must_stop() {
        let probes = (high - low + 1).ilog2() + 1;
        let share = control.time_left().map_or_else(|| control.clone(), |left| control.within(left / probes));
        let found = probe(problem, options, &queue[length..], &share);
        let reached = queue.iter().take_while(|task| found.placement.spot(**task).is_placed()).count();
        best.evaluations += found.evaluations;
        best.effort = best.effort.max(found.effort);
        best.troubles.extend(found.troubles);
        if reached > low || reached >= length {
            // Even a failed probe shows a prefix.
            low = reached.min(length).max(low);
            best.placement = without(problem, found.placement, &queue[low..]);
        }
        if reached < length {
            high = length - 1;
        }
        length = low + (high - low).div_ceil(2);
    }
    if control.must_stop() && options.effort.is_some() {
        best.status = Status::Interrupted;
    }
    (best, low)
}

/// A search in which the tasks of `rest` may not start; it ends when everything else runs and nothing costs anything.
fn probe(problem: &Problem, options: &Options, rest: &[TaskId], control: &Control) -> Outcome {
    let mut narrowed = problem.clone();
    rest.iter().for_each(|task| narrowed.tasks[task.index()].pinned = true);
    let all = narrowed.task_ids().filter(|task| rest.binary_search(task).is_err());
    let value: i128 =
        all.map(|task| i128::from(narrowed.tasks[task.index()].weight)).sum::<i128>() * i128::from(SHARE_ONE);
    let done = Arc::new(AtomicBool::new(false));
    let (flag, outer) = (Arc::clone(&done), control.clone());
    let watch = move |progress: crate::control::Progress| {
        outer.report(progress);
        if progress.objective >= value || outer.must_stop() {
            flag.store(true, Ordering::Relaxed);
        }
    };
    let inner = Control::unlimited().with_stop(done).with_listener(watch);
    let inner = match control.time_left() {
        Some(left) => inner.within(left),
        None => inner,
    };
    solve(&narrowed, options, &inner)
}

/// The placement without these tasks of the queue, if that breaks no rule (one of them may be what another depends on); else as
/// it is.
fn without(problem: &Problem, placement: Placement, rest: &[TaskId]) -> Placement {
    let mut fewer = placement.clone();
    rest.iter().for_each(|task| fewer.set(*task, Spot::Unplaced));
    let before = violations(problem, &problem.current);
    if worsened(&before, &violations(problem, &fewer)).is_empty() { fewer } else { placement }
}
