//! What if taking turns finds no room for all? One scenario is handed to the solvers: the exact one where it is small enough to
//! prove something, else the bulk search.

use super::audit::Auditor;
use super::room::State;
use super::scenario::Scenario;
use crate::bulk;
use crate::control::Control;
use crate::exact;
use crate::model::{Aftermath, Sharing, Spot, group_violations};
use crate::plan::Status;
use std::collections::BTreeMap;

/// Candidates per task of a bulk search.
const EFFORT: u64 = 2_000;

/// What a search came to.
pub enum Found {
    /// A recovery that may be better than the one known.
    Spots(Vec<Spot>),
    /// Proven: no recovery brings back all.
    Impossible,
    /// Nothing.
    Nothing,
}

/// Looks for a way to bring back everything that is not pinned.
pub fn search(state: &State<'_>, scenario: &Scenario, auditor: &mut Auditor<'_>, control: &Control) -> Found {
    let mut aftermath = state.problem.after_failure(&scenario.failed);
    let tasks = &mut aftermath.problem.tasks;
    if aftermath.lost.iter().any(|task| tasks[task.index()].sharing == Sharing::Divisible) {
        return Found::Nothing;
    }
    for task in &aftermath.lost {
        tasks[task.index()].weight = 1;
    }
    let problem = &aftermath.problem;
    if exact::suits(problem) {
        let found = exact::solve(problem, &problem.current, control);
        let spots = original(state, scenario, &aftermath, found.placement.spots());
        let judged = auditor.judge(scenario, spots);
        let is_whole = judged.broken.is_empty() && super::is_whole(state, scenario, &judged.spots);
        let proves = found.status == Status::Optimal && aftermath.is_exact && was_sound(state, scenario);
        return if !is_whole && proves { Found::Impossible } else { Found::Spots(judged.spots) };
    }
    let options = bulk::Options { effort: Some(EFFORT), ..bulk::Options::default() };
    let found = bulk::solve(problem, &options, control);
    Found::Spots(original(state, scenario, &aftermath, found.placement.spots()))
}

/// Spots of the lost tasks in the order of the scenario, with the shares that they have there.
fn original(state: &State<'_>, scenario: &Scenario, aftermath: &Aftermath, found: &[Spot]) -> Vec<Spot> {
    let at: BTreeMap<_, _> =
        aftermath.lost.iter().map(|task| (aftermath.tasks[task.index()], &found[task.index()])).collect();
    let spot = |task| match at[task] {
        Spot::On(piece) => Spot::On(crate::model::Piece { share: state.share(*task), ..*piece }),
        other => other.clone(),
    };
    scenario.lost.iter().map(spot).collect()
}

/// Was no rule of the groups concerned broken before the failure? Only then the least broken recovery is what counts as whole.
fn was_sound(state: &State<'_>, scenario: &Scenario) -> bool {
    let groups = state.concerned(&scenario.lost);
    group_violations(state.problem, &state.problem.current, groups.into_iter()).is_empty()
}
