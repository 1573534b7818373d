//! What is this, may I run it, and what does it bring? The top of the page, and its foot.

use super::facts::{Facts, Planned, State};
use super::heat;
use super::html::{Html, element, html, name, of_class, plain};
use super::parts::{count, exact, list, number, percent, plural, unbroken};
use crate::cli::report::{difference, gap_text, size_text};
use bayplan::model::Goal;
use bayplan::plan::{EXACT, Reason, Status};

/// Digits of the fingerprint at the top; the foot has all.
const FINGERPRINT_CHARS: usize = 12;

/// Name, verdict, the figures that count, and what needs attention.
pub fn header(facts: &Facts<'_>) -> Html {
    let summary = match &facts.planned {
        Some(planned) if planned.plan.waves.is_empty() => {
            "The plan has no moves: nothing was found that is worth them.".to_string()
        }
        Some(planned) => format!("The plan: {}.", size_text(planned.plan)),
        None => "The cluster as it is. No plan was given.".to_string(),
    };
    let content = html![
        of_class("p", "eyebrow", "Placement report"),
        plain("h1", name(&facts.problem.name)),
        of_class("p", "summary", summary),
        badges(facts),
        tiles(facts),
        attention(facts),
    ];
    plain("header", content)
}

fn badges(facts: &Facts<'_>) -> Html {
    let mut items = Vec::new();
    if let Some(planned) = &facts.planned {
        items.push(of_class("span", "good", "✓ Verified for this page: every step holds"));
        items.extend(distance(planned).map(|(_, text)| text.into()));
    }
    let fingerprint: String = facts.problem.fingerprint.chars().take(FINGERPRINT_CHARS).collect();
    items.push(html!["Snapshot ", plain("code", fingerprint)]);
    let points = facts.problem.goal.map_or("the snapshot's own objective", Goal::word);
    items.push(format!("Points of {points}").into());
    list("badges", items)
}

/// The bound, and in words how far the plan is from it at most.
fn distance(planned: &Planned<'_>) -> Option<(i128, String)> {
    let (plan, proven) = (planned.plan, planned.verdict.proven);
    let bound = plan.bound?;
    let (_, after) = plan.objective;
    // A search tree cannot be checked again: what it says is said with its name.
    let who = match plan.solver == EXACT && proven.is_none_or(|proven| bound < proven) {
        true => "by the exact solver",
        false => "proven",
    };
    let text = match after >= bound {
        true => format!("The best possible, {who}"),
        false => format!("At most {} below the best possible, {who}", unbroken(&gap_text(after, bound))),
    };
    Some((bound, text))
}

fn tile(label: &str, figure: impl Into<Html>, note: impl Into<Html>) -> Html {
    let [label, figure, note] = [("label", label.into()), ("number", figure.into()), ("note", note.into())]
        .map(|(class, content): (&str, Html)| of_class("span", class, content));
    html![label, " ", figure, " ", note]
}

fn tiles(facts: &Facts<'_>) -> Html {
    let (start, end) = (facts.start(), facts.end());
    let planned = facts.planned.as_ref();
    let was = |value: Html| planned.map(|_| html!["before: ", value]);
    let of = |all: usize| format!("of {}{}", number(all), if planned.is_some() { ", " } else { "" });
    let [before, after] = [start, end].map(|state| state.figures.score.objective());
    let change = if after == before { String::new() } else { format!(", {}", difference(after - before)) };
    let old = planned.map(|_| html!["before: ", exact("objective-before", before), change]);
    let mut tiles = vec![tile("Objective", exact("objective-after", after), old)];
    if let Some(planned) = planned {
        tiles.extend([gap_tile(planned), steps_tile(planned)]);
    }
    let (was_placed, placed) = (start.figures.placed_count, end.figures.placed_count);
    let all = of(facts.problem.tasks.len());
    tiles.push(tile("Tasks running", count("tasks-after", placed), html![all, was(count("tasks-before", was_placed))]));
    let (was_broken, broken) = (start.figures.violations.len(), end.figures.violations.len());
    tiles.push(tile("Broken rules", count("rules-after", broken), was(count("rules-before", was_broken))));
    let (was_used, used) = (start.figures.nodes_used_count, end.figures.nodes_used_count);
    let all = of(facts.problem.nodes.len());
    tiles.push(tile("Nodes in use", count("nodes-after", used), html![all, was(count("nodes-before", was_used))]));
    tiles.extend(fullest(facts, end).map(|(figure, place)| tile("Fullest node", figure, place)));
    list("tiles", tiles)
}

