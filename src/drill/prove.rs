//! What proves that not everything can be brought back? Counting, in exact amounts; whatever it does not see stays open.

use super::audit::wanted;
use super::gate::Gate;
use super::room::State;
use super::scenario::Scenario;
use crate::model::{DEVICE_MILLI, DomainId, GroupId, LevelId, NodeId, Problem, ResourceId, Sharing, Spread, TaskId};
use std::collections::{BTreeMap, BTreeSet};

/// Sets of large tasks that are counted apart: those of at least a half, a quarter … of the largest.
const TIERS: u32 = 4;

/// Why not everything comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Tasks that may not move are on the nodes.
    Pinned,
    /// A task fits on none of the other nodes, even if it were the only one.
    NoNode(TaskId),
    /// Some of the tasks want more of a resource than the nodes that take any of them have free together.
    Short(ResourceId),
    /// The same for devices.
    Devices,
    /// Some of the tasks are more than fit on all nodes that take any of them, were each as small as the smallest.
    Count,
    /// The tasks of a group cannot reach as many domains as its rules ask for.
    Domains(GroupId, LevelId),
    /// Of a gang of which nobody runs on fewer members can come back than it takes to start.
    Gang(GroupId),
    /// All placements have been searched.
    Searched,
}

impl Reason {
    /// A few words for people.
    pub fn describe(self, problem: &Problem) -> String {
        match self {
            Reason::Pinned => "pinned tasks end with their node".to_string(),
            Reason::NoNode(task) => format!("{} fits no other node", problem.tasks[task.index()].name),
            Reason::Short(resource) => format!("too little {} is free", problem.resources[resource.index()].name),
            Reason::Devices => "too few devices are free".to_string(),
            Reason::Count => "what is free is in too small pieces".to_string(),
            Reason::Domains(group, level) => {
                let [group, level] = [&problem.groups[group.index()].name, &problem.levels[level.index()].name];
                format!("{group} cannot cover enough of level {level}")
            }
            Reason::Gang(group) => {
                format!("too few of {} can come back", problem.groups[group.index()].name)
            }
            Reason::Searched => "every way was searched".to_string(),
        }
    }

    /// One word for programs.
    pub fn word(self) -> &'static str {
        match self {
            Reason::Pinned => "pinned",
            Reason::NoNode(_) => "no_node",
            Reason::Short(_) => "short",
            Reason::Devices => "devices",
            Reason::Count => "pieces",
            Reason::Domains(..) => "domains",
            Reason::Gang(_) => "gang",
            Reason::Searched => "searched",
        }
    }
}

/// A proof that a scenario's tasks cannot all be brought back, pinned ones aside.
pub fn impossible(state: &State<'_>, scenario: &Scenario) -> Option<Reason> {
    let problem = state.problem;
    let movable: Vec<TaskId> = scenario.lost.iter().copied().filter(|task| !problem.ends_with_node(*task)).collect();
    let nodes: Vec<NodeId> = problem.node_ids().filter(|node| scenario.failed.binary_search(node).is_err()).collect();
    let is_failed = |node: NodeId| scenario.failed.binary_search(&node).is_ok();
    let gate = Gate::new(state, &scenario.lost, is_failed);
    let whole = movable.iter().copied().filter(|task| problem.tasks[task.index()].sharing != Sharing::Divisible);
    let fits = |task: TaskId, node: NodeId| {
        state.may_enter(task, node) && fits_alone(state, task, node) && !gate.is_closed_for_good(task, node)
    };
    let mut by_size: Vec<TaskId> = whole.collect();
    by_size.sort_by_key(|task| (std::cmp::Reverse(state.size(*task)), *task));
    if let Some(task) = by_size.iter().find(|task| !nodes.iter().any(|node| fits(**task, *node))) {
        return Some(Reason::NoNode(*task));
    }
    let too_much = || sets(state, &movable).into_iter().find_map(|set| too_much(state, scenario, &nodes, &set));
    let too_few = || gate.groups().find_map(|group| too_few(problem, &gate, group, &movable, &nodes, fits));
    too_much().or_else(too_few)
}

