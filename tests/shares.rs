//! Is a node shared out as well as can be? Elastic tasks on one node against the exact solver and against every share on a grid.

mod common;

use bayplan::bulk::{self, Options};
use bayplan::control::Control;
use bayplan::exact;
use bayplan::model::*;
use bayplan::plan::{self, Status};
use common::*;
use std::cell::Cell;

#[derive(Clone, Copy, PartialEq)]
enum Costs {
    None,
    Load,
    Balance,
    Variance,
}

/// One node with 1 to 5 elastic tasks on it, each at its least share, and sometimes a rigid one beside them.
fn shared_node(rng: &mut Rng, costs: Costs, task_max: usize) -> Snapshot {
    let names = ["cpu", "mem", "net"];
    let width = 1 + rng.below(3);
    let large = if rng.chance(15) { *rng.pick(&[1_000, 1 << 20, 1 << 31]) } else { 1 };
    let mut tasks = Vec::new();
    for t in 0..1 + rng.below(task_max) {
        let mut own = task(&format!("t{t}"), rng.range(0, 30), &[]);
        (own.sharing, own.min_share) =
            (SharingSpec::Elastic, Some(rng.pick(&["1/4", "1/2", "1", "1/7", "3/17", "1/100"]).to_string()));
        for name in &names[..width] {
            if rng.chance(85) {
                own.requirement.insert(name.to_string(), rng.range(1, 40) * large);
            }
        }
        // It stays: whether it is worth its least share is another question.
        own.evictable = false;
        let share = own.min_share.clone();
        tasks
            .push(TaskSpec { placement: vec![PieceSpec { node: "n".to_string(), share, devices: Vec::new() }], ..own });
    }
    if rng.chance(30) {
        tasks.push(TaskSpec { evictable: false, ..at(task("rigid", 5, &[("cpu", 3)]), "n") });
    }
    let mut machine = node("n", &[]);
    for name in &names[..width] {
        let amounts = tasks.iter().map(|task| {
            let parts = task.min_share.as_deref().map_or(SHARE_ONE, |share| Share::parse(share).unwrap().parts());
            let all = task.requirement.get(*name).copied().unwrap_or(0);
            (all, (i128::from(all) * i128::from(parts) / i128::from(SHARE_ONE)) as i64 + 1)
        });
        let (all, least) = amounts.fold((0, 0), |(all, least), own| (all + own.0, least + own.1));
        let room =
            if rng.chance(75) { least + (all - least).max(0) * rng.range(0, 100) / 100 } else { all + 7 * large };
        machine.allocatable.insert(name.to_string(), room);
        if matches!(costs, Costs::Load | Costs::Balance) {
            machine.soft_limit.insert(name.to_string(), room * rng.range(0, 4) / 4);
        }
    }
    let mut snapshot = cluster(vec![machine], tasks);
    snapshot.resources = resources(&names[..width]);
    for resource in &mut snapshot.resources {
        match costs {
            Costs::Load if rng.chance(70) => resource.load_weight = rng.range(0, 3),
            Costs::Balance if rng.chance(30) => resource.load_weight = rng.range(0, 2),
            Costs::Variance => resource.variance_weight = *rng.pick(&[0, 7, 50, 1_000, 1 << 20, AMOUNT_MAX]),
            _ => {}
        }
    }
    if costs == Costs::Balance {
        for _ in 0..1 + rng.below(2) {
            let (resource, other) = (names[rng.below(width)].to_string(), names[rng.below(width)].to_string());
            let balance = BalanceSpec { resource, other, target: rng.range(0, 3), weight: rng.range(0, 3) };
            snapshot.objective.balance.push(balance);
        }
    }
    snapshot
}

