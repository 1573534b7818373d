//! How is a cluster of any size improved? The bulk engine: build, anneal in blocks, settle, hand out the rest.
//!
//! ```text
//! pack      the problem as integer arrays                              pack.rs
//! build     repair what is broken, place what waits                    build.rs
//! heat      how hot, and what being away or beyond a limit costs       heat.rs, schedule.rs
//! start     in a small cluster: the best of several beginnings               start.rs
//! anneal    rounds: cut into blocks → anneal each → put together       round.rs, kernel/anneal.rs
//! settle    the same at temperature 0, ties go home
//! kick      in a small cluster: put a task of a dear node elsewhere by force, and anneal around it      kick.rs
//! admit     what still waits and fits is placed                     build.rs
//! eject     where devices are shared: a waiting task takes the place of several    eject.rs
//! room      for gangs that wait, and from gangs of which more run than must         room.rs
//! drain     where nodes in use have a price: empty some                            drain.rs
//! shorten   one move in the place of two                                         shorten.rs
//! trim      send home what brings nothing, and what max_moves leaves over  trim.rs
//! fill      grow elastic and divisible tasks into what is free         fill.rs, grant.rs
//! polish    make every single step that still pays, as the model counts    polish.rs
//! ```
//!
//! Where all that counts is whether everything has a place, who waits drives others out (seat.rs); `scale` asks for that.
//!
//! The result depends on the problem, seed and effort only: not on threads, time (unless a limit ends the search) or device.
//! It is never worse than the start by (total excess over the rules, objective), both as the model defines them.

mod again;
mod audit;
mod build;
mod chain;
mod device;
mod drain;
mod eject;
mod fill;
mod gather;
mod grant;
mod ground;
mod heat;
mod image;
mod kick;
mod kinds;
mod levels;
mod memory;
mod pack;
mod polish;
mod prefix;
mod race;
mod resume;
mod room;
mod round;
mod schedule;
mod seat;
mod shelves;
mod shorten;
mod start;
mod state;
mod team;
mod trim;
mod turns;
mod walk;

use crate::control::{Control, on_threads};
use crate::model::{Placement, Problem, score, total_excess, violations, worsened};
use crate::plan::Status;
pub use again::{settled, worthwhile};
pub use device::{Device, Mismatch, Trouble};
pub(crate) use fill::fill;
pub use heat::Kind;
pub use pack::{Pack, UNGROUPED};
pub use prefix::{accepted, longest_prefix, order_prefix};
pub use race::{Laps, Race, Run};
pub use resume::resume;
use schedule::Part;
pub(crate) use seat::seat;
use team::Team;

/// Candidates per task when nobody asks for more: a minute for 50,000 tasks on two cores, an instant for 100.
pub const EFFORT_DEFAULT: u64 = 20_000;
/// A search given only a time limit ends early after so many candidates per task, times the number of tasks: small problems gain
/// nothing beyond.
pub const EFFORT_MAX: u64 = 20_000;

/// Where ejection follows, annealing has this part of a time limit.
const ANNEALING_PART: f64 = 0.58;
/// And this one where points depend on nothing but who runs and who moves: ejection alone ends as well there, and from the pods that run in
/// openb it starts more of those that wait the more time it has.
const ANNEALING_PART_OF_STARTS: f64 = 0.24;
/// Where whole nodes are emptied after it, it has at most this part: annealing takes all the time it is given, and without the other half
/// of it few nodes are emptied. In a small cluster that takes no time.
const ANNEALING_PART_BEFORE_DRAIN: f64 = 0.48;
/// Where gangs may have to make room or need it, annealing leaves at least this part.
const ANNEALING_PART_BEFORE_ROOM: f64 = 0.86;
/// Where nothing but exchanges of moves follows: they find most of what they can find soon, in a small cluster at once.
const ANNEALING_PART_BEFORE_SHORTENING: (f64, f64) = (0.91, 0.97);
/// Nodes times tasks of a cluster that is small for that.
const SMALL_SHORTENING: usize = 1 << 18;
/// Where few tasks may move it has this part: what single steps bring may be most of what the budget allows.
const ANNEALING_PART_FEW_MOVES: f64 = 0.77;
/// Where nothing runs yet and no search follows: trimming, filling, ordering and verifying do.
const ANNEALING_PART_OF_WAITING: f64 = 0.96;
/// Nodes times tasks of a small cluster.
const SMALL_DRAIN: usize = 1 << 22;
/// Ejection has this part of what annealing leaves, and this one where whole nodes are emptied after it.
const EJECTION_PART: (f64, f64) = (0.9, 0.5);

