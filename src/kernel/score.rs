//! Which node is best for each task of a tile, as everything stands? Tile of tasks × all nodes.
//!
//! ```text
//! Shape   node rows [N][L]; task rows [T][L]; out: one key per task
//! Units   quanta i32, points i64          Range   as in anneal.rs
//! Ties    least (points, leftover, node index): associative and commutative, so any order of reduction agrees
//! Source  best fit by relative leftover (the classic vector packing rule); ours in integers
//! ```

use super::layout::{free_milli, holds_more};
use super::points::{NodeView, Shared, change_devices, fit_devices, node_points};

/// Nodes per workgroup on a device.
pub const CHUNK: u32 = 1024;
/// 64-bit words per target that comes back from a device: points, leftover, node, devices.
pub const TARGET_WIDES: u32 = 4;

/// All nodes as they stand.
pub struct Nodes<'a> {
    /// Number of nodes.
    pub count: usize,
    /// Shape: N × L.
    pub limit: &'a [i32],
    /// Shape: N × L.
    pub soft: &'a [i32],
    /// Shape: N × L.
    pub capacity: &'a [i32],
    /// Shape: N × variance terms.
    pub factors: &'a [i64],
    /// Shape: N × L.
    pub used: &'a [i32],
    /// Shape: N × L.
    pub held: &'a [i32],
    /// Shape: N.
    pub tasks_here: &'a [u32],
    /// Shape: N.
    pub price: &'a [i64],
    /// Shape: N.
    pub class: &'a [u32],
    /// Shape: N.
    pub move_class: &'a [u32],
    /// Shape: N × device_width. What is taken of each device (`layout.rs`).
    pub device_used: &'a [u32],
}

/// One task of the tile.
pub struct Candidate<'a> {
    /// Shape: L.
    pub requirement: &'a [i32],
    /// Row offset into `Shared::allow`.
    pub class_row: u32,
    /// Row offset into `Shared::pair`.
    pub pair_row: u32,
    /// Where it was at the start; `u32::MAX` = waiting.
    pub home: u32,
    /// Devices it held there.
    pub home_devices: u64,
    /// Points for being away from home.
    pub move_points: i64,
    /// Devices wanted.
    pub device_count: u8,
    /// What it takes of each (`layout.rs`).
    pub device_word: u32,
    /// Nodes that group rules close to it, one bit per node; empty = none.
    pub closed: &'a [u64],
}

/// Where a task goes best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Change in points, the task's value aside.
    pub points: i64,
    /// What the node has left, relative to its capacity, in 1024ths summed over resources: less is a better fit.
    pub leftover: i64,
    /// The node.
    pub node: u32,
    /// Devices it gets there.
    pub devices: u64,
}

/// The best node of a task, or `None` when it fits nowhere.
pub fn score<const L: usize>(shared: &Shared, nodes: &Nodes<'_>, task: &Candidate<'_>) -> Option<Target> {
    (0..nodes.count).filter_map(|node| judge::<L>(shared, nodes, task, node)).min()
}

/// What it would mean to put a task on a node; `None` when it does not fit.
pub fn judge<const L: usize>(shared: &Shared, nodes: &Nodes<'_>, task: &Candidate<'_>, node: usize) -> Option<Target> {
    if task.closed.get(node / 64).is_some_and(|word| word >> (node % 64) & 1 == 1) {
        return None;
    }
    let row = |rows: &'_ [i32]| -> [i32; L] { rows[node * L..][..L].try_into().expect("a row has L lanes") };
    let (limit, held, used) = (row(nodes.limit), row(nodes.held), row(nodes.used));
    let is_home = task.home == node as u32;
    let back_home = -i32::from(is_home);
    let mut left = [0; L];
    for r in 0..L {
        left[r] = limit[r] - held[r] - (task.requirement[r] & !(shared.transient[r] & back_home));
    }
    // Most nodes of a full cluster end here, so nothing is divided before.
    if left.iter().fold(0, |room, left| room | left) < 0 {
        return None;
    }
    let mask = shared.allow[(task.class_row + nodes.class[node]) as usize];
    if mask == 0 && !is_home {
        return None;
    }
    let width = shared.device_width;
    let devices_before = &nodes.device_used[node * width..][..width];
    let wants_devices = task.device_count > 0;
    let devices = if wants_devices { home_or_fit(shared, task, is_home, mask, devices_before)? } else { 0 };
    let (mut leftover, mut after) = (0i64, [0; L]);
    for r in 0..L {
        after[r] = used[r] + task.requirement[r];
        leftover += if limit[r] > 0 { (i64::from(left[r]) << 10) / i64::from(limit[r]) } else { 0 };
    }
    let mut copy;
    let mut devices_after = devices_before;
    if wants_devices {
        let spare = |d: usize| mask >> d & 1 == 1;
        leftover += (0..width).filter(|d| spare(*d)).map(|d| i64::from(free_milli(devices_before[d]))).sum::<i64>();
        if !(is_home && shared.simultaneous) {
            copy = [0u32; 64];
            copy[..width].copy_from_slice(devices_before);
            change_devices(&mut copy[..width], devices, task.device_word, true);
            devices_after = &copy[..width];
        }
    }
    let (soft, capacity, class) = (row(nodes.soft), row(nodes.capacity), nodes.class[node]);
    let terms = shared.variance.len();
    let factors = &nodes.factors[node * terms..][..terms];
    let view = |used: &[i32; L], devices: &[u32]| {
        node_points(shared, &NodeView { used, soft: &soft, capacity: &capacity, factors, devices, class })
    };
    let mut points = view(&after, devices_after) - view(&used, devices_before);
    if nodes.tasks_here[node] == 0 {
        points += nodes.price[node];
    }
    if task.home != u32::MAX && !is_home {
        points += task.move_points + shared.pair[(task.pair_row + nodes.move_class[node]) as usize];
    }
    Some(Target { points, leftover, node: node as u32, devices })
}

fn home_or_fit(shared: &Shared, task: &Candidate<'_>, is_home: bool, mask: u64, used: &[u32]) -> Option<u64> {
    if !is_home {
        return fit_devices(used, mask, task.device_count, task.device_word);
    }
    let fits = |d: usize| task.home_devices >> d & 1 == 0 || holds_more(used[d], task.device_word);
    (shared.simultaneous || (0..used.len()).all(fits)).then_some(task.home_devices)
}
