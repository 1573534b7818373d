//! How do nodes become nodes? Capacity, labels, taints, domains, devices.

use super::pod::{Tables, amount, unit};
use super::records::{Node, Taint, Toleration};
use crate::adapter::notes::{Fate, Notes};
use crate::model::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Resources whose pieces are whole devices, and the kind they are called by.
const DEVICE_RESOURCES: [&str; 2] = ["nvidia.com/gpu", "amd.com/gpu"];
/// Labels that name the model of a node's GPUs, the most exact first.
const MODEL_LABELS: [&str; 5] = [
    "nvidia.com/gpu.product",
    "amd.com/gpu.product-name",
    "cloud.google.com/gke-accelerator",
    "karpenter.k8s.aws/instance-gpu-name",
    "gpu.nvidia.com/model",
];
/// Topology keys with a short name, which no other key gets.
const LEVELS: [(&str, &str); 2] =
    [("topology.kubernetes.io/zone", "zone"), ("topology.kubernetes.io/region", "region")];
/// The level that every snapshot has.
const NODE: &str = "node";
/// Topology key of the node itself.
const HOSTNAME: &str = "kubernetes.io/hostname";

/// The nodes as they go into the snapshot, and what is asked of them by name.
pub struct Nodes {
    pub list: Vec<NodeSpec>,
    /// Resources counted in amounts, in the order of the snapshot.
    pub resources: Vec<String>,
    /// Resources that are devices.
    pub devices: BTreeSet<String>,
    /// Whether each node says that it is ready, or says nothing.
    pub ready: Vec<bool>,
    /// Topology key by level other than `node`.
    levels: BTreeMap<String, String>,
    /// Whether the hostname label tells nodes apart.
    has_hostnames: bool,
    /// Labels of our own, by purpose and the nodes that have it.
    marks: HashMap<(&'static str, Vec<bool>), String>,
}

impl Nodes {
    pub fn new(
        nodes: Vec<Node>,
        tables: &Tables,
        requests: &[&[(usize, i128)]],
        faults: &mut Faults,
        notes: &mut Notes,
    ) -> Nodes {
        let devices = device_resources(&nodes, tables, requests);
        let asked: BTreeSet<&str> =
            requests.iter().flat_map(|r| r.iter()).map(|(r, _)| tables.resources.list[*r].as_str()).collect();
        let mut resources: Vec<String> = ["cpu", "memory", "pods"].map(String::from).into();
        let others = asked.iter().filter(|name| !devices.contains(**name)).map(|name| name.to_string());
        let others: Vec<String> = others.filter(|name| !resources.contains(name)).collect();
        resources.extend(others);
        let mut this = Nodes {
            list: Vec::with_capacity(nodes.len()),
            resources,
            devices,
            ready: nodes.iter().map(is_ready).collect(),
            levels: BTreeMap::new(),
            has_hostnames: false,
            marks: HashMap::new(),
        };
        for node in nodes {
            let spec = this.node(node, faults, notes);
            this.list.push(spec);
        }
        let hostnames: BTreeSet<Option<&String>> = this.list.iter().map(|node| node.labels.get(HOSTNAME)).collect();
        this.has_hostnames = hostnames.len() == this.list.len() && !hostnames.contains(&None);
        this
    }

    fn node(&self, node: Node, faults: &mut Faults, notes: &mut Notes) -> NodeSpec {
        let is_ready = is_ready(&node);
        let Node { metadata, spec, status } = node;
        let mut allocatable = BTreeMap::new();
        let mut devices = Vec::new();
        for (name, quantity) in &status.allocatable {
            let Some(nanos) = quantity.nanos() else {
                let cause = format!("status.allocatable, {name}: {:?} is no quantity from 0 to 2^63", quantity.0);
                let place = format!("Node {}", metadata.name);
                faults.add("I208", place, cause, "write a number and a suffix, such as 500m or 1.5Gi");
                continue;
            };
            let amount = amount(name, nanos, false);
            if self.devices.contains(name) {
                let model =
                    MODEL_LABELS.iter().find_map(|label| metadata.labels.get(*label)).cloned().unwrap_or_default();
                let count = u32::try_from(amount).expect("devices are counted in 64s");
                devices.extend((count > 0).then_some(DevicesSpec {
                    kind: device_kind(name),
                    model,
                    count,
                    memory: None,
                }));
            } else if self.resources.contains(name) {
                allocatable.insert(name.clone(), amount);
            } else if amount > 0 {
                notes.add(Fate::Irrelevant, &format!("resource {name} of nodes, for which no pod asks"));
            }
        }
        if !is_ready {
            notes.add(Fate::Stricter, "nodes that are not ready: no task may come");
        }
        let soft = spec.taints.iter().filter(|taint| taint.effect == "PreferNoSchedule").count();
        notes.add_many(Fate::LeftOut, "taints that only prefer (PreferNoSchedule)", soft as u64);
        let hard = spec.taints.iter().filter(|taint| taint.effect != "PreferNoSchedule");
        NodeSpec {
            name: metadata.name,
            allocatable,
            taints: hard.map(|taint| TaintSpec { key: taint_key(taint), value: taint.value.clone() }).collect(),
            cordoned: spec.unschedulable || !is_ready,
            devices,
            labels: metadata.labels,
            origin: Some(metadata.uid)
                .filter(|uid| !uid.is_empty())
                .map(|uid| ("uid".to_string(), uid))
                .into_iter()
                .collect(),
            ..NodeSpec::default()
        }
    }

