//! Does the command line keep its word? Exit codes, streams, atomic output, signals, and the published figures.

mod common;

use assert_cmd::Command;
use common::command::{bayplan, path_in, run, run_with, written};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const ABC: &str = "data/abc.json";
const SMALL: &str = "data/small.json";

fn abc() -> Value {
    serde_json::from_str(&std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(ABC)).unwrap()).unwrap()
}

fn entries(folder: &TempDir) -> Vec<PathBuf> {
    let mut list: Vec<PathBuf> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    list.sort();
    list
}

/// A plan for `snapshot`, made now, in `folder`.
fn planned(folder: &TempDir, snapshot: &str, more: &[&str]) -> String {
    let plan = path_in(folder, "plan.json");
    let args = [&["plan", snapshot, "-o", &plan], more].concat();
    let (code, stdout, stderr) = run(&args);
    assert_eq!((code, stdout.as_str()), (0, ""), "{stderr}");
    plan
}

// ---------------------------------------------------------------------------------------------------------- the mission

#[test]
fn score_gives_the_three_published_figures() {
    let (code, stdout, _) = run(&["score", ABC, "-o", "json"]);
    assert_eq!(code, 0);
    let score: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(score["utilization"], json!(0.25));
    assert!((score["weighted_utilization"].as_f64().unwrap() - 31.0 / 12.0).abs() < 1e-12);
    let headroom: Vec<&Value> = score["headroom"].as_object().unwrap().values().collect();
    assert_eq!(headroom, [&json!(4)]);
    assert_eq!(score["violations"], json!([]));
}

#[test]
fn plan_reaches_the_optimum_of_abc() {
    let folder = TempDir::new().unwrap();
    let plan = planned(&folder, ABC, &[]);
    let (code, stdout, _) = run(&["score", ABC, &plan, "-o", "json"]);
    assert_eq!(code, 0);
    let score: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(score["objective"], json!(5));
    assert_eq!(score["utilization"], json!(10.0 / 24.0));
    assert!(score["headroom"].as_object().unwrap().values().all(|value| *value == json!(0)));
    let (code, stdout, _) = run(&["verify", ABC, &plan]);
    assert_eq!(code, 0, "{stdout}");
}

#[test]
fn the_score_table_stays_readable() {
    let (code, stdout, stderr) = run(&["score", ABC]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    insta::assert_snapshot!(stdout);
}

#[test]
fn the_readme_run_shows_table_moves_and_verdict() {
    let folder = TempDir::new().unwrap();
    let plan = path_in(&folder, "plan.json");
    let (code, stdout, stderr) = run(&["plan", SMALL, "-o", &plan, "--effort", "2000"]);
    assert_eq!((code, stdout.as_str()), (0, ""), "{stderr}");
    for expected in ["before", "after", "objective", "wave", "why", "verified: "] {
        assert!(stderr.contains(expected), "{expected:?} is missing in\n{stderr}");
    }
    assert!(stderr.is_ascii(), "{stderr}");
    let (code, stdout, _) = run(&["verify", SMALL, &plan]);
    assert_eq!(code, 0, "{stdout}");
    assert!(stdout.starts_with("verified: "), "{stdout}");
}

#[test]
fn points_for_unevenness_even_a_cluster() {
    let folder = TempDir::new().unwrap();
    let plan = planned(&folder, "data/uneven.json", &["--effort", "1000"]);
    let score: Value = serde_json::from_str(&run(&["score", "data/uneven.json", &plan, "-o", "json"]).1).unwrap();
    assert_eq!(score["objective"], json!(7));
    assert_eq!(score["resources"][0]["deviation"], json!(0.0));
    assert_eq!(score["resources"][0]["fullest_node"], json!(0.5));
}

/// Four nodes, one of them full: a goal evens them, in points that its plan carries and nobody else sees.
#[test]
fn a_goal_goes_with_its_plan() {
    let folder = TempDir::new().unwrap();
    let nodes = written(&folder, "nodes.csv", "node,cpu,memory\na,80,100\nb,80,100\nc,40,50\nd,40,0\n");
    let tasks: String = (0..24).map(|t| format!("t{t},5,{},a\n", if t < 12 { 5 } else { 0 })).collect();
    let tasks = written(&folder, "tasks.csv", format!("task,cpu,memory,node\n{tasks}"));
    let snapshot = path_in(&folder, "snapshot.json");
    let (code, _, stderr) = run(&["import", "csv", &nodes, &tasks, "--soft-limit", "none", "-o", &snapshot]);
    assert_eq!(code, 0, "{stderr}");
    let plan = path_in(&folder, "plan.json");
    let args = ["plan", &snapshot, "--goal", "balance", "--effort", "2000", "-o", &plan];
    let (code, stdout, stderr) = run(&args);
    assert_eq!((code, stdout.as_str()), (0, ""), "{stderr}");
    let (code, stdout, _) = run(&["verify", &snapshot, &plan]);
    assert_eq!(code, 0, "{stdout}");
    let (_, stdout, _) = run(&["score", &snapshot, &plan]);
    insta::assert_snapshot!(stdout);
    let score: Value = serde_json::from_str(&run(&["score", &snapshot, &plan, "-o", "json"]).1).unwrap();
    assert_eq!(score["goal"], json!("balance"));
    assert_eq!(score["weighted_utilization"], json!(24), "not in the points of the goal");
    let before: Value = serde_json::from_str(&run(&["score", &snapshot, "-o", "json"]).1).unwrap();
    assert_eq!(before.get("goal"), None);
    // The plan of another goal, or of none, is not what was planned.
    let text = std::fs::read_to_string(&plan).unwrap();
    assert!(text.contains("  \"goal\": \"balance\",\n"), "{text}");
    let without = written(&folder, "without.json", text.replace("  \"goal\": \"balance\",\n", ""));
    let (code, stdout, _) = run(&["verify", &snapshot, &without]);
    assert_eq!(code, 3);
    assert!(stdout.contains("objective"), "{stdout}");
    assert_eq!(run(&["plan", &snapshot, "--goal", "chaos"]).0, 64);
}

// ------------------------------------------------------------------------------------------------------------ help, usage

/// That every command has examples which parse is seen where the commands are defined; here, that they are shown.
#[test]
fn help_comes_with_an_example_and_a_page() {
    let folder = TempDir::new().unwrap();
    let (code, _, stderr) = run(&["man", "-o", &path_in(&folder, "man")]);
    assert_eq!(code, 0, "{stderr}");
    let pages: Vec<String> = entries_of(&folder.path().join("man"));
    assert!(pages.len() > 20 && pages.contains(&"bayplan-import-csv.1".to_string()), "{pages:?}");
    for page in pages {
        let name = page.strip_suffix(".1").unwrap();
        let command: Vec<&str> = name.split('-').skip(1).collect();
        let (code, stdout, stderr) = run(&[&command[..], &["--help"]].concat());
        assert_eq!((code, stderr.as_str()), (0, ""), "{command:?}");
        assert!(stdout.contains("Example"), "{command:?}: {stdout}");
        let text = std::fs::read_to_string(folder.path().join("man").join(&page)).unwrap();
        assert!(text.contains(".TH") && text.contains("Example"), "{page}");
        assert!(text.contains(&format!(".SH NAME\n{}", name.replace('-', "\\-"))), "{text}");
    }
    let (code, stdout, _) = run(&["--version"]);
    assert_eq!((code, stdout.trim()), (0, concat!("bayplan ", env!("CARGO_PKG_VERSION"))));
}

fn entries_of(folder: &Path) -> Vec<String> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn shells_take_their_completions() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let (code, script, stderr) = run(&["completions", shell]);
        assert_eq!((code, stderr.as_str()), (0, ""));
        assert!(script.contains("--time-limit") || script.contains("-l time-limit"), "{shell}: {script}");
    }
    let asked = "source /dev/stdin; COMP_WORDS=(bayplan pla); COMP_CWORD=1; _bayplan bayplan pla bayplan; echo \"${COMPREPLY[*]}\"";
    let script = run(&["completions", "bash"]).1;
    let output = Command::new("bash").args(["-c", asked]).write_stdin(script).output().expect("bash is here");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "plan", "{output:?}");
}

