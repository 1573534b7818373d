//! How is one node shared out as well as can be? The best shares of all elastic tasks on a node at once.
//!
//! Everything else on the node is settled, so what is left is a small concave program:
//!
//! ```text
//! maximise    Σ_i weight_i · x_i − Σ_q cost_q(Σ_i factor_qi · x_i)
//! subject to  least_i ≤ x_i ≤ 1 for every task i,  Σ_i requirement_ir · x_i ≤ room_r for every resource r
//! ```
//!
//! A quantity q is the use of a resource (its costs are load and variance, the room ends its range) or what a balance term misses. A
//! convex cost is a row of segments with rising slopes, so this is a linear program with a row per quantity, and with the least
//! shares as a corner to begin from. A square is the limit of its tangents: one more is laid where the answer lies, until it touches.
//!
//! f64 only says where to look: the simplex method below has bounds on every column, a dense tableau and no clock, so it walks the
//! same way everywhere. Its corner is rounded down to whole parts, which keeps every room; then single tasks take the best step that is
//! left to them, and integers say whether all that beats what was there. What rounding loses:
//!
//! * value, load, balance: less than one part (1/720,720) of every task on the node, what it is worth and what it costs, as `exact` has it;
//! * variance, which counts in whole levels: less than the points of one level of each resource beyond that.

use super::fill::best_parts;
use crate::model::{NodeId, Problem, ROOT_BITS, SHARE_ONE, TaskId, UTILISATION_MAX, node_cost};

/// Reduced costs and changes below this are none, in a program whose largest figures are 1.
const NOTHING: f64 = 1e-11;
/// So near below a whole part is that part.
const WHOLE: f64 = 1e-6;
/// Tangents are laid until the answer is within this many points of its square, or this often.
const TOUCH: f64 = 0.05;
/// See [`TOUCH`].
const TANGENT_ROUNDS: usize = 64;
/// Rounds of single steps at the end; two are usual.
const STEP_ROUNDS: usize = 4;

/// An elastic task on the node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holder {
    pub task: TaskId,
    pub least: u32,
    /// Parts that it has in `used`.
    pub parts: u32,
}

/// Better shares for the tasks of a node than they have, in parts; `None` where none are known.
pub(super) fn better(
    problem: &Problem,
    node: NodeId,
    holders: &[Holder],
    room: &[i128],
    used: &[i128],
) -> Option<Vec<u32>> {
    let share = Node::new(problem, node, holders, room, used)?;
    let before: Vec<u32> = holders.iter().map(|holder| holder.parts).collect();
    let mut best: Option<(i128, Vec<u32>)> = None;
    let mut tangents: Vec<Vec<f64>> = share.quantities.iter().map(Quantity::first_tangents).collect();
    for _ in 0..TANGENT_ROUNDS {
        let shares = share.corner(&tangents);
        let parts = share.stepped(share.rounded(&shares));
        let points = share.points(&parts);
        if best.as_ref().is_none_or(|(most, _)| points > *most) {
            best = Some((points, parts));
        }
        let mut apart = 0.0;
        for (quantity, tangents) in share.quantities.iter().zip(&mut tangents) {
            let at = quantity.at(&shares);
            let gap = quantity.gap(tangents, at);
            if gap > 0.0 {
                apart += gap;
                tangents.push(at);
                tangents.sort_by(f64::total_cmp);
            }
        }
        if apart <= TOUCH {
            break;
        }
    }
    best.filter(|(points, _)| *points > share.points(&before)).map(|(_, parts)| parts)
}

/// A node and who shares it.
struct Node<'a> {
    problem: &'a Problem,
    node: NodeId,
    holders: &'a [Holder],
    /// What may be used, never less than what is used anyway.
    room: Vec<i128>,
    /// What is used while everyone has the least share.
    base: Vec<i128>,
    quantities: Vec<Quantity>,
}

/// A sum over the shares that has a cost or a limit; it is 0 while everyone has the least share.
struct Quantity {
    /// Per whole task. Shape: holders.
    factors: Vec<f64>,
    /// Range.
    low: f64,
    high: f64,
    /// From here on each unit costs so much.
    bend: Option<(f64, f64)>,
    /// Level at 0 less the mark, and levels per unit.
    level: Option<(f64, f64)>,
}

