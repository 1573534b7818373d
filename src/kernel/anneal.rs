//! What happens in one block of nodes during one round? Annealing over shifts and swaps, in integers only.
//!
//! ```text
//! Shape   one block; candidates in batches of 32            Units, range   as in judge.rs
//! Ties    a change of 0 points is accepted when it displaces no further task
//! Source  simulated annealing with a home price proportional to the temperature; ours
//! ```
//!
//! A block owns its nodes and the tasks on them for the round; nobody else touches them. [`LANES`] candidates are judged
//! against the same state, then the accepted ones are applied in lane order unless an earlier lane has touched one of their
//! nodes or groups. Rules that reach beyond the block are kept by what the block was given (see [`super::block::Row`]): whatever the
//! blocks do within those limits, all of them together keep the rules.
//!
//! The pool of unplaced tasks is one more node (index `node_count`) with room for all.

use super::block::{Block, HOME_OUTSIDE, NO_GROUP};
use super::judge::{Candidate, Judged};
use super::points::{HomePrice, OverPrice, Shared};
use super::random::{LN_BITS, LN_TABLE, below, pcg3d};
use super::view::View;
use std::hint::select_unpredictable;

/// Candidates judged against the same state.
pub const LANES: usize = 32;

/// Tasks from which a block is too large for the cache next to the processor.
const FETCH_TASKS_MIN: usize = 4096;

/// What the round asks for.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// Seed of the chain.
    pub seed: u32,
    /// Round number.
    pub round: u32,
    /// Block number.
    pub block: u32,
    /// Candidates, rounded up to whole batches of [`LANES`].
    pub candidates: u32,
    /// Temperature in 256ths of a point; 0 = only improvements and harmless ties.
    pub temperature: i64,
    /// What being away from home costs on top.
    pub home: HomePrice,
    /// Shifts in 256ths of all candidates; the rest are swaps.
    pub shift_share: u32,
    /// Shifts that go home, in 256ths of all shifts.
    pub home_share: u32,
    /// Candidates whose first task is one of those away from home, or waiting, at the start of the round, in 16ths of all
    /// candidates, where there are such.
    pub away_share: u32,
    /// Price of exceeding limits.
    pub over: OverPrice,
}

/// What random numbers say of the candidates of a batch.
#[derive(Clone, Copy)]
struct Drawn {
    first: [u32; LANES],
    /// The other task of a swap.
    partner: [u32; LANES],
    /// Where a shift goes.
    place: [u32; LANES],
    dice: [u32; LANES],
}

/// Asks for an item that will be read soon: candidates are random, so nearly every item of a large block would be waited for, one
/// after the other.
#[inline(always)]
fn fetch<T>(list: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let item = list.as_ptr().wrapping_add(at).cast::<i8>();
        for line in 0..size_of::<T>().div_ceil(64) {
            // SAFETY: a prefetch never faults, whatever the address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(item.wrapping_add(64 * line)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (list, at);
}

/// Runs a round of `L` lanes per row.
pub fn anneal<const L: usize>(shared: &Shared, block: &mut Block, round: &Round) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has the feature, as just asked.
        return unsafe { anneal_avx2::<L>(shared, block, round) };
    }
    anneal_plain::<L>(shared, block, round);
}

/// The same code, compiled for wider vectors: integers only, so the results are the same.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn anneal_avx2<const L: usize>(shared: &Shared, block: &mut Block, round: &Round) {
    anneal_plain::<L>(shared, block, round);
}

#[inline(always)]
fn anneal_plain<const L: usize>(shared: &Shared, block: &mut Block, round: &Round) {
    block.delta = 0;
    block.displaced = 0;
    block.evaluations = 0;
    block.overfull = 0;
    if block.node_count == 0 {
        return;
    }
    let mut view = View::<L>::new(shared, block, round.home, round.over);
    if view.nobody() == 0 {
        return view.finish();
    }
    let over_before = view.over_in_all();
    let ln_table: &[i32; 1 << LN_BITS] = &LN_TABLE;
    let stream = pcg3d(round.seed, round.round, round.block);
    let away_share = if view.block.away.is_empty() { 0 } else { round.away_share };
    let is_large = view.block.tasks.len() >= FETCH_TASKS_MIN;
    let batches = round.candidates.div_ceil(LANES as u32);
    let mut accepted = [(0u8, Judged::default()); LANES];
    // Drawn one batch ahead, so that its tasks have time to come.
    let mut next = view.draw(stream, 0, away_share);
    for batch in 1..=batches {
        let drawn = next;
        next = view.draw(stream, batch, away_share);
        if is_large {
            view.fetch_tasks(&next);
        }
        let proposed = view.propose(round, &drawn);
        let chosen = view.with_room(&proposed);
        let chosen = view.permitted(&proposed, chosen);
        let mut accepted_count = 0;
        for lane in chosen.lanes() {
            let Some(judged) = view.judge(&proposed[*lane as usize]) else { continue };
            let dice = drawn.dice[*lane as usize];
            let threshold = (round.temperature * i64::from(ln_table[(dice >> 20) as usize])) >> 24;
            let is_warm = round.temperature > 0 && judged.delta <= threshold;
            if is_warm || judged.delta < 0 || (judged.delta == 0 && judged.displaced <= 0) {
                accepted[accepted_count] = (*lane, judged);
                accepted_count += 1;
            }
        }
        view.apply_all(&proposed, &accepted[..accepted_count]);
    }
    view.block.delta -= view.over_in_all() - over_before;
    view.finish();
    view.block.evaluations = u64::from(batches) * LANES as u64;
}

