//! What an operator of an AI cluster asks: why does it not run, make room for it, how much of the queue fits, free whole nodes.

mod common;

use bayplan::bulk::{self, Options};
use bayplan::control::Control;
use bayplan::file;
use bayplan::generate;
use bayplan::model::*;
use common::command::{run, written};
use common::*;
use serde_json::Value;
use std::time::Duration;
use tempfile::TempDir;

fn fraction(name: &str, at: &str, device: u32) -> TaskSpec {
    let mut task = with_devices(task(name, 400, &[("cpu", 2)]), 1, 400);
    (task.evictable, task.move_cost) = (false, 1);
    at_devices(task, at, &[device])
}

/// Two nodes of 4 GPUs: three fractions on the first, one on the second, which also has two on one GPU.
fn fragmented() -> Snapshot {
    let tasks = vec![
        fraction("a", "n1", 0),
        fraction("b", "n1", 1),
        fraction("c", "n1", 2),
        fraction("d", "n2", 0),
        fraction("e", "n2", 0),
    ];
    cluster(vec![gpu_node("n1", 4), gpu_node("n2", 4)], tasks)
}

const JOB: &str = r#"{"format": "bayplan-jobs/1", "tasks": [
    {"name": "train", "kind": "job", "requirement": {"cpu": 8}, "device": {"kind": "gpu", "count": 4}}]}"#;

#[test]
fn room_is_made_with_the_fewest_moves() {
    let folder = TempDir::new().unwrap();
    let snapshot = written(&folder, "s.json", file::write_snapshot(&fragmented()));
    let jobs = written(&folder, "jobs.json", JOB);
    let plan = folder.path().join("plan.json").to_str().unwrap().to_string();
    let (code, _, stderr) = run(&["plan", &snapshot, "--place", &jobs, "--effort", "2000", "-o", &plan]);
    assert_eq!(code, 0, "{stderr}");
    let read: Value = serde_json::from_slice(&std::fs::read(&plan).unwrap()).unwrap();
    assert_eq!(read["goal"], "place");
    assert_eq!(read["summary"]["moves"], 3, "d and e leave n2, train starts: {stderr}");
    let (code, stdout, _) = run(&["verify", &snapshot, &plan, "--place", &jobs]);
    assert_eq!(code, 0, "{stdout}");
    assert_ne!(run(&["verify", &snapshot, &plan]).0, 0, "without the jobs it is the plan of another snapshot");
}

#[test]
fn what_cannot_be_placed_is_told_with_its_reason() {
    let folder = TempDir::new().unwrap();
    let snapshot = written(&folder, "s.json", file::write_snapshot(&fragmented()));
    let jobs = written(&folder, "jobs.json", JOB.replace("\"count\": 4", "\"count\": 5"));
    let (code, _, stderr) = run(&["plan", &snapshot, "--place", &jobs, "--effort", "200", "-o", "/dev/null"]);
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains("fits no node: device_model on 2 nodes"), "{stderr}");
    let running =
        written(&folder, "running.json", JOB.replace("\"kind\": \"job\"", "\"placement\": [{\"node\": \"n1\"}]"));
    let (code, _, stderr) = run(&["plan", &snapshot, "--place", &running, "-o", "/dev/null"]);
    assert_eq!(code, 65, "{stderr}");
    assert!(stderr.contains("F205"), "{stderr}");
}

#[test]
fn explain_gives_numbers_and_a_way() {
    let folder = TempDir::new().unwrap();
    let snapshot = written(&folder, "s.json", file::write_snapshot(&fragmented()));
    let jobs = written(&folder, "jobs.json", JOB);
    let (code, stdout, stderr) = run(&["explain", &snapshot, "train", "--place", &jobs]);
    assert_eq!(code, 0, "{stderr}");
    for text in ["train waits; it fits 0 of 2 nodes", "needs 4 whole gpu, 3 of 4", "moving 2 tasks away from n2"] {
        assert!(stdout.contains(text), "{text:?} is missing in\n{stdout}");
    }
    let (_, stdout, _) = run(&["explain", &snapshot, "train", "--place", &jobs, "-o", "json"]);
    let answer: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(answer["reasons"]["device"], 2);
    assert_eq!(answer["make_room"]["leave"][0]["fits"], "n1");
    let (code, _, stderr) = run(&["explain", &snapshot, "trian", "--place", &jobs]);
    assert_eq!(code, 65);
    assert!(stderr.contains("did you mean \"train\""), "{stderr}");
}

