//! How does a cluster stand? What is used, by whom, where it is tight, and what is free but of no use.
//!
//! Everything is counted from a problem and a placement, by the definitions of `model`; nothing is decided or written here.
//! `stranded.rs` says which free amounts nobody can use.

mod stranded;

use crate::model::{
    Counted, DEVICE_MILLI, DomainId, LevelId, Meter, MixItem, NodeId, Placement, Pool, Problem, ResourceId, SHARE_ONE,
    Score, Share, TaskId, Usage, Violation, fragmentation_of, meter_points, score, violations,
};
use std::collections::{BTreeSet, HashMap};

/// A node is hot where it uses so many thousandths of what it has, or more than its soft limit.
const HOT_PER_MILLE: i128 = 900;

/// Something that is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantity {
    /// Name of the resource or kind.
    pub name: String,
    /// Unit; `milli` for devices.
    pub unit: String,
    /// Which of these.
    pub counted: Counted,
}

/// Some nodes and what is on them. Amounts are scaled. Shape: quantities.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeSet {
    /// Name of the pool or domain; `None` for nodes without one, and for the whole cluster.
    pub name: Option<String>,
    /// How many nodes.
    pub node_count: usize,
    /// On how many of them something runs.
    pub node_used_count: usize,
    /// How many tasks run here, at least in part.
    pub task_count: usize,
    /// What they use.
    pub used: Vec<i128>,
    /// What there is.
    pub allocatable: Vec<i128>,
    /// Free on nodes that take newcomers, but no task of the present mix can use it.
    pub stranded: Vec<i128>,
    /// Free on nodes that take no newcomers.
    pub closed: Vec<i128>,
}

/// Some tasks and what they get. Amounts are scaled. Shape: quantities.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskSet {
    /// Name of the group or tenant; `None` for tasks without one, and for all tasks.
    pub name: Option<String>,
    /// How many tasks.
    pub task_count: usize,
    /// How many of them run.
    pub placed_count: usize,
    /// Σ weight · share.
    pub value: i128,
    /// Σ weight: the value if all were granted all.
    pub value_max: i128,
    /// What they use.
    pub granted: Vec<i128>,
    /// What they require.
    pub required: Vec<i128>,
}

/// A resource that is nearly used up on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hot {
    /// The node.
    pub node: NodeId,
    /// Index into [`Overview::quantities`].
    pub quantity: usize,
    /// Scaled.
    pub used: i128,
    /// Scaled.
    pub allocatable: i128,
    /// Scaled.
    pub soft_limit: i128,
}

/// Free milli of devices that the mix cannot use (measure of FGD), summed over mix and nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragmentation {
    /// Σ parts · free milli that the item cannot use.
    pub unusable: i128,
    /// Σ parts · free milli.
    pub free: i128,
    /// The mix is the one of the objective; otherwise it is made of the tasks that ask for devices.
    pub is_expected_mix: bool,
}

/// What runs in the burst pools, or in the spot pools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exposure {
    /// How many tasks, at least in part.
    pub task_count: usize,
    /// Σ weight · share there, scaled, in the weights of the snapshot: for spot pools the weight at risk.
    pub weight: i128,
    /// What it costs, scaled; part of the load.
    pub points: i128,
}

/// How a cluster stands.
#[derive(Debug, Clone)]
pub struct Overview {
    /// Resources in the order of the snapshot, then kinds of device that any node has, then those of which any counts its memory.
    pub quantities: Vec<Quantity>,
    /// All nodes.
    pub cluster: NodeSet,
    /// All tasks.
    pub work: TaskSet,
    /// By pool; empty when the snapshot has none.
    pub pools: Vec<NodeSet>,
    /// By domain, for every level above the node.
    pub levels: Vec<(LevelId, Vec<NodeSet>)>,
    /// By group; empty when the snapshot has none.
    pub groups: Vec<TaskSet>,
    /// By tenant; empty when the snapshot has none.
    pub tenants: Vec<TaskSet>,
    /// The fullest first.
    pub hot: Vec<Hot>,
    /// `None` where no device is free or nobody asks for one.
    pub fragmentation: Option<Fragmentation>,
    /// `None` where no pool is a burst pool.
    pub burst: Option<Exposure>,
    /// `None` where no pool can vanish.
    pub spot: Option<Exposure>,
    /// Points.
    pub score: Score,
    /// Broken rules.
    pub violations: Vec<Violation>,
}

