//! What holds the nodes now? Running jobs, and whatever else Slurm says is in use.

use super::EXCLUSIVE_PARTS;
use super::gres::Gres;
use super::job::{Job, Part, State};
use super::node::{Node, in_parts, is_part_of_gpu};
use super::partition::{self, Partitions};
use super::place::Places;
use crate::adapter::notes::{Fate, Notes};
use crate::model::*;
use std::collections::BTreeMap;

/// Why running tasks are pinned.
const PINNED: &str = "Slurm moves no running job";

/// What is held of a node so far.
#[derive(Debug, Clone, Default)]
struct Held {
    amounts: [i64; 2],
    devices: u64,
    /// GPUs of which jobs hold parts, by their own word.
    in_parts: u64,
    gres: BTreeMap<String, i64>,
}

/// One pinned task per running job and node, and one per node for what no job in the list accounts for.
pub fn tasks(
    places: &Places<'_>,
    nodes: &[Node],
    jobs: &[Job],
    partitions: &Partitions,
    notes: &mut Notes,
) -> Vec<TaskSpec> {
    let mut held = vec![Held::default(); nodes.len()];
    let mut tasks = Vec::new();
    for job in jobs.iter().filter(|job| job.state == State::Running) {
        for (rank, part) in job.parts.iter().enumerate() {
            let Some(n) = places.node(&part.node) else {
                notes.add(Fate::LeftOut, "jobs, or parts of jobs, on nodes that are not in the list of nodes");
                continue;
            };
            let devices = devices(part, &nodes[n], &mut held[n], notes);
            held[n].amounts[0] = held[n].amounts[0].saturating_add(part.cpus);
            held[n].amounts[1] = held[n].amounts[1].saturating_add(part.memory);
            if nodes[n].in_parts == 0 {
                held[n].in_parts |= in_parts(&part.gres, &nodes[n].spec.devices);
            }
            for (name, amount) in nodes[n].uses_up(&part.gres) {
                let sum = held[n].gres.entry(name).or_default();
                *sum = sum.saturating_add(amount);
            }
            tasks.push(task(job, rank, &nodes[n], devices, partitions));
            notes.add(Fate::Pinned, &format!("tasks of running jobs: {PINNED}"));
        }
    }
    for (node, held) in nodes.iter().zip(&held) {
        if let Some(task) = outside(node, held) {
            let is_limited = |name: &String| partitions.get(name).is_some_and(|p| p.cpus_per_node.is_some());
            if task.requirement["cpu"] > 0 && node.partitions.iter().any(is_limited) {
                let what =
                    "CPUs in use on nodes by no running job of the list: they do not count for their partition's limit";
                notes.add(Fate::LeftOut, what);
            }
            notes.add(Fate::Pinned, "nodes with something in use that no running job of the list accounts for");
            tasks.push(task);
        }
    }
    tasks
}

fn task(job: &Job, rank: usize, node: &Node, devices: Vec<u32>, partitions: &Partitions) -> TaskSpec {
    let part = &job.parts[rank];
    let mut requirement = BTreeMap::from([("cpu".to_string(), part.cpus), ("memory".to_string(), part.memory)]);
    requirement.extend(node.uses_up(&part.gres));
    // One that runs is in one partition.
    for name in job.partitions.iter().filter(|name| partitions.get(*name).is_some_and(|p| p.cpus_per_node.is_some())) {
        requirement.insert(partition::resource(name), part.cpus);
    }
    if job.is_exclusive {
        requirement.insert("exclusive".into(), EXCLUSIVE_PARTS);
    }
    let suffix = if job.parts.len() > 1 { format!("/{rank}") } else { String::new() };
    let mut origin = job.origin.clone();
    origin.insert("pinned".into(), PINNED.into());
    TaskSpec {
        name: format!("job-{}{suffix}", job.id),
        kind: TaskKind::Job,
        weight: job.priority.clamp(1, AMOUNT_MAX),
        requirement,
        device: request(devices.len()),
        placement: vec![PieceSpec { node: part.node.clone(), share: None, devices }],
        pinned: true,
        move_cost: 1,
        tenant: job.tenant.clone(),
        origin,
        ..TaskSpec::default()
    }
}

