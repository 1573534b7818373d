//! What is a run to achieve, when that is not the snapshot's own objective? Presets of points that follow from the cluster.
//!
//! A goal replaces every cost of the objective but those of burst and spot pools; rules, values of tasks and the cost of moving one
//! task relative to another (`move_cost`) stay as the snapshot says. A plan carries its goal, so that whoever checks it counts in the
//! same points.
//!
//! # Balance
//!
//! ```text
//! maximise  scale · Σ_task weight · share  −  2^40 · Σ_r (variance_r + ½ hot_r)  −  price · Σ_{task moved} move_cost
//! ```
//!
//! * `variance_r` is the mean square of (utilisation − target) over the nodes that have any of r (`variance.rs`), the figure
//!   that balancers are compared by; each gets the weight 2^40 / (number of such nodes).
//! * `hot_r` is the mean of what nodes are above the target and a hundredth, so that few moves go first to the fullest nodes:
//!   with 1,060 moves among 10,000 tasks the fullest then has 63.3 % of its cpu instead of 65.0 % (target 61.8 %), at less variance.
//!   It is the load term, above soft limits that the goal sets.
//! * The price is a [`MOVE_PARTS`]th of what an average task adds to a node at its target: with u its utilisation of an average
//!   node, Σ_r (weight_r · mean of u_r²). So a move that only polishes is not made; evenness comes first otherwise.
//! * The scale puts running a task above evenness: one point of weight is worth the variance of a node that is off by its
//!   whole capacity in every resource.
//!
//! # Utilisation, consolidate, defragment, place
//!
//! ```text
//! maximise  scale · Σ_task weight · share  −  Σ_{node in use} price  −  Σ_{task moved} move_cost
//! ```
//!
//! | goal | price of a node in use | cost of a move |
//! |---|---|---|
//! | utilization | 0 | as in the snapshot |
//! | consolidate | [`NODE_MOVES`] moves of mean cost: fewest nodes in use | as in the snapshot |
//! | defragment | the same, times its number of devices; 0 without devices: most whole device nodes free | as in the snapshot |
//! | place | 0; a weight of 0 counts as 1 | 1 each: what waits starts, with fewest moves |
//!
//! The scale exceeds all prices and move costs together as far as figures allow, so that tasks come first.
//!
//! # Burst and spot pools
//!
//! A point of weight at risk on spot nodes costs as much as `move_cost` 1, and counts for the scale. A task in a burst pool costs more than
//! all other costs together, and running it there is worth more than both, as far as figures allow: so burst is used only when the other
//! pools are full, as without a goal (`check/pools.rs`). Under balance all weights of variance are so much smaller that such a price
//! fits, and nodes above their capacity are not reckoned with.

use super::{AMOUNT_MAX, Meter, Node, Objective, Problem, Sharing, Task};

/// What to plan for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Goal {
    /// The same utilisation on every node, for every resource, with few moves.
    Balance,
    /// Most weighted tasks running; nothing else but the cost of moves counts.
    Utilization,
    /// Fewest nodes in use.
    Consolidate,
    /// Most nodes with devices wholly free, those with many devices first.
    Defragment,
    /// What waits starts, with fewest moves.
    Place,
}

/// A node that becomes free is worth so many moves: as many tasks as a large node has.
pub const NODE_MOVES: i64 = 100;
/// A move costs this part of the points that an average task adds to a node at its target. On 10,000 tasks and 500 nodes it makes
/// 2,400 moves and a standard deviation of 0.02 %; at 9,000 times the price it is 1,130 moves and 0.5 %.
const MOVE_PARTS: i128 = 100_000;
/// Utilisation above the target by this part of a node is hot.
const MARGIN_PARTS: i128 = 100;
/// With burst pools, the weight of a resource's variance over all nodes is this part of what figures allow, shared by the resources; at
/// least a [`BURST_LEAST`]th of them.
const BURST_PARTS: i64 = 12;
/// See [`BURST_PARTS`].
const BURST_LEAST: i64 = 1 << 12;
/// A least share below one in so many is taken for that.
const PARTS_MAX: i128 = 1024;
/// Largest value of all tasks together, so that no sum of a search overflows.
const VALUE_MAX: i128 = 1 << 58;

