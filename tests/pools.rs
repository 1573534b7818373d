//! Do pools keep their word? Regions, kinds, prices, egress and risk counted by hand; what burst guarantees, against every placement.

mod common;

use bayplan::control::Control;
use bayplan::model::*;
use bayplan::plan::{self, Reason, Status};
use bayplan::{bulk, exact, file};
use common::command::{run, written};
use common::fixtures::*;
use common::*;
use std::cell::Cell;
use tempfile::TempDir;

fn problem(snapshot: &Snapshot) -> Problem {
    Problem::new(snapshot).unwrap_or_else(|faults| panic!("{faults}"))
}

fn hybrid() -> Snapshot {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/data/hybrid.json");
    file::read_snapshot(&std::fs::read(path).unwrap()).unwrap()
}

fn task_named(problem: &Problem, name: &str) -> TaskId {
    TaskId::new(problem.tasks.iter().position(|task| task.name == name).expect("the task exists"))
}

fn node_named(problem: &Problem, name: &str) -> NodeId {
    NodeId::new(problem.nodes.iter().position(|node| node.name == name).expect("the node exists"))
}

fn admitted(problem: &Problem, task: &str) -> Vec<String> {
    let may = |node: &NodeId| newcomer_forbidden(problem, task_named(problem, task), *node).is_none();
    problem.node_ids().filter(may).map(|node| problem.nodes[node.index()].name.clone()).collect()
}

#[test]
fn tasks_run_where_their_kind_and_their_regions_allow() {
    let mut snapshot = hybrid();
    snapshot.tasks[3].kind = TaskKind::Vm;
    snapshot.tasks[3].regions = vec!["us".to_string(), "eu".to_string()];
    let problem = problem(&snapshot);
    // A job may run anywhere; a container of the eu not overseas; a virtual machine of both regions not on spot nodes.
    assert_eq!(admitted(&problem, "batch-1"), ["site-1", "site-2", "cloud-1", "spot-1"]);
    assert_eq!(admitted(&problem, "web-2"), ["site-1", "site-2", "cloud-1"]);
    assert_eq!(admitted(&problem, "web-1"), ["site-1", "site-2", "cloud-1"]);
    let mut elsewhere = problem.current.clone();
    elsewhere.set(task_named(&problem, "web-2"), Spot::On(Piece::whole(node_named(&problem, "spot-1"))));
    let broken = violations(&problem, &elsewhere);
    assert_eq!(broken.iter().map(|v| v.rule).collect::<Vec<_>>(), [Rule::Selector]);
}

/// How burst and spot pools count is no resource of the snapshot, and nobody is told of it as if it were.
#[test]
fn what_pools_count_by_is_told_to_nobody() {
    let folder = TempDir::new().unwrap();
    let mut snapshot = hybrid();
    let stretches = snapshot.tasks.iter_mut().find(|task| task.device.is_none()).unwrap();
    (stretches.sharing, stretches.min_share) = (SharingSpec::Elastic, Some("1/2".to_string()));
    let resources: Vec<String> = problem(&snapshot).resources.iter().map(|resource| resource.name.clone()).collect();
    let meters = &resources[snapshot.resources.len()..];
    assert_eq!(meters.len(), 2, "one for burst, one for spot: {meters:?}");
    let path = written(&folder, "s.json", file::write_snapshot(&snapshot));
    let plan = folder.path().join("p.json").display().to_string();
    assert_eq!(run(&["plan", &path, "--effort", "100", "-o", &plan]).0, 0);
    let (code, page, _) = run(&["report", &path, &plan, "--time-limit", "1s", "-o", "-"]);
    assert_eq!(code, 0);
    let plan = std::fs::read_to_string(plan).unwrap();
    assert!(plan.contains("\"share\"") && page.contains("Heat map"));
    for meter in meters {
        assert!(!plan.contains(meter.as_str()) && !page.contains(meter.as_str()), "{meter} is told");
    }
}

#[test]
fn a_node_without_a_pool_runs_every_kind_and_is_in_no_region() {
    let mut snapshot = hybrid();
    snapshot.nodes[1].pool = None;
    let problem = problem(&snapshot);
    assert_eq!(admitted(&problem, "batch-1"), ["site-1", "site-2", "cloud-1", "spot-1"]);
    assert_eq!(admitted(&problem, "audit"), ["site-1", "cloud-1"]);
}

