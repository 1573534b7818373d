//! `bayplan schema`: which fields does a file, or an answer in JSON, have? The schemas of data/schema, each complete in itself.

use super::args_shell::{SchemaArgs, SchemaKind};
use super::failure::{Exit, Failure};
use super::signal;
use serde_json::Value;

const SNAPSHOT: &str = include_str!("../../data/schema/snapshot.schema.json");

/// Runs the command.
pub fn run(args: &SchemaArgs) -> Result<Exit, Failure> {
    signal::quit_at_once();
    let text = match args.kind {
        SchemaKind::Snapshot => SNAPSHOT.to_string(),
        SchemaKind::Plan => include_str!("../../data/schema/plan.schema.json").to_string(),
        SchemaKind::Jobs => with_snapshot(include_str!("../../data/schema/jobs.schema.json")),
        SchemaKind::Run => include_str!("../../data/schema/run.schema.json").to_string(),
        SchemaKind::Shapes => shapes(),
        SchemaKind::Loads => include_str!("../../data/schema/loads.schema.json").to_string(),
        SchemaKind::Scale => include_str!("../../data/schema/scale.schema.json").to_string(),
        SchemaKind::Schedule => include_str!("../../data/schema/schedule.schema.json").to_string(),
        SchemaKind::Drill => include_str!("../../data/schema/drill.schema.json").to_string(),
        SchemaKind::Status => include_str!("../../data/schema/status.schema.json").to_string(),
    };
    args.output.output.write(text.as_bytes())?;
    Ok(Exit::Done)
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).expect("our schemas are JSON, as tests see")
}

/// A schema that refers to the one of snapshots, with that one inside: nobody has to fetch it.
fn with_snapshot(text: &str) -> String {
    let mut schema = read(text);
    schema["$defs"]["snapshot"] = read(SNAPSHOT);
    format!("{schema:#}\n")
}

/// The schema of shapes. A node on offer is a node with a field more, which no reference can say: its fields are written out.
fn shapes() -> String {
    let mut schema = read(&with_snapshot(include_str!("../../data/schema/shapes.schema.json")));
    let inside = SNAPSHOT.replace("\"#/$defs/", "\"urn:bayplan:snapshot:1#/$defs/");
    let mut node = read(&inside)["$defs"]["node"].take();
    let offer = &mut schema["$defs"]["node_on_offer"];
    node["description"] = offer["description"].take();
    node["properties"]["max"] = offer["properties"]["max"].take();
    *offer = node;
    format!("{schema:#}\n")
}
