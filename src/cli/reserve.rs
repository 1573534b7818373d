//! `plan --reserve LEVEL`: how does a plan keep room for whatever one domain loses?
//!
//! The plan found is drilled. Where a domain is not covered, the search is repeated on nodes that have less: first as much as the
//! largest domain's part of the cluster, then half as much again. Of the tasks that start in any of these plans only those do that leave
//! every domain covered, the heaviest first; and once those that have to wait are known, the others look for their places anew. At worst
//! nothing is moved. Of these the plan with the highest objective that covers every domain is taken; where none does, that which covers
//! most and is worse than the start for no domain.

use super::figures::grouped;
use super::screen::line;
use bayplan::control::Control;
use bayplan::drill::{Reserved, largest_part, reserve};
use bayplan::model::{LevelId, Placement, Problem, Spot, TaskId};
use bayplan::plan::Plan;
use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

/// Longest search for a recovery of what best fit leaves open, per plan that is tried.
const SEARCH_MAX: Duration = Duration::from_secs(2);
/// Plans that are judged for one set of starts.
const JUDGED_MAX: usize = 64;
/// Domains named in one message.
const NAMED_MAX: usize = 5;

/// A plan and what it reserves.
pub struct Kept {
    pub plan: Plan,
    pub reserved: Reserved,
}

/// How plans come about: the plan to a placement, and where a search on nodes with less would have everything run.
pub struct Planner<'a> {
    pub plan: &'a dyn Fn(&Placement) -> Plan,
    pub search: &'a dyn Fn(&Problem) -> Placement,
    /// Time must not decide.
    pub is_repeatable: bool,
}

/// The best plan that keeps room for any one domain of the level, or else the best that is no worse than the start. `promised` is the
/// problem in which whoever has the two files judges the promise: there, what only this run leaves alone is not pinned.
pub fn keep(
    [problem, promised]: [&Problem; 2],
    level: LevelId,
    first: &Placement,
    planner: &Planner<'_>,
    control: &Control,
) -> Kept {
    let judge = |plan: Plan| {
        let reached = plan.reached(problem);
        let search_max = if planner.is_repeatable || control.is_stopped() { Duration::ZERO } else { SEARCH_MAX };
        // A promise says something of every domain, so whoever stops the search does not stop the drill.
        let drilling = control.within(search_max).with_stop(Arc::default());
        let reserved = reserve(promised, &reached, level, 0, &drilling);
        Kept { plan: Plan { reserve: Some(reserved.reserve.clone()), ..plan }, reserved }
    };
    let start = judge((planner.plan)(&problem.current));
    let is_kept = |kept: &Kept| kept.reserved.uncovered.is_empty();
    let mut tried = vec![judge((planner.plan)(first))];
    if !is_kept(&tried[0]) {
        let mut targets = vec![first.clone()];
        let part = largest_part(problem, level).min(900);
        for part in [part, part * 3 / 2] {
            let narrowed = problem.with_less(part.min(950));
            targets.push((planner.search)(&narrowed));
            tried.push(judge((planner.plan)(&targets[targets.len() - 1])));
            if tried.last().is_some_and(is_kept) || control.must_stop() {
                break;
            }
        }
        for target in targets.iter().take_while(|_| !control.must_stop()) {
            tried.extend(start_fewer(problem, target, &|target| judge((planner.plan)(target)), control));
        }
        // Where some have to wait, the others can have their places.
        if let Some(best) = tried.iter().filter(|kept| is_kept(kept)).max_by_key(|kept| kept.plan.objective.1)
            && !control.must_stop()
        {
            let reached = best.plan.reached(problem);
            let mut others = problem.clone();
            for task in problem.task_ids() {
                let waits = !reached.spot(task).is_placed() && !problem.current.spot(task).is_placed();
                others.tasks[task.index()].pinned |= waits;
            }
            tried.push(judge((planner.plan)(&(planner.search)(&others))));
        }
    }
    let is_sound = |kept: &Kept| !kept.reserved.is_worse_than(&start.reserved);
    let mut sound: Vec<Kept> = tried.into_iter().filter(is_sound).collect();
    sound.sort_by_key(|kept| (kept.reserved.uncovered.len(), Reverse(kept.plan.objective.1)));
    let start_key = (start.reserved.uncovered.len(), Reverse(start.plan.objective.1));
    match sound.into_iter().next() {
        Some(kept) if (kept.reserved.uncovered.len(), Reverse(kept.plan.objective.1)) <= start_key => kept,
        _ => start,
    }
}

/// The plan in which as many of the tasks that start do so as leave every domain covered, the heaviest first: halves of them are tried, and
/// halves of what does not go; nothing where not even none of them is covered.
fn start_fewer(
    problem: &Problem,
    target: &Placement,
    judge: &dyn Fn(&Placement) -> Kept,
    control: &Control,
) -> Option<Kept> {
    let starts = |task: &TaskId| !problem.current.spot(*task).is_placed() && target.spot(*task).is_placed();
    let mut starting: Vec<TaskId> = problem.task_ids().filter(starts).collect();
    starting.sort_by_key(|task| (Reverse(problem.tasks[task.index()].weight), *task));
    let mut state = target.clone();
    starting.iter().for_each(|task| state.set(*task, Spot::Unplaced));
    let mut best = Some(judge(&state)).filter(|kept| kept.reserved.uncovered.is_empty())?;
    // The heaviest half is on top.
    let mut parts: Vec<&[TaskId]> = vec![&starting];
    for _ in 0..JUDGED_MAX {
        let Some(part) = parts.pop().filter(|part| !part.is_empty() && !control.must_stop()) else { break };
        let mut more = state.clone();
        part.iter().for_each(|task| more.set(*task, target.spot(*task).clone()));
        let kept = judge(&more);
        if kept.reserved.uncovered.is_empty() {
            (best, state) = (kept, more);
        } else if part.len() > 1 {
            let (heavy, light) = part.split_at(part.len() / 2);
            parts.extend([light, heavy]);
        }
    }
    Some(best)
}

/// What the reserve comes to, for people.
pub fn text(problem: &Problem, reserved: &Reserved) -> String {
    let level = line(&problem.levels[reserved.reserve.level.index()].name);
    let uncovered = &reserved.uncovered;
    if uncovered.is_empty() {
        return format!("reserve: any one {level} may fail, and all that is not pinned runs on");
    }
    let missing = |one: &bayplan::drill::Drilled| {
        let amounts = problem.own_resources().iter().zip(&one.missing).filter(|(_, amount)| **amount > 0);
        let list: Vec<String> = amounts.map(|(r, amount)| format!("{} {}", grouped(*amount), r.name)).collect();
        let name = one.scenario.name(problem);
        if list.is_empty() { name } else { format!("{name} (missing: {})", list.join(", ")) }
    };
    let named: Vec<String> = uncovered.iter().take(NAMED_MAX).map(missing).collect();
    let more = uncovered.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("reserve: the plan does not cover every {level}: {}{more}", line(&named.join(", ")))
}
