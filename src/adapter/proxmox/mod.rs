//! Proxmox VE: guests, nodes and HA rules in, migrations out.
//!
//! `import` reads, in any order, what `pvesh get PATH --output-format json` prints or what the API answers (`{"data": [...]}`):
//!
//! | path | use |
//! |---|---|
//! | `/cluster/resources` | nodes, guests, and which storages nodes share |
//! | `/nodes/NODE/qemu/VMID/config`, `/nodes/NODE/lxc/VMID/config` | what binds a guest to its node (`config.rs`). These do not say whose they are: name the file after the VMID, or wrap them as `{"VMID": {…}}` |
//! | `/cluster/ha/rules` (9.0) | node affinity → selector; resource affinity negative → conflict on the node, positive → pinned |
//! | `/cluster/ha/groups`, `/cluster/ha/resources` (before 9.0) | the same for groups of nodes |
//!
//! Memory is what a guest may use at most, and what a node has less what its own processes use. A CPU of a node counts
//! [`CPUS_PER_CPU`] times, since Proxmox itself sets no limit. Only running guests are tasks: a stopped one holds nothing.
//! Only its configuration says what a guest holds of its node: one with a device, or with a disk that cannot come along, stays; others
//! stay among the nodes that have storages of the names that they use (disks are shared, or copied on the way).
//! One without a configuration among the documents is taken to move, with its disks.
//! A guest that HA is at work with, or has given up (`hastate`), stays; so does one with a rule that HA cannot follow (`errors`).
//! It says how large nodes are only to accounts with Sys.Audit. A guest of unknown size closes its node: whoever is there stays.
//!
//! Sources: pve-manager `PVE/API2/Cluster.pm`, pve-ha-manager `src/PVE/HA/Rules`, and `man qm`, `man pct`.

mod config;

use super::notes::{Document, Exported, Fate, Imported, Notes};
use super::record::{Kind, Record, values, whole};
use super::shell::{check_name, comment, head, origin, quoted};
use crate::model::*;
use crate::plan::Plan;
use config::{Configs, Storages};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How often a CPU of a node may be promised. Guests rarely use all of theirs; ProxLB and others use 4 as well.
pub const CPUS_PER_CPU: i64 = 4;
const MIB: i64 = 1 << 20;
/// A container stops while it moves, a virtual machine does not.
const MOVE_COSTS: [i64; 2] = [1, 10];

/// Fields without bearing on placement.
const IRRELEVANT: [&str; 22] = [
    "cgroup-mode",
    "cpu",
    "disk",
    "diskread",
    "diskwrite",
    "host-arch",
    "id",
    "level",
    "maxdisk",
    "netin",
    "netout",
    "pool",
    "uptime",
    "content",
    "plugintype",
    "shared",
    "storage",
    "sdn",
    "pressurecpusome",
    "pressureiosome",
    "pressurememorysome",
    "ssl_fingerprint",
];

