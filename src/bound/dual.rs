//! What do these prices prove, and which way should they go? The bound of `model/proof.rs`, place by place and kind by kind.
//!
//! All of it in integers; the sums over places of what tasks would use are the subgradient that `descend.rs` follows.

use super::form::{Form, Kind};
use super::price::{Best, best_place, dot};
use crate::model::{
    DENOMINATOR_MAX, GroupId, PRICE_MAX, PriceRow, Proof, SHARE_ONE, Share, Sharing, UTILISATION_MAX, Variance,
};
use rayon::prelude::*;
use std::collections::BTreeMap;

pub(super) const ONE: i128 = SHARE_ONE as i128;
/// Sums of the inner loop stay below this.
const NARROW_MAX: i128 = 1 << 62;

/// Prices in 1/denominator points.
#[derive(Debug, Clone)]
pub(super) struct Prices {
    pub denominator: i64,
    /// Shape: places × columns.
    pub usage: Vec<i64>,
    /// Shape: places × columns; 0 for devices. Empty unless moves are simultaneous.
    pub arrival: Vec<i64>,
    /// Shape: places × balance terms.
    pub balance: Vec<i64>,
    /// Shape: places × variance terms.
    pub level: Vec<i64>,
    /// By group.
    pub group: BTreeMap<GroupId, i64>,
    pub budget: i64,
}

/// What prices come to.
#[derive(Debug, Clone)]
pub(super) struct Value {
    /// Scaled bound × denominator.
    pub raw: i128,
    /// Scaled amounts that tasks would use. Shape: places × columns.
    pub used: Vec<i128>,
    /// Scaled amounts that would arrive, less what those at home give back. Shape: places × columns.
    pub arrived: Vec<i128>,
    /// Tasks that would move.
    pub moved: i128,
}

/// What the best-off task of a kind does.
#[derive(Debug, Clone, Copy)]
struct Choice {
    /// Scaled points × denominator.
    value: i128,
    /// Where, with which parts; `None` = nowhere.
    at: Option<(u32, i128)>,
    is_moved: bool,
}

impl Prices {
    /// All 0.
    pub fn zero(form: &Form, denominator: i64) -> Prices {
        let (places, objective) = (form.places.len(), &form.problem.objective);
        let arrival = if form.problem.moves.simultaneous { places * form.columns } else { 0 };
        let marks = objective.variance.iter().map(|term| term.mark);
        Prices {
            denominator: denominator.clamp(1, DENOMINATOR_MAX),
            usage: vec![0; places * form.columns],
            arrival: vec![0; arrival],
            balance: vec![0; places * objective.balance.len()],
            level: marks.clone().cycle().take(places * marks.len()).collect(),
            group: BTreeMap::new(),
            budget: 0,
        }
    }

    /// What a newcomer pays.
    pub fn entry(&self) -> Vec<i64> {
        match self.arrival.is_empty() {
            true => self.usage.clone(),
            false => self.usage.iter().zip(&self.arrival).map(|(usage, arrival)| usage + arrival).collect(),
        }
    }

    /// True when no sum of the inner loop exceeds 64 bits.
    fn fits(&self, form: &Form, entry: &[i64]) -> bool {
        let mut most = vec![0i64; form.columns];
        for row in form.requirement.chunks_exact(form.columns.max(1)) {
            most.iter_mut().zip(row).for_each(|(most, own)| *most = (*most).max(*own));
        }
        let price = |row: &[i64]| -> i128 {
            let sizes = row.iter().zip(&most);
            sizes.map(|(price, most)| i128::from(price.unsigned_abs()) * i128::from(*most)).sum()
        };
        let dearest = entry.chunks_exact(form.columns.max(1)).map(price).max().unwrap_or(0);
        let fee = form.moves.iter().copied().max().unwrap_or(0);
        dearest + i128::from(fee) * i128::from(self.denominator) < NARROW_MAX
    }

