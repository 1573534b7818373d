// How many multiply-adds on 32-bit integers can the device do? other half: src/kernel/peak.rs
// Shape   one invocation per bundle of 8 independent chains; tile_count invocations, tile_chunks turns

const UNROLL: u32 = 16u;

@group(0) @binding(4) var<storage, read_write> round: array<u32>;

@compute @workgroup_size(64)
fn peak(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let start = (group.x + group.y * groups.x) * 64u + lane;
    if start >= p.tile_count {
        return;
    }
    var low = vec4<u32>(start) + vec4<u32>(0u, 1u, 2u, 3u);
    var high = vec4<u32>(start) + vec4<u32>(4u, 5u, 6u, 7u);
    for (var turn = 0u; turn < p.tile_chunks; turn += 1u) {
        for (var step = 0u; step < UNROLL; step += 1u) {
            low = low * 1664525u + turn;
            high = high * 1664525u + turn;
        }
    }
    let fold = low ^ high;
    round[start] = fold.x ^ fold.y ^ fold.z ^ fold.w;
}
