//! Do snapshot and plan files say exactly what was meant, and is everything else refused with all its faults?

mod common;

use bayplan::file::{read_jobs, read_plan, read_run, read_snapshot, write_plan, write_snapshot};
use bayplan::model::*;
use bayplan::plan::{Blocked, Move, Plan, Reason, Refuge, Reserve, Status, verify};
use common::{Kinds, Rng, Size, for_seeds, random_placement, random_snapshot};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(data(name)).unwrap()
}

fn document(name: &str) -> Value {
    serde_json::from_slice(&bytes(name)).unwrap()
}

fn text(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

fn problem(name: &str) -> Problem {
    Problem::new(&read_snapshot(&bytes(name)).unwrap()).unwrap()
}

/// A snapshot in which every field of every record occurs.
fn full_snapshot() -> Value {
    json!({
        "format": "bayplan-snapshot/1",
        "name": "full",
        "resources": [{"name": "cpu", "unit": "milli", "transient": true, "load_weight": 2, "variance_weight": 3}],
        "levels": ["rack"],
        "pools": [{"name": "main", "region": "eu", "kinds": ["vm", "job"], "price": 2, "egress": {"main": 1}, "burst": true,
                   "spot_risk": "1/10"}],
        "nodes": [
            {
                "name": "n1", "allocatable": {"cpu": 8}, "soft_limit": {"cpu": 6}, "labels": {"arch": "arm"},
                "taints": [{"key": "gpu", "value": "only"}], "domains": {"rack": "r1"}, "pool": "main", "price": 3,
                "cordoned": true, "devices": [{"kind": "gpu", "model": "a", "count": 2, "memory": 24}], "move_class": "east",
                "origin": {"uid": "6f1c"}
            },
            {"name": "n2", "allocatable": {"cpu": 8}, "move_class": "west"}
        ],
        "tasks": [
            {
                "name": "t1", "kind": "job", "weight": 5, "requirement": {"cpu": 2}, "sharing": "rigid",
                "device": {"kind": "gpu", "count": 1, "milli": 500, "memory": 8, "models": ["a"]},
                "placement": [{"node": "n1", "share": "1", "devices": [1]}],
                "moving_to": [], "restart": true, "pinned": true, "evictable": true,
                "move_cost": 4, "group": "g1", "tenant": "team", "selector": {"arch": ["arm", "x86"]},
                "tolerations": [{"key": "gpu", "value": "only"}], "regions": ["eu"],
                "origin": {"uid": "09ab", "pinned": "runs with local data"}
            },
            {"name": "t2", "requirement": {"cpu": 1}, "sharing": "elastic", "min_share": "1/2"}
        ],
        "groups": [
            {
                "name": "g1", "conflict": ["node"], "spread": [{"level": "rack", "min": 2}],
                "depends_on": [{"group": "g2", "level": "rack"}], "gang": {"min_members": 1, "within": "rack"},
                "max_unavailable": 1
            },
            {"name": "g2"}
        ],
        "objective": {
            "balance": [{"resource": "cpu", "other": "cpu", "target": 1, "weight": 1}],
            "task_move_weight": 1, "group_move_weight": 1, "node_move_weight": 1, "price_weight": 1,
            "move_costs": {"default": 1, "between": [["east", "west", 7]]},
            "fragmentation": {
                "weight": 1, "mix": [{"parts": 1, "requirement": {"cpu": 1}, "device": {"kind": "gpu"}}]
            }
        },
        "moves": {"mode": "waves", "restart_kinds": ["job"], "max_moves": 5, "max_per_node": 2, "max_in_flight": 3, "max_from_node": 2,
                  "max_to_node": 2, "max_per_domain": {"rack": 2}, "max_amounts": {"cpu": 100}}
    })
}

/// A plan for data/abc.json in which every field occurs. It need not hold, only be readable.
fn full_plan() -> Value {
    json!({
        "format": "bayplan-plan/1",
        "snapshot": problem("abc.json").fingerprint,
        "goal": "balance",
        "solver": "bulk",
        "seed": u64::MAX,
        "effort": 200,
        "backend": "cpu: fewer than 4096 nodes do not fill a GPU",
        "status": "feasible", "blockers": [], "drain": [], "unexplored": ["all else"],
        "objective": {"before": "31/12", "after": -3},
        "bound": "61/12",
        "gap": "97/12",
        "proof": {
            "bound": 7, "denominator": 2, "group": [], "move_budget": 0,
            "rows": [{"nodes": [[0, 0]], "usage": [-3], "arrival": [1], "device": [2], "balance": [3], "level": [9]}]
        },
        "waves": [[{
            "task": "A", "from": [{"node": "node-1", "share": "3/10", "devices": [0, 63]}], "to": [],
            "reason": "repair", "gain": "-1/3",
            "wave": 1, "objective": {"before": "31/12", "after": "9/4"}, "binding": "hint"
        }]],
        "granted": [
            {"task": "B", "share": "1/4", "amounts": {"unit": 2}}, {"task": "C", "share": "1/6", "amounts": {"unit": 1}}
        ],
        "unplaced": [{"task": "B", "reason": "no room"}],
        "blocked": [{"task": "C", "to": [], "rule": "gain", "node": "node-1", "by": "A"}],
        "reserve": {
            "level": "node",
            "refuges": [{"domain": "node-1", "recovery": [{"task": "A", "to": [{"node": "node-1"}]}], "lost": ["B", "C"]}]
        },
        "summary": {"moves": 1, "waves": 1, "unplaced": 1, "blocked": 1}
    })
}

/// What the tasks of `abc.json` are granted before anything moves.
fn grants_at_the_start() -> Value {
    let grant = |task: &str, share: &str, unit: i64| json!({"task": task, "share": share, "amounts": {"unit": unit}});
    json!([grant("A", "3/10", 3), grant("B", "1/4", 2), grant("C", "1/6", 1)])
}

/// Form and meaning together: what a user meets.
fn snapshot_faults(bytes: &[u8]) -> Option<Faults> {
    read_snapshot(bytes).and_then(|snapshot| Problem::new(&snapshot)).err()
}

// -------------------------------------------------------------------------------------------------------------- round trip

#[test]
fn snapshots_come_back_as_they_were() {
    let schema = Schema::load("snapshot");
    for_seeds("snapshots", 300, |_, rng| {
        let size = *rng.pick(&[Size::TINY, Size::SMALL]);
        let snapshot = random_snapshot(rng, size, Kinds::ALL);
        let written = write_snapshot(&snapshot);
        assert_eq!(read_snapshot(&written).unwrap(), snapshot);
        schema.accepts(&serde_json::from_slice(&written).unwrap());
    });
}

/// Names that a careless writer, or a careless path, would stumble over.
const NAMES: [&str; 8] = ["\"", "\\", "a\nb\u{0}", "ü–漢字 🚢", "\u{202e}abc", " ", "x-", "{\"name\":1}"];

#[test]
fn any_name_comes_back() {
    let mut snapshot = read_snapshot(&text(&full_snapshot())).unwrap();
    for (i, name) in NAMES.iter().enumerate() {
        let (i, name) = (i as i64, name.to_string());
        snapshot.tasks.push(TaskSpec { name: name.clone(), group: Some(name.clone()), ..TaskSpec::default() });
        snapshot.groups.push(GroupSpec { name: name.clone(), ..GroupSpec::default() });
        snapshot.levels.push(name.clone());
        let amounts = BTreeMap::from([(name.clone(), i)]);
        let words = BTreeMap::from([(name.clone(), name.clone())]);
        let resource = ResourceSpec {
            name: name.clone(),
            unit: name.clone(),
            transient: false,
            load_weight: i,
            variance_weight: i,
        };
        snapshot.resources.push(resource);
        snapshot.nodes.push(NodeSpec { name, allocatable: amounts, labels: words, ..NodeSpec::default() });
    }
    assert_eq!(read_snapshot(&write_snapshot(&snapshot)).unwrap(), snapshot);
    let problem = Problem::new(&snapshot).unwrap();
    let plan = random_plan(&mut Rng::new(1), &problem);
    assert!(plan.moves().count() > 4, "the names must occur in it");
    assert_eq!(read_plan(&write_plan(&problem, &plan), &problem).unwrap(), plan);
}

/// Any plan at all: figures up to the ends of their types, placements that need not hold.
/// Numbers of the right form.
fn random_proof(rng: &mut Rng, problem: &Problem) -> Proof {
    let mut list = |count: usize| (0..count).map(|_| rng.range(1, 5)).collect::<Vec<i64>>();
    let row = PriceRow {
        nodes: vec![(0, 0), (2, 5)],
        usage: list(problem.resources.len()),
        arrival: list(if problem.moves.simultaneous { problem.resources.len() } else { 0 }),
        device: list(problem.device_kinds.len() * problem.device_row_count()),
        balance: Vec::new(),
        level: Vec::new(),
    };
    let group = problem.group_ids().map(|id| (id, 3)).collect();
    Proof { bound: 7, denominator: 720, rows: vec![row], group, move_budget: 7 }
}

fn random_plan(rng: &mut Rng, problem: &Problem) -> Plan {
    let one = i128::from(SHARE_ONE);
    let points = |rng: &mut Rng| match rng.below(4) {
        0 => i128::from(rng.next() as i64) * one,
        1 => i128::from(rng.next() as i64),
        2 => rng.range(-3, 3) as i128 * one / rng.range(1, 16) as i128,
        _ => *rng.pick(&[i128::MAX, i128::MIN, 0, -1, i128::from(u64::MAX) * one]),
    };
    let reasons = [Reason::Admit, Reason::Repair, Reason::Improve, Reason::Enable, Reason::Evict, Reason::Resize];
    let target = random_placement(rng, problem);
    let mut waves = vec![Vec::new(); rng.below(4)];
    let wave_count = waves.len();
    for task in problem.task_ids().filter(|_| wave_count > 0) {
        let (from, to) = (problem.current.spot(task).clone(), target.spot(task).clone());
        let step = Move { task, from, to, reason: *rng.pick(&reasons), gain: points(rng) };
        let wave = rng.below(wave_count);
        waves[wave].push(step);
    }
    let some = |rng: &mut Rng| problem.task_ids().filter(|_| rng.chance(20)).collect::<Vec<_>>();
    Plan {
        fingerprint: problem.fingerprint.clone(),
        goal: *rng.pick(&[None, Some(Goal::Balance)]),
        solver: rng.pick(&["exact", "bulk"]).to_string(),
        seed: *rng.pick(&[0, 7, u64::MAX, 1 << 63]),
        effort: rng.next(),
        backend: format!("gpu: {}", rng.next()),
        status: *rng.pick(&[
            Status::Optimal,
            Status::Feasible,
            Status::Gap,
            Status::Deadline,
            Status::Interrupted,
            Status::Infeasible,
        ]),
        bound: rng.chance(50).then(|| points(rng)),
        gap: rng.chance(50).then(|| points(rng)),
        proof: rng.chance(50).then(|| random_proof(rng, problem)),
        objective: (points(rng), points(rng)),
        waves,
        unplaced: some(rng).into_iter().map(|task| (task, rng.pick(&NAMES).to_string())).collect(),
        blocked: some(rng).into_iter().map(|task| blocked(rng, problem, task)).collect(),
        blockers: rng.pick(&[vec![], vec!["capacity".to_string()]]).clone(),
        drain: problem.node_ids().filter(|_| rng.chance(20)).collect(),
        unexplored: rng.pick(&[vec![], vec!["\u{9b}31m, a \"word\"".to_string(), String::new()]]).clone(),
        reserve: rng.chance(30).then(|| random_reserve(rng, problem)),
    }
}

fn random_reserve(rng: &mut Rng, problem: &Problem) -> Reserve {
    let level = LevelId::new(rng.below(problem.levels.len()));
    let domains = problem.levels[level.index()].domains.len();
    let some = |rng: &mut Rng| problem.task_ids().filter(|_| rng.chance(20)).collect::<Vec<_>>();
    let refuge = |domain| Refuge {
        domain: DomainId::new(domain),
        recovery: some(rng).into_iter().map(|task| (task, random_placement(rng, problem).spot(task).clone())).collect(),
        lost: some(rng),
    };
    Reserve { level, refuges: (0..domains).map(refuge).collect() }
}

fn blocked(rng: &mut Rng, problem: &Problem, task: TaskId) -> Blocked {
    let to = random_placement(rng, problem).spot(task).clone();
    let node = problem.node_ids().find(|_| rng.chance(30));
    let by = problem.task_ids().find(|_| rng.chance(30));
    Blocked { task, to, rule: rng.pick(&["transient", "gain"]).to_string(), node, by }
}

#[test]
fn plans_come_back_to_the_last_digit() {
    let schema = Schema::load("plan");
    for_seeds("plans", 300, |_, rng| {
        let problem = Problem::new(&random_snapshot(rng, Size::SMALL, Kinds::ALL)).unwrap();
        let plan = random_plan(rng, &problem);
        let written = write_plan(&problem, &plan);
        let read = read_plan(&written, &problem).unwrap();
        assert_eq!(read, plan);
        assert_eq!(write_plan(&problem, &read), written, "same plan, same bytes");
        schema.accepts(&serde_json::from_slice(&written).unwrap());
    });
}

#[test]
fn the_order_of_fields_means_nothing() {
    let snapshot = document("abc.json");
    let reversed: Map<String, Value> = snapshot.as_object().unwrap().clone().into_iter().rev().collect();
    assert_ne!(text(&snapshot), text(&Value::Object(reversed.clone())));
    assert_eq!(read_snapshot(&text(&Value::Object(reversed))), read_snapshot(&text(&snapshot)));
}

#[test]
fn what_is_left_out_has_its_default() {
    let short = json!({
        "format": "bayplan-snapshot/1", "resources": [{"name": "cpu"}], "nodes": [{"name": "n", "allocatable": {}}],
        "tasks": [{"name": "t", "requirement": {}, "device": {"kind": "gpu"}}],
    });
    let expected = Snapshot {
        resources: vec![ResourceSpec {
            name: "cpu".into(),
            unit: "".into(),
            transient: true,
            ..ResourceSpec::default()
        }],
        nodes: vec![NodeSpec { name: "n".into(), ..NodeSpec::default() }],
        tasks: vec![TaskSpec {
            name: "t".into(),
            weight: 1,
            move_cost: 1,
            device: Some(DeviceRequestSpec { kind: "gpu".into(), count: 1, milli: 1000, memory: None, models: vec![] }),
            ..TaskSpec::default()
        }],
        objective: ObjectiveSpec { task_move_weight: 1, ..ObjectiveSpec::default() },
        ..Snapshot::default()
    };
    assert_eq!(read_snapshot(&text(&short)).unwrap(), expected);
    let with_objective = changed(short, |s| s["objective"] = json!({"price_weight": 0}));
    assert_eq!(read_snapshot(&with_objective).unwrap(), expected);
}

// --------------------------------------------------------------------------------------------------------------- bad input

/// A snapshot with one task field replaced, as text.
fn with_weight(value: &str) -> Vec<u8> {
    let good = String::from_utf8(text(&full_snapshot())).unwrap();
    assert_eq!(good.matches("\"weight\":5").count(), 1);
    good.replace("\"weight\":5", &format!("\"weight\":{value}")).into_bytes()
}

/// A document with one change.
fn changed(mut document: Value, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    change(&mut document);
    text(&document)
}

#[test]
fn every_kind_of_bad_snapshot_is_told_with_place_cause_and_remedy() {
    let full = |change: fn(&mut Value)| changed(full_snapshot(), change);
    let good = text(&full_snapshot());
    let deep = [vec![b'['; 200_000], vec![b']'; 200_000]].concat();
    let at = "tasks[0].weight";
    let whole = "a whole number (no fraction, exponent or quotes)";
    let large = "a whole number below 2^63";
    let cases: Vec<(Vec<u8>, [&str; 4])> = vec![
        (vec![], ["F101", "the document", "empty", "give a JSON"]),
        (b" \n\t".to_vec(), ["F101", "the document", "empty", "give a JSON"]),
        (good[..good.len() / 2].to_vec(), ["F101", "line 1 column", "EOF", "complete?"]),
        (b"{\n  \"format\" 1\n}".to_vec(), ["F101", "line 2 column 12", "expected `:`", "correct the JSON"]),
        ([&good[..], b"}"].concat(), ["F101", "line 1 column", "trailing", "correct the JSON"]),
        (vec![0, 1, 2, 3], ["F101", "line 1 column 1", "expected value", "correct the JSON"]),
        (b"{\n\"name\": \"\xff\"}".to_vec(), ["F101", "line 2 column 10", "not UTF-8", "in UTF-8"]),
        ([b"\xEF\xBB\xBF", &good[..]].concat(), ["F101", "line 1 column 1", "byte order mark", "without one"]),
        (b"\xFF\xFE{\0}\0".to_vec(), ["F101", "line 1 column 1", "byte order mark", "UTF-8"]),
        (b"node,cpu\nn1,4\n".to_vec(), ["F101", "line 1 column 2", "expected", "correct the JSON"]),
        (deep.clone(), ["F101", "line 1 column 128", "recursion limit", "nest less deeply"]),
        (with_weight(&String::from_utf8(deep).unwrap()), ["F101", "line 1 column", "recursion limit", "nest less"]),
        (b"[1]".to_vec(), ["F102", "the document", "a list stands", "an object"]),
        (with_weight("1.0"), ["F102", at, "the number 1.0 stands", whole]),
        (with_weight("1e3"), ["F102", at, "the number 1000.0 stands", whole]),
        (with_weight("-0.5"), ["F102", at, "the number -0.5 stands", whole]),
        (with_weight("NaN"), ["F101", "line 1 column", "expected", "correct the JSON"]),
        (with_weight("1e999"), ["F101", "line 1 column", "out of range", "whole number"]),
        (with_weight("9223372036854775808"), ["F102", at, "the number 9223372036854775808 stands", large]),
        (with_weight("123456789012345678901"), ["F102", at, "stands where", large]),
        (with_weight("9223372036854775807"), ["P202", "tasks[0] t1, weight", "out of range", "1099511627776"]),
        (with_weight("-1"), ["P202", "tasks[0] t1, weight", "-1 is out of range", "from 0"]),
        (with_weight("\"5\""), ["F102", at, "the text \"5\" stands", whole]),
        (with_weight("null"), ["F102", at, "null stands", whole]),
        (with_weight("true"), ["F102", at, "true stands", whole]),
        (with_weight("5,\"weight\":6"), ["F105", at, "twice", "keep one"]),
        (with_weight("5,\"wieght\":6"), ["F103", "tasks[0].wieght", "not known", "did you mean \"weight\"?"]),
        (with_weight("5,\"a\\u001bb\":6"), ["F103", "tasks[0].\"a\\u{1b}b\"", "not known", "known here: name, "]),
        (full(|s| s["tasks"][0]["kind"] = json!("pod")), ["F107", "tasks[0].kind", "\"pod\"", "\"vm\" or"]),
        (full(|s| s["tasks"][0]["pinned"] = json!(1)), ["F102", "tasks[0].pinned", "the number 1", "true or false"]),
        (
            full(|s| s["tasks"][0]["requirement"]["cpu"] = json!(0.5)),
            ["F102", "tasks[0].requirement.cpu", "0.5", whole],
        ),
        (full(|s| s["tasks"][0]["device"]["count"] = json!(-1)), ["F102", "tasks[0].device.count", "-1", "4294967295"]),
        (full(|s| s["nodes"] = json!({})), ["F102", "nodes", "an object stands", "a list"]),
        (full(|s| s["nodes"][1] = json!("n2")), ["F102", "nodes[1]", "the text \"n2\"", "an object"]),
        (full(|s| s["nodes"][1] = json!({"name": "n2"})), ["F104", "nodes[1]", "\"allocatable\" is missing", "add it"]),
        (
            full(|s| s["objective"]["move_costs"]["between"][0] = json!(["east", 1])),
            ["F102", "objective.move_costs.between[0]", "a list stands", "[from class, to class, cost]"],
        ),
        (full(|s| s["format"] = json!("bayplan-plan/1")), ["F106", "format", "this is a plan", "give the snapshot"]),
        (full(|s| s["format"] = json!("bayplan-snapshot/2")), ["F106", "format", "version 2", "newer program"]),
        (full(|s| s["format"] = json!("v1")), ["F106", "format", "the text \"v1\" stands", "give a snapshot file"]),
        (full(|s| s["format"] = json!(1)), ["F106", "format", "the number 1 stands", "give a snapshot file"]),
        (
            full(|s| drop(s.as_object_mut().unwrap().remove("format"))),
            ["F106", "the document", "\"format\" is missing", "give it the value \"bayplan-snapshot/1\""],
        ),
        (full(|s| s["tasks"][1]["name"] = json!("t1")), ["P102", "tasks[1]", "already used", "rename"]),
        (
            full(|s| s["tasks"][0]["group"] = json!("g3")),
            ["P103", "tasks[0] t1", "no group \"g3\"", "did you mean \"g"],
        ),
    ];
    for (bytes, expected) in cases {
        one_fault(snapshot_faults(&bytes), expected);
    }
}

/// Exactly one fault, with this code, and with these words in place, cause and remedy.
#[track_caller]
fn one_fault(faults: Option<Faults>, [code, place, cause, remedy]: [&str; 4]) {
    let faults = faults.unwrap_or_else(|| panic!("{code} {place} {cause}: nothing was found"));
    assert_eq!(faults.count(), 1, "{faults}");
    let fault = &faults.list()[0];
    assert_eq!(fault.code, code, "{fault}");
    for (expected, given) in [(place, &fault.place), (cause, &fault.cause), (remedy, &fault.remedy)] {
        assert!(given.contains(expected), "{expected:?} is not in {given:?}: {fault}");
    }
}

#[test]
fn every_kind_of_bad_plan_is_told_with_place_cause_and_remedy() {
    let abc = problem("abc.json");
    read_plan(&text(&full_plan()), &abc).unwrap();
    type Case = (fn(&mut Value), [&'static str; 4]);
    let cases: Vec<Case> = vec![
        (|p| p["format"] = json!("bayplan-snapshot/1"), ["F106", "format", "this is a snapshot", "give the plan file"]),
        (|p| p["format"] = json!("bayplan-plan/9"), ["F106", "format", "version 9", "newer program"]),
        (|p| p["waves"][0][0]["task"] = json!("D"), ["F201", "waves[0][0].task", "no task \"D\"", "the snapshot"]),
        (|p| p["waves"][0][0]["from"][0]["node"] = json!("x"), ["F201", "from[0]", "no node \"x\"", "the snapshot"]),
        (|p| p["waves"][0][0]["from"][0]["share"] = json!("0"), ["F202", "from[0]", "share", "fraction"]),
        (|p| p["waves"][0][0]["from"][0]["share"] = json!("7/6"), ["F202", "from[0]", "share", "fraction"]),
        (|p| p["waves"][0][0]["from"][0]["devices"] = json!([64]), ["F202", "from[0]", "above 63", "each device once"]),
        (|p| p["waves"][0][0]["from"][0]["devices"] = json!([1, 1]), ["F202", "from[0]", "twice", "each device once"]),
        (|p| p["waves"][0][0]["reason"] = json!("whim"), ["F107", "waves[0][0].reason", "\"whim\"", "\"admit\" or"]),
        (|p| p["waves"][0][0]["gain"] = json!("1/17"), ["F202", "waves[0][0].gain", "figure", "divides 720720"]),
        (|p| p["waves"][0][0]["gain"] = json!("+1/2"), ["F202", "waves[0][0].gain", "figure", "divides 720720"]),
        (|p| p["waves"][0][0]["gain"] = json!(0.5), ["F202", "waves[0][0].gain", "figure", "divides 720720"]),
        (|p| p["waves"][0][0]["why"] = json!(""), ["F103", "waves[0][0].why", "not known", "known here: task, from"]),
        (|p| p["bound"] = json!(null), ["F202", "bound", "figure", "whole number"]),
        (|p| p["seed"] = json!(-1), ["F102", "seed", "-1", "18446744073709551615"]),
        (|p| p["goal"] = json!("balanse"), ["F107", "goal", "balanse", "balance"]),
        (|p| p["reserve"]["level"] = json!("rack"), ["F201", "reserve.level", "no level \"rack\"", "the snapshot"]),
        (
            |p| p["reserve"]["refuges"][0]["domain"] = json!("Z"),
            ["F201", "reserve.refuges[0].domain", "no domain \"Z\"", "the snapshot"],
        ),
        (|p| p["blocked"][0]["task"] = json!("Z"), ["F201", "blocked[0].task", "no task \"Z\"", "the snapshot"]),
        (|p| p["unplaced"][0] = json!({"task": "B"}), ["F104", "unplaced[0]", "\"reason\" is missing", "add it"]),
        (|p| p["waves"][0][0]["wave"] = json!(2), ["F203", "waves[0][0].wave", "does not follow", "as it was written"]),
        (
            |p| p["waves"][0][0]["objective"]["after"] = json!(2),
            ["F203", "waves[0][0].objective", "does not follow", "as it was written"],
        ),
        (
            |p| p["waves"][0][0]["binding"] = json!("bound"),
            ["F203", "waves[0][0].binding", "does not follow", "as it was written"],
        ),
        (
            |p| (p["waves"][0], p["granted"]) = (json!([]), grants_at_the_start()),
            ["F203", "summary.moves", "it says 1, and the plan has 0", "cut or edited"],
        ),
        (
            |p| p["granted"][0]["amounts"]["unit"] = json!(3),
            ["F203", "granted[0]", "\"B\" is granted", "cut or edited"],
        ),
        (|p| p["summary"] = json!({"moves": 1}), ["F104", "summary", "is missing", "add it"]),
    ];
    for (change, expected) in cases {
        let faults = read_plan(&changed(full_plan(), change), &abc).err();
        match expected[0] {
            "F104" if expected[1] == "summary" => assert_eq!(faults.unwrap().count(), 3),
            _ => one_fault(faults, expected),
        }
    }
}

#[test]
fn all_faults_are_found_at_once_and_the_rest_is_counted() {
    let three = changed(full_snapshot(), |s| {
        s["tasks"][0]["weight"] = json!("5");
        s["nodes"][1]["alocatable"] = json!({});
        s["objective"]["move_costs"]["between"][0] = json!([1, 2, "3"]);
        s["objective"]["fragmentation"]["mix"][0] = json!({"part": 1});
    });
    let faults = read_snapshot(&three).unwrap_err();
    let found: Vec<_> = faults.list().iter().map(|fault| (fault.code, fault.place.as_str())).collect();
    let between = ["[0]", "[1]", "[2]"].map(|item| format!("objective.move_costs.between[0]{item}"));
    let mix = "objective.fragmentation.mix[0]";
    let mut expected = vec![("F103", "nodes[1].alocatable"), ("F102", "tasks[0].weight")];
    expected.extend(between.iter().map(|place| ("F102", place.as_str())));
    expected.extend([("F104", mix), ("F104", mix), ("F103", "objective.fragmentation.mix[0].part")]);
    assert_eq!(found, expected);

    let flood = changed(full_snapshot(), |s| s["tasks"] = (0..500).map(|_| json!({"weight": 1.5})).collect());
    let faults = read_snapshot(&flood).unwrap_err();
    assert_eq!((faults.count(), faults.list().len()), (1500, FAULT_SHOWN_MAX));
    assert!(faults.to_string().ends_with("… and 1450 more"), "{faults}");
}

#[test]
fn a_document_without_its_format_still_shows_its_other_faults() {
    let bytes = changed(full_snapshot(), |s| {
        s.as_object_mut().unwrap().remove("format");
        s["tasks"][0]["weight"] = json!(null);
    });
    let faults = read_snapshot(&bytes).unwrap_err();
    assert_eq!(faults.list().iter().map(|fault| fault.code).collect::<Vec<_>>(), ["F106", "F102"]);
}

/// Each of these once took time that grows with the square of the file.
#[test]
fn floods_of_one_fault_end_soon() {
    let twice = format!("{{\"format\":\"bayplan-snapshot/1\",{}\"nodes\":[]}}", "\"name\":\"x\",".repeat(200_000));
    // All but the first, and two fields that are missing.
    assert_eq!(read_snapshot(twice.as_bytes()).unwrap_err().count(), 200_001);
    let mut snapshot = read_snapshot(&text(&full_snapshot())).unwrap();
    let node = |n| NodeSpec { name: format!("node-{n}"), ..NodeSpec::default() };
    snapshot.nodes.extend((0..5_000).map(node));
    snapshot.tasks = (0..50_000)
        .map(|t| TaskSpec {
            name: format!("task-{t}"),
            placement: vec![PieceSpec { node: format!("gone-{t}"), ..PieceSpec::default() }],
            ..TaskSpec::default()
        })
        .collect();
    let faults = Problem::new(&snapshot).unwrap_err();
    assert_eq!(faults.count(), 50_000);
    assert!(faults.list().iter().all(|fault| fault.remedy.contains("did you mean")), "{faults}");
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let abc = problem("abc.json");
    for name in ["abc.json", "abc.plan.json"] {
        let whole = bytes(name);
        let end = whole.trim_ascii_end().len();
        for cut in 0..whole.len() {
            let cut_off = &whole[..cut];
            let refused =
                if name == "abc.json" { read_snapshot(cut_off).is_err() } else { read_plan(cut_off, &abc).is_err() };
            assert_eq!(refused, cut < end, "{name} cut at byte {cut} of {}", whole.len());
        }
    }
}

#[test]
fn damaged_bytes_never_panic() {
    let abc = problem("abc.json");
    let sources = [text(&full_snapshot()), bytes("abc.json"), text(&full_plan()), bytes("abc.plan.json")];
    let pieces: [&[u8]; 12] =
        [b"\0", b"\"", b"{", b"]", b",", b"-", b"9999999999", b"e9", b"\xff", b"\\u", b"null", b"\"name\":"];
    for_seeds("damage", 4000, |_, rng| {
        let mut bytes = rng.pick(&sources).clone();
        for _ in 0..1 + rng.below(4) {
            let at = rng.below(bytes.len());
            match rng.below(4) {
                0 => bytes[at] = rng.next() as u8,
                1 => bytes[at] ^= 1 << rng.below(8),
                2 => drop(bytes.splice(at..at, rng.pick(&pieces).iter().copied())),
                _ => {
                    let end = (at + 1 + rng.below(20)).min(bytes.len());
                    bytes.drain(at..end);
                }
            }
            if bytes.is_empty() {
                break;
            }
        }
        // What is still readable must also be writable, and come back.
        if let Ok(snapshot) = read_snapshot(&bytes) {
            assert_eq!(read_snapshot(&write_snapshot(&snapshot)).as_ref(), Ok(&snapshot));
            let _ = Problem::new(&snapshot);
        }
        if let Ok(plan) = read_plan(&bytes, &abc) {
            assert_eq!(read_plan(&write_plan(&abc, &plan), &abc).as_ref(), Ok(&plan));
            let _ = verify(&abc, &plan);
        }
    });
}

// ----------------------------------------------------------------------------------------------------------------- schemas

struct Schema {
    root: Value,
    validator: jsonschema::Validator,
}

impl Schema {
    fn load(kind: &str) -> Schema {
        let root = document(&format!("schema/{kind}.schema.json"));
        assert!(jsonschema::meta::is_valid(&root), "{kind} is a JSON Schema");
        // What the command prints: complete in itself, and otherwise the same.
        let output = Command::new(env!("CARGO_BIN_EXE_bayplan")).args(["schema", kind]).output().unwrap();
        let mut printed: Value = serde_json::from_slice(&output.stdout).unwrap();
        let validator = jsonschema::validator_for(&printed).unwrap();
        if kind == "jobs" {
            assert_eq!(printed["$defs"]["snapshot"], document("schema/snapshot.schema.json"));
            printed.as_object_mut().unwrap().remove("$defs");
        }
        assert_eq!(printed, root);
        Schema { root, validator }
    }

    fn is_valid(&self, document: &Value) -> bool {
        self.validator.is_valid(document)
    }

    #[track_caller]
    fn accepts(&self, document: &Value) {
        let errors: Vec<_> =
            self.validator.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }

    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        // Records of another file are looked at where that file is.
        let Some(name) = schema["$ref"].as_str().filter(|name| name.starts_with('#')) else { return schema };
        self.resolve(self.root.pointer(&name[1..]).expect("references stay in the file"))
    }

    /// The places in a document that this schema describes with a list of fields, as (JSON pointer, schema).
    fn records<'a>(&'a self, schema: &'a Value, value: &Value, at: &str, found: &mut Vec<(String, &'a Value)>) {
        let schema = self.resolve(schema);
        if schema["properties"].is_object() {
            found.push((at.to_string(), schema));
        }
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let inner = schema["properties"].get(name).unwrap_or(&schema["additionalProperties"]);
                    self.records(inner, value, &format!("{at}/{name}"), found);
                }
            }
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.records(&schema["items"], item, &format!("{at}/{i}"), found);
                }
            }
            _ => {}
        }
    }
}

