//! Is every fault of a snapshot reported, under its code, and together with all others? Does the fingerprint see everything?

use super::*;
use std::collections::BTreeSet;

type Change = fn(&mut Snapshot);

/// A snapshot that uses every field, so that each change below has something to spoil.
fn rich() -> Snapshot {
    let mut host = in_rack(gpu_node("m", 2), "r");
    host.soft_limit = amounts(&[("cpu", 50)]);
    host.labels.insert("disk".to_string(), "ssd".to_string());
    host.taints = vec![TaintSpec { key: "gpu".to_string(), value: "only".to_string() }];
    host.pool = Some("east".to_string());
    host.price = 3;
    host.move_class = Some("x".to_string());
    let mut a = in_group(at_devices(with_devices(task("a", 5, &[("cpu", 4)]), 1, 500), "m", &[0]), "g");
    a.move_cost = 2;
    a.selector.insert("disk".to_string(), vec!["ssd".to_string()]);
    a.tolerations = vec![TolerationSpec { key: Some("gpu".to_string()), value: None }];
    let mut b = in_group(at(task("b", 1, &[("cpu", 8)]), "n"), "h");
    b.sharing = SharingSpec::Elastic;
    b.min_share = Some("1/2".to_string());
    let mut c = task("c", 1, &[("cpu", 9)]);
    c.sharing = SharingSpec::Divisible;
    let mut snapshot = cluster(vec![host, in_rack(node("n", &[("cpu", 10)]), "s")], vec![a, b, c]);
    snapshot.levels = vec!["rack".to_string()];
    snapshot.resources = resources(&["cpu", "memory"]);
    let spread = vec![SpreadSpec { level: "rack".to_string(), min: 1 }];
    let depends_on = vec![DependencySpec { group: "h".to_string(), level: "rack".to_string() }];
    snapshot.groups = vec![
        GroupSpec { conflict: vec!["node".to_string()], spread, max_unavailable: Some(1), ..group("g") },
        GroupSpec { gang: Some(GangSpec::default()), depends_on: Vec::new(), ..group("h") },
    ];
    snapshot.groups[0].depends_on = depends_on;
    let balance = BalanceSpec { resource: "cpu".to_string(), other: "memory".to_string(), target: 1, weight: 1 };
    snapshot.objective.balance = vec![balance];
    let between = vec![("x".to_string(), "x".to_string(), 1)];
    snapshot.objective.move_costs = Some(MoveCostsSpec { default: 2, between });
    let mix = vec![MixSpec { parts: 1, requirement: amounts(&[("cpu", 1)]), device: gpus(1, 1000) }];
    snapshot.objective.fragmentation = Some(FragmentationSpec { weight: 1, mix });
    snapshot
}

