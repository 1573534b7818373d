//! What does Nova say of a server and its server group?

use super::Placed;
use super::flavor::{Asked, Flavor, Flavors, asked};
use super::sharing::Sharing;
use crate::adapter::notes::{Fate, Notes};
use crate::adapter::record::{Kind, Record, figure};
use crate::model::*;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Fields without bearing on where a server may run.
const IRRELEVANT: [&str; 32] = [
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
    "tags",
    "trusted_image_certificates",
    "updated",
    "user_id",
    "locked_reason",
    "fault",
];

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
    /// From `/os-server-groups`; and the ids of all of them, those without a rule too.
    pub fn read(list: &[Placed], notes: &mut Notes, faults: &mut Faults) -> (Vec<ServerGroup>, BTreeSet<String>) {
        let (mut groups, mut ids) = (Vec::new(), BTreeSet::new());
        let kind = Kind::new("server groups");
        for (place, value) in list {
            let Some(record) = kind.record(value, place.clone(), faults) else { continue };
            // `policy` since 2.64, a list `policies` before.
            let policy = record.text_list("policies").into_iter().next().unwrap_or_else(|| record.text("policy"));
            let members = record.text_list("members");
            if record.get("members").is_none() {
                faults.add("I301", place, "it has no list of its members", "give the answer of the API as it is");
            }
            let name = format!("{} {}", record.text("name"), record.text("id"));
            ids.insert(record.text("id"));
            match policy.as_str() {
                "anti-affinity" => {
                    let most = record.inner(&["rules", "max_server_per_host"]);
                    let place = || format!("{place}, rules.max_server_per_host");
                    if figure(most, place, faults).unwrap_or(1) > 1 {
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
        kind.check(faults);
        (groups, ids)
    }
}

/// Where a node says that its hypervisor does not answer.
pub const DOWN: &str = "down";

/// A server as it matters here.
#[derive(Debug)]
pub struct Server {
    /// Its UUID.
    pub id: String,
    /// Its name, which others may have too.
    pub name: String,
    /// Names of the hypervisor and host it is on; empty texts while it is on none.
    pub hosts: [String; 2],
    /// What it asks of its host.
    pub asked: Asked,
    zone: String,
    /// Project.
    tenant: String,
    /// Ids of the server groups that it names.
    groups: Vec<String>,
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
        kind.count_rest(list.iter().map(|(_, value)| value), &IRRELEVANT, notes, faults);
        servers
    }

    fn of(record: &Record<'_>, flavors: &Flavors, notes: &mut Notes, faults: &mut Faults) -> Option<Server> {
        // Nova (2.69 or later) lists little more than the ids of those that it cannot ask about.
        let Some(inside) = record.part("flavor") else {
            notes.add(Fate::LeftOut, "servers of a cell that does not answer");
            return None;
        };
        let id = inside.text("id");
        // One that is asked for inside of its server has no id.
        let flavor = match id.is_empty() || inside.get("vcpus").is_some() {
            true => Flavor::read(&inside, faults),
            false => flavors.get(&id).unwrap_or_else(|| {
                let remedy = "add /flavors/detail, or ask for servers with microversion 2.47 or later";
                faults.add("I301", &record.place, format!("its flavor {id:?} is not among the flavors"), remedy);
                Flavor::default()
            }),
        };
        if !flavor.has_specs {
            notes.add(
                Fate::LeftOut,
                "extra specs of flavors of servers: older than microversion 2.61, or hidden from the account",
            );
        }
        // An image that is an empty text means that it boots from a volume.
        let boots_from_volume = record.get("image") == Some(&json!(""));
        let image = record.part("image");
        if image.as_ref().is_none_or(|image| image.get("properties").is_none()) {
            notes.add(Fate::LeftOut, "properties of images of servers: from a volume, or older than microversion 2.98");
        }
        let properties = image.map_or(Vec::new(), |image| image.texts_by_name("properties"));
        let properties = properties.into_iter().map(|(name, text)| (name.clone(), text)).collect();
        let mut asked = asked(&flavor, &properties, boots_from_volume, notes);
        if asked.requirement.contains_key("PCPU") {
            notes.add(
                Fate::LeftOut,
                "that dedicated CPUs of a server are of one cell of memory, which nothing tells of hosts",
            );
        }
        let groups = hints(record, &mut asked);
        let wanted = record.text("pinned_availability_zone");
        let zone = if wanted.is_empty() { record.text("OS-EXT-AZ:availability_zone") } else { wanted };
        record.text("OS-EXT-STS:vm_state");
        Some(Server {
            id: record.id("id", faults),
            tenant: record.text("tenant_id"),
            name: record.text("name"),
            hosts: [record.text("OS-EXT-SRV-ATTR:hypervisor_hostname"), record.text("OS-EXT-SRV-ATTR:host")],
            zone,
            groups,
            pinned: pinned(record, faults).or(asked.bound.take()),
            asked,
        })
    }

    /// The first reason, in a fixed order, why it may not leave the node where it is.
    fn stays(&self, node: &NodeSpec, group: Option<&ServerGroup>, around: &Around<'_>) -> Option<String> {
        if self.pinned.is_some() {
            return self.pinned.clone();
        }
        if node.origin.contains_key(DOWN) {
            return Some("its hypervisor is down: nobody there could migrate it".into());
        }
        if group.is_some_and(|group| !group.keeps_apart) {
            return Some("it is in an affinity group, which nothing moves together".into());
        }
        if group.is_none() && self.groups.iter().any(|id| !around.groups.contains(id)) {
            return Some("it is in a server group that is not in the list of them".into());
        }
        let lacks = |class: &&String| !node.allocatable.contains_key(*class) && !around.sharing.has(node, class);
        if let Some(class) = self.asked.requirement.keys().find(lacks) {
            return Some(format!("nothing says that its hypervisor has {class}, which it holds"));
        }
        if !self.asked.traits.is_empty() && !around.traited.contains(&node.name) {
            return Some("nothing says which traits its hypervisor has, and its flavor or image asks for some".into());
        }
        let is_there = node.labels.contains_key("trait/HW_CPU_HYPERTHREADING");
        let asks = self.asked.traits.get("HW_CPU_HYPERTHREADING").filter(|_| self.asked.has_thread_policy);
        asks.is_some_and(|asks| *asks != is_there)
            .then(|| "its policy for threads of CPUs is not that of its hypervisor".to_string())
    }

    /// As a task on the node where it is.
    pub fn task(
        &self,
        node: &NodeSpec,
        is_only: bool,
        group: Option<&ServerGroup>,
        around: &Around<'_>,
        notes: &mut Notes,
    ) -> TaskSpec {
        let pinned = self.stays(node, group, around);
        pinned.iter().for_each(|why| notes.add(Fate::Pinned, &format!("servers: {why}")));
        let mut selector = BTreeMap::new();
        let mut ask = |label: String, value: &str| selector.insert(label, vec![value.to_string()]);
        for (name, is_required) in &self.asked.traits {
            let is_there = node.labels.contains_key(&format!("trait/{name}"));
            // Who stays where it is not known to be right breaks no rule that a plan could mend.
            if pinned.is_none() || around.traited.contains(&node.name) && is_there == *is_required {
                ask(format!("{}/{name}", if *is_required { "trait" } else { "not-trait" }), "yes");
            }
        }
        match around.has_zones {
            true if self.zone.is_empty() => notes.add(Fate::LeftOut, "zones of servers, which say none"),
            true => _ = ask("zone".into(), &self.zone),
            false => {}
        }
        for label in super::KINDS {
            node.labels.get(label).into_iter().for_each(|kind| drop(ask(label.into(), kind)));
        }
        let mut requirement = self.asked.requirement.clone();
        for (label, place) in around.sharing.take(node, &mut requirement) {
            ask(label, &place);
        }
        // What it holds of a nested provider, or nobody knows of whom, is not its node's.
        requirement.retain(|class, _| {
            let is_of_node = pinned.is_none() || node.allocatable.contains_key(class);
            if !is_of_node {
                notes.add(
                    Fate::LeftOut,
                    &format!("{class} that servers hold, of which their hypervisor has no inventory"),
                );
            }
            is_of_node
        });
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
            requirement,
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

/// What a server was told to stay near, or away from, when it was made (2.100); the server groups that it names, there or by
/// themselves (2.71).
fn hints(record: &Record<'_>, asked: &mut Asked) -> Vec<String> {
    let mut groups = record.words("server_groups");
    let hints = record.part("scheduler_hints");
    for (hints, key) in hints.iter().flat_map(|hints| hints.names().map(move |key| (hints, key))) {
        match key.as_str() {
            "group" => groups.extend(hints.words("group")),
            _ => _ = asked.bound.get_or_insert(format!("its scheduler hint {key} holds wherever it goes")),
        }
    }
    groups
}

/// What there is beside a server.
pub struct Around<'a> {
    /// Ids of all server groups.
    pub groups: &'a BTreeSet<String>,
    /// Names of the nodes whose traits are known.
    pub traited: &'a BTreeSet<String>,
    /// What nodes share.
    pub sharing: &'a Sharing,
    /// Some node says in which zone it is.
    pub has_zones: bool,
}

/// Why a server may not move, by its own state.
fn pinned(record: &Record<'_>, faults: &mut Faults) -> Option<String> {
    let is_locked = record.truth("locked", faults);
    let (status, under_way) = (record.text("status"), record.text("OS-EXT-STS:task_state"));
    if !under_way.is_empty() && under_way != "None" {
        return Some("something is under way with it".into());
    }
    if !["ACTIVE", "PAUSED"].contains(&status.as_str()) {
        return Some(format!("its status is {status}, and only running servers move live"));
    }
    is_locked.then(|| "it is locked".into())
}

/// Labels for traits that a task must not meet, on nodes that are known not to have them.
pub fn mark_forbidden(nodes: &mut [NodeSpec], tasks: &[TaskSpec], traited: &BTreeSet<String>) {
    let labels = tasks.iter().flat_map(|task| task.selector.keys());
    let forbidden: BTreeSet<&String> = labels.filter(|label| label.starts_with("not-trait/")).collect();
    for node in nodes.iter_mut().filter(|node| traited.contains(&node.name)) {
        for label in &forbidden {
            if !node.labels.contains_key(label.trim_start_matches("not-")) {
                node.labels.insert(label.to_string(), "yes".into());
            }
        }
    }
}
