//! What does one move change, in points and in excess? A placement that is changed move by move at a price that does not
//! grow with the cluster.
//!
//! The sums of the gains over any sequence of moves equal the difference of `model::score`, and those of the excess the
//! difference of `model::total_excess` but for the two rules of a whole plan (`move_budget`, `transient`); tests hold it
//! to both.

use super::slots::{Slots, domains};
use crate::model::{
    DEVICE_MILLI, DomainId, GroupId, LevelId, NodeId, Placement, Problem, ResourceId, SHARE_ONE, Spot, TaskId, Usage,
    fragmentation, is_moved, move_cost, node_cost, task_violations, total_excess,
};
use std::collections::{BTreeSet, HashMap};

/// What a move changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Change {
    /// Scaled objective after minus before.
    pub(super) gain: i128,
    /// Total excess after minus before.
    pub(super) excess: i128,
}

impl std::ops::AddAssign for Change {
    fn add_assign(&mut self, other: Change) {
        self.gain += other.gain;
        self.excess += other.excess;
    }
}

pub(super) struct Tally<'a> {
    problem: &'a Problem,
    slots: &'a Slots,
    placement: Placement,
    usage: Usage,
    present: Vec<HashMap<DomainId, u32>>,
    placed: Vec<usize>,
    moved: Vec<usize>,
    /// How many groups have moved 0, 1, 2 … tasks.
    groups_by_moved: Vec<usize>,
    moved_most: usize,
}

