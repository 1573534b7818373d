//! What would a candidate change, and is it possible?                                  other half: shaders/judge.wgsl
//!
//! ```text
//! Shape   rows of a node or task are L lanes wide, one lane per resource, unused lanes 0
//! Units   resource quanta i32, points i64
//! Range   pack.rs proves: |limit|, |requirement| ≤ 2^29, |used| ≤ 2^29 (2^30 where limits may be exceeded);
//!         |points of one change| < 2^61; nobody holds more than may be held, so who leaves a node leaves room there
//! ```

use super::anneal::LANES;
use super::block::{HOME_NONE, NO_GROUP, TaskRow};
use super::lanes::{above_both, exchange, have_room};
use super::layout::holds_more;
use super::points::{change_devices, fit_devices};
use super::view::{Task, View};
use std::hint::select_unpredictable;

/// Two tasks that would exchange their places.
#[derive(Clone, Copy, Default)]
pub(super) struct Candidate {
    pub first: u32,
    /// Nobody for a shift.
    pub second: u32,
    /// Where the first is.
    pub from: u8,
    /// Where it goes.
    pub to: u8,
}

/// What judging a candidate found.
#[derive(Clone, Copy, Default)]
pub(super) struct Judged {
    pub delta: i64,
    pub displaced: i8,
    pub first_devices: u64,
    pub second_devices: u64,
}

/// Lanes of a batch, in order. Lanes are filtered without branches: of random candidates a branch is guessed wrong half of the time.
pub(super) struct Chosen {
    lanes: [u8; LANES],
    count: usize,
}

impl Chosen {
    pub fn lanes(&self) -> &[u8] {
        &self.lanes[..self.count]
    }
}

/// Is a bit set? One of two words is looked at, where shifting 128 bits would take many steps.
#[inline(always)]
fn has(set: u128, bit: u8) -> bool {
    let word = select_unpredictable(bit & 64 == 0, set as u64, (set >> 64) as u64);
    word >> (bit & 63) & 1 == 1
}

/// Has the task a home, and would be elsewhere?
#[inline(always)]
fn is_displaced<const L: usize>(task: &Task<L>, at: u8) -> bool {
    (task.home != HOME_NONE) & (at != task.home)
}

