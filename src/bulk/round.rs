//! How is the cluster cut into blocks, and how do rules that reach across blocks stay exact?
//!
//! Every round cuts the nodes anew into disjoint blocks; each is annealed on its own (`kernel/anneal.rs`), in any order or
//! in parallel, and the results are put together again. Cuts alternate between random ones and cuts *by home*, which keep
//! a displaced task's node and its home in one block.
//!
//! Keepers. For every (group, domain) with members, one block that holds one of them is its *keeper* for the round: it may
//! not let its own last member there go; all other blocks are free. So whatever the blocks do, every domain that was
//! covered stays covered. On top of that
//! * spread: one *owner* block per group may give up as many domains as the group covers beyond its least number;
//! * dependency: a task may enter a domain only if all that it depends on is *locked* there, i.e. kept. In every other
//!   round everything present is locked, else only what has dependents present (the rest is free to leave);
//! * conflict above the node: a domain may be entered only by the block that owns it, and only if no member is outside it.

use super::pack::{NOWHERE, Pack, PackedRow, UNGROUPED};
use super::state::State;
use crate::kernel::anneal::{self, BLOCK_NODES_MAX, Block, GroupRow, HOME_NONE, HOME_OUTSIDE, NO_GROUP, Row, TaskRow};
use crate::kernel::random::{below, pcg3d};
use crate::model::{LevelId, NodeId, Problem};
use rayon::prelude::*;
use std::cell::RefCell;

/// Nodes per block aimed at: fewer lose quality (a quarter of this loses 20 % on ROADEF b_3), more gain nothing and no
/// longer fit the nearest cache.
const BLOCK_NODES: usize = 32;
const _: () = assert!(BLOCK_NODES * 3 / 2 <= BLOCK_NODES_MAX);
/// No block.
const NO_BLOCK: u32 = u32::MAX;

/// What is present where, and who must keep it, in one (group, domain).
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    members: u32,
    keeper: u32,
    priority: u32,
}

/// Working memory of a chain, reused every round.
pub struct Cutter {
    block_count: usize,
    /// Block of each node, and its index there.
    block_of: Vec<u32>,
    local_of: Vec<u8>,
    nodes: Vec<Vec<u32>>,
    /// Tasks by node, as offsets into `sorted`.
    first: Vec<u32>,
    sorted: Vec<u32>,
    pool: Vec<u32>,
    cells: Vec<Cell>,
    /// Sets of domains per row, in words of 64: with members; with members of dependents; kept for them; open to enter.
    present: Vec<u64>,
    wanted: Vec<u64>,
    locked: Vec<u64>,
    open: Vec<u64>,
    /// Covered domains and owner block per row.
    covered: Vec<u32>,
    owner: Vec<(u32, u32)>,
    placed: Vec<u32>,
    blocks: Vec<Block>,
}

thread_local! {
    /// Local index of each group while a block is gathered; all `NO_GROUP` between uses.
    static LOCAL_GROUP: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
}

/// How the round is to be run; the block number and seed words are filled in here.
#[derive(Debug, Clone, Copy)]
pub struct RoundPlan {
    /// Seed of the chain.
    pub seed: u32,
    /// Round number.
    pub round: u32,
    /// Candidates per movable task of a block.
    pub candidates_per_task: u32,
    /// Temperature in points.
    pub temperature: i64,
    /// Points per displaced task.
    pub home_penalty: i64,
    /// 256ths.
    pub shift_share: u32,
    /// 256ths.
    pub home_share: u32,
}

/// Sum over the blocks of a round.
#[derive(Debug, Clone, Copy, Default)]
pub struct RoundResult {
    /// Points, without the group term.
    pub delta: i64,
    /// Candidates judged.
    pub evaluations: u64,
}

