//! Nomad: nodes, allocations and jobs in, allocations to stop out.
//!
//! `import` reads the answers of `/v1/nodes?resources=true`, `/v1/allocations?resources=true&namespace=*` and, for priorities and
//! constraints, `/v1/jobs?namespace=*` or single jobs (`/v1/job/ID`), in any order and number.
//!
//! * Capacity is what a node has less what it reserves: CPU in MHz, memory and disk in MiB, healthy GPUs as devices, other healthy
//!   devices as a resource `device/VENDOR/TYPE/NAME`. An allocation that holds devices is pinned, on those that it holds.
//! * An allocation is a task until its client says that it is complete, failed or lost. One that is to stop, or whose client is not
//!   heard of, holds its place: it is pinned. So are those of system and sysbatch jobs: they belong to their node. A job's priority
//!   is the weight of its allocations.
//! * An allocation needs what its tasks need at the same time: those before the main ones, the main ones, or those after them.
//! * `distinct_hosts` keeps the allocations of a job, or of a group of it, apart, `distinct_property` on the nodes that have the
//!   property; an allocation stays in its datacenter and node pool. Other constraints and host volumes become a label of the nodes
//!   that are known to meet them; who is on another one stays there. Lines of `/v1/nodes` tell few attributes: whole nodes
//!   (`/v1/node/ID`), which take the place of their line, tell all.
//! * Who has a volume of a plugin, or to itself, ports by number, or a sticky disk without migration is pinned. Affinities and spreads
//!   only prefer: they are counted.
//! * Cores that tasks reserve are a resource `cores`, where a node can have them reserved; who has some stays among nodes whose cores
//!   are as fast, since their shares of CPU depend on it.
//!
//! Nomad has no command that moves an allocation to a node: one that is stopped is placed anew by Nomad's scheduler. So `export`
//! gives hints only.
//!
//! Sources: hashicorp/nomad `api/nodes.go`, `api/allocations.go`, `nomad/structs/structs.go` (`AllocatedResources.Comparable`).

mod constraint;
mod fits;
mod job;
mod node;

use super::notes::{Document, Exported, Fate, Imported, Notes};
use super::record::{Kind, Record, figure, needed, values};
use super::shell::{comment, head, origin, quoted};
use crate::model::*;
use crate::plan::Plan;
use fits::Fits;
use job::{Job, JobId, PRIORITY_DEFAULT, jobs};
use node::{Device, Devices, Node, node};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Cores that tasks have to themselves.
const CORES: &str = "cores";
/// The label that tells how fast they are.
const CORE_MHZ: &str = "core_mhz";

/// Fields without bearing on placement.
const NODE_IRRELEVANT: [&str; 21] = [
    "Address",
    "CreateIndex",
    "LastDrain",
    "ModifyIndex",
    "StatusDescription",
    "Version",
    "CSIControllerPlugins",
    "CSINodePlugins",
    "CgroupParent",
    "ComputedClass",
    "Events",
    "HTTPAddr",
    "HostNetworks",
    "LastAllocUpdateIndex",
    "LastMissedHeartbeatIndex",
    "Links",
    "Reserved",
    "Resources",
    "SecretID",
    "StatusUpdatedAt",
    "TLSEnabled",
];
const ALLOCATION_IRRELEVANT: [&str; 26] = [
    "AllocModifyIndex",
    "AllocStates",
    "ClientDescription",
    "CreateIndex",
    "CreateTime",
    "DeploymentID",
    "DeploymentStatus",
    "DesiredDescription",
    "EvalID",
    "FollowupEvalID",
    "JobVersion",
    "Metrics",
    "ModifyIndex",
    "ModifyTime",
    "NetworkStatus",
    "NextAllocation",
    "PreemptedAllocations",
    "PreemptedByAllocation",
    "RescheduleTracker",
    // What AllocatedResources says as well, in the words of before 0.9.
    "Resources",
    "SharedResources",
    "SignedIdentities",
    "TaskResources",
    "TaskStates",
    "DesiredTransition",
    "NodeName",
];

