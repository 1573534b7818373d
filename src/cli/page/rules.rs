//! Which rules are broken, before and after?

use super::facts::{Facts, State};
use super::html::{Html, html, plain};
use super::parts::{figures, list as items, number, section as part, table, words};
use bayplan::model::{Rule, Violation};
use std::collections::BTreeSet;

/// Violations written out, of those that stay and of those that end.
const SHOWN_MAX: usize = 20;

/// The section.
pub fn section(facts: &Facts<'_>) -> Html {
    let broken = |state: &State| !state.figures.violations.is_empty();
    let is_broken = facts.states.iter().any(broken);
    let lead = match (is_broken, &facts.planned) {
        (true, _) => "A rule that is broken at the start is repaired where that is possible, and never broken more.",
        (false, Some(_)) => "Every rule holds, before and after.",
        (false, None) => "Every rule holds.",
    };
    let end: BTreeSet<_> = facts.end().figures.violations.iter().map(|v| (v.rule, v.place)).collect();
    let repaired: Vec<&Violation> =
        facts.start().figures.violations.iter().filter(|v| !end.contains(&(v.rule, v.place))).collect();
    let left: Vec<&Violation> = facts.end().figures.violations.iter().collect();
    let title = if facts.planned.is_some() { "Still broken at the end" } else { "Broken" };
    let counts = is_broken.then(|| counts(facts));
    part("rules", "Rules", lead, html![counts, list(facts, title, &left), list(facts, "Repaired", &repaired)])
}

fn counts(facts: &Facts<'_>) -> Html {
    let mut columns = vec![words("rule")];
    columns.extend(facts.states.iter().map(|state| figures(format!("broken {}", state.label))));
    let of = |state: &State, rule: Rule| state.figures.violations.iter().filter(|v| v.rule == rule).count();
    let row = |rule: Rule| {
        let counts: Vec<usize> = facts.states.iter().map(|state| of(state, rule)).collect();
        counts.iter().any(|count| *count > 0).then(|| {
            let mut row: Vec<Html> = vec![rule.name().into()];
            row.extend(counts.iter().map(|count| number(*count).into()));
            row
        })
    };
    table("Broken rules by kind", &columns, Rule::ALL.into_iter().filter_map(row).collect())
}

fn list(facts: &Facts<'_>, title: &str, violations: &[&Violation]) -> Html {
    if violations.is_empty() {
        return Html::default();
    }
    let shown = violations.iter().take(SHOWN_MAX);
    let mut lines: Vec<Html> = shown.map(|violation| violation.describe(facts.problem).into()).collect();
    if violations.len() > SHOWN_MAX {
        lines.push(format!("… and {} more", number(violations.len() - SHOWN_MAX)).into());
    }
    html![plain("h3", title), items("plain", lines)]
}
