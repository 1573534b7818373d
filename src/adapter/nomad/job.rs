//! What does a job of Nomad ask for its groups? Constraints, volumes, and what keeps allocations apart or where they are.
//!
//! Source: hashicorp/nomad `api/jobs.go`, `api/constraint.go`, `nomad/structs/structs.go`, `nomad/structs/volumes.go`.

use super::constraint::Demand;
use crate::adapter::notes::{Fate, Notes};
use crate::adapter::record::whole;
use crate::model::AMOUNT_MAX;
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

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_string()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Jobs by namespace and id. A line of the list says less than the job itself, in whatever order they come.
pub fn jobs<'a>(values: impl Iterator<Item = &'a Value>, notes: &mut Notes) -> BTreeMap<JobId, Job> {
    let mut jobs: BTreeMap<JobId, Job> = BTreeMap::new();
    for (id, job) in values.map(Job::read) {
        if job.is_whole || !jobs.get(&id).is_some_and(|known| known.is_whole) {
            jobs.insert(id, job);
        }
    }
    let prefers = jobs.values().map(|job| job.prefers).sum();
    notes.add_many(Fate::LeftOut, "affinities and spreads of jobs, which only prefer nodes", prefers);
    jobs
}

impl Job {
    fn read(value: &Value) -> (JobId, Job) {
        let namespace = if text(value, "Namespace").is_empty() { "default".into() } else { text(value, "Namespace") };
        let priority = value.get("Priority").and_then(|v| whole(v).ok().flatten()).unwrap_or(PRIORITY_DEFAULT);
        let count = |value: &Value| (list(value, "Affinities").len() + list(value, "Spreads").len()) as u64;
        let mut job = Job {
            priority: priority.clamp(1, AMOUNT_MAX),
            kind: text(value, "Type"),
            apart: BTreeSet::new(),
            groups: BTreeMap::new(),
            is_whole: value.get("TaskGroups").is_some(),
            prefers: count(value),
        };
        let mut of_job = Group::default();
        of_job.constrain(value);
        job.apart = of_job.apart.clone();
        for group in list(value, "TaskGroups") {
            // What the job keeps apart is apart from allocations of other groups as well.
            let mut own = Group { apart: BTreeSet::new(), ..of_job.clone() };
            own.constrain(group);
            own.place(group);
            job.prefers += count(group);
            for task in list(group, "Tasks") {
                own.constrain(task);
                let driver = text(task, "Driver");
                own.demands.extend((!driver.is_empty()).then_some(Demand::Driver(driver)));
                job.prefers += list(task, "Affinities").len() as u64;
            }
            job.groups.insert(text(group, "Name"), own);
        }
        ((namespace, text(value, "ID")), job)
    }
}

impl Group {
    fn bind(&mut self, why: &'static str) {
        self.bound.get_or_insert(why);
    }

    fn constrain(&mut self, value: &Value) {
        for constraint in list(value, "Constraints") {
            let [left, operand, right] = ["LTarget", "Operand", "RTarget"].map(|name| text(constraint, name));
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
    fn place(&mut self, group: &Value) {
        let is_on = |value: &Value, name: &str| value.get(name) == Some(&Value::Bool(true));
        for volume in group.get("Volumes").and_then(Value::as_object).into_iter().flatten().map(|(_, volume)| volume) {
            match text(volume, "Type").as_str() {
                // Each allocation has its own volume, or goes back to the one that it had.
                "host" if is_on(volume, "PerAlloc") || is_on(volume, "Sticky") => {
                    self.bind("it has a host volume to itself");
                }
                "host" if ["", "multi-node-multi-writer"].contains(&text(volume, "AccessMode").as_str()) => {
                    self.demands.push(Demand::Volume(text(volume, "Source"), !is_on(volume, "ReadOnly")));
                }
                "host" => self.bind("it has a host volume that few may use at a time"),
                _ => self.bind("it has a volume of a storage plugin (CSI), and no document tells which nodes reach it"),
            }
        }
        let disk = group.get("EphemeralDisk").unwrap_or(&Value::Null);
        if is_on(disk, "Sticky") && !is_on(disk, "Migrate") {
            self.bind("its data is on the disk of its node (sticky, without migration)");
        }
        let of_tasks = list(group, "Tasks").iter().filter_map(|task| task.get("Resources"));
        let mut networks = std::iter::once(group).chain(of_tasks).flat_map(|value| list(value, "Networks"));
        let is_common = |name: &str| ["", "default", "host", "bridge", "none"].contains(&name);
        let is_special = |network: &Value| {
            let ports = ["DynamicPorts", "ReservedPorts"].into_iter().flat_map(|name| list(network, name));
            !is_common(&text(network, "Mode"))
                || !ports.map(|port| text(port, "HostNetwork")).all(|name| is_common(&name))
        };
        if networks.clone().any(is_special) {
            self.bind("its job asks for a network that not every node has");
        }
        if networks.any(|network| !list(network, "ReservedPorts").is_empty()) {
            self.bind("its job asks for ports by number, which others on a node may have");
        }
    }
}
