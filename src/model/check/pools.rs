//! What do regions, kinds, egress, burst and spot mean? Each becomes a rule or cost that the problem has anyway, exactly, so that
//! every engine, the bound and the verifier know it.
//!
//! | in the snapshot | in the problem |
//! |---|---|
//! | `regions` of a task, `region` of a pool | the nodes have it as the label [`REGION`], the task selects it |
//! | `kinds` of a pool | its nodes have a label per kind they can run ([`RUNS`] and the kind), every task selects its own |
//! | `price` of a pool | added to the price of each of its nodes |
//! | `egress` | classes of nodes are parted by pool, the cost from class to class is the sum of both costs |
//! | `spot_risk` | a resource of which a task requires ⌈weight · risk⌉, plenty on every node; the soft limit of spot nodes is 0, 1 point per unit above |
//! | `burst` | a resource of which every task requires 1, plenty on every node; the soft limit of burst nodes is 0, P points per unit above |
//!
//! # What burst guarantees
//!
//! Let C be what all other costs can be at most, in any placement that is never worse than the start ([`Ceiling`]), P = C + 1, and S
//! the least whole number with S · weight · g > P · g + C for every rigid or elastic task of positive weight (g = its least share).
//! Every weight is multiplied by S (`value_scale`). Then of all placements that are never worse than the start, the best one
//!
//! 1. has the fewest tasks in burst pools among those of the same or a higher value: one less there is worth P > C points;
//! 2. leaves no task waiting that could be added in a burst pool as things stand: it would bring more than P + C.
//!
//! Elastic and divisible tasks count by their share, so that 1. holds for differences of a whole share.

use super::*;

/// Prefix of the labels that pools give to their nodes.
const RESERVED: &str = "bayplan/";
/// The label with the region of a node.
const REGION: &str = "bayplan/region";
/// With a kind of task behind it: the label of nodes that can run it.
const RUNS: &str = "bayplan/runs-";
/// Largest value of all tasks together, so that no sum of a search overflows (as for goals).
const VALUE_MAX: i128 = 1 << 58;

