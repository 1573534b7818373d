//! Which moves must go when all run at once and a rule or a cap is exceeded? Only `simultaneous` mode drops moves this way.

use super::flight::Flight;
use super::step::Step;
use crate::model::{Place, Problem, Spot};
use std::collections::{BTreeSet, HashMap};

/// The least valuable units (steps come most valuable first) beyond the caps on moves at one time.
pub(super) fn least_valuable(problem: &Problem, steps: &[(usize, &Step)]) -> BTreeSet<usize> {
    let mut dropped = BTreeSet::new();
    let mut unavailable = HashMap::new();
    let mut moves_at = HashMap::new();
    let mut flight = Flight::default();
    for (unit, step) in steps {
        flight.shift(problem, step, true);
        let alone = std::slice::from_ref(*step);
        if flight.exceeded(problem, alone).is_some() || flight.crowded_node(problem, alone).is_some() {
            flight.shift(problem, step, false);
            dropped.insert(*unit);
        }
        if let Some(group) = problem.tasks[step.task.index()].group.filter(|_| step.is_moved()) {
            let count: &mut u32 = unavailable.entry(group).or_default();
            *count += 1;
            if problem.groups[group.index()].max_unavailable.is_some_and(|most| *count > most) {
                dropped.insert(*unit);
            }
        }
        for touch in &step.touches {
            let count: &mut u32 = moves_at.entry(touch.node).or_default();
            *count += 1;
            if problem.moves.max_per_node.is_some_and(|most| *count > most) {
                dropped.insert(*unit);
            }
        }
    }
    dropped
}

/// True when taking the step back could make the violation smaller.
pub(super) fn takes_part(problem: &Problem, step: &Step, place: Place) -> bool {
    let from = problem.current.spot(step.task);
    let group = problem.tasks[step.task.index()].group;
    let enters = |l, d| in_domain(problem, &step.to, l, d) && !in_domain(problem, from, l, d);
    let leaves = |l, d| !in_domain(problem, &step.to, l, d) && in_domain(problem, from, l, d);
    match place {
        Place::NodeResource(node, _) => step.touches.iter().any(|t| t.node == node && t.parts_after > t.parts_before),
        Place::NodeDevice(node, _) | Place::DeviceMemory(node, _) => step.to.is_on(node),
        Place::Task(task) | Place::TaskNode(task, _) => step.task == task,
        Place::GroupDomain(g, l, d) => group == Some(g) && enters(l, d),
        Place::GroupLevel(g, _) => group == Some(g),
        Place::Needs(g, other, l, d) => (group == Some(g) && enters(l, d)) || (group == Some(other) && leaves(l, d)),
        Place::Group(g) => group == Some(g) && (step.starts() || step.stops()),
        Place::Plan => step.is_moved(),
    }
}

fn in_domain(problem: &Problem, spot: &Spot, level: crate::model::LevelId, domain: crate::model::DomainId) -> bool {
    spot.pieces().iter().any(|piece| problem.domain(piece.node, level) == domain)
}
