//! How does a part of the cluster look to ejection? Its nodes and tasks in flat arrays that change with each step and can be
//! taken back, and an index of where so much is free.
//!
//! ```text
//! free     quanta left per node and lane
//! taken    what is taken of each device (`kernel/layout.rs`)
//! here     who is on a node and may go
//! waiting  who waits, by kind
//! index    devices by sort and free milli, nodes by sort and number of wholly free devices
//! log      steps since the last one that was kept
//! ```
//!
//! Nothing here depends on the rest of the cluster, so parts are searched side by side. Moves are not simultaneous here: what is used of
//! a node is what is held.

mod seek;

use super::kinds::{Kind, Kinds, NO_SORT};
use super::pack::{NOWHERE, Pack, UNGROUPED};
use super::shelves::Shelves;
use super::state::State;
use crate::kernel::layout::{WHOLE, free_milli, holds_more};
use crate::kernel::points::fit_devices;
use crate::kernel::random::{below, pcg3d};
use crate::model::DEVICE_MILLI;
use std::cmp::Reverse;
use std::collections::HashMap;

/// Shelves per sort of devices: milli that are free.
const LEVELS: usize = DEVICE_MILLI as usize + 1;

/// Random numbers of one part and round.
pub struct Dice {
    key: [u32; 2],
    count: u32,
    words: [u32; 3],
}

impl Dice {
    /// A stream of its own for every pair of numbers.
    pub fn new(key: [u32; 2]) -> Dice {
        Dice { key, count: 0, words: [0; 3] }
    }

    /// A number below `count`.
    pub fn below(&mut self, count: u32) -> u32 {
        let slot = self.count % 3;
        if slot == 0 {
            self.words = pcg3d(self.key[0], self.key[1], self.count);
        }
        self.count = self.count.wrapping_add(1);
        below(self.words[slot as usize], count)
    }
}

/// A task that looks for a place, and its kind among those of the part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taker {
    /// The task.
    pub task: u32,
    /// Its kind.
    pub kind: u32,
}

/// A task on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// The task.
    pub taker: Taker,
    /// Devices it holds there.
    pub devices: u64,
}

/// A task has come to a node, or gone from it.
#[derive(Clone, Copy)]
pub struct Step {
    comes: bool,
    node: u32,
    item: Item,
}

/// What a state is compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Points of tasks: who waits and who is displaced. Less is better.
    pub points: i64,
    /// Tasks away from home.
    pub displaced: i64,
    /// Tasks in the pool that may not be there.
    pub stuck: u32,
}

/// A part of the cluster.
pub struct Ground<'a> {
    pack: &'a Pack,
    kinds: &'a Kinds,
    /// No place is missed where one is looked for.
    pub is_thorough: bool,
    /// Kinds of the part, the most valuable first.
    list: Vec<&'a Kind>,
    /// Nodes of the part. Other node numbers here count within it.
    nodes: &'a [u32],
    /// Number of a node within its part. Shape: nodes of the cluster.
    local: &'a [u32],
    /// Shape: nodes × lanes.
    free: Vec<i32>,
    /// Shape: nodes × device_width.
    taken: Vec<u32>,
    here: Vec<Vec<Item>>,
    tasks_here: Vec<u32>,
    waiting: Vec<Vec<u32>>,
    waiting_count: usize,
    mark: Mark,
    /// Displaced tasks per group, where they count.
    moved_in_group: Vec<u32>,
    group_points: i64,
    /// Points of nodes at the last step that was kept, where they count.
    cost: Vec<i64>,
    log: Vec<Step>,
    devices: Shelves,
    wholes: Shelves,
}

