//! What if a node, a rack, a zone fails: can all that ran there run elsewhere, within the rules, while all others stay?
//!
//! ```text
//! scenario   what may fail: nodes, domains, pairs                           scenario.rs
//! room       the state in quanta, for the kernel                            room.rs
//! recover    all scenarios at once, each lost task to the node it fits best   recover.rs, kernel/drill.rs
//! gate       what the rules of groups leave open                             gate.rs
//! audit      the model's judgement of each recovery, in exact amounts        audit.rs
//! pairs      two nodes at once: which pairs need no look of their own        pairs.rs
//! prove      counting that shows that not all can come back                  prove.rs
//! search     what is still open, one scenario after the other               search.rs
//! ```
//!
//! A scenario *survives* when a recovery is known that brings back every lost task: a rigid one whole, an elastic one with its
//! least share or more, a divisible one with all that it had. Afterwards no rule is more broken than before the failure, nor than
//! right after it. It *fails* when that is proven to be impossible, and is *unknown* otherwise. A pinned task ends with its node.

mod audit;
mod gate;
mod pairs;
mod prove;
mod recover;
mod reserve;
mod room;
mod scenario;
mod search;

use crate::bulk::{Device, Trouble};
use crate::control::{Control, on_threads};
use crate::model::{LevelId, NodeId, Problem, Spot, TaskId, Violation};
use audit::{Auditor, Before, is_back, wanted};
use pairs::{Alone, Sifted};
pub use prove::Reason;
use rayon::prelude::*;
use recover::{OnDevice, Order, recover, turns};
pub use reserve::{Reserved, largest_part, reserve};
use room::State;
pub(crate) use room::sizes;
pub use scenario::Scenario;
use search::Found;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Scenarios that are worked on at a time: bounds what is held of pairs.
const BATCH: usize = 1 << 13;
/// Pairs that do not survive and are kept: the worst.
const PAIRS_KEPT: usize = 10_000;

/// What a drill is asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Levels whose domains fail one by one.
    pub levels: Vec<LevelId>,
    /// Pairs of nodes fail as well.
    pub pairs: bool,
    /// A node outside of all domains of a level is one of its own.
    pub unnamed: bool,
    /// Threads; 0 = all cores. Does not change the result.
    pub threads: usize,
    /// Where the kernel runs, prepared for the settled problem; `None` = on the CPU. Does not change the result.
    pub device: Option<Device>,
}

/// How a scenario ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// All lost tasks can run elsewhere.
    Survives,
    /// No way was found, and none is excluded.
    Unknown,
    /// Proven: not all can.
    Fails,
}

impl Verdict {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Survives => "survives",
            Verdict::Unknown => "unknown",
            Verdict::Fails => "fails",
        }
    }
}

/// A scenario and what becomes of it.
#[derive(Debug, Clone)]
pub struct Drilled {
    /// What fails. Of a pair of nodes, the lost tasks are not listed.
    pub scenario: Scenario,
    /// How it ends.
    pub verdict: Verdict,
    /// Why it fails, as far as that is known.
    pub reason: Option<Reason>,
    /// Tasks on the failed nodes.
    pub task_count: usize,
    /// Scaled weight of what ran there.
    pub weight: i128,
    /// Where the lost tasks run in the best recovery found, in their order; of a pair not kept.
    pub spots: Vec<Spot>,
    /// Tasks that the best recovery found does not bring back: pinned ones, and those without room.
    pub lost: Vec<TaskId>,
    /// How many of them are pinned.
    pub pinned_count: usize,
    /// Scaled weight of what they had there.
    pub lost_weight: i128,
    /// What the unpinned ones of them need, scaled. Shape: resources.
    pub missing: Vec<i128>,
    /// The same in milli of devices.
    pub missing_milli: u64,
    /// Rules of groups that stay more broken than before.
    pub broken: Vec<Violation>,
    /// Tasks that the recovery starts elsewhere.
    pub moves: usize,
    /// Least number of waves for them under the caps on what is in flight.
    pub waves: usize,
}

impl Drilled {
    /// Does everything come back that is not pinned?
    pub fn is_covered(&self) -> bool {
        self.lost.len() == self.pinned_count && self.broken.is_empty()
    }

    /// The worst come first.
    fn rank(&self) -> impl Ord + use<> {
        let Scenario { level, domains, .. } = &self.scenario;
        let size = (Reverse(self.lost_weight), Reverse(self.verdict), Reverse(self.lost.len()), Reverse(self.weight));
        (size, Reverse(level.0), domains.clone())
    }
}

