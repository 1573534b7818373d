//! How many nodes are needed at least, or what must they cost? Counting what tasks require against what nodes hold.
//!
//! ```text
//! minimise    Σ_class price · y                      least ≤ y ≤ most      (least: nodes with a pinned task stay)
//! subject to  Σ_class limit_row · y ≥ demand_row     for every row
//! ```
//!
//! Nodes that only their name tells apart are one class. A row counts for the tasks that may run on some set of classes and nowhere else:
//!
//! * of each resource, the amounts; and for k = 1 … 4 how often a task is more than 1/(k + 1) of the largest node, which no node
//!   holds more than k times (dual feasible functions, Fekete and Schepers 2001, as for devices in `model/proof.rs`);
//! * of each kind of device, the same per device;
//! * one node at least; and as many as the largest group has members that exclude each other.
//!
//! Any prices of rows (≥ 0) make a valid bound by weak duality; the linear program's are good ones. Integers decide: the program's
//! answer is rounded, and what it is worth is worked out anew. Few classes with a price are searched through for the cheapest whole numbers
//! that meet every row (`whole.rs`), which proves more and says what to try first. Spread, dependency, gangs and transient capacity are
//! left out: rules only take away. Elastic tasks count with their least share, divisible ones that run with what they have, in sum: they
//! may be split as anybody likes.

use super::whole::{Covering, Whole};
use crate::control::Control;
use crate::exact::{self, Program};
use crate::model::{
    DEVICE_MILLI, DEVICE_ROW_COUNT, DeviceRequest, NodeId, Problem, SHARE_ONE, Sharing, TaskId, Toleration, Usage, gcd,
    newcomer_forbidden,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// More sets of classes than this are not told apart: first not by size, then not at all.
const MASK_MAX: usize = 48;
/// Largest number of classes of a linear program; above, rows are looked at one by one.
const CLASS_MAX: usize = 400;
/// Most classes with a price of which whole numbers are searched for.
const BOUGHT_MAX: usize = 64;
/// Bits of the denominator of prices of rows in that search.
const DENOMINATOR_BITS: u32 = 36;
/// Longest time for the linear program.
const TIME_MAX: Duration = Duration::from_secs(5);
/// Dual feasible functions per resource, the identity included.
const FUNCTION_COUNT: i64 = DEVICE_ROW_COUNT as i64;

/// Nodes that are alike.
struct Class {
    first: NodeId,
    price: i64,
    /// It has to be bought.
    on_offer: bool,
    least: i64,
    most: i64,
}

struct Row {
    demand: i128,
    /// By class.
    limit: Vec<i128>,
}

/// The program.
pub(super) struct Cover {
    classes: Vec<Class>,
    class_of: HashMap<NodeId, usize>,
    rows: Vec<Row>,
}

/// What a set of nodes must cost at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Least {
    /// So much, in the units of the prices.
    Cost(i128),
    /// All nodes together are not enough.
    NeverEnough,
}

impl Cover {
    /// What these tasks need of these nodes, each at its price; those without are there.
    pub fn new(problem: &Problem, nodes: &[NodeId], tasks: &[TaskId], price: &dyn Fn(NodeId) -> Option<i64>) -> Cover {
        let usage = Usage::of(problem, &problem.current);
        let held = Held { problem, usage: &usage };
        let (classes, class_of) = classes(&held, nodes, tasks, price);
        let mut cover = Cover { classes, class_of, rows: Vec::new() };
        let needs: Vec<Vec<i64>> = tasks.iter().map(|task| need(problem, *task)).collect();
        let masks = cover.masks(&held, tasks, &needs);
        for set in &masks.sets {
            let is_within: Vec<bool> =
                masks.sets.iter().map(|mask| mask.iter().zip(set).all(|(own, all)| own & !all == 0)).collect();
            let own: Vec<usize> = (0..tasks.len()).filter(|t| is_within[masks.of[*t]]).collect();
            cover.count(&held, tasks, &needs, &own, set);
        }
        cover
    }

    /// Adds a row of which each node has `limit`.
    pub fn require(&mut self, demand: i128, limit: impl Fn(NodeId) -> i128) {
        let limit = self.classes.iter().map(|class| limit(class.first)).collect();
        self.rows.push(Row { demand, limit });
    }

