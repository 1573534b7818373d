//! What is there to tell? Every figure of the page, measured once.

use crate::cli::figures::Figures;
use bayplan::model::{
    Counted, DEVICE_MILLI, NodeId, Placement, Problem, ResourceId, SHARE_ONE, TaskId, Usage, Violation, violations,
};
use bayplan::plan::{self, Moment, Plan, Verdict};

/// Most waves told one by one; of more, as many are told, evenly over all.
pub const WAVE_SHOWN_MAX: usize = 24;

/// Everything that the page tells.
pub struct Facts<'a> {
    pub problem: &'a Problem,
    /// The state now; with a plan, the one it leads to as well.
    pub states: Vec<State>,
    /// What nodes are full of, in the order of every table.
    pub measures: Vec<Measure>,
    pub planned: Option<Planned<'a>>,
    /// Tasks that run nowhere at the end, with the reason.
    pub waiting: Vec<(TaskId, String)>,
}

/// A state in numbers.
pub struct State {
    /// `now`, or `before` and `after`.
    pub label: &'static str,
    pub placement: Placement,
    pub usage: Usage,
    pub figures: Figures,
}

/// A plan that holds.
pub struct Planned<'a> {
    pub plan: &'a Plan,
    pub verdict: Verdict,
    /// One per wave.
    pub moments: Vec<Moment>,
    /// Waves told one by one.
    pub shown: Vec<WaveEnd>,
    /// Scaled objective at the start and after each move.
    pub objective: Vec<i128>,
}

/// How a wave ends.
pub struct WaveEnd {
    /// Counted from 0.
    pub wave: usize,
    /// Moves of this and all earlier waves.
    pub moves: usize,
    pub violations: Vec<Violation>,
}

impl<'a> Facts<'a> {
    pub fn new(problem: &'a Problem, planned: Option<Planned<'a>>) -> Facts<'a> {
        let state = |label, placement: Placement| {
            let (usage, figures) = (Usage::of(problem, &placement), Figures::of(problem, &placement));
            State { label, placement, usage, figures }
        };
        let (states, waiting) = match &planned {
            None => (vec![state("now", problem.current.clone())], plan::waiting(problem)),
            Some(Planned { plan, verdict, .. }) => {
                let after = state("after", verdict.reached.clone());
                (vec![state("before", problem.current.clone()), after], plan.unplaced.clone())
            }
        };
        Facts { problem, states, measures: measures(problem), planned, waiting }
    }

    /// The state at the end: the only one without a plan.
    pub fn end(&self) -> &State {
        self.states.last().expect("there is always the state now")
    }

    pub fn start(&self) -> &State {
        &self.states[0]
    }

    pub fn task_name(&self, task: TaskId) -> &'a str {
        &self.problem.tasks[task.index()].name
    }

    pub fn node_name(&self, node: NodeId) -> &'a str {
        &self.problem.nodes[node.index()].name
    }
}

impl<'a> Planned<'a> {
    pub fn new(problem: &Problem, plan: &'a Plan, verdict: Verdict) -> Planned<'a> {
        let gains = plan.moves().scan(plan.objective.0, |objective, step| {
            *objective += step.gain;
            Some(*objective)
        });
        let objective = std::iter::once(plan.objective.0).chain(gains).collect();
        Planned { plan, verdict, moments: plan::moments(problem, plan), shown: wave_ends(problem, plan), objective }
    }
}

fn wave_ends(problem: &Problem, plan: &Plan) -> Vec<WaveEnd> {
    let shown = evenly(plan.waves.len(), WAVE_SHOWN_MAX);
    let mut state = problem.current.clone();
    let (mut ends, mut moves) = (Vec::new(), 0);
    for (wave, steps) in plan.waves.iter().enumerate() {
        steps.iter().for_each(|step| state.set(step.task, step.to.clone()));
        moves += steps.len();
        if shown.contains(&wave) {
            ends.push(WaveEnd { wave, moves, violations: violations(problem, &state) });
        }
    }
    ends
}

/// At most `most` of the numbers below `count`, evenly, the first and the last among them.
pub fn evenly(count: usize, most: usize) -> Vec<usize> {
    match count.cmp(&most) {
        std::cmp::Ordering::Greater => (0..most).map(|i| i * (count - 1) / (most - 1)).collect(),
        _ => (0..count).collect(),
    }
}

/// What a node can be full of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    Resource(ResourceId),
    /// Devices of a kind, in milli.
    Devices(u32),
    /// Memory of the devices of a kind.
    DeviceMemory(u32),
}

