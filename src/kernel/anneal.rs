//! What happens in one block of nodes during one round? Annealing over shifts and swaps, in integers only.
//!
//! ```text
//! Shape   rows of a node or task are L lanes wide, one lane per resource, unused lanes 0
//! Units   resource quanta i32, points i64
//! Range   pack.rs proves: |limit|, |used|, |requirement| ≤ 2^29; |points of one change| < 2^61
//! Ties    a change of 0 points is accepted when it displaces no further task
//! Source  simulated annealing with a home penalty proportional to the temperature; ours
//! ```
//!
//! A block owns its nodes and the tasks on them for the round; nobody else touches them. [`LANES`] candidates are judged
//! against the same state, then the accepted ones are applied in lane order unless an earlier lane has touched one of their
//! nodes or groups. Rules that reach beyond the block are kept by what the block was given (see [`Row`]): whatever the
//! blocks do within those limits, all of them together keep the rules.
//!
//! The pool of unplaced tasks is one more node (index `node_count`) with room for all.

use super::points::{NodeView, Shared, change_devices, fit_devices, node_points};
use super::random::{LN_BITS, LN_TABLE, below, pcg3d};

/// Candidates judged against the same state.
pub const LANES: usize = 32;
/// Most nodes of a block: node sets are 64-bit words and the pool needs an index.
pub const BLOCK_NODES_MAX: usize = 63;
/// `home` of a task that was waiting at the start.
pub const HOME_NONE: u8 = 255;
/// `home` of a task whose home is outside the block.
pub const HOME_OUTSIDE: u8 = 254;
/// `group` of a task without rules.
pub const NO_GROUP: u32 = u32::MAX;

/// One task as the block sees it.
#[derive(Debug, Clone, Copy)]
pub struct TaskRow {
    /// Points lost while it sits in the pool.
    pub value: i64,
    /// Points for being away from home, before pair costs.
    pub move_points: i64,
    /// Devices held now.
    pub devices: u64,
    /// Devices held at home.
    pub home_devices: u64,
    /// Row offset into `Shared::pair`.
    pub pair_row: u32,
    /// Row offset into `Shared::allow`.
    pub class_row: u32,
    /// Local group or [`NO_GROUP`].
    pub group: u32,
    /// Index in the problem.
    pub task: u32,
    /// Devices wanted.
    pub device_count: u8,
    /// It may go to the pool.
    pub may_stop: bool,
    /// It may come from the pool.
    pub may_start: bool,
    /// Milli of each device.
    pub device_milli: u16,
}

/// A group as the block sees it.
#[derive(Debug, Clone, Copy, Default)]
pub struct GroupRow {
    /// Local nodes that hold a member; used when `conflict`.
    pub nodes: u64,
    /// First of its rows.
    pub row: u32,
    /// How many rows.
    pub row_count: u16,
    /// No two members on a node.
    pub conflict: bool,
}

/// The rules of a group at one level of domains, seen from one block. Bits are local domains.
#[derive(Debug, Clone, Copy, Default)]
pub struct Row {
    /// Domains the block may not leave with its last member (others depend on it).
    pub hold: u64,
    /// Domains the block may leave with its last member only by spending `slack`.
    pub keep: u64,
    /// Domains that may be entered.
    pub enter: u64,
    /// Domains the block may give up (spread beyond the least number); −1 for a moment while a last member changes nodes
    /// within a domain.
    pub slack: i32,
    /// Offset of the level's node → local domain map in `Block::domain`.
    pub domain: u32,
    /// Offset of the members per local domain in `Block::count`.
    pub count: u32,
    /// At most one member per domain.
    pub conflict: bool,
}

/// A block: its nodes, its tasks, its rules. Arrays only; filled anew every round.
#[derive(Debug, Default)]
pub struct Block {
    /// Nodes, without the pool.
    pub node_count: usize,
    /// Shape: node_count × L. Most that may be held.
    pub limit: Vec<i32>,
    /// Shape: node_count × L.
    pub soft: Vec<i32>,
    /// Shape: node_count × L. True capacity.
    pub capacity: Vec<i32>,
    /// Shape: node_count × L. What runs here.
    pub used: Vec<i32>,
    /// Shape: node_count × L. What runs here and, for transient resources, what has left.
    pub held: Vec<i32>,
    /// Shape: node_count. Points of the node as it is.
    pub cost: Vec<i64>,
    /// Shape: node_count. Points for being in use.
    pub price: Vec<i64>,
    /// Shape: node_count. Tasks here, movable or not.
    pub tasks_here: Vec<u32>,
    /// Shape: node_count. Move class.
    pub move_class: Vec<u32>,
    /// Shape: node_count. Column of `Shared::allow`.
    pub class: Vec<u32>,
    /// Shape: node_count × device_width. Milli taken.
    pub device_used: Vec<u16>,
    /// Index in the problem. Shape: node_count.
    pub node: Vec<u32>,
    /// Movable tasks.
    pub tasks: Vec<TaskRow>,
    /// Shape: tasks. Local node now; `node_count` = pool.
    pub at: Vec<u8>,
    /// Shape: tasks. Local home.
    pub home: Vec<u8>,
    /// Shape: tasks × L.
    pub requirement: Vec<i32>,
    /// Groups.
    pub groups: Vec<GroupRow>,
    /// Their rows.
    pub rows: Vec<Row>,
    /// Local domain of each node, level after level.
    pub domain: Vec<u8>,
    /// Members per (row, local domain).
    pub count: Vec<u16>,
    /// Points gained (negative) or lost in the round.
    pub delta: i64,
    /// Change in the number of displaced tasks.
    pub displaced: i64,
    /// Candidates judged.
    pub evaluations: u64,
}

