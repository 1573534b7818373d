//! What keeps a few nodes dear when annealing has ended? A large task, mostly, on a node that is a little too small for it: wherever it
//! could go, several others would have to leave first, which costs far more than any temperature still permits. So it is put there by
//! force.
//!
//! ```text
//! kick      a task of a node that costs more than its share goes to a random node, or one that has moved goes home, mostly a dear
//!           move sooner than a cheap one; who is in its way leaves, and goes where the task was or wherever it is best; no rule is broken
//!           on the way
//! anneal    those nodes and some others, few or many, from a random temperature down to nothing; when a task went home, the others
//!           are those to which moves are cheapest, since what it leaves behind is made good by many cheap moves
//! keep      what costs no more than before the kick, or a few moves more at first, and less and less
//! share     what a node's load must cost anywhere: where more of a resource is required than all soft limits together, every unit
//!           above them costs its weight wherever it is, and every unit that a node has left below its soft limit is lost
//! Source    iterated local search (Lourenço, Martin, Stützle 2003) with annealing in the place of descent; threshold accepting
//!           (Dueck, Scheuer 1990)
//! ```
//!
//! Two walkers kick side by side; a few times on the way both go on from the better of what they found. The device is not asked: a
//! kick anneals a block or less.

use super::build::{Builder, Was};
use super::chain::Best;
use super::ground::Dice;
use super::heat::{Heat, Kind, SHIFT_SHARE};
use super::pack::{NOWHERE, Pack};
use super::round::{Cutter, PART_NODES_MAX, RoundPlan};
use super::state::{State, spots};
use super::turns::{TURN, take_turns};
use crate::control::{Control, Progress};
use crate::kernel::points::{BalanceTerm, OverPrice};
use crate::kernel::random::{exp2_q16, log2_q16, pcg3d};
use crate::model::{Problem, score};
use std::cmp::Reverse;

/// Part of the rest of a search that is for kicks, one in so many: where one node in [`FEW_NODES`] holds three quarters of all that is
/// beyond their shares, where it holds half, and elsewhere. On ROADEF a1_2 and a2_1 it is more than nine tenths, and the rest of the
/// search mostly ends no lower than the trial did; on a1_4, a2_5, b_3 and b_5 about a half; on the others annealing brings more.
const PARTS: [u64; 3] = [2, 8, 16];
const FEW_NODES: usize = 20;
/// Walkers side by side, whatever the threads.
const WALKERS: u32 = 2;
/// Parts after each of which all walkers go on from the best; each has so many candidates at least.
const STAGES: u64 = 8;
const STAGE_MIN: u64 = 4_000_000;
/// A kick may cost as much as so many moves in the first of these stages. Cheaper moves are found only by way of a few more: ROADEF a1_2
/// ends 1,100 points lower. A tenth of it, and ten times it, bring half of that.
const MOVES_TOLERATED: i128 = 8;
/// Rounds after a kick, and those of them, the last ones, at temperature 0.
const ROUNDS: (i64, i64) = (12, 2);
/// Candidates per task and round.
const CANDIDATES: u32 = 50;
const CANDIDATES_PER_TASK: u64 = CANDIDATES as u64 * ROUNDS.0 as u64;
/// log2 of the least number of nodes that anneal, in 65,536ths. It is drawn anew each time: a1_2 is best served by 25 at a time, a1_4 by
/// 50, a2_5 by all.
const NODES_MIN: i64 = 3 << 16;
/// No more nodes anneal where there are so many tasks.
const TASKS_MAX: u64 = 2000;
/// With fewer, or if a walker would have fewer kicks than that, there are none, or fewer tasks anneal.
const TASKS_MIN: u64 = 20;
const KICKS_MIN: u64 = 8;
/// The first temperature after a kick is at most hot divided by two to the power of this, in 65,536ths. It is drawn as well: kicks
/// brought something at all of them.
const DEPTH_MIN: i64 = 4 << 16;
/// One kick in so many sends a task home: that is what finds fewer and cheaper moves. With a quarter, ROADEF a1_2 ends some 300 points
/// higher; with all of them, no task would go where there is room. Figures are in benches/RESULTS.md.
const HOMEWARD: u32 = 2;
/// One node to kick from in so many is any node, one task in so many any on it, one that goes home any that has moved: the dearest node,
/// the largest task and the dearest move may be where they must be.
const ANY_NODE: u32 = 4;
const ANY_TASK: u32 = 2;
const ANY_MOVED: u32 = 4;
/// Attempts at a kick that breaks no rule.
const ATTEMPTS: u32 = 30;
/// Tasks that can be passed over in the time of a candidate.
const TASKS_PER_CANDIDATE: u64 = 8;

