//! What waits, why, and what would it take?

use super::facts::Facts;
use super::html::{Html, html, name, of_class};
use super::parts::{figures, number, section as part, sentences, table, words};
use crate::cli::explain::what_it_takes;
use crate::cli::figures::grouped;
use bayplan::model::{SHARE_ONE, TaskId};
use bayplan::plan::explain;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Reasons told; where there are more, they are told without their numbers of nodes, and the rest is counted.
const REASON_MAX: usize = 12;
/// Tasks named per reason.
const NAMED_MAX: usize = 3;
/// Heaviest tasks for which a way is looked for.
const WAY_MAX: usize = 5;

/// Tasks that wait for the same reason.
#[derive(Default)]
struct Kind {
    tasks: Vec<TaskId>,
    weight: i128,
}

/// The section.
pub fn section(facts: &Facts<'_>) -> Html {
    if facts.waiting.is_empty() {
        return part("waiting", "What waits", "Nothing: every task has a place.", Html::default());
    }
    let end = if facts.planned.is_some() { " when the plan is done" } else { "" };
    let (waiting, all) = (number(facts.waiting.len()), number(facts.problem.tasks.len()));
    let lead =
        format!("{waiting} of {all} tasks run nowhere{end}. The first rule in the way is counted over all nodes.");
    part("waiting", "What waits", lead, html![reasons(facts), ways(facts)])
}

fn reasons(facts: &Facts<'_>) -> Html {
    let distinct: BTreeSet<&str> = facts.waiting.iter().map(|(_, reason)| reason.as_str()).collect();
    let mut kinds: BTreeMap<String, Kind> = BTreeMap::new();
    for (task, reason) in &facts.waiting {
        let reason = if distinct.len() > REASON_MAX { without_counts(reason) } else { reason.clone() };
        let kind = kinds.entry(reason).or_default();
        kind.tasks.push(*task);
        kind.weight += weight(facts, *task);
    }
    let mut kinds: Vec<(String, Kind)> = kinds.into_iter().collect();
    kinds.sort_by_cached_key(|(reason, kind)| (Reverse(kind.tasks.len()), reason.clone()));
    let row = |(reason, kind): &(String, Kind)| {
        let names = kind.tasks.iter().take(NAMED_MAX).map(|task| name(facts.task_name(*task)));
        let more = if kind.tasks.len() > NAMED_MAX { " …" } else { "" };
        vec![
            reason.into(),
            number(kind.tasks.len()).into(),
            grouped(kind.weight).into(),
            html![Html::listed(names, ", "), more],
        ]
    };
    let rows = kinds.iter().take(REASON_MAX).map(row).collect();
    let rest: usize = kinds.iter().skip(REASON_MAX).map(|(_, kind)| kind.tasks.len()).sum();
    let rest = (rest > 0).then(|| of_class("p", "note", format!("… and {} tasks for other reasons.", number(rest))));
    html![
        table("Why tasks wait", &[sentences("why"), figures("tasks"), figures("weight"), words("such as")], rows),
        rest
    ]
}

/// A reason without its numbers of nodes, so that what differs in nothing else is told once.
fn without_counts(reason: &str) -> String {
    let mut words: Vec<&str> = reason.split(' ').collect();
    for w in 1..words.len() {
        let is_count = words[w - 1].bytes().all(|byte| byte.is_ascii_digit());
        if is_count && words[w].starts_with("node") {
            words[w - 1] = "some";
        }
    }
    words.join(" ").replace("some node,", "some nodes,").replace("some node ", "some nodes ")
}

fn weight(facts: &Facts<'_>, task: TaskId) -> i128 {
    i128::from(facts.problem.tasks[task.index()].weight) * i128::from(SHARE_ONE) / i128::from(facts.problem.value_scale)
}

/// What it would take to start the heaviest.
fn ways(facts: &Facts<'_>) -> Html {
    let mut tasks: Vec<TaskId> = facts.waiting.iter().map(|(task, _)| *task).collect();
    tasks.sort_by_key(|task| (Reverse(weight(facts, *task)), *task));
    let row = |task: &TaskId| {
        let found = explain(facts.problem, &facts.end().placement, *task);
        let fits = found.answers.iter().filter(|answer| answer.obstacle.is_none()).count();
        let way = what_it_takes(facts.problem, &found, fits);
        vec![name(facts.task_name(*task)), grouped(weight(facts, *task)).into(), way.into()]
    };
    let rows = tasks.iter().take(WAY_MAX).map(row).collect();
    table("What it would take to start the heaviest", &[words("task"), figures("weight"), sentences("a way")], rows)
}

#[cfg(test)]
mod tests {
    use super::without_counts;

    #[test]
    fn reasons_lose_their_numbers_of_nodes_only() {
        let reason = "room exists only by moving others: capacity cpu 2 on 11 nodes, device on 1 node";
        assert_eq!(
            without_counts(reason),
            "room exists only by moving others: capacity cpu 2 on some nodes, device on some node"
        );
        assert_eq!(without_counts("fits 1 node now, but"), "fits some nodes now, but");
    }
}
