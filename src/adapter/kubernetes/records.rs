//! Which fields of Kubernetes objects are read? One struct per object, with the names of the API; what is not named here is counted.

use super::quantity::Quantity;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// Text by key: labels, annotations, node selectors.
pub type Texts = BTreeMap<String, String>;
/// Quantities by resource.
pub type Quantities = BTreeMap<String, Quantity>;

/// `null` is the same as absent, as for the API server.
fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Something of which only its presence matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Present;

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Present, D::Error> {
        struct Drain;
        impl<'de> Visitor<'de> for Drain {
            type Value = Present;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_bool<E>(self, _: bool) -> Result<Present, E> {
                Ok(Present)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Present, E> {
                Ok(Present)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Present, E> {
                Ok(Present)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Present, E> {
                Ok(Present)
            }
            fn visit_str<E>(self, _: &str) -> Result<Present, E> {
                Ok(Present)
            }
            fn visit_unit<E>(self) -> Result<Present, E> {
                Ok(Present)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Present, A::Error> {
                while items.next_element::<Present>()?.is_some() {}
                Ok(Present)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Present, A::Error> {
                while entries.next_entry::<Present, Present>()?.is_some() {}
                Ok(Present)
            }
        }
        deserializer.deserialize_any(Drain)
    }
}

/// A record whose fields may all be absent or null.
macro_rules! record {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name {
            $($(#[$field_doc])* #[serde(deserialize_with = "nullable")] pub $field: $type,)*
        }
    };
}

record! {
    /// `metadata` of any object.
    Metadata {
        name: String,
        namespace: String,
        uid: String,
        labels: Texts,
        annotations: Texts,
        owner_references: Vec<OwnerReference>,
        deletion_timestamp: Option<String>,
        generation: i64,
    }
}
record! {
    /// Who made an object.
    OwnerReference {
        api_version: String,
        kind: String,
        name: String,
        uid: String,
        controller: bool,
    }
}
record! {
    /// Node (v1).
    Node {
        metadata: Metadata,
        spec: NodeSpec,
        status: NodeStatus,
    }
}
record! {
    NodeSpec {
        unschedulable: bool,
        taints: Vec<Taint>,
    }
}
record! {
    Taint {
        key: String,
        value: String,
        effect: String,
    }
}
record! {
    NodeStatus {
        allocatable: Quantities,
        conditions: Vec<Condition>,
    }
}
record! {
    Condition {
        #[serde(rename = "type")]
        kind: String,
        status: String,
        reason: String,
    }
}
record! {
    /// Pod (v1).
    Pod {
        metadata: Metadata,
        spec: PodSpec,
        status: PodStatus,
    }
}
record! {
    PodSpec {
        node_name: String,
        containers: Vec<Container>,
        init_containers: Vec<Container>,
        overhead: Quantities,
        resources: Resources,
        node_selector: Texts,
        affinity: Affinity,
        tolerations: Vec<Toleration>,
        topology_spread_constraints: Vec<SpreadConstraint>,
        priority: Option<i64>,
        priority_class_name: String,
        scheduler_name: String,
        scheduling_gates: Vec<Present>,
        scheduling_group: Option<Present>,
        workload_ref: Option<Present>,
        os: OperatingSystem,
        resource_claims: Vec<Present>,
        host_network: bool,
        volumes: Vec<Volume>,
    }
}
record! {
    OperatingSystem {
        name: String,
    }
}
record! {
    Container {
        name: String,
        resources: Resources,
        restart_policy: String,
        ports: Vec<Port>,
    }
}
record! {
    Resources {
        requests: Quantities,
        limits: Quantities,
    }
}
record! {
    Port {
        host_port: i64,
        container_port: i64,
    }
}
record! {
    Affinity {
        node_affinity: NodeAffinity,
        pod_affinity: PodAffinity,
        pod_anti_affinity: PodAffinity,
    }
}
record! {
    NodeAffinity {
        #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
        required: Option<NodeSelector>,
        #[serde(rename = "preferredDuringSchedulingIgnoredDuringExecution")]
        preferred: Vec<Present>,
    }
}
record! {
    PodAffinity {
        #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
        required: Vec<PodTerm>,
        #[serde(rename = "preferredDuringSchedulingIgnoredDuringExecution")]
        preferred: Vec<Present>,
    }
}
record! {
    /// Any of its terms.
    #[derive(Hash)]
    NodeSelector {
        node_selector_terms: Vec<NodeTerm>,
    }
}
record! {
    /// All of its expressions.
    #[derive(Hash)]
    NodeTerm {
        match_expressions: Vec<Requirement>,
        match_fields: Vec<Requirement>,
    }
}
record! {
    /// One condition on one label.
    #[derive(Hash, PartialOrd, Ord)]
    Requirement {
        key: String,
        operator: String,
        values: Vec<String>,
    }
}
record! {
    /// Conditions on labels, all of which must hold.
    LabelSelector {
        match_labels: Texts,
        match_expressions: Vec<Requirement>,
    }
}
record! {
    PodTerm {
        label_selector: Option<LabelSelector>,
        topology_key: String,
        namespaces: Vec<String>,
        namespace_selector: Option<LabelSelector>,
        match_label_keys: Vec<String>,
        mismatch_label_keys: Vec<String>,
    }
}
record! {
    #[derive(Hash)]
    Toleration {
        key: String,
        operator: String,
        value: String,
        effect: String,
        toleration_seconds: Option<i64>,
    }
}
record! {
    SpreadConstraint {
        max_skew: i64,
        topology_key: String,
        when_unsatisfiable: String,
        label_selector: Option<LabelSelector>,
        min_domains: Option<i64>,
        node_affinity_policy: String,
        node_taints_policy: String,
        match_label_keys: Vec<String>,
    }
}
record! {
    Volume {
        persistent_volume_claim: Option<ClaimReference>,
        host_path: Option<Present>,
        empty_dir: Option<Present>,
        ephemeral: Option<Present>,
    }
}
record! {
    ClaimReference {
        claim_name: String,
    }
}
record! {
    PodStatus {
        phase: String,
        conditions: Vec<Condition>,
        nominated_node_name: String,
        resources: Resources,
        allocated_resources: Quantities,
        extended_resource_claim_status: ResourceClaims,
        container_statuses: Vec<ContainerStatus>,
        init_container_statuses: Vec<ContainerStatus>,
    }
}
record! {
    /// Extended resources that a claim stands for.
    ResourceClaims {
        request_mappings: Vec<ClaimMapping>,
    }
}
record! {
    ClaimMapping {
        resource_name: String,
    }
}
record! {
    ContainerStatus {
        name: String,
        allocated_resources: Quantities,
        resources: Resources,
    }
}
record! {
    /// PodDisruptionBudget (policy/v1).
    Budget {
        metadata: Metadata,
        spec: BudgetSpec,
        status: BudgetStatus,
    }
}
record! {
    BudgetSpec {
        selector: Option<LabelSelector>,
        min_available: Option<Quantity>,
        max_unavailable: Option<Quantity>,
    }
}
record! {
    BudgetStatus {
        disruptions_allowed: Option<i64>,
        expected_pods: i64,
        observed_generation: i64,
    }
}
record! {
    /// PriorityClass (scheduling.k8s.io/v1).
    PriorityClass {
        metadata: Metadata,
        value: i64,
        global_default: bool,
    }
}
record! {
    /// Namespace (v1).
    Namespace {
        metadata: Metadata,
    }
}
record! {
    /// PersistentVolumeClaim (v1).
    Claim {
        metadata: Metadata,
        spec: ClaimSpec,
    }
}
record! {
    ClaimSpec {
        volume_name: String,
        access_modes: Vec<String>,
    }
}
record! {
    /// PersistentVolume (v1).
    PersistentVolume {
        metadata: Metadata,
        spec: PersistentVolumeSpec,
    }
}
record! {
    PersistentVolumeSpec {
        access_modes: Vec<String>,
        node_affinity: VolumeAffinity,
        local: Option<Present>,
        host_path: Option<Present>,
    }
}
record! {
    VolumeAffinity {
        required: Option<NodeSelector>,
    }
}
record! {
    /// VirtualMachineInstance (kubevirt.io/v1).
    MachineInstance {
        metadata: Metadata,
        spec: MachineSpec,
        status: MachineStatus,
    }
}
record! {
    MachineSpec {
        domain: MachineDomain,
    }
}
record! {
    MachineDomain {
        cpu: MachineCpu,
    }
}
record! {
    MachineCpu {
        model: String,
    }
}
record! {
    MachineStatus {
        conditions: Vec<Condition>,
        migration_state: Option<MigrationState>,
    }
}
record! {
    MigrationState {
        completed: bool,
        failed: bool,
        end_timestamp: Option<String>,
    }
}

record! {
    /// PodGroup of Volcano (scheduling.volcano.sh) or of the scheduler plugins (scheduling.x-k8s.io).
    PodGroup {
        metadata: Metadata,
        spec: PodGroupSpec,
    }
}
record! {
    PodGroupSpec {
        min_member: i64,
    }
}

/// An object of the API: its kind, and how it is called.
pub trait Object: serde::de::DeserializeOwned {
    const KIND: &'static str;
    fn metadata(&self) -> &Metadata;
}

macro_rules! objects {
    ($($name:ident $kind:literal,)*) => {
        $(impl Object for $name {
            const KIND: &'static str = $kind;
            fn metadata(&self) -> &Metadata {
                &self.metadata
            }
        })*
    };
}

objects! {
    Node "Node",
    Pod "Pod",
    Budget "PodDisruptionBudget",
    PriorityClass "PriorityClass",
    Namespace "Namespace",
    Claim "PersistentVolumeClaim",
    PersistentVolume "PersistentVolume",
    MachineInstance "VirtualMachineInstance",
    PodGroup "PodGroup",
}
