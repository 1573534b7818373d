//! What does a cluster look like before names become indices? The plain records of a snapshot file.
//!
//! Every importer and the JSON reader produce a [`Snapshot`]; [`crate::model::Problem::new`] checks it once and turns it
//! into the indexed [`crate::model::Problem`] that everything else works on. Nothing here is checked: these are the words
//! of the user. The JSON form (see `data/schema/snapshot.schema.json`) has the same field names.

use serde::Serialize;
use serde::ser::SerializeMap;
use std::collections::BTreeMap;

/// Value of the `format` field of every snapshot file this version reads and writes.
pub const SNAPSHOT_FORMAT: &str = "bayplan-snapshot/1";

/// A cluster: nodes, the tasks on them or waiting for them, and what counts as better.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Snapshot {
    /// Free text that identifies the snapshot in reports.
    pub name: String,
    /// The quantities that capacity is counted in; order is the order of every table.
    pub resources: Vec<ResourceSpec>,
    /// Names of the domain levels above the node (`rack`, `zone` …). The level `node` always exists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<String>,
    /// What is known of pools; when there is any, every pool of a node is one of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<PoolSpec>,
    /// The machines.
    pub nodes: Vec<NodeSpec>,
    /// The work.
    pub tasks: Vec<TaskSpec>,
    /// Tasks that share rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupSpec>,
    /// Points for each soft term.
    pub objective: ObjectiveSpec,
    /// How moves may be carried out.
    pub moves: MovesSpec,
}

/// One counted quantity.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ResourceSpec {
    /// Unique name, e.g. `cpu`.
    pub name: String,
    /// Unit shown to people, e.g. `milli` or `MiB`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// A moving task holds this resource on its source and its target at once.
    pub transient: bool,
    /// Points per unit of load above a node's soft limit.
    #[serde(skip_serializing_if = "is_zero")]
    pub load_weight: i64,
    /// Points for a node whose utilisation is off the cluster's by all of its capacity; they go with the square.
    #[serde(skip_serializing_if = "is_zero")]
    pub variance_weight: i64,
}

/// Nodes that are managed together: a node pool, a site, a cloud.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PoolSpec {
    /// Unique name.
    pub name: String,
    /// Where it is, in the sense of tasks that may run in some regions only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// What its nodes can run; empty = everything.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<TaskKind>,
    /// Added to the price of each of its nodes.
    #[serde(skip_serializing_if = "is_zero")]
    pub price: i64,
    /// Added to the cost of moving a task from here to a node of the pool named, times `objective.node_move_weight`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub egress: BTreeMap<String, i64>,
    /// Only used when the others are full.
    #[serde(skip_serializing_if = "is_false")]
    pub burst: bool,
    /// The chance that its nodes vanish, as `"1/10"`: a task here costs so much of its weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spot_risk: Option<String>,
}

/// One machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct NodeSpec {
    /// Unique name.
    pub name: String,
    /// Capacity by resource name; a resource not named here has none.
    pub allocatable: BTreeMap<String, i64>,
    /// Load above this costs points; a resource not named here has its capacity as soft limit.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub soft_limit: BTreeMap<String, i64>,
    /// Facts that selectors match.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// What keeps tasks away that do not tolerate it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<TaintSpec>,
    /// Domain by level name; a level not named here makes the node a domain of its own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub domains: BTreeMap<String, String>,
    /// Nodes managed (and priced) together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Points for using the node at all, times `objective.price_weight`.
    #[serde(skip_serializing_if = "is_zero")]
    pub price: i64,
    /// No task may come here; those that are here may stay.
    #[serde(skip_serializing_if = "is_false")]
    pub cordoned: bool,
    /// Whole devices, 1000 milli each, numbered from 0 in the order given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DevicesSpec>,
    /// Row and column of the node in `objective.move_costs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub move_class: Option<String>,
    /// What the system it comes from calls it (a uid, an address …): for exports and people. Nothing is decided
    /// by it, but it is part of the snapshot's fingerprint: a machine with another uid is another machine.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub origin: BTreeMap<String, String>,
}

/// A key that repels tasks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaintSpec {
    /// Key of the taint.
    pub key: String,
    /// Value; may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
}

