//! What does a waiting job want? One task per node, in a gang whose tasks keep apart.

use super::EXCLUSIVE_PARTS;
use super::gres::Gres;
use super::hostlist::{hosts, numbers};
use super::job::{Job, Memory, State};
use super::partition::{self, Partitions};
use super::place::{Places, Selector};
use super::running::has_parts_of_gpus;
use crate::adapter::notes::{Fate, Notes};
use crate::model::*;
use std::collections::BTreeMap;

/// Most nodes of one job: a mistyped figure must not fill the memory.
const NODES_MAX: i64 = 1 << 17;

/// What is known besides a job itself.
pub struct Context<'a> {
    pub jobs: &'a [Job],
    pub partitions: &'a Partitions,
    /// Slurm gives out memory.
    pub counts_memory: bool,
}

/// Adds the tasks and groups of one waiting job; what cannot be said is counted.
pub fn add(
    job: &Job,
    context: &Context<'_>,
    places: &mut Places<'_>,
    tasks: &mut Vec<TaskSpec>,
    groups: &mut Vec<GroupSpec>,
    notes: &mut Notes,
) {
    match draft(job, context, places, notes) {
        Err(why) => notes.add(Fate::LeftOut, &format!("waiting jobs with {why}")),
        Ok((members, within)) => {
            if context.counts_memory && job.memory == Memory::Whole && !job.is_exclusive {
                notes.add(Fate::Stricter, "waiting jobs that name no memory: they get nodes of their own");
            }
            for id in ids(job, context.jobs, notes) {
                add_members(job, &id, &members, within.as_deref(), tasks, groups);
            }
        }
    }
}

/// What `scontrol` calls each piece of an array, as many as its limit lets run; else the job itself.
fn ids(job: &Job, jobs: &[Job], notes: &mut Notes) -> Vec<String> {
    let Some((array, waiting, most)) = job.array.as_ref().filter(|(_, waiting, _)| !waiting.is_empty()) else {
        return vec![job.id.clone()];
    };
    // A long list is cut off with dots.
    let (listed, is_cut) = match waiting.find("...") {
        Some(at) => (waiting[..at].trim_end_matches(','), true),
        None => (waiting.as_str(), false),
    };
    let Some(mut indices) = numbers(listed) else {
        notes.add(Fate::LeftOut, "waiting arrays whose list of tasks cannot be read");
        return Vec::new();
    };
    if is_cut {
        notes.add(
            Fate::LeftOut,
            "waiting arrays of which Slurm lists only the first tasks (SLURM_BITSTR_LEN sets how many)",
        );
    }
    if *most > 0 {
        let of_array =
            |other: &&Job| other.state == State::Running && other.array.as_ref().is_some_and(|(id, ..)| id == array);
        let room = (*most as usize).saturating_sub(jobs.iter().filter(of_array).count());
        let beyond = indices.len().saturating_sub(room);
        notes.add_many(Fate::LeftOut, "tasks of arrays beyond the number that may run at once", beyond as u64);
        indices.truncate(room);
    }
    indices.into_iter().map(|index| format!("{array}_{index}")).collect()
}

/// One task of the job, less its name.
struct Member {
    requirement: BTreeMap<String, i64>,
    device: Option<DeviceRequestSpec>,
    selector: Selector,
}

