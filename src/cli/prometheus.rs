//! How does a monitoring system read the state of a cluster? The text exposition format of Prometheus, version 0.0.4.
//!
//! Families and samples always come in the same order, every family has a HELP and a TYPE line, no sample has a time stamp: a
//! collector that reads a file refuses those. All samples are gauges.

use super::status::{self, closed_count};
use bayplan::model::{Problem, Rule, scaled_text};
use bayplan::status::{NodeSet, Overview, Quantity, TaskSet};
use std::fmt::Write;

/// All samples of a state.
pub fn text(problem: &Problem, state: &str, overview: &Overview) -> String {
    let mut page = Page::default();
    page.family("bayplan_snapshot_info", "The snapshot that everything here is counted from; always 1.");
    let labels = [("name", problem.name.as_str()), ("fingerprint", &problem.fingerprint), ("state", state)];
    page.count(&labels, 1);
    counts(&mut page, problem, overview);
    points(&mut page, problem, overview);
    amounts(&mut page, problem, overview);
    page.family(
        "bayplan_hot_node_used",
        "Amount used where a node is hot: 90 % of a resource, or above its soft limit.",
    );
    for hot in &overview.hot {
        let node = problem.nodes[hot.node.index()].name.as_str();
        page.amount(&[("node", node), ("resource", &overview.quantities[hot.quantity].name)], hot.used);
    }
    exposure(&mut page, overview);
    if let Some(fragmentation) = overview.fragmentation {
        let share = fragmentation.unusable as f64 / fragmentation.free as f64;
        page.family("bayplan_fragmentation_ratio", "Part of the free device milli that the mix of tasks cannot use.");
        page.sample(&[], &format!("{share}"));
    }
    page.family("bayplan_violations", "Broken rules, by rule.");
    for rule in Rule::ALL {
        page.count(&[("rule", rule.name())], overview.violations.iter().filter(|v| v.rule == rule).count());
    }
    page.text
}

fn counts(page: &mut Page, problem: &Problem, overview: &Overview) {
    let (cluster, work) = (&overview.cluster, &overview.work);
    let figures = [
        ("bayplan_tasks", "Tasks, running or waiting.", work.task_count),
        ("bayplan_tasks_placed", "Tasks that run.", work.placed_count),
        ("bayplan_nodes", "Nodes.", cluster.node_count),
        ("bayplan_nodes_used", "Nodes on which something runs.", cluster.node_used_count),
        ("bayplan_nodes_closed", "Nodes that take no newcomers.", closed_count(problem)),
    ];
    for (name, help, count) in figures {
        page.family(name, help);
        page.count(&[], count);
    }
}

fn points(page: &mut Page, problem: &Problem, overview: &Overview) {
    let score = &overview.score;
    let figures = [
        ("bayplan_objective_points", "Value less all costs.", score.objective()),
        ("bayplan_value_points", "Sum of weight times granted share.", score.value),
        (
            "bayplan_weighted_utilization",
            "Sum of weight times granted share, in the weights of the snapshot.",
            score.value / i128::from(problem.value_scale),
        ),
    ];
    for (name, help, points) in figures {
        page.family(name, help);
        page.amount(&[], points);
    }
    if let Some(ratio) = overview.utilization() {
        page.family("bayplan_utilization_ratio", "Granted of required, mean over the resources that are required.");
        page.sample(&[], &format!("{ratio}"));
    }
    page.family("bayplan_cost_points", "Points of each cost.");
    for (term, points) in score.terms() {
        page.amount(&[("term", term)], points);
    }
}

fn exposure(page: &mut Page, overview: &Overview) {
    let exposed = [("burst", overview.burst), ("spot", overview.spot)];
    let exposed: Vec<_> = exposed.into_iter().filter_map(|(name, exposure)| Some((name, exposure?))).collect();
    if exposed.is_empty() {
        return;
    }
    page.family("bayplan_exposed_tasks", "Tasks that run in burst pools, or in spot pools.");
    exposed.iter().for_each(|(name, exposure)| page.count(&[("pools", name)], exposure.task_count));
    page.family("bayplan_exposed_weight", "Weight that runs in burst pools; in spot pools: the weight at risk.");
    exposed.iter().for_each(|(name, exposure)| page.amount(&[("pools", name)], exposure.weight));
}

