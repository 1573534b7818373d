//! Does `status` count right? Every figure of random clusters, worked out again from the names; the forms of its answer.

mod common;

use assert_cmd::Command;
use bayplan::model::*;
use bayplan::status::{NodeSet, Overview, TaskSet};
use common::prometheus::page_objections;
use common::random::{may_enter, pool_admits};
use common::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const ONE: i128 = SHARE_ONE as i128;

fn status(args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bayplan"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).arg("status").args(args).env("NO_COLOR", "1");
    let output = command.output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    String::from_utf8(output.stdout).unwrap()
}

// ---------------------------------------------------------------------------------------------- counted again, by names

/// Scaled amounts by quantity: what is counted, and the name of the resource or kind of device.
type Amounts = BTreeMap<(&'static str, String), i128>;

const RESOURCE: &str = "resource";
const DEVICES: &str = "devices";
const MEMORY: &str = "device_memory";

fn gather(amounts: &mut Amounts, counted: &'static str, name: &str, scaled: i128) {
    *amounts.entry((counted, name.to_string())).or_default() += scaled;
}

/// What a task holds on a node, from the records alone.
struct Held<'a> {
    task: &'a TaskSpec,
    node: &'a NodeSpec,
    share: i128,
    devices: Vec<usize>,
}

impl Held<'_> {
    fn gather(&self, amounts: &mut Amounts) {
        for (name, amount) in &self.task.requirement {
            gather(amounts, RESOURCE, name, i128::from(*amount) * self.share);
        }
        for device in &self.devices {
            let (spec, request) = (device_specs(self.node)[*device], self.task.device.as_ref().unwrap());
            gather(amounts, DEVICES, &spec.kind, i128::from(request.milli) * ONE);
            if spec.memory.is_some() {
                gather(amounts, MEMORY, &spec.kind, i128::from(request.memory.unwrap_or(0)) * ONE);
            }
        }
    }
}

fn device_specs(node: &NodeSpec) -> Vec<&DevicesSpec> {
    node.devices.iter().flat_map(|d| std::iter::repeat_n(d, d.count as usize)).collect()
}

/// Everything held in a placement; device numbers that a node does not have are dropped.
fn held<'a>(snapshot: &'a Snapshot, placement: &Placement) -> Vec<Held<'a>> {
    let mut list = Vec::new();
    for (task, spot) in snapshot.tasks.iter().zip(placement.spots()) {
        for piece in spot.pieces() {
            let node = &snapshot.nodes[piece.node.index()];
            let devices = (0..device_specs(node).len()).filter(|d| piece.devices >> d & 1 == 1).collect();
            list.push(Held { task, node, share: i128::from(piece.share.parts()), devices });
        }
    }
    list
}

fn allocatable(node: &NodeSpec) -> Amounts {
    let mut amounts = Amounts::new();
    node.allocatable.iter().for_each(|(name, amount)| gather(&mut amounts, RESOURCE, name, i128::from(*amount) * ONE));
    for d in &node.devices {
        gather(&mut amounts, DEVICES, &d.kind, i128::from(d.count) * 1000 * ONE);
        gather(&mut amounts, MEMORY, &d.kind, i128::from(d.count) * i128::from(d.memory.unwrap_or(0)) * ONE);
    }
    amounts
}

fn row(overview: &Overview, figures: &[i128]) -> Amounts {
    let keys = overview.quantities.iter().map(|quantity| (quantity.counted.word(), quantity.name.clone()));
    keys.zip(figures).filter(|(_, figure)| **figure != 0).map(|(key, figure)| (key, *figure)).collect()
}

fn bare(amounts: Amounts) -> Amounts {
    amounts.into_iter().filter(|(_, figure)| *figure != 0).collect()
}

