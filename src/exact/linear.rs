//! What is a linear program with integer figures, and what does its relaxation come to? The only door to good_lp.
//!
//! ```text
//! maximise    constant + Σ_column points · x
//! subject to  Σ_column factor · x ≤ limit  (or = limit)      for every row
//!             lower ≤ x ≤ upper                              for every column
//!             x whole                                        for the columns marked so
//! ```
//!
//! All figures are integers and all columns are bounded. good_lp only ever sees the continuous relaxation, in f64: its
//! values guide the search, and `certify.rs` turns its prices into bounds that hold in integers.

use crate::control::Control;
use good_lp::{
    Expression, ProblemVariables, ResolutionError, Solution, SolutionStatus, SolverModel, Variable, WithTimeLimit,
    constraint, variable,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// How often a waiting search looks at its stop flag.
const POLL: Duration = Duration::from_millis(5);
/// An abandoned relaxation ends after this, so that no thread runs for ever: no relaxation of a suitable problem takes
/// anywhere near as long.
const RELAXATION_MAX: Duration = Duration::from_secs(600);
/// A relaxation that takes longer than this plus [`USUAL_PER_ENTRY`] · rows · columns probably cycles: measured were 2 s for
/// 4,000 columns × 260 rows, and less than a millisecond for what brute force can check.
const USUAL_LEAST: Duration = Duration::from_millis(100);
/// See [`USUAL_LEAST`].
const USUAL_PER_ENTRY: Duration = Duration::from_micros(10);
/// Ways in which a relaxation is tried: three disturbances, each in two orders.
const ATTEMPT_MAX: u32 = 6;
/// Largest relative change of a figure by a disturbance: well below what counts as whole, well above f64's own noise.
const DISTURBANCE: f64 = 1e-7;

/// An unknown with its range.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub lower: i128,
    pub upper: i128,
    /// Scaled points per unit.
    pub points: i128,
    /// Columns to branch on, the smallest rank first; `None` for a column that may be fractional.
    pub rank: Option<u8>,
}

/// Σ factor · column ≤ limit, or = limit.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub terms: Vec<(usize, i128)>,
    pub equal: bool,
    pub limit: i128,
}

/// Range of every column: what branching narrows.
pub(super) type Ranges = Vec<(i128, i128)>;

/// A program.
#[derive(Debug, Clone, Default)]
pub(super) struct Linear {
    pub columns: Vec<Column>,
    pub rows: Vec<Row>,
    pub constant: i128,
}

/// Σ factor · column + constant, before it becomes a row.
#[derive(Debug, Clone, Default)]
pub(super) struct Sum {
    pub terms: Vec<(usize, i128)>,
    pub constant: i128,
}

impl Sum {
    pub fn constant(constant: i128) -> Sum {
        Sum { terms: Vec::new(), constant }
    }

    pub fn column(column: usize) -> Sum {
        Sum { terms: vec![(column, 1)], constant: 0 }
    }

    /// Adds `factor` · `other`.
    pub fn plus(mut self, factor: i128, other: &Sum) -> Sum {
        self.terms.extend(other.terms.iter().map(|(column, own)| (*column, own * factor)));
        self.constant += factor * other.constant;
        self
    }

    /// Adds `factor` · `column`.
    pub fn plus_column(mut self, factor: i128, column: usize) -> Sum {
        self.terms.push((column, factor));
        self
    }
}

impl Linear {
    /// Adds a column with `lower` ≤ x ≤ `upper`.
    pub fn column(&mut self, lower: i128, upper: i128, rank: Option<u8>) -> usize {
        assert!(lower <= upper, "a column from {lower} to {upper} has no value");
        self.columns.push(Column { lower, upper, points: 0, rank });
        self.columns.len() - 1
    }

    /// `sum` ≤ 0.
    pub fn at_most_zero(&mut self, sum: Sum) {
        self.row(sum, false);
    }

    /// `sum` = 0.
    pub fn equals_zero(&mut self, sum: Sum) {
        self.row(sum, true);
    }

    /// Like terms are joined and common factors taken out; rows without terms stay, they may be false.
    fn row(&mut self, sum: Sum, equal: bool) {
        let mut terms = sum.terms;
        terms.sort_unstable();
        terms.dedup_by(|later, first| {
            let same = later.0 == first.0;
            first.1 += if same { later.1 } else { 0 };
            same
        });
        terms.retain(|(_, factor)| *factor != 0);
        let common = terms.iter().fold(0, |common, (_, factor)| gcd(common, factor.unsigned_abs()));
        let mut limit = -sum.constant;
        let whole = terms.iter().all(|(column, _)| self.columns[*column].rank.is_some());
        // Whole columns only reach multiples of the common factor, so the limit may be rounded down.
        if common > 1 && (limit % common as i128 == 0 || (whole && !equal)) {
            terms.iter_mut().for_each(|(_, factor)| *factor /= common as i128);
            limit = limit.div_euclid(common as i128);
        }
        self.rows.push(Row { terms, equal, limit });
    }

