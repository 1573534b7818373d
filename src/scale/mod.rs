//! How many nodes should a cluster have? Per pool: load, available, headroom; which nodes can go, which must come, what more would fit.
//!
//! ```text
//! policy    f(load, available) by name                                          policy.rs
//! pools     what each pool holds                                                pools.rs
//! stage     the snapshot with tasks that might come, nodes that might be bought   stage.rs
//! scenario  what may be gone                                                    scenario.rs
//! search    the engines, asked with other nodes                                 search.rs
//! cover     counting: so many nodes, or so much money, at least                  cover.rs, whole.rs
//! release   nodes that can go, with the plan that empties them                  release.rs
//! add       nodes that must come                                                add.rs
//! fit       how many more tasks of a shape fit                                  fit.rs
//! series    loads over time → a schedule that does not flap                     series.rs
//! ```
//!
//! [`advise`] answers for all pools in one run. Every *yes* is a placement found by the engines and a plan that [`crate::plan::verify`]
//! accepts; every *at most* and *at least* is counted in integers and holds whatever the engines find. Where the two meet the
//! answer is proven, and says so.
//!
//! Running tasks stay in their pool and are never stopped, unless the node they are on is gone; waiting tasks may go anywhere that the
//! rules permit. All of that is what [`Advice`] tells, with names and not with numbers of nodes.

mod add;
mod cover;
mod fit;
mod policy;
mod pools;
mod release;
mod scenario;
mod search;
pub mod series;
mod stage;
mod whole;

use crate::control::Control;
use crate::model::{Faults, Goal, NodeSpec, Placement, Problem, Snapshot, TaskId, TaskSpec, Usage};
use crate::plan::{self, Plan, Verdict};
pub use fit::Fit;
pub use policy::{Policy, RATE_ONE, Rate};
pub use pools::Room;
use pools::{Pool, Reserve, pools, rooms};
use release::Released;
use scenario::{Scenarios, level};
pub use search::Search;
use search::{all_run, confined, empty_nodes, priced, waiting};
use stage::Stage;

/// A kind of node that can be bought.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NodeShape {
    /// What it is; its name is that of the shape.
    pub node: NodeSpec,
    /// Most that can be had.
    pub most: Option<u32>,
}

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// What must stay free.
    pub policy: Policy,
    /// What can be bought; empty = nodes like those that are there.
    pub nodes: Vec<NodeShape>,
    /// Shapes of tasks: for the policy, and to be counted.
    pub tasks: Vec<TaskSpec>,
    /// Names of shapes to be counted: of `tasks`, or tasks of the snapshot.
    pub count: Vec<String>,
    /// How the engines are asked.
    pub search: Search,
}

/// One pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolAdvice {
    /// Its name; `None` = the nodes that name no pool.
    pub name: Option<String>,
    /// How many nodes it has, and on how many something runs.
    pub nodes: usize,
    /// See `nodes`.
    pub nodes_in_use: usize,
    /// By resource, then kind of device.
    pub rooms: Vec<Room>,
    /// Names of nodes that can go: after the plan nothing runs on them.
    pub release: Vec<String>,
    /// Σ price of these.
    pub saved: i128,
    /// No more than so many can go.
    pub release_at_most: usize,
    /// More tasks of each shape.
    pub fits: Vec<Fit>,
}

impl PoolAdvice {
    /// True when no more nodes can go.
    pub fn is_most(&self) -> bool {
        self.release.len() >= self.release_at_most
    }
}

/// Nodes of one shape that must come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purchase {
    /// Name of the shape.
    pub shape: String,
    /// Its pool.
    pub pool: Option<String>,
    /// How many.
    pub count: usize,
    /// Price of each.
    pub price: i64,
}

/// Nodes that must come.
#[derive(Debug, Clone)]
pub struct Addition {
    /// By shape, those that are bought.
    pub purchases: Vec<Purchase>,
    /// Σ price; the number of nodes where no shape has a price (`in_nodes`).
    pub cost: i128,
    /// See `cost`.
    pub in_nodes: bool,
    /// Nothing on offer that is enough costs less; `None` = not even all of it is enough.
    pub cost_at_least: Option<i128>,
    /// Everything has a place then, and the policy is kept.
    pub is_enough: bool,
    /// Proven: without any one of them it would not be enough. Otherwise only: no such way was found.
    pub is_least: bool,
    /// The snapshot with these nodes.
    pub snapshot: Snapshot,
    /// A verified plan for that snapshot in the points of [`Goal::Place`]: what waits starts.
    pub plan: Plan,
}

