//! OpenStack: servers, hypervisors and Placement's inventories in, live migrations out.
//!
//! `import` reads documents of the Compute API (2.53 or later) and of Placement, in any order and number:
//!
//! | request | use |
//! |---|---|
//! | `GET /servers/detail?all_tenants=1` | tasks; the flavor inside (2.47) or the one of `/flavors/detail` |
//! | `GET /os-hypervisors/detail` | nodes: name, host, state; totals (2.87 or older) only where there is no inventory |
//! | `GET /flavors/detail`, `/os-server-groups?all_projects=1`, `/os-services` | sizes; rules; zones |
//! | `GET /resource_providers` | which provider is which hypervisor |
//! | `GET /resource_providers/UUID/inventories`, `/usages`, `/traits`, `/aggregates` | capacity, what is in use, traits, who shares an inventory. These do not say whose they are: name the file after the UUID, or wrap them as `{"UUID": {…}}` |
//!
//! A list may come in pages; the last one must be there. That of server groups does not say that it goes on: one that is as long as
//! a page can be is taken for one.
//!
//! Capacity is (total − reserved) × allocation_ratio. Only an active server with nothing under way may move; every other one
//! holds its place. A server stays in its availability zone, on hypervisors of its kind, and among those that share its storage;
//! anti-affinity is a conflict on the node, and servers of an affinity group are pinned, since nothing moves them together. So is
//! who was told to stay near others, or wants of a host what no document tells (`flavor.rs`).
//!
//! Sources: openstack/nova `doc/api_samples`, openstack/placement `api-ref/source/samples`, and what Nova 34 and Placement 16 answer.

mod export;
mod flavor;
mod provider;
mod server;
mod sharing;

pub use export::export;

use super::notes::{Document, Fate, Imported, Notes};
use super::record::{Kind, values};
use crate::model::*;
use flavor::Flavors;
use provider::{Provider, Units};
use serde_json::{Map, Value};
use server::{Around, Server, ServerGroup};
use sharing::Sharing;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Lists of the Compute API that are read.
const LISTS: [&str; 5] = ["servers", "hypervisors", "flavors", "server_groups", "services"];

/// How many items Nova answers at most, unless its operator says otherwise (`max_limit`).
const PAGE: usize = 1000;

/// Labels of nodes that no server can leave behind: nothing moves live from one kind to another.
const KINDS: [&str; 2] = ["hypervisor_type", "architecture"];

/// Fields of hypervisors without bearing on placement, or of moment only.
const HYPERVISOR_IRRELEVANT: [&str; 15] = [
    "current_workload",
    "disk_available_least",
    "free_disk_gb",
    "free_ram_mb",
    "host_ip",
    "hypervisor_version",
    "id",
    "local_gb_used",
    "memory_mb_used",
    "running_vms",
    "servers",
    "uptime",
    "vcpus_used",
    "links",
    "host_time",
];

/// The documents as a snapshot.
///
/// # Errors
/// Every fault, with document and place.
pub fn import(documents: &[Document]) -> Result<Imported, Faults> {
    let (mut faults, mut notes) = (Faults::new(), Notes::default());
    let input = Input::read(documents, &mut faults);
    let flavors = Flavors::read(input.list("flavors"), &mut faults);
    let zones = zones(input.list("services"), &mut faults);
    let mut nodes = Vec::new();
    let kind = Kind::new("hypervisors");
    for (place, value) in input.list("hypervisors") {
        if let Some(record) = kind.record(value, place.clone(), &mut faults) {
            nodes.push(node(&record, &input.providers, &zones, &mut notes, &mut faults));
        }
    }
    kind.count_rest(
        input.list("hypervisors").iter().map(|(_, value)| value),
        &HYPERVISOR_IRRELEVANT,
        &mut notes,
        &mut faults,
    );
    let names: BTreeSet<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    let others = input.providers.values().filter(|provider| !names.contains(provider.name.as_str()));
    let others = others.filter(|provider| !provider.capacity.is_empty() && !sharing::is_shared(provider)).count();
    notes.add_many(
        Fate::LeftOut,
        "inventories of providers that are no hypervisor (nested ones: GPUs, network)",
        others as u64,
    );
    if !input.lists.contains_key("server_groups") {
        notes.add(Fate::LeftOut, "rules of server groups: no list of them is among the documents");
    }
    let several = input.pages.iter().filter(|(_, (count, goes_on, _))| *count > 1 && goes_on.is_some());
    for (name, (count, ..)) in several {
        let what = format!(
            "pages of the list of {name} that may be missing between two: nothing in a page says whose next it is"
        );
        notes.add_many(Fate::LeftOut, &what, count - 1);
    }
    let groups = ServerGroup::read(input.list("server_groups"), &mut notes, &mut faults);
    let servers = Server::read(input.list("servers"), &flavors, &mut notes, &mut faults);
    let listed: BTreeSet<&str> = servers.iter().map(|server| server.id.as_str()).collect();
    let members = groups.0.iter().flat_map(|group| &group.members);
    let strangers = members.filter(|member| !listed.contains(member.as_str())).count();
    notes.add_many(Fate::LeftOut, "members of server groups that are not in the list of servers", strangers as u64);
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(Imported { snapshot: assemble(nodes, servers, groups, &input.providers, &mut notes), notes })
}