/// Every pointer into a document.
fn pointers(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, inner)| pointers(inner, format!("{at}/{name}"), found)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, inner)| pointers(inner, format!("{at}/{i}"), found));
        }
        _ => {}
    }
    found.push(at);
}

/// What a schema and a reader are held to: kind of document, one with every field, and the reader.
type Reading = (&'static str, Value, fn(&[u8]) -> Option<Faults>);

fn readings() -> [Reading; 4] {
    [
        ("snapshot", full_snapshot(), |bytes| read_snapshot(bytes).err()),
        ("plan", full_plan(), |bytes| read_plan(bytes, &problem("abc.json")).err()),
        ("jobs", full_jobs(), |bytes| read_jobs(bytes).err()),
        ("run", full_run(), |bytes| match toml(&serde_json::from_slice(bytes).unwrap()) {
            Some(text) => read_run(text.as_bytes()).err(),
            // There is no such TOML, so no reader takes it.
            None => Some(read_run(b"=").unwrap_err()),
        }),
    ]
}

/// The faults of jobs on top of a snapshot without tasks.
fn jobs_faults(bytes: &[u8]) -> Option<Faults> {
    match read_jobs(bytes) {
        Ok(jobs) => {
            let snapshot = read_snapshot(&text(&full_snapshot())).unwrap();
            Problem::new(&Snapshot { tasks: jobs.tasks, groups: jobs.groups, ..snapshot }).err()
        }
        Err(faults) => Some(faults),
    }
}

/// Jobs in which every field of their own occurs; those of tasks and groups are the snapshot's.
fn full_jobs() -> Value {
    let snapshot = full_snapshot();
    let mut tasks = snapshot["tasks"].clone();
    tasks[0].as_object_mut().unwrap().remove("placement");
    json!({"format": "bayplan-jobs/1", "tasks": tasks, "groups": snapshot["groups"]})
}

/// A run in which every field occurs but those that exclude each other.
fn full_run() -> Value {
    json!({
        "format": "bayplan-run/1", "name": "nightly",
        "read": {"command": ["cat", "nodes.csv"], "timeout": "5m", "import": ["csv", "-", "tasks.csv"]},
        "plan": {"arguments": ["--max-moves", "5"]},
        "export": [{"file": "moves.ndjson", "arguments": ["ndjson"]}],
        "output": {"folder": "runs", "keep": 7}, "metrics": {"file": "b.prom"}, "log": {"file": "b.log"}
    })
}

/// A document as TOML, where there is such a one.
fn toml(document: &Value) -> Option<String> {
    fn inline(value: &Value) -> Option<String> {
        Some(match value {
            Value::Null => return None,
            Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Option<Vec<_>>>()?.join(", ")),
            Value::Object(fields) => {
                let fields = fields.iter().map(|(name, value)| Some(format!("{} = {}", json!(name), inline(value)?)));
                format!("{{{}}}", fields.collect::<Option<Vec<_>>>()?.join(", "))
            }
            plain => plain.to_string(),
        })
    }
    let fields =
        document.as_object()?.iter().map(|(name, value)| Some(format!("{} = {}\n", json!(name), inline(value)?)));
    fields.collect()
}

