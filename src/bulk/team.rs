//! Who searches? The chains of a search, part after part, side by side, here or on a device.

use super::audit::Audit;
use super::chain::{Best, Chain};
use super::device::{self, Trouble};
use super::heat::{Heat, Kind};
use super::kick::{self, Asked};
use super::pack::Pack;
use super::round::block_count;
use super::schedule::{KINDS, Part, Schedule, TRIAL_PART, tried};
use super::start::{self, Started};
use super::state::{State, spots};
use super::turns::{AT_ONCE, TURN, take_turns};
use super::{EFFORT_MAX, Options};
use crate::control::{Control, Progress};
use crate::model::{Problem, SHARE_ONE, score};
use rayon::prelude::*;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// After the trial, only chains that keep limits go on where the careful one leaves so much less to gain, as a fraction: a bold one is
/// behind by 70 to 115 % on ROADEF b_3, and stays there. Where it leads by less, one of each goes on: on b_1 one that exceeds limits is
/// behind by up to 7 % after a short trial and ahead in the end, for it wins more from a longer search; on b_5 by 2 %, and stays there.
const LEAD: (i128, i128) = (5, 4);
/// Where a trial would have fewer candidates per task in all there is none, and two careful chains run: it shows nothing, and one careful
/// chain of so short a search may leave a large task without a way. With 40 to 60 for each chain (ROADEF b_5 and b_8 in five seconds) half
/// of all searches ended a third higher, with 140 (b_3) one in three; with 1,700 (b_1) a bold chain is worth having.
const TRIAL_EFFORT_MIN: u64 = 300;
/// A careful one and another are even when they differ by less than this part of their gain: in evening out a small cluster, the careful
/// one then needs fewer moves.
const EVEN_PART: i128 = 1000;
/// A bold one and a near one are close when they differ by less than this part of the larger gain, and of what the better one leaves. On
/// ROADEF a2_5 a bold one is ahead by 7 % on average, and a search by two near ones ends at 342 M instead of 311 to 326: with two trials
/// of each that goes on in one search of a hundred, with one of each in one of twenty. On a2_3 a near one mostly is ahead; on a1_2, where
/// a bold one ends lower, and on b_2, where a near one does, the trial does not show it. On b_3 they differ by little of what they gain,
/// but a bold one leaves twice as much.
const CLOSE_PART: i128 = 16;

/// So many rounds say how long a search by the clock is going to be, the first that goes beyond this part of the time being the last.
const RECKONED_ROUNDS: u32 = 8;
const RECKONED_PART: u32 = 128;

/// Most chains of a part of a search.
pub fn chains_max(node_count: usize) -> usize {
    if block_count(node_count) > 1 { 1 } else { tried(u64::MAX).len() }
}

