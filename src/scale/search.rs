//! Where would everything run on other nodes? The engines, asked with fewer nodes, more nodes, or nodes at a price.

use crate::bulk;
use crate::control::{Control, Progress};
use crate::drill;
use crate::exact;
use crate::model::{
    AMOUNT_MAX, Goal, NodeId, Piece, Placement, Problem, SHARE_ONE, Share, Sharing, Spot, Task, TaskId, Usage,
    violations, worsened,
};
use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Longest time for the exact solver.
const EXACT_TIME_MAX: Duration = Duration::from_secs(10);
/// Candidates of a search unless an effort is asked for, and the fewest per task: 100,000 tasks on 5,000 nodes are consolidated in 13 s of
/// one core with the fewest, which leaves 3,059 nodes in use; with all of a minute for annealing 4,671 stay.
const CANDIDATES: u64 = 20_000_000;
/// A search that is asked whether everything has a place gets this part of them: there are many such questions.
const QUESTION_PART: u64 = 8;
/// Candidates of a search whatever effort is asked for, all tasks together: some milliseconds. Few tasks with few candidates each would be
/// packed so badly that dear nodes are bought.
const CANDIDATES_MIN: u64 = 1 << 12;
/// Tasks at most where who waits drives others out: the search for that knows one thread and all nodes.
const SEATED_MAX: usize = 1 << 11;
/// Places that are looked at then whatever effort is asked for, all tasks together: some ten milliseconds.
const SEATS_MIN: u64 = 1 << 16;
/// See [`CANDIDATES`].
const EFFORT_MIN: u64 = 20;
/// Largest value of all tasks together, so that no sum of a search overflows.
const VALUE_MAX: i128 = 1 << 58;
/// Most moves that a node is worth, of the dearest: nobody wants a cluster turned over for one node.
const NODE_MOVES_MAX: i128 = 1024;
/// A task that may run in part is worth at most so many times as much as one that may not: with this part of it all prices are outweighed.
const PARTS_MAX: i128 = 1024;
/// Steps in which sizes of tasks are told apart: below a thousandth of the largest, anything fits in somewhere.
const SIZES_MAX: i128 = 1024;
/// Label that keeps a running task in its pool: no file can hold a label of this name by accident.
const POOL_LABEL: &str = "\0pool";

/// How the engines are asked.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// Seed of every random choice.
    pub seed: u64,
    /// Candidates per task of each search, more where there are few tasks; `None`: by size, and the exact solver as well where the
    /// problem is small.
    pub effort: Option<u64>,
    /// Threads; 0 = all cores.
    pub threads: usize,
}

impl Search {
    /// The same with enough effort for so many tasks.
    pub(super) fn for_tasks(&self, count: usize) -> Search {
        let least = (CANDIDATES_MIN / count.max(1) as u64).min(bulk::EFFORT_DEFAULT);
        Search { effort: self.effort.map(|effort| effort.max(least)), ..self.clone() }
    }

    /// The best placement that can be found. With `settled`, all that counts is whether everything runs: where no effort is asked for, the
    /// search is short, and ends as soon as it does.
    pub(super) fn solve(&self, problem: &Problem, settled: bool, control: &Control) -> Placement {
        self.proven(problem, self.look(problem, settled, control), settled, control)
    }

    /// As much as can be found in a short search; the exact solver goes on from there.
    pub(super) fn as_much(&self, problem: &Problem, control: &Control) -> Placement {
        self.proven(problem, self.look(problem, true, control), false, control)
    }

    /// What the bulk search finds; where the exact solver follows, in a quarter of the time.
    fn look(&self, problem: &Problem, settled: bool, control: &Control) -> Placement {
        let options = self.options(problem, settled);
        let share = if self.is_exact(problem) { control.part(4) } else { control.clone() };
        let share = if settled && self.effort.is_none() { until_all_run(problem, &share) } else { share };
        bulk::solve(problem, &options, &share).placement
    }

    /// Annealing takes all the time it is given, and whole nodes are emptied and filled after it: its effort must end before.
    fn options(&self, problem: &Problem, settled: bool) -> bulk::Options {
        let candidates = if settled { CANDIDATES / QUESTION_PART } else { CANDIDATES };
        let by_size = (candidates / problem.tasks.len().max(1) as u64).clamp(EFFORT_MIN, bulk::EFFORT_DEFAULT);
        let effort = Some(self.effort.unwrap_or(by_size));
        bulk::Options { seed: self.seed, effort, threads: self.threads, device: None }
    }

