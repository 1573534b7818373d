//! What does a cluster look like that nobody runs? Synthetic snapshots by shape and seed, for tests and benchmarks.
//!
//! ```text
//! order     what is asked for, checked                  order.rs
//! random    integer draws                               random.rs
//! carve     load per node, and tasks cut from it         carve.rs
//! draft     figures become records                      draft.rs
//! shapes    one file each: what makes this one hard
//! ```
//!
//! Integers only, so the same order gives the same bytes on every platform. Every start keeps every rule.

mod balance;
mod carve;
mod draft;
mod huge;
mod order;
mod queue;
mod racks;
mod transient;
mod wide;

pub use order::{Order, Range, SIZE_MAX, Shape, Wish};

use crate::model::Snapshot;

/// The cluster that was ordered.
pub fn generate(order: &Order) -> Snapshot {
    match order.shape {
        Shape::Balance => balance::snapshot(order),
        Shape::Huge => huge::snapshot(order),
        Shape::Wide => wide::snapshot(order),
        Shape::Transient => transient::snapshot(order),
        Shape::Racks => racks::snapshot(order),
        Shape::Queue => queue::snapshot(order),
    }
}
