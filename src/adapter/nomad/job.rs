//! What does a job of Nomad ask for its groups? Constraints, volumes, and what keeps allocations apart or where they are.
//!
//! Source: hashicorp/nomad `api/jobs.go`, `api/constraint.go`, `nomad/structs/structs.go`, `nomad/structs/volumes.go`.

use super::constraint::Demand;
use crate::adapter::notes::{Fate, Notes};
use crate::adapter::record::{Kind, Record};
use crate::model::{AMOUNT_MAX, Faults};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Priority of a job that says nothing.
pub const PRIORITY_DEFAULT: i64 = 50;

/// Namespace and id.
pub type JobId = (String, String);

/// What matters of a job.
#[derive(Debug, Clone)]
pub struct Job {
    /// Weight of its allocations.
    pub priority: i64,
    /// `service`, `batch`, `system` …
    pub kind: String,
    /// All of its allocations are kept apart on these levels.
    pub apart: BTreeSet<String>,
    /// By name.
    pub groups: BTreeMap<String, Group>,
    /// Its groups are known: it is more than a line of the list of jobs.
    pub is_whole: bool,
    /// Affinities and spreads.
    prefers: u64,
}

/// What matters of a group of tasks, its job's and its tasks' own included.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// What a node must meet.
    pub demands: Vec<Demand>,
    /// Its allocations are kept apart on these levels.
    pub apart: BTreeSet<String>,
    /// Why its allocations stay where they are.
    pub bound: Option<&'static str>,
}

/// Jobs by namespace and id. A line of the list says less than the job itself, in whatever order they come.
pub fn jobs<'a>(
    values: impl Iterator<Item = (String, &'a Value)>,
    notes: &mut Notes,
    faults: &mut Faults,
) -> BTreeMap<JobId, Job> {
    let kind = Kind::new("jobs");
    let mut jobs: BTreeMap<JobId, Job> = BTreeMap::new();
    for (place, value) in values {
        let Some(record) = kind.record(value, place, faults) else { continue };
        let (id, job) = Job::read(&record, faults);
        if job.is_whole || !jobs.get(&id).is_some_and(|known| known.is_whole) {
            jobs.insert(id, job);
        }
    }
    kind.check(faults);
    let prefers = jobs.values().map(|job| job.prefers).sum();
    notes.add_many(Fate::LeftOut, "affinities and spreads of jobs, which only prefer nodes", prefers);
    jobs
}

impl Job {
    fn read(record: &Record<'_>, faults: &mut Faults) -> (JobId, Job) {
        let namespace = Some(record.text("Namespace")).filter(|name| !name.is_empty());
        let priority = record.whole("Priority", faults).unwrap_or(PRIORITY_DEFAULT);
        let count = |of: &Record<'_>| (of.list("Affinities").len() + of.list("Spreads").len()) as u64;
        let mut job = Job {
            priority: priority.clamp(1, AMOUNT_MAX),
            kind: record.text("Type"),
            apart: BTreeSet::new(),
            groups: BTreeMap::new(),
            is_whole: record.get("TaskGroups").is_some(),
            prefers: count(record),
        };
        let mut of_job = Group::default();
        of_job.constrain(record);
        job.apart = of_job.apart.clone();
        for group in record.parts("TaskGroups") {
            // What the job keeps apart is apart from allocations of other groups as well.
            let mut own = Group { apart: BTreeSet::new(), ..of_job.clone() };
            own.constrain(&group);
            own.place(&group);
            job.prefers += count(&group);
            for task in group.parts("Tasks") {
                own.constrain(&task);
                let driver = task.text("Driver");
                own.demands.extend((!driver.is_empty()).then_some(Demand::Driver(driver)));
                job.prefers += task.list("Affinities").len() as u64;
            }
            job.groups.insert(group.text("Name"), own);
        }
        ((namespace.unwrap_or_else(|| "default".into()), record.text("ID")), job)
    }
}

impl Group {
    fn bind(&mut self, why: &'static str) {
        self.bound.get_or_insert(why);
    }

    fn constrain(&mut self, record: &Record<'_>) {
        for constraint in record.parts("Constraints") {
            let [left, operand, right] = ["LTarget", "Operand", "RTarget"].map(|name| constraint.text(name));
            match operand.as_str() {
                // Words that Go takes for false.
                "distinct_hosts" if ["0", "f", "F", "false", "FALSE", "False"].contains(&right.as_str()) => {}
                "distinct_hosts" => _ = self.apart.insert("node".into()),
                "distinct_property" if ["", "1"].contains(&right.as_str()) => {
                    let name = left.trim_start_matches("${").trim_end_matches('}').to_string();
                    let is_node = ["node.unique.id", "node.unique.name"].contains(&name.as_str());
                    self.apart.insert(if is_node { "node".into() } else { name });
                    self.demands.push(Demand::Property(left));
                }
                "distinct_property" => {
                    self.bind("its job permits several allocations, not any number, per value of a property")
                }
                _ => self.demands.push(Demand::Constraint([left, operand, right])),
            }
        }
    }

    /// Volumes, disks and ports of a group.
    fn place(&mut self, group: &Record<'_>) {
        for (_, volume) in group.named("Volumes") {
            match volume.text("Type").as_str() {
                // Each allocation has its own volume, or goes back to the one that it had.
                "host" if volume.flag("PerAlloc") || volume.flag("Sticky") => {
                    self.bind("it has a host volume to itself");
                }
                "host" if ["", "multi-node-multi-writer"].contains(&volume.text("AccessMode").as_str()) => {
                    self.demands.push(Demand::Volume(volume.text("Source"), !volume.flag("ReadOnly")));
                }
                "host" => self.bind("it has a host volume that few may use at a time"),
                _ => self.bind("it has a volume of a storage plugin (CSI), and no document tells which nodes reach it"),
            }
        }
        if group.part("EphemeralDisk").is_some_and(|disk| disk.flag("Sticky") && !disk.flag("Migrate")) {
            self.bind("its data is on the disk of its node (sticky, without migration)");
        }
        let of_tasks = group.parts("Tasks").into_iter().filter_map(|task| task.part("Resources"));
        let networks: Vec<Record<'_>> =
            of_tasks.flat_map(|wants| wants.parts("Networks")).chain(group.parts("Networks")).collect();
        let is_common = |name: &str| ["", "default", "host", "bridge", "none"].contains(&name);
        let is_special = |network: &Record<'_>| {
            let mut ports = ["DynamicPorts", "ReservedPorts"].into_iter().flat_map(|name| network.parts(name));
            !is_common(&network.text("Mode")) || !ports.all(|port| is_common(&port.text("HostNetwork")))
        };
        if networks.iter().any(is_special) {
            self.bind("its job asks for a network that not every node has");
        }
        if networks.iter().any(|network| !network.list("ReservedPorts").is_empty()) {
            self.bind("its job asks for ports by number, which others on a node may have");
        }
    }
}
