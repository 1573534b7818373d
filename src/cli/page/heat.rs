//! Where is it hot, before and after? A table of nodes for small clusters, squares for large ones, and the fullest by name.
//!
//! Colour never stands alone: each cell of the table has its number, each picture the number of nodes per colour. The
//! colours are ordered by lightness, so that they survive grey print and any eye.

use super::facts::{Facts, Fill, Measure, State};
use super::html::{Html, element, html, name, of_class, plain};
use super::parts::{Column, bar, figures, list, number, percent, section as part, table, words};
use bayplan::model::{NodeId, Problem};
use std::cmp::Reverse;
use std::fmt::Write;

/// Most nodes that get a row each.
const ROW_MAX: usize = 64;
/// Most squares of a picture, and of all pictures together: a square takes up to 10 bytes of the page.
const SQUARE_MAX: usize = 4096;
const SQUARE_TOTAL_MAX: usize = 65_536;
/// From this many squares on there is no gap between them: it would be thinner than a point of the screen.
const GAP_SQUARE_MAX: usize = 900;
/// Nodes named.
const NAMED_MAX: usize = 12;

/// Upper ends in millionths of the capacity, with their names.
const CLASSES: [(i128, &str); 8] = [
    (0, "unused"),
    (200_000, "up to 20\u{a0}%"),
    (400_000, "20 to 40\u{a0}%"),
    (600_000, "40 to 60\u{a0}%"),
    (800_000, "60 to 80\u{a0}%"),
    (900_000, "80 to 90\u{a0}%"),
    (1_000_000, "90 to 100\u{a0}%"),
    (i128::MAX, "above 100\u{a0}%"),
];

/// How to read the colours, on paper and on dark screens.
const SHADES: &str =
    "The more a colour stands out from the page, the fuller: blue where there is room, orange where it is tight.";

/// The colour of a fill; `None` where there is nothing to fill.
fn class(fill: Fill) -> Option<usize> {
    let part = fill.millionths()?;
    CLASSES.iter().position(|(end, _)| part <= *end)
}

/// A node that is full of something.
pub struct Hot {
    pub node: NodeId,
    pub measure: Measure,
}

/// The fullest nodes of a state, each by what it is fullest of.
pub fn fullest(facts: &Facts<'_>, state: &State, most: usize) -> Vec<Hot> {
    let problem = facts.problem;
    let hottest = |node: NodeId| {
        let part =
            |m: usize| facts.measures[m].fill(problem, &state.usage, node).millionths().map(|part| (part, Reverse(m)));
        (0..facts.measures.len()).filter_map(part).max().map(|(part, Reverse(m))| (part, node, m))
    };
    let mut list: Vec<(i128, NodeId, usize)> =
        problem.node_ids().filter_map(hottest).filter(|(part, ..)| *part > 0).collect();
    list.sort_by_key(|(part, node, _)| (Reverse(*part), *node));
    list.into_iter().take(most).map(|(_, node, m)| Hot { node, measure: facts.measures[m] }).collect()
}

/// The section.
pub fn section(facts: &Facts<'_>) -> Html {
    if facts.problem.nodes.len() <= ROW_MAX {
        let lead = format!("Used, in percent of each node's capacity. {SHADES}");
        return part("heat", "Heat map", lead, html![legend(), rows(facts)]);
    }
    let lead =
        format!("{} The numbers of nodes are beside the colours; the fullest are named below.", lead_of_squares(facts));
    part("heat", "Heat map", lead, html![pictures(facts), named(facts)])
}

fn legend() -> Html {
    list("legend", CLASSES.iter().enumerate().map(|(c, (_, class))| html![swatch(c), *class]))
}

fn swatch(class: usize) -> Html {
    element("span", &[("class", &format!("swatch h{class}")), ("aria-hidden", "true")], "")
}

