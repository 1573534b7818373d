//! Is each cost term worth what its line in `src/model/cost.rs` says?

use super::*;

fn points(problem: &Problem, spots: &[(&str, &str)]) -> Score {
    score(problem, &changed(problem, spots))
}

#[test]
fn the_founding_example_comes_out_to_the_digit() {
    // Tasks A, B, C: weight 5, 3, 2; used 3, 2, 1; required 10, 8, 6; 10 available.
    let part = |name, weight, cpu, share: &str| {
        let mut task = at(task(name, weight, &[("cpu", cpu)]), "n");
        task.sharing = SharingSpec::Divisible;
        task.placement[0].share = Some(share.to_string());
        task
    };
    let tasks = vec![part("A", 5, 10, "3/10"), part("B", 3, 8, "2/8"), part("C", 2, 6, "1/6")];
    let problem = problem(&cluster(vec![node("n", &[("cpu", 10)])], tasks));
    assert_eq!(score(&problem, &problem.current).objective(), scaled(31, 12), "1.5 + 0.75 + 0.333… = 2.58333…");
    let usage = Usage::of(&problem, &problem.current);
    let cpu = ResourceId::new(0);
    assert_eq!(usage.amount(NodeId::new(0), cpu), scaled(6, 1));
    let required: i64 = problem.task_ids().map(|task| problem.requirement(task)[0]).sum();
    assert_eq!(usage.amount(NodeId::new(0), cpu) * 4, scaled(required, 1), "utilisation 6/24 = 0.25");
    assert_eq!(headroom(&problem, &usage, cpu), scaled(4, 1), "f(6, 10) = 4");
}

#[test]
fn load_counts_what_is_above_the_soft_limit() {
    let soft = NodeSpec { soft_limit: amounts(&[("cpu", 5)]), ..node("m", &[("cpu", 20)]) };
    let mut stretch = task("b", 0, &[("cpu", 3)]);
    stretch.sharing = SharingSpec::Divisible;
    let mut snapshot = cluster(vec![soft, node("n", &[("cpu", 4)])], vec![task("a", 0, &[("cpu", 6)]), stretch]);
    snapshot.resources[0].load_weight = 7;
    let problem = problem(&snapshot);
    assert_eq!(points(&problem, &[]).cost(), 0);
    assert_eq!(points(&problem, &[("a", "m")]).load, scaled(7, 1));
    assert_eq!(points(&problem, &[("a", "m"), ("b", "m 1/2")]).load, scaled(35, 2));
    assert_eq!(points(&problem, &[("a", "n")]).load, scaled(14, 1), "without a soft limit the capacity is one");
    assert_eq!(points(&problem, &[("a", "n")]).objective(), -scaled(14, 1));
}

#[test]
fn balance_counts_what_the_target_asks_for_and_is_not_free() {
    let mut snapshot =
        cluster(vec![node("m", &[("cpu", 10), ("memory", 25)])], vec![task("a", 0, &[("cpu", 2), ("memory", 12)])]);
    snapshot.resources = resources(&["cpu", "memory"]);
    let term = BalanceSpec { resource: "cpu".to_string(), other: "memory".to_string(), target: 2, weight: 3 };
    snapshot.objective.balance.push(term);
    let problem = problem(&snapshot);
    assert_eq!(points(&problem, &[]).balance, 0, "2 · 10 − 25 < 0");
    assert_eq!(points(&problem, &[("a", "m")]).balance, scaled(9, 1), "3 · (2 · 8 − 13)");
}

/// Nodes m, n with 10 and 20 cpu and o without; a of 6 and b of 9: the cluster's utilisation is a half.
fn uneven() -> Snapshot {
    let mut stretch = task("b", 0, &[("cpu", 9)]);
    stretch.sharing = SharingSpec::Divisible;
    let nodes = vec![node("m", &[("cpu", 10)]), node("n", &[("cpu", 20)]), node("o", &[])];
    let mut snapshot = cluster(nodes, vec![task("a", 0, &[("cpu", 6)]), stretch]);
    // The root is 1,024: levels are 1,024ths of utilisation, and the mark is 512.
    snapshot.resources[0].variance_weight = 1 << 20;
    snapshot
}

