//! `plan --reserve LEVEL`: how does a plan keep room for whatever one domain loses?
//!
//! The plan found is drilled. Where a domain is not covered, the search is repeated on nodes that have less: first as much as the
//! largest domain's part of the cluster, then more or less; then waiting tasks that start are sent back to wait, lightest first; at
//! worst nothing is moved. Of these the plan with the highest objective that covers every domain is taken; where none does, that
//! which covers most and is worse than the start for no domain.

use super::figures::grouped;
use bayplan::control::Control;
use bayplan::drill::{Reserved, largest_part, reserve};
use bayplan::model::{LevelId, Placement, Problem, Spot, TaskId};
use bayplan::plan::Plan;
use std::cmp::Reverse;
use std::time::Duration;

/// Longest search for a recovery of what best fit leaves open, per plan that is tried.
const SEARCH_MAX: Duration = Duration::from_secs(2);
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

/// The best plan that keeps room for any one domain of the level, or else the best that is no worse than the start.
pub fn keep(problem: &Problem, level: LevelId, first: &Placement, planner: &Planner<'_>, control: &Control) -> Kept {
    let judge = |plan: Plan| {
        let reached = plan.reached(problem);
        let search_max = if planner.is_repeatable { Duration::ZERO } else { SEARCH_MAX };
        let reserved = reserve(problem, &reached, level, 0, &control.within(search_max));
        Kept { plan: Plan { reserve: Some(reserved.reserve.clone()), ..plan }, reserved }
    };
    let start = judge((planner.plan)(&problem.current));
    let is_kept = |kept: &Kept| kept.reserved.uncovered.is_empty();
    let mut tried = vec![judge((planner.plan)(first))];
    if !is_kept(&tried[0]) {
        let part = largest_part(problem, level).min(900);
        for part in [part, part * 3 / 2] {
            let narrowed = problem.with_less(part.min(950));
            tried.push(judge((planner.plan)(&(planner.search)(&narrowed))));
            if tried.last().is_some_and(is_kept) || control.must_stop() {
                break;
            }
        }
        if !tried.iter().any(is_kept) {
            tried.extend(send_back(problem, first, &|target| judge((planner.plan)(target))));
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

/// The first plan with as few of the tasks that start sent back as cover every domain; nothing where not even all are enough.
fn send_back(problem: &Problem, first: &Placement, judge: &dyn Fn(&Placement) -> Kept) -> Option<Kept> {
    let starts = |task: &TaskId| !problem.current.spot(*task).is_placed() && first.spot(*task).is_placed();
    let mut admitted: Vec<TaskId> = problem.task_ids().filter(starts).collect();
    admitted.sort_by_key(|task| (problem.tasks[task.index()].weight, Reverse(*task)));
    let without = |count: usize| {
        let mut target = first.clone();
        admitted[..count].iter().for_each(|task| target.set(*task, Spot::Unplaced));
        judge(&target)
    };
    let mut best = Some(without(admitted.len())).filter(|kept| kept.reserved.uncovered.is_empty())?;
    let (mut low, mut high) = (0, admitted.len());
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        let kept = without(middle);
        if kept.reserved.uncovered.is_empty() {
            (best, high) = (kept, middle);
        } else {
            low = middle;
        }
    }
    Some(best)
}

/// What the reserve comes to, for people.
pub fn text(problem: &Problem, reserved: &Reserved) -> String {
    let level = &problem.levels[reserved.reserve.level.index()].name;
    let uncovered = &reserved.uncovered;
    if uncovered.is_empty() {
        return format!("reserve: any one {level} may fail, and all that is not pinned runs on");
    }
    let missing = |one: &bayplan::drill::Drilled| {
        let amounts = problem.resources.iter().zip(&one.missing).filter(|(_, amount)| **amount > 0);
        let list: Vec<String> = amounts.map(|(r, amount)| format!("{} {}", grouped(*amount), r.name)).collect();
        let name = one.scenario.name(problem);
        if list.is_empty() { name } else { format!("{name} (missing: {})", list.join(", ")) }
    };
    let named: Vec<String> = uncovered.iter().take(NAMED_MAX).map(missing).collect();
    let more = uncovered.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("reserve: the plan does not cover every {level}: {}{more}", named.join(", "))
}