/// A value and where it stands.
type Placed = (String, Value);

/// All documents, sorted by what they hold.
#[derive(Default)]
struct Input {
    lists: BTreeMap<&'static str, Vec<Placed>>,
    /// Documents of each list: how many, one that goes on elsewhere, and whether one is the last.
    pages: BTreeMap<&'static str, (u64, Option<String>, bool)>,
    providers: BTreeMap<String, Provider>,
}

impl Input {
    fn read(documents: &[Document], faults: &mut Faults) -> Input {
        let mut input = Input::default();
        let mut parts: Vec<(String, String, Value)> = Vec::new();
        for document in documents {
            for value in values(document, faults) {
                match value {
                    Value::Object(fields) => input.sort(&document.name, fields, &mut parts, faults),
                    Value::Array(items) if items.iter().any(is_of_the_command_line) => {
                        let cause = "it is a list of the openstack command, which leaves out sizes, hosts and rules";
                        faults.add("I110", &document.name, cause, ASK_THE_API);
                    }
                    _ => unknown(&document.name, faults),
                }
            }
        }
        let kind = Kind::new("answers of Placement");
        for (place, of, value) in &parts {
            let Some(record) = kind.record(value, place.clone(), faults) else { continue };
            let provider =
                input.providers.iter_mut().find(|(uuid, provider)| of.contains(uuid.as_str()) || *of == provider.name);
            match provider {
                Some((_, provider)) => provider.add(&record, faults),
                None => {
                    let remedy = "add /resource_providers, and name the file after the provider's UUID or wrap it as {\"UUID\": {…}}";
                    faults.add("I301", place, "nothing says whose inventories, usages or traits these are", remedy);
                }
            }
        }
        kind.check(faults);
        for (name, (_, goes_on, has_last)) in &input.pages {
            if let (Some(document), false) = (goes_on, has_last) {
                let (cause, remedy) = match *name {
                    "server_groups" => (
                        format!("it has as many of the {name} as a page can have, so the list may go on"),
                        format!("add those that /os-server-groups?all_projects=1&offset={PAGE} answers, be it none"),
                    ),
                    _ => (
                        format!("it is a page of the list of {name}, which goes on"),
                        format!("add the pages that {name}_links lead to, up to the one without a next"),
                    ),
                };
                faults.add("I113", document, cause, remedy);
            }
        }
        let host = ["OS-EXT-SRV-ATTR:host", "OS-EXT-SRV-ATTR:hypervisor_hostname"];
        let servers = input.list("servers");
        if let Some((place, _)) = servers.first()
            && servers.iter().all(|(_, server)| host.iter().all(|field| server.get(field).is_none()))
        {
            let remedy = "ask as an administrator for GET /servers/detail?all_tenants=1";
            faults.add("I301", place, "no server says on which host it is", remedy);
        }
        if faults.is_empty() && input.list("hypervisors").is_empty() {
            faults.add(
                "I110",
                "documents",
                "there is no hypervisor in them",
                "add what GET /os-hypervisors/detail answers",
            );
        }
        input
    }