/// The documents as a snapshot.
///
/// # Errors
/// Every fault, with document and place.
pub fn import(documents: &[Document]) -> Result<Imported, Faults> {
    let (mut faults, mut notes) = (Faults::new(), Notes::default());
    let [node_items, allocation_items, job_items] = items(documents, &mut faults);
    let node_items = without_lines(node_items);
    let (node_kind, allocation_kind) = (Kind::new("nodes"), Kind::new("allocations"));
    let mut nodes = Vec::new();
    for (place, value) in &node_items {
        let record = node_kind.record(value, place.clone(), &mut faults);
        nodes.extend(record.map(|record| node(&record, &mut notes, &mut faults)));
    }
    // Whole allocations (`/v1/allocation/ID`) have their job inside.
    let embedded =
        allocation_items.iter().filter_map(|(place, value)| Some((format!("{place}, Job"), value.get("Job")?)));
    let own = job_items.iter().map(|(place, value)| (place.clone(), value));
    let jobs = jobs(embedded.filter(|(_, job)| !job.is_null()).chain(own), &mut notes, &mut faults);
    let of = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_string();
    let in_use: HashSet<(String, String)> =
        allocation_items.iter().map(|(_, value)| (of(value, "JobID"), of(value, "TaskGroup"))).collect();
    let fits = Fits::new(&jobs, &in_use, &mut nodes);
    let index: HashMap<&str, usize> =
        nodes.iter().enumerate().map(|(n, node): (usize, &Node)| (node.spec.origin["node_id"].as_str(), n)).collect();
    let mut tasks = Vec::new();
    for (place, value) in &allocation_items {
        let record = allocation_kind.record(value, place.clone(), &mut faults);
        tasks.extend(record.and_then(|record| task(&record, &nodes, &index, &jobs, &fits, &mut notes, &mut faults)));
    }
    if faults.is_empty() && nodes.is_empty() {
        faults.add("I110", "documents", "there is no node in them", "add what /v1/nodes?resources=true answers");
    }
    node_kind.count_rest(node_items.iter().map(|(_, value)| value), &NODE_IRRELEVANT, &mut notes, &mut faults);
    allocation_kind.count_rest(
        allocation_items.iter().map(|(_, value)| value),
        &ALLOCATION_IRRELEVANT,
        &mut notes,
        &mut faults,
    );
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(Imported { snapshot: snapshot(nodes, tasks, &jobs), notes })
}

type Placed = (String, Value);

/// Nodes, allocations and jobs of all documents.
fn items(documents: &[Document], faults: &mut Faults) -> [Vec<Placed>; 3] {
    let mut sorted: [Vec<Placed>; 3] = Default::default();
    for document in documents {
        for value in values(document, faults) {
            let list = if let Value::Array(list) = value { list } else { vec![value] };
            for (i, item) in list.into_iter().enumerate() {
                let has = |name: &str| item.get(name).is_some();
                let kind = match () {
                    () if has("NodeResources") || has("SchedulingEligibility") => 0,
                    () if has("ClientStatus") => 1,
                    () if has("Priority") || has("TaskGroups") => 2,
                    () => {
                        let cause = "it is no node, allocation or job";
                        let remedy = "give the answers of /v1/nodes, /v1/allocations and /v1/jobs";
                        faults.add("I110", format!("{}[{i}]", document.name), cause, remedy);
                        continue;
                    }
                };
                sorted[kind].push((format!("{}[{i}]", document.name), item));
            }
        }
    }
    sorted
}

/// A whole node says all that its line in the list does.
fn without_lines(items: Vec<Placed>) -> Vec<Placed> {
    let id = |value: &Value| value.get("ID").and_then(Value::as_str).map(String::from);
    let whole: BTreeSet<String> =
        items.iter().filter(|(_, value)| constraint::is_whole(value)).filter_map(|(_, value)| id(value)).collect();
    let is_line = |value: &Value| !constraint::is_whole(value) && id(value).is_some_and(|id| whole.contains(&id));
    items.into_iter().filter(|(_, value)| !is_line(value)).collect()
}

/// A whole number inside objects, 0 where there is none.
fn inside(record: &Record<'_>, path: &[&'static str], faults: &mut Faults) -> i64 {
    figure(record.inner(path), || format!("{}, {}", record.place, path.join(".")), faults).unwrap_or(0)
}

/// Without `?resources=true` the answers lack what nodes have and allocations hold, and all of it would look like nothing.
fn require(record: &Record<'_>, field: &'static str, faults: &mut Faults) {
    if record.part(field).is_none() {
        faults.add("I301", &record.place, format!("it has no {field}"), "ask with ?resources=true");
    }
}