    /// The proof that these prices make, with the bound they come to.
    pub fn proof(&self, form: &Form, bound: i128) -> Proof {
        let (width, columns) = (form.width, form.columns);
        let objective = &form.problem.objective;
        let part = |list: &[i64], k: usize, size: usize| list.get(k * size..(k + 1) * size).unwrap_or(&[]).to_vec();
        let rows = form.places.iter().enumerate().map(|(k, place)| {
            let own = &self.usage[k * columns..][..columns];
            let arrival = part(&self.arrival, k, columns);
            let prices = PriceRow {
                nodes: ranges(place.nodes.iter().map(|node| node.0)),
                usage: short(&own[..width]),
                arrival: short(&arrival[..width.min(arrival.len())]),
                device: short(&own[width..]),
                balance: short(&part(&self.balance, k, objective.balance.len())),
                level: short(&part(&self.level, k, objective.variance.len())),
            };
            (prices, &place.largest)
        });
        // Places with the same prices are one row.
        let mut joined: Vec<PriceRow> = Vec::new();
        let mut known = std::collections::HashMap::new();
        for (row, largest) in rows {
            // The verifier takes those of a row together, also in how large a newcomer can be.
            let prices =
                (row.usage.clone(), row.arrival.clone(), row.device.clone(), row.balance.clone(), row.level.clone());
            let key = (prices, largest);
            match known.get(&key) {
                Some(at) => {
                    let same: &mut PriceRow = &mut joined[*at];
                    same.nodes.extend(row.nodes);
                }
                None => {
                    known.insert(key, joined.len());
                    joined.push(row);
                }
            }
        }
        for row in &mut joined {
            let mut nodes: Vec<u32> = row.nodes.iter().flat_map(|(first, last)| *first..=*last).collect();
            nodes.sort_unstable();
            row.nodes = ranges(nodes.into_iter());
        }
        let group = self.group.iter().filter(|(_, price)| **price > 0).map(|(group, price)| (*group, *price)).collect();
        Proof { bound, denominator: self.denominator, rows: joined, group, move_budget: self.budget }
    }
}

/// A list, empty when it has nothing but zeros.
fn short(list: &[i64]) -> Vec<i64> {
    if list.iter().all(|price| *price == 0) { Vec::new() } else { list.to_vec() }
}

/// Ascending numbers as ranges.
fn ranges(numbers: impl Iterator<Item = u32>) -> Vec<(u32, u32)> {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    ranges
}

/// What the prices come to.
pub(super) fn value(form: &Form, prices: &Prices) -> Value {
    let entry = prices.entry();
    let narrow = prices.fits(form, &entry);
    let sheet = Sheet { form, prices, entry: &entry };
    let asked = if narrow { form.desk.ask(form, &entry, prices.denominator) } else { None };
    let best = |kind: usize| match &asked {
        Some(list) => list[kind].map(Best::from),
        None => best_place(form, kind, &entry, prices.denominator, narrow),
    };
    let both: Vec<[Option<Choice>; 2]> =
        (0..form.kinds.len()).into_par_iter().with_min_len(64).map(|kind| sheet.choices(kind, best(kind))).collect();
    let torn = sheet.gangs_that_stay_out(&both);
    let cells = form.places.len() * form.columns;
    let mut value = Value { raw: 0, used: vec![0; cells], arrived: vec![0; cells], moved: 0 };
    for (kind, [placed, out]) in both.iter().enumerate() {
        let choice = match form.kinds[kind].gang {
            Some(gang) if torn[&gang] => out.or(*placed),
            Some(_) => placed.or(*out),
            None => [*out, *placed].into_iter().flatten().max_by_key(|choice| choice.value),
        };
        // The start is one of the choices of every task, so there is one.
        let Some(choice) = choice else { continue };
        sheet.book(kind, &choice, &mut value);
    }
    for k in 0..form.places.len() {
        value.raw += sheet.place(k);
    }
    let most = form.problem.moves.max_moves.map_or(0, i128::from);
    value.raw += i128::from(prices.budget) * most * ONE;
    value
}

/// Prices at work.
struct Sheet<'a> {
    form: &'a Form<'a>,
    prices: &'a Prices,
    entry: &'a [i64],
}

