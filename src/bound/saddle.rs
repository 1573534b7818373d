//! Which prices are best, nearly? Steps from both sides to the saddle point of the linear program, for sizes that `linear.rs` cannot.
//!
//! ```text
//! min over mixes x, max over prices y of     Σ cost · x + Σ_cell y · use(x) − F*(y)       F = load, limits, balance of a place
//! x ← onto the simplex(x − τ · (cost + what y makes x pay))          y ← prox of F* at (y + σ · use(2 · x − x before))
//! ```
//!
//! Primal-dual hybrid gradient (Chambolle and Pock 2011) with diagonal steps (Pock and Chambolle 2011) and restarts from the mean
//! (Applegate et al. 2021). A subgradient only sees which place is best for a task; here a task is a mix of places, so prices stop
//! where mixes fill places just so. f64 decides only where to look, in one order whatever the number of threads; `dual.rs` works out
//! what the prices prove.
//!
//! Only for rigid tasks without gangs or variance, as in `linear.rs`.

use super::descend::{Descent, State, denominator, floor};
use super::dual::{ONE, value};
use super::form::Form;
use super::linear;
use crate::control::{Control, Progress};

/// Most options of all kinds times columns: a few milliseconds of a step.
const WORK_MAX: usize = 1 << 21;
/// Steps from one look at what the prices prove to the next.
const EVERY: u32 = 40;
/// The mean starts again when this part of all steps went into it.
const MEAN_PART: f64 = 0.3;
/// Steps after which gain begins to be counted; it is looked at whenever they have doubled.
const TRIAL: u32 = 400;
/// The search ends when twice the steps gained less than this part of the distance from the start's objective.
const GAIN_MIN: f64 = 1e-5;

/// True when there is such a program, of a size where a step is short.
pub(super) fn suits(form: &Form) -> bool {
    let count = |mask: u32| -> usize {
        let words = &form.masks[mask as usize * form.mask_words..][..form.mask_words];
        2 + words.iter().map(|word| word.count_ones() as usize).sum::<usize>()
    };
    let options: usize = form.kinds.iter().map(|kind| count(kind.mask)).sum();
    options * form.columns <= WORK_MAX && linear::is_plain(form)
}

/// The best prices on the way from a start, in at most `steps` steps. `reached` as in `descend`.
pub(super) fn solve(form: &Form, start: &State, reached: i128, steps: u32, control: &Control) -> Option<Descent> {
    let table = Table::new(form);
    let mut walk = Walk { point: table.start(start), mixed: Vec::new() };
    let mut best: Option<Descent> = None;
    let mut best_raw = i128::MAX;
    let denominator = denominator(form);
    let mut look = |state: State| {
        let prices = state.rounded(form, denominator);
        let raw = value(form, &prices).raw;
        if raw < best_raw {
            best_raw = raw;
            best = Some(Descent { bound: floor(form, raw, denominator), prices, state });
        }
        raw
    };
    let points = |raw: i128| raw as f64 / denominator as f64;
    let distance = (points(look(start.clone())) - reached as f64).max(1.0);
    let mut mean = walk.point.scaled(0.0);
    let (mut since, mut trial, mut own, mut last) = (0, TRIAL, i128::MAX, i128::MAX);
    for step in 1..=steps {
        if control.must_stop() {
            break;
        }
        walk.step(&table);
        mean.add(&walk.point);
        since += 1;
        if step % EVERY != 0 {
            continue;
        }
        let middle = mean.scaled(1.0 / f64::from(since));
        let both = [table.state(start, &middle), table.state(start, &walk.point)].map(&mut look);
        own = own.min(both[0]).min(both[1]);
        if f64::from(since) >= MEAN_PART * f64::from(step) {
            walk.point = if both[0] <= both[1] { middle } else { walk.point };
            (mean, since) = (walk.point.scaled(0.0), 0);
        }
        if floor(form, own, denominator) <= reached {
            break;
        }
        if step >= trial {
            if last != i128::MAX && points(last) - points(own) < GAIN_MIN * distance {
                break;
            }
            (trial, last) = (2 * step, own);
        }
        let (done, bound) = ((1000 * u64::from(step) / u64::from(steps)) as u32, Some(floor(form, own, denominator)));
        control.report(Progress { phase: "bound", done, objective: reached, bound });
    }
    best
}

