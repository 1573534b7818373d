//! What does every rule of the model look like as rows? One function per rule, its formula above it.
//!
//! Symbols: n, g, z, e as in `form.rs`; C allocatable, c requirement, N_c tasks in class c, D a domain.
//! y_gD = 1 when group g has a task in domain D. Never worse: e ≤ the excess at the start, and no e where there is none.
//! Selector, taint, cordon and device model have no rows: a pair they forbid has no column.

use super::form::{Form, ONE, rank};
use super::linear::Sum;
use crate::model::{DEVICE_MILLI, DeviceRequest, GroupId, NodeId, Place, Problem, ResourceId, Rule, Sharing};

/// All rows.
pub(super) fn add(form: &mut Form) {
    share(form);
    eviction(form);
    capacity(form);
    devices(form);
    transient(form);
    for group in form.problem.group_ids() {
        conflict(form, group);
        spread(form, group);
        dependency(form, group);
        gang(form, group);
    }
    move_budget(form);
}

/// ```text
/// rigid      Σ_j n_cj ≤ N_c
/// elastic    Σ_j n_cj ≤ N_c, min · n_cj ≤ g_cj ≤ n_cj
/// divisible  Σ_j g_cj ≤ N_c, and where presence counts: 1 part · n_cj ≤ g_cj ≤ n_cj
/// ```
fn share(form: &mut Form) {
    for class in 0..form.classes.len() {
        let task = form.classes[class].first();
        let spec = &form.problem.tasks[task.index()];
        if spec.pinned {
            continue;
        }
        let nodes = form.classes[class].nodes.clone();
        let count = form.classes[class].count();
        let total = |columns: &std::collections::HashMap<(usize, NodeId), usize>| {
            nodes
                .iter()
                .filter_map(|node| columns.get(&(class, *node)))
                .fold(Sum::default(), |s, c| s.plus_column(1, *c))
        };
        let (on, parts) = (total(&form.on), total(&form.parts));
        match spec.sharing {
            Sharing::Divisible => form.linear.at_most_zero(parts.plus(-1, &Sum::constant(ONE * count))),
            _ => form.linear.at_most_zero(on.plus(-1, &Sum::constant(count))),
        }
        let least = match spec.sharing {
            Sharing::Rigid => continue,
            Sharing::Elastic { min } => i128::from(min.parts()),
            Sharing::Divisible => 1,
        };
        for node in nodes {
            let (on, parts) = (form.on(class, node), Sum::column(form.parts[&(class, node)]));
            if !on.terms.is_empty() {
                form.linear.at_most_zero(parts.clone().plus(-ONE, &on));
                form.linear.at_most_zero(Sum::default().plus(least, &on).plus(-1, &parts));
            }
        }
    }
}

/// ```text
/// Σ_j n_cj ≥ N_c        for tasks that run and may not be stopped (divisible: at least one part each)
/// ```
fn eviction(form: &mut Form) {
    for class in 0..form.classes.len() {
        let task = form.classes[class].first();
        let spec = &form.problem.tasks[task.index()];
        if spec.evictable || spec.pinned || !form.problem.current.spot(task).is_placed() {
            continue;
        }
        let columns = if form.is_divisible(class) { &form.parts } else { &form.on };
        let nodes = form.classes[class].nodes.iter();
        let placed = nodes.fold(Sum::default(), |sum, node| sum.plus_column(1, columns[&(class, *node)]));
        let all = Sum::constant(form.classes[class].count());
        form.linear.at_most_zero(all.plus(-1, &placed));
    }
}

/// ```text
/// Σ_c c_cr · g_cj ≤ C_jr + e_jr
/// ```
fn capacity(form: &mut Form) {
    for (node, r, place) in node_resources(form.problem) {
        let limit = i128::from(form.problem.allocatable(node)[r]) * form.unit;
        let mut sum = form.used(node, r).plus(-1, &Sum::constant(limit));
        if let Some(excess) = form.excess_column(Rule::Capacity, place) {
            sum = sum.plus_column(-form.unit, excess);
        }
        form.linear.at_most_zero(sum);
    }
}

