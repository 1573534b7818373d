//! Why can this task not run here, or there, and what would it take? One task against all nodes.
//!
//! The task is looked at as if it ran nowhere; everything else stays where it is. *What it would take* is one node, and few
//! tasks that would have to leave it: one that suffices alone is always found; of several, none is superfluous, but another choice
//! may be shorter. So it is a way, not a proof that there is no better one.

use super::obstacle::{Ground, Obstacle};
use crate::model::{DEVICE_MILLI, DeviceRequest, NodeId, Placement, Problem, Spot, TaskId};

/// Tasks moved away from one node at most: beyond it nobody calls it making room.
const CLEARED_MAX: usize = 64;

/// What one node says to a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The node.
    pub node: NodeId,
    /// The first rule in the way; `None` = it fits.
    pub obstacle: Option<Obstacle>,
    /// Tasks that would have to leave; `None` where that is not enough, empty where it fits.
    pub leave: Option<Vec<TaskId>>,
}

/// All answers, and the cheapest way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// One per node, in the order of the snapshot.
    pub answers: Vec<Answer>,
    /// The node where fewest tasks would have to leave, those that all find another place first; `None` = moving others away
    /// from one node does not help, or the task fits somewhere.
    pub room: Option<Room>,
}

/// One node made free for a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// The node.
    pub node: NodeId,
    /// Who leaves, and a node that takes it then as things stand (`None` = there is none without moving others).
    pub leave: Vec<(TaskId, Option<NodeId>)>,
}

/// Asks every node about a task in the state `placement`.
pub fn explain(problem: &Problem, placement: &Placement, task: TaskId) -> Explanation {
    let mut ground = Ground::new(problem, placement);
    ground.take(task, placement.spot(task));
    let mut here: Vec<Vec<TaskId>> = vec![Vec::new(); problem.nodes.len()];
    for other in problem.task_ids().filter(|other| *other != task && !problem.tasks[other.index()].pinned) {
        // A task in several pieces would leave several nodes.
        if let Spot::On(piece) = placement.spot(other) {
            here[piece.node.index()].push(other);
        }
    }
    let mut clearing = Clearing { problem, placement, ground, task };
    let ask = |node: NodeId| {
        let obstacle = clearing.ground.obstacle(task, node);
        let leave = match &obstacle {
            None => Some(Vec::new()),
            Some(obstacle) if obstacle.is_permanent() => None,
            Some(_) => clearing.leave(node, &here[node.index()]),
        };
        Answer { node, obstacle, leave }
    };
    let answers: Vec<Answer> = problem.node_ids().map(ask).collect();
    let is_settled = answers.iter().any(|answer| answer.obstacle.is_none());
    let room = if is_settled { None } else { clearing.cheapest(&answers) };
    Explanation { answers, room }
}

struct Clearing<'a> {
    problem: &'a Problem,
    placement: &'a Placement,
    /// Everything but the task.
    ground: Ground<'a>,
    task: TaskId,
}

