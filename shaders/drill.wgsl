// Where do the tasks of failed nodes go?                       other half: src/kernel/drill.rs
// Shape   one workgroup per scenario; its room is a copy of `state`: free [N][L], devices [N][W], spare [N]
// Units   quanta i32, spare in 2^16ths of the largest node's free amount
// Ties    least (spare, node): associative and commutative, so any order of reduction agrees

const LANES: u32 = 64u;
// The largest of the cluster counts 2^30 per lane, then 14 bits are dropped.
const SPARE_SHIFT: u32 = 14u;
const FAILED: i32 = -1;
const SCENARIO_WORDS: u32 = 4u;
const ANSWER_WORDS: u32 = 3u;

// Scale of each lane, then a record per scenario, then lost tasks and failed nodes.
@group(0) @binding(4) var<storage, read_write> drills: array<u32>;
@group(0) @binding(6) var<storage, read_write> rooms: array<u32>;
@group(0) @binding(8) var<storage, read_write> answers: array<u32>;

struct Fit {
    is_possible: bool,
    devices: u64,
}

var<workgroup> lane_spare: array<u32, LANES>;
var<workgroup> lane_node: array<u32, LANES>;

fn stride() -> u32 {
    return p.node_count * (p.lanes + p.device_width + 1u);
}

fn at_devices(room: u32, node: u32) -> u32 {
    return room + p.node_count * p.lanes + node * p.device_width;
}

fn at_spare(room: u32, node: u32) -> u32 {
    return room + p.node_count * (p.lanes + p.device_width) + node;
}

// What a node has to spare, over all lanes and devices.
fn spare(room: u32, node: u32) -> u32 {
    var sum = 0u;
    for (var r = 0u; r < p.lanes; r += 1u) {
        let free = i64(max(bitcast<i32>(rooms[room + node * p.lanes + r]), 0));
        sum += u32((free * i64(drills[r])) >> SPARE_SHIFT);
    }
    let present = wides[p.d_allow + words[p.w_node_class + node]];
    for (var d = 0u; d < p.device_width; d += 1u) {
        let used = rooms[at_devices(room, node) + d];
        sum += select(0u, free_milli(used), has(present, d));
    }
    return sum;
}

// The devices of `mask` that a request gets: for a fraction the fullest that still fits, for whole ones the first free.
fn fit(room: u32, node: u32, mask: u64, count: u32, wanted: u32) -> Fit {
    var devices = 0lu;
    var found = 0u;
    var fullest = 0u;
    for (var d = 0u; d < p.device_width; d += 1u) {
        let used = rooms[at_devices(room, node) + d];
        if !has(mask, d) {
            continue;
        }
        if wanted < WHOLE {
            if holds_more(used, wanted) && (found == 0u || used > fullest) {
                devices = 1lu << d;
                fullest = used;
                found = 1u;
            }
        } else if free_milli(used) == 1000u && found < count {
            devices |= 1lu << d;
            found += 1u;
        }
    }
    return Fit(found == select(count, 1u, wanted < WHOLE), devices);
}

// What a task gets on a node.
fn try_node(room: u32, task: u32, node: u32) -> Fit {
    var left = 0;
    for (var r = 0u; r < p.lanes; r += 1u) {
        let free = bitcast<i32>(rooms[room + node * p.lanes + r]);
        left |= free - bitcast<i32>(words[p.w_requirement + task * p.lanes + r]);
    }
    let mask = wides[p.d_allow + words[p.w_class_row + task] + words[p.w_node_class + node]];
    if left < 0 || mask == 0lu {
        return Fit(false, 0lu);
    }
    let count = words[p.w_traits + task] & 0xFFu;
    if count == 0u {
        return Fit(true, 0lu);
    }
    return fit(room, node, mask, count, words[p.w_device + task]);
}

// The lane's node with least to spare that takes a task.
fn scan(room: u32, task: u32, lane: u32) {
    var least = NOWHERE;
    var found = NOWHERE;
    for (var node = lane; node < p.node_count; node += LANES) {
        let here = rooms[at_spare(room, node)];
        if here < least && try_node(room, task, node).is_possible {
            least = here;
            found = node;
        }
    }
    lane_spare[lane] = least;
    lane_node[lane] = found;
}

// Puts a task on a node, and tells where.
fn put(room: u32, task: u32, node: u32, answer: u32) {
    answers[answer] = node;
    answers[answer + 1u] = 0u;
    answers[answer + 2u] = 0u;
    if node == NOWHERE {
        return;
    }
    let devices = try_node(room, task, node).devices;
    answers[answer + 1u] = u32(devices & 0xFFFFFFFFlu);
    answers[answer + 2u] = u32(devices >> 32u);
    for (var r = 0u; r < p.lanes; r += 1u) {
        let at = room + node * p.lanes + r;
        rooms[at] = rooms[at] - words[p.w_requirement + task * p.lanes + r];
    }
    let taken = words[p.w_device + task];
    for (var d = 0u; d < p.device_width; d += 1u) {
        if has(devices, d) {
            rooms[at_devices(room, node) + d] += taken;
        }
    }
    rooms[at_spare(room, node)] = spare(room, node);
}

// Tasks `drill_from` to `drill_from + drill_tasks` of every scenario; the first turn makes its room.
@compute @workgroup_size(64)
fn drill(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
         @builtin(local_invocation_index) lane: u32) {
    let number = group.x + group.y * groups.x;
    let is_here = number < p.drill_count;
    let record = p.lanes + min(number, p.drill_count - 1u) * SCENARIO_WORDS;
    let first = drills[record];
    let count = select(0u, drills[record + 1u], is_here);
    let room = number * stride();
    if is_here && p.drill_from == 0u {
        for (var i = lane; i < stride(); i += LANES) {
            rooms[room + i] = state[i];
        }
    }
    storageBarrier();
    workgroupBarrier();
    if is_here && p.drill_from == 0u {
        for (var i = lane; i < drills[record + 3u]; i += LANES) {
            let node = drills[drills[record + 2u] + i];
            for (var r = 0u; r < p.lanes; r += 1u) {
                rooms[room + node * p.lanes + r] = bitcast<u32>(FAILED);
            }
        }
    }
    storageBarrier();
    workgroupBarrier();
    for (var turn = 0u; turn < p.drill_tasks; turn += 1u) {
        let i = p.drill_from + turn;
        let is_due = i < count;
        if is_due {
            scan(room, drills[first + i], lane);
        }
        workgroupBarrier();
        for (var reach = LANES / 2u; reach > 0u; reach /= 2u) {
            if lane < reach {
                let other = lane + reach;
                let is_less = lane_spare[other] < lane_spare[lane];
                let is_even = lane_spare[other] == lane_spare[lane];
                if is_less || (is_even && lane_node[other] < lane_node[lane]) {
                    lane_spare[lane] = lane_spare[other];
                    lane_node[lane] = lane_node[other];
                }
            }
            workgroupBarrier();
        }
        if is_due && lane == 0u {
            put(room, drills[first + i], lane_node[0], (first + i - p.drill_lost) * ANSWER_WORDS);
        }
        storageBarrier();
        workgroupBarrier();
    }
}
