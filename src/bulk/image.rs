//! How does a problem go to a device? The packed arrays laid out as flat buffers (`kernel/layout.rs`).

use super::pack::{Pack, UNGROUPED};
use super::round::block_count;
use crate::kernel::layout::{
    BLOCK_WORDS, CONTROL_MOVED, GROUP_CONFLICT, GROUP_GANG, Image, MAY_STOP, MOVABLE, Params, RESULT_BLOCKS,
    RESULT_WIDES, ROW_FLAG_CONFLICT, ROW_FLAG_WITHIN, Ranges, SORT_DIGITS, SORT_TILE, TABLE_GROUP_WORDS,
    TABLE_ROW_WORDS,
};
use crate::kernel::random::LN_TABLE;
use crate::model::{LevelId, NodeId, Problem};

/// Lays out a packed problem.
pub fn image(problem: &Problem, pack: &Pack) -> Image {
    let (node_count, task_count) = (pack.price.len(), pack.home.len());
    let block_count = block_count(node_count);
    let block_nodes = node_count.div_ceil(block_count).max(1);
    let level_count = pack.rows.iter().map(|row| row.level as usize + 1).max().unwrap_or(0);
    let params = Params {
        node_count: node_count as u32,
        task_count: task_count as u32,
        order_count: pack.order.len() as u32,
        movable_count: pack.movable_count as u32,
        group_count: pack.groups.len() as u32,
        row_count: pack.rows.len() as u32,
        level_count: level_count as u32,
        lanes: pack.lanes as u32,
        device_width: pack.shared.device_width as u32,
        balance_count: pack.shared.balance.len() as u32,
        variance_count: pack.shared.variance.len() as u32,
        mix_count: pack.shared.mix.len() as u32,
        block_count: block_count as u32,
        block_nodes: block_nodes as u32,
        is_simultaneous: u32::from(pack.shared.simultaneous),
        has_over_weight: u32::from(!pack.shared.over_weight.is_empty()),
        counts_group_moves: u32::from(pack.group_move_weight > 0),
        has_groups: u32::from(pack.group.iter().any(|group| *group != UNGROUPED)),
        ..Params::default()
    };
    let mut image = Image { params, ..Image::default() };
    lay_words(problem, pack, &mut image);
    lay_wides(pack, &mut image);
    lay_work(pack, &mut image);
    image
}

fn lay_words(problem: &Problem, pack: &Pack, image: &mut Image) {
    let words = &mut image.words;
    fn push(words: &mut Vec<u32>, values: impl IntoIterator<Item = u32>) -> u32 {
        let start = words.len() as u32;
        words.extend(values);
        start
    }
    fn signed(values: &[i32]) -> impl Iterator<Item = u32> + '_ {
        values.iter().map(|value| *value as u32)
    }
    let p = &mut image.params;
    let shared = &pack.shared;
    p.w_limit = push(words, signed(&pack.limit));
    p.w_soft = push(words, signed(&pack.soft));
    p.w_capacity = push(words, signed(&pack.capacity));
    p.w_requirement = push(words, signed(&pack.requirement));
    p.w_transient = push(words, signed(&shared.transient));
    p.w_node_class = push(words, pack.node_class.iter().copied());
    p.w_move_class = push(words, pack.move_class.iter().copied());
    p.w_class_row = push(words, pack.class_row.iter().copied());
    p.w_pair_row = push(words, pack.pair_row.iter().copied());
    p.w_home = push(words, pack.home.iter().copied());
    let traits = |task: usize| {
        let flag = |is_set: bool, bit: u32| if is_set { bit } else { 0 };
        u32::from(pack.device[task].0) | flag(pack.may_stop[task], MAY_STOP) | flag(pack.movable[task], MOVABLE)
    };
    p.w_traits = push(words, (0..pack.home.len()).map(traits));
    p.w_device = push(words, pack.device.iter().map(|(_, word)| *word));
    p.w_group = push(words, pack.group.iter().copied());
    p.w_group_all = push(words, pack.group_all.iter().copied());
    p.w_order = push(words, pack.order.iter().copied());
    let group = |group: &super::pack::PackedGroup| {
        let flags = (u32::from(group.conflict) * GROUP_CONFLICT) | (u32::from(group.gang) * GROUP_GANG);
        [group.row, group.row_count, flags]
    };
    p.w_groups = push(words, pack.groups.iter().flat_map(group));
    let mut needs = Vec::new();
    let mut span = |list: &[u32]| {
        needs.extend_from_slice(list);
        [(needs.len() - list.len()) as u32, list.len() as u32]
    };
    let mut rows = Vec::new();
    for row in &pack.rows {
        let flags = (u32::from(row.conflict) * ROW_FLAG_CONFLICT) | (u32::from(row.within) * ROW_FLAG_WITHIN);
        rows.extend([row.level, row.cell, flags, row.spread]);
        rows.extend(span(&row.needs));
        rows.extend(span(&row.needed_by));
    }
    p.w_rows = push(words, rows);
    p.w_needs = push(words, needs);
    let nodes = 0..pack.price.len() as u32;
    let level = |level: u32| nodes.clone().map(move |node| problem.domain(NodeId(node), LevelId(level)).0);
    p.w_domain = push(words, (0..p.level_count).flat_map(level));
    p.w_balance = push(words, shared.balance.iter().flat_map(|term| [term.resource, term.other]));
    p.w_variance = push(words, shared.variance.iter().flat_map(|term| [term.resource, term.shift, term.mark]));
    let mix = shared.mix.iter().flat_map(|item| [item.class_row, item.device_count, item.device_word]);
    p.w_mix = push(words, mix);
    p.w_mix_requirement = push(words, signed(&shared.mix_requirement));
    p.w_ln_table = push(words, LN_TABLE.iter().map(|entry| *entry as u32));
}

