//! What does a plan look like on a terminal? Before/after table, node loads, the list of moves, the verdict.

use super::figures::{Figures, grouped, percent};
use super::screen::{line, table};
use bayplan::model::{Piece, Placement, Problem, ResourceId, SHARE_ONE, Share, Spot, TaskId, Usage};
use bayplan::plan::{Blocked, Move, NO_GAIN, Plan, Reason, Status, Verdict};
use std::fmt::Write;
use std::time::Duration;

/// Most moves listed; the rest is counted.
pub const MOVE_SHOWN_MAX: usize = 20;
/// Most tasks named that stay unplaced or blocked.
const LEFT_SHOWN_MAX: usize = 10;
/// Most nodes for which loads are drawn: more does not fit a screen.
const NODE_SHOWN_MAX: usize = 16;
/// Characters of a full load bar.
const BAR_WIDTH: i128 = 20;

/// Before and after, row by row.
pub fn before_after(problem: &Problem, before: &Figures, after: &Figures) -> String {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |what: String, before: String, after: String, change: String| {
        rows.push(vec![what, before, after, change]);
    };
    let counted =
        |before: usize, after: usize| (before.to_string(), after.to_string(), difference(count(after) - count(before)));
    let (b, a, change) = counted(before.placed_count, after.placed_count);
    row(format!("tasks placed (of {})", problem.tasks.len()), b, a, change);
    let (b, a, change) = counted(before.nodes_used_count, after.nodes_used_count);
    row(format!("nodes in use (of {})", problem.nodes.len()), b, a, change);
    let (b, a, change) = counted(before.violations.len(), after.violations.len());
    row("broken rules".into(), b, a, change);
    for (b, a) in before.resources.iter().zip(&after.resources) {
        let used = |r: &super::figures::ResourceFigures| percent(r.granted, r.available);
        row(format!("{} used", b.name), used(b), used(a), difference(a.granted - b.granted));
        let hottest = |r: &super::figures::ResourceFigures| percent(r.hottest_per_mille, 1000);
        row(format!("{} on the fullest node", b.name), hottest(b), hottest(a), String::new());
    }
    for (b, a) in before.devices.iter().zip(&after.devices) {
        let used = |d: &super::figures::DeviceFigures| percent(d.used_milli.into(), d.available_milli.into());
        row(format!("{} devices used", b.kind), used(b), used(a), String::new());
    }
    let mut points = |what: &str, b: i128, a: i128| row(what.into(), grouped(b), grouped(a), difference(a - b));
    points("value (weight x share)", before.score.value, after.score.value);
    for ((name, b), (_, a)) in before.score.terms().into_iter().zip(after.score.terms()) {
        if b != 0 || a != 0 {
            points(&format!("cost: {name}"), b, a);
        }
    }
    points("objective", before.score.objective(), after.score.objective());
    table(&["", "before", "after", "change"], &rows, true)
}

fn count(value: usize) -> i128 {
    value as i128 * i128::from(SHARE_ONE)
}

/// A scaled change with its sign; nothing where there is none.
pub fn difference(value: i128) -> String {
    match value {
        0 => String::new(),
        1.. => format!("+{}", grouped(value)),
        _ => grouped(value),
    }
}

/// The load of every node before and after as bars, for the resource that is most used; empty for large clusters.
pub fn node_loads(problem: &Problem, before: &Placement, after: &Placement) -> String {
    let figures = Figures::of(problem, after);
    let fullest = (0..figures.resources.len()).filter(|r| figures.resources[*r].available > 0).max_by(|x, y| {
        let share = |r: &usize| figures.resources[*r].granted as f64 / figures.resources[*r].available as f64;
        share(x).total_cmp(&share(y)).then(y.cmp(x))
    });
    let Some(fullest) = fullest.filter(|_| problem.nodes.len() <= NODE_SHOWN_MAX) else { return String::new() };
    let (usage_before, usage_after) = (Usage::of(problem, before), Usage::of(problem, after));
    let resource = ResourceId::new(fullest);
    let rows: Vec<Vec<String>> = problem
        .node_ids()
        .map(|node| {
            let capacity = i128::from(problem.allocatable(node)[fullest]) * i128::from(SHARE_ONE);
            let cell = |used: i128| format!("{} {:>7}", bar(used, capacity), percent(used, capacity));
            vec![
                problem.nodes[node.index()].name.clone(),
                cell(usage_before.amount(node, resource)),
                cell(usage_after.amount(node, resource)),
            ]
        })
        .collect();
    let name = &problem.resources[fullest].name;
    table(&["node", &format!("{name} before"), &format!("{name} after")], &rows, false)
}

