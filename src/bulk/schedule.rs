//! How long is each part of a search, who searches in it, and how far is it?
//!
//! A cluster of one block has two chains at a time, whatever the threads: the first eighth of the search at most tries a careful, a
//! bold and a near one, the latter two twice in a long search; the rest is for two whose kinds it chooses (team.rs), each from the best
//! of several starts (start.rs), and for kicks (kick.rs); where nothing runs yet, both are careful from the start, and so they are where a
//! trial would be too short to show anything. Larger clusters have one careful chain, whose blocks the threads share.
//!
//! Everything follows from the problem and the budget, in integers; by the clock, from the pace as well.

use super::heat::{Heat, Kind, PROGRESS_ONE};
use super::pack::Pack;
use super::turns::{AT_ONCE, TURN};
use super::{EFFORT_MAX, Options, round, start};
use crate::control::Control;
use std::time::{Duration, Instant};

/// Candidates per task and round in a cluster of several blocks.
const CANDIDATES_PER_ROUND: u32 = 20;
/// Candidates of a round in a cluster of one block, more or less, and per task at least and at most. With 20 at least, five seconds are
/// some 18 rounds on ROADEF b_5 and b_8, too few to cool in, and half of all searches ended a third higher. With 50, seven searches on
/// a1_4 and on a2_5 ended as well on average (267.9 against 267.4 M and 346 against 345 M) as with 20, a sixth sooner.
const ONE_BLOCK_ROUND: u64 = 200_000;
const ONE_BLOCK_PER_TASK: (u64, u64) = (5, 50);
/// Rounds that a search is to have at least, where the most candidates per task and round would leave fewer.
const ROUNDS_MIN: u64 = 200;
/// Part of a search that tries which kind of chain does better.
pub const TRIAL_PART: u64 = 8;
/// Kinds that are tried in a cluster of one block.
pub const KINDS: [Kind; 3] = [Kind::Careful, Kind::Bold, Kind::Near];
/// Where the search is long enough for trials of full length by all, who exceeds limits is tried twice: on ROADEF a2_2 one such chain in
/// four finds no way back, and on a2_5 one in ten ends a fifth above what is usual.
const KINDS_TWICE: [Kind; 5] = [Kind::Careful, Kind::Bold, Kind::Near, Kind::Bold, Kind::Near];
/// Candidates per task of each that are enough for that: what a long search has beyond is better spent on the rest of it.
const TRIAL_EFFORT_MAX: u64 = 22_000;
/// A turn is no longer than the time of a part divided by this, so that all chains come to its cold end.
const TURNS_MIN: u32 = 100;

/// A part of a search.
#[derive(Debug, Clone, Copy)]
pub enum Part {
    /// All of it.
    Whole,
    /// An eighth, or what is long enough to see which of three kinds of chain does best.
    Trial {
        /// How many try.
        chains: usize,
    },
    /// What is left.
    Rest {
        /// Candidates per task that the trial had; 0: there was none.
        spent: u64,
        /// One part in so many is left to kicks; 0: none. See kick.rs.
        kicks: u64,
        /// Starts among which each chain is chosen. See start.rs.
        starts: u64,
    },
}

/// Who is tried in a search that is likely to have so many candidates per task.
pub fn tried(likely: u64) -> &'static [Kind] {
    let is_long = likely / TRIAL_PART * AT_ONCE as u64 / KINDS_TWICE.len() as u64 >= TRIAL_EFFORT_MAX;
    if is_long { &KINDS_TWICE } else { &KINDS }
}

impl Part {
    /// How many of the rounds of a whole search it has, starts aside.
    fn of(self, rounds: u64, per_round: u64) -> u64 {
        match self {
            Part::Whole => rounds,
            Part::Trial { chains } => {
                (rounds / TRIAL_PART * AT_ONCE as u64 / chains as u64).min(TRIAL_EFFORT_MAX / per_round)
            }
            Part::Rest { spent, kicks, .. } => {
                let rest = rounds.saturating_sub(spent.div_ceil(per_round));
                let others = rest.checked_div(kicks).unwrap_or(0) + self.starts() * self.lead(per_round);
                rest.saturating_sub(others)
            }
        }
    }

    /// Starts among which each chain is chosen.
    pub fn starts(self) -> u64 {
        if let Part::Rest { starts, .. } = self { starts } else { 1 }
    }

    /// Rounds of a start.
    fn lead(self, per_round: u64) -> u64 {
        if self.starts() > 1 { start::EFFORT.div_ceil(per_round) } else { 0 }
    }

    /// How much time it has of what is left.
    fn time(self, left: Duration) -> Duration {
        match self {
            Part::Whole | Part::Rest { kicks: 0, .. } => left,
            Part::Trial { .. } => left / TRIAL_PART as u32,
            Part::Rest { kicks, .. } => left - left / kicks as u32,
        }
    }
}

