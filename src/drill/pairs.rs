//! Which pairs of nodes need a look of their own? Not those where the recoveries of both nodes, each alone, hold together.
//!
//! Let R be a recovery of node a and S one of node b that both bring back everything. Where R puts nothing on b, S nothing on a, and on
//! each node that both enter there is room for both, R and S together bring back everything when a and b fail at once: a node that only
//! one of them enters is as full as in that recovery alone, and a node that neither enters is as it was. Rules that bind a task on its own
//! do not care about others. A rule of a group looks at its members and at those of the groups that it needs: where no rule has to do
//! with what both nodes lose, each stands as it does in the one recovery alone.
//!
//! Recoveries that look for the best fit all enter the same few nodes. So for this purpose each task looks in a small part of the cluster
//! of its own first, and each node has several such recoveries. They are judged by the model like all others. Any one of a node's goes
//! with any one of another's, so of 12.5 million pairs of 5,000 nodes with room next to none stays open; and since who meets whom is read
//! off the nodes that are entered, each pair costs a few operations on bytes.

use super::audit::{Auditor, Before};
use super::recover::{OnDevice, Order, recover};
use super::room::State;
use super::scenario::{PAIRS_MAX, Scenario};
use super::{Drilled, PAIRS_KEPT, Reason, Verdict, judge};
use crate::control::Control;
use crate::model::{GroupId, NodeId, Sharing, TaskId};
use rayon::prelude::*;

/// Recoveries of each node that are tried together.
const WAYS: usize = 4;
/// Nodes of which all pairs are told apart: 33 million pairs. Recoveries of so many take 100 MB.
pub const NODES_MAX: usize = 8_192;
/// Nodes looked at between two questions whether to stop.
const CHUNK: usize = 256;

/// What becomes of a node's failure on its own.
#[derive(Debug, Clone, Copy)]
pub struct Alone {
    /// Why it fails, if it does.
    pub reason: Option<Reason>,
    /// Scaled weight that does not come back.
    pub lost_weight: i128,
}

/// What is known of a node's failure for its pairs.
pub struct Lone {
    /// Groups with rules that have to do with what is on it, ascending.
    groups: Vec<GroupId>,
    /// Why, where it is proven that not everything comes back, and no rule of groups has to do with that.
    pub fails: Option<Reason>,
    /// Scaled weight that does not come back.
    lost_weight: i128,
    /// Shape: [`WAYS`]. `None` where not everything was brought back, or somebody runs in pieces.
    ways: Vec<Option<Vec<Entered>>>,
}

/// A node that a recovery enters.
struct Entered {
    node: NodeId,
    /// Scaled. Shape: resources.
    added: Vec<i128>,
    has_devices: bool,
}

/// Looks at the nodes that `nodes` names, in that order, until the control says stop, though not before the first few are done.
/// `alone` is what becomes of every node's failure.
pub fn lone(
    state: &State<'_>,
    before: &Before,
    on: &[Vec<TaskId>],
    nodes: &[NodeId],
    alone: &[Alone],
    control: &Control,
) -> Vec<Lone> {
    let chunks = nodes.chunks(CHUNK).enumerate().take_while(|(k, _)| may_go_on(*k, control));
    chunks.flat_map(|(_, chunk)| looked_at(state, before, on, chunk, alone)).collect()
}

fn may_go_on(chunk: usize, control: &Control) -> bool {
    !control.is_stopped() && (chunk == 0 || !control.must_stop())
}

fn looked_at(state: &State<'_>, before: &Before, on: &[Vec<TaskId>], nodes: &[NodeId], alone: &[Alone]) -> Vec<Lone> {
    let scenarios: Vec<Scenario> = nodes.iter().map(|node| super::scenario::node(on, *node)).collect();
    let known = |scenario: &Scenario| {
        let mut groups = state.concerned(&scenario.lost);
        groups.retain(|group| state.has_rules(*group));
        let Alone { reason, lost_weight } = alone[scenario.failed[0].index()];
        let fails = reason.filter(|_| groups.is_empty());
        Lone { groups: groups.into_iter().collect(), fails, lost_weight, ways: Vec::new() }
    };
    let mut all: Vec<Lone> = scenarios.iter().map(known).collect();
    for number in 0..WAYS {
        let spots = recover(state, &mut OnDevice::default(), &scenarios, Order::Apart(number as u32));
        let judged: Vec<Drilled> = (scenarios.par_iter().zip(spots))
            .map_init(
                || Auditor::new(state, before),
                |auditor, (scenario, spots)| judge(state, auditor, scenario.clone(), spots),
            )
            .collect();
        all.iter_mut().zip(&judged).for_each(|(lone, one)| lone.ways.push(way(state, one)));
    }
    all
}

/// The nodes that a recovery enters, ascending.
fn way(state: &State<'_>, one: &Drilled) -> Option<Vec<Entered>> {
    let problem = state.problem;
    let is_divisible = |task: &TaskId| problem.tasks[task.index()].sharing == Sharing::Divisible;
    if one.verdict != Verdict::Survives || one.scenario.lost.iter().any(is_divisible) {
        return None;
    }
    let mut pieces: Vec<_> = one
        .scenario
        .lost
        .iter()
        .zip(&one.spots)
        .flat_map(|(task, spot)| spot.pieces().iter().map(move |p| (*task, p)))
        .collect();
    pieces.sort_by_key(|(_, piece)| piece.node);
    let mut entered: Vec<Entered> = Vec::new();
    for (task, piece) in pieces {
        if entered.last().is_none_or(|last| last.node != piece.node) {
            entered.push(Entered { node: piece.node, added: vec![0; problem.resources.len()], has_devices: false });
        }
        let last = entered.last_mut().expect("one was put there if there was none");
        let parts = i128::from(piece.share.parts());
        last.added
            .iter_mut()
            .zip(problem.requirement(task))
            .for_each(|(sum, amount)| *sum += i128::from(*amount) * parts);
        last.has_devices |= piece.devices != 0;
    }
    Some(entered)
}

