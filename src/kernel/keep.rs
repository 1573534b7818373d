//! Who keeps which domain this round? Members per (group, domain), a keeper block for each, an owner block for each row.
//!
//! ```text
//! Shape   members, keeper [cells]; covered, owner [rows]; placed [groups]; one invocation per placed task with rules
//! Ties    the greatest (hash, block) is keeper or owner: associative and commutative, so any order agrees
//! Source  ours; see bulk/round.rs for why keepers make cross-block rules exact
//! ```

use super::random::mix;

/// Bits of a claim that name a block.
pub const BLOCK_BITS: u32 = 17;
const BLOCK_MASK: u32 = (1 << BLOCK_BITS) - 1;

/// What is present where, and who must keep it.
#[derive(Debug, Default)]
pub struct Presence {
    /// Members present. Shape: cells.
    pub members: Vec<u32>,
    /// Greatest claim. Shape: cells.
    pub keeper: Vec<u32>,
    /// Domains with members. Shape: rows.
    pub covered: Vec<u32>,
    /// Greatest claim; 0 = nobody is present. Shape: rows.
    pub owner: Vec<u32>,
    /// Members placed. Shape: groups.
    pub placed: Vec<u32>,
}

/// A block's claim to something: random, different for every block, never 0 except for block 0 by chance, which then
/// loses to any other claim.
pub fn claim(block: u32, what: u32, salt: u32) -> u32 {
    let word = mix(block.wrapping_mul(0x9E37_79B9) ^ what.wrapping_mul(0x85EB_CA6B) ^ salt);
    (word & !BLOCK_MASK) | block
}

/// The block that made a claim.
pub fn claimant(claim: u32) -> u32 {
    claim & BLOCK_MASK
}

impl Presence {
    /// Books a member of `block` in one row: `cell` is that of its domain.
    #[inline(always)]
    pub fn keep(&mut self, block: u32, row: u32, cell: u32, salt: u32) {
        let members = &mut self.members[cell as usize];
        self.covered[row as usize] += u32::from(*members == 0);
        *members += 1;
        let keeper = &mut self.keeper[cell as usize];
        *keeper = (*keeper).max(claim(block, cell, salt));
        let owner = &mut self.owner[row as usize];
        *owner = (*owner).max(claim(block, !row, salt));
    }
}
