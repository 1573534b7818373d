//! Who searches? The chains of a search, part after part, side by side, here or on a device.

use super::Options;
use super::audit::Audit;
use super::chain::{Best, Chain};
use super::device::{self, Trouble};
use super::kick::{self, Asked};
use super::pack::Pack;
use super::round::block_count;
use super::schedule::{Kind, Part, Schedule, TRIAL_PART};
use super::state::{State, spots};
use crate::control::{Control, Progress};
use crate::model::{Problem, SHARE_ONE, score};
use rayon::prelude::*;
use std::sync::Arc;

/// After the trial, careful chains go on only where they leave so much less to gain, as a fraction: a bold chain wins more from a
/// longer search. On ROADEF b_1 it is behind by 7 % after a short trial and ahead in the end, on b_2, a1_4 and a2_1 soon far
/// ahead; on b_3 it is behind by 70 to 115 % and stays there.
const LEAD: (i128, i128) = (5, 4);
/// After a trial of fewer candidates per task two careful chains go on: it shows nothing, and one careful chain of so short a search may
/// leave a large task without a way. With 40 to 60 (ROADEF b_5 and b_8 in five seconds) half of all searches ended a third higher, with
/// 140 (b_3) one in three; with 1,700 (b_1) a bold chain is worth having.
const TRIAL_EFFORT_MIN: u64 = 200;
/// They are even when they differ by less than this part of their gain: in evening out a small cluster, the careful one then needs
/// fewer moves.
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
    /// What kicks made of the best of them.
    kicked: Option<Best>,
    /// Candidates judged by kicks.
    kick_evaluations: u64,
    /// Candidates per task of the longest chain of each part, added up.
    pub effort: u64,
    /// The clock ended a part before its rounds did.
    pub is_timed: bool,
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
        Team {
            problem,
            pack,
            built,
            options,
            control,
            audit,
            chains: Vec::new(),
            kicked: None,
            kick_evaluations: 0,
            effort: 0,
            is_timed: false,
            troubles,
        }
    }

    /// Runs a part of the search with new chains of these kinds; an interrupted search gets no more parts.
    pub fn run(&mut self, part: Part, kinds: &[Kind]) {
        if self.control.must_stop() && !self.chains.is_empty() {
            return;
        }
        let Team { problem, pack, built, options, control, .. } = *self;
        let schedule = Schedule::new(problem, pack, options, control, part);
        let number = self.chains.len();
        let new = |(i, kind): (usize, &Kind)| Chain::new(pack, built, options.seed, number + i, *kind);
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
        self.is_timed |= chains.iter().any(|chain| schedule.is_cut(u64::from(chain.round)));
        let rounds = chains.iter().map(|chain| u64::from(chain.round)).max().unwrap_or(0);
        self.effort += rounds * u64::from(schedule.candidates_per_task);
        self.troubles.extend(chains.iter_mut().filter_map(|chain| chain.trouble.take()));
        self.chains.append(&mut chains);
    }

    /// Kinds for two chains after a trial of a careful and a bold one.
    pub fn better_kinds(&self) -> [Kind; 2] {
        if self.effort < TRIAL_EFFORT_MIN {
            return [Kind::Careful; 2];
        }
        let problem = self.problem;
        let objective = |at, devices| score(problem, &spots(problem, at, devices)).objective();
        let found = |kind| {
            let best = &self.chains.iter().find(|chain| chain.kind == kind).expect("both were tried").best;
            objective(&best.at, &best.devices)
        };
        let worth: i128 = problem.tasks.iter().map(|task| i128::from(task.weight)).sum();
        better_kinds(
            objective(&self.built.at, &self.built.devices),
            [found(Kind::Careful), found(Kind::Bold)],
            worth * i128::from(SHARE_ONE),
        )
    }

    /// Which part of the rest of the search kicks are to have, one in so many; 0: none.
    pub fn kick_part(&self) -> u64 {
        let best = self.best().0;
        let state = State::of(self.pack, &best.at, &best.devices);
        let rest = match self.options.effort_under(self.control) {
            Some(effort) => effort.saturating_sub(self.effort),
            None => self.effort.saturating_mul(TRIAL_PART - 1),
        };
        let part = kick::part(self.pack, &state);
        if kick::suits(self.pack, rest.checked_div(part).unwrap_or(0)) { part } else { 0 }
    }

    /// Kicks the best placement for what the last part has left: one part in so many.
    pub fn kick(&mut self, part: u64) {
        if part == 0 || self.control.must_stop() {
            return;
        }
        let effort = match self.options.effort_under(self.control) {
            Some(effort) => effort.saturating_sub(self.effort),
            None => self.effort / (part - 1),
        };
        let asked = Asked { seed: self.options.seed, effort, is_timed: self.is_timed };
        let kicked = kick::kick(self.problem, self.pack, self.best().0.clone(), asked, self.control);
        self.effort += kicked.effort;
        self.is_timed |= kicked.is_cut && self.control.is_late();
        self.kick_evaluations = kicked.evaluations;
        self.kicked = Some(kicked.best);
    }

    /// Candidates judged in all.
    pub fn evaluations(&self) -> u64 {
        self.kick_evaluations + self.chains.iter().map(|chain| chain.tally.evaluations).sum::<u64>()
    }

    /// The best placement found, the first of equals; and the best of another chain than that it comes from, where that is another one.
    pub fn best(&self) -> (&Best, Option<&Best>) {
        let mut chains: Vec<&Chain> = self.chains.iter().collect();
        chains.sort_by_key(|chain| chain.key());
        let best = &chains.first().expect("a part has been run").best;
        let second = chains.get(1).map(|chain| &chain.best).filter(|second| *second != best);
        (self.kicked.as_ref().unwrap_or(best), second)
    }
}

/// Kinds for the rest of a search, by the objectives that a careful and a bold chain made of the built one in the trial, and the
/// ideal one: everything runs, at no cost. One of each where both gained the same, or the bold one nothing, for then it has
/// shown nothing.
fn better_kinds(built: i128, [careful, bold]: [i128; 2], ideal: i128) -> [Kind; 2] {
    if bold <= built || (careful - bold).abs() <= (careful - built) / EVEN_PART {
        return [Kind::Careful, Kind::Bold];
    }
    let is_bold = (ideal - bold) * LEAD.1 <= (ideal - careful) * LEAD.0;
    if is_bold { [Kind::Bold, Kind::Keen] } else { [Kind::Careful, Kind::Light] }
}

#[cfg(test)]
mod tests {
    use super::{Kind, better_kinds};

    #[test]
    fn a_careful_chain_needs_a_clear_lead() {
        assert_eq!(better_kinds(-500, [-100, -90], 0), [Kind::Bold, Kind::Keen]);
        assert_eq!(better_kinds(-500, [-100, -120], 0), [Kind::Bold, Kind::Keen], "a fifth more is left");
        assert_eq!(better_kinds(-500, [-100, -130], 0), [Kind::Careful, Kind::Light], "three tenths more");
        assert_eq!(
            better_kinds(-500, [100, 95], 110),
            [Kind::Careful, Kind::Light],
            "15 of the ideal are left instead of 10"
        );
        assert_eq!(
            better_kinds(-500, [-100, -500], 0),
            [Kind::Careful, Kind::Bold],
            "nothing found: it has shown nothing"
        );
        assert_eq!(better_kinds(-500, [-500, -400], 0), [Kind::Bold, Kind::Keen], "the careful one found nothing");
        assert_eq!(better_kinds(-5000, [-1, -4], 0), [Kind::Careful, Kind::Bold], "even");
    }
}
