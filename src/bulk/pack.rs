//! How does a problem look to the kernels? Amounts as i32 quanta, points as i64, rules as rows.
//!
//! Amounts are exact wherever they fit 2^29; else requirement is rounded up and capacity down to multiples of a power of
//! two. Points are exact wherever no change can exceed 2^61; else they are shifted right. Both only steer the search then:
//! the model decides which result is kept. An elastic task is packed at its least share, a divisible one not at all:
//! `fill.rs` hands out what is left.

use super::heat;
use super::levels::{Levels, steepest};
use super::memory::Memory;
use super::state::State;
use crate::kernel::points::{BalanceTerm, MixTerm, NodeView, Shared, node_points};
use crate::model::{DeviceRequest, GroupId, NodeId, Problem, SHARE_ONE, Sharing, TaskId, newcomer_forbidden};
use std::collections::HashMap;

/// Largest quantum: sums of four of them fit i32.
const QUANTUM_MAX: i64 = 1 << 29;
/// Largest change in points, for all terms of a candidate together.
const POINTS_MAX: f64 = (1u64 << 61) as f64;
/// Stands for "no node" in arrays of node indices.
pub const NOWHERE: u32 = u32::MAX;
/// Stands for any number of displaced tasks. One bit below 32: not every shader compiler widens the highest without its sign.
pub const DISPLACED_MAX: u32 = u32::MAX >> 1;
/// Stands for "no group".
pub const UNGROUPED: u32 = u32::MAX;

/// A problem as arrays.
pub struct Pack {
    /// Lanes per row: the resource count rounded up to 4, 8, 12, 16 or 32.
    pub lanes: usize,
    /// Bits dropped from amounts. Shape: resources.
    pub shift: Vec<u32>,
    /// What every block shares.
    pub shared: Shared,
    /// Shape: nodes × lanes. max(capacity, use at the start).
    pub limit: Vec<i32>,
    /// Shape: nodes × lanes.
    pub capacity: Vec<i32>,
    /// Shape: nodes × lanes.
    pub soft: Vec<i32>,
    /// What used quanta are multiplied by in variance terms. Shape: nodes × variance terms.
    pub factors: Vec<i64>,
    /// Shape: tasks × lanes.
    pub requirement: Vec<i32>,
    /// Shape: nodes.
    pub price: Vec<i64>,
    /// Shape: nodes. Column of `shared.allow`.
    pub node_class: Vec<u32>,
    /// Shape: nodes.
    pub move_class: Vec<u32>,
    /// Points lost in the pool. Shape: tasks.
    pub value: Vec<i64>,
    /// Points for being away from home. Shape: tasks.
    pub move_points: Vec<i64>,
    /// Row offset into `shared.allow`. Shape: tasks.
    pub class_row: Vec<u32>,
    /// Row offset into `shared.pair`. Shape: tasks.
    pub pair_row: Vec<u32>,
    /// Node at the start or `u32::MAX`. Shape: tasks.
    pub home: Vec<u32>,
    /// Devices at the start. Shape: tasks.
    pub home_devices: Vec<u64>,
    /// How many, and what is taken of each (`kernel/layout.rs`). Shape: tasks.
    pub device: Vec<(u8, u32)>,
    /// Quanta of memory that a device has less than a word counts. Shape: nodes × device_width.
    pub lacking: Vec<u32>,
    /// It takes part in the search (not divisible). Shape: tasks.
    pub packed: Vec<bool>,
    /// It may move (packed and not pinned). Shape: tasks.
    pub movable: Vec<bool>,
    /// It may go to the pool. Shape: tasks.
    pub may_stop: Vec<bool>,
    /// Group with rules or [`UNGROUPED`]. Shape: tasks.
    pub group: Vec<u32>,
    /// Group, with rules or without, or [`UNGROUPED`]. Shape: tasks.
    pub group_all: Vec<u32>,
    /// Tasks in the order in which rounds list them: movable ones, then pinned ones with rules, both by group.
    pub order: Vec<u32>,
    /// How many of them are movable.
    pub movable_count: usize,
    /// Rules per group.
    pub groups: Vec<PackedGroup>,
    /// All rows of all groups.
    pub rows: Vec<PackedRow>,
    /// Total of the domain counts of all rows: size of the presence arrays.
    pub cell_count: usize,
    /// Quanta or points are rounded, or shares or penalties for broken starts are in play: points only steer then.
    pub is_inexact: bool,
    /// Points per group member moved most.
    pub group_move_weight: i64,
    /// Most tasks that may move, or so many that it is no limit.
    pub displaced_max: u32,
}

