//! What if nothing were divisible? The problem in which each divisible task is cut into rigid pieces, as it lies on its nodes.
//!
//! A divisible task takes whatever is free, so a search that may pour it anywhere says little about how much room a cluster needs. Cut,
//! it needs what it has, no more and no less, and each piece moves like any other task.
//!
//! * A piece that runs is a task that requires what the piece holds. Amounts count in units so fine that pieces and least shares are whole
//!   numbers of them; where figures do not allow that ([`FINE_MAX`]), they are rounded up: a start may be overfull by that, and stay so.
//! * A task that waits starts with one unit of what it requires most, or the smallest share ([`Problem::first_share`]).
//! * What is pinned (or under way, which is the same) is not cut.
//!
//! Each piece is a member of the task's group: rules of groups count more members than there are, and soft terms of amounts count in
//! other units. Whoever searches here sets points of his own, and judges what is found in the problem itself.

use super::{AMOUNT_MAX, Piece, Placement, Problem, SHARE_ONE, Share, Sharing, Spot, TaskId, Usage, gcd};

/// Largest amount in finer units. Kernels are exact up to twice as much; above, a node that is full to the last unit would seem overfull.
pub const FINE_MAX: i64 = 1 << 28;

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
        let fine = self.finer();
        let mut cut = Cut { problem: fine.clone(), own: self.tasks.len(), pieces: Vec::new() };
        let mut spots = self.current.spots().to_vec();
        let is_cut = |task: &TaskId| {
            let spec = &self.tasks[task.index()];
            spec.sharing == Sharing::Divisible && !spec.pinned
        };
        for task in self.task_ids().filter(is_cut) {
            let now = self.current.spot(task).pieces();
            if now.is_empty() {
                cut.make_piece(&fine, task, (task, self.first_share(task)));
            }
            for (k, piece) in now.iter().enumerate() {
                let at = if k == 0 { task } else { cut.one_more(&fine, task) };
                cut.make_piece(&fine, at, (task, piece.share));
                spots.resize(cut.problem.tasks.len(), Spot::Unplaced);
                spots[at.index()] = Spot::On(Piece::whole(piece.node));
            }
        }
        cut.problem.current = Placement::from_spots(spots);
        cut
    }

    /// The problem in units of which all that tasks hold or need at least is a whole number, as far as [`FINE_MAX`] lets it.
    fn finer(&self) -> Problem {
        let width = self.resources.len();
        let (usage, one) = (Usage::of(self, &self.current), i64::from(SHARE_ONE));
        let (mut most, mut times) = (vec![1; width], vec![1; width]);
        for node in self.node_ids() {
            let held = usage.amounts(node).iter().map(|held| (held / i128::from(SHARE_ONE)) as i64);
            let amounts = self.allocatable(node).iter().zip(held);
            most.iter_mut().zip(amounts).for_each(|(most, (has, held))| *most = (*most).max(*has).max(held));
        }
        for task in self.task_ids() {
            let (spec, pieces) = (&self.tasks[task.index()], self.current.spot(task).pieces().iter().map(|p| p.share));
            let shares: Vec<Share> = match spec.sharing {
                Sharing::Rigid => Vec::new(),
                Sharing::Elastic { .. } if spec.pinned => pieces.collect(),
                Sharing::Elastic { min } => pieces.map(|share| share.min(min)).chain([min]).collect(),
                Sharing::Divisible if pieces.len() == 0 => vec![self.first_share(task)],
                Sharing::Divisible => pieces.collect(),
            };
            for (r, amount) in self.requirement(task).iter().enumerate() {
                most[r] = most[r].max(*amount);
                for share in &shares {
                    let scaled = i128::from(*amount) * i128::from(share.parts());
                    let part = one / gcd((scaled % i128::from(SHARE_ONE)) as i64, one);
                    times[r] = times[r] / gcd(times[r], part) * part;
                }
            }
        }
        let mut fine = self.clone();
        let limits = most.iter().map(|most| (FINE_MAX / most).max(1));
        let times: Vec<i64> = times.iter().zip(limits).map(|(times, most): (&i64, i64)| (*times).min(most)).collect();
        let rows = [&mut fine.allocatable, &mut fine.soft_limit, &mut fine.requirement];
        for row in rows.into_iter().flat_map(|rows| rows.chunks_mut(width.max(1))) {
            row.iter_mut().zip(&times).for_each(|(amount, times)| *amount = (*amount * times).min(AMOUNT_MAX));
        }
        fine
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
