//! How good is a placement? The one definition of the objective: Σ r·p/c minus every cost term, in integers.
//!
//! All figures are *scaled* points: 1 point = [`SHARE_ONE`] (see `share.rs`), so that fractions of elastic and divisible
//! tasks need no rounding.
//!
//! ```text
//! value         = Σ_task weight · share
//! load          = Σ_resource load_weight · Σ_node max(0, used − soft_limit)        with the meters of burst and spot pools
//! balance       = Σ_term weight · Σ_node max(0, target · free(resource) − free(other))
//! variance      = Σ_resource variance_weight · Σ_node (used / allocatable − target)²      in integers: `variance.rs`
//! task_move     = task_move_weight  · Σ_{task moved} move_cost
//! group_move    = group_move_weight · max_group |{task in group : moved}|
//! node_move     = node_move_weight  · Σ_{task moved} Σ_{piece on a new node} min_{node before} pair_cost(that node, piece's node)
//! price         = price_weight · Σ_{node in use} price
//! fragmentation = weight · Σ_node Σ_mix parts · (free milli of devices that the mix item cannot use)
//! objective     = value − all of these
//! ```
//!
//! A task is *moved* when it ran somewhere at the start and now runs on other nodes, or nowhere. Starting a waiting task
//! is no move. Load, balance and the move terms on rigid tasks are those of the ROADEF/EURO 2012 challenge; fragmentation
//! follows FGD (USENIX ATC'23, §3) with integers. A task without a group never counts for `group_move`.

use super::{DeviceRequest, Meter, MixItem, NodeId, Piece, Placement, Problem, ResourceId, SHARE_ONE, Spot, TaskId};

/// Scaled points by term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Score {
    /// Σ weight · share.
    pub value: i128,
    /// Load above soft limits.
    pub load: i128,
    /// Free amounts out of proportion.
    pub balance: i128,
    /// Utilisation off the cluster's.
    pub variance: i128,
    /// Moved tasks.
    pub task_move: i128,
    /// Largest number moved in a group.
    pub group_move: i128,
    /// Between which nodes.
    pub node_move: i128,
    /// Nodes in use.
    pub price: i128,
    /// Unusable free devices.
    pub fragmentation: i128,
}

impl Score {
    /// The cost terms with their names, in the order of every table.
    pub fn terms(&self) -> [(&'static str, i128); 8] {
        [
            ("load", self.load),
            ("balance", self.balance),
            ("variance", self.variance),
            ("task_move", self.task_move),
            ("group_move", self.group_move),
            ("node_move", self.node_move),
            ("price", self.price),
            ("fragmentation", self.fragmentation),
        ]
    }

    /// Sum of the cost terms.
    pub fn cost(&self) -> i128 {
        self.terms().iter().map(|(_, points)| points).sum()
    }

    /// What is maximised.
    pub fn objective(&self) -> i128 {
        self.value - self.cost()
    }
}

/// What an amount is one of. A resource may have the name of a kind of device, so that a name alone says too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// A resource.
    Resource,
    /// Milli of a kind of device.
    Devices,
    /// Memory of a kind of device.
    DeviceMemory,
}

impl Counted {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Counted::Resource => "resource",
            Counted::Devices => "devices",
            Counted::DeviceMemory => "device_memory",
        }
    }

    /// What people call it, by the name of the resource or the kind of device.
    pub fn title(self, name: &str) -> String {
        match self {
            Counted::Resource => name.to_string(),
            Counted::Devices => format!("{name} devices"),
            Counted::DeviceMemory => format!("{name} memory (of devices)"),
        }
    }
}

/// What is used on every node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    resource_count: usize,
    amounts: Vec<i128>,
    pieces: Vec<u32>,
    devices: Vec<Vec<u32>>,
    memory: Vec<Vec<i128>>,
}

impl Usage {
    /// Sums a placement. A piece's device bits beyond the node's devices are ignored here; `rules.rs` reports them.
    pub fn of(problem: &Problem, placement: &Placement) -> Usage {
        let resource_count = problem.resources.len();
        let mut usage = Usage {
            resource_count,
            amounts: vec![0; problem.nodes.len() * resource_count],
            pieces: vec![0; problem.nodes.len()],
            devices: problem.nodes.iter().map(|node| vec![0; node.devices.len()]).collect(),
            memory: problem
                .nodes
                .iter()
                .map(|node| vec![0; if node.counts_memory() { node.devices.len() } else { 0 }])
                .collect(),
        };
        for task in problem.task_ids() {
            usage.add(problem, task, placement.spot(task));
        }
        usage
    }

    /// Adds what a task uses on a spot.
    pub fn add(&mut self, problem: &Problem, task: TaskId, spot: &Spot) {
        for piece in spot.pieces() {
            let row = piece.node.index() * self.resource_count;
            for (slot, amount) in self.amounts[row..].iter_mut().zip(problem.requirement(task)) {
                *slot += i128::from(*amount) * i128::from(piece.share.parts());
            }
            self.pieces[piece.node.index()] += 1;
            self.change_devices(problem, task, piece, true);
        }
    }