impl Sheet<'_> {
    fn row<'b>(&self, list: &'b [i64], place: u32) -> &'b [i64] {
        let columns = self.form.columns;
        if list.is_empty() { &[] } else { &list[place as usize * columns..][..columns] }
    }

    /// The best choice among those that run, and the choice not to.
    fn choices(&self, kind: usize, best: Option<Best>) -> [Option<Choice>; 2] {
        let (form, own) = (self.form, &self.form.kinds[kind]);
        let d = i128::from(self.prices.denominator);
        let spec = &form.problem.tasks[own.first.index()];
        let worth = i128::from(spec.weight) * d;
        let ran = !own.pieces.is_empty();
        let objective = &form.problem.objective;
        let group = spec.group.and_then(|group| self.prices.group.get(&group)).copied().unwrap_or(0);
        let move_cost = i128::from(objective.task_move_weight) * i128::from(spec.move_cost) * d;
        let fee = if ran { move_cost + i128::from(group) + i128::from(self.prices.budget) } else { 0 };
        if spec.pinned {
            return if ran { [Some(self.pinned(kind, worth)), None] } else { [None, Some(Choice::nowhere(0))] };
        }
        let out = (!ran || spec.evictable).then_some(Choice { value: -fee * ONE, at: None, is_moved: ran });
        let placed = if own.is_fluid {
            self.fluid(kind, worth, fee)
        } else {
            let home = own.pieces.first().map(|(place, share)| self.home(kind, worth, *place, *share));
            let away = match spec.sharing {
                Sharing::Elastic { min } => self.elastic_away(kind, worth, fee, min),
                _ => best.map(|best| Choice {
                    value: (worth - fee - best.cost) * ONE,
                    at: Some((best.place, ONE)),
                    is_moved: ran,
                }),
            };
            [away, home].into_iter().flatten().max_by_key(|choice| choice.value)
        };
        [placed, out]
    }

    /// What a whole task pays at home, without devices when those are not what it asks for.
    fn rent(&self, kind: usize, place: u32) -> i128 {
        let form = self.form;
        let count = if form.kinds[kind].is_loose { form.width } else { form.columns };
        dot(&self.row(&self.prices.usage, place)[..count], &form.requirement(kind)[..count])
    }

    /// What a whole task would pay for arriving.
    fn arriving(&self, kind: usize, place: u32) -> i128 {
        dot(self.row(&self.prices.arrival, place), self.form.requirement(kind))
    }

    fn pinned(&self, kind: usize, worth: i128) -> Choice {
        let width = self.form.width;
        let piece = |(place, share): &(u32, Share)| {
            let usage = &self.row(&self.prices.usage, *place)[..width];
            (worth - dot(usage, &self.form.requirement(kind)[..width])) * i128::from(share.parts())
        };
        let pieces = &self.form.kinds[kind].pieces;
        Choice { value: pieces.iter().map(piece).sum(), at: None, is_moved: false }
    }

    fn home(&self, kind: usize, worth: i128, place: u32, share: Share) -> Choice {
        let spec = &self.form.problem.tasks[self.form.kinds[kind].first.index()];
        let arriving = self.arriving(kind, place);
        let back = arriving * i128::from(share.parts());
        let run = match spec.sharing {
            Sharing::Elastic { .. } => worth - self.rent(kind, place) - arriving,
            _ => worth - self.rent(kind, place),
        };
        let (parts, back) = match spec.sharing {
            Sharing::Elastic { min } if run < 0 => (i128::from(min.parts()), back),
            Sharing::Elastic { .. } => (ONE, back),
            _ => (ONE, 0),
        };
        Choice { value: run * parts + back, at: Some((place, parts)), is_moved: false }
    }

    fn elastic_away(&self, kind: usize, worth: i128, fee: i128, min: Share) -> Option<Choice> {
        let own = &self.form.kinds[kind];
        let d = i128::from(self.prices.denominator);
        let admitted = (0..self.form.places.len()).filter(|k| self.form.admits(own.mask, *k));
        let choice = |k: usize| {
            let run = worth - dot(self.row(self.entry, k as u32), self.form.requirement(kind));
            let parts = if run < 0 { i128::from(min.parts()) } else { ONE };
            let cost = fee + i128::from(self.form.move_points(own.from, k)) * d;
            Choice { value: run * parts - cost * ONE, at: Some((k as u32, parts)), is_moved: fee > 0 }
        };
        admitted.map(choice).max_by_key(|choice| choice.value)
    }

    /// Any share over any nodes: per part, the best place counts. Staying and leaving differ in the fee alone.
    fn fluid(&self, kind: usize, worth: i128, fee: i128) -> Option<Choice> {
        let own = &self.form.kinds[kind];
        let per_part = |place: u32| {
            let newcomer = dot(self.row(self.entry, place), self.form.requirement(kind));
            let here = self.rent(kind, place) + self.arriving(kind, place);
            worth - if self.form.admits(own.mask, place as usize) { newcomer.min(here) } else { here }
        };
        let back: i128 = own.pieces.iter().map(|(place, share)| self.arriving(kind, *place) * parts(*share)).sum();
        let best = |places: &mut dyn Iterator<Item = u32>, fee: i128, is_moved: bool| {
            let best = places.map(|place| (per_part(place), place)).max_by_key(|(run, _)| *run)?;
            let at = (best.1, if best.0 > 0 { ONE } else { 0 });
            Some(Choice { value: best.0.max(0) * ONE + back - fee * ONE, at: Some(at), is_moved })
        };
        let homes = || own.pieces.iter().map(|(place, _)| *place);
        let admitted = (0..self.form.places.len() as u32).filter(|k| self.form.admits(own.mask, *k as usize));
        let stay = best(&mut homes(), 0, false);
        let leave = best(&mut homes().chain(admitted), fee, fee > 0);
        [leave, stay].into_iter().flatten().max_by_key(|choice| choice.value)
    }

    /// For every gang whether all of it had better stay out.
    fn gangs_that_stay_out(&self, both: &[[Option<Choice>; 2]]) -> BTreeMap<GroupId, bool> {
        // Sum of each way, and whether a member has no such choice.
        let mut sums: BTreeMap<GroupId, [(i128, bool); 2]> = BTreeMap::new();
        for (kind, choices) in both.iter().enumerate() {
            let Kind { gang: Some(gang), count, .. } = self.form.kinds[kind] else { continue };
            let sums = sums.entry(gang).or_insert([(0, true); 2]);
            for (sum, choice) in sums.iter_mut().zip(choices) {
                match choice {
                    Some(choice) => sum.0 += choice.value * count,
                    None => sum.1 = false,
                }
            }
        }
        let out = |[(placed, can_run), (out, can_stop)]: [(i128, bool); 2]| can_stop && (!can_run || out > placed);
        sums.into_iter().map(|(gang, sums)| (gang, out(sums))).collect()
    }

    /// Adds a choice to the sums.
    fn book(&self, kind: usize, choice: &Choice, value: &mut Value) {
        let (form, own) = (self.form, &self.form.kinds[kind]);
        value.raw += choice.value * own.count;
        value.moved += if choice.is_moved { own.count } else { 0 };
        let is_pinned = form.problem.tasks[own.first.index()].pinned;
        let add = |list: &mut Vec<i128>, place: u32, parts: i128, count: usize| {
            let row = &mut list[place as usize * form.columns..][..count];
            row.iter_mut().zip(form.requirement(kind)).for_each(|(sum, own_amount)| {
                *sum += i128::from(*own_amount) * parts * own.count;
            });
        };
        if is_pinned {
            own.pieces.iter().for_each(|(place, share)| add(&mut value.used, *place, parts(*share), form.width));
            return;
        }
        let Some((place, parts)) = choice.at else { return };
        let at_home = !choice.is_moved && own.pieces.iter().any(|(home, _)| *home == place);
        add(&mut value.used, place, parts, if at_home && own.is_loose { form.width } else { form.columns });
        if !self.prices.arrival.is_empty() && (!at_home || parts != ONE || own.is_fluid) {
            let before = own.pieces.iter().find(|(home, _)| at_home && *home == place);
            let before = before.map_or(0, |(_, share)| i128::from(share.parts()));
            add(&mut value.arrived, place, parts - before, form.width);
        }
    }

    /// What the nodes of a place make.
    fn place(&self, k: usize) -> i128 {
        let (form, prices) = (self.form, self.prices);
        let place = &form.places[k];
        let node = place.first();
        let d = i128::from(prices.denominator);
        let soft = form.problem.soft_limit(node);
        let usage = self.row(&prices.usage, k as u32);
        let Net { mut fixed, price } = net(form, prices, k);
        let mut best = 0;
        for r in 0..form.width {
            let weight = i128::from(form.problem.resources[r].load_weight) * d;
            let at = |used: i128| price[r] * used - weight * (used - i128::from(soft[r]) * ONE).max(0);
            let middle = (i128::from(soft[r]) * ONE).min(place.limit[r]);
            best += at(middle).max(at(place.limit[r])).max(0);
        }
        for (price, room) in usage[form.width..].iter().zip(&place.device) {
            best += i128::from(*price) * room * ONE;
        }
        let objective = &form.problem.objective;
        let rate = i128::from(objective.price_weight) * i128::from(form.problem.nodes[node.index()].price) * d * ONE;
        fixed += (best - rate).max(0);
        let arrival = self.row(&prices.arrival, k as u32);
        let room: i128 = arrival.iter().zip(&place.room).map(|(price, room)| i128::from(*price) * room).sum();
        fixed * place.count() + room
    }
}

