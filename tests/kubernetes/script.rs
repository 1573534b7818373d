//! Does a plan go out as Kubernetes takes it? Objects of each form, and a script that does only what it says.
//!
//! The plan is written by hand, so that the texts below do not change with the search. Real kubectl reads the objects and runs
//! the script against a server of a few lines that records what it is asked; a kubectl of three lines records its arguments.

use super::*;
use bayplan::adapter::kubernetes::{Form, export};
use bayplan::model::{Piece, Spot, TaskId};
use bayplan::plan::{Move, Plan, Reason, Status};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

const CLUSTER: &str = include_str!("../../data/kubernetes/cluster.json");

/// Wave 1: a pod of web leaves node-4, a pod starts, the machine moves. Wave 2: training starts, the machine moves on.
fn plan(problem: &Problem) -> Plan {
    let task = |part: &str| {
        let found = problem.task_ids().find(|id| problem.tasks[id.index()].name.contains(part));
        found.unwrap_or_else(|| panic!("no task {part}"))
    };
    let on = |name: &str, devices: u64| {
        let node = problem.node_ids().find(|id| problem.nodes[id.index()].name == name);
        Spot::On(Piece { devices, ..Piece::whole(node.unwrap_or_else(|| panic!("no node {name}"))) })
    };
    let step = |task: TaskId, from: Spot, to: Spot, reason: Reason| Move { task, from, to, reason, gain: 0 };
    let machine = task("desk-1");
    Plan {
        fingerprint: "0123abcd".to_string(),
        goal: None,
        solver: "bulk".to_string(),
        seed: 0,
        effort: 1,
        backend: "cpu".to_string(),
        status: Status::Feasible,
        bound: None,
        gap: None,
        proof: None,
        objective: (0, 0),
        waves: vec![
            vec![
                step(task("web-6d4cf56db6-b"), on("node-4", 0), on("node-2", 0), Reason::Drain),
                step(task("report"), Spot::Unplaced, on("node-3", 0), Reason::Admit),
                step(machine, on("node-1", 0), on("node-2", 0), Reason::Park),
            ],
            vec![
                step(task("train-0"), on("gpu-1", 0b11), on("gpu-1", 0b110), Reason::Resize),
                step(task("train-1"), Spot::Unplaced, on("gpu-1", 0b1), Reason::Admit),
                step(machine, on("node-2", 0), on("node-3", 0), Reason::Improve),
            ],
        ],
        unplaced: Vec::new(),
        blocked: Vec::new(),
        reserve: None,
        blockers: Vec::new(),
        drain: Vec::new(),
        unexplored: Vec::new(),
    }
}

fn cluster() -> Imported {
    import(&[Document { name: "cluster".to_string(), bytes: CLUSTER.into() }], &Options::default()).unwrap()
}

/// The text of a form, and the counts of what is not in it.
fn exported(form: Form, wave: Option<usize>) -> (String, Vec<(String, u64)>) {
    let snapshot = cluster().snapshot;
    let problem = Problem::new(&snapshot).unwrap();
    let exported = export(&snapshot, &problem, &plan(&problem), form, wave).unwrap_or_else(|faults| panic!("{faults}"));
    let notes = exported.notes.lines().map(|(_, what, count)| (what.to_string(), count));
    (exported.text.clone(), notes.collect())
}

fn pretty(text: &str) -> String {
    let objects = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    objects.map(|object| serde_json::to_string_pretty(&object).unwrap() + "\n").collect()
}

#[test]
fn objects_of_each_form() {
    for (name, form) in [
        ("evictions", Form::Evictions),
        ("reservations", Form::Reservations),
        ("migrations", Form::Migrations),
        ("bindings", Form::Bindings),
    ] {
        let (text, notes) = exported(form, None);
        insta::assert_snapshot!(name, format!("{}{notes:#?}", pretty(&text)));
    }
}

#[test]
fn a_wave_alone_is_part_of_the_whole() {
    for form in [Form::Evictions, Form::Reservations, Form::Migrations, Form::Bindings] {
        let parts = [0, 1].map(|wave| exported(form, Some(wave)).0);
        assert_eq!(parts.concat(), exported(form, None).0);
    }
}

