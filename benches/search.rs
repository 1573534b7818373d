//! How fast does the search judge candidates, what does loading cost, and how good is the result after a while?
//!
//! `cargo bench --bench search -- [--seconds 10,60] [--threads 2] [--seed 1] [INSTANCE …]` on the ROADEF/EURO 2012 files in
//! `../shared/data/roadef` (or `$BAYPLAN_SHARED/data/roadef`); a Markdown table on stdout. Under `cargo test` it runs a
//! fraction of a second on whatever is there, so that it cannot rot. Every row ends with a checksum of the placement: two
//! rows with the same seed and effort must agree in it.

use bayplan::adapter::roadef;
use bayplan::bulk::{self, Options};
use bayplan::control::Control;
use bayplan::model::{Placement, Problem, is_moved, scaled_text, score, violations};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    let folder = data_folder();
    if !folder.is_dir() {
        println!("skipped: search needs {}", folder.display());
        return;
    }
    let value = |name: &str| arguments.iter().position(|a| a == name).and_then(|i| arguments.get(i + 1));
    let number = |name: &str, default: u64| value(name).map_or(default, |text| text.parse().expect("a whole number"));
    let seconds: Vec<u64> = value("--seconds").map_or(vec![10, 60], |text| {
        text.split(',').map(|part| part.parse().expect("whole seconds, separated by commas")).collect()
    });
    let is_name = |name: &&String| folder.join(format!("model_{name}.txt")).is_file();
    let mut instances: Vec<String> = arguments.iter().filter(is_name).cloned().collect();
    if instances.is_empty() {
        instances = ["b_1", "b_3", "b_5", "b_9"].map(str::to_string).to_vec();
    }
    let (threads, seed) = (number("--threads", 2) as usize, number("--seed", 1));
    println!(
        "| instance | load s | rate M/s, 1 thread | rate M/s, {threads} threads | seconds | cost | moved | checksum |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for name in if is_bench { instances } else { vec!["a1_1".to_string()] } {
        let started = Instant::now();
        let problem = load(&folder, &name);
        let load = started.elapsed().as_secs_f64();
        // One effort for both, so that they do the same work; small enough to be an aside.
        let effort = if is_bench { (20_000_000 / problem.tasks.len() as u64).max(20) } else { 20 };
        let (one, many) = (rate(&problem, seed, effort, 1), rate(&problem, seed, effort, threads));
        assert_eq!(one.1, many.1, "the same seed and effort give the same plan on any number of threads");
        let budgets = if is_bench { seconds.clone() } else { vec![0] };
        for seconds in budgets {
            let control =
                Control::unlimited().with_time_limit(Duration::from_secs(seconds) + Duration::from_millis(50));
            let outcome = bulk::solve(&problem, &Options { seed, threads, ..Options::default() }, &control);
            assert!(violations(&problem, &outcome.placement).is_empty(), "{name}: the result keeps every rule");
            let cost = scaled_text(score(&problem, &outcome.placement).cost());
            let moved = problem.task_ids().filter(|task| is_moved(&problem, &outcome.placement, *task)).count();
            let checksum = checksum(&outcome.placement);
            println!(
                "| {name} | {load:.2} | {:.1} | {:.1} | {seconds} | {cost} | {moved} | {checksum:016x} |",
                one.0, many.0
            );
        }
    }
    println!("\nPeak memory of the process: {}", peak_memory());
}

fn data_folder() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    std::env::var_os("BAYPLAN_SHARED").map_or_else(beside, PathBuf::from).join("data/roadef")
}

fn load(folder: &Path, name: &str) -> Problem {
    let read = |kind: &str| std::fs::read(folder.join(format!("{kind}_{name}.txt"))).expect("the instance is readable");
    let snapshot = roadef::import(&read("model"), &read("assignment")).expect("the instance is sound");
    Problem::new(&snapshot).expect("the snapshot is sound")
}

/// Million candidates per second, and the checksum of the result.
fn rate(problem: &Problem, seed: u64, effort: u64, threads: usize) -> (f64, u64) {
    let started = Instant::now();
    let options = Options { seed, effort: Some(effort), threads, ..Options::default() };
    let outcome = bulk::solve(problem, &options, &Control::unlimited());
    (outcome.evaluations as f64 / 1e6 / started.elapsed().as_secs_f64(), checksum(&outcome.placement))
}

fn checksum(placement: &Placement) -> u64 {
    let node = |spot: &bayplan::model::Spot| spot.node().map_or(u64::MAX, |node| u64::from(node.0));
    let fold = |sum: u64, value: u64| (sum ^ value).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(17);
    placement.spots().iter().map(node).fold(0xCBF2_9CE4_8422_2325, fold)
}

fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or("unknown on this system".to_string(), |kib| kib.trim().to_string())
}
