//! `bayplan plan`: the main job. Read, solve, order, verify, write; a plan that our own verifier refuses is never written.

use super::args::PlanArgs;
use super::failure::{Exit, Failure};
use super::figures::Figures;
use super::screen::{ProgressLine, Tone, say, say_verdict};
use super::{read_problem, report, signal};
use bayplan::control::Control;
use bayplan::model::{Placement, Problem};
use bayplan::plan::{self, Meta, Plan, Verdict};
use bayplan::{bulk, file};
use std::fmt::Write;
use std::time::{Duration, Instant};

/// Least time kept back for ordering, verifying and writing.
const RESERVE_MIN: Duration = Duration::from_millis(20);
/// Most lines of a refused plan that are shown.
const BREACH_SHOWN_MAX: usize = 20;

/// Runs the command that began at `started`.
pub fn run(args: &PlanArgs, started: Instant) -> Result<Exit, Failure> {
    args.output.output.check()?;
    let stop = signal::stop_first();
    let problem = with_limits(read_problem(&args.snapshot)?, args);
    let line = ProgressLine::new(args.quiet);
    let mut search = Control::unlimited().with_stop(stop).with_listener(line.listener());
    // Ordering must not be cut by a signal: the answer found so far is what the person wants to see.
    let mut order = Control::unlimited();
    if let Some(limit) = args.time_limit() {
        let left = limit.saturating_sub(started.elapsed());
        let reserve = reserve(left, started.elapsed());
        search = search.with_time_limit(left - reserve);
        order = order.with_time_limit(left - reserve / 3);
    }
    let (target, meta) = solve(&problem, args, &search);
    let plan = plan::build(&problem, &target, meta, &order);
    line.finish();
    let verdict = plan::verify(&problem, &plan);
    refuse_broken(&problem, &plan, &verdict)?;
    let bytes = file::write_plan(&problem, &plan);
    if !args.quiet {
        show(&problem, &plan, &verdict, started);
    }
    args.output.output.write(&bytes)?;
    Ok(if args.detailed_exitcode && verdict.move_count > 0 { Exit::MovesToMake } else { Exit::Done })
}

/// The problem under the limits of the command line. Its fingerprint stays that of the snapshot.
fn with_limits(mut problem: Problem, args: &PlanArgs) -> Problem {
    problem.moves.max_moves = [problem.moves.max_moves, args.max_moves].into_iter().flatten().min();
    problem
}

/// What is kept back of the time left when reading took `reading`: ordering, verifying and writing touch the same data
/// as reading did, so they are given as long, but never more than a quarter of what is left.
fn reserve(left: Duration, reading: Duration) -> Duration {
    reading.max(RESERVE_MIN).min(left / 4)
}

/// Where everything should run, and what the solver says about it.
fn solve(problem: &Problem, args: &PlanArgs, control: &Control) -> (Placement, Meta) {
    let threads = args.threads.map_or(0, usize::from);
    let options = bulk::Options { seed: args.seed, effort: args.effort, threads, min_gain: args.min_gain };
    let found = bulk::solve(problem, &options, control);
    let meta = Meta { solver: "bulk".into(), seed: args.seed, effort: found.effort, status: found.status, bound: None };
    (found.placement, meta)
}

/// A plan that fails its verification is our bug: nobody gets to see it as a plan.
fn refuse_broken(problem: &Problem, plan: &Plan, verdict: &Verdict) -> Result<(), Failure> {
    if verdict.is_right() {
        return Ok(());
    }
    let count = verdict.violations.len();
    let mut text = format!("internal error: the plan fails its own verification in {count} places");
    for breach in verdict.violations.iter().take(BREACH_SHOWN_MAX) {
        let _ = write!(text, "\n  {breach}");
    }
    let Plan { solver, seed, effort, .. } = plan;
    let fingerprint = &problem.fingerprint;
    let _ = write!(text, "\nsolver {solver}, seed {seed}, effort {effort}, snapshot {fingerprint}");
    Err(Failure::Bug(text))
}

/// Tables, moves and verdict, for the person.
fn show(problem: &Problem, plan: &Plan, verdict: &Verdict, started: Instant) {
    let before = Figures::of(problem, &problem.current);
    let after = Figures::of(problem, &verdict.reached);
    say(&format!("{}\n", problem.name));
    say(&report::before_after(problem, &before, &after));
    let loads = report::node_loads(problem, &problem.current, &verdict.reached);
    if !loads.is_empty() {
        say(&format!("\n{loads}"));
    }
    say(&format!("\n{}\n", report::moves(problem, plan)));
    for line in report::left_over(problem, plan) {
        say(&line);
    }
    say_verdict(&report::verdict(problem, plan, verdict), Tone::Good);
    say(&report::how_found(plan, started.elapsed()));
}
