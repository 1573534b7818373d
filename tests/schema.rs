//! Do the answers of scale, drill and status, and the files that scale reads, have the fields that their schemas say?

mod common;

use bayplan::file::{read_loads, read_shapes};
use common::command::{path_in, run, written};
use serde_json::{Value, json};
use tempfile::TempDir;

const SNAPSHOTS: [&str; 4] = ["data/small.json", "data/hybrid.json", "data/abc.json", "data/broken.json"];

fn schema(kind: &str) -> jsonschema::Validator {
    let (code, printed, stderr) = run(&["schema", kind]);
    assert_eq!(code, 0, "{stderr}");
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert!(jsonschema::meta::is_valid(&printed), "{kind} is a JSON Schema");
    jsonschema::validator_for(&printed).unwrap()
}

/// The document is as the schema says, and no longer when a record of it lacks a field, or has one more.
#[track_caller]
fn holds(schema: &jsonschema::Validator, document: &Value) {
    let errors: Vec<_> = schema.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let fields = document.as_object().expect("a document is a record");
    for field in fields.keys().filter(|field| *field == "format" || *field == "pools" || *field == "snapshot") {
        let mut less = document.clone();
        less.as_object_mut().unwrap().remove(field);
        assert!(!schema.is_valid(&less), "without {field}");
    }
    let mut more = document.clone();
    more["surprise"] = json!(1);
    assert!(!schema.is_valid(&more));
}

fn answer(line: &[&str]) -> Value {
    let (code, stdout, stderr) = run(line);
    assert!(code == 0 || code == 3, "{line:?}: {stderr}");
    serde_json::from_str(&stdout).unwrap()
}

#[test]
fn answers_are_as_their_schemas_say() {
    let folder = TempDir::new().unwrap();
    let plan = path_in(&folder, "plan.json");
    let (scale, drill, status) = (schema("scale"), schema("drill"), schema("status"));
    for snapshot in SNAPSHOTS {
        let (code, _, stderr) = run(&["plan", snapshot, "--effort", "100", "-o", &plan]);
        assert_eq!(code, 0, "{stderr}");
        holds(&scale, &answer(&["scale", snapshot, "--effort", "50", "-o", "json"]));
        let line = ["scale", snapshot, "--effort", "50", "--policy", "utilization=20%", "-o", "json"];
        let found = answer(&line);
        holds(&scale, &found);
        if snapshot == SNAPSHOTS[0] {
            assert!(!found["add"].is_null(), "an answer with nodes that must come is among them");
        }
        holds(&drill, &answer(&["drill", snapshot, "--pairs", "--time-limit", "0s", "-o", "json"]));
        holds(&drill, &answer(&["drill", snapshot, &plan, "--time-limit", "0s", "-o", "json"]));
        holds(&status, &answer(&["status", snapshot, "-o", "json"]));
        holds(&status, &answer(&["status", snapshot, &plan, "-o", "json"]));
    }
}

#[test]
fn shapes_and_loads_are_as_their_schemas_say() {
    let folder = TempDir::new().unwrap();
    let shapes = json!({"format": "bayplan-shapes/1", "x-note": 1,
        "nodes": [{"name": "m", "allocatable": {"cpu": 12}, "price": 5, "max": 3, "labels": {"a": "b"}}],
        "tasks": [{"name": "t", "weight": 1, "requirement": {"cpu": 1}}]});
    let rules = schema("shapes");
    holds(&rules, &shapes);
    assert!(read_shapes(shapes.to_string().as_bytes()).is_ok());
    let mut bad = Vec::new();
    for (at, value) in [("/nodes/0/max", json!(-1)), ("/nodes/0/max", json!("x")), ("/nodes/0/price", json!("x"))] {
        let mut other = shapes.clone();
        *other.pointer_mut(at).unwrap() = value;
        bad.push(other);
    }
    let mut other = shapes.clone();
    other["nodes"][0]["maximum"] = json!(1);
    bad.push(other);
    for other in bad {
        assert!(!rules.is_valid(&other) && read_shapes(other.to_string().as_bytes()).is_err(), "{other}");
    }

    let rules = schema("loads");
    let first = json!({"format": "bayplan-loads/1"});
    let samples = [json!({"time": 0, "load": {}}), json!({"time": 60, "pool": "a", "load": {"unit": 6}})];
    let series = |sample: &Value| format!("{first}\n{sample}\n");
    assert!(rules.is_valid(&first));
    for sample in &samples {
        assert!(rules.is_valid(sample) && read_loads(series(sample).as_bytes()).is_ok(), "{sample}");
    }
    let wrong = [
        json!({"time": 0}),
        json!({"load": {}}),
        json!({"time": 0.5, "load": {}}),
        json!({"time": 0, "load": {"unit": -1}}),
        json!({"time": 0, "load": {}, "more": 1}),
        json!({"time": 0, "pool": 1, "load": {}}),
    ];
    for sample in &wrong {
        assert!(!rules.is_valid(sample) && read_loads(series(sample).as_bytes()).is_err(), "{sample}");
    }
    let text = format!("{first}\n{}\n", json!({"time": 0, "load": {"unit": 6}}));
    let loads = written(&folder, "loads.ndjson", text);
    holds(&schema("schedule"), &answer(&["scale", "data/abc.json", "--series", &loads, "-o", "json"]));
}