/// Mixes and prices. Prices are points per unit, as in [`State`].
#[derive(Clone)]
struct Point {
    /// Part of a kind that takes each option. Shape: options.
    mix: Vec<f64>,
    /// Shape: places × columns.
    paid: Vec<f64>,
    /// Shape: places × columns; empty unless moves are simultaneous.
    arrival: Vec<f64>,
    /// Shape: places × balance terms.
    balance: Vec<f64>,
    budget: [f64; 1],
}

impl Point {
    fn scaled(&self, by: f64) -> Point {
        let scaled = |list: &[f64]| list.iter().map(|own| own * by).collect();
        Point {
            mix: scaled(&self.mix),
            paid: scaled(&self.paid),
            arrival: scaled(&self.arrival),
            balance: scaled(&self.balance),
            budget: [self.budget[0] * by],
        }
    }

    fn add(&mut self, other: &Point) {
        let add = |sum: &mut [f64], list: &[f64]| sum.iter_mut().zip(list).for_each(|(sum, own)| *sum += own);
        add(&mut self.mix, &other.mix);
        add(&mut self.paid, &other.paid);
        add(&mut self.arrival, &other.arrival);
        add(&mut self.balance, &other.balance);
        add(&mut self.budget, &other.budget);
    }
}

/// What a kind of task can do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Out,
    Home(u32),
    Come(u32),
}

/// The program: options of every kind, and how far steps go.
struct Table<'a> {
    form: &'a Form<'a>,
    /// First option of every kind, and the end.
    first: Vec<usize>,
    options: Vec<Way>,
    /// Points that one task of the kind pays for an option, less what it is worth. Shape: options.
    cost: Vec<f64>,
    /// Shape: kinds × columns.
    requirement: Vec<f64>,
    /// What pinned tasks use. Shape: places × columns.
    fixed: Vec<f64>,
    mix_step: Vec<f64>,
    paid_step: Vec<f64>,
    arrival_step: Vec<f64>,
    balance_step: Vec<f64>,
    budget_step: f64,
}

