//! Is the exact solver right? Equal to brute force where that is possible, never beaten, and blind to names and order.

mod common;

use bayplan::bulk::{self, Options};
use bayplan::control::Control;
use bayplan::exact::{self, Outcome};
use bayplan::model::*;
use bayplan::plan::{self, Meta, Status};
use common::*;
use std::cell::Cell;
use std::time::Duration;

/// For cases that are not tiny: whatever is found by then must be right.
const TIME_LIMIT: Duration = Duration::from_secs(2);

fn problem(snapshot: &Snapshot) -> Problem {
    Problem::new(snapshot).unwrap_or_else(|faults| panic!("{faults}"))
}

/// Fragmentation and variance are not written as rows; see `bounds_hold_with_terms_that_have_no_rows`.
fn with_rows(rng: &mut Rng, size: Size, kinds: Kinds) -> Snapshot {
    let mut snapshot = random_snapshot(rng, size, kinds);
    snapshot.objective.fragmentation = None;
    snapshot.resources.iter_mut().for_each(|resource| resource.variance_weight = 0);
    snapshot
}

fn limited() -> Control {
    Control::unlimited().with_time_limit(TIME_LIMIT)
}

/// Less excess first, then more points.
fn key(problem: &Problem, placement: &Placement) -> (i128, i128) {
    (-total_excess(&violations(problem, placement)), score(problem, placement).objective())
}

fn quick(problem: &Problem) -> Placement {
    let options = Options { effort: Some(200), threads: 1, ..Options::default() };
    bulk::solve(problem, &options, &Control::unlimited()).placement
}

/// What one part of every task whose share may be fractional can be worth: within that, optimal is optimal.
fn one_part_each(problem: &Problem) -> i128 {
    let stretches = |task: &TaskId| problem.tasks[task.index()].sharing != Sharing::Rigid;
    let worth = |task: TaskId| {
        let needs = problem.requirement(task).iter().zip(&problem.resources);
        let load: i128 = needs.map(|(amount, resource)| i128::from(*amount) * i128::from(resource.load_weight)).sum();
        let balance: i128 = (problem.objective.balance.iter())
            .map(|term| {
                let amount = |r: ResourceId| i128::from(problem.requirement(task)[r.index()]);
                i128::from(term.weight) * (i128::from(term.target) * amount(term.resource) + amount(term.other))
            })
            .sum();
        i128::from(problem.tasks[task.index()].weight) + load + balance
    };
    problem.task_ids().filter(stretches).map(worth).sum()
}

/// What must hold for any outcome, however the search ended.
#[track_caller]
fn assert_sound(problem: &Problem, incumbent: &Placement, outcome: &Outcome) {
    let before = violations(problem, &problem.current);
    let after = violations(problem, &outcome.placement);
    assert_eq!(worsened(&before, &after), [], "worse than the start");
    let (found, known) = (key(problem, &outcome.placement), key(problem, incumbent));
    assert!(found >= known, "the incumbent {known:?} is better than the answer {found:?}");
    if let Some(bound) = outcome.bound {
        assert!(found.0 < 0 || found.1 <= bound, "the answer {found:?} is above its bound {bound}");
        assert!(known.0 < 0 || known.1 <= bound, "the incumbent {known:?} is above the bound {bound}");
    }
    if outcome.status == Status::Optimal {
        let gap = outcome.bound.expect("optimal has a bound") - found.1;
        assert!(gap <= one_part_each(problem), "optimal means that the bound is reached: {gap} scaled points are left");
    }
    let meta = Meta { solver: "exact".to_string(), status: outcome.status, bound: outcome.bound, ..meta() };
    let plan = plan::build(problem, &outcome.placement, meta, &Control::unlimited());
    let told: Vec<_> = plan::verify(problem, &plan).violations.iter().map(|breach| breach.to_string()).collect();
    assert!(told.is_empty(), "the verifier refuses the plan:\n{}", told.join("\n"));
}