impl<const L: usize> View<'_, L> {
    /// Candidates that leave no more on a node than may be there.
    #[inline(always)]
    pub fn with_room(&self, batch: &[Candidate; LANES]) -> Chosen {
        let (tasks, nodes) = (&self.tasks[..], &self.nodes[..]);
        let mut chosen = Chosen { lanes: [0; LANES], count: 0 };
        for (lane, Candidate { first, second, from, to }) in batch.iter().enumerate() {
            let (one, two) = (&tasks[*first as usize], &tasks[*second as usize]);
            let (a, b) = (&nodes[*from as usize], &nodes[*to as usize]);
            let fits =
                have_room(&a.free, one.held_at(*from), two.held_at(*from), &b.free, two.held_at(*to), one.held_at(*to));
            // The remainder changes nothing, and saves asking whether the place is there.
            chosen.lanes[chosen.count % LANES] = lane as u8;
            chosen.count += usize::from(fits & (from != to));
        }
        chosen
    }

    /// Those of them that the rules of groups permit.
    #[inline(always)]
    pub fn permitted(&self, batch: &[Candidate; LANES], mut chosen: Chosen) -> Chosen {
        if self.block.groups.is_empty() {
            return chosen;
        }
        let (tasks, rules) = (&self.tasks[..], &self.rules[..]);
        let none = self.block.groups.len() as u32;
        // Those that sets of nodes forbid, but that may stay within a domain.
        let mut is_doubtful = [false; LANES];
        let mut count = 0;
        for i in 0..chosen.count {
            let lane = chosen.lanes[i];
            let Candidate { first, second, from, to } = batch[lane as usize];
            let (one, two) = (tasks[first as usize].rules, tasks[second as usize].rules);
            let (rules_one, rules_two) = (&rules[one as usize], &rules[two as usize]);
            // Two members of a group in each other's place change nothing for it; but where one moves after the other, they would meet.
            let is_same = (one == two) & (one != none) & self.shared.simultaneous;
            let is_taken = !is_same & (has(rules_one.taken, to) | has(rules_two.taken, from));
            let is_near = has(self.near[from as usize & 127], to);
            let is_free = is_same
                | !has(rules_one.shut, from)
                    & has(rules_one.open, to)
                    & !has(rules_two.shut, to)
                    & has(rules_two.open, from);
            chosen.lanes[count] = lane;
            is_doubtful[count] = !is_free;
            count += usize::from(!is_taken & (is_free | is_near));
        }
        chosen.count = count;
        count = 0;
        for i in 0..chosen.count {
            let lane = chosen.lanes[i];
            let Candidate { first, second, from, to } = batch[lane as usize];
            let group = |task: u32| tasks[task as usize].row.group;
            let is_permitted = !is_doubtful[i]
                || self.domains_allow(group(first), from, to) && self.domains_allow(group(second), to, from);
            chosen.lanes[count] = lane;
            count += usize::from(is_permitted);
        }
        chosen.count = count;
        chosen
    }

    /// Do the rules of a group let a member go from one node to another that shares a domain with it?
    fn domains_allow(&self, group: u32, from: u8, to: u8) -> bool {
        if group == NO_GROUP {
            return true;
        }
        let group = &self.block.groups[group as usize];
        let rows = &self.block.rows[group.row as usize..][..group.row_count as usize];
        rows.iter().all(|row| {
            let domain = |node: u8| self.block.domain[row.domain as usize + node as usize];
            let (source, target) = (domain(from), domain(to));
            let members = |domain: u8| self.block.count[row.count as usize + domain as usize];
            let is_held = has(row.hold, source) || has(row.keep, source) && row.slack <= 0;
            let is_taken = row.conflict && members(target) > 0;
            source == target || !(is_held && members(source) == 1) && has(row.enter, target) && !is_taken
        })
    }

    /// Points of a task for being at a local node, the home price included.
    #[inline(always)]
    fn unary(&self, task: &Task<L>, at: u8) -> i64 {
        let points = self.move_points(task, at);
        select_unpredictable(at == self.pool(), task.row.value, 0)
            + select_unpredictable(is_displaced(task, at), points + self.home_price.of(points), 0)
    }

    /// What the move to a local node costs a task that has a home elsewhere.
    #[inline(always)]
    fn move_points(&self, task: &Task<L>, at: u8) -> i64 {
        let pair = self.shared.pair[(task.row.pair_row + self.nodes[at as usize].move_class) as usize];
        task.move_points + select_unpredictable(at == self.pool(), 0, pair)
    }

    /// The home price of a task at a local node: it steers, but is no part of the objective.
    pub fn steering(&self, slot: usize, at: u8) -> i64 {
        let task = &self.tasks[slot];
        if is_displaced(task, at) { self.home_price.of(self.move_points(task, at)) } else { 0 }
    }

    /// On which devices may this task be on this node? 0 = not at all.
    #[inline(always)]
    fn allowed(&self, task: &Task<L>, at: u8) -> u64 {
        let mask = self.shared.allow[(task.row.class_row + self.nodes[at as usize].class) as usize];
        if at == task.home { u64::MAX } else { mask }
    }

    /// What would a candidate change that has room and keeps the rules of groups? `None` when something else forbids it.
    #[inline(always)]
    pub fn judge(&self, candidate: &Candidate) -> Option<Judged> {
        let Candidate { first, second, from, to } = *candidate;
        let (one, two) = (&self.tasks[first as usize], &self.tasks[second as usize]);
        let (a, b) = (&self.nodes[from as usize], &self.nodes[to as usize]);
        let pool = self.pool();
        if from == pool && !(one.row.may_start && two.row.may_stop)
            || to == pool && !(one.row.may_stop && two.row.may_start)
        {
            return None;
        }
        let is_shift = second == self.nobody();
        let mask_one = if to == pool { u64::MAX } else { self.allowed(one, to) };
        let mask_two = if from == pool || is_shift { u64::MAX } else { self.allowed(two, from) };
        if mask_one == 0 || mask_two == 0 {
            return None;
        }
        let [used_a, used_b] = exchange(&a.used, &b.used, two.requirement(), one.requirement());
        let (over_a, over_b) = (self.over(a, &used_a), self.over(b, &used_b));
        if self.is_closed && over_a + over_b > a.over + b.over {
            return None;
        }
        let has_devices = (one.row.device_count | two.row.device_count) > 0 || self.shared.fragmentation_weight > 0;
        let (mut row_a, mut row_b) = (None, None);
        let (mut first_devices, mut second_devices) = (0, 0);
        if has_devices {
            (row_a, second_devices) = self.swap_devices(one, two, from, mask_two)?;
            (row_b, first_devices) = self.swap_devices(two, one, to, mask_one)?;
        }
        let change = u32::from(is_shift);
        let mut delta = self.unary(one, to) - self.unary(one, from) + self.unary(two, from) - self.unary(two, to);
        delta += above_both(&used_a, &a.soft, &used_b, &b.soft, &self.load_weight) + over_a + over_b - a.cost - b.cost;
        if from != pool {
            let here = a.tasks_here.wrapping_sub(change);
            delta += self.other_points(from as usize, &used_a, here, row_a.as_ref().map_or(&[], DeviceRow::used));
        }
        if to != pool {
            let here = b.tasks_here.wrapping_add(change);
            delta += self.other_points(to as usize, &used_b, here, row_b.as_ref().map_or(&[], DeviceRow::used));
        }
        let away = |task: &Task<L>, at: u8| i8::from(is_displaced(task, at));
        let displaced = away(one, to) - away(one, from) + away(two, from) - away(two, to);
        Some(Judged { delta, displaced, first_devices, second_devices })
    }

    /// A node's devices after one task has gone and another has come, and those that this one gets; `None` when it gets none.
    fn swap_devices(&self, goes: &Task<L>, comes: &Task<L>, at: u8, mask: u64) -> Option<(Option<DeviceRow>, u64)> {
        if at == self.pool() {
            return Some((None, 0));
        }
        let mut row = DeviceRow::of(self.devices(at as usize));
        if !(self.shared.simultaneous && at == goes.home) {
            row.change(goes.row.devices, goes.row.device_word, false);
        }
        let mut devices = 0;
        if comes.row.device_count > 0 {
            devices = self.fit(&comes.row, at == comes.home, mask, row.used())?;
            row.change(devices, comes.row.device_word, true);
        }
        Some((Some(row), devices))
    }

    /// Devices a task gets on a node: those it has at home, else the fullest device that still fits (a fraction) or the
    /// first free ones (whole devices).
    fn fit(&self, task: &TaskRow, is_home: bool, mask: u64, used: &[u32]) -> Option<u64> {
        if is_home {
            if self.shared.simultaneous {
                return Some(task.home_devices);
            }
            let fits = |d: usize| task.home_devices >> d & 1 == 0 || holds_more(used[d], task.device_word);
            return (0..used.len()).all(fits).then_some(task.home_devices);
        }
        fit_devices(used, mask, task.device_count, task.device_word)
    }
}