/// Faults of form, which a schema can see too; the others concern names and figures.
fn is_of_form(faults: &Faults) -> bool {
    faults.list().iter().any(|fault| fault.code.starts_with("F1"))
}

#[test]
fn schemas_list_exactly_the_fields_that_the_reader_knows() {
    for (kind, document, read) in readings() {
        let schema = Schema::load(kind);
        schema.accepts(&document);
        assert!(read(&text(&document)).is_none());
        let mut records = Vec::new();
        schema.records(&schema.root, &document, "", &mut records);
        let mut seen = BTreeSet::new();
        for (at, record) in &records {
            let listed: BTreeSet<&str> = record["properties"].as_object().unwrap().keys().map(String::as_str).collect();
            // A field that resembles none makes the reader list those it knows.
            let mut strange = document.clone();
            strange.pointer_mut(at).unwrap()["qqqq"] = json!(0);
            let faults = read(&text(&strange)).unwrap_or_else(|| panic!("{kind}{at} takes any field"));
            let remedy = &faults.list()[0].remedy;
            let known = remedy.strip_prefix("known here: ").and_then(|rest| rest.split(" (own").next()).unwrap();
            assert_eq!(known.split(", ").collect::<BTreeSet<_>>(), listed, "{kind}{at}");
            assert!(!schema.is_valid(&strange), "{kind}{at}: the schema takes any field");
            let mut own = document.clone();
            own.pointer_mut(at).unwrap()["x-own"] = json!({"qqqq": 1.5});
            assert!(read(&text(&own)).is_none() && schema.is_valid(&own), "{kind}{at}: x- fields pass");

            let fields = document.pointer(at).unwrap().as_object().unwrap();
            seen.extend(fields.keys().map(|field| format!("{} {field}", record["description"])));
            // What a run reads is one of several ways: whether a field may go depends on the others.
            if kind == "run" {
                continue;
            }
            for field in fields.keys() {
                let mut without = document.clone();
                without.pointer_mut(at).unwrap().as_object_mut().unwrap().remove(field);
                let required = record["required"].as_array().unwrap().contains(&json!(field));
                assert_eq!(read(&text(&without)).is_some(), required, "{kind}{at}/{field}");
                // The schema also knows that sharing and min_share go together.
                let refused = required || snapshot_pair(kind, &without);
                assert_eq!(schema.is_valid(&without), !refused, "{kind}{at}/{field}");
            }
        }
        let all = fields_of(&schema.root);
        let left: Vec<&String> = all.symmetric_difference(&seen).collect();
        // A run that reads what a command prints reads no snapshot.
        let is_whole = if kind == "run" { left.len() == 1 && left[0].ends_with(" snapshot") } else { left.is_empty() };
        assert!(is_whole, "the example of a {kind} has every field of every record: {left:?}");
    }
}

