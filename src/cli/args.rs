//! What was typed? Clap's structs, whose fields already have the type of their meaning.

pub use super::args_bound::{BoundArgs, GapArg};
pub use super::args_device::{BackendArg, BenchArgs, DevicesArgs};
pub use super::args_drill::{DrillArgs, ReserveArg};
pub use super::args_explain::ExplainArgs;
pub use super::args_export::ExportArgs;
pub use super::args_generate::GenerateArgs;
pub use super::args_import::ImportArgs;
pub use super::args_jobs::{AdmitArg, JobsArg};
use super::args_report::ReportArgs;
pub use super::args_run::RunArgs;
use super::args_scale::ScaleArgs;
pub use super::args_shell::{CompletionsArgs, ManArgs, SchemaArgs, ScrubArgs};
use super::args_status::StatusArgs;
use super::args_waves::{DiffArgs, FocusArgs, Form, SimulateArgs};
use super::failure::Failure;
use super::io::{Source, Target};
use bayplan::model::Goal;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

/// Default of `--time-limit`: long enough for a good plan of thousands of tasks, short enough to wait for.
const TIME_LIMIT_DEFAULT: Duration = Duration::from_secs(60);

const ABOUT: &str = "Decides where every VM, container and AI job of a data centre should run, and proves it.\n\n\
    Reads a snapshot of a cluster, decides about all tasks at once, and writes an ordered plan of moves that is\n\
    verified at every step. Nothing is ever changed in a cluster by Bayplan itself.";

const AFTER: &str = "Example:
  bayplan plan data/small.json -o plan.json
  bayplan verify data/small.json plan.json

Data goes to stdout (or -o FILE), everything for people to stderr; '-' means stdin or stdout.

Exit codes: 0 done; 1 error; 2 there are moves to make (only with --detailed-exitcode); 3 refused by verification, or not all can start;
5 no usable GPU; 64 wrong usage; 65 bad input; 70 a bug in Bayplan; 130 quit by a second signal,
or by the first while input is still read.";

#[derive(Debug, Parser)]
#[command(name = "bayplan", version, about = ABOUT, after_help = AFTER, disable_help_subcommand = true)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

/// A command with its options.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Turn foreign files into a snapshot
    Import(ImportArgs),
    /// Make a synthetic cluster, by shape and seed
    Generate(GenerateArgs),
    /// Decide where everything should run, and write the moves
    Plan(PlanArgs),
    /// Prove how good any plan can be at most
    Bound(BoundArgs),
    /// Recompute a plan from snapshot and plan alone, and list every violation
    Verify(VerifyArgs),
    /// Show utilisation, objective, each cost and each violation of the current or planned state
    Score(ScoreArgs),
    /// Show use per pool, domain, group and tenant, hot nodes and what is free but of no use
    Status(StatusArgs),
    /// Advise per pool which nodes can go, which must come, and what more would fit
    Scale(ScaleArgs),
    /// Show what a plan changes, per node and per group
    Diff(DiffArgs),
    /// Carry a plan out on paper, with moves that fail, nodes that vanish and tasks that grow
    Simulate(SimulateArgs),
    /// Say for a task which rule keeps it off each node, and what it would take
    Explain(ExplainArgs),
    /// Let each node, rack, zone fail: what runs on elsewhere, and what would be lost
    Drill(DrillArgs),
    /// Write one page about the cluster and the plan, for people: HTML without script or network
    Report(ReportArgs),
    /// Turn a plan into a foreign format
    Export(ExportArgs),
    /// List the GPUs, what each offers and lacks, and whether it can be used
    Devices(DevicesArgs),
    /// Do the same work on CPU and GPU in turn: speed, equality, share of the peak
    Bench(BenchArgs),
    /// Read, plan, verify, export and tell metrics, as a file says: for cron and timers
    Run(RunArgs),
    /// Take the names out of a snapshot and a plan, for a bug report
    Scrub(ScrubArgs),
    /// Print the JSON Schema of a kind of file
    Schema(SchemaArgs),
    /// Print what completes command lines in a shell
    Completions(CompletionsArgs),
    /// Print or write the manual pages
    Man(ManArgs),
}

/// Where data goes.
#[derive(Debug, Args)]
pub struct OutputArg {
    /// Write to FILE (it appears complete or not at all) instead of stdout
    #[arg(short, long, value_name = "FILE", default_value = "-", hide_default_value = true, value_parser = target())]
    pub output: Target,
}

