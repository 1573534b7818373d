//! What of a pod matters here? Small enough for 150,000 of them: what many pods share is kept once, in [`Tables`].

use super::quantity::{NANO, Quantity};
use super::records::{self, *};
use super::request;
use super::selector::{PodTerm, Selector};
use crate::adapter::notes::{Fate, Notes};
use crate::model::Faults;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

/// Values with an index each, in the order first seen.
#[derive(Debug)]
pub struct Table<T> {
    index: HashMap<T, usize>,
    pub list: Vec<T>,
}

impl<T> Default for Table<T> {
    fn default() -> Table<T> {
        Table { index: HashMap::new(), list: Vec::new() }
    }
}

impl<T: Hash + Eq + Clone> Table<T> {
    /// Index of a value, which is added if it is new.
    pub fn index(&mut self, value: T) -> usize {
        if let Some(index) = self.index.get(&value) {
            return *index;
        }
        self.list.push(value.clone());
        self.index.insert(value, self.list.len() - 1);
        self.list.len() - 1
    }
}

/// Namespace and labels: what selectors of pods look at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Face {
    pub namespace: String,
    pub labels: Texts,
}

/// Where a pod may run as far as it says so itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Filter {
    pub selector: Texts,
    pub affinity: Option<NodeSelector>,
}

/// `DoNotSchedule` of a topology spread constraint, ready to be matched.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Spread {
    pub max_skew: i64,
    pub key: String,
    /// The keys of all such constraints of the pod: a node that lacks one of them counts for none.
    pub keys: Vec<String>,
    pub min_domains: i64,
    pub namespace: String,
    pub selector: Selector,
    /// Index of the filter of nodes whose domains count; `None` = all nodes.
    pub filter: Option<usize>,
    /// Index of the tolerations without which the domain of a node with taints does not count; `None` = taints do not matter.
    pub tolerations: Option<usize>,
}

/// The controller of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner {
    pub namespace: String,
    pub kind: String,
    pub name: String,
}

/// What pods share.
#[derive(Debug, Default)]
pub struct Tables {
    pub resources: Table<String>,
    pub faces: Table<Face>,
    pub filters: Table<Filter>,
    pub tolerations: Table<Vec<Toleration>>,
    pub apart: Table<PodTerm>,
    pub together: Table<PodTerm>,
    pub spreads: Table<Spread>,
    pub owners: Table<Owner>,
}

/// A pod; indices are into [`Tables`].
#[derive(Debug)]
pub struct Pod {
    pub name: String,
    pub uid: String,
    /// The reference to its controller.
    pub controller: Option<OwnerReference>,
    pub owner: Option<usize>,
    pub face: usize,
    pub filter: usize,
    pub tolerations: usize,
    pub apart: Vec<usize>,
    pub together: Vec<usize>,
    pub spreads: Vec<usize>,
    /// Name of the node it is bound to.
    pub node: Option<String>,
    /// Nanos by resource.
    pub request: Vec<(usize, i128)>,
    pub priority: Option<i64>,
    pub class: String,
    pub claims: Vec<String>,
    pub has_empty_dir: bool,
    /// Somebody says that it may be moved although its local data is lost.
    pub may_lose_data: bool,
    /// Points for moving it.
    pub move_cost: i64,
    /// Why it may not move.
    pub pinned: Option<&'static str>,
    /// Name of the node that is kept for it while it waits.
    pub awaited: Option<String>,
    /// The gang that another scheduler knows it by.
    pub gang: Option<Box<str>>,
    /// The operating system it is made for.
    pub os: Option<Box<str>>,
    /// It is being deleted.
    pub ends: bool,
    /// Its condition says that it is.
    pub ready: bool,
}

/// What faults call a pod.
fn place(metadata: &records::Metadata) -> String {
    match metadata.namespace.as_str() {
        "" => format!("Pod {}", metadata.name),
        namespace => format!("Pod {namespace}/{}", metadata.name),
    }
}

/// Most that a pod's own wish adds to the cost of moving it.
const MOVE_COST_MAX: i64 = 1000;

