//! What does a node cost, and which devices does a task get? The parts of the model that all kernels share.
//!
//! The formulas are those of `model/cost.rs` in quanta and points; tests hold them to it.

use super::lanes::above;
use super::layout::{WHOLE, free_milli, holds_more};

/// Utilisation counts up to this in variance terms.
pub const UTILISATION_MAX: i64 = 4;

/// What every block needs and none changes.
#[derive(Debug, Default)]
pub struct Shared {
    /// Points per unit of load above the soft limit. Shape: L.
    pub load_weight: Vec<i64>,
    /// Points per unit above the true capacity (only where the start was broken). Shape: L.
    pub over_weight: Vec<i64>,
    /// 256ths of a point per quantum above the limit, at the first temperature; 0 = the limit always holds. Shape: L.
    pub over_price: Vec<i64>,
    /// All bits set in lanes of transient resources when moves are simultaneous, else 0. Shape: L.
    pub transient: Vec<i32>,
    /// Balance terms.
    pub balance: Vec<BalanceTerm>,
    /// Variance terms.
    pub variance: Vec<VarianceTerm>,
    /// Points between move classes. Shape: class_count × class_count.
    pub pair: Vec<i64>,
    /// Device sets by (task class, node class); 0 = forbidden. Shape: task classes × `node_class_count`.
    pub allow: Vec<u64>,
    /// Most devices of a node.
    pub device_width: usize,
    /// Moves are simultaneous: devices of a moved task stay taken at home.
    pub simultaneous: bool,
    /// Fragmentation: points per unusable milli and part; 0 = off.
    pub fragmentation_weight: i64,
    /// Fragmentation: expected tasks.
    pub mix: Vec<MixTerm>,
    /// Fragmentation: requirement rows of `mix`. Shape: mix × L.
    pub mix_requirement: Vec<i32>,
}

/// `weight · max(0, target · free(resource) − free(other))`.
#[derive(Debug, Clone, Copy)]
pub struct BalanceTerm {
    /// Lane.
    pub resource: u32,
    /// Lane.
    pub other: u32,
    /// Factor.
    pub target: i64,
    /// Points per unit.
    pub weight: i64,
}

/// `(level − mark)²` with `level = ⌊min(used, 4 · capacity) · factor / 2^shift + ½⌋`, where the node's factor is not 0.
#[derive(Debug, Clone, Copy)]
pub struct VarianceTerm {
    /// Lane.
    pub resource: u32,
    /// Bits.
    pub shift: u32,
    /// The level that every node should have.
    pub mark: u32,
}

/// An expected task of the fragmentation measure.
#[derive(Debug, Clone, Copy)]
pub struct MixTerm {
    /// Frequency.
    pub parts: i64,
    /// Row offset into `allow`.
    pub class_row: u32,
    /// Devices.
    pub device_count: u32,
    /// What is taken of each (`layout.rs`).
    pub device_word: u32,
}

/// What exceeding a limit costs in a round.
#[derive(Debug, Clone, Copy, Default)]
pub struct OverPrice {
    /// Times [`Shared::over_price`], in 256ths; 0 = limits hold.
    pub factor: u32,
    /// No candidate may exceed more than before.
    pub is_closed: bool,
}

/// What being away from home costs on top of what the move costs, in a round.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HomePrice {
    /// Points per displaced task.
    pub flat: i64,
    /// 65,536ths of a point per point that the move costs.
    pub rate: i64,
    /// Points of a move beyond which it counts as costing so much. Times the rate, below 2^59.
    pub most: i64,
}

impl HomePrice {
    /// Of a move that costs so many points.
    #[inline(always)]
    pub fn of(&self, move_points: i64) -> i64 {
        self.flat + ((move_points.min(self.most) * self.rate) >> 16)
    }
}

/// A node as it is, or as it would be.
pub struct NodeView<'a, const L: usize> {
    /// What runs there.
    pub used: &'a [i32; L],
    /// Load above this costs points.
    pub soft: &'a [i32; L],
    /// True capacity.
    pub capacity: &'a [i32; L],
    /// What used amounts are multiplied by, per variance term.
    pub factors: &'a [i64],
    /// What is taken of each device (`layout.rs`); looked at only when fragmentation counts.
    pub devices: &'a [u32],
    /// Column of `Shared::allow`.
    pub class: u32,
}

