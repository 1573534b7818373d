//! Who gets what is left? Grows elastic tasks on their nodes and pours divisible ones into the free amounts.
//!
//! First one task at a time, the most valuable per unit of the scarcest resource first. On a node the points of one task's share are
//! concave: value is linear, load and balance are convex and piecewise linear, variance is a convex square. So the best share is at
//! a kink or an end, all of which are tried, or, where variance counts, at the top of a curve, which is searched. Then the elastic tasks
//! of each node are weighed against each other, all of its resources and costs at once (`grant.rs`), and divisible ones take what that
//! leaves. Where to pour divisible tasks is a question about all nodes, and first come is a heuristic for it, which `exact` does not share.

use super::grant::{Holder, better};
use crate::model::{
    NodeId, Piece, Placement, Problem, SHARE_ONE, Share, Sharing, Spot, TaskId, Usage, is_moved, move_cost,
    newcomer_forbidden, node_cost,
};
use rayon::prelude::*;

/// The placement with the free amounts handed out.
pub fn fill(problem: &Problem, mut placement: Placement) -> Placement {
    let stretches = |task: &TaskId| problem.tasks[task.index()].sharing != Sharing::Rigid;
    let mut order: Vec<TaskId> = problem.task_ids().filter(stretches).collect();
    if order.is_empty() {
        return placement;
    }
    let width = problem.resources.len();
    let mut total = vec![1i128; width];
    let mut room: Vec<Vec<i128>> = Vec::with_capacity(problem.nodes.len());
    for node in problem.node_ids() {
        let capacity = problem.allocatable(node);
        room.push(capacity.iter().map(|amount| i128::from(*amount) * i128::from(SHARE_ONE)).collect());
        for (sum, amount) in total.iter_mut().zip(capacity) {
            *sum += i128::from(*amount);
        }
    }
    // Value per share of the cluster, in 2^40ths.
    let density = |task: &TaskId| {
        let size =
            problem.requirement(*task).iter().zip(&total).map(|(amount, total)| (i128::from(*amount) << 40) / total);
        (i128::from(problem.tasks[task.index()].weight) << 40) / size.max().unwrap_or(0).max(1)
    };
    order.sort_by_cached_key(|task| (std::cmp::Reverse(density(task)), *task));
    restore_pinned(problem, &mut placement, &order);
    let usage = Usage::of(problem, &placement);
    let mut used: Vec<Vec<i128>> = problem.node_ids().map(|node| usage.amounts(node).to_vec()).collect();
    hold_for_leavers(problem, &placement, &mut room);
    pour(problem, &order, &room, &mut used, &mut placement);
    share_nodes(problem, &order, &room, &mut used, &mut placement);
    order.retain(|task| problem.tasks[task.index()].sharing == Sharing::Divisible);
    pour(problem, &order, &room, &mut used, &mut placement);
    placement
}

/// Gives each task in turn the most points that are left for it.
fn pour(problem: &Problem, order: &[TaskId], room: &[Vec<i128>], used: &mut [Vec<i128>], placement: &mut Placement) {
    let mut moved = problem.task_ids().filter(|task| is_moved(problem, placement, *task)).count();
    for task in order.iter().copied().filter(|task| !problem.tasks[task.index()].pinned) {
        let mut pieces = placement.spot(task).pieces().to_vec();
        if problem.tasks[task.index()].sharing != Sharing::Divisible {
            let nodes: Vec<NodeId> = pieces.iter().map(|piece| piece.node).collect();
            take(problem, task, &nodes, &mut pieces, room, used);
            placement.set(task, Spot::from_pieces(pieces));
            continue;
        }
        moved -= usize::from(is_moved(problem, placement, task));
        let home = problem.current.spot(task);
        let (own, others) = divisible_nodes(problem, task);
        take(problem, task, &own, &mut pieces, room, used);
        let (stays, kept) = (Spot::from_pieces(pieces.clone()), pieces.len());
        // What ran moves when it comes to run on other nodes as well: that must be worth what it costs, and be in the budget.
        let goes = |spot: &Spot| home.is_placed() && !home.same_nodes(spot);
        let charge = |spot: &Spot| if goes(spot) { move_cost(problem, task, spot).into_iter().sum() } else { 0i128 };
        let gain = take(problem, task, &others, &mut pieces, room, used);
        let mut spot = Spot::from_pieces(pieces.clone());
        let is_beyond = |spot: &Spot| {
            goes(spot) && !goes(&stays) && problem.moves.max_moves.is_some_and(|most| moved >= most as usize)
        };
        if pieces.len() > kept && (is_beyond(&spot) || home.is_placed() && gain <= charge(&spot) - charge(&stays)) {
            for piece in &pieces[kept..] {
                for (slot, amount) in used[piece.node.index()].iter_mut().zip(problem.requirement(task)) {
                    *slot -= i128::from(*amount) * i128::from(piece.share.parts());
                }
            }
            spot = stays;
        }
        moved += usize::from(goes(&spot));
        placement.set(task, spot);
    }
}

