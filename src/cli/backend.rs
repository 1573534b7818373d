//! Where does the search run? On a GPU or on the CPU, and why; and what is told when a device errs.

use super::args::BackendArg;
use super::failure::Failure;
use super::io::Target;
use super::screen::say;
use bayplan::bulk::{Device, Mismatch, Trouble};
use bayplan::gpu::{Adapter, Error, Gpu, Kind};
use bayplan::kernel::points::HomePrice;
use bayplan::model::Problem;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Nodes from which `auto` takes a GPU: 128 blocks, about as many as a card has places for workgroups. Not yet measured on
/// a card.
const GPU_NODES_MIN: usize = 8192;

/// The choice made.
pub struct Backend<D = Device> {
    /// The device; `None` = the CPU.
    pub device: Option<D>,
    /// `cpu` or `gpu`, which one, and why.
    pub text: String,
}

impl Backend {
    /// Chooses for a search.
    ///
    /// # Errors
    /// [`Failure::NoDevice`] when a GPU was asked for and there is none that can hold the problem.
    pub fn choose(wanted: BackendArg, problem: &Problem) -> Result<Backend, Failure> {
        Backend::choose_with(wanted, problem, |gpu| Device::new(gpu, problem))
    }
}

impl<D> Backend<D> {
    /// Chooses for a problem that `make` brings to a device.
    ///
    /// # Errors
    /// [`Failure::NoDevice`] when a GPU was asked for and none can be used.
    pub fn choose_with(
        wanted: BackendArg,
        problem: &Problem,
        make: impl Fn(Arc<Gpu>) -> Result<D, Error>,
    ) -> Result<Backend<D>, Failure> {
        let cpu = |why: &str| Ok(Backend { device: None, text: format!("cpu: {why}") });
        let open = |software_too: bool| -> Result<(Adapter, D), Error> {
            let gpu = Arc::new(Gpu::open(software_too)?);
            Ok((gpu.about.clone(), make(gpu)?))
        };
        let gpu = |(about, device): (Adapter, D), why: &str| {
            Ok(Backend { text: format!("gpu: {} ({}): {why}", about.name, about.api), device: Some(device) })
        };
        match wanted {
            BackendArg::Cpu => cpu("asked for"),
            BackendArg::Gpu => {
                let opened = open(true).map_err(|error| Failure::NoDevice(error.to_string()))?;
                let why = match opened.0.kind {
                    Kind::Software => "asked for; a program that acts as a GPU, slower than the CPU",
                    Kind::Discrete | Kind::Integrated => "asked for",
                };
                gpu(opened, why)
            }
            BackendArg::Auto if problem.nodes.len() < GPU_NODES_MIN => {
                cpu(&format!("fewer than {GPU_NODES_MIN} nodes do not fill a GPU"))
            }
            BackendArg::Auto => match open(false) {
                Ok(opened) => gpu(opened, &format!("{} nodes fill it", problem.nodes.len())),
                Err(Error::Unusable(_)) => cpu("no GPU that can be used (see `bayplan devices`)"),
                Err(error) => cpu(&error.to_string()),
            },
        }
    }
}

/// Says what went wrong on the device; for a wrong result, writes what is needed to look into it.
pub fn tell(problem: &Problem, backend: &Backend, troubles: &[Trouble]) {
    for trouble in troubles {
        say(&format!("bayplan: {}: {}; the CPU went on, with the same plan", backend.text, trouble.text));
        if let Some(mismatch) = &trouble.mismatch {
            say(&match keep_reproducer(Path::new(""), problem, backend, &trouble.text, mismatch) {
                Ok(name) => {
                    format!("The GPU computed wrongly. Please report it with {name} and, if you may, the snapshot.")
                }
                Err(failure) => format!("The GPU computed wrongly, and a report could not be kept: {failure}"),
            });
        }
    }
}

/// Writes the report into a folder, or where that cannot be, the one for temporary files.
fn keep_reproducer(
    folder: &Path,
    problem: &Problem,
    backend: &Backend,
    text: &str,
    mismatch: &Mismatch,
) -> Result<String, Failure> {
    let Mismatch { seed, kind, round, temperatures, at, devices, at_landed, devices_landed, results, .. } = mismatch;
    let home_price = |price: &HomePrice| json!({"flat": price.flat, "rate": price.rate, "most": price.most});
    let report = json!({
        "format": "bayplan-mismatch/2",
        "version": env!("CARGO_PKG_VERSION"),
        "backend": backend.text,
        "driver": backend.device.as_ref().map(|device| device.gpu().about.driver.clone()),
        "objection": text,
        "snapshot": problem.fingerprint,
        "chain_seed": seed,
        "chain_kind": format!("{kind:?}"),
        "round": round,
        "displaced_max": mismatch.displaced_max,
        "home_prices": mismatch.home_prices.iter().map(home_price).collect::<Vec<_>>(),
        "temperatures": temperatures,
        "before": {"node": at, "devices": devices},
        "after": {"node": at_landed, "devices": devices_landed, "results": results},
    });
    let bytes = format!("{report}\n").into_bytes();
    let fingerprint: String = problem.fingerprint.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    let name = format!("bayplan-mismatch-{fingerprint}-{round}.json");
    let write = |path: PathBuf| {
        let shown = path.display().to_string();
        Target::File(path).write(&bytes).map(|()| shown)
    };
    write(folder.join(&name)).or_else(|_| write(std::env::temp_dir().join(&name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_kept_here_or_where_temporary_files_are() {
        let snapshot = bayplan::file::read_snapshot(include_bytes!("../../data/abc.json")).expect("a sound file");
        let problem = Problem::new(&snapshot).expect("a sound snapshot");
        let backend: Backend = Backend { device: None, text: "gpu: one that errs".to_string() };
        let mismatch = Mismatch {
            seed: 7,
            kind: bayplan::bulk::Kind::Bold,
            round: 4_000_000_000 + std::process::id() % 1_000_000,
            displaced_max: 5,
            home_prices: vec![HomePrice { flat: 3, rate: 2, most: 1 }, HomePrice::default()],
            temperatures: vec![256, 0],
            at: vec![0, u32::MAX],
            devices: vec![0, 0],
            at_landed: vec![0, 9],
            devices_landed: vec![0, 1],
            results: vec![-5],
        };
        let kept = tempfile::tempdir().expect("a folder for the test");
        let elsewhere = std::env::temp_dir();
        let missing = kept.path().join("missing");
        for (folder, expected) in [(kept.path(), kept.path()), (&missing, &elsewhere)] {
            let name = keep_reproducer(folder, &problem, &backend, "wrong sums", &mismatch).expect("it is written");
            assert_eq!(Path::new(&name).parent(), Some(expected));
            let report: serde_json::Value =
                serde_json::from_slice(&std::fs::read(&name).expect("it is there")).expect("JSON");
            std::fs::remove_file(&name).expect("ours to remove");
            assert_eq!(report["snapshot"], json!(problem.fingerprint));
            assert_eq!((&report["chain_seed"], &report["chain_kind"]), (&json!(7), &json!("Bold")));
            assert_eq!(report["after"]["node"], json!([0, 9]));
            assert_eq!(report["objection"], json!("wrong sums"));
        }
    }
}