/// Resources, kinds of devices and their memory, of which some node has any.
fn measures(problem: &Problem) -> Vec<Measure> {
    let resources = (0..problem.own_resources().len()).map(ResourceId::new).map(Measure::Resource);
    let kinds = || 0..problem.device_kinds.len() as u32;
    let devices = kinds().map(Measure::Devices).chain(kinds().map(Measure::DeviceMemory));
    let is_there = |measure: &Measure| problem.node_ids().any(|node| measure.capacity(problem, node) > 0);
    resources.chain(devices).filter(is_there).collect()
}

impl Measure {
    pub fn name(self, problem: &Problem) -> String {
        match self {
            Measure::Resource(resource) => Counted::Resource.title(&problem.resources[resource.index()].name),
            Measure::Devices(kind) => Counted::Devices.title(&problem.device_kinds[kind as usize]),
            Measure::DeviceMemory(kind) => Counted::DeviceMemory.title(&problem.device_kinds[kind as usize]),
        }
    }

    /// Milli for devices, else scaled.
    pub fn capacity(self, problem: &Problem, node: NodeId) -> i128 {
        match self {
            Measure::Resource(resource) => {
                i128::from(problem.allocatable(node)[resource.index()]) * i128::from(SHARE_ONE)
            }
            Measure::Devices(kind) => {
                let devices = &problem.nodes[node.index()].devices;
                devices.iter().filter(|device| device.kind == kind).count() as i128 * i128::from(DEVICE_MILLI)
            }
            Measure::DeviceMemory(kind) => problem.nodes[node.index()].kind_memory(kind) * i128::from(SHARE_ONE),
        }
    }

    pub fn fill(self, problem: &Problem, usage: &Usage, node: NodeId) -> Fill {
        let used = match self {
            Measure::Resource(resource) => usage.amount(node, resource),
            Measure::Devices(kind) => usage.kind_milli(problem, node, kind).0,
            Measure::DeviceMemory(kind) => usage.kind_memory(problem, node, kind) * i128::from(SHARE_ONE),
        };
        Fill { used, capacity: self.capacity(problem, node) }
    }
}

/// How much of what there is, is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fill {
    pub used: i128,
    pub capacity: i128,
}

impl Fill {
    /// In millionths, rounded up so that what is beyond the capacity stays beyond it; `None` where there is nothing and nothing is
    /// used.
    pub fn millionths(self) -> Option<i128> {
        match (self.used, self.capacity) {
            (0, 0) => None,
            (_, 0) => Some(i128::MAX),
            (used, capacity) => Some((used * 1_000_000 + capacity - 1) / capacity),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_keep_both_ends() {
        assert_eq!(evenly(3, 5), [0, 1, 2]);
        assert_eq!(evenly(0, 5), [0; 0]);
        assert_eq!(evenly(101, 5), [0, 25, 50, 75, 100]);
    }

    #[test]
    fn a_little_too_much_is_too_much() {
        let fill = |used, capacity| Fill { used, capacity }.millionths();
        assert_eq!(fill(1 << 80, 1 << 60), Some(1_000_000 << 20));
        assert_eq!(fill((1 << 60) + 1, 1 << 60), Some(1_000_001));
        assert_eq!((fill(0, 0), fill(1, 0), fill(0, 5)), (None, Some(i128::MAX), Some(0)));
    }
}
