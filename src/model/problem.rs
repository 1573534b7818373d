//! What is to be placed, on what, under which rules? The indexed, checked, immutable form of a snapshot.
//!
//! A [`Problem`] is built once by [`Problem::new`] (in `check.rs`), which reports every fault of the snapshot at once.
//! Afterwards all indices are in range, all amounts are between 0 and [`AMOUNT_MAX`], and names are unique.

use super::{
    DEVICE_ROW_COUNT, DomainId, Goal, GroupId, LevelId, NodeId, Piece, PieceSpec, Placement, ResourceId, Share,
    Snapshot, Spot, TaskId, TaskKind, Variance, variance::variances,
};
use std::collections::BTreeMap;

/// Largest amount, weight or cost a snapshot may contain: 2^40. Times [`super::SHARE_ONE`] (< 2^20), times 2^24 summands,
/// stays below 2^127 with room for a product of two of them.
pub const AMOUNT_MAX: i64 = 1 << 40;
/// Most resources: engines hold a row of them in fixed lanes.
pub const RESOURCE_COUNT_MAX: usize = 32;
/// The resource by which tasks leave a node that drains although they require nothing, see [`Problem::evacuated`].
const MUST_LEAVE: &str = "must leave";
/// Milli of one device.
pub const DEVICE_MILLI: u32 = 1000;
/// Most devices on a node: they are held in a 64-bit set.
pub const DEVICE_COUNT_MAX: usize = 64;

/// What is counted by a resource that is no amount of the snapshot, see `check/pools.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meter {
    /// Shares of tasks; those in burst pools cost points.
    Burst,
    /// Points at risk; those in pools that vanish with the chance given cost as much.
    Spot(Share),
}

/// Nodes that are managed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Unique name.
    pub name: String,
    /// Where it is.
    pub region: Option<String>,
    /// What its nodes can run; empty = everything.
    pub kinds: Vec<TaskKind>,
    /// Only used when the others are full.
    pub burst: bool,
    /// The chance that its nodes vanish.
    pub spot_risk: Share,
}

/// One counted quantity.
#[derive(Debug, Clone)]
pub struct Resource {
    /// Unique name.
    pub name: String,
    /// Unit shown to people.
    pub unit: String,
    /// A moving task holds it on source and target at once.
    pub transient: bool,
    /// Points per unit above a soft limit.
    pub load_weight: i64,
    /// Points for a node whose utilisation is off the cluster's by 1, squared.
    pub variance_weight: i64,
    /// What it counts when it is no amount of the snapshot.
    pub meter: Option<Meter>,
}

/// A taint of a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Taint {
    /// Key.
    pub key: String,
    /// Value, may be empty.
    pub value: String,
}

/// One device of a node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Device {
    /// Index into [`Problem::device_kinds`].
    pub kind: u32,
    /// Index into [`Problem::device_models`].
    pub model: u32,
    /// Memory, in a unit of the snapshot's; 0 = it is not counted, and no request for memory goes there.
    pub memory: i64,
}

/// One machine.
#[derive(Debug, Clone)]
pub struct Node {
    /// Unique name.
    pub name: String,
    /// Facts that selectors match.
    pub labels: BTreeMap<String, String>,
    /// Taints.
    pub taints: Vec<Taint>,
    /// Domain per level; `domains[0]` is the node itself.
    pub domains: Vec<DomainId>,
    /// Index into [`Problem::pools`].
    pub pool: Option<u32>,
    /// Points for using it, times `price_weight`.
    pub price: i64,
    /// No newcomers.
    pub cordoned: bool,
    /// Its tasks are to leave, see [`Problem::drain`].
    pub draining: bool,
    /// Devices, numbered by position.
    pub devices: Vec<Device>,
    /// Row and column in [`MoveCosts`].
    pub move_class: u32,
}

impl Node {
    /// Has it a device whose memory is counted?
    pub fn counts_memory(&self) -> bool {
        self.devices.iter().any(|device| device.memory > 0)
    }

    /// Memory of its devices of a kind, as far as they say how much they have.
    pub fn kind_memory(&self, kind: u32) -> i128 {
        self.devices.iter().filter(|device| device.kind == kind).map(|device| i128::from(device.memory)).sum()
    }

