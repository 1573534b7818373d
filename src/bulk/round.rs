//! How is the cluster cut into blocks, and how do rules that reach across blocks stay exact?
//!
//! Every round cuts the nodes anew into disjoint blocks (`kernel/cut.rs`, `kernel/sort.rs`); each is annealed on its own
//! (`kernel/anneal.rs`), in any order or in parallel, and the results are put together again. Cuts alternate between random
//! ones and cuts *by home*, which keep a displaced task's node and its home in one block.
//!
//! Keepers (`kernel/keep.rs`). For every (group, domain) with members, one block that holds one of them is its *keeper* for
//! the round: it may not let its own last member there go; all other blocks are free. So whatever the blocks do, every
//! domain that was covered stays covered. On top of that
//! * spread: one *owner* block per group may give up as many domains as the group covers beyond its least number;
//! * dependency: a task may enter a domain only if all that it depends on is *locked* there, i.e. kept. In every other
//!   round everything present is locked, else only what has dependents present (the rest is free to leave);
//! * conflict above the node: a domain may be entered only by the block that owns it, and only if no member is outside it.
//!
//! The same round runs on a device, in the shaders of the same names: every step is free of order.

use super::gather::gather;
use super::pack::{NOWHERE, Pack, UNGROUPED};
use super::state::State;
use crate::kernel::anneal;
use crate::kernel::block::{BLOCK_NODES_MAX, Block};
use crate::kernel::cut::{Salts, link, node_key, task_key};
use crate::kernel::keep::Presence;
use crate::kernel::layout::Params;
use crate::kernel::points::{HomePrice, OverPrice};
use crate::kernel::random::pcg3d;
use crate::kernel::sort::sort;
use crate::kernel::tally::RoundResult;
use crate::model::{LevelId, NodeId, Problem};
use rayon::prelude::*;

/// Nodes per block aimed at, as many as sets of 128 bits allow: the way to a better placement may lead over any node. Half as many end
/// higher by a sixth of what ROADEF b_4 is above its bound, and by 2 to 4 % on a2_2 and a2_3.
const BLOCK_NODES: usize = 100;

/// Nodes of a block at most, or of a part that is annealed alone.
pub const PART_NODES_MAX: usize = BLOCK_NODES * 5 / 4;

const _: () = assert!(PART_NODES_MAX <= BLOCK_NODES_MAX);

/// How the round is to be run.
#[derive(Debug, Clone, Copy)]
pub struct RoundPlan {
    /// Seed of the chain.
    pub seed: u32,
    /// Round number.
    pub round: u32,
    /// Candidates per movable task of a block.
    pub candidates_per_task: u32,
    /// Candidates of a block at most, so that no block takes much longer than the others.
    pub candidates_max: u32,
    /// Temperature in 256ths of a point.
    pub temperature: i64,
    /// What being away from home costs on top.
    pub home: HomePrice,
    /// 256ths.
    pub shift_share: u32,
    /// 256ths.
    pub home_share: u32,
    /// 16ths.
    pub away_share: u32,
    /// Most displaced tasks of a state that may be the best.
    pub displaced_max: u32,
    /// Price of exceeding limits.
    pub over: OverPrice,
}

impl RoundPlan {
    /// The round's random words; keepers take the last one.
    pub fn salts(&self) -> Salts {
        pcg3d(self.seed, self.round, 0x5EED)
    }

    /// Are displaced tasks linked to their homes in this round's cut?
    pub fn is_by_home(&self) -> bool {
        self.round % 2 == 1
    }

