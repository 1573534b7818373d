//! `racks`: a fifth of the racks carries most of the load, and rules over racks say who may leave where.
//!
//! Three kinds of groups: *replicas* never share a rack; *services* never share a node and cover all but one of the racks they
//! have now; a *client* only runs where its server does (in the same zone, some in the same rack). Groups cover up to half of the
//! racks, so that many a rack with room is closed to a task. Load above the mean and a little costs points: the hot racks have to
//! give nearly all that they have too much, and where they may give it is what the rules decide.

use super::Order;
use super::carve::{Rows, carve, loads};
use super::draft::{self, Kind, running};
use crate::model::{DependencySpec, GroupSpec, Snapshot, SpreadSpec};
use crate::random::{Purpose, Random};
use std::collections::BinaryHeap;

const KINDS: [Kind<'static>; 2] = [("cpu", "milli", false), ("memory", "MiB", true)];
const NODES: [[i64; 2]; 3] = [[32_000, 131_072], [48_000, 196_608], [64_000, 262_144]];
const RACK_SIZE: usize = 4;
const ZONE_SIZE: usize = 4 * RACK_SIZE;
const HOT_PER_MILLE: i64 = 200;
/// Load above the fill and so many percent of a node's capacity costs points: with none, no plan reaches the bound; with three,
/// half of the clusters are too easy.
const SOFT_LIMIT_ABOVE_FILL: i64 = 1;
/// Most racks of a group, however many there are.
const GROUP_RACK_MAX: usize = 16;
/// Of a hundred groups, so many are replicas, the next services, and the rest pairs of client and server.
const REPLICAS_PERCENT: i64 = 45;
const SERVICES_PERCENT: i64 = 75;
/// Share of dependencies that ask for the same rack and not only for the same zone.
const SAME_RACK_PER_MILLE: i64 = 200;

pub(super) fn snapshot(order: &Order) -> Snapshot {
    let mut random = Random::new(order.seed, Purpose::Nodes);
    let mut capacity = Rows::new(KINDS.len());
    (0..order.nodes).for_each(|_| capacity.push(&random.pick(&NODES)));
    let mut random = Random::new(order.seed, Purpose::Loads);
    let mut hot: Vec<bool> = (0..order.nodes.div_ceil(RACK_SIZE)).map(|_| random.chance(HOT_PER_MILLE)).collect();
    // One at least, however few there are.
    let first = random.below(hot.len());
    hot[first] = true;
    let fill = order.fill_percent * 10;
    let loads = loads(&capacity, &[fill, fill], |node, part| {
        let (low, high) = if hot[node / RACK_SIZE] { (880, 1000) } else { (200, 450) };
        part[0] = random.range(low, high);
        part[1] = (part[0] * random.range(800, 1100) / 1000).min(1000);
    });
    let mut sizes = Random::new(order.seed, Purpose::Sizes);
    let carved = carve(&loads, order.tasks, &mut sizes, |random, row| {
        row[0] = random.log_normal(1000, 70).min(6000);
        row[1] = random.log_normal(row[0], 40);
    });
    let mut snapshot = draft::cluster(order, &KINDS, &capacity);
    draft::add_racks(&mut snapshot, RACK_SIZE);
    snapshot.levels.push("zone".to_string());
    for (n, node) in snapshot.nodes.iter_mut().enumerate() {
        node.domains.insert("zone".to_string(), format!("zone-{}", n / ZONE_SIZE));
    }
    for r in 0..KINDS.len() {
        draft::soft_limits(&mut snapshot, &capacity, r, |room| {
            room * (order.fill_percent + SOFT_LIMIT_ABOVE_FILL) / 100
        });
    }
    draft::weigh_load(&mut snapshot, &capacity);
    let mut groups = Groups::new(order, &carved.home);
    groups.form();
    snapshot.groups = groups.list;
    let mut tasks = Vec::with_capacity(order.tasks);
    for ((need, home), group) in carved.need.iter().zip(&carved.home).zip(groups.of) {
        let mut task = running(&KINDS, need, *home);
        task.group = group.map(|g| snapshot.groups[g].name.clone());
        tasks.push(task);
    }
    draft::add_tasks(&mut snapshot, order, tasks);
    snapshot
}

/// Groups in the making. Racks with the most tasks left are taken first, so that nearly every task finds a group.
struct Groups {
    random: Random,
    /// Tasks without a group, by rack, in random order.
    left: Vec<Vec<usize>>,
    /// (tasks left, rack) of every rack with any.
    racks: BinaryHeap<(usize, usize)>,
    list: Vec<GroupSpec>,
    /// Index of the group of every task.
    of: Vec<Option<usize>>,
}

impl Groups {
    fn new(order: &Order, home: &[usize]) -> Groups {
        let mut random = Random::new(order.seed, Purpose::Groups);
        let mut left = vec![Vec::new(); order.nodes.div_ceil(RACK_SIZE)];
        for (task, node) in home.iter().enumerate() {
            left[node / RACK_SIZE].push(task);
        }
        left.iter_mut().for_each(|tasks| random.shuffle(tasks));
        let racks = left.iter().enumerate().filter(|(_, tasks)| !tasks.is_empty());
        let racks = racks.map(|(rack, tasks)| (tasks.len(), rack)).collect();
        Groups { random, left, racks, list: Vec::new(), of: vec![None; home.len()] }
    }

    /// Until less than two racks have tasks without a group.
    fn form(&mut self) {
        while self.racks.len() >= 2 {
            let most = (self.left.len() / 2).clamp(2, GROUP_RACK_MAX);
            let wanted = self.random.range(2, most as i64) as usize;
            let chosen: Vec<usize> = (0..wanted).map_while(|_| self.racks.pop()).map(|(_, rack)| rack).collect();
            match self.random.range(0, 99) {
                kind if kind < REPLICAS_PERCENT => self.replicas(&chosen),
                kind if kind < SERVICES_PERCENT => self.service(&chosen),
                // A client needs a second task somewhere.
                _ if chosen.iter().all(|rack| self.left[*rack].len() < 2) => self.replicas(&chosen),
                _ => self.pair(&chosen),
            }
            for rack in chosen.into_iter().filter(|rack| !self.left[*rack].is_empty()) {
                self.racks.push((self.left[rack].len(), rack));
            }
        }
    }

    fn add(&mut self, group: GroupSpec) -> usize {
        self.list.push(group);
        self.list.len() - 1
    }

    /// A task of the rack joins, if it has one left.
    fn join(&mut self, rack: usize, group: usize) {
        if let Some(task) = self.left[rack].pop() {
            self.of[task] = Some(group);
        }
    }

    fn name(&self, kind: &str) -> String {
        format!("{kind}-{}", self.list.len())
    }

    fn replicas(&mut self, racks: &[usize]) {
        let conflict = vec!["rack".to_string()];
        let group =
            GroupSpec { name: self.name("replicas"), conflict, max_unavailable: Some(1), ..GroupSpec::default() };
        let group = self.add(group);
        racks.iter().for_each(|rack| self.join(*rack, group));
    }

    fn service(&mut self, racks: &[usize]) {
        let spread = vec![SpreadSpec { level: "rack".to_string(), min: racks.len() as u32 - 1 }];
        let group = GroupSpec {
            name: self.name("service"),
            conflict: vec!["node".to_string()],
            spread,
            ..GroupSpec::default()
        };
        let group = self.add(group);
        racks.iter().for_each(|rack| self.join(*rack, group));
    }

    /// The server has a task in every rack, the client in those that have another one left.
    fn pair(&mut self, racks: &[usize]) {
        let server = GroupSpec { name: self.name("server"), ..GroupSpec::default() };
        let server = self.add(server);
        let level = if self.random.chance(SAME_RACK_PER_MILLE) { "rack" } else { "zone" };
        let depends_on = vec![DependencySpec { group: self.list[server].name.clone(), level: level.to_string() }];
        let client = GroupSpec { name: self.name("client"), depends_on, ..GroupSpec::default() };
        let client = self.add(client);
        for rack in racks {
            self.join(*rack, server);
            self.join(*rack, client);
        }
    }
}