    /// Takes no newcomers.
    pub fn is_closed(&self) -> bool {
        self.cordoned || self.draining
    }
}

/// How much of its requirement a task can be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// 0 or 1.
    Rigid,
    /// 0, or `min` to 1, on one node; `min` > 0.
    Elastic {
        /// Least share.
        min: Share,
    },
    /// 0 to 1, split over nodes.
    Divisible,
}

/// `count` whole devices, or `milli` of one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeviceRequest {
    /// Index into [`Problem::device_kinds`].
    pub kind: u32,
    /// 1 to 64.
    pub count: u32,
    /// 1 to 1000; below 1000 only with count 1.
    pub milli: u32,
    /// Memory of each; 0 = none is counted.
    pub memory: i64,
    /// Accepted models (sorted indices into [`Problem::device_models`]); empty = any.
    pub models: Vec<u32>,
}

impl DeviceRequest {
    /// Devices of `node` that this request may use, as a bit set.
    pub fn eligible(&self, node: &Node) -> u64 {
        let fits = |device: &Device| {
            device.kind == self.kind
                && (self.models.is_empty() || self.models.binary_search(&device.model).is_ok())
                && self.memory <= device.memory
        };
        node.devices.iter().enumerate().filter(|(_, d)| fits(d)).fold(0, |set, (i, _)| set | 1 << i)
    }

    /// Memory that it takes of a device: none where that is not counted.
    pub fn memory_on(&self, device: &Device) -> i128 {
        if device.memory > 0 { i128::from(self.memory) } else { 0 }
    }

    /// Has a device room for it, of which so many milli and so much memory are used?
    pub fn has_room(&self, device: &Device, milli: u32, memory: i128) -> bool {
        let own = self.memory_on(device);
        milli + self.milli <= DEVICE_MILLI && (own == 0 || memory + own <= i128::from(device.memory))
    }
}

/// A taint that a task accepts; `None` matches everything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Toleration {
    /// Key.
    pub key: Option<String>,
    /// Value.
    pub value: Option<String>,
}

impl Toleration {
    /// True when the taint is accepted.
    pub fn accepts(&self, taint: &Taint) -> bool {
        self.key.as_ref().is_none_or(|key| *key == taint.key)
            && self.value.as_ref().is_none_or(|value| *value == taint.value)
    }
}

/// One VM, container or job worker.
#[derive(Debug, Clone)]
pub struct Task {
    /// Unique name.
    pub name: String,
    /// What it is.
    pub kind: TaskKind,
    /// Points when fully granted.
    pub weight: i64,
    /// How much it can be granted.
    pub sharing: Sharing,
    /// Devices wanted; only rigid tasks have a request.
    pub device: Option<DeviceRequest>,
    /// It may not move.
    pub pinned: bool,
    /// It may be stopped.
    pub evictable: bool,
    /// A move stops it before it starts elsewhere: nothing is held twice.
    pub restarts: bool,
    /// Points for moving it, times `task_move_weight`.
    pub move_cost: i64,
    /// Its group.
    pub group: Option<GroupId>,
    /// Index into [`Problem::tenants`].
    pub tenant: Option<u32>,
    /// Labels required.
    pub selector: BTreeMap<String, Vec<String>>,
    /// Taints accepted.
    pub tolerations: Vec<Toleration>,
    /// Regions where it may run; empty = everywhere.
    pub regions: Vec<String>,
}

/// A group covers at least `min` domains of `level`, or as many as it has placed tasks if those are fewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// The level.
    pub level: LevelId,
    /// Least number of domains.
    pub min: u32,
}

/// Every domain of `level` that has a task of this group has one of `group`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dependency {
    /// The group needed.
    pub group: GroupId,
    /// The level compared.
    pub level: LevelId,
}

/// At least `least` members of a group run, or none; all in one domain of `within`. With fewer members than that it cannot run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gang {
    /// 1 or more.
    pub least: u32,
    /// The level whose domains it may not span.
    pub within: Option<LevelId>,
}