    /// The round's settings on a device.
    pub fn settings(&self, params: &Params) -> Params {
        let [salt_0, salt_1, salt_2] = self.salts();
        let (temperature_low, temperature_high) = Params::split(self.temperature);
        let (home_flat_low, home_flat_high) = Params::split(self.home.flat);
        let (home_rate_low, home_rate_high) = Params::split(self.home.rate);
        let (home_most_low, home_most_high) = Params::split(self.home.most);
        Params {
            seed: self.seed,
            round: self.round,
            salt_0,
            salt_1,
            salt_2,
            candidates_per_task: self.candidates_per_task,
            candidates_max: self.candidates_max,
            shift_share: self.shift_share,
            home_share: self.home_share,
            away_share: self.away_share,
            displaced_max: self.displaced_max,
            locks_everything: u32::from(self.locks_everything()),
            by_home: u32::from(self.is_by_home()),
            temperature_low,
            temperature_high,
            home_flat_low,
            home_flat_high,
            home_rate_low,
            home_rate_high,
            home_most_low,
            home_most_high,
            over_factor: self.over.factor,
            over_closed: u32::from(self.over.is_closed),
            ..*params
        }
    }

    /// Is everything present locked for those who depend on it, or only what has dependents present?
    pub fn locks_everything(&self) -> bool {
        self.round % 4 < 2
    }
}

/// The cut of a round: who is in which block, and who keeps what.
#[derive(Debug, Default)]
pub struct Cut {
    /// Blocks.
    pub block_count: usize,
    /// Nodes per block; the last ones may have fewer.
    pub block_nodes: usize,
    /// Nodes, block after block.
    pub nodes: Vec<u32>,
    /// Block of each node.
    pub block_of: Vec<u32>,
    /// Index of each node in its block.
    pub local_of: Vec<u8>,
    /// Where each block's tasks begin in `tasks`. Shape: block_count + 1.
    pub first: Vec<u32>,
    /// Tasks, block after block: first the movable ones, then pinned ones with rules, both by group.
    pub tasks: Vec<u32>,
    /// Members, keepers, owners.
    pub presence: Presence,
}

/// Working memory of a chain, reused every round.
pub struct Cutter {
    cut: Cut,
    pick: Vec<u32>,
    node_keys: Vec<u32>,
    all_nodes: Vec<u32>,
    task_keys: Vec<u32>,
    blocks: Vec<Block>,
}

impl Cutter {
    /// Working memory for a problem.
    pub fn new(pack: &Pack) -> Cutter {
        let node_count = pack.price.len();
        let block_count = block_count(node_count);
        let presence = Presence {
            members: vec![0; pack.cell_count],
            keeper: vec![0; pack.cell_count],
            covered: vec![0; pack.rows.len()],
            owner: vec![0; pack.rows.len()],
            placed: vec![0; pack.groups.len()],
        };
        Cutter {
            cut: Cut {
                block_count,
                block_nodes: node_count.div_ceil(block_count).max(1),
                block_of: vec![0; node_count],
                local_of: vec![0; node_count],
                presence,
                ..Cut::default()
            },
            pick: vec![0; node_count],
            node_keys: vec![0; node_count],
            all_nodes: (0..node_count as u32).collect(),
            task_keys: vec![0; pack.order.len()],
            blocks: (0..block_count).map(|_| Block::default()).collect(),
        }
    }

    /// The cut of the last round.
    pub fn last(&self) -> &Cut {
        &self.cut
    }

    /// Anneals these nodes alone, at most [`PART_NODES_MAX`], with some of what waits; everybody else stays where it is. A cutter that has
    /// done so does nothing else.
    pub fn run_among(
        &mut self,
        problem: &Problem,
        pack: &Pack,
        state: &mut State,
        plan: &RoundPlan,
        nodes: &[u32],
    ) -> RoundResult {
        let cut = &mut self.cut;
        cut.nodes.clear();
        cut.nodes.extend(nodes);
        cut.block_count = 2;
        cut.block_nodes = nodes.len();
        cut.block_of.fill(1);
        for (position, node) in nodes.iter().enumerate() {
            cut.block_of[*node as usize] = 0;
            cut.local_of[*node as usize] = position as u8;
        }
        self.deal(problem, pack, state, plan);
        self.blocks.truncate(1);
        self.anneal(problem, pack, state, plan)
    }

    /// Cuts, anneals every block, and puts the results together.
    pub fn run(&mut self, problem: &Problem, pack: &Pack, state: &mut State, plan: &RoundPlan) -> RoundResult {
        self.cut(problem, pack, state, plan);
        self.anneal(problem, pack, state, plan)
    }

