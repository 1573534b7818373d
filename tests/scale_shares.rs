//! Does the advice to scale hold where tasks run in part? On random small clusters with rigid, elastic and divisible tasks, running
//! and waiting: advice that was followed asks for nothing more, *enough* comes with a plan that starts whatever can ever run, and the
//! policy holds where the plan leads, worked out here anew.

mod common;

use bayplan::control::Control;
use bayplan::exact;
use bayplan::model::*;
use bayplan::plan::{self, Plan, Status};
use bayplan::scale::*;
use common::*;
use std::cell::Cell;
use std::time::Duration;

fn ask(policy: &Policy) -> Ask {
    let search = Search { effort: Some(100), ..Search::default() };
    Ask { policy: policy.clone(), search, ..Ask::default() }
}

fn advice(snapshot: &Snapshot, policy: &Policy) -> Advice {
    advise(snapshot, &ask(policy), &Control::unlimited()).unwrap_or_else(|error| panic!("{error}"))
}

fn utilization(milli: u32) -> Policy {
    Policy::Utilization(Rate::from_milli(milli).unwrap())
}

fn survive() -> Policy {
    Policy::Survive("node".to_string())
}

fn elastic(name: &str, cpu: i64, least: &str) -> TaskSpec {
    TaskSpec { sharing: SharingSpec::Elastic, min_share: Some(least.to_string()), ..task(name, 1, &[("cpu", cpu)]) }
}

fn divisible(name: &str, cpu: i64) -> TaskSpec {
    TaskSpec { sharing: SharingSpec::Divisible, ..task(name, 1, &[("cpu", cpu)]) }
}

/// So many units of a task that requires `whole` on each of these nodes.
fn in_pieces(mut task: TaskSpec, whole: i64, pieces: &[(&str, i64)]) -> TaskSpec {
    let piece = |(node, units): &(&str, i64)| {
        let share = Some(format!("{units}/{whole}"));
        PieceSpec { node: node.to_string(), share, ..PieceSpec::default() }
    };
    task.placement = pieces.iter().map(piece).collect();
    task
}

/// One resource, one or two pools, up to five nodes; what runs fits, and shares are whole units.
fn mixed(rng: &mut Rng) -> Snapshot {
    let pools = if rng.chance(25) { 2 } else { 1 };
    let sizes = [rng.range(6, 20), rng.range(6, 20)];
    let mut nodes: Vec<NodeSpec> = Vec::new();
    for n in 0..rng.range(2, 5) as usize {
        let node = node(&format!("n{n}"), &[("cpu", *rng.pick(&sizes))]);
        nodes.push(NodeSpec { pool: (pools == 2).then(|| ["a", "b"][n % 2].to_string()), price: 0, ..node });
    }
    let mut free: Vec<i64> = nodes.iter().map(|node| node.allocatable["cpu"]).collect();
    let mut tasks: Vec<TaskSpec> = Vec::new();
    for t in 0..rng.range(1, 6) {
        let (name, runs, kind) = (format!("t{t}"), rng.chance(60), rng.below(5));
        let cpu = rng.range(1, 12);
        let task = match kind {
            0 | 1 => task(&name, 1, &[("cpu", cpu)]),
            2 => elastic(&name, 2 * cpu, "1/2"),
            _ => divisible(&name, 2 * cpu),
        };
        let mut task = TaskSpec { evictable: false, ..task };
        let order = rng.order(nodes.len());
        match kind {
            _ if !runs => {}
            0 | 1 => {
                if let Some(n) = order.into_iter().find(|n| free[*n] >= cpu) {
                    free[n] -= cpu;
                    task = at(task, &format!("n{n}"));
                }
            }
            2 => {
                if let Some(n) = order.into_iter().find(|n| free[*n] >= cpu) {
                    let units = rng.range(cpu, (2 * cpu).min(free[n]));
                    free[n] -= units;
                    task = in_pieces(task, 2 * cpu, &[(&format!("n{n}"), units)]);
                }
            }
            _ => {
                let mut pieces: Vec<(String, i64)> = Vec::new();
                let mut left = rng.range(1, 2 * cpu);
                for n in order {
                    let units = rng.range(1, left.max(1)).min(free[n]).min(left);
                    if units > 0 {
                        (free[n], left) = (free[n] - units, left - units);
                        pieces.push((format!("n{n}"), units));
                    }
                }
                let pieces: Vec<(&str, i64)> = pieces.iter().map(|(node, units)| (node.as_str(), *units)).collect();
                task = in_pieces(task, 2 * cpu, &pieces);
            }
        }
        tasks.push(task);
    }
    let mut snapshot = cluster(nodes, tasks);
    snapshot.resources = resources(&["cpu"]);
    if pools == 2 {
        snapshot.pools = vec![pool("a"), pool("b")];
    }
    snapshot
}