fn bar(used: i128, capacity: i128) -> String {
    let filled = match capacity {
        0 => 0,
        _ => ((used * BAR_WIDTH + capacity / 2) / capacity).clamp(0, BAR_WIDTH),
    };
    format!("{}{}", "#".repeat(filled as usize), ".".repeat((BAR_WIDTH - filled) as usize))
}

/// The moves by wave: the first [`MOVE_SHOWN_MAX`], the rest counted.
pub fn moves(problem: &Problem, plan: &Plan) -> String {
    let total: usize = plan.waves.iter().map(Vec::len).sum();
    let listed = plan.waves.iter().enumerate().flat_map(|(w, wave)| wave.iter().map(move |step| (w + 1, step)));
    let rows: Vec<Vec<String>> = listed
        .take(MOVE_SHOWN_MAX)
        .map(|(wave, step)| {
            let task = &problem.tasks[step.task.index()].name;
            let (from, to) = (spot_text(problem, &step.from), spot_text(problem, &step.to));
            vec![wave.to_string(), task.clone(), from, to, step.reason.word().into(), difference(step.gain)]
        })
        .collect();
    let waits = if problem.under_way.is_empty() {
        String::new()
    } else {
        format!(
            "{} under way: the first wave ends when they have arrived\n",
            plural(problem.under_way.len(), "move", "moves")
        )
    };
    if rows.is_empty() {
        return waits + "no moves: nothing was found that is worth them";
    }
    let mut text = waits + &table(&["wave", "task", "from", "to", "why", "gain"], &rows, false);
    if total > MOVE_SHOWN_MAX {
        let _ = write!(text, "\n... and {} more moves", total - MOVE_SHOWN_MAX);
    }
    text
}

/// A spot in words: node, share, devices; `-` for nowhere.
pub fn spot_text(problem: &Problem, spot: &Spot) -> String {
    let piece = |piece: &Piece| {
        let mut text = line(&problem.nodes[piece.node.index()].name);
        if piece.share != Share::ONE {
            let _ = write!(text, " x {}", piece.share);
        }
        if piece.devices != 0 {
            let held: Vec<String> =
                (0..64).filter(|d| piece.devices >> d & 1 == 1).map(|d: u32| d.to_string()).collect();
            let _ = write!(text, " [{}]", held.join(","));
        }
        text
    };
    match spot {
        Spot::Unplaced => "-".into(),
        _ => spot.pieces().iter().map(piece).collect::<Vec<_>>().join(" + "),
    }
}

/// How many moves there are, in words.
pub fn size_text(plan: &Plan) -> String {
    let all = || plan.waves.iter().flatten();
    let of = |wanted: fn(&Move) -> bool| all().filter(|step| wanted(step)).count();
    let started = of(|step| !step.from.is_placed());
    let stopped = of(|step| !step.to.is_placed());
    let resized = of(|step| step.reason == Reason::Resize);
    let moved = all().count() - started - stopped - resized;
    let mut parts = vec![plural(moved, "move", "moves")];
    for (count, word) in [(started, "started"), (stopped, "stopped"), (resized, "resized")] {
        if count > 0 {
            parts.push(format!("{count} {word}"));
        }
    }
    format!("{} in {}", parts.join(", "), plural(plan.waves.len(), "wave", "waves"))
}

