//! Does a plan leave anything to do? Whoever carries it out and asks again, in the same words, is told that nothing needs to move.

mod common;

use bayplan::bulk::{self, Options};
use bayplan::control::Control;
use bayplan::file;
use bayplan::model::*;
use bayplan::plan::{Ordered, Unsettled, order, sum_up, verify};
use common::command::{run, written};
use common::*;
use serde_json::Value;
use std::cell::Cell;
use tempfile::TempDir;

const EFFORT: u64 = 100;

const GOALS: [Option<Goal>; 6] = [
    None,
    Some(Goal::Balance),
    Some(Goal::Utilization),
    Some(Goal::Consolidate),
    Some(Goal::Defragment),
    Some(Goal::Place),
];

/// What `plan --effort` does between reading and writing: one look, and all looks from where the plan ends.
fn planned(problem: &Problem) -> [Ordered; 2] {
    let options = Options { effort: Some(EFFORT), threads: 1, ..Options::default() };
    let endless = Control::unlimited();
    let plan = |problem: &Problem| {
        let ordered = order(problem, &bulk::solve(problem, &options, &endless).placement, &endless);
        bulk::worthwhile(problem, bulk::resume(problem, problem, ordered, &options, &endless))
    };
    let first = plan(problem);
    [first.clone(), bulk::settled(problem, first, plan, &endless)]
}

/// The cluster when the plan has been carried out, read anew.
fn afterwards(snapshot: &Snapshot, problem: &Problem, reached: &Placement, goal: Option<Goal>) -> Problem {
    let problem = Problem::new(&problem.snapshot_at(snapshot, reached)).unwrap();
    goal.map_or_else(|| problem.clone(), |goal| goal.apply(&problem))
}

/// A cluster filled to so many percent, with groups that keep apart, tasks that stretch, and soft limits.
fn filled(rng: &mut Rng, percent: i64) -> Snapshot {
    let count = 4 + rng.below(6);
    let rack = |n: usize| format!("r{}", n % 3);
    let mut nodes: Vec<NodeSpec> =
        (0..count).map(|n| in_rack(node(&format!("n{n}"), &[("cpu", 1000), ("memory", 1000)]), &rack(n))).collect();
    for node in &mut nodes {
        node.soft_limit = amounts(&[("cpu", rng.range(400, 900)), ("memory", 700)]);
    }
    let mut tasks = Vec::new();
    for n in 0..count {
        let mut free = [1000 * percent / 100; 2];
        while free.iter().all(|free| *free > 40) && rng.chance(97) {
            let size = free.map(|free| rng.range(10, 260).min(free));
            free = [free[0] - size[0], free[1] - size[1]];
            let name = format!("t{}", tasks.len());
            let mut task = task(&name, rng.range(1, 20), &[("cpu", size[0]), ("memory", size[1])]);
            (task.evictable, task.move_cost) = (false, rng.range(0, 3));
            if rng.chance(10) {
                (task.sharing, task.min_share) = (SharingSpec::Elastic, Some("1/2".to_string()));
            } else if rng.chance(30) {
                task.group = Some(format!("g{}", rng.below(4)));
            }
            tasks.push(at(task, &format!("n{n}")));
        }
    }
    let mut snapshot = Snapshot { resources: resources(&["cpu", "memory"]), ..cluster(nodes, tasks) };
    snapshot.levels = vec!["rack".to_string()];
    snapshot.groups = (0..4).map(|g| group(&format!("g{g}"))).collect();
    snapshot.groups[1].spread = vec![SpreadSpec { level: "rack".to_string(), min: 2 }];
    snapshot.groups[2].max_unavailable = Some(1);
    for resource in &mut snapshot.resources {
        resource.load_weight = rng.range(0, 5);
    }
    snapshot.objective.task_move_weight = rng.range(0, 4);
    snapshot
}

