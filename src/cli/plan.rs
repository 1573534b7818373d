//! `bayplan plan`: the main job. Read, solve, order, verify, write; a plan that our own verifier refuses is never written.

use super::args::{AdmitArg, PlanArgs, SolverArg};
use super::backend::{self, Backend};
use super::beside::Beside;
use super::failure::{Exit, Failure};
use super::figures::Figures;
use super::screen::{ProgressLine, Tone, line, say, say_verdict};
use super::{drill, faulty, focus, read_problem, report, reserve, signal, with_goal};
use bayplan::control::Control;
use bayplan::drill::Reserved;
use bayplan::model::{AMOUNT_MAX, Placement, Problem, Proof, score, total_excess, violations};
use bayplan::plan::{self, Meta, Ordered, Plan, Status, Verdict};
use bayplan::{bulk, exact, file};
use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Longest exact search under `auto`: whoever wants to wait longer for a proof says `--solver exact`.
const EXACT_TIME_MAX: Duration = Duration::from_secs(10);
/// And this part of the time left, one over: what is not proven then is left to the bulk search.
const EXACT_PART: u32 = 2;
/// With a time limit, the exact solver's start may take this part of it.
const START_PART: u32 = 5;
/// A plan that keeps a reserve is searched for up to three times; each has this part of the time that is left.
const RESERVE_PART: u32 = 3;
/// Where moves can be in each other's way, the search leaves a fifth of its time for going on from what can be reached.
const SEARCH_PART: f64 = 0.8;
/// Of what the search leaves, the first look for an order has this part: the rest is for going on from what it reaches.
const ORDER_PART: u32 = 2;
/// Least time kept back for ordering, verifying and writing.
const RESERVE_MIN: Duration = Duration::from_millis(20);
/// Most time kept back for the case that the machine is busy: how long these take does not depend on how long the search was.
const RESERVE_BUSY: Duration = Duration::from_secs(5);
/// Largest points of a move with its charge: 2^24 of them, scaled by less than 2^20, stay below 2^127.
const CHARGE_MAX: i64 = 1 << 60;
/// Most lines of a refused plan that are shown.
const BREACH_SHOWN_MAX: usize = 20;

/// Runs the command that began at `started`.
pub fn run(args: &PlanArgs, started: Instant) -> Result<Exit, Failure> {
    args.output.output.check()?;
    let then = (!args.quiet).then_some("the best plan so far is verified and written");
    let (problem, stop) =
        signal::read_then_stop_first(then, || read_problem(&args.snapshot, args.jobs.place.as_ref()))?;
    let decided = decide(problem, args, stop, started)?;
    let bytes = match args.output.output.is_stream() {
        true => file::write_stream(&decided.problem, &decided.plan),
        false => file::write_plan(&decided.problem, &decided.plan),
    };
    if !args.quiet {
        let [tables, verdict, notes] = decided.told(started.elapsed());
        say(&tables);
        say_verdict(&verdict, Tone::Good);
        say(&notes);
    }
    args.output.output.write(&bytes)?;
    Ok(decided.exit(args))
}

/// A plan that holds, and how it was found.
pub struct Decided {
    /// The problem under the limits of the command line, in the points of the plan.
    pub problem: Problem,
    /// The plan.
    pub plan: Plan,
    /// What the verifier says; it is right.
    pub verdict: Verdict,
    /// With `--admit prefix`: how many of how many waiting tasks, in their order, run in the end.
    accepted: Option<(usize, usize)>,
    reserved: Option<Reserved>,
}

