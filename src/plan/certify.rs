//! What do the prices of a plan prove? The bound of `model/proof.rs`, worked out a second time.
//!
//! Nothing of `bound/` is used here. Any prices make a valid bound, so nothing needs to be believed; prices that mean nothing
//! (a wrong sign, more than a weight, a row of the wrong length, a node named twice) are refused. All sums are checked: what
//! does not fit 128 bits is refused too.

use super::recount::{Held, held, refusal, suits};
use crate::model::{
    DENOMINATOR_MAX, DEVICE_MILLI, DEVICE_ROW_COUNT, GroupId, NodeId, PRICE_MAX, Place, PriceRow, Problem, Proof, Rule,
    SHARE_ONE, Sharing, Spot, Task, TaskId, UTILISATION_MAX, Violation,
};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};

const ONE: i128 = SHARE_ONE as i128;
/// Tasks that are looked at together: so many that who may enter where is seldom asked twice.
const PART: usize = 8192;
/// Said where a sum does not fit.
const TOO_LARGE: &str = "a sum does not fit 128 bits";

/// The scaled bound that the prices prove for never-worse placements, given what is broken at the start.
///
/// # Errors
/// Why the prices are refused.
pub(super) fn certify(problem: &Problem, start: &[Violation], proof: &Proof) -> Result<i128, String> {
    let row_of = shape(problem, proof)?;
    let zeros = PriceRow {
        nodes: Vec::new(),
        usage: vec![0; problem.resources.len()],
        arrival: vec![0; problem.resources.len()],
        device: vec![0; problem.device_kinds.len() * problem.device_row_count()],
        balance: vec![0; problem.objective.balance.len()],
        level: vec![0; problem.objective.variance.len()],
    };
    // An empty list stands for zeros.
    let full = |list: &[i64], zeros: &[i64]| if list.is_empty() { zeros.to_vec() } else { list.to_vec() };
    let mut rows: Vec<PriceRow> = Vec::with_capacity(proof.rows.len() + 1);
    for row in &proof.rows {
        rows.push(PriceRow {
            nodes: Vec::new(),
            usage: full(&row.usage, &zeros.usage),
            arrival: full(&row.arrival, &zeros.arrival),
            device: full(&row.device, &zeros.device),
            balance: full(&row.balance, &zeros.balance),
            level: full(&row.level, &zeros.level),
        });
    }
    rows.push(zeros);
    let book = Book::new(problem, start, proof, &rows, row_of);
    let raw = book.total().ok_or(TOO_LARGE)?;
    let unit = unit(problem);
    Ok(raw.div_euclid(i128::from(proof.denominator)).div_euclid(unit) * unit)
}

/// The price row of every node; the one after the last stands for none.
fn shape(problem: &Problem, proof: &Proof) -> Result<Vec<usize>, String> {
    let d = proof.denominator;
    if !(1..=DENOMINATOR_MAX).contains(&d) {
        return Err(format!("the denominator {d} is not between 1 and {DENOMINATOR_MAX}"));
    }
    let device_rows = problem.device_row_count();
    let mut row_of = vec![proof.rows.len(); problem.nodes.len()];
    for (i, row) in proof.rows.iter().enumerate() {
        for (first, last) in &row.nodes {
            let range = *first as usize..=*last as usize;
            let own = row_of.get_mut(range).filter(|_| first <= last);
            let own = own.ok_or_else(|| format!("row {i}: no nodes {first} to {last}"))?;
            if own.iter().any(|known| *known != proof.rows.len()) {
                return Err(format!("row {i}: nodes {first} to {last} have prices already"));
            }
            own.fill(i);
        }
        row_shape(problem, device_rows, d, row).map_err(|text| format!("row {i}: {text}"))?;
    }
    let mut seen = BTreeSet::new();
    let mut sum = 0i128;
    for (group, price) in &proof.group {
        if group.index() >= problem.groups.len() || !seen.insert(*group) || *price < 0 {
            return Err(format!("group {}: unknown, named twice, or a price below 0", group.0));
        }
        sum += i128::from(*price);
    }
    if sum > i128::from(problem.objective.group_move_weight) * i128::from(d) {
        return Err("the groups are charged more than the group move weight".to_string());
    }
    let most = if problem.moves.max_moves.is_some() { PRICE_MAX } else { 0 };
    if !(0..=most).contains(&proof.move_budget) {
        return Err("the price of a move is below 0, or there is no budget".to_string());
    }
    Ok(row_of)
}

