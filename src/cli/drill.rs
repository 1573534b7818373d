//! `bayplan drill`: what if a node, a rack, a zone fails: what runs on elsewhere, and what would be lost?

use super::args::{DrillArgs, ScoreForm};
use super::backend::Backend;
use super::failure::{Exit, Failure};
use super::figures::{JsonFigure, grouped, percent};
use super::io::Target;
use super::screen::{line, say, table};
use super::{faulty, read_plan_for, read_problem, signal};
use bayplan::control::Control;
use bayplan::drill::{Drill, Drilled, Options, Tally, drill};
use bayplan::model::{Faults, LevelId, Problem};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Value of the `format` field of the JSON answer.
const DRILL_FORMAT: &str = "bayplan-drill/1";

/// Runs the command.
pub fn run(args: &DrillArgs) -> Result<Exit, Failure> {
    let ((problem, placement), stop) = signal::read_then_stop_first(Some("what is known so far is told"), || {
        let mut problem = read_problem(&args.snapshot, args.jobs.place.as_ref())?;
        let placement = match &args.plan {
            None => problem.current.clone(),
            Some(source) => read_plan_for(&mut problem, source)?.reached(&problem),
        };
        Ok((problem, placement))
    })?;
    let levels = levels(&problem, "--level", &args.levels).map_err(|faults| faulty(&args.snapshot, faults))?;
    let problem = problem.settled(&placement);
    let control = Control::unlimited().with_stop(stop).with_time_limit(args.time_limit);
    let backend = Backend::choose(args.backend, &problem)?;
    let threads = args.threads.map_or(0, usize::from);
    let options = Options { levels, pairs: args.pairs, threads, device: backend.device.clone(), ..Options::default() };
    let found = drill(&problem, &options, &control);
    if let Some(trouble) = &found.trouble {
        say(&format!("bayplan: {}: {}; the CPU went on, with the same answer", backend.text, trouble.text));
    }
    let spared = if args.pairs { format!("; {} pairs needed no look", found.spared) } else { String::new() };
    say(&format!("backend {}; {} looks at a scenario on the device{spared}", backend.text, found.on_device));
    let state = if args.plan.is_some() { "after the plan" } else { "current state" };
    let text = match args.output {
        ScoreForm::Table => tables(&problem, &found, state, args.top),
        ScoreForm::Json => json(&problem, &found, args.plan.is_some()),
    };
    Target::Stdout.write(text.as_bytes())?;
    Ok(Exit::Done)
}

/// The levels of these names, in the snapshot's order; all where none is named.
pub fn levels(problem: &Problem, option: &str, names: &[String]) -> Result<Vec<LevelId>, Faults> {
    let mut faults = Faults::new();
    for name in names.iter().filter(|name| problem.levels.iter().all(|level| level.name != **name)) {
        let known: Vec<&str> = problem.levels.iter().map(|level| level.name.as_str()).collect();
        faults.add("P103", option, format!("there is no level {name:?}"), format!("name one of {}", known.join(", ")));
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let is_asked = |level: &usize| names.is_empty() || names.contains(&problem.levels[*level].name);
    Ok((0..problem.levels.len()).filter(is_asked).map(LevelId::new).collect())
}

fn what(problem: &Problem, tally: &Tally) -> String {
    let name = &problem.levels[tally.level.index()].name;
    if tally.pairs { format!("two of level {name}") } else { format!("one {name}") }
}

fn tables(problem: &Problem, found: &Drill, state: &str, top: usize) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}: {state}\n", line(&problem.name));
    let row = |tally: &Tally| {
        let counts = [tally.scenarios, tally.survives, tally.fails, tally.unknown, tally.left_out];
        [what(problem, tally)].into_iter().chain(counts.map(|count| count.to_string())).collect()
    };
    let rows: Vec<Vec<String>> = found.tallies.iter().map(row).collect();
    let header = ["what fails", "scenarios", "survive", "fail", "unknown", "left out"];
    let _ = writeln!(text, "{}\n", table(&header, &rows, true));
    let bad: Vec<&Drilled> =
        found.drilled.iter().filter(|one| !one.lost.is_empty() || !one.broken.is_empty()).collect();
    if bad.is_empty() {
        let most = found.drilled.iter().max_by_key(|one| (one.waves, one.moves));
        let told = most.map_or("nothing can fail".to_string(), |one| {
            let name = one.scenario.name(problem);
            format!(
                "nothing is lost; {name} takes longest: moves {}, waves {} at least, as found",
                one.moves, one.waves
            )
        });
        let _ = writeln!(text, "{}", line(&told));
        return text;
    }
    let rows: Vec<Vec<String>> = bad.iter().take(top).map(|one| worst(problem, one)).collect();
    let header = ["worst first", "verdict", "lost", "weight lost", "missing", "moves", "waves", "why"];
    let _ = writeln!(text, "{}", table(&header, &rows, false));
    if bad.len() > top {
        let _ = writeln!(
            text,
            "\nand {} more that lose something or break a rule; --top {} or -o json shows all",
            bad.len() - top,
            bad.len()
        );
    }
    text
}

