//! How does a placement become a plan? Order the moves, sum up the figures, say why the rest stays unplaced.

use super::unplaced::Room;
use super::{Plan, Status, order};
use crate::control::Control;
use crate::model::{Placement, Problem, Proof, score, violations};

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
}

/// The plan that leads from the current placement to `target`, or as far as there is a safe order.
///
/// A plan that reaches the bound is called optimal, and one that does not is not, whatever the solver said of `target`.
///
/// # Panics
/// When `target` has not one spot for every task.
pub fn build(problem: &Problem, target: &Placement, meta: Meta, control: &Control) -> Plan {
    let ordered = order(problem, target, control);
    let before = score(problem, &problem.current).objective();
    let after = before + ordered.waves.iter().flatten().map(|step| step.gain).sum::<i128>();
    // The solver's bound speaks of placements that keep all rules: it says nothing where that cannot be reached.
    let keeps_all = violations(problem, &ordered.reached).is_empty();
    let claimed = meta.bound.filter(|_| keeps_all);
    let bound = claimed.into_iter().chain(meta.proof.as_ref().map(|proof| proof.bound)).min();
    let status = match meta.status {
        _ if bound == Some(after) && keeps_all => Status::Optimal,
        Status::Optimal if bound != Some(after) => Status::Feasible,
        status => status,
    };
    let mut room = Room::new(problem, &ordered.reached, Some(&ordered.blocked));
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
        gap: bound.map(|bound| bound - after),
        proof: meta.proof,
        objective: (before, after),
        unplaced: waiting.map(|task| (task, room.reason(task))).collect(),
        waves: ordered.waves,
        blocked: ordered.blocked,
    }
}
