//! What was typed for `run`, and how do the argument lists in its file become commands?

use super::args::{Command, ExportArgs, NotACommand, PlanArgs, parse, source};
use super::args_import::ImportFormat;
use super::io::Source;
use clap::Args;
use std::ffi::OsString;
use std::path::Path;

/// Options of `run`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bayplan run nightly.toml
  bayplan run nightly.toml --check && echo the file is sound

The file (TOML; relative paths in it start at its own folder):
  format = \"bayplan-run/1\"
  name = \"nightly\"                                  # label of the metrics [default: name of the file]
  [read]                                            # snapshot = FILE, or import = [...], or a command:
  command = [\"sh\", \"-c\", \"cat nodes.csv\"]           # what it prints is the snapshot, or '-' in import
  timeout = \"5m\"                                    # [default: 10m]
  import = [\"csv\", \"-\", \"tasks.csv\"]                # as after `bayplan import`
  [plan]
  arguments = [\"--max-moves\", \"50\"]                 # as after `bayplan plan`, without snapshot and -o
  [[export]]                                        # any number of them
  file = \"moves.ndjson\"
  arguments = [\"ndjson\"]                            # as after `bayplan export`, without snapshot, plan and -o
  [output]
  folder = \"runs\"                                   # gets a folder per run, and a link `latest` to the newest
  keep = 14                                         # [default: 30]
  [metrics]
  file = \"textfile_collector/bayplan.prom\"          # for Prometheus
  [log]
  file = \"bayplan.log\"                              # JSON records; without it they go to stderr, or lines to a terminal

A run's folder appears complete or not at all: snapshot.json, plan.json, summary.txt, run.toml and the exports. One run at a
time works in a folder of output; a second one ends with code 1. The first SIGTERM ends the search, and the run goes on with the best
verified plan (while it still reads, it ends with code 130); a second one quits. The exit codes are those of `bayplan plan`.")]
pub struct RunArgs {
    /// File that says what to read, decide and write (`-` = stdin)
    #[arg(value_name = "FILE", value_parser = source())]
    pub file: Source,
    /// Check the file, and do nothing else
    #[arg(long)]
    pub check: bool,
}

/// `import` with these arguments; `-` in them stands for `printed` where that is given.
pub fn import(arguments: &[String], printed: Option<&Path>) -> Result<ImportFormat, NotACommand> {
    let argument = |text: &String| match printed {
        Some(path) if text == "-" => path.into(),
        _ => text.into(),
    };
    match parse(line("import", arguments.iter().map(argument), &[]))? {
        Command::Import(args) => Ok(args.format),
        _ => unreachable!("the line begins with import"),
    }
}

/// `plan` with these arguments, for a snapshot and an output in `folder`.
pub fn plan(arguments: &[String], folder: &Path) -> Result<PlanArgs, NotACommand> {
    let files = ["-o".into(), folder.join("plan.json").into(), folder.join("snapshot.json").into()];
    match parse(line("plan", arguments.iter().map(OsString::from), &files))? {
        Command::Plan(args) => Ok(args),
        _ => unreachable!("the line begins with plan"),
    }
}

/// `export` with these arguments, of the plan in `folder` into `file` there.
pub fn export(arguments: &[String], folder: &Path, file: &str) -> Result<ExportArgs, NotACommand> {
    let [snapshot, plan, output] = ["snapshot.json", "plan.json", file].map(|name| folder.join(name).into());
    match parse(line("export", arguments.iter().map(OsString::from), &["-o".into(), output, snapshot, plan]))? {
        Command::Export(args) => Ok(args),
        _ => unreachable!("the line begins with export"),
    }
}

fn line(command: &str, arguments: impl Iterator<Item = OsString>, files: &[OsString]) -> Vec<OsString> {
    let head = ["bayplan".into(), command.into()];
    head.into_iter().chain(arguments).chain(files.iter().cloned()).collect()
}
