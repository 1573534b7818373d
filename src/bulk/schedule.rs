//! How hot is the search at each moment, and what do being away from home and exceeding a limit cost then?
//!
//! ```text
//! temperature   geometric from hot to cold, then 0
//! home          Being somewhere else has an entropy: ln of the number of nodes that a task fits on. Being away costs that
//!               and one more times the temperature, else tasks scatter for nothing, and what they still hold at home blocks others.
//! limits        In a full cluster the way to a better placement leads over its limits. They may be exceeded while it is hot,
//!               at a price that rises against the temperature; then they close: nothing may exceed more, and what does goes.
//! ```
//!
//! The first chain is careful: limits always hold, so that the shortest search brings something. Where a problem is so small that
//! there is a second one, it is bold: limits open and close, and being away from home costs the temperature just once. The first
//! wins in roomy clusters, where moves are what costs; the second in full ones.
//!
//! Everything follows from the problem and the budget, in integers.

use super::pack::{NOWHERE, Pack};
use super::state::State;
use super::{CANDIDATES_PER_ROUND, EFFORT_DEFAULT, EFFORT_MAX, Options, round};
use crate::control::Control;
use crate::kernel::points::OverPrice;
use crate::kernel::random::{exp2_q16, log2_q16};
use crate::model::Problem;
use std::time::{Duration, Instant};

/// The whole of a search, as an integer so that no rounding depends on the platform.
pub const PROGRESS_ONE: i64 = 1 << 20;
/// The last 3 % of the rounds are at temperature 0.
pub const SETTLE_FROM: i64 = PROGRESS_ONE * 97 / 100;
/// Limits close where the temperature has fallen by so much: log2(700) in 65,536ths. Later, what is above them no longer finds a
/// way out; earlier, the good places are not yet found.
const CLOSE_DEPTH: i64 = 619_393;
/// What exceeding a limit by a mean task's requirement costs at the start: a sixth of hot.
const OVER_SHARE: i64 = 6;
/// Largest factor on that price, in 256ths.
const OVER_FACTOR_MAX: i64 = 1 << 20;
/// Tasks and nodes looked at to learn how many nodes a task fits on.
const SAMPLE: usize = 1024;

/// Temperatures and length of the search, from the problem and the budget alone.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// Rounds, or `None` when time decides.
    rounds: Option<u64>,
    /// Most rounds, whatever the time.
    rounds_max: u64,
    start: Instant,
    time: Option<Duration>,
    /// log2 of the first and last temperature, see `exp2_q16`.
    hot: i64,
    cold: i64,
    /// Home penalty of a careful chain and of a bold one, in 256ths of the temperature.
    pub home: [i64; 2],
    pub shift_share: u32,
    pub home_share: u32,
    /// Candidates of a block and round at most: twice the mean.
    pub candidates_max: u32,
}

impl Schedule {
    /// The schedule of a search.
    pub fn new(problem: &Problem, pack: &Pack, options: &Options, control: &Control) -> Schedule {
        let per_round = u64::from(CANDIDATES_PER_ROUND);
        let rounds = match (options.effort, control.time_left()) {
            (Some(effort), _) => Some(effort.div_ceil(per_round).max(1)),
            (None, None) => Some(EFFORT_DEFAULT / per_round),
            (None, Some(_)) => None,
        };
        // Trimming, filling, ordering and verifying come after the search.
        let time = control.time_left().map(|left| left.mul_f64(0.93));
        let (hot, cold) = temperatures(pack);
        let waiting_only = problem.task_ids().all(|task| !problem.current.spot(task).is_placed());
        let blocks = round::block_count(problem.nodes.len());
        Schedule {
            rounds,
            rounds_max: EFFORT_MAX / per_round,
            start: Instant::now(),
            time,
            hot,
            cold,
            home: if waiting_only { [0; 2] } else { home_penalties(pack) },
            shift_share: 77,
            home_share: if blocks > 1 { 128 } else { 38 },
            candidates_max: 2 * CANDIDATES_PER_ROUND * pack.movable_count.div_ceil(blocks) as u32,
        }
    }

