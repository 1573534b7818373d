//! `wide`: many resources that have nothing to do with each other, so that a node is full in one and empty in the next.
//!
//! Every third resource is held on both nodes by a moving task. Soft limits are drawn per node and resource between half and
//! nine tenths of the capacity; a task needs about two thirds of the resources.

use super::Order;
use super::carve::{Rows, carve, loads};
use super::draft::{self, Kind, running};
use crate::model::Snapshot;
use crate::random::{Purpose, Random};

/// Fewest units of a node: enough that cutting loses little.
const NODE_AMOUNT_MIN: i64 = 20_000;
const NODE_AMOUNT_MAX: i64 = 80_000;
const TASK_NEEDS_PER_MILLE: i64 = 650;

pub(super) fn snapshot(order: &Order) -> Snapshot {
    let names: Vec<String> = (0..order.resources).map(|r| format!("resource-{r}")).collect();
    let kinds: Vec<Kind<'_>> = names.iter().enumerate().map(|(r, name)| (name.as_str(), "", r % 3 == 2)).collect();
    let mut random = Random::new(order.seed, Purpose::Nodes);
    let mut capacity = Rows::new(order.resources);
    let mut row = vec![0; order.resources];
    for _ in 0..order.nodes {
        row.fill_with(|| random.range(NODE_AMOUNT_MIN, NODE_AMOUNT_MAX));
        capacity.push(&row);
    }
    let mut loads_random = Random::new(order.seed, Purpose::Loads);
    let fill = vec![order.fill_percent * 10; order.resources];
    let loads = loads(&capacity, &fill, |_, part| part.fill_with(|| loads_random.range(250, 950)));
    let mut sizes = Random::new(order.seed, Purpose::Sizes);
    let carved = carve(&loads, order.tasks, &mut sizes, |random, row| {
        for size in row.iter_mut() {
            *size = if random.chance(TASK_NEEDS_PER_MILLE) { random.log_normal(1000, 80).min(8000) } else { 0 };
        }
    });
    let mut snapshot = draft::cluster(order, &kinds, &capacity);
    for r in 0..order.resources {
        draft::soft_limits(&mut snapshot, &capacity, r, |room| room * random.range(500, 900) / 1000);
    }
    draft::weigh_load(&mut snapshot, &capacity);
    snapshot.objective.task_move_weight = 10;
    let tasks = carved.need.iter().zip(&carved.home).map(|(need, home)| running(&kinds, need, *home)).collect();
    draft::add_tasks(&mut snapshot, order, tasks);
    snapshot
}
