//! `bayplan run`: what does a nightly job do? Read, plan, verify, export, publish, and tell the metrics, as one file says.
//!
//! The steps are those of the commands of the same names. All of a run's files are made in a folder that nobody sees; it gets its name
//! when all of them are there, so a run is complete or absent whatever ends it.

mod folder;
mod input;
mod metrics;
mod settings;

use super::args::JobsArg;
use super::args_run::{self, RunArgs};
use super::failure::{Exit, Failure};
use super::io::{Source, Target};
use super::screen::{say, tell};
use super::{add_jobs, export, log, plan, read_planned, signal};
use bayplan::file;
use bayplan::model::{Problem, violations};
use bayplan::plan::{Reason, verify};
use folder::{Draft, Folder};
use jiff::Timestamp;
use serde_json::json;
use settings::Settings;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What is known of a run.
#[derive(Clone)]
struct Record {
    name: String,
    began: Timestamp,
    code: u8,
    is_complete: bool,
    last_success: Option<Timestamp>,
    phases: Vec<(&'static str, Duration)>,
    /// Nodes and tasks.
    size: Option<[usize; 2]>,
    facts: Option<Facts>,
    is_verified: Option<bool>,
}

impl Record {
    /// A run that begins now, of which nothing else is known.
    fn begin(name: &str) -> Record {
        Record {
            name: name.to_string(),
            began: Timestamp::now(),
            code: 0,
            is_complete: false,
            last_success: None,
            phases: Vec::new(),
            size: None,
            facts: None,
            is_verified: None,
        }
    }

    /// Writes the metrics, where there is a place for them.
    fn write_metrics(&self, path: Option<&PathBuf>) -> Result<(), Failure> {
        path.map_or(Ok(()), |path| Target::File(path.clone()).write(metrics::text(self).as_bytes()))
    }
}

/// A plan in figures; points are scaled, pairs are before and after.
#[derive(Clone)]
struct Facts {
    reasons: Vec<Reason>,
    waves: usize,
    objective: [i128; 2],
    violations: [usize; 2],
    waiting: [usize; 2],
    bound: Option<i128>,
    gap: Option<i128>,
    gpu_used: bool,
}

impl Facts {
    fn of(decided: &plan::Decided) -> Facts {
        let plan::Decided { problem, plan, verdict, .. } = decided;
        let states = [&problem.current, &verdict.reached];
        Facts {
            reasons: plan.moves().map(|step| step.reason).collect(),
            waves: plan.waves.len(),
            objective: [plan.objective.0, plan.objective.1],
            violations: states.map(|state| violations(problem, state).len()),
            waiting: states.map(|state| state.spots().iter().filter(|spot| !spot.is_placed()).count()),
            bound: plan.bound,
            gap: plan.gap,
            gpu_used: plan.backend.starts_with("gpu"),
        }
    }

