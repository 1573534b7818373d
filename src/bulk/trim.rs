//! Which moves are worth making? Sends tasks home again until every move brings something and at most `max_moves` are left.
//!
//! The search has a price on moves already (chain.rs); this is for what it leaves: ties, and the last few above the budget.
//! Only tasks whose way home is free can be sent; what a move brings is its loss when undone alone. If the budget cannot be
//! met that way (moves that need each other), the moves are redone from the start, the best first, until it is used up.

use super::build::Builder;
use super::pack::{NOWHERE, Pack};
use super::state::State;
use crate::control::Control;
use crate::model::{Placement, Problem, violations};

/// The placement with fewer moves.
pub fn trim<'a>(problem: &'a Problem, pack: &'a Pack, mut editor: Builder<'a>, control: &Control) -> Placement {
    let budget = problem.moves.max_moves.map_or(i64::MAX, i64::from);
    // A repair may bring no points.
    if editor.state.displaced > budget || violations(problem, &problem.current).is_empty() {
        undo(pack, &mut editor, budget, control);
    }
    if editor.state.displaced > budget {
        let wanted = editor.state;
        editor = Builder::new(problem, pack);
        redo(pack, &mut editor, &wanted, budget);
        // What could not go where it was wanted may fit elsewhere.
        editor.admit(control);
    }
    editor.state.placement(problem)
}

/// Sends home what brings least, until the budget is met and every move left brings something.
fn undo(pack: &Pack, editor: &mut Builder<'_>, budget: i64, control: &Control) {
    loop {
        let before = editor.state.displaced;
        let mut losses: Vec<(i64, usize)> = displaced(pack, &editor.state)
            .filter_map(|task| try_home(pack, editor, task, i64::MIN).map(|loss| (loss, task)))
            .collect();
        losses.sort_unstable();
        for (_, task) in losses {
            // Other tasks have gone home since: what it brings is asked again.
            let below = if editor.state.displaced > budget { i64::MAX } else { 1 };
            try_home(pack, editor, task, below);
        }
        // Above the budget there is no stopping.
        if editor.state.displaced == before || (editor.state.displaced <= budget && control.must_stop()) {
            return;
        }
    }
}

fn displaced<'a>(pack: &'a Pack, state: &State) -> impl Iterator<Item = usize> + use<'a> {
    let at = state.at.clone();
    (0..at.len()).filter(move |task| pack.home[*task] != NOWHERE && at[*task] != pack.home[*task])
}

/// Points lost by sending a task home, if its way is free; it goes when the loss is less than `below`.
fn try_home(pack: &Pack, editor: &mut Builder<'_>, task: usize, below: i64) -> Option<i64> {
    let (from, devices) = (editor.state.at[task], editor.state.devices[task]);
    editor.relocate(task, NOWHERE, 0);
    let here = if from == NOWHERE { Some(pack.pool_points(task)) } else { editor.judge(task, from).map(|t| t.points) };
    let home = editor.judge(task, pack.home[task]);
    let Some((here, home)) = here.zip(home) else {
        editor.relocate(task, from, devices);
        return None;
    };
    let loss = home.points - here;
    editor.relocate(task, home.node, home.devices);
    let is_missed = editor.is_missed(task, from);
    if is_missed || loss >= below {
        editor.relocate(task, from, devices);
    }
    (!is_missed).then_some(loss)
}

/// Makes the wanted moves from the start, the best first, while the budget lasts; starting waiting tasks costs no budget.
fn redo(pack: &Pack, editor: &mut Builder<'_>, wanted: &State, budget: i64) {
    // Gangs start as a whole, afterwards.
    let starts_in_gang = |task: usize| pack.home[task] == NOWHERE && pack.is_of_gang(task);
    let is_open = |task: &usize| wanted.at[*task] != editor.state.at[*task] && !starts_in_gang(*task);
    let mut open: Vec<usize> = (0..wanted.at.len()).filter(is_open).collect();
    loop {
        let mut gains: Vec<(i64, usize)> = open
            .iter()
            .filter_map(|task| try_go(pack, editor, wanted, *task, i64::MAX).map(|gain| (-gain, *task)))
            .collect();
        gains.sort_unstable();
        let before = open.len();
        for (_, task) in gains {
            let is_move = pack.home[task] != NOWHERE;
            if is_move && editor.state.displaced >= budget {
                continue;
            }
            try_go(pack, editor, wanted, task, i64::from(is_move));
        }
        open.retain(|task| editor.state.at[*task] != wanted.at[*task]);
        if open.len() == before {
            return;
        }
    }
}

/// Points gained by making a wanted move, if the way is free; it is made when they are at least `least`.
fn try_go(pack: &Pack, editor: &mut Builder<'_>, wanted: &State, task: usize, least: i64) -> Option<i64> {
    let (from, devices, to) = (editor.state.at[task], editor.state.devices[task], wanted.at[task]);
    editor.relocate(task, NOWHERE, 0);
    let pool = pack.pool_points(task);
    let points = |editor: &Builder<'_>, node: u32| match node {
        NOWHERE => Some((pool, 0)),
        node => editor.judge(task, node).map(|target| (target.points, target.devices)),
    };
    let Some((here, (points, target_devices))) = points(editor, from).zip(points(editor, to)) else {
        editor.relocate(task, from, devices);
        return None;
    };
    let gain = here.0 - points;
    editor.relocate(task, to, target_devices);
    let is_missed = editor.is_missed(task, from);
    if is_missed || gain < least {
        editor.relocate(task, from, devices);
    }
    (!is_missed).then_some(gain)
}
