//! How many failures can be looked at in a second, on one thread, on several, on a GPU?
//!
//! `cargo bench --bench drill -- [--nodes 5000] [--tasks 100000] [--threads 1,2] [--seed 1] [--backends cpu,gpu]` makes a cluster
//! (`balance`, racks of 20, zones of 25 racks) and lets each node, each rack and each zone fail, level by level: a Markdown row each. Timed
//! is the first look at all scenarios with its proofs and judgements, as `bayplan drill --time-limit 0s` has it, without reading; what that
//! leaves open is told. The peak of memory is that of the process in that row, cluster included. A GPU that is a program is no GPU here.
//!
//! The checksum is of every recovery: on any number of threads and any device the same, or the benchmark ends. Under `cargo test` it runs a
//! few dozen nodes, so that it cannot rot.

mod common;

use bayplan::bulk::Device;
use bayplan::control::Control;
use bayplan::drill::{Drill, Options, drill};
use bayplan::generate::{Order, Shape, Wish, generate};
use bayplan::gpu::Gpu;
use bayplan::model::{LevelId, Placement, Problem, Snapshot};
use common::{Arguments, checksum, cpu_of_self, forget_peak, grouped, peak_mib};
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Racks of a zone.
const RACKS: usize = 25;

fn main() {
    let arguments = Arguments::read(&["--nodes", "--tasks", "--threads", "--seed", "--backends"]);
    let size = |name: &str, real: u64, tiny: u64| arguments.number(name, if arguments.is_bench { real } else { tiny });
    let (nodes, tasks) = (size("--nodes", 5_000, 60), size("--tasks", 100_000, 600));
    let wish = Wish { nodes: Some(nodes), tasks: Some(tasks), seed: arguments.number("--seed", 1), ..Wish::default() };
    let order = Order::new(Shape::Balance, wish).expect("the size is one that can be generated");
    let problem = Problem::new(&zoned(generate(&order))).expect("a generated cluster is right");
    let problem = problem.settled(&problem.current);
    let backends = arguments.values("--backends", "cpu,gpu");
    let is_asked = |backend: &str| backends.iter().any(|one| one == backend);
    let mut ways: Vec<(String, usize, Option<Device>)> = Vec::new();
    if is_asked("cpu") {
        ways.extend(arguments.numbers("--threads", "1,2").into_iter().map(|n| ("cpu".to_string(), n as usize, None)));
    }
    match Gpu::open(false).and_then(|gpu| Device::new(Arc::new(gpu), &problem)) {
        Ok(device) if is_asked("gpu") => ways.push((device.gpu().about.name.clone(), 0, Some(device))),
        Err(why) if is_asked("gpu") => println!("no GPU: {why}\n"),
        _ => {}
    }
    println!("bayplan {}, {order}\n", env!("CARGO_PKG_VERSION"));
    println!(
        "| what fails | backend | threads | scenarios | survive | fail | open | wall s | CPU s | scenarios/s | peak MiB | checksum |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    for level in (0..problem.levels.len()).map(LevelId::new) {
        let sums: Vec<u64> =
            ways.iter().map(|(name, threads, device)| row(&problem, level, name, *threads, device)).collect();
        assert!(sums.windows(2).all(|pair| pair[0] == pair[1]), "threads and devices find the same recoveries");
    }
}

/// The cluster with its racks in zones.
fn zoned(mut snapshot: Snapshot) -> Snapshot {
    snapshot.levels.push("zone".to_string());
    let mut racks: Vec<String> = Vec::new();
    for node in &mut snapshot.nodes {
        let rack = node.domains["rack"].clone();
        let at = racks.iter().position(|known| *known == rack).unwrap_or_else(|| {
            racks.push(rack);
            racks.len() - 1
        });
        node.domains.insert("zone".to_string(), format!("zone-{}", at / RACKS));
    }
    snapshot
}

fn row(problem: &Problem, level: LevelId, backend: &str, threads: usize, device: &Option<Device>) -> u64 {
    let options = Options { levels: vec![level], threads, device: device.clone(), ..Options::default() };
    forget_peak();
    let (started, cpu) = (Instant::now(), cpu_of_self());
    let found = drill(problem, &options, &Control::unlimited().with_time_limit(Duration::ZERO));
    let (wall, cpu) = (started.elapsed().as_secs_f64(), (cpu_of_self() - cpu).as_secs_f64());
    assert!(found.trouble.is_none(), "{backend}: {:?}", found.trouble);
    let (tally, sum) = (found.tallies[0], sum(&found));
    let threads = if threads == 0 { "all".to_string() } else { threads.to_string() };
    println!(
        "| one {} | {backend} | {threads} | {} | {} | {} | {} | {wall:.2} | {cpu:.2} | {} | {} | {sum:016x} |",
        problem.levels[level.index()].name,
        grouped(tally.scenarios as i128),
        grouped(tally.survives as i128),
        tally.fails,
        tally.unknown,
        grouped((tally.scenarios as f64 / wall.max(1e-9)) as i128),
        peak_mib(),
    );
    // A run that is cut off has shown what it knows.
    let _ = std::io::stdout().flush();
    sum
}

/// Of every recovery.
fn sum(found: &Drill) -> u64 {
    let one = |spots: &[bayplan::model::Spot]| checksum(&Placement::from_spots(spots.to_vec()));
    found.drilled.iter().fold(0, |sum: u64, drilled| sum.rotate_left(7) ^ one(&drilled.spots))
}
