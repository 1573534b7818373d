//! Which nodes must come, at which price? The cheapest found with which everything has a place, and what proves that cheaper ones
//! do not do.
//!
//! Counting (`cover.rs`) gives a cost that no answer is below, and numbers of nodes that meet all it counts: those are tried first. What
//! the engines leave waiting with them gets the cheapest nodes that hold it, until everything has a place. Where that does not reach the
//! bound, the nodes on offer are put beside the cluster, each at its price, and the engines place everything: those in use, completed in
//! the same way, are another answer. The cheaper one is made cheaper (`cheapen.rs`). With several scenarios
//! (`survive`), each must do with what is bought, and what is bought may fail like what is there.

use super::cover::{Cover, Least};
use super::policy::{Policy, scaled};
use super::pools::{Load, Pool, capacity, capacity_of, pools, row};
use super::scenario::{Scenarios, keeps_groups, left, placed};
use super::scene::Scene;
use super::search::{Search, empty_nodes, is_whole, lacking, priced, thinned, waiting};
use super::{NodeShape, spread::spread, stage::Stage};
use crate::control::Control;
use crate::model::{
    DEVICE_MILLI, DeviceRequest, Faults, NodeId, Placement, Problem, TaskId, Usage, newcomer_forbidden,
};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Most nodes of one shape that are put beside the cluster.
const OFFER_MAX: usize = 4096;
/// Fewest, where there are so many tasks.
const OFFER_MIN: usize = 32;
/// As many nodes of a shape as are as good as without limit.
const MOST: i64 = 1 << 32;
/// Scenarios that are counted: those that take most away.
const COVERS_MAX: usize = 8;
/// Times that nodes are added for what still waits: mostly one is enough, and each scenario may ask for its own.
const GROWTH: usize = 32;
/// Bins that next fit keeps open while it counts how many nodes are enough.
const BINS_OPEN: usize = 32;

/// What to buy.
#[derive(Debug, Clone)]
pub(super) struct Bought {
    /// By shape.
    pub counts: Vec<usize>,
    /// No shape has a price: the number of nodes is what counts.
    pub in_nodes: bool,
    /// By shape; 1 each where none has a price.
    pub prices: Vec<i64>,
    /// No set of nodes that does costs less; `None` = all that can be had is proven to be too little.
    pub bound: Option<i128>,
    /// A place for everything with these nodes, by tasks and nodes of the problem that offers them: the policy is kept. `None` = none was
    /// found.
    pub placement: Option<Placement>,
    /// By shape, the nodes of that problem that stand for what is on offer: the first of them are what is bought.
    pub offers: Vec<Vec<NodeId>>,
    /// Counting proves that none of the nodes can be left out.
    pub is_least: bool,
    /// No single node can be left out as far as the searches can find out: each was tried.
    pub is_tried: bool,
}

impl Bought {
    /// The placement where what is bought are these nodes, by shape.
    pub fn on(&self, placement: &Placement, nodes: &[Vec<NodeId>]) -> Placement {
        let same: BTreeMap<NodeId, NodeId> = self
            .offers
            .iter()
            .zip(nodes)
            .flat_map(|(offer, own)| offer.iter().copied().zip(own.iter().copied()))
            .collect();
        placement.renamed(|node| same.get(&node).copied().unwrap_or(node))
    }
}

/// Numbers of nodes that are enough.
pub(super) struct Enough {
    /// By shape.
    pub counts: Vec<usize>,
    /// A place for everything with them.
    pub placement: Placement,
}

/// How a pool stands under a target utilisation.
struct Stand {
    pool: Option<u32>,
    load: Vec<i128>,
    has: Vec<i128>,
}

/// The cluster with the nodes of a purchase and no others. A purchase is judged on just that, since what a search finds depends on what
/// else is there, and whoever has bought it asks about nothing else. What to try first is asked with all offers beside (`first`).
struct Site {
    scene: Scene,
    /// Its nodes, by their number in the market: ascending.
    nodes: Vec<NodeId>,
}

impl Site {
    /// A placement on it, by nodes of the market.
    fn here(&self, placement: &Placement) -> Placement {
        placement.renamed(|node| self.nodes[node.index()])
    }

    /// Those on offer that are there, by their number on it.
    fn bought(&self, offer: &[NodeId]) -> Vec<NodeId> {
        offer.iter().filter_map(|node| self.nodes.binary_search(node).ok()).map(NodeId::new).collect()
    }
}

