//! What does Nova say of a server, its flavor and its server group?

use super::Placed;
use crate::adapter::notes::{Fate, Notes};
use crate::adapter::record::{Kind, Record, figure, whole};
use crate::model::*;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// Fields without bearing on where a server may run.
const IRRELEVANT: [&str; 33] = [
    "OS-DCF:diskConfig",
    "OS-EXT-SRV-ATTR:hostname",
    "OS-EXT-SRV-ATTR:instance_name",
    "OS-EXT-SRV-ATTR:kernel_id",
    "OS-EXT-SRV-ATTR:launch_index",
    "OS-EXT-SRV-ATTR:ramdisk_id",
    "OS-EXT-SRV-ATTR:reservation_id",
    "OS-EXT-SRV-ATTR:root_device_name",
    "OS-EXT-SRV-ATTR:user_data",
    "OS-EXT-STS:power_state",
    "OS-SRV-USG:launched_at",
    "OS-SRV-USG:terminated_at",
    "accessIPv4",
    "accessIPv6",
    "addresses",
    "config_drive",
    "created",
    "description",
    "hostId",
    "host_status",
    "key_name",
    "links",
    "metadata",
    "os-extended-volumes:volumes_attached",
    "progress",
    "security_groups",
    "server_groups",
    "tags",
    "trusted_image_certificates",
    "updated",
    "user_id",
    "locked_reason",
    "fault",
];

/// Sizes by flavor id.
pub struct Flavors(HashMap<String, Flavor>);

/// What a flavor asks for.
#[derive(Debug, Clone, Default)]
struct Flavor {
    vcpus: i64,
    ram: i64,
    /// Root disk, which a server that boots from a volume does not use.
    root: i64,
    /// Other disks.
    disk: i64,
    specs: BTreeMap<String, String>,
}

impl Flavor {
    fn read(value: &Value, place: &str, faults: &mut Faults) -> Flavor {
        let mut amount = |names: &[&str]| {
            let value = names.iter().find_map(|name| value.get(name));
            figure(value, || format!("{place}, flavor.{}", names[0]), faults).unwrap_or(0).min(AMOUNT_MAX)
        };
        let [vcpus, ram, root] = ["vcpus", "ram", "disk"].map(|name| amount(&[name]));
        let ephemeral = amount(&["ephemeral", "OS-FLV-EXT-DATA:ephemeral"]);
        // Swap is in MiB, everything else of the disk in GiB.
        let disk = ephemeral + (amount(&["swap"]) + 1023) / 1024;
        let specs = value.get("extra_specs").and_then(Value::as_object).into_iter().flatten();
        let specs = specs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_string()))).collect();
        Flavor { vcpus, ram, root, disk, specs }
    }
}

impl Flavors {
    /// From `/flavors/detail`.
    pub fn read(list: &[Placed], faults: &mut Faults) -> Flavors {
        let id = |value: &Value| value.get("id").and_then(Value::as_str).map(String::from);
        Flavors(
            list.iter().filter_map(|(place, value)| Some((id(value)?, Flavor::read(value, place, faults)))).collect(),
        )
    }
}

/// A server group whose policy matters.
#[derive(Debug)]
pub struct ServerGroup {
    /// Unique name.
    pub name: String,
    /// Ids of its servers.
    pub members: Vec<String>,
    /// Anti-affinity; otherwise affinity.
    pub keeps_apart: bool,
}

impl ServerGroup {
    /// From `/os-server-groups`.
    pub fn read(list: &[Placed], notes: &mut Notes) -> Vec<ServerGroup> {
        let mut groups = Vec::new();
        for (_, value) in list {
            let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_string();
            // `policy` since 2.64, a list `policies` before.
            let policies = value.get("policies").and_then(Value::as_array).into_iter().flatten();
            let policy = policies.filter_map(Value::as_str).map(String::from).next().unwrap_or_else(|| text("policy"));
            let members = value.get("members").and_then(Value::as_array).into_iter().flatten();
            let members = members.filter_map(Value::as_str).map(String::from).collect();
            let name = format!("{} {}", text("name"), text("id"));
            match policy.as_str() {
                "anti-affinity" => {
                    let most =
                        value.pointer("/rules/max_server_per_host").and_then(|v| whole(v).ok().flatten()).unwrap_or(1);
                    if most > 1 {
                        notes.add(
                            Fate::Stricter,
                            "server groups with max_server_per_host: no further two come together",
                        );
                    }
                    groups.push(ServerGroup { name, members, keeps_apart: true });
                }
                "affinity" => groups.push(ServerGroup { name, members, keeps_apart: false }),
                other => notes.add(Fate::LeftOut, &format!("server groups with policy {other:?}, which only prefers")),
            }
        }
        groups
    }
}

