//! What does one trial of ejection do? A task goes to a random node of a part, who is in its way finds another place or waits, and what is
//! free then goes to what waits.

use super::ground::{Dice, Ground, Mark, Taker};
use super::kinds::Kind;
use super::pack::{NOWHERE, Pack};
use crate::kernel::layout::{WHOLE, holds_more};

/// How often a kind calls at most, and how many kinds call.
const CALLS_MAX: (usize, usize) = (4, 256);
/// Tasks ejected for one at most, and for each device that it wants.
const EJECTED_MAX: (usize, usize) = (4, 2);
/// Nodes asked at random for one that a task may enter.
const NODE_LOOKS: u32 = 64;

/// Starts of one task of which the best counts, where moves cost something.
const STARTS: u64 = 8;
/// Trials that take as long as one that looks everywhere.
const THOROUGH_WEIGHT: u64 = 10;

/// How a search goes about it.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// Who has moved stays, and two that run do not change places.
    pub in_order: bool,
    /// No place is missed.
    pub is_thorough: bool,
}

/// A search in one part.
pub struct Walk<'a> {
    pack: &'a Pack,
    /// Moves cost something: of several starts the one with the cheapest moves counts.
    prices_moves: bool,
    /// See [`Manner`].
    in_order: bool,
    /// The part.
    pub ground: Ground<'a>,
    dice: Dice,
    /// Kinds that wait, each as often as it calls.
    calls: Vec<u32>,
    /// The same, each once, the most valuable first.
    callers: Vec<u32>,
    /// Who has been ejected in a trial.
    ejected: Vec<Taker>,
}

