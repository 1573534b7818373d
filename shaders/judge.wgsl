// What would a candidate change, and is it possible?          other half: src/kernel/judge.rs
// Shared: joined in front of anneal. Units: quanta i32, points i64; pack.rs proves that no sum overflows.

// Points of each node, those for exceeding limits included, and these alone.
var<workgroup> node_cost: array<i64, 128>;
var<workgroup> node_over: array<i64, 128>;
// May limits be exceeded? Up to twice over, so that sums stay in range.
var<workgroup> is_soft: u32;
// 256ths of a point per quantum above the limit; 0 = the limit holds.
var<workgroup> over_price: array<i64, 32>;

struct Judged {
    is_possible: bool,
    delta: i64,
    displaced: i32,
    first_devices: u64,
    second_devices: u64,
}

const IMPOSSIBLE = Judged(false, 0li, 0, 0lu, 0lu);

fn devices_of(task: u32) -> u64 {
    return wide(state[p.s_devices + 2u * task], state[p.s_devices + 2u * task + 1u]);
}

fn may_start(task: u32) -> bool {
    let group = words[p.w_group + task];
    if group == NOWHERE {
        return true;
    }
    let record = p.w_groups + group * GROUP_WORDS;
    if (words[record + 2u] & GROUP_GANG) != 0u {
        return false;
    }
    var is_settled = true;
    for (var i = 0u; i < words[record + 1u]; i += 1u) {
        let row = words[record] + i;
        is_settled = is_settled && counts[p.c_covered + row] >= words[p.w_rows + row * ROW_WORDS + 3u];
    }
    return is_settled;
}

fn may_stop(task: u32) -> bool {
    let group = words[p.w_group + task];
    if group != NOWHERE && (words[p.w_groups + group * GROUP_WORDS + 2u] & GROUP_GANG) != 0u {
        return false;
    }
    return (words[p.w_traits + task] & MAY_STOP) != 0u;
}

// Points of a task for being at a local node, the home price included.
fn unary(task: u32, home: u32, at: u32) -> i64 {
    var points = 0li;
    if at == node_count {
        points = signed_wide(p.d_value + task);
    }
    if is_displaced(home, at) {
        let move_ = move_points(task, at);
        points += move_ + home_price(move_);
    }
    return points;
}

// Has a task a home, and would be elsewhere?
fn is_displaced(home: u32, at: u32) -> bool {
    return home != HOME_NONE && at != home;
}

// What the move to a local node costs a task that has a home elsewhere.
fn move_points(task: u32, at: u32) -> i64 {
    var points = signed_wide(p.d_move_points + task);
    if at != node_count {
        points += signed_wide(p.d_pair + words[p.w_pair_row + task] + words[p.w_move_class + nodes[at]]);
    }
    return points;
}

// What being away from home costs on top of a move.
fn home_price(move_: i64) -> i64 {
    let rate = i64(wide(p.home_rate_low, p.home_rate_high));
    let counted = min(move_, i64(wide(p.home_most_low, p.home_most_high)));
    return i64(wide(p.home_flat_low, p.home_flat_high)) + ((counted * rate) >> 16u);
}

// The home price of a task at a local node: it steers, but is no part of the objective.
fn steering(slot: u32, at: u32) -> i64 {
    let task = task_of(slot);
    if !is_displaced(home_of(task), at) {
        return 0li;
    }
    return home_price(move_points(task, at));
}

// May this task be on this local node at all, and on which devices? 0 = no.
fn allowed(task: u32, home: u32, at: u32) -> u64 {
    if at == home {
        return 0xFFFFFFFFFFFFFFFFlu;
    }
    return wides[p.d_allow + words[p.w_class_row + task] + words[p.w_node_class + nodes[at]]];
}

