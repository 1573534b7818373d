//! Is the order of moves the one a careful operator would choose, and does verification name every fault?

mod common;

use bayplan::control::Control;
use bayplan::model::*;
use bayplan::plan;
use bayplan::plan::{Blocked, Move, Plan, Reason, Status, build, order, verify};
use common::fixtures::{amounts, at, node, task};
use common::meta;
use std::collections::BTreeSet;

/// Nodes n0 to n3 with 10 cpu (transient) and 10 mem (not) each, n0 and n1 in zone z0, n2 and n3 in z1; tasks a, b, c on
/// n0, n1, n2 and d waiting, 4 of each; load above 10 cpu costs, so that nothing but the weight of d can be gained.
fn base() -> Snapshot {
    let resource = |name: &str, transient| ResourceSpec {
        name: name.to_string(),
        unit: String::new(),
        transient,
        load_weight: i64::from(transient),
        variance_weight: 0,
    };
    let host = |name: &str, zone: &str| {
        let mut host = node(name, &[("cpu", 10), ("mem", 10)]);
        host.domains.insert("zone".to_string(), zone.to_string());
        host
    };
    let four = |name: &str, weight| task(name, weight, &[("cpu", 4), ("mem", 4)]);
    Snapshot {
        name: "base".to_string(),
        resources: vec![resource("cpu", true), resource("mem", false)],
        levels: vec!["zone".to_string()],
        nodes: vec![host("n0", "z0"), host("n1", "z0"), host("n2", "z1"), host("n3", "z1")],
        tasks: vec![at(four("a", 1), "n0"), at(four("b", 1), "n1"), at(four("c", 1), "n2"), four("d", 100)],
        ..Snapshot::default()
    }
}

fn changed(change: impl FnOnce(&mut Snapshot)) -> Problem {
    let mut snapshot = base();
    change(&mut snapshot);
    Problem::new(&snapshot).unwrap_or_else(|faults| panic!("{faults}"))
}

fn need(snapshot: &mut Snapshot, task: usize, cpu: i64, mem: i64) {
    snapshot.tasks[task].requirement = amounts(&[("cpu", cpu), ("mem", mem)]);
}

/// A group of the tasks named, with the rules given.
fn group(snapshot: &mut Snapshot, name: &str, tasks: &[usize], rules: GroupSpec) {
    for t in tasks {
        snapshot.tasks[*t].group = Some(name.to_string());
    }
    snapshot.groups.push(GroupSpec { name: name.to_string(), ..rules });
}

fn more_tasks(snapshot: &mut Snapshot, names: &[&str]) {
    snapshot.tasks.extend(names.iter().map(|name| task(name, 10, &[("cpu", 4), ("mem", 4)])));
}

fn find(problem: &Problem, name: &str) -> TaskId {
    TaskId::new(problem.tasks.iter().position(|task| task.name == name).unwrap())
}

/// `n1`, `n1 3` (devices as a bit set) or `-`.
fn spot(problem: &Problem, text: &str) -> Spot {
    let (name, devices) = text.split_once(' ').unwrap_or((text, "0"));
    let Some(n) = problem.nodes.iter().position(|node| node.name == name) else { return Spot::Unplaced };
    Spot::On(Piece { devices: devices.parse().unwrap(), ..Piece::whole(NodeId::new(n)) })
}

fn target(problem: &Problem, moves: &[(&str, &str)]) -> Placement {
    let mut placement = problem.current.clone();
    for (name, to) in moves {
        placement.set(find(problem, name), spot(problem, to));
    }
    placement
}

/// Orders the moves; the plan must verify. Waves as `a>n1 b>n2`, in task order.
fn ordered(problem: &Problem, moves: &[(&str, &str)]) -> (Plan, Vec<String>) {
    let plan = build(problem, &target(problem, moves), meta(), &Control::unlimited());
    let verdict = verify(problem, &plan);
    assert!(verdict.is_right(), "{:?}", verdict.violations);
    let text = |step: &Move| {
        let to = step.to.node().map_or("-", |node| &problem.nodes[node.index()].name);
        format!("{}>{to}", problem.tasks[step.task.index()].name)
    };
    let waves = plan.waves.iter().map(|wave| {
        let list: BTreeSet<String> = wave.iter().map(text).collect();
        list.into_iter().collect::<Vec<_>>().join(" ")
    });
    let waves = waves.collect();
    (plan, waves)
}

fn blocked(plan: &Plan) -> Vec<TaskId> {
    plan.blocked.iter().map(|blocked| blocked.task).collect()
}

/// A claim that a move is kept, by another task on the first node if so.
fn kept(task: TaskId, by: Option<TaskId>) -> Blocked {
    let node = by.map(|_| NodeId(0));
    Blocked { task, to: Spot::Unplaced, rule: "transient".to_string(), node, by }
}

