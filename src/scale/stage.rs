//! On what is a question played through? The snapshot with tasks that might come and nodes that might be bought.
//!
//! Everything stands behind what the snapshot has, so that its nodes and tasks keep their numbers.

use super::{Ask, NodeShape, Policy};
use crate::model::{Faults, NodeId, NodeSpec, Problem, SharingSpec, Snapshot, TaskSpec};
use std::collections::{BTreeMap, BTreeSet};

/// Kinds of nodes taken from the snapshot when none are given: the most frequent ones. Others only where none of these holds a task.
pub(super) const OWN_SHAPES_MAX: usize = 8;

/// A snapshot, extended.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    pub snapshot: Snapshot,
    /// How many nodes and tasks are the snapshot's own.
    pub node_count: usize,
    pub task_count: usize,
}

impl Stage {
    /// With the tasks for which the policy keeps room.
    pub fn new(snapshot: &Snapshot, ask: &Ask) -> Stage {
        let mut stage =
            Stage { snapshot: snapshot.clone(), node_count: snapshot.nodes.len(), task_count: snapshot.tasks.len() };
        if let Policy::Tasks(name, count) = &ask.policy
            && let Some(shape) = task_shape(snapshot, &ask.tasks, name)
        {
            let taken: BTreeSet<&str> = snapshot.tasks.iter().map(|task| task.name.as_str()).collect();
            let names = fresh(name, &taken, *count as usize);
            // Of a divisible shape all is meant, on one node, as when it is counted how many more fit.
            let sharing = match shape.sharing {
                SharingSpec::Divisible => SharingSpec::Rigid,
                SharingSpec::Rigid | SharingSpec::Elastic => shape.sharing,
            };
            stage.snapshot.tasks.extend(names.into_iter().map(|name| TaskSpec { name, sharing, ..shape.clone() }));
        }
        stage
    }

    /// The same with so many nodes of each shape; where they stand, shape by shape.
    pub fn with_nodes(&self, shapes: &[NodeShape], counts: &[usize]) -> (Stage, Vec<Vec<NodeId>>) {
        let mut stage = self.clone();
        let taken: BTreeSet<&str> = self.snapshot.nodes.iter().map(|node| node.name.as_str()).collect();
        let mut taken: BTreeSet<String> = taken.into_iter().map(String::from).collect();
        let mut ids = Vec::new();
        for (shape, count) in shapes.iter().zip(counts) {
            let known: BTreeSet<&str> = taken.iter().map(String::as_str).collect();
            let names = fresh(&shape.node.name, &known, *count);
            let first = stage.snapshot.nodes.len();
            ids.push((first..first + count).map(NodeId::new).collect());
            taken.extend(names.iter().cloned());
            stage.snapshot.nodes.extend(names.into_iter().map(|name| NodeSpec { name, ..shape.node.clone() }));
        }
        (stage, ids)
    }

    /// The indexed form. How burst and spot pools count is no room, and nothing that a node has.
    pub fn problem(&self) -> Result<Problem, Faults> {
        Ok(Problem::new(&self.snapshot)?.without_meters())
    }

    /// What a node of a shape costs: its own price and that of its pool.
    pub fn price(&self, shape: &NodeSpec) -> i64 {
        price(&self.snapshot, shape)
    }

    /// Without the tasks of the policy.
    pub fn without_reserved(&self) -> Snapshot {
        let mut snapshot = self.snapshot.clone();
        snapshot.tasks.truncate(self.task_count);
        snapshot
    }
}

/// What a node costs in a snapshot: its own price and that of its pool.
pub fn price(snapshot: &Snapshot, node: &NodeSpec) -> i64 {
    let pool = snapshot.pools.iter().find(|pool| Some(&pool.name) == node.pool.as_ref());
    node.price.saturating_add(pool.map_or(0, |pool| pool.price))
}

/// A shape by its name: one that was given, or a task of the snapshot on its own.
pub(super) fn task_shape(snapshot: &Snapshot, shapes: &[TaskSpec], name: &str) -> Option<TaskSpec> {
    let found = shapes.iter().chain(&snapshot.tasks).find(|task| task.name == name)?;
    Some(TaskSpec { placement: Vec::new(), pinned: false, group: None, ..found.clone() })
}

/// `NAME+1`, `NAME+2` …, leaving out what is taken.
fn fresh(name: &str, taken: &BTreeSet<&str>, count: usize) -> Vec<String> {
    let names = (1usize..).map(|k| format!("{name}+{k}"));
    names.filter(|name| !taken.contains(name.as_str())).take(count).collect()
}

/// The kinds of nodes of a snapshot, most frequent first, as shapes named after the first of them. Labels that tell every node from
/// every other (a host name) are no part of a shape.
pub(super) fn own_shapes(snapshot: &Snapshot) -> Vec<NodeShape> {
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut holders: BTreeMap<&str, usize> = BTreeMap::new();
    for (key, value) in snapshot.nodes.iter().flat_map(|node| &node.labels) {
        values.entry(key).or_default().insert(value);
        *holders.entry(key).or_default() += 1;
    }
    let is_own = |key: &str| holders[key] > 1 && values[key].len() == holders[key];
    let mut kinds: Vec<(NodeSpec, NodeShape, usize)> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    for node in &snapshot.nodes {
        let mut node = NodeSpec { cordoned: false, domains: BTreeMap::new(), ..node.clone() };
        node.labels.retain(|key, _| !is_own(key));
        let kind = NodeSpec { name: String::new(), ..node.clone() };
        let at = *known.entry(format!("{kind:?}")).or_insert(kinds.len());
        if at == kinds.len() {
            kinds.push((kind, NodeShape { node, most: None }, 0));
        }
        kinds[at].2 += 1;
    }
    kinds.sort_by_key(|(_, _, count)| std::cmp::Reverse(*count));
    kinds.into_iter().map(|(_, shape, _)| shape).collect()
}
