//! What can a cluster look like? Random snapshots with every kind of rule, cost and start, well formed by construction.
//!
//! Figures are small, so that limits are met exactly and ties are common; now and then a resource or all weights are
//! multiplied by a large factor, so that 32 bits do not suffice. A start may be empty, fitting or careless (overfull,
//! rules broken): none of that is a fault of the input.

use super::{Rng, give_memory};
use bayplan::model::*;
use std::collections::BTreeMap;

/// How large: counts are drawn from 0 (1 for resources) to these.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub nodes_max: usize,
    pub tasks_max: usize,
    pub resources_max: usize,
}

impl Size {
    /// Small enough for brute force.
    pub const TINY: Size = Size { nodes_max: 4, tasks_max: 6, resources_max: 2 };
    /// Small enough for the exact solver, too large for brute force.
    pub const SMALL: Size = Size { nodes_max: 6, tasks_max: 12, resources_max: 3 };
    /// Several blocks of the bulk solver.
    pub const MEDIUM: Size = Size { nodes_max: 300, tasks_max: 400, resources_max: 4 };
}

/// Which kinds of things may occur.
#[derive(Debug, Clone, Copy)]
pub struct Kinds {
    pub devices: bool,
    pub elastic: bool,
    pub divisible: bool,
    /// Selectors, taints, cordons, pins, evictable tasks.
    pub entry_rules: bool,
    pub groups: bool,
    /// Load, balance, variance, moves, price, fragmentation.
    pub costs: bool,
    pub simultaneous: bool,
    pub move_limits: bool,
    /// Starts that break rules.
    pub broken_start: bool,
    pub large_figures: bool,
}

impl Kinds {
    pub const ALL: Kinds = Kinds {
        devices: true,
        elastic: true,
        divisible: true,
        entry_rules: true,
        groups: true,
        costs: true,
        simultaneous: true,
        move_limits: true,
        broken_start: true,
        large_figures: true,
    };
    /// What brute force can enumerate.
    pub const RIGID: Kinds = Kinds { elastic: false, divisible: false, ..Kinds::ALL };
    /// Tasks, nodes, capacity, nothing else.
    pub const PLAIN: Kinds = Kinds {
        devices: false,
        elastic: false,
        divisible: false,
        entry_rules: false,
        groups: false,
        costs: false,
        simultaneous: false,
        move_limits: false,
        broken_start: false,
        large_figures: false,
    };
}

/// Any placement at all: nothing is respected but that nodes exist and that no node is named twice.
pub fn random_placement(rng: &mut Rng, problem: &Problem) -> Placement {
    let mut placement = problem.current.clone();
    for task in problem.task_ids() {
        if problem.nodes.is_empty() || rng.chance(30) {
            continue;
        }
        let spec = &problem.tasks[task.index()];
        let piece_count = if spec.sharing == Sharing::Divisible { rng.below(4) } else { usize::from(rng.chance(80)) };
        let order = rng.order(problem.nodes.len());
        let pieces = order.into_iter().take(piece_count).map(|n| {
            let share = match spec.sharing {
                Sharing::Rigid => SHARE_ONE,
                Sharing::Elastic { .. } => rng.range(1, i64::from(SHARE_ONE)) as u32,
                Sharing::Divisible => rng.range(1, i64::from(SHARE_ONE) / 2) as u32,
            };
            let devices = if spec.device.is_some() { rng.next() & 0b111 } else { 0 };
            Piece { node: NodeId::new(n), share: Share::from_parts(share).unwrap(), devices }
        });
        placement.set(task, Spot::from_pieces(pieces.collect()));
    }
    placement
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// Every task waits.
    Waiting,
    /// Nodes and devices hold what is on them; some tasks wait.
    Fitting,
    /// Tasks are anywhere.
    Careless,
}

