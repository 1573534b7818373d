//! What is the bound when identical nodes are one? A smaller program with the same relaxation.
//!
//! m nodes that nothing tells apart become one with m times the capacity. Any solution of the full relaxation gives one of
//! the merged relaxation (add the shares up), and any of the merged one gives one of the full (give each node 1/m of every
//! share: all rows and costs are the same for the m nodes, and convex). So both have the same optimum.
//!
//! Only nodes that nobody comes from are merged, and only where no rule counts tasks or devices per node.

use crate::model::{NodeId, Problem};
use std::collections::HashMap;

/// The problem with identical nodes merged, or `None` when there are none, or rules forbid it.
pub fn merged(problem: &Problem) -> Option<Problem> {
    let has_rules = problem.groups.iter().any(|group| {
        !group.conflict.is_empty() || !group.spread.is_empty() || !group.depends_on.is_empty() || group.gang.is_some()
    });
    let has_devices = problem.tasks.iter().any(|task| task.device.is_some());
    if has_rules || has_devices || problem.objective.price_weight > 0 || problem.moves.simultaneous {
        return None;
    }
    let mut is_home = vec![false; problem.nodes.len()];
    for piece in problem.current.spots().iter().flat_map(|spot| spot.pieces()) {
        is_home[piece.node.index()] = true;
    }
    let mut classes: HashMap<String, Vec<NodeId>> = HashMap::new();
    for node in problem.node_ids() {
        let spec = &problem.nodes[node.index()];
        let alone = if is_home[node.index()] { node.0 } else { u32::MAX };
        let amounts = (problem.allocatable(node), problem.soft_limit(node));
        let key =
            format!("{amounts:?} {:?} {:?} {} {} {alone}", spec.labels, spec.taints, spec.cordoned, spec.move_class);
        classes.entry(key).or_default().push(node);
    }
    if classes.len() == problem.nodes.len() {
        return None;
    }
    let mut groups: Vec<Vec<NodeId>> = classes.into_values().collect();
    groups.sort();
    Some(problem.with_nodes_merged(&groups))
}