/// How the scenarios of one kind end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Level of what fails.
    pub level: LevelId,
    /// Two of them at a time.
    pub pairs: bool,
    /// How many scenarios.
    pub scenarios: usize,
    /// How many survive.
    pub survives: usize,
    /// How many fail.
    pub fails: usize,
    /// How many are unknown.
    pub unknown: usize,
    /// How many there are beyond those.
    pub left_out: usize,
}

/// What a drill found.
#[derive(Debug, Clone)]
pub struct Drill {
    /// The scenarios, worst first; of pairs only those that do not survive, and of these the worst.
    pub drilled: Vec<Drilled>,
    /// In the order of the levels, pairs last.
    pub tallies: Vec<Tally>,
    /// Looks at a scenario that were done on the device.
    pub on_device: usize,
    /// What went wrong there; the CPU has taken over and the result is the same.
    pub trouble: Option<Trouble>,
    /// Pairs that survive and needed no look of their own.
    pub spared: usize,
}

/// Drills a settled problem: its current state, see [`Problem::settled`]. The time limit of `control` holds for pairs of nodes, though
/// not for the first few, and for what remains open after all scenarios have been looked at once. A stop leaves out whatever has not
/// been looked at.
///
/// # Panics
/// Only when the thread pool cannot be started.
pub fn drill(problem: &Problem, options: &Options, control: &Control) -> Drill {
    on_threads(options.threads, || run(problem, options, control))
}

fn run(problem: &Problem, options: &Options, control: &Control) -> Drill {
    let state = State::new(problem);
    let before = Before::new(&state);
    let on = scenario::tasks_by_node(problem);
    let mut device = OnDevice::new(&state, options.device.as_ref());
    let mut drill = Drill { drilled: Vec::new(), tallies: Vec::new(), on_device: 0, trouble: None, spared: 0 };
    for level in &options.levels {
        let scenarios = scenario::singles(problem, &on, *level, options.unnamed);
        let drilled = looks(&state, &mut device, &before, &scenarios, control);
        let left_out = scenarios.len() - drilled.len();
        drill.take(*level, false, drilled, left_out);
    }
    if options.pairs && !control.is_stopped() {
        all_pairs(&state, &mut device, &before, &on, &mut drill, control);
    }
    (drill.on_device, drill.trouble) = (device.count, device.trouble);
    drill.drilled.sort_by_cached_key(Drilled::rank);
    settle(&state, &before, &mut drill, control);
    drill.drilled.sort_by_cached_key(Drilled::rank);
    drill
}

impl Drill {
    fn take(&mut self, level: LevelId, pairs: bool, drilled: Vec<Drilled>, left_out: usize) {
        let mut tally = Tally { left_out, ..Tally::new(level, pairs) };
        drilled.iter().for_each(|one| tally.count(one.verdict));
        self.tallies.push(tally);
        self.drilled.extend(drilled);
    }
}

impl Tally {
    fn new(level: LevelId, pairs: bool) -> Tally {
        Tally { level, pairs, scenarios: 0, survives: 0, fails: 0, unknown: 0, left_out: 0 }
    }

    fn count(&mut self, verdict: Verdict) {
        self.scenarios += 1;
        *self.of(verdict) += 1;
    }

    fn of(&mut self, verdict: Verdict) -> &mut usize {
        match verdict {
            Verdict::Survives => &mut self.survives,
            Verdict::Unknown => &mut self.unknown,
            Verdict::Fails => &mut self.fails,
        }
    }
}

/// Pairs of nodes: those that need a look, of the nodes whose loss weighs most first.
fn all_pairs(
    state: &State<'_>,
    device: &mut OnDevice,
    before: &Before,
    on: &[Vec<TaskId>],
    drill: &mut Drill,
    control: &Control,
) {
    let problem = state.problem;
    let mut nodes: Vec<NodeId> = problem.node_ids().collect();
    let weight = |node: &NodeId| -> i128 {
        on[node.index()].iter().map(|task| i128::from(problem.tasks[task.index()].weight)).sum()
    };
    nodes.sort_by_cached_key(|node| (Reverse(weight(node)), *node));
    let all = nodes.len() * nodes.len().saturating_sub(1) / 2;
    nodes.truncate(pairs::NODES_MAX);
    let alone = alone(state, device, before, on, drill, control);
    if alone.len() < problem.nodes.len() {
        nodes.clear();
    }
    let lone = pairs::lone(state, before, on, &nodes, &alone, control);
    let Sifted { standing, failing, worst, open } = pairs::sift(state, &nodes, &lone, control);
    drill.spared = standing;
    let counted = Tally::new(LevelId(0), true);
    let mut tally = Tally { scenarios: standing + failing, survives: standing, fails: failing, ..counted };
    let mut kept: Vec<Drilled> = Vec::new();
    for (k, batch, is_open) in in_batches(&open, true).chain(in_batches(&worst, false)) {
        if control.is_stopped() || (k > 0 && control.must_stop()) {
            continue;
        }
        let scenarios: Vec<Scenario> = batch.iter().map(|(a, b)| scenario::pair(on, nodes[*a], nodes[*b])).collect();
        let looked = look(state, device, before, &scenarios, &Order::OF_PAIRS);
        for ((a, b), mut one) in batch.iter().zip(looked) {
            // What is known of one of the two need not be seen again in the pair.
            one.conclude(one.reason.or(lone[*a].fails).or(lone[*b].fails));
            if is_open {
                tally.count(one.verdict);
            }
            if one.verdict != Verdict::Survives {
                kept.push(one);
            }
        }
        kept.sort_by_cached_key(Drilled::rank);
        kept.truncate(PAIRS_KEPT);
        kept.iter_mut().for_each(|one| one.spots = Vec::new());
    }
    tally.left_out = all - tally.scenarios;
    drill.tallies.push(tally);
    drill.drilled.extend(kept);
}

