//! Where does chance come from in synthetic clusters and simulated runs? splitmix64 streams, and integer draws from them. (The search
//! draws from `kernel/random.rs`: its numbers must not depend on the order of execution.)
//!
//! No f64 anywhere: the same seed must give the same bytes on every platform, and rounding of exp() and ln() differs between
//! them. Each purpose has a stream of its own, so that one more draw for nodes does not change every task.

/// What a stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Kinds of nodes and what they have.
    Nodes = 1,
    /// How full each node is.
    Loads = 2,
    /// How large tasks are.
    Sizes = 3,
    /// What tasks are worth.
    Weights = 4,
    /// Who belongs together.
    Groups = 5,
    /// Which devices are asked for.
    Devices = 6,
    /// The order of tasks in the file.
    Order = 7,
    /// What happens in a simulated run.
    Events = 8,
}

/// A stream of random numbers: splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014).
#[derive(Debug, Clone)]
pub struct Random(u64);

/// log2(e) in 65536ths.
const LOG2_E: i64 = 94_548;
/// Mean of the sum of twelve 16-bit draws; its standard deviation is 65,536, by the choice of twelve.
const TWELVE_MEAN: i64 = 12 * 65_535 / 2;
/// No draw is further from the median than a factor of 2^12: the limit only keeps shifts in range.
const EXPONENT_MAX: i64 = 12 << 16;

impl Random {
    /// The stream of a seed for one purpose.
    pub fn new(seed: u64, purpose: Purpose) -> Random {
        let mut start = Random(seed);
        let first = start.next();
        Random(first ^ (purpose as u64).wrapping_mul(0xd6e8_feb8_6659_fd93))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to `count` − 1; the bias is below 2^−38 for the counts that occur here.
    ///
    /// # Panics
    /// When there is nothing to choose from.
    pub fn below(&mut self, count: usize) -> usize {
        assert!(count > 0, "nothing to choose from");
        ((u128::from(self.next()) * count as u128) >> 64) as usize
    }

    /// `low` to `high`, both included.
    pub fn range(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as usize) as i64
    }

    /// True `per_mille` times out of a thousand.
    pub fn chance(&mut self, per_mille: i64) -> bool {
        self.range(0, 999) < per_mille
    }

    /// One of the list; a value listed twice is twice as likely.
    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    /// Log-normal, near enough: `median` times e^(`sigma_percent`/100 · z), where z is the sum of twelve uniform draws.
    pub fn log_normal(&mut self, median: i64, sigma_percent: i64) -> i64 {
        let sum: i64 = (0..3)
            .map(|_| self.next())
            .map(|word| (0..4).map(|k| (word >> (16 * k) & 0xffff) as i64).sum::<i64>())
            .sum();
        let exponent = (sum - TWELVE_MEAN) * sigma_percent / 100 * LOG2_E / 65_536;
        times_power_of_two(median, exponent.clamp(-EXPONENT_MAX, EXPONENT_MAX))
    }

    /// Every order is equally likely.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            list.swap(i, self.below(i + 1));
        }
    }
}

/// `value` · 2^(`exponent` / 65,536), at least 1. 2^f on [0, 1) is a cubic that is exact at both ends and off by less than
/// 2 in 10,000 between them.
fn times_power_of_two(value: i64, exponent: i64) -> i64 {
    let (whole, f) = (exponent.div_euclid(65_536), exponent.rem_euclid(65_536));
    let cubic = 65_536 + f * (45_593 + f * (14_817 + f * 5_126 / 65_536) / 65_536) / 65_536;
    let scaled = i128::from(value) * i128::from(cubic);
    let shift = 16 - whole;
    let result = if shift >= 0 { scaled >> shift } else { scaled << -shift };
    (result as i64).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_are_close_and_exact_at_whole_exponents() {
        for whole in -4..=12i64 {
            let expected = if whole < 0 { 1_000_000 >> -whole } else { 1_000_000 << whole };
            assert_eq!(times_power_of_two(1_000_000, whole << 16), expected);
        }
        for exponent in (-200_000..200_000).step_by(1777) {
            let exact = 1e6 * (exponent as f64 / 65_536.0).exp2();
            let error = (times_power_of_two(1_000_000, exponent) as f64 / exact - 1.0).abs();
            assert!(error < 3e-4, "2^({exponent}/65536) is off by {error}");
        }
    }

    #[test]
    fn draws_have_the_shape_they_promise() {
        let mut random = Random::new(7, Purpose::Sizes);
        let mut draws: Vec<i64> = (0..20_001).map(|_| random.log_normal(10_000, 100)).collect();
        draws.sort_unstable();
        assert!((9_700..10_300).contains(&draws[10_000]), "median {}", draws[10_000]);
        let ratio = draws[16_827] as f64 / draws[10_000] as f64;
        assert!((2.6..2.85).contains(&ratio), "one standard deviation up is a factor of e, not {ratio}");
        assert_eq!((0..1000).filter(|_| random.chance(1000)).count(), 1000);
        assert_eq!((0..1000).filter(|_| random.chance(0)).count(), 0);
        assert!((0..1000).all(|_| (3..=5).contains(&random.range(3, 5))));
    }

    #[test]
    fn streams_differ_by_seed_and_purpose_and_repeat() {
        let first = |seed, purpose| Random::new(seed, purpose).next();
        assert_eq!(first(1, Purpose::Nodes), first(1, Purpose::Nodes));
        assert_ne!(first(1, Purpose::Nodes), first(2, Purpose::Nodes));
        assert_ne!(first(1, Purpose::Nodes), first(1, Purpose::Loads));
    }
}
