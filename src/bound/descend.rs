//! Which prices prove the most? Subgradient descent with a moving target and deflected steps.
//!
//! The bound is convex in the prices, and what places have to offer less what tasks would use is a subgradient. A step goes
//! against it, far enough to reach a target if the bound were linear (Polyak 1969); the target is a little below the best
//! bound so far, by an amount that grows with success and shrinks without (Brännlund 1993; Goffin and Kiwiel 1999). Steps
//! keep part of the last direction (Camerini, Fratta, Maffioli 1975). Every price counts in units of what its place has.
//!
//! f64 decides only where to look; what a set of prices proves is worked out in integers.

use super::dual::{ONE, Prices, Value, net, value, within};
use super::form::Form;
use crate::control::{Control, Progress};
use crate::model::GroupId;
use std::collections::BTreeMap;

/// Part of a new direction in the next step.
const FRESH: f64 = 0.4;
/// Steps without a better bound until the target comes nearer and the search goes back to the best prices.
const PATIENCE: u32 = 12;
/// The target is below the best bound by this part of its distance from the start's objective at first …
const AMBITION: f64 = 0.25;
/// … and the search ends when it is below by this part of it.
const AMBITION_MIN: f64 = 1e-8;
/// Bits that a price has at most beyond whole points.
const DENOMINATOR_BITS_MAX: u32 = 20;
/// Bits of the largest sum that a task pays.
const SUM_BITS: u32 = 57;

/// Prices in points, as the search moves them: what a node is paid is net of balance and variance.
#[derive(Debug, Clone)]
pub(super) struct State {
    /// Shape: places × columns.
    pub paid: Vec<f64>,
    /// Shape: places × columns; empty unless moves are simultaneous.
    pub arrival: Vec<f64>,
    /// Shape: places × balance terms.
    pub balance: Vec<f64>,
    pub budget: f64,
    /// Charge per moved task, by group.
    pub group: BTreeMap<GroupId, f64>,
}

impl State {
    pub fn zero(form: &Form) -> State {
        let cells = form.places.len() * form.columns;
        State {
            paid: vec![0.0; cells],
            arrival: vec![0.0; if form.problem.moves.simultaneous { cells } else { 0 }],
            balance: vec![0.0; form.places.len() * form.problem.objective.balance.len()],
            budget: 0.0,
            group: BTreeMap::new(),
        }
    }

    /// Sets one column of every place.
    pub fn each_place(&mut self, form: &Form, column: usize, price: f64) {
        self.paid.iter_mut().skip(column).step_by(form.columns).for_each(|own| *own = price);
    }

    /// Sets one balance term of every place.
    pub fn each_balance(&mut self, form: &Form, term: usize, price: f64) {
        let count = form.problem.objective.balance.len();
        self.balance.iter_mut().skip(term).step_by(count).for_each(|own| *own = price);
    }

    /// All prices in one list, for steps.
    fn lists(&mut self) -> [&mut [f64]; 4] {
        [&mut self.paid, &mut self.arrival, &mut self.balance, std::slice::from_mut(&mut self.budget)]
    }

    /// In whole 1/denominator points.
    pub fn rounded(&self, form: &Form, denominator: i64) -> Prices {
        let d = denominator as f64;
        let objective = &form.problem.objective;
        let mut prices = Prices::zero(form, denominator);
        prices.budget = within(self.budget * d).max(0);
        // Rounded down, so that together they stay within the weight.
        let mut left = objective.group_move_weight.saturating_mul(denominator);
        for (group, price) in &self.group {
            let price = ((price * d).floor() as i64).clamp(0, left);
            left -= price;
            prices.group.insert(*group, price);
        }
        let arrival = prices.arrival.iter_mut().zip(&self.arrival);
        arrival.for_each(|(whole, price)| *whole = within(price * d).max(0));
        for k in 0..form.places.len() {
            let row = k * form.columns..(k + 1) * form.columns;
            let paid = &self.paid[row.clone()];
            let usage = &mut prices.usage[row];
            usage.iter_mut().zip(paid).for_each(|(whole, price)| *whole = within(price * d));
            usage[form.width..].iter_mut().for_each(|price| *price = (*price).max(0));
            for (b, term) in objective.balance.iter().enumerate() {
                let at = k * objective.balance.len() + b;
                let most = i128::from(term.weight) * i128::from(denominator);
                let by = i128::from(within(self.balance[at] * d)).clamp(0, most) as i64;
                prices.balance[at] = by;
                let own = by.saturating_mul(term.target).clamp(-(1 << 57), 1 << 57);
                usage[term.resource.index()] = within((usage[term.resource.index()] - own) as f64);
                usage[term.other.index()] = within((usage[term.other.index()] + by) as f64);
            }
            for (v, term) in objective.variance.iter().enumerate() {
                let r = term.resource.index();
                let curve = Curve::new(form, k, v);
                prices.level[k * objective.variance.len() + v] = curve.level(paid[r]);
            }
        }
        prices
    }
}