/// A random cluster.
pub fn random_snapshot(rng: &mut Rng, size: Size, kinds: Kinds) -> Snapshot {
    let mut build = Build { rng, kinds, snapshot: Snapshot::default(), scale: Vec::new(), weight_scale: 1, roomy: 0 };
    build.quantities(size);
    build.nodes(size);
    build.groups();
    build.tasks(size);
    if build.kinds.costs {
        build.objective();
    }
    if build.kinds.simultaneous && build.rng.chance(40) {
        build.snapshot.moves.mode = MoveMode::Simultaneous;
    }
    if build.kinds.move_limits {
        build.snapshot.moves.max_moves = build.maybe(25, 0, 4);
        build.snapshot.moves.max_per_node = build.maybe(25, 1, 3);
    }
    build.start();
    let mut own = build.rng.fork();
    give_memory(&mut build.snapshot, &mut own, kinds);
    if build.kinds.costs {
        build.variance();
    }
    build.tenants();
    if build.kinds.costs && build.kinds.entry_rules && build.rng.chance(35) {
        build.pools();
    }
    build.snapshot
}

struct Build<'a> {
    rng: &'a mut Rng,
    kinds: Kinds,
    snapshot: Snapshot,
    /// Factor of every amount of a resource.
    scale: Vec<i64>,
    /// Factor of every weight and cost.
    weight_scale: i64,
    /// Percentage of the tasks that fits, roughly.
    roomy: i64,
}

const KINDS: [&str; 2] = ["gpu", "fpga"];
const MODELS: [&str; 3] = ["", "a", "b"];
const LABELS: [(&str, [&str; 2]); 2] = [("arch", ["arm", "x86"]), ("disk", ["ssd", "hdd"])];
const TAINTS: [(&str, [&str; 2]); 2] = [("gpu", ["", "only"]), ("drain", ["now", "soon"])];
const CLASSES: [&str; 3] = ["", "near", "far"];

