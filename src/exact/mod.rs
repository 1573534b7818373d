//! What is the best placement, and what proves it? Linear and mixed-integer programming on small problems.
//!
//! ```text
//! form      columns: classes of identical tasks × nodes             form.rs
//! rows      every rule of the model, never worse than the start      rows.rs
//! costs     every term of the objective                              costs.rs
//! search    branch and bound over relaxations                        branch.rs
//! merge     identical nodes as one: a small program with the same bound  merge.rs
//! certify   bounds from prices, in integers                          certify.rs
//! extract   values → placement, judged by the model                  extract.rs
//! linear    the program itself, and the only door to good_lp         linear.rs
//! ```
//!
//! Placements are compared by (total excess, objective): a broken start is repaired as far as possible first, then the
//! objective is improved without giving any of that back. The incumbent (the bulk solver's answer) comes from the caller;
//! the search ends as soon as a certified bound, rounded down to the multiples that objectives come in, equals it.
//!
//! Limits: fragmentation and variance are left out of the program (see `costs.rs`), and where an unpinned elastic task has less than its
//! least share at the start, the incumbent is returned without a bound. Where shares may be fractional,
//! *optimal* means: no placement is better by more than one part (1/720,720) of each such task.

mod branch;
mod certify;
mod costs;
mod extract;
mod form;
mod linear;
mod merge;
mod rows;

use crate::control::Control;
use crate::model::{Place, Placement, Problem, Rule, Sharing, Violation, score, total_excess, violations, worsened};
use crate::plan::Status;
use branch::{Aim, Searched, search};
use form::{Form, ONE};
use linear::{Linear, Relaxation, Relaxed, gcd};

/// Most columns (classes of identical tasks × nodes, and devices) of a problem that `auto` sends here.
pub const COLUMN_COUNT_MAX: usize = 4_000;

/// What the exact solver found.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The best placement known: never worse than the incumbent.
    pub placement: Placement,
    /// Scaled upper bound on the objective of every placement with no more excess than this one.
    pub bound: Option<i128>,
    /// Optimal, or what ended the search: the clock, a signal, or that nothing was left to look at.
    pub status: Status,
    /// When it is proven that no placement keeps every rule: names of the rules that the least broken one still breaks.
    pub blockers: Option<Vec<&'static str>>,
}

/// A continuous program in f64, minimised: for whoever checks in integers what its values are good for.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// Cost and range of every column.
    pub columns: Vec<(f64, f64, f64)>,
    /// Column and factor of each term, and what their sum is at most.
    pub rows: Vec<(Vec<(usize, f64)>, f64)>,
}

/// Values of a program's columns that are as cheap as can be, within f64's tolerance; `None` when the solver finds none in time.
pub fn least(program: &Program, control: &Control) -> Option<Vec<f64>> {
    let columns = program.columns.iter().map(|(cost, lower, upper)| (-cost, *lower, *upper)).collect();
    let rows = program.rows.iter().map(|(terms, limit)| (terms.clone(), false, *limit)).collect();
    match (Relaxation { columns, rows }).solve(control) {
        Relaxed::Solved(values) => Some(values),
        _ => None,
    }
}

/// True when the problem is small enough for the exact solver to be worth its time, and it has rows for what counts: without
/// those for variance it would prove nothing and look for the wrong thing.
pub fn suits(problem: &Problem) -> bool {
    if !problem.objective.variance.is_empty() {
        return false;
    }
    let nodes = problem.nodes.len();
    let devices: usize = problem.nodes.iter().map(|node| node.devices.len()).sum();
    let columns = |tasks: &Vec<crate::model::TaskId>| {
        let wants_devices = problem.tasks[tasks[0].index()].device.is_some();
        nodes + if wants_devices { devices } else { 0 }
    };
    // Telling classes apart costs time too: without that, tasks alone are a lower bound good enough.
    problem.tasks.len() <= COLUMN_COUNT_MAX * 4
        && form::classes(problem).iter().map(columns).sum::<usize>() <= COLUMN_COUNT_MAX
}

