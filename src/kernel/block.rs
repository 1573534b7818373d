//! What does a kernel see of a block: its nodes, its tasks, its groups' rules?         other half: shaders/block.wgsl
//!
//! Arrays only, filled anew every round (`bulk/gather.rs`); indices are local to the block.

/// Most nodes of a block: node sets are 128-bit words and the pool needs an index.
pub const BLOCK_NODES_MAX: usize = 127;
/// `home` of a task that was waiting at the start.
pub const HOME_NONE: u8 = 255;
/// `home` of a task whose home is outside the block.
pub const HOME_OUTSIDE: u8 = 254;
/// Local domain of the pool in the shaders; `view.rs` has a node for the pool instead.
pub const NO_DOMAIN: u8 = 128;
/// `group` of a task without rules.
pub const NO_GROUP: u32 = u32::MAX;

/// One task as the block sees it.
#[derive(Debug, Clone, Copy, Default)]
pub struct TaskRow {
    /// Points lost while it sits in the pool.
    pub value: i64,
    /// Points for being away from home, before pair costs.
    pub move_points: i64,
    /// Devices held now.
    pub devices: u64,
    /// Devices held at home.
    pub home_devices: u64,
    /// Row offset into `Shared::pair`.
    pub pair_row: u32,
    /// Row offset into `Shared::allow`.
    pub class_row: u32,
    /// Local group or [`NO_GROUP`].
    pub group: u32,
    /// Index in the problem.
    pub task: u32,
    /// Devices wanted.
    pub device_count: u8,
    /// It may go to the pool.
    pub may_stop: bool,
    /// It may come from the pool.
    pub may_start: bool,
    /// What it takes of each device (`layout.rs`).
    pub device_word: u32,
}

/// A group as the block sees it.
#[derive(Debug, Clone, Copy, Default)]
pub struct GroupRow {
    /// Local nodes that hold a member; used when `conflict`.
    pub nodes: u128,
    /// First of its rows.
    pub row: u32,
    /// How many rows.
    pub row_count: u16,
    /// No two members on a node.
    pub conflict: bool,
}

/// The rules of a group at one level of domains, seen from one block. Bits are local domains.
#[derive(Debug, Clone, Copy, Default)]
pub struct Row {
    /// Domains the block may not leave with its last member (others depend on it).
    pub hold: u128,
    /// Domains the block may leave with its last member only by spending `slack`.
    pub keep: u128,
    /// Domains that may be entered.
    pub enter: u128,
    /// Domains the block may give up (spread beyond the least number); −1 for a moment while a last member changes nodes
    /// within a domain.
    pub slack: i32,
    /// Offset of the level's node → local domain map in `Block::domain`.
    pub domain: u32,
    /// Offset of the members per local domain in `Block::count`.
    pub count: u32,
    /// At most one member per domain.
    pub conflict: bool,
}

/// A block: its nodes, its tasks, its rules. Arrays only; filled anew every round.
#[derive(Debug, Default)]
pub struct Block {
    /// Nodes, without the pool.
    pub node_count: usize,
    /// Shape: node_count × L. Most that may be held.
    pub limit: Vec<i32>,
    /// Shape: node_count × L.
    pub soft: Vec<i32>,
    /// Shape: node_count × L. True capacity.
    pub capacity: Vec<i32>,
    /// Shape: node_count × L. What runs here.
    pub used: Vec<i32>,
    /// Shape: node_count × L. What runs here and, for transient resources, what has left.
    pub held: Vec<i32>,
    /// Shape: node_count × variance terms. See `points::VarianceTerm`.
    pub factors: Vec<i64>,
    /// Shape: node_count. Points for being in use.
    pub price: Vec<i64>,
    /// Shape: node_count. Tasks here, movable or not.
    pub tasks_here: Vec<u32>,
    /// Shape: node_count. Move class.
    pub move_class: Vec<u32>,
    /// Shape: node_count. Column of `Shared::allow`.
    pub class: Vec<u32>,
    /// Shape: node_count × device_width. What is taken of each device (`layout.rs`).
    pub device_used: Vec<u32>,
    /// Index in the problem. Shape: node_count.
    pub node: Vec<u32>,
    /// Slots of the tasks that are away from home, or wait, at the start of the round.
    pub away: Vec<u32>,
    /// Movable tasks.
    pub tasks: Vec<TaskRow>,
    /// Shape: tasks. Local node now; `node_count` = pool.
    pub at: Vec<u8>,
    /// Shape: tasks. Local home.
    pub home: Vec<u8>,
    /// Shape: tasks × L.
    pub requirement: Vec<i32>,
    /// Groups.
    pub groups: Vec<GroupRow>,
    /// Their rows.
    pub rows: Vec<Row>,
    /// Local domain of each node, level after level.
    pub domain: Vec<u8>,
    /// Members per (row, local domain).
    pub count: Vec<u16>,
    /// Points gained (negative) or lost in the round.
    pub delta: i64,
    /// Change in the number of displaced tasks.
    pub displaced: i64,
    /// Candidates judged.
    pub evaluations: u64,
    /// Quanta above limits after the round.
    pub overfull: i64,
}
