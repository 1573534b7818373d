//! Which units run in which wave? List scheduling: each wave takes every unit that fits, in the order of their numbers.
//!
//! A unit that does not fit waits for the node or group that refused it; only a change there brings it back. So the work
//! grows with the number of moves and of what they touch, not with their product.
//!
//! When no unit fits alone, those that only wait for room that the others leave at once (resources that are not
//! transient) are tried together: a ring of such moves runs in one wave. Where that does not help either, `detour.rs` may
//! part some moves in two.

use super::detour::Detours;
use super::slots::Slots;
use super::step::Step;
use super::wave::{Wait, Wave};
use crate::control::Control;
use crate::model::{GroupId, NodeId, Problem};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

/// What runs as one: a move, or the members of a gang that start or stop.
#[derive(Clone)]
pub(super) struct Unit {
    pub(super) steps: Vec<Step>,
    /// The unit that may be tried as soon as this one is in a wave.
    pub(super) next: Option<usize>,
    /// The unit that may be tried when the wave of this one has ended.
    pub(super) onward: Option<usize>,
    /// Another unit brings this one up; it is not there from the beginning.
    pub(super) follows: bool,
}

impl Unit {
    pub(super) fn new(steps: Vec<Step>) -> Unit {
        Unit { steps, next: None, onward: None, follows: false }
    }
}

/// Units that wait, by what they wait for.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) node: HashMap<NodeId, Vec<usize>>,
    pub(super) room: HashMap<NodeId, Vec<usize>>,
    pub(super) group: HashMap<GroupId, Vec<usize>>,
    /// For the next wave, whatever happens.
    flight: Vec<usize>,
}

impl Waiting {
    fn park(&mut self, unit: usize, wait: Wait) {
        match wait {
            Wait::Node(node) => self.node.entry(node).or_default().push(unit),
            Wait::Room(node) => self.room.entry(node).or_default().push(unit),
            Wait::Group(group) => self.group.entry(group).or_default().push(unit),
            Wait::Flight => self.flight.push(unit),
            Wait::Never => {}
        }
    }

    /// Everything that waits, ascending.
    pub(super) fn all(&self) -> Vec<usize> {
        let lists = self.node.values().chain(self.room.values()).chain(self.group.values());
        let mut units: Vec<usize> = lists.flatten().chain(&self.flight).copied().collect();
        units.sort_unstable();
        units
    }

    fn remove(&mut self, gone: &BTreeSet<usize>) {
        for list in self.node.values_mut().chain(self.room.values_mut()).chain(self.group.values_mut()) {
            list.retain(|unit| !gone.contains(unit));
        }
        self.flight.retain(|unit| !gone.contains(unit));
    }
}

/// The waves, and the units that have no safe order. `detours` may add units and take others out.
pub(super) fn list_schedule(
    problem: &Problem,
    slots: &Slots,
    units: &mut Vec<Unit>,
    mut detours: Option<Detours>,
    control: &Control,
    report: impl Fn(u32),
) -> (Vec<Vec<usize>>, Vec<usize>) {
    if units.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let mut wave = Wave::new(problem, slots);
    let mut waiting = Waiting::default();
    let mut ready: BinaryHeap<Reverse<usize>> = (0..units.len()).filter(|u| !units[*u].follows).map(Reverse).collect();
    let mut waves = Vec::new();
    let (mut count, mut told) = (0, 0);
    loop {
        let mut chosen = Vec::new();
        while let Some(Reverse(unit)) = ready.pop() {
            if wave.is_full() {
                ready.push(Reverse(unit));
                break;
            }
            match wave.try_add(&units[unit].steps, false) {
                Ok(()) => {
                    chosen.push(unit);
                    ready.extend(units[unit].next.map(Reverse));
                    for touch in units[unit].steps.iter().flat_map(|step| &step.touches) {
                        if touch.parts_after < touch.parts_before {
                            ready.extend(waiting.room.remove(&touch.node).into_iter().flatten().map(Reverse));
                        }
                    }
                }
                Err(refusal) => waiting.park(unit, refusal.wait),
            }
        }
        if chosen.is_empty() {
            chosen = ring(units, &mut wave, &waiting.all());
            waiting.remove(&chosen.iter().copied().collect());
        }
        // What is under way holds things up for one wave at most: that one may be empty.
        if chosen.is_empty() && !wave.is_held_up() {
            let way =
                detours.as_mut().and_then(|detours| detours.find(problem, slots, units, &mut wave, &waiting, control));
            let Some(way) = way else {
                // Where no move may begin at all, those that were not even tried are blocked as well; and so is whoever
                // comes after one that is.
                let mut blocked = waiting.all();
                blocked.extend(ready.into_iter().map(|Reverse(unit)| unit));
                for i in 0.. {
                    let Some(unit) = blocked.get(i).map(|unit| &units[*unit]) else { break };
                    blocked.extend(unit.next.into_iter().chain(unit.onward));
                }
                return (waves, blocked);
            };
            waiting.remove(&way.replaced.into_iter().collect());
            ready.extend(way.added.into_iter().map(Reverse));
            continue;
        }
        count += chosen.len();
        let done = (count * 1000 / units.len()) as u32;
        if done > told {
            told = done;
            report(done);
        }
        let (nodes, groups) = wave.commit();
        ready.extend(waiting.flight.drain(..).map(Reverse));
        ready.extend(chosen.iter().filter_map(|unit| units[*unit].onward).map(Reverse));
        waves.push(chosen);
        for node in nodes {
            let freed = waiting.node.remove(&node).into_iter().chain(waiting.room.remove(&node));
            ready.extend(freed.flatten().map(Reverse));
        }
        for group in groups {
            let needs = problem.groups[group.index()].depends_on.iter().map(|need| need.group);
            let needed = slots.dependants(group).iter().map(|(other, _)| *other);
            for near in std::iter::once(group).chain(needs).chain(needed) {
                ready.extend(waiting.group.remove(&near).into_iter().flatten().map(Reverse));
            }
        }
    }
}

/// Moves that can only run together, because each takes the room that another leaves at once.
fn ring(units: &[Unit], wave: &mut Wave, waiting: &[usize]) -> Vec<usize> {
    let mut chosen = BTreeSet::new();
    let mut arrivals: HashMap<NodeId, BTreeSet<usize>> = HashMap::new();
    for unit in waiting {
        let steps = &units[*unit].steps;
        if steps.iter().any(|step| step.starts() || step.stops()) || wave.try_add(steps, true).is_err() {
            continue;
        }
        chosen.insert(*unit);
        for touch in steps.iter().flat_map(|step| &step.touches).filter(|t| t.parts_after > t.parts_before) {
            arrivals.entry(touch.node).or_default().insert(*unit);
        }
    }
    let mut suspects: Vec<NodeId> = arrivals.keys().copied().collect();
    suspects.sort_unstable();
    while let Some(node) = suspects.pop() {
        while wave.is_overfull(node) {
            let last = arrivals.get_mut(&node).and_then(|list| list.pop_last());
            let last = last.expect("a node can only have become overfull by a newcomer");
            if !chosen.remove(&last) {
                continue;
            }
            wave.remove(&units[last].steps);
            suspects.extend(units[last].steps.iter().flat_map(|step| &step.touches).map(|touch| touch.node));
        }
    }
    chosen.into_iter().collect()
}
