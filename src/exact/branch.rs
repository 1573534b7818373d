//! Which whole values are best? Branch and bound over the linear relaxations, best bound first.
//!
//! Every open node has a bound; the largest of them bounds the problem. A bound is only believed with a margin for the
//! backend's floating point ([`safe`]), then rounded down to what an objective can be: whole points for rigid tasks, whole
//! parts of a share otherwise. The search ends when no open node can beat the incumbent.
//!
//! Two cuts come from the incumbent. With B₀ the bound when moves cost nothing, anything better than the incumbent z spends
//! at most B₀ − z − 1 grain on moves: one row, an upper bound of 0 for every move that costs more than that, and, with the
//! least cost of a move, a cap on their number.

use super::formulation::Formulation;
use super::lp::{Program, Relaxed};
use crate::control::{Control, Progress};
use crate::model::{Placement, Problem, SHARE_ONE, Sharing, score, violations};
use std::collections::BinaryHeap;
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// How far a relaxed value may be from whole and still count as whole.
const WHOLE_TOLERANCE: f64 = 1e-6;
/// How often a running relaxation asks whether it must stop.
const POLL: Duration = Duration::from_millis(20);

/// What the search found.
pub struct Found {
    /// The best placement.
    pub placement: Placement,
    /// Its scaled objective.
    pub objective: i128,
    /// Scaled upper bound; `None` when not even the first relaxation could be solved.
    pub bound: Option<i128>,
    /// No placement keeps every rule.
    pub is_infeasible: bool,
}

struct Open {
    bound: i128,
    depth: u32,
    bounds: Vec<(f64, f64)>,
    values: Vec<f64>,
}

