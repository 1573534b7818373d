//! How are snapshots and plans written down? Versioned, strict JSON, read with all faults at once.
//!
//! The schemas in `data/schema` say the same for other programs; tests hold the two together.

mod json;
mod plan;
mod proof;
mod snapshot;

pub use plan::{read_plan, write_plan};
pub use proof::{BOUND_FORMAT, write_bound};
pub use snapshot::{read_jobs, read_snapshot, write_snapshot};