/// Improves the incumbent as far as time permits and proves what it can.
pub fn solve(problem: &Problem, incumbent: &Placement, control: &Control) -> Outcome {
    solve_under(problem, incumbent, None, control)
}

/// As [`solve`], with a scaled bound that is known already, of every placement that is never worse than the start.
pub fn solve_under(problem: &Problem, incumbent: &Placement, known: Option<i128>, control: &Control) -> Outcome {
    solve_between(problem, incumbent, None, known, control)
}

/// As [`solve`], where nothing counts but what is worth more than `least`, scaled: ends as well when no such placement can exist.
pub fn solve_above(problem: &Problem, incumbent: &Placement, least: i128, control: &Control) -> Outcome {
    solve_between(problem, incumbent, Some(least), None, control)
}

fn solve_between(
    problem: &Problem,
    incumbent: &Placement,
    least: Option<i128>,
    known: Option<i128>,
    control: &Control,
) -> Outcome {
    let mut best = Best::new(problem, incumbent);
    let mut form = Form::new(problem);
    if outside(problem, &form) {
        return best.unproven();
    }
    rows::add(&mut form);
    let repaired = repair(&mut form, &mut best, control);
    rows::total_excess(&mut form, best.excess);
    costs::add(&mut form);
    if !form.linear.is_in_range() {
        return best.unproven();
    }
    let tolerance = tolerance(problem);
    let (granularity, whole) = (granularity(problem, 0), form.unit == 1);
    let reached = least.map_or(best.objective, |least| least.max(best.objective));
    let is_settled = known.is_some_and(|known| known <= reached);
    let merged = if is_settled { None } else { merged_bound(problem, granularity, control) };
    let cap = merged.filter(|_| form.before.is_empty()).into_iter().chain(known).min();
    let aim = Aim { linear: &form.linear, granularity, tolerance, whole, cap, reached };
    let searched = run(&form, aim, &mut best, control, |best| best.objective);
    let proven = searched.bound.is_some_and(|bound| bound <= best.objective + tolerance);
    let status = match () {
        () if proven && repaired => Status::Optimal,
        () if control.is_stopped() => Status::Interrupted,
        () if control.is_late() => Status::Deadline,
        () => Status::Feasible,
    };
    let blockers = (repaired && best.excess > 0).then(|| {
        let mut rules: Vec<Rule> = violations(problem, &best.placement).iter().map(|v| v.rule).collect();
        rules.dedup();
        rules.into_iter().map(Rule::name).collect()
    });
    Outcome { placement: best.placement, bound: searched.bound, status, blockers }
}

/// Brings the excess of a broken start down to the least possible; true when it is proven to be that.
fn repair(form: &mut Form, best: &mut Best, control: &Control) -> bool {
    if best.excess == 0 {
        return true;
    }
    let mut linear = form.linear.clone();
    form.excess.iter().for_each(|(column, weight)| linear.columns[*column].points = -weight);
    linear.constant = -form.excess_fixed;
    if !linear.is_in_range() {
        return false;
    }
    let aim =
        Aim { linear: &linear, granularity: 1, tolerance: 0, whole: form.unit == 1, cap: None, reached: -best.excess };
    let searched = run(form, aim, best, control, |best| -best.excess);
    searched.bound == Some(-best.excess)
}

fn run(form: &Form, aim: Aim, best: &mut Best, control: &Control, value: impl Fn(&Best) -> i128) -> Searched {
    let mut offer = |values: &[f64]| {
        let placement = extract::placement(form, values);
        if form.unit != 1 {
            best.consider(extract::filled(form.problem, &placement));
        }
        best.consider(placement);
        value(best)
    };
    search(aim, &mut offer, control)
}

/// The bound of the relaxation in which identical nodes are merged: for many nodes, the quickest way to one.
fn merged_bound(problem: &Problem, granularity: i128, control: &Control) -> Option<i128> {
    let merged = merge::merged(problem)?;
    let mut form = Form::new(&merged);
    rows::add(&mut form);
    costs::add(&mut form);
    let bound = form.linear.is_in_range().then(|| branch::root_bound(&form.linear, control))??;
    Some(bound.div_euclid(granularity) * granularity)
}

