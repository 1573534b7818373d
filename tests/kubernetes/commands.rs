//! Do the commands say and write what they should? From kubectl's List to the objects of a plan; pipes are drilled in `tests/pipes.rs`.

use super::*;
use crate::common::command::output_with as run;
use std::path::Path;
use tempfile::TempDir;

const CLUSTER: &str = "data/kubernetes/cluster.json";

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("all output is UTF-8")
}

fn cluster() -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(CLUSTER)).unwrap()
}

/// Snapshot and plan of the example, made step by step.
fn planned(folder: &Path) -> (String, String) {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_string();
    let (snapshot, plan) = (path("snapshot.json"), path("plan.json"));
    let output = run(&["import", "kubernetes", CLUSTER, "-o", &snapshot], b"");
    assert!(output.status.success() && output.stdout.is_empty(), "{}", text(&output.stderr));
    let output = run(&["plan", &snapshot, "--drain", "node-1,node-4", "--effort", "500", "-o", &plan], b"");
    assert!(output.status.success(), "{}", text(&output.stderr));
    (snapshot, plan)
}

#[test]
fn the_example_comes_in_as_shown() {
    let output = run(&["import", "kubernetes", "-"], cluster());
    assert_eq!(output.status.code(), Some(0));
    insta::assert_snapshot!("import_told", text(&output.stderr));
    insta::assert_snapshot!("import_snapshot", text(&output.stdout));
}

#[test]
fn what_is_exported_is_what_the_plan_says() {
    let folder = TempDir::new().unwrap();
    let (snapshot, plan) = planned(folder.path());
    let plan_json: Value = serde_json::from_slice(&std::fs::read(&plan).unwrap()).unwrap();
    let waves = plan_json["waves"].as_array().unwrap();
    // By wave and pod: where the plan has it, and where the objects do.
    let mut moves: Vec<(String, String, String)> = Vec::new();
    let mut objects = moves.clone();
    for (w, wave) in waves.iter().enumerate() {
        for step in wave.as_array().unwrap() {
            let (name, to) = (step["task"].as_str().unwrap(), step["to"][0]["node"].as_str().unwrap_or(""));
            if step["from"][0]["node"].as_str() != Some(to) {
                moves.push(((w + 1).to_string(), name.rsplit('/').next().unwrap().to_string(), to.to_string()));
            }
        }
    }
    let mut told = String::new();
    for form in ["evictions", "bindings", "migrations"] {
        let output = run(&["export", "kubernetes", &snapshot, &plan, "--as", form], b"");
        assert!(output.status.success(), "{}", text(&output.stderr));
        told += &text(&output.stderr);
        for line in text(&output.stdout).lines() {
            let object: Value = serde_json::from_str(line).unwrap();
            let meta = &object["metadata"];
            let part = |value: &Value| value.as_str().unwrap().to_string();
            // A migration has a name of its own, and knows the machine.
            let pod = match object["spec"]["vmiName"].as_str() {
                Some(machine) => format!("virt-launcher-{machine}-abcde"),
                None => part(&meta["name"]),
            };
            objects.push((part(&meta["labels"]["bayplan/wave"]), pod, part(&meta["annotations"]["bayplan/target"])));
            assert_eq!(meta["annotations"]["bayplan/snapshot"], plan_json["snapshot"]);
            assert_eq!(meta["annotations"]["bayplan/binding"], if form == "evictions" { "hint" } else { "bound" });
        }
    }
    moves.sort();
    objects.sort();
    assert!(moves.len() > 4, "{moves:?}");
    assert_eq!(moves, objects);
    assert!(told.contains("see --as bindings") && told.contains("see --as reservations"), "{told}");
}

#[test]
fn a_plan_of_another_state_is_not_exported() {
    let folder = TempDir::new().unwrap();
    let (snapshot, plan) = planned(folder.path());
    // One pod was made anew under its old name.
    let other = std::fs::read_to_string(&snapshot).unwrap().replace("5a000007-1f2e", "5a999999-1f2e");
    std::fs::write(&snapshot, other).unwrap();
    let output = run(&["export", "kubernetes", &snapshot, &plan, "--as", "evictions"], b"");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0), "{}", text(&output.stderr));
}

#[test]
fn a_wave_beyond_the_last_is_told_and_nothing_is_exported() {
    let folder = TempDir::new().unwrap();
    let (snapshot, plan) = planned(folder.path());
    let plan_json: Value = serde_json::from_slice(&std::fs::read(&plan).unwrap()).unwrap();
    let count = plan_json["waves"].as_array().unwrap().len();
    let beyond = (count + 1).to_string();
    let output = run(&["export", "kubernetes", &snapshot, &plan, "--as", "evictions", "--wave", &beyond], b"");
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(65), 0), "{said}");
    assert!(said.contains(&format!("wave {beyond}: the plan has {count} waves")), "{said}");
}

#[test]
fn options_that_contradict_are_usage_errors() {
    for args in [
        &["export", "kubernetes", "s", "p"][..],
        &["export", "shell", "s", "p", "--as", "evictions"],
        &["export", "roadef", "s", "p", "--wave", "1"],
        &["export", "kubernetes", "-", "-", "--as", "evictions"],
        &["export", "kubernetes", "s", "p", "--as", "evictions", "--wave", "0"],
        &["import", "kubernetes"],
        &["import", "kubernetes", "-", "-"],
    ] {
        assert_eq!(run(args, b"").status.code(), Some(64), "{args:?}");
    }
}