    fn progress_by_rounds(&self, round: u64) -> i64 {
        round as i64 * PROGRESS_ONE / self.rounds.unwrap_or(self.rounds_max) as i64
    }

    /// How far the search is, in [`PROGRESS_ONE`]ths.
    pub fn progress(&self, round: u64) -> i64 {
        let by_rounds = self.progress_by_rounds(round);
        match (self.rounds, self.time) {
            (None, Some(time)) => {
                let by_time =
                    self.start.elapsed().as_micros() as i64 * PROGRESS_ONE / (time.as_micros() as i64).max(1000);
                by_rounds.max(by_time)
            }
            _ => by_rounds,
        }
    }

    /// Temperatures of the next rounds, at most `count`; none when the search is over. `pace` is the time a round will take, for
    /// searches by the clock.
    pub fn temperatures(&self, round: u64, count: usize, pace: Option<Duration>) -> Vec<i64> {
        let by_clock = match (self.rounds, self.time, pace) {
            (None, Some(time), Some(pace)) => {
                (pace.as_nanos() as i128 * i128::from(PROGRESS_ONE) / (time.as_nanos() as i128).max(1)) as i64
            }
            _ => 0,
        };
        let now = self.progress(round);
        let progress = |i: u64| self.progress_by_rounds(round + i).max(now + by_clock.saturating_mul(i as i64));
        (0..count as u64)
            .map(progress)
            .take_while(|progress| *progress < PROGRESS_ONE)
            .map(|p| self.temperature(p))
            .collect()
    }

    /// Temperature in 256ths of a point.
    fn temperature(&self, progress: i64) -> i64 {
        if progress >= SETTLE_FROM {
            return 0;
        }
        exp2_q16(self.hot + (self.cold - self.hot) * progress / SETTLE_FROM)
    }

    /// What exceeding limits costs at a temperature: against it, the price rises with its square root.
    pub fn over(&self, temperature: i64) -> OverPrice {
        if temperature == 0 {
            return OverPrice { factor: OVER_FACTOR_MAX as u32, is_closed: true };
        }
        let depth = self.hot - log2_q16(temperature);
        let factor = exp2_q16(depth / 2).min(OVER_FACTOR_MAX);
        OverPrice { factor: factor as u32, is_closed: depth > CLOSE_DEPTH }
    }
}

/// What being away from home costs a careful chain and a bold one, in 256ths of the temperature.
fn home_penalties(pack: &Pack) -> [i64; 2] {
    let start = State::at_home(pack);
    let (nodes, lanes) = (pack.price.len(), pack.lanes);
    let movable = &pack.order[..pack.movable_count];
    let step = |count: usize| count.div_ceil(SAMPLE).max(1);
    let fits = |task: usize, node: usize| {
        let (limit, used) = (&pack.limit[node * lanes..][..lanes], &start.used[node * lanes..][..lanes]);
        let requirement = &pack.requirement[task * lanes..][..lanes];
        limit.iter().zip(used).zip(requirement).all(|((limit, used), need)| limit - used >= *need)
    };
    let (mut sum, mut count) = (0, 0);
    for task in movable.iter().step_by(step(movable.len())).filter(|task| pack.home[**task as usize] != NOWHERE) {
        let found = (0..nodes).step_by(step(nodes)).filter(|node| fits(*task as usize, *node)).count();
        sum += log2_q16(((found * step(nodes) + 1) as i64) << 8);
        count += 1;
    }
    // ln x = log2 x · ln 2, and ln 2 = 177.4 / 256.
    // One more than the entropy: at the same, half of all tasks are away from home, and the slower the cooling the worse.
    let careful = (256 + sum / i64::from(count.max(1)) * 177 / 65_536).clamp(256, 8 * 256);
    [careful, 256]
}

