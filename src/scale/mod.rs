//! How many nodes should a cluster have? Per pool: load, available, headroom; which nodes can go, which must come, what more would fit.
//!
//! ```text
//! policy    f(load, available) by name                                          policy.rs
//! pools     what each pool holds                                                pools.rs
//! stage     the snapshot with tasks that might come, nodes that might be bought   stage.rs
//! scene     a problem, and the same with divisible tasks in pieces                scene.rs
//! scenario  what may be gone                                                    scenario.rs
//! keep      is the policy kept in a state?                                      keep.rs
//! search    the engines, asked with other nodes                                 search.rs
//! cover     counting: so many nodes, or so much money, at least                  cover.rs, whole.rs
//! release   nodes that can go, with the plan that empties them                  release.rs
//! hopeless  tasks that no node can ever hold, and why                            hopeless.rs
//! add       nodes that must come                                                add.rs, cheapen.rs
//! spread    everything in place and no pool loaded above a target                spread.rs
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
mod cheapen;
mod cover;
mod fit;
mod hopeless;
mod keep;
mod policy;
mod pools;
mod release;
mod scenario;
mod scene;
mod search;
pub mod series;
mod spread;
mod stage;
mod whole;

use crate::control::Control;
use crate::model::{
    Faults, Goal, NodeSpec, Placement, Problem, Share, Sharing, Snapshot, Spot, TaskId, TaskSpec, Usage,
};
use crate::plan::{self, Plan, Verdict};
pub use fit::Fit;
pub use hopeless::Hopeless;
use hopeless::{holds, hopeless, told};
use keep::{is_within, keeps};
pub use policy::{Policy, RATE_ONE, Rate};
pub use pools::Room;
use pools::{Pool, Reserve, pools, rooms};
use release::{Release, Released, poured, reached};
use scenario::level;
use scene::Scene;
pub use search::Search;
use search::{all_run, confined, confined_as, empty_nodes, priced, waiting};
use spread::spread;
use stage::Stage;
pub use stage::price;
use std::collections::HashSet;

/// Most nodes of a shape that are bought beyond those that hold everything, where no safe order leads there without.
const MORE_MAX: usize = 3;
/// Purchases of that kind that are tried.
const MORE_TRIES: usize = 8;

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
    /// By resource, then kind of device, then memory of these.
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