    /// For each task the set of classes that may hold it.
    fn masks(&self, held: &Held<'_>, tasks: &[TaskId], needs: &[Vec<i64>]) -> Masks {
        let by_rules = || self.masks_by(held, tasks, needs, false);
        let masks = self.masks_by(held, tasks, needs, true).or_else(by_rules);
        let all = vec![u64::MAX; self.classes.len().div_ceil(64)];
        masks.unwrap_or_else(|| Masks { sets: vec![all], of: vec![0; tasks.len()] })
    }

    /// `None` when there are too many sets.
    fn masks_by(&self, held: &Held<'_>, tasks: &[TaskId], needs: &[Vec<i64>], by_size: bool) -> Option<Masks> {
        let problem = held.problem;
        let limits: Vec<Vec<i64>> = self.classes.iter().map(|class| held.limit(class.first)).collect();
        let holds = |need: &[i64], c: usize| need.iter().zip(&limits[c]).all(|(own, most)| own <= most);
        // What no node of the classes is too small for needs no look at each.
        let least: Vec<i64> =
            (0..problem.resources.len()).map(|r| limits.iter().map(|l| l[r]).min().unwrap_or(0)).collect();
        let mut doors: HashMap<DoorKey<'_>, Vec<u64>> = HashMap::new();
        let mut known: HashMap<Vec<u64>, usize> = HashMap::new();
        let mut masks = Masks { sets: Vec::new(), of: Vec::with_capacity(tasks.len()) };
        for (task, need) in tasks.iter().zip(needs) {
            let spec = &problem.tasks[task.index()];
            let door = doors
                .entry(door(problem, *task))
                .or_insert_with(|| self.set(|c| newcomer_forbidden(problem, *task, self.classes[c].first).is_none()));
            // What can be split has no size.
            let is_small = !by_size
                || spec.sharing == Sharing::Divisible
                || need.iter().zip(&least).all(|(own, least)| own <= least);
            let mut mask = if is_small { door.clone() } else { self.set(|c| has(door, c) && holds(need, c)) };
            let homes: Vec<usize> = problem
                .current
                .spot(*task)
                .pieces()
                .iter()
                .filter_map(|p| self.class_of.get(&p.node))
                .copied()
                .collect();
            if spec.pinned {
                mask.fill(0);
            }
            // It may stay where it is, whatever the rules say to newcomers.
            homes.into_iter().for_each(|home| put(&mut mask, home));
            let next = masks.sets.len();
            let at = *known.entry(mask.clone()).or_insert(next);
            if at == next {
                if next == MASK_MAX {
                    return None;
                }
                masks.sets.push(mask);
            }
            masks.of.push(at);
        }
        Some(masks)
    }

    fn set(&self, admits: impl Fn(usize) -> bool) -> Vec<u64> {
        let mut set = vec![0; self.classes.len().div_ceil(64)];
        (0..self.classes.len()).filter(|c| admits(*c)).for_each(|c| put(&mut set, c));
        set
    }

    /// The rows of tasks that can be nowhere but in a set of classes.
    fn count(&mut self, held: &Held<'_>, tasks: &[TaskId], needs: &[Vec<i64>], own: &[usize], set: &[u64]) {
        let problem = held.problem;
        self.within(set, distinct_nodes(problem, own.iter().map(|t| tasks[*t])), |_| 1);
        for r in 0..problem.resources.len() {
            let limits: Vec<i64> = self.classes.iter().map(|class| held.limit(class.first)[r]).collect();
            let inside = limits.iter().enumerate().filter(|(c, _)| has(set, *c));
            let most = inside.map(|(_, most)| *most).max().unwrap_or(0);
            for k in 0..if most > 0 { FUNCTION_COUNT } else { 0 } {
                let counts = |t: &&usize| k == 0 || problem.tasks[tasks[**t].index()].sharing != Sharing::Divisible;
                let demand = own.iter().filter(counts).map(|t| part(k, needs[*t][r], most)).sum();
                self.within(set, demand, |c| part(k, limits[c], most));
            }
        }
        for kind in 0..problem.device_kinds.len() as u32 {
            let requests: Vec<&DeviceRequest> = (own.iter().map(|t| tasks[*t]))
                .filter(|task| !has_other_devices(problem, *task))
                .filter_map(|task| problem.tasks[task.index()].device.as_ref())
                .filter(|request| request.kind == kind)
                .collect();
            for k in 0..FUNCTION_COUNT {
                let own = |milli: u32| part(k, i64::from(milli), i64::from(DEVICE_MILLI));
                let demand = requests.iter().map(|request| i128::from(request.count) * own(request.milli)).sum();
                let limits: Vec<i128> = self.classes.iter().map(|class| held.device(class.first, kind, k)).collect();
                self.within(set, demand, |c| limits[c]);
            }
            let memory: Vec<Vec<i64>> = self.classes.iter().map(|class| held.memory(class.first, kind)).collect();
            let most = memory.iter().flatten().copied().max().unwrap_or(0);
            for k in 0..if most > 0 { FUNCTION_COUNT } else { 0 } {
                let own = |request: &&DeviceRequest| i128::from(request.count) * part(k, request.memory, most);
                let demand = requests.iter().map(own).sum();
                self.within(set, demand, |c| memory[c].iter().map(|own| part(k, *own, most)).sum());
            }
        }
    }

