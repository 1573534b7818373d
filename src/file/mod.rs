//! How are snapshots, plans and runs written down? Versioned, strict JSON (runs: TOML), read with all faults at once.
//!
//! The schemas in `data/schema` say the same for other programs; tests hold the two together.

mod granted;
mod json;
mod loads;
mod ndjson;
mod plan;
mod proof;
mod reserve;
mod run;
mod shapes;
mod snapshot;
mod told;

pub use loads::{Load, read_loads};
pub use ndjson::{STREAM_FORMAT, write_stream};
pub use plan::{read_plan, write_plan};
pub use proof::{BOUND_FORMAT, write_bound};
pub use run::{RUN_FILES, Run, RunExport, RunRead, read_run};
pub use shapes::{Shapes, read_shapes};
pub use snapshot::{read_jobs, read_snapshot, write_snapshot};
