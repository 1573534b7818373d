//! `bayplan score`: how good is the current or the planned state?

use super::args::{ScoreArgs, ScoreForm};
use super::failure::{Exit, Failure};
use super::figures::{DeviceFigures, Figures, JsonFigure, grouped, percent, ratio};
use super::io::Target;
use super::screen::{line, table};
use super::{read_plan_for, read_problem, signal};
use bayplan::model::{Goal, Problem};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Value of the `format` field of the JSON answer.
const SCORE_FORMAT: &str = "bayplan-score/1";

/// Runs the command.
pub fn run(args: &ScoreArgs) -> Result<Exit, Failure> {
    signal::quit_at_once();
    let mut problem = read_problem(&args.snapshot, args.jobs.place.as_ref())?;
    let (state, placement) = match &args.plan {
        None => ("current", problem.current.clone()),
        Some(source) => ("planned", read_plan_for(&mut problem, source)?.reached(&problem)),
    };
    let figures = Figures::of(&problem, &placement);
    let text = match args.output {
        ScoreForm::Table => tables(&problem, state, &figures),
        ScoreForm::Json => json(&problem, state, &figures),
    };
    Target::Stdout.write(text.as_bytes())?;
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct ScoreJson<'a> {
    format: &'static str,
    snapshot: &'a str,
    fingerprint: &'a str,
    state: &'static str,
    /// What the points are for, when that is not the snapshot's own objective.
    #[serde(skip_serializing_if = "Option::is_none")]
    goal: Option<&'static str>,
    /// Granted / required, mean over the resources that anything requires.
    utilization: Option<f64>,
    /// Σ weight · granted share: the r · p / c of the mission.
    weighted_utilization: JsonFigure,
    /// f(load, available) = available − load, by resource.
    headroom: BTreeMap<&'a str, JsonFigure>,
    resources: Vec<ResourceJson<'a>>,
    devices: &'a [DeviceFigures],
    objective: JsonFigure,
    value: JsonFigure,
    costs: Vec<CostJson>,
    /// Parts of the cost `load`: what runs in burst pools and in spot pools, where there are any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    load_of_pools: Vec<CostJson>,
    violations: Vec<ViolationJson>,
    tasks_placed: usize,
    tasks: usize,
    nodes_used: usize,
    nodes: usize,
}

#[derive(Serialize)]
struct ResourceJson<'a> {
    name: &'a str,
    unit: &'a str,
    granted: JsonFigure,
    required: JsonFigure,
    utilization: Option<f64>,
    /// Largest used / allocatable of a node, and its standard deviation over the nodes that have any.
    fullest_node: Option<f64>,
    deviation: Option<f64>,
    load: JsonFigure,
    available: JsonFigure,
    headroom: JsonFigure,
}

#[derive(Serialize)]
struct CostJson {
    term: &'static str,
    points: JsonFigure,
}

#[derive(Serialize)]
struct ViolationJson {
    rule: &'static str,
    text: String,
}

fn json(problem: &Problem, state: &'static str, figures: &Figures) -> String {
    let answer = ScoreJson {
        format: SCORE_FORMAT,
        snapshot: &problem.name,
        fingerprint: &problem.fingerprint,
        state,
        utilization: figures.utilization(),
        goal: problem.goal.map(Goal::word),
        weighted_utilization: JsonFigure(figures.score.value / i128::from(problem.value_scale)),
        headroom: figures.resources.iter().map(|r| (r.name.as_str(), JsonFigure(r.headroom))).collect(),
        resources: figures
            .resources
            .iter()
            .map(|r| ResourceJson {
                name: &r.name,
                unit: &r.unit,
                granted: JsonFigure(r.granted),
                required: JsonFigure(r.required),
                utilization: ratio(r.granted, r.required),
                fullest_node: r.evenness.map(|[most, _]| most),
                deviation: r.evenness.map(|[_, deviation]| deviation),
                load: JsonFigure(r.granted),
                available: JsonFigure(r.available),
                headroom: JsonFigure(r.headroom),
            })
            .collect(),
        devices: &figures.devices,
        objective: JsonFigure(figures.score.objective()),
        value: JsonFigure(figures.score.value),
        costs: figures.score.terms().map(|(term, points)| CostJson { term, points: JsonFigure(points) }).into(),
        load_of_pools: figures
            .pools
            .iter()
            .map(|(term, points)| CostJson { term, points: JsonFigure(*points) })
            .collect(),
        violations: figures
            .violations
            .iter()
            .map(|v| ViolationJson { rule: v.rule.name(), text: v.describe(problem) })
            .collect(),
        tasks_placed: figures.placed_count,
        tasks: problem.tasks.len(),
        nodes_used: figures.nodes_used_count,
        nodes: problem.nodes.len(),
    };
    let text = serde_json::to_string_pretty(&answer).expect("strings and numbers always have a JSON form");
    text + "\n"
}

fn tables(problem: &Problem, state: &str, figures: &Figures) -> String {
    let goal = problem.goal.map_or(String::new(), |goal| format!(", points of the goal {}", goal.word()));
    let mut text = format!("{}: {state} state{goal}\n\n", line(&problem.name));
    let rows: Vec<Vec<String>> = figures
        .resources
        .iter()
        .map(|r| {
            let name = if r.unit.is_empty() { r.name.clone() } else { format!("{} ({})", r.name, r.unit) };
            let utilization = percent(r.granted, r.required);
            let [granted, required, available, headroom] =
                [r.granted, r.required, r.available, r.headroom].map(grouped);
            vec![name, granted, required, utilization, available, headroom]
        })
        .collect();
    let header = ["resource", "used", "required", "utilization", "capacity", "headroom"];
    let _ = writeln!(text, "{}\n", table(&header, &rows, true));
    if !figures.devices.is_empty() {
        let row = |d: &DeviceFigures| {
            let share = percent(d.used_milli.into(), d.available_milli.into());
            vec![d.kind.clone(), d.used_milli.to_string(), d.available_milli.to_string(), share]
        };
        let rows: Vec<Vec<String>> = figures.devices.iter().map(row).collect();
        let _ = writeln!(text, "{}\n", table(&["devices", "used (milli)", "capacity (milli)", "share"], &rows, true));
    }
    let mut rows = vec![vec!["value (weight x share)".to_string(), grouped(figures.score.value)]];
    for (term, points) in figures.score.terms() {
        rows.push(vec![format!("cost: {term}"), grouped(points)]);
        let parts = figures.pools.iter().filter(|_| term == "load");
        rows.extend(parts.map(|(pool, points)| vec![format!("  of it {pool} pools"), grouped(*points)]));
    }
    rows.push(vec!["objective (value - costs)".into(), grouped(figures.score.objective())]);
    let _ = writeln!(text, "{}\n", table(&["term", "points"], &rows, true));
    let (placed, used) = (figures.placed_count, figures.nodes_used_count);
    let _ = writeln!(
        text,
        "{placed} of {} tasks placed, {used} of {} nodes in use",
        problem.tasks.len(),
        problem.nodes.len()
    );
    let _ = writeln!(text, "{} broken rules", figures.violations.len());
    for violation in &figures.violations {
        let _ = writeln!(text, "  {}", line(&violation.describe(problem)));
    }
    text
}
