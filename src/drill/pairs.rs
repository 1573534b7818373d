//! Which pairs of nodes need a look of their own? Not those where the recoveries of both nodes, each alone, hold together.
//!
//! Let R be a recovery of node a and S one of node b that both bring back everything. Where R puts nothing on b, S nothing on a, and on
//! each node that both enter there is room for both, R and S together bring back everything when a and b fail at once: a node that only
//! one of them enters is as full as in that recovery alone, and a node that neither enters is as it was. Rules that bind a task on its own
//! do not care about others. Rules of groups do, so at most one of the two nodes may carry tasks of groups that have any: what the other
//! one loses and starts elsewhere then is in no such group, and each such rule stands as it does in the one recovery alone.
//!
//! Recoveries that look for the best fit all enter the same few nodes. So for this purpose each task looks in a part of the cluster of its
//! own first, and each node has more than one such recovery. Recoveries are judged by the model like all others.

use super::audit::{Auditor, Before};
use super::recover::{OnDevice, Order, recover};
use super::room::State;
use super::scenario::Scenario;
use super::{Drilled, Verdict, judge, look};
use crate::control::Control;
use crate::model::{NodeId, SHARE_ONE, Sharing, TaskId};
use rayon::prelude::*;

/// Recoveries of each node, beside the one by best fit, that are tried together.
const WAYS: u32 = 2;
/// Nodes of which all pairs are told apart: 8 million pairs, 134 MB where every one of them is open.
pub const NODES_MAX: usize = 4_096;
/// Nodes looked at between two questions whether to stop.
const CHUNK: usize = 256;

/// What is known of a node's failure on its own.
pub struct Lone {
    /// Tasks of groups with rules are on it.
    is_ruled: bool,
    /// Proven: not everything comes back, and no rule of groups has to do with that.
    pub fails: bool,
    ways: Vec<Vec<Entered>>,
}

/// A node that a recovery enters.
struct Entered {
    node: NodeId,
    /// Scaled. Shape: resources.
    added: Vec<i128>,
    has_devices: bool,
}

/// Looks at the nodes that `nodes` names, in that order, until the control says stop.
pub fn lone(state: &State<'_>, before: &Before, on: &[Vec<TaskId>], nodes: &[NodeId], control: &Control) -> Vec<Lone> {
    let chunks = nodes.chunks(CHUNK).take_while(|_| !control.is_stopped());
    chunks.flat_map(|chunk| looked_at(state, before, on, chunk)).collect()
}

fn looked_at(state: &State<'_>, before: &Before, on: &[Vec<TaskId>], nodes: &[NodeId]) -> Vec<Lone> {
    let problem = state.problem;
    let scenarios: Vec<Scenario> = nodes.iter().map(|node| super::scenario::node(on, *node)).collect();
    let first = look(state, &mut OnDevice::default(), before, &scenarios);
    let has_rules = |task: &TaskId| problem.tasks[task.index()].group.is_some_and(|group| state.has_rules(group));
    let mut all: Vec<Lone> = (first.iter().zip(&scenarios))
        .map(|(one, scenario)| {
            let is_ruled = scenario.lost.iter().any(has_rules);
            Lone {
                is_ruled,
                fails: one.verdict == Verdict::Fails && !is_ruled,
                ways: ways(state, one).into_iter().collect(),
            }
        })
        .collect();
    for k in 0..WAYS {
        let spots = recover(state, &mut OnDevice::default(), &scenarios, Order::Apart(k));
        let judged: Vec<Drilled> = (scenarios.par_iter().zip(spots))
            .map_init(
                || Auditor::new(state, before),
                |auditor, (scenario, spots)| judge(state, auditor, scenario.clone(), spots),
            )
            .collect();
        all.iter_mut().zip(&judged).for_each(|(lone, one)| lone.ways.extend(ways(state, one)));
    }
    all
}

/// The nodes that a recovery enters, ascending; `None` where it does not bring back all, or somebody runs in pieces.
fn ways(state: &State<'_>, one: &Drilled) -> Option<Vec<Entered>> {
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

/// True when recoveries of the two nodes are known that hold together.
fn stands(state: &State<'_>, nodes: [NodeId; 2], [a, b]: [&Lone; 2]) -> bool {
    let enters = |way: &[Entered], node: NodeId| way.binary_search_by_key(&node, |entered| entered.node).is_ok();
    let a_ways = || a.ways.iter().filter(|way| !enters(way, nodes[1]));
    let b_ways = || b.ways.iter().filter(|way| !enters(way, nodes[0]));
    !(a.is_ruled && b.is_ruled) && a_ways().any(|mine| b_ways().any(|other| fit_together(state, mine, other)))
}

fn fit_together(state: &State<'_>, mine: &[Entered], other: &[Entered]) -> bool {
    let (mut i, mut j) = (0, 0);
    while i < mine.len() && j < other.len() {
        match mine[i].node.cmp(&other[j].node) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                if !have_room(state, &mine[i], &other[j]) {
                    return false;
                }
                (i, j) = (i + 1, j + 1);
            }
        }
    }
    true
}

/// Is there room for both on the node that both enter? Devices are not told apart here.
fn have_room(state: &State<'_>, mine: &Entered, other: &Entered) -> bool {
    let (node, one) = (mine.node, i128::from(SHARE_ONE));
    let amounts = mine.added.iter().zip(&other.added).map(|(mine, other)| mine + other);
    let rooms = state.problem.allocatable(node).iter().zip(state.usage.amounts(node));
    let mut rows = amounts.zip(rooms).filter(|(added, _)| *added > 0);
    !(mine.has_devices && other.has_devices)
        && rows.all(|(added, (capacity, used))| used + added <= i128::from(*capacity) * one)
}

/// Of all pairs among the nodes that were looked at, how many stand for the reason above, and which need a look: those of the first
/// nodes first.
pub fn open(state: &State<'_>, nodes: &[NodeId], lone: &[Lone]) -> (usize, Vec<(usize, usize)>) {
    let count = lone.len();
    let row = |i: usize| -> Vec<(usize, usize)> {
        let is_open = |j: &usize| !stands(state, [nodes[i], nodes[*j]], [&lone[i], &lone[*j]]);
        (0..i).filter(is_open).map(|j| (i, j)).collect()
    };
    let open: Vec<(usize, usize)> = (0..count).into_par_iter().flat_map_iter(row).collect();
    (count * count.saturating_sub(1) / 2 - open.len(), open)
}