impl<'a> Walk<'a> {
    /// Before the first trial.
    pub fn new(pack: &'a Pack, mut ground: Ground<'a>, dice: Dice, manner: Manner) -> Walk<'a> {
        let Manner { in_order, is_thorough } = manner;
        ground.is_thorough = is_thorough;
        let prices_moves = !pack.all_wait();
        Walk { pack, prices_moves, in_order, ground, dice, calls: Vec::new(), callers: Vec::new(), ejected: Vec::new() }
    }

    /// Asks again who waits. Where many of a kind wait, the others still have their turn.
    pub fn call(&mut self) {
        let waits = |kind: &u32| self.ground.waiting(*kind) > 0;
        self.callers = (0..self.ground.kind_count()).filter(waits).collect();
        if self.callers.len() > CALLS_MAX.1 {
            let first = self.dice.below(self.callers.len() as u32) as usize;
            self.callers.rotate_left(first);
            self.callers.truncate(CALLS_MAX.1);
            self.callers.sort_unstable();
        }
        let often = |kind: &u32| std::iter::repeat_n(*kind, self.ground.waiting(*kind).min(CALLS_MAX.0));
        self.calls = self.callers.iter().flat_map(often).collect();
    }

    /// Points that it adds, at most 0, and what it takes, in trials.
    pub fn attempt(&mut self) -> (i64, u64) {
        let before = self.ground.mark();
        let weight = if self.ground.is_thorough { THOROUGH_WEIGHT } else { 1 };
        if self.dice.below(2) == 1 {
            let change = if self.shift() { self.change(before) } else { None };
            return (self.keep(change), weight);
        }
        let kind = self.calls[self.dice.below(self.calls.len() as u32) as usize];
        let Some(taker) = self.ground.waiter(kind) else { return (0, weight) };
        if !self.prices_moves {
            let change = if self.start(taker) { self.change(before) } else { None };
            return (self.keep(change), weight);
        }
        let mut best = None;
        for _ in 0..STARTS {
            if self.start(taker)
                && let Some(change) = self.change(before)
                && best.as_ref().is_none_or(|(least, _)| change < *least)
            {
                best = Some((change, self.ground.steps()));
            }
            self.ground.back_to(0);
        }
        if let Some((_, steps)) = &best {
            self.ground.redo(steps);
        }
        (self.keep(best.map(|(change, _)| change)), weight * STARTS)
    }

    /// Points that the steps add, where they may be kept.
    fn change(&self, before: Mark) -> Option<i64> {
        let after = self.ground.mark();
        let in_budget = after.displaced <= before.displaced.max(i64::from(self.pack.displaced_max));
        if !in_budget || after.stuck > before.stuck {
            return None;
        }
        // Nobody leaves home for nothing.
        let change = self.ground.change(before);
        ((change, after.displaced - before.displaced) <= (0, 0)).then_some(change)
    }

    /// Keeps the steps if that brings something, or is even.
    fn keep(&mut self, change: Option<i64>) -> i64 {
        match change {
            Some(_) => self.ground.keep(),
            None => self.ground.back_to(0),
        }
        change.unwrap_or(0)
    }

    /// A waiting task starts on a random node.
    fn start(&mut self, taker: Taker) -> bool {
        self.ejected.clear();
        let Some(node) = self.random_node(self.ground.kind(taker)) else { return false };
        if !self.enter(taker, node) {
            return false;
        }
        for i in 0..self.ejected.len() {
            if !self.place(self.ejected[i]) {
                return false;
            }
        }
        self.fill(node);
        true
    }

    /// A random task goes from its node to another one. Who is in its way there looks for room where it was first.
    fn shift(&mut self) -> bool {
        self.ejected.clear();
        let from = self.dice.below(self.ground.node_count()) as usize;
        let count = self.ground.here(from).len() as u32;
        if count == 0 {
            return false;
        }
        let index = self.dice.below(count) as usize;
        let Some(node) = self.random_node(self.ground.kind(self.ground.here(from)[index].taker)) else { return false };
        if node == from {
            return false;
        }
        let Some(taker) = self.leave(from, index) else { return false };
        let changes_places =
            || self.pack.home[taker.task as usize] != NOWHERE && self.ground.fit(taker, node).is_none();
        if self.in_order && changes_places() || !self.enter(taker, node) {
            return false;
        }
        for i in 0..self.ejected.len() {
            let other = self.ejected[i];
            match self.ground.fit(other, from) {
                Some(devices) => self.ground.enter(other, from, devices),
                None if self.place(other) => {}
                None => return false,
            }
        }
        self.fill(from);
        self.fill(node);
        true
    }

    /// False when a task that may not stop has found no place.
    fn place(&mut self, taker: Taker) -> bool {
        match self.ground.place(taker, &mut self.dice) {
            Some((node, devices)) => self.ground.enter(taker, node, devices),
            None if !self.pack.may_stop[taker.task as usize] => return false,
            None => {}
        }
        true
    }

    /// Whoever is at `index` on a node goes to the pool, unless it has moved and has to stay.
    fn leave(&mut self, node: usize, index: usize) -> Option<Taker> {
        let task = self.ground.here(node)[index].taker.task;
        let has_moved = self.pack.home[task as usize] != NOWHERE && !self.ground.is_home(task, node);
        (!(self.in_order && has_moved)).then(|| self.ground.leave(node, index).taker)
    }

    fn random_node(&mut self, kind: &Kind) -> Option<usize> {
        let count = self.ground.node_count();
        (0..NODE_LOOKS).map(|_| self.dice.below(count) as usize).find(|node| self.ground.allowed(kind, *node) != 0)
    }

    /// Puts a waiting task on a node, and ejects who is in its way; false, and not undone, where too many are.
    fn enter(&mut self, taker: Taker, node: usize) -> bool {
        if let Some(devices) = self.ground.fit(taker, node) {
            self.ground.enter(taker, node, devices);
            return true;
        }
        let kind = self.ground.kind(taker);
        let most = EJECTED_MAX.0 + EJECTED_MAX.1 * usize::from(kind.count);
        let mut devices = 0;
        if kind.count > 0 {
            let Some(chosen) = self.choose(taker, node) else { return false };
            devices = chosen;
            let mut open = chosen;
            while open != 0 {
                let device = open.trailing_zeros() as usize;
                open &= open - 1;
                while !self.ground.is_open(kind, node, device) {
                    let Some(index) = self.holder(node, device, kind) else { return false };
                    let Some(other) = self.leave(node, index) else { return false };
                    self.ejected.push(other);
                    if self.ejected.len() > most {
                        return false;
                    }
                }
            }
        }
        while !self.ground.has_room(kind, node) {
            let count = self.ground.here(node).len() as u32;
            if count == 0 || self.ejected.len() == most {
                return false;
            }
            let index = self.dice.below(count) as usize;
            let Some(other) = self.leave(node, index) else { return false };
            self.ejected.push(other);
        }
        self.ejected.sort_by_key(|other| (other.kind, other.task));
        self.ground.enter(taker, node, devices);
        true
    }

    /// Devices of a node that a task might get: at home those that it held; else one at random for a fraction, or those that are free
    /// and others at random.
    fn choose(&mut self, taker: Taker, node: usize) -> Option<u64> {
        if self.ground.is_home(taker.task, node) {
            return Some(self.pack.home_devices[taker.task as usize]);
        }
        let kind = self.ground.kind(taker);
        let mask = self.ground.allowed(kind, node);
        let count = u32::from(kind.count);
        let nth = |set: u64, n: u32| {
            let rest = (0..n).fold(set, |set, _| set & (set - 1));
            rest & rest.wrapping_neg()
        };
        if kind.word < WHOLE {
            return Some(nth(mask, self.dice.below(mask.count_ones())));
        }
        if mask.count_ones() < count {
            return None;
        }
        let mut chosen = 0u64;
        let mut open = mask;
        while open != 0 && chosen.count_ones() < count {
            let device = open & open.wrapping_neg();
            open ^= device;
            if self.ground.is_open(kind, node, device.trailing_zeros() as usize) {
                chosen |= device;
            }
        }
        while chosen.count_ones() < count {
            let left = mask & !chosen;
            chosen |= nth(left, self.dice.below(left.count_ones()));
        }
        Some(chosen)
    }

    /// Who leaves a device: any holder, or the smallest that is large enough.
    fn holder(&mut self, node: usize, device: usize, kind: &Kind) -> Option<usize> {
        let taken = self.ground.taken(node, device);
        let here = self.ground.here(node);
        let first = self.dice.below(here.len().max(1) as u32) as usize;
        let mut holders = (first..here.len()).chain(0..first).filter(|i| here[*i].devices >> device & 1 == 1);
        if self.dice.below(2) == 0 {
            return holders.next();
        }
        let key = |i: &usize| {
            let own = self.pack.device[here[*i].taker.task as usize].1;
            if holds_more(taken.wrapping_sub(own), kind.word) { own } else { u32::MAX }
        };
        holders.min_by_key(key)
    }

    /// Gives what is free on a node to what waits, the most valuable first.
    fn fill(&mut self, node: usize) {
        for i in 0..self.callers.len() {
            while let Some(taker) = self.ground.waiter(self.callers[i]) {
                let Some(devices) = self.ground.fit(taker, node) else { break };
                self.ground.enter(taker, node, devices);
            }
        }
    }
}