#[test]
fn a_wave_that_the_plan_does_not_have_is_refused() {
    let snapshot = cluster().snapshot;
    let problem = Problem::new(&snapshot).unwrap();
    let mut plan = plan(&problem);
    let said = export(&snapshot, &problem, &plan, Form::Migrations, Some(2)).unwrap_err().to_string();
    for part in ["I306", "wave 3", "the plan has 2 waves", "from 1 to 2"] {
        assert!(said.contains(part), "{part} is missing in {said}");
    }
    // Nothing to do is nothing to refuse.
    plan.waves.clear();
    assert_eq!(export(&snapshot, &problem, &plan, Form::Evictions, Some(0)).unwrap().text, "");
    assert!(export(&snapshot, &problem, &plan, Form::Evictions, Some(1)).is_err());
}

#[test]
fn the_script_reads_well() {
    insta::assert_snapshot!("script", exported(Form::Shell, None).0);
}

/// The same plan, in which a pod of web moves on in wave 2.
fn plan_with_a_second_move(problem: &Problem) -> Plan {
    let mut plan = plan(problem);
    plan.waves[1][2] =
        Move { task: plan.waves[0][0].task, from: plan.waves[0][0].to.clone(), ..plan.waves[1][2].clone() };
    plan
}

#[test]
fn a_pod_that_moves_twice_is_no_object_that_anybody_knows_yet() {
    let snapshot = cluster().snapshot;
    let problem = Problem::new(&snapshot).unwrap();
    let plan = plan_with_a_second_move(&problem);
    let exported = |form, wave| export(&snapshot, &problem, &plan, form, wave);
    for form in [Form::Evictions, Form::Reservations, Form::Bindings, Form::Migrations] {
        for wave in [None, Some(1)] {
            let said = exported(form, wave).expect_err("nobody knows its name").to_string();
            assert!(said.contains("I305") && said.contains("--wave 1") && said.contains("plan anew"), "{said}");
        }
        assert!(exported(form, Some(0)).is_ok(), "the first wave is known");
    }
    assert_eq!(exported(Form::Evictions, Some(0)).unwrap().text.lines().count(), 1);
}

#[test]
fn the_script_knows_where_its_knowledge_ends() {
    let snapshot = cluster().snapshot;
    let problem = Problem::new(&snapshot).unwrap();
    let plan = plan_with_a_second_move(&problem);
    let text = export(&snapshot, &problem, &plan, Form::Shell, None).unwrap().text;
    assert!(text.contains("From wave 2 on, pods move a second time"), "{text}");
    let folder = stage(RECORDER);
    std::fs::write(folder.path().join("plan.sh"), text).unwrap();
    for (arguments, code, commands) in [(&[][..], 0, 3), (&["--apply", "1"], 0, 3), (&["--apply", "2"], 1, 0)] {
        let (output, log) = run_script(folder.path(), arguments);
        assert_eq!((output.status.code(), log.len()), (Some(code), commands * 2), "{arguments:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(said.contains("import the cluster again"), arguments != ["--apply", "1"], "{said}");
    }
}

#[test]
fn the_script_has_the_waves_that_objects_have() {
    let snapshot = cluster().snapshot;
    let problem = Problem::new(&snapshot).unwrap();
    let (mut within, mut empty) = (plan(&problem), plan(&problem));
    // Wave 2 changes devices on a node and nothing else, for which Kubernetes has no words.
    within.waves[1].truncate(1);
    empty.waves.clear();
    for (plan, waves) in [(within, 2), (empty, 1)] {
        let folder = stage(RECORDER);
        let text = export(&snapshot, &problem, &plan, Form::Shell, None).unwrap().text;
        std::fs::write(folder.path().join("plan.sh"), text).unwrap();
        for wave in 1..=waves + 1 {
            let is_there = export(&snapshot, &problem, &plan, Form::Evictions, Some(wave - 1)).is_ok();
            let (output, log) = run_script(folder.path(), &["--apply", &wave.to_string()]);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(
                (is_there, output.status.code()),
                (wave <= waves, Some(if wave <= waves { 0 } else { 64 })),
                "{said}"
            );
            assert!(wave < waves || log.is_empty(), "the last wave and the one beyond have nothing to send: {log:?}");
        }
        assert_eq!(run_script(folder.path(), &[]).0.status.code(), Some(0));
    }
}

#[test]
fn names_that_are_none_are_refused() {
    let mut snapshot = cluster().snapshot;
    let problem = Problem::new(&snapshot).unwrap();
    let plan = plan(&problem);
    for bad in ["", "a b", "$(reboot)", "x'; reboot; '", "a\nb", "\"}", "é", "..", "-n", "a..b", "a/b"] {
        let task = plan.waves[0][0].task.index();
        snapshot.tasks[task].origin.insert("name".to_string(), bad.to_string());
        let refused = export(&snapshot, &problem, &plan, Form::Shell, None);
        assert_eq!(refused.unwrap_err().list()[0].code, "I304", "{bad}");
    }
    snapshot.tasks.iter_mut().for_each(|task| task.origin.clear());
    assert_eq!(export(&snapshot, &problem, &plan, Form::Bindings, None).unwrap_err().list()[0].code, "I303");
}

/// A folder with the script, and a `kubectl` that records its arguments and input in `log`.
fn stage(kubectl: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("plan.sh"), exported(Form::Shell, None).0).unwrap();
    std::fs::create_dir(folder.path().join("bin")).unwrap();
    let path = folder.path().join("bin/kubectl");
    std::fs::write(&path, kubectl).unwrap();
    let status = Command::new("chmod").arg("+x").arg(&path).status().unwrap();
    assert!(status.success());
    folder
}