#[test]
fn what_a_plan_leads_to_needs_no_plan() {
    let seen = Cell::new([0; 4]);
    for_seeds("settled", 1500, |_, rng| {
        let (percent, goal) = (rng.range(60, 98), *rng.pick(&GOALS));
        let kinds = Kinds { simultaneous: false, move_limits: false, ..Kinds::ALL };
        let snapshot = if rng.chance(70) { filled(rng, percent) } else { random_snapshot(rng, Size::SMALL, kinds) };
        let problem = Problem::new(&snapshot).unwrap();
        let problem = goal.map_or_else(|| problem.clone(), |goal| goal.apply(&problem));
        let [first, settled] = planned(&problem);
        assert_eq!(verify(&problem, &sum_up(&problem, settled.clone(), meta())).violations, []);
        assert_eq!(settled.unsettled, None, "a look that finds nothing is the last one");
        let moves =
            |after: &Placement| planned(&afterwards(&snapshot, &problem, after, goal)).map(|plan| plan.waves.len());
        assert_eq!(moves(&settled.reached), [0, 0], "what waits or is broken at the end stays so");
        let [moved, left, waits, broken] = seen.get();
        let is_left = first != settled;
        let is_waiting = problem.task_ids().any(|task| !settled.reached.spot(task).is_placed());
        let is_broken = !violations(&problem, &settled.reached).is_empty();
        let count = |list: [bool; 4]| list.map(usize::from);
        let more = count([!settled.waves.is_empty(), is_left, is_waiting, is_broken]);
        seen.set([moved + more[0], left + more[1], waits + more[2], broken + more[3]]);
    });
    eprintln!("{:?} with moves, with more than one look finds, with tasks that wait, with broken rules", seen.get());
    assert!(
        std::env::var_os("BAYPLAN_TEST_SEED").is_some() || seen.get().iter().all(|count| *count > 10),
        "{:?}",
        seen.get()
    );
}

/// A planner that starts one waiting task at a time: `waits` of them take so many looks. What the plan says of that.
fn one_by_one(waits: usize) -> (Ordered, Vec<String>) {
    let tasks = (0..waits).map(|n| task(&format!("t{n}"), 1, &[("cpu", 1)])).collect();
    let problem = Problem::new(&cluster(vec![node("n", &[("cpu", 100)])], tasks)).unwrap();
    let endless = Control::unlimited();
    let plan = |problem: &Problem| {
        let mut target = problem.current.clone();
        if let Some(next) = problem.task_ids().find(|task| !problem.current.spot(*task).is_placed()) {
            target.set(next, Spot::On(Piece::whole(NodeId(0))));
        }
        order(problem, &target, &endless)
    };
    let ordered = bulk::settled(&problem, plan(&problem), plan, &endless);
    let plan = sum_up(&problem, ordered.clone(), meta());
    assert!(verify(&problem, &plan).is_right());
    let json: Value = serde_json::from_slice(&file::write_plan(&problem, &plan)).unwrap();
    let told = json["unexplored"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_string()).collect();
    (ordered, told)
}

#[test]
fn a_plan_says_when_the_last_look_still_found_moves() {
    let is_told =
        |told: &[String]| told.iter().any(|text| text.starts_with("planning again from where this plan ends"));
    let (ordered, told) = one_by_one(5);
    assert_eq!((ordered.unsettled, is_told(&told)), (None, false), "{told:?}");
    let (ordered, told) = one_by_one(20);
    assert_eq!(ordered.unsettled, Some(Unsettled { looks: 8, moves: 1 }));
    let text = "planning again from where this plan ends may find more: look 8, the last one, still found 1 move";
    assert!(told.iter().any(|said| said == text), "{told:?}");
}

/// Four nodes at half their cpu, but for 30 of 100,000 that one has and another lacks. To even that out costs less than it brings, and is
/// nothing that anybody would see.
#[test]
fn crumbs_are_left_unless_asked_for() {
    let folder = TempDir::new().unwrap();
    let nodes = (0..4).map(|n| node(&format!("n{n}"), &[("cpu", 100_000)])).collect();
    let runs = |name: String, size: i64, n: usize| {
        at(TaskSpec { move_cost: 1, ..task(&name, 1, &[("cpu", size)]) }, &format!("n{n}"))
    };
    let mut tasks: Vec<TaskSpec> = (0..40).map(|t| runs(format!("t{t}"), 5000, t / 10)).collect();
    tasks[29].requirement = amounts(&[("cpu", 4970)]);
    tasks.push(runs("small".to_string(), 30, 1));
    let snapshot = cluster(nodes, tasks);
    let path = written(&folder, "s.json", file::write_snapshot(&snapshot));
    let moves = |more: &[&str]| {
        let (code, stdout, stderr) =
            run(&[&["plan", &path, "--goal", "balance", "--effort", "500", "-q"], more].concat());
        assert_eq!(code, 0, "{stderr}");
        serde_json::from_str::<Value>(&stdout).unwrap()["summary"]["moves"].as_u64().unwrap()
    };
    assert_eq!(moves(&[]), 0);
    assert!(moves(&["--min-gain", "0"]) > 0, "what costs nothing more than it brings is made when asked for");
}
