//! Does a wave keep to the caps on what moves at one time? Counted by the verifier on its own, before the wave is carried out.
//!
//! Moves that were under way before the plan began count in its first wave. Where they alone exceed a cap, the plan may not
//! add to that.

use super::Move;
use super::verify::Replay;
use crate::model::{DomainId, GroupId, NodeId, Piece, SHARE_ONE, scaled_text};
use std::collections::{BTreeMap, BTreeSet};

/// What moves use of the caps.
#[derive(Default)]
struct Load {
    moves: usize,
    touch: BTreeMap<NodeId, u32>,
    from: BTreeMap<NodeId, u32>,
    to: BTreeMap<NodeId, u32>,
    /// By the order of `moves.max_per_domain`.
    domains: Vec<BTreeMap<DomainId, u32>>,
    /// Scaled, by the order of `moves.max_amounts`.
    amounts: Vec<i128>,
    /// Members of a group that leave their nodes, or are stopped.
    down: BTreeMap<GroupId, u32>,
}

impl Load {
    /// The counts above their cap, and above what was there before the plan added anything.
    fn above<K: Ord + Copy>(now: &BTreeMap<K, u32>, most: Option<u32>, base: &BTreeMap<K, u32>) -> Vec<(K, u32)> {
        let Some(most) = most else { return Vec::new() };
        let is_above = |key: &K, count: u32| count > most && base.get(key).is_none_or(|base| count > *base);
        now.iter().filter(|(key, count)| is_above(key, **count)).map(|(key, count)| (*key, *count)).collect()
    }
}

impl Replay<'_> {
    /// Lists every cap that the wave exceeds.
    pub(super) fn caps(&mut self, wave: usize, moves: &[&Move], under_way: &[&Move]) {
        let all: Vec<&Move> = under_way.iter().chain(moves).copied().collect();
        let (load, base) = (self.load(wave, &all), self.load(wave, under_way));
        let (problem, rules) = (self.problem, &self.problem.moves);
        let mut found: Vec<(&'static str, String)> = Vec::new();
        if let Some(most) = rules.max_in_flight.filter(|most| load.moves > *most as usize && !moves.is_empty()) {
            found.push(("max_in_flight", format!("{} moves at one time, at most {most}", load.moves)));
        }
        let caps = [
            ("max_per_node", "touch", &load.touch, rules.max_per_node, &base.touch),
            ("max_from_node", "leave", &load.from, rules.max_from_node, &base.from),
            ("max_to_node", "enter", &load.to, rules.max_to_node, &base.to),
        ];
        for (name, verb, counts, most, base) in caps {
            for (node, count) in Load::above(counts, most, base) {
                let (node, most) = (&problem.nodes[node.index()].name, most.unwrap_or(0));
                found.push((name, format!("{count} moves {verb} node {node}, at most {most}")));
            }
        }
        for (i, (level, most)) in rules.max_per_domain.iter().enumerate() {
            let level = &problem.levels[level.index()];
            for (domain, count) in Load::above(&load.domains[i], Some(*most), &base.domains[i]) {
                let domain = &level.domains[domain.index()];
                found.push(("max_per_domain", format!("{count} moves touch {} {domain}, at most {most}", level.name)));
            }
        }
        for (i, (resource, most)) in rules.max_amounts.iter().enumerate() {
            let sum = load.amounts[i];
            if load.moves > 1 && sum > i128::from(*most) * i128::from(SHARE_ONE) && sum > base.amounts[i] {
                let (name, sum) = (&problem.resources[resource.index()].name, scaled_text(sum));
                found.push(("max_amounts", format!("{sum} of {name} in flight, at most {most}")));
            }
        }
        for (group, count) in &load.down {
            let spec = &problem.groups[group.index()];
            let is_added = base.down.get(group).is_none_or(|base| count > base);
            if let Some(most) = spec.max_unavailable.filter(|most| count > most && is_added) {
                let text = format!("{count} tasks of group {} in motion, at most {most}", spec.name);
                found.push(("max_unavailable", text));
            }
        }
        for (name, text) in found {
            self.add(name, Some(wave), text);
        }
    }

    /// What these moves use of the caps, and what earlier waves have stopped.
    fn load(&self, wave: usize, moves: &[&Move]) -> Load {
        let (problem, rules) = (self.problem, &self.problem.moves);
        let mut load = Load {
            moves: moves.len(),
            domains: vec![BTreeMap::new(); rules.max_per_domain.len()],
            amounts: vec![0; rules.max_amounts.len()],
            ..Load::default()
        };
        for step in moves {
            let old = self.spots[step.task.index()].pieces();
            let parts = |pieces: &[Piece], node: NodeId| -> i128 {
                pieces.iter().filter(|piece| piece.node == node).map(|piece| i128::from(piece.share.parts())).sum()
            };
            let nodes: BTreeSet<NodeId> = old.iter().chain(step.to.pieces()).map(|piece| piece.node).collect();
            let mut arriving = 0;
            let mut touched: BTreeSet<NodeId> = BTreeSet::new();
            for node in nodes {
                let (had, has) = (parts(old, node), parts(step.to.pieces(), node));
                arriving += (has - had).max(0);
                *load.from.entry(node).or_default() += u32::from(has < had);
                *load.to.entry(node).or_default() += u32::from(has > had);
                let here = |pieces: &[Piece]| pieces.iter().find(|piece| piece.node == node).copied();
                if here(old) != here(step.to.pieces()) {
                    touched.insert(node);
                    *load.touch.entry(node).or_default() += 1;
                }
            }
            for ((level, _), counts) in rules.max_per_domain.iter().zip(&mut load.domains) {
                let domain = |node: &NodeId| problem.nodes[node.index()].domains[level.index()];
                let touched: BTreeSet<DomainId> = touched.iter().map(domain).collect();
                touched.into_iter().for_each(|domain| *counts.entry(domain).or_default() += 1);
            }
            // What starts, or stops first, takes nothing along.
            let is_carried = !old.is_empty() && !self.restarts(step);
            for ((resource, _), sum) in rules.max_amounts.iter().zip(&mut load.amounts).filter(|_| is_carried) {
                *sum += arriving * i128::from(problem.requirement(step.task)[resource.index()]);
            }
            if let Some(group) = problem.tasks[step.task.index()].group.filter(|_| self.leaves(step)) {
                *load.down.entry(group).or_default() += 1;
            }
        }
        self.add_stopped(wave, &mut load.down);
        load
    }
}
