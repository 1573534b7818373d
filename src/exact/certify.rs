//! How good can any solution be, beyond doubt? Bounds that hold in integers, whatever the f64 backend did.
//!
//! Any prices y ≥ 0 on the rows (of either sign on equalities) prove a bound (weak duality):
//!
//! ```text
//! Σ_j c_j x_j  ≤  Σ_i y_i b_i + Σ_j max(d_j · lower_j, d_j · upper_j)        with d_j = c_j − Σ_i y_i a_ij
//! ```
//!
//! The dual program gives good prices in f64. They are rounded to fractions with one common denominator, and the right
//! side is then computed in i128 with checked arithmetic: a bad price makes a weak bound, never a wrong one. With c = 0
//! a right side below 0 proves that there is no solution at all.
//!
//! The dual of a large program is solved on the columns that matter: those used by the solution at hand, then those that
//! the prices so far would still like to use, until there are none (delayed row generation).

use super::linear::{Linear, Ranges, Relaxation, Relaxed};
use crate::control::Control;
use crate::model::SHARE_ONE;

/// Denominators tried for prices: coarse ones meet the simple fractions that most optimal prices are, fine ones the rest.
/// Multiples of 720,720, so that prices per part of a share are met too.
const DENOMINATORS: [i128; 4] =
    [SHARE_ONE as i128, (SHARE_ONE as i128) << 8, (SHARE_ONE as i128) << 20, (SHARE_ONE as i128) << 32];
/// Largest price of a whole row, in the largest points of a column: without a bound, a dual on too few columns may have no
/// optimum, and the backend may not notice. Larger prices are hardly ever needed; a bound only weakens what is proven.
const PRICE_MAX: f64 = 1e6;
/// Rounds of row generation; most programs need two or three, and the prices of any round are valid.
const ROUND_MAX: usize = 40;
/// Columns added per round.
const ADDED_MAX: usize = 1000;

/// Prices with a common denominator, and the bound they prove.
#[derive(Debug, Clone)]
pub(super) struct Certificate {
    /// Scaled points, rounded down (objectives are whole).
    pub bound: i128,
    prices: Vec<i128>,
    denominator: i128,
}

/// The best bound found on `linear` within `ranges`, near the solution `values`.
pub(super) fn certify(linear: &Linear, ranges: &Ranges, values: &[f64], control: &Control) -> Option<Certificate> {
    let width = |j: usize| (ranges[j].1 - ranges[j].0) as f64;
    let used = |j: usize| values[j] - ranges[j].0 as f64 > 1e-7 * width(j);
    let points: Vec<f64> = linear.columns.iter().map(|column| column.points as f64).collect();
    let largest = points.iter().fold(1.0f64, |most, points| points.abs().max(most));
    let dual = Dual { linear, ranges, points, price_max: PRICE_MAX * largest };
    let mut active: Vec<bool> = (0..values.len()).map(|j| linear.columns[j].rank.is_none() || used(j)).collect();
    let mut best: Option<Certificate> = None;
    for _ in 0..ROUND_MAX {
        let Some(prices) = dual.solve(&active, control) else { break };
        for denominator in DENOMINATORS {
            let rounded = round(linear, &prices, denominator as f64);
            let bound = evaluate(linear, ranges, &rounded, denominator, true);
            if let Some(bound) = bound.map(|bound| bound.div_euclid(denominator))
                && best.as_ref().is_none_or(|best| bound < best.bound)
            {
                best = Some(Certificate { bound, prices: rounded, denominator });
            }
        }
        if !dual.activate(&mut active, &prices) {
            break;
        }
    }
    best
}

/// True when it is proven that nothing within `ranges` satisfies the rows.
pub(super) fn refute(linear: &Linear, ranges: &Ranges, control: &Control) -> bool {
    let dual = Dual { linear, ranges, points: vec![0.0; linear.columns.len()], price_max: 1.0 };
    let Some(prices) = dual.solve(&vec![true; linear.columns.len()], control) else { return false };
    let largest = linear.rows.iter().map(largest_factor).fold(1.0, f64::max);
    [10, 20, 30, 40].into_iter().any(|bits| {
        let rounded = round(linear, &prices, largest * f64::from(bits).exp2());
        evaluate(linear, ranges, &rounded, 0, false).is_some_and(|value| value < 0)
    })
}