#[test]
fn prices_egress_and_risk_come_out_as_by_hand() {
    let mut snapshot = hybrid();
    snapshot.pools[1].burst = false;
    snapshot.nodes[0].price = 7;
    snapshot.nodes[3].move_class = Some("far".to_string());
    let between = vec![(String::new(), "far".to_string(), 3)];
    snapshot.objective.move_costs = Some(MoveCostsSpec { default: 1, between });
    let problem = problem(&snapshot);
    assert_eq!(problem.value_scale, 1);
    let mut placement = problem.current.clone();
    let to = |name: &str| Spot::On(Piece::whole(node_named(&problem, name)));
    // From site to spot 40 and 3 for the classes; from cloud to site 20 and 1; from site to site 1.
    placement.set(task_named(&problem, "batch-1"), to("spot-1"));
    placement.set(task_named(&problem, "web-1"), to("site-1"));
    placement.set(task_named(&problem, "batch-2"), to("site-1"));
    placement.set(task_named(&problem, "batch-3"), to("spot-1"));
    let score = score(&problem, &placement);
    assert_eq!(score.node_move, scaled(43 + 21 + 1, 1));
    // site-1 costs 7, cloud-1 its pool's 30, spot-1 its pool's 5; site-2 nothing.
    assert_eq!(score.price, scaled(42, 1));
    // Two jobs of weight 50, a tenth each.
    assert_eq!(score.load, scaled(10, 1));
    assert_eq!(plan::recount(&problem, &placement).1, Some(score));
}

#[test]
fn a_points_worth_of_risk_is_rounded_up() {
    let mut snapshot = hybrid();
    snapshot.pools[1].burst = false;
    snapshot.tasks.iter_mut().for_each(|task| task.weight = 11);
    snapshot.tasks[8].placement = vec![PieceSpec { node: "spot-1".to_string(), ..PieceSpec::default() }];
    let problem = problem(&snapshot);
    assert_eq!(score(&problem, &problem.current).load, scaled(2, 1));
}

/// Tasks in burst pools, by the names of the snapshot.
fn in_burst(snapshot: &Snapshot, placement: &Placement) -> usize {
    let is_burst = |spot: &&Spot| {
        let pool = spot.node().and_then(|node| snapshot.nodes[node.index()].pool.as_ref());
        snapshot.pools.iter().any(|spec| spec.burst && Some(&spec.name) == pool)
    };
    placement.spots().iter().filter(is_burst).count()
}

/// The value by the weights of the snapshot.
fn value(snapshot: &Snapshot, placement: &Placement) -> i64 {
    let running = snapshot.tasks.iter().zip(placement.spots()).filter(|(_, spot)| spot.is_placed());
    running.map(|(task, _)| task.weight).sum()
}

/// What is wrong with a placement that is said to be the best, of all that there are; empty when nothing is.
fn objections(snapshot: &Snapshot, best: &Placement, all: &[(Score, Placement)]) -> Vec<String> {
    let mut found = Vec::new();
    let (worth, burst) = (value(snapshot, best), in_burst(snapshot, best));
    for (_, other) in all {
        if value(snapshot, other) >= worth && in_burst(snapshot, other) < burst {
            found.push(format!("{} instead of {burst} in burst pools would do", in_burst(snapshot, other)));
        }
        let changed: Vec<usize> = (0..best.len()).filter(|t| best.spots()[*t] != other.spots()[*t]).collect();
        if let [t] = changed[..]
            && !best.spots()[t].is_placed()
            && snapshot.tasks[t].weight > 0
        {
            found.push(format!("task {t} waits, and could run as things stand"));
        }
    }
    found
}

#[test]
fn burst_pools_are_used_only_when_the_others_are_full() {
    let cases = Cell::new([0; 4]);
    for_seeds("burst", 600, |_, rng| {
        let mut snapshot = random_snapshot(rng, Size::TINY, Kinds::RIGID);
        snapshot.objective.fragmentation = None;
        snapshot.resources.iter_mut().for_each(|resource| resource.variance_weight = 0);
        let Ok(problem) = Problem::new(&snapshot) else { panic!("random snapshots are right") };
        if !snapshot.pools.iter().any(|pool| pool.burst) {
            return;
        }
        let (Some((_, best)), Some(all)) = (brute_force(&problem), all_best_repaired(&problem)) else { return };
        let wrong = objections(&snapshot, &best, &all);
        assert!(wrong.is_empty(), "{wrong:?}");
        let outcome = exact::solve(&problem, &problem.current, &Control::unlimited());
        let mut counts = cases.get();
        if outcome.status == Status::Optimal && outcome.blockers.is_none() {
            let objections = objections(&snapshot, &outcome.placement, &all);
            assert!(objections.is_empty(), "{objections:?}");
            counts[1] += 1;
        }
        let options = bulk::Options { effort: Some(2000), threads: 1, ..bulk::Options::default() };
        let searched = bulk::solve(&problem, &options, &Control::unlimited()).placement;
        // The guarantee is one of the best placement: where the search stops short of it, it may burst once too often.
        counts[3] += usize::from(!objections(&snapshot, &searched, &all).is_empty());
        counts[0] += 1;
        counts[2] += usize::from(in_burst(&snapshot, &best) > 0);
        cases.set(counts);
    });
    let [all, exact, used, missed] = cases.get();
    eprintln!(
        "{all} clusters with a burst pool, {exact} by the exact solver, {used} where it is used; missed by search: {missed}"
    );
    assert!(missed * 50 <= all, "the search misses the guarantee in {missed} of {all}");
    if std::env::var_os("BAYPLAN_TEST_SEED").is_none() {
        assert!(all >= 40 && exact >= 20 && used >= 5, "{:?}", cases.get());
    }
}

