//! Could fewer or cheaper moves do the same? One or two that share a node go home, and another task makes good for them.
//!
//! Annealing finds who relieves which node, and a price on moves sends home whoever it can alone. It does not find that one task could
//! have gone in the place of two: both have to go home first, which costs far more than a move while it is that way. Here that
//! is tried for each pair, the dearest moves first:
//!
//! ```text
//! out     one moved task, or two that left, entered or passed through the same node, go home
//! worse   nodes that this made dearer: none = done; one or two = look there; more = only when nothing else is found any more
//! in      a task that comes to a node which lost one, or leaves a node which got one back; of two such nodes from one to the other
//! worth   fewer points in all, the largest number moved in a group included; no rule is broken on the way
//! ```

use super::build::{Builder, Was};
use super::pack::{NOWHERE, Pack};
use crate::control::Control;
use std::cmp::Reverse;

/// What sending two home and back again counts for.
const LOOKS_PER_ATTEMPT: u64 = 8;
/// Tasks that can be passed over in the time of a look.
const TASKS_PER_LOOK: u64 = 16;

/// Makes every exchange that pays, as far as looks of a task at a node and time last.
pub fn shorten(pack: &Pack, editor: &mut Builder<'_>, looks: u64, control: &Control) {
    let group_points = editor.state.group_points(pack);
    let mut shortening = Shortening { pack, editor, here: Vec::new(), relief: Vec::new(), looks, group_points };
    while shortening.pass(false, control) || shortening.pass(true, control) {}
}

struct Shortening<'e, 'a> {
    pack: &'e Pack,
    editor: &'e mut Builder<'a>,
    /// Tasks that may move, by node.
    here: Vec<Vec<u32>>,
    /// By task: points that its node and its move cost less without it.
    relief: Vec<i64>,
    /// How many are left.
    looks: u64,
    /// For the largest number moved in a group.
    group_points: i64,
}

impl Shortening<'_, '_> {
    /// One attempt at every pair; true when something has changed and there may be more.
    fn pass(&mut self, is_wide: bool, control: &Control) -> bool {
        if self.looks == 0 || control.must_stop() {
            return false;
        }
        let pack = self.pack;
        let mut moved: Vec<usize> = (0..pack.home.len()).filter(|task| self.is_open(*task)).collect();
        if moved.is_empty() {
            return false;
        }
        self.look_around();
        moved.sort_by_key(|task| (Reverse(self.pack.points_at(*task, self.editor.state.at[*task])), *task));
        let mut by_node: Vec<Vec<u32>> = vec![Vec::new(); pack.price.len()];
        for (rank, task) in moved.iter().enumerate() {
            for node in [pack.home[*task], self.editor.state.at[*task]] {
                by_node[node as usize].push(rank as u32);
            }
        }
        let mut is_changed = false;
        for (rank, first) in moved.iter().enumerate() {
            let ends = [pack.home[*first], self.editor.state.at[*first]];
            let mut partners: Vec<u32> = ends.iter().flat_map(|node| &by_node[*node as usize]).copied().collect();
            partners.retain(|other| (*other as usize) < rank);
            partners.sort_unstable();
            partners.dedup();
            let seconds = partners.into_iter().map(|other| Some(moved[other as usize]));
            for second in std::iter::once(None).chain(seconds) {
                if self.looks == 0 || control.must_stop() {
                    return false;
                }
                let outs: Vec<usize> = std::iter::once(*first).chain(second).collect();
                if outs.iter().all(|task| self.is_open(*task)) && self.attempt(&outs, is_wide) {
                    is_changed = true;
                    break;
                }
            }
        }
        is_changed
    }

    /// Has it moved, and could it go home?
    fn is_open(&self, task: usize) -> bool {
        let (home, at) = (self.pack.home[task], self.editor.state.at[task]);
        self.pack.movable[task] && home != NOWHERE && at != NOWHERE && at != home
    }

    fn look_around(&mut self) {
        self.here = vec![Vec::new(); self.pack.price.len()];
        self.relief = vec![0; self.pack.home.len()];
        for task in 0..self.pack.home.len() {
            let at = self.editor.state.at[task];
            if self.pack.movable[task] && at != NOWHERE {
                self.here[at as usize].push(task as u32);
                self.relief[task] = self.relief_of(task).unwrap_or(0);
            }
        }
    }