const RECORDER: &str = "#!/bin/sh\n{ echo \"$*\"; cat; } >> \"$LOG\"\n";

fn run_script(folder: &Path, arguments: &[&str]) -> (Output, Vec<String>) {
    let log = folder.join("log");
    std::fs::write(&log, "").unwrap();
    let path = format!("{}:{}", folder.join("bin").display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.current_dir(folder).arg("plan.sh").args(arguments).env("PATH", path).env("LOG", &log);
    let output = command.output().unwrap();
    (output, std::fs::read_to_string(&log).unwrap().lines().map(str::to_string).collect())
}

#[test]
fn bash_accepts_the_script() {
    let folder = stage(RECORDER);
    let output = Command::new("bash").current_dir(folder.path()).args(["-n", "plan.sh"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_script_is_a_dry_run_unless_told_which_wave_to_apply() {
    let folder = stage(RECORDER);
    let commands = |arguments: &[&str]| {
        let (output, log) = run_script(folder.path(), arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let (calls, bodies): (Vec<String>, Vec<String>) =
            log.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).unzip();
        bodies.iter().for_each(|body| _ = serde_json::from_str::<Value>(body).unwrap());
        (calls, bodies)
    };
    let (dry, bodies) = commands(&[]);
    assert_eq!(dry.len(), 5);
    assert!(
        dry.iter().all(|call| call.starts_with("create --raw /api") && call.ends_with("?dryRun=All -f -")),
        "{dry:?}"
    );
    let (first, _) = commands(&["--apply", "1"]);
    let (second, _) = commands(&["--apply", "2"]);
    let plain: Vec<String> = dry.iter().map(|call| call.replace("?dryRun=All", "")).collect();
    assert_eq!([first, second].concat(), plain);
    // Each eviction and binding has the uid of its pod.
    let uids = bodies.iter().filter(|body| body.contains("preconditions") || body.contains("\"Binding\""));
    assert!(uids.clone().count() == 3 && uids.into_iter().all(|body| body.contains("\"uid\":\"5a0000")), "{bodies:?}");
}

#[test]
fn the_script_refuses_what_it_does_not_know_and_stops_at_the_first_failure() {
    let folder = stage(RECORDER);
    for arguments in [
        &["--apply", "0"][..],
        &["--apply", "3"],
        &["--apply", "99999999999999999999"],
        &["--apply", "one"],
        &["--apply", "1x"],
        &["--apply", ""],
        &["--apply", "1", "2"],
        &["--apply"],
        &["--aply"],
        &["1"],
        &[""],
    ] {
        let (output, log) = run_script(folder.path(), arguments);
        assert_eq!((output.status.code(), log.len()), (Some(64), 0), "{arguments:?}");
    }
    let folder = stage(&format!("{RECORDER}exit 1\n"));
    let (output, log) = run_script(folder.path(), &["--apply", "1"]);
    assert_eq!((output.status.code(), log.len()), (Some(1), 2), "only the first command was sent");
}

/// Whether kubectl is here; without it, under `BAYPLAN_REQUIRE_KUBECTL=1`, the test fails.
fn has_kubectl(test: &str) -> bool {
    let is_here =
        Command::new("kubectl").args(["version", "--client"]).output().is_ok_and(|output| output.status.success());
    let is_required = std::env::var_os("BAYPLAN_REQUIRE_KUBECTL").is_some_and(|value| value == "1");
    assert!(is_here || !is_required, "{test} needs kubectl");
    if !is_here {
        eprintln!("skipped: {test} needs kubectl");
    }
    is_here
}

#[test]
fn kubectl_reads_every_object() {
    if !has_kubectl("kubectl_reads_every_object") {
        return;
    }
    for form in [Form::Evictions, Form::Reservations, Form::Migrations, Form::Bindings] {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("objects.json");
        let text = exported(form, None).0;
        std::fs::write(&path, &text).unwrap();
        let names = |more: &[&str]| {
            let mut command = Command::new("kubectl");
            command.args(["annotate", "--local", "-o", "name", "-f"]).arg(&path).args(more).arg("checked=yes");
            let output = command.output().unwrap();
            assert!(output.status.success(), "{form:?}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap().lines().count()
        };
        assert_eq!(names(&[]), text.lines().count(), "{form:?}");
    }
}

/// A request as the server saw it: method and path, and the body.
type Request = (String, Value);

/// Answers every request with 201 and what was sent, and keeps the posts.
fn serve(listener: TcpListener, seen: Arc<Mutex<Vec<Request>>>) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else { return };
        let seen = Arc::clone(&seen);
        std::thread::spawn(move || answer(stream, &seen));
    }
}

fn answer(stream: TcpStream, seen: &Mutex<Vec<Request>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            match reader.read_line(&mut line) {
                Ok(length) if length > 0 => {}
                _ => return,
            }
            if line.trim().is_empty() {
                break;
            }
            head.push(line.trim().to_string());
        }
        let header =
            |name: &str| head.iter().find_map(|line| Some(line.to_lowercase().strip_prefix(name)?.trim().to_string()));
        let body = if header("transfer-encoding:").as_deref() == Some("chunked") {
            chunks(&mut reader)
        } else {
            let length = header("content-length:").map_or(0, |length| length.parse().unwrap());
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            body
        };
        let mut words = head[0].split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        if method == "POST" {
            seen.lock().unwrap().push((path.to_string(), serde_json::from_slice(&body).unwrap()));
        }
        let body = if body.is_empty() { discovery(path).to_string().into_bytes() } else { body };
        let head =
            format!("HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        if writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(&body)).is_err() {
            return;
        }
    }
}

/// Plural, kind, whether it lives in a namespace.
type Known = (&'static str, &'static str, bool);

/// What an API server says of the kinds it knows, as far as deploy/ needs them.
fn discovery(path: &str) -> Value {
    const GROUPS: [(&str, &[Known]); 2] = [
        ("batch", &[("cronjobs", "CronJob", true)]),
        (
            "rbac.authorization.k8s.io",
            &[("clusterroles", "ClusterRole", false), ("clusterrolebindings", "ClusterRoleBinding", false)],
        ),
    ];
    const CORE: [Known; 4] = [
        ("namespaces", "Namespace", false),
        ("serviceaccounts", "ServiceAccount", true),
        ("configmaps", "ConfigMap", true),
        ("persistentvolumeclaims", "PersistentVolumeClaim", true),
    ];
    let resources = |version: &str, kinds: &[Known]| {
        let resource = |(name, kind, namespaced): &Known| {
            let verbs = ["create", "get", "list"];
            json!({"name": name, "singularName": "", "namespaced": namespaced, "kind": kind, "verbs": verbs})
        };
        let list: Vec<Value> = kinds.iter().map(resource).collect();
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": list})
    };
    let path = path.split('?').next().unwrap();
    if path == "/api" {
        return json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []});
    }
    if path == "/apis" {
        let group = |(name, _): &(&str, &[(&str, &str, bool)])| {
            let version = json!({"groupVersion": format!("{name}/v1"), "version": "v1"});
            json!({"name": name, "versions": [version], "preferredVersion": version})
        };
        return json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": GROUPS.iter().map(group).collect::<Vec<_>>()});
    }
    let group = GROUPS.iter().find(|(name, _)| path == format!("/apis/{name}/v1"));
    match (path, group) {
        ("/api/v1", _) => resources("v1", &CORE),
        (_, Some((name, kinds))) => resources(&format!("{name}/v1"), kinds),
        _ => json!({}),
    }
}

