//! Which whole numbers are best, and what proves it? Branch and bound over relaxations, best bound first.
//!
//! f64 decides only where to look. A branch is closed when integers say so: a contradiction found by propagating ranges,
//! a refutation, or a certified bound that does not exceed the best value known. A branch that f64 considers settled but
//! integers cannot close is remembered with the bound it has, and ends up in the answer's bound.

use super::certify::{Certificate, certify, refute};
use super::linear::{Linear, Ranges, Relaxation, Relaxed};
use crate::control::{Control, Progress};
use std::collections::BinaryHeap;

/// A value this near to a whole number counts as whole when a column to branch on is chosen.
const WHOLE: f64 = 1e-6;
/// Rounds of propagation per branch; more find little.
const PROPAGATION_MAX: usize = 8;

/// What a search aims at.
pub(super) struct Aim<'a> {
    pub linear: &'a Linear,
    /// Objectives are multiples of this (> 0).
    pub granularity: i128,
    /// A bound this little above the best value counts as reached: what rounding to the grid of shares can cost.
    pub tolerance: i128,
    /// The whole columns alone decide what a placement is worth: where all are fixed, nothing is left to find.
    pub whole: bool,
    /// A bound that is known already.
    pub cap: Option<i128>,
    /// Objective of the best placement known.
    pub reached: i128,
}

/// How a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Searched {
    /// Proven upper bound on the objective.
    pub bound: Option<i128>,
    /// Nothing is left to look at.
    pub complete: bool,
}

struct Branch {
    estimate: f64,
    depth: usize,
    ranges: Ranges,
    /// Certified bound of the nearest ancestor that has one.
    bound: Option<i128>,
}

impl PartialEq for Branch {
    fn eq(&self, other: &Branch) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Branch {}
impl PartialOrd for Branch {
    fn partial_cmp(&self, other: &Branch) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Branch {
    fn cmp(&self, other: &Branch) -> std::cmp::Ordering {
        self.estimate.total_cmp(&other.estimate).then(self.depth.cmp(&other.depth))
    }
}

/// Searches until nothing better than `aim.reached` can exist, or time is up. `offer` is shown every relaxation's values
/// and answers with the objective of the best placement known then.
pub(super) fn search(mut aim: Aim, offer: &mut dyn FnMut(&[f64]) -> i128, control: &Control) -> Searched {
    let mut open = BinaryHeap::new();
    // Bounds of what is left: settled by tolerance, or by f64 and not by integers. `None` inside: no bound at all.
    let mut unsettled: Vec<Option<i128>> = Vec::new();
    let ranges = aim.linear.ranges();
    open.push(Branch { estimate: f64::INFINITY, depth: 0, ranges, bound: aim.cap });
    while let Some(mut branch) = open.pop() {
        if control.must_stop() {
            open.push(branch);
            break;
        }
        if let Some(bound) = branch.bound.filter(|bound| aim.settles(*bound)) {
            unsettled.push(Some(bound));
            continue;
        }
        if !propagate(aim.linear, &mut branch.ranges) {
            continue;
        }
        let values = match relax(aim.linear, &branch.ranges, control) {
            Relaxed::Solved(values) => values,
            Relaxed::Infeasible if refute(aim.linear, &branch.ranges, control) => continue,
            Relaxed::Stopped => {
                open.push(branch);
                break;
            }
            // Nothing is known, or nothing proven: integers must settle the branch, or smaller ones.
            Relaxed::Infeasible | Relaxed::Failed => {
                let middle = |(lower, upper): &(i128, i128)| (*lower as f64 + *upper as f64) / 2.0;
                branch.ranges.iter().map(middle).collect()
            }
        };
        aim.reached = aim.reached.max(offer(&values));
        aim.examine(branch, &values, &mut open, &mut unsettled, control);
        report(&aim, &open, control);
    }
    let complete = open.is_empty();
    let mut left = open.into_iter().map(|branch| branch.bound).chain(unsettled);
    let bound = left.try_fold(aim.reached, |most, bound| Some(most.max(bound?)));
    Searched { bound, complete }
}

fn report(aim: &Aim, open: &BinaryHeap<Branch>, control: &Control) {
    let bound = open.peek().and_then(|branch| branch.bound);
    control.report(Progress { phase: "exact", done: 0, objective: aim.reached, bound });
}

/// Certified bound of the relaxation.
pub(super) fn root_bound(linear: &Linear, control: &Control) -> Option<i128> {
    let ranges = linear.ranges();
    match relax(linear, &ranges, control) {
        Relaxed::Solved(values) => Some(certify(linear, &ranges, &values, control)?.bound),
        _ => None,
    }
}

fn relax(linear: &Linear, ranges: &Ranges, control: &Control) -> Relaxed {
    let columns = linear.columns.iter().zip(ranges);
    let columns = columns.map(|(column, (lower, upper))| (column.points as f64, *lower as f64, *upper as f64));
    let factors = |terms: &[(usize, i128)]| terms.iter().map(|(column, factor)| (*column, *factor as f64)).collect();
    let rows = linear.rows.iter().filter(|row| !row.terms.is_empty());
    let rows = rows.map(|row| (factors(&row.terms), row.equal, row.limit as f64)).collect();
    Relaxation { columns: columns.collect(), rows }.solve(control)
}

impl Aim<'_> {
    /// True when a bound leaves nothing better to find.
    fn settles(&self, bound: i128) -> bool {
        bound <= self.reached + self.tolerance
    }

