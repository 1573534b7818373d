//! Who makes room for a gang, and which of its members make room for others?
//!
//! Annealing moves members of a gang and never starts or stops one: whether enough of them run is a question about all blocks at once.
//! So after it, what still waits and has to do with a gang looks for a place, one after the other, the densest first:
//!
//! | what waits | whose place it may take |
//! |---|---|
//! | a gang of which too few run, as a whole | that of any task that may stop, members of other gangs beyond their least number included |
//! | a member of a gang that runs | the same |
//! | any other task | that of members of gangs beyond their least number |
//!
//! On a node the least valuable stop first, and those that turn out not to be in the way go on. Who was stopped looks for a new place at
//! its best fit. All of that together must bring points, with the move budget kept, else it is undone. So a gang shrinks to its least
//! number for something worth more, and grows again where there is room. Whoever must cover a domain (a spread rule, or others that
//! depend on its group) does not make room. Everything follows from the state, in integers.

use super::build::Builder;
use super::pack::{NOWHERE, Pack, UNGROUPED};
use crate::control::Control;
use crate::kernel::score::Target;
use crate::model::LevelId;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Most tasks that stop on a node for one.
const STOPPED_MAX: usize = 8;
/// Nodes looked at for one task.
const NODES_MAX: usize = 96;
/// Tasks and gangs that look for room in one pass.
const SEEKERS_MAX: usize = 4096;
/// Domains in which a gang looks for room.
const DOMAINS_MAX: usize = 16;
/// Passes; the last brings nothing, or little.
const PASSES_MAX: usize = 8;

/// True where there is a gang and something waits.
pub fn suits(pack: &Pack) -> bool {
    let waits = |task: &usize| pack.movable[*task] && pack.home[*task] == NOWHERE;
    !pack.shared.simultaneous && pack.groups.iter().any(|group| group.gang) && (0..pack.home.len()).any(|t| waits(&t))
}

/// Makes room as long as that brings points.
pub fn room(pack: &Pack, editor: &mut Builder<'_>, control: &Control) {
    if !suits(pack) {
        return;
    }
    for _ in 0..PASSES_MAX {
        let mut search = Search::new(pack, editor);
        let mut tried = BTreeSet::new();
        let mut gained = false;
        for task in editor.waiting().into_iter().map(|task| task as usize).take(SEEKERS_MAX) {
            if control.must_stop() {
                return;
            }
            if editor.state.at[task] != NOWHERE {
                continue;
            }
            let group = pack.group[task];
            gained |= match group {
                group if group == UNGROUPED || !pack.groups[group as usize].gang => search.seek(editor, task, false),
                group if editor.running(group) >= pack.groups[group as usize].least => search.seek(editor, task, true),
                group => tried.insert(group) && search.start(editor, group),
            };
        }
        if !gained {
            return;
        }
        editor.admit(control);
    }
}

/// What was done, so that it can be undone.
#[derive(Default)]
struct Trial {
    /// Task, and where it was.
    log: Vec<(usize, u32, u64)>,
    /// Points, less is better.
    change: i64,
}

impl Trial {
    /// False where it cannot be told what that is worth.
    fn stop(&mut self, pack: &Pack, editor: &mut Builder<'_>, task: usize) -> bool {
        let (node, devices) = (editor.state.at[task], editor.state.devices[task]);
        editor.relocate(task, NOWHERE, 0);
        self.log.push((task, node, devices));
        let here = editor.judge(task, node);
        self.change += here.map_or(0, |here| pack.pool_points(task) - here.points);
        here.is_some()
    }

    fn start(&mut self, pack: &Pack, editor: &mut Builder<'_>, task: usize, target: Target) {
        self.change += target.points - pack.pool_points(task);
        editor.relocate(task, target.node, target.devices);
        self.log.push((task, NOWHERE, 0));
    }

    /// Undoes all that came after.
    fn back_to(&mut self, editor: &mut Builder<'_>, (length, change): (usize, i64)) {
        while self.log.len() > length {
            let (task, node, devices) = self.log.pop().expect("longer than something");
            editor.relocate(task, node, devices);
        }
        self.change = change;
    }

    fn mark(&self) -> (usize, i64) {
        (self.log.len(), self.change)
    }
}

