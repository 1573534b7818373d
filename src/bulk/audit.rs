//! Is what a device says true? Everything is counted again on the host, from where the tasks are, before it is taken over.
//!
//! Node and device of every task must be allowed to it; every sum per node, device and group, the displaced tasks and the
//! points must come out the same; no rule of the model may be broken that was kept when the search began. The sums are
//! taken here in one go, not with the code that changes them step by step.

use super::chain::{Best, Chain};
use super::device::Landing;
use super::pack::{NOWHERE, Pack, UNGROUPED};
use super::state::{State, spots};
use crate::kernel::layout::beyond;
use crate::model::{Problem, Rule, Violation, violations, worsened};
use rayon::prelude::*;

/// What the search began with.
pub struct Audit {
    built: State,
    points_built: i128,
    /// Rules broken in the snapshot, and in the state that the search began with.
    broken: [Vec<Violation>; 2],
}

/// All that follows from where the tasks are.
#[derive(Default)]
struct Sums {
    used: Vec<i64>,
    held: Vec<i64>,
    tasks_here: Vec<u32>,
    /// As in [`State`].
    device_used: Vec<u32>,
    moved_in_group: Vec<u32>,
    displaced: i64,
    /// Quanta above limits.
    overfull: i64,
}

impl Audit {
    /// Notes the state that the search begins with.
    pub fn new(problem: &Problem, pack: &Pack, built: &State) -> Audit {
        let sums = Sums::of(pack, &built.at, &built.devices);
        Audit {
            points_built: points(pack, &built.at, &sums) - i128::from(built.group_points(pack)),
            broken: [
                violations(problem, &problem.current),
                violations(problem, &spots(problem, &built.at, &built.devices)),
            ],
            built: built.clone(),
        }
    }

    /// Counts everything again.
    ///
    /// # Errors
    /// The first thing that is not as the device says.
    pub fn check(&self, problem: &Problem, pack: &Pack, chain: &Chain, landing: &Landing) -> Result<(), String> {
        let Landing { state, best, tally } = landing;
        let sums = self.check_places(problem, pack, &state.at, &state.devices, chain.kind.exceeds_limits())?;
        sums.compare(state)?;
        same("what is above limits", tally.overfull, sums.overfull)?;
        let counted = self.points(pack, &state.at, &sums);
        same("the points", i128::from(tally.points), counted)?;
        same("the group points", tally.group_points, state.group_points(pack))?;
        if tally.evaluations < chain.tally.evaluations {
            return Err("it judged fewer than no candidates".to_string());
        }
        let key = (tally.best_points, tally.best_displaced);
        let may_be_best = tally.overfull == 0 && tally.displaced <= i64::from(chain.displaced_max);
        if may_be_best && key > (tally.points, tally.displaced) || key > chain.key() {
            return Err("its best is not the best".to_string());
        }
        if *best == chain.best {
            return same("the best points", key, chain.key());
        }
        if tally.best_displaced > i64::from(chain.displaced_max) {
            return Err("its best displaces more tasks than may move".to_string());
        }
        if (&best.at, &best.devices) == (&state.at, &state.devices) {
            return same("the best points", key, (tally.points, tally.displaced));
        }
        self.check_best(problem, pack, best, key)
    }

    fn check_best(&self, problem: &Problem, pack: &Pack, best: &Best, key: (i64, i64)) -> Result<(), String> {
        let sums = self.check_places(problem, pack, &best.at, &best.devices, false)?;
        same("the best points", i128::from(key.0), self.points(pack, &best.at, &sums))?;
        same("the best displaced tasks", key.1, sums.displaced)
    }

    /// Points as the chain counts them: from 0 in the built state, the group term aside.
    fn points(&self, pack: &Pack, at: &[u32], sums: &Sums) -> i128 {
        points(pack, at, sums) - self.points_built
    }