/// The documents as a snapshot.
///
/// # Errors
/// Every fault, with document and place.
pub fn import(documents: &[Document]) -> Result<Imported, Faults> {
    let (mut faults, mut notes) = (Faults::new(), Notes::default());
    let mut cluster = Cluster::default();
    let items = items(documents, &mut cluster.configs, &mut faults);
    let kind = Kind::new("nodes and guests");
    let mut sids: BTreeSet<String> = BTreeSet::new();
    for (place, value) in &items {
        let Some(record) = kind.record(value, place.clone(), &mut faults) else { continue };
        match record.text("type").as_str() {
            // Of whatever kind it is.
            _ if !record.text("rule").is_empty() => cluster.rules.push(Rule::read(&record, &mut faults)),
            "node" => cluster.nodes.push(node(&record, &mut faults)),
            kind @ ("qemu" | "lxc") => {
                sids.insert(format!("{}:{}", SIDS[usize::from(kind == "lxc")], record.text("vmid")));
                cluster.guests.extend(Guest::read(&record, &mut notes, &mut faults));
            }
            "group" => cluster.groups.push(Rule::group(&record)),
            "" if !record.text("nodes").is_empty() => cluster.groups.push(Rule::group(&record)),
            "" | "vm" | "ct" if !record.text("sid").is_empty() => {
                cluster.in_group.push((record.text("sid"), record.text("group")));
            }
            "storage" => {
                cluster.storages.add(record.text("storage"), record.text("node"), is_on(&record, "shared"));
                notes.add(Fate::Irrelevant, "storages, pools and networks");
            }
            "pool" | "sdn" | "network" => notes.add(Fate::Irrelevant, "storages, pools and networks"),
            other => notes.add(Fate::LeftOut, &format!("items of type {other:?}")),
        }
    }
    let ruled = cluster.rules.iter().flat_map(|rule| &rule.guests).chain(cluster.in_group.iter().map(|(sid, _)| sid));
    notes.add_many(
        Fate::LeftOut,
        "guests of HA rules and resources that are not in the list of guests",
        ruled.filter(|sid| !sids.contains(*sid)).count() as u64,
    );
    let known = items
        .iter()
        .map(|(_, value)| value)
        .filter(|v| ["node", "qemu", "lxc"].iter().any(|t| v.get("type") == Some(&Value::from(*t))));
    kind.count_rest(known, &IRRELEVANT, &mut notes, &mut faults);
    if faults.is_empty() && cluster.nodes.is_empty() {
        faults.add("I110", "documents", "there is no node in them", "add what pvesh get /cluster/resources prints");
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(Imported { snapshot: cluster.snapshot(&mut notes), notes })
}

/// The items of every list, with their places.
fn items(documents: &[Document], configs: &mut Configs, faults: &mut Faults) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for document in documents {
        for mut value in values(document, faults) {
            if let Some(data) = value.get_mut("data") {
                value = data.take();
            }
            let Some(value) = config::take(document, value, configs, faults) else { continue };
            match value {
                Value::Array(list) => {
                    all.extend(list.into_iter().enumerate().map(|(i, item)| (format!("{}[{i}]", document.name), item)));
                }
                _ => {
                    let remedy = "give what pvesh get /cluster/resources --output-format json prints";
                    faults.add("I110", &document.name, "it is no list", remedy);
                }
            }
        }
    }
    all
}

/// Whether all of these figures are there, right or wrong.
fn says(record: &Record<'_>, fields: &[&'static str]) -> bool {
    fields.iter().all(|field| record.get(field).is_some_and(|value| whole(value) != Ok(None)))
}

fn node(record: &Record<'_>, faults: &mut Faults) -> (NodeSpec, i64) {
    let (name, status) = (record.id("node", faults), record.text("status"));
    if status == "online" && !says(record, &["maxmem", "maxcpu", "mem"]) {
        let remedy = "ask with an account that has Sys.Audit";
        faults.add(
            "I301",
            &record.place,
            "it is online and does not say how large it is, or what of it is in use",
            remedy,
        );
    }
    let mut figure = |field| record.whole(field, faults).unwrap_or(0);
    let cpu = figure("maxcpu").saturating_mul(CPUS_PER_CPU);
    let (memory, used) = (figure("maxmem") / MIB, figure("mem"));
    let node = NodeSpec {
        allocatable: [("cpu".to_string(), cpu), ("memory".to_string(), memory)].into(),
        labels: [("node".to_string(), name.clone())].into(),
        cordoned: status != "online" || !["", "online"].contains(&record.text("hastate").as_str()),
        name,
        ..NodeSpec::default()
    };
    (node, used)
}

/// A running guest.
struct Guest {
    sid: String,
    name: String,
    node: String,
    kind: usize,
    cpu: i64,
    memory: i64,
    has_size: bool,
    used: i64,
    pinned: Option<String>,
    vmid: String,
}

const KINDS: [&str; 2] = ["qemu", "lxc"];
/// What HA calls them.
const SIDS: [&str; 2] = ["vm", "ct"];

