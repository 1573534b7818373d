//! Where does a chain begin? Where a few tasks are far larger than the others, even the hottest rounds settle who of them goes where: what
//! such a task would displace is too dear, or may not leave. All that comes after only fits the others around them. So several chains
//! start, and the one whose start looks best goes on.
//!
//! ```text
//! start     the first rounds of a chain, at the hottest temperature
//! best      least points in the mean of the second half of these rounds: single states differ by chance
//! Source    go with the winners (Aldous, Vazirani 1994), once
//! ```
//!
//! On ROADEF a2_3 the first sixteenth of all rounds says half of how a chain ends; on a1_4, a1_2 and a2_2 it says nothing, and costs a
//! sixteenth of the search. Starts run on the host: only a cluster of a single block has several.

use super::chain::Chain;
use super::pack::Pack;
use super::schedule::Schedule;
use crate::control::Control;
use crate::model::Problem;

/// Candidates per task of a start. Within the same part of the search more of them are worth more than longer ones down to this, and
/// not below: ROADEF a2_3 at 400,000 ends at 1,233 M with 4,000, at 1,211 M with 2,000 and at 1,216 M with 1,000.
pub const EFFORT: u64 = 2000;
/// Part of the rest of a search that is for starts, one in so many; with an eighth a2_3 ends at 1,218 M.
pub const PART: u64 = 16;
/// Starts of a chain at most: from here on, twice as many move their best by less than a third of a standard deviation.
const MOST: u64 = 32;

/// Among how many starts each chain of a search with so many candidates per task is chosen.
pub fn count(pack: &Pack, effort: u64) -> u64 {
    // With a budget of moves, what being away costs has to find its level first.
    let is_free = pack.displaced_max as usize >= pack.movable_count;
    (effort / PART / EFFORT).clamp(1, if is_free { MOST } else { 1 })
}

/// What comes of several starts.
pub struct Started {
    /// Who goes on.
    pub chain: Chain,
    /// Rounds of all others.
    pub rounds: u64,
    /// Candidates that these judged.
    pub evaluations: u64,
}

/// The best of these chains after the first rounds of a schedule; the first of equals. Where it has no such rounds, the first.
pub fn best(
    problem: &Problem,
    pack: &Pack,
    schedule: &Schedule,
    control: &Control,
    mut chains: impl Iterator<Item = Chain>,
) -> Started {
    let mut best = chains.next().expect("there is a start");
    let mut least = run(problem, pack, schedule, control, &mut best);
    let (mut rounds, mut evaluations) = (0, 0);
    for mut chain in chains {
        if control.must_stop() {
            break;
        }
        let points = run(problem, pack, schedule, control, &mut chain);
        if points.is_some_and(|points| least.is_none_or(|least| points < least)) {
            least = points;
            std::mem::swap(&mut best, &mut chain);
        }
        rounds += u64::from(chain.round);
        evaluations += chain.tally.evaluations;
        best.learn(chain);
    }
    Started { chain: best, rounds, evaluations }
}

/// Runs a start: its points, summed over the second half; `None` where it was ended before.
fn run(problem: &Problem, pack: &Pack, schedule: &Schedule, control: &Control, chain: &mut Chain) -> Option<i128> {
    let hottest = schedule.heat.temperature(0, chain.kind);
    let mut points = 0;
    while u64::from(chain.round) < schedule.lead {
        if control.must_stop() {
            return None;
        }
        chain.advance(problem, pack, schedule, &[hottest]);
        if u64::from(chain.round) > schedule.lead / 2 {
            points += i128::from(chain.tally.points);
        }
    }
    Some(points)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bulk::heat::{Heat, Kind};
    use crate::bulk::schedule::Part;
    use crate::bulk::state::State;
    use crate::bulk::{EFFORT_DEFAULT, Options};
    use crate::generate::{Order, Shape, Wish, generate};
    use std::time::Duration;

    fn cluster() -> Problem {
        let wish = Wish { nodes: Some(8), tasks: Some(60), seed: 3, ..Wish::default() };
        let order = Order::new(Shape::Huge, wish).expect("a cluster of that size can be made");
        Problem::new(&generate(&order)).unwrap()
    }

    #[test]
    fn the_best_of_several_starts_goes_on() {
        let problem = cluster();
        let (pack, unlimited) = (Pack::new(&problem), Control::unlimited());
        let built = State::at_home(&pack);
        let schedule = |starts| {
            let part = Part::Rest { spent: 0, kicks: 0, starts };
            Schedule::new(&pack, Heat::new(&pack), &Options::default(), &unlimited, part, EFFORT_DEFAULT)
        };
        let chain = |number| Chain::new(&pack, &built, 7, number, Kind::Near);
        let several = schedule(6);
        let alone = |number| {
            let mut chain = chain(number);
            (run(&problem, &pack, &several, &unlimited, &mut chain), chain)
        };
        let alone: Vec<(Option<i128>, Chain)> = (0..6).map(alone).collect();
        let winner = &alone.iter().min_by_key(|(points, _)| *points).unwrap().1;
        assert_ne!(winner.seed, alone[0].1.seed, "not just the first");
        let started = best(&problem, &pack, &several, &unlimited, (0..6).map(chain));
        assert_eq!((started.chain.seed, &started.chain.state), (winner.seed, &winner.state));
        assert_eq!(
            started.chain.key(),
            alone.iter().map(|(_, chain)| chain.key()).min().unwrap(),
            "of all that was seen"
        );
        assert_eq!((u64::from(started.chain.round), started.rounds), (several.lead, 5 * several.lead));
        let all: u64 = alone.iter().map(|(_, chain)| chain.tally.evaluations).sum();
        assert_eq!(started.evaluations + started.chain.tally.evaluations, all);

        let stopped = Control::unlimited().with_time_limit(Duration::ZERO);
        assert!(run(&problem, &pack, &several, &stopped, &mut chain(0)).is_none());
        let none = best(&problem, &pack, &several, &stopped, (0..6).map(chain));
        assert_eq!((none.chain.seed, none.chain.round, none.rounds), (chain(0).seed, 0, 0), "no time for any");

        let single = best(&problem, &pack, &schedule(1), &unlimited, (0..1).map(chain));
        assert_eq!((single.chain.round, single.rounds, single.evaluations), (0, 0, 0), "nothing to choose among");
    }

    #[test]
    fn a_long_search_has_several_starts() {
        let mut problem = cluster();
        let of = |problem: &Problem, effort| count(&Pack::new(problem), effort);
        let one = PART * EFFORT;
        assert_eq!([0, one, 2 * one - 1, 2 * one, u64::MAX].map(|effort| of(&problem, effort)), [1, 1, 1, 2, MOST]);
        assert_eq!(of(&problem, 70_000), 2, "what is left of the 80,000 that tests/gpu.rs asks for");
        problem.moves.max_moves = Some(3);
        assert_eq!(of(&problem, u64::MAX), 1, "a budget of moves");
    }
}
