//! How do CPU and device compare at the very same work? Rounds and tiles done by both, timed, and held to each other bit by
//! bit: the ground of `bayplan bench` and of the equality tests.

use super::Options;
use super::build::{Builder, build};
use super::chain::Chain;
use super::device::{Device, Landing, launched, node_words};
use super::heat::{Heat, Kind, SHIFT_SHARE};
use super::pack::Pack;
use super::round::{Cut, RoundPlan};
use super::schedule::{Part, Schedule};
use crate::control::{Control, on_threads};
use crate::gpu::{Error, Landed, Query, Rounds, Tiles, Timing};
use crate::kernel::layout::Params;
use crate::kernel::score::Target;
use crate::model::Problem;
use rayon::prelude::*;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Tasks per tile.
const TILE: usize = 128;

/// Time and outcome of a piece of work.
#[derive(Debug, Clone)]
pub struct Run<T> {
    /// Wall time, transfers included.
    pub time: Duration,
    /// What came of it.
    pub outcome: T,
}

/// State and working memory after some rounds; two of them are equal when every bit is.
#[derive(Debug, Clone)]
pub struct Laps {
    landing: Result<Landing, String>,
    memory: Vec<(&'static str, Vec<u32>)>,
}

impl Laps {
    /// Candidates judged.
    pub fn evaluations(&self) -> u64 {
        self.landing.as_ref().map_or(0, |landing| landing.tally.evaluations)
    }

    /// Points of the best state so far, counted from the start.
    pub fn best_points(&self) -> i64 {
        self.landing.as_ref().map_or(0, |landing| landing.tally.best_points)
    }

    /// The first thing in which the two differ.
    pub fn difference(&self, other: &Laps) -> Option<String> {
        let names = |laps: &Laps| laps.memory.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        if names(self) != names(other) {
            return Some(format!("what was read: {:?} and {:?}", names(self), names(other)));
        }
        for ((name, mine), (_, theirs)) in self.memory.iter().zip(&other.memory) {
            if let Some(i) = (0..mine.len().max(theirs.len())).find(|i| mine.get(*i) != theirs.get(*i)) {
                return Some(format!("{name}[{i}]: {:?} and {:?}", mine.get(i), theirs.get(i)));
            }
        }
        match (&self.landing, &other.landing) {
            (Ok(mine), Ok(theirs)) if mine == theirs => None,
            (Ok(mine), Ok(theirs)) => Some(state_difference(mine, theirs)),
            (Err(text), _) | (_, Err(text)) => Some(text.clone()),
        }
    }
}

fn state_difference(mine: &Landing, theirs: &Landing) -> String {
    let (a, b) = (&mine.state, &theirs.state);
    let place = |what: &str, i: Option<usize>| i.map(|i| format!("{what} {i} differs"));
    let first = |a: &[u32], b: &[u32]| a.iter().zip(b).position(|(a, b)| a != b);
    place("the node of task", first(&a.at, &b.at))
        .or_else(|| place("the devices of task", a.devices.iter().zip(&b.devices).position(|(a, b)| a != b)))
        .or_else(|| place("the use of slot", a.used.iter().zip(&b.used).position(|(a, b)| a != b)))
        .or_else(|| place("what is held in slot", a.held.iter().zip(&b.held).position(|(a, b)| a != b)))
        .or_else(|| place("the tasks on node", first(&a.tasks_here, &b.tasks_here)))
        .or_else(|| place("the best node of task", first(&mine.best.at, &theirs.best.at)))
        .unwrap_or_else(|| format!("{:?} and {:?}, or sums of devices or groups", mine.tally, theirs.tally))
}

/// A problem at the start of its search, here and on a device.
pub struct Race<'a> {
    problem: &'a Problem,
    pack: Pack,
    built: super::state::State,
    seed: u64,
    schedule: Schedule,
    device: Device,
    rounds: Rounds,
}