impl PartialEq for Open {
    fn eq(&self, other: &Open) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Open {}
impl PartialOrd for Open {
    fn partial_cmp(&self, other: &Open) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Open {
    fn cmp(&self, other: &Open) -> std::cmp::Ordering {
        (self.bound, self.depth).cmp(&(other.bound, other.depth))
    }
}

/// A scaled bound that is never below the true optimum of the relaxation: the backend's optimum plus what its tolerances
/// (1e-9 of the largest coefficient, which [`Program::relax`] scales to 1) and the summation can hide, rounded down to a grain.
pub fn safe(program: &Program, points: f64, grain: i128) -> i128 {
    let largest = program.columns.iter().map(|column| column.points.abs()).fold(0.0, f64::max);
    let margin = 1e-6 + 1e-9 * largest + 1e-10 * program.constant.abs() + 1e-8 * points.abs();
    let scaled = ((program.constant + points + margin) * f64::from(SHARE_ONE)).floor();
    if scaled >= i128::MAX as f64 / 2.0 {
        return i128::MAX / 2;
    }
    (scaled as i128).div_euclid(grain) * grain
}

/// The smallest difference between two objectives, scaled.
pub fn grain(problem: &Problem) -> i128 {
    let is_rigid = problem.tasks.iter().all(|task| task.sharing == Sharing::Rigid);
    if is_rigid { i128::from(SHARE_ONE) } else { 1 }
}

/// Solves a relaxation on a thread of its own, which is left behind when `control` says stop.
pub fn relax(
    program: &Arc<Program>,
    bounds: Vec<(f64, f64)>,
    without: Option<&'static str>,
    control: &Control,
) -> Relaxed {
    if control.must_stop() {
        return Relaxed::Unknown;
    }
    let (sender, receiver) = mpsc::channel();
    let (program, time) = (program.clone(), control.time_left());
    std::thread::spawn(move || {
        // Nobody listens any more when the search was stopped.
        let _ = sender.send(program.relax(&bounds, time, without));
    });
    loop {
        match receiver.recv_timeout(POLL) {
            Ok(relaxed) => return relaxed,
            Err(mpsc::RecvTimeoutError::Timeout) if !control.must_stop() => {}
            // Stopped, or the backend panicked: either way nothing is known.
            Err(_) => return Relaxed::Unknown,
        }
    }
}

/// Searches from an incumbent that keeps every rule, or, without one, for a first placement that does.
pub fn search(
    problem: &Problem,
    formulation: Formulation,
    incumbent: Option<&Placement>,
    cap: Option<i128>,
    control: &Control,
) -> Found {
    let grain = grain(problem);
    let mut best = incumbent.map(|placement| (score(problem, placement).objective(), placement.clone()));
    let mut formulation = formulation;
    if let Some((objective, _)) = &best {
        let closed =
            cap.is_some_and(|cap| cap <= *objective) || !add_move_budget(&mut formulation, *objective, grain, control);
        if closed {
            let (objective, placement) = best.expect("just seen");
            return Found { placement, objective, bound: Some(objective), is_infeasible: false };
        }
    }
    let program = Arc::new(std::mem::take(&mut formulation.program));
    let mut open = BinaryHeap::new();
    // Nodes given up (a relaxation that could not be solved, rounding that broke a rule) keep their bound.
    let mut unresolved: Option<i128> = None;
    let (mut is_known, mut is_infeasible) = (true, false);
    match relax(&program, program.bounds(), None, control) {
        Relaxed::Solved(points, values) => {
            let bound = safe(&program, points, grain).min(cap.unwrap_or(i128::MAX));
            open.push(Open { bound, depth: 0, bounds: program.bounds(), values });
        }
        Relaxed::Infeasible => is_infeasible = best.is_none(),
        Relaxed::Unknown => is_known = false,
    }
    while let Some(node) = open.pop() {
        let target = best.as_ref().map(|(objective, _)| *objective);
        if target.is_some_and(|target| node.bound <= target) {
            open.clear();
            break;
        }
        if control.must_stop() {
            open.push(node);
            break;
        }
        report(control, target.unwrap_or(0), node.bound);
        let Some(column) = most_open(&program, &node.values) else {
            let placement = formulation.placement(problem, &node.values);
            let objective = score(problem, &placement).objective();
            // A relaxation with whole values is its own optimum, up to the margin that the bound has on top: what lies within
            // the margin stays unproven, also when the placement is no better than the best.
            let is_kept = violations(problem, &placement).is_empty();
            unresolved = unresolved.max(Some(node.bound).filter(|bound| !is_kept || *bound > objective));
            if is_kept && best.as_ref().is_none_or(|(known, _)| objective > *known) {
                best = Some((objective, placement));
            }
            continue;
        };
        let value = node.values[column];
        for (low, high) in [(value.ceil(), f64::INFINITY), (f64::NEG_INFINITY, value.floor())] {
            let mut bounds = node.bounds.clone();
            bounds[column] = (bounds[column].0.max(low), bounds[column].1.min(high));
            match relax(&program, bounds.clone(), None, control) {
                Relaxed::Solved(points, values) => {
                    let bound = safe(&program, points, grain).min(node.bound);
                    open.push(Open { bound, depth: node.depth + 1, bounds, values });
                }
                Relaxed::Infeasible => {}
                Relaxed::Unknown => unresolved = unresolved.max(Some(node.bound)),
            }
        }
    }
    let open_bound = open.peek().map(|node| node.bound).max(unresolved);
    let (objective, placement) = match best {
        Some((objective, placement)) => (objective, placement),
        None => {
            is_infeasible |= is_known && open_bound.is_none();
            (score(problem, &problem.current).objective(), problem.current.clone())
        }
    };
    let bound = (is_known && !is_infeasible).then(|| open_bound.unwrap_or(objective).max(objective));
    let bound = match (bound, cap) {
        (None, Some(cap)) if !is_infeasible => Some(cap.max(objective)),
        (bound, _) => bound,
    };
    Found { placement, objective, bound, is_infeasible }
}

fn report(control: &Control, objective: i128, bound: i128) {
    control.report(Progress { phase: "prove", done: 0, objective, bound: Some(bound) });
}

/// The whole column whose value is nearest to half-way between two whole numbers; ties to the first.
fn most_open(program: &Program, values: &[f64]) -> Option<usize> {
    let distance = |value: f64| (value - value.round()).abs();
    let candidates = program.columns.iter().zip(values).enumerate();
    let open = candidates.filter(|(_, (column, value))| column.is_whole && distance(**value) > WHOLE_TOLERANCE);
    let best = open.max_by(|(i, (_, a)), (j, (_, b))| distance(**a).total_cmp(&distance(**b)).then(j.cmp(i)));
    best.map(|(i, _)| i)
}

/// Adds the cuts on moves; `false` when not even moves for nothing would beat the incumbent.
fn add_move_budget(formulation: &mut Formulation, objective: i128, grain: i128, control: &Control) -> bool {
    if formulation.move_points.is_empty() {
        return true;
    }
    let mut free = formulation.program.clone();
    for (column, cost) in &formulation.move_points {
        free.columns[*column].points += cost;
    }
    let free = Arc::new(free);
    let Relaxed::Solved(points, _) = relax(&free, free.bounds(), None, control) else { return true };
    let budget = (safe(&free, points, grain) - objective - grain) as f64 / f64::from(SHARE_ONE);
    if budget < 0.0 {
        return false;
    }
    let program = &mut formulation.program;
    for (column, cost) in formulation.move_points.iter().filter(|(_, cost)| *cost > budget) {
        let column = &mut program.columns[*column];
        if column.is_whole && *cost > budget && column.lower <= 0.0 {
            column.upper = 0.0;
        }
    }
    // The number of moves: each costs `least` at least, and together with the first comes one step of the group term.
    let most = formulation.most_moved;
    let step = most.and_then(|most| formulation.move_points.iter().find(|(column, _)| *column == most));
    let paid: Vec<_> = formulation.move_points.iter().filter(|(column, _)| Some(*column) != most).collect();
    let least = paid.iter().map(|(_, cost)| *cost).fold(f64::INFINITY, f64::min);
    program.at_most("budget", formulation.move_points.clone(), budget);
    if least.is_finite() && paid.iter().all(|(column, _)| program.columns[*column].is_whole) {
        let count = ((budget - step.map_or(0.0, |(_, cost)| *cost)).max(0.0) / least).floor();
        let mut terms: Vec<_> = paid.iter().map(|(column, _)| (*column, 1.0)).collect();
        program.at_most("budget", terms.clone(), count);
        if let Some(most) = most {
            // No move without a step of the group term.
            terms.push((most, -count.max(1.0)));
            program.at_most("budget", terms, 0.0);
        }
    }
    true
}