impl<'a> Table<'a> {
    fn new(form: &'a Form<'a>) -> Table<'a> {
        let cells = form.places.len() * form.columns;
        let mut table = Table {
            form,
            first: vec![0],
            options: Vec::new(),
            cost: Vec::new(),
            requirement: form.requirement.iter().map(|amount| *amount as f64).collect(),
            fixed: vec![0.0; cells],
            mix_step: Vec::new(),
            paid_step: Vec::new(),
            arrival_step: Vec::new(),
            balance_step: Vec::new(),
            budget_step: 0.0,
        };
        (0..form.kinds.len()).for_each(|kind| table.kind(kind));
        table.steps();
        table
    }

    fn kind(&mut self, kind: usize) {
        let form = self.form;
        let own = &form.kinds[kind];
        let spec = &form.problem.tasks[own.first.index()];
        let worth = spec.weight as f64;
        if spec.pinned {
            for (place, share) in &own.pieces {
                let parts = f64::from(share.parts()) / ONE as f64 * own.count as f64;
                let row = &mut self.fixed[*place as usize * form.columns..][..form.width];
                let amounts = &self.requirement[kind * form.columns..][..form.width];
                row.iter_mut().zip(amounts).for_each(|(sum, amount)| *sum += amount * parts);
            }
        } else {
            let ran = !own.pieces.is_empty();
            let fee = form.problem.objective.task_move_weight as f64 * spec.move_cost as f64;
            let fee = if ran { fee } else { 0.0 };
            let home = own.pieces.first().map(|(place, _)| (Way::Home(*place), -worth));
            let out = (!ran || spec.evictable).then_some((Way::Out, fee));
            let admitted = (0..form.places.len()).filter(|k| form.admits(own.mask, *k));
            let come = |k: usize| (Way::Come(k as u32), fee + form.move_points(own.from, k) as f64 - worth);
            for (option, cost) in home.into_iter().chain(out).chain(admitted.map(come)) {
                self.options.push(option);
                self.cost.push(cost);
            }
        }
        self.first.push(self.options.len());
    }

    /// Columns that count where a kind is at home.
    fn at_home(&self, kind: usize) -> usize {
        if self.form.kinds[kind].is_loose { self.form.width } else { self.form.columns }
    }

    /// What there is of everything in a place. Shape: columns.
    fn most(&self, k: usize) -> Vec<f64> {
        let place = &self.form.places[k];
        let limit = place.limit.iter().map(|limit| *limit as f64 / ONE as f64);
        limit.chain(place.device.iter().map(|room| *room as f64)).map(|most| most * place.count() as f64).collect()
    }

    /// Steps of a price and a mix: the inverse of what all options together make of its row or column, in units of what there is.
    fn steps(&mut self) {
        let form = self.form;
        let (columns, terms) = (form.columns, &form.problem.objective.balance);
        let most: Vec<f64> = (0..form.places.len()).flat_map(|k| self.most(k)).collect();
        let whole = |k: usize, term: &crate::model::Balance| {
            let capacity = form.problem.allocatable(form.places[k].first());
            let both =
                term.target as f64 * capacity[term.resource.index()] as f64 + capacity[term.other.index()] as f64;
            both * form.places[k].count() as f64
        };
        let part = |amount: f64, whole: f64| if whole > 0.0 { amount / whole } else { 0.0 };
        let running: f64 = form.kinds.iter().filter(|kind| !kind.pieces.is_empty()).map(|kind| kind.count as f64).sum();
        let has_budget = form.problem.moves.max_moves.is_some();
        let (mut paid, mut arrival) = (vec![0.0; most.len()], vec![0.0; most.len()]);
        let (mut balance, mut budget) = (vec![0.0; form.places.len() * terms.len()], 0.0);
        let mut longest = vec![0.0f64; form.kinds.len()];
        for kind in 0..form.kinds.len() {
            let (own, count) = (&form.kinds[kind], form.kinds[kind].count as f64);
            let amounts = &self.requirement[kind * columns..][..columns];
            for option in &self.options[self.first[kind]..self.first[kind + 1]] {
                let mut length = 0.0;
                let (place, seen, comes) = match option {
                    Way::Out => (None, 0, false),
                    Way::Home(place) => (Some(*place as usize), self.at_home(kind), false),
                    Way::Come(place) => (Some(*place as usize), columns, true),
                };
                for (c, amount) in amounts[..seen].iter().enumerate() {
                    let cell = place.unwrap_or(0) * columns + c;
                    let by = part(amount * count, most[cell]);
                    paid[cell] += by;
                    length += by;
                    if comes && self.is_held(c) {
                        arrival[cell] += by;
                        length += by;
                    }
                }
                for (b, term) in terms.iter().enumerate() {
                    let Some(k) = place else { continue };
                    let by = term.target as f64 * amounts[term.resource.index()] - amounts[term.other.index()];
                    let by = part(by.abs() * count, whole(k, term));
                    balance[k * terms.len() + b] += by;
                    length += by;
                }
                if has_budget && !own.pieces.is_empty() && !matches!(option, Way::Home(_)) {
                    budget += part(count, running);
                    length += part(count, running);
                }
                longest[kind] = longest[kind].max(length);
            }
        }
        // Prices count in units of what there is, and so do steps: once for the price, once for the use.
        let weight = self.weight(&most);
        let step = |sum: f64, whole: f64| if sum > 0.0 && whole > 0.0 { weight / (sum * whole * whole) } else { 0.0 };
        self.paid_step = paid.iter().zip(&most).map(|(sum, most)| step(*sum, *most)).collect();
        self.arrival_step = arrival.iter().zip(&most).map(|(sum, most)| step(*sum, *most)).collect();
        let at = |i: usize| whole(i / terms.len(), &terms[i % terms.len()]);
        self.balance_step = balance.iter().enumerate().map(|(i, sum)| step(*sum, at(i))).collect();
        self.budget_step = step(budget, running);
        let inverse = |length: &f64| if *length > 0.0 { 1.0 / (length * weight) } else { 1.0 / weight };
        self.mix_step = longest.iter().map(inverse).collect();
    }

    /// True for what is held at both ends until all moves are done.
    fn is_held(&self, column: usize) -> bool {
        let problem = self.form.problem;
        problem.moves.simultaneous && column < self.form.width && problem.resources[column].transient
    }

    /// How much further prices step than mixes: what all of a place is worth, root of the mean square. By load, or by what tasks
    /// are worth that require it.
    fn weight(&self, most: &[f64]) -> f64 {
        let form = self.form;
        let tasks = || form.kinds.iter().map(|kind| (&form.problem.tasks[kind.first.index()], kind.count as f64));
        let worth: f64 = tasks().map(|(task, count)| task.weight as f64 * count).sum();
        let rate = |c: usize| {
            let load = form.problem.resources.get(c).map_or(0, |resource| resource.load_weight);
            let required =
                tasks().enumerate().map(|(kind, (_, count))| self.requirement[kind * form.columns + c] * count);
            let required: f64 = required.sum();
            match load {
                0 if required > 0.0 => worth / required,
                load => load as f64,
            }
        };
        let rates: Vec<f64> = (0..form.columns).map(rate).collect();
        let worths = most.iter().enumerate().map(|(cell, most)| most * rates[cell % form.columns]);
        let mean = worths.map(|worth| worth * worth).sum::<f64>() / most.len().max(1) as f64;
        mean.sqrt().max(1.0)
    }

    /// Everything where it is, at the prices of a state.
    fn start(&self, state: &State) -> Point {
        let mut mix = vec![0.0; self.options.len()];
        self.first.windows(2).filter(|ends| ends[0] < ends[1]).for_each(|ends| mix[ends[0]] = 1.0);
        let (paid, arrival, balance) = (state.paid.clone(), state.arrival.clone(), state.balance.clone());
        Point { mix, paid, arrival, balance, budget: [state.budget] }
    }

    /// The prices of a point; what it knows nothing of is as in `start`.
    fn state(&self, start: &State, point: &Point) -> State {
        let (paid, arrival, balance) = (point.paid.clone(), point.arrival.clone(), point.balance.clone());
        State { paid, arrival, balance, budget: point.budget[0], group: start.group.clone() }
    }
}