/// CPUs that a guest may use: a part of one, as with `cpulimit: 0.5`, counts as a whole one.
fn cpus(record: &Record<'_>, faults: &mut Faults) -> i64 {
    match record.text("maxcpu").parse::<f64>() {
        Ok(count) if (0.0..1e6).contains(&count) => count.ceil() as i64,
        _ => record.whole("maxcpu", faults).unwrap_or(0),
    }
}

impl Guest {
    fn read(record: &Record<'_>, notes: &mut Notes, faults: &mut Faults) -> Option<Guest> {
        let vmid = record.id("vmid", faults);
        record.whole("vmid", faults);
        let kind = usize::from(record.text("type") == "lxc");
        let cpu = cpus(record, faults);
        let mut figure = |field| record.whole(field, faults).unwrap_or(0);
        let (memory, template) = (figure("maxmem"), figure("template"));
        // What the host sees (9.0) is what the node counts as in use.
        let (inside, of_host) = (figure("mem"), figure("memhost"));
        let used = if of_host > 0 { of_host } else { inside };
        let (status, lock) = (record.text("status"), record.text("lock"));
        let words = record.words("tags");
        notes.add_many(Fate::LeftOut, "guests with tags", u64::from(!words.is_empty()));
        if template > 0 || status == "stopped" {
            notes.add(Fate::LeftOut, if template > 0 { "templates" } else { "stopped guests, which hold nothing" });
            return None;
        }
        let ha = record.text("hastate");
        let pinned = match (lock.as_str(), status.as_str(), ha.as_str()) {
            // HA does nothing with those that it ignores.
            ("", "running", "" | "started" | "ignored") => None,
            ("", "running", ha) => Some(format!("its state in HA is {ha:?}")),
            ("", other, _) => Some(format!("its status is {other:?}")),
            (lock, ..) => Some(format!("it is locked ({lock})")),
        };
        if let Some(why) = &pinned {
            notes.add(Fate::Pinned, &format!("guests: {why}"));
        }
        Some(Guest {
            sid: format!("{}:{vmid}", SIDS[kind]),
            name: record.text("name"),
            node: record.id("node", faults),
            memory: memory.saturating_add(MIB - 1) / MIB,
            has_size: says(record, &["maxmem", "maxcpu"]),
            kind,
            cpu,
            used,
            pinned,
            vmid,
        })
    }

    /// What its configuration says of where it may run, where that is known.
    fn bind(
        &self,
        configs: &Configs,
        storages: &Storages,
        pinned: &mut Option<String>,
        selector: &mut BTreeMap<String, Vec<String>>,
        notes: &mut Notes,
    ) {
        if pinned.is_some() {
            return;
        }
        let Some(config) = configs.get(&self.vmid) else {
            let what =
                "configurations of guests, which tell devices and disks of their nodes: none among the documents";
            return notes.add(Fate::LeftOut, what);
        };
        if let Some(why) = config.binds(&self.node, storages) {
            notes.add(Fate::Pinned, &format!("guests: {why}"));
            *pinned = Some(why);
            return;
        }
        for nodes in config.reach(storages) {
            let allowed = selector.entry("node".into()).or_insert_with(|| nodes.iter().cloned().collect());
            allowed.retain(|node| nodes.contains(node));
        }
    }

