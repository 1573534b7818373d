//! How does the file of a nightly run look? TOML, read as strictly as everything else: all faults at once, nearest names told.
//!
//! Arguments of commands stay texts here; what they mean is for the command line to say.

use super::json::{Fields, Path, Reader, Value};
use crate::model::Faults;
use std::collections::BTreeSet;

/// Value of the `format` field of every run file this version reads.
pub const RUN_FORMAT: &str = "bayplan-run/1";
/// Folders of past runs that are kept, where the file does not say.
const KEEP_DEFAULT: u32 = 30;
/// Files that every run writes itself.
pub const RUN_FILES: [&str; 4] = ["snapshot.json", "plan.json", "summary.txt", "run.toml"];

/// What one run reads, decides and writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Tells the metrics of several runs on one machine apart.
    pub name: Option<String>,
    /// Where the snapshot comes from.
    pub read: RunRead,
    /// Arguments of `bayplan plan`, without snapshot and output.
    pub plan: Vec<String>,
    /// What is made of the plan.
    pub exports: Vec<RunExport>,
    /// Folder that gets one folder per run.
    pub folder: String,
    /// How many of them are kept.
    pub keep: u32,
    /// File of metrics for Prometheus.
    pub metrics: Option<String>,
    /// File of events, one JSON record per line.
    pub log: Option<String>,
}

/// A snapshot, or a way to get one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunRead {
    /// A snapshot file.
    pub snapshot: Option<String>,
    /// A program and its arguments: what it prints is read.
    pub command: Option<Vec<String>>,
    /// Longest time it may take.
    pub timeout: Option<String>,
    /// Arguments of `bayplan import`; `-` stands for what the command printed.
    pub import: Option<Vec<String>>,
}

/// One export of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunExport {
    /// Name in the folder of the run.
    pub file: String,
    /// Arguments of `bayplan export`, without snapshot, plan and output.
    pub arguments: Vec<String>,
}

/// Reads the file of a run.
///
/// # Errors
/// Every fault of syntax and form: F1xx as in `json.rs`, F301 a contradiction about where the snapshot comes from, F302 a path or
/// file name that cannot be one, or twice, F303 a figure out of range.
pub fn read_run(bytes: &[u8]) -> Result<Run, Faults> {
    let reader = Reader::default();
    let run = run(&reader, parse(bytes)?);
    let faults = reader.faults.into_inner();
    if faults.is_empty() { Ok(run.expect("without a fault there is a run")) } else { Err(faults) }
}

/// A TOML document as the tree that the reader takes apart.
fn parse(bytes: &[u8]) -> Result<Value, Faults> {
    let fault = |place: String, cause: &str| {
        let mut faults = Faults::new();
        faults.add("F101", place, cause, "correct the TOML there");
        faults
    };
    let place = |at: usize| {
        let before = &bytes[..at.min(bytes.len())];
        let line = before.split(|byte| *byte == b'\n').count();
        let column = before.len() - before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1) + 1;
        format!("line {line} column {column}")
    };
    let text = std::str::from_utf8(bytes)
        .map_err(|error| fault(place(error.valid_up_to()), "the bytes are not UTF-8 text"))?;
    toml::from_str(text).map_err(|error| {
        let cause = error.message().lines().collect::<Vec<_>>().join("; ");
        fault(error.span().map_or("the document".into(), |span| place(span.start)), &cause)
    })
}

fn run(reader: &Reader, value: Value) -> Option<Run> {
    let mut fields = reader.fields(Path::Root, value)?;
    if !fields.format(RUN_FORMAT) {
        return None;
    }
    let name = fields.optional("name", filled);
    let read = fields.required("read", read).unwrap_or_default();
    let plan = fields.optional("plan", |r, p, v| {
        section(r, p, v, |fields| Some(fields.optional("arguments", Reader::texts).unwrap_or_default()))
    });
    let exports = fields.optional("export", |r, p, v| Some(r.list(p, v, |p, v| export(r, p, v)))).unwrap_or_default();
    let output = fields.required("output", output);
    let file = |r: &Reader, p: Path<'_>, v| section(r, p, v, |fields| fields.required("file", path_text));
    let (metrics, log) = (fields.optional("metrics", file), fields.optional("log", file));
    fields.finish();
    no_file_twice(reader, &exports);
    let (folder, keep) = output?;
    Some(Run { name, read, plan: plan.unwrap_or_default(), exports, folder, keep, metrics, log })
}

