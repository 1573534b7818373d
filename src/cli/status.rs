//! `bayplan status`: how does the cluster stand? Use per pool, domain, group and tenant, what is tight, what is of no use.

use super::args_status::{StatusArgs, StatusForm};
use super::failure::{Exit, Failure};
use super::figures::{JsonFigure, grouped, percent, ratio};
use super::io::Target;
use super::screen::{line, table};
use super::{prometheus, read_plan_for, read_problem, signal};
use bayplan::model::{Counted, Goal, Problem};
use bayplan::status::{Hot, NodeSet, Overview, Quantity, TaskSet, millionths};
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// Value of the `format` field of the JSON answer.
const STATUS_FORMAT: &str = "bayplan-status/1";
/// Rows of a table: a screen; the JSON answer has all.
const ROWS_MAX: usize = 10;
/// Quantities that have a column where sets are compared, so that a row fits a terminal.
const COLUMNS_MAX: usize = 5;

/// Runs the command.
pub fn run(args: &StatusArgs) -> Result<Exit, Failure> {
    signal::quit_at_once();
    let mut problem = read_problem(&args.snapshot, args.jobs.place.as_ref())?;
    let (state, placement) = match &args.plan {
        None => ("current", problem.current.clone()),
        Some(source) => ("planned", read_plan_for(&mut problem, source)?.reached(&problem)),
    };
    let overview = Overview::of(&problem, &placement);
    let text = match args.output {
        StatusForm::Table => tables(&problem, state, &overview),
        StatusForm::Json => json(&problem, state, &overview),
        StatusForm::Prometheus => prometheus::text(&problem, state, &overview),
    };
    Target::Stdout.write(text.as_bytes())?;
    Ok(Exit::Done)
}

// ------------------------------------------------------------------------------------------------------------ for people

fn tables(problem: &Problem, state: &str, overview: &Overview) -> String {
    let goal = problem.goal.map_or(String::new(), |goal| format!(", points of the goal {}", goal.word()));
    let mut text = format!("{}: {state} state{goal}\n\n", line(&problem.name));
    let _ = writeln!(text, "{}\n", cluster(overview));
    for (title, sets) in node_sections(problem, overview) {
        section(
            &mut text,
            &node_header(title, overview),
            sets,
            |set| fullest(&set.used, &set.allocatable),
            |set| {
                let nodes = format!("{}/{}", set.node_used_count, set.node_count);
                let tasks = set.task_count.to_string();
                named(&set.name, [nodes, tasks], &set.used, &set.allocatable)
            },
        );
    }
    let all = &overview.cluster.allocatable;
    for (title, sets) in [("group", &overview.groups), ("tenant", &overview.tenants)] {
        section(
            &mut text,
            &task_header(title, overview),
            sets,
            |set| fullest(&set.granted, all),
            |set| {
                let tasks = format!("{}/{}", set.placed_count, set.task_count);
                named(&set.name, [tasks, percent(set.value, set.value_max)], &set.granted, all)
            },
        );
    }
    let header = ["hot node", "resource", "used", "capacity", "share", "soft limit"].map(String::from);
    section(
        &mut text,
        &header,
        &overview.hot,
        |hot| millionths(hot.used, hot.allocatable),
        |hot| {
            let (node, quantity) = names(problem, overview, hot);
            let share = percent(hot.used, hot.allocatable);
            vec![node, quantity, grouped(hot.used), grouped(hot.allocatable), share, grouped(hot.soft_limit)]
        },
    );
    text + &foot(problem, overview)
}

fn names(problem: &Problem, overview: &Overview, hot: &Hot) -> (String, String) {
    (problem.nodes[hot.node.index()].name.clone(), overview.quantities[hot.quantity].name.clone())
}

fn node_sections<'a>(problem: &'a Problem, overview: &'a Overview) -> Vec<(&'a str, &'a Vec<NodeSet>)> {
    let levels = overview.levels.iter().map(|(level, sets)| (problem.levels[level.index()].name.as_str(), sets));
    std::iter::once(("pool", &overview.pools)).chain(levels).collect()
}

fn cluster(overview: &Overview) -> String {
    let header = ["resource", "used", "required", "granted", "capacity", "share", "headroom", "stranded", "closed"];
    let rows = overview.quantities.iter().enumerate().map(|(q, quantity)| {
        let name = match quantity.unit.as_str() {
            "" => title(quantity),
            unit => format!("{} ({unit})", title(quantity)),
        };
        let (work, cluster) = (&overview.work, &overview.cluster);
        let (used, all) = (cluster.used[q], cluster.allocatable[q]);
        let granted = percent(work.granted[q], work.required[q]);
        let [required, headroom, stranded, closed] =
            [work.required[q], all - used, cluster.stranded[q], cluster.closed[q]].map(grouped);
        vec![name, grouped(used), required, granted, grouped(all), percent(used, all), headroom, stranded, closed]
    });
    table(&header, &rows.collect::<Vec<_>>(), true)
}

