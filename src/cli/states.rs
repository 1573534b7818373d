//! `bayplan verify --states`: how does the cluster look after each wave? The curve by which a plan can be stopped half-way.

use super::args_waves::Form;
use super::figures::{Figures, JsonFigure, grouped, percent};
use super::screen::table;
use bayplan::model::{Placement, Problem};
use bayplan::plan::Plan;
use serde_json::{Value, json};

/// Value of the `format` field of the JSON answer.
const STATES_FORMAT: &str = "bayplan-states/1";

/// The states of a plan that holds, the start first.
pub fn text(problem: &Problem, plan: &Plan, form: Form) -> String {
    let states: Vec<Placement> = std::iter::once(problem.current.clone()).chain(plan.states(problem)).collect();
    let figures = states.iter().map(|state| Figures::of(problem, state));
    let moves = |w: usize| w.checked_sub(1).map_or(0, |w| plan.waves[w].len());
    match form {
        Form::Table => {
            let mut header = vec!["after wave".to_string(), "moves".into(), "objective".into(), "broken rules".into()];
            header.extend(problem.own_resources().iter().map(|resource| format!("fullest {}", resource.name)));
            let rows: Vec<Vec<String>> = figures
                .enumerate()
                .map(|(w, figures)| {
                    let broken = figures.violations.len().to_string();
                    let objective = grouped(figures.score.objective());
                    let mut row = vec![w.to_string(), moves(w).to_string(), objective, broken];
                    row.extend(figures.resources.iter().map(|r| percent(r.hottest_per_mille, 1000)));
                    row
                })
                .collect();
            let header: Vec<&str> = header.iter().map(String::as_str).collect();
            table(&header, &rows, true) + "\n"
        }
        Form::Json => {
            let state = |(w, figures): (usize, Figures)| {
                let node = |piece: &bayplan::model::Piece| json!(problem.nodes[piece.node.index()].name);
                let place = |task| -> Vec<Value> { states[w].spot(task).pieces().iter().map(node).collect() };
                let name = |task: bayplan::model::TaskId| problem.tasks[task.index()].name.clone();
                let placement: serde_json::Map<String, Value> =
                    problem.task_ids().map(|task| (name(task), json!(place(task)))).collect();
                json!({
                    "wave": w, "moves": moves(w), "objective": JsonFigure(figures.score.objective()),
                    "violations": figures.violations.iter().map(|v| v.describe(problem)).collect::<Vec<_>>(),
                    "tasks_placed": figures.placed_count, "nodes_used": figures.nodes_used_count,
                    "placement": placement,
                })
            };
            let states: Vec<Value> = figures.enumerate().map(state).collect();
            format!("{:#}\n", json!({"format": STATES_FORMAT, "fingerprint": problem.fingerprint, "states": states}))
        }
    }
}