    /// The ranges that the columns start with.
    pub fn ranges(&self) -> Ranges {
        self.columns.iter().map(|column| (column.lower, column.upper)).collect()
    }

    /// Largest value that `sum` can have.
    pub fn most(&self, sum: &Sum) -> i128 {
        let most = |(column, factor): &(usize, i128)| {
            let column = self.columns[*column];
            (factor * column.lower).max(factor * column.upper)
        };
        sum.constant + sum.terms.iter().map(most).sum::<i128>()
    }
}

pub(super) fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Column and factor, in f64.
type Factors = Vec<(usize, f64)>;

/// A continuous program in f64, maximised.
#[derive(Debug, Clone, Default)]
pub(super) struct Relaxation {
    /// Points and range of every column.
    pub columns: Vec<(f64, f64, f64)>,
    /// Terms, whether equal, limit.
    pub rows: Vec<(Factors, bool, f64)>,
}

/// What came of a relaxation.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Relaxed {
    /// Values of an optimum, within f64 tolerance.
    Solved(Vec<f64>),
    /// The backend says that there is no solution.
    Infeasible,
    /// Time is up.
    Stopped,
    /// The backend gave up; nothing is known.
    Failed,
}

impl Relaxation {
    /// Solves it. A simplex method may cycle for ever on a degenerate program: what takes suspiciously long is tried
    /// again in other forms, which lead it along other paths, and with twice the time.
    pub fn solve(mut self, control: &Control) -> Relaxed {
        let unscale = self.scale();
        let size = self.columns.len() * self.rows.len();
        let usual = USUAL_LEAST + USUAL_PER_ENTRY.saturating_mul(u32::try_from(size).unwrap_or(u32::MAX));
        for attempt in 0..ATTEMPT_MAX {
            let is_reversed = attempt % 2 == 1;
            let varied = self.clone().disturbed(attempt / 2);
            let varied = if is_reversed { varied.reversed() } else { varied };
            match varied.solve_in_thread(&control.within(usual.saturating_mul(1 << (attempt / 2)))) {
                Relaxed::Stopped if control.must_stop() => return Relaxed::Stopped,
                Relaxed::Stopped => {}
                Relaxed::Solved(mut values) => {
                    if is_reversed {
                        values.reverse();
                    }
                    return Relaxed::Solved(values.iter().zip(&unscale).map(|(value, by)| value * by).collect());
                }
                other => return other,
            }
        }
        Relaxed::Failed
    }

    /// Breaks ties by changes far below what a value is rounded by: none, points only (the corners of the program stay
    /// exact), then limits too.
    fn disturbed(mut self, how: u32) -> Relaxation {
        let by = |k: usize| 1.0 + DISTURBANCE * ((k * 7919 % 1009) as f64 + 1.0) / 1009.0;
        if how >= 1 {
            self.columns.iter_mut().enumerate().for_each(|(k, (points, ..))| *points *= by(k));
        }
        if how >= 2 {
            let widen = |k: usize, limit: f64| limit + (by(k) - 1.0) * limit.abs().max(1.0);
            let unequal = self.rows.iter_mut().filter(|(_, equal, _)| !equal);
            unequal.enumerate().for_each(|(k, (.., limit))| *limit = widen(k, *limit));
        }
        self
    }

    fn reversed(mut self) -> Relaxation {
        let last = self.columns.len().saturating_sub(1);
        self.columns.reverse();
        self.rows.reverse();
        for (column, _) in self.rows.iter_mut().flat_map(|(terms, ..)| terms) {
            *column = last - *column;
        }
        self
    }

