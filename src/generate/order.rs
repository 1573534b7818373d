//! Which cluster is asked for, and can it be made? The shapes, their usual sizes, and the limits of every figure.

use std::fmt;

/// Most nodes, and most tasks: what a snapshot may have.
const COUNT_MAX: u64 = 1 << 24;
/// Most resources: what a snapshot may have.
const RESOURCE_COUNT_MAX: u64 = 32;
/// What a node or task takes beside its amounts (names, lists, its place), counted as so many amounts.
const RECORD_WEIGHT: u64 = 4;
/// Most (nodes + tasks) × (resources + 4): about 300 bytes for each of these are needed to make, check and write a snapshot, 5 GB at
/// the limit. A slip of the keyboard must not fill the memory of the machine; a million tasks on 100,000 nodes are half of it.
pub const SIZE_MAX: u64 = 1 << 24;

/// What makes a cluster hard to plan for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Out of balance.
    Balance,
    /// A few tasks nearly as large as a node.
    Huge,
    /// Many resources.
    Wide,
    /// Nearly full, and moves need room on both nodes.
    Transient,
    /// Load in few racks, and rules over racks.
    Racks,
    /// More demand than capacity.
    Queue,
}

/// Least, usual and greatest value of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Least.
    pub least: u64,
    /// Taken when nothing is said.
    pub usual: u64,
    /// Greatest.
    pub most: u64,
}

impl Range {
    const fn new(least: u64, usual: u64, most: u64) -> Range {
        assert!(least <= usual && usual <= most);
        Range { least, usual, most }
    }

    const fn fixed(value: u64) -> Range {
        Range::new(value, value, value)
    }
}

impl Shape {
    /// All shapes, in the order of every table.
    pub const ALL: [Shape; 6] =
        [Shape::Balance, Shape::Huge, Shape::Wide, Shape::Transient, Shape::Racks, Shape::Queue];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Shape::Balance => "balance",
            Shape::Huge => "huge",
            Shape::Wide => "wide",
            Shape::Transient => "transient",
            Shape::Racks => "racks",
            Shape::Queue => "queue",
        }
    }

    /// One line for people.
    pub fn about(self) -> &'static str {
        match self {
            Shape::Balance => "a third of the nodes nearly full, many nearly empty; mixed nodes, jobs, some GPU tasks",
            Shape::Huge => "one to three huge tasks per node, small ones in between, and huge ones waiting for room",
            Shape::Wide => "many uncorrelated resources, each with a soft limit",
            Shape::Transient => "nearly full; all moves at once, holding most resources on both nodes",
            Shape::Racks => {
                "load concentrated in a fifth of the racks; conflict, spread and dependency rules over racks"
            }
            Shape::Queue => "more demand than capacity: waiting tasks of unequal worth, whole and fractional GPUs",
        }
    }

    /// How many nodes.
    pub fn nodes(self) -> Range {
        let usual = match self {
            Shape::Balance => 500,
            Shape::Huge | Shape::Wide | Shape::Transient => 100,
            Shape::Racks | Shape::Queue => 200,
        };
        Range::new(1, usual, COUNT_MAX)
    }

    /// How many tasks.
    pub fn tasks(self) -> Range {
        let usual = match self {
            Shape::Balance => 10_000,
            Shape::Huge | Shape::Wide => 2_000,
            Shape::Transient | Shape::Racks | Shape::Queue => 4_000,
        };
        Range::new(1, usual, COUNT_MAX)
    }

    /// How many resources.
    pub fn resources(self) -> Range {
        match self {
            Shape::Balance => Range::fixed(3),
            Shape::Huge | Shape::Racks | Shape::Queue => Range::fixed(2),
            Shape::Transient => Range::fixed(4),
            Shape::Wide => Range::new(1, 16, RESOURCE_COUNT_MAX),
        }
    }

    /// Demand as a percentage of capacity, for the resource that is tightest (GPUs aside). With fewer than about eight tasks per
    /// node the cluster may hold less.
    pub fn fill(self) -> Range {
        match self {
            Shape::Balance => Range::new(5, 62, 85),
            Shape::Huge => Range::new(20, 90, 95),
            Shape::Wide => Range::new(5, 60, 85),
            Shape::Transient => Range::new(50, 93, 98),
            Shape::Racks => Range::new(5, 60, 80),
            Shape::Queue => Range::new(20, 130, 1000),
        }
    }
}

/// What was asked for, unchecked; what is absent has its usual value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wish {
    /// How many nodes.
    pub nodes: Option<u64>,
    /// How many tasks.
    pub tasks: Option<u64>,
    /// How many resources.
    pub resources: Option<u64>,
    /// Demand as a percentage of capacity.
    pub fill: Option<u64>,
    /// Seed of every draw.
    pub seed: u64,
}

/// A cluster that can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// What makes it hard.
    pub shape: Shape,
    pub(super) nodes: usize,
    pub(super) tasks: usize,
    pub(super) resources: usize,
    pub(super) fill_percent: i64,
    pub(super) seed: u64,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Order { shape, nodes, tasks, resources, fill_percent, seed } = self;
        write!(f, "{} {tasks} x {nodes} x {resources}, fill {fill_percent} %, seed {seed}", shape.name())
    }
}

impl Order {
    /// Checks a wish.
    ///
    /// # Errors
    /// Every figure that is out of range, one line each; the caller shows them and ends.
    pub fn new(shape: Shape, wish: Wish) -> Result<Order, Vec<String>> {
        let mut faults = Vec::new();
        let mut figure = |name: &str, given: Option<u64>, range: Range| {
            let value = given.unwrap_or(range.usual);
            let Range { least, most, .. } = range;
            if !(least..=most).contains(&value) {
                let name_of_shape = shape.name();
                let limit = if least == most { format!("always {least}") } else { format!("{least} to {most}") };
                faults.push(format!("--{name} {value} is out of range: for {name_of_shape} it is {limit}"));
            }
            value
        };
        let nodes = figure("nodes", wish.nodes, shape.nodes());
        let tasks = figure("tasks", wish.tasks, shape.tasks());
        let resources = figure("resources", wish.resources, shape.resources());
        let fill = figure("fill", wish.fill, shape.fill());
        // Where a figure is out of range already, their product tells nothing new.
        if faults.is_empty() && (nodes + tasks) * (resources + RECORD_WEIGHT) > SIZE_MAX {
            let most = SIZE_MAX / (resources + RECORD_WEIGHT);
            faults.push(format!(
                "--nodes {nodes} and --tasks {tasks} are too many: with {resources} resources at most {most} together"
            ));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Order {
            shape,
            nodes: nodes as usize,
            tasks: tasks as usize,
            resources: resources as usize,
            fill_percent: fill as i64,
            seed: wish.seed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_told_at_once() {
        let wish =
            Wish { nodes: Some(0), tasks: Some(u64::MAX), resources: Some(7), fill: Some(86), ..Wish::default() };
        let faults = Order::new(Shape::Balance, wish).unwrap_err();
        assert_eq!(faults.len(), 4, "{faults:?}");
        let large = Wish { nodes: Some(COUNT_MAX), tasks: Some(COUNT_MAX), ..Wish::default() };
        assert_eq!(Order::new(Shape::Wide, large).unwrap_err().len(), 1);
    }

    #[test]
    fn usual_sizes_can_be_made() {
        for shape in Shape::ALL {
            assert!(Order::new(shape, Wish::default()).is_ok(), "{}", shape.name());
        }
    }
}
