//! Are moves that were under way honoured, and do tasks that restart hold no two places?

mod common;

use bayplan::control::Control;
use bayplan::file::{read_snapshot, write_snapshot};
use bayplan::model::*;
use bayplan::plan::{Plan, build, verify};
use common::fixtures::{amounts, at, group, in_group, node, resources, task};
use common::{Rng, for_seeds, meta};
use std::collections::BTreeSet;

/// Nodes of 10, on which `cpu` is held twice while a task moves; being on the first costs a point per unit of `mem`.
fn snapshot(node_count: usize, tasks: Vec<TaskSpec>) -> Snapshot {
    let host = |n: usize| {
        let mut host = node(&format!("n{n}"), &[("cpu", 10), ("mem", 100)]);
        if n == 0 {
            host.soft_limit = amounts(&[("cpu", 10), ("mem", 0)]);
        }
        host
    };
    let mut resources = resources(&["cpu", "mem"]);
    (resources[0].transient, resources[1].transient) = (true, false);
    (resources[0].load_weight, resources[1].load_weight) = (0, 1);
    Snapshot { resources, nodes: (0..node_count).map(host).collect(), tasks, ..Snapshot::default() }
}

fn sized(name: &str, cpu: i64, on: &str) -> TaskSpec {
    TaskSpec { evictable: false, ..at(task(name, 1, &[("cpu", cpu), ("mem", 5)]), on) }
}

fn on_the_way(spec: TaskSpec, to: &str) -> TaskSpec {
    TaskSpec { moving_to: vec![PieceSpec { node: to.to_string(), ..PieceSpec::default() }], ..spec }
}

fn problem(snapshot: &Snapshot) -> Problem {
    Problem::new(snapshot).unwrap_or_else(|faults| panic!("{faults}"))
}

fn target(problem: &Problem, nodes: &[usize]) -> Placement {
    assert_eq!(nodes.len(), problem.tasks.len());
    Placement::from_spots(nodes.iter().map(|n| Spot::On(Piece::whole(NodeId::new(*n)))).collect())
}

fn planned(problem: &Problem, nodes: &[usize]) -> Plan {
    let plan = build(problem, &target(problem, nodes), meta(), &Control::unlimited());
    let verdict = verify(problem, &plan);
    assert!(verdict.is_right(), "{:?}", verdict.violations);
    plan
}

fn named(problem: &Problem, plan: &Plan) -> Vec<&'static str> {
    let mut plan = plan.clone();
    plan.fingerprint = problem.fingerprint.clone();
    let names: BTreeSet<&str> = verify(problem, &plan).violations.iter().map(|breach| breach.rule).collect();
    names.into_iter().collect()
}

fn sizes(plan: &Plan) -> Vec<usize> {
    plan.waves.iter().map(Vec::len).collect()
}

/// `a` leaves n1 for n2, and holds both; `b` pays on n1, which only then has room.
#[test]
fn what_is_under_way_holds_both_places_for_the_first_wave() {
    let still = snapshot(3, vec![sized("a", 6, "n2"), sized("b", 6, "n0")]);
    let moving = snapshot(3, vec![on_the_way(sized("a", 6, "n1"), "n2"), sized("b", 6, "n0")]);
    let (still, moving) = (problem(&still), problem(&moving));
    let at_once = planned(&still, &[2, 1]);
    assert_eq!(sizes(&at_once), [1]);
    let plan = planned(&moving, &[2, 1]);
    assert_eq!(sizes(&plan), [0, 1], "the first wave waits for a");
    assert_eq!(named(&moving, &at_once), ["transient"]);
    // Where it goes is where it counts: no plan moves it, and a plan that does is refused.
    assert_eq!(moving.current.spot(TaskId(0)).node(), Some(NodeId(2)));
    let away = build(&still, &target(&still, &[1, 0]), meta(), &Control::unlimited());
    assert!(away.waves.is_empty(), "it does not pay");
    let mut away = plan.clone();
    away.waves[1][0].task = TaskId(0);
    assert!(named(&moving, &away).contains(&"under_way"));
    // Room on a third node needs no waiting.
    let wide = problem(&snapshot(4, vec![on_the_way(sized("a", 6, "n1"), "n2"), sized("b", 6, "n0")]));
    assert_eq!(sizes(&planned(&wide, &[2, 3])), [1]);
}

