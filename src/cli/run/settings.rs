//! Is the file of a run sound? Its argument lists are parsed as the commands they are for, and every fault is told at once.

use crate::cli::args::{NotACommand, PlanArgs, duration};
use crate::cli::args_run;
use crate::cli::failure::Failure;
use crate::cli::io::{Source, Target};
use bayplan::file::{self, Run, RunExport};
use bayplan::model::Faults;
use clap::error::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest time that a command may take to print a cluster, where the file does not say.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(600);

/// What a run is to do, checked.
pub struct Settings {
    /// Label of the metrics.
    pub name: String,
    /// Where the snapshot comes from.
    pub input: Input,
    /// What is asked of the plan.
    pub plan: PlanArgs,
    /// What is made of it.
    pub exports: Vec<RunExport>,
    /// Where the folders of runs are.
    pub folder: PathBuf,
    /// How many are kept.
    pub keep: usize,
    /// Where metrics go.
    pub metrics: Option<PathBuf>,
    /// Where records of events go.
    pub log: Option<PathBuf>,
}

/// Where the snapshot comes from.
pub enum Input {
    /// A snapshot as it is.
    Snapshot(Source),
    /// Foreign files, by the arguments of `import`.
    Import(Vec<String>),
    /// A program that prints a snapshot, or what is to be imported.
    Command { line: Vec<String>, timeout: Duration, import: Option<Vec<String>> },
}

impl Settings {
    /// Reads the file; paths in it are left as they are.
    pub fn read(source: &Source, bytes: &[u8]) -> Result<Settings, Failure> {
        let faulty = |faults| Failure::Input { file: source.to_string(), faults };
        let run = file::read_run(bytes).map_err(faulty)?;
        let mut faults = Faults::new();
        let plan = plan_args(&run, &mut faults);
        check_exports(&run, &mut faults);
        let input = input(&run, &mut faults);
        check_targets(&run, source, &mut faults);
        let (Some(plan), Some(input), true) = (plan, input, faults.is_empty()) else { return Err(faulty(faults)) };
        let stem = match source {
            Source::File(path) => path.file_stem().map(|stem| stem.to_string_lossy().into_owned()),
            Source::Stdin => None,
        };
        Ok(Settings {
            name: run.name.or(stem).unwrap_or_else(|| "run".into()),
            input,
            plan,
            exports: run.exports,
            folder: run.folder.into(),
            keep: run.keep as usize,
            metrics: run.metrics.map(PathBuf::from),
            log: run.log.map(PathBuf::from),
        })
    }
}

/// A folder that stands for the one a run will have.
fn some_folder() -> &'static Path {
    Path::new("folder of the run")
}

fn plan_args(run: &Run, faults: &mut Faults) -> Option<PlanArgs> {
    match args_run::plan(&run.plan, some_folder()) {
        Ok(args) => Some(args),
        Err(error) => {
            refuse(faults, "plan.arguments".into(), "plan", &error);
            None
        }
    }
}

fn check_exports(run: &Run, faults: &mut Faults) {
    for (i, RunExport { file, arguments }) in run.exports.iter().enumerate() {
        if let Err(error) = args_run::export(arguments, some_folder(), file) {
            refuse(faults, format!("export[{i}].arguments"), "export", &error);
        }
    }
}

/// Files of a run beside its folders are written at its end, or all the time: what cannot be is told before any work.
fn check_targets(run: &Run, source: &Source, faults: &mut Faults) {
    let base = match source {
        Source::File(path) => path.parent().unwrap_or(Path::new("")),
        Source::Stdin => Path::new(""),
    };
    for (place, file) in [("metrics.file", &run.metrics), ("log.file", &run.log)] {
        if let Some(file) = file
            && let Err(failure) = Target::File(base.join(file)).check()
        {
            faults.add("F305", place, failure.to_string(), "name a file that can be written where it is to go");
        }
    }
}

fn input(run: &Run, faults: &mut Faults) -> Option<Input> {
    let read = &run.read;
    if let Some(import) = &read.import
        && let Err(error) = args_run::import(import, read.command.as_ref().map(|_| some_folder()))
    {
        refuse(faults, "read.import".into(), "import", &error);
    }
    let timeout = read.timeout.as_deref().map_or(Ok(TIMEOUT_DEFAULT), duration);
    if let Err(remedy) = &timeout {
        faults.add("F304", "read.timeout", "it is no span of time", remedy.as_str());
    }
    match (&read.snapshot, &read.command, &read.import) {
        (Some(path), ..) => Some(Input::Snapshot(Source::from(std::ffi::OsString::from(path)))),
        (None, Some(line), import) => {
            Some(Input::Command { line: line.clone(), timeout: timeout.ok()?, import: import.clone() })
        }
        (None, None, import) => import.clone().map(Input::Import),
    }
}

/// Arguments that a command does not take: its own words, in one line.
fn refuse(faults: &mut Faults, place: String, command: &str, error: &NotACommand) {
    let help = format!("see `bayplan {command} --help`");
    let text = match error {
        // The words of these would be the help itself.
        NotACommand::Clap(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            return faults.add("F304", place, format!("it does not say what to {command}"), help);
        }
        NotACommand::Clap(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return faults.add("F304", place, "it asks for help and gives no work", format!("leave that out ({help})"));
        }
        NotACommand::Clap(error) => error.to_string(),
        NotACommand::Contradiction(failure) => failure.to_string(),
    };
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("Usage:"));
    let cause = lines.next().unwrap_or("it is refused");
    let more: Vec<&str> = lines.filter(|line| !line.starts_with("For more information")).collect();
    let remedy = if more.is_empty() { help } else { format!("{} ({help})", more.join(" ")) };
    faults.add("F304", place, cause.strip_prefix("error: ").unwrap_or(cause), remedy);
}