impl Build<'_> {
    fn maybe(&mut self, percent: usize, low: i64, high: i64) -> Option<u32> {
        self.rng.chance(percent).then(|| self.rng.range(low, high) as u32)
    }

    fn quantities(&mut self, size: Size) {
        self.snapshot.name = "random".to_string();
        let large =
            |rng: &mut Rng, on: bool| if on && rng.chance(10) { *rng.pick(&[1_000, 1 << 20, 1 << 31]) } else { 1 };
        self.weight_scale = large(self.rng, self.kinds.large_figures).min(1 << 20);
        self.roomy = *self.rng.pick(&[30, 60, 100, 150, 300]);
        for r in 0..1 + self.rng.below(size.resources_max) {
            let load_weight = if self.kinds.costs && self.rng.chance(40) { self.rng.range(1, 5) } else { 0 };
            self.snapshot.resources.push(ResourceSpec {
                name: format!("r{r}"),
                unit: String::new(),
                transient: self.kinds.simultaneous && self.rng.chance(50),
                load_weight,
                variance_weight: 0,
            });
            self.scale.push(large(self.rng, self.kinds.large_figures));
        }
        self.snapshot.levels = ["rack", "zone"][..self.rng.below(3)].iter().map(|l| l.to_string()).collect();
    }

    fn count(&mut self, most: usize) -> usize {
        match self.rng.below(10) {
            0 => self.rng.below(2).min(most),
            1 => most,
            _ => self.rng.below(most + 1),
        }
    }

    fn nodes(&mut self, size: Size) {
        // Without a node there is nothing to get wrong but the edge itself: once in a hundred.
        let count = if self.rng.chance(1) { 0 } else { self.count(size.nodes_max).max(1) };
        let alike = self.rng.chance(30);
        for n in 0..count {
            let mut node = match self.snapshot.nodes.first() {
                Some(first) if alike && self.rng.chance(80) => first.clone(),
                _ => self.node(),
            };
            node.name = format!("n{n}");
            self.snapshot.nodes.push(node);
        }
    }

    fn node(&mut self) -> NodeSpec {
        let mut node = NodeSpec::default();
        for r in 0..self.scale.len() {
            let name = self.snapshot.resources[r].name.clone();
            let capacity = if self.rng.chance(5) { 0 } else { self.rng.range(4, 24) * self.scale[r] };
            if self.kinds.costs && self.rng.chance(50) {
                let soft = capacity * self.rng.range(0, 4) / 4;
                node.soft_limit.insert(name.clone(), soft);
            }
            // A resource left out has no capacity, the same as 0.
            if capacity > 0 || self.rng.chance(50) {
                node.allocatable.insert(name, capacity);
            }
        }
        for level in self.snapshot.levels.clone() {
            if self.rng.chance(80) {
                node.domains.insert(level, format!("d{}", self.rng.below(3)));
            }
        }
        if self.kinds.costs {
            node.pool = self.rng.chance(50).then(|| format!("p{}", self.rng.below(2)));
            node.price = self.rng.range(0, 5) * self.weight_scale;
            node.move_class = self.rng.chance(60).then(|| self.rng.pick(&CLASSES).to_string());
        }
        if self.kinds.entry_rules {
            for (key, values) in LABELS {
                if self.rng.chance(60) {
                    node.labels.insert(key.to_string(), self.rng.pick(&values).to_string());
                }
            }
            for (key, values) in TAINTS {
                if self.rng.chance(15) {
                    node.taints.push(TaintSpec { key: key.to_string(), value: self.rng.pick(&values).to_string() });
                }
            }
            node.cordoned = self.rng.chance(10);
        }
        if self.kinds.devices && self.rng.chance(60) {
            for _ in 0..1 + self.rng.below(2) {
                let (kind, model) = (*self.rng.pick(&KINDS), *self.rng.pick(&MODELS));
                let count = self.rng.range(1, 3) as u32;
                node.devices.push(DevicesSpec {
                    kind: kind.to_string(),
                    model: model.to_string(),
                    count,
                    memory: None,
                });
            }
        }
        node
    }

    fn groups(&mut self) {
        if !self.kinds.groups {
            return;
        }
        let count = self.rng.below(4);
        let levels: Vec<String> = std::iter::once("node".to_string()).chain(self.snapshot.levels.clone()).collect();
        for g in 0..count {
            let mut group = GroupSpec { name: format!("g{g}"), ..GroupSpec::default() };
            if self.rng.chance(40) {
                group.conflict.push(self.rng.pick(&levels).clone());
            }
            if self.rng.chance(30) {
                let level = self.rng.pick(&levels).clone();
                group.spread.push(SpreadSpec { level, min: self.rng.range(1, 3) as u32 });
            }
            if count > 1 && self.rng.chance(30) {
                let other = (g + 1 + self.rng.below(count - 1)) % count;
                let level = self.rng.pick(&levels).clone();
                group.depends_on.push(DependencySpec { group: format!("g{other}"), level });
            }
            if self.rng.chance(20) {
                let within = self.rng.chance(40).then(|| self.rng.pick(&levels).clone());
                group.gang = Some(GangSpec { min_members: self.maybe(40, 1, 3), within });
            }
            group.max_unavailable = self.maybe(20, 1, 2);
            self.snapshot.groups.push(group);
        }
    }

    fn tasks(&mut self, size: Size) {
        let count = self.count(size.tasks_max);
        let alike = self.rng.chance(30);
        for t in 0..count {
            let mut task = match self.snapshot.tasks.first() {
                Some(first) if alike && self.rng.chance(70) => first.clone(),
                _ => self.task(),
            };
            task.name = format!("t{t}");
            self.snapshot.tasks.push(task);
        }
        self.scale_to_room();
    }

    /// Raises or lowers all requirements so that about `roomy` percent of the tasks fit.
    fn scale_to_room(&mut self) {
        for r in 0..self.scale.len() {
            let name = &self.snapshot.resources[r].name;
            let room: i128 =
                self.snapshot.nodes.iter().map(|n| i128::from(n.allocatable.get(name).copied().unwrap_or(0))).sum();
            let wanted: i128 =
                self.snapshot.tasks.iter().map(|t| i128::from(t.requirement.get(name).copied().unwrap_or(0))).sum();
            if wanted == 0 {
                continue;
            }
            for amount in self.snapshot.tasks.iter_mut().filter_map(|task| task.requirement.get_mut(name)) {
                let wish = i128::from(*amount) * room * 100 / (wanted * i128::from(self.roomy));
                *amount = (wish as i64).clamp(1, 30 * self.scale[r]);
            }
        }
    }

    fn task(&mut self) -> TaskSpec {
        let mut task = TaskSpec { weight: self.rng.range(0, 20) * self.weight_scale, ..TaskSpec::default() };
        task.kind = *self.rng.pick(&[TaskKind::Vm, TaskKind::Container, TaskKind::Job]);
        for r in 0..self.scale.len() {
            if self.rng.chance(90) {
                task.requirement.insert(self.snapshot.resources[r].name.clone(), self.rng.range(1, 12) * self.scale[r]);
            }
        }
        match self.rng.below(10) {
            0 | 1 if self.kinds.elastic => {
                task.sharing = SharingSpec::Elastic;
                task.min_share = Some(self.rng.pick(&["1/4", "1/2", "1", "2/3", "1/7", "3/17"]).to_string());
            }
            2 | 3 if self.kinds.divisible => task.sharing = SharingSpec::Divisible,
            4..=6 if self.kinds.devices => task.device = Some(self.device_request()),
            _ => {}
        }
        if self.kinds.costs {
            task.move_cost = self.rng.range(0, 4);
        }
        if self.kinds.entry_rules {
            task.pinned = self.rng.chance(8);
            for (key, values) in LABELS {
                if self.rng.chance(15) {
                    let values = &values[..1 + self.rng.below(2)];
                    task.selector.insert(key.to_string(), values.iter().map(|v| v.to_string()).collect());
                }
            }
            if self.rng.chance(40) {
                let (key, values) = *self.rng.pick(&TAINTS);
                let key = self.rng.chance(80).then(|| key.to_string());
                let value = self.rng.chance(40).then(|| self.rng.pick(&values).to_string());
                task.tolerations.push(TolerationSpec { key, value });
            }
        }
        task.evictable = self.rng.chance(if self.kinds.entry_rules { 30 } else { 100 });
        if !self.snapshot.groups.is_empty() && self.rng.chance(60) {
            task.group = Some(self.rng.pick(&self.snapshot.groups).name.clone());
        }
        task
    }

    /// Regions, kinds, prices, egress, burst and spot pools; whoever is in the wrong place by now may stay there.
    fn pools(&mut self) {
        const REGIONS: [&str; 2] = ["east", "west"];
        const KINDS: [TaskKind; 3] = [TaskKind::Vm, TaskKind::Container, TaskKind::Job];
        for p in 0..2 {
            let region = self.rng.chance(70).then(|| self.rng.pick(&REGIONS).to_string());
            let kinds = KINDS.into_iter().filter(|_| self.rng.chance(60)).collect();
            let mut pool = PoolSpec { name: format!("p{p}"), region, kinds, ..PoolSpec::default() };
            pool.price = self.rng.range(0, 3) * self.weight_scale;
            if self.rng.chance(50) {
                pool.egress.insert(format!("p{}", self.rng.below(2)), self.rng.range(0, 4) * self.weight_scale);
            }
            pool.burst = self.rng.chance(30);
            pool.spot_risk = self.rng.chance(30).then(|| self.rng.pick(&["1/10", "1/3", "2/7", "1", "0"]).to_string());
            self.snapshot.pools.push(pool);
        }
        let regions: Vec<String> = self.snapshot.pools.iter().filter_map(|pool| pool.region.clone()).collect();
        for task in &mut self.snapshot.tasks {
            if !regions.is_empty() && self.rng.chance(20) {
                task.regions.push(self.rng.pick(&regions).clone());
            }
        }
        // Where costs are too large beside the weights for a burst pool between them, there is none.
        if Problem::new(&self.snapshot).is_err_and(|faults| faults.list().iter().all(|fault| fault.code == "P404")) {
            self.snapshot.pools.iter_mut().for_each(|pool| pool.burst = false);
        }
    }

    fn tenants(&mut self) {
        if self.rng.chance(50) {
            for task in &mut self.snapshot.tasks {
                task.tenant = self.rng.chance(70).then(|| format!("team-{}", self.rng.below(3)));
            }
        }
    }

    fn device_request(&mut self) -> DeviceRequestSpec {
        let kind = self.rng.pick(&KINDS).to_string();
        let models = if self.rng.chance(30) { vec![self.rng.pick(&MODELS).to_string()] } else { Vec::new() };
        if self.rng.chance(50) {
            let milli = *self.rng.pick(&[100, 250, 500, 500, 700]);
            return DeviceRequestSpec { kind, count: 1, milli, memory: None, models };
        }
        DeviceRequestSpec { kind, count: self.rng.range(1, 3) as u32, milli: 1000, memory: None, models }
    }

    fn objective(&mut self) {
        let names: Vec<String> = self.snapshot.resources.iter().map(|r| r.name.clone()).collect();
        let mut objective = ObjectiveSpec::default();
        if names.len() > 1 && self.rng.chance(40) {
            objective.balance.push(BalanceSpec {
                resource: names[0].clone(),
                other: names[1].clone(),
                target: self.rng.range(0, 3),
                weight: self.rng.range(0, 4),
            });
        }
        objective.task_move_weight = self.rng.range(0, 2) * self.weight_scale;
        objective.group_move_weight = self.rng.range(0, 2) * self.weight_scale;
        objective.node_move_weight = self.rng.range(0, 2) * self.weight_scale;
        objective.price_weight = self.rng.range(0, 2);
        // An entry may only name classes that some node has.
        let has_class =
            |class: &str| self.snapshot.nodes.iter().any(|n| n.move_class.as_deref().unwrap_or("") == class);
        let classes: Vec<&str> = CLASSES.into_iter().filter(|class| has_class(class)).collect();
        if self.rng.chance(50) && !classes.is_empty() {
            let mut costs = MoveCostsSpec { default: self.rng.range(0, 3), between: Vec::new() };
            for _ in 0..self.rng.below(4) {
                let (from, to) = (self.rng.pick(&classes).to_string(), self.rng.pick(&classes).to_string());
                costs.between.push((from, to, self.rng.range(0, 6)));
            }
            objective.move_costs = Some(costs);
        }
        if self.kinds.devices && self.rng.chance(40) {
            let mut mix = Vec::new();
            for _ in 0..1 + self.rng.below(2) {
                let requirement = BTreeMap::from([(names[0].clone(), self.rng.range(0, 4) * self.scale[0])]);
                mix.push(MixSpec { parts: self.rng.range(1, 3), requirement, device: self.device_request() });
            }
            objective.fragmentation = Some(FragmentationSpec { weight: 1, mix });
            // Free devices count a thousandfold; tasks must be able to pay for that.
            for task in &mut self.snapshot.tasks {
                task.weight *= *self.rng.pick(&[1, 100, 1000]);
            }
        }
        self.snapshot.objective = objective;
    }

    fn variance(&mut self) {
        for resource in &mut self.snapshot.resources {
            // Mostly small, so that it does not drown everything else; now and then so large that levels are fine.
            if self.rng.chance(30) {
                resource.variance_weight = *self.rng.pick(&[1, 7, 1000, AMOUNT_MAX]);
            }
        }
    }

    fn start(&mut self) {
        let start = match self.rng.below(10) {
            0 | 1 => Start::Waiting,
            2..=5 if self.kinds.broken_start => Start::Careless,
            _ => Start::Fitting,
        };
        if start == Start::Waiting || self.snapshot.nodes.is_empty() {
            return;
        }
        let waiting = *self.rng.pick(&[0, 20, 50]);
        let mut room = Room::new(&self.snapshot);
        for t in self.rng.order(self.snapshot.tasks.len()) {
            if self.rng.chance(waiting) {
                continue;
            }
            let pieces = match start {
                Start::Careless => self.careless(t),
                _ => self.fitting(t, &mut room),
            };
            self.snapshot.tasks[t].placement = pieces;
        }
    }

    fn share(&mut self, sharing: SharingSpec) -> Option<String> {
        match sharing {
            SharingSpec::Rigid => None,
            SharingSpec::Elastic => self.rng.chance(60).then(|| format!("{}/8", self.rng.range(1, 8))),
            SharingSpec::Divisible => Some(format!("{}/12", self.rng.range(1, 4))),
        }
    }

    fn careless(&mut self, t: usize) -> Vec<PieceSpec> {
        let task = self.snapshot.tasks[t].clone();
        let most = if task.sharing == SharingSpec::Divisible { 3 } else { 1 };
        let order = self.rng.order(self.snapshot.nodes.len());
        let mut pieces = Vec::new();
        for n in order.into_iter().take(1 + self.rng.below(most)) {
            let mut devices = Vec::new();
            if let Some(request) = &task.device {
                let count: u32 = self.snapshot.nodes[n].devices.iter().map(|d| d.count).sum();
                let order = self.rng.order(count as usize);
                devices = order.into_iter().take(request.count as usize).map(|d| d as u32).collect();
            }
            let node = self.snapshot.nodes[n].name.clone();
            pieces.push(PieceSpec { node, share: self.share(task.sharing), devices });
        }
        pieces
    }

    /// The first random node whose resources and devices have room and that the task may enter.
    fn fitting(&mut self, t: usize, room: &mut Room) -> Vec<PieceSpec> {
        let task = self.snapshot.tasks[t].clone();
        for n in self.rng.order(self.snapshot.nodes.len()) {
            let node = &self.snapshot.nodes[n];
            let Some(devices) = room.devices(n, node, task.device.as_ref()) else { continue };
            if !may_enter(node, &task) || !room.holds(n, &task) {
                continue;
            }
            room.take(n, &task, &devices);
            let node = node.name.clone();
            let share = match task.sharing {
                SharingSpec::Elastic => self.rng.chance(50).then(|| task.min_share.clone()).flatten(),
                sharing => self.share(sharing),
            };
            return vec![PieceSpec { node, share, devices }];
        }
        Vec::new()
    }
}

