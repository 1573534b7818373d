//! Who is to go so that a waiting task can start? Ejection: it takes the place of several others, which look for a new one.
//!
//! A swap (`kernel/anneal.rs`) exchanges one task for one. Where devices are shared, what stands in the way of a whole device is
//! often several fractions of it; to clear them one by one leads over states that only a hot search accepts, and a hot search
//! prefers many small tasks to few large ones. So after annealing, as long as tasks wait:
//!
//! ```text
//! trial   a random waiting task, and the node (of a sample) where it displaces the least value; who has to go on elsewhere, and can,
//!         is displaced at no loss
//! eject   what is in its way there; place it; place the ejected again, the most valuable first, each at its best fit
//! keep    when that is worth no less than before; ties too, for they shuffle what is free
//! ```
//!
//! Tasks with group rules take no part. Whoever may not be stopped must find a new place, within the move budget; those that came
//! from the pool may go back to it. Everything follows from the state, the seed and the number of trials, in integers.

use super::build::Builder;
use super::pack::{NOWHERE, Pack, UNGROUPED};
use crate::control::Control;
use crate::kernel::random::{below, pcg3d};
use std::cell::Cell;

/// Nodes looked at per trial, among those that the task may enter.
const SAMPLE: usize = 96;
/// Most tasks ejected for one.
const EJECTED_MAX: usize = 6;
/// A search ends after so many trials per waiting task without gain.
const IDLE_TRIALS: u64 = 400;
/// Who has another place is asked again after so many trials.
const ASK_AGAIN: u64 = 256;
/// Trials per task when effort alone ends the search, at the default effort.
const TRIALS_PER_TASK: u64 = 20;

/// How many trials an effort (candidates per task) is worth, for a number of tasks.
pub fn trials(effort: u64, task_count: usize) -> u64 {
    (effort * task_count as u64 * TRIALS_PER_TASK) / super::EFFORT_DEFAULT
}

/// True where ejection may find something: tasks wait and devices are shared out.
pub fn suits(pack: &Pack) -> bool {
    let waits = |task: &usize| pack.movable[*task] && pack.home[*task] == NOWHERE;
    !pack.shared.simultaneous
        && (0..pack.home.len()).any(|t| pack.device[t].0 > 0)
        && (0..pack.home.len()).any(|t| waits(&t))
}

/// Runs trials until `most` are done, nothing is found any more or the control says so; gives their number.
pub fn eject(pack: &Pack, editor: &mut Builder<'_>, seed: u64, most: Option<u64>, control: &Control) -> u64 {
    let mut search = Ejection::new(pack, editor);
    let (mut idle, mut trial) = (0, 0u64);
    while !search.waiting.is_empty() && most.is_none_or(|most| trial < most) {
        if trial.is_multiple_of(64) && control.must_stop() {
            break;
        }
        if trial.is_multiple_of(ASK_AGAIN) {
            search.elsewhere.iter().for_each(|known| known.set(None));
        }
        let dice = pcg3d(seed as u32 ^ (seed >> 32) as u32, trial as u32, 0xE1EC ^ (trial >> 32) as u32);
        idle = if search.attempt(editor, dice) { 0 } else { idle + 1 };
        trial += 1;
        if idle > IDLE_TRIALS * search.waiting.len() as u64 {
            break;
        }
    }
    trial
}

struct Ejection<'a> {
    pack: &'a Pack,
    /// Tasks in the pool that take part.
    waiting: Vec<u32>,
    /// Tasks per node that may be ejected.
    here: Vec<Vec<u32>>,
    /// By task that may not stop: has it another place? As far as that was asked.
    elsewhere: Vec<Cell<Option<bool>>>,
}

