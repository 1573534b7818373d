//! `transient`: nearly full, and all moves happen at once, so that a task needs room on its new node before anything has left it.
//!
//! Three of four resources are transient: what moves stays on its old node to the end. Only cpu costs points above its soft
//! limit, so the room that moves need is in other resources than those that pay. Services of up to six tasks never share a
//! node; moving far costs more than moving near.

use super::Order;
use super::carve::{Rows, carve, loads};
use super::draft::{self, Kind, running};
use crate::model::{GroupSpec, MoveCostsSpec, MoveMode, ObjectiveSpec, Snapshot};
use crate::random::{Purpose, Random};

const KINDS: [Kind<'static>; 4] =
    [("cpu", "milli", false), ("memory", "MiB", true), ("disk", "GiB", true), ("ports", "", true)];
const NODES: [[i64; 4]; 2] = [[32_000, 131_072, 4_000, 10_000], [64_000, 262_144, 6_000, 10_000]];
/// Regions, each a class of move costs.
const REGION_COUNT: usize = 4;
/// A service has at most this many tasks.
const SERVICE_SIZE_MAX: usize = 6;
/// How much below the fill each resource is, in thousandths: cpu is the one to even out, ports have room.
const BELOW_FILL: [i64; 4] = [150, 0, 0, 200];

pub(super) fn snapshot(order: &Order) -> Snapshot {
    let mut random = Random::new(order.seed, Purpose::Nodes);
    let mut capacity = Rows::new(KINDS.len());
    (0..order.nodes).for_each(|_| capacity.push(&random.pick(&NODES)));
    let fill = BELOW_FILL.map(|below| order.fill_percent * 10 - below);
    let mut random = Random::new(order.seed, Purpose::Loads);
    let loads = loads(&capacity, &fill, |_, part| {
        part.copy_from_slice(&[random.range(500, 1000), 0, 0, random.range(600, 900)]);
        // A few nodes have room: without any, nothing could move.
        let roomy = random.chance(150);
        let (low, high) = if roomy { (600, 850) } else { (920, 1000) };
        (1..=2).for_each(|r| part[r] = random.range(low, high));
    });
    let mut sizes = Random::new(order.seed, Purpose::Sizes);
    let carved = carve(&loads, order.tasks, &mut sizes, |random, row| {
        row.fill_with(|| random.log_normal(1000, 80).min(8000));
    });
    let mut snapshot = draft::cluster(order, &KINDS, &capacity);
    let region = |node: usize| format!("region-{}", node * REGION_COUNT / order.nodes);
    for (n, node) in snapshot.nodes.iter_mut().enumerate() {
        node.move_class = Some(region(n));
    }
    let demand = carved.need.total(0);
    let all = capacity.total(0).max(1);
    draft::soft_limits(&mut snapshot, &capacity, 0, |room| (i128::from(room) * demand / all) as i64 + 1);
    snapshot.resources[0].load_weight = 10;
    // Only regions that have a node may be named.
    let regions: std::collections::BTreeSet<String> = (0..order.nodes).map(region).collect();
    let near = regions.iter().map(|region| (region.clone(), region.clone(), 1)).collect();
    snapshot.objective = ObjectiveSpec {
        task_move_weight: 1,
        group_move_weight: 10,
        node_move_weight: 20,
        move_costs: Some(MoveCostsSpec { default: 3, between: near }),
        ..ObjectiveSpec::default()
    };
    snapshot.moves.mode = MoveMode::Simultaneous;
    let services = services(order, &carved.home, &mut snapshot);
    let mut tasks = Vec::with_capacity(order.tasks);
    for (t, (need, home)) in carved.need.iter().zip(&carved.home).enumerate() {
        let mut task = running(&KINDS, need, *home);
        task.group = services[t].clone();
        task.move_cost = sizes.range(1, 9);
        tasks.push(task);
    }
    draft::add_tasks(&mut snapshot, order, tasks);
    snapshot
}

/// Tasks drawn in random order join the service at hand unless it has one on their node already; such a task stays alone.
fn services(order: &Order, home: &[usize], snapshot: &mut Snapshot) -> Vec<Option<String>> {
    let mut random = Random::new(order.seed, Purpose::Groups);
    let mut list: Vec<usize> = (0..home.len()).collect();
    random.shuffle(&mut list);
    let mut service = vec![None; home.len()];
    let mut nodes: Vec<usize> = Vec::new();
    let mut size = 0;
    for task in list {
        if nodes.len() >= size {
            size = random.range(1, SERVICE_SIZE_MAX as i64) as usize;
            nodes.clear();
            let name = format!("service-{}", snapshot.groups.len());
            snapshot.groups.push(GroupSpec { name, conflict: vec!["node".to_string()], ..GroupSpec::default() });
        }
        if !nodes.contains(&home[task]) {
            nodes.push(home[task]);
            service[task] = snapshot.groups.last().map(|group| group.name.clone());
        }
    }
    service
}
