//! How long does a cluster of the size that Kubernetes supports take to come in, and how much memory?
//!
//! `cargo bench --bench kubernetes -- --nodes 5000 --pods 150000`. The List is made here, indented as kubectl prints it, with
//! the fields that pods have in a cluster (probes, environment, volumes, status), and `bayplan import kubernetes` reads it from a
//! file: told are its wall and CPU time and its peak of memory. At the full size it must stay below 15 s of processor time and 2 GiB.

mod common;

use bayplan::file::read_snapshot;
use common::{Arguments, bayplan};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::time::Duration;

const ZONES: [&str; 3] = ["a", "b", "c"];
/// Pods of a workload.
const REPLICAS: usize = 30;

/// The List as text; written piece by piece, since a tree of it would need more memory than the import.
fn list(nodes: usize, pods: usize) -> String {
    let mut text = String::from("{\n    \"apiVersion\": \"v1\",\n    \"items\": [\n");
    let indented = |value: Value| {
        let mut text = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
        let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
        serde::Serialize::serialize(&value, &mut serializer).expect("JSON serialises");
        String::from_utf8(text).expect("JSON is UTF-8").replace('\n', "\n        ")
    };
    let mut push = |value: Value| {
        let comma = if text.ends_with('}') { ",\n" } else { "" };
        let _ = write!(text, "{comma}        {}", indented(value));
    };
    (0..nodes).for_each(|n| push(node(n)));
    (0..pods).for_each(|p| push(pod(p, nodes)));
    (0..pods.div_ceil(REPLICAS)).filter(|w| w % 3 == 0).for_each(|w| push(budget(w)));
    text.push_str(
        "\n    ],\n    \"kind\": \"List\",\n    \"metadata\": {\n        \"resourceVersion\": \"\"\n    }\n}\n",
    );
    text
}

fn node(n: usize) -> Value {
    let name = format!("node-{n:05}");
    let amounts = json!({"cpu": "31850m", "ephemeral-storage": "95551679124", "memory": "123456789Ki", "pods": "110"});
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": name, "uid": format!("{n:08x}-0000-4000-8000-000000000000"), "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {
                "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
                "topology.kubernetes.io/zone": ZONES[n % 3], "topology.kubernetes.io/region": "north", "pool": format!("pool-{}", n % 7)
            }
        },
        "spec": {"podCIDR": "10.0.0.0/24", "providerID": format!("cloud:///{name}")},
        "status": {
            "allocatable": amounts, "capacity": amounts, "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
            "conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": "True"}],
            "images": (0..20).map(|i| json!({"names": [format!("registry/app-{i}:1.0")], "sizeBytes": 123456})).collect::<Vec<_>>(),
            "nodeInfo": {"kubeletVersion": "v1.34.1", "osImage": "Linux", "architecture": "amd64"}
        }
    })
}