/// What a group's rules ask for and the tasks that are to come back cannot give. That is a number of members, and at some level a number of
/// domains where none of them runs: a conflict wants one for each, a spread what is lacking.
fn too_few(
    problem: &Problem,
    gate: &Gate<'_>,
    group: GroupId,
    movable: &[TaskId],
    nodes: &[NodeId],
    fits: impl Fn(TaskId, NodeId) -> bool,
) -> Option<Reason> {
    let back = movable.iter().copied().filter(|task| problem.tasks[task.index()].group == Some(group));
    let back: Vec<TaskId> = back.collect();
    let least = problem.groups[group.index()].gang.map_or(0, |gang| gang.least as usize);
    if gate.placed(group) == 0 && (1..least).contains(&back.len()) {
        return Some(Reason::Gang(group));
    }
    if back.iter().any(|task| problem.tasks[task.index()].sharing == Sharing::Divisible) {
        return None;
    }
    let apart = problem.groups[group.index()].conflict.iter().map(|level| (*level, back.len()));
    let lacking = |(spread, least): (&Spread, u32)| {
        (spread.level, least.saturating_sub(gate.covered(group, spread.level)) as usize)
    };
    let mut wanted = apart.chain(gate.spreads(group, back.len() as u32).map(lacking));
    let is_short = |(level, wanted): &(LevelId, usize)| {
        let reached = |task: &TaskId| -> BTreeSet<DomainId> {
            let nodes = nodes.iter().filter(|node| fits(*task, **node));
            let domains = nodes.map(|node| problem.domain(*node, *level));
            domains.filter(|domain| !gate.is_covered(group, *level, *domain)).collect()
        };
        *wanted > 0 && !can_cover(*wanted, back.iter().map(reached))
    };
    wanted.find(is_short).map(|(level, _)| Reason::Domains(group, level))
}

/// Can so many domains be covered by tasks of which each covers one of those that it reaches? Augmenting paths, a task at a time.
fn can_cover(wanted: usize, reached: impl Iterator<Item = BTreeSet<DomainId>>) -> bool {
    let mut lists: Vec<BTreeSet<DomainId>> = Vec::new();
    let mut covers: Vec<Option<DomainId>> = Vec::new();
    let mut covered_by: BTreeMap<DomainId, usize> = BTreeMap::new();
    for list in reached {
        lists.push(list);
        covers.push(None);
        // From the new task to domains that it reaches, from each to whoever covers it by now.
        let mut came_from: BTreeMap<DomainId, usize> = BTreeMap::new();
        let mut next = vec![lists.len() - 1];
        let mut free = None;
        while let (Some(task), None) = (next.pop(), free) {
            for domain in &lists[task] {
                if came_from.contains_key(domain) {
                    continue;
                }
                came_from.insert(*domain, task);
                match covered_by.get(domain) {
                    Some(other) => next.push(*other),
                    None => free = Some(*domain),
                }
            }
        }
        while let Some(domain) = free {
            let task = came_from[&domain];
            covered_by.insert(domain, task);
            free = covers[task].replace(domain);
        }
        if covered_by.len() >= wanted {
            return true;
        }
    }
    false
}

/// Does the task fit on the node as it was before the failure?
fn fits_alone(state: &State<'_>, task: TaskId, node: NodeId) -> bool {
    let problem = state.problem;
    let parts = i128::from(state.share(task).parts());
    let has_room = state.takes(node, problem.requirement(task).iter().map(|amount| i128::from(*amount) * parts));
    let Some(request) = &problem.tasks[task.index()].device else { return has_room };
    state.usage.room_for(problem, node, request).count_ones() >= request.count && has_room
}

/// Scaled free amount of a node; nothing where it is overfull.
fn free(state: &State<'_>, node: NodeId, r: usize) -> i128 {
    state.left(node, r).max(0)
}