impl Cutter {
    /// Working memory for a problem.
    pub fn new(pack: &Pack) -> Cutter {
        let node_count = pack.price.len();
        let block_count = block_count(node_count);
        Cutter {
            block_count,
            block_of: vec![0; node_count],
            local_of: vec![0; node_count],
            nodes: vec![Vec::new(); block_count],
            first: vec![0; node_count + 1],
            sorted: Vec::new(),
            pool: Vec::new(),
            cells: vec![Cell::default(); pack.cell_count],
            present: vec![0; pack.word_count],
            wanted: vec![0; pack.word_count],
            locked: vec![0; pack.word_count],
            open: vec![0; pack.word_count],
            covered: vec![0; pack.rows.len()],
            owner: vec![(NO_BLOCK, 0); pack.rows.len()],
            placed: vec![0; pack.groups.len()],
            blocks: (0..block_count).map(|_| Block::default()).collect(),
        }
    }

    /// Cuts, anneals every block, and puts the results together.
    pub fn run(&mut self, problem: &Problem, pack: &Pack, state: &mut State, plan: &RoundPlan) -> RoundResult {
        let word = pcg3d(plan.seed, plan.round, 0x5EED);
        if plan.round % 2 == 1 && state.displaced > 0 {
            self.cut_by_home(pack, state, word[0]);
        } else {
            self.cut_at_random(word[0]);
        }
        self.sort_tasks(pack, state, word[1]);
        self.find_keepers(problem, pack, state, word[2]);
        self.find_locks(pack, plan.round % 4 < 2);
        let mut blocks = std::mem::take(&mut self.blocks);
        blocks.par_iter_mut().enumerate().for_each(|(b, block)| {
            self.gather(problem, pack, state, b, plan.round, block);
            let round = anneal::Round {
                seed: plan.seed,
                round: plan.round,
                block: b as u32,
                candidates: block.tasks.len() as u32 * plan.candidates_per_task,
                temperature: plan.temperature,
                home_penalty: plan.home_penalty,
                shift_share: plan.shift_share,
                home_share: plan.home_share,
            };
            match pack.lanes {
                4 => anneal::anneal::<4>(&pack.shared, block, &round),
                8 => anneal::anneal::<8>(&pack.shared, block, &round),
                12 => anneal::anneal::<12>(&pack.shared, block, &round),
                16 => anneal::anneal::<16>(&pack.shared, block, &round),
                _ => anneal::anneal::<32>(&pack.shared, block, &round),
            }
        });
        let mut result = RoundResult::default();
        for block in &blocks {
            merge(pack, state, block);
            result.delta += block.delta;
            result.evaluations += block.evaluations;
        }
        self.blocks = blocks;
        self.forget_keepers(problem, pack);
        result
    }

    fn cut_at_random(&mut self, seed: u32) {
        let mut order: Vec<u32> = (0..self.block_of.len() as u32).collect();
        shuffle(&mut order, seed);
        let chunks = order.len().div_ceil(self.block_count).max(1);
        self.nodes.iter_mut().for_each(Vec::clear);
        for (nodes, chunk) in self.nodes.iter_mut().zip(order.chunks(chunks)) {
            nodes.extend_from_slice(chunk);
        }
        self.index_nodes();
    }

    /// Joins the current node and the home of displaced tasks, in random order, while the parts fit a block; then deals the
    /// parts out, the largest first, to the emptiest block.
    fn cut_by_home(&mut self, pack: &Pack, state: &State, seed: u32) {
        let node_count = self.block_of.len();
        // Parts of up to 31 nodes, dealt largest first to the emptiest block (40 nodes on average at most), give at most
        // 40 + 23 or 31 + 31 nodes: within BLOCK_NODES_MAX.
        let size_max = (node_count.div_ceil(self.block_count) as u32).min(31);
        let mut displaced: Vec<u32> = (0..state.at.len() as u32)
            .filter(|t| {
                let (at, home) = (state.at[*t as usize], pack.home[*t as usize]);
                at != NOWHERE && home != NOWHERE && at != home
            })
            .collect();
        shuffle(&mut displaced, seed);
        let mut parent: Vec<u32> = (0..node_count as u32).collect();
        let mut size = vec![1u32; node_count];
        fn root(parent: &mut [u32], mut node: u32) -> u32 {
            while parent[node as usize] != node {
                parent[node as usize] = parent[parent[node as usize] as usize];
                node = parent[node as usize];
            }
            node
        }
        for task in displaced {
            let a = root(&mut parent, state.at[task as usize]);
            let b = root(&mut parent, pack.home[task as usize]);
            if a != b && size[a as usize] + size[b as usize] <= size_max {
                parent[b as usize] = a;
                size[a as usize] += size[b as usize];
            }
        }
        let mut order: Vec<u32> = (0..node_count as u32).collect();
        shuffle(&mut order, seed ^ 0x9E37_79B9);
        let mut parts: Vec<Vec<u32>> = vec![Vec::new(); node_count];
        let mut roots = Vec::new();
        for node in order {
            let part = root(&mut parent, node) as usize;
            if parts[part].is_empty() {
                roots.push(part);
            }
            parts[part].push(node);
        }
        roots.sort_by_key(|part| std::cmp::Reverse(parts[*part].len()));
        self.nodes.iter_mut().for_each(Vec::clear);
        let mut fill: std::collections::BTreeSet<(usize, usize)> = (0..self.block_count).map(|b| (0, b)).collect();
        for part in roots {
            let (len, block) = fill.pop_first().expect("there is a block");
            self.nodes[block].extend_from_slice(&parts[part]);
            fill.insert((len + parts[part].len(), block));
        }
        self.index_nodes();
    }

