//! What does one hop of a task change, and where? A move as the ordering sees it.

use super::slots::{Slots, domains};
use crate::model::{DomainId, GroupId, NodeId, Problem, Spot, TaskId};

/// What a step does to one node.
#[derive(Clone)]
pub(super) struct Touch {
    pub(super) node: NodeId,
    pub(super) parts_before: u32,
    pub(super) parts_after: u32,
    pub(super) devices_before: u64,
    pub(super) devices_after: u64,
}

/// Which part of a task's way a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hop {
    /// All of it.
    Whole,
    /// To a node where the task only waits for its turn.
    Park,
    /// It stops, to start again at its target.
    Stop,
    /// From where it waited, or from nowhere, to its target.
    Onward,
}

/// One task from where it is to where it will be, or to where it waits.
#[derive(Clone)]
pub(super) struct Step {
    pub(super) task: TaskId,
    pub(super) from: Spot,
    pub(super) to: Spot,
    pub(super) hop: Hop,
    pub(super) touches: Vec<Touch>,
    /// (slot, domain, arrives): domains that the task enters or leaves.
    pub(super) cells: Vec<(usize, DomainId, bool)>,
    pub(super) group: Option<GroupId>,
    /// The set of nodes changes.
    pub(super) changes_nodes: bool,
    /// It stops on its nodes before it starts on others, so that it never holds both.
    pub(super) restarts: bool,
}

impl Step {
    pub(super) fn new(problem: &Problem, slots: &Slots, task: TaskId, to: &Spot) -> Step {
        Step::between(problem, slots, task, [problem.current.spot(task), to], Hop::Whole)
    }

    pub(super) fn between(problem: &Problem, slots: &Slots, task: TaskId, ends: [&Spot; 2], hop: Hop) -> Step {
        let [from, to] = ends;
        let mut nodes: Vec<NodeId> = from.pieces().iter().chain(to.pieces()).map(|piece| piece.node).collect();
        nodes.sort_unstable();
        nodes.dedup();
        let held = |spot: &Spot, node: NodeId| {
            let piece = spot.pieces().iter().find(|piece| piece.node == node);
            piece.map_or((0, 0), |piece| (piece.share.parts(), piece.devices))
        };
        let touches = nodes.iter().map(|node| {
            let ((parts_before, devices_before), (parts_after, devices_after)) = (held(from, *node), held(to, *node));
            Touch { node: *node, parts_before, parts_after, devices_before, devices_after }
        });
        let is_change = |t: &Touch| t.parts_before != t.parts_after || t.devices_before != t.devices_after;
        let group = problem.tasks[task.index()].group;
        let mut cells = Vec::new();
        for (level, slot) in group.map_or(&[][..], |group| slots.of_group(group)) {
            let (before, after) = (domains(problem, from, *level), domains(problem, to, *level));
            cells.extend(before.iter().filter(|d| !after.contains(d)).map(|d| (*slot, *d, false)));
            cells.extend(after.iter().filter(|d| !before.contains(d)).map(|d| (*slot, *d, true)));
        }
        let changes_nodes = !from.same_nodes(to);
        let restarts = problem.tasks[task.index()].restarts;
        Step {
            task,
            from: from.clone(),
            to: to.clone(),
            hop,
            touches: touches.filter(is_change).collect(),
            cells,
            group,
            changes_nodes,
            restarts: restarts && changes_nodes && from.is_placed() && to.is_placed(),
        }
    }

    /// The way back; only for undoing what was tried.
    pub(super) fn reversed(&self, problem: &Problem, slots: &Slots) -> Step {
        Step::between(problem, slots, self.task, [&self.to, &self.from], Hop::Whole)
    }

    /// Counts for `max_moves`: a running task leaves a node, or stops.
    pub(super) fn is_moved(&self) -> bool {
        self.from.is_placed() && self.changes_nodes
    }

    pub(super) fn starts(&self) -> bool {
        !self.from.is_placed()
    }

    pub(super) fn stops(&self) -> bool {
        !self.to.is_placed()
    }

    /// Members of the group that are down beyond this wave: 1 when a restart begins, −1 when it ends.
    pub(super) fn down(&self) -> i64 {
        i64::from(self.hop == Hop::Stop) - i64::from(self.hop == Hop::Onward && self.starts())
    }
}
