//! Do violations, scores and faults mean what the tables in `src/model` say? Small cases counted by hand, and laws.

mod common;
#[path = "model/faults.rs"]
mod faults;
#[path = "model/laws.rs"]
mod laws;
#[path = "model/points.rs"]
mod points;
#[path = "model/rules.rs"]
mod rules;

use bayplan::model::*;
use common::fixtures::*;

fn problem(snapshot: &Snapshot) -> Problem {
    Problem::new(snapshot).unwrap_or_else(|faults| panic!("{faults}"))
}

/// The current placement with some tasks elsewhere: `("a", "m 1/2")`, `("b", "m devices 0,2")`, `("c", "m 1/2 + n 1/3")`,
/// `("d", "")` for unplaced.
fn changed(problem: &Problem, spots: &[(&str, &str)]) -> Placement {
    let mut placement = problem.current.clone();
    for (task, text) in spots {
        let task = problem.tasks.iter().position(|t| t.name == *task).expect("the task exists");
        let pieces = text.split(" + ").filter(|part| !part.is_empty()).map(|part| piece(problem, part));
        placement.set(TaskId::new(task), Spot::from_pieces(pieces.collect()));
    }
    placement
}

fn piece(problem: &Problem, text: &str) -> Piece {
    let mut words = text.split(' ');
    let name = words.next().expect("a node is named");
    let node = NodeId::new(problem.nodes.iter().position(|n| n.name == name).expect("the node exists"));
    let mut piece = Piece::whole(node);
    match (words.next(), words.next()) {
        (Some("devices"), Some(list)) => {
            piece.devices = list.split(',').map(|d| 1u64 << d.parse::<u32>().expect("a device number")).sum();
        }
        (Some(share), None) => piece.share = Share::parse(share).expect("a share"),
        _ => {}
    }
    piece
}

/// What is broken, one line each.
fn broken(problem: &Problem, spots: &[(&str, &str)]) -> Vec<String> {
    violations(problem, &changed(problem, spots)).iter().map(|violation| violation.describe(problem)).collect()
}