impl Goal {
    /// All goals with the words for them, in files and on the command line.
    pub const WORDS: [(&'static str, Goal); 5] = [
        ("balance", Goal::Balance),
        ("utilization", Goal::Utilization),
        ("consolidate", Goal::Consolidate),
        ("defragment", Goal::Defragment),
        ("place", Goal::Place),
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        Goal::WORDS.iter().find(|(_, goal)| *goal == self).expect("every goal has a word").0
    }

    /// The problem of a snapshot with the points of this goal. Its fingerprint stays that of the snapshot.
    pub fn apply(self, problem: &Problem) -> Problem {
        let mut problem = problem.clone();
        problem.goal = Some(self);
        for task in &mut problem.tasks {
            task.weight /= problem.value_scale;
        }
        match self {
            Goal::Balance => balance(&mut problem),
            Goal::Utilization => tasks_first(&mut problem, |_| 0),
            Goal::Consolidate => tasks_first(&mut problem, |_| 1),
            Goal::Defragment => tasks_first(&mut problem, |node| node.devices.len() as i64),
            Goal::Place => {
                for task in &mut problem.tasks {
                    task.weight = task.weight.max(1);
                    task.move_cost = 1;
                }
                tasks_first(&mut problem, |_| 0);
            }
        }
        problem
    }
}

/// Tasks count before nodes in use, at this many times the worth of [`NODE_MOVES`] moves, and both before moves.
fn tasks_first(problem: &mut Problem, nodes_worth: impl Fn(&Node) -> i64) {
    let count = problem.tasks.len().max(1) as i128;
    let moves: i128 = problem.tasks.iter().map(|task| i128::from(task.move_cost)).sum();
    let price = ((moves * i128::from(NODE_MOVES) / count).clamp(1, i128::from(AMOUNT_MAX / 64))) as i64;
    for node in &mut problem.nodes {
        node.price = nodes_worth(node).min(64) * price;
    }
    let prices: i128 = problem.nodes.iter().map(|node| i128::from(node.price)).sum();
    let others = moves + prices + at_risk(problem);
    scale_values(problem, others, others + 1, AMOUNT_MAX);
    for resource in problem.resources.iter_mut().filter(|resource| resource.meter.is_none()) {
        (resource.load_weight, resource.variance_weight) = (0, 0);
    }
    price_spot(problem, 1);
    let objective = std::mem::take(&mut problem.objective);
    problem.objective =
        Objective { task_move_weight: 1, price_weight: 1, move_costs: objective.move_costs, ..Objective::default() };
}

fn has_burst(problem: &Problem) -> bool {
    problem.resources.iter().any(|resource| resource.meter == Some(Meter::Burst))
}

/// Points of weight at risk, were every task on spot nodes of every kind.
fn at_risk(problem: &Problem) -> i128 {
    let is_spot = |r: &usize| matches!(problem.resources[*r].meter, Some(Meter::Spot(_)));
    let all = (0..problem.resources.len()).filter(is_spot);
    all.flat_map(|r| problem.task_ids().map(move |task| i128::from(problem.requirement(task)[r]))).sum()
}

fn price_spot(problem: &mut Problem, price: i64) {
    for resource in problem.resources.iter_mut().filter(|r| matches!(r.meter, Some(Meter::Spot(_)))) {
        resource.load_weight = price;
    }
}

/// Scales the weights so that running a task is worth more than all `others` cost together; with burst pools, also than being in one,
/// which costs `burst`. The scale is at most `most`.
fn scale_values(problem: &mut Problem, others: i128, burst: i128, most: i64) {
    let value = problem.tasks.iter().map(|task| i128::from(task.weight)).sum::<i128>().max(1);
    let parts = |task: &Task| match task.sharing {
        Sharing::Elastic { min } => (i128::from(super::SHARE_ONE) / i128::from(min.parts().max(1)) + 1).min(PARTS_MAX),
        Sharing::Rigid | Sharing::Divisible => 1,
    };
    let wanted = match has_burst(problem) {
        true => burst + others * problem.tasks.iter().map(parts).max().unwrap_or(1) + 1,
        false => others + 1,
    };
    let scale = wanted.min(VALUE_MAX / value).clamp(1, i128::from(most)) as i64;
    problem.value_scale = scale;
    problem.tasks.iter_mut().for_each(|task| task.weight *= scale);
    // Where figures leave no room for all of it, running a task still comes first.
    let price = burst.min(i128::from(scale / 2)).min(i128::from(AMOUNT_MAX)) as i64;
    for resource in problem.resources.iter_mut().filter(|resource| resource.meter == Some(Meter::Burst)) {
        resource.load_weight = price;
    }
}

fn balance(problem: &mut Problem) {
    let width = problem.resources.len();
    let value = problem.tasks.iter().map(|task| i128::from(task.weight)).sum::<i128>().max(1);
    let most = match has_burst(problem) {
        true => (AMOUNT_MAX.min((VALUE_MAX / value) as i64) / BURST_PARTS).max(AMOUNT_MAX / BURST_LEAST) / width as i64,
        false => AMOUNT_MAX,
    };
    let mut scale = 0;
    // Points for an average task, times the number of tasks.
    let mut points = 0i128;
    for r in 0..width {
        if problem.resources[r].meter.is_some() {
            continue;
        }
        let amounts = || problem.node_ids().map(|node| i128::from(problem.allocatable(node)[r]));
        let (total, count) = (amounts().sum::<i128>(), amounts().filter(|amount| *amount > 0).count() as i64);
        let weight = if count > 0 { most / count } else { 0 };
        if total > 0 {
            // Utilisation in 2^20ths of a node of mean capacity; a task larger than its node counts as large as it.
            let share = |task| {
                let required = i128::from(problem.requirement(task)[r]) * i128::from(count);
                ((required << 20) / total).min(1 << 20)
            };
            let squares: i128 = problem.task_ids().map(|task| share(task) * share(task)).sum();
            points += (squares * i128::from(weight)) >> 40;
        }
        problem.resources[r].load_weight = hot_limits(problem, r, weight);
        problem.resources[r].variance_weight = weight;
        scale += weight;
    }
    let count = problem.tasks.len().max(1) as i128;
    let move_weight = (points / (count * MOVE_PARTS)).clamp(1, i128::from(AMOUNT_MAX)) as i64;
    let moves: i128 = problem.tasks.iter().map(|task| i128::from(task.move_cost)).sum();
    let moved = i128::from(move_weight) * (moves + at_risk(problem));
    // Of every resource at most its weight for variance, and half of that for what is hot.
    let others = i128::from(most) * width as i128 * 3 / 2 + moved;
    let worth = if has_burst(problem) { others } else { i128::from(scale) - 1 };
    scale_values(problem, worth, others + 1, i64::MAX);
    price_spot(problem, move_weight);
    let objective = &mut problem.objective;
    objective.balance.clear();
    objective.task_move_weight = move_weight;
    objective.group_move_weight = 0;
    objective.node_move_weight = 0;
    objective.price_weight = 0;
    objective.fragmentation_weight = 0;
    objective.mix.clear();
    problem.objective.variance = super::variance::variances(problem);
}

/// Sets every node's soft limit for a resource where it is hot; gives the points per unit above it.
fn hot_limits(problem: &mut Problem, r: usize, weight: i64) -> i64 {
    let width = problem.resources.len();
    let amounts = || problem.allocatable.iter().skip(r).step_by(width).map(|amount| i128::from(*amount));
    let (total, count) = (amounts().sum::<i128>(), amounts().filter(|amount| *amount > 0).count() as i128);
    if total == 0 {
        return 0;
    }
    let required = problem.task_ids().map(|task| i128::from(problem.requirement(task)[r])).sum::<i128>();
    let (top, bottom) = (required.min(total) * MARGIN_PARTS + total, total * MARGIN_PARTS);
    let limits: Vec<i64> = amounts().map(|amount| (amount * top / bottom).min(amount) as i64).collect();
    for (node, limit) in limits.into_iter().enumerate() {
        problem.soft_limit[node * width + r] = limit;
    }
    // Half of the weight for a node of mean capacity that is above by all of it.
    (i128::from(weight) * count / (2 * total)) as i64
}
