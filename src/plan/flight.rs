//! How much is in flight in a wave? The caps on moves at one time, as the ordering counts them.

use super::step::{Step, Touch};
use crate::model::{DomainId, LevelId, NodeId, Problem, SHARE_ONE};
use std::collections::{BTreeSet, HashMap};

/// What the moves of one wave use of the caps. Only what is capped is counted.
#[derive(Default)]
pub(super) struct Flight {
    moves: u32,
    from: HashMap<NodeId, u32>,
    to: HashMap<NodeId, u32>,
    domains: HashMap<(LevelId, DomainId), u32>,
    /// Scaled, by the order of `moves.max_amounts`.
    amounts: Vec<i128>,
}

/// True when a task arrives on the node, or holds more of it.
fn arrives(touch: &Touch) -> bool {
    touch.parts_after > touch.parts_before
}

fn leaves(touch: &Touch) -> bool {
    touch.parts_after < touch.parts_before
}

/// What a running task takes along, scaled.
pub(super) fn carried(problem: &Problem, step: &Step, r: usize) -> i128 {
    let parts = |t: &Touch| i128::from(t.parts_after) - i128::from(t.parts_before);
    let arriving: i128 = step.touches.iter().filter(|t| arrives(t)).map(parts).sum();
    if step.starts() || step.restarts { 0 } else { arriving * i128::from(problem.requirement(step.task)[r]) }
}

impl Flight {
    /// Counts a step, or takes it out again.
    pub(super) fn shift(&mut self, problem: &Problem, step: &Step, add: bool) {
        let rules = &problem.moves;
        let change = |count: &mut u32| *count = if add { *count + 1 } else { *count - 1 };
        change(&mut self.moves);
        for touch in &step.touches {
            if rules.max_from_node.is_some() && leaves(touch) {
                change(self.from.entry(touch.node).or_default());
            }
            if rules.max_to_node.is_some() && arrives(touch) {
                change(self.to.entry(touch.node).or_default());
            }
        }
        for (level, _) in &rules.max_per_domain {
            for domain in domains(problem, step, *level) {
                change(self.domains.entry((*level, domain)).or_default());
            }
        }
        self.amounts.resize(rules.max_amounts.len(), 0);
        for ((resource, _), sum) in rules.max_amounts.iter().zip(&mut self.amounts) {
            let amount = carried(problem, step, resource.index());
            *sum = if add { *sum + amount } else { *sum - amount };
        }
    }

    /// No further move may begin.
    pub(super) fn is_full(&self, problem: &Problem) -> bool {
        problem.moves.max_in_flight.is_some_and(|most| self.moves >= most)
    }

    /// The cap of the wave as a whole, or of a domain, that the unit, already counted, exceeds. What is more than a cap on
    /// amounts by itself may fly alone.
    pub(super) fn exceeded(&self, problem: &Problem, unit: &[Step]) -> Option<&'static str> {
        let rules = &problem.moves;
        let domain_full = |(level, most): &(LevelId, u32)| {
            let mut touched = unit.iter().flat_map(|step| domains(problem, step, *level));
            touched.any(|domain| self.domains.get(&(*level, domain)).is_some_and(|count| count > most))
        };
        let one = i128::from(SHARE_ONE);
        let mut amounts = rules.max_amounts.iter().zip(&self.amounts);
        if rules.max_in_flight.is_some_and(|most| self.moves > most) {
            return Some("max_in_flight");
        }
        if rules.max_per_domain.iter().any(domain_full) {
            return Some("max_per_domain");
        }
        let above = self.moves > 1 && amounts.any(|((_, most), sum)| *sum > i128::from(*most) * one);
        above.then_some("max_amounts")
    }

    /// The node that a unit, already counted, leaves or enters more often than it may, after the name of the cap.
    pub(super) fn crowded_node(&self, problem: &Problem, unit: &[Step]) -> Option<(&'static str, NodeId)> {
        let rules = &problem.moves;
        let caps = [("max_from_node", &self.from, rules.max_from_node), ("max_to_node", &self.to, rules.max_to_node)];
        let above = |node: NodeId| {
            let mut caps = caps.iter();
            let is_above = |counts: &HashMap<NodeId, u32>, most: u32| counts.get(&node).is_some_and(|c| *c > most);
            caps.find(|(_, counts, most)| most.is_some_and(|most| is_above(counts, most)))
                .map(|(name, ..)| (*name, node))
        };
        unit.iter().flat_map(|step| &step.touches).find_map(|touch| above(touch.node))
    }

    /// The wave has run.
    pub(super) fn clear(&mut self) {
        *self = Flight::default();
    }
}

/// Domains of a level that a step leaves, enters or changes something in.
fn domains(problem: &Problem, step: &Step, level: LevelId) -> BTreeSet<DomainId> {
    step.touches.iter().map(|touch| problem.domain(touch.node, level)).collect()
}
