//! Which waiting tasks can no node here or on offer ever hold, and why not?

use super::policy::scaled;
use super::search::waiting;
use crate::model::{NodeId, Problem, Rule, TaskId, newcomer_forbidden, scaled_text};
use std::collections::BTreeMap;

/// A waiting task that no purchase helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hopeless {
    /// Its name.
    pub task: String,
    /// A few words for people.
    pub why: String,
}

/// Could the node hold the task, were it empty?
pub(super) fn holds(problem: &Problem, task: TaskId, node: NodeId) -> bool {
    let mut amounts = problem.allocatable(node).iter().zip(start(problem, task));
    newcomer_forbidden(problem, task, node).is_none() && amounts.all(|(has, need)| scaled(*has) >= need)
}

/// What a task that waits takes at least when it starts, scaled.
fn start(problem: &Problem, task: TaskId) -> Vec<i128> {
    let parts = i128::from(problem.least_parts(task, problem.first_share(task).parts()));
    problem.requirement(task).iter().map(|amount| i128::from(*amount) * parts).collect()
}

/// Tasks that no node of the problem could ever hold.
pub(super) fn hopeless(problem: &Problem) -> impl Iterator<Item = TaskId> {
    waiting(problem).filter(|task| !problem.node_ids().any(|node| holds(problem, *task, node)))
}

/// Why no node of the problem could ever hold the task: the rule that closes most nodes where none is open to it, else what is too small.
pub(super) fn told(problem: &Problem, task: TaskId) -> Hopeless {
    let open: Vec<NodeId> =
        problem.node_ids().filter(|node| newcomer_forbidden(problem, task, *node).is_none()).collect();
    let needs = start(problem, task);
    let most = |r: usize| open.iter().map(|node| problem.allocatable(*node)[r]).max().unwrap_or(0);
    let why = match (0..needs.len()).find(|r| needs[*r] > scaled(most(*r))) {
        _ if open.is_empty() => {
            let mut closed: BTreeMap<Rule, usize> = BTreeMap::new();
            problem.node_ids().filter_map(|node| newcomer_forbidden(problem, task, node)).for_each(|rule| {
                *closed.entry(rule).or_default() += 1;
            });
            let first = closed.into_iter().max_by_key(|(rule, count)| (*count, std::cmp::Reverse(*rule)));
            format!("no node is open to it{}", first.map_or(String::new(), |(rule, _)| format!(" ({})", rule.name())))
        }
        Some(r) => {
            let resource = &problem.resources[r].name;
            let need = scaled_text(needs[r]);
            format!("it needs {need} {resource}, and no node that is open to it has more than {}", most(r))
        }
        None => "no node that is open to it has enough of everything at once".to_string(),
    };
    Hopeless { task: problem.tasks[task.index()].name.clone(), why }
}
