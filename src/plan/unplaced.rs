//! Why does this task run nowhere? Counts, over all nodes, the first rule that keeps it out.

use super::slots::{Slots, domains};
use crate::model::{
    DEVICE_MILLI, DeviceRequest, DomainId, GroupId, NodeId, Placement, Problem, ResourceId, SHARE_ONE, Sharing, TaskId,
    Toleration, Usage, forbidden,
};
use std::collections::{BTreeMap, HashMap, HashSet};

/// What the reached state leaves free.
pub(super) struct Room<'a> {
    problem: &'a Problem,
    usage: Usage,
    slots: Slots,
    present: Vec<HashSet<DomainId>>,
    blocked: HashSet<TaskId>,
    /// Reasons already worked out, by everything that they depend on.
    known: HashMap<Kind<'a>, String>,
}

type Kind<'a> = (
    &'a [i64],
    Sharing,
    Option<&'a DeviceRequest>,
    &'a BTreeMap<String, Vec<String>>,
    &'a [Toleration],
    Option<GroupId>,
);

/// What keeps a task off a node.
enum Obstacle {
    /// Even if the node were empty.
    Always(String),
    /// Because of what runs there, or does not.
    Now(String),
}

impl<'a> Room<'a> {
    pub(super) fn new(problem: &'a Problem, reached: &Placement, blocked: &[TaskId]) -> Room<'a> {
        let slots = Slots::new(problem);
        let mut present = vec![HashSet::new(); slots.len()];
        for group in problem.group_ids() {
            for task in &problem.groups[group.index()].members {
                for (level, slot) in slots.of_group(group) {
                    present[*slot].extend(domains(problem, reached.spot(*task), *level));
                }
            }
        }
        let usage = Usage::of(problem, reached);
        Room { problem, usage, slots, present, blocked: blocked.iter().copied().collect(), known: HashMap::new() }
    }

    /// One sentence for people.
    pub(super) fn reason(&mut self, task: TaskId) -> String {
        let problem = self.problem;
        if problem.current.spot(task).is_placed() {
            return "stopped by this plan to make room for others".to_string();
        }
        if self.blocked.contains(&task) {
            return "would start, but no order of the moves is safe".to_string();
        }
        let spec = &problem.tasks[task.index()];
        let group = spec.group.filter(|group| {
            let rules = &problem.groups[group.index()];
            rules.gang || !rules.conflict.is_empty() || !rules.depends_on.is_empty()
        });
        let kind = (
            problem.requirement(task),
            spec.sharing,
            spec.device.as_ref(),
            &spec.selector,
            &spec.tolerations[..],
            group,
        );
        if let Some(reason) = self.known.get(&kind) {
            return reason.clone();
        }
        let reason = self.look(task);
        self.known.insert(kind, reason.clone());
        reason
    }

    fn look(&self, task: TaskId) -> String {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let (mut fits, mut fits_empty) = (0, 0);
        for node in self.problem.node_ids() {
            let name = match self.obstacle(task, node) {
                None => {
                    fits += 1;
                    continue;
                }
                Some(Obstacle::Always(name)) => name,
                Some(Obstacle::Now(name)) => {
                    fits_empty += 1;
                    name
                }
            };
            *counts.entry(name).or_default() += 1;
        }
        let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let nodes = |count: usize| format!("{count} node{}", if count == 1 { "" } else { "s" });
        let list: Vec<String> = counts.iter().map(|(name, count)| format!("{name} on {}", nodes(*count))).collect();
        let is_gang = self.problem.tasks[task.index()].group.is_some_and(|g| self.problem.groups[g.index()].gang);
        match (fits, fits_empty) {
            (0, 0) if list.is_empty() => "there is no node".to_string(),
            (0, 0) => format!("fits no node: {}", list.join(", ")),
            (0, _) => format!("room exists only by moving others: {}", list.join(", ")),
            _ if is_gang => format!("fits {}, but its gang was not started as a whole", nodes(fits)),
            _ => format!("fits {} now, but was not started: not worth it, or not found by the search", nodes(fits)),
        }
    }

    fn obstacle(&self, task: TaskId, node: NodeId) -> Option<Obstacle> {
        let problem = self.problem;
        if let Some(rule) = forbidden(problem, task, node) {
            return Some(Obstacle::Always(rule.name().to_string()));
        }
        let spec = &problem.tasks[task.index()];
        let parts = i128::from(match spec.sharing {
            Sharing::Rigid => SHARE_ONE,
            Sharing::Elastic { min } => min.parts(),
            Sharing::Divisible => 1,
        });
        let needs = problem.requirement(task).iter().map(|amount| i128::from(*amount) * parts);
        let capacity = problem.allocatable(node).iter().map(|amount| i128::from(*amount) * i128::from(SHARE_ONE));
        let mut short = None;
        for (r, (need, capacity)) in needs.zip(capacity).enumerate() {
            let name = || format!("capacity {}", problem.resources[r].name);
            if need > capacity {
                return Some(Obstacle::Always(name()));
            }
            if need > 0 && need + self.usage.amount(node, ResourceId::new(r)) > capacity && short.is_none() {
                short = Some(Obstacle::Now(name()));
            }
        }
        if short.is_some() {
            return short;
        }
        if let Some(request) = &spec.device {
            let eligible = request.eligible(&problem.nodes[node.index()]);
            let free = |(d, used): &(usize, &u32)| eligible >> d & 1 == 1 && *used + request.milli <= DEVICE_MILLI;
            if self.usage.devices(node).iter().enumerate().filter(free).count() < request.count as usize {
                return Some(Obstacle::Now("device".to_string()));
            }
        }
        let group = spec.group?;
        let rules = &problem.groups[group.index()];
        let is_present =
            |group, level| self.present[self.slots.get(group, level)].contains(&problem.domain(node, level));
        if rules.conflict.iter().any(|level| is_present(group, *level)) {
            return Some(Obstacle::Now("conflict".to_string()));
        }
        if rules.depends_on.iter().any(|need| !is_present(need.group, need.level)) {
            return Some(Obstacle::Now("dependency".to_string()));
        }
        None
    }
}
