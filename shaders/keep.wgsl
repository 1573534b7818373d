// Who keeps which domain this round?                           other half: src/kernel/keep.rs
// Shape   members, keeper [cells]; covered, owner [rows]; placed [groups]; one invocation per listed task
// Ties    the greatest (hash, block) is keeper or owner, so any order of invocations agrees

@group(0) @binding(4) var<storage, read_write> round: array<u32>;
@group(0) @binding(5) var<storage, read_write> counts: array<atomic<u32>>;

fn claim_of(block: u32, thing: u32) -> u32 {
    return (mix_word((block * 0x9E3779B9u) ^ (thing * 0x85EBCA6Bu) ^ p.salt_2) & ~BLOCK_MASK) | block;
}

@compute @workgroup_size(64)
fn keep(@builtin(workgroup_id) group_id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = (group_id.x + group_id.y * groups.x) * 64u + lane;
    if i >= p.order_count {
        return;
    }
    let task = words[p.w_order + i];
    let group = words[p.w_group + task];
    let node = state[p.s_at + task];
    if group == NOWHERE || node == NOWHERE {
        return;
    }
    atomicAdd(&counts[p.c_placed + group], 1u);
    let block = round[p.r_block_of + node];
    let first = words[p.w_groups + group * GROUP_WORDS];
    let end = first + words[p.w_groups + group * GROUP_WORDS + 1u];
    for (var row = first; row < end; row += 1u) {
        let record = p.w_rows + row * ROW_WORDS;
        let domain = words[p.w_domain + words[record] * p.node_count + node];
        let cell = words[record + 1u] + domain;
        if atomicAdd(&counts[p.c_members + cell], 1u) == 0u {
            atomicAdd(&counts[p.c_covered + row], 1u);
        }
        atomicMax(&counts[p.c_keeper + cell], claim_of(block, cell));
        atomicMax(&counts[p.c_owner + row], claim_of(block, ~row));
    }
}