impl<'a> Race<'a> {
    /// Sets up the first chain of a search with this seed and effort.
    ///
    /// # Errors
    /// When the device has no room or fails.
    pub fn new(problem: &'a Problem, device: &Device, seed: u64, effort: u64) -> Result<Race<'a>, Error> {
        let pack = Pack::new(problem);
        let (built, _) = build(problem, &pack, None, &Control::unlimited());
        let options = Options { seed, effort: Some(effort), ..Options::default() };
        let schedule = Schedule::new(&pack, Heat::new(&pack), &options, &Control::unlimited(), Part::Whole, effort);
        let rounds = Rounds::new(Arc::clone(device.gpu()), device.image())?;
        Ok(Race { problem, pack, built, seed, schedule, device: device.clone(), rounds })
    }

    fn chain(&self) -> Chain {
        Chain::new(&self.pack, &self.built, self.seed, 0, Kind::Careful)
    }

    fn plans(&self, chain: &Chain, count: u32) -> Vec<RoundPlan> {
        let temperatures = self.schedule.temperatures(0, count as usize, None, Kind::Careful);
        (0..).zip(temperatures).map(|(round, temperature)| chain.plan(&self.schedule, round, temperature)).collect()
    }

    /// The first rounds on the CPU.
    ///
    /// # Panics
    /// When the threads cannot be started.
    pub fn host(&self, count: u32, threads: usize) -> Run<Laps> {
        let mut chain = self.chain();
        let plans = self.plans(&chain, count);
        let time = on_threads(threads, || {
            let started = Instant::now();
            plans.iter().for_each(|plan| chain.step(self.problem, &self.pack, plan));
            started.elapsed()
        });
        let memory = host_memory(chain.cut(), !self.pack.rows.is_empty());
        Run { time, outcome: Laps { landing: Ok(Landing::of(&chain)), memory } }
    }

    /// The same rounds on the device; the time includes bringing the state there and back.
    ///
    /// # Errors
    /// When the device fails or does not answer.
    pub fn device(&self, count: u32) -> Result<Run<Laps>, Error> {
        let chain = self.chain();
        let params = &self.device.image().params;
        let settings: Vec<Params> = self.plans(&chain, count).iter().map(|plan| plan.settings(params)).collect();
        let launch = launched(self.device.image(), &chain);
        let started = Instant::now();
        self.rounds.write(&launch);
        let landed = self.rounds.run(&settings)?;
        let time = started.elapsed();
        let (round, counts) = self.rounds.working_memory()?;
        let memory = device_memory(params, &round, &counts);
        Ok(Run { time, outcome: Laps { landing: Landing::new(&self.pack, params, &landed), memory } })
    }

    /// What bringing the state to the device and back alone costs.
    ///
    /// # Errors
    /// When the device fails or does not answer.
    pub fn transfer(&self) -> Result<Run<Landed>, Error> {
        let launch = launched(self.device.image(), &self.chain());
        let started = Instant::now();
        self.rounds.write(&launch);
        let outcome = self.rounds.run(&[])?;
        Ok(Run { time: started.elapsed(), outcome })
    }

    /// Time per kernel in one round; `None` when the device has no clock.
    ///
    /// # Errors
    /// When the device fails or does not answer.
    pub fn profile(&self) -> Result<Option<Vec<Timing>>, Error> {
        let chain = self.chain();
        self.rounds.write(&launched(self.device.image(), &chain));
        self.rounds.profile(&self.plans(&chain, 1)[0].settings(&self.device.image().params))
    }

    /// The first tasks of the problem scored against all nodes, on the CPU.
    ///
    /// # Panics
    /// When the threads cannot be started.
    pub fn host_score(&self, tasks: usize, threads: usize) -> Run<Vec<Option<Target>>> {
        let builder = self.builder();
        on_threads(threads, || {
            let started = Instant::now();
            let outcome = self.scored(tasks).par_iter().map(|task| builder.best(*task as usize)).collect();
            Run { time: started.elapsed(), outcome }
        })
    }

    /// The same on the device, in tiles, transfers included.
    ///
    /// # Errors
    /// When the device fails or does not answer.
    pub fn device_score(&self, tasks: usize) -> Result<Run<Vec<Option<Target>>>, Error> {
        let tiles = Tiles::new(Arc::clone(self.device.gpu()), self.device.image(), TILE)?;
        let builder = self.builder();
        let query = |task: &u32| Query { task: *task, closed: builder.closed(*task as usize) };
        let mut outcome = Vec::new();
        let started = Instant::now();
        tiles.write_nodes(&node_words(&builder.state));
        for tile in self.scored(tasks).chunks(TILE) {
            outcome.extend(tiles.score(&tile.par_iter().map(query).collect::<Vec<_>>())?);
        }
        Ok(Run { time: started.elapsed(), outcome })
    }

    /// Integer operations and bytes read (nearly all from caches) for a candidate that is judged to the end, counted in the
    /// text of the kernels for the schedule's mix of shifts and swaps.
    pub fn work_per_candidate(&self) -> (u64, u64) {
        let shared = &self.pack.shared;
        let (lanes, balance) = (self.pack.lanes as u64, shared.balance.len() as u64);
        let (mix, width) = (shared.mix.len() as u64, shared.device_width as u64);
        let variance = shared.variance.len() as u64;
        // Per lane: room (5 a node, 8 in a swap) and points (8 a node: two sums, a clamp, a 64-bit multiply-add).
        let (shift, swap) = (5 + 2 * 8, 2 * 8 + 2 * 10);
        let share = u64::from(SHIFT_SHARE);
        let per_lane = (shift * share + swap * (256 - share)) / 256;
        // Random numbers, places, points of the task, clashes.
        let operations =
            110 + per_lane * lanes + 2 * (12 * balance + 10 * variance) + 2 * mix * (8 * width + 4 * lanes);
        // Rows of 32 bits: 7 for a shift, 10 for a swap.
        let rows = (7 * share + 10 * (256 - share)) * 4 / 256;
        (operations, 120 + rows * lanes + 2 * 8 * variance + 2 * mix * 4 * (width + lanes))
    }

    fn builder(&self) -> Builder<'_> {
        Builder::at(self.problem, &self.pack, &self.built.at, &self.built.devices)
    }

