//! Which small problems have a best that a person can check? Each comment states the optimum and why it is one.

use bayplan::model::*;
use std::collections::BTreeMap;

/// A snapshot and the best that can be reached from it.
pub struct Fixture {
    pub name: &'static str,
    pub snapshot: Snapshot,
    /// Scaled objective of the best never-worse placement with the least excess.
    pub objective: i128,
    /// That least total excess.
    pub excess: i128,
}

/// `5` or `5/2` points in scaled form.
pub fn scaled(top: i64, bottom: i64) -> i128 {
    let product = i128::from(top) * i128::from(SHARE_ONE);
    assert_eq!(product % i128::from(bottom), 0, "{top}/{bottom} is not exact");
    product / i128::from(bottom)
}

pub fn amounts(list: &[(&str, i64)]) -> BTreeMap<String, i64> {
    list.iter().map(|(name, value)| (name.to_string(), *value)).collect()
}

/// Resources with these names, held on one node at a time while moving.
pub fn resources(names: &[&str]) -> Vec<ResourceSpec> {
    let resource = |name: &&str| ResourceSpec { name: name.to_string(), ..ResourceSpec::default() };
    names.iter().map(resource).collect()
}

pub fn node(name: &str, allocatable: &[(&str, i64)]) -> NodeSpec {
    NodeSpec { name: name.to_string(), allocatable: amounts(allocatable), ..NodeSpec::default() }
}

pub fn pool(name: &str) -> PoolSpec {
    PoolSpec { name: name.to_string(), ..PoolSpec::default() }
}

/// A waiting rigid task that may be stopped again.
pub fn task(name: &str, weight: i64, requirement: &[(&str, i64)]) -> TaskSpec {
    TaskSpec {
        name: name.to_string(),
        weight,
        requirement: amounts(requirement),
        evictable: true,
        ..TaskSpec::default()
    }
}

/// The whole task on a node.
pub fn at(mut task: TaskSpec, node: &str) -> TaskSpec {
    task.placement = vec![PieceSpec { node: node.to_string(), ..PieceSpec::default() }];
    task
}

/// The task on these devices of a node.
pub fn at_devices(task: TaskSpec, node: &str, devices: &[u32]) -> TaskSpec {
    let mut task = at(task, node);
    task.placement[0].devices = devices.to_vec();
    task
}

pub fn in_group(mut task: TaskSpec, group: &str) -> TaskSpec {
    task.group = Some(group.to_string());
    task
}

pub fn with_devices(mut task: TaskSpec, count: u32, milli: u32) -> TaskSpec {
    task.device = Some(gpus(count, milli));
    task
}

pub fn gpus(count: u32, milli: u32) -> DeviceRequestSpec {
    DeviceRequestSpec { kind: "gpu".to_string(), count, milli, memory: None, models: Vec::new() }
}

/// The same with memory.
pub fn with_memory(mut task: TaskSpec, memory: i64) -> TaskSpec {
    task.device.as_mut().expect("it asks for a device").memory = Some(memory);
    task
}

/// A node of devices with memory.
pub fn roomy_gpu_node(name: &str, count: u32, memory: i64) -> NodeSpec {
    let mut node = gpu_node(name, count);
    node.devices[0].memory = Some(memory);
    node
}

pub fn gpu_node(name: &str, count: u32) -> NodeSpec {
    NodeSpec {
        devices: vec![DevicesSpec { kind: "gpu".to_string(), model: String::new(), count, memory: None }],
        ..node(name, &[("cpu", 100)])
    }
}

pub fn cluster(nodes: Vec<NodeSpec>, tasks: Vec<TaskSpec>) -> Snapshot {
    Snapshot { name: "fixture".to_string(), resources: resources(&["cpu"]), nodes, tasks, ..Snapshot::default() }
}

pub fn group(name: &str) -> GroupSpec {
    GroupSpec { name: name.to_string(), ..GroupSpec::default() }
}

