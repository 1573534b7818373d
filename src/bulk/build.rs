//! How does the search begin? Broken rules are repaired first, then what waits is placed, best fit.
//!
//! Tiles of tasks are scored against all nodes in parallel (`kernel/score.rs`); the results are taken in order, and a task
//! whose node has changed since is scored again on its own. So the result does not depend on the number of threads.
//!
//! Tasks that are alike follow each other, and where several do, all nodes are looked at once for all of them: when one of them has got the
//! best node, that node alone has changed, and is looked at again. So a queue of few kinds of tasks costs little however long it is.

use super::device::{Device, Trouble, node_words};
use super::kinds;
use super::pack::{NOWHERE, Pack, UNGROUPED};
use super::state::State;
use crate::control::Control;
use crate::gpu::{Query, Tiles};
use crate::kernel::layout::{MILLI_SHIFT, beyond};
use crate::kernel::points::Shared;
use crate::kernel::score::{Candidate, Nodes, Target, judge, score};
use crate::model::{LevelId, NodeId, Place, Problem, TaskId, Violation, violations};
use rayon::prelude::*;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

/// Tasks scored against the same state.
const TILE: usize = 128;
/// So many tasks that are alike are not scored in tiles: a tile, on a device one way there and back, costs as much as a few looks at all.
const ALIKE_MIN: usize = 4;
/// Nodes that one thread looks at before others are asked to help.
const NODES_AT_ONCE: usize = 512;
/// Tasks that are alike between two looks at the clock.
const TASKS_AT_ONCE: usize = 4096;
/// Domains that a gang bound to one tries.
const GANG_DOMAINS_MAX: usize = 256;
/// Tasks of one broken rule that repair tries to move.
const SUSPECTS_MAX: usize = 4096;

/// The state that annealing starts from, and what went wrong on the device, if anything did.
pub fn build(problem: &Problem, pack: &Pack, device: Option<&Device>, control: &Control) -> (State, Option<Trouble>) {
    let mut builder = Builder::new(problem, pack);
    builder.repair(control);
    if let Some(device) = device.filter(|_| (0..pack.home.len()).filter(|task| builder.waits(*task)).nth(1).is_some()) {
        match Tiles::new(Arc::clone(device.gpu()), device.image(), TILE) {
            Ok(tiles) => builder.tiles = Some(tiles),
            Err(error) => builder.trouble = Some(error.into()),
        }
    }
    builder.admit(control);
    (builder.state, builder.trouble)
}

/// A task, and the node and devices that it had, or is to have.
pub type Was = (usize, u32, u64);

/// A state that can be edited one task at a time with every rule in view.
pub struct Builder<'a> {
    problem: &'a Problem,
    pack: &'a Pack,
    /// The placement so far.
    pub state: State,
    /// Members per row and domain.
    present: Vec<BTreeMap<u32, u32>>,
    /// Members placed per group.
    placed: Vec<u32>,
    /// Members per group.
    members: Vec<Vec<u32>>,
    /// Where the gang that is being started is tried, if it is bound to a domain.
    pub gang_domain: Option<u32>,
    /// Where tiles are scored; `None` = here.
    tiles: Option<Tiles>,
    /// What went wrong there.
    trouble: Option<Trouble>,
}