/// What kicks are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Seed of every random choice.
    pub seed: u64,
    /// Candidates per task of each walker.
    pub effort: u64,
    /// The clock decides, and that is only what there is likely to be time for.
    pub is_timed: bool,
}

/// What kicks made of a placement.
#[derive(Debug)]
pub struct Kicked {
    /// No worse than what they began with.
    pub best: Best,
    /// Candidates per task spent by each walker.
    pub effort: u64,
    /// Candidates judged by all.
    pub evaluations: u64,
    /// They were ended before the effort was spent.
    pub is_cut: bool,
}

/// Which part of the rest of a search kicks are to have, one in so many: more where a few nodes hold nearly all that could be saved,
/// none where nothing could be.
pub fn part(pack: &Pack, state: &State) -> u64 {
    let mut surplus = surplus(pack, state);
    surplus.sort_unstable_by_key(|points| Reverse(*points));
    let few = surplus.len().div_ceil(FEW_NODES);
    let (most, all) = (surplus[..few].iter().sum::<i128>(), surplus.iter().sum::<i128>());
    match () {
        () if all == 0 => 0,
        () if most * 4 >= all * 3 => PARTS[0],
        () if most * 2 >= all => PARTS[1],
        () => PARTS[2],
    }
}

/// Is so much effort enough for kicks?
pub fn suits(pack: &Pack, effort: u64) -> bool {
    tasks_max(pack, effort) >= TASKS_MIN
}

/// Tasks that may anneal after a kick, so that there are a few kicks.
fn tasks_max(pack: &Pack, effort: u64) -> u64 {
    (effort.saturating_mul(pack.movable_count as u64) / (KICKS_MIN * CANDIDATES_PER_TASK)).min(TASKS_MAX)
}

/// Kicks a placement until the effort is spent or the control says so.
pub fn kick(problem: &Problem, pack: &Pack, heat: Heat, mut best: Best, asked: Asked, control: &Control) -> Kicked {
    let movable = (pack.movable_count as u64).max(1);
    let likely = asked.effort.saturating_mul(movable);
    let stages = (likely / STAGE_MIN).clamp(1, STAGES) as u32;
    let most = if asked.is_timed { u64::MAX } else { likely / u64::from(stages) };
    let scene = Scene::new(problem, pack, heat, tasks_max(pack, asked.effort) as usize);
    let (mut spent, mut evaluations, mut is_cut) = (0, 0, false);
    for stage in 0..stages {
        // Only where the clock decides anyhow may it cut a stage.
        let control = if asked.is_timed { control.part(stages - stage) } else { control.clone() };
        let tolerated = tolerated(heat.mean_move, stage, stages);
        let new = |number: u32| {
            let words = [asked.seed as u32, (asked.seed >> 32) as u32];
            let seed = pcg3d(words[0], words[1], 0xC1CC ^ (stage << 20) ^ (number << 16))[0];
            Walker::new(&scene, &best, tolerated, seed)
        };
        let mut walkers: Vec<Walker<'_>> = (0..WALKERS).map(new).collect();
        take_turns(&mut walkers, TURN, |walker| walker.go_on(most, &control));
        spent += walkers.iter().map(|walker| walker.spent).max().unwrap_or(0);
        evaluations += walkers.iter().map(|walker| walker.evaluations).sum::<u64>();
        is_cut |= walkers.iter().any(|walker| walker.spent < most);
        let winner = walkers.into_iter().min_by_key(|walker| walker.least);
        best = winner.expect("there is a walker").best;
        let objective = score(problem, &spots(problem, &best.at, &best.devices)).objective();
        control.report(Progress { phase: "kick", done: (stage + 1) * 1000 / stages, objective, bound: None });
    }
    Kicked { best, effort: spent / movable, evaluations, is_cut }
}

/// Points that a kick may cost, where a move costs so many in the mean: half as many in each stage as before, none in the last.
fn tolerated(mean_move: i64, stage: u32, stages: u32) -> i128 {
    if stage + 1 < stages { (MOVES_TOLERATED * i128::from(mean_move)) >> stage } else { 0 }
}

/// What each task is of all that is required, in parts of 2^30, summed over the resources.
fn sizes(pack: &Pack) -> Vec<i64> {
    let rows = || pack.requirement.chunks_exact(pack.lanes);
    let total = |r: usize| rows().map(|row| i64::from(row[r])).sum::<i64>().max(1);
    let totals: Vec<i64> = (0..pack.lanes).map(total).collect();
    let part = |(amount, total): (&i32, &i64)| (i128::from(*amount) << 30) / i128::from(*total);
    rows().map(|row| row.iter().zip(&totals).map(part).sum::<i128>() as i64).collect()
}

