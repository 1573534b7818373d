//! Does a Kubernetes cluster come in as it is, and does a plan go out as Kubernetes takes it? Each quirk, mutations, scripts.

#[path = "kubernetes/commands.rs"]
mod commands;
mod common;
#[path = "kubernetes/mutations.rs"]
mod mutations;
#[path = "kubernetes/nodes_and_pods.rs"]
mod nodes_and_pods;
#[path = "kubernetes/rules.rs"]
mod rules;
#[path = "kubernetes/script.rs"]
mod script;

use bayplan::adapter::kubernetes::{self, Options};
use bayplan::adapter::notes::{Document, Fate, Imported, Refused, Stream};
use bayplan::model::{Faults, GroupSpec, Problem, TaskSpec};
use common::rng;
use serde_json::{Value, json};

/// A node with 8 cores, 16 GiB and 110 slots, its name as hostname, and a zone.
fn node(name: &str, zone: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": name, "uid": format!("uid-{name}"),
            "labels": {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone}
        },
        "spec": {},
        "status": {
            "allocatable": {"cpu": "8", "memory": "16Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True"}]
        }
    })
}

/// A pod of the ReplicaSet `APP-1` with the label `app`, in the namespace `shop`; it waits where `on` is empty.
fn pod(name: &str, app: &str, on: &str) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": "shop", "uid": format!("uid-{name}"), "labels": {"app": app},
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{app}-1"), "uid": format!("uid-{app}"), "controller": true}
            ]
        },
        "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}}], "priority": 0},
        "status": {"phase": if on.is_empty() { "Pending" } else { "Running" }}
    });
    if !on.is_empty() {
        pod["spec"]["nodeName"] = json!(on);
    }
    pod
}

/// A value with some of its fields set: `("/spec/nodeName", json!("n1"))`.
fn with(mut value: Value, changes: &[(&str, Value)]) -> Value {
    for (path, new) in changes {
        let (parent, name) = path.rsplit_once('/').expect("paths begin with a slash");
        let mut at = &mut value;
        for step in parent.split('/').skip(1) {
            at = match step.parse::<usize>() {
                Ok(index) => &mut at[index],
                Err(_) => &mut at[step.replace("~1", "/")],
            };
        }
        at[name.replace("~1", "/")] = new.clone();
    }
    value
}

fn document(items: &[Value]) -> Document {
    let list = json!({"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}});
    Document { name: "list.json".to_string(), bytes: serde_json::to_vec_pretty(&list).unwrap() }
}

fn import(documents: &[Document], options: &Options) -> Result<Imported, Faults> {
    kubernetes::import(documents.iter().map(Stream::from), options).map_err(|refused| match refused {
        Refused::Faulty(faults) => faults,
        Refused::Unreadable { cause, .. } => panic!("{cause}"),
    })
}

/// What these objects become; it is always a problem without faults.
fn imported(items: &[Value]) -> Imported {
    imported_with(items, Options::default())
}

fn imported_with(items: &[Value], options: Options) -> Imported {
    let imported = import(&[document(items)], &options).unwrap_or_else(|faults| panic!("{faults}"));
    Problem::new(&imported.snapshot).unwrap_or_else(|faults| panic!("{faults}"));
    imported
}

impl Seen for Imported {
    fn task(&self, name: &str) -> &TaskSpec {
        self.snapshot
            .tasks
            .iter()
            .find(|task| task.name == format!("shop/{name}"))
            .unwrap_or_else(|| panic!("no task {name}"))
    }

    fn group(&self, app: &str) -> &GroupSpec {
        let name = format!("shop/ReplicaSet/{app}-1");
        self.snapshot.groups.iter().find(|group| group.name == name).unwrap_or_else(|| panic!("no group {app}"))
    }

    fn told(&self, fate: Fate, words: &str) -> u64 {
        let found = self.notes.lines().filter(|(known, what, _)| *known == fate && what.contains(words));
        found.map(|(.., count)| count).sum()
    }

    /// Names of the nodes that the selector of a task accepts.
    fn nodes_of(&self, name: &str) -> Vec<&str> {
        let task = self.task(name);
        let accepts = |node: &&bayplan::model::NodeSpec| {
            task.selector.iter().all(|(key, values)| node.labels.get(key).is_some_and(|value| values.contains(value)))
        };
        self.snapshot.nodes.iter().filter(accepts).map(|node| node.name.as_str()).collect()
    }

    fn pinned(&self, name: &str) -> &str {
        let task = self.task(name);
        assert_eq!(task.pinned, task.origin.contains_key("pinned"), "{name}");
        task.origin.get("pinned").map_or("", String::as_str)
    }
}

/// What tests look for in a snapshot.
trait Seen {
    fn task(&self, name: &str) -> &TaskSpec;
    fn group(&self, app: &str) -> &GroupSpec;
    fn told(&self, fate: Fate, words: &str) -> u64;
    fn nodes_of(&self, name: &str) -> Vec<&str>;
    fn pinned(&self, name: &str) -> &str;
}
