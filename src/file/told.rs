//! What does a plan file tell of a move beyond the move itself? Figures that follow from the plan, and are checked on reading.
//!
//! * `wave`: its number, from 1.
//! * `objective`: before and after the move, moves taken in plan order: the curve by which an operator sees where to stop.
//! * `binding`: `bound` where whoever carries the move out can name the target (a task that starts is started *on* a node, a virtual
//!   machine is moved *to* one), `hint` where a scheduler will choose again (a container or job that is stopped and starts anew),
//!   unless what carries it out holds the target for it (Koordinator's reservations) or names it (Proxmox moves its containers
//!   itself): the exported script says so.

use super::json::{Path, Reader};
use super::plan::points_json;
use crate::model::{Problem, TaskKind};
use crate::plan::{Move, Plan};
use serde_json::json;

/// Whether the target is more than a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binding {
    Bound,
    Hint,
}

pub(super) const BINDINGS: [(&str, Binding); 2] = [("bound", Binding::Bound), ("hint", Binding::Hint)];

/// What a file says of a move; everything may be left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) wave: Option<u64>,
    pub(super) objective: Option<(i128, i128)>,
    pub(super) binding: Option<Binding>,
}

impl Told {
    /// The fields, ready to be written.
    pub(super) fn fields(&self) -> Vec<(&'static str, serde_json::Value)> {
        let objective =
            self.objective.map(|(before, after)| json!({"before": points_json(before), "after": points_json(after)}));
        let binding = BINDINGS.iter().find(|(_, binding)| Some(*binding) == self.binding).map(|(word, _)| json!(word));
        let fields = [("wave", self.wave.map(|wave| json!(wave))), ("objective", objective), ("binding", binding)];
        fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// What is true of every move, wave by wave.
pub(super) fn told(problem: &Problem, plan: &Plan) -> Vec<Vec<Told>> {
    let mut now = plan.objective.0;
    let mut list = Vec::with_capacity(plan.waves.len());
    for (w, wave) in plan.waves.iter().enumerate() {
        let moves = wave.iter().map(|step| {
            let before = now;
            now = now.saturating_add(step.gain);
            let (wave, objective) = (Some(w as u64 + 1), Some((before, now)));
            Told { wave, objective, binding: Some(binding(problem, step)) }
        });
        list.push(moves.collect());
    }
    list
}

fn binding(problem: &Problem, step: &Move) -> Binding {
    match problem.tasks[step.task.index()].kind {
        _ if !step.from.is_placed() => Binding::Bound,
        TaskKind::Vm => Binding::Bound,
        TaskKind::Container | TaskKind::Job => Binding::Hint,
    }
}

/// Reports what a file says of its moves and is not so.
pub(super) fn check(reader: &Reader, problem: &Problem, plan: &Plan, given: &[Vec<Told>]) {
    for (w, (wave, given)) in told(problem, plan).iter().zip(given).enumerate() {
        for (m, (told, given)) in wave.iter().zip(given).enumerate() {
            let wrong = [
                ("wave", given.wave.is_some() && given.wave != told.wave),
                ("objective", given.objective.is_some() && given.objective != told.objective),
                ("binding", given.binding.is_some() && given.binding != told.binding),
            ];
            for (name, _) in wrong.iter().filter(|(_, is_wrong)| *is_wrong) {
                let waves = Path::Field(&Path::Root, "waves");
                let wave = Path::Item(&waves, w);
                let step = Path::Item(&wave, m);
                let remedy = "use the file as it was written; it may have been cut or edited";
                reader.fault("F203", Path::Field(&step, name), "it does not follow from the moves", remedy);
            }
        }
    }
}
