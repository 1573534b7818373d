//! What becomes of a plan when moves fail, nodes vanish and tasks grow? Carries it out in a cluster that exists on paper only.
//!
//! The waves run one after the other. In each wave every move may fail (its task stays where it was); the members of a gang
//! in it do so together or not at all; and whoever would find no room because of others that failed is held back,
//! as an orchestrator would. After a wave a node may vanish with all its tasks waiting again, and a task may grow. After
//! anything that the plan did not foresee, the rest of the plan is void, and a new plan is made from the state as it is. The
//! run ends when planning gives no moves.
//!
//! Rates are in millionths and all chance comes from one seed, so a run can be repeated. What the model calls *never worse*
//! is checked after every wave against the state before it; what an event breaks is the event's doing, and is repaired by
//! the plans that follow.

use crate::model::{AMOUNT_MAX, Faults, Placement, Problem, Snapshot, Violation, violations, worsened};
use crate::plan::{Breach, Move, Plan, verify};
use crate::random::{Purpose, Random};
use std::collections::BTreeSet;

/// What can go wrong, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chances {
    /// A move fails: millionths per move.
    pub fail: u32,
    /// A node vanishes: millionths per wave.
    pub vanish: u32,
    /// A task needs a tenth more of everything, rounded up: millionths per wave.
    pub grow: u32,
    /// Seed of all chance.
    pub seed: u64,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A wave ran: moves done, failed, and held back because of others that failed.
    Wave {
        /// Moves carried out.
        done: usize,
        /// Moves that failed.
        failed: usize,
        /// Moves that found no room, or whose gang could not move as a whole, because others had failed.
        held_back: usize,
    },
    /// A node vanished; so many tasks wait again.
    Vanished(String, usize),
    /// A task grew by a tenth.
    Grew(String),
    /// A new plan of so many moves was made from the state as it was.
    Planned(usize),
}

/// How a run went.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// All that happened, in order.
    pub events: Vec<Event>,
    /// What a wave made worse than it was before it: empty, or our bug.
    pub worse: Vec<Violation>,
    /// What our own verification refused in a plan, which was not carried out: empty, or our bug.
    pub refused: Vec<Breach>,
    /// Planning on the end state gives no moves.
    pub is_stable: bool,
    /// The cluster at the end.
    pub end: Snapshot,
}

/// Most plans of a run: chances so high that nothing ever gets done must end, too.
pub const PLANS_MAX: usize = 100;

/// Carries `plan` out on `start`; `prepare` sets the points that the plan counts in, `replan` makes the plan for a state.
///
/// # Errors
/// The faults of a snapshot: those of `start`, as after a vanished node every state is as sound as it was.
pub fn simulate(
    start: &Snapshot,
    plan: Plan,
    chances: Chances,
    prepare: impl Fn(&Problem) -> Problem,
    mut replan: impl FnMut(&Problem) -> Plan,
) -> Result<Outcome, Faults> {
    let mut random = Random::new(chances.seed, Purpose::Events);
    let mut cluster = start.clone();
    let mut problem = prepare(&Problem::new(&cluster)?);
    let mut outcome =
        Outcome { events: Vec::new(), worse: Vec::new(), refused: Vec::new(), is_stable: false, end: start.clone() };
    let mut plan = plan;
    for _ in 0..PLANS_MAX {
        outcome.refused = verify(&problem, &plan).violations;
        if plan.waves.is_empty() || !outcome.refused.is_empty() {
            outcome.is_stable = outcome.refused.is_empty();
            break;
        }
        let mut state = problem.current.clone();
        let broken = violations(&problem, &state);
        for wave in &plan.waves {
            let is_done = run_wave(&problem, &broken, wave, chances.fail, &mut random, &mut state, &mut outcome);
            cluster = problem.snapshot_at(&cluster, &state);
            let is_changed = disturb(&mut cluster, chances, &mut random, &mut outcome.events);
            if !is_done || is_changed {
                break;
            }
        }
        problem = prepare(&Problem::new(&cluster)?);
        plan = replan(&problem);
        outcome.events.push(Event::Planned(plan.moves().count()));
    }
    outcome.end = cluster;
    Ok(outcome)
}

/// True when every move of the wave was carried out.
fn run_wave(
    problem: &Problem,
    start: &[Violation],
    wave: &[Move],
    fail: u32,
    random: &mut Random,
    state: &mut Placement,
    outcome: &mut Outcome,
) -> bool {
    let mut lost: BTreeSet<usize> = (0..wave.len()).filter(|_| happens(random, fail)).collect();
    let gang = |step: &Move| {
        problem.tasks[step.task.index()].group.filter(|group| problem.groups[group.index()].gang.is_some())
    };
    let torn: BTreeSet<_> = lost.iter().filter_map(|i| gang(&wave[*i])).collect();
    let with_gang = |i: &usize| gang(&wave[*i]).is_some_and(|group| torn.contains(&group));
    let failed = lost.len();
    lost.extend((0..wave.len()).filter(with_gang));
    let after = |lost: &BTreeSet<usize>| {
        let mut after = state.clone();
        let done = wave.iter().enumerate().filter(|(i, _)| !lost.contains(i));
        done.for_each(|(_, step)| after.set(step.task, step.to.clone()));
        after
    };
    // Never more than the start of the plan had: a move that would need the room of one that failed is refused.
    let mut reached = after(&lost);
    while !lost.is_empty() && !worsened(start, &violations(problem, &reached)).is_empty() {
        let Some(last) = (0..wave.len()).rev().find(|i| !lost.contains(i)) else { break };
        lost.insert(last);
        let group = gang(&wave[last]);
        lost.extend((0..wave.len()).filter(|i| group.is_some() && gang(&wave[*i]) == group));
        reached = after(&lost);
    }
    outcome.worse.extend(worsened(start, &violations(problem, &reached)));
    let (done, held_back) = (wave.len() - lost.len(), lost.len() - failed);
    outcome.events.push(Event::Wave { done, failed, held_back });
    *state = reached;
    lost.is_empty()
}

/// True when something happened to the cluster itself.
fn disturb(cluster: &mut Snapshot, chances: Chances, random: &mut Random, events: &mut Vec<Event>) -> bool {
    let before = events.len();
    if happens(random, chances.vanish) && cluster.nodes.len() > 1 {
        let node = cluster.nodes.remove(random.below(cluster.nodes.len())).name;
        let mut count = 0;
        for task in &mut cluster.tasks {
            if task.placement.iter().any(|piece| piece.node == node) {
                task.placement.retain(|piece| piece.node != node);
                count += usize::from(task.placement.is_empty());
            }
        }
        // A class that no node has any more has no costs: the cluster stays sound.
        let left: BTreeSet<&str> = cluster.nodes.iter().map(|node| node.move_class.as_deref().unwrap_or("")).collect();
        if let Some(costs) = &mut cluster.objective.move_costs {
            costs.between.retain(|(from, to, _)| left.contains(from.as_str()) && left.contains(to.as_str()));
        }
        events.push(Event::Vanished(node, count));
    }
    if happens(random, chances.grow) && !cluster.tasks.is_empty() {
        let task = random.below(cluster.tasks.len());
        let task = &mut cluster.tasks[task];
        task.requirement.values_mut().for_each(|amount| *amount = (*amount + (*amount + 9) / 10).min(AMOUNT_MAX));
        events.push(Event::Grew(task.name.clone()));
    }
    events.len() > before
}

/// True so many times in a million.
fn happens(random: &mut Random, millionths: u32) -> bool {
    random.below(1_000_000) < millionths as usize
}
