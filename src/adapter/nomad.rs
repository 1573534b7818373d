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
//! * A constraint `distinct_hosts` keeps the allocations of a job apart; an allocation stays in its datacenter and node pool. Any other
//!   constraint is counted, and pins the allocations of its job.
//!
//! Nomad has no command that moves an allocation to a node: one that is stopped is placed anew by Nomad's scheduler. So `export`
//! gives hints only.
//!
//! Sources: hashicorp/nomad `api/nodes.go`, `api/allocations.go`, `api/jobs.go`, `api/constraint.go`, `nomad/structs/structs.go`
//! (`AllocatedResources.Comparable`).

use super::notes::{Document, Exported, Fate, Imported, Notes};
use super::record::{Kind, Record, figure, values, whole};
use super::shell::{comment, head, origin, quoted};
use crate::model::*;
use crate::plan::Plan;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Priority of a job that says nothing.
const PRIORITY_DEFAULT: i64 = 50;

/// Fields without bearing on placement.
const NODE_IRRELEVANT: [&str; 11] = [
    "Address",
    "Attributes",
    "CreateIndex",
    "Drivers",
    "HostVolumes",
    "LastDrain",
    "ModifyIndex",
    "NodeClass",
    "StatusDescription",
    "Version",
    "Meta",
];
const ALLOCATION_IRRELEVANT: [&str; 17] = [
    "ClientDescription",
    "CreateIndex",
    "CreateTime",
    "DeploymentStatus",
    "DesiredDescription",
    "EvalID",
    "FollowupEvalID",
    "JobVersion",
    "ModifyIndex",
    "ModifyTime",
    "NextAllocation",
    "PreemptedAllocations",
    "PreemptedByAllocation",
    "RescheduleTracker",
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
    let (node_kind, allocation_kind) = (Kind::new("nodes"), Kind::new("allocations"));
    let mut nodes = Vec::new();
    for (place, value) in &node_items {
        let record = node_kind.record(value, place.clone(), &mut faults);
        nodes.extend(record.map(|record| node(&record, &mut faults)));
    }
    // Whole allocations (`/v1/allocation/ID`) have their job inside.
    let embedded = allocation_items.iter().filter_map(|(_, value)| value.get("Job"));
    let jobs = jobs(embedded.chain(job_items.iter().map(|(_, value)| value)));
    let index: HashMap<&str, &(NodeSpec, Devices)> =
        nodes.iter().map(|node: &(NodeSpec, Devices)| (node.0.origin["node_id"].as_str(), node)).collect();
    let mut tasks = Vec::new();
    for (place, value) in &allocation_items {
        let record = allocation_kind.record(value, place.clone(), &mut faults);
        tasks.extend(record.and_then(|record| task(&record, &index, &jobs, &mut notes, &mut faults)));
    }
    if faults.is_empty() && nodes.is_empty() {
        faults.add("I110", "documents", "there is no node in them", "add what /v1/nodes?resources=true answers");
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    node_kind.count_rest(node_items.iter().map(|(_, value)| value), &NODE_IRRELEVANT, &mut notes);
    allocation_kind.count_rest(allocation_items.iter().map(|(_, value)| value), &ALLOCATION_IRRELEVANT, &mut notes);
    Ok(Imported { snapshot: snapshot(nodes.into_iter().map(|(node, _)| node).collect(), tasks), notes })
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

/// A whole number inside objects, 0 where there is none.
fn inside(record: &Record<'_>, path: &[&'static str], faults: &mut Faults) -> i64 {
    figure(record.inner(path), || format!("{}, {}", record.place, path.join(".")), faults).unwrap_or(0)
}

/// Without `?resources=true` the answers lack what nodes have and allocations hold, and all of it would look like nothing.
fn require(record: &Record<'_>, field: &'static str, faults: &mut Faults) {
    if record.get(field).is_none() {
        faults.add("I301", &record.place, format!("it has no {field}"), "ask with ?resources=true");
    }
}

fn node(record: &Record<'_>, faults: &mut Faults) -> (NodeSpec, Devices) {
    require(record, "NodeResources", faults);
    let mut left = |group: &'static str, field: &'static str| {
        let own = inside(record, &["NodeResources", group, field], faults);
        own.saturating_sub(inside(record, &["ReservedResources", group, field], faults)).max(0)
    };
    let amounts =
        [("cpu", left("Cpu", "CpuShares")), ("memory", left("Memory", "MemoryMB")), ("disk", left("Disk", "DiskMB"))];
    let (name, id) = (record.text("Name"), record.text("ID"));
    let is_open =
        record.text("Status") == "ready" && record.text("SchedulingEligibility") == "eligible" && !record.flag("Drain");
    let mut node = NodeSpec {
        allocatable: amounts.map(|(name, amount)| (name.to_string(), amount)).into(),
        cordoned: !is_open,
        origin: [("node_id".to_string(), id)].into(),
        ..NodeSpec::default()
    };
    for (label, value) in
        [("node", name.clone()), ("datacenter", record.text("Datacenter")), ("node_pool", record.text("NodePool"))]
    {
        node.labels.insert(label.into(), value);
    }
    let devices = Devices::of(record);
    for (device, instances) in &devices.0 {
        match u32::try_from(instances.len()) {
            Ok(count) if device.is_gpu() && count > 0 => {
                node.devices.push(DevicesSpec { kind: "gpu".into(), model: device.name.clone(), count });
            }
            _ if device.is_gpu() => {}
            _ => _ = node.allocatable.insert(device.resource(), instances.len() as i64),
        }
    }
    node.name = name;
    (node, devices)
}

/// What devices are called: those of one group are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Device {
    vendor: String,
    kind: String,
    name: String,
}