/// An elastic task that has less after a plan: the room is another's, or its node can go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUp {
    /// Its name.
    pub task: String,
    /// Before the plan.
    pub before: Share,
    /// After it; at least its least share, or what it had.
    pub after: Share,
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
    /// Proven: without any one of them it would not be enough.
    pub is_least: bool,
    /// Each was tried to be left out, where that is not proven to be too little: no such way was found.
    pub is_tried: bool,
    /// Where everything has a place on these nodes and no safe order of moves leads there: so many moves are blocked.
    pub unordered: usize,
    /// The snapshot with these nodes.
    pub snapshot: Snapshot,
    /// A verified plan for that snapshot in the points of [`Goal::Place`]: what waits starts.
    pub plan: Plan,
    /// Shares that give way in it.
    pub given_up: Vec<GivenUp>,
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
    pub hopeless: Vec<Hopeless>,
    /// Kinds of nodes that are there and were not on offer, since there are so many; 0 where the caller says what is on offer.
    pub kinds_left_out: usize,
    /// The policy is kept as things are (after moves, if need be), and nothing that waits is hopeless.
    pub is_kept: bool,
    /// Empties the nodes that can go, for the snapshot in the points of [`Goal::Consolidate`]; verified.
    pub release_plan: Plan,
    /// Shares that give way in it.
    pub given_up: Vec<GivenUp>,
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
    let ask = &Ask { search: ask.search.for_tasks(problem.tasks.len()), ..ask.clone() };
    let stage = Stage::new(snapshot, ask);
    let (shapes, kinds_left_out) = on_offer(&stage, ask)?;
    let offered = offered(&stage, &shapes)?;
    let hopeless: Vec<TaskId> = hopeless(&offered).collect();
    let scene = Scene::new(stage.problem()?, &hopeless);

    let pools = pools(&problem);
    let own = |task: &TaskId| task.index() < stage.task_count;
    // Of the tasks of the policy one stands for all, under the name that was asked for.
    let reserved = hopeless.iter().find(|task| !own(task));
    let named = |task: &TaskId| match &ask.policy {
        Policy::Tasks(name, _) if !own(task) => Hopeless { task: name.clone(), ..told(&offered, *task) },
        _ => told(&offered, *task),
    };
    let told: Vec<Hopeless> = hopeless.iter().filter(|task| own(task)).chain(reserved).map(named).collect();
    // No purchase makes room for a shape that nothing on offer can hold.
    let is_possible = hopeless.iter().all(own);

    let release = Release { problem: &problem, scene: &scene, policy: &ask.policy, pools: &pools, search: &ask.search };
    let target = target(&scene, &ask.policy, &ask.search, &control.part(3));
    let waits: Vec<TaskId> = waiting(scene.pieces()).collect();
    let mut lacking: Vec<TaskId> = waits.iter().copied().filter(|task| !target.spot(*task).is_placed()).collect();
    let mut released = release.best(&target, &control.part(3));
    let mut addition = None;
    if !released.is_kept || !is_possible {
        let (added, found) = addition_to(&stage, &shapes, [&waits, &hopeless], is_possible, ask, control)?;
        // Buying looks again, and may find a place for everything on what is there.
        let is_nothing = added.is_enough && added.purchases.is_empty();
        let again = is_nothing.then(|| release.best(&found, &control.part(3))).filter(|again| again.is_kept);
        match again {
            Some(again) => {
                released = again;
                lacking.clear();
            }
            None => addition = Some(added),
        }
    }
    let is_settled = addition.is_none();
    verified("release", &Goal::Consolidate.apply(&problem), &released.plan, |verdict| {
        let empty = empty_nodes(&problem, &verdict.reached);
        released.nodes.iter().all(|node| empty.binary_search(node).is_ok())
    })?;
    let inner = confined(&problem.without_meters());
    let waiting_count = waiting(&problem).count();
    let not_startable = lacking.iter().chain(&hopeless).filter(|task| own(task)).count();
    let pools = pool_advice(snapshot, &problem, &inner, ask, &pools, &released, control)?;
    Ok(Advice {
        policy: ask.policy.clone(),
        pools,
        waiting: waiting_count,
        startable: waiting_count - not_startable,
        is_kept: is_settled && told.is_empty(),
        hopeless: told,
        kinds_left_out,
        given_up: given_up(&problem, &released.reached),
        release_plan: released.plan,
        held_back: released.held_back,
        addition,
    })
}

/// The kinds of nodes that can be had. Where none is given: the most frequent ones of those that are there; of each pool that has none of
/// these its most frequent and its cheapest; and the cheapest for each task that none of the frequent ones holds. And how many kinds are
/// left out.
fn on_offer(stage: &Stage, ask: &Ask) -> Result<(Vec<NodeShape>, usize), Faults> {
    if !ask.nodes.is_empty() {
        return Ok((ask.nodes.iter().filter(|shape| shape.most != Some(0)).cloned().collect(), 0));
    }
    let kinds = stage::own_shapes(&stage.snapshot);
    let frequent = kinds.len().min(stage::OWN_SHAPES_MAX);
    let mut is_offered: Vec<bool> = (0..kinds.len()).map(|k| k < frequent).collect();
    if kinds.len() > frequent {
        let (extended, nodes) = stage.with_nodes(&kinds, &vec![1; kinds.len()]);
        let problem = extended.problem()?.cut().problem;
        let mut offer = |is_meant: &dyn Fn(&usize) -> bool, with_first: bool| {
            let meant = || (0..kinds.len()).filter(is_meant);
            if meant().next().is_some_and(|first| first >= frequent) {
                let cheapest = meant().min_by_key(|k| (stage.price(&kinds[*k].node), *k));
                let first = meant().next().filter(|_| with_first);
                first.into_iter().chain(cheapest).for_each(|k| is_offered[k] = true);
            }
        };
        (0..kinds.len()).for_each(|pool| offer(&|k| kinds[*k].node.pool == kinds[pool].node.pool, true));
        let mut known = HashSet::new();
        for task in problem.task_ids() {
            if known.insert((cover::door(&problem, task), cover::need(&problem, task))) {
                offer(&|k| holds(&problem, task, nodes[*k][0]), false);
            }
        }
    }
    let left_out = is_offered.iter().filter(|is_offered| !**is_offered).count();
    let offered = kinds.into_iter().zip(is_offered).filter(|(_, is_offered)| *is_offered);
    Ok((offered.map(|(kind, _)| kind).collect(), left_out))
}