/// Points of each node beyond its share, the moves of who is on it included; last, those of what waits and may start. It only says whom to
/// kick; the shares are those of the pooled bound (bound/pooled.rs).
fn surplus(pack: &Pack, state: &State) -> Vec<i128> {
    let (lanes, nodes) = (pack.lanes, pack.price.len());
    let at = |rows: &[i32], node: usize, r: usize| i128::from(rows[node * lanes + r]);
    let load = |node: usize, r: usize| at(&state.used, node, r) - at(&pack.soft, node, r);
    let free = |node: usize, r: u32| at(&pack.capacity, node, r as usize) - at(&state.used, node, r as usize);
    let uneven =
        |node: usize, term: &BalanceTerm| i128::from(term.target) * free(node, term.resource) - free(node, term.other);
    let sum = |of: &dyn Fn(usize) -> i128| (0..nodes).map(of).sum::<i128>();
    let short: Vec<usize> = (0..lanes).filter(|r| sum(&|node| load(node, *r)) > 0).collect();
    let skewed: Vec<&BalanceTerm> =
        pack.shared.balance.iter().filter(|term| sum(&|node| uneven(node, term)) > 0).collect();
    let share = |node: usize| {
        let load: i128 = short.iter().map(|r| i128::from(pack.shared.load_weight[*r]) * load(node, *r)).sum();
        load + skewed.iter().map(|term| i128::from(term.weight) * uneven(node, term)).sum::<i128>()
    };
    let beyond = |node: usize| (i128::from(state.node_points(pack, node)) - share(node)).max(0);
    let mut surplus: Vec<i128> = (0..nodes).map(beyond).chain([0]).collect();
    for task in (0..state.at.len()).filter(|task| may_kick(pack, *task, state.at[*task])) {
        let at = state.at[task];
        surplus[if at == NOWHERE { nodes } else { at as usize }] += i128::from(pack.task_points(task, at));
    }
    surplus
}

/// May a kick put this task of a node, or of the pool, elsewhere? Who waits and starts only with others may not.
fn may_kick(pack: &Pack, task: usize, at: u32) -> bool {
    pack.movable[task] && (at != NOWHERE || !pack.is_of_gang(task))
}

/// What all walkers need.
struct Scene<'a> {
    problem: &'a Problem,
    pack: &'a Pack,
    heat: Heat,
    sizes: Vec<i64>,
    /// No more nodes anneal where there are so many tasks.
    tasks_max: usize,
}

impl<'a> Scene<'a> {
    fn new(problem: &'a Problem, pack: &'a Pack, heat: Heat, tasks_max: usize) -> Scene<'a> {
        Scene { problem, pack, heat, sizes: sizes(pack), tasks_max }
    }
}

/// One who kicks.
struct Walker<'a> {
    scene: &'a Scene<'a>,
    pack: &'a Pack,
    seed: u32,
    /// Points more that a kick may cost.
    tolerated: i128,
    /// The best so far.
    best: Best,
    /// Points and displaced tasks of the best.
    least: (i128, i64),
    /// Where it stands; during a kick, what that made of it.
    editor: Builder<'a>,
    /// Points and displaced tasks of where it stands.
    cost: (i128, i64),
    /// Of where it stands.
    surplus: Vec<i128>,
    cutter: Cutter,
    dice: Dice,
    round: u32,
    /// Candidates judged.
    evaluations: u64,
    /// The same, and what looking around took.
    spent: u64,
}

