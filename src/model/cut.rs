//! What if nothing were divisible? The problem in which each divisible task is cut into rigid pieces, as it lies on its nodes.
//!
//! A divisible task takes whatever is free, so a search that may pour it anywhere says little about how much room a cluster needs. Cut,
//! it needs what it has, no more and no less, and each piece moves like any other task.
//!
//! * A piece that runs is a task that requires what the piece holds, amounts rounded up: a start may be overfull by that, and stay so.
//! * A task that waits starts with one unit of what it requires most, or the smallest share ([`Problem::first_share`]).
//! * What is pinned (or under way, which is the same) is not cut.
//!
//! Each piece is a member of the task's group: rules of groups count more members than there are. Whoever searches here judges what
//! is found in the problem itself.

use super::{Piece, Placement, Problem, SHARE_ONE, Share, Sharing, Spot, TaskId};

/// See the head of this file.
#[derive(Debug, Clone)]
pub struct Cut {
    /// Nothing that may move is divisible in it. The tasks keep their numbers, each as its first piece; further pieces come last.
    pub problem: Problem,
    /// Number of tasks before.
    own: usize,
    /// The pieces: which task of `problem`, of which task before, with which share of it.
    pieces: Vec<(TaskId, TaskId, Share)>,
}

impl Problem {
    /// Cuts the divisible tasks.
    pub fn cut(&self) -> Cut {
        let mut cut = Cut { problem: self.clone(), own: self.tasks.len(), pieces: Vec::new() };
        let mut spots = self.current.spots().to_vec();
        let is_cut = |task: &TaskId| {
            let spec = &self.tasks[task.index()];
            spec.sharing == Sharing::Divisible && !spec.pinned
        };
        for task in self.task_ids().filter(is_cut) {
            let now = self.current.spot(task).pieces();
            if now.is_empty() {
                cut.make_piece(self, task, (task, self.first_share(task)));
            }
            for (k, piece) in now.iter().enumerate() {
                let at = if k == 0 { task } else { cut.one_more(self, task) };
                cut.make_piece(self, at, (task, piece.share));
                spots.resize(cut.problem.tasks.len(), Spot::Unplaced);
                spots[at.index()] = Spot::On(Piece::whole(piece.node));
            }
        }
        cut.problem.current = Placement::from_spots(spots);
        cut
    }

    /// The share with which a divisible task starts at least: one unit of what it requires most, or one part where that is more; all of
    /// a task that requires nothing.
    pub fn first_share(&self, task: TaskId) -> Share {
        let most = self.requirement(task).iter().copied().max().unwrap_or(0).max(1);
        let parts = (i64::from(SHARE_ONE) / most).max(1) as u32;
        Share::from_parts(parts).expect("no more than all of it")
    }
}

impl Cut {
    /// One more task like this one, behind all others; its spot is left to the caller.
    fn one_more(&mut self, before: &Problem, task: TaskId) -> TaskId {
        let problem = &mut self.problem;
        let more = TaskId::new(problem.tasks.len());
        problem.tasks.push(before.tasks[task.index()].clone());
        problem.requirement.extend_from_slice(before.requirement(task));
        if let Some(group) = before.tasks[task.index()].group {
            problem.groups[group.index()].members.push(more);
        }
        more
    }

    fn make_piece(&mut self, before: &Problem, at: TaskId, (task, share): (TaskId, Share)) {
        self.problem.tasks[at.index()].sharing = Sharing::Rigid;
        let width = before.resources.len();
        for (amount, whole) in
            self.problem.requirement[at.index() * width..][..width].iter_mut().zip(before.requirement(task))
        {
            let scaled = i128::from(*whole) * i128::from(share.parts());
            *amount = (scaled + i128::from(SHARE_ONE) - 1).div_euclid(i128::from(SHARE_ONE)) as i64;
        }
        self.pieces.push((at, task, share));
    }

    /// A placement of the cut problem as one of the problem before.
    pub fn joined(&self, placement: &Placement) -> Placement {
        let mut joined = Placement::from_spots(placement.spots()[..self.own].to_vec());
        for pieces in self.pieces.chunk_by(|a, b| a.1 == b.1) {
            let mut whole: Vec<Piece> = Vec::new();
            for (at, _, share) in pieces {
                let Some(node) = placement.spot(*at).node() else { continue };
                match whole.iter_mut().find(|piece| piece.node == node) {
                    Some(piece) => {
                        let sum = piece.share.parts() + share.parts();
                        piece.share = Share::from_parts(sum).expect("pieces are no more than all of a task");
                    }
                    None => whole.push(Piece { share: *share, ..Piece::whole(node) }),
                }
            }
            joined.set(pieces[0].1, Spot::from_pieces(whole));
        }
        joined
    }
}
