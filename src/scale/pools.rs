//! What does each pool hold, and what is left of it? Load, available and f(load, available) per resource and kind of device.

use super::fit::takes;
use super::policy::{Policy, scaled};
use crate::model::{DEVICE_MILLI, DomainId, LevelId, NodeId, Placement, Problem, TaskId, Usage};
use std::collections::BTreeMap;

/// Nodes managed together; those that name no pool are one as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pool {
    pub name: Option<String>,
    pub nodes: Vec<NodeId>,
}

/// One resource, or kind of device in milli, of a pool. Amounts are scaled (1/720,720).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Name of the resource, or kind of the devices.
    pub name: String,
    /// Unit for people, may be empty.
    pub unit: String,
    /// What runs holds so much.
    pub load: i128,
    /// The nodes have so much.
    pub available: i128,
    /// f(load, available) of the policy.
    pub headroom: i128,
}

/// All pools, in the order of the snapshot; nodes without one come last.
pub(super) fn pools(problem: &Problem) -> Vec<Pool> {
    let mut pools: Vec<Pool> =
        problem.pools.iter().map(|pool| Pool { name: Some(pool.name.clone()), nodes: Vec::new() }).collect();
    let mut others = Pool { name: None, nodes: Vec::new() };
    for node in problem.node_ids() {
        match problem.nodes[node.index()].pool {
            Some(pool) => pools[pool as usize].nodes.push(node),
            None => others.nodes.push(node),
        }
    }
    pools.push(others);
    pools.retain(|pool| !pool.nodes.is_empty());
    pools
}

/// What the policy sets aside in each resource and kind of device.
pub(super) struct Reserve<'a> {
    pub policy: &'a Policy,
    /// A task of the policy's shape, in the problem.
    pub shape: Option<TaskId>,
    /// The level whose domains may go.
    pub level: Option<LevelId>,
}

/// What a node has, scaled: resources, then milli by kind of device.
pub(super) fn capacity(problem: &Problem, node: NodeId) -> Vec<i128> {
    let devices = &problem.nodes[node.index()].devices;
    let count = |kind: usize| devices.iter().filter(|device| device.kind as usize == kind).count() as i64;
    let milli = (0..problem.device_kinds.len()).map(|kind| scaled(count(kind) * i64::from(DEVICE_MILLI)));
    problem.allocatable(node).iter().map(|amount| scaled(*amount)).chain(milli).collect()
}

/// What is held of it, likewise.
fn held(problem: &Problem, usage: &Usage, node: NodeId) -> Vec<i128> {
    let milli = (0..problem.device_kinds.len()).map(|kind| usage.kind_milli(problem, node, kind as u32).0 * scaled(1));
    usage.amounts(node).iter().copied().chain(milli).collect()
}

/// Sums over nodes: what they have, or what is held of them.
pub(super) fn capacity_of(problem: &Problem, nodes: &[NodeId]) -> Vec<i128> {
    sum(problem, nodes.iter().map(|node| capacity(problem, *node)))
}

/// See [`capacity_of`].
pub(super) fn load_of(problem: &Problem, usage: &Usage, nodes: &[NodeId]) -> Vec<i128> {
    sum(problem, nodes.iter().map(|node| held(problem, usage, *node)))
}

fn sum(problem: &Problem, rows: impl Iterator<Item = Vec<i128>>) -> Vec<i128> {
    let mut sum = vec![0; problem.resources.len() + problem.device_kinds.len()];
    rows.for_each(|row| sum.iter_mut().zip(row).for_each(|(sum, own)| *sum += own));
    sum
}

/// The rooms of a pool: resources, then kinds of devices that it has.
pub(super) fn rooms(problem: &Problem, placement: &Placement, nodes: &[NodeId], reserve: &Reserve<'_>) -> Vec<Room> {
    let usage = Usage::of(problem, placement);
    let (load, available) = (load_of(problem, &usage, nodes), capacity_of(problem, nodes));
    let reserved = reserve.amounts(problem, nodes);
    let resources = problem.resources.iter().map(|resource| (&resource.name, resource.unit.as_str()));
    let names = resources.chain(problem.device_kinds.iter().map(|kind| (kind, "milli")));
    let rooms = names.enumerate().map(|(k, (name, unit))| Room {
        name: name.clone(),
        unit: unit.to_string(),
        load: load[k],
        available: available[k],
        headroom: reserve.policy.headroom(load[k], available[k], reserved[k]),
    });
    rooms
        .enumerate()
        .filter(|(k, room)| *k < problem.resources.len() || room.available > 0)
        .map(|(_, room)| room)
        .collect()
}

impl Reserve<'_> {
    fn amounts(&self, problem: &Problem, nodes: &[NodeId]) -> Vec<i128> {
        let mut reserved = vec![0; problem.resources.len() + problem.device_kinds.len()];
        if let (Policy::Tasks(_, count), Some(shape)) = (self.policy, self.shape) {
            for (slot, amount) in reserved.iter_mut().zip(takes(problem, shape)) {
                *slot = amount * i128::from(*count);
            }
            if let Some(request) = &problem.tasks[shape.index()].device {
                let milli = scaled(i64::from(request.count) * i64::from(request.milli));
                reserved[problem.resources.len() + request.kind as usize] = milli * i128::from(*count);
            }
        }
        if let Some(level) = self.level {
            let mut domains: BTreeMap<DomainId, Vec<NodeId>> = BTreeMap::new();
            nodes.iter().for_each(|node| domains.entry(problem.domain(*node, level)).or_default().push(*node));
            for own in domains.values() {
                let own = capacity_of(problem, own);
                reserved.iter_mut().zip(own).for_each(|(most, own)| *most = (*most).max(own));
            }
        }
        reserved
    }
}