    fn within(&mut self, set: &[u64], demand: i128, limit: impl Fn(usize) -> i128) {
        if demand > 0 {
            let limit = (0..self.classes.len()).map(|c| if has(set, c) { limit(c) } else { 0 }).collect();
            self.rows.push(Row { demand, limit });
        }
    }

    /// More nodes like this one could be had.
    pub fn extend(&mut self, node: NodeId, count: i64) {
        if let Some(class) = self.class_of.get(&node) {
            self.classes[*class].most += count;
        }
    }

    /// The best bound found.
    pub fn least(&self, control: &Control) -> Least {
        self.cheapest(control).0
    }

    /// The best bound found, and the numbers of nodes that meet every row for that, or for as little as was found: by the first node of
    /// each class with a price.
    pub fn cheapest(&self, control: &Control) -> (Least, Option<Vec<(NodeId, i64)>>) {
        let mut best = self.worth(&[], 1).unwrap_or(0);
        for row in &self.rows {
            let Some((price, limit)) = self.critical(row) else { return (Least::NeverEnough, None) };
            best = best.max(self.worth(&[(row, price)], limit).unwrap_or(0));
        }
        let mut prices = (vec![0; self.rows.len()], 1);
        if self.classes.len() <= CLASS_MAX
            && !self.rows.is_empty()
            && let Some(solved) = self.solved(&control.within(TIME_MAX))
        {
            // As solved, and a little less, so that no class is worth more than its price: that counts where there are very many of it.
            let (own, denominator) = solved;
            for prices_of_rows in [self.lowered(&own, denominator), own] {
                let priced: Vec<(&Row, i128)> =
                    self.rows.iter().zip(&prices_of_rows).filter(|(_, p)| **p > 0).map(|(row, p)| (row, *p)).collect();
                if let Some(worth) = self.worth(&priced, denominator).filter(|worth| *worth >= best) {
                    best = worth;
                    prices = (prices_of_rows, denominator);
                }
            }
        }
        // A sum of prices is a multiple of what they have in common.
        let common = self.classes.iter().fold(0, |common, class| gcd(common, class.price));
        let common = i128::from(common.max(1));
        best = -(-best).div_euclid(common) * common;
        let Some((fixed, bought, whole)) = self.whole(&prices.0, prices.1, control) else {
            return (Least::Cost(best), None);
        };
        if whole.is_least {
            best = best.max(fixed + whole.cost);
        }
        let counts =
            bought.iter().zip(&whole.counts).map(|(c, count)| (self.classes[*c].first, self.classes[*c].least + count));
        (Least::Cost(best), Some(counts.collect()))
    }

    /// True when counting does not tell two nodes apart.
    pub fn is_alike(&self, one: NodeId, other: NodeId) -> bool {
        self.class_of.get(&one).is_some_and(|class| self.class_of.get(&other) == Some(class))
    }

    /// True when these numbers of nodes, and all that are there, meet every row.
    pub fn admits(&self, counts: &[(NodeId, i64)]) -> bool {
        let mut of: Vec<i64> = self.classes.iter().map(|class| if class.on_offer { 0 } else { class.most }).collect();
        counts
            .iter()
            .filter_map(|(node, count)| Some((self.class_of.get(node)?, count)))
            .for_each(|(c, n)| of[*c] += n);
        self.rows.iter().all(|row| {
            let have: i128 = of.iter().zip(&row.limit).map(|(count, limit)| i128::from(*count) * limit).sum();
            have >= row.demand
        })
    }

