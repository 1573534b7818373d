//! What does a block get to see? Its nodes, its tasks, and the part of every group's rules that it may use up.
//! Other half: shaders/gather.wgsl.

use super::pack::{NOWHERE, Pack, PackedRow, UNGROUPED};
use super::round::{Cut, RoundPlan};
use super::state::State;
use crate::kernel::block::{Block, GroupRow, HOME_NONE, HOME_OUTSIDE, NO_GROUP, Row, TaskRow};
use crate::kernel::keep::claimant;
use crate::model::{LevelId, NodeId, Problem};
use std::cell::RefCell;

thread_local! {
    /// Local index of each group while a block is gathered; all `NO_GROUP` between uses.
    static LOCAL_GROUP: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
}

/// Fills block `b` from the state.
pub fn gather(problem: &Problem, pack: &Pack, state: &State, cut: &Cut, b: usize, plan: &RoundPlan, block: &mut Block) {
    let start = (b * cut.block_nodes).min(cut.nodes.len());
    let nodes = &cut.nodes[start..(start + cut.block_nodes).min(cut.nodes.len())];
    gather_nodes(pack, state, nodes, block);
    block.tasks.clear();
    block.away.clear();
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
        for task in &cut.tasks[cut.first[b] as usize..cut.first[b + 1] as usize] {
            let t = *task as usize;
            let at = if state.at[t] == NOWHERE { nodes.len() } else { cut.local_of[state.at[t] as usize] as usize };
            let mut group = NO_GROUP;
            if pack.group[t] != UNGROUPED {
                let local = &mut local_group[pack.group[t] as usize];
                // Pinned tasks come last: a group that only they have here rules nobody.
                if *local == NO_GROUP && pack.movable[t] {
                    *local = names.len() as u32;
                    names.push(pack.group[t]);
                    open_group(problem, pack, pack.group[t], nodes, block, &mut levels);
                }
                group = *local;
            }
            if group != NO_GROUP && at < nodes.len() {
                count_member(block, group, at);
            }
            if pack.movable[t] {
                gather_task(pack, state, cut, *task, at as u8, group, b, block);
            }
        }
        for (local, group) in names.iter().enumerate() {
            set_rules(pack, cut, *group, local, b as u32, plan, &levels, block);
            local_group[*group as usize] = NO_GROUP;
        }
    });
}

fn gather_task(pack: &Pack, state: &State, cut: &Cut, task: u32, at: u8, group: u32, b: usize, block: &mut Block) {
    let t = task as usize;
    let home = match pack.home[t] {
        NOWHERE => HOME_NONE,
        node if cut.block_of[node as usize] == b as u32 => cut.local_of[node as usize],
        _ => HOME_OUTSIDE,
    };
    let (may_stop, may_start) = if pack.group[t] == UNGROUPED {
        (pack.may_stop[t], true)
    } else {
        let group = &pack.groups[pack.group[t] as usize];
        let mut rows = group.row..group.row + group.row_count;
        let settled = |r: u32| cut.presence.covered[r as usize] >= pack.rows[r as usize].spread;
        (pack.may_stop[t] && !group.gang, !group.gang && rows.all(settled))
    };
    if pack.is_away(t, state.at[t]) {
        block.away.push(block.tasks.len() as u32);
    }
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
        device_word: pack.device[t].1,
    });
    block.at.push(at);
    block.home.push(home);
    block.requirement.extend_from_slice(&pack.requirement[t * pack.lanes..][..pack.lanes]);
}

/// Makes the next local group, its rows still without masks.
fn open_group(problem: &Problem, pack: &Pack, group: u32, nodes: &[u32], block: &mut Block, levels: &mut Levels) {
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
}

/// Sets the masks of a group's rows, when all its members in the block are counted.
fn set_rules(
    pack: &Pack,
    cut: &Cut,
    group: u32,
    local: usize,
    b: u32,
    plan: &RoundPlan,
    levels: &Levels,
    block: &mut Block,
) {
    let presence = &cut.presence;
    let packed = &pack.groups[group as usize];
    let first = block.groups[local].row as usize;
    let is_present = |row: &PackedRow, domain: u32| presence.members[(row.cell + domain) as usize] > 0;
    let wanted = |row: &PackedRow, domain: u32| {
        plan.locks_everything() || row.needed_by.iter().any(|other| is_present(&pack.rows[*other as usize], domain))
    };
    let is_locked = |row: &PackedRow, domain: u32| is_present(row, domain) && wanted(row, domain);
    for (i, r) in (packed.row..packed.row + packed.row_count).enumerate() {
        let source = &pack.rows[r as usize];
        let row = &mut block.rows[first + i];
        for (d, domain) in levels.names(source.level).iter().enumerate() {
            let cell = (source.cell + domain) as usize;
            let (members, keeper) = (presence.members[cell], claimant(presence.keeper[cell]));
            let mine = members > 0 && keeper == b;
            let bit = 1u128 << d;
            if mine && !source.needed_by.is_empty() && wanted(source, *domain) {
                row.hold |= bit;
            }
            if mine && source.spread > 0 {
                row.keep |= bit;
            }
            let is_open = source.needs.iter().all(|other| is_locked(&pack.rows[*other as usize], *domain))
                && (!source.within || members > 0);
            let outside = members - u32::from(block.count[row.count as usize + d]);
            let owner = if members > 0 { keeper } else { (source.cell + domain + plan.round) % cut.block_count as u32 };
            if is_open && (!source.conflict || (outside == 0 && owner == b)) {
                row.enter |= bit;
            }
        }
        if source.spread > 0 && presence.owner[r as usize] != 0 && claimant(presence.owner[r as usize]) == b {
            let least = source.spread.min(presence.placed[group as usize]);
            row.slack = presence.covered[r as usize].saturating_sub(least) as i32;
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
    block.node_count = nodes.len();
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
    let terms = pack.shared.variance.len();
    block.factors.clear();
    for node in nodes {
        block.factors.extend_from_slice(&pack.factors[*node as usize * terms..][..terms]);
    }
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
