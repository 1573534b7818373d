//! What is a snapshot in the making? Tasks with their groups, and the few ways in which rules of Kubernetes narrow them.

use super::documents::Objects;
use super::nodes::{Nodes, tolerates};
use super::pod::{Pod, Tables};
use super::records::{NodeSelector, Texts};
use crate::adapter::notes::{Fate, Notes};
use crate::model::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Pods and nodes by index, and what has been made of them so far.
pub struct Cluster {
    pub pods: Vec<Pod>,
    /// One per pod.
    pub tasks: Vec<TaskSpec>,
    /// Index of the node that each pod is on.
    pub place: Vec<Option<usize>>,
    pub tables: Tables,
    pub nodes: Nodes,
    /// One per owner.
    pub groups: Vec<GroupSpec>,
    /// Pods of each group.
    pub members: Vec<Vec<usize>>,
    pub namespaces: HashMap<String, Texts>,
    /// Pods of each face.
    by_face: Vec<Vec<usize>>,
    /// Nodes that pass each filter; worked out on first use.
    passing: HashMap<usize, Vec<bool>>,
    /// The label for nodes that pass a selector; `None` = all do.
    marks: HashMap<NodeSelector, Option<String>>,
    /// Nodes by the values of labels that pods were held against: no label changes once it is there.
    by_label: HashMap<String, HashMap<String, Vec<usize>>>,
}

impl Cluster {
    pub fn new(objects: &mut Objects, nodes: Nodes, place: Vec<Option<usize>>) -> Cluster {
        let pods = std::mem::take(&mut objects.pods);
        let tables = std::mem::take(&mut objects.tables);
        let mut by_face = vec![Vec::new(); tables.faces.list.len()];
        let mut members = vec![Vec::new(); tables.owners.list.len()];
        for (p, pod) in pods.iter().enumerate() {
            by_face[pod.face].push(p);
            if let Some(owner) = pod.owner {
                members[owner].push(p);
            }
        }
        let group = |owner: &super::pod::Owner| GroupSpec {
            name: format!("{}/{}/{}", owner.namespace, owner.kind, owner.name),
            ..GroupSpec::default()
        };
        Cluster {
            groups: tables.owners.list.iter().map(group).collect(),
            namespaces: std::mem::take(&mut objects.namespaces),
            tasks: Vec::with_capacity(pods.len()),
            passing: HashMap::new(),
            marks: HashMap::new(),
            by_label: HashMap::new(),
            pods,
            place,
            tables,
            nodes,
            members,
            by_face,
        }
    }

    /// Pods whose face is accepted, ascending.
    pub fn matching(&self, accepts: impl Fn(&super::pod::Face) -> bool) -> Vec<usize> {
        let faces = self.tables.faces.list.iter().enumerate().filter(|(_, face)| accepts(face));
        let mut pods: Vec<usize> = faces.flat_map(|(f, _)| self.by_face[f].iter().copied()).collect();
        pods.sort_unstable();
        pods
    }

    /// Pins a pod for a reason, unless it is pinned already.
    pub fn pin(&mut self, pod: usize, reason: &str, notes: &mut Notes) {
        let task = &mut self.tasks[pod];
        if !task.pinned {
            task.pinned = true;
            task.origin.insert("pinned".to_string(), reason.to_string());
            notes.add(Fate::Pinned, reason);
        }
    }

    /// Allows a pod only these values of a label, on top of what it may have already.
    pub fn require(&mut self, pod: usize, key: &str, values: &[String]) {
        let accepted = self.tasks[pod].selector.entry(key.to_string()).or_insert_with(|| values.to_vec());
        accepted.retain(|value| values.contains(value));
    }

    /// Allows pods only these nodes.
    pub fn restrict(&mut self, pods: &[usize], purpose: &'static str, nodes: Vec<bool>) {
        if pods.is_empty() || nodes.iter().all(|allowed| *allowed) {
            return;
        }
        let key = self.nodes.mark(purpose, nodes);
        pods.iter().for_each(|pod| self.require(*pod, &key, &["yes".to_string()]));
    }