impl Overview {
    /// Counts everything about a placement.
    pub fn of(problem: &Problem, placement: &Placement) -> Overview {
        let usage = Usage::of(problem, placement);
        let count = Count { problem, placement, usage: &usage, kinds: Kinds::of(problem) };
        let rows = count.node_rows();
        let pool = |node: NodeId| problem.nodes[node.index()].pool.map(|pool| pool as usize);
        let tenant = |task: TaskId| problem.tasks[task.index()].tenant.map(|tenant| tenant as usize);
        let group = |task: TaskId| problem.tasks[task.index()].group.map(|group| group.index());
        let pool_names: Vec<String> = problem.pools.iter().map(|pool| pool.name.clone()).collect();
        let group_names: Vec<String> = problem.groups.iter().map(|group| group.name.clone()).collect();
        let levels = (1..problem.levels.len()).map(LevelId::new).map(|level| {
            let domain = |node| Some(DomainId::index(problem.domain(node, level)));
            (level, count.node_sets(&rows, &problem.levels[level.index()].domains, domain))
        });
        Overview {
            quantities: count.quantities(),
            cluster: count.node_sets(&rows, &[], |_| None).pop().unwrap_or_else(|| count.no_nodes(None)),
            work: count.task_sets(&[], |_| None).pop().unwrap_or_else(|| count.no_tasks(None)),
            pools: if problem.pools.is_empty() { Vec::new() } else { count.node_sets(&rows, &pool_names, pool) },
            levels: levels.collect(),
            groups: if group_names.is_empty() { Vec::new() } else { count.task_sets(&group_names, group) },
            tenants: if problem.tenants.is_empty() { Vec::new() } else { count.task_sets(&problem.tenants, tenant) },
            hot: count.hot(),
            fragmentation: count.fragmentation(),
            burst: count.exposure(|meter| meter == Meter::Burst, |pool| pool.burst),
            spot: count.exposure(|meter| meter != Meter::Burst, |pool| pool.spot_risk > Share::ZERO),
            score: score(problem, placement),
            violations: violations(problem, placement),
        }
    }

    /// Mean over the resources that anything requires of granted / required: (sum of the ratios, how many); for reading only.
    pub fn utilization(&self) -> Option<f64> {
        let amounts = self.quantities.iter().zip(self.work.granted.iter().zip(&self.work.required));
        let resources =
            amounts.filter(|(quantity, (_, required))| quantity.counted == Counted::Resource && **required > 0);
        let ratios: Vec<f64> = resources.map(|(_, (granted, required))| *granted as f64 / *required as f64).collect();
        (!ratios.is_empty()).then(|| ratios.iter().sum::<f64>() / ratios.len() as f64)
    }
}

/// Kinds of device, ascending.
struct Kinds {
    /// Those that any node has.
    milli: Vec<u32>,
    /// Those of which any counts its memory.
    memory: Vec<u32>,
}

impl Kinds {
    fn of(problem: &Problem) -> Kinds {
        let devices = || problem.nodes.iter().flat_map(|node| &node.devices);
        let distinct = |kinds: BTreeSet<u32>| kinds.into_iter().collect();
        Kinds {
            milli: distinct(devices().map(|device| device.kind).collect()),
            memory: distinct(devices().filter(|device| device.memory > 0).map(|device| device.kind).collect()),
        }
    }
}

/// Scaled amounts of one node. Shape: quantities.
struct NodeRow {
    used: Vec<i128>,
    allocatable: Vec<i128>,
    /// Free and of no use to anyone.
    stranded: Vec<i128>,
    /// Free, and no newcomer may come.
    closed: Vec<i128>,
}

struct Count<'a> {
    problem: &'a Problem,
    placement: &'a Placement,
    usage: &'a Usage,
    kinds: Kinds,
}