fn row_shape(problem: &Problem, device_rows: usize, d: i64, row: &PriceRow) -> Result<(), String> {
    let terms = &problem.objective.balance;
    let width = problem.resources.len();
    let lengths = [
        (&row.usage, width),
        (&row.arrival, width),
        (&row.device, problem.device_kinds.len() * device_rows),
        (&row.balance, terms.len()),
        (&row.level, problem.objective.variance.len()),
    ];
    if lengths.iter().any(|(list, length)| !list.is_empty() && list.len() != *length) {
        return Err("a list of prices has the wrong length".to_string());
    }
    let all = [&row.usage, &row.arrival, &row.device, &row.balance, &row.level];
    if all.iter().any(|list| list.iter().any(|price| !(-PRICE_MAX..=PRICE_MAX).contains(price))) {
        return Err(format!("a price is beyond {PRICE_MAX}"));
    }
    if row.device.iter().chain(&row.arrival).any(|price| *price < 0) {
        return Err("a price of devices or of arriving is below 0".to_string());
    }
    let held_to_the_end = |r: usize| problem.moves.simultaneous && problem.resources[r].transient;
    if row.arrival.iter().enumerate().any(|(r, price)| *price != 0 && !held_to_the_end(r)) {
        return Err("arriving has a price where nothing is held until the end".to_string());
    }
    let is_within =
        |(price, weight): (&i64, i64)| *price >= 0 && i128::from(*price) <= i128::from(weight) * i128::from(d);
    if !row.balance.iter().zip(terms.iter().map(|term| term.weight)).all(is_within) {
        return Err("a price of balance is below 0 or above its weight".to_string());
    }
    Ok(())
}

/// The largest figure that divides every objective there can be.
fn unit(problem: &Problem) -> i128 {
    let weights = &problem.objective;
    let mut divisor = 0u128;
    let mut whole = true;
    let mut add = |points: i128| {
        let (mut a, mut b) = (divisor, points.unsigned_abs());
        while b != 0 {
            (a, b) = (b, a % b);
        }
        divisor = a;
    };
    for task in &problem.tasks {
        let step = if task.sharing == Sharing::Rigid { ONE } else { 1 };
        whole &= step == ONE;
        add(i128::from(task.weight) * step);
        add(i128::from(task.move_cost) * i128::from(weights.task_move_weight) * ONE);
    }
    let per_unit = problem.resources.iter().map(|resource| resource.load_weight);
    for weight in per_unit.chain(weights.balance.iter().map(|term| term.weight)) {
        add(i128::from(weight) * if whole { ONE } else { 1 });
    }
    for cost in &weights.move_costs.cost {
        add(i128::from(*cost) * i128::from(weights.node_move_weight) * ONE);
    }
    for node in &problem.nodes {
        add(i128::from(node.price) * i128::from(weights.price_weight) * ONE);
    }
    add(i128::from(weights.group_move_weight) * ONE);
    if weights.fragmentation_weight > 0 || !weights.variance.is_empty() {
        add(ONE);
    }
    divisor.max(1) as i128
}

/// A problem with prices on it.
struct Book<'a> {
    problem: &'a Problem,
    proof: &'a Proof,
    rows: &'a [PriceRow],
    row_of: Vec<usize>,
    d: i128,
    /// What nodes hold at the start.
    held: Vec<Held>,
    /// What pinned tasks hold, by node.
    fixed: Vec<Held>,
    /// Rows of prices per kind of device.
    device_rows: usize,
    group: BTreeMap<GroupId, i64>,
    /// Tasks whose devices at home are not what they ask for.
    odd_devices: BTreeSet<TaskId>,
    /// Tasks that have a share they should not have.
    odd_share: BTreeSet<TaskId>,
    torn: BTreeSet<GroupId>,
    zones: Vec<Zone<'a>>,
    /// The least of what newcomers can be at most, over all zones: what is within it fits everywhere.
    least: Vec<i128>,
}

/// Nodes that are the same to a newcomer.
struct Zone<'a> {
    first: NodeId,
    row: &'a PriceRow,
    /// What a newcomer pays, by resource.
    entry: Vec<i64>,
    /// How much of everything a newcomer can be at most.
    largest: Vec<i128>,
}