    fn index_nodes(&mut self) {
        for (b, nodes) in self.nodes.iter().enumerate() {
            assert!(nodes.len() <= BLOCK_NODES_MAX, "block {b} has {} nodes", nodes.len());
            for (local, node) in nodes.iter().enumerate() {
                self.block_of[*node as usize] = b as u32;
                self.local_of[*node as usize] = local as u8;
            }
        }
    }

    /// Counting sort of the placed tasks by node; the waiting movable ones are shuffled, to be dealt to the blocks.
    fn sort_tasks(&mut self, pack: &Pack, state: &State, seed: u32) {
        self.first.fill(0);
        self.pool.clear();
        for (task, at) in state.at.iter().enumerate() {
            match *at {
                NOWHERE if pack.movable[task] => self.pool.push(task as u32),
                NOWHERE => {}
                node => self.first[node as usize + 1] += 1,
            }
        }
        for node in 1..self.first.len() {
            self.first[node] += self.first[node - 1];
        }
        self.sorted.resize(self.first[self.first.len() - 1] as usize, 0);
        let mut next = self.first.clone();
        for (task, at) in state.at.iter().enumerate().filter(|(_, at)| **at != NOWHERE) {
            let slot = &mut next[*at as usize];
            self.sorted[*slot as usize] = task as u32;
            *slot += 1;
        }
        shuffle(&mut self.pool, seed);
    }

    fn find_keepers(&mut self, problem: &Problem, pack: &Pack, state: &State, salt: u32) {
        if pack.rows.is_empty() {
            return;
        }
        self.placed.fill(0);
        for node in 0..self.block_of.len() {
            let block = self.block_of[node];
            for task in &self.sorted[self.first[node] as usize..self.first[node + 1] as usize] {
                let group = pack.group[*task as usize];
                if group == UNGROUPED {
                    continue;
                }
                debug_assert_eq!(state.at[*task as usize], node as u32);
                self.placed[group as usize] += 1;
                let group = pack.groups[group as usize];
                for r in group.row..group.row + group.row_count {
                    let row = &pack.rows[r as usize];
                    let domain = problem.domain(NodeId(node as u32), LevelId(row.level));
                    let cell_index = row.cell + domain.0;
                    let priority =
                        |what: u32| mix(block.wrapping_mul(0x9E37_79B9) ^ what.wrapping_mul(0x85EB_CA6B) ^ salt) | 1;
                    let cell = &mut self.cells[cell_index as usize];
                    if cell.members == 0 {
                        self.covered[r as usize] += 1;
                        self.present[(row.word + domain.0 / 64) as usize] |= 1 << (domain.0 % 64);
                    }
                    cell.members += 1;
                    let mine = priority(cell_index);
                    if mine > cell.priority {
                        (cell.priority, cell.keeper) = (mine, block);
                    }
                    let mine = priority(!r);
                    if mine > self.owner[r as usize].1 {
                        self.owner[r as usize] = (block, mine);
                    }
                }
            }
        }
    }

