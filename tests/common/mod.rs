//! What do the tests share? Random numbers that replay, random clusters, small problems with a known best, brute force.

#![allow(dead_code, unused_imports, reason = "every test file uses its own part of this")]

pub mod brute;
pub mod command;
pub mod device;
pub mod fixtures;
pub mod memory;
pub mod prometheus;
pub mod random;
pub mod real;
pub mod rename;
pub mod rng;

pub use brute::{all_best_repaired, brute_force};
pub use device::{gpu, own_gpu, own_gpu_with};
pub use fixtures::*;
pub use memory::{give_memory, take_memory};
pub use random::{Kinds, Size, random_placement, random_snapshot};
pub use real::*;
pub use rename::{Renamed, renamed};
pub use rng::{Rng, for_seeds};

use bayplan::plan::{Meta, Status};
use std::path::PathBuf;

/// What a plan says of its making, where a test does not care.
pub fn meta() -> Meta {
    Meta {
        solver: "bulk".to_string(),
        seed: 1,
        effort: 1,
        backend: "cpu".to_string(),
        status: Status::Feasible,
        bound: None,
        proof: None,
        blockers: None,
    }
}

/// A folder or file of the shared real data; `None`, with a word on stderr, where it is missing.
///
/// # Panics
/// When it is missing although `BAYPLAN_REQUIRE_SHARED=1` demands it.
pub fn shared(test: &str, path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("BAYPLAN_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let found = root.join(path);
    if found.exists() {
        return Some(found);
    }
    let message = format!("skipped: {test} needs ../shared/{path}");
    assert!(std::env::var("BAYPLAN_REQUIRE_SHARED").as_deref() != Ok("1"), "{message}, and a skip is a failure here");
    eprintln!("{message}");
    None
}