/// Where everything runs that can, on as few nodes as possible, in pieces. A target utilisation asks for more than that: where this
/// exceeds it in a pool, what waits is spread over the pools, and then each pool keeps to as few nodes as possible.
fn target(scene: &Scene, policy: &Policy, search: &Search, control: &Control) -> Placement {
    let pieces = scene.pieces();
    let first = search.packed(&confined(pieces), control);
    let is_within = |found: &Placement| is_within(&scene.whole, &scene.cut.joined(found), &[], policy);
    if !matches!(policy, Policy::Utilization(_)) || is_within(&first) {
        return first;
    }
    let Some(spread) = spread(pieces, policy, &is_within, search, &control.part(3)) else { return first };
    let again = search.packed(&confined_as(pieces, &spread), control);
    if is_within(&again) && all_run(pieces, &again) { again } else { spread }
}

/// The problem with one node of each shape: what neither a node of the snapshot nor one on offer could hold, nothing there holds.
fn offered(stage: &Stage, shapes: &[NodeShape]) -> Result<Problem, Faults> {
    stage.with_nodes(shapes, &vec![1; shapes.len()]).0.problem()
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

/// Elastic tasks that have less in a state than now.
fn given_up(problem: &Problem, state: &Placement) -> Vec<GivenUp> {
    let one = |task: TaskId| match (problem.current.spot(task), state.spot(task)) {
        (Spot::On(before), Spot::On(after)) if after.share < before.share => {
            let name = problem.tasks[task.index()].name.clone();
            Some(GivenUp { task: name, before: before.share, after: after.share })
        }
        _ => None,
    };
    let is_elastic = |task: &TaskId| matches!(problem.tasks[task.index()].sharing, Sharing::Elastic { .. });
    problem.task_ids().filter(is_elastic).filter_map(one).collect()
}

/// What must come, proven by planning on the snapshot with exactly that; and where everything is then, in pieces.
fn addition_to(
    stage: &Stage,
    shapes: &[NodeShape],
    [waits, hopeless]: [&[TaskId]; 2],
    is_possible: bool,
    ask: &Ask,
    control: &Control,
) -> Result<(Addition, Placement), ScaleError> {
    // The last search, on what was bought, gets a fifth.
    let most = control.time_left().map_or_else(|| control.clone(), |left| control.within(left / 5 * 4));
    let bought = add::buy(stage, shapes, [waits, hopeless], &ask.policy, &ask.search, &most)?;
    let ground = Ground { stage, shapes, hopeless, bought: &bought, policy: &ask.policy, search: &ask.search };
    let mut counts = bought.counts.clone();
    let mut grown = ground.grown(&counts, control)?;
    if bought.placement.is_some() && !grown.is_whole {
        // A place for everything, and no safe way there: room beside it may open one.
        let cheap =
            |more: &Vec<usize>| more.iter().zip(&bought.prices).map(|(n, p)| *n as i128 * i128::from(*p)).sum::<i128>();
        let mut tries: Vec<Vec<usize>> = ground.a_few_more().collect();
        tries.sort_by_key(|more| (cheap(more), more.iter().sum::<usize>()));
        for more in tries.into_iter().take(MORE_TRIES).take_while(|_| !control.must_stop()) {
            let wider: Vec<usize> = bought.counts.iter().zip(more).map(|(count, more)| count + more).collect();
            let other = ground.grown(&wider, &control.part(MORE_TRIES as u32))?;
            if other.is_whole {
                (counts, grown) = (wider, other);
                break;
            }
        }
    }
    verified("addition", &grown.problem, &grown.plan, |_| true)?;
    let has_more = counts != bought.counts;
    let unordered = if bought.placement.is_some() && !grown.is_whole { grown.plan.blocked.len() } else { 0 };
    let purchases = shapes.iter().zip(&counts).filter(|(_, count)| **count > 0);
    let cost = counts.iter().zip(&bought.prices).map(|(count, price)| *count as i128 * i128::from(*price)).sum();
    let addition = Addition {
        purchases: purchases
            .map(|(shape, count)| Purchase {
                shape: shape.node.name.clone(),
                pool: shape.node.pool.clone(),
                count: *count,
                price: stage.price(&shape.node),
            })
            .collect(),
        cost,
        in_nodes: bought.in_nodes,
        cost_at_least: bought.bound.filter(|_| is_possible),
        is_enough: is_possible && grown.is_whole,
        is_least: bought.is_least && !has_more,
        is_tried: bought.is_tried && !has_more,
        unordered,
        snapshot: grown.snapshot,
        given_up: given_up(&grown.problem, &grown.plan.reached(&grown.problem)),
        plan: grown.plan,
    };
    Ok((addition, grown.found))
}

/// What is bought, on which everything is planned.
struct Ground<'a> {
    stage: &'a Stage,
    shapes: &'a [NodeShape],
    hopeless: &'a [TaskId],
    bought: &'a add::Bought,
    policy: &'a Policy,
    search: &'a Search,
}

