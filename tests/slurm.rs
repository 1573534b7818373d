//! Do Slurm's own daemons do what an exported plan says? Real munge, slurmctld and one slurmd per node on this machine.
//!
//! Needs Debian's packages munge, slurmctld, slurmd, slurm-client and slurm-wlm-basic-plugins, and root (slurmd starts jobs as
//! their users). Without them the test says so and is skipped, unless `BAYPLAN_REQUIRE_SLURM=1` demands it.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longest wait for a state; a loaded machine is slow, and a right cluster is never this slow.
const PATIENCE: Duration = Duration::from_secs(240);

const PROGRAMS: [&str; 7] = ["munged", "slurmctld", "slurmd", "sinfo", "squeue", "scontrol", "sbatch"];

/// What this machine lacks.
fn missing() -> Option<String> {
    let is_there = |program: &&str| {
        let folders = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/bin", "/usr/local/sbin"];
        folders.iter().any(|folder| Path::new(folder).join(program).exists())
    };
    let absent: Vec<&str> = PROGRAMS.into_iter().filter(|program| !is_there(program)).collect();
    if !absent.is_empty() {
        return Some(format!("there is no {}", absent.join(", ")));
    }
    let user = Command::new("id").arg("-u").output().unwrap();
    (String::from_utf8_lossy(&user.stdout).trim() != "0").then(|| "only root can start slurmd".to_string())
}

/// Daemons in a folder of their own, on ports of their own; all of them end with it.
struct Cluster {
    folder: tempfile::TempDir,
    daemons: Vec<Child>,
}

const NODES: [&str; 5] = ["n1", "n2", "n3", "n4", "n5"];