/// Options of `plan`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bayplan plan snapshot.json -o plan.json
  bayplan plan - < snapshot.json > plan.json
  bayplan plan snapshot.json --effort 200 --seed 7 -o plan.json   # repeatable bit for bit
  bayplan plan snapshot.json --gap 0.1% -o plan.json              # good enough, proven, is enough
  bayplan plan snapshot.json --goal defragment --max-moves 200 -o plan.json
  bayplan plan snapshot.json --place jobs.json -o plan.json       # make room, with the fewest moves
  bayplan plan snapshot.json --admit prefix -o plan.json          # how much of the queue can be accepted?
  bayplan plan snapshot.json --max-moves 20 --detailed-exitcode -o plan.json
  bayplan plan snapshot.json --drain node-3,node-4 --exclude 'db-*,group=cache' -o plan.json
  bayplan plan snapshot.json --only-overloaded -o - > plan.json
  bayplan plan snapshot.json -o plan.ndjson                       # one record per line, for pipes

The first Ctrl-C (or SIGTERM) ends the search and still writes the best verified plan; a second one quits at once.")]
pub struct PlanArgs {
    /// Snapshot (`-` = stdin)
    #[arg(value_parser = source())]
    pub snapshot: Source,
    #[command(flatten)]
    pub output: OutputArg,
    /// What to plan for, instead of the snapshot's own objective. The plan says so, and verify, score and export count in the same points
    #[arg(long, value_enum)]
    pub goal: Option<GoalArg>,
    #[command(flatten)]
    pub jobs: JobsArg,
    #[command(flatten)]
    pub reserve: ReserveArg,
    /// Which waiting tasks to start: all that bring most, or the longest run of them, in the order of the snapshot, of which
    /// none has to be refused (by the bulk solver; told is how many they are). A task that costs more than it is worth ends it
    #[arg(long, value_enum, default_value_t = AdmitArg::All)]
    pub admit: AdmitArg,
    /// Which solver: auto takes exact for small snapshots (started from bulk's answer), bulk for all others and whenever
    /// --effort is given
    #[arg(long, value_enum, default_value_t = SolverArg::Auto)]
    pub solver: SolverArg,
    /// Wall time for the whole command, reading and writing included, e.g. 500ms, 60s, 5m [default: 60s; none with
    /// --effort]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    time_limit: Option<Duration>,
    /// Effort of the bulk solver in candidate evaluations per task: same snapshot, seed and effort, same plan [default:
    /// 20000, or what fits a --time-limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    effort: Option<u64>,
    /// Seed of the search
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Move at most K running tasks (starting a waiting task does not count)
    #[arg(long, value_name = "K", allow_negative_numbers = true)]
    pub max_moves: Option<u32>,
    /// Leave a running task alone unless moving it is worth at least G points [default: 0; and with --goal balance no moves that only even
    /// out, unless they bring a hundred times what they cost, all together]
    #[arg(long, value_name = "G", allow_negative_numbers = true,
        value_parser = clap::value_parser!(i64).range(0..=bayplan::model::AMOUNT_MAX))]
    min_gain: Option<i64>,
    #[command(flatten)]
    pub focus: FocusArgs,
    /// Threads of the search; the plan does not depend on them [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Where the search runs; the plan does not depend on it: auto takes a GPU where one is there and the cluster is large
    /// enough
    #[arg(long, value_enum, default_value_t = BackendArg::Auto)]
    pub backend: BackendArg,
    /// End the search when the plan is proven to be at most so far from the best possible, in percent of its objective, e.g.
    /// 0.1%; without it, when it is proven to be the best. Not with --effort, which always goes to its end
    #[arg(long, value_name = "PERCENT", value_parser = super::args_bound::gap, conflicts_with = "effort")]
    pub gap: Option<GapArg>,
    /// End with code 2 when there are moves to make
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Say nothing but errors
    #[arg(short, long)]
    pub quiet: bool,
}

impl PlanArgs {
    /// Points that moving a running task has to bring at least.
    pub fn min_gain(&self) -> i64 {
        self.min_gain.unwrap_or(0)
    }

    /// Moves are made however little they bring together: it was said what one has to bring.
    pub fn keeps_crumbs(&self) -> bool {
        self.min_gain.is_some()
    }

    /// Effort of the bulk solver; `None` when the time limit alone ends it.
    pub fn effort(&self) -> Option<u64> {
        self.effort.or(self.time_limit.is_none().then_some(bayplan::bulk::EFFORT_DEFAULT))
    }