/// What one node of a place is paid per unit, net of balance and variance, and what these two cost whatever it uses.
pub(super) struct Net {
    pub fixed: i128,
    /// Shape: resources.
    pub price: Vec<i128>,
}

pub(super) fn net(form: &Form, prices: &Prices, k: usize) -> Net {
    let objective = &form.problem.objective;
    let node = form.places[k].first();
    let capacity = form.problem.allocatable(node);
    let usage = &prices.usage[k * form.columns..][..form.width];
    let mut net = Net { fixed: 0, price: usage.iter().map(|price| i128::from(*price)).collect() };
    for (b, term) in objective.balance.iter().enumerate() {
        let by = i128::from(prices.balance[k * objective.balance.len() + b]);
        let (own, other, target) = (term.resource.index(), term.other.index(), i128::from(term.target));
        net.price[own] += by * target;
        net.price[other] -= by;
        net.fixed -= by * (target * i128::from(capacity[own]) - i128::from(capacity[other])) * ONE;
    }
    for (v, term) in objective.variance.iter().enumerate() {
        let r = term.resource.index();
        let level = prices.level[k * objective.variance.len() + v];
        if let Some((fixed, slope)) = tangent(term, capacity[r], form.places[k].limit[r], level, prices.denominator) {
            net.fixed -= fixed;
            net.price[r] -= slope;
        }
    }
    net
}

