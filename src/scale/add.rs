//! Which nodes must come, at which price? The cheapest found with which everything has a place, and what proves that cheaper ones
//! do not do.
//!
//! The nodes on offer are put beside the cluster, each at its price, and the engines place everything: those in use are the answer,
//! which is then made cheaper step by step, each time asked anew whether everything still has a place. Counting (`cover.rs`) gives a
//! cost that no answer is below. With several scenarios (`survive`), each must do with what is bought.

use super::cover::{Cover, Least};
use super::policy::{Policy, scaled};
use super::pools::{capacity, capacity_of, load_of, pools};
use super::scenario::{Scenarios, placed};
use super::search::{Search, confined, empty_nodes, priced, waiting, without};
use super::{NodeShape, stage::Stage};
use crate::control::Control;
use crate::model::{DEVICE_MILLI, Faults, NodeId, Placement, Problem, TaskId, Usage, newcomer_forbidden};

/// Most nodes of one shape that are put beside the cluster.
const OFFER_MAX: usize = 4096;
/// Fewest, where there are so many tasks.
const OFFER_MIN: usize = 32;
/// Bins that next fit keeps open while it counts how many nodes are enough.
const BINS_OPEN: usize = 32;

/// What to buy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bought {
    /// By shape.
    pub counts: Vec<usize>,
    /// Σ price, or the number of nodes where no shape has a price.
    pub cost: i128,
    /// See `cost`.
    pub in_nodes: bool,
    /// No set of nodes that does costs less; `None` = all that can be had is proven to be too little.
    pub bound: Option<i128>,
    /// Everything was found a place, and the policy kept.
    pub is_enough: bool,
    /// Counting proves, or the exact solver did, that none of the nodes can be left out.
    pub is_least: bool,
}

struct Market<'a> {
    problem: Problem,
    /// Nodes on offer, by shape.
    offers: Vec<Vec<NodeId>>,
    /// The shape of every node on offer.
    shape_of: Vec<Option<usize>>,
    /// By shape; 1 each where no shape has one.
    prices: Vec<i64>,
    scenarios: Scenarios,
    policy: &'a Policy,
    search: &'a Search,
}

/// Looks for the cheapest nodes. `lacking` are the tasks that found no place without any.
pub(super) fn buy(
    stage: &Stage,
    shapes: &[NodeShape],
    lacking: &[TaskId],
    policy: &Policy,
    search: &Search,
    control: &Control,
) -> Result<Bought, Faults> {
    let (offer, is_whole) = offered(stage, shapes, lacking, policy)?;
    let (extended, offers) = stage.with_nodes(shapes, &offer);
    let mut problem = extended.problem()?;
    hopeless(&problem).into_iter().for_each(|task| problem.tasks[task.index()].pinned = true);
    let scenarios = Scenarios::of(&stage.problem()?, policy);
    let in_nodes = shapes.iter().all(|shape| shape.node.price == 0);
    let prices = shapes.iter().map(|shape| if in_nodes { 1 } else { shape.node.price }).collect();
    let mut shape_of = vec![None; problem.nodes.len()];
    for (shape, offer) in offers.iter().enumerate() {
        offer.iter().for_each(|node| shape_of[node.index()] = Some(shape));
    }
    let market = Market { problem, offers, shape_of, prices, scenarios, policy, search };
    // Where more could have been offered, counting what is on offer proves nothing.
    let bound = if is_whole { market.bound(control) } else { Some(0) };
    let mut counts = market.first(control);
    let mut is_enough = market.is_enough(&counts, control);
    if !is_enough {
        // What the searches bought one by one was not enough together: all there is.
        let all: Vec<usize> = market.offers.iter().map(Vec::len).collect();
        if market.is_enough(&all, control) {
            (counts, is_enough) = (all, true);
        }
    }
    if is_enough {
        market.cheapen(&mut counts, bound, control);
    }
    let cost = market.cost(&counts);
    let cheapest =
        counts.iter().zip(&market.prices).filter(|(count, _)| **count > 0).map(|(_, price)| i128::from(*price)).min();
    let is_least = is_enough && bound.is_some_and(|bound| cheapest.is_none_or(|price| bound > cost - price));
    Ok(Bought { counts, cost, in_nodes, bound, is_enough, is_least })
}

