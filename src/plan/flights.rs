//! Does a wave keep to the caps on what is in flight? Counted by the verifier on its own, before the wave is carried out.

use super::Move;
use super::verify::Replay;
use crate::model::{DomainId, NodeId, SHARE_ONE, scaled_text};
use std::collections::{BTreeMap, BTreeSet};

impl Replay<'_> {
    /// Lists every cap of `moves` that the wave exceeds.
    pub(super) fn flight(&mut self, wave: usize, moves: &[&Move]) {
        let problem = self.problem;
        let rules = &problem.moves;
        let (mut from, mut to) = (BTreeMap::<NodeId, u32>::new(), BTreeMap::<NodeId, u32>::new());
        let mut domains: Vec<BTreeMap<DomainId, u32>> = vec![BTreeMap::new(); rules.max_per_domain.len()];
        let mut amounts = vec![0i128; rules.max_amounts.len()];
        for step in moves {
            let old = self.spots[step.task.index()].pieces();
            let parts = |pieces: &[crate::model::Piece], node: NodeId| -> i128 {
                pieces.iter().filter(|piece| piece.node == node).map(|piece| i128::from(piece.share.parts())).sum()
            };
            let nodes: BTreeSet<NodeId> = old.iter().chain(step.to.pieces()).map(|piece| piece.node).collect();
            let mut arriving = 0;
            let mut touched: BTreeSet<NodeId> = BTreeSet::new();
            for node in nodes {
                let (had, has) = (parts(old, node), parts(step.to.pieces(), node));
                arriving += (has - had).max(0);
                *from.entry(node).or_default() += u32::from(has < had);
                *to.entry(node).or_default() += u32::from(has > had);
                let here = |pieces: &[crate::model::Piece]| pieces.iter().find(|piece| piece.node == node).copied();
                if here(old) != here(step.to.pieces()) {
                    touched.insert(node);
                }
            }
            for ((level, _), counts) in rules.max_per_domain.iter().zip(&mut domains) {
                let domain = |node: &NodeId| problem.nodes[node.index()].domains[level.index()];
                let touched: BTreeSet<DomainId> = touched.iter().map(domain).collect();
                touched.into_iter().for_each(|domain| *counts.entry(domain).or_default() += 1);
            }
            for ((resource, _), sum) in rules.max_amounts.iter().zip(&mut amounts) {
                let amount = i128::from(problem.requirement(step.task)[resource.index()]);
                *sum += if old.is_empty() { 0 } else { arriving * amount };
            }
        }
        let mut found: Vec<(&'static str, String)> = Vec::new();
        if let Some(most) = rules.max_in_flight.filter(|most| moves.len() > *most as usize) {
            found.push(("max_in_flight", format!("{} moves at one time, at most {most}", moves.len())));
        }
        let ends =
            [("max_from_node", "leave", &from, rules.max_from_node), ("max_to_node", "enter", &to, rules.max_to_node)];
        for (name, verb, counts, most) in ends {
            for (node, count) in counts {
                if let Some(most) = most.filter(|most| count > most) {
                    let node = &problem.nodes[node.index()].name;
                    found.push((name, format!("{count} moves {verb} node {node}, at most {most}")));
                }
            }
        }
        for ((level, most), counts) in rules.max_per_domain.iter().zip(&domains) {
            let level = &problem.levels[level.index()];
            for (domain, count) in counts.iter().filter(|(_, count)| *count > most) {
                let domain = &level.domains[domain.index()];
                found.push(("max_per_domain", format!("{count} moves touch {} {domain}, at most {most}", level.name)));
            }
        }
        for ((resource, most), sum) in rules.max_amounts.iter().zip(&amounts) {
            if moves.len() > 1 && *sum > i128::from(*most) * i128::from(SHARE_ONE) {
                let (name, sum) = (&problem.resources[resource.index()].name, scaled_text(*sum));
                found.push(("max_amounts", format!("{sum} of {name} in flight, at most {most}")));
            }
        }
        for (name, text) in found {
            self.add(name, Some(wave), text);
        }
    }
}
