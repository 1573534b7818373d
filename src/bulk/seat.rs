//! Does everything have a place? Where nodes are nearly full, who waits drives others out until nobody waits.
//!
//! Annealing weighs points, and a state in which one task waits is a valley of them that it seldom leaves. Here nothing counts but who
//! waits (after the ejection pool of Nagata and Bräysy 2009, who leave out vehicles as `scale` leaves out nodes):
//!
//! ```text
//! seat    the task that began to wait last goes to any node that has room for it
//! drive   where none has, up to three others go from one node for it: those that have waited least often, all together
//! stir    some tasks change nodes, or places with each other, at random
//! ```
//!
//! Who takes a place breaks no rule there; what those leave behind that are driven out is mended once all are back. The result follows
//! from where it begins, the seed and the number of looks, in integers, on one thread; the moves that it did not need are taken back.

use super::build::Builder;
use super::ground::Dice;
use super::pack::{NOWHERE, Pack, UNGROUPED};
use super::state::arrays;
use super::{Options, finish, polish};
use crate::control::{Control, on_threads};
use crate::kernel::score::Target;
use crate::model::{Placement, Problem, TaskId};

/// Most tasks that go for one.
const DRIVEN_MAX: usize = 3;
/// Changes at random after each step.
const STIRRED: u32 = 16;
/// Looks of which the clock is asked once.
const LOOKS_AT_ONCE: u64 = 1024;

/// A placement in which everything runs that may, looked for from one in which some of it waits; `None` when none is found with the effort
/// (looks per task). No rule is more broken than at the start of the problem.
pub fn seat(problem: &Problem, from: &Placement, options: &Options, control: &Control) -> Option<Placement> {
    let pack = Pack::new(problem);
    if pack.shared.simultaneous {
        return None;
    }
    let (at, devices) = arrays(from);
    let mut search = Search {
        pack: &pack,
        editor: Builder::at(problem, &pack, &at, &devices),
        dice: Dice::new([options.seed as u32 ^ (options.seed >> 32) as u32, 0x5EA7]),
        waited: vec![1; problem.tasks.len()],
        looks: 0,
        most: options.effort.unwrap_or(super::EFFORT_DEFAULT).saturating_mul(pack.movable_count as u64),
        next_call: 0,
        control,
    };
    let is_found = search.run();
    let Search { editor, .. } = search;
    if !is_found {
        return None;
    }
    let found = on_threads(options.threads, || finish(problem, &pack, editor, polish::LOOKS_MIN, control));
    let runs = |task: usize| !pack.movable[task] || found.spot(TaskId::new(task)).is_placed();
    (0..pack.home.len()).all(runs).then_some(found)
}

struct Search<'a> {
    pack: &'a Pack,
    editor: Builder<'a>,
    dice: Dice,
    /// How often a task has found no room, and once more. Shape: tasks.
    waited: Vec<u64>,
    /// Places looked at.
    looks: u64,
    /// How many may be.
    most: u64,
    /// When the clock is asked next.
    next_call: u64,
    control: &'a Control,
}

/// Who goes from their places so that a task has room, and what that is worth.
struct Driven {
    waited: u64,
    tasks: Vec<usize>,
    target: Target,
}