/// Tasks that no node of the problem could ever hold.
pub(super) fn hopeless(problem: &Problem) -> Vec<TaskId> {
    let holds = |task: TaskId, node: NodeId| {
        let amounts = problem.allocatable(node).iter().zip(super::cover::need(problem, task));
        newcomer_forbidden(problem, task, node).is_none() && amounts.into_iter().all(|(has, need)| *has >= need)
    };
    waiting(problem).filter(|task| !problem.node_ids().any(|node| holds(*task, node))).collect()
}

impl Market<'_> {
    fn cost(&self, counts: &[usize]) -> i128 {
        counts.iter().zip(&self.prices).map(|(count, price)| *count as i128 * i128::from(*price)).sum()
    }

    /// Nodes on offer beyond these counts: they are not there.
    fn unbought(&self, counts: &[usize]) -> Vec<NodeId> {
        self.offers.iter().zip(counts).flat_map(|(offer, count)| offer[*count..].to_vec()).collect()
    }

    fn price(&self, node: NodeId) -> i64 {
        self.shape_of[node.index()].map_or(0, |shape| self.prices[shape])
    }

    fn bound(&self, control: &Control) -> Option<i128> {
        let one = |gone: &Vec<NodeId>| {
            let problem = confined(&without(&self.problem, gone));
            let tasks: Vec<TaskId> = (problem.task_ids())
                .filter(|task| problem.current.spot(*task).is_placed() || !problem.tasks[task.index()].pinned)
                .collect();
            let nodes: Vec<NodeId> = problem.node_ids().collect();
            let mut cover = Cover::new(&problem, &nodes, &tasks, &|node| self.price(node));
            self.require_policy(&problem, &mut cover);
            match cover.least(control) {
                Least::Cost(cost) => Some(cost.max(0)),
                Least::NeverEnough => None,
            }
        };
        // Each scenario must be met: the dearest counts.
        self.scenarios.gone.iter().map(one).try_fold(0, |most, bound| Some(most.max(bound?)))
    }

    /// A target utilisation asks for capacity whatever the placement.
    fn require_policy(&self, problem: &Problem, cover: &mut Cover) {
        if !matches!(self.policy, Policy::Utilization(_)) {
            return;
        }
        let usage = Usage::of(problem, &problem.current);
        // All pools together carry what waits as well.
        let nodes: Vec<NodeId> = problem.node_ids().collect();
        let mut all = load_of(problem, &usage, &nodes);
        for task in waiting(problem) {
            all.iter_mut().zip(super::cover::need(problem, task)).for_each(|(sum, need)| *sum += scaled(need));
            if let Some(request) = &problem.tasks[task.index()].device {
                let milli = i64::from(request.count) * i64::from(request.milli);
                all[problem.resources.len() + request.kind as usize] += scaled(milli);
            }
        }
        for (r, load) in all.into_iter().enumerate().filter(|(_, load)| *load > 0) {
            cover.require(self.policy.whole_for(load), |node| capacity(problem, node)[r]);
        }
        for pool in pools(problem) {
            for (r, load) in load_of(problem, &usage, &pool.nodes).into_iter().enumerate().filter(|(_, load)| *load > 0)
            {
                let own = |node: NodeId| pool.nodes.binary_search(&node).map_or(0, |_| capacity(problem, node)[r]);
                cover.require(self.policy.whole_for(load), own);
            }
        }
    }

    /// What the engines buy for each scenario, whichever shape needs most.
    fn first(&self, control: &Control) -> Vec<usize> {
        let mut counts = vec![0; self.offers.len()];
        for (k, gone) in self.scenarios.gone.iter().enumerate() {
            let left = self.scenarios.gone.len() - k;
            let share = match control.time_left() {
                Some(time) => control.within(time / (2 * left as u32 + 2)),
                None => control.clone(),
            };
            if self.placed(&counts, gone, &share).is_some() {
                continue;
            }
            let problem = priced(&confined(&without(&self.problem, gone)), &|node| self.price(node));
            let found = self.search.solve(&problem, false, &share);
            let is_empty = empty_nodes(&problem, &found);
            for (count, offer) in counts.iter_mut().zip(&self.offers) {
                *count = (*count).max(offer.iter().filter(|node| is_empty.binary_search(node).is_err()).count());
            }
        }
        self.meet_target(&mut counts);
        counts
    }

    /// Adds the nodes that a target utilisation asks for beyond those that hold something: the cheapest per missing amount.
    fn meet_target(&self, counts: &mut [usize]) {
        let usage = Usage::of(&self.problem, &self.problem.current);
        while let Some((pool, r)) = self.short(counts, &usage) {
            let gain = |shape: &usize| {
                let node = self.offers[*shape][counts[*shape]];
                let own = capacity(&self.problem, node)[r];
                (self.problem.nodes[node.index()].pool == pool && own > 0).then_some(own)
            };
            let open = (0..counts.len()).filter(|shape| counts[*shape] < self.offers[*shape].len());
            let priced = open.filter_map(|shape| Some((shape, gain(&shape)?)));
            let best = priced.min_by(|(a, gains), (b, other)| {
                let price = |shape: &usize| i128::from(self.prices[*shape]);
                (price(a) * other).cmp(&(price(b) * gains)).then(other.cmp(gains)).then(a.cmp(b))
            });
            match best {
                Some((shape, _)) => counts[shape] += 1,
                None => return,
            }
        }
    }

    /// Pool and resource (or kind of device) that are loaded above the target with so many nodes.
    fn short(&self, counts: &[usize], usage: &Usage) -> Option<(Option<u32>, usize)> {
        let Policy::Utilization(_) = self.policy else { return None };
        let gone = self.unbought(counts);
        pools(&self.problem).iter().find_map(|pool| {
            let left: Vec<NodeId> = pool.nodes.iter().copied().filter(|n| gone.binary_search(n).is_err()).collect();
            let (load, has) = (load_of(&self.problem, usage, &pool.nodes), capacity_of(&self.problem, &left));
            let r = load.iter().zip(has).position(|(load, has)| self.policy.headroom(*load, has, 0) < 0)?;
            Some((self.problem.nodes[pool.nodes[0].index()].pool, r))
        })
    }

    fn placed(&self, counts: &[usize], gone: &[NodeId], control: &Control) -> Option<Placement> {
        placed(&self.problem, &[gone, &self.unbought(counts)].concat(), self.search, control)
    }

    /// True when everything has a place and the policy is kept in every scenario.
    fn is_enough(&self, counts: &[usize], control: &Control) -> bool {
        self.scenarios.gone.iter().all(|gone| {
            self.placed(counts, gone, control)
                .is_some_and(|placement| self.short(counts, &Usage::of(&self.problem, &placement)).is_none())
        })
    }

    /// Fewer nodes, or one for a cheaper one, as long as that does and costs no less than the bound.
    fn cheapen(&self, counts: &mut Vec<usize>, bound: Option<i128>, control: &Control) {
        let mut order: Vec<usize> = (0..counts.len()).collect();
        order.sort_by_key(|shape| (std::cmp::Reverse(self.prices[*shape]), *shape));
        let is_open = |counts: &[usize]| bound.is_none_or(|bound| self.cost(counts) >= bound);
        loop {
            let mut tries: Vec<Vec<usize>> = Vec::new();
            for dear in order.iter().filter(|shape| counts[**shape] > 0) {
                let mut fewer = counts.clone();
                // Many at once first: there may be far too many.
                let mut step = counts[*dear] / 2;
                while step > 1 {
                    fewer[*dear] = counts[*dear] - step;
                    tries.push(fewer.clone());
                    step /= 2;
                }
                fewer[*dear] = counts[*dear] - 1;
                tries.push(fewer.clone());
                for cheap in order.iter().filter(|cheap| self.prices[**cheap] < self.prices[*dear]) {
                    let mut other = fewer.clone();
                    other[*cheap] += 1;
                    tries.push(other);
                }
            }
            tries.retain(|counts| {
                is_open(counts) && counts.iter().zip(&self.offers).all(|(n, offer)| *n <= offer.len())
            });
            tries.sort_by_key(|counts| self.cost(counts));
            let share = |k: usize| match control.time_left() {
                Some(time) => control.within(time / (tries.len() - k + 1) as u32),
                None => control.clone(),
            };
            let better =
                tries.iter().enumerate().find(|(k, counts)| !control.must_stop() && self.is_enough(counts, &share(*k)));
            match better {
                Some((_, better)) => *counts = better.clone(),
                None => return,
            }
        }
    }
}

