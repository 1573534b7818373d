//! What was typed about a synthetic cluster? Clap's struct for `generate`.

use super::args::OutputArg;
use bayplan::generate::{Shape, Wish};
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

/// A shape by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShapeArg(pub Shape);

const SHAPES: [ShapeArg; Shape::ALL.len()] = {
    let mut list = [ShapeArg(Shape::Balance); Shape::ALL.len()];
    let mut i = 0;
    while i < list.len() {
        list[i] = ShapeArg(Shape::ALL[i]);
        i += 1;
    }
    list
};

impl ValueEnum for ShapeArg {
    fn value_variants<'a>() -> &'a [ShapeArg] {
        &SHAPES
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let ShapeArg(shape) = self;
        let (nodes, tasks, fill) = (shape.nodes().usual, shape.tasks().usual, shape.fill());
        let sizes = format!("[{nodes} nodes, {tasks} tasks, fill {} of {} to {} %]", fill.usual, fill.least, fill.most);
        Some(PossibleValue::new(shape.name()).help(format!("{} {sizes}", shape.about())))
    }
}

/// Options of `generate`. Ranges depend on the shape and are checked together, so that every fault is told at once.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bayplan generate balance --nodes 5000 --tasks 100000 --seed 7 -o cluster.json
  bayplan generate huge --nodes 20 --tasks 200 | bayplan plan - --time-limit 10s -o plan.json

The same arguments give the same bytes on every platform. At the start every rule holds.")]
pub struct GenerateArgs {
    /// What makes the cluster hard to plan for
    #[arg(value_enum)]
    pub shape: ShapeArg,
    /// Nodes [default: by shape]
    #[arg(long, value_name = "N")]
    nodes: Option<u64>,
    /// Tasks, running and waiting [default: by shape]
    #[arg(long, value_name = "T")]
    tasks: Option<u64>,
    /// Seed of every draw
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Demand as a percentage of capacity [default: by shape]
    #[arg(long, value_name = "PERCENT")]
    fill: Option<u64>,
    /// Resources; only for the shape wide [default: 16]
    #[arg(long, value_name = "R")]
    resources: Option<u64>,
    #[command(flatten)]
    pub output: OutputArg,
}

impl GenerateArgs {
    /// The figures as typed.
    pub fn wish(&self) -> Wish {
        Wish { nodes: self.nodes, tasks: self.tasks, resources: self.resources, fill: self.fill, seed: self.seed }
    }
}
