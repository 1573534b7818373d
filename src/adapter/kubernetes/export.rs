//! How is a plan carried out by Kubernetes? Objects for its API, one per line, marked with their wave.
//!
//! | form | objects | target |
//! |---|---|---|
//! | evictions | Eviction (policy/v1) | hint: the scheduler decides where the pod starts anew |
//! | reservations | Koordinator Reservation on the target, and a paused PodMigrationJob that uses it | bound |
//! | migrations | KubeVirt VirtualMachineInstanceMigration with the target as node selector | bound |
//! | bindings | Binding (v1) of waiting pods | bound |
//!
//! Wherever the API has a place for it, the uid of the pod is a precondition: a pod made anew under the same name is left alone.
//! A PodMigrationJob clears the node of a template of its own, so the Reservation is an object of its own.

use super::shell;
use super::steps::{Deed, Step, steps};
use crate::adapter::notes::{Exported, Fate, Notes};
use crate::model::{Faults, Problem, Snapshot, TaskSpec};
use crate::plan::Plan;
use serde_json::{Map, Value, json};

/// API group of Koordinator.
const KOORDINATOR: &str = "scheduling.koordinator.sh/v1alpha1";
/// How long a reservation is held and a job may take; Koordinator's own default for jobs.
const TTL: &str = "5m0s";

/// What to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A script of kubectl commands.
    Shell,
    /// Evictions.
    Evictions,
    /// Reservations and PodMigrationJobs.
    Reservations,
    /// VirtualMachineInstanceMigrations.
    Migrations,
    /// Bindings.
    Bindings,
}

impl Form {
    fn does(self, deed: Deed) -> bool {
        match self {
            Form::Shell => true,
            Form::Evictions => matches!(deed, Deed::Move | Deed::Stop),
            Form::Reservations => deed == Deed::Move,
            Form::Migrations => deed == Deed::Migrate,
            Form::Bindings => deed == Deed::Start,
        }
    }

    fn binding(self) -> &'static str {
        if self == Form::Evictions { "hint" } else { "bound" }
    }
}

/// A plan as objects or as a script; with `wave`, counted from 0, that wave alone.
///
/// A script says itself from which wave on nobody knows yet which pods it is about; objects cannot, so they are refused then.
///
/// # Errors
/// Tasks that have no names in Kubernetes, pods that move twice, and a wave that the plan does not have.
pub fn export(
    snapshot: &Snapshot,
    problem: &Problem,
    plan: &Plan,
    form: Form,
    wave: Option<usize>,
) -> Result<Exported, Faults> {
    let mut notes = Notes::default();
    let (mut list, unknown) = steps(snapshot, problem, plan, &mut notes)?;
    if form == Form::Shell {
        return Ok(Exported { text: shell::script(snapshot, plan, &list, unknown), notes });
    }
    // A plan without waves has nothing to do, and its first wave is that: whoever asks for it every night must not fail.
    let last = plan.waves.len().max(1);
    if let Some(wave) = wave.filter(|wave| *wave >= last) {
        let mut faults = Faults::new();
        let cause = format!("the plan has {} waves", plan.waves.len());
        faults.add("I306", format!("wave {}", wave + 1), cause, format!("ask for a wave from 1 to {last}"));
        return Err(faults);
    }
    if let Some(unknown) = unknown.filter(|unknown| wave.is_none_or(|wave| wave >= *unknown)) {
        let mut faults = Faults::new();
        let cause =
            format!("a pod moves a second time, under a name that nobody knows before wave {unknown} has ended");
        let remedy = format!(
            "export each wave up to {unknown} on its own (--wave 1); when it has ended, import the cluster again and plan anew"
        );
        faults.add("I305", format!("wave {}", unknown + 1), cause, remedy);
        return Err(faults);
    }
    list.retain(|step| wave.is_none_or(|wave| wave == step.wave));
    let mut text = String::new();
    for step in &list {
        if !form.does(step.deed) {
            let what = match step.deed {
                Deed::Start => "starts of waiting pods: see --as bindings",
                Deed::Move => "moves of pods: see --as reservations, or --as evictions",
                Deed::Migrate => "moves of virtual machines: see --as migrations",
                Deed::Stop => "pods that stop: see --as evictions",
            };
            notes.add(Fate::LeftOut, what);
            continue;
        }
        for object in objects(snapshot, plan, form, step) {
            text.push_str(&object.to_string());
            text.push('\n');
        }
    }
    Ok(Exported { text, notes })
}

