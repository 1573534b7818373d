//! Which volumes tie a pod to nodes, or to other pods? Persistent ones to where they can be reached from, local ones to where they
//! are; one that a single node can use at a time to the node where it is in use, one for a single pod to whoever uses it.

use super::Options;
use super::cluster::Cluster;
use super::documents::Objects;
use super::records::{ClaimSpec, NodeSelector, NodeTerm, PersistentVolumeSpec, Requirement, Texts};
use crate::adapter::notes::Notes;
use crate::model::TaskKind;
use std::collections::{BTreeMap, BTreeSet};

/// How much can use a volume at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Pod,
    Node,
}

/// Labels by which volumes and nodes say where they are: as they are called now, and as they were before.
const ZONE_LABELS: [[&str; 2]; 2] = [
    ["topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"],
    ["topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region"],
];
/// What stands between the zones of a volume that is in several.
const ZONE_SEPARATOR: &str = "__";

/// A persistent volume.
pub struct Volume {
    pub spec: PersistentVolumeSpec,
    /// Nodes that the scheduler takes for it, by each of its labels that say where it is.
    pub zones: Vec<NodeSelector>,
}

/// What the labels of a volume require of its node, as the scheduler's filter VolumeZone reads them: a node that says nowhere where it
/// is will do, a name from before matches the one of now, and a label with an empty zone says nothing.
pub fn zones(labels: &Texts) -> Vec<NodeSelector> {
    let condition = |key: &str, operator: &str, values: &[String]| Requirement {
        key: key.to_string(),
        operator: operator.to_string(),
        values: values.to_vec(),
    };
    let all = |match_expressions| NodeTerm { match_expressions, match_fields: Vec::new() };
    let says_nowhere =
        || all(ZONE_LABELS.as_flattened().iter().map(|key| condition(key, "DoesNotExist", &[])).collect());
    let selector = |key: &str, now: &str| {
        let values: Vec<String> = labels.get(key)?.split(ZONE_SEPARATOR).map(|zone| zone.trim().to_string()).collect();
        if values.contains(&String::new()) {
            return None;
        }
        let mut terms = vec![says_nowhere(), all(vec![condition(key, "In", &values)])];
        if key != now {
            terms.push(all(vec![condition(key, "DoesNotExist", &[]), condition(now, "In", &values)]));
        }
        Some(NodeSelector { node_selector_terms: terms })
    };
    ZONE_LABELS.iter().flat_map(|&[now, before]| [selector(now, now), selector(before, now)]).flatten().collect()
}

/// Pods that use a claim, ascending; by scope, namespace and name.
type Users = BTreeMap<(Scope, String, String), Vec<usize>>;

/// Pins pods or narrows where they may run, after their volumes.
pub fn apply(cluster: &mut Cluster, objects: &Objects, options: &Options, notes: &mut Notes) {
    let mut users = Users::new();
    for p in 0..cluster.pods.len() {
        let pod = &cluster.pods[p];
        let namespace = cluster.tables.faces.list[pod.face].namespace.clone();
        // The data of a machine migrates with it.
        let is_lost = pod.has_empty_dir && !pod.may_lose_data && pod.node.is_some();
        if is_lost && !options.delete_emptydir_data && cluster.tasks[p].kind != TaskKind::Vm {
            cluster.pin(p, "local volume: emptyDir (see --delete-emptydir-data)", notes);
        }
        // A pod may name a claim twice.
        for name in std::mem::take(&mut cluster.pods[p].claims).into_iter().collect::<BTreeSet<String>>() {
            let key = (namespace.clone(), name);
            let claim = objects.claims.get(&key);
            let volume = claim.and_then(|claim| objects.volumes.get(&claim.volume_name));
            tie(cluster, p, claim, volume, notes);
            if let Some(scope) = claim.and_then(|claim| scope(claim, volume)) {
                users.entry((scope, key.0, key.1)).or_default().push(p);
            }
        }
    }
    for ((scope, ..), pods) in users.into_iter().filter(|(_, pods)| pods.len() > 1) {
        share(cluster, scope, &pods, notes);
    }
}