    /// Allows a pod only nodes that a node selector means: by their own labels where those say it all.
    pub fn select(&mut self, pod: usize, purpose: &'static str, selector: &NodeSelector) {
        if let Some(values) = selector.values() {
            values.into_iter().for_each(|(key, values)| self.require(pod, key, values));
            return;
        }
        if !self.marks.contains_key(selector) {
            let nodes: Vec<bool> =
                self.nodes.list.iter().map(|node| selector.passes(&node.name, &node.labels)).collect();
            let mark = (!nodes.iter().all(|passes| *passes)).then(|| self.nodes.mark(purpose, nodes));
            self.marks.insert(selector.clone(), mark);
        }
        if let Some(key) = self.marks[selector].clone() {
            self.require(pod, &key, &["yes".to_string()]);
        }
    }

    /// Nodes that pass a filter.
    pub fn passing(&mut self, filter: usize) -> &[bool] {
        let (tables, nodes) = (&self.tables, &self.nodes.list);
        self.passing.entry(filter).or_insert_with(|| {
            let filter = &tables.filters.list[filter];
            nodes.iter().map(|node| filter.passes(&node.name, &node.labels)).collect()
        })
    }

    /// Nodes all of whose taints some toleration of a list lets pass, as the scheduler sees it.
    pub fn tolerated(&self, tolerations: usize) -> Vec<bool> {
        let list = &self.tables.tolerations.list[tolerations];
        let passes = |taint: &TaintSpec| list.iter().any(|toleration| tolerates(toleration, &taint.key, &taint.value));
        self.nodes.list.iter().map(|node| node.taints.iter().all(passes)).collect()
    }

    /// Nodes that a pod may come to, by all that is said of it so far, ascending. Of thousands of nodes a pod that waits for one is
    /// held against those alone that have one of its labels, whichever the fewest have.
    pub fn open_to(&mut self, pod: usize) -> Vec<usize> {
        let task = &self.tasks[pod];
        for key in task.selector.keys() {
            if !self.by_label.contains_key(key) {
                let mut nodes: HashMap<String, Vec<usize>> = HashMap::new();
                for (n, node) in self.nodes.list.iter().enumerate() {
                    node.labels.get(key).into_iter().for_each(|value| nodes.entry(value.clone()).or_default().push(n));
                }
                self.by_label.insert(key.clone(), nodes);
            }
        }
        let is_accepted = |taint: &TaintSpec| {
            let (key, value) = (Some(&taint.key), Some(&taint.value));
            task.tolerations.iter().any(|known| known.key.as_ref() == key && known.value.as_ref() == value)
        };
        let is_open = |n: &usize| {
            let node = &self.nodes.list[*n];
            let has = |(key, values): (&String, &Vec<String>)| {
                node.labels.get(key).is_some_and(|value| values.contains(value))
            };
            !node.cordoned && node.taints.iter().all(is_accepted) && task.selector.iter().all(has)
        };
        let of_label = |(key, values): (&String, &Vec<String>)| {
            let nodes: Vec<&Vec<usize>> = values.iter().filter_map(|value| self.by_label[key].get(value)).collect();
            (nodes.iter().map(|nodes| nodes.len()).sum::<usize>(), nodes)
        };
        match task.selector.iter().map(of_label).min_by_key(|(count, _)| *count) {
            Some((_, nodes)) => {
                let nodes: BTreeSet<usize> = nodes.into_iter().flatten().copied().collect();
                nodes.into_iter().filter(is_open).collect()
            }
            None => (0..self.nodes.list.len()).filter(is_open).collect(),
        }
    }

    /// Value of a label of each node.
    pub fn values(&self, key: &str) -> Vec<Option<String>> {
        self.nodes.list.iter().map(|node| node.labels.get(key).cloned()).collect()
    }

    /// Pods by their group; pods without one are under `None`.
    pub fn by_group(&self, pods: &[usize]) -> BTreeMap<Option<usize>, Vec<usize>> {
        let mut groups: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
        for pod in pods {
            groups.entry(self.pods[*pod].owner).or_default().push(*pod);
        }
        groups
    }
}