/// How many nodes of each shape are offered: as many as are enough for what lacks a place, each shape alone, and a few more; and whether
/// nobody could use more, since every node of a least purchase holds a task or is due to a target.
fn offered(
    stage: &Stage,
    shapes: &[NodeShape],
    lacking: &[TaskId],
    policy: &Policy,
) -> Result<(Vec<usize>, bool), Faults> {
    let (extended, offers) = stage.with_nodes(shapes, &vec![1; shapes.len()]);
    let problem = extended.problem()?;
    let nodes = stage.node_count.max(1);
    let counts = shapes.iter().zip(&offers).map(|(shape, offer)| {
        let enough = match policy {
            // A target asks for capacity, a failed domain for another: as many nodes as there are.
            Policy::Utilization(_) | Policy::Survive(_) => nodes.max(bins(&problem, offer[0], lacking)),
            Policy::Free | Policy::Tasks(..) => bins(&problem, offer[0], lacking),
        };
        let most = shape.most.map_or(usize::MAX, |most| most as usize);
        let useful = most.min(problem.tasks.len().saturating_add(due(&problem, policy, offer[0])));
        let count = enough.max(useful.min(OFFER_MIN)).min(OFFER_MAX).min(most);
        (count, count >= useful)
    });
    let (counts, is_whole): (Vec<usize>, Vec<bool>) = counts.unzip();
    Ok((counts, is_whole.into_iter().all(|is_whole| is_whole)))
}