#[test]
fn variance_counts_squares_around_the_utilisation_of_the_cluster() {
    let mut snapshot = uneven();
    let state = problem(&snapshot);
    let variance = |problem: &Problem, spots: &[(&str, &str)]| points(problem, spots).variance;
    let empty = 512 * 512;
    assert_eq!(variance(&state, &[]), scaled(2 * empty, 1), "o has no utilisation");
    // a on m: 0.6, level 614.4; b on n: 0.45, level 460.8.
    let (a, b) = ((614 - 512) * (614 - 512), (512 - 461) * (512 - 461));
    assert_eq!(variance(&state, &[("a", "m")]), scaled(a + empty, 1));
    assert_eq!(variance(&state, &[("a", "m"), ("b", "n")]), scaled(a + b, 1));
    // Half of b: 0.225, level 230.4, in whole points although the share is none.
    assert_eq!(variance(&state, &[("b", "n 1/2")]), scaled(282 * 282 + empty, 1));
    assert_eq!(variance(&state, &[("a", "o")]), variance(&state, &[]), "nothing there to be even with");
    // Half full on all nodes is perfect, though 1/3 of 2^bits is not whole.
    snapshot.nodes[0].allocatable = amounts(&[("cpu", 12)]);
    snapshot.nodes[1].allocatable = amounts(&[("cpu", 18)]);
    assert_eq!(variance(&problem(&snapshot), &[("a", "m"), ("b", "n")]), 0);
    // A waiting task counts for the mark: 24 of 30 wanted.
    snapshot.tasks.push(task("w", 0, &[("cpu", 9)]));
    let off = 819 - 512;
    assert_eq!(variance(&problem(&snapshot), &[("a", "m"), ("b", "n")]), scaled(2 * off * off, 1));
}

#[test]
fn the_mark_is_full_at_most_and_utilisation_counts_up_to_four() {
    let mut snapshot = uneven();
    snapshot.tasks[0].requirement = amounts(&[("cpu", 39)]);
    let variance = |snapshot: &Snapshot| points(&problem(snapshot), &[("a", "m")]).variance;
    let (m, empty) = (3994 - 1024, 1024);
    assert_eq!(variance(&snapshot), scaled(m * m + empty * empty, 1), "48 of 30 wanted: the mark is 1, m is at 3.9");
    for amount in [40, 1000, AMOUNT_MAX] {
        snapshot.tasks[0].requirement = amounts(&[("cpu", amount)]);
        assert_eq!(variance(&snapshot), scaled(3 * 1024 * 3 * 1024 + empty * empty, 1), "{amount}");
    }
    snapshot.resources[0].variance_weight = AMOUNT_MAX;
    snapshot.nodes[0].allocatable = amounts(&[("cpu", AMOUNT_MAX)]);
    snapshot.nodes[1].allocatable = amounts(&[("cpu", 1)]);
    // The largest of everything: m is full, as it should be, and n is empty.
    assert_eq!(variance(&snapshot), scaled(1 << 40, 1));
}

#[test]
fn a_goal_replaces_the_costs_and_keeps_the_rest() {
    let mut snapshot = uneven();
    snapshot.resources[0].load_weight = 5;
    snapshot.resources.extend(resources(&["memory"]));
    snapshot.objective.price_weight = 7;
    snapshot.tasks[1].weight = 3;
    let own = problem(&snapshot);
    let goal = Goal::Balance.apply(&own);
    assert_eq!((goal.goal, own.goal), (Some(Goal::Balance), None));
    assert_eq!(goal.fingerprint, own.fingerprint);
    assert_eq!(goal.resources[0].variance_weight, AMOUNT_MAX / 2, "two nodes have cpu");
    assert_eq!(goal.resources[1].variance_weight, 0, "none has memory");
    assert_eq!(goal.objective.price_weight, 0);
    assert_eq!(goal.resources[0].load_weight, AMOUNT_MAX / 60, "half of the weight for 15 units, the mean capacity");
    assert_eq!([0, 1, 2].map(|node| goal.soft_limit(NodeId(node))[0]), [5, 10, 0], "51 %, rounded down");
    assert_eq!(goal.value_scale, AMOUNT_MAX / 2);
    assert_eq!(score(&goal, &changed(&goal, &[("b", "n")])).value, scaled(3 * (AMOUNT_MAX / 2), 1));
    // Evenly used, so the sum of squares is 0; the target is the same for all.
    snapshot.nodes[0].allocatable = amounts(&[("cpu", 12)]);
    snapshot.nodes[1].allocatable = amounts(&[("cpu", 18)]);
    let even = Goal::Balance.apply(&problem(&snapshot));
    assert_eq!(points(&even, &[("a", "m"), ("b", "n")]).cost(), 0);
}

/// Nodes m, n, o of classes x, y, y; a and b of one group and c without, on m; w waits.
fn movers() -> Snapshot {
    let classed = |name, class: &str| NodeSpec { move_class: Some(class.to_string()), ..node(name, &[("cpu", 99)]) };
    let mover = |name, cost| TaskSpec { move_cost: cost, ..at(task(name, 1, &[("cpu", 1)]), "m") };
    let tasks = vec![
        in_group(mover("a", 2), "g"),
        in_group(mover("b", 3), "g"),
        mover("c", 4),
        TaskSpec { move_cost: 50, ..task("w", 1, &[]) },
    ];
    let mut snapshot = cluster(vec![classed("m", "x"), classed("n", "y"), classed("o", "y")], tasks);
    snapshot.groups = vec![group("g")];
    snapshot
}

