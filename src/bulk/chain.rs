//! How does one independent search go on, round after round, here or on a device?

use super::device::{OnDevice, Trouble};
use super::heat::{Kind, SETTLE_FROM, SHIFT_SHARE};
use super::pack::{DISPLACED_MAX, Pack};
use super::round::{Cut, Cutter, RoundPlan};
use super::schedule::Schedule;
use super::state::{State, spots};
use crate::control::Control;
use crate::kernel::points::OverPrice;
use crate::kernel::random::pcg3d;
use crate::kernel::tally::Tally;
use crate::model::{Problem, SHARE_ONE, score};
use std::time::{Duration, Instant};

/// Rounds after which the price of being away from home is set anew, where few tasks may move.
const STEER_EVERY: u32 = 16;
/// Most points of that price: together with all others of a candidate it stays below 2^62.
const MOVE_PRICE_MAX: i128 = 1 << 58;

/// The best placement a chain has seen; its points and displaced tasks are in the tally.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Best {
    /// Shape: tasks.
    pub at: Vec<u32>,
    /// Shape: tasks.
    pub devices: Vec<u64>,
}

/// One independent search.
pub struct Chain {
    /// Its own seed.
    pub seed: u32,
    /// Where everything is; with a device, after the last batch that passed the audit.
    pub state: State,
    /// Points; 0 but for the group term in the state the chain began with.
    pub tally: Tally,
    /// Rounds done.
    pub round: u32,
    /// The best so far.
    pub best: Best,
    /// Where the rounds run while nothing is wrong there.
    pub device: Option<OnDevice>,
    /// What went wrong there.
    pub trouble: Option<Trouble>,
    /// See heat.rs.
    pub kind: Kind,
    /// Tasks that may be displaced in the best state.
    pub displaced_max: u32,
    /// Points per displaced task on top, so that not more are away from home than may move: see [`steered`].
    move_price: i64,
    /// Points of the state the chain began with.
    points_built: i64,
    /// The last round was not at temperature 0.
    is_warm: bool,
    cutter: Cutter,
}

impl Chain {
    /// A chain at its beginning.
    pub fn new(pack: &Pack, built: &State, seed: u64, number: usize, kind: Kind) -> Chain {
        let points = built.group_points(pack);
        let displaced = built.displaced;
        let seed = (seed ^ seed >> 32) as u32;
        Chain {
            seed: pcg3d(seed, number as u32, 0xB1A5)[0],
            state: built.clone(),
            tally: Tally {
                points,
                displaced,
                best_points: points,
                best_displaced: displaced,
                group_points: points,
                ..Tally::default()
            },
            round: 0,
            best: Best { at: built.at.clone(), devices: built.devices.clone() },
            device: None,
            trouble: None,
            kind,
            displaced_max: pack.displaced_max,
            move_price: 0,
            points_built: points,
            is_warm: false,
            cutter: Cutter::new(pack),
        }
    }

    /// What the best is ordered by: less is better.
    pub fn key(&self) -> (i64, i64) {
        (self.tally.best_points, self.tally.best_displaced)
    }

    /// True when the points gained since the built state are what the model says.
    pub fn agrees(&self, problem: &Problem, built: &State) -> bool {
        let objective = |at, devices| score(problem, &spots(problem, at, devices)).objective();
        let gain = objective(&self.best.at, &self.best.devices) - objective(&built.at, &built.devices);
        gain == -i128::from(self.tally.best_points - self.points_built) * i128::from(SHARE_ONE)
    }

    /// A round, or a batch of them on a device; true when there is nothing more to do, by the schedule or because the control says so.
    pub fn go_on(&mut self, problem: &Problem, pack: &Pack, schedule: &Schedule, control: &Control) -> bool {
        let (count, pace) = self.device.as_ref().map_or((1, None), |device| device.next_batch(control.time_left()));
        // Prices change between batches only, and always after the same rounds.
        let count = match self.displaced_max {
            DISPLACED_MAX => count,
            _ => count.min((STEER_EVERY - self.round % STEER_EVERY) as usize),
        };
        let temperatures = schedule.temperatures(u64::from(self.round), count, pace, self.kind);
        if control.must_stop() || temperatures.is_empty() {
            return true;
        }
        if self.displaced_max < DISPLACED_MAX && self.round.is_multiple_of(STEER_EVERY) {
            self.move_price = steered(self.move_price, self.tally.displaced, self.displaced_max, temperatures[0]);
        }
        self.advance(problem, pack, schedule, &temperatures);
        false
    }