/// The slope of variance on a node of a place.
struct Curve {
    mark: f64,
    /// Levels per scaled unit.
    per_unit: f64,
    soft: f64,
    most: f64,
    weight: f64,
}

impl Curve {
    fn new(form: &Form, k: usize, v: usize) -> Curve {
        let term = &form.problem.objective.variance[v];
        let (place, r) = (&form.places[k], term.resource.index());
        let capacity = form.problem.allocatable(place.first())[r];
        let per_unit =
            term.factor(capacity) as f64 / f64::from(term.bits + crate::model::ROOT_BITS).exp2() / ONE as f64;
        Curve {
            mark: term.mark as f64,
            per_unit,
            soft: form.problem.soft_limit(place.first())[r] as f64 * ONE as f64 * per_unit,
            most: place.limit[r] as f64 * per_unit,
            weight: form.problem.resources[r].load_weight as f64,
        }
    }

    /// The level at which the next unit costs `paid`: where the node is best off.
    fn level(&self, paid: f64) -> i64 {
        if self.per_unit <= 0.0 {
            return self.mark as i64;
        }
        let at = |paid: f64| self.mark + paid / (2.0 * self.per_unit * ONE as f64);
        let level = if at(paid) > self.soft { at(paid - self.weight).max(self.soft) } else { at(paid) };
        level.clamp(0.0, self.most.max(0.0)).round() as i64
    }
}

/// The best prices found from a start.
pub(super) struct Descent {
    pub prices: Prices,
    /// Scaled bound.
    pub bound: i128,
    pub state: State,
}

/// Whole points × this are prices: as fine as 64-bit sums permit.
pub(super) fn denominator(form: &Form) -> i64 {
    let objective = &form.problem.objective;
    let largest = (0..form.kinds.len()).map(|kind| {
        let spec = &form.problem.tasks[form.kinds[kind].first.index()];
        let amount = |r: usize| i128::from(form.requirement(kind)[r]);
        let load = (0..form.width).map(|r| amount(r) * i128::from(form.problem.resources[r].load_weight)).sum::<i128>();
        let balance = objective.balance.iter().map(|term| {
            let both = amount(term.resource.index()) * i128::from(term.target) + amount(term.other.index());
            both * i128::from(term.weight)
        });
        let moves = i128::from(objective.task_move_weight) * i128::from(spec.move_cost);
        i128::from(spec.weight) + load + balance.sum::<i128>() + moves + i128::from(objective.group_move_weight)
    });
    let largest = largest.max().unwrap_or(0).max(form.moves.iter().map(|cost| i128::from(*cost)).max().unwrap_or(0));
    let bits = 128 - largest.leading_zeros();
    1 << SUM_BITS.saturating_sub(bits).min(DENOMINATOR_BITS_MAX)
}