/// What exceeding each limit costs at the first temperature: 256ths of a point per quantum, 0 for transient resources, whose
/// excess only going home would cure. Shape: lanes.
pub fn over_prices(pack: &Pack) -> Vec<i64> {
    let hot = exp2_q16(temperatures(pack).0);
    let movable = || pack.order[..pack.movable_count].iter().map(|task| *task as usize);
    let price = |r: usize| {
        let total: i128 = movable().map(|task| i128::from(pack.requirement[task * pack.lanes + r])).sum();
        let largest = pack.limit.iter().skip(r).step_by(pack.lanes).copied().max().unwrap_or(0).max(1);
        if total == 0 || pack.shared.transient[r] != 0 {
            return 0;
        }
        // All lanes of a node together, at the largest factor and twice over, stay below 2^59.
        let most = ((1i64 << 59) / (i64::from(largest) * pack.lanes as i64)) >> 12;
        let wanted = i128::from(hot) * pack.movable_count as i128 / (total * i128::from(OVER_SHARE));
        wanted.clamp(1, i128::from(most.max(1))) as i64
    };
    (0..pack.lanes).map(price).collect()
}

/// Where the search is hot and where it is cold, as log2 in 65,536ths of 256ths of a point (see `exp2_q16`).
///
/// Hot is half of what an average task weighs in load, balance and variance points, or a twentieth of what it is worth (choosing
/// among tasks wants less heat: at half of the worth, 200 tasks on 20 nodes end at 9,425 instead of 9,456); cold is a small part
/// of what an average move costs, or half of the hot part of worth. In variance a task weighs what it adds to a node that is
/// off by twice as much as the task alone: with a fifth of that heat, the same evenness takes a twentieth more moves on 10,000
/// tasks; with five times as much, nothing changes.
pub fn temperatures(pack: &Pack) -> (i64, i64) {
    let shared = &pack.shared;
    let pair = i128::from(shared.pair.iter().copied().max().unwrap_or(0));
    let (mut load, mut value, mut price, mut count) = (0i128, 0i128, 0i128, 0i128);
    let terms = shared.variance.len();
    let mean_factor = |term: usize| {
        let factors = || pack.factors.iter().skip(term).step_by(terms).filter(|factor| **factor > 0);
        factors().map(|factor| i128::from(*factor)).sum::<i128>() / (factors().count() as i128).max(1)
    };
    let factors: Vec<i128> = (0..terms).map(mean_factor).collect();
    for task in (0..pack.home.len()).filter(|task| pack.movable[*task]) {
        let row = &pack.requirement[task * pack.lanes..][..pack.lanes];
        load += row.iter().zip(&shared.load_weight).map(|(q, w)| i128::from(*q) * i128::from(*w)).sum::<i128>();
        for term in &shared.balance {
            let amount = i128::from(row[term.resource as usize]) * i128::from(term.target)
                + i128::from(row[term.other as usize]);
            load += amount * i128::from(term.weight);
        }
        for (term, factor) in shared.variance.iter().zip(&factors) {
            let level = (i128::from(row[term.resource as usize]) * factor) >> term.shift;
            load += 5 * level * level;
        }
        // What cannot be in the pool is never chosen among.
        value += if pack.may_stop[task] { i128::from(pack.value[task]) } else { 0 };
        price += i128::from(pack.move_points[task]) + pair / 2;
        count += 1;
    }
    let count = count.max(1);
    // Times the table of logarithms, which stays below 2^20, a temperature must fit 63 bits.
    let q8 = |points: i128, divide: i128| ((points << 8) / (count * divide)).clamp(1, 1 << 43) as i64;
    let hot = q8(load, 2).max(q8(value, 20));
    let cold = if price > 0 { q8(price, 20) } else { hot / 2000 };
    let cold = if value > 0 { cold.min(q8(value, 40)) } else { cold };
    (log2_q16(hot), log2_q16(cold.clamp(1, hot)))
}
