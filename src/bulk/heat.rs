//! How hot is the search at each moment, and what do being away from home and exceeding a limit cost then?
//!
//! ```text
//! temperature   geometric from hot to cold, then 0; a bold chain takes its time until limits have closed, see KNEE_DEPTH
//! home          Being somewhere else has an entropy: ln of the number of nodes that a task fits on, and one more. Being away costs
//!               that times the temperature, else tasks scatter for nothing; twice that where all moves are simultaneous and what
//!               is still held at home blocks others, half of it where tasks wait for room. Where moves cost something, a dear one
//!               costs a careful chain more of this than a cheap one: most of it is in proportion to what the move itself costs. Else
//!               who goes where is settled while it is so hot that nobody looks at the price of moves.
//! away          When it is cold, nearly every task is at home and should stay there: what is left to find is how the few others
//!               can go home, or elsewhere, or be others, and where those that wait can run. So most candidates begin with one.
//! limits        In a full cluster the way to a better placement leads over its limits. They may be exceeded while it is hot,
//!               at a price that rises against the temperature; then they close: nothing may exceed more, and what does goes.
//! ```
//!
//! A careful chain keeps all limits, so that the shortest search brings something. A bold one opens and closes them, and being away
//! from home costs it the temperature just once. The first wins in roomy clusters, where moves are what costs; the second in full
//! ones. A near chain is a bold one that stays nearer home: being away costs it twice as much. It wins where a task that needs to be
//! elsewhere is one of few, or may be nearly anywhere; where nearly all of them must move, and hardly anything fits, a bold one does.
//! A light chain is a careful one for which being away is cheap, whatever the move: it wins where few moves are needed, but just the
//! right ones. For a keen chain, which is bold, and a neat one, which is near, half of the price of being away follows that of the
//! move.
//!
//! Everything follows from the problem, in integers.

use super::pack::{NOWHERE, Pack};
use super::state::State;
use crate::kernel::points::{HomePrice, OverPrice};
use crate::kernel::random::{exp2_q16, log2_q16};

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
/// A chain that exceeds limits falls by so much, log2(1024) in 65,536ths, in the first [`KNEE_FROM`] of its rounds and as quickly as it
/// likes in the rest: what is decided in a full cluster is decided before (4 to 8 % on ROADEF a2_2, a2_5 and a1_4).
const KNEE_DEPTH: i64 = 10 << 16;
const KNEE_FROM: i64 = PROGRESS_ONE * 82 / 100;
const _: () = assert!(KNEE_DEPTH > CLOSE_DEPTH && KNEE_FROM < SETTLE_FROM);
/// Of what being away from home costs a careful chain, this part is the same for all moves, where moves cost something; figures are in
/// benches/RESULTS.md. For a bold one and a near one all of it is: if cheap moves are free while it is hot, a long search on ROADEF a2_2
/// finds no way back within the limits.
const FLAT_PART: i64 = 8;
/// What being away from home costs a bold chain and a near one, in 256ths of the temperature; figures are in benches/RESULTS.md.
const BOLD_HOME: i64 = 256;
const NEAR_HOME: i64 = 512;
/// Of what it costs a keen or a neat chain, this part is in proportion to what the move costs: with seven eighths, some on ROADEF a2_4
/// find no way back.
const KEEN_PART: i64 = 2;
/// A move that costs more than so many times the mean counts as costing so much, so that all sums stay in range.
const DEAR_MOVE: i64 = 16;
/// Shifts, in 256ths of all candidates; the rest are swaps.
pub const SHIFT_SHARE: u32 = 77;
/// Tasks and nodes looked at to learn how many nodes a task fits on.
const SAMPLE: usize = 1024;

/// What a chain dares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Keeps limits and stays at home.
    Careful,
    /// Exceeds limits on the way.
    Bold,
    /// Keeps limits and, where moves cost something, leaves home easily: for half of the flat part of a careful one.
    Light,
    /// Exceeds limits on the way and, where moves cost something, looks at what a move costs while it is hot.
    Keen,
    /// Exceeds limits on the way and stays nearer home than a bold one.
    Near,
    /// A near one that looks at what a move costs as a keen one does.
    Neat,
}

impl Kind {
    /// May limits be exceeded on the way?
    pub fn exceeds_limits(self) -> bool {
        !matches!(self, Kind::Careful | Kind::Light)
    }
}

/// What a kind of chain is like.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// What being away from home costs, in 256ths of the temperature, whatever the move.
    home: i64,
    /// The same, for a move that costs as much as the mean move, and for others in proportion.
    priced: i64,
    /// Shifts that go home, in 256ths of all shifts.
    pub home_share: u32,
    /// Candidates that begin with a task that is away from home or waits, in 16ths; half where all tasks wait at the start. Careful: half
    /// of them brings as much on ROADEF b_9 and b_4 as three times the search without, three quarters a little more. All that exceed
    /// limits: in a full cluster many tasks end elsewhere, and with more of these candidates a1_4 and a2_5 end higher.
    pub away_share: u32,
}