/// Shares each node out among its elastic tasks anew, where that brings points.
fn share_nodes(
    problem: &Problem,
    order: &[TaskId],
    room: &[Vec<i128>],
    used: &mut [Vec<i128>],
    placement: &mut Placement,
) {
    let mut holders: Vec<Vec<Holder>> = vec![Vec::new(); problem.nodes.len()];
    for task in order.iter().copied().filter(|task| !problem.tasks[task.index()].pinned) {
        if let (Sharing::Elastic { min }, Spot::On(piece)) = (problem.tasks[task.index()].sharing, placement.spot(task))
        {
            let parts = piece.share.parts();
            holders[piece.node.index()].push(Holder { task, least: min.parts().min(parts), parts });
        }
    }
    // What a task held of transient resources stays held where all moves are one wave: nobody can take it over.
    let is_held = |holder: &Holder| {
        let before = problem.current.spot(holder.task).pieces();
        problem.moves.simultaneous && before.iter().any(|piece| piece.share.parts() > holder.least)
    };
    let shared = |(node, (holders, used)): (usize, (&Vec<Holder>, &Vec<i128>))| {
        let is_open = !holders.is_empty() && !holders.iter().any(is_held);
        is_open.then(|| better(problem, NodeId::new(node), holders, &room[node], used)).flatten()
    };
    let shares: Vec<Option<Vec<u32>>> =
        holders.par_iter().zip(&*used).enumerate().map(|(node, given)| shared((node, given))).collect();
    for ((holders, shares), used) in holders.iter().zip(shares).zip(used) {
        for (holder, parts) in holders.iter().zip(shares.into_iter().flatten()) {
            for (slot, amount) in used.iter_mut().zip(problem.requirement(holder.task)) {
                *slot += i128::from(*amount) * (i128::from(parts) - i128::from(holder.parts));
            }
            if let Spot::On(piece) = *placement.spot(holder.task) {
                let share = Share::from_parts(parts).expect("never above 1");
                placement.set(holder.task, Spot::On(Piece { share, ..piece }));
            }
        }
    }
}

/// Gives a task what is best of what these nodes have left; tells the points that this brings.
fn take(
    problem: &Problem,
    task: TaskId,
    nodes: &[NodeId],
    pieces: &mut Vec<Piece>,
    room: &[Vec<i128>],
    used: &mut [Vec<i128>],
) -> i128 {
    let mut left = SHARE_ONE - pieces.iter().map(|piece| piece.share.parts()).sum::<u32>();
    let mut gain = 0;
    for node in nodes.iter().copied() {
        let (room, used) = (&room[node.index()], &mut used[node.index()]);
        let parts = best_parts(problem, task, node, room, used, left);
        if parts == 0 {
            continue;
        }
        left -= parts;
        let cost = |used: &[i128]| node_cost(problem, node, used).into_iter().sum::<i128>();
        gain += cost(used) + i128::from(problem.tasks[task.index()].weight) * i128::from(parts);
        for (slot, amount) in used.iter_mut().zip(problem.requirement(task)) {
            *slot += i128::from(*amount) * i128::from(parts);
        }
        gain -= cost(used);
        let more = |share: Share| Share::from_parts(share.parts() + parts).expect("never above 1");
        match pieces.iter_mut().find(|piece| piece.node == node) {
            Some(piece) => piece.share = more(piece.share),
            None => pieces.push(Piece { node, share: more(Share::ZERO), devices: 0 }),
        }
    }
    gain
}

