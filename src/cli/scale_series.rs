//! `bayplan scale --series`: when should nodes of each pool come and go?

use super::args::ScoreForm;
use super::args_scale::ScaleArgs;
use super::failure::{Exit, Failure};
use super::faulty;
use super::io::{Source, Target};
use super::scale::pool_name;
use super::screen::{line, table};
use bayplan::file::{self, Load};
use bayplan::model::{Faults, NodeId, Problem, Snapshot};
use bayplan::scale::series::{Marks, Sample, Schedule, Unit, schedule};
use bayplan::scale::{NodeShape, price};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Value of the `format` field of the JSON answer.
const SCHEDULE_FORMAT: &str = "bayplan-schedule/1";
/// Most actions that the table shows per pool.
const SHOWN_MAX: usize = 40;

/// A pool with what it is scaled by.
struct Scaled {
    pool: Option<String>,
    shape: String,
    unit: Unit,
    price: i64,
    schedule: Schedule,
}

/// Runs the command.
pub fn run(
    args: &ScaleArgs,
    source: &Source,
    snapshot: &Snapshot,
    problem: &Problem,
    shapes: &[NodeShape],
) -> Result<Exit, Failure> {
    let problem = &problem.without_meters();
    let marks = Marks { high: args.high, low: args.low, hold: args.hold.as_secs() as i64 };
    if marks.low >= marks.high {
        return Err(Failure::Usage(
            "--low must be below --high: the band between them is what keeps nodes from flapping".into(),
        ));
    }
    let loads = file::read_loads(&source.read()?).map_err(|faults| faulty(source, faults))?;
    let samples = samples(problem, snapshot, &loads).map_err(|faults| faulty(source, faults))?;
    let scaled: Vec<Scaled> = (samples.into_iter())
        .map(|(pool, samples)| {
            let unit = |shape: Option<&NodeShape>| {
                let (shape, price, unit) = unit(problem, snapshot, shape, pool.as_ref());
                let schedule = schedule(&unit, &marks, &samples);
                Scaled { pool: pool.clone(), shape, unit, price, schedule }
            };
            // Of what is on offer that which carries the samples for least, first what is there already, then what costs least.
            let offered = shapes.iter().filter(|shape| shape.node.pool == pool).map(|shape| unit(Some(shape)));
            let cost = |own: &Scaled| {
                let more = own.schedule.peak - own.unit.start;
                (own.schedule.short.len(), i128::from(own.price) * i128::from(more), Reverse(own.unit.start), own.price)
            };
            offered.min_by_key(cost).unwrap_or_else(|| unit(None))
        })
        .collect();
    let text = match args.output {
        ScoreForm::Table => tables(&scaled),
        ScoreForm::Json => json(problem, &marks, &scaled),
    };
    Target::Stdout.write(text.as_bytes())?;
    let is_enough = scaled.iter().all(|pool| pool.schedule.short.is_empty());
    Ok(if is_enough { Exit::Done } else { Exit::Unplaced })
}

/// The samples of each pool, in the order of time.
fn samples(
    problem: &Problem,
    snapshot: &Snapshot,
    loads: &[Load],
) -> Result<BTreeMap<Option<String>, Vec<Sample>>, Faults> {
    let mut faults = Faults::new();
    let mut pools: BTreeMap<Option<String>, Vec<Sample>> = BTreeMap::new();
    for load in loads {
        let place = format!("line {}", load.line);
        if !snapshot.nodes.iter().any(|node| node.pool == load.pool) {
            let cause = format!("the snapshot has no node in {}", pool_name(load.pool.as_deref()));
            faults.add("P103", &place, cause, "name a pool of the snapshot");
            continue;
        }
        for name in load.load.keys().filter(|name| !problem.resources.iter().any(|r| r.name == **name)) {
            let known: Vec<&str> = problem.resources.iter().map(|r| r.name.as_str()).collect();
            let remedy = format!("use one of {}", known.join(", "));
            faults.add("P103", &place, format!("there is no resource {name:?}"), remedy);
        }
        let own = pools.entry(load.pool.clone()).or_default();
        if own.last().is_some_and(|last: &Sample| last.time >= load.time) {
            let cause = format!("the time {} is not after the one before it in this pool", load.time);
            faults.add("F206", &place, cause, "put the records in the order of time, one per pool and time");
        }
        let amounts = problem.resources.iter().map(|r| load.load.get(&r.name).copied().unwrap_or(0)).collect();
        own.push(Sample { time: load.time, load: amounts });
    }
    if faults.is_empty() { Ok(pools) } else { Err(faults) }
}