    /// Which domains are locked (kept for those who depend on them), and which are open (all that is needed is locked).
    fn find_locks(&mut self, pack: &Pack, lock_everything: bool) {
        let words = |row: &PackedRow| row.word as usize..row.word as usize + row.domain_count.div_ceil(64) as usize;
        self.wanted.fill(0);
        for row in &pack.rows {
            for other in &row.needs {
                for (mine, theirs) in words(row).zip(words(&pack.rows[*other as usize])) {
                    self.wanted[theirs] |= self.present[mine];
                }
            }
        }
        for ((locked, present), wanted) in self.locked.iter_mut().zip(&self.present).zip(&self.wanted) {
            *locked = if lock_everything { *present } else { present & wanted };
        }
        self.open.fill(u64::MAX);
        for row in &pack.rows {
            for other in &row.needs {
                for (mine, theirs) in words(row).zip(words(&pack.rows[*other as usize])) {
                    self.open[mine] &= self.locked[theirs];
                }
            }
        }
    }

    /// Back to zero, touching only what was touched.
    fn forget_keepers(&mut self, problem: &Problem, pack: &Pack) {
        if pack.rows.is_empty() {
            return;
        }
        for node in 0..self.block_of.len() {
            for task in &self.sorted[self.first[node] as usize..self.first[node + 1] as usize] {
                let group = pack.group[*task as usize];
                if group == UNGROUPED {
                    continue;
                }
                let group = pack.groups[group as usize];
                for row in &pack.rows[group.row as usize..(group.row + group.row_count) as usize] {
                    let domain = problem.domain(NodeId(node as u32), LevelId(row.level));
                    self.cells[(row.cell + domain.0) as usize] = Cell::default();
                }
            }
        }
        self.present.fill(0);
        self.covered.fill(0);
        self.owner.fill((NO_BLOCK, 0));
    }

    /// Fills a block from the state.
    fn gather(&self, problem: &Problem, pack: &Pack, state: &State, b: usize, round: u32, block: &mut Block) {
        let nodes = &self.nodes[b];
        block.node_count = nodes.len();
        gather_nodes(pack, state, nodes, block);
        block.tasks.clear();
        block.at.clear();
        block.home.clear();
        block.requirement.clear();
        block.groups.clear();
        block.rows.clear();
        block.domain.clear();
        block.count.clear();
        LOCAL_GROUP.with_borrow_mut(|local_group| {
            local_group.resize(pack.groups.len(), NO_GROUP);
            let mut names = Vec::new();
            let mut levels = Levels::default();
            for (local, node) in nodes.iter().enumerate() {
                for task in &self.sorted[self.first[*node as usize] as usize..self.first[*node as usize + 1] as usize] {
                    let group =
                        self.local_group(problem, pack, *task, nodes, block, local_group, &mut names, &mut levels);
                    if group != NO_GROUP {
                        count_member(block, group, local);
                    }
                    if pack.movable[*task as usize] {
                        self.gather_task(pack, state, *task, local as u8, group, b, block);
                    }
                }
            }
            for task in self.pool.iter().skip(b).step_by(self.block_count) {
                let group = self.local_group(problem, pack, *task, nodes, block, local_group, &mut names, &mut levels);
                self.gather_task(pack, state, *task, nodes.len() as u8, group, b, block);
            }
            for (local, group) in names.iter().enumerate() {
                self.set_rules(pack, *group, local, b as u32, round, &levels, block);
                local_group[*group as usize] = NO_GROUP;
            }
        });
    }