/// Checks the sets of nodes that `part` makes.
fn check_node_sets(
    overview: &Overview,
    sets: &[NodeSet],
    snapshot: &Snapshot,
    held: &[Held<'_>],
    part: &dyn Fn(&NodeSpec) -> Option<String>,
) {
    let mut names: BTreeSet<Option<String>> = snapshot.nodes.iter().map(part).collect();
    if std::ptr::eq(sets, std::slice::from_ref(&overview.cluster)) {
        // The cluster is there without a node, too.
        names.insert(None);
    }
    let told: Vec<Option<String>> = sets.iter().map(|set| set.name.clone()).collect();
    assert_eq!(told.iter().cloned().collect::<BTreeSet<_>>(), names);
    assert_eq!(told.len(), names.len(), "no set twice");
    for set in sets {
        let nodes: Vec<&NodeSpec> = snapshot.nodes.iter().filter(|node| part(node) == set.name).collect();
        let here: Vec<&Held<'_>> = held.iter().filter(|held| part(held.node) == set.name).collect();
        let mut used = Amounts::new();
        here.iter().for_each(|held| held.gather(&mut used));
        let mut all = Amounts::new();
        for (key, amount) in nodes.iter().flat_map(|node| allocatable(node)) {
            gather(&mut all, key.0, &key.1, amount);
        }
        assert_eq!(row(overview, &set.used), bare(used));
        assert_eq!(row(overview, &set.allocatable), bare(all));
        assert_eq!(set.node_count, nodes.len());
        let names = |name: fn(&Held<'_>) -> String| here.iter().map(|h| name(h)).collect::<BTreeSet<_>>().len();
        assert_eq!(set.node_used_count, names(|h| h.node.name.clone()));
        assert_eq!(set.task_count, names(|h| h.task.name.clone()));
    }
}

fn check_task_sets(
    overview: &Overview,
    sets: &[TaskSet],
    snapshot: &Snapshot,
    held: &[Held<'_>],
    scale: i128,
    part: &dyn Fn(&TaskSpec) -> Option<String>,
) {
    let devices = || snapshot.nodes.iter().flat_map(|n| &n.devices);
    let kinds: BTreeSet<&str> = devices().map(|d| d.kind.as_str()).collect();
    let counts_memory: BTreeSet<&str> = devices().filter(|d| d.memory.is_some()).map(|d| d.kind.as_str()).collect();
    let total: usize = sets.iter().map(|set| set.task_count).sum();
    assert_eq!(total, snapshot.tasks.len(), "every task is in one set");
    for set in sets {
        let tasks: Vec<&TaskSpec> = snapshot.tasks.iter().filter(|task| part(task) == set.name).collect();
        let here: Vec<&Held<'_>> = held.iter().filter(|held| part(held.task) == set.name).collect();
        let (mut granted, mut required) = (Amounts::new(), Amounts::new());
        for held in &here {
            held.gather(&mut granted);
        }
        for task in &tasks {
            task.requirement.iter().for_each(|(n, a)| gather(&mut required, RESOURCE, n, i128::from(*a) * ONE));
            if let Some(request) = task.device.as_ref().filter(|request| kinds.contains(request.kind.as_str())) {
                let milli = i128::from(request.count) * i128::from(request.milli);
                gather(&mut required, DEVICES, &request.kind, milli * ONE);
            }
            if let Some(request) = task.device.as_ref().filter(|request| counts_memory.contains(request.kind.as_str()))
            {
                let memory = i128::from(request.count) * i128::from(request.memory.unwrap_or(0));
                gather(&mut required, MEMORY, &request.kind, memory * ONE);
            }
        }
        let resource = |(key, amount): ((&'static str, String), i128)| (key.0 == RESOURCE).then_some((key, amount));
        // A task that holds devices of a kind it did not ask for is granted what it asked for: devices are compared by count.
        let only = |amounts: Amounts| bare(amounts.into_iter().filter_map(resource).collect());
        assert_eq!(only(row(overview, &set.granted)), only(granted));
        assert_eq!(row(overview, &set.required), bare(required));
        assert_eq!(set.task_count, tasks.len());
        let placed: BTreeSet<&str> = here.iter().map(|h| h.task.name.as_str()).collect();
        assert_eq!(set.placed_count, placed.len());
        let value = here.iter().map(|h| i128::from(h.task.weight) * h.share).sum::<i128>();
        let value_max = tasks.iter().map(|t| i128::from(t.weight)).sum::<i128>() * ONE;
        // In the points of the problem, of which burst pools make a unit of weight worth several.
        assert_eq!((set.value, set.value_max), (value * scale, value_max * scale));
    }
}

/// The free amounts of a node that nobody can use: every task is tried.
fn stranded(snapshot: &Snapshot, node: &NodeSpec, held: &[Held<'_>]) -> Amounts {
    let here: Vec<&Held<'_>> = held.iter().filter(|held| held.node.name == node.name).collect();
    let mut used = Amounts::new();
    here.iter().for_each(|held| held.gather(&mut used));
    let free = |name: &str| {
        let key = (RESOURCE, name.to_string());
        (allocatable(node).get(&key).copied().unwrap_or(0) - used.get(&key).copied().unwrap_or(0)).max(0)
    };
    let specs = device_specs(node);
    let milli = |d: usize| {
        let held = here.iter().filter(|held| held.devices.contains(&d));
        1000u32.saturating_sub(held.map(|held| held.task.device.as_ref().unwrap().milli).sum())
    };
    let memory = |d: usize| {
        let held = here.iter().filter(|held| held.devices.contains(&d));
        let taken: i64 = held.filter_map(|held| held.task.device.as_ref().unwrap().memory).sum();
        specs[d].memory.map_or(0, |all| (all - taken).max(0))
    };
    let (mut resources, mut devices, mut remembering) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for task in snapshot.tasks.iter().filter(|task| may_enter(node, task) && pool_admits(snapshot, node, task)) {
        let parts = match (&task.sharing, &task.min_share) {
            (SharingSpec::Elastic, Some(share)) => i128::from(Share::parse(share).unwrap().parts()),
            (SharingSpec::Divisible, _) => 1,
            _ => ONE,
        };
        let suits = |d: &usize| {
            task.device.as_ref().is_some_and(|r| {
                let model = r.models.is_empty() || r.models.contains(&specs[*d].model);
                specs[*d].kind == r.kind && model && milli(*d) >= r.milli && memory(*d) >= r.memory.unwrap_or(0)
            })
        };
        let suitable: Vec<usize> = (0..specs.len()).filter(suits).collect();
        let fits = task.requirement.iter().all(|(name, amount)| i128::from(*amount) * parts <= free(name))
            && suitable.len() >= task.device.as_ref().map_or(0, |r| r.count as usize);
        if fits {
            resources.extend(task.requirement.iter().filter(|(_, amount)| **amount > 0).map(|(name, _)| name.clone()));
            if task.device.as_ref().is_some_and(|request| request.memory.is_some()) {
                remembering.extend(suitable.iter().copied());
            }
            devices.extend(suitable);
        }
    }
    let mut amounts = Amounts::new();
    for resource in snapshot.resources.iter().filter(|r| !resources.contains(&r.name)) {
        gather(&mut amounts, RESOURCE, &resource.name, free(&resource.name));
    }
    for d in (0..specs.len()).filter(|d| !devices.contains(d)) {
        gather(&mut amounts, DEVICES, &specs[d].kind, i128::from(milli(d)) * ONE);
    }
    for d in (0..specs.len()).filter(|d| !remembering.contains(d)) {
        gather(&mut amounts, MEMORY, &specs[d].kind, i128::from(memory(d)) * ONE);
    }
    bare(amounts)
}

/// What runs in burst pools and in spot pools.
fn exposure(snapshot: &Snapshot, overview: &Overview, held: &[Held<'_>]) {
    let risk = |pool: &PoolSpec| pool.spot_risk.as_ref().map_or(Share::ZERO, |risk| Share::parse(risk).unwrap());
    type IsMeant<'a> = &'a dyn Fn(&PoolSpec) -> bool;
    let meant: [(IsMeant, _); 2] =
        [(&|pool| pool.burst, overview.burst), (&|pool| risk(pool) > Share::ZERO, overview.spot)];
    for (is_meant, told) in meant {
        let pools: Vec<&PoolSpec> = snapshot.pools.iter().filter(|pool| is_meant(pool)).collect();
        assert_eq!(told.is_some(), !pools.is_empty());
        let Some(told) = told else { continue };
        let pool_of = |h: &Held<'_>| pools.iter().find(|pool| h.node.pool.as_ref() == Some(&pool.name)).copied();
        let here: Vec<&Held<'_>> = held.iter().filter(|h| pool_of(h).is_some()).collect();
        assert_eq!(told.task_count, here.iter().map(|h| &h.task.name).collect::<BTreeSet<_>>().len());
        assert_eq!(told.weight, here.iter().map(|h| i128::from(h.task.weight) * h.share).sum::<i128>());
    }
    let lost = |h: &Held<'_>| {
        let pool = snapshot.pools.iter().find(|pool| h.node.pool.as_ref() == Some(&pool.name));
        let parts = pool.map_or(0, |pool| i128::from(risk(pool).parts()));
        (i128::from(h.task.weight) * parts + ONE - 1) / ONE * h.share
    };
    assert_eq!(overview.spot.map_or(0, |spot| spot.points), held.iter().map(lost).sum::<i128>());
}

fn check(snapshot: &Snapshot, problem: &Problem, placement: &Placement) {
    let overview = Overview::of(problem, placement);
    let (held, scale) = (held(snapshot, placement), i128::from(problem.value_scale));
    check_node_sets(&overview, std::slice::from_ref(&overview.cluster), snapshot, &held, &|_| None);
    let mut pooled = snapshot.clone();
    pooled.pools.retain(|pool| snapshot.nodes.iter().all(|node| node.pool.as_ref() != Some(&pool.name)));
    if !pooled.pools.is_empty() {
        // A pool without nodes is told as well, with nothing in it.
        let empty = overview.pools.iter().filter(|set| set.node_count == 0);
        assert_eq!(empty.count(), pooled.pools.len());
    } else if snapshot.nodes.iter().any(|node| node.pool.is_some()) {
        check_node_sets(&overview, &overview.pools, snapshot, &held, &|node| node.pool.clone());
    }
    for (level, sets) in &overview.levels {
        let name = &snapshot.levels[level.index() - 1];
        let own = |node: &NodeSpec| Some(format!("(only {})", node.name));
        check_node_sets(&overview, sets, snapshot, &held, &|n| n.domains.get(name).cloned().or_else(|| own(n)));
    }
    check_task_sets(&overview, std::slice::from_ref(&overview.work), snapshot, &held, scale, &|_| None);
    if !snapshot.groups.is_empty() {
        check_task_sets(&overview, &overview.groups, snapshot, &held, scale, &|task| task.group.clone());
    }
    if snapshot.tasks.iter().any(|task| task.tenant.is_some()) {
        check_task_sets(&overview, &overview.tenants, snapshot, &held, scale, &|task| task.tenant.clone());
    }
    let mut sums = [Amounts::new(), Amounts::new()];
    let mut hot = BTreeSet::new();
    for node in &snapshot.nodes {
        let mut used = Amounts::new();
        held.iter().filter(|h| h.node.name == node.name).for_each(|h| h.gather(&mut used));
        let all = allocatable(node);
        let at = |amounts: &Amounts, name: &str| amounts.get(&(RESOURCE, name.to_string())).copied().unwrap_or(0);
        for resource in &snapshot.resources {
            let (used, all) = (at(&used, &resource.name), at(&all, &resource.name));
            let soft = node.soft_limit.get(&resource.name).map_or(all, |soft| i128::from(*soft) * ONE);
            if used > soft || used > 0 && used * 10 >= all * 9 {
                hot.insert((node.name.clone(), resource.name.clone()));
            }
        }
        let lost = match node.cordoned {
            false => stranded(snapshot, node, &held),
            true => {
                let free = |(key, all): ((&'static str, String), i128)| {
                    let free = (all - used.get(&key).copied().unwrap_or(0)).max(0);
                    (key, free)
                };
                all.into_iter().map(free).collect()
            }
        };
        lost.into_iter().for_each(|(key, free)| gather(&mut sums[usize::from(node.cordoned)], key.0, &key.1, free));
    }
    let [lost, closed] = sums.map(bare);
    assert_eq!(row(&overview, &overview.cluster.stranded), lost);
    assert_eq!(row(&overview, &overview.cluster.closed), closed);
    let told = overview
        .hot
        .iter()
        .map(|hot| (problem.nodes[hot.node.index()].name.clone(), overview.quantities[hot.quantity].name.clone()));
    assert_eq!(told.collect::<BTreeSet<_>>(), hot);
    exposure(snapshot, &overview, &held);
    assert_eq!(overview.score, score(problem, placement));
    assert_eq!(overview.violations, violations(problem, placement));
}

#[test]
fn every_figure_of_random_clusters_is_right() {
    let lost = std::cell::Cell::new(0);
    for_seeds("status", 400, |_, rng: &mut Rng| {
        let size = *rng.pick(&[Size::TINY, Size::SMALL]);
        let snapshot = random_snapshot(rng, size, Kinds::ALL);
        let problem = Problem::new(&snapshot).unwrap_or_else(|faults| panic!("{faults}"));
        check(&snapshot, &problem, &problem.current);
        check(&snapshot, &problem, &random_placement(rng, &problem));
        let overview = Overview::of(&problem, &problem.current);
        lost.set(lost.get() + usize::from(overview.cluster.stranded.iter().any(|amount| *amount > 0)));
    });
    assert!(lost.get() > 20 || std::env::var_os("BAYPLAN_TEST_SEED").is_some(), "something is stranded now and then");
}

#[test]
fn stranded_is_what_no_task_can_use() {
    let snapshot = Snapshot {
        resources: resources(&["cpu", "memory"]),
        nodes: vec![node("n", &[("cpu", 10), ("memory", 100)]), node("m", &[("cpu", 10), ("memory", 10)])],
        tasks: vec![
            at(task("a", 1, &[("cpu", 8), ("memory", 10)]), "n"),
            at(task("b", 1, &[("cpu", 2), ("memory", 10)]), "m"),
            task("c", 1, &[("cpu", 3)]),
        ],
        ..Snapshot::default()
    };
    let problem = Problem::new(&snapshot).unwrap();
    let cluster = Overview::of(&problem, &problem.current).cluster;
    // On n 2 cpu are left: b takes them with 10 of the memory. On m no memory is left: c uses the cpu there.
    assert_eq!(cluster.stranded, [0, 0]);
    let mut alone = snapshot.clone();
    alone.tasks.retain(|task| task.name != "b");
    let problem = Problem::new(&alone).unwrap();
    let cluster = Overview::of(&problem, &problem.current).cluster;
    // Without b nobody fits on n: 2 cpu and 90 memory are lost; on m both a and c do.
    assert_eq!(cluster.stranded, [2 * ONE, 90 * ONE]);
}

/// Two cards of 80 with 50 and 40 taken, and a card wholly held by one that says nothing of memory. A resource called `gpu memory` is
/// something else.
#[test]
fn memory_of_devices_is_counted_apart_from_a_resource_of_that_name() {
    let part = |name: &str, memory| with_memory(with_devices(task(name, 1, &[("gpu memory", 3)]), 1, 300), memory);
    let mut snapshot = cluster(
        vec![roomy_gpu_node("n", 3, 80), gpu_node("bare", 2)],
        vec![
            at_devices(part("a", 50), "n", &[0]),
            at_devices(part("b", 40), "n", &[1]),
            at_devices(with_devices(task("c", 1, &[]), 1, 1000), "n", &[2]),
            part("d", 40),
        ],
    );
    snapshot.resources = resources(&["cpu", "gpu memory"]);
    snapshot.nodes.iter_mut().for_each(|node| node.allocatable.extend(amounts(&[("gpu memory", 10)])));
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("s.json");
    std::fs::write(&path, bayplan::file::write_snapshot(&snapshot)).unwrap();
    let path = path.to_str().unwrap();
    let told: Value = serde_json::from_str(&status(&[path, "-o", "json"])).unwrap();
    let amounts = told["cluster"]["amounts"].as_array().unwrap();
    let of = |field: &str, name: &str| amounts.iter().find(|row| row[field] == json!(name)).unwrap();
    let figures =
        |row: &Value| ["used", "allocatable", "headroom", "stranded"].map(|figure| row[figure].as_i64().unwrap());
    assert_eq!(figures(of("resource", "gpu memory")), [6, 20, 14, 10]);
    assert_eq!(figures(of("device", "gpu")), [1600, 5000, 3400, 700]);
    // Of the card of a 30 are left, too few for anybody; of the one that c holds nobody can use any.
    assert_eq!(figures(of("device_memory", "gpu")), [90, 240, 150, 110]);
    let table = status(&[path]);
    for row in ["| gpu memory   ", "| gpu memory (of devices) ", "| gpu devices (milli) "] {
        assert_eq!(table.lines().filter(|line| line.starts_with(row)).count(), 1, "{row} in {table}");
    }
    let page = status(&[path, "-o", "prometheus"]);
    let used = "bayplan_used{set=\"cluster\",level=\"\",name=\"\",kind=";
    for sample in
        ["\"resource\",resource=\"gpu memory\",unit=\"\"} 6", "\"device_memory\",resource=\"gpu\",unit=\"\"} 90"]
    {
        assert!(page.contains(&format!("{used}{sample}\n")), "{sample} in {page}");
    }
}

// ---------------------------------------------------------------------------------------------------- the forms of it

#[test]
fn the_status_table_stays_readable() {
    insta::assert_snapshot!(status(&["data/small.json"]));
}

#[test]
fn the_three_published_figures_are_in_every_form() {
    let json: Value = serde_json::from_str(&status(&["data/abc.json", "-o", "json"])).unwrap();
    assert_eq!(json["format"], json!("bayplan-status/1"));
    assert_eq!(json["utilization"], json!(0.25));
    assert!((json["weighted_utilization"].as_f64().unwrap() - 31.0 / 12.0).abs() < 1e-12);
    assert_eq!(json["cluster"]["amounts"][0]["headroom"], json!(4));
    let text = status(&["data/abc.json", "-o", "prometheus"]);
    for line in ["bayplan_utilization_ratio 0.25", "bayplan_weighted_utilization 2.583333"] {
        assert!(text.lines().any(|known| known == line), "{line} is in {text}");
    }
    let table = status(&["data/abc.json"]);
    for figure in ["25.0 %", "2.583333", "|        4 |"] {
        assert!(table.contains(figure), "{figure} is in {table}");
    }
}

#[test]
fn a_page_for_prometheus_is_valid_and_stable() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("s.json");
    for_seeds("prometheus", 12, |_, rng| {
        let mut snapshot = random_snapshot(rng, Size::SMALL, Kinds::ALL);
        snapshot.name = "quote \" slash \\ line\nend é".to_string();
        // A resource and a kind of device may share a name, and a level may be called pool.
        snapshot.resources.push(ResourceSpec { name: "gpu".to_string(), ..ResourceSpec::default() });
        snapshot.levels.push("pool".to_string());
        std::fs::write(&path, bayplan::file::write_snapshot(&snapshot)).unwrap();
        let page = status(&[path.to_str().unwrap(), "-o", "prometheus"]);
        let objections = page_objections(&page);
        assert!(objections.is_empty(), "{objections:#?}\n{page}");
        assert!(page.contains("name=\"quote \\\" slash \\\\ line\\nend é\""));
        assert_eq!(page, status(&[path.to_str().unwrap(), "-o", "prometheus"]));
    });
}

#[test]
fn a_plan_changes_the_status() {
    let json: Value = serde_json::from_str(&status(&["data/abc.json", "data/abc.plan.json", "-o", "json"])).unwrap();
    assert_eq!((&json["state"], &json["objective"]), (&json!("planned"), &json!(5)));
    assert_eq!(json["cluster"]["amounts"][0]["headroom"], json!(0));
}