/// A server, and a file that leads kubectl to it.
fn server(folder: &Path) -> (Arc<Mutex<Vec<Request>>>, std::path::PathBuf) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let requests = Arc::clone(&seen);
    std::thread::spawn(move || serve(listener, requests));
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": format!("http://{address}")}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}], "users": [{"name": "test", "user": {}}]
    });
    let path = folder.join("config");
    std::fs::write(&path, config.to_string()).unwrap();
    (seen, path)
}

/// A body in chunks: each begins with its length, the last one is empty.
fn chunks(reader: &mut impl BufRead) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let length = usize::from_str_radix(line.trim(), 16).unwrap();
        let mut chunk = vec![0; length + 2];
        reader.read_exact(&mut chunk).unwrap();
        if length == 0 {
            return body;
        }
        body.extend(&chunk[..length]);
    }
}

#[test]
fn real_kubectl_sends_what_the_script_says() {
    if !has_kubectl("real_kubectl_sends_what_the_script_says") {
        return;
    }
    let folder = stage("");
    std::fs::remove_dir_all(folder.path().join("bin")).unwrap();
    let (seen, path) = server(folder.path());
    let mut command = Command::new("bash");
    command
        .current_dir(folder.path())
        .args(["plan.sh", "--apply", "1"])
        .env("KUBECONFIG", &path)
        .env("HOME", folder.path());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen = seen.lock().unwrap();
    let paths: Vec<&str> = seen.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "/api/v1/namespaces/shop/pods/web-6d4cf56db6-b/eviction",
            "/api/v1/namespaces/shop/pods/report-5f6b-q/binding",
            "/apis/kubevirt.io/v1/namespaces/vms/virtualmachineinstancemigrations"
        ]
    );
    assert_eq!(seen[0].1["deleteOptions"]["preconditions"]["uid"], "5a000007-1f2e-4d3c-8b5a-00000000d889");
    assert_eq!(seen[1].1["target"]["name"], "node-3");
    assert_eq!(seen[2].1["spec"]["vmiName"], "desk-1");
}