fn snapshot_pair(kind: &str, document: &Value) -> bool {
    kind == "snapshot" && snapshot_faults(&text(document)).is_some_and(|f| f.list().iter().any(|f| f.code == "P206"))
}

/// Every field of every record of a schema, named by the record's description; each has a description itself.
fn fields_of(root: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let defs = root["$defs"].as_object().into_iter().flat_map(|defs| defs.values());
    for record in std::iter::once(root).chain(defs) {
        assert!(record["description"].is_string(), "{record}");
        for (name, field) in record["properties"].as_object().into_iter().flatten() {
            assert!(field["description"].is_string(), "{name} has no description");
            all.insert(format!("{} {name}", record["description"]));
        }
    }
    all
}

#[test]
fn schema_and_reader_refuse_the_same_changes() {
    let replacements = [
        json!(null),
        json!(true),
        json!(1.5),
        json!(-1),
        json!(0),
        json!(64),
        json!(65),
        json!(1001),
        json!(1u64 << 33),
        json!((1u64 << 40) + 1),
        json!(1e30),
        json!(""),
        json!("strange"),
        json!("1/2"),
        json!([]),
        json!([0]),
        json!(["a", "b", -1]),
        json!([64]),
        json!({}),
        json!({"": -1}),
        json!({"qqqq": []}),
    ];
    for (kind, document, read) in readings() {
        let schema = Schema::load(kind);
        let mut places = Vec::new();
        pointers(&document, String::new(), &mut places);
        let mut refused = 0;
        for at in &places {
            for replacement in &replacements {
                let mut changed = document.clone();
                *changed.pointer_mut(at).unwrap() = replacement.clone();
                let form = read(&text(&changed));
                let all = match kind {
                    "snapshot" => snapshot_faults(&text(&changed)),
                    "jobs" => jobs_faults(&text(&changed)),
                    _ => form.clone(),
                };
                let valid = schema.is_valid(&changed);
                assert!(valid || all.is_some(), "{kind}{at} = {replacement}: only the schema refuses it");
                let of_form = form.filter(is_of_form);
                assert!(of_form.is_none() || !valid, "{kind}{at} = {replacement}: only the reader: {of_form:?}");
                refused += usize::from(!valid);
            }
        }
        assert!(refused > places.len() * 10, "{kind}: only {refused} changes were refused");
    }
}

