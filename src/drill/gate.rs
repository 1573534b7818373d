//! Where do the rules of its group let a lost task go, given where the others of the scenario are by now?

use super::room::State;
use crate::model::{Dependency, DomainId, GroupId, LevelId, NodeId, Problem, Spread, TaskId};
use std::collections::{BTreeMap, BTreeSet};

/// Who of the groups concerned is where, in one scenario.
pub struct Gate<'a> {
    problem: &'a Problem,
    state: &'a State<'a>,
    /// Members per domain, for every level that a rule of the groups concerned looks at.
    present: BTreeMap<(GroupId, LevelId), BTreeMap<DomainId, u32>>,
    /// Members that run somewhere.
    placed: BTreeMap<GroupId, u32>,
    /// By group and its spreads: domains that may be lacking, as many as before the failure and no more than right after it.
    lacking: BTreeMap<GroupId, Vec<u32>>,
}

impl<'a> Gate<'a> {
    /// The groups of the lost tasks, of which nobody has been placed yet. `is_failed` tells which nodes are gone.
    pub fn new(state: &'a State<'a>, lost: &[TaskId], is_failed: impl Fn(NodeId) -> bool) -> Gate<'a> {
        let problem = state.problem;
        let mut tables = BTreeSet::new();
        let groups: BTreeSet<GroupId> = lost.iter().filter_map(|task| problem.tasks[task.index()].group).collect();
        let ruled = groups.into_iter().filter(|group| state.has_rules(*group));
        let mut gate =
            Gate { problem, state, present: BTreeMap::new(), placed: BTreeMap::new(), lacking: BTreeMap::new() };
        for id in ruled {
            let group = &problem.groups[id.index()];
            tables.extend(group.conflict.iter().map(|level| (id, *level)));
            tables.extend(group.spread.iter().map(|spread| (id, spread.level)));
            tables.extend(group.gang.and_then(|gang| gang.within).map(|level| (id, level)));
            tables.extend(group.depends_on.iter().flat_map(|need| [(need.group, need.level), (id, need.level)]));
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
        let of_group = |id: &GroupId| {
            let members = &problem.groups[id.index()].members;
            let ran = members.iter().filter(|task| problem.current.spot(**task).is_placed()).count() as u32;
            let lacking = |spread: &Spread| {
                let pieces = members.iter().flat_map(|task| problem.current.spot(*task).pieces());
                let covered: BTreeSet<DomainId> =
                    pieces.map(|piece| problem.domain(piece.node, spread.level)).collect();
                let before = spread.min.min(ran).saturating_sub(covered.len() as u32);
                before.min(spread.min.min(gate.placed[id]).saturating_sub(gate.covered(*id, spread.level)))
            };
            problem.groups[id.index()].spread.iter().map(lacking).collect()
        };
        gate.lacking = gate.placed.keys().map(|id| (*id, of_group(id))).collect();
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
        let is_wide = |(spread, least): (&Spread, u32)| self.covered(id, spread.level) >= least;
        group.conflict.iter().all(|level| !is_present(id, *level))
            && self.spreads(id, 1).all(|of_one| is_wide(of_one) || !is_present(id, of_one.0.level))
            && group.depends_on.iter().all(|need| is_present(need.group, need.level) || is_present(id, need.level))
            && group.gang.and_then(|gang| gang.within).is_none_or(|l| self.covered(id, l) == 0 || is_present(id, l))
    }

    /// Members of a group that run somewhere.
    pub fn placed(&self, id: GroupId) -> u32 {
        self.placed[&id]
    }

    /// The groups concerned that have rules.
    pub fn groups(&self) -> impl Iterator<Item = GroupId> {
        self.placed.keys().copied()
    }

    /// Domains in which members of a group run.
    pub fn covered(&self, id: GroupId, level: LevelId) -> u32 {
        self.present[&(id, level)].len() as u32
    }

    /// Does a member of a group run in a domain?
    pub fn is_covered(&self, id: GroupId, level: LevelId, domain: DomainId) -> bool {
        self.present[&(id, level)].contains_key(&domain)
    }

    /// How many domains each spread of a group must cover once `more` of its members run.
    pub fn spreads(&self, id: GroupId, more: u32) -> impl Iterator<Item = (&'a Spread, u32)> {
        let members = self.placed[&id] + more;
        let spreads = self.problem.groups[id.index()].spread.iter().zip(&self.lacking[&id]);
        spreads.map(move |(spread, lacking)| (spread, spread.min.min(members).saturating_sub(*lacking)))
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

    /// Is a node closed to a task whatever the other lost tasks do? Company is only added to, and survivors do not move. Where some of its
    /// group run without what they need, one more of them breaks nothing anew.
    pub fn is_closed_for_good(&self, task: TaskId, node: NodeId) -> bool {
        let Some(id) = self.problem.tasks[task.index()].group.filter(|group| self.placed.contains_key(group)) else {
            return false;
        };
        let group = &self.problem.groups[id.index()];
        let present = |level: LevelId| &self.present[&(id, level)];
        let is_present = |level: LevelId| self.is_covered(id, level, self.problem.domain(node, level));
        let is_missing = |need: &Dependency| {
            let comes = self.placed.contains_key(&need.group);
            !comes && !self.is_covered(need.group, need.level, self.problem.domain(node, need.level))
        };
        group.conflict.iter().any(|level| is_present(*level))
            || group.depends_on.iter().any(|need| is_missing(need) && !is_present(need.level))
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