#[test]
fn goals_empty_nodes() {
    let problem = Problem::new(&fragmented()).unwrap();
    for goal in [Goal::Consolidate, Goal::Defragment] {
        let problem = goal.apply(&problem);
        let options = Options { effort: Some(500), threads: 1, ..Options::default() };
        let found = bulk::solve(&problem, &options, &Control::unlimited()).placement;
        let usage = Usage::of(&problem, &found);
        let free = problem.node_ids().filter(|node| usage.pieces(*node) == 0).count();
        assert_eq!((free, score(&problem, &found).task_move / i128::from(SHARE_ONE)), (1, 2), "{goal:?}: d and e move");
    }
}

/// Three nodes of 10: the queue 6, 6, 4, 5, 4, 9 fits up to the fourth only if the 4 goes to a 6; the fifth too; the sixth not.
#[test]
fn the_longest_prefix_is_found() {
    let sizes = [6, 6, 4, 5, 4, 9, 1];
    let tasks = sizes.iter().enumerate().map(|(t, size)| task(&format!("t{t}"), 1, &[("cpu", *size)])).collect();
    let nodes = ["n1", "n2", "n3"].map(|name| node(name, &[("cpu", 10)])).to_vec();
    let snapshot = cluster(nodes, tasks);
    let folder = TempDir::new().unwrap();
    let path = written(&folder, "s.json", file::write_snapshot(&snapshot));
    let (code, _, stderr) = run(&["plan", &path, "--admit", "prefix", "--effort", "2000"]);
    assert!(code == 0 && stderr.contains("accepted: the first 5 of 7 waiting tasks"), "{stderr}");
    let problem = Problem::new(&snapshot).unwrap();
    let options = Options { effort: Some(2000), threads: 1, ..Options::default() };
    let found = bulk::longest_prefix(&problem, &options, &Control::unlimited());
    assert_eq!(
        bulk::accepted(&problem, &found.placement).0,
        5,
        "6+4, 6+4, 5; then 9 has no place, and the 1 behind it does not count"
    );
    assert_eq!(violations(&problem, &found.placement), []);
    let placed = |t: usize| found.placement.spot(TaskId(t as u32)).is_placed();
    assert_eq!((0..7).map(placed).collect::<Vec<_>>(), [true, true, true, true, true, false, false]);
}

/// Nodes of 10 and tasks of 3 to 6: the probes differ in their seeds by what was judged before, so that has to be the same too.
#[test]
fn a_prefix_depends_on_no_thread() {
    let tasks = (0..40).map(|t| task(&format!("t{t}"), 1, &[("cpu", 3 + t * 7 % 4)])).collect();
    let nodes = (0..12).map(|n| node(&format!("n{n}"), &[("cpu", 10)])).collect();
    let problem = Problem::new(&cluster(nodes, tasks)).unwrap();
    let found = [1, 2].map(|threads| {
        let options = Options { effort: Some(300), threads, ..Options::default() };
        let found = bulk::longest_prefix(&problem, &options, &Control::unlimited());
        (bulk::accepted(&problem, &found.placement).0, found.placement, found.evaluations)
    });
    assert!(found[0] == found[1], "lengths {} and {}", found[0].0, found[1].0);
}

/// A prefix that ends amid a gang has no place, however much room there is; the longer one that ends behind it has.
#[test]
fn a_prefix_ends_amid_no_gang() {
    let gang = (0..64).map(|t| in_group(task(&format!("w{t}"), 1, &[("cpu", 1)]), "g"));
    let tasks = gang.chain((0..10).map(|t| task(&format!("t{t}"), 1, &[("cpu", 1)]))).collect();
    let mut snapshot = cluster(vec![node("n1", &[("cpu", 40)]), node("n2", &[("cpu", 40)])], tasks);
    snapshot.groups = vec![GroupSpec { gang: Some(GangSpec::default()), ..group("g") }];
    let problem = Problem::new(&snapshot).unwrap();
    let options = Options { effort: Some(100), threads: 1, ..Options::default() };
    let found = bulk::longest_prefix(&problem, &options, &Control::unlimited());
    assert_eq!(bulk::accepted(&problem, &found.placement).0, 74);
}

