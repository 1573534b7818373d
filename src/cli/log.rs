//! Who hears what a run does? A person reads lines on stderr; a machine reads one JSON record per event, there or in a file.
//!
//! Every record has `time`, `level`, `event` and `message`; the other fields depend on the event. Only `run` opens a log: elsewhere
//! everything is said to a person.

use super::failure::Failure;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::OnceLock;

/// How much an event matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// As expected.
    Info,
    /// Worth a look.
    Warn,
    /// The run fails.
    Error,
}

enum Log {
    /// Records take the place of lines.
    Stderr,
    /// Records beside the lines.
    File(File),
}

/// Where records go; not set: nowhere.
static LOG: OnceLock<Log> = OnceLock::new();

/// From now on events are recorded: in a file, or else on stderr where that is no terminal.
pub fn open(path: Option<&Path>) -> Result<(), Failure> {
    let log = match path {
        Some(path) => {
            let failed = |cause| Failure::Io { doing: "write", name: path.display().to_string(), cause };
            Log::File(File::options().create(true).append(true).open(path).map_err(failed)?)
        }
        None if std::io::stderr().is_terminal() => return Ok(()),
        None => Log::Stderr,
    };
    // A second log in one process would be ours to mend; the first stays.
    let _ = LOG.set(log);
    Ok(())
}

/// Records an event, if there is a log; true when that replaces the lines for a person.
pub fn record(level: Level, event: &str, message: &str, fields: Value) -> bool {
    let Some(log) = LOG.get() else { return false };
    let record = line(&Timestamp::now().to_string(), level, event, message, fields);
    // A record that cannot be written must not end the run.
    let _ = match log {
        Log::Stderr => std::io::stderr().lock().write_all(record.as_bytes()),
        Log::File(file) => (&*file).write_all(record.as_bytes()),
    };
    matches!(log, Log::Stderr)
}

fn line(time: &str, level: Level, event: &str, message: &str, fields: Value) -> String {
    let level = match level {
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    };
    let mut record = json!({"time": time, "level": level, "event": event, "message": message});
    if let Value::Object(fields) = fields {
        fields.into_iter().for_each(|(name, value)| record[name] = value);
    }
    format!("{record}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_whatever_it_says() {
        let text = line("2026-01-02T03:04:05Z", Level::Warn, "note", "a\nb \u{1b}[31m", json!({"seconds": 1.5}));
        assert_eq!(text.lines().count(), 1);
        let record: Value = serde_json::from_str(&text).expect("it is JSON");
        assert_eq!(record["message"], json!("a\nb \u{1b}[31m"));
        assert_eq!((&record["level"], &record["seconds"]), (&json!("warn"), &json!(1.5)));
    }
}
