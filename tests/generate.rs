//! Are synthetic clusters what they promise? The same bytes for the same order, sound, within the rules, and as full as asked.

mod common;

use bayplan::file;
use bayplan::generate::{Order, Shape, Wish, generate};
use bayplan::model::*;
use common::for_seeds;

fn wish(nodes: u64, tasks: u64, seed: u64) -> Wish {
    Wish { nodes: Some(nodes), tasks: Some(tasks), seed, ..Wish::default() }
}

fn order(shape: Shape, wish: Wish) -> Order {
    Order::new(shape, wish).unwrap_or_else(|faults| panic!("{}: {faults:?}", shape.name()))
}

/// A sound problem whose start keeps every rule.
#[track_caller]
fn sound(order: &Order) -> Problem {
    let problem = Problem::new(&generate(order)).unwrap_or_else(|faults| panic!("{order}: {faults}"));
    let broken = violations(&problem, &problem.current);
    let told: Vec<_> = broken.iter().take(5).map(|violation| violation.describe(&problem)).collect();
    assert!(told.is_empty(), "{order}: {} broken rules:\n{}", broken.len(), told.join("\n"));
    problem
}

/// Demand of a resource as a percentage of its capacity, and the standard deviation of what nodes use of theirs, in percent.
fn fill(problem: &Problem, r: usize) -> (f64, f64) {
    let capacity = |node: NodeId| problem.allocatable(node)[r] as f64;
    let demand: f64 = problem.task_ids().map(|task| problem.requirement(task)[r] as f64).sum();
    let usage = Usage::of(problem, &problem.current);
    let used = |node: NodeId| usage.amount(node, ResourceId::new(r)) as f64 / f64::from(SHARE_ONE);
    let having: Vec<NodeId> = problem.node_ids().filter(|node| capacity(*node) > 0.0).collect();
    let parts: Vec<f64> = having.iter().map(|node| 100.0 * used(*node) / capacity(*node)).collect();
    let mean = parts.iter().sum::<f64>() / parts.len() as f64;
    let variance = parts.iter().map(|part| (part - mean).powi(2)).sum::<f64>() / parts.len() as f64;
    (100.0 * demand / having.iter().map(|node| capacity(*node)).sum::<f64>(), variance.sqrt())
}

/// First half of the fingerprint of 7 nodes, 61 tasks, seed 11. They change only when a shape is meant to change: then the
/// benchmark figures of that shape have to be measured anew.
const GOLDEN: [(Shape, &str); 6] = [
    (Shape::Balance, "fe12d6a1d26c083a70245f6e96561713"),
    (Shape::Huge, "47783c0a1763f87bc47e97f2889714af"),
    (Shape::Wide, "d26cb438181853357b89450068552bee"),
    (Shape::Transient, "f83b3953539c1583ce26a8dabf25c7dd"),
    (Shape::Racks, "41fe2788a3b183f7c1190baf7cee130a"),
    (Shape::Queue, "2245e3e9ff9a5897c9886a6db0204c20"),
];

#[test]
fn the_same_order_gives_the_same_bytes_everywhere() {
    assert_eq!(GOLDEN.map(|(shape, _)| shape), Shape::ALL);
    let made = GOLDEN.map(|(shape, _)| {
        let order = order(shape, wish(7, 61, 11));
        let snapshot = generate(&order);
        let bytes = file::write_snapshot(&snapshot);
        assert_eq!(bytes, file::write_snapshot(&generate(&order)), "{order}");
        let read = file::read_snapshot(&bytes).unwrap_or_else(|faults| panic!("{order}: {faults}"));
        assert_eq!(read, snapshot, "{order}: what is written can be read");
        (shape, Problem::new(&snapshot).unwrap().fingerprint[..32].to_string())
    });
    let expected = GOLDEN.map(|(shape, fingerprint)| (shape, fingerprint.to_string()));
    assert_eq!(made, expected);
}

#[test]
fn another_seed_gives_another_cluster() {
    for shape in Shape::ALL {
        assert_ne!(generate(&order(shape, wish(7, 61, 1))).tasks, generate(&order(shape, wish(7, 61, 2))).tasks);
    }
}

#[test]
fn odd_sizes_are_sound() {
    for shape in Shape::ALL {
        for (nodes, tasks) in [(1, 1), (1, 2), (2, 1), (1, 300), (50, 1), (3, 7), (17, 16), (33, 101), (129, 65)] {
            for seed in 0..4 {
                let problem = sound(&order(shape, wish(nodes, tasks, seed)));
                assert_eq!((problem.nodes.len(), problem.tasks.len()), (nodes as usize, tasks as usize));
            }
        }
    }
}

