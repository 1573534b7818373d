//! What costs less and does as well? First whatever a single node can be left out of; then, where there are few such purchases, all of
//! them, else changes of a few nodes, step by step.
//!
//! Each is asked anew whether everything still has a place; what counting rules out is not asked.

use super::add::{Enough, Market};
use crate::control::Control;
use crate::model::NodeId;
use std::collections::BTreeSet;

/// Most nodes of a shape that are changed for others at once.
const SWAP_MAX: usize = 3;
/// The part of the time in which a purchase is tried without a single node: one of so many.
const FEWER_PART: u32 = 4;
/// Changes that are tried in a row without success.
const TRIES_MAX: usize = 64;
/// Purchases that are listed, before counting rules most of them out.
const LISTED_MAX: usize = 4096;

impl Market<'_> {
    /// False when counting alone shows that these are too few.
    fn may_do(&self, counts: &[usize]) -> bool {
        let bought: Vec<(NodeId, i64)> =
            self.offers.iter().zip(counts).filter_map(|(offer, n)| Some((*offer.first()?, *n as i64))).collect();
        self.covers.iter().all(|cover| cover.admits(&bought))
    }

    /// What a purchase costs, then how many of its nodes have no price: nobody is to have one of those too many either.
    fn rank(&self, counts: &[usize]) -> (i128, usize) {
        let free = counts.iter().zip(&self.prices).filter(|(_, price)| **price == 0);
        (self.cost(counts), free.map(|(count, _)| count).sum())
    }

    /// Purchases that counting does not rule out: without one node of each shape that is bought.
    pub fn one_fewer(&self, counts: &[usize]) -> Vec<Vec<usize>> {
        let fewer = |shape: usize| counts.iter().enumerate().map(|(k, n)| n - usize::from(k == shape)).collect();
        let bought = (0..counts.len()).filter(|shape| counts[*shape] > 0);
        bought.map(fewer).filter(|counts: &Vec<usize>| self.may_do(counts)).collect()
    }

    /// Other purchases that cost less, but no less than the bound, as long as one of them does: without a single node first, since nobody
    /// is to be told to buy one that can be left out. True when no such question is left open.
    pub fn cheapen(&self, enough: &mut Enough, bound: Option<i128>, control: &Control) -> bool {
        let mut refused: BTreeSet<Vec<usize>> = BTreeSet::new();
        loop {
            let least = bound.unwrap_or(0);
            let mut fewer = self.one_fewer(&enough.counts);
            fewer.retain(|counts| self.cost(counts) >= least);
            fewer.sort_by_key(|counts| self.rank(counts));
            let found = self.first_enough(fewer.clone(), &mut refused, &control.part(FEWER_PART));
            let found = found.or_else(|| {
                let most = self.rank(&enough.counts);
                let all = self.cheaper(least, most).unwrap_or_else(|| self.changes(&enough.counts));
                let is_open = |counts: &Vec<usize>| {
                    let own = self.rank(counts);
                    own < most && own.0 >= least && self.may_do(counts)
                };
                let mut tries: Vec<Vec<usize>> = all.into_iter().filter(is_open).collect();
                tries.retain(|counts| !refused.contains(counts));
                tries.sort_by_key(|counts| (self.rank(counts), counts.clone()));
                tries.dedup();
                self.first_enough(from_both_ends(tries), &mut refused, control)
            });
            match found {
                Some(cheaper) => *enough = cheaper,
                None => return fewer.iter().all(|counts| refused.contains(counts)),
            }
        }
    }

    /// The first of these that is enough; what is found not to be is remembered, and not asked again.
    fn first_enough(
        &self,
        tries: Vec<Vec<usize>>,
        refused: &mut BTreeSet<Vec<usize>>,
        control: &Control,
    ) -> Option<Enough> {
        let count = tries.len();
        for (k, counts) in tries.into_iter().enumerate() {
            if control.must_stop() {
                return None;
            }
            if refused.contains(&counts) {
                continue;
            }
            let found = self.enough(counts.clone(), &control.part((count - k + 1) as u32));
            if found.is_some() || control.must_stop() {
                return found;
            }
            refused.insert(counts);
        }
        None
    }

    /// All purchases below `most` that cost no less than `least`; `None` where they are many.
    fn cheaper(&self, least: i128, most: (i128, usize)) -> Option<Vec<Vec<usize>>> {
        let mut found = vec![(Vec::with_capacity(self.offers.len()), 0)];
        for (offer, price) in self.offers.iter().zip(&self.prices) {
            let mut longer = Vec::new();
            for (counts, so_far) in found {
                let costs = (0..=offer.len()).map(|count| (count, so_far + count as i128 * i128::from(*price)));
                longer.extend(costs.take_while(|(_, own)| *own <= most.0).take(LISTED_MAX + 1).map(|(count, own)| {
                    let more: Vec<usize> = counts.iter().copied().chain([count]).collect();
                    (more, own)
                }));
                if longer.len() > LISTED_MAX {
                    return None;
                }
            }
            found = longer;
        }
        let is_dear = |(counts, own): (Vec<usize>, i128)| {
            (own >= least && self.rank(&counts) < most && self.may_do(&counts)).then_some(counts)
        };
        Some(found.into_iter().filter_map(is_dear).collect::<Vec<_>>()).filter(|found| found.len() <= TRIES_MAX)
    }

    /// Up to half fewer of a shape, and one to three of a shape for one to three of another.
    fn changes(&self, counts: &[usize]) -> Vec<Vec<usize>> {
        let mut changes = Vec::new();
        let shapes = 0..counts.len();
        for fewer in shapes.clone().filter(|shape| counts[*shape] > 0) {
            let steps = std::iter::successors(Some(counts[fewer] / 2), |step| (*step > 1).then_some(step / 2));
            for step in steps.chain([1]).filter(|step| *step > 0) {
                let mut less = counts.to_vec();
                less[fewer] -= step;
                for more in shapes.clone().filter(|more| step <= SWAP_MAX && *more != fewer) {
                    for count in 1..=SWAP_MAX.min(self.offers[more].len() - counts[more]) {
                        let mut other = less.clone();
                        other[more] += count;
                        changes.push(other);
                    }
                }
                changes.push(less);
            }
        }
        changes
    }
}