/// `count` equal devices of a node.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DevicesSpec {
    /// `gpu`, `fpga` …
    pub kind: String,
    /// Model name that requests may list; may be empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// How many, 1 to 64 over all entries of the node.
    pub count: u32,
    /// Memory of each, in any unit that requests share, at least 1; absent = it is not counted, and no request for memory goes there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<i64>,
}

/// What a task is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskKind {
    /// A virtual machine.
    Vm,
    /// A container or pod.
    #[default]
    Container,
    /// A worker of a batch or training job.
    Job,
}

impl TaskKind {
    /// The words for them.
    pub const WORDS: [(&'static str, TaskKind); 3] =
        [("vm", TaskKind::Vm), ("container", TaskKind::Container), ("job", TaskKind::Job)];

    /// The word for it.
    pub fn word(self) -> &'static str {
        TaskKind::WORDS.into_iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }
}

/// How much of its requirement a task can be granted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SharingSpec {
    /// All or nothing.
    #[default]
    Rigid,
    /// Nothing, or a share between `min_share` and 1, on one node.
    Elastic,
    /// Any share, split over any nodes.
    Divisible,
}

/// One VM, container or job worker.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TaskSpec {
    /// Unique name.
    pub name: String,
    /// VM, container or job.
    pub kind: TaskKind,
    /// Points when fully granted: the `r` of Σ r·p/c.
    pub weight: i64,
    /// Amount by resource name when fully granted: the `c`.
    pub requirement: BTreeMap<String, i64>,
    /// Rigid, elastic or divisible.
    pub sharing: SharingSpec,
    /// Least share of an elastic task, as `"1/2"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_share: Option<String>,
    /// Devices wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceRequestSpec>,
    /// Where it runs now; empty = waiting.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub placement: Vec<PieceSpec>,
    /// Where a move that is under way takes it, from `placement`; empty = it is not on its way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub moving_to: Vec<PieceSpec>,
    /// A move stops it before it starts elsewhere, so that it never holds both places; absent = as `moves.restart_kinds` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart: Option<bool>,
    /// It may not move.
    #[serde(skip_serializing_if = "is_false")]
    pub pinned: bool,
    /// It may be stopped to make room for others.
    #[serde(skip_serializing_if = "is_false")]
    pub evictable: bool,
    /// Points for moving it, times `objective.task_move_weight`.
    pub move_cost: i64,
    /// The group whose rules it shares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Whose it is: a namespace, project or customer. No rule depends on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Every label named must have one of the values given.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub selector: BTreeMap<String, Vec<String>>,
    /// Taints it accepts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<TolerationSpec>,
    /// What the system it comes from calls it (namespace, uid …) and why it is pinned: for exports and people. Nothing is decided
    /// by it, but it is part of the snapshot's fingerprint: a pod with another uid is another pod.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub origin: BTreeMap<String, String>,
    /// Regions of pools where it may run; empty = everywhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
}

/// A part of a task on one node.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PieceSpec {
    /// Node name.
    pub node: String,
    /// Granted fraction as `"3/10"`; absent = 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<String>,
    /// Device numbers held on the node.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<u32>,
}

/// `count` whole devices, or a fraction of one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeviceRequestSpec {
    /// Kind of device.
    pub kind: String,
    /// How many devices.
    pub count: u32,
    /// Milli of each device, 1 to 1000; less than 1000 only with `count` 1.
    pub milli: u32,
    /// Memory of each device, at least 1; absent = none is counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<i64>,
    /// Accepted models; empty = any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
}

/// A taint that a task accepts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TolerationSpec {
    /// Key; absent tolerates every taint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Value; absent tolerates every value of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// Rules shared by the tasks that name this group.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct GroupSpec {
    /// Unique name.
    pub name: String,
    /// Levels at which no two tasks may share a domain (`node`, `rack` …).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conflict: Vec<String>,
    /// Least number of domains covered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spread: Vec<SpreadSpec>,
    /// Groups that must be present wherever this one is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<DependencySpec>,
    /// Enough tasks run, or none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gang: Option<GangSpec>,
    /// Most tasks in motion at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<u32>,
}

