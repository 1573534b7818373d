//! Who is to go so that a waiting task can start? Ejection: it takes the place of several others, which look for a new one.
//!
//! A swap (`kernel/anneal.rs`) exchanges one task for one. Where devices are shared, what stands in the way of a whole device is
//! often several fractions of it; to clear them one by one leads over states that only a hot search accepts, and a hot search
//! prefers many small tasks to few large ones. So after annealing, as long as tasks wait:
//!
//! ```text
//! trial   a random waiting task goes to a random node, or a task that runs goes to another one
//! eject   who is in its way there goes to the pool, and from there to where the least is left of a device
//! fill    what has become free goes to what waits, the most valuable first
//! keep    when all of that is worth no less than before; ties too, for they shuffle what is free
//! ```
//!
//! A trial costs about a microsecond, since it sees two nodes and an index (`ground.rs`). Trials come in rounds. In each the cluster is
//! cut anew into parts with their own nodes, waiting tasks and random numbers, which are searched side by side: the number of parts
//! follows from the cluster, so the result is the same on any number of threads.
//!
//! What is found is a target: no order of the moves to it may be possible. Where that matters more than all that could be found (single
//! steps from what was reached, see `resume.rs`), a search keeps *in order*: who has moved stays, and two that run do not change
//! places, so that the trials kept are, one after the other, an order.
//!
//! Tasks with group rules take no part. Whoever may not be stopped must find a new place, within the move budget; those that came
//! from the pool may go back to it. Everything follows from the state, the seed and the number of trials, in integers.

use super::build::Builder;
use super::ground::{Dice, Ground};
use super::kinds::{Kinds, counts_nodes, takes_part};
use super::pack::{DISPLACED_MAX, NOWHERE, Pack, UNGROUPED};
use super::walk::{Manner, Walk};
use crate::control::Control;
use crate::kernel::random::pcg3d;
use rayon::prelude::*;

/// Candidates of annealing that take as long as a trial.
const CANDIDATES_PER_TRIAL: u64 = 10;
/// A search ends after so many trials without gain, for each task that takes part.
const IDLE_TRIALS: u64 = 2000;
/// Trials per round and part, for each task in it.
const ROUND_TRIALS: u64 = 32;
/// A round has at least so many.
const ROUND_TRIALS_MIN: u64 = 1024;
/// Nodes of a part, about: openb (1,213 nodes) ends as well in one part as in 16, and more parts have work for more threads.
const PART_NODES: usize = 96;
/// Trials until who calls for a place is asked again.
const CALL_AGAIN: u64 = 256;

/// How many trials an effort (candidates per task) is worth, for a number of tasks.
pub fn trials(effort: u64, task_count: usize) -> u64 {
    effort.saturating_mul(task_count as u64) / CANDIDATES_PER_TRIAL
}

/// The effort that so many trials are worth.
pub fn effort(trials: u64, task_count: usize) -> u64 {
    trials.saturating_mul(CANDIDATES_PER_TRIAL).div_ceil(task_count.max(1) as u64)
}

/// True where ejection may find something: tasks wait and devices are shared out.
pub fn suits(pack: &Pack) -> bool {
    let waits = |task: &usize| takes_part(pack, *task) && pack.home[*task] == NOWHERE;
    !pack.shared.simultaneous
        && (0..pack.home.len()).any(|t| pack.device[t].0 > 0)
        && (0..pack.home.len()).any(|t| waits(&t))
}

/// True where there is more to decide than who starts in whose place: costs of nodes, rules of groups.
pub fn sees_less(pack: &Pack) -> bool {
    counts_nodes(pack) || pack.group.iter().any(|group| *group != UNGROUPED)
}

/// What a search is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Seed of every random choice.
    pub seed: u64,
    /// Trials after which nothing new is tried; what has begun in each part may go a little beyond.
    pub most: Option<u64>,
    /// It keeps in order.
    pub in_order: bool,
}

/// Runs trials until there are enough of them, nothing is found any more or the control says so; gives their number.
pub fn eject(pack: &Pack, editor: &mut Builder<'_>, asked: Asked, control: &Control) -> u64 {
    search(pack, editor, asked, control).0
}