    fn gather_task(&self, pack: &Pack, state: &State, task: u32, at: u8, group: u32, b: usize, block: &mut Block) {
        let t = task as usize;
        let home = match pack.home[t] {
            NOWHERE => HOME_NONE,
            node if self.block_of[node as usize] == b as u32 => self.local_of[node as usize],
            _ => HOME_OUTSIDE,
        };
        let (may_stop, may_start) = if pack.group[t] == UNGROUPED {
            (pack.may_stop[t], true)
        } else {
            let group = &pack.groups[pack.group[t] as usize];
            let rows = group.row..group.row + group.row_count;
            let settled = |r: u32| self.covered[r as usize] >= pack.rows[r as usize].spread;
            (pack.may_stop[t] && !group.gang, !group.gang && rows.clone().all(settled))
        };
        block.tasks.push(TaskRow {
            value: pack.value[t],
            move_points: pack.move_points[t],
            devices: state.devices[t],
            home_devices: pack.home_devices[t],
            pair_row: pack.pair_row[t],
            class_row: pack.class_row[t],
            group,
            task,
            device_count: pack.device[t].0,
            may_stop,
            may_start,
            device_milli: pack.device[t].1,
        });
        block.at.push(at);
        block.home.push(home);
        block.requirement.extend_from_slice(&pack.requirement[t * pack.lanes..][..pack.lanes]);
    }

    /// Local index of a task's group, made when first seen.
    fn local_group(
        &self,
        problem: &Problem,
        pack: &Pack,
        task: u32,
        nodes: &[u32],
        block: &mut Block,
        local_group: &mut [u32],
        names: &mut Vec<u32>,
        levels: &mut Levels,
    ) -> u32 {
        let group = pack.group[task as usize];
        if group == UNGROUPED {
            return NO_GROUP;
        }
        if local_group[group as usize] != NO_GROUP {
            return local_group[group as usize];
        }
        let local = names.len() as u32;
        local_group[group as usize] = local;
        names.push(group);
        let packed = &pack.groups[group as usize];
        block.groups.push(GroupRow {
            nodes: 0,
            row: block.rows.len() as u32,
            row_count: packed.row_count as u16,
            conflict: packed.conflict,
        });
        for row in &pack.rows[packed.row as usize..(packed.row + packed.row_count) as usize] {
            let (domain, names) = levels.get(problem, row.level, nodes, &mut block.domain);
            let count = block.count.len() as u32;
            block.count.resize(block.count.len() + names, 0);
            block.rows.push(Row { domain, count, conflict: row.conflict, ..Row::default() });
        }
        local
    }

    /// Sets the masks of a group's rows, when all its members in the block are counted.
    fn set_rules(&self, pack: &Pack, group: u32, local: usize, b: u32, round: u32, levels: &Levels, block: &mut Block) {
        let packed = &pack.groups[group as usize];
        let first = block.groups[local].row as usize;
        for (i, r) in (packed.row..packed.row + packed.row_count).enumerate() {
            let source = &pack.rows[r as usize];
            let row = &mut block.rows[first + i];
            let holds = |set: &[u64], domain: u32| set[(source.word + domain / 64) as usize] >> (domain % 64) & 1 == 1;
            for (d, domain) in levels.names(source.level).iter().enumerate() {
                let cell = self.cells[(source.cell + domain) as usize];
                let mine = cell.members > 0 && cell.keeper == b;
                let bit = 1u64 << d;
                if mine && !source.needed_by.is_empty() && holds(&self.locked, *domain) {
                    row.hold |= bit;
                }
                if mine && source.spread > 0 {
                    row.keep |= bit;
                }
                let outside = cell.members - u32::from(block.count[row.count as usize + d]);
                let owner = if cell.members > 0 {
                    cell.keeper
                } else {
                    (source.cell + domain + round) % self.block_count as u32
                };
                if holds(&self.open, *domain) && (!source.conflict || (outside == 0 && owner == b)) {
                    row.enter |= bit;
                }
            }
            if source.spread > 0 && self.owner[r as usize].0 == b {
                let least = source.spread.min(self.placed[group as usize]);
                row.slack = self.covered[r as usize].saturating_sub(least) as i32;
            }
        }
    }
}

/// The levels a block's groups use: node → local domain.
#[derive(Default)]
struct Levels {
    known: Vec<(u32, u32, Vec<u32>)>,
}