/// Follows the subgradient for at most `steps` steps. `reached` = objective of a placement, as far as the bound can get.
pub(super) fn descend(form: &Form, start: State, reached: i128, steps: u32, how: Whose, control: &Control) -> Descent {
    let denominator = denominator(form);
    let prices = start.rounded(form, denominator);
    let mut at = value(form, &prices);
    let mut rounded = prices.clone();
    let mut best = Descent { bound: floor(form, at.raw, denominator), prices, state: start.clone() };
    let mut state = start;
    let mut best_raw = at.raw;
    let points = |raw: i128| raw as f64 / denominator as f64;
    let distance = (points(best_raw) - reached as f64).max(1.0);
    let mut ambition = distance * AMBITION;
    let scale = Scale::new(form);
    let mut last: Option<Vec<f64>> = None;
    let mut idle = 0;
    for step in 0..steps {
        if control.must_stop() || best.bound <= reached || ambition < distance * AMBITION_MIN {
            break;
        }
        let fresh = direction(form, &state, &rounded, &at, &scale, how);
        let direction = match last.take() {
            Some(last) => fresh.iter().zip(&last).map(|(a, b)| FRESH * a + (1.0 - FRESH) * b).collect(),
            None => fresh,
        };
        let length = scale.length(form, &direction, how);
        if length <= 0.0 {
            break;
        }
        let target = (points(best_raw) - ambition).max(reached as f64);
        let far = (points(at.raw) - target) / length;
        scale.go(form, &mut state, &direction, far);
        last = Some(direction);
        rounded = state.rounded(form, denominator);
        at = value(form, &rounded);
        if at.raw < best_raw {
            let gained = points(best_raw) - points(at.raw);
            ambition = if gained > ambition / 2.0 { ambition * 1.5 } else { ambition };
            best_raw = at.raw;
            best = Descent { bound: floor(form, at.raw, denominator), prices: rounded.clone(), state: state.clone() };
            idle = 0;
        } else {
            idle += 1;
            if idle >= PATIENCE {
                (idle, ambition, last) = (0, ambition / 2.0, None);
                state = best.state.clone();
                rounded = best.prices.clone();
                at = value(form, &rounded);
            }
        }
        let done = (1000 * u64::from(step) / u64::from(steps)) as u32;
        control.report(Progress { phase: "bound", done, objective: reached, bound: Some(best.bound) });
    }
    best
}

/// Scaled bound of a raw value.
pub(super) fn floor(form: &Form, raw: i128, denominator: i64) -> i128 {
    raw.div_euclid(i128::from(denominator)).div_euclid(form.granularity) * form.granularity
}

/// Whose prices are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// One price for all places, by column: while all are 0, one place alone can gain nothing by a price, since all tasks just
    /// go elsewhere.
    Together,
    /// Each place has its own.
    Own,
}

/// How much of everything there is: prices count in units of that.
struct Scale {
    paid: Vec<f64>,
    balance: Vec<f64>,
    budget: f64,
}

impl Scale {
    fn new(form: &Form) -> Scale {
        let objective = &form.problem.objective;
        let mut paid = Vec::with_capacity(form.places.len() * form.columns);
        let mut balance = Vec::new();
        for place in &form.places {
            let count = place.count() as f64;
            paid.extend(place.limit.iter().map(|limit| *limit as f64 * count));
            paid.extend(place.device.iter().map(|room| *room as f64 * count * ONE as f64));
            let capacity = form.problem.allocatable(place.first());
            balance.extend(objective.balance.iter().map(|term| {
                let both =
                    term.target as f64 * capacity[term.resource.index()] as f64 + capacity[term.other.index()] as f64;
                both * ONE as f64 * count
            }));
        }
        let running = form.kinds.iter().filter(|kind| !kind.pieces.is_empty()).map(|kind| kind.count).sum::<i128>();
        Scale { paid, balance, budget: running as f64 * ONE as f64 }
    }

    /// Length, squared, of a direction: where places go together, each column counts once.
    fn length(&self, form: &Form, direction: &[f64], how: Whose) -> f64 {
        if how == Whose::Own {
            return direction.iter().map(|by| by * by).sum();
        }
        // Cells of a column have been made u · scale / Σ scale by `join`, so their sum is u.
        let part = |from: usize, count: usize, step: usize| -> f64 {
            let column = |c: usize| direction[from..from + count].iter().skip(c).step_by(step).sum::<f64>();
            (0..step.min(count)).map(|c| column(c) * column(c)).sum()
        };
        let (cells, terms) = (self.paid.len(), self.balance.len());
        let arrivals = direction.len() - cells - terms - 1;
        let budget = direction[direction.len() - 1];
        part(0, cells, form.columns)
            + part(cells, arrivals, form.columns)
            + part(cells + arrivals, terms, form.problem.objective.balance.len())
            + budget * budget
    }

