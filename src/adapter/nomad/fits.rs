//! Which nodes will do for a group of tasks, and by which label are they known?

use super::constraint::Demand;
use super::job::{Job, JobId};
use super::node::Node;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

/// Which nodes meet what each group of tasks demands.
pub struct Fits(HashMap<(JobId, String), Rc<Fit>>);

/// What nodes are for a group.
pub struct Fit {
    /// Whether a node meets all demands, by its index; `None` where nobody can tell.
    pub is_met: Vec<Option<bool>>,
    /// The label of all nodes that do; none where all do.
    pub label: Option<String>,
}

impl Fits {
    /// Nodes get a label for each set of nodes that groups are bound to. `in_use`: jobs and their groups that have allocations.
    pub fn new(jobs: &BTreeMap<JobId, Job>, in_use: &HashSet<(String, String)>, nodes: &mut [Node]) -> Fits {
        let mut labels: HashMap<Vec<bool>, String> = HashMap::new();
        let mut known: HashMap<Vec<Demand>, Rc<Fit>> = HashMap::new();
        let mut fits = HashMap::new();
        for (id, job) in jobs {
            let has_allocations = |name: &String| in_use.contains(&(id.1.clone(), name.clone()));
            let groups = job.groups.iter().filter(|(name, group)| !group.demands.is_empty() && has_allocations(name));
            for (name, group) in groups {
                let fit = known.entry(group.demands.clone()).or_insert_with(|| {
                    let is_met = Fits::answers(&group.demands, nodes);
                    let meets: Vec<bool> = is_met.iter().map(|answer| *answer == Some(true)).collect();
                    let next = format!("nomad/constraint-{}", labels.len() + 1);
                    let has_others = meets.contains(&false);
                    let label = has_others.then(|| labels.entry(meets.clone()).or_insert(next).clone());
                    for (node, _) in nodes.iter_mut().zip(meets).filter(|(_, meets)| *meets) {
                        node.spec.labels.extend(label.iter().map(|label| (label.clone(), "yes".to_string())));
                    }
                    Rc::new(Fit { is_met, label })
                });
                fits.insert((id.clone(), name.clone()), Rc::clone(fit));
            }
        }
        Fits(fits)
    }

    /// What nodes are for a group of a job; `None` where it demands nothing of them.
    pub fn get(&self, job: &JobId, group: &str) -> Option<&Fit> {
        self.0.get(&(job.clone(), group.to_string())).map(Rc::as_ref)
    }

    fn answers(demands: &[Demand], nodes: &[Node]) -> Vec<Option<bool>> {
        // Whoever is on a node with an unknown value may have one that others would then have too.
        let is_property = |demand: &&Demand| matches!(demand, Demand::Property(_));
        let mut properties = demands.iter().filter(is_property);
        if properties.any(|demand| nodes.iter().any(|node| demand.is_met(&node.facts).is_none())) {
            return vec![None; nodes.len()];
        }
        let of_node = |node: &Node| {
            let answers: Vec<Option<bool>> = demands.iter().map(|demand| demand.is_met(&node.facts)).collect();
            if answers.contains(&Some(false)) { Some(false) } else { (!answers.contains(&None)).then_some(true) }
        };
        nodes.iter().map(of_node).collect()
    }
}
