//! What was typed after `explain`?

use super::args::{JobsArg, ScoreForm, source};
use super::io::Source;
use clap::Args;

/// Options of `explain`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bayplan explain snapshot.json job-17\n  bayplan explain snapshot.json job-17 plan.json -o json\n\n\
    For every node the first rule that keeps the task out, with its numbers, counted by rule; and the node where fewest\n\
    tasks would have to leave, with a place for each of them."
)]
pub struct ExplainArgs {
    /// Snapshot (`-` = stdin)
    #[arg(value_parser = source())]
    pub snapshot: Source,
    /// Name of the task
    pub task: String,
    /// Plan; with it, the state after all its moves is looked at
    #[arg(value_parser = source())]
    pub plan: Option<Source>,
    #[command(flatten)]
    pub jobs: JobsArg,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value_t = ScoreForm::Table)]
    pub output: ScoreForm,
}
