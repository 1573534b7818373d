//! Where is everything during the search? One chain's placement as arrays, with the sums the kernels need.

use super::pack::{NOWHERE, Pack, UNGROUPED, packed_share};
use crate::kernel::points::change_devices;
use crate::model::{NodeId, Piece, Placement, Problem, Share, Spot, TaskId};

/// A placement of the packed tasks and its sums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Node or [`NOWHERE`] (the pool). Shape: tasks.
    pub at: Vec<u32>,
    /// Devices held. Shape: tasks.
    pub devices: Vec<u64>,
    /// What runs on each node. Shape: nodes × lanes.
    pub used: Vec<i32>,
    /// What is held on each node: `used` and, for transient resources, what has left. Shape: nodes × lanes.
    pub held: Vec<i32>,
    /// Tasks on each node.
    pub tasks_here: Vec<u32>,
    /// What is taken of each device (`kernel/layout.rs`). Shape: nodes × device_width.
    pub device_used: Vec<u32>,
    /// Displaced tasks per group.
    pub moved_in_group: Vec<u32>,
    /// Displaced tasks.
    pub displaced: i64,
}

impl State {
    /// Everything where it is at the start.
    pub fn at_home(pack: &Pack) -> State {
        let node_count = pack.price.len();
        let task_count = pack.home.len();
        let mut state = State {
            at: vec![NOWHERE; task_count],
            devices: vec![0; task_count],
            used: vec![0; node_count * pack.lanes],
            held: vec![0; node_count * pack.lanes],
            tasks_here: vec![0; node_count],
            device_used: pack.lacking.clone(),
            moved_in_group: vec![0; pack.groups.len()],
            displaced: 0,
        };
        for task in 0..task_count {
            if pack.packed[task] && pack.home[task] != NOWHERE {
                let node = pack.home[task] as usize;
                state.add(pack, task, node, pack.home_devices[task]);
                for r in 0..pack.lanes {
                    state.held[node * pack.lanes + r] +=
                        pack.requirement[task * pack.lanes + r] & pack.shared.transient[r];
                }
                if pack.shared.simultaneous {
                    state.take_devices(pack, task, node, pack.home_devices[task], true);
                }
            }
        }
        state
    }

    /// Everything at these nodes, with these devices, all sums taken afresh.
    pub fn of(pack: &Pack, at: &[u32], devices: &[u64]) -> State {
        let mut fresh = State::at_home(pack);
        let moved = |task: &usize| pack.packed[*task] && at[*task] != pack.home[*task];
        // First everything leaves, so that no device is taken twice on the way.
        for task in (0..at.len()).filter(moved) {
            fresh.relocate(pack, task, NOWHERE, 0);
        }
        for task in (0..at.len()).filter(moved) {
            fresh.relocate(pack, task, at[task], devices[task]);
        }
        fresh
    }

    /// The same placement with all sums taken afresh: what every incremental change must have kept.
    pub fn recomputed(&self, pack: &Pack) -> State {
        State::of(pack, &self.at, &self.devices)
    }

    /// Moves a task to a node, or to the pool.
    pub fn relocate(&mut self, pack: &Pack, task: usize, to: u32, devices: u64) {
        let from = self.at[task];
        if from != NOWHERE {
            self.remove(pack, task, from as usize);
        }
        if to != NOWHERE {
            self.add(pack, task, to as usize, devices);
        }
        self.count_displaced(pack, task, from, to);
    }

    /// Books the change in displaced tasks when a task goes from one node to another.
    pub fn count_displaced(&mut self, pack: &Pack, task: usize, from: u32, to: u32) {
        let home = pack.home[task];
        if home == NOWHERE {
            return;
        }
        let change = i64::from(to != home) - i64::from(from != home);
        self.displaced += change;
        if pack.group_move_weight > 0 && pack.group_all[task] != UNGROUPED {
            let moved = &mut self.moved_in_group[pack.group_all[task] as usize];
            *moved = moved.wrapping_add_signed(change as i32);
        }
    }

