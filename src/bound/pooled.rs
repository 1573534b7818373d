//! Which prices does one machine of all capacity have? Where every search for better ones starts.
//!
//! A set of nodes is never better than one node with all their capacity, because costs are convex. That bound comes out when
//! all nodes have the same prices: points per unit of load where more is required than all soft limits together, else 0;
//! and the same for balance.

use super::descend::State;
use super::form::Form;

/// The prices under which the pooled bound comes out when everything runs.
pub(super) fn prices(form: &Form) -> State {
    let problem = form.problem;
    let mut state = State::zero(form);
    let required = |r: usize| -> i128 {
        (0..form.kinds.len()).map(|kind| i128::from(form.requirement(kind)[r]) * form.kinds[kind].count).sum()
    };
    let sum = |rows: &dyn Fn(usize) -> i64| -> i128 { (0..problem.nodes.len()).map(|n| i128::from(rows(n))).sum() };
    let node = crate::model::NodeId::new;
    for (r, resource) in problem.resources.iter().enumerate() {
        if resource.load_weight > 0 && required(r) > sum(&|n| problem.soft_limit(node(n))[r]) {
            state.each_place(form, r, resource.load_weight as f64);
        }
    }
    for (b, term) in problem.objective.balance.iter().enumerate() {
        let free = |r: usize| sum(&|n| problem.allocatable(node(n))[r]) - required(r);
        if i128::from(term.target) * free(term.resource.index()) > free(term.other.index()) {
            state.each_balance(form, b, term.weight as f64);
        }
    }
    state
}