/// The tasks of a job and the level in one domain of which they must be, or why it cannot be said.
fn draft(
    job: &Job,
    context: &Context<'_>,
    places: &mut Places<'_>,
    notes: &mut Notes,
) -> Result<(Vec<Member>, Option<String>), String> {
    if let Some(field) = job.unsaid {
        return Err(format!("{field}, which no snapshot can say"));
    }
    let gres = job.gres.as_ref().map_err(|field| format!("{field} that do not divide evenly by node"))?;
    if has_parts_of_gpus(gres) {
        return Err("parts of GPUs (shard, mps)".into());
    }
    if job.nodes > NODES_MAX {
        return Err(format!("more than {NODES_MAX} nodes"));
    }
    let is_beyond = |name: &String| {
        context.partitions.get(name).and_then(|partition| partition.nodes).is_some_and(|most| job.nodes > most)
    };
    if job.partitions.iter().any(is_beyond) {
        return Err("more nodes than their partition allows".into());
    }
    let required = hosts(&job.required).ok_or("required nodes that cannot be read")?;
    if required.len() as i64 > job.nodes {
        return Err("more required nodes than it wants".into());
    }
    let mut selector = Selector::new();
    places.ask_partitions(&mut selector, &job.partitions);
    let mut within = places
        .ask_features(&mut selector, &job.features, job.nodes == 1)
        .ok_or("constraints that bind several nodes together, or count")?;
    // Slurm waits a while for so few switches, and then takes any.
    if job.switches > 0 && job.nodes > job.switches {
        if job.switches == 1 && within.is_none() && places.has_switches() {
            within = Some(super::topology::LEVEL.to_string());
            notes.add(Fate::Stricter, "waiting jobs that wish for one switch: they get nodes on one");
        } else {
            notes.add(Fate::LeftOut, "wishes of waiting jobs for few switches");
        }
    }
    places.ask_not(&mut selector, &job.excluded).ok_or("excluded nodes that cannot be read")?;
    places.ask_temporary_disk(&mut selector, job.temporary_disk);
    let (mut requirement, device) = wants(job, gres, places.cpus_per_core(&job.partitions), context.counts_memory);
    let limited =
        job.partitions.iter().find(|name| context.partitions.get(*name).is_some_and(|p| p.cpus_per_node.is_some()));
    match (limited, job.partitions.as_slice()) {
        (Some(name), [_]) => _ = requirement.insert(partition::resource(name), requirement["cpu"]),
        (Some(_), _) => return Err("several partitions, one of which bounds the CPUs per node".into()),
        (None, _) => {}
    }
    let member = |rank: usize| {
        let mut selector = selector.clone();
        if let Some(node) = required.get(rank) {
            selector.insert("node".into(), vec![node.clone()]);
        }
        Member { requirement: requirement.clone(), device: device.clone(), selector }
    };
    Ok(((0..job.nodes as usize).map(member).collect(), within))
}

type Wants = (BTreeMap<String, i64>, Option<DeviceRequestSpec>);

/// What a job wants of each node.
fn wants(job: &Job, gres: &[Gres], cpus_per_core: i64, counts_memory: bool) -> Wants {
    let gpus = gres.iter().find(|g| g.name == "gpu").filter(|g| g.count > 0);
    let gpu_count = gpus.map_or(0, |g| g.count);
    let cpus = job.cpus.max(job.cpus_per_gpu.saturating_mul(gpu_count));
    // Whole cores are given out.
    let cpus = cpus.clamp(0, AMOUNT_MAX);
    let cpus = (cpus + cpus_per_core - 1) / cpus_per_core * cpus_per_core;
    let mut requirement = BTreeMap::from([("cpu".to_string(), cpus)]);
    let memory = match job.memory {
        Memory::PerNode(amount) => amount,
        Memory::PerCpu(amount) => amount.saturating_mul(cpus),
        Memory::PerGpu(amount) => amount.saturating_mul(gpu_count),
        Memory::Whole => 0,
    };
    requirement.insert("memory".into(), memory);
    if job.is_exclusive || (counts_memory && job.memory == Memory::Whole) {
        requirement.insert("exclusive".into(), EXCLUSIVE_PARTS);
    }
    for other in gres.iter().filter(|g| g.name != "gpu") {
        for name in other.resources() {
            let amount = requirement.entry(name).or_insert(0);
            *amount = amount.saturating_add(other.count);
        }
    }
    let device = gpus.map(|g| DeviceRequestSpec {
        kind: "gpu".into(),
        // More than a node can have stays impossible.
        count: u32::try_from(g.count).unwrap_or(u32::MAX),
        milli: DEVICE_MILLI,
        memory: None,
        models: if g.model.is_empty() { Vec::new() } else { vec![g.model.clone()] },
    });
    (requirement, device)
}

fn add_members(
    job: &Job,
    id: &str,
    members: &[Member],
    within: Option<&str>,
    tasks: &mut Vec<TaskSpec>,
    groups: &mut Vec<GroupSpec>,
) {
    let name = format!("job-{id}");
    let is_gang = members.len() > 1;
    if is_gang {
        groups.push(GroupSpec {
            name: name.clone(),
            conflict: vec!["node".into()],
            gang: Some(GangSpec { min_members: None, within: within.map(String::from) }),
            ..GroupSpec::default()
        });
    }
    for (rank, member) in members.iter().enumerate() {
        let mut origin = job.origin.clone();
        origin.insert("job_id".into(), id.to_string());
        tasks.push(TaskSpec {
            name: if is_gang { format!("{name}/{rank}") } else { name.clone() },
            kind: TaskKind::Job,
            weight: job.priority.clamp(1, AMOUNT_MAX),
            requirement: member.requirement.clone(),
            device: member.device.clone(),
            move_cost: 1,
            tenant: job.tenant.clone(),
            group: is_gang.then(|| name.clone()),
            selector: member.selector.clone(),
            origin,
            ..TaskSpec::default()
        });
    }
}