    fn count(&self, reason: Reason) -> usize {
        self.reasons.iter().filter(|known| **known == reason).count()
    }
}

/// Runs the command.
pub fn run(args: &RunArgs) -> Result<Exit, Failure> {
    let text = args.file.read()?;
    let settings = Settings::read(&args.file, &text)?;
    if args.check {
        // Relative to the file, as a run would.
        start_where_the_file_is(&args.file)?;
        let failed =
            |cause| Failure::Io { doing: "use the folder", name: settings.folder.display().to_string(), cause };
        folder::check(&settings.folder).map_err(failed)?;
        say(&format!("{}: sound", args.file));
        return Ok(Exit::Done);
    }
    start_where_the_file_is(&args.file)?;
    log::open(settings.log.as_deref())?;
    let folder = Folder::hold(&settings.folder, &settings.name)?;
    let mut record = Record::begin(&settings.name);
    let about = json!({"run": record.name, "version": env!("CARGO_PKG_VERSION"), "process": std::process::id()});
    tell("started", &format!("run {} of {}", record.name, args.file), about);
    let (metrics, quit) = (settings.metrics.clone(), Record { last_success: folder.last_success(), ..record.clone() });
    signal::before_quitting(move || tell_the_end(metrics.as_ref(), quit));
    let made = make(&settings, &text, &folder, &mut record);
    // From here on a signal waits until the run's end is told: what has its name is no run that was stopped.
    signal::ending();
    let ended = made.and_then(|(draft, exit)| publish(&settings, &folder, draft, &mut record).map(|()| exit));
    record.code = ended.as_ref().map_or_else(Failure::code, |exit| exit.code());
    record.last_success = folder.last_success();
    let told = record.write_metrics(settings.metrics.as_ref());
    // What went wrong first is what the person needs to know.
    ended.as_ref().map_or(Ok(()), |_| told)?;
    if ended.is_ok() {
        let seconds: f64 = record.phases.iter().map(|(_, took)| took.as_secs_f64()).sum();
        tell("finished", &format!("finished in {seconds:.1} s"), json!({"code": record.code, "seconds": seconds}));
    }
    ended
}

/// What a run does before a signal ends it: whatever it has started ends too, and nobody takes the run before it for this one.
fn tell_the_end(metrics: Option<&PathBuf>, record: Record) {
    input::end_for_ever();
    let stopped = Failure::Stopped;
    let _ = stopped.show();
    // Nobody is left to tell that it failed.
    let _ = Record { code: stopped.code(), ..record }.write_metrics(metrics);
}

/// Relative paths in the file start at its own folder, wherever cron starts us.
fn start_where_the_file_is(file: &Source) -> Result<(), Failure> {
    let Source::File(path) = file else { return Ok(()) };
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    let failed = |cause| Failure::Io { doing: "work in", name: folder.display().to_string(), cause };
    std::env::set_current_dir(folder).map_err(failed)
}

/// Makes all of a run's files, in a folder that nobody sees yet.
fn make(settings: &Settings, text: &[u8], folder: &Folder, record: &mut Record) -> Result<(Draft, Exit), Failure> {
    let mut phase = Phase::begin("read");
    let ((draft, problem), stop) =
        signal::read_then_stop_first(Some("the best plan so far is verified and written"), || {
            let draft = folder.draft()?;
            let problem = read(settings, draft.path())?;
            Ok((draft, problem))
        })?;
    let at = draft.path();
    let write = |name: &str, bytes: &[u8]| Target::File(at.join(name)).write(bytes);
    record.size = Some([problem.nodes.len(), problem.tasks.len()]);
    let figures = json!({"nodes": problem.nodes.len(), "tasks": problem.tasks.len(), "snapshot": problem.fingerprint});
    phase.end(record, &format!("{} nodes, {} tasks", problem.nodes.len(), problem.tasks.len()), figures);

    phase = Phase::begin("plan");
    let decided = plan::decide(problem, &settings.plan, stop, phase.began)?;
    let told = decided.told(phase.began.elapsed());
    write("plan.json", &file::write_plan(&decided.problem, &decided.plan))?;
    write("summary.txt", format!("{}\n", told.join("\n")).as_bytes())?;
    let copy = at.join("run.toml");
    let failed = |cause| Failure::Io { doing: "write", name: copy.display().to_string(), cause };
    write_private(&copy, text).map_err(failed)?;
    let facts = Facts::of(&decided);
    phase.end(record, &told[1], facts_json(&facts, &decided));
    record.facts = Some(facts);
    let exit = decided.exit(&settings.plan);
    drop(decided);

    phase = Phase::begin("verify");
    let is_right = is_right(at)?;
    record.is_verified = Some(is_right);
    phase.end(record, "", json!({"holds": is_right}));
    if !is_right {
        return Err(Failure::Bug("internal error: the plan holds, and does not as it was written".into()));
    }

    phase = Phase::begin("export");
    for wanted in &settings.exports {
        let Ok(args) = args_run::export(&wanted.arguments, at, &wanted.file) else {
            return Err(Failure::Usage(format!("export {} is refused", wanted.arguments.join(" "))));
        };
        if export::export(&args)? != Exit::Done {
            return Err(Failure::Bug("internal error: the plan holds, and does not when it is exported".into()));
        }
    }
    let files: Vec<&str> = settings.exports.iter().map(|export| export.file.as_str()).collect();
    phase.end(record, &files.join(", "), json!({"files": files}));
    Ok((draft, exit))
}

/// For the owner alone: the line of a command may hold what others must not know. Nobody sees the folder yet.
fn write_private(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let mut options = std::fs::File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

/// Gives a run's folder its name, and takes away those that are too many.
fn publish(settings: &Settings, folder: &Folder, draft: Draft, record: &mut Record) -> Result<(), Failure> {
    let path = folder.publish(draft, record.began)?;
    record.is_complete = true;
    tell("published", &format!("published {}", path.display()), json!({"folder": path.display().to_string()}));
    let retired = folder.retire(settings.keep, &path)?;
    if !retired.is_empty() {
        tell("retired", &format!("took away {}", retired.join(", ")), json!({"folders": retired}));
    }
    Ok(())
}

/// Gets the snapshot, with what comes on top of it, and writes it down as it is planned for.
fn read(settings: &Settings, at: &Path) -> Result<Problem, Failure> {
    let mut snapshot = settings.input.read(at)?;
    if let Some(jobs) = &settings.plan.jobs.place {
        add_jobs(&mut snapshot, jobs)?;
    }
    let problem = Problem::new(&snapshot)
        .map_err(|faults| Failure::Input { file: format!("snapshot of run {}", settings.name), faults })?;
    Target::File(at.join("snapshot.json")).write(&file::write_snapshot(&snapshot))?;
    Ok(problem)
}

/// True when the plan as written holds for the snapshot as written.
fn is_right(at: &Path) -> Result<bool, Failure> {
    let source = |name: &str| Source::File(at.join(name));
    let (_, problem, plan) = read_planned(&source("snapshot.json"), &JobsArg { place: None }, &source("plan.json"))?;
    Ok(verify(&problem, &plan).is_right())
}

fn facts_json(facts: &Facts, decided: &plan::Decided) -> serde_json::Value {
    let points = |scaled: i128| json!(super::figures::JsonFigure(scaled));
    let moves: serde_json::Map<_, _> = Reason::WORDS
        .into_iter()
        .map(|(word, reason)| (word.to_string(), json!(facts.count(reason))))
        .filter(|(_, count)| *count != json!(0))
        .collect();
    json!({
        "moves": moves, "waves": facts.waves, "objective": facts.objective.map(points),
        "bound": facts.bound.map(points), "gap": facts.gap.map(points), "broken_rules": facts.violations,
        "waiting_tasks": facts.waiting, "solver": decided.plan.solver, "backend": decided.plan.backend,
    })
}

/// A part of a run, and since when.
struct Phase {
    name: &'static str,
    began: Instant,
}

impl Phase {
    fn begin(name: &'static str) -> Phase {
        Phase { name, began: Instant::now() }
    }

    fn end(self, record: &mut Record, text: &str, mut figures: serde_json::Value) {
        let took = self.began.elapsed();
        record.phases.push((self.name, took));
        figures["seconds"] = json!(took.as_secs_f64());
        let text = if text.is_empty() { String::new() } else { format!(": {text}") };
        tell(self.name, &format!("{} ({:.1} s){text}", self.name, took.as_secs_f64()), figures);
    }
}