/// Tasks that share rules.
#[derive(Debug, Clone)]
pub struct Group {
    /// Unique name.
    pub name: String,
    /// Members in ascending order.
    pub members: Vec<TaskId>,
    /// Levels at which no two members share a domain, ascending.
    pub conflict: Vec<LevelId>,
    /// Spread rules, at most one per level.
    pub spread: Vec<Spread>,
    /// What it needs nearby.
    pub depends_on: Vec<Dependency>,
    /// Enough of them or none.
    pub gang: Option<Gang>,
    /// Most members in motion at once.
    pub max_unavailable: Option<u32>,
}

/// A level of domains.
#[derive(Debug, Clone)]
pub struct Level {
    /// `node`, `rack`, `zone` …
    pub name: String,
    /// Domain names; nodes without a domain have one of their own.
    pub domains: Vec<String>,
}

/// `weight · Σ_node max(0, target · free(resource) − free(other))`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    /// Whose free amount …
    pub resource: ResourceId,
    /// … calls for this one's.
    pub other: ResourceId,
    /// Factor.
    pub target: i64,
    /// Points per missing unit.
    pub weight: i64,
}

/// Cost between classes of nodes; moving to the same *node* is no move and costs nothing.
#[derive(Debug, Clone, Default)]
pub struct MoveCosts {
    /// Number of classes.
    pub class_count: usize,
    /// Shape: class_count × class_count, row = from.
    pub cost: Vec<i64>,
}

/// One kind of expected task for the fragmentation measure.
#[derive(Debug, Clone)]
pub struct MixItem {
    /// Frequency.
    pub parts: i64,
    /// Shape: resource_count.
    pub requirement: Vec<i64>,
    /// Devices.
    pub device: DeviceRequest,
}

/// Points for each soft term.
#[derive(Debug, Clone, Default)]
pub struct Objective {
    /// Balance terms.
    pub balance: Vec<Balance>,
    /// Variance terms, one per resource that has a weight for it.
    pub variance: Vec<Variance>,
    /// Times each moved task's cost.
    pub task_move_weight: i64,
    /// Times the largest number of moved tasks in one group.
    pub group_move_weight: i64,
    /// Times the pair cost.
    pub node_move_weight: i64,
    /// Times the price of every used node.
    pub price_weight: i64,
    /// Pair costs.
    pub move_costs: MoveCosts,
    /// Points per unusable (milli × parts).
    pub fragmentation_weight: i64,
    /// Expected tasks.
    pub mix: Vec<MixItem>,
}

/// How moves may be carried out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MoveRules {
    /// All moves run at once, transient resources stay taken on the old node.
    pub simultaneous: bool,
    /// Most moves of a plan.
    pub max_moves: Option<u32>,
    /// Most moves at one time that touch a node.
    pub max_per_node: Option<u32>,
    /// Most moves at one time.
    pub max_in_flight: Option<u32>,
    /// Most moves at one time that leave a node.
    pub max_from_node: Option<u32>,
    /// Most moves at one time that enter a node.
    pub max_to_node: Option<u32>,
    /// Most moves at one time that touch a domain, by level.
    pub max_per_domain: Vec<(LevelId, u32)>,
    /// Most of a resource that running tasks take along at one time; a task larger than that moves alone.
    pub max_amounts: Vec<(ResourceId, i64)>,
    /// Points that each move of a running task has to bring; a wish of one run, 0 in every snapshot.
    pub min_gain: i64,
}

/// A checked snapshot.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Name of the snapshot.
    pub name: String,
    /// Resources, those of the snapshot first.
    pub resources: Vec<Resource>,
    /// Levels; `levels[0]` is `node`.
    pub levels: Vec<Level>,
    /// Nodes.
    pub nodes: Vec<Node>,
    /// Tasks.
    pub tasks: Vec<Task>,
    /// Groups.
    pub groups: Vec<Group>,
    /// Pools.
    pub pools: Vec<Pool>,
    /// Names of those whose tasks these are.
    pub tenants: Vec<String>,
    /// Device kind names.
    pub device_kinds: Vec<String>,
    /// Device model names.
    pub device_models: Vec<String>,
    /// Soft terms.
    pub objective: Objective,
    /// What the objective is for, when it is not the snapshot's own.
    pub goal: Option<Goal>,
    /// Every task's weight is so many times what the snapshot says, see [`Goal`].
    pub value_scale: i64,
    /// Rules for moves.
    pub moves: MoveRules,
    /// SHA-256 of the snapshot, in hexadecimal: a plan names it, and is refused on any other state.
    pub fingerprint: String,
    /// Where everything runs now; a task that is under way, where it is going.
    pub current: Placement,
    /// Tasks that are under way, ascending, with what they leave and hold until the first wave has ended.
    pub under_way: Vec<(TaskId, Spot)>,
    pub(super) allocatable: Vec<i64>,
    pub(super) soft_limit: Vec<i64>,
    pub(super) requirement: Vec<i64>,
}

