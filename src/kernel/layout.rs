//! Where is what in the buffers that a round's kernels share?                         other half: shaders/layout.wgsl
//!
//! A problem goes to a device as a few flat buffers, so that no adapter runs out of bindings; [`Params`] says how large
//! everything is and where it begins. Prefixes say which buffer an offset is for: `w_` words, `d_` wides, `s_` state, `r_`
//! round, `c_` counts. `tests/layout.rs` holds every field and constant to the shaders.

use bytemuck::{Pod, Zeroable};

/// Words per group: first row, rows, flags.
pub const GROUP_WORDS: u32 = 3;
/// Words per row of a group: level, first cell, flags, spread, then first and number of needs and of needed-by.
pub const ROW_WORDS: u32 = 8;
/// Words per balance term: resource, other.
pub const BALANCE_WORDS: u32 = 2;
/// Words per variance term: resource, shift, mark.
pub const VARIANCE_WORDS: u32 = 3;
/// Words per item of the mix: class row, devices, what is taken of each.
pub const MIX_WORDS: u32 = 3;
/// What is taken of a device is one word: quanta of memory in its lower bits, milli above them, each below a bit that stays clear.
pub const MILLI_SHIFT: u32 = 15;
/// Most quanta of memory of a device; one that has fewer begins with the difference taken.
pub const MEMORY_MAX: u32 = (1 << 13) - 1;
/// The bits that stay clear, above either amount.
pub const GUARDS: u32 = 1 << 31 | 1 << 14;
/// A device with nothing taken, and the guards set: what is taken of it beyond that clears one.
pub const ROOM: u32 = GUARDS | 1000 << MILLI_SHIFT | MEMORY_MAX;
/// From here on a request is for whole devices.
pub const WHOLE: u32 = 1000 << MILLI_SHIFT;
/// Group flag: no two members on a node.
pub const GROUP_CONFLICT: u32 = 1;
/// Group flag: all or nothing.
pub const GROUP_GANG: u32 = 2;
/// Row flag: at most one member per domain.
pub const ROW_FLAG_CONFLICT: u32 = 1;
/// Row flag: members stay in domains that have some.
pub const ROW_FLAG_WITHIN: u32 = 2;
/// Task trait: it may go to the pool.
pub const MAY_STOP: u32 = 0x100;
/// Task trait: it may move.
pub const MOVABLE: u32 = 0x200;
/// First word of tasks moved per group in `control`.
pub const CONTROL_MOVED: u32 = 4;
/// First of the blocks' results in `results`.
pub const RESULT_BLOCKS: u32 = 8;
/// Results per block: points, displaced, evaluations, quanta above limits.
pub const RESULT_WIDES: u32 = 4;
/// Items per workgroup and step of the sort.
pub const SORT_DIGITS: u32 = 256;
/// Items per workgroup of the sort.
pub const SORT_TILE: u32 = 2048;
/// Words of a block's record.
pub const BLOCK_WORDS: u32 = 6;
/// Words per group in the tables of a block.
pub const TABLE_GROUP_WORDS: u32 = 8;
/// Words per row in the tables of a block, members aside.
pub const TABLE_ROW_WORDS: u32 = 14;
/// Where a row's kept domains are.
pub const ROW_KEEP: u32 = 4;
/// Where the domains are that may be entered.
pub const ROW_ENTER: u32 = 8;
/// Where the domains that may be given up are counted.
pub const ROW_SLACK: u32 = 12;
/// Where it is said that a domain may have one member only.
pub const ROW_CONFLICT: u32 = 13;
const _: () = assert!(ROW_CONFLICT + 1 == TABLE_ROW_WORDS);

macro_rules! params {
    ($($name:ident),* $(,)?) => {
        /// Sizes, offsets and settings of a round, as the shaders read them: u32 each, in this order.
        #[repr(C)]
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Pod, Zeroable)]
        pub struct Params {
            $(pub(crate) $name: u32,)*
        }

        impl Params {
            /// Names of the fields in their order.
            pub const FIELDS: &[&str] = &[$(stringify!($name)),*];
        }
    };
}

params! {
    node_count, task_count, order_count, movable_count, group_count, row_count, level_count, lanes, device_width,
    balance_count, variance_count, mix_count, block_count, block_nodes, counts_length, tables_length, is_simultaneous,
    has_over_weight, counts_group_moves, has_groups,
    w_limit, w_soft, w_capacity, w_requirement, w_transient, w_node_class, w_move_class, w_class_row, w_pair_row,
    w_home, w_traits, w_device, w_group, w_group_all, w_order, w_groups, w_rows, w_needs, w_domain, w_balance, w_variance, w_mix,
    w_mix_requirement, w_ln_table,
    d_load_weight, d_over_weight, d_balance_target, d_balance_weight, d_factors, d_pair, d_allow, d_price, d_value,
    d_move_points, d_home_devices, d_mix_parts, d_over_price, d_weights,
    s_at, s_devices, s_used, s_held, s_tasks_here, s_device_used, s_best_at, s_best_devices,
    r_pick, r_node_keys, r_node_values, r_nodes, r_block_of, r_local_of, r_task_keys, r_task_values,
    r_sorted_keys, r_tasks, r_away, r_first, r_blocks, r_histogram,
    c_members, c_keeper, c_covered, c_owner, c_placed,
    sort_length, sort_shift, sort_keys, sort_values, sort_out_keys, sort_out_values,
    tile_count, tile_chunks,
    mask_words, kind_first, w_kind_mask, w_kind_from, d_kind_moves, denominator_low, denominator_high,
    drill_count, drill_from, drill_tasks, drill_lost,
    seed, round, salt_0, salt_1, salt_2, candidates_per_task, candidates_max, batch_slice, shift_share, home_share,
    away_share, displaced_max, locks_everything, by_home,
    temperature_low, temperature_high, home_flat_low, home_flat_high, home_rate_low,
    home_rate_high, home_most_low, home_most_high, over_factor, over_closed,
}

