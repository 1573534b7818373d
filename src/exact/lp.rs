//! How is a linear program solved? The only door to `good_lp`.
//!
//! [`Program`] is a plain description that the formulation fills once; [`Program::relax`] hands it to the backend with the
//! bounds of one node of the search tree. Every row is divided by its largest coefficient, because backends compare with
//! absolute tolerances.

use good_lp::{Expression, ProblemVariables, ResolutionError, Solution, SolverModel, WithTimeLimit, variable};
use std::time::Duration;

#[cfg(feature = "highs")]
use good_lp::solvers::highs::highs as backend;
#[cfg(not(feature = "highs"))]
use good_lp::solvers::microlp::microlp as backend;

/// A variable with its range and its points per unit.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Least value.
    pub lower: f64,
    /// Largest value.
    pub upper: f64,
    /// Points per unit.
    pub points: f64,
    /// It must be whole in the end.
    pub is_whole: bool,
}

/// Σ coefficient · column ≤ limit, or = limit.
#[derive(Debug, Clone)]
pub struct Row {
    /// Which rule or definition this is; infeasible programs are explained by it.
    pub rule: &'static str,
    /// (column, coefficient).
    pub terms: Vec<(usize, f64)>,
    /// Right-hand side.
    pub limit: f64,
    /// Equality instead of ≤.
    pub is_equal: bool,
}

/// maximise constant + Σ points · column, subject to the rows.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// Points that no choice changes.
    pub constant: f64,
    /// Variables.
    pub columns: Vec<Column>,
    /// Constraints.
    pub rows: Vec<Row>,
}

/// What the relaxation says.
#[derive(Debug, Clone)]
pub enum Relaxed {
    /// Its optimum, without the constant, and a value per column.
    Solved(f64, Vec<f64>),
    /// No point satisfies the rows.
    Infeasible,
    /// The backend gave up (time, numbers): nothing is known.
    Unknown,
}

impl Program {
    /// Adds a variable and returns its column.
    pub fn column(&mut self, lower: f64, upper: f64, points: f64, is_whole: bool) -> usize {
        self.columns.push(Column { lower, upper, points, is_whole });
        self.columns.len() - 1
    }

    /// Adds Σ terms ≤ limit.
    pub fn at_most(&mut self, rule: &'static str, terms: Vec<(usize, f64)>, limit: f64) {
        self.row(rule, terms, limit, false);
    }

    /// Adds Σ terms = limit.
    pub fn equal(&mut self, rule: &'static str, terms: Vec<(usize, f64)>, limit: f64) {
        self.row(rule, terms, limit, true);
    }

    fn row(&mut self, rule: &'static str, terms: Vec<(usize, f64)>, limit: f64, is_equal: bool) {
        let largest = terms.iter().map(|(_, factor)| factor.abs()).fold(0.0, f64::max);
        let scale = if largest > 0.0 { 1.0 / largest } else { 1.0 };
        let terms = terms.into_iter().map(|(column, factor)| (column, factor * scale)).collect();
        self.rows.push(Row { rule, terms, limit: limit * scale, is_equal });
    }

    /// Solves the relaxation (no column needs to be whole) within the given bounds per column, leaving out `without`.
    pub fn relax(&self, bounds: &[(f64, f64)], time: Option<Duration>, without: Option<&str>) -> Relaxed {
        // Points are brought to a size where the backend's absolute tolerances are far below one point.
        let largest = self.columns.iter().map(|column| column.points.abs()).fold(0.0, f64::max);
        let scale = if largest > 0.0 { 1.0 / largest } else { 1.0 };
        let mut variables = ProblemVariables::new();
        let handles: Vec<_> = bounds.iter().map(|(low, high)| variables.add(variable().min(*low).max(*high))).collect();
        let terms = self.columns.iter().zip(&handles).filter(|(column, _)| column.points != 0.0);
        let objective: Expression = terms.map(|(column, handle)| *handle * (column.points * scale)).sum();
        let mut model = variables.maximise(objective).using(backend);
        for row in self.rows.iter().filter(|row| Some(row.rule) != without) {
            let sum: Expression = row.terms.iter().map(|(column, factor)| handles[*column] * *factor).sum();
            model.add_constraint(if row.is_equal { sum.eq(row.limit) } else { sum.leq(row.limit) });
        }
        if let Some(time) = time {
            model = model.with_time_limit(time.as_secs_f64().max(0.001));
        }
        match model.solve() {
            Ok(solution) => {
                let values: Vec<f64> = handles.iter().map(|handle| solution.value(*handle)).collect();
                let points = self.columns.iter().zip(&values).map(|(column, value)| column.points * value).sum();
                Relaxed::Solved(points, values)
            }
            Err(ResolutionError::Infeasible) => Relaxed::Infeasible,
            Err(_) => Relaxed::Unknown,
        }
    }

    /// The columns' own bounds.
    pub fn bounds(&self) -> Vec<(f64, f64)> {
        self.columns.iter().map(|column| (column.lower, column.upper)).collect()
    }
}
