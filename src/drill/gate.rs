//! Where do the rules of its group let a lost task go, given where the others of the scenario are by now?

use super::room::State;
use crate::model::{DomainId, GroupId, LevelId, NodeId, Problem, TaskId};
use std::collections::{BTreeMap, BTreeSet};

/// Who of the groups concerned is where, in one scenario.
pub struct Gate<'a> {
    problem: &'a Problem,
    state: &'a State<'a>,
    /// Members per domain, for every level that a rule of the groups concerned looks at.
    present: BTreeMap<(GroupId, LevelId), BTreeMap<DomainId, u32>>,
    /// Members that run somewhere.
    placed: BTreeMap<GroupId, u32>,
}

impl<'a> Gate<'a> {
    /// The groups of the lost tasks, of which nobody has been placed yet. `is_failed` tells which nodes are gone.
    pub fn new(state: &'a State<'a>, lost: &[TaskId], is_failed: impl Fn(NodeId) -> bool) -> Gate<'a> {
        let problem = state.problem;
        let mut tables = BTreeSet::new();
        let groups: BTreeSet<GroupId> = lost.iter().filter_map(|task| problem.tasks[task.index()].group).collect();
        let ruled = groups.into_iter().filter(|group| state.has_rules(*group));
        let mut gate = Gate { problem, state, present: BTreeMap::new(), placed: BTreeMap::new() };
        for id in ruled {
            let group = &problem.groups[id.index()];
            tables.extend(group.conflict.iter().map(|level| (id, *level)));
            tables.extend(group.spread.iter().map(|spread| (id, spread.level)));
            tables.extend(group.gang.and_then(|gang| gang.within).map(|level| (id, level)));
            tables.extend(group.depends_on.iter().map(|need| (need.group, need.level)));
            tables.extend(state.dependents(id).iter().flat_map(|(other, level)| [(*other, *level), (id, *level)]));
            let runs =
                |task: &&TaskId| problem.current.spot(**task).pieces().iter().any(|piece| !is_failed(piece.node));
            gate.placed.insert(id, group.members.iter().filter(runs).count() as u32);
        }
        for (id, level) in tables {
            let mut domains = BTreeMap::new();
            for task in &problem.groups[id.index()].members {
                let pieces = problem.current.spot(*task).pieces().iter().filter(|piece| !is_failed(piece.node));
                let of: BTreeSet<DomainId> = pieces.map(|piece| problem.domain(piece.node, level)).collect();
                of.into_iter().for_each(|domain| *domains.entry(domain).or_default() += 1);
            }
            gate.present.insert((id, level), domains);
        }
        gate
    }

    /// Nothing to look at: every node is open to every task.
    pub fn is_idle(&self) -> bool {
        self.placed.is_empty()
    }

    /// Is a task bound by rules that others have a part in?
    pub fn binds(&self, task: TaskId) -> bool {
        self.problem.tasks[task.index()].group.is_some_and(|group| self.placed.contains_key(&group))
    }

    /// May a task enter a node?
    pub fn is_open(&self, task: TaskId, node: NodeId) -> bool {
        let Some(id) = self.problem.tasks[task.index()].group.filter(|group| self.placed.contains_key(group)) else {
            return true;
        };
        let group = &self.problem.groups[id.index()];
        let is_present =
            |id: GroupId, level: LevelId| self.present[&(id, level)].contains_key(&self.problem.domain(node, level));
        let covered = |level: LevelId| self.present[&(id, level)].len() as u32;
        let must_widen = |level: LevelId, least: u32| covered(level) < least.min(self.placed[&id] + 1);
        group.conflict.iter().all(|level| !is_present(id, *level))
            && group.spread.iter().all(|s| !must_widen(s.level, s.min) || !is_present(id, s.level))
            && group.depends_on.iter().all(|need| is_present(need.group, need.level))
            && group.gang.and_then(|gang| gang.within).is_none_or(|l| covered(l) == 0 || is_present(id, l))
    }

    /// Do tasks that run on miss the task's group in some domain?
    pub fn is_missed(&self, task: TaskId) -> bool {
        let mends = |(other, level): &(GroupId, LevelId), id: GroupId| {
            let mine = &self.present[&(id, *level)];
            self.present[&(*other, *level)].keys().any(|domain| !mine.contains_key(domain))
        };
        self.dependents(task).is_some_and(|(id, others)| others.iter().any(|need| mends(need, id)))
    }

    /// Is a node in such a domain?
    pub fn mends(&self, task: TaskId, node: NodeId) -> bool {
        let is_present =
            |id: GroupId, level: LevelId| self.present[&(id, level)].contains_key(&self.problem.domain(node, level));
        let misses =
            |id: GroupId, (other, level): &(GroupId, LevelId)| is_present(*other, *level) && !is_present(id, *level);
        self.dependents(task).is_some_and(|(id, others)| others.iter().any(|need| misses(id, need)))
    }

    fn dependents(&self, task: TaskId) -> Option<(GroupId, &[(GroupId, LevelId)])> {
        let group = self.problem.tasks[task.index()].group.filter(|group| self.placed.contains_key(group))?;
        Some((group, self.state.dependents(group)))
    }

    /// Is a node closed to a task whatever the other lost tasks do? Company is only added to, and survivors do not move.
    pub fn is_closed_for_good(&self, task: TaskId, node: NodeId) -> bool {
        let Some(id) = self.problem.tasks[task.index()].group.filter(|group| self.placed.contains_key(group)) else {
            return false;
        };
        let group = &self.problem.groups[id.index()];
        let present = |level: LevelId| &self.present[&(id, level)];
        let is_present = |level: LevelId| present(level).contains_key(&self.problem.domain(node, level));
        group.conflict.iter().any(|level| is_present(*level))
            || group.gang.and_then(|gang| gang.within).is_some_and(|l| !present(l).is_empty() && !is_present(l))
    }

    /// A task has entered a node.
    pub fn enter(&mut self, task: TaskId, node: NodeId) {
        let Some(group) = self.problem.tasks[task.index()].group else { return };
        if let Some(placed) = self.placed.get_mut(&group) {
            *placed += 1;
        }
        for ((_, level), domains) in self.present.range_mut((group, LevelId(0))..=(group, LevelId(u32::MAX))) {
            *domains.entry(self.problem.domain(node, *level)).or_default() += 1;
        }
    }
}