#[test]
fn fixtures_are_solved_to_the_best() {
    for Fixture { name, snapshot, objective, excess } in fixtures() {
        let problem = problem(&snapshot);
        let outcome = exact::solve(&problem, &problem.current, &Control::unlimited());
        assert_sound(&problem, &problem.current, &outcome);
        let (found_excess, found) = key(&problem, &outcome.placement);
        assert_eq!((-found_excess, scaled_text(found)), (excess, scaled_text(objective)), "{name}");
        if excess == 0 {
            assert_eq!(outcome.status, Status::Optimal, "{name}");
        } else {
            assert!(outcome.blockers.is_some(), "{name}: what stands in the way is to be told");
        }
    }
}

/// Exact equals brute force: the best where a placement keeps all rules, else word that there is none.
#[test]
fn tiny_clusters_come_out_as_by_brute_force() {
    let cases = Cell::new([0; 3]);
    let count = |which: usize| {
        let mut all = cases.get();
        all[which] += 1;
        cases.set(all);
    };
    for_seeds("tiny", 400, |_, rng| {
        let problem = problem(&with_rows(rng, Size::TINY, Kinds::RIGID));
        let Some((_, best)) = brute_force(&problem) else { return };
        let outcome = exact::solve(&problem, &problem.current, &limited());
        assert_sound(&problem, &problem.current, &outcome);
        let (found, best) = (key(&problem, &outcome.placement), key(&problem, &best));
        assert!(found <= best, "exact {found:?} beats brute force {best:?}: a rule is misread by one of them");
        match (&outcome.blockers, outcome.status) {
            (Some(blockers), _) => {
                assert!(best.0 < 0, "{blockers:?} are said to stand in the way, but {best:?} keeps all rules");
                count(0);
            }
            (None, Status::Optimal) => {
                assert_eq!(found, best);
                count(1);
            }
            (None, _) => count(2),
        }
    });
    let [infeasible, optimal, open] = cases.get();
    eprintln!("{optimal} proven optimal, {infeasible} proven infeasible, {open} left open");
    if std::env::var_os("BAYPLAN_TEST_SEED").is_none() {
        assert!(optimal >= 200 && infeasible >= 10 && open <= 20, "{:?}", cases.get());
    }
}

#[test]
fn bulk_never_beats_exact() {
    for_seeds("bulk", 300, |seed, rng| {
        let size = if seed % 3 == 0 { Size::SMALL } else { Size::TINY };
        let problem = problem(&with_rows(rng, size, Kinds::ALL));
        let bulk = quick(&problem);
        // Not told what bulk found, the exact solver must come out at least as good where it is sure.
        let outcome = exact::solve(&problem, &problem.current, &limited());
        assert_sound(&problem, &problem.current, &outcome);
        let (bulk_found, found) = (key(&problem, &bulk), key(&problem, &outcome.placement));
        if outcome.status == Status::Optimal {
            assert!(bulk_found <= found, "bulk {bulk_found:?} beats the optimum {found:?}");
        }
        if let (Some(bound), 0) = (outcome.bound, bulk_found.0) {
            assert!(bulk_found.1 <= bound, "bulk {bulk_found:?} is above the bound {bound}");
        }
        if outcome.blockers.is_some() {
            assert!(bulk_found.0 < 0, "bulk keeps all rules, and exact says that nothing does");
        }
        assert_sound(&problem, &bulk, &exact::solve(&problem, &bulk, &limited()));
    });
}

#[test]
fn names_and_order_do_not_change_what_is_reached() {
    for_seeds("rename", 300, |_, rng| {
        let snapshot = with_rows(rng, Size::TINY, Kinds::ALL);
        let other = renamed(rng, &snapshot).snapshot;
        let [old, new] = [&snapshot, &other].map(|snapshot| {
            let problem = problem(snapshot);
            let outcome = exact::solve(&problem, &problem.current, &limited());
            let found = (key(&problem, &outcome.placement), one_part_each(&problem));
            (found, outcome.status, outcome.blockers.is_some())
        });
        // Where time ran out, either may have come further.
        if old.1 == Status::Optimal && new.1 == Status::Optimal {
            let (((old_excess, old), part), ((new_excess, new), _)) = (old.0, new.0);
            assert_eq!(old_excess, new_excess);
            assert!((old - new).abs() <= part, "{old} and {new} are more than {part} apart");
        }
        assert_eq!(old.2, new.2, "one says that nothing keeps all rules, the other does not");
    });
}

