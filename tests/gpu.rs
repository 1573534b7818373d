//! Do CPU and device compute the same, bit for bit? Round by round and as whole plans, on any adapter, a software one
//! included. What happens when a device errs or fails is in `gpu_drills.rs`.

mod common;

use bayplan::bound;
use bayplan::bulk::{self, Device, Options, Race};
use bayplan::control::Control;
use bayplan::generate::{Order, Shape, Wish, generate};
use bayplan::gpu::{Gpu, Market, Prices};
use bayplan::kernel::price;
use bayplan::model::*;
use common::*;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Working memory, state, points and best must be equal after each of these numbers of rounds, and all scores.
#[track_caller]
fn assert_rounds_are_equal(problem: &Problem, gpu: &Arc<Gpu>, seed: u64, rounds: &[u32]) {
    let device = Device::new(Arc::clone(gpu), problem).unwrap();
    let race = Race::new(problem, &device, seed, 200).unwrap();
    let what = &problem.name;
    for count in rounds {
        let (host, device) = (race.host(*count, 1), race.device(*count).unwrap());
        let difference = host.outcome.difference(&device.outcome);
        assert_eq!(difference, None, "{what}, {count} rounds: host and device");
    }
    let (host, device) = (race.host_score(200, 1), race.device_score(200).unwrap());
    assert_eq!(host.outcome, device.outcome, "{what}: scores");
}

/// One thread, two threads and the device end at the same placement, and nothing is said against the device.
#[track_caller]
fn assert_plans_are_equal(problem: &Problem, gpu: &Arc<Gpu>, seed: u64, effort: u64) {
    let options = |threads| Options { seed, effort: Some(effort), threads, ..Options::default() };
    let solve = |options: &Options| bulk::solve(problem, options, &Control::unlimited());
    let one = solve(&options(1));
    let two = solve(&options(2));
    let device = Device::new(Arc::clone(gpu), problem).unwrap();
    let there = solve(&Options { device: Some(device), ..options(2) });
    assert_eq!(there.troubles, [], "{}: the device did well", problem.name);
    assert!(one.placement == two.placement, "{}: one and two threads", problem.name);
    assert!(one.placement == there.placement, "{}: CPU and device", problem.name);
    assert_eq!((one.evaluations, one.effort), (there.evaluations, there.effort), "{}", problem.name);
}

#[test]
fn rounds_of_small_clusters_are_equal() {
    let Some(gpu) = gpu("rounds_of_small_clusters_are_equal") else { return };
    for_seeds("gpu small", 60, |seed, rng| {
        let problem = Problem::new(&random_snapshot(rng, Size::SMALL, Kinds::ALL)).unwrap();
        assert_rounds_are_equal(&problem, &gpu, seed, &[1, 2, 3, 10]);
    });
}

#[test]
fn rounds_of_clusters_of_several_blocks_are_equal() {
    let Some(gpu) = gpu("rounds_of_clusters_of_several_blocks_are_equal") else { return };
    for_seeds("gpu medium", 30, |seed, rng| {
        let problem = Problem::new(&random_snapshot(rng, Size::MEDIUM, Kinds::ALL)).unwrap();
        assert_rounds_are_equal(&problem, &gpu, seed, &[1, 2, 3, 4, 10]);
    });
}

#[test]
fn rounds_are_equal_when_a_device_allows_few_workgroups() {
    let Some(mut gpu) = own_gpu("rounds_are_equal_when_a_device_allows_few_workgroups") else { return };
    gpu.limit_workgroups(3);
    let gpu = Arc::new(gpu);
    for_seeds("gpu few workgroups", 5, |seed, rng| {
        let problem = Problem::new(&random_snapshot(rng, Size::MEDIUM, Kinds::ALL)).unwrap();
        assert_rounds_are_equal(&problem, &gpu, seed, &[1, 2, 5]);
    });
}

/// Around the sizes of workgroups and of sets in words, and nothing at all.
#[test]
fn rounds_of_odd_sizes_are_equal() {
    let Some(gpu) = gpu("rounds_of_odd_sizes_are_equal") else { return };
    for nodes in [0, 1, 31, 33, 63, 64, 65, 97, 125, 126, 128, 129, 251] {
        for tasks in [0, 1, 64, 129] {
            let list = (0..nodes).map(|n| node(&format!("n{n}"), &[("cpu", 40)]));
            let work = (0..tasks).map(|t| task(&format!("t{t}"), 1 + t % 7, &[("cpu", 3 + t % 5)]));
            let mut snapshot = cluster(list.collect(), work.collect());
            snapshot.resources = resources(&["cpu"]);
            snapshot.name = format!("{nodes} nodes, {tasks} tasks");
            assert_rounds_are_equal(&Problem::new(&snapshot).unwrap(), &gpu, 1, &[1, 4]);
        }
    }
}