/// Nodes × what they are full of, before and after.
fn rows(facts: &Facts<'_>) -> Html {
    let mut columns = vec![words("node")];
    for measure in &facts.measures {
        let name = measure.name(facts.problem);
        columns.extend(facts.states.iter().map(|state| figures(format!("{name} {}", state.label))));
    }
    let row = |node: NodeId| {
        let mut row = vec![name(facts.node_name(node))];
        for measure in &facts.measures {
            let fills = facts.states.iter().map(|state| measure.fill(facts.problem, &state.usage, node));
            row.extend(fills.map(cell));
        }
        row
    };
    let rows = facts.problem.node_ids().map(row).collect();
    of_class("div", "heat", table("Used per node, in percent of its capacity", &columns, rows))
}

fn cell(fill: Fill) -> Html {
    match class(fill) {
        None => "–".into(),
        Some(class) => of_class("span", &format!("cell h{class}"), text(fill)),
    }
}

fn text(fill: Fill) -> String {
    match fill {
        Fill { used: 0, capacity: 0 } => "–".into(),
        Fill { capacity: 0, .. } => "no capacity".into(),
        Fill { used, capacity } => percent(used, capacity),
    }
}

/// Nodes in the order of their pools and domains, so that a bad rack shows as a patch.
fn neighbours(problem: &Problem) -> Vec<NodeId> {
    let mut nodes: Vec<NodeId> = problem.node_ids().collect();
    nodes.sort_by_cached_key(|node| {
        let spec = &problem.nodes[node.index()];
        let domains: Vec<_> = spec.domains[1..].iter().rev().copied().collect();
        (spec.pool, domains, *node)
    });
    nodes
}

fn nodes_per_square(facts: &Facts<'_>) -> usize {
    let pictures = (facts.measures.len() * facts.states.len()).max(1);
    facts.problem.nodes.len().div_ceil(SQUARE_MAX.min(SQUARE_TOTAL_MAX / pictures))
}

fn lead_of_squares(facts: &Facts<'_>) -> String {
    match nodes_per_square(facts) {
        1 => format!("Each square is a node, in the order of pools and domains. {SHADES}"),
        count => format!(
            "Each square is {} neighbouring nodes in the order of pools and domains, in the colour of the fullest. {SHADES}",
            number(count)
        ),
    }
}

fn pictures(facts: &Facts<'_>) -> Html {
    let order = neighbours(facts.problem);
    let squares: Vec<&[NodeId]> = order.chunks(nodes_per_square(facts)).collect();
    let card = |measure: &Measure| {
        let label = measure.name(facts.problem);
        let view = |state: &State| {
            plain("div", html![of_class("span", "label", state.label), picture(facts, *measure, state, &squares)])
        };
        let content = html![
            plain("figcaption", &label),
            of_class("div", "pair", Html::all(facts.states.iter().map(view))),
            distribution(facts, *measure, &label),
        ];
        of_class("figure", "card", content)
    };
    of_class("div", "cards", Html::all(facts.measures.iter().map(card)))
}

/// One path per colour; a run of equal squares is one stroke, cut into squares by its dashes.
fn picture(facts: &Facts<'_>, measure: Measure, state: &State, squares: &[&[NodeId]]) -> Html {
    let side = (1..).find(|side| side * side >= squares.len()).unwrap_or(1);
    let mut paths = vec![String::new(); CLASSES.len()];
    let hottest = |nodes: &&[NodeId]| {
        nodes.iter().filter_map(|node| class(measure.fill(facts.problem, &state.usage, *node))).max()
    };
    let classes: Vec<Option<usize>> = squares.iter().map(hottest).collect();
    for (y, row) in classes.chunks(side).enumerate() {
        let mut x = 0;
        for run in row.chunk_by(|a, b| a == b) {
            if let Some(class) = run[0] {
                let _ = write!(paths[class], "M{x} {y}h{}", run.len());
            }
            x += run.len();
        }
    }
    let height = squares.len().div_ceil(side);
    let look = if squares.len() <= GAP_SQUARE_MAX { "squares" } else { "squares dense" };
    let view = format!("0 -0.5 {side} {height}");
    let alt = alt(facts, measure, state);
    let attributes = [("class", look), ("role", "img"), ("aria-label", alt.as_str()), ("viewBox", view.as_str())];
    let paths = paths.iter().enumerate().filter(|(_, path)| !path.is_empty());
    let path = |(c, path): (usize, &String)| element("path", &[("class", &format!("s{c}")), ("d", path)], "");
    element("svg", &attributes, Html::all(paths.map(path)))
}