/// A group's rules.
#[derive(Debug, Clone, Copy, Default)]
pub struct PackedGroup {
    /// First row.
    pub row: u32,
    /// Rows.
    pub row_count: u32,
    /// No two members on a node.
    pub conflict: bool,
    /// Enough or nothing: the search itself neither starts nor stops members.
    pub gang: bool,
    /// Least number of members of a gang that run.
    pub least: u32,
}

/// A group's rules at one level.
#[derive(Debug, Clone, Default)]
pub struct PackedRow {
    /// The level.
    pub level: u32,
    /// First cell in the presence arrays.
    pub cell: u32,
    /// At most one member per domain.
    pub conflict: bool,
    /// Members of a gang stay in the domains that have some.
    pub within: bool,
    /// Least number of domains covered, 0 = no spread rule.
    pub spread: u32,
    /// Rows of the groups this one depends on at this level.
    pub needs: Vec<u32>,
    /// Rows of the groups that depend on this one at this level.
    pub needed_by: Vec<u32>,
}

/// What decides which nodes a task may run on.
type TaskKey<'a> = (
    &'a std::collections::BTreeMap<String, Vec<String>>,
    &'a [crate::model::Toleration],
    Option<(u32, &'a [u32], u32, usize)>,
);

impl Pack {
    /// Packs a problem.
    pub fn new(problem: &Problem) -> Pack {
        let width = problem.resources.len();
        // The kernels are compiled for these widths.
        let lanes =
            [4, 8, 12, 16, 32].into_iter().find(|lanes| width <= *lanes).expect("the check allows 32 resources");
        let shares: Vec<u32> = problem.tasks.iter().map(|task| packed_share(task.sharing)).collect();
        let requirement: Vec<i64> = requirements(problem, &shares);
        let used = start_usage(problem, &shares, &requirement);
        let shift = quantum_shifts(problem, &requirement, &used);
        let up = |amount: i64, s: u32| ((amount + (1 << s) - 1) >> s) as i32;

        let node_rows = |value: &dyn Fn(NodeId, usize) -> i32| {
            let mut rows = vec![0; problem.nodes.len() * lanes];
            for node in problem.node_ids() {
                for r in 0..width {
                    rows[node.index() * lanes + r] = value(node, r);
                }
            }
            rows
        };
        let capacity = node_rows(&|node, r| (problem.allocatable(node)[r] >> shift[r]) as i32);
        let soft = node_rows(&|node, r| (problem.soft_limit(node)[r].min(QUANTUM_MAX << shift[r]) >> shift[r]) as i32);
        let mut requirement_rows = vec![0; problem.tasks.len() * lanes];
        for (t, row) in requirement.chunks(width.max(1)).enumerate() {
            for (r, amount) in row.iter().enumerate().take(width) {
                requirement_rows[t * lanes + r] = up(*amount, shift[r]);
            }
        }
        let mut quanta = vec![0i64; problem.nodes.len() * lanes];
        for task in problem.task_ids().filter(|task| shares[task.index()] > 0) {
            if let Some(node) = problem.current.spot(task).node() {
                for r in 0..width {
                    quanta[node.index() * lanes + r] += i64::from(requirement_rows[task.index() * lanes + r]);
                }
            }
        }
        let limit =
            capacity.iter().zip(&quanta).map(|(capacity, used)| i64::from(*capacity).max(*used) as i32).collect();

        let (point_shift, weights) = point_scale(problem, &shift);
        let levels = Levels::new(problem, &shift, point_shift);
        let points = |value: i128| (value >> point_shift).min(1 << 62) as i64;
        let (class_row, node_class, allow) = eligibility(problem);
        let (mut groups, mut rows) = (Vec::new(), Vec::new());
        let cell_count = pack_groups(problem, &mut groups, &mut rows);
        let ruled =
            |g: GroupId| groups[g.index()].conflict || groups[g.index()].gang || groups[g.index()].row_count > 0;
        let mut shared = Shared {
            load_weight: weights.load.iter().map(|w| points(*w)).chain(std::iter::repeat(0)).take(lanes).collect(),
            over_weight: Vec::new(),
            transient: (0..lanes)
                .map(|r| -i32::from(problem.moves.simultaneous && r < width && problem.resources[r].transient))
                .collect(),
            balance: weights
                .balance
                .iter()
                .map(|term| BalanceTerm { weight: points(i128::from(term.weight)), ..*term })
                .collect(),
            variance: levels.terms,
            pair: pair_table(problem).into_iter().map(points).collect(),
            allow,
            device_width: problem.nodes.iter().map(|node| node.devices.len()).max().unwrap_or(0),
            simultaneous: problem.moves.simultaneous,
            ..Shared::default()
        };
        let memory = Memory::new(problem);
        pack_mix(problem, &mut shared, &class_row, lanes, &memory, &|amount, r| up(amount, shift[r]));
        let node_class_count = shared.allow.len() / (class_row.last().map_or(0, |last| last + 1) as usize).max(1);
        let excess = start_excess(&capacity, &quanta, lanes);
        let overloaded = excess.iter().any(|quanta| *quanta > 0);
        if overloaded {
            shared.over_weight = over_weights(&weights, &excess, width, point_shift);
        }
        let move_class_count = problem.objective.move_costs.class_count.max(1) as u32;
        let tasks = || problem.tasks.iter().enumerate();
        let spot = |t: usize| problem.current.spot(TaskId::new(t));
        let movable: Vec<bool> = tasks().map(|(t, task)| shares[t] > 0 && !task.pinned).collect();
        let group: Vec<u32> =
            tasks().map(|(_, task)| task.group.filter(|g| ruled(*g)).map_or(UNGROUPED, |g| g.0)).collect();
        let counts = |t: &u32| movable[*t as usize] || (shares[*t as usize] > 0 && group[*t as usize] != UNGROUPED);
        let mut order: Vec<u32> = (0..problem.tasks.len() as u32).filter(counts).collect();
        order.sort_by_key(|t| (!movable[*t as usize], group[*t as usize]));
        let movable_count = order.iter().filter(|t| movable[**t as usize]).count();
        let mut pack = Pack {
            lanes,
            factors: levels.factors,
            limit,
            capacity,
            soft,
            requirement: requirement_rows,
            price: problem
                .nodes
                .iter()
                .map(|n| points(i128::from(n.price) * i128::from(problem.objective.price_weight)))
                .collect(),
            node_class,
            move_class: problem
                .nodes
                .iter()
                .map(|n| if problem.objective.move_costs.class_count == 0 { 0 } else { n.move_class })
                .collect(),
            value: tasks()
                .map(|(t, task)| points(i128::from(task.weight) * i128::from(shares[t]) / i128::from(SHARE_ONE)))
                .collect(),
            move_points: tasks()
                .map(|(_, task)| points(i128::from(task.move_cost) * i128::from(problem.objective.task_move_weight)))
                .collect(),
            class_row: class_row[..problem.tasks.len()].iter().map(|row| row * node_class_count as u32).collect(),
            pair_row: tasks()
                .map(|(t, _)| {
                    let class = spot(t).node().map_or(0, |n| problem.nodes[n.index()].move_class);
                    if problem.objective.move_costs.class_count == 0 { 0 } else { class * move_class_count }
                })
                .collect(),
            home: tasks().map(|(t, _)| spot(t).node().map_or(NOWHERE, |n| n.0)).collect(),
            home_devices: tasks().map(|(t, _)| spot(t).pieces().first().map_or(0, |piece| piece.devices)).collect(),
            device: tasks()
                .map(|(_, task)| task.device.as_ref().map_or((0, 0), |d| (d.count as u8, memory.word(d))))
                .collect(),
            lacking: lacking(problem, &memory, shared.device_width),
            packed: shares.iter().map(|share| *share > 0).collect(),
            movable,
            order,
            movable_count,
            may_stop: tasks().map(|(t, task)| task.evictable || !spot(t).is_placed()).collect(),
            group,
            group_all: tasks().map(|(_, task)| task.group.map_or(UNGROUPED, |g| g.0)).collect(),
            groups,
            rows,
            cell_count,
            is_inexact: point_shift > 0
                || shift.iter().any(|s| *s > 0)
                || overloaded
                || !memory.is_exact
                || (problem.moves.simultaneous && problem.objective.fragmentation_weight > 0)
                || shares.iter().any(|share| *share != SHARE_ONE),
            group_move_weight: points(i128::from(problem.objective.group_move_weight)),
            displaced_max: problem.moves.max_moves.map_or(DISPLACED_MAX, |most| most.min(DISPLACED_MAX)),
            shift,
            shared,
        };
        pack.shared.over_price = heat::over_prices(&pack);
        let widest = POINTS_MAX as i64 / (QUANTUM_MAX * 4 * lanes as i64);
        for (price, weight) in pack.shared.over_price.iter_mut().zip(&pack.shared.over_weight) {
            // So dear an excess is counted up to that of the start alone.
            *price = if *weight > widest { 0 } else { *price };
        }
        pack
    }