/// What selector and taints of the records say.
pub fn may_enter(node: &NodeSpec, task: &TaskSpec) -> bool {
    let selected =
        task.selector.iter().all(|(key, values)| node.labels.get(key).is_some_and(|value| values.contains(value)));
    let accepts = |taint: &TaintSpec, t: &TolerationSpec| {
        t.key.as_ref().is_none_or(|k| *k == taint.key) && t.value.as_ref().is_none_or(|v| *v == taint.value)
    };
    selected && node.taints.iter().all(|taint| task.tolerations.iter().any(|t| accepts(taint, t)))
}

/// What the node's pool says: of kinds, and of regions.
pub fn pool_admits(snapshot: &Snapshot, node: &NodeSpec, task: &TaskSpec) -> bool {
    let pool = snapshot.pools.iter().find(|pool| Some(&pool.name) == node.pool.as_ref());
    let region = pool.and_then(|pool| pool.region.as_ref());
    let runs = pool.is_none_or(|pool| pool.kinds.is_empty() || pool.kinds.contains(&task.kind));
    runs && (task.regions.is_empty() || region.is_some_and(|region| task.regions.contains(region)))
}

/// What is still free while a start is made.
struct Room {
    free: Vec<BTreeMap<String, i64>>,
    milli: Vec<Vec<u32>>,
}