/// Random markets, with many places, in several tiles, with costs of moves and masks that admit nobody.
#[test]
fn prices_are_equal() {
    let Some(gpu) = gpu("prices_are_equal") else { return };
    for_seeds("gpu prices", 40, |seed, rng| {
        let large = if seed % 8 == 0 { 3000 } else { 70 };
        let (count, columns, kinds) = (rng.below(large) + 1, rng.below(7) + 1, rng.below(200));
        let mask_words = count.div_ceil(32);
        let mut list =
            |length: usize, low: i64, high: i64| -> Vec<i64> { (0..length).map(|_| rng.range(low, high)).collect() };
        let price = list(count * columns, -3, 1 << 40);
        let requirement = list(kinds * columns, 0, 1 << 15);
        let moves = list(4 * count, 0, 1 << 30);
        let masks: Vec<u32> = list(3 * mask_words, 0, u32::MAX.into()).into_iter().map(|word| word as u32).collect();
        let masks = [masks, vec![0; mask_words]].concat();
        let mask: Vec<u32> = list(kinds, 0, 3).into_iter().map(|row| row as u32).collect();
        let row = |row: i64| if row == 4 { u32::MAX } else { row as u32 };
        let from: Vec<u32> = list(kinds, 0, 4).into_iter().map(row).collect();
        let denominator = 1 << 20;
        let places =
            price::Places { count, columns, price: &price, masks: &masks, mask_words, moves: &moves, denominator };
        let one = |kind: usize| {
            let requirement = &requirement[kind * columns..][..columns];
            price::price(&places, &price::Kind { requirement, mask: mask[kind], from: from[kind] })
        };
        let expected: Vec<_> = (0..kinds).map(one).collect();
        let market = Market {
            places: count,
            columns,
            requirement: &requirement,
            masks: &masks,
            mask: &mask,
            from: &from,
            moves: &moves,
        };
        let there = Prices::new(Arc::clone(&gpu), &market, 64 + seed as usize).unwrap();
        assert_eq!(there.cheapest(&price, denominator).unwrap(), expected);
    });
}

/// Whole bounds: the same prices, by any road.
#[test]
fn bounds_are_equal() {
    let test = "bounds_are_equal";
    let Some(gpu) = gpu(test) else { return };
    let check = |problem: &Problem, steps: u32| {
        let device = bound::Device::new(Arc::clone(&gpu));
        let options = bound::Options { steps: Some(steps), threads: 1, ..bound::Options::default() };
        let here = bound::bound(problem, &options, &Control::unlimited());
        let options = bound::Options { device: Some(device.clone()), threads: 2, ..options };
        assert_eq!(bound::bound(problem, &options, &Control::unlimited()), here, "{}", problem.name);
        assert_eq!(device.trouble(), None, "{}", problem.name);
    };
    for_seeds("gpu bounds", 60, |_, rng| {
        check(&Problem::new(&random_snapshot(rng, Size::SMALL, Kinds::ALL)).unwrap(), 30);
    });
    for problem in ["a1_2", "a2_3"].iter().filter_map(|name| roadef_problem(test, name)) {
        check(&problem, 5);
    }
    for problem in OPENB[..2].iter().filter_map(|name| openb_problem(test, name)) {
        check(&problem, 3);
    }
}

/// More workgroups than 65,535 in one dispatch.
#[test]
fn many_workgroups_count_to_the_end() {
    let Some(gpu) = gpu("many_workgroups_count_to_the_end") else { return };
    assert!(gpu.peak().unwrap() > 0.0, "each of its invocations is checked");
}

#[test]
fn rounds_of_real_data_are_equal() {
    let test = "rounds_of_real_data_are_equal";
    let Some(gpu) = gpu(test) else { return };
    for problem in ["a1_2", "a2_3", "b_1"].iter().filter_map(|name| roadef_problem(test, name)) {
        assert_rounds_are_equal(&problem, &gpu, 1, &[1, 2, 3]);
    }
    for problem in BALANCE.iter().filter_map(|name| balance_problem(test, name)) {
        assert_rounds_are_equal(&Goal::Balance.apply(&problem), &gpu, 1, &[1, 2, 5]);
    }
    for problem in OPENB[..2].iter().filter_map(|name| openb_problem(test, name)) {
        assert_rounds_are_equal(&problem, &gpu, 1, &[1, 2]);
    }
}