    /// What is taken of each device at the start (`kernel/layout.rs`). Shape: nodes × device_width.
    pub fn devices_taken(&self) -> Vec<u32> {
        State::at_home(self).device_used
    }

    /// Does nothing run at the start?
    pub fn all_wait(&self) -> bool {
        self.home.iter().all(|home| *home == NOWHERE)
    }

    /// Does it start and stop only with others?
    pub fn is_of_gang(&self, task: usize) -> bool {
        self.group[task] != UNGROUPED && self.groups[self.group[task] as usize].gang
    }

    /// Does a rule count on it where it runs: a spread of its group, or tasks that depend on it?
    pub fn is_counted_on(&self, task: usize) -> bool {
        if self.group[task] == UNGROUPED {
            return false;
        }
        let group = self.groups[self.group[task] as usize];
        let rows = &self.rows[group.row as usize..(group.row + group.row_count) as usize];
        rows.iter().any(|row| row.spread > 0 || !row.needed_by.is_empty())
    }

    /// Points of a task in the pool: what it is worth, and its move when it ran.
    pub fn pool_points(&self, task: usize) -> i64 {
        self.value[task] + if self.home[task] == NOWHERE { 0 } else { self.move_points[task] }
    }

    /// Points of a task for being on a node: its move, when it ran elsewhere.
    pub fn points_at(&self, task: usize, node: u32) -> i64 {
        if !self.is_away(task, node) {
            return 0;
        }
        self.move_points[task] + self.shared.pair[(self.pair_row[task] + self.move_class[node as usize]) as usize]
    }