    /// May every task be where it is?
    fn check_places(
        &self,
        problem: &Problem,
        pack: &Pack,
        at: &[u32],
        devices: &[u64],
        may_exceed: bool,
    ) -> Result<Sums, String> {
        let width = pack.shared.device_width as u32;
        for task in 0..at.len() {
            let (now, before) = ((at[task], devices[task]), (self.built.at[task], self.built.devices[task]));
            if now == before {
                continue;
            }
            if !pack.movable[task] {
                return Err(format!("task {task} may not move and did"));
            }
            if now.0 == NOWHERE && !pack.may_stop[task] && before.0 != NOWHERE {
                return Err(format!("task {task} may not stop and did"));
            }
            let is_home = now.0 == pack.home[task] && now.1 == pack.home_devices[task];
            let wanted = if now.0 == NOWHERE { 0 } else { u32::from(pack.device[task].0) };
            if now.1.count_ones() != wanted && !is_home || u64::BITS - now.1.leading_zeros() > width {
                return Err(format!("task {task} has the devices {:#x} and wants {wanted}", now.1));
            }
        }
        let sums = Sums::of(pack, at, devices);
        for (slot, (held, limit)) in sums.held.iter().zip(&pack.limit).enumerate() {
            let is_soft = may_exceed && pack.shared.over_price[slot % pack.lanes] > 0;
            if *held > i64::from(*limit) << u32::from(is_soft) {
                return Err(format!("node {} holds {held} of {limit}", slot / pack.lanes));
            }
        }
        for (slot, (used, before)) in sums.device_used.iter().zip(&self.built.device_used).enumerate() {
            let [[milli, memory], [milli_before, memory_before]] = [*used, *before].map(beyond);
            // Nobody comes to a device that has no room, in the quanta that kernels count.
            if milli > milli_before || memory > memory_before {
                return Err(format!(
                    "device {slot} is taken {milli} milli and {memory} quanta of memory beyond what it has"
                ));
            }
        }
        // With rounded amounts or elastic shares the kernels only steer, and the end of the search settles with the model.
        if pack.is_inexact {
            return Ok(sums);
        }
        // Repair may have traded one broken rule for another, and room that an overfull start held may be taken again.
        let mut now = violations(problem, &spots(problem, at, devices));
        // Counted above; only the best must be within the limits, and within the budget of moves.
        now.retain(|violation| match violation.rule {
            Rule::Capacity => !may_exceed,
            rule => rule != Rule::MoveBudget,
        });
        let [start, built] = &self.broken;
        let since_built = worsened(built, &now);
        match worsened(start, &now).iter().find(|violation| since_built.contains(violation)) {
            Some(violation) => Err(format!("it breaks a rule: {}", violation.describe(problem))),
            None => Ok(sums),
        }
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, theirs: T, counted: T) -> Result<(), String> {
    if theirs == counted { Ok(()) } else { Err(format!("{what}: it says {theirs:?}, counted {counted:?}")) }
}

impl Sums {
    fn of(pack: &Pack, at: &[u32], devices: &[u64]) -> Sums {
        let (nodes, lanes) = (pack.price.len(), pack.lanes);
        let mut sums = Sums {
            used: vec![0; nodes * lanes],
            held: vec![0; nodes * lanes],
            tasks_here: vec![0; nodes],
            device_used: pack.lacking.clone(),
            moved_in_group: vec![0; pack.groups.len()],
            displaced: 0,
            overfull: 0,
        };
        for task in (0..at.len()).filter(|task| pack.packed[*task]) {
            let (home, node) = (pack.home[task], at[task]);
            let requirement = &pack.requirement[task * lanes..][..lanes];
            let is_home = home == node;
            if home != NOWHERE {
                for r in 0..lanes {
                    sums.held[home as usize * lanes + r] += i64::from(requirement[r] & pack.shared.transient[r]);
                }
                if pack.shared.simultaneous {
                    sums.take(pack, task, home, pack.home_devices[task]);
                }
                sums.displaced += i64::from(!is_home);
                if !is_home && pack.group_move_weight > 0 && pack.group_all[task] != UNGROUPED {
                    sums.moved_in_group[pack.group_all[task] as usize] += 1;
                }
            }
            if node != NOWHERE {
                for r in 0..lanes {
                    let booked = if is_home { pack.shared.transient[r] } else { 0 };
                    sums.used[node as usize * lanes + r] += i64::from(requirement[r]);
                    sums.held[node as usize * lanes + r] += i64::from(requirement[r] & !booked);
                }
                sums.tasks_here[node as usize] += 1;
                if !(pack.shared.simultaneous && is_home) {
                    sums.take(pack, task, node, devices[task]);
                }
            }
        }
        let above = |(used, limit): (&i64, &i32)| (used - i64::from(*limit)).max(0);
        sums.overfull = sums.used.iter().zip(&pack.limit).map(above).sum();
        sums
    }

    fn take(&mut self, pack: &Pack, task: usize, node: u32, devices: u64) {
        let width = pack.shared.device_width;
        for d in (0..width).filter(|d| devices >> d & 1 == 1) {
            let used = &mut self.device_used[node as usize * width + d];
            *used = used.wrapping_add(pack.device[task].1);
        }
    }

