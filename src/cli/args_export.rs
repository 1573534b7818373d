//! What was typed for `export`?

use super::args::{JobsArg, OutputArg, source};
use super::io::Source;
use clap::{Args, ValueEnum};

/// Options of `export`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bayplan export roadef snapshot.json plan.json -o new_assignment.txt
  bayplan import csv nodes.csv tasks.csv | tee snapshot.json | bayplan plan - | bayplan export ndjson snapshot.json -

Snapshot and plan cannot both come from stdin; tee keeps the snapshot for the end of the pipe. A plan that comes through
the pipe is read to its end before the snapshot is opened.")]
pub struct ExportArgs {
    /// Format to write
    #[arg(value_enum)]
    pub format: ExportFormat,
    /// Snapshot (`-` = stdin)
    #[arg(value_parser = source())]
    pub snapshot: Source,
    /// Plan (`-` = stdin)
    #[arg(value_parser = source())]
    pub plan: Source,
    #[command(flatten)]
    pub jobs: JobsArg,
    #[command(flatten)]
    pub output: OutputArg,
}

/// Formats that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// Pod, node and devices of every placed pod (CSV)
    Openb,
    /// Machine number of every process, in one line
    Roadef,
    /// The plan itself as a stream: one record per line, a version first, a summary last
    Ndjson,
}
