//! Which single steps still pay? The last look at a placement: each task alone against all nodes, as the model counts.
//!
//! ```text
//! step      a waiting task starts, a running one goes elsewhere or home, an elastic one takes another share, a divisible one grows
//! worth     more points; at even points a start, and a way home
//! order     the step that brings most first; what it brings is asked again before it is made
//! ```
//!
//! Annealing under a small move budget may never see a state within it, and packs elastic tasks at their least share and divisible
//! ones not at all. Whatever it leaves, here no rule becomes more broken, in points of the model, and the budget holds.

use super::fill::best_parts;
use crate::control::Control;
use crate::kernel::layout::device_word;
use crate::kernel::points::fit_devices;
use crate::model::{
    DEVICE_MILLI, GroupId, NodeId, Piece, Placement, Problem, SHARE_ONE, Share, Sharing, Spot, TaskId, Usage,
    fragmentation, group_violations, is_moved, move_cost, newcomer_forbidden, node_cost, occupied, task_violations,
    worsened,
};
use rayon::prelude::*;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Looks of a task at a node that are always granted: a second or two of one core.
pub const LOOKS_MIN: u64 = 1 << 22;
/// Of the candidates that a search judges, this part is granted: a look takes about ten times as long as a candidate.
pub const LOOKS_PART: u64 = 32;
/// Looks between two questions whether to stop.
const LOOKS_BETWEEN: usize = 1 << 18;
/// Of all looks this part may be spent on finding steps: the rest is for making them.
const SCAN_PART: (u64, u64) = (3, 4);
/// Targets of one task that the rules of groups are asked about, the best first.
const ASKED_MAX: usize = 16;

/// The placement after every single step that pays, as far as looks and time last.
pub fn polish(problem: &Problem, placement: Placement, looks: u64, control: &Control) -> Placement {
    let mut ground = Ground::new(problem, placement);
    let nodes = problem.nodes.len() as u64;
    let order = ground.order();
    let mut looks_left = looks;
    loop {
        let mut open: BinaryHeap<(i128, Reverse<TaskId>)> = BinaryHeap::new();
        let mut scan_left = looks_left / SCAN_PART.1 * SCAN_PART.0;
        for tile in order.chunks((LOOKS_BETWEEN / (nodes as usize).max(1)).clamp(1, 1024)) {
            let cost = tile.len() as u64 * nodes;
            if control.must_stop() || cost > scan_left {
                break;
            }
            (scan_left, looks_left) = (scan_left - cost, looks_left - cost);
            let best = |asked: &mut Option<Asked>, task: &TaskId| {
                let step = ground.best(*task, asked)?;
                Some((step.gain, Reverse(*task)))
            };
            open.extend(tile.par_iter().map_init(|| None, best).collect::<Vec<_>>().into_iter().flatten());
        }
        let mut asked: Option<Asked> = None;
        let mut is_changed = false;
        while let Some((_, Reverse(task))) = open.pop() {
            if control.must_stop() || nodes > looks_left {
                return ground.placement;
            }
            looks_left -= nodes;
            let Some(step) = ground.best(task, &mut asked) else { continue };
            if open.peek().is_some_and(|(next, _)| step.gain < *next) {
                open.push((step.gain, Reverse(task)));
                continue;
            }
            if let Some(asked) = &mut asked {
                asked.usage.remove(problem, task, ground.placement.spot(task));
                asked.usage.add(problem, task, &step.to);
                asked.placement.set(task, step.to.clone());
            }
            ground.make(task, step.to);
            is_changed = true;
        }
        if !is_changed {
            return ground.placement;
        }
    }
}

/// A step of a task.
struct Step {
    /// Scaled points.
    gain: i128,
    to: Spot,
}

/// A copy of what stands, to try a step in.
struct Asked {
    placement: Placement,
    usage: Usage,
}