impl<'a> Node<'a> {
    /// `None` where there is nothing to share out.
    fn new(
        problem: &'a Problem,
        node: NodeId,
        holders: &'a [Holder],
        room: &[i128],
        used: &[i128],
    ) -> Option<Node<'a>> {
        let one = i128::from(SHARE_ONE);
        let mut base = used.to_vec();
        for holder in holders {
            for (slot, amount) in base.iter_mut().zip(problem.requirement(holder.task)) {
                *slot -= i128::from(*amount) * i128::from(holder.parts - holder.least);
            }
        }
        let room: Vec<i128> = room.iter().zip(&base).map(|(room, base)| *room.max(base)).collect();
        let units = |scaled: i128| scaled as f64 / one as f64;
        let grows = |holder: &&Holder| holder.least < SHARE_ONE;
        let factor = |holder: &Holder, r: usize| problem.requirement(holder.task)[r];
        let mut quantities = Vec::new();
        for r in (0..base.len()).filter(|r| holders.iter().filter(grows).any(|holder| factor(holder, *r) > 0)) {
            let soft = i128::from(problem.soft_limit(node)[r]) * one;
            let weight = problem.resources[r].load_weight;
            let term = problem.objective.variance.iter().find(|term| term.resource.index() == r);
            let allocatable = problem.allocatable(node)[r];
            let level =
                term.filter(|_| (0..i128::from(allocatable * UTILISATION_MAX) * one).contains(&base[r])).map(|term| {
                    let per_unit = term.factor(allocatable) as f64 / (1u64 << (term.bits + ROOT_BITS)) as f64;
                    (units(base[r]) * per_unit - term.mark as f64, per_unit)
                });
            quantities.push(Quantity {
                factors: holders.iter().map(|holder| factor(holder, r) as f64).collect(),
                low: 0.0,
                high: units(room[r] - base[r]),
                bend: (weight > 0).then(|| (units(soft - base[r]), weight as f64)),
                level,
            });
        }
        for term in problem.objective.balance.iter().filter(|term| term.weight > 0) {
            let (r, o) = (term.resource.index(), term.other.index());
            let free = |r: usize| i128::from(problem.allocatable(node)[r]) * one - base[r];
            let missing = i128::from(term.target) * free(r) - free(o);
            let factors: Vec<f64> =
                holders.iter().map(|h| factor(h, o) as f64 - term.target as f64 * factor(h, r) as f64).collect();
            let reach = |sign: f64| factors.iter().map(|factor| (factor * sign).max(0.0)).sum::<f64>() * sign;
            let (low, high) = (reach(-1.0), reach(1.0));
            quantities.push(Quantity {
                factors,
                low,
                high,
                bend: Some((-units(missing), term.weight as f64)),
                level: None,
            });
        }
        let is_dear = |quantity: &Quantity| quantity.bend.is_some() || quantity.level.is_some();
        let is_open = holders.iter().any(|holder| holder.parts < SHARE_ONE) || quantities.iter().any(is_dear);
        (is_open && !quantities.is_empty()).then_some(Node { problem, node, holders, room, base, quantities })
    }

    /// What each has beyond its least share in the best corner of the program with these tangents.
    fn corner(&self, tangents: &[Vec<f64>]) -> Vec<f64> {
        let width = |holder: &Holder| f64::from(SHARE_ONE - holder.least) / f64::from(SHARE_ONE);
        let weight = |holder: &Holder| self.problem.tasks[holder.task.index()].weight as f64;
        let mut simplex = Simplex::default();
        for holder in self.holders {
            simplex.columns.push(Column { points: weight(holder), width: width(holder) });
        }
        for (quantity, tangents) in self.quantities.iter().zip(tangents) {
            let scale = quantity.factors.iter().fold(0.0, |most: f64, factor| most.max(factor.abs()));
            if scale > 0.0 {
                let factors = quantity.factors.iter().map(|factor| factor / scale).collect();
                let segments = quantity.segments(tangents).into_iter();
                let segments = segments.map(|(width, slope)| Column { points: -slope * scale, width: width / scale });
                simplex.row(factors, quantity.low / scale, segments.collect());
            }
        }
        simplex.solve();
        simplex.values(self.holders.len())
    }

    /// The parts that these shares come to, rounded down and within every room.
    fn rounded(&self, shares: &[f64]) -> Vec<u32> {
        let whole = |(holder, share): (&Holder, &f64)| {
            let more = (share * f64::from(SHARE_ONE) + WHOLE).floor().max(0.0);
            holder.least + (more as u32).min(SHARE_ONE - holder.least)
        };
        let mut parts: Vec<u32> = self.holders.iter().zip(shares).map(whole).collect();
        for r in 0..self.base.len() {
            let mut over = self.used(&parts)[r] - self.room[r];
            for (holder, parts) in self.holders.iter().zip(&mut parts) {
                let amount = i128::from(self.problem.requirement(holder.task)[r]);
                if over > 0 && amount > 0 {
                    let less = ((over + amount - 1) / amount).min(i128::from(*parts - holder.least));
                    *parts -= less as u32;
                    over -= amount * less;
                }
            }
        }
        parts
    }

    /// The same after the best step of each task alone, one after the other, until none is left.
    fn stepped(&self, mut parts: Vec<u32>) -> Vec<u32> {
        let mut used = self.used(&parts);
        for _ in 0..STEP_ROUNDS {
            let before = parts.clone();
            for (holder, parts) in self.holders.iter().zip(&mut parts) {
                let requirement = self.problem.requirement(holder.task);
                let mut add = |parts: i128| {
                    used.iter_mut().zip(requirement).for_each(|(used, amount)| *used += i128::from(*amount) * parts);
                    used.clone()
                };
                let others = add(i128::from(holder.least) - i128::from(*parts));
                let most = SHARE_ONE - holder.least;
                let more = best_parts(self.problem, holder.task, self.node, &self.room, &others, most);
                *parts = holder.least + more;
                add(i128::from(more));
            }
            if parts == before {
                break;
            }
        }
        parts
    }

    fn used(&self, parts: &[u32]) -> Vec<i128> {
        let mut used = self.base.clone();
        for (holder, parts) in self.holders.iter().zip(parts) {
            for (slot, amount) in used.iter_mut().zip(self.problem.requirement(holder.task)) {
                *slot += i128::from(*amount) * i128::from(parts - holder.least);
            }
        }
        used
    }

    /// Scaled points of the node with these parts.
    fn points(&self, parts: &[u32]) -> i128 {
        let value = |(holder, parts): (&Holder, &u32)| {
            i128::from(self.problem.tasks[holder.task.index()].weight) * i128::from(*parts)
        };
        let costs = node_cost(self.problem, self.node, &self.used(parts));
        self.holders.iter().zip(parts).map(value).sum::<i128>() - costs.into_iter().sum::<i128>()
    }
}

