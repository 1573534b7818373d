//! Does a recovery keep the rules? The model's own judgement, in exact amounts, of what was found in quanta.
//!
//! Only what a recovery can change is looked at: the lost tasks, the nodes they enter, and the groups they have to do with.

use super::room::State;
use super::scenario::Scenario;
use crate::model::{
    DEVICE_MILLI, GroupId, Place, Placement, Rule, SHARE_ONE, Spot, TaskId, Violation, group_violations,
    task_violations,
};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of the state before any failure, and a placement to try recoveries on.
pub struct Auditor<'a> {
    state: &'a State<'a>,
    placement: Placement,
    before: &'a Before,
}

/// How much every group rule is broken before any failure.
pub struct Before(BTreeMap<(Rule, Place), i128>);

impl Before {
    /// Counts it.
    pub fn new(state: &State<'_>) -> Before {
        let problem = state.problem;
        let found = group_violations(problem, &problem.current, problem.group_ids());
        Before(found.into_iter().map(|v| ((v.rule, v.place), v.excess)).collect())
    }
}

/// What is to be said of a recovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Where the lost tasks are afterwards; what no rule lets back is left out.
    pub spots: Vec<Spot>,
    /// Rules of groups that stay more broken than they were before the failure.
    pub broken: Vec<Violation>,
}

