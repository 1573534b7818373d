//! Which limits do partitions set? From `scontrol show partitions --json` of 23.02 and later; without it they are not known.

use crate::adapter::record::{Record, figure};
use crate::model::Faults;
use std::collections::BTreeMap;

/// A partition as it matters here.
#[derive(Debug)]
pub struct Partition {
    /// CPUs that its jobs may have of a node, together.
    pub cpus_per_node: Option<i64>,
}

/// Partitions by name.
pub type Partitions = BTreeMap<String, Partition>;

impl Partition {
    /// Reads one, with its name.
    pub fn read(record: &Record<'_>, faults: &mut Faults) -> (String, Partition) {
        let most = record.inner(&["maximums", "cpus_per_node"]);
        let place = || format!("{}, maximums.cpus_per_node", record.place);
        let cpus_per_node = figure(most, place, faults).filter(|most| *most > 0);
        (record.text("name"), Partition { cpus_per_node })
    }
}

/// What tasks of a partition with a limit take of each node.
pub fn resource(partition: &str) -> String {
    format!("cpu of partition {partition}")
}
