//! What was typed after `status`?

use super::args::{JobsArg, source};
use super::io::Source;
use clap::{Args, ValueEnum};

/// Options of `status`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bayplan status snapshot.json\n  bayplan status snapshot.json plan.json -o json\n  \
    bayplan status snapshot.json -o prometheus > /var/lib/node_exporter/bayplan.prom\n\n\
    stranded: free, but no task of the snapshot that requires it fits and may enter; closed: free on cordoned nodes.\n\
    Memory of devices is that of those that say how much they have; of it, what tasks asked for is used.\n\
    hot: a node that uses 90 % of a resource, or more than its soft limit."
)]
pub struct StatusArgs {
    /// Snapshot (`-` = stdin)
    #[arg(value_parser = source())]
    pub snapshot: Source,
    /// Plan; with it, the state after all its moves is shown
    #[arg(value_parser = source())]
    pub plan: Option<Source>,
    #[command(flatten)]
    pub jobs: JobsArg,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value_t = StatusForm::Table)]
    pub output: StatusForm,
}

/// Form of `status`'s answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatusForm {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For a monitoring system: the text format that Prometheus scrapes.
    Prometheus,
}
