//! What do hypervisors share? Inventories, mostly of storage, that Placement keeps once for all hosts of an aggregate.
//!
//! A server that moves among the hosts of one such inventory holds there what it held before, so its amount is no matter of theirs;
//! anywhere else its disks are not. So it stays among them, and its amount is left to them.

use super::provider::Provider;
use crate::adapter::notes::{Fate, Notes};
use crate::model::NodeSpec;
use std::collections::{BTreeMap, BTreeSet};

/// Trait of a provider whose inventory is for all of its aggregates.
const SHARES: &str = "MISC_SHARES_VIA_AGGREGATE";

/// By node and resource class: the providers from which the node has it.
#[derive(Debug, Default)]
pub struct Sharing(BTreeMap<(String, String), String>);

impl Sharing {
    /// What nodes have from others and not themselves, which becomes a label of theirs.
    pub fn new(nodes: &mut [NodeSpec], providers: &BTreeMap<String, Provider>, notes: &mut Notes) -> Sharing {
        let mut sharing = Sharing::default();
        let mut in_use: BTreeSet<&String> = BTreeSet::new();
        for node in nodes {
            let Some(own) = node.origin.get("provider").and_then(|uuid| providers.get(uuid)) else { continue };
            let mut sources: BTreeMap<&String, Vec<&str>> = BTreeMap::new();
            for (uuid, provider) in providers.iter().filter(|(_, provider)| is_shared(provider)) {
                let lacks = |class: &&String| !node.allocatable.contains_key(*class);
                if !provider.aggregates.is_disjoint(&own.aggregates) {
                    for class in provider.capacity.keys().filter(lacks) {
                        sources.entry(class).or_default().push(uuid);
                        in_use.insert(uuid);
                    }
                }
            }
            for (class, uuids) in sources {
                node.labels.insert(label(class), uuids.join("+"));
                sharing.0.insert((node.name.clone(), class.clone()), uuids.join("+"));
            }
        }
        let lost = providers.iter().filter(|(uuid, provider)| is_shared(provider) && !in_use.contains(uuid));
        notes.add_many(
            Fate::LeftOut,
            "shared inventories that no hypervisor is known to have: /resource_providers/UUID/aggregates of both are needed",
            lost.count() as u64,
        );
        notes.add_many(
            Fate::LeftOut,
            "room in shared inventories, where a server holds its part twice while it moves",
            in_use.len() as u64,
        );
        sharing
    }

    /// Whether a node has a resource class from a provider that others have it from as well.
    pub fn has(&self, node: &NodeSpec, class: &str) -> bool {
        self.0.contains_key(&(node.name.clone(), class.to_string()))
    }

    /// Takes what the node has from others out of a requirement; labels of the nodes that have it from the same.
    pub fn take(&self, node: &NodeSpec, requirement: &mut BTreeMap<String, i64>) -> Vec<(String, String)> {
        let mut labels = Vec::new();
        requirement.retain(|class, _| match self.0.get(&(node.name.clone(), class.clone())) {
            Some(source) => {
                labels.push((label(class), source.clone()));
                false
            }
            None => true,
        });
        labels
    }
}

fn label(class: &str) -> String {
    format!("shared/{class}")
}

/// Whether the inventories of a provider are for others.
pub fn is_shared(provider: &Provider) -> bool {
    provider.traits.iter().flatten().any(|name| name == SHARES)
}
