//! What keeps a wanted move from being made? The rule, the place and the task in its way, as the plan leaves things.

use super::Ordered;
use super::detour::size;
use super::slots::Slots;
use super::step::{Hop, Step};
use super::wave::{Wait, Wave};
use crate::model::{GroupId, NodeId, Problem, Rule, Spot, TaskId};
use std::collections::{BTreeMap, HashSet};

/// The rule of a move that nothing keeps, but that does not pay without others that are kept.
pub const NO_GAIN: &str = "gain";

/// A move that would have paid and has no safe order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// The task.
    pub task: TaskId,
    /// Where it would have gone.
    pub to: Spot,
    /// Name of the rule or cap that keeps it where it is; [`NO_GAIN`] when none does.
    pub rule: String,
    /// The node that has no room for it, or where a cap is reached.
    pub node: Option<NodeId>,
    /// A task in its way: the largest there that would leave as well, or else the largest there, or a task of its group.
    pub by: Option<TaskId>,
}

/// Looks at each blocked move from where the plan ends.
pub(super) fn explain(problem: &Problem, ordered: &Ordered) -> Vec<Blocked> {
    if ordered.blocked.is_empty() {
        return Vec::new();
    }
    let slots = Slots::new(problem);
    let mut wave = Wave::at(problem, &slots, &ordered.reached);
    let is_spent = problem.moves.max_moves.is_some_and(|most| ordered.departures() >= most);
    let wanted: HashSet<TaskId> = ordered.blocked.iter().map(|(task, _)| *task).collect();
    let mut here: BTreeMap<NodeId, Vec<TaskId>> = BTreeMap::new();
    for task in problem.task_ids() {
        let pieces = ordered.reached.spot(task).pieces().iter();
        pieces.for_each(|piece| here.entry(piece.node).or_default().push(task));
    }
    for tasks in here.values_mut() {
        tasks.sort_by_key(|task| (!wanted.contains(task), std::cmp::Reverse(size(problem, *task)), *task));
    }
    let in_the_way = |task: TaskId, node: NodeId| here.get(&node)?.iter().copied().find(|other| *other != task);
    let mate = |task: TaskId, group: GroupId, to: &Spot| {
        let near = |other: &&TaskId| to.pieces().iter().any(|piece| ordered.reached.spot(**other).is_on(piece.node));
        problem.groups[group.index()].members.iter().filter(|other| **other != task).find(near).copied()
    };
    let judge = |(task, to): &(TaskId, Spot)| {
        let found = |rule: &str, node: Option<NodeId>, by: Option<TaskId>| Blocked {
            task: *task,
            to: to.clone(),
            rule: rule.to_string(),
            node,
            by,
        };
        let step = Step::between(problem, &slots, *task, [ordered.reached.spot(*task), to], Hop::Whole);
        if is_spent && step.is_moved() {
            return found(Rule::MoveBudget.name(), None, None);
        }
        let steps = [step];
        match wave.try_add(&steps, false) {
            Ok(()) => {
                wave.take_out(&steps);
                found(NO_GAIN, None, None)
            }
            Err(refusal) => match refusal.wait {
                Wait::Node(node) | Wait::Room(node) => found(refusal.rule, Some(node), in_the_way(*task, node)),
                Wait::Group(group) => found(refusal.rule, None, mate(*task, group, to)),
                Wait::Flight | Wait::Never => found(refusal.rule, None, None),
            },
        }
    };
    ordered.blocked.iter().map(judge).collect()
}
