//! Bayplan decides where every VM, container and AI job of a data centre should run, all at once.
//!
//! ```text
//! maximise    Σ_task weight · share − Σ cost terms         (r · p/c; `model::score`)
//! subject to  Σ_task requirement · share ≤ allocatable     on every node, for every resource
//!             and every other rule                         (`model::violations`)
//! ```

pub mod adapter;
pub mod bound;
pub mod bulk;
pub mod control;
pub mod drill;
pub mod exact;
pub mod file;
pub mod generate;
pub mod gpu;
pub mod kernel;
pub mod model;
pub mod plan;
mod random;
pub mod scale;
pub mod scrub;
pub mod simulate;
pub mod status;
