//! What does Slurm say of a job? From `squeue --json` or `scontrol show jobs --json`, in the words of every version since 22.05.

use super::gres::{Gres, gres, listed, tres};
use super::hostlist::hosts;
use crate::adapter::record::{Record, figure};
use crate::model::{AMOUNT_MAX, Faults};
use serde_json::Value;
use std::collections::BTreeMap;

/// Fields without bearing on where a job may run: who, when, why, and where its files are.
pub const IRRELEVANT: [&str; 67] = [
    "accrue_time",
    "admin_comment",
    "allocating_node",
    "association_id",
    "batch_flag",
    "batch_host",
    "billable_tres",
    "cluster",
    "cluster_features",
    "command",
    "comment",
    "container",
    "container_id",
    "cpu_frequency_governor",
    "cpu_frequency_maximum",
    "cpu_frequency_minimum",
    "cron",
    "current_working_directory",
    "delay_boot",
    "derived_exit_code",
    "end_time",
    "eligible_time",
    "exit_code",
    "extra",
    "failed_node",
    "federation_origin",
    "federation_siblings_active",
    "federation_siblings_viable",
    "flags",
    "group_id",
    "group_name",
    "job_size_str",
    "last_sched_evaluation",
    "mail_type",
    "mail_user",
    "max_cpus",
    "maximum_switch_wait_time",
    "nice",
    "oversubscribe",
    "power",
    "pre_sus_time",
    "preempt_time",
    "preemptable_time",
    "priority_by_partition",
    "profile",
    "qos",
    "requeue",
    "resize_time",
    "restart_cnt",
    "scheduled_nodes",
    "selinux_context",
    "show_flags",
    "standard_error",
    "standard_input",
    "standard_output",
    "start_time",
    "state_description",
    "stderr_expanded",
    "stdin_expanded",
    "stdout_expanded",
    "submit_line",
    "suspend_time",
    "system_comment",
    "tres_bind",
    "user_id",
    "het_job_offset",
    "wckey",
];

/// What becomes of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It holds what it was given.
    Running,
    /// It waits for room.
    Waiting,
    /// It waits, but not for room; the words say for what.
    Barred(String),
    /// It is over, or ends just now.
    Over,
}

/// What a job was given on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Node name.
    pub node: String,
    /// CPUs.
    pub cpus: i64,
    /// MiB.
    pub memory: i64,
    /// GPUs and other generic resources.
    pub gres: Vec<Gres>,
}

/// How much memory a job asks for on each node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Memory {
    /// MiB per node.
    PerNode(i64),
    /// MiB per CPU.
    PerCpu(i64),
    /// MiB per GPU.
    PerGpu(i64),
    /// Nothing is said: all that the node has.
    Whole,
}

/// A job as it matters here.
#[derive(Debug)]
pub struct Job {
    /// What `scontrol update` calls it: `17`, or `17_[3-5]` before it is taken apart.
    pub id: String,
    /// Account it is for; else its user.
    pub tenant: Option<String>,
    /// For people.
    pub origin: BTreeMap<String, String>,
    /// What becomes of it.
    pub state: State,
    /// 0 means held.
    pub priority: i64,
    /// What it was given; empty unless it runs.
    pub parts: Vec<Part>,
    /// Waiting tasks of an array, and how many of the array may run at once (0 = all).
    pub array: Option<(i64, String, i64)>,
    /// Any of these partitions will do.
    pub partitions: Vec<String>,
    /// Constraint on features.
    pub features: String,
    /// Nodes that must be among its own.
    pub required: String,
    /// Nodes that must not.
    pub excluded: String,
    /// Nodes it wants.
    pub nodes: i64,
    /// CPUs on each of them.
    pub cpus: i64,
    /// Memory on each of them.
    pub memory: Memory,
    /// Generic resources on each of them; `Err` says which field cannot be said of a node.
    pub gres: Result<Vec<Gres>, &'static str>,
    /// CPUs for each of its GPUs.
    pub cpus_per_gpu: i64,
    /// Most switches that its nodes should be on; 0 = any number.
    pub switches: i64,
    /// MiB of temporary disk that each of its nodes must have.
    pub temporary_disk: i64,
    /// It waits until its partition is up again, as it is to be while a plan is made.
    pub waits_for_partition: bool,
    /// What it asks for and a snapshot cannot say.
    pub unsaid: Option<&'static str>,
    /// Nobody else on its nodes.
    pub is_exclusive: bool,
    /// How much of memory the job has been given says whether Slurm counts it.
    pub memory_given: Option<i64>,
}

