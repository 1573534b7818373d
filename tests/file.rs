//! Are snapshots and plans read strictly, written exactly, and described truly by their schemas?

mod common;

use bayplan::file::{read_plan, read_snapshot, write_plan, write_snapshot};
use bayplan::model::{FAULT_SHOWN_MAX, Problem};
use bayplan::plan::{self, Meta, Status};
use common::{Kinds, Size, for_seeds, random_placement, random_snapshot};
use serde_json::{Value, json};
use std::path::PathBuf;

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(data(name)).unwrap()
}

fn document(name: &str) -> Value {
    serde_json::from_slice(&bytes(name)).unwrap()
}

fn schema(name: &str) -> jsonschema::Validator {
    jsonschema::validator_for(&document(&format!("schema/{name}.schema.json"))).unwrap()
}

/// The codes of all faults, in order.
fn codes(bytes: &[u8]) -> Vec<&'static str> {
    match read_snapshot(bytes) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.list().iter().map(|fault| fault.code).collect(),
    }
}

#[test]
fn examples_suit_their_schema_and_load() {
    let snapshots = schema("snapshot");
    for name in ["abc.json", "small.json", "broken.json"] {
        let errors: Vec<_> = snapshots.iter_errors(&document(name)).map(|error| error.to_string()).collect();
        assert_eq!(errors, [""; 0], "{name}");
        Problem::new(&read_snapshot(&bytes(name)).unwrap()).unwrap();
    }
    assert!(schema("plan").is_valid(&document("abc.plan.json")));
    let abc = Problem::new(&read_snapshot(&bytes("abc.json")).unwrap()).unwrap();
    let example = read_plan(&bytes("abc.plan.json"), &abc).unwrap();
    assert!(plan::verify(&abc, &example).is_right());
}

#[test]
fn what_comes_back_is_what_was_written() {
    let (snapshots, plans) = (schema("snapshot"), schema("plan"));
    for_seeds("round trip", 200, |_, rng| {
        let snapshot = random_snapshot(rng, Size::SMALL, Kinds::ALL);
        let written = write_snapshot(&snapshot);
        assert_eq!(read_snapshot(&written).unwrap(), snapshot);
        assert!(snapshots.is_valid(&serde_json::from_slice(&written).unwrap()), "the schema knows every field");
        let problem = Problem::new(&snapshot).unwrap();
        let target = random_placement(rng, &problem);
        let meta = Meta { solver: "bulk".into(), seed: 7, effort: 3, status: Status::Feasible, bound: None };
        let plan = plan::build(&problem, &target, meta, &bayplan::control::Control::unlimited());
        let written = write_plan(&problem, &plan);
        assert_eq!(read_plan(&written, &problem).unwrap(), plan);
        assert!(plans.is_valid(&serde_json::from_slice(&written).unwrap()), "the schema knows every field");
    });
}

/// Every field of every record is removed, doubled, renamed and given a wrong type: reader and schema object alike.
#[test]
fn reader_and_schema_object_alike() {
    let validator = schema("snapshot");
    let mut checked = 0;
    for name in ["small.json", "abc.json"] {
        let base = document(name);
        for place in places(&base, String::new()) {
            let (parent, field) = place.rsplit_once('/').unwrap();
            let mut renamed = base.clone();
            let record = renamed.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            let value = record.remove(field).unwrap();
            let without = record.clone();
            record.insert(format!("{field}q"), value);
            // Keys below these are the user's own names.
            let own = ["allocatable", "requirement", "labels", "domains", "selector", "soft_limit"];
            if !own.iter().any(|map| parent.ends_with(map)) {
                assert_ne!(codes(renamed.to_string().as_bytes()), [""; 0], "{name}{place} renamed");
                assert!(!validator.is_valid(&renamed), "{name}{place} renamed");
            }
            let mut removed = base.clone();
            *removed.pointer_mut(parent).unwrap() = Value::Object(without);
            let (reader, schema) = (codes(removed.to_string().as_bytes()).is_empty(), validator.is_valid(&removed));
            assert_eq!(reader, schema, "{name}{place} removed");
            for wrong in [json!(null), json!(1.5), json!(-1), json!([{}]), json!({"?": []})] {
                let mut changed = base.clone();
                *changed.pointer_mut(&place).unwrap() = wrong.clone();
                let text = changed.to_string();
                let reader = read_snapshot(text.as_bytes()).is_ok_and(|snapshot| Problem::new(&snapshot).is_ok());
                assert!(!reader, "{name}{place} = {wrong} is let in");
                assert!(!validator.is_valid(&changed), "{name}{place} = {wrong} suits the schema");
            }
            checked += 1;
        }
    }
    assert!(checked > 300, "only {checked} fields were tried");
}

