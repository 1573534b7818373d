//! How good are plans for Google's machine reassignment problem (ROADEF/EURO 2012) in a given time, and how fast is the search?
//!
//! ```sh
//! cargo bench --bench roadef -- --seconds 5,60,300 --seeds 1,2,3 --threads 2 --instances a1_1,b_3
//! cargo bench --bench roadef -- --rates b_1,b_3,b_5,b_9 --threads 2
//! ```
//!
//! As a user would: `import roadef`, `plan --time-limit`, `export roadef`, all of them within the budget of wall time. The
//! referee, written independently, must find the exported assignment feasible and its cost equal to the digit, else the
//! benchmark fails. A Markdown row per run as soon as it ends; then, per instance and budget, median and worst over the seeds
//! against the target: the lowest cost published for 300 seconds on the challenge's machine.
//!
//! `--rates` measures the search alone: candidates per second by threads at a fixed effort, with a checksum of the
//! placement, in which every number of threads must agree.
//!
//! The data is in `../shared` (or `$BAYPLAN_SHARED`). Under `cargo test` it runs an instant on the smallest instance, so that it
//! cannot rot.

mod common;

use bayplan::adapter::roadef;
use bayplan::bulk::{self, Options};
use bayplan::control::Control;
use bayplan::model::{Problem, Snapshot};
use common::{Arguments, PlanFigures, bayplan, checksum, grouped, median, shared_folder};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// What others reached on an instance.
struct Reference {
    name: &'static str,
    /// The winners' own published run, 300 s.
    winners: i128,
    /// Best of any team in the challenge, 300 s.
    best_2012: i128,
    /// Lowest cost seen in public material, in any time, where it is below the other two.
    best_known: Option<i128>,
}

impl Reference {
    /// Lowest cost published for 300 seconds.
    fn target(&self) -> i128 {
        self.winners.min(self.best_2012)
    }

    fn best_known(&self) -> i128 {
        self.best_known.unwrap_or(i128::MAX).min(self.target())
    }
}

const fn reference(name: &'static str, winners: i128, best_2012: i128, best_known: Option<i128>) -> Reference {
    Reference { name, winners, best_2012, best_known }
}

/// Winners: team S41; best of 2012: qualification (A) and final (B) of the challenge; best known: since then. Source: `roadef.md` of the
/// shared references.
const REFERENCES: [Reference; 18] = [
    reference("a1_1", 44_306_501, 44_306_501, None),
    reference("a1_2", 777_912_030, 777_532_896, Some(777_531_842)),
    reference("a1_3", 583_006_422, 583_005_717, None),
    reference("a1_4", 262_125_116, 252_728_589, None),
    reference("a1_5", 727_578_310, 727_578_309, None),
    reference("a2_1", 329, 198, Some(196)),
    reference("a2_2", 746_097_632, 816_523_983, None),
    reference("a2_3", 1_210_644_572, 1_306_868_761, None),
    reference("a2_4", 1_680_615_349, 1_681_353_943, None),
    reference("a2_5", 318_358_949, 336_170_182, None),
    reference("b_1", 3_353_533_859, 3_339_186_879, None),
    reference("b_2", 1_015_569_276, 1_015_553_800, None),
    reference("b_3", 157_091_678, 156_835_787, None),
    reference("b_4", 4_677_962_661, 4_677_823_040, None),
    reference("b_5", 924_769_283, 923_092_380, Some(922_988_809)),
    reference("b_6", 9_525_888_445, 9_525_857_752, None),
    reference("b_8", 1_214_470_739, 1_214_458_817, Some(1_214_419_057)),
    reference("b_9", 15_885_647_774, 15_885_486_698, None),
];

/// Candidates of a rate: some seconds, so that starting threads does not count.
const RATE_CANDIDATES: u64 = 20_000_000;

