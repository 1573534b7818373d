//! What would a candidate change, and is it possible?                                  other half: shaders/judge.wgsl
//!
//! ```text
//! Shape   rows of a node or task are L lanes wide, one lane per resource, unused lanes 0
//! Units   resource quanta i32, points i64
//! Range   pack.rs proves: |limit|, |requirement| ≤ 2^29, |used| ≤ 2^29 (2^30 where limits may be exceeded);
//!         |points of one change| < 2^61
//! ```

use super::block::{Block, HOME_NONE, NO_DOMAIN, NO_GROUP, TaskRow};
use super::points::{NodeView, OverPrice, Shared, change_devices, fit_devices, node_points};

/// What judging a candidate found.
#[derive(Clone, Copy)]
pub(super) struct Judged {
    pub delta: i64,
    pub displaced: i8,
    pub first_devices: u64,
    pub second_devices: u64,
}

/// The arrays of a block with the lane count fixed, so that row loops become vector instructions.
pub(super) struct View<'a, const L: usize> {
    pub shared: &'a Shared,
    pub block: &'a mut Block,
    pub home_penalty: i64,
    /// 256ths of a point per quantum above the limit; 0 = the limit holds.
    over_price: [i64; L],
    is_soft: bool,
    is_closed: bool,
}

impl<'a, const L: usize> View<'a, L> {
    pub fn new(shared: &'a Shared, block: &'a mut Block, home_penalty: i64, over: OverPrice) -> View<'a, L> {
        let mut view =
            View { shared, block, home_penalty, over_price: [0; L], is_soft: false, is_closed: over.is_closed };
        view.is_soft = over.factor > 0 && (!over.is_closed || view.overfull() > 0);
        if view.is_soft {
            for (price, base) in view.over_price.iter_mut().zip(&shared.over_price) {
                *price = if *base > 0 { ((base * i64::from(over.factor)) >> 8).max(1) } else { 0 };
            }
        }
        // Where a limit may be exceeded, up to twice over, so that sums stay in range.
        let slack = view.over_price.map(|price| u32::from(price > 0));
        let Block { free, limit, held, .. } = &mut *view.block;
        free.clear();
        free.extend((0..).zip(limit.iter().zip(&*held)).map(|(i, (limit, held))| (limit << slack[i % L]) - held));
        view
    }

    /// Points for what a node has above its limits, rounded up: at least one for anything. Only what is not transient may
    /// be, so what is used is what is held.
    #[inline(always)]
    pub fn over(&self, node: usize, used: &[i32; L]) -> i64 {
        if !self.is_soft {
            return 0;
        }
        let limit = self.row(&self.block.limit, node);
        let mut points = 0;
        for r in 0..L {
            points += i64::from((used[r] - limit[r]).max(0)) * self.over_price[r];
        }
        (points + 255) >> 8
    }

    /// Points for what two nodes would have above their limits; `None` when limits are closed and that is more than now.
    #[inline(always)]
    fn over_both(&self, one: usize, used_one: &[i32; L], two: usize, used_two: &[i32; L]) -> Option<(i64, i64)> {
        if !self.is_soft {
            return Some((0, 0));
        }
        // Plain branches: closures would be compiled without the wide vectors and called.
        let pool = self.block.node_count;
        let over_one = if one == pool { 0 } else { self.over(one, used_one) };
        let over_two = if two == pool { 0 } else { self.over(two, used_two) };
        let now_one = if one == pool { 0 } else { self.block.over[one] };
        let now_two = if two == pool { 0 } else { self.block.over[two] };
        let exceeds_more = over_one + over_two > now_one + now_two;
        if self.is_closed && exceeds_more { None } else { Some((over_one, over_two)) }
    }

    /// Quanta above limits.
    pub fn overfull(&self) -> i64 {
        let above = |(used, limit): (&i32, &i32)| i64::from((used - limit).max(0));
        self.block.used.iter().zip(&self.block.limit).map(above).sum()
    }

    #[inline(always)]
    pub fn row<'b>(&'b self, rows: &'b [i32], index: usize) -> &'b [i32; L] {
        rows[index * L..][..L].try_into().expect("a row has L lanes")
    }

    pub fn refresh_costs(&mut self) {
        self.block.cost.clear();
        self.block.over.clear();
        for node in 0..self.block.node_count {
            let used = *self.row(&self.block.used, node);
            let cost = self.node_cost(node, &used, self.block.tasks_here[node], self.devices(node));
            let over = self.over(node, &used);
            self.block.cost.push(cost + over);
            self.block.over.push(over);
        }
    }

    #[inline(always)]
    pub fn devices(&self, node: usize) -> &[u16] {
        &self.block.device_used[node * self.shared.device_width..][..self.shared.device_width]
    }

    /// Points of a node with the given use.
    #[inline(always)]
    pub fn node_cost(&self, node: usize, used: &[i32; L], tasks_here: u32, devices: &[u16]) -> i64 {
        let block = &*self.block;
        let (soft, capacity) = (self.row(&block.soft, node), self.row(&block.capacity, node));
        let terms = self.shared.variance.len();
        let factors = &block.factors[node * terms..][..terms];
        node_points(self.shared, &NodeView { used, soft, capacity, factors, devices, class: block.class[node] })
            + if tasks_here > 0 { block.price[node] } else { 0 }
    }

    /// Points of a task for being at a local node, home penalty included.
    #[inline(always)]
    fn unary(&self, task: &TaskRow, home: u8, at: usize) -> i64 {
        let in_pool = at == self.block.node_count;
        let value = if in_pool { task.value } else { 0 };
        if home == HOME_NONE {
            return value;
        }
        if at == home as usize {
            return 0;
        }
        let pair =
            if in_pool { 0 } else { self.shared.pair[task.pair_row as usize + self.block.move_class[at] as usize] };
        value + task.move_points + self.home_penalty + pair
    }

    /// May this task be on this local node at all, and on which devices? 0 = no.
    #[inline(always)]
    fn allowed(&self, task: &TaskRow, home: u8, at: usize) -> u64 {
        let mask = self.shared.allow[task.class_row as usize + self.block.class[at] as usize];
        if at == home as usize { u64::MAX } else { mask }
    }

    /// Do the group's rules let a member go from one local node to another (or the pool)?
    #[inline(always)]
    fn group_allows(&self, task: &TaskRow, from: usize, to: usize) -> bool {
        if task.group == NO_GROUP {
            return true;
        }
        let pool = self.block.node_count;
        let group = &self.block.groups[task.group as usize];
        if group.conflict && to != pool && group.nodes >> to & 1 == 1 {
            return false;
        }
        let rows = &self.block.rows[group.row as usize..][..group.row_count as usize];
        // A plain loop: the closure of `all` would be compiled without the wide vectors and called.
        for row in rows {
            let domain =
                |node: usize| if node == pool { NO_DOMAIN } else { self.block.domain[row.domain as usize + node] };
            let (source, target) = (domain(from), domain(to));
            if source == target {
                continue;
            }
            let leaves = source < NO_DOMAIN && self.block.count[row.count as usize + source as usize] == 1;
            if leaves && (row.hold >> source & 1 == 1 || (row.keep >> source & 1 == 1 && row.slack <= 0)) {
                return false;
            }
            let taken =
                row.conflict && target < NO_DOMAIN && self.block.count[row.count as usize + target as usize] > 0;
            if target < NO_DOMAIN && (row.enter >> target & 1 == 0 || taken) {
                return false;
            }
        }
        true
    }

    /// Judges moving a task to a local node.
    #[inline(always)]
    pub fn judge_shift(&self, t: usize, to: usize) -> Option<Judged> {
        let block = &*self.block;
        let from = block.at[t] as usize;
        if from == to {
            return None;
        }
        let (task, home, pool) = (&block.tasks[t], block.home[t], block.node_count);
        if (to == pool && !task.may_stop) || (from == pool && !task.may_start) {
            return None;
        }
        let requirement = self.row(&block.requirement, t);
        let transient: &[i32; L] = self.shared.transient[..L].try_into().expect("a mask per lane");
        let mut target_used = [0; L];
        let mut mask = 0;
        if to != pool {
            let free = self.row(&block.free, to);
            let back_home = -i32::from(to == home as usize);
            let mut room = 0;
            for r in 0..L {
                room |= free[r] - (requirement[r] & !(transient[r] & back_home));
            }
            if room < 0 {
                return None;
            }
            let used = self.row(&block.used, to);
            for r in 0..L {
                target_used[r] = used[r] + requirement[r];
            }
            mask = self.allowed(task, home, to);
            if mask == 0 {
                return None;
            }
        }
        if !self.group_allows(task, from, to) {
            return None;
        }
        let mut source_used = [0; L];
        if from != pool {
            let used = self.row(&block.used, from);
            for r in 0..L {
                source_used[r] = used[r] - requirement[r];
            }
        }
        let (over_to, over_from) = self.over_both(to, &target_used, from, &source_used)?;
        let mut first_devices = 0;
        if task.device_count > 0 && to != pool {
            first_devices = self.fit(task, home, to, mask, self.devices(to))?;
        }
        let mut delta = self.unary(task, home, to) - self.unary(task, home, from);
        if to != pool {
            delta += self.cost_with(to, &target_used, 1, task, first_devices, true) + over_to - block.cost[to];
        }
        if from != pool {
            delta += self.cost_with(from, &source_used, -1, task, task.devices, false) + over_from - block.cost[from];
        }
        let displaced =
            if home == HOME_NONE { 0 } else { i8::from(to != home as usize) - i8::from(from != home as usize) };
        Some(Judged { delta, displaced, first_devices, second_devices: 0 })
    }

    /// Cost of a node after one task came or went.
    #[inline(always)]
    fn cost_with(&self, node: usize, used: &[i32; L], change: i32, task: &TaskRow, devices: u64, comes: bool) -> i64 {
        let tasks_here = self.block.tasks_here[node].wrapping_add_signed(change);
        if self.shared.fragmentation_weight == 0 {
            return self.node_cost(node, used, tasks_here, &[]);
        }
        let mut row = DeviceRow::of(self.devices(node));
        row.change(devices, task.device_milli, comes);
        self.node_cost(node, used, tasks_here, row.used())
    }

    /// Judges exchanging the places of two tasks; one of them may be in the pool.
    #[inline(always)]
    pub fn judge_swap(&self, first: usize, second: usize) -> Option<Judged> {
        let block = &*self.block;
        let pool = block.node_count;
        if block.at[first] == block.at[second] {
            return None;
        }
        // Only the second may be in the pool from here on.
        let turned = block.at[first] as usize == pool;
        let (t1, t2) = if turned { (second, first) } else { (first, second) };
        let (a, b) = (block.at[t1] as usize, block.at[t2] as usize);
        let (one, two) = (&block.tasks[t1], &block.tasks[t2]);
        let (home1, home2) = (block.home[t1], block.home[t2]);
        if b == pool && !(one.may_stop && two.may_start) {
            return None;
        }
        let (req1, req2) = (self.row(&block.requirement, t1), self.row(&block.requirement, t2));
        let transient: &[i32; L] = self.shared.transient[..L].try_into().expect("a mask per lane");
        // Leaving home keeps transient amounts held there; coming home finds them held already.
        let (t1_home_a, t2_home_a) = (-i32::from(a == home1 as usize), -i32::from(a == home2 as usize));
        let free = self.row(&block.free, a);
        let mut room = 0;
        for r in 0..L {
            let freed = req1[r] & !(transient[r] & t1_home_a);
            let added = req2[r] & !(transient[r] & t2_home_a);
            room |= free[r] + freed - added;
        }
        if b != pool {
            let (t1_home_b, t2_home_b) = (-i32::from(b == home1 as usize), -i32::from(b == home2 as usize));
            let free = self.row(&block.free, b);
            for r in 0..L {
                let freed = req2[r] & !(transient[r] & t2_home_b);
                let added = req1[r] & !(transient[r] & t1_home_b);
                room |= free[r] + freed - added;
            }
        }
        if room < 0 {
            return None;
        }
        let mask2 = self.allowed(two, home2, a);
        let mask1 = if b == pool { u64::MAX } else { self.allowed(one, home1, b) };
        if mask1 == 0 || mask2 == 0 || (one.group == two.group && one.group != NO_GROUP) {
            return None;
        }
        if !self.group_allows(one, a, b) || !self.group_allows(two, b, a) {
            return None;
        }
        let mut used_a = *self.row(&block.used, a);
        for r in 0..L {
            used_a[r] += req2[r] - req1[r];
        }
        let mut used_b = [0; L];
        if b != pool {
            let used = self.row(&block.used, b);
            for r in 0..L {
                used_b[r] = used[r] - req2[r] + req1[r];
            }
        }
        let (over_a, over_b) = self.over_both(a, &used_a, b, &used_b)?;
        let (mut first_devices, mut second_devices) = (0, 0);
        let mut row_a = DeviceRow::EMPTY;
        let mut row_b = DeviceRow::EMPTY;
        if one.device_count > 0 || two.device_count > 0 || self.shared.fragmentation_weight > 0 {
            row_a = DeviceRow::of(self.devices(a));
            self.release(&mut row_a, one, home1, a);
            if two.device_count > 0 {
                second_devices = self.fit(two, home2, a, mask2, row_a.used())?;
                row_a.change(second_devices, two.device_milli, true);
            }
            if b != pool {
                row_b = DeviceRow::of(self.devices(b));
                self.release(&mut row_b, two, home2, b);
                if one.device_count > 0 {
                    first_devices = self.fit(one, home1, b, mask1, row_b.used())?;
                    row_b.change(first_devices, one.device_milli, true);
                }
            }
        }
        let mut delta = self.unary(one, home1, b) - self.unary(one, home1, a);
        delta += self.unary(two, home2, a) - self.unary(two, home2, b);
        delta += self.node_cost(a, &used_a, block.tasks_here[a], row_a.used()) + over_a - block.cost[a];
        if b != pool {
            delta += self.node_cost(b, &used_b, block.tasks_here[b], row_b.used()) + over_b - block.cost[b];
        }
        let away = |home: u8, at: usize| i8::from(home != HOME_NONE && at != home as usize);
        let displaced = away(home1, b) - away(home1, a) + away(home2, a) - away(home2, b);
        if turned {
            (first_devices, second_devices) = (second_devices, first_devices);
        }
        Some(Judged { delta, displaced, first_devices, second_devices })
    }

    /// Devices a task gets on a node: those it has at home, else the fullest device that still fits (a fraction) or the
    /// first free ones (whole devices).
    #[inline(always)]
    fn fit(&self, task: &TaskRow, home: u8, at: usize, mask: u64, used: &[u16]) -> Option<u64> {
        if at == home as usize {
            if self.shared.simultaneous {
                return Some(task.home_devices);
            }
            let fits = |d: usize| task.home_devices >> d & 1 == 0 || used[d] + task.device_milli <= 1000;
            return (0..used.len()).all(fits).then_some(task.home_devices);
        }
        fit_devices(used, mask, task.device_count, task.device_milli)
    }

    #[inline(always)]
    fn release(&self, row: &mut DeviceRow, task: &TaskRow, home: u8, at: usize) {
        if !(self.shared.simultaneous && at == home as usize) {
            row.change(task.devices, task.device_milli, false);
        }
    }
}

/// A node's devices while a candidate is judged.
struct DeviceRow {
    used: [u16; 64],
    width: usize,
}

impl DeviceRow {
    const EMPTY: DeviceRow = DeviceRow { used: [0; 64], width: 0 };

    #[inline(always)]
    fn of(used: &[u16]) -> DeviceRow {
        let mut row = DeviceRow { used: [0; 64], width: used.len() };
        row.used[..used.len()].copy_from_slice(used);
        row
    }

    #[inline(always)]
    fn used(&self) -> &[u16] {
        &self.used[..self.width]
    }

    #[inline(always)]
    fn change(&mut self, devices: u64, milli: u16, comes: bool) {
        change_devices(&mut self.used[..self.width], devices, milli, comes);
    }
}
