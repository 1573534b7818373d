//! Does the bound hold? Against brute force and random prices, recomputed by the verifier, and refused when tampered with.

mod common;

use bayplan::bound::{self, Options};
use bayplan::control::Control;
use bayplan::model::*;
use bayplan::plan;
use common::*;
use std::cell::Cell;

fn problem(snapshot: &Snapshot) -> Problem {
    Problem::new(snapshot).unwrap_or_else(|faults| panic!("{faults}"))
}

/// Every term and rule, variance too.
fn any_snapshot(rng: &mut Rng, kinds: Kinds) -> Snapshot {
    let mut snapshot = random_snapshot(rng, Size::TINY, kinds);
    if rng.chance(30) && !snapshot.resources.is_empty() {
        snapshot.resources[0].variance_weight = *rng.pick(&[1, 50, 1 << 20]);
    }
    snapshot
}

fn quick(problem: &Problem, steps: u32, merge: bool) -> Proof {
    let options = Options { steps: Some(steps), merge, threads: 1, ..Options::default() };
    bound::bound(problem, &options, &Control::unlimited())
}

/// Prices without any sense, but of the right form.
fn random_prices(rng: &mut Rng, problem: &Problem) -> Proof {
    let denominator = *rng.pick(&[1i64, 2, 720, 1 << 20]);
    let large = *rng.pick(&[3i64, 40, 1 << 20, 1 << 40]);
    let mut rows = Vec::new();
    for n in 0..problem.nodes.len() as u32 {
        if rng.chance(20) {
            continue;
        }
        let mut list = |count: usize, low: i64, high: i64| -> Vec<i64> {
            (0..count).map(|_| if rng.chance(40) { 0 } else { rng.range(low, high) }).collect()
        };
        let usage = list(problem.resources.len(), -large, large);
        let mut arrival = list(problem.resources.len(), 0, large);
        let device = list(problem.device_kinds.len() * problem.device_row_count(), 0, large);
        let balance =
            problem.objective.balance.iter().map(|term| list(1, 0, term.weight.min(1 << 20) * denominator)[0]);
        let balance = balance.collect();
        let level = problem.objective.variance.iter().map(|term| term.mark + list(1, -100, 100)[0]).collect();
        for (price, resource) in arrival.iter_mut().zip(&problem.resources) {
            *price *= i64::from(resource.transient && problem.moves.simultaneous);
        }
        rows.push(PriceRow { nodes: vec![(n, n)], usage, arrival, device, balance, level });
    }
    let count = problem.groups.len().max(1) as i64;
    let most = problem.objective.group_move_weight.min(1 << 20) * denominator / count;
    let group = problem.group_ids().map(|id| (id, rng.range(0, most))).collect();
    let move_budget = if problem.moves.max_moves.is_some() { rng.range(0, large) } else { 0 };
    Proof { bound: i128::MAX, denominator, rows, group, move_budget }
}

#[test]
fn no_placement_is_above_any_bound() {
    let counted = Cell::new(0);
    for_seeds("bound", 3000, |_, rng| {
        let problem = problem(&any_snapshot(rng, Kinds::RIGID));
        let random = (0..3).map(|_| random_prices(rng, &problem)).collect::<Vec<_>>();
        let Some(best) = brute::most_points(&problem) else { return };
        for proof in &random {
            let proven = plan::proven(&problem, proof).unwrap_or_else(|reason| panic!("{reason}: {proof:?}"));
            assert!(best <= proven, "{best} is above {proven}, which prices prove: {proof:?}");
        }
        for (steps, merge) in [(0, true), (40, true), (40, false)] {
            let proof = quick(&problem, steps, merge);
            assert_eq!(plan::proven(&problem, &proof), Ok(proof.bound), "the verifier counts otherwise: {proof:?}");
            assert!(best <= proof.bound, "{best} is above the bound {}: {proof:?}", proof.bound);
        }
        counted.set(counted.get() + 1);
    });
    if std::env::var_os("BAYPLAN_TEST_SEED").is_none() {
        assert!(counted.get() >= 2000, "{} cases", counted.get());
    }
}