/// Searches, orders and verifies for a command that began at `started`; it ends early when `stop` becomes true.
///
/// # Errors
/// Among others [`Failure::Bug`], when the plan does not hold.
pub fn decide(problem: Problem, args: &PlanArgs, stop: Arc<AtomicBool>, started: Instant) -> Result<Decided, Failure> {
    let read = with_goal(problem, args.goal, &args.jobs);
    let problem = as_asked(&read, args)?;
    let level = drill::levels(&problem, "--reserve", args.reserve.reserve.as_slice())
        .map_err(|faults| faulty(&args.snapshot, faults))?;
    let level = args.reserve.reserve.as_ref().and_then(|_| level.first().copied());
    let line = ProgressLine::new(args.quiet);
    let beside = Beside::new(&problem, args);
    let mut going_on = Control::unlimited().with_stop(stop.clone()).with_listener(line.listener());
    let mut search = beside.watch(Control::unlimited().with_stop(stop.clone()), line.listener());
    // Ordering must not be cut by a signal: the answer found so far is what the person wants to see.
    let mut order = Control::unlimited();
    // Closing the gap ends the first search, and none for a reserve.
    let mut again = Control::unlimited().with_stop(stop);
    if let Some(limit) = args.time_limit() {
        let left = limit.saturating_sub(started.elapsed());
        let reserve = reserve(left, started.elapsed());
        again = again.with_time_limit(left - reserve);
        going_on = going_on.with_time_limit(left - reserve);
        let part = if may_be_blocked(&problem) { SEARCH_PART } else { 1.0 };
        let own = if level.is_some() { (left - reserve) / RESERVE_PART } else { (left - reserve).mul_f64(part) };
        search = search.with_time_limit(own);
        order = order.with_time_limit(left - reserve / 3);
    }
    let (found, ordered) = find(&read, &problem, args, &beside, [&search, &order, &going_on])?;
    let kept = level.map(|level| {
        // What was proven of one search is not true of another, the prices aside.
        let weaker = Meta { bound: None, solver: "bulk".to_string(), ..found.meta.clone() };
        let plan = |target: &Placement| match *target == found.target {
            true => plan::sum_up(&problem, ordered.clone(), found.meta.clone()),
            false => plan::sum_up(&problem, in_order(&problem, target, args, &order), weaker.clone()),
        };
        let search = |narrowed: &Problem| search_again(narrowed, args, &again);
        let planner = reserve::Planner { plan: &plan, search: &search, is_repeatable: args.is_repeatable() };
        reserve::keep([&problem, &promised(&problem, &read)], level, &found.target, &planner, &again)
    });
    let (plan, reserved) = match kept {
        Some(kept) => (kept.plan, Some(kept.reserved)),
        None => (plan::sum_up(&problem, ordered, found.meta), None),
    };
    line.finish();
    let verdict = verified(&problem, &read, &plan);
    refuse_broken(&problem, &plan, &verdict)?;
    // Of the plan and not of any target.
    let accepted = (args.admit == AdmitArg::Prefix).then(|| bulk::accepted(&problem, &plan.reached(&problem)));
    let narrowed = if let Cow::Owned(narrowed) = problem { Some(narrowed) } else { None };
    Ok(Decided { problem: narrowed.unwrap_or(read), plan, verdict, accepted, reserved })
}