fn plural(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
}

fn begins_detour(step: &Move) -> bool {
    matches!(step.reason, Reason::Park | Reason::Restart)
}

/// What the plan leaves: tasks that stay unplaced with their reasons, and moves without a safe order.
pub fn left_over(problem: &Problem, plan: &Plan) -> Vec<String> {
    let name = |task: TaskId| line(&problem.tasks[task.index()].name);
    let mut lines = Vec::new();
    for (task, reason) in plan.unplaced.iter().take(LEFT_SHOWN_MAX) {
        lines.push(format!("stays unplaced: {} ({})", name(*task), line(reason)));
    }
    if plan.unplaced.len() > LEFT_SHOWN_MAX {
        lines.push(format!("... and {} more tasks stay unplaced", plan.unplaced.len() - LEFT_SHOWN_MAX));
    }
    let mut detours: Vec<String> = Vec::new();
    for (step, (task, points)) in plan.moves().filter(|step| begins_detour(step)).zip(plan.detours(problem)) {
        let (name, cost) = (name(task), grouped(points));
        detours.push(match step.reason {
            Reason::Restart => format!("must restart: {name} (nothing else makes room; it is stopped, then started)"),
            _ => format!("parked: {name} on {} (one move more, {cost} points)", spot_text(problem, &step.to)),
        });
    }
    let count = detours.len();
    // Whatever stops a running task is named, however many there are.
    detours.sort_by_key(|line| line.starts_with("parked"));
    let stops = detours.iter().filter(|line| !line.starts_with("parked")).count();
    lines.extend(detours.into_iter().take(LEFT_SHOWN_MAX.max(stops)));
    if count > LEFT_SHOWN_MAX.max(stops) {
        lines.push(format!("... and {} more tasks are parked on their way", count - LEFT_SHOWN_MAX.max(stops)));
    }
    if !plan.blocked.is_empty() {
        let count = plan.blocked.len();
        lines.push(format!("no safe order for {}:", plural(count, "more move", "more moves")));
        lines.extend(
            plan.blocked.iter().take(LEFT_SHOWN_MAX).map(|blocked| format!("  {}", blocked_text(problem, blocked))),
        );
        if count > LEFT_SHOWN_MAX {
            lines.push(format!("  ... and {} more", count - LEFT_SHOWN_MAX));
        }
    }
    lines.extend(plan.unexplored.iter().map(|text| format!("not explored: {}", line(text))));
    lines
}

/// A blocked move, and what keeps it.
fn blocked_text(problem: &Problem, blocked: &Blocked) -> String {
    let name = |task: TaskId| line(&problem.tasks[task.index()].name);
    let way = format!("{} to {}", name(blocked.task), spot_text(problem, &blocked.to));
    if blocked.rule == NO_GAIN {
        return format!("{way} (does not pay without the others)");
    }
    let at = blocked.node.map_or(String::new(), |node| format!(" on {}", line(&problem.nodes[node.index()].name)));
    let by = blocked.by.map_or(String::new(), |by| format!(", where {} is in its way", name(by)));
    format!("{way} ({}{at}{by})", blocked.rule)
}

