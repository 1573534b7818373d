//! How far is a node's utilisation from the cluster's, squared? The one definition of the variance term, in integers.
//!
//! ```text
//! target_r   = min(1, Σ_task requirement / Σ_node allocatable)             of every task, running or waiting
//! variance   = Σ_r weight_r · Σ_{node with any of r} (used / allocatable − target_r)²
//! ```
//!
//! A node without a resource has no utilisation of it and does not count. The target is fixed, so that the term is a sum
//! over nodes and one move changes two summands. It is the utilisation of every node of a perfectly even cluster that runs
//! everything, so it is also where the variance in the statistical sense is 0, whatever the capacities; elsewhere the
//! term is never less than the number of nodes times that variance, since the mean is the point of least squares.
//!
//! In integers, the root of the weight goes into the utilisation before it is squared, which needs no wide product:
//!
//! ```text
//! root       = ⌊√(weight · 2^20)⌋                                          √weight in 1,024ths
//! bits       = bit length of the largest allocatable amount
//! factor_j   = ⌊root · 2^bits / allocatable_j⌋
//! level_j    = ⌊min(used_j, 4 · allocatable_j) · factor_j / 2^(bits + 10) + ½⌋
//! mark       = ⌊root · target / 2^10 + ½⌋
//! points     = Σ_j (level_j − mark)²
//! ```
//!
//! A level is √weight times the utilisation, whole, so a weight of w tells utilisations apart that differ by 1/√w. Utilisation
//! counts up to 4: beyond, a node is so far above its capacity that repair comes first.
//!
//! Range: with amounts below 2^30 and weights up to 2^40 a product stays below 2^2 · 2^30 · 2^30, a level below 2^22 and a
//! node's points below 2^44, so kernels have it all in 64 bits. Here shares make it 128.

use super::{Problem, ResourceId, SHARE_ONE};

/// Bits of the fraction of a root.
pub const ROOT_BITS: u32 = 10;
/// Utilisation counts up to this.
pub const UTILISATION_MAX: i64 = 4;

/// The term of one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variance {
    /// Whose utilisation.
    pub resource: ResourceId,
    /// √weight in 1,024ths.
    pub root: i64,
    /// Bit length of the largest allocatable amount.
    pub bits: u32,
    /// The level that every node should have.
    pub mark: i64,
}

impl Variance {
    /// The term for a weight, the largest and the total allocatable amount, and the total required. `None` when it is
    /// always 0: no weight, or no node with any.
    pub fn new(resource: ResourceId, weight: i64, largest: i64, total: i128, required: i128) -> Option<Variance> {
        if weight == 0 || largest == 0 {
            return None;
        }
        let root = (i128::from(weight) << (2 * ROOT_BITS)).isqrt();
        let doubled = 2 * root * required.min(total);
        let mark = (doubled + (total << ROOT_BITS)) / (total << (ROOT_BITS + 1));
        Some(Variance { resource, root: root as i64, bits: 64 - largest.leading_zeros(), mark: mark as i64 })
    }

    /// What a used amount is multiplied by; 0 where there is nothing to use.
    pub fn factor(&self, allocatable: i64) -> i128 {
        if allocatable == 0 { 0 } else { (i128::from(self.root) << self.bits) / i128::from(allocatable) }
    }

    /// Points of a node of which a scaled amount is used.
    pub fn points(&self, allocatable: i64, used: i128) -> i128 {
        if allocatable == 0 {
            return 0;
        }
        let one = i128::from(SHARE_ONE);
        let counted = used.min(i128::from(UTILISATION_MAX * allocatable) * one);
        let shift = self.bits + ROOT_BITS;
        let level = (counted * self.factor(allocatable) + (one << (shift - 1))) / (one << shift);
        let off = level - i128::from(self.mark);
        off * off
    }
}

/// The terms of a problem's resources, with the targets that all its tasks make.
pub fn variances(problem: &Problem) -> Vec<Variance> {
    let term = |(r, resource): (usize, &super::Resource)| {
        let amounts = || problem.node_ids().map(|node| problem.allocatable(node)[r]);
        let required = problem.task_ids().map(|task| i128::from(problem.requirement(task)[r])).sum();
        let total = amounts().map(i128::from).sum();
        Variance::new(ResourceId::new(r), resource.variance_weight, amounts().max().unwrap_or(0), total, required)
    };
    // Sums over the whole cluster only for who needs them.
    let weighted = problem.resources.iter().enumerate().filter(|(_, resource)| resource.variance_weight > 0);
    weighted.filter_map(term).collect()
}
