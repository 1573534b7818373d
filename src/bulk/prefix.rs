//! How much of the queue can be accepted? The longest prefix of the waiting tasks, in the order of the snapshot, of which none has
//! to be refused; earlier ones are arranged anew for that.
//!
//! Whether a prefix can be placed is asked of the search itself, with the rest of the queue told to wait. A longer prefix contains the
//! shorter ones, so the lengths are bisected first; but the search is no proof, and what it did not place might still have a place.
//! So longer searches go on from there, and the answer is a prefix that can be placed, not the longest there is. Where tasks run that must
//! make room, it is one that a safe order of moves reaches.

use super::build::Builder;
use super::kinds::{Kinds, takes_part};
use super::pack::{NOWHERE, Pack, packed_share};
use super::state::arrays;
use super::{Options, Outcome, eject, finish, key, polish, solve, trials};
use crate::control::{Control, Progress, on_threads};
use crate::model::{
    DEVICE_MILLI, Place, Placement, Problem, SHARE_ONE, Spot, TaskId, Usage, Violation, violations, worsened,
};
use crate::plan::{Ordered, Status, order};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// By the clock alone, a short probe takes this part of the time left, one over.
const SHORT_PART: u32 = 40;
/// A long one.
const LONG_PART: u32 = 5;
/// Lengths are bisected until so few are left, and long probes ask for so many tasks more at most: whether many more can be placed is seen
/// soon, and whether a few more can is what the time is for.
const LONG_UNTIL: usize = 8;
/// An order of moves is looked for so long when the search has to stop.
const ORDER_STOPPED: Duration = Duration::from_millis(300);
/// Probes that only eject leave this part of the time for what is done once in the end.
const FINISH_PART: u32 = 20;

/// Searches for the longest prefix; gives the placement of the last one that was shown. Where tasks run, more of the queue may be in it
/// than a safe order reaches: see [`order_prefix`].
///
/// A time limit is shared by the probes; an effort is what each of them gets, whatever the limit, until it is reached.
///
/// # Panics
/// As [`solve`].
pub fn longest_prefix(problem: &Problem, options: &Options, control: &Control) -> Outcome {
    let queue = queue_of(problem);
    let granted = options.effort_under(control);
    let mut best = Outcome {
        placement: problem.current.clone(),
        effort: 0,
        evaluations: 0,
        status: Status::Feasible,
        troubles: Vec::new(),
    };
    // Where nothing runs and devices are shared, ejection alone goes on from what was found last: a prefix that is not the longest
    // leaves it room enough. Tasks whose group has rules, and those that may be in pieces, take no part in it.
    let pack = Pack::new(problem);
    let runs = problem.current.spots().iter().any(Spot::is_placed);
    let grows = !runs && eject::suits(&pack) && queue.iter().all(|task| takes_part(&pack, task.index()));
    let probing = match control.time_left().filter(|_| grows) {
        Some(left) => control.within(left - left / FINISH_PART),
        None => control.clone(),
    };
    // `low` tasks can run, `high` were asked for without success. First the lengths are bisected, then a few tasks more are
    // tried: twice as many after a success, half as many after a failure.
    let most = most_that_fit(problem, &queue);
    let mut whole = whole_lengths(problem, &queue);
    // Where something runs that may be stopped for it, more than what is free may have room.
    whole.retain(|length| runs || *length <= most);
    let (mut low, mut high) = (0, most + 1);
    let (mut step, mut bisects) = (LONG_UNTIL, true);
    let mut last = problem.current.clone();
    while let Some(longest) = whole.last().filter(|longest| low < **longest && !probing.must_stop()) {
        let open = whole.partition_point(|length| *length <= low)..whole.partition_point(|length| *length < high);
        bisects &= low + LONG_UNTIL < high && !open.is_empty();
        let length = if bisects {
            whole[open.start.midpoint(open.end)]
        } else {
            let wanted = whole.partition_point(|length| *length < low + step);
            *whole.get(wanted).unwrap_or(longest)
        };
        let part = if length > low + LONG_UNTIL { SHORT_PART } else { LONG_PART };
        let share = || if granted.is_some() { probing.clone() } else { probing.part(part) };
        let seed = options.seed.wrapping_add(best.evaluations);
        let options = Options { seed, ..options.clone() };
        let rest = &queue[length..];
        let found = match grows {
            true => grow(&narrowed(problem, rest), &last, &options, &share()),
            false => probe(&warm(problem, &best.placement), &options, rest, &share()),
        };
        let placed = queue.iter().take_while(|task| found.placement.spot(**task).is_placed()).count().min(length);
        best.evaluations += found.evaluations;
        best.effort = best.effort.max(found.effort);
        best.troubles.extend(found.troubles);
        // Even a failed probe shows a prefix.
        let (mut reached, mut is_longer) = (placed, false);
        if placed > low {
            let (length, placement) = cut(problem, &queue, placed, found.placement.clone());
            reached = if runs && length > low { reachable(problem, &placement, &share()) } else { length };
            is_longer = reached > low;
            if is_longer {
                (low, best.placement) = (reached, placement);
            }
        }
        // A probe that lacks an earlier task has given it away for what comes later.
        last = if reached < low { best.placement.clone() } else { found.placement };
        if reached < length {
            if !bisects && !is_longer && step == 1 && granted.is_some() {
                break;
            }
            (high, step) = (length.min(high), if is_longer || bisects { step } else { (step / 2).max(1) });
        } else if !bisects {
            step *= 2;
        }
    }
    if grows {
        best.placement =
            on_threads(options.threads, || finished(problem, &best.placement, queue.split_at(low), control));
    }
    best.status = match options.effort {
        _ if control.is_stopped() => Status::Interrupted,
        Some(_) if control.was_late() => Status::Deadline,
        None if control.time_left().is_some() && whole.last().is_some_and(|longest| low < *longest) => Status::Deadline,
        _ => Status::Feasible,
    };
    best
}

