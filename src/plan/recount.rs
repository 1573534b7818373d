//! Which rules does a state break and what is it worth, worked out a second time?
//!
//! The verifier's own reading of the tables in `model/rules.rs` and `model/cost.rs`. It uses the model's types and none of
//! its arithmetic; a sum that does not fit 128 bits is reported, not wrapped. Tests hold both readings to each other.

use crate::model::{
    DEVICE_MILLI, Device, DeviceRequest, DomainId, GroupId, LevelId, Node, NodeId, Piece, Place, Placement, Problem,
    ResourceId, Rule, SHARE_ONE, Score, Sharing, Spot, Task, TaskId, Violation,
};

const ONE: i128 = SHARE_ONE as i128;

/// What the tasks on one node hold together, or one of them.
#[derive(Clone, Default)]
pub(super) struct Held {
    pub(super) amounts: Vec<i128>,
    /// By device.
    pub(super) milli: Vec<i128>,
    /// By device; 0 of one that does not say how much it has.
    pub(super) memory: Vec<i128>,
    pub(super) pieces: usize,
}

/// Scaled amounts, milli and memory of devices of one piece, which counts as none in [`Held::pieces`].
pub(super) fn weigh(problem: &Problem, task: TaskId, parts: i128, devices: u64, node: NodeId) -> Held {
    let amounts = problem.requirement(task).iter().map(|amount| i128::from(*amount) * parts).collect();
    let request = problem.tasks[task.index()].device.as_ref();
    let (milli, memory) = request.map_or((0, 0), |request| (i128::from(request.milli), i128::from(request.memory)));
    let own = || problem.nodes[node.index()].devices.iter().enumerate();
    let holds = |d: usize| devices & (1 << d) != 0;
    Held {
        amounts,
        milli: own().map(|(d, _)| if holds(d) { milli } else { 0 }).collect(),
        memory: own().map(|(d, device)| if holds(d) && device.memory != 0 { memory } else { 0 }).collect(),
        pieces: 0,
    }
}

impl Held {
    /// Nothing, on a node.
    pub(super) fn none(problem: &Problem, node: NodeId) -> Held {
        let devices = vec![0; problem.nodes[node.index()].devices.len()];
        Held { amounts: vec![0; problem.resources.len()], milli: devices.clone(), memory: devices, pieces: 0 }
    }

    pub(super) fn add(&mut self, more: &Held, sign: i128) {
        let rows =
            [(&mut self.amounts, &more.amounts), (&mut self.milli, &more.milli), (&mut self.memory, &more.memory)];
        for (sums, row) in rows {
            sums.iter_mut().zip(row).for_each(|(sum, amount)| *sum += sign * amount);
        }
    }
}

/// What every node holds.
pub(super) fn held(problem: &Problem, spots: &[Spot]) -> Vec<Held> {
    let mut list: Vec<Held> = problem.node_ids().map(|node| Held::none(problem, node)).collect();
    for (t, spot) in spots.iter().enumerate() {
        for piece in spot.pieces() {
            let own = weigh(problem, TaskId::new(t), i128::from(piece.share.parts()), piece.devices, piece.node);
            let node = &mut list[piece.node.index()];
            node.add(&own, 1);
            node.pieces += 1;
        }
    }
    list
}

/// Every violation of a state, in the order of [`crate::model::violations`].
pub(super) fn broken_rules(problem: &Problem, spots: &[Spot]) -> Vec<Violation> {
    let mut found = Vec::new();
    nodes(problem, spots, &mut found);
    for (t, spot) in spots.iter().enumerate() {
        task(problem, TaskId::new(t), spot, &mut found);
    }
    for g in 0..problem.groups.len() {
        group(problem, GroupId::new(g), spots, &mut found);
    }
    let moved = spots.iter().enumerate().filter(|(t, spot)| has_moved(problem, TaskId::new(*t), spot)).count();
    if let Some(most) = problem.moves.max_moves {
        note(&mut found, Rule::MoveBudget, Place::Plan, moved as i128 - i128::from(most));
    }
    found.sort();
    found
}

/// Lists what is violated.
pub(super) fn note(found: &mut Vec<Violation>, rule: Rule, place: Place, excess: i128) {
    if excess > 0 {
        found.push(Violation { rule, place, excess });
    }
}

