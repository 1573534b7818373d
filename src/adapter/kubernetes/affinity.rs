//! Which pods may not be near each other, and which need each other? Required pod affinity and anti-affinity.
//!
//! Kubernetes has rules between any pods; a snapshot has rules within a group, and of a group on another. What fits is said;
//! of what does not, one side stays where it is, and the other is kept from making it worse.

use super::cluster::Cluster;
use crate::adapter::notes::{Fate, Notes};
use crate::model::{DependencySpec, GangSpec};
use std::collections::{BTreeMap, BTreeSet};

/// A term, the pods that have it, and the pods it means; both ascending.
struct Case {
    key: String,
    holders: Vec<usize>,
    meant: Vec<usize>,
    /// Of some of them it is not known whether they are meant, since their namespaces are not among the documents.
    is_guess: bool,
}

enum Side {
    Apart,
    Together,
}

fn cases(cluster: &Cluster, side: Side) -> Vec<Case> {
    let (table, count) = match side {
        Side::Apart => (&cluster.tables.apart, cluster.tables.apart.list.len()),
        Side::Together => (&cluster.tables.together, cluster.tables.together.list.len()),
    };
    let mut holders = vec![Vec::new(); count];
    for (p, pod) in cluster.pods.iter().enumerate() {
        let terms = match side {
            Side::Apart => &pod.apart,
            Side::Together => &pod.together,
        };
        terms.iter().for_each(|term| holders[*term].push(p));
    }
    let case = |(term, holders): (&super::selector::PodTerm, Vec<usize>)| {
        let is_unknown = |face: &super::pod::Face| !term.is_known(face, &cluster.namespaces);
        let is_meant = |face: &super::pod::Face| term.matches(face, &cluster.namespaces) || is_unknown(face);
        Case {
            key: term.key.clone(),
            meant: cluster.matching(is_meant),
            is_guess: !cluster.matching(is_unknown).is_empty(),
            holders,
        }
    };
    table.list.iter().zip(holders).map(case).collect()
}

/// Anti-affinity.
pub fn apart(cluster: &mut Cluster, notes: &mut Notes) {
    for case in cases(cluster, Side::Apart) {
        if case.is_guess {
            notes.add(
                Fate::Stricter,
                "anti-affinity with namespaces whose labels are not among the documents: with all of them",
            );
        }
        let (holders, meant) = (cluster.by_group(&case.holders), cluster.by_group(&case.meant));
        for (group, holding) in holders.iter().filter_map(|(group, pods)| Some(((*group)?, pods))) {
            let Some(own) = meant.get(&Some(group)).filter(|_| cluster.members[group].len() > 1) else { continue };
            let level = cluster.nodes.level(&case.key);
            if !cluster.groups[group].conflict.contains(&level) {
                cluster.groups[group].conflict.push(level);
            }
            if holding.len() < cluster.members[group].len() || own.len() < cluster.members[group].len() {
                notes.add(Fate::Stricter, "anti-affinity of some pods of a workload: holds for all of it");
            }
        }
        // Pairs of pods of different owners.
        let others: Vec<usize> =
            case.meant.iter().copied().filter(|p| has_foreign(cluster.pods[*p].owner, &holders)).collect();
        let holding: Vec<usize> =
            case.holders.iter().copied().filter(|p| has_foreign(cluster.pods[*p].owner, &meant)).collect();
        if !others.is_empty() && !holding.is_empty() {
            keep_apart(cluster, &case.key, &holding, &others, notes);
        }
    }
}

/// True when there is somebody of another owner; pods without an owner are each on their own.
fn has_foreign(owner: Option<usize>, groups: &BTreeMap<Option<usize>, Vec<usize>>) -> bool {
    groups.keys().any(|other| other.is_none() || *other != owner)
}

/// Pins the side with fewer pods to pin, and keeps the other out of its domains.
fn keep_apart(cluster: &mut Cluster, key: &str, holders: &[usize], others: &[usize], notes: &mut Notes) {
    let movable = |pods: &[usize]| pods.iter().filter(|p| !cluster.tasks[**p].pinned).count();
    let (fixed, kept_off) = if movable(holders) <= movable(others) { (holders, others) } else { (others, holders) };
    for pod in fixed {
        cluster.pin(*pod, "anti-affinity with pods of other owners", notes);
    }
    let values = cluster.values(key);
    // Domains by the owners that are there: a pod is not kept off by its own group, whose conflict says that already.
    let mut taken: BTreeMap<&String, BTreeSet<Option<usize>>> = BTreeMap::new();
    for pod in fixed {
        if let Some(value) = cluster.place[*pod].and_then(|node| values[node].as_ref()) {
            taken.entry(value).or_default().insert(cluster.pods[*pod].owner);
        }
    }
    let mut allowed: BTreeMap<Option<usize>, Vec<bool>> = BTreeMap::new();
    for pod in kept_off.iter().filter(|p| !cluster.tasks[**p].pinned).copied().collect::<Vec<_>>() {
        let owner = cluster.pods[pod].owner;
        let nodes = allowed.entry(owner).or_insert_with(|| {
            let is_free = |value: &Option<String>| {
                let there = value.as_ref().and_then(|value| taken.get(value));
                there.is_none_or(|owners| owners.iter().all(|other| other.is_some() && *other == owner))
            };
            values.iter().map(is_free).collect()
        });
        let nodes = nodes.clone();
        cluster.restrict(&[pod], "apart", nodes);
    }
}

