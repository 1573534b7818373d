// What does a node cost, and which devices does a task get?    other half: src/kernel/points.rs
// Shared: joined in front of the kernels that judge candidates. A node is seen as it would be after a change.

const NOBODY: u32 = 0xFFFFFFFFu;
// Utilisation counts up to this in variance terms.
const UTILISATION_MAX: i64 = 4li;

// A node with one task more, one less, or both.
struct Change {
    node: u32,
    plus: u32,
    minus: u32,
    plus_devices: u64,
    minus_devices: u64,
}

struct Fit {
    is_possible: bool,
    devices: u64,
}

// Traits of a task in one word: devices wanted (8 bits), may stop, movable (1 each).
fn device_count(task: u32) -> u32 {
    return words[p.w_traits + task] & 0xFFu;
}

// What it takes of each device.
fn device_word(task: u32) -> u32 {
    return words[p.w_device + task];
}

fn word_signed(at: u32) -> i32 {
    return bitcast<i32>(words[at]);
}

fn requirement(task: u32, r: u32) -> i32 {
    return word_signed(p.w_requirement + task * p.lanes + r);
}

fn used_after(change: Change, r: u32) -> i32 {
    var used = bitcast<i32>(state[p.s_used + change.node * p.lanes + r]);
    if change.plus != NOBODY {
        used += requirement(change.plus, r);
    }
    if change.minus != NOBODY {
        used -= requirement(change.minus, r);
    }
    return used;
}

// What is taken of a device.
fn device_after(change: Change, device: u32) -> u32 {
    var used = state[p.s_device_used + change.node * p.device_width + device];
    if has(change.minus_devices, device) {
        used -= device_word(change.minus);
    }
    if has(change.plus_devices, device) {
        used += device_word(change.plus);
    }
    return used;
}

// Points of a node: load, excess, balance, variance, fragmentation and its price.
fn node_points(change: Change) -> i64 {
    let row = change.node * p.lanes;
    var points = 0li;
    for (var r = 0u; r < p.lanes; r += 1u) {
        let used = used_after(change, r);
        points += i64(max(used - word_signed(p.w_soft + row + r), 0)) * signed_wide(p.d_load_weight + r);
        if p.has_over_weight != 0u {
            points += i64(max(used - word_signed(p.w_capacity + row + r), 0)) * signed_wide(p.d_over_weight + r);
        }
    }
    for (var term = 0u; term < p.balance_count; term += 1u) {
        let one = words[p.w_balance + term * BALANCE_WORDS];
        let other = words[p.w_balance + term * BALANCE_WORDS + 1u];
        let free = i64(word_signed(p.w_capacity + row + one)) - i64(used_after(change, one));
        let free_other = i64(word_signed(p.w_capacity + row + other)) - i64(used_after(change, other));
        let short = signed_wide(p.d_balance_target + term) * free - free_other;
        points += signed_wide(p.d_balance_weight + term) * max(short, 0li);
    }
    for (var term = 0u; term < p.variance_count; term += 1u) {
        points += squared_deviation(change, term);
    }
    if p.mix_count > 0u {
        points += signed_wide(p.d_weights) * fragmentation(change);
    }
    var tasks_here = state[p.s_tasks_here + change.node];
    tasks_here += u32(change.plus != NOBODY);
    tasks_here -= u32(change.minus != NOBODY);
    if tasks_here > 0u {
        points += signed_wide(p.d_price + change.node);
    }
    return points;
}

// Points of one variance term on a node.
fn squared_deviation(change: Change, term: u32) -> i64 {
    let factor = signed_wide(p.d_factors + change.node * p.variance_count + term);
    if factor == 0li {
        return 0li;
    }
    let record = p.w_variance + term * VARIANCE_WORDS;
    let r = words[record];
    let shift = words[record + 1u];
    let most = i64(word_signed(p.w_capacity + change.node * p.lanes + r)) * UTILISATION_MAX;
    let counted = min(i64(used_after(change, r)), most);
    let level = (counted * factor + (1li << (shift - 1u))) >> shift;
    let off = level - i64(words[record + 2u]);
    return off * off;
}

// Σ over the mix of parts · unusable free milli.
fn fragmentation(change: Change) -> i64 {
    let class_ = words[p.w_node_class + change.node];
    let present = wides[p.d_allow + class_];
    var sum = 0li;
    for (var item = 0u; item < p.mix_count; item += 1u) {
        let record = p.w_mix + item * MIX_WORDS;
        let eligible = wides[p.d_allow + words[record] + class_];
        let wanted = words[record + 2u];
        var usable_count = 0u;
        var free_sum = 0u;
        var usable_free = 0u;
        for (var d = 0u; d < p.device_width; d += 1u) {
            let taken = device_after(change, d);
            let free = free_milli(taken);
            let is_present = has(present, d);
            let is_usable = is_present && has(eligible, d) && holds_more(taken, wanted);
            usable_count += u32(is_usable);
            free_sum += select(0u, free, is_present);
            usable_free += select(0u, free, is_usable);
        }
        var hosts = usable_count >= words[record + 1u];
        for (var r = 0u; r < p.lanes; r += 1u) {
            let free = word_signed(p.w_capacity + change.node * p.lanes + r) - used_after(change, r);
            hosts = hosts && word_signed(p.w_mix_requirement + item * p.lanes + r) <= free;
        }
        let lost = free_sum - select(0u, usable_free, hosts);
        sum += signed_wide(p.d_mix_parts + item) * i64(lost);
    }
    return sum;
}

// The devices of `mask` that a request gets: for a fraction the fullest that still fits, for whole ones the first free.
fn fit_devices(change: Change, mask: u64, count: u32, wanted: u32) -> Fit {
    var devices = 0lu;
    var found = 0u;
    var fullest = 0u;
    for (var d = 0u; d < p.device_width; d += 1u) {
        if !has(mask, d) {
            continue;
        }
        let used = device_after(change, d);
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
    if wanted < WHOLE {
        return Fit(found == 1u, devices);
    }
    return Fit(found == count, devices);
}

// Devices a task gets at home: those it had; with simultaneous moves they were never given up.
fn fit_home(change: Change, task: u32) -> Fit {
    let devices = wides[p.d_home_devices + task];
    if p.is_simultaneous != 0u {
        return Fit(true, devices);
    }
    var is_possible = true;
    for (var d = 0u; d < p.device_width; d += 1u) {
        if has(devices, d) {
            is_possible = is_possible && holds_more(device_after(change, d), device_word(task));
        }
    }
    return Fit(is_possible, devices);
}
