//! Which tasks and nodes is a plan about? `--drain`, `--exclude` and `--only-overloaded` as a narrower problem.

use super::args_waves::FocusArgs;
use super::failure::Failure;
use bayplan::model::{NodeId, Problem, TaskId};
use std::borrow::Cow;

/// Narrows the problem. What is asked for must exist: a misspelled name must not leave a node full.
pub fn narrow(problem: &mut Problem, args: &FocusArgs) -> Result<(), Failure> {
    let has_node = |name: &String| problem.nodes.iter().any(|node| node.name == *name);
    if let Some(name) = args.drain.iter().find(|name| !has_node(name)) {
        return Err(nothing("--drain", name, "node"));
    }
    let has_task = |selector: &String| problem.task_ids().any(|task| selects(problem, selector, task));
    if let Some(selector) = args.exclude.iter().find(|selector| !has_task(selector)) {
        return Err(nothing("--exclude", selector, "task"));
    }
    narrow_to_what_is_left(problem, args);
    Ok(())
}

/// Narrows the problem by what is there of what is asked for: later on, a node may be gone.
pub fn narrow_to_what_is_left(problem: &mut Problem, args: &FocusArgs) {
    let drained = |node: &NodeId| args.drain.contains(&problem.nodes[node.index()].name);
    let nodes: Vec<NodeId> = problem.node_ids().filter(drained).collect();
    problem.drain(&nodes);
    let excluded = |task: &TaskId| args.exclude.iter().any(|selector| selects(problem, selector, *task));
    let tasks: Vec<TaskId> = problem.task_ids().filter(excluded).collect();
    tasks.iter().for_each(|task| problem.tasks[task.index()].pinned = true);
}

/// True when the search counts the points of the problem itself: else a bound on these says nothing about those.
pub fn keeps_points(problem: &Problem, args: &FocusArgs) -> bool {
    !args.narrows() && !problem.nodes.iter().any(|node| node.draining)
}

/// The problem as the search is to see it.
pub fn searched<'a>(problem: &'a Problem, args: &FocusArgs) -> Cow<'a, Problem> {
    let mut problem = Cow::Borrowed(problem);
    if problem.nodes.iter().any(|node| node.draining) {
        problem = Cow::Owned(problem.evacuated());
    }
    if args.only_overloaded {
        problem = Cow::Owned(problem.repair_only());
    }
    problem
}

fn nothing(option: &str, text: &str, what: &str) -> Failure {
    Failure::Usage(format!("{option}: the snapshot has no {what} {text:?}"))
}

/// True when the selector (`key=pattern`, or a pattern for the name) means this task.
fn selects(problem: &Problem, selector: &str, task: TaskId) -> bool {
    let spec = &problem.tasks[task.index()];
    match selector.split_once('=') {
        Some(("group", pattern)) => spec.group.is_some_and(|g| matches(pattern, &problem.groups[g.index()].name)),
        Some(("node", pattern)) => {
            let pieces = problem.current.spot(task).pieces();
            pieces.iter().any(|piece| matches(pattern, &problem.nodes[piece.node.index()].name))
        }
        Some(("kind", pattern)) => matches(pattern, spec.kind.word()),
        Some(("task", pattern)) => matches(pattern, &spec.name),
        _ => matches(selector, &spec.name),
    }
}

/// `*` stands for any text, everything else for itself.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let tail = parts.pop().unwrap_or("");
    for part in parts {
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_stand_for_any_text() {
        let yes =
            [("web-1", "web-1"), ("web-*", "web-"), ("*-1", "web-1"), ("w*b*1", "web-1"), ("*", ""), ("a*a", "aa")];
        let no = [("web", "web-1"), ("web-*", "we"), ("*-2", "web-1"), ("a*a", "a"), ("w*x*1", "web-1")];
        assert!(yes.iter().all(|(pattern, text)| matches(pattern, text)));
        assert!(no.iter().all(|(pattern, text)| !matches(pattern, text)));
    }
}
