//! `bayplan scale`: how many nodes should each pool have? Which can go, which must come, and what more would fit.

use super::args::ScoreForm;
use super::args_scale::ScaleArgs;
use super::failure::{Exit, Failure};
use super::figures::{JsonFigure, grouped, percent, ratio, whole};
use super::io::Target;
use super::screen::{line, say, table};
use super::{faulty, read_cluster, scale_series, signal};
use bayplan::control::Control;
use bayplan::file::{self, Shapes};
use bayplan::model::{Goal, Problem};
use bayplan::plan::Plan;
use bayplan::scale::{
    Addition, Advice, Ask, GivenUp, NodeShape, Policy, PoolAdvice, ScaleError, Search, advise, check,
};
use serde::Serialize;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Value of the `format` field of the JSON answer.
const SCALE_FORMAT: &str = "bayplan-scale/1";
/// Most names in one line of the table.
const NAMED_MAX: usize = 8;

/// Runs the command that began at `started`.
pub fn run(args: &ScaleArgs, started: Instant) -> Result<Exit, Failure> {
    let read = || {
        let cluster = read_cluster(&args.snapshot, args.jobs.place.as_ref())?;
        let shapes = match &args.shapes {
            Some(source) => file::read_shapes(&source.read()?).map_err(|faults| faulty(source, faults))?,
            None => Shapes::default(),
        };
        Ok((cluster, shapes))
    };
    let (((snapshot, problem), shapes), stop) = match args.series {
        Some(_) => {
            signal::quit_at_once();
            (read()?, Arc::default())
        }
        None => signal::read_then_stop_first(Some("the best advice so far is told"), read)?,
    };
    let ask = Ask {
        policy: args.policy.clone(),
        nodes: shapes.nodes.into_iter().map(|(node, most)| NodeShape { node, most }).collect(),
        tasks: shapes.tasks,
        count: args.count.clone(),
        search: Search { seed: args.seed, effort: args.effort, threads: args.threads.map_or(0, usize::from) },
    };
    let faults = check(&snapshot, &ask);
    if !faults.is_empty() {
        return Err(faulty(args.shapes.as_ref().unwrap_or(&args.snapshot), faults));
    }
    if let Some(series) = &args.series {
        return scale_series::run(args, series, &snapshot, &problem, &ask.nodes);
    }
    if let Some(folder) = &args.plan_dir {
        check_folder(folder)?;
    }
    let mut control = Control::unlimited().with_stop(stop);
    if let Some(limit) = args.time_limit() {
        control = control.with_time_limit(limit.saturating_sub(started.elapsed()));
    }
    let advice = advise(&snapshot, &ask, &control).map_err(|error| match error {
        ScaleError::Input(faults) => faulty(&args.snapshot, faults),
        ScaleError::Broken(..) => Failure::Bug(format!("internal error: {error}")),
    })?;
    if let Some(folder) = &args.plan_dir {
        write_plans(folder, &problem, &advice)?;
    }
    let text = match args.output {
        ScoreForm::Table => tables(&problem, &advice),
        ScoreForm::Json => json(&problem, &advice),
    };
    Target::Stdout.write(text.as_bytes())?;
    say(&format!("answered in {:.1} s", started.elapsed().as_secs_f64()));
    let is_enough = advice.addition.as_ref().is_none_or(|addition| addition.is_enough);
    Ok(if is_enough && advice.hopeless.is_empty() { Exit::Done } else { Exit::Unplaced })
}

fn check_folder(folder: &Path) -> Result<(), Failure> {
    let failed = |cause| Failure::Io { doing: "write", name: folder.display().to_string(), cause };
    std::fs::create_dir_all(folder).map_err(failed)
}

/// The plans, and the snapshot that the second is for.
fn write_plans(folder: &Path, problem: &Problem, advice: &Advice) -> Result<(), Failure> {
    let write = |name: &str, bytes: &[u8]| Target::File(folder.join(name)).write(bytes);
    write("release.plan.json", &file::write_plan(&Goal::Consolidate.apply(problem), &advice.release_plan))?;
    if let Some(Addition { snapshot, plan, .. }) = &advice.addition {
        let grown = Problem::new(snapshot).map_err(|faults| Failure::Bug(format!("internal error: {faults}")))?;
        write("added.snapshot.json", &file::write_snapshot(snapshot))?;
        write("added.plan.json", &file::write_plan(&Goal::Place.apply(&grown), plan))?;
    }
    Ok(())
}