    fn task(&self, notes: &mut Notes, rules: &[Rule], configs: &Configs, storages: &Storages) -> TaskSpec {
        let mut pinned = self.pinned.clone();
        let mut selector: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for rule in rules.iter().filter(|rule| rule.guests.contains(&self.sid)) {
            match &rule.says {
                Says::Nodes { nodes, is_strict: true, .. } => {
                    // Several rules: what all of them allow.
                    let allowed = selector
                        .get("node")
                        .map_or(nodes.clone(), |old| old.iter().filter(|node| nodes.contains(node)).cloned().collect());
                    selector.insert("node".into(), allowed);
                }
                Says::Unknown if pinned.is_none() => {
                    pinned = Some("a rule of HA is for it that is not understood here".into());
                    notes.add(Fate::Pinned, "guests with an HA rule that is not understood");
                }
                Says::Together if pinned.is_none() => {
                    pinned = Some("HA keeps it together with others, and nothing moves them together".into());
                    notes.add(Fate::Pinned, "guests that HA keeps together");
                }
                _ => {}
            }
        }
        self.bind(configs, storages, &mut pinned, &mut selector, notes);
        let group = rules.iter().find(|rule| rule.says == Says::Apart && rule.guests.contains(&self.sid));
        let mut origin: BTreeMap<String, String> = [("vmid", &self.vmid), ("type", &KINDS[self.kind].to_string())]
            .map(|(key, value)| (key.to_string(), value.clone()))
            .into();
        origin.extend(pinned.iter().map(|why| ("pinned".to_string(), why.clone())));
        TaskSpec {
            name: format!("{}-{}", self.vmid, self.name),
            kind: [TaskKind::Vm, TaskKind::Container][self.kind],
            weight: 1,
            requirement: [("cpu".to_string(), self.cpu), ("memory".to_string(), self.memory)].into(),
            placement: vec![PieceSpec { node: self.node.clone(), ..PieceSpec::default() }],
            pinned: pinned.is_some(),
            move_cost: MOVE_COSTS[self.kind],
            group: group.map(|rule| rule.name.clone()),
            selector,
            origin,
            ..TaskSpec::default()
        }
    }
}

/// A rule of the HA manager.
struct Rule {
    name: String,
    guests: BTreeSet<String>,
    says: Says,
}

#[derive(PartialEq, Eq)]
enum Says {
    Nodes {
        nodes: Vec<String>,
        is_strict: bool,
        /// All nodes but these.
        is_negative: bool,
    },
    Together,
    Apart,
    /// It is off.
    Nothing,
    /// It is on, and nobody here knows what it means.
    Unknown,
}

impl Rule {
    fn read(record: &Record<'_>, faults: &mut Faults) -> Rule {
        let guests: BTreeSet<String> = record.words("resources").into_iter().collect();
        if guests.is_empty() {
            faults.add(
                "I301",
                &record.place,
                "it is a rule for no guest",
                "give the answer of /cluster/ha/rules as it is",
            );
        }
        let says = match (record.text("type").as_str(), record.text("affinity").as_str()) {
            _ if is_on(record, "disable") => Says::Nothing,
            // HA passes over it until somebody mends it, and nobody knows how it will read then.
            _ if record.get("errors").is_some_and(|errors| errors.as_object().is_none_or(|list| !list.is_empty())) => {
                Says::Unknown
            }
            ("node-affinity", affinity @ ("" | "positive" | "negative")) => Says::Nodes {
                nodes: node_names(record),
                is_strict: is_on(record, "strict"),
                is_negative: affinity == "negative",
            },
            ("resource-affinity", "negative") => Says::Apart,
            ("resource-affinity", "positive") => Says::Together,
            _ => Says::Unknown,
        };
        Rule { name: record.text("rule"), guests, says }
    }

    /// A group of nodes, of the time before rules.
    fn group(record: &Record<'_>) -> Rule {
        let is_strict = is_on(record, "restricted");
        let says = Says::Nodes { nodes: node_names(record), is_strict, is_negative: false };
        Rule { name: record.text("group"), guests: BTreeSet::new(), says }
    }
}

/// Proxmox writes flags as 1, some versions as a text.
fn is_on(record: &Record<'_>, name: &'static str) -> bool {
    let is_word = record.get(name).is_some_and(|value| [&json!(1), &json!("1"), &json!("0")].contains(&value));
    if is_word { record.text(name) == "1" } else { record.flag(name) }
}

/// `pve1:2,pve2`: names, with priorities that only prefer.
fn node_names(record: &Record<'_>) -> Vec<String> {
    record.words("nodes").iter().map(|word| word.split(':').next().unwrap_or("").to_string()).collect()
}