/// A point on its way.
struct Walk {
    point: Point,
    /// Twice the new mix less the old one, of one kind.
    mixed: Vec<f64>,
}

impl Walk {
    fn step(&mut self, table: &Table) {
        let form = table.form;
        let columns = form.columns;
        let terms = &form.problem.objective.balance;
        let rent = self.rent(table);
        let mut entry = rent.clone();
        entry.iter_mut().zip(&self.point.arrival).for_each(|(sum, own)| *sum += own);
        let mut used = table.fixed.clone();
        let mut arrived = vec![0.0; self.point.arrival.len()];
        let mut moved = 0.0;
        for kind in 0..form.kinds.len() {
            let (own, count) = (&form.kinds[kind], form.kinds[kind].count as f64);
            let range = table.first[kind]..table.first[kind + 1];
            let amounts = &table.requirement[kind * columns..][..columns];
            let at_home = table.at_home(kind);
            let fee = if own.pieces.is_empty() { 0.0 } else { self.point.budget[0] };
            let mix = &mut self.point.mix[range.clone()];
            let options = &table.options[range.clone()];
            self.mixed.clear();
            for ((part, option), cost) in mix.iter().zip(options).zip(&table.cost[range]) {
                let pays = match option {
                    Way::Out => fee,
                    Way::Home(k) => dot(&rent[*k as usize * columns..][..at_home], &amounts[..at_home]),
                    Way::Come(k) => fee + dot(&entry[*k as usize * columns..][..columns], amounts),
                };
                self.mixed.push(part - table.mix_step[kind] * count * (cost + pays));
            }
            onto_simplex(&mut self.mixed);
            for ((part, option), new) in mix.iter_mut().zip(options).zip(&self.mixed) {
                let by = (2.0 * new - *part) * count;
                *part = *new;
                if by == 0.0 {
                    continue;
                }
                let (place, seen) = match option {
                    Way::Out => (0, 0),
                    Way::Home(place) => (*place as usize, at_home),
                    Way::Come(place) => (*place as usize, columns),
                };
                let row = place * columns..place * columns + seen;
                used[row.clone()].iter_mut().zip(amounts).for_each(|(sum, amount)| *sum += by * amount);
                if matches!(option, Way::Come(_)) && !arrived.is_empty() {
                    arrived[row].iter_mut().zip(amounts).for_each(|(sum, amount)| *sum += by * amount);
                }
                if !own.pieces.is_empty() && !matches!(option, Way::Home(_)) {
                    moved += by;
                }
            }
        }
        for k in 0..form.places.len() {
            self.place(table, k, &used[k * columns..][..columns]);
            for (c, room) in form.places[k].room.iter().enumerate().filter(|(c, _)| table.is_held(*c)) {
                let cell = k * columns + c;
                let by = arrived[cell] - *room as f64 / ONE as f64;
                self.point.arrival[cell] = (self.point.arrival[cell] + table.arrival_step[cell] * by).max(0.0);
            }
            let capacity = form.problem.allocatable(form.places[k].first());
            for (b, term) in terms.iter().enumerate() {
                let at = k * terms.len() + b;
                let count = form.places[k].count() as f64;
                let free = |r: usize| capacity[r] as f64 * count - used[k * columns + r];
                let missing = term.target as f64 * free(term.resource.index()) - free(term.other.index());
                let price = self.point.balance[at] + table.balance_step[at] * missing;
                self.point.balance[at] = price.clamp(0.0, term.weight as f64);
            }
        }
        let beyond = moved - form.problem.moves.max_moves.map_or(0.0, f64::from);
        self.point.budget[0] = (self.point.budget[0] + table.budget_step * beyond).max(0.0);
    }

