//! `bayplan simulate`: what becomes of a plan when moves fail, nodes vanish and tasks grow? In a cluster on paper only.

use super::args_waves::SimulateArgs;
use super::failure::{Exit, Failure};
use super::io::Target;
use super::plan::with_charge;
use super::screen::{Tone, line, printable, say_verdict};
use super::{faulty, focus, plan_from, read_cluster, report, signal};
use bayplan::control::Control;
use bayplan::model::{Problem, TaskId, total_excess, violations};
use bayplan::plan::{self, Meta, Plan, Status};
use bayplan::simulate::{Chances, Event, simulate};
use bayplan::{bulk, file};
use std::fmt::Write;

/// Runs the command.
pub fn run(args: &SimulateArgs) -> Result<Exit, Failure> {
    signal::quit_at_once();
    args.output.output.check()?;
    let fail = |faults| faulty(&args.snapshot, faults);
    let (snapshot, mut problem) = read_cluster(&args.snapshot, args.jobs.place.as_ref())?;
    let plan = plan_from(&mut problem, &args.plan, &args.plan.read()?)?;
    focus::narrow(&mut problem.clone(), &args.focus)?;
    // What does not hold is not carried out, not even on paper.
    let verdict = plan::verify(&problem, &plan);
    if !verdict.is_right() {
        say_verdict(&report::verdict(&problem, &plan, &verdict), Tone::Bad);
        return Ok(Exit::Rejected);
    }
    let goal = plan.goal;
    let chances = Chances { fail: args.fail_rate, vanish: args.vanish_rate, grow: args.grow_rate, seed: args.seed };
    let prepare = |problem: &Problem| goal.map_or_else(|| problem.clone(), |goal| goal.apply(problem));
    let first = problem.clone();
    let replan = |problem: &Problem| again(&first, problem, args);
    let outcome = simulate(&snapshot, plan, chances, prepare, replan).map_err(fail)?;
    let mut text = String::new();
    let mut wave = 0;
    for event in &outcome.events {
        match event {
            Event::Wave { .. } => wave += 1,
            Event::Planned(_) => wave = 0,
            _ => {}
        }
        let _ = match event {
            Event::Wave { done, failed: 0, held_back: 0 } => writeln!(text, "wave {wave}: {} done", moves(*done)),
            Event::Wave { done, failed, held_back } => {
                writeln!(
                    text,
                    "wave {wave}: {} done, {failed} failed, {held_back} held back because of these",
                    moves(*done)
                )
            }
            Event::Vanished(node, count) => writeln!(text, "node {node} vanished, {count} of its tasks wait"),
            Event::Grew(task) => writeln!(text, "task {task} grew by a tenth"),
            Event::Planned(0) => writeln!(text, "planned anew: nothing to move"),
            Event::Planned(count) => writeln!(text, "planned anew: {}", moves(*count)),
        };
    }
    let end = Problem::new(&outcome.end).map_err(fail)?;
    let excess = total_excess(&violations(&end, &end.current));
    let runs = |problem: &Problem, task: &TaskId| problem.current.spot(*task).is_placed();
    let placed = end.task_ids().filter(|task| runs(&end, task)).count();
    // Tasks keep their number: only nodes vanish.
    let stopped = end.task_ids().filter(|task| runs(&problem, task) && !runs(&end, task)).count();
    let worse = outcome.worse.len() + outcome.refused.len();
    let stable = if outcome.is_stable { "stable: planning again moves nothing" } else { "not stable" };
    let _ = writeln!(
        text,
        "end: {placed} of {} tasks run, {stopped} that ran do not, excess {excess}, {worse} rules made worse, {stable}",
        end.tasks.len()
    );
    for violation in &outcome.worse {
        let _ = writeln!(text, "  worse: {}", line(&violation.describe(&problem)));
    }
    for breach in &outcome.refused {
        let _ = writeln!(text, "  refused: {}", line(&breach.to_string()));
    }
    match &args.output.output {
        Target::Stdout => {}
        target => target.write(&file::write_snapshot(&outcome.end))?,
    }
    Target::Stdout.write(printable(&text).as_bytes())?;
    Ok(if worse == 0 && outcome.is_stable { Exit::Done } else { Exit::Rejected })
}

fn moves(count: usize) -> String {
    format!("{count} {}", if count == 1 { "move" } else { "moves" })
}

/// A plan for the state as it is, where `first` was at the start.
fn again(first: &Problem, problem: &Problem, args: &SimulateArgs) -> Plan {
    let mut problem = problem.clone();
    let left = args.max_moves.map(|most| most.saturating_sub(away(first, &problem)));
    problem.moves.max_moves = [problem.moves.max_moves, left].into_iter().flatten().min();
    problem.moves.min_gain = args.min_gain.unwrap_or(0);
    focus::narrow_to_what_is_left(&mut problem, &args.focus);
    let options = bulk::Options { seed: args.seed, effort: Some(args.effort), threads: 0, device: None };
    let endless = Control::unlimited();
    let plan = |problem: &Problem| {
        let searched = focus::searched(problem, &args.focus);
        let charged = with_charge(&searched, problem.moves.min_gain);
        let ordered = plan::order(problem, &bulk::solve(&charged, &options, &endless).placement, &endless);
        let ordered = bulk::resume(problem, &charged, ordered, &options, &endless);
        if args.min_gain.is_some() { ordered } else { bulk::worthwhile(problem, ordered) }
    };
    let ordered = bulk::settled(&problem, plan(&problem), plan, &endless);
    let (solver, backend) = ("bulk".to_string(), "cpu".to_string());
    let (seed, effort, status) = (args.seed, args.effort, Status::Feasible);
    let meta = Meta { solver, seed, effort, backend, status, bound: None, proof: None, blockers: None };
    plan::sum_up(&problem, ordered, meta)
}

/// Running tasks that are elsewhere than at the start. Nodes vanish and others take their numbers; names stay.
fn away(first: &Problem, now: &Problem) -> u32 {
    let names = |problem: &Problem, task: TaskId| -> Vec<String> {
        let pieces = problem.current.spot(task).pieces().iter();
        pieces.map(|piece| problem.nodes[piece.node.index()].name.clone()).collect()
    };
    let is_away = |task: &TaskId| {
        let (before, after) = (names(first, *task), names(now, *task));
        !before.is_empty() && !after.is_empty() && before != after
    };
    now.task_ids().filter(is_away).count() as u32
}
