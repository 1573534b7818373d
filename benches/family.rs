//! How good are plans for clusters that are nothing like ROADEF's? All shapes of `bayplan generate`, against bounds.
//!
//! ```sh
//! cargo bench --bench family -- --seconds 10,60 --seeds 1,2,3 --threads 2 --shapes huge,queue --sizes small,usual,large
//! ```
//!
//! As a user would: `generate`, `plan --time-limit`, `verify`. *small* clusters are planned by the exact solver (which proves or
//! bounds) and by the bulk search, *usual* and *large* ones (100,000 tasks on 5,000 nodes) by the bulk search alone. `--seeds` are
//! the seeds of the clusters; the search has seed 1 throughout.
//!
//! The bound is the best one known for that cluster: *proven* with one of the plans, or *pooled*: no nodes do better than one node
//! with all their capacity. It may be far from what can be reached. *reached* is what was gained, in percent of what is
//! possible at most; a gap of 0 is proven optimal. A Markdown row per run as soon as it ends; then the summary by shape and size.
//!
//! Under `cargo test` it runs a fraction of a second per shape, so that it cannot rot.

mod common;

use bayplan::file;
use bayplan::generate::Shape;
use bayplan::model::{DEVICE_MILLI, Problem, SHARE_ONE, Spot, TaskId, score};
use common::{Arguments, PlanFigures, bayplan};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Nodes and tasks that the exact solver can do something about.
const SMALL: (u64, u64) = (6, 36);
/// And such that only the bulk search can.
const LARGE: (u64, u64) = (5_000, 100_000);
/// So small that even a debug build is done at once.
const TINY: (u64, u64) = (3, 9);