fn columns(overview: &Overview) -> impl Iterator<Item = String> + '_ {
    overview.quantities.iter().map(title).take(COLUMNS_MAX)
}

fn title(quantity: &Quantity) -> String {
    quantity.counted.title(&quantity.name)
}

fn node_header(title: &str, overview: &Overview) -> Vec<String> {
    [title, "nodes used", "tasks"].map(String::from).into_iter().chain(columns(overview)).collect()
}

fn task_header(title: &str, overview: &Overview) -> Vec<String> {
    [title, "tasks placed", "value granted"].map(String::from).into_iter().chain(columns(overview)).collect()
}

fn named(name: &Option<String>, figures: [String; 2], part: &[i128], whole: &[i128]) -> Vec<String> {
    let shares = part.iter().zip(whole).map(|(part, whole)| percent(*part, *whole)).take(COLUMNS_MAX);
    std::iter::once(name.clone().unwrap_or_else(|| "-".to_string())).chain(figures).chain(shares).collect()
}

fn fullest(part: &[i128], whole: &[i128]) -> i128 {
    part.iter().zip(whole).map(|(part, whole)| millionths(*part, *whole)).max().unwrap_or(0)
}

/// A table of at most [`ROWS_MAX`] rows, those with the largest key, and a line about the rest; nothing for nothing.
fn section<T>(
    text: &mut String,
    header: &[String],
    items: &[T],
    key: impl Fn(&T) -> i128,
    row: impl Fn(&T) -> Vec<String>,
) {
    if items.is_empty() {
        return;
    }
    let mut order: Vec<&T> = items.iter().collect();
    order.sort_by_key(|item| std::cmp::Reverse(key(item)));
    let rows: Vec<Vec<String>> = order.into_iter().take(ROWS_MAX).map(row).collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let _ = writeln!(text, "{}", table(&header, &rows, true));
    if items.len() > ROWS_MAX {
        let _ = writeln!(text, "the fullest {ROWS_MAX} of {}; -o json has all", items.len());
    }
    text.push('\n');
}

fn foot(problem: &Problem, overview: &Overview) -> String {
    let mut text = String::new();
    let (cluster, work, score) = (&overview.cluster, &overview.work, &overview.score);
    let _ = writeln!(
        text,
        "{} of {} tasks placed, {} of {} nodes in use, {} closed to newcomers",
        work.placed_count,
        work.task_count,
        cluster.node_used_count,
        cluster.node_count,
        closed_count(problem)
    );
    let [objective, value, cost] = [score.objective(), score.value, score.cost()].map(grouped);
    let _ = writeln!(text, "objective {objective} = value {value} - costs {cost}");
    if let Some(burst) = overview.burst {
        let _ = writeln!(text, "burst pools: tasks {}, cost {}", burst.task_count, grouped(burst.points));
    }
    if let Some(spot) = overview.spot {
        let (count, weight, points) = (spot.task_count, grouped(spot.weight), grouped(spot.points));
        let _ = writeln!(text, "spot pools: tasks {count}, weight at risk {weight}, cost {points}");
    }
    if let Some(fragmentation) = overview.fragmentation {
        let mix = if fragmentation.is_expected_mix { "expected mix" } else { "tasks that ask for devices" };
        let share = percent(fragmentation.unusable, fragmentation.free);
        let _ = writeln!(text, "fragmentation: {share} of the free devices, for the {mix}");
    }
    let _ = writeln!(text, "{} broken rules", overview.violations.len());
    for violation in overview.violations.iter().take(ROWS_MAX) {
        let _ = writeln!(text, "  {}", line(&violation.describe(problem)));
    }
    if overview.violations.len() > ROWS_MAX {
        let _ = writeln!(text, "  and {} more; -o json has all", overview.violations.len() - ROWS_MAX);
    }
    text
}

/// Nodes that take no newcomers.
pub(super) fn closed_count(problem: &Problem) -> usize {
    problem.nodes.iter().filter(|node| node.is_closed()).count()
}

// ---------------------------------------------------------------------------------------------------------- for programs

