//! How does a plan go through a pipe? One JSON record per line: a version first, a summary last, so that nothing cut passes.
//!
//! | type | fields |
//! |---|---|
//! | version | `format`, and the head of the plan: snapshot, solver, seed, effort, backend, status, unexplored, objective, bound |
//! | wave | number, moves, objective before and after: the gain curve |
//! | move | as in the plan file |
//! | granted | as in the plan file: a task that is not rigid, its share, and its amounts by resource |
//! | unplaced, blocked | as in the plan file: the task, and what keeps it |
//! | summary | what the plan file's summary counts |
//!
//! The same plan always gives the same bytes.

use super::granted;
use super::plan::{blocked_fields, head, line, points_json, summary_json};
use super::reserve;
use super::told::told;
use crate::model::Problem;
use crate::plan::Plan;
use serde_json::{Value, json};

/// Value of the `format` field of the first record.
pub const STREAM_FORMAT: &str = "bayplan-plan-stream/1";

/// The stream of a plan for this problem.
pub fn write_stream(problem: &Problem, plan: &Plan) -> Vec<u8> {
    let mut records: Vec<Value> = Vec::new();
    let mut version = json!({"type": "version", "format": STREAM_FORMAT});
    head(problem, plan).into_iter().for_each(|(name, value)| version[name] = value);
    records.push(version);
    let mut now = plan.objective.0;
    for (w, (wave, told)) in plan.waves.iter().zip(told(problem, plan)).enumerate() {
        let before = now;
        now = wave.iter().fold(now, |sum, step| sum.saturating_add(step.gain));
        let objective = json!({"before": points_json(before), "after": points_json(now)});
        records.push(json!({"type": "wave", "wave": w + 1, "moves": wave.len(), "objective": objective}));
        for (step, told) in wave.iter().zip(told) {
            let mut record = json!({"type": "move"});
            line(problem, step, &told).into_iter().for_each(|(name, value)| record[name] = value);
            records.push(record);
        }
    }
    for mut record in granted::records(problem, plan) {
        record["type"] = json!("granted");
        records.push(record);
    }
    let name = |task: crate::model::TaskId| &problem.tasks[task.index()].name;
    let unplaced = plan.unplaced.iter();
    records.extend(unplaced.map(|(task, why)| json!({"type": "unplaced", "task": name(*task), "reason": why})));
    for blocked in &plan.blocked {
        let mut record = json!({"type": "blocked"});
        blocked_fields(problem, blocked).into_iter().for_each(|(name, value)| record[name] = value);
        records.push(record);
    }
    if let Some(reserve) = &plan.reserve {
        let level = &problem.levels[reserve.level.index()].name;
        for mut record in reserve::records(problem, reserve) {
            (record["type"], record["level"]) = (json!("refuge"), json!(level));
            records.push(record);
        }
    }
    let mut summary = json!({"type": "summary"});
    summary_json(plan).into_iter().for_each(|(name, value)| summary[name] = value);
    records.push(summary);
    let lines: Vec<String> = records.iter().map(|record| format!("{record}\n")).collect();
    lines.concat().into_bytes()
}
