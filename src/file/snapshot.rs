//! How does a snapshot file look? One function per record, fields as in [`crate::model::Snapshot`].

use super::json::{Fields, Path, Reader, Value, parse};
use crate::model::*;
use std::collections::BTreeMap;

/// Reads a snapshot.
///
/// # Errors
/// Every fault of syntax and form (F1xx). Names and figures are checked by [`Problem::new`].
pub fn read_snapshot(bytes: &[u8]) -> Result<Snapshot, Faults> {
    let reader = Reader::default();
    let snapshot = snapshot(&reader, parse(bytes)?);
    let faults = reader.faults.into_inner();
    if faults.is_empty() { Ok(snapshot.expect("without a fault there is a snapshot")) } else { Err(faults) }
}

/// Value of the `format` field of every jobs file this version reads.
pub const JOBS_FORMAT: &str = "bayplan-jobs/1";

/// Tasks that come on top of a snapshot, and groups of their own.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Jobs {
    /// They wait: a placement is not known here.
    pub tasks: Vec<TaskSpec>,
    /// Named by these tasks; they may name groups of the snapshot as well.
    pub groups: Vec<GroupSpec>,
}

/// Reads a jobs file: the fields `tasks` and `groups` of a snapshot.
///
/// # Errors
/// Every fault of syntax and form (F1xx), and a task that has a placement (F205).
pub fn read_jobs(bytes: &[u8]) -> Result<Jobs, Faults> {
    let reader = Reader::default();
    let jobs = jobs(&reader, parse(bytes)?);
    let mut faults = reader.faults.into_inner();
    for task in jobs.iter().flat_map(|jobs| &jobs.tasks).filter(|task| !task.placement.is_empty()) {
        let remedy = "leave the placement out; a task that runs belongs into the snapshot";
        faults.add("F205", format!("task {}", task.name), "it runs somewhere already", remedy);
    }
    if faults.is_empty() { Ok(jobs.expect("without a fault there are jobs")) } else { Err(faults) }
}

fn jobs(reader: &Reader, value: Value) -> Option<Jobs> {
    let mut fields = reader.fields(Path::Root, value)?;
    if !fields.format(JOBS_FORMAT) {
        return None;
    }
    let jobs = Jobs {
        tasks: fields.required("tasks", |r, p, v| Some(r.list(p, v, |p, v| task(r, p, v)))).unwrap_or_default(),
        groups: fields.optional("groups", |r, p, v| Some(r.list(p, v, |p, v| group(r, p, v)))).unwrap_or_default(),
    };
    fields.finish();
    Some(jobs)
}

/// The JSON form of a snapshot, one node or task per line, so that two files can be compared.
pub fn write_snapshot(snapshot: &Snapshot) -> Vec<u8> {
    let list = |items: Vec<String>| match items.len() {
        0 => "[]".to_string(),
        _ => format!("[\n    {}\n  ]", items.join(",\n    ")),
    };
    let mut fields = vec![("format", line(&SNAPSHOT_FORMAT)), ("name", line(&snapshot.name))];
    fields.push(("resources", list(snapshot.resources.iter().map(line).collect())));
    fields.push(("levels", line(&snapshot.levels)));
    if !snapshot.pools.is_empty() {
        fields.push(("pools", list(snapshot.pools.iter().map(line).collect())));
    }
    fields.push(("nodes", list(snapshot.nodes.iter().map(line).collect())));
    fields.push(("groups", list(snapshot.groups.iter().map(line).collect())));
    fields.push(("tasks", list(snapshot.tasks.iter().map(line).collect())));
    fields.push(("objective", line(&snapshot.objective)));
    fields.push(("moves", line(&snapshot.moves)));
    let fields: Vec<String> = fields.into_iter().map(|(name, value)| format!("  {name:?}: {value}")).collect();
    format!("{{\n{}\n}}\n", fields.join(",\n")).into_bytes()
}

fn line(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain records always serialise")
}