impl Levels {
    /// Offset of the level's map in `domain`, and its number of local domains.
    fn get(&mut self, problem: &Problem, level: u32, nodes: &[u32], domain: &mut Vec<u8>) -> (u32, usize) {
        if let Some((_, offset, names)) = self.known.iter().find(|(known, ..)| *known == level) {
            return (*offset, names.len());
        }
        let offset = domain.len() as u32;
        let mut names = Vec::new();
        for node in nodes {
            let name = problem.domain(NodeId(*node), LevelId(level)).0;
            let index = names.iter().position(|known| *known == name).unwrap_or(names.len());
            if index == names.len() {
                names.push(name);
            }
            domain.push(index as u8);
        }
        let count = names.len();
        self.known.push((level, offset, names));
        (offset, count)
    }

    fn names(&self, level: u32) -> &[u32] {
        let found = self.known.iter().find(|(known, ..)| *known == level);
        &found.expect("the level was asked for when the group was made").2
    }
}

fn gather_nodes(pack: &Pack, state: &State, nodes: &[u32], block: &mut Block) {
    let (lanes, width) = (pack.lanes, pack.shared.device_width);
    let rows = |target: &mut Vec<i32>, source: &[i32]| {
        target.clear();
        for node in nodes {
            target.extend_from_slice(&source[*node as usize * lanes..][..lanes]);
        }
    };
    rows(&mut block.limit, &pack.limit);
    rows(&mut block.soft, &pack.soft);
    rows(&mut block.capacity, &pack.capacity);
    rows(&mut block.used, &state.used);
    rows(&mut block.held, &state.held);
    block.device_used.clear();
    for node in nodes {
        block.device_used.extend_from_slice(&state.device_used[*node as usize * width..][..width]);
    }
    let pick = |target: &mut Vec<u32>, source: &[u32]| {
        target.clear();
        target.extend(nodes.iter().map(|node| source[*node as usize]));
    };
    pick(&mut block.tasks_here, &state.tasks_here);
    pick(&mut block.move_class, &pack.move_class);
    pick(&mut block.class, &pack.node_class);
    block.price.clear();
    block.price.extend(nodes.iter().map(|node| pack.price[*node as usize]));
    block.node.clear();
    block.node.extend_from_slice(nodes);
}

fn count_member(block: &mut Block, group: u32, at: usize) {
    let group = &mut block.groups[group as usize];
    group.nodes |= 1 << at;
    for row in &block.rows[group.row as usize..][..group.row_count as usize] {
        let domain = block.domain[row.domain as usize + at] as usize;
        block.count[row.count as usize + domain] += 1;
    }
}

/// Writes a block back.
fn merge(pack: &Pack, state: &mut State, block: &Block) {
    let (lanes, width) = (pack.lanes, pack.shared.device_width);
    for (local, node) in block.node.iter().enumerate() {
        let node = *node as usize;
        state.used[node * lanes..][..lanes].copy_from_slice(&block.used[local * lanes..][..lanes]);
        state.held[node * lanes..][..lanes].copy_from_slice(&block.held[local * lanes..][..lanes]);
        state.device_used[node * width..][..width].copy_from_slice(&block.device_used[local * width..][..width]);
        state.tasks_here[node] = block.tasks_here[local];
    }
    for (row, at) in block.tasks.iter().zip(&block.at) {
        let task = row.task as usize;
        let to = block.node.get(*at as usize).copied().unwrap_or(NOWHERE);
        let from = state.at[task];
        if from != to {
            state.count_displaced(pack, task, from, to);
            state.at[task] = to;
        }
        state.devices[task] = if to == NOWHERE { 0 } else { row.devices };
    }
}

/// Blocks for a number of nodes: a power of two where that is near, so that 2, 4 or 8 threads share them evenly.
pub fn block_count(node_count: usize) -> usize {
    let mut count = 1;
    while node_count.div_ceil(count) > BLOCK_NODES * 5 / 4 {
        count *= 2;
    }
    count
}

fn shuffle(list: &mut [u32], seed: u32) {
    for i in (1..list.len()).rev() {
        let word = pcg3d(i as u32, seed, 0xC0DE)[0];
        list.swap(i, below(word, i as u32 + 1) as usize);
    }
}

fn mix(mut word: u32) -> u32 {
    word ^= word >> 16;
    word = word.wrapping_mul(0x7FEB_352D);
    word ^= word >> 15;
    word = word.wrapping_mul(0x846C_A68B);
    word ^ word >> 16
}