fn pod(p: usize, nodes: usize) -> Value {
    let (workload, replica) = (p / REPLICAS, p % REPLICAS);
    let (app, namespace) = (format!("app-{workload}"), format!("team-{}", workload % 50));
    let term = json!({"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": "kubernetes.io/hostname"});
    let affinity = match workload % 4 {
        0 => json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}),
        _ => json!({}),
    };
    let spread = json!({
        "maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": app}}
    });
    let spread = if workload % 5 == 0 { json!([spread]) } else { json!([]) };
    let probe = json!({"httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10, "timeoutSeconds": 1});
    let environment: Vec<_> = (0..6).map(|i| json!({"name": format!("KEY_{i}"), "value": "some value"})).collect();
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let conditions: Vec<_> = ["Initialized", "Ready", "ContainersReady", "PodScheduled"].map(condition).into();
    let tolerations: Vec<_> = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]
        .map(|key| json!({"effect": "NoExecute", "key": key, "operator": "Exists", "tolerationSeconds": 300}))
        .into();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("{app}-6d4cf56db6-{replica:05}"), "namespace": namespace, "uid": format!("{p:08x}-1111-4111-8111-111111111111"),
            "labels": {"app": app, "pod-template-hash": "6d4cf56db6", "team": namespace}, "creationTimestamp": "2026-01-01T00:00:00Z",
            "annotations": {"prometheus.io/scrape": "true"},
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{app}-6d4cf56db6"), "controller": true,
                "uid": format!("{workload:08x}-2222-4222-8222-222222222222"), "blockOwnerDeletion": true
            }]
        },
        "spec": {
            "nodeName": format!("node-{:05}", (p * 7 + p / nodes) % nodes), "affinity": affinity, "topologySpreadConstraints": spread,
            "nodeSelector": {"kubernetes.io/os": "linux"}, "priority": workload % 3 * 1000, "schedulerName": "default-scheduler",
            "containers": [{
                "name": "app", "image": "registry/app:1.0", "imagePullPolicy": "IfNotPresent", "env": environment,
                "livenessProbe": probe, "readinessProbe": probe, "ports": [{"containerPort": 8080, "protocol": "TCP"}],
                "resources": {"requests": {"cpu": format!("{}m", 100 + workload % 9 * 50), "memory": "512Mi"}, "limits": {"memory": "1Gi"}},
                "volumeMounts": [{"mountPath": "/var/run/secrets", "name": "token", "readOnly": true}]
            }],
            "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "serviceAccountName": "default", "terminationGracePeriodSeconds": 30,
            "tolerations": tolerations,
            "volumes": [{"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}]
        },
        "status": {
            "phase": "Running", "podIP": "10.0.0.7", "hostIP": "10.0.0.1", "qosClass": "Burstable", "startTime": "2026-01-01T00:00:00Z",
            "conditions": conditions,
            "containerStatuses": [{
                "name": "app", "ready": true, "restartCount": 0, "image": "registry/app:1.0",
                "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
            }]
        }
    })
}

fn budget(workload: usize) -> Value {
    let name = format!("app-{workload}");
    json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": format!("team-{}", workload % 50), "generation": 1},
        "spec": {"maxUnavailable": "10%", "selector": {"matchLabels": {"app": name}}},
        "status": {"disruptionsAllowed": 3, "expectedPods": REPLICAS, "currentHealthy": REPLICAS, "observedGeneration": 1}
    })
}

fn main() {
    let arguments = Arguments::read(&["--nodes", "--pods"]);
    let (nodes, pods) = if arguments.is_bench { (5000, 150_000) } else { (20, 300) };
    let [nodes, pods] =
        [("--nodes", nodes), ("--pods", pods)].map(|(name, usual)| arguments.number(name, usual) as usize);
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let [from, to] = ["list.json", "snapshot.json"].map(|name| folder.path().join(name).display().to_string());
    let text = list(nodes, pods);
    println!("{nodes} nodes, {pods} pods: a List of {} MiB", text.len() >> 20);
    std::fs::write(&from, text).expect("room for the List");
    let cost = bayplan(&["import", "kubernetes", &from, "-o", &to]);
    let bytes = std::fs::read(&to).expect("the import succeeded");
    let snapshot = read_snapshot(&bytes).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!((snapshot.nodes.len(), snapshot.tasks.len()), (nodes, pods), "nothing is lost");
    let sum: String = Sha256::digest(&bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    println!(
        "imported: {:.1} s by the clock, {:.1} s on processors, {} MiB at the peak",
        cost.wall.as_secs_f64(),
        cost.cpu.as_secs_f64(),
        cost.peak_mib
    );
    println!("a snapshot of {} MiB, checksum {sum}", bytes.len() >> 20);
    if (nodes, pods) == (5000, 150_000) {
        assert!(cost.cpu < Duration::from_secs(15) && cost.peak_mib < 2048, "it has become slow or fat");
    }
}
