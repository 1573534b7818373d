//! Does a plan keep what it reserves? Each domain of a level fails in the state the plan leads to, and its tasks come back as the
//! plan says.
//!
//! The plan names a refuge for every lost task, so that nothing has to be searched to check it. What is pinned ends with its node. A
//! domain whose refuge leaves tasks out is not covered: the plan says so, and nothing is promised for it.

use super::recount::{Held, group, held, refusal, task, weigh};
use crate::model::{
    DEVICE_MILLI, GroupId, LevelId, NodeId, Place, Problem, Rule, SHARE_ONE, Sharing, Spot, TaskId, Violation,
};
use std::collections::{BTreeMap, BTreeSet};

/// Where the tasks of each domain of a level go when it fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserve {
    /// The level.
    pub level: LevelId,
    /// One per domain in which anything could be lost, ascending.
    pub refuges: Vec<Refuge>,
}

/// What becomes of one domain's tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refuge {
    /// The domain.
    pub domain: crate::model::DomainId,
    /// Where tasks run again, ascending by task; of a divisible one all its pieces.
    pub recovery: Vec<(TaskId, Spot)>,
    /// Tasks, not pinned, for which there is no room.
    pub lost: Vec<TaskId>,
}

impl Reserve {
    /// Names of the domains that are not covered.
    pub fn uncovered<'a>(&'a self, problem: &'a Problem) -> impl Iterator<Item = &'a str> {
        let names = &problem.levels[self.level.index()].domains;
        let open = self.refuges.iter().filter(|refuge| !refuge.lost.is_empty());
        open.map(|refuge| names[refuge.domain.index()].as_str())
    }
}

/// Everything that is wrong with a reserve in the state of these spots.
pub(super) fn check(problem: &Problem, spots: &[Spot], reserve: &Reserve) -> Vec<String> {
    let mut found = Vec::new();
    let Some(level) = problem.levels.get(reserve.level.index()) else { return vec!["there is no such level".into()] };
    let mut by_domain: BTreeMap<usize, Vec<TaskId>> = BTreeMap::new();
    for (t, spot) in spots.iter().enumerate() {
        let domains: BTreeSet<usize> =
            spot.pieces().iter().map(|p| domain_of(problem, reserve.level, p.node)).collect();
        domains.into_iter().for_each(|domain| by_domain.entry(domain).or_default().push(TaskId::new(t)));
    }
    let mut check = Check { problem, held: held(problem, spots), spots: spots.to_vec(), level: reserve.level };
    let mut told = BTreeSet::new();
    for refuge in &reserve.refuges {
        let name = level.domains.get(refuge.domain.index()).map_or("?", String::as_str);
        let tasks = by_domain.get(&refuge.domain.index()).map_or(&[][..], Vec::as_slice);
        let objections = if told.insert(refuge.domain.index()) {
            check.refuge(refuge, tasks)
        } else {
            vec!["it is there twice".to_string()]
        };
        found.extend(objections.into_iter().map(|text| format!("{} {name}: {text}", level.name)));
    }
    for (domain, tasks) in &by_domain {
        if !told.contains(domain) && tasks.iter().any(|task| !problem.tasks[task.index()].pinned) {
            found.push(format!("{} {}: nothing is said of it", level.name, level.domains[*domain]));
        }
    }
    found
}

fn domain_of(problem: &Problem, level: LevelId, node: NodeId) -> usize {
    problem.nodes[node.index()].domains[level.index()].index()
}

struct Check<'a> {
    problem: &'a Problem,
    held: Vec<Held>,
    spots: Vec<Spot>,
    level: LevelId,
}

