//! What do the benchmarks share? Their arguments, the built binary as a user runs it, and what its plan file says.

#![allow(dead_code, reason = "every benchmark uses its own part of this")]

use bayplan::model::Placement;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often a running command is looked at: often enough for its peak memory, too seldom to disturb it.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// `--name value` pairs after `--bench`, which cargo adds for a real run and leaves out under `cargo test`.
pub struct Arguments {
    list: Vec<String>,
    /// A real run: sizes and budgets as asked for, and nothing that is missing may be skipped.
    pub is_bench: bool,
}

impl Arguments {
    /// What was typed.
    ///
    /// # Panics
    /// At a word that is no argument here: a misspelled one must not become an hour of the wrong work.
    pub fn read(known: &[&str]) -> Arguments {
        let mut list: Vec<String> = std::env::args().skip(1).collect();
        let is_bench = list.iter().any(|word| word == "--bench");
        list.retain(|word| word != "--bench");
        if !is_bench {
            // The words of a test harness (filters, --nocapture, --test-threads) mean nothing to the tiny run.
            list.clear();
        }
        for (i, word) in list.iter().enumerate().step_by(2) {
            assert!(known.contains(&word.as_str()), "{word} is no argument; known are {}", known.join(", "));
            assert!(i + 1 < list.len(), "{word} needs a value");
        }
        Arguments { list, is_bench }
    }

    /// The values of a list, separated by commas.
    pub fn values(&self, name: &str, default: &str) -> Vec<String> {
        let at = self.list.iter().position(|word| word == name);
        let text = at.map_or(default, |i| &self.list[i + 1]);
        text.split(',').filter(|part| !part.is_empty()).map(str::to_string).collect()
    }

    /// The same, as whole numbers.
    pub fn numbers(&self, name: &str, default: &str) -> Vec<u64> {
        let number = |text: String| text.parse().unwrap_or_else(|_| panic!("{name}: {text} is no whole number"));
        self.values(name, default).into_iter().map(number).collect()
    }

    /// One whole number.
    pub fn number(&self, name: &str, default: u64) -> u64 {
        self.numbers(name, &default.to_string())[0]
    }
}

/// The folder of shared real data.
pub fn shared_folder() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    std::env::var_os("BAYPLAN_SHARED").map_or_else(beside, PathBuf::from)
}

/// What a command cost.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// From start to end, as a user waits.
    pub wall: Duration,
    /// Time on processors, in the program and in the system for it; 0 where the system does not tell.
    pub cpu: Duration,
    /// Greatest resident memory; 0 where the system does not tell.
    pub peak_mib: u64,
}

impl Cost {
    /// One after the other.
    pub fn then(self, next: Cost) -> Cost {
        Cost { wall: self.wall + next.wall, cpu: self.cpu + next.cpu, peak_mib: self.peak_mib.max(next.peak_mib) }
    }
}

/// Runs the built binary.
///
/// # Panics
/// When it fails: with what it said.
pub fn bayplan(arguments: &[&str]) -> Cost {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bayplan"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let (started, before) = (Instant::now(), cpu_of_children());
    let mut child = command.spawn().expect("the built binary can be started");
    let (status, peak_mib) = wait(&mut child);
    let (wall, cpu) = (started.elapsed(), cpu_of_children().saturating_sub(before));
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        let _ = std::io::Read::read_to_string(&mut stderr, &mut said);
    }
    assert!(status.success(), "bayplan {} ended with {status}:\n{said}", arguments.join(" "));
    Cost { wall, cpu, peak_mib }
}

/// Processor time of this process, as Linux counts it; 0 where the system does not tell.
pub fn cpu_of_self() -> Duration {
    cpu_at(11)
}

/// Greatest resident memory of this process since it was forgotten; 0 where the system does not tell.
pub fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u64 = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0);
    kib.div_ceil(1024)
}

/// From here on, the peak is counted anew, where the system allows that.
pub fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Processor time of all children that have ended, as Linux counts it: hundredths of a second, 15th and 16th after the name.
fn cpu_of_children() -> Duration {
    cpu_at(13)
}

/// Two figures of that file, so many fields after the name.
fn cpu_at(skipped: usize) -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').skip(skipped).take(2);
    Duration::from_millis(fields.filter_map(|field| field.parse::<u64>().ok()).sum::<u64>() * 10)
}

/// Waits for the end and watches the memory. What the commands here say fits the pipe (they get `--quiet` or say a line).
fn wait(child: &mut Child) -> (std::process::ExitStatus, u64) {
    let status_file = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0;
    loop {
        if let Ok(text) = std::fs::read_to_string(&status_file) {
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
            peak_kib = peak_kib.max(kib.unwrap_or(0));
        }
        if let Some(status) = child.try_wait().expect("our own child can be waited for") {
            return (status, u64::div_ceil(peak_kib, 1024));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// What a plan file says of itself.
#[derive(Debug, Clone)]
pub struct PlanFigures {
    /// Objective at the start and at the end, in points.
    pub objective: (f64, f64),
    /// The same at the end, exactly as written.
    pub after: String,
    /// Proven bound on the objective.
    pub bound: Option<f64>,
    /// `optimal`, `feasible` or `interrupted`.
    pub status: String,
    /// Solver that made it.
    pub solver: String,
    /// Candidates per task that each chain judged.
    pub effort: u64,
    /// Tasks in motion, starts included.
    pub moves: u64,
}

impl PlanFigures {
    /// Reads a plan that the binary wrote.
    pub fn read(path: &Path) -> PlanFigures {
        let plan: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).expect("the plan was written")).expect("a plan is JSON");
        let text = |name: &str| plan[name].as_str().expect("a plan says this").to_string();
        PlanFigures {
            objective: (points(&plan["objective"]["before"]), points(&plan["objective"]["after"])),
            after: plan["objective"]["after"].to_string(),
            bound: plan.get("bound").map(points),
            status: text("status"),
            solver: text("solver"),
            effort: plan["effort"].as_u64().expect("a whole number"),
            moves: plan["summary"]["moves"].as_u64().expect("a whole number"),
        }
    }
}

/// Points of a plan file: a whole number, or a fraction as text.
fn points(value: &serde_json::Value) -> f64 {
    let fraction = || {
        let (top, bottom) = value.as_str()?.split_once('/')?;
        Some(top.parse::<f64>().ok()? / bottom.parse::<f64>().ok()?)
    };
    value.as_f64().or_else(fraction).expect("points are a number or a fraction")
}

/// The same for the same placement on any machine: what two runs with the same seed and effort must agree in.
pub fn checksum(placement: &Placement) -> u64 {
    let node = |spot: &bayplan::model::Spot| spot.node().map_or(u64::MAX, |node| u64::from(node.0));
    let fold = |sum: u64, value: u64| (sum ^ value).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(17);
    placement.spots().iter().map(node).fold(0xCBF2_9CE4_8422_2325, fold)
}

/// A whole number with thousands separated.
pub fn grouped(value: i128) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0 { format!("-{text}") } else { text }
}

/// The middle one; the worse of the two middle ones where their number is even and larger is worse.
pub fn median(sorted: &[i128]) -> i128 {
    sorted[sorted.len() / 2]
}