impl Job {
    /// Reads one.
    pub fn read(record: &Record<'_>, faults: &mut Faults) -> Job {
        let array_id = record.whole("array_job_id", faults).unwrap_or(0);
        let tasks_waiting = record.text("array_task_string");
        let array_max = record.whole("array_max_tasks", faults).unwrap_or(0);
        let id = match record.whole("array_task_id", faults) {
            // A task of an array that is a job by now.
            Some(index) if array_id > 0 && tasks_waiting.is_empty() => format!("{array_id}_{index}"),
            _ => record.id("job_id", faults),
        };
        let given = record.text("tres_alloc_str");
        let asked = record.text("tres_req_str");
        let mut origin: BTreeMap<String, String> = BTreeMap::new();
        for (key, text) in
            [("job_name", record.text("name")), ("user", record.text("user_name")), ("job_id", id.clone())]
        {
            origin.insert(key.into(), text);
        }
        let tenant = [record.text("account"), record.text("user_name")].into_iter().find(|name| !name.is_empty());
        let submitted = record.whole("submit_time", faults).unwrap_or(0);
        origin.insert("submit_time".into(), submitted.to_string());
        // Where it runs; told again, part by part, in job_resources.
        record.get("nodes");
        let priority = record.whole("priority", faults).unwrap_or(0);
        let state = state(record, priority, faults);
        let nodes = node_count(record, &asked, faults);
        let cpus = cpus_per_node(record, &asked, nodes, faults);
        Job {
            parts: if state == State::Running { parts(record, &given, faults) } else { Vec::new() },
            array: (array_id > 0).then_some((array_id, tasks_waiting, array_max)),
            partitions: record.words("partition"),
            features: record.text("features"),
            required: record.text("required_nodes"),
            excluded: record.text("excluded_nodes"),
            memory: memory(record, faults),
            gres: wanted_gres(record, &asked, nodes, faults),
            cpus_per_gpu: per_gpu(record, "cpus_per_tres", faults).unwrap_or(0),
            switches: ["required_switches", "minimum_switches"]
                .into_iter()
                .find_map(|name| record.whole(name, faults).filter(|switches| *switches > 0))
                .unwrap_or(0),
            temporary_disk: record.whole("minimum_tmp_disk_per_node", faults).unwrap_or(0),
            waits_for_partition: record.text("state_reason").starts_with("Partition"),
            unsaid: unsaid(record, nodes, faults),
            is_exclusive: ["shared", "exclusive"].map(|name| is_exclusive(&record.words(name))).contains(&true),
            memory_given: tres(&given, "mem"),
            id,
            tenant,
            origin,
            state,
            priority,
            nodes,
            cpus,
        }
    }
}

/// In 16 bits, from here on no figure is one: cores and threads that nobody asked for are this or 65,534.
const UNSET: i64 = 0x7ffe;