/// Node in a rack, for clusters whose only level is `rack`.
pub fn in_rack(mut node: NodeSpec, rack: &str) -> NodeSpec {
    node.domains.insert("rack".to_string(), rack.to_string());
    node
}

/// All of them.
pub fn fixtures() -> Vec<Fixture> {
    let fixture = |name, snapshot, objective| Fixture { name, snapshot, objective, excess: 0 };
    vec![
        fixture("empty", cluster(vec![], vec![]), 0),
        fixture("knapsack", knapsack(), scaled(22, 1)),
        fixture("swap", swap(), scaled(20, 1)),
        fixture("balance", balance(), scaled(4, 1)),
        fixture("load", load(), scaled(9, 1)),
        fixture("spread", spread(), scaled(6, 1)),
        fixture("dependency", dependency(), scaled(5, 1)),
        fixture("gang", gang(), scaled(7, 1)),
        fixture("conflict", conflict(), scaled(10, 1)),
        fixture("devices", devices(), scaled(9, 1)),
        fixture("device_memory", device_memory(), scaled(12, 1)),
        fixture("move_costs", move_costs(), scaled(8, 1)),
        fixture("eviction", eviction(), scaled(9, 1)),
        fixture("no_eviction", no_eviction(), scaled(4, 1)),
        fixture("simultaneous", simultaneous(), scaled(10, 1)),
        fixture("divisible", divisible(), scaled(5, 1)),
        fixture("split", split(), scaled(29, 2)),
        fixture("elastic", elastic(), scaled(13, 2)),
        fixture("repair", repair(), scaled(-1, 1)),
        Fixture { name: "beyond_repair", snapshot: beyond_repair(), objective: scaled(3, 1), excess: 2 },
    ]
}

/// 10 units for (weight 10, 5), (12, 5), (13, 6), (9, 4). Pairs that fit: 10+12 = 22 with 10 units, 13+9 = 22 with 10;
/// no three fit (least 14). Best 22.
fn knapsack() -> Snapshot {
    let task = |name, weight, cpu| task(name, weight, &[("cpu", cpu)]);
    let tasks = vec![task("a", 10, 5), task("b", 12, 5), task("c", 13, 6), task("d", 9, 4)];
    cluster(vec![node("n", &[("cpu", 10)])], tasks)
}

/// 18 units for 18 units: big (10) runs 3 and 5, small (8) runs 5 and 3, and 2 wait that may only go to small. Its other 6
/// units can only be 3 + 3, so a 3 and a 5 must change places. Then all run: 5 · 4 = 20; else 16.
fn swap() -> Snapshot {
    let mut small = node("small", &[("cpu", 8)]);
    small.labels.insert("disk".to_string(), "ssd".to_string());
    let running = |name, cpu, node| TaskSpec { evictable: false, ..at(task(name, 4, &[("cpu", cpu)]), node) };
    let mut wait = task("wait", 4, &[("cpu", 2)]);
    wait.selector.insert("disk".to_string(), vec!["ssd".to_string()]);
    let mut tasks = vec![running("a", 3, "big"), running("b", 5, "big")];
    tasks.extend([running("c", 5, "small"), running("d", 3, "small"), wait]);
    cluster(vec![node("big", &[("cpu", 10)]), small], tasks)
}

/// Free memory should be at least free cpu, 1 point per missing unit. Two nodes of (8 cpu, 8 memory); x takes 6 memory,
/// y takes 6 cpu. Together: free 2 and 2, and 8 and 8: nothing missing. Apart: 8 − 2 = 6 missing. Weights 2 + 2 = 4.
fn balance() -> Snapshot {
    let mut snapshot = cluster(
        ["m", "n"].map(|name| node(name, &[("cpu", 8), ("memory", 8)])).to_vec(),
        vec![at(task("x", 2, &[("memory", 6)]), "m"), at(task("y", 2, &[("cpu", 6)]), "n")],
    );
    snapshot.resources = resources(&["cpu", "memory"]);
    let term = BalanceSpec { resource: "cpu".to_string(), other: "memory".to_string(), target: 1, weight: 1 };
    snapshot.objective.balance.push(term);
    snapshot
}

