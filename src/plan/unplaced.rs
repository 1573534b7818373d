//! Why does this task run nowhere? Counts, over all nodes, the first rule that keeps it out.
//!
//! A large queue has hundreds of thousands of tasks of different sizes, and a cluster as many nodes, so not every task looks at every node:
//! tasks that may enter the same nodes share a [`Door`], where each amount is one step on a [`Ladder`].

use super::ladder::{Bits, Ladder};
use super::obstacle::{Ground, Obstacle};
use crate::model::{
    DeviceRequest, GroupId, NodeId, Placement, Problem, ResourceId, Rule, SHARE_ONE, Sharing, TaskId, Toleration,
    forbidden,
};
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Why a pinned task goes on waiting.
const TO_STAY: &str = "is to stay as it is";

/// The tasks that wait in the snapshot, with what keeps each out as things stand.
pub fn waiting(problem: &Problem) -> Vec<(TaskId, String)> {
    let waiting = problem.task_ids().filter(|task| !problem.current.spot(*task).is_placed());
    Room::new(problem, &problem.current, None).reasons(waiting)
}

/// What the reached state leaves free.
pub(super) struct Room<'a> {
    problem: &'a Problem,
    ground: Ground<'a>,
    /// Gangs of which fewer than enough run.
    torn: HashSet<GroupId>,
    /// Tasks that a plan would start if it could; `None` = nobody has planned.
    blocked: Option<HashSet<TaskId>>,
}

/// What decides which nodes a task may enter.
type Gate<'a> = (Option<&'a DeviceRequest>, &'a BTreeMap<String, Vec<String>>, &'a [Toleration]);

/// All else that its reason depends on.
type Size<'a> = (&'a [i64], Sharing, Option<GroupId>);

/// The nodes that tasks of a gate may enter. Sets are of positions in `nodes`; amounts are in scaled units.
struct Door {
    /// How many nodes are closed, by rule.
    closed: BTreeMap<&'static str, usize>,
    nodes: Vec<NodeId>,
    /// What nodes have, by resource.
    capacity: Vec<Ladder>,
    /// What is left there, by resource.
    free: Vec<Ladder>,
    /// Where enough devices have milli, and where these have memory as well.
    roomy: [Bits; 2],
}

impl Door {
    fn new(problem: &Problem, ground: &Ground, task: TaskId) -> Door {
        let mut closed = BTreeMap::new();
        let mut nodes = Vec::new();
        for node in problem.node_ids() {
            match forbidden(problem, task, node) {
                Some(rule) => *closed.entry(rule.name()).or_default() += 1,
                None => nodes.push(node),
            }
        }
        let ladder = |amount: &dyn Fn(NodeId) -> i128| {
            Ladder::new(&nodes.iter().map(|node| amount(*node)).collect::<Vec<i128>>())
        };
        let resources = || (0..problem.resources.len()).map(ResourceId::new);
        let capacity =
            |r: ResourceId| ladder(&|node| i128::from(problem.allocatable(node)[r.index()]) * i128::from(SHARE_ONE));
        let capacity = resources().map(capacity).collect();
        let free = resources().map(|r| ladder(&|node| ground.free(node, r))).collect();
        let devices: Vec<Option<Obstacle>> = nodes.iter().map(|node| ground.devices(task, *node)).collect();
        let roomy = |is_roomy: fn(&Obstacle) -> bool| {
            Bits::of(nodes.len(), (0..nodes.len()).filter(|n| devices[*n].as_ref().is_none_or(is_roomy)))
        };
        let roomy = [roomy(Obstacle::is_memory), roomy(|_| false)];
        Door { closed, nodes, capacity, free, roomy }
    }
}

