//! Which nodes can go? The search empties as many as it can, the policy says how many of those may, counting says how many could at most.
//!
//! Running tasks stay in their pool and go on running; what waits is placed first. The plan is what proves the answer: it is verified
//! wave by wave, and at its end nothing is on the nodes named.

use super::cover::{Cover, Least};
use super::keep::keeps;
use super::policy::Policy;
use super::pools::{Load, Pool, capacity, capacity_of};
use super::scenario::{Scenarios, level};
use super::scene::Scene;
use super::search::{Search, confined, empty_nodes, priced, waiting};
use crate::control::Control;
use crate::model::{AMOUNT_MAX, DomainId, Goal, NodeId, Placement, Problem, SHARE_ONE, TaskId};
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
    /// Everything runs at the end of the plan, and the policy is kept there without these nodes.
    pub is_kept: bool,
}

/// What is asked.
pub(super) struct Release<'a> {
    pub problem: &'a Problem,
    /// The problem with the tasks of the policy on it.
    pub scene: &'a Scene,
    pub policy: &'a Policy,
    pub pools: &'a [Pool],
    pub search: &'a Search,
}

/// A state with all tasks of a scene, as one of the problem: without those of the policy.
pub(super) fn own(problem: &Problem, state: &Placement) -> Placement {
    Placement::from_spots(state.spots()[..problem.tasks.len()].to_vec())
}

/// What was found in pieces, as a state. Where a target or failures count, a divisible task that waited starts with the least that it
/// can: whatever it takes is load from then on. Else it has what is left.
pub(super) fn poured(scene: &Scene, found: &Placement, policy: &Policy) -> Placement {
    let state = scene.cut.joined(found);
    match policy {
        Policy::Free | Policy::Tasks(..) => scene.poured(&state),
        Policy::Utilization(_) | Policy::Survive(_) => state,
    }
}

/// Where a plan for the problem leads, with the tasks of the policy as they are in `state`.
pub(super) fn reached(problem: &Problem, plan: &Plan, state: &Placement) -> Placement {
    let reserved = state.spots()[problem.tasks.len()..].iter().cloned();
    Placement::from_spots(plan.reached(problem).spots().iter().cloned().chain(reserved).collect())
}

impl Release<'_> {
    /// The best of three: nothing moves; no more moves than empty the nodes that may go; all moves to `target`, in pieces, where as many
    /// nodes are empty as the search could make.
    pub fn best(&self, target: &Placement, control: &Control) -> Released {
        let consolidated = Goal::Consolidate.apply(self.problem);
        let state = poured(self.scene, target, self.policy);
        let plan =
            planned_under(self.policy, &consolidated, self.scene, Goal::Consolidate, &state, self.search, control);
        let end = reached(self.problem, &plan, &state);
        let empty = empty_nodes(&self.scene.whole, &end);
        let allowed = self.allowed(&end, &empty, control);
        let held_back = empty.len() - allowed.len();
        let wide = || self.released(plan, &end, allowed.clone(), held_back, control);
        let empty_now = empty_nodes(self.problem, &self.problem.current);
        let is_idle = allowed.iter().all(|node| empty_now.binary_search(node).is_ok());
        if is_idle && waiting(&self.scene.whole).all(|task| task.index() >= self.problem.tasks.len()) {
            // Nothing needs to move for what can go, nor any share to give way before the tasks of the policy are there.
            let plan = planned(&consolidated, &self.problem.current, self.search, control);
            let unmoved = reached(self.problem, &plan, &state);
            let idle = self.released(plan, &unmoved, allowed.clone(), held_back, control);
            return if idle.is_kept { idle } else { wide() };
        }
        // The tasks of the policy keep their places only where everything goes where it was found.
        if (held_back == 0 && !is_idle) || matches!(self.policy, Policy::Tasks(..)) {
            return wide();
        }
        let narrow = self.narrow(&consolidated, &allowed, held_back, control);
        if narrow.is_kept { narrow } else { wide() }
    }

    /// Fewer nodes: fewer moves will do.
    fn narrow(&self, consolidated: &Problem, allowed: &[NodeId], held_back: usize, control: &Control) -> Released {
        let mut narrowed = consolidated.clone();
        narrowed.drain(allowed);
        let mut repair = self.scene.whole.clone();
        repair.drain(allowed);
        let repair = Scene::new(priced(&confined(&repair).evacuated(), &|_| 0), &[]);
        let found = self.search.solve(repair.pieces(), false, control);
        let state = poured(&repair, &found, self.policy);
        let plan = planned(&narrowed, &own(self.problem, &state), self.search, control);
        let end = reached(self.problem, &plan, &state);
        let left = empty_nodes(&self.scene.whole, &end);
        let mut nodes: Vec<NodeId> = allowed.iter().copied().filter(|node| left.binary_search(node).is_ok()).collect();
        if let Policy::Utilization(_) = self.policy {
            // What waits may have gone to another pool this time.
            nodes = self.within(&end, &nodes);
        }
        self.released(plan, &end, nodes, held_back, control)
    }

    fn released(
        &self,
        plan: Plan,
        end: &Placement,
        nodes: Vec<NodeId>,
        held_back: usize,
        control: &Control,
    ) -> Released {
        let is_kept = keeps(self.scene, end, &nodes, self.policy, self.search, control);
        Released { nodes, plan, reached: own(self.problem, end), held_back, is_kept }
    }

    /// Which of the empty nodes the policy lets go.
    fn allowed(&self, end: &Placement, empty: &[NodeId], control: &Control) -> Vec<NodeId> {
        match self.policy {
            Policy::Free | Policy::Tasks(..) => empty.to_vec(),
            Policy::Utilization(_) => self.within(end, empty),
            Policy::Survive(_) => surviving(&self.scene.at(end), self.policy, empty, self.search, control),
        }
    }

    fn within(&self, end: &Placement, empty: &[NodeId]) -> Vec<NodeId> {
        let own = |pool| within(&self.scene.whole, end, self.policy, pool, empty);
        let mut nodes: Vec<NodeId> = self.pools.iter().flat_map(own).collect();
        nodes.sort_unstable();
        nodes
    }
}

