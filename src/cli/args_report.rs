//! What was typed for `report`?

use super::args::{JobsArg, OutputArg, source};
use super::io::Source;
use clap::Args;

/// Options of `report`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bayplan report snapshot.json plan.json -o report.html\n  bayplan report snapshot.json -o report.html\n\n\
    One page that needs nothing else: no network, no script, legible in print and on a phone. Without a plan it shows the\n\
    cluster as it is. The same input gives the same bytes. A plan that does not hold is refused with code 3."
)]
pub struct ReportArgs {
    /// Snapshot (`-` = stdin)
    #[arg(value_parser = source())]
    pub snapshot: Source,
    /// Plan; with it, the page compares before and after (`-` = stdin)
    #[arg(value_parser = source())]
    pub plan: Option<Source>,
    #[command(flatten)]
    pub jobs: JobsArg,
    #[command(flatten)]
    pub output: OutputArg,
}