fn objects(snapshot: &Snapshot, plan: &Plan, form: Form, step: &Step<'_>) -> Vec<Value> {
    let target = step.to.map(|node| &snapshot.nodes[node]);
    let (namespace, pod, uid) = (step.origin("namespace"), step.origin("name"), step.origin("uid"));
    let meta = |name: &str, namespace: Option<&str>| metadata(snapshot, plan, form, step, name, namespace);
    let preconditions = json!({"preconditions": {"uid": uid}});
    match form {
        Form::Shell => Vec::new(),
        Form::Evictions => vec![json!({
            "apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta(pod, Some(namespace)), "deleteOptions": preconditions
        })],
        Form::Reservations => {
            let name = format!("bayplan-{uid}");
            let template = template(step.task, &target.expect("a move has a target").name);
            let controller = json!({
                "apiVersion": step.origin("owner_api"), "kind": step.origin("owner_kind"), "name": step.origin("owner_name"),
                "uid": step.origin("owner_uid"), "controller": true, "namespace": namespace
            });
            let reference = json!({"apiVersion": KOORDINATOR, "kind": "Reservation", "name": name});
            vec![
                json!({
                    "apiVersion": KOORDINATOR, "kind": "Reservation", "metadata": meta(&name, None),
                    "spec": {"template": template, "owners": [{"controller": controller}], "ttl": TTL, "allocateOnce": true}
                }),
                json!({
                    "apiVersion": KOORDINATOR, "kind": "PodMigrationJob", "metadata": meta(&name, None),
                    "spec": {
                        "paused": true, "mode": "ReservationFirst", "ttl": TTL,
                        "podRef": {"apiVersion": "v1", "kind": "Pod", "namespace": namespace, "name": pod, "uid": uid},
                        "reservationOptions": {"reservationRef": reference}, "deleteOptions": preconditions
                    }
                }),
            ]
        }
        Form::Migrations => vec![migration(snapshot, step, meta(&migration_name(step), Some(namespace)))],
        Form::Bindings => {
            let mut meta = meta(pod, Some(namespace));
            meta["uid"] = json!(uid);
            let node = json!({"apiVersion": "v1", "kind": "Node", "name": target.expect("a start has a target").name});
            vec![json!({"apiVersion": "v1", "kind": "Binding", "metadata": meta, "target": node})]
        }
    }
}

/// A machine may move twice in a plan: each migration has a name of its own.
pub fn migration_name(step: &Step<'_>) -> String {
    format!("bayplan-{}-{}", step.origin("uid"), step.wave + 1)
}

/// A live migration to the target, known by its hostname label.
pub fn migration(snapshot: &Snapshot, step: &Step<'_>, metadata: Value) -> Value {
    let node = &snapshot.nodes[step.to.expect("a migration has a target")];
    let hostname = node.labels.get("kubernetes.io/hostname").unwrap_or(&node.name);
    json!({
        "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstanceMigration", "metadata": metadata,
        "spec": {"vmiName": step.origin("owner_name"), "addedNodeSelector": {"kubernetes.io/hostname": hostname}}
    })
}

fn metadata(
    snapshot: &Snapshot,
    plan: &Plan,
    form: Form,
    step: &Step<'_>,
    name: &str,
    namespace: Option<&str>,
) -> Value {
    let node = |index: Option<usize>| index.map(|index| json!(snapshot.nodes[index].name));
    let mut annotations = Map::new();
    annotations.insert("bayplan/snapshot".to_string(), json!(plan.fingerprint));
    annotations.insert("bayplan/reason".to_string(), json!(step.reason.word()));
    annotations.extend(node(step.from).map(|name| ("bayplan/from".to_string(), name)));
    annotations.extend(node(step.to).map(|name| ("bayplan/target".to_string(), name)));
    annotations.insert("bayplan/binding".to_string(), json!(form.binding()));
    let mut metadata = json!({"name": name});
    if let Some(namespace) = namespace {
        metadata["namespace"] = json!(namespace);
    }
    metadata["labels"] = json!({"bayplan/wave": (step.wave + 1).to_string()});
    metadata["annotations"] = Value::Object(annotations);
    metadata
}

/// A pod of the same size on the target: all that a reservation needs to know.
fn template(task: &TaskSpec, node: &str) -> Value {
    let mut requests = Map::new();
    let mut limits = Map::new();
    for (name, amount) in task.requirement.iter().filter(|(name, _)| *name != "pods") {
        let quantity = format!("{amount}{}", suffix(name));
        // Pieces of hardware and huge pages cannot be overcommitted: the API wants the limit to be the request.
        if name.contains('/') || name.starts_with("hugepages-") {
            limits.insert(name.clone(), json!(quantity));
        }
        requests.insert(name.clone(), json!(quantity));
    }
    if let Some(device) = &task.device {
        let name = if device.kind == "gpu" { "nvidia.com/gpu" } else { device.kind.as_str() };
        limits.insert(name.to_string(), json!(device.count.to_string()));
        requests.insert(name.to_string(), json!(device.count.to_string()));
    }
    let tolerations = task.tolerations.iter().map(|toleration| {
        let (key, effect) = match toleration.key.as_deref().unwrap_or("") {
            key if key.ends_with(":NoExecute") => (key.trim_end_matches(":NoExecute"), "NoExecute"),
            key => (key, "NoSchedule"),
        };
        json!({"key": key, "operator": "Equal", "value": toleration.value, "effect": effect})
    });
    json!({"spec": {
        "nodeName": node, "schedulerName": "koord-scheduler", "tolerations": tolerations.collect::<Vec<_>>(),
        "containers": [{"name": "reserved", "image": "none", "resources": {"requests": requests, "limits": limits}}]
    }})
}

fn suffix(resource: &str) -> &'static str {
    match super::pod::unit(resource) {
        "milli" => "m",
        "MiB" => "Mi",
        _ => "",
    }
}
