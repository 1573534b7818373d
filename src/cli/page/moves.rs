//! Which moves, and why? Counted by reason, then one by one.

use super::facts::{Facts, Planned};
use super::html::{Html, html, name, plain};
use super::parts::{figures, number, section as part, table, words};
use crate::cli::figures::grouped;
use crate::cli::report::{difference, spot_text};
use bayplan::plan::{Blocked, Move, Reason};

/// Moves listed; the plan has all.
const MOVE_SHOWN_MAX: usize = 100;
/// Moves named that have no safe order.
const BLOCKED_SHOWN_MAX: usize = 20;

const REASONS: [(Reason, &str); 9] = [
    (Reason::Repair, "makes a broken rule less broken"),
    (Reason::Drain, "leaves a node that is to be emptied"),
    (Reason::Admit, "a waiting task starts"),
    (Reason::Improve, "pays by itself"),
    (Reason::Enable, "pays together with others: it makes room, or keeps a rule"),
    (Reason::Resize, "stays on its node with another share, or other devices"),
    (Reason::Evict, "a running task is stopped"),
    (Reason::Park, "waits on a third node, and moves on in a later wave"),
    (Reason::Restart, "stops, and starts again in a later wave"),
];

/// The section; `None` without a plan, or for one that neither moves nor would.
pub fn section(facts: &Facts<'_>) -> Option<Html> {
    let planned = facts.planned.as_ref()?;
    if planned.plan.waves.is_empty() && planned.plan.blocked.is_empty() {
        return None;
    }
    let total = planned.plan.moves().count();
    let lead = match total > MOVE_SHOWN_MAX {
        true => format!(
            "The first {} of {}, in the order of the plan, which has all.",
            number(MOVE_SHOWN_MAX),
            number(total)
        ),
        false => "In the order of the plan.".to_string(),
    };
    let body = html![reasons(planned), list(facts, planned), blocked(facts, &planned.plan.blocked)];
    Some(part("moves", "Moves", lead, body))
}

fn reasons(planned: &Planned<'_>) -> Html {
    let row = |(reason, meaning): &(Reason, &str)| {
        let of = || planned.plan.moves().filter(|step| step.reason == *reason);
        let gain: i128 = of().map(|step| step.gain).sum();
        (of().count() > 0).then(|| {
            [reason.word().into(), (*meaning).into(), number(of().count()), grouped(gain)]
                .map(|text: String| text.into())
                .into()
        })
    };
    let rows = REASONS.iter().filter_map(row).collect();
    table("Moves by reason", &[words("why"), words("meaning"), figures("moves"), figures("gain")], rows)
}

fn list(facts: &Facts<'_>, planned: &Planned<'_>) -> Html {
    let waves = planned.plan.waves.iter().enumerate();
    let steps = waves.flat_map(|(w, wave)| wave.iter().map(move |step| (w + 1, step)));
    let row = |(wave, step): (usize, &Move)| {
        let gain = if step.gain == 0 { "0".to_string() } else { difference(step.gain) };
        vec![
            name(facts.task_name(step.task)),
            number(wave).into(),
            name(&spot_text(facts.problem, &step.from)),
            name(&spot_text(facts.problem, &step.to)),
            step.reason.word().into(),
            gain.into(),
        ]
    };
    let rows = steps.take(MOVE_SHOWN_MAX).map(row).collect();
    let columns = [words("task"), figures("wave"), words("from"), words("to"), words("why"), figures("gain")];
    table("Moves one by one", &columns, rows)
}

fn blocked(facts: &Facts<'_>, blocked: &[Blocked]) -> Html {
    if blocked.is_empty() {
        return Html::default();
    }
    let count = number(blocked.len());
    let names = blocked.iter().take(BLOCKED_SHOWN_MAX).map(|blocked| name(facts.task_name(blocked.task)));
    let more = if blocked.len() > BLOCKED_SHOWN_MAX { " …" } else { "" };
    let lead = format!("{count} more would pay, but each order of them breaks a rule on the way: ");
    html![plain("h3", "Without a safe order"), plain("p", html![lead, Html::listed(names, ", "), more])]
}