impl Certificate {
    /// Narrows the whole columns to what an objective of at least `wanted` permits (reduced-cost fixing): a column that is
    /// k off the end it likes costs k · |d_j| of the bound.
    pub fn narrow(&self, linear: &Linear, ranges: &mut Ranges, wanted: i128) {
        let Some(value) = evaluate(linear, ranges, &self.prices, self.denominator, true) else { return };
        let Some(spare) = wanted.checked_mul(self.denominator).and_then(|wanted| value.checked_sub(wanted)) else {
            return;
        };
        let Some(reduced) = reduced(linear, &self.prices, self.denominator) else { return };
        for (j, column) in linear.columns.iter().enumerate() {
            if column.rank.is_none() || reduced[j] == 0 || spare < 0 {
                continue;
            }
            let steps = spare / reduced[j].abs();
            if reduced[j] < 0 {
                ranges[j].1 = ranges[j].1.min(ranges[j].0.saturating_add(steps));
            } else {
                ranges[j].0 = ranges[j].0.max(ranges[j].1.saturating_sub(steps));
            }
        }
    }
}

fn largest_factor(row: &super::linear::Row) -> f64 {
    row.terms.iter().map(|(_, factor)| factor.unsigned_abs() as f64).fold(1.0, f64::max)
}

/// Prices × denominator in whole numbers; negative ones only on equalities.
fn round(linear: &Linear, prices: &[f64], denominator: f64) -> Vec<i128> {
    let whole = prices.iter().map(|price| (price * denominator).round() as i128);
    whole.zip(&linear.rows).map(|(price, row)| if row.equal { price } else { price.max(0) }).collect()
}

/// d_j × denominator; `None` on overflow.
fn reduced(linear: &Linear, prices: &[i128], denominator: i128) -> Option<Vec<i128>> {
    let points = linear.columns.iter().map(|column| column.points.checked_mul(denominator));
    let mut reduced: Vec<i128> = points.collect::<Option<_>>()?;
    for (row, price) in linear.rows.iter().zip(prices).filter(|(_, price)| **price != 0) {
        for (column, factor) in &row.terms {
            reduced[*column] = reduced[*column].checked_sub(factor.checked_mul(*price)?)?;
        }
    }
    Some(reduced)
}

/// The right side × denominator; `None` on overflow.
fn evaluate(linear: &Linear, ranges: &Ranges, prices: &[i128], denominator: i128, constant: bool) -> Option<i128> {
    let reduced = reduced(linear, prices, denominator)?;
    let mut value = if constant { linear.constant.checked_mul(denominator)? } else { 0 };
    for (row, price) in linear.rows.iter().zip(prices) {
        value = value.checked_add(row.limit.checked_mul(*price)?)?;
    }
    for (reduced, (lower, upper)) in reduced.into_iter().zip(ranges) {
        let end = if reduced > 0 { upper } else { lower };
        value = value.checked_add(reduced.checked_mul(*end)?)?;
    }
    Some(value)
}

/// ```text
/// minimise Σ_i (b_i − Σ_j a_ij · lower_j) y_i + Σ_j (upper_j − lower_j) p_j
/// subject to Σ_i a_ij y_i + p_j ≥ c_j for the active columns j, p ≥ 0, y ≥ 0 (free on equalities)
/// ```
struct Dual<'a> {
    linear: &'a Linear,
    ranges: &'a Ranges,
    points: Vec<f64>,
    /// Bound on |y_i| · (largest factor of row i).
    price_max: f64,
}