impl Count<'_> {
    fn width(&self) -> usize {
        self.problem.own_resources().len() + self.kinds.milli.len() + self.kinds.memory.len()
    }

    fn quantities(&self) -> Vec<Quantity> {
        let resources = self.problem.own_resources().iter();
        let resources =
            resources.map(|r| Quantity { name: r.name.clone(), unit: r.unit.clone(), counted: Counted::Resource });
        let name = |kind: &u32| self.problem.device_kinds[*kind as usize].clone();
        let milli = self.kinds.milli.iter().map(name);
        let milli = milli.map(|name| Quantity { name, unit: "milli".to_string(), counted: Counted::Devices });
        let memory = self.kinds.memory.iter().map(name);
        let memory = memory.map(|name| Quantity { name, unit: String::new(), counted: Counted::DeviceMemory });
        resources.chain(milli).chain(memory).collect()
    }

    fn node_rows(&self) -> Vec<NodeRow> {
        let one = i128::from(SHARE_ONE);
        let shapes = stranded::Shapes::of(self.problem);
        let row = |node: NodeId| {
            let own = self.problem.own_resources().len();
            let amounts = self.problem.allocatable(node)[..own].iter();
            let mut allocatable: Vec<i128> = amounts.map(|amount| i128::from(*amount) * one).collect();
            let mut used = self.usage.amounts(node)[..own].to_vec();
            for kind in &self.kinds.milli {
                let (held, all) = self.usage.kind_milli(self.problem, node, *kind);
                allocatable.push(all * one);
                used.push(held * one);
            }
            for kind in &self.kinds.memory {
                allocatable.push(self.problem.nodes[node.index()].kind_memory(*kind) * one);
                used.push(self.usage.kind_memory(self.problem, node, *kind) * one);
            }
            let free = || allocatable.iter().zip(&used).map(|(allocatable, used)| (allocatable - used).max(0));
            let none = vec![0; self.width()];
            let (stranded, closed) = match self.problem.nodes[node.index()].is_closed() {
                true => (none, free().collect()),
                false => (shapes.stranded(self.problem, self.usage, node, &self.kinds), none),
            };
            NodeRow { used, allocatable, stranded, closed }
        };
        self.problem.node_ids().map(row).collect()
    }

    fn no_nodes(&self, name: Option<String>) -> NodeSet {
        let none = || vec![0; self.width()];
        let [used, allocatable, stranded, closed] = [none(), none(), none(), none()];
        NodeSet { name, used, allocatable, stranded, closed, ..NodeSet::default() }
    }

    /// One set per name, in that order, and one for nodes without, if there are any.
    fn node_sets(&self, rows: &[NodeRow], names: &[String], part: impl Fn(NodeId) -> Option<usize>) -> Vec<NodeSet> {
        let mut sets: Vec<NodeSet> = names.iter().map(|name| self.no_nodes(Some(name.clone()))).collect();
        sets.push(self.no_nodes(None));
        let at = |node: NodeId| part(node).unwrap_or(names.len());
        for (node, row) in self.problem.node_ids().zip(rows) {
            let set = &mut sets[at(node)];
            set.node_count += 1;
            set.node_used_count += usize::from(self.usage.pieces(node) > 0);
            add(&mut set.used, &row.used);
            add(&mut set.allocatable, &row.allocatable);
            add(&mut set.stranded, &row.stranded);
            add(&mut set.closed, &row.closed);
        }
        for spot in self.placement.spots() {
            let mut parts: Vec<usize> = spot.pieces().iter().map(|piece| at(piece.node)).collect();
            parts.sort_unstable();
            parts.dedup();
            parts.into_iter().for_each(|part| sets[part].task_count += 1);
        }
        sets.retain(|set| set.node_count > 0 || set.name.is_some());
        sets
    }

    fn no_tasks(&self, name: Option<String>) -> TaskSet {
        let none = || vec![0; self.width()];
        TaskSet { name, granted: none(), required: none(), ..TaskSet::default() }
    }

    /// One set per name, in that order, and one for tasks without, if there are any.
    fn task_sets(&self, names: &[String], part: impl Fn(TaskId) -> Option<usize>) -> Vec<TaskSet> {
        let one = i128::from(SHARE_ONE);
        let own = self.problem.own_resources().len();
        let mut sets: Vec<TaskSet> = names.iter().map(|name| self.no_tasks(Some(name.clone()))).collect();
        sets.push(self.no_tasks(None));
        for task in self.problem.task_ids() {
            let (spec, spot) = (&self.problem.tasks[task.index()], self.placement.spot(task));
            let parts = i128::from(spot.total_parts());
            let set = &mut sets[part(task).unwrap_or(names.len())];
            set.task_count += 1;
            set.placed_count += usize::from(spot.is_placed());
            set.value += i128::from(spec.weight) * parts;
            set.value_max += i128::from(spec.weight) * one;
            for (r, amount) in self.problem.requirement(task).iter().enumerate().take(own) {
                set.granted[r] += i128::from(*amount) * parts;
                set.required[r] += i128::from(*amount) * one;
            }
            let Some(request) = &spec.device else { continue };
            let held: u32 = spot.pieces().iter().map(|piece| piece.devices.count_ones()).sum();
            let mut add = |q: usize, each: i128| {
                set.granted[q] += i128::from(held) * each * one;
                set.required[q] += i128::from(request.count) * each * one;
            };
            // A kind that no node has is nobody's quantity.
            if let Ok(kind) = self.kinds.milli.binary_search(&request.kind) {
                add(own + kind, request.milli.into());
            }
            if let Ok(kind) = self.kinds.memory.binary_search(&request.kind) {
                add(own + self.kinds.milli.len() + kind, request.memory.into());
            }
        }
        sets.retain(|set| set.task_count > 0 || set.name.is_some());
        sets
    }

    fn hot(&self) -> Vec<Hot> {
        let one = i128::from(SHARE_ONE);
        let mut hot = Vec::new();
        for node in self.problem.node_ids() {
            for quantity in 0..self.problem.own_resources().len() {
                let used = self.usage.amount(node, ResourceId::new(quantity));
                let [allocatable, soft_limit] = [self.problem.allocatable(node), self.problem.soft_limit(node)]
                    .map(|row| i128::from(row[quantity]) * one);
                if used > soft_limit || (used > 0 && used * 1000 >= allocatable * HOT_PER_MILLE) {
                    hot.push(Hot { node, quantity, used, allocatable, soft_limit });
                }
            }
        }
        hot.sort_by_key(|hot| std::cmp::Reverse(millionths(hot.used, hot.allocatable)));
        hot
    }

    fn fragmentation(&self) -> Option<Fragmentation> {
        let is_expected_mix = !self.problem.objective.mix.is_empty();
        let present = if is_expected_mix { Vec::new() } else { present_mix(self.problem) };
        let mix = if is_expected_mix { &self.problem.objective.mix } else { &present };
        let parts: i128 = mix.iter().map(|item| i128::from(item.parts)).sum();
        let free = |node| self.usage.devices(node).iter().map(|used| i128::from(DEVICE_MILLI.saturating_sub(*used)));
        let unusable = |node| fragmentation_of(self.problem, self.usage, node, mix);
        let free = parts * self.problem.node_ids().flat_map(free).sum::<i128>();
        let unusable = self.problem.node_ids().map(unusable).sum();
        (free > 0).then_some(Fragmentation { unusable, free, is_expected_mix })
    }
}