fn reasons(plan: &Plan) -> Vec<Reason> {
    plan.moves().map(|step| step.reason).collect()
}

/// Every node full: d needs n0, so a must go to n1, so b must go to n2 first.
fn chain(snapshot: &mut Snapshot) {
    snapshot.tasks[2].placement.clear();
    (0..4).for_each(|t| need(snapshot, t, 10, 1));
}

#[test]
fn a_chain_takes_as_many_waves_as_it_has_links() {
    let (plan, waves) = ordered(&changed(chain), &[("d", "n0"), ("a", "n1"), ("b", "n2")]);
    assert_eq!(waves, ["b>n2", "a>n1", "d>n0"]);
    assert_eq!(reasons(&plan), [Reason::Enable, Reason::Enable, Reason::Admit]);
    assert_eq!(plan.objective.1 - plan.objective.0, 100 * i128::from(SHARE_ONE));
    let waiting = plan.unplaced.iter().map(|(task, reason)| (task.0, reason.as_str())).collect::<Vec<_>>();
    assert_eq!(waiting, [(2, "fits 1 node now, but was not started: not worth it, or not found by the search")]);
}

#[test]
fn a_long_chain_has_a_wave_per_link() {
    let links = 2000;
    let mut snapshot = Snapshot { resources: base().resources, ..Snapshot::default() };
    for n in 0..=links {
        snapshot.nodes.push(node(&format!("n{n}"), &[("cpu", 10)]));
    }
    for n in 0..links {
        snapshot.tasks.push(at(task(&format!("t{n}"), 1, &[("cpu", 10)]), &format!("n{n}")));
    }
    snapshot.tasks.push(task("d", 1, &[("cpu", 10)]));
    let problem = Problem::new(&snapshot).unwrap();
    let names: Vec<(String, String)> = (0..links).map(|n| (format!("t{n}"), format!("n{}", n + 1))).collect();
    let mut moves: Vec<(&str, &str)> = names.iter().map(|(task, to)| (task.as_str(), to.as_str())).collect();
    moves.push(("d", "n0"));
    let (_, waves) = ordered(&problem, &moves);
    assert_eq!(waves.len(), links + 1);
    assert_eq!((waves[0].as_str(), waves[links].as_str()), ("t1999>n2000", "d>n0"));
}

#[test]
fn a_resource_that_switches_at_once_needs_no_waiting() {
    let problem = changed(|snapshot| {
        chain(snapshot);
        (0..4).for_each(|t| need(snapshot, t, 1, 10));
    });
    let (_, waves) = ordered(&problem, &[("d", "n0"), ("a", "n1"), ("b", "n2")]);
    assert_eq!(waves, ["a>n1 b>n2 d>n0"]);
}

/// a and b change places; on n0 a costs 4 points that it does not cost on n1.
fn exchange(snapshot: &mut Snapshot, cpu: i64, mem: i64) {
    need(snapshot, 0, cpu, mem);
    need(snapshot, 1, cpu, mem);
    snapshot.nodes[0].soft_limit = amounts(&[("mem", 0)]);
    snapshot.resources[1].load_weight = 1;
    snapshot.tasks[1].requirement.insert("mem".to_string(), mem - 1);
}

#[test]
fn an_exchange_without_spare_room_is_blocked() {
    let problem = changed(|snapshot| {
        exchange(snapshot, 10, 4);
        snapshot.nodes[3].cordoned = true;
        snapshot.tasks.iter_mut().for_each(|task| task.evictable = false);
    });
    let (plan, waves) = ordered(&problem, &[("a", "n1"), ("b", "n0")]);
    assert!(waves.is_empty());
    assert_eq!(blocked(&plan), [TaskId(0), TaskId(1)]);
}

#[test]
fn an_exchange_of_what_switches_at_once_runs_in_one_wave() {
    let problem = changed(|snapshot| exchange(snapshot, 4, 10));
    let (plan, waves) = ordered(&problem, &[("a", "n1"), ("b", "n0")]);
    assert_eq!(waves, ["a>n1 b>n0"]);
    assert!(plan.blocked.is_empty());
}

#[test]
fn a_gang_starts_in_one_wave_when_all_have_room() {
    let problem = changed(|snapshot| {
        more_tasks(snapshot, &["e"]);
        need(snapshot, 3, 10, 1);
        group(snapshot, "gang", &[3, 4], GroupSpec { gang: Some(GangSpec::default()), ..GroupSpec::default() });
    });
    // e has room at once, d only when c has left.
    let (plan, waves) = ordered(&problem, &[("c", "n1"), ("d", "n2"), ("e", "n3")]);
    assert_eq!(waves, ["c>n1", "d>n2 e>n3"]);
    assert_eq!(reasons(&plan), [Reason::Enable, Reason::Admit, Reason::Admit]);
    let (plan, waves) = ordered(&problem, &[("d", "n3")]);
    assert!(waves.is_empty() && plan.blocked.is_empty(), "half a gang is worse than none");
    assert_eq!(plan.unplaced[0].1, "fits 1 node, but its gang was not started as a whole");
}

