//! How much of the queue can be accepted? The longest prefix of the waiting tasks, in the order of the snapshot, of which none has
//! to be refused; earlier ones are arranged anew for that.
//!
//! Whether a prefix can be placed is asked of the search itself, with the rest of the queue told to wait. A longer prefix contains the
//! shorter ones, so the lengths are bisected first; but the search is no proof, and what it did not place might still have a place.
//! So longer searches go on from there, and the answer is a prefix that can be placed, not the longest there is.

use super::pack::{Pack, UNGROUPED, packed_share};
use super::{Options, Outcome, eject, grow, solve};
use crate::control::{Control, Progress};
use crate::model::{DEVICE_MILLI, Placement, Problem, SHARE_ONE, Spot, TaskId, Usage, violations, worsened};
use crate::plan::Status;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A short probe takes this part of the time left, one over.
const SHORT_PART: u32 = 40;
/// A long one.
const LONG_PART: u32 = 5;
/// Short probes end when the prefix is known to so many tasks.
const SHORT_UNTIL: usize = 8;

/// Searches for the longest prefix; gives the placement of the last one that was wholly placed, its length, and that of the queue.
///
/// A time limit is shared by the probes; an effort is what each of them gets.
///
/// # Panics
/// As [`solve`].
pub fn longest_prefix(problem: &Problem, options: &Options, control: &Control) -> (Outcome, usize, usize) {
    let waits = |task: &TaskId| !problem.current.spot(*task).is_placed() && !problem.tasks[task.index()].pinned;
    let queue: Vec<TaskId> = problem.task_ids().filter(waits).collect();
    let mut best = Outcome {
        placement: problem.current.clone(),
        effort: 0,
        evaluations: 0,
        status: Status::Feasible,
        troubles: Vec::new(),
    };
    // `low` tasks can be placed, `high` were asked for last without success. First the lengths are bisected by short probes, then
    // longer ones try a few tasks more: twice as many after a success, half as many after a failure.
    let whole = whole_lengths(problem, &queue);
    // Where nothing runs and devices are shared, ejection alone goes on from what was placed so far: a prefix that is not the longest
    // leaves it room enough. Tasks whose group has rules take no part in it.
    let runs = problem.current.spots().iter().any(Spot::is_placed);
    let all_take_part = |pack: Pack| eject::suits(&pack) && pack.group.iter().all(|group| *group == UNGROUPED);
    let grows = !runs && all_take_part(Pack::new(problem));
    let (mut low, mut high) = (0, most_that_fit(problem, &queue) + 1);
    let (mut step, mut is_short) = (0, true);
    while low < queue.len() && !control.must_stop() {
        let first = whole.partition_point(|length| *length <= low);
        let open = &whole[first..whole.partition_point(|length| *length < high).max(first)];
        if is_short && open.is_empty() {
            (is_short, step) = (false, SHORT_UNTIL);
        }
        let length = if is_short {
            open[open.len() / 2]
        } else {
            let wanted = whole.partition_point(|length| *length < low + step);
            whole.get(wanted).copied().unwrap_or(queue.len())
        };
        let part = if is_short { SHORT_PART } else { LONG_PART };
        let share = control.part(part);
        let seed = options.seed.wrapping_add(best.evaluations);
        let options = Options { seed, ..options.clone() };
        let rest = &queue[length..];
        let found = match grows {
            true => grow(&narrowed(problem, rest), &best.placement, &options, &share),
            false => probe(&warm(problem, &best.placement), &options, rest, &share),
        };
        let reached = queue.iter().take_while(|task| found.placement.spot(**task).is_placed()).count().min(length);
        best.evaluations += found.evaluations;
        best.effort = best.effort.max(found.effort);
        best.troubles.extend(found.troubles);
        if reached > low {
            // Even a failed probe shows a prefix.
            low = reached;
            best.placement = without(problem, found.placement, &queue[low..]);
        }
        if is_short {
            high = if reached < length { length } else { high };
            (is_short, step) = (low + SHORT_UNTIL < high, SHORT_UNTIL);
        } else if reached < length {
            if step == 1 && control.time_left().is_none() {
                break;
            }
            step = (step / 2).max(1);
        } else {
            step *= 2;
        }
    }
    if control.must_stop() && options.effort.is_some() {
        best.status = Status::Interrupted;
    }
    (best, low, queue.len())
}