    fn list(&self, name: &str) -> &[Placed] {
        self.lists.get(name).map_or(&[], Vec::as_slice)
    }

    fn sort(
        &mut self,
        document: &str,
        mut fields: Map<String, Value>,
        parts: &mut Vec<(String, String, Value)>,
        faults: &mut Faults,
    ) {
        let mut is_known = false;
        for name in LISTS {
            if let Some(Value::Array(items)) = fields.remove(name) {
                is_known = true;
                let links = fields.remove(&format!("{name}_links"));
                let links = links.as_ref().and_then(Value::as_array).into_iter().flatten();
                let is_full = name == "server_groups" && !items.is_empty() && items.len() % PAGE == 0;
                let goes_on = is_full || links.filter_map(|link| link.get("rel")).any(|rel| rel == "next");
                let page = self.pages.entry(name).or_default();
                page.0 += 1;
                match goes_on {
                    true => page.1 = Some(document.to_string()),
                    false => page.2 = true,
                }
                let items = items.into_iter().enumerate().map(|(i, item)| (format!("{document}, {name}[{i}]"), item));
                self.lists.entry(name).or_default().extend(items);
            }
        }
        if let Some(Value::Array(items)) = fields.get("resource_providers") {
            is_known = true;
            self.providers.extend(items.iter().filter_map(Provider::of));
        }
        if provider::is_part(&fields) {
            return parts.push((document.to_string(), document.to_string(), Value::Object(fields)));
        }
        for (of, value) in fields {
            if value.as_object().is_some_and(provider::is_part) {
                is_known = true;
                parts.push((format!("{document}, {of}"), of, value));
            }
        }
        if !is_known {
            unknown(document, faults);
        }
    }
}

/// How the answers of the API are had.
const ASK_THE_API: &str = "ask the API itself: curl -H \"X-Auth-Token: $(openstack token issue -f value -c id)\" \
    -H 'OpenStack-API-Version: compute latest' \
    \"$(openstack catalog show nova -f json | jq -r '.endpoints[0].url')/servers/detail?all_tenants=1\"";

/// Rows of `openstack … list -f json` have the titles of its columns.
fn is_of_the_command_line(item: &Value) -> bool {
    ["ID", "Name", "Hypervisor Hostname", "uuid"].iter().any(|title| item.get(title).is_some())
}

fn unknown(document: &str, faults: &mut Faults) {
    let remedy = "give the answers of the API: /servers/detail, /os-hypervisors/detail, /resource_providers …";
    faults.add("I110", document, "it holds none of the lists that are read", remedy);
}

/// Availability zone of each compute host.
fn zones(services: &[Placed], faults: &mut Faults) -> HashMap<String, String> {
    let kind = Kind::new("services");
    let records: Vec<_> =
        services.iter().filter_map(|(place, value)| kind.record(value, place.clone(), faults)).collect();
    let compute = records.iter().filter(|record| record.text("binary") == "nova-compute");
    let zones = compute.map(|record| (record.text("host"), record.text("zone"))).collect();
    kind.check(faults);
    zones
}