    /// What the exact solver makes of a placement, where it is asked at all. With `settled` it ends as soon as everything runs, or cannot.
    fn proven(&self, problem: &Problem, found: Placement, settled: bool, control: &Control) -> Placement {
        if !self.is_exact(problem) || (settled && all_run(problem, &found)) {
            return found;
        }
        let control = control.within(EXACT_TIME_MAX);
        if !settled {
            return exact::solve(problem, &found, &control).placement;
        }
        let control = until_all_run(problem, &control);
        // Whoever may run in part may do so where everything runs: less than enough does not say that something waits then.
        let is_whole = problem.tasks.iter().all(|task| task.pinned || task.sharing == Sharing::Rigid);
        match is_whole {
            true => exact::solve_above(problem, &found, enough(problem), &control).placement,
            false => exact::solve(problem, &found, &control).placement,
        }
    }

    /// Is the exact solver asked? Not where an effort is asked for: it has none.
    fn is_exact(&self, problem: &Problem) -> bool {
        self.effort.is_none() && exact::suits(problem)
    }

    /// A placement in which everything runs, with few moves; or one that comes near. Building is quick and annealing takes ten times as
    /// long, so a search with next to none of it comes first. Where tasks are few, who waits after the second drives others out (`seat`).
    pub(super) fn most_placed(&self, problem: &Problem, control: &Control) -> Placement {
        if all_run(problem, &problem.current) {
            return problem.current.clone();
        }
        let asked = sized(problem);
        let thin = thinned(&asked);
        let asked_of = thin.as_ref().unwrap_or(&asked);
        let shared = |found: Placement| if thin.is_some() { as_shares(&asked, &found) } else { found };
        let quick = Search { effort: Some(self.effort.map_or(EFFORT_MIN, |e| e.min(EFFORT_MIN))), ..self.clone() };
        let is_small = problem.tasks.len() <= SEATED_MAX;
        let first = |_: &Placement| quick.look(&asked, true, control);
        let second = |_: &Placement| {
            shared(self.look(asked_of, true, &if is_small { control.part(2) } else { control.clone() }))
        };
        let third = |best: &Placement| {
            let from = as_least(&asked, asked_of, best);
            let least = SEATS_MIN / problem.tasks.len().max(1) as u64;
            let effort = Some(self.effort.unwrap_or(0).max(least));
            let options = bulk::Options { effort, ..self.options(problem, true) };
            bulk::seat(asked_of, &from, &options, control).map_or_else(|| best.clone(), shared)
        };
        let looks: [&dyn Fn(&Placement) -> Placement; 3] = [&first, &second, &third];
        let count = |placement: &Placement| lacking(problem, placement).count();
        let mut best = problem.current.clone();
        for look in looks.into_iter().take(if is_small { 3 } else { 2 }) {
            let found = look(&best);
            if count(&found) <= count(&best) {
                best = found;
            }
            if all_run(problem, &best) || control.must_stop() {
                return best;
            }
        }
        shared(self.proven(asked_of, as_least(&asked, asked_of, &best), true, control))
    }

    /// A placement in which as much runs as can be found, then on as few nodes as can be found. Shares beyond the least give way for
    /// either, and only where that brings something.
    pub(super) fn packed(&self, problem: &Problem, control: &Control) -> Placement {
        let asked = priced(problem, &|_| 1);
        let rank = |placement: &Placement| {
            (lacking(problem, placement).count(), Reverse(empty_nodes(problem, placement).len()))
        };
        let Some(thin) = thinned(&asked) else { return self.solve(&asked, false, control) };
        let full = self.solve(&asked, false, &control.part(2));
        let rest = if lacking(problem, &full).next().is_none() { control.clone() } else { control.part(2) };
        let least = as_shares(&asked, &self.solve(&thin, false, &rest));
        let best = if rank(&least) < rank(&full) { least } else { full };
        if lacking(problem, &best).next().is_none() || control.must_stop() {
            return best;
        }
        let other = self.most_placed(problem, control);
        if rank(&other) < rank(&best) { other } else { best }
    }

    /// A placement in which everything runs that is to, with few moves; `None` when none is found.
    pub(super) fn all_placed(&self, problem: &Problem, control: &Control) -> Option<Placement> {
        Some(self.most_placed(problem, control)).filter(|found| is_whole(problem, found))
    }
}

/// The problem in which an elastic task takes its least share and no more: what one has beyond it may be another's room. `None` where
/// there is no such task. Points cannot say that: what a share beyond the least is worth would outweigh a task that waits.
pub(super) fn thinned(problem: &Problem) -> Option<Problem> {
    let elastic: Vec<TaskId> = problem.task_ids().filter(|task| gives_way(problem, *task)).collect();
    let mut thin = problem.clone();
    for task in &elastic {
        thin.make_rigid(*task);
        let whole =
            thin.current.spot(*task).pieces().iter().map(|piece| Piece { share: Share::ONE, ..*piece }).collect();
        thin.current.set(*task, Spot::from_pieces(whole));
    }
    (!elastic.is_empty()).then_some(thin)
}