/// The snapshot with what is bought, and the plan on it.
struct Grown {
    snapshot: Snapshot,
    /// In the points of [`Goal::Place`].
    problem: Problem,
    plan: Plan,
    /// What it was to lead to, in pieces.
    found: Placement,
    /// Everything runs at its end, and the policy is kept there.
    is_whole: bool,
}

impl Ground<'_> {
    /// One to three more nodes of one shape, where so many can be had.
    fn a_few_more(&self) -> impl Iterator<Item = Vec<usize>> {
        let left = |shape: usize| {
            let most = self.shapes[shape].most.map_or(usize::MAX, |most| most as usize);
            most.saturating_sub(self.bought.counts[shape]).min(MORE_MAX)
        };
        let count = self.shapes.len();
        let of = move |shape: usize, more: usize| (0..count).map(|k| if k == shape { more } else { 0 }).collect();
        (0..count).flat_map(move |shape| (1..=left(shape)).map(move |more| of(shape, more)))
    }

    /// With so many nodes of each shape.
    fn grown(&self, counts: &[usize], control: &Control) -> Result<Grown, Faults> {
        let (grown, nodes) = self.stage.with_nodes(self.shapes, counts);
        let snapshot = grown.without_reserved();
        // With the tasks of the policy, then the same without them: what waits starts, and room is left.
        let scene = Scene::new(grown.problem()?, self.hopeless);
        let problem = Goal::Place.apply(&Problem::new(&snapshot)?);
        let planned = |found: Placement| {
            let state = poured(&scene, &found, self.policy);
            let plan = release::planned_under(self.policy, &problem, &scene, Goal::Place, &state, self.search, control);
            let end = reached(&problem, &plan, &state);
            let is_whole = keeps(&scene, &end, &[], self.policy, self.search, control);
            (plan, found, is_whole)
        };
        // The place for everything that was found, on the nodes that were bought. Where there is none, or no way leads there, as much
        // as can be found now.
        let known = self.bought.placement.as_ref().map(|placement| planned(self.bought.on(placement, &nodes)));
        let (plan, found, is_whole) = match known {
            Some((plan, found, true)) => (plan, found, true),
            _ => planned(self.search.as_much(&priced(&confined(scene.pieces()), &|_| 0), control)),
        };
        Ok(Grown { snapshot, problem, plan, found, is_whole })
    }
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
    let shaped = Problem::new(&shaped)?.without_meters();
    let shaped_inner = confined(&shaped);
    let shape = |k: usize| TaskId::new(problem.tasks.len() + k);
    let reserve =
        Reserve { policy: &ask.policy, shape: wanted.map(|_| shape(names.len())), level: level(problem, &ask.policy) };
    let padded = |placement: &Placement| {
        let mut spots = placement.spots().to_vec();
        spots.resize(shaped.tasks.len(), Spot::Unplaced);
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