impl<'a> Auditor<'a> {
    /// One per thread.
    pub fn new(state: &'a State<'a>, before: &'a Before) -> Auditor<'a> {
        Auditor { state, placement: state.problem.current.clone(), before }
    }

    /// Judges a recovery. Whoever breaks a rule is sent back to wait: first on nodes, then, group by group, those of a group
    /// that would be worse off than right after the failure.
    pub fn judge(&mut self, scenario: &Scenario, mut spots: Vec<Spot>) -> Judged {
        let problem = self.state.problem;
        let kept: Vec<Spot> = scenario.lost.iter().map(|task| scenario.kept(problem, *task)).collect();
        self.keep_nodes(scenario, &kept, &mut spots);
        let groups = self.state.concerned(&scenario.lost);
        if groups.is_empty() {
            return Judged { spots, broken: Vec::new() };
        }
        let after = by_place(self.groups_with(scenario, &kept, &groups));
        let at = |map: &BTreeMap<(Rule, Place), i128>, v: &Violation| map.get(&(v.rule, v.place)).copied().unwrap_or(0);
        loop {
            let found = self.groups_with(scenario, &spots, &groups);
            let worse = found.iter().find(|v| v.excess > at(&after, v));
            let Some(worse) = worse else {
                let broken = found.into_iter().filter(|v| v.excess > at(&self.before.0, v)).collect();
                return Judged { spots, broken };
            };
            // Waiting again is as right after the failure: each turn sends somebody back, so this ends.
            let blamed = match worse.place {
                Place::GroupDomain(group, ..) | Place::GroupLevel(group, _) | Place::Group(group) => [group, group],
                Place::Needs(group, other, ..) => [group, other],
                _ => unreachable!("a group rule is broken by a group"),
            };
            self.send_back(scenario, &kept, &mut spots, |group| blamed.contains(&group));
        }
    }

    /// Sends back who breaks a rule on its own or overfills a node.
    fn keep_nodes(&self, scenario: &Scenario, kept: &[Spot], spots: &mut [Spot]) {
        let problem = self.state.problem;
        let mut added = Added::default();
        for (i, task) in scenario.lost.iter().enumerate() {
            let is_on_failed =
                |spot: &Spot| spot.pieces().iter().any(|p| scenario.failed.binary_search(&p.node).is_ok());
            let is_stopped = |v: &Violation| v.rule == Rule::Eviction;
            let keeps = spots[i] == kept[i]
                || !is_on_failed(&spots[i])
                    && task_violations(problem, *task, &spots[i]).iter().all(is_stopped)
                    && added.fits(self.state, *task, &kept[i], &spots[i]);
            if !keeps {
                spots[i] = kept[i].clone();
            }
        }
    }

    /// What the groups' rules say of the state with these spots.
    fn groups_with(&mut self, scenario: &Scenario, spots: &[Spot], groups: &BTreeSet<GroupId>) -> Vec<Violation> {
        let problem = self.state.problem;
        scenario.lost.iter().zip(spots).for_each(|(task, spot)| self.placement.set(*task, spot.clone()));
        let found = group_violations(problem, &self.placement, groups.iter().copied());
        scenario.lost.iter().for_each(|task| self.placement.set(*task, problem.current.spot(*task).clone()));
        found
    }

    fn send_back(&self, scenario: &Scenario, kept: &[Spot], spots: &mut [Spot], is_blamed: impl Fn(GroupId) -> bool) {
        let group = |task: TaskId| self.state.problem.tasks[task.index()].group;
        let mut any = false;
        for (i, _) in scenario.lost.iter().enumerate().filter(|(_, task)| group(**task).is_some_and(&is_blamed)) {
            any |= spots[i] != kept[i];
            spots[i] = kept[i].clone();
        }
        if !any {
            // It is the company of others that broke it.
            for (i, _) in scenario.lost.iter().enumerate().filter(|(_, task)| group(**task).is_some()) {
                spots[i] = kept[i].clone();
            }
        }
    }
}

fn by_place(found: Vec<Violation>) -> BTreeMap<(Rule, Place), i128> {
    found.into_iter().map(|v| ((v.rule, v.place), v.excess)).collect()
}

/// What a recovery has added to nodes so far.
#[derive(Default)]
struct Added {
    amounts: BTreeMap<usize, Vec<i128>>,
    /// Milli and memory.
    devices: BTreeMap<(usize, u32), (u32, i128)>,
}

impl Added {
    /// Adds a spot where everything fits that it has beyond what is kept.
    fn fits(&mut self, state: &State<'_>, task: TaskId, kept: &Spot, spot: &Spot) -> bool {
        let problem = state.problem;
        let request = problem.tasks[task.index()].device.as_ref();
        let (milli, memory) = request.map_or((0, 0), |request| (request.milli, i128::from(request.memory)));
        let mut more = Vec::new();
        for piece in spot.pieces() {
            let n = piece.node.index();
            let had = kept.pieces().iter().find(|old| old.node == piece.node).map_or(0, |old| old.share.parts());
            let parts = i128::from(piece.share.parts()) - i128::from(had);
            let row: Vec<i128> = problem.requirement(task).iter().map(|amount| i128::from(*amount) * parts).collect();
            let so_far = |r: usize| self.amounts.get(&n).map_or(0, |row| row[r]);
            if !state.takes(piece.node, (0..row.len()).map(|r| if row[r] > 0 { so_far(r) + row[r] } else { 0 })) {
                return false;
            }
            let used = state.usage.devices(piece.node);
            for d in (0..64u32).filter(|d| piece.devices >> d & 1 == 1) {
                let taken = used.get(d as usize).copied().unwrap_or(DEVICE_MILLI);
                let added = self.devices.get(&(n, d)).copied().unwrap_or_default();
                if taken + added.0 + milli > DEVICE_MILLI {
                    return false;
                }
                let used = state.usage.device_memory(piece.node).get(d as usize).copied().unwrap_or(0);
                let total = problem.nodes[n].devices.get(d as usize).map_or(0, |device| i128::from(device.memory));
                if memory > 0 && used + added.1 + memory > total {
                    return false;
                }
            }
            more.push((n, row, piece.devices));
        }
        for (n, row, devices) in more {
            let sum = self.amounts.entry(n).or_insert_with(|| vec![0; row.len()]);
            sum.iter_mut().zip(&row).for_each(|(sum, amount)| *sum += amount);
            (0..64u32).filter(|d| devices >> d & 1 == 1).for_each(|d| {
                let added = self.devices.entry((n, d)).or_default();
                *added = (added.0 + milli, added.1 + memory);
            });
        }
        true
    }
}

/// Is a task back, as far as it must be?
pub fn is_back(state: &State<'_>, task: TaskId, spot: &Spot) -> bool {
    let before = state.problem.current.spot(task).total_parts().min(u64::from(SHARE_ONE)) as u32;
    spot.is_placed() && spot.total_parts() >= u64::from(state.problem.least_parts(task, before))
}

/// Sums what some tasks would hold if they were back, scaled. Shape: resources.
pub fn wanted(state: &State<'_>, scenario: &Scenario, tasks: impl Iterator<Item = TaskId>) -> (Vec<i128>, u64) {
    let problem = state.problem;
    let (mut amounts, mut milli) = (vec![0; problem.resources.len()], 0);
    for task in tasks {
        let spot = problem.current.spot(task);
        let before = spot.total_parts().min(u64::from(SHARE_ONE)) as u32;
        let kept = scenario.kept(problem, task).total_parts().min(u64::from(SHARE_ONE)) as u32;
        let parts = problem.least_parts(task, before).saturating_sub(kept);
        let row = problem.requirement(task);
        amounts.iter_mut().zip(row).for_each(|(sum, amount)| *sum += i128::from(*amount) * i128::from(parts));
        milli += problem.tasks[task.index()].device.as_ref().map_or(0, |r| u64::from(r.count) * u64::from(r.milli));
    }
    (amounts, milli)
}