pub(super) struct Market<'a> {
    scene: Scene,
    /// Of what runs now.
    usage: Usage,
    /// Nodes on offer, by shape.
    pub offers: Vec<Vec<NodeId>>,
    /// The shape of every node on offer.
    shape_of: Vec<Option<usize>>,
    /// By shape; 1 each where no shape has one (`in_nodes`).
    pub prices: Vec<i64>,
    in_nodes: bool,
    scenarios: Scenarios,
    /// What is counted.
    pub covers: Vec<Cover>,
    policy: &'a Policy,
    search: &'a Search,
}

/// Looks for the cheapest nodes. `waits` are the tasks that wait, `hopeless` those that no node could ever hold.
pub(super) fn buy(
    stage: &Stage,
    shapes: &[NodeShape],
    [waits, hopeless]: [&[TaskId]; 2],
    policy: &Policy,
    search: &Search,
    control: &Control,
) -> Result<Bought, Faults> {
    let market = Market::open(stage, shapes, [waits, hopeless], policy, search, control)?;
    let (bound, counted) = market.bound(&control.part(8));
    let mut found = counted.and_then(|counts| market.grown(&counts, &control.part(3)));
    let mut counts = found.as_ref().map(|found| found.counts.clone()).unwrap_or_default();
    if found.is_none() || bound.is_none_or(|bound| market.cost(&counts) > bound) {
        counts = market.first(&control.part(2));
        // What the searches bought one by one may not be enough together: then more, or all there is.
        let is_cheaper = |enough: &Enough| {
            found.as_ref().is_none_or(|found| market.cost(&enough.counts) < market.cost(&found.counts))
        };
        let grown = market.grown(&counts, &control.part(3)).filter(is_cheaper);
        found =
            grown.or(found).or_else(|| market.enough(market.offers.iter().map(Vec::len).collect(), &control.part(3)));
    }
    let mut is_tried = false;
    if let Some(enough) = &mut found {
        is_tried = market.cheapen(enough, bound, control);
        counts = enough.counts.clone();
    }
    let is_short = |counts: &Vec<usize>| bound.is_some_and(|bound| market.cost(counts) < bound);
    let is_least = found.is_some() && bound.is_some() && market.one_fewer(&counts).iter().all(is_short);
    let placement = found.map(|found| found.placement);
    let in_nodes = market.in_nodes;
    Ok(Bought { counts, in_nodes, prices: market.prices, bound, placement, offers: market.offers, is_least, is_tried })
}