/// Simultaneous moves only: what left the node still counts there, for transient resources and devices.
/// ```text
/// Σ_c c_cr · g_cj + Σ_{c at home on j} held before · (N_c − n_cj) ≤ C_jr
/// where the node is over its limit at the start, by b:  … ≤ C_jr + b · (1 − l) + e,  e ≤ b,
/// l = 1 when a task that used the resource left
/// ```
fn transient(form: &mut Form) {
    if !form.problem.moves.simultaneous {
        return;
    }
    for (node, r, place) in node_resources(form.problem).filter(|(_, r, _)| form.problem.resources[*r].transient) {
        let before = |form: &Form, class: usize| {
            let task = form.classes[class].first();
            let piece = form.problem.current.spot(task).pieces().iter().find(|piece| piece.node == node);
            let parts = piece.map_or(0, |piece| i128::from(piece.share.parts()));
            parts * i128::from(form.problem.requirement(task)[r]) * form.unit / ONE
        };
        let leavers = leavers(form, node, before);
        let limit = i128::from(form.problem.allocatable(node)[r]) * form.unit;
        let sum = form.used(node, r).plus(-1, &Sum::constant(limit));
        let most = form.excess_before(Rule::Capacity, place);
        in_flight(form, sum, leavers, form.unit, most);
    }
    for node in form.problem.node_ids() {
        for device in 0..form.problem.nodes[node.index()].devices.len() as u32 {
            for (limit, amount, rule, place) in limits(form, node, device) {
                let before = |form: &Form, class: usize| {
                    let task = form.classes[class].first();
                    let held = form.problem.current.spot(task).pieces().iter().find(|piece| piece.node == node);
                    let here = held.is_some_and(|piece| piece.devices >> device & 1 == 1);
                    let request = form.problem.tasks[task.index()].device.as_ref().filter(|_| here);
                    request.map_or(0, amount)
                };
                let leavers = leavers(form, node, before);
                let sum = device_used(form, node, device, amount).plus(-1, &Sum::constant(limit));
                let most = form.excess_before(rule, place);
                in_flight(form, sum, leavers, 1, most);
            }
        }
    }
}

/// (amount held before, tasks that left) of every class that is at home on the node and held something.
fn leavers(form: &Form, node: NodeId, before: impl Fn(&Form, usize) -> i128) -> Vec<(i128, Sum)> {
    let at_home = |class: &usize| form.problem.current.spot(form.classes[*class].first()).is_on(node);
    let left = |class: usize| Sum::constant(form.classes[class].count()).plus(-1, &form.on(class, node));
    let classes = (0..form.classes.len()).filter(at_home);
    classes.map(|class| (before(form, class), left(class))).filter(|(amount, _)| *amount > 0).collect()
}

/// `over` + Σ amount · left ≤ 0, or what an overfull start still permits.
fn in_flight(form: &mut Form, over: Sum, leavers: Vec<(i128, Sum)>, unit: i128, most: i128) {
    if leavers.is_empty() {
        return;
    }
    let mut sum = leavers.iter().fold(over, |sum, (amount, left)| sum.plus(*amount, left));
    if most > 0 {
        let any = leavers.iter().fold(Sum::default(), |sum, (_, left)| sum.plus(1, left));
        let left = form.linear.column(0, 1, Some(rank::GROUP));
        let all = form.linear.most(&any);
        form.linear.at_most_zero(any.plus_column(-all, left));
        let excess = form.linear.column(0, most, Some(rank::EXCESS));
        form.excess.push((excess, 1));
        sum = sum.plus(-most * unit, &Sum::constant(1).plus_column(-1, left)).plus_column(-unit, excess);
    }
    form.linear.at_most_zero(sum);
}

/// ```text
/// Σ_d z_cjd = count_c · n_cj        over the devices that suit the request
/// Σ_c milli_c · z_cjd ≤ 1000 + e_jd
/// Σ_c memory_c · z_cjd ≤ memory_jd + e_jd      where the device says how much it has
/// z_cjd ≤ n_cj
/// ```
/// A task may keep just the devices it has, whatever they are (k_cj): then Σ_d z_cjd = count · (n − k).
/// One that has too few or too many may go on to miss as many: Σ_d z_cjd = count · (n − k) + over − short,
/// e = over + short + before · k.
fn devices(form: &mut Form) {
    for class in 0..form.classes.len() {
        let task = form.classes[class].first();
        let Some(request) = form.problem.tasks[task.index()].device.clone() else { continue };
        for node in form.classes[class].nodes.clone() {
            device_columns(form, class, node, &request);
        }
    }
    for node in form.problem.node_ids() {
        for device in 0..form.problem.nodes[node.index()].devices.len() as u32 {
            for (limit, amount, rule, place) in limits(form, node, device) {
                let mut sum = device_used(form, node, device, amount).plus(-1, &Sum::constant(limit));
                if let Some(excess) = form.excess_column(rule, place) {
                    sum = sum.plus_column(-1, excess);
                }
                form.linear.at_most_zero(sum);
            }
        }
    }
}