// Do the group's rules let a member go from one local node to another (or the pool)?
fn group_allows(group: u32, from_: u32, to: u32) -> bool {
    if group == NO_GROUP {
        return true;
    }
    let record = table_groups + group * TABLE_GROUP_WORDS;
    let flags = words[p.w_groups + tables[record + 6u] * GROUP_WORDS + 2u];
    if (flags & GROUP_CONFLICT) != 0u && to != node_count && in_table(record, to) {
        return false;
    }
    let first_row = words[p.w_groups + tables[record + 6u] * GROUP_WORDS];
    for (var i = 0u; i < tables[record + 5u]; i += 1u) {
        let row = tables[record + 4u] + i * (TABLE_ROW_WORDS + p.block_nodes);
        let level = words[p.w_rows + (first_row + i) * ROW_WORDS];
        let source = domain_of(level, from_);
        let target_ = domain_of(level, to);
        if source == target_ {
            continue;
        }
        let members = row + TABLE_ROW_WORDS;
        if source < NO_DOMAIN && tables[members + source] == 1u {
            let is_kept = in_table(row + ROW_KEEP, source) && bitcast<i32>(tables[row + ROW_SLACK]) <= 0;
            if in_table(row, source) || is_kept {
                return false;
            }
        }
        if target_ < NO_DOMAIN {
            let is_taken = tables[row + ROW_CONFLICT] != 0u && tables[members + target_] > 0u;
            if is_taken || !in_table(row + ROW_ENTER, target_) {
                return false;
            }
        }
    }
    return true;
}

// Points for what a node has above its limits, rounded up: at least one for anything. Only what is not transient may be, so what
// is used is what is held.
fn over_points(change: Change) -> i64 {
    if is_soft == 0u {
        return 0li;
    }
    var points = 0li;
    for (var r = 0u; r < p.lanes; r += 1u) {
        let above = used_after(change, r) - word_signed(p.w_limit + change.node * p.lanes + r);
        points += i64(max(above, 0)) * over_price[r];
    }
    return (points + 255li) >> 8u;
}

// Quanta above limits.
fn overfull(node: u32) -> i64 {
    var quanta = 0li;
    for (var r = 0u; r < p.lanes; r += 1u) {
        let used = bitcast<i32>(state[p.s_used + node * p.lanes + r]);
        quanta += i64(max(used - word_signed(p.w_limit + node * p.lanes + r), 0));
    }
    return quanta;
}

// Does a node hold what it would have to? A task at its home finds its transient amounts held there already.
fn has_room(change: Change, plus_is_home: bool, minus_is_home: bool) -> bool {
    let row = change.node * p.lanes;
    var room = 0;
    for (var r = 0u; r < p.lanes; r += 1u) {
        let transient = word_signed(p.w_transient + r);
        let slack = u32(over_price[r] > 0li);
        var left = (word_signed(p.w_limit + row + r) << slack) - bitcast<i32>(state[p.s_held + row + r]);
        left -= requirement(change.plus, r) & ~select(0, transient, plus_is_home);
        if change.minus != NOBODY {
            left += requirement(change.minus, r) & ~select(0, transient, minus_is_home);
        }
        room |= left;
    }
    return room >= 0;
}

fn fit(change: Change, task: u32, is_home: bool, mask: u64) -> Fit {
    if device_count(task) == 0u {
        return Fit(true, 0lu);
    }
    if is_home {
        return fit_home(change, task);
    }
    return fit_devices(change, mask, device_count(task), device_word(task));
}

// Devices that become free when a task leaves.
fn released(task: u32, is_home: bool) -> u64 {
    if p.is_simultaneous != 0u && is_home {
        return 0lu;
    }
    return devices_of(task);
}

fn away(home: u32, at: u32) -> i32 {
    return i32(is_displaced(home, at));
}

// Moving a task to a local node.
fn judge_shift(slot: u32, to: u32) -> Judged {
    let task = task_of(slot);
    let from_ = at_of(task);
    if from_ == to || (to == node_count && !may_stop(task)) || (from_ == node_count && !may_start(task)) {
        return IMPOSSIBLE;
    }
    let home = home_of(task);
    var fitted = Fit(true, 0lu);
    var over_to = 0li;
    var exceeds_more = 0li;
    if to != node_count {
        let arrival = Change(nodes[to], task, NOBODY, 0lu, 0lu);
        if !has_room(arrival, to == home, false) {
            return IMPOSSIBLE;
        }
        let mask = allowed(task, home, to);
        if mask == 0lu || !group_allows(local_group(slot), from_, to) {
            return IMPOSSIBLE;
        }
        over_to = over_points(arrival);
        exceeds_more = over_to - node_over[to];
        fitted = fit(arrival, task, to == home, mask);
        if !fitted.is_possible {
            return IMPOSSIBLE;
        }
    } else if !group_allows(local_group(slot), from_, to) {
        return IMPOSSIBLE;
    }
    var over_from = 0li;
    if from_ != node_count {
        over_from = over_points(Change(nodes[from_], NOBODY, task, 0lu, 0lu));
        exceeds_more += over_from - node_over[from_];
    }
    if p.over_closed != 0u && exceeds_more > 0li {
        return IMPOSSIBLE;
    }
    var delta = unary(task, home, to) - unary(task, home, from_);
    if to != node_count {
        delta += node_points(Change(nodes[to], task, NOBODY, fitted.devices, 0lu)) + over_to - node_cost[to];
    }
    if from_ != node_count {
        let departure = Change(nodes[from_], NOBODY, task, 0lu, released(task, from_ == home));
        delta += node_points(departure) + over_from - node_cost[from_];
    }
    return Judged(true, delta, away(home, to) - away(home, from_), fitted.devices, 0lu);
}