/// d needs all of its node, so that its start pays for what has to leave there first.
fn large_d(change: impl FnOnce(&mut Snapshot)) -> Problem {
    changed(|snapshot| {
        need(snapshot, 3, 10, 1);
        change(snapshot);
    })
}

#[test]
fn conflict_holds_while_the_wave_runs() {
    let apart = GroupSpec { conflict: vec!["node".to_string()], ..GroupSpec::default() };
    let problem = large_d(|snapshot| group(snapshot, "g", &[0, 1], apart));
    let moves = [("a", "n1"), ("b", "n2"), ("d", "n0")];
    assert_eq!(ordered(&problem, &moves).1, ["b>n2", "a>n1", "d>n0"]);
    // Without the rule b may stay, so it does.
    assert_eq!(ordered(&large_d(|_| ()), &moves).1, ["a>n1", "d>n0"]);
}

#[test]
fn spread_holds_while_the_wave_runs() {
    let wide = || GroupSpec { spread: vec![SpreadSpec { level: "zone".to_string(), min: 2 }], ..GroupSpec::default() };
    let problem = large_d(|snapshot| group(snapshot, "g", &[0, 1, 2], wide()));
    assert_eq!(ordered(&problem, &[("a", "n3"), ("c", "n0"), ("d", "n2")]).1, ["a>n3", "c>n0", "d>n2"]);
    // With two members only, either alone breaks the rule and both together may.
    let problem = large_d(|snapshot| {
        group(snapshot, "g", &[0, 2], wide());
        snapshot.tasks.iter_mut().for_each(|task| task.evictable = false);
    });
    let (plan, waves) = ordered(&problem, &[("a", "n3"), ("c", "n0"), ("d", "n2")]);
    assert!(waves.is_empty());
    assert_eq!(blocked(&plan), [TaskId(0), TaskId(2), TaskId(3)]);
    assert_eq!(plan.unplaced, [(TaskId(3), "would start, but no order of the moves is safe".to_string())]);
}

#[test]
fn dependency_holds_while_the_wave_runs() {
    let need_db = DependencySpec { group: "db".to_string(), level: "zone".to_string() };
    let problem = large_d(|snapshot| {
        snapshot.tasks[1].placement = at(task("", 0, &[]), "n2").placement;
        group(snapshot, "db", &[0, 1], GroupSpec::default());
        group(snapshot, "web", &[2], GroupSpec { depends_on: vec![need_db], ..GroupSpec::default() });
    });
    assert_eq!(ordered(&problem, &[("b", "n1"), ("c", "n1"), ("d", "n2")]).1, ["c>n1", "b>n1", "d>n2"]);
}

#[test]
fn caps_cut_waves() {
    // a and b both have to leave n0.
    let crowded = |change: fn(&mut Snapshot)| {
        large_d(|snapshot| {
            snapshot.tasks[1].placement = snapshot.tasks[0].placement.clone();
            change(snapshot);
        })
    };
    let moves = [("a", "n3"), ("b", "n3"), ("d", "n0")];
    assert_eq!(ordered(&crowded(|_| ()), &moves).1, ["a>n3 b>n3", "d>n0"]);
    let one_by_one = |snapshot: &mut Snapshot| {
        group(snapshot, "g", &[0, 1], GroupSpec { max_unavailable: Some(1), ..GroupSpec::default() });
    };
    assert_eq!(ordered(&crowded(one_by_one), &moves).1, ["a>n3", "b>n3", "d>n0"]);
    assert_eq!(ordered(&crowded(|s| s.moves.max_per_node = Some(1)), &moves).1, ["a>n3", "b>n3", "d>n0"]);
    assert_eq!(ordered(&crowded(|s| s.moves.max_moves = Some(2)), &moves).1, ["a>n3 b>n3", "d>n0"]);
    // With one move d never gets its room, so that move is for nothing.
    assert_eq!(ordered(&crowded(|s| s.moves.max_moves = Some(1)), &moves).1, Vec::<String>::new());
}

#[test]
fn the_budget_goes_to_the_move_that_others_wait_for() {
    let problem = large_d(|snapshot| snapshot.moves.max_moves = Some(1));
    assert_eq!(ordered(&problem, &[("b", "n3"), ("a", "n3"), ("d", "n0")]).1, ["a>n3", "d>n0"]);
}

