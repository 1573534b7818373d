//! Slurm: nodes and jobs in, required nodes of waiting jobs out.
//!
//! `import` reads `sinfo --json` and `squeue --json` of 22.05, and `scontrol show nodes --json` and `scontrol show jobs --json` (or
//! `squeue --json`) of later versions. One CPU counts 1, memory is in MiB, GPUs are devices, every other generic resource is a
//! resource `gres/NAME`, and one `gres/NAME:TYPE` where it has a type. It is assumed that CPUs are what is given out
//! (`select/cons_tres` or `cons_res`); whether memory is counted as well is seen from the jobs that run.
//!
//! * A running job becomes one pinned task per node, since Slurm moves no running job. What Slurm says is in use beyond the jobs
//!   in the list (other people's, ending ones) becomes a pinned task `outside-NODE` of weight 0.
//! * A waiting job becomes one task per node that it wants, in a gang whose tasks keep apart. Each task asks for an equal share.
//!   Slurm's priority is the weight of each task, and waiting tasks are listed in the order of the queue.
//! * A constraint `[a|b]` (the same of them on all nodes) is a gang within one domain of a level of that name; a wish for one switch
//!   is one within the level `switch`, where `scontrol show topology` says which node is on which.
//! * An exclusive job, or one that wants all memory of its nodes, takes all of a resource `exclusive`, of which every other task
//!   takes one part in [`EXCLUSIVE_PARTS`].
//! * Where a partition bounds the CPUs that its jobs have of a node, these are a resource of their own.
//! * Jobs that wait for anything but room are left out and counted; so is whatever no snapshot can say.
//!
//! Sources: `man scontrol`, `man sbatch`, and the documents that slurmctld 22.05.8 and 24.11.5 print.

mod export;
mod gres;
mod hostlist;
mod job;
mod node;
mod partition;
mod place;
mod running;
mod topology;
mod waiting;

pub use export::export;

use super::notes::{Document, Fate, Imported, Notes};
use super::record::{Kind, values};
use crate::model::*;
use job::{Job, State};
use node::Node;
use partition::{Partition, Partitions};
use place::Places;
use serde_json::Value;
use std::collections::BTreeSet;
use topology::Switches;

/// Parts of the resource `exclusive` that a node has: more than tasks that it can hold.
pub const EXCLUSIVE_PARTS: i64 = 1_000_000;