impl Check<'_> {
    /// The pools, in the order of `names`; those of the snapshot come first.
    pub(super) fn pools(&mut self, names: &[String]) -> Vec<Pool> {
        let specs = &self.snapshot.pools;
        let known = self.unique("pools", specs.iter().map(|spec| spec.name.as_str()), COUNT_MAX);
        for (i, spec) in self.snapshot.nodes.iter().enumerate() {
            if let Some(pool) = spec.pool.as_deref().filter(|pool| !specs.is_empty() && !known.contains_key(pool)) {
                self.unknown("pool", pool, &known, || format!("nodes[{i}] {}, pool", spec.name));
            }
        }
        for (i, spec) in specs.iter().enumerate() {
            let place = || format!("pools[{i}] {}, egress", spec.name);
            for to in spec.egress.keys().filter(|to| !known.contains_key(to.as_str())) {
                self.unknown("pool", to, &known, place);
            }
            self.not_empty(spec.region.as_deref(), "region", || format!("pools[{i}] {}", spec.name));
        }
        let first = |name: &String| specs.iter().enumerate().find(|(_, spec)| spec.name == *name);
        let mut pool = |name: &String| match first(name) {
            None => Pool { name: name.clone(), region: None, kinds: Vec::new(), burst: false, spot_risk: Share::ZERO },
            Some((i, spec)) => Pool {
                name: name.clone(),
                region: spec.region.clone(),
                kinds: spec.kinds.clone(),
                burst: spec.burst,
                spot_risk: self.risk(i, spec),
            },
        };
        names.iter().map(&mut pool).collect()
    }

    fn risk(&mut self, i: usize, spec: &PoolSpec) -> Share {
        let Some(text) = &spec.spot_risk else { return Share::ZERO };
        Share::parse(text).unwrap_or_else(|| {
            let place = format!("pools[{i}] {}, spot_risk", spec.name);
            self.faults.add("P301", place, format!("{text:?} is no share"), "write a fraction such as \"1/10\"");
            Share::ZERO
        })
    }

    /// Regions, kinds, prices and egress. What is faulty is left out: the problem is dropped then.
    pub(super) fn pool_rules(&mut self, problem: &mut Problem) {
        self.entry_rules(problem);
        for (i, spec) in self.snapshot.pools.iter().enumerate() {
            let price = self.amount(spec.price, || format!("pools[{i}] {}, price", spec.name));
            let nodes = problem.nodes.iter_mut().filter(|node| node.pool == Some(i as u32));
            for node in nodes {
                node.price = self.amount(node.price + price, || format!("node {}, price with its pool's", node.name));
            }
        }
        if self.snapshot.pools.iter().any(|spec| !spec.egress.is_empty()) {
            self.egress(problem);
        }
    }

    fn entry_rules(&mut self, problem: &mut Problem) {
        let labels = self.snapshot.nodes.iter().flat_map(|node| node.labels.keys().map(|key| (&node.name, key)));
        let selectors = self.snapshot.tasks.iter().flat_map(|task| task.selector.keys().map(|key| (&task.name, key)));
        let reserved: Vec<_> = labels.chain(selectors).filter(|(_, key)| key.starts_with(RESERVED)).collect();
        for (name, key) in reserved {
            let cause = format!("labels that begin with {RESERVED:?} say what a pool says");
            self.faults.add("P105", format!("{name}, {key}"), cause, "rename it, or use pools and regions");
        }
        let regions: HashMap<&str, usize> =
            self.snapshot.pools.iter().filter_map(|pool| pool.region.as_deref()).map(|region| (region, 0)).collect();
        for (i, spec) in self.snapshot.tasks.iter().enumerate() {
            for region in spec.regions.iter().filter(|region| !regions.contains_key(region.as_str())) {
                self.unknown("region", region, &regions, || format!("tasks[{i}] {}, regions", spec.name));
            }
        }
        let Problem { nodes, tasks, pools, .. } = problem;
        let has_kinds = pools.iter().any(|pool| !pool.kinds.is_empty());
        for node in nodes {
            let pool = node.pool.map(|pool| &pools[pool as usize]);
            if let Some(region) = pool.and_then(|pool| pool.region.clone()) {
                node.labels.insert(REGION.to_string(), region);
            }
            let kinds = pool.map_or(&[][..], |pool| &pool.kinds);
            for (word, kind) in TaskKind::WORDS {
                if has_kinds && (kinds.is_empty() || kinds.contains(&kind)) {
                    node.labels.insert(format!("{RUNS}{word}"), "yes".to_string());
                }
            }
        }
        for task in tasks {
            if !task.regions.is_empty() {
                task.selector.insert(REGION.to_string(), task.regions.clone());
            }
            if has_kinds {
                task.selector.insert(format!("{RUNS}{}", task.kind.word()), vec!["yes".to_string()]);
            }
        }
    }

    /// Parts the classes of nodes by pool.
    fn egress(&mut self, problem: &mut Problem) {
        let costs = &problem.objective.move_costs;
        let mut known: BTreeMap<(u32, Option<u32>), u32> = BTreeMap::new();
        let mut classes = Vec::new();
        for node in &mut problem.nodes {
            let class = (node.move_class, node.pool);
            node.move_class = *known.entry(class).or_insert_with(|| {
                classes.push(class);
                classes.len() as u32 - 1
            });
        }
        if classes.len() > MOVE_CLASS_COUNT_MAX {
            let cause =
                format!("{} move classes in pools, at most {MOVE_CLASS_COUNT_MAX} are supported", classes.len());
            self.faults.add("P402", "nodes", cause, "give nodes with the same costs the same move_class");
            return;
        }
        // By pool and pool. Shape: pools × pools.
        let count = problem.pools.len();
        let mut egress = vec![0; count * count];
        let at = |name: &str| problem.pools.iter().position(|pool| pool.name == name);
        for (i, spec) in self.snapshot.pools.iter().enumerate() {
            for (name, cost) in &spec.egress {
                let cost = self.amount(*cost, || format!("pools[{i}] {}, egress.{name}", spec.name));
                if let (Some(from), Some(to)) = (at(&spec.name), at(name)) {
                    egress[from * count + to] = cost;
                }
            }
        }
        let old = |from: u32, to: u32| match costs.class_count {
            0 => 0,
            width => costs.cost[from as usize * width + to as usize],
        };
        let mut cost = Vec::with_capacity(classes.len() * classes.len());
        for (from_class, from) in &classes {
            for (to_class, to) in &classes {
                let leaving = from.zip(*to).map_or(0, |(from, to)| egress[from as usize * count + to as usize]);
                cost.push(self.amount(old(*from_class, *to_class) + leaving, || "egress with move_costs".to_string()));
            }
        }
        problem.objective.move_costs = MoveCosts { class_count: classes.len(), cost };
    }

    /// Burst and spot, once every other cost is known.
    pub(super) fn pool_costs(&mut self, problem: &mut Problem) {
        if !self.faults.is_empty() {
            return;
        }
        let mut risks: Vec<Share> =
            problem.pools.iter().map(|pool| pool.spot_risk).filter(|risk| *risk > Share::ZERO).collect();
        risks.sort_unstable();
        risks.dedup();
        let has_burst = problem.pools.iter().any(|pool| pool.burst);
        let count = problem.resources.len() + risks.len() + usize::from(has_burst);
        if count > RESOURCE_COUNT_MAX {
            let cause = format!(
                "{count} resources, burst and each chance of vanishing counted, at most {RESOURCE_COUNT_MAX} are supported"
            );
            self.faults.add("P201", "pools", cause, "give spot pools the same spot_risk");
            return;
        }
        let one = i128::from(SHARE_ONE);
        for risk in risks {
            let at_risk = |task: &Task| (i128::from(task.weight) * i128::from(risk.parts()) + one - 1) / one;
            let required: Vec<i64> = problem.tasks.iter().map(|task| at_risk(task) as i64).collect();
            self.meter(problem, Meter::Spot(risk), 1, &required, |pool| pool.spot_risk == risk);
        }
        if !has_burst {
            return;
        }
        let ceiling = Ceiling::of(problem);
        let price = ceiling.points + 1;
        let Some(scale) = scale(problem, price, ceiling.points) else {
            let cause =
                format!("other costs can be up to {} points: too many beside the weights of the tasks", ceiling.points);
            self.faults.add("P404", "pools, burst", cause, "lower the weights of the costs, or drop burst");
            return;
        };
        problem.value_scale = scale;
        problem.tasks.iter_mut().for_each(|task| task.weight *= scale);
        self.meter(problem, Meter::Burst, price as i64, &vec![1; problem.tasks.len()], |pool| pool.burst);
    }

    /// Adds a resource that costs points where it is used in some pools, and nothing elsewhere.
    fn meter(
        &mut self,
        problem: &mut Problem,
        meter: Meter,
        weight: i64,
        required: &[i64],
        costs: impl Fn(&Pool) -> bool,
    ) {
        let total: i128 = required.iter().map(|amount| i128::from(*amount)).sum();
        if total > i128::from(AMOUNT_MAX) {
            let cause = format!("{total} points of weight are at risk, at most {AMOUNT_MAX} are supported");
            self.faults.add("P202", "pools, spot_risk", cause, "lower the weights of the tasks");
            return;
        }
        let (total, width) = (total as i64, problem.resources.len());
        let name = match meter {
            Meter::Burst => "(burst)".to_string(),
            Meter::Spot(risk) => format!("(spot {risk})"),
        };
        let limits = problem.node_ids().map(|node| if problem.pool(node).is_some_and(&costs) { 0 } else { total });
        let limits: Vec<i64> = limits.collect();
        let widened = |rows: &[i64], last: &dyn Fn(usize) -> i64, count: usize| -> Vec<i64> {
            (0..count).flat_map(|row| rows[row * width..][..width].iter().copied().chain([last(row)])).collect()
        };
        problem.soft_limit = widened(&problem.soft_limit, &|node| limits[node], problem.nodes.len());
        problem.allocatable = widened(&problem.allocatable, &|_| total, problem.nodes.len());
        problem.requirement = widened(&problem.requirement, &|task| required[task], problem.tasks.len());
        problem.objective.mix.iter_mut().for_each(|item| item.requirement.push(0));
        problem.resources.push(Resource {
            name,
            unit: String::new(),
            transient: false,
            load_weight: weight,
            variance_weight: 0,
            meter: Some(meter),
        });
    }
}

