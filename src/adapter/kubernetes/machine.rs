//! Which virtual machines can migrate live, and to which nodes? What KubeVirt says of its instances.

use super::cluster::Cluster;
use super::records::MachineInstance;
use crate::adapter::notes::Notes;
use crate::model::TaskKind;
use std::collections::HashMap;

/// A node says by a label below this which CPU model its machines with the model of their host see.
const HOST_MODEL: &str = "host-model-cpu.node.kubevirt.io/";
/// And by labels below this which features come with it.
const HOST_FEATURE: &str = "host-model-required-features.node.kubevirt.io/";
/// A node that can take over machines with a model, a feature, has a label below these.
const CAN_MODEL: &str = "cpu-model-migration.node.kubevirt.io/";
const CAN_FEATURE: &str = "cpu-feature.node.kubevirt.io/";

/// A VirtualMachineInstance.
pub struct Machine {
    can_migrate: bool,
    is_migrating: bool,
    /// Its CPU is that of its node.
    has_host_model: bool,
}

impl Machine {
    pub fn new(machine: &MachineInstance) -> Machine {
        let status = &machine.status;
        Machine {
            can_migrate: status.conditions.iter().any(|c| c.kind == "LiveMigratable" && c.status == "True"),
            is_migrating: status
                .migration_state
                .as_ref()
                .is_some_and(|state| !state.completed && !state.failed && state.end_timestamp.is_none()),
            has_host_model: machine.spec.domain.cpu.model == "host-model",
        }
    }
}

/// Pins machines that cannot migrate, and keeps the others to nodes that have their CPU.
pub fn apply(cluster: &mut Cluster, machines: &HashMap<(String, String), Machine>, notes: &mut Notes) {
    let key = |cluster: &Cluster, pod: usize| {
        let pod = &cluster.pods[pod];
        let namespace = &cluster.tables.faces.list[pod.face].namespace;
        pod.controller.as_ref().map(|owner| (namespace.clone(), owner.name.clone()))
    };
    let launchers: Vec<usize> =
        (0..cluster.tasks.len()).filter(|pod| cluster.tasks[*pod].kind == TaskKind::Vm).collect();
    let mut counts: HashMap<(String, String), u32> = HashMap::new();
    launchers.iter().filter_map(|pod| key(cluster, *pod)).for_each(|key| *counts.entry(key).or_default() += 1);
    for pod in launchers {
        let key = key(cluster, pod).unwrap_or_default();
        let home = cluster.place[pod];
        let reason = match machines.get(&key) {
            None => "its VirtualMachineInstance is not among the documents",
            Some(machine) if machine.is_migrating || counts.get(&key).is_some_and(|count| *count > 1) => {
                "a migration of it is under way"
            }
            Some(machine) if !machine.can_migrate => "its VirtualMachineInstance cannot migrate live",
            Some(_) if home.is_some_and(|node| !cluster.nodes.ready[node]) => {
                "its node is not ready: nobody there could migrate it"
            }
            Some(machine) if machine.has_host_model && !follow_host(cluster, pod) => {
                "its CPU is that of its node, which does not say what that is"
            }
            Some(_) => continue,
        };
        cluster.pin(pod, reason, notes);
    }
}

/// Keeps a machine with the CPU of its node to nodes that can take that over; false when its node does not say which it is. A machine
/// that has migrated before brings its own selector along.
fn follow_host(cluster: &mut Cluster, pod: usize) -> bool {
    if cluster.tasks[pod].selector.keys().any(|key| key.starts_with(CAN_MODEL)) {
        return true;
    }
    let Some(home) = cluster.place[pod] else { return true };
    let below = |prefix: &str, can: &str| -> Vec<String> {
        let labels = cluster.nodes.list[home].labels.iter().filter(|(_, value)| *value == "true");
        labels.filter_map(|(key, _)| Some(format!("{can}{}", key.strip_prefix(prefix)?))).collect()
    };
    let (models, features) = (below(HOST_MODEL, CAN_MODEL), below(HOST_FEATURE, CAN_FEATURE));
    for key in models.iter().chain(&features) {
        cluster.require(pod, key, &["true".to_string()]);
    }
    !models.is_empty()
}