/// What a task needs at least, scaled: a divisible one what it has.
fn load(task: &TaskSpec) -> i128 {
    let parts: u32 = task.placement.iter().map(|piece| share(piece).parts()).sum();
    let parts = match (&task.sharing, &task.min_share) {
        (SharingSpec::Elastic, Some(min)) => parts.min(Share::parse(min).unwrap().parts()),
        _ => parts,
    };
    i128::from(task.requirement["cpu"]) * i128::from(parts)
}

fn share(piece: &PieceSpec) -> Share {
    piece.share.as_ref().map_or(Share::ONE, |share| Share::parse(share).unwrap())
}

/// The policy, worked out from the figures of a snapshot in which everything runs; `None` where the exact solver does not get to the end.
fn holds(snapshot: &Snapshot, policy: &Policy) -> Option<bool> {
    match policy {
        Policy::Free | Policy::Tasks(..) => Some(true),
        Policy::Utilization(rate) => Some(is_within(snapshot, i128::from(rate.milli()))),
        Policy::Survive(_) => {
            let failures = snapshot.nodes.iter().map(|node| comes_back(snapshot, &node.name));
            failures.fold(Some(true), |all, one| Some(all? & one?))
        }
    }
}

fn is_within(snapshot: &Snapshot, milli: i128) -> bool {
    let pools: Vec<&Option<String>> = snapshot.nodes.iter().map(|node| &node.pool).collect();
    pools.into_iter().all(|pool| {
        let inside = |name: &str| snapshot.nodes.iter().any(|node| node.name == name && node.pool == *pool);
        let own = snapshot.nodes.iter().filter(|node| node.pool == *pool);
        let has: i128 = own.map(|node| scaled(node.allocatable["cpu"], 1)).sum();
        let mut held = 0;
        for task in &snapshot.tasks {
            let total: u32 = task.placement.iter().map(|piece| share(piece).parts()).sum();
            let here: u32 = task.placement.iter().filter(|p| inside(&p.node)).map(|piece| share(piece).parts()).sum();
            held += if total > 0 { load(task) * i128::from(here) / i128::from(total) } else { 0 };
        }
        held * 1000 <= has * milli
    })
}

/// Does everything have a place, with all that it needs, without this node? Who was there may leave the pool.
fn comes_back(snapshot: &Snapshot, gone: &str) -> Option<bool> {
    let mut left = snapshot.clone();
    for node in &mut left.nodes {
        node.labels.insert("in".to_string(), format!("{:?}", node.pool));
    }
    for task in &mut left.tasks {
        let home = task.placement.first().and_then(|piece| left.nodes.iter().find(|node| node.name == piece.node));
        if task.placement.iter().all(|piece| piece.node != gone) {
            let pools = task.placement.iter().filter_map(|p| left.nodes.iter().find(|node| node.name == p.node));
            let pools: Vec<String> = pools.map(|node| node.labels["in"].clone()).collect();
            if home.is_some() {
                task.selector.insert("in".to_string(), pools);
            }
        }
        // Whole units, or so little less that it does not matter: each task is what it needs.
        let needs = (load(task) + i128::from(SHARE_ONE) - 1) / i128::from(SHARE_ONE);
        task.requirement.insert("cpu".to_string(), needs as i64);
        (task.weight, task.evictable, task.min_share) = (1, true, None);
        if task.sharing == SharingSpec::Elastic {
            task.sharing = SharingSpec::Rigid;
        }
        task.placement.clear();
    }
    left.nodes.retain(|node| node.name != gone);
    let problem = Problem::new(&left).unwrap();
    let control = Control::unlimited().with_time_limit(Duration::from_secs(20));
    let found = exact::solve(&problem, &problem.current, &control);
    let is_whole = |task: TaskId| found.placement.spot(task).total_parts() == u64::from(SHARE_ONE);
    (found.status == Status::Optimal).then(|| problem.task_ids().all(is_whole))
}

