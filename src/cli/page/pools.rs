//! How do pools and domains stand? Use before and after, and what is free but of no use to the present mix of tasks.

use super::facts::Facts;
use super::html::{Html, name, of_class};
use super::parts::{figures, number, section as part, table, words};
use crate::cli::figures::percent;
use bayplan::status::{NodeSet, Overview};

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
    let lead = "Used, in percent of what there is. Stranded is what is free on nodes that take newcomers, and no task of the \
        present mix can use.";
    (!tables.is_empty()).then(|| part("pools", "Pools and domains", lead, tables))
}

/// One row per set of nodes; `sets` has the same ones in each state.
fn sets_table(facts: &Facts<'_>, overview: &Overview, caption: &str, sets: &[&[NodeSet]]) -> Html {
    let mut columns = vec![words("name"), figures("nodes"), figures("in use"), figures("tasks")];
    for quantity in &overview.quantities {
        let states = facts.states.iter().map(|state| figures(format!("{} {}", quantity.name, state.label)));
        columns.extend(states.chain([figures(format!("{} stranded", quantity.name))]));
    }
    let end = sets[sets.len() - 1];
    let row = |(s, set): (usize, &NodeSet)| {
        let mut row = vec![set.name.as_deref().map_or_else(|| of_class("span", "note", "none"), name)];
        row.extend([set.node_count, set.node_used_count, set.task_count].map(|count| number(count).into()));
        for q in 0..overview.quantities.len() {
            row.extend(sets.iter().map(|sets| percent(sets[s].used[q], sets[s].allocatable[q]).into()));
            row.push(percent(set.stranded[q], set.allocatable[q]).into());
        }
        row
    };
    table(caption, &columns, end.iter().enumerate().map(row).collect())
}