fn main() {
    let arguments = Arguments::read(&["--seconds", "--seeds", "--threads", "--shapes", "--sizes"]);
    let tiny = |real: &'static str, tiny: &'static str| if arguments.is_bench { real } else { tiny };
    let names = Shape::ALL.map(Shape::name).join(",");
    let shapes = arguments.values("--shapes", &names).into_iter().map(|name| {
        let found = Shape::ALL.into_iter().find(|shape| shape.name() == name);
        found.unwrap_or_else(|| panic!("there is no shape {name}"))
    });
    let shapes: Vec<Shape> = shapes.collect();
    let sizes = arguments.values("--sizes", tiny("small,usual", "tiny"));
    let seconds = arguments.numbers("--seconds", tiny("10", "0"));
    let seeds = arguments.numbers("--seeds", tiny("1,2,3", "1"));
    let threads = arguments.number("--threads", 2).to_string();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    println!("bayplan {}, {threads} threads\n", env!("CARGO_PKG_VERSION"));
    println!(
        "| shape | nodes | tasks | seed | solver | budget s | start | objective | bound | from | gap | reached | moves | \
         made s | wall s | peak MiB | status |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    let mut summary: BTreeMap<(usize, u64, &'static str, u64), Vec<f64>> = BTreeMap::new();
    for (s, shape) in shapes.iter().enumerate() {
        for size in &sizes {
            for seed in &seeds {
                let cluster = Cluster::make(folder.path(), *shape, size, *seed);
                for budget in &seconds {
                    for (solver, reached) in cluster.plan(*budget, &threads) {
                        summary.entry((s, cluster.tasks, solver, *budget)).or_default().push(reached);
                    }
                }
            }
        }
    }
    println!("\n| shape | tasks | solver | budget s | clusters | median reached | worst reached |");
    println!("|---|---|---|---|---|---|---|");
    for ((s, tasks, solver, budget), mut reached) in summary {
        reached.sort_unstable_by(f64::total_cmp);
        let (name, count) = (shapes[s].name(), reached.len());
        let (middle, worst) = (reached[(count - 1) / 2], reached[0]);
        println!("| {name} | {tasks} | {solver} | {budget} | {count} | {middle:.2} % | {worst:.2} % |");
    }
}

/// A generated cluster.
struct Cluster {
    shape: Shape,
    nodes: u64,
    tasks: u64,
    seed: u64,
    is_small: bool,
    snapshot: PathBuf,
    made: common::Cost,
    pooled: f64,
}

/// One plan for it.
struct Run {
    solver: &'static str,
    plan: PlanFigures,
    cost: common::Cost,
}

impl Cluster {
    fn make(folder: &Path, shape: Shape, size: &str, seed: u64) -> Cluster {
        let (nodes, tasks) = match size {
            "tiny" => TINY,
            "small" => SMALL,
            "usual" => (shape.nodes().usual, shape.tasks().usual),
            "large" => LARGE,
            _ => panic!("{size} is no size: small, usual or large"),
        };
        let snapshot = folder.join(format!("{}_{size}_{seed}.json", shape.name()));
        let [nodes_text, tasks_text, seed_text] = [nodes, tasks, seed].map(|figure| figure.to_string());
        let made = bayplan(&[
            "generate",
            shape.name(),
            "--nodes",
            &nodes_text,
            "--tasks",
            &tasks_text,
            "--seed",
            &seed_text,
            "-o",
            text(&snapshot),
        ]);
        let bytes = std::fs::read(&snapshot).expect("the snapshot was written");
        let problem = Problem::new(&file::read_snapshot(&bytes).expect("it can be read")).expect("it is sound");
        let is_small = nodes <= SMALL.0;
        Cluster { shape, nodes, tasks, seed, is_small, snapshot, made, pooled: pooled_bound(&problem) }
    }

    /// A row per solver; gives what each reached.
    fn plan(&self, budget: u64, threads: &str) -> Vec<(&'static str, f64)> {
        let solvers: &[&'static str] = if self.is_small { &["exact", "bulk"] } else { &["bulk"] };
        let runs: Vec<Run> = solvers.iter().map(|solver| self.run(solver, budget, threads)).collect();
        // What one run has proven holds for all.
        let proven = runs.iter().filter_map(|run| run.plan.bound).fold(f64::INFINITY, f64::min);
        let (bound, source) = if proven < self.pooled { (proven, "proven") } else { (self.pooled, "pooled") };
        runs.iter().map(|run| (run.solver, self.show(run, budget, bound, source))).collect()
    }

    fn run(&self, solver: &'static str, budget: u64, threads: &str) -> Run {
        let plan_file = self.snapshot.with_extension(format!("{solver}.plan"));
        // The tiny run has a budget of 0.
        let limit = format!("{}ms", (budget * 1000).max(200));
        let cost = bayplan(&[
            "plan",
            text(&self.snapshot),
            "--solver",
            solver,
            "--time-limit",
            &limit,
            "--threads",
            threads,
            "--seed",
            "1",
            "--quiet",
            "-o",
            text(&plan_file),
        ]);
        // A plan that does not hold ends the benchmark.
        bayplan(&["verify", text(&self.snapshot), text(&plan_file)]);
        Run { solver, plan: PlanFigures::read(&plan_file), cost }
    }

    fn show(&self, run: &Run, budget: u64, bound: f64, source: &str) -> f64 {
        let (start, objective) = run.plan.objective;
        assert!(
            objective <= bound + 1e-6 * bound.abs(),
            "{}: {objective} is beyond the bound {bound}",
            self.shape.name()
        );
        let gap = bound - objective;
        // Where nothing can be gained, all of it is.
        let reached = if bound > start { 100.0 * (objective - start) / (bound - start) } else { 100.0 };
        let over = if run.cost.wall.as_secs() >= budget && budget > 0 { " OVER" } else { "" };
        let wall = format!("{:.2}{over}", run.cost.wall.as_secs_f64());
        let (shape, made, peak) = (self.shape.name(), self.made.wall.as_secs_f64(), run.cost.peak_mib);
        let Cluster { nodes, tasks, seed, .. } = self;
        let Run { solver, plan: PlanFigures { moves, status, .. }, .. } = run;
        println!(
            "| {shape} | {nodes} | {tasks} | {seed} | {solver} | {budget} | {start:.0} | {objective:.0} | {bound:.0} | {source} | \
             {gap:.0} | {reached:.2} % | {moves} | {made:.2} | {wall} | {peak} | {status} |"
        );
        // A run that is cut off has shown what it knows.
        let _ = std::io::stdout().flush();
        reached
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("paths here are UTF-8")
}

/// Bound on the objective in points: the value of what one node with all the capacity could run, less the load and balance
/// that it could not avoid. Generated tasks are rigid.
fn pooled_bound(problem: &Problem) -> f64 {
    let width = problem.resources.len();
    let total = |r: usize| problem.node_ids().map(|node| i128::from(problem.allocatable(node)[r])).sum::<i128>();
    let devices: i128 = problem.nodes.iter().map(|node| node.devices.len() as i128 * i128::from(DEVICE_MILLI)).sum();
    let milli = |task: TaskId| {
        problem.tasks[task.index()].device.as_ref().map_or(0, |d| i128::from(d.count) * i128::from(d.milli))
    };
    // Each resource alone, tasks taken by worth per unit: whichever allows least.
    let by_resource = (0..width).map(|r| knapsack(problem, total(r), |task| i128::from(problem.requirement(task)[r])));
    let value = by_resource.chain([knapsack(problem, devices, milli)]).min().expect("devices are always one");
    // What must run in any case; where nothing can be left out, that is everything that runs.
    let forced = |task: &TaskId| {
        !matches!(problem.current.spot(*task), Spot::Unplaced) && !problem.tasks[task.index()].evictable
    };
    let forced: Vec<TaskId> = problem.task_ids().filter(forced).collect();
    let mut cost = 0;
    let used = |r: usize| forced.iter().map(|task| i128::from(problem.requirement(*task)[r])).sum::<i128>();
    for (r, resource) in problem.resources.iter().enumerate() {
        let soft: i128 = problem.node_ids().map(|node| i128::from(problem.soft_limit(node)[r])).sum();
        cost += i128::from(resource.load_weight) * (used(r) - soft).max(0);
    }
    // Balance terms can be relieved by tasks that may run: they count only where there are none.
    if forced.len() == problem.tasks.len() {
        for term in &problem.objective.balance {
            let free = |r: usize| total(r) - used(r);
            let missing = i128::from(term.target) * free(term.resource.index()) - free(term.other.index());
            cost += i128::from(term.weight) * missing.max(0);
        }
    }
    // The start is a bound on nothing, but a bound below it would be our bug.
    let bound = (value - cost) as f64;
    let start = score(problem, &problem.current).objective() / i128::from(SHARE_ONE);
    assert!(bound >= start as f64, "the pooled bound {bound} is below the start {start}");
    bound
}

/// Most weight that fits into `capacity` when one task may be cut (rounded up).
fn knapsack(problem: &Problem, capacity: i128, need: impl Fn(TaskId) -> i128) -> i128 {
    let weight = |task: TaskId| i128::from(problem.tasks[task.index()].weight);
    let mut tasks: Vec<TaskId> = problem.task_ids().collect();
    tasks.sort_by(|a, b| (weight(*b) * need(*a)).cmp(&(weight(*a) * need(*b))));
    let (mut room, mut value) = (capacity, 0);
    for task in tasks {
        if need(task) <= room {
            room -= need(task);
            value += weight(task);
        } else {
            return value + (weight(task) * room + need(task) - 1) / need(task);
        }
    }
    value
}