/// May a task have to do with its least share? Not one that is pinned, nor one that has less than that already.
fn gives_way(problem: &Problem, task: TaskId) -> bool {
    let (spec, now) = (&problem.tasks[task.index()], problem.current.spot(task));
    match spec.sharing {
        Sharing::Elastic { min } => !spec.pinned && (!now.is_placed() || now.total_parts() >= u64::from(min.parts())),
        Sharing::Rigid | Sharing::Divisible => false,
    }
}

/// A placement in which no elastic task has more than it may have to do with.
pub(super) fn eased(problem: &Problem, placement: &Placement) -> Placement {
    let spot = |id: TaskId| match (problem.tasks[id.index()].sharing, placement.spot(id)) {
        (Sharing::Elastic { min }, Spot::On(piece)) if gives_way(problem, id) => {
            Spot::On(Piece { share: piece.share.min(min), ..*piece })
        }
        (_, spot) => spot.clone(),
    };
    Placement::from_spots(problem.task_ids().map(spot).collect())
}

/// A placement as one of the thinned problem, in which whoever gives way has its least share and that is all of it.
fn as_least(problem: &Problem, thin: &Problem, found: &Placement) -> Placement {
    let spot = |task: TaskId| match found.spot(task) {
        Spot::On(piece) if problem.tasks[task.index()].sharing != thin.tasks[task.index()].sharing => {
            Spot::On(Piece { share: Share::ONE, ..*piece })
        }
        spot => spot.clone(),
    };
    Placement::from_spots(problem.task_ids().map(spot).collect())
}

/// A placement of a thinned problem, with the shares that it means; what is free then is handed out again where that breaks no rule.
fn as_shares(problem: &Problem, found: &Placement) -> Placement {
    let least = eased(problem, found);
    let filled = bulk::fill(problem, least.clone());
    let is_worse = !worsened(&violations(problem, &least), &violations(problem, &filled)).is_empty();
    if is_worse { least } else { filled }
}

/// True when everything runs that is to, and no rule is more broken than before.
pub(super) fn is_whole(problem: &Problem, placement: &Placement) -> bool {
    let before = violations(problem, &problem.current);
    all_run(problem, placement) && worsened(&before, &violations(problem, placement)).is_empty()
}

/// True when no task waits but those that are pinned.
pub(super) fn all_run(problem: &Problem, placement: &Placement) -> bool {
    lacking(problem, placement).next().is_none()
}

/// Tasks that wait in a placement and are not pinned.
pub(super) fn lacking(problem: &Problem, placement: &Placement) -> impl Iterator<Item = TaskId> {
    let lacks = |task: &TaskId| !placement.spot(*task).is_placed() && !problem.tasks[task.index()].pinned;
    problem.task_ids().filter(lacks)
}

/// The problem in which running tasks come first, all alike, then the price of nodes in use, then the number of moves; nothing is stopped.
pub(super) fn priced(problem: &Problem, price: &dyn Fn(NodeId) -> i64) -> Problem {
    let mut priced = Goal::Place.apply(problem);
    let count = problem.tasks.len() as i128 + 1;
    let prices: Vec<i128> = problem.node_ids().map(|node| i128::from(price(node))).collect();
    let total: i128 = prices.iter().sum();
    let most = prices.iter().copied().max().unwrap_or(0).max(1);
    // A price exceeds many moves, and a task all prices, as far as figures allow: one that may run in part, with its least share.
    let parts = |task: &Task| match task.sharing {
        Sharing::Rigid => 1,
        Sharing::Elastic { min } => i128::from(SHARE_ONE.div_ceil(min.parts().max(1))).min(PARTS_MAX),
        Sharing::Divisible => PARTS_MAX,
    };
    let most_parts = problem.tasks.iter().map(parts).max().unwrap_or(1);
    let top = (VALUE_MAX / count).min(AMOUNT_MAX.into()) / most_parts;
    let factor = count.min(NODE_MOVES_MAX).min(top / 2 / total.max(1)).min(i128::from(AMOUNT_MAX) / most);
    let (up, down) = if factor > 0 { (factor, 1) } else { (1, total.max(1) * 2 / top.max(1) + 1) };
    for (node, price) in priced.nodes.iter_mut().zip(&prices) {
        node.price = if *price > 0 { (price * up / down).max(1) as i64 } else { 0 };
    }
    let dearest: i128 = priced.nodes.iter().map(|node| i128::from(node.price)).sum();
    priced.value_scale = (dearest + count).clamp(1, top) as i64;
    for task in &mut priced.tasks {
        (task.weight, task.evictable) = (priced.value_scale * parts(task) as i64, false);
    }
    priced.objective.move_costs = Default::default();
    priced
}