/// Temperatures and length of the search, from the problem and the budget; by the clock, from the pace as well.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// How hot it is, and what that means.
    pub heat: Heat,
    part: Part,
    /// Rounds of a start, at the hottest temperature; 0 where there is nothing to choose among.
    pub lead: u64,
    /// Rounds after those, or `None` when time decides.
    rounds: Option<u64>,
    /// Most rounds after those, whatever the time.
    rounds_max: u64,
    start: Instant,
    time: Option<Duration>,
    /// Candidates per movable task of a block and round.
    pub candidates_per_task: u32,
    /// Candidates of a block and round at most: twice the mean.
    pub candidates_max: u32,
}

impl Schedule {
    /// The schedule of a part, which begins now, of a search that is likely to have so many candidates per task.
    pub fn new(pack: &Pack, heat: Heat, options: &Options, control: &Control, part: Part, likely: u64) -> Schedule {
        let blocks = round::block_count(pack.price.len());
        let candidates_per_task = candidates_per_task(blocks, pack.movable_count, likely);
        let per_round = u64::from(candidates_per_task);
        let share = |rounds: u64| part.of(rounds, per_round);
        let rounds = options.effort_under(control).map(|effort| share(effort.div_ceil(per_round).max(1)));
        Schedule {
            heat,
            part,
            lead: part.lead(per_round),
            rounds,
            rounds_max: share((EFFORT_MAX * pack.movable_count as u64 / per_round).max(8)),
            start: Instant::now(),
            time: control.time_left().map(|left| part.time(left)),
            candidates_per_task,
            candidates_max: 2 * candidates_per_task * pack.movable_count.div_ceil(blocks) as u32,
        }
    }

    /// Its time begins now.
    pub fn begin(&mut self, control: &Control) {
        (self.start, self.time) = (Instant::now(), control.time_left().map(|left| self.part.time(left)));
    }

    fn progress_by_rounds(&self, round: u64) -> i64 {
        let round = round.saturating_sub(self.lead);
        match self.rounds.unwrap_or(self.rounds_max) {
            0 => PROGRESS_ONE,
            rounds => round as i64 * PROGRESS_ONE / rounds as i64,
        }
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

    /// Was a search ended after so many rounds, of more that it was to have or could have had?
    pub fn is_cut(&self, rounds: u64) -> bool {
        rounds < self.lead + self.rounds.unwrap_or(self.rounds_max)
    }

    /// Does time decide when it ends?
    pub fn is_by_clock(&self) -> bool {
        self.rounds.is_none() && self.time.is_some()
    }

    /// How long the turn of a chain is; it has one round at least.
    pub fn turn(&self) -> Duration {
        self.time.map_or(TURN, |time| TURN.min(time / TURNS_MIN))
    }

    /// How far the whole search is, in thousandths.
    pub fn done(&self, round: u64) -> u32 {
        let progress = self.progress(round).clamp(0, PROGRESS_ONE) as u64 * 1000 / PROGRESS_ONE as u64;
        let done = match self.part {
            Part::Whole | Part::Rest { spent: 0, .. } => progress,
            Part::Trial { .. } => progress / TRIAL_PART,
            Part::Rest { .. } => (1000 + (TRIAL_PART - 1) * progress) / TRIAL_PART,
        };
        done as u32
    }

    /// Temperatures of the next rounds, at most `count`; none when the search is over. `pace` is the time a round will take, for
    /// searches by the clock.
    pub fn temperatures(&self, round: u64, count: usize, pace: Option<Duration>, kind: Kind) -> Vec<i64> {
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
            .map(|p| self.heat.temperature(p, kind))
            .collect()
    }
}

/// Candidates per task and round. A cluster of one block is not cut, so it need not be put together so often; but a round in it is not to
/// last long, nor are there to be few of them.
fn candidates_per_task(blocks: usize, movable: usize, likely: u64) -> u32 {
    if blocks > 1 {
        return CANDIDATES_PER_ROUND;
    }
    let by_size = ONE_BLOCK_ROUND / (movable as u64).max(1);
    by_size.min(likely / ROUNDS_MIN).clamp(ONE_BLOCK_PER_TASK.0, ONE_BLOCK_PER_TASK.1) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_search_are_all_of_it() {
        for (rounds, tried) in [(4800, 400), (100_000, 440), (0, 0), (8, 0), (16, 1)] {
            assert_eq!(Part::Trial { chains: 3 }.of(rounds, 50), tried, "of {rounds}");
        }
        assert_eq!([8800, 8780].map(|rounds| Part::Trial { chains: 5 }.of(rounds, 50)), [440, 438]);
        let rest = |spent, kicks, starts| Part::Rest { spent, kicks, starts }.of(4800, 50);
        assert_eq!((rest(0, 0, 1), rest(30_000, 0, 1), rest(29_951, 0, 1)), (4800, 4200, 4200));
        assert_eq!(rest(300_000, 0, 1), 0, "nothing is left");
        assert_eq!(rest(30_000, 8, 1), 3675);
        assert_eq!(rest(30_000, 8, 3), 3675 - 3 * start::EFFORT / 50);
        let of = |starts| Part::Rest { spent: 0, kicks: 0, starts }.of(4800, 37);
        assert_eq!(of(1) - of(2), 2 * 55, "2,000 candidates per task in rounds of 37");
    }
}
