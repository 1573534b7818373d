// What happens in one block of nodes during one round?         other half: src/kernel/anneal.rs
// Shape   one workgroup per block, one lane per candidate of a batch; a dispatch does up to `batch_slice` batches
// Ties    a change of 0 points is accepted when it displaces no further task
//
// Judged against the same state, then applied: every lane finds out by itself which lanes may apply (in lane order, none
// that touches what an earlier one touched), so those that do are disjoint and apply at once.

const LANES: u32 = 32u;

// The batch: what each lane would apply. Local nodes; `node_count` is the pool.
var<workgroup> batch_next: u32;
var<workgroup> away_total: u32;
var<workgroup> accepted: array<atomic<u32>, 2>;
var<workgroup> lane_first: array<u32, LANES>;
var<workgroup> lane_second: array<u32, LANES>;
// From and to.
var<workgroup> lane_nodes: array<vec2<u32>, LANES>;
var<workgroup> lane_groups: array<vec2<u32>, LANES>;
var<workgroup> lane_delta: array<i64, LANES>;
var<workgroup> lane_displaced: array<i32, LANES>;

// Books a task's coming (+1) or going (−1) on a local node: rows, devices, members of its group.
fn book(slot: u32, at: u32, devices: u64, sign: i32) {
    if at == node_count {
        return;
    }
    let task = task_of(slot);
    let node = nodes[at];
    let is_home = at == home_of(task);
    for (var r = 0u; r < p.lanes; r += 1u) {
        let amount = requirement(task, r) * sign;
        let transient = select(0, word_signed(p.w_transient + r), is_home);
        let used = p.s_used + node * p.lanes + r;
        let held = p.s_held + node * p.lanes + r;
        state[used] = bitcast<u32>(bitcast<i32>(state[used]) + amount);
        state[held] = bitcast<u32>(bitcast<i32>(state[held]) + (amount & ~transient));
    }
    state[p.s_tasks_here + node] += bitcast<u32>(sign);
    if device_count(task) > 0u && !(p.is_simultaneous != 0u && is_home) {
        for (var d = 0u; d < p.device_width; d += 1u) {
            if has(devices, d) {
                state[p.s_device_used + node * p.device_width + d] += bitcast<u32>(sign) * device_word(task);
            }
        }
    }
    let group = local_group(slot);
    if group != NO_GROUP {
        book_member(group, at, sign);
    }
}

fn place(slot: u32, from_: u32, to: u32, devices: u64) {
    let task = task_of(slot);
    var node = NOWHERE;
    if to != node_count {
        node = nodes[to];
    }
    state[p.s_at + task] = node;
    state[p.s_devices + 2u * task] = u32(devices & 0xFFFFFFFFlu);
    state[p.s_devices + 2u * task + 1u] = u32(devices >> 32u);
    let home = home_of(task);
    let group = words[p.w_group_all + task];
    if p.counts_group_moves != 0u && group != NOWHERE {
        let change = away(home, to) - away(home, from_);
        atomicAdd(&control[CONTROL_MOVED + group], bitcast<u32>(change));
    }
    book(slot, to, devices, 1);
}

// Which lanes apply, as bits: in lane order, each unless an earlier one that applies touches a task, node or group of its.
fn applying(accepted_lanes: u32) -> u32 {
    var rest = accepted_lanes;
    var chosen = 0u;
    while rest != 0u {
        let lane = firstTrailingBit(rest);
        rest &= rest - 1u;
        var is_free = true;
        var others = chosen;
        while is_free && others != 0u {
            let other = firstTrailingBit(others);
            others &= others - 1u;
            is_free = !shares_task(lane, other) && !shares_node(lane_nodes[lane], lane_nodes[other])
                && !shares_group(lane_groups[lane], lane_groups[other]);
        }
        if is_free {
            chosen |= 1u << lane;
        }
    }
    return chosen;
}

fn shares_task(lane: u32, other: u32) -> bool {
    let first = lane_first[lane];
    let second = lane_second[lane];
    let is_first = first == lane_first[other] || first == lane_second[other];
    return is_first || (second != NOBODY && (second == lane_first[other] || second == lane_second[other]));
}

// The pool has room for all: lanes clash there only over a task.
fn shares_node(mine: vec2<u32>, theirs: vec2<u32>) -> bool {
    let is_from = mine.x != node_count && (mine.x == theirs.x || mine.x == theirs.y);
    return is_from || (mine.y != node_count && (mine.y == theirs.x || mine.y == theirs.y));
}

fn shares_group(mine: vec2<u32>, theirs: vec2<u32>) -> bool {
    let is_first = mine.x != NO_GROUP && (mine.x == theirs.x || mine.x == theirs.y);
    return is_first || (mine.y != NO_GROUP && (mine.y == theirs.x || mine.y == theirs.y));
}

// By one lane, between barriers.
fn sum_of_lanes() -> i64 {
    var sum = 0li;
    for (var lane = 0u; lane < LANES; lane += 1u) {
        sum += lane_delta[lane];
    }
    return sum;
}

// By one lane, between barriers.
fn over_in_all(count: u32) -> i64 {
    var sum = 0li;
    for (var at = 0u; at < count; at += 1u) {
        sum += node_over[at];
    }
    return sum;
}

// Points of a local node as it is.
fn refresh(at: u32) {
    let now = Change(nodes[at], NOBODY, NOBODY, 0lu, 0lu);
    node_over[at] = over_points(now);
    node_cost[at] = node_points(now) + node_over[at];
}

// What gather has written about the block, by one lane.
fn read_record() {
    let record = p.r_blocks + block * BLOCK_WORDS;
    slot_count = round[record];
    base = round[record + 1u];
    group_total = round[record + 2u];
    table_maps = round[record + 3u];
    batch_next = round[record + 4u];
    away_total = round[record + 5u];
    table_groups = base + slot_count;
}