/// Pinned tasks have exactly the share they had.
fn restore_pinned(problem: &Problem, placement: &mut Placement, order: &[TaskId]) {
    for task in order.iter().filter(|task| problem.tasks[task.index()].pinned) {
        placement.set(*task, problem.current.spot(*task).clone());
    }
}

/// Takes what moved tasks hold on the nodes they left out of the room there, where moves are simultaneous.
fn hold_for_leavers(problem: &Problem, placement: &Placement, room: &mut [Vec<i128>]) {
    if !problem.moves.simultaneous {
        return;
    }
    for task in problem.task_ids() {
        let left = problem.current.spot(task).pieces().iter().filter(|piece| !placement.spot(task).is_on(piece.node));
        for piece in left {
            for (r, amount) in
                problem.requirement(task).iter().enumerate().filter(|(r, _)| problem.resources[*r].transient)
            {
                room[piece.node.index()][r] -= i128::from(*amount) * i128::from(piece.share.parts());
            }
        }
    }
}

/// Where a divisible task may go: where it is, and, unless a group rule would have to be asked, everywhere else.
fn divisible_nodes(problem: &Problem, task: TaskId) -> (Vec<NodeId>, Vec<NodeId>) {
    let spot = problem.current.spot(task);
    let open = |node: &NodeId| !spot.is_on(*node) && newcomer_forbidden(problem, task, *node).is_none();
    let others = match problem.tasks[task.index()].group {
        None => problem.node_ids().filter(open).collect(),
        Some(_) => Vec::new(),
    };
    (spot.pieces().iter().map(|piece| piece.node).collect(), others)
}

/// The number of parts, up to `most`, that brings most points on this node; the larger of equals.
pub(super) fn best_parts(
    problem: &Problem,
    task: TaskId,
    node: NodeId,
    room: &[i128],
    used: &[i128],
    most: u32,
) -> u32 {
    let requirement = problem.requirement(task);
    let mut limit = i128::from(most);
    for (r, amount) in requirement.iter().enumerate().filter(|(_, amount)| **amount > 0) {
        limit = limit.min((room[r] - used[r]).max(0) / i128::from(*amount));
    }
    let mut kinks = vec![0, limit];
    let one = i128::from(SHARE_ONE);
    for (r, amount) in requirement.iter().enumerate().filter(|(_, amount)| **amount > 0) {
        kinks.push((i128::from(problem.soft_limit(node)[r]) * one - used[r]) / i128::from(*amount));
    }
    for term in &problem.objective.balance {
        let (r, o) = (term.resource.index(), term.other.index());
        let free = |r: usize| i128::from(problem.allocatable(node)[r]) * one - used[r];
        let missing = i128::from(term.target) * free(r) - free(o);
        let slope = i128::from(term.target) * i128::from(requirement[r]) - i128::from(requirement[o]);
        if slope != 0 {
            kinks.extend([missing / slope, missing / slope + 1]);
        }
    }
    let points = |parts: i128| {
        let after: Vec<i128> =
            used.iter().zip(requirement).map(|(used, amount)| used + i128::from(*amount) * parts).collect();
        let costs = node_cost(problem, node, &after);
        i128::from(problem.tasks[task.index()].weight) * parts - costs.into_iter().sum::<i128>()
    };
    if !problem.objective.variance.is_empty() {
        // Levels are whole, so there are flat steps on the way up; then more is taken for better.
        let (mut low, mut high) = (0, limit);
        while high - low > 2 {
            let third = (high - low) / 3;
            if points(low + third) > points(high - third) { high -= third } else { low += third }
        }
        kinks.extend(low..=high);
    }
    let best =
        kinks.into_iter().filter(|parts| (0..=limit).contains(parts)).max_by_key(|parts| (points(*parts), *parts));
    best.unwrap_or(0).max(0) as u32
}