#[test]
fn shares_stay_below_the_bound_too() {
    for_seeds("shares", 1000, |_, rng| {
        let problem = problem(&any_snapshot(rng, Kinds::ALL));
        let before = violations(&problem, &problem.current);
        let proofs = [quick(&problem, 30, true), random_prices(rng, &problem)];
        for proof in &proofs {
            let proven = plan::proven(&problem, proof).unwrap_or_else(|reason| panic!("{reason}: {proof:?}"));
            let mut placements: Vec<Placement> = (0..20).map(|_| random_placement(rng, &problem)).collect();
            placements.push(problem.current.clone());
            let options = bayplan::bulk::Options { effort: Some(60), threads: 1, ..Default::default() };
            placements.push(bayplan::bulk::solve(&problem, &options, &Control::unlimited()).placement);
            for placement in placements {
                if worsened(&before, &violations(&problem, &placement)).is_empty() {
                    let reached = score(&problem, &placement).objective();
                    assert!(reached <= proven, "{reached} is above {proven}: {proof:?}");
                }
            }
        }
        assert_eq!(plan::proven(&problem, &proofs[0]), Ok(proofs[0].bound), "the verifier counts otherwise");
    });
}

#[test]
fn a_cluster_without_resources_is_bounded() {
    let mut snapshot = cluster(vec![node("n", &[])], vec![task("t", 3, &[])]);
    snapshot.resources.clear();
    let problem = problem(&snapshot);
    let proof = quick(&problem, 20, true);
    assert_eq!(proof.bound, 3 * i128::from(SHARE_ONE));
    assert_eq!(plan::proven(&problem, &proof), Ok(proof.bound));
}

/// Identical nodes and a handful of kinds of tasks that wait: merging loses nothing.
#[test]
fn merged_and_unmerged_programs_prove_the_same() {
    for_seeds("merged", 20, |_, rng| {
        let mut snapshot = random_snapshot(rng, Size::SMALL, Kinds { costs: true, ..Kinds::PLAIN });
        let Some(first) = snapshot.nodes.first().cloned() else { return };
        let copy = |n: usize| NodeSpec { name: format!("n{n}"), ..first.clone() };
        snapshot.nodes = (0..5).map(copy).collect();
        snapshot.objective.price_weight = 0;
        snapshot.objective.move_costs = None;
        snapshot.groups.clear();
        for task in &mut snapshot.tasks {
            task.placement.clear();
        }
        snapshot.resources.iter_mut().for_each(|resource| resource.variance_weight = 0);
        let problem = problem(&snapshot);
        let [merged, full] = [true, false].map(|merge| {
            let options = Options { steps: Some(20), linear: true, merge, threads: 1, ..Options::default() };
            bound::bound(&problem, &options, &Control::unlimited()).bound
        });
        // Prices are rounded to a common denominator, in each program at other places.
        let tolerance = (merged.abs().max(full.abs()) / 100_000).max(i128::from(SHARE_ONE) / 100);
        assert!((merged - full).abs() <= tolerance, "merged {merged}, unmerged {full}");
    });
}

/// In simultaneous mode what leaves a node is held there until the end, so nobody comes who does not fit beside it.
#[test]
fn nobody_comes_who_does_not_fit_beside_what_is_held() {
    let runs = |name: &str, amount: i64, host: &str| TaskSpec {
        evictable: false,
        ..at(task(name, 0, &[("cpu", amount)]), host)
    };
    let soft =
        |name: &str, limit: i64| NodeSpec { soft_limit: amounts(&[("cpu", limit)]), ..node(name, &[("cpu", 10)]) };
    // Both large tasks are above the soft limit at home; 5/6 of one would fit on the third node, none of them does as a whole. One
    // move after the other, t and v could change places.
    let nodes = vec![soft("a", 3), soft("b", 3), soft("c", 10)];
    let mut snapshot = cluster(nodes, vec![runs("t", 6, "a"), runs("u", 6, "b"), runs("v", 5, "c")]);
    snapshot.resources[0].load_weight = 1;
    snapshot.resources[0].transient = true;
    let one = i128::from(SHARE_ONE);
    for (simultaneous, least) in [(true, -6), (false, -5)] {
        snapshot.moves.mode = if simultaneous { MoveMode::Simultaneous } else { MoveMode::Waves };
        let problem = problem(&snapshot);
        let proof = quick(&problem, 100, true);
        assert_eq!(plan::proven(&problem, &proof), Ok(proof.bound), "the verifier counts otherwise: {proof:?}");
        if simultaneous {
            assert_eq!(proof.bound, least * one, "nobody can move");
        } else {
            assert!(proof.bound >= least * one, "one of them can: {}", scaled_text(proof.bound));
        }
    }
    // An elastic task that stays may make room: it holds only its least share to the end.
    let shrinks = TaskSpec { sharing: SharingSpec::Elastic, min_share: Some("1/2".to_string()), ..runs("e", 10, "a") };
    let waits = task("w", 9, &[("cpu", 5)]);
    let mut snapshot = cluster(vec![node("a", &[("cpu", 10)])], vec![shrinks, waits]);
    snapshot.resources[0].transient = true;
    snapshot.moves.mode = MoveMode::Simultaneous;
    let problem = problem(&snapshot);
    assert!(quick(&problem, 100, true).bound >= 9 * one, "both run");
}

