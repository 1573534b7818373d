//! Is each rule broken exactly when its line in `src/model/rules.rs` says so, and by as much?

use super::*;
use bayplan::control::Control;
use bayplan::{bulk, exact, plan};

const NONE: [&str; 0] = [];

/// Nodes of 12 and 10 in racks r and s, and tasks a, b, c of 4 units on the first.
fn three_on_m() -> Snapshot {
    let nodes = vec![in_rack(node("m", &[("cpu", 12)]), "r"), in_rack(node("n", &[("cpu", 10)]), "s")];
    let tasks = ["a", "b", "c"].map(|name| at(task(name, 1, &[("cpu", 4)]), "m"));
    Snapshot { levels: vec!["rack".to_string()], ..cluster(nodes, tasks.to_vec()) }
}

#[test]
fn capacity_counts_every_piece_at_its_share() {
    let mut snapshot = three_on_m();
    snapshot.tasks[2].sharing = SharingSpec::Divisible;
    let problem = problem(&snapshot);
    assert_eq!(broken(&problem, &[]), NONE);
    assert_eq!(
        broken(&problem, &[("a", "n"), ("b", "n"), ("c", "n")]),
        ["capacity: node n, cpu, beyond the limit by 2"]
    );
    assert_eq!(broken(&problem, &[("a", "n"), ("b", "n"), ("c", "m 1/2 + n 1/2")]), NONE);
    assert_eq!(
        broken(&problem, &[("a", "n"), ("b", "n"), ("c", "n 5/8")]),
        ["capacity: node n, cpu, beyond the limit by 0.500000"]
    );
}

#[test]
fn transient_resources_are_held_on_the_old_node_when_all_moves_run_at_once() {
    // a (4) leaves m, d (4) comes: 12 + 4 = 16 of 12 during the move, 12 after it.
    let mut snapshot = three_on_m();
    snapshot.tasks.push(at(task("d", 1, &[("cpu", 4)]), "n"));
    let moves = [("a", "n"), ("d", "m")];
    snapshot.resources[0].transient = true;
    assert_eq!(broken(&problem(&snapshot), &moves), NONE, "in waves, the way there is judged by the plan");
    snapshot.moves.mode = MoveMode::Simultaneous;
    assert_eq!(broken(&problem(&snapshot), &moves), ["transient: node m, cpu, beyond the limit by 4"]);
    // d is too much for m in the end, too: said once, as capacity.
    assert_eq!(broken(&problem(&snapshot), &[("d", "m")]), ["capacity: node m, cpu, beyond the limit by 4"]);
    snapshot.resources[0].transient = false;
    assert_eq!(broken(&problem(&snapshot), &moves), NONE);
}

#[test]
fn devices_are_held_on_the_old_node_when_all_moves_run_at_once() {
    let whole = |name| with_devices(task(name, 1, &[]), 1, 1000);
    let tasks = vec![at_devices(whole("a"), "m", &[0]), at_devices(whole("b"), "n", &[0])];
    let mut snapshot = cluster(vec![gpu_node("m", 1), gpu_node("n", 1)], tasks);
    let swap = [("a", "n devices 0"), ("b", "m devices 0")];
    assert_eq!(broken(&problem(&snapshot), &swap), NONE);
    snapshot.moves.mode = MoveMode::Simultaneous;
    assert_eq!(
        broken(&problem(&snapshot), &swap),
        [
            "transient: node m, device 0, beyond the limit by 1000",
            "transient: node n, device 0, beyond the limit by 1000"
        ]
    );
}