/// Points of a node: load, excess, balance, variance, fragmentation (its price is the caller's).
#[inline(always)]
pub fn node_points<const L: usize>(shared: &Shared, node: &NodeView<'_, L>) -> i64 {
    let weight: &[i64; L] = shared.load_weight[..L].try_into().expect("a weight per lane");
    above(node.used, node.soft, weight) + other_points(shared, node)
}

/// All but those for load.
#[inline(always)]
pub fn other_points<const L: usize>(shared: &Shared, node: &NodeView<'_, L>) -> i64 {
    let mut points = 0;
    if !shared.over_weight.is_empty() {
        for r in 0..L {
            points += i64::from((node.used[r] - node.capacity[r]).max(0)) * shared.over_weight[r];
        }
    }
    for term in &shared.balance {
        let free = |r: u32| i64::from(node.capacity[r as usize]) - i64::from(node.used[r as usize]);
        points += term.weight * (term.target * free(term.resource) - free(term.other)).max(0);
    }
    for (term, factor) in shared.variance.iter().zip(node.factors) {
        let r = term.resource as usize;
        points += squared_deviation(term, *factor, node.used[r], node.capacity[r]);
    }
    if shared.fragmentation_weight > 0 {
        points += shared.fragmentation_weight * fragmentation(shared, node);
    }
    points
}

/// Points of one variance term on a node.
#[inline(always)]
fn squared_deviation(term: &VarianceTerm, factor: i64, used: i32, capacity: i32) -> i64 {
    if factor == 0 {
        return 0;
    }
    let counted = i64::from(used).min(i64::from(capacity) * UTILISATION_MAX);
    let level = (counted * factor + (1 << (term.shift - 1))) >> term.shift;
    let off = level - i64::from(term.mark);
    off * off
}

/// Σ_mix parts · unusable free milli.
fn fragmentation<const L: usize>(shared: &Shared, node: &NodeView<'_, L>) -> i64 {
    let present = shared.allow[node.class as usize];
    let mut sum = 0;
    for (item, requirement) in shared.mix.iter().zip(shared.mix_requirement.chunks_exact(L)) {
        let eligible = shared.allow[(item.class_row + node.class) as usize];
        let free = |d: usize| free_milli(node.devices[d]);
        let usable = |d: usize| eligible >> d & 1 == 1 && holds_more(node.devices[d], item.device_word);
        let devices = (0..node.devices.len()).filter(|d| present >> d & 1 == 1);
        let hosts = devices.clone().filter(|d| usable(*d)).count() as u32 >= item.device_count
            && (0..L).all(|r| requirement[r] <= node.capacity[r] - node.used[r]);
        let lost = devices.filter(|d| !hosts || !usable(*d));
        sum += item.parts * lost.map(|d| i64::from(free(d))).sum::<i64>();
    }
    sum
}

/// Takes or frees so much of every device in the set.
pub fn change_devices(used: &mut [u32], mut devices: u64, word: u32, comes: bool) {
    while devices != 0 {
        let d = devices.trailing_zeros() as usize;
        used[d] = if comes { used[d].wrapping_add(word) } else { used[d].wrapping_sub(word) };
        devices &= devices - 1;
    }
}

/// The devices of `mask` that a request gets: for a fraction the fullest device that still fits (of as much milli, that with the least
/// memory left), for whole devices the first free ones; ties to the lowest index.
pub fn fit_devices(used: &[u32], mask: u64, count: u8, word: u32) -> Option<u64> {
    if word < WHOLE {
        let fits = |d: &usize| mask >> d & 1 == 1 && holds_more(used[*d], word);
        return (0..used.len()).filter(fits).max_by_key(|d| (used[*d], std::cmp::Reverse(*d))).map(|d| 1 << d);
    }
    let mut set = 0u64;
    for d in (0..used.len()).filter(|d| mask >> d & 1 == 1 && free_milli(used[*d]) == 1000) {
        set |= 1 << d;
        if set.count_ones() == u32::from(count) {
            return Some(set);
        }
    }
    None
}