impl Problem {
    /// The resources of the snapshot: what people know of.
    pub fn own_resources(&self) -> &[Resource] {
        let count = self.resources.iter().take_while(|resource| resource.meter.is_none()).count();
        &self.resources[..count]
    }

    /// The problem without what burst and spot pools count by: for whoever adds up what nodes have and tasks require.
    pub fn without_meters(&self) -> Problem {
        let (own, width) = (self.own_resources().len(), self.resources.len().max(1));
        let narrowed = |rows: &[i64]| rows.chunks(width).flat_map(|row| &row[..own]).copied().collect();
        let mut problem = Problem {
            allocatable: narrowed(&self.allocatable),
            soft_limit: narrowed(&self.soft_limit),
            requirement: narrowed(&self.requirement),
            ..self.clone()
        };
        problem.resources.truncate(own);
        problem.objective.mix.iter_mut().for_each(|item| item.requirement.truncate(own));
        problem
    }

    /// A spot under the names of the snapshot.
    pub fn specs(&self, spot: &Spot) -> Vec<PieceSpec> {
        let spec = |piece: &Piece| PieceSpec {
            node: self.nodes[piece.node.index()].name.clone(),
            share: (piece.share != Share::ONE).then(|| piece.share.to_string()),
            devices: (0..64).filter(|d| piece.devices >> d & 1 == 1).collect(),
        };
        spot.pieces().iter().map(spec).collect()
    }

    /// Rows of prices per kind of device: [`DEVICE_ROW_COUNT`], and where any device counts its memory, one for memory.
    pub fn device_row_count(&self) -> usize {
        DEVICE_ROW_COUNT + usize::from(self.nodes.iter().any(Node::counts_memory))
    }

    /// The pool of a node.
    pub fn pool(&self, node: NodeId) -> Option<&Pool> {
        self.nodes[node.index()].pool.map(|pool| &self.pools[pool as usize])
    }

    /// The snapshot of this problem with its tasks where a state has them; what was under way has arrived.
    pub fn snapshot_at(&self, snapshot: &Snapshot, state: &Placement) -> Snapshot {
        let mut snapshot = snapshot.clone();
        for (task, spot) in snapshot.tasks.iter_mut().zip(state.spots()) {
            task.placement = self.specs(spot);
            task.moving_to.clear();
        }
        snapshot
    }

    /// Capacity of a node. Shape: resource_count.
    #[inline]
    pub fn allocatable(&self, node: NodeId) -> &[i64] {
        let width = self.resources.len();
        &self.allocatable[node.index() * width..][..width]
    }

    /// Load above this costs points. Shape: resource_count.
    #[inline]
    pub fn soft_limit(&self, node: NodeId) -> &[i64] {
        let width = self.resources.len();
        &self.soft_limit[node.index() * width..][..width]
    }

    /// Amounts of a fully granted task. Shape: resource_count.
    #[inline]
    pub fn requirement(&self, task: TaskId) -> &[i64] {
        let width = self.resources.len();
        &self.requirement[task.index() * width..][..width]
    }

    /// Domain of a node at a level.
    #[inline]
    pub fn domain(&self, node: NodeId, level: LevelId) -> DomainId {
        self.nodes[node.index()].domains[level.index()]
    }

    /// All node ids.
    pub fn node_ids(&self) -> impl ExactSizeIterator<Item = NodeId> + use<> {
        (0..self.nodes.len()).map(NodeId::new)
    }

    /// All task ids.
    pub fn task_ids(&self) -> impl ExactSizeIterator<Item = TaskId> + use<> {
        (0..self.tasks.len()).map(TaskId::new)
    }

