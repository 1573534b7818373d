//! How long does it take to order many moves, into how many waves, and how much of the gain is reached?
//!
//! `cargo bench --bench order` makes three tables: targets of ROADEF instances and of openb defragmentation, ordered in waves with
//! a cap per node, and many moves at once. `-- --effort 200 --per-node 4 --nodes 5000 --tasks 50000 --only roadef,openb,many`
//! are the defaults. Compared are the waves with the rule of cutting where a move first touches a node that the wave has
//! touched (Ganeti's hbal), and with what no order can do without: the moves through the busiest node, by the cap per node.
//! The many moves are tasks of one size on nodes with room for four more, and each is to change from a node of one half to
//! one of the other, which pays for each of them.

mod common;

use bayplan::adapter::{openb, roadef};
use bayplan::bulk::{self, Options};
use bayplan::control::Control;
use bayplan::model::*;
use bayplan::plan::{Ordered, Reason, order};
use common::{Arguments, shared_folder};
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

/// Orders the way to a target and tells a row; with `effort`, a second one of going on from what was reached.
fn rows(name: &str, problem: &Problem, target: &Placement, effort: Option<u64>) {
    let start = Instant::now();
    let ordered = order(problem, target, &Control::unlimited());
    row(name, problem, target, &ordered, start);
    if let Some(effort) = effort.filter(|_| !ordered.blocked.is_empty()) {
        let options = Options { effort: Some(effort), ..Options::default() };
        let start = Instant::now();
        let ordered = bulk::resume(problem, problem, ordered, &options, &Control::unlimited());
        row(&format!("{name}, resumed"), problem, target, &ordered, start);
    }
}

fn row(name: &str, problem: &Problem, target: &Placement, ordered: &Ordered, start: Instant) {
    let seconds = start.elapsed().as_secs_f64();
    let per_node = problem.moves.max_per_node.expect("every problem here has a cap");
    let (waves, cut, least) = (ordered.waves.len(), cut_at_first_conflict(ordered), least_waves(ordered, per_node));
    let moves = || ordered.waves.iter().flatten();
    let detours = moves().filter(|step| matches!(step.reason, Reason::Park | Reason::Restart)).count();
    let before = score(problem, &problem.current).objective();
    let [wanted, gained] = [target, &ordered.reached].map(|state| score(problem, state).objective() - before);
    let percent = 100.0 * gained as f64 / wanted.max(1) as f64;
    let (count, blocked) = (moves().count(), ordered.blocked.len());
    println!("| {name} | {count} | {detours} | {blocked} | {percent:.1} | {waves} | {cut} | {least} | {seconds:.2} |");
    assert!(waves >= least, "no order can do with less");
}

/// Moves of a plan that was made for one wave, in waves.
fn roadef_rows(per_node: u32, effort: u64) {
    for name in ["b_1", "b_2", "b_3", "b_4", "b_5", "b_6"] {
        let file = |kind: &str| {
            let path = shared_folder().join(format!("data/roadef/{kind}_{name}.txt"));
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let snapshot = roadef::import(&file("model"), &file("assignment")).unwrap_or_else(|faults| panic!("{faults}"));
        let mut problem = Problem::new(&snapshot).unwrap_or_else(|faults| panic!("{faults}"));
        let options = Options { effort: Some(effort), ..Options::default() };
        let target = bulk::solve(&problem, &options, &Control::unlimited()).placement;
        (problem.moves.simultaneous, problem.moves.max_per_node) = (false, Some(per_node));
        rows(name, &problem, &target, Some(effort));
    }
}

/// Moves that free whole nodes of a cluster that FGD filled.
fn openb_rows(per_node: u32, effort: u64) {
    for list in ["default", "gpuspec33"] {
        let file = |path: String| {
            let path = shared_folder().join("data/openb").join(path);
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let nodes = file("openb_node_list_gpu_node.csv".to_string());
        let pods = file(format!("openb_pod_list_{list}.csv"));
        let start = file(format!("start/fgd_base_{list}_seed42.csv"));
        let snapshot = openb::import(&nodes, &pods, Some(&start)).unwrap_or_else(|faults| panic!("{faults}"));
        let mut problem = Problem::new(&snapshot).unwrap_or_else(|faults| panic!("{faults}"));
        problem.moves.max_per_node = Some(per_node);
        let problem = Goal::Defragment.apply(&problem);
        let options = Options { effort: Some(effort), ..Options::default() };
        let target = bulk::solve(&problem, &options, &Control::unlimited()).placement;
        rows(&format!("openb {list}"), &problem, &target, Some(effort));
    }
}

fn main() {
    let arguments = Arguments::read(&["--nodes", "--tasks", "--per-node", "--effort", "--only"]);
    let (nodes, tasks, only) =
        if arguments.is_bench { ("5000", "50000", "many,roadef,openb") } else { ("20", "200", "many") };
    let number = |name: &str, default: &str| arguments.number(name, default.parse().expect("a default is a number"));
    let (nodes, tasks) = (number("--nodes", nodes) as usize, number("--tasks", tasks) as usize);
    let (per_node, effort) = (number("--per-node", "4") as u32, number("--effort", "200"));
    assert!(nodes % 2 == 0, "the two halves have as many nodes each");
    println!(
        "| plan | moves | detours | blocked | % of the gain | waves | cut at first conflict | at least | seconds |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for part in arguments.values("--only", only) {
        match part.as_str() {
            "many" => {
                let snapshot = snapshot(nodes, tasks, per_node);
                let problem = Problem::new(&snapshot).unwrap_or_else(|faults| panic!("{faults}"));
                rows(&format!("{nodes} nodes"), &problem, &target(&problem), None);
            }
            "roadef" => roadef_rows(per_node, effort),
            "openb" => openb_rows(per_node, effort),
            _ => panic!("--only: {part} is none of many, roadef, openb"),
        }
    }
}
