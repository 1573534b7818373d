//! `bayplan explain`: why does a task not run here or there, and what would it take?

use super::args::{ExplainArgs, ScoreForm};
use super::failure::{Exit, Failure};
use super::io::Target;
use super::screen::{line, table};
use super::{faulty, read_plan_for, read_problem, signal};
use bayplan::model::{Faults, NodeId, Placement, Problem, TaskId};
use bayplan::plan::{Answer, Explanation, explain};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Value of the `format` field of the JSON answer.
const EXPLAIN_FORMAT: &str = "bayplan-explain/1";
/// Most tasks named in one line.
const NAMED_MAX: usize = 8;

/// Runs the command.
pub fn run(args: &ExplainArgs) -> Result<Exit, Failure> {
    signal::quit_at_once();
    let mut problem = read_problem(&args.snapshot, args.jobs.place.as_ref())?;
    let placement = match &args.plan {
        None => problem.current.clone(),
        Some(source) => read_plan_for(&mut problem, source)?.reached(&problem),
    };
    let task = problem.task_ids().find(|task| problem.tasks[task.index()].name == args.task).ok_or_else(|| {
        let mut faults = Faults::new();
        let names = problem.tasks.iter().map(|task| task.name.as_str());
        let near = names.map(|name| (strsim::jaro_winkler(name, &args.task), name)).max_by(|a, b| a.0.total_cmp(&b.0));
        let remedy = match near {
            Some((likeness, name)) if likeness > 0.8 => format!("did you mean {name:?}?"),
            _ => "write the name as the snapshot does".to_string(),
        };
        faults.add("P103", "TASK", format!("there is no task {:?}", args.task), remedy);
        faulty(&args.snapshot, faults)
    })?;
    let found = explain(&problem, &placement, task);
    let text = match args.output {
        ScoreForm::Table => tables(&problem, &placement, task, &found),
        ScoreForm::Json => json(&problem, &placement, task, &found),
    };
    Target::Stdout.write(text.as_bytes())?;
    Ok(Exit::Done)
}

/// Nodes with the same obstacle.
struct Kind<'a> {
    name: String,
    count: usize,
    /// The one that is nearest to taking the task.
    nearest: &'a Answer,
}

/// The obstacles, most frequent first.
fn kinds<'a>(problem: &Problem, found: &'a Explanation) -> Vec<Kind<'a>> {
    let mut kinds: BTreeMap<String, Kind<'a>> = BTreeMap::new();
    for answer in &found.answers {
        let Some(obstacle) = &answer.obstacle else { continue };
        let name = obstacle.name(problem);
        let kind = kinds.entry(name.clone()).or_insert(Kind { name, count: 0, nearest: answer });
        kind.count += 1;
        let distance = |answer: &Answer| answer.obstacle.as_ref().map_or(0, |o| o.distance());
        if distance(answer) < distance(kind.nearest) {
            kind.nearest = answer;
        }
    }
    let mut kinds: Vec<Kind<'a>> = kinds.into_values().collect();
    kinds.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    kinds
}

fn place(problem: &Problem, placement: &Placement, task: TaskId) -> String {
    let names: Vec<&str> = placement.spot(task).pieces().iter().map(|p| node_name(problem, p.node)).collect();
    if names.is_empty() { "waits".to_string() } else { format!("runs on {}", names.join(", ")) }
}

fn node_name(problem: &Problem, node: NodeId) -> &str {
    &problem.nodes[node.index()].name
}

fn tables(problem: &Problem, placement: &Placement, task: TaskId, found: &Explanation) -> String {
    let mut text = String::new();
    let name = line(&problem.tasks[task.index()].name);
    let fits = found.answers.iter().filter(|answer| answer.obstacle.is_none()).count();
    let state = line(&place(problem, placement, task));
    let _ = writeln!(text, "{name} {state}; it fits {fits} of {} nodes as things stand\n", found.answers.len());
    let kinds = kinds(problem, found);
    if !kinds.is_empty() {
        let row = |kind: &Kind<'_>| {
            let Answer { node, obstacle, .. } = kind.nearest;
            let why = obstacle.as_ref().map_or(String::new(), |o| o.describe(problem, task, *node));
            vec![kind.name.clone(), kind.count.to_string(), format!("{}: {why}", node_name(problem, *node))]
        };
        let rows: Vec<Vec<String>> = kinds.iter().map(row).collect();
        let _ = writeln!(text, "{}\n", table(&["first rule in the way", "nodes", "nearest of them"], &rows, false));
    }
    let _ = writeln!(text, "{}", line(&what_it_takes(problem, found, fits)));
    text
}