fn device_columns(form: &mut Form, class: usize, node: NodeId, request: &DeviceRequest) {
    let task = form.classes[class].first();
    let spot = form.problem.current.spot(task);
    let own = spot.pieces().iter().find(|piece| piece.node == node).map_or(0, |piece| piece.devices);
    let eligible = request.eligible(&form.problem.nodes[node.index()]);
    let (count, on) = (form.classes[class].count(), form.on(class, node));
    let pinned = form.problem.tasks[task.index()].pinned;
    let before = form.excess_before(Rule::Device, Place::TaskNode(task, node));
    let mut wanted = Sum::default().plus(i128::from(request.count), &on);
    if own & !eligible != 0 || pinned || before > 0 {
        let kept = form.linear.column(if pinned { 1 } else { 0 }, count, Some(rank::DEVICE));
        form.kept.insert((class, node), kept);
        form.linear.at_most_zero(Sum::column(kept).plus(-1, &on));
        if pinned {
            return;
        }
        wanted = wanted.plus_column(-i128::from(request.count), kept);
        if before > 0 {
            let missed = [1, -1].map(|sign| (sign, form.linear.column(0, before, Some(rank::DEVICE))));
            let fresh = Sum::default().plus(-before, &on).plus_column(before, kept);
            form.linear.at_most_zero(missed.iter().fold(fresh, |sum, (_, column)| sum.plus_column(1, *column)));
            wanted = missed.iter().fold(wanted, |sum, (sign, column)| sum.plus_column(*sign, *column));
            form.excess.extend(missed.map(|(_, column)| (column, 1)));
            form.excess.push((kept, before));
        }
    }
    for device in (0..64u32).filter(|device| eligible >> device & 1 == 1) {
        let column = form.linear.column(0, count, Some(rank::DEVICE));
        form.held.insert((class, node, device), column);
        form.linear.at_most_zero(Sum::column(column).plus(-1, &on));
        wanted = wanted.plus_column(-1, column);
    }
    form.linear.equals_zero(wanted);
}

/// What a request takes of a device.
type Amount = fn(&DeviceRequest) -> i128;

/// How much a device has of what is counted of it, what a request takes, and the rule that is broken beyond.
fn limits(form: &Form, node: NodeId, device: u32) -> Vec<(i128, Amount, Rule, Place)> {
    let memory = i128::from(form.problem.nodes[node.index()].devices[device as usize].memory);
    let milli: Amount = |request| i128::from(request.milli);
    let mut limits = vec![(i128::from(DEVICE_MILLI), milli, Rule::Device, Place::NodeDevice(node, device))];
    if memory > 0 {
        let amount: Amount = |request| i128::from(request.memory);
        limits.push((memory, amount, Rule::DeviceMemory, Place::DeviceMemory(node, device)));
    }
    limits
}

/// What is used of a device.
fn device_used(form: &Form, node: NodeId, device: u32, amount: Amount) -> Sum {
    let mut sum = Sum::default();
    for class in 0..form.classes.len() {
        let task = form.classes[class].first();
        let amount = form.problem.tasks[task.index()].device.as_ref().map_or(0, amount);
        if amount == 0 {
            continue;
        }
        if let Some(column) = form.held.get(&(class, node, device)) {
            sum = sum.plus_column(amount, *column);
        }
        let spot = form.problem.current.spot(task);
        let own = spot.pieces().iter().any(|piece| piece.node == node && piece.devices >> device & 1 == 1);
        if let Some(kept) = form.kept.get(&(class, node)).filter(|_| own) {
            sum = sum.plus_column(amount, *kept);
        }
    }
    sum
}

/// ```text
/// Σ_{c in g} n_cD ≤ 1 + e_gD
/// ```
fn conflict(form: &mut Form, group: GroupId) {
    for level in form.problem.groups[group.index()].conflict.clone() {
        for domain in form.domains(level) {
            let members = form.group_classes(group);
            let visits = members.iter().fold(Sum::constant(-1), |sum, c| sum.plus(1, &form.visits(*c, level, domain)));
            let excess = form.excess_column(Rule::Conflict, Place::GroupDomain(group, level, domain));
            let sum = excess.into_iter().fold(visits, |sum, column| sum.plus_column(-1, column));
            form.linear.at_most_zero(sum);
        }
    }
}

