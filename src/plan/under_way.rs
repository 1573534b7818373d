//! What of moves that were under way before the plan began? The part of verification about them.
//!
//! They are no moves of the plan, and no move of the plan may be about their tasks. Until its first wave has ended they hold
//! what they leave as well as where they go.

use super::verify::Replay;
use super::{Move, Reason};
use crate::model::{Problem, Spot, TaskId};

/// Where everything is before the first wave.
pub(super) fn spots_before(problem: &Problem) -> Vec<Spot> {
    let mut spots = problem.current.spots().to_vec();
    for (task, from) in &problem.under_way {
        spots[task.index()] = from.clone();
    }
    spots
}

impl Replay<'_> {
    /// The moves that are under way, in the form of others.
    pub(super) fn under_way(&self) -> Vec<Move> {
        let step = |(task, from): &(TaskId, Spot)| {
            let to = self.problem.current.spot(*task).clone();
            Move { task: *task, from: from.clone(), to, reason: Reason::Enable, gain: 0 }
        };
        self.problem.under_way.iter().map(step).collect()
    }

    pub(super) fn is_under_way(&self, task: TaskId) -> bool {
        self.problem.under_way.binary_search_by_key(&task, |(other, _)| *other).is_ok()
    }
}