fn lay_wides(pack: &Pack, image: &mut Image) {
    let wides = &mut image.wides;
    fn push(wides: &mut Vec<u64>, values: impl IntoIterator<Item = i64>) -> u32 {
        let start = wides.len() as u32;
        wides.extend(values.into_iter().map(|value| value as u64));
        start
    }
    let p = &mut image.params;
    let shared = &pack.shared;
    p.d_load_weight = push(wides, shared.load_weight.iter().copied());
    p.d_over_weight = push(wides, shared.over_weight.iter().copied());
    p.d_balance_target = push(wides, shared.balance.iter().map(|term| term.target));
    p.d_balance_weight = push(wides, shared.balance.iter().map(|term| term.weight));
    p.d_factors = push(wides, pack.factors.iter().copied());
    p.d_pair = push(wides, shared.pair.iter().copied());
    p.d_allow = push(wides, shared.allow.iter().map(|set| *set as i64));
    p.d_price = push(wides, pack.price.iter().copied());
    p.d_value = push(wides, pack.value.iter().copied());
    p.d_move_points = push(wides, pack.move_points.iter().copied());
    p.d_home_devices = push(wides, pack.home_devices.iter().map(|set| *set as i64));
    p.d_mix_parts = push(wides, shared.mix.iter().map(|item| item.parts));
    p.d_over_price = push(wides, shared.over_price.iter().copied());
    p.d_weights = push(wides, [shared.fragmentation_weight, pack.group_move_weight]);
}

/// Everything that changes: state, lists of the round, presence, tables, results.
fn lay_work(pack: &Pack, image: &mut Image) {
    let p = &mut image.params;
    let (node_count, task_count, order_count) = (pack.price.len(), pack.home.len(), pack.order.len());
    let (block_count, block_nodes) = (p.block_count as usize, p.block_nodes as usize);
    let mut state = Ranges::default();
    p.s_at = state.take(task_count);
    p.s_devices = state.take(2 * task_count);
    p.s_used = state.take(node_count * pack.lanes);
    p.s_held = state.take(node_count * pack.lanes);
    p.s_tasks_here = state.take(node_count);
    p.s_device_used = state.take(node_count * pack.shared.device_width);
    p.s_best_at = state.take(task_count);
    p.s_best_devices = state.take(2 * task_count);
    image.state_length = state.0;

    let mut round = Ranges::default();
    p.r_pick = round.take(node_count);
    p.r_node_keys = round.take(node_count);
    p.r_node_values = round.take(node_count);
    // The sorts go back and forth between two pairs of arrays; the odd ones are these.
    let spare_keys = round.take(node_count.max(order_count));
    let spare_values = round.take(node_count.max(order_count));
    p.r_block_of = round.take(node_count);
    p.r_local_of = round.take(node_count);
    p.r_task_keys = round.take(order_count);
    p.r_task_values = round.take(order_count);
    p.r_away = round.take(order_count);
    p.r_first = round.take(block_count + 1);
    p.r_blocks = round.take(block_count * BLOCK_WORDS as usize);
    p.r_histogram = round.take((node_count.max(order_count).div_ceil(SORT_TILE as usize) + 1) * SORT_DIGITS as usize);
    (p.sort_out_keys, p.sort_out_values) = (spare_keys, spare_values);
    // Node keys have two digits: sorted there and back. Task keys have as many as the block count needs.
    p.r_nodes = p.r_node_values;
    let is_back = p.task_sort_passes().is_multiple_of(2);
    p.r_sorted_keys = if is_back { p.r_task_keys } else { spare_keys };
    p.r_tasks = if is_back { p.r_task_values } else { spare_values };
    image.round_length = round.0;

    let mut counts = Ranges::default();
    p.c_members = counts.take(pack.cell_count);
    p.c_keeper = counts.take(pack.cell_count);
    p.c_covered = counts.take(pack.rows.len());
    p.c_owner = counts.take(pack.rows.len());
    p.c_placed = counts.take(pack.groups.len());
    image.counts_length = counts.0;
    p.counts_length = counts.0 as u32;

    // A group is in at most as many blocks as it has movable members.
    let mut sizes = vec![0u64; pack.groups.len()];
    for task in pack.order[..pack.movable_count].iter().filter(|task| pack.group[**task as usize] != UNGROUPED) {
        sizes[pack.group[*task as usize] as usize] += 1;
    }
    let row_words = u64::from(TABLE_ROW_WORDS) + block_nodes as u64;
    let words = |(size, group): (&u64, &super::pack::PackedGroup)| {
        (*size).min(block_count as u64) * (u64::from(TABLE_GROUP_WORDS) + u64::from(group.row_count) * row_words)
    };
    let groups: u64 = sizes.iter().zip(&pack.groups).map(words).sum();
    let maps = block_count as u64 * u64::from(p.level_count) * block_nodes as u64;
    image.tables_length = if p.has_groups > 0 { pack.movable_count as u64 + groups + maps } else { 0 };
    p.tables_length = image.tables_length.min(u64::from(u32::MAX)) as u32;
    image.control_length = u64::from(CONTROL_MOVED) + pack.groups.len() as u64;
    image.results_length = u64::from(RESULT_BLOCKS) + u64::from(RESULT_WIDES) * block_count as u64;
}