/// A placement and its sums.
struct Ground<'a> {
    problem: &'a Problem,
    placement: Placement,
    /// What runs.
    usage: Usage,
    /// What is held, by those as well that have left, where moves are simultaneous.
    held: Option<Usage>,
    /// Points of each node.
    points: Vec<i128>,
    moved: u32,
    moved_in_group: Vec<u32>,
    /// The largest number moved in a group, and how many groups have it.
    most: (u32, usize),
    /// Groups whose rules a member of a group can break, its own among them; empty where there are no rules.
    ruled: Vec<Vec<GroupId>>,
}

/// What is free for a task on a node, and used there, without itself. Shape: resources.
struct Rows {
    room: Vec<i128>,
    used: Vec<i128>,
}

impl<'a> Ground<'a> {
    fn new(problem: &'a Problem, placement: Placement) -> Ground<'a> {
        let usage = Usage::of(problem, &placement);
        let held = problem.moves.simultaneous.then(|| Usage::of(problem, &occupied(problem, &placement)));
        let points = problem.node_ids().map(|node| node_points(problem, &usage, node)).collect();
        let mut ground = Ground {
            problem,
            usage,
            held,
            points,
            moved: 0,
            moved_in_group: vec![0; problem.groups.len()],
            most: (0, 0),
            ruled: ruled(problem),
            placement,
        };
        for task in problem.task_ids().filter(|task| is_moved(problem, &ground.placement, *task)) {
            ground.moved += 1;
            if let Some(group) = problem.tasks[task.index()].group {
                ground.moved_in_group[group.index()] += 1;
            }
        }
        ground.count_most();
        ground
    }

    fn count_most(&mut self) {
        let most = self.moved_in_group.iter().copied().max().unwrap_or(0);
        self.most = (most, self.moved_in_group.iter().filter(|moved| **moved == most).count());
    }

    /// Who is looked at first when not all can be: who waits, who has a share, then those on the nodes that cost most.
    fn order(&self) -> Vec<TaskId> {
        let problem = self.problem;
        let mut order: Vec<TaskId> = problem.task_ids().filter(|task| !problem.tasks[task.index()].pinned).collect();
        order.sort_by_cached_key(|task| {
            let spot = self.placement.spot(*task);
            let rank = match problem.tasks[task.index()].sharing {
                _ if !spot.is_placed() => 0,
                Sharing::Rigid => 2,
                _ => 1,
            };
            (rank, Reverse(spot.node().map_or(0, |node| self.points[node.index()])), *task)
        });
        order
    }

    /// The step of a task that brings most, the lowest node of equals; `None` when none pays.
    fn best(&self, task: TaskId, asked: &mut Option<Asked>) -> Option<Step> {
        let problem = self.problem;
        let spec = &problem.tasks[task.index()];
        let spot = self.placement.spot(task);
        let was_moved = is_moved(problem, &self.placement, task);
        let is_rigid = spec.sharing == Sharing::Rigid;
        let in_budget = problem.moves.max_moves.is_none_or(|most| self.moved < most);
        if is_rigid && spot.is_placed() && !was_moved && !in_budget && problem.current.spot(task).is_placed() {
            return None;
        }
        if self.stays_held(task) {
            return None;
        }
        let left = self.left_behind(task, asked);
        let before = i128::from(spec.weight) * i128::from(spot.total_parts()) - self.move_points(task, spot);
        let rules = spec.group.map_or(&[][..], |group| &self.ruled[group.index()]);
        let mut found: Vec<(Reverse<i128>, NodeId, Spot)> = Vec::new();
        for node in problem.node_ids() {
            if spot.is_on(node) && is_rigid {
                continue;
            }
            let Some((to, added)) = self.target(task, spot, node, asked) else { continue };
            let is_after = problem.current.spot(task).is_placed() && !problem.current.spot(task).same_nodes(&to);
            if is_after && !was_moved && !in_budget {
                continue;
            }
            let after = i128::from(spec.weight) * i128::from(to.total_parts()) - self.move_points(task, &to);
            // A divisible task leaves nothing; whoever stays on a node has left it before.
            let leaves = if spec.sharing == Sharing::Divisible { 0 } else { left };
            let gain = after - before + leaves - added - self.group_points(task, was_moved, is_after);
            let starts = !spot.is_placed() || (was_moved && !is_after);
            if gain > 0 || gain == 0 && starts {
                found.push((Reverse(gain), node, to));
                if rules.is_empty() && found.len() > 1 {
                    found.sort_unstable_by_key(|(gain, node, _)| (*gain, *node));
                    found.truncate(1);
                }
            }
        }
        found.sort_unstable_by_key(|(gain, node, _)| (*gain, *node));
        let may = |(_, _, to): &(Reverse<i128>, NodeId, Spot)| self.keeps_rules(task, to, rules, asked);
        found.into_iter().take(ASKED_MAX).find(may).map(|(Reverse(gain), _, to)| Step { gain, to })
    }

    /// Is a node more broken when a task leaves it and still holds its room, where moves are simultaneous?
    fn stays_held(&self, task: TaskId) -> bool {
        let Some(held) = &self.held else { return false };
        let problem = self.problem;
        let home = problem.current.spot(task);
        let request = problem.tasks[task.index()].device.as_ref();
        let [milli, memory] = request.map_or([0, 0], |request| [i128::from(request.milli), i128::from(request.memory)]);
        // What runs and what is held, each beyond the limit; what is held counts once something has left.
        let excess = |used: i128, held: i128, limit: i128| {
            (used - limit).max(0) + if held > used { (held - limit).max(0) } else { 0 }
        };
        let is_worse = |piece: &Piece| {
            let (used, held_here) = (self.usage.amounts(piece.node), held.amounts(piece.node));
            let mut change = 0;
            for r in (0..used.len()).filter(|r| problem.resources[*r].transient) {
                let own = i128::from(problem.requirement(task)[r]) * i128::from(piece.share.parts());
                let limit = i128::from(problem.allocatable(piece.node)[r]) * i128::from(SHARE_ONE);
                change += excess(used[r] - own, held_here[r], limit) - excess(used[r], held_here[r], limit);
            }
            let devices = self.usage.devices(piece.node).iter().zip(held.devices(piece.node)).enumerate();
            for (_, (used, held)) in devices.filter(|(d, _)| piece.devices >> d & 1 == 1) {
                let (used, held, limit) = (i128::from(*used), i128::from(*held), i128::from(DEVICE_MILLI));
                change += excess(used - milli, held, limit) - excess(used, held, limit);
            }
            let devices = self.usage.device_memory(piece.node).iter().zip(held.device_memory(piece.node)).enumerate();
            let own = &problem.nodes[piece.node.index()].devices;
            for (d, (used, held)) in devices.filter(|(d, _)| piece.devices >> d & 1 == 1 && own[*d].memory > 0) {
                let limit = i128::from(own[d].memory);
                change += excess(used - memory, *held, limit) - excess(*used, *held, limit);
            }
            change > 0
        };
        self.placement.spot(task).pieces().iter().filter(|piece| home.is_on(piece.node)).any(is_worse)
    }

    /// Points that the nodes of a task lose when it goes.
    fn left_behind(&self, task: TaskId, asked: &mut Option<Asked>) -> i128 {
        let spot = self.placement.spot(task);
        if self.problem.tasks[task.index()].sharing == Sharing::Divisible {
            return 0;
        }
        let Some(node) = spot.node() else { return 0 };
        self.points[node.index()] - self.points_without(task, node, asked)
    }

    fn points_without(&self, task: TaskId, node: NodeId, asked: &mut Option<Asked>) -> i128 {
        let (problem, spot) = (self.problem, self.placement.spot(task));
        if problem.objective.fragmentation_weight > 0 {
            let usage = &mut self.asked(asked).usage;
            usage.remove(problem, task, spot);
            let points = node_points(problem, usage, node);
            usage.add(problem, task, spot);
            return points;
        }
        let used = self.rows(task, node).used;
        let is_alone = self.usage.pieces(node) == 1;
        node_cost(problem, node, &used).into_iter().sum::<i128>() + if is_alone { 0 } else { price(problem, node) }
    }

    /// Where a task would be on a node, and the points that the node would cost more than without it; `None` when it has no room
    /// there or may not come.
    fn target(&self, task: TaskId, spot: &Spot, node: NodeId, asked: &mut Option<Asked>) -> Option<(Spot, i128)> {
        let problem = self.problem;
        let spec = &problem.tasks[task.index()];
        let requirement = problem.requirement(task);
        // Cheapest first: most nodes are full.
        let least = match spec.sharing {
            Sharing::Rigid => SHARE_ONE,
            Sharing::Elastic { min } => min.parts(),
            Sharing::Divisible => 1,
        };
        let own = spot.pieces().iter().find(|piece| piece.node == node);
        if own.is_none() {
            let (used, capacity) = (self.usage.amounts(node), problem.allocatable(node));
            let is_full = |r: usize| {
                let needed = i128::from(requirement[r]) * i128::from(least);
                needed > 0 && used[r] + needed > i128::from(capacity[r]) * i128::from(SHARE_ONE)
            };
            if (0..requirement.len()).any(is_full) {
                return None;
            }
        }
        let is_home = problem.current.spot(task).is_on(node);
        if !is_home && own.is_none() && newcomer_forbidden(problem, task, node).is_some() {
            return None;
        }
        let Rows { room, used } = self.rows(task, node);
        let fits = |parts: u32| {
            let mut rows = requirement.iter().zip(room.iter().zip(&used));
            rows.all(|(amount, (room, used))| *amount == 0 || used + i128::from(*amount) * i128::from(parts) <= *room)
        };
        let parts = match spec.sharing {
            Sharing::Rigid => SHARE_ONE,
            Sharing::Elastic { .. } => best_parts(problem, task, node, &room, &used, SHARE_ONE).max(least),
            Sharing::Divisible => {
                let most = u64::from(SHARE_ONE).saturating_sub(spot.total_parts()) as u32;
                best_parts(problem, task, node, &room, &used, most)
            }
        };
        if parts == 0 || !fits(parts) {
            return None;
        }
        let devices = self.devices(task, node, is_home)?;
        let piece = |parts: u32| Piece { node, share: Share::from_parts(parts).expect("at most 1"), devices };
        let to = match (spec.sharing, own) {
            (Sharing::Divisible, Some(own)) => {
                let others = spot.pieces().iter().filter(|piece| piece.node != node).copied();
                Spot::from_pieces(others.chain([piece(own.share.parts() + parts)]).collect())
            }
            (Sharing::Divisible, None) => {
                Spot::from_pieces(spot.pieces().iter().copied().chain([piece(parts)]).collect())
            }
            _ => Spot::On(piece(parts)),
        };
        if to == *spot {
            return None;
        }
        // Home may break a rule that leaving it has mended.
        if is_home && own.is_none() && !task_violations(problem, task, &to).is_empty() {
            return None;
        }
        let before = match spec.sharing {
            Sharing::Divisible => self.points[node.index()],
            _ if own.is_some() => self.points_without(task, node, asked),
            _ => self.points[node.index()],
        };
        let after = if problem.objective.fragmentation_weight > 0 {
            let usage = &mut self.asked(asked).usage;
            usage.remove(problem, task, spot);
            usage.add(problem, task, &to);
            let points = node_points(problem, usage, node);
            usage.remove(problem, task, &to);
            usage.add(problem, task, spot);
            points
        } else {
            let used: Vec<i128> =
                requirement.iter().zip(&used).map(|(a, u)| u + i128::from(*a) * i128::from(parts)).collect();
            node_cost(problem, node, &used).into_iter().sum::<i128>() + price(problem, node)
        };
        Some((to, after - before))
    }

    /// The rows of a node for a task: without what it runs there, but for a divisible one, which only grows.
    fn rows(&self, task: TaskId, node: NodeId) -> Rows {
        let problem = self.problem;
        let spec = &problem.tasks[task.index()];
        let requirement = problem.requirement(task);
        let parts = |pieces: &[Piece]| {
            let here = pieces.iter().find(|piece| piece.node == node);
            here.map_or(0, |piece| i128::from(piece.share.parts()))
        };
        let spot = self.placement.spot(task);
        let is_divisible = spec.sharing == Sharing::Divisible;
        let runs = if is_divisible { 0 } else { parts(spot.pieces()) };
        let scaled = |amount: &i64| i128::from(*amount) * i128::from(SHARE_ONE);
        let mut room: Vec<i128> = problem.allocatable(node).iter().map(scaled).collect();
        let used: Vec<i128> =
            self.usage.amounts(node).iter().zip(requirement).map(|(used, a)| used - i128::from(*a) * runs).collect();
        if let Some(held) = &self.held {
            // What it left behind itself does not stand in its way back.
            let own = if spot.is_on(node) { 0 } else { parts(problem.current.spot(task).pieces()) };
            for r in (0..room.len()).filter(|r| problem.resources[*r].transient) {
                let left = held.amounts(node)[r] - self.usage.amounts(node)[r];
                room[r] -= left - i128::from(requirement[r]) * own;
            }
        }
        Rows { room, used }
    }

    /// Devices for a task on a node: at home those that it had.
    fn devices(&self, task: TaskId, node: NodeId, is_home: bool) -> Option<u64> {
        let Some(request) = &self.problem.tasks[task.index()].device else { return Some(0) };
        let spot = self.placement.spot(task);
        let home = self.problem.current.spot(task);
        let (usage, host) = (self.held.as_ref().unwrap_or(&self.usage), &self.problem.nodes[node.index()]);
        let (mut milli, mut memory) = (usage.devices(node).to_vec(), usage.device_memory(node).to_vec());
        let is_left = self.held.is_some() && !spot.is_on(node);
        let own = spot.pieces().iter().chain(home.pieces().iter().filter(|_| is_left));
        for piece in own.filter(|piece| piece.node == node) {
            for (d, milli) in milli.iter_mut().enumerate().filter(|(d, _)| piece.devices >> d & 1 == 1) {
                debug_assert!(*milli >= request.milli, "device {d} holds what the task has there");
                *milli -= request.milli;
            }
            for (d, memory) in memory.iter_mut().enumerate().filter(|(d, _)| piece.devices >> d & 1 == 1) {
                *memory -= request.memory_on(&host.devices[d]);
            }
        }
        let has_room = |d: &usize| request.has_room(&host.devices[*d], milli[*d], memory.get(*d).copied().unwrap_or(0));
        if is_home {
            let had = home.pieces().iter().find(|piece| piece.node == node)?.devices;
            return (0..milli.len()).filter(|d| had >> d & 1 == 1).all(|d| has_room(&d)).then_some(had);
        }
        // Memory as it is, not in quanta.
        let mask = (0..milli.len()).filter(has_room).fold(0, |set, d| set | 1 << d) & request.eligible(host);
        let used: Vec<u32> = milli.iter().map(|milli| device_word((*milli).min(2 * DEVICE_MILLI), 0)).collect();
        fit_devices(&used, mask, request.count as u8, device_word(request.milli, 0))
    }

    /// Points of being away from where the task was at the start.
    fn move_points(&self, task: TaskId, spot: &Spot) -> i128 {
        let home = self.problem.current.spot(task);
        if !home.is_placed() || home.same_nodes(spot) {
            return 0;
        }
        move_cost(self.problem, task, spot).into_iter().sum()
    }

    /// What the largest number moved in a group costs more when this task is moved, or no more.
    fn group_points(&self, task: TaskId, was_moved: bool, is_moved: bool) -> i128 {
        let weight = i128::from(self.problem.objective.group_move_weight) * i128::from(SHARE_ONE);
        let Some(group) = self.problem.tasks[task.index()].group.filter(|_| weight > 0 && was_moved != is_moved) else {
            return 0;
        };
        let is_most = self.moved_in_group[group.index()] == self.most.0;
        match is_moved {
            true if is_most => weight,
            false if is_most && self.most.1 == 1 => -weight,
            _ => 0,
        }
    }

    /// The copy to try a step in.
    fn asked<'s>(&self, asked: &'s mut Option<Asked>) -> &'s mut Asked {
        asked.get_or_insert_with(|| Asked { placement: self.placement.clone(), usage: self.usage.clone() })
    }

    /// Are the rules of groups no more broken when a task is there?
    fn keeps_rules(&self, task: TaskId, to: &Spot, rules: &[GroupId], asked: &mut Option<Asked>) -> bool {
        if rules.is_empty() {
            return true;
        }
        let problem = self.problem;
        let state = &mut self.asked(asked).placement;
        let before = group_violations(problem, state, rules.iter().copied());
        state.set(task, to.clone());
        let after = group_violations(problem, state, rules.iter().copied());
        state.set(task, self.placement.spot(task).clone());
        worsened(&before, &after).is_empty()
    }

    /// Makes a step.
    fn make(&mut self, task: TaskId, to: Spot) {
        let problem = self.problem;
        let was_moved = is_moved(problem, &self.placement, task);
        let from = self.placement.spot(task).clone();
        let home = problem.current.spot(task);
        let occupies = |spot: &Spot| {
            let left = home.pieces().iter().filter(|piece| !spot.is_on(piece.node));
            Spot::from_pieces(spot.pieces().iter().chain(left).copied().collect())
        };
        self.usage.remove(problem, task, &from);
        self.usage.add(problem, task, &to);
        if let Some(held) = &mut self.held {
            held.remove(problem, task, &occupies(&from));
            held.add(problem, task, &occupies(&to));
        }
        for piece in from.pieces().iter().chain(to.pieces()) {
            self.points[piece.node.index()] = node_points(problem, &self.usage, piece.node);
        }
        self.placement.set(task, to);
        let is_moved = is_moved(problem, &self.placement, task);
        if was_moved != is_moved {
            let change = if is_moved { 1 } else { -1 };
            self.moved = self.moved.wrapping_add_signed(change);
            if let Some(group) = problem.tasks[task.index()].group {
                let moved = &mut self.moved_in_group[group.index()];
                *moved = moved.wrapping_add_signed(change);
                if problem.objective.group_move_weight > 0 {
                    self.count_most();
                }
            }
        }
    }
}