/// Code, what its fault must speak of, and a change that brings it about. Several per code where the code has several causes.
const FAULTS: [(&str, &str, Change); 56] = [
    ("P101", "tasks[0]", |s| s.tasks[0].name.clear()),
    ("P101", "tasks[2]", |s| s.tasks[2].name.clear()),
    ("P102", "levels[2]", |s| s.levels.push("node".to_string())),
    ("P102", "resources[1]", |s| s.resources.insert(0, s.resources[0].clone())),
    ("P102", "groups[1]", |s| {
        s.groups[1].name = "g".to_string();
        s.groups[0].depends_on.clear();
        s.tasks[1].group = None;
    }),
    ("P102", "tasks[1]", |s| s.tasks[1].name = "a".to_string()),
    ("P102", "nodes[1]", |s| {
        s.nodes[1].name = "m".to_string();
        s.tasks[1].placement.clear();
    }),
    ("P103", "\"gg\"", |s| s.tasks[0].group = Some("gg".to_string())),
    ("P103", "\"moon\"", |s| s.tasks[1].placement[0].node = "moon".to_string()),
    ("P103", "\"hh\"", |s| s.groups[0].depends_on[0].group = "hh".to_string()),
    ("P103", "\"row\"", |s| s.groups[0].conflict = vec!["row".to_string()]),
    ("P103", "\"row\"", |s| s.groups[0].spread[0].level = "row".to_string()),
    ("P103", "\"row\"", |s| {
        s.nodes[0].domains.insert("row".to_string(), "1".to_string());
    }),
    ("P103", "\"node\"", |s| {
        s.nodes[0].domains.insert("node".to_string(), "1".to_string());
    }),
    ("P103", "\"cpus\"", |s| s.tasks[0].requirement = amounts(&[("cpus", 1)])),
    ("P103", "\"cpus\"", |s| s.nodes[0].soft_limit = amounts(&[("cpus", 1)])),
    ("P103", "\"cpus\"", |s| s.objective.balance[0].other = "cpus".to_string()),
    ("P104", "\"z\"", |s| s.objective.move_costs.as_mut().unwrap().between[0].1 = "z".to_string()),
    ("P201", "resources", |s| (0..40).for_each(|r| s.resources.extend(resources(&[&format!("extra{r}")])))),
    ("P202", "-1 ", |s| s.tasks[0].weight = -1),
    ("P202", "target 1048577 times weight 1048576 is too large", |s| {
        let [resource, other] = ["cpu", "memory"].map(String::from);
        s.objective.balance.push(BalanceSpec { resource, other, target: (1 << 20) + 1, weight: 1 << 20 });
    }),
    ("P202", "allocatable.cpu", |s| s.nodes[0].allocatable = amounts(&[("cpu", AMOUNT_MAX + 1)])),
    ("P202", "price", |s| s.nodes[1].price = i64::MIN),
    ("P202", "variance_weight", |s| s.resources[0].variance_weight = AMOUNT_MAX + 1),
    ("P202", "move_cost", |s| s.tasks[2].move_cost = -5),
    ("P202", "price_weight", |s| s.objective.price_weight = i64::MAX),
    ("P202", "between[0]", |s| s.objective.move_costs.as_mut().unwrap().between[0].2 = -1),
    ("P203", "65 devices", |s| {
        s.nodes[1].devices =
            vec![DevicesSpec { kind: "gpu".to_string(), model: String::new(), count: 65, memory: None }];
    }),
    ("P204", "count is 0", |s| s.tasks[0].device.as_mut().unwrap().count = 0),
    ("P204", "500 milli of each of 2", |s| s.tasks[0].device.as_mut().unwrap().count = 2),
    ("P204", "1001 milli", |s| s.objective.fragmentation.as_mut().unwrap().mix[0].device.milli = 1001),
    ("P202", "devices, memory", |s| s.nodes[0].devices[0].memory = Some(-1)),
    ("P202", "device, memory", |s| s.tasks[0].device.as_mut().unwrap().memory = Some(AMOUNT_MAX + 1)),
    ("P207", "nodes[0]", |s| s.nodes[0].devices[0].memory = Some(0)),
    ("P207", "mix[0]", |s| s.objective.fragmentation.as_mut().unwrap().mix[0].device.memory = Some(0)),
    ("P205", "tasks[2]", |s| s.tasks[2].device = Some(gpus(1, 1000))),
    ("P206", "tasks[1]", |s| s.tasks[1].min_share = None),
    ("P206", "\"0\"", |s| s.tasks[1].min_share = Some("0".to_string())),
    ("P206", "tasks[2]", |s| s.tasks[2].min_share = Some("1/2".to_string())),
    ("P301", "\"3/2\"", |s| s.tasks[1].placement[0].share = Some("3/2".to_string())),
    ("P302", "device 2", |s| s.tasks[0].placement[0].devices = vec![2]),
    ("P302", "device 1", |s| s.tasks[0].placement[0].devices = vec![1, 1]),
    ("P303", "named twice", |s| {
        let piece = PieceSpec { node: "n".to_string(), share: Some("1/3".to_string()), devices: Vec::new() };
        s.tasks[2].placement = vec![piece.clone(), piece];
    }),
    ("P304", "2 pieces", |s| {
        let piece = s.tasks[0].placement[0].clone();
        s.tasks[0].placement.push(PieceSpec { node: "n".to_string(), devices: Vec::new(), ..piece });
    }),
    ("P305", "it is there already", |s| s.tasks[0].moving_to = s.tasks[0].placement.clone()),
    ("P403", "groups[0]", |s| s.groups[0].gang = Some(GangSpec { min_members: Some(0), within: None })),
    ("P101", "tenant", |s| s.tasks[0].tenant = Some(String::new())),
    ("P102", "pools[1]", |s| s.pools = vec![pool("east"), pool("east")]),
    ("P103", "\"east\"", |s| s.pools = vec![pool("west")]),
    ("P103", "\"moon\"", |s| s.tasks[0].regions = vec!["moon".to_string()]),
    ("P103", "\"eats\"", |s| s.pools = vec![PoolSpec { egress: amounts(&[("eats", 1)]), ..pool("east") }]),
    ("P105", "bayplan/region", |s| {
        s.nodes[0].labels.insert("bayplan/region".to_string(), "eu".to_string());
    }),
    ("P202", "egress.east", |s| s.pools = vec![PoolSpec { egress: amounts(&[("east", -1)]), ..pool("east") }]),
    ("P301", "spot_risk", |s| s.pools = vec![PoolSpec { spot_risk: Some("2".to_string()), ..pool("east") }]),
    ("P404", "burst", |s| {
        s.pools = vec![PoolSpec { burst: true, ..pool("east") }];
        s.resources[0].load_weight = AMOUNT_MAX;
    }),
    ("P401", "groups[0]", |s| s.groups[0].max_unavailable = Some(0)),
];

