//! `bayplan schema`: which fields does a file have? The schemas of data/schema, each complete in itself.

use super::args_shell::{SchemaArgs, SchemaKind};
use super::failure::{Exit, Failure};
use super::signal;
use serde_json::Value;

const SNAPSHOT: &str = include_str!("../../data/schema/snapshot.schema.json");
const PLAN: &str = include_str!("../../data/schema/plan.schema.json");
const JOBS: &str = include_str!("../../data/schema/jobs.schema.json");
const RUN: &str = include_str!("../../data/schema/run.schema.json");

/// Runs the command.
pub fn run(args: &SchemaArgs) -> Result<Exit, Failure> {
    signal::quit_at_once();
    let text = match args.kind {
        SchemaKind::Snapshot => SNAPSHOT.to_string(),
        SchemaKind::Plan => PLAN.to_string(),
        SchemaKind::Jobs => jobs(),
        SchemaKind::Run => RUN.to_string(),
    };
    args.output.output.write(text.as_bytes())?;
    Ok(Exit::Done)
}

/// The schema of jobs, which refers to the one of snapshots, with that one inside: nobody has to fetch it.
fn jobs() -> String {
    let read = |text: &str| -> Value { serde_json::from_str(text).expect("our schemas are JSON, as tests see") };
    let mut schema = read(JOBS);
    schema["$defs"]["snapshot"] = read(SNAPSHOT);
    format!("{schema:#}\n")
}
