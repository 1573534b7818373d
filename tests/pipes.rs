//! Does every format keep its word in a pipe? `… | import X - | plan - | export X …`, for each of them: the whole way, input that is
//! cut, readers that leave, and signals at every stage and to all stages at once.

mod common;

use common::command::{output_with, wait_until_it_listens};
use serde_json::Value;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A format on its way: what comes in on stdin, what `import` and `export` are told besides.
struct Way {
    name: &'static str,
    input: Vec<u8>,
    import: Vec<String>,
    plan: &'static [&'static str],
    export: &'static [&'static str],
    /// A document that ends early is known to: JSON says where it ends, tables do not.
    knows_its_end: bool,
    folder: TempDir,
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn joined(files: &[&str]) -> Vec<u8> {
    let read = |name: &&str| std::fs::read(root(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    files.iter().flat_map(read).collect()
}

/// Answers of Placement that do not say whose they are, wrapped as the importer asks for on a pipe.
fn wrapped(kind: &str, uuid: &str) -> Vec<u8> {
    let text = joined(&[&format!("tests/data/openstack/{kind}-{uuid}.json")]);
    let answer: Value = serde_json::from_slice(&text).unwrap();
    serde_json::to_vec(&serde_json::json!({uuid: answer})).unwrap()
}

fn openstack() -> Vec<u8> {
    let files = ["servers", "hypervisors", "server_groups", "services", "providers", "usages"];
    let mut input: Vec<u8> =
        files.iter().flat_map(|name| joined(&[&format!("tests/data/openstack/{name}.json")])).collect();
    for node in ["1", "2", "3"] {
        input.extend(wrapped("inventories", &format!("0000010{node}-7a3c-4d5e-8f90-1b2c3d4e5f60")));
    }
    input
}

const BALANCE: &[&str] = &["--goal", "balance", "--effort", "50", "--seed", "1"];
const NODES: &str = "node,cpu,memory\nn1,100,100\nn2,100,100\n";
const TASKS: &str = "task,cpu,memory,node\na,60,60,n1\nb,60,60,n1\nc,10,10,\n";
const OPENB_NODES: &str = "sn,cpu_milli,memory_mib,gpu,model\nnode-1,64000,262144,2,P100\nnode-2,32000,131072,0,\n";
const OPENB_PODS: &str = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time\n\
                          pod-1,4000,8192,1,500,,LS,Pending,1,2,\npod-2,2000,4096,0,0,,BE,Pending,1,2,\n";
/// Two machines, one service, two processes on the first machine.
const ROADEF_MODEL: &str = "1\n1 10\n2\n0 0 100 80 0 1\n0 1 100 80 1 0\n1\n1 0\n2\n0 30 1\n0 30 1\n0\n1 1 1\n";

fn ways() -> Vec<Way> {
    let way = |name, input: Vec<u8>, plan, export, knows_its_end| Way {
        name,
        input,
        import: vec!["import".into(), name.into(), "-".into()],
        plan,
        export,
        knows_its_end,
        folder: TempDir::new().unwrap(),
    };
    let drained: &[&str] = &["--drain", "node-1,node-4", "--effort", "500"];
    let started: &[&str] = &["--effort", "50"];
    let mut csv = way("csv", TASKS.into(), started, &["ndjson"], false);
    std::fs::write(csv.folder.path().join("nodes.csv"), NODES).unwrap();
    csv.import.insert(2, csv.folder.path().join("nodes.csv").display().to_string());
    let mut openb = way("openb", OPENB_PODS.into(), started, &["openb"], false);
    std::fs::write(openb.folder.path().join("nodes.csv"), OPENB_NODES).unwrap();
    openb.import.insert(2, openb.folder.path().join("nodes.csv").display().to_string());
    let mut roadef = way("roadef", "0 1\n".into(), started, &["roadef"], false);
    std::fs::write(roadef.folder.path().join("model.txt"), ROADEF_MODEL).unwrap();
    roadef.import.insert(2, roadef.folder.path().join("model.txt").display().to_string());
    vec![
        way(
            "kubernetes",
            joined(&["data/kubernetes/cluster.json"]),
            drained,
            &["kubernetes", "--as", "evictions"],
            true,
        ),
        way("kubernetes", joined(&["data/kubernetes/cluster.json"]), drained, &["shell"], true),
        way(
            "slurm",
            joined(&["tests/data/slurm/24.11-nodes.json", "tests/data/slurm/24.11-jobs.json"]),
            started,
            &["slurm"],
            true,
        ),
        way("openstack", openstack(), BALANCE, &["openstack"], true),
        way(
            "proxmox",
            joined(&["tests/data/proxmox/resources.json", "tests/data/proxmox/ha-rules.json"]),
            BALANCE,
            &["proxmox"],
            true,
        ),
        way(
            "nomad",
            joined(&["tests/data/nomad/nodes.json", "tests/data/nomad/allocations.json", "tests/data/nomad/jobs.json"]),
            BALANCE,
            &["nomad"],
            true,
        ),
        csv,
        openb,
        roadef,
    ]
}

impl Way {
    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn import(&self) -> Vec<String> {
        self.import.clone()
    }

    fn plan(&self) -> Vec<String> {
        ["plan", "-"].iter().chain(self.plan).map(|word| word.to_string()).collect()
    }

    /// Reads the plan from stdin; the snapshot is a file.
    fn export(&self) -> Vec<String> {
        let mut words =
            vec!["export".to_string(), self.export[0].to_string(), self.path("snapshot.json"), "-".to_string()];
        words.extend(self.export[1..].iter().map(|word| word.to_string()));
        words
    }

    /// Each stage and what it reads, made step by step; the snapshot stays in its file.
    fn stages(&self) -> Vec<(Vec<String>, Vec<u8>)> {
        let mut input = self.input.clone();
        let mut stages = Vec::new();
        for (s, words) in [self.import(), self.plan(), self.export()].into_iter().enumerate() {
            let output = run(&words, &input);
            assert_eq!(output.status.code(), Some(0), "{}: {words:?}: {}", self.name, said(&output));
            stages.push((words, std::mem::replace(&mut input, output.stdout)));
            if s == 0 {
                std::fs::write(self.path("snapshot.json"), &input).unwrap();
            }
        }
        stages
    }

    /// The whole pipe for a shell: reads `$IN`, keeps the snapshot in a file.
    fn line(&self, source: &str) -> String {
        let shown = |words: Vec<String>| words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
        let [import, plan, export] = [self.import(), self.plan(), self.export()].map(shown);
        let snapshot = self.path("snapshot.json");
        format!("set -o pipefail; {source} | \"$B\" {import} | tee '{snapshot}' | \"$B\" {plan} | \"$B\" {export}")
    }

    fn shell(&self, line: &str) -> Command {
        let mut shell = Command::new("bash");
        std::fs::write(self.path("input"), &self.input).unwrap();
        shell.args(["-c", line]).env("B", env!("CARGO_BIN_EXE_bayplan")).env("IN", self.path("input"));
        shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        shell
    }
}

fn spawn(words: &[String]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bayplan"));
    command.args(words).env("NO_COLOR", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Runs with this on stdin.
fn run(words: &[String], stdin: &[u8]) -> Output {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    output_with(&words, stdin)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn assert_calm(output: &Output, what: &str) {
    let said = said(output);
    assert!(!said.contains("panic") && !said.contains("internal error"), "{what}: {said}");
}

#[test]
fn a_pipe_gives_what_step_by_step_gives() {
    for way in ways() {
        let (words, input) = way.stages().pop().unwrap();
        let expected = run(&words, &input);
        assert!(!expected.stdout.is_empty(), "{}", way.name);
        let output = way.shell(&way.line("cat \"$IN\"")).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}: {}", way.name, said(&output));
        assert_eq!(String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&expected.stdout), "{}", way.name);
    }
}

#[test]
fn input_that_is_cut_ends_every_stage_and_nothing_comes_out() {
    for way in ways() {
        for (s, (words, input)) in way.stages().into_iter().enumerate() {
            let end = input.trim_ascii_end().len();
            for length in [0, 1, end / 3, end / 2, end - 1] {
                let output = run(&words, &input[..length]);
                let what = format!("{} {words:?} after {length} of {end} bytes", way.name);
                assert_calm(&output, &what);
                let may_be_whole = s == 0 && !way.knows_its_end && length > 0;
                if may_be_whole && output.status.code() == Some(0) {
                    continue;
                }
                assert_eq!((output.status.code(), output.stdout.len()), (Some(65), 0), "{what}: {}", said(&output));
            }
        }
        let end = way.input.trim_ascii_end().len();
        for length in [0, end / 2].into_iter().filter(|length| way.knows_its_end || *length == 0) {
            let output = way.shell(&way.line(&format!("head -c {length} \"$IN\""))).output().unwrap();
            assert_eq!((output.status.code(), output.stdout.len()), (Some(65), 0), "{}: {}", way.name, said(&output));
            assert_calm(&output, way.name);
        }
    }
}

#[test]
fn a_reader_that_leaves_ends_every_stage_quietly() {
    for way in ways() {
        for (words, input) in way.stages() {
            let mut child = spawn(&words);
            drop(child.stdout.take());
            child.stdin.take().unwrap().write_all(&input).unwrap();
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{} {words:?}: {}", way.name, said(&output));
            assert_calm(&output, way.name);
        }
        // In the middle of the pipe: nobody writes to a reader that has gone for ever.
        let line = format!("{} | head -c 1 >/dev/null", way.line("cat \"$IN\""));
        let output = way.shell(&line).output().unwrap();
        assert_calm(&output, way.name);
    }
}

fn signal(target: &str, signal: &str) {
    assert!(Command::new("kill").args([signal, "--", target]).status().unwrap().success());
}

#[track_caller]
fn ends_soon(child: &mut Child, what: &str) -> Option<i32> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        assert!(Instant::now() < deadline, "{what}: it goes on");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_signal_ends_a_stage_that_still_reads_and_leaves_no_file() {
    for way in ways() {
        for (mut words, input) in way.stages() {
            let target = way.path("out");
            words.extend(["-o".into(), target.clone()]);
            for sent in ["-INT", "-TERM"] {
                let what = format!("{} {words:?} {sent}", way.name);
                let mut child = spawn(&words);
                let mut stdin = child.stdin.take().unwrap();
                stdin.write_all(&input[..input.len() / 2]).unwrap();
                wait_until_it_listens(&child);
                signal(&child.id().to_string(), sent);
                let code = ends_soon(&mut child, &what);
                assert_eq!(code, Some(130), "{what}");
                assert!(!Path::new(&target).exists(), "{what}");
                let rest: Vec<String> = std::fs::read_dir(way.folder.path())
                    .unwrap()
                    .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
                    .filter(|name| name.ends_with(".part"))
                    .collect();
                assert!(rest.is_empty(), "{what}: {rest:?}");
            }
        }
    }
}

/// As Ctrl-C in a terminal does it, and as a service manager does it: all stages get the signal at the same time.
#[cfg(target_os = "linux")]
#[test]
fn a_signal_to_the_whole_pipe_ends_it_and_leaves_no_file() {
    for way in ways() {
        for sent in ["-INT", "-TERM"] {
            let target = way.path("out");
            // Whoever feeds the pipe is outside of the group and goes on: an end of input ends no stage.
            let line = format!("{} -o '{target}'", way.line("").replacen("|", "", 1));
            let mut child = way.shell(&line).stdin(Stdio::piped()).process_group(0).spawn().unwrap();
            let mut feed = child.stdin.take().unwrap();
            feed.write_all(&way.input[..way.input.len().min(20)]).unwrap();
            let group = child.id();
            // All three are there and listen: a signal before that ends them as any other program.
            let deadline = Instant::now() + Duration::from_secs(60);
            while listening(group) < 3 {
                assert!(Instant::now() < deadline, "{}: {} listen", way.name, listening(group));
                std::thread::sleep(Duration::from_millis(10));
            }
            signal(&format!("-{group}"), sent);
            let code = ends_soon(&mut child, way.name);
            assert_ne!(code, Some(0), "{}", way.name);
            assert_calm(&child.wait_with_output().unwrap(), way.name);
            assert!(!Path::new(&target).exists(), "{}", way.name);
        }
    }
}

/// How many processes of a group handle SIGINT themselves.
#[cfg(target_os = "linux")]
fn listening(group: u32) -> usize {
    let stat = |folder: &Path, name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    let is_ours = |folder: &PathBuf| {
        let text = stat(folder, "stat");
        let after_name = text.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let is_member = after_name.split(' ').nth(2) == Some(&group.to_string());
        let caught = stat(folder, "status");
        let caught = caught.lines().find_map(|line| line.strip_prefix("SigCgt:")).map_or("0", str::trim).to_string();
        let name = std::fs::read_to_string(folder.join("comm")).unwrap_or_default();
        is_member && name.trim() == "bayplan" && u64::from_str_radix(&caught, 16).unwrap_or(0) >> 1 & 1 == 1
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    entries
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().parse::<u32>().is_ok()))
        .filter(is_ours)
        .count()
}

/// A search at work ends with the best plan so far, whoever sends the signal; the pipe behind it goes on.
#[cfg(target_os = "linux")]
#[test]
fn a_signal_to_the_search_still_gives_a_plan_that_can_be_exported() {
    for way in ways() {
        let stages = way.stages();
        let (_, snapshot) = &stages[1];
        for sent in ["-INT", "-TERM"] {
            let words: Vec<String> = ["plan", "-", "--solver", "bulk", "--effort", "1000000000", "--time-limit", "5h"]
                .map(String::from)
                .into();
            // A signal that comes while it still reads ends it; on a busy machine that may take a while.
            let output = [200, 2000, 20_000].into_iter().map(|pause| {
                let mut child = spawn(&words);
                child.stdin.take().unwrap().write_all(snapshot).unwrap();
                wait_until_it_listens(&child);
                std::thread::sleep(Duration::from_millis(pause));
                signal(&child.id().to_string(), sent);
                child.wait_with_output().unwrap()
            });
            let output =
                output.into_iter().find(|output| output.status.code() != Some(130)).expect("it searched in time");
            assert_eq!(output.status.code(), Some(0), "{} {sent}: {}", way.name, said(&output));
            let snapshot = way.path("snapshot.json");
            let verify: Vec<String> = ["verify", &snapshot, "-"].map(String::from).into();
            let verified = run(&verify, &output.stdout);
            assert_eq!(verified.status.code(), Some(0), "{}: {}", way.name, said(&verified));
        }
    }
}