/// What a search is asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Seed of every random choice.
    pub seed: u64,
    /// Candidates per task; `None`: what fits the time limit, [`EFFORT_DEFAULT`] without one.
    pub effort: Option<u64>,
    /// Threads; 0 = all cores. Does not change the result.
    pub threads: usize,
    /// Where the kernels run, whatever problem it holds; `None` = on the CPU. Does not change the result.
    pub device: Option<Device>,
}

impl Default for Options {
    fn default() -> Options {
        Options { seed: 1, effort: None, threads: 0, device: None }
    }
}

impl Options {
    /// Candidates per task of a search under this control; `None`: what fits its time.
    fn effort_under(&self, control: &Control) -> Option<u64> {
        self.effort.or(control.time_left().is_none().then_some(EFFORT_DEFAULT))
    }
}

/// What a search found.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The best placement found; the start itself if nothing better was.
    pub placement: Placement,
    /// Candidates per task spent.
    pub effort: u64,
    /// Candidates judged in all.
    pub evaluations: u64,
    /// Ran to the end, was interrupted, or was ended by the clock.
    pub status: Status,
    /// What went wrong on the device; the CPU has taken over and the result is the same.
    pub troubles: Vec<Trouble>,
}

/// Searches for a better placement.
///
/// # Panics
/// Only when the thread pool cannot be started.
pub fn solve(problem: &Problem, options: &Options, control: &Control) -> Outcome {
    on_threads(options.threads, || search(problem, options, control))
}

fn search(problem: &Problem, options: &Options, control: &Control) -> Outcome {
    let pack = Pack::new(problem);
    // Whatever problem the device was prepared for, it gets this one.
    let prepared = options.device.as_ref().map(|device| device.with(problem, &pack)).transpose();
    let (device, refused) = prepared.map_or_else(|error| (None, Some(error.into())), |device| (device, None));
    let options = &Options { device, ..options.clone() };
    let (built, trouble) = build::build(problem, &pack, options.device.as_ref(), control);
    let troubles: Vec<Trouble> = refused.into_iter().chain(trouble).collect();
    let (ejects, drains) = (eject::suits(&pack), drain::suits(&pack));
    let drains_long = drains && pack.price.len().saturating_mul(pack.movable_count) > SMALL_DRAIN;
    let is_small = pack.price.len().saturating_mul(pack.movable_count) <= SMALL_SHORTENING;
    let (makes_room, few_moves) = (room::suits(&pack), problem.moves.max_moves.is_some());
    // The later steps get what annealing leaves of the time.
    let part = match () {
        () if drains_long => ANNEALING_PART_BEFORE_DRAIN,
        () if ejects && !eject::sees_less(&pack) => ANNEALING_PART_OF_STARTS,
        () if ejects => ANNEALING_PART,
        () if pack.all_wait() && !makes_room => ANNEALING_PART_OF_WAITING,
        () if few_moves => ANNEALING_PART_FEW_MOVES,
        () if makes_room => ANNEALING_PART_BEFORE_ROOM,
        () if is_small => ANNEALING_PART_BEFORE_SHORTENING.1,
        () => ANNEALING_PART_BEFORE_SHORTENING.0,
    };
    let annealing = control.time_left().map_or_else(|| control.clone(), |left| control.within(left.mul_f64(part)));
    let mut team = Team::new(problem, &pack, &built, options, &annealing, troubles);
    match team::chains_max(problem.nodes.len()) {
        1 => team.run(Part::Whole, &[Kind::Careful]),
        // Choosing among tasks that wait, a bold chain brings nothing: 9,366 to 9,450 against 9,434 to 9,453 on 200 tasks.
        _ if pack.all_wait() => team.run(Part::Whole, &[Kind::Careful, Kind::Careful]),
        _ => {
            team.try_kinds();
            // Ejection does the same for tasks that want devices.
            let kicks = if ejects { 0 } else { team.kick_part() };
            team.rest(kicks);
            team.kick(kicks);
        }
    }
    let mut is_cut = team.is_cut;
    let evaluations = team.evaluations();
    let looks = (evaluations / polish::LOOKS_PART).max(polish::LOOKS_MIN);
    let mut finished = |best: &chain::Best| {
        let mut editor = build::Builder::at(problem, &pack, &best.at, &best.devices);
        editor.admit(control);
        if ejects {
            let most = trials(&pack, options, control);
            let part = if drains_long { EJECTION_PART.1 } else { EJECTION_PART.0 };
            let ejecting =
                control.time_left().map_or_else(|| control.clone(), |left| control.within(left.mul_f64(part)));
            let asked = eject::Asked { seed: options.seed, most, in_order: false };
            eject::eject(&pack, &mut editor, asked, &ejecting);
            is_cut |= ejecting.must_stop();
            editor.admit(control);
        }
        room::room(&pack, &mut editor, control);
        finish(problem, &pack, editor, looks, control)
    };
    let (best, second) = team.best();
    let mut placement = finished(best);
    // A chain that ends a little higher may be the one from which exchanges lead on.
    if let Some(second) = second.filter(|_| is_small && !ejects && !control.must_stop()) {
        placement = better(problem, placement, finished(second));
    }
    let placement = or_single(problem, &built, placement, looks, control);
    Outcome {
        placement,
        effort: team.effort,
        evaluations,
        status: match () {
            () if control.is_stopped() || (control.must_stop() && !control.is_late()) => Status::Interrupted,
            () if is_cut || (options.effort.is_some() && control.must_stop()) => Status::Deadline,
            () => Status::Feasible,
        },
        troubles: team.troubles,
    }
}

