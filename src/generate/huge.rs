//! `huge`: a node holds one to three huge tasks, small ones fill what is left, and more huge ones wait for room.
//!
//! All the room that the waiting ones need is there, but nowhere in one piece: to start them, small tasks and other huge ones
//! have to make room first. This is packing at its hardest, with a bound (the weights of all tasks) that may not be reachable.

use super::Order;
use super::carve::{Rows, carve, loads, part_of};
use super::draft::{self, Kind, running, waiting};
use crate::model::Snapshot;
use crate::random::{Purpose, Random};

const KINDS: [Kind<'static>; 2] = [("cpu", "milli", false), ("memory", "MiB", true)];
const NODES: [[i64; 2]; 3] = [[64_000, 262_144], [64_000, 262_144], [96_000, 393_216]];
/// Least and greatest part of its node's load that a huge task has, in thousandths, where one, two or three share a node.
const PARTS: [(i64, i64); 3] = [(450, 850), (280, 420), (190, 300)];
/// Waiting tasks per thousand nodes, and how much of the cluster's capacity they need.
const WAITING_PER_MILLE: usize = 180;
const WAITING_NEED_PER_MILLE: i64 = 80;
/// At most one task in this many waits, however few there are.
const WAITING_PART_MIN: usize = 8;
/// Load beyond this part of a node's capacity costs points, in percent.
const SOFT_LIMIT_PERCENT: i64 = 95;

pub(super) fn snapshot(order: &Order) -> Snapshot {
    let mut random = Random::new(order.seed, Purpose::Nodes);
    let mut capacity = Rows::new(KINDS.len());
    (0..order.nodes).for_each(|_| capacity.push(&random.pick(&NODES)));

    let fill = order.fill_percent * 10 - WAITING_NEED_PER_MILLE;
    let mut random = Random::new(order.seed, Purpose::Loads);
    let mut loads = loads(&capacity, &[fill, fill], |_, part| part.fill_with(|| random.range(700, 940)));

    let mut sizes = Random::new(order.seed, Purpose::Sizes);
    let mut weights = Random::new(order.seed, Purpose::Weights);
    let mut tasks = Vec::with_capacity(order.tasks);
    let queue = (order.nodes * WAITING_PER_MILLE / 1000).min(order.tasks / WAITING_PART_MIN);
    for _ in 0..queue {
        // On average the need promised above, of a node of mean size.
        let part = WAITING_NEED_PER_MILLE * 1000 / WAITING_PER_MILLE as i64;
        let mut need = [0; KINDS.len()];
        for (r, need) in need.iter_mut().enumerate() {
            let mean = (capacity.total(r) / order.nodes as i128) as i64;
            *need = (mean * sizes.range(part - 150, part + 150) / 1000).min(NODES[0][r]);
        }
        let mut task = waiting(&KINDS, &need);
        task.weight = need[0] * weights.range(80, 120) / 10;
        tasks.push(task);
    }
    'nodes: for node in 0..order.nodes {
        let count = sizes.range(1, 3);
        let (low, high) = PARTS[count as usize - 1];
        let load = loads.row(node).to_vec();
        for _ in 0..count {
            if tasks.len() == order.tasks {
                break 'nodes;
            }
            let need: Vec<i64> = load.iter().map(|load| part_of(*load, sizes.range(low, high).into(), 1000)).collect();
            loads.row_mut(node).iter_mut().zip(&need).for_each(|(left, need)| *left -= need);
            let mut task = running(&KINDS, &need, node);
            task.weight = need[0] * weights.range(80, 120) / 100;
            tasks.push(task);
        }
    }
    let carved = carve(&loads, order.tasks - tasks.len(), &mut sizes, |random, row| {
        row.fill_with(|| random.log_normal(1000, 70));
    });
    for (need, home) in carved.need.iter().zip(&carved.home) {
        let mut task = running(&KINDS, need, *home);
        task.weight = need[0] / 10 + 1;
        tasks.push(task);
    }
    let mut snapshot = draft::cluster(order, &KINDS, &capacity);
    for r in 0..KINDS.len() {
        draft::soft_limits(&mut snapshot, &capacity, r, |room| room * SOFT_LIMIT_PERCENT / 100);
    }
    draft::weigh_load(&mut snapshot, &capacity);
    draft::add_tasks(&mut snapshot, order, tasks);
    snapshot
}