#[test]
fn what_is_under_way_counts_for_every_cap() {
    type Cap = (&'static str, fn(&mut Snapshot));
    let caps: [Cap; 6] = [
        ("max_in_flight", |s| s.moves.max_in_flight = Some(1)),
        ("max_per_node", |s| s.moves.max_per_node = Some(1)),
        ("max_from_node", |s| s.moves.max_from_node = Some(1)),
        ("max_to_node", |s| s.moves.max_to_node = Some(1)),
        ("max_amounts", |s| s.moves.max_amounts = amounts(&[("cpu", 3)])),
        ("max_unavailable", |s| {
            s.groups = vec![GroupSpec { max_unavailable: Some(1), ..group("g") }];
            s.tasks = std::mem::take(&mut s.tasks).into_iter().map(|task| in_group(task, "g")).collect();
        }),
    ];
    let mut plain = snapshot(2, vec![on_the_way(sized("a", 2, "n0"), "n1"), sized("b", 2, "n0")]);
    let free = planned(&problem(&plain), &[1, 1]);
    assert_eq!(sizes(&free), [1]);
    for (name, cap) in caps {
        let mut capped = plain.clone();
        cap(&mut capped);
        let capped = problem(&capped);
        assert_eq!(sizes(&planned(&capped, &[1, 1])), [0, 1], "{name}");
        assert_eq!(named(&capped, &free), [name]);
    }
    // What alone exceeds a cap is not the plan's doing, as long as it adds nothing.
    plain.moves.max_in_flight = Some(0);
    assert!(planned(&problem(&plain), &[1, 0]).waves.is_empty());
}

#[test]
fn a_journey_to_nowhere_new_is_a_fault() {
    let faulty = |spec: TaskSpec, mode: MoveMode| {
        let mut snapshot = snapshot(2, vec![spec]);
        snapshot.moves.mode = mode;
        Problem::new(&snapshot).expect_err("it is faulty").to_string()
    };
    let waiting = TaskSpec { placement: Vec::new(), ..sized("a", 1, "n0") };
    for text in [
        faulty(on_the_way(waiting, "n1"), MoveMode::Waves),
        faulty(on_the_way(sized("a", 1, "n0"), "n0"), MoveMode::Waves),
        faulty(on_the_way(sized("a", 1, "n0"), "n1"), MoveMode::Simultaneous),
    ] {
        assert!(text.contains("P305") && text.contains("tasks[0] a, moving_to"), "{text}");
    }
    let text = faulty(on_the_way(sized("a", 1, "n0"), "n7"), MoveMode::Waves);
    assert!(text.contains("P103") && text.contains("moving_to[0]"), "{text}");
    let mut told = snapshot(2, vec![on_the_way(sized("a", 1, "n0"), "n1")]);
    (told.tasks[0].restart, told.moves.restart_kinds) = (Some(false), vec![TaskKind::Job, TaskKind::Vm]);
    told.name = "told".to_string();
    assert_eq!(read_snapshot(&write_snapshot(&told)).unwrap(), told, "it comes back from a file");
}

/// Two full nodes exchange their tasks.
fn exchange() -> Snapshot {
    let mut snapshot = snapshot(2, vec![sized("a", 10, "n0"), sized("b", 10, "n1")]);
    snapshot.tasks[0].requirement.insert("mem".to_string(), 9);
    snapshot
}

#[test]
fn a_kind_that_restarts_needs_no_room_for_both() {
    let live = problem(&exchange());
    assert_eq!((planned(&live, &[1, 0]).waves.len(), live.tasks[0].restarts), (0, false));
    let mut by_kind = exchange();
    by_kind.moves.restart_kinds = vec![TaskKind::Container];
    let by_kind = problem(&by_kind);
    let plan = planned(&by_kind, &[1, 0]);
    assert_eq!(sizes(&plan), [2], "both stop, then both start");
    assert_eq!(named(&live, &plan), ["transient"]);
    // One task says otherwise for itself: it has no room while the other is there, which leaves only when that has stopped.
    let mut one = exchange();
    one.moves.restart_kinds = vec![TaskKind::Container];
    one.tasks[0].restart = Some(false);
    let one = problem(&one);
    assert_eq!([one.tasks[0].restarts, one.tasks[1].restarts], [false, true]);
    assert!(planned(&one, &[1, 0]).waves.is_empty());
    assert_eq!(named(&one, &plan), ["transient"]);
}

/// On n1 one leaves live, one arrives live and one arrives by a restart: after the wave there is room for both, during it not.
#[test]
fn a_restart_takes_no_room_from_what_arrives() {
    let tasks = vec![sized("leaves", 4, "n1"), sized("live", 4, "n0"), sized("again", 4, "n0")];
    let mut snapshot = snapshot(3, tasks);
    snapshot.tasks[2].restart = Some(true);
    let mixed = problem(&snapshot);
    assert_eq!(planned(&mixed, &[2, 1, 1]).waves.len(), 2);
    snapshot.tasks[1].restart = Some(true);
    let both = problem(&snapshot);
    let at_once = planned(&both, &[2, 1, 1]);
    assert_eq!(sizes(&at_once), [3]);
    assert_eq!(named(&mixed, &at_once), ["transient"]);
}

#[test]
fn a_restart_is_unavailable_meanwhile() {
    // Three tasks in two racks, and the only one in rack b is to move within reach of the same rack.
    let spread = |restart: bool| {
        let mut snapshot = snapshot(4, vec![sized("a", 1, "n1"), sized("b", 1, "n1"), sized("c", 1, "n0")]);
        snapshot.levels = vec!["rack".to_string()];
        for (n, rack) in ["b", "a", "c", "c"].iter().enumerate() {
            snapshot.nodes[n].domains.insert("rack".to_string(), rack.to_string());
        }
        let spread = vec![SpreadSpec { level: "rack".to_string(), min: 2 }];
        snapshot.groups = vec![GroupSpec { spread, ..group("g") }];
        snapshot.tasks = snapshot.tasks.into_iter().map(|task| in_group(task, "g")).collect();
        snapshot.tasks[2].restart = Some(restart);
        problem(&snapshot)
    };
    let live = planned(&spread(false), &[1, 1, 2]);
    assert_eq!(sizes(&live), [1], "it is in one of the two racks all the time");
    assert!(planned(&spread(true), &[1, 1, 2]).waves.is_empty(), "meanwhile all that runs is in rack a");
    assert_eq!(named(&spread(true), &live), ["spread"]);
}

/// Small clusters with everything at once: journeys, restarts, groups, odd caps.
fn odd(rng: &mut Rng) -> Snapshot {
    let node_count = 2 + rng.below(5);
    let mut tasks = Vec::new();
    let mut left = vec![10i64; node_count];
    for t in 0..2 + rng.below(10) {
        let n = rng.below(node_count);
        let cpu = rng.range(1, 6).min(left[n]);
        if cpu == 0 {
            continue;
        }
        left[n] -= cpu;
        let mut spec = sized(&format!("t{t}"), cpu, &format!("n{n}"));
        spec.kind = *rng.pick(&[TaskKind::Vm, TaskKind::Container, TaskKind::Job]);
        spec.evictable = rng.chance(20);
        spec.restart = *rng.pick(&[None, None, Some(true), Some(false)]);
        let to = rng.below(node_count);
        if rng.chance(25) && to != n && left[to] >= cpu {
            left[to] -= cpu;
            spec = on_the_way(spec, &format!("n{to}"));
        }
        tasks.push(if rng.chance(40) { in_group(spec, ["g", "h"][rng.below(2)]) } else { spec });
    }
    let mut snapshot = snapshot(node_count, tasks);
    snapshot.levels = vec!["rack".to_string()];
    for (n, host) in snapshot.nodes.iter_mut().enumerate() {
        host.domains.insert("rack".to_string(), format!("r{}", n % 3));
        host.soft_limit = amounts(&[("cpu", 10), ("mem", rng.range(0, 20))]);
    }
    let level = || ["node", "rack"][0].to_string();
    let mut rules = [group("g"), group("h")];
    for spec in &mut rules {
        spec.max_unavailable = *rng.pick(&[None, None, Some(1), Some(u32::MAX)]);
        if rng.chance(20) {
            spec.conflict = vec![level()];
        }
        if rng.chance(20) {
            spec.spread = vec![SpreadSpec { level: "rack".to_string(), min: rng.range(1, 3) as u32 }];
        }
    }
    if rng.chance(20) {
        rules[0].depends_on = vec![DependencySpec { group: "h".to_string(), level: "rack".to_string() }];
    }
    snapshot.groups = rules.to_vec();
    snapshot.moves.restart_kinds = rng.pick(&[vec![], vec![TaskKind::Job], vec![TaskKind::Container]]).clone();
    let cap = |rng: &mut Rng| *rng.pick(&[None, None, None, Some(0), Some(1), Some(2), Some(u32::MAX)]);
    let moves = &mut snapshot.moves;
    (moves.max_in_flight, moves.max_per_node) = (cap(rng), cap(rng));
    (moves.max_from_node, moves.max_to_node, moves.max_moves) = (cap(rng), cap(rng), cap(rng));
    if rng.chance(20) {
        moves.max_per_domain = [("rack".to_string(), rng.range(0, 2) as u32)].into_iter().collect();
    }
    if rng.chance(20) {
        moves.max_amounts = amounts(&[("cpu", *rng.pick(&[0, 1, 5, 1 << 40]))]);
    }
    snapshot
}

#[test]
fn whatever_is_under_way_every_plan_is_accepted() {
    let seen = std::cell::Cell::new([0usize; 3]);
    for_seeds("under way", 6000, |_, rng| {
        let problem = problem(&odd(rng));
        let mut wanted = problem.current.clone();
        for task in problem.task_ids().filter(|task| !problem.tasks[task.index()].pinned) {
            if rng.chance(50) {
                wanted.set(task, Spot::On(Piece::whole(NodeId::new(rng.below(problem.nodes.len())))));
            }
        }
        let start = violations(&problem, &problem.current);
        let plan = build(&problem, &wanted, meta(), &Control::unlimited());
        let verdict = verify(&problem, &plan);
        assert!(verdict.is_right(), "{:?}", verdict.violations);
        for state in plan.states(&problem) {
            assert_eq!(worsened(&start, &violations(&problem, &state)), []);
        }
        let [moved, waited, restarted] = seen.get();
        let is_empty = plan.waves.first().is_some_and(Vec::is_empty);
        let restarts = plan.moves().filter(|step| problem.tasks[step.task.index()].restarts).count();
        seen.set([moved + plan.moves().count(), waited + usize::from(is_empty), restarted + restarts]);
    });
    eprintln!("{:?} moves, empty first waves, restarts", seen.get());
    let replayed = std::env::var_os("BAYPLAN_TEST_SEED").is_some();
    assert!(replayed || seen.get().iter().all(|count| *count > 50), "{:?}", seen.get());
}
