//! Which moves, in which order, and why? The plan as data.
//!
//! A plan is a list of waves. All moves of a wave may run at the same time; the next wave starts when all have ended.

use crate::model::{Spot, TaskId};

/// Value of the `format` field of every plan file this version reads and writes.
pub const PLAN_FORMAT: &str = "bayplan-plan/1";

/// Why a move is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A waiting task starts.
    Admit,
    /// The move makes a broken rule less broken.
    Repair,
    /// The move itself lowers cost or raises value.
    Improve,
    /// The move pays only together with others (it makes room, or keeps a rule).
    Enable,
    /// A running task is stopped.
    Evict,
    /// The task stays, its share changes.
    Resize,
}

/// One task from where it is to where it will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The task.
    pub task: TaskId,
    /// Before (always the current spot of the snapshot: a task moves at most once).
    pub from: Spot,
    /// After.
    pub to: Spot,
    /// Why.
    pub reason: Reason,
    /// Scaled objective after this move minus before it, moves taken in plan order.
    pub gain: i128,
}

/// How the search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Proven: no placement is better.
    Optimal,
    /// Ran to the end of its effort.
    Feasible,
    /// Ended by the time limit or a signal.
    Interrupted,
}

/// What verification is to confirm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Fingerprint of the snapshot the plan is for.
    pub fingerprint: String,
    /// `exact` or `bulk`.
    pub solver: String,
    /// Seed of the search.
    pub seed: u64,
    /// Effort spent (candidate evaluations per task), for repeating the run.
    pub effort: u64,
    /// How the search ended.
    pub status: Status,
    /// Scaled upper bound on the objective, when one is proven.
    pub bound: Option<i128>,
    /// Scaled objective at the start and at the end.
    pub objective: (i128, i128),
    /// The moves.
    pub waves: Vec<Vec<Move>>,
    /// Tasks that stay unplaced, with the reason.
    pub unplaced: Vec<(TaskId, String)>,
    /// Moves that would have paid but have no safe order, by task.
    pub blocked: Vec<TaskId>,
}