/// Where what runs must make room, the first placement that is found may have no safe order; then another one is looked for.
#[test]
fn a_prefix_can_be_reached_whatever_the_seed() {
    let wish = generate::Wish { nodes: Some(11), tasks: Some(97), seed: 7, ..Default::default() };
    let order = generate::Order::new(generate::Shape::Queue, wish).unwrap_or_else(|faults| panic!("{faults:?}"));
    let problem = Problem::new(&generate::generate(&order)).unwrap();
    for seed in 1..6 {
        let options = |threads| Options { effort: Some(3000), threads, seed, ..Options::default() };
        let late = Control::unlimited().with_time_limit(Duration::from_secs(3600));
        let found = [(1, Control::unlimited()), (2, late)]
            .map(|(threads, control)| bulk::longest_prefix(&problem, &options(threads), &control));
        assert_eq!(found[0].placement, found[1].placement, "seed {seed}: a limit that is not reached decides nothing");
        assert_eq!(found[0].evaluations, found[1].evaluations, "seed {seed}");
        let reached = bulk::order_prefix(&problem, &found[0].placement, &Control::unlimited()).reached;
        let (accepted, waiting) = bulk::accepted(&problem, &reached);
        // Long searches find 16; where the first placement that is found has no order, less than half of that is left.
        assert!(accepted >= 14 && waiting == 34, "seed {seed}: {accepted} of {waiting}");
    }
    // Where a limit ends the first probe, what little was found is a prefix all the same.
    let options = Options { effort: Some(u64::from(u32::MAX)), ..Options::default() };
    let stopped = Control::unlimited().with_time_limit(Duration::from_secs(2));
    let found = bulk::longest_prefix(&problem, &options, &stopped);
    let reached = bulk::order_prefix(&problem, &found.placement, &Control::unlimited()).reached;
    assert!(bulk::accepted(&problem, &reached).0 > 0);
}

/// What `--admit prefix` says, and who waited at the start and runs in the end.
fn admitted(snapshot: &Snapshot, more: &[&str]) -> (String, Vec<String>) {
    let folder = TempDir::new().unwrap();
    let path = written(&folder, "s.json", file::write_snapshot(snapshot));
    let plan = folder.path().join("p.json");
    let asked = ["plan", &path, "--admit", "prefix", "--effort", "50", "-o", plan.to_str().unwrap()];
    let (code, _, stderr) = run(&[&asked, more].concat());
    assert_eq!(code, 0, "{stderr}");
    let problem = Problem::new(snapshot).unwrap();
    let plan = file::read_plan(&std::fs::read(&plan).unwrap(), &problem).unwrap();
    let starts = plan.waves.iter().flatten().filter(|step| !problem.current.spot(step.task).is_placed());
    let mut names: Vec<String> = starts.map(|step| problem.tasks[step.task.index()].name.clone()).collect();
    names.sort_unstable();
    let told = stderr.lines().find(|line| line.starts_with("accepted")).unwrap_or_default();
    (told.to_string(), names)
}

/// Who needs somebody from behind the first that is refused, as a gang or by a dependency, is refused as well.
#[test]
fn a_prefix_needs_nobody_behind_it() {
    let tasks = || {
        let (a, b) = (task("a", 5, &[("cpu", 1)]), task("b", 5, &[("cpu", 1)]));
        (a, task("x", 5, &[("cpu", 9)]), b)
    };
    let (a, x, b) = tasks();
    let mut gang = cluster(vec![node("n", &[("cpu", 4)])], vec![in_group(a, "g"), x, in_group(b, "g")]);
    gang.groups = vec![GroupSpec { gang: Some(GangSpec::default()), ..group("g") }];
    assert_eq!(admitted(&gang, &[]), ("accepted: the first 0 of 3 waiting tasks".to_string(), vec![]));
    let (a, x, b) = tasks();
    let mut needs = cluster(vec![node("n", &[("cpu", 4)])], vec![in_group(a, "g"), x, in_group(b, "h")]);
    let on = DependencySpec { group: "h".into(), level: "node".into() };
    needs.groups = vec![GroupSpec { depends_on: vec![on], ..group("g") }, group("h")];
    assert_eq!(admitted(&needs, &[]), ("accepted: the first 0 of 3 waiting tasks".to_string(), vec![]));
    needs.tasks.swap(1, 2);
    assert_eq!(
        admitted(&needs, &[]).0,
        "accepted: the first 2 of 3 waiting tasks",
        "nobody refused stands between them"
    );
}