impl Clearing<'_> {
    /// Who of those on a node is to leave so that the task fits; the ground is as before.
    fn leave(&mut self, node: NodeId, here: &[TaskId]) -> Option<Vec<TaskId>> {
        if let Some(one) = here.iter().find(|one| self.suffices(node, **one)) {
            return Some(vec![*one]);
        }
        let mut gone: Vec<TaskId> = Vec::new();
        while let Some(obstacle) = self.ground.obstacle(self.task, node) {
            let left = here.iter().filter(|other| !gone.contains(other)).copied();
            let next = left.max_by_key(|other| (self.help(&obstacle, *other), std::cmp::Reverse(*other)));
            let Some(next) = next.filter(|other| self.help(&obstacle, *other) > 0 && gone.len() < CLEARED_MAX) else {
                break;
            };
            self.ground.take(next, self.placement.spot(next));
            gone.push(next);
        }
        let fits = self.ground.obstacle(self.task, node).is_none();
        // Whoever is not in the way after all stays. Where one stays, another may be able to: with fewer members that leave, a group
        // may be spread over enough domains.
        let mut before = usize::MAX;
        while fits && gone.len() < before {
            before = gone.len();
            gone.retain(|other| {
                self.ground.put(*other, self.placement.spot(*other));
                let is_in_the_way = self.ground.obstacle(self.task, node).is_some();
                if is_in_the_way {
                    self.ground.take(*other, self.placement.spot(*other));
                }
                is_in_the_way
            });
        }
        gone.iter().for_each(|other| self.ground.put(*other, self.placement.spot(*other)));
        fits.then_some(gone)
    }

    fn suffices(&mut self, node: NodeId, one: TaskId) -> bool {
        let spot = self.placement.spot(one);
        self.ground.take(one, spot);
        let fits = self.ground.obstacle(self.task, node).is_none();
        self.ground.put(one, spot);
        fits
    }

    /// How much a task's leaving lessens an obstacle; 0 = not at all.
    fn help(&self, obstacle: &Obstacle, other: TaskId) -> i128 {
        let (spec, spot) = (&self.problem.tasks[other.index()], self.placement.spot(other));
        match obstacle {
            Obstacle::Amount { resource, .. } => {
                i128::from(self.problem.requirement(other)[resource.index()]) * i128::from(spot.total_parts())
            }
            Obstacle::Devices { .. } => {
                let wanted = self.problem.tasks[self.task.index()].device.as_ref();
                let suits = |(d, node): (u32, NodeId)| {
                    wanted.is_some_and(|w| w.eligible(&self.problem.nodes[node.index()]) >> d & 1 == 1)
                };
                let held = spot
                    .pieces()
                    .iter()
                    .flat_map(|piece| (0..64).filter(|d| piece.devices >> d & 1 == 1).map(|d| (d, piece.node)));
                let count = held.filter(|device| suits(*device)).count() as i128;
                let amount = |device: &DeviceRequest| match obstacle.is_memory() {
                    true => i128::from(device.memory),
                    false => i128::from(device.milli.min(DEVICE_MILLI)),
                };
                count * spec.device.as_ref().map_or(0, amount)
            }
            Obstacle::Conflict(_) | Obstacle::Spread { .. } => {
                i128::from(spec.group == self.problem.tasks[self.task.index()].group)
            }
            _ => 0,
        }
    }

    fn cheapest(&mut self, answers: &[Answer]) -> Option<Room> {
        let ways = || answers.iter().filter_map(|answer| answer.leave.as_ref().map(|leave| (answer.node, leave)));
        let least = ways().map(|(_, leave)| leave.len()).min()?;
        let mut best: Option<Room> = None;
        for (node, leave) in ways().filter(|(_, leave)| leave.len() == least) {
            let room = self.elsewhere(node, leave);
            if room.leave.iter().all(|(_, to)| to.is_some()) {
                return Some(room);
            }
            best = best.or(Some(room));
        }
        best
    }

    /// Where those who leave would fit, one after the other, once the task has taken their place; the ground is as before.
    fn elsewhere(&mut self, node: NodeId, leave: &[TaskId]) -> Room {
        leave.iter().for_each(|other| self.ground.take(*other, self.placement.spot(*other)));
        let mine = self.ground.spot(self.task, node);
        self.ground.put(self.task, &mine);
        let mut put: Vec<(TaskId, Spot)> = Vec::new();
        let mut list = Vec::new();
        for other in leave {
            let to =
                self.problem.node_ids().filter(|to| *to != node).find(|to| self.ground.obstacle(*other, *to).is_none());
            if let Some(to) = to {
                let spot = self.ground.spot(*other, to);
                self.ground.put(*other, &spot);
                put.push((*other, spot));
            }
            list.push((*other, to));
        }
        put.iter().for_each(|(other, spot)| self.ground.take(*other, spot));
        self.ground.take(self.task, &mine);
        leave.iter().for_each(|other| self.ground.put(*other, self.placement.spot(*other)));
        Room { node, leave: list }
    }
}