fn nodes(problem: &Problem, spots: &[Spot], found: &mut Vec<Violation>) {
    let now = held(problem, spots);
    // In simultaneous mode a piece on a node that the task leaves is held until the end.
    let mut together = now.clone();
    if problem.moves.simultaneous {
        for (t, spot) in spots.iter().enumerate() {
            for old in problem.current.spots()[t].pieces() {
                if spot.pieces().iter().all(|piece| piece.node != old.node) {
                    let parts = i128::from(old.share.parts());
                    let own = weigh(problem, TaskId::new(t), parts, old.devices, old.node);
                    together[old.node.index()].add(&own, 1);
                }
            }
        }
    }
    for (n, (after, both)) in now.iter().zip(&together).enumerate() {
        let node = NodeId::new(n);
        for (r, capacity) in problem.allocatable(node).iter().enumerate() {
            let place = Place::NodeResource(node, ResourceId::new(r));
            let limit = i128::from(*capacity) * ONE;
            note(found, Rule::Capacity, place, after.amounts[r] - limit);
            if problem.resources[r].transient && both.amounts[r] != after.amounts[r] {
                note(found, Rule::Transient, place, both.amounts[r] - limit);
            }
        }
        for (d, milli) in after.milli.iter().enumerate() {
            let place = Place::NodeDevice(node, d as u32);
            note(found, Rule::Device, place, milli - i128::from(DEVICE_MILLI));
            if both.milli[d] != *milli {
                let excess = both.milli[d] - i128::from(DEVICE_MILLI);
                note(found, Rule::Transient, place, excess);
            }
        }
        for (d, device) in problem.nodes[n].devices.iter().enumerate() {
            let (place, limit) = (Place::DeviceMemory(node, d as u32), i128::from(device.memory));
            note(found, Rule::DeviceMemory, place, after.memory[d] - limit);
            if both.memory[d] != after.memory[d] {
                note(found, Rule::Transient, place, both.memory[d] - limit);
            }
        }
    }
}

pub(super) fn task(problem: &Problem, id: TaskId, spot: &Spot, found: &mut Vec<Violation>) {
    let spec = &problem.tasks[id.index()];
    let start = problem.current.spot(id);
    let mut add = |rule, place, excess: u64| note(found, rule, place, i128::from(excess));
    let (ran, runs) = (!start.pieces().is_empty(), !spot.pieces().is_empty());
    add(Rule::Pinned, Place::Task(id), u64::from(spec.pinned && spot != start));
    add(Rule::Eviction, Place::Task(id), u64::from(ran && !runs && !spec.evictable));
    let total: u64 = spot.pieces().iter().map(|piece| u64::from(piece.share.parts())).sum();
    let full = u64::from(SHARE_ONE);
    let legal = match (spec.sharing, spot.pieces()) {
        (_, []) => true,
        (Sharing::Rigid, [_]) => total == full,
        (Sharing::Elastic { min }, [_]) => total >= u64::from(min.parts()) && total <= full,
        (Sharing::Divisible, pieces) => {
            let nodes: Vec<NodeId> = pieces.iter().map(|piece| piece.node).collect();
            total <= full && nodes.is_sorted_by(|a, b| a < b)
        }
        _ => false,
    };
    add(Rule::Share, Place::Task(id), if legal { 0 } else { 1 + total.saturating_sub(full) });
    for piece in spot.pieces() {
        let host = &problem.nodes[piece.node.index()];
        let place = Place::TaskNode(id, piece.node);
        let old = start.pieces().iter().find(|old| old.node == piece.node);
        if old.is_none()
            && let Some(rule) = refusal(problem, spec, host)
            && rule != Rule::DeviceModel
        {
            add(rule, place, 1);
        }
        add(Rule::Drain, place, u64::from(host.draining));
        let wanted = spec.device.as_ref().map_or(0, |request| request.count);
        let real = if host.devices.len() >= 64 { u64::MAX } else { (1 << host.devices.len()) - 1 };
        let holds = piece.devices.count_ones();
        add(Rule::Device, place, u64::from(holds.abs_diff(wanted)) + u64::from((piece.devices & !real).count_ones()));
        if old.is_none_or(|old| old.devices != piece.devices) {
            let is_wrong = |d: usize| {
                let suited = |request| host.devices.get(d).is_some_and(|device| suits(request, device));
                piece.devices & (1 << d) != 0 && !spec.device.as_ref().is_some_and(suited)
            };
            add(Rule::DeviceModel, place, (0..64).filter(|d| is_wrong(*d)).count() as u64);
        }
    }
}

