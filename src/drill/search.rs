//! What if taking turns finds no room for all? One scenario is handed to the solvers: the exact one where it is small enough to
//! prove something, else the bulk search.

use super::audit::Auditor;
use super::gate::Gate;
use super::room::State;
use super::scenario::Scenario;
use crate::bulk;
use crate::control::Control;
use crate::exact;
use crate::model::{Aftermath, Rule, Sharing, Spot, TaskId, group_violations};
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
    // What a group may go on lacking is not asked for: then a recovery is whole where it brings back all and breaks nothing but what
    // those who run on break among each other.
    let gate = Gate::new(state, &scenario.lost, |node| scenario.failed.binary_search(&node).is_ok());
    for group in gate.groups() {
        let is_back = |task: &&TaskId| {
            state.problem.tasks[task.index()].group == Some(group) && !state.problem.ends_with_node(**task)
        };
        let back = scenario.lost.iter().filter(is_back).count() as u32;
        let spread = &mut aftermath.problem.groups[group.index()].spread;
        spread.iter_mut().zip(gate.spreads(group, back)).for_each(|(spread, (_, least))| spread.min = least);
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

/// Was no rule of the groups concerned broken before the failure that a recovery can mend? Only then the least broken recovery is what
/// counts as whole. What a spread lacked is taken into account, and who runs on is in the same domain as before.
fn was_sound(state: &State<'_>, scenario: &Scenario) -> bool {
    let groups = state.concerned(&scenario.lost);
    let found = group_violations(state.problem, &state.problem.current, groups.into_iter());
    found.iter().all(|violation| matches!(violation.rule, Rule::Spread | Rule::Conflict))
}