/// The same with a goal: what a burst pool is for does not change with what is planned for.
#[test]
fn burst_pools_are_the_last_under_every_goal() {
    let count = Cell::new(0);
    for_seeds("burst", 300, |_, rng| {
        let mut snapshot = random_snapshot(rng, Size::TINY, Kinds::RIGID);
        snapshot.tasks.iter_mut().for_each(|task| task.weight = task.weight.max(1));
        let Ok(problem) = Problem::new(&snapshot) else { return };
        if !snapshot.pools.iter().any(|pool| pool.burst) || !violations(&problem, &problem.current).is_empty() {
            return;
        }
        let Some(all) = all_best_repaired(&problem) else { return };
        for (word, goal) in Goal::WORDS {
            let Some((_, best)) = brute_force(&goal.apply(&problem)) else { continue };
            let wrong = objections(&snapshot, &best, &all);
            assert!(wrong.is_empty(), "{word}: {wrong:?}");
            count.set(count.get() + 1);
        }
    });
    assert!(count.get() >= 30 || std::env::var_os("BAYPLAN_TEST_SEED").is_some(), "{count:?}");
}

/// Two tasks wait, the site has room: none of them goes to the cloud, and what is there comes back.
#[test]
fn jobs_that_are_placed_leave_the_cloud_alone() {
    let home = |task: TaskSpec| TaskSpec { weight: 5, ..task };
    let mut snapshot = cluster(
        vec![node("c1", &[("cpu", 100)]), node("s1", &[("cpu", 100)])],
        vec![
            home(at(task("a", 1, &[("cpu", 1)]), "c1")),
            home(task("w1", 1, &[("cpu", 1)])),
            home(task("w2", 1, &[("cpu", 1)])),
        ],
    );
    snapshot.resources = resources(&["cpu"]);
    for (node, pool) in snapshot.nodes.iter_mut().zip(["cloud", "site"]) {
        node.pool = Some(pool.to_string());
    }
    snapshot.pools = vec![
        PoolSpec { name: "cloud".to_string(), burst: true, price: 10, ..PoolSpec::default() },
        PoolSpec { name: "site".to_string(), ..PoolSpec::default() },
    ];
    for (word, goal) in Goal::WORDS {
        let problem = goal.apply(&problem(&snapshot));
        let options = bulk::Options { effort: Some(2000), threads: 1, ..bulk::Options::default() };
        for found in [
            bulk::solve(&problem, &options, &Control::unlimited()).placement,
            exact::solve(&problem, &problem.current, &Control::unlimited()).placement,
        ] {
            assert!(found.spots().iter().all(|spot| spot.is_on(NodeId(1))), "{word}: {found:?}");
        }
    }
}

#[test]
fn the_check_of_burst_objects() {
    let snapshot = hybrid();
    let problem = problem(&snapshot);
    let worse = problem.current.clone();
    let mut better = worse.clone();
    better.set(task_named(&problem, "web-1"), Spot::On(Piece::whole(node_named(&problem, "site-1"))));
    let all = [worse.clone(), better].map(|placement| (score(&problem, &placement), placement));
    assert_eq!(objections(&snapshot, &worse, &all), ["1 instead of 2 in burst pools would do"]);
    let mut more = worse.clone();
    more.set(task_named(&problem, "audit"), Spot::On(Piece::whole(node_named(&problem, "cloud-1"))));
    let all = [worse.clone(), more].map(|placement| (score(&problem, &placement), placement));
    assert_eq!(objections(&snapshot, &worse, &all), ["task 2 waits, and could run as things stand"]);
}

