//! How do pools and domains stand? Use before and after, and what is free but of no use to the present mix of tasks.

use super::facts::Facts;
use super::html::{Html, name, of_class};
use super::parts::{figures, number, percent, section as part, table, words};
use crate::cli::figures::grouped;
use bayplan::status::{Exposure, NodeSet, Overview};

/// Most pools or domains of a level in a table; a level of more is left out, since the heat map shows it.
const SET_MAX: usize = 40;

/// The section; `None` where nothing has a pool or a domain.
pub fn section(facts: &Facts<'_>) -> Option<Html> {
    let overviews: Vec<Overview> =
        facts.states.iter().map(|state| Overview::of(facts.problem, &state.placement)).collect();
    let mut tables = Vec::new();
    let mut add = |caption: &str, sets: Vec<&[NodeSet]>| {
        if !sets[0].is_empty() && sets[0].len() <= SET_MAX {
            tables.push(sets_table(facts, &overviews[0], caption, &sets));
        }
    };
    add("By pool", overviews.iter().map(|overview| overview.pools.as_slice()).collect());
    for (l, (level, _)) in overviews[0].levels.iter().enumerate() {
        let caption = format!("By {}", facts.problem.levels[level.index()].name);
        add(&caption, overviews.iter().map(|overview| overview.levels[l].1.as_slice()).collect());
    }
    let mut lead =
        "Used, in percent of what there is. Stranded is what is free on nodes that take newcomers, and no task of the \
        present mix can use."
            .to_string();
    if let Some(exposed) = exposure_table(facts, &overviews) {
        lead += " Burst pools are used when the others are full; nodes of spot pools may vanish, and what runs there is at risk.";
        tables.push(exposed);
    }
    (!tables.is_empty()).then(|| part("pools", "Pools and domains", lead, tables))
}

/// What runs where it is dear, and what may vanish; `None` where no pool is like that.
fn exposure_table(facts: &Facts<'_>, overviews: &[Overview]) -> Option<Html> {
    let mut columns = vec![words("pools")];
    for title in ["tasks", "weight", "cost"] {
        columns.extend(facts.states.iter().map(|state| figures(format!("{title} {}", state.label))));
    }
    let row = |name: &str, exposure: fn(&Overview) -> Option<Exposure>| -> Option<Vec<Html>> {
        let told: Vec<Exposure> = overviews.iter().map(exposure).collect::<Option<_>>()?;
        let mut row = vec![name.into()];
        row.extend(told.iter().map(|own| number(own.task_count).into()));
        row.extend(told.iter().map(|own| grouped(own.weight).into()));
        row.extend(told.iter().map(|own| grouped(own.points).into()));
        Some(row)
    };
    let rows = [row("burst", |overview| overview.burst), row("spot: weight at risk", |overview| overview.spot)];
    let rows: Vec<Vec<Html>> = rows.into_iter().flatten().collect();
    (!rows.is_empty()).then(|| table("What runs in burst and spot pools", &columns, rows))
}

/// One row per set of nodes and quantity, which fits a page however many quantities there are; `sets` has the same ones in each state.
fn sets_table(facts: &Facts<'_>, overview: &Overview, caption: &str, sets: &[&[NodeSet]]) -> Html {
    let mut columns = vec![words("name"), words("resource")];
    columns.extend(facts.states.iter().map(|state| figures(format!("used {}", state.label))));
    columns.extend(["stranded", "nodes", "in use", "tasks"].map(figures));
    let end = sets[sets.len() - 1];
    let row = |s: usize, q: usize| {
        let (set, quantity) = (&end[s], &overview.quantities[q]);
        let mut row = vec![set.name.as_deref().map_or_else(|| of_class("span", "note", "none"), name)];
        row.push(name(&quantity.counted.title(&quantity.name)));
        row.extend(sets.iter().map(|sets| percent(sets[s].used[q], sets[s].allocatable[q]).into()));
        row.push(percent(set.stranded[q], set.allocatable[q]).into());
        let counts = [set.node_count, set.node_used_count, set.task_count];
        row.extend(counts.map(|count| if q == 0 { number(count).into() } else { Html::default() }));
        row
    };
    let rows = (0..end.len()).flat_map(|s| (0..overview.quantities.len()).map(move |q| row(s, q)));
    table(caption, &columns, rows.collect())
}