    /// The same snapshot must give the same plan every time.
    pub fn is_repeatable(&self) -> bool {
        self.effort.is_some()
    }

    /// The limit in force; `None` when effort alone ends the search.
    pub fn time_limit(&self) -> Option<Duration> {
        match (self.time_limit, self.effort) {
            (Some(limit), _) => Some(limit),
            (None, Some(_)) => None,
            (None, None) => Some(TIME_LIMIT_DEFAULT),
        }
    }
}

/// Choice of goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GoalArg {
    /// The same utilisation on every node, for every resource.
    Balance,
    /// Most weighted tasks running; nothing else but moves costs anything.
    Utilization,
    /// Fewest nodes in use: a free node is worth 100 moves.
    Consolidate,
    /// Most nodes with devices wholly free, those with many devices first.
    Defragment,
    /// Everything that waits starts, with the fewest moves.
    Place,
}

impl From<GoalArg> for Goal {
    fn from(goal: GoalArg) -> Goal {
        match goal {
            GoalArg::Balance => Goal::Balance,
            GoalArg::Utilization => Goal::Utilization,
            GoalArg::Consolidate => Goal::Consolidate,
            GoalArg::Defragment => Goal::Defragment,
            GoalArg::Place => Goal::Place,
        }
    }
}

/// Choice of solver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SolverArg {
    /// By size.
    Auto,
    /// Linear and integer programming; proves its answer.
    Exact,
    /// Search; any size.
    Bulk,
}

/// Options of `verify`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bayplan verify snapshot.json plan.json && echo safe to apply\n  \
    bayplan verify snapshot.json plan.json --states table\n\n\
    Exit code 0: every step holds; 3: it does not, and each violation is listed.")]
pub struct VerifyArgs {
    /// Snapshot (`-` = stdin)
    #[arg(value_parser = source())]
    pub snapshot: Source,
    /// Plan (`-` = stdin)
    #[arg(value_parser = source())]
    pub plan: Source,
    /// Show the state after each wave as well; with json, nothing else is on stdout
    #[arg(long, value_name = "FORM", value_enum)]
    pub states: Option<Form>,
    #[command(flatten)]
    pub jobs: JobsArg,
}

/// Options of `score`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bayplan score snapshot.json\n  bayplan score snapshot.json plan.json -o json\n\n\
    JSON fields: utilization (granted / required, mean over the resources), weighted_utilization (sum of weight times\n\
    granted share), headroom by resource (available - load), resources, devices, objective, value, costs, violations.")]
pub struct ScoreArgs {
    /// Snapshot (`-` = stdin)
    #[arg(value_parser = source())]
    pub snapshot: Source,
    /// Plan; with it, the state after all its moves is scored
    #[arg(value_parser = source())]
    pub plan: Option<Source>,
    #[command(flatten)]
    pub jobs: JobsArg,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value_t = ScoreForm::Table)]
    pub output: ScoreForm,
}

/// Form of `score`'s answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScoreForm {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// A line that is no command: help and version included.
pub enum NotACommand {
    /// Clap explains.
    Clap(clap::Error),
    /// Options that contradict each other.
    Contradiction(Failure),
}

impl NotACommand {
    /// Prints it, and gives the exit code.
    pub fn show(&self) -> ExitCode {
        match self {
            NotACommand::Clap(error) => {
                // A closed stdout or stderr leaves nobody to tell.
                let _ = error.print();
                match error.kind() {
                    ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
                    _ => ExitCode::from(64),
                }
            }
            NotACommand::Contradiction(failure) => failure.show(),
        }
    }
}

/// The command line as clap knows it.
pub fn line() -> clap::Command {
    Line::command()
}

/// Reads the command line.
pub fn parse(line: impl IntoIterator<Item = OsString>) -> Result<Command, NotACommand> {
    let command = Line::try_parse_from(line).map_err(NotACommand::Clap)?.command;
    let (sources, target) = command.files();
    let usage = |text: String| NotACommand::Contradiction(Failure::Usage(text));
    if let Command::Export(args) = &command
        && let Some(text) = args.contradiction()
    {
        return Err(usage(text));
    }
    if sources.iter().filter(|source| source.is_stdin()).count() > 1 {
        return Err(usage("only one input can come from stdin ('-')".into()));
    }
    if let Some(target) = target
        && let Some(same) = sources.iter().find(|source| target.overwrites(source))
    {
        return Err(usage(format!("-o {target} would overwrite the input {same}")));
    }
    Ok(command)
}