    /// In a thread, so that a stop request is obeyed at once; an abandoned one ends by itself.
    fn solve_in_thread(self, control: &Control) -> Relaxed {
        if control.must_stop() {
            return Relaxed::Stopped;
        }
        let limit = control.time_left().unwrap_or(RELAXATION_MAX).min(RELAXATION_MAX);
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            // A panic inside a backend is a failure of this relaxation, not of the program; the receiver may be gone.
            let relaxed = catch_unwind(AssertUnwindSafe(|| self.run(limit))).unwrap_or(Relaxed::Failed);
            let _ = sender.send(relaxed);
        });
        loop {
            match receiver.recv_timeout(POLL) {
                Ok(relaxed) => return relaxed,
                Err(RecvTimeoutError::Timeout) if control.must_stop() => return Relaxed::Stopped,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Relaxed::Failed,
            }
        }
    }

    /// Brings factors near 1 by powers of two (which change no digits), rows first, then columns; the factor by which
    /// each value must be multiplied afterwards.
    fn scale(&mut self) -> Vec<f64> {
        let power = |largest: f64| if largest > 0.0 { largest.log2().round().exp2() } else { 1.0 };
        for (terms, _, limit) in &mut self.rows {
            let by = power(terms.iter().fold(0.0, |most, (_, factor)| factor.abs().max(most)));
            terms.iter_mut().for_each(|(_, factor)| *factor /= by);
            *limit /= by;
        }
        let mut largest = vec![0.0f64; self.columns.len()];
        for (column, factor) in self.rows.iter().flat_map(|(terms, ..)| terms) {
            largest[*column] = largest[*column].max(factor.abs());
        }
        let by: Vec<f64> = largest.into_iter().map(power).collect();
        for (column, factor) in self.rows.iter_mut().flat_map(|(terms, ..)| terms) {
            *factor /= by[*column];
        }
        for ((points, lower, upper), by) in self.columns.iter_mut().zip(&by) {
            (*points, *lower, *upper) = (*points / by, *lower * by, *upper * by);
        }
        let points = power(self.columns.iter().fold(0.0, |most, (points, ..)| points.abs().max(most)));
        self.columns.iter_mut().for_each(|(own, ..)| *own /= points);
        by.into_iter().map(f64::recip).collect()
    }

    fn run(&self, limit: Duration) -> Relaxed {
        #[cfg(feature = "highs")]
        use good_lp::solvers::highs::highs as backend;
        #[cfg(not(feature = "highs"))]
        use good_lp::solvers::microlp::microlp as backend;
        let mut variables = ProblemVariables::new();
        let known: Vec<Variable> = self
            .columns
            .iter()
            .map(|(_, lower, upper)| {
                let bounded = variable().min(*lower);
                variables.add(if upper.is_finite() { bounded.max(*upper) } else { bounded })
            })
            .collect();
        let sum = |terms: &mut dyn Iterator<Item = (usize, f64)>| -> Expression {
            terms.filter(|(_, factor)| *factor != 0.0).map(|(column, factor)| factor * known[column]).sum()
        };
        let goal = sum(&mut self.columns.iter().map(|(points, ..)| *points).enumerate());
        let mut model = variables.maximise(goal).using(backend).with_time_limit(limit.as_secs_f64());
        for (terms, equal, limit) in &self.rows {
            let left = sum(&mut terms.iter().copied());
            model.add_constraint(if *equal { constraint::eq(left, *limit) } else { constraint::leq(left, *limit) });
        }
        match model.solve() {
            Ok(solution) if matches!(solution.status(), SolutionStatus::Optimal) => {
                Relaxed::Solved(known.iter().map(|column| solution.value(*column)).collect())
            }
            Ok(_) => Relaxed::Stopped,
            Err(ResolutionError::Infeasible) => Relaxed::Infeasible,
            Err(ResolutionError::Other(_)) => Relaxed::Stopped,
            Err(_) => Relaxed::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relaxation_with_large_figures_is_solved() {
        // Maximise x + y, 3e9 x + 1e9 y ≤ 3e9, x, y ≤ 1: y = 1, x = 2/3.
        let columns = vec![(1.0, 0.0, 1.0), (1.0, 0.0, 1.0)];
        let rows = vec![(vec![(0, 3e9), (1, 1e9)], false, 3e9)];
        let Relaxed::Solved(values) = (Relaxation { columns, rows }).solve(&Control::unlimited()) else { panic!() };
        assert!((values[0] - 2.0 / 3.0).abs() < 1e-9 && (values[1] - 1.0).abs() < 1e-9, "{values:?}");
    }

    #[test]
    fn contradictions_and_stop_flags_are_told_apart() {
        let columns = vec![(1.0, 0.0, 1.0)];
        let rows = vec![(vec![(0, -1.0)], false, -2.0)];
        let relaxation = Relaxation { columns, rows };
        assert_eq!(relaxation.clone().solve(&Control::unlimited()), Relaxed::Infeasible);
        let stopped = Control::unlimited().with_time_limit(Duration::ZERO);
        assert_eq!(relaxation.solve(&stopped), Relaxed::Stopped);
    }

    #[test]
    fn rows_lose_common_factors_and_round_whole_limits_down() {
        let mut linear = Linear::default();
        let (a, b) = (linear.column(0, 9, Some(0)), linear.column(0, 9, Some(0)));
        linear.at_most_zero(Sum::constant(-7).plus_column(2, a).plus_column(4, b).plus_column(2, a));
        assert_eq!((linear.rows[0].terms.as_slice(), linear.rows[0].limit), (&[(a, 1), (b, 1)][..], 1));
    }
}
