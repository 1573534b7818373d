//! A spreadsheet of nodes and one of tasks: what a person exports as CSV.
//!
//! The first column is the name. Columns with the names below have their meaning; every other column that both files have
//! is a resource, in whole numbers.
//!
//! | nodes | tasks |
//! |---|---|
//! | `rack`, `row`, `zone`, `region`, `datacenter`: domain levels | `node`: where it runs now (empty = waiting) |
//! | `pool`, `price`, `cordoned` | `weight`, `kind`, `pinned`, `evictable`, `move_cost` |
//! | `gpus`, `gpu_model`: devices | `group`, or `job`, or `service`: its group; `gpus`, `gpu_milli`: devices |
//!
//! A table has no points for load, so the importer sets some: a soft limit per node and resource ([`SoftLimit`]) and one
//! point per [`LOAD_PARTS`]th of the cluster's capacity above it, the same for every resource.

use super::csv_table::{Row, Table};
use crate::model::*;
use std::collections::{BTreeMap, HashMap};

/// Points for a whole cluster's capacity of load above the soft limits: fine enough that one task's share counts, coarse
/// enough that a weight stays a small whole number in usual units.
pub const LOAD_PARTS: i64 = 1 << 30;

/// Which load costs points.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SoftLimit {
    /// What is above the cluster's mean utilisation: planning evens the load.
    #[default]
    Mean,
    /// What is above this percentage of each node's capacity.
    Percent(u32),
    /// None.
    None,
}

const NODE_WORDS: [&str; 10] =
    ["rack", "row", "zone", "region", "datacenter", "pool", "price", "cordoned", "gpus", "gpu_model"];
const LEVELS: [&str; 5] = ["rack", "row", "zone", "region", "datacenter"];
const TASK_WORDS: [&str; 11] =
    ["node", "weight", "kind", "pinned", "evictable", "move_cost", "group", "job", "service", "gpus", "gpu_milli"];

/// Two tables as a snapshot.
///
/// # Errors
/// Every fault of both, with line and column.
pub fn import(nodes: &[u8], tasks: &[u8], soft_limit: SoftLimit) -> Result<Snapshot, Faults> {
    let mut faults = Faults::new();
    let node_table = Table::read("node", nodes, &mut faults);
    let task_table = Table::read("task", tasks, &mut faults);
    let (Some(node_table), Some(task_table)) = (node_table, task_table) else { return Err(faults) };
    let resources = resources(&node_table, &task_table, &mut faults);
    let levels: Vec<&str> = LEVELS.into_iter().filter(|level| node_table.column(level).is_some()).collect();
    let mut snapshot = Snapshot {
        name: "csv".into(),
        levels: levels.iter().map(|level| level.to_string()).collect(),
        objective: ObjectiveSpec { task_move_weight: 1, ..ObjectiveSpec::default() },
        ..Snapshot::default()
    };
    for row in node_table.rows() {
        snapshot.nodes.push(node(&node_table, &row, &resources, &levels, &mut faults));
    }
    let mut groups: HashMap<String, usize> = HashMap::new();
    for row in task_table.rows() {
        let task = task(&task_table, &row, &resources, &mut faults);
        if let Some(group) = &task.group
            && !groups.contains_key(group)
        {
            groups.insert(group.clone(), snapshot.groups.len());
            snapshot.groups.push(GroupSpec { name: group.clone(), ..GroupSpec::default() });
        }
        snapshot.tasks.push(task);
    }
    for name in &resources {
        let spec = set_soft_limits(&mut snapshot, name, soft_limit);
        snapshot.resources.push(spec);
    }
    if faults.is_empty() { Ok(snapshot) } else { Err(faults) }
}

/// Columns of both tables that have no other meaning.
fn resources(nodes: &Table, tasks: &Table, faults: &mut Faults) -> Vec<String> {
    let amounts = |table: &Table, words: &[&str]| -> Vec<String> {
        table.headers.iter().skip(1).filter(|name| !words.contains(&name.as_str())).cloned().collect()
    };
    let (offered, wanted) = (amounts(nodes, &NODE_WORDS), amounts(tasks, &TASK_WORDS));
    let mut missing = |file: &str, other: &str, mine: &[String], theirs: &[String], words: &[&str]| {
        for name in theirs.iter().filter(|name| !mine.contains(name)) {
            let known = words.join(", ");
            let cause = format!("the {other} file has a column {name:?}, this one has not");
            let remedy = format!("a resource must be a column of both; columns with another meaning: {known}");
            faults.add("I109", format!("{file} file"), cause, remedy);
        }
    };
    missing("task", "node", &wanted, &offered, &NODE_WORDS);
    missing("node", "task", &offered, &wanted, &TASK_WORDS);
    if offered.is_empty() && wanted.is_empty() {
        faults.add("I109", "node file", "there is no resource column", "add one, such as cpu, to both files");
    }
    offered
}

fn amounts_of(table: &Table, row: &Row<'_>, resources: &[String], faults: &mut Faults) -> BTreeMap<String, i64> {
    let mut amounts = BTreeMap::new();
    for name in resources.iter().filter(|name| table.column(name).is_some()) {
        amounts.insert(name.clone(), row.amount(table.column(name), faults));
    }
    amounts
}

