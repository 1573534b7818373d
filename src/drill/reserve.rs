//! Is there room for whatever one domain of a level loses? The drill of a state as a promise that a plan can carry.

use super::{Drilled, Options, drill};
use crate::control::Control;
use crate::model::{DomainId, LevelId, Placement, Problem, TaskId};
use crate::plan::{Refuge, Reserve};
use std::collections::BTreeMap;

/// What a state reserves.
#[derive(Debug, Clone)]
pub struct Reserved {
    /// Where each domain's tasks go.
    pub reserve: Reserve,
    /// The domains that are not covered, worst first.
    pub uncovered: Vec<Drilled>,
}

impl Reserved {
    /// Is this state worse than another, for any domain? Not covered where the other is, or with more weight lost.
    pub fn is_worse_than(&self, other: &Reserved) -> bool {
        let loss: BTreeMap<DomainId, i128> =
            other.uncovered.iter().map(|one| (one.scenario.domains[0], one.lost_weight)).collect();
        let is_worse = |one: &Drilled| loss.get(&one.scenario.domains[0]).is_none_or(|loss| one.lost_weight > *loss);
        self.uncovered.iter().any(is_worse)
    }
}

/// Drills every domain of a level in a state, nodes without a domain as domains of their own.
pub fn reserve(problem: &Problem, state: &Placement, level: LevelId, threads: usize, control: &Control) -> Reserved {
    let settled = problem.settled(state);
    let options = Options { levels: vec![level], unnamed: true, threads, ..Options::default() };
    let drilled = drill(&settled, &options, control).drilled;
    let mut refuges: Vec<Refuge> =
        drilled.iter().filter(|one| one.task_count > 0).map(|one| refuge(&settled, one)).collect();
    refuges.sort_by_key(|refuge| refuge.domain);
    let uncovered = drilled.into_iter().filter(|one| !one.is_covered()).collect();
    Reserved { reserve: Reserve { level, refuges }, uncovered }
}

fn refuge(problem: &Problem, one: &Drilled) -> Refuge {
    let is_lost = |task| one.lost.binary_search(task).is_ok();
    // Where all come back and yet a rule stays broken, nothing is promised: not even where only pinned tasks are lost, without which a
    // group of others is not what it should be.
    let is_hollow = !one.is_covered() && one.lost.len() == one.pinned_count;
    let is_told = |task: &TaskId| is_hollow || !problem.ends_with_node(*task);
    let tasks = one.scenario.lost.iter().zip(&one.spots).filter(|(task, _)| is_told(task));
    let (lost, back): (Vec<_>, Vec<_>) = tasks.partition(|(task, _)| is_hollow || is_lost(task));
    Refuge {
        domain: one.scenario.domains[0],
        recovery: back.into_iter().map(|(task, spot)| (*task, spot.clone())).collect(),
        lost: lost.into_iter().map(|(task, _)| *task).collect(),
    }
}

/// Thousandths of the cluster that the largest domain of a level has, in the resource of which it has most, rounded up.
pub fn largest_part(problem: &Problem, level: LevelId) -> i64 {
    let width = problem.own_resources().len();
    let mut total = vec![0i128; width];
    let mut parts: BTreeMap<DomainId, Vec<i128>> = BTreeMap::new();
    for node in problem.node_ids() {
        let part = parts.entry(problem.domain(node, level)).or_insert_with(|| vec![0; width]);
        for (r, amount) in problem.allocatable(node)[..width].iter().enumerate() {
            total[r] += i128::from(*amount);
            part[r] += i128::from(*amount);
        }
    }
    let part = |part: &Vec<i128>| (0..width).map(|r| (part[r] * 1000 + total[r] - 1).max(0) / total[r].max(1)).max();
    parts.values().filter_map(part).max().unwrap_or(0) as i64
}