#[test]
fn move_terms_count_leaving_and_stopping_but_not_starting() {
    let mut snapshot = movers();
    snapshot.objective.task_move_weight = 10;
    snapshot.objective.group_move_weight = 100;
    let problem = problem(&snapshot);
    let moved = |spots: &[(&str, &str)]| {
        let score = points(&problem, spots);
        (score.task_move, score.group_move)
    };
    assert_eq!(moved(&[]), (0, 0));
    assert_eq!(moved(&[("w", "n")]), (0, 0));
    assert_eq!(moved(&[("a", "n")]), (scaled(20, 1), scaled(100, 1)));
    assert_eq!(moved(&[("a", ""), ("b", "o")]), (scaled(50, 1), scaled(200, 1)));
    assert_eq!(moved(&[("c", "n")]), (scaled(40, 1), 0), "a task without a group moves in no group");
}

#[test]
fn node_moves_cost_what_lies_between_the_classes() {
    let mut snapshot = movers();
    let between = vec![("x".to_string(), "y".to_string(), 7), ("y".to_string(), "y".to_string(), 0)];
    snapshot.objective.move_costs = Some(MoveCostsSpec { default: 5, between });
    snapshot.objective.node_move_weight = 2;
    snapshot.tasks[2] = at(snapshot.tasks[2].clone(), "n");
    let state = problem(&snapshot);
    assert_eq!(points(&state, &[("a", "n")]).node_move, scaled(14, 1));
    assert_eq!(points(&state, &[("c", "o")]).node_move, 0);
    assert_eq!(points(&state, &[("c", "m")]).node_move, scaled(10, 1), "not listed: the default");
    assert_eq!(points(&state, &[("a", "")]).node_move, 0, "stopping leads to no node");
    // A task on m and n comes to o as well: from n that is free, from m it is 7, and it comes from the cheapest.
    snapshot.tasks[0].sharing = SharingSpec::Divisible;
    snapshot.tasks[0].placement = ["m", "n"]
        .map(|node| PieceSpec { node: node.to_string(), share: Some("1/4".to_string()), devices: Vec::new() })
        .to_vec();
    assert_eq!(points(&problem(&snapshot), &[("a", "m 1/4 + n 1/4 + o 1/4")]).node_move, 0);
}

#[test]
fn a_node_in_use_costs_its_price_once() {
    let priced = |name, price| NodeSpec { price, ..node(name, &[("cpu", 9)]) };
    let mut snapshot =
        cluster(vec![priced("m", 3), priced("n", 4)], vec![task("a", 0, &[]), task("b", 0, &[("cpu", 1)])]);
    snapshot.objective.price_weight = 5;
    let problem = problem(&snapshot);
    assert_eq!(points(&problem, &[]).price, 0);
    assert_eq!(points(&problem, &[("a", "m"), ("b", "m")]).price, scaled(15, 1), "a task without amounts uses it, too");
    assert_eq!(points(&problem, &[("a", "m"), ("b", "n")]).price, scaled(35, 1));
}

#[test]
fn fragmentation_counts_free_milli_that_the_mix_cannot_use() {
    let tasks =
        vec![with_devices(task("a", 0, &[("cpu", 1)]), 1, 600), with_devices(task("b", 0, &[("cpu", 98)]), 1, 1000)];
    let mut snapshot = cluster(vec![gpu_node("m", 2)], tasks);
    let mix =
        |parts, cpu, count, milli| MixSpec { parts, requirement: amounts(&[("cpu", cpu)]), device: gpus(count, milli) };
    snapshot.objective.fragmentation =
        Some(FragmentationSpec { weight: 3, mix: vec![mix(1, 2, 1, 1000), mix(10, 2, 1, 300)] });
    let problem = problem(&snapshot);
    assert_eq!(points(&problem, &[]).fragmentation, 0, "2 devices free: everything can be used");
    // 400 free on device 0: no whole device (400 lost, once), room for 300.
    assert_eq!(points(&problem, &[("a", "m devices 0")]).fragmentation, scaled(3 * 400, 1));
    // b leaves 2 cpu and device 0; a leaves 1 cpu of these: too little for either item, so 400 are lost 1 + 10 times.
    let both = points(&problem, &[("a", "m devices 0"), ("b", "m devices 1")]);
    assert_eq!(both.fragmentation, scaled(3 * 400 * 11, 1));
    // Whole devices: none lost to the second item, the first needs two at once.
    snapshot.objective.fragmentation = Some(FragmentationSpec { weight: 1, mix: vec![mix(1, 0, 2, 1000)] });
    let problem = super::problem(&snapshot);
    assert_eq!(points(&problem, &[("a", "m devices 1")]).fragmentation, scaled(1400, 1));
}
