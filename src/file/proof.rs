//! How does a proof look in a plan file? Prices as whole numbers over a common denominator, one row of nodes per line.
//!
//! Nodes are named by their position in the snapshot, from 0, as ranges: a proof belongs to one snapshot, and names would be most
//! of the file. Empty lists (all 0) are left out. What the prices mean is said in `model/proof.rs`.

use super::json::{Path, Reader, Value};
use super::plan::{points, points_json, unknown};
use crate::model::{GroupId, PriceRow, Problem, Proof};
use serde_json::{Map, json};
use std::collections::HashMap;

/// Value of the `format` field of what `bayplan bound` writes.
pub const BOUND_FORMAT: &str = "bayplan-bound/1";

/// The JSON form of a bound that stands alone, with the scaled objective of the state it is compared with.
pub fn write_bound(problem: &Problem, proof: &Proof, objective: i128) -> Vec<u8> {
    let goal = problem.goal.map_or(String::new(), |goal| format!("  \"goal\": {},\n", json!(goal.word())));
    let (format, fingerprint) = (json!(BOUND_FORMAT), json!(problem.fingerprint));
    let [objective, bound, gap] = [objective, proof.bound, proof.bound.saturating_sub(objective)].map(points_json);
    let proof = write(problem, proof);
    format!(
        "{{\n  \"format\": {format},\n  \"snapshot\": {fingerprint},\n{goal}  \"objective\": {objective},\n  \
         \"bound\": {bound},\n  \"gap\": {gap},\n  \"proof\": {proof}\n}}\n"
    )
    .into_bytes()
}

/// The JSON form of a proof; later lines are indented by two.
pub(super) fn write(problem: &Problem, proof: &Proof) -> String {
    let row = |row: &PriceRow| {
        let mut fields = Map::new();
        fields.insert("nodes".into(), json!(row.nodes));
        for (name, list) in NAMES.iter().zip(lists(row)) {
            if !list.is_empty() {
                fields.insert((*name).into(), json!(list));
            }
        }
        serde_json::Value::Object(fields).to_string()
    };
    let rows: Vec<String> = proof.rows.iter().map(row).collect();
    let rows = if rows.is_empty() { "[]".into() } else { format!("[\n      {}\n    ]", rows.join(",\n      ")) };
    let group = |(id, price): &(GroupId, i64)| json!([problem.groups[id.index()].name, price]);
    let group = json!(proof.group.iter().map(group).collect::<Vec<_>>());
    let (bound, denominator, budget) = (points_json(proof.bound), proof.denominator, proof.move_budget);
    format!(
        "{{\n    \"bound\": {bound},\n    \"denominator\": {denominator},\n    \"rows\": {rows},\n    \
         \"group\": {group},\n    \"move_budget\": {budget}\n  }}"
    )
}

/// Lists of a row, in the order of [`lists`].
const NAMES: [&str; 5] = ["usage", "arrival", "device", "balance", "level"];

fn lists(row: &PriceRow) -> [&Vec<i64>; 5] {
    [&row.usage, &row.arrival, &row.device, &row.balance, &row.level]
}

/// Reads a proof. Whether it proves anything is for the verifier to say.
pub(super) fn read(problem: &Problem, reader: &Reader, path: Path<'_>, value: Value) -> Option<Proof> {
    let groups: HashMap<&str, GroupId> =
        problem.group_ids().map(|id| (problem.groups[id.index()].name.as_str(), id)).collect();
    let mut fields = reader.fields(path, value)?;
    let bound = fields.required("bound", points);
    let denominator = fields.required("denominator", Reader::int);
    let rows = fields.required("rows", |r, p, v| Some(r.list(p, v, |p, v| row(r, p, v))));
    let group = fields.required("group", |r, p, v| Some(r.list(p, v, |p, v| charge(&groups, r, p, v))));
    let move_budget = fields.required("move_budget", Reader::int);
    fields.finish();
    Some(Proof { bound: bound?, denominator: denominator?, rows: rows?, group: group?, move_budget: move_budget? })
}

fn row(reader: &Reader, path: Path<'_>, value: Value) -> Option<PriceRow> {
    let mut fields = reader.fields(path, value)?;
    let nodes = fields.required("nodes", |r, p, v| Some(r.list(p, v, |p, v| range(r, p, v))));
    let [usage, arrival, device, balance, level] = NAMES.map(|name| {
        let list = fields.optional(name, |r, p, v| Some(r.list(p, v, |p, v| r.int(p, v))));
        list.unwrap_or_default()
    });
    fields.finish();
    Some(PriceRow { nodes: nodes?, usage, arrival, device, balance, level })
}

fn range(reader: &Reader, path: Path<'_>, value: Value) -> Option<(u32, u32)> {
    let figures: Vec<_> = reader.list(path, value, |p, v| reader.int(p, v)).into_iter().map(u32::try_from).collect();
    match figures[..] {
        [Ok(first), Ok(last)] => Some((first, last)),
        _ => {
            reader.fault("F202", path, "a range has a first and a last node", "write two positions, such as [0, 3]");
            None
        }
    }
}

fn charge(groups: &HashMap<&str, GroupId>, reader: &Reader, path: Path<'_>, value: Value) -> Option<(GroupId, i64)> {
    let Value::List(pair) = value else {
        reader.wrong(path, &value, "a group and its price");
        return None;
    };
    let mut pair = pair.into_iter();
    let (Some(name), Some(price), None) = (pair.next(), pair.next(), pair.next()) else {
        reader.fault("F202", path, "a charge has a group and a price", "write a name and a whole number");
        return None;
    };
    let name = reader.text(path, name)?;
    let found = groups.get(name.as_str()).copied();
    if found.is_none() {
        unknown(reader, path, "group", &name);
    }
    Some((found?, reader.int(path, price)?))
}
