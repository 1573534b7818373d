//! What may fail? Every node, every domain of every level, and pairs of nodes.

use crate::model::{DomainId, LevelId, NodeId, Problem, Spot, TaskId};
use std::collections::BTreeSet;

/// Pairs of nodes that are looked at one by one: half a million, of the nodes whose loss weighs most.
pub const PAIRS_MAX: usize = 1 << 19;

/// Nodes that fail together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// The level of what fails; 0 = nodes.
    pub level: LevelId,
    /// What fails: one domain of the level, or a pair of nodes.
    pub domains: Vec<DomainId>,
    /// The nodes in them, ascending.
    pub failed: Vec<NodeId>,
    /// Tasks that lose something, ascending.
    pub lost: Vec<TaskId>,
}

impl Scenario {
    /// Do two nodes fail at once?
    pub fn is_pair(&self) -> bool {
        self.domains.len() > 1
    }

    /// What of a task is not on the failed nodes.
    pub fn kept(&self, problem: &Problem, task: TaskId) -> Spot {
        let pieces = problem.current.spot(task).pieces().iter();
        Spot::from_pieces(pieces.filter(|piece| self.failed.binary_search(&piece.node).is_err()).copied().collect())
    }

    /// Scaled weight of what the failed nodes carried of a task.
    pub fn weight(&self, problem: &Problem, task: TaskId) -> i128 {
        let gone = problem.current.spot(task).total_parts() - self.kept(problem, task).total_parts();
        i128::from(problem.tasks[task.index()].weight) * i128::from(gone)
    }

    /// What people call it: `rack r1`, `node n1 + n2`.
    pub fn name(&self, problem: &Problem) -> String {
        let level = &problem.levels[self.level.index()];
        let names: Vec<&str> = self.domains.iter().map(|domain| level.domains[domain.index()].as_str()).collect();
        format!("{} {}", level.name, names.join(" + "))
    }
}

/// Tasks on each node.
pub fn tasks_by_node(problem: &Problem) -> Vec<Vec<TaskId>> {
    let mut tasks = vec![Vec::new(); problem.nodes.len()];
    for task in problem.task_ids() {
        for piece in problem.current.spot(task).pieces() {
            let here: &mut Vec<TaskId> = &mut tasks[piece.node.index()];
            // A start may name a node twice.
            if here.last() != Some(&task) {
                here.push(task);
            }
        }
    }
    tasks
}

/// Each domain of the level fails on its own. A node outside of all domains of a level above the node is none of them, unless
/// `unnamed` ones count as well.
pub fn singles(problem: &Problem, on: &[Vec<TaskId>], level: LevelId, unnamed: bool) -> Vec<Scenario> {
    let mut members = vec![Vec::new(); problem.levels[level.index()].domains.len()];
    for node in problem.node_ids() {
        members[problem.domain(node, level).index()].push(node);
    }
    let is_own = |domain: usize, nodes: &[NodeId]| {
        let name = &problem.levels[level.index()].domains[domain];
        !unnamed
            && level.0 > 0
            && nodes.len() == 1
            && *name == format!("(only {})", problem.nodes[nodes[0].index()].name)
    };
    let domains = members.into_iter().enumerate().filter(|(domain, nodes)| !is_own(*domain, nodes));
    domains.map(|(domain, nodes)| scenario(on, level, vec![DomainId::new(domain)], nodes)).collect()
}

/// A node fails.
pub fn node(on: &[Vec<TaskId>], node: NodeId) -> Scenario {
    scenario(on, LevelId(0), vec![DomainId(node.0)], vec![node])
}

/// Two nodes fail at once.
pub fn pair(on: &[Vec<TaskId>], one: NodeId, other: NodeId) -> Scenario {
    let (a, b) = (one.min(other), one.max(other));
    scenario(on, LevelId(0), vec![DomainId(a.0), DomainId(b.0)], vec![a, b])
}

fn scenario(on: &[Vec<TaskId>], level: LevelId, domains: Vec<DomainId>, failed: Vec<NodeId>) -> Scenario {
    let lost: BTreeSet<TaskId> = failed.iter().flat_map(|node| on[node.index()].iter().copied()).collect();
    Scenario { level, domains, failed, lost: lost.into_iter().collect() }
}