/// So much of a device in one word.
pub fn device_word(milli: u32, memory: u32) -> u32 {
    milli << MILLI_SHIFT | memory
}

/// The same of its memory, and so many milli.
pub fn with_milli(taken: u32, milli: u32) -> u32 {
    device_word(milli, taken & ((1 << MILLI_SHIFT) - 1))
}

/// Milli that are free of a device.
#[inline(always)]
pub fn free_milli(taken: u32) -> u32 {
    1000 - (taken >> MILLI_SHIFT).min(1000)
}

/// Milli and quanta of memory that are taken of a device beyond what it has.
pub fn beyond(taken: u32) -> [u32; 2] {
    let memory = taken & ((1 << MILLI_SHIFT) - 1);
    [(taken >> MILLI_SHIFT).saturating_sub(1000), memory.saturating_sub(MEMORY_MAX)]
}

/// Has a device, of which so much is taken, room for so much more? Neither amount runs over into the other: milli as long as no more
/// than 66 tasks hold one device wholly, memory as `bulk/memory.rs` sees to.
#[inline(always)]
pub fn holds_more(taken: u32, wanted: u32) -> bool {
    ROOM.wrapping_sub(taken).wrapping_sub(wanted) & GUARDS == GUARDS
}

impl Params {
    /// Are displaced tasks linked to their homes in this round's cut?
    pub(crate) fn is_by_home(&self) -> bool {
        self.by_home != 0
    }

    /// Passes of the sort of tasks by block: 8 bits each.
    pub(crate) fn task_sort_passes(&self) -> u32 {
        (32 - (self.block_count.max(1) - 1).leading_zeros()).div_ceil(8)
    }

    /// A 64-bit setting as its two words.
    pub(crate) fn split(value: i64) -> (u32, u32) {
        (value as u32, (value >> 32) as u32)
    }
}

/// A problem as buffers.
#[derive(Debug, Clone, Default)]
pub struct Image {
    /// Sizes and offsets; the settings of rounds and sorts are filled in per dispatch.
    pub params: Params,
    /// What never changes, 32 bits.
    pub words: Vec<u32>,
    /// What never changes, 64 bits.
    pub wides: Vec<u64>,
    /// Words of `state`.
    pub state_length: u64,
    /// Words of `round`.
    pub round_length: u64,
    /// Words of `counts`.
    pub counts_length: u64,
    /// Words of `tables`.
    pub tables_length: u64,
    /// Words of `control`.
    pub control_length: u64,
    /// Wides of `results`.
    pub results_length: u64,
}

/// Hands out consecutive ranges of a buffer.
#[derive(Debug, Default)]
pub(crate) struct Ranges(pub u64);

impl Ranges {
    /// The first word of the next `length` words. Offsets are 32 bits wide: [`Image::is_addressable`] tells whether they fit.
    pub(crate) fn take(&mut self, length: usize) -> u32 {
        let start = self.0;
        self.0 += length as u64;
        start as u32
    }
}

impl Image {
    /// Can 32-bit offsets reach everything?
    pub fn is_addressable(&self) -> bool {
        let longest =
            [self.state_length, self.round_length, self.counts_length, self.tables_length, self.control_length];
        let longest = longest.into_iter().max().unwrap_or(0).max(self.words.len() as u64);
        longest < 1 << 31 && self.wides.len() < 1 << 31
    }

    /// Bytes of the largest buffer, and its name.
    pub fn largest(&self) -> (u64, &'static str) {
        let sizes = [
            (self.words.len() as u64 * 4, "words"),
            (self.wides.len() as u64 * 8, "wides"),
            (self.state_length * 4, "state"),
            (self.round_length * 4, "round"),
            (self.counts_length * 4, "counts"),
            (self.tables_length * 4, "tables"),
            (self.control_length * 4, "control"),
            (self.results_length * 8, "results"),
        ];
        sizes.into_iter().max().expect("there are buffers")
    }

    /// Bytes of all buffers of one chain.
    pub fn bytes(&self) -> u64 {
        let words = self.words.len() as u64 + self.state_length + self.round_length + self.counts_length;
        (words + self.tables_length + self.control_length) * 4 + (self.wides.len() as u64 + self.results_length) * 8
    }
}
