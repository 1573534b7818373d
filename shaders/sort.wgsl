// In which order do values come when sorted by key?            other half: src/kernel/sort.rs
// Shape   keys, values [sort_length]; histogram [tiles][256]; one workgroup per tile of 2,048 (sort_count, sort_scatter),
//         one in all (sort_scan)
// Ties    stable, so there is exactly one answer
// Source  least significant digit first, 8 bits at a time (Knuth, TAOCP 3, 5.2.5)

const DIGITS: u32 = 256u;
const TILE: u32 = 2048u;

@group(0) @binding(4) var<storage, read_write> round: array<u32>;

var<workgroup> digits: array<u32, DIGITS>;
var<workgroup> offsets: array<atomic<u32>, DIGITS>;

fn digit_of(i: u32) -> u32 {
    return (round[p.sort_keys + i] >> p.sort_shift) & (DIGITS - 1u);
}

// How often does each digit occur in each tile?
@compute @workgroup_size(256)
fn sort_count(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
              @builtin(local_invocation_index) lane: u32) {
    let tile = group.x + group.y * groups.x;
    atomicStore(&offsets[lane], 0u);
    workgroupBarrier();
    for (var step = 0u; step < TILE; step += DIGITS) {
        let i = tile * TILE + step + lane;
        if i < p.sort_length {
            atomicAdd(&offsets[digit_of(i)], 1u);
        }
    }
    workgroupBarrier();
    if tile * TILE < p.sort_length {
        round[p.r_histogram + tile * DIGITS + lane] = atomicLoad(&offsets[lane]);
    }
}

// Where does each digit of each tile begin? One lane per digit.
@compute @workgroup_size(256)
fn sort_scan(@builtin(local_invocation_index) lane: u32) {
    let tiles = (p.sort_length + TILE - 1u) / TILE;
    var sum = 0u;
    for (var tile = 0u; tile < tiles; tile += 1u) {
        sum += round[p.r_histogram + tile * DIGITS + lane];
    }
    digits[lane] = sum;
    workgroupBarrier();
    var begin = 0u;
    for (var digit = 0u; digit < lane; digit += 1u) {
        begin += digits[digit];
    }
    for (var tile = 0u; tile < tiles; tile += 1u) {
        let slot = p.r_histogram + tile * DIGITS + lane;
        let count = round[slot];
        round[slot] = begin;
        begin += count;
    }
}

// Moves every value to its place.
@compute @workgroup_size(256)
fn sort_scatter(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
                @builtin(local_invocation_index) lane: u32) {
    let tile = group.x + group.y * groups.x;
    if tile * TILE < p.sort_length {
        atomicStore(&offsets[lane], round[p.r_histogram + tile * DIGITS + lane]);
    }
    for (var step = 0u; step < TILE; step += DIGITS) {
        let i = tile * TILE + step + lane;
        let is_here = i < p.sort_length;
        var digit = DIGITS;
        if is_here {
            digit = digit_of(i);
        }
        digits[lane] = digit;
        workgroupBarrier();
        if is_here {
            var before = 0u;
            for (var other = 0u; other < lane; other += 1u) {
                before += u32(digits[other] == digit);
            }
            let place = atomicLoad(&offsets[digit]) + before;
            round[p.sort_out_keys + place] = round[p.sort_keys + i];
            round[p.sort_out_values + place] = round[p.sort_values + i];
        }
        workgroupBarrier();
        if is_here {
            atomicAdd(&offsets[digit], 1u);
        }
        workgroupBarrier();
    }
}