/// What ejection makes of a placement: those who wait and may start do so where they can, of those that are alike the first ones.
fn grow(problem: &Problem, start: &Placement, options: &Options, control: &Control) -> Outcome {
    let grown = || {
        let pack = Pack::new(problem);
        let (mut at, devices) = arrays(start);
        (0..at.len()).filter(|task| !pack.movable[*task]).for_each(|task| at[task] = pack.home[task]);
        let mut editor = Builder::at(problem, &pack, &at, &devices);
        editor.admit(control);
        let asked = eject::Asked { seed: options.seed, most: trials(&pack, options, control), in_order: false };
        let trials = eject::eject(&pack, &mut editor, asked, control);
        editor.admit(control);
        first_come(&pack, &mut editor);
        Outcome {
            placement: editor.state.placement(problem),
            effort: eject::effort(trials, pack.movable_count),
            evaluations: trials,
            status: Status::Feasible,
            troubles: Vec::new(),
        }
    };
    on_threads(options.threads, grown)
}

/// Of tasks that are alike, those that come first in the queue take the places of those that come last.
fn first_come(pack: &Pack, editor: &mut Builder<'_>) {
    let kinds = Kinds::new(pack);
    let mut members = vec![Vec::new(); kinds.list.len()];
    for task in (0..pack.home.len()).filter(|task| takes_part(pack, *task) && pack.home[*task] == NOWHERE) {
        members[kinds.of[task] as usize].push(task);
    }
    for tasks in members {
        let is_placed = |task: &&usize, editor: &Builder<'_>| editor.state.at[**task] != NOWHERE;
        let placed = tasks.iter().filter(|task| is_placed(task, editor)).count();
        let early: Vec<usize> = tasks[..placed].iter().filter(|task| !is_placed(task, editor)).copied().collect();
        let late: Vec<usize> = tasks[placed..].iter().filter(|task| is_placed(task, editor)).copied().collect();
        for (early, late) in early.into_iter().zip(late) {
            let (node, devices) = (editor.state.at[late], editor.state.devices[late]);
            editor.relocate(late, NOWHERE, 0);
            editor.relocate(early, node, devices);
        }
    }
}

