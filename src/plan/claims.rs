//! Are the figures and lists of a plan right? The part of verification that does not depend on the waves.

use super::certify::certify;
use super::excuse::{Excuses, LEFT_ALONE, hidden};
use super::recount::points;
use super::verify::Replay;
use super::{EXACT, Plan, Status};
use crate::model::{Rule, Score, TaskId, Violation, scaled_text};
use std::collections::BTreeSet;

impl Replay<'_> {
    /// Objective at the start and at the end; what the plan says about it, its bound and its status.
    pub(super) fn figures(&mut self, plan: &Plan) -> Option<(i128, i128)> {
        let start = points(self.problem, self.problem.current.spots());
        let end = points(self.problem, &self.spots);
        let total = |score: Score| {
            let terms = score.terms().into_iter().map(|(_, points)| points);
            terms.into_iter().try_fold(score.value, |sum, points| sum.checked_sub(points))
        };
        let (Some(start), Some(end)) = (start.and_then(total), end.and_then(total)) else {
            self.add("arithmetic", None, "the objective".to_string());
            return None;
        };
        for (what, claimed, found) in [("start", plan.objective.0, start), ("end", plan.objective.1, end)] {
            if claimed != found {
                let text = format!("{} claimed at the {what}, {} found", scaled_text(claimed), scaled_text(found));
                self.add("objective", None, text);
            }
        }
        if let Some(bound) = plan.bound.filter(|bound| *bound < end) {
            self.add("bound", None, format!("{} is below the {} reached", scaled_text(bound), scaled_text(end)));
        }
        if let Some(gap) = plan.gap.filter(|gap| plan.bound.and_then(|bound| bound.checked_sub(end)) != Some(*gap)) {
            self.add("gap", None, format!("{} is not the bound less the objective", scaled_text(gap)));
        }
        for text in hidden(plan.status, plan.gap, &plan.unexplored, plan.blocked.len()) {
            self.add("unexplored", None, text);
        }
        if plan.status == Status::Optimal && plan.bound != Some(end) {
            let bound = plan.bound.map_or("none".to_string(), scaled_text);
            self.add("status", None, format!("optimal needs bound = objective, bound is {bound}"));
        }
        Some((start, end))
    }

    /// What is said to keep a plan from keeping all rules: those broken at the end, and tasks left where all were to leave.
    pub(super) fn blockers(&mut self, plan: &Plan, remaining: &[Violation]) {
        let mut broken: BTreeSet<&str> = remaining.iter().map(|violation| violation.rule.name()).collect();
        if self.spots.iter().any(|spot| self.is_drained(spot)) {
            broken.insert(Rule::Drain.name());
        }
        if (plan.status == Status::Infeasible) == plan.blockers.is_empty() {
            self.add("status", None, "infeasible and the rules that cannot be kept go together".to_string());
        }
        let said: BTreeSet<&str> = plan.blockers.iter().map(String::as_str).collect();
        if !said.is_empty() && said != broken {
            let list = |rules: &BTreeSet<&str>| match rules.is_empty() {
                true => "none".to_string(),
                false => rules.iter().copied().collect::<Vec<_>>().join(", "),
            };
            let text = format!("{} said to be broken at the end, {} found", list(&said), list(&broken));
            self.add("status", None, text);
        }
        let node_count = self.problem.nodes.len();
        for node in plan.drain.iter().filter(|node| node.index() >= node_count) {
            self.add("unknown", None, format!("node number {} of {node_count} is to be emptied", node.0));
        }
    }

    /// Does every unplaced task have the reason that it has?
    fn reasons(&mut self, plan: &Plan) {
        let node_count = self.problem.nodes.len();
        if plan.drain.iter().any(|node| node.index() >= node_count) {
            return;
        }
        let problem = plan.drained(self.problem);
        let spots = self.spots.clone();
        let blocked = plan.blocked.iter().map(|blocked| blocked.task).collect();
        let excuses = Excuses::new(&problem, &spots, blocked);
        // Which tasks the command line pinned, the plan does not say.
        let is_due = |(task, said): &&(TaskId, String)| {
            said != LEFT_ALONE && self.spots.get(task.index()).is_some_and(|spot| !spot.is_placed())
        };
        let due: Vec<&(TaskId, String)> = plan.unplaced.iter().filter(is_due).collect();
        let tasks: Vec<TaskId> = due.iter().map(|(task, _)| *task).collect();
        for ((task, said), found) in due.into_iter().zip(excuses.of(&tasks)) {
            if *said != found {
                let text = format!("task {}: {said:?} claimed, {found:?} found", self.name(*task));
                self.add("unplaced", None, text);
            }
        }
    }

    /// The bound that the plan's prices prove; what the plan says about it.
    pub(super) fn proof(&mut self, plan: &Plan, start: &[Violation]) -> Option<i128> {
        let proven = match &plan.proof {
            None => None,
            Some(proof) => match certify(self.problem, start, proof) {
                Ok(bound) => Some(bound),
                Err(reason) => {
                    self.add("proof", None, reason);
                    None
                }
            },
        };
        if let (Some(proof), Some(proven)) = (&plan.proof, proven)
            && proof.bound < proven
        {
            let text = format!("{} claimed, the prices prove {}", scaled_text(proof.bound), scaled_text(proven));
            self.add("proof", None, text);
        }
        // A search tree leaves nothing to check: a better bound than the prices' is the exact solver's word, and told as such.
        if let Some(bound) = plan.bound.filter(|_| plan.solver != EXACT)
            && proven.is_none_or(|proven| bound < proven)
        {
            self.add("bound", None, format!("nothing proves {}", scaled_text(bound)));
        }
        proven
    }

    /// Unplaced and blocked tasks.
    pub(super) fn lists(&mut self, plan: &Plan) {
        let mut listed = BTreeSet::new();
        for (task, _) in &plan.unplaced {
            match self.spots.get(task.index()) {
                None => self.add("unplaced", None, format!("task number {} does not exist", task.0)),
                Some(spot) if spot.is_placed() => {
                    let text = format!("task {} is listed and runs {}", self.name(*task), self.spot(spot));
                    self.add("unplaced", None, text);
                }
                Some(_) if !listed.insert(*task) => {
                    self.add("unplaced", None, format!("task {} is listed twice", self.name(*task)));
                }
                Some(_) => {}
            }
        }
        for task in self.problem.task_ids() {
            if !self.spots[task.index()].is_placed() && !listed.contains(&task) {
                self.add("unplaced", None, format!("task {} runs nowhere and is not listed", self.name(task)));
            }
        }
        self.reasons(plan);
        for blocked in &plan.blocked {
            let task = blocked.task;
            if task.index() >= self.spots.len() {
                self.add("blocked", None, format!("task number {} does not exist", task.0));
            } else if self.seen.contains(&task) {
                self.add("blocked", None, format!("task {} is listed and moves", self.name(task)));
            } else if self.spots[task.index()] == blocked.to {
                self.add("blocked", None, format!("task {} is listed and is where it would go", self.name(task)));
            } else if blocked.by.is_some_and(|by| by == task || by.index() >= self.spots.len()) {
                self.add("blocked", None, format!("task {} is in no other task's way", self.name(task)));
            } else if let (Some(by), Some(node)) = (blocked.by, blocked.node)
                && !self.spots[by.index()].is_on(node)
            {
                let text = format!("task {} is in the way of {} and not there", self.name(by), self.name(task));
                self.add("blocked", None, text);
            }
        }
    }
}