    /// The same step of the price for all places of a column.
    fn join(&self, form: &Form, direction: &mut [f64]) {
        let mut join = |from: usize, scale: &[f64], step: usize| {
            for c in 0..step.min(scale.len()) {
                let cells = || (c..scale.len()).step_by(step);
                let whole: f64 = cells().map(|i| scale[i]).sum();
                let sum: f64 = cells().map(|i| direction[from + i] * scale[i]).sum();
                let by = if whole > 0.0 { sum / (whole * whole) } else { 0.0 };
                cells().for_each(|i| direction[from + i] = by * scale[i]);
            }
        };
        let (cells, terms) = (self.paid.len(), self.balance.len());
        join(0, &self.paid, form.columns);
        let arrivals = if form.problem.moves.simultaneous { cells } else { 0 };
        if arrivals > 0 {
            join(cells, &self.paid, form.columns);
        }
        if terms > 0 {
            join(cells + arrivals, &self.balance, form.problem.objective.balance.len());
        }
    }

    /// A step against a direction, to where prices may be.
    fn go(&self, form: &Form, state: &mut State, direction: &[f64], far: f64) {
        let objective = &form.problem.objective;
        let has_sign = |column: usize| {
            let r = |term: &crate::model::Balance| column == term.resource.index() || column == term.other.index();
            objective.balance.iter().any(r) || objective.variance.iter().any(|term| term.resource.index() == column)
        };
        let free: Vec<bool> = (0..form.columns).map(|column| column < form.width && has_sign(column)).collect();
        let weights: Vec<f64> = objective.balance.iter().map(|term| term.weight as f64).collect();
        let mut rest = direction.iter();
        let [paid, arrival, balance, budget] = state.lists();
        let step = |price: &mut f64, scale: f64, by: Option<&f64>, low: f64, high: f64| {
            let by = by.copied().unwrap_or(0.0);
            if scale > 0.0 {
                *price = (*price - far * by / scale).clamp(low, high);
            }
        };
        for (i, price) in paid.iter_mut().enumerate() {
            let low = if free[i % form.columns] { f64::NEG_INFINITY } else { 0.0 };
            step(price, self.paid[i], rest.next(), low, f64::INFINITY);
        }
        for (i, price) in arrival.iter_mut().enumerate() {
            step(price, self.paid[i], rest.next(), 0.0, f64::INFINITY);
        }
        for (i, price) in balance.iter_mut().enumerate() {
            step(price, self.balance[i], rest.next(), 0.0, weights[i % weights.len()]);
        }
        step(&mut budget[0], self.budget, rest.next(), 0.0, f64::INFINITY);
    }
}

