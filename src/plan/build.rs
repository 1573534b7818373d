//! How does a placement become a plan? Order the moves, sum up the figures, say why the rest stays unplaced.

use super::unplaced::Room;
use super::{Ordered, Plan, Status, Unsettled, blocked, order};
use crate::control::Control;
use crate::model::{Placement, Problem, Proof, Rule, TaskId, scaled_text, score, violations};
use std::collections::BTreeSet;

/// What the solver says about its placement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// `exact` or `bulk`.
    pub solver: String,
    /// Seed of the search.
    pub seed: u64,
    /// Effort spent.
    pub effort: u64,
    /// Where the search ran, and why there.
    pub backend: String,
    /// How the search ended.
    pub status: Status,
    /// Scaled upper bound on the objective of placements that keep all rules, by the solver's word.
    pub bound: Option<i128>,
    /// Prices that prove a bound for every placement that is never worse than the start.
    pub proof: Option<Proof>,
    /// Proven: no placement keeps all rules. Those that the least broken one breaks.
    pub blockers: Option<Vec<&'static str>>,
}

/// The plan that leads from the current placement to `target`, or as far as there is a safe order.
///
/// # Panics
/// When `target` has not one spot for every task.
pub fn build(problem: &Problem, target: &Placement, meta: Meta, control: &Control) -> Plan {
    sum_up(problem, order(problem, target, control), meta)
}

/// The plan of ordered moves.
///
/// A plan that reaches the bound is called optimal, and one that does not is not, whatever the solver said of its target.
pub fn sum_up(problem: &Problem, ordered: Ordered, meta: Meta) -> Plan {
    let before = score(problem, &problem.current).objective();
    let after = before + ordered.waves.iter().flatten().map(|step| step.gain).sum::<i128>();
    // The solver's bound speaks of placements that keep all rules: it says nothing where that cannot be reached.
    let broken: BTreeSet<Rule> = violations(problem, &ordered.reached).iter().map(|violation| violation.rule).collect();
    let keeps_all = broken.is_empty();
    let claimed = meta.bound.filter(|_| keeps_all);
    let bound = claimed.into_iter().chain(meta.proof.as_ref().map(|proof| proof.bound)).min();
    let status = match meta.status {
        _ if bound == Some(after) && keeps_all => Status::Optimal,
        _ if meta.blockers.is_some() && !keeps_all => Status::Infeasible,
        Status::Optimal if bound != Some(after) => Status::Feasible,
        // What was near enough is not what was reached.
        Status::Gap if !ordered.blocked.is_empty() && ordered.is_cut => Status::Deadline,
        Status::Gap if !ordered.blocked.is_empty() => Status::Feasible,
        Status::Feasible if ordered.is_cut => Status::Deadline,
        status => status,
    };
    let gap = bound.map(|bound| bound - after);
    // What is broken where the plan ends, and not what was for the solver: it knows nothing of draining.
    let blockers = broken.iter().filter(|_| status == Status::Infeasible).map(|rule| rule.name().to_string());
    let blocked = blocked::explain(problem, &ordered);
    let halted: Vec<TaskId> = ordered.blocked.iter().map(|(task, _)| *task).collect();
    let waiting = problem.task_ids().filter(|task| !ordered.reached.spot(*task).is_placed());
    Plan {
        fingerprint: problem.fingerprint.clone(),
        goal: problem.goal,
        solver: meta.solver,
        seed: meta.seed,
        effort: meta.effort,
        backend: meta.backend,
        status,
        bound,
        gap,
        proof: meta.proof,
        objective: (before, after),
        unplaced: reasons(problem, &ordered.reached, &halted, waiting),
        unexplored: unexplored_all(status, gap, &ordered),
        waves: ordered.waves,
        blocked,
        blockers: blockers.collect(),
        drain: problem.node_ids().filter(|node| problem.nodes[node.index()].draining).collect(),
        reserve: None,
    }
}

/// What nobody has looked at, in sentences.
fn unexplored_all(status: Status, gap: Option<i128>, ordered: &Ordered) -> Vec<String> {
    let mut list: Vec<String> = unexplored(status, gap).into_iter().collect();
    let blocked = ordered.blocked.len();
    // Of those that were blocked on the way, some may have found one.
    let untried = ordered.untried.min(blocked);
    if untried > 0 {
        list.push(format!(
            "of {untried} of the {blocked} blocked moves not every order was tried, since so many hang together"
        ));
    }
    if let Some(Unsettled { looks, moves }) = ordered.unsettled.filter(|_| status != Status::Optimal) {
        list.push(format!(
            "planning again from where this plan ends may find more: look {looks}, the last one, still found {moves} move{}",
            if moves == 1 { "" } else { "s" }
        ));
    }
    list
}

/// How the search ended, and what that leaves open; `None` when nothing is open.
fn unexplored(status: Status, gap: Option<i128>) -> Option<String> {
    let ended = match status {
        Status::Optimal => return None,
        Status::Feasible | Status::Infeasible => "the search ended with its effort",
        Status::Gap => "the search ended within the gap that was asked for",
        Status::Deadline => "the time limit ended the search",
        Status::Interrupted => "a signal ended the search",
    };
    Some(match gap {
        Some(gap) => format!("{ended}: up to {} points more are not ruled out", scaled_text(gap)),
        None => format!("{ended}, and nothing is known of how much more is possible"),
    })
}

/// Why each of `tasks` runs nowhere in the state `reached`, where those `blocked` would have started but for the order.
pub fn reasons(
    problem: &Problem,
    reached: &Placement,
    blocked: &[TaskId],
    tasks: impl Iterator<Item = TaskId>,
) -> Vec<(TaskId, String)> {
    Room::new(problem, reached, Some(blocked)).reasons(tasks)
}