fn main() {
    let arguments = Arguments::read(&["--seconds", "--seeds", "--threads", "--instances", "--rates", "--allowed"]);
    let data = shared_folder().join("data/roadef");
    if !data.is_dir() {
        assert!(!arguments.is_bench, "the instances are missing: {}", data.display());
        println!("skipped: roadef needs {}", data.display());
        return;
    }
    let threads = arguments.number("--threads", 2);
    let rates = arguments.values("--rates", if arguments.is_bench { "" } else { "a1_1" });
    if !rates.is_empty() {
        print_rates(&data, &rates, threads as usize, if arguments.is_bench { RATE_CANDIDATES } else { 20_000 });
        if arguments.is_bench {
            return;
        }
    }
    let all = REFERENCES.map(|reference| reference.name).join(",");
    let runs = Runs {
        folder: tempfile::tempdir().expect("a temporary folder can be made"),
        referee: referee(arguments.is_bench),
        threads: threads.to_string(),
        data,
    };
    let tiny = |real: &'static str, tiny: &'static str| if arguments.is_bench { real } else { tiny };
    let instances = arguments.values("--instances", if arguments.is_bench { &all } else { "a1_1" });
    let (seconds, seeds) =
        (arguments.numbers("--seconds", tiny("60", "0")), arguments.numbers("--seeds", tiny("1,2,3", "1")));
    // Percent above the target that is no miss yet.
    let allowed: f64 = arguments.values("--allowed", "0")[0].parse().expect("--allowed is a percentage");
    let mut summary = Vec::new();
    println!("bayplan {}, {threads} threads\n", env!("CARGO_PKG_VERSION"));
    println!(
        "| instance | budget s | seed | cost | to best 2012 | to winners | to best known | bound | above bound | moved | \
         effort | M/s per chain | wall s | peak MiB | solver | referee | checksum |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    for name in &instances {
        let instance = Instance::open(&runs, name);
        for seconds in &seconds {
            let mut costs: Vec<i128> = seeds.iter().map(|seed| instance.run(&runs, *seconds, *seed)).collect();
            costs.sort_unstable();
            summary.push(Line { reference: instance.reference, seconds: *seconds, initial: instance.initial, costs });
        }
    }
    print_summary(&summary, allowed);
}

/// What all runs share.
struct Runs {
    data: PathBuf,
    folder: tempfile::TempDir,
    /// Python with the referee; `None` only in the tiny run.
    referee: Option<(&'static str, PathBuf)>,
    threads: String,
}

/// A Python that can run the referee.
fn referee(is_required: bool) -> Option<(&'static str, PathBuf)> {
    let script = shared_folder().join("tools/roadef_check.py");
    let has_numpy = |python: &&str| {
        Command::new(python).args(["-c", "import numpy"]).output().is_ok_and(|output| output.status.success())
    };
    let found = ["python3", "/usr/bin/python3"].into_iter().find(has_numpy).filter(|_| script.is_file());
    assert!(found.is_some() || !is_required, "the referee needs python3 with numpy, and {}", script.display());
    found.map(|python| (python, script))
}

/// An imported instance.
struct Instance {
    reference: &'static Reference,
    model: PathBuf,
    start: PathBuf,
    snapshot: PathBuf,
    import: common::Cost,
    initial: i128,
    bound: i128,
    task_count: u64,
}

impl Instance {
    fn open(runs: &Runs, name: &str) -> Instance {
        let reference = REFERENCES.iter().find(|reference| reference.name == name);
        let reference = reference.unwrap_or_else(|| panic!("there is no instance {name}"));
        let file = |kind: &str| runs.data.join(format!("{kind}_{name}.txt"));
        let (model, start) = (file("model"), file("assignment"));
        let snapshot = runs.folder.path().join(format!("{name}.json"));
        let import = bayplan(&["import", "roadef", text(&model), text(&start), "-o", text(&snapshot)]);
        let records = load(&runs.data, name);
        let problem = Problem::new(&records).expect("the snapshot is sound");
        let initial = bayplan::model::score(&problem, &problem.current).cost() / i128::from(bayplan::model::SHARE_ONE);
        let (bound, task_count) = (pooled_bound(&records), problem.tasks.len() as u64);
        Instance { reference, model, start, snapshot, import, initial, bound, task_count }
    }