/// Pairs in batches, each with its number; of the first, no time limit has a say. `is_open`: they are still to be counted.
fn in_batches(pairs: &[(usize, usize)], is_open: bool) -> impl Iterator<Item = (usize, &[(usize, usize)], bool)> {
    pairs.chunks(BATCH).enumerate().map(move |(k, batch)| (k, batch, is_open))
}

/// What becomes of each node's failure: known where that level has been drilled. Fewer than there are nodes when told to stop.
fn alone(
    state: &State<'_>,
    device: &mut OnDevice,
    before: &Before,
    on: &[Vec<TaskId>],
    drill: &Drill,
    control: &Control,
) -> Vec<Alone> {
    let told = |one: &Drilled| Alone { reason: one.reason, lost_weight: one.lost_weight };
    let known: Vec<Alone> = drill.drilled.iter().filter(|one| one.scenario.level == LevelId(0)).map(told).collect();
    if !known.is_empty() {
        return known;
    }
    let scenarios = scenario::singles(state.problem, on, LevelId(0), false);
    looks(state, device, before, &scenarios, control).iter().map(told).collect()
}

/// Looks at scenarios that are not pairs until there is a signal.
fn looks(
    state: &State<'_>,
    device: &mut OnDevice,
    before: &Before,
    scenarios: &[Scenario],
    control: &Control,
) -> Vec<Drilled> {
    let batches = scenarios.chunks(BATCH).take_while(|_| !control.is_stopped());
    batches.flat_map(|batch| look(state, device, before, batch, &Order::OF_DOMAINS)).collect()
}

/// A first look at scenarios: lost tasks choose in the first order; where not all come back, in each of the others as well; where the
/// caps on moves part the recovery into more waves than its moves need, in the swift one. What none of them brings back is looked at for
/// a proof.
fn look(
    state: &State<'_>,
    device: &mut OnDevice,
    before: &Before,
    scenarios: &[Scenario],
    orders: &[Order],
) -> Vec<Drilled> {
    let mut judged = |scenarios: &[Scenario], order: Order| -> Vec<Drilled> {
        let spots = recover(state, device, scenarios, order);
        let work = scenarios.par_iter().zip(spots);
        let auditor = || Auditor::new(state, before);
        work.map_init(auditor, |auditor, (scenario, spots)| judge(state, auditor, scenario.clone(), spots)).collect()
    };
    let mut drilled = judged(scenarios, orders[0]);
    let is_slow = |one: &Drilled| one.waves > turns(one.moves as u64, state.problem.moves.max_in_flight) as usize;
    let is_open = |one: &Drilled, order: Order| match order {
        Order::Swift => recover::has_caps(state.problem) && is_slow(one),
        _ => !one.is_covered(),
    };
    let open =
        |drilled: &[Drilled], order| (0..drilled.len()).filter(|i| is_open(&drilled[*i], order)).collect::<Vec<_>>();
    for order in &orders[1..] {
        let left = open(&drilled, *order);
        let again: Vec<Scenario> = left.iter().map(|i| scenarios[*i].clone()).collect();
        for (i, other) in left.into_iter().zip(judged(&again, *order)) {
            if other.cost() < drilled[i].cost() {
                drilled[i] = other;
            }
        }
    }
    drilled.par_iter_mut().filter(|one| !one.is_covered()).for_each(|one| {
        let reason = prove::impossible(state, &one.scenario);
        one.conclude(reason);
    });
    drilled
}