/// Two nodes with soft limit 4, 3 points per unit above; tasks of 3, 3 and 1, weight 4 each, all on the first: 3 above.
/// Moving a 3 costs 3 points and leaves nothing above: 12 − 3 = 9. Moving the 1 is free but leaves 2 above: 12 − 6 = 6.
fn load() -> Snapshot {
    let soft = |name| NodeSpec { soft_limit: amounts(&[("cpu", 4)]), ..node(name, &[("cpu", 10)]) };
    let costly = |name| TaskSpec { move_cost: 3, ..at(task(name, 4, &[("cpu", 3)]), "m") };
    let tasks = vec![costly("a"), costly("b"), at(task("c", 4, &[("cpu", 1)]), "m")];
    let mut snapshot = cluster(vec![soft("m"), soft("n")], tasks);
    snapshot.resources[0].load_weight = 3;
    snapshot.objective.task_move_weight = 1;
    snapshot
}

/// Two tasks of one group must cover two racks; nodes m and n are in rack r, o in rack s. The node in s costs 4 points,
/// m costs nothing, each task is worth 5. Both: 10 − 4 = 6; one alone (needs one rack only): 5. Best 6.
fn spread() -> Snapshot {
    let nodes = vec![
        in_rack(node("m", &[("cpu", 9)]), "r"),
        in_rack(node("n", &[("cpu", 9)]), "r"),
        NodeSpec { price: 4, ..in_rack(node("o", &[("cpu", 9)]), "s") },
    ];
    let member = |name| in_group(task(name, 5, &[("cpu", 1)]), "g");
    let mut snapshot = cluster(nodes, vec![member("a"), member("b")]);
    snapshot.levels = vec!["rack".to_string()];
    let rule = SpreadSpec { level: "rack".to_string(), min: 2 };
    snapshot.groups = vec![GroupSpec { spread: vec![rule], ..group("g") }];
    snapshot.objective.price_weight = 1;
    snapshot
}

/// The app (weight 5, 6 units) needs a cache (weight 0, 5 units) in its rack. Node m (10) holds only one of them, but n (5)
/// is in the same rack; o (10) is in another. The app on m and the cache on n: 5. Without the cache: 0.
fn dependency() -> Snapshot {
    let nodes = vec![
        in_rack(node("m", &[("cpu", 10)]), "r"),
        in_rack(node("n", &[("cpu", 5)]), "r"),
        in_rack(node("o", &[("cpu", 10)]), "s"),
    ];
    let app = in_group(task("app", 5, &[("cpu", 6)]), "app");
    let cache = in_group(task("cache", 0, &[("cpu", 5)]), "cache");
    let mut snapshot = cluster(nodes, vec![app, cache]);
    snapshot.levels = vec!["rack".to_string()];
    let rule = DependencySpec { group: "cache".to_string(), level: "rack".to_string() };
    snapshot.groups = vec![GroupSpec { depends_on: vec![rule], ..group("app") }, group("cache")];
    snapshot
}

/// 10 units. A gang of three tasks (weight 4 each, 4 units each) needs 12 and cannot run; two of it would bring 8 but are
/// not allowed. The single task of weight 7 is left. Best 7.
fn gang() -> Snapshot {
    let member = |name| in_group(task(name, 4, &[("cpu", 4)]), "g");
    let tasks = vec![member("a"), member("b"), member("c"), task("single", 7, &[("cpu", 9)])];
    let mut snapshot = cluster(vec![node("n", &[("cpu", 10)])], tasks);
    snapshot.groups = vec![GroupSpec { gang: Some(GangSpec::default()), ..group("g") }];
    snapshot
}

