//! Is there any way with parking? Every order of a few moves whose tasks may wait elsewhere.
//!
//! `detour.rs` looks at what is left at a deadlock and parks a task that leaves the place somebody waits for. By then another may have
//! taken the place to wait at, or has to go first. So a small set of moves that has no order (`chain.rs`) is tried from the beginning,
//! one move at a time, each straight to its target or first to any node with room; fewest parking moves first. A state seen before is
//! not tried again.

use super::detour::{Scene, can_go, parking_place};
use super::list::Unit;
use super::slots::Slots;
use super::step::{Hop, Step};
use super::wave::Wave;
use crate::control::Control;
use crate::model::{NodeId, Problem, Spot, TaskId};
use std::collections::{HashMap, HashSet};

/// Most units of a set that is tried in every order.
const UNITS_MAX: usize = 8;
/// Most nodes to wait at that are looked at for a task, the first with room.
const PLACES_MAX: usize = 8;
/// Most moves tried, over all sets of an ordering and for one: a second or two.
const TRIES_MAX: (usize, usize) = (1_000_000, 50_000);
/// Looks for a place to wait at that count as one try.
const LOOKS_PER_TRY: usize = 16;

/// Replaces each of the sets that has a way with parking by units that come one after the other; gives the tasks that park.
pub(super) fn untie(
    problem: &Problem,
    slots: &Slots,
    units: &mut Vec<Unit>,
    sets: &[Vec<usize>],
    control: &Control,
) -> HashSet<TaskId> {
    let (mut parked, mut left) = (HashSet::new(), TRIES_MAX.0);
    let mut wave = Wave::new(problem, slots);
    // One move at a time: those that were under way have ended before.
    wave.commit();
    for set in sets.iter().filter(|set| set.len() <= UNITS_MAX) {
        if left == 0 || control.must_stop() {
            break;
        }
        let mut scene = Scene::new(problem, slots, units, &mut wave);
        let tries = left.min(TRIES_MAX.1);
        let mut tangle = Tangle::new(&scene, set, tries);
        let hops = tangle.untie(&mut scene);
        scene.take_back(0);
        left -= tries - tangle.tries_left;
        parked.extend(follow(problem, slots, units, hops.unwrap_or_default()));
    }
    parked
}

/// Adds units for hops that come one after the other, each in a wave of its own, in the place of those that they are parts of; gives the
/// tasks that park.
fn follow(problem: &Problem, slots: &Slots, units: &mut Vec<Unit>, hops: Hops) -> Vec<TaskId> {
    let mut waits: HashMap<usize, Spot> = HashMap::new();
    let (mut parked, count) = (Vec::new(), hops.len());
    for (i, (unit, place)) in hops.into_iter().enumerate() {
        let between = |step: &Step, ends, hop| Step::between(problem, slots, step.task, ends, hop);
        let whole = &units[unit].steps;
        let steps = match (&place, waits.get(&unit)) {
            (Some(place), _) => vec![between(&whole[0], [&whole[0].from, place], Hop::Park)],
            (None, Some(waited)) => vec![between(&whole[0], [waited, &whole[0].to], Hop::Onward)],
            (None, None) => whole.iter().map(|step| between(step, [&step.from, &step.to], step.hop)).collect(),
        };
        if let Some(place) = place {
            parked.push(steps[0].task);
            waits.insert(unit, place);
        }
        // Nobody brings it up any more.
        units[unit].follows = true;
        let onward = (i + 1 < count).then_some(units.len() + 1);
        units.push(Unit { onward, follows: i > 0, ..Unit::new(steps) });
    }
    parked
}

/// Where the task of a unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum At {
    Home,
    Waits(NodeId),
    There,
}

/// Units that are carried out, or the place where their task waits first.
type Hops = Vec<(usize, Option<Spot>)>;

/// A set of units that is tried in every order.
struct Tangle<'a> {
    set: &'a [usize],
    /// By unit of the set: it may wait elsewhere.
    may_wait: Vec<bool>,
    tries_left: usize,
    at: Vec<At>,
    hops: Hops,
    seen: HashSet<(Vec<At>, usize)>,
}

impl<'a> Tangle<'a> {
    fn new(scene: &Scene, set: &'a [usize], tries_left: usize) -> Tangle<'a> {
        let may_wait = set.iter().map(|unit| can_go(scene.problem, &scene.units[*unit]).is_some()).collect();
        Tangle { set, may_wait, tries_left, at: vec![At::Home; set.len()], hops: Vec::new(), seen: HashSet::new() }
    }

    /// The way with the fewest parking moves.
    fn untie(&mut self, scene: &mut Scene) -> Option<Hops> {
        let most = self.may_wait.iter().filter(|may| **may).count();
        (1..=most).find_map(|parks| {
            self.seen.clear();
            self.extend(scene, parks).then(|| std::mem::take(&mut self.hops))
        })
    }

    /// Carries out the rest, with at most so many parking moves; what was tried in vain is taken back.
    fn extend(&mut self, scene: &mut Scene, parks: usize) -> bool {
        if self.at.iter().all(|at| *at == At::There) {
            return true;
        }
        if !self.seen.insert((self.at.clone(), parks)) {
            return false;
        }
        for i in 0..self.set.len() {
            if self.at[i] != At::There && self.tries(scene, i, At::There, None, parks) {
                return true;
            }
        }
        for i in (0..self.set.len()).filter(|_| parks > 0) {
            if self.at[i] != At::Home || !self.may_wait[i] {
                continue;
            }
            self.tries_left = self.tries_left.saturating_sub(scene.problem.nodes.len() / LOOKS_PER_TRY);
            let step = &scene.units[self.set[i]].steps[0];
            let is_elsewhere = |node: &NodeId| !step.from.is_on(*node) && !step.to.is_on(*node);
            let places = scene.problem.node_ids().filter(is_elsewhere);
            let places = places.filter_map(|node| Some((node, parking_place(scene.problem, step, node, scene.wave)?)));
            for (node, spot) in places.take(PLACES_MAX).collect::<Vec<_>>() {
                if self.tries(scene, i, At::Waits(node), Some(spot), parks - 1) {
                    return true;
                }
            }
        }
        false
    }

    /// Sends a task on, and then the rest.
    fn tries(&mut self, scene: &mut Scene, i: usize, to: At, place: Option<Spot>, parks: usize) -> bool {
        if self.tries_left == 0 {
            return false;
        }
        self.tries_left -= 1;
        let (count, unit, from) = (scene.tried.len(), self.set[i], self.at[i]);
        let Unit { steps, .. } = &scene.units[unit];
        let runs = match (&place, from) {
            (Some(spot), _) => scene.runs(vec![scene.step(unit, [&steps[0].from, spot], Hop::Park)]),
            (None, At::Waits(_)) => {
                let waited = self.hops.iter().rev().find_map(|(other, spot)| spot.as_ref().filter(|_| *other == unit));
                let waited = waited.expect("it waits where it was sent").clone();
                scene.runs(vec![scene.step(unit, [&waited, &steps[0].to], Hop::Onward)])
            }
            (None, _) => scene.passes(unit),
        };
        if !runs {
            return false;
        }
        self.at[i] = to;
        self.hops.push((unit, place));
        if self.extend(scene, parks) {
            return true;
        }
        self.hops.pop();
        self.at[i] = from;
        scene.take_back(count);
        false
    }
}