/// The first field by which a job asks for what a snapshot cannot say.
fn unsaid(record: &Record<'_>, nodes: i64, faults: &mut Faults) -> Option<&'static str> {
    const FIGURES: [&str; 7] = [
        "core_spec",
        "thread_spec",
        "sockets_per_node",
        "cores_per_socket",
        "threads_per_core",
        "tasks_per_core",
        "tasks_per_socket",
    ];
    // All are asked for, so that none counts as a field that nobody reads.
    let figures = FIGURES.map(|name| (name, (1..UNSET).contains(&record.whole(name, faults).unwrap_or(0))));
    let words = ["mcs_label", "batch_features"].map(|name| (name, !record.text(name).is_empty()));
    let is_contiguous = [("contiguous", record.flag("contiguous") && nodes > 1)];
    let all = figures.into_iter().chain(words).chain(is_contiguous);
    all.filter(|(_, is_asked)| *is_asked).map(|(name, _)| name).next()
}

/// `--exclusive` in the words of several versions; exclusive per user or account counts as wholly exclusive.
fn is_exclusive(words: &[String]) -> bool {
    words.iter().any(|word| ["none", "true", "user", "mcs", "topo"].contains(&word.as_str()))
}

/// States of jobs that are over, or end just now; what these still hold is in use on their nodes.
const OVER: [&str; 14] = [
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "COMPLETING",
    "DEADLINE",
    "EXPEDITING",
    "FAILED",
    "LAUNCH_FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "REVOKED",
    "SPECIAL_EXIT",
    "TIMEOUT",
];

fn state(record: &Record<'_>, priority: i64, faults: &mut Faults) -> State {
    let states: Vec<String> = record.words("job_state").iter().map(|state| state.to_uppercase()).collect();
    let is = |state: &str| states.iter().any(|s| s == state);
    if ["RUNNING", "SUSPENDED", "CONFIGURING"].into_iter().any(is) && !is("COMPLETING") {
        return State::Running;
    }
    if !is("PENDING") {
        let is_known = states.iter().any(|state| OVER.contains(&state.as_str()));
        let unknown = || State::Barred(format!("in a state that is not known here: {:?}", states.join(",")));
        return if is_known { State::Over } else { unknown() };
    }
    let reason = record.text("state_reason");
    let depends = record.text("dependency");
    let is_het = !record.text("het_job_id_set").is_empty() || record.whole("het_job_id", faults).unwrap_or(0) > 0;
    let barred = if priority == 0 || record.flag("hold") || reason.starts_with("JobHeld") {
        Some("held")
    } else if reason.starts_with("Dependency") || depends.contains("unfulfilled") {
        Some("wait for other jobs")
    } else if is_het {
        Some("of several components (het jobs)")
    } else if !record.text("resv_name").is_empty() {
        Some("in a reservation")
    } else if !record.text("licenses").is_empty() {
        Some("want licences")
    } else {
        None
    };
    let room =
        ["", "None", "Priority", "Resources", "ReqNodeNotAvail", "PartitionDown", "PartitionInactive", "NodeDown"];
    let word = reason.split([',', ' ']).next().unwrap_or("");
    match barred {
        Some(words) => State::Barred(words.into()),
        None if room.contains(&word) => State::Waiting,
        None => State::Barred(format!("wait for {word}")),
    }
}

/// Nodes that a job wants. Where it leaves that open, Slurm's own estimate.
fn node_count(record: &Record<'_>, asked: &str, faults: &mut Faults) -> i64 {
    let estimate = record.whole("node_count", faults).unwrap_or(1);
    let is_bounded = record.whole("max_nodes", faults).unwrap_or(0) > 0;
    let least = tres(asked, "node").filter(|least| *least > 0);
    least.filter(|_| is_bounded).unwrap_or(estimate).max(1)
}

fn share(total: i64, parts: i64) -> i64 {
    let (total, parts) = (total.clamp(0, AMOUNT_MAX), parts.max(1));
    (total + parts - 1) / parts
}

fn cpus_per_node(record: &Record<'_>, asked: &str, nodes: i64, faults: &mut Faults) -> i64 {
    let mut figure = |name| record.whole(name, faults).unwrap_or(0);
    let total = tres(asked, "cpu").unwrap_or(0).max(figure("cpus"));
    let tasks = share(figure("tasks"), nodes).max(figure("tasks_per_node"));
    let of_tasks = tasks.saturating_mul(figure("cpus_per_task").max(1));
    share(total, nodes).max(figure("minimum_cpus_per_node")).max(of_tasks).max(1)
}

fn memory(record: &Record<'_>, faults: &mut Faults) -> Memory {
    let mut figure = |name| record.whole(name, faults).filter(|amount| *amount > 0);
    let (per_node, per_cpu) = (figure("memory_per_node"), figure("memory_per_cpu"));
    let of_gpu = per_gpu(record, "memory_per_tres", faults);
    // Who asks by GPU is told of per node as well, with the figure of one GPU (24.11).
    match (of_gpu, per_node, per_cpu) {
        (Some(amount), ..) => Memory::PerGpu(amount),
        (None, Some(amount), _) => Memory::PerNode(amount),
        (None, None, Some(amount)) => Memory::PerCpu(amount),
        (None, None, None) => Memory::Whole,
    }
}

/// How much goes with each GPU. Slurm says so of all of them, so what looks like a type is a figure that cannot be read.
fn per_gpu(record: &Record<'_>, name: &'static str, faults: &mut Faults) -> Option<i64> {
    let text = record.text(name);
    let list = listed(record, name, &text, faults);
    let gpu = list.iter().find(|g| g.name == "gpu");
    if !list.is_empty() && gpu.is_none_or(|gpu| !gpu.model.is_empty()) {
        let cause = format!("{text:?} is no amount for each GPU");
        faults.add("I203", format!("{}, {name}", record.place), cause, "give the command's output as it is");
    }
    gpu.map(|gpu| gpu.count)
}

/// What a waiting job wants of generic resources on each node.
fn wanted_gres(record: &Record<'_>, asked: &str, nodes: i64, faults: &mut Faults) -> Result<Vec<Gres>, &'static str> {
    let tasks = share(record.whole("tasks", faults).unwrap_or(nodes), nodes).max(1);
    let fields =
        [("tres_per_node", 1, 1), ("tres_per_task", tasks, 1), ("tres_per_job", 1, nodes), ("tres_per_socket", 0, 1)];
    let mut wanted: Vec<Gres> = Vec::new();
    for (field, times, parts) in fields {
        let (list, unread) = gres(&record.text(field));
        if !unread.is_empty() || (times == 0 && !list.is_empty()) || list.iter().any(|g| g.count % parts != 0) {
            return Err(field);
        }
        // `tres_per_task` of later versions names CPUs as well; they are counted elsewhere.
        let list = list.into_iter().filter(|g| g.name != "cpu" && g.count > 0);
        wanted.extend(list.map(|g| Gres { count: (g.count / parts).saturating_mul(times), ..g }));
    }
    if wanted.is_empty()
        && let Some(total) = tres(asked, "gres/gpu").filter(|total| *total > 0)
    {
        if total % nodes != 0 {
            return Err("tres_req_str");
        }
        wanted.push(Gres { name: "gpu".into(), count: total / nodes, ..Gres::default() });
    }
    let mut gpus = wanted.iter().filter(|g| g.name == "gpu");
    if gpus.next().is_some() && gpus.next().is_some() {
        return Err("two kinds of GPUs");
    }
    Ok(wanted)
}

/// What a running job holds on each of its nodes.
fn parts(record: &Record<'_>, given: &str, faults: &mut Faults) -> Vec<Part> {
    // 22.05 to 23.11 have a list `allocated_nodes`, later versions `nodes.allocation`.
    let told = record.part("job_resources").map_or(Vec::new(), |resources| {
        // Where each node is told of by itself, `nodes` is a text.
        let new = || resources.get("nodes").filter(|nodes| nodes.is_object()).and_then(|_| resources.part("nodes"));
        match resources.get("allocated_nodes").is_some() {
            true => resources.parts("allocated_nodes"),
            false => new().map_or(Vec::new(), |nodes| nodes.parts("allocation")),
        }
    });
    let told: Vec<Told> = told.iter().map(|told| Told::read(told, faults)).collect();
    let names = match told.is_empty() {
        false => told.iter().map(|told| told.node.clone()).collect(),
        true => hosts(&record.text("nodes")).unwrap_or_else(|| {
            let cause = format!("{:?} is no list of nodes", record.text("nodes"));
            faults.add("I203", format!("{}, nodes", record.place), cause, "give the command's output as it is");
            Vec::new()
        }),
    };
    let count = names.len() as i64;
    let total = tres(given, "cpu").or_else(|| record.whole("cpus", faults)).unwrap_or(0);
    // The first figure whose sum fits: CPUs themselves, or cores, of which each has the same number of CPUs.
    let figures: [fn(&Told) -> i64; 3] = [|t| t.cpus, |t| t.cores, |t| t.cpus_used];
    let sum = |figure: fn(&Told) -> i64| told.iter().map(figure).fold(0, i64::saturating_add);
    let fits = |figure: &fn(&Told) -> i64| sum(*figure) > 0 && total % sum(*figure) == 0;
    let cpus_of = figures.into_iter().find(fits).map(|figure| (figure, total / sum(figure)));
    let memory = tres(given, "mem").map_or(0, |total| share(total, count));
    let details = record.text_list("gres_detail");
    let part = |(i, node): (usize, String)| {
        let told = told.get(i);
        let gres = details.get(i).map(|text| listed(record, "gres_detail", text, faults)).unwrap_or_default();
        Part {
            cpus: match (cpus_of, told) {
                (Some((figure, times)), Some(told)) => figure(told).saturating_mul(times),
                _ => share(total, count),
            },
            memory: told.map(|told| told.memory).filter(|memory| *memory > 0).unwrap_or(memory),
            gres: if details.is_empty() { even_gpus(given, count) } else { gres },
            node,
        }
    };
    names.into_iter().enumerate().map(part).collect()
}

/// GPUs of each node where only their sum is told.
fn even_gpus(given: &str, nodes: i64) -> Vec<Gres> {
    let total = tres(given, "gres/gpu").unwrap_or(0);
    let gpus = Gres { name: "gpu".into(), count: share(total, nodes), ..Gres::default() };
    if total > 0 { vec![gpus] } else { Vec::new() }
}

/// What the allocation of one node says of its CPUs, in the fields of several versions; of which some are wrong in some.
#[derive(Debug)]
struct Told {
    node: String,
    /// `cpus.count` of later versions.
    cpus: i64,
    /// Cores, which are CPUs where a core has one thread.
    cores: i64,
    cpus_used: i64,
    memory: i64,
}

impl Told {
    fn read(record: &Record<'_>, faults: &mut Faults) -> Told {
        let mut figure = |path: &[&'static str]| {
            figure(record.inner(path), || format!("{}, {}", record.place, path.join(".")), faults).unwrap_or(0)
        };
        let name = Some(record.text("nodename")).filter(|name| !name.is_empty());
        let (cpus_used, memory) = (figure(&["cpus_used"]), figure(&["memory_allocated"]));
        // Later versions have objects of these, 22.05 a figure of its own.
        let later = |name: &'static str| record.get(name).is_some_and(Value::is_object);
        Told {
            node: name.unwrap_or_else(|| record.text("name")),
            cpus: if later("cpus") { figure(&["cpus", "count"]) } else { 0 },
            cores: cores(record),
            cpus_used,
            memory: memory.max(if later("memory") { figure(&["memory", "allocated"]) } else { 0 }),
        }
    }
}

/// Cores that an allocation counts singly, by socket.
fn cores(record: &Record<'_>) -> i64 {
    let sockets = record.get("sockets").and_then(Value::as_object).into_iter().flat_map(|sockets| sockets.values());
    let cores = sockets.filter_map(|socket| socket.get("cores")?.as_object());
    cores.map(|cores| cores.len() as i64).sum()
}