fn task(
    record: &Record<'_>,
    nodes: &[Node],
    index: &HashMap<&str, usize>,
    jobs: &BTreeMap<JobId, Job>,
    fits: &Fits,
    notes: &mut Notes,
    faults: &mut Faults,
) -> Option<TaskSpec> {
    let (id, name, node_id) = (record.id("ID", faults), record.text("Name"), record.id("NodeID", faults));
    let (namespace, job_id) = (record.text("Namespace"), record.text("JobID"));
    let of_job = || record.part("Job").map(|job| job.text("Type"));
    let kind = Some(record.text("JobType")).filter(|kind| !kind.is_empty()).or_else(of_job);
    let namespace = if namespace.is_empty() { "default".to_string() } else { namespace };
    let group_name = record.text("TaskGroup");
    let (desired, status) = (record.text("DesiredStatus"), record.text("ClientStatus"));
    if ["complete", "failed", "lost"].contains(&status.as_str()) {
        notes.add(Fate::Irrelevant, "allocations that are over");
        return None;
    }
    let Some(n) = index.get(node_id.as_str()).copied() else {
        notes.add(Fate::LeftOut, "allocations on nodes that are not in the list");
        return None;
    };
    let node = &nodes[n];
    let (mut requirement, gpus) = wants(record, &node.devices, notes, faults);
    let job_key = (namespace.clone(), job_id.clone());
    let job = jobs.get(&job_key);
    let kind = kind.or(job.map(|job| job.kind.clone()));
    let group = job.and_then(|job| job.groups.get(&group_name));
    let fit = fits.get(&job_key, &group_name);
    let is_met = fit.map_or(Some(true), |fit| fit.is_met[n]);
    let pinned = match job {
        _ if desired != "run" => Some("it is to stop, and holds its place until then"),
        _ if !["running", "pending"].contains(&status.as_str()) => Some("nobody knows whether it still runs"),
        _ if kind.is_some_and(|kind| ["system", "sysbatch"].contains(&kind.as_str())) => {
            Some("it belongs to its node (system job)")
        }
        Some(job) if job.is_whole && group.is_none() => Some("its job has no longer the group that it is of"),
        _ if group.is_some_and(|group| group.bound.is_some()) => group.and_then(|group| group.bound),
        _ if is_met.is_none() => {
            Some("nobody can tell here which nodes meet its job: whole nodes (/v1/node/ID) tell most")
        }
        _ if is_met == Some(false) => Some("its node does not meet the constraints of its job as they are now"),
        _ if has_fixed_ports(record) => Some("it has ports by number, which others on a node may have"),
        // What it asks of them is in its job, where nobody looks for it.
        _ if !gpus.is_empty() || requirement.keys().any(|name| name.starts_with("device/")) => Some("it holds devices"),
        _ if requirement.contains_key(CORES) && node.cores.is_none() => {
            Some("it holds cores that its node does not tell of")
        }
        _ => None,
    };
    if let Some(why) = pinned {
        notes.add(Fate::Pinned, &format!("allocations: {why}"));
    }
    if job.is_none() {
        notes.add(Fate::LeftOut, "jobs of allocations that are in no list of jobs: their priority and constraints");
    }
    if pinned.is_none() && job.is_some_and(|job| !job.is_whole) {
        notes.add(
            Fate::LeftOut,
            "constraints of jobs that are only in the list: allocations whose /v1/job/ID is not there",
        );
    }
    let mut origin =
        BTreeMap::from([("allocation_id".to_string(), id.clone()), ("namespace".to_string(), namespace.clone())]);
    origin.extend(pinned.map(|why| ("pinned".to_string(), why.to_string())));
    let here = |label: &str| (label.to_string(), vec![node.spec.labels.get(label).cloned().unwrap_or_default()]);
    let mut selector: BTreeMap<String, Vec<String>> = [here("datacenter"), here("node_pool")].into();
    // Who stays on a node that does not meet its job breaks no rule that a plan could mend.
    let label = fit.filter(|_| is_met == Some(true)).and_then(|fit| fit.label.clone());
    selector.extend(label.map(|label| (label, vec!["yes".to_string()])));
    requirement.retain(|name, _| name != CORES || node.cores.is_some());
    if let Some((_, speed)) = node.cores.filter(|_| requirement.contains_key(CORES)) {
        notes.add(Fate::Stricter, "allocations that reserve cores: they stay among nodes whose cores are as fast");
        selector.insert(CORE_MHZ.into(), vec![speed.to_string()]);
    }
    let apart = job.zip(group).and_then(|(job, group)| match (job.apart.is_empty(), group.apart.is_empty()) {
        (true, true) => None,
        (true, false) => Some(format!("{namespace}/{job_id}/{group_name}")),
        (false, _) => Some(format!("{namespace}/{job_id}")),
    });
    Some(TaskSpec {
        name: format!("{name}.{}", id.chars().take(8).collect::<String>()),
        weight: job.map_or(PRIORITY_DEFAULT, |job| job.priority),
        requirement,
        device: u32::try_from(gpus.len()).ok().filter(|count| *count > 0).map(|count| DeviceRequestSpec {
            kind: "gpu".into(),
            count,
            milli: DEVICE_MILLI,
            memory: None,
            models: Vec::new(),
        }),
        placement: vec![PieceSpec { node: node.spec.name.clone(), share: None, devices: gpus }],
        pinned: pinned.is_some(),
        move_cost: 1,
        tenant: Some(namespace.clone()),
        // Nomad lets the next one come while this one still stops.
        group: apart.filter(|_| desired == "run"),
        selector,
        origin,
        ..TaskSpec::default()
    })
}