impl<'a> Walker<'a> {
    fn new(scene: &'a Scene<'a>, best: &Best, tolerated: i128, seed: u32) -> Walker<'a> {
        let pack = scene.pack;
        let editor = Builder::at(scene.problem, pack, &best.at, &best.devices);
        let cost = (editor.state.points(pack), editor.state.displaced);
        Walker {
            scene,
            pack,
            seed,
            tolerated,
            best: best.clone(),
            least: cost,
            cost,
            surplus: surplus(pack, &editor.state),
            editor,
            cutter: Cutter::new(pack),
            dice: Dice::new([seed, 0xD1CE]),
            round: 0,
            evaluations: 0,
            spent: 0,
        }
    }

    /// One kick; true when there is nothing more to do, by the effort or because the control says so.
    fn go_on(&mut self, most: u64, control: &Control) -> bool {
        if self.spent >= most || control.must_stop() {
            return true;
        }
        let Some(were) = self.force() else { return false };
        let mut state = self.editor.state.clone();
        let nodes = self.scope(&state, &were);
        self.anneal(&mut state, &nodes, control);
        let cost = (state.points(self.pack), state.displaced);
        let is_within = state.displaced <= self.cost.1.max(i64::from(self.pack.displaced_max));
        if is_within && cost <= (self.cost.0 + self.tolerated, self.cost.1) {
            self.editor.adopt(&state.at, &state.devices);
            debug_assert_eq!(self.editor.state, state, "the blocks and the editor agree on every sum");
            self.cost = cost;
            self.surplus = surplus(self.pack, &state);
            if cost <= self.least {
                (self.least, self.best) = (cost, Best { at: state.at, devices: state.devices });
            }
        } else {
            self.editor.back(&were);
        }
        false
    }

    /// Kicks: who has been put elsewhere, and where each was; `None`, and nothing is changed, where that would have broken a rule.
    fn force(&mut self) -> Option<Vec<Was>> {
        let is_homeward = self.cost.1 > 0 && self.dice.below(HOMEWARD) == 0;
        (0..ATTEMPTS).find_map(|_| {
            self.spent += 1 + self.pack.home.len() as u64 / TASKS_PER_CANDIDATE;
            let home = if is_homeward { self.homeward() } else { None };
            let (task, to) = home.or_else(|| self.outward())?;
            let mut were = Vec::new();
            let is_done = to != self.editor.state.at[task] && self.put(task, to, &mut were);
            self.spent += (were.len() * self.pack.price.len()) as u64;
            if !is_done {
                self.editor.back(&were);
            }
            is_done.then_some(were)
        })
    }

    /// A task that has moved or has been stopped, and its home: mostly one that has moved, weighed by what that costs.
    fn homeward(&mut self) -> Option<(usize, u32)> {
        let (pack, at) = (self.pack, &self.editor.state.at);
        let is_away = |task: usize| pack.home[task] != NOWHERE && pack.is_away(task, at[task]);
        let moved: Vec<usize> = (0..at.len()).filter(|t| is_away(*t) && may_kick(pack, *t, at[*t])).collect();
        let points = |task: &usize| if at[*task] == NOWHERE { 0 } else { i128::from(pack.points_at(*task, at[*task])) };
        let points: Vec<i128> = moved.iter().map(points).collect();
        let any = self.dice.below(moved.len() as u32) as usize;
        let dear = if self.dice.below(ANY_MOVED) == 0 { None } else { weighed(&mut self.dice, &points) };
        let task = *moved.get(dear.unwrap_or(any))?;
        Some((task, pack.home[task]))
    }

    /// A task of a node that costs more than its share, and a random node.
    fn outward(&mut self) -> Option<(usize, u32)> {
        let nodes = self.pack.price.len() as u32;
        let from = self.source();
        let here = self.here(from);
        let task = if self.dice.below(ANY_TASK) == 0 {
            here.get(self.dice.below(here.len() as u32) as usize).copied()
        } else {
            here.into_iter().max_by_key(|task| self.scene.sizes[*task])
        };
        let to = self.dice.below(nodes);
        Some((task?, to))
    }

    /// A random node, or the pool, weighed by how much it costs beyond its share.
    fn source(&mut self) -> u32 {
        let nodes = self.pack.price.len() as u32;
        let any = self.dice.below(nodes);
        if self.dice.below(ANY_NODE) == 0 {
            return any;
        }
        match weighed(&mut self.dice, &self.surplus) {
            None => any,
            Some(node) if (node as u32) < nodes => node as u32,
            Some(_) => NOWHERE,
        }
    }

    /// Tasks on a node that may move, or those that wait and may start.
    fn here(&self, node: u32) -> Vec<usize> {
        let (pack, at) = (self.pack, &self.editor.state.at);
        (0..at.len()).filter(|task| at[*task] == node && may_kick(pack, *task, node)).collect()
    }

    /// Puts a task on a node. False, and not undone, when somebody who was in its way finds no place, or a rule is broken.
    fn put(&mut self, task: usize, to: u32, were: &mut Vec<Was>) -> bool {
        let from = self.editor.state.at[task];
        were.push(self.editor.take(task));
        let mut there = self.here(to);
        let target = loop {
            if let Some(target) = self.editor.judge(task, to) {
                break target;
            }
            if there.is_empty() {
                return false;
            }
            let other = there.swap_remove(self.dice.below(there.len() as u32) as usize);
            were.push(self.editor.take(other));
        };
        self.editor.relocate(task, to, target.devices);
        let pack = self.pack;
        let stops_alone = |task: usize| pack.may_stop[task] && !pack.is_of_gang(task) && !pack.is_counted_on(task);
        were[1..].sort_by_key(|(other, ..)| (Reverse(self.scene.sizes[*other]), *other));
        for (other, ..) in &were[1..] {
            let back = if from == NOWHERE { None } else { self.editor.judge(*other, from) };
            match back.or_else(|| self.editor.best(*other)) {
                Some(target) => self.editor.relocate(*other, target.node, target.devices),
                None if !stops_alone(*other) => return false,
                None => {}
            }
        }
        !were.iter().any(|(task, at, _)| self.editor.is_missed(*task, *at))
    }

    /// The nodes that a kick touched and some others.
    fn scope(&mut self, state: &State, were: &[Was]) -> Vec<u32> {
        let ends = were.iter().flat_map(|(task, at, _)| [*at, state.at[*task]]);
        let mut nodes: Vec<u32> = Vec::new();
        for node in ends.filter(|node| *node != NOWHERE) {
            if !nodes.contains(&node) && nodes.len() < PART_NODES_MAX {
                nodes.push(node);
            }
        }
        let widest = log2_q16((PART_NODES_MAX as i64) << 8);
        let wanted = exp2_q16(NODES_MIN + i64::from(self.dice.below((widest - NODES_MIN) as u32)) - (8 << 16)) as usize;
        let here = |node: u32| state.tasks_here[node as usize] as usize;
        let mut tasks: usize = nodes.iter().map(|node| here(*node)).sum();
        let (task, from, _) = were[0];
        let is_homeward = state.at[task] == self.pack.home[task];
        let near = is_homeward.then(|| [from, state.at[task]][self.dice.below(2) as usize]);
        for node in self.others(near.filter(|node| *node != NOWHERE)) {
            if nodes.len() >= wanted || tasks >= self.scene.tasks_max {
                break;
            }
            if !nodes.contains(&node) {
                nodes.push(node);
                tasks += here(node);
            }
        }
        nodes
    }

    /// All nodes in random order; with one given, those first between which and that one moves are cheapest, there and back.
    fn others(&mut self, near: Option<u32>) -> Vec<u32> {
        let pack = self.pack;
        let points = |node: u32| near.map_or(0, |near| pack.pair_points(near, node) + pack.pair_points(node, near));
        let keyed = |node: u32| (points(node), self.dice.below(1 << 30), node);
        let mut all: Vec<(i64, u32, u32)> = (0..pack.price.len() as u32).map(keyed).collect();
        all.sort_unstable();
        all.into_iter().map(|(.., node)| node).collect()
    }

    /// Anneals these nodes.
    fn anneal(&mut self, state: &mut State, nodes: &[u32], control: &Control) {
        let heat = &self.scene.heat;
        let (hot, cold) = heat.range();
        let first = (hot - DEPTH_MIN).max(cold);
        let first = first - i64::from(self.dice.below((first - cold + 1) as u32));
        let warm = ROUNDS.0 - ROUNDS.1;
        for i in (0..ROUNDS.0).take_while(|_| !control.must_stop()) {
            let temperature = if i < warm { exp2_q16(first - (first - cold) * i / warm) } else { 0 };
            let plan = RoundPlan {
                seed: self.seed,
                round: self.round,
                candidates_per_task: CANDIDATES,
                candidates_max: CANDIDATES * self.scene.tasks_max as u32,
                temperature,
                home: heat.home_price(Kind::Careful, temperature, 0),
                shift_share: SHIFT_SHARE,
                home_share: heat.manner(Kind::Careful).home_share,
                away_share: heat.manner(Kind::Careful).away_share,
                displaced_max: self.pack.displaced_max,
                over: OverPrice::default(),
            };
            self.round += 1;
            let result = self.cutter.run_among(self.scene.problem, self.pack, state, &plan, nodes);
            self.evaluations += result.evaluations;
            self.spent += result.evaluations + self.pack.home.len() as u64 / TASKS_PER_CANDIDATE;
        }
    }
}