#[test]
fn a_broken_start_is_repaired_even_at_a_loss() {
    let problem = changed(|snapshot| {
        snapshot.resources[0].load_weight = 0;
        need(snapshot, 0, 12, 1);
        snapshot.nodes[1].allocatable = amounts(&[("cpu", 20), ("mem", 10)]);
        snapshot.tasks[0].move_cost = 7;
        snapshot.objective.task_move_weight = 1;
    });
    let (plan, waves) = ordered(&problem, &[("a", "n1")]);
    assert_eq!(waves, ["a>n1"]);
    assert_eq!(reasons(&plan), [Reason::Repair]);
    assert_eq!(plan.objective.1 - plan.objective.0, -7 * i128::from(SHARE_ONE));
}

#[test]
fn simultaneous_moves_are_one_wave() {
    let at_once = |change: fn(&mut Snapshot)| {
        changed(|snapshot| {
            snapshot.moves.mode = MoveMode::Simultaneous;
            chain(snapshot);
            change(snapshot);
        })
    };
    let moves = [("d", "n0"), ("a", "n1"), ("b", "n2")];
    let problem = at_once(|snapshot| (0..4).for_each(|t| need(snapshot, t, 1, 10)));
    assert_eq!(ordered(&problem, &moves).1, ["a>n1 b>n2 d>n0"]);
    // What is transient stays taken: neither d nor a has room, and b alone gains nothing.
    assert_eq!(ordered(&at_once(|_| ()), &moves).1, Vec::<String>::new());
    // Two moves touch n0 and n1 each: the most valuable goes, a does not, and b alone gains nothing.
    let problem = at_once(|snapshot| {
        (0..4).for_each(|t| need(snapshot, t, 1, 1));
        snapshot.moves.max_per_node = Some(1);
    });
    assert_eq!(ordered(&problem, &moves).1, ["d>n0"]);
}

#[test]
fn an_overfull_node_can_be_left_simultaneously() {
    let problem = changed(|snapshot| {
        snapshot.moves.mode = MoveMode::Simultaneous;
        need(snapshot, 0, 12, 1);
        snapshot.nodes[3].allocatable = amounts(&[("cpu", 20), ("mem", 10)]);
    });
    assert_eq!(ordered(&problem, &[("a", "n3")]).1, ["a>n3"]);
}

#[test]
fn a_plan_ends_where_it_is_best() {
    // One move per node and wave: b comes second, and only costs.
    let problem = changed(|snapshot| {
        snapshot.moves.max_per_node = Some(1);
        snapshot.nodes[3].soft_limit = amounts(&[("cpu", 0)]);
    });
    assert_eq!(ordered(&problem, &[("b", "n3"), ("d", "n3")]).1, ["d>n3"]);
    // c makes room for e, which may not come: then c stays, although nothing forbids it to move.
    let problem = changed(|snapshot| {
        more_tasks(snapshot, &["e"]);
        snapshot.tasks[4].selector.insert("gpu".to_string(), vec!["yes".to_string()]);
        snapshot.tasks[2].move_cost = 1;
        snapshot.objective.task_move_weight = 1;
    });
    let (plan, waves) = ordered(&problem, &[("c", "n3"), ("d", "n0"), ("e", "n2")]);
    assert_eq!(waves, ["d>n0"]);
    assert_eq!(plan.unplaced, [(TaskId(4), "fits no node: selector on 4 nodes".to_string())]);
    let again = order(&problem, &plan.reached(&problem), &Control::unlimited());
    assert_eq!(again.reached, plan.reached(&problem));
}

#[test]
fn evictions_and_changed_shares_say_so() {
    let problem = changed(|snapshot| {
        need(snapshot, 0, 10, 1);
        need(snapshot, 3, 6, 1);
        snapshot.tasks[1].sharing = SharingSpec::Elastic;
        snapshot.tasks[1].min_share = Some("1/2".to_string());
        snapshot.tasks[1].placement[0].share = Some("1/2".to_string());
    });
    let mut target = target(&problem, &[("a", "-"), ("d", "n0")]);
    target.set(TaskId(1), Spot::On(Piece::whole(NodeId(1))));
    let ordered = order(&problem, &target, &Control::unlimited());
    let list: Vec<Vec<(TaskId, Reason)>> =
        ordered.waves.iter().map(|wave| wave.iter().map(|step| (step.task, step.reason)).collect()).collect();
    let first = vec![(TaskId(1), Reason::Resize), (TaskId(0), Reason::Evict)];
    assert_eq!(list, [first, vec![(TaskId(3), Reason::Admit)]]);
}