impl<'a> Room<'a> {
    pub(super) fn new(problem: &'a Problem, reached: &Placement, blocked: Option<&[TaskId]>) -> Room<'a> {
        let ground = Ground::new(problem, reached);
        let blocked = blocked.map(|blocked| blocked.iter().copied().collect());
        let is_torn = |id: &GroupId| {
            let group = &problem.groups[id.index()];
            let running = || group.members.iter().filter(|task| reached.spot(**task).is_placed()).count();
            group.gang.is_some_and(|gang| running() < gang.least as usize)
        };
        let torn = problem.group_ids().filter(is_torn).collect();
        Room { problem, ground, torn, blocked }
    }

    /// One sentence each, for people.
    pub(super) fn reasons(&self, tasks: impl Iterator<Item = TaskId>) -> Vec<(TaskId, String)> {
        let mut list: Vec<(TaskId, String)> = Vec::new();
        // Where in the list tasks stand for which the answer is the same.
        let mut gates: HashMap<Gate, HashMap<Size, Vec<usize>>> = HashMap::new();
        for task in tasks {
            let word = self.word(task);
            if word.is_none() {
                let (gate, size) = self.kind(task);
                gates.entry(gate).or_default().entry(size).or_default().push(list.len());
            }
            list.push((task, word.unwrap_or_default().to_string()));
        }
        for sizes in gates.into_values() {
            let sizes: Vec<Vec<usize>> = sizes.into_values().collect();
            let door = Door::new(self.problem, &self.ground, list[sizes[0][0]].0);
            let told: Vec<String> = sizes.par_iter().map(|same| self.look(list[same[0]].0, &door)).collect();
            for (same, told) in sizes.iter().zip(&told) {
                same.iter().for_each(|at| list[*at].1.clone_from(told));
            }
        }
        list
    }

    /// What is to be said without looking at nodes, if anything is.
    fn word(&self, task: TaskId) -> Option<&'static str> {
        if self.problem.current.spot(task).is_placed() {
            return Some("stopped by this plan to make room for others");
        }
        if self.problem.tasks[task.index()].pinned {
            return Some(TO_STAY);
        }
        let is_blocked = self.blocked.as_ref().is_some_and(|blocked| blocked.contains(&task));
        is_blocked.then_some("would start, but no order of the moves is safe")
    }

    fn kind(&self, task: TaskId) -> (Gate<'a>, Size<'a>) {
        let problem = self.problem;
        let spec = &problem.tasks[task.index()];
        let group = spec.group.filter(|group| {
            let rules = &problem.groups[group.index()];
            rules.gang.is_some()
                || !rules.conflict.is_empty()
                || !rules.spread.is_empty()
                || !rules.depends_on.is_empty()
        });
        ((spec.device.as_ref(), &spec.selector, &spec.tolerations), (problem.requirement(task), spec.sharing, group))
    }

    fn look(&self, task: TaskId, door: &Door) -> String {
        let problem = self.problem;
        let parts = i128::from(problem.least_parts(task, 1));
        let needed: Vec<i128> = problem.requirement(task).iter().map(|amount| i128::from(*amount) * parts).collect();
        let mut short = vec![0; needed.len()];
        let mut left = Bits::all(door.nodes.len());
        for (r, needed) in needed.iter().enumerate() {
            short[r] += left.keep(&door.capacity[r].at_least(*needed));
        }
        let mut fits_empty = left.count();
        for (r, needed) in needed.iter().enumerate().filter(|(_, needed)| **needed > 0) {
            short[r] += left.keep(&door.free[r].at_least(*needed));
        }
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let mut add = |name: String, count: usize| *counts.entry(name).or_default() += count;
        door.closed.iter().for_each(|(name, count)| add(name.to_string(), *count));
        for (r, count) in short.into_iter().enumerate() {
            add(format!("capacity {}", problem.resources[r].name), count);
        }
        for (rule, roomy) in [Rule::Device, Rule::DeviceMemory].into_iter().zip(&door.roomy) {
            add(rule.name().to_string(), left.keep(roomy));
        }
        let mut fits = left.count();
        if problem.tasks[task.index()].group.is_some() {
            for obstacle in left.iter().filter_map(|n| self.ground.group_rule(task, door.nodes[n])) {
                add(obstacle.name(problem), 1);
                fits -= 1;
            }
        }
        fits_empty -= fits;
        counts.retain(|_, count| *count > 0);
        let group = problem.tasks[task.index()].group.map(|group| &problem.groups[group.index()]);
        if let Some((least, listed)) = group.and_then(|group| Some((group.gang?.least, group.members.len())))
            && least as usize > listed
        {
            return format!("its gang needs {least} members, and only {listed} are listed");
        }
        let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let nodes = |count: usize| format!("{count} node{}", if count == 1 { "" } else { "s" });
        let list: Vec<String> = counts.iter().map(|(name, count)| format!("{name} on {}", nodes(*count))).collect();
        // Of a gang that runs, whoever waits is one of those that are not needed.
        let is_gang = problem.tasks[task.index()].group.is_some_and(|group| self.torn.contains(&group));
        match (fits, fits_empty) {
            (0, 0) if list.is_empty() => "there is no node".to_string(),
            (0, 0) => format!("fits no node: {}", list.join(", ")),
            (0, _) => format!("room exists only by moving others: {}", list.join(", ")),
            _ if self.blocked.is_none() => format!("fits {} now", nodes(fits)),
            _ if is_gang => format!("fits {}, but its gang was not started as a whole", nodes(fits)),
            _ => format!("fits {} now, but was not started: not worth it, or not found by the search", nodes(fits)),
        }
    }
}
