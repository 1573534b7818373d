//! How does a plan file look? Names instead of indices, exact figures, one move per line.
//!
//! Points are whole numbers where they are whole and reduced fractions as text (`"31/12"`) where they are not, so that
//! reading gives back what was written. The `summary` repeats what can be counted: a file cut short cannot pass.
//!
//! Codes: F1xx as in `json.rs`; F201 a name the snapshot does not have, F202 a figure that cannot be read, F203 a summary
//! that does not match.

use super::granted;
use super::json::{Path, Reader, Value, parse};
use super::ndjson::STREAM_FORMAT;
use super::proof;
use super::reserve;
use super::snapshot::piece;
use super::told::{self, BINDINGS, Told, told};
use crate::model::{Faults, Goal, NodeId, Piece, Problem, SHARE_ONE, Share, Spot, TaskId};
use crate::plan::{Blocked, Move, PLAN_FORMAT, Plan, Reason, Status};
use serde_json::json;
use std::collections::HashMap;

const STATUSES: [(&str, Status); 6] = [
    ("optimal", Status::Optimal),
    ("feasible", Status::Feasible),
    ("gap", Status::Gap),
    ("deadline", Status::Deadline),
    ("interrupted", Status::Interrupted),
    ("infeasible", Status::Infeasible),
];