    /// Points of a task for being on a node or in the pool.
    pub fn task_points(&self, task: usize, at: u32) -> i64 {
        if at == NOWHERE { self.pool_points(task) } else { self.points_at(task, at) }
    }

    /// Points that the nodes add to a move from one of them to another, whoever moves.
    pub fn pair_points(&self, from: u32, to: u32) -> i64 {
        let classes = self.shared.pair.len().isqrt();
        let [from, to] = [from, to].map(|node| self.move_class[node as usize] as usize);
        self.shared.pair[from * classes + to]
    }

    /// Points of a node of which so much of each lane is used and so much of each device is taken, its price included.
    pub fn node_points(&self, node: usize, is_used: bool, used: impl Fn(usize) -> i32, devices: &[u32]) -> i64 {
        let price = if is_used { self.price[node] } else { 0 };
        price
            + match self.lanes {
                4 => self.points_of::<4>(node, used, devices),
                8 => self.points_of::<8>(node, used, devices),
                12 => self.points_of::<12>(node, used, devices),
                16 => self.points_of::<16>(node, used, devices),
                _ => self.points_of::<32>(node, used, devices),
            }
    }

    fn points_of<const L: usize>(&self, node: usize, used: impl Fn(usize) -> i32, devices: &[u32]) -> i64 {
        let terms = self.shared.variance.len();
        let row = |rows: &[i32]| -> [i32; L] { rows[node * L..][..L].try_into().expect("a row has L lanes") };
        let view = NodeView {
            used: &std::array::from_fn(used),
            soft: &row(&self.soft),
            capacity: &row(&self.capacity),
            factors: &self.factors[node * terms..][..terms],
            devices,
            class: self.node_class[node],
        };
        node_points(&self.shared, &view)
    }

    /// Is a task away from home when it is on this node, or waiting when it is in the pool?
    pub fn is_away(&self, task: usize, at: u32) -> bool {
        at == NOWHERE || (self.home[task] != NOWHERE && at != self.home[task])
    }
}