impl<'a> Tally<'a> {
    /// Starts from the current placement.
    pub(super) fn new(problem: &'a Problem, slots: &'a Slots) -> Tally<'a> {
        let largest = problem.groups.iter().map(|group| group.members.len()).max().unwrap_or(0);
        let mut groups_by_moved = vec![0; largest + 1];
        groups_by_moved[0] = problem.groups.len();
        let mut tally = Tally {
            problem,
            slots,
            placement: problem.current.clone(),
            usage: Usage::of(problem, &problem.current),
            present: vec![HashMap::new(); slots.len()],
            placed: vec![0; problem.groups.len()],
            moved: vec![0; problem.groups.len()],
            groups_by_moved,
            moved_most: 0,
        };
        for group in problem.group_ids() {
            for task in &problem.groups[group.index()].members {
                tally.count(group, problem.current.spot(*task), true);
            }
        }
        tally
    }

    pub(super) fn placement(&self) -> &Placement {
        &self.placement
    }

    pub(super) fn into_placement(self) -> Placement {
        self.placement
    }

    /// Puts a task on a spot.
    pub(super) fn apply(&mut self, task: TaskId, to: &Spot) -> Change {
        let problem = self.problem;
        let from = self.placement.spot(task).clone();
        let nodes: BTreeSet<NodeId> = from.pieces().iter().chain(to.pieces()).map(|piece| piece.node).collect();
        let group = problem.tasks[task.index()].group;
        let touched: Vec<(LevelId, BTreeSet<DomainId>)> = group.map_or_else(Vec::new, |group| {
            let both = |level| domains(problem, &from, level).into_iter().chain(domains(problem, to, level)).collect();
            self.slots.of_group(group).iter().map(|(level, _)| (*level, both(*level))).collect()
        });
        let before = self.local(task, &nodes, &touched);
        self.usage.remove(problem, task, &from);
        self.usage.add(problem, task, to);
        let was_moved = is_moved(problem, &self.placement, task);
        self.placement.set(task, to.clone());
        if let Some(group) = group {
            self.count(group, &from, false);
            self.count(group, to, true);
            let now_moved = is_moved(problem, &self.placement, task);
            self.count_moved(group, usize::from(was_moved), usize::from(now_moved));
        }
        let after = self.local(task, &nodes, &touched);
        Change { gain: after.gain - before.gain, excess: after.excess - before.excess }
    }

    /// All points and excess that a move of `task` between `nodes` can change.
    fn local(&self, task: TaskId, nodes: &BTreeSet<NodeId>, touched: &[(LevelId, BTreeSet<DomainId>)]) -> Change {
        let (problem, objective) = (self.problem, &self.problem.objective);
        let one = i128::from(SHARE_ONE);
        let spec = &problem.tasks[task.index()];
        let spot = self.placement.spot(task);
        let mut sum = Change::default();
        for node in nodes {
            sum.gain -= self.node_points(*node);
            sum.excess += self.node_excess(*node);
        }
        sum.gain += i128::from(spec.weight) * i128::from(spot.total_parts());
        if is_moved(problem, &self.placement, task) {
            sum.gain -= move_cost(problem, task, spot).into_iter().sum::<i128>();
        }
        sum.gain -= i128::from(objective.group_move_weight) * self.moved_most as i128 * one;
        sum.excess += total_excess(&task_violations(problem, task, spot));
        if let Some(group) = spec.group {
            sum.excess += self.group_excess(group, touched);
        }
        sum
    }

    fn node_points(&self, node: NodeId) -> i128 {
        let (problem, objective) = (self.problem, &self.problem.objective);
        let one = i128::from(SHARE_ONE);
        let mut points = node_cost(problem, node, self.usage.amounts(node)).into_iter().sum::<i128>();
        if self.usage.pieces(node) > 0 {
            points += i128::from(objective.price_weight) * i128::from(problem.nodes[node.index()].price) * one;
        }
        if objective.fragmentation_weight > 0 {
            points += i128::from(objective.fragmentation_weight) * fragmentation(problem, &self.usage, node) * one;
        }
        points
    }

    fn node_excess(&self, node: NodeId) -> i128 {
        let one = i128::from(SHARE_ONE);
        let mut excess = 0;
        for (r, capacity) in self.problem.allocatable(node).iter().enumerate() {
            let over = self.usage.amount(node, ResourceId::new(r)) - i128::from(*capacity) * one;
            excess += (over.max(0) + one - 1) / one;
        }
        let over = |used: &u32| i128::from(used.saturating_sub(DEVICE_MILLI));
        let memory = self.usage.device_memory(node).iter().zip(&self.problem.nodes[node.index()].devices);
        let over_memory = memory.map(|(used, device)| (used - i128::from(device.memory)).max(0));
        excess + self.usage.devices(node).iter().map(over).sum::<i128>() + over_memory.sum::<i128>()
    }

    fn group_excess(&self, group: GroupId, touched: &[(LevelId, BTreeSet<DomainId>)]) -> i128 {
        let spec = &self.problem.groups[group.index()];
        let placed = self.placed[group.index()];
        let mut excess = 0;
        for spread in &spec.spread {
            let covered = self.present[self.slots.get(group, spread.level)].len();
            excess += (spread.min as usize).min(placed).saturating_sub(covered);
        }
        if let Some(gang) = spec.gang.filter(|_| placed > 0) {
            excess += (gang.least as usize).saturating_sub(placed);
            let covered = |level| self.present[self.slots.get(group, level)].len();
            excess += gang.within.map_or(0, |level| covered(level).saturating_sub(1));
        }
        for (level, domain) in touched.iter().flat_map(|(level, list)| list.iter().map(move |d| (*level, *d))) {
            let own = self.head_count(group, level, domain);
            if spec.conflict.contains(&level) {
                excess += own.saturating_sub(1);
            }
            for need in spec.depends_on.iter().filter(|need| need.level == level) {
                excess += usize::from(own > 0 && self.head_count(need.group, level, domain) == 0);
            }
            for (other, _) in self.slots.dependants(group).iter().filter(|(_, other_level)| *other_level == level) {
                excess += usize::from(own == 0 && self.head_count(*other, level, domain) > 0);
            }
        }
        excess as i128
    }

    fn head_count(&self, group: GroupId, level: LevelId, domain: DomainId) -> usize {
        self.present[self.slots.get(group, level)].get(&domain).map_or(0, |count| *count as usize)
    }

    fn count(&mut self, group: GroupId, spot: &Spot, arrives: bool) {
        if spot.is_placed() {
            let placed = &mut self.placed[group.index()];
            *placed = if arrives { *placed + 1 } else { *placed - 1 };
        }
        for (level, slot) in self.slots.of_group(group) {
            for domain in domains(self.problem, spot, *level) {
                let count = self.present[*slot].entry(domain).or_default();
                *count = if arrives { *count + 1 } else { *count - 1 };
                if *count == 0 {
                    self.present[*slot].remove(&domain);
                }
            }
        }
    }

    fn count_moved(&mut self, group: GroupId, before: usize, after: usize) {
        let moved = &mut self.moved[group.index()];
        self.groups_by_moved[*moved] -= 1;
        *moved = *moved + after - before;
        self.groups_by_moved[*moved] += 1;
        self.moved_most = self.moved_most.max(*moved);
        while self.moved_most > 0 && self.groups_by_moved[self.moved_most] == 0 {
            self.moved_most -= 1;
        }
    }
}