fn node(table: &Table, row: &Row<'_>, resources: &[String], levels: &[&str], faults: &mut Faults) -> NodeSpec {
    let text = |name: &str| row.text(table.column(name)).to_string();
    let domains = levels.iter().map(|level| (level.to_string(), text(level))).filter(|(_, domain)| !domain.is_empty());
    let count = row.amount(table.column("gpus"), faults);
    let devices = match u32::try_from(count) {
        Ok(0) | Err(_) => Vec::new(),
        Ok(count) => vec![DevicesSpec { kind: "gpu".into(), model: text("gpu_model"), count, memory: None }],
    };
    NodeSpec {
        name: row.text(Some(0)).to_string(),
        allocatable: amounts_of(table, row, resources, faults),
        domains: domains.collect(),
        pool: Some(text("pool")).filter(|pool| !pool.is_empty()),
        price: row.amount(table.column("price"), faults),
        cordoned: row.flag(table.column("cordoned"), faults),
        devices,
        ..NodeSpec::default()
    }
}

fn task(table: &Table, row: &Row<'_>, resources: &[String], faults: &mut Faults) -> TaskSpec {
    let text = |name: &str| row.text(table.column(name)).to_string();
    let kind = match text("kind").to_lowercase().as_str() {
        "vm" => TaskKind::Vm,
        "" | "container" => TaskKind::Container,
        "job" => TaskKind::Job,
        other => {
            faults.add(
                "I207",
                format!("{}, column kind", row.place()),
                format!("{other:?} is no kind"),
                "write vm, container or job",
            );
            TaskKind::Container
        }
    };
    let one_if_absent = |name: &str, faults: &mut Faults| match row.text(table.column(name)) {
        "" => 1,
        _ => row.amount(table.column(name), faults),
    };
    let node = text("node");
    let group = ["group", "job", "service"].into_iter().map(text).find(|name| !name.is_empty());
    TaskSpec {
        name: row.text(Some(0)).to_string(),
        kind,
        weight: one_if_absent("weight", faults),
        requirement: amounts_of(table, row, resources, faults),
        device: device(table, row, faults),
        placement: if node.is_empty() { Vec::new() } else { vec![PieceSpec { node, ..PieceSpec::default() }] },
        pinned: row.flag(table.column("pinned"), faults),
        evictable: row.flag(table.column("evictable"), faults),
        move_cost: one_if_absent("move_cost", faults),
        group,
        ..TaskSpec::default()
    }
}

fn device(table: &Table, row: &Row<'_>, faults: &mut Faults) -> Option<DeviceRequestSpec> {
    let count = row.amount(table.column("gpus"), faults);
    let milli = match row.text(table.column("gpu_milli")) {
        "" => i64::from(DEVICE_MILLI),
        _ => row.amount(table.column("gpu_milli"), faults),
    };
    let request = |count: u32, milli: u32| DeviceRequestSpec {
        kind: "gpu".into(),
        count,
        milli,
        memory: None,
        models: Vec::new(),
    };
    match (u32::try_from(count), u32::try_from(milli)) {
        (Ok(0), _) => None,
        (Ok(count), Ok(milli)) => Some(request(count, milli)),
        _ => {
            faults.add("I205", row.place(), format!("{milli} milli of each of {count} GPUs"), "ask for fewer");
            None
        }
    }
}

/// Sets every node's soft limit for a resource, and the points for load above it.
fn set_soft_limits(snapshot: &mut Snapshot, name: &str, rule: SoftLimit) -> ResourceSpec {
    let sum = |amounts: &mut dyn Iterator<Item = Option<&i64>>| amounts.flatten().map(|a| i128::from(*a)).sum::<i128>();
    let capacity = sum(&mut snapshot.nodes.iter().map(|node| node.allocatable.get(name)));
    let demand = sum(&mut snapshot.tasks.iter().map(|task| task.requirement.get(name)));
    let (top, bottom) = match rule {
        SoftLimit::Mean => (demand.min(capacity), capacity.max(1)),
        SoftLimit::Percent(percent) => (i128::from(percent.min(100)), 100),
        SoftLimit::None => (1, 1),
    };
    for node in &mut snapshot.nodes {
        let amount = i128::from(node.allocatable.get(name).copied().unwrap_or(0));
        let soft = (amount * top + bottom - 1) / bottom;
        if soft < amount {
            node.soft_limit.insert(name.to_string(), soft as i64);
        }
    }
    let weight = if rule == SoftLimit::None { 0 } else { (i128::from(LOAD_PARTS) / capacity.max(1)).max(1) as i64 };
    ResourceSpec { name: name.to_string(), transient: true, load_weight: weight, ..ResourceSpec::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const NODES: &str = "Node;CPU;Mem;Rack\nn1;10;100;r1\nn2;10;100;r2\n";

    #[test]
    fn a_spreadsheet_becomes_a_snapshot() {
        let tasks = "task;cpu;mem;node;job;weight\na;4;40;n1;web;\nb;4;;n1;web;7\nc;2;5;;;\n";
        let snapshot = import(NODES.as_bytes(), tasks.as_bytes(), SoftLimit::Mean).unwrap();
        assert_eq!(snapshot.levels, ["rack"]);
        assert_eq!(snapshot.tasks[1].weight, 7);
        assert_eq!(snapshot.tasks[0].weight, 1);
        assert_eq!(snapshot.tasks[1].requirement["mem"], 0);
        assert_eq!(snapshot.nodes[0].soft_limit["cpu"], 5, "mean utilisation is 10 of 20");
        let problem = Problem::new(&snapshot).unwrap();
        assert_eq!(problem.groups.len(), 1);
        assert!(score(&problem, &problem.current).load > 0);
    }

    #[test]
    fn every_fault_is_reported() {
        let tasks = "task;cpu;node;kind;pinned\na;-4;n1;cow;maybe\nb;4\n";
        let faults = import(NODES.as_bytes(), tasks.as_bytes(), SoftLimit::None).unwrap_err();
        let codes: BTreeSet<&str> = faults.list().iter().map(|fault| fault.code).collect();
        assert_eq!(codes.into_iter().collect::<Vec<_>>(), ["I107", "I109", "I201", "I203", "I207"]);
    }
}