    /// All group ids.
    pub fn group_ids(&self) -> impl ExactSizeIterator<Item = GroupId> + use<> {
        (0..self.groups.len()).map(GroupId::new)
    }

    /// Pair cost of a move, before its weight; 0 for `from == to`.
    #[inline]
    pub fn pair_cost(&self, from: NodeId, to: NodeId) -> i64 {
        if from == to || self.objective.move_costs.class_count == 0 {
            return 0;
        }
        let costs = &self.objective.move_costs;
        let row = self.nodes[from.index()].move_class as usize;
        let column = self.nodes[to.index()].move_class as usize;
        costs.cost[row * costs.class_count + column]
    }

    /// Asks for these nodes to be emptied: nobody may come, and each task there breaks the rule `drain`.
    pub fn drain(&mut self, nodes: &[NodeId]) {
        for node in nodes {
            let node = &mut self.nodes[node.index()];
            (node.cordoned, node.draining) = (true, true);
        }
    }

    /// The problem for whoever knows nothing of draining: nodes that drain have no capacity instead. Whoever is there and requires
    /// no amount of anything (devices are no amount) would still fit: of one more resource, `MUST_LEAVE`, each of these requires 1,
    /// and every other node has enough for all. With [`RESOURCE_COUNT_MAX`] resources there is no room for it, and these stay.
    pub fn evacuated(&self) -> Problem {
        let mut problem = self.clone();
        let is_draining = |node: NodeId| self.nodes[node.index()].draining;
        let requires_nothing = |task: TaskId| self.requirement(task).iter().all(|amount| *amount == 0);
        let is_there = |task: TaskId| self.current.spot(task).pieces().iter().any(|piece| is_draining(piece.node));
        let must_leave: Vec<bool> = self.task_ids().map(|task| is_there(task) && requires_nothing(task)).collect();
        let count = must_leave.iter().filter(|must| **must).count() as i64;
        if count > 0 && self.resources.len() < RESOURCE_COUNT_MAX {
            problem.add_resource(MUST_LEAVE, |_| count, |task| i64::from(must_leave[task.index()]));
        }
        let width = problem.resources.len();
        for (n, node) in problem.nodes.iter_mut().enumerate().filter(|(_, node)| node.draining) {
            node.draining = false;
            problem.allocatable[n * width..][..width].fill(0);
        }
        problem
    }

    /// Adds a resource that costs nothing, with what each node has of it and each task requires.
    fn add_resource(&mut self, name: &str, has: impl Fn(NodeId) -> i64, requires: impl Fn(TaskId) -> i64) {
        let width = self.resources.len();
        let widened = |rows: &[i64], count: usize, last: &dyn Fn(usize) -> i64| -> Vec<i64> {
            (0..count).flat_map(|i| rows[i * width..][..width].iter().copied().chain([last(i)])).collect()
        };
        let node = |n: usize| has(NodeId::new(n));
        self.allocatable = widened(&self.allocatable, self.nodes.len(), &node);
        self.soft_limit = widened(&self.soft_limit, self.nodes.len(), &node);
        self.requirement = widened(&self.requirement, self.tasks.len(), &|t| requires(TaskId::new(t)));
        self.objective.mix.iter_mut().for_each(|item| item.requirement.push(0));
        let (name, unit) = (name.to_string(), String::new());
        let resource = Resource { name, unit, transient: false, load_weight: 0, variance_weight: 0, meter: None };
        self.resources.push(resource);
    }

    /// The problem for whoever goes on from a state that was reached by so many moves of running tasks: what is not where it
    /// was stays there.
    pub fn resumed(&self, reached: &Placement, moves: u32) -> Problem {
        let mut problem = self.clone();
        for (task, (old, new)) in problem.tasks.iter_mut().zip(self.current.spots().iter().zip(reached.spots())) {
            task.pinned |= old != new;
        }
        problem.moves.max_moves = self.moves.max_moves.map(|most| most.saturating_sub(moves));
        if self.current != *reached {
            problem.under_way.clear();
        }
        problem.current = reached.clone();
        problem
    }

