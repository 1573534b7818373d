//! How do figures become records? What all shapes share: names, racks, soft limits, and points for load.

use super::Order;
use super::carve::{Rows, part_of};
use crate::model::*;
use crate::random::{Purpose, Random};
use std::collections::BTreeMap;

/// A resource, its unit, and whether a moving task holds it on both nodes.
pub(super) type Kind<'a> = (&'a str, &'a str, bool);

/// A snapshot with resources and nodes, and no tasks yet.
pub(super) fn cluster(order: &Order, kinds: &[Kind<'_>], capacity: &Rows) -> Snapshot {
    let resource = |(name, unit, transient): &Kind<'_>| ResourceSpec {
        name: name.to_string(),
        unit: unit.to_string(),
        transient: *transient,
        load_weight: 0,
        variance_weight: 0,
    };
    let node = |(n, row): (usize, &[i64])| NodeSpec {
        name: format!("node-{n}"),
        allocatable: amounts(kinds, row),
        ..NodeSpec::default()
    };
    Snapshot {
        name: order.to_string(),
        resources: kinds.iter().map(resource).collect(),
        nodes: capacity.iter().enumerate().map(node).collect(),
        objective: ObjectiveSpec { task_move_weight: 1, ..ObjectiveSpec::default() },
        ..Snapshot::default()
    }
}

/// Amounts by name; what is 0 is left out.
pub(super) fn amounts(kinds: &[Kind<'_>], row: &[i64]) -> BTreeMap<String, i64> {
    let named = kinds.iter().zip(row).filter(|(_, amount)| **amount > 0);
    named.map(|((name, _, _), amount)| (name.to_string(), *amount)).collect()
}

/// A task that runs on a node; its name comes last.
pub(super) fn running(kinds: &[Kind<'_>], need: &[i64], node: usize) -> TaskSpec {
    let piece = PieceSpec { node: format!("node-{node}"), ..PieceSpec::default() };
    TaskSpec { placement: vec![piece], ..waiting(kinds, need) }
}

/// A task that waits; its name comes last.
pub(super) fn waiting(kinds: &[Kind<'_>], need: &[i64]) -> TaskSpec {
    TaskSpec { requirement: amounts(kinds, need), weight: 1, move_cost: 1, ..TaskSpec::default() }
}

/// Puts the tasks into the snapshot in an order that tells nothing about where they run, and names them.
pub(super) fn add_tasks(snapshot: &mut Snapshot, order: &Order, mut tasks: Vec<TaskSpec>) {
    Random::new(order.seed, Purpose::Order).shuffle(&mut tasks);
    for (t, task) in tasks.iter_mut().enumerate() {
        task.name = format!("task-{t}");
    }
    snapshot.tasks = tasks;
}

/// Nodes in racks of `size`, in order.
pub(super) fn add_racks(snapshot: &mut Snapshot, size: usize) {
    snapshot.levels = vec!["rack".to_string()];
    for (n, node) in snapshot.nodes.iter_mut().enumerate() {
        node.domains.insert("rack".to_string(), format!("rack-{}", n / size));
    }
}

/// Soft limits at the part of each node's capacity that the whole cluster uses when `need` runs evenly, and points that count
/// the same share of each resource's capacity the same: the best is even, and costs nothing.
pub(super) fn soft_limits_at_mean(snapshot: &mut Snapshot, capacity: &Rows, demand: &[i128]) {
    for (r, demand) in demand.iter().enumerate() {
        let all = capacity.total(r).max(1);
        soft_limits(snapshot, capacity, r, |room| {
            // Rounded up, so that an even load is within the limit.
            let limit = (i128::from(room) * demand).div_ceil_positive(all);
            i64::try_from(limit).unwrap_or(room)
        });
    }
    weigh_load(snapshot, capacity);
}

/// Soft limits of one resource, from each node's capacity.
pub(super) fn soft_limits(snapshot: &mut Snapshot, capacity: &Rows, r: usize, mut limit: impl FnMut(i64) -> i64) {
    let name = snapshot.resources[r].name.clone();
    for (node, room) in snapshot.nodes.iter_mut().zip(capacity.iter().map(|row| row[r])) {
        let limit = limit(room);
        if limit < room {
            node.soft_limit.insert(name.clone(), limit);
        }
    }
}

/// Points per unit of load: 1 for the most plentiful resource, and for the others what makes the whole capacity of each
/// cost the same.
pub(super) fn weigh_load(snapshot: &mut Snapshot, capacity: &Rows) {
    let totals: Vec<i128> = (0..capacity.width()).map(|r| capacity.total(r)).collect();
    let most = totals.iter().copied().max().unwrap_or(0);
    for (resource, total) in snapshot.resources.iter_mut().zip(totals) {
        resource.load_weight = if total == 0 { 0 } else { part_of(1, most, total) };
    }
}

/// Jobs of about eight tasks, and the name of one for a task.
pub(super) fn add_jobs(snapshot: &mut Snapshot, order: &Order) -> impl FnMut(&mut Random) -> Option<String> + use<> {
    let count = order.tasks.div_ceil(8);
    let job = |j: usize| GroupSpec { name: format!("job-{j}"), ..GroupSpec::default() };
    snapshot.groups = (0..count).map(job).collect();
    move |random| Some(format!("job-{}", random.below(count)))
}

/// Division rounded up, for figures ≥ 0.
trait DivCeil {
    fn div_ceil_positive(self, divisor: Self) -> Self;
}

impl DivCeil for i128 {
    fn div_ceil_positive(self, divisor: i128) -> i128 {
        (self + divisor - 1) / divisor
    }
}