@compute @workgroup_size(32)
fn anneal(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
          @builtin(local_invocation_index) lane: u32) {
    let number = group.x + group.y * groups.x;
    if number >= p.block_count {
        return;
    }
    if lane == 0u {
        name_block(number);
        read_record();
    }
    workgroupBarrier();
    let nodes_here = workgroupUniformLoad(&node_count);
    lane_delta[lane] = 0li;
    for (var at = lane; at < nodes_here; at += LANES) {
        nodes[at] = round[p.r_nodes + block * p.block_nodes + at];
        lane_delta[lane] += overfull(nodes[at]);
    }
    if lane == 0u {
        atomicStore(&accepted[0], 0u);
        atomicStore(&accepted[1], 0u);
    }
    workgroupBarrier();
    if lane == 0u {
        is_soft = u32(p.over_factor > 0u && (p.over_closed == 0u || sum_of_lanes() > 0li));
        for (var r = 0u; r < p.lanes; r += 1u) {
            let base = signed_wide(p.d_over_price + r);
            let price = max((base * i64(p.over_factor)) >> 8u, 1li);
            over_price[r] = select(0li, price, is_soft != 0u && base > 0li);
        }
    }
    workgroupBarrier();
    for (var at = lane; at < nodes_here; at += LANES) {
        refresh(at);
    }
    workgroupBarrier();
    var delta = 0li;
    if lane == 0u {
        delta = over_in_all(nodes_here);
    }
    let tasks_here = workgroupUniformLoad(&slot_count);
    let begin = workgroupUniformLoad(&batch_next);
    let away_here = workgroupUniformLoad(&away_total);
    let candidates = min(tasks_here * p.candidates_per_task, p.candidates_max);
    var end = min((candidates + LANES - 1u) / LANES, begin + p.batch_slice);
    if nodes_here == 0u {
        end = begin;
    }
    let stream = pcg3d(vec3<u32>(p.seed, p.round, block));
    let temperature = i64(wide(p.temperature_low, p.temperature_high));
    var displaced = 0;
    for (var batch = begin; batch < end; batch += 1u) {
        let dice = pcg3d(vec3<u32>(stream.x + batch * LANES + lane, stream.y, stream.z));
        var first = below(dice.x, tasks_here);
        if away_here > 0u && ((dice.z >> 16u) & 15u) < p.away_share {
            first = round[p.r_away + slot_first + below(dice.x, away_here)];
        }
        let from_ = at_of(task_of(first));
        var second = NOBODY;
        var to = 0u;
        var judged = IMPOSSIBLE;
        if (dice.z & 255u) < p.shift_share {
            let home = home_of(task_of(first));
            to = below(dice.y, nodes_here + 1u);
            if ((dice.z >> 8u) & 255u) < p.home_share && home < HOME_OUTSIDE {
                to = home;
            }
            judged = judge_shift(first, to);
        } else {
            second = below(dice.y, tasks_here);
            to = at_of(task_of(second));
            judged = judge_swap(first, second);
        }
        let threshold = (temperature * i64(words[p.w_ln_table + (dice.z >> 20u)])) >> 24u;
        let is_warm = temperature > 0li && judged.delta <= threshold;
        let is_better = judged.delta < 0li || (judged.delta == 0li && judged.displaced <= 0);
        if judged.is_possible && (is_warm || is_better) {
            lane_first[lane] = first;
            lane_second[lane] = second;
            lane_nodes[lane] = vec2<u32>(from_, to);
            var second_group = NO_GROUP;
            if second != NOBODY {
                second_group = local_group(second);
            }
            lane_groups[lane] = vec2<u32>(local_group(first), second_group);
            atomicOr(&accepted[batch & 1u], 1u << lane);
        }
        workgroupBarrier();
        let chosen = applying(atomicLoad(&accepted[batch & 1u]));
        if lane == 0u {
            atomicStore(&accepted[(batch + 1u) & 1u], 0u);
        }
        if ((chosen >> lane) & 1u) != 0u {
            book(first, from_, devices_of(task_of(first)), -1);
            if second != NOBODY {
                book(second, to, devices_of(task_of(second)), -1);
            }
            place(first, from_, to, judged.first_devices);
            if second != NOBODY {
                place(second, to, from_, judged.second_devices);
            }
            if from_ != nodes_here {
                refresh(from_);
            }
            if to != nodes_here {
                refresh(to);
            }
            delta += judged.delta - steering(first, to) + steering(first, from_);
            if second != NOBODY {
                delta -= steering(second, from_) - steering(second, to);
            }
            displaced += judged.displaced;
        }
        storageBarrier();
        workgroupBarrier();
    }
    lane_delta[lane] = delta;
    lane_displaced[lane] = displaced;
    workgroupBarrier();
    let result = RESULT_BLOCKS + block * RESULT_WIDES;
    if lane == 0u {
        for (var other = 1u; other < LANES; other += 1u) {
            displaced += lane_displaced[other];
        }
        // What exceeding limits costs steers, but is no part of the objective.
        results[result] += sum_of_lanes() - over_in_all(nodes_here);
        results[result + 1u] += i64(displaced);
        results[result + 2u] += i64(end - begin) * i64(LANES);
        round[p.r_blocks + block * BLOCK_WORDS + 4u] = end;
    }
    workgroupBarrier();
    lane_delta[lane] = 0li;
    for (var at = lane; at < nodes_here; at += LANES) {
        lane_delta[lane] += overfull(nodes[at]);
    }
    workgroupBarrier();
    if lane == 0u {
        results[result + 3u] = sum_of_lanes();
    }
}