/// What a pool is scaled by: a shape on offer for it, else the most frequent kind of node it has. Nodes of that kind are counted, the
/// others stay. Cordoned nodes take nothing more, so they carry none of the load.
fn unit(
    problem: &Problem,
    snapshot: &Snapshot,
    offered: Option<&NodeShape>,
    pool: Option<&String>,
) -> (String, i64, Unit) {
    let inside: Vec<usize> = (0..snapshot.nodes.len()).filter(|n| snapshot.nodes[*n].pool.as_ref() == pool).collect();
    let amounts = |n: usize| problem.allocatable(NodeId::new(n)).to_vec();
    let is_open = |n: &usize| !snapshot.nodes[*n].cordoned;
    let mut kinds: BTreeMap<Vec<i64>, (usize, usize)> = BTreeMap::new();
    for n in &inside {
        let kind = kinds.entry(amounts(*n)).or_insert((0, *n));
        kind.0 += 1;
    }
    let (name, price, node) = match offered {
        Some(shape) => {
            let of = |name: &String| shape.node.allocatable.get(name).copied().unwrap_or(0);
            let own = problem.resources.iter().map(|resource| of(&resource.name)).collect();
            (shape.node.name.clone(), price(snapshot, &shape.node), own)
        }
        None => {
            let most = kinds.iter().max_by_key(|(_, (count, first))| (*count, Reverse(*first)));
            let first = most.map_or(0, |(_, (_, first))| *first);
            (format!("like {}", snapshot.nodes[first].name), price(snapshot, &snapshot.nodes[first]), amounts(first))
        }
    };
    let open: Vec<usize> = inside.into_iter().filter(is_open).collect();
    let start = open.iter().filter(|n| amounts(**n) == node).count() as u64;
    let mut fixed = vec![0; node.len()];
    for n in open.iter().filter(|n| amounts(**n) != node) {
        fixed.iter_mut().zip(amounts(*n)).for_each(|(sum, own)| *sum += own);
    }
    let is_pinned = |n: usize| {
        let here = |task: usize| problem.tasks[task].pinned && problem.current.spots()[task].is_on(NodeId::new(n));
        (0..problem.tasks.len()).any(here)
    };
    let least = open.iter().filter(|n| amounts(**n) == node && is_pinned(**n)).count() as u64;
    let most = offered.and_then(|shape| shape.most).map_or(u64::MAX, |most| start + u64::from(most));
    (name, price, Unit { node, fixed, start, least, most })
}

#[derive(Serialize)]
struct ScheduleJson<'a> {
    format: &'static str,
    snapshot: &'a str,
    fingerprint: &'a str,
    high_milli: u32,
    low_milli: u32,
    hold_seconds: i64,
    pools: Vec<PoolJson<'a>>,
}

#[derive(Serialize)]
struct PoolJson<'a> {
    /// null = the nodes that name no pool.
    pool: Option<&'a str>,
    shape: &'a str,
    price: i64,
    /// Nodes of the shape at the start.
    start: u64,
    actions: Vec<ActionJson>,
    /// Times of samples that the pool cannot carry with the most nodes it can have.
    short: &'a [i64],
    peak: u64,
    node_seconds: i128,
    /// If the peak were kept throughout.
    peak_node_seconds: i128,
}

#[derive(Serialize)]
struct ActionJson {
    time: i64,
    action: &'static str,
    from: u64,
    to: u64,
}

fn word(from: u64, to: u64) -> &'static str {
    if to > from { "out" } else { "in" }
}

fn json(problem: &Problem, marks: &Marks, scaled: &[Scaled]) -> String {
    let pools = scaled.iter().map(pool_json).collect();
    let answer = ScheduleJson {
        format: SCHEDULE_FORMAT,
        snapshot: &problem.name,
        fingerprint: &problem.fingerprint,
        high_milli: marks.high.milli(),
        low_milli: marks.low.milli(),
        hold_seconds: marks.hold,
        pools,
    };
    serde_json::to_string_pretty(&answer).expect("strings and numbers always have a JSON form") + "\n"
}

fn pool_json(scaled: &Scaled) -> PoolJson<'_> {
    let actions = scaled.schedule.actions.iter();
    PoolJson {
        pool: scaled.pool.as_deref(),
        shape: &scaled.shape,
        price: scaled.price,
        start: scaled.unit.start,
        actions: actions
            .map(|a| ActionJson { time: a.time, action: word(a.from, a.to), from: a.from, to: a.to })
            .collect(),
        short: &scaled.schedule.short,
        peak: scaled.schedule.peak,
        node_seconds: scaled.schedule.node_seconds,
        peak_node_seconds: scaled.schedule.peak_seconds,
    }
}

fn tables(scaled: &[Scaled]) -> String {
    let mut text = String::new();
    if scaled.is_empty() {
        text.push_str("the series has no samples: nothing is said of any pool\n");
    }
    for Scaled { pool, shape, unit, schedule, .. } in scaled {
        let (pool, shape) = (line(&pool_name(pool.as_deref())), line(shape));
        let _ = writeln!(text, "{pool}: nodes {shape}, {} at the start, {} at the peak\n", unit.start, schedule.peak);
        let row = |a: &bayplan::scale::series::Action| {
            vec![a.time.to_string(), word(a.from, a.to).to_string(), a.from.to_string(), a.to.to_string()]
        };
        let rows: Vec<Vec<String>> = schedule.actions.iter().take(SHOWN_MAX).map(row).collect();
        if rows.is_empty() {
            let _ = writeln!(text, "nothing to do");
        } else {
            let _ = writeln!(text, "{}", table(&["time", "scale", "from", "to"], &rows, true));
        }
        let rest = schedule.actions.len().saturating_sub(SHOWN_MAX);
        if rest > 0 {
            let _ = writeln!(text, "… and {rest} more; -o json has all");
        }
        let _ = writeln!(
            text,
            "node seconds {}, with the peak throughout {}",
            schedule.node_seconds, schedule.peak_seconds
        );
        if let Some(first) = schedule.short.first() {
            let _ = writeln!(
                text,
                "too few at {} samples, first at {first}: the pool can have no more",
                schedule.short.len()
            );
        }
        let _ = writeln!(text);
    }
    text
}
