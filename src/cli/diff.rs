//! `bayplan diff`: what does a plan change, per node and per group? Nothing is decided here, and the plan must hold.
//!
//! Compared are the state of the snapshot and the one after the last wave: where a task is parked on its way is no change.

use super::args_waves::{DiffArgs, Form};
use super::failure::{Exit, Failure};
use super::figures::{JsonFigure, grouped};
use super::io::Target;
use super::screen::{Tone, line, printable, say_verdict, table};
use super::{read_planned, report, signal};
use bayplan::model::{NodeId, Placement, Problem, ResourceId, Spot, TaskId, Usage};
use bayplan::plan;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Value of the `format` field of the JSON answer.
const DIFF_FORMAT: &str = "bayplan-diff/1";

/// What changes on a node or in a group: tasks that come, go, and stay with a change.
#[derive(Default)]
struct Changes {
    come: BTreeSet<String>,
    go: BTreeSet<String>,
    stay: BTreeSet<String>,
}

/// Runs the command.
pub fn run(args: &DiffArgs) -> Result<Exit, Failure> {
    signal::quit_at_once();
    let (_, problem, plan) = read_planned(&args.snapshot, &args.jobs, &args.plan)?;
    let verdict = plan::verify(&problem, &plan);
    if !verdict.is_right() {
        say_verdict(&report::verdict(&problem, &plan, &verdict), Tone::Bad);
        return Ok(Exit::Rejected);
    }
    let text = match args.output {
        Form::Table => tables(&problem, &verdict.reached) + &report::size_text(&plan) + "\n",
        Form::Json => json(&problem, &verdict.reached),
    };
    Target::Stdout.write(printable(&text).as_bytes())?;
    Ok(Exit::Done)
}

/// By node; nodes without a change are left out.
fn by_node(problem: &Problem, after: &Placement) -> BTreeMap<NodeId, Changes> {
    let mut nodes: BTreeMap<NodeId, Changes> = BTreeMap::new();
    for task in problem.task_ids() {
        let (old, new) = (problem.current.spot(task), after.spot(task));
        let name = || problem.tasks[task.index()].name.clone();
        for piece in old.pieces().iter().filter(|piece| !new.is_on(piece.node)) {
            nodes.entry(piece.node).or_default().go.insert(name());
        }
        for piece in new.pieces() {
            match old.pieces().iter().find(|was| was.node == piece.node) {
                None => _ = nodes.entry(piece.node).or_default().come.insert(name()),
                Some(was) if was != piece => _ = nodes.entry(piece.node).or_default().stay.insert(name()),
                Some(_) => {}
            }
        }
    }
    nodes
}

/// By group: members that start or move, stop, or stay with a change.
fn by_group(problem: &Problem, after: &Placement) -> BTreeMap<String, Changes> {
    let mut groups: BTreeMap<String, Changes> = BTreeMap::new();
    for task in problem.task_ids() {
        let (old, new) = (problem.current.spot(task), after.spot(task));
        let spec = &problem.tasks[task.index()];
        let Some(group) = spec.group.filter(|_| old != new) else { continue };
        let changes = groups.entry(problem.groups[group.index()].name.clone()).or_default();
        let list = match (old.is_placed(), new.is_placed()) {
            (false, _) => &mut changes.come,
            (_, false) => &mut changes.go,
            _ => &mut changes.stay,
        };
        list.insert(spec.name.clone());
    }
    groups
}

fn tables(problem: &Problem, after: &Placement) -> String {
    let (before_usage, after_usage) = (Usage::of(problem, &problem.current), Usage::of(problem, after));
    let ids: BTreeMap<&str, TaskId> =
        problem.task_ids().map(|task| (problem.tasks[task.index()].name.as_str(), task)).collect();
    // Where a task comes from or goes to; that it starts or stops, where that is nowhere.
    let other_end = |task: &str, placement: &Placement, way: &str, nowhere: &str| match placement.spot(ids[task]) {
        Spot::Unplaced => nowhere.to_string(),
        spot => format!("{way} {}", report::spot_text(problem, spot)),
    };
    let change = |task: &str| {
        let [was, is] = [&problem.current, after].map(|state| report::spot_text(problem, state.spot(ids[task])));
        format!("{was} -> {is}")
    };
    let mut text = String::new();
    for (node, changes) in by_node(problem, after) {
        let pieces = [&before_usage, &after_usage].map(|usage| usage.pieces(node));
        let note = match pieces.map(|count| count > 0) {
            [true, false] => ": empty afterwards",
            [false, true] => ": empty before",
            _ => "",
        };
        let _ = writeln!(text, "node {}{note}", line(&problem.nodes[node.index()].name));
        for task in &changes.go {
            let _ = writeln!(text, "  - {} ({})", line(task), other_end(task, after, "to", "stops"));
        }
        for task in &changes.come {
            let _ = writeln!(text, "  + {} ({})", line(task), other_end(task, &problem.current, "from", "starts"));
        }
        for task in &changes.stay {
            let _ = writeln!(text, "  ~ {} ({})", line(task), change(task));
        }
        for (r, resource) in problem.own_resources().iter().enumerate() {
            let amounts = [&before_usage, &after_usage].map(|usage| usage.amount(node, ResourceId::new(r)));
            if amounts[0] != amounts[1] {
                let [before, after] = amounts.map(grouped);
                let _ = writeln!(
                    text,
                    "    {}: {before} -> {after} of {}",
                    line(&resource.name),
                    problem.allocatable(node)[r]
                );
            }
        }
    }
    let groups = by_group(problem, after);
    if !groups.is_empty() {
        let count = |list: &BTreeSet<String>| list.len().to_string();
        let row = |(name, c): (&String, &Changes)| vec![name.clone(), count(&c.come), count(&c.stay), count(&c.go)];
        let rows: Vec<Vec<String>> = groups.iter().map(row).collect();
        let _ = writeln!(text, "\n{}", table(&["group", "start", "move", "stop"], &rows, true));
    }
    if text.is_empty() { "no changes\n".into() } else { text + "\n" }
}

fn json(problem: &Problem, after: &Placement) -> String {
    let (before_usage, after_usage) = (Usage::of(problem, &problem.current), Usage::of(problem, after));
    let nodes: Vec<Value> = by_node(problem, after)
        .into_iter()
        .map(|(node, changes)| {
            let used = |usage: &Usage| -> BTreeMap<&str, JsonFigure> {
                let amount = |r: usize| JsonFigure(usage.amount(node, ResourceId::new(r)));
                let own = problem.own_resources().iter().enumerate();
                own.map(|(r, resource)| (resource.name.as_str(), amount(r))).collect()
            };
            json!({
                "node": problem.nodes[node.index()].name, "leave": changes.go, "arrive": changes.come,
                "change": changes.stay, "used": {"before": used(&before_usage), "after": used(&after_usage)},
            })
        })
        .collect();
    let groups: Vec<Value> = by_group(problem, after)
        .into_iter()
        .map(|(name, changes)| json!({"group": name, "start": changes.come, "move": changes.stay, "stop": changes.go}))
        .collect();
    let answer = json!({
        "format": DIFF_FORMAT, "snapshot": problem.name, "fingerprint": problem.fingerprint, "nodes": nodes,
        "groups": groups,
    });
    format!("{answer:#}\n")
}