/// The documents as a snapshot.
///
/// # Errors
/// Every fault, with document and place.
pub fn import(documents: &[Document]) -> Result<Imported, Faults> {
    let (mut faults, mut notes) = (Faults::new(), Notes::default());
    let mut switches = Switches::new();
    let is_blank = |document: &Document| document.bytes.iter().all(u8::is_ascii_whitespace);
    let take = |document: &Document| {
        let rest = topology::take(document, &mut switches, &mut notes, &mut faults);
        // One that was all topology is done with; one that was empty is a fault.
        (!is_blank(&rest) || is_blank(document)).then_some(rest)
    };
    let documents: Vec<Document> = documents.iter().filter_map(take).collect();
    let [node_values, job_values, partition_values] = lists(&documents, &mut faults);
    let (node_kind, job_kind, partition_kind) = (Kind::new("nodes"), Kind::new("jobs"), Kind::new("partitions"));
    let mut partitions = Partitions::new();
    for (place, value) in &partition_values {
        let record = partition_kind.record(value, place.clone(), &mut faults);
        partitions.extend(record.map(|record| Partition::read(&record, &mut faults)));
    }
    let mut nodes = Vec::new();
    for (place, value) in &node_values {
        let record = node_kind.record(value, place.clone(), &mut faults);
        nodes.extend(record.map(|record| Node::read(&record, &mut notes, &mut faults)));
    }
    let mut jobs = Vec::new();
    for (place, value) in &job_values {
        let record = job_kind.record(value, place.clone(), &mut faults);
        jobs.extend(record.map(|record| Job::read(&record, &mut faults)));
    }
    node_kind.count_rest(node_values.iter().map(|(_, value)| value), &node::IRRELEVANT, &mut notes, &mut faults);
    job_kind.count_rest(job_values.iter().map(|(_, value)| value), &job::IRRELEVANT, &mut notes, &mut faults);
    if partitions.is_empty() {
        notes.add(
            Fate::LeftOut,
            "limits of partitions: add what scontrol show partitions --json prints (23.02 and later)",
        );
    }
    let values = partition_values.iter().map(|(_, value)| value);
    let unread = partition_values.iter().flat_map(|(_, value)| partition::unread(value));
    unread.for_each(|path| notes.add(Fate::LeftOut, &format!("{path} of partitions")));
    partition_kind.count_rest(values, &partition::IRRELEVANT, &mut notes, &mut faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    for job in &mut jobs {
        let of_job = || job.partitions.iter().filter_map(|name| partitions.get(name));
        job.is_exclusive |= job.state == State::Waiting && of_job().any(|partition| partition.is_exclusive);
    }
    for node in &mut nodes {
        let switch = switches.get(&node.spec.name).map(|switch| (topology::LEVEL.to_string(), switch.clone()));
        node.spec.domains.extend(switch);
    }
    let snapshot = snapshot(nodes, &mut jobs, &partitions, &mut notes);
    Ok(Imported { snapshot, notes })
}

/// A value and where it stands.
type Placed = (String, Value);

/// The nodes, the jobs and the partitions of all documents. Each may be spread over several; nodes there must be.
fn lists(documents: &[Document], faults: &mut Faults) -> [Vec<Placed>; 3] {
    let (mut nodes, mut jobs, mut partitions) = (Vec::new(), Vec::new(), Vec::new());
    for document in documents {
        for mut value in values(document, faults) {
            let mut is_known = false;
            let errors = value.get("errors").and_then(Value::as_array);
            if let Some(error) = errors.and_then(|errors| errors.first()) {
                let text = ["description", "error"].iter().find_map(|key| error.get(key)?.as_str()).unwrap_or("");
                let cause = format!("Slurm could not tell all of it: {text}");
                faults.add("I114", &document.name, cause, "run the command again; see what it prints without --json");
            }
            for (name, list) in [("nodes", &mut nodes), ("jobs", &mut jobs), ("partitions", &mut partitions)] {
                if let Some(Value::Array(items)) = value.get_mut(name).map(Value::take) {
                    is_known = true;
                    let place = |i: usize| format!("{}, {name}[{i}]", document.name);
                    list.extend(items.into_iter().enumerate().map(|(i, item)| (place(i), item)));
                }
            }
            if !is_known {
                let is_summary = value.get("sinfo").is_some();
                let cause =
                    if is_summary { "this is sinfo's summary of nodes" } else { "it has no list of nodes or jobs" };
                let remedy = "give what scontrol show nodes --json (in 22.05: sinfo --json) and squeue --json print";
                faults.add("I110", &document.name, cause, remedy);
            }
        }
    }
    if nodes.is_empty() && faults.is_empty() {
        let remedy = "add what scontrol show nodes --json (in 22.05: sinfo --json) prints";
        faults.add("I110", "documents", "there is no node in them", remedy);
    }
    [nodes, jobs, partitions]
}

fn snapshot(mut nodes: Vec<Node>, jobs: &mut [Job], partitions: &Partitions, notes: &mut Notes) -> Snapshot {
    for node in &mut nodes {
        let own = partitions.iter().filter(|(name, _)| node.partitions.contains(*name));
        let limits = own.filter_map(|(name, limits)| Some((partition::resource(name), limits.cpus_per_node?)));
        node.spec.allocatable.extend(limits);
    }
    // The order of the queue: highest priority first, then as Slurm lists them.
    jobs.sort_by_key(|job| std::cmp::Reverse(job.priority));
    let counts_memory = counts_memory(&nodes, jobs);
    if !counts_memory {
        notes.add(Fate::Irrelevant, "memory: Slurm does not count it here (no job that runs was given any)");
    }
    let mut places = Places::new(&nodes);
    let mut tasks = running::tasks(&places, &nodes, jobs, partitions, notes);
    let mut groups = Vec::new();
    for job in jobs.iter() {
        match &job.state {
            State::Barred(why) => notes.add(Fate::LeftOut, &format!("waiting jobs that {}", why_words(why))),
            State::Waiting => {
                if job.waits_for_partition {
                    notes.add(
                        Fate::LeftOut,
                        "that the partition of waiting jobs is down: they are planned as if it were up",
                    );
                }
                let context = waiting::Context { jobs, partitions, counts_memory };
                waiting::add(job, &context, &mut places, &mut tasks, &mut groups, notes);
            }
            State::Over => notes.add(Fate::Irrelevant, "jobs that are over"),
            State::Running => {}
        }
    }
    let (labels, domains) = places.into_made();
    let mut specs: Vec<NodeSpec> = nodes.into_iter().map(|node| node.spec).collect();
    for (label, those) in labels {
        for node in those {
            specs[node].labels.insert(label.clone(), "yes".into());
        }
    }
    for (level, those) in domains {
        for (node, domain) in those {
            specs[node].domains.insert(level.clone(), domain);
        }
    }
    finish(specs, tasks, groups, counts_memory)
}

fn why_words(why: &str) -> String {
    if why.starts_with("wa") { why.to_string() } else { format!("are {why}") }
}

/// Memory is counted unless jobs run and none was given any.
fn counts_memory(nodes: &[Node], jobs: &[Job]) -> bool {
    let mut running = jobs.iter().filter(|job| job.state == State::Running).peekable();
    let is_known = running.peek().is_some();
    !is_known || nodes.iter().any(|node| node.in_use[1] > 0) || running.any(|job| job.memory_given.unwrap_or(0) > 0)
}

/// The resources that are there, and nothing that is not.
fn finish(mut nodes: Vec<NodeSpec>, mut tasks: Vec<TaskSpec>, groups: Vec<GroupSpec>, counts_memory: bool) -> Snapshot {
    let is_exclusive = |task: &TaskSpec| task.requirement.get("exclusive") == Some(&EXCLUSIVE_PARTS);
    let has_exclusive = tasks.iter().any(is_exclusive);
    for task in &mut tasks {
        if has_exclusive {
            task.requirement.entry("exclusive".into()).or_insert(1);
        }
        if !counts_memory {
            task.requirement.remove("memory");
        }
    }
    for node in &mut nodes {
        if has_exclusive {
            node.allocatable.insert("exclusive".into(), EXCLUSIVE_PARTS);
        }
        if !counts_memory {
            node.allocatable.remove("memory");
        }
    }
    let amounts = nodes.iter().map(|node| &node.allocatable).chain(tasks.iter().map(|task| &task.requirement));
    let names: BTreeSet<String> = amounts.flat_map(|amounts| amounts.keys().cloned()).collect();
    let levels: BTreeSet<&String> = nodes.iter().flat_map(|node| node.domains.keys()).collect();
    let unit = |name: &str| match name {
        _ if name.starts_with("cpu") => "CPUs",
        "memory" => "MiB",
        "exclusive" => "parts",
        _ => "",
    };
    let resource =
        |name: String| ResourceSpec { unit: unit(&name).into(), name, transient: true, ..ResourceSpec::default() };
    Snapshot {
        name: "slurm".into(),
        resources: names.into_iter().map(resource).collect(),
        levels: levels.into_iter().cloned().collect(),
        nodes,
        tasks,
        groups,
        objective: ObjectiveSpec { task_move_weight: 1, ..ObjectiveSpec::default() },
        ..Snapshot::default()
    }
}
