//! Why does this task run nowhere? Counts, over all nodes, the first rule that keeps it out.

use super::obstacle::Ground;
use crate::model::{DeviceRequest, GroupId, Placement, Problem, Sharing, TaskId, Toleration};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Why a pinned task goes on waiting.
const TO_STAY: &str = "is to stay as it is";

/// The tasks that wait in the snapshot, with what keeps each out as things stand.
pub fn waiting(problem: &Problem) -> Vec<(TaskId, String)> {
    let mut room = Room::new(problem, &problem.current, None);
    let waiting = problem.task_ids().filter(|task| !problem.current.spot(*task).is_placed());
    waiting.map(|task| (task, room.reason(task))).collect()
}

/// What the reached state leaves free.
pub(super) struct Room<'a> {
    problem: &'a Problem,
    ground: Ground<'a>,
    /// Gangs of which fewer than enough run.
    torn: HashSet<GroupId>,
    /// Tasks that a plan would start if it could; `None` = nobody has planned.
    blocked: Option<HashSet<TaskId>>,
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
        Room { problem, ground, torn, blocked, known: HashMap::new() }
    }

    /// One sentence for people.
    pub(super) fn reason(&mut self, task: TaskId) -> String {
        let problem = self.problem;
        if problem.current.spot(task).is_placed() {
            return "stopped by this plan to make room for others".to_string();
        }
        if problem.tasks[task.index()].pinned {
            return TO_STAY.to_string();
        }
        if self.blocked.as_ref().is_some_and(|blocked| blocked.contains(&task)) {
            return "would start, but no order of the moves is safe".to_string();
        }
        let spec = &problem.tasks[task.index()];
        let group = spec.group.filter(|group| {
            let rules = &problem.groups[group.index()];
            rules.gang.is_some() || !rules.conflict.is_empty() || !rules.depends_on.is_empty()
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
            match self.ground.obstacle(task, node) {
                None => fits += 1,
                Some(obstacle) => {
                    fits_empty += usize::from(!obstacle.is_permanent());
                    *counts.entry(obstacle.name(self.problem)).or_default() += 1;
                }
            }
        }
        let group = self.problem.tasks[task.index()].group.map(|group| &self.problem.groups[group.index()]);
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
        let is_gang = self.problem.tasks[task.index()].group.is_some_and(|group| self.torn.contains(&group));
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