/// The number of trials, and the points that they add, at most 0.
fn search(pack: &Pack, editor: &mut Builder<'_>, asked: Asked, control: &Control) -> (u64, i64) {
    let Asked { seed, most, in_order } = asked;
    let kinds = Kinds::new(pack);
    let takers = (0..pack.home.len()).filter(|task| takes_part(pack, *task)).count() as u64;
    let seed = seed as u32 ^ (seed >> 32) as u32;
    let (mut done, mut idle, mut round, mut change) = (0, 0, 0, 0);
    while most.is_none_or(|most| done < most) && idle <= IDLE_TRIALS * takers && !control.must_stop() {
        // What is easily found comes first.
        let is_thorough = in_order && idle > 0;
        let cut = Cut::new(pack, editor, pcg3d(seed, round, 0xE1EC)[0], is_thorough);
        let left = most.map_or(u64::MAX, |most| most - done);
        let walk = |part: usize| {
            let stream = round.wrapping_mul(cut.parts.len() as u32).wrapping_add(part as u32);
            let most = left.div_ceil(cut.parts.len() as u64);
            cut.walk(
                pack,
                &kinds,
                editor,
                part,
                Dice::new([seed ^ 0xE1EC, stream]),
                Manner { in_order, is_thorough },
                most,
                control,
            )
        };
        let walked: Vec<Walked> = (0..cut.parts.len()).into_par_iter().filter_map(walk).collect();
        let trials = walked.iter().map(|walked| walked.trials).sum::<u64>();
        if trials == 0 {
            break;
        }
        let gained = walked.iter().map(|walked| walked.change).sum::<i64>();
        (done, change) = (done + trials, change + gained);
        idle = if gained < 0 { 0 } else { idle + trials };
        let moved: Vec<&(u32, u32, u64)> = walked.iter().flat_map(|walked| &walked.moved).collect();
        moved.iter().for_each(|(task, ..)| editor.relocate(*task as usize, NOWHERE, 0));
        let placed = moved.iter().filter(|(_, node, _)| *node != NOWHERE);
        placed.for_each(|(task, node, devices)| editor.relocate(*task as usize, *node, *devices));
        debug_assert_eq!(editor.state, editor.state.recomputed(pack), "the parts and the state agree on every sum");
        round += 1;
    }
    (done, change)
}

/// Nodes of a part, the tasks on them that may go, and waiting ones.
#[derive(Default)]
struct Part {
    nodes: Vec<u32>,
    tasks: Vec<u32>,
    waiting: Vec<u32>,
}

/// What became of a part in a round.
struct Walked {
    trials: u64,
    /// Points added, at most 0.
    change: i64,
    /// Task, node or [`NOWHERE`], devices.
    moved: Vec<(u32, u32, u64)>,
}

/// The parts of a round.
struct Cut {
    parts: Vec<Part>,
    /// Number of a node within its part. Shape: nodes.
    local: Vec<u32>,
}

impl Cut {
    /// Cuts at random, or not where a place may be the only one. What counts for the cluster as a whole (a budget of moves, the group moved
    /// most) is not for parts to decide.
    fn new(pack: &Pack, editor: &Builder<'_>, seed: u32, as_one: bool) -> Cut {
        let count = pack.price.len();
        let is_whole = as_one || pack.displaced_max != DISPLACED_MAX || pack.group_move_weight > 0;
        let part_count = if is_whole { 1 } else { (count / PART_NODES).max(1) };
        let mut parts: Vec<Part> = (0..part_count).map(|_| Part::default()).collect();
        let mut order: Vec<(u32, u32)> = (0..count as u32).map(|node| (pcg3d(seed, node, 0)[0], node)).collect();
        order.sort_unstable();
        let (mut part_of, mut local) = (vec![0; count], vec![0; count]);
        for (i, (_, node)) in order.iter().enumerate() {
            let part = i * part_count / count;
            (part_of[*node as usize], local[*node as usize]) = (part, parts[part].nodes.len() as u32);
            parts[part].nodes.push(*node);
        }
        for task in (0..pack.home.len()).filter(|task| takes_part(pack, *task)) {
            match editor.state.at[task] {
                NOWHERE => {
                    let part = pcg3d(seed, task as u32, 1)[0] as usize % part_count;
                    parts[part].waiting.push(task as u32);
                }
                node => parts[part_of[node as usize]].tasks.push(task as u32),
            }
        }
        Cut { parts, local }
    }

