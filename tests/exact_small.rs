//! Is the exact solver exact? Equal to brute force on tiny clusters, to the figures of the fixtures, and never above its
//! own bound.

mod common;

use bayplan::control::Control;
use bayplan::model::*;
use bayplan::plan::Status;
use bayplan::{bulk, exact};
use common::fixtures::*;
use common::*;
use std::time::{Duration, Instant};

fn solve(problem: &Problem) -> exact::Outcome {
    exact::solve(problem, &problem.current, &Control::unlimited().with_time_limit(Duration::from_secs(5)))
}

fn excess(problem: &Problem, placement: &Placement) -> i128 {
    total_excess(&violations(problem, placement))
}

#[track_caller]
fn assert_honest(problem: &Problem, outcome: &exact::Outcome) {
    let before = violations(problem, &problem.current);
    assert_eq!(worsened(&before, &violations(problem, &outcome.placement)), [], "worse than the start");
    let objective = score(problem, &outcome.placement).objective();
    assert!(outcome.bound.is_none_or(|bound| bound >= objective), "{:?} < {objective}", outcome.bound);
}

#[test]
fn the_answer_is_that_of_brute_force() {
    let (mut optimal, mut all) = (0, 0);
    let tally = std::cell::RefCell::new((&mut optimal, &mut all));
    for_seeds("exact", 400, |seed, rng| {
        let problem = Problem::new(&random_snapshot(rng, Size::TINY, Kinds::RIGID)).unwrap();
        let Some((best, placement)) = brute_force(&problem) else { return };
        let outcome = solve(&problem);
        assert_honest(&problem, &outcome);
        let found = score(&problem, &outcome.placement).objective();
        let least = excess(&problem, &placement);
        assert!((-excess(&problem, &outcome.placement), found) <= (-least, best.objective()), "better than the best");
        if excess(&problem, &outcome.placement) == least {
            assert!(outcome.bound.is_none_or(|bound| bound >= best.objective()), "the bound is below the best");
        }
        *tally.borrow_mut().1 += 1;
        if outcome.status == Status::Optimal {
            *tally.borrow_mut().0 += 1;
            assert_eq!((excess(&problem, &outcome.placement), found), (least, best.objective()), "not optimal");
            assert_eq!(outcome.bound, Some(found));
        } else {
            eprintln!("seed {seed} is not proven: {:?}, bound {:?}, found {found}", outcome.status, outcome.bound);
        }
    });
    eprintln!("{optimal} of {all} proven optimal");
    assert!(optimal * 10 >= all * 8, "only {optimal} of {all} proven optimal");
}

#[test]
fn the_fixtures_come_out_to_the_digit() {
    for fixture in fixtures() {
        let problem = Problem::new(&fixture.snapshot).unwrap();
        let outcome = solve(&problem);
        assert_honest(&problem, &outcome);
        let found = (excess(&problem, &outcome.placement), score(&problem, &outcome.placement).objective());
        assert_eq!(found, (fixture.excess, fixture.objective), "{}", fixture.name);
        assert_eq!(outcome.status, Status::Optimal, "{}", fixture.name);
        assert_eq!(outcome.blockers.is_none(), fixture.excess == 0, "{}: {:?}", fixture.name, outcome.blockers);
    }
}

#[test]
fn google_a1_1_is_proven_optimal() {
    let Some(folder) = shared("google_a1_1_is_proven_optimal", "data/roadef") else { return };
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let snapshot = bayplan::adapter::roadef::import(&read("model_a1_1.txt"), &read("assignment_a1_1.txt")).unwrap();
    let problem = Problem::new(&snapshot).unwrap();
    let start = Instant::now();
    let outcome = solve(&problem);
    eprintln!("a1_1: {:?} in {:?}", outcome.status, start.elapsed());
    assert_eq!(score(&problem, &outcome.placement).objective(), scaled(-44_306_501, 1));
    assert_eq!((outcome.status, outcome.bound), (Status::Optimal, Some(scaled(-44_306_501, 1))));
}