impl<const L: usize> View<'_, L> {
    /// The tasks of a batch's candidates, wherever these are.
    #[inline(always)]
    fn draw(&self, stream: [u32; 3], batch: u32, away_share: u32) -> Drawn {
        let (tasks, places) = (self.nobody(), u32::from(self.pool()) + 1);
        let mut drawn = Drawn { first: [0; LANES], partner: [0; LANES], place: [0; LANES], dice: [0; LANES] };
        let mut pick = [0; LANES];
        // In a loop of its own, which becomes vector instructions.
        for lane in 0..LANES {
            let [first, other, dice] =
                pcg3d(stream[0].wrapping_add(batch * LANES as u32 + lane as u32), stream[1], stream[2]);
            pick[lane] = first;
            drawn.first[lane] = below(first, tasks);
            drawn.partner[lane] = below(other, tasks);
            drawn.place[lane] = below(other, places);
            drawn.dice[lane] = dice;
        }
        if away_share > 0 {
            let away = &self.block.away[..];
            for lane in 0..LANES {
                let is_away = (drawn.dice[lane] >> 16 & 15) < away_share;
                let displaced = away[below(pick[lane], away.len() as u32) as usize];
                drawn.first[lane] = select_unpredictable(is_away, displaced, drawn.first[lane]);
            }
        }
        drawn
    }

    /// Asks for the tasks of a batch.
    #[inline(always)]
    fn fetch_tasks(&self, drawn: &Drawn) {
        for t in drawn.first.iter().chain(&drawn.partner) {
            fetch(&self.tasks, *t as usize);
        }
    }

    /// What the drawn tasks would do as things stand.
    #[inline(always)]
    fn propose(&self, round: &Round, drawn: &Drawn) -> [Candidate; LANES] {
        let tasks = &self.tasks[..];
        let nobody = self.nobody();
        let mut batch = [Candidate::default(); LANES];
        for (lane, candidate) in batch.iter_mut().enumerate() {
            let (first, partner, dice) = (drawn.first[lane], drawn.partner[lane], drawn.dice[lane]);
            let task = &tasks[first as usize];
            let is_homeward = ((dice >> 8 & 255) < round.home_share) & (task.home < HOME_OUTSIDE);
            let target = select_unpredictable(is_homeward, task.home, drawn.place[lane] as u8);
            let is_shift = (dice & 255) < round.shift_share;
            *candidate = Candidate {
                first,
                second: select_unpredictable(is_shift, nobody, partner),
                from: task.at,
                to: select_unpredictable(is_shift, target, tasks[partner as usize].at),
            };
        }
        batch
    }

    /// Applies accepted candidates in lane order; a lane that touches what an earlier one touched is dropped.
    fn apply_all(&mut self, batch: &[Candidate; LANES], accepted: &[(u8, Judged)]) {
        let mut nodes = 0u128;
        let mut groups = [NO_GROUP; 2 * LANES];
        let mut group_count = 0;
        for (lane, judged) in accepted {
            let Candidate { first, second, from, to } = batch[*lane as usize];
            let is_shift = second == self.nobody();
            let (first, second) = (first as usize, second as usize);
            let is_stale = self.tasks[first].at != from || (!is_shift && self.tasks[second].at != to);
            // The pool has room for all: lanes clash there only over a task, and then one of them is stale.
            let touched = (1u128 << from | 1u128 << to) & !(1u128 << self.pool());
            if is_stale || nodes & touched != 0 {
                continue;
            }
            let lane_groups = [self.tasks[first].row.group, self.tasks[second].row.group];
            let clash = |g: &u32| *g != NO_GROUP && groups[..group_count].contains(g);
            if lane_groups.iter().any(clash) {
                continue;
            }
            nodes |= touched;
            for group in lane_groups.into_iter().filter(|g| *g != NO_GROUP) {
                groups[group_count] = group;
                group_count += 1;
            }
            let steering = self.steering(first, to) - self.steering(first, from) + self.steering(second, from)
                - self.steering(second, to);
            self.leave(first);
            if !is_shift {
                self.leave(second);
                self.arrive(second, from, judged.second_devices);
            }
            self.arrive(first, to, judged.first_devices);
            self.settle(from);
            self.settle(to);
            self.block.delta += judged.delta - steering;
            self.block.displaced += i64::from(judged.displaced);
        }
    }
}