/// Does a task of an allocation run before the main ones, beside them, after them?
fn stages(lifecycle: Option<&Record<'_>>) -> [bool; 3] {
    // One that does not say so may run beside the others.
    let is_sidecar = lifecycle.is_some_and(|lifecycle| lifecycle.get("Sidecar").is_none() || lifecycle.flag("Sidecar"));
    match lifecycle.map(|lifecycle| lifecycle.text("Hook")).as_deref() {
        Some("prestart") => [true, is_sidecar, false],
        Some("poststop") => [false, is_sidecar, true],
        _ => [false, true, false],
    }
}

/// Whether an allocation holds ports that its job names by number, as it says itself.
fn has_fixed_ports(record: &Record<'_>) -> bool {
    let Some(given) = record.part("AllocatedResources") else { return false };
    let tasks = given.named("Tasks").into_iter().map(|(_, task)| task);
    let mut networks = tasks.chain(given.part("Shared")).flat_map(|part| part.parts("Networks"));
    networks.any(|network| !network.list("ReservedPorts").is_empty())
}

/// What an allocation was given, and the numbers of its GPUs.
fn wants(
    record: &Record<'_>,
    devices: &Devices,
    notes: &mut Notes,
    faults: &mut Faults,
) -> (BTreeMap<String, i64>, Vec<u32>) {
    require(record, "AllocatedResources", faults);
    let (mut cpu, mut memory, mut cores, mut gpus) = ([0i64; 3], [0i64; 3], [0i64; 3], Vec::new());
    let mut others: BTreeMap<String, i64> = BTreeMap::new();
    let Some(given) = record.part("AllocatedResources") else { return (others, gpus) };
    let tasks = given.named("Tasks");
    if tasks.is_empty() {
        faults.add("I301", &given.place, "it has no Tasks, and would hold nothing", "give the answer as it is");
    }
    let lifecycles = given.part("TaskLifecycles");
    let mut amount = |of: &Record<'_>, path: &[&'static str]| {
        needed(of.inner(path), || format!("{}, {}", of.place, path.join(".")), faults)
    };
    for (name, task) in tasks {
        let (own_cpu, own_memory) = (amount(&task, &["Cpu", "CpuShares"]), amount(&task, &["Memory", "MemoryMB"]));
        let own_cores =
            task.part("Cpu").and_then(|cpu| cpu.numbers("ReservedCores")).map_or(0, |list| list.len() as i64);
        let runs = stages(lifecycles.as_ref().and_then(|lifecycles| lifecycles.find(name)).as_ref());
        for stage in (0..runs.len()).filter(|stage| runs[*stage]) {
            cpu[stage] = cpu[stage].saturating_add(own_cpu);
            memory[stage] = memory[stage].saturating_add(own_memory);
            cores[stage] += own_cores;
        }
        for held in task.parts("Devices") {
            let device = Device::of(&held);
            for id in held.words("DeviceIDs") {
                match devices.number(&device, &id) {
                    Some(number) if !gpus.contains(&number) => gpus.push(number),
                    _ if device.is_gpu() || !devices.has(&device, &id) => {
                        notes.add(Fate::LeftOut, "devices of allocations that their node does not have")
                    }
                    _ => *others.entry(device.resource()).or_default() += 1,
                }
            }
        }
    }
    gpus.sort_unstable();
    let disk = amount(&given, &["Shared", "DiskMB"]);
    let [cpu, memory, cores] = [cpu, memory, cores].map(|stages| stages.into_iter().fold(0, i64::max));
    others.extend((cores > 0).then(|| (CORES.to_string(), cores)));
    others.extend([("cpu", cpu), ("memory", memory), ("disk", disk)].map(|(name, amount)| (name.to_string(), amount)));
    (others, gpus)
}

