//! How do the kernels run on a GPU? Adapters, buffers, dispatch and timing: the only door to wgpu.
//!
//! ```text
//! adapter   which adapters are there, what do they lack, opening one      adapter.rs
//! shader    the WGSL sources, and which entry point is in which file      shader.rs
//! memory    buffers, and reading them back                                memory.rs
//! peak      how fast the device is at its best                             peak.rs
//! rounds    a chain's state on the device, round after round              rounds.rs
//! tiles     tiles of tasks against all nodes                              tiles.rs
//! prices    kinds of tasks against all places                             prices.rs
//! drills    lost tasks of failed nodes, a scenario per workgroup         drills.rs
//! ```
//!
//! Nothing here decides anything: the shaders compute what the kernels compute, and the bulk engine checks every result
//! that it takes over. A device that is lost, refuses memory or does not answer is an [`Error`], never a panic.

mod adapter;
mod drills;
mod memory;
mod peak;
mod prices;
mod rounds;
mod shader;
mod tiles;

pub use adapter::{Adapter, Gpu, Kind, WORKGROUP_BYTES, adapters};
pub use drills::{Answer, Drills, Failed};
use memory::bind;
pub use prices::{Market, Prices};
pub use rounds::{Landed, Rounds, Timing};
pub use shader::{FILES, KERNELS, Kernel, source};
pub use tiles::{Query, Tiles};

/// Why a device could not do its work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No adapter, or none that has what it takes.
    #[error("{0}")]
    Unusable(String),
    /// The device was lost, refused memory or a shader, or failed in some other way.
    #[error("the device failed: {0}")]
    Failed(String),
    /// It does not answer.
    #[error("the device has not answered for {0} s")]
    Silent(u64),
}
