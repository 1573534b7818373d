//! How are the lost tasks of all scenarios brought back at once? Largest or heaviest first, each to the node that it fits best.
//!
//! Nobody who still runs is moved. What the kernel cannot judge is done here: the rules of groups narrow where it looks, and
//! divisible tasks are poured into what the others leave.

use super::gate::Gate;
use super::room::State;
use super::scenario::Scenario;
use crate::bulk::{Device, Trouble};
use crate::gpu::{Answer, Drills, Failed};
use crate::kernel::drill::{Room, best, fail, put};
use crate::model::{DomainId, LevelId, NodeId, Piece, Problem, SHARE_ONE, Share, Sharing, Spot, TaskId, Usage};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Nodes of the part of the cluster in which a task looks first, where recoveries are to keep apart.
const NEAR: usize = 8;
/// So many times as many are in the next part, where there is no room.
const WIDENING: usize = 8;

/// In which order lost tasks choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By their part of the cluster's scarcest resource: finds room for all most often.
    LargestFirst,
    /// By weight: saves most of it where there is no room for all.
    HeaviestFirst,
    /// Largest first, each in a small part of the cluster of its own where there is room: so that recoveries keep out of each other's
    /// way, and few nodes are looked at. Not on a device.
    Apart(u32),
    /// Largest first, into a node or domain no more than enter it while the caps on moves let all of them start, as long as another has
    /// room: takes fewer waves. Not on a device.
    Swift,
}

impl Order {
    /// For a node or a domain: whose recovery is told, so the best fit.
    pub const OF_DOMAINS: [Order; 3] = [Order::LargestFirst, Order::HeaviestFirst, Order::Swift];
    /// For two nodes, of which there are many: nearly all survive, and a few nodes are looked at for that.
    pub const OF_PAIRS: [Order; 3] = [Order::Apart(0), Order::LargestFirst, Order::HeaviestFirst];
}

/// A state on a device, as long as it does well there.
#[derive(Default)]
pub struct OnDevice {
    drills: Option<Drills>,
    /// Scenarios done there.
    pub count: usize,
    /// What went wrong; the CPU has done its work since.
    pub trouble: Option<Trouble>,
}

impl OnDevice {
    /// Brings a state to a device.
    pub fn new(state: &State<'_>, device: Option<&Device>) -> OnDevice {
        let Some(device) = device else { return OnDevice::default() };
        match Drills::new(Arc::clone(device.gpu()), device.image(), &state.room, &state.scale) {
            Ok(drills) => OnDevice { drills: Some(drills), ..OnDevice::default() },
            Err(error) => OnDevice { trouble: Some(error.into()), ..OnDevice::default() },
        }
    }

    /// Answers for scenarios, or nothing where there is no device or it errs: of each batch the first is done here as well.
    fn recover(&mut self, state: &State<'_>, scenarios: &[&Scenario], order: Order) -> Option<Vec<Vec<Spot>>> {
        let drills = self.drills.as_ref()?;
        let mut all = Vec::with_capacity(scenarios.len());
        for batch in scenarios.chunks(drills.batch_max()) {
            let lists: Vec<Vec<usize>> = batch.par_iter().map(|scenario| ordered(state, scenario, order)).collect();
            let failed = |(scenario, list): (&&Scenario, &Vec<usize>)| Failed {
                tasks: list.iter().map(|i| scenario.lost[*i].0).collect(),
                nodes: scenario.failed.iter().map(|node| node.0).collect(),
            };
            let answers = drills.run(&batch.iter().zip(&lists).map(failed).collect::<Vec<_>>());
            let spots = answers.map(|answers| {
                let work = batch.iter().zip(&lists).zip(answers);
                work.map(|((scenario, list), answers)| told(state, scenario, list, &answers)).collect::<Vec<_>>()
            });
            let trouble = match spots {
                Ok(spots) if spots[0] == here(state, &batch[..1], order)[0] => {
                    all.extend(spots);
                    continue;
                }
                Ok(_) => {
                    Trouble { text: "it drilled a failure otherwise than the CPU does".to_string(), mismatch: None }
                }
                Err(error) => error.into(),
            };
            (self.drills, self.trouble) = (None, Some(trouble));
            return None;
        }
        self.count += scenarios.len();
        Some(all)
    }
}