impl Check<'_> {
    /// What is wrong with one refuge; `tasks` are all that run in the domain.
    fn refuge(&mut self, refuge: &Refuge, tasks: &[TaskId]) -> Vec<String> {
        let problem = self.problem;
        let name = |task: &TaskId| problem.tasks[task.index()].name.clone();
        let back: BTreeMap<TaskId, &Spot> = refuge.recovery.iter().map(|(task, spot)| (*task, spot)).collect();
        let lost: BTreeSet<TaskId> = refuge.lost.iter().copied().collect();
        let mut found = Vec::new();
        for task in back.keys().chain(&lost).filter(|task| !tasks.contains(task)) {
            found.push(format!("task {} does not run there", name(task)));
        }
        for task in tasks.iter().filter(|task| !problem.tasks[task.index()].pinned) {
            if back.contains_key(task) == lost.contains(task) {
                found.push(format!("task {} must either come back or be lost", name(task)));
            }
        }
        if back.len() + lost.len() != refuge.recovery.len() + refuge.lost.len() {
            found.push("a task is there twice".to_string());
        }
        if !found.is_empty() {
            return found;
        }
        let gone = |node: NodeId| domain_of(problem, self.level, node) == refuge.domain.index();
        let kept = |task: TaskId| {
            let pieces = self.spots[task.index()].pieces().iter();
            Spot::from_pieces(pieces.filter(|piece| !gone(piece.node)).copied().collect())
        };
        let kept: BTreeMap<TaskId, Spot> = tasks.iter().map(|task| (*task, kept(*task))).collect();
        let mut more: BTreeMap<NodeId, Held> = BTreeMap::new();
        for (id, spot) in &back {
            if spot.pieces().iter().any(|piece| gone(piece.node)) {
                found.push(format!("task {} comes back to what has failed", name(id)));
            }
            found.extend(self.own(*id, &kept[id], spot).map(|why| format!("task {}: {why}", name(id))));
            self.add(&mut more, *id, &kept[id], spot);
        }
        found.extend(self.overfull(&more));
        found.extend(self.groups(tasks, &kept, &back, lost.is_empty()));
        found
    }

    /// What is wrong with a task's spot, whatever the others do.
    fn own(&self, id: TaskId, kept: &Spot, spot: &Spot) -> Option<String> {
        let problem = self.problem;
        let spec = &problem.tasks[id.index()];
        if spec.pinned {
            return Some("it is pinned".to_string());
        }
        let least = match spec.sharing {
            Sharing::Rigid => u64::from(SHARE_ONE),
            Sharing::Elastic { min } => u64::from(min.parts()),
            Sharing::Divisible => self.spots[id.index()].total_parts().min(u64::from(SHARE_ONE)),
        };
        if spot.total_parts() < least || spot.pieces().is_empty() {
            return Some("it does not come back whole".to_string());
        }
        let held = |pieces: &Spot, node: NodeId| -> u64 {
            pieces.pieces().iter().filter(|piece| piece.node == node).map(|piece| u64::from(piece.share.parts())).sum()
        };
        if kept.pieces().iter().any(|piece| held(spot, piece.node) < held(kept, piece.node)) {
            return Some("what still runs of it is moved".to_string());
        }
        let entered = spot.pieces().iter().filter(|piece| held(kept, piece.node) == 0);
        for piece in entered {
            if let Some(rule) = refusal(problem, spec, &problem.nodes[piece.node.index()]) {
                return Some(format!("{} keeps it off {}", rule.name(), problem.nodes[piece.node.index()].name));
            }
        }
        let mut broken = Vec::new();
        task(problem, id, spot, &mut broken);
        broken.first().map(|violation| violation.describe(problem))
    }

    /// Adds what a task holds beyond what it kept.
    fn add(&self, more: &mut BTreeMap<NodeId, Held>, id: TaskId, kept: &Spot, spot: &Spot) {
        for (pieces, sign) in [(spot, 1), (kept, -1)] {
            for piece in pieces.pieces() {
                let parts = i128::from(piece.share.parts());
                let own = weigh(self.problem, id, parts, piece.devices, piece.node);
                more.entry(piece.node).or_insert_with(|| Held::none(self.problem, piece.node)).add(&own, sign);
            }
        }
    }

    /// Nodes and devices that do not hold what comes on top.
    fn overfull(&self, more: &BTreeMap<NodeId, Held>) -> Vec<String> {
        let problem = self.problem;
        let mut found = Vec::new();
        for (node, more) in more {
            let (held, host) = (&self.held[node.index()], &problem.nodes[node.index()].name);
            for (r, capacity) in problem.allocatable(*node).iter().enumerate() {
                let capacity = i128::from(*capacity) * i128::from(SHARE_ONE);
                if more.amounts[r] > 0 && held.amounts[r] + more.amounts[r] > capacity {
                    found.push(format!("{host} has too little {}", problem.resources[r].name));
                }
            }
            let devices = held.milli.iter().zip(&more.milli).enumerate();
            let over = devices.filter(|(_, (held, more))| **more > 0 && *held + *more > i128::from(DEVICE_MILLI));
            found.extend(over.map(|(d, _)| format!("device {d} of {host} is taken")));
            let devices = held.memory.iter().zip(&more.memory).zip(&problem.nodes[node.index()].devices).enumerate();
            let is_over = |(held, more): (&i128, &i128), total: i64| *more > 0 && held + more > i128::from(total);
            let over = devices.filter(|(_, (sums, device))| is_over(*sums, device.memory));
            found.extend(over.map(|(d, _)| format!("device {d} of {host} has too little memory")));
        }
        found
    }

    /// Rules of groups that are worse than right after the failure, or, where all come back, than before it.
    fn groups(
        &mut self,
        tasks: &[TaskId],
        kept: &BTreeMap<TaskId, Spot>,
        back: &BTreeMap<TaskId, &Spot>,
        is_whole: bool,
    ) -> Vec<String> {
        let problem = self.problem;
        let own: BTreeSet<GroupId> = tasks.iter().filter_map(|task| problem.tasks[task.index()].group).collect();
        let needs = |id: &GroupId| problem.groups[id.index()].depends_on.iter().any(|need| own.contains(&need.group));
        let ids: BTreeSet<GroupId> =
            (0..problem.groups.len()).map(GroupId::new).filter(|id| own.contains(id) || needs(id)).collect();
        let count = |spots: &[Spot]| -> BTreeMap<(Rule, Place), Violation> {
            let mut found = Vec::new();
            ids.iter().for_each(|id| group(problem, *id, spots, &mut found));
            found.into_iter().map(|v| ((v.rule, v.place), v)).collect()
        };
        if ids.is_empty() {
            return Vec::new();
        }
        let before = count(&self.spots);
        let original: Vec<Spot> = tasks.iter().map(|task| self.spots[task.index()].clone()).collect();
        tasks.iter().for_each(|task| self.spots[task.index()] = kept[task].clone());
        let after = count(&self.spots);
        back.iter().for_each(|(task, spot)| self.spots[task.index()] = (*spot).clone());
        let found = count(&self.spots);
        tasks.iter().zip(original).for_each(|(task, spot)| self.spots[task.index()] = spot);
        let at = |map: &BTreeMap<(Rule, Place), Violation>, key: &(Rule, Place)| map.get(key).map_or(0, |v| v.excess);
        let allowed = |key: &(Rule, Place)| {
            let after = at(&after, key);
            if is_whole { after.min(at(&before, key)) } else { after }
        };
        found.iter().filter(|(key, v)| v.excess > allowed(key)).map(|(_, v)| v.describe(problem)).collect()
    }
}