    /// One row; gives the cost.
    fn run(&self, runs: &Runs, seconds: u64, seed: u64) -> i128 {
        let (name, threads) = (self.reference.name, runs.threads.as_str());
        let file = |kind: &str| runs.folder.path().join(format!("{name}_{seconds}_{seed}.{kind}"));
        let (plan_file, answer) = (file("plan"), file("answer"));
        // Import and export belong to the budget; the one is known, the other verifies the plan and takes five times as long on b_9.
        let left = Duration::from_secs(seconds).saturating_sub(self.import.wall * 6).max(Duration::from_millis(200));
        let (limit, seed_text) = (format!("{}ms", left.as_millis()), seed.to_string());
        let planned = bayplan(&[
            "plan",
            text(&self.snapshot),
            "--time-limit",
            &limit,
            "--threads",
            threads,
            "--seed",
            &seed_text,
            "--quiet",
            "-o",
            text(&plan_file),
        ]);
        let exported = bayplan(&["export", "roadef", text(&self.snapshot), text(&plan_file), "-o", text(&answer)]);
        let all = self.import.then(planned).then(exported);
        let plan = PlanFigures::read(&plan_file);
        // No task of these instances waits or is worth anything: the objective is the cost, with a minus.
        let cost: i128 = -plan.after.parse::<i128>().expect("costs of these instances are whole");
        let verdict = self.judge(runs, &answer, cost);
        let percent = |other: i128| format!("{:+.4} %", (cost - other) as f64 * 100.0 / other.max(1) as f64);
        let reference = self.reference;
        let (best_2012, winners) = (percent(reference.best_2012), percent(reference.winners));
        let (best_known, above) = (percent(reference.best_known()), percent(self.bound));
        let (cost_text, bound, moves) = (grouped(cost), grouped(self.bound), plan.moves);
        let rate = (plan.effort * self.task_count) as f64 / 1e6 / planned.wall.as_secs_f64();
        let (effort, peak, solver) = (plan.effort, all.peak_mib, &plan.solver);
        // A busy machine shows here: whoever takes longer than the budget has not kept it.
        let over = if all.wall > Duration::from_secs(seconds) && seconds > 0 { " OVER" } else { "" };
        let wall = format!("{:.2}{over}", all.wall.as_secs_f64());
        let sum = answer_checksum(&answer);
        println!(
            "| {name} | {seconds} | {seed} | {cost_text} | {best_2012} | {winners} | {best_known} | {bound} | {above} | {moves} | \
             {effort} | {rate:.1} | {wall} | {peak} | {solver} | {verdict} | {sum:016x} |"
        );
        // A run that is cut off has shown what it knows.
        let _ = std::io::stdout().flush();
        cost
    }

    /// What the referee says.
    ///
    /// # Panics
    /// When it objects: a plan that is not feasible, or a cost that is not ours, is worth no row in any table.
    fn judge(&self, runs: &Runs, answer: &Path, cost: i128) -> &'static str {
        let Some((python, script)) = &runs.referee else { return "absent" };
        let output = Command::new(python).arg(script).arg("-q").args([&self.model, &self.start]).arg(answer).output();
        let output = output.expect("the referee can be started");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let agrees = said.contains(&format!(" FEASIBLE {cost} "));
        let name = self.reference.name;
        assert!(output.status.success() && agrees, "{name}: the referee objects to the cost {cost}: {said}");
        "agrees"
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("paths here are UTF-8")
}

fn load(data: &Path, name: &str) -> Snapshot {
    let read = |kind: &str| std::fs::read(data.join(format!("{kind}_{name}.txt"))).expect("the instance is readable");
    roadef::import(&read("model"), &read("assignment")).expect("the instance is sound")
}

/// No set of machines does better than one machine with all their capacity, since max(0, ·) is convex.
fn pooled_bound(snapshot: &Snapshot) -> i128 {
    let sum = |amounts: &mut dyn Iterator<Item = i64>| amounts.map(i128::from).sum::<i128>();
    let amount = |map: &std::collections::BTreeMap<String, i64>, name: &str| map.get(name).copied().unwrap_or(0);
    let demand = |name: &str| sum(&mut snapshot.tasks.iter().map(|task| amount(&task.requirement, name)));
    let free = |name: &str| sum(&mut snapshot.nodes.iter().map(|node| amount(&node.allocatable, name))) - demand(name);
    let soft = |name: &str| {
        let limits = snapshot.nodes.iter();
        sum(&mut limits.map(|node| {
            amount(if node.soft_limit.contains_key(name) { &node.soft_limit } else { &node.allocatable }, name)
        }))
    };
    let loads = snapshot.resources.iter();
    let load: i128 = loads.map(|r| i128::from(r.load_weight) * (demand(&r.name) - soft(&r.name)).max(0)).sum();
    let terms = snapshot.objective.balance.iter();
    let balance = |b: &bayplan::model::BalanceSpec| {
        i128::from(b.weight) * (i128::from(b.target) * free(&b.resource) - free(&b.other)).max(0)
    };
    load + terms.map(balance).sum::<i128>()
}

/// A checksum of an exported assignment.
fn answer_checksum(path: &Path) -> u64 {
    let bytes = std::fs::read(path).expect("the answer was written");
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3))
}

