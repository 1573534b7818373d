//! How many pods of a workload may be down at once? What disruption budgets allow now, and a careful default where there is none.

use super::cluster::Cluster;
use super::quantity::Quantity;
use super::records::Budget;
use super::selector::Selector;
use crate::adapter::notes::{Fate, Notes};
use crate::model::TaskKind;
use std::collections::BTreeMap;

/// Pods of a workload without a budget in motion at once, as one part in so many: what a Deployment takes down when it rolls.
const DEFAULT_PART: usize = 4;

/// Caps the groups that budgets mean, pins where none may go, and gives every other group the default.
pub fn apply(cluster: &mut Cluster, budgets: &[Budget], notes: &mut Notes) {
    let mut caps: BTreeMap<usize, u32> = BTreeMap::new();
    let mut budget_count = vec![0u32; cluster.pods.len()];
    // KubeVirt keeps evictions off its machines by budgets of its own; machines migrate live instead.
    let of_machine =
        |budget: &&Budget| budget.metadata.owner_references.iter().any(|o| o.kind == "VirtualMachineInstance");
    for budget in budgets.iter().filter(|budget| !of_machine(budget)) {
        let selector = Selector::new(budget.spec.selector.clone());
        let namespace = &budget.metadata.namespace;
        let mut pods = cluster.matching(|face| face.namespace == *namespace && selector.matches(&face.labels));
        pods.retain(|pod| cluster.tasks[*pod].kind != TaskKind::Vm);
        pods.iter().for_each(|pod| budget_count[*pod] += 1);
        // A pod that is being deleted is not healthy, however long it takes. Its workload asks for one in its place, which may not be
        // among the documents yet: what is asked for does not become less.
        let healthy = pods.iter().filter(|pod| cluster.pods[**pod].ready && !cluster.pods[**pod].ends).count();
        let allowed = said(budget).unwrap_or_else(|| {
            notes.add(
                Fate::LeftOut,
                "how many pods a disruption budget expects, without a current status: those listed are counted",
            );
            guessed(budget, healthy, pods.len())
        });
        share(cluster, &pods, allowed, &mut caps, notes);
    }
    for (pod, _) in budget_count.iter().enumerate().filter(|(_, count)| **count > 1) {
        cluster.pin(pod, "two disruption budgets mean it: Kubernetes evicts no such pod", notes);
    }
    for (group, spec) in cluster.groups.iter_mut().enumerate() {
        let cap = caps.get(&group).copied().unwrap_or_else(|| {
            let members = cluster.members[group].len();
            let is_movable = cluster.members[group].iter().any(|pod| !cluster.tasks[*pod].pinned);
            notes.add_many(
                Fate::Stricter,
                "workloads without a disruption budget: a quarter at a time",
                is_movable.into(),
            );
            (members / DEFAULT_PART).max(1) as u32
        });
        spec.max_unavailable = Some(cap);
    }
}

/// Shares what a budget allows out among the groups it means; a group that gets nothing stays.
fn share(cluster: &mut Cluster, pods: &[usize], allowed: usize, caps: &mut BTreeMap<usize, u32>, notes: &mut Notes) {
    let mut groups = cluster.by_group(pods);
    groups.remove(&None);
    groups.retain(|_, pods| pods.iter().any(|pod| !cluster.tasks[*pod].pinned && cluster.place[*pod].is_some()));
    if groups.len() > 1 {
        notes.add(Fate::Stricter, "a disruption budget over several workloads: shared out among them");
    }
    let count = groups.len();
    for (i, (group, pods)) in groups.into_iter().enumerate() {
        let part = allowed / count + usize::from(i < allowed % count);
        if part == 0 {
            let running: Vec<usize> = pods.into_iter().filter(|pod| cluster.place[*pod].is_some()).collect();
            running
                .into_iter()
                .for_each(|pod| cluster.pin(pod, "its disruption budget allows no disruption now", notes));
            continue;
        }
        let cap = caps.entry(group.expect("groups have an index")).or_insert(u32::MAX);
        *cap = (*cap).min(part as u32);
    }
}

/// Disruptions that a budget allows now, as its controller says; `None` where its word is missing or out of date.
fn said(budget: &Budget) -> Option<usize> {
    let is_current = budget.status.observed_generation >= budget.metadata.generation;
    let allowed = budget.status.disruptions_allowed.filter(|_| is_current)?;
    Some(usize::try_from(allowed).unwrap_or(0))
}

/// Disruptions that a budget allows now, as its controller would work it out. How many pods the workloads ask for is not among the
/// documents: the pods there are stand for it, those that wait and those that end included.
fn guessed(budget: &Budget, healthy: usize, listed: usize) -> usize {
    let expected = usize::try_from(budget.status.expected_pods).unwrap_or(0).max(listed);
    let desired = match (&budget.spec.max_unavailable, &budget.spec.min_available) {
        (Some(most), _) => expected.saturating_sub(count(most, expected).unwrap_or(0)),
        (None, Some(least)) => count(least, expected).unwrap_or(expected),
        (None, None) => expected,
    };
    healthy.saturating_sub(desired)
}

/// A number, or a percentage of `all`, rounded up.
fn count(text: &Quantity, all: usize) -> Option<usize> {
    match text.0.strip_suffix('%') {
        Some(percent) => Some(percent.parse::<usize>().ok()?.checked_mul(all)?.div_ceil(100)),
        None => text.0.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn allowed_of(budget: serde_json::Value, healthy: usize, listed: usize) -> usize {
        let budget = serde_json::from_value(budget).unwrap();
        said(&budget).unwrap_or_else(|| guessed(&budget, healthy, listed))
    }

    #[test]
    fn what_the_controller_says_counts_while_it_is_current() {
        let budget = |generation: i64| {
            json!({
                "metadata": {"generation": generation},
                "spec": {"minAvailable": "50%"},
                "status": {"disruptionsAllowed": 1, "expectedPods": 5, "observedGeneration": 3}
            })
        };
        assert_eq!(allowed_of(budget(3), 5, 5), 1);
        assert_eq!(allowed_of(budget(4), 5, 5), 2);
    }

    #[test]
    fn figures_and_percentages_are_rounded_to_the_safe_side() {
        let least = |least: serde_json::Value, pods| allowed_of(json!({"spec": {"minAvailable": least}}), pods, pods);
        assert_eq!(
            [least(json!(2), 5), least(json!("50%"), 5), least(json!("100%"), 5), least(json!(9), 5)],
            [3, 2, 0, 0]
        );
        let most = |most: serde_json::Value, pods| allowed_of(json!({"spec": {"maxUnavailable": most}}), pods, pods);
        assert_eq!([most(json!(2), 5), most(json!("50%"), 5), most(json!(0), 5)], [2, 3, 0]);
        assert_eq!([most(json!("many"), 5), least(json!("many"), 5)], [0, 0]);
        assert_eq!(allowed_of(json!({"spec": {}}), 5, 5), 0);
        // One of five is down already: it is not there, or not ready.
        let status = json!({"spec": {"maxUnavailable": 2}, "status": {"expectedPods": 5}});
        assert_eq!(allowed_of(status, 4, 4), 1);
        assert_eq!(allowed_of(json!({"spec": {"maxUnavailable": 2}}), 4, 5), 1);
        assert_eq!(allowed_of(json!({"spec": {"minAvailable": 3}}), 4, 5), 1);
        assert_eq!(allowed_of(json!({"spec": {"minAvailable": "50%"}}), 2, 5), 0);
    }
}