    /// The price of what must stay, the classes with a price, and how many more of each meet every row, the others all being there.
    fn whole(&self, prices: &[i128], denominator: i128, control: &Control) -> Option<(i128, Vec<usize>, Whole)> {
        let bought: Vec<usize> = (0..self.classes.len()).filter(|c| self.classes[*c].price > 0).collect();
        if bought.is_empty() || bought.len() > BOUGHT_MAX {
            return None;
        }
        let there = |class: &Class| i128::from(if class.price > 0 { class.least } else { class.most });
        let left = |row: &Row| {
            row.demand - self.classes.iter().zip(&row.limit).map(|(class, limit)| there(class) * limit).sum::<i128>()
        };
        // Finer prices would leave no room for sums.
        let shift = (128 - denominator.leading_zeros()).saturating_sub(DENOMINATOR_BITS);
        let rows: Vec<(&Row, i128, i128)> = self
            .rows
            .iter()
            .zip(prices)
            .map(|(row, p)| (row, left(row), p >> shift))
            .filter(|(_, left, _)| *left > 0)
            .collect();
        let covering = Covering {
            price: bought.iter().map(|c| self.classes[*c].price).collect(),
            most: bought.iter().map(|c| self.classes[*c].most - self.classes[*c].least).collect(),
            limit: bought.iter().map(|c| rows.iter().map(|(row, ..)| row.limit[*c]).collect()).collect(),
            demand: rows.iter().map(|(_, left, _)| *left).collect(),
            weight: rows.iter().map(|(.., weight)| *weight).collect(),
            denominator: (denominator >> shift).max(1),
        };
        let fixed = self.classes.iter().map(|class| i128::from(class.price) * i128::from(class.least)).sum();
        Some((fixed, bought, covering.solve(control)?))
    }

    /// Prices of rows so much lower that no class with a price is worth more than that.
    fn lowered(&self, prices: &[i128], denominator: i128) -> Vec<i128> {
        let worth = |c: usize| -> f64 {
            let rows = self.rows.iter().zip(prices).filter(|(_, price)| **price > 0);
            rows.map(|(row, price)| row.limit[c] as f64 * *price as f64).sum()
        };
        let dear = (0..self.classes.len()).filter(|c| self.classes[*c].price > 0);
        let part = dear.map(|c| self.classes[c].price as f64 * denominator as f64 / worth(c)).fold(1.0, f64::min);
        // A little more is taken than f64 may have got wrong.
        let part = if part < 1.0 { part * (1.0 - 1e-9) } else { 1.0 - 1e-12 };
        prices.iter().map(|price| (*price as f64 * part) as i128).collect()
    }

    /// Price and limit of the class at which a row alone is met, cheapest classes first; `None` when it never is.
    fn critical(&self, row: &Row) -> Option<(i128, i128)> {
        let of = |c: usize| (i128::from(self.classes[c].price), row.limit[c]);
        let mut missing = row.demand;
        missing -=
            self.classes.iter().zip(&row.limit).map(|(class, limit)| i128::from(class.least) * limit).sum::<i128>();
        let mut order: Vec<usize> = (0..self.classes.len()).filter(|c| row.limit[*c] > 0).collect();
        order.sort_by(|a, b| (of(*a).0 * of(*b).1).cmp(&(of(*b).0 * of(*a).1)).then(a.cmp(b)));
        let mut last = (0, 1);
        for c in order {
            if missing <= 0 {
                break;
            }
            missing -= row.limit[c] * i128::from(self.classes[c].most - self.classes[c].least);
            last = of(c);
        }
        (missing <= 0).then_some(last)
    }

    /// What prices of rows, in 1/denominator, prove: rounded up. `None` when the sums do not fit.
    fn worth(&self, priced: &[(&Row, i128)], denominator: i128) -> Option<i128> {
        let mut sum = 0i128;
        for (row, price) in priced {
            sum = sum.checked_add(row.demand.checked_mul(*price)?)?;
        }
        for (c, class) in self.classes.iter().enumerate() {
            let mut left = i128::from(class.price).checked_mul(denominator)?;
            for (row, price) in priced {
                left = left.checked_sub(row.limit[c].checked_mul(*price)?)?;
            }
            let count = if left >= 0 { class.least } else { class.most };
            sum = sum.checked_add(left.checked_mul(i128::from(count))?)?;
        }
        Some(-(-sum).div_euclid(denominator))
    }