#[test]
fn unplaced_tasks_say_what_keeps_them_out() {
    let reason = |change: fn(&mut Snapshot)| {
        let (plan, _) = ordered(&changed(change), &[]);
        plan.unplaced.iter().map(|(_, reason)| reason.clone()).collect::<Vec<_>>().join(" | ")
    };
    assert_eq!(reason(|s| need(s, 3, 11, 1)), "fits no node: capacity cpu on 4 nodes");
    let mixed = |s: &mut Snapshot| {
        need(s, 3, 7, 1);
        s.nodes[3].taints = vec![TaintSpec { key: "only".to_string(), value: String::new() }];
    };
    assert_eq!(reason(mixed), "room exists only by moving others: capacity cpu on 3 nodes, taint on 1 node");
    assert_eq!(
        reason(|s| *s = Snapshot { nodes: vec![], tasks: s.tasks.split_off(3), ..s.clone() }),
        "there is no node"
    );
}

// Verification must name the fault. The plans below are right but for the one thing that the case is about.

/// A plan with these waves whose figures and lists are right.
fn claim(problem: &Problem, waves: &[&[(&str, &str)]]) -> Plan {
    let mut state = problem.current.clone();
    let mut points = score(problem, &state).objective();
    let before = points;
    let mut list = Vec::new();
    for wave in waves {
        let mut moves = Vec::new();
        for (name, to) in *wave {
            let (task, to) = (find(problem, name), spot(problem, to));
            let from = state.spot(task).clone();
            state.set(task, to.clone());
            let now = score(problem, &state).objective();
            let gain = now - std::mem::replace(&mut points, now);
            let reason = match (from.is_placed(), to.is_placed()) {
                (false, _) => Reason::Admit,
                (_, false) => Reason::Evict,
                _ if from.node() == to.node() => Reason::Resize,
                _ if gain > 0 => Reason::Improve,
                _ => Reason::Enable,
            };
            moves.push(Move { task, from, to, reason, gain });
        }
        list.push(moves);
    }
    let waiting = problem.task_ids().filter(|task| !state.spot(*task).is_placed());
    Plan {
        fingerprint: problem.fingerprint.clone(),
        goal: problem.goal,
        solver: "exact".to_string(),
        seed: 1,
        effort: 1,
        backend: "cpu".into(),
        status: Status::Feasible,
        bound: Some(points),
        gap: None,
        proof: None,
        objective: (before, points),
        unplaced: plan::reasons(problem, &state, &[], waiting),
        waves: list,
        blocked: Vec::new(),
        reserve: None,
        blockers: Vec::new(),
        drain: Vec::new(),
        unexplored: vec![
            "the search ended with its effort, and nothing is known of how much more is possible".to_string(),
        ],
    }
}

/// The rules that verification names, each once.
fn named(problem: &Problem, plan: &Plan) -> Vec<&'static str> {
    let names: BTreeSet<&str> = verify(problem, plan).violations.iter().map(|breach| breach.rule).collect();
    names.into_iter().collect()
}

/// A gpu on n0 and one of another model on n1, and a holds the first.
fn gpus(snapshot: &mut Snapshot) {
    for (n, model) in [(0, "x"), (1, "y"), (2, "x")] {
        let devices = DevicesSpec { kind: "gpu".to_string(), model: model.to_string(), count: 2, memory: None };
        snapshot.nodes[n].devices = vec![devices];
    }
    let models = vec!["x".to_string()];
    snapshot.tasks[0].device =
        Some(DeviceRequestSpec { kind: "gpu".to_string(), count: 1, milli: 600, memory: None, models });
    snapshot.tasks[2].device = snapshot.tasks[0].device.clone();
    snapshot.tasks[0].placement[0].devices = vec![0];
    snapshot.tasks[2].placement[0].devices = vec![0];
}

/// a and c share one of two cards of 40 with d; each takes 20, and the first card of n2 has 16.
fn cards(snapshot: &mut Snapshot) {
    gpus(snapshot);
    for n in [0, 2] {
        let devices = snapshot.nodes[n].devices[0].clone();
        let of = |memory| DevicesSpec { count: 1, memory: Some(memory), ..devices.clone() };
        snapshot.nodes[n].devices = vec![of(if n == 0 { 40 } else { 16 }), of(40)];
    }
    for t in [0, 2] {
        let device = snapshot.tasks[t].device.as_mut().unwrap();
        (device.milli, device.memory) = (300, Some(20));
    }
    snapshot.tasks[3].device =
        Some(DeviceRequestSpec { memory: Some(30), ..snapshot.tasks[0].device.clone().unwrap() });
    snapshot.tasks[2].placement[0].devices = vec![1];
}