impl<'a> Ground<'a> {
    /// The part of a state with these nodes and these waiting tasks; `tasks` are those on the nodes that may go.
    pub fn new(
        pack: &'a Pack,
        kinds: &'a Kinds,
        state: &State,
        nodes: &'a [u32],
        local: &'a [u32],
        [tasks, waiting]: [&[u32]; 2],
    ) -> Ground<'a> {
        let (lanes, width) = (pack.lanes, pack.shared.device_width);
        let mut numbers: Vec<u32> = tasks.iter().chain(waiting).map(|task| kinds.of[*task as usize]).collect();
        numbers.sort_by_key(|kind| (Reverse(kinds.list[*kind as usize].value), *kind));
        numbers.dedup();
        let number: HashMap<u32, u32> = numbers.iter().copied().zip(0..).collect();
        let taker = |task: u32| Taker { task, kind: number[&kinds.of[task as usize]] };
        let mut ground = Ground {
            pack,
            kinds,
            is_thorough: false,
            list: numbers.iter().map(|kind| &kinds.list[*kind as usize]).collect(),
            nodes,
            local,
            free: Vec::with_capacity(nodes.len() * lanes),
            taken: Vec::with_capacity(nodes.len() * width),
            here: vec![Vec::new(); nodes.len()],
            tasks_here: nodes.iter().map(|node| state.tasks_here[*node as usize]).collect(),
            waiting: vec![Vec::new(); numbers.len()],
            waiting_count: waiting.len(),
            mark: Mark { points: 0, displaced: state.displaced, stuck: 0 },
            moved_in_group: if pack.group_move_weight > 0 { state.moved_in_group.clone() } else { Vec::new() },
            group_points: state.group_points(pack),
            cost: Vec::new(),
            log: Vec::new(),
            devices: Shelves::new(sorts(&kinds.device_sort) * LEVELS, nodes.len() * width),
            wholes: Shelves::new(sorts(&kinds.node_sort) * (width + 1), nodes.len()),
        };
        for node in nodes.iter().map(|node| *node as usize) {
            let (limit, used) = (&pack.limit[node * lanes..][..lanes], &state.used[node * lanes..][..lanes]);
            ground.free.extend(limit.iter().zip(used).map(|(limit, used)| limit - used));
            ground.taken.extend(&state.device_used[node * width..][..width]);
        }
        for node in 0..nodes.len() {
            (0..width).for_each(|d| ground.shelve(node, d));
            ground.shelve_node(node);
        }
        for task in tasks {
            let node = local[state.at[*task as usize] as usize] as usize;
            ground.here[node].push(Item { taker: taker(*task), devices: state.devices[*task as usize] });
        }
        for task in waiting {
            ground.waiting[taker(*task).kind as usize].push(*task);
            ground.mark.stuck += u32::from(!pack.may_stop[*task as usize]);
        }
        if kinds.nodes_count {
            ground.cost = (0..nodes.len()).map(|node| ground.node_cost(node)).collect();
        }
        ground
    }

    /// Where everything is that took part: (task, node of the cluster or [`NOWHERE`], devices).
    pub fn places(&self) -> impl Iterator<Item = (u32, u32, u64)> + '_ {
        let placed = self.here.iter().zip(self.nodes);
        let placed = placed.flat_map(|(items, node)| items.iter().map(|item| (item.taker.task, *node, item.devices)));
        placed.chain(self.waiting.iter().flatten().map(|task| (*task, NOWHERE, 0)))
    }

    /// Number of nodes.
    pub fn node_count(&self) -> u32 {
        self.nodes.len() as u32
    }

    /// Who is on a node and may go.
    pub fn here(&self, node: usize) -> &[Item] {
        &self.here[node]
    }

    /// Number of kinds.
    pub fn kind_count(&self) -> u32 {
        self.list.len() as u32
    }

    /// One who waits of a kind, if anyone does.
    pub fn waiter(&self, kind: u32) -> Option<Taker> {
        self.waiting[kind as usize].last().map(|task| Taker { task: *task, kind })
    }

    /// How many wait of a kind.
    pub fn waiting(&self, kind: u32) -> usize {
        self.waiting[kind as usize].len()
    }

    /// Number of those who wait.
    pub fn waiting_count(&self) -> usize {
        self.waiting_count
    }

    /// What the state is compared by.
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// The kind of a task.
    pub fn kind(&self, taker: Taker) -> &'a Kind {
        self.list[taker.kind as usize]
    }

    /// What is taken of a device.
    pub fn taken(&self, node: usize, device: usize) -> u32 {
        self.taken[node * self.pack.shared.device_width + device]
    }

    /// What is taken of each device of a node.
    fn row(&self, node: usize) -> &[u32] {
        let width = self.pack.shared.device_width;
        &self.taken[node * width..][..width]
    }

    /// Has a device room for a kind?
    pub fn is_open(&self, kind: &Kind, node: usize, device: usize) -> bool {
        let taken = self.taken(node, device);
        if kind.word < WHOLE { holds_more(taken, kind.word) } else { free_milli(taken) == DEVICE_MILLI }
    }

    /// Devices that a kind may be given on a node, all bits where it wants none; 0 = it may not enter.
    pub fn allowed(&self, kind: &Kind, node: usize) -> u64 {
        self.pack.shared.allow[(kind.class_row + self.pack.node_class[self.nodes[node] as usize]) as usize]
    }

    /// Was a task on this node at the start?
    pub fn is_home(&self, task: u32, node: usize) -> bool {
        self.pack.home[task as usize] == self.nodes[node]
    }

    /// Has a node room for the amounts of a kind?
    pub fn has_room(&self, kind: &Kind, node: usize) -> bool {
        let lanes = self.pack.lanes;
        let wanted = &self.pack.requirement[kind.task as usize * lanes..][..lanes];
        self.free[node * lanes..][..lanes].iter().zip(wanted).all(|(free, wanted)| free >= wanted)
    }

    /// The devices that a task gets on a node, if it fits there: at home those that it held.
    pub fn fit(&self, taker: Taker, node: usize) -> Option<u64> {
        let (kind, task) = (self.kind(taker), taker.task);
        if !self.has_room(kind, node) {
            return None;
        }
        let taken = self.row(node);
        if self.is_home(task, node) {
            let own = self.pack.home_devices[task as usize];
            let is_free = |d: usize| own >> d & 1 == 0 || holds_more(taken[d], kind.word);
            return (0..taken.len()).all(is_free).then_some(own);
        }
        let mask = self.allowed(kind, node);
        if mask == 0 || kind.count == 0 {
            return (mask != 0).then_some(0);
        }
        fit_devices(taken, mask, kind.count, kind.word)
    }

    /// A task that waits goes to a node.
    pub fn enter(&mut self, taker: Taker, node: usize, devices: u64) {
        let item = Item { taker, devices };
        self.log.push(Step { comes: true, node: node as u32, item });
        self.come(item, node);
    }

    /// Whoever is at `index` on a node goes to the pool.
    pub fn leave(&mut self, node: usize, index: usize) -> Item {
        let item = self.go(node, index);
        self.log.push(Step { comes: false, node: node as u32, item });
        item
    }

    /// Takes back all steps but the first `count`.
    pub fn back_to(&mut self, count: usize) {
        while self.log.len() > count {
            let Step { comes, node, item } = self.log.pop().expect("it is longer than that");
            let node = node as usize;
            if comes {
                let index = self.here[node].iter().rposition(|other| *other == item).expect("it has come");
                self.go(node, index);
            } else {
                self.come(item, node);
            }
        }
    }

    /// Steps since the last one that was kept.
    pub fn steps(&self) -> Vec<Step> {
        self.log.clone()
    }

    /// Does steps that were taken back.
    pub fn redo(&mut self, steps: &[Step]) {
        for Step { comes, node, item } in steps.iter().copied() {
            let node = node as usize;
            if comes {
                self.enter(item.taker, node, item.devices);
            } else {
                let index = self.here[node].iter().position(|other| *other == item).expect("it was there before");
                self.leave(node, index);
            }
        }
    }

    /// How many points more the state has than when steps were kept last, given how it compared then.
    pub fn change(&self, before: Mark) -> i64 {
        let mut change = self.mark.points - before.points;
        if !self.moved_in_group.is_empty() {
            change += self.counted_group_points() - self.group_points;
        }
        if self.kinds.nodes_count {
            let is_first = |i: &usize| self.log[..*i].iter().all(|step| step.node != self.log[*i].node);
            let touched = (0..self.log.len()).filter(is_first).map(|i| self.log[i].node as usize);
            change += touched.map(|node| self.node_cost(node) - self.cost[node]).sum::<i64>();
        }
        change
    }

    /// Keeps all steps.
    pub fn keep(&mut self) {
        if self.kinds.nodes_count {
            for i in 0..self.log.len() {
                let node = self.log[i].node as usize;
                self.cost[node] = self.node_cost(node);
            }
        }
        if !self.moved_in_group.is_empty() {
            self.group_points = self.counted_group_points();
        }
        self.log.clear();
    }

    fn counted_group_points(&self) -> i64 {
        self.pack.group_move_weight * i64::from(self.moved_in_group.iter().copied().max().unwrap_or(0))
    }

    fn come(&mut self, item: Item, node: usize) {
        let list = &mut self.waiting[item.taker.kind as usize];
        let index = list.iter().rposition(|task| *task == item.taker.task).expect("it waits");
        list.swap_remove(index);
        self.waiting_count -= 1;
        self.here[node].push(item);
        self.tasks_here[node] += 1;
        self.book(item, node, 1);
    }

    fn go(&mut self, node: usize, index: usize) -> Item {
        let item = self.here[node].swap_remove(index);
        self.waiting[item.taker.kind as usize].push(item.taker.task);
        self.waiting_count += 1;
        self.tasks_here[node] -= 1;
        self.book(item, node, -1);
        item
    }

    /// Books that a task has come from the pool (1) or gone to it (-1).
    fn book(&mut self, item: Item, node: usize, sign: i32) {
        let (pack, task) = (self.pack, item.taker.task as usize);
        let requirement = &pack.requirement[task * pack.lanes..][..pack.lanes];
        let free = &mut self.free[node * pack.lanes..][..pack.lanes];
        free.iter_mut().zip(requirement).for_each(|(free, amount)| *free -= sign * amount);
        let word = pack.device[task].1.wrapping_mul(sign as u32);
        let mut devices = item.devices;
        if devices != 0 {
            while devices != 0 {
                let d = devices.trailing_zeros() as usize;
                devices &= devices - 1;
                let taken = &mut self.taken[node * pack.shared.device_width + d];
                *taken = taken.wrapping_add(word);
                self.shelve(node, d);
            }
            self.shelve_node(node);
        }
        let place = self.nodes[node];
        self.mark.points += i64::from(sign) * (self.pack.points_at(task, place) - pack.pool_points(task));
        self.mark.stuck = self.mark.stuck.wrapping_add_signed(if pack.may_stop[task] { 0 } else { -sign });
        // In the pool it is away from home, too.
        if pack.home[task] == place {
            self.mark.displaced -= i64::from(sign);
            let group = pack.group_all[task];
            if group != UNGROUPED && !self.moved_in_group.is_empty() {
                let moved = &mut self.moved_in_group[group as usize];
                *moved = moved.wrapping_add_signed(-sign);
            }
        }
    }

    fn shelve(&mut self, node: usize, device: usize) {
        let width = self.pack.shared.device_width;
        let class = self.pack.node_class[self.nodes[node] as usize] as usize;
        let sort = self.kinds.device_sort[class * width + device];
        if sort != NO_SORT {
            let level = free_milli(self.taken[node * width + device]) as usize;
            self.devices.put((node * width + device) as u32, usize::from(sort) * LEVELS + level);
        }
    }

    fn shelve_node(&mut self, node: usize) {
        let width = self.pack.shared.device_width;
        let class = self.pack.node_class[self.nodes[node] as usize] as usize;
        let wholes = self.row(node).iter().filter(|taken| free_milli(**taken) == DEVICE_MILLI).count();
        let sort = usize::from(self.kinds.node_sort[class]);
        self.wholes.put(node as u32, sort * (width + 1) + wholes);
    }

    /// Points of a node as it is, its price included.
    fn node_cost(&self, node: usize) -> i64 {
        let (pack, place) = (self.pack, self.nodes[node] as usize);
        let (limit, free) = (&pack.limit[place * pack.lanes..], &self.free[node * pack.lanes..]);
        pack.node_points(place, self.tasks_here[node] > 0, |r| limit[r] - free[r], self.row(node))
    }
}

