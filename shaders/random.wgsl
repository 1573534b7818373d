// Which random number belongs to this candidate?               other half: src/kernel/random.rs
// Shared: joined in front of the kernels that draw numbers.    Source  pcg3d of Jarzynski and Olano, JCGT 9(3), 2020

fn pcg3d(counters: vec3<u32>) -> vec3<u32> {
    var v = counters * 1664525u + 1013904223u;
    v.x += v.y * v.z;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v ^= v >> vec3<u32>(16u);
    v.x += v.y * v.z;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    return v;
}

fn mix_word(start: u32) -> u32 {
    var word = start;
    word ^= word >> 16u;
    word *= 0x7FEB352Du;
    word ^= word >> 15u;
    word *= 0x846CA68Bu;
    return word ^ (word >> 16u);
}

// A number below `count`: the high half of the product.
fn below(word: u32, count: u32) -> u32 {
    return u32((u64(word) * u64(count)) >> 32u);
}
