//! What if there is no safe way to where everything should run? The search goes on from as far as there is one.
//!
//! A target is found without a look at the way, and in a full cluster moves are in each other's way. What has moved then
//! stays where it is, and the rest is searched again from there: the new target is made of moves that are possible now. Where
//! that brings nothing, single steps do: what can be started, emptied or sent home as things stand. Each round is kept only
//! when it makes the plan better.

use super::{Options, pooled, settle, solve};
use crate::control::Control;
use crate::model::Problem;
use crate::plan::{Ordered, joined, order};

/// Most rounds; a round that brings nothing is the last one before that.
const ROUNDS_MAX: u32 = 12;
/// Each round has this part of the effort, or of the time that is left.
const ROUND_PART: u32 = 4;

/// Goes on from `first`, where it has left moves blocked. `searched` is the problem in the points of the search, `problem`
/// that of the plan.
pub fn resume(problem: &Problem, searched: &Problem, first: Ordered, options: &Options, control: &Control) -> Ordered {
    let effort = options.effort.map(|effort| (effort / u64::from(ROUND_PART)).max(1));
    let mut best = first;
    for round in 1..=u64::from(ROUNDS_MAX) {
        if best.blocked.is_empty() || problem.moves.simultaneous || control.must_stop() {
            break;
        }
        let moves = best.departures();
        let part = Options { seed: options.seed.wrapping_add(round), effort, ..options.clone() };
        let (from, narrowed) = (problem.resumed(&best.reached, moves), searched.resumed(&best.reached, moves));
        let go_on = |target| joined(problem, &best, order(&from, &target, control), control);
        let mut next = go_on(solve(&narrowed, &part, &control.part(ROUND_PART)).placement);
        if next == best {
            next = go_on(pooled(options, || settle(&narrowed, options, &control.part(ROUND_PART))));
        }
        if next == best {
            break;
        }
        best = next;
    }
    best
}