fn price(problem: &Problem, node: NodeId) -> i128 {
    let price = i128::from(problem.objective.price_weight) * i128::from(problem.nodes[node.index()].price);
    price * i128::from(SHARE_ONE)
}

/// All points of a node.
fn node_points(problem: &Problem, usage: &Usage, node: NodeId) -> i128 {
    let mut points = node_cost(problem, node, usage.amounts(node)).into_iter().sum::<i128>();
    if usage.pieces(node) > 0 {
        points += price(problem, node);
    }
    let weight = i128::from(problem.objective.fragmentation_weight);
    if weight > 0 {
        points += weight * fragmentation(problem, usage, node) * i128::from(SHARE_ONE);
    }
    points
}

/// By group: those with rules that its members can break.
fn ruled(problem: &Problem) -> Vec<Vec<GroupId>> {
    let mut ruled: Vec<Vec<GroupId>> = vec![Vec::new(); problem.groups.len()];
    for (g, group) in problem.groups.iter().enumerate() {
        let has_rules = !group.conflict.is_empty()
            || !group.spread.is_empty()
            || !group.depends_on.is_empty()
            || group.gang.is_some();
        if has_rules {
            ruled[g].push(GroupId::new(g));
        }
        for need in group.depends_on.iter().filter(|need| need.group.index() != g) {
            ruled[need.group.index()].push(GroupId::new(g));
        }
    }
    ruled.iter_mut().for_each(|groups| {
        groups.sort_unstable();
        groups.dedup();
    });
    ruled
}