/// What the round asks for.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// Seed of the chain.
    pub seed: u32,
    /// Round number.
    pub round: u32,
    /// Block number.
    pub block: u32,
    /// Candidates, rounded up to whole batches of [`LANES`].
    pub candidates: u32,
    /// Temperature in 256ths of a point; 0 = only improvements and harmless ties.
    pub temperature: i64,
    /// Points that a displaced task costs on top, on this round's temperature.
    pub home_penalty: i64,
    /// Shifts in 256ths of all candidates; the rest are swaps.
    pub shift_share: u32,
    /// Shifts that go home, in 256ths of all shifts.
    pub home_share: u32,
}

/// One accepted candidate.
#[derive(Clone, Copy)]
struct Accepted {
    first: u32,
    /// `u32::MAX` for a shift.
    second: u32,
    from: u8,
    to: u8,
    delta: i64,
    displaced: i8,
    first_devices: u64,
    second_devices: u64,
}

/// What judging a candidate found.
#[derive(Clone, Copy)]
struct Judged {
    delta: i64,
    displaced: i8,
    first_devices: u64,
    second_devices: u64,
}

/// Runs a round of `L` lanes per row.
pub fn anneal<const L: usize>(shared: &Shared, block: &mut Block, round: &Round) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has the feature, as just asked.
        return unsafe { anneal_avx2::<L>(shared, block, round) };
    }
    anneal_plain::<L>(shared, block, round);
}

/// The same code, compiled for wider vectors: integers only, so the results are the same.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn anneal_avx2<const L: usize>(shared: &Shared, block: &mut Block, round: &Round) {
    anneal_plain::<L>(shared, block, round);
}

#[inline(always)]
fn anneal_plain<const L: usize>(shared: &Shared, block: &mut Block, round: &Round) {
    block.delta = 0;
    block.displaced = 0;
    block.evaluations = 0;
    let task_count = block.tasks.len() as u32;
    if task_count == 0 || block.node_count == 0 {
        return;
    }
    let mut view = View::<L> { shared, block, home_penalty: round.home_penalty };
    view.refresh_costs();
    let ln_table: &[i32; 1 << LN_BITS] = &LN_TABLE;
    let stream = pcg3d(round.seed, round.round, round.block);
    let batches = round.candidates.div_ceil(LANES as u32);
    let mut accepted =
        [Accepted { first: 0, second: 0, from: 0, to: 0, delta: 0, displaced: 0, first_devices: 0, second_devices: 0 };
            LANES];
    for batch in 0..batches {
        let mut accepted_count = 0;
        for lane in 0..LANES as u32 {
            let [pick, other, dice] = pcg3d(stream[0].wrapping_add(batch * LANES as u32 + lane), stream[1], stream[2]);
            let first = below(pick, task_count);
            let is_shift = (dice & 255) < round.shift_share;
            let (second, to, judged) = if is_shift {
                let home = view.block.home[first as usize];
                let target = if (dice >> 8 & 255) < round.home_share && home < HOME_OUTSIDE {
                    home
                } else {
                    below(other, view.block.node_count as u32 + 1) as u8
                };
                (u32::MAX, target, view.judge_shift(first as usize, target as usize))
            } else {
                let second = below(other, task_count);
                (second, view.block.at[second as usize], view.judge_swap(first as usize, second as usize))
            };
            let Some(judged) = judged else { continue };
            let threshold = (round.temperature * i64::from(ln_table[(dice >> 20) as usize])) >> 24;
            let is_warm = round.temperature > 0 && judged.delta <= threshold;
            if is_warm || judged.delta < 0 || (judged.delta == 0 && judged.displaced <= 0) {
                let Judged { delta, displaced, first_devices, second_devices } = judged;
                let from = view.block.at[first as usize];
                accepted[accepted_count] =
                    Accepted { first, second, from, to, delta, displaced, first_devices, second_devices };
                accepted_count += 1;
            }
        }
        view.apply_all(&accepted[..accepted_count]);
    }
    block.evaluations = u64::from(batches) * LANES as u64;
}