impl Pod {
    /// Reads a pod; `None` when it has ended and takes up nothing.
    pub fn new(tables: &mut Tables, pod: records::Pod, faults: &mut Faults, notes: &mut Notes) -> Option<Pod> {
        let records::Pod { metadata, spec, status } = pod;
        if matches!(status.phase.as_str(), "Succeeded" | "Failed") {
            notes.add(Fate::Irrelevant, "pods that have ended");
            return None;
        }
        if spec.containers.is_empty() {
            let place = place(&metadata);
            faults.add("I301", place, "it has no containers, and would take up nothing", "give the object as it is");
        }
        let claimed: BTreeSet<&str> =
            status.extended_resource_claim_status.request_mappings.iter().map(|m| m.resource_name.as_str()).collect();
        let pinned = match super::pinned::reason(&metadata, &spec) {
            None if !claimed.is_empty() => Some(super::pinned::HOLDS_CLAIMS),
            reason => reason,
        };
        tell_preferences(&spec, notes);
        let request = match request::effective(&spec, &status) {
            // What comes from a claim is not counted among what the node has.
            Ok(request) => {
                let own = request.into_iter().filter(|(name, _)| !claimed.contains(name.as_str()));
                own.map(|(name, nanos)| (tables.resources.index(name), nanos)).collect()
            }
            Err((path, Quantity(text))) => {
                let cause = format!("{path}: {text:?} is no quantity from 0 to 2^63");
                faults.add("I208", place(&metadata), cause, "write a number and a suffix, such as 500m or 1.5Gi");
                Vec::new()
            }
        };
        let controller = metadata.owner_references.iter().find(|owner| owner.controller).cloned();
        let owner = controller.as_ref().map(|owner| tables.owners.index(workload(owner, &metadata)));
        let is_daemon = controller.as_ref().is_some_and(|owner| owner.kind == "DaemonSet");
        let awaited = match status.nominated_node_name {
            _ if !spec.node_name.is_empty() => None,
            name if !name.is_empty() => Some(name),
            _ if is_daemon => spec.affinity.node_affinity.required.as_ref().and_then(only_node),
            _ => None,
        };
        let filter = Filter { selector: spec.node_selector, affinity: spec.affinity.node_affinity.required };
        let filter = tables.filters.index(filter);
        let terms = |table: &mut Table<PodTerm>, terms: Vec<records::PodTerm>| -> Vec<usize> {
            terms.into_iter().map(|term| table.index(PodTerm::new(term, &metadata))).collect()
        };
        let apart = terms(&mut tables.apart, spec.affinity.pod_anti_affinity.required);
        let together = terms(&mut tables.together, spec.affinity.pod_affinity.required);
        let mut hard = spec.topology_spread_constraints;
        hard.retain(|constraint| constraint.when_unsatisfiable != "ScheduleAnyway");
        let keys: BTreeSet<String> = hard.iter().map(|constraint| constraint.topology_key.clone()).collect();
        let keys: Vec<String> = keys.into_iter().collect();
        let tolerations = tables.tolerations.index(spec.tolerations);
        let spread =
            |constraint| tables.spreads.index(Spread::new(constraint, &metadata, [filter, tolerations], keys.clone()));
        let spreads = hard.into_iter().map(spread).collect();
        let own = |key: &str| metadata.annotations.get(key);
        let costs = ["controller.kubernetes.io/pod-deletion-cost", "scheduling.koordinator.sh/eviction-cost"];
        let cost = costs.iter().filter_map(|key| own(key)?.parse::<i64>().ok()).max().unwrap_or(0);
        Some(Pod {
            owner,
            filter,
            tolerations,
            apart,
            together,
            spreads,
            node: (!spec.node_name.is_empty()).then_some(spec.node_name),
            request,
            priority: spec.priority,
            class: spec.priority_class_name,
            claims: spec
                .volumes
                .iter()
                .filter_map(|v| Some(v.persistent_volume_claim.as_ref()?.claim_name.clone()))
                .collect(),
            has_empty_dir: spec.volumes.iter().any(|volume| volume.empty_dir.is_some()),
            may_lose_data: own("cluster-autoscaler.kubernetes.io/safe-to-evict").is_some_and(|value| value == "true"),
            move_cost: 1 + cost.clamp(0, MOVE_COST_MAX),
            pinned,
            awaited,
            gang: super::pinned::gang(&metadata).map(String::into_boxed_str),
            os: Some(spec.os.name).filter(|name| !name.is_empty()).map(String::into_boxed_str),
            ends: metadata.deletion_timestamp.is_some(),
            ready: status.conditions.iter().any(|condition| condition.kind == "Ready" && condition.status == "True"),
            controller,
            name: metadata.name,
            uid: metadata.uid,
            face: tables.faces.index(Face { namespace: metadata.namespace, labels: metadata.labels }),
        })
    }
}