fn snapshot(mut nodes: Vec<Node>, tasks: Vec<TaskSpec>, jobs: &BTreeMap<JobId, Job>) -> Snapshot {
    if tasks.iter().any(|task| task.requirement.contains_key(CORES)) {
        for node in &mut nodes {
            let Some((cores, speed)) = node.cores else { continue };
            node.spec.allocatable.insert(CORES.into(), cores);
            node.spec.labels.insert(CORE_MHZ.into(), speed.to_string());
        }
    }
    let groups = groups(&tasks, jobs);
    let levels: BTreeSet<String> =
        groups.iter().flat_map(|group| &group.conflict).filter(|level| *level != "node").cloned().collect();
    for node in &mut nodes {
        let domain = |level: &String| Some((level.clone(), node.facts.property(level)?.to_string()));
        node.spec.domains = levels.iter().filter_map(domain).collect();
    }
    let nodes: Vec<NodeSpec> = nodes.into_iter().map(|node| node.spec).collect();
    let amounts = nodes.iter().map(|node| &node.allocatable).chain(tasks.iter().map(|task| &task.requirement));
    let names: BTreeSet<&String> = amounts.flat_map(|amounts| amounts.keys()).collect();
    let unit = |name: &str| match name {
        "cpu" => "MHz",
        "memory" | "disk" => "MiB",
        _ => "",
    };
    let resource = |name: &String| ResourceSpec {
        name: name.clone(),
        unit: unit(name).into(),
        transient: true,
        ..ResourceSpec::default()
    };
    Snapshot {
        name: "nomad".into(),
        resources: names.into_iter().map(resource).collect(),
        levels: levels.into_iter().collect(),
        groups,
        nodes,
        tasks,
        objective: ObjectiveSpec { task_move_weight: 1, ..ObjectiveSpec::default() },
        ..Snapshot::default()
    }
}

/// Tasks that are kept apart. Where a job says so for all of its groups, what one of them says in addition holds for all: a task has
/// one group.
fn groups(tasks: &[TaskSpec], jobs: &BTreeMap<JobId, Job>) -> Vec<GroupSpec> {
    let used: BTreeSet<&String> = tasks.iter().filter_map(|task| task.group.as_ref()).collect();
    let mut conflicts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for ((namespace, id), job) in jobs {
        for (name, group) in &job.groups {
            let whole = format!("{namespace}/{id}");
            let name = if job.apart.is_empty() { format!("{whole}/{name}") } else { whole };
            conflicts.entry(name).or_default().extend(job.apart.iter().chain(&group.apart).cloned());
        }
    }
    conflicts.retain(|name, _| used.contains(name));
    let spec = |(name, conflict): (String, BTreeSet<String>)| GroupSpec {
        name,
        conflict: conflict.into_iter().collect(),
        ..GroupSpec::default()
    };
    conflicts.into_iter().map(spec).collect()
}

const ABOUT: &str = "\
Targets are hints: Nomad places a stopped allocation anew, where its own scheduler likes. To see where, wait for the end of the
evaluation (nomad alloc stop does) and take a new snapshot.";

/// A script to review: allocations to stop, one per line, waves marked.
///
/// # Errors
/// Moves that begin or end nowhere, or of tasks that did not come from Nomad.
pub fn export(snapshot: &Snapshot, problem: &Problem, plan: &Plan) -> Result<Exported, Faults> {
    let (mut faults, mut notes) = (Faults::new(), Notes::default());
    let mut text = head(&format!("Nomad allocations to place anew, for the snapshot {}.", plan.fingerprint), ABOUT);
    for (number, moves) in plan.waves.iter().enumerate() {
        text.push_str(&format!("\n# wave {}\n", number + 1));
        for step in moves {
            let spec = &snapshot.tasks[step.task.index()];
            let ([_], [to]) = (step.from.pieces(), step.to.pieces()) else {
                faults.add(
                    "I302",
                    format!("task {}", spec.name),
                    "the plan starts or stops it",
                    "Nomad starts what it can by itself",
                );
                continue;
            };
            let [id, namespace] = ["allocation_id", "namespace"].map(|key| origin(spec, key, "nomad", &mut faults));
            let (Some(id), Some(namespace)) = (id, namespace) else { continue };
            let hint = comment(&format!("{} (hint: {})", spec.name, problem.nodes[to.node.index()].name));
            text.push_str(&format!("run nomad alloc stop -namespace={} {}  # {hint}\n", quoted(namespace), quoted(id)));
            notes.add(Fate::LeftOut, "targets, which are hints: Nomad places a stopped allocation anew");
        }
    }
    if faults.is_empty() { Ok(Exported { text, notes }) } else { Err(faults) }
}
