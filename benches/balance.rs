//! How even is the load after `--goal balance`, what does it cost in moves and CPU time, and how do other balancers do?
//!
//! `cargo bench --bench balance -- [--effort 1000,10000] [--moves 1,10] [--threads 1] [--seed 1] [FOLDER …]` on the clusters in
//! `../shared/data/balance` (or `$BAYPLAN_SHARED/data/balance`), or in folders with a `nodes.csv` and a `tasks.csv`; a Markdown
//! table on stdout. `--moves` multiplies the price of a move that the goal sets. Under `cargo test` it runs a fraction of a
//! second, so that it cannot rot.
//!
//! Utilisation is used / capacity of a node that has any; its standard deviation and variance are over these nodes, "sum
//! var" is the sum over the resources. CPU seconds are those of this process from reading to the plan, its verification left out.

use bayplan::adapter::table::{self, SoftLimit};
use bayplan::bulk::{self, Options};
use bayplan::control::Control;
use bayplan::model::{Goal, Placement, Problem, ResourceId, SHARE_ONE, Usage, is_moved, violations};
use bayplan::plan::{self, Meta, Status};
use std::path::{Path, PathBuf};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    let value = |name: &str| arguments.iter().position(|a| a == name).and_then(|i| arguments.get(i + 1));
    let number = |name: &str, default: u64| value(name).map_or(default, |text| text.parse().expect("a whole number"));
    let list = |name: &str, default: &str| -> Vec<f64> {
        let text = value(name).map_or(default, String::as_str);
        text.split(',').map(|part| part.parse().expect("numbers, separated by commas")).collect()
    };
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let shared = std::env::var_os("BAYPLAN_SHARED").map_or_else(beside, PathBuf::from).join("data/balance");
    let mut folders: Vec<PathBuf> = arguments.iter().map(PathBuf::from).filter(|path| path.is_dir()).collect();
    if folders.is_empty() {
        folders = ["bal_1000_50", "bal_10000_500"].map(|name| shared.join(name)).to_vec();
    }
    folders.retain(|folder| folder.join("nodes.csv").is_file());
    if !is_bench {
        folders.truncate(1);
    }
    if folders.is_empty() {
        println!("skipped: balance needs {}", shared.display());
        return;
    }
    let efforts = list("--effort", if is_bench { "1000,10000" } else { "20" });
    let prices = list("--moves", if is_bench { "1" } else { "1,10" });
    let (threads, seed) = (number("--threads", 1) as usize, number("--seed", 1));
    println!(
        "| tasks × nodes | effort | move price | CPU s | tasks moved | max / std by resource | sum var | peak MiB |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for folder in folders {
        let started = cpu_seconds();
        let problem = Goal::Balance.apply(&load(&folder));
        let reading = cpu_seconds() - started;
        row(&problem, &problem.current, "–", "start", "–");
        for effort in &efforts {
            for price in &prices {
                let mut problem = problem.clone();
                let points = problem.objective.task_move_weight as f64 * price;
                problem.objective.task_move_weight = points.round() as i64;
                let options = Options { seed, threads, effort: Some(*effort as u64), ..Options::default() };
                let started = cpu_seconds();
                let outcome = bulk::solve(&problem, &options, &Control::unlimited());
                let meta = Meta {
                    solver: "bulk".into(),
                    seed,
                    effort: outcome.effort,
                    backend: "cpu".into(),
                    status: Status::Feasible,
                    bound: None,
                    proof: None,
                    blockers: None,
                };
                let plan = plan::build(&problem, &outcome.placement, meta, &Control::unlimited());
                let seconds = reading + cpu_seconds() - started;
                let verdict = plan::verify(&problem, &plan);
                assert!(verdict.is_right(), "the plan holds: {:?}", verdict.violations.first());
                assert!(violations(&problem, &verdict.reached).is_empty(), "the result keeps every rule");
                let price = format!("{price} × {}", problem.objective.task_move_weight as f64 / price);
                row(&problem, &verdict.reached, &effort.to_string(), &price, &format!("{seconds:.1}"));
            }
        }
    }
}

fn load(folder: &Path) -> Problem {
    let read = |name: &str| std::fs::read(folder.join(name)).expect("the cluster is readable");
    let snapshot =
        table::import(&read("nodes.csv"), &read("tasks.csv"), SoftLimit::None).expect("the tables are sound");
    Problem::new(&snapshot).expect("the snapshot is sound")
}

fn row(problem: &Problem, placement: &Placement, effort: &str, price: &str, seconds: &str) {
    let usage = Usage::of(problem, placement);
    let mut spread = Vec::new();
    let mut sum = 0.0;
    for (r, resource) in problem.resources.iter().enumerate() {
        let nodes = problem.node_ids().filter(|node| problem.allocatable(*node)[r] > 0);
        let utilisation = |node| {
            let used = usage.amount(node, ResourceId::new(r)) as f64 / f64::from(SHARE_ONE);
            used / problem.allocatable(node)[r] as f64
        };
        let list: Vec<f64> = nodes.map(utilisation).collect();
        let mean = list.iter().sum::<f64>() / list.len() as f64;
        let variance = list.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / list.len() as f64;
        let most = list.iter().copied().fold(0.0, f64::max);
        spread.push(format!("{} {most:.4} / {:.5}", resource.name, variance.sqrt()));
        sum += variance;
    }
    let moved = problem.task_ids().filter(|task| is_moved(problem, placement, *task)).count();
    println!(
        "| {} × {} | {effort} | {price} | {seconds} | {moved} | {} | {sum:.6} | {} |",
        problem.tasks.len(),
        problem.nodes.len(),
        spread.join(", "),
        status_figure("VmHWM:") / 1024,
    );
}

/// User and system time of this process.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name, which is in parentheses and may contain anything: state, then 10 figures, then utime and stime.
    let figures: Vec<&str> = text.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| figures.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(f64::NAN);
    (ticks(11) + ticks(12)) / 100.0
}

fn status_figure(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("").to_string();
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0)
}