/// A server as it matters here.
#[derive(Debug)]
pub struct Server {
    /// Its UUID.
    pub id: String,
    /// Its name, which others may have too.
    pub name: String,
    /// Names of the hypervisor and host it is on; empty texts while it is on none.
    pub hosts: [String; 2],
    /// By resource class.
    pub requirement: BTreeMap<String, i64>,
    zone: String,
    /// Project.
    tenant: String,
    specs: BTreeMap<String, String>,
    /// Why it may not move.
    pinned: Option<String>,
}

impl Server {
    /// From `/servers/detail`.
    pub fn read(list: &[Placed], flavors: &Flavors, notes: &mut Notes, faults: &mut Faults) -> Vec<Server> {
        let kind = Kind::new("servers");
        let mut servers = Vec::new();
        for (place, value) in list {
            if let Some(record) = kind.record(value, place.clone(), faults) {
                servers.extend(Server::of(&record, flavors, notes, faults));
            }
        }
        kind.count_rest(list.iter().map(|(_, value)| value), &IRRELEVANT, notes);
        servers
    }

    fn of(record: &Record<'_>, flavors: &Flavors, notes: &mut Notes, faults: &mut Faults) -> Option<Server> {
        // Nova (2.69 or later) lists little more than the ids of those that it cannot ask about.
        let Some(inside) = record.get("flavor") else {
            notes.add(Fate::LeftOut, "servers of a cell that does not answer");
            return None;
        };
        let id = inside.get("id").and_then(Value::as_str).unwrap_or_default();
        let flavor = match inside.get("vcpus") {
            Some(_) => Flavor::read(inside, &record.place, faults),
            None => flavors.0.get(id).cloned().unwrap_or_else(|| {
                let remedy = "add /flavors/detail, or ask for servers with microversion 2.47 or later";
                faults.add("I301", &record.place, format!("its flavor {id:?} is not among the flavors"), remedy);
                Flavor::default()
            }),
        };
        let pinned = pinned(record, &flavor);
        if let Some(why) = &pinned {
            notes.add(Fate::Pinned, &format!("servers: {why}"));
        }
        let wanted = record.text("pinned_availability_zone");
        let zone = if wanted.is_empty() { record.text("OS-EXT-AZ:availability_zone") } else { wanted };
        // An image that is an empty text means that it boots from a volume.
        let boots_from_volume = record.get("image").is_some_and(|image| image.as_str() == Some(""));
        record.text("OS-EXT-STS:vm_state");
        Some(Server {
            id: record.text("id"),
            tenant: record.text("tenant_id"),
            name: record.text("name"),
            hosts: [record.text("OS-EXT-SRV-ATTR:hypervisor_hostname"), record.text("OS-EXT-SRV-ATTR:host")],
            requirement: requirement(&flavor, boots_from_volume),
            zone,
            pinned,
            specs: flavor.specs,
        })
    }

