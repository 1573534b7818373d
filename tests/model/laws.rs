//! What holds for every cluster? Never worse is an order, names and order mean nothing, brute force agrees with reason.

use super::common::*;
use super::{Fixture, fixtures, problem};
use bayplan::model::*;
use std::collections::BTreeMap;

#[test]
fn brute_force_finds_the_best_of_every_rigid_fixture() {
    let mut count = 0;
    for Fixture { name, snapshot, objective, excess } in fixtures() {
        let problem = problem(&snapshot);
        if problem.tasks.iter().any(|task| task.sharing != Sharing::Rigid) {
            continue;
        }
        let (score, placement) = brute_force(&problem).expect("fixtures are tiny");
        assert_eq!(scaled_text(score.objective()), scaled_text(objective), "{name}");
        assert_eq!(total_excess(&violations(&problem, &placement)), excess, "{name}");
        count += 1;
    }
    assert!(count >= 12, "only {count} fixtures are rigid");
}

#[test]
fn random_clusters_break_every_rule_and_pay_every_cost() {
    let (mut rules, mut terms) = (BTreeMap::new(), BTreeMap::new());
    for seed in 0..500 {
        let mut rng = Rng::new(seed);
        let problem = problem(&random_snapshot(&mut rng, Size::SMALL, Kinds::ALL));
        let placement = random_placement(&mut rng, &problem);
        for violation in violations(&problem, &placement) {
            *rules.entry(violation.rule).or_insert(0) += 1;
        }
        for (name, points) in score(&problem, &placement).terms() {
            *terms.entry(name).or_insert(0) += i32::from(points > 0);
        }
    }
    // No snapshot asks for a node to be drained; a run does.
    for rule in Rule::ALL.into_iter().filter(|rule| *rule != Rule::Drain) {
        assert!(rules.get(&rule).is_some_and(|count| *count >= 20), "{} in {rules:?}", rule.name());
    }
    assert!(terms.values().all(|count| *count >= 20), "{terms:?}");
}

#[test]
fn tiny_clusters_can_be_enumerated() {
    let enumerable =
        |seed| brute_force(&problem(&random_snapshot(&mut Rng::new(seed), Size::TINY, Kinds::RIGID))).is_some();
    let count = (0..100).filter(|seed| enumerable(*seed)).count();
    assert!(count >= 80, "only {count} of 100 tiny snapshots were small enough for brute force");
}

#[test]
fn never_worse_is_an_order() {
    for_seeds("worsened", 500, |_, rng| {
        let problem = problem(&random_snapshot(rng, Size::SMALL, Kinds::ALL));
        let [a, b, c] = [(); 3].map(|()| violations(&problem, &random_placement(rng, &problem)));
        assert!(worsened(&a, &a).is_empty(), "nothing is worse than itself");
        if worsened(&a, &b).is_empty() && worsened(&b, &c).is_empty() {
            assert!(worsened(&a, &c).is_empty());
        }
        // The more was broken before, the less is worse now.
        let both: Vec<Violation> = {
            let mut most: BTreeMap<(Rule, Place), i128> = BTreeMap::new();
            for violation in a.iter().chain(&b) {
                let excess = most.entry((violation.rule, violation.place)).or_default();
                *excess = violation.excess.max(*excess);
            }
            most.into_iter().map(|((rule, place), excess)| Violation { rule, place, excess }).collect()
        };
        assert!(worsened(&both, &a).is_empty() && worsened(&both, &b).is_empty());
        let (alone, together) = (worsened(&a, &c), worsened(&both, &c));
        assert!(together.iter().all(|violation| alone.contains(violation)));
        // A larger excess at one place is worse exactly there.
        if let Some(first) = a.first() {
            let mut larger = a.clone();
            larger[0].excess += 1;
            assert_eq!(worsened(&a, &larger), [Violation { excess: first.excess + 1, ..*first }]);
            assert_eq!(worsened(&larger, &a), []);
        }
        assert_eq!(worsened(&[], &c), c);
    });
}