/// Where everything should run in `problem`, which is what the command line makes of `read`, and in which order it gets there: under
/// one control the search, the ordering, and going on from what can be reached.
fn find(
    read: &Problem,
    problem: &Problem,
    args: &PlanArgs,
    beside: &Beside,
    [search, order, going_on]: [&Control; 3],
) -> Result<(Found, Ordered), Failure> {
    let searched = focus::searched(problem, &args.focus);
    let charged = with_charge(&searched, args.min_gain());
    let backend = Backend::choose(args.backend, &charged)?;
    // The bound is on the snapshot, not on what the command line narrows it to: so whoever has the two files can check it.
    let first = is_for_exact(&charged, args);
    let (found, proof) = beside.run(read, args, search, first, |proof| {
        let proof = proof.filter(|_| focus::keeps_points(problem, &args.focus));
        solve(&charged, args, &backend, proof, search)
    });
    let goes_on = args.admit == AdmitArg::All && args.reserve.reserve.is_none();
    let ordering = if goes_on { order.part(ORDER_PART) } else { order.clone() };
    let mut ordered = in_order(problem, &found.target, args, &ordering);
    if goes_on {
        let options = options(args, &backend, args.effort());
        let way_on = |problem: &Problem, searched: &Problem, ordered: Ordered| {
            let ordered = bulk::resume(problem, searched, ordered, &options, going_on);
            if args.keeps_crumbs() { ordered } else { bulk::worthwhile(problem, ordered) }
        };
        ordered = way_on(problem, &charged, ordered);
        // What is proven, near enough or cut short is not looked at again.
        if found.meta.status == Status::Feasible {
            let again = |problem: &Problem| {
                let searched = focus::searched(problem, &args.focus);
                let charged = with_charge(&searched, args.min_gain());
                let time = going_on
                    .time_left()
                    .map_or_else(|| going_on.clone(), |left| going_on.within(left.mul_f64(SEARCH_PART)));
                let target = self::search(&charged, args, &backend, args.effort(), &time).target;
                way_on(problem, &charged, plan::order(problem, &target, &order.part(ORDER_PART)))
            };
            ordered = bulk::settled(problem, ordered, again, going_on);
        }
    }
    // Told of the plan and not of its target: what was near enough may be out of reach, and going on takes time of its own.
    let objective = score(problem, &ordered.reached).objective();
    let status = match found.meta.status {
        Status::Optimal => Status::Optimal,
        _ if beside.is_near(objective, found.meta.bound) => Status::Gap,
        _ if going_on.is_stopped() => Status::Interrupted,
        Status::Deadline => Status::Deadline,
        _ if ordered.is_cut => Status::Deadline,
        _ => Status::Feasible,
    };
    Ok((Found { meta: Meta { proof, status, ..found.meta }, ..found }, ordered))
}

/// A safe order of moves to a placement; with `--admit prefix` nobody starts from behind the first task that waits.
fn in_order(problem: &Problem, target: &Placement, args: &PlanArgs, control: &Control) -> Ordered {
    match args.admit {
        AdmitArg::All => plan::order(problem, target, control),
        AdmitArg::Prefix => bulk::order_prefix(problem, target, control),
    }
}

impl Decided {
    /// How the command ends.
    pub fn exit(&self, args: &PlanArgs) -> Exit {
        if args.jobs.place.is_some() && !self.plan.unplaced.is_empty() {
            return Exit::Unplaced;
        }
        if self.reserved.as_ref().is_some_and(|reserved| !reserved.uncovered.is_empty()) {
            return Exit::Uncovered;
        }
        if args.detailed_exitcode && self.verdict.move_count > 0 { Exit::MovesToMake } else { Exit::Done }
    }

    /// For a person: tables and moves, the verdict, and how the plan was found in `elapsed`.
    pub fn told(&self, elapsed: Duration) -> [String; 3] {
        let Decided { problem, plan, verdict, .. } = self;
        let mut notes = String::new();
        if plan.status == Status::Infeasible {
            notes += &(report::blockers_text(&plan.blockers) + "\n");
        }
        if let Some((accepted, waiting)) = self.accepted {
            notes += &format!("accepted: the first {accepted} of {waiting} waiting tasks\n");
        }
        if let Some(reserved) = &self.reserved {
            notes += &(reserve::text(problem, reserved) + "\n");
        }
        notes += &report::how_found(plan, elapsed);
        [tables(problem, plan, verdict), report::verdict(problem, plan, verdict), notes]
    }
}

/// Where everything would run if nodes had less: a bulk search on the CPU, for a part of the time.
fn search_again(narrowed: &Problem, args: &PlanArgs, control: &Control) -> Placement {
    let searched = focus::searched(narrowed, &args.focus);
    let charged = with_charge(&searched, args.min_gain());
    let backend = Backend { device: None, text: "cpu".to_string() };
    let control = control.part(RESERVE_PART);
    search(&charged, args, &backend, args.effort(), &control).target
}