    /// An interrupted search is still hot, and one that the clock ended may not have had the last turn: cools it at once, as long as that
    /// helps, but briefly. The device is free then.
    pub fn finish(&mut self, problem: &Problem, pack: &Pack, schedule: &Schedule) {
        debug_assert_eq!(self.state, self.state.recomputed(pack), "the blocks and the state agree on every sum");
        let is_left_warm = schedule.is_by_clock() && self.is_warm;
        if is_left_warm || schedule.progress(u64::from(self.round)) < SETTLE_FROM {
            self.quench(problem, pack, schedule);
        }
        self.device = None;
    }

    fn quench(&mut self, problem: &Problem, pack: &Pack, schedule: &Schedule) {
        let end = Instant::now() + Duration::from_millis(300);
        for _ in 0..20 {
            let before = self.tally.points;
            self.advance(problem, pack, schedule, &[0]);
            if self.tally.points == before || Instant::now() > end {
                break;
            }
        }
    }

    /// The best that another chain from the same beginning has seen counts as this one's if it is better.
    pub fn learn(&mut self, other: Chain) {
        if other.key() < self.key() {
            (self.tally.best_points, self.tally.best_displaced) = other.key();
            self.best = other.best;
        }
    }

    /// Rounds at these temperatures. A device that fails leaves the chain as it was; the same rounds are then done here.
    pub fn advance(&mut self, problem: &Problem, pack: &Pack, schedule: &Schedule, temperatures: &[i64]) {
        let rounds = (self.round..).zip(temperatures);
        self.is_warm = temperatures.last().is_some_and(|temperature| *temperature > 0);
        let plans: Vec<_> = rounds.map(|(round, temperature)| self.plan(schedule, round, *temperature)).collect();
        if self.device.is_some() {
            match OnDevice::advance(self, problem, pack, &plans) {
                Ok(()) => return,
                Err(trouble) => (self.device, self.trouble) = (None, Some(trouble)),
            }
        }
        plans.iter().for_each(|plan| self.step(problem, pack, plan));
    }

    /// Settings of a round.
    pub fn plan(&self, schedule: &Schedule, round: u32, temperature: i64) -> RoundPlan {
        let heat = &schedule.heat;
        let manner = heat.manner(self.kind);
        RoundPlan {
            seed: self.seed,
            round,
            candidates_per_task: schedule.candidates_per_task,
            candidates_max: schedule.candidates_max,
            temperature,
            home: heat.home_price(self.kind, temperature, self.move_price),
            shift_share: SHIFT_SHARE,
            home_share: manner.home_share,
            away_share: manner.away_share,
            displaced_max: self.displaced_max,
            over: if self.kind.exceeds_limits() { heat.over(temperature) } else { OverPrice::default() },
        }
    }

    /// One round, here.
    pub fn step(&mut self, problem: &Problem, pack: &Pack, plan: &RoundPlan) {
        let result = self.cutter.run(problem, pack, &mut self.state, plan);
        self.round += 1;
        if self.tally.book(&result, self.state.group_points(pack), plan.displaced_max) {
            self.best.at.copy_from_slice(&self.state.at);
            self.best.devices.copy_from_slice(&self.state.devices);
        }
    }

    /// The cut of the last round done here.
    pub fn cut(&self) -> &Cut {
        self.cutter.last()
    }
}

/// The next price of being away from home where only `most` tasks may move: it follows the eighth power of how many are displaced, by no
/// more than twice or half at a time. With the first power, it stays where a hundredth too many are displaced, and no state counts.
fn steered(price: i64, displaced: i64, most: u32, temperature: i64) -> i64 {
    let (most, displaced) = (i128::from(most), i128::from(displaced));
    let least = if displaced > most { (temperature >> 8).max(1) } else { 0 };
    let price = i128::from(price.max(least));
    let followed = (0..8).fold(price, |followed, _| (followed * displaced / most.max(1)).min(price * 2));
    followed.clamp(price / 2, price * 2).min(MOVE_PRICE_MAX) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_price_of_moves_follows_how_many_there_are() {
        assert_eq!(steered(1000, 102, 100, 0), 1168, "a fiftieth too many: a sixth more");
        assert_eq!(steered(100, 900, 20, 0), 200, "at most twice");
        assert_eq!(steered(1000, 98, 100, 0), 847);
        assert_eq!(steered(100, 0, 20, 0), 50, "at least half");
        assert_eq!(steered(100, 20, 20, 1 << 20), 100, "as it should be");
        assert_eq!(steered(0, 21, 20, 0), 1, "it begins even when nothing is warm");
        assert_eq!(steered(0, 40, 20, 1 << 20), 8192, "the first price is about the temperature, in points");
        assert_eq!(steered(1, 1, 20, 1 << 20), 0, "and ends");
        assert_eq!((steered(7, 0, 0, 0), steered(7, 5, 0, 0)), (3, 14), "nothing may move");
        assert_eq!(i128::from(steered(1 << 58, i64::MAX, 0, 0)), MOVE_PRICE_MAX, "it has an end");
    }
}