/// Nodes like this one that a target utilisation asks for, were there no others.
fn due(problem: &Problem, policy: &Policy, node: NodeId) -> usize {
    let Policy::Utilization(_) = policy else { return 0 };
    let nodes: Vec<NodeId> = problem.node_ids().collect();
    let mut all = load_of(problem, &Usage::of(problem, &problem.current), &nodes);
    for task in waiting(problem) {
        all.iter_mut().zip(need(problem, task)).for_each(|(sum, need)| *sum += need);
    }
    let loads = all.into_iter().zip(capacity(problem, node)).filter(|(load, has)| *load > 0 && *has > 0);
    let most = loads.map(|(load, has)| (policy.whole_for(load) + has - 1) / has).max().unwrap_or(0);
    usize::try_from(most).unwrap_or(usize::MAX)
}

/// Nodes like this one that hold the tasks that may enter it: next fit, the largest first.
fn bins(problem: &Problem, node: NodeId, tasks: &[TaskId]) -> usize {
    let capacity = capacity(problem, node);
    let mut needs: Vec<Vec<i128>> = (tasks.iter())
        .filter(|task| newcomer_forbidden(problem, **task, node).is_none())
        .map(|task| need(problem, *task))
        .filter(|need| need.iter().zip(&capacity).all(|(need, has)| need <= has))
        .collect();
    let part = |need: &Vec<i128>| {
        let parts = need.iter().zip(&capacity).filter(|(_, has)| **has > 0);
        parts.map(|(need, has)| *need * 1_000_000 / *has).max()
    };
    needs.sort_by_cached_key(|need| std::cmp::Reverse(part(need)));
    let (mut closed, mut open): (usize, Vec<Vec<i128>>) = (0, Vec::new());
    for need in needs {
        let fits = |bin: &&mut Vec<i128>| bin.iter().zip(&need).all(|(left, need)| need <= left);
        if let Some(bin) = open.iter_mut().find(fits) {
            bin.iter_mut().zip(&need).for_each(|(left, need)| *left -= need);
            continue;
        }
        if open.len() == BINS_OPEN {
            open.remove(0);
            closed += 1;
        }
        open.push(capacity.iter().zip(&need).map(|(has, need)| has - need).collect());
    }
    let mut alike = vec![0usize; problem.groups.len()];
    for group in tasks.iter().filter_map(|task| problem.tasks[task.index()].group) {
        alike[group.index()] += 1;
    }
    let conflicts =
        problem.groups.iter().zip(alike).filter(|(group, _)| !group.conflict.is_empty() || !group.spread.is_empty());
    (closed + open.len()).max(conflicts.map(|(_, count)| count).max().unwrap_or(0))
}

/// Amounts of a task, then milli by kind of device, scaled; a fraction of a device counts half or all of one, so that what fits in sum
/// fits on devices.
fn need(problem: &Problem, task: TaskId) -> Vec<i128> {
    let mut need: Vec<i128> = problem.requirement(task).iter().map(|amount| scaled(*amount)).collect();
    let request = problem.tasks[task.index()].device.as_ref();
    need.extend((0..problem.device_kinds.len()).map(|kind| {
        let request = request.filter(|request| request.kind as usize == kind);
        request.map_or(0, |request| {
            let half = DEVICE_MILLI / 2;
            scaled(i64::from(request.count) * i64::from(if request.milli <= half { half } else { DEVICE_MILLI }))
        })
    }));
    need
}