/// Share at which a task is searched for.
pub fn packed_share(sharing: Sharing) -> u32 {
    match sharing {
        Sharing::Rigid => SHARE_ONE,
        Sharing::Elastic { min } => min.parts(),
        Sharing::Divisible => 0,
    }
}

/// Shape: tasks × resources, at the packed share, rounded up.
fn requirements(problem: &Problem, shares: &[u32]) -> Vec<i64> {
    let one = i128::from(SHARE_ONE);
    let rows = problem.task_ids().flat_map(|task| {
        let share = i128::from(shares[task.index()]);
        problem.requirement(task).iter().map(move |amount| ((i128::from(*amount) * share + one - 1) / one) as i64)
    });
    rows.collect()
}

/// Shape: nodes × resources: packed tasks where they are at the start.
fn start_usage(problem: &Problem, shares: &[u32], requirement: &[i64]) -> Vec<i64> {
    let width = problem.resources.len();
    let mut used = vec![0; problem.nodes.len() * width];
    for task in problem.task_ids().filter(|task| shares[task.index()] > 0) {
        if let Some(node) = problem.current.spot(task).node() {
            for r in 0..width {
                used[node.index() * width + r] += requirement[task.index() * width + r];
            }
        }
    }
    used
}

/// Bits to drop per resource so that every amount fits a quantum.
fn quantum_shifts(problem: &Problem, requirement: &[i64], used: &[i64]) -> Vec<u32> {
    let width = problem.resources.len();
    let mut largest = vec![1i64; width];
    let rows = problem.node_ids().map(|node| problem.allocatable(node));
    let rows = rows.chain(requirement.chunks(width.max(1))).chain(used.chunks(width.max(1)));
    for row in rows {
        for (r, amount) in row.iter().enumerate() {
            largest[r] = largest[r].max(*amount);
        }
    }
    // A rounded-up sum may exceed the rounded total by one quantum per task: a factor of two covers it.
    let shift = |amount: &i64| {
        (0..63).find(|s| amount >> s < QUANTUM_MAX / if *s == 0 { 1 } else { 2 }).expect("amounts are below 2^63")
    };
    largest.iter().map(shift).collect()
}

struct Weights {
    load: Vec<i128>,
    balance: Vec<BalanceTerm>,
    /// Most that one quantum more can cost in variance terms.
    variance: f64,
    /// What the weightiest task is worth.
    worth: f64,
}

/// Bits to drop from all points so that no change overflows, and the weights per quantum before that.
fn point_scale(problem: &Problem, shift: &[u32]) -> (u32, Weights) {
    let objective = &problem.objective;
    let load: Vec<i128> = problem.resources.iter().zip(shift).map(|(r, s)| i128::from(r.load_weight) << s).collect();
    let mut largest = load.iter().map(|w| *w as f64 * QUANTUM_MAX as f64 * 4.0).sum::<f64>();
    let mut balance = Vec::new();
    for term in &objective.balance {
        let (s1, s2) = (shift[term.resource.index()], shift[term.other.index()]);
        // Both free amounts in units of the coarser quantum; exact when neither is shifted.
        let coarse = s1.max(s2);
        let (weight, target) = (term.weight.saturating_mul(1 << coarse), term.target >> (coarse - s1).min(62));
        largest += weight as f64 * (target as f64 + 1.0) * QUANTUM_MAX as f64 * 4.0;
        balance.push(BalanceTerm { resource: term.resource.0, other: term.other.0, target, weight });
    }
    // Off by 4 at most, on two nodes before and after.
    largest += problem.resources.iter().map(|r| 4.0 * 17.0 * r.variance_weight as f64).sum::<f64>();
    let most = |values: &mut dyn Iterator<Item = i64>| values.max().unwrap_or(0) as f64;
    let tasks = || problem.tasks.iter();
    let worth = most(&mut tasks().map(|t| t.weight));
    largest += 4.0 * worth;
    largest += 4.0 * most(&mut tasks().map(|t| t.move_cost)) * objective.task_move_weight as f64;
    largest += 4.0 * most(&mut objective.move_costs.cost.iter().copied()) * objective.node_move_weight as f64;
    largest += 4.0 * most(&mut problem.nodes.iter().map(|n| n.price)) * objective.price_weight as f64;
    let parts: f64 = objective.mix.iter().map(|item| item.parts as f64 * 64_000.0).sum();
    largest += 4.0 * parts * objective.fragmentation_weight as f64;
    let mut point_shift = 0;
    while largest / f64::from(1u32 << point_shift.min(31)) / f64::from(1u32 << (point_shift.max(31) - 31)) > POINTS_MAX
    {
        point_shift += 1;
    }
    (point_shift, Weights { load, balance, variance: steepest(problem, shift), worth })
}

