//! When should nodes come and go? Loads over time → a schedule that never has too little at a sample and does not flap.
//!
//! ```text
//! out   load > high · capacity, in any resource          at once, to the fewest nodes with load ≤ high · capacity
//! in    for all of the last `hold` seconds the load would have stayed below low · capacity with fewer nodes: to so few
//! ```
//!
//! A load holds until the next sample, so the sample before the window counts as well. Both ways of flapping are excluded:
//!
//! * *out, then in* within `hold`: the load that asked for more is in the window, and low < high asks for at least as much.
//! * *in, then out* within `hold`: what is kept carries the window's peak at `low`. It takes a rise by (high − low) · capacity above that
//!   peak, the band, to ask for more. A load whose ups and downs stay within the band never does.

use super::Rate;
use std::collections::VecDeque;

/// What is needed at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// In seconds; ascending.
    pub time: i64,
    /// By resource, ≥ 0.
    pub load: Vec<i64>,
}

/// What a pool can be scaled by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Amounts of one node. Shape: resources.
    pub node: Vec<i64>,
    /// Amounts of the pool's other nodes, which stay. Shape: resources.
    pub fixed: Vec<i64>,
    /// Nodes there are at the start.
    pub start: u64,
    /// Fewest nodes.
    pub least: u64,
    /// Most nodes.
    pub most: u64,
}

/// How the schedule is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// No sample is loaded above this part of the capacity.
    pub high: Rate,
    /// Nodes go only while the rest is loaded at most so far; below `high`.
    pub low: Rate,
    /// For so many seconds.
    pub hold: i64,
}

/// Nodes come or go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Action {
    /// Of the sample that asks for it.
    pub time: i64,
    /// Nodes before.
    pub from: u64,
    /// Nodes after: more = out, fewer = in.
    pub to: u64,
}

/// Actions in the order of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schedule {
    /// What is to be done.
    pub actions: Vec<Action>,
    /// Times of samples for which even the most nodes are not enough.
    pub short: Vec<i64>,
    /// Most nodes at any time.
    pub peak: u64,
    /// Σ nodes · seconds from the first sample to the last.
    pub node_seconds: i128,
    /// The same if the peak were kept throughout.
    pub peak_seconds: i128,
}

impl Unit {
    /// Fewest nodes under which a load is at most this part of the capacity; `None` when no number is enough.
    pub fn needed(&self, load: &[i64], rate: Rate) -> Option<u64> {
        (0..load.len()).try_fold(self.least, |most, r| Some(most.max(self.needed_of(r, load, rate)?)))
    }

    /// The same for the resources that nodes have at all: more of them would not help the others.
    fn useful(&self, load: &[i64], rate: Rate) -> u64 {
        (0..load.len()).filter_map(|r| self.needed_of(r, load, rate)).fold(self.least, u64::max)
    }

    fn needed_of(&self, r: usize, load: &[i64], rate: Rate) -> Option<u64> {
        let missing = rate.whole_for(load[r].into()) - i128::from(self.fixed[r]);
        match self.node[r] {
            _ if missing <= 0 => Some(0),
            0 => None,
            own => u64::try_from((missing + i128::from(own) - 1).div_euclid(own.into())).ok(),
        }
    }
}

/// The schedule for the samples of one pool.
pub fn schedule(unit: &Unit, marks: &Marks, samples: &[Sample]) -> Schedule {
    let mut schedule = Schedule { peak: unit.start, ..Schedule::default() };
    let mut nodes = unit.start;
    // Samples of the window and what they need at the low mark, falling: the front is the peak.
    let mut window: VecDeque<(usize, u64)> = VecDeque::new();
    for (i, sample) in samples.iter().enumerate() {
        if i > 0 {
            schedule.node_seconds += i128::from(nodes) * i128::from(sample.time - samples[i - 1].time);
        }
        let at_low = unit.useful(&sample.load, marks.low).min(unit.most);
        while window.back().is_some_and(|(_, needed)| *needed <= at_low) {
            window.pop_back();
        }
        window.push_back((i, at_low));
        let begin = sample.time - marks.hold;
        // A sample has left when the next one was there at the window's begin.
        while window.front().is_some_and(|(j, _)| samples.get(j + 1).is_some_and(|next| *j < i && next.time <= begin)) {
            window.pop_front();
        }
        let at_high = unit.needed(&sample.load, marks.high);
        if at_high.is_none_or(|needed| needed > unit.most) {
            schedule.short.push(sample.time);
        }
        let wanted = unit.useful(&sample.load, marks.high).min(unit.most);
        let lowest = window.front().map_or(0, |(_, needed)| *needed).max(unit.least);
        let is_known = samples[0].time <= begin;
        let to = match () {
            () if wanted > nodes => wanted,
            () if is_known && lowest < nodes => lowest,
            () => nodes,
        };
        if to != nodes {
            schedule.actions.push(Action { time: sample.time, from: nodes, to });
        }
        nodes = to;
        schedule.peak = schedule.peak.max(nodes);
    }
    if let (Some(first), Some(last)) = (samples.first(), samples.last()) {
        schedule.peak_seconds = i128::from(schedule.peak) * i128::from(last.time - first.time);
    }
    schedule
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(milli: u32) -> Rate {
        Rate::from_milli(milli).unwrap()
    }

    #[test]
    fn out_at_once_and_in_after_the_peak_has_left_the_window() {
        let unit = Unit { node: vec![10], fixed: vec![0], start: 1, least: 1, most: 100 };
        let marks = Marks { high: rate(800), low: rate(500), hold: 100 };
        let loads = [(0, 8), (50, 30), (100, 8), (150, 8), (200, 8), (250, 8)];
        let samples: Vec<Sample> = loads.iter().map(|(time, load)| Sample { time: *time, load: vec![*load] }).collect();
        let schedule = schedule(&unit, &marks, &samples);
        // 30 / 0.8 = 37.5: 4 nodes at 50. That load holds until 100, so it is in the window until 200; then 8 / 0.5 = 16: 2 nodes.
        let actions = [Action { time: 50, from: 1, to: 4 }, Action { time: 200, from: 4, to: 2 }];
        assert_eq!(schedule.actions, actions);
        assert_eq!((schedule.peak, schedule.short.len()), (4, 0));
        assert_eq!((schedule.node_seconds, schedule.peak_seconds), (50 + 4 * 150 + 2 * 50, 4 * 250));
    }

    #[test]
    fn what_no_number_of_nodes_can_carry_is_told() {
        let unit = Unit { node: vec![10, 0], fixed: vec![0, 5], start: 1, least: 0, most: 3 };
        let marks = Marks { high: rate(1000), low: rate(500), hold: 10 };
        let sample = |time, load: [i64; 2]| Sample { time, load: load.to_vec() };
        let samples = [sample(0, [30, 5]), sample(1, [31, 0]), sample(2, [0, 6])];
        let schedule = schedule(&unit, &marks, &samples);
        assert_eq!(schedule.short, [1, 2]);
        assert_eq!(schedule.peak, 3);
        // Of what no node has, no number of them is enough, and none is asked for.
        let endless = Unit { most: u64::MAX, ..unit };
        let schedule = super::schedule(&endless, &marks, &samples[2..]);
        assert_eq!((schedule.short, schedule.peak, schedule.actions), (vec![2], 1, Vec::new()));
    }
}
