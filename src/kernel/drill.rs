//! Where do the tasks of failed nodes go? One scenario after the other on a CPU, one per workgroup on a device.
//!
//! ```text
//! Shape   free rows [N][L], devices [N][W], spare [N]; requirement rows [T][L]; out: a node and devices per lost task
//! Units   quanta i32, spare in 2^16ths of the largest node's free amount
//! Ties    least (spare, node): associative and commutative, so any order of reduction agrees
//! Source  best fit decreasing: the node with least to spare that takes the task; ours in integers
//! ```
//!
//! What a node has to spare does not depend on the task, so most nodes are passed over with one comparison.

use super::layout::free_milli;
use super::points::{change_devices, fit_devices};
use std::ops::Range;

/// What every node's free amounts weigh together: the largest of the cluster counts 2^30 per lane, then 14 bits are dropped.
pub const SPARE_SHIFT: u32 = 14;
/// Free amount of a failed node: not even a task that needs nothing fits.
pub const FAILED: i32 = -1;
/// Words per scenario: first lost task and how many, first failed node and how many.
pub const SCENARIO_WORDS: u32 = 4;
/// Words per answer: node, devices.
pub const ANSWER_WORDS: u32 = 3;

/// What no scenario changes.
pub struct Cluster<'a> {
    /// Device sets by (task class, node class); 0 = forbidden. Row 0 has each node's devices.
    pub allow: &'a [u64],
    /// Column in `allow`. Shape: N.
    pub class: &'a [u32],
    /// What free quanta are multiplied by. Shape: L.
    pub scale: &'a [u32],
    /// Most devices of a node.
    pub device_width: usize,
}

/// What is free, in one scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Shape: N × L.
    pub free: Vec<i32>,
    /// What is taken of each device (`layout.rs`). Shape: N × device_width.
    pub devices: Vec<u32>,
    /// What each node has to spare. Shape: N.
    pub spare: Vec<u32>,
}

/// A task that looks for a place.
pub struct Lost<'a> {
    /// Shape: L.
    pub requirement: &'a [i32],
    /// Row offset into `allow`.
    pub class_row: u32,
    /// Devices wanted.
    pub device_count: u8,
    /// What is taken of each (`layout.rs`).
    pub device_word: u32,
}

/// What a node has to spare, over all lanes and devices.
pub fn spare<const L: usize>(cluster: &Cluster<'_>, room: &Room, node: usize) -> u32 {
    let free = &room.free[node * L..][..L];
    let lanes = free.iter().zip(cluster.scale);
    let amounts: u32 =
        lanes.map(|(free, scale)| ((i64::from((*free).max(0)) * i64::from(*scale)) >> SPARE_SHIFT) as u32).sum();
    let present = cluster.allow[cluster.class[node] as usize];
    let width = cluster.device_width;
    let devices = room.devices[node * width..][..width].iter().enumerate();
    let milli: u32 = devices.filter(|(d, _)| present >> d & 1 == 1).map(|(_, used)| free_milli(*used)).sum();
    amounts + milli
}

/// The node of `nodes` with least to spare that takes a task, and the devices it gets there; `None` when it fits nowhere there.
/// `is_open` tells where the rules of its group let it go.
pub fn best<const L: usize>(
    cluster: &Cluster<'_>,
    room: &Room,
    task: &Lost<'_>,
    nodes: Range<usize>,
    is_open: impl Fn(usize) -> bool,
) -> Option<(u32, u64)> {
    let requirement: &[i32; L] = task.requirement.try_into().expect("a row has L lanes");
    let width = cluster.device_width;
    let (mut least, mut found) = (u32::MAX, None);
    for (node, spare) in nodes.clone().zip(&room.spare[nodes]) {
        // Nodes come in ascending order: at even spare the first is kept.
        if *spare >= least {
            continue;
        }
        let free: &[i32; L] = room.free[node * L..][..L].try_into().expect("a row has L lanes");
        let left = (0..L).fold(0, |left, r| left | (free[r] - requirement[r]));
        let mask = cluster.allow[(task.class_row + cluster.class[node]) as usize];
        if left < 0 || mask == 0 || !is_open(node) {
            continue;
        }
        let mut devices = 0;
        if task.device_count > 0 {
            let used = &room.devices[node * width..][..width];
            match fit_devices(used, mask, task.device_count, task.device_word) {
                Some(set) => devices = set,
                None => continue,
            }
        }
        (least, found) = (*spare, Some((node as u32, devices)));
    }
    found
}

/// Takes a node out.
pub fn fail<const L: usize>(room: &mut Room, node: usize) {
    room.free[node * L..][..L].fill(FAILED);
}

/// Puts a task on a node.
pub fn put<const L: usize>(cluster: &Cluster<'_>, room: &mut Room, task: &Lost<'_>, node: usize, devices: u64) {
    for (free, taken) in room.free[node * L..][..L].iter_mut().zip(task.requirement) {
        *free -= taken;
    }
    let width = cluster.device_width;
    change_devices(&mut room.devices[node * width..][..width], devices, task.device_word, true);
    room.spare[node] = spare::<L>(cluster, room, node);
}