impl<'a> Builder<'a> {
    /// Everything at home.
    pub fn new(problem: &'a Problem, pack: &'a Pack) -> Builder<'a> {
        let state = State::at_home(pack);
        let mut members = vec![Vec::new(); pack.groups.len()];
        for (task, group) in pack.group.iter().enumerate().filter(|(_, group)| **group != UNGROUPED) {
            members[*group as usize].push(task as u32);
        }
        let mut builder = Builder {
            problem,
            pack,
            state,
            present: vec![BTreeMap::new(); pack.rows.len()],
            placed: vec![0; pack.groups.len()],
            members,
            gang_domain: None,
            tiles: None,
            trouble: None,
        };
        for task in 0..pack.home.len() {
            builder.count(task, builder.state.at[task], 1);
        }
        builder
    }

    /// A placement found by the search.
    pub fn at(problem: &'a Problem, pack: &'a Pack, at: &[u32], devices: &[u64]) -> Builder<'a> {
        let mut builder = Builder::new(problem, pack);
        builder.adopt(at, devices);
        builder
    }

    /// Goes on from a placement.
    pub fn adopt(&mut self, at: &[u32], devices: &[u64]) {
        let (pack, state) = (self.pack, &self.state);
        // Who is at home has there what it had.
        let is_other = |(task, at, devices): &Was| {
            let has_others = || *at != pack.home[*task] && *devices != state.devices[*task];
            pack.packed[*task] && (*at != state.at[*task] || has_others())
        };
        let others: Vec<Was> = (0..at.len()).map(|task| (task, at[task], devices[task])).filter(is_other).collect();
        self.back(&others);
    }

    fn count(&mut self, task: usize, node: u32, sign: i32) {
        let group = self.pack.group[task];
        if group == UNGROUPED || node == NOWHERE {
            return;
        }
        let placed = &mut self.placed[group as usize];
        *placed = placed.wrapping_add_signed(sign);
        let group = self.pack.groups[group as usize];
        for r in group.row..group.row + group.row_count {
            let domain = self.problem.domain(NodeId(node), LevelId(self.pack.rows[r as usize].level)).0;
            let count = self.present[r as usize].entry(domain).or_default();
            *count = count.wrapping_add_signed(sign);
            if *count == 0 {
                self.present[r as usize].remove(&domain);
            }
        }
    }

    /// Moves a task to a node or the pool.
    pub fn relocate(&mut self, task: usize, node: u32, devices: u64) {
        self.count(task, self.state.at[task], -1);
        self.state.relocate(self.pack, task, node, devices);
        self.count(task, node, 1);
    }

    /// Takes a task off its node; what it was.
    pub fn take(&mut self, task: usize) -> Was {
        let was = (task, self.state.at[task], self.state.devices[task]);
        self.relocate(task, NOWHERE, 0);
        was
    }

    /// Puts tasks back where they were, or where they are to be.
    pub fn back(&mut self, were: &[Was]) {
        // First everything leaves, so that no device is taken twice on the way.
        were.iter().for_each(|(task, ..)| self.relocate(*task, NOWHERE, 0));
        were.iter().for_each(|(task, at, devices)| self.relocate(*task, *at, *devices));
    }

    /// Nodes that the group rules close to a task, given where the other members are; empty = none.
    pub fn closed(&self, task: usize) -> Vec<u64> {
        let group = self.pack.group[task];
        if group == UNGROUPED {
            return Vec::new();
        }
        let packed = self.pack.groups[group as usize];
        let mut closed = vec![0u64; self.pack.price.len().div_ceil(64)];
        if packed.conflict {
            let others = self.members[group as usize].iter().filter(|other| **other as usize != task);
            for at in others.map(|other| self.state.at[*other as usize]).filter(|at| *at != NOWHERE) {
                closed[at as usize / 64] |= 1 << (at % 64);
            }
        }
        for r in packed.row..packed.row + packed.row_count {
            let level = LevelId(self.pack.rows[r as usize].level);
            // A domain is asked once, not again for each of its nodes.
            let domains = self.problem.levels[level.index()].domains.len() as u32;
            let shut: Vec<bool> = (0..domains).map(|domain| self.is_shut(group, r, domain)).collect();
            for node in self.problem.node_ids() {
                if shut[self.problem.domain(node, level).index()] {
                    closed[node.index() / 64] |= 1 << (node.index() % 64);
                }
            }
        }
        closed
    }

    /// Is this node among those that are [`closed`](Self::closed) to a task?
    pub fn is_closed(&self, task: usize, node: u32) -> bool {
        let group = self.pack.group[task];
        if group == UNGROUPED {
            return false;
        }
        let packed = self.pack.groups[group as usize];
        let is_there = |other: &u32| *other as usize != task && self.state.at[*other as usize] == node;
        let mut rows = packed.row..packed.row + packed.row_count;
        (packed.conflict && self.members[group as usize].iter().any(is_there))
            || rows.any(|r| {
                let level = LevelId(self.pack.rows[r as usize].level);
                self.is_shut(group, r, self.problem.domain(NodeId(node), level).0)
            })
    }

    /// Does one of its group's rules shut a domain to one more member?
    fn is_shut(&self, group: u32, r: u32, domain: u32) -> bool {
        let row = &self.pack.rows[r as usize];
        let present = &self.present[r as usize];
        let is_present = present.contains_key(&domain);
        let wanted = row.spread.min(self.placed[group as usize] + 1);
        let must_widen = row.spread > 0 && (present.len() as u32) < wanted;
        // What runs of a gang that is bound to a domain decides which one.
        let strays =
            row.within && !is_present && (!present.is_empty() || self.gang_domain.is_some_and(|d| d != domain));
        let is_lone = || row.needs.iter().any(|other| !self.present[*other as usize].contains_key(&domain));
        (is_present && (row.conflict || must_widen)) || strays || is_lone()
    }

    /// Has the last member of the task's group left the domain of a node while others there depend on it?
    pub fn is_missed(&self, task: usize, node: u32) -> bool {
        let group = self.pack.group[task];
        if group == UNGROUPED || node == NOWHERE {
            return false;
        }
        let packed = self.pack.groups[group as usize];
        (packed.row..packed.row + packed.row_count).any(|r| {
            let row = &self.pack.rows[r as usize];
            let domain = self.problem.domain(NodeId(node), LevelId(row.level)).0;
            let has = |row: u32| self.present[row as usize].contains_key(&domain);
            !has(r) && row.needed_by.iter().any(|other| has(*other))
        })
    }

    /// The best target of a task as things stand.
    pub fn best(&self, task: usize) -> Option<Target> {
        self.scored_within(task, None, &self.closed(task))
    }

    /// The best target of a task that is not this node.
    pub fn best_elsewhere(&self, task: usize, node: u32) -> Option<Target> {
        let mut closed = self.closed(task);
        closed.resize(self.pack.price.len().div_ceil(64), 0);
        closed[node as usize / 64] |= 1 << (node % 64);
        self.scored_within(task, None, &closed)
    }

    /// What it would mean to put a task (now in the pool) on a node.
    pub fn judge(&self, task: usize, node: u32) -> Option<Target> {
        if self.is_closed(task, node) { None } else { self.scored_within(task, Some(node), &[]) }
    }

    /// Points of a node as it is, its price included.
    pub fn node_points(&self, node: u32) -> i64 {
        self.state.node_points(self.pack, node as usize)
    }

    /// The best target of a task outside a set of nodes, or that on one node.
    fn scored_within(&self, task: usize, only: Option<u32>, closed: &[u64]) -> Option<Target> {
        let (pack, state) = (self.pack, &self.state);
        let nodes = Nodes {
            count: pack.price.len(),
            limit: &pack.limit,
            soft: &pack.soft,
            capacity: &pack.capacity,
            factors: &pack.factors,
            used: &state.used,
            held: &state.held,
            tasks_here: &state.tasks_here,
            price: &pack.price,
            class: &pack.node_class,
            move_class: &pack.move_class,
            device_used: &state.device_used,
        };
        let candidate = Candidate {
            requirement: &pack.requirement[task * pack.lanes..][..pack.lanes],
            class_row: pack.class_row[task],
            pair_row: pack.pair_row[task],
            home: pack.home[task],
            home_devices: pack.home_devices[task],
            move_points: pack.move_points[task],
            device_count: pack.device[task].0,
            device_word: pack.device[task].1,
            closed,
        };
        match pack.lanes {
            4 => run::<4>(&pack.shared, &nodes, &candidate, only),
            8 => run::<8>(&pack.shared, &nodes, &candidate, only),
            12 => run::<12>(&pack.shared, &nodes, &candidate, only),
            16 => run::<16>(&pack.shared, &nodes, &candidate, only),
            _ => run::<32>(&pack.shared, &nodes, &candidate, only),
        }
    }

    /// Places what waits, densest and largest first; of a gang enough or nothing. Repeated while it helps, because a
    /// dependency may be met only later.
    pub fn admit(&mut self, control: &Control) {
        let mut waiting = self.waiting();
        loop {
            let before = waiting.len();
            let mut tried = BTreeSet::new();
            let mut rest = &waiting[..];
            while !rest.is_empty() {
                if control.must_stop() {
                    return;
                }
                let (count, are_alike) = self.next_tile(rest);
                let (tile, after) = rest.split_at(count);
                if are_alike {
                    self.admit_alike(tile, control);
                } else {
                    self.admit_tile(tile, &mut tried, control);
                }
                rest = after;
            }
            waiting.retain(|task| self.state.at[*task as usize] == NOWHERE);
            let depends = waiting.iter().any(|task| self.pack.group[*task as usize] != UNGROUPED);
            if waiting.len() == before || !depends {
                return;
            }
        }
    }

    /// Does a task wait that may start?
    fn waits(&self, task: usize) -> bool {
        self.pack.movable[task] && self.state.at[task] == NOWHERE
    }

    /// What waits, densest and largest first.
    pub fn waiting(&self) -> Vec<u32> {
        let pack = self.pack;
        let mut total = vec![1i64; pack.lanes];
        for row in pack.capacity.chunks(pack.lanes) {
            for (sum, amount) in total.iter_mut().zip(row) {
                *sum += i64::from(*amount);
            }
        }
        // Share of the cluster in its scarcest resource, devices included, in 2^30ths.
        let devices = self.problem.nodes.iter().map(|node| node.devices.len() as i64).sum::<i64>().max(1);
        let size = |task: usize| {
            let row = &pack.requirement[task * pack.lanes..][..pack.lanes];
            let amounts = row.iter().zip(&total).map(|(amount, total)| (i64::from(*amount) << 30) / total);
            let (count, milli) = (pack.device[task].0, pack.device[task].1 >> MILLI_SHIFT);
            amounts.max().unwrap_or(0).max(((i64::from(count) * i64::from(milli)) << 30) / (devices * 1000)).max(1)
        };
        let mut list: Vec<(u32, i64, u32)> = (0..pack.home.len())
            .filter(|task| self.waits(*task))
            .map(|task| {
                // Density in powers of two: within a class, large first packs better.
                let density = (i128::from(pack.value[task]) << 20) / i128::from(size(task));
                (128 - density.max(1).leading_zeros(), size(task), task as u32)
            })
            .collect();
        let order = |(density, size, task): &(u32, i64, u32)| (Reverse((*density, *size)), self.likeness(*task), *task);
        list.sort_by(|a, b| order(a).cmp(&order(b)));
        list.into_iter().map(|(_, _, task)| task).collect()
    }

    /// What tasks are alike in: whether rules or a home tell them apart after all, and their kind.
    fn likeness(&self, task: u32) -> (bool, impl Ord + '_) {
        let (pack, t) = (self.pack, task as usize);
        (pack.group[t] != UNGROUPED || pack.home[t] != NOWHERE, kinds::key(pack, t))
    }

    /// How many of these are next, and are they alike?
    fn next_tile(&self, rest: &[u32]) -> (usize, bool) {
        let are_alike = |a: &u32, b: &u32| self.likeness(*a) == self.likeness(*b) && !self.likeness(*a).0;
        let mut count = 0;
        for alike in rest.chunk_by(are_alike) {
            if alike.len() >= ALIKE_MIN && count == 0 {
                return (alike.len(), true);
            }
            if alike.len() >= ALIKE_MIN || count >= TILE {
                break;
            }
            count += alike.len();
        }
        (count.min(TILE), false)
    }

    /// Places tasks that are alike as one after the other would be: by the best node of all, which alone is another one then.
    fn admit_alike(&mut self, tasks: &[u32], control: &Control) {
        let this = &*self;
        let nodes = (0..this.pack.price.len() as u32).into_par_iter().with_min_len(NODES_AT_ONCE);
        let targets = nodes.filter_map(|node| this.judge(tasks[0] as usize, node).map(Reverse));
        let mut targets = BinaryHeap::from(targets.collect::<Vec<_>>());
        let worth = this.pack.pool_points(tasks[0] as usize);
        for (i, task) in tasks.iter().map(|task| *task as usize).enumerate() {
            if i % TASKS_AT_ONCE == 0 && control.must_stop() {
                break;
            }
            let Some(Reverse(target)) = targets.pop().filter(|Reverse(target)| target.points <= worth) else { break };
            self.relocate(task, target.node, target.devices);
            targets.extend(self.judge(task, target.node).map(Reverse));
        }
    }

    fn admit_tile(&mut self, tile: &[u32], tried: &mut BTreeSet<u32>, control: &Control) {
        let targets = self.score_tile(tile);
        let mut touched = BTreeSet::new();
        for (task, target) in tile.iter().zip(targets) {
            let task = *task as usize;
            if self.state.at[task] != NOWHERE {
                continue;
            }
            let group = self.pack.group[task];
            if self.pack.is_of_gang(task) {
                // Nothing leaves in a pass: a gang that found no room finds none for its next member.
                if tried.insert(group) {
                    touched.extend(self.admit_gang(group, control));
                }
                continue;
            }
            let is_stale = |target: &Target| group != UNGROUPED || touched.contains(&target.node);
            let target = match target {
                Some(target) if is_stale(&target) => self.best(task),
                None if group != UNGROUPED => self.best(task),
                other => other,
            };
            // Running must be worth what it costs; at even points it runs.
            if let Some(target) = target.filter(|target| target.points <= self.pack.pool_points(task)) {
                self.relocate(task, target.node, target.devices);
                touched.insert(target.node);
            }
        }
    }

    /// The best target of every task as things stand, from the device if there is one. Its first answer is scored again here,
    /// the others on the node they name.
    fn score_tile(&mut self, tile: &[u32]) -> Vec<Option<Target>> {
        let this = &*self;
        if let Some(tiles) = &this.tiles {
            tiles.write_nodes(&node_words(&this.state));
            let query = |task: &u32| Query { task: *task, closed: this.closed(*task as usize) };
            let is_right = |(i, (task, target)): (usize, (&u32, &Option<Target>))| match target {
                Some(target) if i > 0 => this.judge(*task as usize, target.node) == Some(*target),
                None if i > 0 => true,
                _ => this.best(*task as usize) == *target,
            };
            let trouble = match tiles.score(&tile.par_iter().map(query).collect::<Vec<_>>()) {
                Ok(targets) if tile.iter().zip(&targets).enumerate().all(is_right) => return targets,
                Ok(_) => Trouble { text: "it scored a task otherwise than the CPU does".to_string(), mismatch: None },
                Err(error) => error.into(),
            };
            (self.tiles, self.trouble) = (None, Some(trouble));
        }
        let this = &*self;
        tile.par_iter().map(|task| this.best(*task as usize)).collect()
    }

    /// Places the waiting members of a gang that find room, if enough of it runs then, or none. Where it is bound to a domain and
    /// none of it runs, domains are tried in turn, that of the best node first, until one has room for all; else that which brings
    /// most.
    fn admit_gang(&mut self, group: u32, control: &Control) -> Vec<u32> {
        let members = self.waiting_members(group);
        let Some(row) = self.open_row(group) else {
            return self.admit_members(group, &members).1;
        };
        let level = LevelId(self.pack.rows[row as usize].level);
        let first = members.first().and_then(|task| self.best(*task as usize));
        let mut best: Option<(i64, u32)> = None;
        for domain in self.domains(level, first).into_iter().take_while(|_| !control.must_stop()) {
            let (gain, done) = self.admit_within(domain, group, &members);
            if done.len() == members.len() {
                return done;
            }
            if !done.is_empty() && best.is_none_or(|(most, _)| gain > most) {
                best = Some((gain, domain));
            }
            self.withdraw(&members);
        }
        best.map_or_else(Vec::new, |(_, domain)| self.admit_within(domain, group, &members).1)
    }

    /// Members of a group that wait and may start.
    pub fn waiting_members(&self, group: u32) -> Vec<u32> {
        let waiting = |task: &u32| self.waits(*task as usize);
        self.members[group as usize].iter().copied().filter(waiting).collect()
    }

    /// How many members of a group run.
    pub fn running(&self, group: u32) -> u32 {
        self.placed[group as usize]
    }

    /// The row by which a gang is bound to a domain, while none of it runs.
    pub fn open_row(&self, group: u32) -> Option<u32> {
        let packed = self.pack.groups[group as usize];
        let bound = (packed.row..packed.row + packed.row_count).find(|r| self.pack.rows[*r as usize].within);
        bound.filter(|r| self.present[*r as usize].is_empty())
    }

    /// Domains of a level that a gang is tried in, that of a target first.
    pub fn domains(&self, level: LevelId, first: Option<Target>) -> Vec<u32> {
        let first = first.map(|target| self.problem.domain(NodeId(target.node), level).0);
        let all = 0..self.problem.levels[level.index()].domains.len() as u32;
        first.into_iter().chain(all.filter(|d| Some(*d) != first)).take(GANG_DOMAINS_MAX).collect()
    }

    fn admit_within(&mut self, domain: u32, group: u32, members: &[u32]) -> (i64, Vec<u32>) {
        self.gang_domain = Some(domain);
        let done = self.admit_members(group, members);
        self.gang_domain = None;
        done
    }

    fn withdraw(&mut self, members: &[u32]) {
        for task in members {
            if self.state.at[*task as usize] != NOWHERE {
                self.relocate(*task as usize, NOWHERE, 0);
            }
        }
    }

    /// Places these members of a gang, as far as there is room; all are taken back when too few run then, or for no gain. The gain and
    /// the nodes.
    fn admit_members(&mut self, group: u32, members: &[u32]) -> (i64, Vec<u32>) {
        let least = self.pack.groups[group as usize].least;
        let mut done = Vec::new();
        let mut gain = 0;
        for (i, task) in members.iter().map(|task| *task as usize).enumerate() {
            if self.placed[group as usize] + ((members.len() - i) as u32) < least {
                break;
            }
            let Some(target) = self.best(task) else { continue };
            let worth = self.pack.pool_points(task) - target.points;
            // Whoever is not needed must be worth it alone.
            if self.placed[group as usize] >= least && worth < 0 {
                continue;
            }
            gain += worth;
            self.relocate(task, target.node, target.devices);
            done.push(target.node);
        }
        if self.placed[group as usize] < least || gain < 0 {
            self.withdraw(members);
            return (0, Vec::new());
        }
        (gain, done)
    }

    /// Moves tasks out of broken rules as long as the total excess shrinks.
    fn repair(&mut self, control: &Control) {
        let broken = violations(self.problem, &self.problem.current);
        for violation in broken {
            for task in self.suspects(&violation) {
                if control.must_stop() {
                    return;
                }
                let may_move = self.state.displaced < i64::from(self.pack.displaced_max);
                if self.pack.movable[task] && may_move && self.still_broken(&violation) {
                    self.try_repair(task);
                }
            }
        }
    }

    /// Tasks that could mend a violation by moving, the cheapest move first.
    fn suspects(&self, violation: &Violation) -> Vec<usize> {
        let on_node = |node: NodeId| -> Vec<usize> {
            self.problem.task_ids().map(TaskId::index).filter(|task| self.state.at[*task] == node.0).collect()
        };
        let of_group = |group: usize| -> Vec<usize> {
            self.problem.groups[group].members.iter().map(|task| task.index()).collect()
        };
        let mut list = match violation.place {
            Place::NodeResource(node, _) | Place::NodeDevice(node, _) | Place::DeviceMemory(node, _) => on_node(node),
            Place::Task(task) | Place::TaskNode(task, _) => vec![task.index()],
            Place::GroupDomain(group, ..) | Place::GroupLevel(group, _) | Place::Group(group) => {
                of_group(group.index())
            }
            Place::Needs(group, other, ..) => [of_group(group.index()), of_group(other.index())].concat(),
            Place::Plan => Vec::new(),
        };
        list.sort_by_key(|task| (self.pack.move_points[*task], *task));
        list.truncate(SUSPECTS_MAX);
        list
    }

    /// Cheap test whether a capacity violation is still there; other kinds are judged by the excess of a move.
    fn still_broken(&self, violation: &Violation) -> bool {
        let Place::NodeResource(node, resource) = violation.place else { return true };
        let slot = node.index() * self.pack.lanes + resource.index();
        self.state.used[slot] > self.pack.capacity[slot]
    }

    fn try_repair(&mut self, task: usize) {
        let (from, devices) = (self.state.at[task], self.state.devices[task]);
        if from == NOWHERE {
            return;
        }
        let before = self.local_excess(task, from);
        self.relocate(task, NOWHERE, 0);
        let target = self.best(task).filter(|target| target.node != from);
        if let Some(target) = target {
            let gone = self.local_excess(task, from);
            self.relocate(task, target.node, target.devices);
            let excess = self.local_excess(task, from) + self.node_excess(target.node);
            if excess < before + self.node_excess(target.node) || gone + 1 < before && excess <= before {
                return;
            }
            self.relocate(task, NOWHERE, 0);
        }
        self.relocate(task, from, devices);
    }

    /// Excess on a node and in a task's group: what moving the task away from that node can change.
    fn local_excess(&self, task: usize, node: u32) -> i64 {
        let mut excess = self.node_excess(node);
        let group = self.pack.group[task];
        if group == UNGROUPED {
            return excess;
        }
        let packed = self.pack.groups[group as usize];
        if packed.conflict {
            let nodes = self.members[group as usize].iter().map(|member| self.state.at[*member as usize]);
            let nodes: Vec<u32> = nodes.filter(|at| *at != NOWHERE).collect();
            excess += (nodes.len() - nodes.iter().collect::<BTreeSet<_>>().len()) as i64;
        }
        for r in packed.row..packed.row + packed.row_count {
            let row = &self.pack.rows[r as usize];
            let present = &self.present[r as usize];
            if row.conflict {
                excess += present.values().map(|count| i64::from(*count) - 1).sum::<i64>();
            }
            excess += if row.within { (present.len() as i64 - 1).max(0) } else { 0 };
            let wanted = row.spread.min(self.placed[group as usize]);
            excess += i64::from(wanted.saturating_sub(present.len() as u32));
            let missing = |here: &BTreeMap<u32, u32>, there: &BTreeMap<u32, u32>| {
                here.keys().filter(|domain| !there.contains_key(domain)).count() as i64
            };
            excess += row.needs.iter().map(|other| missing(present, &self.present[*other as usize])).sum::<i64>();
            excess += row.needed_by.iter().map(|other| missing(&self.present[*other as usize], present)).sum::<i64>();
        }
        let home = TaskId::new(task);
        if let Some(rule) = (node != NOWHERE && self.state.at[task] == node)
            .then(|| crate::model::newcomer_forbidden(self.problem, home, NodeId(node)))
            .flatten()
        {
            // Staying in a place that would not be entered again is no violation; only devices of the wrong model are.
            excess += i64::from(rule == crate::model::Rule::DeviceModel);
        }
        excess
    }

    fn node_excess(&self, node: u32) -> i64 {
        let lanes = self.pack.lanes;
        let (row, width) = (node as usize * lanes, self.pack.shared.device_width);
        let over = |r: usize| i64::from((self.state.used[row + r] - self.pack.capacity[row + r]).max(0));
        let devices = &self.state.device_used[node as usize * width..][..width];
        (0..lanes).map(over).sum::<i64>()
            + devices.iter().map(|used| i64::from(beyond(*used).into_iter().sum::<u32>())).sum::<i64>()
    }
}

