//! What does each subcommand do? One file per subcommand; data goes to stdout or `-o FILE`, everything human to stderr.
//!
//! `args` holds what was typed, with the type of its meaning; `io` reads and writes; `screen` talks to the person;
//! `figures` and `report` turn a state or a plan into something to read on a terminal, `page` into a page for a browser (the command
//! `report`). Nothing here decides anything about placements.

pub mod args;
mod args_bound;
mod args_device;
mod args_drill;
mod args_explain;
mod args_export;
mod args_generate;
mod args_import;
mod args_jobs;
mod args_kubernetes;
mod args_report;
mod args_run;
mod args_scale;
mod args_shell;
mod args_status;
mod args_waves;
mod backend;
mod bench;
mod beside;
mod bound;
mod devices;
mod diff;
mod drill;
mod explain;
mod export;
pub mod failure;
mod figures;
mod focus;
mod generate;
mod import;
mod io;
mod log;
mod notes;
mod page;
mod plan;
mod prometheus;
mod report;
mod reserve;
mod run;
mod scale;
mod scale_series;
mod schema;
mod score;
mod screen;
mod scrub;
mod shell;
mod signal;
mod simulate;
mod states;
mod status;
mod verify;

use args::{Command, GoalArg, JobsArg};
use bayplan::file;
use bayplan::model::{Faults, Goal, Problem, Snapshot};
use bayplan::plan::Plan;
use failure::{Exit, Failure};
use io::Source;
use std::time::Instant;

/// Runs a command that began at `started`.
pub fn run(command: Command, started: Instant) -> Result<Exit, Failure> {
    match command {
        Command::Import(args) => import::run(&args),
        Command::Generate(args) => generate::run(&args),
        Command::Plan(args) => plan::run(&args, started),
        Command::Bound(args) => bound::run(&args, started),
        Command::Verify(args) => verify::run(&args),
        Command::Score(args) => score::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Scale(args) => scale::run(&args, started),
        Command::Explain(args) => explain::run(&args),
        Command::Drill(args) => drill::run(&args),
        Command::Report(args) => page::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Devices(args) => devices::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Scrub(args) => scrub::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Completions(args) => shell::completions(&args),
        Command::Man(args) => shell::man(&args),
    }
}

/// Reads and checks a snapshot, and the jobs that come on top of it.
fn read_problem(source: &Source, jobs: Option<&Source>) -> Result<Problem, Failure> {
    Ok(read_cluster(source, jobs)?.1)
}

/// The same for whoever needs what is only in the snapshot: where things come from.
fn read_cluster(source: &Source, jobs: Option<&Source>) -> Result<(Snapshot, Problem), Failure> {
    let bytes = source.read()?;
    let mut snapshot = file::read_snapshot(&bytes).map_err(|faults| faulty(source, faults))?;
    let mut name = source.to_string();
    if let Some(jobs) = jobs {
        add_jobs(&mut snapshot, jobs)?;
        name = format!("{source} with {jobs}");
    }
    match Problem::new(&snapshot) {
        Ok(problem) => Ok((snapshot, problem)),
        Err(faults) => Err(Failure::Input { file: name, faults }),
    }
}

/// Puts the tasks and groups of a jobs file on top of a snapshot.
fn add_jobs(snapshot: &mut Snapshot, jobs: &Source) -> Result<(), Failure> {
    let added = file::read_jobs(&jobs.read()?).map_err(|faults| faulty(jobs, faults))?;
    snapshot.tasks.extend(added.tasks);
    snapshot.groups.extend(added.groups);
    Ok(())
}

/// The problem in the points of the goal asked for, or of `place` where jobs come on top. Its fingerprint stays that of the snapshot.
fn with_goal(problem: Problem, goal: Option<GoalArg>, jobs: &JobsArg) -> Problem {
    let goal = goal.map(Goal::from).or(jobs.place.is_some().then_some(Goal::Place));
    match goal {
        Some(goal) => goal.apply(&problem),
        None => problem,
    }
}

/// Reads a snapshot with its jobs, and a plan in whose points the problem then is. A piped plan is read to its end first: only
/// then has whatever wrote the snapshot beside it (`tee`, in front of `bayplan plan -`) come to its end too.
fn read_planned(source: &Source, jobs: &JobsArg, plan: &Source) -> Result<(Snapshot, Problem, Plan), Failure> {
    let piped = if plan.is_stdin() { Some(plan.read()?) } else { None };
    let (snapshot, mut problem) = read_cluster(source, jobs.place.as_ref())?;
    let bytes = match piped {
        Some(bytes) => bytes,
        None => plan.read()?,
    };
    let plan = plan_from(&mut problem, plan, &bytes)?;
    Ok((snapshot, problem, plan))
}

fn plan_from(problem: &mut Problem, source: &Source, bytes: &[u8]) -> Result<Plan, Failure> {
    let plan = file::read_plan(bytes, problem).map_err(|faults| faulty(source, faults))?;
    if let Some(goal) = plan.goal {
        *problem = goal.apply(problem);
    }
    Ok(plan)
}

/// Reads a plan that must be for this very state of the cluster.
fn read_plan_for(problem: &mut Problem, source: &Source) -> Result<Plan, Failure> {
    let plan = plan_from(problem, source, &source.read()?)?;
    if plan.fingerprint == problem.fingerprint {
        return Ok(plan);
    }
    let mut faults = Faults::new();
    let cause = format!("the plan is for the snapshot {}, this one is {}", plan.fingerprint, problem.fingerprint);
    faults.add("F204", "snapshot", cause, "give the snapshot it was made for, or plan again");
    Err(faulty(source, faults))
}

fn faulty(source: &Source, faults: Faults) -> Failure {
    Failure::Input { file: source.to_string(), faults }
}
