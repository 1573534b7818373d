//! Which devices count their memory, and who asks for some? Added to a random snapshot after everything else, by a stream of its own.

use super::{Kinds, Rng};
use bayplan::model::*;

/// Gives memory to some devices and requests of half of all snapshots. Where no start may break rules, who runs asks for no more than is
/// left; else anything may be.
pub fn give_memory(snapshot: &mut Snapshot, rng: &mut Rng, kinds: Kinds) {
    if !kinds.devices || rng.chance(50) {
        return;
    }
    // Powers of two and round figures, and figures that have no divisor in common.
    let unit = *rng.pick(if kinds.large_figures { &[1, 1024, 7_000_003, 1 << 34] } else { &[1, 1, 1024] });
    let amount = |rng: &mut Rng, most: i64| {
        let odd = if unit > 1 && rng.chance(15) { 1 } else { 0 };
        rng.range(1, most) * unit + odd
    };
    for devices in snapshot.nodes.iter_mut().flat_map(|node| &mut node.devices) {
        devices.memory = rng.chance(75).then(|| amount(rng, 12));
    }
    let mut left: Vec<Vec<Option<i64>>> = snapshot.nodes.iter().map(totals).collect();
    let may_break = kinds.broken_start && rng.chance(30);
    let nodes: Vec<String> = snapshot.nodes.iter().map(|node| node.name.clone()).collect();
    for task in &mut snapshot.tasks {
        let Some(request) = task.device.as_mut().filter(|_| rng.chance(60)) else { continue };
        let memory = amount(rng, 8);
        let held = task.placement.iter().flat_map(|piece| {
            let node = nodes.iter().position(|name| *name == piece.node).expect("it runs on a node");
            piece.devices.iter().map(move |device| (node, *device as usize))
        });
        let held: Vec<(usize, usize)> = held.collect();
        if may_break || held.iter().all(|(node, d)| left[*node][*d].is_some_and(|left| left >= memory)) {
            request.memory = Some(memory);
            held.iter().for_each(|(node, d)| left[*node][*d] = left[*node][*d].map(|left| left - memory));
        }
    }
    for item in snapshot.objective.fragmentation.iter_mut().flat_map(|term| &mut term.mix) {
        item.device.memory = rng.chance(40).then(|| amount(rng, 8));
    }
}

/// Takes away what [`give_memory`] gives.
pub fn take_memory(snapshot: &mut Snapshot) {
    snapshot.nodes.iter_mut().flat_map(|node| &mut node.devices).for_each(|devices| devices.memory = None);
    let mix = snapshot.objective.fragmentation.iter_mut().flat_map(|term| &mut term.mix).map(|item| &mut item.device);
    let requests = snapshot.tasks.iter_mut().flat_map(|task| &mut task.device).chain(mix);
    requests.for_each(|request| request.memory = None);
}

fn totals(node: &NodeSpec) -> Vec<Option<i64>> {
    node.devices.iter().flat_map(|devices| std::iter::repeat_n(devices.memory, devices.count as usize)).collect()
}
