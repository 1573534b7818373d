//! `bayplan bench`: how fast is the GPU at the very work that the CPU does, and is the result the same?
//!
//! Every pair is run in turn in one process; a figure is the median of three. Whole rounds (`anneal`), tiles of tasks against
//! all nodes (`score`), whole plans and whole bounds are compared bit for bit.

use super::args::{BackendArg, BenchArgs, ScoreForm};
use super::backend::Backend;
use super::failure::{Exit, Failure};
use super::io::Target;
use super::read_problem;
use super::screen::{say, table};
use bayplan::bound;
use bayplan::bulk::{self, Device, Laps, Race};
use bayplan::control::Control;
use bayplan::gpu::{Error, Timing};
use bayplan::kernel::peak;
use bayplan::model::Problem;
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Runs of which the median counts.
const RUNS: usize = 3;
/// One thread's part of a comparison takes about so long.
const PART_TIME: Duration = Duration::from_secs(2);
/// Most rounds compared.
const ROUNDS_MAX: u32 = 64;
/// Steps of the bounds compared.
const BOUND_STEPS: u32 = 40;
/// Tasks scored against all nodes.
const SCORED_MAX: usize = 4096;

/// Everything measured. Seconds; rates per second.
#[derive(Serialize)]
struct Report {
    device: String,
    driver: String,
    is_software: bool,
    tasks: usize,
    nodes: usize,
    device_bytes: u64,
    operations_per_candidate: u64,
    bytes_per_candidate: u64,
    device_peak: f64,
    thread_peak: f64,
    share_of_device_peak: f64,
    comparisons: Vec<Comparison>,
    transfer_seconds: f64,
    kernels: Option<Vec<Kernel>>,
    objections: Vec<String>,
}

/// The same work on some threads and on the device.
#[derive(Serialize)]
struct Comparison {
    work: &'static str,
    threads: usize,
    amount: u64,
    unit: &'static str,
    cpu_seconds: f64,
    gpu_seconds: f64,
    ratio: f64,
}

#[derive(Serialize)]
struct Kernel {
    name: &'static str,
    dispatches: u32,
    seconds: f64,
}

/// Runs the command.
pub fn run(args: &BenchArgs) -> Result<Exit, Failure> {
    let problem = read_problem(&args.snapshot, None)?;
    let backend = Backend::choose(BackendArg::Gpu, &problem)?;
    let device = backend.device.expect("chosen with a device");
    let report = measure(&problem, &device, args).map_err(|error| Failure::NoDevice(error.to_string()))?;
    let text = match args.output {
        ScoreForm::Json => format!("{}\n", serde_json::to_string_pretty(&report).expect("figures and words only")),
        ScoreForm::Table => as_tables(&report),
    };
    Target::Stdout.write(text.as_bytes())?;
    for objection in &report.objections {
        say(&format!("bayplan: CPU and GPU differ: {objection}"));
    }
    Ok(if report.objections.is_empty() { Exit::Done } else { Exit::Rejected })
}