/// The spots that a device's answers mean.
fn told(state: &State<'_>, scenario: &Scenario, list: &[usize], answers: &[Answer]) -> Vec<Spot> {
    let mut spots = vec![Spot::Unplaced; scenario.lost.len()];
    for (i, answer) in list.iter().zip(answers) {
        if let Some((node, devices)) = answer {
            spots[*i] =
                Spot::On(Piece { node: NodeId(*node), share: state.share(scenario.lost[*i]), devices: *devices });
        }
    }
    spots
}

/// Where every lost task runs again, in the order of each scenario's `lost`; what found no room is unplaced.
pub fn recover(state: &State<'_>, device: &mut OnDevice, scenarios: &[Scenario], order: Order) -> Vec<Vec<Spot>> {
    let is_plain = |scenario: &Scenario| scenario.lost.iter().all(|task| is_plain(state, *task));
    let is_for_device = device.drills.is_some() && !matches!(order, Order::Apart(_) | Order::Swift);
    let (there, rest): (Vec<usize>, Vec<usize>) =
        (0..scenarios.len()).partition(|i| is_for_device && is_plain(&scenarios[*i]));
    let of = |list: &[usize]| list.iter().map(|i| &scenarios[*i]).collect::<Vec<_>>();
    let plain = of(&there);
    let answers = device.recover(state, &plain, order).unwrap_or_else(|| here(state, &plain, order));
    let answers = answers.into_iter().chain(here(state, &of(&rest), order));
    let mut all = vec![Vec::new(); scenarios.len()];
    there.into_iter().chain(rest).zip(answers).for_each(|(i, spots)| all[i] = spots);
    all
}

/// Can the kernel alone judge where a task may go?
fn is_plain(state: &State<'_>, task: TaskId) -> bool {
    let group = state.problem.tasks[task.index()].group;
    !is_divisible(state.problem, task) && group.is_none_or(|group| !state.has_rules(group))
}

/// The same on the CPU.
fn here(state: &State<'_>, scenarios: &[&Scenario], order: Order) -> Vec<Vec<Spot>> {
    let scratch = || Scratch { room: state.room.clone(), touched: Vec::new() };
    let one = |scratch: &mut Scratch, scenario: &&Scenario| {
        let list = ordered(state, scenario, order);
        let spots = match state.pack.lanes {
            4 => place::<4>(state, scratch, scenario, &list, order),
            8 => place::<8>(state, scratch, scenario, &list, order),
            12 => place::<12>(state, scratch, scenario, &list, order),
            16 => place::<16>(state, scratch, scenario, &list, order),
            _ => place::<32>(state, scratch, scenario, &list, order),
        };
        scratch.restore(state);
        spots
    };
    scenarios.par_iter().map_init(scratch, one).collect()
}

/// One thread's room, and which nodes differ from the state's.
struct Scratch {
    room: Room,
    touched: Vec<usize>,
}

impl Scratch {
    fn restore(&mut self, state: &State<'_>) {
        let (lanes, width) = (state.pack.lanes, state.pack.shared.device_width);
        for node in self.touched.drain(..) {
            let (row, devices) = (node * lanes..(node + 1) * lanes, node * width..(node + 1) * width);
            self.room.free[row.clone()].copy_from_slice(&state.room.free[row]);
            self.room.devices[devices.clone()].copy_from_slice(&state.room.devices[devices]);
            self.room.spare[node] = state.room.spare[node];
        }
    }
}

/// Positions in `scenario.lost` of the tasks that may move, in the order in which they choose.
pub fn ordered(state: &State<'_>, scenario: &Scenario, order: Order) -> Vec<usize> {
    let tasks = &state.problem.tasks;
    let mut list: Vec<usize> =
        (0..scenario.lost.len()).filter(|i| !state.problem.ends_with_node(scenario.lost[*i])).collect();
    list.sort_by_cached_key(|i| {
        let task = scenario.lost[*i];
        let (size, weight) = (state.size(task), tasks[task.index()].weight);
        let key = match order {
            Order::LargestFirst | Order::Apart(_) | Order::Swift => (size, weight),
            Order::HeaviestFirst => (weight, size),
        };
        (std::cmp::Reverse(key), task)
    });
    list
}

