//! `bayplan simulate`: what becomes of a plan when moves fail, nodes vanish and tasks grow? In a cluster on paper only.

use super::args_waves::SimulateArgs;
use super::failure::{Exit, Failure};
use super::io::Target;
use super::screen::printable;
use super::{faulty, read_cluster, read_plan_for, signal};
use bayplan::control::Control;
use bayplan::model::{Problem, total_excess, violations};
use bayplan::plan::{self, Meta, Plan};
use bayplan::simulate::{Chances, Event, simulate};
use bayplan::{bulk, file};
use std::fmt::Write;

/// Runs the command.
pub fn run(args: &SimulateArgs) -> Result<Exit, Failure> {
    signal::quit_at_once();
    args.output.output.check()?;
    let fail = |faults| faulty(&args.snapshot, faults);
    let (snapshot, mut problem) = read_cluster(&args.snapshot, args.jobs.place.as_ref())?;
    let plan = read_plan_for(&mut problem, &args.plan)?;
    let goal = plan.goal;
    let chances = Chances { fail: args.fail_rate, vanish: args.vanish_rate, grow: args.grow_rate, seed: args.seed };
    let prepare = |problem: &Problem| goal.map_or_else(|| problem.clone(), |goal| goal.apply(problem));
    let replan = |problem: &Problem| again(problem, args);
    let outcome = simulate(&snapshot, plan, chances, prepare, replan).map_err(fail)?;
    let mut text = String::new();
    for event in &outcome.events {
        let _ = match event {
            Event::Wave { done, failed: 0, refused: 0 } => writeln!(text, "wave: {done} moves done"),
            Event::Wave { done, failed, refused } => {
                writeln!(text, "wave: {done} moves done, {failed} failed, {refused} refused for want of room")
            }
            Event::Vanished(node, count) => writeln!(text, "node {node} vanished, {count} tasks wait again"),
            Event::Grew(task) => writeln!(text, "task {task} grew by a tenth"),
            Event::Planned(count) => writeln!(text, "planned anew: {count} moves"),
        };
    }
    let end = Problem::new(&outcome.end).map_err(fail)?;
    let excess = total_excess(&violations(&end, &end.current));
    let placed = end.task_ids().filter(|task| end.current.spot(*task).is_placed()).count();
    let worse = outcome.worse.len() + outcome.refused.len();
    let stable = if outcome.is_stable { "stable: planning again moves nothing" } else { "not stable" };
    let _ = writeln!(
        text,
        "end: {placed} of {} tasks run, excess {excess}, {worse} rules made worse, {stable}",
        end.tasks.len()
    );
    for violation in &outcome.worse {
        let _ = writeln!(text, "  worse: {}", violation.describe(&problem));
    }
    for breach in &outcome.refused {
        let _ = writeln!(text, "  refused: {breach}");
    }
    match &args.output.output {
        Target::Stdout => {}
        target => target.write(&file::write_snapshot(&outcome.end))?,
    }
    Target::Stdout.write(printable(&text).as_bytes())?;
    Ok(if worse == 0 && outcome.is_stable { Exit::Done } else { Exit::Rejected })
}

/// A plan for the state as it is.
fn again(problem: &Problem, args: &SimulateArgs) -> Plan {
    let options = bulk::Options { seed: args.seed, effort: Some(args.effort), threads: 0, device: None };
    let found = bulk::solve(problem, &options, &Control::unlimited());
    let (seed, effort, status) = (args.seed, found.effort, found.status);
    let (solver, backend) = ("bulk".to_string(), "cpu".to_string());
    let meta = Meta { solver, seed, effort, backend, status, bound: None, proof: None, blockers: None };
    let ordered = plan::order(problem, &found.placement, &Control::unlimited());
    plan::sum_up(problem, bulk::resume(problem, problem, ordered, &options, &Control::unlimited()), meta)
}