#[derive(Default)]
struct Cluster {
    /// With the bytes of memory in use.
    nodes: Vec<(NodeSpec, i64)>,
    guests: Vec<Guest>,
    rules: Vec<Rule>,
    groups: Vec<Rule>,
    in_group: Vec<(String, String)>,
    configs: Configs,
    storages: Storages,
}

impl Cluster {
    /// A task has one group: rules that keep the same guest apart from others become one, which keeps all of them apart.
    fn join_apart(&mut self, notes: &mut Notes) {
        let (mut apart, others): (Vec<Rule>, Vec<Rule>) =
            self.rules.drain(..).partition(|rule| rule.says == Says::Apart);
        let mut joined: Vec<Rule> = Vec::new();
        while let Some(mut rule) = apart.pop() {
            while let Some(at) = apart.iter().position(|other| !other.guests.is_disjoint(&rule.guests)) {
                let other = apart.swap_remove(at);
                rule.name = format!("{} {}", other.name, rule.name);
                rule.guests.extend(other.guests);
                notes
                    .add(Fate::Stricter, "HA rules that share guests with another: all of their guests are kept apart");
            }
            joined.push(rule);
        }
        // As Proxmox lists them, which popping turned around.
        self.rules = joined.into_iter().rev().chain(others).collect();
    }

    /// Rules against nodes become rules for all others.
    fn turn_negative(&mut self) {
        let all: Vec<&String> = self.nodes.iter().map(|(node, _)| &node.name).collect();
        for rule in &mut self.rules {
            if let Says::Nodes { nodes, is_negative: true, .. } = &mut rule.says {
                *nodes = all.iter().filter(|name| !nodes.contains(name)).map(|name| name.to_string()).collect();
            }
        }
    }

    /// Nobody can tell how much room there is beside a guest of unknown size, neither now nor when others leave.
    fn close_unknown(&mut self, notes: &mut Notes) {
        let unknown = self.guests.iter().filter(|guest| !guest.has_size);
        let closed: BTreeSet<String> = unknown.map(|guest| guest.node.clone()).collect();
        for (node, _) in self.nodes.iter_mut().filter(|(node, _)| closed.contains(&node.name)) {
            node.cordoned = true;
            notes.add(Fate::Stricter, "nodes with a guest that does not say how large it is: nobody comes to them");
        }
        for guest in &mut self.guests {
            if closed.contains(&guest.node) && guest.pinned.is_none() {
                guest.pinned = Some("it, or another on its node, does not say how large it is".into());
                notes.add(Fate::Pinned, "guests on nodes with a guest that does not say how large it is");
            }
        }
    }