fn node(
    record: &super::record::Record<'_>,
    providers: &BTreeMap<String, Provider>,
    zones: &HashMap<String, String>,
    notes: &mut Notes,
    faults: &mut Faults,
) -> NodeSpec {
    let name = record.id("hypervisor_hostname", faults);
    let host = record.part("service").map(|service| service.text("host")).filter(|host| !host.is_empty());
    let host = host.unwrap_or_else(|| name.clone());
    let is_down = record.text("state") != "up";
    let mut node = NodeSpec {
        cordoned: is_down || record.text("status") != "enabled",
        origin: [("host".to_string(), host.clone())].into(),
        ..NodeSpec::default()
    };
    if is_down {
        node.origin.insert(server::DOWN.into(), "yes".into());
    }
    node.labels.insert("node".into(), name.clone());
    let architecture = record.get("cpu_info").and_then(|info| info.get("arch")).and_then(Value::as_str);
    for (label, kind) in KINDS.into_iter().zip([record.text("hypervisor_type").as_str(), architecture.unwrap_or("")]) {
        node.labels.insert(label.into(), if kind.is_empty() { "unknown" } else { kind }.into());
    }
    let mut total = |field: &'static str| record.whole(field, faults).unwrap_or(0);
    let totals = [("VCPU", total("vcpus")), ("MEMORY_MB", total("memory_mb")), ("DISK_GB", total("local_gb"))];
    match providers.iter().find(|(_, provider)| provider.name == name) {
        Some((uuid, provider)) if !provider.capacity.is_empty() => {
            node.allocatable = provider.capacity.clone();
            node.labels
                .extend(provider.traits.iter().flatten().map(|name| (format!("trait/{name}"), "yes".to_string())));
            node.origin.insert("provider".into(), uuid.clone());
            let is_told = |class: &String| provider.usages.as_ref().is_none_or(|usages| usages.contains_key(class));
            if !provider.capacity.keys().all(is_told) {
                notes.add(
                    Fate::LeftOut,
                    "what is in use on hypervisors of resource classes that their usages leave out",
                );
            }
            if provider.usages.is_none() {
                notes
                    .add(Fate::LeftOut, "what is in use on hypervisors without usages, beyond the servers of the list");
            }
        }
        _ if record.get("vcpus").is_none() => {
            let remedy = "add its inventories, or ask for hypervisors with microversion 2.87 or older";
            faults.add("I301", &record.place, "nothing says how large it is", remedy);
        }
        _ => {
            notes.add(
                Fate::Stricter,
                "hypervisors without an inventory: their totals, without overcommitment, are their capacity",
            );
            node.allocatable = totals.map(|(name, amount)| (name.to_string(), amount)).into();
        }
    }
    if let Some(zone) = zones.get(&host).filter(|zone| !zone.is_empty()) {
        node.labels.insert("zone".into(), zone.clone());
        node.domains.insert("zone".into(), zone.clone());
    }
    node.name = name;
    node
}

/// Where all nodes are of one kind, nothing needs to be said of it.
fn drop_alike(nodes: &mut [NodeSpec]) {
    for label in KINDS {
        let kinds: BTreeSet<&String> = nodes.iter().filter_map(|node| node.labels.get(label)).collect();
        if kinds.len() <= 1 {
            nodes.iter_mut().for_each(|node| _ = node.labels.remove(label));
        }
    }
}

/// Placement gives a server no part of an inventory in units that it does not come in, however much is free.
fn keep_units(nodes: &mut [NodeSpec], tasks: &mut [TaskSpec], providers: &BTreeMap<String, Provider>) {
    let units: Vec<Option<&BTreeMap<String, Units>>> = nodes
        .iter()
        .map(|node| Some(&node.origin.get("provider").and_then(|uuid| providers.get(uuid))?.units))
        .collect();
    for task in tasks.iter_mut().filter(|task| !task.pinned) {
        for (class, amount) in task.requirement.iter().filter(|(_, amount)| **amount > 0) {
            let allows = |units: &Option<&BTreeMap<String, Units>>| {
                units.and_then(|units| units.get(class)).is_none_or(|units| units.allow(*amount))
            };
            if units.iter().all(allows) {
                continue;
            }
            let label = format!("unit/{class}/{amount}");
            for (node, _) in nodes.iter_mut().zip(&units).filter(|(_, units)| allows(units)) {
                node.labels.insert(label.clone(), "yes".into());
            }
            task.selector.insert(label, vec!["yes".into()]);
        }
    }
}

