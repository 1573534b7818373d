// What is a block of nodes, and where are its tables?          other half: src/kernel/block.rs
// Shared: joined in front of the kernels that work on a block (gather, anneal). The block's tasks are a range of the sorted
// list, movable ones first; its groups' rules are in `tables`, written by gather.

const BLOCK_NODES_MAX: u32 = 127u;
const HOME_NONE: u32 = 255u;
const HOME_OUTSIDE: u32 = 254u;
const NO_GROUP: u32 = 0xFFFFFFFFu;
const NO_DOMAIN: u32 = 128u;
const MAY_STOP: u32 = 0x100u;
const MOVABLE: u32 = 0x200u;
const GROUP_CONFLICT: u32 = 1u;
const GROUP_GANG: u32 = 2u;
const ROW_FLAG_CONFLICT: u32 = 1u;
const ROW_FLAG_WITHIN: u32 = 2u;
// A block's record in `round`: movable tasks, its part of `tables`, groups, where its maps are, next batch, displaced tasks.
const BLOCK_WORDS: u32 = 6u;
// A part of `tables`: local group per movable task; groups; rows; per level the local domain of each node.
// A group: nodes with members (4 words), first row, rows, index of the group, first slot.
const TABLE_GROUP_WORDS: u32 = 8u;
// A row: hold, keep, enter (4 words each), slack, conflict; then members per local domain (block_nodes words).
const TABLE_ROW_WORDS: u32 = 14u;
const ROW_KEEP: u32 = 4u;
const ROW_ENTER: u32 = 8u;
const ROW_SLACK: u32 = 12u;
const ROW_CONFLICT: u32 = 13u;

@group(0) @binding(4) var<storage, read_write> round: array<u32>;
@group(0) @binding(5) var<storage, read_write> counts: array<u32>;
@group(0) @binding(6) var<storage, read_write> tables: array<u32>;
@group(0) @binding(7) var<storage, read_write> control: array<atomic<u32>>;
@group(0) @binding(8) var<storage, read_write> results: array<i64>;

var<workgroup> block: u32;
var<workgroup> node_count: u32;
var<workgroup> slot_first: u32;
var<workgroup> slot_count: u32;
var<workgroup> group_total: u32;
var<workgroup> base: u32;
var<workgroup> table_groups: u32;
var<workgroup> table_maps: u32;
var<workgroup> nodes: array<u32, 128>;

// Which block is it? By one lane; `nodes` is filled by all of them after.
fn name_block(number: u32) {
    block = number;
    let first_node = min(block * p.block_nodes, p.node_count);
    node_count = min(first_node + p.block_nodes, p.node_count) - first_node;
    slot_first = round[p.r_first + block];
}

fn task_of(slot: u32) -> u32 {
    return round[p.r_tasks + slot_first + slot];
}

// Local node of a task; the pool is `node_count`.
fn at_of(task: u32) -> u32 {
    let node = state[p.s_at + task];
    if node == NOWHERE {
        return node_count;
    }
    return round[p.r_local_of + node];
}

fn home_of(task: u32) -> u32 {
    let node = words[p.w_home + task];
    if node == NOWHERE {
        return HOME_NONE;
    }
    if round[p.r_block_of + node] != block {
        return HOME_OUTSIDE;
    }
    return round[p.r_local_of + node];
}

fn group_of(slot: u32) -> u32 {
    return words[p.w_group + task_of(slot)];
}

fn local_group(slot: u32) -> u32 {
    if group_total == 0u {
        return NO_GROUP;
    }
    return tables[base + slot];
}

fn domain_of(level: u32, at: u32) -> u32 {
    if at == node_count {
        return NO_DOMAIN;
    }
    return tables[table_maps + level * p.block_nodes + at];
}

// Is a local node or domain in a set of four words?
fn in_table(first: u32, i: u32) -> bool {
    return ((tables[first + i / 32u] >> (i % 32u)) & 1u) != 0u;
}

fn put_in_table(first: u32, i: u32) {
    tables[first + i / 32u] |= 1u << (i % 32u);
}

fn book_member(group: u32, at: u32, sign: i32) {
    let record = table_groups + group * TABLE_GROUP_WORDS;
    let word = record + at / 32u;
    tables[word] = select(tables[word] & ~(1u << (at % 32u)), tables[word] | (1u << (at % 32u)), sign > 0);
    let first_row = words[p.w_groups + tables[record + 6u] * GROUP_WORDS];
    for (var i = 0u; i < tables[record + 5u]; i += 1u) {
        let row = tables[record + 4u] + i * (TABLE_ROW_WORDS + p.block_nodes);
        let domain = domain_of(words[p.w_rows + (first_row + i) * ROW_WORDS], at);
        let slot = row + TABLE_ROW_WORDS + domain;
        let before = tables[slot];
        tables[slot] = before + bitcast<u32>(sign);
        // A domain comes or goes: the owner's slack to give up kept domains follows.
        if before + u32(sign < 0) == u32(sign < 0) * 2u && in_table(row + ROW_KEEP, domain) {
            tables[row + ROW_SLACK] += bitcast<u32>(sign);
        }
    }
}
