//! What does Slurm say of a node? From `sinfo --json` (22.05) or `scontrol show nodes --json` (23.02 and later).

use super::gres::{Gres, gres, listed};
use super::hostlist::numbers;
use crate::adapter::notes::{Fate, Notes};
use crate::adapter::record::{Record, whole};
use crate::model::{DEVICE_COUNT_MAX, DevicesSpec, Faults, NodeSpec};
use std::collections::{BTreeMap, BTreeSet};

/// Fields without bearing on where a job may run.
pub const IRRELEVANT: [&str; 38] = [
    "address",
    "alloc_idle_cpus",
    "architecture",
    "boot_time",
    "burstbuffer_network_address",
    "cluster_name",
    "comment",
    "cpu_binding",
    "cpu_load",
    "energy",
    "external_sensors",
    "extra",
    "free_mem",
    "free_memory",
    "gpu_spec",
    "hostname",
    "idle_cpus",
    "instance_id",
    "instance_type",
    "boards",
    "last_busy",
    "next_state_after_reboot",
    "next_state_after_reboot_flags",
    "operating_system",
    "port",
    "power",
    "reason",
    "reason_changed_at",
    "reason_set_by_user",
    "resume_after",
    "slurmd_start_time",
    "slurmd_version",
    "tres",
    "tres_used",
    "tres_weighted",
    "version",
    "cert_flags",
    "weight",
];

/// States in which jobs start; with any other word the node takes nothing new.
const OPEN: [&str; 11] = [
    "IDLE",
    "MIXED",
    "ALLOCATED",
    "PLANNED",
    "COMPLETING",
    "CLOUD",
    "DYNAMIC_NORM",
    "POWERED_DOWN",
    "POWERING_UP",
    "POWER_SAVING",
    "POWERED_UP",
];

/// Those that say so of themselves; any other word (a reservation, a state of a later version) is told.
const CLOSED: [&str; 14] = [
    "DOWN",
    "DRAIN",
    "DRAINING",
    "DRAINED",
    "FAIL",
    "FAILING",
    "ERROR",
    "INVAL",
    "INVALID",
    "INVALID_REG",
    "NOT_RESPONDING",
    "NO_RESPOND",
    "UNKNOWN",
    "FUTURE",
];

/// A node as it matters here.
#[derive(Debug)]
pub struct Node {
    /// What the snapshot says of it.
    pub spec: NodeSpec,
    /// Words that constraints may ask for.
    pub features: BTreeSet<String>,
    /// MiB of its temporary disk.
    pub temporary_disk: i64,
    /// Partitions it is in.
    pub partitions: BTreeSet<String>,
    /// CPUs that can only be given together: the threads of a core.
    pub cpus_per_core: i64,
    /// CPUs and MiB that Slurm says are in use.
    pub in_use: [i64; 2],
    /// Generic resources that it has.
    pub gres: Vec<Gres>,
    /// Those of them that Slurm says are in use.
    pub gres_in_use: Vec<Gres>,
    /// GPUs of which parts are in use, a bit each; all where nothing says which.
    pub in_parts: u64,
}

impl Node {
    /// Reads one.
    pub fn read(record: &Record<'_>, notes: &mut Notes, faults: &mut Faults) -> Node {
        let mut figure = |name| record.whole(name, faults).unwrap_or(0);
        let all = figure("cpus");
        let threads = figure("threads").max(1);
        let cores = figure("sockets").saturating_mul(figure("cores"));
        let memory = figure("real_memory").saturating_sub(figure("specialized_memory")).max(0);
        let temporary_disk = figure("temporary_disk");
        let in_use = [figure("alloc_cpus"), figure("alloc_memory")];
        let effective = record.whole("effective_cpus", faults).filter(|cpus| *cpus > 0);
        // With `CPUs` set to the number of cores, a CPU is a core.
        let cpus_per_core = if all > cores { threads } else { 1 };
        let named = match record.text("specialized_cpus") {
            text if ["", "N/A"].contains(&text.as_str()) => 0,
            text => numbers(&text).map(|list| list.len() as i64).unwrap_or_else(|| {
                let cause = format!("{text:?} is no list of CPUs");
                faults.add("I203", format!("{}, specialized_cpus", record.place), cause, "mend the list");
                0
            }),
        };
        let of_cores = record.whole("specialized_cores", faults).unwrap_or(0).saturating_mul(cpus_per_core);
        let own = all.saturating_sub(of_cores.max(named)).max(0);
        // What these leave is what is effective, where that is told.
        let cpus = effective.map_or(own, |effective| effective.min(all));
        let partitions: Vec<String> = record.words("partitions");
        let mut features = record.words("active_features");
        if features.is_empty() {
            features = record.words("features");
        } else {
            record.get("features");
        }
        let name = record.id("name", faults);
        let mut spec = NodeSpec {
            allocatable: [("cpu".to_string(), cpus), ("memory".to_string(), memory)].into(),
            pool: partitions.first().cloned(),
            cordoned: is_closed(record, notes),
            ..NodeSpec::default()
        };
        spec.labels.insert("node".into(), name.clone());
        let marks = features.iter().map(|f| ("feature", f)).chain(partitions.iter().map(|p| ("partition", p)));
        spec.labels.extend(marks.map(|(kind, word)| (format!("{kind}/{word}"), "yes".to_string())));
        spec.name = name;
        let own = add_gres(record, &mut spec, notes, faults);
        let gres_in_use = listed(record, "gres_used", &record.text("gres_used"), faults);
        if own.iter().any(|g| g.no_consume) {
            notes.add(
                Fate::Stricter,
                "nodes with generic resources that nobody uses up (no_consume): what starts shares them",
            );
        }
        Node {
            features: features.into_iter().collect(),
            partitions: partitions.into_iter().collect(),
            cpus_per_core,
            in_use,
            temporary_disk,
            in_parts: in_parts(&gres_in_use, &spec.devices),
            gres: own,
            gres_in_use,
            spec,
        }
    }

