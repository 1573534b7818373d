// Which node is best for each task of a tile?                  other half: src/kernel/score.rs
// Shape   one workgroup per task of the tile and chunk of nodes; out: best target per workgroup
// Units   quanta i32, points i64                               Range   as in anneal.wgsl
// Ties    least (points, leftover, node): associative and commutative, so any order of reduction agrees

const LANES: u32 = 64u;
const CHUNK: u32 = 1024u;
// Points, leftover, node, devices.
const TARGET_WIDES: u32 = 4u;

@group(0) @binding(4) var<storage, read_write> tile: array<u32>;
@group(0) @binding(6) var<storage, read_write> closed: array<u32>;
@group(0) @binding(8) var<storage, read_write> results: array<i64>;

struct Candidate {
    points: i64,
    leftover: i64,
    node: u32,
    devices: u64,
}

var<workgroup> lane_best: array<Candidate, LANES>;

fn is_less(a: Candidate, b: Candidate) -> bool {
    if a.node == NOWHERE || b.node == NOWHERE {
        return a.node < b.node;
    }
    if a.points != b.points {
        return a.points < b.points;
    }
    return a.leftover < b.leftover || (a.leftover == b.leftover && a.node < b.node);
}

// What it would mean to put a task on a node; node = NOWHERE when it does not fit.
fn judge(task: u32, node: u32) -> Candidate {
    let nothing = Candidate(0li, 0li, NOWHERE, 0lu);
    let home = words[p.w_home + task];
    let is_home = home == node;
    var room = 0;
    var leftover = 0li;
    for (var r = 0u; r < p.lanes; r += 1u) {
        let limit = word_signed(p.w_limit + node * p.lanes + r);
        let transient = select(0, word_signed(p.w_transient + r), is_home);
        let held = bitcast<i32>(state[p.s_held + node * p.lanes + r]);
        let left = limit - held - (requirement(task, r) & ~transient);
        room |= left;
        if limit > 0 {
            leftover += (i64(max(left, 0)) << 10u) / i64(limit);
        }
    }
    let class_ = words[p.w_node_class + node];
    let mask = wides[p.d_allow + words[p.w_class_row + task] + class_];
    if room < 0 || (mask == 0lu && !is_home) {
        return nothing;
    }
    let before = Change(node, NOBODY, NOBODY, 0lu, 0lu);
    var fitted = Fit(true, 0lu);
    if device_count(task) > 0u {
        if is_home {
            fitted = fit_home(before, task);
        } else {
            fitted = fit_devices(before, mask, device_count(task), device_word(task));
        }
        for (var d = 0u; d < p.device_width; d += 1u) {
            if has(mask, d) {
                leftover += i64(free_milli(device_after(before, d)));
            }
        }
    }
    if !fitted.is_possible {
        return nothing;
    }
    var points = node_points(Change(node, task, NOBODY, fitted.devices, 0lu)) - node_points(before);
    if home != NOWHERE && !is_home {
        let pair = words[p.w_pair_row + task] + words[p.w_move_class + node];
        points += signed_wide(p.d_move_points + task) + signed_wide(p.d_pair + pair);
    }
    return Candidate(points, leftover, node, fitted.devices);
}

@compute @workgroup_size(64)
fn score(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
         @builtin(local_invocation_index) lane: u32) {
    let number = group.x + group.y * groups.x;
    let entry = number / p.tile_chunks;
    let chunk = number % p.tile_chunks;
    let is_here = entry < p.tile_count;
    var best = Candidate(0li, 0li, NOWHERE, 0lu);
    if is_here {
        let task = tile[2u * entry];
        let bits = tile[2u * entry + 1u];
        let end = min((chunk + 1u) * CHUNK, p.node_count);
        for (var node = chunk * CHUNK + lane; node < end; node += LANES) {
            if bits != NOWHERE && ((closed[bits + node / 32u] >> (node % 32u)) & 1u) != 0u {
                continue;
            }
            let candidate = judge(task, node);
            if is_less(candidate, best) {
                best = candidate;
            }
        }
    }
    lane_best[lane] = best;
    workgroupBarrier();
    for (var stride = LANES / 2u; stride > 0u; stride /= 2u) {
        if lane < stride && is_less(lane_best[lane + stride], lane_best[lane]) {
            lane_best[lane] = lane_best[lane + stride];
        }
        workgroupBarrier();
    }
    if lane == 0u && is_here {
        let out = (entry * p.tile_chunks + chunk) * TARGET_WIDES;
        results[out] = lane_best[0].points;
        results[out + 1u] = lane_best[0].leftover;
        results[out + 2u] = i64(lane_best[0].node);
        results[out + 3u] = i64(lane_best[0].devices);
    }
}