impl Dual<'_> {
    /// A price per row; a row without a column that is free to move gets none.
    fn solve(&self, active: &[bool], control: &Control) -> Option<Vec<f64>> {
        let free = |j: usize| active[j] && self.ranges[j].0 < self.ranges[j].1;
        let mut relaxation = Relaxation::default();
        let mut columns: Vec<Vec<(usize, f64)>> = vec![Vec::new(); self.points.len()];
        let mut priced = Vec::new();
        for (i, row) in self.linear.rows.iter().enumerate() {
            let terms = row.terms.iter().filter(|(j, _)| free(*j));
            terms.for_each(|(j, factor)| columns[*j].push((priced.len(), -*factor as f64)));
            if row.terms.iter().any(|(j, _)| free(*j)) {
                let at_lower: f64 = row.terms.iter().map(|(j, a)| *a as f64 * self.ranges[*j].0 as f64).sum();
                let most = self.price_max / largest_factor(row);
                let least = if row.equal { -most } else { 0.0 };
                relaxation.columns.push((at_lower - row.limit as f64, least, most));
                priced.push(i);
            }
        }
        for (j, mut terms) in columns.into_iter().enumerate().filter(|(j, _)| free(*j)) {
            terms.push((relaxation.columns.len(), -1.0));
            relaxation.columns.push((-((self.ranges[j].1 - self.ranges[j].0) as f64), 0.0, f64::INFINITY));
            relaxation.rows.push((terms, false, -self.points[j]));
        }
        let mut prices = vec![0.0; self.linear.rows.len()];
        match relaxation.solve(control) {
            Relaxed::Solved(values) => priced.iter().zip(values).for_each(|(i, price)| prices[*i] = price),
            _ => return None,
        }
        Some(prices)
    }

    /// Activates the columns that these prices leave with the most profit; false when there is none.
    fn activate(&self, active: &mut [bool], prices: &[f64]) -> bool {
        let mut profit = self.points.clone();
        for (row, price) in self.linear.rows.iter().zip(prices) {
            row.terms.iter().for_each(|(j, factor)| profit[*j] -= *factor as f64 * price);
        }
        let scale = self.points.iter().fold(1.0f64, |most, points| points.abs().max(most));
        let wanted = |j: &usize| {
            let width = (self.ranges[*j].1 - self.ranges[*j].0) as f64;
            !active[*j] && profit[*j] * width > 1e-9 * scale
        };
        let mut list: Vec<usize> = (0..profit.len()).filter(wanted).collect();
        list.sort_by(|a, b| profit[*b].total_cmp(&profit[*a]).then(a.cmp(b)));
        list.truncate(ADDED_MAX);
        list.iter().for_each(|j| active[*j] = true);
        !list.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::linear::Sum;
    use super::*;

    /// Maximise 3a + 2b with 2a + b ≤ 3, a + b ≤ 2, a, b ≤ 2: a = b = 1, 5 points at prices 1 and 1.
    fn two_rows() -> Linear {
        let mut linear = Linear::default();
        let (a, b) = (linear.column(0, 2, Some(0)), linear.column(0, 2, Some(0)));
        (linear.columns[a].points, linear.columns[b].points) = (3, 2);
        linear.at_most_zero(Sum::constant(-3).plus_column(2, a).plus_column(1, b));
        linear.at_most_zero(Sum::constant(-2).plus_column(1, a).plus_column(1, b));
        linear
    }

    #[test]
    fn the_bound_of_a_vertex_is_exact() {
        let linear = two_rows();
        let certificate = certify(&linear, &linear.ranges(), &[1.0, 1.0], &Control::unlimited()).unwrap();
        assert_eq!(certificate.bound, 5);
    }

    #[test]
    fn bad_prices_give_a_weak_bound_and_never_a_wrong_one() {
        let linear = two_rows();
        for prices in [[0, 0], [1, 0], [0, 1], [2, 2], [7, 0], [0, 9]] {
            assert!(evaluate(&linear, &linear.ranges(), &prices, 1, true).unwrap() >= 5, "{prices:?}");
        }
    }

    #[test]
    fn contradictions_are_refuted_and_solvable_programs_are_not() {
        let mut linear = two_rows();
        assert!(!refute(&linear, &linear.ranges(), &Control::unlimited()));
        // a + b ≥ 2 and 2a + b ≤ 3 and a ≥ 1 leave a = b = 1; with b ≥ 2 nothing is left.
        let ranges = vec![(1, 2), (2, 2)];
        assert!(refute(&linear, &ranges, &Control::unlimited()));
        linear.rows.clear();
        assert!(!refute(&linear, &ranges, &Control::unlimited()));
    }

    #[test]
    fn columns_that_cannot_pay_are_fixed() {
        let linear = two_rows();
        let mut ranges = linear.ranges();
        let certificate = certify(&linear, &ranges, &[1.0, 1.0], &Control::unlimited()).unwrap();
        certificate.narrow(&linear, &mut ranges, 6);
        assert_eq!(ranges, linear.ranges(), "an unreachable aim is left to the bound");
        // Price 3 on the second row only: bound 6, a costs nothing, b loses 1 per unit.
        let dear = Certificate { bound: 6, prices: vec![0, 3], denominator: 1 };
        dear.narrow(&linear, &mut ranges, 6);
        assert_eq!(ranges, vec![(0, 2), (0, 0)]);
    }
}