    /// Takes away what [`Usage::add`] added.
    pub fn remove(&mut self, problem: &Problem, task: TaskId, spot: &Spot) {
        for piece in spot.pieces() {
            let row = piece.node.index() * self.resource_count;
            for (slot, amount) in self.amounts[row..].iter_mut().zip(problem.requirement(task)) {
                *slot -= i128::from(*amount) * i128::from(piece.share.parts());
            }
            self.pieces[piece.node.index()] -= 1;
            self.change_devices(problem, task, piece, false);
        }
    }

    fn change_devices(&mut self, problem: &Problem, task: TaskId, piece: &Piece, comes: bool) {
        let Some(request) = &problem.tasks[task.index()].device else { return };
        let holds = |index: usize| piece.devices >> index & 1 == 1;
        for (_, used) in self.devices[piece.node.index()].iter_mut().enumerate().filter(|(d, _)| holds(*d)) {
            *used = if comes { *used + request.milli } else { *used - request.milli };
        }
        let rows = self.memory[piece.node.index()].iter_mut().zip(&problem.nodes[piece.node.index()].devices);
        for (_, (used, device)) in rows.enumerate().filter(|(d, _)| holds(*d)) {
            let memory = request.memory_on(device);
            *used += if comes { memory } else { -memory };
        }
    }

    /// Scaled amount of a resource used on a node.
    #[inline]
    pub fn amount(&self, node: NodeId, resource: ResourceId) -> i128 {
        self.amounts[node.index() * self.resource_count + resource.index()]
    }

    /// Scaled amounts used on a node. Shape: resource_count.
    pub fn amounts(&self, node: NodeId) -> &[i128] {
        &self.amounts[node.index() * self.resource_count..][..self.resource_count]
    }

    /// Number of pieces on a node.
    pub fn pieces(&self, node: NodeId) -> u32 {
        self.pieces[node.index()]
    }

    /// Milli used of each device of a node.
    pub fn devices(&self, node: NodeId) -> &[u32] {
        &self.devices[node.index()]
    }

    /// Memory used of each device of a node, 0 of one whose memory is not counted. Empty where that is so of all.
    pub fn device_memory(&self, node: NodeId) -> &[i128] {
        &self.memory[node.index()]
    }

    /// The devices of a node that a request may use and that have room for it, as a bit set.
    pub fn room_for(&self, problem: &Problem, node: NodeId, request: &DeviceRequest) -> u64 {
        let (host, memory) = (&problem.nodes[node.index()], self.device_memory(node));
        let used = |d: usize| memory.get(d).copied().unwrap_or(0);
        let has_room = |d: usize| request.has_room(&host.devices[d], self.devices(node)[d], used(d));
        let eligible = request.eligible(host);
        let devices = (0..host.devices.len()).filter(|d| eligible >> d & 1 == 1 && has_room(*d));
        devices.fold(0, |set, d| set | 1 << d)
    }

    /// Milli used of a node's devices of a kind, and milli that these have.
    pub fn kind_milli(&self, problem: &Problem, node: NodeId, kind: u32) -> (i128, i128) {
        let devices = problem.nodes[node.index()].devices.iter().zip(self.devices(node));
        let own = devices.filter(|(device, _)| device.kind == kind).map(|(_, used)| i128::from(*used));
        own.fold((0, 0), |(used, all), own| (used + own, all + i128::from(super::DEVICE_MILLI)))
    }

    /// Memory used of a node's devices of a kind that count it.
    pub fn kind_memory(&self, problem: &Problem, node: NodeId, kind: u32) -> i128 {
        let devices = problem.nodes[node.index()].devices.iter().zip(self.device_memory(node));
        devices.filter(|(device, _)| device.kind == kind).map(|(_, used)| used).sum()
    }
}

/// The score of a placement.
pub fn score(problem: &Problem, placement: &Placement) -> Score {
    let usage = Usage::of(problem, placement);
    let one = i128::from(SHARE_ONE);
    let objective = &problem.objective;
    let mut score = Score::default();
    for node in problem.node_ids() {
        let [load, balance, variance] = node_cost(problem, node, usage.amounts(node));
        score.load += load;
        score.balance += balance;
        score.variance += variance;
        if usage.pieces(node) > 0 {
            score.price += i128::from(objective.price_weight) * i128::from(problem.nodes[node.index()].price) * one;
        }
        if objective.fragmentation_weight > 0 {
            score.fragmentation +=
                i128::from(objective.fragmentation_weight) * fragmentation(problem, &usage, node) * one;
        }
    }
    let mut moved_in_group = vec![0i128; problem.groups.len()];
    for task in problem.task_ids() {
        let spec = &problem.tasks[task.index()];
        let spot = placement.spot(task);
        score.value += i128::from(spec.weight) * i128::from(spot.total_parts());
        if is_moved(problem, placement, task) {
            let [task_move, node_move] = move_cost(problem, task, spot);
            score.task_move += task_move;
            score.node_move += node_move;
            if let Some(group) = spec.group {
                moved_in_group[group.index()] += 1;
            }
        }
    }
    let most = moved_in_group.into_iter().max().unwrap_or(0);
    score.group_move = i128::from(objective.group_move_weight) * most * one;
    score
}

