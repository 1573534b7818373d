// What did the round bring, and is it the best so far?         other half: src/kernel/tally.rs
// Shape   one workgroup over all blocks and groups (tally), one invocation per task (keep_best)
// Ties    sums and greatest values only, so any order of lanes agrees

const LANES: u32 = 256u;

@group(0) @binding(7) var<storage, read_write> control: array<u32>;
@group(0) @binding(8) var<storage, read_write> results: array<i64>;

var<workgroup> lane_delta: array<i64, LANES>;
var<workgroup> lane_displaced: array<i64, LANES>;
var<workgroup> lane_evaluations: array<i64, LANES>;
var<workgroup> lane_overfull: array<i64, LANES>;
var<workgroup> lane_moved: array<u32, LANES>;

@compute @workgroup_size(256)
fn tally(@builtin(local_invocation_index) lane: u32) {
    var delta = 0li;
    var displaced = 0li;
    var evaluations = 0li;
    var overfull = 0li;
    for (var block = lane; block < p.block_count; block += LANES) {
        delta += results[RESULT_BLOCKS + block * RESULT_WIDES];
        displaced += results[RESULT_BLOCKS + block * RESULT_WIDES + 1u];
        evaluations += results[RESULT_BLOCKS + block * RESULT_WIDES + 2u];
        overfull += results[RESULT_BLOCKS + block * RESULT_WIDES + 3u];
    }
    var moved = 0u;
    if p.counts_group_moves != 0u {
        for (var group = lane; group < p.group_count; group += LANES) {
            moved = max(moved, control[CONTROL_MOVED + group]);
        }
    }
    lane_delta[lane] = delta;
    lane_displaced[lane] = displaced;
    lane_evaluations[lane] = evaluations;
    lane_overfull[lane] = overfull;
    lane_moved[lane] = moved;
    workgroupBarrier();
    if lane > 0u {
        return;
    }
    for (var other = 1u; other < LANES; other += 1u) {
        delta += lane_delta[other];
        displaced += lane_displaced[other];
        evaluations += lane_evaluations[other];
        overfull += lane_overfull[other];
        moved = max(moved, lane_moved[other]);
    }
    let group_points = signed_wide(p.d_weights + 1u) * i64(moved);
    let points = results[0] + delta + group_points - results[5];
    displaced += results[1];
    results[0] = points;
    results[1] = displaced;
    results[2] += evaluations;
    results[5] = group_points;
    results[6] = overfull;
    let is_less = points < results[3] || (points == results[3] && displaced < results[4]);
    let is_best = overfull == 0li && displaced <= i64(p.displaced_max) && is_less;
    if is_best {
        results[3] = points;
        results[4] = displaced;
    }
    control[2] = u32(is_best);
}

@compute @workgroup_size(64)
fn keep_best(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
             @builtin(local_invocation_index) lane: u32) {
    let task = (group.x + group.y * groups.x) * 64u + lane;
    if task >= p.task_count || control[2] == 0u {
        return;
    }
    state[p.s_best_at + task] = state[p.s_at + task];
    state[p.s_best_devices + 2u * task] = state[p.s_devices + 2u * task];
    state[p.s_best_devices + 2u * task + 1u] = state[p.s_devices + 2u * task + 1u];
}
