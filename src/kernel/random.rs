//! Which random number belongs to this candidate? Counter-based randomness and the acceptance table.
//!
//! A number depends only on (seed, round, block, counter), never on the order of execution, so that any number of threads
//! and any device draw the same ones. Only 32-bit integer operations, which WGSL has too.
//! Source: pcg3d of Jarzynski and Olano, "Hash Functions for GPU Rendering", JCGT 9(3), 2020.

/// log2 of the number of entries of [`LN_TABLE`].
pub const LN_BITS: u32 = 12;

/// −ln((i + ½) / 4096) · 2^16, i = 0 … 4095: `T · LN_TABLE[u] >> 16` is the threshold of a Metropolis step at temperature T.
pub static LN_TABLE: std::sync::LazyLock<[i32; 1 << LN_BITS]> = std::sync::LazyLock::new(ln_table);

/// Three well-mixed words from three counters.
#[inline(always)]
pub fn pcg3d(x: u32, y: u32, z: u32) -> [u32; 3] {
    let step = |v: u32| v.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    let (mut x, mut y, mut z) = (step(x), step(y), step(z));
    x = x.wrapping_add(y.wrapping_mul(z));
    y = y.wrapping_add(z.wrapping_mul(x));
    z = z.wrapping_add(x.wrapping_mul(y));
    x ^= x >> 16;
    y ^= y >> 16;
    z ^= z >> 16;
    x = x.wrapping_add(y.wrapping_mul(z));
    y = y.wrapping_add(z.wrapping_mul(x));
    z = z.wrapping_add(x.wrapping_mul(y));
    [x, y, z]
}

/// A well-mixed word from one word (lowbias32 of C. Wellons' hash prospector, 2018).
#[inline(always)]
pub fn mix(mut word: u32) -> u32 {
    word ^= word >> 16;
    word = word.wrapping_mul(0x7FEB_352D);
    word ^= word >> 15;
    word = word.wrapping_mul(0x846C_A68B);
    word ^ word >> 16
}

/// A number below `count` from a random word, by the high half of the product (Lemire 2019, without rejection: the bias is
/// below count / 2^32).
#[inline(always)]
pub fn below(word: u32, count: u32) -> u32 {
    ((u64::from(word) * u64::from(count)) >> 32) as u32
}

/// 2^(x / 65536) · 256 for x from −8 · 65536 to 51 · 65536 (clamped), in integers, so that temperatures are the same on
/// every platform: 1 to 2^59.
pub fn exp2_q16(x: i64) -> i64 {
    // 2^(2^-k) in 2^30 fixed point, k = 1 … 16, each the square root of the one before.
    static ROOTS: std::sync::LazyLock<[u64; 16]> = std::sync::LazyLock::new(|| {
        let mut last = 2u64 << 30;
        std::array::from_fn(|_| {
            last = (last << 30).isqrt();
            last
        })
    });
    let x = x.clamp(EXPONENT_MIN, EXPONENT_MAX) - EXPONENT_MIN;
    let mut mantissa = 1u64 << 30;
    for (k, root) in ROOTS.iter().enumerate() {
        if x >> (15 - k) & 1 == 1 {
            mantissa = (mantissa * root) >> 30;
        }
    }
    ((u128::from(mantissa) << (x >> 16)) >> 30) as i64
}

const EXPONENT_MIN: i64 = -(8 << 16);
const EXPONENT_MAX: i64 = 51 << 16;

/// log2(x / 256) · 65536 for x ≥ 1, rounded down: the inverse of [`exp2_q16`], by bisection.
pub fn log2_q16(x: i64) -> i64 {
    let (mut low, mut high) = (EXPONENT_MIN, EXPONENT_MAX);
    while high - low > 1 {
        let middle = (low + high).div_euclid(2);
        if exp2_q16(middle) <= x { low = middle } else { high = middle }
    }
    low
}

/// The table in integers only, so that it is the same on every platform: ln by the series of artanh on 2^60 fixed point.
fn ln_table() -> [i32; 1 << LN_BITS] {
    const ONE: i128 = 1 << 60;
    // ln(a / b) = 2 artanh((a − b) / (a + b)), for a / b between 1 and 2.
    let ln_ratio = |a: i128, b: i128| {
        let z = (a - b) * ONE / (a + b);
        let (mut power, mut sum, mut k) = (z, 0, 1);
        while power != 0 {
            sum += power / k;
            power = (power * z / ONE) * z / ONE;
            k += 2;
        }
        2 * sum
    };
    let ln_two = ln_ratio(2, 1);
    let mut table = [0; 1 << LN_BITS];
    for (i, entry) in table.iter_mut().enumerate() {
        // u = (2i + 1) / 8192; write 8192 / (2i + 1) as 2^halvings · ratio with 1 ≤ ratio < 2.
        let (mut bottom, mut halvings) = (2 * i as i128 + 1, 0);
        while bottom * 2 <= 8192 {
            bottom *= 2;
            halvings += 1;
        }
        let ln = halvings * ln_two + ln_ratio(8192, bottom);
        *entry = (ln >> 44) as i32;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_minus_ln() {
        for (i, entry) in LN_TABLE.iter().enumerate() {
            let exact = -((i as f64 + 0.5) / 4096.0).ln() * 65536.0;
            assert!((f64::from(*entry) - exact).abs() < 1.0, "{i}: {entry} for {exact}");
        }
    }

    #[test]
    fn powers_of_two_and_their_logarithms() {
        for (x, expected) in [
            (-(8 << 16), 1.0),
            (-(3 << 16), 32.0),
            (0, 256.0),
            (65_536, 512.0),
            (32_768, 362.038_67),
            (40 << 16, 2.0f64.powi(48)),
        ] {
            let found = exp2_q16(x) as f64;
            assert!((found / expected - 1.0).abs() < 1e-2, "{x}: {found} for {expected}");
            // One step up is log2((n + 1) / n), 65,536 units for n = 1 and 369 for 256.
            let step = ((found + 1.0) / found).log2() * 65_536.0;
            assert!((log2_q16(exp2_q16(x)) - x).abs() as f64 <= step + 1.0);
        }
    }

    #[test]
    fn words_are_spread_evenly() {
        let mut counts = [0u32; 16];
        for i in 0..160_000 {
            for word in pcg3d(i, 7, 3) {
                counts[below(word, 16) as usize] += 1;
            }
        }
        assert!(counts.iter().all(|count| (29_000..31_000).contains(count)), "{counts:?}");
    }
}