impl<'a> Market<'a> {
    /// What is on offer for a stage, and all that is counted.
    pub(super) fn open(
        stage: &Stage,
        shapes: &[NodeShape],
        [waits, hopeless]: [&[TaskId]; 2],
        policy: &'a Policy,
        search: &'a Search,
        control: &Control,
    ) -> Result<Market<'a>, Faults> {
        let offer = offered(stage, shapes, waits, policy)?;
        let (extended, offers) = stage.with_nodes(shapes, &offer);
        let scene = Scene::new(extended.problem()?, hopeless);
        let problem = &scene.whole;
        let scenarios = Scenarios::with_offers(problem, policy, stage.node_count, &offers);
        let prices: Vec<i64> = shapes.iter().map(|shape| stage.price(&shape.node)).collect();
        let in_nodes = prices.iter().all(|price| *price == 0);
        let prices = prices.into_iter().map(|price| if in_nodes { 1 } else { price }).collect();
        let mut shape_of = vec![None; problem.nodes.len()];
        for (shape, offer) in offers.iter().enumerate() {
            offer.iter().for_each(|node| shape_of[node.index()] = Some(shape));
        }
        let most: Vec<i64> = shapes.iter().map(|shape| shape.most.map_or(MOST, i64::from)).collect();
        let usage = Usage::of(problem, &problem.current);
        let covers = Vec::new();
        let mut market = Market { scene, usage, offers, shape_of, prices, in_nodes, scenarios, covers, policy, search };
        market.covers = market.covers(&most, control);
        Ok(market)
    }

    pub(super) fn cost(&self, counts: &[usize]) -> i128 {
        counts.iter().zip(&self.prices).map(|(count, price)| *count as i128 * i128::from(*price)).sum()
    }

    /// Nodes on offer beyond these counts: they are not there.
    fn unbought(&self, counts: &[usize]) -> Vec<NodeId> {
        self.offers.iter().zip(counts).flat_map(|(offer, count)| offer[*count..].to_vec()).collect()
    }

    /// Of a node on offer.
    fn price(&self, node: NodeId) -> Option<i64> {
        self.shape_of[node.index()].map(|shape| self.prices[shape])
    }

    /// What counting asks for in the scenarios that take most away.
    fn covers(&self, most: &[i64], control: &Control) -> Vec<Cover> {
        let load = |gone: &&Vec<NodeId>| gone.iter().map(|node| self.usage.pieces(*node) as usize).sum::<usize>();
        // What is bought may fail as well, but counting knows numbers of it, and not which.
        let mut gone: Vec<&Vec<NodeId>> = self
            .scenarios
            .gone
            .iter()
            .filter(|gone| gone.iter().any(|node| self.shape_of[node.index()].is_none()))
            .collect();
        gone.sort_by_key(|gone| Reverse(load(gone)));
        gone.truncate(COVERS_MAX);
        let nothing = Vec::new();
        if gone.is_empty() {
            gone.push(&nothing);
        }
        let one = |gone: &Vec<NodeId>| {
            let problem = left(&self.scene.whole, gone);
            let tasks: Vec<TaskId> = (problem.task_ids())
                .filter(|task| problem.current.spot(*task).is_placed() || !problem.tasks[task.index()].pinned)
                .collect();
            let nodes: Vec<NodeId> = problem.node_ids().collect();
            let mut cover = Cover::new(&problem, &nodes, &tasks, &|node| self.price(node));
            // Not only what is put beside the cluster could be bought.
            for (offer, most) in self.offers.iter().zip(most) {
                if let Some(node) = offer.iter().find(|node| !gone.contains(node)) {
                    cover.extend(*node, most - offer.len() as i64);
                }
            }
            self.require_policy(&problem, &mut cover);
            cover
        };
        let (first, rest) = gone.split_at(1);
        let rest = rest.iter().take_while(|_| !control.must_stop()).map(|gone| one(gone));
        let rest: Vec<Cover> = rest.collect();
        first.iter().map(|gone| one(gone)).chain(rest).collect()
    }

    /// What no purchase that is enough costs less than, and numbers that meet all that is counted. Each scenario must be met: the dearest
    /// counts, and of each shape the most.
    fn bound(&self, control: &Control) -> (Option<i128>, Option<Vec<usize>>) {
        let (mut bound, mut counts) = (0, Some(vec![0; self.offers.len()]));
        for (k, cover) in self.covers.iter().enumerate() {
            let (least, own) = cover.cheapest(&control.part((self.covers.len() - k) as u32));
            let Least::Cost(cost) = least else { return (None, None) };
            bound = bound.max(cost);
            counts = counts.zip(own).map(|(counts, own)| {
                let mut asked = vec![0; counts.len()];
                own.iter().for_each(|(node, count)| self.deal(cover, *node, *count as usize, &mut asked));
                counts.into_iter().zip(asked).map(|(count, asked)| count.max(asked)).collect()
            });
        }
        (Some(bound), counts)
    }

    /// Deals so many nodes out evenly to the shapes that counting does not tell from a node's: they may differ in what fails together.
    fn deal(&self, cover: &Cover, node: NodeId, count: usize, counts: &mut [usize]) {
        let is_alike = |shape: &usize| self.offers[*shape].first().is_some_and(|first| cover.is_alike(*first, node));
        let alike: Vec<usize> = (0..counts.len()).filter(is_alike).collect();
        for _ in 0..count {
            let open = alike.iter().filter(|shape| counts[**shape] < self.offers[**shape].len());
            let Some(shape) = open.min_by_key(|shape| counts[**shape]) else { return };
            counts[*shape] += 1;
        }
    }

    /// These numbers, and the cheapest nodes for what the engines leave waiting with them, until everything has a place.
    fn grown(&self, counts: &[usize], control: &Control) -> Option<Enough> {
        let mut counts = counts.to_vec();
        for _ in 0..GROWTH {
            if control.must_stop() {
                return None;
            }
            let before = counts.clone();
            let site = self.site(&counts);
            match self.placed(&site, &control.part(3)) {
                Ok(placement) => {
                    if self.short(&self.stands(&counts, &placement)).is_some()
                        && let Some(placement) = self.spread(&counts, &site, &control.part(3))
                    {
                        return Some(Enough { counts, placement });
                    }
                    self.meet_target(&mut counts, &placement);
                    let is_short = self.short(&self.stands(&counts, &placement)).is_some();
                    return (!is_short).then_some(Enough { counts, placement });
                }
                Err(lacking) => self.extend(&mut counts, &lacking),
            }
            if counts == before {
                return None;
            }
        }
        None
    }

    /// Adds nodes for tasks: those that need a dear one first, then the large ones, each to a node that was added or, where none has room,
    /// to a new one of the cheapest shape that holds it.
    fn extend(&self, counts: &mut [usize], tasks: &[TaskId]) {
        let problem = self.scene.pieces();
        let full: Vec<Vec<i128>> =
            self.offers.iter().map(|o| o.first().map_or(Vec::new(), |n| capacity(problem, *n))).collect();
        let fits = |need: &[i128], has: &[i128]| need.iter().zip(has).all(|(need, has)| need <= has);
        let holds = |task: TaskId, need: &[i128], shape: usize| {
            let first = self.offers[shape].first();
            first.is_some_and(|node| newcomer_forbidden(problem, task, *node).is_none()) && fits(need, &full[shape])
        };
        let firsts: Vec<NodeId> = self.offers.iter().filter_map(|offer| offer.first()).copied().collect();
        let mut work: Vec<(TaskId, Vec<i128>, Vec<usize>)> = Vec::new();
        for task in tasks {
            let need = need(problem, *task, &firsts);
            let mut shapes: Vec<usize> = (0..full.len()).filter(|shape| holds(*task, &need, *shape)).collect();
            shapes.sort_by_key(|shape| (self.prices[*shape], *shape));
            work.push((*task, need, shapes));
        }
        let dearest = |shapes: &[usize]| shapes.first().map(|shape| self.prices[*shape]);
        work.sort_by_cached_key(|(task, need, shapes)| (Reverse((dearest(shapes), need.clone())), *task));
        let mut added: Vec<(usize, Vec<i128>)> = Vec::new();
        for (_, need, shapes) in work {
            let has_room = |(shape, left): &&mut (usize, Vec<i128>)| shapes.contains(shape) && fits(&need, left);
            let at = match added.iter_mut().find(has_room) {
                Some((_, left)) => left,
                None => {
                    let is_left = |shape: &&usize| counts[**shape] < self.offers[**shape].len();
                    let Some(shape) = shapes.iter().find(is_left) else { continue };
                    counts[*shape] += 1;
                    added.push((*shape, full[*shape].clone()));
                    &mut added.last_mut().expect("one was added").1
                }
            };
            at.iter_mut().zip(&need).for_each(|(left, need)| *left -= need);
        }
    }

    /// A target utilisation asks for capacity whatever the placement.
    fn require_policy(&self, problem: &Problem, cover: &mut Cover) {
        if !matches!(self.policy, Policy::Utilization(_)) {
            return;
        }
        // All pools together carry what waits as well.
        let nodes: Vec<NodeId> = problem.node_ids().collect();
        let mut all = Load::of(problem, &problem.current).on(&nodes);
        for task in waiting(problem) {
            let need = row(problem, task, super::cover::need(problem, task).into_iter().map(scaled));
            all.iter_mut().zip(need).for_each(|(sum, need)| *sum += need);
        }
        for (r, load) in all.into_iter().enumerate().filter(|(_, load)| *load > 0) {
            cover.require(self.policy.whole_for(load), |node| capacity(problem, node)[r]);
        }
        for pool in pools(problem) {
            let loads = Load::staying(problem, &pool.nodes).on(&pool.nodes);
            for (r, load) in loads.into_iter().enumerate().filter(|(_, load)| *load > 0) {
                let own = |node: NodeId| pool.nodes.binary_search(&node).map_or(0, |_| capacity(problem, node)[r]);
                cover.require(self.policy.whole_for(load), own);
            }
        }
    }

    /// What the engines buy for each scenario that does not hold yet, whichever shape needs most.
    fn first(&self, control: &Control) -> Vec<usize> {
        let mut counts = vec![0; self.offers.len()];
        let open = self.scenarios.open(&self.scene, &self.unbought(&counts), self.search, &control.part(4));
        for (k, gone) in open.iter().enumerate() {
            let share = control.part(2 * (open.len() - k) as u32);
            if placed(&self.scene, &[gone, self.unbought(&counts).as_slice()].concat(), self.search, &share).is_some() {
                continue;
            }
            let problem = priced(&left(self.scene.pieces(), gone), &|node| self.price(node).unwrap_or(0));
            // Shares give way before a node is bought.
            let problem = thinned(&problem).unwrap_or(problem);
            let found = self.search.solve(&problem, false, &share);
            let is_empty = empty_nodes(&problem, &found);
            for (count, offer) in counts.iter_mut().zip(&self.offers) {
                *count = (*count).max(offer.iter().filter(|node| is_empty.binary_search(node).is_err()).count());
            }
        }
        self.meet_target(&mut counts, &self.scene.pieces().current);
        counts
    }

    /// Adds the nodes that a target utilisation asks for beyond those that hold something: the cheapest per missing amount.
    fn meet_target(&self, counts: &mut [usize], placement: &Placement) {
        let mut stands = self.stands(counts, placement);
        while let Some((at, r)) = self.short(&stands) {
            let gain = |shape: &usize| {
                let node = self.offers[*shape][counts[*shape]];
                let own = capacity(&self.scene.whole, node)[r];
                (self.scene.whole.nodes[node.index()].pool == stands[at].pool && own > 0).then_some(own)
            };
            let open = (0..counts.len()).filter(|shape| counts[*shape] < self.offers[*shape].len());
            let priced = open.filter_map(|shape| Some((shape, gain(&shape)?)));
            let best = priced.min_by(|(a, gains), (b, other)| {
                let price = |shape: &usize| i128::from(self.prices[*shape]);
                (price(a) * other).cmp(&(price(b) * gains)).then(other.cmp(gains)).then(a.cmp(b))
            });
            let Some((shape, _)) = best else { return };
            let own = capacity(&self.scene.whole, self.offers[shape][counts[shape]]);
            stands[at].has.iter_mut().zip(own).for_each(|(has, own)| *has += own);
            counts[shape] += 1;
        }
    }

    /// How the pools stand with so many nodes; without a target, nobody asks.
    fn stands(&self, counts: &[usize], placement: &Placement) -> Vec<Stand> {
        let Policy::Utilization(_) = self.policy else { return Vec::new() };
        let gone = self.unbought(counts);
        let problem = &self.scene.whole;
        let load = Load::of(problem, &self.scene.cut.joined(placement));
        let stand = |pool: Pool| {
            let left: Vec<NodeId> = pool.nodes.iter().copied().filter(|n| gone.binary_search(n).is_err()).collect();
            Stand {
                pool: problem.nodes[pool.nodes[0].index()].pool,
                load: load.on(&pool.nodes),
                has: capacity_of(problem, &left),
            }
        };
        pools(problem).into_iter().map(stand).collect()
    }

    /// Which of them, and which resource (or kind of device, or its memory) of it, is loaded above the target.
    fn short(&self, stands: &[Stand]) -> Option<(usize, usize)> {
        stands.iter().enumerate().find_map(|(at, stand)| {
            let mut rooms = stand.load.iter().zip(&stand.has);
            Some((at, rooms.position(|(load, has)| self.policy.headroom(*load, *has, 0) < 0)?))
        })
    }

    /// Where everything has a place with these nodes, and the policy is kept in every scenario.
    pub(super) fn enough(&self, counts: Vec<usize>, control: &Control) -> Option<Enough> {
        let site = self.site(&counts);
        let mut placement = self.placed(&site, control).ok()?;
        if self.short(&self.stands(&counts, &placement)).is_some() {
            placement = self.spread(&counts, &site, control)?;
        }
        Some(Enough { counts, placement })
    }

    fn site(&self, counts: &[usize]) -> Site {
        let (problem, nodes) = self.scene.whole.without_nodes(&self.unbought(counts));
        Site { scene: Scene::new(problem, &[]), nodes }
    }

    /// A place for everything with these nodes in which no pool is loaded above the target.
    fn spread(&self, counts: &[usize], site: &Site, control: &Control) -> Option<Placement> {
        let is_within = |placement: &Placement| self.short(&self.stands(counts, &site.here(placement))).is_none();
        let found = spread(site.scene.pieces(), self.policy, &is_within, self.search, control)?;
        Some(site.here(&found))
    }

    /// A place for everything with these nodes, which are enough in every scenario; or who was left waiting in one.
    fn placed(&self, site: &Site, control: &Control) -> Result<Placement, Vec<TaskId>> {
        let scene = &site.scene;
        let bought: Vec<Vec<NodeId>> = self.offers.iter().map(|offer| site.bought(offer)).collect();
        let own = scene.whole.nodes.len() - bought.iter().map(Vec::len).sum::<usize>();
        let scenarios = Scenarios::with_offers(&scene.whole, self.policy, own, &bought);
        for gone in scenarios.open(scene, &[], self.search, control) {
            if control.must_stop() {
                return Err(Vec::new());
            }
            let problem = left(scene.pieces(), gone);
            let found = self.search.most_placed(&problem, control);
            if !is_whole(&problem, &found) || !keeps_groups(scene.pieces(), &found) {
                return Err(lacking(&problem, &found).collect());
            }
            if gone.is_empty() {
                return Ok(site.here(&found));
            }
        }
        placed(scene, &[], self.search, control).map(|found| site.here(&found)).ok_or_else(Vec::new)
    }
}

