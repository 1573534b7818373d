//! Which random numbers does a test use? splitmix64, with a seed that is printed on failure and can be replayed.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014).
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// Another stream from here; this one goes on as it would.
    pub fn fork(&self) -> Rng {
        Rng(self.0 ^ 0x6d65_6d6f_7279)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to `count` − 1; the bias is below 2^−40 for the counts used here.
    pub fn below(&mut self, count: usize) -> usize {
        assert!(count > 0, "nothing to choose from");
        (self.next() % count as u64) as usize
    }

    /// `low` to `high`, both included.
    pub fn range(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as usize) as i64
    }

    /// True `percent` times out of a hundred.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    /// 0 to `count` − 1 in random order.
    pub fn order(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for i in (1..count).rev() {
            order.swap(i, self.below(i + 1));
        }
        order
    }
}

/// Runs a property on `count` seeds, `BAYPLAN_TEST_TIMES` as many, or only on the one in `BAYPLAN_TEST_SEED`; a failure names its seed.
pub fn for_seeds(name: &str, count: u64, property: impl Fn(u64, &mut Rng)) {
    let replay = std::env::var("BAYPLAN_TEST_SEED").ok();
    let replay = replay.map(|text| text.parse::<u64>().expect("BAYPLAN_TEST_SEED is a whole number"));
    let times = std::env::var("BAYPLAN_TEST_TIMES").map_or(1, |text| text.parse::<u64>().expect("a whole number"));
    let seeds = replay.map_or(0..count * times, |seed| seed..seed + 1);
    for seed in seeds {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| property(seed, &mut Rng::new(seed)))) {
            eprintln!("{name} fails with seed {seed}; replay it with BAYPLAN_TEST_SEED={seed}");
            resume_unwind(panic);
        }
    }
}
