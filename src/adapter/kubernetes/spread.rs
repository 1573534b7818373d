//! How evenly must pods be spread? Topology spread constraints that forbid (`DoNotSchedule`).
//!
//! Kubernetes bounds how far the fullest domain is from the emptiest, and looks at it when a pod that has the constraint is about
//! to start; every pod that the selector means counts, whether it has the constraint or not. Where every pod can have a domain to
//! itself and the bound is 1, that is a conflict. Else the counts stay as they are: running pods may move within their domain only,
//! and waiting pods get the places that keep the bound in whatever order they start.

use super::cluster::Cluster;
use super::pod::Spread;
use crate::adapter::notes::{Fate, Notes};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

/// What is said of where a pod may run: its selector so far, and the index of its tolerations.
type Said = (BTreeMap<String, Vec<String>>, usize);

/// Applies all constraints.
pub fn apply(cluster: &mut Cluster, notes: &mut Notes) {
    let mut holders = vec![Vec::new(); cluster.tables.spreads.list.len()];
    for (p, pod) in cluster.pods.iter().enumerate() {
        pod.spreads.iter().for_each(|spread| holders[*spread].push(p));
    }
    let mut grounds = Grounds::new();
    for (spread, holders) in holders.into_iter().enumerate() {
        one(cluster, spread, holders, &mut grounds, notes);
    }
}

/// What a constraint asks of nodes: its key, the keys that nodes must have, a filter and tolerations.
type Asks = (String, Vec<String>, Option<usize>, Option<usize>);

/// Thousands of workloads ask the same of the same nodes: each ground is looked at once.
type Grounds = HashMap<Asks, Rc<Ground>>;

/// Nodes as a constraint sees them.
struct Ground {
    /// Value of the key of each node.
    values: Vec<Option<String>>,
    /// Nodes with all keys.
    has_keys: Vec<bool>,
    /// Values of the key, ascending: one per domain.
    names: Vec<String>,
    /// The domain of each node whose pods count.
    domains: Vec<Option<usize>>,
}

impl Ground {
    fn new(cluster: &mut Cluster, rule: &Spread) -> Ground {
        let values = cluster.values(&rule.key);
        let has_keys: Vec<bool> =
            cluster.nodes.list.iter().map(|node| rule.keys.iter().all(|key| node.labels.contains_key(key))).collect();
        let mut counted = has_keys.clone();
        let mut count_only =
            |nodes: &[bool]| counted.iter_mut().zip(nodes).for_each(|(counted, node)| *counted &= node);
        if let Some(filter) = rule.filter {
            count_only(cluster.passing(filter));
        }
        if let Some(tolerations) = rule.tolerations {
            count_only(&cluster.tolerated(tolerations));
        }
        let own: Vec<Option<&String>> =
            values.iter().zip(counted).map(|(value, counted)| value.as_ref().filter(|_| counted)).collect();
        let names: BTreeSet<&String> = own.iter().flatten().copied().collect();
        let names: Vec<String> = names.into_iter().cloned().collect();
        let domains = own.iter().map(|value| value.and_then(|value| names.binary_search(value).ok())).collect();
        Ground { values, has_keys, names, domains }
    }
}

/// A constraint, and how the pods stand that it is about.
struct Case {
    rule: Spread,
    /// Pods that have it, ascending.
    holders: Vec<usize>,
    /// Pods that it means, ascending.
    meant: Vec<usize>,
    ground: Rc<Ground>,
    /// Pods in each domain.
    counts: Vec<i64>,
    /// The count that all others are held against.
    least: i64,
}

fn one(cluster: &mut Cluster, spread: usize, holders: Vec<usize>, grounds: &mut Grounds, notes: &mut Notes) {
    let rule = cluster.tables.spreads.list[spread].clone();
    let meant = cluster.matching(|face| face.namespace == rule.namespace && rule.selector.matches(&face.labels));
    let asks = (rule.key.clone(), rule.keys.clone(), rule.filter, rule.tolerations);
    let ground = match grounds.get(&asks) {
        Some(ground) => Rc::clone(ground),
        None => Rc::clone(grounds.entry(asks).or_insert(Rc::new(Ground::new(cluster, &rule)))),
    };
    // The scheduler lets nobody onto a node without the keys; here it would be a domain of its own.
    cluster.restrict(&holders, "domain", ground.has_keys.clone());
    let mut counts = vec![0; ground.names.len()];
    if let Some(group) = whole_group(cluster, &holders, &meant)
        && rule.max_skew == 1
        && meant.len() <= counts.len()
        && is_one_each(cluster, &meant, &ground.values)
    {
        let level = cluster.nodes.level(&rule.key);
        if !cluster.groups[group].conflict.contains(&level) {
            cluster.groups[group].conflict.push(level);
        }
        return;
    }
    // A pod that is being deleted counts no more, however long it takes.
    for pod in meant.iter().filter(|pod| !cluster.pods[**pod].ends) {
        if let Some(domain) = cluster.place[*pod].and_then(|node| ground.domains[node]) {
            counts[domain] += 1;
        }
    }
    let least = if (counts.len() as i64) < rule.min_domains { 0 } else { counts.iter().copied().min().unwrap_or(0) };
    let mut case = Case { rule, holders, meant, ground, counts, least };
    case.keep(cluster, notes);
    case.start(cluster, notes);
}

