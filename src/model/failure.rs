//! What is left when nodes fail? The state right after, as a problem of its own.

use super::{GroupId, MoveRules, NodeId, Objective, Placement, Problem, SHARE_ONE, Share, Sharing, Spot, TaskId};
use std::collections::BTreeSet;

/// The problem right after a failure, cut down to the tasks that matter for whoever wants to bring back what was lost.
#[derive(Debug, Clone)]
pub struct Aftermath {
    /// The failed nodes have no room and nobody may come. What ran there waits (what of a divisible task ran elsewhere, runs on);
    /// all others are pinned. Nothing has points.
    pub problem: Problem,
    /// Each task's id before.
    pub tasks: Vec<TaskId>,
    /// Tasks (of the new problem) that lost something. An elastic one is a rigid one of its least share.
    pub lost: Vec<TaskId>,
    /// No amount had to be rounded for that, and no divisible task lost anything: what cannot be brought back here, cannot.
    pub is_exact: bool,
}

impl Problem {
    /// The problem for looking at the current state alone, `placement` being that state: no points, no limits on moves.
    pub fn settled(&self, placement: &Placement) -> Problem {
        let mut problem = self.clone();
        problem.current = placement.clone();
        problem.under_way.clear();
        problem.objective = Objective::default();
        problem.moves = MoveRules { max_moves: None, simultaneous: false, ..self.moves.clone() };
        for resource in &mut problem.resources {
            (resource.load_weight, resource.variance_weight) = (0, 0);
        }
        problem
    }

    /// What is left of a settled problem when nodes fail. Tasks without a say in what becomes of the lost ones (whole, without
    /// devices, in no group that has to do with them) are left out; their nodes have less room instead.
    pub fn after_failure(&self, failed: &[NodeId]) -> Aftermath {
        let mut has_failed = vec![false; self.nodes.len()];
        failed.iter().for_each(|node| has_failed[node.index()] = true);
        let is_failed = |node: NodeId| has_failed[node.index()];
        let is_lost = |task: TaskId| self.current.spot(task).pieces().iter().any(|piece| is_failed(piece.node));
        let related = self.related(self.task_ids().filter(|task| is_lost(*task)));
        let is_whole = |spot: &Spot| matches!(spot, Spot::On(piece) if piece.share == Share::ONE && piece.devices == 0);
        let stays = |task: TaskId| {
            let spec = &self.tasks[task.index()];
            let spot = self.current.spot(task);
            is_lost(task)
                || spot.is_placed() && (!is_whole(spot) || spec.device.is_some())
                || spec.group.is_some_and(|group| related.contains(&group))
        };
        let tasks: Vec<TaskId> = self.task_ids().filter(|task| stays(*task)).collect();
        let mut problem = self.clone();
        problem.tasks = tasks.iter().map(|task| self.tasks[task.index()].clone()).collect();
        problem.requirement = tasks.iter().flat_map(|task| self.requirement(*task).iter().copied()).collect();
        let width = self.resources.len();
        for task in self.task_ids().filter(|task| !stays(*task)) {
            for piece in self.current.spot(task).pieces() {
                let row = &mut problem.allocatable[piece.node.index() * width..][..width];
                row.iter_mut().zip(self.requirement(task)).for_each(|(room, taken)| *room -= taken);
            }
        }
        // What is overfull takes nobody, as before.
        problem.allocatable.iter_mut().for_each(|room| *room = (*room).max(0));
        for node in failed {
            problem.nodes[node.index()].cordoned = true;
            problem.allocatable[node.index() * width..][..width].fill(0);
        }
        let left = |task: &TaskId| {
            let pieces = self.current.spot(*task).pieces().iter();
            Spot::from_pieces(pieces.filter(|piece| !is_failed(piece.node)).copied().collect())
        };
        problem.current = Placement::from_spots(tasks.iter().map(left).collect());
        for group in &mut problem.groups {
            group.members.clear();
        }
        for (t, task) in problem.tasks.iter_mut().enumerate() {
            (task.weight, task.move_cost) = (0, 0);
            task.pinned |= !is_lost(tasks[t]);
            if let Some(group) = task.group {
                problem.groups[group.index()].members.push(TaskId::new(t));
            }
        }
        let lost: Vec<TaskId> = (0..tasks.len()).filter(|t| is_lost(tasks[*t])).map(TaskId::new).collect();
        let mut is_exact = true;
        lost.iter().for_each(|task| is_exact &= problem.make_rigid(*task));
        Aftermath { problem, tasks, lost, is_exact }
    }

    /// Makes an elastic task a rigid one of its least share, amounts rounded up; false when they had to be, or for a divisible task.
    pub fn make_rigid(&mut self, task: TaskId) -> bool {
        let spec = &mut self.tasks[task.index()];
        let Sharing::Elastic { min } = spec.sharing else { return spec.sharing == Sharing::Rigid };
        spec.sharing = Sharing::Rigid;
        let width = self.resources.len();
        let (one, parts) = (i128::from(SHARE_ONE), i128::from(min.parts()));
        let mut is_whole = true;
        for amount in &mut self.requirement[task.index() * width..][..width] {
            let scaled = i128::from(*amount) * parts;
            is_whole &= scaled % one == 0;
            *amount = ((scaled + one - 1) / one) as i64;
        }
        is_whole
    }

    /// The problem with nodes that have so many thousandths less: whoever searches in it leaves that much free.
    pub fn with_less(&self, thousandths: i64) -> Problem {
        let mut problem = self.clone();
        let less = |amount: i64| (i128::from(amount) * i128::from(1000 - thousandths) / 1000) as i64;
        // What burst and spot pools count by is no room.
        let (own, width) = (self.own_resources().len(), self.resources.len().max(1));
        problem
            .allocatable
            .chunks_mut(width)
            .flat_map(|row| &mut row[..own])
            .for_each(|amount| *amount = less(*amount));
        problem
    }

    /// Groups whose rules these tasks have a part in: their own, those that need these, and what any of those needs.
    pub fn related(&self, tasks: impl Iterator<Item = TaskId>) -> BTreeSet<GroupId> {
        let own: BTreeSet<_> = tasks.filter_map(|task| self.tasks[task.index()].group).collect();
        let needs = |group: GroupId| self.groups[group.index()].depends_on.iter().map(|need| need.group);
        let mut all = own.clone();
        all.extend(self.group_ids().filter(|group| needs(*group).any(|other| own.contains(&other))));
        let needed: Vec<_> = all.iter().flat_map(|group| needs(*group)).collect();
        all.extend(needed);
        all
    }

    /// Does a task end with the node that it is on? Whoever is pinned may not run elsewhere, and nobody waits for it.
    pub fn ends_with_node(&self, task: TaskId) -> bool {
        self.tasks[task.index()].pinned
    }

    /// Least total share, in parts, with which a task counts as running again after it lost `lost` parts of `before`.
    pub fn least_parts(&self, task: TaskId, before: u32) -> u32 {
        match self.tasks[task.index()].sharing {
            Sharing::Rigid => SHARE_ONE,
            Sharing::Elastic { min } => min.parts(),
            Sharing::Divisible => before,
        }
    }
}