    fn relief_of(&mut self, task: usize) -> Option<i64> {
        let was = self.editor.take(task);
        let points = self.editor.judge(task, was.1).map(|target| target.points);
        self.editor.back(&[was]);
        points
    }

    /// Sends these home and looks for one that makes good for it; false when all is as it was.
    fn attempt(&mut self, outs: &[usize], is_wide: bool) -> bool {
        let pack = self.pack;
        self.looks = self.looks.saturating_sub(LOOKS_PER_ATTEMPT);
        let state = &self.editor.state;
        let mut nodes: Vec<u32> = outs.iter().flat_map(|task| [pack.home[*task], state.at[*task]]).collect();
        nodes.sort_unstable();
        nodes.dedup();
        let before: Vec<i64> = nodes.iter().map(|node| self.editor.node_points(*node)).collect();
        let saved: i64 = outs.iter().map(|task| self.pack.points_at(*task, self.editor.state.at[*task])).sum();
        let were: Vec<Was> = outs.iter().map(|task| self.editor.take(*task)).collect();
        for task in outs {
            let Some(home) = self.editor.judge(*task, pack.home[*task]) else {
                self.editor.back(&were);
                return false;
            };
            self.editor.relocate(*task, home.node, home.devices);
        }
        let (mut total, mut worse) = (-saved, Vec::new());
        for (node, before) in nodes.iter().zip(before) {
            let change = self.editor.node_points(*node) - before;
            total += change;
            worse.extend((change > 0).then_some(*node));
        }
        if were.iter().any(|(task, from, _)| self.editor.is_missed(*task, *from)) {
            self.editor.back(&were);
            return false;
        }
        let swap = match worse[..] {
            _ if total < 0 => Some(None),
            _ if is_wide => {
                let mut all = nodes.iter().copied();
                all.find_map(|node| self.relieved(node, &were, total)).map(Some)
            }
            [node] => self.relieved(node, &were, total).map(Some),
            [a, b] => {
                let there = self.leaver(a, Some(b), outs, total);
                there.or_else(|| self.leaver(b, Some(a), outs, total)).map(Some)
            }
            _ => None,
        };
        let Some(other) = swap else {
            self.editor.back(&were);
            return false;
        };
        self.group_points = self.editor.state.group_points(pack);
        let all: Vec<Was> = were.into_iter().chain(other).collect();
        for (task, from, _) in &all {
            let to = self.editor.state.at[*task];
            self.here[*from as usize].retain(|other| *other as usize != *task);
            self.here[to as usize].push(*task as u32);
            nodes.extend([*from, to]);
        }
        nodes.sort_unstable();
        nodes.dedup();
        let near: Vec<u32> = nodes.iter().flat_map(|node| &self.here[*node as usize]).copied().collect();
        for task in near {
            self.relief[task as usize] = self.relief_of(task as usize).unwrap_or(0);
        }
        true
    }

    /// A task that comes to a node that one of these left, or leaves one that they came back to, and makes good for `total` points.
    fn relieved(&mut self, node: u32, were: &[Was], total: i64) -> Option<Was> {
        let outs: Vec<usize> = were.iter().map(|(task, ..)| *task).collect();
        let comes = were.iter().any(|(_, from, _)| *from == node).then(|| self.comer(node, &outs, total)).flatten();
        let is_home = outs.iter().any(|task| self.pack.home[*task] == node);
        comes.or_else(|| is_home.then(|| self.leaver(node, None, &outs, total)).flatten())
    }

    /// A task that comes to a node and makes good for `total` points; it has come.
    fn comer(&mut self, node: u32, outs: &[usize], total: i64) -> Option<Was> {
        // Coming, it cannot bring more there than all that the node costs.
        let most = self.editor.node_points(node);
        self.looks = self.looks.saturating_sub(self.pack.home.len() as u64 / TASKS_PER_LOOK);
        for task in 0..self.pack.home.len() {
            let at = self.editor.state.at[task];
            let is_candidate = self.pack.movable[task] && at != NOWHERE && at != node && !outs.contains(&task);
            // What its node gains without it was worked out before others moved, so that only says whom to try.
            if !is_candidate || total + self.pack.points_at(task, node) >= self.relief[task] + most {
                continue;
            }
            self.looks = self.looks.saturating_sub(1);
            let Some(target) = self.editor.judge(task, node) else { continue };
            if total + target.points < self.relief[task]
                && let Some(was) = self.goes(task, node, total)
            {
                return Some(was);
            }
        }
        None
    }