/// The policy as it is typed.
fn policy_text(policy: &Policy) -> String {
    let word = policy.word();
    match policy {
        Policy::Free => word.to_string(),
        Policy::Utilization(rate) => format!("{word}={}.{}%", rate.milli() / 10, rate.milli() % 10),
        Policy::Tasks(name, count) => format!("{word}={name}:{count}"),
        Policy::Survive(level) => format!("{word}={level}"),
    }
}

#[derive(Serialize)]
struct ScaleJson<'a> {
    format: &'static str,
    snapshot: &'a str,
    fingerprint: &'a str,
    policy: String,
    /// True when the nodes that are there keep the policy and hold all that runs and waits.
    kept: bool,
    pools: Vec<PoolJson<'a>>,
    release: ReleaseJson<'a>,
    waiting: WaitingJson<'a>,
    /// Kinds of nodes that are there and were not on offer, since there are so many.
    kinds_left_out: usize,
    /// null = nothing must come.
    add: Option<AddJson<'a>>,
}

#[derive(Serialize)]
struct PoolJson<'a> {
    /// null = the nodes that name no pool.
    pool: Option<&'a str>,
    nodes: usize,
    nodes_in_use: usize,
    resources: Vec<RoomJson<'a>>,
    release: PoolReleaseJson<'a>,
    fits: Vec<FitJson<'a>>,
}

#[derive(Serialize)]
struct RoomJson<'a> {
    name: &'a str,
    /// What it counts.
    of: &'static str,
    unit: &'a str,
    /// What runs holds so much.
    held: JsonFigure,
    /// What of that counts: elastic tasks with their least share.
    load: JsonFigure,
    available: JsonFigure,
    /// f(load, available) of the policy.
    headroom: JsonFigure,
    utilization: Option<f64>,
}

#[derive(Serialize)]
struct PoolReleaseJson<'a> {
    nodes: &'a [String],
    count: usize,
    /// Proven: no more nodes can go.
    at_most: usize,
    proven: bool,
    saved: i128,
}

#[derive(Serialize)]
struct FitJson<'a> {
    shape: &'a str,
    now: u64,
    after: u64,
    at_most: u64,
}

#[derive(Serialize)]
struct ReleaseJson<'a> {
    count: usize,
    at_most: usize,
    saved: i128,
    /// Nodes that could be emptied and are kept for the policy.
    held_back: usize,
    moves: usize,
    waves: usize,
    given_up: Vec<GivenUpJson<'a>>,
}

/// An elastic task that has less at the end of the plan.
#[derive(Serialize)]
struct GivenUpJson<'a> {
    task: &'a str,
    /// As a fraction.
    before: String,
    after: String,
}

#[derive(Serialize)]
struct WaitingJson<'a> {
    tasks: usize,
    /// Have a place on the nodes that are there.
    startable: usize,
    /// Have none on any node here or on offer.
    hopeless: Vec<HopelessJson<'a>>,
}

#[derive(Serialize)]
struct HopelessJson<'a> {
    task: &'a str,
    why: &'a str,
}

#[derive(Serialize)]
struct AddJson<'a> {
    enough: bool,
    nodes: Vec<PurchaseJson<'a>>,
    cost: i128,
    /// `price`, or `nodes` where no shape has one.
    cost_in: &'static str,
    /// Proven: nothing on offer that is enough costs less; null = not even all of it is enough.
    cost_at_least: Option<i128>,
    /// Proven: without any one of the nodes it is not enough. false = not proven.
    one_fewer_proven_too_few: bool,
    /// Each node was tried to be left out where that is not proven to be too little, and no place for everything was found.
    one_fewer_tried: bool,
    /// Everything has a place on these nodes, and for so many moves no safe order leads there.
    moves_without_order: usize,
    moves: usize,
    waves: usize,
    given_up: Vec<GivenUpJson<'a>>,
}

#[derive(Serialize)]
struct PurchaseJson<'a> {
    shape: &'a str,
    pool: Option<&'a str>,
    count: usize,
    price: i64,
}

fn json(problem: &Problem, advice: &Advice) -> String {
    let sum = |of: &dyn Fn(&PoolAdvice) -> usize| advice.pools.iter().map(of).sum();
    let answer = ScaleJson {
        format: SCALE_FORMAT,
        snapshot: &problem.name,
        fingerprint: &problem.fingerprint,
        policy: policy_text(&advice.policy),
        kept: advice.is_kept,
        pools: advice.pools.iter().map(pool_json).collect(),
        release: ReleaseJson {
            count: sum(&|pool| pool.release.len()),
            at_most: sum(&|pool| pool.release_at_most),
            saved: advice.pools.iter().map(|pool| pool.saved).sum(),
            held_back: advice.held_back,
            moves: advice.release_plan.moves().count(),
            waves: advice.release_plan.waves.len(),
            given_up: given_up_json(&advice.given_up),
        },
        waiting: WaitingJson {
            tasks: advice.waiting,
            startable: advice.startable,
            hopeless: advice.hopeless.iter().map(|one| HopelessJson { task: &one.task, why: &one.why }).collect(),
        },
        kinds_left_out: advice.kinds_left_out,
        add: advice.addition.as_ref().map(add_json),
    };
    serde_json::to_string_pretty(&answer).expect("strings and numbers always have a JSON form") + "\n"
}