fn measure(problem: &Problem, device: &Device, args: &BenchArgs) -> Result<Report, Error> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let most = args.threads.map_or(cores, usize::from);
    let mut threads = vec![1, 2, most];
    threads.retain(|count| *count <= most);
    threads.dedup();
    let race = Race::new(problem, device, args.seed, bulk::EFFORT_DEFAULT)?;
    let mut comparisons = Vec::new();
    let mut objections = Vec::new();

    let rounds = rounds_to_run(&race);
    let mut rate = 0.0f64;
    for threads in &threads {
        let (cpu, laps) = median(|| Ok(race.host(rounds, *threads)).map(|run| (run.time, run.outcome)))?;
        let (gpu, landed) = median(|| race.device(rounds).map(|run| (run.time, run.outcome)))?;
        objections.extend(laps.difference(&landed).map(|text| format!("anneal, {rounds} rounds: {text}")));
        comparisons.push(compare("anneal", *threads, laps.evaluations(), "candidates", cpu, gpu));
        comparisons.push(compare("anneal", *threads, u64::from(rounds), "rounds", cpu, gpu));
        rate = rate.max(Laps::evaluations(&laps) as f64 / gpu.as_secs_f64());
    }
    for threads in &threads {
        let (cpu, here) = median(|| Ok(race.host_score(SCORED_MAX, *threads)).map(|run| (run.time, run.outcome)))?;
        let (gpu, there) = median(|| race.device_score(SCORED_MAX).map(|run| (run.time, run.outcome)))?;
        if here != there {
            objections.push("score: another target".to_string());
        }
        let pairs = here.len() as u64 * problem.nodes.len() as u64;
        comparisons.push(compare("score", *threads, pairs, "pairs", cpu, gpu));
    }
    let (transfer, _) = median(|| race.transfer().map(|run| (run.time, ())))?;
    let kernels = race.profile()?.map(|list| list.into_iter().map(Kernel::from).collect());
    let (device_peak, thread_peak) = (device.gpu().peak()?, thread_peak());
    let (operations, bytes) = race.work_per_candidate();
    for threads in &threads {
        let (cpu, gpu, objection) = whole_plans(problem, device, args, *threads);
        comparisons.push(compare("plan", *threads, 1, "plans", cpu, gpu));
        objections.extend(objection);
        let (cpu, gpu, objection) = whole_bounds(problem, device, *threads);
        comparisons.push(compare("bound", *threads, 1, "bounds", cpu, gpu));
        objections.extend(objection);
    }
    let about = &device.gpu().about;
    Ok(Report {
        device: about.name.clone(),
        driver: about.driver.clone(),
        is_software: about.is_software(),
        tasks: problem.tasks.len(),
        nodes: problem.nodes.len(),
        device_bytes: device.bytes(),
        operations_per_candidate: operations,
        bytes_per_candidate: bytes,
        device_peak,
        thread_peak,
        share_of_device_peak: rate * operations as f64 / device_peak,
        comparisons,
        transfer_seconds: transfer.as_secs_f64(),
        kernels,
        objections,
    })
}

/// As many rounds as one thread does in about [`PART_TIME`].
fn rounds_to_run(race: &Race<'_>) -> u32 {
    let one = race.host(1, 1).time.max(Duration::from_micros(1));
    ((PART_TIME.as_nanos() / one.as_nanos()) as u32).clamp(2, ROUNDS_MAX)
}

/// The median time of some runs, and what the last one gave.
fn median<T>(mut run: impl FnMut() -> Result<(Duration, T), Error>) -> Result<(Duration, T), Error> {
    let mut times = Vec::new();
    let mut last = None;
    for _ in 0..RUNS {
        let (time, outcome) = run()?;
        times.push(time);
        last = Some(outcome);
    }
    times.sort();
    Ok((times[RUNS / 2], last.expect("there was a run")))
}

fn compare(
    work: &'static str,
    threads: usize,
    amount: u64,
    unit: &'static str,
    cpu: Duration,
    gpu: Duration,
) -> Comparison {
    let (cpu_seconds, gpu_seconds) = (cpu.as_secs_f64(), gpu.as_secs_f64());
    Comparison { work, threads, amount, unit, cpu_seconds, gpu_seconds, ratio: cpu_seconds / gpu_seconds }
}

impl From<Timing> for Kernel {
    fn from(timing: Timing) -> Kernel {
        Kernel { name: timing.kernel, dispatches: timing.dispatches, seconds: timing.nanoseconds / 1e9 }
    }
}

/// Whole searches of the same effort: since they end at the same placement, this is the time to equal cost.
fn whole_plans(
    problem: &Problem,
    device: &Device,
    args: &BenchArgs,
    threads: usize,
) -> (Duration, Duration, Option<String>) {
    let options = bulk::Options { seed: args.seed, effort: Some(args.effort), threads, ..bulk::Options::default() };
    let timed = |options: &bulk::Options| {
        let started = Instant::now();
        let outcome = bulk::solve(problem, options, &Control::unlimited());
        (started.elapsed(), outcome)
    };
    let (cpu, here) = timed(&options);
    let (gpu, there) = timed(&bulk::Options { device: Some(device.clone()), ..options });
    let objection = match there.troubles.first() {
        Some(trouble) => Some(format!("plan: {}", trouble.text)),
        None => (here.placement != there.placement).then(|| "plan: another placement".to_string()),
    };
    (cpu, gpu, objection)
}