/// The first has room only after a swap that has no safe order; the one behind it has room as it is, and waits with it.
#[test]
fn a_prefix_is_counted_in_the_plan() {
    let labels = [("k".to_string(), "1".to_string())].into();
    let nodes = vec![NodeSpec { labels, ..node("n", &[("cpu", 9)]) }, node("m", &[("cpu", 6)])];
    let runs = [at(task("r", 1, &[("cpu", 6)]), "n"), at(task("s", 1, &[("cpu", 4)]), "m")];
    // A restart would be a way.
    let runs = runs.map(|task| TaskSpec { evictable: false, ..task });
    let selector = [("k".to_string(), vec!["1".to_string()])].into();
    let first = TaskSpec { selector, ..task("a", 100, &[("cpu", 4)]) };
    let mut snapshot = cluster(nodes, runs.into_iter().chain([first, task("b", 100, &[("cpu", 1)])]).collect());
    snapshot.resources[0].transient = true;
    assert_eq!(admitted(&snapshot, &[]), ("accepted: the first 0 of 2 waiting tasks".to_string(), vec![]));
}

/// Three tasks of 4 have room on two nodes of 10, but not when one of these fails.
#[test]
fn a_prefix_leaves_the_reserve() {
    let nodes = ["n", "m"].map(|name| node(name, &[("cpu", 10)])).to_vec();
    let tasks = ["a", "b", "c"].map(|name| task(name, 5, &[("cpu", 4)])).to_vec();
    let snapshot = cluster(nodes, tasks);
    assert_eq!(admitted(&snapshot, &[]).0, "accepted: the first 3 of 3 waiting tasks");
    let (told, names) = admitted(&snapshot, &["--reserve", "node"]);
    assert_eq!((told.as_str(), names.join(" ").as_str()), ("accepted: the first 2 of 3 waiting tasks", "a b"));
}

/// Two racks of two nodes, one of them mostly taken: a gang of four starts in the other. Where that has room for three only, three
/// start if three are enough, else nobody.
#[test]
fn a_gang_starts_within_one_rack() {
    let nodes = [("n1", "r"), ("n2", "r"), ("n3", "s"), ("n4", "s")]
        .map(|(name, rack)| in_rack(node(name, &[("cpu", 10)]), rack));
    let pinned = |name, node, cpu| TaskSpec { pinned: true, ..at(task(name, 100, &[("cpu", cpu)]), node) };
    for (taken, least, expected) in [(0, None, 4), (0, Some(3), 4), (5, None, 0), (5, Some(3), 3)] {
        let mut tasks: Vec<TaskSpec> =
            (0..4).map(|t| in_group(task(&format!("w{t}"), 5, &[("cpu", 5)]), "g")).collect();
        tasks.extend([pinned("rest", "n1", 8), pinned("other", "n3", taken)]);
        let mut snapshot = cluster(nodes.to_vec(), tasks);
        snapshot.levels = vec!["rack".to_string()];
        let gang = GangSpec { min_members: least, within: Some("rack".to_string()) };
        snapshot.groups = vec![GroupSpec { gang: Some(gang), ..group("g") }];
        let problem = Problem::new(&snapshot).unwrap();
        let options = Options { effort: Some(500), threads: 1, ..Options::default() };
        let found = bulk::solve(&problem, &options, &Control::unlimited()).placement;
        assert_eq!(violations(&problem, &found), []);
        let used: Vec<NodeId> = (0..4).filter_map(|t| found.spot(TaskId(t)).node()).collect();
        assert_eq!(used.len(), expected, "{taken} taken, least {least:?}");
        assert!(used.iter().all(|node| node.0 >= 2), "rack s takes them all");
    }
}