/// A bound that may not look at all tasks proves little, and that is true.
#[test]
fn a_bound_without_time_is_one_all_the_same() {
    let tasks = (0..5000).map(|t| task(&format!("t{t}"), 2, &[("cpu", 1)])).collect();
    let problem = problem(&cluster(vec![node("n", &[("cpu", 10)])], tasks));
    let control = Control::unlimited().with_time_limit(std::time::Duration::ZERO);
    let proof = bound::bound(&problem, &Options::default(), &control);
    assert_eq!(proof.bound, 10_000 * i128::from(SHARE_ONE));
    assert!(plan::proven(&problem, &proof).is_ok_and(|proven| proven <= proof.bound));
}

/// Prices may prove less than such a bound claims (one task fits nowhere), but never more, evenness wanted or not.
#[test]
fn a_bound_without_time_is_no_less_than_what_its_prices_prove() {
    for evenness in [0, 3] {
        let mut tasks: Vec<TaskSpec> = (0..5000).map(|t| task(&format!("t{t}"), 2, &[("cpu", 1)])).collect();
        tasks.push(task("huge", 2, &[("cpu", 11)]));
        let mut snapshot = cluster(vec![node("n", &[("cpu", 10)])], tasks);
        snapshot.resources[0].variance_weight = evenness;
        let problem = problem(&snapshot);
        let control = Control::unlimited().with_time_limit(std::time::Duration::ZERO);
        let proof = bound::bound(&problem, &Options::default(), &control);
        assert_eq!(proof.bound, 10_002 * i128::from(SHARE_ONE));
        let proven = plan::proven(&problem, &proof).expect("sound prices");
        assert!(proven <= proof.bound, "evenness {evenness}: {proven} and {}", proof.bound);
    }
}

/// Five tasks of 12 share two cards of 24: four fit, though milli and everything else would do for all.
#[test]
fn the_memory_of_devices_bounds_who_shares_them() {
    let tasks = (0..5).map(|t| with_memory(with_devices(task(&format!("t{t}"), 1, &[]), 1, 100), 12)).collect();
    let mut snapshot = cluster(vec![roomy_gpu_node("n", 2, 24)], tasks);
    let with = problem(&snapshot);
    let found = bound::bound(&with, &Options { linear: true, ..Options::default() }, &Control::unlimited());
    assert_eq!((found.bound, plan::proven(&with, &found)), (scaled(4, 1), Ok(scaled(4, 1))));
    snapshot.tasks.iter_mut().flat_map(|task| &mut task.device).for_each(|device| device.memory = None);
    assert_eq!(quick(&problem(&snapshot), 100, true).bound, scaled(5, 1));
}

/// A plan of the bulk solver for a small cluster, with a proof.
fn proven_plan() -> (Problem, plan::Plan) {
    let mut snapshot = fixtures().into_iter().find(|fixture| fixture.name == "devices").expect("it is listed").snapshot;
    snapshot.resources[0].load_weight = 3;
    snapshot.nodes.iter_mut().for_each(|node| {
        let half = node.allocatable.iter().map(|(name, amount)| (name.clone(), amount / 2)).collect();
        node.soft_limit = half;
    });
    let problem = problem(&snapshot);
    let options = bayplan::bulk::Options { effort: Some(200), threads: 1, ..Default::default() };
    let target = bayplan::bulk::solve(&problem, &options, &Control::unlimited()).placement;
    let proof = quick(&problem, 100, true);
    let meta = plan::Meta { proof: Some(proof), ..meta() };
    let mut plan = plan::build(&problem, &target, meta, &Control::unlimited());
    plan.status = plan::Status::Feasible;
    (problem, plan)
}