#[test]
fn fragmentation_is_bounded() {
    let mut snapshot = fixtures().into_iter().find(|fixture| fixture.name == "devices").expect("it is listed").snapshot;
    let mix = vec![MixSpec { parts: 1, requirement: Default::default(), device: common::fixtures::gpus(1, 1000) }];
    snapshot.objective.fragmentation = Some(FragmentationSpec { weight: 1, mix });
    let problem = problem(&snapshot);
    let outcome = exact::solve(&problem, &problem.current, &limited());
    assert_sound(&problem, &problem.current, &outcome);
    // Without the term in the program its bound still holds; whether it is reached is the search's luck.
    let (_, best) = brute_force(&problem).expect("it is tiny");
    let bound = outcome.bound.expect("there is a bound");
    assert!(score(&problem, &best).objective() <= bound);
}

/// With every term: whatever is called optimal is, and no placement is above the bound.
#[test]
fn bounds_hold_with_terms_that_have_no_rows() {
    let counted = Cell::new(0);
    for_seeds("no rows", 200, |_, rng| {
        let mut snapshot = random_snapshot(rng, Size::TINY, Kinds::RIGID);
        if !snapshot.resources.is_empty() {
            snapshot.resources[0].variance_weight = *rng.pick(&[1, 50, 1 << 20]);
        }
        let problem = problem(&snapshot);
        let Some((_, best)) = brute_force(&problem) else { return };
        let outcome = exact::solve(&problem, &problem.current, &limited());
        assert_sound(&problem, &problem.current, &outcome);
        let (found, best) = (key(&problem, &outcome.placement), key(&problem, &best));
        if let (Some(bound), 0) = (outcome.bound, best.0) {
            assert!(best.1 <= bound, "the best {best:?} is above the bound {bound}");
            counted.set(counted.get() + 1);
        }
        if outcome.status == Status::Optimal {
            assert_eq!(found, best);
        }
    });
    if std::env::var_os("BAYPLAN_TEST_SEED").is_none() {
        assert!(counted.get() >= 50, "{} bounds", counted.get());
    }
}

/// Asked for more than some value, the solver finds it where it can be had, and ends without it where it cannot.
#[test]
fn what_is_worth_more_than_asked_is_found_or_ruled_out() {
    let (found, refused) = (Cell::new(0), Cell::new(0));
    for_seeds("above", 200, |_, rng| {
        let problem = problem(&with_rows(rng, Size::TINY, Kinds::RIGID));
        let outcome = exact::solve(&problem, &problem.current, &limited());
        if outcome.status != Status::Optimal {
            return;
        }
        let best = key(&problem, &outcome.placement);
        let reached = score(&problem, &outcome.placement).objective();
        for least in [reached - 1, reached, reached + i128::from(SHARE_ONE)] {
            let above = exact::solve_above(&problem, &problem.current, least, &limited());
            let own = key(&problem, &above.placement);
            assert!(own <= best, "{own:?} is better than the best {best:?}");
            let is_more = score(&problem, &above.placement).objective() > least && own.0 == best.0;
            assert_eq!(is_more, least < reached, "above {least}: {own:?}, the best is {best:?}");
            if is_more {
                found.set(found.get() + 1)
            } else {
                refused.set(refused.get() + 1)
            }
            assert!(
                is_more || above.bound.is_none_or(|bound| bound <= least.max(reached)),
                "{:?} {least}",
                above.bound
            );
        }
    });
    if std::env::var_os("BAYPLAN_TEST_SEED").is_none() {
        assert!(found.get() >= 100 && refused.get() >= 200, "{} found, {} refused", found.get(), refused.get());
    }
}