/// JSON pointers to every field of every object.
fn places(value: &Value, at: String) -> Vec<String> {
    match value {
        Value::Object(fields) => {
            let below = fields.iter().flat_map(|(name, value)| {
                let here = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                let mut list = places(value, here.clone());
                list.push(here);
                list
            });
            below.collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().flat_map(|(i, item)| places(item, format!("{at}/{i}"))).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn each_kind_of_bad_input_has_its_fault() {
    let head = r#"{"format":"bayplan-snapshot/1","resources":[{"name":"cpu"}],"nodes":[],"tasks":["#;
    let task = |fields: &str| format!(r#"{head}{{"name":"t","requirement":{{"cpu":1}}{fields}}}]}}"#).into_bytes();
    assert_eq!(codes(&task("")), [""; 0], "the frame of these cases is sound");
    assert_eq!(codes(&task(r#","x-note":[1.5,null]"#)), [""; 0], "own fields pass");
    let cases: [(&str, Vec<u8>); 16] = [
        ("F101", b"".to_vec()),
        ("F101", b" \n".to_vec()),
        ("F101", vec![0xFF, 0xFE, 0, 1]),
        ("F101", head.as_bytes().to_vec()),
        ("F101", vec![b'['; 1_000_000]),
        ("F101", task(r#","weight":NaN"#)),
        ("F102", b"[]".to_vec()),
        ("F102", task(r#","weight":1.0"#)),
        ("F102", task(r#","weight":1e3"#)),
        ("F102", task(r#","weight":99999999999999999999"#)),
        ("F102", task(r#","weight":"1""#)),
        ("F103", task(r#","wieght":1"#)),
        ("F104", format!("{head}{{}}]}}").into_bytes()),
        ("F105", task(r#","weight":1,"weight":2"#)),
        ("F106", br#"{"format":"bayplan-plan/1"}"#.to_vec()),
        ("F107", task(r#","kind":"cow""#)),
    ];
    for (code, bytes) in cases {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(120)]).into_owned();
        assert!(codes(&bytes).contains(&code), "{code} for {shown}: {:?}", codes(&bytes));
    }
    let faults = read_snapshot(&task(r#","wieght":1"#)).unwrap_err().to_string();
    assert!(faults.contains("did you mean \"weight\"?") && faults.contains("tasks[0].wieght"), "{faults}");
}

#[test]
fn all_faults_are_reported_at_once_up_to_a_cap() {
    let tasks: Vec<_> = (0..200).map(|i| json!({"name": i, "requirement": []})).collect();
    let text =
        json!({"format": "bayplan-snapshot/1", "resources": 1, "nodes": {}, "tasks": tasks, "oops": 1}).to_string();
    let faults = read_snapshot(text.as_bytes()).unwrap_err();
    assert_eq!((faults.count(), faults.list().len()), (403, FAULT_SHOWN_MAX));
    assert!(faults.to_string().contains("and 353 more"));
}

#[test]
fn damaged_files_never_panic() {
    let plan_problem = Problem::new(&read_snapshot(&bytes("abc.json")).unwrap()).unwrap();
    let (snapshot, plan) = (bytes("abc.json"), bytes("abc.plan.json"));
    for end in 0..snapshot.trim_ascii_end().len() {
        assert!(read_snapshot(&snapshot[..end]).is_err(), "cut after {end} bytes");
    }
    for end in 0..plan.trim_ascii_end().len() {
        assert!(read_plan(&plan[..end], &plan_problem).is_err(), "cut after {end} bytes");
    }
    for_seeds("damage", 3_000, |_, rng| {
        let damage = |rng: &mut common::Rng, mut bytes: Vec<u8>| {
            for _ in 0..=rng.below(4) {
                let at = rng.below(bytes.len());
                match rng.below(3) {
                    0 => bytes[at] = rng.below(256) as u8,
                    1 => bytes.insert(at, b"0123456789-.e\"[]{},: "[rng.below(21)]),
                    _ => drop(bytes.remove(at)),
                }
            }
            bytes
        };
        if let Ok(snapshot) = read_snapshot(&damage(rng, snapshot.clone())) {
            drop(Problem::new(&snapshot));
        }
        if let Ok(plan) = read_plan(&damage(rng, plan.clone()), &plan_problem) {
            drop(plan::verify(&plan_problem, &plan));
        }
    });
}
