//! Which tasks, which nodes and which devices are alike to ejection?
//!
//! Whoever looks for a place needs so much, may be given these devices, and is worth so much: tasks that are alike in that are of one
//! *kind*. Devices that the same kinds may be given are of one *sort*, and so are nodes; what does not fit into 32 sorts shares the
//! last one, since sorts only say where it is no use to look.

use super::pack::{Pack, UNGROUPED};
use crate::kernel::layout::MILLI_SHIFT;
use std::collections::HashMap;

/// Most sorts of devices, and of nodes.
const SORTS_MAX: usize = 32;
/// The sort of a device that nobody may be given.
pub const NO_SORT: u8 = u8::MAX;

/// Tasks that are alike.
pub struct Kind {
    /// One of them: its requirement is that of all.
    pub task: u32,
    /// Devices wanted.
    pub count: u8,
    /// What is taken of each (`kernel/layout.rs`).
    pub word: u32,
    /// Row offset into `Shared::allow`.
    pub class_row: u32,
    /// Points lost in the pool.
    pub value: i64,
    /// Sorts of devices that it may be given, a bit each.
    pub device_sorts: u32,
    /// Sorts of nodes that have some.
    pub node_sorts: u32,
}

/// What is alike in a problem.
pub struct Kinds {
    /// Kind of a task. Shape: tasks.
    pub of: Vec<u32>,
    /// The kinds.
    pub list: Vec<Kind>,
    /// Sort of a device or [`NO_SORT`]. Shape: node classes × device_width.
    pub device_sort: Vec<u8>,
    /// Shape: node classes.
    pub node_sort: Vec<u8>,
    /// Does it matter for points what else is on a node?
    pub nodes_count: bool,
}

/// May a task make room, or take it? Tasks with group rules take no part.
pub fn takes_part(pack: &Pack, task: usize) -> bool {
    pack.movable[task] && pack.group[task] == UNGROUPED
}

impl Kind {
    /// Milli of each device wanted.
    pub fn milli(&self) -> u32 {
        self.word >> MILLI_SHIFT
    }
}

/// What the tasks of a kind have in common: who may have which node and devices, what they are worth and what they require.
pub fn key(pack: &Pack, task: usize) -> (u32, (u8, u32), i64, &[i32]) {
    let requirement = &pack.requirement[task * pack.lanes..][..pack.lanes];
    (pack.class_row[task], pack.device[task], pack.value[task], requirement)
}

impl Kinds {
    /// Of the tasks that take part.
    pub fn new(pack: &Pack) -> Kinds {
        let width = pack.shared.device_width;
        let class_count = pack.node_class.iter().max().map_or(0, |class| *class as usize + 1);
        let mut kinds = Kinds {
            of: vec![u32::MAX; pack.home.len()],
            list: Vec::new(),
            device_sort: vec![NO_SORT; class_count * width],
            node_sort: vec![NO_SORT; class_count],
            nodes_count: counts_nodes(pack),
        };
        let mut known = HashMap::new();
        for task in (0..pack.home.len()).filter(|task| takes_part(pack, *task)) {
            kinds.of[task] = *known.entry(key(pack, task)).or_insert_with(|| {
                let ((count, word), class_row, value) = (pack.device[task], pack.class_row[task], pack.value[task]);
                let task = task as u32;
                kinds.list.push(Kind { task, count, word, class_row, value, device_sorts: 0, node_sorts: 0 });
                kinds.list.len() as u32 - 1
            });
        }
        kinds.sort(pack, class_count, width);
        kinds
    }

    fn sort(&mut self, pack: &Pack, class_count: usize, width: usize) {
        let mut rows: Vec<u32> = self.list.iter().filter(|kind| kind.count > 0).map(|kind| kind.class_row).collect();
        rows.sort_unstable();
        rows.dedup();
        let allow = |row: u32, class: usize| pack.shared.allow[row as usize + class];
        let (mut nodes, mut devices) = (HashMap::new(), HashMap::new());
        // Which sorts a row is let into: of devices, of nodes.
        let mut let_in = vec![(0u32, 0u32); rows.len()];
        for class in 0..class_count {
            let masks: Vec<u64> = rows.iter().map(|row| allow(*row, class)).collect();
            for d in (0..width).filter(|d| masks.iter().any(|mask| mask >> d & 1 == 1)) {
                let key: Vec<bool> = masks.iter().map(|mask| mask >> d & 1 == 1).collect();
                let next = devices.len().min(SORTS_MAX - 1) as u8;
                let sort = *devices.entry(key).or_insert(next);
                self.device_sort[class * width + d] = sort;
                let users = let_in.iter_mut().zip(&masks).filter(|(_, mask)| **mask >> d & 1 == 1);
                users.for_each(|((sorts, _), _)| *sorts |= 1 << sort);
            }
            let next = nodes.len().min(SORTS_MAX - 1) as u8;
            let sort = *nodes.entry(masks.clone()).or_insert(next);
            self.node_sort[class] = sort;
            let users = let_in.iter_mut().zip(&masks).filter(|(_, mask)| **mask != 0);
            users.for_each(|((_, sorts), _)| *sorts |= 1 << sort);
        }
        for kind in self.list.iter_mut().filter(|kind| kind.count > 0) {
            let row = rows.binary_search(&kind.class_row).expect("it is the row of this kind");
            (kind.device_sorts, kind.node_sorts) = let_in[row];
        }
    }
}

/// Do points depend on more than who runs and who is displaced?
pub fn counts_nodes(pack: &Pack) -> bool {
    let shared = &pack.shared;
    shared.load_weight.iter().chain(&shared.over_weight).any(|weight| *weight > 0)
        || !shared.balance.is_empty()
        || !shared.variance.is_empty()
        || shared.fragmentation_weight > 0
        || pack.price.iter().any(|price| *price > 0)
}
