//! What if there is no safe way to where everything should run? The search goes on from as far as there is one.
//!
//! A target is found without a look at the way, and in a full cluster moves are in each other's way. What has moved then
//! stays where it is, and the rest is searched again from there: the new target is made of moves that are possible now. Where
//! that brings nothing, single steps do: what can be started, emptied or sent home as things stand; and so they do in the end where the
//! start broke a rule, and first where devices are shared, tasks wait and nothing at all could be ordered. Each round is kept only when it
//! makes the plan better.

use super::pack::Pack;
use super::{Options, eject, settle, solve};
use crate::control::{Control, on_threads};
use crate::model::{Placement, Problem, violations};
use crate::plan::{Ordered, joined, order};

/// Most rounds; a round that brings nothing is the last one before that.
const ROUNDS_MAX: u32 = 12;
/// A search of a round has this part of the effort, single steps have all of it: they take little. Under a time limit each of them,
/// and each ordering, has this part of the time that is left: whichever is slow, the others have their turn.
const ROUND_PART: u32 = 4;

/// Goes on from `first`, where it has left moves blocked. `searched` is the problem in the points of the search, `problem`
/// that of the plan.
pub fn resume(problem: &Problem, searched: &Problem, first: Ordered, options: &Options, control: &Control) -> Ordered {
    let effort = options.effort.map(|effort| (effort / u64::from(ROUND_PART)).max(1));
    let mut best = first;
    if problem.moves.simultaneous {
        return best;
    }
    let go_on = |best: &Ordered, target: &Placement| {
        let ordering = control.part(ROUND_PART);
        joined(problem, best, order(&problem.resumed(&best.reached, best.departures()), target, &ordering), &ordering)
    };
    let single = |best: &Ordered| {
        let narrowed = searched.resumed(&best.reached, best.departures());
        go_on(best, &on_threads(options.threads, || settle(&narrowed, options, &control.part(ROUND_PART))))
    };
    let ejects = !best.blocked.is_empty() && eject::suits(&Pack::new(searched));
    for round in 1..=u64::from(ROUNDS_MAX) {
        if best.blocked.is_empty() {
            break;
        }
        if control.must_stop() {
            best.is_cut = true;
            break;
        }
        // So full that nothing of a target has an order: what ejection finds in order has one.
        let begins = ejects && best.waves.is_empty();
        if let Some(next) = begins.then(|| single(&best)).flatten() {
            best = next;
            continue;
        }
        let part = Options { seed: options.seed.wrapping_add(round), effort, ..options.clone() };
        let search = control.part(ROUND_PART);
        let target = solve(&searched.resumed(&best.reached, best.departures()), &part, &search).placement;
        let is_cut = search.must_stop();
        let Some(next) = go_on(&best, &target).or_else(|| if begins { None } else { single(&best) }) else {
            best.is_cut |= is_cut;
            break;
        };
        best = next;
    }
    // Repair comes first, so the plan may end before a target that breaks a rule again; what that was to use is free.
    if best.blocked.is_empty() && !control.must_stop() && !violations(problem, &problem.current).is_empty() {
        best = single(&best).unwrap_or(best);
    }
    best
}
