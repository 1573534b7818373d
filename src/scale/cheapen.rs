//! What costs less and does as well? Where there are few such purchases, all of them; else changes of a few nodes, step by step.
//!
//! Each is asked anew whether everything still has a place; what counting rules out is not asked.

use super::add::{Enough, Market};
use crate::control::Control;
use crate::model::NodeId;
use std::collections::BTreeSet;

/// Most nodes of a shape that are changed for others at once.
const SWAP_MAX: usize = 3;
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

    /// Other purchases that cost less, but no less than the bound, as long as one of them does.
    pub fn cheapen(&self, enough: &mut Enough, bound: Option<i128>, control: &Control) {
        let mut refused: BTreeSet<Vec<usize>> = BTreeSet::new();
        while !control.must_stop() {
            let most = self.rank(&enough.counts);
            let is_open = |counts: &Vec<usize>| {
                let own = self.rank(counts);
                own < most
                    && bound.is_none_or(|bound| own.0 >= bound)
                    && !refused.contains(counts)
                    && self.may_do(counts)
            };
            let all = self.cheaper(bound.unwrap_or(0), most).unwrap_or_else(|| self.changes(&enough.counts));
            let mut tries: Vec<Vec<usize>> = all.into_iter().filter(is_open).collect();
            tries.sort_by_key(|counts| (self.rank(counts), counts.clone()));
            tries.dedup();
            let tries = from_both_ends(tries);
            let count = tries.len();
            let cheaper = tries.into_iter().enumerate().find_map(|(k, counts)| {
                if control.must_stop() {
                    return None;
                }
                let found = self.enough(counts.clone(), &control.part((count - k + 1) as u32));
                if found.is_none() {
                    refused.insert(counts);
                }
                found
            });
            match cheaper {
                Some(cheaper) => *enough = cheaper,
                None => return,
            }
        }
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
