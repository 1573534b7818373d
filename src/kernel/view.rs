//! How does the hot loop see a block? Everything about a task in one place, everything about a node in one place, rows of a fixed
//! number of lanes: a candidate is random, so each of the two costs one access to memory instead of ten.
//!
//! The pool is the node after the last one. Nobody is the task after the last one: a shift is an exchange with it.

use super::block::{BLOCK_NODES_MAX, Block, HOME_NONE, NO_GROUP, TaskRow};
use super::lanes::above;
use super::points::{HomePrice, NodeView, OverPrice, Shared, change_devices, other_points};

/// What the pool has room for in each lane, used or not: with the two requirements of an exchange it fits 32 bits.
const ROOM_FOR_ALL: i32 = 1 << 30;
const _: () = assert!(ROOM_FOR_ALL.checked_add(1 << 29).is_some());

/// A node of the block.
#[derive(Clone, Copy)]
pub(super) struct Node<const L: usize> {
    /// What may still come: the limit, or beyond it where the round permits, less what is held.
    pub free: [i32; L],
    /// What runs here.
    pub used: [i32; L],
    pub soft: [i32; L],
    pub limit: [i32; L],
    /// True capacity.
    pub capacity: [i32; L],
    /// Points of the node as it is, those for exceeding limits included.
    pub cost: i64,
    /// Points for exceeding limits.
    pub over: i64,
    /// Points for being in use.
    pub price: i64,
    /// Tasks here, movable or not.
    pub tasks_here: u32,
    /// Column of `Shared::allow`.
    pub class: u32,
    pub move_class: u32,
}

/// A movable task of the block. What is looked at first comes first: with twelve lanes it fills one line of the cache.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Task<const L: usize> {
    /// Local node now.
    pub at: u8,
    /// Local home.
    pub home: u8,
    /// Index in `View::rules`.
    pub rules: u32,
    /// Points for being away from home, before pair costs.
    pub move_points: i64,
    /// What it takes, and what of that is not transient.
    requirement: [[i32; L]; 2],
    pub row: TaskRow,
}

impl<const L: usize> Task<L> {
    /// What it takes.
    #[inline(always)]
    pub fn requirement(&self) -> &[i32; L] {
        &self.requirement[0]
    }

    /// What comes or goes with it on a node: leaving home keeps transient amounts held there, coming home finds them held.
    #[inline(always)]
    pub fn held_at(&self, node: u8) -> &[i32; L] {
        &self.requirement[usize::from(self.home == node)]
    }
}

/// What the rules of a group say about the block's nodes and the pool, one bit each.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Rules {
    /// Nodes with a member, where there may be no second one.
    pub taken: u128,
    /// Nodes in domains that may be entered.
    pub open: u128,
    /// Nodes in domains that may not be left, since one member is left there.
    pub shut: u128,
}

impl Rules {
    const NONE: Rules = Rules { taken: 0, open: u128::MAX, shut: 0 };
}

/// A block with the lane count fixed, made anew every round: that is 3 % of one on ROADEF a2_3, with 1,000 tasks and 50 candidates for
/// each.
pub(super) struct View<'a, const L: usize> {
    pub shared: &'a Shared,
    pub block: &'a mut Block,
    /// The block's nodes, then the pool.
    pub nodes: Vec<Node<L>>,
    /// The block's tasks, then nobody.
    pub tasks: Vec<Task<L>>,
    /// Those of each group, then those of no group.
    pub rules: Vec<Rules>,
    /// Nodes that share a domain with a node, at some level that rules speak of.
    pub near: [u128; BLOCK_NODES_MAX + 1],
    /// Nodes of each local domain, level after level as in `Block::domain`.
    domain_nodes: Vec<u128>,
    /// Domains that the block has nodes of. Shape: levels.
    present: Vec<u128>,
    /// Domains with one member, as far as they may have to keep it. Shape: rows.
    single: Vec<u128>,
    pub home_price: HomePrice,
    /// Points per quantum above the soft limit.
    pub load_weight: [i64; L],
    /// 256ths of a point per quantum above the limit; 0 = the limit holds.
    over_price: [i64; L],
    /// Some limit may be exceeded.
    is_soft: bool,
    /// None may be exceeded more than now.
    pub is_closed: bool,
}