/// The problem under the limits of the command line.
fn as_asked<'a>(problem: &'a Problem, args: &PlanArgs) -> Result<Cow<'a, Problem>, Failure> {
    let most = [problem.moves.max_moves, args.max_moves].into_iter().flatten().min();
    if most == problem.moves.max_moves && args.min_gain() == 0 && !args.focus.narrows() {
        return Ok(Cow::Borrowed(problem));
    }
    let mut problem = problem.clone();
    problem.moves.max_moves = most;
    problem.moves.min_gain = args.min_gain();
    focus::narrow(&mut problem, &args.focus)?;
    Ok(Cow::Owned(problem))
}

/// The problem under the limits of the command line, but for what `--exclude` pins: a reserve is judged by the snapshot, in which
/// those tasks may go elsewhere when their node fails.
fn promised<'a>(problem: &'a Problem, read: &Problem) -> Cow<'a, Problem> {
    let is_same = problem.tasks.iter().zip(&read.tasks).all(|(task, own)| task.pinned == own.pinned);
    if is_same {
        return Cow::Borrowed(problem);
    }
    let mut promised = problem.clone();
    promised.tasks.iter_mut().zip(&read.tasks).for_each(|(task, own)| task.pinned = own.pinned);
    Cow::Owned(promised)
}

/// What the verifier says of a plan under the limits of the command line, and of its reserve as [`promised`].
fn verified(problem: &Problem, read: &Problem, plan: &Plan) -> Verdict {
    let promised = match promised(problem, read) {
        Cow::Owned(promised) if plan.reserve.is_some() => promised,
        _ => return plan::verify(problem, plan),
    };
    let own = plan::verify(problem, &Plan { reserve: None, ..plan.clone() });
    let told = plan::verify(&promised, plan);
    if told.is_right() { own } else { told }
}

/// What is kept back of the time left when reading took `reading`: ordering, verifying, measuring and writing take about four times as long
/// where most tasks start, and on a busy machine a twentieth of what is left or [`RESERVE_BUSY`], but never get more than a third of it.
fn reserve(left: Duration, reading: Duration) -> Duration {
    (reading * 4).max((left / 20).min(RESERVE_BUSY)).max(RESERVE_MIN).min(left / 3)
}

/// True when a move may find its way closed: something runs that can move, and not all at once.
fn may_be_blocked(problem: &Problem) -> bool {
    let runs = |(task, spot): (&bayplan::model::Task, &bayplan::model::Spot)| spot.is_placed() && !task.pinned;
    !problem.moves.simultaneous && problem.tasks.iter().zip(problem.current.spots()).any(runs)
}

/// Where everything should run, and what the solver says about it.
struct Found {
    target: Placement,
    meta: Meta,
}

/// True when the exact solver is asked for, or to be tried.
fn is_for_exact(problem: &Problem, args: &PlanArgs) -> bool {
    match args.solver {
        _ if args.admit == AdmitArg::Prefix => false,
        SolverArg::Exact => true,
        // Wall time must not decide where the same plan is promised every time.
        SolverArg::Auto => !args.is_repeatable() && exact::suits(problem),
        SolverArg::Bulk => false,
    }
}

fn solve(problem: &Problem, args: &PlanArgs, backend: &Backend, proof: Option<&Proof>, control: &Control) -> Found {
    match args.solver {
        // Unless an effort is asked for, the time limit ends the probes, the default one too.
        _ if args.admit == AdmitArg::Prefix => {
            let effort = args.effort().filter(|_| args.is_repeatable());
            search(problem, args, backend, effort, control)
        }
        SolverArg::Exact => prove(problem, args, backend, proof, control),
        SolverArg::Auto if is_for_exact(problem, args) => {
            let exact = control.part(EXACT_PART).within(EXACT_TIME_MAX);
            let proved = prove(problem, args, backend, proof, &exact);
            let is_settled =
                proved.meta.status == Status::Optimal || proved.meta.blockers.is_some() || control.must_stop();
            if is_settled { proved } else { better(problem, proved, search(problem, args, backend, None, control)) }
        }
        SolverArg::Auto | SolverArg::Bulk => search(problem, args, backend, args.effort(), control),
    }
}