impl Case {
    fn has(&self, pod: usize) -> bool {
        self.holders.binary_search(&pod).is_ok()
    }

    /// Keeps those that run where they count as they do now.
    fn keep(&self, cluster: &mut Cluster, notes: &mut Notes) {
        let concerned: BTreeSet<usize> = self.holders.iter().chain(&self.meant).copied().collect();
        let (mut inside, mut outside) = (Vec::new(), Vec::new());
        for pod in concerned {
            let Some(node) = cluster.place[pod].filter(|_| !cluster.tasks[pod].pinned) else { continue };
            match self.ground.domains[node] {
                Some(domain) if self.has(pod) && self.counts[domain] - self.least > self.rule.max_skew => cluster.pin(
                    pod,
                    "topology spread is uneven already: the scheduler would refuse it its domain",
                    notes,
                ),
                Some(domain) => {
                    cluster.require(pod, &self.rule.key, std::slice::from_ref(&self.ground.names[domain]));
                    inside.push(pod);
                }
                None if self.has(pod) => cluster.pin(pod, "topology spread: its node is in no domain", notes),
                None => outside.push(pod),
            }
        }
        notes.add_many(Fate::Stricter, "topology spread: pods stay in their domain", inside.len() as u64);
        notes.add_many(
            Fate::Stricter,
            "topology spread: pods stay on nodes that count for no domain",
            outside.len() as u64,
        );
        cluster.restrict(&inside, "spread", self.ground.domains.iter().map(Option::is_some).collect());
        cluster.restrict(&outside, "outside", self.outside());
    }

    /// Nodes whose pods count for no domain.
    fn outside(&self) -> Vec<bool> {
        self.ground.domains.iter().map(Option::is_none).collect()
    }

    /// Gives those that wait a domain each, first to those that have the constraint. Whoever only counts could spoil it for them.
    fn start(&mut self, cluster: &mut Cluster, notes: &mut Notes) {
        let others = self.meant.iter().filter(|pod| !self.has(**pod));
        let waiting: Vec<usize> = self.holders.iter().chain(others).copied().collect();
        // Domains that pods can come to, by all that is said of them so far: another constraint may have given them a domain already,
        // and one of this constraint beside that would leave them no node at all.
        let mut reach: HashMap<Said, BTreeSet<usize>> = HashMap::new();
        let (outside, mut sent_outside) = (self.outside(), Vec::new());
        for pod in waiting {
            if cluster.place[pod].is_some() || cluster.tasks[pod].pinned {
                continue;
            }
            let said = (cluster.tasks[pod].selector.clone(), cluster.pods[pod].tolerations);
            let reach = reach.entry(said).or_insert_with(|| {
                cluster.open_to(pod).into_iter().filter_map(|node| self.ground.domains[node]).collect()
            });
            // What does not match its own rule does not count.
            let own = i64::from(self.meant.binary_search(&pod).is_ok());
            let is_free = |domain: &&usize| self.counts[**domain] + own - self.least <= self.rule.max_skew;
            match reach.iter().filter(is_free).min_by_key(|domain| self.counts[**domain]).copied() {
                Some(domain) => {
                    self.counts[domain] += own;
                    cluster.require(pod, &self.rule.key, std::slice::from_ref(&self.ground.names[domain]));
                    notes.add(Fate::Stricter, "topology spread: a waiting pod has one domain to start in");
                }
                None if !self.has(pod) && outside.contains(&true) => sent_outside.push(pod),
                None => cluster.pin(pod, "topology spread: no domain for it until others have started", notes),
            }
        }
        notes.add_many(
            Fate::Stricter,
            "topology spread: a waiting pod can start only where it counts for no domain",
            sent_outside.len() as u64,
        );
        cluster.restrict(&sent_outside, "outside", outside);
    }
}

/// The group, when those that have the rule, those it means and the group are the same pods.
fn whole_group(cluster: &Cluster, holders: &[usize], meant: &[usize]) -> Option<usize> {
    let group = cluster.pods[*holders.first()?].owner?;
    (holders == meant && cluster.members[group] == meant).then_some(group)
}

fn is_one_each(cluster: &Cluster, pods: &[usize], values: &[Option<String>]) -> bool {
    let mut seen = BTreeSet::new();
    pods.iter().filter_map(|pod| cluster.place[*pod]).all(|node| values[node].is_some() && seen.insert(&values[node]))
}