/// Most quanta by which a node exceeds its capacity at the start. Shape: lanes.
fn start_excess(capacity: &[i32], used: &[i64], lanes: usize) -> Vec<i64> {
    let mut most = vec![0; lanes];
    for (slot, (used, capacity)) in used.iter().zip(capacity).enumerate() {
        most[slot % lanes] = most[slot % lanes].max(used - i64::from(*capacity));
    }
    most
}

/// Points per quantum above capacity: more than a task is worth and than a quantum weighs in any other term, for repair comes
/// first; as far as the excess of the start, together with all else, leaves room for. Shape: lanes.
fn over_weights(weights: &Weights, excess: &[i64], width: usize, point_shift: u32) -> Vec<i64> {
    let load = weights.load.iter().map(|w| *w as f64).fold(1.0, f64::max);
    let wanted = (load.max(weights.variance) * 1000.0).max(weights.worth * 2.0) / f64::from(point_shift).exp2();
    let weight = |r: usize| {
        let room = POINTS_MAX / (excess[r].max(1) as f64 * 4.0 * width as f64);
        if r < width { wanted.clamp(1.0, room.max(1.0)) as i64 } else { 0 }
    };
    (0..excess.len()).map(weight).collect()
}

/// Points between move classes, weight included.
fn pair_table(problem: &Problem) -> Vec<i128> {
    let objective = &problem.objective;
    if objective.move_costs.class_count == 0 {
        return vec![0];
    }
    objective.move_costs.cost.iter().map(|cost| i128::from(*cost) * i128::from(objective.node_move_weight)).collect()
}

/// Task classes (per task, then per mix item), node classes, and which devices a task class may use on a node class.
fn eligibility(problem: &Problem) -> (Vec<u32>, Vec<u32>, Vec<u64>) {
    let mut node_classes = HashMap::new();
    let mut sample_nodes = Vec::new();
    let node_class: Vec<u32> = (problem.node_ids())
        .map(|node| {
            let spec = &problem.nodes[node.index()];
            let key = (&spec.labels, &spec.taints, spec.cordoned, &spec.devices);
            *node_classes.entry(key).or_insert_with(|| {
                sample_nodes.push(node);
                sample_nodes.len() as u32 - 1
            })
        })
        .collect();
    // Class 0 wants nothing and is let in everywhere: its row holds each node's devices.
    let mut task_classes: HashMap<Option<TaskKey<'_>>, u32> = HashMap::from([(None, 0)]);
    let all = |node: &NodeId| match problem.nodes[node.index()].devices.len() {
        64 => u64::MAX,
        count => (1 << count) - 1,
    };
    let mut allow: Vec<u64> = sample_nodes.iter().map(all).collect();
    // What is asked of memory matters only by the sizes of devices that suffice.
    let mut sizes: Vec<i64> = problem.nodes.iter().flat_map(|node| &node.devices).map(|device| device.memory).collect();
    sizes.sort_unstable();
    sizes.dedup();
    fn request<'a>(device: &'a DeviceRequest, sizes: &[i64]) -> (u32, &'a [u32], u32, usize) {
        (device.kind, &device.models, device.count, sizes.partition_point(|size| *size < device.memory))
    }
    let mut class_row = Vec::with_capacity(problem.tasks.len() + problem.objective.mix.len());
    for task in problem.task_ids() {
        let spec = &problem.tasks[task.index()];
        let key = Some((
            &spec.selector,
            spec.tolerations.as_slice(),
            spec.device.as_ref().map(|device| request(device, &sizes)),
        ));
        let next = task_classes.len() as u32;
        let class = *task_classes.entry(key).or_insert(next);
        if class == next {
            let may_enter = |node: &NodeId| newcomer_mask(problem, task, *node);
            allow.extend(sample_nodes.iter().map(may_enter));
        }
        class_row.push(class);
    }
    let mut next = task_classes.len() as u32;
    for item in &problem.objective.mix {
        allow.extend(sample_nodes.iter().map(|node| item.device.eligible(&problem.nodes[node.index()])));
        class_row.push(next);
        next += 1;
    }
    class_row.push(next - 1);
    (class_row, node_class, allow)
}