/// Trials of ejection at most; `None`: what fits the time limit.
fn trials(pack: &Pack, options: &Options, control: &Control) -> Option<u64> {
    options.effort_under(control).map(|effort| eject::trials(effort, pack.movable_count))
}

/// What single steps make of a problem, without any annealing: repairs, starts, waiting tasks in the place of others, whole nodes
/// emptied. They keep in order.
fn settle(problem: &Problem, options: &Options, control: &Control) -> Placement {
    let pack = Pack::new(problem);
    let (built, _) = build::build(problem, &pack, None, control);
    let mut editor = build::Builder::at(problem, &pack, &built.at, &built.devices);
    if eject::suits(&pack) {
        let most = trials(&pack, options, control);
        eject::eject(&pack, &mut editor, eject::Asked { seed: options.seed, most, in_order: true }, control);
        editor.admit(control);
    }
    room::room(&pack, &mut editor, control);
    let found = finish(problem, &pack, editor, polish::LOOKS_MIN, control);
    or_single(problem, &built, found, polish::LOOKS_MIN, control)
}

/// What is made of the state that a search ends in: nodes emptied, moves sent home that bring nothing, the rest handed out, and every
/// single step that still pays.
fn finish<'a>(
    problem: &'a Problem,
    pack: &'a Pack,
    mut editor: build::Builder<'a>,
    looks: u64,
    control: &Control,
) -> Placement {
    drain::drain(pack, &mut editor, control);
    shorten::shorten(pack, &mut editor, looks, control);
    let target = trim::trim(problem, pack, editor, control);
    polished(problem, target, looks, control)
}

fn polished(problem: &Problem, target: Placement, looks: u64, control: &Control) -> Placement {
    let rough = not_worse(problem, fill(problem, target), control);
    let fine = polish::polish(problem, rough.clone(), looks, control);
    if key(problem, &fine) >= key(problem, &rough) { fine } else { rough }
}

/// Where few tasks may move, a search may have seen no good state within that budget: then the best single steps from where it began may
/// be worth more.
fn or_single(problem: &Problem, built: &state::State, found: Placement, looks: u64, control: &Control) -> Placement {
    if problem.moves.max_moves.is_none_or(|most| built.displaced > i64::from(most)) || control.must_stop() {
        return found;
    }
    better(problem, found, polished(problem, built.placement(problem), looks, control))
}

/// The better of two; the first of equals.
fn better(problem: &Problem, one: Placement, other: Placement) -> Placement {
    if key(problem, &other) > key(problem, &one) { other } else { one }
}

/// What placements are compared by: less excess first, then more points.
fn key(problem: &Problem, placement: &Placement) -> (i128, i128) {
    (-total_excess(&violations(problem, placement)), score(problem, placement).objective())
}

/// The placement if it is better than the start by (excess, objective) and worse in no rule, else the start. Sharing out what
/// is left asks for no rule: where that broke one, what can be reached without doing so is taken.
fn not_worse(problem: &Problem, placement: Placement, control: &Control) -> Placement {
    let before = violations(problem, &problem.current);
    let is_worse = |placement: &Placement| !worsened(&before, &violations(problem, placement)).is_empty();
    let placement =
        if is_worse(&placement) { crate::plan::order(problem, &placement, control).reached } else { placement };
    let is_better = !is_worse(&placement) && key(problem, &placement) > key(problem, &problem.current);
    if is_better { placement } else { problem.current.clone() }
}
