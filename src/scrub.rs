//! How can a cluster be shown to strangers? The same snapshot under names that say nothing; amounts, structure and order stay.
//!
//! New names are numbered in the sorted order of the old ones, padded to one width: whatever is decided by the order of two names is
//! decided alike, so the same effort gives the same plan up to names. Texts that no rule reads (units, the snapshot's own name) go.
//! The same name in two places of one kind (a node and its pieces, a label and a selector) is the same name afterwards.

use crate::model::*;
use std::collections::{BTreeMap, BTreeSet};

/// The same snapshot under other names.
pub fn scrub(snapshot: &Snapshot) -> Snapshot {
    let names = Names::of(snapshot);
    let mut new = snapshot.clone();
    names.rename(&mut new);
    new
}

/// Old names of one kind and what they become.
#[derive(Default)]
struct Kind {
    prefix: &'static str,
    old: BTreeSet<String>,
    new: BTreeMap<String, String>,
}

impl Kind {
    /// Nothing is renamed that is empty: an empty value or model means that there is none.
    fn note(&mut self, name: &str) {
        if !name.is_empty() {
            self.old.insert(name.to_string());
        }
    }

    fn number(&mut self) {
        let width = self.old.len().to_string().len();
        let numbered = std::mem::take(&mut self.old).into_iter().enumerate();
        self.new = numbered.map(|(i, old)| (old, format!("{}_{:0width$}", self.prefix, i + 1))).collect();
    }

    fn apply(&self, name: &mut String) {
        if let Some(new) = self.new.get(name.as_str()) {
            new.clone_into(name);
        }
    }
}

/// What a name is a name of.
#[derive(Clone, Copy)]
enum Of {
    Resource,
    Level,
    Node,
    Domain,
    Pool,
    Class,
    /// Of labels and taints.
    Key,
    Value,
    Device,
    Model,
    Group,
    Task,
    Tenant,
    Region,
}

const PREFIXES: [&str; 14] = [
    "resource", "level", "node", "domain", "pool", "class", "key", "value", "device", "model", "group", "task",
    "tenant", "region",
];

struct Names {
    kinds: [Kind; 14],
}

impl Names {
    fn of(snapshot: &Snapshot) -> Names {
        let mut kinds = PREFIXES.map(|prefix| Kind { prefix, ..Kind::default() });
        let mut copy = snapshot.clone();
        each_name(&mut copy, &mut |of, name| kinds[of as usize].note(name));
        kinds.iter_mut().for_each(Kind::number);
        Names { kinds }
    }

    fn rename(&self, snapshot: &mut Snapshot) {
        each_name(snapshot, &mut |of, name| self.kinds[of as usize].apply(name));
        snapshot.name = "scrubbed".to_string();
        snapshot.resources.iter_mut().for_each(|resource| resource.unit.clear());
    }
}

/// Calls `see` with every name of the snapshot. Each record is taken apart whole: a field that is added to one must be thought of here.
fn each_name(snapshot: &mut Snapshot, see: &mut impl FnMut(Of, &mut String)) {
    let Snapshot { name: _, resources, levels, nodes, tasks, groups, objective, moves, pools } = snapshot;
    for ResourceSpec { name, unit: _, transient: _, load_weight: _, variance_weight: _ } in resources {
        see(Of::Resource, name);
    }
    levels.iter_mut().for_each(|level| see(Of::Level, level));
    for PoolSpec { name, region, kinds: _, price: _, egress, burst: _, spot_risk: _ } in pools {
        see(Of::Pool, name);
        region.iter_mut().for_each(|region| see(Of::Region, region));
        keys(egress, &mut |key| see(Of::Pool, key));
    }
    nodes.iter_mut().for_each(|node| of_node(node, see));
    tasks.iter_mut().for_each(|task| of_task(task, see));
    groups.iter_mut().for_each(|group| of_group(group, see));
    of_objective(objective, see);
    let MovesSpec { max_per_domain, max_amounts, .. } = moves;
    keys(max_per_domain, &mut |key| of_level(key, see));
    keys(max_amounts, &mut |key| see(Of::Resource, key));
}

/// The level `node` is no name of the user's.
fn of_level(level: &mut String, see: &mut impl FnMut(Of, &mut String)) {
    if level != "node" {
        see(Of::Level, level);
    }
}