    /// The resources of a snapshot.
    pub fn resource_specs(&self) -> Vec<ResourceSpec> {
        let spec = |name: &String| ResourceSpec {
            name: name.clone(),
            unit: unit(name).to_string(),
            transient: true,
            ..ResourceSpec::default()
        };
        self.resources.iter().map(spec).collect()
    }

    /// The level of a topology key; made on first use.
    pub fn level(&mut self, key: &str) -> String {
        if key == HOSTNAME && self.has_hostnames {
            return NODE.to_string();
        }
        let name = level_name(key);
        if !self.levels.contains_key(&name) {
            for node in &mut self.list {
                if let Some(value) = node.labels.get(key).cloned() {
                    node.domains.insert(name.clone(), value);
                }
            }
            self.levels.insert(name.clone(), key.to_string());
        }
        name
    }

    /// Names of the levels that came into use; zone and region always do where nodes have them.
    pub fn level_names(&mut self) -> Vec<String> {
        for (key, _) in LEVELS {
            if self.list.iter().any(|node| node.labels.contains_key(key)) {
                self.level(key);
            }
        }
        self.levels.keys().cloned().collect()
    }

    /// A label that just these nodes have, for a selector that says more than labels can.
    pub fn mark(&mut self, purpose: &'static str, nodes: Vec<bool>) -> String {
        let next = format!("kubernetes/{purpose}-{}", self.marks.len() + 1);
        let label = self.marks.entry((purpose, nodes)).or_insert_with_key(|(_, nodes)| {
            for (node, _) in self.list.iter_mut().zip(nodes).filter(|(_, has)| **has) {
                node.labels.insert(next.clone(), "yes".to_string());
            }
            next.clone()
        });
        label.clone()
    }

    /// Taints of all nodes that keep pods away, without repetition.
    pub fn taints(&self) -> BTreeSet<(String, String)> {
        self.list.iter().flat_map(|node| &node.taints).map(|taint| (taint.key.clone(), taint.value.clone())).collect()
    }
}

fn is_ready(node: &Node) -> bool {
    let ready = node.status.conditions.iter().find(|condition| condition.kind == "Ready");
    ready.is_none_or(|condition| condition.status == "True")
}

/// A label may be called like a level that is not its own.
fn level_name(key: &str) -> String {
    match LEVELS.iter().find(|(known, _)| *known == key) {
        Some((_, level)) => level.to_string(),
        None if key == NODE || LEVELS.iter().any(|(_, level)| *level == key) => format!("label {key}"),
        None => key.to_string(),
    }
}

/// Effects have names of their own: a toleration may be for one of them only.
fn taint_key(taint: &Taint) -> String {
    match taint.effect.as_str() {
        "NoSchedule" => taint.key.clone(),
        effect => format!("{}:{effect}", taint.key),
    }
}

/// Key and effect of a taint as they are in Kubernetes, from its key here.
pub fn effect_of(key: &str) -> (&str, &str) {
    key.strip_suffix(":NoExecute").map_or((key, "NoSchedule"), |key| (key, "NoExecute"))
}

/// Whether the scheduler would let a pod with this toleration pass a taint, for however short a time; the key is that of a snapshot.
pub fn tolerates(toleration: &Toleration, key: &str, value: &str) -> bool {
    let (plain, effect) = effect_of(key);
    let is_known = matches!(toleration.operator.as_str(), "" | "Equal" | "Exists");
    is_known
        && (toleration.effect.is_empty() || toleration.effect == effect)
        && (toleration.key == plain || (toleration.key.is_empty() && toleration.operator == "Exists"))
        && (toleration.operator == "Exists" || toleration.value == value)
}

/// `nvidia.com/gpu` is a `gpu`; the maker shows in the model, or in the kind where there are several.
pub fn device_kind(resource: &str) -> String {
    match resource {
        "nvidia.com/gpu" => "gpu".to_string(),
        other => other.to_string(),
    }
}

/// What is held as devices: no more than a node can have, and never two kinds for one pod, for which a task has no words.
fn device_resources(nodes: &[Node], tables: &Tables, requests: &[&[(usize, i128)]]) -> BTreeSet<String> {
    let most = |name: &str| {
        let counts =
            nodes.iter().filter_map(|node| Some(amount(name, node.status.allocatable.get(name)?.nanos()?, false)));
        counts.max().unwrap_or(0)
    };
    let mut devices: BTreeSet<String> = DEVICE_RESOURCES.map(String::from).into();
    let total = |node: &Node| -> i64 {
        let counts = DEVICE_RESOURCES
            .iter()
            .filter_map(|name| Some(amount(name, node.status.allocatable.get(*name)?.nanos()?, false)));
        counts.fold(0, i64::saturating_add)
    };
    devices.retain(|name| most(name) > 0);
    let is_device = |r: &usize| DEVICE_RESOURCES.contains(&tables.resources.list[*r].as_str());
    let wants = |request: &&[(usize, i128)]| request.iter().filter(|(r, nanos)| is_device(r) && *nanos > 0).count();
    let beyond = |request: &&[(usize, i128)]| {
        request.iter().any(|(r, nanos)| is_device(r) && amount("", *nanos, true) > DEVICE_COUNT_MAX as i64)
    };
    if nodes.iter().any(|node| total(node) > DEVICE_COUNT_MAX as i64)
        || requests.iter().any(|r| wants(r) > 1 || beyond(r))
    {
        devices.clear();
    }
    devices
}
