//! What was typed about devices? Clap's structs for `--backend`, `devices` and `bench`.

use super::args::ScoreForm;
use super::args::source;
use super::io::Source;
use clap::{Args, ValueEnum};

/// Choice of backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BackendArg {
    /// A GPU where it pays, else the CPU.
    Auto,
    /// A GPU, or end with code 5; takes a software adapter where there is no other.
    Gpu,
    /// The CPU.
    Cpu,
}

/// Options of `devices`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bayplan devices\n  bayplan devices -o json\n\n\
    Exit code 0: at least one can be used; 5: none can.")]
pub struct DevicesArgs {
    /// Form of the answer
    #[arg(short, long, value_enum, default_value_t = ScoreForm::Table)]
    pub output: ScoreForm,
}

/// Options of `bench`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bayplan bench snapshot.json\n  bayplan bench snapshot.json --effort 1000 -o json\n\n\
    Every figure compares two runs of the same work, made in turn. Exit code 0: both made the same plan; 3: they did not;\n\
    5: there is no usable GPU."
)]
pub struct BenchArgs {
    /// Snapshot (`-` = stdin)
    #[arg(value_parser = source())]
    pub snapshot: Source,
    /// Effort of the whole plans that are compared, in candidate evaluations per task
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..))]
    pub effort: u64,
    /// Seed of the search
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Most threads of the CPU; one, two and so many are measured [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value_t = ScoreForm::Table)]
    pub output: ScoreForm,
}