/// Three tasks of weight 5 that exclude each other at rack level, three nodes in two racks: two run. Best 10.
fn conflict() -> Snapshot {
    let nodes = [("m", "r"), ("n", "r"), ("o", "s")].map(|(name, rack)| in_rack(node(name, &[("cpu", 9)]), rack));
    let member = |name| in_group(task(name, 5, &[("cpu", 1)]), "g");
    let mut snapshot = cluster(nodes.to_vec(), vec![member("a"), member("b"), member("c")]);
    snapshot.levels = vec!["rack".to_string()];
    snapshot.groups = vec![GroupSpec { conflict: vec!["rack".to_string()], ..group("g") }];
    snapshot
}

/// Cards with a memory of 24 and 16, each with milli for four of the tasks (weight, memory) (5, 16), (4, 10), (3, 8), (2, 24). The
/// last needs the large card for itself, then the best is 7; without it 16 + 8 and 10 have room: 12. Without memory: 14.
fn device_memory() -> Snapshot {
    let part = |name, weight, memory| with_memory(with_devices(task(name, weight, &[]), 1, 250), memory);
    let mut host = roomy_gpu_node("n", 1, 24);
    host.devices.push(DevicesSpec { memory: Some(16), ..host.devices[0].clone() });
    cluster(vec![host], vec![part("a", 5, 16), part("b", 4, 10), part("c", 3, 8), part("d", 2, 24)])
}

/// Two devices, half of each taken by tasks of weight 2: 1000 milli free in sum, but not on one device. The waiting task
/// (weight 5) wants one whole device. Both halves go to one device, the task takes the other: 2 + 2 + 5 = 9.
/// (A second such task cannot run: 8 with both, without the halves 10, but the halves may not be stopped.)
fn devices() -> Snapshot {
    let half = |name, device| {
        let half = with_devices(task(name, 2, &[]), 1, 500);
        TaskSpec { evictable: false, ..at_devices(half, "n", &[device]) }
    };
    let whole = |name| with_devices(task(name, 5, &[]), 1, 1000);
    cluster(vec![gpu_node("n", 2)], vec![half("a", 0), half("b", 1), whole("c"), whole("d")])
}

/// The only task (weight 10) runs on m (price 7). It may go to n (price 0, far: 4 points) or o (price 1, near: 1 point).
/// Stay 10 − 7 = 3, n 10 − 4 = 6, o 10 − 1 − 1 = 8. Best 8.
fn move_costs() -> Snapshot {
    let priced =
        |name, price, class: &str| NodeSpec { price, move_class: Some(class.to_string()), ..node(name, &[("cpu", 9)]) };
    let nodes = vec![priced("m", 7, "home"), priced("n", 0, "far"), priced("o", 1, "near")];
    let mut snapshot = cluster(nodes, vec![at(task("a", 10, &[("cpu", 1)]), "m")]);
    let between = vec![("home".to_string(), "near".to_string(), 1)];
    snapshot.objective.move_costs = Some(MoveCostsSpec { default: 4, between });
    snapshot.objective.node_move_weight = 1;
    snapshot.objective.price_weight = 1;
    snapshot
}

/// A running task (weight 4, may be stopped) holds the only node; a waiting one is worth 9. Stopping is a move and would
/// cost its move cost of 2 if moves were weighted; they are not. Best 9.
fn eviction() -> Snapshot {
    let low = TaskSpec { move_cost: 2, ..at(task("low", 4, &[("cpu", 6)]), "n") };
    cluster(vec![node("n", &[("cpu", 10)])], vec![low, task("high", 9, &[("cpu", 6)])])
}

/// The same, but the running task may not be stopped. Best 4.
fn no_eviction() -> Snapshot {
    let mut snapshot = eviction();
    snapshot.tasks[0].evictable = false;
    snapshot
}

