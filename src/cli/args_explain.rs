//! What was typed after `explain`, and about tasks to be placed?

use super::args::{ScoreForm, source};
use super::io::Source;
use clap::{Args, ValueEnum};

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

/// Tasks that come on top of the snapshot.
#[derive(Debug, Args)]
pub struct JobsArg {
    /// Tasks that wait for a place on top of the snapshot's (format bayplan-jobs/1: tasks and groups). plan makes room for them
    /// with the fewest moves, unless --goal says otherwise, and ends with code 3 when not all can start; verify, score, export
    /// and explain need the same file to read such a plan
    #[arg(long = "place", value_name = "JOBS", value_parser = source())]
    pub place: Option<Source>,
}

impl JobsArg {
    /// All inputs of a command that reads a snapshot, jobs and maybe a plan.
    pub fn with<'a>(&'a self, snapshot: &'a Source, plan: Option<&'a Source>) -> Vec<&'a Source> {
        [snapshot].into_iter().chain(plan).chain(&self.place).collect()
    }
}

/// Choice of which waiting tasks to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AdmitArg {
    /// Those that bring most.
    All,
    /// The longest prefix of the queue that can be placed with nothing refused.
    Prefix,
}
