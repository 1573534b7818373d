//! What was typed for `scale`: what must stay free, what is on offer, and how the series is read?

use super::args::{JobsArg, ScoreForm, duration, source};
use super::io::Source;
use bayplan::scale::{Policy, RATE_ONE, Rate};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// Default of `--time-limit`.
const TIME_LIMIT_DEFAULT: Duration = Duration::from_secs(60);

/// Options of `scale`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bayplan scale snapshot.json
  bayplan scale snapshot.json --policy utilization=80% --plan-dir advice
  bayplan verify snapshot.json advice/release.plan.json          # the plan that empties the nodes that can go
  bayplan scale snapshot.json --shapes shapes.json --place jobs.json -o json
  bayplan scale snapshot.json --policy tasks=web-1:10 --count web-1,train-1
  bayplan scale snapshot.json --series loads.ndjson --high 80% --low 60% --hold 10m

Per pool: load, available and f(load, available), by default available - load; nodes that can go, with at most how many
could; how many more tasks of each shape fit now, after the plan that empties nodes, and at most. For what has no place, or
where the policy is broken: the cheapest nodes found that are enough, with a cost that no others are below. Running tasks stay in
their pool and go on running. The load of an elastic task is its least share, and that is what it needs room for: what it holds beyond
(\"held\" is with that) gives way to others, or where a node can go for it, and the answer names who has less. A divisible one needs
what it has. Prices are those of nodes with their pool's.

A shapes file is {\"format\": \"bayplan-shapes/1\", \"nodes\": [...], \"tasks\": [...]}, nodes and tasks as in a snapshot; a node may have a
\"max\" as well. Without a file, the most frequent kinds of nodes are on offer, and of rare ones the cheapest that hold what those do
not. A series is one record per line:
{\"format\": \"bayplan-loads/1\"}, then {\"time\": 0, \"pool\": \"a\", \"load\": {\"cpu\": 1200}}, time in seconds. Of several shapes
for a pool the cheapest that does is taken; cordoned nodes carry nothing.

Exit code 3: what is on offer was not found to be enough, a task waits that no node here or on offer can ever hold, or a sample of the
series exceeds what the pool can have.")]
pub struct ScaleArgs {
    /// Snapshot (`-` = stdin)
    #[arg(value_parser = source())]
    pub snapshot: Source,
    #[command(flatten)]
    pub jobs: JobsArg,
    /// What must stay free: free (everything has a place), utilization=80% (of every pool, in every resource), tasks=NAME:N (room for N
    /// more like the task NAME), survive=LEVEL (any one node, rack, zone … may be gone; what is pinned ends with it, as in a drill)
    #[arg(long, value_name = "POLICY", default_value = "free", value_parser = policy)]
    pub policy: Policy,
    /// Kinds of nodes that can be bought, and kinds of tasks to be counted [default: nodes like those that are there]
    #[arg(long, value_name = "FILE", value_parser = source())]
    pub shapes: Option<Source>,
    /// Count how many more tasks like these fit: tasks of the snapshot or the shapes file (separate names with commas)
    #[arg(long, value_name = "TASK", value_delimiter = ',')]
    pub count: Vec<String>,
    /// Write release.plan.json, and for nodes to be bought added.snapshot.json and added.plan.json, to this folder
    #[arg(long, value_name = "FOLDER")]
    pub plan_dir: Option<PathBuf>,
    /// Loads over time (NDJSON): answer with a schedule of nodes that come and go, and with nothing else
    #[arg(long, value_name = "LOADS", value_parser = source(), conflicts_with_all = ["plan_dir", "count", "policy"])]
    pub series: Option<Source>,
    /// Nodes come as soon as a load is above this part of the capacity
    #[arg(long, value_name = "PERCENT", default_value = "80%", value_parser = rate, requires = "series")]
    pub high: Rate,
    /// Nodes go only where what stays would have been loaded at most so far …
    #[arg(long, value_name = "PERCENT", default_value = "60%", value_parser = rate, requires = "series")]
    pub low: Rate,
    /// … for all of this time
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration, requires = "series")]
    pub hold: Duration,
    /// Wall time for the whole command, e.g. 500ms, 60s, 5m [default: 60s; none with --effort]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    time_limit: Option<Duration>,
    /// Effort of each search in candidate evaluations per task, more where there are few tasks: the same answer every time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub effort: Option<u64>,
    /// Seed of the searches
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Threads; with --effort the answer does not depend on them [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value_t = ScoreForm::Table)]
    pub output: ScoreForm,
}

impl ScaleArgs {
    /// The limit in force; `None` when effort alone ends the searches.
    pub fn time_limit(&self) -> Option<Duration> {
        self.time_limit.or(self.effort.is_none().then_some(TIME_LIMIT_DEFAULT))
    }

    /// Everything it reads.
    pub fn sources(&self) -> Vec<&Source> {
        self.jobs.with(&self.snapshot, None).into_iter().chain(&self.shapes).chain(&self.series).collect()
    }
}

fn policy(text: &str) -> Result<Policy, String> {
    let wrong = || "write free, utilization=80%, tasks=NAME:N or survive=LEVEL".to_string();
    match text.split_once('=') {
        None if text == "free" => Ok(Policy::Free),
        Some(("utilization", part)) => Ok(Policy::Utilization(rate(part)?)),
        Some(("survive", level)) if !level.is_empty() => Ok(Policy::Survive(level.to_string())),
        Some(("tasks", shape)) => {
            let (name, count) = shape.rsplit_once(':').ok_or_else(wrong)?;
            let count = count.parse().ok().filter(|count| (1..=TASKS_MAX).contains(count));
            Ok(Policy::Tasks(name.to_string(), count.ok_or("from 1 to 1000000 tasks can be asked for")?))
        }
        _ => Err(wrong()),
    }
}

/// Most tasks that a policy keeps room for.
const TASKS_MAX: u32 = 1_000_000;

/// Reads `80%` or `62.5%`.
fn rate(text: &str) -> Result<Rate, String> {
    let wrong = || "write a percentage above 0% and up to 100%, with one decimal at most, such as 80%".to_string();
    let digits = text.strip_suffix('%').ok_or_else(wrong)?;
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_number =
        |text: &str, most: usize| (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole, 3) || !is_number(part, 1) {
        return Err(wrong());
    }
    let milli: u32 = format!("{whole}{part}").parse().map_err(|_| wrong())?;
    debug_assert_eq!(RATE_ONE, 1000, "a percentage with one decimal is in thousandths");
    Rate::from_milli(milli).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_have_names_and_figures() {
        assert_eq!(policy("free"), Ok(Policy::Free));
        assert_eq!(policy("utilization=62.5%"), Ok(Policy::Utilization(Rate::from_milli(625).unwrap())));
        assert_eq!(policy("tasks=a:b:3"), Ok(Policy::Tasks("a:b".to_string(), 3)));
        assert_eq!(policy("survive=rack"), Ok(Policy::Survive("rack".to_string())));
        for text in
            ["", "free=1", "utilization", "utilization=0%", "utilization=101%", "utilization=80", "utilization=%"]
        {
            assert!(policy(text).is_err(), "{text}");
        }
        for text in ["tasks=a", "tasks=a:0", "tasks=a:-1", "tasks=a:1000001", "survive=", "utilization=1.25%"] {
            assert!(policy(text).is_err(), "{text}");
        }
    }
}
