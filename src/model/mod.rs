//! What do capacity, rule, cost and plan *mean*? The only module that defines violations and costs.
//!
//! [`Snapshot`] (names, unchecked) → [`Problem::new`] (all faults at once) → [`Problem`] (indices, immutable) and
//! [`Placement`] → [`violations`] and [`score`]. The optimizer, the kernels and the exact solver work on faster forms of
//! the same definitions and are held to these by tests; the verifier recomputes them on its own.

mod check;
mod cost;
mod cut;
mod failure;
mod fault;
mod goal;
mod ids;
mod placement;
mod problem;
mod proof;
mod rules;
mod share;
mod snapshot;
mod variance;

pub use cost::{
    Counted, Score, Usage, fragmentation, fragmentation_of, headroom, is_moved, meter_points, move_cost, node_cost,
    score, way_cost,
};
pub use cut::{Cut, FINE_MAX};
pub use failure::Aftermath;
pub use fault::{FAULT_SHOWN_MAX, Fault, Faults};
pub use goal::Goal;
pub use ids::{DomainId, GroupId, LevelId, NodeId, ResourceId, TaskId};
pub use placement::{Piece, Placement, Spot};
pub use problem::{
    AMOUNT_MAX, Balance, DEVICE_COUNT_MAX, DEVICE_MILLI, Dependency, Device, DeviceRequest, Gang, Group, Level, Meter,
    MixItem, MoveCosts, MoveRules, Node, Objective, Pool, Problem, RESOURCE_COUNT_MAX, Resource, Sharing, Spread,
    Taint, Task, Toleration,
};
pub use proof::{DENOMINATOR_MAX, DEVICE_ROW_COUNT, PRICE_MAX, PriceRow, Proof, device_units};
pub use rules::{
    Place, Rule, Violation, forbidden, group_violations, newcomer_forbidden, occupied, task_violations, total_excess,
    violations, worsened,
};
pub(crate) use share::gcd;
pub use share::{SHARE_ONE, Share, scaled_text};
pub use snapshot::*;
pub use variance::{ROOT_BITS, UTILISATION_MAX, Variance};