/// A plan that leads to `target`. Where that starts what is worth less in the points of the problem than what has to give way for it,
/// a share or a node, or empties a node that is worth less than such a share, the plan is ordered in points in which nothing is.
fn planned(problem: &Problem, target: &Placement, search: &Search, control: &Control) -> Plan {
    let plan = plan::build(problem, target, meta(search), control);
    let left_out = |plan: &Plan| {
        let reached = plan.reached(problem);
        let waits = |task: &TaskId| target.spot(*task).is_placed() && !reached.spot(*task).is_placed();
        let empty = empty_nodes(problem, &reached);
        let is_left = |node: &&NodeId| empty.binary_search(node).is_err();
        problem.task_ids().filter(waits).count() + empty_nodes(problem, target).iter().filter(is_left).count()
    };
    if left_out(&plan) == 0 {
        return plan;
    }
    let mut starts = priced(problem, &|node| problem.nodes[node.index()].price);
    for task in problem.task_ids() {
        let share = target.spot(task).total_parts().max(1);
        let start = i128::from(starts.value_scale) * i128::from(u64::from(SHARE_ONE).div_ceil(share));
        let is_running = problem.current.spot(task).is_placed();
        starts.tasks[task.index()].weight = if is_running { 1 } else { start.min(AMOUNT_MAX.into()) as i64 };
    }
    let ordered = plan::told(problem, plan::order(&starts, target, control));
    let other = plan::sum_up(problem, ordered, meta(search));
    if left_out(&other) < left_out(&plan) { other } else { plan }
}

/// A plan that leads to `state`, of the scene, for the problem, which has this goal; where the tasks of the policy lack their room at its
/// end, one with the moves that make it.
pub(super) fn planned_under(
    policy: &Policy,
    problem: &Problem,
    scene: &Scene,
    goal: Goal,
    state: &Placement,
    search: &Search,
    control: &Control,
) -> Plan {
    let plan = planned(problem, &own(problem, state), search, control);
    let has_room = |plan: &Plan| keeps(scene, &reached(problem, plan, state), &[], policy, search, control);
    if !matches!(policy, Policy::Tasks(..)) || has_room(&plan) {
        return plan;
    }
    let roomy = with_room(problem, scene, goal, state, search, control);
    if has_room(&roomy) { roomy } else { plan }
}

/// A plan that leads to `target` with all moves that make room for the tasks of the policy: ordered as if these started as well, since in
/// the points of the problem alone nothing calls for such a move.
fn with_room(
    problem: &Problem,
    scene: &Scene,
    goal: Goal,
    target: &Placement,
    search: &Search,
    control: &Control,
) -> Plan {
    let mut ordered = plan::order(&goal.apply(&scene.whole), target, control);
    let is_own = |task: TaskId| task.index() < problem.tasks.len();
    ordered.waves.iter_mut().for_each(|wave| wave.retain(|step| is_own(step.task)));
    ordered.waves.retain(|wave| !wave.is_empty());
    ordered.blocked.retain(|(task, _)| is_own(*task));
    ordered.reached = own(problem, &ordered.reached);
    plan::sum_up(problem, plan::told(problem, ordered), meta(search))
}

fn meta(search: &Search) -> Meta {
    Meta {
        solver: "bulk".to_string(),
        seed: search.seed,
        effort: search.effort.unwrap_or(0),
        backend: "cpu".to_string(),
        status: Status::Feasible,
        bound: None,
        proof: None,
        blockers: None,
    }
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
fn surviving(scene: &Scene, policy: &Policy, empty: &[NodeId], search: &Search, control: &Control) -> Vec<NodeId> {
    let problem = &scene.whole;
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
    let scenarios = Scenarios::of(problem, policy);
    let survives = |count: usize| scenarios.all_hold(scene, &order[..count], search, control);
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
    let mut cover = Cover::new(problem, &pool.nodes, running, &|_| Some(1));
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
