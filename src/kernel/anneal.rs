//! What happens in one block of nodes during one round? Annealing over shifts and swaps, in integers only.
//!
//! ```text
//! Shape   one block; candidates in batches of 32            Units, range   as in judge.rs
//! Ties    a change of 0 points is accepted when it displaces no further task
//! Source  simulated annealing with a home penalty proportional to the temperature; ours
//! ```
//!
//! A block owns its nodes and the tasks on them for the round; nobody else touches them. [`LANES`] candidates are judged
//! against the same state, then the accepted ones are applied in lane order unless an earlier lane has touched one of their
//! nodes or groups. Rules that reach beyond the block are kept by what the block was given (see [`super::block::Row`]): whatever the
//! blocks do within those limits, all of them together keep the rules.
//!
//! The pool of unplaced tasks is one more node (index `node_count`) with room for all.

use super::block::{Block, HOME_OUTSIDE, NO_GROUP};
use super::judge::{Judged, View};
use super::points::{OverPrice, Shared, change_devices};
use super::random::{LN_BITS, LN_TABLE, below, pcg3d};

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
    /// Points that a displaced task costs on top, on this round's temperature.
    pub home_penalty: i64,
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

/// One candidate before it is judged.
#[derive(Clone, Copy)]
struct Drawn {
    first: u32,
    /// `u32::MAX` for a shift.
    second: u32,
    other: u32,
    dice: u32,
}

/// First and second task of each candidate; of a shift the first twice.
#[inline(always)]
fn tasks_of(drawn: &[Drawn; LANES]) -> [usize; 2 * LANES] {
    let mut tasks = [0; 2 * LANES];
    for (lane, Drawn { first, second, .. }) in drawn.iter().enumerate() {
        let second = if *second == u32::MAX { *first } else { *second };
        (tasks[2 * lane], tasks[2 * lane + 1]) = (*first as usize, second as usize);
    }
    tasks
}