impl Device {
    fn of(value: &Value) -> Device {
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_string();
        Device { vendor: text("Vendor"), kind: text("Type"), name: text("Name") }
    }

    fn is_gpu(&self) -> bool {
        self.kind == "gpu"
    }

    /// Devices that are no GPUs are counted only.
    fn resource(&self) -> String {
        format!("device/{}/{}/{}", self.vendor, self.kind, self.name)
    }
}

/// The groups of devices of a node, each with the ids of its instances: those that are not healthy are left out, as Nomad gives
/// none of them away.
struct Devices(Vec<(Device, Vec<String>)>);

impl Devices {
    fn of(node: &Record<'_>) -> Devices {
        let list = node.inner(&["NodeResources", "Devices"]).and_then(Value::as_array);
        let ids = |value: &Value| -> Vec<String> {
            let instances = value.get("Instances").and_then(Value::as_array).into_iter().flatten();
            let healthy = instances.filter(|instance| instance.get("Healthy") != Some(&Value::Bool(false)));
            healthy.map(|instance| instance.get("ID").and_then(Value::as_str).unwrap_or_default().to_string()).collect()
        };
        Devices(list.into_iter().flatten().map(|value| (Device::of(value), ids(value))).collect())
    }

    /// Is it one of its node's that work?
    fn has(&self, device: &Device, id: &str) -> bool {
        self.0.iter().any(|(group, ids)| group == device && ids.iter().any(|known| known == id))
    }

    /// The number of a GPU among those of its node.
    fn number(&self, device: &Device, id: &str) -> Option<u32> {
        let gpus = self.0.iter().filter(|(group, _)| group.is_gpu());
        let mut all = gpus.flat_map(|(group, ids)| ids.iter().map(move |id| (group, id)));
        u32::try_from(all.position(|(group, known)| group == device && known == id)?).ok()
    }
}

/// What matters of a job.
#[derive(Debug, Clone)]
struct Job {
    priority: i64,
    keeps_apart: bool,
    /// It has constraints that are not understood.
    is_bound: bool,
    /// Its constraints are known: it is more than a line of the list of jobs.
    is_whole: bool,
}