/// Whole bounds with the same number of steps: the time to the same prices.
fn whole_bounds(problem: &Problem, device: &Device, threads: usize) -> (Duration, Duration, Option<String>) {
    let timed = |device: Option<bound::Device>| {
        let started = Instant::now();
        let options = bound::Options { steps: Some(BOUND_STEPS), threads, device, ..bound::Options::default() };
        let proof = bound::bound(problem, &options, &Control::unlimited());
        (started.elapsed(), proof)
    };
    let priced = bound::Device::new(Arc::clone(device.gpu()));
    let (cpu, here) = timed(None);
    let (gpu, there) = timed(Some(priced.clone()));
    let objection = priced.trouble().or_else(|| (here != there).then(|| "other prices".to_string()));
    (cpu, gpu, objection.map(|text| format!("bound: {text}")))
}

/// 32-bit multiply-adds per second of one thread.
fn thread_peak() -> f64 {
    let turns = 200_000;
    let started = Instant::now();
    std::hint::black_box(peak::chains(std::hint::black_box(1), turns));
    f64::from(turns) * f64::from(peak::UNROLL) * peak::CHAINS as f64 / started.elapsed().as_secs_f64()
}

fn as_tables(report: &Report) -> String {
    let si = |value: f64| match value {
        v if v >= 1e12 => format!("{:.2} T", v / 1e12),
        v if v >= 1e9 => format!("{:.2} G", v / 1e9),
        v if v >= 1e6 => format!("{:.2} M", v / 1e6),
        v if v >= 1e3 => format!("{:.2} k", v / 1e3),
        v => format!("{v:.2}"),
    };
    let mut text = format!(
        "{} ({}), {} tasks, {} nodes, up to {} MiB on the device\n",
        report.device,
        report.driver,
        report.tasks,
        report.nodes,
        report.device_bytes.div_ceil(1 << 20)
    );
    if report.is_software {
        text.push_str("A program that acts as a GPU: this shows equality, not speed.\n");
    }
    let rows: Vec<Vec<String>> = report
        .comparisons
        .iter()
        .map(|c| {
            let rate = |seconds: f64| format!("{}/s", si(c.amount as f64 / seconds));
            let cells = [rate(c.cpu_seconds), rate(c.gpu_seconds), format!("{:.2}", c.ratio)];
            [format!("{}, {}", c.work, c.unit), c.threads.to_string()].into_iter().chain(cells).collect()
        })
        .collect();
    text.push_str(&format!("\n{}\n", table(&["work", "threads", "CPU", "GPU", "GPU / CPU"], &rows, true)));
    let mut rows: Vec<Vec<String>> = vec![vec![
        "state to the device and back".to_string(),
        String::new(),
        format!("{:.1}", report.transfer_seconds * 1e6),
    ]];
    for kernel in report.kernels.iter().flatten() {
        let (name, count) = (kernel.name.to_string(), kernel.dispatches.to_string());
        rows.push(vec![name, count, format!("{:.1}", kernel.seconds * 1e6)]);
    }
    text.push_str(&format!("\n{}\n", table(&["one round", "dispatches", "µs"], &rows, true)));
    text.push_str(&format!(
        "\nA candidate takes about {} integer operations and {} bytes; the device does {} multiply-adds per second, one\n\
         thread {}; annealing uses {:.1} % of the device's peak.\n",
        report.operations_per_candidate,
        report.bytes_per_candidate,
        si(report.device_peak),
        si(report.thread_peak),
        report.share_of_device_peak * 100.0
    ));
    let verdict = if report.objections.is_empty() { "CPU and GPU agree in every bit." } else { "CPU and GPU differ." };
    text.push_str(&format!("{verdict}\n"));
    text
}
