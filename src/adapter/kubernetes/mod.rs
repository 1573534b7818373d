//! What does a Kubernetes cluster say of its nodes and pods? `kubectl get -o json` in; objects and scripts for kubectl out.
//!
//! What a snapshot has no words for goes to the safe side: the plan may be poorer for it, never wrong, and it is told.
//!
//! | Kubernetes | here |
//! |---|---|
//! | `status.allocatable` | capacity, rounded down: cpu in milli, memory in MiB, everything else in pieces; a slot of `pods` per pod |
//! | `nvidia.com/gpu`, `amd.com/gpu` | devices with the model that a label names; which device a pod holds is not known, so they are counted off |
//! | requests of containers, init containers, sidecars, the pod; overhead | requirement, rounded up (`request.rs`) |
//! | `nodeSelector`, node affinity | selector; what a selector cannot say becomes a label `kubernetes/affinity-N` of the nodes that pass |
//! | taints `NoSchedule`, `NoExecute` | taints (`KEY`, `KEY:NoExecute`); a toleration for a limited time lets nobody in |
//! | controller | group `NAMESPACE/KIND/NAME`; a ReplicaSet of a Deployment is the Deployment |
//! | pod anti-affinity within the group | conflict at the level of the topology key; with pods of others: one side pinned, the other kept off its nodes |
//! | pod affinity to another group; to its own | dependency; gang of one domain; anything else pins |
//! | topology spread (`DoNotSchedule`) | conflict where every pod can have a domain to itself; else pods stay in their domain; only nodes with its keys take who has it |
//! | PodDisruptionBudget | `max_unavailable`: the disruptions allowed now (its status, else what is Ready beyond what it wants), shared out among its groups; none allowed pins |
//! | no budget | a quarter of the group, at least one pod, as a Deployment rolls |
//! | priority | weight, see [`Weight`] |
//! | `pod-deletion-cost`, `eviction-cost` | added to a move's cost of 1, at most 1000 |
//! | persistent volumes | the nodes that they can be reached from, by affinity and by zone and region labels; local and unknown ones pin |
//! | volume limits per node (CSINode) | not read: a plan may bring a node more volumes than it can attach, and the pod waits there |
//! | volumes for one node or one pod at a time | pods that share one stay; who waits for it starts where it is in use, or not at all |
//! | pods that are being deleted | pinned, and they hold what they have; for spread they are gone already, for budgets they are down |
//! | daemon sets, static and bare pods, hostPath, emptyDir, ephemeral claims, do-not-disrupt and its like | pinned; the reason is in `origin` |
//! | waiting pods with a nominated node, or of a daemon set | pinned; what is free of their request on their node is taken off its capacity |
//! | pods of a gang of another scheduler | pinned, unless its PodGroup wants one pod only |
//! | KubeVirt machines | tasks of the kind `vm`; pinned unless their instance is `LiveMigratable`, or while one migrates; `host-model` keeps to nodes that can take its CPU over |
//!
//! Codes: I101 no text, I110 no JSON or a wrong type, I111 no kind or name, I112 no nodes, I113 a page of a list, I114 an answer that is
//! a refusal, I208 no quantity, I303 a task that is not
//! from Kubernetes, I304 a name that Kubernetes would not take, I305 a pod that moves twice, I306 a wave that the plan does not have.

mod affinity;
mod budget;
mod cluster;
mod documents;
mod export;
mod fields;
mod machine;
mod nodes;
mod pinned;
mod pod;
mod quantity;
mod records;
mod request;
mod selector;
mod shell;
mod spread;
mod steps;
mod stream;
mod task;
mod volume;

pub use export::{Form, export};

use super::notes::{Fate, Imported, Notes, Refused, Stream};
use crate::model::{Faults, ObjectiveSpec, Snapshot};
use cluster::Cluster;
use documents::{Objects, Reader};
use nodes::Nodes;

/// How the priority of a pod becomes its weight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Weight {
    /// 1000 for the lowest priority in use, ten times as much for each one above it, at most 10^9.
    #[default]
    Rank,
    /// 1000 plus the priority, if that is positive.
    Value,
    /// 1000 for all.
    Equal,
}

/// What the caller decides.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Weights.
    pub weight: Weight,
    /// Pods with emptyDir volumes may move.
    pub delete_emptydir_data: bool,
}

/// Documents as `kubectl get -o json` prints them, as a snapshot.
///
/// # Errors
/// Every object that cannot be read, and every figure; or a stream that breaks off with an error of its own.
pub fn import<'a>(streams: impl IntoIterator<Item = Stream<'a>>, options: &Options) -> Result<Imported, Refused> {
    let (mut faults, mut notes) = (Faults::new(), Notes::default());
    let mut reader = Reader::new(&mut faults, &mut notes);
    streams.into_iter().try_for_each(|stream| reader.stream(stream))?;
    let mut objects = reader.finish();
    if objects.nodes.is_empty() && faults.is_empty() {
        let remedy = "give nodes and pods: kubectl get nodes,pods -A -o json";
        faults.add("I112", "the documents", "there is no Node among the objects", remedy);
    }
    if !faults.is_empty() {
        return Err(faults.into());
    }
    let place = keep_known_places(&mut objects, &mut notes);
    let requests: Vec<&[(usize, i128)]> = objects.pods.iter().map(|pod| pod.request.as_slice()).collect();
    let nodes = Nodes::new(std::mem::take(&mut objects.nodes), &objects.tables, &requests, &mut faults, &mut notes);
    let mut cluster = Cluster::new(&mut objects, nodes, place);
    task::make(&mut cluster, &objects.classes, options, &mut notes);
    task::bind_gangs(&mut cluster, &objects.loose, &mut notes);
    machine::apply(&mut cluster, &objects.machines, &mut notes);
    volume::apply(&mut cluster, &objects, options, &mut notes);
    affinity::apart(&mut cluster, &mut notes);
    affinity::together(&mut cluster, &mut notes);
    spread::apply(&mut cluster, &mut notes);
    budget::apply(&mut cluster, &objects.budgets, &mut notes);
    task::reserve(&mut cluster, &mut notes);
    if faults.is_empty() { Ok(Imported { snapshot: snapshot(cluster), notes }) } else { Err(faults.into()) }
}

/// Index of the node of each pod; pods on nodes that are not among the documents are left out.
fn keep_known_places(objects: &mut Objects, notes: &mut Notes) -> Vec<Option<usize>> {
    let index: std::collections::HashMap<&str, usize> =
        objects.nodes.iter().enumerate().map(|(n, node)| (node.metadata.name.as_str(), n)).collect();
    let mut places = Vec::with_capacity(objects.pods.len());
    objects.pods.retain(|pod| {
        let place = pod.node.as_ref().map(|name| index.get(name.as_str()).copied());
        if place == Some(None) {
            notes.add(Fate::LeftOut, "pods on nodes that are not among the documents");
            return false;
        }
        places.push(place.flatten());
        true
    });
    places
}

fn snapshot(cluster: Cluster) -> Snapshot {
    let Cluster { mut nodes, tasks, groups, .. } = cluster;
    Snapshot {
        name: "kubernetes".to_string(),
        resources: nodes.resource_specs(),
        levels: nodes.level_names(),
        nodes: nodes.list,
        tasks,
        groups,
        objective: ObjectiveSpec { task_move_weight: 1, ..ObjectiveSpec::default() },
        ..Snapshot::default()
    }
}