    /// Largest objective that may exist under a bound.
    fn floor(&self, bound: i128) -> i128 {
        bound.div_euclid(self.granularity) * self.granularity
    }

    /// Closes a branch by its bound, splits it, or leaves it unsettled.
    fn examine(
        &mut self,
        mut branch: Branch,
        values: &[f64],
        open: &mut BinaryHeap<Branch>,
        unsettled: &mut Vec<Option<i128>>,
        control: &Control,
    ) {
        let points = self.linear.columns.iter().zip(values).map(|(column, value)| column.points as f64 * value);
        let estimate = points.sum::<f64>() + self.linear.constant as f64;
        let split = self.split(values, &branch.ranges);
        let promising = (estimate * (1.0 + 1e-9)).floor() as i128;
        let closable = self.settles(self.floor(promising)) || split.is_none();
        // The root is always certified: its bound is the answer's when time runs out.
        if (closable || branch.depth == 0)
            && let Some(certificate) = certify(self.linear, &branch.ranges, values, control)
        {
            let bound = self.floor(certificate.bound);
            branch.bound = Some(branch.bound.map_or(bound, |known| known.min(bound)));
            if self.settles(bound) {
                // Settled by tolerance only: the bound stays above the value reached, and says so.
                if bound > self.reached {
                    unsettled.push(branch.bound);
                }
                return;
            }
            self.narrow(&certificate, &mut branch.ranges);
        }
        // The values are whole, but what they stand for is worth less than the program believes (it leaves something out):
        // set them apart from their surroundings, until nothing else is left.
        let split = self.split(values, &branch.ranges).or_else(|| self.free(&branch.ranges));
        let Some(column) = split else {
            if !self.whole {
                unsettled.push(branch.bound);
            }
            return;
        };
        let (lower, upper) = branch.ranges[column];
        let below = (values[column].floor() as i128).clamp(lower, upper - 1);
        for (lower, upper) in [(lower, below), (below + 1, upper)] {
            if lower <= upper {
                let mut ranges = branch.ranges.clone();
                ranges[column] = (lower, upper);
                open.push(Branch { estimate, depth: branch.depth + 1, ranges, bound: branch.bound });
            }
        }
    }

    fn narrow(&self, certificate: &Certificate, ranges: &mut Ranges) {
        certificate.narrow(self.linear, ranges, self.reached + self.tolerance + 1);
    }

    /// The first whole column that is not fixed yet, by rank.
    fn free(&self, ranges: &Ranges) -> Option<usize> {
        let free = (0..ranges.len()).filter(|j| ranges[*j].0 < ranges[*j].1);
        let ranked = free.filter_map(|j| Some((self.linear.columns[j].rank?, j)));
        ranked.min().map(|(_, column)| column)
    }