/// The problem in which all is to run and a task is worth as much as it is large. With even weights what is small goes first, since more of
/// it fits; but where nothing may be left over, it is the large ones for which room must be kept.
fn sized(problem: &Problem) -> Problem {
    let mut sized = priced(problem, &|_| 0);
    let sizes = drill::sizes(problem);
    let largest = sizes.iter().copied().max().unwrap_or(0).max(1);
    let weight = sized.tasks.iter().map(|task| i128::from(task.weight)).max().unwrap_or(1);
    let most = (VALUE_MAX / (problem.tasks.len() as i128 + 1)).min(AMOUNT_MAX.into()) / weight.max(1);
    let steps = most.clamp(1, SIZES_MAX);
    for (task, size) in sized.tasks.iter_mut().zip(sizes) {
        task.weight *= (i128::from(size) * steps / i128::from(largest)).max(1) as i64;
    }
    sized
}

/// The problem in which a running task may not leave the pools it is in.
pub(super) fn confined(problem: &Problem) -> Problem {
    confined_as(problem, &problem.current)
}

/// The same where what waits may only go to the pools that it is in there.
pub(super) fn confined_as(problem: &Problem, there: &Placement) -> Problem {
    let mut confined = problem.clone();
    for (n, node) in confined.nodes.iter_mut().enumerate() {
        node.labels.insert(POOL_LABEL.to_string(), pool_label(problem, NodeId::new(n)));
    }
    for id in problem.task_ids() {
        let (now, task) = (problem.current.spot(id), &mut confined.tasks[id.index()]);
        let spot = if now.is_placed() { now } else { there.spot(id) };
        if spot.is_placed() {
            let pools = spot.pieces().iter().map(|piece| pool_label(problem, piece.node)).collect();
            task.selector.insert(POOL_LABEL.to_string(), pools);
        }
        task.evictable &= !now.is_placed();
    }
    confined
}

fn pool_label(problem: &Problem, node: NodeId) -> String {
    problem.nodes[node.index()].pool.map_or(String::new(), |pool| format!("{pool}"))
}

/// The problem with nodes that are gone: what ran there waits, but what ends with its node, which stays pinned and is nowhere.
pub(super) fn without(problem: &Problem, gone: &[NodeId]) -> Problem {
    let mut is_gone = vec![false; problem.nodes.len()];
    gone.iter().for_each(|node| is_gone[node.index()] = true);
    let mut rest = problem.clone();
    rest.drain(gone);
    let mut rest = rest.evacuated();
    for task in problem.task_ids() {
        let pieces = problem.current.spot(task).pieces();
        if pieces.iter().any(|piece| is_gone[piece.node.index()]) {
            let left = pieces.iter().filter(|piece| !is_gone[piece.node.index()]).copied().collect();
            rest.current.set(task, Spot::from_pieces(left));
        }
    }
    rest
}

/// Nodes on which nothing runs.
pub(super) fn empty_nodes(problem: &Problem, placement: &Placement) -> Vec<NodeId> {
    let usage = Usage::of(problem, placement);
    problem.node_ids().filter(|node| usage.pieces(*node) == 0).collect()
}

/// An objective above this, scaled, is only reached with everything running; whoever is pinned keeps what it has.
fn enough(problem: &Problem) -> i128 {
    let worth = |(task, spot): (&Task, &Spot)| {
        i128::from(task.weight) * if task.pinned { spot.total_parts().into() } else { i128::from(SHARE_ONE) }
    };
    let tasks = || problem.tasks.iter().zip(problem.current.spots());
    tasks().map(worth).sum::<i128>() - tasks().filter(|(task, _)| !task.pinned).map(worth).min().unwrap_or(0)
}

/// Ends when everything runs.
fn until_all_run(problem: &Problem, control: &Control) -> Control {
    let enough = enough(problem);
    let done = Arc::new(AtomicBool::new(false));
    let (flag, outer) = (Arc::clone(&done), control.clone());
    let watch = move |progress: Progress| {
        outer.report(progress);
        if progress.objective > enough {
            flag.store(true, Ordering::Relaxed);
        }
    };
    control.clone().with_settled(done).with_listener(watch)
}

/// Tasks that wait and are to run.
pub(super) fn waiting(problem: &Problem) -> impl Iterator<Item = TaskId> {
    lacking(problem, &problem.current)
}
