//! How does a run get its snapshot? A file, an import, or a command that prints either.

use super::settings::Input;
use crate::cli::args_run;
use crate::cli::failure::Failure;
use crate::cli::io::Source;
use crate::cli::{faulty, import, screen};
use bayplan::file;
use bayplan::model::Snapshot;
use serde_json::json;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often a command at work is looked after.
const PAUSE: Duration = Duration::from_millis(20);
/// Most that is told of what a command says on stderr: the end, in characters.
const SAID_MAX: usize = 2000;

impl Input {
    /// The snapshot, not yet checked unless it is imported; what a command prints is kept in `folder` meanwhile.
    pub fn read(&self, folder: &Path) -> Result<Snapshot, Failure> {
        match self {
            Input::Snapshot(source) => snapshot(source),
            Input::Import(arguments) => imported(arguments, None),
            Input::Command { line, timeout, import } => {
                let printed = folder.join("printed");
                carry_out(line, *timeout, &printed)?;
                let read = match import {
                    Some(arguments) => imported(arguments, Some(&printed)),
                    None => snapshot(&Source::File(printed.clone())),
                };
                remove(&printed)?;
                // The file is gone when the fault is read; where it came from is not.
                read.map_err(|failure| match failure {
                    Failure::Input { faults, .. } => {
                        Failure::Input { file: format!("output of {}", line.join(" ")), faults }
                    }
                    other => other,
                })
            }
        }
    }
}

fn snapshot(source: &Source) -> Result<Snapshot, Failure> {
    file::read_snapshot(&source.read()?).map_err(|faults| faulty(source, faults))
}

fn imported(arguments: &[String], printed: Option<&Path>) -> Result<Snapshot, Failure> {
    match args_run::import(arguments, printed) {
        Ok(format) => import::snapshot(&format).map(|(snapshot, _)| snapshot),
        // The settings were checked with the same list.
        Err(_) => Err(Failure::Usage(format!("import {} is refused", arguments.join(" ")))),
    }
}

fn remove(path: &PathBuf) -> Result<(), Failure> {
    fs::remove_file(path).map_err(|cause| Failure::Io { doing: "remove", name: path.display().to_string(), cause })
}

/// The program at work.
static AT_WORK: Mutex<Option<Child>> = Mutex::new(None);

fn at_work() -> MutexGuard<'static, Option<Child>> {
    AT_WORK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the program at work, if there is one, for a signal that ends the process: from here on none can be started or waited for.
pub fn end_for_ever() {
    let mut at_work = at_work();
    if let Some(child) = at_work.as_mut() {
        end(child);
    }
    std::mem::forget(at_work);
}

/// Ends a program and all that it has started: a shell's own end would leave those at work.
fn end(child: &mut Child) {
    #[cfg(unix)]
    {
        use nix::sys::signal::{Signal, killpg};
        let group = i32::try_from(child.id()).expect("process ids are positive and fit in 31 bits");
        // They may have ended in between; then there is nothing to kill.
        let _ = killpg(nix::unistd::Pid::from_raw(group), Signal::SIGKILL);
    }
    let _ = child.kill().and_then(|()| child.wait());
}

/// Runs a program with its output in `printed`. It is ended when it takes longer than `timeout`.
fn carry_out(line: &[String], timeout: Duration, printed: &Path) -> Result<(), Failure> {
    let failed = |cause| Failure::Io { doing: "run", name: line.join(" "), cause };
    let said = printed.with_extension("stderr");
    let mut command = Command::new(&line[0]);
    command
        .args(&line[1..])
        .stdin(Stdio::null())
        .stdout(File::create(printed).map_err(failed)?)
        .stderr(File::create(&said).map_err(failed)?);
    #[cfg(unix)]
    {
        // A group of its own, so that what it starts can be ended with it.
        use std::os::unix::process::CommandExt;
        command.process_group(0);
    }
    {
        // Held meanwhile: a signal finds it started, or lets nothing start any more.
        let mut at_work = at_work();
        *at_work = Some(command.spawn().map_err(failed)?);
    }
    let began = Instant::now();
    let status = loop {
        let mut at_work = at_work();
        let child = at_work.as_mut().expect("it was put there, and is taken away below");
        if let Some(status) = child.try_wait().map_err(failed)? {
            *at_work = None;
            break Ok(status);
        }
        if began.elapsed() > timeout {
            end(child);
            *at_work = None;
            let late = std::io::Error::other(format!("it took longer than its timeout of {} s", timeout.as_secs_f64()));
            break Err(failed(late));
        }
        drop(at_work);
        std::thread::sleep(PAUSE);
    };
    let words = fs::read(&said).map_err(failed)?;
    remove(&said)?;
    let words = String::from_utf8_lossy(&words);
    let words = words.trim();
    let tail: String = words.chars().skip(words.chars().count().saturating_sub(SAID_MAX)).collect();
    let status = status?;
    if !status.success() {
        let tail = if tail.is_empty() { String::new() } else { format!("; it said: {tail}") };
        return Err(failed(std::io::Error::other(format!("it ended with {status}{tail}"))));
    }
    let text = format!("{} said: {tail}", line[0]);
    if !tail.is_empty() {
        screen::warn("command", &text, json!({"command": line}));
    }
    Ok(())
}
