//! Where does everything run so that no pool is loaded above a target? The fewest nodes in use are of no help here.
//!
//! Running tasks stay in their pool, so what a pool carries is decided by what waits. Three ways are tried, each judged by the loads
//! that it comes to: on nodes that have only the target's part of what they have; with every waiting task bound to the pool that has
//! most left, the large ones first; and with even loads as the goal.

use super::policy::{Policy, RATE_ONE, scaled};
use super::pools::{Load, capacity_of, pools, row};
use super::search::{Search, confined, confined_as, is_whole, waiting};
use crate::control::Control;
use crate::drill;
use crate::model::{Goal, Piece, Placement, Problem, Spot, TaskId, newcomer_forbidden};
use std::cmp::Reverse;

/// Parts in which what is left of a pool is told.
const PARTS: i128 = 1_000_000;

/// A placement in which everything runs and which `is_within` accepts; `None` when none is found.
pub(super) fn spread(
    problem: &Problem,
    policy: &Policy,
    is_within: &dyn Fn(&Placement) -> bool,
    search: &Search,
    control: &Control,
) -> Option<Placement> {
    let Policy::Utilization(rate) = policy else { return None };
    let bound = confined(problem);
    let narrow = || search.most_placed(&bound.with_less(i64::from(RATE_ONE - rate.milli())), &control.part(3));
    let dealt = || search.most_placed(&confined_as(problem, &dealt(problem, policy)), &control.part(2));
    let even = || search.solve(&Goal::Balance.apply(&bound), false, control);
    let ways: [&dyn Fn() -> Placement; 3] = [&narrow, &dealt, &even];
    let mut found = ways.iter().take_while(|_| !control.must_stop()).map(|way| way());
    found.find(|placement| is_whole(&bound, placement) && is_within(placement))
}

/// Each waiting task on some node of the pool that has most left under the target, the large ones first: only the pool is meant.
fn dealt(problem: &Problem, policy: &Policy) -> Placement {
    let pools = pools(problem);
    let load = Load::of(problem, &problem.current);
    let mut loads: Vec<Vec<i128>> = pools.iter().map(|pool| load.on(&pool.nodes)).collect();
    let has: Vec<Vec<i128>> = pools.iter().map(|pool| capacity_of(problem, &pool.nodes)).collect();
    let sizes = drill::sizes(problem);
    let mut tasks: Vec<TaskId> = waiting(problem).collect();
    tasks.sort_by_key(|task| (Reverse(sizes[task.index()]), *task));
    let mut there = problem.current.clone();
    for task in tasks {
        let need = row(problem, task, super::cover::need(problem, task).into_iter().map(scaled));
        let left = |pool: usize| {
            let rooms = (0..need.len()).filter(|r| has[pool][*r] > 0 || need[*r] > 0);
            let part = |r: usize| {
                policy.headroom(loads[pool][r] + need[r], has[pool][r], 0).saturating_mul(PARTS) / has[pool][r].max(1)
            };
            rooms.map(part).min()
        };
        let door = |pool: usize| {
            pools[pool].nodes.iter().find(|node| newcomer_forbidden(problem, task, **node).is_none()).copied()
        };
        let open = (0..pools.len()).filter_map(|pool| Some((pool, door(pool)?)));
        let Some((pool, node)) = open.max_by_key(|(pool, _)| (left(*pool), Reverse(*pool))) else { continue };
        loads[pool].iter_mut().zip(&need).for_each(|(load, need)| *load += need);
        there.set(task, Spot::On(Piece::whole(node)));
    }
    there
}