/// Jobs by namespace and id. A line of the list says less than the job itself, in whatever order they come.
fn jobs<'a>(values: impl Iterator<Item = &'a Value>) -> HashMap<(String, String), Job> {
    let mut jobs: HashMap<(String, String), Job> = HashMap::new();
    for (id, job) in values.map(Job::read) {
        if job.is_whole || !jobs.get(&id).is_some_and(|known| known.is_whole) {
            jobs.insert(id, job);
        }
    }
    jobs
}

impl Job {
    fn read(value: &Value) -> ((String, String), Job) {
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_string();
        let lists = |value: &Value| value.get("Constraints").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut constraints = lists(value);
        for group in value.get("TaskGroups").and_then(Value::as_array).into_iter().flatten() {
            constraints.extend(lists(group));
            constraints.extend(group.get("Tasks").and_then(Value::as_array).into_iter().flatten().flat_map(lists));
        }
        let is_apart = |c: &&Value| c.get("Operand").and_then(Value::as_str) == Some("distinct_hosts");
        let apart = constraints.iter().filter(is_apart).count();
        let priority = value.get("Priority").and_then(|v| whole(v).ok().flatten()).unwrap_or(PRIORITY_DEFAULT);
        let job = Job {
            priority: priority.clamp(1, AMOUNT_MAX),
            keeps_apart: apart > 0,
            is_bound: constraints.len() > apart,
            is_whole: value.get("TaskGroups").is_some(),
        };
        let namespace = if text("Namespace").is_empty() { "default".into() } else { text("Namespace") };
        ((namespace, text("ID")), job)
    }
}

