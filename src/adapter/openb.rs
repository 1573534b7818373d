//! Alibaba's cluster-trace-gpu-v2023 ("openb"): node list and pod list in, placement list out.
//!
//! Pods with GPUs become jobs whose weight is the GPU milli they ask for, so that the objective counts allocated GPU. A CPU-only
//! pod weighs as much as a GPU and 100 points more per started core (a node has about 12 cores per GPU): nobody refuses a
//! service so that another fraction of a GPU is in use, so every such pod is placed where that is possible at all. GPUs are devices of
//! 1000 milli with the node's model; `gpu_spec` lists the accepted models. Times, `qos` and `pod_phase` are not used.

use super::csv_table::{Row, Table};
use crate::model::*;
use std::collections::HashMap;

/// Weight of a pod without GPUs, before its cores.
const CPU_POD_WEIGHT: i64 = 1000;
/// Weight of each of its started cores.
const CPU_CORE_WEIGHT: i64 = 100;

/// Node list, pod list and, if given, a placement (`name,node,gpus`) as a snapshot.
///
/// # Errors
/// Every fault of the three files, with line and column.
pub fn import(nodes: &[u8], pods: &[u8], placement: Option<&[u8]>) -> Result<Snapshot, Faults> {
    let mut faults = Faults::new();
    let resource = |name: &str, unit: &str| ResourceSpec {
        name: name.into(),
        unit: unit.into(),
        transient: true,
        ..ResourceSpec::default()
    };
    let mut snapshot = Snapshot {
        name: "openb".into(),
        resources: vec![resource("cpu", "milli"), resource("memory", "MiB")],
        objective: ObjectiveSpec { task_move_weight: 1, ..ObjectiveSpec::default() },
        ..Snapshot::default()
    };
    if let Some(table) = Table::read("node", nodes, &mut faults) {
        read_nodes(&table, &mut snapshot, &mut faults);
    }
    if let Some(table) = Table::read("pod", pods, &mut faults) {
        read_pods(&table, &mut snapshot, &mut faults);
    }
    if let Some(table) = placement.and_then(|bytes| Table::read("placement", bytes, &mut faults)) {
        read_placement(&table, &mut snapshot, &mut faults);
    }
    if faults.is_empty() { Ok(snapshot) } else { Err(faults) }
}

fn read_nodes(table: &Table, snapshot: &mut Snapshot, faults: &mut Faults) {
    let columns = ["sn", "cpu_milli", "memory_mib", "gpu"].map(|name| table.required(name, faults));
    let model = table.column("model");
    for row in table.rows() {
        let count = row.amount(columns[3], faults);
        let allocatable = [("cpu", columns[1]), ("memory", columns[2])];
        let mut node = NodeSpec {
            name: row.text(columns[0]).to_string(),
            allocatable: allocatable.map(|(name, column)| (name.to_string(), row.amount(column, faults))).into(),
            ..NodeSpec::default()
        };
        if count > DEVICE_COUNT_MAX as i64 {
            faults.add(
                "I204",
                row.place(),
                format!("{count} GPUs"),
                format!("at most {DEVICE_COUNT_MAX} per node are supported"),
            );
        } else if count > 0 {
            let model = row.text(model).to_string();
            node.labels.insert("gpu_model".into(), model.clone());
            node.devices = vec![DevicesSpec { kind: "gpu".into(), model, count: count as u32, memory: None }];
        }
        snapshot.nodes.push(node);
    }
}

fn read_pods(table: &Table, snapshot: &mut Snapshot, faults: &mut Faults) {
    let columns = ["name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli"].map(|name| table.required(name, faults));
    let spec = table.column("gpu_spec");
    for row in table.rows() {
        let (cpu, memory) = (row.amount(columns[1], faults), row.amount(columns[2], faults));
        let (count, milli) = (row.amount(columns[3], faults), row.amount(columns[4], faults));
        let mut task = TaskSpec {
            name: row.text(columns[0]).to_string(),
            weight: CPU_POD_WEIGHT.saturating_add(((cpu + 999) / 1000).saturating_mul(CPU_CORE_WEIGHT)).min(AMOUNT_MAX),
            requirement: [("cpu".to_string(), cpu), ("memory".to_string(), memory)].into(),
            move_cost: 1,
            ..TaskSpec::default()
        };
        if count > 0 {
            task.kind = TaskKind::Job;
            task.weight = count.saturating_mul(milli).min(AMOUNT_MAX);
            task.device = device_request(&row, count, milli, row.text(spec), faults);
        }
        snapshot.tasks.push(task);
    }
}

fn device_request(row: &Row<'_>, count: i64, milli: i64, spec: &str, faults: &mut Faults) -> Option<DeviceRequestSpec> {
    let is_legal = count <= DEVICE_COUNT_MAX as i64 && (1..=1000).contains(&milli) && (milli == 1000 || count == 1);
    if !is_legal {
        let remedy = "ask for whole GPUs (1000 milli each) or a fraction of one";
        faults.add("I205", row.place(), format!("{milli} milli of each of {count} GPUs"), remedy);
        return None;
    }
    let mut models: Vec<String> =
        spec.split('|').map(str::trim).filter(|m| !m.is_empty()).map(str::to_string).collect();
    models.sort();
    models.dedup();
    Some(DeviceRequestSpec { kind: "gpu".into(), count: count as u32, milli: milli as u32, memory: None, models })
}

fn read_placement(table: &Table, snapshot: &mut Snapshot, faults: &mut Faults) {
    let columns = ["name", "node", "gpus"].map(|name| table.required(name, faults));
    let index: HashMap<String, usize> =
        snapshot.tasks.iter().enumerate().map(|(i, task)| (task.name.clone(), i)).collect();
    for row in table.rows() {
        let (name, node) = (row.text(columns[0]), row.text(columns[1]));
        let Some(task) = index.get(name) else {
            faults.add("I301", row.place(), format!("there is no pod {name:?}"), "use the placement of this pod list");
            continue;
        };
        if node.is_empty() {
            continue;
        }
        let devices: Option<Vec<u32>> =
            row.text(columns[2]).split('-').filter(|d| !d.is_empty()).map(|d| d.parse().ok()).collect();
        let Some(devices) = devices else {
            let cause = format!("{:?} is no list of GPU numbers", row.text(columns[2]));
            faults.add("I206", row.place(), cause, "write numbers joined by -, such as 0-3-4");
            continue;
        };
        snapshot.tasks[*task].placement = vec![PieceSpec { node: node.to_string(), share: None, devices }];
    }
}

/// The placement as `name,node,gpus`, one line per pod in the order of the snapshot; no node = not placed.
pub fn export(problem: &Problem, placement: &Placement) -> String {
    let mut text = String::from("name,node,gpus\n");
    for task in problem.task_ids() {
        text.push_str(&problem.tasks[task.index()].name);
        match placement.spot(task).pieces().first() {
            None => text.push_str(",,"),
            Some(piece) => {
                let devices: Vec<String> =
                    (0..64).filter(|d| piece.devices >> d & 1 == 1).map(|d: u32| d.to_string()).collect();
                text.push_str(&format!(",{},{}", problem.nodes[piece.node.index()].name, devices.join("-")));
            }
        }
        text.push('\n');
    }
    text
}
