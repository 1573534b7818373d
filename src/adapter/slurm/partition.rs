//! Which limits do partitions set? From `scontrol show partitions --json` of 23.02 and later; without it they are not known.

use crate::adapter::record::{Record, figure, whole};
use crate::model::Faults;
use serde_json::Value;
use std::collections::BTreeMap;

/// Fields without bearing on which nodes a job gets.
pub const IRRELEVANT: [&str; 14] = [
    "accounts",
    "alternate",
    "cluster",
    "cpus",
    "defaults",
    "grace_time",
    "groups",
    "node_sets",
    "nodes",
    // Its state, which jobs tell as the reason why they wait.
    "partition",
    "priority",
    "suspend_time",
    "timeouts",
    "tres",
];

/// A partition as it matters here.
#[derive(Debug)]
pub struct Partition {
    /// CPUs that its jobs may have of a node, together.
    pub cpus_per_node: Option<i64>,
    /// Nodes that a job may have.
    pub nodes: Option<i64>,
    /// Its jobs share their nodes with nobody.
    pub is_exclusive: bool,
}

/// Partitions by name.
pub type Partitions = BTreeMap<String, Partition>;

impl Partition {
    /// Reads one, with its name.
    pub fn read(record: &Record<'_>, faults: &mut Faults) -> (String, Partition) {
        let most = record.inner(&["maximums", "cpus_per_node"]);
        let place = || format!("{}, maximums.cpus_per_node", record.place);
        let cpus_per_node = figure(most, place, faults).filter(|most| *most > 0);
        let place = || format!("{}, maximums.nodes", record.place);
        let nodes = figure(record.inner(&["maximums", "nodes"]), place, faults);
        let place = || format!("{}, maximums.shares", record.place);
        let is_exclusive = figure(record.inner(&["maximums", "shares"]), place, faults) == Some(0);
        (record.text("name"), Partition { cpus_per_node, nodes, is_exclusive })
    }
}

/// Limits that a partition sets beyond what is read of it.
pub fn unread(value: &Value) -> impl Iterator<Item = &'static str> {
    const LIMITS: [(&str, i64); 4] = [
        ("/maximums/cpus_per_socket", 0),
        ("/maximums/partition_memory_per_cpu", 0),
        ("/maximums/partition_memory_per_node", 0),
        ("/minimums/nodes", 1),
    ];
    let is_set = |path: &str, none: i64| {
        value.pointer(path).is_some_and(|v| whole(v).map_or(true, |n| n.is_some_and(|n| n > none)))
    };
    LIMITS.into_iter().filter(move |(path, none)| is_set(path, *none)).map(|(path, _)| path)
}

/// What tasks of a partition with a limit take of each node.
pub fn resource(partition: &str) -> String {
    format!("cpu of partition {partition}")
}