    /// The fractional column to branch on: least rank, then nearest to the middle.
    fn split(&self, values: &[f64], ranges: &Ranges) -> Option<usize> {
        let candidates = self.linear.columns.iter().zip(values).enumerate().filter_map(|(j, (column, value))| {
            let off = (value - value.round()).abs();
            let rank = column.rank.filter(|_| off > WHOLE && ranges[j].0 < ranges[j].1)?;
            Some((rank, 0.5 - off, j))
        });
        let least = candidates.min_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
        least.map(|(.., column)| column)
    }
}

/// Narrows the ranges of whole columns to what each row leaves them; false when a row cannot hold.
///
/// ```text
/// a_k x_k ≤ b − Σ_{j ≠ k} min(a_j · lower_j, a_j · upper_j)
/// ```
fn propagate(linear: &Linear, ranges: &mut Ranges) -> bool {
    if ranges.iter().any(|(lower, upper)| lower > upper) {
        return false;
    }
    for _ in 0..PROPAGATION_MAX {
        let mut changed = false;
        for row in &linear.rows {
            let directions = if row.equal { &[1, -1][..] } else { &[1][..] };
            for sign in directions {
                match narrow_by(linear, &row.terms, *sign, row.limit * sign, ranges) {
                    Some(narrowed) => changed |= narrowed,
                    None => return false,
                }
            }
        }
        if !changed {
            break;
        }
    }
    true
}

/// Whether Σ sign · factor · x ≤ limit narrowed a range; `None` when it cannot hold.
fn narrow_by(linear: &Linear, terms: &[(usize, i128)], sign: i128, limit: i128, ranges: &mut Ranges) -> Option<bool> {
    let end = |factor: i128, (lower, upper): (i128, i128)| if factor > 0 { factor * lower } else { factor * upper };
    let least: i128 = terms.iter().map(|(column, factor)| end(factor * sign, ranges[*column])).sum();
    let spare = limit - least;
    if spare < 0 {
        return None;
    }
    let mut changed = false;
    for (column, factor) in terms {
        let (factor, (lower, upper)) = (factor * sign, ranges[*column]);
        if linear.columns[*column].rank.is_none() || upper - lower <= spare / factor.abs() {
            continue;
        }
        let steps = spare / factor.abs();
        ranges[*column] = if factor > 0 { (lower, lower + steps) } else { (upper - steps, upper) };
        changed = true;
    }
    Some(changed)
}

#[cfg(test)]
mod tests {
    use super::super::linear::Sum;
    use super::*;

    /// Maximise 10a + 12b + 13c + 9d, 5a + 5b + 6c + 4d ≤ 10, all 0 or 1. Pairs that fit: 22 twice; the relaxation has more.
    fn knapsack() -> Linear {
        let mut linear = Linear::default();
        let mut sum = Sum::constant(-10);
        for (points, size) in [(10, 5), (12, 5), (13, 6), (9, 4)] {
            let column = linear.column(0, 1, Some(0));
            linear.columns[column].points = points;
            sum = sum.plus_column(size, column);
        }
        linear.at_most_zero(sum);
        linear
    }

    fn aim(linear: &Linear, reached: i128) -> Aim<'_> {
        Aim { linear, granularity: 1, tolerance: 0, whole: true, cap: None, reached }
    }

    /// Value of whole values, or of nothing.
    fn value(linear: &Linear, values: &[f64]) -> i128 {
        let whole = values.iter().all(|value| (value - value.round()).abs() < WHOLE);
        let points = linear.columns.iter().zip(values).map(|(column, value)| column.points * value.round() as i128);
        if whole { points.sum() } else { 0 }
    }

    #[test]
    fn the_best_is_found_and_proven() {
        let linear = knapsack();
        let mut best = 0;
        let mut offer = |values: &[f64]| {
            best = best.max(value(&linear, values));
            best
        };
        let searched = search(aim(&linear, 0), &mut offer, &Control::unlimited());
        assert_eq!(searched, Searched { bound: Some(22), complete: true });
        assert_eq!(best, 22);
    }

    #[test]
    fn an_incumbent_that_nobody_beats_is_proven() {
        let linear = knapsack();
        let searched = search(aim(&linear, 22), &mut |_| 22, &Control::unlimited());
        assert_eq!(searched, Searched { bound: Some(22), complete: true });
    }

    #[test]
    fn without_time_there_is_no_bound() {
        let linear = knapsack();
        let control = Control::unlimited().with_time_limit(std::time::Duration::ZERO);
        let searched = search(aim(&linear, 0), &mut |_| 0, &control);
        assert_eq!(searched, Searched { bound: None, complete: false });
    }

    #[test]
    fn propagation_finds_contradictions_and_consequences() {
        let linear = knapsack();
        let mut ranges = linear.ranges();
        ranges[0] = (1, 1);
        ranges[1] = (1, 1);
        assert!(propagate(&linear, &mut ranges));
        assert_eq!(ranges[2..], [(0, 0), (0, 0)]);
        ranges[2] = (1, 1);
        assert!(!propagate(&linear, &mut ranges));
    }
}
