//! Which volumes tie a pod to nodes? Persistent ones to where they can be reached from, local ones to where they are.

use super::Options;
use super::cluster::Cluster;
use super::documents::Objects;
use crate::adapter::notes::Notes;
use crate::model::TaskKind;

/// Pins pods or narrows where they may run, after their volumes; machines after whether they can migrate live.
pub fn apply(cluster: &mut Cluster, objects: &Objects, options: &Options, notes: &mut Notes) {
    for p in 0..cluster.pods.len() {
        let pod = &cluster.pods[p];
        let namespace = cluster.tables.faces.list[pod.face].namespace.clone();
        if cluster.tasks[p].kind == TaskKind::Vm {
            let machine = pod.controller.as_ref().map(|owner| (namespace.clone(), owner.name.clone()));
            match machine.and_then(|key| objects.machines.get(&key)) {
                None => cluster.pin(p, "its VirtualMachineInstance is not among the documents", notes),
                Some(false) => cluster.pin(p, "its VirtualMachineInstance cannot migrate live", notes),
                Some(true) => {}
            }
        } else if pod.has_empty_dir && !pod.may_lose_data && !options.delete_emptydir_data && pod.node.is_some() {
            cluster.pin(p, "local volume: emptyDir (see --delete-emptydir-data)", notes);
        }
        for claim in std::mem::take(&mut cluster.pods[p].claims) {
            let volume = objects.claims.get(&(namespace.clone(), claim)).map(|name| (name, objects.volumes.get(name)));
            match volume {
                None => cluster.pin(p, "a PersistentVolumeClaim of it is not among the documents", notes),
                // Where the volume will be is decided together with the pod's node, by the scheduler: a binding would not ask for it.
                Some((name, None)) if name.is_empty() => {
                    if cluster.pods[p].node.is_none() {
                        cluster.pin(p, "a volume of it is not bound yet: the scheduler decides where", notes);
                    }
                }
                Some((_, None)) => cluster.pin(p, "a PersistentVolume of it is not among the documents", notes),
                Some((_, Some(volume))) if volume.local.is_some() || volume.host_path.is_some() => {
                    cluster.pin(p, "local volume: PersistentVolume on its node", notes);
                }
                Some((_, Some(volume))) => {
                    if let Some(required) = &volume.node_affinity.required {
                        cluster.select(p, "volume", required);
                    }
                }
            }
        }
    }
}