/// Of the kind and a model asked for, and with no less memory than one task asks for.
pub(super) fn suits(request: &DeviceRequest, device: &Device) -> bool {
    let is_model = request.models.is_empty() || request.models.contains(&device.model);
    request.kind == device.kind && is_model && device.memory >= request.memory
}

/// Why a newcomer may not enter.
pub(super) fn refusal(problem: &Problem, spec: &Task, host: &Node) -> Option<Rule> {
    if host.cordoned {
        return Some(Rule::Cordon);
    }
    // By what the pool says, not by the labels that its nodes have of it.
    let pool = host.pool.and_then(|pool| problem.pools.get(pool as usize));
    let runs = pool.is_none_or(|pool| pool.kinds.is_empty() || pool.kinds.contains(&spec.kind));
    let region = pool.and_then(|pool| pool.region.as_ref());
    let is_here = |allowed: &String| region == Some(allowed);
    if !runs || !(spec.regions.is_empty() || spec.regions.iter().any(is_here)) {
        return Some(Rule::Selector);
    }
    for (key, accepted) in &spec.selector {
        if !host.labels.get(key).is_some_and(|label| accepted.iter().any(|value| value == label)) {
            return Some(Rule::Selector);
        }
    }
    for taint in &host.taints {
        let is_tolerated = spec.tolerations.iter().any(|toleration| {
            toleration.key.as_ref().unwrap_or(&taint.key) == &taint.key
                && toleration.value.as_ref().unwrap_or(&taint.value) == &taint.value
        });
        if !is_tolerated {
            return Some(Rule::Taint);
        }
    }
    let request = spec.device.as_ref()?;
    let usable = host.devices.iter().filter(|device| suits(request, device)).count();
    (usable < request.count as usize).then_some(Rule::DeviceModel)
}

/// How many tasks of a group each domain of a level has, where it has any; by domain.
fn heads(problem: &Problem, group: GroupId, level: LevelId, spots: &[Spot]) -> Vec<(DomainId, i128)> {
    let members = problem.groups[group.index()].members.iter();
    let mut all: Vec<DomainId> = members.flat_map(|task| covered(problem, &spots[task.index()], level)).collect();
    all.sort_unstable();
    all.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as i128)).collect()
}

/// Domains of a level in which the pieces are, in ascending order.
pub(super) fn covered(problem: &Problem, spot: &Spot, level: LevelId) -> Vec<DomainId> {
    let domain = |piece: &Piece| problem.nodes[piece.node.index()].domains[level.index()];
    let mut domains: Vec<DomainId> = spot.pieces().iter().map(domain).collect();
    domains.sort_unstable();
    domains.dedup();
    domains
}

pub(super) fn group(problem: &Problem, id: GroupId, spots: &[Spot], found: &mut Vec<Violation>) {
    let spec = &problem.groups[id.index()];
    let placed = spec.members.iter().filter(|task| !spots[task.index()].pieces().is_empty()).count() as i128;
    for level in &spec.conflict {
        for (domain, count) in heads(problem, id, *level, spots) {
            let place = Place::GroupDomain(id, *level, domain);
            note(found, Rule::Conflict, place, count - 1);
        }
    }
    for spread in &spec.spread {
        let wanted = placed.min(i128::from(spread.min));
        let excess = wanted - heads(problem, id, spread.level, spots).len() as i128;
        note(found, Rule::Spread, Place::GroupLevel(id, spread.level), excess);
    }
    for need in &spec.depends_on {
        let supplied = heads(problem, need.group, need.level, spots);
        for (domain, _) in heads(problem, id, need.level, spots) {
            let place = Place::Needs(id, need.group, need.level, domain);
            let excess = i128::from(supplied.binary_search_by_key(&domain, |(supplied, _)| *supplied).is_err());
            note(found, Rule::Dependency, place, excess);
        }
    }
    gang(problem, id, spots, found);
}

/// Enough members run or none, and those that run are in one domain.
pub(super) fn gang(problem: &Problem, id: GroupId, spots: &[Spot], found: &mut Vec<Violation>) {
    let spec = &problem.groups[id.index()];
    let placed = spec.members.iter().filter(|task| !spots[task.index()].pieces().is_empty()).count() as i128;
    let Some(gang) = spec.gang.filter(|_| placed > 0) else { return };
    note(found, Rule::Gang, Place::Group(id), i128::from(gang.least) - placed);
    if let Some(level) = gang.within {
        let excess = heads(problem, id, level, spots).len() as i128 - 1;
        note(found, Rule::Gang, Place::GroupLevel(id, level), excess);
    }
}