/// The one node that a selector means by its name, as a daemon set says where its pod belongs.
fn only_node(selector: &NodeSelector) -> Option<String> {
    let [NodeTerm { match_fields, .. }] = selector.node_selector_terms.as_slice() else { return None };
    let [Requirement { key, operator, values }] = match_fields.as_slice() else { return None };
    match values.as_slice() {
        [name] if key == "metadata.name" && operator == "In" => Some(name.clone()),
        _ => None,
    }
}

/// Wishes are no rules: they are left out and counted.
fn tell_preferences(spec: &PodSpec, notes: &mut Notes) {
    let affinity = &spec.affinity;
    let soft = spec.topology_spread_constraints.iter().filter(|c| c.when_unsatisfiable == "ScheduleAnyway").count();
    let wishes = [
        ("preferred node affinity", affinity.node_affinity.preferred.len()),
        ("preferred pod affinity", affinity.pod_affinity.preferred.len()),
        ("preferred pod anti-affinity", affinity.pod_anti_affinity.preferred.len()),
        ("topology spread that is only preferred (ScheduleAnyway)", soft),
    ];
    for (what, count) in wishes {
        notes.add_many(Fate::LeftOut, what, count as u64);
    }
    if !matches!(spec.scheduler_name.as_str(), "" | "default-scheduler") {
        notes.add(Fate::LeftOut, &format!("what the scheduler {} knows of its pods", spec.scheduler_name));
    }
}

/// The workload behind a controller: a ReplicaSet made by a Deployment is one revision of it.
fn workload(owner: &OwnerReference, pod: &Metadata) -> Owner {
    let revision = pod.labels.get("pod-template-hash").and_then(|hash| owner.name.strip_suffix(&format!("-{hash}")));
    let (kind, name) = match revision {
        Some(name) if owner.kind == "ReplicaSet" => ("Deployment", name),
        _ => (owner.kind.as_str(), owner.name.as_str()),
    };
    Owner { namespace: pod.namespace.clone(), kind: kind.to_string(), name: name.to_string() }
}

impl Spread {
    /// A constraint of a pod with this filter and these tolerations.
    fn new(constraint: SpreadConstraint, pod: &Metadata, own: [usize; 2], keys: Vec<String>) -> Spread {
        let [filter, tolerations] = own;
        let mut selector = Selector::new(constraint.label_selector);
        selector.require_own(&constraint.match_label_keys, &pod.labels, "In");
        Spread {
            max_skew: constraint.max_skew.max(1),
            key: constraint.topology_key,
            keys,
            min_domains: constraint.min_domains.unwrap_or(1),
            namespace: pod.namespace.clone(),
            selector,
            // Where nothing is said, affinity matters and taints do not.
            filter: (constraint.node_affinity_policy != "Ignore").then_some(filter),
            tolerations: (constraint.node_taints_policy == "Honor").then_some(tolerations),
        }
    }
}

/// Nanos as whole units of a resource: requests are rounded up, capacities down.
pub fn amount(name: &str, nanos: i128, up: bool) -> i64 {
    let per_unit = match unit(name) {
        "milli" => NANO / 1000,
        "MiB" => NANO << 20,
        _ => NANO,
    };
    let whole = if up { (nanos + per_unit - 1) / per_unit } else { nanos / per_unit };
    i64::try_from(whole).unwrap_or(i64::MAX)
}

/// The unit that amounts of a resource are counted in.
pub fn unit(name: &str) -> &'static str {
    match name {
        "cpu" => "milli",
        "memory" | "ephemeral-storage" => "MiB",
        _ if name.starts_with("hugepages-") => "MiB",
        _ => "",
    }
}