fn snapshot(reader: &Reader, value: Value) -> Option<Snapshot> {
    let mut fields = reader.fields(Path::Root, value)?;
    if !fields.format(SNAPSHOT_FORMAT) {
        return None;
    }
    let pools: Vec<PoolSpec> =
        fields.optional("pools", |r, p, v| Some(r.list(p, v, |p, v| pool(r, p, v)))).unwrap_or_default();
    // Prices of pools and of leaving them are there to count.
    let pool_weight = i64::from(!pools.is_empty());
    let snapshot = Snapshot {
        name: fields.optional("name", Reader::text).unwrap_or_default(),
        resources: fields
            .required("resources", |r, p, v| Some(r.list(p, v, |p, v| resource(r, p, v))))
            .unwrap_or_default(),
        levels: texts(&mut fields, "levels"),
        pools,
        nodes: fields.required("nodes", |r, p, v| Some(r.list(p, v, |p, v| node(r, p, v)))).unwrap_or_default(),
        groups: fields.optional("groups", |r, p, v| Some(r.list(p, v, |p, v| group(r, p, v)))).unwrap_or_default(),
        tasks: fields.required("tasks", |r, p, v| Some(r.list(p, v, |p, v| task(r, p, v)))).unwrap_or_default(),
        objective: fields.optional("objective", |r, p, v| objective(r, p, v, pool_weight)).unwrap_or_else(|| {
            ObjectiveSpec {
                task_move_weight: 1,
                node_move_weight: pool_weight,
                price_weight: pool_weight,
                ..ObjectiveSpec::default()
            }
        }),
        moves: fields.optional("moves", moves).unwrap_or_default(),
    };
    fields.finish();
    Some(snapshot)
}

fn texts(fields: &mut Fields<'_>, name: &'static str) -> Vec<String> {
    fields.optional(name, Reader::texts).unwrap_or_default()
}

fn amounts(reader: &Reader, path: Path<'_>, value: Value) -> Option<BTreeMap<String, i64>> {
    Some(reader.map(path, value, |p, v| reader.int(p, v)))
}

fn words(reader: &Reader, path: Path<'_>, value: Value) -> Option<BTreeMap<String, String>> {
    Some(reader.map(path, value, |p, v| reader.text(p, v)))
}

fn resource(reader: &Reader, path: Path<'_>, value: Value) -> Option<ResourceSpec> {
    let mut fields = reader.fields(path, value)?;
    let spec = ResourceSpec {
        name: fields.required("name", Reader::text).unwrap_or_default(),
        unit: fields.optional("unit", Reader::text).unwrap_or_default(),
        transient: fields.optional("transient", Reader::bool).unwrap_or(true),
        load_weight: fields.optional("load_weight", Reader::int).unwrap_or(0),
        variance_weight: fields.optional("variance_weight", Reader::int).unwrap_or(0),
    };
    fields.finish();
    Some(spec)
}

pub(super) fn node(reader: &Reader, path: Path<'_>, value: Value) -> Option<NodeSpec> {
    let mut fields = reader.fields(path, value)?;
    let spec = NodeSpec {
        name: fields.required("name", Reader::text).unwrap_or_default(),
        allocatable: fields.required("allocatable", amounts).unwrap_or_default(),
        soft_limit: fields.optional("soft_limit", amounts).unwrap_or_default(),
        labels: fields.optional("labels", words).unwrap_or_default(),
        taints: fields.optional("taints", |r, p, v| Some(r.list(p, v, |p, v| taint(r, p, v)))).unwrap_or_default(),
        domains: fields.optional("domains", words).unwrap_or_default(),
        pool: fields.optional("pool", Reader::text),
        price: fields.optional("price", Reader::int).unwrap_or(0),
        cordoned: fields.optional("cordoned", Reader::bool).unwrap_or(false),
        devices: fields.optional("devices", |r, p, v| Some(r.list(p, v, |p, v| devices(r, p, v)))).unwrap_or_default(),
        move_class: fields.optional("move_class", Reader::text),
        origin: fields.optional("origin", words).unwrap_or_default(),
    };
    fields.finish();
    Some(spec)
}