#[test]
fn a_device_holds_1000_milli_and_a_task_holds_what_it_asked_for() {
    let part = |name| with_devices(task(name, 1, &[]), 1, 600);
    let tasks = vec![part("a"), part("b"), with_devices(task("c", 1, &[]), 2, 1000), task("d", 1, &[])];
    let problem = problem(&cluster(vec![gpu_node("m", 2)], tasks));
    assert_eq!(broken(&problem, &[("a", "m devices 0"), ("b", "m devices 1")]), NONE);
    assert_eq!(
        broken(&problem, &[("a", "m devices 0"), ("b", "m devices 0")]),
        ["device: node m, device 0, beyond the limit by 200"]
    );
    assert_eq!(broken(&problem, &[("c", "m devices 0,1")]), NONE);
    assert_eq!(broken(&problem, &[("c", "m")]), ["device: task c on node m, beyond the limit by 2"]);
    // One device too few, and one that the node does not have; the latter is of no kind that was asked for either.
    assert_eq!(
        broken(&problem, &[("c", "m devices 0,5")]),
        ["device: task c on node m, beyond the limit by 1", "device_model: task c on node m, beyond the limit by 1"]
    );
    assert_eq!(
        broken(&problem, &[("d", "m devices 0")]),
        ["device: task d on node m, beyond the limit by 1", "device_model: task d on node m, beyond the limit by 1"]
    );
}

#[test]
fn a_device_has_the_kind_and_model_asked_for() {
    let mut host = node("m", &[("cpu", 9)]);
    for (kind, model) in [("gpu", "old"), ("gpu", "new"), ("fpga", "new")] {
        host.devices.push(DevicesSpec { kind: kind.to_string(), model: model.to_string(), count: 1, memory: None });
    }
    let mut picky = with_devices(task("a", 1, &[]), 1, 1000);
    picky.device.as_mut().unwrap().models = vec!["new".to_string()];
    let mut snapshot = cluster(vec![host, gpu_node("n", 1)], vec![picky]);
    let state = problem(&snapshot);
    assert_eq!(broken(&state, &[("a", "m devices 1")]), NONE);
    for device in [0, 2] {
        let spot = format!("m devices {device}");
        assert_eq!(broken(&state, &[("a", &spot)]), ["device_model: task a on node m, beyond the limit by 1"]);
    }
    assert_eq!(broken(&state, &[("a", "n devices 0")]), ["device_model: task a on node n, beyond the limit by 1"]);
    // What it holds already, it may keep.
    snapshot.tasks[0] = at_devices(snapshot.tasks[0].clone(), "m", &[0]);
    assert_eq!(broken(&problem(&snapshot), &[]), NONE);
}

#[test]
fn those_who_share_a_device_share_its_memory() {
    let part = |name, memory| with_memory(with_devices(task(name, 1, &[]), 1, 300), memory);
    let mut host = roomy_gpu_node("m", 2, 24);
    // Device 2 does not say how much it has.
    host.devices.push(DevicesSpec { count: 1, memory: None, ..host.devices[0].clone() });
    let whole = with_memory(with_devices(task("whole", 1, &[]), 2, 1000), 24);
    let bare = with_devices(task("bare", 1, &[]), 1, 300);
    let tasks = vec![part("a", 16), part("b", 10), part("c", 8), part("large", 25), whole, bare];
    let mut snapshot = cluster(vec![host, gpu_node("n", 1)], tasks);
    let state = problem(&snapshot);
    assert_eq!(broken(&state, &[("a", "m devices 0"), ("c", "m devices 0"), ("bare", "m devices 0")]), NONE);
    assert_eq!(
        broken(&state, &[("a", "m devices 0"), ("b", "m devices 0")]),
        ["device_memory: node m, memory of device 0, beyond the limit by 2"]
    );
    assert_eq!(broken(&state, &[("whole", "m devices 0,1")]), NONE);
    assert_eq!(
        broken(&state, &[("large", "m devices 1")]),
        [
            "device_memory: node m, memory of device 1, beyond the limit by 1",
            "device_model: task large on node m, beyond the limit by 1"
        ]
    );
    for place in ["m devices 2", "n devices 0"] {
        let node = &place[..1];
        let expected = format!("device_model: task a on node {node}, beyond the limit by 1");
        assert_eq!(broken(&state, &[("a", place)]), [expected], "memory is not counted there");
        assert_eq!(broken(&state, &[("bare", place)]), NONE);
    }
    // Who runs where memory is not counted may stay, and takes none of it.
    snapshot.tasks[3] = at_devices(snapshot.tasks[3].clone(), "n", &[0]);
    let state = problem(&snapshot);
    assert_eq!(broken(&state, &[("bare", "n devices 0")]), NONE);
}