/// Where a verified plan leads: whatever can ever run runs, and a divisible task has no less than it had.
fn followed(snapshot: &Snapshot, goal: Goal, plan: &Plan, hopeless: &[Hopeless]) -> Snapshot {
    let problem = goal.apply(&Problem::new(snapshot).unwrap());
    let verdict = plan::verify(&problem, plan);
    assert!(verdict.is_right(), "{:?}", verdict.violations);
    let after = problem.snapshot_at(snapshot, &verdict.reached);
    for (before, task) in snapshot.tasks.iter().zip(&after.tasks) {
        let is_hopeless = hopeless.iter().any(|one| one.task == task.name);
        assert!(is_hopeless || !task.placement.is_empty(), "{} waits at the end of the plan", task.name);
        assert!(load(task) >= load(before), "{} has less than it had and needs", task.name);
    }
    after
}

/// Follows the advice until nothing must come, which one purchase is enough for; then gives back what can go. Tells how much was bought,
/// or nothing where no purchase was found to be enough.
fn converges(start: &Snapshot, policy: &Policy) -> Option<usize> {
    let mut first = advice(start, policy);
    let (mut snapshot, mut bought) = (start.clone(), 0);
    if let Some(addition) = &first.addition {
        if !addition.is_enough {
            return None;
        }
        snapshot = followed(&addition.snapshot, Goal::Place, &addition.plan, &first.hopeless);
        assert_ne!(holds(&snapshot, policy), Some(false), "the policy is not kept with what was bought");
        bought = addition.purchases.iter().map(|purchase| purchase.count).sum();
        first = advice(&snapshot, policy);
        assert!(first.addition.is_none(), "bought, and asked for more: {:?}", first.addition.map(|a| a.purchases));
    }
    for round in 0..2 {
        assert!(first.is_kept || !first.hopeless.is_empty(), "nothing must come, and it is not kept");
        let after = followed(&snapshot, Goal::Consolidate, &first.release_plan, &first.hopeless);
        let released: Vec<&String> = first.pools.iter().flat_map(|pool| &pool.release).collect();
        let is_used = |name: &String| after.tasks.iter().any(|t| t.placement.iter().any(|piece| piece.node == *name));
        assert!(!released.iter().any(|name| is_used(name)), "something runs on what can go: {released:?}");
        let mut less = after.clone();
        less.nodes.retain(|node| !released.contains(&&node.name));
        assert_ne!(holds(&less, policy), Some(false), "the policy is not kept without {released:?}, round {round}");
        (first, snapshot) = (advice(&less, policy), less);
        assert!(first.addition.is_none(), "released, and asked for more: {:?}", first.addition.map(|a| a.purchases));
    }
    Some(bought)
}

#[test]
fn advice_that_is_followed_asks_for_nothing_more() {
    let (bought, kept, open) = (Cell::new(0), Cell::new(0), Cell::new(0));
    for_seeds("converges", 40, |seed, rng| {
        let snapshot = mixed(rng);
        for policy in [Policy::Free, utilization(500), utilization(800), survive()] {
            if std::env::var_os("SHOW").is_some() {
                eprintln!("{seed} {policy:?} {snapshot:#?}");
            }
            let result = std::panic::catch_unwind(|| converges(&snapshot, &policy));
            if result.is_err() {
                eprintln!("FAIL {seed} {policy:?}");
                open.set(open.get() + 1000);
                continue;
            }
            match result.unwrap() {
                None => open.set(open.get() + 1),
                Some(0) => kept.set(kept.get() + 1),
                Some(_) => bought.set(bought.get() + 1),
            }
        }
    });
    eprintln!("{} {} {}", bought.get(), kept.get(), open.get());
    assert!(bought.get() > 20 && kept.get() > 20, "{} bought, {} kept", bought.get(), kept.get());
    assert!(open.get() <= 2, "{} without an answer", open.get());
}
