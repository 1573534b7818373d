//! Which fields are not read? Counted by their path, those apart that are known to say nothing about where a pod can run.

use crate::adapter::notes::{Fate, Notes};
use serde_ignored::Path;
use std::collections::{BTreeMap, HashMap};

/// Kinds whose objects are read, with the paths below which nothing bears on placement (or is what was read, once more).
const IRRELEVANT: [(&str, &[&str]); 9] = [
    (
        "Node",
        &[
            "metadata",
            "spec.podCIDR",
            "spec.podCIDRs",
            "spec.providerID",
            "spec.externalID",
            "spec.taints.timeAdded",
            "status",
        ],
    ),
    (
        "Pod",
        &[
            "metadata",
            "spec.activeDeadlineSeconds",
            "spec.automountServiceAccountToken",
            "spec.dnsConfig",
            "spec.dnsPolicy",
            "spec.enableServiceLinks",
            "spec.ephemeralContainers",
            "spec.hostAliases",
            "spec.hostIPC",
            "spec.hostPID",
            "spec.hostUsers",
            "spec.hostname",
            "spec.hostnameOverride",
            "spec.imagePullSecrets",
            "spec.preemptionPolicy",
            "spec.readinessGates",
            "spec.restartPolicy",
            "spec.runtimeClassName",
            "spec.securityContext",
            "spec.serviceAccount",
            "spec.serviceAccountName",
            "spec.setHostnameAsFQDN",
            "spec.shareProcessNamespace",
            "spec.subdomain",
            "spec.terminationGracePeriodSeconds",
            "spec.volumes.configMap",
            "spec.volumes.downwardAPI",
            "spec.volumes.name",
            "spec.volumes.nfs",
            "spec.volumes.persistentVolumeClaim.readOnly",
            "spec.volumes.projected",
            "spec.volumes.secret",
            "status",
        ],
    ),
    ("PodDisruptionBudget", &["metadata", "spec.unhealthyPodEvictionPolicy", "status"]),
    ("PriorityClass", &["metadata", "description", "preemptionPolicy"]),
    ("Namespace", &["metadata", "spec", "status"]),
    (
        "PersistentVolumeClaim",
        &[
            "metadata",
            "spec.resources",
            "spec.selector",
            "spec.storageClassName",
            "spec.volumeMode",
            "spec.dataSource",
            "spec.dataSourceRef",
            "spec.volumeAttributesClassName",
            "status",
        ],
    ),
    (
        "PersistentVolume",
        &[
            "metadata",
            "spec.capacity",
            "spec.claimRef",
            "spec.csi",
            "spec.mountOptions",
            "spec.nfs",
            "spec.persistentVolumeReclaimPolicy",
            "spec.storageClassName",
            "spec.volumeMode",
            "spec.volumeAttributesClassName",
            "status",
        ],
    ),
    ("VirtualMachineInstance", &["metadata", "spec", "status"]),
    ("PodGroup", &["metadata", "spec.priorityClassName", "spec.queue", "spec.scheduleTimeoutSeconds", "status"]),
];

/// What a container or init container may say without bearing on placement.
const CONTAINER: [&str; 24] = [
    "args",
    "command",
    "env",
    "envFrom",
    "image",
    "imagePullPolicy",
    "lifecycle",
    "livenessProbe",
    "ports",
    "readinessProbe",
    "resizePolicy",
    "resources.claims",
    "restartPolicyRules",
    "securityContext",
    "startupProbe",
    "stdin",
    "stdinOnce",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "tty",
    "volumeDevices",
    "volumeMounts",
    "workingDir",
    "name",
];

/// Deepest path told: what is further down belongs to its parent.
const DEPTH_MAX: usize = 12;

/// Counts of fields that nobody read, by kind and path.
#[derive(Default)]
pub struct Fields {
    counts: BTreeMap<&'static str, HashMap<String, u64>>,
    path: String,
}

impl Fields {
    /// Counts a field of an object of this kind. Places in lists are left out of its path.
    pub fn count(&mut self, kind: &'static str, path: &Path<'_>) {
        let mut names: [&str; DEPTH_MAX] = [""; DEPTH_MAX];
        let (mut depth, mut here) = (0, path);
        loop {
            here = match here {
                Path::Root => break,
                Path::Map { parent, key } => {
                    if depth < DEPTH_MAX {
                        names[depth] = key;
                        depth += 1;
                    }
                    parent
                }
                Path::Seq { parent, .. }
                | Path::Some { parent }
                | Path::NewtypeStruct { parent }
                | Path::NewtypeVariant { parent } => parent,
            };
        }
        self.path.clear();
        for name in names[..depth].iter().rev() {
            if !self.path.is_empty() {
                self.path.push('.');
            }
            self.path.push_str(name);
        }
        // What kind it is has been read already.
        if matches!(self.path.as_str(), "apiVersion" | "kind") {
            return;
        }
        let counts = self.counts.entry(kind).or_default();
        match counts.get_mut(&self.path) {
            Some(count) => *count += 1,
            None => _ = counts.insert(self.path.clone(), 1),
        }
    }

    /// Adds what others counted.
    pub fn add(&mut self, other: Fields) {
        for (kind, counts) in other.counts {
            let mine = self.counts.entry(kind).or_default();
            for (path, count) in counts {
                *mine.entry(path).or_default() += count;
            }
        }
    }

    /// Tells the counts: each path that may matter, and in one line per kind what does not.
    pub fn tell(self, notes: &mut Notes) {
        for (kind, counts) in self.counts {
            let counts: BTreeMap<String, u64> = counts.into_iter().collect();
            let mut names = Vec::new();
            let mut total = 0;
            for (path, count) in &counts {
                if is_irrelevant(kind, path) {
                    names.push(path.as_str());
                    total += count;
                } else {
                    notes.add_many(Fate::LeftOut, &format!("{kind} {path}"), *count);
                }
            }
            notes.add_many(Fate::Irrelevant, &format!("{kind} {}", names.join(" ")), total);
        }
    }
}

fn is_irrelevant(kind: &str, path: &str) -> bool {
    let is_below =
        |path: &str, top: &str| path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let known = IRRELEVANT.iter().find(|(known, _)| *known == kind).map_or(&[][..], |(_, tops)| *tops);
    if known.iter().any(|top| is_below(path, top)) {
        return true;
    }
    let container = path.strip_prefix("spec.containers.").or_else(|| path.strip_prefix("spec.initContainers."));
    kind == "Pod" && container.is_some_and(|rest| CONTAINER.iter().any(|top| is_below(rest, top)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_to_be_irrelevant_is_told() {
        assert!(is_irrelevant("Pod", "spec.containers.image"));
        assert!(is_irrelevant("Pod", "status.podIP"));
        assert!(!is_irrelevant("Pod", "spec.containers.imagery"));
        assert!(!is_irrelevant("Pod", "spec.placementPolicy"));
        assert!(!is_irrelevant("Node", "spec.containers.image"));
        assert!(!is_irrelevant("Gadget", "metadata"));
    }
}