impl Drilled {
    /// What a recovery leaves: rules broken, weight, tasks; then what it takes.
    fn cost(&self) -> (usize, i128, usize, usize) {
        (usize::from(!self.is_covered()), self.lost_weight, self.lost.len() + self.broken.len(), self.waves)
    }

    fn conclude(&mut self, reason: Option<Reason>) {
        if reason.is_some() && !self.is_covered() {
            (self.verdict, self.reason) = (Verdict::Fails, reason);
        }
    }
}

/// Is every lost task back that is not pinned?
fn is_whole(state: &State<'_>, scenario: &Scenario, spots: &[Spot]) -> bool {
    let is_back = |task: TaskId, spot: &Spot| state.problem.ends_with_node(task) || is_back(state, task, spot);
    scenario.lost.iter().zip(spots).all(|(task, spot)| is_back(*task, spot))
}

fn judge(state: &State<'_>, auditor: &mut Auditor<'_>, scenario: Scenario, spots: Vec<Spot>) -> Drilled {
    let problem = state.problem;
    let judged = auditor.judge(&scenario, spots);
    let back = scenario.lost.iter().zip(&judged.spots);
    let lost: Vec<TaskId> = back.filter(|(task, spot)| !is_back(state, **task, spot)).map(|(task, _)| *task).collect();
    let is_pinned = |task: &&TaskId| problem.ends_with_node(**task);
    let pinned_count = lost.iter().filter(is_pinned).count();
    let (missing, missing_milli) = wanted(state, &scenario, lost.iter().filter(|t| !is_pinned(t)).copied());
    let weight = |tasks: &[TaskId]| tasks.iter().map(|task| scenario.weight(problem, *task)).sum();
    let (verdict, reason) = match () {
        () if lost.is_empty() && judged.broken.is_empty() => (Verdict::Survives, None),
        () if pinned_count > 0 => (Verdict::Fails, Some(Reason::Pinned)),
        () => (Verdict::Unknown, None),
    };
    let (moves, waves) = effort(problem, &scenario, &judged.spots);
    Drilled {
        verdict,
        reason,
        task_count: scenario.lost.len(),
        weight: weight(&scenario.lost),
        lost_weight: weight(&lost),
        spots: judged.spots,
        lost,
        pinned_count,
        missing,
        missing_milli,
        broken: judged.broken,
        moves,
        waves,
        scenario,
    }
}

/// Tasks that start elsewhere, and the least number of waves that the caps on what is in flight allow.
fn effort(problem: &Problem, scenario: &Scenario, spots: &[Spot]) -> (usize, usize) {
    let (mut moves, mut arrivals) = (0, BTreeMap::<NodeId, u64>::new());
    for (task, spot) in scenario.lost.iter().zip(spots) {
        let kept = scenario.kept(problem, *task);
        let entered = spot.pieces().iter().filter(|piece| !kept.pieces().contains(piece));
        let before = moves;
        for piece in entered {
            *arrivals.entry(piece.node).or_default() += 1;
            moves = before + 1;
        }
    }
    let caps = &problem.moves;
    let mut waves = turns(moves as u64, caps.max_in_flight);
    for count in arrivals.values() {
        waves = waves.max(turns(*count, caps.max_per_node)).max(turns(*count, caps.max_to_node));
    }
    for (level, most) in &caps.max_per_domain {
        let mut into = BTreeMap::new();
        for (node, count) in &arrivals {
            *into.entry(problem.domain(*node, *level)).or_default() += count;
        }
        waves = waves.max(into.values().map(|count| turns(*count, Some(*most))).max().unwrap_or(1));
    }
    (moves, if moves == 0 { 0 } else { waves as usize })
}

/// Hands what is open to the solvers, worst first, while there is time.
fn settle(state: &State<'_>, before: &Before, drill: &mut Drill, control: &Control) {
    let mut auditor = Auditor::new(state, before);
    let is_open = |one: &&mut Drilled| !one.is_covered() && matches!(one.reason, None | Some(Reason::Pinned));
    for one in drill.drilled.iter_mut().filter(is_open) {
        if control.must_stop() {
            return;
        }
        let was = one.verdict;
        match search::search(state, &one.scenario, &mut auditor, control) {
            Found::Spots(spots) => {
                let found = judge(state, &mut auditor, one.scenario.clone(), spots);
                if found.cost() < one.cost() {
                    *one = found;
                }
            }
            Found::Impossible => one.conclude(Some(Reason::Searched)),
            Found::Nothing => {}
        }
        let is_mine = |tally: &&mut Tally| tally.level == one.scenario.level && tally.pairs == one.scenario.is_pair();
        if let Some(tally) = drill.tallies.iter_mut().find(is_mine) {
            *tally.of(was) -= 1;
            *tally.of(one.verdict) += 1;
        }
    }
}
