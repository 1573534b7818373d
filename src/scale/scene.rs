//! What is asked about: a problem as it is, and the same with its divisible tasks in pieces.
//!
//! Who counts and judges asks about the whole; who searches, about the pieces. A divisible task that runs needs what it has, no more and
//! no less: what it takes beyond is never taken away again, so that advice which let it grow would ask for more each time it is
//! followed. One that waits starts with next to nothing; [`Scene::poured`] gives it what is left where nobody counts that.

use crate::bulk;
use crate::model::{Cut, Placement, Problem, Sharing, Spot, TaskId, Usage};

/// See the head of this file. Tasks of the whole have the same number among the pieces.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    pub whole: Problem,
    pub cut: Cut,
}

impl Scene {
    /// `hopeless` are tasks that nothing can ever hold: they are no reason to buy anything, nor to keep room.
    pub fn new(mut whole: Problem, hopeless: &[TaskId]) -> Scene {
        hopeless.iter().for_each(|task| whole.tasks[task.index()].pinned = true);
        let cut = whole.cut();
        Scene { whole, cut }
    }

    /// Where everything has got to a state.
    pub fn at(&self, state: &Placement) -> Scene {
        Scene::new(self.whole.afterwards(state), &[])
    }

    /// What engines are asked.
    pub fn pieces(&self) -> &Problem {
        &self.cut.problem
    }

    /// The state where divisible tasks that waited have what is left of the nodes that are used in it.
    pub fn poured(&self, state: &Placement) -> Placement {
        let mut problem = self.whole.settled(state);
        let usage = Usage::of(&problem, state);
        for node in problem.node_ids() {
            problem.nodes[node.index()].cordoned |= usage.pieces(node) == 0;
        }
        for task in self.whole.task_ids() {
            let spec = &mut problem.tasks[task.index()];
            let was_waiting = matches!(self.whole.current.spot(task), Spot::Unplaced);
            spec.pinned |= spec.sharing != Sharing::Divisible || !was_waiting || !state.spot(task).is_placed();
        }
        bulk::fill(&problem, state.clone())
    }
}
