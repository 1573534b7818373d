//! How does a placement become a plan? Order the moves, sum up the figures, say why the rest stays unplaced.

use super::unplaced::Room;
use super::{Plan, Status, order};
use crate::control::Control;
use crate::model::{Placement, Problem, score, violations};

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
    /// Scaled upper bound on the objective, when one is proven.
    pub bound: Option<i128>,
}

/// The plan that leads from the current placement to `target`, or as far as there is a safe order.
///
/// A plan that does not reach the bound is not called optimal, whatever the solver proved about `target`.
///
/// # Panics
/// When `target` has not one spot for every task.
pub fn build(problem: &Problem, target: &Placement, meta: Meta, control: &Control) -> Plan {
    let ordered = order(problem, target, control);
    let before = score(problem, &problem.current).objective();
    let after = before + ordered.waves.iter().flatten().map(|step| step.gain).sum::<i128>();
    // The bound speaks of placements that keep all rules: it says nothing where that cannot be reached.
    let bound = meta.bound.filter(|_| violations(problem, &ordered.reached).is_empty());
    let status = match meta.status {
        Status::Optimal if bound != Some(after) => Status::Feasible,
        status => status,
    };
    let mut room = Room::new(problem, &ordered.reached, &ordered.blocked);
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
        objective: (before, after),
        unplaced: waiting.map(|task| (task, room.reason(task))).collect(),
        waves: ordered.waves,
        blocked: ordered.blocked,
    }
}