#[test]
fn the_rich_snapshot_is_right() {
    problem(&rich());
}

#[test]
fn each_fault_has_its_code_and_place() {
    for (code, word, spoil) in FAULTS {
        let mut snapshot = rich();
        spoil(&mut snapshot);
        let faults = Problem::new(&snapshot).expect_err(code);
        let told: Vec<String> = faults.list().iter().map(|fault| fault.to_string()).collect();
        let codes: BTreeSet<&str> = faults.list().iter().map(|fault| fault.code).collect();
        assert_eq!(codes, BTreeSet::from([code]), "{told:?}");
        assert!(told.iter().any(|line| line.contains(word)), "{word:?} is not in {told:?}");
        assert!(faults.list().iter().all(|fault| !fault.place.is_empty() && !fault.remedy.is_empty()));
    }
}

#[test]
fn too_many_move_classes_are_a_fault() {
    let mut snapshot = rich();
    for n in 0..8200 {
        snapshot.nodes.push(NodeSpec { move_class: Some(format!("c{n}")), ..node(&format!("extra{n}"), &[]) });
    }
    let faults = Problem::new(&snapshot).expect_err("too many");
    assert_eq!(faults.list().iter().map(|fault| fault.code).collect::<Vec<_>>(), ["P402"]);
}

#[test]
fn every_code_of_the_source_is_covered() {
    let source = [include_str!("../../src/model/check.rs"), include_str!("../../src/model/check/pools.rs")].concat();
    let quoted = source.split('"').filter(|part| {
        part.len() == 4 && part.starts_with('P') && part[1..].bytes().all(|digit| digit.is_ascii_digit())
    });
    let covered: BTreeSet<&str> = FAULTS.iter().map(|(code, _, _)| *code).chain(["P402"]).collect();
    assert_eq!(quoted.collect::<BTreeSet<&str>>(), covered);
}