/// A rule or cost, a cluster in which it decides, and the same cluster without it.
fn decisive() -> Vec<(&'static str, Snapshot, Snapshot)> {
    let of_fixture = |name: &'static str, change: &dyn Fn(&mut Snapshot)| {
        let with = fixtures().into_iter().find(|fixture| fixture.name == name).expect("a known fixture").snapshot;
        let mut without = with.clone();
        change(&mut without);
        (name, with, without)
    };
    // The cache fits only on n; with n in a rack of its own, the app cannot have one nearby.
    let apart = |name: &'static str, change: &dyn Fn(&mut Snapshot)| {
        let (name, mut with, _) = of_fixture(name, &|_| ());
        with.nodes[1].domains.insert("rack".to_string(), "own".to_string());
        let mut without = with.clone();
        change(&mut without);
        (name, with, without)
    };
    let of_two_nodes = |name: &'static str, change: &dyn Fn(&mut Snapshot)| {
        // The task is worth 9 and loads m with 5 points; n is free.
        let mut loaded = node("m", &[("cpu", 8)]);
        loaded.soft_limit = amounts(&[("cpu", 3)]);
        let without = {
            let mut snapshot =
                cluster(vec![loaded, node("n", &[("cpu", 8)])], vec![at(task("t", 9, &[("cpu", 8)]), "m")]);
            snapshot.resources[0].load_weight = 1;
            snapshot
        };
        let mut with = without.clone();
        change(&mut with);
        (name, with, without)
    };
    vec![
        of_fixture("knapsack", &|s| s.nodes[0].allocatable = amounts(&[("cpu", 11)])),
        of_two_nodes("balance", &|s| {
            let term = BalanceSpec { resource: "cpu".to_string(), other: "cpu".to_string(), target: 2, weight: 1 };
            s.objective.balance.push(term);
        }),
        of_fixture("load", &|s| s.resources[0].load_weight = 0),
        of_fixture("spread", &|s| s.groups[0].spread.clear()),
        apart("dependency", &|s| s.groups.iter_mut().for_each(|group| group.depends_on.clear())),
        of_fixture("gang", &|s| s.groups[0].gang = None),
        of_fixture("conflict", &|s| s.groups[0].conflict.clear()),
        of_fixture("devices", &|s| s.tasks.iter_mut().for_each(|task| task.device = None)),
        of_fixture("device_memory", &|s| s.tasks.iter_mut().flat_map(|t| &mut t.device).for_each(|d| d.memory = None)),
        of_fixture("move_costs", &|s| s.objective.node_move_weight = 0),
        of_fixture("no_eviction", &|s| s.tasks[0].evictable = true),
        of_fixture("simultaneous", &|s| s.moves.mode = MoveMode::Waves),
        of_fixture("repair", &|s| s.nodes[0].allocatable = amounts(&[("cpu", 6)])),
        of_two_nodes("pinned", &|s| s.tasks[0].pinned = true),
        of_two_nodes("cordon", &|s| s.nodes[1].cordoned = true),
        of_two_nodes("selector", &|s| {
            s.tasks[0].selector.insert("disk".to_string(), vec!["ssd".to_string()]);
        }),
        of_two_nodes("taint", &|s| s.nodes[1].taints.push(TaintSpec { key: "gpu".to_string(), value: String::new() })),
        of_two_nodes("move_budget", &|s| s.moves.max_moves = Some(0)),
        of_two_nodes("task_move", &|s| {
            (s.objective.task_move_weight, s.tasks[0].move_cost) = (2, 1);
        }),
        of_two_nodes("group_move", &|s| {
            s.groups.push(group("g"));
            s.tasks[0].group = Some("g".to_string());
            s.objective.group_move_weight = 3;
        }),
        of_two_nodes("price", &|s| (s.objective.price_weight, s.nodes[1].price) = (1, 4)),
    ]
}