impl Command {
    /// Everything it reads, and where it writes.
    fn files(&self) -> (Vec<&Source>, Option<&Target>) {
        match self {
            Command::Import(args) => (args.format.sources(), Some(&args.format.output().output)),
            Command::Generate(args) => (Vec::new(), Some(&args.output.output)),
            Command::Plan(args) => (args.jobs.with(&args.snapshot, None), Some(&args.output.output)),
            Command::Bound(args) => (args.jobs.with(&args.snapshot, None), None),
            Command::Verify(args) => (args.jobs.with(&args.snapshot, Some(&args.plan)), None),
            Command::Score(args) => (args.jobs.with(&args.snapshot, args.plan.as_ref()), None),
            Command::Status(args) => (args.jobs.with(&args.snapshot, args.plan.as_ref()), None),
            Command::Explain(args) => (args.jobs.with(&args.snapshot, args.plan.as_ref()), None),
            Command::Drill(args) => (args.jobs.with(&args.snapshot, args.plan.as_ref()), None),
            Command::Export(args) => (args.jobs.with(&args.snapshot, Some(&args.plan)), Some(&args.output.output)),
            Command::Scale(args) => (args.sources(), None),
            Command::Diff(args) => (args.jobs.with(&args.snapshot, Some(&args.plan)), None),
            Command::Simulate(args) => (args.jobs.with(&args.snapshot, Some(&args.plan)), Some(&args.output.output)),
            Command::Report(args) => (args.jobs.with(&args.snapshot, args.plan.as_ref()), Some(&args.output.output)),
            Command::Devices(_) => (Vec::new(), None),
            Command::Bench(args) => (vec![&args.snapshot], None),
            Command::Run(args) => (vec![&args.file], None),
            Command::Scrub(args) => {
                ([&args.snapshot].into_iter().chain(&args.plan).collect(), Some(&args.output.output))
            }
            Command::Schema(args) => (Vec::new(), Some(&args.output.output)),
            Command::Completions(_) | Command::Man(_) => (Vec::new(), None),
        }
    }
}

pub(super) fn source() -> impl TypedValueParser<Value = Source> {
    OsStringValueParser::new().map(Source::from)
}

pub(super) fn target() -> impl TypedValueParser<Value = Target> {
    OsStringValueParser::new().map(Target::from)
}

/// Longest time limit: a year. More than that is a slip of the keyboard.
const TIME_LIMIT_MAX_MS: u64 = 366 * 24 * 3_600_000;

/// Reads `500ms`, `60s`, `5m`, `1h` or a bare number of seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let unit_ms: u64 = match &text[digits..] {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("write a whole number and ms, s, m or h, such as 60s".into()),
    };
    let count: u64 = text[..digits].parse().map_err(|_| "write a whole number and ms, s, m or h, such as 60s")?;
    match count.checked_mul(unit_ms) {
        Some(ms) if ms <= TIME_LIMIT_MAX_MS => Ok(Duration::from_millis(ms)),
        _ => Err("a year is the longest time limit".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_finds_no_contradiction() {
        Line::command().debug_assert();
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for text in ["", "s", "-1s", "1.5s", "60 s", "1d", "99999999999999999999s", "400000h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn effort_alone_means_no_time_limit() {
        let limit = |line: &[&str]| match parse(line.iter().map(OsString::from)) {
            Ok(Command::Plan(args)) => args.time_limit(),
            _ => panic!("{line:?} is a plan command"),
        };
        assert_eq!(limit(&["bayplan", "plan", "s"]), Some(TIME_LIMIT_DEFAULT));
        assert_eq!(limit(&["bayplan", "plan", "s", "--effort", "5"]), None);
        assert_eq!(
            limit(&["bayplan", "plan", "s", "--effort", "5", "--time-limit", "1s"]),
            Some(Duration::from_secs(1))
        );
    }

    #[test]
    fn contradictions_are_usage_errors() {
        for line in [&["bayplan", "verify", "-", "-"][..], &["bayplan", "plan", "Cargo.toml", "-o", "./Cargo.toml"]] {
            match parse(line.iter().map(OsString::from)) {
                Err(NotACommand::Contradiction(failure)) => assert_eq!(failure.code(), 64),
                _ => panic!("{line:?} must be refused"),
            }
        }
    }
}