/// What one part of every elastic task is worth, and costs.
fn one_part_each(problem: &Problem) -> i128 {
    let worth = |task: TaskId| {
        let needs = problem.requirement(task).iter().zip(&problem.resources);
        let load: i128 = needs.map(|(amount, resource)| i128::from(*amount) * i128::from(resource.load_weight)).sum();
        let balance = problem.objective.balance.iter().map(|term| {
            let amount = |r: ResourceId| i128::from(problem.requirement(task)[r.index()]);
            i128::from(term.weight) * (i128::from(term.target) * amount(term.resource) + amount(term.other))
        });
        i128::from(problem.tasks[task.index()].weight) + load + balance.sum::<i128>()
    };
    problem.task_ids().filter(|task| problem.tasks[task.index()].sharing != Sharing::Rigid).map(worth).sum()
}

fn filled(problem: &Problem) -> Placement {
    let options = Options { effort: Some(20), threads: 1, ..Options::default() };
    bulk::solve(problem, &options, &Control::unlimited()).placement
}

fn points(problem: &Problem, placement: &Placement) -> i128 {
    assert_eq!(violations(problem, placement), []);
    score(problem, placement).objective()
}

/// Value, load and balance: as good as the proven best, to one part of each task.
#[test]
fn a_node_is_shared_out_as_the_exact_solver_does() {
    let proven = Cell::new(0);
    for costs in [Costs::None, Costs::Load, Costs::Balance] {
        for_seeds("exact shares", 150, |_, rng| {
            let problem = Problem::new(&shared_node(rng, costs, 5)).unwrap();
            let found = points(&problem, &filled(&problem));
            let best = exact::solve(&problem, &problem.current, &Control::unlimited());
            if best.status == Status::Optimal {
                let gap = best.bound.expect("optimal has a bound") - found;
                assert!(gap <= one_part_each(&problem), "{gap} scaled points are left of {found}");
                proven.set(proven.get() + 1);
            }
        });
    }
    if std::env::var_os("BAYPLAN_TEST_SEED").is_none() {
        assert!(proven.get() >= 350, "{} proven", proven.get());
    }
}

/// Every cost, variance too: no shares on a grid are better, but for one part of each task and half a level of each resource's variance
/// on either side.
#[test]
fn no_shares_on_a_grid_are_better() {
    let steps = 12;
    for costs in [Costs::None, Costs::Load, Costs::Balance, Costs::Variance] {
        for_seeds("grid", 150, |_, rng| {
            let problem = Problem::new(&shared_node(rng, costs, 3)).unwrap();
            let placement = filled(&problem);
            let found = points(&problem, &placement);
            let elastic: Vec<(TaskId, u32)> = (problem.task_ids())
                .filter_map(|task| match problem.tasks[task.index()].sharing {
                    Sharing::Elastic { min } => Some((task, min.parts())),
                    _ => None,
                })
                .collect();
            let levels = |placement: &Placement| -> i128 {
                let usage = Usage::of(&problem, placement);
                let terms = problem.objective.variance.iter().map(|term| {
                    let r = term.resource;
                    let points = term.points(problem.allocatable(NodeId(0))[r.index()], usage.amount(NodeId(0), r));
                    points.isqrt() + 1
                });
                terms.sum::<i128>() * i128::from(SHARE_ONE)
            };
            let mut worst = 0;
            for index in 0..(steps + 1_usize).pow(elastic.len() as u32) {
                let mut other = placement.clone();
                let mut rest = index;
                for (task, least) in &elastic {
                    let parts = least + (SHARE_ONE - least) / steps as u32 * (rest % (steps + 1)) as u32;
                    rest /= steps + 1;
                    let share = Share::from_parts(parts).unwrap();
                    other.set(*task, Spot::On(Piece { node: NodeId(0), share, devices: 0 }));
                }
                if violations(&problem, &other).is_empty() {
                    let more = score(&problem, &other).objective() - found;
                    let may = one_part_each(&problem) + levels(&placement) + levels(&other);
                    assert!(more <= may, "{more} more than {found}, {may} may be lost to rounding: {other:?}");
                    worst = worst.max(more);
                }
            }
            if costs == Costs::Variance && worst > 0 {
                eprintln!("{} points are lost to whole levels, of {}", scaled_text(worst), scaled_text(found));
            }
        });
    }
}