fn pool_json(pool: &PoolAdvice) -> PoolJson<'_> {
    let rooms = pool.rooms.iter().map(|room| RoomJson {
        name: &room.name,
        of: room.counted.word(),
        unit: &room.unit,
        held: JsonFigure(room.held),
        load: JsonFigure(room.load),
        available: JsonFigure(room.available),
        headroom: JsonFigure(room.headroom),
        utilization: ratio(room.load, room.available),
    });
    PoolJson {
        pool: pool.name.as_deref(),
        nodes: pool.nodes,
        nodes_in_use: pool.nodes_in_use,
        resources: rooms.collect(),
        release: PoolReleaseJson {
            nodes: &pool.release,
            count: pool.release.len(),
            at_most: pool.release_at_most,
            proven: pool.is_most(),
            saved: pool.saved,
        },
        fits: (pool.fits.iter())
            .map(|fit| FitJson { shape: &fit.shape, now: fit.now, after: fit.after, at_most: fit.at_most })
            .collect(),
    }
}

fn given_up_json(given_up: &[GivenUp]) -> Vec<GivenUpJson<'_>> {
    let mut all = Vec::with_capacity(given_up.len());
    for GivenUp { task, before, after } in given_up {
        all.push(GivenUpJson { task, before: before.to_string(), after: after.to_string() });
    }
    all
}

fn add_json(addition: &Addition) -> AddJson<'_> {
    AddJson {
        enough: addition.is_enough,
        nodes: (addition.purchases.iter())
            .map(|p| PurchaseJson { shape: &p.shape, pool: p.pool.as_deref(), count: p.count, price: p.price })
            .collect(),
        cost: addition.cost,
        cost_in: if addition.in_nodes { "nodes" } else { "price" },
        cost_at_least: addition.cost_at_least,
        one_fewer_proven_too_few: addition.is_least,
        one_fewer_tried: addition.is_tried,
        moves_without_order: addition.unordered,
        moves: addition.plan.moves().count(),
        waves: addition.plan.waves.len(),
        given_up: given_up_json(&addition.given_up),
    }
}

/// The name of a pool for people.
pub(super) fn pool_name(name: Option<&str>) -> String {
    name.unwrap_or("(no pool)").to_string()
}

/// Names in one line, not all of them where there are many.
fn named<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    let rest = names.len().saturating_sub(NAMED_MAX);
    let shown: Vec<&str> = names.take(NAMED_MAX).map(String::as_str).collect();
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    line(&(shown.join(", ") + &more))
}

fn tables(problem: &Problem, advice: &Advice) -> String {
    let mut text = format!("{}: policy {}\n\n", line(&problem.name), line(&policy_text(&advice.policy)));
    let rows: Vec<Vec<String>> = advice.pools.iter().flat_map(room_rows).collect();
    let header = ["pool", "resource", "held", "load", "available", "utilization", "headroom"];
    let _ = writeln!(text, "{}\n", table(&header, &rows, true));
    let row = |pool: &PoolAdvice| {
        let proof = if pool.is_most() { "yes" } else { "no" };
        let counts = [pool.nodes, pool.nodes_in_use, pool.release.len(), pool.release_at_most];
        let mut row = vec![pool_name(pool.name.as_deref())];
        row.extend(counts.map(|count| whole(count as i128)));
        row.extend([proof.to_string(), whole(pool.saved)]);
        row
    };
    let rows: Vec<Vec<String>> = advice.pools.iter().map(row).collect();
    let header = ["pool", "nodes", "in use", "can go", "at most", "proven", "price saved"];
    let _ = writeln!(text, "{}\n", table(&header, &rows, true));
    let fits = advice.pools.iter().flat_map(|pool| {
        pool.fits.iter().map(|fit| {
            let mut row = vec![pool_name(pool.name.as_deref()), fit.shape.clone()];
            row.extend([fit.now, fit.after, fit.at_most].map(|count| whole(count.into())));
            row
        })
    });
    let fits: Vec<Vec<String>> = fits.collect();
    if !fits.is_empty() {
        let header = ["pool", "more of", "fit now", "after the plan", "at most"];
        let _ = writeln!(text, "{}\n", table(&header, &fits, true));
    }
    release_lines(&mut text, advice);
    addition_lines(&mut text, advice);
    text
}