/// Temperatures and prices of a search, however long it is.
#[derive(Debug, Clone, Copy)]
pub struct Heat {
    /// log2 of the first and last temperature, see `exp2_q16`.
    hot: i64,
    cold: i64,
    /// Of each [`Kind`].
    manners: [Manner; 6],
    /// Points that a move costs in the mean.
    pub mean_move: i64,
}

impl Heat {
    /// Of a search in this problem.
    pub fn new(pack: &Pack) -> Heat {
        let (hot, cold) = temperatures(pack);
        let waiting_only = pack.all_wait();
        let [careful, bold, near] = if waiting_only { [0; 3] } else { [careful_home(pack), BOLD_HOME, NEAR_HOME] };
        let away = |share: u32| if waiting_only { 8 } else { share };
        let mean_move = mean_move(pack);
        let flat = if mean_move > 0 { careful / FLAT_PART } else { careful };
        let careful = Manner { home: flat, priced: careful - flat, home_share: 128, away_share: away(12) };
        let bold = Manner { home: bold, priced: 0, home_share: 38, away_share: away(6) };
        let light = if mean_move > 0 { Manner { home: careful.home / 2, priced: 0, ..careful } } else { careful };
        let near = Manner { home: near, ..bold };
        let keen = |bold: Manner| {
            let priced = if mean_move > 0 { bold.home / KEEN_PART } else { 0 };
            Manner { home: bold.home - priced, priced, ..bold }
        };
        Heat { hot, cold, manners: [careful, bold, light, keen(bold), near, keen(near)], mean_move }
    }

    /// log2 of the first and last temperature, see `exp2_q16`.
    pub fn range(&self) -> (i64, i64) {
        (self.hot, self.cold)
    }

    /// Temperature in 256ths of a point, of a chain of this kind so far on ([`PROGRESS_ONE`]ths).
    pub fn temperature(&self, progress: i64, kind: Kind) -> i64 {
        let range = self.hot - self.cold;
        let (knee_from, knee_depth) = if kind.exceeds_limits() { (KNEE_FROM, KNEE_DEPTH.min(range)) } else { (0, 0) };
        let depth = if progress >= SETTLE_FROM {
            return 0;
        } else if progress < knee_from {
            knee_depth * progress / knee_from
        } else {
            knee_depth + (range - knee_depth) * (progress - knee_from) / (SETTLE_FROM - knee_from)
        };
        exp2_q16(self.hot - depth)
    }

    /// What a kind of chain is like.
    pub fn manner(&self, kind: Kind) -> &Manner {
        &self.manners[kind as usize]
    }

    /// What being away from home costs on top at a temperature, and so many points more for each displaced task.
    pub fn home_price(&self, kind: Kind, temperature: i64, move_price: i64) -> HomePrice {
        home_price(self.manner(kind), self.mean_move, temperature, move_price)
    }

    /// What exceeding limits costs at a temperature: the price rises as the temperature falls, to the power of 5/8. With less, what is
    /// above limits sometimes finds no way out in the end; with more, less is dared.
    pub fn over(&self, temperature: i64) -> OverPrice {
        if temperature == 0 {
            return OverPrice { factor: OVER_FACTOR_MAX as u32, is_closed: true };
        }
        let depth = self.hot - log2_q16(temperature);
        let factor = exp2_q16(depth * 5 / 8).min(OVER_FACTOR_MAX);
        OverPrice { factor: factor as u32, is_closed: depth > CLOSE_DEPTH }
    }
}

/// See [`Heat::home_price`]. With temperatures below 2^44 and manners below 2^13, every price stays below 2^60.
fn home_price(manner: &Manner, mean_move: i64, temperature: i64, move_price: i64) -> HomePrice {
    let points = |part: i64| (i128::from(temperature) * i128::from(part)) >> 16;
    let rate = if mean_move > 0 { (points(manner.priced) << 16) / i128::from(mean_move) } else { 0 };
    let most = mean_move.saturating_mul(DEAR_MOVE);
    HomePrice { flat: points(manner.home) as i64 + move_price, rate: rate as i64, most }
}

/// What being away from home costs a careful chain, in 256ths of the temperature.
fn careful_home(pack: &Pack) -> i64 {
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
    // ln x = log2 x · ln 2, and ln 2 = 177.4 / 256. At the entropy alone, half of all tasks are away from home, and the slower the
    // cooling the worse; at less than this, three of four searches on ROADEF b_3 leave one large task without a way.
    // Whoever makes room for a waiting task must go somewhere: half of it lets ten times as many pods start in a full openb cluster
    // (gpuspec33). In waves nothing is held at home for long; half of it there brings no more evenness, but three times the moves.
    let entropy = (256 + sum / i64::from(count.max(1)) * 177 / 65_536).clamp(256, 8 * 256);
    let waits = movable.iter().any(|task| pack.home[*task as usize] == NOWHERE);
    match (waits, pack.shared.simultaneous) {
        (true, _) => entropy / 2,
        (false, false) => entropy,
        (false, true) => 2 * entropy,
    }
}