#[test]
fn all_faults_come_at_once() {
    // The first change of each code; some others would hide each other.
    let mut snapshot = rich();
    let mut codes = BTreeSet::new();
    // What a burst pool must cost is only worked out for a snapshot that is right otherwise.
    for (code, _, spoil) in FAULTS.into_iter().filter(|(code, ..)| *code != "P404") {
        if codes.insert(code) {
            spoil(&mut snapshot);
        }
    }
    let faults = Problem::new(&snapshot).expect_err("everything is wrong");
    let found: BTreeSet<&str> = faults.list().iter().map(|fault| fault.code).collect();
    assert_eq!(found, codes, "{faults}");
}

#[test]
fn faults_beyond_the_limit_are_counted() {
    let mut snapshot = rich();
    for t in 0..200 {
        snapshot.tasks.push(task(&format!("extra{t}"), -1, &[]));
    }
    let faults = Problem::new(&snapshot).expect_err("negative weights");
    assert_eq!((faults.list().len(), faults.count()), (FAULT_SHOWN_MAX, 200));
    assert!(faults.to_string().ends_with("… and 150 more"));
}

#[test]
fn the_fingerprint_sees_every_change() {
    const CHANGES: [Change; 39] = [
        |_| {},
        |s| s.name.push('x'),
        |s| s.resources[0].unit.push('x'),
        |s| s.resources[0].transient = true,
        |s| s.resources[0].load_weight = 1,
        |s| s.resources[0].variance_weight = 1,
        |s| s.resources.swap(0, 1),
        |s| s.nodes.swap(0, 1),
        |s| s.tasks.swap(0, 1),
        |s| s.groups.swap(0, 1),
        |s| s.nodes[0].allocatable = amounts(&[("cpu", 101)]),
        |s| s.nodes[0].soft_limit.clear(),
        |s| s.nodes[0].labels.clear(),
        |s| s.nodes[0].taints[0].value.clear(),
        |s| s.nodes[0].domains.clear(),
        |s| s.nodes[0].pool = None,
        |s| s.nodes[0].price = 4,
        |s| s.nodes[0].cordoned = true,
        |s| s.nodes[0].devices[0].count = 3,
        |s| s.nodes[0].devices[0].model.push('x'),
        |s| s.nodes[1].move_class = Some("x".to_string()),
        |s| s.tasks[0].kind = TaskKind::Vm,
        |s| s.tasks[0].weight = 6,
        |s| s.tasks[0].requirement = amounts(&[("cpu", 5)]),
        |s| s.tasks[1].min_share = Some("1/3".to_string()),
        |s| s.tasks[0].placement[0].devices = vec![1],
        |s| s.tasks[1].placement[0].share = Some("1/2".to_string()),
        |s| s.tasks[0].pinned = true,
        |s| s.tasks[0].evictable = false,
        |s| s.tasks[0].move_cost = 3,
        |s| s.tasks[0].group = None,
        |s| s.tasks[0].tenant = Some("x".to_string()),
        |s| s.pools.push(pool("east")),
        |s| s.pools.push(PoolSpec { burst: true, ..pool("east") }),
        |s| s.pools.push(PoolSpec { region: Some("eu".to_string()), ..pool("east") }),
        |s| s.groups[0].max_unavailable = None,
        |s| s.objective.node_move_weight = 1,
        |s| s.moves.mode = MoveMode::Simultaneous,
        |s| s.moves.max_moves = Some(1),
    ];
    let fingerprints = CHANGES.map(|change| {
        let mut snapshot = rich();
        change(&mut snapshot);
        let fingerprint = problem(&snapshot).fingerprint;
        assert_eq!(fingerprint, problem(&snapshot.clone()).fingerprint);
        fingerprint
    });
    let distinct: BTreeSet<&String> = fingerprints.iter().collect();
    assert_eq!(distinct.len(), CHANGES.len());
    assert!(fingerprints.iter().all(|f| f.len() == 64 && f.bytes().all(|b| b.is_ascii_hexdigit())));
}
