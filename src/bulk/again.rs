//! Would planning again move anything? A plan is looked at from where it ends, and goes on until nothing there is worth its moves.
//!
//! A search that has not proven the best may find a little more when it begins where it ended: another state is home, and chance falls
//! otherwise. Whoever carries a plan out and plans again the next night would see moves for that, night after night. So that is done
//! before the plan is given away: planning again (same seed, same effort) decides from the state that the plan leads to, and what it finds
//! becomes part of the plan. The plan is done when it finds nothing; since the same question has the same answer, it does so next
//! time. Without a limit on what counts as something that might take long where evenness is polished, so there is one ([`worthwhile`]).

use crate::control::Control;
use crate::model::{Goal, Problem, is_moved, move_cost};
use crate::plan::{Ordered, Reason, Unsettled, is_better, joined, order};

/// Most looks at one plan. Where nothing waits two or three are enough; a queue that hardly fits may take more.
const LOOKS_MAX: u32 = 8;
/// Evenness has to bring so many times what its moves cost. The goal prices a move at a 100,000th of what an average task adds to a node:
/// together, moves that bring less than a thousandth of that on average are not made. What is left then is a standard deviation of about
/// a tenth of a percent of a node.
const CRUMBS: i128 = 100;

/// The plan that begins like `first` and has been looked at from its end: `plan` makes one for the problem as it will be then.
///
/// Where the last look still found moves, whether or not they became part of it, the plan says so: planning again may find more.
///
/// With simultaneous moves the rest may not be possible at once, and with a budget of moves the rest is what the budget was to leave: then
/// `first` is the plan.
pub fn settled(problem: &Problem, first: Ordered, plan: impl Fn(&Problem) -> Ordered, control: &Control) -> Ordered {
    let mut best = first;
    if problem.moves.simultaneous || problem.moves.max_moves.is_some() {
        return best;
    }
    for looks in 1..=LOOKS_MAX {
        if best.waves.is_empty() {
            break;
        }
        if control.must_stop() {
            best.is_cut = true;
            break;
        }
        let next = plan(&problem.afterwards(&best.reached));
        let moves = next.waves.iter().map(Vec::len).sum();
        best.unsettled = Some(Unsettled { looks, moves }).filter(|_| moves > 0);
        if moves == 0 {
            break;
        }
        let whole = order(problem, &next.reached, control);
        let better = Some(whole).filter(|whole| is_better(problem, whole, &best));
        let Some(better) = better.or_else(|| followed(problem, &best, &next, control)) else { break };
        best = Ordered { unsettled: best.unsettled, ..better };
    }
    best
}

/// There may be no order for all of it at once; what has not moved yet can follow what has.
fn followed(problem: &Problem, first: &Ordered, next: &Ordered, control: &Control) -> Option<Ordered> {
    let left = problem.resumed(&first.reached, first.departures());
    let mut target = first.reached.clone();
    let open = left.task_ids().filter(|task| !left.tasks[task.index()].pinned);
    open.for_each(|task| target.set(task, next.reached.spot(task).clone()));
    joined(problem, first, order(&left, &target, control), control)
}

/// What was ordered, or nothing of it where all that it does is even out what is even: see `CRUMBS`. What starts, repairs or empties
/// something is worth its moves.
pub fn worthwhile(problem: &Problem, ordered: Ordered) -> Ordered {
    let serves = |reason: Reason| matches!(reason, Reason::Admit | Reason::Repair | Reason::Drain);
    let moves = || ordered.waves.iter().flatten();
    if problem.goal != Some(Goal::Balance) || moves().any(|step| serves(step.reason)) {
        return ordered;
    }
    let gain: i128 = moves().map(|step| step.gain).sum();
    let moved = problem.task_ids().filter(|task| is_moved(problem, &ordered.reached, *task));
    let cost: i128 =
        moved.map(|task| move_cost(problem, task, ordered.reached.spot(task)).into_iter().sum::<i128>()).sum();
    if gain >= cost * CRUMBS {
        return ordered;
    }
    Ordered { waves: Vec::new(), reached: problem.current.clone(), ..ordered }
}
