//! What is the best placement of a tiny problem? All of them, tried.
//!
//! Best means: worse than the start in no rule ([`worsened`]), then least [`total_excess`], then highest objective. Only
//! rigid tasks: shares are not enumerated.

use bayplan::model::*;

/// Most placements tried; beyond it there is no answer.
const LEAF_MAX: u64 = 200_000;

/// The best placement and its score; `None` when there are too many placements to try them all.
///
/// # Panics
/// When a task is not rigid.
pub fn brute_force(problem: &Problem) -> Option<(Score, Placement)> {
    let search = search(problem)?;
    let (_, score, placement) = search.best.expect("the start itself is never worse than the start");
    Some((score, placement))
}

/// The highest objective of all placements that are never worse than the start, whatever excess they leave.
///
/// # Panics
/// As [`brute_force`].
pub fn most_points(problem: &Problem) -> Option<i128> {
    Some(search(problem)?.most)
}

/// Every placement that is never worse than the start and has the least excess of all those.
///
/// # Panics
/// As [`brute_force`].
pub fn all_best_repaired(problem: &Problem) -> Option<Vec<(Score, Placement)>> {
    let mut list = search_all(problem, true)?.list;
    let least = list.iter().map(|(excess, ..)| *excess).min()?;
    list.retain(|(excess, ..)| *excess == least);
    Some(list.into_iter().map(|(_, score, placement)| (score, placement)).collect())
}

fn search(problem: &Problem) -> Option<Search<'_>> {
    search_all(problem, false)
}

fn search_all(problem: &Problem, is_kept: bool) -> Option<Search<'_>> {
    let start = violations(problem, &problem.current);
    let mut search = Search {
        problem,
        spots: problem.task_ids().map(|task| spots(problem, task)).collect(),
        limits: Limits::new(problem),
        start,
        placement: Placement::empty(problem.tasks.len()),
        best: None,
        most: i128::MIN,
        leaf_count: 0,
        is_kept,
        list: Vec::new(),
    };
    let mut used = vec![0; search.limits.amount.len()];
    let mut milli = vec![0; search.limits.milli.len()];
    search.descend(0, 0, &mut used, &mut milli);
    if search.leaf_count > LEAF_MAX {
        return None;
    }
    Some(search)
}

/// Every spot that a task may have for itself.
fn spots(problem: &Problem, task: TaskId) -> Vec<Spot> {
    let spec = &problem.tasks[task.index()];
    assert_eq!(spec.sharing, Sharing::Rigid, "brute force only enumerates rigid tasks");
    let current = problem.current.spot(task);
    if spec.pinned {
        return vec![current.clone()];
    }
    let mut list = vec![current.clone()];
    if spec.evictable && current.is_placed() {
        list.push(Spot::Unplaced);
    }
    for node in problem.node_ids().filter(|node| forbidden(problem, task, *node).is_none()) {
        let eligible = spec.device.as_ref().map_or(0, |r| r.eligible(&problem.nodes[node.index()]));
        let wanted = spec.device.as_ref().map_or(0, |r| r.count);
        for devices in (0..=eligible).filter(|set| set & !eligible == 0 && set.count_ones() == wanted) {
            let spot = Spot::On(Piece { node, share: Share::ONE, devices });
            if spot != *current {
                list.push(spot);
            }
        }
    }
    list
}

/// What no never-worse placement exceeds, per node and resource and per device.
struct Limits {
    amount: Vec<i128>,
    milli: Vec<u32>,
    /// Position of each node's first device.
    device_base: Vec<usize>,
    moves: usize,
}

impl Limits {
    fn new(problem: &Problem) -> Limits {
        let usage = Usage::of(problem, &problem.current);
        let mut limits = Limits {
            amount: Vec::new(),
            milli: Vec::new(),
            device_base: Vec::new(),
            moves: problem.moves.max_moves.map_or(usize::MAX, |most| most as usize),
        };
        for node in problem.node_ids() {
            let capacity = problem.allocatable(node).iter().map(|c| i128::from(*c) * i128::from(SHARE_ONE));
            limits.amount.extend(capacity.zip(usage.amounts(node)).map(|(capacity, used)| capacity.max(*used)));
            limits.device_base.push(limits.milli.len());
            limits.milli.extend(usage.devices(node).iter().map(|used| (*used).max(DEVICE_MILLI)));
        }
        limits
    }
}

struct Search<'a> {
    problem: &'a Problem,
    spots: Vec<Vec<Spot>>,
    limits: Limits,
    start: Vec<Violation>,
    placement: Placement,
    best: Option<((i128, i128), Score, Placement)>,
    most: i128,
    leaf_count: u64,
    /// All that are never worse are wanted.
    is_kept: bool,
    list: Vec<(i128, Score, Placement)>,
}

impl Search<'_> {
    fn descend(&mut self, t: usize, moves: usize, used: &mut [i128], milli: &mut [u32]) {
        if self.leaf_count > LEAF_MAX {
            return;
        }
        if t == self.spots.len() {
            self.leaf_count += 1;
            self.judge();
            return;
        }
        let task = TaskId::new(t);
        for s in 0..self.spots[t].len() {
            let spot = self.spots[t][s].clone();
            self.placement.set(task, spot.clone());
            let moves = moves + usize::from(is_moved(self.problem, &self.placement, task));
            self.add(task, &spot, 1, used, milli);
            let fits = used.iter().zip(&self.limits.amount).all(|(used, limit)| used <= limit)
                && milli.iter().zip(&self.limits.milli).all(|(used, limit)| used <= limit);
            if fits && moves <= self.limits.moves {
                self.descend(t + 1, moves, used, milli);
            }
            self.add(task, &spot, -1, used, milli);
        }
        self.placement.set(task, Spot::Unplaced);
    }

    fn add(&self, task: TaskId, spot: &Spot, sign: i32, used: &mut [i128], milli: &mut [u32]) {
        let Spot::On(piece) = spot else { return };
        let requirement = self.problem.requirement(task);
        let row = piece.node.index() * requirement.len();
        for (slot, amount) in used[row..].iter_mut().zip(requirement) {
            *slot += i128::from(*amount) * i128::from(SHARE_ONE) * i128::from(sign);
        }
        let Some(request) = &self.problem.tasks[task.index()].device else { return };
        let base = self.limits.device_base[piece.node.index()];
        for d in (0..64).filter(|d| piece.devices >> d & 1 == 1) {
            milli[base + d] = milli[base + d].wrapping_add_signed(request.milli as i32 * sign);
        }
    }

    fn judge(&mut self) {
        let found = violations(self.problem, &self.placement);
        if !worsened(&self.start, &found).is_empty() {
            return;
        }
        let score = score(self.problem, &self.placement);
        self.most = self.most.max(score.objective());
        if self.is_kept {
            self.list.push((total_excess(&found), score, self.placement.clone()));
        }
        let key = (-total_excess(&found), score.objective());
        if self.best.as_ref().is_none_or(|(best, _, _)| key > *best) {
            self.best = Some((key, score, self.placement.clone()));
        }
    }
}
