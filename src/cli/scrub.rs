//! `bayplan scrub`: a snapshot, and a plan for it, under names that say nothing.

use super::args_shell::ScrubArgs;
use super::failure::{Exit, Failure};
use super::io::Target;
use super::{faulty, read_plan_for, signal};
use bayplan::file;
use bayplan::model::Problem;
use bayplan::plan::{self, Plan};
use bayplan::scrub::scrub;

/// Runs the command.
pub fn run(args: &ScrubArgs) -> Result<Exit, Failure> {
    signal::quit_at_once();
    let targets = [Some(&args.output.output), args.plan_output.as_ref()];
    targets.into_iter().flatten().try_for_each(|target| target.check())?;
    if args.output.output == Target::Stdout && args.plan_output == Some(Target::Stdout) {
        return Err(Failure::Usage("snapshot and plan cannot both go to stdout; give one of them a file".into()));
    }
    let snapshot = file::read_snapshot(&args.snapshot.read()?).map_err(|faults| faulty(&args.snapshot, faults))?;
    let mut problem = Problem::new(&snapshot).map_err(|faults| faulty(&args.snapshot, faults))?;
    let scrubbed = scrub(&snapshot);
    let mut renamed = Problem::new(&scrubbed).expect("only names differ from a snapshot that is sound");
    if let (Some(source), Some(target)) = (&args.plan, &args.plan_output) {
        let plan = read_plan_for(&mut problem, source)?;
        if let Some(goal) = plan.goal {
            renamed = goal.apply(&renamed);
        }
        let blocked: Vec<_> = plan.blocked.iter().map(|blocked| blocked.task).collect();
        let waiting = plan.unplaced.iter().map(|(task, _)| *task);
        // Its tasks and nodes are positions, which stay; only the reasons have names in them.
        let plan = Plan {
            fingerprint: renamed.fingerprint.clone(),
            unplaced: plan::reasons(&plan.drained(&renamed), &plan.reached(&renamed), &blocked, waiting),
            ..plan
        };
        target.write(&file::write_plan(&renamed, &plan))?;
    }
    args.output.output.write(&file::write_snapshot(&scrubbed))?;
    Ok(Exit::Done)
}