/// Lengths of at least 1 that end amid no gang: some members before the end, but too few of them to run, would have to wait, and so
/// a length could fail although a longer one does not.
fn whole_lengths(problem: &Problem, queue: &[TaskId]) -> Vec<usize> {
    let mut is_whole = vec![true; queue.len() + 1];
    is_whole[0] = false;
    for group in &problem.groups {
        let Some(gang) = group.gang else { continue };
        let running = group.members.iter().filter(|task| problem.current.spot(**task).is_placed()).count();
        let waiting: Vec<usize> = group.members.iter().filter_map(|task| queue.binary_search(task).ok()).collect();
        let missing = (gang.least as usize).saturating_sub(running);
        // A gang that can never be complete ends the prefix anyway.
        if missing > 1 && missing <= waiting.len() {
            is_whole[waiting[0] + 1..=waiting[missing - 1]].fill(false);
        }
    }
    (0..is_whole.len()).filter(|length| is_whole[*length]).collect()
}

/// The problem with what was placed so far running already, free to move and to be stopped again: few tasks are left to be let in
/// then. Only where nothing runs at the start; else a move would no longer be what it is.
fn warm<'a>(problem: &'a Problem, placed: &Placement) -> Cow<'a, Problem> {
    let runs = |placement: &Placement| placement.spots().iter().any(Spot::is_placed);
    if problem.moves.simultaneous || runs(&problem.current) || !runs(placed) {
        return Cow::Borrowed(problem);
    }
    let mut warm = problem.clone();
    warm.current = placed.clone();
    warm.moves.max_moves = None;
    let costs = &mut warm.objective;
    (costs.task_move_weight, costs.group_move_weight, costs.node_move_weight) = (0, 0, 0);
    warm.tasks.iter_mut().for_each(|task| task.evictable = true);
    Cow::Owned(warm)
}

/// How many tasks of the queue have room if all nodes were one: no longer prefix can be placed.
fn most_that_fit(problem: &Problem, queue: &[TaskId]) -> usize {
    let usage = Usage::of(problem, &problem.current);
    let one = i128::from(SHARE_ONE);
    let width = problem.resources.len();
    // Free amounts, then free milli per kind of device.
    let mut free = vec![0i128; width + problem.device_kinds.len()];
    for node in problem.node_ids() {
        for (r, capacity) in problem.allocatable(node).iter().enumerate() {
            free[r] += (i128::from(*capacity) * one - usage.amounts(node)[r]).max(0);
        }
        for (device, used) in problem.nodes[node.index()].devices.iter().zip(usage.devices(node)) {
            free[width + device.kind as usize] += i128::from(DEVICE_MILLI.saturating_sub(*used));
        }
    }
    let fits = |task: &&TaskId| {
        let parts = i128::from(packed_share(problem.tasks[task.index()].sharing));
        for (slot, amount) in free.iter_mut().zip(problem.requirement(**task)) {
            *slot -= i128::from(*amount) * parts;
        }
        if let Some(request) = &problem.tasks[task.index()].device {
            free[width + request.kind as usize] -= i128::from(request.count) * i128::from(request.milli);
        }
        free.iter().all(|amount| *amount >= 0)
    };
    queue.iter().take_while(fits).count()
}

/// The problem in which the tasks of `rest` may not start.
fn narrowed(problem: &Problem, rest: &[TaskId]) -> Problem {
    let mut narrowed = problem.clone();
    rest.iter().for_each(|task| narrowed.tasks[task.index()].pinned = true);
    narrowed
}

/// A search in which the tasks of `rest` may not start; under a time limit alone it ends when everything else runs and nothing costs
/// anything.
fn probe(problem: &Problem, options: &Options, rest: &[TaskId], control: &Control) -> Outcome {
    let narrowed = narrowed(problem, rest);
    let all = narrowed.task_ids().filter(|task| rest.binary_search(task).is_err());
    let value: i128 =
        all.map(|task| i128::from(narrowed.tasks[task.index()].weight)).sum::<i128>() * i128::from(SHARE_ONE);
    // The listener is called by the clock: only a search that the clock ends anyway may be ended by it.
    let ends_early = options.effort.is_none() && control.time_left().is_some();
    let done = Arc::new(AtomicBool::new(false));
    let (flag, outer) = (Arc::clone(&done), control.clone());
    let watch = move |progress: Progress| {
        outer.report(progress);
        if ends_early && progress.objective >= value {
            flag.store(true, Ordering::Relaxed);
        }
    };
    solve(&narrowed, options, &control.clone().with_settled(done).with_listener(watch))
}

/// The placement without these tasks of the queue, if that breaks no rule (one of them may be what another depends on); else as
/// it is.
fn without(problem: &Problem, placement: Placement, rest: &[TaskId]) -> Placement {
    let mut fewer = placement.clone();
    rest.iter().for_each(|task| fewer.set(*task, Spot::Unplaced));
    let before = violations(problem, &problem.current);
    if worsened(&before, &violations(problem, &fewer)).is_empty() { fewer } else { placement }
}