fn pool(reader: &Reader, path: Path<'_>, value: Value) -> Option<PoolSpec> {
    let mut fields = reader.fields(path, value)?;
    let spec = PoolSpec {
        name: fields.required("name", Reader::text).unwrap_or_default(),
        region: fields.optional("region", Reader::text),
        kinds: fields
            .optional("kinds", |r, p, v| Some(r.list(p, v, |p, v| r.word(p, v, &TaskKind::WORDS))))
            .unwrap_or_default(),
        price: fields.optional("price", Reader::int).unwrap_or(0),
        egress: fields.optional("egress", amounts).unwrap_or_default(),
        burst: fields.optional("burst", Reader::bool).unwrap_or(false),
        spot_risk: fields.optional("spot_risk", Reader::text),
    };
    fields.finish();
    Some(spec)
}

fn taint(reader: &Reader, path: Path<'_>, value: Value) -> Option<TaintSpec> {
    let mut fields = reader.fields(path, value)?;
    let spec = TaintSpec {
        key: fields.required("key", Reader::text).unwrap_or_default(),
        value: fields.optional("value", Reader::text).unwrap_or_default(),
    };
    fields.finish();
    Some(spec)
}

fn devices(reader: &Reader, path: Path<'_>, value: Value) -> Option<DevicesSpec> {
    let mut fields = reader.fields(path, value)?;
    let spec = DevicesSpec {
        kind: fields.required("kind", Reader::text).unwrap_or_default(),
        model: fields.optional("model", Reader::text).unwrap_or_default(),
        count: fields.required("count", Reader::count).unwrap_or_default(),
        memory: fields.optional("memory", Reader::int),
    };
    fields.finish();
    Some(spec)
}

pub(super) fn task(reader: &Reader, path: Path<'_>, value: Value) -> Option<TaskSpec> {
    let mut fields = reader.fields(path, value)?;
    let sharings =
        [("rigid", SharingSpec::Rigid), ("elastic", SharingSpec::Elastic), ("divisible", SharingSpec::Divisible)];
    let spec = TaskSpec {
        name: fields.required("name", Reader::text).unwrap_or_default(),
        kind: fields.optional("kind", |r, p, v| r.word(p, v, &TaskKind::WORDS)).unwrap_or_default(),
        weight: fields.optional("weight", Reader::int).unwrap_or(1),
        requirement: fields.required("requirement", amounts).unwrap_or_default(),
        sharing: fields.optional("sharing", |r, p, v| r.word(p, v, &sharings)).unwrap_or_default(),
        min_share: fields.optional("min_share", Reader::text),
        device: fields.optional("device", device_request),
        placement: fields
            .optional("placement", |r, p, v| Some(r.list(p, v, |p, v| piece(r, p, v))))
            .unwrap_or_default(),
        moving_to: fields
            .optional("moving_to", |r, p, v| Some(r.list(p, v, |p, v| piece(r, p, v))))
            .unwrap_or_default(),
        restart: fields.optional("restart", Reader::bool),
        pinned: fields.optional("pinned", Reader::bool).unwrap_or(false),
        evictable: fields.optional("evictable", Reader::bool).unwrap_or(false),
        move_cost: fields.optional("move_cost", Reader::int).unwrap_or(1),
        group: fields.optional("group", Reader::text),
        tenant: fields.optional("tenant", Reader::text),
        selector: fields
            .optional("selector", |r, p, v| Some(r.map(p, v, |p, v| Some(r.list(p, v, |p, v| r.text(p, v))))))
            .unwrap_or_default(),
        tolerations: fields
            .optional("tolerations", |r, p, v| Some(r.list(p, v, |p, v| toleration(r, p, v))))
            .unwrap_or_default(),
        origin: fields.optional("origin", words).unwrap_or_default(),
        regions: texts(&mut fields, "regions"),
    };
    fields.finish();
    Some(spec)
}

/// A part of a task on a node; plan files have it too.
pub fn piece(reader: &Reader, path: Path<'_>, value: Value) -> Option<PieceSpec> {
    let mut fields = reader.fields(path, value)?;
    let spec = PieceSpec {
        node: fields.required("node", Reader::text).unwrap_or_default(),
        share: fields.optional("share", Reader::text),
        devices: fields.optional("devices", |r, p, v| Some(r.list(p, v, |p, v| r.count(p, v)))).unwrap_or_default(),
    };
    fields.finish();
    Some(spec)
}