/// The cheapest, then what saves least, in turn: that much is often possible where the cheapest are not. A try that fails costs time, so
/// there are not too many.
fn from_both_ends(mut tries: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
    let dear = tries.split_off(tries.len().div_ceil(2));
    let mut dear = dear.into_iter().rev();
    tries.into_iter().flat_map(|cheap| std::iter::once(cheap).chain(dear.next())).take(TRIES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Ask, NodeShape, Policy, Search, stage::Stage};
    use super::*;
    use crate::file;

    /// One node of 10 and seven tasks of 5: with nodes of 10 at 3 and of 20 at 5 on offer, 25 have to go somewhere else.
    fn asked<T>(ask: impl FnOnce(&Market<'_>) -> T) -> T {
        let node = |name: &str, cpu: u32, price: u32| {
            format!(r#"{{"name": "{name}", "allocatable": {{"cpu": {cpu}}}, "price": {price}}}"#)
        };
        let task = |n: u32| format!(r#"{{"name": "t{n}", "weight": 1, "requirement": {{"cpu": 5}}}}"#);
        let read = |nodes: &[String], tasks: &[String]| {
            let text = format!(
                r#"{{"format": "bayplan-snapshot/1", "resources": [{{"name": "cpu"}}], "nodes": [{}], "tasks": [{}]}}"#,
                nodes.join(","),
                tasks.join(",")
            );
            file::read_snapshot(text.as_bytes()).expect("a sound file")
        };
        let tasks: Vec<String> = (0..7).map(task).collect();
        let snapshot = read(&[node("n", 10, 0)], &tasks);
        let nodes = read(&[node("small", 10, 3), node("large", 20, 5)], &[]).nodes;
        let shapes: Vec<NodeShape> = nodes.into_iter().map(|node| NodeShape { node, most: None }).collect();
        let search = Search { effort: Some(20), ..Search::default() };
        let stage = Stage::new(&snapshot, &Ask::default());
        let market =
            Market::open(&stage, &shapes, [&[], &[]], &Policy::Free, &search, &Control::unlimited()).expect("sound");
        ask(&market)
    }

    #[test]
    fn a_node_that_can_be_left_out_is_found_out() {
        asked(|market| {
            for counts in [[3, 1], [5, 0], [1, 2], [3, 3]] {
                let mut enough = market.enough(counts.to_vec(), &Control::unlimited()).expect("more than is needed");
                assert!(market.cheapen(&mut enough, None, &Control::unlimited()), "{counts:?}: all was tried");
                assert_eq!(enough.counts, [1, 1], "{counts:?}");
                assert!(market.one_fewer(&enough.counts).is_empty(), "counting alone shows that one fewer is too few");
            }
        });
    }

    #[test]
    fn what_could_not_be_tried_is_told() {
        asked(|market| {
            let mut enough = market.enough(vec![3, 1], &Control::unlimited()).expect("more than is needed");
            let stopped = Control::unlimited().with_stop(std::sync::Arc::new(true.into()));
            assert!(!market.cheapen(&mut enough, None, &stopped));
            assert_eq!(enough.counts, [3, 1]);
        });
    }
}
