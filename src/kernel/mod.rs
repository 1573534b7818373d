//! What runs inside the hot loops? Plain functions over plain arrays, integers only.
//!
//! Every file here but two is written so that its body can also be a compute shader: no allocation, no pointers between records,
//! counter-based randomness. The two are `view` and `lanes`, which hold for a CPU what a device has in its shared memory. `anneal`
//! improves a block of nodes, `score` finds the best node of each task of a tile, `price` the cheapest place of each kind of task. The
//! other half of any other `x.rs` is `shaders/x.wgsl`.

pub mod anneal;
pub mod block;
pub mod cut;
pub mod drill;
mod judge;
pub mod keep;
mod lanes;
pub mod layout;
pub mod peak;
pub mod points;
pub mod price;
pub mod random;
pub mod score;
pub mod sort;
pub mod tally;
mod view;