    fn add(&mut self, pack: &Pack, task: usize, node: usize, devices: u64) {
        self.at[task] = node as u32;
        self.devices[task] = devices;
        self.change_rows(pack, task, node, 1);
        if !(pack.shared.simultaneous && pack.home[task] == node as u32) {
            self.take_devices(pack, task, node, devices, true);
        }
    }

    fn remove(&mut self, pack: &Pack, task: usize, node: usize) {
        self.change_rows(pack, task, node, -1);
        if !(pack.shared.simultaneous && pack.home[task] == node as u32) {
            self.take_devices(pack, task, node, self.devices[task], false);
        }
        self.at[task] = NOWHERE;
        self.devices[task] = 0;
    }

    fn change_rows(&mut self, pack: &Pack, task: usize, node: usize, sign: i32) {
        let at_home = -i32::from(pack.home[task] == node as u32);
        for r in 0..pack.lanes {
            let amount = pack.requirement[task * pack.lanes + r] * sign;
            self.used[node * pack.lanes + r] += amount;
            self.held[node * pack.lanes + r] += amount & !(pack.shared.transient[r] & at_home);
        }
        self.tasks_here[node] = self.tasks_here[node].wrapping_add_signed(sign);
    }

    fn take_devices(&mut self, pack: &Pack, task: usize, node: usize, devices: u64, comes: bool) {
        let width = pack.shared.device_width;
        let row = &mut self.device_used[node * width..][..width];
        change_devices(row, devices, pack.device[task].1, comes);
    }

    /// Points of a node, its price included.
    pub fn node_points(&self, pack: &Pack, node: usize) -> i64 {
        let (lanes, width) = (pack.lanes, pack.shared.device_width);
        let used = |r: usize| self.used[node * lanes + r];
        pack.node_points(node, self.tasks_here[node] > 0, used, &self.device_used[node * width..][..width])
    }

    /// Points in all: nodes, moves, what waits, and the largest number moved in a group.
    pub fn points(&self, pack: &Pack) -> i128 {
        let nodes: i128 = (0..pack.price.len()).map(|node| i128::from(self.node_points(pack, node))).sum();
        let of_task = |task: usize| i128::from(pack.task_points(task, self.at[task]));
        let tasks: i128 = (0..self.at.len()).filter(|task| pack.packed[*task]).map(of_task).sum();
        nodes + tasks + i128::from(self.group_points(pack))
    }

    /// Points of the largest number of displaced tasks in one group.
    pub fn group_points(&self, pack: &Pack) -> i64 {
        if pack.group_move_weight == 0 {
            return 0;
        }
        pack.group_move_weight * i64::from(self.moved_in_group.iter().copied().max().unwrap_or(0))
    }

    /// The placement, elastic tasks at their least share, divisible ones unplaced.
    pub fn placement(&self, problem: &Problem) -> Placement {
        spots(problem, &self.at, &self.devices)
    }
}

/// Node and devices of every task that is in one piece.
pub fn arrays(placement: &Placement) -> (Vec<u32>, Vec<u64>) {
    let piece = |spot: &Spot| match spot {
        Spot::On(piece) => (piece.node.0, piece.devices),
        _ => (NOWHERE, 0),
    };
    placement.spots().iter().map(piece).unzip()
}

/// A placement from node and device arrays.
pub fn spots(problem: &Problem, at: &[u32], devices: &[u64]) -> Placement {
    let spot = |task: TaskId| match at[task.index()] {
        NOWHERE => Spot::Unplaced,
        node => Spot::On(Piece {
            node: NodeId(node),
            share: Share::from_parts(packed_share(problem.tasks[task.index()].sharing)).expect("at most 1"),
            devices: devices[task.index()],
        }),
    };
    Placement::from_spots(problem.task_ids().map(spot).collect())
}
