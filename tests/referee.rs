//! Do programs that others wrote agree with ours? Real data in, plans out, judged by the referees in `../shared/tools`.
//!
//! The searches here are short and fixed by effort, so that the outcome does not depend on the machine; how good long ones
//! are is for `benches/`.

mod common;

use bayplan::adapter::{openb, roadef, table};
use bayplan::bulk::{self, Options};
use bayplan::control::Control;
use bayplan::model::{Placement, Problem, Snapshot, SpreadSpec, scaled_text, score, violations};
use bayplan::plan::{self, Meta, Plan};
use common::{meta, shared};
use std::path::{Path, PathBuf};
use std::process::Command;

const ROADEF: [&str; 18] = [
    "a1_1", "a1_2", "a1_3", "a1_4", "a1_5", "a2_1", "a2_2", "a2_3", "a2_4", "a2_5", "b_1", "b_2", "b_3", "b_4", "b_5",
    "b_6", "b_8", "b_9",
];

/// A Python that has numpy, which the ROADEF referee needs. Missing is a skip like missing data.
fn python(test: &str) -> Option<&'static str> {
    let has_numpy = |python: &&str| {
        Command::new(python).args(["-c", "import numpy"]).output().is_ok_and(|output| output.status.success())
    };
    let found = ["python3", "/usr/bin/python3"].into_iter().find(has_numpy);
    if found.is_none() {
        let message = format!("skipped: {test} needs python3 with numpy");
        let required = std::env::var("BAYPLAN_REQUIRE_SHARED").as_deref() == Ok("1");
        assert!(!required, "{message}, and a skip is a failure here");
        eprintln!("{message}");
    }
    found
}

/// What the referee prints, and whether it is content.
fn referee(python: &str, script: &Path, arguments: &[&Path]) -> (bool, String) {
    let output = Command::new(python).arg(script).arg("-q").args(arguments).output().expect("the referee runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

/// `total load=… balance=…` in the referee's words.
fn terms(problem: &Problem, placement: &Placement) -> String {
    let score = score(problem, placement);
    format!(
        "FEASIBLE {} load={} balance={} process_move={} service_move={} machine_move={}",
        scaled_text(score.cost()),
        scaled_text(score.load),
        scaled_text(score.balance),
        scaled_text(score.task_move),
        scaled_text(score.group_move),
        scaled_text(score.node_move),
    )
}

fn search(problem: &Problem, effort: u64) -> Plan {
    let options = Options { effort: Some(effort), ..Options::default() };
    let found = bulk::solve(problem, &options, &Control::unlimited());
    let meta = Meta { effort: found.effort, status: found.status, ..meta() };
    let plan = plan::build(problem, &found.placement, meta, &Control::unlimited());
    let verdict = plan::verify(problem, &plan);
    assert!(verdict.is_right(), "{}: {:?}", problem.name, verdict.violations.first());
    plan
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn roadef_referee_agrees_to_the_digit() {
    let (Some(data), Some(script)) = (shared("roadef", "data/roadef"), shared("roadef", "tools/roadef_check.py"))
    else {
        return;
    };
    let Some(python) = python("roadef") else { return };
    let folder = tempfile::tempdir().unwrap();
    for name in ROADEF {
        let (model, start) = (data.join(format!("model_{name}.txt")), data.join(format!("assignment_{name}.txt")));
        let snapshot = roadef::import(&read(&model), &read(&start)).unwrap_or_else(|faults| panic!("{name}: {faults}"));
        let problem = Problem::new(&snapshot).unwrap_or_else(|faults| panic!("{name}: {faults}"));
        assert_eq!(violations(&problem, &problem.current), [], "{name}: the start keeps every rule");
        let (_, said) = referee(python, &script, &[&model, &start, &start]);
        assert!(said.contains(&terms(&problem, &problem.current)), "{name}, start: {said}");
        let home = roadef::export(&problem, &problem.current).unwrap();
        let words = |text: &str| text.split_ascii_whitespace().map(str::to_string).collect::<Vec<_>>();
        assert_eq!(
            words(&home),
            words(&String::from_utf8_lossy(&read(&start))),
            "{name}: export gives back what came in"
        );

        let plan = search(&problem, 200);
        let reached = plan.reached(&problem);
        let file = folder.path().join(name);
        std::fs::write(&file, roadef::export(&problem, &reached).unwrap()).unwrap();
        let (is_feasible, said) = referee(python, &script, &[&model, &start, &file]);
        assert!(is_feasible && said.contains(&terms(&problem, &reached)), "{name}, plan: {said}");
        assert!(score(&problem, &reached).cost() < score(&problem, &problem.current).cost(), "{name} gets better");
    }
}

#[test]
fn the_roadef_referee_can_object() {
    let (Some(data), Some(script)) = (shared("roadef", "data/roadef"), shared("roadef", "tools/roadef_check.py"))
    else {
        return;
    };
    let Some(python) = python("roadef") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (model, start) = (data.join("model_a1_1.txt"), data.join("assignment_a1_1.txt"));
    let crowded = folder.path().join("crowded");
    std::fs::write(&crowded, "0 ".repeat(100)).unwrap();
    let (is_feasible, said) = referee(python, &script, &[&model, &start, &crowded]);
    assert!(!is_feasible && said.contains("INFEASIBLE"), "{said}");
}

#[test]
fn openb_referee_accepts_every_placement() {
    let (Some(data), Some(script)) = (shared("openb", "data/openb"), shared("openb", "tools/openb_check.py")) else {
        return;
    };
    let Some(python) = python("openb") else { return };
    let folder = tempfile::tempdir().unwrap();
    let nodes = data.join("openb_node_list_gpu_node.csv");
    for pods in csv_files(&data).into_iter().chain(csv_files(&data.join("inflated"))) {
        let name = pods.file_stem().unwrap().to_string_lossy().into_owned();
        if name.contains("node_list") {
            continue;
        }
        let snapshot =
            openb::import(&read(&nodes), &read(&pods), None).unwrap_or_else(|faults| panic!("{name}: {faults}"));
        let problem = Problem::new(&snapshot).unwrap_or_else(|faults| panic!("{name}: {faults}"));
        let plan = search(&problem, 20);
        let file = folder.path().join(&name);
        std::fs::write(&file, openb::export(&problem, &plan.reached(&problem))).unwrap();
        let output = Command::new(python).arg(&script).args([&nodes, &pods, &file]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.starts_with("OK"), "{name}: {said}");
    }
}

#[test]
fn openb_starts_are_read_and_keep_the_rules() {
    let Some(data) = shared("openb starts", "data/openb") else { return };
    let nodes = read(&data.join("openb_node_list_gpu_node.csv"));
    let pods_of = |start: &str| match start {
        "bestfit_inflated_default_130_seed42" | "fgd_inflated_default_130_seed42" => {
            "inflated/inflated_default_130_seed42"
        }
        "fgd_base_gpuspec33_seed42" => "openb_pod_list_gpuspec33",
        _ => "openb_pod_list_default",
    };
    let mut gained = 0;
    for start in csv_files(&data.join("start")) {
        let name = start.file_stem().unwrap().to_string_lossy().into_owned();
        let pods = read(&data.join(format!("{}.csv", pods_of(&name))));
        let snapshot =
            openb::import(&nodes, &pods, Some(&read(&start))).unwrap_or_else(|faults| panic!("{name}: {faults}"));
        let problem = Problem::new(&snapshot).unwrap_or_else(|faults| panic!("{name}: {faults}"));
        assert_eq!(violations(&problem, &problem.current), [], "{name}");
        assert!(problem.current.spots().iter().filter(|spot| spot.is_placed()).count() > 5_000, "{name}");
        let plan = search(&problem, 4_000);
        gained += plan.objective.1 - plan.objective.0;
    }
    // In clusters this full most moves have no safe order, but over all of them something must have paid.
    assert!(gained > 0);
}

fn csv_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "csv")).collect();
    files.sort();
    files
}