    /// As a task on the node where it is.
    pub fn task(
        &self,
        node: &NodeSpec,
        is_only: bool,
        group: Option<&ServerGroup>,
        has_zones: bool,
        notes: &mut Notes,
    ) -> TaskSpec {
        let mut selector = BTreeMap::new();
        let mut ask = |label: String, value: &str| selector.insert(label, vec![value.to_string()]);
        for (key, value) in &self.specs {
            match key.strip_prefix("trait:").filter(|_| ["required", "forbidden"].contains(&value.as_str())) {
                Some(name) if value == "required" => drop(ask(format!("trait/{name}"), "yes")),
                Some(name) => drop(ask(format!("not-trait/{name}"), "yes")),
                None if key.starts_with("resources:") || key == "hw:cpu_policy" => {}
                None => notes.add(Fate::LeftOut, &format!("extra spec {key} of flavors of servers")),
            }
        }
        if has_zones && !self.zone.is_empty() {
            ask("zone".into(), &self.zone);
        }
        let mut pinned = self.pinned.clone();
        if pinned.is_none() && group.is_some_and(|group| !group.keeps_apart) {
            pinned = Some("it is in an affinity group, which nothing moves together".into());
            notes.add(Fate::Pinned, "servers of affinity groups, which nothing moves together");
        }
        let mut origin = BTreeMap::from([("server_id".to_string(), self.id.clone())]);
        origin.extend(pinned.iter().map(|why| ("pinned".to_string(), why.clone())));
        TaskSpec {
            name: if is_only && !self.name.is_empty() {
                self.name.clone()
            } else {
                format!("{}.{}", self.name, self.id)
            },
            kind: TaskKind::Vm,
            weight: 1,
            requirement: self.requirement.clone(),
            placement: vec![PieceSpec { node: node.name.clone(), ..PieceSpec::default() }],
            pinned: pinned.is_some(),
            move_cost: 1,
            tenant: Some(self.tenant.clone()).filter(|tenant| !tenant.is_empty()),
            group: group.filter(|group| group.keeps_apart).map(|group| group.name.clone()),
            selector,
            origin,
            ..TaskSpec::default()
        }
    }
}

/// By resource class, as Nova asks Placement for it.
fn requirement(flavor: &Flavor, boots_from_volume: bool) -> BTreeMap<String, i64> {
    let cpu =
        if flavor.specs.get("hw:cpu_policy").is_some_and(|policy| policy == "dedicated") { "PCPU" } else { "VCPU" };
    let disk = flavor.disk + if boots_from_volume { 0 } else { flavor.root };
    let amounts = [(cpu, flavor.vcpus), ("MEMORY_MB", flavor.ram), ("DISK_GB", disk)];
    let mut requirement: BTreeMap<String, i64> = amounts.map(|(class, amount)| (class.to_string(), amount)).into();
    for (key, value) in &flavor.specs {
        if let (Some(class), Ok(amount)) = (key.strip_prefix("resources:"), value.parse::<i64>()) {
            requirement.insert(class.to_string(), amount.clamp(0, AMOUNT_MAX));
        }
    }
    requirement.retain(|_, amount| *amount > 0);
    requirement
}

/// Why a server may not move, if so.
fn pinned(record: &Record<'_>, flavor: &Flavor) -> Option<String> {
    let (status, under_way) = (record.text("status"), record.text("OS-EXT-STS:task_state"));
    if !under_way.is_empty() && under_way != "None" {
        return Some("something is under way with it".into());
    }
    if !["ACTIVE", "PAUSED"].contains(&status.as_str()) {
        return Some(format!("its status is {status}, and only running servers move live"));
    }
    if record.flag("locked") {
        return Some("it is locked".into());
    }
    // Requests may come in groups: `resources1:VGPU`.
    let is_gpu = |class: &str| class.starts_with("VGPU") || class.starts_with("PGPU");
    let holds = |key: &String| match key.split_once(':') {
        Some(("pci_passthrough", _) | ("accel", "device_profile")) => true,
        Some((group, class)) => group.starts_with("resources") && is_gpu(class),
        None => false,
    };
    flavor.specs.keys().any(holds).then(|| "it holds a device of its host".into())
}

/// Labels for traits that a task must not meet.
pub fn mark_forbidden(nodes: &mut [NodeSpec], tasks: &[TaskSpec]) {
    let labels = tasks.iter().flat_map(|task| task.selector.keys());
    let forbidden: std::collections::BTreeSet<&String> =
        labels.filter(|label| label.starts_with("not-trait/")).collect();
    for node in nodes {
        for label in &forbidden {
            if !node.labels.contains_key(label.trim_start_matches("not-")) {
                node.labels.insert(label.to_string(), "yes".into());
            }
        }
    }
}
