//! What was typed about the way there? Which tasks and nodes a plan is about, and the commands that look at its waves.

use super::args::{OutputArg, source};
use super::args_jobs::JobsArg;
use super::io::Source;
use clap::{Args, ValueEnum};

/// Which tasks and nodes `plan` is about.
#[derive(Debug, Args)]
pub struct FocusArgs {
    /// Empty these nodes: nobody may come, and every task there leaves if it can (separate names with commas)
    #[arg(long, value_name = "NODE", value_delimiter = ',')]
    pub drain: Vec<String>,
    /// Leave these tasks as they are: a name with * for any text, or group=NAME, node=NAME, kind=vm|container|job
    #[arg(long, value_name = "SELECTOR", value_delimiter = ',')]
    pub exclude: Vec<String>,
    /// Only repair what is broken, with few moves: no move for improvement, nothing that waits is started
    #[arg(long)]
    pub only_overloaded: bool,
}

impl FocusArgs {
    /// The problem is narrower than the snapshot, so no bound on it is one on the snapshot.
    pub fn narrows(&self) -> bool {
        !self.drain.is_empty() || !self.exclude.is_empty() || self.only_overloaded
    }
}

/// Form of an answer about waves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Options of `diff`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bayplan diff snapshot.json plan.json\n  bayplan diff snapshot.json plan.json -o json\n\n\
    + starts or arrives, - stops or leaves, ~ stays with another share or other devices. Compared are before the first and\n\
    after the last wave. A plan that does not hold is refused with code 3."
)]
pub struct DiffArgs {
    /// Snapshot (`-` = stdin)
    #[arg(value_parser = source())]
    pub snapshot: Source,
    /// Plan (`-` = stdin)
    #[arg(value_parser = source())]
    pub plan: Source,
    #[command(flatten)]
    pub jobs: JobsArg,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    pub output: Form,
}

/// Options of `simulate`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bayplan simulate snapshot.json plan.json --fail-rate 0.1 --seed 7\n  \
    bayplan simulate snapshot.json plan.json --vanish-rate 0.05 --grow-rate 0.2\n  \
    bayplan simulate snapshot.json drained.json --drain node-3 --fail-rate 0.1\n\n\
    After anything that the plan did not foresee, and at its end, the rest is planned anew from the state as it is. A plan does\n\
    not say what it was limited by: give --max-moves, --min-gain, --drain, --exclude and --only-overloaded as for the plan, else\n\
    what it was to leave is done after it. A plan of another effort may leave something as\n\
    well. The same arguments give the same run. Exit code 0: no wave made anything worse, and planning at the end gives no\n\
    moves; 3: not so, or the plan does not hold for the snapshot.")]
pub struct SimulateArgs {
    /// Snapshot (`-` = stdin)
    #[arg(value_parser = source())]
    pub snapshot: Source,
    /// Plan (`-` = stdin)
    #[arg(value_parser = source())]
    pub plan: Source,
    #[command(flatten)]
    pub jobs: JobsArg,
    /// What the plan was asked for, and each new plan is again
    #[command(flatten)]
    pub focus: FocusArgs,
    /// Move at most K running tasks in all, those of the plan counted (starting a waiting task does not count)
    #[arg(long, value_name = "K", allow_negative_numbers = true)]
    pub max_moves: Option<u32>,
    /// In new plans, leave a running task alone unless moving it is worth at least G points [default: as for `plan`]
    #[arg(long, value_name = "G", allow_negative_numbers = true,
        value_parser = clap::value_parser!(i64).range(0..=bayplan::model::AMOUNT_MAX))]
    pub min_gain: Option<i64>,
    /// How often a move fails, 0 to 1
    #[arg(long, value_name = "P", default_value = "0", value_parser = rate)]
    pub fail_rate: u32,
    /// How often a node vanishes after a wave, 0 to 1
    #[arg(long, value_name = "P", default_value = "0", value_parser = rate)]
    pub vanish_rate: u32,
    /// How often a task grows by a tenth after a wave, 0 to 1
    #[arg(long, value_name = "P", default_value = "0", value_parser = rate)]
    pub grow_rate: u32,
    /// Seed of all chance, and of planning anew
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Effort of planning anew, in candidate evaluations per task
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub effort: u64,
    /// Where the cluster as it is at the end is written, as a snapshot [default: nowhere]
    #[command(flatten)]
    pub output: OutputArg,
}

/// A rate from 0 to 1 in millionths.
fn rate(text: &str) -> Result<u32, String> {
    let wrong = || "write a number from 0 to 1 with at most six decimals, such as 0.05".to_string();
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(decimals) || decimals.len() > 6 || whole.len() > 1 {
        return Err(wrong());
    }
    let millionths: u32 = format!("{whole}{decimals:0<6}").parse().map_err(|_| wrong())?;
    if millionths <= 1_000_000 { Ok(millionths) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_exact() {
        assert_eq!(
            [rate("0"), rate("0.05"), rate("1"), rate("1.000000")],
            [Ok(0), Ok(50_000), Ok(1_000_000), Ok(1_000_000)]
        );
        for text in ["", ".5", "1.1", "-0.1", "0.1234567", "1e-3", "10"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