struct Search<'a> {
    pack: &'a Pack,
    /// Tasks per node that may ever make room, the least valuable first.
    here: Vec<Vec<u32>>,
    /// Where members of gangs are among them.
    of_gangs: Vec<bool>,
}

impl<'a> Search<'a> {
    fn new(pack: &'a Pack, editor: &Builder<'_>) -> Search<'a> {
        let mut search =
            Search { pack, here: vec![Vec::new(); pack.price.len()], of_gangs: vec![false; pack.price.len()] };
        for task in 0..pack.home.len() {
            if !search.may_stop(editor, task) {
                continue;
            }
            let node = editor.state.at[task] as usize;
            search.here[node].push(task as u32);
            search.of_gangs[node] |= pack.is_of_gang(task);
        }
        search.here.iter_mut().for_each(|list| list.sort_by_key(|task| (pack.value[*task as usize], *task)));
        search
    }

    /// May it stop as things stand, and break nothing by that?
    fn may_stop(&self, editor: &Builder<'_>, task: usize) -> bool {
        let pack = self.pack;
        if !pack.movable[task] || !pack.may_stop[task] || editor.state.at[task] == NOWHERE {
            return false;
        }
        let has_enough = |group: u32| editor.running(group) > pack.groups[group as usize].least;
        !pack.is_counted_on(task) && (!pack.is_of_gang(task) || has_enough(pack.group[task]))
    }

    /// A place for one task, in that of any others or only of members of gangs; true when that brings points.
    fn seek(&mut self, editor: &mut Builder<'_>, task: usize, any: bool) -> bool {
        let mut trial = Trial::default();
        let before = Before::new(self.pack, editor);
        let found = match editor.best(task).filter(|target| target.points < self.pack.pool_points(task)) {
            Some(target) => {
                trial.start(self.pack, editor, task, target);
                true
            }
            None => self.displace(editor, &mut trial, task, any, self.pack.pool_points(task)),
        };
        found && self.settle(editor, &mut trial, before)
    }

    /// Starts a gang; true when that brings points.
    fn start(&mut self, editor: &mut Builder<'_>, group: u32) -> bool {
        let Some(row) = editor.open_row(group) else { return self.start_here(editor, group) };
        let level = LevelId(self.pack.rows[row as usize].level);
        for domain in editor.domains(level, None).into_iter().take(DOMAINS_MAX) {
            editor.gang_domain = Some(domain);
            let started = self.start_here(editor, group);
            editor.gang_domain = None;
            if started {
                return true;
            }
        }
        false
    }

    fn start_here(&mut self, editor: &mut Builder<'_>, group: u32) -> bool {
        let least = self.pack.groups[group as usize].least;
        let mut members = editor.waiting_members(group);
        members.sort_by_key(|task| (Reverse(self.pack.value[*task as usize]), *task));
        let before = Before::new(self.pack, editor);
        let mut trial = Trial::default();
        for (i, task) in members.iter().map(|task| *task as usize).enumerate() {
            let is_needed = editor.running(group) < least;
            if is_needed && editor.running(group) + ((members.len() - i) as u32) < least {
                break;
            }
            let worth = self.pack.pool_points(task);
            match editor.best(task) {
                Some(target) if is_needed || target.points < worth => trial.start(self.pack, editor, task, target),
                None if is_needed => _ = self.displace(editor, &mut trial, task, true, i64::MAX),
                _ => {}
            }
        }
        if editor.running(group) < least {
            trial.back_to(editor, (0, 0));
            return false;
        }
        self.settle(editor, &mut trial, before)
    }

    /// Puts a task where the least is lost by it, and stops who is in its way there; false, with nothing done, where that is nowhere.
    fn displace(&self, editor: &mut Builder<'_>, trial: &mut Trial, task: usize, any: bool, most: i64) -> bool {
        let pack = self.pack;
        let node_count = self.here.len();
        let opens = |node: &usize| pack.shared.allow[(pack.class_row[task] + pack.node_class[*node]) as usize] != 0;
        let has = |node: &usize| !self.here[*node].is_empty() && (any || self.of_gangs[*node]);
        // Not all begin to look at the same nodes.
        let first = task * 7919 % node_count.max(1);
        let nodes = (0..node_count).map(|i| (first + i) % node_count).filter(has).filter(opens);
        let mark = trial.mark();
        let mut best: Option<(i64, Vec<usize>, usize)> = None;
        for node in nodes.take(NODES_MAX) {
            let Some(stopped) = self.in_the_way(editor, trial, task, node, any, most) else { continue };
            if self.replace(editor, trial, &stopped, task, node)
                && best.as_ref().is_none_or(|(least, ..)| trial.change < *least)
            {
                best = Some((trial.change, stopped, node));
            }
            trial.back_to(editor, mark);
        }
        best.is_some_and(|(_, stopped, node)| self.replace(editor, trial, &stopped, task, node))
    }

    /// Stops some and starts another where they were; false where it still has no room there.
    fn replace(
        &self,
        editor: &mut Builder<'_>,
        trial: &mut Trial,
        stopped: &[usize],
        task: usize,
        node: usize,
    ) -> bool {
        for other in stopped {
            trial.stop(self.pack, editor, *other);
        }
        let target = editor.judge(task, node as u32);
        target.inspect(|target| trial.start(self.pack, editor, task, *target)).is_some()
    }

    /// Who must stop on a node so that a task has room, worth less than `most` together; nothing is done.
    fn in_the_way(
        &self,
        editor: &mut Builder<'_>,
        trial: &mut Trial,
        task: usize,
        node: usize,
        any: bool,
        most: i64,
    ) -> Option<Vec<usize>> {
        let pack = self.pack;
        let mark = trial.mark();
        let mut stopped: Vec<(usize, u64)> = Vec::new();
        let mut lost = 0i64;
        let mut is_clear = editor.judge(task, node as u32).is_some();
        for other in self.here[node].iter().map(|other| *other as usize) {
            if is_clear || stopped.len() == STOPPED_MAX {
                break;
            }
            let is_own = pack.group[task] != UNGROUPED && pack.group[other] == pack.group[task];
            let may = editor.state.at[other] as usize == node && !is_own && (any || self.pack.is_of_gang(other));
            if !may || !self.may_stop(editor, other) {
                continue;
            }
            lost = lost.saturating_add(pack.value[other]);
            let devices = editor.state.devices[other];
            if lost >= most || !trial.stop(pack, editor, other) {
                break;
            }
            stopped.push((other, devices));
            is_clear = editor.judge(task, node as u32).is_some();
        }
        // The most valuable first: does it have room without that one?
        for (other, devices) in stopped.clone().into_iter().rev().filter(|_| is_clear) {
            editor.relocate(other, node as u32, devices);
            if editor.judge(task, node as u32).is_some() {
                stopped.retain(|(own, _)| *own != other);
            } else {
                editor.relocate(other, NOWHERE, 0);
            }
        }
        trial.back_to(editor, mark);
        is_clear.then(|| stopped.into_iter().map(|(other, _)| other).collect())
    }

    /// Places again who was stopped, and keeps it all when it brings points.
    fn settle(&mut self, editor: &mut Builder<'_>, trial: &mut Trial, before: Before) -> bool {
        let pack = self.pack;
        let mut order: Vec<usize> =
            trial.log.iter().map(|(task, ..)| *task).filter(|task| editor.state.at[*task] == NOWHERE).collect();
        order.sort_by_key(|task| (Reverse(pack.value[*task]), *task));
        order.dedup();
        for task in order {
            if let Some(target) = editor.best(task).filter(|target| target.points < pack.pool_points(task)) {
                trial.start(pack, editor, task, target);
            }
        }
        let change = trial.change + editor.state.group_points(pack) - before.group_points;
        let in_budget = editor.state.displaced <= before.displaced.max(i64::from(pack.displaced_max));
        if change >= 0 || !in_budget {
            trial.back_to(editor, (0, 0));
            return false;
        }
        true
    }
}

/// What a trial is measured against.
struct Before {
    group_points: i64,
    displaced: i64,
}

impl Before {
    fn new(pack: &Pack, editor: &Builder<'_>) -> Before {
        Before { group_points: editor.state.group_points(pack), displaced: editor.state.displaced }
    }
}
