//! What is the same cluster under other names and in another order?

use super::Rng;
use bayplan::model::*;
use std::collections::BTreeMap;

/// A snapshot with other names and orders, and where everything went.
pub struct Renamed {
    pub snapshot: Snapshot,
    /// New position of each node.
    pub nodes: Vec<usize>,
    /// New position of each task.
    pub tasks: Vec<usize>,
}

impl Renamed {
    /// The same placement, told in the new order.
    pub fn placement(&self, old: &Placement) -> Placement {
        let mut new = Placement::empty(old.len());
        for (t, spot) in old.spots().iter().enumerate() {
            let pieces = spot.pieces().iter().map(|p| Piece { node: NodeId::new(self.nodes[p.node.index()]), ..*p });
            new.set(TaskId::new(self.tasks[t]), Spot::from_pieces(pieces.collect()));
        }
        new
    }
}

/// Nodes, tasks, groups and resources renamed and reordered.
pub fn renamed(rng: &mut Rng, snapshot: &Snapshot) -> Renamed {
    let mut new = snapshot.clone();
    let names = |list: Vec<&String>, prefix: &str| -> BTreeMap<String, String> {
        let count = list.len();
        list.into_iter().enumerate().map(|(i, old)| (old.clone(), format!("{prefix}{}", count - i))).collect()
    };
    let node = names(snapshot.nodes.iter().map(|n| &n.name).collect(), "host-");
    let task = names(snapshot.tasks.iter().map(|t| &t.name).collect(), "work-");
    let group = names(snapshot.groups.iter().map(|g| &g.name).collect(), "team-");
    for spec in &mut new.nodes {
        spec.name = node[&spec.name].clone();
    }
    for spec in &mut new.tasks {
        spec.name = task[&spec.name].clone();
        spec.group = spec.group.as_ref().map(|g| group[g].clone());
        for piece in &mut spec.placement {
            piece.node = node[&piece.node].clone();
        }
    }
    for spec in &mut new.groups {
        spec.name = group[&spec.name].clone();
        for rule in &mut spec.depends_on {
            rule.group = group[&rule.group].clone();
        }
    }
    let nodes = reorder(rng, &mut new.nodes);
    let tasks = reorder(rng, &mut new.tasks);
    reorder(rng, &mut new.groups);
    reorder(rng, &mut new.resources);
    Renamed { snapshot: new, nodes, tasks }
}

/// Reorders a list at random; returns the new position of each old one.
fn reorder<T: Clone>(rng: &mut Rng, list: &mut Vec<T>) -> Vec<usize> {
    let order = rng.order(list.len());
    *list = order.iter().map(|i| list[*i].clone()).collect();
    let mut position = vec![0; order.len()];
    for (new, old) in order.into_iter().enumerate() {
        position[old] = new;
    }
    position
}