#[test]
fn tampered_proofs_are_refused() {
    let (problem, plan) = proven_plan();
    let verdict = plan::verify(&problem, &plan);
    assert!(verdict.is_right(), "{:?}", verdict.violations);
    assert_eq!(verdict.proven, plan.proof.as_ref().map(|proof| proof.bound));
    let one = i128::from(SHARE_ONE);
    let with = |edit: &dyn Fn(&mut plan::Plan, &mut Proof)| {
        let mut edited = plan.clone();
        let mut proof = edited.proof.take().expect("it has one");
        edit(&mut edited, &mut proof);
        edited.proof = Some(proof);
        plan::verify(&problem, &edited).violations.iter().map(|breach| breach.rule).collect::<Vec<_>>()
    };
    // A better bound than the prices prove, in the proof, beside it, and without one.
    let both = with(&|plan, proof| (plan.bound, proof.bound) = (Some(proof.bound - one), proof.bound - one));
    assert!(both.contains(&"proof") && both.contains(&"bound"), "{both:?}");
    assert!(with(&|plan, _| plan.bound = plan.bound.map(|bound| bound - one)).contains(&"bound"));
    let mut bare = plan.clone();
    bare.proof = None;
    let told: Vec<_> = plan::verify(&problem, &bare).violations.iter().map(|breach| breach.rule).collect();
    assert_eq!(told, ["bound"]);
    // Prices that mean nothing.
    let wrong: [&dyn Fn(&mut Proof); 9] = [
        &|proof| proof.denominator = 0,
        &|proof| proof.denominator = -720,
        &|proof| proof.denominator = DENOMINATOR_MAX + 1,
        &|proof| proof.rows[0].usage = vec![PRICE_MAX + 1; 1],
        &|proof| proof.rows[0].usage = vec![0; 7],
        &|proof| proof.rows[0].device = vec![-1; DEVICE_ROW_COUNT],
        &|proof| proof.rows[0].nodes.push((0, 0)),
        &|proof| proof.rows[0].nodes = vec![(0, 1000)],
        &|proof| proof.move_budget = 1,
    ];
    for (i, edit) in wrong.into_iter().enumerate() {
        assert!(with(&|_, proof| edit(proof)).contains(&"proof"), "edit {i} is not noticed");
    }
    // Rows left out are prices 0: a weaker proof, so the claim is too good.
    let bare = Proof { rows: Vec::new(), ..plan.proof.clone().unwrap() };
    assert!(plan::proven(&problem, &bare).unwrap() > verdict.proven.unwrap(), "these prices prove something");
    assert!(with(&|_, proof| proof.rows.clear()).contains(&"proof"));
    // A worse bound is no lie, but the gap goes with it.
    let worse = |plan: &mut plan::Plan, proof: &mut Proof| {
        (plan.bound, proof.bound) = (Some(proof.bound + one), proof.bound + one);
    };
    assert_eq!(with(&worse), ["gap"]);
    let wider = |plan: &mut plan::Plan, proof: &mut Proof| {
        worse(plan, proof);
        plan.gap = plan.gap.map(|gap| gap + one);
    };
    assert_eq!(with(&wider), ["unexplored"], "what is left open is more, too");
    let open = |gap: Option<i128>| scaled_text(gap.expect("there is one"));
    let told = |plan: &mut plan::Plan, proof: &mut Proof| {
        let before = open(plan.gap);
        wider(plan, proof);
        let after = open(plan.gap);
        plan.unexplored.iter_mut().for_each(|text| *text = text.replace(&before, &after));
    };
    assert_eq!(with(&told), [""; 0]);
}

/// Whatever is done to prices, the verifier finds a bound that no placement exceeds, or refuses them.
#[test]
fn edited_prices_never_prove_too_much() {
    for_seeds("edited", 500, |_, rng| {
        let problem = problem(&any_snapshot(rng, Kinds::RIGID));
        let Some(best) = brute::most_points(&problem) else { return };
        let mut proof = quick(&problem, 20, true);
        for _ in 0..5 {
            let factor = *rng.pick(&[0, -1, 2, 1000]);
            for row in &mut proof.rows {
                let lists = [&mut row.usage, &mut row.arrival, &mut row.device, &mut row.balance, &mut row.level];
                for price in lists.into_iter().flatten().filter(|_| rng.chance(20)) {
                    *price = price.saturating_mul(factor).clamp(-PRICE_MAX, PRICE_MAX);
                }
            }
            if let Ok(proven) = plan::proven(&problem, &proof) {
                assert!(best <= proven, "{best} is above {proven}: {proof:?}");
            }
        }
    });
}

/// The bound is nowhere below the pooled one that others publish, in points of cost; where tasks find no room beside what is held
/// until the end (a2_2, a2_3: pooled 13.6 and 521 M), it is far above.
#[test]
fn roadef_bounds_are_at_least_the_pooled_ones() {
    let pooled: [(&str, i128); 7] = [
        ("a1_1", 44_306_390),
        ("a1_2", 777_530_730),
        ("a1_3", 583_005_700),
        ("a1_4", 242_387_530),
        ("a1_5", 727_578_290),
        ("a2_2", 250_000_000),
        ("a2_3", 650_000_000),
    ];
    for (name, cost) in pooled {
        let Some(problem) = roadef_problem("roadef_bounds_are_at_least_the_pooled_ones", name) else { return };
        let proof = quick(&problem, 50, true);
        assert_eq!(plan::proven(&problem, &proof), Ok(proof.bound));
        let found = -proof.bound / i128::from(SHARE_ONE);
        assert!(found >= cost, "{name}: {found} is below {cost}");
    }
}