#[test]
fn the_memory_of_devices_is_held_until_all_moves_have_ended() {
    let part = |name| with_memory(with_devices(task(name, 1, &[]), 1, 300), 20);
    let tasks = vec![at_devices(part("a"), "m", &[0]), at_devices(part("b"), "n", &[0])];
    let mut snapshot = cluster(vec![roomy_gpu_node("m", 1, 32), roomy_gpu_node("n", 1, 40)], tasks);
    let swap = [("a", "n devices 0"), ("b", "m devices 0")];
    assert_eq!(broken(&problem(&snapshot), &swap), NONE);
    snapshot.moves.mode = MoveMode::Simultaneous;
    assert_eq!(broken(&problem(&snapshot), &swap), ["transient: node m, memory of device 0, beyond the limit by 8"]);
}

#[test]
fn entry_rules_bind_newcomers_only() {
    let mut snapshot = three_on_m();
    snapshot.tasks[0].selector.insert("disk".to_string(), vec!["ssd".to_string(), "nvme".to_string()]);
    assert_eq!(broken(&problem(&snapshot), &[]), NONE, "it is there already");
    assert_eq!(broken(&problem(&snapshot), &[("a", "n")]), ["selector: task a on node n, beyond the limit by 1"]);
    snapshot.nodes[1].labels.insert("disk".to_string(), "nvme".to_string());
    assert_eq!(broken(&problem(&snapshot), &[("a", "n")]), NONE);

    snapshot.nodes[1].taints = vec![TaintSpec { key: "drain".to_string(), value: "now".to_string() }];
    assert_eq!(broken(&problem(&snapshot), &[("a", "n")]), ["taint: task a on node n, beyond the limit by 1"]);
    for (key, value, accepted) in [
        (Some("drain"), Some("now"), true),
        (Some("drain"), None, true),
        (None, None, true),
        (None, Some("now"), true),
        (Some("drain"), Some("later"), false),
        (Some("other"), None, false),
    ] {
        let toleration = TolerationSpec { key: key.map(str::to_string), value: value.map(str::to_string) };
        snapshot.tasks[0].tolerations = vec![toleration];
        assert_eq!(broken(&problem(&snapshot), &[("a", "n")]).is_empty(), accepted, "{key:?} {value:?}");
    }

    snapshot.nodes[1].cordoned = true;
    assert_eq!(broken(&problem(&snapshot), &[("b", "n")]), ["cordon: task b on node n, beyond the limit by 1"]);
    snapshot.nodes[0].cordoned = true;
    assert_eq!(broken(&problem(&snapshot), &[]), NONE);
}

#[test]
fn conflict_counts_all_but_one_task_per_domain() {
    let mut snapshot = three_on_m();
    snapshot.nodes.push(in_rack(node("o", &[("cpu", 10)]), "r"));
    for task in &mut snapshot.tasks {
        task.group = Some("g".to_string());
    }
    let with = |levels: &[&str]| {
        let conflict = levels.iter().map(|level| level.to_string()).collect();
        problem(&Snapshot { groups: vec![GroupSpec { conflict, ..group("g") }], ..snapshot.clone() })
    };
    assert_eq!(broken(&with(&["node"]), &[]), ["conflict: group g, node m, beyond the limit by 2"]);
    assert_eq!(broken(&with(&["node"]), &[("a", "n"), ("b", "o")]), NONE);
    assert_eq!(
        broken(&with(&["rack"]), &[("a", "n"), ("b", "o")]),
        ["conflict: group g, rack r, beyond the limit by 1"]
    );
    assert_eq!(broken(&with(&["rack"]), &[("a", "n"), ("b", "")]), NONE);
    assert_eq!(broken(&with(&["node", "rack"]), &[]).len(), 2);
}

#[test]
fn a_node_without_a_domain_is_one_of_its_own() {
    let mut snapshot = three_on_m();
    snapshot.nodes[0].domains.clear();
    snapshot.nodes[1].domains.clear();
    snapshot.tasks.iter_mut().for_each(|task| task.group = Some("g".to_string()));
    snapshot.groups = vec![GroupSpec { conflict: vec!["rack".to_string()], ..group("g") }];
    assert_eq!(broken(&problem(&snapshot), &[("a", "n")]), ["conflict: group g, rack (only m), beyond the limit by 1"]);
}