/// Number of sorts.
fn sorts(of: &[u8]) -> usize {
    of.iter().filter(|sort| **sort != NO_SORT).max().map_or(0, |sort| usize::from(*sort) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bulk::build::Builder;
    use crate::bulk::eject::tests::yard;
    use crate::bulk::kinds::takes_part;

    /// All that is kept step by step, whatever the order of lists.
    fn kept(ground: &Ground<'_>) -> impl PartialEq + use<> {
        let mut places: Vec<_> = ground.places().collect();
        places.sort_unstable();
        let levels = (0..ground.taken.len()).map(|slot| ground.devices.shelf(slot as u32));
        let wholes = (0..ground.nodes.len()).map(|node| ground.wholes.shelf(node as u32));
        (
            (ground.free.clone(), ground.taken.clone(), ground.tasks_here.clone(), ground.cost.clone()),
            (places, ground.waiting_count, levels.collect::<Vec<_>>(), wholes.collect::<Vec<_>>()),
            (ground.mark.displaced, ground.mark.stuck, ground.moved_in_group.clone(), ground.group_points),
        )
    }

    #[test]
    fn what_changes_step_by_step_is_what_is_counted_afresh() {
        let problem = yard(24);
        let pack = Pack::new(&problem);
        let kinds = Kinds::new(&pack);
        let nodes: Vec<u32> = (0..24).rev().collect();
        let local = nodes.clone();
        let fresh = |state: &State| {
            let takers = |waits: bool| -> Vec<u32> {
                let is_there = |task: &usize| takes_part(&pack, *task) && (state.at[*task] == NOWHERE) == waits;
                (0..pack.home.len()).filter(is_there).map(|task| task as u32).collect()
            };
            kept(&Ground::new(&pack, &kinds, state, &nodes, &local, [&takers(false), &takers(true)]))
        };
        let mut editor = Builder::new(&problem, &pack);
        let takers: Vec<u32> = (0..pack.home.len()).filter(|t| takes_part(&pack, *t)).map(|t| t as u32).collect();
        let (tasks, waiting): (Vec<u32>, Vec<u32>) =
            takers.iter().partition(|task| editor.state.at[**task as usize] != NOWHERE);
        let state = editor.state.clone();
        let mut ground = Ground::new(&pack, &kinds, &state, &nodes, &local, [&tasks, &waiting]);
        let mut dice = Dice::new([7, 7]);
        let (mut entered, mut taken_back) = (0, 0);
        for round in 0..400 {
            for _ in 0..dice.below(6) {
                let node = dice.below(24) as usize;
                if let Some(index) = ground.here(node).len().checked_sub(1) {
                    ground.leave(node, dice.below(index as u32 + 1) as usize);
                }
                if let Some(taker) = ground.waiter(dice.below(ground.kind_count()))
                    && let Some((node, devices)) = ground.place(taker, &mut dice)
                {
                    assert!(ground.fit(taker, node).is_some(), "what is found fits");
                    ground.enter(taker, node, devices);
                    entered += 1;
                }
            }
            if round % 3 == 0 {
                taken_back += ground.log.len();
                ground.back_to(0);
            } else {
                ground.keep();
            }
            let moved: Vec<_> = ground.places().filter(|(t, node, _)| editor.state.at[*t as usize] != *node).collect();
            moved.iter().for_each(|(task, ..)| editor.relocate(*task as usize, NOWHERE, 0));
            let places: Vec<_> = ground.places().collect();
            for (task, node, devices) in places {
                if node != NOWHERE {
                    editor.relocate(task as usize, NOWHERE, 0);
                    editor.relocate(task as usize, node, devices);
                }
            }
            assert!(kept(&ground) == fresh(&editor.state), "round {round}");
        }
        assert!(entered > 100 && taken_back > 100, "{entered} entered, {taken_back} steps were taken back");
    }
}