/// A request that the devices held satisfy, whatever their models.
fn request(count: usize) -> Option<DeviceRequestSpec> {
    let count = u32::try_from(count).ok().filter(|count| *count > 0)?;
    Some(DeviceRequestSpec { kind: "gpu".into(), count, milli: DEVICE_MILLI, memory: None, models: Vec::new() })
}

/// Numbers of the GPUs that a part holds: those that Slurm names, else the first free ones of the model.
fn devices(part: &Part, node: &Node, held: &mut Held, notes: &mut Notes) -> Vec<u32> {
    let models = models(node);
    let mut mine = 0u64;
    for gpu in part.gres.iter().filter(|g| g.name == "gpu" && g.count > 0) {
        let fits = |d: usize| held.devices >> d & 1 == 0 && mine >> d & 1 == 0 && is_model(models[d], gpu);
        let named = gpu.index.as_ref().map(|list| list.iter().map(|d| *d as usize).collect::<Vec<_>>());
        let named = named.filter(|list| list.iter().all(|d| *d < models.len() && fits(*d)));
        let chosen = match named {
            Some(list) => list,
            None => (0..models.len()).filter(|d| fits(*d)).take(gpu.count.max(0) as usize).collect(),
        };
        if (chosen.len() as i64) < gpu.count {
            notes.add(Fate::LeftOut, "GPUs of running jobs that their node does not have");
        }
        mine |= chosen.iter().fold(0, |mask, d| mask | 1 << d);
    }
    held.devices |= mine;
    numbers(mine)
}

fn is_model(model: &str, gpu: &Gres) -> bool {
    gpu.model.is_empty() || gpu.model == model
}

fn numbers(mask: u64) -> Vec<u32> {
    (0..DEVICE_COUNT_MAX as u32).filter(|d| mask >> d & 1 == 1).collect()
}

/// Model of each device, as many as can be told apart.
fn models(node: &Node) -> Vec<&str> {
    let all = node
        .spec
        .devices
        .iter()
        .flat_map(|devices| std::iter::repeat_n(devices.model.as_str(), devices.count as usize));
    all.take(DEVICE_COUNT_MAX).collect()
}

/// What is in use beyond what is held.
fn outside(node: &Node, held: &Held) -> Option<TaskSpec> {
    let rest = |d: usize| (node.in_use[d].saturating_sub(held.amounts[d])).max(0);
    let mut requirement = BTreeMap::from([("cpu".to_string(), rest(0)), ("memory".to_string(), rest(1))]);
    let rest = |(name, amount): (String, i64)| {
        let amount = amount.saturating_sub(held.gres.get(&name).copied().unwrap_or(0));
        (amount > 0).then_some((name, amount))
    };
    requirement.extend(node.uses_up(&node.gres_in_use).into_iter().filter_map(rest));
    let models = models(node);
    let free = |d: &usize| held.devices >> d & 1 == 0;
    let in_parts = (0..models.len()).filter(|d| (node.in_parts | held.in_parts) >> d & 1 == 1);
    let mut mask = in_parts.filter(free).fold(0, |mask, d| mask | 1 << d);
    for gpu in node.gres_in_use.iter().filter(|g| g.name == "gpu" && g.count > 0) {
        let of_model = || (0..models.len()).filter(|d| is_model(models[*d], gpu));
        let missing = gpu.count - of_model().filter(|d| !free(d)).count() as i64;
        let named = |d: &usize| gpu.index.as_ref().is_none_or(|list| list.contains(&(*d as u64)));
        let candidates = of_model().filter(free).filter(named).take(missing.max(0) as usize);
        mask = candidates.fold(mask, |mask, d| mask | 1 << d);
    }
    if requirement.values().all(|amount| *amount == 0) && mask == 0 {
        return None;
    }
    let devices = numbers(mask);
    Some(TaskSpec {
        name: format!("outside-{}", node.spec.name),
        kind: TaskKind::Job,
        requirement,
        device: request(devices.len()),
        placement: vec![PieceSpec { node: node.spec.name.clone(), share: None, devices }],
        pinned: true,
        origin: [("pinned".to_string(), "in use on the node, but by no running job of the list".to_string())].into(),
        ..TaskSpec::default()
    })
}

/// Whether a job holds, or wants, parts of GPUs, which are not tied to devices here.
pub fn has_parts_of_gpus(gres: &[Gres]) -> bool {
    gres.iter().any(|g| is_part_of_gpu(&g.name))
}