/// Scaled points × denominator that a node has at least: fixed + slope · used. `None` where it may use more than counts.
///
/// ```text
/// points = (level − mark)² ≥ (at − mark)² + g · (level − at)       g = 2 · (at − mark)
/// level  = y + rounding of at most ½ either way                     y = used · factor / 2^shift
/// ```
fn tangent(term: &Variance, capacity: i64, limit: i128, at: i64, denominator: i64) -> Option<(i128, i128)> {
    if capacity == 0 || limit > i128::from(UTILISATION_MAX * capacity) * ONE {
        return None;
    }
    let d = i128::from(denominator);
    let off = i128::from(at) - i128::from(term.mark);
    let fixed = off * off - 2 * off * i128::from(at) - off.abs();
    let shift = term.bits + crate::model::ROOT_BITS;
    // Amounts are ≥ 0, so a slope rounded down is still below.
    let slope = (2 * off * term.factor(capacity) * d) >> shift;
    Some((fixed * d * ONE, slope))
}

fn parts(share: Share) -> i128 {
    i128::from(share.parts())
}

impl Choice {
    fn nowhere(value: i128) -> Choice {
        Choice { value, at: None, is_moved: false }
    }
}

/// A price within what proofs may hold.
pub(super) fn within(price: f64) -> i64 {
    // Far below the limit: usage and arrival are added up, and so are terms of balance.
    (price.round() as i64).clamp(-PRICE_MAX / 4, PRICE_MAX / 4)
}
