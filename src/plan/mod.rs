//! Which moves, in which order, and why? The plan as data, and what makes a wave safe.
//!
//! A plan is a list of waves. All moves of a wave may run at the same time; the next wave starts when all have ended. A
//! plan may be cut after any wave: no rule is worse then than at the start, though points may be. [`order()`] and [`build()`]
//! make plans, [`verify()`] checks them and shares nothing with the former two but the types and the following meaning.
//!
//! # The worst moment of a wave (`moves.mode = waves`)
//!
//! Every rule of `model/rules.rs` holds after every wave. While a wave runs, nobody knows which of its moves have
//! happened, so the rules hold in the worst case:
//!
//! | rule | in the worst case |
//! |---|---|
//! | transient | on each node a task holds the larger of its shares before and after, of every resource marked transient; and the devices it held or will hold. Other resources switch at once: only before and after count |
//! | conflict | a task counts in every domain where it is before or after |
//! | spread | a domain is covered by tasks that are there before *and* after; tasks that start or stop in the wave are not yet, or no longer, among those to be spread |
//! | dependency | a task needs the other group in every domain where it is before or after; it supplies only those where it is before *and* after |
//! | gang | members that start or stop do so in the same wave; where a gang is bound to a domain, so do those that move |
//! | restart | a task that stops before it starts elsewhere holds what it holds at one place, as if it were not transient; beside others that arrive it counts, and for spread and dependency it runs nowhere meanwhile |
//! | max_unavailable | tasks of the group that ran and leave a node, or stop, and those that an earlier wave stopped to restart; starting a waiting task makes nothing unavailable |
//! | max_per_node | moves that change anything on the node |
//! | max_from_node, max_to_node | moves that give up, or take, a share of the node |
//! | max_in_flight | moves |
//! | max_per_domain | moves that change anything in the domain |
//! | max_amounts | what running tasks take along: the share that arrives times the requirement; not for a move that flies alone |
//!
//! A spread or dependency rule that sees only one task on its way (of its groups, in this wave) is judged by the states
//! before and after, unless it restarts: it is always in one of the two. Each limit is raised to what the snapshot had there at the
//! start: never worse.
//!
//! # Moves under way
//!
//! A task that was on its way when the snapshot was taken ([`Problem::under_way`]) counts as being where it goes, and stays
//! there. Until the first wave has ended it holds what it leaves as well, and counts for every cap and rule of that wave. Where
//! nothing fits beside such moves, the first wave is empty: it waits for them.
//!
//! # Detours
//!
//! A task moves at most once, or twice when the first move says `park` or `restart`. Then the second move comes in a later
//! wave and leads to the target; no plan ends with a task on a detour. Each hop is a move like any other: it is checked at
//! the worst moment of its wave, has its gain, and counts for `max_moves` when it takes a running task off a node. The
//! objective only knows where a task ends, so what the second move costs beyond it is told apart.
//!
//! With `moves.mode = simultaneous` there is one wave and no detour. Only the end state counts, with rule `transient` as defined in
//! `model/rules.rs`, and the two caps.

mod blocked;
mod build;
mod caps;
mod certify;
mod chain;
mod claims;
mod detour;
mod detours;
mod excuse;
mod explain;
mod flight;
mod flights;
mod ladder;
mod list;
mod moment;
mod obstacle;
mod order;
mod recount;
mod reserve;
mod slots;
mod step;
mod tally;
mod tangle;
mod tell;
mod under_way;
mod unplaced;
mod verify;
mod wave;

pub use blocked::{Blocked, NO_GAIN};
pub use build::{Meta, build, reasons, sum_up};
pub use explain::{Answer, Explanation, Room, explain};
pub use moment::{Fill, Moment, moments};
pub use obstacle::Obstacle;
pub use order::{Ordered, Unsettled, is_better, joined, order, told};
pub use recount::recount;
pub use reserve::{Refuge, Reserve};
pub use unplaced::waiting;
pub use verify::{Breach, Verdict, proven, verify};

/// Name of the solver whose bounds may be better than what prices prove: its word is believed, and said to be its word.
pub const EXACT: &str = "exact";

use crate::model::{Goal, NodeId, Placement, Problem, Proof, Spot, TaskId};
use std::borrow::Cow;

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
    /// The task leaves a node that is to be emptied.
    Drain,
    /// The task stays, its share changes.
    Resize,
    /// The task waits there until others have passed, and moves on to its target in a later wave.
    Park,
    /// The task stops, and starts again at its target in a later wave: nothing else makes room, not even parking.
    Restart,
}

