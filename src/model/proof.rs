//! What proves that no placement is better than so many points? Prices, and the formula that turns them into a bound.
//!
//! Lagrangian relaxation (Geoffrion 1974; for assignment problems Fisher 1981): tasks pay the node they run on for what they
//! use, and nodes are paid for it. With any prices, what the best-off tasks and the best-off nodes make together is at least
//! what any placement is worth, because what one pays the other gets. So prices need not be good to be valid: bad ones make
//! a weak bound, never a wrong one.
//!
//! The bound holds for every placement that is *never worse* than the start (`rules.rs`) and gives no task more than all of it.
//! With D the denominator, amounts and points scaled, all prices are whole numbers of 1/D points:
//!
//! ```text
//! D · objective ≤ Σ_task best(task) + Σ_node best(node) + move_budget · max_moves
//!
//! best(task)  = the most over: nowhere (if it may stop or waits), home, every other node that admits it and can hold it, of
//!               D · (weight · share − move costs) − moved · (group + move_budget)
//!               − share · Σ_r usage_r · requirement_r − arriving · Σ_r arrival_r · requirement_r − Σ_d device_d · units_d
//! best(node)  = Σ_r arrival_r · (limit_r − used_r at the start) − D · constants + max(0, Σ_r best_r + Σ_d device_d · room_d − D · price)
//! best_r      = the most over 0 ≤ u ≤ limit_r of a_r · u − D · load_weight_r · max(0, u − soft_r)
//! a_r         = usage_r + Σ_balance (target · balance where r is its resource, − balance where r is the other) − slope of variance
//! limit_r     = max(allocatable_r, used_r at the start)                  never worse: a node may stay as full as it is
//! can hold    = least share · requirement_r ≤ limit_r − kept_r for every r
//! kept_r      = Σ_task there at the start least share · requirement_r    only when moves are simultaneous and r is transient, else 0
//! ```
//!
//! * `arrival` (only when all moves are simultaneous): of a transient resource a node keeps what it had until the end, so what
//!   arrives fits beside it; what stays counts the change of its share.
//! * `kept`: whoever leaves holds what it had until the end, whoever stays has its least share at least (all of it when rigid, nothing
//!   when divisible or when its share breaks the rules already). So one newcomer fits beside all of that or does not come. Of nodes that
//!   only their tasks tell apart and that share a row of prices, the verifier takes the one with the most room of each resource.
//! * `balance` linearises the term: max(0, t · free − other) ≥ balance · (t · free − other) for 0 ≤ balance ≤ D · weight.
//! * `level` linearises variance by its tangent at that level (a square is convex); the rounding of the level costs half a step.
//! * `device` prices rows of every kind of device: milli, then ⌈(k + 1) · milli / 1000⌉ − 1 for k = 1 … 4, which can be at most
//!   that of the device's free milli on one device, since the sum stays below (k + 1) · free and is whole (dual feasible
//!   functions, Fekete and Schepers 2001). With k = 1: more than half a device, at most one per device. Where any device of the
//!   snapshot counts its memory, a row for memory comes last.
//! * `group`: the most moved in any group is at least Σ_g group_g · moved_g, with Σ_g group_g ≤ D · group_move_weight.
//! * A gang that needs all its members runs as a whole or not at all: the better of the two counts.
//! * Fragmentation is left out: a cost is never negative. Spread, conflict and dependency are left out: rules only take away.

use super::{DEVICE_MILLI, DeviceRequest, GroupId};

/// Rows per kind of device: milli, then the dual feasible functions for k = 1, 2, … [`super::Problem::device_row_count`] has one more
/// where memory is counted.
pub const DEVICE_ROW_COUNT: usize = 5;
/// Units of row `k` that so much of one device counts; none of less than nothing.
pub fn device_units(k: usize, milli: i64) -> i64 {
    let one = i64::from(DEVICE_MILLI);
    match k as i64 {
        _ if milli <= 0 => 0,
        0 => milli,
        k => ((k + 1) * milli + one - 1) / one - 1,
    }
}

impl DeviceRequest {
    /// Units of row `k` of its kind that it takes in all.
    pub fn row_units(&self, k: usize) -> i128 {
        let own = if k == DEVICE_ROW_COUNT { self.memory } else { device_units(k, self.milli.into()) };
        i128::from(self.count) * i128::from(own)
    }
}

/// Largest price, either way: times 2^40 and 2^6 rows it stays within 128 bits.
pub const PRICE_MAX: i64 = 1 << 60;
/// Largest denominator.
pub const DENOMINATOR_MAX: i64 = 1 << 40;

/// Prices of some nodes, in points / denominator per unit; an empty list stands for zeros.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PriceRow {
    /// First and last node of each range, in the order of the snapshot.
    pub nodes: Vec<(u32, u32)>,
    /// Per unit used, by resource; of either sign.
    pub usage: Vec<i64>,
    /// Per unit that arrives, by resource; ≥ 0, and 0 unless moves are simultaneous and the resource is transient.
    pub arrival: Vec<i64>,
    /// By kind of device, [`super::Problem::device_row_count`] each; ≥ 0.
    pub device: Vec<i64>,
    /// By balance term; 0 to denominator · weight.
    pub balance: Vec<i64>,
    /// By variance term: where its tangent touches, in the steps of `variance.rs`.
    pub level: Vec<i64>,
}

/// Prices, and the bound that they are claimed to prove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proof {
    /// Scaled upper bound on the objective.
    pub bound: i128,
    /// All prices are multiples of 1/denominator points; 1 to [`DENOMINATOR_MAX`].
    pub denominator: i64,
    /// By nodes; a node that no row names has prices 0.
    pub rows: Vec<PriceRow>,
    /// Part of the group move weight that is charged per moved task of a group; ≥ 0, their sum ≤ denominator · weight.
    pub group: Vec<(GroupId, i64)>,
    /// Charged per moved task, and given back for as many as may move; ≥ 0, and 0 without `max_moves`.
    pub move_budget: i64,
}
