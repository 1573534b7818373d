//! What is to be done to which pod, wave by wave? The moves of a plan with the names that Kubernetes knows.

use crate::adapter::notes::{Fate, Notes};
use crate::adapter::shell::check_name;
use crate::model::{Faults, NodeId, Problem, Snapshot, Spot, TaskKind, TaskSpec};
use crate::plan::{Plan, Reason};
use std::collections::HashSet;

/// What a move comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// A waiting pod starts.
    Start,
    /// A pod leaves its node for another one.
    Move,
    /// A virtual machine does.
    Migrate,
    /// A pod leaves its node for none.
    Stop,
}

/// A move of a plan, by names.
pub struct Step<'a> {
    /// Counted from 0.
    pub wave: usize,
    pub deed: Deed,
    pub task: &'a TaskSpec,
    /// Index in the snapshot.
    pub from: Option<usize>,
    pub to: Option<usize>,
    pub reason: Reason,
}

impl Step<'_> {
    /// What the snapshot keeps of the pod under this key.
    pub fn origin(&self, key: &str) -> &str {
        self.task.origin.get(key).map_or("", String::as_str)
    }
}

/// The steps of a plan in its order, and the wave before which they end because a pod would move a second time: the one that its
/// controller makes in place of an evicted one has a name and uid that nobody knows yet.
pub type Known<'a> = (Vec<Step<'a>>, Option<usize>);

/// The steps of a plan as far as they can be known.
///
/// # Errors
/// Tasks that did not come from Kubernetes, or that have names which Kubernetes would not take.
pub fn steps<'a>(
    snapshot: &'a Snapshot,
    problem: &Problem,
    plan: &Plan,
    notes: &mut Notes,
) -> Result<Known<'a>, Faults> {
    let mut faults = Faults::new();
    let mut list = Vec::new();
    let (mut moved, mut unknown) = (HashSet::new(), None);
    let host = |spot: &Spot| spot.pieces().first().map(|piece| piece.node);
    for (w, wave) in plan.waves.iter().enumerate() {
        // A machine keeps its name.
        let is_container = |task: usize| snapshot.tasks[task].kind != TaskKind::Vm;
        if wave.iter().any(|step| is_container(step.task.index()) && moved.contains(&step.task)) {
            unknown = Some(w);
            break;
        }
        for step in wave {
            moved.insert(step.task);
            let task = &snapshot.tasks[step.task.index()];
            check(problem, step.task.index(), task, [host(&step.from), host(&step.to)], &mut faults);
            let deed = match (host(&step.from), host(&step.to)) {
                (None, Some(_)) => Deed::Start,
                (Some(_), None) => Deed::Stop,
                (Some(from), Some(to)) if from != to && task.kind == TaskKind::Vm => Deed::Migrate,
                (Some(from), Some(to)) if from != to => Deed::Move,
                _ => {
                    notes.add(Fate::LeftOut, "changes within a node: which device a pod gets is for its node to say");
                    continue;
                }
            };
            let index = |spot: &Spot| host(spot).map(NodeId::index);
            list.push(Step { wave: w, deed, task, from: index(&step.from), to: index(&step.to), reason: step.reason });
        }
    }
    if faults.is_empty() { Ok((list, unknown)) } else { Err(faults) }
}

fn check(problem: &Problem, index: usize, task: &TaskSpec, nodes: [Option<NodeId>; 2], faults: &mut Faults) {
    let place = || format!("tasks[{index}] {}", task.name);
    for key in ["namespace", "name", "uid"] {
        match task.origin.get(key) {
            None => {
                let remedy = "export the plan of a snapshot that `bayplan import kubernetes` made";
                faults.add("I303", place(), format!("its origin has no {key}"), remedy);
            }
            Some(text) => check_name(place, key, text, faults),
        }
    }
    for key in ["owner_api", "owner_kind", "owner_name", "owner_uid"] {
        if let Some(text) = task.origin.get(key) {
            check_name(place, key, &text.replace('/', "."), faults);
        }
    }
    for node in nodes.into_iter().flatten().map(|node| &problem.nodes[node.index()]) {
        let names = [("name", Some(&node.name)), ("hostname", node.labels.get("kubernetes.io/hostname"))];
        for (key, name) in names.into_iter().filter_map(|(key, name)| Some((key, name?))) {
            check_name(|| format!("node {}", node.name), key, name, faults);
        }
    }
}