// Exchanging the places of two tasks; one of them may be in the pool.
fn judge_swap(first: u32, second: u32) -> Judged {
    let is_turned = at_of(task_of(first)) == node_count;
    let slot_1 = select(first, second, is_turned);
    let slot_2 = select(second, first, is_turned);
    // Only the second may be in the pool from here on.
    let one = task_of(slot_1);
    let two = task_of(slot_2);
    let a = at_of(one);
    let b = at_of(two);
    if a == b {
        return IMPOSSIBLE;
    }
    let to_pool = b == node_count;
    if to_pool && !(may_stop(one) && may_start(two)) {
        return IMPOSSIBLE;
    }
    let home_1 = home_of(one);
    let home_2 = home_of(two);
    if !has_room(Change(nodes[a], two, one, 0lu, 0lu), a == home_2, a == home_1) {
        return IMPOSSIBLE;
    }
    if !to_pool && !has_room(Change(nodes[b], one, two, 0lu, 0lu), b == home_1, b == home_2) {
        return IMPOSSIBLE;
    }
    let mask_2 = allowed(two, home_2, a);
    var mask_1 = 1lu;
    if !to_pool {
        mask_1 = allowed(one, home_1, b);
    }
    let group_1 = local_group(slot_1);
    let group_2 = local_group(slot_2);
    if mask_1 == 0lu || mask_2 == 0lu {
        return IMPOSSIBLE;
    }
    // Two members of a group in each other's place change nothing for it; but where one moves after the other, they would meet.
    let is_same = group_1 == group_2 && group_1 != NO_GROUP && p.is_simultaneous != 0u;
    if !is_same && (!group_allows(group_1, a, b) || !group_allows(group_2, b, a)) {
        return IMPOSSIBLE;
    }
    let over_a = over_points(Change(nodes[a], two, one, 0lu, 0lu));
    var over_b = 0li;
    var exceeds_more = over_a - node_over[a];
    if !to_pool {
        over_b = over_points(Change(nodes[b], one, two, 0lu, 0lu));
        exceeds_more += over_b - node_over[b];
    }
    if p.over_closed != 0u && exceeds_more > 0li {
        return IMPOSSIBLE;
    }
    let freed_a = released(one, a == home_1);
    let fit_2 = fit(Change(nodes[a], NOBODY, one, 0lu, freed_a), two, a == home_2, mask_2);
    if !fit_2.is_possible {
        return IMPOSSIBLE;
    }
    var fit_1 = Fit(true, 0lu);
    var freed_b = 0lu;
    if !to_pool {
        freed_b = released(two, b == home_2);
        fit_1 = fit(Change(nodes[b], NOBODY, two, 0lu, freed_b), one, b == home_1, mask_1);
        if !fit_1.is_possible {
            return IMPOSSIBLE;
        }
    }
    var delta = unary(one, home_1, b) - unary(one, home_1, a) + unary(two, home_2, a) - unary(two, home_2, b);
    delta += node_points(Change(nodes[a], two, one, fit_2.devices, freed_a)) + over_a - node_cost[a];
    if !to_pool {
        delta += node_points(Change(nodes[b], one, two, fit_1.devices, freed_b)) + over_b - node_cost[b];
    }
    let displaced = away(home_1, b) - away(home_1, a) + away(home_2, a) - away(home_2, b);
    if is_turned {
        return Judged(true, delta, displaced, fit_2.devices, fit_1.devices);
    }
    return Judged(true, delta, displaced, fit_1.devices, fit_2.devices);
}
