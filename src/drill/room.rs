//! How does a state look to the drill's kernel? What is free, in quanta, and who wants it.

use crate::bulk::Pack;
use crate::kernel::drill::{Cluster, Lost, Room, spare};
use crate::kernel::layout::with_milli;
use crate::model::{DEVICE_MILLI, GroupId, LevelId, NodeId, Problem, SHARE_ONE, Share, TaskId, Usage};
use std::collections::BTreeSet;

/// Free quanta of the largest node, times its scale.
const SCALE_ONE: i64 = 1 << 30;

/// A settled state, packed.
pub struct State<'a> {
    /// The state is its `current`.
    pub problem: &'a Problem,
    /// Its arrays.
    pub pack: Pack,
    /// Scaled use of every node.
    pub usage: Usage,
    /// What is free on every node, before anything fails.
    pub room: Room,
    /// See [`Cluster::scale`].
    pub scale: Vec<u32>,
    /// Shape: tasks. See [`sizes`].
    sizes: Vec<i64>,
    /// Shape: groups. See [`State::dependents`].
    dependents: Vec<Vec<(GroupId, LevelId)>>,
}

impl<'a> State<'a> {
    /// Packs a settled problem.
    pub fn new(problem: &'a Problem) -> State<'a> {
        let pack = Pack::new(problem);
        let usage = Usage::of(problem, &problem.current);
        let lanes = pack.lanes;
        let mut room = Room {
            free: vec![0; problem.nodes.len() * lanes],
            devices: pack.devices_taken(),
            spare: vec![0; problem.nodes.len()],
        };
        let mut largest = vec![1; lanes];
        for node in problem.node_ids() {
            let row = &mut room.free[node.index() * lanes..][..lanes];
            for (r, capacity) in problem.allocatable(node).iter().enumerate() {
                let left = left(*capacity, usage.amounts(node)[r]);
                row[r] = (left.div_euclid(i128::from(SHARE_ONE)) >> pack.shift[r]).max(0) as i32;
                largest[r] = largest[r].max(row[r]);
            }
            // However many hold a device wholly at the start, a word has no more room.
            let width = pack.shared.device_width;
            let words = room.devices[node.index() * width..].iter_mut().zip(usage.devices(node));
            words.for_each(|(word, milli)| *word = with_milli(*word, (*milli).min(2 * DEVICE_MILLI)));
        }
        let scale = largest.iter().map(|largest| (SCALE_ONE / i64::from(*largest)) as u32).collect();
        let mut state =
            State { sizes: sizes(problem), dependents: dependents(problem), problem, pack, usage, room, scale };
        for node in 0..problem.nodes.len() {
            state.room.spare[node] = state.spare(node);
        }
        state
    }

    /// Scaled amount that a node has free of a resource; below 0 where it is overfull.
    pub fn left(&self, node: NodeId, r: usize) -> i128 {
        left(self.problem.allocatable(node)[r], self.usage.amounts(node)[r])
    }

    /// Has a node room for scaled amounts, by resource? Of what nothing is wanted, nothing need be left.
    pub fn takes(&self, node: NodeId, wanted: impl Iterator<Item = i128>) -> bool {
        wanted.enumerate().all(|(r, amount)| amount <= 0 || amount <= self.left(node, r))
    }

    /// What no scenario changes.
    pub fn cluster(&self) -> Cluster<'_> {
        Cluster {
            allow: &self.pack.shared.allow,
            class: &self.pack.node_class,
            scale: &self.scale,
            device_width: self.pack.shared.device_width,
        }
    }

    /// A task as the kernel sees it.
    pub fn lost(&self, task: TaskId) -> Lost<'_> {
        let (t, lanes) = (task.index(), self.pack.lanes);
        let (device_count, device_word) = self.pack.device[t];
        let requirement = &self.pack.requirement[t * lanes..][..lanes];
        Lost { requirement, class_row: self.pack.class_row[t], device_count, device_word }
    }

    /// May a task enter a node, by labels, taints and kinds of devices alone?
    pub fn may_enter(&self, task: TaskId, node: NodeId) -> bool {
        self.pack.shared.allow[(self.pack.class_row[task.index()] + self.pack.node_class[node.index()]) as usize] != 0
    }

    /// Groups that need a group nearby, and at which level.
    pub fn dependents(&self, group: GroupId) -> &[(GroupId, LevelId)] {
        &self.dependents[group.index()]
    }

    /// Does any rule bind a group's members, or are they needed by others?
    pub fn has_rules(&self, id: GroupId) -> bool {
        let group = &self.problem.groups[id.index()];
        let own = !group.conflict.is_empty() || !group.spread.is_empty() || !group.depends_on.is_empty();
        own || group.gang.is_some() || !self.dependents(id).is_empty()
    }

    /// Groups whose rules can be broken by what becomes of these tasks: their own, and those that need them.
    pub fn concerned(&self, tasks: &[TaskId]) -> BTreeSet<GroupId> {
        let own: BTreeSet<GroupId> = tasks.iter().filter_map(|task| self.problem.tasks[task.index()].group).collect();
        let dependents = own.iter().flat_map(|group| self.dependents(*group)).map(|(other, _)| *other);
        own.iter().copied().chain(dependents).collect()
    }

    /// See [`sizes`].
    pub fn size(&self, task: TaskId) -> i64 {
        self.sizes[task.index()]
    }

    /// The share at which a task that is not divisible is brought back: the least it must have.
    pub fn share(&self, task: TaskId) -> Share {
        Share::from_parts(self.problem.least_parts(task, 0)).expect("a least share is a share")
    }

    fn spare(&self, node: usize) -> u32 {
        let cluster = self.cluster();
        match self.pack.lanes {
            4 => spare::<4>(&cluster, &self.room, node),
            8 => spare::<8>(&cluster, &self.room, node),
            12 => spare::<12>(&cluster, &self.room, node),
            16 => spare::<16>(&cluster, &self.room, node),
            _ => spare::<32>(&cluster, &self.room, node),
        }
    }
}

fn left(capacity: i64, used: i128) -> i128 {
    i128::from(capacity) * i128::from(SHARE_ONE) - used
}

fn dependents(problem: &Problem) -> Vec<Vec<(GroupId, LevelId)>> {
    let mut dependents = vec![Vec::new(); problem.groups.len()];
    for id in problem.group_ids() {
        let needs = &problem.groups[id.index()].depends_on;
        needs.iter().for_each(|need| dependents[need.group.index()].push((id, need.level)));
    }
    dependents
}

/// Each task's part of the cluster in its scarcest resource, devices included, in 2^30ths.
pub fn sizes(problem: &Problem) -> Vec<i64> {
    let width = problem.resources.len();
    let mut total = vec![1i128; width];
    for node in problem.node_ids() {
        total.iter_mut().zip(problem.allocatable(node)).for_each(|(sum, amount)| *sum += i128::from(*amount));
    }
    let devices: i128 = problem.nodes.iter().map(|node| node.devices.len() as i128).sum::<i128>().max(1);
    let part = |amount: i128, total: i128| ((amount << 30) / total).min(i128::from(i64::MAX)) as i64;
    let size = |task: TaskId| {
        let amounts = problem.requirement(task).iter().zip(&total).map(|(a, total)| part(i128::from(*a), *total));
        let request = problem.tasks[task.index()].device.as_ref();
        let milli = request.map_or(0, |request| i128::from(request.count) * i128::from(request.milli));
        amounts.max().unwrap_or(0).max(part(milli, devices * i128::from(DEVICE_MILLI)))
    };
    problem.task_ids().map(size).collect()
}
