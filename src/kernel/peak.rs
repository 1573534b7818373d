//! How many multiply-adds on 32-bit integers can the processor do? The yardstick for all other kernels.
//!
//! ```text
//! Shape   one invocation per chain bundle; 8 independent chains hide the latency of each other
//! ```

/// Chains per invocation.
pub const CHAINS: usize = 8;
/// Steps of each chain per turn of the loop.
pub const UNROLL: u32 = 16;

/// Runs the chains of invocation `start` for `turns` × [`UNROLL`] steps and folds them into one word.
pub fn chains(start: u32, turns: u32) -> u32 {
    let mut chain: [u32; CHAINS] = std::array::from_fn(|i| start.wrapping_add(i as u32));
    for turn in 0..turns {
        for _ in 0..UNROLL {
            for word in &mut chain {
                *word = word.wrapping_mul(1_664_525).wrapping_add(turn);
            }
        }
    }
    chain.iter().fold(0, |fold, word| fold ^ word)
}
