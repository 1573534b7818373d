//! What does each pool hold, and what is left of it? Load, available and f(load, available) per resource, kind of device and its memory.

use super::fit::takes;
use super::policy::{Policy, scaled};
use crate::model::{
    Counted, DEVICE_MILLI, DomainId, LevelId, NodeId, Piece, Placement, Problem, Sharing, Spot, TaskId, Usage,
};
use std::collections::BTreeMap;

/// Nodes managed together; those that name no pool are one as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pool {
    pub name: Option<String>,
    pub nodes: Vec<NodeId>,
}

/// One resource, or kind of device in milli, or memory of these, of a pool. Amounts are scaled (1/720,720).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Name of the resource, kind of the devices, or `KIND memory`.
    pub name: String,
    /// Which of these: with the name unique in a pool.
    pub counted: Counted,
    /// Unit for people, may be empty.
    pub unit: String,
    /// What runs holds so much.
    pub held: i128,
    /// What of that counts: what an elastic task has beyond its least share is room for others.
    pub load: i128,
    /// The nodes have so much.
    pub available: i128,
    /// f(load, available) of the policy.
    pub headroom: i128,
}

impl Room {
    /// What people call it.
    pub fn title(&self) -> String {
        match self.counted {
            Counted::DeviceMemory => format!("{} (of devices)", self.name),
            _ => self.counted.title(&self.name),
        }
    }
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

/// What the policy sets aside in each resource, kind of device and its memory.
pub(super) struct Reserve<'a> {
    pub policy: &'a Policy,
    /// A task of the policy's shape, in the problem.
    pub shape: Option<TaskId>,
    /// The level whose domains may go.
    pub level: Option<LevelId>,
}

/// Rows of all that is counted: resources, then milli by kind of device, then memory by kind of device.
fn row_count(problem: &Problem) -> usize {
    problem.resources.len() + 2 * problem.device_kinds.len()
}

/// What a node has, scaled.
pub(super) fn capacity(problem: &Problem, node: NodeId) -> Vec<i128> {
    let mut row: Vec<i128> = problem.allocatable(node).iter().map(|amount| scaled(*amount)).collect();
    row.resize(row_count(problem), 0);
    let (milli, memory) = row[problem.resources.len()..].split_at_mut(problem.device_kinds.len());
    for device in &problem.nodes[node.index()].devices {
        milli[device.kind as usize] += scaled(DEVICE_MILLI.into());
        memory[device.kind as usize] += scaled(device.memory);
    }
    row
}

/// What is held of it, likewise.
fn held(problem: &Problem, usage: &Usage, node: NodeId) -> Vec<i128> {
    let kinds = || 0..problem.device_kinds.len() as u32;
    let milli = kinds().map(|kind| usage.kind_milli(problem, node, kind).0 * scaled(1));
    let memory = kinds().map(|kind| usage.kind_memory(problem, node, kind) * scaled(1));
    usage.amounts(node).iter().copied().chain(milli).chain(memory).collect()
}

/// What a task takes that needs so much of each resource, likewise.
pub(super) fn row(problem: &Problem, task: TaskId, amounts: impl IntoIterator<Item = i128>) -> Vec<i128> {
    let mut row: Vec<i128> = amounts.into_iter().collect();
    row.resize(row_count(problem), 0);
    if let Some(request) = &problem.tasks[task.index()].device {
        let (count, at) = (i128::from(request.count), problem.resources.len() + request.kind as usize);
        row[at] = count * scaled(request.milli.into());
        row[at + problem.device_kinds.len()] = count * scaled(request.memory);
    }
    row
}

/// What nodes have together.
pub(super) fn capacity_of(problem: &Problem, nodes: &[NodeId]) -> Vec<i128> {
    sum(problem, nodes.iter().map(|node| capacity(problem, *node)))
}

/// What counts as load of a placement: rigid tasks, elastic ones with their least share (those with less, and pinned ones, with what they
/// have), divisible ones with what they have, and no less than they had: nobody takes that away.
pub(super) struct Load<'a> {
    problem: &'a Problem,
    usage: Usage,
}

