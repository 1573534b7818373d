//! How does a search know how far it can get? A bound that is worked out beside it, and ends it when nothing is left to gain.
//!
//! With `--effort` the bound comes last, after a number of steps that depends on the size alone, and never ends the search: time
//! must not decide then. Otherwise it has a tenth of the time limit, on a thread of its own while the bulk search runs.

use super::args::{AdmitArg, GapArg, PlanArgs};
use bayplan::bound::{self, Options, STEPS_LIMITED};
use bayplan::control::{Control, Progress};
use bayplan::model::{Problem, Proof, violations};
use bayplan::plan;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The bound gets this part of the time that is left.
const TIME_PART: u32 = 10;

/// A bound in the making, shared with those who watch the search.
#[derive(Clone, Default)]
pub struct Beside {
    bound: Arc<Mutex<Option<i128>>>,
    settled: Arc<AtomicBool>,
    /// Gap at which the search ends; `None` = it must not.
    gap: Option<GapArg>,
}

impl Beside {
    /// For a problem as the command line asks for it.
    pub fn new(problem: &Problem, args: &PlanArgs) -> Beside {
        // An objective says little while rules are broken (repair comes first), or where the order of a queue counts.
        let is_free =
            !args.is_repeatable() && args.admit != AdmitArg::Prefix && super::focus::keeps_points(problem, &args.focus);
        let may_end = is_free && violations(problem, &problem.current).is_empty();
        Beside { gap: may_end.then(|| args.gap.unwrap_or(GapArg(0))), ..Beside::default() }
    }

    /// Ends with the search's own reasons, or when the gap is closed.
    pub fn watch(&self, control: Control, shown: impl Fn(Progress) + Send + Sync + 'static) -> Control {
        let beside = self.clone();
        let listener = move |progress: Progress| {
            let known = *beside.bound.lock().unwrap_or_else(PoisonError::into_inner);
            let bound = progress.bound.into_iter().chain(known).min();
            if let (Some(gap), Some(bound)) = (beside.gap, bound)
                && gap.is_closed(progress.objective, bound)
            {
                beside.settled.store(true, Ordering::Relaxed);
            }
            shown(Progress { bound, ..progress });
        };
        control.with_settled(self.settled.clone()).with_listener(listener)
    }

    /// True when the search was ended because the gap was closed, and a plan that reaches this objective closes it as well;
    /// `searched` is a bound that the search itself found.
    pub fn is_near(&self, objective: i128, searched: Option<i128>) -> bool {
        let known = *self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        let bound = known.into_iter().chain(searched).min();
        let is_closed = self.gap.zip(bound).is_some_and(|(gap, bound)| gap.is_closed(objective, bound));
        self.settled.load(Ordering::Relaxed) && is_closed
    }

    /// Runs `search` and looks for a bound on `problem`: before it when `first`, else beside it.
    pub fn run<T: Send>(
        &self,
        problem: &Problem,
        args: &PlanArgs,
        control: &Control,
        first: bool,
        search: impl FnOnce(Option<&Proof>) -> T,
    ) -> (T, Option<Proof>) {
        let limited = match control.time_left() {
            Some(left) if !args.is_repeatable() => control.within(left / TIME_PART),
            _ => control.clone(),
        };
        // Its own progress is nobody's concern, and it goes on when the search has ended early.
        let own = limited.with_listener(|_| ());
        let steps = (control.time_left().is_some() && !args.is_repeatable()).then_some(STEPS_LIMITED);
        let options = Options {
            steps,
            linear: !args.is_repeatable(),
            threads: args.threads.map_or(0, usize::from),
            ..Options::default()
        };
        let find = || {
            let proof = bound::bound(problem, &options, &own);
            // What the verifier would refuse (a sum beyond 128 bits) is no proof.
            let proof =
                Some(proof).filter(|proof| plan::proven(problem, proof).is_ok_and(|found| found <= proof.bound));
            *self.bound.lock().unwrap_or_else(PoisonError::into_inner) = proof.as_ref().map(|proof| proof.bound);
            proof
        };
        if first {
            let proof = find();
            let found = search(proof.as_ref());
            return (found, proof);
        }
        if args.is_repeatable() {
            return (search(None), find());
        }
        std::thread::scope(|scope| {
            let thread = scope.spawn(find);
            let found = search(None);
            // A bound that failed is none; the plan does not depend on it.
            (found, thread.join().unwrap_or(None))
        })
    }
}