fn options(args: &PlanArgs, backend: &Backend, effort: Option<u64>) -> bulk::Options {
    let threads = args.threads.map_or(0, usize::from);
    bulk::Options { seed: args.seed, effort, threads, device: backend.device.clone() }
}

fn search(problem: &Problem, args: &PlanArgs, backend: &Backend, effort: Option<u64>, control: &Control) -> Found {
    let options = options(args, backend, effort);
    let found = match args.admit {
        AdmitArg::All => bulk::solve(problem, &options, control),
        AdmitArg::Prefix => bulk::longest_prefix(problem, &options, control),
    };
    backend::tell(problem, backend, &found.troubles);
    let text = match found.troubles.first() {
        Some(trouble) => format!("cpu: {} failed: {}", backend.text, trouble.text),
        None => backend.text.clone(),
    };
    let (seed, effort, status) = (args.seed, found.effort, found.status);
    let solver = "bulk".to_string();
    let meta = Meta { solver, seed, effort, backend: text, status, bound: None, proof: None, blockers: None };
    Found { target: found.placement, meta }
}

/// The better of what the exact solver could not prove and what a longer search found; the bound holds for both.
fn better(problem: &Problem, proved: Found, searched: Found) -> Found {
    let key =
        |found: &Found| (-total_excess(&violations(problem, &found.target)), score(problem, &found.target).objective());
    if key(&searched) <= key(&proved) {
        return proved;
    }
    // A bound without prices that prove it is the exact solver's to state.
    let meta = match proved.meta.bound {
        Some(_) => Meta { effort: searched.meta.effort, status: searched.meta.status, ..proved.meta },
        None => searched.meta,
    };
    Found { meta, ..searched }
}

/// The exact solver, started from the bulk search's answer.
fn prove(problem: &Problem, args: &PlanArgs, backend: &Backend, proof: Option<&Proof>, control: &Control) -> Found {
    let start_control = control.part(START_PART);
    let start = search(problem, args, backend, args.effort().or(Some(bulk::EFFORT_DEFAULT)), &start_control);
    // Only a charge can be so large; the exact solver's range ends there.
    if problem.tasks.iter().any(|task| task.move_cost > AMOUNT_MAX) {
        if !args.quiet {
            say("the exact solver is left out: with --min-gain, a move costs more than 2^40 points");
        }
        return start;
    }
    let found = exact::solve_under(problem, &start.target, proof.map(|proof| proof.bound), control);
    if found.bound.is_none() && found.placement == start.target {
        // It had nothing to add (too large, a cost that has no linear form, no time): the plan is the bulk search's.
        let status = if found.status == Status::Feasible { start.meta.status } else { found.status };
        return Found { meta: Meta { blockers: found.blockers, status, ..start.meta }, ..start };
    }
    // A bound on the problem as the command line narrowed it says nothing about the snapshot.
    let is_narrowed = args.min_gain() > 0 || args.max_moves.is_some() || args.focus.narrows();
    let bound = found.bound.filter(|_| !is_narrowed);
    let meta = Meta { solver: plan::EXACT.into(), status: found.status, bound, blockers: found.blockers, ..start.meta };
    Found { target: found.placement, meta }
}

/// The problem in which every move of a running task costs `min_gain` points more: where it is at its best, each move is worth
/// that. The charge decides in the search itself, and nothing needs to be cut off afterwards.
pub fn with_charge(problem: &Problem, min_gain: i64) -> Cow<'_, Problem> {
    if min_gain == 0 {
        return Cow::Borrowed(problem);
    }
    let mut charged = problem.clone();
    let weight = std::mem::replace(&mut charged.objective.task_move_weight, 1);
    for task in &mut charged.tasks {
        task.move_cost = task.move_cost.saturating_mul(weight).saturating_add(min_gain).min(CHARGE_MAX);
    }
    Cow::Owned(charged)
}