/// True when the start has something that the program does not describe: see the limits above.
fn outside(problem: &Problem, form: &Form) -> bool {
    let unpinned = |task: crate::model::TaskId| !problem.tasks[task.index()].pinned;
    form.before
        .keys()
        .any(|(rule, place)| matches!(place, Place::Task(task) if *rule == Rule::Share && unpinned(*task)))
}

/// Largest figure that every objective is a multiple of, as far as it has a linear form: the common divisor of all such points and
/// of `other` (0 = nothing else counts). In scaled units, at least 1.
pub fn granularity(problem: &Problem, other: i128) -> i128 {
    let points = &problem.objective;
    let whole = problem.tasks.iter().all(|task| task.sharing == Sharing::Rigid);
    let amount = if whole { ONE } else { 1 };
    let mut all: Vec<i128> = vec![other];
    for task in &problem.tasks {
        all.push(i128::from(task.weight) * if task.sharing == Sharing::Rigid { ONE } else { 1 });
        all.push(i128::from(points.task_move_weight) * i128::from(task.move_cost) * ONE);
    }
    all.extend(problem.resources.iter().map(|resource| i128::from(resource.load_weight) * amount));
    all.extend(points.balance.iter().map(|term| i128::from(term.weight) * amount));
    all.push(i128::from(points.group_move_weight) * ONE);
    let pairs = points.move_costs.cost.iter();
    all.extend(pairs.map(|cost| i128::from(points.node_move_weight) * i128::from(*cost) * ONE));
    all.extend(problem.nodes.iter().map(|node| i128::from(points.price_weight) * i128::from(node.price) * ONE));
    (all.into_iter().fold(0, |common, points| gcd(common, points.unsigned_abs())) as i128).max(1)
}

/// What rounding to the grid of shares may cost: one part of each task that has a share.
fn tolerance(problem: &Problem) -> i128 {
    let shared = problem.tasks.iter().filter(|task| task.sharing != Sharing::Rigid);
    shared.map(|task| i128::from(task.weight)).sum()
}

/// The best placement so far, by (total excess, objective).
struct Best<'a> {
    problem: &'a Problem,
    start: Vec<Violation>,
    placement: Placement,
    excess: i128,
    objective: i128,
}

impl<'a> Best<'a> {
    fn new(problem: &'a Problem, incumbent: &Placement) -> Best<'a> {
        let start = violations(problem, &problem.current);
        let (excess, objective) = (total_excess(&start), score(problem, &problem.current).objective());
        let mut best = Best { problem, start, placement: problem.current.clone(), excess, objective };
        best.consider(incumbent.clone());
        best
    }

    fn unproven(self) -> Outcome {
        Outcome { placement: self.placement, bound: None, status: Status::Feasible, blockers: None }
    }

    fn consider(&mut self, placement: Placement) {
        let found = violations(self.problem, &placement);
        let (excess, objective) = (total_excess(&found), score(self.problem, &placement).objective());
        if (-excess, objective) > (-self.excess, self.objective) && worsened(&self.start, &found).is_empty() {
            (self.placement, self.excess, self.objective) = (placement, excess, objective);
        }
    }
}

impl Linear {
    /// True when no row can overflow while it is summed up.
    fn is_in_range(&self) -> bool {
        let size = |(column, factor): &(usize, i128)| {
            let column = self.columns[*column];
            factor.checked_abs()?.checked_mul(column.lower.checked_abs()?.max(column.upper.checked_abs()?))
        };
        let fits = |row: &linear::Row| {
            let sum = row.terms.iter().try_fold(row.limit.checked_abs()?, |sum, term| sum.checked_add(size(term)?))?;
            (sum < i128::MAX / 4).then_some(())
        };
        self.rows.iter().all(|row| fits(row).is_some())
    }
}
