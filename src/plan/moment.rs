//! What is a wave like at its worst moment? The fullest node that it touches, and what is in flight.
//!
//! Told to people by a report; the ordering and the verifier decide with counts of their own.

use super::Plan;
use crate::model::{NodeId, Piece, Problem, ResourceId, SHARE_ONE, Spot, Usage};
use std::collections::{BTreeMap, BTreeSet};

/// An amount on a node. Scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fill {
    /// The node.
    pub node: NodeId,
    /// Of what.
    pub resource: ResourceId,
    /// Held at the worst moment: by all sources and targets at once where the resource is transient.
    pub held: i128,
    /// Capacity, more than 0.
    pub capacity: i128,
}

/// The worst moment of a wave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// The fullest that any node gets that the wave touches, as a part of its capacity; the first of equals.
    pub fullest: Option<Fill>,
    /// Scaled amounts that running tasks take along to another node. Shape: resource_count.
    pub in_flight: Vec<i128>,
}

/// One per wave of a plan that holds.
///
/// # Panics
/// As [`Plan::states`].
pub fn moments(problem: &Problem, plan: &Plan) -> Vec<Moment> {
    let mut state = problem.current.clone();
    let mut usage = Usage::of(problem, &state);
    let mut moments = Vec::with_capacity(plan.waves.len());
    for wave in &plan.waves {
        let mut peak: BTreeMap<NodeId, Vec<i128>> = BTreeMap::new();
        let mut in_flight = vec![0; problem.resources.len()];
        for step in wave {
            let (old, new) = (state.spot(step.task).pieces(), step.to.pieces());
            let nodes: BTreeSet<NodeId> = old.iter().chain(new).map(|piece| piece.node).collect();
            for node in nodes {
                let arriving = (parts(new, node) - parts(old, node)).max(0);
                let held = peak.entry(node).or_insert_with(|| usage.amounts(node).to_vec());
                for (r, amount) in problem.requirement(step.task).iter().enumerate() {
                    let arriving = i128::from(*amount) * arriving;
                    held[r] += if problem.resources[r].transient { arriving } else { 0 };
                    in_flight[r] += if old.is_empty() { 0 } else { arriving };
                }
            }
        }
        for step in wave {
            let old: Spot = state.spot(step.task).clone();
            usage.remove(problem, step.task, &old);
            usage.add(problem, step.task, &step.to);
            state.set(step.task, step.to.clone());
        }
        // What is not transient switches at once: the end of the wave may be its worst moment.
        for (node, held) in &mut peak {
            held.iter_mut().zip(usage.amounts(*node)).for_each(|(held, after)| *held = (*held).max(*after));
        }
        moments.push(Moment { fullest: fullest(problem, &peak), in_flight });
    }
    moments
}

fn parts(pieces: &[Piece], node: NodeId) -> i128 {
    pieces.iter().filter(|piece| piece.node == node).map(|piece| i128::from(piece.share.parts())).sum()
}

fn fullest(problem: &Problem, peak: &BTreeMap<NodeId, Vec<i128>>) -> Option<Fill> {
    let fills = peak.iter().flat_map(|(node, held)| {
        let capacity = |r: usize| i128::from(problem.allocatable(*node)[r]) * i128::from(SHARE_ONE);
        let fill = move |(r, held): (usize, &i128)| Fill {
            node: *node,
            resource: ResourceId::new(r),
            held: *held,
            capacity: capacity(r),
        };
        held.iter().enumerate().map(fill).filter(|fill| fill.capacity > 0)
    });
    // In millionths: a product of two scaled amounts might not fit.
    let part = |fill: &Fill| fill.held * 1_000_000 / fill.capacity;
    fills.reduce(|best, fill| if part(&fill) > part(&best) { fill } else { best })
}
