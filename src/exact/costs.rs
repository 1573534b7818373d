//! What does every term of the objective look like as columns? One function per term, its formula above it.
//!
//! Points are scaled (`model/cost.rs`). Fragmentation has no rows: how many devices of a node are too full for an expected
//! task is a question about sets of devices, not a sum. It is left out, which leaves every bound valid (a cost is never
//! negative), but a placement that has some can then not be proven optimal. So is variance: a square is no linear sum.

use super::form::{Form, ONE, rank};
use super::linear::Sum;
use crate::model::{NodeId, Sharing};

/// All terms.
pub(super) fn add(form: &mut Form) {
    value(form);
    load(form);
    balance(form);
    moves(form);
    group_move(form);
    price(form);
}

fn charge(form: &mut Form, points: i128, sum: &Sum) {
    for (column, factor) in &sum.terms {
        form.linear.columns[*column].points -= points * factor;
    }
    form.linear.constant -= points * sum.constant;
}

/// ```text
/// + Σ_c weight · Σ_j g_cj
/// ```
fn value(form: &mut Form) {
    for class in 0..form.classes.len() {
        let spec = &form.problem.tasks[form.classes[class].first().index()];
        let (columns, points) = match spec.sharing {
            Sharing::Rigid => (&form.on, i128::from(spec.weight) * ONE),
            Sharing::Elastic { .. } | Sharing::Divisible => (&form.parts, i128::from(spec.weight)),
        };
        for node in &form.classes[class].nodes {
            form.linear.columns[columns[&(class, *node)]].points += points;
        }
    }
}

/// A column o ≥ sum, o ≥ 0, that costs `points` per unit.
fn excess_over(form: &mut Form, sum: Sum, points: i128) {
    let most = form.linear.most(&sum);
    if points == 0 || most <= 0 {
        return;
    }
    let over = form.linear.column(0, most, None);
    form.linear.columns[over].points = -points;
    form.linear.at_most_zero(sum.plus_column(-1, over));
}

/// ```text
/// − Σ_r load_weight · Σ_j o_jr        o_jr ≥ used_jr − soft_jr, o_jr ≥ 0
/// ```
fn load(form: &mut Form) {
    for r in 0..form.problem.resources.len() {
        let weight = i128::from(form.problem.resources[r].load_weight);
        for node in form.problem.node_ids() {
            let soft = i128::from(form.problem.soft_limit(node)[r]) * form.unit;
            let sum = form.used(node, r).plus(-1, &Sum::constant(soft));
            excess_over(form, sum, weight * ONE / form.unit);
        }
    }
}

/// ```text
/// − Σ_b weight · Σ_j t_jb        t_jb ≥ target · free_j(resource) − free_j(other), t_jb ≥ 0
/// ```
fn balance(form: &mut Form) {
    for term in form.problem.objective.balance.clone() {
        for node in form.problem.node_ids() {
            let free = |r: usize| {
                Sum::constant(i128::from(form.problem.allocatable(node)[r]) * form.unit).plus(-1, &form.used(node, r))
            };
            let target = i128::from(term.target);
            let sum = Sum::default().plus(target, &free(term.resource.index())).plus(-1, &free(term.other.index()));
            excess_over(form, sum, i128::from(term.weight) * ONE / form.unit);
        }
    }
}

/// ```text
/// − Σ_c (task_move_weight · move_cost · moved_c + node_move_weight · Σ_{j new} min_{home} pair_cost(home, j) · n_cj)
/// K = Σ_c moved_c, whole: one branch on K settles whether anything moves at all
/// ```
fn moves(form: &mut Form) {
    let points = form.problem.objective.clone();
    let mut any = false;
    for class in 0..form.classes.len() {
        let task = form.classes[class].first();
        let current = form.problem.current.spot(task);
        let per_task =
            i128::from(points.task_move_weight) * i128::from(form.problem.tasks[task.index()].move_cost) * ONE;
        if per_task > 0
            && let Some(moved) = form.moved(class)
        {
            charge(form, per_task, &moved);
            any = true;
        }
        let homes = current.pieces();
        for node in form.classes[class].nodes.clone() {
            let cheapest = homes.iter().map(|home| form.problem.pair_cost(home.node, node)).min().unwrap_or(0);
            if cheapest > 0 && !current.is_on(node) && points.node_move_weight > 0 {
                let on = form.on(class, node);
                charge(form, i128::from(points.node_move_weight) * i128::from(cheapest) * ONE, &on);
                any = true;
            }
        }
    }
    if any {
        let moved = form.moved_in_all();
        let most = form.linear.most(&moved).max(0);
        let total = form.linear.column(0, most, Some(rank::TOTAL));
        form.linear.equals_zero(moved.plus_column(-1, total));
    }
}

/// ```text
/// − group_move_weight · G        G ≥ Σ_{c in g} moved_c for every group g, whole
/// ```
fn group_move(form: &mut Form) {
    let weight = i128::from(form.problem.objective.group_move_weight);
    if weight == 0 {
        return;
    }
    let size = form.problem.groups.iter().map(|group| group.members.len()).max().unwrap_or(0);
    let most = form.linear.column(0, size as i128, Some(rank::TOTAL));
    form.linear.columns[most].points = -weight * ONE;
    for group in form.problem.group_ids() {
        let classes = form.group_classes(group);
        let moved = classes.into_iter().filter_map(|class| form.moved(class));
        let moved: Vec<Sum> = moved.collect();
        let sum = moved.iter().fold(Sum::default(), |sum, moved| sum.plus(1, moved));
        if !sum.terms.is_empty() || sum.constant != 0 {
            form.linear.at_most_zero(sum.plus_column(-1, most));
        }
    }
}

/// ```text
/// − price_weight · Σ_j price_j · v_j        v_j ≥ n_cj / N_c for every class c, v_j ≤ 1
/// ```
fn price(form: &mut Form) {
    let weight = i128::from(form.problem.objective.price_weight) * ONE;
    let nodes: Vec<NodeId> = form.problem.node_ids().collect();
    for node in nodes {
        let points = weight * i128::from(form.problem.nodes[node.index()].price);
        if points == 0 {
            continue;
        }
        let used = form.linear.column(0, 1, Some(rank::NODE));
        form.linear.columns[used].points = -points;
        for class in 0..form.classes.len() {
            let on = form.on(class, node);
            if !on.terms.is_empty() {
                form.linear.at_most_zero(on.plus_column(-form.classes[class].count(), used));
            }
        }
    }
}