    /// What of the resources other than GPUs a list uses up.
    pub fn uses_up(&self, list: &[Gres]) -> BTreeMap<String, i64> {
        let mut amounts = BTreeMap::new();
        for gres in list.iter().filter(|g| g.name != "gpu" && g.count > 0 && self.consumes(g)) {
            for name in gres.resources().into_iter().filter(|name| self.spec.allocatable.contains_key(name)) {
                let amount: &mut i64 = amounts.entry(name).or_default();
                *amount = amount.saturating_add(gres.count);
            }
        }
        amounts
    }

    /// Whether some of what it may be of is used up.
    fn consumes(&self, gres: &Gres) -> bool {
        let may_be = |own: &&Gres| {
            own.name == gres.name && (own.model.is_empty() || gres.model.is_empty() || own.model == gres.model)
        };
        let mut own = self.gres.iter().filter(may_be).peekable();
        own.peek().is_none() || own.any(|own| !own.no_consume)
    }
}

/// GPUs of which parts are in use. Their order is known where all are of one model.
pub fn in_parts(used: &[Gres], devices: &[DevicesSpec]) -> u64 {
    let mut mask = 0;
    for gres in used.iter().filter(|g| is_part_of_gpu(&g.name) && g.count > 0) {
        mask |= match (&gres.parts, devices) {
            (Some(list), [one]) if list.len() == one.count as usize && list.len() <= DEVICE_COUNT_MAX => {
                list.iter().enumerate().fold(0, |mask, (d, is_used)| mask | u64::from(*is_used) << d)
            }
            _ => u64::MAX,
        };
    }
    mask
}

/// Generic resources that stand for parts of GPUs.
pub fn is_part_of_gpu(name: &str) -> bool {
    ["shard", "mps"].contains(&name)
}

/// Whether nothing may start there. What is not a plain state of the node itself is told.
fn is_closed(record: &Record<'_>, notes: &mut Notes) -> bool {
    let mut states = record.words("state");
    states.extend(record.words("state_flags"));
    if !record.text("reservation").is_empty() {
        states.push("RESERVED".into());
    }
    // Kept for one user or one label, who cannot be told apart here.
    let is_said = |text: &String| !["", "N/A"].contains(&text.as_str());
    let is_kept = ["owner", "mcs_label"].iter().any(|field| {
        let is_nobody = record.get(field).is_some_and(|value| matches!(whole(value), Ok(None)));
        !is_nobody && is_said(&record.text(field))
    });
    states.extend(is_kept.then(|| "kept for one user or label".to_string()));
    // Which of its devices those are is not told.
    states.extend(is_said(&record.text("gres_drained")).then(|| "some of its devices drained".to_string()));
    if states.is_empty() {
        states.push("UNKNOWN".into());
    }
    let mut is_closed = false;
    let states: BTreeSet<String> = states.iter().map(|state| state.to_uppercase()).collect();
    for state in states.iter().filter(|state| !OPEN.contains(&state.as_str())) {
        is_closed = true;
        if !CLOSED.contains(&state.as_str()) {
            notes.add(Fate::Stricter, &format!("nodes where nothing starts, for their state {state}"));
        }
    }
    is_closed
}

/// GPUs become devices, everything else that is counted a resource. What is used up does not mix with what is not: of a resource
/// that has some of both, only the former counts.
fn add_gres(record: &Record<'_>, spec: &mut NodeSpec, notes: &mut Notes, faults: &mut Faults) -> Vec<Gres> {
    let (list, unread) = gres(&record.text("gres"));
    notes.add_many(Fate::LeftOut, "entries of gres that cannot be read", unread.len() as u64);
    let is_used_up = |name: &String| list.iter().any(|g| !g.no_consume && g.resources().contains(name));
    for entry in &list {
        if entry.name != "gpu" {
            for name in entry.resources().into_iter().filter(|name| !entry.no_consume || !is_used_up(name)) {
                let amount = spec.allocatable.entry(name).or_default();
                *amount = amount.saturating_add(entry.count);
            }
        } else if let Ok(count) = u32::try_from(entry.count) {
            let devices = DevicesSpec { kind: "gpu".into(), model: entry.model.clone(), count, memory: None };
            spec.devices.extend((count > 0).then_some(devices));
        } else {
            faults.add("I204", format!("{}, gres", record.place), format!("{} GPUs", entry.count), "mend the figure");
        }
    }
    list
}