impl Quantity {
    fn at(&self, shares: &[f64]) -> f64 {
        let sum: f64 = self.factors.iter().zip(shares).map(|(factor, share)| factor * share).sum();
        sum.clamp(self.low, self.high)
    }

    /// One at either end.
    fn first_tangents(&self) -> Vec<f64> {
        if self.level.is_some() { vec![self.low, self.high] } else { Vec::new() }
    }

    /// How far the highest tangent is below the square.
    fn gap(&self, tangents: &[f64], at: f64) -> f64 {
        let Some((_, per_unit)) = self.level else { return 0.0 };
        let nearest = tangents.iter().map(|point| (point - at).abs()).fold(f64::INFINITY, f64::min);
        (nearest * per_unit).powi(2)
    }

    /// The range in pieces: how wide, and what a unit costs there. Slopes rise.
    fn segments(&self, tangents: &[f64]) -> Vec<(f64, f64)> {
        // Two tangents of a square meet halfway.
        let halfway = tangents.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0);
        let mut ends: Vec<f64> = halfway.chain(self.bend.map(|(from, _)| from)).collect();
        ends.retain(|end| (self.low..self.high).contains(end) && *end > self.low);
        ends.push(self.high);
        ends.sort_by(f64::total_cmp);
        let mut from = self.low;
        let segment = |to: f64| {
            let middle = (from + to) / 2.0;
            let tangent = tangents.iter().copied().min_by(|a, b| (a - middle).abs().total_cmp(&(b - middle).abs()));
            let square = tangent
                .zip(self.level)
                .map_or(0.0, |(point, (level, per_unit))| 2.0 * (level + point * per_unit) * per_unit);
            let load = self.bend.map_or(0.0, |(bend, slope)| if middle > bend { slope } else { 0.0 });
            let width = to - from;
            from = to;
            (width, square + load)
        };
        ends.into_iter().map(segment).collect()
    }
}

/// An unknown from 0 to `width`.
struct Column {
    points: f64,
    width: f64,
}

/// Maximises points over columns with bounds. A row says that a sum over the first columns is a sum over the row's own segments.
#[derive(Default)]
struct Simplex {
    columns: Vec<Column>,
    /// factors over the first columns, first own column, value of the basic one.
    rows: Vec<Row>,
    /// Nonbasic columns that are at their upper end.
    is_full: Vec<bool>,
}

struct Row {
    factors: Vec<f64>,
    segments: std::ops::Range<usize>,
    basic: usize,
    value: f64,
}