/// A way to make room for a task that `fits` so many nodes, in one sentence.
pub fn what_it_takes(problem: &Problem, found: &Explanation, fits: usize) -> String {
    if fits > 0 {
        let first = found.answers.iter().find(|answer| answer.obstacle.is_none());
        return first
            .map_or(String::new(), |a| format!("nothing has to be moved: it fits {}", node_name(problem, a.node)));
    }
    let Some(room) = &found.room else {
        return "moving tasks away from one node does not make room for it".to_string();
    };
    let named = room.leave.iter().take(NAMED_MAX).map(|(task, to)| {
        let to = to.map_or("no other node has room now".to_string(), |to| format!("fits {}", node_name(problem, to)));
        format!("{} ({to})", problem.tasks[task.index()].name)
    });
    let mut list = named.collect::<Vec<_>>().join(", ");
    if room.leave.len() > NAMED_MAX {
        let _ = write!(list, " and {} more", room.leave.len() - NAMED_MAX);
    }
    let count = room.leave.len();
    format!(
        "moving {count} task{} away from {} would make room: {list}",
        if count == 1 { "" } else { "s" },
        node_name(problem, room.node)
    )
}

#[derive(Serialize)]
struct ExplainJson<'a> {
    format: &'static str,
    task: &'a str,
    /// Where it is; empty = it waits.
    runs_on: Vec<&'a str>,
    fits: usize,
    /// Nodes by the first rule in the way.
    reasons: BTreeMap<String, usize>,
    /// The cheapest way found; absent where it fits, or where moving others away from one node does not help.
    #[serde(skip_serializing_if = "Option::is_none")]
    make_room: Option<RoomJson<'a>>,
    nodes: Vec<NodeJson<'a>>,
}

#[derive(Serialize)]
struct RoomJson<'a> {
    node: &'a str,
    leave: Vec<LeaveJson<'a>>,
}

#[derive(Serialize)]
struct LeaveJson<'a> {
    task: &'a str,
    /// A node that has room for it then; absent = none without moving others.
    #[serde(skip_serializing_if = "Option::is_none")]
    fits: Option<&'a str>,
}

#[derive(Serialize)]
struct NodeJson<'a> {
    node: &'a str,
    /// Absent = it fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// No other task's leaving would change it.
    permanent: bool,
    /// Tasks that would have to leave; absent where that is not enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    leave: Option<Vec<&'a str>>,
}

fn json(problem: &Problem, placement: &Placement, task: TaskId, found: &Explanation) -> String {
    let task_name = |task: TaskId| problem.tasks[task.index()].name.as_str();
    let node = |answer: &Answer| NodeJson {
        node: node_name(problem, answer.node),
        rule: answer.obstacle.as_ref().map(|o| o.name(problem)),
        text: answer.obstacle.as_ref().map(|o| o.describe(problem, task, answer.node)),
        permanent: answer.obstacle.as_ref().is_some_and(|o| o.is_permanent()),
        leave: answer.leave.as_ref().map(|leave| leave.iter().map(|t| task_name(*t)).collect()),
    };
    let room = found.room.as_ref().map(|room| RoomJson {
        node: node_name(problem, room.node),
        leave: (room.leave.iter())
            .map(|(task, to)| LeaveJson { task: task_name(*task), fits: to.map(|to| node_name(problem, to)) })
            .collect(),
    });
    let answer = ExplainJson {
        format: EXPLAIN_FORMAT,
        task: task_name(task),
        runs_on: placement.spot(task).pieces().iter().map(|piece| node_name(problem, piece.node)).collect(),
        fits: found.answers.iter().filter(|answer| answer.obstacle.is_none()).count(),
        reasons: kinds(problem, found).into_iter().map(|kind| (kind.name, kind.count)).collect(),
        make_room: room,
        nodes: found.answers.iter().map(node).collect(),
    };
    serde_json::to_string_pretty(&answer).expect("strings and numbers always have a JSON form") + "\n"
}