/// A node's devices while a candidate is judged.
struct DeviceRow {
    used: [u32; 64],
    width: usize,
}

impl DeviceRow {
    fn of(used: &[u32]) -> DeviceRow {
        let mut row = DeviceRow { used: [0; 64], width: used.len() };
        row.used[..used.len()].copy_from_slice(used);
        row
    }

    fn used(&self) -> &[u32] {
        &self.used[..self.width]
    }

    fn change(&mut self, devices: u64, word: u32, comes: bool) {
        change_devices(&mut self.used[..self.width], devices, word, comes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::block::{Block, GroupRow, Row};
    use crate::kernel::points::{HomePrice, OverPrice, Shared};
    use crate::kernel::random::{below, pcg3d};

    /// Random numbers by seed and count.
    struct Rng(u32, u32);

    impl Rng {
        fn below(&mut self, count: usize) -> usize {
            self.1 += 1;
            below(pcg3d(self.0, self.1, 0)[0], count as u32) as usize
        }

        fn chance(&mut self, percent: usize) -> bool {
            self.below(100) < percent
        }
    }

    /// A block of nodes in two levels of domains with tasks that take nothing, in groups whose rules are drawn at random, whatever
    /// they are at the start; some tasks wait.
    fn random_block(rng: &mut Rng) -> Block {
        let node_count = if rng.chance(10) { 127 } else { 1 + rng.below(12) };
        let (task_count, group_count) = (40, 1 + rng.below(8));
        let names = [1 + rng.below(node_count), 1 + rng.below(4).min(node_count - 1)];
        let domain = (0..2 * node_count).map(|i| rng.below(names[i / node_count]) as u8).collect();
        let mut block = Block {
            node_count,
            domain,
            price: vec![0; node_count],
            tasks_here: vec![0; node_count],
            move_class: vec![0; node_count],
            class: vec![0; node_count],
            ..Block::default()
        };
        for rows in [&mut block.limit, &mut block.soft, &mut block.capacity, &mut block.used, &mut block.held] {
            rows.resize(4 * node_count, 0);
        }
        for _ in 0..group_count {
            let row_count = rng.below(3);
            let (row, conflict) = (block.rows.len() as u32, rng.chance(50));
            block.groups.push(GroupRow { nodes: 0, row, row_count: row_count as u16, conflict });
            for (level, names) in names.iter().enumerate().take(row_count) {
                let mut set = |percent| (0..*names).fold(0, |set, d| set | u128::from(rng.chance(percent)) << d);
                let (hold, keep, enter) = (set(30), set(50), set(70));
                let (slack, conflict) = (rng.below(3) as i32, rng.chance(20));
                let (domain, count) = ((level * node_count) as u32, block.count.len() as u32);
                block.count.resize(block.count.len() + names, 0);
                block.rows.push(Row { hold, keep, enter, slack, domain, count, conflict });
            }
        }
        for task in 0..task_count {
            let group = if rng.chance(80) { rng.below(group_count) as u32 } else { NO_GROUP };
            let at = rng.below(node_count + 1) as u8;
            let row = TaskRow { group, task: task as u32, may_start: true, may_stop: true, ..TaskRow::default() };
            block.tasks.push(row);
            block.at.push(at);
            block.home.push(HOME_NONE);
            block.requirement.extend([0; 4]);
            if group == NO_GROUP || at as usize == node_count {
                continue;
            }
            let found = &mut block.groups[group as usize];
            found.nodes |= 1 << at;
            for row in &block.rows[found.row as usize..][..found.row_count as usize] {
                block.count[row.count as usize + block.domain[row.domain as usize + at as usize] as usize] += 1;
            }
        }
        block
    }

    /// The rules as they are said, one after the other; `nodes` have a member, by group.
    fn group_allows(block: &Block, nodes: &[u128], group: u32, from: u8, to: u8) -> bool {
        if group == NO_GROUP {
            return true;
        }
        let pool = block.node_count as u8;
        let (group, nodes) = (&block.groups[group as usize], nodes[group as usize]);
        if group.conflict && to != pool && nodes >> to & 1 == 1 {
            return false;
        }
        block.rows[group.row as usize..][..group.row_count as usize].iter().all(|row| {
            let domain = |node: u8| (node != pool).then(|| block.domain[row.domain as usize + node as usize]);
            let members = |domain: u8| block.count[row.count as usize + domain as usize];
            let bit = |set: u128, domain: u8| set >> domain & 1 == 1;
            let may_leave = domain(from)
                .is_none_or(|d| members(d) != 1 || !(bit(row.hold, d) || bit(row.keep, d) && row.slack <= 0));
            let may_enter = domain(to).is_none_or(|d| bit(row.enter, d) && !(row.conflict && members(d) > 0));
            domain(from) == domain(to) || may_leave && may_enter
        })
    }

    #[test]
    fn sets_of_nodes_say_what_the_rules_say() {
        let (mut permitted, mut refused) = (0, 0);
        for seed in 0..300 {
            let (load_weight, transient, over_price) = (vec![0; 4], vec![0; 4], vec![0; 4]);
            let simultaneous = seed % 2 == 0;
            let shared = Shared { load_weight, transient, over_price, simultaneous, ..Shared::default() };
            let mut rng = Rng(seed, 0);
            let mut block = random_block(&mut rng);
            let mut nodes: Vec<u128> = block.groups.iter().map(|group| group.nodes).collect();
            let mut view = View::<4>::new(&shared, &mut block, HomePrice::default(), OverPrice::default());
            for _ in 0..20 {
                let tasks = view.nobody();
                for _ in 0..4 {
                    let candidate = |_| {
                        let (first, other) = (rng.below(tasks as usize) as u32, rng.below(tasks as usize) as u32);
                        let node = rng.below(usize::from(view.pool()) + 1) as u8;
                        let (second, to) =
                            if rng.chance(50) { (tasks, node) } else { (other, view.tasks[other as usize].at) };
                        Candidate { first, second, from: view.tasks[first as usize].at, to }
                    };
                    let batch: [Candidate; LANES] = std::array::from_fn(candidate);
                    let chosen = view.permitted(&batch, view.with_room(&batch));
                    for (lane, Candidate { first, second, from, to }) in (0..).zip(batch) {
                        let group = |task: u32| view.tasks[task as usize].row.group;
                        let (one, two) = (group(first), group(second));
                        let is_same = one == two && one != NO_GROUP && shared.simultaneous;
                        let is_right = from != to
                            && (is_same
                                || group_allows(view.block, &nodes, one, from, to)
                                    && group_allows(view.block, &nodes, two, to, from));
                        assert_eq!(
                            chosen.lanes().contains(&lane),
                            is_right,
                            "seed {seed}, {first} with {second}, {from} to {to}"
                        );
                        *(if is_right { &mut permitted } else { &mut refused }) += 1;
                    }
                }
                // Whether it is permitted or not. Of two members on a node, the first that leaves it leaves it free, as on a device.
                let (task, to) = (rng.below(tasks as usize), rng.below(usize::from(view.pool()) + 1) as u8);
                let (group, from) = (view.tasks[task].row.group, view.tasks[task].at);
                view.leave(task);
                view.arrive(task, to, 0);
                if let Some(nodes) = nodes.get_mut(group as usize) {
                    *nodes &= if from == view.pool() { u128::MAX } else { !(1 << from) };
                    *nodes |= if to == view.pool() { 0 } else { 1 << to };
                }
            }
        }
        assert!(permitted > 50_000 && refused > 50_000, "{permitted} permitted, {refused} refused");
    }
}