/// A figure of a set, by quantity.
type Figure<T> = (&'static str, &'static str, fn(&T) -> &Vec<i128>);

const NODE_FIGURES: [Figure<NodeSet>; 4] = [
    ("bayplan_used", "Amount used on the nodes of a set: the cluster, a pool or a domain of a level.", |set| &set.used),
    ("bayplan_allocatable", "Amount there is on the nodes of a set.", |set| &set.allocatable),
    ("bayplan_stranded", "Amount free that no task of the snapshot can use.", |set| &set.stranded),
    ("bayplan_closed", "Amount free on nodes that take no newcomers.", |set| &set.closed),
];

const TASK_FIGURES: [Figure<TaskSet>; 2] = [
    ("bayplan_granted", "Amount granted to a set of tasks: all, a group or a tenant.", |set| &set.granted),
    ("bayplan_required", "Amount required by a set of tasks.", |set| &set.required),
];

fn amounts(page: &mut Page, problem: &Problem, overview: &Overview) {
    let levels = overview.levels.iter().map(|(level, sets)| (problem.levels[level.index()].name.as_str(), sets));
    // What a set is and what it is called are two labels: a level may be called anything.
    let mut node_sets = vec![("cluster", "", &overview.cluster)];
    node_sets.extend(overview.pools.iter().map(|set| ("pool", "", set)));
    node_sets.extend(levels.flat_map(|(level, sets)| sets.iter().map(move |set| ("domain", level, set))));
    for (name, help, figure) in NODE_FIGURES {
        page.family(name, help);
        for (by, level, set) in &node_sets {
            let labels = [("set", *by), ("level", level), ("name", set.name.as_deref().unwrap_or(""))];
            page.row(&labels, overview, figure(set));
        }
    }
    let mut task_sets = vec![("all", &overview.work)];
    task_sets.extend(overview.groups.iter().map(|set| ("group", set)));
    task_sets.extend(overview.tenants.iter().map(|set| ("tenant", set)));
    for (name, help, figure) in TASK_FIGURES {
        page.family(name, help);
        for (by, set) in &task_sets {
            page.row(&[("set", *by), ("name", set.name.as_deref().unwrap_or(""))], overview, figure(set));
        }
    }
}

/// A page in the making.
#[derive(Default)]
pub struct Page {
    /// What is there so far.
    pub text: String,
    family: &'static str,
}

impl Page {
    /// Opens a family: what follows are its samples.
    pub fn family(&mut self, name: &'static str, help: &str) {
        self.family = name;
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} gauge");
    }

    /// A sample of the open family.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: &str) {
        let pair = |(name, value): &(&str, &str)| format!("{name}=\"{}\"", escaped(value));
        let labels = match labels {
            [] => String::new(),
            _ => format!("{{{}}}", labels.iter().map(pair).collect::<Vec<_>>().join(",")),
        };
        let _ = writeln!(self.text, "{}{labels} {value}", self.family);
    }

    fn count(&mut self, labels: &[(&str, &str)], count: usize) {
        self.sample(labels, &count.to_string());
    }

    /// A scaled figure.
    fn amount(&mut self, labels: &[(&str, &str)], figure: i128) {
        self.sample(labels, &scaled_text(figure));
    }

    /// A sample per quantity.
    fn row(&mut self, labels: &[(&str, &str)], overview: &Overview, figures: &[i128]) {
        for (Quantity { name, unit, counted }, figure) in overview.quantities.iter().zip(figures) {
            let kind = status::kind(*counted);
            let own = [("kind", kind), ("resource", name.as_str()), ("unit", unit.as_str())];
            self.amount(&[labels, &own].concat(), *figure);
        }
    }
}

/// A label value: backslash, quote and line end are written with a backslash.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bayplan::model::SHARE_ONE;

    #[test]
    fn label_values_are_escaped() {
        let mut page = Page::default();
        page.family("f", "Help.");
        page.sample(&[("a", "x\"\\\ny"), ("b", "é")], &scaled_text(i128::from(SHARE_ONE) / 2));
        assert_eq!(page.text, "# HELP f Help.\n# TYPE f gauge\nf{a=\"x\\\"\\\\\\ny\",b=\"é\"} 0.500000\n");
    }
}