    /// Prices of rows from the linear program's dual, as whole numbers over a denominator.
    fn solved(&self, control: &Control) -> Option<(Vec<i128>, i128)> {
        let mut program = Program::default();
        program.columns.extend(self.rows.iter().map(|row| (-(row.demand as f64), 0.0, f64::INFINITY)));
        for class in &self.classes {
            program.columns.push((-(class.least as f64), 0.0, f64::INFINITY));
            program.columns.push((class.most as f64, 0.0, f64::INFINITY));
        }
        for (c, class) in self.classes.iter().enumerate() {
            let at = self.rows.len() + 2 * c;
            let mut terms: Vec<(usize, f64)> =
                self.rows.iter().enumerate().map(|(r, row)| (r, row.limit[c] as f64)).collect();
            terms.extend([(at, 1.0), (at + 1, -1.0)]);
            program.rows.push((terms, class.price as f64));
        }
        let values = exact::least(&program, control)?;
        let most = values[..self.rows.len()].iter().copied().fold(0.0, f64::max);
        // As fine as 60 bits allow; a price of 0 everywhere needs none.
        let bits = if most > 0.0 { (60.0 - most.log2().ceil()).clamp(0.0, 62.0) as u32 } else { 0 };
        let denominator = 1i128 << bits;
        let prices = values[..self.rows.len()].iter().map(|value| (value.max(0.0) * denominator as f64) as i128);
        Some((prices.collect(), denominator))
    }
}

/// Sets of classes as bits, each once, and which of them each task has.
struct Masks {
    sets: Vec<Vec<u64>>,
    of: Vec<usize>,
}

/// What decides where a task may enter, whatever its size.
pub(super) type DoorKey<'a> = (&'a BTreeMap<String, Vec<String>>, &'a Vec<Toleration>, Option<&'a DeviceRequest>);

/// See [`DoorKey`].
pub(super) fn door(problem: &Problem, task: TaskId) -> DoorKey<'_> {
    let spec = &problem.tasks[task.index()];
    (&spec.selector, &spec.tolerations, spec.device.as_ref())
}

/// What nodes can hold, and do hold.
struct Held<'a> {
    problem: &'a Problem,
    usage: &'a Usage,
}

impl Held<'_> {
    /// Never worse: a node may stay as full as it is.
    fn limit(&self, node: NodeId) -> Vec<i64> {
        let one = i128::from(SHARE_ONE);
        let used = self.usage.amounts(node).iter().map(|used| (used + one - 1).div_euclid(one) as i64);
        self.problem.allocatable(node).iter().zip(used).map(|(capacity, used)| (*capacity).max(used)).collect()
    }

    /// Milli of each device, or what is held of it where that is more.
    fn milli(&self, node: NodeId) -> Vec<u32> {
        self.usage.devices(node).iter().map(|used| (*used).max(DEVICE_MILLI)).collect()
    }

    /// Memory of each device of a kind that counts it, likewise.
    fn memory(&self, node: NodeId, kind: u32) -> Vec<i64> {
        let devices = self.problem.nodes[node.index()].devices.iter().zip(self.usage.device_memory(node));
        let own = devices.filter(|(device, _)| device.kind == kind);
        own.map(|(device, used)| i128::from(device.memory).max(*used).min(i64::MAX.into()) as i64).collect()
    }

    fn device(&self, node: NodeId, kind: u32, k: i64) -> i128 {
        let devices = self.problem.nodes[node.index()].devices.iter().zip(self.milli(node));
        let own = devices.filter(|(device, _)| device.kind == kind);
        own.map(|(_, milli)| part(k, i64::from(milli), i64::from(DEVICE_MILLI))).sum()
    }
}

/// True when the devices that a task holds are not those it asks for: it may keep them.
pub(super) fn has_other_devices(problem: &Problem, task: TaskId) -> bool {
    let request = problem.tasks[task.index()].device.as_ref();
    problem.current.spot(task).pieces().iter().any(|piece| {
        let eligible = request.map_or(0, |request| request.eligible(&problem.nodes[piece.node.index()]));
        let count = request.map_or(0, |request| request.count);
        piece.devices & !eligible != 0 || piece.devices.count_ones() != count
    })
}

