//! `balance`: a third of the nodes is nearly full, many are nearly empty, and evening that out costs moves.
//!
//! Modelled on clusters of 1,000 and 10,000 tasks that were used to compare balancers: log-normal cpu (σ 1), memory that
//! follows it loosely (σ 0.6), GPU milli for 6 % of the tasks on 28 % of the nodes, three sizes of nodes, racks of 20, jobs of
//! about eight tasks. The utilisation of nodes has a standard deviation of .32 to .36 per resource. Evenly spread, load costs
//! nothing, so the weights are (all but) the bound.

use super::carve::{Rows, carve, loads};
use super::draft::{self, Kind};
use super::{Order, draft::running};
use crate::model::Snapshot;
use crate::random::{Purpose, Random};

const KINDS: [Kind<'static>; 3] = [("cpu", "milli", true), ("memory", "MiB", true), ("gpu", "percent", true)];
/// A node's cpu; its memory follows.
const NODE_CPU: [i64; 10] = [6400, 6400, 6400, 6400, 6400, 9600, 9600, 9600, 12_800, 12_800];
const NODE_MEMORY_PER_CPU: i64 = 40;
/// Eight devices.
const NODE_GPU: i64 = 800;
const NODE_GPU_PER_MILLE: i64 = 284;
/// Share of GPU tasks on a node with GPUs: 6 % of all.
const TASK_GPU_PER_MILLE: i64 = 225;
const TASK_GPU: [i64; 13] = [25, 25, 25, 25, 50, 50, 50, 50, 100, 100, 100, 200, 400];
const TASK_WEIGHT: [i64; 20] = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 4, 4, 4, 8];
const RACK_SIZE: usize = 20;
/// Memory is used a little less than cpu.
const MEMORY_PER_CPU_PERCENT: i64 = 93;

pub(super) fn snapshot(order: &Order) -> Snapshot {
    let mut random = Random::new(order.seed, Purpose::Nodes);
    let mut capacity = Rows::new(KINDS.len());
    for _ in 0..order.nodes {
        let cpu = random.pick(&NODE_CPU);
        let gpu = if random.chance(NODE_GPU_PER_MILLE) { NODE_GPU } else { 0 };
        capacity.push(&[cpu, cpu * NODE_MEMORY_PER_CPU, gpu]);
    }
    let mut random = Random::new(order.seed, Purpose::Loads);
    let fill = order.fill_percent * 10;
    let loads = loads(&capacity, &[fill, fill * MEMORY_PER_CPU_PERCENT / 100, 0], |_, part| {
        // Their mean is 62 %, the usual fill, and their standard deviation 32 %.
        part[0] = if random.chance(360) { random.range(940, 1000) } else { random.range(10, 840) };
        part[1] = (part[0] * random.range(780, 1080) / 1000).min(1000);
        part[2] = 0;
    });
    let mut random = Random::new(order.seed, Purpose::Sizes);
    let mut carved = carve(&loads, order.tasks, &mut random, |random, row| {
        // A tenth to ten times the median, as in the model.
        row[0] = random.log_normal(1000, 100).clamp(50, 9500);
        row[1] = random.log_normal(row[0], 59);
        row[2] = 0;
    });
    let mut random = Random::new(order.seed, Purpose::Devices);
    let mut gpu_left: Vec<i64> = capacity.iter().map(|row| row[2]).collect();
    for (t, home) in carved.home.iter().enumerate() {
        let gpu = random.pick(&TASK_GPU);
        if random.chance(TASK_GPU_PER_MILLE) && gpu <= gpu_left[*home] {
            gpu_left[*home] -= gpu;
            carved.need.row_mut(t)[2] = gpu;
        }
    }
    let mut snapshot = draft::cluster(order, &KINDS, &capacity);
    draft::add_racks(&mut snapshot, RACK_SIZE);
    let mut job = draft::add_jobs(&mut snapshot, order);
    let (mut groups, mut weights) =
        (Random::new(order.seed, Purpose::Groups), Random::new(order.seed, Purpose::Weights));
    let mut tasks = Vec::with_capacity(order.tasks);
    for (need, home) in carved.need.iter().zip(&carved.home) {
        let mut task = running(&KINDS, need, *home);
        task.weight = weights.pick(&TASK_WEIGHT);
        task.group = job(&mut groups);
        tasks.push(task);
    }
    let demand: Vec<i128> = (0..KINDS.len()).map(|r| carved.need.total(r)).collect();
    draft::soft_limits_at_mean(&mut snapshot, &capacity, &demand);
    draft::add_tasks(&mut snapshot, order, tasks);
    snapshot
}