#[test]
fn every_fill_is_sound_and_met() {
    for_seeds("fill", 60, |seed, rng| {
        let shape = *rng.pick(&Shape::ALL);
        let range = shape.fill();
        let percent = rng.range(range.least as i64, range.most as i64) as u64;
        let percent = *rng.pick(&[range.least, range.most, range.usual, percent]);
        let nodes = rng.range(24, 120) as u64;
        let tasks = nodes * rng.range(20, 60) as u64;
        let order = order(shape, Wish { fill: Some(percent), ..wish(nodes, tasks, seed) });
        let problem = sound(&order);
        // GPUs come in fixed amounts: they do not follow the fill.
        let followers = (0..problem.resources.len()).filter(|r| problem.resources[*r].name != "gpu");
        let most = followers.map(|r| fill(&problem, r).0).fold(0.0, f64::max);
        // Waiting tasks are drawn, all others are cut to measure.
        let all_run = problem.task_ids().all(|task| problem.current.spot(task).is_placed());
        let allowed = percent as f64 * if all_run { 0.04 } else { 0.25 } + 1.0;
        assert!((most - percent as f64).abs() <= allowed, "{order}: {most:.1} % instead of {percent} %");
    });
}

#[test]
fn balance_is_as_lopsided_as_its_model() {
    let problem = sound(&order(Shape::Balance, wish(500, 10_000, 1)));
    let [cpu, memory, gpu] = [0, 1, 2].map(|r| fill(&problem, r));
    assert!((60.0..64.0).contains(&cpu.0) && (30.0..34.5).contains(&cpu.1), "cpu {cpu:?}");
    assert!((55.0..60.0).contains(&memory.0) && (29.0..34.5).contains(&memory.1), "memory {memory:?}");
    assert!((35.0..55.0).contains(&gpu.0) && (28.0..40.0).contains(&gpu.1), "gpu {gpu:?}");
    let variance: f64 = [cpu, memory, gpu].iter().map(|(_, deviation)| (deviation / 100.0).powi(2)).sum();
    assert!((0.26..0.40).contains(&variance), "sum of variances {variance}");
    let with_gpu = problem.task_ids().filter(|task| problem.requirement(*task)[2] > 0).count();
    assert!((500..720).contains(&with_gpu), "{with_gpu} of 10,000 tasks use GPUs");
}

#[test]
fn every_shape_has_what_makes_it_hard() {
    let usual = |shape| sound(&order(shape, Wish::default()));
    let waits = |problem: &Problem| problem.task_ids().filter(|t| !problem.current.spot(*t).is_placed()).count();

    let huge = usual(Shape::Huge);
    let is_huge = |task: &TaskId| huge.requirement(*task)[0] > 11_000;
    let count = huge.task_ids().filter(is_huge).count();
    assert!((150..300).contains(&count), "{count} huge tasks on 100 nodes");
    assert_eq!(waits(&huge), 18);

    let wide = usual(Shape::Wide);
    assert_eq!(wide.resources.len(), 16);
    assert!(score(&wide, &wide.current).load > 0);

    let transient = usual(Shape::Transient);
    assert!(transient.moves.simultaneous && transient.resources.iter().filter(|r| r.transient).count() == 3);
    assert!(fill(&transient, 1).0 > 90.0);

    let racks = usual(Shape::Racks);
    let grouped = racks.tasks.iter().filter(|task| task.group.is_some()).count();
    assert!(grouped * 10 > racks.tasks.len() * 8, "{grouped} of {} tasks have a group", racks.tasks.len());
    for has in [
        racks.groups.iter().any(|group| !group.conflict.is_empty()),
        racks.groups.iter().any(|group| !group.spread.is_empty()),
        racks.groups.iter().any(|group| !group.depends_on.is_empty()),
    ] {
        assert!(has, "a kind of rule is missing");
    }

    let queue = usual(Shape::Queue);
    assert!(waits(&queue) > 1000);
    let requests = queue.tasks.iter().filter_map(|task| task.device.as_ref());
    let milli: u64 = requests.map(|device| u64::from(device.count * device.milli)).sum();
    let devices: u64 = queue.nodes.iter().map(|node| node.devices.len() as u64 * 1000).sum();
    assert!((110..150).contains(&(milli * 100 / devices)), "GPU demand {} %", milli * 100 / devices);
}