#[test]
fn spread_asks_for_no_more_domains_than_there_are_tasks() {
    let mut snapshot = three_on_m();
    snapshot.tasks.iter_mut().for_each(|task| task.group = Some("g".to_string()));
    snapshot.groups = vec![GroupSpec { spread: vec![SpreadSpec { level: "rack".to_string(), min: 3 }], ..group("g") }];
    let problem = problem(&snapshot);
    assert_eq!(broken(&problem, &[]), ["spread: group g, level rack, beyond the limit by 2"]);
    assert_eq!(broken(&problem, &[("a", "n")]), ["spread: group g, level rack, beyond the limit by 1"]);
    assert_eq!(broken(&problem, &[("a", "n"), ("b", "")]), NONE);
    assert_eq!(broken(&problem, &[("a", ""), ("b", ""), ("c", "")]), NONE);
}

#[test]
fn dependency_is_missing_once_per_domain() {
    let mut snapshot = three_on_m();
    for (task, name) in snapshot.tasks.iter_mut().zip(["app", "app", "cache"]) {
        task.group = Some(name.to_string());
    }
    let rule = DependencySpec { group: "cache".to_string(), level: "rack".to_string() };
    snapshot.groups = vec![GroupSpec { depends_on: vec![rule], ..group("app") }, group("cache")];
    let problem = problem(&snapshot);
    assert_eq!(broken(&problem, &[]), NONE);
    assert_eq!(broken(&problem, &[("a", "n")]), ["dependency: group app needs cache in rack s, beyond the limit by 1"]);
    assert_eq!(broken(&problem, &[("c", "")]), ["dependency: group app needs cache in rack r, beyond the limit by 1"]);
    assert_eq!(broken(&problem, &[("a", ""), ("b", ""), ("c", "n")]), NONE, "the cache needs nobody");
}

#[test]
fn a_gang_may_run_in_part_but_not_in_two_racks() {
    let mut snapshot = three_on_m();
    snapshot.levels = vec!["rack".to_string()];
    for (node, rack) in snapshot.nodes.iter_mut().zip(["r", "s"]) {
        node.domains = [("rack".to_string(), rack.to_string())].into();
    }
    snapshot.tasks.iter_mut().for_each(|task| task.group = Some("g".to_string()));
    let gang = GangSpec { min_members: Some(2), within: Some("rack".to_string()) };
    snapshot.groups = vec![GroupSpec { gang: Some(gang), ..group("g") }];
    let problem = problem(&snapshot);
    assert_eq!(broken(&problem, &[("a", "")]), NONE, "two of three are enough");
    assert_eq!(broken(&problem, &[("a", ""), ("b", "")]), ["gang: group g, beyond the limit by 1"]);
    let other = if problem.current.spot(TaskId(0)).is_on(NodeId(0)) { 1 } else { 0 };
    let other = problem.nodes[other].name.clone();
    assert_eq!(broken(&problem, &[("a", &other)]), ["gang: group g, level rack, beyond the limit by 1"]);
}

#[test]
fn a_gang_runs_whole_or_not_at_all() {
    let mut snapshot = three_on_m();
    snapshot.tasks.iter_mut().for_each(|task| task.group = Some("g".to_string()));
    snapshot.groups = vec![GroupSpec { gang: Some(GangSpec::default()), ..group("g") }];
    let problem = problem(&snapshot);
    assert_eq!(broken(&problem, &[]), NONE);
    assert_eq!(broken(&problem, &[("a", "")]), ["gang: group g, beyond the limit by 1"]);
    assert_eq!(broken(&problem, &[("a", ""), ("b", "")]), ["gang: group g, beyond the limit by 2"]);
    assert_eq!(broken(&problem, &[("a", ""), ("b", ""), ("c", "")]), NONE);
}