impl Search<'_> {
    /// True when everything runs.
    fn run(&mut self) -> bool {
        let mut waiting: Vec<usize> = self.editor.waiting().into_iter().rev().map(|task| task as usize).collect();
        while let Some(task) = waiting.pop() {
            if self.must_end() {
                return false;
            }
            if let Some(target) = self.room(task) {
                self.editor.relocate(task, target.node, target.devices);
            } else {
                self.waited[task] += 1;
                match self.driven(task) {
                    Some(driven) => {
                        driven.tasks.iter().for_each(|other| self.editor.relocate(*other, NOWHERE, 0));
                        self.editor.relocate(task, driven.target.node, driven.target.devices);
                        waiting.extend(driven.tasks);
                    }
                    // Others have to change places first.
                    None => waiting.insert(0, task),
                }
            }
            self.stir();
        }
        true
    }

    fn must_end(&mut self) -> bool {
        if self.looks < self.most && self.looks >= self.next_call {
            self.next_call = self.looks + LOOKS_AT_ONCE;
            if self.control.must_stop() {
                self.most = 0;
            }
        }
        self.looks >= self.most
    }

    /// Any node that has room for a task.
    fn room(&mut self, task: usize) -> Option<Target> {
        let count = self.pack.price.len() as u32;
        self.looks += u64::from(count.max(1));
        let open: Vec<Target> = (0..count).filter_map(|node| self.editor.judge(task, node)).collect();
        (!open.is_empty()).then(|| open[self.dice.below(open.len() as u32) as usize])
    }

    /// Who goes for a task: others on the node that it takes, and where a rule of its group shuts that node, members wherever they are.
    fn driven(&mut self, task: usize) -> Option<Driven> {
        let pack = self.pack;
        let mut here: Vec<Vec<usize>> = vec![Vec::new(); pack.price.len()];
        let mut own: Vec<usize> = Vec::new();
        for other in (0..pack.home.len()).filter(|other| pack.movable[*other]) {
            let at = self.editor.state.at[other];
            match at {
                NOWHERE => {}
                _ if pack.group[task] != UNGROUPED && pack.group[other] == pack.group[task] => own.push(other),
                _ => here[at as usize].push(other),
            }
        }
        let count = here.len();
        let first = self.dice.below(count.max(1) as u32) as usize;
        let mut best: Option<Driven> = None;
        for node in (0..count).map(|n| (first + n) % count) {
            if pack.shared.allow[(pack.class_row[task] + pack.node_class[node]) as usize] == 0 {
                continue;
            }
            let (limit, row) = (&pack.limit[node * pack.lanes..], &pack.requirement[task * pack.lanes..][..pack.lanes]);
            if self.must_end() || row.iter().zip(limit).any(|(need, limit)| need > limit) {
                continue;
            }
            let is_closed = self.editor.is_closed(task, node as u32);
            let mut list = here[node].clone();
            list.extend(own.iter().filter(|other| is_closed || self.editor.state.at[**other] == node as u32));
            list.sort_by_key(|other| (self.waited[*other], *other));
            self.drive(task, node as u32, &list, &mut Vec::new(), &mut best);
        }
        best
    }

    /// Tries all of a list beside those that have gone, the ones that have waited least first.
    fn drive(&mut self, task: usize, node: u32, list: &[usize], gone: &mut Vec<usize>, best: &mut Option<Driven>) {
        let so_far: u64 = gone.iter().map(|other| self.waited[*other]).sum();
        for (k, other) in list.iter().copied().enumerate() {
            let waited = so_far + self.waited[other];
            if self.must_end() || best.as_ref().is_some_and(|best| waited >= best.waited) {
                return;
            }
            let (at, devices) = (self.editor.state.at[other], self.editor.state.devices[other]);
            self.editor.relocate(other, NOWHERE, 0);
            gone.push(other);
            self.looks += 1;
            if !self.editor.is_missed(other, at) {
                match self.editor.judge(task, node) {
                    Some(target) => *best = Some(Driven { waited, tasks: gone.clone(), target }),
                    None if gone.len() < DRIVEN_MAX => self.drive(task, node, &list[k + 1..], gone, best),
                    None => {}
                }
            }
            gone.pop();
            self.editor.relocate(other, at, devices);
        }
    }

    /// Tasks go where another one is, or change places with it.
    fn stir(&mut self) {
        let pack = self.pack;
        let running: Vec<usize> =
            (0..pack.home.len()).filter(|task| pack.movable[*task] && self.editor.state.at[*task] != NOWHERE).collect();
        if running.len() < 2 {
            return;
        }
        for _ in 0..STIRRED {
            let [one, other] = [0; 2].map(|_| running[self.dice.below(running.len() as u32) as usize]);
            let place = |task: usize| (self.editor.state.at[task], self.editor.state.devices[task]);
            let (from, to) = (place(one), place(other));
            if from.0 == to.0 {
                continue;
            }
            self.looks += 1;
            self.editor.relocate(one, NOWHERE, 0);
            if self.goes(one, from.0, to.0) {
                continue;
            }
            self.editor.relocate(other, NOWHERE, 0);
            if self.goes(one, from.0, to.0) && self.goes(other, to.0, from.0) {
                continue;
            }
            for task in [one, other] {
                self.editor.relocate(task, NOWHERE, 0);
            }
            self.editor.relocate(one, from.0, from.1);
            self.editor.relocate(other, to.0, to.1);
        }
    }

    /// Puts a task that has left a node on another one, where that breaks nothing.
    fn goes(&mut self, task: usize, from: u32, to: u32) -> bool {
        let target = self.editor.judge(task, to);
        let Some(target) = target else { return false };
        self.editor.relocate(task, target.node, target.devices);
        if self.editor.is_missed(task, from) {
            self.editor.relocate(task, NOWHERE, 0);
            return false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::violations;

    fn problem(nodes: &[(&str, i64)], tasks: &[(&str, i64, &str, &str)], groups: &str) -> Problem {
        let nodes = nodes.iter().map(|(rack, cpu)| (rack, cpu)).enumerate().map(|(n, (rack, cpu))| {
            format!(r#"{{"name": "n{n}", "allocatable": {{"cpu": {cpu}}}, "domains": {{"rack": "{rack}"}}}}"#)
        });
        let tasks = tasks.iter().map(|(name, cpu, node, group)| {
            let node =
                if node.is_empty() { String::new() } else { format!(r#", "placement": [{{"node": "{node}"}}]"#) };
            let group = if group.is_empty() { String::new() } else { format!(r#", "group": "{group}""#) };
            format!(
                r#"{{"name": "{name}", "weight": 1000, "move_cost": 1, "requirement": {{"cpu": {cpu}}}{node}{group}}}"#
            )
        });
        let text = format!(
            r#"{{"format": "bayplan-snapshot/1", "resources": [{{"name": "cpu"}}], "levels": ["rack"], "nodes": [{}],
                "tasks": [{}], "groups": [{groups}], "objective": {{"task_move_weight": 1}}}}"#,
            nodes.collect::<Vec<_>>().join(","),
            tasks.collect::<Vec<_>>().join(",")
        );
        Problem::new(&crate::file::read_snapshot(text.as_bytes()).expect("a sound file")).expect("a sound snapshot")
    }

    fn seated(problem: &Problem, effort: u64) -> Option<Placement> {
        let options = Options { seed: 3, effort: Some(effort), threads: 1, device: None };
        let found = seat(problem, &problem.current, &options, &Control::unlimited())?;
        assert_eq!(violations(problem, &found), [], "no rule is broken");
        assert!(problem.task_ids().all(|task| found.spot(task).is_placed()), "everything runs");
        let again = seat(problem, &problem.current, &options, &Control::unlimited());
        assert!(again.is_some_and(|again| again.spots() == found.spots()), "the same again");
        Some(found)
    }

    const SPREAD: &str = r#"{"name": "g", "spread": [{"level": "rack", "min": 3}]}"#;

    /// The third rack has room for one of the group only after 4 and 3 have changed places.
    #[test]
    fn a_group_gets_its_third_domain_by_an_exchange() {
        let tasks = [
            ("a", 7, "n0", ""),
            ("b", 3, "n1", ""),
            ("c", 3, "n1", ""),
            ("d", 4, "n2", ""),
            ("e", 4, "n2", ""),
            ("g1", 3, "", "g"),
            ("g2", 3, "", "g"),
            ("g3", 3, "", "g"),
        ];
        let problem = problem(&[("x", 10), ("y", 10), ("z", 10)], &tasks, SPREAD);
        assert!(seated(&problem, 1000).is_some(), "there is a place for everything");
    }

    #[test]
    fn whoever_shuts_a_rack_for_its_group_makes_room() {
        let apart = r#"{"name": "g", "conflict": ["rack"]}"#;
        let tasks = [("small", 2, "n0", "g"), ("large", 8, "", "g"), ("x", 6, "n2", ""), ("y", 2, "n1", "")];
        // Only n1 holds the large one, and the small one in its rack has another place.
        let problem = problem(&[("x", 4), ("x", 10), ("z", 8)], &tasks, apart);
        assert!(seated(&problem, 1000).is_some());
    }

    #[test]
    fn what_cannot_be_is_not_found_and_effort_ends_it() {
        let tasks = [("a", 6, "n0", ""), ("b", 6, "n1", ""), ("c", 6, "", "")];
        let full = problem(&[("x", 10), ("y", 10)], &tasks, "");
        assert!(seated(&full, 1000).is_none());
        let easy = problem(&[("x", 10), ("y", 10), ("z", 10)], &tasks, "");
        assert!(seated(&easy, 1000).is_some() && seated(&easy, 0).is_none(), "without effort nothing is found");
    }
}