#[test]
fn wrong_usage_is_64() {
    let lines: [&[&str]; 13] = [
        &[],
        &["place"],
        &["generate"],
        &["generate", "sphere"],
        &["generate", "balance", "--nodes", "-1"],
        &["plan"],
        &["plan", ABC, "--seed", "x"],
        &["plan", ABC, "--time-limit", "soon"],
        &["plan", ABC, "--effort", "0"],
        &["plan", ABC, "-o", ABC],
        &["score", ABC, "-o", "xml"],
        &["export", "svg", ABC, ABC],
        &["verify", "-", "-"],
    ];
    for line in lines {
        let (code, stdout, stderr) = run(line);
        assert_eq!((code, stdout.as_str()), (64, ""), "{line:?}: {stderr}");
        assert!(!stderr.is_empty(), "{line:?}");
    }
}

#[test]
fn a_failing_file_system_is_1() {
    let folder = TempDir::new().unwrap();
    let missing = path_in(&folder, "missing.json");
    let no_folder = path_in(&folder, "none/plan.json");
    let is_folder = folder.path().to_str().unwrap();
    let lines: [&[&str]; 4] = [
        &["score", &missing],
        &["score", is_folder],
        &["plan", ABC, "-o", &no_folder],
        &["plan", ABC, "-o", is_folder],
    ];
    for line in lines {
        let (code, stdout, stderr) = run(line);
        assert_eq!((code, stdout.as_str()), (1, ""), "{line:?}: {stderr}");
        assert!(stderr.starts_with("bayplan: cannot "), "{stderr}");
    }
}

// --------------------------------------------------------------------------------------------------------------- generate

#[test]
fn generated_clusters_repeat_and_can_be_planned() {
    let line = ["generate", "racks", "--nodes", "20", "--tasks", "120", "--seed", "3", "--fill", "40"];
    let (code, snapshot, stderr) = run(&line);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.starts_with("generated 20 nodes, 120 tasks and "), "{stderr}");
    let folder = TempDir::new().unwrap();
    let file = path_in(&folder, "cluster.json");
    let (code, stdout, _) = run(&[&line[..], &["-o", &file]].concat());
    assert_eq!((code, stdout.as_str()), (0, ""));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), snapshot, "the same arguments give the same bytes");
    let plan = planned(&folder, &file, &["--effort", "50"]);
    let (code, stdout, _) = run(&["verify", &file, &plan]);
    assert_eq!(code, 0, "{stdout}");
}

#[test]
fn every_shape_is_explained_and_every_absurd_size_is_told_at_once() {
    let (_, help, _) = run(&["generate", "--help"]);
    for shape in ["balance", "huge", "wide", "transient", "racks", "queue"] {
        assert!(help.contains(&format!("- {shape}:")), "{shape} is missing in\n{help}");
    }
    let zero = ["--nodes", "0", "--tasks", "99999999999", "--fill", "100", "--resources", "4"];
    let (code, stdout, stderr) = run(&[&["generate", "balance"][..], &zero].concat());
    assert_eq!((code, stdout.as_str()), (64, ""), "{stderr}");
    for option in ["--nodes 0", "--tasks 99999999999", "--fill 100", "--resources 4"] {
        assert!(stderr.contains(option), "{option} is missing in\n{stderr}");
    }
    let large = ["--nodes", "16777216", "--tasks", "16777216", "--resources", "32"];
    for line in [[&["generate", "wide"][..], &large].concat(), vec!["generate", "huge", "--nodes", "16777216"]] {
        let (code, stdout, stderr) = run(&line);
        assert_eq!((code, stdout.as_str()), (64, ""), "{stderr}");
        assert!(stderr.contains("together"), "{stderr}");
    }
}

// -------------------------------------------------------------------------------------------------------------- bad input

/// Applies `change` to a good snapshot.
fn broken(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut snapshot = abc();
    change(&mut snapshot);
    serde_json::to_vec(&snapshot).unwrap()
}

