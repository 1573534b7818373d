// Where does each kind of task pay least?                     other half: src/kernel/price.rs
// Shape   one invocation per kind of the tile and chunk of places; out: the cheapest place per invocation
// Units   1/denominator points, i64                            Range   as in price.rs
// Ties    least (cost, place): associative and commutative, so any order of reduction agrees
// Buffers words: masks, then row of mask and row of moves per kind; wides: requirements, then moves. node_count = places,
//         lanes = columns.

const LANES: u32 = 64u;
const CHUNK: u32 = 1024u;
// Cost, place.
const CHEAPEST_WIDES: u32 = 2u;

@group(0) @binding(4) var<storage, read_write> prices: array<i64>;
@group(0) @binding(8) var<storage, read_write> results: array<i64>;

@compute @workgroup_size(64)
fn price(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
         @builtin(local_invocation_index) lane: u32) {
    let number = group.x + group.y * groups.x;
    let entry = (number / p.tile_chunks) * LANES + lane;
    let chunk = number % p.tile_chunks;
    if entry >= p.tile_count {
        return;
    }
    let kind = p.kind_first + entry;
    let mask = words[p.w_kind_mask + kind] * p.mask_words;
    let row = words[p.w_kind_from + kind];
    let requirement = kind * p.lanes;
    let end = min((chunk + 1u) * CHUNK, p.node_count);
    let denominator = i64(wide(p.denominator_low, p.denominator_high));
    var least = 0li;
    var best = NOWHERE;
    for (var place = chunk * CHUNK; place < end; place += 1u) {
        if ((words[mask + place / 32u] >> (place % 32u)) & 1u) == 0u {
            continue;
        }
        var cost = 0li;
        if row != NOWHERE {
            cost = signed_wide(p.d_kind_moves + row * p.node_count + place) * denominator;
        }
        for (var c = 0u; c < p.lanes; c += 1u) {
            cost += prices[place * p.lanes + c] * signed_wide(requirement + c);
        }
        if best == NOWHERE || cost < least {
            least = cost;
            best = place;
        }
    }
    let out = (entry * p.tile_chunks + chunk) * CHEAPEST_WIDES;
    results[out] = least;
    results[out + 1u] = i64(best);
}