fn place<const L: usize>(
    state: &State<'_>,
    scratch: &mut Scratch,
    scenario: &Scenario,
    list: &[usize],
    order: Order,
) -> Vec<Spot> {
    let cluster = state.cluster();
    let mut spots: Vec<Spot> = scenario.lost.iter().map(|task| scenario.kept(state.problem, *task)).collect();
    for node in &scenario.failed {
        fail::<L>(&mut scratch.room, node.index());
        scratch.touched.push(node.index());
    }
    let is_failed = |node: NodeId| scenario.failed.binary_search(&node).is_ok();
    let mut gate = Gate::new(state, &scenario.lost, is_failed);
    let caps = if order == Order::Swift { caps_on_places(state.problem) } else { Vec::new() };
    let first = turns(list.len() as u64, state.problem.moves.max_in_flight).max(1);
    let mut entered: BTreeMap<(LevelId, DomainId), u64> = BTreeMap::new();
    let (poured, mut waiting): (Vec<usize>, Vec<usize>) =
        list.iter().copied().partition(|i| is_divisible(state.problem, scenario.lost[*i]));
    loop {
        let before = waiting.len();
        waiting.retain(|i| {
            let task = scenario.lost[*i];
            let lost = state.lost(task);
            let is_bound = gate.binds(task);
            let is_open = |node: usize| !is_bound || gate.is_open(task, NodeId::new(node));
            let mends = |node: usize| gate.mends(task, NodeId::new(node)) && is_open(node);
            let in_part = |part: Range<usize>| best::<L>(&cluster, &scratch.room, &lost, part, is_open);
            // Who is missed where others run on goes there first.
            let all = 0..state.problem.nodes.len();
            let in_all =
                |is_open: &dyn Fn(usize) -> bool| best::<L>(&cluster, &scratch.room, &lost, all.clone(), is_open);
            let missed = if gate.is_missed(task) { in_all(&mends) } else { None };
            // Twice as many waves where so many fill all that have room.
            let waves = || {
                std::iter::successors(Some(first), |waves| Some(waves * 2)).take_while(|w| w / 2 < list.len() as u64)
            };
            let domain = |node: usize, level: LevelId| (level, state.problem.domain(NodeId::new(node), level));
            let is_left = |node: usize, waves: u64| {
                let count = |level| entered.get(&domain(node, level)).copied().unwrap_or(0);
                caps.iter().all(|(level, cap)| count(*level) < cap * waves)
            };
            let early = || {
                waves()
                    .filter(|_| !caps.is_empty())
                    .find_map(|waves| in_all(&|node| is_open(node) && is_left(node, waves)))
            };
            let found = missed.or_else(early).or_else(|| parts_of(state, task, order).find_map(in_part));
            let Some((node, devices)) = found else { return true };
            put::<L>(&cluster, &mut scratch.room, &lost, node as usize, devices);
            scratch.touched.push(node as usize);
            gate.enter(task, NodeId(node));
            caps.iter().for_each(|(level, _)| *entered.entry(domain(node as usize, *level)).or_default() += 1);
            spots[*i] = Spot::On(Piece { node: NodeId(node), share: state.share(task), devices });
            false
        });
        // A second look is for those whose rules wait for others.
        if waiting.len() == before || gate.is_idle() {
            break;
        }
    }
    pour(state, scenario, &poured, &gate, &mut spots);
    spots
}

/// Most moves of one wave that may enter a domain, by level; a node is one as well.
fn caps_on_places(problem: &Problem) -> Vec<(LevelId, u64)> {
    let caps = &problem.moves;
    let of_nodes = caps.max_per_node.into_iter().chain(caps.max_to_node).min();
    let of_nodes = of_nodes.map(|cap| (LevelId(0), cap));
    let all = of_nodes.into_iter().chain(caps.max_per_domain.iter().copied());
    all.map(|(level, cap)| (level, u64::from(cap.max(1)))).collect()
}