/// Ties a pod to where a volume of it is.
fn tie(cluster: &mut Cluster, pod: usize, claim: Option<&ClaimSpec>, volume: Option<&Volume>, notes: &mut Notes) {
    match (claim, volume) {
        (None, _) => cluster.pin(pod, "a PersistentVolumeClaim of it is not among the documents", notes),
        // Where the volume will be is decided together with the pod's node, by the scheduler: a binding would not ask for it.
        (Some(claim), None) if claim.volume_name.is_empty() => {
            if cluster.pods[pod].node.is_none() {
                cluster.pin(pod, "a volume of it is not bound yet: the scheduler decides where", notes);
            }
        }
        (Some(_), None) => cluster.pin(pod, "a PersistentVolume of it is not among the documents", notes),
        (Some(_), Some(volume)) if volume.spec.local.is_some() || volume.spec.host_path.is_some() => {
            cluster.pin(pod, "local volume: PersistentVolume on its node", notes);
        }
        (Some(_), Some(volume)) => {
            let required = volume.spec.node_affinity.required.iter().chain(&volume.zones);
            required.for_each(|required| cluster.select(pod, "volume", required));
        }
    }
}

/// Who can use a claim at a time; `None` = pods on any number of nodes. The scheduler goes by the claim for single pods, what attaches
/// volumes by the volume for single nodes; a mode for many nodes lets both use it, whatever is beside it.
fn scope(claim: &ClaimSpec, volume: Option<&Volume>) -> Option<Scope> {
    if claim.access_modes.iter().any(|mode| mode == "ReadWriteOncePod") {
        return Some(Scope::Pod);
    }
    let own = volume.map(|volume| &volume.spec.access_modes).filter(|modes| !modes.is_empty());
    let modes = own.unwrap_or(&claim.access_modes);
    let is_for_many = |mode: &String| matches!(mode.as_str(), "ReadWriteMany" | "ReadOnlyMany");
    (!modes.is_empty() && !modes.iter().any(is_for_many)).then_some(Scope::Node)
}

/// Several pods have the volume: none that runs can be started elsewhere while the others are there, and those that wait can only
/// come to where it is in use, if they can come at all.
fn share(cluster: &mut Cluster, scope: Scope, pods: &[usize], notes: &mut Notes) {
    let (running, waiting): (Vec<usize>, Vec<usize>) = pods.iter().partition(|pod| cluster.place[**pod].is_some());
    let homes: BTreeSet<usize> = running.iter().filter_map(|pod| cluster.place[*pod]).collect();
    let (stays, waits) = match scope {
        Scope::Pod => ("it shares a volume for one pod at a time", "a volume of it is for one pod at a time"),
        Scope::Node => ("it shares a volume for one node at a time", "a volume of it is for one node at a time"),
    };
    running.iter().for_each(|pod| cluster.pin(*pod, stays, notes));
    let hold = |cluster: &mut Cluster, pods: &[usize], notes: &mut Notes| {
        pods.iter().for_each(|pod| cluster.pin(*pod, &format!("{waits}, and others have it, or come first"), notes));
    };
    match (scope, homes.first()) {
        // Nobody has it: the first that can start gets it.
        (_, None) => {
            let first = waiting.iter().position(|pod| !cluster.tasks[*pod].pinned).unwrap_or(0);
            hold(cluster, &waiting[first + 1..], notes);
        }
        (Scope::Node, Some(home)) if homes.len() == 1 => {
            let nodes = (0..cluster.nodes.list.len()).map(|node| node == *home).collect();
            cluster.restrict(&waiting, "volume", nodes);
        }
        _ => hold(cluster, &waiting, notes),
    }
}