/// Two tasks that need a lot of one resource each, and one that needs a lot of both. The densest by its scarcest resource is the third;
/// the first two together are worth more. One after the other finds 70 of 120.
#[test]
fn two_tasks_together_may_be_worth_more_than_the_densest() {
    let elastic = |name: &str, weight, cpu, mem| TaskSpec {
        sharing: SharingSpec::Elastic,
        min_share: Some("1/1000".to_string()),
        placement: vec![PieceSpec { node: "n".to_string(), share: Some("1/1000".to_string()), devices: Vec::new() }],
        ..task(name, weight, &[("cpu", cpu), ("mem", mem)])
    };
    let tasks = vec![elastic("both", 70, 1000, 1000), elastic("cpu", 60, 1000, 1), elastic("mem", 60, 1, 1000)];
    let mut snapshot = cluster(vec![node("n", &[("cpu", 1004), ("mem", 1004)])], tasks);
    snapshot.resources = resources(&["cpu", "mem"]);
    let problem = Problem::new(&snapshot).unwrap();
    let placement = filled(&problem);
    let shares: Vec<u32> = problem.task_ids().map(|task| placement.spot(task).total_parts() as u32).collect();
    assert!(shares[0] < SHARE_ONE / 100 && shares[1] == SHARE_ONE && shares[2] == SHARE_ONE, "{shares:?}");
    let plan = plan::build(&problem, &placement, meta(), &Control::unlimited());
    assert!(plan::verify(&problem, &plan).is_right());
}

/// A file says what each elastic task is granted of every resource, also of those that stay as they are, and is refused when it lies.
#[test]
fn a_plan_says_what_is_granted() {
    let elastic = |name: &str, weight, share: &str| TaskSpec {
        sharing: SharingSpec::Elastic,
        min_share: Some("1/4".to_string()),
        placement: vec![PieceSpec { node: "n".to_string(), share: Some(share.to_string()), devices: Vec::new() }],
        ..task(name, weight, &[("cpu", 8), ("mem", 9)])
    };
    let tasks = vec![elastic("a", 5, "1/4"), elastic("b", 1, "1/4"), at(task("c", 1, &[("cpu", 1)]), "n")];
    let mut snapshot = cluster(vec![node("n", &[("cpu", 11), ("mem", 100)])], tasks);
    snapshot.resources = resources(&["cpu", "mem"]);
    let problem = Problem::new(&snapshot).unwrap();
    let plan = plan::build(&problem, &filled(&problem), meta(), &Control::unlimited());
    let file = String::from_utf8(bayplan::file::write_plan(&problem, &plan)).unwrap();
    let a = r#"{"task":"a","share":1,"amounts":{"cpu":8,"mem":9}}"#;
    let b = r#"{"task":"b","share":"1/4","amounts":{"cpu":2,"mem":"9/4"}}"#;
    assert!(file.contains(a) && file.contains(b) && !file.contains(r#""task":"c""#), "{file}");
    assert_eq!(bayplan::file::read_plan(file.as_bytes(), &problem).as_ref(), Ok(&plan));
    let stream = String::from_utf8(bayplan::file::write_stream(&problem, &plan)).unwrap();
    assert_eq!(stream.matches(r#""type":"granted""#).count(), 2, "{stream}");
    for (told, lie) in [(r#""mem":9}"#, r#""mem":10}"#), (r#""task":"b","share":"1/4""#, r#""task":"b","share":"1/3""#)]
    {
        let faults = bayplan::file::read_plan(file.replace(told, lie).as_bytes(), &problem).expect_err("it lies");
        assert!(faults.to_string().contains("F203") && faults.to_string().contains("granted"), "{faults}");
    }
    let short = file.replace(&format!(",\n    {b}"), "");
    assert!(short != file && bayplan::file::read_plan(short.as_bytes(), &problem).is_err(), "one is missing");
    let without = file.replace(&format!("  \"granted\": [\n    {a},\n    {b}\n  ],\n"), "");
    assert!(without != file && bayplan::file::read_plan(without.as_bytes(), &problem).is_ok(), "older files have none");
}
