//! How does a chain run on a device? Its state goes there once; batches of rounds run there; what comes back is audited
//! before it counts.
//!
//! The chain on the host is always the last state that passed. So whatever a device does (fails, hangs, computes wrongly), the
//! search goes on from there on the CPU, which does the same rounds with the same result.

use super::audit::Audit;
use super::chain::{Best, Chain};
use super::heat::Kind;
use super::image::image;
use super::pack::Pack;
use super::round::RoundPlan;
use super::state::State;
use super::team::chains_max;
use crate::gpu::{Error, Gpu, Landed, Rounds};
use crate::kernel::layout::{CONTROL_MOVED, Image, Params, RESULT_BLOCKS};
use crate::kernel::points::HomePrice;
use crate::kernel::tally::Tally;
use crate::model::Problem;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Rounds of a batch at most.
const BATCH_MAX: usize = 256;
/// A batch takes about so long, or ten audits: long enough to hide their cost, short enough to stop in good time.
const BATCH_TIME: Duration = Duration::from_millis(100);
/// A batch takes about so long at most: some drivers reset a device that is busy for two seconds.
const BATCH_TIME_MAX: Duration = Duration::from_millis(800);

/// An opened device with a problem that it can hold.
#[derive(Debug, Clone)]
pub struct Device {
    gpu: Arc<Gpu>,
    image: Arc<Image>,
}

impl Device {
    /// Prepares a problem for a device.
    ///
    /// # Errors
    /// [`Error::Unusable`] when it is too large for the device's buffers.
    pub fn new(gpu: Arc<Gpu>, problem: &Problem) -> Result<Device, Error> {
        Device::of(gpu, image(problem, &Pack::new(problem)))
    }

    /// The device with another problem, or the same one at another point: who is at home where is part of what it holds.
    ///
    /// # Errors
    /// See [`Device::new`].
    pub(super) fn with(&self, problem: &Problem, pack: &Pack) -> Result<Device, Error> {
        Device::of(Arc::clone(&self.gpu), image(problem, pack))
    }

    fn of(gpu: Arc<Gpu>, image: Image) -> Result<Device, Error> {
        gpu.check_room(&image)?;
        Ok(Device { gpu, image: Arc::new(image) })
    }

    /// The device.
    pub fn gpu(&self) -> &Arc<Gpu> {
        &self.gpu
    }

    /// The problem's buffers.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Bytes on the device for all chains of a problem, in a long search: a short one has fewer.
    pub fn bytes(&self) -> u64 {
        self.image.bytes() * chains_max(self.image.params.node_count as usize) as u64
    }
}

/// What went wrong on a device. The search has gone on on the CPU with the same result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What happened.
    pub text: String,
    /// For a wrong result: what is needed to look into it.
    pub mismatch: Option<Box<Mismatch>>,
}

/// A batch whose result did not pass the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Seed of the chain.
    pub seed: u32,
    /// What the chain is like.
    pub kind: Kind,
    /// First round of the batch.
    pub round: u32,
    /// Tasks that may be displaced in the best state.
    pub displaced_max: u32,
    /// What being away from home costs on top in each round.
    pub home_prices: Vec<HomePrice>,
    /// Temperature of each round, 256ths of a point.
    pub temperatures: Vec<i64>,
    /// Node of each task before, `u32::MAX` = none.
    pub at: Vec<u32>,
    /// Devices of each task before.
    pub devices: Vec<u64>,
    /// Node of each task that the device says.
    pub at_landed: Vec<u32>,
    /// Devices of each task that the device says.
    pub devices_landed: Vec<u64>,
    /// What the device says about points.
    pub results: Vec<i64>,
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        Trouble { text: error.to_string(), mismatch: None }
    }
}

/// A chain's other half.
pub struct OnDevice {
    rounds: Rounds,
    params: Params,
    audit: Arc<Audit>,
    /// Rounds of the next batch.
    batch: usize,
    /// Time per round, of the last batch.
    per_round: Duration,
}

