// Into which block does each node and task go this round?      other half: src/kernel/cut.rs
// Shape   one invocation per word (clear), task (link, task_key), node (node_key, index_nodes), listed task (index_tasks)
// Ties    the greatest (hash, node) wins a pick, so any order of invocations agrees

const NODE_MASK: u32 = 0x3FFFFFu;

@group(0) @binding(4) var<storage, read_write> round: array<atomic<u32>>;
@group(0) @binding(5) var<storage, read_write> counts: array<u32>;
@group(0) @binding(7) var<storage, read_write> control: array<u32>;

fn rank(node: u32) -> u32 {
    return mix_word((node * 0x9E3779B9u) ^ p.salt_1);
}

// Empties what the round counts up from nothing: picks, presence, the mark of the tables.
@compute @workgroup_size(64)
fn clear(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
         @builtin(local_invocation_index) lane: u32) {
    let i = (group.x + group.y * groups.x) * 64u + lane;
    if i < p.node_count {
        atomicStore(&round[p.r_pick + i], 0u);
    }
    if i < p.counts_length {
        counts[i] = 0u;
    }
    if i == 0u {
        control[0] = 0u;
    }
}

@compute @workgroup_size(64)
fn link(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = (group.x + group.y * groups.x) * 64u + lane;
    if i >= p.movable_count {
        return;
    }
    let task = words[p.w_order + i];
    let at = state[p.s_at + task];
    let home = words[p.w_home + task];
    if at == NOWHERE || home == NOWHERE || at == home {
        return;
    }
    let rank_at = rank(at);
    let rank_home = rank(home);
    let at_is_lower = rank_at < rank_home || (rank_at == rank_home && at < home);
    let low = select(home, at, at_is_lower);
    let high = select(at, home, at_is_lower);
    let offer = (mix_word((task * 0x85EBCA6Bu) ^ p.salt_0) & ~NODE_MASK) | high;
    atomicMax(&round[p.r_pick + low], offer);
}

@compute @workgroup_size(64)
fn node_key(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
            @builtin(local_invocation_index) lane: u32) {
    let node = (group.x + group.y * groups.x) * 64u + lane;
    if node >= p.node_count {
        return;
    }
    var root = node;
    loop {
        let pick = atomicLoad(&round[p.r_pick + root]);
        if pick == 0u {
            break;
        }
        root = pick & NODE_MASK;
    }
    atomicStore(&round[p.r_node_keys + node], mix_word((root * 0xC2B2AE35u) ^ p.salt_2) >> 16u);
    atomicStore(&round[p.r_node_values + node], node);
}

// Where each node ended up among the sorted ones: its block, and its index there.
@compute @workgroup_size(64)
fn index_nodes(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
               @builtin(local_invocation_index) lane: u32) {
    let position = (group.x + group.y * groups.x) * 64u + lane;
    if position >= p.node_count {
        return;
    }
    let node = atomicLoad(&round[p.r_nodes + position]);
    atomicStore(&round[p.r_block_of + node], position / p.block_nodes);
    atomicStore(&round[p.r_local_of + node], position % p.block_nodes);
}

@compute @workgroup_size(64)
fn task_key(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
            @builtin(local_invocation_index) lane: u32) {
    let i = (group.x + group.y * groups.x) * 64u + lane;
    if i >= p.order_count {
        return;
    }
    let task = words[p.w_order + i];
    let at = state[p.s_at + task];
    var key = 0u;
    if at == NOWHERE {
        key = below(mix_word((task * 0x27D4EB2Fu) ^ p.salt_1), p.block_count);
    } else {
        key = atomicLoad(&round[p.r_block_of + at]);
    }
    atomicStore(&round[p.r_task_keys + i], key);
    atomicStore(&round[p.r_task_values + i], task);
}

// Where each block's tasks begin among the sorted ones; one invocation per listed task and one more.
@compute @workgroup_size(64)
fn index_tasks(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
               @builtin(local_invocation_index) lane: u32) {
    let position = (group.x + group.y * groups.x) * 64u + lane;
    if position > p.order_count {
        return;
    }
    var block = 0u;
    if position > 0u {
        block = atomicLoad(&round[p.r_sorted_keys + position - 1u]) + 1u;
    }
    var end = p.block_count;
    if position < p.order_count {
        end = atomicLoad(&round[p.r_sorted_keys + position]);
    }
    for (; block <= end; block += 1u) {
        atomicStore(&round[p.r_first + block], position);
    }
}