impl Room {
    fn new(snapshot: &Snapshot) -> Room {
        let device_count = |n: &NodeSpec| n.devices.iter().map(|d| d.count as usize).sum();
        Room {
            free: snapshot.nodes.iter().map(|n| n.allocatable.clone()).collect(),
            milli: snapshot.nodes.iter().map(|n| vec![1000; device_count(n)]).collect(),
        }
    }

    fn holds(&self, n: usize, task: &TaskSpec) -> bool {
        task.requirement.iter().all(|(name, amount)| self.free[n].get(name).copied().unwrap_or(0) >= *amount)
    }

    fn devices(&self, n: usize, node: &NodeSpec, request: Option<&DeviceRequestSpec>) -> Option<Vec<u32>> {
        let Some(request) = request else { return Some(Vec::new()) };
        let specs = node.devices.iter().flat_map(|d| std::iter::repeat_n(d, d.count as usize));
        let suits = |d: &DevicesSpec| {
            d.kind == request.kind && (request.models.is_empty() || request.models.contains(&d.model))
        };
        let free = specs.enumerate().filter(|(i, d)| suits(d) && self.milli[n][*i] >= request.milli);
        let chosen: Vec<u32> = free.map(|(i, _)| i as u32).take(request.count as usize).collect();
        (chosen.len() == request.count as usize).then_some(chosen)
    }

    fn take(&mut self, n: usize, task: &TaskSpec, devices: &[u32]) {
        for (name, amount) in &task.requirement {
            *self.free[n].entry(name.clone()).or_default() -= amount;
        }
        for device in devices {
            self.milli[n][*device as usize] -= task.device.as_ref().map_or(0, |request| request.milli);
        }
    }
}