impl OnDevice {
    /// Brings a chain to a device.
    ///
    /// # Errors
    /// When the device has no room or fails.
    pub fn new(device: &Device, chain: &Chain, audit: Arc<Audit>) -> Result<OnDevice, Error> {
        let rounds = Rounds::new(Arc::clone(&device.gpu), &device.image)?;
        rounds.write(&launched(&device.image, chain));
        // The first batch is one round: nobody knows yet how long one takes, and it is done again on the CPU.
        Ok(OnDevice { rounds, params: device.image.params, audit, batch: 1, per_round: Duration::ZERO })
    }

    /// Rounds to run next, and how long each will take.
    pub fn next_batch(&self, time_left: Option<Duration>) -> (usize, Option<Duration>) {
        let fits = time_left.map_or(usize::MAX, |left| (left.as_nanos() / self.per_round.as_nanos().max(1)) as usize);
        (self.batch.min(fits).max(1), Some(self.per_round))
    }

    /// Runs rounds and takes their result over if it passes.
    ///
    /// # Errors
    /// What went wrong. The chain is then at its last good state, so the same rounds can be done here.
    pub fn advance(chain: &mut Chain, problem: &Problem, pack: &Pack, plans: &[RoundPlan]) -> Result<(), Trouble> {
        let this = chain.device.as_ref().expect("only called with a device");
        let started = Instant::now();
        let settings: Vec<Params> = plans.iter().map(|plan| plan.settings(&this.params)).collect();
        let landed = this.rounds.run(&settings)?;
        let ran = started.elapsed();
        let mismatch = mismatch_of(chain, plans, &this.params, &landed);
        let checked = Landing::new(pack, &this.params, &landed);
        let checked = checked.and_then(|landing| this.audit.check(problem, pack, chain, &landing).map(|()| landing));
        let landing = checked.map_err(&mismatch)?;
        if this.per_round.is_zero() {
            // A shader that the driver gets wrong may still keep every rule and sum; the first batch is done again here.
            plans.iter().for_each(|plan| chain.step(problem, pack, plan));
            if landing != Landing::of(chain) {
                return Err(mismatch("its first round is not the one that the CPU does".to_string()));
            }
        } else {
            (chain.state, chain.best, chain.tally) = (landing.state, landing.best, landing.tally);
            chain.round += plans.len() as u32;
        }
        let this = chain.device.as_mut().expect("as above");
        this.per_round = (ran / plans.len() as u32).max(Duration::from_nanos(1));
        let wanted = ((started.elapsed() - ran) * 10).clamp(BATCH_TIME, BATCH_TIME_MAX);
        let fits = (wanted.as_nanos() / this.per_round.as_nanos()) as usize;
        this.batch = fits.clamp(1, (plans.len() * 2).min(BATCH_MAX));
        Ok(())
    }
}

/// Brings all chains to the device; where it refuses one, none runs there.
pub fn launch(device: &Device, chains: &mut [Chain], audit: &Arc<Audit>) -> Option<Trouble> {
    let launched: Result<Vec<_>, Error> =
        chains.iter().map(|chain| OnDevice::new(device, chain, Arc::clone(audit))).collect();
    match launched {
        Ok(launched) => {
            chains.iter_mut().zip(launched).for_each(|(chain, launched)| chain.device = Some(launched));
            None
        }
        Err(error) => Some(error.into()),
    }
}

/// Makes the report of a batch from what was before it.
fn mismatch_of(
    chain: &Chain,
    plans: &[RoundPlan],
    params: &Params,
    landed: &Landed,
) -> impl Fn(String) -> Trouble + use<> {
    let tasks = params.task_count as usize;
    let mismatch = Mismatch {
        seed: chain.seed,
        kind: chain.kind,
        round: chain.round,
        displaced_max: chain.displaced_max,
        home_prices: plans.iter().map(|plan| plan.home).collect(),
        temperatures: plans.iter().map(|plan| plan.temperature).collect(),
        at: chain.state.at.clone(),
        devices: chain.state.devices.clone(),
        at_landed: landed.state[params.s_at as usize..][..tasks].to_vec(),
        devices_landed: wides(&landed.state[params.s_devices as usize..][..2 * tasks]),
        results: landed.results.clone(),
    };
    move |text| Trouble { text, mismatch: Some(Box::new(mismatch.clone())) }
}

