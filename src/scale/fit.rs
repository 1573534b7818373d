//! How many more tasks of a shape fit? Three tiers: as things stand, after the plan that empties nodes, and at most.
//!
//! An elastic shape takes its least share, a divisible one all of it on one node.
//!
//! * **now**: nothing moves. Exact for each node: a shape belongs to no group, so nodes do not matter to each other.
//! * **after**: the same, where the plan leads, the emptied nodes still there. What it moves together leaves larger pieces free.
//! * **at most**: no placement of what runs leaves room for more. Per resource and kind of device, what all nodes that admit the shape hold
//!   less what can be nowhere else.

use super::cover::{self, DoorKey, has_other_devices};
use super::policy::scaled;
use crate::model::{
    DEVICE_MILLI, DEVICE_ROW_COUNT, Device, DeviceRequest, NodeId, Placement, Problem, SHARE_ONE, Sharing, TaskId,
    Usage, device_units, newcomer_forbidden,
};
use std::collections::HashMap;

/// How many more tasks of a shape fit, by tier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fit {
    /// Name of the shape.
    pub shape: String,
    /// As things stand.
    pub now: u64,
    /// After the plan that empties nodes.
    pub after: u64,
    /// No placement of what runs has room for more.
    pub at_most: u64,
}

/// A shape is asked about at most so often per node: one that requires nothing fits for ever.
const PER_NODE_MAX: u64 = 1 << 20;

/// How often a shape (a waiting task of the problem) fits on these nodes beside what others use.
pub(super) fn count(problem: &Problem, usage: &Usage, shape: TaskId, nodes: &[NodeId]) -> u64 {
    let admits = |node: &&NodeId| newcomer_forbidden(problem, shape, **node).is_none();
    nodes.iter().filter(admits).map(|node| on_node(problem, usage, shape, *node)).sum()
}

/// What one more of a shape takes, scaled: an elastic one its least share, a divisible one all.
pub(super) fn takes(problem: &Problem, shape: TaskId) -> Vec<i128> {
    match problem.tasks[shape.index()].sharing {
        Sharing::Rigid | Sharing::Elastic { .. } => cover::least(problem, shape),
        Sharing::Divisible => problem.requirement(shape).iter().map(|amount| scaled(*amount)).collect(),
    }
}

fn on_node(problem: &Problem, usage: &Usage, shape: TaskId, node: NodeId) -> u64 {
    let one = i128::from(SHARE_ONE);
    let mut count = i128::from(PER_NODE_MAX);
    for (r, need) in takes(problem, shape).into_iter().enumerate().filter(|(_, need)| *need > 0) {
        let free = i128::from(problem.allocatable(node)[r]) * one - usage.amounts(node)[r];
        count = count.min(free.max(0) / need);
    }
    if let Some(request) = &problem.tasks[shape.index()].device {
        let open = usage.room_for(problem, node, request);
        // A fraction fits several times on one device; whole devices are taken `count` at a time.
        let times = |d: usize| -> u32 {
            let milli = (DEVICE_MILLI - usage.devices(node)[d]) / request.milli;
            if request.memory == 0 {
                return milli;
            }
            let memory = i128::from(problem.nodes[node.index()].devices[d].memory) - usage.device_memory(node)[d];
            memory.div_euclid(request.memory.into()).min(milli.into()) as u32
        };
        let free: u32 = (0..usage.devices(node).len()).filter(|d| open >> d & 1 == 1).map(times).sum();
        count = count.min(i128::from(free / request.count));
    }
    count as u64
}

/// No placement that keeps what runs within its nodes of `nodes` has room for more tasks of the shape there.
pub(super) fn at_most(problem: &Problem, shape: TaskId, nodes: &[NodeId], running: &[TaskId]) -> u64 {
    let one = i128::from(SHARE_ONE);
    let usage = Usage::of(problem, &problem.current);
    let mut is_open = vec![false; problem.nodes.len()];
    let open: Vec<NodeId> =
        nodes.iter().copied().filter(|node| newcomer_forbidden(problem, shape, *node).is_none()).collect();
    open.iter().for_each(|node| is_open[node.index()] = true);
    // Tasks that can be nowhere but on these nodes; what waits can wait.
    let closed: Vec<NodeId> = problem.node_ids().filter(|node| !is_open[node.index()]).collect();
    let mut known: HashMap<DoorKey<'_>, bool> = HashMap::new();
    let mut stays = |task: &TaskId| {
        let spec = &problem.tasks[task.index()];
        let is_inside = problem.current.spot(*task).pieces().iter().all(|piece| is_open[piece.node.index()]);
        let shut_out = || closed.iter().all(|node| newcomer_forbidden(problem, *task, *node).is_some());
        is_inside && (spec.pinned || *known.entry(cover::door(problem, *task)).or_insert_with(shut_out))
    };
    let inside: Vec<TaskId> = running.iter().copied().filter(|task| stays(task)).collect();
    // If all nodes were empty: no node holds more of the shape than that.
    let alone = Usage::of(problem, &Placement::empty(problem.tasks.len()));
    let mut count: i128 = open.iter().map(|node| i128::from(on_node(problem, &alone, shape, *node))).sum();
    for (r, need) in takes(problem, shape).into_iter().enumerate().filter(|(_, need)| *need > 0) {
        let limit = |node: &NodeId| (i128::from(problem.allocatable(*node)[r]) * one).max(usage.amounts(*node)[r]);
        let held: i128 = inside.iter().map(|task| i128::from(cover::need(problem, *task)[r]) * one).sum();
        let free = open.iter().map(limit).sum::<i128>() - held;
        count = count.min(free.max(0) / need);
    }
    if let Some(request) = &problem.tasks[shape.index()].device {
        for k in 0..problem.device_row_count() {
            let takes = |request: &DeviceRequest| request.row_units(k);
            let own = takes(request);
            if own == 0 {
                continue;
            }
            // A request for a model shares its kind's devices with others: only devices of the kind are told apart here.
            let held: i128 = (inside.iter().filter(|task| !has_other_devices(problem, **task)))
                .filter_map(|task| problem.tasks[task.index()].device.as_ref())
                .filter(|other| other.kind == request.kind)
                .map(takes)
                .sum();
            let full = |node: &NodeId| -> i128 {
                let devices = problem.nodes[node.index()].devices.iter().enumerate();
                let has = |(d, device): (usize, &Device)| match k {
                    DEVICE_ROW_COUNT => {
                        usage.device_memory(*node).get(d).map_or(0, |used| (*used).max(device.memory.into()))
                    }
                    _ => i128::from(device_units(k, usage.devices(*node)[d].max(DEVICE_MILLI).into())),
                };
                devices.filter(|(_, device)| device.kind == request.kind).map(has).sum()
            };
            let free = open.iter().map(full).sum::<i128>() - held;
            count = count.min(free.max(0) / own);
        }
    }
    count.max(0) as u64
}