    /// A round of one part; `None` when nobody waits there.
    fn walk(
        &self,
        pack: &Pack,
        kinds: &Kinds,
        editor: &Builder<'_>,
        part: usize,
        dice: Dice,
        manner: Manner,
        most: u64,
        control: &Control,
    ) -> Option<Walked> {
        let Part { nodes, tasks, waiting } = &self.parts[part];
        if waiting.is_empty() || nodes.is_empty() {
            return None;
        }
        let ground = Ground::new(pack, kinds, &editor.state, nodes, &self.local, [tasks, waiting]);
        let mut walk = Walk::new(pack, ground, dice, manner);
        let wanted = ROUND_TRIALS * (tasks.len() + waiting.len()) as u64;
        let (mut trials, mut change, mut next_call) = (0, 0, 0);
        while trials < wanted.max(ROUND_TRIALS_MIN).min(most) && walk.ground.waiting_count() > 0 {
            if trials >= next_call {
                next_call = trials + CALL_AGAIN;
                walk.call();
                if control.must_stop() {
                    break;
                }
            }
            let (added, taken) = walk.attempt();
            (change, trials) = (change + added, trials + taken);
        }
        let state = &editor.state;
        let is_moved = |(task, node, devices): &(u32, u32, u64)| {
            (state.at[*task as usize], state.devices[*task as usize]) != (*node, *devices)
        };
        let moved = walk.ground.places().filter(is_moved).collect();
        Some(Walked { trials, change, moved })
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::control::on_threads;
    use crate::model::*;
    use std::collections::BTreeMap;

    /// Two nodes with one device each, a fraction on each of them, and a whole device waiting.
    fn cluster(fractions: &str) -> Problem {
        let node = |name: &str| {
            format!(r#"{{"name": "{name}", "allocatable": {{"cpu": 8}}, "devices": [{{"kind": "gpu", "count": 1}}]}}"#)
        };
        let fraction = |name: &str, node: &str| {
            format!(
                r#"{{"name": "{name}", "weight": 10, "requirement": {{"cpu": 1}},
                    "device": {{"kind": "gpu", "count": 1, "milli": 500}},
                    "placement": [{{"node": "{node}", "devices": [0]}}]{fractions}}}"#
            )
        };
        let text = format!(
            r#"{{"format": "bayplan-snapshot/1", "resources": [{{"name": "cpu", "unit": "cores"}}], "nodes": [{}, {}],
                "tasks": [{}, {}, {{"name": "whole", "weight": 15, "requirement": {{"cpu": 1}},
                    "device": {{"kind": "gpu", "count": 1}}}}]}}"#,
            node("a"),
            node("b"),
            fraction("left", "a"),
            fraction("right", "b")
        );
        Problem::new(&crate::file::read_snapshot(text.as_bytes()).expect("a sound file")).expect("a sound snapshot")
    }

    /// Points gained, nodes of the tasks, and trials of an ejection.
    fn ejected(problem: &Problem, most: Option<u64>) -> (i128, Vec<u32>, u64) {
        let pack = Pack::new(problem);
        let mut editor = Builder::new(problem, &pack);
        let asked = Asked { seed: 1, most, in_order: false };
        let trials = eject(&pack, &mut editor, asked, &Control::unlimited());
        assert_eq!(editor.state, editor.state.recomputed(&pack), "what was undone is as it was");
        let reached = crate::bulk::state::spots(problem, &editor.state.at, &editor.state.devices);
        let gain = score(problem, &reached).objective() - score(problem, &problem.current).objective();
        (gain / i128::from(crate::model::SHARE_ONE), editor.state.at.clone(), trials)
    }

    #[test]
    fn a_fraction_makes_room_for_a_whole_device() {
        let problem = cluster("");
        assert!(suits(&Pack::new(&problem)));
        let (gain, at, trials) = ejected(&problem, None);
        assert_eq!(gain, 14, "it starts, less a move");
        assert!(trials < 100, "{trials} trials: nobody waits any more");
        assert!(at[0] == at[1] && at[2] == 1 - at[0], "the fractions share a device: {at:?}");
    }

    #[test]
    fn who_may_not_move_stays_and_the_search_ends() {
        let (gain, at, trials) = ejected(&cluster(r#", "pinned": true"#), None);
        assert_eq!((gain, at), (0, vec![0, 1, NOWHERE]));
        assert!(
            (IDLE_TRIALS..IDLE_TRIALS + ROUND_TRIALS_MIN).contains(&trials),
            "{trials} trials: one task takes part"
        );
        let (gain, _, trials) = ejected(&cluster(""), Some(0));
        assert_eq!((gain, trials), (0, 0), "no effort, no trial");
    }

    /// The small task has no other node; the large one, which is worth far more, has.
    #[test]
    fn who_has_another_place_makes_room_however_valuable() {
        let text = r#"{"format": "bayplan-snapshot/1", "resources": [{"name": "cpu", "unit": "cores"}], "nodes": [
            {"name": "a", "allocatable": {"cpu": 8}, "labels": {"disk": "yes"}, "devices": [{"kind": "gpu", "count": 1}]},
            {"name": "b", "allocatable": {"cpu": 6}}], "tasks": [
            {"name": "large", "weight": 1000, "requirement": {"cpu": 6}, "placement": [{"node": "a"}]},
            {"name": "small", "weight": 1, "requirement": {"cpu": 2}, "selector": {"disk": ["yes"]}, "placement": [{"node": "a"}]},
            {"name": "waits", "weight": 15, "requirement": {"cpu": 2}, "device": {"kind": "gpu", "count": 1}}]}"#;
        let problem = Problem::new(&crate::file::read_snapshot(text.as_bytes()).expect("a sound file")).expect("sound");
        let (_, at, trials) = ejected(&problem, None);
        assert_eq!(at, vec![1, 0, 0]);
        assert!(trials < 100, "{trials} trials: nobody waits any more");
    }

    /// A full cluster with every cost that a node can have, and much that waits: of two models of devices, some pinned, some that may stop.
    pub fn yard(nodes: usize) -> Problem {
        let amounts = |cpu: u32| BTreeMap::from([("cpu".to_string(), i64::from(cpu))]);
        let model = |n: u32| if n.is_multiple_of(3) { "old" } else { "new" }.to_string();
        let node = |n: u32| NodeSpec {
            name: format!("n{n}"),
            allocatable: amounts(24 + 8 * (n % 3)),
            soft_limit: amounts(20),
            price: 5,
            devices: vec![DevicesSpec { kind: "gpu".into(), model: model(n), count: 1 + n % 4, memory: None }],
            move_class: Some(model(n)),
            ..NodeSpec::default()
        };
        let task = |t: u32| {
            let [a, b, c] = pcg3d(t, 3, 9);
            let milli = [200, 300, 470, 500, 650, 810, 1000, 1000][a as usize % 8];
            let device = DeviceRequestSpec {
                kind: "gpu".into(),
                count: if milli == 1000 { 1 + b % 2 } else { 1 },
                milli,
                memory: None,
                models: if c.is_multiple_of(5) { vec![model(c)] } else { Vec::new() },
            };
            TaskSpec {
                name: format!("t{t}"),
                weight: i64::from(milli) + i64::from(b % 7),
                requirement: amounts(1 + b % 9),
                device: (c % 4 > 0).then_some(device),
                pinned: a.is_multiple_of(13),
                evictable: b.is_multiple_of(3),
                move_cost: i64::from(c % 3),
                ..TaskSpec::default()
            }
        };
        let mix = |milli: u32| MixSpec {
            parts: 1,
            requirement: amounts(2),
            device: DeviceRequestSpec { kind: "gpu".into(), count: 1, milli, memory: None, models: Vec::new() },
        };
        let snapshot = Snapshot {
            resources: vec![ResourceSpec {
                name: "cpu".into(),
                transient: true,
                load_weight: 2,
                ..ResourceSpec::default()
            }],
            nodes: (0..nodes as u32).map(node).collect(),
            tasks: (0..nodes as u32 * 6).map(task).collect(),
            objective: ObjectiveSpec {
                task_move_weight: 1,
                node_move_weight: 1,
                price_weight: 1,
                move_costs: Some(MoveCostsSpec { default: 2, ..MoveCostsSpec::default() }),
                fragmentation: Some(FragmentationSpec { weight: 1, mix: vec![mix(500), mix(1000)] }),
                ..ObjectiveSpec::default()
            },
            ..Snapshot::default()
        };
        let empty = Problem::new(&snapshot).expect("it is sound");
        let pack = Pack::new(&empty);
        let mut editor = Builder::new(&empty, &pack);
        editor.admit(&Control::unlimited());
        empty.afterwards(&editor.state.placement(&empty))
    }

    #[test]
    fn parts_end_alike_on_any_number_of_threads_and_points_are_those_of_the_model() {
        let problem = yard(2 * PART_NODES);
        let pack = Pack::new(&problem);
        assert!(!pack.is_inexact && super::Cut::new(&pack, &Builder::new(&problem, &pack), 1, false).parts.len() == 2);
        let ended = |threads: usize| {
            let mut editor = Builder::new(&problem, &pack);
            let asked = Asked { seed: 5, most: Some(200_000), in_order: false };
            let found = on_threads(threads, || search(&pack, &mut editor, asked, &Control::unlimited()));
            assert_eq!(editor.state, editor.state.recomputed(&pack), "the parts and the state agree on every sum");
            (editor.state.placement(&problem), found)
        };
        let (reached, (trials, change)) = ended(1);
        assert_eq!((&reached, (trials, change)), (&ended(4).0, ended(3).1));
        let broken = violations(&problem, &problem.current);
        assert_eq!(worsened(&broken, &violations(&problem, &reached)), Vec::new());
        let gain = score(&problem, &reached).objective() - score(&problem, &problem.current).objective();
        assert_eq!(gain, -i128::from(change) * i128::from(SHARE_ONE));
        assert!(gain > 0 && trials >= 200_000, "{gain} in {trials}");
    }

    /// Two that run would have to change places, and neither node has room for both at once.
    #[test]
    fn what_is_found_in_order_has_one() {
        let text = r#"{"format": "bayplan-snapshot/1", "resources": [{"name": "cpu", "unit": "cores", "transient": true}], "nodes": [
            {"name": "a", "allocatable": {"cpu": 4}, "devices": [{"kind": "gpu", "count": 1}]},
            {"name": "b", "allocatable": {"cpu": 3}}], "tasks": [
            {"name": "large", "weight": 1, "requirement": {"cpu": 3}, "placement": [{"node": "a"}]},
            {"name": "small", "weight": 1, "requirement": {"cpu": 2}, "placement": [{"node": "b"}]},
            {"name": "waits", "weight": 15, "requirement": {"cpu": 2}, "device": {"kind": "gpu", "count": 1}}]}"#;
        let problem = Problem::new(&crate::file::read_snapshot(text.as_bytes()).expect("a sound file")).expect("sound");
        let pack = Pack::new(&problem);
        let found = |in_order: bool| {
            let mut editor = Builder::new(&problem, &pack);
            eject(&pack, &mut editor, Asked { seed: 1, most: Some(1000), in_order }, &Control::unlimited());
            let ordered = crate::plan::order(&problem, &editor.state.placement(&problem), &Control::unlimited());
            (editor.state.at.clone(), ordered.blocked.len())
        };
        assert_eq!(found(false), (vec![1, 0, 0], 3));
        assert_eq!(found(true), (vec![0, 1, NOWHERE], 0));
    }

    #[test]
    fn what_the_ejected_lose_counts() {
        // Leaving home costs each of them more than the waiting one is worth.
        let (gain, at, _) = ejected(&cluster(r#", "move_cost": 20"#), Some(200));
        assert_eq!((gain, at), (0, vec![0, 1, NOWHERE]));
    }
}
