//! How does the variance term look to the kernels? The model's levels on quanta: the same integers where these are exact.

use crate::kernel::points::VarianceTerm;
use crate::model::{Problem, ROOT_BITS, Variance};

/// The terms of a problem on quanta, and what follows from them for every node.
#[derive(Debug)]
pub struct Levels {
    /// Terms.
    pub terms: Vec<VarianceTerm>,
    /// What used quanta are multiplied by. Shape: nodes × terms.
    pub factors: Vec<i64>,
}

impl Levels {
    /// For amounts of which `shift` bits per resource are dropped and points of which `point_shift` bits are.
    pub fn new(problem: &Problem, shift: &[u32], point_shift: u32) -> Levels {
        let quanta = |node, r: usize| problem.allocatable(node)[r] >> shift[r];
        let term = |term: &Variance| {
            let r = term.resource.index();
            let largest = problem.node_ids().map(|node| quanta(node, r)).max().unwrap_or(0);
            let total = problem.node_ids().map(|node| i128::from(problem.allocatable(node)[r])).sum();
            let required = problem.task_ids().map(|task| i128::from(problem.requirement(task)[r])).sum();
            let weight = problem.resources[r].variance_weight >> point_shift.min(62);
            Variance::new(term.resource, weight, largest, total, required)
        };
        let terms: Vec<Variance> = problem.objective.variance.iter().filter_map(term).collect();
        let factor = |node, term: &Variance| term.factor(quanta(node, term.resource.index())) as i64;
        let packed = |term: &Variance| VarianceTerm {
            resource: term.resource.0,
            shift: term.bits + ROOT_BITS,
            mark: term.mark as u32,
        };
        Levels {
            factors: problem.node_ids().flat_map(|node| terms.iter().map(move |term| factor(node, term))).collect(),
            terms: terms.iter().map(packed).collect(),
        }
    }
}

/// Most that one quantum more can cost in all variance terms together, for a penalty that must be above it.
pub fn steepest(problem: &Problem, shift: &[u32]) -> f64 {
    let slope = |(r, resource): (usize, &crate::model::Resource)| {
        let quanta = problem.node_ids().map(|node| problem.allocatable(node)[r] >> shift[r]);
        // Off by 4 at most.
        8.0 * resource.variance_weight as f64 / quanta.filter(|amount| *amount > 0).min().unwrap_or(1) as f64
    };
    let weighted = problem.resources.iter().enumerate().filter(|(_, resource)| resource.variance_weight > 0);
    weighted.map(slope).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::points::{NodeView, Shared, node_points};
    use crate::kernel::random::pcg3d;
    use crate::model::*;
    use std::collections::BTreeMap;

    fn cluster(weight: i64, capacities: &[i64], required: i64) -> Problem {
        let amounts = |amount| BTreeMap::from([("cpu".to_string(), amount)]);
        let node = |(n, amount): (usize, &i64)| NodeSpec {
            name: format!("n{n}"),
            allocatable: amounts(*amount),
            ..NodeSpec::default()
        };
        let task = TaskSpec { name: "t".into(), requirement: amounts(required), ..TaskSpec::default() };
        let resource = ResourceSpec { name: "cpu".into(), variance_weight: weight, ..ResourceSpec::default() };
        let nodes = capacities.iter().enumerate().map(node).collect();
        Problem::new(&Snapshot { resources: vec![resource], nodes, tasks: vec![task], ..Snapshot::default() })
            .expect("it is sound")
    }

    /// Up to the largest amounts that the packing leaves as they are, and as much use as limits that are exceeded permit.
    #[test]
    fn kernel_and_model_agree_to_the_digit() {
        for (i, weight) in [1, 2, 1000, 1 << 20, (1 << 33) + 7, AMOUNT_MAX].into_iter().enumerate() {
            for round in 0..200 {
                let [a, b, c] = pcg3d(i as u32, round, 1).map(|word| i64::from(word >> 3) >> (round % 29));
                let [d, e, f] = pcg3d(i as u32, round, 2).map(|word| i64::from(word >> 3) >> (round / 7 % 29));
                let problem = cluster(weight, &[a, b, c, 0, 1, (1 << 29) - 1], d + e);
                let levels = Levels::new(&problem, &[0], 0);
                let shared = Shared {
                    load_weight: vec![0; 4],
                    variance: levels.terms.clone(),
                    allow: vec![0],
                    ..Shared::default()
                };
                for node in problem.node_ids() {
                    let capacity = problem.allocatable(node)[0];
                    for used in [0, 1, d, e, f, capacity, capacity / 2, 1 << 30] {
                        let row = |amount: i64| [amount as i32, 0, 0, 0];
                        let view = NodeView::<4> {
                            used: &row(used),
                            soft: &row(capacity),
                            capacity: &row(capacity),
                            factors: &levels.factors[node.index()..=node.index()],
                            devices: &[],
                            class: 0,
                        };
                        let [_, _, model] = node_cost(&problem, node, &[i128::from(used) * i128::from(SHARE_ONE)]);
                        let kernel = i128::from(node_points(&shared, &view));
                        assert_eq!(kernel * i128::from(SHARE_ONE), model, "{weight} {capacity} {used}");
                        assert!(kernel < 1 << 45, "the range that is promised");
                    }
                }
            }
        }
    }

    #[test]
    fn one_unit_of_use_moves_the_points_less_than_the_steepest() {
        for (weight, capacities) in [(1 << 20, [10, 1000]), (AMOUNT_MAX, [7, 9]), (1 << 30, [1 << 20, 3])] {
            let problem = cluster(weight, &capacities, 5);
            let most = steepest(&problem, &[0]);
            for node in problem.node_ids() {
                let points = |used: i64| node_cost(&problem, node, &[i128::from(used) * i128::from(SHARE_ONE)])[2];
                let rises = (0..40).map(|used| (points(used + 1) - points(used)) / i128::from(SHARE_ONE));
                assert!(rises.max().is_some_and(|rise| (rise as f64) < most + 1.0));
            }
        }
    }
}
