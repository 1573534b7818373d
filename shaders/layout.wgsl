// Where is what in the buffers?                                other half: src/kernel/layout.rs
// Shared: joined in front of every kernel of a round. Prefixes say which buffer an offset is for: w_ words, d_ wides,
// s_ state, r_ round, c_ counts; tests/layout.rs holds every field and constant to its other half.

const NOWHERE: u32 = 0xFFFFFFFFu;
const BLOCK_MASK: u32 = 0x1FFFFu;
// `control`: room taken in the tables, whether they ran over, whether the round's result is the best, then tasks moved
// per group.
const CONTROL_MOVED: u32 = 4u;
// `results`: points, displaced, evaluations, best points, best displaced, group points; then three per block.
const RESULT_BLOCKS: u32 = 8u;
const RESULT_WIDES: u32 = 4u;
const GROUP_WORDS: u32 = 3u;
const ROW_WORDS: u32 = 8u;
const BALANCE_WORDS: u32 = 2u;
const VARIANCE_WORDS: u32 = 3u;
const MIX_WORDS: u32 = 3u;
// What is taken of a device: quanta of memory in the lower bits, milli above them, each below a guard bit.
const MILLI_SHIFT: u32 = 15u;
const GUARDS: u32 = 0x80004000u;
const ROOM: u32 = 0x81F45FFFu;
// From here on a request is for whole devices.
const WHOLE: u32 = 0x1F40000u;

struct Params {
    node_count: u32,
    task_count: u32,
    order_count: u32,
    movable_count: u32,
    group_count: u32,
    row_count: u32,
    level_count: u32,
    lanes: u32,
    device_width: u32,
    balance_count: u32,
    variance_count: u32,
    mix_count: u32,
    block_count: u32,
    block_nodes: u32,
    counts_length: u32,
    tables_length: u32,
    is_simultaneous: u32,
    has_over_weight: u32,
    counts_group_moves: u32,
    has_groups: u32,

    w_limit: u32,
    w_soft: u32,
    w_capacity: u32,
    w_requirement: u32,
    w_transient: u32,
    w_node_class: u32,
    w_move_class: u32,
    w_class_row: u32,
    w_pair_row: u32,
    w_home: u32,
    w_traits: u32,
    w_device: u32,
    w_group: u32,
    w_group_all: u32,
    w_order: u32,
    w_groups: u32,
    w_rows: u32,
    w_needs: u32,
    w_domain: u32,
    w_balance: u32,
    w_variance: u32,
    w_mix: u32,
    w_mix_requirement: u32,
    w_ln_table: u32,

    d_load_weight: u32,
    d_over_weight: u32,
    d_balance_target: u32,
    d_balance_weight: u32,
    d_factors: u32,
    d_pair: u32,
    d_allow: u32,
    d_price: u32,
    d_value: u32,
    d_move_points: u32,
    d_home_devices: u32,
    d_mix_parts: u32,
    d_over_price: u32,
    d_weights: u32,

    s_at: u32,
    s_devices: u32,
    s_used: u32,
    s_held: u32,
    s_tasks_here: u32,
    s_device_used: u32,
    s_best_at: u32,
    s_best_devices: u32,

    r_pick: u32,
    r_node_keys: u32,
    r_node_values: u32,
    r_nodes: u32,
    r_block_of: u32,
    r_local_of: u32,
    r_task_keys: u32,
    r_task_values: u32,
    r_sorted_keys: u32,
    r_tasks: u32,
    r_away: u32,
    r_first: u32,
    r_blocks: u32,
    r_histogram: u32,

    c_members: u32,
    c_keeper: u32,
    c_covered: u32,
    c_owner: u32,
    c_placed: u32,

    sort_length: u32,
    sort_shift: u32,
    sort_keys: u32,
    sort_values: u32,
    sort_out_keys: u32,
    sort_out_values: u32,

    tile_count: u32,
    tile_chunks: u32,

    mask_words: u32,
    kind_first: u32,
    w_kind_mask: u32,
    w_kind_from: u32,
    d_kind_moves: u32,
    denominator_low: u32,
    denominator_high: u32,
    drill_count: u32,
    drill_from: u32,
    drill_tasks: u32,
    drill_lost: u32,

    seed: u32,
    round: u32,
    salt_0: u32,
    salt_1: u32,
    salt_2: u32,
    candidates_per_task: u32,
    candidates_max: u32,
    batch_slice: u32,
    shift_share: u32,
    home_share: u32,
    away_share: u32,
    displaced_max: u32,
    locks_everything: u32,
    by_home: u32,
    temperature_low: u32,
    temperature_high: u32,
    home_flat_low: u32,
    home_flat_high: u32,
    home_rate_low: u32,
    home_rate_high: u32,
    home_most_low: u32,
    home_most_high: u32,
    over_factor: u32,
    over_closed: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> words: array<u32>;
@group(0) @binding(2) var<storage, read> wides: array<u64>;
@group(0) @binding(3) var<storage, read_write> state: array<u32>;

// Two words as one.
fn wide(low: u32, high: u32) -> u64 {
    return (u64(high) << 32u) | u64(low);
}

fn signed_wide(at: u32) -> i64 {
    return i64(wides[at]);
}

// Is bit `i` set?
fn has(bits: u64, i: u32) -> bool {
    return ((bits >> i) & 1lu) != 0lu;
}

// Milli that are free of a device.
fn free_milli(taken: u32) -> u32 {
    return 1000u - min(taken >> MILLI_SHIFT, 1000u);
}

// Has a device, of which so much is taken, room for so much more?
fn holds_more(taken: u32, wanted: u32) -> bool {
    return ((ROOM - taken - wanted) & GUARDS) == GUARDS;
}