/// What the end of a search makes of a placement of the first part of the queue, where that is better and all of it still runs then.
fn finished(
    problem: &Problem,
    placement: &Placement,
    (tasks, rest): (&[TaskId], &[TaskId]),
    control: &Control,
) -> Placement {
    let narrowed = narrowed(problem, rest);
    let pack = Pack::new(&narrowed);
    let (at, devices) = arrays(placement);
    let editor = Builder::at(&narrowed, &pack, &at, &devices);
    let finished = finish(&narrowed, &pack, editor, polish::LOOKS_MIN, control);
    let all_run = tasks.iter().all(|task| finished.spot(*task).is_placed());
    if all_run && key(&narrowed, &finished) >= key(&narrowed, placement) { finished } else { placement.clone() }
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

/// How many tasks of the queue run, in its order, where a safe order of moves leads to this placement. Who is told to stop still wants to
/// know it of what was found last: that is looked for briefly.
fn reachable(problem: &Problem, placement: &Placement, control: &Control) -> usize {
    let brief = Control::unlimited().within(ORDER_STOPPED);
    let control = if control.must_stop() { brief } else { control.clone() };
    accepted(problem, &order_prefix(problem, placement, &control.with_listener(|_| ())).reached).0
}

/// How many of the first `length` tasks of the queue can run without those behind them, and the placement of just these: of a gang that
/// lacks members then, or of who needs somebody from behind, none is left.
fn cut(problem: &Problem, queue: &[TaskId], mut length: usize, mut placement: Placement) -> (usize, Placement) {
    let before = violations(problem, &problem.current);
    let wait = |tasks: &[TaskId], placement: &mut Placement| {
        tasks.iter().for_each(|task| placement.set(*task, Spot::Unplaced));
    };
    wait(&queue[length..], &mut placement);
    while length > 0 {
        let after = violations(problem, &placement);
        let Some(Violation { place, .. }) = worsened(&before, &after).first().copied() else { break };
        let group = match place {
            Place::Group(g) | Place::GroupDomain(g, ..) | Place::GroupLevel(g, _) | Place::Needs(g, ..) => Some(g),
            _ => None,
        };
        let members = group.map_or(&[][..], |group| &problem.groups[group.index()].members);
        let last = members.iter().filter_map(|task| queue[..length].binary_search(task).ok()).max();
        let less = last.unwrap_or(length - 1);
        wait(&queue[less..length], &mut placement);
        length = less;
    }
    if length > 0 { (length, placement) } else { (0, problem.current.clone()) }
}

/// Tasks that wait and may start, in the order of the snapshot.
fn queue_of(problem: &Problem) -> Vec<TaskId> {
    let waits = |task: &TaskId| !problem.current.spot(*task).is_placed() && !problem.tasks[task.index()].pinned;
    problem.task_ids().filter(waits).collect()
}

/// How many of the first tasks of the queue run in a placement, and how many tasks the queue has.
pub fn accepted(problem: &Problem, placement: &Placement) -> (usize, usize) {
    let queue = queue_of(problem);
    (queue.iter().take_while(|task| placement.spot(**task).is_placed()).count(), queue.len())
}

/// A safe order of moves to a placement in which a prefix of the queue runs. Whoever comes behind the first that has no order, or is worth
/// no start, waits too.
pub fn order_prefix(problem: &Problem, target: &Placement, control: &Control) -> Ordered {
    let queue = queue_of(problem);
    let mut ordered = order(problem, target, control);
    loop {
        let (length, _) = accepted(problem, &ordered.reached);
        if queue[length..].iter().all(|task| !ordered.reached.spot(*task).is_placed()) {
            return ordered;
        }
        ordered = order(problem, &cut(problem, &queue, length, ordered.reached).1, control);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bulk::build::tests::queue;
    use std::collections::BTreeSet;

    /// How many of the queue run, after the rules of a prefix were looked at.
    fn found(problem: &Problem, threads: usize, control: &Control) -> (usize, Placement, u64) {
        let effort = control.time_left().is_none().then_some(50);
        let options = Options { effort, threads, ..Options::default() };
        let found = longest_prefix(problem, &options, control);
        let (length, all) = accepted(problem, &found.placement);
        assert_eq!(all, problem.tasks.len());
        assert_eq!(
            found.status == Status::Deadline,
            effort.is_none() && length < most_that_fit(problem, &queue_of(problem))
        );
        for task in problem.task_ids() {
            let runs = found.placement.spot(task).is_placed();
            assert_eq!(runs, task.index() < length, "task {} of the first {length}", task.index());
        }
        assert_eq!(violations(problem, &found.placement), []);
        (length, found.placement, found.evaluations)
    }

    #[test]
    fn a_prefix_on_shared_devices_runs_and_nobody_behind_it() {
        let mut problem = queue(0);
        let first = found(&problem, 1, &Control::unlimited());
        assert!((50..problem.tasks.len()).contains(&first.0), "{}", first.0);
        assert!(first == found(&problem, 2, &Control::unlimited()), "on two threads as on one");
        for limit in [0, 300] {
            found(&problem, 1, &Control::unlimited().within(Duration::from_millis(limit)));
        }
        // Whoever comes late is worth more than all others together.
        problem.tasks.iter_mut().skip(first.0 * 3 / 4).for_each(|task| task.weight *= 1000);
        let dear = found(&problem, 1, &Control::unlimited()).0;
        assert!(dear * 10 >= first.0 * 9, "{dear} instead of {}", first.0);
    }

    #[test]
    fn of_those_that_are_alike_the_first_ones_stay() {
        let problem = queue(0);
        let pack = Pack::new(&problem);
        let kinds = Kinds::new(&pack);
        let mut editor = Builder::new(&problem, &pack);
        editor.admit(&Control::unlimited());
        let placed: Vec<usize> = (0..pack.home.len()).filter(|task| editor.state.at[*task] != NOWHERE).collect();
        placed.iter().step_by(3).for_each(|task| editor.relocate(*task, NOWHERE, 0));
        let places = |editor: &Builder<'_>| {
            let held =
                (0..pack.home.len()).map(|task| (kinds.of[task], editor.state.at[task], editor.state.devices[task]));
            let mut held: Vec<_> = held.filter(|(_, at, _)| *at != NOWHERE).collect();
            held.sort_unstable();
            held
        };
        // Tasks that run although one like them waits before them.
        let passers = |editor: &Builder<'_>| {
            let mut waiting = BTreeSet::new();
            let mut passes = |task: &usize| {
                let is_placed = editor.state.at[*task] != NOWHERE;
                waiting.extend((!is_placed).then_some(kinds.of[*task]));
                is_placed && waiting.contains(&kinds.of[*task])
            };
            (0..pack.home.len()).filter(|task| passes(task)).count()
        };
        let before = places(&editor);
        assert!(passers(&editor) > 10, "{} run before their turn", passers(&editor));
        first_come(&pack, &mut editor);
        assert_eq!(places(&editor), before, "the same places are held by the same kinds");
        assert_eq!(passers(&editor), 0);
        assert_eq!(editor.state, editor.state.recomputed(&pack));
    }
}