fn json(problem: &Problem, state: &str, overview: &Overview) -> String {
    let (score, cluster, work) = (&overview.score, &overview.cluster, &overview.work);
    let levels = overview.levels.iter().map(|(level, sets)| {
        let domains: Vec<Value> = sets.iter().map(|set| nodes_json(overview, set)).collect();
        json!({"level": problem.levels[level.index()].name, "domains": domains})
    });
    let sets = |sets: &[TaskSet]| -> Vec<Value> { sets.iter().map(|set| tasks_json(overview, set)).collect() };
    let hot = overview.hot.iter().map(|hot| {
        let (node, resource) = names(problem, overview, hot);
        let [used, allocatable, soft_limit] = [hot.used, hot.allocatable, hot.soft_limit].map(JsonFigure);
        json!({"node": node, "resource": resource, "used": used, "allocatable": allocatable, "soft_limit": soft_limit})
    });
    let violations = overview.violations.iter();
    let violations = violations.map(|v| json!({"rule": v.rule.name(), "text": v.describe(problem)}));
    let costs = score.terms().map(|(term, points)| json!({"term": term, "points": JsonFigure(points)}));
    let mut answer = json!({
        "format": STATUS_FORMAT, "snapshot": problem.name, "fingerprint": problem.fingerprint, "state": state,
        "utilization": overview.utilization(),
        "weighted_utilization": JsonFigure(score.value / i128::from(problem.value_scale)),
        "objective": JsonFigure(score.objective()), "value": JsonFigure(score.value), "costs": costs,
        "nodes_closed": closed_count(problem),
        "cluster": nodes_json(overview, cluster), "work": tasks_json(overview, work),
        "pools": overview.pools.iter().map(|set| nodes_json(overview, set)).collect::<Vec<_>>(),
        "levels": levels.collect::<Vec<_>>(), "groups": sets(&overview.groups), "tenants": sets(&overview.tenants),
        "hot_nodes": hot.collect::<Vec<_>>(), "violations": violations.collect::<Vec<_>>(),
    });
    let fields = answer.as_object_mut().expect("it was made as an object");
    if let Some(goal) = problem.goal {
        fields.insert("goal".to_string(), json!(Goal::word(goal)));
    }
    for (name, exposure) in [("burst_pools", overview.burst), ("spot_pools", overview.spot)] {
        if let Some(exposure) = exposure {
            let [weight, cost] = [exposure.weight, exposure.points].map(JsonFigure);
            let value = json!({"tasks": exposure.task_count, "weight": weight, "cost": cost});
            fields.insert(name.to_string(), value);
        }
    }
    if let Some(f) = overview.fragmentation {
        let mix = if f.is_expected_mix { "objective" } else { "tasks" };
        fields.insert("fragmentation".to_string(), json!({"mix": mix, "share": ratio(f.unusable, f.free)}));
    }
    format!("{answer:#}\n")
}

fn nodes_json(overview: &Overview, set: &NodeSet) -> Value {
    let amounts = amounts_json(overview, |q| {
        vec![
            ("used", set.used[q]),
            ("allocatable", set.allocatable[q]),
            ("headroom", set.allocatable[q] - set.used[q]),
            ("stranded", set.stranded[q]),
            ("closed", set.closed[q]),
        ]
    });
    json!({
        "name": set.name, "nodes": set.node_count, "nodes_used": set.node_used_count, "tasks": set.task_count,
        "amounts": amounts,
    })
}

fn tasks_json(overview: &Overview, set: &TaskSet) -> Value {
    let amounts = amounts_json(overview, |q| vec![("granted", set.granted[q]), ("required", set.required[q])]);
    json!({
        "name": set.name, "tasks": set.task_count, "tasks_placed": set.placed_count, "value": JsonFigure(set.value),
        "value_max": JsonFigure(set.value_max), "amounts": amounts,
    })
}

/// What programs call a quantity: the field with its name, and a label.
pub(super) fn kind(counted: Counted) -> &'static str {
    match counted {
        Counted::Resource => "resource",
        Counted::Devices => "device",
        Counted::DeviceMemory => "device_memory",
    }
}

/// One record per quantity: what it is, its figures, and the first of them as a share of the second.
fn amounts_json(overview: &Overview, figures: impl Fn(usize) -> Vec<(&'static str, i128)>) -> Vec<Value> {
    let record = |(q, quantity): (usize, &Quantity)| {
        let figures = figures(q);
        let mut record = Map::new();
        record.insert(kind(quantity.counted).to_string(), json!(quantity.name));
        record.insert("unit".to_string(), json!(quantity.unit));
        record.insert("share".to_string(), json!(ratio(figures[0].1, figures[1].1)));
        record.extend(figures.into_iter().map(|(name, figure)| (name.to_string(), json!(JsonFigure(figure)))));
        Value::Object(record)
    };
    overview.quantities.iter().enumerate().map(record).collect()
}
