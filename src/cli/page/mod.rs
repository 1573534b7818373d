//! `bayplan report`: what must a person know about this cluster and this plan? One page that needs nothing else.
//!
//! `facts` measures, `outline` puts the parts in order, `html` sees to it that everything is closed and escaped; each other file turns
//! a part of the facts into a part of the page. There is no script on it, and its own policy forbids it to load anything.

mod curve;
mod drills;
mod facts;
mod headline;
mod heat;
mod html;
mod moves;
mod outline;
mod outlook;
mod parts;
mod pools;
mod rules;
mod scaling;
mod usage;
mod waiting;

use super::args_report::ReportArgs;
use super::failure::{Exit, Failure};
use super::screen::{Tone, say_verdict};
use super::{read_cluster, read_plan_for, report, signal};
use bayplan::plan;
use facts::{Facts, Planned};
use outlook::Outlook;

/// Runs the command.
pub fn run(args: &ReportArgs) -> Result<Exit, Failure> {
    args.output.output.check()?;
    let read = || {
        let (snapshot, mut problem) = read_cluster(&args.snapshot, args.jobs.place.as_ref())?;
        let plan = args.plan.as_ref().map(|source| read_plan_for(&mut problem, source)).transpose()?;
        Ok((snapshot, problem, plan))
    };
    let then = Some("the page is written with the advice found so far");
    let ((snapshot, problem, plan), stop) = signal::read_then_stop_first(then, read)?;
    let verdict = plan.as_ref().map(|plan| plan::verify(&problem, plan));
    if let (Some(plan), Some(verdict)) = (&plan, &verdict)
        && !verdict.is_right()
    {
        say_verdict(&report::verdict(&problem, plan, verdict), Tone::Bad);
        return Ok(Exit::Rejected);
    }
    let planned = plan.as_ref().zip(verdict).map(|(plan, verdict)| Planned::new(&problem, plan, verdict));
    let facts = Facts::new(&problem, planned);
    let outlook = Outlook::new(&snapshot, &problem, &facts.end().placement, args.time_limit, stop);
    args.output.output.write(outline::page(&facts, &outlook).as_bytes())?;
    Ok(Exit::Done)
}
