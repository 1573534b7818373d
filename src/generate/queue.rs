//! `queue`: more is wanted than there is, so the question is who runs.
//!
//! Two thirds of the demand (at most 85 % of the capacity) runs, the rest waits. Weights are unequal for the same need, and a
//! quarter of the running tasks may be stopped for a better one. A third of the nodes has four or eight GPUs of one of two
//! models; tasks ask for one to eight whole ones, or for a part of one, some for one model only.

use super::Order;
use super::carve::{Rows, carve, loads};
use super::draft::{self, Kind, running, waiting};
use crate::model::{DEVICE_MILLI, DeviceRequestSpec, DevicesSpec, Snapshot, TaskKind};
use crate::random::{Purpose, Random};

const KINDS: [Kind<'static>; 2] = [("cpu", "milli", false), ("memory", "MiB", true)];
const NODES: [[i64; 2]; 3] = [[32_000, 131_072], [64_000, 262_144], [96_000, 393_216]];
const GPU_NODE_PER_MILLE: i64 = 333;
const GPU_COUNTS: [u32; 3] = [4, 8, 8];
const GPU_MODELS: [&str; 3] = ["a100", "l40", "l40"];
/// Greatest fill by running tasks, and the part of the demand that runs below that, in thousandths.
const RUNNING_FILL_MAX: i64 = 850;
const RUNNING_PART: i64 = 667;
/// Devices in use at the start, in thousandths, at most.
const GPU_BUSY: u64 = 700;
/// Whole devices of a request; every second request is for a part of one device instead.
const WHOLE_COUNTS: [u32; 10] = [1, 1, 1, 1, 1, 2, 2, 2, 4, 8];
const PART_MILLI: [u32; 6] = [100, 200, 250, 333, 500, 700];
/// Mean milli of a request, from the two lists above.
const REQUEST_MILLI_MEAN: u64 = (2_300 + 347) / 2;
/// Most waiting tasks that ask for devices, in thousandths.
const WAITING_GPU_MAX: i64 = 600;
const ONE_MODEL_PER_MILLE: i64 = 300;
const EVICTABLE_PER_MILLE: i64 = 250;
const PRIORITY: [i64; 10] = [1, 1, 1, 1, 2, 2, 2, 4, 4, 8];

pub(super) fn snapshot(order: &Order) -> Snapshot {
    let mut random = Random::new(order.seed, Purpose::Nodes);
    let mut devices = Random::new(order.seed, Purpose::Devices);
    let mut capacity = Rows::new(KINDS.len());
    let mut gpus: Vec<Gpus> = Vec::with_capacity(order.nodes);
    for _ in 0..order.nodes {
        capacity.push(&random.pick(&NODES));
        let count = if random.chance(GPU_NODE_PER_MILLE) { random.pick(&GPU_COUNTS) } else { 0 };
        gpus.push(Gpus { used: vec![0; count as usize], model: random.pick(&GPU_MODELS) });
    }
    let demand = order.fill_percent * 10;
    let run = (demand * RUNNING_PART / 1000).min(RUNNING_FILL_MAX);
    let mut random = Random::new(order.seed, Purpose::Loads);
    let loads = loads(&capacity, &[run, run], |_, part| part.fill_with(|| random.range(700, 1000)));
    // At least one runs: on it the sizes of the waiting ones are modelled.
    let count = (order.tasks * run as usize / demand as usize).max(1);
    let mut sizes = Random::new(order.seed, Purpose::Sizes);
    let carved = carve(&loads, count, &mut sizes, |random, row| {
        row[0] = random.log_normal(1000, 90).min(8000);
        row[1] = random.log_normal(row[0], 50);
    });

    let mut weights = Random::new(order.seed, Purpose::Weights);
    let mut tasks = Vec::with_capacity(order.tasks);
    for (need, home) in carved.need.iter().zip(&carved.home) {
        let mut task = running(&KINDS, need, *home);
        task.evictable = weights.chance(EVICTABLE_PER_MILLE);
        let request = request(&mut devices);
        let held = gpus[*home].take(&request);
        if !held.is_empty() {
            task.placement[0].devices = held;
            task.device = Some(request);
        }
        tasks.push(task);
    }
    // Drawn with replacement from the sizes that run: the same mix.
    let milli: u64 = gpus.iter().map(|gpus| gpus.used.len() as u64 * u64::from(DEVICE_MILLI)).sum();
    let held: u64 = gpus.iter().flat_map(|gpus| &gpus.used).map(|used| u64::from(*used)).sum();
    let wanted = (milli * demand as u64 / 1000).saturating_sub(held);
    let wait = (order.tasks - count) as u64;
    let chance = (wanted * 1000 / REQUEST_MILLI_MEAN / wait.max(1)).min(WAITING_GPU_MAX as u64) as i64;
    for _ in 0..wait {
        let mut task = waiting(&KINDS, carved.need.row(sizes.below(count)));
        task.evictable = true;
        task.kind = TaskKind::Job;
        if devices.chance(chance) {
            task.device = Some(request(&mut devices));
        }
        tasks.push(task);
    }
    for task in &mut tasks {
        let cpu = task.requirement.get("cpu").copied().unwrap_or(0);
        let milli = task.device.as_ref().map_or(0, |device| i64::from(device.count * device.milli));
        // A device is worth about as much as the cpu that goes with it.
        task.weight = ((cpu / 10 + milli) * weights.range(50, 150) / 100).max(1) * weights.pick(&PRIORITY);
    }
    let mut snapshot = draft::cluster(order, &KINDS, &capacity);
    for (node, gpus) in snapshot.nodes.iter_mut().zip(&gpus).filter(|(_, gpus)| !gpus.used.is_empty()) {
        let (kind, model) = ("gpu".to_string(), gpus.model.to_string());
        node.devices = vec![DevicesSpec { kind, model, count: gpus.used.len() as u32, memory: None }];
    }
    draft::add_tasks(&mut snapshot, order, tasks);
    snapshot
}

/// One to eight whole devices, or a part of one.
fn request(random: &mut Random) -> DeviceRequestSpec {
    let (count, milli) =
        if random.chance(500) { (random.pick(&WHOLE_COUNTS), DEVICE_MILLI) } else { (1, random.pick(&PART_MILLI)) };
    let models = if random.chance(ONE_MODEL_PER_MILLE) { vec![random.pick(&GPU_MODELS).to_string()] } else { vec![] };
    DeviceRequestSpec { kind: "gpu".to_string(), count, milli, memory: None, models }
}

/// The devices of a node, and what the running tasks hold of them.
struct Gpus {
    used: Vec<u32>,
    model: &'static str,
}

impl Gpus {
    /// Takes the first devices with room for the request; none where it does not fit or enough are busy.
    fn take(&mut self, request: &DeviceRequestSpec) -> Vec<u32> {
        let busy: u64 = self.used.iter().map(|used| u64::from(*used)).sum();
        let suits = request.models.is_empty() || request.models.iter().any(|model| model == self.model);
        if !suits || busy + u64::from(request.count * request.milli) > self.used.len() as u64 * GPU_BUSY {
            return Vec::new();
        }
        let free = (0..self.used.len()).filter(|d| self.used[*d] + request.milli <= DEVICE_MILLI);
        let held: Vec<usize> = free.take(request.count as usize).collect();
        if held.len() < request.count as usize {
            return Vec::new();
        }
        held.iter().for_each(|d| self.used[*d] += request.milli);
        held.into_iter().map(|d| d as u32).collect()
    }
}