/// The least scale of weights that puts running any task above all costs; `None` where figures do not allow it.
fn scale(problem: &Problem, price: i128, points: i128) -> Option<i64> {
    let one = i128::from(SHARE_ONE);
    if price > i128::from(AMOUNT_MAX) {
        return None;
    }
    let mut scale = 1;
    for task in problem.tasks.iter().filter(|task| task.weight > 0) {
        let least = match task.sharing {
            Sharing::Elastic { min } => i128::from(min.parts()),
            Sharing::Rigid => one,
            Sharing::Divisible => continue,
        };
        let wanted = price * least + points * one;
        scale = scale.max(wanted / (i128::from(task.weight) * least) + 1);
    }
    let value: i128 = problem.tasks.iter().map(|task| i128::from(task.weight)).sum();
    (scale == 1 || value.checked_mul(scale)? <= VALUE_MAX).then(|| i64::try_from(scale).ok()).flatten()
}

/// What all costs together are at most, in whole points, whatever runs where: no placement that is never worse than the start has more on a
/// node than the larger of its capacity and what is there at the start.
struct Ceiling {
    points: i128,
}

impl Ceiling {
    fn of(problem: &Problem) -> Ceiling {
        let one = i128::from(SHARE_ONE);
        let objective = &problem.objective;
        let usage = Usage::of(problem, &problem.current);
        // Largest amount on a node, scaled.
        let most =
            |node: NodeId, r: usize| (i128::from(problem.allocatable(node)[r]) * one).max(usage.amounts(node)[r]);
        let mut scaled = 0i128;
        for (r, resource) in problem.resources.iter().enumerate() {
            let above = |node: NodeId| (most(node, r) - i128::from(problem.soft_limit(node)[r]) * one).max(0);
            let total = problem.node_ids().map(above).sum::<i128>();
            // Points at risk are those of each task at most once, wherever it runs.
            let required =
                || problem.task_ids().map(|task| i128::from(problem.requirement(task)[r])).sum::<i128>() * one;
            let total = if resource.meter.is_some() { total.min(required()) } else { total };
            scaled += i128::from(resource.load_weight) * total;
        }
        for node in problem.node_ids() {
            for term in &objective.balance {
                let [free, other] = [term.resource, term.other].map(|r| r.index());
                let over = (most(node, other) - i128::from(problem.allocatable(node)[other]) * one).max(0);
                let room = i128::from(problem.allocatable(node)[free]) * one;
                scaled += i128::from(term.weight) * (i128::from(term.target) * room + over);
            }
            for term in &objective.variance {
                let (r, capacity) = (term.resource.index(), problem.allocatable(node)[term.resource.index()]);
                // Convex: largest at one of the ends.
                scaled += term.points(capacity, 0).max(term.points(capacity, most(node, r))) * one;
            }
        }
        let mut points = (scaled + one - 1) / one;
        let devices: i128 =
            problem.nodes.iter().map(|node| node.devices.len() as i128 * i128::from(DEVICE_MILLI)).sum();
        let parts: i128 = objective.mix.iter().map(|item| i128::from(item.parts)).sum();
        points += i128::from(objective.fragmentation_weight) * parts * devices;
        let prices: i128 = problem.nodes.iter().map(|node| i128::from(node.price)).sum();
        points += i128::from(objective.price_weight) * prices;
        let pair = i128::from(objective.move_costs.cost.iter().copied().max().unwrap_or(0));
        let mut moved_in_group = vec![0i128; problem.groups.len()];
        for task in problem.task_ids().filter(|task| problem.current.spot(*task).is_placed()) {
            let spec = &problem.tasks[task.index()];
            let pieces = if spec.sharing == Sharing::Divisible { problem.nodes.len() as i128 } else { 1 };
            points += i128::from(objective.task_move_weight) * i128::from(spec.move_cost);
            points += i128::from(objective.node_move_weight) * pair * pieces;
            if let Some(group) = spec.group {
                moved_in_group[group.index()] += 1;
            }
        }
        points += i128::from(objective.group_move_weight) * moved_in_group.into_iter().max().unwrap_or(0);
        Ceiling { points }
    }
}