/// The arrays of a block with the lane count fixed, so that row loops become vector instructions.
struct View<'a, const L: usize> {
    shared: &'a Shared,
    block: &'a mut Block,
    home_penalty: i64,
}

impl<const L: usize> View<'_, L> {
    #[inline(always)]
    fn row<'b>(&'b self, rows: &'b [i32], index: usize) -> &'b [i32; L] {
        rows[index * L..][..L].try_into().expect("a row has L lanes")
    }

    fn refresh_costs(&mut self) {
        self.block.cost.clear();
        for node in 0..self.block.node_count {
            let used = *self.row(&self.block.used, node);
            let cost = self.node_cost(node, &used, self.block.tasks_here[node], self.devices(node));
            self.block.cost.push(cost);
        }
    }

    #[inline(always)]
    fn devices(&self, node: usize) -> &[u16] {
        &self.block.device_used[node * self.shared.device_width..][..self.shared.device_width]
    }

    /// Points of a node with the given use.
    #[inline(always)]
    fn node_cost(&self, node: usize, used: &[i32; L], tasks_here: u32, devices: &[u16]) -> i64 {
        let block = &*self.block;
        let (soft, capacity) = (self.row(&block.soft, node), self.row(&block.capacity, node));
        node_points(self.shared, &NodeView { used, soft, capacity, devices, class: block.class[node] })
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
            let domain = |node: usize| if node == pool { 64 } else { self.block.domain[row.domain as usize + node] };
            let (source, target) = (domain(from), domain(to));
            if source == target {
                continue;
            }
            let leaves = source < 64 && self.block.count[row.count as usize + source as usize] == 1;
            if leaves && (row.hold >> source & 1 == 1 || (row.keep >> source & 1 == 1 && row.slack <= 0)) {
                return false;
            }
            let taken = row.conflict && target < 64 && self.block.count[row.count as usize + target as usize] > 0;
            if target < 64 && (row.enter >> target & 1 == 0 || taken) {
                return false;
            }
        }
        true
    }

    /// Judges moving a task to a local node.
    #[inline(always)]
    fn judge_shift(&self, t: usize, to: usize) -> Option<Judged> {
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
            let (used, held, limit) =
                (self.row(&block.used, to), self.row(&block.held, to), self.row(&block.limit, to));
            let back_home = -i32::from(to == home as usize);
            let mut room = 0;
            for r in 0..L {
                let added = requirement[r] & !(transient[r] & back_home);
                room |= limit[r] - held[r] - added;
                target_used[r] = used[r] + requirement[r];
            }
            if room < 0 {
                return None;
            }
            mask = self.allowed(task, home, to);
            if mask == 0 {
                return None;
            }
        }
        if !self.group_allows(task, from, to) {
            return None;
        }
        let mut first_devices = 0;
        if task.device_count > 0 && to != pool {
            first_devices = self.fit(task, home, to, mask, self.devices(to))?;
        }
        let mut delta = self.unary(task, home, to) - self.unary(task, home, from);
        if to != pool {
            delta += self.cost_with(to, &target_used, 1, task, first_devices, true) - block.cost[to];
        }
        if from != pool {
            let used = self.row(&block.used, from);
            let mut source_used = [0; L];
            for r in 0..L {
                source_used[r] = used[r] - requirement[r];
            }
            delta += self.cost_with(from, &source_used, -1, task, task.devices, false) - block.cost[from];
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
    fn judge_swap(&self, first: usize, second: usize) -> Option<Judged> {
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
        let mut used_a = [0; L];
        let mut room = 0;
        {
            let (used, held, limit) = (self.row(&block.used, a), self.row(&block.held, a), self.row(&block.limit, a));
            for r in 0..L {
                let freed = req1[r] & !(transient[r] & t1_home_a);
                let added = req2[r] & !(transient[r] & t2_home_a);
                room |= limit[r] - held[r] + freed - added;
                used_a[r] = used[r] - req1[r] + req2[r];
            }
        }
        let mut used_b = [0; L];
        if b != pool {
            let (t1_home_b, t2_home_b) = (-i32::from(b == home1 as usize), -i32::from(b == home2 as usize));
            let (used, held, limit) = (self.row(&block.used, b), self.row(&block.held, b), self.row(&block.limit, b));
            for r in 0..L {
                let freed = req2[r] & !(transient[r] & t2_home_b);
                let added = req1[r] & !(transient[r] & t1_home_b);
                room |= limit[r] - held[r] + freed - added;
                used_b[r] = used[r] - req2[r] + req1[r];
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
        delta += self.node_cost(a, &used_a, block.tasks_here[a], row_a.used()) - block.cost[a];
        if b != pool {
            delta += self.node_cost(b, &used_b, block.tasks_here[b], row_b.used()) - block.cost[b];
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

    /// Applies accepted candidates in lane order; a lane that touches what an earlier one touched is dropped.
    fn apply_all(&mut self, accepted: &[Accepted]) {
        let mut nodes = 0u64;
        let mut groups = [NO_GROUP; 2 * LANES];
        let mut group_count = 0;
        for lane in accepted {
            let (from, to) = (lane.from as usize, lane.to as usize);
            let is_shift = lane.second == u32::MAX;
            let stale = self.block.at[lane.first as usize] != lane.from
                || (!is_shift && self.block.at[lane.second as usize] != lane.to);
            // The pool has room for all: lanes clash there only over a task, and then one of them is stale.
            let touched = (1u64 << from | 1u64 << to) & !(1u64 << self.block.node_count);
            if stale || nodes & touched != 0 {
                continue;
            }
            let lane_groups = [
                self.block.tasks[lane.first as usize].group,
                if is_shift { NO_GROUP } else { self.block.tasks[lane.second as usize].group },
            ];
            let clash = |g: &u32| *g != NO_GROUP && groups[..group_count].contains(g);
            if lane_groups.iter().any(clash) {
                continue;
            }
            nodes |= touched;
            for group in lane_groups.into_iter().filter(|g| *g != NO_GROUP) {
                groups[group_count] = group;
                group_count += 1;
            }
            self.leave(lane.first as usize);
            if is_shift {
                self.arrive(lane.first as usize, to, lane.first_devices);
            } else {
                self.leave(lane.second as usize);
                self.arrive(lane.first as usize, to, lane.first_devices);
                self.arrive(lane.second as usize, from, lane.second_devices);
            }
            for node in [from, to].into_iter().filter(|node| *node != self.block.node_count) {
                let used = *self.row(&self.block.used, node);
                self.block.cost[node] = self.node_cost(node, &used, self.block.tasks_here[node], self.devices(node));
            }
            self.block.delta += lane.delta - i64::from(lane.displaced) * self.home_penalty;
            self.block.displaced += i64::from(lane.displaced);
        }
    }

    fn leave(&mut self, t: usize) {
        let at = self.block.at[t] as usize;
        if at == self.block.node_count {
            return;
        }
        self.change_rows(t, at, -1);
        let (task, home) = (self.block.tasks[t], self.block.home[t]);
        if task.device_count > 0 && !(self.shared.simultaneous && at == home as usize) {
            self.change_devices(at, task.devices, task.device_milli, false);
        }
        if task.group == NO_GROUP {
            return;
        }
        let group = &mut self.block.groups[task.group as usize];
        group.nodes &= !(1 << at);
        for row in &mut self.block.rows[group.row as usize..][..group.row_count as usize] {
            let domain = self.block.domain[row.domain as usize + at] as usize;
            let count = &mut self.block.count[row.count as usize + domain];
            *count -= 1;
            if *count == 0 && row.keep >> domain & 1 == 1 {
                row.slack -= 1;
            }
        }
    }

    fn arrive(&mut self, t: usize, at: usize, devices: u64) {
        self.block.at[t] = at as u8;
        self.block.tasks[t].devices = devices;
        if at == self.block.node_count {
            return;
        }
        self.change_rows(t, at, 1);
        let (task, home) = (self.block.tasks[t], self.block.home[t]);
        if task.device_count > 0 && !(self.shared.simultaneous && at == home as usize) {
            self.change_devices(at, devices, task.device_milli, true);
        }
        if task.group == NO_GROUP {
            return;
        }
        let group = &mut self.block.groups[task.group as usize];
        group.nodes |= 1 << at;
        for row in &mut self.block.rows[group.row as usize..][..group.row_count as usize] {
            let domain = self.block.domain[row.domain as usize + at] as usize;
            let count = &mut self.block.count[row.count as usize + domain];
            if *count == 0 && row.keep >> domain & 1 == 1 {
                row.slack += 1;
            }
            *count += 1;
        }
    }

    fn change_rows(&mut self, t: usize, at: usize, sign: i32) {
        let is_home = -i32::from(at == self.block.home[t] as usize);
        for r in 0..L {
            let amount = self.block.requirement[t * L + r] * sign;
            self.block.used[at * L + r] += amount;
            self.block.held[at * L + r] += amount & !(self.shared.transient[r] & is_home);
        }
        self.block.tasks_here[at] = self.block.tasks_here[at].wrapping_add_signed(sign);
    }

    fn change_devices(&mut self, at: usize, devices: u64, milli: u16, comes: bool) {
        let width = self.shared.device_width;
        change_devices(&mut self.block.device_used[at * width..][..width], devices, milli, comes);
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
