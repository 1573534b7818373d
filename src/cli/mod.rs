//! What does each subcommand do? One file per subcommand; data goes to stdout or `-o FILE`, everything human to stderr.
//!
//! `args` holds what was typed, with the type of its meaning; `io` reads and writes; `screen` talks to the person;
//! `figures` and `report` turn a state or a plan into something to read. Nothing here decides anything about placements.

pub mod args;
mod args_bound;
mod args_device;
mod args_explain;
mod args_generate;
mod args_jobs;
mod args_waves;
mod backend;
mod bench;
mod beside;
mod bound;
mod devices;
mod diff;
mod explain;
mod export;
pub mod failure;
mod figures;
mod focus;
mod generate;
mod import;
mod io;
mod plan;
mod report;
mod score;
mod screen;
mod signal;
mod simulate;
mod states;
mod verify;

use args::{Command, GoalArg, JobsArg};
use bayplan::file;
use bayplan::model::{Faults, Goal, Problem};
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
        Command::Explain(args) => explain::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Devices(args) => devices::run(&args),
        Command::Bench(args) => bench::run(&args),
    }
}

/// Reads and checks a snapshot, and the jobs that come on top of it.
fn read_problem(source: &Source, jobs: Option<&Source>) -> Result<Problem, Failure> {
    let bytes = source.read()?;
    let mut snapshot = file::read_snapshot(&bytes).map_err(|faults| faulty(source, faults))?;
    if let Some(jobs) = jobs {
        let added = file::read_jobs(&jobs.read()?).map_err(|faults| faulty(jobs, faults))?;
        snapshot.tasks.extend(added.tasks);
        snapshot.groups.extend(added.groups);
        return Problem::new(&snapshot)
            .map_err(|faults| Failure::Input { file: format!("{source} with {jobs}"), faults });
    }
    Problem::new(&snapshot).map_err(|faults| faulty(source, faults))
}

/// The problem in the points of the goal asked for, or of `place` where jobs come on top. Its fingerprint stays that of the snapshot.
fn with_goal(problem: Problem, goal: Option<GoalArg>, jobs: &JobsArg) -> Problem {
    let goal = goal.map(Goal::from).or(jobs.place.is_some().then_some(Goal::Place));
    match goal {
        Some(goal) => goal.apply(&problem),
        None => problem,
    }
}

/// Reads a plan for a snapshot's problem, which is then in the points of the plan's goal.
fn read_plan(problem: &mut Problem, source: &Source) -> Result<Plan, Failure> {
    let bytes = source.read()?;
    let plan = file::read_plan(&bytes, problem).map_err(|faults| faulty(source, faults))?;
    if let Some(goal) = plan.goal {
        *problem = goal.apply(problem);
    }
    Ok(plan)
}

/// Reads a plan that must be for this very state of the cluster.
fn read_plan_for(problem: &mut Problem, source: &Source) -> Result<Plan, Failure> {
    let plan = read_plan(problem, source)?;
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