fn gap_tile(planned: &Planned<'_>) -> Html {
    let (_, after) = planned.plan.objective;
    let Some((bound, _)) = distance(planned) else {
        return tile("Below the best", "unknown", "the plan carries no bound");
    };
    let open = bound - after;
    let part = match after.abs() {
        _ if open == 0 => "nothing".to_string(),
        0 => "unknown".to_string(),
        // Rounded up: what is said to be proven must be.
        whole => {
            let parts = (open * 10_000 + whole - 1) / whole;
            unbroken(&format!("≤ {}.{:02} %", parts / 100, parts % 100))
        }
    };
    tile("Below the best", part, html!["gap ", exact("gap", open), ", bound ", exact("bound", bound)])
}

fn steps_tile(planned: &Planned<'_>) -> Html {
    let plan = planned.plan;
    let total = plan.moves().count();
    let touching = total - plan.moves().filter(|step| !step.from.is_placed()).count();
    let waves = plan.waves.len();
    let note = html![
        "in ",
        count("waves-count", waves),
        if waves == 1 { " wave; " } else { " waves; " },
        format!("{} of the steps touch running tasks", number(touching)),
    ];
    tile("Steps", count("steps", total), note)
}

/// Load of the fullest node, and which it is.
fn fullest(facts: &Facts<'_>, state: &State) -> Option<(String, Html)> {
    let hot = heat::fullest(facts, state, 1).into_iter().next()?;
    let fill = hot.measure.fill(facts.problem, &state.usage, hot.node);
    let place = html![hot.measure.name(facts.problem), " on ", name(facts.node_name(hot.node))];
    Some((percent(fill.used, fill.capacity), place))
}

/// What somebody has to look at before the plan is run, or after.
fn attention(facts: &Facts<'_>) -> Html {
    let mut items: Vec<Html> = Vec::new();
    let mut item = |count: usize, one: &str, many: &str, link: &str, why: &str| {
        if count > 0 {
            items.push(html![element("a", &[("href", link)], plural(count, one, many)), " ", why]);
        }
    };
    let of = |wanted: Reason| {
        facts.planned.iter().flat_map(|planned| planned.plan.moves()).filter(|step| step.reason == wanted).count()
    };
    let end = if facts.planned.is_some() { "at the end" } else { "now" };
    item(facts.end().figures.violations.len(), "rule", "rules", "#rules", &format!("broken {end}"));
    item(of(Reason::Evict), "running task", "running tasks", "#moves", "stopped to make room for others");
    item(of(Reason::Restart), "task", "tasks", "#moves", "restarted on the way: nothing else makes room");
    item(of(Reason::Park), "task", "tasks", "#moves", "parked on a third node on the way");
    let blocked = facts.planned.as_ref().map_or(0, |planned| planned.plan.blocked.len());
    item(blocked, "more move", "more moves", "#moves", "would pay, but no order is safe");
    item(facts.waiting.len(), "task", "tasks", "#waiting", &format!("without a place {end}"));
    let body = match items.is_empty() {
        true => plain("p", "Nothing: every rule holds, every task runs."),
        false => list("plain", items),
    };
    let content = html![element("h2", &[("id", "attention-title")], "To look at"), body];
    element("aside", &[("class", "attention"), ("aria-labelledby", "attention-title")], content)
}

/// How the plan was found, and how to check this page.
pub fn footer(facts: &Facts<'_>) -> Html {
    let row = |name: &str, value: Html| html![plain("dt", name), plain("dd", value)];
    let mut rows = vec![row("Snapshot", of_class("code", "long", &facts.problem.fingerprint))];
    if let Some(planned) = &facts.planned {
        let plan = planned.plan;
        let ended = match plan.status {
            Status::Optimal => "proven",
            Status::Feasible => "ended by itself",
            Status::Gap => "ended within the gap that was asked for",
            Status::Deadline => "ended by its time limit",
            Status::Interrupted => "ended by a signal",
            Status::Infeasible => "proven that no placement keeps all rules",
        };
        rows.push(row("Solver", format!("{}, seed {}, effort {}", plan.solver, plan.seed, plan.effort).into()));
        rows.push(row("Search", ended.into()));
        rows.push(row("Backend", (&plan.backend).into()));
    }
    rows.push(row("Program", concat!("Bayplan ", env!("CARGO_PKG_VERSION")).into()));
    let sources = match &facts.planned {
        Some(_) => {
            "All figures are worked out from the snapshot and the plan alone. To check them: bayplan verify SNAPSHOT PLAN."
        }
        None => "All figures are worked out from the snapshot alone.",
    };
    let note = format!("{sources} Points are those of the objective; percentages are rounded.");
    plain("footer", html![plain("h2", "How this was made"), plain("dl", rows), plain("p", note)])
}