fn room_rows(pool: &PoolAdvice) -> Vec<Vec<String>> {
    let row = |room: &bayplan::scale::Room| {
        let name = if room.unit.is_empty() { room.title() } else { format!("{} ({})", room.title(), room.unit) };
        let mut row = vec![pool_name(pool.name.as_deref()), name];
        row.extend([room.held, room.load, room.available].map(grouped));
        row.extend([percent(room.load, room.available), grouped(room.headroom)]);
        row
    };
    pool.rooms.iter().map(row).collect()
}

fn release_lines(text: &mut String, advice: &Advice) {
    for pool in advice.pools.iter().filter(|pool| !pool.release.is_empty()) {
        let _ =
            writeln!(text, "can go from {}: {}", line(&pool_name(pool.name.as_deref())), named(pool.release.iter()));
    }
    if advice.held_back > 0 {
        let nodes = plural(advice.held_back, "more node", "more nodes");
        let _ = writeln!(text, "kept for the policy: {nodes} that could be emptied");
    }
    let _ = writeln!(text, "verified plan that empties them: {}", plan_text(&advice.release_plan));
    given_up_line(text, &advice.given_up);
}

/// What elastic tasks have less of for it.
fn given_up_line(text: &mut String, given_up: &[GivenUp]) {
    if !given_up.is_empty() {
        let shares = given_up.iter().map(|one| format!("{} from {} to {}", one.task, one.before, one.after));
        let _ = writeln!(text, "shares that give way for it: {}", named(shares.collect::<Vec<_>>().iter()));
    }
}

fn plan_text(plan: &Plan) -> String {
    format!("{} in {}", plural(plan.moves().count(), "move", "moves"), plural(plan.waves.len(), "wave", "waves"))
}

fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", whole(count as i128), if count == 1 { one } else { many })
}

fn addition_lines(text: &mut String, advice: &Advice) {
    let _ = writeln!(text, "waiting: {}, of which {} have a place", advice.waiting, advice.startable);
    for one in advice.hopeless.iter().take(NAMED_MAX) {
        let _ = writeln!(text, "no node here or on offer can ever hold {}: {}", line(&one.task), line(&one.why));
    }
    if advice.hopeless.len() > NAMED_MAX {
        let _ = writeln!(text, "nor {} more; -o json has all", advice.hopeless.len() - NAMED_MAX);
    }
    if advice.kinds_left_out > 0 && advice.addition.is_some() {
        let kinds = plural(
            advice.kinds_left_out,
            "more kind of nodes that is there is",
            "more kinds of nodes that are there are",
        );
        let _ = writeln!(text, "{kinds} not among what is on offer; --shapes says which are");
    }
    let Some(addition) = &advice.addition else {
        let kept = match advice.is_kept {
            true => "no node must come: the policy is kept",
            false => "no node must come: all else has a place, and none on offer helps what can never be held",
        };
        let _ = writeln!(text, "{kept}");
        return;
    };
    for purchase in &addition.purchases {
        let pool = line(&pool_name(purchase.pool.as_deref()));
        let shape = line(&purchase.shape);
        let _ =
            writeln!(text, "must come: {} x {shape} in {pool}, price {}", purchase.count, whole(purchase.price.into()));
    }
    let unit = if addition.in_nodes { "nodes" } else { "price" };
    let bound = match addition.cost_at_least {
        Some(bound) => format!("no choice costs less than {}", whole(bound)),
        None => "all that is on offer is proven to be too little".to_string(),
    };
    let _ = writeln!(text, "{unit} {}; {bound}", whole(addition.cost));
    let verdict = match (addition.is_enough, addition.is_least, addition.is_tried) {
        (true, true, _) => "enough, by a verified plan; one node fewer is proven not to be",
        (true, false, true) => "enough, by a verified plan; one node fewer was not found to be, without proof",
        (true, false, false) => "enough, by a verified plan; not every node was tried to be left out",
        (false, ..) => "not found to be enough",
    };
    let _ = writeln!(text, "{verdict}: {}", plan_text(&addition.plan));
    given_up_line(text, &addition.given_up);
    if addition.unordered > 0 {
        let moves = plural(addition.unordered, "more move", "more moves");
        let _ = writeln!(text, "everything has a place with these nodes, but no safe order was found for {moves}");
    }
}