    fn compare(&self, state: &State) -> Result<(), String> {
        let wide = |amounts: &[i32]| amounts.iter().map(|amount| i64::from(*amount)).collect::<Vec<_>>();
        let parts = [
            ("what the nodes run", wide(&state.used) == self.used),
            ("what the nodes hold", wide(&state.held) == self.held),
            ("the tasks per node", state.tasks_here == self.tasks_here),
            ("the devices", state.device_used == self.device_used),
            ("the tasks moved per group", state.moved_in_group == self.moved_in_group),
            ("the tasks away from home", state.displaced == self.displaced),
        ];
        match parts.iter().find(|(_, is_same)| !is_same) {
            Some((what, _)) => Err(format!("{what}: not what the tasks there add up to")),
            None => Ok(()),
        }
    }
}

/// Points of a placement: nodes, prices, tasks, group moves.
fn points(pack: &Pack, at: &[u32], sums: &Sums) -> i128 {
    let width = pack.shared.device_width;
    let node = |node: usize| {
        let used = |r: usize| sums.used[node * pack.lanes + r] as i32;
        i128::from(pack.node_points(node, sums.tasks_here[node] > 0, used, &sums.device_used[node * width..][..width]))
    };
    let nodes: i128 = (0..pack.price.len()).into_par_iter().map(node).sum();
    let of_task = |task: usize| i128::from(pack.task_points(task, at[task]));
    let tasks = (0..at.len()).into_par_iter().filter(|task| pack.packed[*task]).map(of_task);
    let moved = sums.moved_in_group.iter().copied().max().unwrap_or(0);
    nodes + tasks.sum::<i128>() + i128::from(pack.group_move_weight) * i128::from(moved)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bulk::Options;
    use crate::bulk::build::build;
    use crate::bulk::heat::{Heat, Kind};
    use crate::bulk::schedule::{Part, Schedule};
    use crate::control::Control;

    /// A chain of the small example after some rounds, and what a right device would say of the next.
    fn rounds(problem: &Problem, pack: &Pack, count: usize) -> (Audit, Chain, Landing) {
        let (built, _) = build(problem, pack, None, &Control::unlimited());
        let options = Options { effort: Some(400), ..Options::default() };
        let schedule = Schedule::new(pack, Heat::new(pack), &options, &Control::unlimited(), Part::Whole, 400);
        let mut before = Chain::new(pack, &built, 1, 0, Kind::Careful);
        let mut after = Chain::new(pack, &built, 1, 0, Kind::Careful);
        for (round, temperature) in (0..).zip(schedule.temperatures(0, count + 1, None, Kind::Careful)) {
            let plan = before.plan(&schedule, round, temperature);
            after.step(problem, pack, &plan);
            if (round as usize) < count {
                before.step(problem, pack, &plan);
            }
        }
        (Audit::new(problem, pack, &built), before, Landing::of(&after))
    }

    #[test]
    fn a_poisoned_output_is_refused() {
        let text = include_bytes!("../../data/small.json");
        let problem = Problem::new(&crate::file::read_snapshot(text).expect("a sound file")).expect("a sound snapshot");
        let pack = Pack::new(&problem);
        let (audit, chain, right) = rounds(&problem, &pack, 3);
        assert_eq!(audit.check(&problem, &pack, &chain, &right), Ok(()));
        let placed = right.state.at.iter().position(|node| *node != NOWHERE).expect("something runs");
        let device = pack.device.iter().position(|(count, _)| *count > 0).expect("something wants devices");
        let pinned = pack.movable.iter().position(|movable| !movable);
        type Poison<'a> = (&'a str, &'a dyn Fn(&mut Landing));
        let poison: [Poison<'_>; 13] = [
            ("a task elsewhere", &|l| l.state.at[placed] = (l.state.at[placed] + 1) % 8),
            ("a task gone", &|l| l.state.at[placed] = NOWHERE),
            ("another device", &|l| l.state.devices[device] ^= 1 << 40),
            ("use", &|l| l.state.used[0] += 1),
            ("held", &|l| l.state.held[0] -= 1),
            ("tasks here", &|l| l.state.tasks_here[0] += 1),
            ("displaced", &|l| l.state.displaced += 1),
            ("points", &|l| l.tally.points -= 1),
            ("best points", &|l| l.tally.best_points -= 1),
            ("the best worse than what it is", &|l| l.tally.best_points = l.tally.points + 1),
            ("the best without a task", &|l| l.best.at[placed] = NOWHERE),
            ("what is above limits", &|l| l.tally.overfull += 1),
            ("group points", &|l| l.tally.group_points += 1),
        ];
        for (what, poison) in poison {
            let mut landing = right.clone();
            poison(&mut landing);
            assert!(audit.check(&problem, &pack, &chain, &landing).is_err(), "{what} is not found");
        }
        let lanes = pack.lanes;
        let fits = |state: &State, task: usize, node: usize, times: u32| {
            (0..lanes).all(|r| {
                let held = state.held[node * lanes + r] + pack.requirement[task * lanes + r];
                held <= pack.limit[node * lanes + r] << times
            })
        };
        // Fills a node until it holds too much, but not twice as much.
        let overfill = |node: usize| {
            let mut beyond = right.clone();
            for task in (0..pack.home.len()).filter(|task| pack.movable[*task] && pack.device[*task].0 == 0) {
                if beyond.state.at[task] != node as u32 && fits(&beyond.state, task, node, 1) {
                    let is_too_much = !fits(&beyond.state, task, node, 0);
                    beyond.state.relocate(&pack, task, node as u32, 0);
                    if is_too_much {
                        return Some(beyond);
                    }
                }
            }
            None
        };
        let beyond = (0..pack.price.len()).find_map(overfill).expect("some node can be overfilled");
        let objection = audit.check(&problem, &pack, &chain, &beyond).expect_err("a careful chain exceeds nothing");
        assert!(objection.contains("holds"), "{objection}");
        if let Some(task) = pinned {
            let mut landing = right.clone();
            landing.state.at[task] = (landing.state.at[task] + 1) % 8;
            assert!(audit.check(&problem, &pack, &chain, &landing).is_err(), "a pinned task moved");
        }
    }
}