/// Devices a task may use on a node it does not come from; all bits when it wants none, 0 when it may not enter.
fn newcomer_mask(problem: &Problem, task: TaskId, node: NodeId) -> u64 {
    match &problem.tasks[task.index()].device {
        _ if newcomer_forbidden(problem, task, node).is_some() => 0,
        Some(request) => request.eligible(&problem.nodes[node.index()]),
        None => u64::MAX,
    }
}

/// Shape: nodes × device_width.
fn lacking(problem: &Problem, memory: &Memory, width: usize) -> Vec<u32> {
    let row = |node: &crate::model::Node| {
        let own: Vec<u32> = node.devices.iter().map(|device| memory.lacking(device)).collect();
        own.into_iter().chain(std::iter::repeat(0)).take(width)
    };
    problem.nodes.iter().flat_map(row).collect()
}

fn pack_mix(
    problem: &Problem,
    shared: &mut Shared,
    class_row: &[u32],
    lanes: usize,
    memory: &Memory,
    up: &dyn Fn(i64, usize) -> i32,
) {
    // With simultaneous moves a node's device row also holds what has left, which the measure must not count.
    if problem.moves.simultaneous || problem.objective.fragmentation_weight == 0 {
        return;
    }
    shared.fragmentation_weight = problem.objective.fragmentation_weight;
    let class_count = class_row.last().map_or(1, |last| last + 1);
    let columns = shared.allow.len() as u32 / class_count;
    for (i, item) in problem.objective.mix.iter().enumerate() {
        shared.mix.push(MixTerm {
            parts: item.parts,
            class_row: class_row[problem.tasks.len() + i] * columns,
            device_count: item.device.count,
            device_word: memory.word(&item.device),
        });
        let row = item.requirement.iter().enumerate().map(|(r, amount)| up(*amount, r));
        shared.mix_requirement.extend(row.chain(std::iter::repeat(0)).take(lanes));
    }
}

/// Fills the groups and their rows; returns the number of presence cells.
fn pack_groups(problem: &Problem, groups: &mut Vec<PackedGroup>, rows: &mut Vec<PackedRow>) -> usize {
    let mut levels: Vec<std::collections::BTreeSet<u32>> = vec![Default::default(); problem.groups.len()];
    for (g, group) in problem.groups.iter().enumerate() {
        levels[g].extend(group.conflict.iter().filter(|level| level.0 > 0).map(|level| level.0));
        levels[g].extend(group.spread.iter().map(|spread| spread.level.0));
        levels[g].extend(group.gang.and_then(|gang| gang.within).map(|level| level.0));
        for dependency in &group.depends_on {
            levels[g].insert(dependency.level.0);
            levels[dependency.group.index()].insert(dependency.level.0);
        }
    }
    let mut cell = 0;
    let mut row_of = HashMap::new();
    for (g, group) in problem.groups.iter().enumerate() {
        let row = rows.len() as u32;
        for level in &levels[g] {
            row_of.insert((g as u32, *level), rows.len() as u32);
            let domain_count = problem.levels[*level as usize].domains.len() as u32;
            let spread = group.spread.iter().find(|spread| spread.level.0 == *level).map_or(0, |spread| spread.min);
            let conflict = group.conflict.iter().any(|l| l.0 == *level);
            let within = group.gang.is_some_and(|gang| gang.within.is_some_and(|within| within.0 == *level));
            rows.push(PackedRow { level: *level, cell, conflict, within, spread, ..PackedRow::default() });
            cell += domain_count;
        }
        let conflict = group.conflict.iter().any(|level| level.0 == 0);
        let (gang, least) = (group.gang.is_some(), group.gang.map_or(0, |gang| gang.least));
        groups.push(PackedGroup { row, row_count: levels[g].len() as u32, conflict, gang, least });
    }
    for (g, group) in problem.groups.iter().enumerate() {
        for dependency in &group.depends_on {
            let mine = row_of[&(g as u32, dependency.level.0)];
            let other = row_of[&(dependency.group.0, dependency.level.0)];
            rows[mine as usize].needs.push(other);
            rows[other as usize].needed_by.push(mine);
        }
    }
    cell as usize
}