/// The sets that are counted: all, those of each class, those that want each kind of device, the large ones.
fn sets(state: &State<'_>, movable: &[TaskId]) -> Vec<Vec<TaskId>> {
    let class = |task: &TaskId| state.pack.class_row[task.index()];
    let kind = |task: &TaskId| state.problem.tasks[task.index()].device.as_ref().map(|request| request.kind);
    let only = |keep: &dyn Fn(&TaskId) -> bool| movable.iter().copied().filter(|task| keep(task)).collect::<Vec<_>>();
    let mut sets = vec![movable.to_vec()];
    let classes: BTreeSet<u32> = movable.iter().map(class).collect();
    sets.extend(classes.iter().map(|wanted| only(&|task| class(task) == *wanted)));
    let kinds: BTreeSet<u32> = movable.iter().filter_map(kind).collect();
    sets.extend(kinds.iter().map(|wanted| only(&|task| kind(task) == Some(*wanted))));
    let largest = movable.iter().map(|task| state.size(*task)).max().unwrap_or(0);
    sets.extend((1..=TIERS).map(|tier| only(&|task| state.size(*task) >= (largest >> tier).max(1))));
    sets
}

fn too_much(state: &State<'_>, scenario: &Scenario, nodes: &[NodeId], set: &[TaskId]) -> Option<Reason> {
    let problem = state.problem;
    let width = problem.resources.len();
    if set.is_empty() {
        return None;
    }
    let mut samples: Vec<TaskId> = set.to_vec();
    samples.sort_by_key(|task| state.pack.class_row[task.index()]);
    samples.dedup_by_key(|task| state.pack.class_row[task.index()]);
    // What each of them needs at least; a divisible one may do with next to nothing on a node.
    let need = |task: &TaskId, r: usize| match problem.tasks[task.index()].sharing {
        Sharing::Divisible => 0,
        _ => i128::from(problem.requirement(*task)[r]) * i128::from(state.share(*task).parts()),
    };
    let least: Vec<i128> = (0..width).map(|r| set.iter().map(|task| need(task, r)).min().unwrap_or(0)).collect();
    let (amounts, milli) = wanted(state, scenario, set.iter().copied());
    let (mut have, mut count, mut free_milli, mut free_whole) = (vec![0i128; width], 0usize, 0u64, 0u32);
    for node in nodes {
        let entering = samples.iter().filter(|task| state.may_enter(**task, *node));
        let mut eligible = 0;
        let mut enters = false;
        for task in entering {
            enters = true;
            let request = problem.tasks[task.index()].device.as_ref();
            eligible |= request.map_or(0, |request| request.eligible(&problem.nodes[node.index()]));
        }
        let room: Vec<i128> = (0..width).map(|r| free(state, *node, r)).collect();
        if !enters || room.iter().zip(&least).any(|(room, least)| room < least) {
            continue;
        }
        have.iter_mut().zip(&room).for_each(|(sum, room)| *sum += room);
        let times = room.iter().zip(&least).filter(|(_, least)| **least > 0).map(|(room, least)| room / least);
        count = count.saturating_add(times.min().map_or(set.len(), |times| times.min(set.len() as i128) as usize));
        let devices = state.usage.devices(*node).iter().enumerate();
        for used in devices.filter(|(d, _)| eligible >> d & 1 == 1).map(|(_, used)| used) {
            free_milli += u64::from(DEVICE_MILLI.saturating_sub(*used));
            free_whole += u32::from(*used == 0);
        }
    }
    let whole: u32 = set
        .iter()
        .filter_map(|task| problem.tasks[task.index()].device.as_ref())
        .filter(|request| request.milli == DEVICE_MILLI)
        .map(|request| request.count)
        .sum();
    let short = (0..width).find(|r| amounts[*r] > have[*r]);
    match short {
        Some(r) => Some(Reason::Short(ResourceId::new(r))),
        None if milli > free_milli || whole > free_whole => Some(Reason::Devices),
        None if set.len() > count => Some(Reason::Count),
        None => None,
    }
}
