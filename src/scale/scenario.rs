//! What may be gone? Nothing, or with `survive=LEVEL` any one domain; everything must have a place all the same, but what is pinned to a
//! node that is gone: it ends with it, as in a drill ([`Problem::ends_with_node`]). No rule of a group may be more broken than before.
//!
//! Many failures are no question for a search: everything is placed once, and all failures of that state are drilled in one batch. What a
//! drill brings back without moving anybody else has a place. The others are searched for one by one.

use super::policy::Policy;
use super::scene::Scene;
use super::search::{Search, confined, without};
use crate::control::Control;
use crate::drill;
use crate::model::{DomainId, LevelId, NodeId, Placement, Problem, group_violations, worsened};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Lists of nodes that are gone together.
pub(super) struct Scenarios {
    pub gone: Vec<Vec<NodeId>>,
    level: Option<LevelId>,
}

impl Scenarios {
    /// Those of the policy, in the order of the domains.
    pub fn of(problem: &Problem, policy: &Policy) -> Scenarios {
        Scenarios::with_offers(problem, policy, problem.nodes.len(), &[])
    }

    /// The same where nodes from `own` on are on offer, by shape: they may fail like the others. Of those that are alike and alone in
    /// their domain one stands for all.
    pub fn with_offers(problem: &Problem, policy: &Policy, own: usize, offers: &[Vec<NodeId>]) -> Scenarios {
        let level = level(problem, policy);
        let Some(level) = level else { return Scenarios { gone: vec![Vec::new()], level: None } };
        let mut domains: BTreeMap<u32, Vec<NodeId>> = BTreeMap::new();
        for node in problem.node_ids() {
            domains.entry(problem.domain(node, level).0).or_default().push(node);
        }
        let first: BTreeSet<NodeId> = offers.iter().filter_map(|offer| offer.first()).copied().collect();
        let is_told = |gone: &Vec<NodeId>| gone[0].index() < own || gone.len() > 1 || first.contains(&gone[0]);
        Scenarios { gone: domains.into_values().filter(is_told).collect(), level: Some(level) }
    }

    /// True when a place for everything is found in each of them, with `less` nodes as well.
    pub fn all_hold(&self, scene: &Scene, less: &[NodeId], search: &Search, control: &Control) -> bool {
        let open = self.open(scene, less, search, control);
        let all_placed = |gone: &[NodeId]| placed(scene, &[gone, less].concat(), search, control).is_some();
        open.iter().all(|gone| !control.must_stop() && all_placed(gone))
    }

    /// Those that a drill does not show to hold.
    pub fn open(&self, scene: &Scene, less: &[NodeId], search: &Search, control: &Control) -> Vec<&[NodeId]> {
        let all = || self.gone.iter().map(Vec::as_slice);
        let Some(level) = self.level else { return all().collect() };
        // Whoever is lost stays bound to the pool it was in: what holds so holds all the more without.
        let Some(placement) = search.all_placed(&left(scene.pieces(), less), control) else { return all().collect() };
        let options =
            drill::Options { levels: vec![level], unnamed: true, threads: search.threads, ..drill::Options::default() };
        let first_look = control.within(Duration::ZERO);
        // A drill may pour what is divisible wherever there is room, and needs no pieces for that.
        let standing = left(&scene.whole, less).settled(&scene.cut.joined(&placement));
        let drilled = drill::drill(&standing, &options, &first_look).drilled;
        let covered = drilled.into_iter().filter(drill::Drilled::is_covered);
        let survivors: BTreeSet<DomainId> = covered.flat_map(|one| one.scenario.domains).collect();
        all().filter(|gone| !survivors.contains(&scene.whole.domain(gone[0], level))).collect()
    }
}

/// Where everything finds a place without these nodes, in pieces. Tasks of failed nodes may leave their pool, the others stay in it.
pub(super) fn placed(scene: &Scene, gone: &[NodeId], search: &Search, control: &Control) -> Option<Placement> {
    search.all_placed(&left(scene.pieces(), gone), control).filter(|found| keeps_groups(scene.pieces(), found))
}

/// Is no rule of a group more broken than before anything was gone? Right after, one may be, by whoever ended.
pub(super) fn keeps_groups(problem: &Problem, found: &Placement) -> bool {
    let of = |placement: &Placement| group_violations(problem, placement, problem.group_ids());
    worsened(&of(&problem.current), &of(found)).is_empty()
}

/// The problem without these nodes.
pub(super) fn left(problem: &Problem, gone: &[NodeId]) -> Problem {
    confined(&without(problem, gone))
}

/// The level that the policy names.
pub(super) fn level(problem: &Problem, policy: &Policy) -> Option<LevelId> {
    let Policy::Survive(name) = policy else { return None };
    problem.levels.iter().position(|level| level.name == *name).map(LevelId::new)
}
