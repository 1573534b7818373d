//! What was typed about tasks that wait for a place?

use super::args::source;
use super::io::Source;
use clap::{Args, ValueEnum};

/// Tasks that come on top of the snapshot.
#[derive(Debug, Args)]
pub struct JobsArg {
    /// Tasks that wait for a place on top of the snapshot's (format bayplan-jobs/1: tasks and groups). plan makes room for them
    /// with the fewest moves, unless --goal says otherwise, and ends with code 3 when not all can start; every
    /// command that reads such a plan needs the same file
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