impl Count<'_> {
    fn exposure(&self, is_meant: impl Fn(Meter) -> bool, is_exposed: impl Fn(&Pool) -> bool) -> Option<Exposure> {
        let problem = self.problem;
        if !problem.pools.iter().any(&is_exposed) {
            return None;
        }
        let mut exposure = Exposure { points: meter_points(problem, self.usage, is_meant), ..Exposure::default() };
        for task in problem.task_ids() {
            let pieces = self.placement.spot(task).pieces().iter();
            let here = pieces.filter(|piece| problem.pool(piece.node).is_some_and(&is_exposed));
            let (count, parts) = here.fold((0, 0), |(count, parts), piece| (count + 1, parts + piece.share.parts()));
            let weight = i128::from(problem.tasks[task.index()].weight / problem.value_scale);
            exposure.task_count += usize::from(count > 0);
            exposure.weight += weight * i128::from(parts);
        }
        Some(exposure)
    }
}

/// The tasks that ask for devices, those alike as one item.
fn present_mix(problem: &Problem) -> Vec<MixItem> {
    let mut known = HashMap::new();
    let mut mix: Vec<MixItem> = Vec::new();
    for task in problem.task_ids() {
        let Some(device) = &problem.tasks[task.index()].device else { continue };
        let requirement = problem.requirement(task);
        let at = *known.entry((device, requirement)).or_insert(mix.len());
        if at == mix.len() {
            mix.push(MixItem { parts: 0, requirement: requirement.to_vec(), device: device.clone() });
        }
        mix[at].parts += 1;
    }
    mix
}

fn add(sums: &mut [i128], row: &[i128]) {
    sums.iter_mut().zip(row).for_each(|(sum, amount)| *sum += amount);
}

/// `part / whole` in millionths, to sort by; nothing of nothing is 0, something of nothing is most.
pub fn millionths(part: i128, whole: i128) -> i128 {
    match (part, whole) {
        (0, _) => 0,
        (_, 0) => i128::MAX,
        _ => part * 1_000_000 / whole,
    }
}