fn assemble(
    mut nodes: Vec<NodeSpec>,
    servers: Vec<Server>,
    (groups, group_ids): (Vec<ServerGroup>, BTreeSet<String>),
    providers: &BTreeMap<String, Provider>,
    notes: &mut Notes,
) -> Snapshot {
    let by_host: HashMap<String, usize> = nodes
        .iter()
        .enumerate()
        .flat_map(|(i, node)| [(node.origin["host"].clone(), i), (node.name.clone(), i)])
        .collect();
    let mut names: HashMap<String, u32> = HashMap::new();
    for server in &servers {
        *names.entry(server.name.clone()).or_default() += 1;
    }
    let of_group: HashMap<&str, &ServerGroup> =
        groups.iter().flat_map(|group| group.members.iter().map(move |member| (member.as_str(), group))).collect();
    let has_zones = nodes.iter().any(|node| node.labels.contains_key("zone"));
    drop_alike(&mut nodes);
    let sharing = Sharing::new(&mut nodes, providers, notes);
    let known = providers.values().filter(|provider| provider.traits.is_some());
    let traited: BTreeSet<String> = known.map(|provider| provider.name.clone()).collect();
    let around = Around { groups: &group_ids, traited: &traited, sharing: &sharing, has_zones };
    let mut used: Vec<BTreeMap<String, i64>> = vec![BTreeMap::new(); nodes.len()];
    let mut tasks = Vec::new();
    for server in &servers {
        let Some(n) = server.hosts.iter().find_map(|host| by_host.get(host)).copied() else {
            notes.add(Fate::LeftOut, "servers that are on no hypervisor of the list");
            continue;
        };
        for (name, amount) in &server.asked.requirement {
            let sum = used[n].entry(name.clone()).or_default();
            *sum = sum.saturating_add(*amount);
        }
        let is_only = names.get(&server.name) == Some(&1);
        tasks.push(server.task(&nodes[n], is_only, of_group.get(server.id.as_str()).copied(), &around, notes));
    }
    tasks.extend(nodes.iter().zip(&used).filter_map(|(node, used)| outside(node, used, providers, notes)));
    server::mark_forbidden(&mut nodes, &tasks, &traited);
    keep_units(&mut nodes, &mut tasks, providers);
    let amounts = nodes.iter().map(|node| &node.allocatable).chain(tasks.iter().map(|task| &task.requirement));
    let resources: BTreeSet<String> = amounts.flat_map(|amounts| amounts.keys().cloned()).collect();
    let unit = |name: &str| {
        if name.ends_with("_MB") {
            "MiB"
        } else if name.ends_with("_GB") {
            "GiB"
        } else {
            ""
        }
    };
    let resource =
        |name: String| ResourceSpec { unit: unit(&name).into(), name, transient: true, ..ResourceSpec::default() };
    let spec = |group: &ServerGroup| GroupSpec {
        name: group.name.clone(),
        conflict: vec!["node".into()],
        ..GroupSpec::default()
    };
    Snapshot {
        name: "openstack".into(),
        resources: resources.into_iter().map(resource).collect(),
        levels: if has_zones { vec!["zone".into()] } else { Vec::new() },
        groups: groups.iter().filter(|group| group.keeps_apart).map(spec).collect(),
        nodes,
        tasks,
        objective: ObjectiveSpec { task_move_weight: 1, ..ObjectiveSpec::default() },
        ..Snapshot::default()
    }
}

/// What Placement says is in use beyond the servers of the list.
fn outside(
    node: &NodeSpec,
    used: &BTreeMap<String, i64>,
    providers: &BTreeMap<String, Provider>,
    notes: &mut Notes,
) -> Option<TaskSpec> {
    let provider = providers.get(node.origin.get("provider")?)?;
    let rest =
        |(name, amount): (&String, &i64)| (name.clone(), amount.saturating_sub(used.get(name).copied().unwrap_or(0)));
    let requirement: BTreeMap<String, i64> =
        provider.usages.iter().flatten().map(rest).filter(|(_, amount)| *amount > 0).collect();
    if requirement.is_empty() {
        return None;
    }
    notes.add(Fate::Pinned, "hypervisors with something in use that no server of the list accounts for");
    Some(TaskSpec {
        name: format!("outside-{}", node.name),
        kind: TaskKind::Vm,
        requirement,
        placement: vec![PieceSpec { node: node.name.clone(), ..PieceSpec::default() }],
        pinned: true,
        origin: [("pinned".to_string(), "in use according to Placement, but by no server of the list".to_string())]
            .into(),
        ..TaskSpec::default()
    })
}
