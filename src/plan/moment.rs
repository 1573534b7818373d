//! What is a wave like at its worst moment? The fullest node that it touches, and what is in flight.
//!
//! Told to people by a report, as the ordering counts it; the verifier decides with counts of its own.

use super::flight::carried;
use super::slots::Slots;
use super::step::{Hop, Step};
use super::wave::Wave;
use super::{Move, Plan};
use crate::model::{NodeId, Problem, ResourceId, SHARE_ONE};
use std::collections::{BTreeMap, BTreeSet};

/// An amount on a node. Scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fill {
    /// The node.
    pub node: NodeId,
    /// Of what.
    pub resource: ResourceId,
    /// Held at the worst moment: by all sources and targets at once where the resource is transient and the task does not restart.
    pub held: i128,
    /// Capacity, more than 0.
    pub capacity: i128,
}

/// The worst moment of a wave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// The fullest that any node gets that the wave touches, as a part of its capacity; the first of equals.
    pub fullest: Option<Fill>,
    /// Scaled amounts that running tasks take along to another node, by resource of the snapshot.
    pub in_flight: Vec<i128>,
}

/// One per wave of a plan that holds.
pub fn moments(problem: &Problem, plan: &Plan) -> Vec<Moment> {
    let slots = Slots::new(problem);
    let mut wave = Wave::new(problem, &slots);
    let moment = |steps: &Vec<Move>| {
        let ends = |step: &Move| Step::between(problem, &slots, step.task, [&step.from, &step.to], Hop::Whole);
        let steps: Vec<Step> = steps.iter().map(ends).collect();
        wave.add(&steps);
        let nodes: BTreeSet<NodeId> = steps.iter().flat_map(|step| &step.touches).map(|touch| touch.node).collect();
        let peak: BTreeMap<NodeId, Vec<i128>> = nodes.into_iter().map(|node| (node, wave.peaks(node))).collect();
        wave.commit();
        let carried = |r| steps.iter().map(|step| carried(problem, step, r)).sum();
        let own = problem.own_resources().len();
        Moment { fullest: fullest(problem, &peak), in_flight: (0..own).map(carried).collect() }
    };
    plan.waves.iter().map(moment).collect()
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
        // What burst and spot pools count by is no room.
        held.iter().take(problem.own_resources().len()).enumerate().map(fill).filter(|fill| fill.capacity > 0)
    });
    // In millionths: a product of two scaled amounts might not fit.
    let part = |fill: &Fill| fill.held * 1_000_000 / fill.capacity;
    fills.reduce(|best, fill| if part(&fill) > part(&best) { fill } else { best })
}