    fn scored(&self, tasks: usize) -> &[u32] {
        &self.pack.order[..self.pack.movable_count.min(tasks)]
    }
}

/// What a round leaves in working memory, by name: the cut, and who keeps what.
fn host_memory(cut: &Cut, has_rows: bool) -> Vec<(&'static str, Vec<u32>)> {
    let mut memory = vec![
        ("nodes in order", cut.nodes.clone()),
        ("block of node", cut.block_of.clone()),
        ("index of node", cut.local_of.iter().map(|local| u32::from(*local)).collect()),
        ("first of block", cut.first.clone()),
        ("tasks in order", cut.tasks.clone()),
    ];
    if has_rows {
        let presence = &cut.presence;
        memory.push(("members of cell", presence.members.clone()));
        memory.push(("keeper of cell", presence.keeper.clone()));
        memory.push(("covered of row", presence.covered.clone()));
        memory.push(("owner of row", presence.owner.clone()));
        memory.push(("placed of group", presence.placed.clone()));
    }
    memory
}

/// The same from the device's buffers.
fn device_memory(p: &Params, round: &[u32], counts: &[u32]) -> Vec<(&'static str, Vec<u32>)> {
    let part = |words: &[u32], start: u32, length: u32| words[start as usize..][..length as usize].to_vec();
    let mut memory = vec![
        ("nodes in order", part(round, p.r_nodes, p.node_count)),
        ("block of node", part(round, p.r_block_of, p.node_count)),
        ("index of node", part(round, p.r_local_of, p.node_count)),
        ("first of block", part(round, p.r_first, p.block_count + 1)),
        ("tasks in order", part(round, p.r_tasks, p.order_count)),
    ];
    if p.row_count > 0 {
        memory.push(("members of cell", part(counts, p.c_members, p.c_keeper - p.c_members)));
        memory.push(("keeper of cell", part(counts, p.c_keeper, p.c_covered - p.c_keeper)));
        memory.push(("covered of row", part(counts, p.c_covered, p.row_count)));
        memory.push(("owner of row", part(counts, p.c_owner, p.row_count)));
        memory.push(("placed of group", part(counts, p.c_placed, p.group_count)));
    }
    memory
}