#[test]
fn bad_input_is_65_with_place_cause_and_remedy_and_writes_nothing() {
    let good = serde_json::to_vec(&abc()).unwrap();
    let text = String::from_utf8(good.clone()).unwrap();
    assert!(text.contains("\"weight\":5"), "the cases below replace it");
    let weight = |value: &str| text.replace("\"weight\":5", &format!("\"weight\":{value}")).into_bytes();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", vec![]),
        ("truncated", good[..good.len() / 2].to_vec()),
        ("binary", (0..=255).cycle().take(4096).collect()),
        ("not an object", b"[1, 2, 3]".to_vec()),
        ("csv instead of JSON", b"name,cpu\nnode-1,4\n".to_vec()),
        ("number beyond 64 bits", weight("123456789012345678901234567890")),
        ("number beyond the limit", weight("4611686018427387904")),
        ("negative", weight("-5")),
        ("fraction", weight("5.5")),
        ("not a number", weight("NaN")),
        ("text for a number", weight("\"5\"")),
        ("deeply nested", [vec![b'['; 200_000], vec![b']'; 200_000]].concat()),
        (
            "deeply nested in a known field",
            text.replace("\"weight\":5", &format!("\"weight\":{}1{}", "[".repeat(100_000), "]".repeat(100_000)))
                .into_bytes(),
        ),
        ("another format", broken(|s| s["format"] = json!("bayplan-snapshot/999"))),
        ("no format", broken(|s| drop(s.as_object_mut().unwrap().remove("format")))),
        ("unknown field", broken(|s| s["tasks"][0]["wieght"] = json!(1))),
        ("duplicate task", broken(|s| s["tasks"][1]["name"] = s["tasks"][0]["name"].clone())),
        ("dangling node", broken(|s| s["tasks"][0]["placement"][0]["node"] = json!("nowhere"))),
        ("dangling group", broken(|s| s["tasks"][0]["group"] = json!("nobody"))),
    ];
    for (name, bytes) in cases {
        let folder = TempDir::new().unwrap();
        let snapshot = written(&folder, "bad.json", &bytes);
        let plan = path_in(&folder, "plan.json");
        for line in [&["plan", &snapshot, "-o", &plan][..], &["score", &snapshot], &["verify", &snapshot, &snapshot]] {
            let (code, stdout, stderr) = run(line);
            assert_eq!((code, stdout.as_str()), (65, ""), "{name}: {line:?}: {stderr}");
            assert!(stderr.contains("bad.json"), "{name}: the place is missing: {stderr}");
            assert!(!stderr.contains("panicked") && !stderr.contains("internal error"), "{name}: {stderr}");
            assert_eq!(entries(&folder).len(), 1, "{name}: {line:?} left something behind");
        }
        let (code, stdout, stderr) = run_with(&["plan", "-"], bytes);
        assert_eq!((code, stdout.as_str()), (65, ""), "{name} on stdin: {stderr}");
    }
}

#[test]
fn all_faults_are_listed_at_once() {
    let bytes = broken(|s| {
        s["tasks"][0]["weight"] = json!(-1);
        s["tasks"][1]["placement"][0]["node"] = json!("nowhere");
        s["tasks"][2]["group"] = json!("nobody");
    });
    let (code, _, stderr) = run_with(&["score", "-"], bytes);
    assert_eq!(code, 65);
    assert!(stderr.contains("3 faults"), "{stderr}");
    for place in ["A", "nowhere", "nobody"] {
        assert!(stderr.contains(place), "{place} is missing: {stderr}");
    }
}

/// Fault codes in a source text: a letter and three digits between quotes.
fn codes(text: &str) -> Vec<&str> {
    let is_code = |word: &&str| {
        word.len() == 4 && word.starts_with(['F', 'I', 'P']) && word[1..].bytes().all(|byte| byte.is_ascii_digit())
    };
    text.split('"').filter(is_code).collect()
}

