//! Which prices are best, exactly? The linear program of the relaxation, solved on the rows that matter.
//!
//! ```text
//! minimise    Σ_place count · (Σ_r soft · λ_r + limit · π_r + Σ_d room · δ_d − Σ_b constant · μ_b)
//!             + Σ_place room · τ + most · β + Σ_kind count · v
//! subject to  v_kind ≥ what it makes at home, nowhere, and at every place that admits it
//!             0 ≤ λ ≤ load weight, 0 ≤ μ ≤ balance weight, π, δ, τ, β ≥ 0, Σ_g α_g ≤ group move weight
//! ```
//!
//! Its optimum is that of the Lagrangian bound over all prices, but for what a node in use costs. When nodes that are alike are
//! merged it stays the same: give every one of them the mean of their prices and use convexity, or, seen from the primal side,
//! give each the same part of every task. Rows of places are added when the prices so far break them (Kelley 1960); all rows
//! but those would not change the optimum. The solver counts in f64 and is not believed: `dual.rs` works out what its prices prove.
//!
//! Only for rigid tasks without gangs or variance: elsewhere the program would be another one.

use super::descend::{Descent, State, denominator, floor};
use super::dual::{ONE, Prices, value};
use super::form::Form;
use super::price::best_place;
use crate::control::Control;
use crate::exact::{Program, least};
use crate::model::{GroupId, Sharing};
use std::collections::HashMap;

/// Most kinds of tasks: beyond it a relaxation takes longer than many steps of descent.
const KIND_COUNT_MAX: usize = 400;
/// Most prices.
const PRICE_COUNT_MAX: usize = 1000;
/// Rounds of row generation.
const ROUND_MAX: usize = 60;
/// A row is broken when it is by more than this part of the largest figure.
const BROKEN: f64 = 1e-9;

/// True when there is such a program, of a size worth solving.
pub(super) fn suits(form: &Form) -> bool {
    form.kinds.len() <= KIND_COUNT_MAX && form.places.len() * form.columns <= PRICE_COUNT_MAX && is_plain(form)
}

/// True when the bound over all prices is that of a linear program: rigid tasks, no gangs, no variance.
pub(super) fn is_plain(form: &Form) -> bool {
    let problem = form.problem;
    problem.objective.variance.is_empty()
        && problem.tasks.iter().all(|task| task.sharing == Sharing::Rigid)
        && form.kinds.iter().all(|kind| kind.gang.is_none() && !kind.is_fluid)
}

/// The best prices of the program, as far as time permits, near a start.
pub(super) fn solve(form: &Form, start: &State, control: &Control) -> Option<Descent> {
    let mut sheet = Sheet::new(form);
    let d = denominator(form);
    let first = start.rounded(form, d);
    let mut best: Option<Descent> = None;
    let mut prices = first;
    let mut worth = vec![f64::NEG_INFINITY; form.kinds.len()];
    for _ in 0..ROUND_MAX {
        if control.must_stop() || !sheet.add_broken(&prices, &worth) {
            break;
        }
        let Some(values) = least(&sheet.program, control) else { break };
        let state = sheet.state(&values);
        worth = sheet.worth(&values);
        prices = state.rounded(form, d);
        let bound = floor(form, value(form, &prices).raw, d);
        if best.as_ref().is_none_or(|best| bound < best.bound) {
            best = Some(Descent { prices: prices.clone(), bound, state });
        }
    }
    best
}

/// The program, and what its columns mean.
struct Sheet<'a> {
    form: &'a Form<'a>,
    program: Program,
    /// λ by place and resource.
    load: HashMap<(usize, usize), usize>,
    /// π and δ by place and column.
    paid: Vec<usize>,
    arrival: HashMap<(usize, usize), usize>,
    /// Shape: places × balance terms.
    balance: Vec<usize>,
    group: HashMap<GroupId, usize>,
    budget: Option<usize>,
    /// By kind; pinned ones have none.
    worth: Vec<Option<usize>>,
    largest: f64,
}