    fn anneal(&mut self, problem: &Problem, pack: &Pack, state: &mut State, plan: &RoundPlan) -> RoundResult {
        let cut = &self.cut;
        let before = &*state;
        self.blocks.par_iter_mut().enumerate().for_each(|(b, block)| {
            gather(problem, pack, before, cut, b, plan, block);
            let round = anneal::Round {
                seed: plan.seed,
                round: plan.round,
                block: b as u32,
                candidates: (block.tasks.len() as u32 * plan.candidates_per_task).min(plan.candidates_max),
                temperature: plan.temperature,
                home: plan.home,
                shift_share: plan.shift_share,
                home_share: plan.home_share,
                away_share: plan.away_share,
                over: plan.over,
            };
            match pack.lanes {
                4 => anneal::anneal::<4>(&pack.shared, block, &round),
                8 => anneal::anneal::<8>(&pack.shared, block, &round),
                12 => anneal::anneal::<12>(&pack.shared, block, &round),
                16 => anneal::anneal::<16>(&pack.shared, block, &round),
                _ => anneal::anneal::<32>(&pack.shared, block, &round),
            }
        });
        let displaced = state.displaced;
        let mut result = RoundResult::default();
        for block in &self.blocks {
            merge(pack, state, block);
            result.delta += block.delta;
            result.evaluations += block.evaluations;
            result.overfull += block.overfull;
        }
        result.displaced = state.displaced - displaced;
        result
    }

    fn cut(&mut self, problem: &Problem, pack: &Pack, state: &State, plan: &RoundPlan) {
        let salts = plan.salts();
        self.pick.fill(0);
        if plan.is_by_home() && state.displaced > 0 {
            for task in &pack.order[..pack.movable_count] {
                link(*task, state.at[*task as usize], pack.home[*task as usize], salts, &mut self.pick);
            }
        }
        for (node, key) in self.node_keys.iter_mut().enumerate() {
            *key = node_key(node as u32, &self.pick, salts);
        }
        let cut = &mut self.cut;
        // There is one stable order: counting all keys there can be would take most of a round in a small cluster.
        cut.nodes.clone_from(&self.all_nodes);
        cut.nodes.sort_by_key(|node| self.node_keys[*node as usize]);
        for (position, node) in cut.nodes.iter().enumerate() {
            cut.block_of[*node as usize] = (position / cut.block_nodes) as u32;
            cut.local_of[*node as usize] = (position % cut.block_nodes) as u8;
        }
        self.deal(problem, pack, state, plan);
    }

    fn deal(&mut self, problem: &Problem, pack: &Pack, state: &State, plan: &RoundPlan) {
        let salts = plan.salts();
        let cut = &mut self.cut;
        for (key, task) in self.task_keys.iter_mut().zip(&pack.order) {
            *key = task_key(*task, state.at[*task as usize], &cut.block_of, cut.block_count as u32, salts);
        }
        sort(&self.task_keys, &pack.order, cut.block_count, &mut cut.first, &mut cut.tasks);
        if !pack.rows.is_empty() {
            find_keepers(problem, pack, state, cut, salts[2]);
        }
    }
}

/// Books every placed task that has rules.
fn find_keepers(problem: &Problem, pack: &Pack, state: &State, cut: &mut Cut, salt: u32) {
    let presence = &mut cut.presence;
    presence.members.fill(0);
    presence.keeper.fill(0);
    presence.covered.fill(0);
    presence.owner.fill(0);
    presence.placed.fill(0);
    for task in &pack.order {
        let (group, node) = (pack.group[*task as usize], state.at[*task as usize]);
        if group == UNGROUPED || node == NOWHERE {
            continue;
        }
        presence.placed[group as usize] += 1;
        let group = &pack.groups[group as usize];
        for r in group.row..group.row + group.row_count {
            let row = &pack.rows[r as usize];
            let domain = problem.domain(NodeId(node), LevelId(row.level));
            presence.keep(cut.block_of[node as usize], r, row.cell + domain.0, salt);
        }
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
    while node_count.div_ceil(count) > PART_NODES_MAX {
        count *= 2;
    }
    count
}
