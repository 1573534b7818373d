//! How good can any placement be? An upper bound on the objective, with prices that prove it.
//!
//! ```text
//! form      places and kinds of tasks that are alike                        form.rs
//! pooled    one machine of all capacity: where the search for prices starts  pooled.rs
//! descend   subgradient steps, any size                                     descend.rs
//! saddle    steps to the saddle point of its linear program, middle sizes    saddle.rs
//! linear    the linear program of the same relaxation, small sizes           linear.rs
//! dual      what prices come to, in integers                                dual.rs, price.rs
//! ```
//!
//! What prices mean and why any of them make a valid bound is said in `model/proof.rs`. The verifier recomputes the bound from
//! the prices with code of its own (`plan/certify.rs`).

mod descend;
mod dual;
mod form;
mod linear;
mod pooled;
mod price;
mod saddle;

use crate::control::{Control, on_threads};
use crate::model::{PriceRow, Problem, Proof, SHARE_ONE, score};
use descend::{Descent, State, Whose, descend};
use form::Form;
use price::Desk;
pub use price::Device;
use std::time::Duration;

/// How a bound is looked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Subgradient steps at most; `None` = by size. With these alone to end it, the result is the same every time.
    pub steps: Option<u32>,
    /// Solve the linear program too, where it is small: better prices, but the solver looks at the clock.
    pub linear: bool,
    /// Nodes that are alike share their prices.
    pub merge: bool,
    /// Threads; 0 = all cores. Does not change the result.
    pub threads: usize,
    /// Scaled objective of a placement that keeps the rules, where one is known: the bound cannot get below.
    pub reached: Option<i128>,
    /// Where tasks are priced; `None` = the CPU. Does not change the result.
    pub device: Option<Device>,
}

/// Most steps that size permits when nobody asks for a number: later ones gain little.
const STEPS_MAX: u32 = 600;
/// Steps when a time limit ends the search for prices: more than any limit permits.
pub const STEPS_LIMITED: u32 = 1_000_000;
/// Fewest such steps.
const STEPS_MIN: u32 = 20;
/// Prices times amounts worked out in all such steps: about ten seconds of one core.
const WORK_MAX: u64 = 10_000_000_000;

impl Default for Options {
    fn default() -> Options {
        Options { steps: None, linear: false, merge: true, threads: 0, reached: None, device: None }
    }
}

/// This part of the steps is for prices that all nodes share.
const JOINT_PART: u32 = 4;
/// Steps to the saddle point for each of a descent: they gain long after a descent has ended.
const SADDLE_STEPS: u32 = 4;
/// Longest time for the linear program.
const LINEAR_TIME_MAX: Duration = Duration::from_secs(10);

/// The best bound that time or steps permit, with its proof.
///
/// # Panics
/// Only when the thread pool cannot be started.
pub fn bound(problem: &Problem, options: &Options, control: &Control) -> Proof {
    on_threads(options.threads, || {
        let Some(mut form) = Form::new(problem, options.merge, control) else { return everything(problem) };
        if let Some(device) = &options.device {
            form.desk = Desk::open(device, &form);
        }
        let reached = options.reached.unwrap_or_else(|| score(problem, &problem.current).objective());
        let work = (form.kinds.len() * form.places.len() * form.columns).max(1) as u64;
        let by_size = (WORK_MAX / work).clamp(STEPS_MIN.into(), STEPS_MAX.into()) as u32;
        let best = search(&form, reached, options, options.steps.unwrap_or(by_size), control);
        best.prices.proof(&form, best.bound)
    })
}

/// What holds without a look at anything: all that tasks are worth, proven by prices 0 where nothing is uneven.
fn everything(problem: &Problem) -> Proof {
    let worth: i128 = problem.tasks.iter().map(|task| i128::from(task.weight)).sum();
    let level: Vec<i64> = problem.objective.variance.iter().map(|term| term.mark).collect();
    let last = problem.nodes.len().checked_sub(1).filter(|_| !level.is_empty());
    let even = last.map(|last| PriceRow { nodes: vec![(0, last as u32)], level, ..PriceRow::default() });
    Proof { bound: worth * i128::from(SHARE_ONE), denominator: 1, rows: even.into_iter().collect(), ..Proof::default() }
}

fn search(form: &Form, reached: i128, options: &Options, steps: u32, control: &Control) -> Descent {
    let starts = [State::zero(form), pooled::prices(form)];
    let at = |state: State| descend(form, state, reached, 0, Whose::Own, control);
    let [zero, pooled] = starts.map(at);
    let start = if pooled.bound <= zero.bound { pooled } else { zero };
    let joint = steps / JOINT_PART;
    let mut best = start;
    let better = |found: Descent, best: Descent| if found.bound < best.bound { found } else { best };
    // Each way begins with what its start proves, which takes long in a large cluster.
    if control.must_stop() {
        return best;
    }
    best = better(descend(form, best.state.clone(), reached, joint, Whose::Together, control), best);
    if best.bound > reached && saddle::suits(form) {
        let steps = steps.saturating_mul(SADDLE_STEPS);
        let found = saddle::solve(form, &best.state, reached, steps, control);
        best = found.into_iter().fold(best, |best, found| better(found, best));
    }
    if control.must_stop() {
        return best;
    }
    best = better(descend(form, best.state.clone(), reached, steps - joint, Whose::Own, control), best);
    if options.linear && best.bound > reached && linear::suits(form) {
        let solved = linear::solve(form, &best.state, &control.within(LINEAR_TIME_MAX));
        best = solved.filter(|solved| solved.bound < best.bound).unwrap_or(best);
    }
    best
}