/// What a task makes at best where it runs, and where it does not; `None` = it cannot.
type Best = (Option<i128>, Option<i128>);

/// What two sets of tasks make together; `None` when a sum does not fit.
fn both_plus(one: Best, two: Best) -> Option<Best> {
    let plus = |one: Option<i128>, two: Option<i128>| match (one, two) {
        (Some(one), Some(two)) => one.checked_add(two).map(Some),
        _ => Some(None),
    };
    Some((plus(one.0, two.0)?, plus(one.1, two.1)?))
}

impl<'a> Book<'a> {
    fn new(
        problem: &'a Problem,
        start: &[Violation],
        proof: &'a Proof,
        rows: &'a [PriceRow],
        row_of: Vec<usize>,
    ) -> Book<'a> {
        let own = problem.tasks.iter().zip(problem.current.spots());
        let pinned = own.map(|(spec, spot)| if spec.pinned { spot.clone() } else { Spot::Unplaced });
        let pinned: Vec<Spot> = pinned.collect();
        let mut book = Book {
            problem,
            proof,
            rows,
            row_of,
            d: i128::from(proof.denominator),
            held: held(problem, problem.current.spots()),
            fixed: held(problem, &pinned),
            device_rows: problem.device_row_count(),
            group: proof.group.iter().copied().collect(),
            odd_devices: BTreeSet::new(),
            odd_share: BTreeSet::new(),
            torn: BTreeSet::new(),
            zones: Vec::new(),
            least: Vec::new(),
        };
        for violation in start {
            match (violation.rule, violation.place) {
                (Rule::Share, Place::Task(task)) => drop(book.odd_share.insert(task)),
                (Rule::Gang, Place::Group(group)) => drop(book.torn.insert(group)),
                _ => {}
            }
        }
        // They may be kept, whatever they are; so they are not always listed among what is broken.
        for (t, spot) in problem.current.spots().iter().enumerate() {
            let request = problem.tasks[t].device.as_ref();
            let is_odd = spot.pieces().iter().any(|piece| {
                let devices = &problem.nodes[piece.node.index()].devices;
                let fits = |d: usize| devices.get(d).is_some_and(|own| request.is_some_and(|wish| suits(wish, own)));
                let held: Vec<usize> = (0..64).filter(|d| piece.devices & (1 << d) != 0).collect();
                held.len() != request.map_or(0, |wish| wish.count as usize) || !held.into_iter().all(fits)
            });
            if is_odd {
                book.odd_devices.insert(TaskId::new(t));
            }
        }
        book.zones = book.zones();
        let least = |r: usize| book.zones.iter().map(|zone| zone.largest[r]).min().unwrap_or(0);
        book.least = (0..problem.resources.len()).map(least).collect();
        book
    }

    fn limit(&self, node: usize) -> Vec<i128> {
        let capacity = self.problem.allocatable(NodeId::new(node)).iter();
        capacity.zip(&self.held[node].amounts).map(|(most, used)| (i128::from(*most) * ONE).max(*used)).collect()
    }

    fn zones(&self) -> Vec<Zone<'a>> {
        let mut known = HashMap::new();
        let mut zones: Vec<Zone> = Vec::new();
        let stuck = self.stuck();
        for (n, node) in self.problem.nodes.iter().enumerate() {
            let limit = self.limit(n);
            let facts = (&node.labels, &node.taints, node.cordoned, &node.devices, node.move_class);
            if node.cordoned {
                continue;
            }
            let largest: Vec<i128> = limit.iter().zip(&stuck[n]).map(|(limit, stuck)| limit - stuck).collect();
            let zone = *known.entry((self.row_of[n], facts, limit)).or_insert(zones.len());
            if let Some(zone) = zones.get_mut(zone) {
                zone.largest.iter_mut().zip(largest).for_each(|(most, own)| *most = own.max(*most));
                continue;
            }
            let row = &self.rows[self.row_of[n]];
            let entry = row.usage.iter().zip(&row.arrival).map(|(usage, arrival)| usage + arrival).collect();
            zones.push(Zone { first: NodeId::new(n), row, entry, largest });
        }
        zones
    }

    /// What tasks of the start hold of transient resources until all moves are done, whatever becomes of them, by node.
    fn stuck(&self) -> Vec<Vec<i128>> {
        let problem = self.problem;
        let mut stuck = vec![vec![0; problem.resources.len()]; problem.nodes.len()];
        if !problem.moves.simultaneous {
            return stuck;
        }
        for (t, spot) in problem.current.spots().iter().enumerate() {
            if self.odd_share.contains(&TaskId::new(t)) {
                continue;
            }
            let least = match problem.tasks[t].sharing {
                Sharing::Rigid => ONE,
                Sharing::Elastic { min } => i128::from(min.parts()),
                Sharing::Divisible => 0,
            };
            for piece in spot.pieces() {
                let sums = stuck[piece.node.index()].iter_mut().zip(problem.requirement(TaskId::new(t)));
                for ((sum, amount), _) in sums.zip(&problem.resources).filter(|(_, resource)| resource.transient) {
                    *sum += i128::from(*amount) * least;
                }
            }
        }
        stuck
    }

    fn total(&self) -> Option<i128> {
        let mut sum = 0i128;
        let mut gangs: BTreeMap<GroupId, Best> = BTreeMap::new();
        // Parts of a fixed size, so that no thread count decides whether a sum fits.
        let parts: Vec<Option<(i128, BTreeMap<GroupId, Best>)>> = self
            .problem
            .tasks
            .par_chunks(PART)
            .enumerate()
            .map(|(part, tasks)| self.part(part * PART, tasks))
            .collect();
        for part in parts {
            let (own, whole) = part?;
            sum = sum.checked_add(own)?;
            for (gang, own) in whole {
                let both = gangs.entry(gang).or_insert((Some(0), Some(0)));
                *both = both_plus(*both, own)?;
            }
        }
        for (together, apart) in gangs.into_values() {
            sum = sum.checked_add(together.max(apart).unwrap_or(0))?;
        }
        for node in 0..self.problem.nodes.len() {
            sum = sum.checked_add(self.node(node)?)?;
        }
        let most = self.problem.moves.max_moves.map_or(0, i128::from);
        sum.checked_add(i128::from(self.proof.move_budget) * most * ONE)
    }

    /// What some tasks make at best, those in whole gangs by gang; the first of them is task `first`.
    fn part(&self, first: usize, tasks: &[Task]) -> Option<(i128, BTreeMap<GroupId, Best>)> {
        let mut sum = 0i128;
        let mut gangs: BTreeMap<GroupId, Best> = BTreeMap::new();
        let mut doors = HashMap::new();
        for (t, spec) in tasks.iter().enumerate() {
            let door: &Vec<usize> =
                doors.entry((&spec.selector, &spec.tolerations, &spec.device)).or_insert_with(|| self.open_to(spec));
            let (runs, rests) = self.task(TaskId::new(first + t), door)?;
            let Some(gang) = spec.group.filter(|group| self.is_whole(*group)) else {
                sum = sum.checked_add(runs.max(rests).unwrap_or(0))?;
                continue;
            };
            let both = gangs.entry(gang).or_insert((Some(0), Some(0)));
            *both = both_plus(*both, (runs, rests))?;
        }
        Some((sum, gangs))
    }

    /// True for a gang that runs with all its members or with none.
    fn is_whole(&self, group: GroupId) -> bool {
        let spec = &self.problem.groups[group.index()];
        let needs_all = |gang: crate::model::Gang| gang.least as usize >= spec.members.len();
        spec.gang.is_some_and(needs_all) && !self.torn.contains(&group)
    }

    /// Zones that a task may enter, whatever its size.
    fn open_to(&self, spec: &Task) -> Vec<usize> {
        let node = |zone: &Zone| &self.problem.nodes[zone.first.index()];
        (0..self.zones.len()).filter(|z| refusal(self.problem, spec, node(&self.zones[*z])).is_none()).collect()
    }

    /// What a whole task pays for devices.
    fn device_rent(&self, spec: &Task, row: &PriceRow) -> i128 {
        let Some(request) = &spec.device else { return 0 };
        let prices = &row.device[request.kind as usize * self.device_rows..][..self.device_rows];
        let units = |k: usize| match k {
            DEVICE_ROW_COUNT => i128::from(request.memory),
            _ => counted(k, i128::from(request.milli)),
        };
        let paid = |(k, price): (usize, &i64)| i128::from(*price) * i128::from(request.count) * units(k);
        prices.iter().enumerate().map(paid).sum()
    }

    fn task(&self, id: TaskId, door: &[usize]) -> Option<Best> {
        let problem = self.problem;
        let (spec, start, needs) = (&problem.tasks[id.index()], problem.current.spot(id), problem.requirement(id));
        let worth = i128::from(spec.weight) * self.d;
        let row_at = |node: NodeId| &self.rows[self.row_of[node.index()]];
        if spec.pinned {
            let piece = |piece: &crate::model::Piece| {
                (worth - cost(&row_at(piece.node).usage, needs)).checked_mul(i128::from(piece.share.parts()))
            };
            let sum = start.pieces().iter().try_fold(0i128, |sum, own| sum.checked_add(piece(own)?))?;
            return Some(if start.is_placed() { (Some(sum), None) } else { (None, Some(0)) });
        }
        let ran = start.is_placed();
        let points = &problem.objective;
        let fee = if ran {
            let group = spec.group.and_then(|group| self.group.get(&group)).copied().unwrap_or(0);
            let task_move = i128::from(points.task_move_weight) * i128::from(spec.move_cost);
            task_move.checked_mul(self.d)? + i128::from(group) + i128::from(self.proof.move_budget)
        } else {
            0
        };
        let rests = if !ran || spec.evictable { Some((-fee).checked_mul(ONE)?) } else { None };
        let is_fluid = spec.sharing == Sharing::Divisible || self.odd_share.contains(&id);
        let least = match spec.sharing {
            Sharing::Rigid => ONE,
            Sharing::Elastic { min } if !is_fluid => i128::from(min.parts()),
            _ => 0,
        };
        let mut runs: Option<i128> = None;
        let mut take = |value: i128| runs = Some(runs.map_or(value, |best| best.max(value)));
        // Of a transient resource, what is held at the start stays held; what stays counts the change.
        let mut back = 0i128;
        for piece in start.pieces() {
            let row = row_at(piece.node);
            let arriving = cost(&row.arrival, needs);
            let devices = if self.odd_devices.contains(&id) { 0 } else { self.device_rent(spec, row) };
            let own = arriving.checked_mul(i128::from(piece.share.parts()))?;
            let run = worth - cost(&row.usage, needs) - arriving - devices;
            if is_fluid {
                back = back.checked_add(own)?;
                take(run.max(0).checked_mul(ONE)?);
            } else {
                take(run.checked_mul(if run < 0 { least } else { ONE })?.checked_add(own)?);
            }
        }
        if is_fluid && door.is_empty() && !ran {
            return Some((None, rests));
        }
        if is_fluid {
            // The best node per part, once with the fee for other nodes and once without.
            let mut best = 0i128;
            for z in door {
                let zone = &self.zones[*z];
                best = best.max(worth - cost(&zone.entry, needs) - self.device_rent(spec, zone.row));
            }
            let away = best.checked_mul(ONE)?.checked_sub(fee.checked_mul(ONE)?)?;
            let stay = runs;
            let both =
                stay.map_or(Some(away), |stay| Some(stay.max(away).max(stay.checked_sub(fee.checked_mul(ONE)?)?)));
            return Some((both?.checked_add(back).map(Some)?, rests));
        }
        let is_small = fits(&self.least, needs, least);
        let pays_pairs = points.node_move_weight > 0;
        let from = start.node().filter(|_| pays_pairs);
        // Per whole task first: for rigid ones the best is multiplied once.
        let mut best: Option<i128> = None;
        for zone in door.iter().map(|z| &self.zones[*z]) {
            if !is_small && !fits(&zone.largest, needs, least) {
                continue;
            }
            let run = worth - cost(&zone.entry, needs) - self.device_rent(spec, zone.row);
            let fee = match from {
                None => fee,
                Some(from) => {
                    let pair = i128::from(points.node_move_weight) * i128::from(problem.pair_cost(from, zone.first));
                    fee.checked_add(pair.checked_mul(self.d)?)?
                }
            };
            if least == ONE || run >= 0 {
                best = Some(best.map_or(run - fee, |known| known.max(run - fee)));
            } else {
                take(run.checked_mul(least)?.checked_sub(fee.checked_mul(ONE)?)?);
            }
        }
        if let Some(best) = best {
            take(best.checked_mul(ONE)?);
        }
        Some((runs, rests))
    }

    /// What a node makes at best.
    fn node(&self, n: usize) -> Option<i128> {
        let (problem, row) = (self.problem, &self.rows[self.row_of[n]]);
        let capacity = problem.allocatable(NodeId::new(n));
        let soft = problem.soft_limit(NodeId::new(n));
        let limit = self.limit(n);
        let points = &problem.objective;
        let mut price: Vec<i128> = row.usage.iter().map(|price| i128::from(*price)).collect();
        let mut always = 0i128;
        for (term, by) in points.balance.iter().zip(&row.balance) {
            let (own, other, by) = (term.resource.index(), term.other.index(), i128::from(*by));
            let target = i128::from(term.target);
            price[own] = price[own].checked_add(by.checked_mul(target)?)?;
            price[other] -= by;
            let free = target.checked_mul(i128::from(capacity[own]))? - i128::from(capacity[other]);
            always = always.checked_sub(by.checked_mul(free)?.checked_mul(ONE)?)?;
        }
        for (term, level) in points.variance.iter().zip(&row.level) {
            let r = term.resource.index();
            let top = i128::from(capacity[r]).checked_mul(i128::from(UTILISATION_MAX))?.checked_mul(ONE)?;
            if capacity[r] == 0 || limit[r] > top {
                continue;
            }
            let off = i128::from(*level) - i128::from(term.mark);
            let touch = off.checked_mul(off)?.checked_sub((2 * off).checked_mul(i128::from(*level))?)?;
            always = always.checked_sub(touch.checked_sub(off.abs())?.checked_mul(self.d)?.checked_mul(ONE)?)?;
            let factor = (i128::from(term.root) << term.bits) / i128::from(capacity[r]);
            let slope = (2 * off).checked_mul(factor)?.checked_mul(self.d)?;
            price[r] = price[r].checked_sub(slope.div_euclid(1i128 << (term.bits + crate::model::ROOT_BITS)))?;
        }
        let mut busy = 0i128;
        for r in 0..price.len() {
            let weight = i128::from(problem.resources[r].load_weight) * self.d;
            let soft = i128::from(soft[r]) * ONE;
            // Two straight lines: the best end is at nothing, at the bend or at the limit.
            let mut best = 0i128;
            for used in [soft.min(limit[r]), limit[r]] {
                let load = weight.checked_mul((used - soft).max(0))?;
                best = best.max(price[r].checked_mul(used)?.checked_sub(load)?);
            }
            busy = busy.checked_add(best)?;
        }
        for (d, device) in problem.nodes[n].devices.iter().enumerate() {
            let (held, fixed) = (&self.held[n], &self.fixed[n]);
            let free = held.milli[d].max(i128::from(DEVICE_MILLI)) - fixed.milli[d];
            for (k, price) in
                row.device[device.kind as usize * self.device_rows..][..self.device_rows].iter().enumerate()
            {
                let room = match k {
                    DEVICE_ROW_COUNT => held.memory[d].max(i128::from(device.memory)) - fixed.memory[d],
                    _ => counted(k, free),
                };
                busy = busy.checked_add(i128::from(*price).checked_mul(room)?.checked_mul(ONE)?)?;
            }
        }
        let rate = i128::from(points.price_weight) * i128::from(problem.nodes[n].price);
        busy = busy.checked_sub(rate.checked_mul(self.d)?.checked_mul(ONE)?)?.max(0);
        let mut arriving = 0i128;
        for (r, price) in row.arrival.iter().enumerate() {
            let room = limit[r] - self.held[n].amounts[r];
            arriving = arriving.checked_add(i128::from(*price).checked_mul(room)?)?;
        }
        always.checked_add(busy)?.checked_add(arriving)
    }
}

/// True when a part of these amounts is within the limits.
fn fits(limit: &[i128], amounts: &[i64], parts: i128) -> bool {
    amounts.iter().zip(limit).all(|(amount, limit)| i128::from(*amount) * parts <= *limit)
}

/// Σ price · amount: at most 2^6 products of 2^61 and 2^40.
fn cost(prices: &[i64], amounts: &[i64]) -> i128 {
    prices.iter().zip(amounts).map(|(price, amount)| i128::from(*price) * i128::from(*amount)).sum()
}

/// What a part of a device counts in row `k`: milli, then how often it is more than 1/(k + 1) of a device.
fn counted(k: usize, milli: i128) -> i128 {
    if k == 0 || milli <= 0 {
        return milli.max(0);
    }
    let (steps, one) = (k as i128 + 1, i128::from(DEVICE_MILLI));
    (steps * milli - 1).div_euclid(one)
}