/// The answer.
#[derive(Debug, Clone)]
pub struct Advice {
    /// The policy asked for.
    pub policy: Policy,
    /// In the order of the snapshot; nodes without a pool last.
    pub pools: Vec<PoolAdvice>,
    /// Waiting tasks, and how many of them have a place on the nodes that are there.
    pub waiting: usize,
    /// See `waiting`.
    pub startable: usize,
    /// Waiting tasks that no node here or on offer can ever hold.
    pub hopeless: Vec<String>,
    /// The policy is kept as things are (after moves, if need be).
    pub is_kept: bool,
    /// Empties the nodes that can go, for the snapshot in the points of [`Goal::Consolidate`]; verified.
    pub release_plan: Plan,
    /// Nodes that the search emptied and the policy keeps.
    pub held_back: usize,
    /// What must come; `None` = nothing.
    pub addition: Option<Addition>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ScaleError {
    /// The snapshot or the shapes are wrong.
    #[error("{0}")]
    Input(Faults),
    /// A plan fails its verification: our bug.
    #[error("the {0} plan fails its own verification: {1}")]
    Broken(&'static str, String),
}

impl From<Faults> for ScaleError {
    fn from(faults: Faults) -> ScaleError {
        ScaleError::Input(faults)
    }
}

/// The faults of what is asked about a snapshot that is right itself.
pub fn check(snapshot: &Snapshot, ask: &Ask) -> Faults {
    let shapes = Snapshot {
        nodes: ask.nodes.iter().map(|shape| shape.node.clone()).collect(),
        tasks: ask.tasks.clone(),
        ..Snapshot { resources: snapshot.resources.clone(), levels: snapshot.levels.clone(), ..Snapshot::default() }
    };
    let mut faults = Problem::new(&shapes).err().unwrap_or_default();
    let wanted = match &ask.policy {
        Policy::Tasks(name, _) => Some(name),
        _ => None,
    };
    for name in ask.count.iter().chain(wanted) {
        if stage::task_shape(snapshot, &ask.tasks, name).is_none() {
            let remedy = "name a task of the shapes or of the snapshot";
            faults.add("P103", "the shapes to be counted", format!("there is no task {name:?}"), remedy);
        }
    }
    if let Policy::Survive(name) = &ask.policy
        && name != "node"
        && !snapshot.levels.contains(name)
    {
        let levels = std::iter::once("node").chain(snapshot.levels.iter().map(String::as_str)).collect::<Vec<_>>();
        let cause = format!("there is no level {name:?}");
        faults.add("P103", "the policy", cause, format!("use one of {}", levels.join(", ")));
    }
    faults
}

/// Answers for all pools of a snapshot.
///
/// # Errors
/// When the snapshot or what is asked is wrong ([`check`]), or a plan of ours fails its verification.
pub fn advise(snapshot: &Snapshot, ask: &Ask, control: &Control) -> Result<Advice, ScaleError> {
    let faults = check(snapshot, ask);
    if !faults.is_empty() {
        return Err(faults.into());
    }
    let problem = Problem::new(snapshot)?;
    let stage = Stage::new(snapshot, ask);
    let shapes = if ask.nodes.is_empty() { stage::own_shapes(snapshot) } else { ask.nodes.clone() };
    let mut played = stage.problem()?;
    let hopeless = hopeless_with(&stage, &shapes)?;
    // What no node can ever hold is no reason to buy any.
    hopeless.iter().for_each(|task| played.tasks[task.index()].pinned = true);

    let target = ask.search.solve(&priced(&confined(&played), &|_| 1), false, &control.part(3));
    let lacking: Vec<TaskId> = waiting(&played).filter(|task| !target.spot(*task).is_placed()).collect();
    let pools = pools(&problem);
    let inner = confined(&problem);
    let released = release::release(&problem, &played, &target, &ask.policy, &pools, &ask.search, &control.part(3));
    verified("release", &Goal::Consolidate.apply(&problem), &released.plan, |verdict| {
        let empty = empty_nodes(&problem, &verdict.reached);
        released.nodes.iter().all(|node| empty.binary_search(node).is_ok())
    })?;

    let own = |task: &TaskId| task.index() < stage.task_count;
    // No purchase makes room for a shape that nothing on offer can hold.
    let is_possible = hopeless.iter().all(own);
    let holds = || is_kept(&played, &target, &ask.policy, &pools, &ask.search, &control.part(3));
    let is_kept = lacking.is_empty() && is_possible && holds();
    let addition = match is_kept {
        true => None,
        false => Some(addition(&stage, &shapes, &lacking, is_possible, ask, control)?),
    };
    let waiting_count = waiting(&problem).count();
    let not_startable = lacking.iter().chain(&hopeless).filter(|task| own(task)).count();
    let names = |task: &TaskId| stage.snapshot.tasks[task.index()].name.clone();
    let pools = pool_advice(snapshot, &problem, &inner, ask, &pools, &released, control)?;
    Ok(Advice {
        policy: ask.policy.clone(),
        pools,
        waiting: waiting_count,
        startable: waiting_count - not_startable,
        hopeless: hopeless.iter().filter(|task| own(task)).map(names).collect(),
        is_kept,
        release_plan: released.plan,
        held_back: released.held_back,
        addition,
    })
}

/// Tasks that neither a node of the snapshot nor one on offer could hold.
fn hopeless_with(stage: &Stage, shapes: &[NodeShape]) -> Result<Vec<TaskId>, Faults> {
    let (extended, _) = stage.with_nodes(shapes, &vec![1; shapes.len()]);
    Ok(add::hopeless(&extended.problem()?))
}

/// True when the policy holds with the nodes that are there.
fn is_kept(
    played: &Problem,
    target: &Placement,
    policy: &Policy,
    pools: &[Pool],
    search: &Search,
    control: &Control,
) -> bool {
    let reserve = Reserve { policy: &Policy::Free, shape: None, level: None };
    match policy {
        // The tasks that it keeps room for were placed with the others.
        Policy::Free | Policy::Tasks(..) => true,
        Policy::Utilization(_) => pools.iter().all(|pool| {
            let rooms = rooms(played, target, &pool.nodes, &reserve);
            rooms.iter().all(|room| policy.headroom(room.load, room.available, 0) >= 0)
        }),
        Policy::Survive(_) => Scenarios::of(played, policy).all_hold(played, &[], search, control),
    }
}

fn verified(
    what: &'static str,
    problem: &Problem,
    plan: &Plan,
    holds: impl Fn(&Verdict) -> bool,
) -> Result<(), ScaleError> {
    let verdict = plan::verify(problem, plan);
    match verdict.violations.first() {
        Some(breach) => Err(ScaleError::Broken(what, breach.to_string())),
        None if !holds(&verdict) => Err(ScaleError::Broken(what, "it does not lead where it should".to_string())),
        None => Ok(()),
    }
}

/// What must come, proven by planning on the snapshot with exactly that.
fn addition(
    stage: &Stage,
    shapes: &[NodeShape],
    lacking: &[TaskId],
    is_possible: bool,
    ask: &Ask,
    control: &Control,
) -> Result<Addition, ScaleError> {
    // The last search, on what was bought, gets a fifth.
    let most = control.time_left().map_or_else(|| control.clone(), |left| control.within(left / 5 * 4));
    let bought = add::buy(stage, shapes, lacking, &ask.policy, &ask.search, &most)?;
    let (grown, nodes) = stage.with_nodes(shapes, &bought.counts);
    let snapshot = grown.without_reserved();
    // With the tasks of the policy, then the same without them: what waits starts, and room is left.
    let mut played = grown.problem()?;
    add::hopeless(&played).into_iter().for_each(|task| played.tasks[task.index()].pinned = true);
    let problem = Goal::Place.apply(&Problem::new(&snapshot)?);
    let planned = |found: Placement| {
        let target = Placement::from_spots(found.spots()[..problem.tasks.len()].to_vec());
        let plan = release::planned(&problem, &target, &ask.search, control);
        let is_whole = all_run(&played, &found) && plan.blocked.is_empty();
        (plan, is_whole)
    };
    // The place for everything that was found, on the nodes that were bought. Where there is none, or no way leads there, as much as can
    // be found now.
    let known = bought.placement.as_ref().map(|placement| planned(bought.on(placement, &nodes)));
    let (plan, is_whole) = match known {
        Some((plan, true)) => (plan, true),
        _ => planned(ask.search.solve(&priced(&confined(&played), &|_| 0), true, control)),
    };
    verified("addition", &problem, &plan, |_| true)?;
    let purchases = shapes.iter().zip(&bought.counts).filter(|(_, count)| **count > 0);
    Ok(Addition {
        purchases: purchases
            .map(|(shape, count)| Purchase {
                shape: shape.node.name.clone(),
                pool: shape.node.pool.clone(),
                count: *count,
                price: shape.node.price,
            })
            .collect(),
        cost: bought.cost,
        in_nodes: bought.in_nodes,
        cost_at_least: bought.bound.filter(|_| is_possible),
        is_enough: is_possible && bought.placement.is_some() && is_whole,
        is_least: bought.is_least,
        snapshot,
        plan,
    })
}

fn pool_advice(
    snapshot: &Snapshot,
    problem: &Problem,
    inner: &Problem,
    ask: &Ask,
    pools: &[Pool],
    released: &Released,
    control: &Control,
) -> Result<Vec<PoolAdvice>, Faults> {
    // One waiting task of every shape that is asked about, behind all others.
    let mut shaped = snapshot.clone();
    let mut names: Vec<&String> = ask.tasks.iter().map(|task| &task.name).chain(&ask.count).collect();
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(*name));
    let wanted = match &ask.policy {
        Policy::Tasks(name, _) => Some(name),
        _ => None,
    };
    let shapes: Vec<TaskSpec> =
        names.iter().copied().chain(wanted).filter_map(|name| stage::task_shape(snapshot, &ask.tasks, name)).collect();
    shaped.tasks.extend(shapes.into_iter().enumerate().map(|(k, shape)| TaskSpec { name: format!("\0{k}"), ..shape }));
    let shaped = Problem::new(&shaped)?;
    let shaped_inner = confined(&shaped);
    let shape = |k: usize| TaskId::new(problem.tasks.len() + k);
    let reserve =
        Reserve { policy: &ask.policy, shape: wanted.map(|_| shape(names.len())), level: level(problem, &ask.policy) };
    let padded = |placement: &Placement| {
        let mut spots = placement.spots().to_vec();
        spots.resize(shaped.tasks.len(), crate::model::Spot::Unplaced);
        Placement::from_spots(spots)
    };
    let now = padded(&problem.current);
    let usage = Usage::of(&shaped, &now);
    let usage_after = Usage::of(&shaped, &padded(&released.reached));
    let one = |pool: &Pool| {
        let inside = |task: &TaskId| {
            let pieces = problem.current.spot(*task).pieces();
            !pieces.is_empty() && pieces.iter().all(|piece| pool.nodes.binary_search(&piece.node).is_ok())
        };
        let running: Vec<TaskId> = problem.task_ids().filter(inside).collect();
        let release: Vec<_> = released.nodes.iter().filter(|node| pool.nodes.binary_search(node).is_ok()).collect();
        let fits = names.iter().enumerate().map(|(k, name)| {
            let count = |usage| fit::count(&shaped, usage, shape(k), &pool.nodes);
            let at_most = fit::at_most(&shaped_inner, shape(k), &pool.nodes, &running);
            Fit { shape: name.to_string(), now: count(&usage), after: count(&usage_after), at_most }
        });
        PoolAdvice {
            name: pool.name.clone(),
            nodes: pool.nodes.len(),
            nodes_in_use: pool.nodes.iter().filter(|node| usage.pieces(**node) > 0).count(),
            rooms: rooms(&shaped, &now, &pool.nodes, &reserve),
            release: release.iter().map(|node| problem.nodes[node.index()].name.clone()).collect(),
            saved: release.iter().map(|node| i128::from(problem.nodes[node.index()].price)).sum(),
            release_at_most: release::at_most(inner, pool, &running, &ask.policy, control),
            fits: fits.collect(),
        }
    };
    Ok(pools.iter().map(one).collect())
}
