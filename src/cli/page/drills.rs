//! What if a node, a rack, a zone fails? How many failures the cluster stands, and the worst ones.

use super::facts::{Facts, Measure};
use super::html::{Html, html, name, of_class, plain};
use super::outlook::Outlook;
use super::parts::{figures, number, percent, plural, section as part, table, words};
use super::usage::amount;
use crate::cli::figures::grouped;
use bayplan::drill::{Drill, Drilled, Reason, Tally, Verdict};
use bayplan::model::Problem;

/// Worst failures told.
const WORST_MAX: usize = 10;

/// The section.
pub fn section(facts: &Facts<'_>, outlook: &Outlook) -> Html {
    let Some(drill) = &outlook.drill else {
        return part("drills", "If something fails", "Not looked at: the cluster is too large for it here.", further());
    };
    let end = if facts.planned.is_some() { "after the plan" } else { "now" };
    let lead = format!(
        "Each node and each domain fails on its own, in the state {end}: does everything there find a place elsewhere within the \
         rules, while nobody else moves? A pinned task ends with its node."
    );
    let problem = &outlook.settled;
    part("drills", "If something fails", lead, html![tallies(problem, drill), worst(problem, drill), further()])
}

fn further() -> Html {
    let text = "Open means that the first look found no way, and no proof that there is none: bayplan drill looks further, at pairs of \
        nodes as well.";
    of_class("p", "note", text)
}

fn tallies(problem: &Problem, drill: &Drill) -> Html {
    let row = |tally: &Tally| {
        let level = name(&problem.levels[tally.level.index()].name);
        let counts = [tally.scenarios, tally.survives, tally.fails, tally.unknown];
        [html!["one ", level]].into_iter().chain(counts.map(|count| number(count).into())).collect()
    };
    let columns =
        [words("what fails"), figures("failures"), figures("all runs on"), figures("proven loss"), figures("open")];
    table("How failures end", &columns, drill.tallies.iter().map(row).collect())
}

fn worst(problem: &Problem, drill: &Drill) -> Html {
    let bad: Vec<&Drilled> =
        drill.drilled.iter().filter(|one| !one.lost.is_empty() || !one.broken.is_empty()).collect();
    if bad.is_empty() {
        let longest = drill.drilled.iter().max_by_key(|one| (one.waves, one.moves));
        return longest.map_or_else(Html::default, |one| {
            let (moves, waves) = (plural(one.moves, "start", "starts"), plural(one.waves, "wave", "waves"));
            let text = format!(" takes longest: {moves} elsewhere in {waves} at least.");
            plain("p", html!["Nothing is lost. ", what(problem, one), text])
        });
    }
    let columns = [
        words("worst first"),
        words("loss"),
        figures("tasks lost"),
        figures("weight lost"),
        words("missing for them"),
        figures("starts elsewhere"),
        figures("waves, at least"),
        words("why"),
    ];
    let row = |one: &&Drilled| {
        vec![
            what(problem, one),
            ending(one).into(),
            format!("{} of {}", number(one.lost.len()), number(one.task_count)).into(),
            format!("{} ({})", grouped(one.lost_weight), percent(one.lost_weight, one.weight)).into(),
            missing(problem, one),
            number(one.moves).into(),
            number(one.waves).into(),
            why(problem, one),
        ]
    };
    let rest = bad.len().saturating_sub(WORST_MAX);
    let rest = (rest > 0)
        .then(|| of_class("p", "note", format!("… and {} more that lose something or break a rule.", number(rest))));
    html![table("The worst failures", &columns, bad.iter().take(WORST_MAX).map(row).collect()), rest]
}

/// `rack r1`.
fn what(problem: &Problem, one: &Drilled) -> Html {
    let level = &problem.levels[one.scenario.level.index()];
    let domains = one.scenario.domains.iter().map(|domain| name(&level.domains[domain.index()]));
    html![name(&level.name), " ", Html::listed(domains, " + ")]
}

/// Is it proven that not everything comes back?
fn ending(one: &Drilled) -> &'static str {
    if one.verdict == Verdict::Fails { "proven" } else { "open" }
}

fn missing(problem: &Problem, one: &Drilled) -> Html {
    let amounts = problem.own_resources().iter().zip(&one.missing).filter(|(_, amount)| **amount > 0);
    let mut parts: Vec<Html> =
        amounts.map(|(resource, amount)| html![grouped(*amount), " ", name(&resource.name)]).collect();
    if one.missing_milli > 0 {
        // Of whatever kind: they are counted together.
        let devices = amount(Measure::Devices(0), one.missing_milli.into());
        parts.push(format!("{devices} devices").into());
    }
    if parts.is_empty() { "–".into() } else { Html::listed(parts, ", ") }
}

fn why(problem: &Problem, one: &Drilled) -> Html {
    let reason = one.reason.map(|reason| match reason {
        Reason::NoNode(task) => html![name(&problem.tasks[task.index()].name), " fits no other node"],
        Reason::Short(resource) => html!["too little ", name(&problem.resources[resource.index()].name), " is free"],
        Reason::Domains(group, level) => {
            let [group, level] = [&problem.groups[group.index()].name, &problem.levels[level.index()].name];
            html![name(group), " cannot cover enough of level ", name(level)]
        }
        Reason::Gang(group) => html!["too few of ", name(&problem.groups[group.index()].name), " can come back"],
        _ => reason.describe(problem).into(),
    });
    let broken = one.broken.first().map(|violation| format!("{} stays broken", violation.rule.name()).into());
    let parts: Vec<Html> = reason.into_iter().chain(broken).collect();
    if parts.is_empty() { "no way was found".into() } else { Html::listed(parts, "; ") }
}
