//! Where does a task find a place, by what is free?

use super::{Dice, Ground, LEVELS, Taker};
use crate::bulk::kinds::Kind;
use crate::kernel::layout::{WHOLE, free_milli};

/// Places of a shelf that are looked at.
const SHELF_LOOKS: u32 = 8;
/// Places looked at for one task in all.
const LOOKS_MAX: u32 = 64;
/// Nodes looked at for a task without devices, and how many of them with room are compared.
const OPEN_LOOKS: (u32, u32) = (200, 12);

impl Ground<'_> {
    /// A place for a task: home, else where the least of a device or of the wholly free devices is left.
    pub fn place(&self, taker: Taker, dice: &mut Dice) -> Option<(usize, u64)> {
        let kind = self.kind(taker);
        let home = self.pack.home[taker.task as usize];
        if let Some(node) = self.local.get(home as usize).map(|node| *node as usize) {
            let is_here = self.nodes.get(node) == Some(&home);
            if let Some(devices) = is_here.then(|| self.fit(taker, node)).flatten() {
                return Some((node, devices));
            }
        }
        match kind.count {
            0 => self.open_place(taker, dice),
            _ if kind.word < WHOLE => self.place_on_device(taker.task, kind, dice),
            _ => self.place_on_wholes(taker, kind, dice),
        }
    }

    /// Most places looked at on a shelf and in all.
    fn looks(&self) -> (u32, u32) {
        if self.is_thorough { (u32::MAX, u32::MAX) } else { (SHELF_LOOKS, LOOKS_MAX) }
    }

    fn place_on_device(&self, task: u32, kind: &Kind, dice: &mut Dice) -> Option<(usize, u64)> {
        let width = self.pack.shared.device_width as u32;
        let (shelf_looks, looks_max) = self.looks();
        let mut looks = 0;
        let mut level = kind.milli() as usize;
        loop {
            // The least that is left of a device of any sort, those sorts in turn.
            let first = |sort: u32| self.devices.first(sort as usize * LEVELS + level..(sort as usize + 1) * LEVELS);
            level = bits(kind.device_sorts).filter_map(|sort| first(sort).map(|shelf| shelf % LEVELS)).min()?;
            for sort in bits(kind.device_sorts) {
                let list = self.devices.on(sort as usize * LEVELS + level);
                let count = list.len() as u32;
                let start = if count > shelf_looks { dice.below(count) } else { 0 };
                for i in 0..count.min(shelf_looks) {
                    let slot = list[((start + i) % count) as usize];
                    let (node, device) = ((slot / width) as usize, slot % width);
                    let is_open = !self.is_home(task, node) && self.allowed(kind, node) >> device & 1 == 1;
                    if is_open && self.is_open(kind, node, device as usize) && self.has_room(kind, node) {
                        return Some((node, 1 << device));
                    }
                    looks += 1;
                }
            }
            level += 1;
            if looks > looks_max || level == LEVELS {
                return None;
            }
        }
    }

    fn place_on_wholes(&self, taker: Taker, kind: &Kind, dice: &mut Dice) -> Option<(usize, u64)> {
        let shelves = self.pack.shared.device_width + 1;
        let (shelf_looks, looks_max) = self.looks();
        let mut looks = 0;
        for wholes in usize::from(kind.count)..shelves {
            for sort in bits(kind.node_sorts) {
                let list = self.wholes.on(sort as usize * shelves + wholes);
                let count = list.len() as u32;
                let start = if count > shelf_looks { dice.below(count) } else { 0 };
                for i in 0..count.min(shelf_looks) {
                    let node = list[((start + i) % count) as usize] as usize;
                    if let Some(devices) = self.fit(taker, node) {
                        return Some((node, devices));
                    }
                    looks += 1;
                }
            }
            if looks > looks_max {
                return None;
            }
        }
        None
    }

    /// A place for a task without devices: of a sample of nodes that on which most is left for the devices that are free.
    fn open_place(&self, taker: Taker, dice: &mut Dice) -> Option<(usize, u64)> {
        let (lanes, count) = (self.pack.lanes, self.node_count());
        let first = dice.below(count);
        let (stride, looks) =
            if self.is_thorough { (1, count) } else { (1 + dice.below(count), OPEN_LOOKS.0.min(count)) };
        let mut best: Option<(i64, usize)> = None;
        let mut compared = 0;
        for i in 0..looks {
            let node = ((u64::from(first) + u64::from(i) * u64::from(stride)) % u64::from(count)) as usize;
            if self.fit(taker, node).is_none() {
                continue;
            }
            let limit = &self.pack.limit[self.nodes[node] as usize * lanes..][..lanes];
            let rows = self.free[node * lanes..][..lanes].iter().zip(limit).filter(|(_, limit)| **limit > 0);
            let left: i64 = rows.map(|(free, limit)| (i64::from(*free) << 20) / i64::from(*limit)).sum();
            let spare: i64 = self.row(node).iter().map(|taken| i64::from(free_milli(*taken))).sum();
            let score = left / (spare + 100);
            if best.is_none_or(|(most, _)| score > most) {
                best = Some((score, node));
            }
            compared += 1;
            if compared == OPEN_LOOKS.1 {
                break;
            }
        }
        best.and_then(|(_, node)| self.fit(taker, node).map(|devices| (node, devices)))
    }
}

/// The bits that are set.
fn bits(mut set: u32) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = set.trailing_zeros();
        set &= set.wrapping_sub(1);
        (bit < 32).then_some(bit)
    })
}
