//! Who searches? The chains of a search, part after part, side by side, here or on a device.

use super::Options;
use super::audit::Audit;
use super::chain::{Best, Chain};
use super::device::{self, Trouble};
use super::pack::Pack;
use super::round::block_count;
use super::schedule::{Part, Schedule};
use super::state::{State, spots};
use crate::control::{Control, Progress};
use crate::model::{Problem, SHARE_ONE, score};
use rayon::prelude::*;
use std::sync::Arc;

/// Two chains are close when their gains differ by less than this part. A bold chain wins more from a longer search: on ROADEF b_1 it
/// is behind by 5 % after the trial and ahead in the end.
const CLOSE_PART: i128 = 20;

/// Chains that run side by side: a cluster of one block has two, so that two threads have work.
pub fn chains_at_once(node_count: usize) -> usize {
    if block_count(node_count) > 1 { 1 } else { 2 }
}

/// All chains of a search, those that have ended included.
pub struct Team<'a> {
    problem: &'a Problem,
    pack: &'a Pack,
    built: &'a State,
    options: &'a Options,
    control: &'a Control,
    audit: Option<Arc<Audit>>,
    /// At least one after the first part.
    pub chains: Vec<Chain>,
    /// Rounds of the longest chain of each part, added up.
    pub rounds: u64,
    /// What went wrong on the device. After the first trouble no later part runs there.
    pub troubles: Vec<Trouble>,
}

impl<'a> Team<'a> {
    /// Nobody yet. All chains begin at the built state.
    pub fn new(
        problem: &'a Problem,
        pack: &'a Pack,
        built: &'a State,
        options: &'a Options,
        control: &'a Control,
        troubles: Vec<Trouble>,
    ) -> Team<'a> {
        let audit = options.device.as_ref().map(|_| Arc::new(Audit::new(problem, pack, built)));
        Team { problem, pack, built, options, control, audit, chains: Vec::new(), rounds: 0, troubles }
    }

    /// Runs a part of the search with new chains, each careful or bold; an interrupted search gets no more parts.
    pub fn run(&mut self, part: Part, kinds: &[bool]) {
        if self.control.must_stop() && !self.chains.is_empty() {
            return;
        }
        let Team { problem, pack, built, options, control, .. } = *self;
        let schedule = Schedule::new(problem, pack, options, control, part);
        let number = self.chains.len();
        let new = |(i, is_bold): (usize, &bool)| Chain::new(pack, built, options.seed, number + i, *is_bold);
        let mut chains: Vec<Chain> = kinds.iter().enumerate().map(new).collect();
        if let (Some(device), Some(audit), true) = (&options.device, &self.audit, self.troubles.is_empty()) {
            self.troubles.extend(device::launch(device, &mut chains, audit));
        }
        let listener = |done: u32, chain: &Chain| {
            let objective = score(problem, &spots(problem, &chain.best.at, &chain.best.devices)).objective();
            control.report(Progress { phase: "anneal", done, objective, bound: None });
        };
        let silent = |_: u32, _: &Chain| {};
        let turn = |(c, chain): (usize, &mut Chain)| {
            chain.run(problem, pack, &schedule, control, if c == 0 { &listener } else { &silent })
        };
        while !chains.par_iter_mut().enumerate().map(turn).reduce(|| true, |a, b| a & b) {}
        chains.par_iter_mut().for_each(|chain| chain.finish(problem, pack, &schedule));
        for chain in &chains {
            debug_assert!(pack.is_inexact || chain.agrees(problem, built), "kernel and model agree on every point");
        }
        self.rounds += chains.iter().map(|chain| u64::from(chain.round)).max().unwrap_or(0);
        self.troubles.extend(chains.iter_mut().filter_map(|chain| chain.trouble.take()));
        self.chains.append(&mut chains);
    }

    /// Kinds for two chains after a trial of both.
    pub fn better_kinds(&self) -> [bool; 2] {
        let problem = self.problem;
        let objective = |best: &Best| score(problem, &spots(problem, &best.at, &best.devices)).objective();
        let built = score(problem, &spots(problem, &self.built.at, &self.built.devices)).objective();
        let found: Vec<i128> = self.chains.iter().map(|chain| objective(&chain.best)).collect();
        let worth: i128 = problem.tasks.iter().map(|task| i128::from(task.weight)).sum();
        let both = [false, true];
        if are_close(built, &found, worth * i128::from(SHARE_ONE)) { both } else { [self.best().is_bold; 2] }
    }

    /// The chain that has found the best placement; the first of equals.
    pub fn best(&self) -> &Chain {
        self.chains.iter().min_by_key(|chain| chain.key()).expect("a part has been run")
    }
}

/// Is it open which of the chains will do better, by what they made of the built objective? It is when one has found nothing,
/// for then it has shown nothing; and when they differ by little of what both gained and by less than what parts the better from a
/// cluster in which everything runs at no cost (on ROADEF a2_1 they gain the same to a hundredth, and one costs a quarter).
fn are_close(built: i128, found: &[i128], ideal: i128) -> bool {
    let (least, most) = (found.iter().min().unwrap_or(&built), found.iter().max().unwrap_or(&built));
    *least <= built || (most - least < (most - built) / CLOSE_PART && most - least <= ideal - most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_close_by_gain_and_by_what_is_left() {
        assert!(are_close(-1000, &[-500, -510], 0), "they differ by a fiftieth of the gain");
        assert!(!are_close(-1000, &[-500, -600], 0), "by a fifth");
        assert!(!are_close(-1000, &[-4, -1], 0), "by a three-hundredth, but one costs four times as much");
        assert!(are_close(-1000, &[-1000, -1], 0), "one has found nothing");
        assert!(are_close(0, &[50, 50], 50), "no better placement can be");
    }
}
