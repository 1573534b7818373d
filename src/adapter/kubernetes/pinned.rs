//! Why may a pod not move? The reasons that stand in the pod itself; volumes, budgets and rules between pods have more.

use super::records::*;

/// Resources that are parts of a device which only their own scheduler can assign.
const DEVICE_PARTS: [&str; 6] = [
    "koordinator.sh/gpu",
    "aliyun.com/gpu-mem",
    "nvidia.com/gpumem",
    "nvidia.com/gpucores",
    "volcano.sh/vgpu",
    "gpu-memory",
];

/// Its devices are assigned to it by name.
pub const HOLDS_CLAIMS: &str = "it holds resource claims (dynamic resource allocation)";
/// By which other schedulers know the pods of a gang.
const GANG_KEYS: [&str; 7] = [
    "scheduling.k8s.io/group-name",
    "scheduling.x-k8s.io/pod-group",
    "pod-group.scheduling.sigs.k8s.io",
    "gang.scheduling.koordinator.sh/name",
    "yunikorn.apache.org/task-group-name",
    "leaderworkerset.sigs.k8s.io/name",
    "pod-group-name",
];

/// The name of the gang that another scheduler knows a pod by.
pub fn gang(metadata: &Metadata) -> Option<String> {
    GANG_KEYS.iter().find_map(|key| metadata.annotations.get(*key).or(metadata.labels.get(*key)).cloned())
}

/// The first reason that applies.
pub fn reason(metadata: &Metadata, spec: &PodSpec) -> Option<&'static str> {
    let annotation = |key: &str| metadata.annotations.get(key).map(String::as_str);
    let controller = metadata.owner_references.iter().find(|owner| owner.controller);
    let is_mirror = annotation("kubernetes.io/config.mirror").is_some();
    if metadata.deletion_timestamp.is_some() {
        return Some("it is being deleted");
    }
    let waits = spec.node_name.is_empty();
    match controller.map(|owner| owner.kind.as_str()) {
        _ if is_mirror => return Some("static pod"),
        Some("Node") => return Some("static pod"),
        Some("DaemonSet") => return Some("daemon set"),
        None if !waits => return Some("no controller would start it again"),
        None | Some(_) => {}
    }
    let says = |key: &str, value: &str| annotation(key) == Some(value);
    let keeps = says("karpenter.sh/do-not-disrupt", "true")
        || says("karpenter.sh/do-not-evict", "true")
        || says("cluster-autoscaler.kubernetes.io/safe-to-evict", "false")
        || says("scheduling.koordinator.sh/eviction-cost", "2147483647")
        || annotation("descheduler.alpha.kubernetes.io/prefer-no-eviction").is_some();
    // What has not started is not disrupted.
    if keeps && !waits {
        return Some("an annotation asks not to disrupt it");
    }
    if !spec.scheduling_gates.is_empty() {
        return Some("scheduling gates hold it back");
    }
    if spec.scheduling_group.is_some() || spec.workload_ref.is_some() {
        return Some("it is scheduled together with its pod group");
    }
    if !spec.resource_claims.is_empty() {
        return Some(HOLDS_CLAIMS);
    }
    if spec.volumes.iter().any(|volume| volume.host_path.is_some()) {
        return Some("local volume: hostPath");
    }
    if spec.volumes.iter().any(|volume| volume.ephemeral.is_some()) {
        return Some("generic ephemeral volume: its claim ends with the pod");
    }
    let mut containers = spec.containers.iter().chain(&spec.init_containers);
    let has_port = |container: &Container| container.ports.iter().any(|port| port.host_port > 0 || spec.host_network);
    if containers.clone().any(has_port) {
        return Some(if waits { "it needs a port of its node" } else { "it listens on a port of its node" });
    }
    let wants_part = |container: &Container| {
        let names = container.resources.requests.keys().chain(container.resources.limits.keys());
        names.into_iter().any(|name| DEVICE_PARTS.iter().any(|part| name.contains(part)))
    };
    if containers.any(wants_part) {
        return Some("it holds a part of a device, which its scheduler assigns");
    }
    None
}