/// True when a task that ran does not run on exactly the same nodes.
pub(super) fn has_moved(problem: &Problem, task: TaskId, spot: &Spot) -> bool {
    let start = problem.current.spot(task).pieces();
    let same = start.len() == spot.pieces().len() && start.iter().zip(spot.pieces()).all(|(a, b)| a.node == b.node);
    !start.is_empty() && !same
}

/// The score of a state; `None` when a sum does not fit.
pub(super) fn points(problem: &Problem, spots: &[Spot]) -> Option<Score> {
    let mut score = Score::default();
    let marks = marks(problem)?;
    for (n, held) in held(problem, spots).iter().enumerate() {
        let [load, balance, variance, price, fragmentation] = node_points(problem, &marks, NodeId::new(n), held)?;
        score.load = score.load.checked_add(load)?;
        score.variance = score.variance.checked_add(variance)?;
        score.balance = score.balance.checked_add(balance)?;
        score.price = score.price.checked_add(price)?;
        score.fragmentation = score.fragmentation.checked_add(fragmentation)?;
    }
    let mut moved = vec![0; problem.groups.len()];
    for (t, spot) in spots.iter().enumerate() {
        let task = TaskId::new(t);
        let [value, task_move, node_move] = task_points(problem, task, spot)?;
        score.value = score.value.checked_add(value)?;
        score.task_move = score.task_move.checked_add(task_move)?;
        score.node_move = score.node_move.checked_add(node_move)?;
        if let Some(group) = problem.tasks[t].group.filter(|_| has_moved(problem, task, spot)) {
            moved[group.index()] += 1;
        }
    }
    score.group_move = group_points(problem, moved.into_iter().max().unwrap_or(0))?;
    Some(score)
}

/// Value, task move and node move of one task.
pub(super) fn task_points(problem: &Problem, task: TaskId, spot: &Spot) -> Option<[i128; 3]> {
    let (spec, weights) = (&problem.tasks[task.index()], &problem.objective);
    let mut value = 0i128;
    for piece in spot.pieces() {
        value = value.checked_add(i128::from(spec.weight).checked_mul(i128::from(piece.share.parts()))?)?;
    }
    if !has_moved(problem, task, spot) {
        return Some([value, 0, 0]);
    }
    let start = problem.current.spot(task).pieces();
    let mut pair = 0i128;
    for piece in spot.pieces().iter().filter(|piece| start.iter().all(|old| old.node != piece.node)) {
        let costs = &weights.move_costs;
        if costs.class_count > 0 {
            let class = |node: NodeId| problem.nodes[node.index()].move_class as usize;
            let cost = |from: &Piece| costs.cost[class(from.node) * costs.class_count + class(piece.node)];
            pair = pair.checked_add(i128::from(start.iter().map(cost).min()?))?;
        }
    }
    let task_move = i128::from(weights.task_move_weight).checked_mul(i128::from(spec.move_cost))?.checked_mul(ONE)?;
    let node_move = i128::from(weights.node_move_weight).checked_mul(pair)?.checked_mul(ONE)?;
    Some([value, task_move, node_move])
}

/// Points for the largest number moved in one group.
pub(super) fn group_points(problem: &Problem, most: i128) -> Option<i128> {
    i128::from(problem.objective.group_move_weight).checked_mul(most)?.checked_mul(ONE)
}

/// What the variance of a resource is measured against.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    /// ⌊√(weight · 2^20)⌋, √weight in 1,024ths.
    root: i128,
    /// 2^(bit length of the largest capacity).
    scale: i128,
    /// The level that every node should have.
    level: i128,
}

/// Shape: resources; `None` inside = its variance costs nothing.
pub(super) fn marks(problem: &Problem) -> Option<Vec<Option<Mark>>> {
    let mut marks = Vec::new();
    for (r, resource) in problem.resources.iter().enumerate() {
        let capacities: Vec<i128> = problem.node_ids().map(|node| i128::from(problem.allocatable(node)[r])).collect();
        let (total, most) = (capacities.iter().sum::<i128>(), capacities.into_iter().max().unwrap_or(0));
        if resource.variance_weight == 0 || most == 0 {
            marks.push(None);
            continue;
        }
        let wanted: i128 = problem.task_ids().map(|task| i128::from(problem.requirement(task)[r])).sum();
        let square = i128::from(resource.variance_weight).checked_mul(1 << 20)?;
        // The largest number whose square is not above, bit by bit.
        let mut root = 0i128;
        for bit in (0..63).rev().map(|bit| 1i128 << bit) {
            if (root + bit).checked_mul(root + bit)? <= square {
                root += bit;
            }
        }
        let mut scale = 1;
        while scale <= most {
            scale *= 2;
        }
        // root · target / 1,024, rounded to the nearest, halves up.
        let level = nearest(root.checked_mul(wanted.min(total))?, total.checked_mul(1024)?);
        marks.push(Some(Mark { root, scale, level }));
    }
    Some(marks)
}

