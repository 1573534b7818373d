//! What does a plan file tell of shares? How much of every resource each task that is not rigid is granted once the plan is done.
//!
//! A move says the share that it leads to; who stays as it is has no move. So the whole list follows: the granted fraction p/c, and
//! p itself by resource. It follows from the snapshot and the moves, and is checked on reading.

use super::json::{Path, Reader, Value};
use super::plan::{Names, points, points_json};
use crate::model::{Problem, Sharing, TaskId};
use crate::plan::Plan;
use serde_json::json;
use std::collections::BTreeMap;

/// A task, its granted parts and its scaled amounts by resource.
pub(super) type Grant = (TaskId, i128, BTreeMap<String, i128>);

/// All that run at the end of a plan and are not rigid, in the order of the snapshot.
pub(super) fn granted(problem: &Problem, plan: &Plan) -> Vec<Grant> {
    if problem.tasks.iter().all(|task| task.sharing == Sharing::Rigid) {
        return Vec::new();
    }
    let reached = plan.reached(problem);
    let runs = |task: &TaskId| problem.tasks[task.index()].sharing != Sharing::Rigid && reached.spot(*task).is_placed();
    let grant = |task: TaskId| {
        let parts = reached.spot(task).pieces().iter().map(|piece| i128::from(piece.share.parts())).sum::<i128>();
        let needs = problem.own_resources().iter().zip(problem.requirement(task)).filter(|(_, amount)| **amount > 0);
        (task, parts, needs.map(|(resource, amount)| (resource.name.clone(), i128::from(*amount) * parts)).collect())
    };
    problem.task_ids().filter(runs).map(grant).collect()
}

/// One record per task.
pub(super) fn records(problem: &Problem, plan: &Plan) -> Vec<serde_json::Value> {
    let record = |(task, parts, amounts): Grant| {
        let amounts: serde_json::Map<_, _> =
            amounts.into_iter().map(|(name, amount)| (name, points_json(amount))).collect();
        json!({"task": problem.tasks[task.index()].name, "share": points_json(parts), "amounts": amounts})
    };
    granted(problem, plan).into_iter().map(record).collect()
}

/// Reports when a file says something else.
pub(super) fn check(reader: &Reader, problem: &Problem, plan: &Plan, given: &[Grant]) {
    let told = granted(problem, plan);
    let wrong = told.iter().zip(given).position(|(told, given)| told != given);
    let wrong = wrong.or((told.len() != given.len()).then_some(told.len().min(given.len())));
    if let Some(i) = wrong {
        let list = Path::Field(&Path::Root, "granted");
        let cause = match told.get(i) {
            Some((task, ..)) => format!("it is not what task {:?} is granted", problem.tasks[task.index()].name),
            None => "no further task is granted a share".to_string(),
        };
        let remedy = "use the file as it was written; it may have been cut or edited";
        reader.fault("F203", Path::Item(&list, i), cause, remedy);
    }
}

impl Names<'_> {
    /// Reads one record.
    pub(super) fn grant(&self, reader: &Reader, path: Path<'_>, value: Value) -> Option<Grant> {
        let mut fields = reader.fields(path, value)?;
        let task = fields.required("task", |r, p, v| self.task(r, p, v));
        let share = fields.required("share", points);
        let amounts = fields.required("amounts", |r, p, v| Some(r.map(p, v, |p, v| points(r, p, v))));
        fields.finish();
        Some((task?, share?, amounts?))
    }
}
