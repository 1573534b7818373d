//! Do violations, scores and faults mean what the tables in `src/model` say? Small cases counted by hand, and laws.

mod common;

use bayplan::model::*;
use common::*;

fn problem(snapshot: &Snapshot) -> Problem {
    Problem::new(snapshot).unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn brute_force_finds_the_best_of_every_rigid_fixture() {
    let mut count = 0;
    for fixture in fixtures() {
        let problem = problem(&fixture.snapshot);
        if problem.tasks.iter().any(|task| task.sharing != Sharing::Rigid) {
            continue;
        }
        let (score, placement) = brute_force(&problem).expect("fixtures are tiny");
        assert_eq!(scaled_text(score.objective()), scaled_text(fixture.objective), "{}", fixture.name);
        assert_eq!(total_excess(&violations(&problem, &placement)), fixture.excess, "{}", fixture.name);
        count += 1;
    }
    assert!(count >= 12, "only {count} fixtures are rigid");
}

#[test]
fn random_snapshots_are_well_formed_and_tiny_ones_can_be_enumerated() {
    let mut enumerated = 0;
    for_seeds("random_snapshots", 300, |_, rng| {
        for size in [Size::TINY, Size::SMALL, Size::MEDIUM] {
            problem(&random_snapshot(rng, size, Kinds::ALL));
        }
    });
    for seed in 0..100 {
        let snapshot = random_snapshot(&mut Rng::new(seed), Size::TINY, Kinds::RIGID);
        enumerated += usize::from(brute_force(&problem(&snapshot)).is_some());
    }
    assert!(enumerated >= 80, "only {enumerated} of 100 tiny snapshots were small enough for brute force");
}
