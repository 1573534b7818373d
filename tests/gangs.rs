//! Does an elastic job run between its least and its most workers? Gangs with a least number, against brute force.

mod common;

use bayplan::bulk::{self, Options};
use bayplan::control::Control;
use bayplan::exact;
use bayplan::model::*;
use bayplan::plan;
use common::*;
use std::cell::Cell;

fn solve(problem: &Problem) -> Placement {
    let options = Options { effort: Some(400), threads: 1, ..Options::default() };
    bulk::solve(problem, &options, &Control::unlimited()).placement
}

/// An elastic job: a task per worker at most, and the least number of them.
fn job(name: &str, most: usize, least: u32, weight: i64, gpus: u32) -> (GroupSpec, Vec<TaskSpec>) {
    let gang = GangSpec { min_members: Some(least), within: None };
    let worker = |w| with_devices(in_group(task(&format!("{name}-{w}"), weight, &[]), name), gpus, 1000);
    (GroupSpec { gang: Some(gang), ..group(name) }, (0..most).map(worker).collect())
}

/// Snapshot of nodes with so many devices each, and jobs.
fn jobs(nodes: &[u32], list: Vec<(GroupSpec, Vec<TaskSpec>)>) -> Snapshot {
    let nodes = nodes.iter().enumerate().map(|(n, count)| gpu_node(&format!("n{n}"), *count)).collect();
    let (groups, tasks): (Vec<_>, Vec<_>) = list.into_iter().unzip();
    let mut snapshot = cluster(nodes, tasks.concat());
    snapshot.groups = groups;
    snapshot
}

/// How many of each group run in the answer, which breaks no rule and makes a plan that verifies.
fn running(problem: &Problem) -> Vec<usize> {
    let found = solve(problem);
    let worse = worsened(&violations(problem, &problem.current), &violations(problem, &found));
    assert_eq!(worse, []);
    let built = plan::build(problem, &found, meta(), &Control::unlimited());
    assert!(plan::verify(problem, &built).is_right());
    let runs = |task: &&TaskId| found.spot(**task).is_placed();
    problem.groups.iter().map(|group| group.members.iter().filter(runs).count()).collect()
}

#[test]
fn a_job_starts_with_what_there_is_room_for() {
    for (room, expected) in [(vec![3, 3], 6), (vec![8], 8), (vec![2, 2], 4), (vec![2, 1], 0)] {
        let problem = Problem::new(&jobs(&room, vec![job("j", 8, 4, 10, 1)])).unwrap();
        assert_eq!(running(&problem), [expected], "room for {room:?} of 8, at least 4");
    }
}

/// Where it runs with 4 and 3 devices are free, it grows to 7.
#[test]
fn a_running_job_grows_into_free_room() {
    let mut snapshot = jobs(&[4, 3], vec![job("j", 8, 4, 10, 1)]);
    for (w, task) in snapshot.tasks.iter_mut().take(4).enumerate() {
        task.placement = vec![PieceSpec { node: "n0".to_string(), share: None, devices: vec![w as u32] }];
    }
    assert_eq!(running(&Problem::new(&snapshot).unwrap()), [7]);
}

/// All devices are taken by 8 workers of a job that needs 4. What is worth more takes their place, down to 4 and no further; where they
/// may not be stopped, nothing does.
#[test]
fn a_job_shrinks_to_its_least_for_something_worth_more() {
    let full = |others: Vec<(GroupSpec, Vec<TaskSpec>)>, evictable: bool| {
        let mut snapshot = jobs(&[4, 4], [vec![job("j", 8, 4, 10, 1)], others].concat());
        for (w, task) in snapshot.tasks.iter_mut().take(8).enumerate() {
            let (node, devices) = (format!("n{}", w / 4), vec![w as u32 % 4]);
            task.placement = vec![PieceSpec { node, share: None, devices }];
            task.evictable = evictable;
        }
        snapshot
    };
    let single =
        |name: &str, weight| (group(name), vec![with_devices(in_group(task(name, weight, &[]), name), 1, 1000)]);
    let runs = |others, evictable| running(&Problem::new(&full(others, evictable)).unwrap());
    assert_eq!(runs(vec![single("s", 15)], true), [7, 1]);
    assert_eq!(runs(vec![single("s", 15)], false), [8, 0]);
    assert_eq!(runs(vec![single("s", 5)], true), [8, 0], "worth less than a worker");
    let many = (0..6).map(|s| single(&format!("s{s}"), 15)).collect();
    assert_eq!(runs(many, true), [4, 1, 1, 1, 1, 0, 0]);
    // A second job that needs 3 devices at least.
    assert_eq!(runs(vec![job("k", 6, 3, 15, 1)], true), [4, 4]);
    assert_eq!(runs(vec![job("k", 6, 5, 15, 1)], true), [8, 0], "the first gives up 4, the second needs 5");
    // One that needs whole nodes' halves: two of the stopped must be on the same node.
    assert_eq!(runs(vec![job("k", 2, 2, 30, 2)], true), [4, 2]);
}

