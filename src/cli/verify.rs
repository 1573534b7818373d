//! `bayplan verify`: does this plan hold for this snapshot? The verdict is the data of this command, so it goes to stdout.

use super::args::VerifyArgs;
use super::failure::{Exit, Failure};
use super::io::Target;
use super::screen::printable;
use super::{read_plan, read_problem, report, signal};
use bayplan::plan;

/// Runs the command.
pub fn run(args: &VerifyArgs) -> Result<Exit, Failure> {
    signal::quit_at_once();
    let mut problem = read_problem(&args.snapshot, args.jobs.place.as_ref())?;
    let plan = read_plan(&mut problem, &args.plan)?;
    let verdict = plan::verify(&problem, &plan);
    let text = printable(&report::verdict(&problem, &plan, &verdict)) + "\n";
    Target::Stdout.write(text.as_bytes())?;
    Ok(if verdict.is_right() { Exit::Done } else { Exit::Rejected })
}