/// All moves at once, cpu held on both nodes: a and b (6 units each, weight 6) would have to change places between m and
/// n (10 each) to save 1 point each; 6 + 6 > 10 forbids it in flight. They stay: 12 − 2 = 10. (Stopping one: 6 − 1.)
fn simultaneous() -> Snapshot {
    let mut snapshot = cluster(
        ["m", "n"].map(|name| node(name, &[("cpu", 10)])).to_vec(),
        vec![at(task("a", 6, &[("cpu", 6), ("am", 1)]), "m"), at(task("b", 6, &[("cpu", 6), ("bn", 1)]), "n")],
    );
    snapshot.resources = resources(&["cpu", "am", "bn"]);
    snapshot.resources[0].transient = true;
    // Being on m loads a with 1 point, being on n loads b with 1.
    for (node, resource) in [(0, "am"), (1, "bn")] {
        snapshot.nodes[node].soft_limit = amounts(&[(resource, 0)]);
        for other in 0..2 {
            snapshot.nodes[other].allocatable.insert(resource.to_string(), 1);
        }
    }
    snapshot.resources[1].load_weight = 1;
    snapshot.resources[2].load_weight = 1;
    snapshot.moves.mode = MoveMode::Simultaneous;
    snapshot
}

/// The three tasks of the founding text: weight 5, 3, 2, required 10, 8, 6, on 10 units. Weight per unit 0.5, 0.375,
/// 0.333…: all ten units to the first. Best 5.
fn divisible() -> Snapshot {
    let part = |name, weight, cpu, share: &str| {
        let mut task = at(task(name, weight, &[("cpu", cpu)]), "n");
        task.sharing = SharingSpec::Divisible;
        task.placement[0].share = Some(share.to_string());
        task
    };
    let tasks = vec![part("A", 5, 10, "3/10"), part("B", 3, 8, "1/4"), part("C", 2, 6, "1/6")];
    cluster(vec![node("n", &[("cpu", 10)])], tasks)
}

/// Nodes of 6 and 6; a divisible task of 8 (weight 12) can only run on both, and leaves 4 units for another of 8 (weight 5):
/// half of it. 12 + 5/2 = 29/2.
fn split() -> Snapshot {
    let wide = |name, weight| TaskSpec { sharing: SharingSpec::Divisible, ..task(name, weight, &[("cpu", 8)]) };
    cluster(["m", "n"].map(|name| node(name, &[("cpu", 6)])).to_vec(), vec![wide("a", 12), wide("b", 5)])
}

/// Two elastic tasks of 10 units (weights 8 and 5, at least 1/2). A pinned task of 5 leaves 5 units on m; n has 5. So one
/// gets 1/2 on each: 4 + 5/2 = 13/2.
fn elastic() -> Snapshot {
    let stretch = |name, weight| TaskSpec {
        sharing: SharingSpec::Elastic,
        min_share: Some("1/2".to_string()),
        ..task(name, weight, &[("cpu", 10)])
    };
    let rigid = TaskSpec { pinned: true, ..at(task("rigid", 0, &[("cpu", 5)]), "m") };
    let nodes = vec![node("m", &[("cpu", 10)]), node("n", &[("cpu", 5)])];
    cluster(nodes, vec![rigid, stretch("a", 8), stretch("b", 5)])
}

/// The node of 4 holds 6: two tasks (3 units, weight 1, may not be stopped). Moving one to the node of 3 costs 3 points,
/// and is still right: repair comes first. 2 − 3 = −1.
fn repair() -> Snapshot {
    let running = |name| TaskSpec { evictable: false, move_cost: 3, ..at(task(name, 1, &[("cpu", 3)]), "m") };
    let nodes = vec![node("m", &[("cpu", 4)]), node("n", &[("cpu", 3)])];
    let mut snapshot = cluster(nodes, vec![running("a"), running("b")]);
    snapshot.objective.task_move_weight = 1;
    snapshot
}

/// The node of 4 holds 6 and there is no other: 2 units too many remain whatever is done, as no task may be stopped. The
/// waiting task would make it worse. Objective 1 + 2 = 3, excess 2.
fn beyond_repair() -> Snapshot {
    let fixed = |name, weight| TaskSpec { evictable: false, ..at(task(name, weight, &[("cpu", 3)]), "m") };
    let tasks = vec![fixed("a", 1), fixed("b", 2), task("c", 9, &[("cpu", 1)])];
    cluster(vec![node("m", &[("cpu", 4)])], tasks)
}