impl<'a> Load<'a> {
    pub fn of(problem: &'a Problem, placement: &Placement) -> Load<'a> {
        Load::of_some(problem, placement, |_| true)
    }

    /// Of the tasks that are on these nodes at the start and on no others: who runs stays in its pool.
    pub fn staying(problem: &'a Problem, nodes: &[NodeId]) -> Load<'a> {
        let is_inside = |spot: &Spot| spot.pieces().iter().all(|piece| nodes.binary_search(&piece.node).is_ok());
        Load::of_some(problem, &problem.current, |task| is_inside(problem.current.spot(task)))
    }

    /// Of the tasks that end with their node.
    fn ending(problem: &'a Problem, placement: &Placement) -> Load<'a> {
        Load::of_some(problem, placement, |task| problem.ends_with_node(task))
    }

    fn of_some(problem: &'a Problem, placement: &Placement, counts: impl Fn(TaskId) -> bool) -> Load<'a> {
        let spot = |task: TaskId| match counts(task) {
            true => counted(problem, task, placement.spot(task)),
            false => Spot::Unplaced,
        };
        let usage = Usage::of(problem, &Placement::from_spots(problem.task_ids().map(spot).collect()));
        Load { problem, usage }
    }

    /// Sums over nodes.
    pub fn on(&self, nodes: &[NodeId]) -> Vec<i128> {
        sum(self.problem, nodes.iter().map(|node| held(self.problem, &self.usage, *node)))
    }
}

fn counted(problem: &Problem, task: TaskId, spot: &Spot) -> Spot {
    let (spec, now) = (&problem.tasks[task.index()], problem.current.spot(task));
    match (spec.sharing, spot) {
        (Sharing::Elastic { min }, Spot::On(piece)) if !spec.pinned => {
            Spot::On(Piece { share: piece.share.min(min), ..*piece })
        }
        (Sharing::Divisible, _) if spot.total_parts() < now.total_parts() => now.clone(),
        _ => spot.clone(),
    }
}

fn sum(problem: &Problem, rows: impl Iterator<Item = Vec<i128>>) -> Vec<i128> {
    let mut sum = vec![0; row_count(problem)];
    rows.for_each(|row| sum.iter_mut().zip(row).for_each(|(sum, own)| *sum += own));
    sum
}

/// The rooms of a pool: resources, then kinds of devices that it has, then memory where these count it.
pub(super) fn rooms(problem: &Problem, placement: &Placement, nodes: &[NodeId], reserve: &Reserve<'_>) -> Vec<Room> {
    let usage = Usage::of(problem, placement);
    let held = sum(problem, nodes.iter().map(|node| held(problem, &usage, *node)));
    let (load, available) = (Load::of(problem, placement).on(nodes), capacity_of(problem, nodes));
    let reserved = reserve.amounts(problem, placement, nodes);
    let resources = problem.resources.iter().map(|r| (r.name.clone(), Counted::Resource, r.unit.clone()));
    let kinds = || problem.device_kinds.iter();
    let milli = kinds().map(|kind| (kind.clone(), Counted::Devices, "milli".to_string()));
    let memory = kinds().map(|kind| (format!("{kind} memory"), Counted::DeviceMemory, String::new()));
    let rooms = resources.chain(milli).chain(memory).enumerate().map(|(k, (name, counted, unit))| Room {
        name,
        counted,
        unit,
        held: held[k],
        load: load[k],
        available: available[k],
        headroom: reserve.policy.headroom(load[k], available[k], reserved[k]),
    });
    rooms.filter(|room| room.counted == Counted::Resource || room.available > 0).collect()
}

impl Reserve<'_> {
    fn amounts(&self, problem: &Problem, placement: &Placement, nodes: &[NodeId]) -> Vec<i128> {
        let mut reserved = vec![0; row_count(problem)];
        if let (Policy::Tasks(_, count), Some(shape)) = (self.policy, self.shape) {
            reserved = row(problem, shape, takes(problem, shape));
            reserved.iter_mut().for_each(|slot| *slot *= i128::from(*count));
        }
        if let Some(level) = self.level {
            let mut domains: BTreeMap<DomainId, Vec<NodeId>> = BTreeMap::new();
            nodes.iter().for_each(|node| domains.entry(problem.domain(*node, level)).or_default().push(*node));
            let ending = Load::ending(problem, placement);
            for own in domains.values() {
                let own = capacity_of(problem, own).into_iter().zip(ending.on(own));
                reserved.iter_mut().zip(own).for_each(|(most, (own, ending))| *most = (*most).max(own - ending));
            }
        }
        reserved
    }
}