/// What has been told of pairs, by place among the nodes that were looked at.
#[derive(Default)]
pub struct Sifted {
    /// Pairs that stand for the reason above.
    pub standing: usize,
    /// Pairs that fail because one of the two nodes does: what cannot come back then cannot when both fail.
    pub failing: usize,
    /// The worst of those, by what is lost when each fails alone.
    pub worst: Vec<(usize, usize)>,
    /// Other pairs: those of the first nodes first, and no more than can be looked at.
    pub open: Vec<(usize, usize)>,
}

/// Tells the pairs among the nodes that were looked at apart, those of the first nodes first, until the control says stop, though not
/// before those of the first few are done.
pub fn sift(state: &State<'_>, nodes: &[NodeId], lone: &[Lone], control: &Control) -> Sifted {
    let meetings = Meetings::new(state, &nodes[..lone.len()], lone);
    let mut sifted = Sifted::default();
    let fails = |(i, j): &(usize, usize)| lone[*i].fails.or(lone[*j].fails).is_some();
    let loss = |(i, j): &(usize, usize)| lone[*i].lost_weight + lone[*j].lost_weight;
    let places: Vec<usize> = (0..lone.len()).collect();
    for (_, chunk) in places.chunks(CHUNK).enumerate().take_while(|(k, _)| may_go_on(*k, control)) {
        let rows: Vec<Vec<usize>> = chunk.par_iter().map(|i| meetings.open_before(*i)).collect();
        for (i, row) in chunk.iter().zip(rows) {
            sifted.standing += i - row.len();
            let (failing, open): (Vec<_>, Vec<_>) = row.into_iter().map(|j| (*i, j)).partition(fails);
            sifted.failing += failing.len();
            sifted.worst.extend(failing);
            sifted.open.extend(open.into_iter().take(PAIRS_MAX - sifted.open.len()));
        }
        sifted.worst.sort_by_cached_key(|pair| (std::cmp::Reverse(loss(pair)), *pair));
        sifted.worst.truncate(PAIRS_KEPT);
    }
    sifted
}

/// Who meets whom? Nodes that fail go by their place in the list of those that were looked at.
struct Meetings<'a> {
    state: &'a State<'a>,
    nodes: &'a [NodeId],
    lone: &'a [Lone],
    /// Place of each node, or one beyond all.
    place: Vec<usize>,
    /// By way, then node: whose recovery enters it, ascending.
    entering: Vec<Vec<Vec<(usize, &'a Entered)>>>,
    /// By group: who has to do with it, ascending.
    of_group: Vec<Vec<usize>>,
}

impl<'a> Meetings<'a> {
    fn new(state: &'a State<'a>, nodes: &'a [NodeId], lone: &'a [Lone]) -> Meetings<'a> {
        let count = state.problem.nodes.len();
        let mut place = vec![usize::MAX; count];
        let mut entering = vec![vec![Vec::new(); count]; WAYS];
        let mut of_group = vec![Vec::new(); state.problem.groups.len()];
        for (i, (node, one)) in nodes.iter().zip(lone).enumerate() {
            place[node.index()] = i;
            one.groups.iter().for_each(|group| of_group[group.index()].push(i));
            for (way, entering) in one.ways.iter().zip(&mut entering) {
                way.iter().flatten().for_each(|entered| entering[entered.node.index()].push((i, entered)));
            }
        }
        Meetings { state, nodes, lone, place, entering, of_group }
    }

    /// Those before `i` in the list with which no recoveries are known that hold together.
    fn open_before(&self, i: usize) -> Vec<usize> {
        let mut is_kin = vec![false; i];
        for group in &self.lone[i].groups {
            self.of_group[group.index()].iter().take_while(|j| **j < i).for_each(|j| is_kin[*j] = true);
        }
        let mut is_open = vec![true; i];
        for mine in self.lone[i].ways.iter().flatten() {
            for (way, entering) in self.entering.iter().enumerate() {
                let on = |node: NodeId| entering[node.index()].iter().take_while(|(j, _)| *j < i);
                let mut clashes = is_kin.clone();
                on(self.nodes[i]).for_each(|(j, _)| clashes[*j] = true);
                for entered in mine {
                    if let Some(clash) = clashes.get_mut(self.place[entered.node.index()]) {
                        *clash = true;
                    }
                    for (j, theirs) in on(entered.node) {
                        if is_open[*j] && !clashes[*j] {
                            clashes[*j] = !have_room(self.state, entered, theirs);
                        }
                    }
                }
                for (j, is_open) in is_open.iter_mut().enumerate() {
                    *is_open &= clashes[j] || self.lone[j].ways[way].is_none();
                }
            }
        }
        (0..i).filter(|j| is_open[*j]).collect()
    }
}

/// Is there room for both on the node that both enter? Devices are not told apart here.
fn have_room(state: &State<'_>, mine: &Entered, other: &Entered) -> bool {
    !(mine.has_devices && other.has_devices)
        && state.takes(mine.node, mine.added.iter().zip(&other.added).map(|(mine, other)| mine + other))
}