/// Points that a move costs in the mean: of the movable tasks that run, to all nodes alike.
fn mean_move(pack: &Pack) -> i64 {
    let movers = || (0..pack.home.len()).filter(|task| pack.movable[*task] && pack.home[*task] != NOWHERE);
    let own: i128 = movers().map(|task| i128::from(pack.move_points[task])).sum();
    let pairs: i128 = pack.shared.pair.iter().map(|points| i128::from(*points)).sum();
    let mean = own / (movers().count() as i128).max(1) + pairs / (pack.shared.pair.len() as i128).max(1);
    mean.min(i128::from(i64::MAX)) as i64
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
        // All lanes of a node together, at the largest factor and twice over, stay below 2^59; so does the price before its shift.
        let most = (((1i64 << 59) / (i64::from(largest) * pack.lanes as i64)) >> 12).min(1 << 39);
        let wanted = i128::from(hot) * pack.movable_count as i128 / (total * i128::from(OVER_SHARE));
        wanted.clamp(1, i128::from(most.max(1))) as i64
    };
    (0..pack.lanes).map(price).collect()
}

/// Where the search is hot and where it is cold, as log2 in 65,536ths of 256ths of a point (see `exp2_q16`).
///
/// Hot is half of what an average task weighs in load, balance and variance points, or a twentieth of what it is worth (choosing
/// among tasks wants less heat: at half of the worth, 200 tasks on 20 nodes end at 9,425 instead of 9,456), but a tenth where devices
/// are wanted: to join what is free on two devices, a fraction must be let go for a while (openb 130 %, effort 2,000, one seed: 99.0
/// % of the GPUs at a twentieth, 99.6 % at a tenth, 99.3 % at a sixth; at effort 8,000 a tenth ends at 99.4 %, for the longer it is
/// hot the more fractions take the place of whole devices, which is left to `eject.rs`). Cold is a small part of what an average move
/// costs, or half of the hot part of worth; with devices and nobody to move, a 40th of hot: below that nothing is found any more. In
/// variance a task weighs what it adds to a node that is off by twice as much as the task alone: with a fifth of that heat, the same
/// evenness takes a twentieth more moves on 10,000 tasks; with five times as much, nothing changes.
fn temperatures(pack: &Pack) -> (i64, i64) {
    let shared = &pack.shared;
    let pair = i128::from(shared.pair.iter().copied().max().unwrap_or(0));
    let (mut load, mut value, mut price, mut count) = (0i128, 0i128, 0i128, 0i128);
    let (mut has_devices, mut has_homes) = (false, false);
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
        has_devices |= pack.device[task].0 > 0;
        has_homes |= pack.home[task] != NOWHERE;
        count += 1;
    }
    let count = count.max(1);
    // Times the table of logarithms, which stays below 2^20, a temperature must fit 63 bits.
    let q8 = |points: i128, divide: i128| ((points << 8) / (count * divide)).clamp(1, 1 << 43) as i64;
    let hot = q8(load, 2).max(q8(value, if has_devices { 10 } else { 20 }));
    if has_devices && !has_homes {
        return (log2_q16(hot), log2_q16((hot / 40).max(1)));
    }
    let cold = if price > 0 { q8(price, 20) } else { hot / 2000 };
    let cold = if value > 0 { cold.min(q8(value, 40)) } else { cold };
    (log2_q16(hot), log2_q16(cold.clamp(1, hot)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dear_move_costs_more_of_being_away_than_a_cheap_one() {
        let manner = Manner { home: 64, priced: 192, home_share: 0, away_share: 0 };
        let price = |temperature, mean_move, move_price| home_price(&manner, mean_move, temperature, move_price);
        let hot = 100 << 8;
        assert_eq!(price(hot, 50, 0).of(50), 100, "the mean move costs the temperature once, as one says");
        assert_eq!((price(hot, 50, 0).of(0), price(hot, 50, 0).of(100)), (25, 175), "none of its own, twice the mean");
        assert_eq!(price(hot, 50, 0).of(800), price(hot, 50, 0).of(i64::MAX), "and no more than sixteen times");
        assert_eq!(price(hot, 50, 7).of(50), 107, "a budget of moves counts each of them alike");
        assert_eq!(price(hot, 0, 0).of(1 << 60), 25, "where moves cost nothing, nothing is in proportion");
        assert_eq!(price(0, 50, 0).of(1 << 60), 0, "nothing when it is cold");
    }

    #[test]
    fn the_price_of_being_away_stays_in_range() {
        let most = Manner { home: 16 * 256, priced: 16 * 256, home_share: 0, away_share: 0 };
        for mean_move in [1, 3, 1 << 20, i64::MAX] {
            let price = home_price(&most, mean_move, 1 << 43, 1 << 58);
            for points in [0, 1, mean_move, i64::MAX] {
                let expected =
                    i128::from(price.flat) + ((i128::from(points.min(price.most)) * i128::from(price.rate)) >> 16);
                assert_eq!(i128::from(price.of(points)), expected, "mean {mean_move}, {points} points");
                assert!(price.of(points) < 1 << 60);
            }
        }
    }
}