impl Simplex {
    /// Σ factors · columns = low + Σ segments; both sides are 0 while the first columns are.
    fn row(&mut self, factors: Vec<f64>, low: f64, segments: Vec<Column>) {
        let first = self.columns.len();
        self.columns.extend(segments);
        self.is_full.resize(self.columns.len(), false);
        let last = self.columns.len() - 1;
        let (mut value, mut basic) = (-low, first);
        while basic < last && value >= self.columns[basic].width {
            value -= self.columns[basic].width;
            self.is_full[basic] = true;
            basic += 1;
        }
        self.rows.push(Row { factors, segments: first..last + 1, basic, value });
    }

    fn values(&self, count: usize) -> Vec<f64> {
        let mut values: Vec<f64> =
            (0..count).map(|j| if self.is_full[j] { self.columns[j].width } else { 0.0 }).collect();
        for row in self.rows.iter().filter(|row| row.basic < count) {
            values[row.basic] = row.value.clamp(0.0, self.columns[row.basic].width);
        }
        values
    }

    /// From the corner it begins in, along edges that gain, to one without such. Ends early, in a corner, when it goes in circles.
    fn solve(&mut self) {
        let width = self.columns.len();
        let dearest = self.columns.iter().map(|column| column.points.abs()).fold(1.0, f64::max);
        self.columns.iter_mut().for_each(|column| column.points /= dearest);
        self.is_full.resize(width, false);
        let mut tableau: Vec<Vec<f64>> = Vec::with_capacity(self.rows.len() + 1);
        let mut gains: Vec<f64> = self.columns.iter().map(|column| column.points).collect();
        for row in &self.rows {
            let mut line = vec![0.0; width];
            line.iter_mut().zip(&row.factors).for_each(|(slot, factor)| *slot = -factor);
            line[row.segments.clone()].fill(1.0);
            let price = self.columns[row.basic].points;
            gains.iter_mut().zip(&line).for_each(|(gain, factor)| *gain -= price * factor);
            tableau.push(line);
        }
        let usual = 8 * (width + self.rows.len());
        for step in 0..4 * usual {
            let Some(enters) = self.entering(&gains, step > usual) else { return };
            self.enter(enters, &mut tableau, &mut gains);
        }
    }

    /// The column that gains most per unit; the first that gains anything where that may go in circles.
    fn entering(&self, gains: &[f64], is_careful: bool) -> Option<usize> {
        let is_basic = |j: usize| self.rows.iter().any(|row| row.basic == j);
        let gain = |j: usize| if self.is_full[j] { -gains[j] } else { gains[j] };
        let mut best: Option<usize> = None;
        for j in (0..gains.len()).filter(|j| gain(*j) > NOTHING && self.columns[*j].width > 0.0) {
            if best.is_none_or(|best| gain(j) > gain(best)) && !is_basic(j) {
                best = Some(j);
                if is_careful {
                    break;
                }
            }
        }
        best
    }

    fn enter(&mut self, j: usize, tableau: &mut [Vec<f64>], gains: &mut [f64]) {
        let sign = if self.is_full[j] { -1.0 } else { 1.0 };
        let mut step = self.columns[j].width;
        let mut leaves: Option<usize> = None;
        for (r, (row, line)) in self.rows.iter().zip(tableau.iter()).enumerate() {
            let change = -sign * line[j];
            if change.abs() < NOTHING {
                continue;
            }
            let room = if change < 0.0 { row.value } else { self.columns[row.basic].width - row.value };
            let most = room.max(0.0) / change.abs();
            // Of equals the larger pivot: fewer digits are lost.
            let is_firmer = leaves.is_some_and(|l: usize| most <= step && change.abs() > tableau[l][j].abs());
            if most < step || is_firmer {
                (step, leaves) = (most, Some(r));
            }
        }
        for (row, line) in self.rows.iter_mut().zip(tableau.iter()) {
            row.value -= sign * line[j] * step;
        }
        let Some(r) = leaves else {
            self.is_full[j] = !self.is_full[j];
            return;
        };
        let old = self.rows[r].basic;
        self.is_full[old] = self.rows[r].value > self.columns[old].width / 2.0;
        self.rows[r].basic = j;
        self.rows[r].value = if sign > 0.0 { step } else { self.columns[j].width - step };
        self.is_full[j] = false;
        let pivot = tableau[r][j];
        tableau[r].iter_mut().for_each(|slot| *slot /= pivot);
        let line = std::mem::take(&mut tableau[r]);
        let clear = |row: &mut [f64]| {
            let by = row[j];
            if by != 0.0 {
                row.iter_mut().zip(&line).for_each(|(slot, own)| *slot -= by * own);
                row[j] = 0.0;
            }
        };
        tableau.iter_mut().filter(|row| !row.is_empty()).for_each(|row| clear(row));
        clear(gains);
        tableau[r] = line;
    }
}