/// Tasks without a group make room for a job as a whole.
#[test]
fn lesser_tasks_make_room_for_a_job() {
    let mut snapshot = jobs(&[2, 2], vec![job("j", 4, 3, 10, 1)]);
    let held = |n: usize| TaskSpec {
        evictable: true,
        ..at_devices(with_devices(task(&format!("t{n}"), 4, &[]), 1, 1000), &format!("n{}", n / 2), &[n as u32 % 2])
    };
    snapshot.tasks.extend((0..4).map(held));
    assert_eq!(running(&Problem::new(&snapshot).unwrap()), [4]);
}

/// Bound to a rack: the rack with room for most, not the first that has room for enough.
#[test]
fn a_bound_job_starts_where_most_of_it_has_room() {
    let mut snapshot = jobs(&[4, 8, 6], vec![job("j", 8, 4, 10, 1)]);
    snapshot.levels = vec!["rack".to_string()];
    for (n, node) in snapshot.nodes.iter_mut().enumerate() {
        *node = in_rack(node.clone(), &format!("r{n}"));
    }
    snapshot.groups[0].gang.as_mut().unwrap().within = Some("rack".to_string());
    assert_eq!(running(&Problem::new(&snapshot).unwrap()), [8]);
    snapshot.nodes[1].devices[0].count = 5;
    assert_eq!(running(&Problem::new(&snapshot).unwrap()), [6]);
}

/// Small clusters of jobs: never more than the best of all placements, never a broken rule; the exact solver finds the best. The search
/// does in most (216 of 299; 188 without making room). It stops no gang as a whole and exchanges no members of one gang.
#[test]
fn small_clusters_of_jobs_come_near_to_brute_force() {
    let counts = Cell::new((0, 0));
    for_seeds("jobs", 300, |_, rng| {
        let list = (0..1 + rng.below(2)).map(|j| {
            let most = 1 + rng.below(4);
            let (mut group, mut tasks) =
                job(&format!("j{j}"), most, rng.range(1, most as i64) as u32, rng.range(1, 20), 1);
            if rng.chance(30) {
                group.gang.as_mut().unwrap().within = Some("rack".to_string());
            }
            tasks.iter_mut().for_each(|task| task.evictable = true);
            (group, tasks)
        });
        let list = list.collect();
        let rooms: Vec<u32> = (0..1 + rng.below(3)).map(|_| rng.range(1, 2) as u32).collect();
        let mut snapshot = jobs(&rooms, list);
        snapshot.levels = vec!["rack".to_string()];
        for (n, node) in snapshot.nodes.iter_mut().enumerate() {
            *node = in_rack(node.clone(), &format!("r{}", n % 2));
        }
        for s in 0..rng.below(3) {
            let own = TaskSpec { evictable: true, ..task(&format!("s{s}"), rng.range(1, 30), &[]) };
            snapshot.tasks.push(with_devices(own, 1, 1000));
        }
        let problem = Problem::new(&snapshot).unwrap();
        // Half of the clusters begin where a first plan left them, with other weights.
        if rng.chance(50) {
            let reached = solve(&problem);
            for task in problem.task_ids() {
                snapshot.tasks[task.index()].placement = problem.specs(reached.spot(task));
                snapshot.tasks[task.index()].weight = rng.range(1, 30);
            }
        }
        let problem = Problem::new(&snapshot).unwrap();
        let Some((best, _)) = brute_force(&problem) else { return };
        let found = solve(&problem);
        assert_eq!(violations(&problem, &found), []);
        let (found, best) = (score(&problem, &found).objective(), best.objective());
        assert!(found <= best, "{found} is above the best, {best}");
        let outcome = exact::solve(&problem, &problem.current, &Control::unlimited());
        assert_eq!(score(&problem, &outcome.placement).objective(), best, "the exact solver");
        let (all, reached) = counts.get();
        counts.set((all + 1, reached + usize::from(found == best)));
    });
    let (all, reached) = counts.get();
    eprintln!("{reached} of {all} reach the best");
    if std::env::var_os("BAYPLAN_TEST_SEED").is_none() {
        assert!(all >= 250 && reached * 100 >= all * 70, "{reached} of {all} reach the best");
    }
}