/// A table whose fields `take` takes.
fn section<T>(
    reader: &Reader,
    path: Path<'_>,
    value: Value,
    take: impl FnOnce(&mut Fields<'_>) -> Option<T>,
) -> Option<T> {
    let mut fields = reader.fields(path, value)?;
    let taken = take(&mut fields);
    fields.finish();
    taken
}

/// A text that is not empty.
fn filled(reader: &Reader, path: Path<'_>, value: Value) -> Option<String> {
    let text = reader.text(path, value)?;
    if text.is_empty() {
        reader.fault("F302", path, "it is empty", "write a name");
        return None;
    }
    Some(text)
}

/// A path that the system could take.
fn path_text(reader: &Reader, path: Path<'_>, value: Value) -> Option<String> {
    let text = filled(reader, path, value)?;
    if text.contains('\0') {
        reader.fault("F302", path, "it has a NUL in it", "write a path");
        return None;
    }
    Some(text)
}

fn read(reader: &Reader, path: Path<'_>, value: Value) -> Option<RunRead> {
    let read = section(reader, path, value, |fields| {
        Some(RunRead {
            snapshot: fields.optional("snapshot", path_text),
            command: fields.optional("command", Reader::texts),
            timeout: fields.optional("timeout", Reader::text),
            import: fields.optional("import", Reader::texts),
        })
    })?;
    let fault = |cause: &str, remedy: &str| reader.fault("F301", path, cause, remedy);
    let RunRead { snapshot, command, timeout, import } = &read;
    if snapshot.is_none() && command.is_none() && import.is_none() {
        fault("it says no place to read from", "give snapshot, command or import");
    }
    if snapshot.is_some() && (command.is_some() || import.is_some()) {
        fault("it says two places to read from", "give either snapshot, or command and import");
    }
    if timeout.is_some() && command.is_none() {
        fault("there is a timeout and nothing to wait for", "give a command, or leave timeout out");
    }
    if command.as_ref().is_some_and(|command| command.first().is_none_or(String::is_empty)) {
        fault("the command has no program", "write the program first, then its arguments");
    }
    if let (Some(_), Some(import)) = (command, import)
        && !import.iter().any(|argument| argument == "-")
    {
        fault("nothing of the import reads what the command prints", "write \"-\" in import where that file is due");
    }
    Some(read)
}

fn export(reader: &Reader, path: Path<'_>, value: Value) -> Option<RunExport> {
    let (file, arguments) = section(reader, path, value, |fields| {
        Some((fields.required("file", filled), fields.required("arguments", Reader::texts)))
    })?;
    let file = file?;
    let path = Path::Field(&path, "file");
    if file.contains(['/', '\\']) || file.contains(char::is_control) || file.starts_with('.') {
        reader.fault(
            "F302",
            path,
            "it is no plain file name",
            "write a name without folders, line ends and the like, and without a leading dot",
        );
    }
    if RUN_FILES.contains(&file.as_str()) {
        reader.fault("F302", path, "the run writes a file of that name itself", "write another name");
    }
    Some(RunExport { file, arguments: arguments? })
}

fn no_file_twice(reader: &Reader, exports: &[RunExport]) {
    let mut seen = BTreeSet::new();
    for twice in exports.iter().filter(|export| !seen.insert(&export.file)) {
        let cause = format!("two exports write {:?}", twice.file);
        reader.fault("F302", Path::Field(&Path::Root, "export"), cause, "give each a file of its own");
    }
}

fn output(reader: &Reader, path: Path<'_>, value: Value) -> Option<(String, u32)> {
    let (folder, keep) = section(reader, path, value, |fields| {
        Some((fields.required("folder", path_text), fields.optional("keep", Reader::count)))
    })?;
    if keep == Some(0) {
        reader.fault("F303", Path::Field(&path, "keep"), "keeping 0 runs keeps nothing", "write 1 or more");
    }
    Some((folder?, keep.unwrap_or(KEEP_DEFAULT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "
        format = 'bayplan-run/1'
        name = 'nightly'
        x-owner = 'the night shift'
        [read]
        command = ['kubectl', 'get', 'nodes,pods', '-A', '-o', 'json']
        timeout = '5m'
        import = ['kubernetes', '-']
        [plan]
        arguments = ['--max-moves', '20']
        [[export]]
        file = 'moves.ndjson'
        arguments = ['ndjson']
        [output]
        folder = 'runs'
        keep = 7
        [metrics]
        file = 'bayplan.prom'
        [log]
        file = 'bayplan.log'
    ";

    fn faults(text: &str) -> Vec<(&'static str, String)> {
        let faults = read_run(text.as_bytes()).expect_err("it is faulty");
        faults.list().iter().map(|fault| (fault.code, fault.place.clone())).collect()
    }

    #[test]
    fn a_whole_file_is_read() {
        let run = read_run(WHOLE.as_bytes()).unwrap();
        assert_eq!((run.name.as_deref(), run.keep, run.folder.as_str()), (Some("nightly"), 7, "runs"));
        assert_eq!(run.read.import, Some(vec!["kubernetes".into(), "-".into()]));
        assert_eq!(run.exports, [RunExport { file: "moves.ndjson".into(), arguments: vec!["ndjson".into()] }]);
        let short = "format = 'bayplan-run/1'\nread.snapshot = 's.json'\noutput.folder = 'runs'";
        assert_eq!(read_run(short.as_bytes()).unwrap().keep, KEEP_DEFAULT);
    }

    #[test]
    fn all_faults_are_told_at_once_with_the_nearest_name() {
        let text = WHOLE.replace("keep = 7", "kepe = 7\nkeep = 0").replace("timeout = '5m'", "timeout = 5");
        let text = text.replace("'moves.ndjson'", "'../plan'").replace("'-']", "'x']").replace("'nightly'", "''");
        let found = faults(&text);
        let expected = [
            ("F302", "name"),
            ("F102", "read.timeout"),
            ("F301", "read"),
            ("F302", "export[0].file"),
            ("F103", "output.kepe"),
            ("F303", "output.keep"),
        ];
        assert_eq!(found.iter().map(|(code, place)| (*code, place.as_str())).collect::<Vec<_>>(), expected);
        let remedies = read_run(text.as_bytes()).unwrap_err().to_string();
        assert!(remedies.contains("did you mean \"keep\"?"), "{remedies}");
    }

    #[test]
    fn what_is_no_run_is_refused() {
        let broken = WHOLE.replace("keep = 7", "keep = = 7");
        let line = broken.lines().position(|line| line.contains("= =")).unwrap() + 1;
        assert_eq!(faults(&broken), [("F101", format!("line {line} column 16"))]);
        assert_eq!(faults("")[0].0, "F106");
        assert_eq!(faults("format = 'bayplan-plan/1'"), [("F106", "format".to_string())]);
        assert_eq!(faults("format = 'bayplan-run/1'\nread = 3\n[output]\nfolder = 1979-05-27")[0].0, "F102");
        assert_eq!(read_run(b"a = '\xff'").unwrap_err().list()[0].code, "F101");
        for name in ["a\\u0000b", "a\\nb", "a\\u001bb", ".a", "a/b"] {
            let text = WHOLE.replace("'moves.ndjson'", &format!("\"{name}\""));
            assert_eq!(faults(&text), [("F302", "export[0].file".to_string())], "{name}");
        }
        for (path, place) in
            [("'runs'", "output.folder"), ("'bayplan.prom'", "metrics.file"), ("'bayplan.log'", "log.file")]
        {
            assert_eq!(faults(&WHOLE.replace(path, "\"a\\u0000\"")), [("F302", place.to_string())]);
        }
        let two = WHOLE.replace("[output]", "[[export]]\nfile = 'moves.ndjson'\narguments = []\n[output]");
        assert_eq!(faults(&two), [("F302", "export".to_string())]);
    }
}
