// What does a block get to see of its groups and their rules?  other half: src/bulk/gather.rs
// Shape   one workgroup per block; writes the block's record in `round` and its part of `tables`

const LANES: u32 = 128u;

var<workgroup> listed_count: u32;
var<workgroup> table_rows: u32;
var<workgroup> strip_groups: array<u32, LANES>;
var<workgroup> strip_rows: array<u32, LANES>;
var<workgroup> strip_away: array<u32, LANES>;

// Where the movable tasks of the block end: they come first.
fn count_slots() {
    listed_count = round[p.r_first + block + 1u] - slot_first;
    var low = 0u;
    var high = listed_count;
    while low < high {
        let middle = (low + high) / 2u;
        if (words[p.w_traits + round[p.r_tasks + slot_first + middle]] & MOVABLE) != 0u {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    slot_count = low;
    group_total = 0u;
    base = 0u;
}

fn is_first_of_group(slot: u32) -> bool {
    let group = group_of(slot);
    return group != NOWHERE && (slot == 0u || group_of(slot - 1u) != group);
}

// A lane's share of the movable tasks: a strip, so that groups are numbered in the order of the list.
fn strip_begin(lane: u32) -> u32 {
    return min(lane * ((slot_count + LANES - 1u) / LANES), slot_count);
}

fn count_strip(lane: u32) {
    var groups_here = 0u;
    var rows_here = 0u;
    for (var slot = strip_begin(lane); slot < strip_begin(lane + 1u); slot += 1u) {
        if is_first_of_group(slot) {
            groups_here += 1u;
            rows_here += words[p.w_groups + group_of(slot) * GROUP_WORDS + 1u];
        }
    }
    strip_groups[lane] = groups_here;
    strip_rows[lane] = rows_here;
}

fn is_away(slot: u32) -> bool {
    let home = words[p.w_home + task_of(slot)];
    let node = state[p.s_at + task_of(slot)];
    return node == NOWHERE || (home != NOWHERE && node != home);
}

fn count_away(lane: u32) {
    var away_here = 0u;
    for (var slot = strip_begin(lane); slot < strip_begin(lane + 1u); slot += 1u) {
        away_here += u32(is_away(slot));
    }
    strip_away[lane] = away_here;
}

// Tasks of the strips before a lane's that are away from home or wait.
fn away_before(lane: u32) -> u32 {
    var count = 0u;
    for (var other = 0u; other < lane; other += 1u) {
        count += strip_away[other];
    }
    return count;
}

// Lists those of a lane's strip.
fn write_away(lane: u32) {
    var next = p.r_away + slot_first + away_before(lane);
    for (var slot = strip_begin(lane); slot < strip_begin(lane + 1u); slot += 1u) {
        if is_away(slot) {
            round[next] = slot;
            next += 1u;
        }
    }
}

// Takes room in `tables` for the block's groups, by one lane.
fn open_tables() {
    var rows_total = 0u;
    for (var lane = 0u; lane < LANES; lane += 1u) {
        group_total += strip_groups[lane];
        rows_total += strip_rows[lane];
    }
    if group_total == 0u {
        return;
    }
    let maps = slot_count + group_total * TABLE_GROUP_WORDS + rows_total * (TABLE_ROW_WORDS + p.block_nodes);
    let length = maps + p.level_count * p.block_nodes;
    base = atomicAdd(&control[0], length);
    table_groups = base + slot_count;
    table_rows = table_groups + group_total * TABLE_GROUP_WORDS;
    table_maps = base + maps;
    if base + length > p.tables_length || base + length < base {
        // No candidate is judged then, and the host is told.
        slot_count = 0u;
        group_total = 0u;
        atomicStore(&control[1], 1u);
    }
}

// Numbers the groups of a lane's strip and writes their records.
fn write_strip(lane: u32) {
    var group = 0u;
    var row = 0u;
    for (var other = 0u; other < lane; other += 1u) {
        group += strip_groups[other];
        row += strip_rows[other];
    }
    for (var slot = strip_begin(lane); slot < strip_begin(lane + 1u); slot += 1u) {
        let index = group_of(slot);
        if is_first_of_group(slot) {
            let rows_here = words[p.w_groups + index * GROUP_WORDS + 1u];
            let record = table_groups + group * TABLE_GROUP_WORDS;
            for (var word = 0u; word < 4u; word += 1u) {
                tables[record + word] = 0u;
            }
            tables[record + 4u] = table_rows + row * (TABLE_ROW_WORDS + p.block_nodes);
            tables[record + 5u] = rows_here;
            tables[record + 6u] = index;
            tables[record + 7u] = slot;
            group += 1u;
            row += rows_here;
        }
        // The first of a group that goes on in the next strip has been counted already.
        tables[base + slot] = select(group - 1u, NO_GROUP, index == NOWHERE);
    }
    for (var level = 0u; level < p.level_count; level += 1u) {
        for (var at = lane; at < node_count; at += LANES) {
            let domains = p.w_domain + level * p.node_count;
            // A local domain is named by the first of its nodes in the block.
            var name = 0u;
            while words[domains + nodes[name]] != words[domains + nodes[at]] {
                name += 1u;
            }
            tables[table_maps + level * p.block_nodes + at] = name;
        }
    }
}

// Counts the members of a local group and sets the masks of its rows.
fn open_group(group: u32) {
    let record = table_groups + group * TABLE_GROUP_WORDS;
    let index = tables[record + 6u];
    for (var i = 0u; i < tables[record + 5u] * (TABLE_ROW_WORDS + p.block_nodes); i += 1u) {
        tables[tables[record + 4u] + i] = 0u;
    }
    for (var slot = tables[record + 7u]; slot < slot_count && group_of(slot) == index; slot += 1u) {
        let at = at_of(task_of(slot));
        if at != node_count {
            book_member(group, at, 1);
        }
    }
    // Pinned members are listed after the movable tasks, by group too.
    var low = slot_count;
    var high = listed_count;
    while low < high {
        let middle = (low + high) / 2u;
        if group_of(middle) < index {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    for (; low < listed_count && group_of(low) == index; low += 1u) {
        let at = at_of(task_of(low));
        if at != node_count {
            book_member(group, at, 1);
        }
    }
    let first_row = words[p.w_groups + index * GROUP_WORDS];
    for (var i = 0u; i < tables[record + 5u]; i += 1u) {
        set_rules(first_row + i, tables[record + 4u] + i * (TABLE_ROW_WORDS + p.block_nodes), index);
    }
}

fn is_present(row: u32, domain: u32) -> bool {
    return counts[p.c_members + words[p.w_rows + row * ROW_WORDS + 1u] + domain] > 0u;
}

// Must what is present be kept for those who depend on it?
fn is_wanted(row: u32, domain: u32) -> bool {
    if p.locks_everything != 0u {
        return true;
    }
    let record = p.w_rows + row * ROW_WORDS;
    for (var i = 0u; i < words[record + 7u]; i += 1u) {
        if is_present(words[p.w_needs + words[record + 6u] + i], domain) {
            return true;
        }
    }
    return false;
}

fn set_rules(row: u32, table_row: u32, group: u32) {
    let source = p.w_rows + row * ROW_WORDS;
    let level = words[source];
    let spread = words[source + 3u];
    for (var d = 0u; d < node_count; d += 1u) {
        if domain_of(level, d) != d {
            continue;
        }
        let domain = words[p.w_domain + level * p.node_count + nodes[d]];
        let cell = words[source + 1u] + domain;
        let members = counts[p.c_members + cell];
        let keeper = counts[p.c_keeper + cell] & BLOCK_MASK;
        let is_mine = members > 0u && keeper == block;
        if is_mine && words[source + 7u] > 0u && is_wanted(row, domain) {
            put_in_table(table_row, d);
        }
        if is_mine && spread > 0u {
            put_in_table(table_row + ROW_KEEP, d);
        }
        var is_open = true;
        for (var i = 0u; i < words[source + 5u]; i += 1u) {
            let other = words[p.w_needs + words[source + 4u] + i];
            is_open = is_open && is_present(other, domain) && is_wanted(other, domain);
        }
        is_open = is_open && (members > 0u || (words[source + 2u] & ROW_FLAG_WITHIN) == 0u);
        let outside = members - tables[table_row + TABLE_ROW_WORDS + d];
        let owner = select((cell + p.round) % p.block_count, keeper, members > 0u);
        if is_open && ((words[source + 2u] & ROW_FLAG_CONFLICT) == 0u || (outside == 0u && owner == block)) {
            put_in_table(table_row + ROW_ENTER, d);
        }
    }
    var slack = 0u;
    let owner = counts[p.c_owner + row];
    if spread > 0u && owner != 0u && (owner & BLOCK_MASK) == block {
        let least = min(spread, counts[p.c_placed + group]);
        slack = max(counts[p.c_covered + row], least) - least;
    }
    tables[table_row + ROW_SLACK] = slack;
    tables[table_row + ROW_CONFLICT] = words[source + 2u] & ROW_FLAG_CONFLICT;
}

// By one lane, when all is known.
fn write_record() {
    let record = p.r_blocks + block * BLOCK_WORDS;
    round[record] = slot_count;
    round[record + 1u] = base;
    round[record + 2u] = group_total;
    round[record + 3u] = table_maps;
    round[record + 4u] = 0u;
    round[record + 5u] = away_before(LANES);
    let result = RESULT_BLOCKS + block * RESULT_WIDES;
    results[result] = 0li;
    results[result + 1u] = 0li;
    results[result + 2u] = 0li;
    results[result + 3u] = 0li;
}

@compute @workgroup_size(128)
fn gather(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
          @builtin(local_invocation_index) lane: u32) {
    let number = group.x + group.y * groups.x;
    if number >= p.block_count {
        return;
    }
    if lane == 0u {
        name_block(number);
        count_slots();
    }
    workgroupBarrier();
    let nodes_here = workgroupUniformLoad(&node_count);
    if lane < nodes_here {
        nodes[lane] = round[p.r_nodes + block * p.block_nodes + lane];
    }
    count_away(lane);
    workgroupBarrier();
    write_away(lane);
    if p.has_groups != 0u {
        count_strip(lane);
        workgroupBarrier();
        if lane == 0u {
            open_tables();
        }
        workgroupBarrier();
        if workgroupUniformLoad(&group_total) > 0u {
            write_strip(lane);
            storageBarrier();
            workgroupBarrier();
            for (var g = lane; g < group_total; g += LANES) {
                open_group(g);
            }
        }
    }
    if lane == 0u {
        write_record();
    }
}
