//! Does a nightly run keep its word? Whole folders or none, one run at a time, metrics that parse, signals and kills at any moment.

mod common;

use common::prometheus::page_objections;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const OWN_FILES: [&str; 5] = ["moves.ndjson", "plan.json", "run.toml", "snapshot.json", "summary.txt"];

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn bayplan(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bayplan"));
    command.args(args).env("NO_COLOR", "1").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A folder with a run's file in it.
struct Site {
    dir: TempDir,
}

impl Site {
    /// `read` and `plan` as they stand in the file; the snapshot small.json lies beside it.
    fn new(read: &str, plan: &[&str]) -> Site {
        let site = Site { dir: TempDir::new().unwrap() };
        fs::copy(root("data/small.json"), site.path("small.json")).unwrap();
        let text = format!(
            "format = 'bayplan-run/1'\nname = 'test'\n[read]\n{read}\n[plan]\narguments = {plan:?}\n[[export]]\n\
             file = 'moves.ndjson'\narguments = ['ndjson']\n[output]\nfolder = 'runs'\nkeep = 3\n[metrics]\n\
             file = 'test.prom'\n"
        );
        fs::write(site.path("run.toml"), text).unwrap();
        site
    }

    /// One that plans small.json within a moment.
    fn quick() -> Site {
        Site::new("snapshot = 'small.json'", &["--effort", "50"])
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.path("run.toml")).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(self.path("run.toml"), text.replace(from, to)).unwrap();
    }

    fn command(&self) -> Command {
        bayplan(&["run", self.path("run.toml").to_str().unwrap()])
    }

    #[track_caller]
    fn run(&self, code: i32) -> String {
        let output = self.command().output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(code), &b""[..]), "{stderr}");
        stderr
    }

    fn entries(&self) -> Vec<String> {
        names(&self.path("runs"))
    }

    /// Names of complete runs, oldest first.
    fn complete(&self) -> Vec<String> {
        self.entries().into_iter().filter(|name| name.ends_with('Z')).collect()
    }

    fn metrics(&self) -> String {
        fs::read_to_string(self.path("test.prom")).unwrap()
    }

    /// The value of a sample, found by the beginning of its line.
    #[track_caller]
    fn metric(&self, sample: &str) -> f64 {
        let text = self.metrics();
        let line = text.lines().find(|line| line.starts_with(sample)).unwrap_or_else(|| panic!("{sample}\n{text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// Every complete run has all of its files, and its plan holds for its snapshot.
    #[track_caller]
    fn check_runs(&self) {
        for run in self.complete() {
            let at = self.path("runs").join(&run);
            assert_eq!(names(&at), OWN_FILES, "{run}");
            assert_holds(&at);
        }
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[track_caller]
fn assert_holds(run: &Path) {
    let file = |name: &str| run.join(name).to_str().unwrap().to_string();
    let Output { status, stdout, stderr } =
        bayplan(&["verify", &file("snapshot.json"), &file("plan.json")]).output().unwrap();
    let told = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
    assert!(status.success(), "{}: {told}", run.display());
}

/// The records of a log, each of which is one line of JSON.
fn records(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no record: {line}"))).collect()
}

fn events(text: &str) -> Vec<String> {
    records(text).iter().map(|record| record["event"].as_str().unwrap().to_string()).collect()
}

// --------------------------------------------------------------------------------------------------------------- the whole

#[test]
fn a_run_leaves_a_whole_folder_metrics_and_a_log() {
    let site = Site::quick();
    let log = site.run(0);
    assert_eq!(events(&log), ["started", "read", "plan", "verify", "export", "published", "finished"]);
    for record in records(&log) {
        assert_eq!(record["level"], "info");
        assert!(record["time"].as_str().unwrap().ends_with('Z') && record["message"].is_string(), "{record}");
    }
    let [run] = site.complete().try_into().unwrap();
    site.check_runs();
    assert_eq!(site.entries(), [".lock", &run, "latest"]);
    assert_eq!(fs::read_link(site.path("runs/latest")).unwrap(), Path::new(&run));
    let at = site.path("runs/latest");
    assert_eq!(fs::read(at.join("run.toml")).unwrap(), fs::read(site.path("run.toml")).unwrap());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(at.join("run.toml")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "the line of a command may hold secrets");
    }
    assert!(fs::read_to_string(at.join("summary.txt")).unwrap().contains("verified: "));
    let stream = fs::read_to_string(at.join("moves.ndjson")).unwrap();
    assert_eq!(records(&stream).last().unwrap()["type"], "summary");

    let plan: Value = serde_json::from_slice(&fs::read(at.join("plan.json")).unwrap()).unwrap();
    let moves = plan["waves"].as_array().unwrap().iter().flat_map(|wave| wave.as_array().unwrap());
    let admitted = moves.filter(|step| step["reason"] == "admit").count();
    assert!(admitted > 0);
    assert_eq!(site.metric("bayplan_plan_moves{run=\"test\",reason=\"admit\"}"), admitted as f64);
    assert_eq!(site.metric("bayplan_objective_points{run=\"test\",state=\"before\"}"), 84_900.0);
    let after = site.metric("bayplan_objective_points{run=\"test\",state=\"after\"}");
    assert_eq!(plan["objective"]["after"].as_f64(), Some(after));
    assert_eq!(site.metric("bayplan_bound_points") - after, site.metric("bayplan_gap_points"));
    for (sample, value) in
        [("bayplan_run_success", 1.0), ("bayplan_run_exit_code", 0.0), ("bayplan_plan_verified", 1.0)]
    {
        assert_eq!(site.metric(sample), value, "{sample}");
    }
    assert_eq!(site.metric("bayplan_run_last_success"), site.metric("bayplan_run_timestamp"));
    assert_eq!((site.metric("bayplan_snapshot_nodes"), site.metric("bayplan_gpu_used")), (8.0, 0.0));
    for phase in ["read", "plan", "verify", "export"] {
        site.metric(&format!("bayplan_run_phase_duration_seconds{{run=\"test\",phase=\"{phase}\"}}"));
    }
}

#[test]
fn the_same_file_gives_the_same_plan_as_the_command() {
    let site = Site::quick();
    site.run(0);
    let plan = bayplan(&["plan", "small.json", "--effort", "50"]).current_dir(root("data")).output().unwrap();
    assert_eq!(fs::read(site.path("runs/latest/plan.json")).unwrap(), plan.stdout);
}

const NODES: &str = "node,cpu,memory\nn1,100,100\nn2,100,100\n";
const TASKS: &str = "task,cpu,memory,node\na,60,60,n1\nb,60,60,n1\nc,10,10,\n";

#[test]
fn what_a_command_prints_is_imported_wherever_the_run_starts() {
    let site = Site::new(
        "command = ['sh', '-c', 'echo as always >&2; cat nodes.csv']\nimport = ['csv', '-', 'tasks.csv']",
        &[],
    );
    site.edit("arguments = []", "arguments = ['--effort', '50']");
    fs::write(site.path("nodes.csv"), NODES).unwrap();
    fs::write(site.path("tasks.csv"), TASKS).unwrap();
    // Relative paths start at the file, not at the caller.
    let output = bayplan(&["run", "run.toml"]).current_dir(site.dir.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let log = site.run(0);
    let warning = &records(&log)[1];
    assert_eq!((warning["level"].as_str(), warning["event"].as_str()), (Some("warn"), Some("command")));
    assert!(warning["message"].as_str().unwrap().contains("as always"));
    site.check_runs();
    assert_eq!(site.metric("bayplan_broken_rules{run=\"test\",state=\"before\"}"), 2.0);
    assert_eq!(site.metric("bayplan_broken_rules{run=\"test\",state=\"after\"}"), 0.0);
}

#[test]
fn the_oldest_runs_go_and_nothing_else_does() {
    let site = Site::quick();
    fs::create_dir_all(site.path("runs/keep me")).unwrap();
    let mut all = Vec::new();
    for _ in 0..5 {
        site.run(0);
        all.push(site.complete().pop().unwrap());
    }
    assert_eq!(site.complete(), all[2..]);
    assert!(site.path("runs/keep me").is_dir());
    assert_eq!(fs::read_link(site.path("runs/latest")).unwrap(), Path::new(&all[4]));
}

#[test]
fn exit_codes_are_those_of_plan_and_the_folder_is_there() {
    let site = Site::quick();
    site.edit("\"50\"", "\"50\", \"--detailed-exitcode\"");
    let log = site.run(2);
    assert_eq!(records(&log).last().unwrap()["code"], 2);
    assert_eq!((site.metric("bayplan_run_exit_code"), site.metric("bayplan_run_success")), (2.0, 1.0));
    site.edit("--detailed-exitcode\"", "--place\", \"jobs.json\"");
    let jobs = r#"{"format": "bayplan-jobs/1", "tasks": [{"name": "giant", "requirement": {"cpu": 900000000}}]}"#;
    fs::write(site.path("jobs.json"), jobs).unwrap();
    site.run(3);
    assert!(site.metric("bayplan_waiting_tasks{run=\"test\",state=\"after\"}") >= 1.0);
    // The snapshot kept has the job in it: the folder needs nothing else.
    site.check_runs();
    assert_eq!(site.complete().len(), 2);
}

#[test]
fn records_may_go_to_a_file_and_lines_to_people() {
    let site = Site::quick();
    site.edit("[metrics]", "[log]\nfile = 'run.log'\n[metrics]");
    for runs in 1..3 {
        let told = site.run(0);
        assert!(told.contains("verified: ") && told.contains("published runs/"), "{told}");
        let log = fs::read_to_string(site.path("run.log")).unwrap();
        assert_eq!(events(&log).iter().filter(|event| *event == "finished").count(), runs);
    }
}

// ------------------------------------------------------------------------------------------------------------------ faults

#[test]
fn every_fault_of_the_file_is_told_at_once() {
    let site = Site::quick();
    site.edit(
        "snapshot = 'small.json'",
        "snapshto = 'small.json'\ncommand = ['cat', 'x']\ntimeout = 'soon'\nimport = ['cvs', '-']",
    );
    site.edit("'ndjson'", "'ndjson', '--frobnicate'");
    site.edit("\"--effort\", \"50\"", "\"--efort\", \"50\"");
    site.edit("keep = 3", "keep = 0");
    let (form, told) = (site.run(65), ["read.snapshto", "did you mean \"snapshot\"?", "output.keep"]);
    assert!(told.iter().all(|part| form.contains(part)), "{form}");
    site.edit("snapshto = 'small.json'\n", "");
    site.edit("keep = 0", "keep = 1");
    let text = site.run(65);
    let told = [
        "read.import",
        "unrecognized subcommand 'cvs'",
        "read.timeout",
        "plan.arguments",
        "'--effort'",
        "export[0].arguments",
        "--frobnicate",
    ];
    for part in told {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    assert!(text.contains("4 faults"), "{text}");
    assert!(!site.path("runs").exists() && !site.path("test.prom").exists());
}

#[test]
fn a_file_can_be_checked_without_a_run() {
    let site = Site::quick();
    let check = |code| {
        let output = site.command().arg("--check").output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
    };
    check(0);
    site.edit("keep = 3", "keep = 'all'");
    check(65);
    assert!(!site.path("runs").exists());
    site.edit("keep = 'all'", "keep = 3");
    fs::create_dir_all(site.path("runs/latest")).unwrap();
    check(1);
}

#[test]
fn a_check_finds_what_a_run_would_stumble_over() {
    let site = Site::quick();
    let whole = fs::read_to_string(site.path("run.toml")).unwrap();
    fs::create_dir(site.path("folder")).unwrap();
    let cases: [(&str, &str, &[&str]); 7] = [
        ("'test.prom'", "'gone/test.prom'", &["F305", "metrics.file", "gone/test.prom", "its folder does not exist"]),
        ("[metrics]", "[log]\nfile = 'gone/run.log'\n[metrics]", &["F305", "log.file", "its folder does not exist"]),
        ("'test.prom'", "'folder'", &["F305", "metrics.file", "it is a folder", "can be written where it is to go"]),
        ("'moves.ndjson'", "\"a\\nb\"", &["F302", "export[0].file", "no plain file name"]),
        ("'moves.ndjson'", "\"a\\u0000b\"", &["F302", "export[0].file", "no plain file name"]),
        ("[\"--effort\", \"50\"]", "['--help']", &["F304", "plan.arguments", "asks for help"]),
        ("snapshot = 'small.json'", "import = []", &["F304", "read.import", "what to import"]),
    ];
    for (from, to, parts) in cases {
        assert!(whole.contains(from), "{from}");
        fs::write(site.path("run.toml"), whole.replace(from, to)).unwrap();
        let output = site.command().arg("--check").output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.contains("1 fault")), (Some(65), true), "{said}");
        assert!(parts.iter().all(|part| said.contains(part)) && said.lines().count() < 8, "{said}");
        // And a run says so before any work.
        assert_eq!(site.command().output().unwrap().status.code(), Some(65));
        assert!(!site.path("runs").exists());
    }
}

#[test]
fn a_run_that_fails_leaves_no_folder_and_says_so_in_its_metrics() {
    let site = Site::quick();
    site.run(0);
    let succeeded = site.metric("bayplan_run_last_success_timestamp_seconds");
    let whole = fs::read_to_string(site.path("run.toml")).unwrap();
    let cases = [
        (1, "command = ['sh', '-c', 'echo no route to the cluster >&2; exit 7']", "no route to the cluster"),
        (1, "command = ['no-such-program']", "no-such-program"),
        (1, "command = ['sleep', '60']\ntimeout = '100ms'", "timeout"),
        (1, "snapshot = 'no-such-file.json'", "no-such-file.json"),
        (65, "command = ['head', '-c', '1000', 'small.json']", "output of head"),
        (65, "command = ['true']", "it is empty"),
        (65, "command = ['echo', 'node,cpu']\nimport = ['csv', '-', 'small.json']", "output of echo"),
    ];
    for (code, read, told) in cases {
        fs::write(site.path("run.toml"), whole.replace("snapshot = 'small.json'", read)).unwrap();
        let begin = Instant::now();
        let log = site.run(code);
        assert!(begin.elapsed() < Duration::from_secs(30), "{read}");
        let last = records(&log).pop().unwrap();
        assert_eq!((&last["event"], &last["level"], &last["code"]), (&"failed".into(), &"error".into(), &code.into()));
        assert!(last["message"].as_str().unwrap().contains(told), "{last}");
        assert_eq!(site.entries().len(), 3, "{read}: {:?}", site.entries());
        assert_eq!((site.metric("bayplan_run_success"), site.metric("bayplan_run_exit_code")), (0.0, f64::from(code)));
        assert_eq!(site.metric("bayplan_run_last_success_timestamp_seconds"), succeeded);
        assert!(site.metric("bayplan_run_timestamp_seconds") > succeeded);
        assert!(!site.metrics().contains("bayplan_plan_moves"), "an old figure passes for a new one");
        assert_eq!(page_objections(&site.metrics()), [""; 0]);
    }
}

// ----------------------------------------------------------------------------------------------------------------- metrics

#[test]
fn metrics_are_sound_whatever_the_run_is_called() {
    let site = Site::quick();
    site.edit("name = 'test'", "name = 'a \"b\" \\ c, d=\"e\"'");
    site.run(0);
    let page = site.metrics();
    assert_eq!(page_objections(&page), [""; 0], "{page}");
}

#[test]
fn the_judge_of_metrics_objects() {
    let head = "# HELP a_b What it is.\n# TYPE a_b gauge\n";
    let page = |rest: &str| format!("{head}{rest}");
    assert_eq!(page_objections(&page("a_b{run=\"x\"} 1\na_b{run=\"x\",c=\"\\\"} 9\"} 1.5\n")), [""; 0]);
    assert_eq!(page_objections("# HELP a b\n# TYPE a gauge\na{x=\"1\"} 2\na 1.5\n"), [""; 0]);
    let bad = [
        page("a_b{x=\"1\",x=\"2\"} 1\n"),
        page("a_b{x=\"q\"\"} 1\n"),
        "# HELP a b\na 1\n".to_string(),
        page("a_b{run=\"x\"} 1"),
        page("a_b{run=\"x\"} 1 1700000000\n"),
        page("a_b{run=\"x\"} one\n"),
        page("a_b{run=\"x\"} 1\na_b{run=\"x\"} 2\n"),
        page("a_b{run=\"x\"y\"} 1\n"),
        page("a_c{run=\"x\"} 1\n"),
        page(head),
        "a_b{run=\"x\"} 1\n".to_string(),
        "# HELP a_b\n# TYPE a_b gauge\n".to_string(),
        head.replace("gauge", "count"),
    ];
    for page in bad {
        assert!(!page_objections(&page).is_empty(), "{page}");
    }
}

// ---------------------------------------------------------------------------------------------------------- signals, kills

#[cfg(target_os = "linux")]
mod ends {
    use super::*;

    /// A run whose search lasts for hours.
    fn endless() -> Site {
        Site::new("snapshot = 'small.json'", &["--effort", "1000000000", "--time-limit", "5h"])
    }

    /// Whether a process is at work; one that has ended and that nobody has asked for yet is not.
    fn is_alive(process: &str) -> bool {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    }

    /// A command that starts another one and waits for it; that one's number goes to the file `pid`.
    const NESTED: &str = "command = ['sh', '-c', 'sleep 600 & echo $! > pid.new; mv pid.new pid; wait']";

    #[test]
    fn a_command_that_takes_too_long_ends_with_all_that_it_started() {
        let site = Site::new(&format!("{NESTED}\ntimeout = '2s'"), &[]);
        site.run(1);
        let process = fs::read_to_string(site.path("pid")).unwrap();
        wait_until("the end of what the command started", || !is_alive(process.trim()));
    }

    #[test]
    fn a_signal_ends_all_that_a_command_started_and_says_what_it_did() {
        let site = Site::new(NESTED, &[]);
        let child = site.command().spawn().unwrap();
        wait_until("the command", || site.path("pid").exists());
        let process = fs::read_to_string(site.path("pid")).unwrap();
        assert!(is_alive(process.trim()));
        signal(&child, "-TERM");
        let output = child.wait_with_output().unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(130), "{log}");
        wait_until("the end of what the command started", || !is_alive(process.trim()));
        assert_eq!(events(&log), ["started", "failed"]);
        assert!(log.contains("nothing was written") && !log.contains("plan so far"), "{log}");
        assert_eq!((site.metric("bayplan_run_success"), site.metric("bayplan_run_exit_code")), (0.0, 130.0));
    }

    fn signal(child: &Child, signal: &str) {
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    }

    #[track_caller]
    fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !is_so() {
            assert!(Instant::now() < deadline, "it never came to this: {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The draft of the run at work.
    fn draft(site: &Site) -> Option<PathBuf> {
        let name = site.entries().into_iter().find(|name| name.ends_with(".part"))?;
        Some(site.path("runs").join(name))
    }

    fn is_searching(site: &Site) -> bool {
        draft(site).is_some_and(|draft| draft.join("snapshot.json").exists())
    }

    #[test]
    fn a_second_run_is_refused_and_sigterm_still_gives_a_whole_folder() {
        let site = endless();
        let first = site.command().spawn().unwrap();
        wait_until("the search", || is_searching(&site));
        let refused = site.run(1);
        let holder = format!("another run is at work there (process {}, since ", first.id());
        assert!(refused.contains(&holder), "{refused}");
        assert!(!site.path("test.prom").exists(), "a refused run has nothing to tell of the one at work");
        std::thread::sleep(Duration::from_millis(300));
        signal(&first, "-TERM");
        let output = first.wait_with_output().unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{log}");
        assert!(events(&log).contains(&"published".to_string()), "{log}");
        assert_eq!(site.complete().len(), 1);
        site.check_runs();
        assert_eq!(site.metric("bayplan_run_success"), 1.0);
    }

    #[test]
    fn sigterm_while_a_command_prints_ends_it_and_leaves_nothing() {
        let site = Site::new("command = ['sleep', '600']", &[]);
        let child = site.command().spawn().unwrap();
        wait_until("the command", || draft(&site).is_some_and(|draft| draft.join("printed").exists()));
        signal(&child, "-TERM");
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
        assert_eq!(site.entries(), [".lock"]);
        assert_eq!(site.metric("bayplan_run_success"), 0.0);
    }

    #[test]
    fn a_second_signal_quits_and_leaves_nothing() {
        // What was asked of the exact solver goes on for a while after a first signal.
        let site = endless();
        // The run before this one was a success, and this one is none.
        site.edit("\"1000000000\", \"--time-limit\", \"5h\"", "\"50\"");
        site.run(0);
        let succeeded = site.metric("bayplan_run_last_success_timestamp_seconds");
        site.edit("\"50\"", "\"1000000000\", \"--time-limit\", \"5h\"");
        let child = site.command().spawn().unwrap();
        wait_until("the search", || is_searching(&site));
        signal(&child, "-STOP");
        signal(&child, "-TERM");
        signal(&child, "-INT");
        signal(&child, "-CONT");
        let code = child.wait_with_output().unwrap().status.code();
        assert!(draft(&site).is_none(), "{:?}", site.entries());
        site.check_runs();
        // Both signals may be taken after one another with the run's end in between.
        let is_whole = site.complete().len() == 2;
        assert_eq!(code, Some(if is_whole { 0 } else { 130 }));
        assert_eq!(site.metric("bayplan_run_success"), f64::from(u8::from(is_whole)));
        assert_eq!(site.metric("bayplan_run_exit_code"), if is_whole { 0.0 } else { 130.0 });
        assert_eq!(site.metric("bayplan_run_last_success_timestamp_seconds") > succeeded, is_whole);
        assert!(site.metric("bayplan_run_timestamp_seconds") > succeeded);
        assert_eq!(page_objections(&site.metrics()), [""; 0]);
    }

    /// Metrics that go into a pipe hold a run between its folder's name and its end, for as long as nobody reads them.
    #[test]
    fn signals_that_wait_for_the_end_of_a_whole_run_do_not_change_its_code() {
        let site = Site::quick();
        site.edit("keep = 3", "keep = 100");
        let metrics = site.path("test.prom");
        assert!(Command::new("mkfifo").arg(&metrics).status().unwrap().success());
        // Whether a signal would come first is chance.
        for round in 1..=12 {
            let child = site.command().spawn().unwrap();
            wait_until("the folder", || site.complete().len() == round);
            signal(&child, "-TERM");
            signal(&child, "-INT");
            std::thread::sleep(Duration::from_millis(50));
            assert!(fs::read_to_string(&metrics).unwrap().contains("bayplan_run_exit_code"));
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{round}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }

    /// Kills at many moments, from the first instruction to the last rename.
    #[test]
    fn a_kill_at_any_moment_leaves_no_half_folder_and_the_next_run_works() {
        let site = Site::quick();
        let begin = Instant::now();
        site.run(0);
        let whole = begin.elapsed();
        let moments = 24;
        let mut killed_at_work = 0;
        for moment in 0..moments {
            let mut child = site.command().spawn().unwrap();
            std::thread::sleep(whole * moment / (moments - 2));
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none_or(|status| status.success()), "{ended:?}");
            let is_at_work = ended.is_none();
            let _ = child.kill();
            child.wait().unwrap();
            killed_at_work += usize::from(is_at_work);
            site.check_runs();
            assert!(site.path("runs/latest/plan.json").is_file(), "the link leads to a whole run");
            assert_eq!(page_objections(&site.metrics()), [""; 0]);
        }
        assert!(killed_at_work > moments as usize / 2, "only {killed_at_work} kills came in time");
        site.run(0);
        assert_eq!(draft(&site), None);
        // The first, the last, those that ended by themselves, and one more where a kill came after its last rename; three are kept.
        let least = (2 + moments as usize - killed_at_work).min(3);
        assert!((least..=3).contains(&site.complete().len()), "{least} to 3: {:?}", site.complete());
        site.check_runs();
    }

    #[test]
    fn a_lock_of_the_dead_stops_nobody() {
        let site = endless();
        let mut child = site.command().spawn().unwrap();
        wait_until("the search", || is_searching(&site));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(draft(&site).is_some() && fs::read_to_string(site.path("runs/.lock")).unwrap().contains("process "));
        site.edit("\"1000000000\", \"--time-limit\", \"5h\"", "\"50\"");
        site.run(0);
        assert_eq!((draft(&site), site.complete().len()), (None, 1));
    }

    /// A disk of this many KiB that only the run sees, under `runs`; its exit code, and what it leaves there.
    fn on_a_disk(site: &Site, kib: usize) -> Option<(i32, Vec<String>, String)> {
        let script = format!(
            "mount -t tmpfs -o size={kib}k none runs || exit 99; \"$B\" run run.toml; code=$?; ls -A runs; ls -A runs/latest; exit $code"
        );
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", &script])
            .current_dir(site.dir.path())
            .env("B", env!("CARGO_BIN_EXE_bayplan"));
        fs::create_dir_all(site.path("runs")).unwrap();
        let output = command.output().ok()?;
        let code = output.status.code().expect("it ended by itself");
        let names = String::from_utf8(output.stdout).unwrap().lines().map(String::from).collect();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let is_there = code != 99 && !said.contains("unshare:");
        is_there.then_some((code, names, said))
    }

    #[test]
    fn a_full_disk_leaves_no_half_run() {
        let site = Site::quick();
        let mut codes = std::collections::BTreeSet::new();
        for kib in [4, 8, 12, 16, 20, 24, 32, 40, 48, 64, 1024] {
            let Some((code, names, said)) = on_a_disk(&site, kib) else {
                let message = "skipped: a_full_disk_leaves_no_half_run needs unshare and the right to mount";
                let demanded = std::env::var("BAYPLAN_REQUIRE_MOUNT").as_deref() == Ok("1");
                assert!(!demanded, "{message}, and a skip is a failure here");
                return eprintln!("{message}");
            };
            codes.insert(code);
            assert!(!said.contains("panic") && !said.contains("internal error"), "{kib} KiB: {said}");
            let runs = names.iter().filter(|name| name.ends_with('Z')).count();
            match code {
                0 => {
                    assert_eq!((runs, names.ends_with(&OWN_FILES.map(String::from))), (1, true), "{kib} KiB: {names:?}")
                }
                _ => assert_eq!((code, names.as_slice()), (1, &[".lock".to_string()][..]), "{kib} KiB: {said}"),
            }
            // A lock that cannot be had is no run, and has nothing to tell.
            if site.path("test.prom").exists() {
                assert_eq!(page_objections(&site.metrics()), [""; 0]);
            }
            assert!(code == 0 || said.contains("No space left"), "{kib} KiB: {said}");
        }
        assert_eq!(codes.into_iter().collect::<Vec<_>>(), [0, 1], "it must be too small, and large enough");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_told_before_any_work() {
        let site = Site::new("command = ['sh', '-c', 'touch began; cat small.json']", &["--effort", "50"]);
        for folder in ["/proc/runs", "small.json", "small.json/runs"] {
            site.edit("folder = 'runs'", &format!("folder = '{folder}'"));
            let log = site.run(1);
            assert!(log.contains("cannot use the folder") && log.contains(folder), "{log}");
            assert!(!site.path("began").exists() && !site.path("test.prom").exists());
            site.edit(&format!("folder = '{folder}'"), "folder = 'runs'");
        }
        // The plan is worth more than its metrics: it stays, and the run says that it could not tell them.
        site.edit("file = 'test.prom'", "file = '/proc/test.prom'");
        let log = site.run(1);
        assert!(log.contains("/proc/test.prom"), "{log}");
        assert_eq!(site.complete().len(), 1);
        site.check_runs();
    }

    #[test]
    fn many_runs_at_once_make_one_and_refuse_the_others() {
        let site = Site::quick();
        let children: Vec<Child> = (0..6).map(|_| site.command().spawn().unwrap()).collect();
        let codes: Vec<i32> =
            children.into_iter().map(|child| child.wait_with_output().unwrap().status.code().unwrap()).collect();
        let done = codes.iter().filter(|code| **code == 0).count();
        assert!(done >= 1 && codes.iter().all(|code| [0, 1].contains(code)), "{codes:?}");
        assert_eq!((site.complete().len(), draft(&site)), (done.min(3), None));
        site.check_runs();
    }
}

// ------------------------------------------------------------------------------------------------------------------ deploy

#[test]
fn the_file_to_deploy_is_sound() {
    let text = fs::read_to_string(root("deploy/nightly.toml")).unwrap();
    // The folder of Prometheus is where the run is, not where tests are.
    let (there, dir) = ("/var/lib/prometheus/node-exporter", TempDir::new().unwrap());
    assert!(text.contains(there));
    let file = dir.path().join("nightly.toml");
    fs::write(&file, text.replace(there, dir.path().to_str().unwrap())).unwrap();
    let output = bayplan(&["run", "--check", file.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn systemd_takes_the_units() {
    let dir = TempDir::new().unwrap();
    for unit in ["bayplan.service", "bayplan.timer"] {
        let text = fs::read_to_string(root("deploy/systemd").join(unit)).unwrap();
        // The program is not installed where tests run.
        fs::write(dir.path().join(unit), text.replace("/usr/local/bin/bayplan", env!("CARGO_BIN_EXE_bayplan")))
            .unwrap();
    }
    let verify = |unit: &str| Command::new("systemd-analyze").arg("verify").arg(dir.path().join(unit)).output();
    let Ok(output) = verify("bayplan.timer") else {
        let message = "skipped: systemd_takes_the_units needs systemd-analyze";
        let demanded = std::env::var("BAYPLAN_REQUIRE_SYSTEMD").as_deref() == Ok("1");
        assert!(!demanded, "{message}, and a skip is a failure here");
        return eprintln!("{message}");
    };
    let told = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&verify("bayplan.service").unwrap().stderr);
    assert!(output.status.success() && !told.contains("bayplan."), "{told}");
    fs::write(dir.path().join("bayplan.service"), "[Service]\nExecStrat=/bin/true\n").unwrap();
    let told = String::from_utf8_lossy(&verify("bayplan.service").unwrap().stderr).into_owned();
    assert!(told.contains("ExecStrat"), "it must object: {told}");
}