fn classes(
    held: &Held<'_>,
    nodes: &[NodeId],
    tasks: &[TaskId],
    price: &dyn Fn(NodeId) -> Option<i64>,
) -> (Vec<Class>, HashMap<NodeId, usize>) {
    let problem = held.problem;
    let mut is_kept = vec![false; problem.nodes.len()];
    for task in problem.task_ids().filter(|task| problem.tasks[task.index()].pinned) {
        problem.current.spot(task).pieces().iter().for_each(|piece| is_kept[piece.node.index()] = true);
    }
    // A label that nobody asks for tells nothing apart.
    let asked: BTreeSet<&String> = tasks.iter().flat_map(|task| problem.tasks[task.index()].selector.keys()).collect();
    let mut classes: Vec<Class> = Vec::new();
    let (mut known, mut class_of) = (HashMap::new(), HashMap::new());
    for node in nodes {
        let spec = &problem.nodes[node.index()];
        let kept = is_kept[node.index()];
        let price = price(*node);
        let labels: Vec<_> = spec.labels.iter().filter(|(key, _)| asked.contains(key)).collect();
        let key = (
            (held.limit(*node), held.milli(*node), held.usage.device_memory(*node), &spec.devices, kept),
            (labels, &spec.taints, spec.cordoned, price),
        );
        let class = *known.entry(key).or_insert(classes.len());
        if class == classes.len() {
            let on_offer = price.is_some();
            classes.push(Class { first: *node, price: price.unwrap_or(0), on_offer, least: 0, most: 0 });
        }
        classes[class].most += 1;
        classes[class].least += i64::from(kept);
        class_of.insert(*node, class);
    }
    (classes, class_of)
}

/// Least amounts of a task that runs; a divisible one needs what it has. Shape: resource_count.
pub(super) fn need(problem: &Problem, task: TaskId) -> Vec<i64> {
    let now = problem.current.spot(task);
    let parts = match problem.tasks[task.index()].sharing {
        Sharing::Rigid => i128::from(SHARE_ONE),
        // Never worse: one that has less than its least share may go on so.
        Sharing::Elastic { min } if now.is_placed() => i128::from(min.parts()).min(i128::from(now.total_parts())),
        Sharing::Elastic { min } => i128::from(min.parts()),
        Sharing::Divisible => i128::from(now.total_parts()),
    };
    let own = problem.requirement(task).iter();
    own.map(|amount| (i128::from(*amount) * parts).div_euclid(i128::from(SHARE_ONE)) as i64).collect()
}

/// The same to the last part, scaled.
pub(super) fn least(problem: &Problem, task: TaskId) -> Vec<i128> {
    let parts = i128::from(problem.least_parts(task, 0));
    problem.requirement(task).iter().map(|amount| i128::from(*amount) * parts).collect()
}

/// Nodes that the largest group among these tasks needs because its members exclude each other, at least 1. Those that share a
/// domain at the start may go on so.
fn distinct_nodes(problem: &Problem, tasks: impl Iterator<Item = TaskId>) -> i128 {
    let mut domains: Vec<BTreeSet<u32>> = vec![BTreeSet::new(); problem.groups.len()];
    let mut waiting = vec![0; problem.groups.len()];
    for task in tasks {
        let Some(group) = problem.tasks[task.index()].group else { continue };
        let Some(level) = problem.groups[group.index()].conflict.first() else { continue };
        match problem.current.spot(task).node() {
            Some(node) => _ = domains[group.index()].insert(problem.domain(node, *level).0),
            None => waiting[group.index()] += 1,
        }
    }
    let needs = domains.iter().zip(&waiting).map(|(domains, waiting)| domains.len() as i128 + waiting);
    needs.max().unwrap_or(0).max(1)
}

/// Function `k` of an amount, where the largest node has `most`.
fn part(k: i64, amount: i64, most: i64) -> i128 {
    match k {
        _ if amount <= 0 => 0,
        0 => i128::from(amount),
        _ => (i128::from(k + 1) * i128::from(amount) + i128::from(most) - 1).div_euclid(i128::from(most)) - 1,
    }
}

fn has(set: &[u64], class: usize) -> bool {
    set[class / 64] >> (class % 64) & 1 == 1
}

fn put(set: &mut [u64], class: usize) {
    set[class / 64] |= 1 << (class % 64);
}