fn worst(problem: &Problem, one: &Drilled) -> Vec<String> {
    let mut missing: Vec<String> = (problem.own_resources().iter().zip(&one.missing))
        .filter(|(_, amount)| **amount > 0)
        .map(|(resource, amount)| format!("{} {}", grouped(*amount), resource.name))
        .collect();
    if one.missing_milli > 0 {
        missing.push(format!("{} milli of devices", one.missing_milli));
    }
    let mut why: Vec<String> = one.reason.iter().map(|reason| reason.describe(problem)).collect();
    why.extend(one.broken.first().map(|violation| format!("{} stays broken", violation.rule.name())));
    vec![
        one.scenario.name(problem),
        one.verdict.word().to_string(),
        format!("{} of {}", one.lost.len(), one.task_count),
        format!("{} ({})", grouped(one.lost_weight), percent(one.lost_weight, one.weight)),
        if missing.is_empty() { "-".to_string() } else { missing.join(", ") },
        one.moves.to_string(),
        one.waves.to_string(),
        if why.is_empty() { "no way was found".to_string() } else { why.join("; ") },
    ]
}

#[derive(Serialize)]
struct DrillJson<'a> {
    format: &'static str,
    snapshot: &'a str,
    /// The state after a plan, or the current one.
    after_plan: bool,
    levels: Vec<TallyJson<'a>>,
    /// Worst first; of pairs those alone that do not survive.
    scenarios: Vec<ScenarioJson<'a>>,
}

#[derive(Serialize)]
struct TallyJson<'a> {
    level: &'a str,
    pairs: bool,
    scenarios: usize,
    survives: usize,
    fails: usize,
    unknown: usize,
    left_out: usize,
}

#[derive(Serialize)]
struct ScenarioJson<'a> {
    level: &'a str,
    domains: Vec<&'a str>,
    nodes: usize,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    tasks: usize,
    weight: JsonFigure,
    lost: Vec<&'a str>,
    pinned: usize,
    lost_weight: JsonFigure,
    /// What the lost tasks that are not pinned need, by resource.
    missing: BTreeMap<&'a str, JsonFigure>,
    missing_device_milli: u64,
    /// Rules of groups that stay more broken than before.
    broken: Vec<String>,
    moves: usize,
    waves: usize,
}

/// The answer for programs.
pub fn json(problem: &Problem, found: &Drill, after_plan: bool) -> String {
    let level = |level: LevelId| problem.levels[level.index()].name.as_str();
    let tally = |tally: &Tally| TallyJson {
        level: level(tally.level),
        pairs: tally.pairs,
        scenarios: tally.scenarios,
        survives: tally.survives,
        fails: tally.fails,
        unknown: tally.unknown,
        left_out: tally.left_out,
    };
    let missing = |one: &Drilled| {
        let all = problem.own_resources().iter().zip(&one.missing).filter(|(_, amount)| **amount > 0);
        all.map(|(resource, amount)| (resource.name.as_str(), JsonFigure(*amount))).collect()
    };
    let scenario = |one: &'_ Drilled| {
        let scenario = &one.scenario;
        let names = &problem.levels[scenario.level.index()].domains;
        ScenarioJson {
            level: level(scenario.level),
            domains: scenario.domains.iter().map(|domain| names[domain.index()].as_str()).collect(),
            nodes: scenario.failed.len(),
            verdict: one.verdict.word(),
            reason: one.reason.map(|reason| reason.word()),
            text: one.reason.map(|reason| reason.describe(problem)),
            tasks: one.task_count,
            weight: JsonFigure(one.weight),
            lost: one.lost.iter().map(|task| problem.tasks[task.index()].name.as_str()).collect(),
            pinned: one.pinned_count,
            lost_weight: JsonFigure(one.lost_weight),
            missing: missing(one),
            missing_device_milli: one.missing_milli,
            broken: one.broken.iter().map(|violation| violation.describe(problem)).collect(),
            moves: one.moves,
            waves: one.waves,
        }
    };
    let answer = DrillJson {
        format: DRILL_FORMAT,
        snapshot: &problem.fingerprint,
        after_plan,
        levels: found.tallies.iter().map(tally).collect(),
        scenarios: found.drilled.iter().map(scenario).collect(),
    };
    serde_json::to_string_pretty(&answer).expect("strings and numbers always have a JSON form") + "\n"
}