impl<'a, const L: usize> View<'a, L> {
    pub fn new(shared: &'a Shared, block: &'a mut Block, home_price: HomePrice, over: OverPrice) -> View<'a, L> {
        let is_soft = over.factor > 0 && (!over.is_closed || overfull(&block.used, &block.limit) > 0);
        let mut over_price = [0; L];
        if is_soft {
            for (price, base) in over_price.iter_mut().zip(&shared.over_price) {
                *price = if *base > 0 { ((base * i64::from(over.factor)) >> 8).max(1) } else { 0 };
            }
        }
        let (nodes, tasks) = (Vec::with_capacity(block.node_count + 1), Vec::with_capacity(block.tasks.len() + 1));
        let is_closed = over.is_closed;
        let mut view = View {
            shared,
            block,
            nodes,
            tasks,
            rules: Vec::new(),
            near: [0; BLOCK_NODES_MAX + 1],
            domain_nodes: Vec::new(),
            present: Vec::new(),
            single: Vec::new(),
            home_price,
            load_weight: shared.load_weight[..L].try_into().expect("a weight per lane"),
            over_price,
            is_soft,
            is_closed,
        };
        view.gather_nodes();
        view.gather_tasks();
        view.gather_rules();
        view
    }

    fn gather_nodes(&mut self) {
        let block = &*self.block;
        for i in 0..block.node_count {
            let limit = row(&block.limit, i);
            let held: [i32; L] = row(&block.held, i);
            let mut free = self.most(&limit);
            for r in 0..L {
                free[r] -= held[r];
            }
            debug_assert!(free.iter().all(|free| *free >= 0), "whoever only leaves a node is not asked for room there");
            self.nodes.push(Node {
                free,
                used: row(&block.used, i),
                soft: row(&block.soft, i),
                limit,
                capacity: row(&block.capacity, i),
                cost: 0,
                over: 0,
                price: block.price[i],
                tasks_here: block.tasks_here[i],
                class: block.class[i],
                move_class: block.move_class[i],
            });
        }
        // Room for all, whatever that is above its limits.
        let none = [0; L];
        self.nodes.push(Node {
            free: [ROOM_FOR_ALL; L],
            used: none,
            soft: [ROOM_FOR_ALL; L],
            limit: [ROOM_FOR_ALL; L],
            capacity: none,
            cost: 0,
            over: 0,
            price: 0,
            tasks_here: 0,
            class: 0,
            move_class: 0,
        });
        for i in 0..self.block.node_count {
            self.refresh(i);
        }
    }

    fn gather_tasks(&mut self) {
        let block = &*self.block;
        for (i, task) in block.tasks.iter().enumerate() {
            let requirement: [i32; L] = row(&block.requirement, i);
            let mut steady = requirement;
            for r in 0..L {
                steady[r] &= !self.shared.transient[r];
            }
            let requirement = [requirement, steady];
            let home = block.home[i];
            let rules = if task.group == NO_GROUP { block.groups.len() as u32 } else { task.group };
            self.tasks.push(Task {
                at: block.at[i],
                home,
                rules,
                move_points: task.move_points,
                requirement,
                row: *task,
            });
        }
        let row = TaskRow { group: NO_GROUP, may_start: true, may_stop: true, ..TaskRow::default() };
        let rules = block.groups.len() as u32;
        let (at, requirement) = (self.pool(), [[0; L]; 2]);
        self.tasks.push(Task { at, home: HOME_NONE, rules, move_points: 0, requirement, row });
    }

    fn gather_rules(&mut self) {
        let block = &*self.block;
        self.domain_nodes.resize(block.domain.len(), 0);
        for (level, map) in block.domain.chunks(block.node_count).enumerate() {
            let nodes = &mut self.domain_nodes[level * block.node_count..][..block.node_count];
            let mut present = 0;
            for (node, domain) in map.iter().enumerate() {
                nodes[*domain as usize] |= 1 << node;
                present |= 1 << domain;
            }
            self.present.push(present);
            for (node, domain) in map.iter().enumerate() {
                self.near[node] |= nodes[*domain as usize];
            }
        }
        for row in &block.rows {
            let mut single = 0;
            for domain in bits(row.hold | row.keep) {
                single |= u128::from(block.count[row.count as usize + domain] == 1) << domain;
            }
            self.single.push(single);
        }
        self.rules.resize(block.groups.len() + 1, Rules::NONE);
        for group in 0..block.groups.len() {
            self.find_rules(group);
        }
    }

    /// The rules of a group as things stand.
    fn find_rules(&mut self, group: usize) {
        let block = &*self.block;
        let found = &block.groups[group];
        let mut rules = Rules { taken: if found.conflict { found.nodes } else { 0 }, ..Rules::NONE };
        for r in found.row as usize..found.row as usize + found.row_count as usize {
            let row = &block.rows[r];
            let nodes = &self.domain_nodes[row.domain as usize..][..block.node_count];
            let present = self.present[row.domain as usize / block.node_count];
            let held = row.hold | if row.slack <= 0 { row.keep } else { 0 };
            for domain in bits(self.single[r] & held) {
                rules.shut |= nodes[domain];
            }
            for domain in bits(!row.enter & present) {
                rules.open &= !nodes[domain];
            }
            if row.conflict {
                for domain in bits(present) {
                    if block.count[row.count as usize + domain] > 0 {
                        rules.open &= !nodes[domain];
                    }
                }
            }
        }
        self.rules[group] = rules;
    }

    /// Writes back what has changed.
    pub fn finish(&mut self) {
        for i in 0..self.block.node_count {
            let node = &self.nodes[i];
            let most = self.most(&node.limit);
            self.block.used[i * L..][..L].copy_from_slice(&node.used);
            for r in 0..L {
                self.block.held[i * L + r] = most[r] - node.free[r];
            }
            self.block.tasks_here[i] = node.tasks_here;
        }
        let block = &mut *self.block;
        for (i, task) in block.tasks.iter_mut().enumerate() {
            task.devices = self.tasks[i].row.devices;
            block.at[i] = self.tasks[i].at;
        }
        block.overfull = overfull(&block.used, &block.limit);
    }

    /// The most that a node may hold: where its limit may be exceeded, up to twice that, so that sums stay in range.
    fn most(&self, limit: &[i32; L]) -> [i32; L] {
        let mut most = *limit;
        for r in 0..L {
            most[r] <<= u32::from(self.over_price[r] > 0);
        }
        most
    }

    /// The pool's index.
    #[inline(always)]
    pub fn pool(&self) -> u8 {
        self.block.node_count as u8
    }

    /// Nobody's index.
    #[inline(always)]
    pub fn nobody(&self) -> u32 {
        self.block.tasks.len() as u32
    }

    #[inline(always)]
    pub fn devices(&self, node: usize) -> &[u32] {
        &self.block.device_used[node * self.shared.device_width..][..self.shared.device_width]
    }

    /// Points for what a node has above its limits, rounded up: at least one for anything. Only what is not transient may
    /// be, so what is used is what is held.
    #[inline(always)]
    pub fn over(&self, node: &Node<L>, used: &[i32; L]) -> i64 {
        if self.is_soft { (above(used, &node.limit, &self.over_price) + 255) >> 8 } else { 0 }
    }

    /// Points of a node with the given use, but those for load.
    #[inline(always)]
    pub fn other_points(&self, at: usize, used: &[i32; L], tasks_here: u32, devices: &[u32]) -> i64 {
        let node = &self.nodes[at];
        let terms = self.shared.variance.len();
        let factors = if terms == 0 { &[][..] } else { &self.block.factors[at * terms..][..terms] };
        let Node { soft, capacity, class, .. } = node;
        other_points(self.shared, &NodeView { used, soft, capacity, factors, devices, class: *class })
            + if tasks_here > 0 { node.price } else { 0 }
    }

    /// Points of a node as it is.
    fn refresh(&mut self, at: usize) {
        let node = &self.nodes[at];
        let over = self.over(node, &node.used);
        let load = above(&node.used, &node.soft, &self.load_weight);
        let cost = load + self.other_points(at, &node.used, node.tasks_here, self.devices(at));
        let node = &mut self.nodes[at];
        (node.cost, node.over) = (cost + over, over);
    }

    /// Points for exceeding limits, over all nodes.
    pub fn over_in_all(&self) -> i64 {
        self.nodes.iter().map(|node| node.over).sum()
    }

    /// Books that tasks have come or gone.
    pub fn settle(&mut self, at: u8) {
        if at != self.pool() {
            self.refresh(at as usize);
        }
    }

    /// Takes a task off its node. It has to arrive somewhere before its group's rules are asked again.
    pub fn leave(&mut self, t: usize) {
        let at = self.tasks[t].at;
        if at == self.pool() {
            return;
        }
        self.change(t, at, false);
        self.count(self.tasks[t].row.group, at, false);
    }

    /// Puts a task on a node, or into the pool.
    pub fn arrive(&mut self, t: usize, at: u8, devices: u64) {
        self.tasks[t].at = at;
        self.tasks[t].row.devices = devices;
        let group = self.tasks[t].row.group;
        if at != self.pool() {
            self.change(t, at, true);
            self.count(group, at, true);
        }
        if group != NO_GROUP {
            self.find_rules(group as usize);
        }
    }

    /// Members of a group when one comes or goes.
    fn count(&mut self, group: u32, at: u8, comes: bool) {
        if group == NO_GROUP {
            return;
        }
        let block = &mut *self.block;
        let found = &mut block.groups[group as usize];
        let node = 1 << at;
        found.nodes = if comes { found.nodes | node } else { found.nodes & !node };
        for r in found.row as usize..found.row as usize + found.row_count as usize {
            let row = &mut block.rows[r];
            let domain = block.domain[row.domain as usize + at as usize] as usize;
            let count = &mut block.count[row.count as usize + domain];
            let before = *count;
            *count = if comes { before + 1 } else { before - 1 };
            if (*count == 0 || before == 0) && row.keep >> domain & 1 == 1 {
                row.slack += if comes { 1 } else { -1 };
            }
            let bit = 1 << domain;
            self.single[r] = if *count == 1 { self.single[r] | bit } else { self.single[r] & !bit };
        }
    }

    /// Rows and devices of a node when a task comes or goes.
    fn change(&mut self, t: usize, at: u8, comes: bool) {
        let (task, node) = (&self.tasks[t], &mut self.nodes[at as usize]);
        let sign = if comes { 1 } else { -1 };
        let (requirement, held) = (task.requirement(), task.held_at(at));
        for r in 0..L {
            node.used[r] += requirement[r] * sign;
            node.free[r] -= held[r] * sign;
        }
        node.tasks_here = node.tasks_here.wrapping_add_signed(sign);
        if task.row.device_count > 0 && !(self.shared.simultaneous && at == task.home) {
            let width = self.shared.device_width;
            let row = &mut self.block.device_used[at as usize * width..][..width];
            change_devices(row, task.row.devices, task.row.device_word, comes);
        }
    }
}

/// The bits of a set.
fn bits(mut set: u128) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (set != 0).then(|| set.trailing_zeros() as usize);
        set &= set.wrapping_sub(1);
        bit
    })
}

fn row<const L: usize>(rows: &[i32], index: usize) -> [i32; L] {
    rows[index * L..][..L].try_into().expect("a row has L lanes")
}

/// Quanta above limits.
fn overfull(used: &[i32], limit: &[i32]) -> i64 {
    used.iter().zip(limit).map(|(used, limit)| i64::from((used - limit).max(0))).sum()
}