/// Enough tasks of a group run, or none; all of them in one domain if a level is given. In JSON `true` when neither field is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GangSpec {
    /// Least number of tasks that run; absent = all. What is beyond may run or wait. Above the number of tasks listed: none starts.
    pub min_members: Option<u32>,
    /// Level name: whatever runs is in one domain of it.
    pub within: Option<String>,
}

impl Serialize for GangSpec {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if *self == GangSpec::default() {
            return serializer.serialize_bool(true);
        }
        let mut map = serializer.serialize_map(None)?;
        if let Some(least) = self.min_members {
            map.serialize_entry("min_members", &least)?;
        }
        if let Some(level) = &self.within {
            map.serialize_entry("within", level)?;
        }
        map.end()
    }
}

/// A group covers at least `min` domains of a level.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpreadSpec {
    /// Level name.
    pub level: String,
    /// Least number of domains (of the placed tasks, if fewer are placed).
    pub min: u32,
}

/// Wherever this group is, the other is too.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DependencySpec {
    /// The other group.
    pub group: String,
    /// Level whose domains are compared.
    pub level: String,
}

/// Points for each soft term; a weight of 0 switches the term off.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ObjectiveSpec {
    /// Free amounts of two resources kept in proportion.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub balance: Vec<BalanceSpec>,
    /// Times each moved task's `move_cost`.
    pub task_move_weight: i64,
    /// Times the largest number of tasks moved within one group.
    pub group_move_weight: i64,
    /// Times the cost between source and target in `move_costs`.
    pub node_move_weight: i64,
    /// Times the `price` of every node in use.
    pub price_weight: i64,
    /// Cost between move classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub move_costs: Option<MoveCostsSpec>,
    /// Free device milli that the expected mix of tasks cannot use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fragmentation: Option<FragmentationSpec>,
}

/// `weight · Σ_node max(0, target · free(resource) − free(other))`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BalanceSpec {
    /// Resource whose free amount calls for …
    pub resource: String,
    /// … `target` times as much of this one.
    pub other: String,
    /// The factor.
    pub target: i64,
    /// Points per missing unit.
    pub weight: i64,
}

/// Sparse cost of moving between classes of nodes.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct MoveCostsSpec {
    /// Cost of every ordered pair of classes that is not listed.
    pub default: i64,
    /// `[from class, to class, cost]`; a class may be paired with itself.
    pub between: Vec<(String, String, i64)>,
}

/// Fragmentation of devices (measure of FGD, USENIX ATC'23 §3, in integers).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FragmentationSpec {
    /// Points per (milli × `parts`) that is free but unusable.
    pub weight: i64,
    /// Expected tasks.
    pub mix: Vec<MixSpec>,
}

/// One kind of expected task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MixSpec {
    /// How frequent, in any common unit.
    pub parts: i64,
    /// Requirement by resource name.
    pub requirement: BTreeMap<String, i64>,
    /// Devices wanted.
    pub device: DeviceRequestSpec,
}

/// How moves may be carried out.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct MovesSpec {
    /// One after the other in waves, or all at the same time.
    pub mode: MoveMode,
    /// Kinds of tasks that are stopped before they start elsewhere; all others hold both places while they move.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub restart_kinds: Vec<TaskKind>,
    /// Most moves of a plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_moves: Option<u32>,
    /// Most moves at one time that touch a node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_per_node: Option<u32>,
    /// Most moves at one time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_in_flight: Option<u32>,
    /// Most moves at one time that leave a node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_from_node: Option<u32>,
    /// Most moves at one time that enter a node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_to_node: Option<u32>,
    /// Most moves at one time that touch a domain, by level name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub max_per_domain: BTreeMap<String, u32>,
    /// Most that running tasks take along at one time, by resource name; a task larger than that moves alone.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub max_amounts: BTreeMap<String, i64>,
}

/// When a moved task's old place becomes free.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MoveMode {
    /// Moves run in waves; room freed in one wave can be used in the next.
    #[default]
    Waves,
    /// All moves run at once: transient resources stay taken on the old node until the end (ROADEF/EURO 2012).
    Simultaneous,
}

fn is_zero(value: &i64) -> bool {
    *value == 0
}

fn is_false(value: &bool) -> bool {
    !*value
}