    /// The problem as it will be when a plan that leads to `reached` has been carried out.
    pub fn afterwards(&self, reached: &Placement) -> Problem {
        let mut problem = self.clone();
        problem.under_way.clear();
        problem.current = reached.clone();
        problem
    }

    /// The problem for a search that only repairs: nothing is gained but by breaking rules less, each move costs, and what
    /// waits goes on waiting.
    pub fn repair_only(&self) -> Problem {
        let mut problem = self.clone();
        problem.objective = Objective { task_move_weight: 1, ..Objective::default() };
        for resource in &mut problem.resources {
            (resource.load_weight, resource.variance_weight) = (0, 0);
        }
        for (task, spot) in problem.tasks.iter_mut().zip(self.current.spots()) {
            task.pinned |= !spot.is_placed();
            task.move_cost = task.move_cost.max(1);
        }
        problem
    }

    /// The problem that never had these nodes, and the nodes that are left, by their new number. Panics where a task is on one of them.
    pub fn without_nodes(&self, gone: &[NodeId]) -> (Problem, Vec<NodeId>) {
        let mut is_gone = vec![false; self.nodes.len()];
        gone.iter().for_each(|node| is_gone[node.index()] = true);
        let kept: Vec<NodeId> = self.node_ids().filter(|node| !is_gone[node.index()]).collect();
        let mut new = vec![NodeId(0); self.nodes.len()];
        kept.iter().enumerate().for_each(|(n, old)| new[old.index()] = NodeId::new(n));
        let renamed = |task: TaskId, spot: &Spot| {
            spot.renamed(|node| {
                let (task, host) = (&self.tasks[task.index()].name, &self.nodes[node.index()].name);
                assert!(!is_gone[node.index()], "task {task} is on {host}, which was to be empty");
                new[node.index()]
            })
        };
        let mut rest = self.clone();
        rest.nodes = kept.iter().map(|node| self.nodes[node.index()].clone()).collect();
        rest.allocatable = kept.iter().flat_map(|node| self.allocatable(*node)).copied().collect();
        rest.soft_limit = kept.iter().flat_map(|node| self.soft_limit(*node)).copied().collect();
        let spots = self.task_ids().zip(self.current.spots()).map(|(task, spot)| renamed(task, spot));
        rest.current = Placement::from_spots(spots.collect());
        rest.under_way.iter_mut().for_each(|(task, spot)| *spot = renamed(*task, spot));
        // Domains without a node do not exist: whoever tries or fails one after the other would try them.
        for (l, level) in rest.levels.iter_mut().enumerate() {
            let (mut names, mut number) = (Vec::new(), vec![None; level.domains.len()]);
            for node in &mut rest.nodes {
                let old = node.domains[l].index();
                node.domains[l] = *number[old].get_or_insert_with(|| {
                    names.push(level.domains[old].clone());
                    DomainId::new(names.len() - 1)
                });
            }
            level.domains = names;
        }
        rest.objective.variance = variances(&rest);
        (rest, kept)
    }

    /// The problem with each list of nodes made one, of all their capacity. The lists cover every node once; nodes of a list
    /// differ in name and amounts at most, and only a list of one may be anyone's current node.
    pub fn with_nodes_merged(&self, lists: &[Vec<NodeId>]) -> Problem {
        let mut merged = self.clone();
        // Not a sum over the nodes as they are now, and nobody who merges asks for it.
        merged.objective.variance.clear();
        merged.nodes = lists.iter().map(|list| self.nodes[list[0].index()].clone()).collect();
        let sum = |rows: &[i64]| -> Vec<i64> {
            let width = self.resources.len();
            let total = |list: &Vec<NodeId>, r: usize| list.iter().map(|node| rows[node.index() * width + r]).sum();
            lists.iter().flat_map(|list| (0..width).map(move |r| total(list, r))).collect()
        };
        merged.allocatable = sum(&self.allocatable);
        merged.soft_limit = sum(&self.soft_limit);
        let mut name = vec![NodeId(0); self.nodes.len()];
        for (new, list) in lists.iter().enumerate() {
            list.iter().for_each(|old| name[old.index()] = NodeId::new(new));
        }
        merged.under_way.clear();
        merged.current = self.current.renamed(|node| name[node.index()]);
        merged
    }
}
