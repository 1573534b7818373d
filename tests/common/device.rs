//! Which GPU do the tests use? Whatever this machine has, a software adapter included.

use bayplan::gpu::{Error, Gpu};
use std::sync::{Arc, OnceLock};

/// The device that the tests of a file share; `None`, with a word on stderr, where there is none.
///
/// # Panics
/// When there is none although `BAYPLAN_REQUIRE_GPU=1` demands one.
pub fn gpu(test: &str) -> Option<Arc<Gpu>> {
    static FOUND: OnceLock<Result<Arc<Gpu>, Error>> = OnceLock::new();
    found(test, FOUND.get_or_init(|| Gpu::open(true).map(Arc::new)).clone())
}

/// A device of one's own, to be broken.
///
/// # Panics
/// As [`gpu`].
pub fn own_gpu(test: &str) -> Option<Gpu> {
    found(test, Gpu::open(true))
}

/// The same with edited shaders.
///
/// # Panics
/// As [`gpu`].
pub fn own_gpu_with(test: &str, edit: &dyn Fn(&str, String) -> String) -> Option<Gpu> {
    found(test, Gpu::open_with(true, edit))
}

fn found<T>(test: &str, gpu: Result<T, Error>) -> Option<T> {
    match gpu {
        Ok(gpu) => Some(gpu),
        Err(Error::Unusable(why)) => {
            let message = format!("skipped: {test} needs a Vulkan, Metal or DX12 adapter ({why})");
            assert!(std::env::var("BAYPLAN_REQUIRE_GPU").as_deref() != Ok("1"), "{message}, a skip is a failure here");
            eprintln!("{message}");
            None
        }
        Err(error) => panic!("{test}: {error}"),
    }
}