fn nearest(part: i128, whole: i128) -> i128 {
    let (quotient, rest) = (part / whole, part % whole);
    if rest >= whole - rest { quotient + 1 } else { quotient }
}

/// Squared distance of a node's level from the mark, scaled.
fn distance(mark: &Mark, capacity: i64, held: i128) -> Option<i128> {
    let capacity = i128::from(capacity);
    if capacity == 0 {
        return Some(0);
    }
    let counted = held.min(4 * capacity * ONE);
    let factor = mark.root.checked_mul(mark.scale)? / capacity;
    let level = nearest(counted.checked_mul(factor)?, mark.scale.checked_mul(1024 * ONE)?);
    let off = level - mark.level;
    off.checked_mul(off)?.checked_mul(ONE)
}

/// Load, balance, variance, price and fragmentation of one node.
pub(super) fn node_points(problem: &Problem, marks: &[Option<Mark>], id: NodeId, held: &Held) -> Option<[i128; 5]> {
    let weights = &problem.objective;
    let capacity: Vec<i128> = problem.allocatable(id).iter().map(|amount| i128::from(*amount) * ONE).collect();
    let mut load = 0i128;
    for (r, soft) in problem.soft_limit(id).iter().enumerate() {
        let above = (held.amounts[r] - i128::from(*soft) * ONE).max(0);
        load = load.checked_add(above.checked_mul(i128::from(problem.resources[r].load_weight))?)?;
    }
    let mut balance = 0i128;
    for term in &weights.balance {
        let [free, other] = [term.resource, term.other].map(|r| capacity[r.index()] - held.amounts[r.index()]);
        let missing = free.checked_mul(i128::from(term.target))?.checked_sub(other)?.max(0);
        balance = balance.checked_add(missing.checked_mul(i128::from(term.weight))?)?;
    }
    let mut variance = 0i128;
    for (r, mark) in marks.iter().enumerate() {
        if let Some(mark) = mark {
            variance = variance.checked_add(distance(mark, problem.allocatable(id)[r], held.amounts[r])?)?;
        }
    }
    let host = &problem.nodes[id.index()];
    let in_use = i128::from(held.pieces > 0);
    let price = (in_use * i128::from(host.price)).checked_mul(i128::from(weights.price_weight))?.checked_mul(ONE)?;
    let mut lost = 0i128;
    if weights.fragmentation_weight > 0 {
        for item in &weights.mix {
            lost = lost.checked_add(i128::from(item.parts).checked_mul(useless(host, held, &capacity, item))?)?;
        }
    }
    let fragmentation = lost.checked_mul(i128::from(weights.fragmentation_weight))?.checked_mul(ONE)?;
    Some([load, balance, variance, price, fragmentation])
}

/// Free device milli of a node that an expected task cannot use.
fn useless(host: &Node, held: &Held, capacity: &[i128], item: &crate::model::MixItem) -> i128 {
    let (mut free_all, mut free_usable, mut usable) = (0, 0, 0);
    for ((device, used), memory) in host.devices.iter().zip(&held.milli).zip(&held.memory) {
        let free = (i128::from(DEVICE_MILLI) - used).max(0);
        free_all += free;
        let asked = i128::from(item.device.memory);
        let is_roomy = free >= i128::from(item.device.milli) && (asked == 0 || memory + asked <= device.memory.into());
        if is_roomy && suits(&item.device, device) {
            free_usable += free;
            usable += 1;
        }
    }
    let room = |r: usize| capacity[r] - held.amounts[r] >= i128::from(item.requirement[r]) * ONE;
    let fits = usable >= item.device.count && (0..capacity.len()).all(room);
    if fits { free_all - free_usable } else { free_all }
}

/// For tests and for whoever wants the second opinion on a state: violations and score.
pub fn recount(problem: &Problem, placement: &Placement) -> (Vec<Violation>, Option<Score>) {
    (broken_rules(problem, placement.spots()), points(problem, placement.spots()))
}
