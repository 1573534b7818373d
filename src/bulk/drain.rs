//! Which nodes can be emptied? Where a node in use has a price, small steps find nothing: only the last task to leave saves it.
//!
//! After annealing, nodes with a price are tried one after the other, those first that save most per task: all its tasks look for
//! their best fit elsewhere, and stay there when that is worth it. Repeated until nothing is saved any more.

use super::build::Builder;
use super::pack::{NOWHERE, Pack};
use crate::control::Control;
use std::cmp::Reverse;

/// Most tasks of a node that is to be emptied.
const TASKS_MAX: usize = 4096;

/// Can emptying a node bring anything?
pub fn suits(pack: &Pack) -> bool {
    !pack.shared.simultaneous && pack.price.iter().any(|price| *price > 0)
}

/// Empties nodes as long as that brings points and the move budget lasts.
pub fn drain(pack: &Pack, editor: &mut Builder<'_>, control: &Control) {
    if !suits(pack) {
        return;
    }
    loop {
        let mut here: Vec<Vec<usize>> = vec![Vec::new(); pack.price.len()];
        for task in (0..pack.home.len()).filter(|task| pack.packed[*task]) {
            if let Some(list) = here.get_mut(editor.state.at[task] as usize) {
                list.push(task);
            }
        }
        let mut nodes: Vec<usize> = (0..here.len()).filter(|n| pack.price[*n] > 0 && !here[*n].is_empty()).collect();
        nodes.sort_by_key(|n| (Reverse(pack.price[*n] / here[*n].len() as i64), *n));
        let mut saved = false;
        for node in nodes {
            if control.must_stop() {
                return;
            }
            // Others may have come since; then it waits for the next pass.
            let is_same = editor.state.tasks_here[node] as usize == here[node].len();
            if is_same && here[node].len() <= TASKS_MAX {
                saved |= empty(pack, editor, node as u32, &here[node]);
            }
        }
        if !saved {
            return;
        }
    }
}

/// True when the node is empty now.
fn empty(pack: &Pack, editor: &mut Builder<'_>, node: u32, tasks: &[usize]) -> bool {
    if tasks.iter().any(|task| !pack.movable[*task] || editor.state.at[*task] != node) {
        return false;
    }
    let displaced = editor.state.displaced;
    let mut order: Vec<(Reverse<i64>, usize, u64)> = Vec::with_capacity(tasks.len());
    for task in tasks {
        let size: i64 = pack.requirement[*task * pack.lanes..][..pack.lanes].iter().map(|q| i64::from(*q)).sum();
        order.push((
            Reverse(size + i64::from(pack.device[*task].0) * i64::from(i32::MAX)),
            *task,
            editor.state.devices[*task],
        ));
    }
    order.sort_unstable();
    let mut change = -editor.state.group_points(pack);
    let mut left = true;
    for (_, task, _) in &order {
        editor.relocate(*task, NOWHERE, 0);
        let Some(stay) = editor.judge(*task, node) else {
            left = false;
            break;
        };
        change -= stay.points;
    }
    for (_, task, _) in order.iter().filter(|_| left) {
        let Some(target) = editor.best_elsewhere(*task, node) else {
            left = false;
            break;
        };
        change += target.points;
        editor.relocate(*task, target.node, target.devices);
    }
    change += editor.state.group_points(pack);
    let in_budget = editor.state.displaced <= displaced.max(i64::from(pack.displaced_max));
    let is_missed = order.iter().any(|(_, task, _)| editor.is_missed(*task, node));
    if left && change < 0 && in_budget && !is_missed {
        return true;
    }
    order.iter().for_each(|(_, task, _)| editor.relocate(*task, NOWHERE, 0));
    order.iter().for_each(|(_, task, devices)| editor.relocate(*task, node, *devices));
    false
}