#[test]
fn a_gang_with_too_few_members_cannot_run() {
    let mut snapshot = three_on_m();
    snapshot.tasks.iter_mut().for_each(|task| task.group = Some("g".to_string()));
    snapshot.tasks.iter_mut().for_each(|task| task.placement.clear());
    let gang = |least| Some(GangSpec { min_members: Some(least), within: None });
    snapshot.groups = vec![GroupSpec { gang: gang(4), ..group("g") }];
    let problem = problem(&snapshot);
    assert_eq!(broken(&problem, &[("a", "m"), ("b", "m"), ("c", "m")]), ["gang: group g, beyond the limit by 1"]);
    let waits = plan::waiting(&problem);
    assert!(waits.iter().all(|(_, why)| why == "its gang needs 4 members, and only 3 are listed"), "{waits:?}");
    let options = bulk::Options { effort: Some(100), ..bulk::Options::default() };
    assert_eq!(bulk::solve(&problem, &options, &Control::unlimited()).placement, problem.current);
    assert_eq!(exact::solve(&problem, &problem.current, &Control::unlimited()).placement, problem.current);
}

#[test]
fn pinned_and_unevictable_tasks_stay() {
    let mut snapshot = three_on_m();
    snapshot.tasks[0].pinned = true;
    snapshot.tasks[1].evictable = false;
    snapshot.tasks.push(TaskSpec { evictable: false, ..task("waits", 1, &[]) });
    let problem = problem(&snapshot);
    assert_eq!(broken(&problem, &[]), NONE, "who never ran is not stopped");
    assert_eq!(broken(&problem, &[("a", "n")]), ["pinned: task a, beyond the limit by 1"]);
    assert_eq!(broken(&problem, &[("a", "")]), ["pinned: task a, beyond the limit by 1"]);
    assert_eq!(broken(&problem, &[("b", "n")]), NONE);
    assert_eq!(broken(&problem, &[("b", "")]), ["eviction: task b, beyond the limit by 1"]);
    assert_eq!(broken(&problem, &[("c", "")]), NONE);
}

#[test]
fn a_pinned_task_keeps_its_devices() {
    let mut snapshot =
        cluster(vec![gpu_node("m", 2)], vec![at_devices(with_devices(task("a", 1, &[]), 1, 1000), "m", &[0])]);
    assert_eq!(broken(&problem(&snapshot), &[("a", "m devices 1")]), NONE);
    snapshot.tasks[0].pinned = true;
    assert_eq!(broken(&problem(&snapshot), &[("a", "m devices 1")]), ["pinned: task a, beyond the limit by 1"]);
}

#[test]
fn a_share_suits_the_kind_of_sharing() {
    let mut snapshot = three_on_m();
    snapshot.tasks[1].sharing = SharingSpec::Elastic;
    snapshot.tasks[1].min_share = Some("1/2".to_string());
    snapshot.tasks[2].sharing = SharingSpec::Divisible;
    let problem = problem(&snapshot);
    let refused = |task: &str, spot: &str| {
        let told = broken(&problem, &[(task, spot)]);
        // One for the kind of sharing, and one for each part beyond the whole.
        let beyond = if spot == "m 2/3 + n 2/3" { SHARE_ONE / 3 } else { 0 };
        let text = format!("share: task {task}, beyond the limit by {}", 1 + beyond);
        assert!(told.is_empty() || told == [text], "{told:?}");
        !told.is_empty()
    };
    for spot in ["m 1/2", "m 1/2 + n 1/2"] {
        assert!(refused("a", spot), "rigid, {spot}");
    }
    for spot in ["m 1/3", "m 1/2 + n 1/2"] {
        assert!(refused("b", spot), "elastic, {spot}");
    }
    for spot in ["m 2/3 + n 2/3", "m 1/3 + m 1/3"] {
        assert!(refused("c", spot), "divisible, {spot}");
    }
    for (task, spot) in [("a", "n"), ("b", "m 1/2"), ("b", "n 9/10"), ("c", "m 1/16"), ("c", "m 1/3 + n 2/3")] {
        assert!(!refused(task, spot), "{task}, {spot}");
    }
}

#[test]
fn the_move_budget_counts_moves_but_not_starts() {
    let mut snapshot = three_on_m();
    snapshot.tasks.push(task("waits", 1, &[("cpu", 1)]));
    snapshot.moves.max_moves = Some(1);
    let problem = problem(&snapshot);
    assert_eq!(broken(&problem, &[("a", "n"), ("waits", "n")]), NONE);
    assert_eq!(broken(&problem, &[("a", "n"), ("b", "")]), ["move_budget: the plan, beyond the limit by 1"]);
}
