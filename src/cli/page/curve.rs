//! What does the plan bring, step by step, and where could it be cut? The gain curve and the waves.

use super::facts::{Facts, Planned, WAVE_SHOWN_MAX, WaveEnd, evenly};
use super::html::{Html, element, html, name, of_class, plain};
use super::parts::{figures, number, percent, plural, section as part, table, words};
use crate::cli::figures::grouped;
use bayplan::plan::{Fill, Moment};
use std::fmt::Write;

/// Points of the curve: more than a screen has would only be bytes.
const POINT_MAX: usize = 600;
/// The drawing, in units of its own; it is stretched to the room there is.
const WIDTH: usize = 1200;
const HEIGHT: i128 = 300;
/// Parts of the gain for which the number of steps is told, in percent.
const PARTS: [i128; 3] = [50, 90, 99];

/// The section; `None` without a plan, or for one without moves.
pub fn section(facts: &Facts<'_>) -> Option<Html> {
    let planned = facts.planned.as_ref().filter(|planned| !planned.plan.waves.is_empty())?;
    let needed = steps_needed(planned).unwrap_or_default();
    let lead = format!("The moves of a wave may run at the same time. The plan may be cut after any wave. {needed}");
    let count = planned.plan.waves.len();
    let sampled = (count > WAVE_SHOWN_MAX).then(|| {
        let note = format!("{} of {} waves are shown, evenly.", number(WAVE_SHOWN_MAX), number(count));
        of_class("p", "note", note)
    });
    let body = html![curve(planned), waves(facts, planned), sampled, worst(facts, planned)];
    Some(part("waves", "Gain and waves", lead, body))
}

/// How many steps bring most of the gain.
fn steps_needed(planned: &Planned<'_>) -> Option<String> {
    let (before, after) = planned.plan.objective;
    let gain = after - before;
    if gain <= 0 {
        return None;
    }
    let enough = |part: i128| planned.objective.iter().position(|now| (now - before) * 100 >= gain * part);
    let told =
        PARTS.iter().filter_map(|part| enough(*part).map(|k| format!("{part}\u{a0}% within the first {}", number(k))));
    let list: Vec<String> = told.collect();
    Some(format!("Of the gain comes {} of {} steps.", list.join(", "), number(planned.objective.len() - 1)))
}

/// What the drawing spans from top to bottom.
struct Scale {
    low: i128,
    high: i128,
    /// The bound, where it is near enough to be drawn without flattening the curve.
    bound: Option<i128>,
}

impl Scale {
    fn of(planned: &Planned<'_>) -> Scale {
        let low = planned.objective.iter().copied().min().unwrap_or(0);
        let high = planned.objective.iter().copied().max().unwrap_or(0);
        let bound = planned.plan.bound.filter(|bound| *bound >= high && bound - high <= (high - low) * 2);
        Scale { low, high: bound.unwrap_or(high), bound }
    }

    /// Rows from the top.
    fn y(&self, objective: i128) -> i128 {
        match self.high - self.low {
            0 => HEIGHT / 2,
            span => (self.high - objective) * HEIGHT / span,
        }
    }
}

fn curve(planned: &Planned<'_>) -> Html {
    let steps = planned.objective.len() - 1;
    let scale = Scale::of(planned);
    let x = |k: usize| k * WIDTH / steps.max(1);
    let mut line = format!("M0 {}", scale.y(planned.objective[0]));
    for k in evenly(steps + 1, POINT_MAX).into_iter().skip(1) {
        let _ = write!(line, "H{}V{}", x(k), scale.y(planned.objective[k]));
    }
    let (before, after) = planned.plan.objective;
    let view = format!("0 -6 {WIDTH} {}", HEIGHT + 12);
    let alt = format!(
        "Objective after each step: from {} at the start to {} after {}",
        grouped(before),
        grouped(after),
        plural(steps, "step", "steps")
    );
    let path = |class: &str, d: String| element("path", &[("class", class), ("d", &d)], "");
    let ends = planned.shown.iter().filter(|_| planned.shown.len() == planned.plan.waves.len());
    let drawing = html![
        Html::all(ends.map(|end| path("wave", format!("M{} 0V{HEIGHT}", x(end.moves))))),
        path("area", format!("{line}V{HEIGHT}H0Z")),
        scale.bound.map(|_| path("bound", format!("M0 0H{WIDTH}"))),
        path("line", line),
    ];
    let attributes = [("role", "img"), ("aria-label", &alt), ("viewBox", &view), ("preserveAspectRatio", "none")];
    let labels = |class: &'static str, labels: Vec<String>| {
        let labels = labels.into_iter().map(|label| plain("span", label));
        element("div", &[("class", class), ("aria-hidden", "true")], Html::all(labels))
    };
    let plot = html![
        labels("scale", vec![grouped(scale.high), grouped(scale.low)]),
        element("svg", &attributes, drawing),
        labels("steps", vec!["0".into(), "steps".into(), number(steps)]),
    ];
    let caption = match scale.bound {
        Some(_) => "Objective after each step; dashed: no placement is above this line",
        None => "Objective after each step",
    };
    of_class("figure", "curve", html![plain("figcaption", caption), of_class("div", "plot", plot)])
}

