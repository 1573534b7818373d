//! How much is used, free and asked for, and what is it worth? The cluster as a whole.

use super::facts::{Facts, Fill, Measure, State};
use super::html::{Html, html, of_class};
use super::parts::{figures, meter, percent, section as part, table, words};
use crate::cli::figures::grouped;
use crate::cli::report::difference;
use bayplan::model::{DEVICE_MILLI, DeviceRequest, SHARE_ONE, TaskId};

/// The section.
pub fn section(facts: &Facts<'_>) -> Html {
    let lead = "Headroom is f(load, available) = available − load. Asked for is what all tasks use if all of them run.";
    part("usage", "Utilisation", lead, html![amounts(facts), points(facts)])
}

fn total(facts: &Facts<'_>, measure: Measure, state: &State) -> Fill {
    let fills = facts.problem.node_ids().map(|node| measure.fill(facts.problem, &state.usage, node));
    fills.fold(Fill { used: 0, capacity: 0 }, |sum, fill| Fill {
        used: sum.used + fill.used,
        capacity: sum.capacity + fill.capacity,
    })
}

/// What all tasks would use, in the units of the measure.
fn asked(facts: &Facts<'_>, measure: Measure) -> i128 {
    let problem = facts.problem;
    let of_request = |task: TaskId, kind: u32, each: fn(&DeviceRequest) -> i128| {
        let request = problem.tasks[task.index()].device.as_ref().filter(|request| request.kind == kind);
        request.map_or(0, |request| i128::from(request.count) * each(request))
    };
    let of = |task: TaskId| match measure {
        Measure::Resource(r) => i128::from(problem.requirement(task)[r.index()]) * i128::from(SHARE_ONE),
        Measure::Devices(kind) => of_request(task, kind, |request| request.milli.into()),
        Measure::DeviceMemory(kind) => of_request(task, kind, |request| request.memory.into()) * i128::from(SHARE_ONE),
    };
    problem.task_ids().map(of).sum()
}

/// An amount in the units of the measure; devices are counted whole, as people count them.
pub fn amount(measure: Measure, amount: i128) -> String {
    match measure {
        Measure::Resource(_) | Measure::DeviceMemory(_) => grouped(amount),
        Measure::Devices(_) => {
            let one = i128::from(DEVICE_MILLI);
            let (whole, milli) = (grouped(amount / one * i128::from(SHARE_ONE)), (amount % one).abs());
            if milli == 0 { whole } else { format!("{whole}.{milli:03}").trim_end_matches('0').to_string() }
        }
    }
}

fn amounts(facts: &Facts<'_>) -> Html {
    let mut columns = vec![words("resource"), figures("capacity"), figures("asked for")];
    for state in &facts.states {
        columns.extend([figures(format!("used {}", state.label)), figures(format!("share {}", state.label))]);
    }
    columns.push(figures(format!("headroom {}", facts.end().label)));
    columns.extend(facts.states.iter().map(|state| figures(format!("fullest node {}", state.label))));
    let rows = facts.measures.iter().map(|measure| amount_row(facts, *measure)).collect();
    table("Resources of the whole cluster", &columns, rows)
}

fn amount_row(facts: &Facts<'_>, measure: Measure) -> Vec<Html> {
    let totals: Vec<Fill> = facts.states.iter().map(|state| total(facts, measure, state)).collect();
    let end = totals[totals.len() - 1];
    let unit = match measure {
        Measure::Resource(r) => facts.problem.resources[r.index()].unit.as_str(),
        Measure::Devices(_) | Measure::DeviceMemory(_) => "",
    };
    let unit = (!unit.is_empty()).then(|| html![" ", of_class("span", "unit", unit)]);
    let name = html![measure.name(facts.problem), unit];
    let plain = |text: String| Html::from(text);
    let mut row = vec![name, plain(amount(measure, end.capacity)), plain(amount(measure, asked(facts, measure)))];
    for fill in &totals {
        row.extend([plain(amount(measure, fill.used)), meter(fill.used, fill.capacity)]);
    }
    row.push(plain(amount(measure, end.capacity - end.used)));
    row.extend(facts.states.iter().map(|state| plain(fullest(facts, measure, state))));
    row
}

fn fullest(facts: &Facts<'_>, measure: Measure, state: &State) -> String {
    let fills = facts.problem.node_ids().map(|node| measure.fill(facts.problem, &state.usage, node));
    let most = fills.filter(|fill| fill.capacity > 0).max_by_key(|fill| fill.millionths());
    most.map_or("–".into(), |fill| percent(fill.used, fill.capacity))
}

/// Value and costs. Terms that are nothing all the time are left out.
fn points(facts: &Facts<'_>) -> Html {
    let terms = |state: &State| {
        let score = &state.figures.score;
        let mut terms = vec![("value (weight × share)".to_string(), score.value)];
        terms.extend(score.terms().map(|(name, points)| (format!("cost: {name}"), points)));
        terms.push(("objective (value − costs)".into(), score.objective()));
        terms
    };
    let states: Vec<Vec<(String, i128)>> = facts.states.iter().map(terms).collect();
    let mut columns = vec![words("points")];
    columns.extend(facts.states.iter().map(|state| figures(state.label)));
    if states.len() > 1 {
        columns.push(figures("change"));
    }
    let row = |t: usize| {
        let (name, points): (&String, Vec<i128>) = (&states[0][t].0, states.iter().map(|terms| terms[t].1).collect());
        let is_told = !name.starts_with("cost: ") || points.iter().any(|points| *points != 0);
        is_told.then(|| {
            let mut row: Vec<Html> = vec![name.into()];
            row.extend(points.iter().map(|points| grouped(*points).into()));
            if let [before, after] = points[..] {
                row.push(difference(after - before).into());
            }
            row
        })
    };
    let rows = (0..states[0].len()).filter_map(row).collect();
    table("The objective, term by term", &columns, rows)
}
