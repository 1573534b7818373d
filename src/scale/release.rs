//! Which nodes can go? The search empties as many as it can, the policy says how many of those may, counting says how many could at most.
//!
//! Running tasks stay in their pool and go on running; what waits is placed first. The plan is what proves the answer: it is verified
//! wave by wave, and at its end nothing is on the nodes named.

use super::cover::{Cover, Least};
use super::policy::Policy;
use super::pools::{Load, Pool, capacity, capacity_of};
use super::scenario::{Scenarios, level};
use super::search::{Search, confined, empty_nodes};
use crate::control::Control;
use crate::model::{DomainId, Goal, NodeId, Placement, Problem, TaskId, Usage};
use crate::plan::{self, Meta, Plan, Status};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// What can go, and the way there.
pub(super) struct Released {
    /// In the order of the snapshot.
    pub nodes: Vec<NodeId>,
    /// A plan for the problem in the points of [`Goal::Consolidate`].
    pub plan: Plan,
    /// Where it leads.
    pub reached: Placement,
    /// Why fewer nodes may go than the search emptied.
    pub held_back: usize,
}

/// Chooses among the nodes that are empty at `target`, and plans. `played` is the problem with the tasks of the policy on it.
pub(super) fn release(
    problem: &Problem,
    played: &Problem,
    target: &Placement,
    policy: &Policy,
    pools: &[Pool],
    search: &Search,
    control: &Control,
) -> Released {
    let consolidated = Goal::Consolidate.apply(problem);
    let counted = problem.without_meters();
    let own = Placement::from_spots(target.spots()[..problem.tasks.len()].to_vec());
    let plan = planned(&consolidated, &own, search, control);
    let reached = plan.reached(problem);
    // The tasks of the policy keep their places.
    let taken = Usage::of(played, target);
    let empty: Vec<NodeId> =
        empty_nodes(problem, &reached).into_iter().filter(|node| taken.pieces(*node) == 0).collect();
    let allowed = match policy {
        Policy::Free | Policy::Tasks(..) => empty.clone(),
        Policy::Utilization(_) => {
            let mut allowed: Vec<NodeId> =
                pools.iter().flat_map(|pool| within(&counted, &reached, policy, pool, &empty)).collect();
            allowed.sort_unstable();
            allowed
        }
        Policy::Survive(_) => surviving(played, &reached, policy, &empty, search, control),
    };
    let held_back = empty.len() - allowed.len();
    let empty_now = empty_nodes(problem, &problem.current);
    let is_idle = allowed.iter().all(|node| empty_now.binary_search(node).is_ok());
    if is_idle && !matches!(policy, Policy::Tasks(..)) {
        // Nothing needs to move for what can go.
        let plan = planned(&consolidated, &problem.current, search, control);
        return Released { nodes: allowed, plan, reached: problem.current.clone(), held_back };
    }
    if held_back == 0 {
        return Released { nodes: allowed, plan, reached, held_back };
    }
    // Fewer nodes: fewer moves will do.
    let mut narrowed = consolidated.clone();
    narrowed.drain(&allowed);
    let mut repair = confined(&narrowed).evacuated();
    repair.nodes.iter_mut().for_each(|node| node.price = 0);
    let found = search.solve(&repair, false, control);
    let plan = planned(&narrowed, &found, search, control);
    let reached = plan.reached(problem);
    let left = empty_nodes(problem, &reached);
    let mut nodes: Vec<NodeId> = allowed.into_iter().filter(|node| left.binary_search(node).is_ok()).collect();
    if let Policy::Utilization(_) = policy {
        // What waits may have gone to another pool this time.
        nodes = pools.iter().flat_map(|pool| within(&counted, &reached, policy, pool, &nodes)).collect();
        nodes.sort_unstable();
    }
    Released { nodes, plan, reached, held_back }
}