#[test]
fn no_row_can_be_left_out() {
    for (name, with, without) in decisive() {
        let [with, without] = [with, without].map(|snapshot| {
            let problem = Problem::new(&snapshot).unwrap();
            let outcome = solve(&problem);
            assert_honest(&problem, &outcome);
            assert_eq!(outcome.status, Status::Optimal, "{name}");
            let (best, _) = brute_force(&problem).unwrap();
            assert_eq!(score(&problem, &outcome.placement).objective(), best.objective(), "{name}");
            best.objective()
        });
        assert!(with < without, "{name} decides nothing: {with} and {without}");
    }
}

#[test]
fn bulk_never_beats_the_bound() {
    let answered = std::cell::Cell::new(0);
    for_seeds("bound", 150, |seed, rng| {
        let problem = Problem::new(&random_snapshot(rng, Size::SMALL, Kinds::ALL)).unwrap();
        let control = Control::unlimited().with_time_limit(Duration::from_millis(300));
        let options = bulk::Options { seed, effort: Some(300), threads: 1, ..bulk::Options::default() };
        let found = bulk::solve(&problem, &options, &Control::unlimited()).placement;
        let outcome = exact::solve(&problem, &problem.current, &control);
        assert_honest(&problem, &outcome);
        let key = |placement: &Placement| (-excess(&problem, placement), score(&problem, placement).objective());
        let (bulk, own) = (key(&found), key(&outcome.placement));
        if let Some(bound) = outcome.bound.filter(|_| bulk.0 >= own.0) {
            assert!(bulk.1 <= bound, "bulk reached {bulk:?}, the bound is {bound}");
            answered.set(answered.get() + 1);
        }
        // A start from there keeps it.
        let outcome = exact::solve(&problem, &found, &control);
        assert!(key(&outcome.placement) >= bulk, "the incumbent got lost");
    });
    assert!(answered.get() > 75, "only {} bounds were compared", answered.get());
}

#[test]
fn names_and_order_do_not_matter() {
    for_seeds("renamed", 60, |_, rng| {
        let snapshot = random_snapshot(rng, Size::TINY, Kinds { costs: false, ..Kinds::RIGID });
        let other = renamed(rng, &snapshot);
        let [a, b] = [&snapshot, &other.snapshot].map(|snapshot| {
            let problem = Problem::new(snapshot).unwrap();
            let outcome = solve(&problem);
            (outcome.status == Status::Optimal, score(&problem, &outcome.placement).objective())
        });
        assert!(a == b || !(a.0 && b.0), "{a:?} and {b:?}");
    });
}

#[test]
fn two_hundred_tasks_have_a_bound_in_time() {
    let Some(problem) = two_hundred_tasks("two_hundred_tasks_have_a_bound_in_time") else { return };
    let start = Instant::now();
    let control = Control::unlimited().with_time_limit(Duration::from_secs(20));
    let outcome = exact::solve(&problem, &problem.current, &control);
    assert_honest(&problem, &outcome);
    eprintln!("200 x 20: {:?}, bound {:?} in {:?}", outcome.status, outcome.bound.map(scaled_text), start.elapsed());
    eprintln!("reached {}", scaled_text(score(&problem, &outcome.placement).objective()));
    assert_eq!(outcome.bound, Some(scaled(9485, 1)));
    assert!(start.elapsed() < Duration::from_secs(25), "{:?}", start.elapsed());
}

#[test]
fn a_time_limit_is_obeyed() {
    let Some(problem) = two_hundred_tasks("a_time_limit_is_obeyed") else { return };
    let start = Instant::now();
    let control = Control::unlimited().with_time_limit(Duration::from_millis(100));
    let outcome = exact::solve(&problem, &problem.current, &control);
    assert_honest(&problem, &outcome);
    assert_eq!(outcome.status, Status::Deadline);
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}