// ---------------------------------------------------------------------------------------------------------------- examples

#[test]
fn every_example_keeps_to_its_schema_and_is_described() {
    let page = std::fs::read_to_string(data("README.md")).unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(data("")).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.file_name().unwrap().to_str().unwrap().to_string();
        if !name.ends_with(".json") {
            continue;
        }
        seen += 1;
        assert!(page.contains(&format!("`{name}`")), "data/README.md does not mention {name}");
        match name.strip_suffix(".plan.json") {
            Some(of) => {
                Schema::load("plan").accepts(&document(&name));
                let problem = problem(&format!("{of}.json"));
                let plan = read_plan(&bytes(&name), &problem).unwrap();
                assert!(verify(&problem, &plan).is_right(), "{name}");
                assert_eq!(write_plan(&problem, &plan), bytes(&name), "{name} is laid out as it is written");
            }
            None => {
                Schema::load("snapshot").accepts(&document(&name));
                problem(&name);
            }
        }
    }
    assert!(seen >= 4, "only {seen} examples were found");
}

#[test]
fn abc_has_the_three_published_figures() {
    let abc = problem("abc.json");
    let one = i128::from(SHARE_ONE);
    let unit = ResourceId::new(0);
    let usage = Usage::of(&abc, &abc.current);
    let used: i128 = abc.node_ids().map(|node| usage.amount(node, unit)).sum();
    let required: i128 = abc.task_ids().map(|task| i128::from(abc.requirement(task)[0])).sum();
    assert_eq!((used, required), (6 * one, 24));
    assert_eq!(scaled_text(score(&abc, &abc.current).value), "2.583333");
    assert_eq!(headroom(&abc, &usage, unit), 4 * one);
    let plan = read_plan(&bytes("abc.plan.json"), &abc).unwrap();
    assert_eq!((plan.objective, plan.bound), ((one * 31 / 12, 5 * one), Some(5 * one)));
}

#[test]
fn broken_breaks_three_rules() {
    let broken = problem("broken.json");
    let rules: Vec<Rule> = violations(&broken, &broken.current).iter().map(|violation| violation.rule).collect();
    assert_eq!(rules, [Rule::Capacity, Rule::Conflict, Rule::Spread]);
}
