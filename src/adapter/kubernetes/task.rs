//! How does a pod become a task? Name, weight, requirement, devices, place, selector, tolerations.

use super::cluster::Cluster;
use super::nodes::{device_kind, effect_of, tolerates};
use super::pod::{Pod, amount};
use super::records::{PriorityClass, Toleration};
use super::{Options, Weight};
use crate::adapter::notes::{Fate, Notes};
use crate::model::*;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Weight of a pod of the lowest priority: a move costs 1.
const WEIGHT_LEAST: i64 = 1000;
/// Weight that no priority exceeds under [`Weight::Rank`].
const WEIGHT_MOST: i64 = 1_000_000_000;

/// Makes the tasks of all pods.
pub fn make(cluster: &mut Cluster, classes: &[PriorityClass], options: &Options, notes: &mut Notes) {
    let priorities = priorities(&cluster.pods, classes);
    let ladder: BTreeSet<i64> = priorities.iter().copied().collect();
    let ladder: BTreeMap<i64, u32> = ladder.into_iter().zip(0..).collect();
    let weight = |priority: i64| match options.weight {
        Weight::Rank => WEIGHT_LEAST.saturating_mul(10i64.saturating_pow(ladder[&priority])).min(WEIGHT_MOST),
        Weight::Value => WEIGHT_LEAST.saturating_add(priority.max(0)).min(AMOUNT_MAX),
        Weight::Equal => WEIGHT_LEAST,
    };
    let taints = cluster.nodes.taints();
    let tolerations: Vec<Vec<TolerationSpec>> =
        cluster.tables.tolerations.list.iter().map(|list| accepted(list, &taints)).collect();
    // Which devices of each node are given away, as a set.
    let mut given = vec![0u64; cluster.nodes.list.len()];
    for p in 0..cluster.pods.len() {
        let pod = &cluster.pods[p];
        let mut task = TaskSpec {
            weight: weight(priorities[p]),
            tolerations: tolerations[pod.tolerations].clone(),
            ..task(cluster, pod)
        };
        for (resource, nanos) in &pod.request {
            let name = &cluster.tables.resources.list[*resource];
            let amount = amount(name, *nanos, true);
            if cluster.nodes.devices.contains(name) {
                let request = DeviceRequestSpec {
                    kind: device_kind(name),
                    count: amount as u32,
                    milli: DEVICE_MILLI,
                    memory: None,
                    models: Vec::new(),
                };
                task.device = (amount > 0).then_some(request);
            } else if amount > 0 {
                task.requirement.insert(name.clone(), amount);
            }
        }
        if let Some(node) = cluster.place[p] {
            let devices = take_devices(&cluster.nodes.list[node], &mut given[node], task.device.as_ref());
            task.placement = vec![PieceSpec { node: cluster.nodes.list[node].name.clone(), share: None, devices }];
        }
        cluster.tasks.push(task);
    }
    select(cluster);
    keep_to_system(cluster);
    for p in 0..cluster.pods.len() {
        if let Some(reason) = cluster.pods[p].pinned {
            cluster.pin(p, reason, notes);
        }
    }
}

/// A node lets nobody in who is made for another operating system.
fn keep_to_system(cluster: &mut Cluster) {
    let mut by_system: BTreeMap<Box<str>, Vec<usize>> = BTreeMap::new();
    for (p, pod) in cluster.pods.iter().enumerate() {
        pod.os.iter().for_each(|os| by_system.entry(os.clone()).or_default().push(p));
    }
    let systems = cluster.values("kubernetes.io/os");
    for (os, pods) in by_system {
        let runs = systems.iter().map(|system| system.as_deref().is_none_or(|system| system == &*os)).collect();
        cluster.restrict(&pods, "os", runs);
    }
}

/// Pins pods of gangs, of which other schedulers start all or none.
pub fn bind_gangs(cluster: &mut Cluster, loose: &HashSet<(String, String)>, notes: &mut Notes) {
    for p in 0..cluster.pods.len() {
        let Some(gang) = &cluster.pods[p].gang else { continue };
        let namespace = &cluster.tables.faces.list[cluster.pods[p].face].namespace;
        if !loose.contains(&(namespace.clone(), gang.to_string())) {
            cluster.pin(p, "it is scheduled together with its pod group", notes);
        }
    }
}

