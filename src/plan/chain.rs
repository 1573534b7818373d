//! Is there any order at all? Every order of a few moves, for those that list scheduling got stuck with.
//!
//! List scheduling takes a move as soon as it fits, and may so take the room that another one needs to pass. Here the moves
//! that share nodes or groups with a blocked one, directly or through others, are tried one at a time in every order. The
//! state depends on which moves have happened and not on their order, so a set of moves that leads nowhere is tried once.

use super::list::Unit;
use super::slots::Slots;
use super::wave::Wave;
use crate::control::Control;
use crate::model::{Problem, Spot, TaskId};
use std::collections::{HashMap, HashSet};

/// Most units of a set that is tried in every order: 2^16 states at most.
const UNITS_MAX: usize = 16;

/// What came of trying every order.
pub(super) struct Settled {
    /// An order was found for some set.
    pub(super) is_changed: bool,
    /// Blocked tasks whose set was not tried: too large, or the control ended it.
    pub(super) untried: usize,
    /// Sets that have no order.
    pub(super) tangles: Vec<Vec<usize>>,
}

/// Gives each set of units that has to do with a blocked task, and has an order, that order.
pub(super) fn settle(
    problem: &Problem,
    slots: &Slots,
    units: &mut [Unit],
    blocked: &[(TaskId, Spot)],
    control: &Control,
) -> Settled {
    let blocked: HashSet<TaskId> = blocked.iter().map(|(task, _)| *task).collect();
    let mut wave = Wave::new(problem, slots);
    // One move at a time: those that were under way have ended before.
    wave.commit();
    let mut settled = Settled { is_changed: false, untried: 0, tangles: Vec::new() };
    for set in components(problem, units) {
        let steps = set.iter().flat_map(|unit| &units[*unit].steps);
        let blocked_here = steps.filter(|step| blocked.contains(&step.task)).count();
        if blocked_here == 0 {
            continue;
        }
        if set.len() > UNITS_MAX || control.must_stop() {
            settled.untried += blocked_here;
            continue;
        }
        let mut order = Vec::new();
        let found = extend(&mut wave, units, &set, 0, &mut order, &mut HashSet::new());
        order.iter().rev().for_each(|unit| wave.undo(&units[*unit].steps));
        if found {
            for pair in order.windows(2) {
                units[pair[0]].next = Some(pair[1]);
                units[pair[1]].follows = true;
            }
            settled.is_changed = true;
        } else {
            settled.tangles.push(set);
        }
    }
    settled
}

/// Carries out the units of `set` that are not in `done`, in an order that is safe; `order` is what was carried out.
fn extend(
    wave: &mut Wave,
    units: &[Unit],
    set: &[usize],
    done: u32,
    order: &mut Vec<usize>,
    dead: &mut HashSet<u32>,
) -> bool {
    if order.len() == set.len() {
        return true;
    }
    for (i, unit) in set.iter().enumerate().filter(|(i, _)| done >> i & 1 == 0) {
        let next = done | 1 << i;
        if dead.contains(&next) || wave.try_add(&units[*unit].steps, false).is_err() {
            continue;
        }
        wave.commit();
        order.push(*unit);
        if extend(wave, units, set, next, order, dead) {
            return true;
        }
        dead.insert(next);
        order.pop();
        wave.undo(&units[*unit].steps);
    }
    false
}

/// Units that share a node or a group, directly or through others; each list ascending.
fn components(problem: &Problem, units: &[Unit]) -> Vec<Vec<usize>> {
    let mut sets = Sets((0..units.len()).collect());
    let (mut at_node, mut of_group) = (HashMap::new(), HashMap::new());
    for (u, unit) in units.iter().enumerate() {
        for step in &unit.steps {
            step.touches.iter().for_each(|touch| sets.join(u, *at_node.entry(touch.node).or_insert(u)));
            step.group.iter().for_each(|group| sets.join(u, *of_group.entry(*group).or_insert(u)));
        }
    }
    for (group, u) in &of_group {
        for need in &problem.groups[group.index()].depends_on {
            of_group.get(&need.group).into_iter().for_each(|other| sets.join(*u, *other));
        }
    }
    let mut lists: HashMap<usize, Vec<usize>> = HashMap::new();
    (0..units.len()).for_each(|u| lists.entry(sets.root(u)).or_default().push(u));
    let mut lists: Vec<Vec<usize>> = lists.into_values().collect();
    lists.sort_unstable();
    lists
}

/// Union-find by path halving; the root is the least member.
struct Sets(Vec<usize>);

impl Sets {
    fn root(&mut self, mut u: usize) -> usize {
        while self.0[u] != u {
            self.0[u] = self.0[self.0[u]];
            u = self.0[u];
        }
        u
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }
}