    fn snapshot(mut self, notes: &mut Notes) -> Snapshot {
        for (sid, group) in &self.in_group {
            match self.groups.iter_mut().find(|rule| rule.name == *group) {
                Some(group) => _ = group.guests.insert(sid.clone()),
                None if group.is_empty() => {}
                None => {
                    let guests = [sid.clone()].into();
                    self.groups.push(Rule { name: group.clone(), guests, says: Says::Unknown });
                }
            }
        }
        self.rules.append(&mut self.groups);
        self.join_apart(notes);
        self.turn_negative();
        self.close_unknown(notes);
        let soft = |rule: &&Rule| matches!(rule.says, Says::Nodes { is_strict: false, .. });
        notes.add_many(
            Fate::LeftOut,
            "HA rules and groups that only prefer nodes",
            self.rules.iter().filter(soft).count() as u64,
        );
        notes.add_many(
            Fate::Irrelevant,
            "HA rules that are off",
            self.rules.iter().filter(|rule| rule.says == Says::Nothing).count() as u64,
        );
        let mut guests_use: HashMap<&str, i64> = HashMap::new();
        for guest in &self.guests {
            let sum = guests_use.entry(guest.node.as_str()).or_default();
            *sum = sum.saturating_add(guest.used);
        }
        let mut nodes = Vec::new();
        for (mut node, used) in self.nodes {
            // What is in use beyond the guests is the node's own.
            let own = used.saturating_sub(guests_use.get(node.name.as_str()).copied().unwrap_or(0)).max(0);
            let memory = node.allocatable.entry("memory".into()).or_default();
            *memory = memory.saturating_sub(own.saturating_add(MIB - 1) / MIB).max(0);
            nodes.push(node);
        }
        self.storages.nodes = nodes.len();
        let known: BTreeSet<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        let (here, gone): (Vec<&Guest>, Vec<&Guest>) =
            self.guests.iter().partition(|guest| known.contains(guest.node.as_str()));
        notes.add_many(Fate::LeftOut, "guests on nodes that are not in the list", gone.len() as u64);
        let task = |guest: &Guest| {
            let mut task = guest.task(notes, &self.rules, &self.configs, &self.storages);
            // A virtual machine does not start on a node with fewer CPUs than it has itself.
            let is_wide_enough =
                |node: &&NodeSpec| guest.kind > 0 || node.allocatable["cpu"] / CPUS_PER_CPU >= guest.cpu;
            let wide: Vec<String> = nodes.iter().filter(is_wide_enough).map(|node| node.name.clone()).collect();
            if wide.len() < nodes.len() && !task.pinned {
                task.selector.entry("node".into()).or_insert_with(|| wide.clone()).retain(|node| wide.contains(node));
            }
            task
        };
        let tasks = here.into_iter().map(task).collect();
        let resource = |(name, unit): (&str, &str)| ResourceSpec {
            name: name.into(),
            unit: unit.into(),
            transient: true,
            ..ResourceSpec::default()
        };
        let apart = self.rules.iter().filter(|rule| rule.says == Says::Apart);
        let group =
            |rule: &Rule| GroupSpec { name: rule.name.clone(), conflict: vec!["node".into()], ..GroupSpec::default() };
        Snapshot {
            name: "proxmox".into(),
            resources: [("cpu", "CPUs"), ("memory", "MiB")].map(resource).into(),
            groups: apart.map(group).collect(),
            nodes,
            tasks,
            objective: ObjectiveSpec { task_move_weight: 1, ..ObjectiveSpec::default() },
            ..Snapshot::default()
        }
    }
}

const ABOUT: &str = "\
Targets are bound: Proxmox moves a guest to the node named, or not at all. A container restarts on its way.";

/// A script to review, one migration per line, waves marked; moves run one after the other.
///
/// # Errors
/// Moves that are no migration, or of tasks that did not come from Proxmox.
pub fn export(snapshot: &Snapshot, problem: &Problem, plan: &Plan) -> Result<Exported, Faults> {
    let mut faults = Faults::new();
    let mut text = head(&format!("Migrations of Proxmox guests, for the snapshot {}.", plan.fingerprint), ABOUT);
    for (number, moves) in plan.waves.iter().enumerate() {
        text.push_str(&format!("\n# wave {}\n", number + 1));
        for step in moves {
            let spec = &snapshot.tasks[step.task.index()];
            let ([from], [to]) = (step.from.pieces(), step.to.pieces()) else {
                faults.add(
                    "I302",
                    format!("task {}", spec.name),
                    "the plan starts or stops it",
                    "a migration needs a guest that runs",
                );
                continue;
            };
            let [from, to] = [from, to].map(|piece| problem.nodes[piece.node.index()].name.as_str());
            for node in [from, to] {
                check_name(|| format!("node {node}"), "name", node, &mut faults);
            }
            let [vmid, kind] = ["vmid", "type"].map(|key| origin(spec, key, "proxmox", &mut faults));
            let (Some(vmid), Some(kind)) = (vmid, kind) else { continue };
            let how = if kind == "qemu" { "--online 1 --with-local-disks 1" } else { "--restart 1" };
            let path = quoted(&format!("/nodes/{from}/{kind}/{vmid}/migrate"));
            text.push_str(&format!(
                "run pvesh create {path} --target {} {how}  # {}\n",
                quoted(to),
                comment(&spec.name)
            ));
        }
    }
    if faults.is_empty() { Ok(Exported { text, notes: Notes::default() }) } else { Err(faults) }
}