#[test]
fn plans_for_random_clusters_are_equal() {
    let Some(gpu) = gpu("plans_for_random_clusters_are_equal") else { return };
    for_seeds("gpu plans", 60, |seed, rng| {
        let size = if seed % 4 == 0 { Size::MEDIUM } else { Size::SMALL };
        let problem = Problem::new(&random_snapshot(rng, size, Kinds::ALL)).unwrap();
        // With the longer ones, chains that exceed limits are tried as well.
        assert_plans_are_equal(&problem, &gpu, seed, if seed % 4 == 1 { 2400 } else { 300 });
    });
}

/// So long that chains go to the device from the best of two starts (start.rs): tasks run, and any of them may move.
#[test]
fn plans_of_long_searches_are_equal() {
    let Some(gpu) = gpu("plans_of_long_searches_are_equal") else { return };
    let wish = Wish { nodes: Some(6), tasks: Some(24), seed: 1, ..Wish::default() };
    let problem = Problem::new(&generate(&Order::new(Shape::Huge, wish).unwrap())).unwrap();
    assert_plans_are_equal(&problem, &gpu, 1, 80_000);
}

#[test]
fn plans_for_roadef_are_equal() {
    let test = "plans_for_roadef_are_equal";
    let Some(gpu) = gpu(test) else { return };
    for problem in ROADEF.iter().filter_map(|name| roadef_problem(test, name)) {
        assert_plans_are_equal(&problem, &gpu, 1, if problem.tasks.len() < 1000 { 2400 } else { 60 });
    }
}

#[test]
fn plans_for_openb_are_equal() {
    let test = "plans_for_openb_are_equal";
    let Some(gpu) = gpu(test) else { return };
    for problem in OPENB.iter().filter_map(|name| openb_problem(test, name)) {
        assert_plans_are_equal(&problem, &gpu, 1, 40);
    }
}

#[test]
fn plans_for_the_rest_of_the_data_are_equal() {
    let test = "plans_for_the_rest_of_the_data_are_equal";
    let Some(gpu) = gpu(test) else { return };
    for problem in BALANCE.iter().filter_map(|name| balance_problem(test, name)).chain(two_hundred_tasks(test)) {
        assert_plans_are_equal(&problem, &gpu, 1, 100);
        assert_plans_are_equal(&Goal::Balance.apply(&problem), &gpu, 1, 100);
    }
}

/// Who goes on from where a plan ends has a device that was prepared for where it began.
#[test]
fn a_device_takes_whatever_problem_is_searched() {
    let Some(gpu) = gpu("a_device_takes_whatever_problem_is_searched") else { return };
    let moved = std::sync::atomic::AtomicUsize::new(0);
    for_seeds("gpu later", 10, |seed, rng| {
        let problem = Problem::new(&random_snapshot(rng, Size::SMALL, Kinds::ALL)).unwrap();
        let device = Some(Device::new(Arc::clone(&gpu), &problem).unwrap());
        let options = Options { seed, effort: Some(100), threads: 1, ..Options::default() };
        let solve = |problem: &Problem, options: &Options| bulk::solve(problem, options, &Control::unlimited());
        let later = problem.afterwards(&solve(&problem, &options).placement);
        let (host, there) = (solve(&later, &options), solve(&later, &Options { device, ..options.clone() }));
        assert_eq!(there.troubles, [], "seed {seed}");
        assert!(host.placement == there.placement, "seed {seed}");
        moved.fetch_add(usize::from(later.current != problem.current), std::sync::atomic::Ordering::Relaxed);
    });
    let moved = moved.into_inner();
    assert!(moved > 3, "{moved} clusters were other ones later");
}

/// By the clock the plans may differ, but the device must be given up in time.
#[test]
fn a_time_limit_ends_the_search_on_a_device() {
    let test = "a_time_limit_ends_the_search_on_a_device";
    let Some(gpu) = gpu(test) else { return };
    let Some(problem) = roadef_problem(test, "b_1") else { return };
    let device = Some(Device::new(gpu, &problem).unwrap());
    let control = Control::unlimited().with_time_limit(Duration::from_secs(3));
    let started = Instant::now();
    let outcome = bulk::solve(&problem, &Options { device, threads: 1, ..Options::default() }, &control);
    // Far beyond the limit, so that a busy machine does not fail it; a batch without end would.
    assert!(started.elapsed() < Duration::from_secs(60));
    assert_eq!(outcome.troubles, []);
    assert_eq!(violations(&problem, &outcome.placement), []);
    assert!(score(&problem, &outcome.placement).objective() > score(&problem, &problem.current).objective());
}