fn counts(facts: &Facts<'_>, measure: Measure, state: &State) -> [usize; CLASSES.len()] {
    let mut counts = [0; CLASSES.len()];
    for node in facts.problem.node_ids() {
        if let Some(class) = class(measure.fill(facts.problem, &state.usage, node)) {
            counts[class] += 1;
        }
    }
    counts
}

fn alt(facts: &Facts<'_>, measure: Measure, state: &State) -> String {
    let counts = counts(facts, measure, state);
    let told = CLASSES.iter().zip(counts).filter(|(_, count)| *count > 0);
    let list: Vec<String> = told.map(|((_, name), count)| format!("{count} {name}")).collect();
    format!("{} {}, nodes: {}", measure.name(facts.problem), state.label, list.join(", "))
}

/// The legend with the number of nodes of each colour.
fn distribution(facts: &Facts<'_>, measure: Measure, label: &str) -> Html {
    let mut columns = vec![words("used")];
    columns.extend(facts.states.iter().map(|state| figures(state.label)));
    let counts: Vec<_> = facts.states.iter().map(|state| counts(facts, measure, state)).collect();
    let most = counts.iter().flatten().copied().max().unwrap_or(0);
    let row = |(c, (_, class)): (usize, &(i128, &str))| {
        let mut row = vec![html![swatch(c), *class]];
        row.extend(counts.iter().map(|counts| html![number(counts[c]), bar(counts[c] as i128, most as i128)]));
        row
    };
    let rows = CLASSES.iter().enumerate().map(row).collect();
    of_class("div", "distribution", table(&format!("{label}: number of nodes"), &columns, rows))
}

/// The fullest nodes of each state, by name.
fn named(facts: &Facts<'_>) -> Html {
    of_class("div", "columns", Html::all(facts.states.iter().map(|state| fullest_table(facts, state))))
}

fn fullest_table(facts: &Facts<'_>, by: &State) -> Html {
    let mut columns: Vec<Column> = vec![words("node"), words("where"), words("full of")];
    columns.extend(facts.states.iter().map(|state| figures(state.label)));
    let row = |hot: Hot| {
        let measure = hot.measure;
        let mut row =
            vec![name(facts.node_name(hot.node)), place(facts.problem, hot.node), measure.name(facts.problem).into()];
        row.extend(facts.states.iter().map(|state| cell(measure.fill(facts.problem, &state.usage, hot.node))));
        row
    };
    let rows: Vec<Vec<Html>> = fullest(facts, by, NAMED_MAX).into_iter().map(row).collect();
    if rows.is_empty() { Html::default() } else { table(&format!("Fullest nodes {}", by.label), &columns, rows) }
}

/// Pool and domains of a node, the widest first.
fn place(problem: &Problem, node: NodeId) -> Html {
    let spec = &problem.nodes[node.index()];
    let pool = spec.pool.iter().map(|pool| problem.pools[*pool as usize].name.as_str());
    let levels = problem.levels.iter().zip(&spec.domains).skip(1).rev();
    let domains = levels.map(|(level, domain)| level.domains[domain.index()].as_str());
    Html::listed(pool.chain(domains).map(name), " / ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_end_where_they_say() {
        let class = |used| class(Fill { used, capacity: 1000 });
        assert_eq!([0, 1, 200, 201, 1000, 1001].map(class), [0, 1, 1, 2, 6, 7].map(Some));
        assert_eq!(super::class(Fill { used: 0, capacity: 0 }), None);
        assert_eq!(super::class(Fill { used: 1, capacity: 0 }), Some(7));
    }
}