/// Load, balance and variance points of one node that uses these scaled amounts. Shape: resource_count.
pub fn node_cost(problem: &Problem, node: NodeId, used: &[i128]) -> [i128; 3] {
    let one = i128::from(SHARE_ONE);
    let (allocatable, soft_limit) = (problem.allocatable(node), problem.soft_limit(node));
    let (mut load, mut balance, mut variance) = (0, 0, 0);
    for (r, resource) in problem.resources.iter().enumerate() {
        load += i128::from(resource.load_weight) * (used[r] - i128::from(soft_limit[r]) * one).max(0);
    }
    for term in &problem.objective.balance {
        let free = |r: ResourceId| i128::from(allocatable[r.index()]) * one - used[r.index()];
        let missing = i128::from(term.target) * free(term.resource) - free(term.other);
        balance += i128::from(term.weight) * missing.max(0);
    }
    for term in &problem.objective.variance {
        let r = term.resource.index();
        variance += term.points(allocatable[r], used[r]) * one;
    }
    [load, balance, variance]
}

/// The part of the load that meters of this kind count: what it costs that tasks run in burst or in spot pools.
pub fn meter_points(problem: &Problem, usage: &Usage, is_meant: impl Fn(Meter) -> bool) -> i128 {
    let one = i128::from(SHARE_ONE);
    let mut points = 0;
    for (r, resource) in problem.resources.iter().enumerate().filter(|(_, r)| r.meter.is_some_and(&is_meant)) {
        let above = |node| usage.amounts(node)[r] - i128::from(problem.soft_limit(node)[r]) * one;
        let sum: i128 = problem.node_ids().map(|node| above(node).max(0)).sum();
        points += i128::from(resource.load_weight) * sum;
    }
    points
}

/// True when a task that ran at the start now runs on other nodes, or nowhere.
pub fn is_moved(problem: &Problem, placement: &Placement, task: TaskId) -> bool {
    let (before, after) = (problem.current.spot(task), placement.spot(task));
    before.is_placed() && !before.same_nodes(after)
}

/// Points of moving a task to a spot: for the task, and for the way from where it ran at the start.
pub fn move_cost(problem: &Problem, task: TaskId, spot: &Spot) -> [i128; 2] {
    let objective = &problem.objective;
    let task_move = i128::from(objective.task_move_weight) * i128::from(problem.tasks[task.index()].move_cost);
    [task_move * i128::from(SHARE_ONE), way_cost(problem, problem.current.spot(task), spot)]
}

/// Scaled points of the way from one spot to another: the pair cost of each new node.
pub fn way_cost(problem: &Problem, before: &Spot, spot: &Spot) -> i128 {
    let newcomers = spot.pieces().iter().filter(|piece| !before.is_on(piece.node));
    // The cheapest source, not the first: the order of nodes means nothing.
    let cheapest = |to| before.pieces().iter().map(|from| problem.pair_cost(from.node, to)).min().unwrap_or(0);
    let pairs: i64 = newcomers.map(|piece| cheapest(piece.node)).sum();
    i128::from(problem.objective.node_move_weight) * i128::from(pairs) * i128::from(SHARE_ONE)
}

/// Σ_mix parts · (free milli that the item cannot use) on one node, for the mix of the objective.
pub fn fragmentation(problem: &Problem, usage: &Usage, node: NodeId) -> i128 {
    fragmentation_of(problem, usage, node, &problem.objective.mix)
}

/// Σ_mix parts · (free milli that the item cannot use) on one node, for any mix.
pub fn fragmentation_of(problem: &Problem, usage: &Usage, node: NodeId, mix: &[MixItem]) -> i128 {
    let one = i128::from(SHARE_ONE);
    let free: Vec<u32> = usage.devices(node).iter().map(|used| super::DEVICE_MILLI.saturating_sub(*used)).collect();
    let room = |r: usize| i128::from(problem.allocatable(node)[r]) * one - usage.amount(node, ResourceId::new(r));
    let unusable = |requirement: &[i64], request: &DeviceRequest| -> i128 {
        let open = usage.room_for(problem, node, request);
        let usable = |d: usize| open >> d & 1 == 1;
        let hosts = (0..free.len()).filter(|d| usable(*d)).count() >= request.count as usize
            && requirement.iter().enumerate().all(|(r, amount)| i128::from(*amount) * one <= room(r));
        let lost = free.iter().enumerate().filter(|(d, _)| !hosts || !usable(*d));
        lost.map(|(_, milli)| i128::from(*milli)).sum()
    };
    mix.iter().map(|item| i128::from(item.parts) * unusable(&item.requirement, &item.device)).sum()
}

/// Dynamic scaling f(load, available) = available − load: the headroom of the whole cluster per resource, in scaled units.
pub fn headroom(problem: &Problem, usage: &Usage, resource: ResourceId) -> i128 {
    let available: i128 = problem.node_ids().map(|node| i128::from(problem.allocatable(node)[resource.index()])).sum();
    available * i128::from(SHARE_ONE) - problem.node_ids().map(|node| usage.amount(node, resource)).sum::<i128>()
}