/// The verdict on a plan, in one line or with every violation.
pub fn verdict(problem: &Problem, plan: &Plan, verdict: &Verdict) -> String {
    if !verdict.is_right() {
        let mut text = format!("REFUSED: {} violations", verdict.violations.len());
        for breach in &verdict.violations {
            let _ = write!(text, "\n  {}", line(&breach.to_string()));
        }
        return text;
    }
    let mut text = format!("verified: {}; every step holds", size_text(plan));
    if let Some((before, after)) = verdict.objective {
        let _ = write!(text, "; objective {} -> {}", grouped(before), grouped(after));
        match (verdict.proven, plan.bound) {
            (Some(proven), _) if proven <= after && verdict.remaining.is_empty() => text.push_str(", proven optimal"),
            (proven, Some(bound)) => {
                // A search tree cannot be checked again: what it says is said with its name.
                let by_word = plan.solver == bayplan::plan::EXACT && proven.is_none_or(|proven| bound < proven);
                match plan.status {
                    Status::Optimal if by_word => text.push_str(", optimal by the exact solver"),
                    _ if by_word => {
                        let _ = write!(text, ", at most {} is possible by the exact solver", grouped(bound));
                    }
                    _ => {}
                }
                if let Some(proven) = proven {
                    let _ = write!(text, "; proven: at most {} below the best possible", gap_text(after, proven));
                }
            }
            _ => {}
        }
    }
    let lows = || verdict.lows.iter().filter(|(wave, _)| wave + 1 < plan.waves.len());
    if let Some(most) = lows().map(|(_, points)| *points).max() {
        let waves = ranges(lows().map(|(wave, _)| wave + 1));
        let _ = write!(text, "; not to be cut after wave {waves}: up to {} points below the start", grouped(most));
    }
    if let Some(reserve) = &plan.reserve {
        let level = line(&problem.levels[reserve.level.index()].name);
        let open = reserve.uncovered(problem).count();
        let _ = match (open, reserve.refuges.len()) {
            (0, _) => write!(text, "; any one {level} may fail"),
            (open, all) => write!(text, "; of {all} domains of level {level} {open} are not covered"),
        };
    }
    for violation in &verdict.remaining {
        let _ = write!(text, "\n  still broken, as before or less: {}", line(&violation.describe(problem)));
    }
    text
}

/// Ascending numbers with runs drawn together: `1-3, 5`.
fn ranges(numbers: impl Iterator<Item = usize>) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let text = |(first, last): &(usize, usize)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    runs.iter().map(text).collect::<Vec<_>>().join(", ")
}

/// How far a scaled objective is below a scaled bound: points, and percent of the objective rounded up.
pub fn gap_text(objective: i128, bound: i128) -> String {
    let open = bound.saturating_sub(objective);
    let points = grouped(open);
    match objective.saturating_abs() {
        _ if open == 0 => points,
        0 => format!("{points} points"),
        // Rounded up: what is said to be proven must be.
        whole => {
            let parts = open.saturating_mul(1_000_000).saturating_add(whole - 1) / whole;
            format!("{points} points ({}.{:04} %)", parts / 10_000, parts % 10_000)
        }
    }
}

/// Why some rule stays broken whatever is done.
pub fn blockers_text(rules: &[String]) -> String {
    match rules {
        [] => "proven: no placement keeps all rules".into(),
        _ => format!(
            "proven: no placement keeps all rules; the least broken one still breaks: {}",
            line(&rules.join(", "))
        ),
    }
}

/// Who found the plan, and how to find it again.
pub fn how_found(plan: &Plan, elapsed: Duration) -> String {
    let Plan { solver, seed, effort, backend, .. } = plan;
    let ended = match plan.status {
        Status::Optimal => "proven",
        Status::Feasible => "search ended",
        Status::Gap => "near enough",
        Status::Deadline => "time limit",
        Status::Interrupted => "search interrupted",
        Status::Infeasible => "proven infeasible",
    };
    let seconds = elapsed.as_secs_f64();
    format!("solver {solver}, seed {seed}, effort {effort}, {ended}, {seconds:.1} s\nbackend {backend}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_numbers_are_drawn_together() {
        assert_eq!(ranges([1, 2, 3, 5, 7, 8].into_iter()), "1-3, 5, 7-8");
        assert_eq!(ranges([4].into_iter()), "4");
    }

    #[test]
    fn bars_are_full_at_capacity_and_never_longer() {
        assert_eq!(bar(0, 10), "....................");
        assert_eq!(bar(5, 10), "##########..........");
        assert_eq!(bar(30, 10), "####################");
        assert_eq!(bar(1, 0), "....................");
    }
}