/// The subgradient in units of the scale: what places offer less what tasks use, projected onto where prices may go.
fn direction(form: &Form, state: &State, prices: &Prices, at: &Value, scale: &Scale, how: Whose) -> Vec<f64> {
    let objective = &form.problem.objective;
    let mut list = Vec::with_capacity(scale.paid.len() * 2 + scale.balance.len() + 1);
    let ratio = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    // Against a limit there is no way on; where places go together, that is seen when they have been added up.
    let project = |by: f64, price: f64, low: f64, high: f64| {
        if how == Whose::Own && ((by > 0.0 && price <= low) || (by < 0.0 && price >= high)) { 0.0 } else { by }
    };
    let offers = offers(form, prices);
    let used = |cell: usize| at.used[cell] as f64;
    // What one place has left another can use, as long as all have the same price.
    let joint = |c: usize| {
        let sum = |of: &dyn Fn(usize) -> f64| (c..offers.len()).step_by(form.columns).map(of).sum::<f64>();
        let used = sum(&used);
        let offer = used.clamp(sum(&|cell| offers[cell].0), sum(&|cell| offers[cell].1));
        ratio(offer - used, sum(&|cell| scale.paid[cell]))
    };
    let joint: Vec<f64> = if how == Whose::Together { (0..form.columns).map(joint).collect() } else { Vec::new() };
    for (cell, (low, high)) in offers.iter().enumerate() {
        let c = cell % form.columns;
        let by = match how {
            Whose::Own => ratio(used(cell).clamp(*low, *high) - used(cell), scale.paid[cell]),
            Whose::Together => joint[c],
        };
        let low = if c >= form.width { 0.0 } else { f64::NEG_INFINITY };
        list.push(project(by, state.paid[cell], low, f64::INFINITY));
    }
    if !state.arrival.is_empty() {
        for (k, place) in form.places.iter().enumerate() {
            for c in 0..form.columns {
                let cell = k * form.columns + c;
                let is_transient = c < form.width && form.problem.resources[c].transient;
                let by = if is_transient {
                    ratio(place.room[c] as f64 - at.arrived[cell] as f64, scale.paid[cell])
                } else {
                    0.0
                };
                list.push(project(by, state.arrival[cell], 0.0, f64::INFINITY));
            }
        }
    }
    for k in 0..form.places.len() {
        let capacity = form.problem.allocatable(form.places[k].first());
        for (b, term) in objective.balance.iter().enumerate() {
            let at_term = k * objective.balance.len() + b;
            let free = |r: usize| {
                capacity[r] as f64 * ONE as f64 * form.places[k].count() as f64 - at.used[k * form.columns + r] as f64
            };
            let missing = term.target as f64 * free(term.resource.index()) - free(term.other.index());
            let by = ratio(-missing, scale.balance[at_term]);
            list.push(project(by, state.balance[at_term], 0.0, term.weight as f64));
        }
    }
    let most = form.problem.moves.max_moves;
    let by = most.map_or(0.0, |most| ratio(f64::from(most) * ONE as f64 - at.moved as f64 * ONE as f64, scale.budget));
    list.push(project(by, state.budget, 0.0, f64::INFINITY));
    if how == Whose::Together {
        scale.join(form, &mut list);
    }
    list
}

/// What places may use without being worse off, from and to. Shape: places × columns.
fn offers(form: &Form, prices: &Prices) -> Vec<(f64, f64)> {
    let terms = &form.problem.objective.variance;
    let mut list = Vec::with_capacity(form.places.len() * form.columns);
    for (k, place) in form.places.iter().enumerate() {
        let count = place.count() as f64;
        let net = net(form, prices, k);
        let soft = form.problem.soft_limit(place.first());
        for c in 0..form.width {
            let limit = place.limit[c] as f64;
            let curve = terms.iter().position(|term| term.resource.index() == c);
            let curve = curve.map(|v| (Curve::new(form, k, v), v)).filter(|(curve, _)| curve.per_unit > 0.0);
            let (low, high) = match curve {
                Some((curve, v)) => {
                    let used = (prices.level[k * terms.len() + v] as f64 / curve.per_unit).clamp(0.0, limit);
                    (used, used)
                }
                None => {
                    let weight = form.problem.resources[c].load_weight as f64;
                    let soft = (soft[c] as f64 * ONE as f64).min(limit);
                    indifferent(net.price[c] as f64 / prices.denominator as f64, weight, soft, limit)
                }
            };
            list.push((low * count, high * count));
        }
        for (room, price) in place.device.iter().zip(&prices.usage[k * form.columns + form.width..]) {
            let room = *room as f64 * ONE as f64 * count;
            list.push((if *price > 0 { room } else { 0.0 }, room));
        }
    }
    list
}

/// What a node may use without being worse off when it is paid `paid` net, from and to.
fn indifferent(paid: f64, weight: f64, soft: f64, limit: f64) -> (f64, f64) {
    match () {
        () if paid < 0.0 => (0.0, 0.0),
        () if paid == 0.0 && weight > 0.0 => (0.0, soft),
        () if paid == 0.0 => (0.0, limit),
        () if paid < weight => (soft, soft),
        () if paid == weight => (soft, limit),
        () => (limit, limit),
    }
}
