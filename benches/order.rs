//! How long does it take to order many moves, and into how many waves?
//!
//! `cargo bench --bench order -- --nodes 5000 --tasks 50000 --per-node 4`. Tasks of one size on nodes with room for four more,
//! and each is to change from a node of one half to one of the other, which pays for each of them. Compared are the waves
//! with the rule of cutting where a move first touches a node that the wave has touched (Ganeti's hbal), and with what no
//! order can do without: the moves through the busiest node, by the cap per node.

mod common;

use bayplan::control::Control;
use bayplan::model::*;
use bayplan::plan::{Ordered, order};
use common::Arguments;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Size of a task; a node has room for four more than it starts with.
const SIZE: i64 = 10;
const SPARE: usize = 4;

fn snapshot(nodes: usize, tasks: usize, per_node: u32) -> Snapshot {
    let load = |name: &str| ResourceSpec { name: name.to_string(), load_weight: 1, ..ResourceSpec::default() };
    let cpu = ResourceSpec { name: "cpu".to_string(), transient: true, ..ResourceSpec::default() };
    let amounts = |list: &[(&str, i64)]| list.iter().map(|(name, amount)| (name.to_string(), *amount)).collect();
    let each = tasks.div_ceil(nodes);
    let host = |n: usize| NodeSpec {
        name: format!("n{n}"),
        allocatable: amounts(&[("cpu", SIZE * (each + SPARE) as i64), ("even", 1 << 20), ("odd", 1 << 20)]),
        soft_limit: amounts(&[(["even", "odd"][n % 2], 0)]),
        ..NodeSpec::default()
    };
    let task = |t: usize| TaskSpec {
        name: format!("t{t}"),
        weight: 1,
        requirement: amounts(&[("cpu", SIZE), (["even", "odd"][t % nodes % 2], 5)]),
        placement: vec![PieceSpec { node: format!("n{}", t % nodes), ..PieceSpec::default() }],
        ..TaskSpec::default()
    };
    Snapshot {
        name: "order".to_string(),
        resources: vec![cpu, load("even"), load("odd")],
        nodes: (0..nodes).map(host).collect(),
        tasks: (0..tasks).map(task).collect(),
        moves: MovesSpec { max_per_node: Some(per_node), ..MovesSpec::default() },
        ..Snapshot::default()
    }
}

/// Each task to a node of the other half, so that each node ends with as many as it had.
fn target(problem: &Problem) -> Placement {
    let nodes = problem.nodes.len();
    let to = |t: usize| {
        // A different odd stride in every layer: a task's neighbours do not stay its neighbours.
        let (layer, n) = (t / nodes, t % nodes);
        NodeId::new((n + 1 + 2 * (layer * 97 + 13)) % nodes)
    };
    Placement::from_spots((0..problem.tasks.len()).map(|t| Spot::On(Piece::whole(to(t)))).collect())
}

/// Waves when a wave ends at the first move that touches a node that it has touched.
fn cut_at_first_conflict(ordered: &Ordered) -> usize {
    let mut touched: BTreeSet<NodeId> = BTreeSet::new();
    let mut waves = 0;
    for step in ordered.waves.iter().flatten() {
        let nodes: Vec<NodeId> = step.from.pieces().iter().chain(step.to.pieces()).map(|piece| piece.node).collect();
        if waves == 0 || nodes.iter().any(|node| touched.contains(node)) {
            touched.clear();
            waves += 1;
        }
        touched.extend(nodes);
    }
    waves
}

fn least_waves(ordered: &Ordered, per_node: u32) -> usize {
    let mut through: BTreeMap<NodeId, usize> = BTreeMap::new();
    for step in ordered.waves.iter().flatten() {
        let pieces = step.from.pieces().iter().chain(step.to.pieces());
        pieces.for_each(|piece| *through.entry(piece.node).or_default() += 1);
    }
    through.into_values().max().unwrap_or(0).div_ceil(per_node as usize)
}

fn main() {
    let arguments = Arguments::read(&["--nodes", "--tasks", "--per-node"]);
    let (nodes, tasks) = if arguments.is_bench { ("5000", "50000") } else { ("20", "200") };
    let number = |name: &str, default: &str| arguments.number(name, default.parse().expect("a default is a number"));
    let (nodes, tasks) = (number("--nodes", nodes) as usize, number("--tasks", tasks) as usize);
    let per_node = number("--per-node", "4") as u32;
    assert!(nodes % 2 == 0, "the two halves have as many nodes each");
    let problem = Problem::new(&snapshot(nodes, tasks, per_node)).unwrap_or_else(|faults| panic!("{faults}"));
    let target = target(&problem);
    let start = Instant::now();
    let ordered = order(&problem, &target, &Control::unlimited());
    let seconds = start.elapsed().as_secs_f64();
    let moves: usize = ordered.waves.iter().map(Vec::len).sum();
    println!("| nodes | moves | blocked | waves | cut at first conflict | at least | seconds |");
    println!("|---|---|---|---|---|---|---|");
    let (waves, cut, least) = (ordered.waves.len(), cut_at_first_conflict(&ordered), least_waves(&ordered, per_node));
    println!("| {nodes} | {moves} | {} | {waves} | {cut} | {least} | {seconds:.2} |", ordered.blocked.len());
    assert!(waves >= least, "no order can do with less");
}
