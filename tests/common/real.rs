//! Which real problems are there? Those of the shared data, by name; `None` where the data is missing.

use super::fixtures::{cluster, node, resources, task};
use super::shared;
use bayplan::adapter::{openb, roadef, table};
use bayplan::model::{Problem, Snapshot};

/// Instances of the ROADEF/EURO challenge 2012.
pub const ROADEF: [&str; 18] = [
    "a1_1", "a1_2", "a1_3", "a1_4", "a1_5", "a2_1", "a2_2", "a2_3", "a2_4", "a2_5", "b_1", "b_2", "b_3", "b_4", "b_5",
    "b_6", "b_8", "b_9",
];
/// Pod lists of openb, for the nodes with GPUs.
pub const OPENB: [&str; 12] = [
    "openb_pod_list_cpu250",
    "openb_pod_list_default",
    "openb_pod_list_gpushare60",
    "openb_pod_list_gpuspec20",
    "openb_pod_list_gpuspec33",
    "openb_pod_list_multigpu50",
    "inflated/inflated_cpu250_130_seed42",
    "inflated/inflated_default_130_seed42",
    "inflated/inflated_default_130_seed43",
    "inflated/inflated_gpushare60_130_seed42",
    "inflated/inflated_gpuspec33_130_seed42",
    "inflated/inflated_multigpu50_130_seed42",
];
/// Clusters to balance.
pub const BALANCE: [&str; 2] = ["bal_1000_50", "bal_10000_500"];

fn two_files(test: &str, first: &str, second: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let read = |path: &str| Some(std::fs::read(shared(test, path)?).expect("shared data is readable"));
    Some((read(first)?, read(second)?))
}

fn problem(mut snapshot: Snapshot, name: &str) -> Problem {
    snapshot.name = name.to_string();
    Problem::new(&snapshot).unwrap_or_else(|faults| panic!("{name}: {faults}"))
}

/// A rebalancing instance.
pub fn roadef_problem(test: &str, name: &str) -> Option<Problem> {
    let file = |kind: &str| format!("data/roadef/{kind}_{name}.txt");
    let (model, assignment) = two_files(test, &file("model"), &file("assignment"))?;
    Some(problem(roadef::import(&model, &assignment).unwrap(), name))
}

/// A list of pods, all waiting.
pub fn openb_problem(test: &str, name: &str) -> Option<Problem> {
    let pods = format!("data/openb/{name}.csv");
    let (nodes, pods) = two_files(test, "data/openb/openb_node_list_gpu_node.csv", &pods)?;
    Some(problem(openb::import(&nodes, &pods, None).unwrap(), name))
}

/// A cluster out of balance.
pub fn balance_problem(test: &str, name: &str) -> Option<Problem> {
    let file = |table: &str| format!("data/balance/{name}/{table}.csv");
    let (nodes, tasks) = two_files(test, &file("nodes"), &file("tasks"))?;
    Some(problem(table::import(&nodes, &tasks, table::SoftLimit::Mean).unwrap(), name))
}

/// 200 tasks, 20 nodes, 3 resources: the relaxation comes to 9485.74, no solver has proven more than that.
pub fn two_hundred_tasks(test: &str) -> Option<Problem> {
    let path = shared(test, "data/exact/milp_200x20.json")?;
    let read: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let names = ["cpu", "mem", "gpu"];
    let rows = |key: &str| -> Vec<Vec<(&'static str, i64)>> {
        let row = |row: &serde_json::Value| -> Vec<(&'static str, i64)> {
            let figures = row.as_array().unwrap().iter().map(|figure| figure.as_i64().unwrap());
            names.into_iter().zip(figures).collect()
        };
        read[key].as_array().unwrap().iter().map(row).collect()
    };
    let nodes = rows("cap").into_iter().enumerate().map(|(n, row)| node(&format!("n{n}"), &row));
    let weights = read["r"].as_array().unwrap().iter().map(|weight| weight.as_i64().unwrap());
    let tasks = rows("req").into_iter().zip(weights).enumerate();
    let tasks = tasks.map(|(t, (row, weight))| task(&format!("t{t}"), weight, &row));
    let mut snapshot = cluster(nodes.collect(), tasks.collect());
    snapshot.resources = resources(&names);
    Some(Problem::new(&snapshot).unwrap())
}