impl<'a> Ejection<'a> {
    fn new(pack: &'a Pack, editor: &Builder<'_>) -> Ejection<'a> {
        let mut here = vec![Vec::new(); pack.price.len()];
        let mut waiting = Vec::new();
        let takes_part = |task: &usize| pack.movable[*task] && pack.group[*task] == UNGROUPED;
        for task in (0..pack.home.len()).filter(takes_part) {
            match editor.state.at[task] {
                NOWHERE => waiting.push(task as u32),
                node => here[node as usize].push(task as u32),
            }
        }
        Ejection { pack, waiting, here, elsewhere: vec![Cell::new(None); pack.home.len()] }
    }

    /// True when something was gained.
    fn attempt(&mut self, editor: &mut Builder<'_>, dice: [u32; 3]) -> bool {
        let position = below(dice[0], self.waiting.len() as u32) as usize;
        let task = self.waiting[position] as usize;
        let Some((node, ejected)) = self.cheapest(editor, task, dice[1]) else { return false };
        let displaced = editor.state.displaced;
        let places: Vec<(usize, u64)> =
            ejected.iter().map(|t| (*t as usize, editor.state.devices[*t as usize])).collect();
        let mut change = -editor.state.group_points(self.pack);
        let mut is_judged = true;
        for (other, _) in &places {
            editor.relocate(*other, NOWHERE, 0);
            // A task that may not be on its node any more (a start that broke a rule) cannot be judged there, nor come back.
            match editor.judge(*other, node) {
                Some(here) => change += self.pack.pool_points(*other) - here.points,
                None => is_judged = false,
            }
        }
        let mut placed = Vec::new();
        let target = editor.judge(task, node);
        if let Some(target) = target {
            change += target.points - self.pack.pool_points(task);
            editor.relocate(task, node, target.devices);
            placed = self.place_again(editor, &places, &mut change);
        }
        change += editor.state.group_points(self.pack);
        let is_stuck = |(other, _): &(usize, u64)| editor.state.at[*other] == NOWHERE && !self.pack.may_stop[*other];
        let in_budget = editor.state.displaced <= displaced.max(i64::from(self.pack.displaced_max));
        if target.is_none() || !is_judged || change > 0 || !in_budget || places.iter().any(is_stuck) {
            // Where the newcomer has no place either, nobody else was asked.
            let stuck = places.iter().filter(|place| target.is_some() && is_stuck(place));
            stuck.for_each(|(other, _)| self.elsewhere[*other].set(Some(false)));
            placed.iter().for_each(|other| editor.relocate(*other, NOWHERE, 0));
            editor.relocate(task, NOWHERE, 0);
            places.iter().for_each(|(other, devices)| editor.relocate(*other, node, *devices));
            return false;
        }
        self.waiting.swap_remove(position);
        self.here[node as usize].retain(|other| !ejected.contains(other));
        self.here[node as usize].push(task as u32);
        for (other, _) in places {
            match editor.state.at[other] {
                NOWHERE => self.waiting.push(other as u32),
                node => self.here[node as usize].push(other as u32),
            }
        }
        change < 0
    }

    /// Places the ejected where each fits best, if that is worth it; gives those that were placed.
    fn place_again(&self, editor: &mut Builder<'_>, places: &[(usize, u64)], change: &mut i64) -> Vec<usize> {
        let mut order: Vec<usize> = places.iter().map(|(other, _)| *other).collect();
        order.sort_by_key(|other| (self.pack.may_stop[*other], std::cmp::Reverse(self.pack.value[*other]), *other));
        order.retain(|other| {
            let Some(target) = editor.best(*other) else { return false };
            if self.pack.may_stop[*other] && target.points > self.pack.pool_points(*other) {
                return false;
            }
            *change += target.points - self.pack.pool_points(*other);
            editor.relocate(*other, target.node, target.devices);
            true
        });
        order
    }

    /// What is lost when a task makes room; `None` when it may not stop and has no other place.
    fn loss(&self, editor: &Builder<'_>, task: u32) -> Option<i64> {
        let task = task as usize;
        if self.pack.may_stop[task] {
            return Some(self.pack.value[task]);
        }
        let known = &self.elsewhere[task];
        let is_free = || editor.best_elsewhere(task, editor.state.at[task]).is_some();
        known.set(Some(known.get().unwrap_or_else(is_free)));
        (known.get() == Some(true)).then_some(0)
    }

    /// The node of a sample where the least value is in the task's way, and what that is.
    fn cheapest(&self, editor: &Builder<'_>, task: usize, dice: u32) -> Option<(u32, Vec<u32>)> {
        let node_count = self.here.len() as u32;
        let first = below(dice, node_count);
        let allow = |node: u32| {
            self.pack.shared.allow[(self.pack.class_row[task] + self.pack.node_class[node as usize]) as usize]
        };
        let nodes = (0..node_count).map(|i| (first + i) % node_count).filter(|node| allow(*node) != 0);
        let mut best: Option<(i64, u32, Vec<u32>)> = None;
        for node in nodes.take(SAMPLE) {
            let most = best.as_ref().map_or(i64::MAX, |(lost, ..)| *lost);
            if let Some((lost, ejected)) = self.in_the_way(editor, task, node, allow(node), most) {
                best = Some((lost, node, ejected));
            }
        }
        best.map(|(_, node, ejected)| (node, ejected))
    }

    /// What must leave a node so that a task fits, and its value, if that is less than `most`: for its devices those with the
    /// least value on them, for its amounts those that bring least per lacking unit.
    fn in_the_way(
        &self,
        editor: &Builder<'_>,
        task: usize,
        node: u32,
        mask: u64,
        most: i64,
    ) -> Option<(i64, Vec<u32>)> {
        let pack = self.pack;
        let mut ejected: Vec<u32> = Vec::new();
        let (count, milli) = pack.device[task];
        if count > 0 {
            self.clear_devices(editor, node, mask, (count, milli), &mut ejected)?;
        }
        let loss = |task: u32| self.loss(editor, task);
        let value = |list: &[u32]| list.iter().filter_map(|t| loss(*t)).sum::<i64>();
        if value(&ejected) >= most {
            return None;
        }
        let row = |rows: &'a [i32], index: usize| &rows[index * pack.lanes..][..pack.lanes];
        let state = &editor.state;
        let mut lacking: Vec<i32> = (0..pack.lanes)
            .map(|r| {
                let at = node as usize * pack.lanes + r;
                row(&pack.requirement, task)[r] - (pack.limit[at] - state.used[at])
            })
            .collect();
        for other in &ejected {
            lacking.iter_mut().zip(row(&pack.requirement, *other as usize)).for_each(|(lack, amount)| *lack -= amount);
        }
        while let Some(r) = (0..pack.lanes).find(|r| lacking[*r] > 0) {
            if ejected.len() == EJECTED_MAX {
                return None;
            }
            let helps = |other: &&u32| {
                row(&pack.requirement, **other as usize)[r] > 0 && !ejected.contains(other) && loss(**other).is_some()
            };
            let price = |other: u32| {
                let amount = row(&pack.requirement, other as usize)[r].min(lacking[r]);
                ((loss(other).unwrap_or(i64::MAX).min(1 << 40) << 20) / i64::from(amount), other)
            };
            let next = *self.here[node as usize].iter().filter(helps).min_by_key(|other| price(**other))?;
            lacking.iter_mut().zip(row(&pack.requirement, next as usize)).for_each(|(lack, amount)| *lack -= amount);
            ejected.push(next);
        }
        let lost = value(&ejected);
        (lost < most).then_some((lost, ejected))
    }

    /// Adds what must leave so that `count` devices have `milli` free; `None` when it cannot be.
    fn clear_devices(
        &self,
        editor: &Builder<'_>,
        node: u32,
        mask: u64,
        request: (u8, u16),
        ejected: &mut Vec<u32>,
    ) -> Option<()> {
        let (pack, state) = (self.pack, &editor.state);
        let width = pack.shared.device_width;
        let used = &state.device_used[node as usize * width..][..width];
        let (count, milli) = request;
        // (value, device): what is lost by clearing it.
        let mut devices: Vec<(i64, usize)> = Vec::new();
        let holders = |d: usize| {
            let holds = move |other: &&u32| state.devices[**other as usize] >> d & 1 == 1;
            self.here[node as usize].iter().filter(holds)
        };
        for d in (0..width).filter(|d| mask >> d & 1 == 1) {
            let mut lacking = i32::from(used[d]) + i32::from(milli) - 1000;
            let mut lost = 0;
            for other in self.leavers(editor, holders(d), lacking) {
                lacking -= i32::from(pack.device[other as usize].1);
                lost += self.loss(editor, other).unwrap_or(0);
            }
            if lacking <= 0 {
                devices.push((lost, d));
            }
        }
        devices.sort_unstable();
        for (_, d) in devices.iter().take(usize::from(count)) {
            let lacking = i32::from(used[*d]) + i32::from(milli) - 1000;
            for other in self.leavers(editor, holders(*d), lacking) {
                if !ejected.contains(&other) {
                    ejected.push(other);
                }
            }
        }
        (devices.len() >= usize::from(count) && ejected.len() <= EJECTED_MAX).then_some(())
    }

    /// Holders of a device that leave so that `lacking` milli become free: the cheapest that suffices alone, else the cheapest per
    /// milli one after the other.
    fn leavers<'b>(&self, editor: &Builder<'_>, holders: impl Iterator<Item = &'b u32>, lacking: i32) -> Vec<u32> {
        if lacking <= 0 {
            return Vec::new();
        }
        let value = |t: u32| self.loss(editor, t).unwrap_or(i64::MAX);
        let milli = |t: u32| i32::from(self.pack.device[t as usize].1);
        let mut list: Vec<u32> = holders.copied().filter(|t| self.loss(editor, *t).is_some()).collect();
        if let Some(one) = list.iter().copied().filter(|t| milli(*t) >= lacking).min_by_key(|t| (value(*t), *t)) {
            return vec![one];
        }
        list.sort_by_key(|t| ((value(*t).min(1 << 40) << 10) / i64::from(milli(*t)), *t));
        let mut left = lacking;
        list.retain(|t| {
            let is_needed = left > 0;
            left -= if is_needed { milli(*t) } else { 0 };
            is_needed
        });
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Problem, score};

    /// Two nodes with one device each, a fraction on each of them, and a whole device waiting.
    fn cluster(fractions: &str) -> Problem {
        let node = |name: &str| {
            format!(r#"{{"name": "{name}", "allocatable": {{"cpu": 8}}, "devices": [{{"kind": "gpu", "count": 1}}]}}"#)
        };
        let fraction = |name: &str, node: &str| {
            format!(
                r#"{{"name": "{name}", "weight": 10, "requirement": {{"cpu": 1}},
                    "device": {{"kind": "gpu", "count": 1, "milli": 500}},
                    "placement": [{{"node": "{node}", "devices": [0]}}]{fractions}}}"#
            )
        };
        let text = format!(
            r#"{{"format": "bayplan-snapshot/1", "resources": [{{"name": "cpu", "unit": "cores"}}], "nodes": [{}, {}],
                "tasks": [{}, {}, {{"name": "whole", "weight": 15, "requirement": {{"cpu": 1}},
                    "device": {{"kind": "gpu", "count": 1}}}}]}}"#,
            node("a"),
            node("b"),
            fraction("left", "a"),
            fraction("right", "b")
        );
        Problem::new(&crate::file::read_snapshot(text.as_bytes()).expect("a sound file")).expect("a sound snapshot")
    }

    /// Points gained, nodes of the tasks, and trials of an ejection.
    fn ejected(problem: &Problem, most: Option<u64>) -> (i128, Vec<u32>, u64) {
        let pack = Pack::new(problem);
        let mut editor = Builder::new(problem, &pack);
        let trials = eject(&pack, &mut editor, 1, most, &Control::unlimited());
        assert_eq!(editor.state, editor.state.recomputed(&pack), "what was undone is as it was");
        let reached = crate::bulk::state::spots(problem, &editor.state.at, &editor.state.devices);
        let gain = score(problem, &reached).objective() - score(problem, &problem.current).objective();
        (gain / i128::from(crate::model::SHARE_ONE), editor.state.at.clone(), trials)
    }

    #[test]
    fn a_fraction_makes_room_for_a_whole_device() {
        let problem = cluster("");
        assert!(suits(&Pack::new(&problem)));
        let (gain, at, trials) = ejected(&problem, None);
        assert_eq!((gain, trials), (14, 1), "the first trial starts it, less a move, and nobody waits any more");
        assert!(at[0] == at[1] && at[2] == 1 - at[0], "the fractions share a device: {at:?}");
    }

    #[test]
    fn who_may_not_move_stays_and_the_search_ends() {
        let (gain, at, trials) = ejected(&cluster(r#", "pinned": true"#), None);
        assert_eq!((gain, at), (0, vec![0, 1, NOWHERE]));
        assert_eq!(trials, IDLE_TRIALS + 1, "the trials without gain of one waiting task");
        let (gain, _, trials) = ejected(&cluster(""), Some(0));
        assert_eq!((gain, trials), (0, 0), "no effort, no trial");
    }

    /// The small task has no other node; the large one, which is worth far more, has.
    #[test]
    fn who_has_another_place_makes_room_however_valuable() {
        let text = r#"{"format": "bayplan-snapshot/1", "resources": [{"name": "cpu", "unit": "cores"}], "nodes": [
            {"name": "a", "allocatable": {"cpu": 8}, "labels": {"disk": "yes"}, "devices": [{"kind": "gpu", "count": 1}]},
            {"name": "b", "allocatable": {"cpu": 6}}], "tasks": [
            {"name": "large", "weight": 1000, "requirement": {"cpu": 6}, "placement": [{"node": "a"}]},
            {"name": "small", "weight": 1, "requirement": {"cpu": 2}, "selector": {"disk": ["yes"]}, "placement": [{"node": "a"}]},
            {"name": "waits", "weight": 15, "requirement": {"cpu": 2}, "device": {"kind": "gpu", "count": 1}}]}"#;
        let problem = Problem::new(&crate::file::read_snapshot(text.as_bytes()).expect("a sound file")).expect("sound");
        let (_, at, trials) = ejected(&problem, None);
        assert_eq!((at, trials), (vec![1, 0, 0], 1));
    }

    #[test]
    fn what_the_ejected_lose_counts() {
        // Leaving home costs each of them more than the waiting one is worth.
        let (gain, at, _) = ejected(&cluster(r#", "move_cost": 20"#), Some(200));
        assert_eq!((gain, at), (0, vec![0, 1, NOWHERE]));
    }
}