fn device_request(reader: &Reader, path: Path<'_>, value: Value) -> Option<DeviceRequestSpec> {
    let mut fields = reader.fields(path, value)?;
    let spec = DeviceRequestSpec {
        kind: fields.required("kind", Reader::text).unwrap_or_default(),
        count: fields.optional("count", Reader::count).unwrap_or(1),
        milli: fields.optional("milli", Reader::count).unwrap_or(DEVICE_MILLI),
        memory: fields.optional("memory", Reader::int),
        models: texts(&mut fields, "models"),
    };
    fields.finish();
    Some(spec)
}

fn toleration(reader: &Reader, path: Path<'_>, value: Value) -> Option<TolerationSpec> {
    let mut fields = reader.fields(path, value)?;
    let spec =
        TolerationSpec { key: fields.optional("key", Reader::text), value: fields.optional("value", Reader::text) };
    fields.finish();
    Some(spec)
}

fn group(reader: &Reader, path: Path<'_>, value: Value) -> Option<GroupSpec> {
    let mut fields = reader.fields(path, value)?;
    let spec = GroupSpec {
        name: fields.required("name", Reader::text).unwrap_or_default(),
        conflict: texts(&mut fields, "conflict"),
        spread: fields.optional("spread", |r, p, v| Some(r.list(p, v, |p, v| spread(r, p, v)))).unwrap_or_default(),
        depends_on: fields
            .optional("depends_on", |r, p, v| Some(r.list(p, v, |p, v| dependency(r, p, v))))
            .unwrap_or_default(),
        gang: fields.optional("gang", gang).flatten(),
        max_unavailable: fields.optional("max_unavailable", Reader::count),
    };
    fields.finish();
    Some(spec)
}

/// `true`, `false`, or what deviates from all members anywhere.
fn gang(reader: &Reader, path: Path<'_>, value: Value) -> Option<Option<GangSpec>> {
    if let Value::Bool(value) = value {
        return Some(value.then(GangSpec::default));
    }
    let mut fields = reader.fields(path, value)?;
    let spec = GangSpec {
        min_members: fields.optional("min_members", Reader::count),
        within: fields.optional("within", Reader::text),
    };
    fields.finish();
    Some(Some(spec))
}

fn spread(reader: &Reader, path: Path<'_>, value: Value) -> Option<SpreadSpec> {
    let mut fields = reader.fields(path, value)?;
    let spec = SpreadSpec {
        level: fields.required("level", Reader::text).unwrap_or_default(),
        min: fields.required("min", Reader::count).unwrap_or_default(),
    };
    fields.finish();
    Some(spec)
}

fn dependency(reader: &Reader, path: Path<'_>, value: Value) -> Option<DependencySpec> {
    let mut fields = reader.fields(path, value)?;
    let spec = DependencySpec {
        group: fields.required("group", Reader::text).unwrap_or_default(),
        level: fields.required("level", Reader::text).unwrap_or_default(),
    };
    fields.finish();
    Some(spec)
}

/// `pool_weight` is what prices of nodes and of moves between them weigh where nothing is said.
fn objective(reader: &Reader, path: Path<'_>, value: Value, pool_weight: i64) -> Option<ObjectiveSpec> {
    let mut fields = reader.fields(path, value)?;
    let weight = |fields: &mut Fields<'_>, name, default| fields.optional(name, Reader::int).unwrap_or(default);
    let spec = ObjectiveSpec {
        balance: fields.optional("balance", |r, p, v| Some(r.list(p, v, |p, v| balance(r, p, v)))).unwrap_or_default(),
        task_move_weight: weight(&mut fields, "task_move_weight", 1),
        group_move_weight: weight(&mut fields, "group_move_weight", 0),
        node_move_weight: weight(&mut fields, "node_move_weight", pool_weight),
        price_weight: weight(&mut fields, "price_weight", pool_weight),
        move_costs: fields.optional("move_costs", move_costs),
        fragmentation: fields.optional("fragmentation", fragmentation),
    };
    fields.finish();
    Some(spec)
}

