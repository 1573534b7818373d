//! How much room is left, and how much must be? f(load, available) by name, in integers.
//!
//! | policy | f(load, available) | kept when |
//! |---|---|---|
//! | `free` | available − load | everything that runs and waits has a place |
//! | `utilization=80%` | ⌊available · 80 %⌋ − load | and no pool is loaded above the target |
//! | `tasks=NAME:N` | available − load − N · requirement | and N more tasks of that shape have a place at the same time |
//! | `survive=LEVEL` | available − that of the largest domain of the pool − load | and all of it has a place with any one domain gone |
//!
//! The load is what tasks need at least (`pools.rs`): what an elastic one has beyond its least share is room for others, and a divisible
//! one needs what it has. All of a divisible shape is meant by `tasks`, on one node. What is pinned
//! ends with its node, so of a domain counts what it has beside that. f is counting, per pool and resource: below 0 the policy is
//! broken; from 0 on it may still be, because tasks do not split. What decides is a placement, see `search.rs`.

use crate::model::SHARE_ONE;

/// Parts of [`Rate`] in a whole.
pub const RATE_ONE: u32 = 1000;

/// A part of a whole, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u32);

impl Rate {
    /// `milli` thousandths, 1 to 1000.
    pub fn from_milli(milli: u32) -> Option<Rate> {
        (1..=RATE_ONE).contains(&milli).then_some(Rate(milli))
    }

    /// In thousandths.
    pub fn milli(self) -> u32 {
        self.0
    }

    /// This part of an amount, rounded down.
    pub fn of(self, amount: i128) -> i128 {
        (amount * i128::from(self.0)).div_euclid(i128::from(RATE_ONE))
    }

    /// The least amount of which this part is at least `load`.
    pub fn whole_for(self, load: i128) -> i128 {
        (load * i128::from(RATE_ONE) + i128::from(self.0) - 1).div_euclid(i128::from(self.0))
    }
}

/// What has to be left free.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Policy {
    /// Nothing.
    #[default]
    Free,
    /// No pool is loaded above this part of its capacity, in any resource.
    Utilization(Rate),
    /// Room for so many more tasks of a shape, by its name.
    Tasks(String, u32),
    /// Room for everything when any one domain of this level is gone.
    Survive(String),
}

impl Policy {
    /// The word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Policy::Free => "free",
            Policy::Utilization(_) => "utilization",
            Policy::Tasks(..) => "tasks",
            Policy::Survive(_) => "survive",
        }
    }

    /// The least available that keeps the policy's target under a load.
    pub(super) fn whole_for(&self, load: i128) -> i128 {
        match self {
            Policy::Utilization(rate) => rate.whole_for(load),
            Policy::Free | Policy::Tasks(..) | Policy::Survive(_) => load,
        }
    }

    /// f(load, available) in scaled amounts, where `reserved` is what the policy sets aside: the tasks of the shape, or the largest domain.
    pub fn headroom(&self, load: i128, available: i128, reserved: i128) -> i128 {
        match self {
            Policy::Utilization(rate) => rate.of(available) - load,
            Policy::Free | Policy::Tasks(..) | Policy::Survive(_) => available - reserved - load,
        }
    }
}

/// An amount in scaled units.
pub(super) fn scaled(amount: i64) -> i128 {
    i128::from(amount) * i128::from(SHARE_ONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headroom_is_what_is_available_less_the_load() {
        assert_eq!(Policy::Free.headroom(6, 10, 0), 4);
        assert_eq!(Policy::Free.headroom(10, 6, 0), -4);
        let most = Policy::Utilization(Rate::from_milli(800).unwrap());
        assert_eq!((most.headroom(6, 10, 0), most.headroom(8, 10, 0), most.headroom(9, 10, 0)), (2, 0, -1));
        assert_eq!(Policy::Survive("rack".into()).headroom(6, 10, 5), -1);
    }

    #[test]
    fn a_whole_for_a_load_is_the_least_one() {
        for milli in [1, 333, 800, 999, 1000] {
            let rate = Rate::from_milli(milli).unwrap();
            for load in 0..50 {
                let whole = rate.whole_for(load);
                assert!(rate.of(whole) >= load && (whole == 0 || rate.of(whole - 1) < load), "{milli} {load}");
            }
        }
        assert_eq!((Rate::from_milli(0), Rate::from_milli(1001)), (None, None));
    }
}