    /// A task that leaves a node, for another one if that is given, and makes good for `total` points; it has left.
    fn leaver(&mut self, node: u32, to: Option<u32>, outs: &[usize], total: i64) -> Option<Was> {
        for task in self.here[node as usize].clone() {
            let task = task as usize;
            if outs.contains(&task) {
                continue;
            }
            let was = self.editor.take(task);
            let here = self.editor.judge(task, node);
            self.looks = self.looks.saturating_sub(1);
            let target = here.filter(|here| to.is_some() || here.points > total).and_then(|_| match to {
                Some(to) => self.editor.judge(task, to),
                None => {
                    self.looks = self.looks.saturating_sub(self.pack.price.len() as u64);
                    self.editor.best_elsewhere(task, node)
                }
            });
            self.editor.back(&[was]);
            let gain = here.zip(target).map(|(here, target)| (here.points - target.points, target.node));
            if let Some((_, to)) = gain.filter(|(gain, _)| total < *gain)
                && let Some(was) = self.goes(task, to, total)
            {
                return Some(was);
            }
        }
        None
    }

    /// Moves a task if that makes good for `total` points and breaks no rule.
    fn goes(&mut self, task: usize, to: u32, total: i64) -> Option<Was> {
        let was = self.editor.take(task);
        let both = self.editor.judge(task, was.1).zip(self.editor.judge(task, to));
        if let Some((here, there)) = both {
            self.editor.relocate(task, to, there.devices);
            let groups = self.editor.state.group_points(self.pack) - self.group_points;
            if total + there.points - here.points + groups < 0 && !self.editor.is_missed(task, was.1) {
                return Some(was);
            }
        }
        self.editor.back(&[was]);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        NodeSpec, Piece, PieceSpec, Problem, ResourceSpec, Snapshot, Spot, TaskSpec, score, violations,
    };
    use std::collections::BTreeMap;

    /// Two nodes of 8 cpu of which 4 are free of charge; the first is full: two tasks of 2 and one of 4. What a move costs.
    fn crowded(large: i64, small: i64) -> Problem {
        let amounts = |cpu: i64| BTreeMap::from([("cpu".to_string(), cpu)]);
        let node = |name: &str| NodeSpec {
            name: name.into(),
            allocatable: amounts(8),
            soft_limit: amounts(4),
            ..NodeSpec::default()
        };
        let task = |t: usize| TaskSpec {
            name: format!("t{t}"),
            requirement: amounts(if t == 2 { 4 } else { 2 }),
            move_cost: if t == 2 { large } else { small },
            placement: vec![PieceSpec { node: "a".into(), ..PieceSpec::default() }],
            ..TaskSpec::default()
        };
        let mut snapshot = Snapshot {
            resources: vec![ResourceSpec { name: "cpu".into(), load_weight: 100, ..ResourceSpec::default() }],
            nodes: vec![node("a"), node("b")],
            tasks: (0..3).map(task).collect(),
            ..Snapshot::default()
        };
        snapshot.objective.task_move_weight = 1;
        Problem::new(&snapshot).unwrap()
    }

    /// The tasks away from home in the end, when these were away before.
    fn left(problem: &Problem, away: &[usize]) -> Vec<usize> {
        let pack = Pack::new(problem);
        let at: Vec<u32> = (0..3).map(|task| u32::from(away.contains(&task))).collect();
        let mut editor = Builder::at(problem, &pack, &at, &[0; 3]);
        let before = score(problem, &editor.state.placement(problem)).objective();
        shorten(&pack, &mut editor, 1 << 20, &Control::unlimited());
        let after = editor.state.placement(problem);
        assert!(score(problem, &after).objective() >= before && violations(problem, &after).is_empty());
        assert_eq!(editor.state.used, editor.state.recomputed(&pack).used);
        (0..3).filter(|t| after.spots()[*t] == Spot::On(Piece::whole(crate::model::NodeId(1)))).collect()
    }

    #[test]
    fn one_move_takes_the_place_of_several_where_it_costs_less() {
        assert_eq!(left(&crowded(1, 1), &[0, 1]), [2], "one is less than two");
        assert_eq!(left(&crowded(3, 1), &[0, 1]), [0, 1], "three is more than two");
        assert_eq!(left(&crowded(5, 1), &[2]), [2], "no single task makes good for it");
    }
}
