//! Who searches? The chains of a search, part after part, side by side, here or on a device.

use super::Options;
use super::audit::Audit;
use super::chain::Chain;
use super::device::{self, Trouble};
use super::pack::Pack;
use super::round::block_count;
use super::schedule::{Part, Schedule};
use super::state::{State, spots};
use crate::control::{Control, Progress};
use crate::model::{Problem, score};
use rayon::prelude::*;
use std::sync::Arc;

/// After the trial, careful chains go on only where they are ahead by more than this part of what they gained: a bold chain wins more
/// from a longer search. On ROADEF b_1 it is behind by 3 % after the trial and ahead in the end, on b_2, a1_4 and a2_1 close
/// and then far ahead; on b_3 it is behind by 6 % and stays there.
const LEAD_PART: i128 = 20;
/// They are even when they differ by less: in evening out a small cluster, the careful one then needs fewer moves.
const EVEN_PART: i128 = 1000;

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

    /// Kinds for two chains after a trial of a careful and a bold one.
    pub fn better_kinds(&self) -> [bool; 2] {
        let gains = [false, true].map(|kind| {
            let gains = self.chains.iter().filter(|chain| chain.is_bold == kind).map(Chain::gain);
            i128::from(gains.max().unwrap_or(0))
        });
        better_kinds(gains)
    }

    /// The chain that has found the best placement; the first of equals.
    pub fn best(&self) -> &Chain {
        self.chains.iter().min_by_key(|chain| chain.key()).expect("a part has been run")
    }
}

/// Kinds for the rest of a search, by what a careful and a bold chain gained in the trial: one of each where both gained the same, or
/// the bold one nothing, for then it has shown nothing.
fn better_kinds([careful, bold]: [i128; 2]) -> [bool; 2] {
    let lead = careful - bold;
    if bold <= 0 || lead.abs() <= careful / EVEN_PART { [false, true] } else { [lead <= careful / LEAD_PART; 2] }
}

#[cfg(test)]
mod tests {
    use super::better_kinds;

    #[test]
    fn a_careful_chain_needs_a_clear_lead() {
        assert_eq!(better_kinds([100, 120]), [true, true]);
        assert_eq!(better_kinds([100, 96]), [true, true], "a twenty-fifth behind");
        assert_eq!(better_kinds([100, 94]), [false, false], "a sixteenth behind");
        assert_eq!((better_kinds([9999, 9995]), better_kinds([9995, 9999])), ([false, true], [false, true]), "even");
        assert_eq!(better_kinds([100, 0]), [false, true], "nothing found: it has shown nothing");
        assert_eq!(better_kinds([0, 0]), [false, true]);
        assert_eq!(better_kinds([0, 5]), [true, true]);
    }
}
