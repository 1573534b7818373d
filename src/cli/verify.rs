//! `bayplan verify`: does this plan hold for this snapshot? The verdict is the data of this command, so it goes to stdout.

use super::args::VerifyArgs;
use super::args_waves::Form;
use super::failure::{Exit, Failure};
use super::io::Target;
use super::screen::printable;
use super::{read_planned, report, signal, states};
use bayplan::plan;

/// Runs the command.
pub fn run(args: &VerifyArgs) -> Result<Exit, Failure> {
    signal::quit_at_once();
    let (_, problem, plan) = read_planned(&args.snapshot, &args.jobs, &args.plan)?;
    let verdict = plan::verify(&problem, &plan);
    let mut text = printable(&report::verdict(&problem, &plan, &verdict)) + "\n";
    // A plan that does not hold may name what does not exist: it has no states.
    if let Some(form) = args.states.filter(|_| verdict.is_right()) {
        let states = states::text(&problem, &plan, form);
        text = if form == Form::Json { states } else { text + "\n" + &states };
    }
    Target::Stdout.write(text.as_bytes())?;
    Ok(if verdict.is_right() { Exit::Done } else { Exit::Rejected })
}