pub(super) fn planned(problem: &Problem, target: &Placement, search: &Search, control: &Control) -> Plan {
    let meta = Meta {
        solver: "bulk".to_string(),
        seed: search.seed,
        effort: search.effort.unwrap_or(0),
        backend: "cpu".to_string(),
        status: Status::Feasible,
        bound: None,
        proof: None,
        blockers: None,
    };
    plan::build(problem, target, meta, control)
}

/// As many of a pool's empty nodes as may go under a target utilisation: those first that take least of what may go.
fn within(problem: &Problem, reached: &Placement, policy: &Policy, pool: &Pool, empty: &[NodeId]) -> Vec<NodeId> {
    let load = Load::of(problem, reached).on(&pool.nodes);
    let has = capacity_of(problem, &pool.nodes);
    let mut spare: Vec<i128> = has.iter().zip(load).map(|(has, load)| has - policy.whole_for(load)).collect();
    let mut own: Vec<NodeId> = empty.iter().copied().filter(|node| pool.nodes.binary_search(node).is_ok()).collect();
    let share = |node: &NodeId| {
        let amounts = capacity(problem, *node);
        amounts.iter().zip(&spare).map(|(amount, spare)| amount * 1_000_000 / (*spare).max(1)).max()
    };
    own.sort_by_cached_key(|node| (share(node), *node));
    own.retain(|node| {
        let amounts = capacity(problem, *node);
        let fits = amounts.iter().zip(&spare).all(|(amount, spare)| *amount == 0 || amount <= spare);
        if fits {
            spare.iter_mut().zip(amounts).for_each(|(spare, amount)| *spare -= amount);
        }
        fits
    });
    own.sort_unstable();
    own
}

/// As many of the empty nodes as can be missed when any domain is gone as well: by bisection. Those of domains that keep most nodes go
/// first, the dearest of them before the others.
fn surviving(
    problem: &Problem,
    reached: &Placement,
    policy: &Policy,
    empty: &[NodeId],
    search: &Search,
    control: &Control,
) -> Vec<NodeId> {
    let domain = |node: NodeId| level(problem, policy).map(|level| problem.domain(node, level));
    let mut left: BTreeMap<Option<DomainId>, usize> = BTreeMap::new();
    problem.node_ids().for_each(|node| *left.entry(domain(node)).or_default() += 1);
    let mut order: Vec<(Reverse<usize>, Reverse<i64>, NodeId)> = Vec::with_capacity(empty.len());
    for node in empty {
        let left = left.get_mut(&domain(*node)).expect("every node was counted");
        *left -= 1;
        order.push((Reverse(*left), Reverse(problem.nodes[node.index()].price), *node));
    }
    order.sort_unstable();
    let order: Vec<NodeId> = order.into_iter().map(|(_, _, node)| node).collect();
    let mut moved = problem.clone();
    moved.current = reached.clone();
    let scenarios = Scenarios::of(&moved, policy);
    let survives = |count: usize| scenarios.all_hold(&moved, &order[..count], search, control);
    let (mut low, mut high) = (0, order.len() + 1);
    while low + 1 < high {
        let middle = low.midpoint(high);
        *(if survives(middle) { &mut low } else { &mut high }) = middle;
    }
    let mut kept = order[..low].to_vec();
    kept.sort_unstable();
    kept
}

/// How many nodes of a pool can go at most: what runs there needs the others.
pub(super) fn at_most(problem: &Problem, pool: &Pool, running: &[TaskId], policy: &Policy, control: &Control) -> usize {
    let mut cover = Cover::new(problem, &pool.nodes, running, &|_| 1);
    if matches!(policy, Policy::Utilization(_)) {
        let load = Load::staying(problem, &pool.nodes).on(&pool.nodes);
        let has = capacity_of(problem, &pool.nodes);
        for (r, (load, has)) in load.into_iter().zip(has).enumerate() {
            // Where it is broken already, no node may go.
            cover.require(policy.whole_for(load).min(has), |node| capacity(problem, node)[r]);
        }
    }
    match cover.least(control) {
        Least::Cost(needed) => pool.nodes.len().saturating_sub(needed.max(0) as usize),
        Least::NeverEnough => 0,
    }
}