fn run<const L: usize>(shared: &Shared, nodes: &Nodes<'_>, task: &Candidate<'_>, only: Option<u32>) -> Option<Target> {
    match only {
        Some(node) => judge::<L>(shared, nodes, task, node as usize),
        None => score::<L>(shared, nodes, task),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::model::*;

    /// Nodes of two shapes with costs of load, price, balance and fragmentation and with memory of devices, and 150 tasks that wait: of
    /// each five that follow each other the last one differs from the others in one thing alone. Some more are alike, but no two of
    /// them may share a node.
    pub fn queue(apart: i64) -> Problem {
        let amounts = |cpu: i64| BTreeMap::from([("cpu".to_string(), cpu), ("mem".to_string(), 2 * cpu - 1)]);
        let node = |n: i64| NodeSpec {
            name: format!("n{n}"),
            allocatable: amounts(8 + 4 * (n % 2)),
            soft_limit: amounts(6),
            price: 5,
            labels: BTreeMap::from([("disk".to_string(), (n % 3).to_string())]),
            devices: vec![DevicesSpec { kind: "gpu".into(), model: String::new(), count: 2, memory: Some(40) }],
            ..NodeSpec::default()
        };
        let task = |t: i64| {
            let other = if t % 5 == 4 { t / 5 % 4 } else { 4 };
            let milli = [300, 500, 700][t as usize / 5 % 3] + u32::from(other == 0) * 10;
            TaskSpec {
                name: format!("t{t}"),
                weight: 5000 + i64::from(other == 1),
                requirement: amounts(2 + t / 5 % 2 + i64::from(other == 2)),
                device: Some(DeviceRequestSpec {
                    kind: "gpu".into(),
                    count: 1,
                    milli,
                    memory: Some(12),
                    models: Vec::new(),
                }),
                group: (t >= 150).then(|| "apart".to_string()),
                selector: (other == 3).then(|| ("disk".to_string(), vec!["1".to_string()])).into_iter().collect(),
                ..TaskSpec::default()
            }
        };
        let mut snapshot = Snapshot {
            resources: ["cpu", "mem"]
                .map(|name| ResourceSpec { name: name.into(), load_weight: 2, ..ResourceSpec::default() })
                .to_vec(),
            nodes: (0..20).map(node).collect(),
            tasks: (0..150 + apart).map(task).collect(),
            groups: vec![GroupSpec { name: "apart".into(), conflict: vec!["node".into()], ..GroupSpec::default() }],
            ..Snapshot::default()
        };
        let device = DeviceRequestSpec { kind: "gpu".into(), count: 1, milli: 1000, memory: None, models: Vec::new() };
        let mix = vec![MixSpec { parts: 1, requirement: amounts(2), device }];
        snapshot.objective.fragmentation = Some(FragmentationSpec { weight: 1, mix });
        snapshot.objective.price_weight = 1;
        snapshot.objective.balance =
            vec![BalanceSpec { resource: "cpu".into(), other: "mem".into(), target: 3, weight: 1 }];
        Problem::new(&snapshot).expect("it is sound")
    }

    /// There is not enough room for all of them.
    #[test]
    fn tasks_that_are_alike_go_where_each_would_go_alone() {
        let problem = queue(4);
        let pack = Pack::new(&problem);
        let [mut together, mut alone] = [0; 2].map(|_| Builder::new(&problem, &pack));
        let waiting = together.waiting();
        let (mut alike, mut placed, mut rest) = (0, 0, &waiting[..]);
        while !rest.is_empty() {
            let (count, are_alike) = together.next_tile(rest);
            let tile;
            (tile, rest) = rest.split_at(count);
            if !are_alike {
                continue;
            }
            together.admit_alike(tile, &Control::unlimited());
            for task in tile.iter().map(|task| *task as usize) {
                if let Some(target) = alone.best(task).filter(|target| target.points <= pack.pool_points(task)) {
                    alone.relocate(task, target.node, target.devices);
                    placed += 1;
                }
            }
            assert!(together.state == alone.state, "{count} tasks like {}", tile[0]);
            alike += count;
        }
        assert!(placed > 30 && placed < alike, "{placed} of {alike} tasks found a place");
    }

    #[test]
    fn only_tasks_that_ask_for_the_same_are_alike() {
        let problem = queue(4);
        let pack = Pack::new(&problem);
        let builder = Builder::new(&problem, &pack);
        let waiting = builder.waiting();
        let is_free = |task: &u32| problem.tasks[*task as usize].group.is_none();
        let ask = |task: &u32| {
            let own = &problem.tasks[*task as usize];
            (own.weight, own.device.clone(), own.selector.clone(), problem.requirement(TaskId(*task)).to_vec())
        };
        let (mut rest, mut tiles) = (&waiting[..], 0);
        while !rest.is_empty() {
            let (count, are_alike) = builder.next_tile(rest);
            let tile;
            (tile, rest) = rest.split_at(count);
            assert!(!are_alike || tile.iter().all(|task| is_free(task) && ask(task) == ask(&tile[0])));
            tiles += usize::from(are_alike);
        }
        assert_eq!(tiles, 6, "three fractions with two amounts each");
    }
}