/// All seeds of an instance and budget.
struct Line {
    reference: &'static Reference,
    seconds: u64,
    initial: i128,
    /// Ascending.
    costs: Vec<i128>,
}

/// Median and worst against the target. The challenge's own score is 100 · (cost − best) / initial cost.
fn print_summary(summary: &[Line], allowed: f64) {
    println!(
        "\n| instance | budget s | seeds | target | median | worst | median to target | worst to target | score | |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for Line { reference, seconds, initial, costs } in summary {
        let target = reference.target();
        let (middle, worst) = (median(costs), *costs.last().expect("there is at least one seed"));
        let percent = |cost: i128| (cost - target) as f64 * 100.0 / target.max(1) as f64;
        let score = (middle - reference.best_2012) as f64 * 100.0 / *initial as f64;
        let mark = match () {
            () if percent(middle) > allowed => "MISS",
            () if percent(worst) > allowed => "miss in the worst case",
            () => "",
        };
        let (name, count, target) = (reference.name, costs.len(), grouped(target));
        let (above, above_worst) = (percent(middle), percent(worst));
        let (middle, worst) = (grouped(middle), grouped(worst));
        println!(
            "| {name} | {seconds} | {count} | {target} | {middle} | {worst} | {above:+.4} % | {above_worst:+.4} % | \
             {score:.4} | {mark} |"
        );
    }
    let mut budgets: Vec<u64> = summary.iter().map(|line| line.seconds).collect();
    budgets.sort_unstable();
    budgets.dedup();
    for budget in budgets {
        let lines: Vec<&Line> = summary.iter().filter(|line| line.seconds == budget).collect();
        let limit = |line: &&&Line| line.reference.target() as f64 * (1.0 + allowed / 100.0);
        let met = lines.iter().filter(|line| median(&line.costs) as f64 <= limit(line)).count();
        println!(
            "\nBudget {budget} s: the median meets the target (allowed: {allowed} % above) on {met} of {}.",
            lines.len()
        );
    }
}

/// Candidates per second by threads. One effort for all, so that they do the same work.
fn print_rates(data: &Path, names: &[String], threads: usize, candidates: u64) {
    println!("| instance | load s | threads | candidates | M/s | checksum |");
    println!("|---|---|---|---|---|---|");
    for name in names {
        let started = Instant::now();
        let problem = Problem::new(&load(data, name)).expect("the snapshot is sound");
        let loaded = started.elapsed().as_secs_f64();
        let effort = (candidates / problem.tasks.len() as u64).max(20);
        let mut sums = Vec::new();
        let mut counts: Vec<usize> =
            std::iter::successors(Some(1), |n| Some(n * 2)).take_while(|n| *n < threads).collect();
        counts.push(threads);
        for threads in counts {
            let started = Instant::now();
            let options = Options { seed: 1, effort: Some(effort), threads, ..Options::default() };
            let outcome = bulk::solve(&problem, &options, &Control::unlimited());
            let rate = outcome.evaluations as f64 / 1e6 / started.elapsed().as_secs_f64();
            let sum = checksum(&outcome.placement);
            println!("| {name} | {loaded:.2} | {threads} | {} | {rate:.1} | {sum:016x} |", outcome.evaluations);
            sums.push(sum);
        }
        assert!(sums.iter().all(|sum| *sum == sums[0]), "{name}: the same effort gives the same plan on any threads");
    }
    println!();
}