#[test]
fn the_hybrid_example_bursts_once_and_everything_runs() {
    let snapshot = hybrid();
    let problem = problem(&snapshot);
    let outcome = exact::solve(&problem, &problem.current, &Control::unlimited());
    assert_eq!(outcome.status, Status::Optimal);
    let options = bulk::Options { effort: Some(2000), threads: 1, ..bulk::Options::default() };
    let searched = bulk::solve(&problem, &options, &Control::unlimited()).placement;
    for placement in [&outcome.placement, &searched] {
        // 34,000 milli belong to the eu, the site has 32,000: one task must burst, and one is enough. The jobs go overseas.
        assert_eq!(in_burst(&snapshot, placement), 1);
        assert!(placement.spots().iter().all(Spot::is_placed));
        assert_eq!(score(&problem, placement).objective(), score(&problem, &outcome.placement).objective());
    }
}

/// A plan for the hybrid example, with one move sent elsewhere.
fn spoilt(problem: &Problem, plan: &plan::Plan, task: &str, to: &str) -> plan::Plan {
    let mut plan = plan.clone();
    let id = task_named(problem, task);
    let step = plan.waves.iter_mut().flatten().find(|step| step.task == id).expect("the task is in the plan");
    step.to = Spot::On(Piece::whole(node_named(problem, to)));
    plan
}

#[test]
fn plans_into_the_wrong_pool_are_refused() {
    let mut snapshot = hybrid();
    // Room overseas, so that nothing but the pool stands in the way.
    snapshot.nodes[3].allocatable = amounts(&[("cpu", 100_000), ("memory", 1_000_000)]);
    let problem = problem(&snapshot);
    let outcome = exact::solve(&problem, &problem.current, &Control::unlimited());
    let plan = plan::build(&problem, &outcome.placement, meta(), &Control::unlimited());
    let verdict = plan::verify(&problem, &plan);
    assert!(verdict.is_right(), "{:?}", verdict.violations);
    for task in ["audit", "web-3"] {
        let verdict = plan::verify(&problem, &spoilt(&problem, &plan, task, "spot-1"));
        assert!(verdict.violations.iter().any(|breach| breach.rule == "selector"), "{:?}", verdict.violations);
    }
    // A kind alone, then a region alone, is enough.
    let mut moved = snapshot.clone();
    moved.tasks[2].regions.clear();
    refuses(&moved, "audit");
    let mut moved = snapshot.clone();
    moved.pools[2].kinds.clear();
    refuses(&moved, "web-3");
    // The verifier goes by the pool, not by the labels that the search goes by.
    let mut blind = problem.clone();
    blind.tasks.iter_mut().for_each(|task| task.selector.clear());
    let verdict = plan::verify(&blind, &spoilt(&problem, &plan, "audit", "spot-1"));
    assert!(verdict.violations.iter().any(|breach| breach.rule == "selector"), "{:?}", verdict.violations);
}

fn refuses(snapshot: &Snapshot, task: &str) {
    let problem = problem(snapshot);
    let id = task_named(&problem, task);
    let mut target = problem.current.clone();
    target.set(id, Spot::On(Piece::whole(node_named(&problem, "cloud-1"))));
    let plan = plan::build(&problem, &target, meta(), &Control::unlimited());
    assert!(plan.waves.iter().flatten().all(|step| step.reason == Reason::Admit));
    assert!(plan::verify(&problem, &plan).is_right());
    let verdict = plan::verify(&problem, &spoilt(&problem, &plan, task, "spot-1"));
    assert!(verdict.violations.iter().any(|breach| breach.rule == "selector"), "{:?}", verdict.violations);
}

#[test]
fn a_goal_counts_in_the_weights_of_the_snapshot() {
    let problem = problem(&hybrid());
    assert!(problem.value_scale > 1);
    for (word, goal) in Goal::WORDS {
        let with_goal = goal.apply(&problem);
        for (task, spec) in with_goal.tasks.iter().zip(&hybrid().tasks) {
            assert_eq!(task.weight, spec.weight * with_goal.value_scale, "{word}");
        }
        let meters = || with_goal.resources.iter().filter(|r| r.meter.is_some());
        assert!(meters().all(|r| r.load_weight > 0), "{word}");
        let burst = meters().find(|r| r.meter == Some(Meter::Burst)).unwrap();
        assert!(meters().all(|r| r.load_weight <= burst.load_weight), "{word}");
        assert!(burst.load_weight < with_goal.value_scale, "{word}: running a task there is worth it");
    }
}