/// What a device says a chain has become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landing {
    /// Where everything is.
    pub state: State,
    /// The best so far.
    pub best: Best,
    /// Its points.
    pub tally: Tally,
}

impl Landing {
    /// Reads what came back.
    ///
    /// # Errors
    /// When it cannot be: tables overrun, figures out of their range.
    pub fn new(pack: &Pack, params: &Params, landed: &Landed) -> Result<Landing, String> {
        if landed.control[1] != 0 {
            return Err("the tables of its groups ran over".to_string());
        }
        let (tasks, nodes) = (params.task_count as usize, params.node_count as usize);
        let part = |start: u32, length: usize| &landed.state[start as usize..][..length];
        let signed = |start: u32| part(start, nodes * pack.lanes).iter().map(|word| *word as i32).collect();
        let at = |start: u32| -> Result<Vec<u32>, String> {
            let list = part(start, tasks);
            match list.iter().position(|node| *node != super::pack::NOWHERE && *node as usize >= nodes) {
                Some(task) => Err(format!("task {task} is on node {}, which does not exist", list[task])),
                None => Ok(list.to_vec()),
            }
        };
        let state = State {
            at: at(params.s_at)?,
            devices: wides(part(params.s_devices, 2 * tasks)),
            used: signed(params.s_used),
            held: signed(params.s_held),
            tasks_here: part(params.s_tasks_here, nodes).to_vec(),
            device_used: part(params.s_device_used, nodes * pack.shared.device_width).to_vec(),
            moved_in_group: landed.control[CONTROL_MOVED as usize..][..pack.groups.len()].to_vec(),
            displaced: landed.results[1],
        };
        let best = Best { at: at(params.s_best_at)?, devices: wides(part(params.s_best_devices, 2 * tasks)) };
        let results = &landed.results;
        let tally = Tally {
            points: results[0],
            displaced: results[1],
            evaluations: results[2] as u64,
            best_points: results[3],
            best_displaced: results[4],
            group_points: results[5],
            overfull: results[6],
        };
        Ok(Landing { state, best, tally })
    }

    /// What the chain on the host is.
    pub fn of(chain: &Chain) -> Landing {
        Landing { state: chain.state.clone(), best: chain.best.clone(), tally: chain.tally }
    }
}

/// What a chain is, in the device's layout: the other way round than [`Landing::new`].
pub fn launched(image: &Image, chain: &Chain) -> Landed {
    let State { at, devices, moved_in_group, .. } = &chain.state;
    let mut state = Vec::with_capacity(image.state_length as usize);
    state.extend_from_slice(at);
    state.extend(words(devices));
    state.extend(node_words(&chain.state));
    state.extend_from_slice(&chain.best.at);
    state.extend(words(&chain.best.devices));
    let mut control = vec![0; CONTROL_MOVED as usize];
    control.extend_from_slice(moved_in_group);
    let Tally { points, displaced, evaluations, best_points, best_displaced, group_points, overfull } = chain.tally;
    let mut results = vec![points, displaced, evaluations as i64, best_points, best_displaced, group_points, overfull];
    results.resize(RESULT_BLOCKS as usize, 0);
    Landed { state, control, results }
}

/// The nodes' part of a state, in the device's layout.
pub fn node_words(state: &State) -> Vec<u32> {
    let sums = state.used.iter().chain(&state.held).map(|amount| *amount as u32);
    let devices = state.device_used.iter().copied();
    sums.chain(state.tasks_here.iter().copied()).chain(devices).collect()
}

fn words(wides: &[u64]) -> impl Iterator<Item = u32> + '_ {
    wides.iter().flat_map(|wide| [*wide as u32, (*wide >> 32) as u32])
}

fn wides(words: &[u32]) -> Vec<u64> {
    words.chunks_exact(2).map(|pair| u64::from(pair[0]) | u64::from(pair[1]) << 32).collect()
}