fn of_node(node: &mut NodeSpec, see: &mut impl FnMut(Of, &mut String)) {
    let NodeSpec {
        name,
        allocatable,
        soft_limit,
        labels,
        taints,
        domains,
        pool,
        price: _,
        cordoned: _,
        devices,
        move_class,
        origin,
    } = node;
    // Names in the system that the snapshot is from: no rule reads them.
    origin.clear();
    see(Of::Node, name);
    keys(allocatable, &mut |key| see(Of::Resource, key));
    keys(soft_limit, &mut |key| see(Of::Resource, key));
    labels.values_mut().for_each(|value| see(Of::Value, value));
    keys(labels, &mut |key| see(Of::Key, key));
    for TaintSpec { key, value } in taints {
        see(Of::Key, key);
        see(Of::Value, value);
    }
    domains.values_mut().for_each(|domain| see(Of::Domain, domain));
    keys(domains, &mut |key| of_level(key, see));
    pool.iter_mut().for_each(|pool| see(Of::Pool, pool));
    for DevicesSpec { kind, model, count: _, memory: _ } in devices {
        see(Of::Device, kind);
        see(Of::Model, model);
    }
    move_class.iter_mut().for_each(|class| see(Of::Class, class));
}

fn of_task(task: &mut TaskSpec, see: &mut impl FnMut(Of, &mut String)) {
    let TaskSpec {
        name,
        kind: _,
        weight: _,
        requirement,
        sharing: _,
        min_share: _,
        device,
        placement,
        moving_to,
        restart: _,
        pinned: _,
        evictable: _,
        move_cost: _,
        group,
        selector,
        tolerations,
        regions,
        tenant,
        origin,
    } = task;
    origin.clear();
    see(Of::Task, name);
    keys(requirement, &mut |key| see(Of::Resource, key));
    device.iter_mut().for_each(|request| of_request(request, see));
    for PieceSpec { node, share: _, devices: _ } in placement.iter_mut().chain(moving_to) {
        see(Of::Node, node);
    }
    group.iter_mut().for_each(|group| see(Of::Group, group));
    tenant.iter_mut().for_each(|tenant| see(Of::Tenant, tenant));
    regions.iter_mut().for_each(|region| see(Of::Region, region));
    selector.values_mut().flatten().for_each(|value| see(Of::Value, value));
    keys(selector, &mut |key| see(Of::Key, key));
    for TolerationSpec { key, value } in tolerations {
        key.iter_mut().for_each(|key| see(Of::Key, key));
        value.iter_mut().for_each(|value| see(Of::Value, value));
    }
}

fn of_request(request: &mut DeviceRequestSpec, see: &mut impl FnMut(Of, &mut String)) {
    let DeviceRequestSpec { kind, count: _, milli: _, memory: _, models } = request;
    see(Of::Device, kind);
    models.iter_mut().for_each(|model| see(Of::Model, model));
}

fn of_group(group: &mut GroupSpec, see: &mut impl FnMut(Of, &mut String)) {
    let GroupSpec { name, conflict, spread, depends_on, gang, max_unavailable: _ } = group;
    see(Of::Group, name);
    conflict.iter_mut().for_each(|level| of_level(level, see));
    for SpreadSpec { level, min: _ } in spread {
        of_level(level, see);
    }
    for DependencySpec { group, level } in depends_on {
        see(Of::Group, group);
        of_level(level, see);
    }
    let within = gang.iter_mut().filter_map(|GangSpec { min_members: _, within }| within.as_mut());
    within.for_each(|level| of_level(level, see));
}

fn of_objective(objective: &mut ObjectiveSpec, see: &mut impl FnMut(Of, &mut String)) {
    let ObjectiveSpec { balance, move_costs, fragmentation, .. } = objective;
    for BalanceSpec { resource, other, target: _, weight: _ } in balance {
        see(Of::Resource, resource);
        see(Of::Resource, other);
    }
    for (from, to, _) in move_costs.iter_mut().flat_map(|costs| &mut costs.between) {
        see(Of::Class, from);
        see(Of::Class, to);
    }
    for MixSpec { parts: _, requirement, device } in fragmentation.iter_mut().flat_map(|term| &mut term.mix) {
        keys(requirement, &mut |key| see(Of::Resource, key));
        of_request(device, see);
    }
}

/// The keys of a map, which may change on the way.
fn keys<V>(map: &mut BTreeMap<String, V>, see: &mut impl FnMut(&mut String)) {
    let renamed = std::mem::take(map).into_iter().map(|(mut key, value)| {
        see(&mut key);
        (key, value)
    });
    *map = renamed.collect();
}
