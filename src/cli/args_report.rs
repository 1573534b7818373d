//! What was typed for `report`?

use super::args::{JobsArg, OutputArg, duration, source};
use super::io::Source;
use clap::Args;
use std::time::Duration;

/// Options of `report`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bayplan report snapshot.json plan.json -o report.html\n  bayplan report snapshot.json -o report.html\n\n\
    One page that needs nothing else: no network, no script, legible in print and on a phone. Without a plan it shows the\n\
    cluster as it is. Failures and scaling are looked at in the state that the plan leads to. The same input gives the same\n\
    bytes, unless the page says that something was cut short. A plan that does not hold is refused with code 3.\n\n\
    The first Ctrl-C (or SIGTERM) ends the search for advice and still writes the page; a second one quits at once."
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
    /// Time for advice on the number of nodes, e.g. 500ms, 60s; the page says what it cut short
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "30s")]
    pub time_limit: Duration,
    #[command(flatten)]
    pub output: OutputArg,
}
