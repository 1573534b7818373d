//! Does every task on a detour go on, and is a detour what its first move says? The part of verification about tasks that
//! move twice.

use super::recount::has_moved;
use super::verify::Replay;
use super::{Move, Reason};
use crate::model::{GroupId, Rule, TaskId};
use std::collections::BTreeMap;

/// Detours seen so far.
#[derive(Default)]
pub(super) struct Detours {
    by_task: BTreeMap<TaskId, Way>,
    /// Moves that took a running task off a node, or stopped it.
    departures: u64,
}

/// A detour of one task.
struct Way {
    /// Wave that sent it off.
    since: usize,
    /// Wave of its second move.
    until: Option<usize>,
    /// It does not run meanwhile.
    is_stopped: bool,
}

impl Replay<'_> {
    /// True when the move is the second half of a detour that an earlier wave began.
    pub(super) fn goes_on(&mut self, wave: usize, step: &Move) -> bool {
        let is_second = !matches!(step.reason, Reason::Park | Reason::Restart);
        match self.detours.by_task.get_mut(&step.task) {
            Some(way) if way.since < wave && way.until.is_none() && is_second => {
                way.until = Some(wave);
                true
            }
            _ => false,
        }
    }

    /// Counts a sound move, and remembers a detour that begins.
    pub(super) fn note_detour(&mut self, wave: usize, step: &Move) {
        self.detours.departures += u64::from(self.leaves(step));
        if matches!(step.reason, Reason::Park | Reason::Restart) {
            let way = Way { since: wave, until: None, is_stopped: step.reason == Reason::Restart };
            self.detours.by_task.insert(step.task, way);
        }
    }

    /// A running task leaves a node, or stops; the replay has not carried it out yet.
    pub(super) fn leaves(&self, step: &Move) -> bool {
        let nodes = |pieces: &[crate::model::Piece]| pieces.iter().map(|piece| piece.node).collect::<Vec<_>>();
        let old = self.spots[step.task.index()].pieces();
        !old.is_empty() && nodes(old) != nodes(step.to.pieces())
    }

    /// Parking takes a running task to another node; a restart stops a task that may be stopped.
    pub(super) fn suits_detour(&self, step: &Move) -> bool {
        let start = self.problem.current.spot(step.task);
        match step.reason {
            Reason::Park => start.is_placed() && step.to.is_placed(),
            _ => start.is_placed() && !step.to.is_placed() && self.problem.tasks[step.task.index()].evictable,
        }
    }

    /// Tasks that an earlier wave stopped are down as well, until the wave in which they start has ended.
    pub(super) fn add_stopped(&self, wave: usize, down: &mut BTreeMap<GroupId, u32>) {
        for (task, way) in &self.detours.by_task {
            let is_down = way.is_stopped && way.since < wave && way.until.is_none_or(|until| until >= wave);
            let group = self.problem.tasks[task.index()].group.filter(|_| is_down);
            group.into_iter().for_each(|group| *down.entry(group).or_default() += 1);
        }
    }

    /// After the last wave: nobody may be left on a detour, and detours count for the budget of moves.
    pub(super) fn detours_end(&mut self, waves: usize) {
        let open = self.detours.by_task.iter().filter(|(_, way)| way.until.is_none());
        let open: Vec<TaskId> = open.map(|(task, _)| *task).collect();
        for task in open {
            let text =
                format!("task {} is sent elsewhere until others have passed, and never goes on", self.name(task));
            self.add("detour", waves.checked_sub(1), text);
        }
        let most = self.problem.moves.max_moves.map(u64::from);
        let displaced =
            self.problem.task_ids().filter(|task| has_moved(self.problem, *task, &self.spots[task.index()]));
        let displaced = displaced.count() as u64;
        // The end state lists what it breaks itself.
        if let Some(most) = most.filter(|most| displaced <= *most && *most < self.detours.departures) {
            let text = format!("{} moves, detours included, at most {most}", self.detours.departures);
            self.add(Rule::MoveBudget.name(), None, text);
        }
    }
}