/// A plan that fails its verification is our bug: nobody gets to see it as a plan.
fn refuse_broken(problem: &Problem, plan: &Plan, verdict: &Verdict) -> Result<(), Failure> {
    if verdict.is_right() {
        return Ok(());
    }
    let count = verdict.violations.len();
    let mut text = format!("internal error: the plan fails its own verification in {count} places");
    for breach in verdict.violations.iter().take(BREACH_SHOWN_MAX) {
        let _ = write!(text, "\n  {}", line(&breach.to_string()));
    }
    let Plan { solver, seed, effort, .. } = plan;
    let fingerprint = &problem.fingerprint;
    let _ = write!(text, "\nsolver {solver}, seed {seed}, effort {effort}, snapshot {fingerprint}");
    Err(Failure::Bug(text))
}

/// Tables and moves, for a person.
fn tables(problem: &Problem, plan: &Plan, verdict: &Verdict) -> String {
    let before = Figures::of(problem, &problem.current);
    let after = Figures::of(problem, &verdict.reached);
    let goal = problem.goal.map_or(String::new(), |goal| format!(", goal {}", goal.word()));
    let mut text = format!("{}{goal}\n\n{}\n", line(&problem.name), report::before_after(problem, &before, &after));
    let loads = report::node_loads(problem, &problem.current, &verdict.reached);
    if !loads.is_empty() {
        let _ = write!(text, "\n{loads}\n");
    }
    let _ = write!(text, "\n{}\n", report::moves(problem, plan));
    for line in report::left_over(problem, plan) {
        let _ = write!(text, "\n{line}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_of_the_exact_solver_stays_its_own() {
        let wish = bayplan::generate::Wish { nodes: Some(3), tasks: Some(9), seed: 1, ..Default::default() };
        let order = bayplan::generate::Order::new(bayplan::generate::Shape::Racks, wish);
        let problem = Problem::new(&bayplan::generate::generate(&order.expect("it can be made"))).expect("it is valid");
        let options = bulk::Options { effort: Some(500), ..bulk::Options::default() };
        let searched = bulk::solve(&problem, &options, &Control::unlimited()).placement;
        assert!(score(&problem, &searched).objective() > score(&problem, &problem.current).objective());
        let found = |solver: &str, target: &Placement, effort, bound| Found {
            target: target.clone(),
            meta: Meta {
                solver: solver.to_string(),
                seed: 1,
                effort,
                backend: "cpu".to_string(),
                status: Status::Deadline,
                bound,
                proof: None,
                blockers: None,
            },
        };
        let bound = Some(score(&problem, &searched).objective() + 1);
        for (bound, solver) in [(bound, plan::EXACT), (None, "bulk")] {
            let proved = found(plan::EXACT, &problem.current, 20_000, bound);
            let best = better(&problem, proved, found("bulk", &searched, 700, None));
            assert!(best.target == searched && best.meta.effort == 700);
            assert_eq!((best.meta.solver.as_str(), best.meta.bound), (solver, bound));
            let ordered = plan::order(&problem, &best.target, &Control::unlimited());
            let verdict = plan::verify(&problem, &plan::sum_up(&problem, ordered, best.meta));
            assert!(verdict.is_right(), "{:?}", verdict.violations);
        }
    }

    #[test]
    fn a_long_search_keeps_no_more_back_than_what_follows_may_take() {
        let kept = |left, reading| reserve(Duration::from_millis(left), Duration::from_millis(reading)).as_millis();
        assert_eq!(kept(60_000, 10), 3000, "a twentieth");
        assert_eq!(kept(600_000, 10), 5000, "no more");
        assert_eq!(kept(600_000, 6000), 24_000, "four times what reading took");
        assert_eq!(kept(100, 1), 20, "the least");
        assert_eq!(kept(900, 2000), 300, "a third");
    }
}