fn balance(reader: &Reader, path: Path<'_>, value: Value) -> Option<BalanceSpec> {
    let mut fields = reader.fields(path, value)?;
    let spec = BalanceSpec {
        resource: fields.required("resource", Reader::text).unwrap_or_default(),
        other: fields.required("other", Reader::text).unwrap_or_default(),
        target: fields.required("target", Reader::int).unwrap_or_default(),
        weight: fields.required("weight", Reader::int).unwrap_or_default(),
    };
    fields.finish();
    Some(spec)
}

fn move_costs(reader: &Reader, path: Path<'_>, value: Value) -> Option<MoveCostsSpec> {
    let mut fields = reader.fields(path, value)?;
    let spec = MoveCostsSpec {
        default: fields.required("default", Reader::int).unwrap_or_default(),
        between: fields.optional("between", |r, p, v| Some(r.list(p, v, |p, v| pair(r, p, v)))).unwrap_or_default(),
    };
    fields.finish();
    Some(spec)
}

fn pair(reader: &Reader, path: Path<'_>, value: Value) -> Option<(String, String, i64)> {
    let wanted = "[from class, to class, cost]";
    match value {
        Value::List(items) if items.len() == 3 => {
            let [from, to, cost]: [Value; 3] = items.try_into().expect("three items");
            let from = reader.text(Path::Item(&path, 0), from);
            let to = reader.text(Path::Item(&path, 1), to);
            let cost = reader.int(Path::Item(&path, 2), cost);
            Some((from?, to?, cost?))
        }
        other => {
            reader.wrong(path, &other, wanted);
            None
        }
    }
}

fn fragmentation(reader: &Reader, path: Path<'_>, value: Value) -> Option<FragmentationSpec> {
    let mut fields = reader.fields(path, value)?;
    let spec = FragmentationSpec {
        weight: fields.required("weight", Reader::int).unwrap_or_default(),
        mix: fields.required("mix", |r, p, v| Some(r.list(p, v, |p, v| mix(r, p, v)))).unwrap_or_default(),
    };
    fields.finish();
    Some(spec)
}

fn mix(reader: &Reader, path: Path<'_>, value: Value) -> Option<MixSpec> {
    let mut fields = reader.fields(path, value)?;
    let parts = fields.required("parts", Reader::int).unwrap_or_default();
    let requirement = fields.optional("requirement", amounts).unwrap_or_default();
    let device = fields.required("device", device_request);
    fields.finish();
    Some(MixSpec { parts, requirement, device: device? })
}

fn moves(reader: &Reader, path: Path<'_>, value: Value) -> Option<MovesSpec> {
    let mut fields = reader.fields(path, value)?;
    let modes = [("waves", MoveMode::Waves), ("simultaneous", MoveMode::Simultaneous)];
    let spec = MovesSpec {
        mode: fields.optional("mode", |r, p, v| r.word(p, v, &modes)).unwrap_or_default(),
        restart_kinds: fields
            .optional("restart_kinds", |r, p, v| Some(r.list(p, v, |p, v| r.word(p, v, &TaskKind::WORDS))))
            .unwrap_or_default(),
        max_moves: fields.optional("max_moves", Reader::count),
        max_per_node: fields.optional("max_per_node", Reader::count),
        max_in_flight: fields.optional("max_in_flight", Reader::count),
        max_from_node: fields.optional("max_from_node", Reader::count),
        max_to_node: fields.optional("max_to_node", Reader::count),
        max_per_domain: fields
            .optional("max_per_domain", |r, p, v| Some(r.map(p, v, |p, v| r.count(p, v))))
            .unwrap_or_default(),
        max_amounts: fields
            .optional("max_amounts", |r, p, v| Some(r.map(p, v, |p, v| r.int(p, v))))
            .unwrap_or_default(),
    };
    fields.finish();
    Some(spec)
}
