//! Does a scrubbed cluster keep its secrets, and everything else? No name left, the same plan up to names.

mod common;

use bayplan::bulk::{self, Options};
use bayplan::control::Control;
use bayplan::file::{read_snapshot, write_snapshot};
use bayplan::model::{Problem, Snapshot, score, violations};
use bayplan::scrub::scrub;
use common::{Kinds, Rng, Size, for_seeds, random_snapshot};
use serde_json::{Value, json};
use std::process::Command;

/// Fields whose texts are words of the format.
const WORDS: [&str; 6] = ["format", "sharing", "min_share", "share", "mode", "spot_risk"];
/// Fields whose texts are kinds of tasks; `kind` may be one of devices too.
const KINDS: [&str; 3] = ["kind", "kinds", "restart_kinds"];
/// Fields that are objects by name.
const BY_NAME: [&str; 9] = [
    "allocatable",
    "soft_limit",
    "labels",
    "domains",
    "requirement",
    "selector",
    "max_per_domain",
    "max_amounts",
    "egress",
];

/// Marks every name in the JSON form of a snapshot, without knowing which records it has.
fn marked(value: Value, field: &str) -> Value {
    let mark = |name: String| if name.is_empty() || name == "node" { name } else { format!("secret {name}") };
    match value {
        Value::String(text) if WORDS.contains(&field) => Value::String(text),
        Value::String(text) if KINDS.contains(&field) && ["vm", "container", "job"].contains(&text.as_str()) => {
            json!(text)
        }
        Value::String(text) => Value::String(mark(text)),
        Value::Array(items) => items.into_iter().map(|item| marked(item, field)).collect(),
        Value::Object(fields) => {
            let is_by_name = BY_NAME.contains(&field);
            let key = |name: String| if is_by_name { mark(name) } else { name };
            let inner = |name: &str| if is_by_name { "" } else { name }.to_string();
            fields.into_iter().map(|(name, value)| (key(name.clone()), marked(value, &inner(&name)))).collect()
        }
        other => other,
    }
}

fn secret(snapshot: &Snapshot) -> Snapshot {
    let json: Value = serde_json::from_slice(&write_snapshot(snapshot)).unwrap();
    read_snapshot(&serde_json::to_vec(&marked(json, "")).unwrap()).expect("only names were changed")
}

fn text(snapshot: &Snapshot) -> String {
    String::from_utf8(write_snapshot(snapshot)).unwrap()
}

#[test]
fn no_name_is_left_and_the_plan_stays() {
    for_seeds("scrubbed", 150, |_, rng: &mut Rng| {
        let size = *rng.pick(&[Size::SMALL, Size { nodes_max: 30, tasks_max: 80, resources_max: 3 }]);
        let old = secret(&random_snapshot(rng, size, Kinds::ALL));
        assert!(text(&old).contains("secret") || old.nodes.is_empty());
        let new = scrub(&old);
        assert!(!text(&new).contains("secret"), "{}", text(&new));
        let [old, new] = [old, new].map(|snapshot| Problem::new(&snapshot).unwrap());
        assert_eq!(score(&old, &old.current), score(&new, &new.current));
        assert_eq!(violations(&old, &old.current).len(), violations(&new, &new.current).len());
        let options = Options { seed: 3, effort: Some(30), threads: 1, device: None };
        let [a, b] = [&old, &new].map(|problem| bulk::solve(problem, &options, &Control::unlimited()).placement);
        assert_eq!(a, b, "the same places, node by node");
    });
}

#[test]
fn scrubbing_twice_changes_nothing_more() {
    for_seeds("scrubbed twice", 50, |_, rng: &mut Rng| {
        let once = scrub(&random_snapshot(rng, Size::SMALL, Kinds::ALL));
        assert_eq!(text(&scrub(&once)), text(&once));
    });
}

#[test]
fn the_same_name_stays_the_same_and_others_stay_apart() {
    let snapshot = read_snapshot(&std::fs::read("data/small.json").unwrap()).unwrap();
    let new = scrub(&snapshot);
    for (old, new) in snapshot.tasks.iter().zip(&new.tasks) {
        assert_eq!((old.weight, old.requirement.len(), old.kind), (new.weight, new.requirement.len(), new.kind));
    }
    let pairs = |at: fn(&Snapshot) -> Vec<&String>| {
        let (old, new) = (at(&snapshot), at(&new));
        for (i, a) in old.iter().enumerate() {
            for (j, b) in old.iter().enumerate() {
                assert_eq!(a == b, new[i] == new[j], "{a} and {b} became {} and {}", new[i], new[j]);
            }
        }
    };
    pairs(|s| {
        s.nodes.iter().map(|n| &n.name).chain(s.tasks.iter().flat_map(|t| &t.placement).map(|p| &p.node)).collect()
    });
    pairs(|s| s.groups.iter().map(|g| &g.name).chain(s.tasks.iter().filter_map(|t| t.group.as_ref())).collect());
    pairs(|s| {
        s.nodes
            .iter()
            .flat_map(|n| n.labels.values())
            .chain(s.tasks.iter().flat_map(|t| t.selector.values().flatten()))
            .collect()
    });
}

fn bayplan(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_bayplan")).args(args).output().unwrap();
    let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{args:?}: {told}");
    told
}

#[test]
fn a_plan_goes_with_its_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let snapshot = secret(&read_snapshot(&std::fs::read("data/small.json").unwrap()).unwrap());
    std::fs::write(at("s.json"), write_snapshot(&snapshot)).unwrap();
    for more in [&[][..], &["--goal", "balance"], &["--max-moves", "1", "--exclude", "secret web*"]] {
        let [s, p] = ["s.json", "p.json"].map(at);
        bayplan(&[&["plan", &s, "-o", &p, "--effort", "50"], more].concat());
        bayplan(&["scrub", &at("s.json"), &at("p.json"), "-o", &at("s2.json"), "--plan-output", &at("p2.json")]);
        let [s, p] = ["s2.json", "p2.json"].map(|name| std::fs::read_to_string(at(name)).unwrap());
        assert!(!s.contains("secret") && !p.contains("secret"), "{p}");
        assert!(bayplan(&["verify", &at("s2.json"), &at("p2.json")]).starts_with("verified: "));
        if more.is_empty() {
            bayplan(&["plan", &at("s2.json"), "-o", &at("p3.json"), "--effort", "50"]);
            assert_eq!(
                std::fs::read_to_string(at("p3.json")).unwrap(),
                p,
                "what is planned for it is what was scrubbed"
            );
        }
    }
}