/// How many nodes of each shape are put beside the cluster: as many as are enough for what waits, each shape alone, and a few more; what
/// has a place without any may be found another one when there are more nodes. But no more than could be of use: every node of a least
/// purchase holds a task, stands in for one that does, or is due to a target.
fn offered(stage: &Stage, shapes: &[NodeShape], waits: &[TaskId], policy: &Policy) -> Result<Vec<usize>, Faults> {
    let (extended, offers) = stage.with_nodes(shapes, &vec![1; shapes.len()]);
    let problem = extended.problem()?.cut().problem;
    let nodes = stage.node_count.max(1);
    let counts = shapes.iter().zip(&offers).map(|(shape, offer)| {
        let enough = match policy {
            // A target asks for capacity: as many nodes as there are, or as it takes were there none.
            Policy::Utilization(_) => nodes.max(bins(&problem, offer[0], waits)).max(due(&problem, policy, offer[0])),
            // A failed domain asks for another, and what is bought may fail as well.
            Policy::Survive(_) => nodes.max(bins(&problem, offer[0], waits)).saturating_mul(2),
            Policy::Free | Policy::Tasks(..) => bins(&problem, offer[0], waits),
        };
        let most = shape.most.map_or(usize::MAX, |most| most as usize);
        let spare = if matches!(policy, Policy::Survive(_)) { problem.tasks.len().max(1) } else { 0 };
        let useful =
            most.min(problem.tasks.len().saturating_add(due(&problem, policy, offer[0])).saturating_add(spare));
        enough.max(useful.min(OFFER_MIN)).min(OFFER_MAX).min(most)
    });
    Ok(counts.collect())
}

