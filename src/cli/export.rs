//! `bayplan export`: plan → foreign format. A plan that does not hold is not exported: whoever reads the export cannot see that.

use super::args::ExportArgs;
use super::args_export::ExportFormat;
use super::failure::{Exit, Failure};
use super::screen::{Tone, say_verdict};
use super::{faulty, read_planned, report, signal};
use bayplan::adapter::{openb, roadef};
use bayplan::file;
use bayplan::plan;

/// Runs the command.
pub fn run(args: &ExportArgs) -> Result<Exit, Failure> {
    signal::quit_at_once();
    export(args)
}

/// Reads, verifies, writes.
pub fn export(args: &ExportArgs) -> Result<Exit, Failure> {
    args.output.output.check()?;
    let (_, problem, plan) = read_planned(&args.snapshot, &args.jobs, &args.plan)?;
    let verdict = plan::verify(&problem, &plan);
    if !verdict.is_right() {
        say_verdict(&report::verdict(&problem, &plan, &verdict), Tone::Bad);
        return Ok(Exit::Rejected);
    }
    let text = match args.format {
        ExportFormat::Openb => openb::export(&problem, &verdict.reached).into_bytes(),
        ExportFormat::Ndjson => file::write_stream(&problem, &plan),
        ExportFormat::Roadef => {
            let text = roadef::export(&problem, &verdict.reached);
            text.map_err(|faults| faulty(&args.snapshot, faults))?.into_bytes()
        }
    };
    args.output.output.write(&text)?;
    Ok(Exit::Done)
}