/// Is there a cap on what enters a place in a wave?
pub fn has_caps(problem: &Problem) -> bool {
    !caps_on_places(problem).is_empty()
}

/// Waves for so many moves, of which a wave may have so many: 1 where there is no cap.
pub fn turns(count: u64, most: Option<u32>) -> u64 {
    most.map_or(1, |most| count.div_ceil(u64::from(most.max(1))))
}

/// The parts of the cluster in which a task looks, one after the other. The last is all of it.
fn parts_of(state: &State<'_>, task: TaskId, order: Order) -> impl Iterator<Item = Range<usize>> {
    let count = state.problem.nodes.len();
    let (number, first) = match order {
        Order::Apart(number) => (number, NEAR),
        Order::LargestFirst | Order::HeaviestFirst | Order::Swift => (0, count),
    };
    // Fibonacci hashing scatters neighbours.
    let place = (u64::from(task.0) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17 * (number + 1));
    let widths = std::iter::successors(Some(first), |width| Some(width.saturating_mul(WIDENING)));
    let near = widths.take_while(move |width| *width < count).map(move |width| {
        let from = (place % (count - width + 1) as u64) as usize;
        from..from + width
    });
    near.chain(std::iter::once(0..count))
}

fn is_divisible(problem: &Problem, task: TaskId) -> bool {
    problem.tasks[task.index()].sharing == Sharing::Divisible
}

/// Gives divisible tasks back the shares that they lost, node by node.
fn pour(state: &State<'_>, scenario: &Scenario, list: &[usize], gate: &Gate<'_>, spots: &mut [Spot]) {
    if list.is_empty() {
        return;
    }
    let problem = state.problem;
    let mut usage = state.usage.clone();
    // What is kept of the divisible ones is in it already.
    for (spot, task) in spots.iter().zip(&scenario.lost).filter(|(_, task)| !is_divisible(problem, **task)) {
        usage.add(problem, *task, spot);
    }
    for i in list {
        let task = scenario.lost[*i];
        let kept = scenario.kept(problem, task);
        let before = problem.current.spot(task).total_parts().min(u64::from(SHARE_ONE)) as u32;
        let mut left = before - kept.total_parts().min(u64::from(before)) as u32;
        let mut pieces = kept.pieces().to_vec();
        for node in problem.node_ids().filter(|node| scenario.failed.binary_search(node).is_err()) {
            let at = pieces.iter().position(|piece| piece.node == node);
            let is_open = at.is_some() || (state.may_enter(task, node) && gate.is_open(task, node));
            let parts = if is_open { room_for(state, &usage, task, node).min(left) } else { 0 };
            if parts == 0 {
                continue;
            }
            let share = |parts: u32| Share::from_parts(parts).expect("no more than before, which is at most all");
            usage.add(problem, task, &Spot::On(Piece { node, share: share(parts), devices: 0 }));
            match at {
                Some(at) => pieces[at].share = share(pieces[at].share.parts() + parts),
                None => pieces.push(Piece { node, share: share(parts), devices: 0 }),
            }
            left -= parts;
            if left == 0 {
                break;
            }
        }
        spots[*i] = Spot::from_pieces(pieces);
        // From here on with what it kept, which the usage has already.
        if left > 0 {
            usage.remove(problem, task, &spots[*i]);
            usage.add(problem, task, &kept);
            spots[*i] = kept;
        }
    }
}

/// Parts of a divisible task that a node has room for.
fn room_for(state: &State<'_>, usage: &Usage, task: TaskId, node: NodeId) -> u32 {
    let rows = state.problem.allocatable(node).iter().zip(usage.amounts(node)).zip(state.problem.requirement(task));
    let parts = rows.filter(|(_, wanted)| **wanted > 0).map(|((capacity, used), wanted)| {
        (i128::from(*capacity) * i128::from(SHARE_ONE) - used).max(0) / i128::from(*wanted)
    });
    parts.min().unwrap_or(i128::from(SHARE_ONE)).min(i128::from(SHARE_ONE)) as u32
}
