//! How does a shapes file look? Kinds of nodes that can be bought, and kinds of tasks that might come.

use super::json::{Path, Reader, Value, parse};
use super::snapshot::{node, task};
use crate::model::{Faults, NodeSpec, TaskSpec};

/// Value of the `format` field of every shapes file this version reads.
const SHAPES_FORMAT: &str = "bayplan-shapes/1";

/// What could come.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shapes {
    /// Kinds of nodes, and how many of each can be had (`max`; absent = any number).
    pub nodes: Vec<(NodeSpec, Option<u32>)>,
    /// Kinds of tasks.
    pub tasks: Vec<TaskSpec>,
}

/// Reads a shapes file: the fields `nodes` and `tasks` of a snapshot, where a node may have a `max` as well.
///
/// # Errors
/// Every fault of syntax and form (F1xx), and a task that has a placement (F205).
pub fn read_shapes(bytes: &[u8]) -> Result<Shapes, Faults> {
    let reader = Reader::default();
    let shapes = shapes(&reader, parse(bytes)?);
    let mut faults = reader.faults.into_inner();
    for task in shapes.iter().flat_map(|shapes| &shapes.tasks).filter(|task| !task.placement.is_empty()) {
        let remedy = "leave the placement out; a shape runs nowhere";
        faults.add("F205", format!("task {}", task.name), "it runs somewhere already", remedy);
    }
    if faults.is_empty() { Ok(shapes.expect("without a fault there are shapes")) } else { Err(faults) }
}

fn shapes(reader: &Reader, value: Value) -> Option<Shapes> {
    let mut fields = reader.fields(Path::Root, value)?;
    if !fields.format(SHAPES_FORMAT) {
        return None;
    }
    let shapes = Shapes {
        nodes: fields.optional("nodes", |r, p, v| Some(r.list(p, v, |p, v| on_offer(r, p, v)))).unwrap_or_default(),
        tasks: fields.optional("tasks", |r, p, v| Some(r.list(p, v, |p, v| task(r, p, v)))).unwrap_or_default(),
    };
    fields.finish();
    Some(shapes)
}

/// A node as in a snapshot, and its `max`.
fn on_offer(reader: &Reader, path: Path<'_>, value: Value) -> Option<(NodeSpec, Option<u32>)> {
    let Value::Object(mut fields) = value else { return Some((node(reader, path, value)?, None)) };
    // A second one is left to the node, which does not know the field.
    let at = fields.iter().position(|(name, _)| name == "max");
    let most = at.map(|at| fields.remove(at).1);
    let most = most.and_then(|value| reader.count(Path::Field(&path, "max"), value));
    Some((node(reader, path, Value::Object(fields))?, most))
}