impl Reason {
    /// The words for them, in files and on screens.
    pub const WORDS: [(&'static str, Reason); 9] = [
        ("admit", Reason::Admit),
        ("repair", Reason::Repair),
        ("improve", Reason::Improve),
        ("enable", Reason::Enable),
        ("evict", Reason::Evict),
        ("drain", Reason::Drain),
        ("resize", Reason::Resize),
        ("park", Reason::Park),
        ("restart", Reason::Restart),
    ];

    /// The word for it.
    pub fn word(self) -> &'static str {
        Reason::WORDS.into_iter().find(|(_, reason)| *reason == self).map_or("", |(word, _)| word)
    }
}

/// One task from where it is to where it will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The task.
    pub task: TaskId,
    /// Before: the current spot of the snapshot, or for the second move of a task where a `Park` or `Restart` left it.
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
    /// As near to the bound as was asked for.
    Gap,
    /// Ended by the time limit.
    Deadline,
    /// Ended by a signal.
    Interrupted,
    /// Proven: no placement keeps all rules.
    Infeasible,
}

/// What verification is to confirm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Fingerprint of the snapshot the plan is for.
    pub fingerprint: String,
    /// What was planned for; `None` = the snapshot's own objective.
    pub goal: Option<Goal>,
    /// `exact` or `bulk`.
    pub solver: String,
    /// Seed of the search.
    pub seed: u64,
    /// Effort spent (candidate evaluations per task), for repeating the run.
    pub effort: u64,
    /// Where the search ran (`cpu` or `gpu`, then the device and why there); it does not change the moves.
    pub backend: String,
    /// How the search ended.
    pub status: Status,
    /// Scaled upper bound on the objective: what `proof` proves, or less by the exact solver's word.
    pub bound: Option<i128>,
    /// Scaled bound less the objective at the end.
    pub gap: Option<i128>,
    /// Prices that prove a bound.
    pub proof: Option<Proof>,
    /// Scaled objective at the start and at the end.
    pub objective: (i128, i128),
    /// The moves.
    pub waves: Vec<Vec<Move>>,
    /// Tasks that stay unplaced, with the reason.
    pub unplaced: Vec<(TaskId, String)>,
    /// Moves that would have paid but have no safe order, by task.
    pub blocked: Vec<Blocked>,
    /// With [`Status::Infeasible`]: the rules that are still broken at the end, where no placement keeps all.
    pub blockers: Vec<String>,
    /// Nodes that were to be emptied.
    pub drain: Vec<NodeId>,
    /// What was not looked at, in sentences for people.
    pub unexplored: Vec<String>,
    /// Where tasks go when a domain fails, if that was asked for.
    pub reserve: Option<Reserve>,
}

impl Plan {
    /// The problem with the nodes drained that the plan was to empty, as it was planned for.
    ///
    /// # Panics
    /// When the plan names a node that the problem does not have; [`verify()`] lists such nodes.
    pub fn drained<'a>(&self, problem: &'a Problem) -> Cow<'a, Problem> {
        if self.drain.iter().all(|node| problem.nodes[node.index()].draining) {
            return Cow::Borrowed(problem);
        }
        let mut problem = problem.clone();
        problem.drain(&self.drain);
        Cow::Owned(problem)
    }

    /// All moves in plan order.
    pub fn moves(&self) -> impl Iterator<Item = &Move> {
        self.waves.iter().flatten()
    }

    /// The placement after each wave, first to last.
    ///
    /// # Panics
    /// When a move names a task that the problem does not have; [`verify()`] lists such moves.
    pub fn states<'a>(&'a self, problem: &Problem) -> impl Iterator<Item = Placement> + use<'a> {
        let mut state = problem.current.clone();
        self.waves.iter().map(move |wave| {
            for step in wave {
                state.set(step.task, step.to.clone());
            }
            state.clone()
        })
    }

    /// Tasks on a detour, in plan order, with the scaled points that each costs beyond what the objective shows: one more
    /// move, and the way by where the task waits less the straight one.
    ///
    /// # Panics
    /// As [`Plan::states`].
    pub fn detours(&self, problem: &Problem) -> Vec<(TaskId, i128)> {
        detour::extra(problem, self.moves())
    }

    /// The placement after the last wave; the current one if there is none.
    ///
    /// # Panics
    /// As [`Plan::states`].
    pub fn reached(&self, problem: &Problem) -> Placement {
        let mut state = problem.current.clone();
        for step in self.moves() {
            state.set(step.task, step.to.clone());
        }
        state
    }
}
