//! How evenly must pods be spread? Topology spread constraints that forbid (`DoNotSchedule`).
//!
//! Kubernetes bounds how far the fullest domain is from the emptiest. Where every pod can have a domain to itself and the bound
//! is 1, that is a conflict. Else the counts stay as they are: running pods may move within their domain only, and waiting pods
//! get the places that keep the bound in whatever order they start.

use super::cluster::Cluster;
use crate::adapter::notes::{Fate, Notes};
use std::collections::BTreeMap;

/// Applies all constraints.
pub fn apply(cluster: &mut Cluster, notes: &mut Notes) {
    let mut holders = vec![Vec::new(); cluster.tables.spreads.list.len()];
    for (p, pod) in cluster.pods.iter().enumerate() {
        pod.spreads.iter().for_each(|spread| holders[*spread].push(p));
    }
    for (spread, holders) in holders.into_iter().enumerate() {
        one(cluster, spread, &holders, notes);
    }
}

fn one(cluster: &mut Cluster, spread: usize, holders: &[usize], notes: &mut Notes) {
    let rule = cluster.tables.spreads.list[spread].clone();
    let meant = cluster.matching(|face| face.namespace == rule.namespace && rule.selector.matches(&face.labels));
    let values = cluster.values(&rule.key);
    let counted = match rule.filter {
        Some(filter) => cluster.passing(filter).to_vec(),
        None => vec![true; values.len()],
    };
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    for value in values.iter().zip(counted).filter(|(_, counted)| *counted).filter_map(|(value, _)| value.as_ref()) {
        counts.entry(value.clone()).or_default();
    }
    if let Some(group) = whole_group(cluster, holders, &meant)
        && rule.max_skew == 1
        && meant.len() <= counts.len()
        && is_one_each(cluster, &meant, &values)
    {
        let level = cluster.nodes.level(&rule.key);
        if !cluster.groups[group].conflict.contains(&level) {
            cluster.groups[group].conflict.push(level);
        }
        return;
    }
    for pod in &meant {
        let Some(node) = cluster.place[*pod] else { continue };
        match &values[node] {
            Some(value) => {
                if let Some(count) = counts.get_mut(value) {
                    *count += 1;
                }
            }
            None => cluster.pin(*pod, "topology spread: its node is in no domain", notes),
        }
    }
    let least = if (counts.len() as i64) < rule.min_domains { 0 } else { counts.values().copied().min().unwrap_or(0) };
    let running = meant.iter().copied().filter(|pod| !cluster.tasks[*pod].pinned);
    for pod in running.collect::<Vec<_>>() {
        let Some(value) = cluster.place[pod].and_then(|node| values[node].clone()) else { continue };
        if counts.get(&value).is_some_and(|count| count - least > rule.max_skew) && holders.binary_search(&pod).is_ok()
        {
            cluster.pin(pod, "topology spread is uneven already: the scheduler would refuse it its domain", notes);
        } else {
            cluster.require(pod, &rule.key, std::slice::from_ref(&value));
            notes.add(Fate::Stricter, "topology spread: pods stay in their domain");
        }
    }
    let waiting = holders.iter().copied().filter(|pod| cluster.place[*pod].is_none() && !cluster.tasks[*pod].pinned);
    for pod in waiting.collect::<Vec<_>>() {
        // What does not match its own rule does not count.
        let counts_itself = meant.binary_search(&pod).is_ok();
        let free = counts.iter().filter(|(_, count)| **count + i64::from(counts_itself) - least <= rule.max_skew);
        let domain = free.min_by_key(|(_, count)| **count).map(|(value, _)| value.clone());
        match domain {
            Some(value) => {
                *counts.get_mut(&value).expect("it was found there") += i64::from(counts_itself);
                cluster.require(pod, &rule.key, &[value]);
                notes.add(Fate::Stricter, "topology spread: a waiting pod has one domain to start in");
            }
            None => cluster.pin(pod, "topology spread: no domain for it until others have started", notes),
        }
    }
}

/// The group, when those that have the rule, those it means and the group are the same pods.
fn whole_group(cluster: &Cluster, holders: &[usize], meant: &[usize]) -> Option<usize> {
    let group = cluster.pods[*holders.first()?].owner?;
    (holders == meant && cluster.members[group] == meant).then_some(group)
}

fn is_one_each(cluster: &Cluster, pods: &[usize], values: &[Option<String>]) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    pods.iter().filter_map(|pod| cluster.place[*pod]).all(|node| values[node].is_some() && seen.insert(&values[node]))
}