fn task(
    record: &Record<'_>,
    nodes: &HashMap<&str, &(NodeSpec, Devices)>,
    jobs: &HashMap<(String, String), Job>,
    notes: &mut Notes,
    faults: &mut Faults,
) -> Option<TaskSpec> {
    let (id, name, node_id) = (record.text("ID"), record.text("Name"), record.text("NodeID"));
    let (namespace, job_id) = (record.text("Namespace"), record.text("JobID"));
    let kind = record.get("JobType").or_else(|| record.inner(&["Job", "Type"])).and_then(Value::as_str);
    let namespace = if namespace.is_empty() { "default".to_string() } else { namespace };
    record.text("TaskGroup");
    let (desired, status) = (record.text("DesiredStatus"), record.text("ClientStatus"));
    if ["complete", "failed", "lost"].contains(&status.as_str()) {
        notes.add(Fate::Irrelevant, "allocations that are over");
        return None;
    }
    let Some((node, devices)) = nodes.get(node_id.as_str()) else {
        notes.add(Fate::LeftOut, "allocations on nodes that are not in the list");
        return None;
    };
    let (requirement, gpus) = wants(record, devices, notes, faults);
    let job = jobs.get(&(namespace.clone(), job_id.clone()));
    let pinned = match job {
        _ if desired != "run" => Some("it is to stop, and holds its place until then"),
        _ if !["running", "pending"].contains(&status.as_str()) => Some("nobody knows whether it still runs"),
        _ if kind.is_some_and(|kind| ["system", "sysbatch"].contains(&kind)) => {
            Some("it belongs to its node (system job)")
        }
        Some(job) if job.is_bound => Some("its job has constraints that are not understood here"),
        // What it asks of them is in its job, where nobody looks for it.
        _ if !gpus.is_empty() || requirement.keys().any(|name| name.starts_with("device/")) => Some("it holds devices"),
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
    let here = |label: &str| (label.to_string(), vec![node.labels.get(label).cloned().unwrap_or_default()]);
    Some(TaskSpec {
        name: format!("{name}.{}", id.chars().take(8).collect::<String>()),
        weight: job.map_or(PRIORITY_DEFAULT, |job| job.priority),
        requirement,
        device: u32::try_from(gpus.len()).ok().filter(|count| *count > 0).map(|count| DeviceRequestSpec {
            kind: "gpu".into(),
            count,
            milli: DEVICE_MILLI,
            models: Vec::new(),
        }),
        placement: vec![PieceSpec { node: node.name.clone(), share: None, devices: gpus }],
        pinned: pinned.is_some(),
        move_cost: 1,
        tenant: Some(namespace.clone()),
        // Nomad lets the next one come while this one still stops.
        group: job.filter(|job| job.keeps_apart && desired == "run").map(|_| format!("{namespace}/{job_id}")),
        selector: [here("datacenter"), here("node_pool")].into(),
        origin,
        ..TaskSpec::default()
    })
}

/// Does a task of an allocation run before the main ones, beside them, after them?
fn stages(lifecycle: Option<&Value>) -> [bool; 3] {
    let field = |name: &str| lifecycle.and_then(|lifecycle| lifecycle.get(name));
    let is_sidecar = field("Sidecar") == Some(&Value::Bool(true));
    match field("Hook").and_then(Value::as_str) {
        Some("prestart") => [true, is_sidecar, false],
        Some("poststop") => [false, is_sidecar, true],
        _ => [false, true, false],
    }
}

/// What an allocation was given, and the numbers of its GPUs.
fn wants(
    record: &Record<'_>,
    devices: &Devices,
    notes: &mut Notes,
    faults: &mut Faults,
) -> (BTreeMap<String, i64>, Vec<u32>) {
    require(record, "AllocatedResources", faults);
    let (mut cpu, mut memory, mut gpus) = ([0i64; 3], [0i64; 3], Vec::new());
    let mut others: BTreeMap<String, i64> = BTreeMap::new();
    let lifecycles = record.inner(&["AllocatedResources", "TaskLifecycles"]);
    for (name, task) in record.inner(&["AllocatedResources", "Tasks"]).and_then(Value::as_object).into_iter().flatten()
    {
        let mut of_task = |path: &str| {
            let place = || format!("{}, AllocatedResources{path}", record.place);
            figure(task.pointer(path), place, faults).unwrap_or(0)
        };
        let (own_cpu, own_memory) = (of_task("/Cpu/CpuShares"), of_task("/Memory/MemoryMB"));
        let runs = stages(lifecycles.and_then(|lifecycles| lifecycles.get(name)));
        for stage in (0..runs.len()).filter(|stage| runs[*stage]) {
            cpu[stage] = cpu[stage].saturating_add(own_cpu);
            memory[stage] = memory[stage].saturating_add(own_memory);
        }
        for held in task.get("Devices").and_then(Value::as_array).into_iter().flatten() {
            let device = Device::of(held);
            let ids = held.get("DeviceIDs").and_then(Value::as_array).into_iter().flatten();
            for id in ids.map(|id| id.as_str().unwrap_or_default()) {
                match devices.number(&device, id) {
                    Some(number) if !gpus.contains(&number) => gpus.push(number),
                    _ if device.is_gpu() || !devices.has(&device, id) => {
                        notes.add(Fate::LeftOut, "devices of allocations that their node does not have")
                    }
                    _ => *others.entry(device.resource()).or_default() += 1,
                }
            }
        }
    }
    gpus.sort_unstable();
    let disk = inside(record, &["AllocatedResources", "Shared", "DiskMB"], faults);
    let [cpu, memory] = [cpu, memory].map(|stages| stages.into_iter().fold(0, i64::max));
    others.extend([("cpu", cpu), ("memory", memory), ("disk", disk)].map(|(name, amount)| (name.to_string(), amount)));
    (others, gpus)
}

fn snapshot(nodes: Vec<NodeSpec>, tasks: Vec<TaskSpec>) -> Snapshot {
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
    let groups: BTreeSet<String> = tasks.iter().filter_map(|task| task.group.clone()).collect();
    let group = |name: String| GroupSpec { name, conflict: vec!["node".into()], ..GroupSpec::default() };
    Snapshot {
        name: "nomad".into(),
        resources: names.into_iter().map(resource).collect(),
        groups: groups.into_iter().map(group).collect(),
        nodes,
        tasks,
        objective: ObjectiveSpec { task_move_weight: 1, ..ObjectiveSpec::default() },
        ..Snapshot::default()
    }
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