/// Affinity.
pub fn together(cluster: &mut Cluster, notes: &mut Notes) {
    let mut cases = cases(cluster, Side::Together);
    pin_unsaid(cluster, &mut cases, notes);
    for case in cases {
        let meant = cluster.by_group(&case.meant);
        for (group, holding) in cluster.by_group(&case.holders) {
            let Some(group) = group else { continue };
            let is_whole = |group: usize, pods: &Vec<usize>| pods.len() == cluster.members[group].len();
            let only = match meant.iter().next() {
                Some((Some(other), pods)) if meant.len() == 1 => Some((*other, is_whole(*other, pods))),
                _ => None,
            };
            let said = match only {
                Some((other, true)) if other != group => {
                    let level = cluster.nodes.level(&case.key);
                    let dependency = DependencySpec { group: cluster.groups[other].name.clone(), level };
                    if !cluster.groups[group].depends_on.contains(&dependency) {
                        cluster.groups[group].depends_on.push(dependency);
                    }
                    true
                }
                Some((other, _)) if other == group => gather(cluster, group, &case.key),
                _ => false,
            };
            if said {
                if holding.len() < cluster.members[group].len() {
                    notes.add(Fate::Stricter, "affinity of some pods of a workload: holds for all of it");
                }
                // A node without the key is in no domain; here it would be one of its own.
                let has_key = cluster.values(&case.key).iter().map(Option::is_some).collect();
                cluster.restrict(&holding, "domain", has_key);
            } else {
                holding.iter().for_each(|pod| cluster.pin(*pod, "affinity to pods that are no whole workload", notes));
            }
        }
    }
}

/// Pins those of whom a snapshot cannot say what they need, and takes them out of the cases.
fn pin_unsaid(cluster: &mut Cluster, cases: &mut [Case], notes: &mut Notes) {
    let mut first: BTreeMap<usize, usize> = BTreeMap::new();
    let mut unsaid: BTreeMap<usize, &str> = BTreeMap::new();
    for (c, case) in cases.iter().enumerate() {
        let is_met = case.meant.iter().any(|pod| cluster.place[*pod].is_some());
        let owners: BTreeSet<Option<usize>> = case.meant.iter().map(|pod| cluster.pods[*pod].owner).collect();
        for pod in &case.holders {
            // One pod has to match all terms.
            if cases[*first.entry(*pod).or_insert(c)].meant != case.meant {
                unsaid.insert(*pod, "affinity terms that mean different pods: one pod has to match all");
            }
            if case.is_guess {
                unsaid.insert(*pod, "affinity to namespaces whose labels are not among the documents");
            }
            // Who does not match its own term cannot be the first of its kind.
            if !is_met && owners.contains(&cluster.pods[*pod].owner) && case.meant.binary_search(pod).is_err() {
                unsaid.insert(*pod, "affinity to pods that do not run yet");
            }
        }
    }
    for (pod, reason) in &unsaid {
        cluster.pin(*pod, reason, notes);
    }
    cases.iter_mut().for_each(|case| case.holders.retain(|pod| !unsaid.contains_key(pod)));
}

/// Keeps a group in the one domain it is in; `false` when it is in several, which Kubernetes leaves as it is.
fn gather(cluster: &mut Cluster, group: usize, key: &str) -> bool {
    let values = cluster.values(key);
    let nodes = cluster.members[group].iter().filter_map(|pod| cluster.place[*pod]);
    let domains: BTreeSet<&Option<String>> = nodes.map(|node| &values[node]).collect();
    if domains.len() > 1 {
        return false;
    }
    let level = cluster.nodes.level(key);
    match &mut cluster.groups[group].gang {
        Some(gang) => gang.within.as_ref() == Some(&level),
        none => {
            *none = Some(GangSpec { min_members: Some(1), within: Some(level) });
            true
        }
    }
}