fn waves(facts: &Facts<'_>, planned: &Planned<'_>) -> Html {
    let columns = [
        figures("wave"),
        figures("steps"),
        figures("starting"),
        figures("moving"),
        figures("stopping"),
        figures("objective after"),
        figures("of the gain"),
        figures("broken rules"),
        figures("fullest node on the way"),
        words("which"),
        words("in flight"),
    ];
    let rows = planned.shown.iter().map(|end| wave_row(facts, planned, end)).collect();
    table("Waves: what runs at once, and where it leads", &columns, rows)
}

fn wave_row(facts: &Facts<'_>, planned: &Planned<'_>, end: &WaveEnd) -> Vec<Html> {
    let (steps, moment) = (&planned.plan.waves[end.wave], &planned.moments[end.wave]);
    let starting = steps.iter().filter(|step| !step.from.is_placed()).count();
    let stopping = steps.iter().filter(|step| !step.to.is_placed()).count();
    let (before, after) = planned.plan.objective;
    let now = planned.objective[end.moves];
    let gained = if after > before { percent(now - before, after - before) } else { "–".into() };
    let (fill, place) = fullest(facts, moment);
    let mut row: Vec<Html> = [
        number(end.wave + 1),
        number(steps.len()),
        number(starting),
        number(steps.len() - starting - stopping),
        number(stopping),
        grouped(now),
        gained,
        number(end.violations.len()),
        fill,
    ]
    .map(Html::from)
    .into();
    row.extend([place, in_flight(facts, moment)]);
    row
}

/// What running tasks take along.
fn in_flight(facts: &Facts<'_>, moment: &Moment) -> Html {
    let amounts = facts.problem.own_resources().iter().zip(&moment.in_flight).filter(|(_, amount)| **amount > 0);
    Html::listed(amounts.map(|(resource, amount)| format!("{} {}", grouped(*amount), resource.name).into()), ", ")
}

fn fullest(facts: &Facts<'_>, moment: &Moment) -> (String, Html) {
    let Some(Fill { node, resource, held, capacity }) = moment.fullest else { return ("–".into(), Html::default()) };
    let resource = &facts.problem.resources[resource.index()].name;
    (percent(held, capacity), html![resource, " on ", name(facts.node_name(node))])
}

/// The fullest moment of all waves, those that are not shown included.
fn worst(facts: &Facts<'_>, planned: &Planned<'_>) -> Html {
    let part = |moment: &Moment| moment.fullest.map(|fill| fill.held * 1_000_000 / fill.capacity);
    let waves = planned.moments.iter().enumerate().filter_map(|(w, moment)| Some((part(moment)?, w)));
    let Some((_, wave)) = waves.max_by_key(|(part, w)| (*part, std::cmp::Reverse(*w))) else { return Html::default() };
    let (fill, place) = fullest(facts, &planned.moments[wave]);
    let largest = planned.plan.waves.iter().map(Vec::len).max().unwrap_or(0);
    let largest = plural(largest, "step", "steps");
    let moment = format!("The largest wave has {largest}. The fullest moment is in wave {}: ", number(wave + 1));
    plain("p", html![moment, place, format!(" at {fill}, while sources and targets are both occupied.")])
}