/// Takes what is free of the request of a waiting pod off the node that is kept for it: the scheduler gives that to nobody of lower
/// priority.
pub fn reserve(cluster: &mut Cluster, notes: &mut Notes) {
    let index: HashMap<String, usize> =
        cluster.nodes.list.iter().enumerate().map(|(n, node)| (node.name.clone(), n)).collect();
    let awaited: Vec<(usize, usize)> =
        (0..cluster.pods.len()).filter_map(|p| Some((p, *index.get(cluster.pods[p].awaited.as_ref()?)?))).collect();
    if awaited.is_empty() {
        return;
    }
    let mut used: HashMap<usize, BTreeMap<String, i64>> = awaited.iter().map(|(_, n)| (*n, BTreeMap::new())).collect();
    let mut held: HashMap<usize, u32> = HashMap::new();
    for (task, place) in cluster.tasks.iter().zip(&cluster.place) {
        let Some((node, used)) = place.and_then(|node| Some((node, used.get_mut(&node)?))) else { continue };
        for (name, amount) in &task.requirement {
            let sum = used.entry(name.clone()).or_default();
            *sum = sum.saturating_add(*amount);
        }
        *held.entry(node).or_default() += task.device.as_ref().map_or(0, |device| device.count);
    }
    for (p, n) in awaited {
        cluster.pin(p, "the scheduler keeps a node for it", notes);
        let (task, node) = (&cluster.tasks[p], &mut cluster.nodes.list[n]);
        let has = |(name, amount): (&String, &i64)| node.allocatable.get(name).is_some_and(|has| has >= amount);
        if !task.requirement.iter().all(has) {
            // It will not come, whoever leaves.
            continue;
        }
        notes.add(Fate::Stricter, "what is free on nodes that are kept for waiting pods");
        // Pods hold the first devices of their kind, so the last are free.
        if let (Some(wanted), [devices]) = (&task.device, node.devices.as_mut_slice()) {
            devices.count -= wanted.count.min(devices.count.saturating_sub(held.get(&n).copied().unwrap_or(0)));
        }
        for (name, amount) in &task.requirement {
            let Some(capacity) = node.allocatable.get_mut(name) else { continue };
            let free = (*capacity - used[&n].get(name).copied().unwrap_or(0)).max(0);
            *capacity -= free.min(*amount);
        }
    }
}

fn task(cluster: &Cluster, pod: &Pod) -> TaskSpec {
    let namespace = &cluster.tables.faces.list[pod.face].namespace;
    let mut origin: BTreeMap<String, String> = BTreeMap::new();
    let mut keep = |key: &str, value: &str| {
        if !value.is_empty() {
            origin.insert(key.to_string(), value.to_string());
        }
    };
    keep("namespace", namespace);
    keep("name", &pod.name);
    keep("uid", &pod.uid);
    let mut kind = TaskKind::Container;
    if let Some(owner) = &pod.controller {
        keep("owner_api", &owner.api_version);
        keep("owner_kind", &owner.kind);
        keep("owner_name", &owner.name);
        keep("owner_uid", &owner.uid);
        kind = match owner.kind.as_str() {
            "VirtualMachineInstance" => TaskKind::Vm,
            "Job" => TaskKind::Job,
            _ => TaskKind::Container,
        };
    }
    TaskSpec {
        name: format!("{namespace}/{}", pod.name),
        kind,
        group: pod.owner.map(|owner| cluster.groups[owner].name.clone()),
        move_cost: pod.move_cost,
        origin,
        ..TaskSpec::default()
    }
}

/// The priority of each pod: its own, else that of its class, else the default of the cluster, else 0.
fn priorities(pods: &[Pod], classes: &[PriorityClass]) -> Vec<i64> {
    let by_name: HashMap<&str, i64> = classes.iter().map(|class| (class.metadata.name.as_str(), class.value)).collect();
    let default = classes.iter().find(|class| class.global_default).map_or(0, |class| class.value);
    let of = |pod: &Pod| pod.priority.or_else(|| by_name.get(pod.class.as_str()).copied()).unwrap_or(default);
    pods.iter().map(of).collect()
}

/// The devices of a pod that runs: Kubernetes does not say which they are, so the next free ones of its kind on its node.
fn take_devices(node: &NodeSpec, given: &mut u64, request: Option<&DeviceRequestSpec>) -> Vec<u32> {
    let Some(request) = request else { return Vec::new() };
    let kinds = node.devices.iter().flat_map(|devices| std::iter::repeat_n(&devices.kind, devices.count as usize));
    let free = (0u32..).zip(kinds).filter(|(device, kind)| **kind == request.kind && *given >> device & 1 == 0);
    let taken: Vec<u32> = free.map(|(device, _)| device).take(request.count as usize).collect();
    taken.iter().for_each(|device| *given |= 1 << device);
    taken
}

/// What tolerations accept among the taints there are; one for a limited time lets nobody in.
fn accepted(tolerations: &[Toleration], taints: &BTreeSet<(String, String)>) -> Vec<TolerationSpec> {
    let mut list: Vec<TolerationSpec> = Vec::new();
    for (key, value) in taints {
        let is_for_ever =
            |toleration: &&Toleration| toleration.toleration_seconds.is_none() || effect_of(key).1 != "NoExecute";
        if tolerations.iter().filter(is_for_ever).any(|toleration| tolerates(toleration, key, value)) {
            list.push(TolerationSpec { key: Some(key.clone()), value: Some(value.clone()) });
        }
    }
    list
}

/// Selectors from nodeSelector and node affinity.
fn select(cluster: &mut Cluster) {
    for p in 0..cluster.pods.len() {
        let spec = cluster.tables.filters.list[cluster.pods[p].filter].clone();
        for (key, value) in &spec.selector {
            cluster.require(p, key, std::slice::from_ref(value));
        }
        if let Some(affinity) = &spec.affinity {
            cluster.select(p, "affinity", affinity);
        }
    }
}