#[test]
fn names_and_order_mean_nothing() {
    for_seeds("rename", 500, |_, rng| {
        let snapshot = random_snapshot(rng, Size::SMALL, Kinds::ALL);
        let old = problem(&snapshot);
        let other = renamed(rng, &snapshot);
        let new = problem(&other.snapshot);
        assert_eq!(other.placement(&old.current), new.current);
        let placement = random_placement(rng, &old);
        let moved = other.placement(&placement);
        assert_eq!(score(&old, &placement), score(&new, &moved));
        let broken = |problem: &Problem, placement: &Placement| {
            let found = violations(problem, placement);
            let mut list: Vec<_> = found.iter().map(|violation| (violation.rule, violation.excess)).collect();
            list.sort();
            list
        };
        assert_eq!(broken(&old, &placement), broken(&new, &moved));
    });
}

#[test]
fn a_task_may_always_stay() {
    for_seeds("stay", 300, |_, rng| {
        let problem = problem(&random_snapshot(rng, Size::SMALL, Kinds::ALL));
        for task in problem.task_ids() {
            for piece in problem.current.spot(task).pieces() {
                assert_eq!(forbidden(&problem, task, piece.node), None);
            }
        }
        let moves = score(&problem, &problem.current);
        assert_eq!(moves.task_move + moves.group_move + moves.node_move, 0, "staying is no move");
        let current = violations(&problem, &problem.current);
        let only_after_moves = [Rule::Pinned, Rule::Eviction, Rule::MoveBudget, Rule::Transient, Rule::DeviceModel];
        assert!(current.iter().all(|violation| !only_after_moves.contains(&violation.rule)), "{current:?}");
    });
}

/// As if the nodes had never been in the snapshot: rows, domains and what is even.
#[test]
fn a_problem_without_nodes_is_that_of_the_snapshot_without_them() {
    let node = |name: &str, rack: &str, cpu: i64| in_rack(node(name, &[("cpu", cpu)]), rack);
    let mut snapshot = cluster(
        vec![node("a", "r1", 8), node("b", "r2", 99), node("c", "r3", 4), node("d", "r1", 2), node("e", "r3", 6)],
        vec![at(task("x", 1, &[("cpu", 1)]), "c"), at(task("y", 1, &[("cpu", 2)]), "e"), task("z", 1, &[("cpu", 3)])],
    );
    snapshot.levels = vec!["rack".to_string()];
    snapshot.resources[0].variance_weight = 100;
    snapshot.tasks[1].moving_to = at(task("y", 1, &[]), "d").placement;
    let (rest, kept) = problem(&snapshot).without_nodes(&[NodeId::new(0), NodeId::new(1)]);
    assert_eq!(kept, [2, 3, 4].map(NodeId::new));
    snapshot.nodes.drain(..2);
    let fresh = problem(&snapshot);
    assert_eq!((rest.levels.len(), fresh.levels.len()), (2, 2));
    for (level, other) in rest.levels.iter().zip(&fresh.levels) {
        assert_eq!((&level.name, &level.domains), (&other.name, &other.domains));
    }
    for node in fresh.node_ids() {
        assert_eq!(rest.nodes[node.index()].name, fresh.nodes[node.index()].name);
        assert_eq!(rest.nodes[node.index()].domains, fresh.nodes[node.index()].domains);
        assert_eq!(rest.allocatable(node), fresh.allocatable(node));
        assert_eq!(rest.soft_limit(node), fresh.soft_limit(node));
    }
    assert_eq!((&rest.current, &rest.under_way), (&fresh.current, &fresh.under_way));
    assert_eq!((rest.objective.variance.len(), &rest.objective.variance), (1, &fresh.objective.variance));
}

#[test]
#[should_panic(expected = "task x is on b, which was to be empty")]
fn a_node_with_a_task_is_not_taken_away() {
    let nodes = vec![node("a", &[("cpu", 1)]), node("b", &[("cpu", 1)])];
    problem(&cluster(nodes, vec![at(task("x", 1, &[("cpu", 1)]), "b")])).without_nodes(&[NodeId::new(1)]);
}
