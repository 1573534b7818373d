//! Does a plan survive what happens to a cluster? Runs on paper, with chances up to certainty.

mod common;

use bayplan::bulk::{self, Options};
use bayplan::control::Control;
use bayplan::model::*;
use bayplan::plan::{Plan, order, sum_up};
use bayplan::simulate::{Chances, Event, Outcome, PLANS_MAX, simulate};
use common::{Kinds, Rng, Size, for_seeds, meta, random_snapshot};

const CERTAIN: u32 = 1_000_000;

fn planned(problem: &Problem) -> Plan {
    let options = Options { effort: Some(20), threads: 1, ..Options::default() };
    let found = bulk::solve(problem, &options, &Control::unlimited());
    let ordered = order(problem, &found.placement, &Control::unlimited());
    sum_up(problem, bulk::resume(problem, problem, ordered, &options, &Control::unlimited()), meta())
}

fn run(snapshot: &Snapshot, fail: u32, vanish: u32, grow: u32, seed: u64) -> Outcome {
    let problem = Problem::new(snapshot).unwrap();
    let chances = Chances { fail, vanish, grow, seed };
    let outcome = simulate(snapshot, planned(&problem), chances, Problem::clone, planned).unwrap();
    assert_eq!(outcome.worse, [], "no wave makes anything worse");
    assert_eq!(outcome.refused, [], "every plan is accepted");
    outcome
}

/// Random clusters in waves; some tasks are under way, some restart.
fn cluster(rng: &mut Rng) -> Snapshot {
    let mut snapshot = random_snapshot(rng, Size::SMALL, Kinds::ALL);
    snapshot.moves.mode = MoveMode::Waves;
    let names: Vec<String> = snapshot.nodes.iter().map(|node| node.name.clone()).collect();
    for task in &mut snapshot.tasks {
        task.restart = *rng.pick(&[None, Some(true)]);
        let to = rng.pick(&names).clone();
        let is_simple = task.placement.len() == 1 && task.device.is_none() && task.placement[0].node != to;
        if is_simple && rng.chance(10) {
            task.moving_to = vec![PieceSpec { node: to, ..task.placement[0].clone() }];
        }
    }
    snapshot
}

#[test]
fn whatever_happens_nothing_gets_worse_and_the_end_is_stable() {
    for_seeds("chances", 80, |seed, rng| {
        let snapshot = cluster(rng);
        let mut chance = || *rng.pick(&[0, 100_000, 500_000]);
        let outcome = run(&snapshot, chance(), chance() / 4, chance() / 4, seed);
        let plans = outcome.events.iter().filter(|event| matches!(event, Event::Planned(_))).count();
        assert!(outcome.is_stable || plans == PLANS_MAX, "it ends when planning moves nothing");
        if outcome.is_stable {
            assert_eq!(planned(&Problem::new(&outcome.end).unwrap()).waves.len(), 0);
        }
    });
}

#[test]
fn certain_failure_ends() {
    let seen = std::cell::Cell::new([false; 3]);
    for_seeds("certain", 10, |seed, rng| {
        let mut now = seen.get();
        let snapshot = cluster(rng);
        let failed = run(&snapshot, CERTAIN, 0, 0, seed);
        let is_done = |event: &Event| matches!(event, Event::Wave { done: 1.., .. });
        assert!(!failed.events.iter().any(is_done), "every move fails");
        now[0] |= !failed.is_stable;
        let vanished = run(&snapshot, 0, CERTAIN, 0, seed);
        assert!(!vanished.end.nodes.is_empty(), "the last node stays");
        now[1] |= vanished.end.nodes.len() < snapshot.nodes.len();
        let all = run(&snapshot, CERTAIN, CERTAIN, CERTAIN, seed);
        now[2] |= all.events.iter().any(|event| matches!(event, Event::Grew(_)));
        seen.set(now);
    });
    assert!(std::env::var_os("BAYPLAN_TEST_SEED").is_some() || seen.get() == [true; 3], "{:?}", seen.get());
}