/// ```text
/// Σ_D y_gD ≥ min(k, placed) − e
/// where fewer than k may be placed, a choice b:  Σ_D y_gD ≥ k · (1 − b) − e,  Σ_D y_gD ≥ placed − N_g · (1 − b) − e
/// ```
fn spread(form: &mut Form, group: GroupId) {
    for rule in form.problem.groups[group.index()].spread.clone() {
        let size = form.problem.groups[group.index()].members.len() as i128;
        let least = i128::from(rule.min).min(size);
        let mut covered = Sum::default();
        for domain in form.domains(rule.level) {
            covered = covered.plus_column(1, form.presence(group, rule.level, domain));
        }
        if let Some(excess) = form.excess_column(Rule::Spread, Place::GroupLevel(group, rule.level)) {
            covered = covered.plus_column(1, excess);
        }
        let must = |member: &&crate::model::TaskId| {
            !form.problem.tasks[member.index()].evictable && form.problem.current.spot(**member).is_placed()
        };
        if form.problem.groups[group.index()].members.iter().filter(must).count() as i128 >= least {
            form.linear.at_most_zero(Sum::constant(least).plus(-1, &covered));
            continue;
        }
        let few = form.linear.column(0, 1, Some(rank::GROUP));
        form.linear.at_most_zero(Sum::constant(least).plus_column(-least, few).plus(-1, &covered));
        let members = form.group_classes(group);
        let placed = members.iter().fold(Sum::default(), |sum, class| sum.plus(1, &form.placed(*class)));
        form.linear.at_most_zero(placed.plus_column(size, few).plus(-1, &Sum::constant(size)).plus(-1, &covered));
    }
}

/// ```text
/// y_aD ≤ y_bD + e_abD        for every domain D, group a needs group b
/// ```
fn dependency(form: &mut Form, group: GroupId) {
    for rule in form.problem.groups[group.index()].depends_on.clone() {
        for domain in form.domains(rule.level) {
            let needs = form.presence(group, rule.level, domain);
            let other = form.presence(rule.group, rule.level, domain);
            let place = Place::Needs(group, rule.group, rule.level, domain);
            let excess = form.excess_column(Rule::Dependency, place);
            let sum = Sum::column(needs).plus_column(-1, other);
            let sum = excess.into_iter().fold(sum, |sum, column| sum.plus_column(-1, column));
            form.linear.at_most_zero(sum);
        }
    }
}

/// ```text
/// placed_c ≤ N_c · w,  Σ_c placed_c ≥ least · w − e        w = 1 when a task of the gang runs
/// Σ_D y_gD ≤ 1 + e                                         for the level it is bound to
/// ```
fn gang(form: &mut Form, group: GroupId) {
    let Some(gang) = form.problem.groups[group.index()].gang else { return };
    if let Some(level) = gang.within {
        let mut covered = Sum::constant(-1);
        for domain in form.domains(level) {
            covered = covered.plus_column(1, form.presence(group, level, domain));
        }
        if let Some(excess) = form.excess_column(Rule::Gang, Place::GroupLevel(group, level)) {
            covered = covered.plus_column(-1, excess);
        }
        form.linear.at_most_zero(covered);
    }
    let runs = form.linear.column(0, 1, Some(rank::GROUP));
    let mut lacking = Sum::default().plus_column(gang.least.into(), runs);
    for class in form.group_classes(group) {
        let placed = form.placed(class);
        form.linear.at_most_zero(placed.clone().plus_column(-form.classes[class].count(), runs));
        lacking = lacking.plus(-1, &placed);
    }
    if let Some(excess) = form.excess_column(Rule::Gang, Place::Group(group)) {
        lacking = lacking.plus_column(-1, excess);
    }
    form.linear.at_most_zero(lacking);
}

/// ```text
/// Σ_c moved_c ≤ max_moves
/// ```
fn move_budget(form: &mut Form) {
    if let Some(most) = form.problem.moves.max_moves {
        let moved = form.moved_in_all();
        form.linear.at_most_zero(moved.plus(-1, &Sum::constant(most.into())));
    }
}

/// ```text
/// Σ e ≤ least        the second search keeps what repair reached
/// ```
pub(super) fn total_excess(form: &mut Form, least: i128) {
    let rest = Sum::constant(form.excess_fixed - least);
    let sum = form.excess.iter().fold(rest, |sum, (column, weight)| sum.plus_column(*weight, *column));
    form.linear.at_most_zero(sum);
}

fn node_resources(problem: &Problem) -> impl Iterator<Item = (NodeId, usize, Place)> + use<> {
    let resource_count = problem.resources.len();
    let all = problem.node_ids().flat_map(move |node| (0..resource_count).map(move |r| (node, r)));
    all.map(|(node, r)| (node, r, Place::NodeResource(node, ResourceId::new(r))))
}