/// Asks for an item that will be read soon: candidates are random, so nearly every item of a large block would be waited for, one
/// after the other.
#[inline(always)]
fn fetch<T>(list: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch never faults, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(list.as_ptr().wrapping_add(at).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (list, at);
}

/// One accepted candidate.
#[derive(Clone, Copy)]
struct Accepted {
    first: u32,
    /// `u32::MAX` for a shift.
    second: u32,
    from: u8,
    to: u8,
    delta: i64,
    displaced: i8,
    first_devices: u64,
    second_devices: u64,
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
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn anneal_avx2<const L: usize>(shared: &Shared, block: &mut Block, round: &Round) {
    anneal_plain::<L>(shared, block, round);
}

#[inline(always)]
fn anneal_plain<const L: usize>(shared: &Shared, block: &mut Block, round: &Round) {
    block.delta = 0;
    block.displaced = 0;
    block.evaluations = 0;
    block.overfull = 0;
    let task_count = block.tasks.len() as u32;
    if block.node_count == 0 {
        return;
    }
    let mut view = View::<L>::new(shared, block, round.home_penalty, round.over);
    view.refresh_costs();
    if task_count == 0 {
        view.block.overfull = view.overfull();
        return;
    }
    let over_before: i64 = view.block.over.iter().sum();
    let ln_table: &[i32; 1 << LN_BITS] = &LN_TABLE;
    let stream = pcg3d(round.seed, round.round, round.block);
    let away_share = if view.block.away.is_empty() { 0 } else { round.away_share };
    let is_large = view.block.tasks.len() >= FETCH_TASKS_MIN;
    let batches = round.candidates.div_ceil(LANES as u32);
    let mut accepted =
        [Accepted { first: 0, second: 0, from: 0, to: 0, delta: 0, displaced: 0, first_devices: 0, second_devices: 0 };
            LANES];
    for batch in 0..batches {
        let drawn = view.draw(round, stream, batch, away_share);
        if is_large {
            view.fetch_tasks(&drawn);
            view.fetch_rules(&drawn);
        }
        let mut accepted_count = 0;
        for Drawn { first, second, other, dice } in drawn {
            let (to, judged) = if second == u32::MAX {
                let home = view.block.home[first as usize];
                let target = if (dice >> 8 & 255) < round.home_share && home < HOME_OUTSIDE {
                    home
                } else {
                    below(other, view.block.node_count as u32 + 1) as u8
                };
                (target, view.judge_shift(first as usize, target as usize))
            } else {
                (view.block.at[second as usize], view.judge_swap(first as usize, second as usize))
            };
            let Some(judged) = judged else { continue };
            let threshold = (round.temperature * i64::from(ln_table[(dice >> 20) as usize])) >> 24;
            let is_warm = round.temperature > 0 && judged.delta <= threshold;
            if is_warm || judged.delta < 0 || (judged.delta == 0 && judged.displaced <= 0) {
                let Judged { delta, displaced, first_devices, second_devices } = judged;
                let from = view.block.at[first as usize];
                accepted[accepted_count] =
                    Accepted { first, second, from, to, delta, displaced, first_devices, second_devices };
                accepted_count += 1;
            }
        }
        view.apply_all(&accepted[..accepted_count]);
    }
    view.block.delta -= view.block.over.iter().sum::<i64>() - over_before;
    view.block.overfull = view.overfull();
    view.block.evaluations = u64::from(batches) * LANES as u64;
}

impl<const L: usize> View<'_, L> {
    /// The candidates of a batch.
    #[inline(always)]
    fn draw(&self, round: &Round, stream: [u32; 3], batch: u32, away_share: u32) -> [Drawn; LANES] {
        // In a loop of its own, which becomes vector instructions.
        let mut words = [[0; 3]; LANES];
        for (lane, words) in (0..).zip(&mut words) {
            *words = pcg3d(stream[0].wrapping_add(batch * LANES as u32 + lane), stream[1], stream[2]);
        }
        let (tasks, away) = (self.block.tasks.len() as u32, self.block.away.len() as u32);
        let mut drawn = [Drawn { first: 0, second: 0, other: 0, dice: 0 }; LANES];
        for ([pick, other, dice], drawn) in words.into_iter().zip(&mut drawn) {
            let is_away = (dice >> 16 & 15) < away_share;
            let first = if is_away { self.block.away[below(pick, away) as usize] } else { below(pick, tasks) };
            let is_shift = (dice & 255) < round.shift_share;
            let second = if is_shift { u32::MAX } else { below(other, tasks) };
            *drawn = Drawn { first, second, other, dice };
        }
        drawn
    }

    /// Asks for the tasks of a batch.
    #[inline(always)]
    fn fetch_tasks(&self, drawn: &[Drawn; LANES]) {
        let block = &*self.block;
        for t in tasks_of(drawn) {
            fetch(&block.tasks, t);
            fetch(&block.at, t);
            fetch(&block.home, t);
            fetch(&block.requirement, t * L);
            fetch(&block.requirement, t * L + L - 1);
        }
    }

    /// Asks for the rules of a batch: groups, then their first rows, then the members these count. Plain loops: closures would be
    /// compiled without the wide vectors and called.
    #[inline(always)]
    fn fetch_rules(&self, drawn: &[Drawn; LANES]) {
        let block = &*self.block;
        let tasks = tasks_of(drawn);
        if block.groups.is_empty() {
            return;
        }
        let mut groups = [NO_GROUP; 2 * LANES];
        for (group, t) in groups.iter_mut().zip(tasks) {
            *group = block.tasks[t].group;
            fetch(&block.groups, *group as usize);
        }
        for group in groups {
            if group != NO_GROUP {
                fetch(&block.rows, block.groups[group as usize].row as usize);
            }
        }
        for (lane, group) in groups.into_iter().enumerate() {
            if group == NO_GROUP || block.groups[group as usize].row_count == 0 {
                continue;
            }
            let row = &block.rows[block.groups[group as usize].row as usize];
            for t in [tasks[lane & !1], tasks[lane | 1]] {
                let node = block.at[t] as usize;
                if node < block.node_count {
                    let domain = block.domain[row.domain as usize + node];
                    fetch(&block.count, row.count as usize + domain as usize);
                }
            }
        }
    }

    /// Applies accepted candidates in lane order; a lane that touches what an earlier one touched is dropped.
    fn apply_all(&mut self, accepted: &[Accepted]) {
        let mut nodes = 0u128;
        let mut groups = [NO_GROUP; 2 * LANES];
        let mut group_count = 0;
        for lane in accepted {
            let (from, to) = (lane.from as usize, lane.to as usize);
            let is_shift = lane.second == u32::MAX;
            let stale = self.block.at[lane.first as usize] != lane.from
                || (!is_shift && self.block.at[lane.second as usize] != lane.to);
            // The pool has room for all: lanes clash there only over a task, and then one of them is stale.
            let touched = (1u128 << from | 1u128 << to) & !(1u128 << self.block.node_count);
            if stale || nodes & touched != 0 {
                continue;
            }
            let lane_groups = [
                self.block.tasks[lane.first as usize].group,
                if is_shift { NO_GROUP } else { self.block.tasks[lane.second as usize].group },
            ];
            let clash = |g: &u32| *g != NO_GROUP && groups[..group_count].contains(g);
            if lane_groups.iter().any(clash) {
                continue;
            }
            nodes |= touched;
            for group in lane_groups.into_iter().filter(|g| *g != NO_GROUP) {
                groups[group_count] = group;
                group_count += 1;
            }
            self.leave(lane.first as usize);
            if is_shift {
                self.arrive(lane.first as usize, to, lane.first_devices);
            } else {
                self.leave(lane.second as usize);
                self.arrive(lane.first as usize, to, lane.first_devices);
                self.arrive(lane.second as usize, from, lane.second_devices);
            }
            for node in [from, to].into_iter().filter(|node| *node != self.block.node_count) {
                let used = *self.row(&self.block.used, node);
                self.block.over[node] = self.over(node, &used);
                let cost = self.node_cost(node, &used, self.block.tasks_here[node], self.devices(node));
                self.block.cost[node] = cost + self.block.over[node];
            }
            self.block.delta += lane.delta - i64::from(lane.displaced) * self.home_penalty;
            self.block.displaced += i64::from(lane.displaced);
        }
    }

    fn leave(&mut self, t: usize) {
        let at = self.block.at[t] as usize;
        if at == self.block.node_count {
            return;
        }
        self.change_rows(t, at, -1);
        let (task, home) = (self.block.tasks[t], self.block.home[t]);
        if task.device_count > 0 && !(self.shared.simultaneous && at == home as usize) {
            self.change_devices(at, task.devices, task.device_milli, false);
        }
        if task.group == NO_GROUP {
            return;
        }
        let group = &mut self.block.groups[task.group as usize];
        group.nodes &= !(1 << at);
        for row in &mut self.block.rows[group.row as usize..][..group.row_count as usize] {
            let domain = self.block.domain[row.domain as usize + at] as usize;
            let count = &mut self.block.count[row.count as usize + domain];
            *count -= 1;
            if *count == 0 && row.keep >> domain & 1 == 1 {
                row.slack -= 1;
            }
        }
    }

    fn arrive(&mut self, t: usize, at: usize, devices: u64) {
        self.block.at[t] = at as u8;
        self.block.tasks[t].devices = devices;
        if at == self.block.node_count {
            return;
        }
        self.change_rows(t, at, 1);
        let (task, home) = (self.block.tasks[t], self.block.home[t]);
        if task.device_count > 0 && !(self.shared.simultaneous && at == home as usize) {
            self.change_devices(at, devices, task.device_milli, true);
        }
        if task.group == NO_GROUP {
            return;
        }
        let group = &mut self.block.groups[task.group as usize];
        group.nodes |= 1 << at;
        for row in &mut self.block.rows[group.row as usize..][..group.row_count as usize] {
            let domain = self.block.domain[row.domain as usize + at] as usize;
            let count = &mut self.block.count[row.count as usize + domain];
            if *count == 0 && row.keep >> domain & 1 == 1 {
                row.slack += 1;
            }
            *count += 1;
        }
    }

    fn change_rows(&mut self, t: usize, at: usize, sign: i32) {
        let is_home = -i32::from(at == self.block.home[t] as usize);
        for r in 0..L {
            let amount = self.block.requirement[t * L + r] * sign;
            self.block.used[at * L + r] += amount;
            let held = amount & !(self.shared.transient[r] & is_home);
            self.block.held[at * L + r] += held;
            self.block.free[at * L + r] -= held;
        }
        self.block.tasks_here[at] = self.block.tasks_here[at].wrapping_add_signed(sign);
    }

    fn change_devices(&mut self, at: usize, devices: u64, milli: u16, comes: bool) {
        let width = self.shared.device_width;
        change_devices(&mut self.block.device_used[at * width..][..width], devices, milli, comes);
    }
}
