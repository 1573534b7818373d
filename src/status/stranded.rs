//! Which free amounts can no task of the present mix use?
//!
//! What is free of a resource on a node is *stranded* when no task that requires the resource and may enter the node fits into
//! all that is free there, at its least share; what is free of a device likewise, when no such task can use the device, and its
//! memory, when none that asks for memory can. Every task counts, whether it runs or waits: the mix that runs today is the mix
//! that comes tomorrow. Rules between tasks are left out, since they depend on who else comes.

use super::Kinds;
use crate::model::{
    DEVICE_MILLI, DeviceRequest, NodeId, Problem, SHARE_ONE, TaskId, Toleration, Usage, newcomer_forbidden,
};
use std::collections::{BTreeMap, HashMap};

/// What a kind of task needs at least.
struct Shape {
    /// One of the tasks.
    task: TaskId,
    /// Scaled. Shape: resources.
    least: Vec<i128>,
}

/// Tasks that may enter the same nodes, ask for the same devices and require the same resources.
#[derive(PartialEq, Eq, Hash)]
struct Class<'a> {
    selector: &'a BTreeMap<String, Vec<String>>,
    tolerations: &'a [Toleration],
    device: Option<&'a DeviceRequest>,
    /// Bit r is set when resource r is required; there are at most 32.
    support: u64,
}

/// The smallest tasks of the mix. Where a task fits, so does every smaller one of its class: only those that no other is smaller than
/// need be tried, which are few in a mix of any size.
pub(super) struct Shapes {
    list: Vec<Shape>,
}

impl Shapes {
    pub(super) fn of(problem: &Problem) -> Shapes {
        let own = problem.own_resources().len();
        let mut classes: HashMap<Class<'_>, Vec<Shape>> = HashMap::new();
        for task in problem.task_ids() {
            let spec = &problem.tasks[task.index()];
            let parts = i128::from(problem.least_parts(task, 1));
            let least: Vec<i128> =
                problem.requirement(task)[..own].iter().map(|amount| i128::from(*amount) * parts).collect();
            let class = Class {
                selector: &spec.selector,
                tolerations: &spec.tolerations,
                device: spec.device.as_ref(),
                support: least.iter().enumerate().fold(0, |set, (r, amount)| set | u64::from(*amount > 0) << r),
            };
            let front = classes.entry(class).or_default();
            let is_smaller = |a: &[i128], b: &[i128]| a.iter().zip(b).all(|(a, b)| a <= b);
            if !front.iter().any(|known| is_smaller(&known.least, &least)) {
                front.retain(|known| !is_smaller(&least, &known.least));
                front.push(Shape { task, least });
            }
        }
        Shapes { list: classes.into_values().flatten().collect() }
    }

    /// Scaled amounts, of the resources, of the kinds of device, and of the memory of kinds.
    pub(super) fn stranded(&self, problem: &Problem, usage: &Usage, node: NodeId, kinds: &Kinds) -> Vec<i128> {
        let one = i128::from(SHARE_ONE);
        let spec = &problem.nodes[node.index()];
        let free: Vec<i128> = problem
            .allocatable(node)
            .iter()
            .zip(usage.amounts(node))
            .take(problem.own_resources().len())
            .map(|(allocatable, used)| (i128::from(*allocatable) * one - used).max(0))
            .collect();
        let milli: Vec<u32> = usage.devices(node).iter().map(|used| DEVICE_MILLI.saturating_sub(*used)).collect();
        // Nothing free is of use to nobody, and strands nothing.
        let mut usable: Vec<bool> = free.iter().map(|free| *free == 0).collect();
        let mut usable_devices: Vec<bool> = milli.iter().map(|free| *free == 0).collect();
        let memory: Vec<i128> = (spec.devices.iter().zip(usage.device_memory(node)))
            .map(|(device, used)| (i128::from(device.memory) - used).max(0))
            .collect();
        let mut usable_memory: Vec<bool> = memory.iter().map(|free| *free == 0).collect();
        for shape in &self.list {
            let device = problem.tasks[shape.task.index()].device.as_ref();
            let devices: u64 = device.map_or(0, |request| usage.room_for(problem, node, request));
            let of_memory = if device.is_some_and(|request| request.memory > 0) { devices } else { 0 };
            let adds_to =
                |usable: &[bool], set: u64| usable.iter().enumerate().any(|(d, usable)| set >> d & 1 == 1 && !usable);
            let adds = shape.least.iter().zip(&usable).any(|(least, usable)| *least > 0 && !usable)
                || adds_to(&usable_devices, devices)
                || adds_to(&usable_memory, of_memory);
            let fits = shape.least.iter().zip(&free).all(|(least, free)| least <= free)
                && device.is_none_or(|request| devices.count_ones() >= request.count);
            if !adds || !fits || newcomer_forbidden(problem, shape.task, node).is_some() {
                continue;
            }
            usable.iter_mut().zip(&shape.least).for_each(|(usable, least)| *usable |= *least > 0);
            usable_devices.iter_mut().enumerate().for_each(|(d, usable)| *usable |= devices >> d & 1 == 1);
            usable_memory.iter_mut().enumerate().for_each(|(d, usable)| *usable |= of_memory >> d & 1 == 1);
        }
        let resources = free.iter().zip(&usable).map(|(free, usable)| if *usable { 0 } else { *free });
        let of_kind = |kind: u32, free: &dyn Fn(usize) -> i128, usable: &[bool]| -> i128 {
            (0..usable.len()).filter(|d| spec.devices[*d].kind == kind && !usable[*d]).map(|d| free(d) * one).sum()
        };
        let devices = kinds.milli.iter().map(|kind| of_kind(*kind, &|d| milli[d].into(), &usable_devices));
        let memory = kinds.memory.iter().map(|kind| of_kind(*kind, &|d| memory[d], &usable_memory));
        resources.chain(devices).chain(memory).collect()
    }
}