type Case = (&'static str, fn(&mut Snapshot), &'static [&'static [(&'static str, &'static str)]]);

/// Name of the rule, what is changed in the snapshot, the waves.
const CASES: &[Case] = &[
    ("capacity", |s| need(s, 0, 1, 8), &[&[("a", "n1")]]),
    ("capacity", |s| need(s, 0, 1, 8), &[&[("a", "n1")], &[("b", "n3")]]),
    ("transient", |s| need(s, 0, 8, 1), &[&[("a", "n1"), ("b", "n3")]]),
    ("transient", gpus, &[&[("a", "n2 1"), ("c", "n0 2")]]),
    ("device", gpus, &[&[("a", "n0 3")]]),
    ("device", gpus, &[&[("a", "n2 0")]]),
    ("device_model", gpus, &[&[("a", "n1 1")]]),
    ("transient", cards, &[&[("a", "n2 2"), ("d", "n0 1")]]),
    ("selector", |s| _ = s.tasks[0].selector.insert("disk".to_string(), vec!["ssd".to_string()]), &[&[("a", "n1")]]),
    (
        "taint",
        |s| s.nodes[1].taints.push(TaintSpec { key: "only".to_string(), value: String::new() }),
        &[&[("a", "n1")]],
    ),
    ("cordon", |s| s.nodes[1].cordoned = true, &[&[("a", "n1")]]),
    ("conflict", apart, &[&[("a", "n1")]]),
    ("conflict", apart, &[&[("a", "n1"), ("b", "n3")]]),
    ("spread", wide, &[&[("c", "n1")]]),
    ("spread", wide, &[&[("a", "n3"), ("c", "n1")]]),
    ("spread", wide, &[&[("c", "n1")], &[("a", "n3")]]),
    ("dependency", web_needs_db, &[&[("b", "n3")]]),
    ("dependency", web_needs_db, &[&[("a", "n3"), ("b", "n3")]]),
    ("dependency", web_needs_db, &[&[("a", "n3")], &[("b", "n3")]]),
    ("gang", gang, &[&[("d", "n3")]]),
    ("gang", gang, &[&[("d", "n3")], &[("e", "n3")]]),
    ("gang", gang_of_a_zone, &[&[("a", "n3")]]),
    ("gang", gang_of_a_zone, &[&[("a", "n3")], &[("b", "n3")]]),
    ("pinned", |s| s.tasks[0].pinned = true, &[&[("a", "n1")]]),
    ("eviction", |s| s.tasks[0].evictable = false, &[&[("a", "-")]]),
    ("move_budget", |s| s.moves.max_moves = Some(1), &[&[("a", "n3"), ("b", "n3")]]),
    ("max_per_node", |s| s.moves.max_per_node = Some(1), &[&[("a", "n3"), ("b", "n3")]]),
    (
        "max_unavailable",
        |s| group(s, "g", &[0, 1], GroupSpec { max_unavailable: Some(1), ..GroupSpec::default() }),
        &[&[("a", "n3"), ("b", "n3")]],
    ),
    ("wave_order", |s| s.moves.mode = MoveMode::Simultaneous, &[&[("a", "n3")], &[("b", "n3")]]),
    // The right order is b, a, d.
    ("transient", chain, &[&[("a", "n1")], &[("b", "n2")], &[("d", "n0")]]),
    ("nothing", |_| (), &[&[("a", "n0")]]),
];

fn apart(snapshot: &mut Snapshot) {
    group(snapshot, "g", &[0, 1], GroupSpec { conflict: vec!["node".to_string()], ..GroupSpec::default() });
}

fn wide(snapshot: &mut Snapshot) {
    let spread = vec![SpreadSpec { level: "zone".to_string(), min: 2 }];
    group(snapshot, "g", &[0, 2], GroupSpec { spread, ..GroupSpec::default() });
}

/// a needs b in its zone.
fn web_needs_db(snapshot: &mut Snapshot) {
    let depends_on = vec![DependencySpec { group: "db".to_string(), level: "zone".to_string() }];
    group(snapshot, "web", &[0], GroupSpec { depends_on, ..GroupSpec::default() });
    group(snapshot, "db", &[1], GroupSpec::default());
}

/// a and b, of which one would do, run in one zone.
fn gang_of_a_zone(snapshot: &mut Snapshot) {
    let gang = Some(GangSpec { min_members: Some(1), within: Some("zone".to_string()) });
    group(snapshot, "g", &[0, 1], GroupSpec { gang, ..GroupSpec::default() });
}

fn gang(snapshot: &mut Snapshot) {
    more_tasks(snapshot, &["e"]);
    group(snapshot, "g", &[3, 4], GroupSpec { gang: Some(GangSpec::default()), ..GroupSpec::default() });
}

#[test]
fn every_rule_broken_is_named() {
    for (i, (rule, change, waves)) in CASES.iter().enumerate() {
        let problem = changed(change);
        let plan = claim(&problem, waves);
        let names = named(&problem, &plan);
        // An order that is wrong mid-wave leaves a node overfull after it, too.
        let also: &[&str] = if waves.len() == 3 { &["capacity", "transient"] } else { &[rule] };
        assert_eq!(names, also, "case {i}: {:?}", verify(&problem, &plan).violations);
    }
}

#[test]
fn a_card_with_too_little_memory_is_named() {
    let problem = changed(cards);
    // With a on a card of 40, and alone on one of 16; where a leaves first, d may come.
    assert_eq!(named(&problem, &claim(&problem, &[&[("d", "n0 1")]])), ["device_memory", "transient"]);
    let alone = ["device_memory", "device_model", "transient"];
    assert_eq!(named(&problem, &claim(&problem, &[&[("a", "n2 1")]])), alone);
    assert_eq!(named(&problem, &claim(&problem, &[&[("a", "n2 2")], &[("d", "n0 1")]])), [""; 0]);
    let (_, waves) = ordered(&problem, &[("a", "n2 2"), ("d", "n0 1")]);
    assert_eq!(waves, ["a>n2", "d>n0"], "both do not fit on the card at once");
}

#[test]
fn the_same_plans_are_right_where_nothing_forbids_them() {
    for (i, (rule, _, waves)) in CASES.iter().enumerate() {
        let known = |name: &str| ["a", "b", "c", "d"].contains(&name);
        if ["device", "device_model", "nothing"].contains(rule) || waves.iter().flat_map(|w| *w).any(|m| !known(m.0)) {
            continue;
        }
        let problem = changed(|_| ());
        let waves: Vec<Vec<(&str, &str)>> = waves
            .iter()
            .map(|wave| wave.iter().map(|(task, to)| (*task, to.split(' ').next().unwrap())).collect())
            .collect();
        let waves: Vec<&[(&str, &str)]> = waves.iter().map(Vec::as_slice).collect();
        assert_eq!(named(&problem, &claim(&problem, &waves)), [""; 0], "case {i}");
    }
}

/// What is changed in a plan that is right.
type Change = fn(&mut Plan);

#[test]
fn every_false_word_in_a_plan_is_named() {
    let problem = changed(chain);
    let plan = claim(&problem, &[&[("b", "n2")], &[("a", "n1")], &[("d", "n0")]]);
    assert_eq!(named(&problem, &plan), [""; 0]);
    let cases: &[(&[&str], Change)] = &[
        (&["fingerprint"], |p| p.fingerprint = "0".repeat(64)),
        (&["goal"], |p| p.goal = Some(Goal::Balance)),
        (&["from"], |p| p.waves[0][0].from = Spot::On(Piece::whole(NodeId(3)))),
        (&["from"], |p| p.waves[2][0].from = Spot::On(Piece::whole(NodeId(3)))),
        (&["twice"], |p| {
            let mut again = p.waves[0][0].clone();
            again.from = std::mem::replace(&mut again.to, Spot::On(Piece::whole(NodeId(3))));
            p.waves[2].push(again);
        }),
        (&["unknown"], |p| {
            let mut other = p.waves[0][0].clone();
            other.task = TaskId(99);
            p.waves[0].push(other);
        }),
        (&["unknown"], |p| {
            let mut other = p.waves[0][0].clone();
            (other.task, other.to) = (TaskId(2), Spot::On(Piece::whole(NodeId(99))));
            p.waves[0].push(other);
        }),
        (&["gain"], |p| p.waves[1][0].gain += 1),
        (&["reason"], |p| p.waves[1][0].reason = Reason::Improve),
        (&["reason"], |p| p.waves[1][0].reason = Reason::Repair),
        (&["reason"], |p| p.waves[2][0].reason = Reason::Enable),
        (&["objective"], |p| p.objective.0 -= 1),
        (&["objective"], |p| p.objective.1 = i128::MAX),
        (&["bound"], |p| p.bound = p.bound.map(|bound| bound - 1)),
        (&["status", "unexplored"], |p| (p.status, p.bound) = (Status::Optimal, None)),
        (&["status", "unexplored"], |p| (p.status, p.bound) = (Status::Optimal, p.bound.map(|bound| bound + 1))),
        (&["unplaced"], |p| p.unplaced.clear()),
        (&["unplaced"], |p| p.unplaced.push(p.unplaced[0].clone())),
        (&["unplaced"], |p| p.unplaced.push((TaskId(0), "no room".to_string()))),
        (&["unplaced"], |p| p.unplaced.push((TaskId(99), "no room".to_string()))),
        (&["blocked"], |p| p.blocked.push(kept(TaskId(0), None))),
        (&["blocked"], |p| p.blocked.push(kept(TaskId(99), None))),
        (&["unplaced"], |p| p.unplaced[0].1 = "fits no node: taint on 4 nodes".to_string()),
        (&["unplaced"], |p| p.unplaced[0].1 = p.unplaced[0].1.replace("1 node", "2 nodes")),
        (&["unplaced"], |p| p.unplaced[0].1 = "room exists only by moving others: capacity cpu on 4 nodes".to_string()),
        (&["reason"], |p| p.waves[2][0].reason = Reason::Drain),
        (&["unknown"], |p| p.drain.push(NodeId(99))),
        (&["unexplored"], |p| p.unexplored.clear()),
        (&["unexplored"], |p| p.unexplored[0] = p.unexplored[0].replace("nothing", "all")),
        // How a search ended is said once, and no more moves are blocked than are listed.
        (&["unexplored"], |p| {
            p.unexplored
                .push(p.unexplored[0].replace("the search ended with its effort", "the time limit ended the search"));
        }),
        (&["unexplored"], |p| p.unexplored.push(p.unexplored[0].clone())),
        (&["unexplored"], |p| {
            let text = "of 1 of the 3 blocked moves not every order was tried, since so many hang together";
            p.unexplored.push(text.to_string());
        }),
        (&["status"], |p| p.status = Status::Infeasible),
        (&["status"], |p| p.blockers.push("spread".to_string())),
        // Nothing is broken at the end.
        (&["status"], |p| (p.status, p.blockers) = (Status::Infeasible, vec!["spread".to_string()])),
        // Every fault is listed, not the first.
        (&["bound", "fingerprint", "gain", "unplaced"], |p| {
            p.fingerprint.clear();
            p.waves[2][0].gain = i128::MIN;
            p.bound = Some(0);
            p.unplaced.clear();
        }),
        (&["capacity", "gain", "objective", "transient", "unplaced"], |p| _ = p.waves.remove(0)),
    ];
    for (i, (names, change)) in cases.iter().enumerate() {
        let mut wrong = plan.clone();
        change(&mut wrong);
        assert_eq!(named(&problem, &wrong), *names, "case {i}: {:?}", verify(&problem, &wrong).violations);
    }
}

/// The same plan in the points of a goal: right with it, and with every figure wrong that is a point off, or without it.
#[test]
fn a_plan_for_a_goal_holds_in_its_points_only() {
    let own = changed(chain);
    let problem = Goal::Balance.apply(&own);
    let plan = claim(&problem, &[&[("b", "n2")], &[("a", "n1")], &[("d", "n0")]]);
    assert_eq!(named(&problem, &plan), [""; 0]);
    assert!(score(&problem, &plan.reached(&problem)).variance > 0, "the term counts");
    let cases: &[(&[&str], Change)] = &[
        (&["goal"], |p| p.goal = None),
        (&["gain"], |p| p.waves[1][0].gain += i128::from(SHARE_ONE)),
        (&["objective"], |p| p.objective.0 += i128::from(SHARE_ONE)),
        (&["bound"], |p| p.bound = p.bound.map(|bound| bound - 1)),
    ];
    for (names, change) in cases {
        let mut wrong = plan.clone();
        change(&mut wrong);
        assert_eq!(named(&problem, &wrong), *names);
    }
    assert_eq!(named(&own, &plan), ["gain", "goal", "objective"], "counted in the snapshot's own points");
    // The verifier takes the weights, not what the model made of them.
    let mut other = problem.clone();
    other.resources[0].variance_weight -= 1 << 30;
    assert_eq!(
        named(&other, &plan),
        ["bound", "gain", "objective"],
        "cheaper than is claimed, so beyond the bound, too"
    );
}

#[test]
fn an_illegal_share_is_named() {
    let problem = changed(|_| ());
    let mut plan = claim(&problem, &[&[("a", "n1")]]);
    let half = Piece { share: Share::parse("1/2").unwrap(), ..Piece::whole(NodeId(1)) };
    plan.waves[0][0].to = Spot::On(half);
    assert!(named(&problem, &plan).contains(&"share"));
    plan.waves[0][0].to = Spot::Split(Box::new([Piece::whole(NodeId(2)), Piece::whole(NodeId(1))]));
    assert!(named(&problem, &plan).contains(&"share"));
}

#[test]
fn a_breach_says_where_and_by_how_much() {
    let problem = changed(|s| need(s, 0, 8, 1));
    let plan = claim(&problem, &[&[("a", "n1"), ("b", "n3")]]);
    let list: Vec<String> = verify(&problem, &plan).violations.iter().map(ToString::to_string).collect();
    assert_eq!(list, ["transient: wave 1: node n1, cpu: 12 held, at most 10"]);
}
