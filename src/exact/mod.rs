//! What is the best placement of all, provably? Linear and mixed-integer programs for small problems.
//!
//! ```text
//! formulation   tasks, nodes, rules and costs as columns and rows         formulation.rs
//! merge         one row for identical nodes: the bound for the start      merge.rs
//! branch        branch and bound, cut by what the incumbent leaves        branch.rs
//! lp            relaxations through good_lp (microlp, or HiGHS)           lp.rs
//! ```
//!
//! Divisible tasks make a linear program, rigid ones a mixed-integer one, elastic ones something in between. The answer is
//! read back to whole parts of a share and judged by the model, never by the solver's floating point.

mod branch;
mod formulation;
mod lp;
mod merge;

use crate::control::Control;
use crate::model::{Placement, Problem, Violation, total_excess, violations};
use crate::plan::Status;
use formulation::Formulation;
use lp::Relaxed;
use std::sync::Arc;

/// (task, node) pairs up to which the first relaxation takes seconds at most.
const PAIRS_MAX: usize = 20_000;

/// What was found and proven.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The best placement known; the incumbent if nothing better was found.
    pub placement: Placement,
    /// Scaled upper bound on the objective of every placement that keeps all rules.
    pub bound: Option<i128>,
    /// Optimal only when the bound is reached.
    pub status: Status,
    /// When no placement keeps all rules: the kinds of rows each of which alone stands in the way (empty when it takes
    /// several).
    pub blockers: Option<Vec<&'static str>>,
}

/// Searches for the best placement, starting from one that is known.
///
/// Where the start breaks a rule and the incumbent still does, a placement that breaks none is searched for first; if there
/// is none, the incumbent comes back with the rules that are in the way.
pub fn solve(problem: &Problem, incumbent: &Placement, control: &Control) -> Outcome {
    let broken = violations(problem, incumbent);
    let unproven = |placement: &Placement| Outcome {
        placement: placement.clone(),
        bound: None,
        status: if control.must_stop() { Status::Interrupted } else { Status::Feasible },
        blockers: None,
    };
    if problem.tasks.len().saturating_mul(problem.nodes.len()) > PAIRS_MAX {
        return unproven(incumbent);
    }
    let Some(formulation) = Formulation::new(problem) else { return unproven(incumbent) };
    let cap = merged_bound(problem, control);
    if broken.is_empty() {
        let found = branch::search(problem, formulation, Some(incumbent), cap, control);
        return outcome(found, control);
    }
    repair(problem, incumbent, &broken, formulation, control)
}

fn outcome(found: branch::Found, control: &Control) -> Outcome {
    let status = match found.bound {
        Some(bound) if bound <= found.objective => Status::Optimal,
        _ if control.must_stop() => Status::Interrupted,
        _ => Status::Feasible,
    };
    Outcome { placement: found.placement, bound: found.bound, status, blockers: None }
}

/// The incumbent breaks rules: is there a placement that breaks none?
fn repair(
    problem: &Problem,
    incumbent: &Placement,
    broken: &[Violation],
    formulation: Formulation,
    control: &Control,
) -> Outcome {
    let program = Arc::new(formulation.program.clone());
    let found = branch::search(problem, formulation, None, None, control);
    if found.is_infeasible {
        return Outcome {
            placement: incumbent.clone(),
            bound: None,
            status: Status::Feasible,
            blockers: Some(blockers(&program, control)),
        };
    }
    if total_excess(&violations(problem, &found.placement)) < total_excess(broken) {
        return outcome(found, control);
    }
    Outcome { placement: incumbent.clone(), bound: None, status: Status::Interrupted, blockers: None }
}

/// Kinds of rows without which the relaxation has a solution.
fn blockers(program: &Arc<lp::Program>, control: &Control) -> Vec<&'static str> {
    let mut rules: Vec<&'static str> = program.rows.iter().map(|row| row.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    let opens = |rule: &&'static str| {
        matches!(branch::relax(program, program.bounds(), Some(*rule), control), Relaxed::Solved(..))
    };
    rules.into_iter().filter(opens).collect()
}

/// The bound of the relaxation in which identical nodes are merged.
fn merged_bound(problem: &Problem, control: &Control) -> Option<i128> {
    let merged = merge::merged(problem)?;
    let program = Arc::new(Formulation::new(&merged)?.program);
    match branch::relax(&program, program.bounds(), None, control) {
        Relaxed::Solved(points, _) => Some(branch::safe(&program, points, branch::grain(problem))),
        _ => None,
    }
}