impl Cluster {
    fn start() -> Cluster {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["", "munge", "state", "spool", "log"] {
            fs::create_dir_all(root.join(name)).unwrap();
            fs::set_permissions(root.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::write(root.join("munge/key"), [7u8; 128]).unwrap();
        fs::set_permissions(root.join("munge/key"), fs::Permissions::from_mode(0o600)).unwrap();
        // A GPU needs a file to stand for it.
        for gpu in ["gpu0", "gpu1"] {
            symlink("/dev/null", root.join(gpu)).unwrap();
        }
        let ports: Vec<u16> = free_ports(NODES.len() + 1);
        fs::write(root.join("slurm.conf"), config(root, &ports)).unwrap();
        let gres = format!("NodeName=n[1-2] Name=gpu Type=a100 File={}/gpu[0-1]\n", root.display());
        fs::write(root.join("gres.conf"), gres).unwrap();
        let topology = "SwitchName=s0 Nodes=n[1-3]\nSwitchName=s1 Nodes=n[4-5]\nSwitchName=top Switches=s[0-1]\n";
        fs::write(root.join("topology.conf"), topology).unwrap();
        fs::write(root.join("cgroup.conf"), "CgroupPlugin=cgroup/v1\n").unwrap();
        let mut cluster = Cluster { folder, daemons: Vec::new() };
        cluster.daemon("munged", &munge_options(cluster.folder.path()));
        cluster.wait("munge's socket", |cluster| cluster.folder.path().join("munge/socket").exists());
        cluster.daemon("slurmctld", &["-D".into()]);
        for node in NODES {
            cluster.daemon("slurmd", &["-D".into(), "-N".into(), node.into()]);
        }
        cluster.wait("idle nodes", |cluster| {
            let states = cluster.ask("sinfo", &["--noheader", "--Node", "--format=%N %T"]);
            states.lines().filter(|line| line.ends_with(" idle")).collect::<BTreeSet<_>>().len() == NODES.len()
        });
        cluster
    }

    fn daemon(&mut self, program: &str, options: &[String]) {
        let log =
            fs::File::create(self.folder.path().join(format!("log/{program}-{}.out", self.daemons.len()))).unwrap();
        let mut command = Command::new(program);
        command.args(options).env("SLURM_CONF", self.folder.path().join("slurm.conf")).env("PATH", PATH);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.daemons.push(command.spawn().unwrap());
    }

    fn command(&self, program: &str, options: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.args(options).env("SLURM_CONF", self.folder.path().join("slurm.conf")).env("PATH", PATH);
        command.current_dir(self.folder.path()).output().unwrap()
    }

    /// What a command prints; empty when it fails, as it may while daemons start.
    fn ask(&self, program: &str, options: &[&str]) -> String {
        String::from_utf8(self.command(program, options).stdout).unwrap()
    }

    #[track_caller]
    fn must(&self, program: &str, options: &[&str]) -> String {
        let output = self.command(program, options);
        assert!(output.status.success(), "{program} {options:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Submits a job that sleeps; gives its id.
    fn submit(&self, options: &[&str]) -> String {
        let fixed = ["--parsable", "--output=/dev/null", "--wrap=sleep 3600"];
        self.must("sbatch", &[&fixed[..], options].concat()).trim().to_string()
    }

    #[track_caller]
    fn wait(&self, what: &str, is_so: impl Fn(&Cluster) -> bool) {
        let start = Instant::now();
        while !is_so(self) {
            assert!(start.elapsed() < PATIENCE, "waited in vain for {what}\n{}", self.story());
            sleep(Duration::from_millis(200));
        }
    }

    /// For a failed test: the queue and the last lines of every log.
    fn story(&self) -> String {
        let mut text = self.ask("squeue", &[]) + &self.ask("sinfo", &["--Node", "--long"]);
        for entry in fs::read_dir(self.folder.path().join("log")).unwrap().flatten() {
            let log = fs::read_to_string(entry.path()).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(8).collect();
            text +=
                &format!("\n== {}\n{}", entry.path().display(), tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
        text
    }

    /// The snapshot of now, through the commands' JSON.
    fn snapshot(&self, name: &str) -> Value {
        let documents = self.must("sinfo", &["--json"]) + &self.must("squeue", &["--json"]);
        let documents = documents + "\n" + &self.must("scontrol", &["show", "topology"]);
        fs::write(self.folder.path().join("documents.json"), documents).unwrap();
        let output = self.bayplan(&["import", "slurm", "documents.json", "-o", name]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.json(name)
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.folder.path().join(name)).unwrap()).unwrap()
    }

    fn bayplan(&self, options: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_bayplan"), options)
    }
}

const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin";

impl Drop for Cluster {
    fn drop(&mut self) {
        // Jobs first: their keepers outlive slurmd.
        self.command("scancel", &["--user=root"]);
        let start = Instant::now();
        while !self.ask("squeue", &["--noheader"]).is_empty() && start.elapsed() < Duration::from_secs(30) {
            sleep(Duration::from_millis(200));
        }
        for daemon in self.daemons.iter_mut().rev() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

fn munge_options(root: &Path) -> Vec<String> {
    let mut options = vec!["--foreground".to_string()];
    let files = ["socket", "key-file", "pid-file", "log-file", "seed-file"];
    let name = |option: &str| option.trim_end_matches("-file").to_string();
    options.extend(files.map(|option| format!("--{option}={}/munge/{}", root.display(), name(option))));
    options
}

fn config(root: &Path, ports: &[u16]) -> String {
    let root = root.display();
    let mut text = format!(
        "ClusterName=bayplan\nSlurmctldHost=localhost(127.0.0.1)\nSlurmctldPort={}\nSlurmUser=root\nSlurmdUser=root\n\
         AuthType=auth/munge\nAuthInfo=socket={root}/munge/socket\nCredType=cred/munge\n\
         StateSaveLocation={root}/state\nSlurmdSpoolDir={root}/spool/%n\nSlurmctldPidFile={root}/slurmctld.pid\n\
         SlurmdPidFile={root}/%n.pid\nSlurmctldLogFile={root}/log/slurmctld\nSlurmdLogFile={root}/log/%n\n\
         ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nJobAcctGatherType=jobacct_gather/none\n\
         AccountingStorageType=accounting_storage/none\nMailProg=/bin/true\nSelectType=select/cons_tres\n\
         SelectTypeParameters=CR_CPU_Memory\nSchedulerType=sched/backfill\nMpiDefault=none\nReturnToService=2\n\
         GresTypes=gpu\nTopologyPlugin=topology/tree\nSlurmdParameters=config_overrides\nMessageTimeout=60\nTCPTimeout=30\n",
        ports[0]
    );
    let shapes = ["CPUs=8 RealMemory=16000 Feature=ssd,old Gres=gpu:a100:2"; 2];
    let shapes = shapes
        .into_iter()
        .chain(["CPUs=8 RealMemory=16000 Feature=ssd"])
        .chain(["CPUs=4 RealMemory=8000 Feature=disk"; 2]);
    for ((node, port), shape) in NODES.iter().zip(&ports[1..]).zip(shapes) {
        text +=
            &format!("NodeName={node} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} {shape} State=UNKNOWN\n");
    }
    text + "PartitionName=main Nodes=n[1-5] Default=YES State=UP\nPartitionName=gpu Nodes=n[1-2] State=UP\n"
}

/// Nodes and requirement of every placed job: `job-5/0` and `job-5/1` are one job, and which rank is where has no meaning.
type State = BTreeMap<String, BTreeSet<(String, i64, i64)>>;

fn state(tasks: &[Value], moved: &BTreeMap<String, String>) -> State {
    let mut state = State::new();
    for task in tasks {
        let name = task["name"].as_str().unwrap();
        let now = task["placement"][0]["node"].as_str().map(String::from);
        if let Some(node) = moved.get(name).cloned().or(now) {
            let amount = |resource: &str| task["requirement"][resource].as_i64().unwrap();
            let job = name.split('/').next().unwrap().to_string();
            state.entry(job).or_default().insert((node, amount("cpu"), amount("memory")));
        }
    }
    state
}

/// Where the plan sends each task.
fn moves(plan: &Value) -> BTreeMap<String, String> {
    let steps = plan["waves"].as_array().unwrap().iter().flat_map(|wave| wave.as_array().unwrap());
    let target = |step: &Value| {
        let text = |field: &Value| field.as_str().unwrap().to_string();
        (text(&step["task"]), text(&step["to"][0]["node"]))
    };
    steps.map(target).collect()
}

#[test]
fn slurm_does_what_an_exported_plan_says() {
    if let Some(reason) = missing() {
        let is_required = std::env::var("BAYPLAN_REQUIRE_SLURM").as_deref() == Ok("1");
        assert!(!is_required, "Slurm is required here: {reason}");
        eprintln!("skipped slurm_does_what_an_exported_plan_says: {reason}");
        return;
    }
    let cluster = Cluster::start();
    for job in [
        &["--cpus-per-task=2", "--mem=1000", "--nodelist=n1", "--gpus-per-node=a100:1"][..],
        &["-c3", "--mem=9000", "-w", "n3"],
    ] {
        cluster.submit(job);
    }
    cluster.wait("two running jobs", |cluster| {
        cluster.ask("squeue", &["--noheader", "--states=RUNNING"]).lines().count() == 2
    });
    cluster.must("scontrol", &["update", "partitionname=main", "state=down"]);
    let gang = cluster.submit(&["--nodes=2", "--ntasks-per-node=1", "-c4", "--mem=2000", "--constraint=ssd"]);
    cluster.submit(&["--array=1-2", "-c4", "--mem=3000"]);
    cluster.submit(&["--gpus-per-node=a100:2", "-c2", "--mem=100"]);
    cluster.submit(&["-c1", "--mem=500", "--exclude=n[1-3]", "--constraint=disk|ssd"]);
    cluster.submit(&["-c1", "--mem=500", "-w", "n5"]);
    let held = cluster.submit(&["--hold", "-c1", "--mem=10"]);
    let after = cluster.submit(&["--dependency=afterok:1", "-c1", "--mem=10"]);

    let before = cluster.snapshot("before.json");
    let tasks = before["tasks"].as_array().unwrap();
    let has = |name: &str| tasks.iter().any(|task| task["name"].as_str().unwrap().split('/').next() == Some(name));
    assert!(has(&format!("job-{gang}")) && !has(&format!("job-{held}")) && !has(&format!("job-{after}")));
    let switches: Vec<&str> =
        before["nodes"].as_array().unwrap().iter().map(|node| node["domains"]["switch"].as_str().unwrap()).collect();
    assert_eq!(switches, ["s0", "s0", "s0", "s1", "s1"]);
    let output = cluster.bayplan(&["plan", "before.json", "--effort", "200", "--seed", "1", "-o", "plan.json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let moved = moves(&cluster.json("plan.json"));
    assert_eq!(moved.len(), 7, "everything that waits for room has room: {moved:?}");

    let output = cluster.bayplan(&["export", "slurm", "before.json", "plan.json", "-o", "apply.sh"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let queue = cluster.must("squeue", &["--noheader", "--format=%i %T %n"]);
    let shown = cluster.must("bash", &["apply.sh"]);
    assert_eq!(shown.lines().filter(|line| line.starts_with("scontrol update jobid=")).count(), 6, "{shown}");
    assert_eq!(cluster.must("squeue", &["--noheader", "--format=%i %T %n"]), queue, "without --apply nothing happens");
    cluster.must("bash", &["apply.sh", "--apply"]);
    cluster.must("scontrol", &["update", "partitionname=main", "state=up"]);
    cluster.wait("the jobs to run", |cluster| {
        cluster.ask("squeue", &["--noheader", "--states=RUNNING"]).lines().count() == 8
    });

    let planned = state(tasks, &moved);
    let after = cluster.snapshot("after.json");
    let reached = state(after["tasks"].as_array().unwrap(), &BTreeMap::new());
    assert_eq!(reached, planned, "{}", cluster.story());

    let again = cluster.command("bash", &["apply.sh", "--apply"]);
    assert!(!again.status.success(), "jobs that run must not be placed again");
    assert!(String::from_utf8_lossy(&again.stderr).contains("does not wait any more"));
}