// ------------------------------------------------------------------------------------------------------------------ deploy

const CRON_JOB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/kubernetes/cronjob.yaml");

/// The objects of a file in YAML, as kubectl reads them.
fn objects_of(path: &str) -> Vec<Value> {
    let mut command = Command::new("kubectl");
    command.args(["annotate", "--local", "-o", "json", "-f", path, "read=yes"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::Deserializer::from_slice(&output.stdout).into_iter().map(Result::unwrap).collect()
}

/// What a role that only reads, and only what the importer reads, must not say.
fn role_objections(role: &Value) -> Vec<String> {
    const READ: [(&str, &str); 8] = [
        ("", "nodes"),
        ("", "pods"),
        ("", "namespaces"),
        ("", "persistentvolumes"),
        ("", "persistentvolumeclaims"),
        ("policy", "poddisruptionbudgets"),
        ("scheduling.k8s.io", "priorityclasses"),
        ("kubevirt.io", "virtualmachineinstances"),
    ];
    let mut objections = Vec::new();
    let words = |rule: &Value, name: &str| -> Vec<String> {
        let list = rule[name].as_array().cloned().unwrap_or_default();
        list.iter().map(|word| word.as_str().unwrap_or("?").to_string()).collect()
    };
    if !role["aggregationRule"].is_null() {
        objections.push("it takes the rules of other roles".to_string());
    }
    for rule in role["rules"].as_array().into_iter().flatten() {
        for verb in words(rule, "verbs") {
            if !["get", "list", "watch"].contains(&verb.as_str()) {
                objections.push(format!("the verb {verb} does more than read"));
            }
        }
        if !words(rule, "nonResourceURLs").is_empty() {
            objections.push("paths that are no resources".to_string());
        }
        for group in words(rule, "apiGroups") {
            for resource in words(rule, "resources") {
                if !READ.contains(&(group.as_str(), resource.as_str())) {
                    objections.push(format!("{resource} of {group:?} is not read by the importer"));
                }
            }
        }
    }
    objections
}

#[test]
fn the_judge_of_roles_objects() {
    let role = |rule: Value| json!({"kind": "ClusterRole", "rules": [rule]});
    let rule = |groups: Value, resources: Value, verbs: Value| {
        role(json!({"apiGroups": groups, "resources": resources, "verbs": verbs}))
    };
    assert_eq!(role_objections(&rule(json!([""]), json!(["pods"]), json!(["get", "list", "watch"]))), [""; 0]);
    for bad in [
        rule(json!([""]), json!(["pods"]), json!(["get", "delete"])),
        rule(json!([""]), json!(["pods"]), json!(["*"])),
        rule(json!([""]), json!(["*"]), json!(["get"])),
        rule(json!(["*"]), json!(["pods"]), json!(["get"])),
        rule(json!([""]), json!(["secrets"]), json!(["get"])),
        rule(json!([""]), json!(["pods/eviction"]), json!(["get"])),
        role(json!({"nonResourceURLs": ["/metrics"], "verbs": ["get"]})),
        json!({"kind": "ClusterRole", "aggregationRule": {"clusterRoleSelectors": []}, "rules": []}),
    ] {
        assert!(!role_objections(&bad).is_empty(), "{bad}");
    }
}

#[test]
fn what_is_deployed_only_reads_and_fits_together() {
    if !has_kubectl("what_is_deployed_only_reads_and_fits_together") {
        return;
    }
    let objects = objects_of(CRON_JOB);
    let of = |kind: &str| -> Vec<&Value> { objects.iter().filter(|object| object["kind"] == kind).collect() };
    let roles: Vec<&Value> =
        objects.iter().filter(|object| object["kind"].as_str().unwrap().ends_with("Role")).collect();
    assert_eq!(roles.len(), 1);
    assert_eq!(role_objections(roles[0]), [""; 0]);
    let bindings: Vec<&Value> =
        objects.iter().filter(|object| object["kind"].as_str().unwrap().ends_with("RoleBinding")).collect();
    let [binding] = bindings.try_into().unwrap();
    assert_eq!(binding["roleRef"]["name"], roles[0]["metadata"]["name"]);
    let [account] = of("ServiceAccount").try_into().unwrap();
    let subject = &binding["subjects"][0];
    assert_eq!(
        (&subject["name"], &subject["namespace"]),
        (&account["metadata"]["name"], &account["metadata"]["namespace"])
    );
    assert_eq!(binding["subjects"].as_array().unwrap().len(), 1);
    let [job] = of("CronJob").try_into().unwrap();
    assert_eq!((&job["apiVersion"], &job["spec"]["concurrencyPolicy"]), (&json!("batch/v1"), &json!("Forbid")));
    let pod = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    assert_eq!(pod["serviceAccountName"], account["metadata"]["name"]);
    let security = &pod["containers"][0]["securityContext"];
    assert_eq!(
        (&security["allowPrivilegeEscalation"], &security["readOnlyRootFilesystem"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);

    // The run's file is sound, and asks for nothing that the role does not give.
    let [settings] = of("ConfigMap").try_into().unwrap();
    let text = settings["data"]["nightly.toml"].as_str().unwrap();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("nightly.toml");
    // The folder is where the volume is mounted, not where tests are.
    let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
    let runs = mounts.iter().find(|mount| mount["name"] == "runs").unwrap()["mountPath"].as_str().unwrap();
    std::fs::write(&path, text.replace(runs, folder.path().to_str().unwrap())).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_bayplan")).args(["run", "--check"]).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let asked = text.lines().find_map(|line| line.trim().strip_prefix("\"nodes,")).expect("what kubectl lists");
    let asked = format!("nodes,{}", asked.trim_end_matches(['"', ']', ',']));
    let mut allowed: std::collections::BTreeSet<&str> = roles[0]["rules"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|rule| rule["resources"].as_array().unwrap().iter().map(|resource| resource.as_str().unwrap()))
        .collect();
    // Whoever has KubeVirt adds its machines to the list, as the file says.
    assert!(allowed.remove("virtualmachineinstances") && text.contains("add virtualmachineinstances"));
    assert_eq!(asked.split(',').collect::<std::collections::BTreeSet<_>>(), allowed);

    // And kubectl would create all of it, in a dry run that sends nothing.
    let (seen, config) = server(folder.path());
    let mut command = Command::new("kubectl");
    command.args(["create", "--dry-run=client", "--validate=false", "-o", "name", "-f", CRON_JOB]);
    let output = command.env("KUBECONFIG", &config).env("HOME", folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let created = String::from_utf8(output.stdout).unwrap();
    assert_eq!(created.lines().count(), objects.len(), "{created}{said}");
    assert!(created.contains("cronjob.batch/bayplan") && seen.lock().unwrap().is_empty(), "{created}");
}