impl<'a> Sheet<'a> {
    fn new(form: &'a Form<'a>) -> Sheet<'a> {
        let mut sheet = Sheet {
            form,
            program: Program::default(),
            load: HashMap::new(),
            paid: Vec::new(),
            arrival: HashMap::new(),
            balance: Vec::new(),
            group: HashMap::new(),
            budget: None,
            worth: Vec::new(),
            largest: 1.0,
        };
        (0..form.places.len()).for_each(|k| sheet.place(k));
        sheet.charges();
        (0..form.kinds.len()).for_each(|kind| sheet.kind(kind));
        sheet
    }

    fn column(&mut self, cost: f64, lower: f64, upper: f64) -> usize {
        self.program.columns.push((cost, lower, upper));
        self.program.columns.len() - 1
    }

    fn place(&mut self, k: usize) {
        let form = self.form;
        let (place, node) = (&form.places[k], form.places[k].first());
        let count = place.count() as f64;
        let whole = |scaled: i128| scaled as f64 / ONE as f64;
        for r in 0..form.width {
            let resource = &form.problem.resources[r];
            let limit = whole(place.limit[r]);
            if resource.load_weight > 0 {
                let soft = (form.problem.soft_limit(node)[r] as f64).min(limit);
                let column = self.column(count * soft, 0.0, resource.load_weight as f64);
                self.load.insert((k, r), column);
            }
            let column = self.column(count * limit, 0.0, f64::INFINITY);
            self.paid.push(column);
            if form.problem.moves.simultaneous && resource.transient {
                let column = self.column(whole(place.room[r]), 0.0, f64::INFINITY);
                self.arrival.insert((k, r), column);
            }
        }
        for room in &place.device {
            let column = self.column(count * *room as f64, 0.0, f64::INFINITY);
            self.paid.push(column);
        }
        let capacity = form.problem.allocatable(node);
        for term in &form.problem.objective.balance {
            let free = |r: crate::model::ResourceId| capacity[r.index()] as f64;
            let constant = term.target as f64 * free(term.resource) - free(term.other);
            let column = self.column(-count * constant, 0.0, term.weight as f64);
            self.balance.push(column);
        }
    }

    fn charges(&mut self) {
        let form = self.form;
        if let Some(most) = form.problem.moves.max_moves {
            self.budget = Some(self.column(f64::from(most), 0.0, f64::INFINITY));
        }
        let weight = form.problem.objective.group_move_weight as f64;
        if weight > 0.0 {
            let running = form.kinds.iter().filter(|kind| !kind.pieces.is_empty());
            let groups: Vec<GroupId> =
                running.filter_map(|kind| form.problem.tasks[kind.first.index()].group).collect();
            for group in groups {
                if !self.group.contains_key(&group) {
                    let column = self.column(0.0, 0.0, weight);
                    self.group.insert(group, column);
                }
            }
            let mut all: Vec<usize> = self.group.values().copied().collect();
            all.sort_unstable();
            self.program.rows.push((all.into_iter().map(|column| (column, 1.0)).collect(), weight));
        }
    }

    fn kind(&mut self, kind: usize) {
        let form = self.form;
        let own = &form.kinds[kind];
        let spec = &form.problem.tasks[own.first.index()];
        if spec.pinned {
            // What it uses is paid for whatever the prices are.
            for (place, share) in &own.pieces {
                let part = f64::from(share.parts()) / ONE as f64;
                for (column, factor) in self.pays(kind, *place as usize, form.width, false) {
                    self.program.columns[column].0 -= factor * part * own.count as f64;
                }
            }
            self.worth.push(None);
            return;
        }
        let column = self.column(own.count as f64, f64::NEG_INFINITY, f64::INFINITY);
        self.worth.push(Some(column));
        self.largest = self.largest.max(spec.weight as f64);
        if let Some((home, _)) = own.pieces.first() {
            let count = if own.is_loose { form.width } else { form.columns };
            let pays = self.pays(kind, *home as usize, count, false);
            self.row(column, pays, spec.weight as f64);
        }
        if own.pieces.is_empty() || spec.evictable {
            let (fees, fee) = self.fees(kind);
            self.row(column, fees, -fee);
        }
    }

    /// v ≥ points − Σ factor · column.
    fn row(&mut self, worth: usize, mut pays: Vec<(usize, f64)>, points: f64) {
        pays.iter_mut().for_each(|(_, factor)| *factor = -*factor);
        pays.push((worth, -1.0));
        self.largest = self.largest.max(points.abs());
        self.program.rows.push((pays, -points));
    }

    /// What a task pays for using a place, or for coming there.
    fn pays(&self, kind: usize, k: usize, count: usize, arrives: bool) -> Vec<(usize, f64)> {
        let form = self.form;
        let terms = &form.problem.objective.balance;
        let mut list = Vec::new();
        for (c, amount) in form.requirement(kind)[..count].iter().enumerate().filter(|(_, amount)| **amount != 0) {
            let amount = *amount as f64;
            list.push((self.paid[k * form.columns + c], amount));
            list.extend(self.load.get(&(k, c)).map(|column| (*column, amount)));
            list.extend(self.arrival.get(&(k, c)).filter(|_| arrives).map(|column| (*column, amount)));
            for (b, term) in terms.iter().enumerate() {
                let column = self.balance[k * terms.len() + b];
                let own = if term.resource.index() == c { -(term.target as f64) } else { 0.0 };
                let other = if term.other.index() == c { 1.0 } else { 0.0 };
                if own + other != 0.0 {
                    list.push((column, amount * (own + other)));
                }
            }
        }
        list
    }

    /// What a running task pays for moving: by column, and for certain.
    fn fees(&self, kind: usize) -> (Vec<(usize, f64)>, f64) {
        let form = self.form;
        let spec = &form.problem.tasks[form.kinds[kind].first.index()];
        if form.kinds[kind].pieces.is_empty() {
            return (Vec::new(), 0.0);
        }
        let group = spec.group.and_then(|group| self.group.get(&group));
        let columns = group.into_iter().chain(&self.budget).map(|column| (*column, 1.0)).collect();
        (columns, form.problem.objective.task_move_weight as f64 * spec.move_cost as f64)
    }

    /// Adds the row of the best place of every kind that makes more there than it is said to; false when there is none.
    fn add_broken(&mut self, prices: &Prices, worth: &[f64]) -> bool {
        let form = self.form;
        let entry: Vec<i64> = prices.entry();
        let d = prices.denominator as f64;
        let count = self.program.rows.len();
        for kind in 0..form.kinds.len() {
            let (own, Some(column)) = (&form.kinds[kind], self.worth[kind]) else { continue };
            let Some(best) = best_place(form, kind, &entry, prices.denominator, false) else { continue };
            let spec = &form.problem.tasks[own.first.index()];
            let (mut fees, fee) = self.fees(kind);
            let charged: f64 = match own.pieces.is_empty() {
                true => 0.0,
                false => {
                    let group = spec.group.and_then(|group| prices.group.get(&group)).copied().unwrap_or(0);
                    (group + prices.budget) as f64 / d
                }
            };
            let makes = spec.weight as f64 - fee - charged - best.cost as f64 / d;
            if makes > worth[kind] + BROKEN * self.largest {
                let k = best.place as usize;
                fees.extend(self.pays(kind, k, form.columns, true));
                let points = spec.weight as f64 - fee - form.move_points(own.from, k) as f64;
                self.row(column, fees, points);
            }
        }
        self.program.rows.len() > count
    }

    fn state(&self, values: &[f64]) -> State {
        let form = self.form;
        let mut state = State::zero(form);
        for (cell, column) in self.paid.iter().enumerate() {
            state.paid[cell] = values[*column];
        }
        for ((k, r), column) in &self.load {
            state.paid[k * form.columns + r] += values[*column];
        }
        for ((k, r), column) in &self.arrival {
            state.arrival[k * form.columns + r] = values[*column];
        }
        state.balance = self.balance.iter().map(|column| values[*column]).collect();
        state.group = self.group.iter().map(|(group, column)| (*group, values[*column])).collect();
        state.budget = self.budget.map_or(0.0, |column| values[column]);
        state
    }

    fn worth(&self, values: &[f64]) -> Vec<f64> {
        self.worth.iter().map(|column| column.map_or(f64::INFINITY, |column| values[column])).collect()
    }
}