/// All chains of a search, those that have ended included.
pub struct Team<'a> {
    problem: &'a Problem,
    pack: &'a Pack,
    built: &'a State,
    heat: Heat,
    options: &'a Options,
    control: &'a Control,
    audit: Option<Arc<Audit>>,
    /// At least one after the first part.
    pub chains: Vec<Chain>,
    /// What kicks made of the best of them.
    kicked: Option<Best>,
    /// Candidates per task that the whole search is likely to have; it has them unless the clock decides.
    likely: u64,
    /// Candidates judged by kicks, and by starts that were not chosen.
    other_evaluations: u64,
    /// When the search did.
    began: Instant,
    /// Candidates per task of the longest chain of each part, added up; more where chains took turns.
    pub effort: u64,
    /// A part was ended before it had all its rounds.
    pub is_cut: bool,
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
        let heat = Heat::new(pack);
        let granted = options.effort_under(control);
        let likely = granted.unwrap_or_else(|| reckoned(problem, pack, heat, built, options, control));
        Team {
            problem,
            pack,
            built,
            heat,
            options,
            control,
            audit,
            chains: Vec::new(),
            kicked: None,
            likely,
            other_evaluations: 0,
            began: Instant::now(),
            effort: 0,
            is_cut: false,
            troubles,
        }
    }

    /// Runs a part of the search with new chains of these kinds; an interrupted search gets no more parts.
    pub fn run(&mut self, part: Part, kinds: &[Kind]) {
        if self.control.must_stop() && !self.chains.is_empty() {
            self.is_cut = true;
            return;
        }
        let Team { problem, pack, built, options, control, .. } = *self;
        let mut schedule = Schedule::new(pack, self.heat, options, control, part, self.likely);
        let mut chains = self.started(&schedule, part.starts(), kinds);
        schedule.begin(control);
        if let (Some(device), Some(audit), true) = (&options.device, &self.audit, self.troubles.is_empty()) {
            self.troubles.extend(device::launch(device, &mut chains, audit));
        }
        // Adding up takes as long as a short turn.
        let told = Mutex::new(None::<Instant>);
        let tell = |chain: &Chain| {
            let Ok(mut told) = told.try_lock() else { return };
            if told.is_some_and(|told| told.elapsed() < TURN) {
                return;
            }
            let objective = score(problem, &spots(problem, &chain.best.at, &chain.best.devices)).objective();
            let done = schedule.done(u64::from(chain.round));
            control.report(Progress { phase: "anneal", done, objective, bound: None });
            *told = Some(Instant::now());
        };
        take_turns(&mut chains, schedule.turn(), |chain| {
            let is_done = chain.go_on(problem, pack, &schedule, control);
            tell(chain);
            is_done
        });
        self.is_cut |= chains.iter().any(|chain| schedule.is_cut(u64::from(chain.round)));
        chains.par_iter_mut().for_each(|chain| chain.finish(problem, pack, &schedule));
        for chain in &chains {
            debug_assert!(pack.is_inexact || chain.agrees(problem, built), "kernel and model agree on every point");
        }
        let rounds = chains.iter().map(|chain| u64::from(chain.round)).max().unwrap_or(0);
        let turns = (rounds * chains.len().max(AT_ONCE) as u64).div_ceil(AT_ONCE as u64);
        self.effort += turns * u64::from(schedule.candidates_per_task);
        self.troubles.extend(chains.iter_mut().filter_map(|chain| chain.trouble.take()));
        self.chains.append(&mut chains);
    }

    /// A new chain of each kind, the best of its starts.
    fn started(&mut self, schedule: &Schedule, starts: u64, kinds: &[Kind]) -> Vec<Chain> {
        let Team { problem, pack, built, options, control, .. } = *self;
        // Where the clock decides anyhow, it may also leave starts out.
        let control = match control.time_left().filter(|_| options.effort_under(control).is_none()) {
            Some(left) => control.within(left / start::PART as u32),
            None => control.clone(),
        };
        let number = self.chains.len();
        let best = |(i, kind): (usize, &Kind)| {
            let number = |start: u64| number + i + start as usize * kinds.len();
            let chains = (0..starts).map(|start| Chain::new(pack, built, options.seed, number(start), *kind));
            start::best(problem, pack, schedule, &control, chains)
        };
        let started: Vec<Started> = kinds.par_iter().enumerate().map(best).collect();
        let others = started.iter().map(|started| started.rounds).max().unwrap_or(0);
        self.effort += others * u64::from(schedule.candidates_per_task);
        self.other_evaluations += started.iter().map(|started| started.evaluations).sum::<u64>();
        started.into_iter().map(|started| started.chain).collect()
    }

    /// Candidates per task that each chain of the rest of the search can have, as far as is known.
    fn effort_left(&self) -> u64 {
        if let Some(effort) = self.options.effort_under(self.control) {
            return effort.saturating_sub(self.effort);
        }
        let most = EFFORT_MAX.saturating_mul(self.pack.movable_count as u64);
        let left = self.control.time_left().unwrap_or_default();
        let likely = match self.effort {
            0 => self.likely,
            spent => at_pace(spent, self.began.elapsed(), left),
        };
        likely.min(most.saturating_sub(self.effort))
    }

    /// Tries which kind of chain does better, where the search is long enough to show it.
    pub fn try_kinds(&mut self) {
        if self.likely / TRIAL_PART >= TRIAL_EFFORT_MIN {
            let kinds = tried(self.likely);
            self.run(Part::Trial { chains: kinds.len() }, kinds);
        }
    }

    /// The rest of the search.
    pub fn rest(&mut self, kicks: u64) {
        let starts = start::count(self.pack, self.effort_left());
        self.run(Part::Rest { spent: self.effort, kicks, starts }, &self.better_kinds());
    }

    /// Kinds for two chains, after a trial if there was one.
    fn better_kinds(&self) -> [Kind; 2] {
        // The clock may have cut a trial short.
        if self.chains.is_empty() || self.effort < TRIAL_EFFORT_MIN / 2 {
            return [Kind::Careful; 2];
        }
        let problem = self.problem;
        let objective = |at, devices| score(problem, &spots(problem, at, devices)).objective();
        let found = |kind| {
            let all = self.chains.iter().filter(|chain| chain.kind == kind);
            all.map(|chain| objective(&chain.best.at, &chain.best.devices)).max().expect("all kinds were tried")
        };
        let worth: i128 = problem.tasks.iter().map(|task| i128::from(task.weight)).sum();
        better_kinds(objective(&self.built.at, &self.built.devices), KINDS.map(found), worth * i128::from(SHARE_ONE))
    }

    /// Which part of the rest of the search kicks are to have, one in so many; 0: none.
    pub fn kick_part(&self) -> u64 {
        let tried = (!self.chains.is_empty()).then(|| self.best().0);
        let state = tried.map(|best| State::of(self.pack, &best.at, &best.devices));
        let part = kick::part(self.pack, state.as_ref().unwrap_or(self.built));
        if kick::suits(self.pack, self.effort_left().checked_div(part).unwrap_or(0)) { part } else { 0 }
    }

    /// Kicks the best placement for what the last part has left: one part in so many.
    pub fn kick(&mut self, part: u64) {
        if part == 0 {
            return;
        }
        if self.control.must_stop() {
            self.is_cut = true;
            return;
        }
        let granted = self.options.effort_under(self.control);
        let effort = granted.map_or(self.effort / (part - 1), |effort| effort.saturating_sub(self.effort));
        let asked = Asked { seed: self.options.seed, effort, is_timed: granted.is_none() && self.is_cut };
        let kicked = kick::kick(self.problem, self.pack, self.heat, self.best().0.clone(), asked, self.control);
        self.effort += kicked.effort;
        self.is_cut |= kicked.is_cut;
        self.other_evaluations += kicked.evaluations;
        self.kicked = Some(kicked.best);
    }

    /// Candidates judged in all.
    pub fn evaluations(&self) -> u64 {
        self.other_evaluations + self.chains.iter().map(|chain| chain.tally.evaluations).sum::<u64>()
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

/// How much can be done in the time that is left, after so much in the time that is spent.
fn at_pace(done: u64, spent: Duration, left: Duration) -> u64 {
    let more = u128::from(done) * left.as_micros() / spent.as_micros().max(1);
    u64::try_from(more).unwrap_or(u64::MAX)
}

/// How many candidates per task each of two chains can judge in the time that is left, where they are a cluster's only block: by the
/// quickest of a few short rounds, here. It is rather too few: in a longer round more of the time goes into candidates.
fn reckoned(problem: &Problem, pack: &Pack, heat: Heat, built: &State, options: &Options, control: &Control) -> u64 {
    let left = control.time_left().unwrap_or_default();
    if control.must_stop() || chains_max(problem.nodes.len()) == 1 {
        return 0;
    }
    let schedule = Schedule::new(pack, heat, options, control, Part::Whole, 0);
    let mut chain = Chain::new(pack, built, options.seed, 0, Kind::Careful);
    let hottest = heat.temperature(0, chain.kind);
    let began = Instant::now();
    let mut quickest = Duration::MAX;
    // In the first one caches are cold, and any may have been held up.
    for _ in 0..RECKONED_ROUNDS {
        let round = Instant::now();
        chain.advance(problem, pack, &schedule, &[hottest]);
        quickest = quickest.min(round.elapsed());
        if began.elapsed() > left / RECKONED_PART {
            break;
        }
    }
    let alone = at_pace(u64::from(schedule.candidates_per_task), quickest, left);
    alone / AT_ONCE.div_ceil(rayon::current_num_threads()) as u64
}

/// Kinds for the rest of a search, by the best that a careful, a bold and a near chain made of the built one in the trial, and the
/// ideal one: everything runs, at no cost. One that keeps limits and the better one that does not where both gained the same, the latter
/// nothing (for then it has shown nothing), or the former more but not clearly so; and one of each that does not where neither has a clear
/// lead over the other.
fn better_kinds(built: i128, [careful, bold, near]: [i128; 3], ideal: i128) -> [Kind; 2] {
    let dared = bold.max(near);
    let better = if near > bold { Kind::Near } else { Kind::Bold };
    let is_even = dared <= built || (careful - dared).abs() <= (careful - built) / EVEN_PART;
    let has_lead = (ideal - dared) * LEAD.1 > (ideal - careful) * LEAD.0;
    let is_undecided = is_even || careful > dared && !has_lead;
    let are_close = (bold - near).abs() <= (dared - built).min(ideal - dared) / CLOSE_PART;
    match () {
        () if is_undecided => [Kind::Careful, better],
        () if has_lead => [Kind::Careful, Kind::Light],
        () if are_close => [Kind::Bold, Kind::Neat],
        () if bold > near => [Kind::Bold, Kind::Keen],
        () => [Kind::Near, Kind::Neat],
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Team, at_pace, better_kinds, tried};
    use crate::bulk::Options;
    use crate::bulk::chain::Best;
    use crate::bulk::pack::Pack;
    use crate::bulk::schedule::Part;
    use crate::bulk::state::State;
    use crate::control::Control;
    use crate::generate::{Order, Shape, Wish, generate};
    use crate::model::Problem;
    use std::time::Duration;

    fn cluster() -> Problem {
        let wish = Wish { nodes: Some(8), tasks: Some(60), seed: 3, ..Wish::default() };
        let order = Order::new(Shape::Huge, wish).expect("a cluster of that size can be made");
        Problem::new(&generate(&order)).unwrap()
    }

    #[test]
    fn what_is_left_is_reckoned_at_the_pace_so_far() {
        let seconds = Duration::from_secs;
        assert_eq!(at_pace(500, seconds(2), seconds(10)), 2500);
        assert_eq!(at_pace(500, seconds(2), seconds(0)), 0);
        assert_eq!(at_pace(500, Duration::ZERO, Duration::MAX), u64::MAX, "no pace yet, all the time in the world");
    }

    #[test]
    fn a_short_search_tries_no_kinds() {
        let problem = cluster();
        let pack = Pack::new(&problem);
        let built = State::at_home(&pack);
        let run = |effort, limit: Duration| {
            let (options, control) =
                (Options { effort, ..Options::default() }, Control::unlimited().with_time_limit(limit));
            let mut team = Team::new(&problem, &pack, &built, &options, &control, Vec::new());
            team.try_kinds();
            let tried = team.chains.len();
            team.rest(0);
            (team.likely, tried, team.chains.iter().skip(tried).map(|chain| chain.kind).collect::<Vec<_>>())
        };
        let long = Duration::from_secs(3600);
        assert_eq!(run(Some(2399), long), (2399, 0, vec![Kind::Careful; 2]), "too short to show anything");
        let (likely, count, kinds) = run(Some(2400), long);
        assert!(likely == 2400 && count == 3 && kinds.len() == 2, "{count} {kinds:?}");
        assert_eq!(run(None, Duration::ZERO), (0, 0, vec![Kind::Careful; 2]), "no time at all");
        assert_eq!([2400, 439_999, 440_000].map(|likely| tried(likely).len()), [3, 3, 5], "twice who exceeds limits");
        let (options, hour) = (Options::default(), Control::unlimited().with_time_limit(long));
        let likely = Team::new(&problem, &pack, &built, &options, &hour, Vec::new()).likely;
        assert!(likely > 2400, "{likely} for 60 tasks in an hour");
    }

    #[test]
    fn the_better_of_two_trials_counts() {
        let problem = cluster();
        let pack = Pack::new(&problem);
        let built = State::at_home(&pack);
        let (options, control) = (Options { effort: Some(8000), ..Options::default() }, Control::unlimited());
        let mut team = Team::new(&problem, &pack, &built, &options, &control, Vec::new());
        let kinds = tried(440_000);
        team.run(Part::Trial { chains: kinds.len() }, kinds);
        let mut seeds: Vec<u32> = team.chains.iter().map(|chain| chain.seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        assert!(seeds.len() == 5 && team.effort <= 1000, "{} chains, {} spent", seeds.len(), team.effort);
        let chosen = team.better_kinds();
        for (one, other) in [(1, 3), (2, 4)] {
            let worse = if team.chains[one].key() <= team.chains[other].key() { other } else { one };
            team.chains[worse].best = Best { at: built.at.clone(), devices: built.devices.clone() };
            assert_eq!(team.better_kinds(), chosen, "chain {worse} has found nothing");
            team.chains.swap(one, other);
            assert_eq!(team.better_kinds(), chosen, "whichever comes first");
        }
    }

    #[test]
    fn a_careful_chain_needs_a_clear_lead() {
        let bold = [Kind::Bold, Kind::Keen];
        let careful = [Kind::Careful, Kind::Light];
        let kinds = |built, careful, bold, ideal| better_kinds(built, [careful, bold, built], ideal);
        assert_eq!(kinds(-500, -100, -90, 0), bold);
        assert_eq!(kinds(-500, -100, -120, 0), [Kind::Careful, Kind::Bold], "a fifth more is left");
        assert_eq!(kinds(-500, -100, -125, 0), [Kind::Careful, Kind::Bold], "exactly a quarter");
        assert_eq!(better_kinds(-500, [-100, -500, -120], 0), [Kind::Careful, Kind::Near], "by the near one");
        assert_eq!(kinds(-500, -100, -130, 0), careful, "three tenths more");
        assert_eq!(kinds(-500, 100, 95, 110), careful, "15 of the ideal are left instead of 10");
        assert_eq!(kinds(-500, -500, -400, 0), bold, "the careful one found nothing");
        assert_eq!(kinds(-5000, -1, -4, 0), [Kind::Careful, Kind::Bold], "even");
    }

    #[test]
    fn one_of_each_goes_on_where_neither_has_a_clear_lead() {
        let kinds = |bold, near| better_kinds(-5000, [-4000, bold, near], 0);
        assert_eq!(kinds(-100, -500), [Kind::Bold, Kind::Keen]);
        assert_eq!(kinds(-500, -100), [Kind::Near, Kind::Neat]);
        assert_eq!(kinds(-1600, -1700), [Kind::Bold, Kind::Neat]);
        assert_eq!(kinds(-1700, -1600), [Kind::Bold, Kind::Neat]);
        assert_eq!(kinds(-100, -300), [Kind::Bold, Kind::Keen], "close by gain, but one leaves thrice as much");
        assert_eq!(kinds(-5000, -100), [Kind::Near, Kind::Neat], "the bold one found nothing");
        assert_eq!(kinds(-5000, -5000), [Kind::Careful, Kind::Bold], "nothing found: they have shown nothing");
        assert_eq!(kinds(-4500, -4001), [Kind::Careful, Kind::Near], "even with the careful one");
        assert_eq!(kinds(-4001, -4500), [Kind::Careful, Kind::Bold]);
    }
}
