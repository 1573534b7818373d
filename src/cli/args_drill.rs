//! What was typed after `drill`?

use super::args::{BackendArg, JobsArg, ScoreForm, duration, source};
use super::io::Source;
use clap::Args;
use std::time::Duration;

/// Room that a plan keeps free.
#[derive(Debug, Args)]
pub struct ReserveArg {
    /// Keep room for all that any one domain of this level runs (node, rack ...), pinned tasks aside: N+1. The plan says where each
    /// task would go, verify checks it; code 3 when it cannot be had for every domain
    #[arg(long = "reserve", value_name = "LEVEL")]
    pub reserve: Option<String>,
}

/// Options of `drill`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bayplan drill snapshot.json\n  bayplan drill snapshot.json plan.json --level rack -o json\n  \
    bayplan drill snapshot.json --level node --pairs --top 50\n\n\
    Each node and each domain of each level fails on its own. All tasks there look for a place elsewhere; nobody else moves.\n\
    survives: all of them can run elsewhere within the rules; fails: proven that they cannot; unknown: no way was found.\n\
    A pinned task ends with its node. Moves and waves say how long it takes, whatever a move takes: tasks that start\n\
    elsewhere in the recovery that was found, and the fewest turns that each of the snapshot's caps on moves leaves for it. Of the\n\
    recoveries found the one with fewest waves is told; another may take fewer: what is sought is room, and not haste."
)]
pub struct DrillArgs {
    /// Snapshot (`-` = stdin)
    #[arg(value_parser = source())]
    pub snapshot: Source,
    /// Plan; with it, the state after all its moves is drilled
    #[arg(value_parser = source())]
    pub plan: Option<Source>,
    #[command(flatten)]
    pub jobs: JobsArg,
    /// Drill this level alone: node, rack ... (may be given several times) [default: all]
    #[arg(long = "level", value_name = "LEVEL")]
    pub levels: Vec<String>,
    /// Let every two nodes fail at once as well; what of that is left out of large clusters is counted
    #[arg(long)]
    pub pairs: bool,
    /// Scenarios shown in the table, worst first
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub top: usize,
    /// Time for most pairs, and for what is open after the first look at all, e.g. 500ms, 60s; it ends early when nothing is
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10s")]
    pub time_limit: Duration,
    /// Where all scenarios are looked at once
    #[arg(long, value_enum, default_value_t = BackendArg::Auto)]
    pub backend: BackendArg,
    /// Threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value_t = ScoreForm::Table)]
    pub output: ScoreForm,
}