#[test]
fn every_fault_code_is_explained() {
    assert_eq!(codes(r#"add("P101", "x", "P1O1", "I20")"#), ["P101"]);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let mut folders = vec![root.join("src")];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
                continue;
            }
            for code in codes(&std::fs::read_to_string(&entry).unwrap()) {
                assert!(page.contains(code), "{code} of {} is not in ARCHITECTURE.md", entry.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 40, "only {seen} codes were found");
}

#[test]
fn a_flood_of_faults_is_capped_and_counted() {
    let task = |i: usize| json!({"name": format!("t{i}"), "weight": -1, "requirement": {}});
    let bytes = broken(|s| s["tasks"] = (0..500).map(task).collect());
    let (code, _, stderr) = run_with(&["score", "-"], bytes);
    assert_eq!(code, 65);
    assert!(stderr.contains("500 faults") && stderr.contains("and 450 more"), "{stderr}");
}

#[test]
fn names_cannot_steer_the_terminal() {
    let bytes = broken(|s| {
        s["name"] = json!("\u{1b}[2Jhello");
        s["tasks"][0]["group"] = json!("\u{1b}[2Jnobody");
    });
    let (code, _, stderr) = run_with(&["score", "-"], bytes.clone());
    assert_eq!(code, 65);
    assert!(!stderr.contains('\u{1b}'), "{stderr:?}");
}

/// Every line of a table has as many cells as the one before it: a bar in a name is none of the table's.
#[track_caller]
fn assert_tables_are_whole(text: &str) {
    let bars = |line: &str| line.replace("\\|", "").matches('|').count();
    let lines: Vec<&str> = text.lines().collect();
    for pair in lines.windows(2).filter(|pair| pair.iter().all(|line| line.starts_with('|'))) {
        assert_eq!(bars(pair[0]), bars(pair[1]), "{text}");
    }
}

/// A line end in a name would let what follows pass for a line of our own; marks of direction would turn what stands beside them.
#[test]
fn names_cannot_forge_lines() {
    let forged = "x | y |\nverified plan that empties them: 99 moves\u{202e}";
    let bytes = json!({
        "format": "bayplan-snapshot/1", "name": forged, "resources": [{"name": "cpu"}],
        "pools": [{"name": forged}],
        "nodes": [
            {"name": forged, "allocatable": {"cpu": 4}, "pool": forged},
            {"name": "n2", "allocatable": {"cpu": 4}, "pool": forged}
        ],
        "tasks": [
            {"name": forged, "requirement": {"cpu": 3}, "placement": [{"node": forged}]},
            {"name": format!("big {forged}"), "requirement": {"cpu": 9}}
        ]
    });
    let folder = TempDir::new().unwrap();
    let path = written(&folder, "s.json", bytes.to_string());
    let plan = path_in(&folder, "p.json");
    for args in [
        &["scale", &path][..],
        &["status", &path],
        &["score", &path],
        &["drill", &path],
        &["explain", &path, forged],
        &["plan", &path, "--effort", "20", "-o", &plan],
        &["verify", &path, &plan],
        &["diff", &path, &plan],
    ] {
        let (code, stdout, stderr) = run(args);
        // The big one waits for ever, which is an answer of its own.
        assert_eq!(code, if args[0] == "scale" { 3 } else { 0 }, "{args:?}: {stderr}");
        let all = stdout + &stderr;
        assert_tables_are_whole(&all);
        assert!(all.lines().all(|line| !line.starts_with("verified plan that empties them: 99")), "{args:?}: {all}");
        assert!(!all.contains('\u{202e}'), "{args:?}: {all}");
    }
    let (code, _, stderr) = run_with(&["score", "-"], bytes.to_string().replace("\"cpu\":3", "\"ram\":3"));
    assert_eq!(code, 65);
    assert!(stderr.lines().all(|line| !line.starts_with("verified plan")), "{stderr}");
}

#[test]
fn a_task_too_big_for_every_node_is_no_fault() {
    let folder = TempDir::new().unwrap();
    let bytes = broken(|s| {
        let mut giant = s["tasks"][0].clone();
        let resource = giant["requirement"].as_object().unwrap().keys().next().unwrap().clone();
        giant["name"] = json!("giant");
        giant["requirement"][&resource] = json!(1000);
        giant["sharing"] = json!("rigid");
        giant.as_object_mut().unwrap().remove("placement");
        s["tasks"].as_array_mut().unwrap().push(giant);
    });
    let snapshot = written(&folder, "snapshot.json", bytes);
    let plan = planned(&folder, &snapshot, &[]);
    let plan: Value = serde_json::from_slice(&std::fs::read(plan).unwrap()).unwrap();
    assert!(plan["unplaced"].to_string().contains("giant"), "{plan}");
}

// --------------------------------------------------------------------------------------------------- plan, verify, streams

#[test]
fn detailed_exitcode_tells_whether_there_are_moves() {
    let folder = TempDir::new().unwrap();
    let plan = path_in(&folder, "plan.json");
    let (code, _, stderr) = run(&["plan", ABC, "-o", &plan, "--detailed-exitcode"]);
    assert_eq!(code, 2, "{stderr}");
    let settled = written(&folder, "settled.json", broken(|s| s["tasks"] = json!([])));
    let (code, _, stderr) = run(&["plan", &settled, "-o", &plan, "--detailed-exitcode"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("no moves"), "{stderr}");
}

#[test]
fn a_plan_for_another_snapshot_is_refused() {
    let folder = TempDir::new().unwrap();
    let plan = planned(&folder, ABC, &[]);
    let other = written(&folder, "other.json", broken(|s| s["tasks"][0]["weight"] = json!(6)));
    let (code, stdout, stderr) = run(&["verify", &other, &plan]);
    assert_eq!((code, stderr.as_str()), (3, ""), "{stdout}");
    assert!(stdout.contains("REFUSED") && stdout.contains("fingerprint"), "{stdout}");
    let (code, stdout, stderr) = run(&["score", &other, &plan]);
    assert_eq!((code, stdout.as_str()), (65, ""), "{stderr}");
    let (code, stdout, stderr) = run(&["export", "openb", &other, &plan]);
    assert_eq!((code, stdout.as_str()), (3, ""), "{stderr}");
}

#[test]
fn a_plan_that_does_not_hold_is_3_with_every_violation() {
    let folder = TempDir::new().unwrap();
    let plan = planned(&folder, SMALL, &[]);
    let text = std::fs::read_to_string(&plan).unwrap();
    let mut value: Value = serde_json::from_str(&text).unwrap();
    value["objective"]["after"] = json!(1);
    value["waves"][0][0]["to"][0]["node"] = json!("node-2");
    let mutated = written(&folder, "mutated.json", serde_json::to_vec(&value).unwrap());
    let (code, stdout, stderr) = run(&["verify", SMALL, &mutated]);
    assert_eq!((code, stderr.as_str()), (3, ""), "{stdout}");
    for rule in ["objective", "cordon"] {
        assert!(stdout.contains(rule), "{rule} is missing in {stdout}");
    }
}

#[test]
fn spreadsheets_flow_through_the_pipe() {
    let folder = TempDir::new().unwrap();
    let nodes = written(&folder, "nodes.csv", "node,cpu\nn1,10\nn2,10\n");
    let tasks = written(&folder, "tasks.csv", "task,cpu,weight,node\na,4,1,n1\nb,4,1,n1\nc,4,5,\n");
    let (code, snapshot, stderr) = run(&["import", "csv", &nodes, &tasks]);
    assert_eq!(code, 0, "{stderr}");
    let (code, plan, stderr) = run_with(&["plan", "-"], snapshot.clone());
    assert_eq!(code, 0, "{stderr}");
    let file = written(&folder, "snapshot.json", snapshot);
    let (code, stdout, _) = run_with(&["verify", &file, "-"], plan);
    assert_eq!(code, 0, "{stdout}");
    let bad = written(&folder, "bad.csv", "task,cpu\na,NaN\nb,\u{ff}\n");
    let (code, stdout, stderr) = run(&["import", "csv", &nodes, &bad]);
    assert_eq!((code, stdout.as_str()), (65, ""), "{stderr}");
    assert!(stderr.contains("bad.csv") && stderr.contains("2 faults"), "{stderr}");
}

#[test]
fn quiet_says_nothing() {
    let (code, stdout, stderr) = run(&["plan", ABC, "--quiet"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(serde_json::from_str::<Value>(&stdout).is_ok());
}

#[test]
fn stdin_and_stdout_carry_data_only() {
    let snapshot = serde_json::to_vec(&abc()).unwrap();
    let (code, plan, stderr) = run_with(&["plan", "-"], snapshot.clone());
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("verified: "), "{stderr}");
    let folder = TempDir::new().unwrap();
    let file = written(&folder, "snapshot.json", snapshot);
    let (code, stdout, _) = run_with(&["verify", &file, "-"], plan.clone());
    assert_eq!(code, 0, "{stdout}");
    let (code, score, _) = run_with(&["score", &file, "-", "--output", "json"], plan);
    assert_eq!(code, 0);
    assert_eq!(serde_json::from_str::<Value>(&score).unwrap()["state"], json!("planned"));
}

#[test]
fn a_failed_run_leaves_the_old_output_alone() {
    let folder = TempDir::new().unwrap();
    let plan = written(&folder, "plan.json", "the old plan");
    let bad = written(&folder, "bad.json", "{");
    let (code, _, _) = run(&["plan", &bad, "-o", &plan]);
    assert_eq!(code, 65);
    assert_eq!(std::fs::read_to_string(&plan).unwrap(), "the old plan");
    assert_eq!(entries(&folder).len(), 2);
}

#[test]
fn the_same_seed_and_effort_give_the_same_plan() {
    let plan = |threads: &str| {
        let (code, stdout, stderr) = run(&["plan", SMALL, "--effort", "300", "--seed", "5", "--threads", threads]);
        assert_eq!(code, 0, "{stderr}");
        stdout
    };
    let first = plan("1");
    assert_eq!(first, plan("2"));
    assert_eq!(first, plan("8"));
}

#[test]
fn a_budget_of_moves_is_kept() {
    let folder = TempDir::new().unwrap();
    let plan = planned(&folder, SMALL, &["--effort", "300", "--max-moves", "1"]);
    let plan: Value = serde_json::from_slice(&std::fs::read(plan).unwrap()).unwrap();
    let moves = plan["waves"].as_array().unwrap().iter().flat_map(|wave| {
        let moves = wave.as_array().or_else(|| wave["moves"].as_array());
        moves.expect("a wave holds moves").clone()
    });
    assert!(moves.filter(|step| step["reason"] != json!("admit")).count() <= 1);
}

// ---------------------------------------------------------------------------------------------------------------- signals

#[cfg(target_os = "linux")]
mod signals {
    use super::*;
    use common::command::wait_until_it_listens;
    use std::io::{Read, Write};
    use std::process::{Child, Stdio};
    use std::time::{Duration, Instant};

    fn spawn(args: &[&str]) -> Child {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_bayplan"));
        command.current_dir(env!("CARGO_MANIFEST_DIR")).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn interrupt(child: &Child, signal: &str) {
        let status = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    #[test]
    fn the_first_signal_ends_the_search_with_a_verified_plan() {
        let reserve = ["--reserve", "node"];
        for (signal, more) in [("-INT", &[][..]), ("-TERM", &[]), ("-INT", &reserve), ("-TERM", &reserve)] {
            let order = ["plan", "-", "--effort", "1000000000", "--time-limit", "1h"];
            let mut child = spawn(&[&order[..], more].concat());
            let snapshot = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(SMALL)).unwrap();
            child.stdin.take().unwrap().write_all(&snapshot).unwrap();
            wait_until_it_listens(&child);
            std::thread::sleep(Duration::from_millis(500));
            assert!(child.try_wait().unwrap().is_none(), "the search must still run");
            interrupt(&child, signal);
            let output = child.wait_with_output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(0), "{stderr}");
            assert!(stderr.contains("verified: "), "{stderr}");
            let (code, stdout, _) = run_with(&["verify", SMALL, "-"], output.stdout);
            assert_eq!(code, 0, "{stdout}");
        }
    }

    /// A page that waits for advice is written with what is known.
    #[test]
    fn the_first_signal_ends_the_advice_and_the_page_is_written() {
        let folder = TempDir::new().unwrap();
        // Several seconds of advice, on a fast machine as well.
        let order = ["generate", "balance", "--nodes", "1500", "--tasks", "45000", "--seed", "1", "-o"];
        let snapshot = path_in(&folder, "s.json");
        assert_eq!(run_with(&[&order[..], &[&snapshot]].concat(), "").0, 0);
        let mut patience = Duration::from_millis(500);
        let output = loop {
            let mut child = spawn(&["report", &snapshot, "--time-limit", "1h", "-o", "-"]);
            wait_until_it_listens(&child);
            std::thread::sleep(patience);
            assert!(child.try_wait().unwrap().is_none(), "the search must still run");
            interrupt(&child, "-INT");
            let output = child.wait_with_output().unwrap();
            // On a busy machine it may not have read yet, and then has nothing to save.
            if output.status.code() != Some(130) || patience > Duration::from_secs(3) {
                break output;
            }
            patience *= 2;
        };
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("</html>"), "{stderr}");
    }

    #[test]
    fn the_second_signal_quits() {
        let mut child = spawn(&["plan", SMALL, "--effort", "1000000000", "--time-limit", "1h"]);
        wait_until_it_listens(&child);
        std::thread::sleep(Duration::from_millis(500));
        // Both wait when it goes on. They may be taken one after the other with the end of the search in between.
        for signal in ["-STOP", "-INT", "-TERM", "-CONT"] {
            interrupt(&child, signal);
        }
        assert!(matches!(child.wait().unwrap().code(), Some(130 | 0)));
    }

    #[test]
    fn commands_with_nothing_to_save_quit_at_once() {
        // The last three have something to save once they have read.
        for command in ["score", "plan", "bound", "drill"] {
            let mut child = spawn(&[command, "-"]);
            let _open = child.stdin.take();
            wait_until_it_listens(&child);
            interrupt(&child, "-INT");
            assert_eq!(child.wait().unwrap().code(), Some(130), "{command}");
        }
    }

    #[test]
    fn a_reader_that_leaves_ends_it_quietly() {
        for args in [&["score", "-"][..], &["plan", "-", "--quiet"]] {
            let mut child = spawn(args);
            drop(child.stdout.take());
            child.stdin.take().unwrap().write_all(&serde_json::to_vec(&abc()).unwrap()).unwrap();
            let mut stderr = String::new();
            child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
            assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""));
        }
    }

    #[test]
    fn the_time_limit_covers_the_whole_command_and_ends_with_a_plan() {
        let begin = Instant::now();
        let (code, plan, stderr) = run(&["plan", SMALL, "--effort", "1000000000", "--time-limit", "1s"]);
        // Generous: the machine may be busy with other tests; without the limit this would run for hours.
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
        assert_eq!(code, 0, "{stderr}");
        assert!(plan.contains(r#""status": "deadline""#), "{plan}");
        let (code, stdout, _) = run_with(&["verify", SMALL, "-"], plan);
        assert_eq!(code, 0, "{stdout}");
    }

    #[test]
    fn even_no_time_at_all_ends_with_a_valid_plan() {
        let (code, plan, stderr) = run(&["plan", SMALL, "--time-limit", "0ms"]);
        assert_eq!(code, 0, "{stderr}");
        let (code, stdout, _) = run_with(&["verify", SMALL, "-"], plan);
        assert_eq!(code, 0, "{stdout}");
    }
}

/// No adapter: the Vulkan loader is pointed at nothing.
fn without_gpu(line: &[&str]) -> std::process::Output {
    let mut command = bayplan(line);
    command.env("VK_ICD_FILENAMES", "/nonexistent").env("VK_DRIVER_FILES", "/nonexistent");
    command.output().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn without_a_gpu_asking_for_one_ends_with_5_and_a_remedy() {
    for line in [&["plan", SMALL, "--backend", "gpu", "--effort", "20"][..], &["bench", SMALL], &["devices"]] {
        let output = without_gpu(line);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(5), "{line:?}: {said}");
        assert!(said.contains("install its driver"), "{line:?}: {said}");
        assert!(output.stdout.is_empty(), "{line:?}");
    }
    let output = without_gpu(&["plan", SMALL, "--effort", "20"]);
    assert_eq!(output.status.code(), Some(0), "the CPU will do");
}

#[test]
fn cpu_and_gpu_write_the_same_plan_and_say_where_it_was_made() {
    if common::gpu("cpu_and_gpu_write_the_same_plan_and_say_where_it_was_made").is_none() {
        return;
    }
    let plan = |backend: &str, more: &[&str]| {
        let args = [&["plan", SMALL, "--effort", "100", "--solver", "bulk", "--backend", backend], more].concat();
        let output = bayplan(&args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(said.contains(&format!("backend {backend}: ")), "{said}");
        assert!(!said.contains("the CPU went on"), "{said}");
        let mut plan: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let made = plan["backend"].take();
        assert!(made.as_str().unwrap().starts_with(&format!("{backend}: ")), "{made}");
        plan
    };
    for more in [&[][..], &["--max-moves", "0"], &["--max-moves", "2"], &["--goal", "balance"], &["--drain", "node-1"]]
    {
        assert_eq!(plan("cpu", more), plan("gpu", more), "{more:?}");
    }
    let output = bayplan(&["bench", SMALL, "--effort", "40", "-o", "json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["objections"], serde_json::json!([]));
    assert!(report["comparisons"].as_array().unwrap().len() >= 4, "{report}");
    let output = bayplan(&["devices", "-o", "json"]).output().unwrap();
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(list.as_array().unwrap().iter().any(|device| device["usable"] == true), "{list}");
}

// -------------------------------------------------------------------------------------------------------------- the way

#[test]
fn a_drained_node_is_left_and_the_plan_holds_for_the_snapshot_alone() {
    let folder = TempDir::new().unwrap();
    let plan = planned(&folder, SMALL, &["--effort", "2000", "--drain", "node-1"]);
    let (code, stdout, _) = run(&["verify", SMALL, &plan, "--states", "json"]);
    assert_eq!(code, 0, "{stdout}");
    let states: Value = serde_json::from_str(&stdout).unwrap();
    let last = states["states"].as_array().unwrap().last().unwrap();
    let nodes: Vec<&Value> =
        last["placement"].as_object().unwrap().values().flat_map(|n| n.as_array().unwrap()).collect();
    assert!(nodes.len() > 20 && !nodes.contains(&&json!("node-1")), "{nodes:?}");
    assert_eq!(run(&["plan", SMALL, "--drain", "nowhere"]).0, 64);
    // Whoever leaves that node drains, and nothing was broken that a move could repair.
    let whole = std::fs::read_to_string(&plan).unwrap();
    for other in ["improve", "enable", "repair"] {
        let forged = whole.replacen("\"reason\":\"drain\"", &format!("\"reason\":\"{other}\""), 1);
        assert_ne!(forged, whole);
        let (code, stdout, _) = run(&["verify", SMALL, &written(&folder, "forged.json", forged)]);
        assert!(code == 3 && stdout.contains("does not suit the move"), "{other}: {stdout}");
    }
}

/// A node that keeps a pinned task is no broken rule that a move elsewhere could repair.
#[test]
fn a_swap_repairs_nothing_where_only_a_node_is_to_be_emptied() {
    let node = |name: &str, cpu: i64, soft: i64| {
        let (most, limit) = (json!({"cpu": cpu, "mem": 9}), json!({"mem": soft}));
        json!({"name": name, "allocatable": most, "soft_limit": limit})
    };
    let task = |name: &str, cpu: i64, mem: i64, node: &str, pinned: bool| {
        let (requirement, placement) = (json!({"cpu": cpu, "mem": mem}), json!([{"node": node}]));
        json!({"name": name, "requirement": requirement, "pinned": pinned, "placement": placement})
    };
    let snapshot = json!({
        "format": "bayplan-snapshot/1",
        "resources": [{"name": "cpu", "transient": false}, {"name": "mem", "load_weight": 10}],
        "nodes": [node("a", 4, 1), node("b", 4, 3), node("d", 1, 9)],
        "tasks": [task("p", 4, 3, "a", false), task("q", 4, 1, "b", false), task("x", 1, 0, "d", true)],
    });
    let folder = TempDir::new().unwrap();
    let source = written(&folder, "swap.json", snapshot.to_string());
    let plan = planned(&folder, &source, &["--effort", "200", "--drain", "d"]);
    let told: Value = serde_json::from_str(&std::fs::read_to_string(&plan).unwrap()).unwrap();
    assert_eq!(told["summary"]["moves"], json!(2), "{told}");
    let (code, stdout, _) = run(&["verify", &source, &plan]);
    assert_eq!(code, 0, "{stdout}");
}

/// Tasks still on node `a` of a plan, by search with an effort and by the exact solver.
fn left_on_a(snapshot: Value) -> Vec<(Vec<String>, Value)> {
    let folder = TempDir::new().unwrap();
    let source = written(&folder, "drained.json", snapshot.to_string());
    let left = |how: &[&str]| {
        let plan = planned(&folder, &source, &[&["--drain", "a"], how].concat());
        let (code, stdout, _) = run(&["verify", &source, &plan, "--states", "json"]);
        assert_eq!(code, 0, "{stdout}");
        let states: Value = serde_json::from_str(&stdout).unwrap();
        let last = states["states"].as_array().unwrap().last().unwrap();
        let on_a = |(_, nodes): &(&String, &Value)| nodes.as_array().unwrap().contains(&json!("a"));
        let left = last["placement"].as_object().unwrap().iter().filter(on_a);
        let plan: Value = serde_json::from_str(&std::fs::read_to_string(&plan).unwrap()).unwrap();
        assert_eq!(plan["drain"], json!(["a"]), "the plan says what was to be emptied");
        (left.map(|(task, _)| task.clone()).collect(), plan["blockers"].clone())
    };
    vec![left(&["--effort", "100"]), left(&["--solver", "exact"])]
}

fn two_nodes(tasks: Value) -> Value {
    let node = |name: &str| json!({"name": name, "allocatable": {"cpu": 10}, "devices": [{"kind": "gpu", "count": 1}]});
    json!({"format": "bayplan-snapshot/1", "resources": [{"name": "cpu"}], "nodes": [node("a"), node("b")], "tasks": tasks})
}

#[test]
fn a_task_that_requires_nothing_leaves_a_drained_node_too() {
    let left = left_on_a(two_nodes(json!([
        {"name": "idle", "requirement": {}, "placement": [{"node": "a"}]},
        {"name": "gpu", "requirement": {}, "device": {"kind": "gpu"}, "placement": [{"node": "a", "devices": [0]}]},
        {"name": "web", "requirement": {"cpu": 2}, "placement": [{"node": "a"}]},
        {"name": "split", "requirement": {"cpu": 4}, "sharing": "divisible", "placement": [{"node": "a", "share": "1/2"}]},
    ])));
    assert_eq!(left, vec![(vec![], Value::Null); 2]);
}

#[test]
fn what_keeps_a_drained_node_in_use_is_named() {
    let left = left_on_a(two_nodes(json!([
        {"name": "x", "requirement": {"cpu": 4}, "placement": [{"node": "a"}]},
        {"name": "y", "requirement": {"cpu": 4}, "placement": [{"node": "a"}], "pinned": true},
    ])));
    let stays = vec!["y".to_string()];
    assert_eq!(left, [(stays.clone(), Value::Null), (stays, json!(["drain"]))], "the exact solver proves it");
}

/// Repair stops t0, and then t12 would pay, but break the same rule: the plan ends before it, and what it was to use is free for t2.
#[test]
fn what_repair_leaves_free_is_used() {
    let folder = TempDir::new().unwrap();
    let node = json!({"name": "n0", "allocatable": {"cpu": 12, "mem": 34}});
    let task = |name: &str, cpu: u32, mem: u32| json!({"name": name, "requirement": {"cpu": cpu, "mem": mem}});
    let mut tasks = vec![task("t0", 1, 12), task("t2", 4, 12), task("t8", 6, 8), task("t12", 2, 11), task("t14", 2, 0)];
    tasks[0]["evictable"] = json!(true);
    tasks[3]["weight"] = json!(100);
    [0, 3, 4].into_iter().for_each(|i| tasks[i]["group"] = json!("g"));
    [0, 4].into_iter().for_each(|i| tasks[i]["placement"] = json!([{"node": "n0"}]));
    let snapshot = json!({
        "format": "bayplan-snapshot/1", "resources": [{"name": "cpu"}, {"name": "mem"}], "nodes": [node], "tasks": tasks,
        "groups": [{"name": "g", "conflict": ["node"]}],
    });
    let source = written(&folder, "repair.json", snapshot.to_string());
    let plan = planned(&folder, &source, &["--effort", "20000"]);
    let plan: Value = serde_json::from_str(&std::fs::read_to_string(&plan).unwrap()).unwrap();
    assert_eq!((&plan["objective"]["after"], plan["unplaced"].as_array().unwrap().len()), (&json!(2), 2), "{plan}");
}

/// What a plan says of itself and could be made up: it is worked out again.
#[test]
fn made_up_statements_of_a_plan_are_refused() {
    let folder = TempDir::new().unwrap();
    let plan = planned(&folder, SMALL, &["--effort", "500"]);
    let plan: Value = serde_json::from_str(&std::fs::read_to_string(plan).unwrap()).unwrap();
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut forged = plan.clone();
        change(&mut forged);
        assert_ne!(forged, plan);
        let forged = written(&folder, "forged.json", forged.to_string());
        let (code, stdout, stderr) = run(&["verify", SMALL, &forged]);
        (code, stdout + &stderr)
    };
    let moved = |p: &Value| {
        let waves = p["waves"].as_array().unwrap();
        let all =
            waves.iter().enumerate().flat_map(|(w, wave)| (0..wave.as_array().unwrap().len()).map(move |i| (w, i)));
        let is_moved = |(w, i): &(usize, usize)| p["waves"][*w][*i]["reason"] == json!("improve");
        all.into_iter().find(is_moved).expect("some move pays")
    };
    let (w, i) = moved(&plan);
    let (code, text) = refused(&|p| p["waves"][w][i]["reason"] = json!("drain"));
    assert!(code == 3 && text.contains("reason"), "{text}");
    let (code, text) = refused(&|p| (p["status"], p["blockers"]) = (json!("infeasible"), json!(["taint", "gang"])));
    assert!(code == 3 && text.contains("gang, taint said to be broken at the end, none found"), "{text}");
    let (code, text) = refused(&|p| p["unexplored"] = json!([]));
    assert!(code == 3 && text.contains("unexplored"), "{text}");
}

/// Points beyond 64 bits are no reason to fail.
#[test]
fn figures_of_any_size_can_be_told() {
    let folder = TempDir::new().unwrap();
    let most = 1u64 << 40;
    let snapshot = json!({
        "format": "bayplan-snapshot/1", "resources": [{"name": "cpu", "load_weight": most}],
        "nodes": [{"name": "a", "allocatable": {"cpu": most}, "soft_limit": {"cpu": 0}}],
        "tasks": [{"name": "x", "requirement": {"cpu": most}, "weight": most, "placement": [{"node": "a"}]}],
    });
    let source = written(&folder, "large.json", snapshot.to_string());
    let plan = planned(&folder, &source, &["--effort", "100"]);
    for args in [&["verify", &source, &plan, "--states", "json"][..], &["status", &source, &plan, "-o", "json"]] {
        let (code, stdout, stderr) = run(args);
        assert_eq!(code, 0, "{stderr}");
        let answer: Value = serde_json::from_str(&stdout).unwrap();
        let objective = answer["states"].get(0).map_or(&answer["objective"], |state| &state["objective"]);
        assert!(objective.as_f64().unwrap() < -1e24, "{answer}");
    }
}

#[test]
fn a_stream_is_no_plan_and_that_is_said() {
    let folder = TempDir::new().unwrap();
    let stream = path_in(&folder, "plan.ndjson");
    assert_eq!(run(&["plan", SMALL, "--effort", "100", "-o", &stream]).0, 0);
    for command in ["verify", "diff"] {
        let (code, _, stderr) = run(&[command, SMALL, &stream]);
        assert!(code == 65 && stderr.contains("F106") && stderr.contains("stream form"), "{stderr}");
    }
}

#[test]
fn options_are_named_as_they_were_given() {
    let (code, _, stderr) = run(&["plan", SMALL, "--reserve", "nope"]);
    assert!(code == 65 && stderr.contains("--reserve") && !stderr.contains("--level"), "{stderr}");
    for option in ["--max-moves", "--min-gain"] {
        let (code, _, stderr) = run(&["plan", SMALL, option, "-1"]);
        assert!(code == 64 && stderr.contains("invalid value '-1'") && !stderr.contains("-- -1"), "{stderr}");
    }
    // A plan for another snapshot is a plan that does not hold.
    let folder = TempDir::new().unwrap();
    let plan = planned(&folder, SMALL, &["--effort", "100"]);
    let other = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(SMALL)).unwrap();
    let mut other: Value = serde_json::from_str(&other).unwrap();
    other["name"] = json!("another");
    let other = written(&folder, "other.json", other.to_string());
    for command in ["verify", "diff", "simulate"] {
        assert_eq!(run(&[command, &other, &plan]).0, 3, "{command}");
    }
}

#[test]
fn a_simulation_keeps_the_budget_of_the_plan() {
    let folder = TempDir::new().unwrap();
    let plan = planned(&folder, SMALL, &["--effort", "500", "--max-moves", "1"]);
    let (_, stdout, _) = run(&["simulate", SMALL, &plan, "--max-moves", "1"]);
    assert!(stdout.contains("planned anew: nothing to move") && stdout.contains(", stable"), "{stdout}");
    let (_, stdout, _) = run(&["simulate", SMALL, &plan]);
    assert!(stdout.contains("planned anew: ") && !stdout.starts_with("planned anew: nothing"), "{stdout}");
}

/// The promise of the command itself, with each option that decides what is worth a move.
#[test]
fn planning_again_where_a_plan_leads_moves_nothing() {
    let folder = TempDir::new().unwrap();
    let racks = path_in(&folder, "racks.json");
    assert_eq!(run(&["generate", "racks", "--nodes", "20", "--tasks", "150", "--seed", "5", "-o", &racks]).0, 0);
    let mut moved = 0;
    for snapshot in [SMALL, &racks] {
        for more in
            [&[][..], &["--drain", "node-1"], &["--goal", "balance"], &["--min-gain", "3"], &["--only-overloaded"]]
        {
            if snapshot == racks && more.contains(&"node-1") {
                continue;
            }
            let args = [&["--effort", "1000"], more].concat();
            let plan = planned(&folder, snapshot, &args);
            let end = path_in(&folder, "end.json");
            // The plan says its goal itself.
            let simulated = if more.first() == Some(&"--goal") { &args[..2] } else { &args[..] };
            let (code, stdout, stderr) = run(&[&["simulate", snapshot, &plan, "-o", &end], simulated].concat());
            assert_eq!(code, 0, "{more:?}: {stdout}{stderr}");
            let again = path_in(&folder, "again.json");
            let (code, _, stderr) = run(&[&["plan", &end, "-o", &again], &args[..]].concat());
            assert!([0, 3].contains(&code), "{more:?}: {stderr}");
            let steps = |path: &str| {
                let plan: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
                plan["waves"].as_array().unwrap().len()
            };
            assert_eq!(steps(&again), 0, "{snapshot} {more:?}");
            moved += usize::from(steps(&plan) > 0);
        }
    }
    assert!(moved >= 6, "{moved} plans had moves");
}

#[test]
fn what_is_excluded_stays_and_repair_alone_does_no_more() {
    let folder = TempDir::new().unwrap();
    let moved = |more: &[&str]| {
        let plan = planned(&folder, SMALL, &[&["--effort", "2000"], more].concat());
        let plan: Value = serde_json::from_str(&std::fs::read_to_string(plan).unwrap()).unwrap();
        let waves = plan["waves"].as_array().unwrap().iter().flat_map(|wave| wave.as_array().unwrap().clone());
        waves.map(|step| (step["task"].as_str().unwrap().to_string(), step["reason"].clone())).collect::<Vec<_>>()
    };
    assert!(moved(&["--exclude", "*"]).is_empty());
    assert!(moved(&["--exclude", "group=web,report-*"]).iter().all(|(task, _)| !task.starts_with("report")));
    let repaired = moved(&["--only-overloaded"]);
    assert!(!repaired.is_empty() && repaired.iter().all(|(_, reason)| reason != &json!("admit")), "{repaired:?}");
    let score = run(&["score", SMALL, &path_in(&folder, "plan.json"), "-o", "json"]).1;
    let score: Value = serde_json::from_str(&score).unwrap();
    assert_eq!(score["violations"], json!([]), "all that was broken is repaired");
    assert_eq!(run(&["plan", SMALL, "--exclude", "nobody"]).0, 64);
}

#[test]
fn a_diff_says_what_changes_where() {
    let folder = TempDir::new().unwrap();
    let plan = planned(&folder, SMALL, &["--effort", "2000"]);
    let (code, stdout, _) = run(&["diff", SMALL, &plan]);
    assert_eq!(code, 0);
    assert!(stdout.starts_with("node node-1\n  - ") && stdout.contains("\n  + train-1 (starts)\n"), "{stdout}");
    let written_plan: Value = serde_json::from_str(&std::fs::read_to_string(&plan).unwrap()).unwrap();
    let steps = written_plan["waves"].as_array().unwrap().iter().flat_map(|wave| wave.as_array().unwrap());
    let leaves = |step: &&Value| step["from"][0]["node"] == "node-1" && step["to"][0]["node"] != "node-1";
    let left = steps.into_iter().find(leaves).expect("node-1 is too full");
    let (task, to) = (left["task"].as_str().unwrap(), left["to"][0]["node"].as_str().unwrap());
    assert!(stdout.contains(&format!("\n  - {task} (to {to})\n")), "{stdout}");
    assert!(stdout.contains(&format!("\n  + {task} (from node-1)\n")), "{stdout}");
    let diff: Value = serde_json::from_str(&run(&["diff", SMALL, &plan, "-o", "json"]).1).unwrap();
    assert_eq!((&diff["format"], &diff["nodes"][0]["node"]), (&json!("bayplan-diff/1"), &json!("node-1")));
    // A plan that does not hold changes nothing.
    let wrong =
        written(&folder, "wrong.json", std::fs::read_to_string(&plan).unwrap().replace("\"admit\"", "\"repair\""));
    assert_eq!(run(&["diff", SMALL, &wrong]).0, 3);
}

#[test]
fn a_simulated_drain_stays_drained_when_it_is_asked_for_again() {
    let folder = TempDir::new().unwrap();
    let plan = planned(&folder, SMALL, &["--effort", "2000", "--drain", "node-1"]);
    let end = path_in(&folder, "end.json");
    let args = ["simulate", SMALL, &plan, "--drain", "node-1", "--fail-rate", "0.3", "-o", &end];
    for seed in ["1", "2", "3"] {
        let (code, stdout, stderr) = run(&[&args[..], &["--seed", seed]].concat());
        assert_eq!(code, 0, "{stdout}{stderr}");
        let end: Value = serde_json::from_str(&std::fs::read_to_string(&end).unwrap()).unwrap();
        let on_node = |task: &&Value| {
            task["placement"].as_array().is_some_and(|p| p.iter().any(|p| p["node"] == json!("node-1")))
        };
        assert_eq!(end["tasks"].as_array().unwrap().iter().filter(on_node).count(), 0, "{stdout}");
    }
    assert_eq!(run(&["simulate", SMALL, &plan, "--drain", "nowhere"]).0, 64);
}

#[test]
fn a_simulation_repeats_and_ends_stable_whatever_happens() {
    let folder = TempDir::new().unwrap();
    let plan = planned(&folder, SMALL, &["--effort", "2000"]);
    for seed in 0..12 {
        let seed = seed.to_string();
        let args = [
            "simulate",
            SMALL,
            &plan,
            "--fail-rate",
            "0.3",
            "--vanish-rate",
            "0.1",
            "--grow-rate",
            "0.3",
            "--seed",
            &seed,
        ];
        let (code, stdout, stderr) = run(&args);
        assert_eq!(code, 0, "seed {seed}: {stdout}{stderr}");
        assert!(stdout.contains("0 rules made worse, stable"), "{stdout}");
        assert_eq!(run(&args).1, stdout, "the same seed, the same run");
    }
}

#[test]
fn a_stream_has_a_version_first_and_a_summary_last() {
    let folder = TempDir::new().unwrap();
    let plan = planned(&folder, SMALL, &["--effort", "2000"]);
    let stream = path_in(&folder, "plan.ndjson");
    let (code, _, stderr) = run(&["plan", SMALL, "--effort", "2000", "-o", &stream]);
    assert_eq!(code, 0, "{stderr}");
    let stream = std::fs::read_to_string(stream).unwrap();
    let (code, exported, _) = run(&["export", "ndjson", SMALL, &plan]);
    assert_eq!((code, &exported), (0, &stream), "the same plan, the same bytes");
    let records: Vec<Value> = stream.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records[0]["format"], json!("bayplan-plan-stream/1"));
    let moves = records.iter().filter(|record| record["type"] == json!("move")).count();
    let last = records.last().unwrap();
    assert_eq!((&last["type"], &last["moves"]), (&json!("summary"), &json!(moves)));
}
