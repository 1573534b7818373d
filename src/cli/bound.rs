//! `bayplan bound`: how good can any plan be at most? The bound alone, with the prices that prove it.

use super::args::{BoundArgs, ScoreForm};
use super::backend::Backend;
use super::failure::{Exit, Failure};
use super::figures::grouped;
use super::io::Target;
use super::screen::{line, say, table};
use super::{read_problem, report, signal, with_goal};
use bayplan::bound::{self, Device, Options, STEPS_LIMITED};
use bayplan::control::Control;
use bayplan::model::score;
use bayplan::{file, plan};
use std::time::Instant;

/// Runs the command that began at `started`.
pub fn run(args: &BoundArgs, started: Instant) -> Result<Exit, Failure> {
    let then = Some("the best bound so far is told");
    let (problem, stop) =
        signal::read_then_stop_first(then, || read_problem(&args.snapshot, args.jobs.place.as_ref()))?;
    let problem = with_goal(problem, args.goal, &args.jobs);
    let mut control = Control::unlimited().with_stop(stop);
    if let Some(limit) = args.time_limit {
        control = control.with_time_limit(limit.saturating_sub(started.elapsed()));
    }
    let steps = args.time_limit.map(|_| STEPS_LIMITED);
    let backend = Backend::choose_with(args.backend, &problem, |gpu| Ok(Device::new(gpu)))?;
    let options = Options {
        steps,
        linear: true,
        threads: args.threads.map_or(0, usize::from),
        device: backend.device.clone(),
        ..Options::default()
    };
    let proof = bound::bound(&problem, &options, &control);
    if let Some(trouble) = backend.device.as_ref().and_then(Device::trouble) {
        say(&format!("bayplan: {}: {trouble}; the CPU went on, with the same bound", backend.text));
    }
    let seconds = started.elapsed().as_secs_f64();
    // Stopped before there were prices, it claims what is certain without any.
    let is_right = |found: i128| found == proof.bound || found < proof.bound && control.must_stop();
    if !plan::proven(&problem, &proof).is_ok_and(is_right) {
        return Err(Failure::Bug("internal error: the bound fails its own verification".to_string()));
    }
    let objective = score(&problem, &problem.current).objective();
    let text = match args.output {
        ScoreForm::Json => file::write_bound(&problem, &proof, objective),
        ScoreForm::Table => {
            let row = |name: &str, figure: String| vec![name.to_string(), figure];
            let rows = [
                row("objective now", grouped(objective)),
                row("bound: no placement has more", grouped(proof.bound)),
                row("gap", report::gap_text(objective, proof.bound)),
                row("rows of prices", proof.rows.len().to_string()),
                row("backend", backend.text.clone()),
                row("seconds", format!("{seconds:.1}")),
            ];
            format!("{}\n\n{}\n", line(&problem.name), table(&["", "points"], &rows, true)).into_bytes()
        }
    };
    Target::Stdout.write(&text)?;
    Ok(Exit::Done)
}
