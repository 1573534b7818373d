//! Where does the search run? On a GPU or on the CPU, and why; and what is told when a device errs.

use super::args::BackendArg;
use super::failure::Failure;
use super::io::Target;
use super::screen::say;
use bayplan::bulk::{Device, Mismatch, Trouble};
use bayplan::gpu::{Error, Gpu, Kind};
use bayplan::model::Problem;
use serde_json::json;
use std::sync::Arc;

/// Nodes from which `auto` takes a GPU: 128 blocks, about as many as a card has places for workgroups. Not yet measured on
/// a card.
const GPU_NODES_MIN: usize = 4096;

/// The choice made.
pub struct Backend {
    /// The device; `None` = the CPU.
    pub device: Option<Device>,
    /// `cpu` or `gpu`, which one, and why.
    pub text: String,
}

impl Backend {
    /// Chooses for a problem.
    ///
    /// # Errors
    /// [`Failure::NoDevice`] when a GPU was asked for and there is none that can hold the problem.
    pub fn choose(wanted: BackendArg, problem: &Problem) -> Result<Backend, Failure> {
        let cpu = |why: &str| Ok(Backend { device: None, text: format!("cpu: {why}") });
        match wanted {
            BackendArg::Cpu => cpu("asked for"),
            BackendArg::Gpu => {
                let device = open(problem).map_err(|error| Failure::NoDevice(error.to_string()))?;
                let about = &device.gpu().about;
                let why = match about.kind {
                    Kind::Software => "asked for; a program that acts as a GPU, slower than the CPU",
                    Kind::Discrete | Kind::Integrated => "asked for",
                };
                Ok(Backend { text: format!("gpu: {} ({}): {why}", about.name, about.api), device: Some(device) })
            }
            BackendArg::Auto if problem.nodes.len() < GPU_NODES_MIN => {
                cpu(&format!("fewer than {GPU_NODES_MIN} nodes do not fill a GPU"))
            }
            BackendArg::Auto => match Gpu::open(false).map(Arc::new).and_then(|gpu| Device::new(gpu, problem)) {
                Ok(device) => {
                    let about = &device.gpu().about;
                    let why = format!("{} nodes fill it", problem.nodes.len());
                    Ok(Backend { text: format!("gpu: {} ({}): {why}", about.name, about.api), device: Some(device) })
                }
                Err(Error::Unusable(_)) => cpu("no GPU that can be used (see `bayplan devices`)"),
                Err(error) => cpu(&error.to_string()),
            },
        }
    }
}

/// The best device for a problem, software included.
fn open(problem: &Problem) -> Result<Device, Error> {
    Device::new(Arc::new(Gpu::open(true)?), problem)
}

/// Says what went wrong on the device; for a wrong result, writes what is needed to look into it.
pub fn tell(problem: &Problem, backend: &Backend, troubles: &[Trouble]) {
    for trouble in troubles {
        say(&format!("bayplan: {}: {}; the CPU went on, with the same plan", backend.text, trouble.text));
        if let Some(mismatch) = &trouble.mismatch {
            say(&match keep_reproducer(problem, backend, &trouble.text, mismatch) {
                Ok(name) => {
                    format!("The GPU computed wrongly. Please report it with {name} and, if you may, the snapshot.")
                }
                Err(failure) => format!("The GPU computed wrongly, and a report could not be kept: {failure}"),
            });
        }
    }
}

/// Writes the report into the current folder, or where that cannot be, the one for temporary files.
fn keep_reproducer(problem: &Problem, backend: &Backend, text: &str, mismatch: &Mismatch) -> Result<String, Failure> {
    let Mismatch { seed, round, temperatures, at, devices, at_landed, devices_landed, results } = mismatch;
    let report = json!({
        "format": "bayplan-mismatch/1",
        "version": env!("CARGO_PKG_VERSION"),
        "backend": backend.text,
        "driver": backend.device.as_ref().map(|device| device.gpu().about.driver.clone()),
        "objection": text,
        "snapshot": problem.fingerprint,
        "chain_seed": seed,
        "round": round,
        "temperatures": temperatures,
        "before": {"node": at, "devices": devices},
        "after": {"node": at_landed, "devices": devices_landed, "results": results},
    });
    let bytes = format!("{report}\n").into_bytes();
    let fingerprint: String = problem.fingerprint.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    let name = format!("bayplan-mismatch-{fingerprint}-{round}.json");
    let elsewhere = std::env::temp_dir().join(&name);
    let here = Target::from(std::ffi::OsString::from(&name));
    if here.write(&bytes).is_ok() {
        return Ok(name);
    }
    Target::from(elsewhere.clone().into_os_string()).write(&bytes)?;
    Ok(elsewhere.display().to_string())
}