    /// What a unit pays where it is used, balance included. Shape: places × columns.
    fn rent(&self, table: &Table) -> Vec<f64> {
        let (columns, terms) = (table.form.columns, &table.form.problem.objective.balance);
        let mut rent = self.point.paid.clone();
        for (i, price) in self.point.balance.iter().enumerate() {
            let (k, term) = (i / terms.len(), &terms[i % terms.len()]);
            rent[k * columns + term.resource.index()] -= price * term.target as f64;
            rent[k * columns + term.other.index()] += price;
        }
        rent
    }

    /// New prices of what a place uses: of all that it could use at them, what is nearest to what it does decides.
    fn place(&mut self, table: &Table, k: usize, used: &[f64]) {
        let form = table.form;
        let soft = form.problem.soft_limit(form.places[k].first());
        for (c, most) in table.most(k).into_iter().enumerate() {
            let cell = k * form.columns + c;
            let step = table.paid_step[cell];
            if step == 0.0 {
                continue;
            }
            let price = self.point.paid[cell] + step * used[c];
            let wish = price / step;
            let takes = if c < form.width {
                let weight = form.problem.resources[c].load_weight as f64;
                let soft = (soft[c] as f64 * form.places[k].count() as f64).min(most);
                let loaded = wish - weight / step;
                if wish <= soft { wish.max(0.0) } else { loaded.max(soft) }
            } else {
                wish
            };
            self.point.paid[cell] = price - step * takes.min(most);
        }
    }
}

/// Σ price · amount.
fn dot(price: &[f64], amount: &[f64]) -> f64 {
    price.iter().zip(amount).map(|(price, amount)| price * amount).sum()
}

/// The nearest parts that are ≥ 0 and sum to 1: so much is taken off each that those that stay above 0 do (Michelot 1986).
fn onto_simplex(parts: &mut [f64]) {
    // Counted from the largest, so that 1 matters however far they are from 0.
    let top = parts.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    parts.iter_mut().for_each(|part| *part -= top);
    let (mut above, mut count) = (f64::NEG_INFINITY, usize::MAX);
    loop {
        let inside = parts.iter().filter(|part| **part > above);
        let (sum, now) = inside.fold((0.0, 0usize), |(sum, count), part| (sum + part, count + 1));
        if now >= count || now == 0 {
            break;
        }
        (above, count) = ((sum - 1.0) / now as f64, now);
    }
    parts.iter_mut().for_each(|part| *part = (*part - above).max(0.0));
}

#[cfg(test)]
mod tests {
    use super::onto_simplex;

    #[test]
    fn a_mix_is_the_nearest_on_the_simplex() {
        let cases: [(&[f64], &[f64]); 5] = [
            (&[5.0], &[1.0]),
            (&[0.5, 0.5], &[0.5, 0.5]),
            (&[3.0, 0.0, -9.0], &[1.0, 0.0, 0.0]),
            (&[1.0, 0.5, -2.0], &[0.75, 0.25, 0.0]),
            (&[1e30, 1e30, 0.0], &[0.5, 0.5, 0.0]),
        ];
        for (parts, wanted) in cases {
            let mut mix = parts.to_vec();
            onto_simplex(&mut mix);
            assert_eq!(mix, wanted);
        }
    }
}