/// A random index, weighed by points; `None` where there are none.
fn weighed(dice: &mut Dice, points: &[i128]) -> Option<usize> {
    let all: i128 = points.iter().sum();
    let mut left = (i128::from(dice.below(1 << 30)) * all) >> 30;
    points.iter().position(|points| {
        left -= points;
        left < 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::{Order, Shape, Wish, generate};
    use crate::model::{
        GroupSpec, NodeSpec, PieceSpec, Placement, ResourceSpec, SHARE_ONE, Snapshot, SpreadSpec, TaskSpec, violations,
        worsened,
    };
    use std::collections::BTreeMap;

    fn kicked(problem: &Problem, effort: u64) -> Placement {
        let pack = Pack::new(problem);
        let home = State::at_home(&pack);
        let before = home.points(&pack);
        let best = Best { at: home.at, devices: home.devices };
        let asked = Asked { seed: 1, effort, is_timed: false };
        let kicked = kick(problem, &pack, Heat::new(&pack), best, asked, &Control::unlimited());
        let spent = kicked.effort as f64 / effort as f64;
        assert!(kicked.evaluations > 0 && (0.9..1.5).contains(&spent) && !kicked.is_cut, "{spent} of what was granted");
        let after = spots(problem, &kicked.best.at, &kicked.best.devices);
        let points = State::of(&pack, &kicked.best.at, &kicked.best.devices).points(&pack);
        assert!(!pack.is_inexact && points <= before);
        assert_eq!(before - points, objective(problem, &after) - objective(problem, &problem.current));
        after
    }

    fn objective(problem: &Problem, placement: &Placement) -> i128 {
        score(problem, placement).objective() / i128::from(SHARE_ONE)
    }

    /// A large task on a node that is too small for it; on the one that is large enough four others, of which three have to leave before
    /// it comes and one has to come back.
    fn mistaken(soft: i64) -> Problem {
        let amounts = |cpu: i64| BTreeMap::from([("cpu".to_string(), cpu)]);
        let node = |name: &str, soft: i64| NodeSpec {
            name: name.into(),
            allocatable: amounts(12),
            soft_limit: amounts(soft),
            ..NodeSpec::default()
        };
        let task = |(t, (cpu, at)): (usize, (i64, &str))| TaskSpec {
            name: format!("t{t}"),
            requirement: amounts(cpu),
            placement: vec![PieceSpec { node: at.into(), ..PieceSpec::default() }],
            ..TaskSpec::default()
        };
        let sizes = [(9, "b"), (2, "a"), (2, "a"), (2, "a"), (1, "a")];
        let snapshot = Snapshot {
            resources: vec![ResourceSpec { name: "cpu".into(), load_weight: 1000, ..ResourceSpec::default() }],
            nodes: vec![node("a", 10), node("b", soft)],
            tasks: sizes.into_iter().enumerate().map(task).collect(),
            ..Snapshot::default()
        };
        Problem::new(&snapshot).unwrap()
    }

    /// Nodes in several classes, between which moves cost more or less.
    fn transient() -> Problem {
        let wish = Wish { nodes: Some(24), tasks: Some(200), seed: 1, ..Wish::default() };
        let order = Order::new(Shape::Transient, wish).expect("a cluster of that size can be made");
        Problem::new(&generate(&order)).unwrap()
    }

    /// A node in each of two racks, both full: a large task and a small one of a group on the first, one of the group that may be stopped
    /// on the second.
    fn crowded() -> Snapshot {
        let amounts = |cpu: i64| BTreeMap::from([("cpu".to_string(), cpu)]);
        let node = |name: &str| NodeSpec {
            name: name.into(),
            allocatable: amounts(10),
            domains: BTreeMap::from([("rack".to_string(), name.to_string())]),
            ..NodeSpec::default()
        };
        let task = |(t, cpu, at, group): (usize, i64, &str, Option<&str>)| TaskSpec {
            name: format!("t{t}"),
            requirement: amounts(cpu),
            group: group.map(str::to_string),
            evictable: true,
            placement: vec![PieceSpec { node: at.into(), ..PieceSpec::default() }],
            ..TaskSpec::default()
        };
        let group = Some("g");
        Snapshot {
            resources: vec![ResourceSpec { name: "cpu".into(), ..ResourceSpec::default() }],
            levels: vec!["rack".into()],
            nodes: vec![node("a"), node("b")],
            groups: vec![GroupSpec { name: "g".into(), ..GroupSpec::default() }],
            tasks: [(0, 7, "a", None), (1, 3, "a", group), (2, 10, "b", group)].into_iter().map(task).collect(),
            ..Snapshot::default()
        }
    }

    #[test]
    fn a_large_task_takes_the_place_of_several() {
        let mut problem = mistaken(6);
        assert_eq!(objective(&problem, &problem.current), -3000);
        assert_eq!(objective(&problem, &kicked(&problem, 20_000)), 0);
        assert!(!suits(&Pack::new(&problem), 100), "too little for a single kick");
        problem.moves.max_moves = Some(2);
        assert_eq!(objective(&problem, &kicked(&problem, 20_000)), -3000, "two moves do not mend it");
    }

    /// Two of a group in one rack, and a third, which may be stopped, alone in the other rack: whoever takes its place there leaves it none
    /// but beside the others, and then one rack less is covered.
    #[test]
    fn nobody_stops_whom_a_spread_counts_on() {
        for (spread, is_possible) in [(0, true), (2, false)] {
            let mut snapshot = crowded();
            let rule = SpreadSpec { level: "rack".into(), min: spread };
            snapshot.groups[0].spread = if spread > 0 { vec![rule] } else { Vec::new() };
            let problem = Problem::new(&snapshot).unwrap();
            let pack = Pack::new(&problem);
            let home = State::at_home(&pack);
            let scene = Scene::new(&problem, &pack, Heat::new(&pack), 2000);
            let mut walker = Walker::new(&scene, &Best { at: home.at.clone(), devices: home.devices.clone() }, 0, 1);
            let mut were = Vec::new();
            assert_eq!(walker.put(0, 1, &mut were), is_possible, "spread {spread}");
            walker.editor.back(&were);
            assert_eq!(walker.editor.state, home);
        }
    }

    #[test]
    fn the_best_is_kept_while_worse_is_tolerated() {
        let wish = Wish { nodes: Some(24), tasks: Some(200), seed: 5, ..Wish::default() };
        let order = Order::new(Shape::Racks, wish).expect("a cluster of that size can be made");
        let mut problem = Problem::new(&generate(&order)).unwrap();
        assert_eq!([0, 1, 6, 7].map(|stage| tolerated(100, stage, 8)), [800, 400, 12, 0]);
        assert_eq!((tolerated(100, 0, 1), tolerated(0, 0, 8)), (0, 0), "a single stage, and moves that cost nothing");
        let before = violations(&problem, &problem.current);
        for (tolerated, max_moves) in [(0, None), (1 << 100, None), (1 << 100, Some(30))] {
            problem.moves.max_moves = max_moves;
            let pack = Pack::new(&problem);
            let home = State::at_home(&pack);
            let scene = Scene::new(&problem, &pack, Heat::new(&pack), 2000);
            let best = Best { at: home.at.clone(), devices: home.devices.clone() };
            let mut walker = Walker::new(&scene, &best, tolerated, 1);
            while !walker.go_on(1_000_000, &Control::unlimited()) {}
            let found = State::of(&pack, &walker.best.at, &walker.best.devices);
            assert_eq!((found.points(&pack), found.displaced), walker.least);
            assert_eq!((walker.editor.state.points(&pack), walker.editor.state.displaced), walker.cost);
            assert!(found.points(&pack) < home.points(&pack));
            let most = max_moves.map_or(i64::MAX, i64::from);
            assert!(walker.cost.1 <= most && walker.least.1 <= most, "{:?} {:?}", walker.cost, walker.least);
            assert!(max_moves.is_some() || (walker.cost > walker.least) == (tolerated > 0));
            for at in [&walker.best.at, &walker.editor.state.at] {
                let state = State::of(&pack, at, &home.devices);
                assert!(worsened(&before, &violations(&problem, &state.placement(&problem))).is_empty());
            }
        }
    }

    #[test]
    fn what_is_dear_is_drawn_sooner() {
        let mut dice = Dice::new([1, 2]);
        let mut drawn = |points: &[i128]| (0..4000).map(|_| weighed(&mut dice, points)).collect::<Vec<_>>();
        assert!(drawn(&[0, 7, 0]).iter().all(|index| *index == Some(1)));
        assert!(drawn(&[0, 0]).iter().chain(&drawn(&[])).all(|index| index.is_none()), "nothing to weigh by");
        let last = drawn(&[1, 3]).iter().filter(|index| **index == Some(1)).count();
        assert!((2850..3150).contains(&last), "{last} of 4,000");
    }

    /// Three tasks are away from home, one of them at three thousand times the price, and a fourth has been stopped.
    #[test]
    fn a_dear_move_goes_home_sooner_and_none_is_forgotten() {
        let problem = transient();
        let mut pack = Pack::new(&problem);
        pack.shared.pair.fill(1);
        pack.move_points.fill(0);
        pack.move_points[1] = 2999;
        let mut at = pack.home.clone();
        for task in 0..3 {
            at[task] = (at[task] + 1) % 24;
        }
        at[3] = NOWHERE;
        let scene = Scene::new(&problem, &pack, Heat::new(&pack), 2000);
        let devices = pack.home_devices.clone();
        let mut walker = Walker::new(&scene, &Best { at, devices }, 0, 1);
        let mut drawn = [0; 4];
        for _ in 0..4000 {
            let (task, home) = walker.homeward().expect("four have moved");
            assert_eq!(home, pack.home[task]);
            drawn[task] += 1;
        }
        let [cheap, dear, other, stopped] = drawn;
        assert!((3100..3400).contains(&dear), "three quarters, and a quarter of the rest: {drawn:?}");
        assert!([cheap, other, stopped].iter().all(|n| (200..300).contains(n)), "a sixteenth each: {drawn:?}");
    }

    #[test]
    fn where_a_task_goes_home_those_anneal_to_which_moves_are_cheap() {
        let problem = transient();
        let mut pack = Pack::new(&problem);
        pack.shared.pair[1] += 7;
        let away = (0..pack.home.len()).flat_map(|task| (0..24).map(move |node| (task, node)));
        for (task, node) in away.filter(|(task, node)| pack.home[*task] != NOWHERE && pack.is_away(*task, *node)) {
            let pair = pack.pair_points(pack.home[task], node);
            assert_eq!(pack.points_at(task, node), pack.move_points[task] + pair, "one way, not the way back");
        }
        let home = State::at_home(&pack);
        let scene = Scene::new(&problem, &pack, Heat::new(&pack), 2000);
        let mut walker = Walker::new(&scene, &Best { at: home.at.clone(), devices: home.devices.clone() }, 0, 1);
        // Two ends of different classes, so that looking at the wrong row shows.
        let ends =
            [0, (1..24).find(|node| pack.move_class[*node as usize] != pack.move_class[0]).expect("two classes")];
        let both = |end: u32, node: u32| pack.pair_points(end, node) + pack.pair_points(node, end);
        let points = |end: u32, nodes: &[u32]| nodes.iter().map(|node| both(end, *node)).collect::<Vec<_>>();
        for end in ends {
            let near = walker.others(Some(end));
            let cheap = points(end, &near);
            assert!(cheap.is_sorted() && cheap[0] < cheap[23], "{cheap:?}");
            let any = walker.others(None);
            assert!(!points(end, &any).is_sorted(), "in no order");
            for mut nodes in [near, any] {
                nodes.sort_unstable();
                assert!(nodes.into_iter().eq(0..24), "all of them");
            }
        }
        // A task that went home, and one that left it.
        let [at_home, away] = [
            pack.home[0],
            (0..24).find(|node| both(pack.home[0], *node) > both(pack.home[0], pack.home[0])).expect("a dear move"),
        ];
        let mut out = home.clone();
        out.at[0] = away;
        let mut is_near = |state: &State, was: u32| {
            let scopes =
                (0..50).map(|_| walker.scope(state, &[(0, was, 0)])).filter(|nodes| (4..24).contains(&nodes.len()));
            let near = |end: u32, nodes: &[u32]| {
                let least = (0..24).filter(|node| !nodes.contains(node)).map(|node| both(end, node)).min();
                nodes[2..].iter().all(|node| Some(both(end, *node)) <= least)
            };
            scopes.map(|nodes| near(at_home, &nodes) || near(away, &nodes)).collect::<Vec<_>>()
        };
        let [homeward, outward] = [is_near(&home, away), is_near(&out, at_home)];
        assert!(homeward.len() > 9 && homeward.iter().all(|near| *near), "{homeward:?}");
        assert!(outward.iter().any(|near| !near), "{outward:?}");
    }

    #[test]
    fn where_all_are_short_what_is_left_free_is_lost() {
        let surplus_at_home = |problem: &Problem| {
            let pack = Pack::new(problem);
            let home = State::at_home(&pack);
            (surplus(&pack, &home), part(&pack, &home))
        };
        assert_eq!(
            surplus_at_home(&mistaken(6)),
            (vec![0, 3000, 0], PARTS[0]),
            "enough for all: what is above is too much"
        );
        let short = (vec![3000, 0, 0], PARTS[0]);
        assert_eq!(surplus_at_home(&mistaken(4)), short, "three free where two are above in any case");
    }

    #[test]
    fn kicks_break_no_rule_and_count_as_the_model_does() {
        for (seed, shape) in [Shape::Racks, Shape::Transient, Shape::Huge, Shape::Wide].into_iter().enumerate() {
            let wish = Wish { nodes: Some(24), tasks: Some(200), seed: seed as u64, ..Wish::default() };
            let order = Order::new(shape, wish).expect("a cluster of that size can be made");
            let problem = Problem::new(&generate(&order)).unwrap();
            let after = kicked(&problem, 8000);
            let before = violations(&problem, &problem.current);
            assert!(worsened(&before, &violations(&problem, &after)).is_empty(), "{order}");
            assert!(objective(&problem, &after) > objective(&problem, &problem.current), "{order}: nothing is gained");
        }
    }
}