#[test]
fn spreadsheets_are_read_and_improved() {
    let Some(data) = shared("spreadsheets", "data/balance") else { return };
    for name in ["bal_1000_50", "bal_10000_500"] {
        let file = |kind: &str| read(&data.join(name).join(format!("{kind}.csv")));
        let snapshot = table::import(&file("nodes"), &file("tasks"), table::SoftLimit::Mean).unwrap();
        let problem = Problem::new(&snapshot).unwrap();
        assert_eq!(violations(&problem, &problem.current), [], "{name}");
        let before = score(&problem, &problem.current).load;
        let plan = search(&problem, 100);
        let after = score(&problem, &plan.reached(&problem)).load;
        assert!(after * 4 < before, "{name}: load above the mean {} → {}", scaled_text(before), scaled_text(after));
    }
}

#[test]
fn hostile_bytes_are_faults_not_panics() {
    let roadef_like = b"2 1 10 0 10 2 0 0 9 9 8 8 0 1 0 1 9 9 8 8 1 0 1 0 0 2 0 3 3 1 0 4 4 1 0 1 10 100";
    let start = b"0 1";
    let base = roadef::import(roadef_like, start).expect("the unharmed file is sound");
    assert_eq!((base.nodes.len(), base.tasks.len()), (2, 2));
    assert!(base.groups[0].spread.iter().all(|spread: &SpreadSpec| spread.min > 0));
    let nodes = b"sn,cpu_milli,memory_mib,gpu,model\nn,10,10,2,T4\n";
    let pods = b"name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\np,1,1,1,500,T4|T4\n";
    assert!(openb::import(nodes, pods, None).is_ok());
    common::for_seeds("hostile", 2_000, |_, rng| {
        let mutate = |rng: &mut common::Rng, bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            for _ in 0..=rng.below(3) {
                let at = rng.below(bytes.len());
                match rng.below(4) {
                    0 => bytes.truncate(at + 1),
                    1 => bytes[at] = rng.below(256) as u8,
                    2 => bytes.insert(at, b"-9.,;\n \xFF"[rng.below(8)]),
                    _ => drop(bytes.remove(at)),
                }
                if bytes.is_empty() {
                    bytes.push(b' ');
                }
            }
            bytes
        };
        let check = |result: Result<Snapshot, bayplan::model::Faults>| match result {
            // What an importer lets through, the check of names and figures may still refuse.
            Ok(snapshot) => drop(Problem::new(&snapshot)),
            Err(faults) => assert!(!faults.is_empty()),
        };
        check(roadef::import(&mutate(rng, roadef_like), &mutate(rng, start)));
        check(openb::import(&mutate(rng, nodes), &mutate(rng, pods), None));
        check(openb::import(nodes, pods, Some(&mutate(rng, b"name,node,gpus\np,n,0-1\n"))));
        check(table::import(
            &mutate(rng, b"node,cpu,rack\na,5,r\n"),
            &mutate(rng, b"task,cpu,node\nt,2,a\n"),
            table::SoftLimit::Mean,
        ));
    });
}