/// Nodes like this one that a target utilisation asks for, were there no others.
fn due(problem: &Problem, policy: &Policy, node: NodeId) -> usize {
    let Policy::Utilization(_) = policy else { return 0 };
    let nodes: Vec<NodeId> = problem.node_ids().collect();
    let mut all = Load::of(problem, &problem.current).on(&nodes);
    for task in waiting(problem) {
        // Whoever may have more may take it.
        let whole = problem.requirement(task).iter().map(|amount| scaled(*amount));
        let devices = need(problem, task, &[node]).into_iter().skip(problem.resources.len());
        all.iter_mut().zip(whole.chain(devices)).for_each(|(sum, need)| *sum += need);
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
        .map(|task| need(problem, *task, &[node]))
        .filter(|need| need.iter().zip(&capacity).all(|(need, has)| need <= has))
        .collect();
    let part = |need: &Vec<i128>| {
        let parts = need.iter().zip(&capacity).filter(|(_, has)| **has > 0);
        parts.map(|(need, has)| *need * 1_000_000 / *has).max()
    };
    needs.sort_by_cached_key(|need| Reverse(part(need)));
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

/// Least amounts of a task, then milli and memory by kind of device, scaled; a fraction of a device counts half or all of one, by milli and
/// by the memory of devices of these nodes, so that what fits in sum fits on devices.
fn need(problem: &Problem, task: TaskId, nodes: &[NodeId]) -> Vec<i128> {
    let mut need = row(problem, task, super::cover::least(problem, task));
    let Some(request) = &problem.tasks[task.index()].device else { return need };
    let half = DEVICE_MILLI / 2;
    let twice = DeviceRequest { memory: 2 * request.memory, ..request.clone() };
    let holds_two = |node: &NodeId| {
        let host = &problem.nodes[node.index()];
        twice.eligible(host) == request.eligible(host)
    };
    let is_half = request.milli <= half && nodes.iter().all(holds_two);
    need[problem.resources.len() + request.kind as usize] =
        scaled(i64::from(request.count) * i64::from(if is_half { half } else { DEVICE_MILLI }));
    need
}
