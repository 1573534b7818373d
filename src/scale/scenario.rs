//! What may be gone? Nothing, or with `survive=LEVEL` any one domain; everything must have a place all the same.

use super::policy::Policy;
use super::search::{Search, confined, without};
use crate::control::Control;
use crate::model::{LevelId, NodeId, Placement, Problem};
use std::collections::BTreeMap;

/// Lists of nodes that are gone together.
pub(super) struct Scenarios {
    pub gone: Vec<Vec<NodeId>>,
}

impl Scenarios {
    /// Those of the policy, in the order of the domains.
    pub fn of(problem: &Problem, policy: &Policy) -> Scenarios {
        let Some(level) = level(problem, policy) else { return Scenarios { gone: vec![Vec::new()] } };
        let mut domains: BTreeMap<u32, Vec<NodeId>> = BTreeMap::new();
        for node in problem.node_ids() {
            domains.entry(problem.domain(node, level).0).or_default().push(node);
        }
        Scenarios { gone: domains.into_values().collect() }
    }

    /// True when a place for everything is found in each of them, with `less` nodes as well.
    pub fn all_hold(&self, problem: &Problem, less: &[NodeId], search: &Search, control: &Control) -> bool {
        let all_placed = |gone: &[NodeId]| placed(problem, &[gone, less].concat(), search, control).is_some();
        self.gone.iter().all(|gone| !control.must_stop() && all_placed(gone))
    }
}

/// Where everything finds a place without these nodes. Tasks of failed nodes may leave their pool, the others stay in it.
pub(super) fn placed(problem: &Problem, gone: &[NodeId], search: &Search, control: &Control) -> Option<Placement> {
    search.all_placed(&confined(&without(problem, gone)), control)
}

/// The level that the policy names.
pub(super) fn level(problem: &Problem, policy: &Policy) -> Option<LevelId> {
    let Policy::Survive(name) = policy else { return None };
    problem.levels.iter().position(|level| level.name == *name).map(LevelId::new)
}