fn word<T: PartialEq + Copy>(words: &[(&'static str, T)], meaning: T) -> &'static str {
    words.iter().find(|(_, known)| *known == meaning).expect("every meaning has a word").0
}

/// The JSON form of a plan for this problem. The same plan always gives the same bytes.
pub fn write_plan(problem: &Problem, plan: &Plan) -> Vec<u8> {
    let task = |task: TaskId| problem.tasks[task.index()].name.as_str();
    let list = |indent: &str, items: Vec<String>| match items.len() {
        0 => "[]".to_string(),
        _ => format!("[\n{indent}  {}\n{indent}]", items.join(&format!(",\n{indent}  "))),
    };
    let moves = |(wave, told): (&Vec<Move>, Vec<Told>)| {
        let lines = wave.iter().zip(told).map(|(step, told)| object(&line(problem, step, &told)));
        list("    ", lines.collect())
    };
    let waves = plan.waves.iter().zip(told(problem, plan)).map(moves).collect();
    let unplaced =
        plan.unplaced.iter().map(|(id, why)| json!({"task": task(*id), "reason": why}).to_string()).collect();
    let blocked = plan.blocked.iter().map(|blocked| object(&blocked_fields(problem, blocked))).collect();
    let mut fields = vec![("format", json!(PLAN_FORMAT).to_string())];
    fields.extend(head(problem, plan).into_iter().map(|(name, value)| (name, value.to_string())));
    if let Some(proof) = &plan.proof {
        fields.push(("proof", proof::write(problem, proof)));
    }
    fields.push(("waves", list("  ", waves)));
    let granted: Vec<String> = granted::records(problem, plan).iter().map(|record| record.to_string()).collect();
    if !granted.is_empty() {
        fields.push(("granted", list("  ", granted)));
    }
    fields.push(("unplaced", list("  ", unplaced)));
    fields.push(("blocked", list("  ", blocked)));
    if let Some(reserve) = &plan.reserve {
        fields.push(("reserve", reserve::write(problem, reserve)));
    }
    fields.push(("summary", object(&summary_json(plan))));
    let fields: Vec<String> = fields.into_iter().map(|(name, value)| format!("  {name:?}: {value}")).collect();
    format!("{{\n{}\n}}\n", fields.join(",\n")).into_bytes()
}

type Entry = (&'static str, serde_json::Value);

fn object(fields: &[Entry]) -> String {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
    format!("{{{}}}", fields.join(","))
}

/// One blocked move.
pub(super) fn blocked_fields(problem: &Problem, blocked: &Blocked) -> Vec<Entry> {
    let task = |task: TaskId| json!(problem.tasks[task.index()].name);
    let mut fields =
        vec![("task", task(blocked.task)), ("to", pieces_json(problem, &blocked.to)), ("rule", json!(blocked.rule))];
    fields.extend(blocked.node.map(|node| ("node", json!(problem.nodes[node.index()].name))));
    fields.extend(blocked.by.map(|by| ("by", task(by))));
    fields
}

/// What a plan says of itself as a whole.
pub(super) fn head(problem: &Problem, plan: &Plan) -> Vec<Entry> {
    let node = |node: &NodeId| &problem.nodes[node.index()].name;
    let mut fields = vec![("snapshot", json!(plan.fingerprint))];
    fields.extend(plan.goal.map(|goal| ("goal", json!(goal.word()))));
    fields.extend([
        ("solver", json!(plan.solver)),
        ("seed", json!(plan.seed)),
        ("effort", json!(plan.effort)),
        ("backend", json!(plan.backend)),
        ("status", json!(word(&STATUSES, plan.status))),
        ("blockers", json!(plan.blockers)),
        ("drain", json!(plan.drain.iter().map(node).collect::<Vec<_>>())),
        ("unexplored", json!(plan.unexplored)),
        ("objective", json!({"before": points_json(plan.objective.0), "after": points_json(plan.objective.1)})),
    ]);
    fields.extend(plan.bound.map(|bound| ("bound", points_json(bound))));
    fields.extend(plan.gap.map(|gap| ("gap", points_json(gap))));
    fields.retain(|(_, value)| value != &json!([]));
    fields
}

/// One move.
pub(super) fn line(problem: &Problem, step: &Move, told: &Told) -> Vec<Entry> {
    let mut fields = vec![
        ("task", json!(problem.tasks[step.task.index()].name)),
        ("from", pieces_json(problem, &step.from)),
        ("to", pieces_json(problem, &step.to)),
        ("reason", json!(step.reason.word())),
        ("gain", points_json(step.gain)),
    ];
    fields.extend(told.fields());
    fields
}

/// The summary.
pub(super) fn summary_json(plan: &Plan) -> Vec<Entry> {
    COUNTS.iter().zip(summary(plan)).map(|(name, count)| (*name, json!(count))).collect()
}

/// What the summary counts, in the order of [`summary`].
const COUNTS: [&str; 4] = ["moves", "waves", "unplaced", "blocked"];

fn summary(plan: &Plan) -> [u64; 4] {
    [plan.moves().count(), plan.waves.len(), plan.unplaced.len(), plan.blocked.len()].map(|count| count as u64)
}

pub(super) fn pieces_json(problem: &Problem, spot: &Spot) -> serde_json::Value {
    json!(problem.specs(spot))
}

/// Scaled points as a whole number, or as a reduced fraction in text where they are not whole or too large.
pub(super) fn points_json(scaled: i128) -> serde_json::Value {
    let one = i128::from(SHARE_ONE);
    match i64::try_from(scaled / one) {
        Ok(whole) if scaled % one == 0 => json!(whole),
        _ => {
            let divisor = gcd(scaled.unsigned_abs(), u128::from(SHARE_ONE)) as i128;
            json!(format!("{}/{}", scaled / divisor, one / divisor))
        }
    }
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Reads a plan for a problem. Whether the plan is right is for [`crate::plan::verify`] to say, its fingerprint included.
///
/// # Errors
/// Every fault of syntax and form.
pub fn read_plan(bytes: &[u8], problem: &Problem) -> Result<Plan, Faults> {
    refuse_stream(bytes)?;
    let reader = Reader::default();
    let names = Names {
        tasks: problem.task_ids().map(|id| (problem.tasks[id.index()].name.as_str(), id)).collect(),
        nodes: problem.node_ids().map(|id| (problem.nodes[id.index()].name.as_str(), id)).collect(),
    };
    let plan = names.plan(problem, &reader, parse(bytes)?);
    let faults = reader.faults.into_inner();
    if faults.is_empty() { Ok(plan.expect("without a fault there is a plan")) } else { Err(faults) }
}

/// A plan as records is for programs that read it as it comes; what it leaves out, a plan needs.
fn refuse_stream(bytes: &[u8]) -> Result<(), Faults> {
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let record: Option<serde_json::Value> = serde_json::from_slice(first).ok();
    if record.is_none_or(|record| record["format"] != STREAM_FORMAT) {
        return Ok(());
    }
    let mut faults = Faults::new();
    let cause = "this is the stream form of a plan (NDJSON), and a plan is due";
    faults.add("F106", "format", cause, "give the plan as JSON: `bayplan plan SNAPSHOT -o plan.json` writes it");
    Err(faults)
}

pub(super) struct Names<'a> {
    tasks: HashMap<&'a str, TaskId>,
    nodes: HashMap<&'a str, NodeId>,
}

impl Names<'_> {
    fn plan(&self, problem: &Problem, reader: &Reader, value: Value) -> Option<Plan> {
        let mut fields = reader.fields(Path::Root, value)?;
        if !fields.format(PLAN_FORMAT) {
            return None;
        }
        let fingerprint = fields.required("snapshot", Reader::text);
        let goal = fields.optional("goal", |r, p, v| r.word(p, v, &Goal::WORDS));
        let solver = fields.required("solver", Reader::text);
        let seed = fields.required("seed", Reader::natural);
        let effort = fields.required("effort", Reader::natural);
        let backend = fields.optional("backend", Reader::text);
        let status = fields.required("status", |r, p, v| r.word(p, v, &STATUSES));
        let blockers = fields.optional("blockers", Reader::texts).unwrap_or_default();
        let drain = fields.optional("drain", |r, p, v| Some(r.list(p, v, |p, v| self.node(r, p, v))));
        let unexplored = fields.optional("unexplored", Reader::texts).unwrap_or_default();
        let objective = fields.required("objective", before_after);
        let bound = fields.optional("bound", points);
        let gap = fields.optional("gap", points);
        let proof = fields.optional("proof", |r, p, v| proof::read(problem, r, p, v));
        let waves = fields
            .required("waves", |r, p, v| Some(r.list(p, v, |p, v| Some(r.list(p, v, |p, v| self.step(r, p, v))))));
        let granted = fields.optional("granted", |r, p, v| Some(r.list(p, v, |p, v| self.grant(r, p, v))));
        let unplaced = fields.required("unplaced", |r, p, v| Some(r.list(p, v, |p, v| self.unplaced(r, p, v))));
        let blocked = fields.required("blocked", |r, p, v| Some(r.list(p, v, |p, v| self.blocked(r, p, v))));
        let reserve = fields.optional("reserve", |r, p, v| self.reserve(problem, r, p, v));
        let given = fields.required("summary", counts);
        fields.finish();
        let (waves, given_told): (Vec<Vec<Move>>, Vec<Vec<Told>>) =
            waves?.into_iter().map(|wave| wave.into_iter().unzip()).unzip();
        let plan = Plan {
            fingerprint: fingerprint?,
            goal,
            solver: solver?,
            seed: seed?,
            effort: effort?,
            backend: backend.unwrap_or_else(|| "cpu".to_string()),
            status: status?,
            bound,
            gap,
            proof,
            objective: objective?,
            waves,
            unplaced: unplaced?,
            blocked: blocked?,
            reserve,
            blockers,
            drain: drain.unwrap_or_default(),
            unexplored,
        };
        // A list with faulty items is shorter than the file says; that is not the summary's fault.
        if reader.faults.borrow().is_empty() {
            told::check(reader, problem, &plan, &given_told);
            granted.iter().for_each(|given| granted::check(reader, problem, &plan, given));
            for ((name, counted), given) in COUNTS.iter().zip(summary(&plan)).zip(given?) {
                if given != counted {
                    let cause = format!("it says {given}, and the plan has {counted}");
                    let path = Path::Field(&Path::Root, "summary");
                    let remedy = "use the file as it was written; it may have been cut or edited";
                    reader.fault("F203", Path::Field(&path, name), cause, remedy);
                }
            }
        }
        Some(plan)
    }

    fn step(&self, reader: &Reader, path: Path<'_>, value: Value) -> Option<(Move, Told)> {
        let mut fields = reader.fields(path, value)?;
        let task = fields.required("task", |r, p, v| self.task(r, p, v));
        let from = fields.required("from", |r, p, v| self.spot(r, p, v));
        let to = fields.required("to", |r, p, v| self.spot(r, p, v));
        let reason = fields.required("reason", |r, p, v| r.word(p, v, &Reason::WORDS));
        let gain = fields.required("gain", points);
        let told = Told {
            wave: fields.optional("wave", Reader::natural),
            objective: fields.optional("objective", before_after),
            binding: fields.optional("binding", |r, p, v| r.word(p, v, &BINDINGS)),
        };
        fields.finish();
        Some((Move { task: task?, from: from?, to: to?, reason: reason?, gain: gain? }, told))
    }

    fn unplaced(&self, reader: &Reader, path: Path<'_>, value: Value) -> Option<(TaskId, String)> {
        let mut fields = reader.fields(path, value)?;
        let task = fields.required("task", |r, p, v| self.task(r, p, v));
        let reason = fields.required("reason", Reader::text);
        fields.finish();
        Some((task?, reason?))
    }

    fn blocked(&self, reader: &Reader, path: Path<'_>, value: Value) -> Option<Blocked> {
        let mut fields = reader.fields(path, value)?;
        let task = fields.required("task", |r, p, v| self.task(r, p, v));
        let to = fields.required("to", |r, p, v| self.spot(r, p, v));
        let rule = fields.required("rule", Reader::text);
        let node = fields.optional("node", |r, p, v| self.node(r, p, v));
        let by = fields.optional("by", |r, p, v| self.task(r, p, v));
        fields.finish();
        Some(Blocked { task: task?, to: to?, rule: rule?, node, by })
    }

    pub(super) fn node(&self, reader: &Reader, path: Path<'_>, value: Value) -> Option<NodeId> {
        let name = reader.text(path, value)?;
        let found = self.nodes.get(name.as_str()).copied();
        if found.is_none() {
            unknown(reader, path, "node", &name);
        }
        found
    }

    pub(super) fn task(&self, reader: &Reader, path: Path<'_>, value: Value) -> Option<TaskId> {
        let name = reader.text(path, value)?;
        let found = self.tasks.get(name.as_str()).copied();
        if found.is_none() {
            unknown(reader, path, "task", &name);
        }
        found
    }

    pub(super) fn spot(&self, reader: &Reader, path: Path<'_>, value: Value) -> Option<Spot> {
        let specs = reader.list(path, value, |p, v| piece(reader, p, v));
        let mut pieces = Vec::with_capacity(specs.len());
        for (i, spec) in specs.into_iter().enumerate() {
            let here = Path::Item(&path, i);
            let node = self.nodes.get(spec.node.as_str()).copied();
            if node.is_none() {
                unknown(reader, here, "node", &spec.node);
            }
            let share = spec.share.as_deref().map_or(Some(Share::ONE), Share::parse);
            if share.is_none_or(|share| share == Share::ZERO) {
                reader.fault("F202", here, "the share is no fraction above 0", "write a fraction such as \"3/10\"");
            }
            let devices = spec.devices.iter().try_fold(0u64, |set, d| {
                let bit = 1u64.checked_shl(*d).filter(|bit| set & bit == 0)?;
                Some(set | bit)
            });
            if devices.is_none() {
                reader.fault("F202", here, "a device is above 63 or named twice", "name each device once, from 0");
            }
            pieces.push(Piece { node: node?, share: share?, devices: devices? });
        }
        Some(Spot::from_pieces(pieces))
    }
}

pub(super) fn unknown(reader: &Reader, path: Path<'_>, what: &str, name: &str) {
    let remedy = "use the snapshot that the plan was made for";
    reader.fault("F201", path, format!("the snapshot has no {what} {name:?}"), remedy);
}

fn before_after(reader: &Reader, path: Path<'_>, value: Value) -> Option<(i128, i128)> {
    let mut fields = reader.fields(path, value)?;
    let (before, after) = (fields.required("before", points), fields.required("after", points));
    fields.finish();
    Some((before?, after?))
}

fn counts(reader: &Reader, path: Path<'_>, value: Value) -> Option<[u64; 4]> {
    let mut fields = reader.fields(path, value)?;
    let counts = COUNTS.map(|name| fields.required(name, Reader::natural));
    fields.finish();
    let [moves, waves, unplaced, blocked] = counts;
    Some([moves?, waves?, unplaced?, blocked?])
}

/// Points: a whole number, or a fraction as text whose parts are whole 720,720ths.
pub(super) fn points(reader: &Reader, path: Path<'_>, value: Value) -> Option<i128> {
    let one = i128::from(SHARE_ONE);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let scaled = match &value {
        Value::Int(whole) => Some(i128::from(*whole) * one),
        Value::Large(whole) => Some(i128::from(*whole) * one),
        Value::Text(text) => text.split_once('/').and_then(|(top, bottom)| {
            if !digits(top.strip_prefix('-').unwrap_or(top)) || !digits(bottom) {
                return None;
            }
            let (top, bottom): (i128, i128) = (top.parse().ok()?, bottom.parse().ok()?);
            (bottom > 0 && one % bottom == 0).then(|| top.checked_mul(one / bottom)).flatten()
        }),
        _ => None,
    };
    if scaled.is_none() {
        let remedy = format!("write a whole number, or a fraction as text whose denominator divides {SHARE_ONE}");
        reader.fault("F202", path, "the figure is neither whole nor such a fraction", remedy);
    }
    scaled
}
