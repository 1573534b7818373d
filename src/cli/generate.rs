//! `bayplan generate`: a synthetic cluster as a snapshot. What it writes is checked first: a fault in it would be our bug.

use super::args::GenerateArgs;
use super::failure::{Exit, Failure};
use super::screen::say;
use super::signal;
use bayplan::file;
use bayplan::generate::{Order, generate};
use bayplan::model::Problem;

/// Runs the command.
pub fn run(args: &GenerateArgs) -> Result<Exit, Failure> {
    signal::quit_at_once();
    args.output.output.check()?;
    let order = Order::new(args.shape.0, args.wish()).map_err(|faults| Failure::Usage(faults.join("\n  ")))?;
    let snapshot = generate(&order);
    let problem = Problem::new(&snapshot)
        .map_err(|faults| Failure::Bug(format!("internal error: the generated cluster {order} has {faults}")))?;
    args.output.output.write(&file::write_snapshot(&snapshot))?;
    let [nodes, tasks, groups] = [problem.nodes.len(), problem.tasks.len(), problem.groups.len()];
    say(&format!("generated {nodes} nodes, {tasks} tasks and {groups} groups"));
    Ok(Exit::Done)
}
