//! When must a search stop, whom does it tell how far it is, and on how many threads does it run? Shared by every solver; a limit is never
//! an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How far a search is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Which part of the search runs, e.g. `anneal`.
    pub phase: &'static str,
    /// Thousandths of the phase done, 0 to 1000.
    pub done: u32,
    /// Scaled objective of the best placement so far.
    pub objective: i128,
    /// Scaled upper bound, when one is proven.
    pub bound: Option<i128>,
}

/// Does the work on so many threads; 0 = all cores.
///
/// # Panics
/// When the threads cannot be started.
pub fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started");
    pool.install(work)
}

/// Deadline, stop flag and progress listener of one run.
#[derive(Clone, Default)]
pub struct Control {
    deadline: Option<Instant>,
    stop: Arc<AtomicBool>,
    settled: Arc<AtomicBool>,
    was_late: Arc<AtomicBool>,
    listener: Option<Arc<dyn Fn(Progress) + Send + Sync>>,
}

impl Control {
    /// No limit, no listener.
    pub fn unlimited() -> Control {
        Control::default()
    }

    /// Stops `limit` from now at the latest.
    pub fn with_time_limit(mut self, limit: Duration) -> Control {
        self.deadline = Instant::now().checked_add(limit);
        self
    }

    /// Stops when the flag becomes true (a signal handler sets it).
    pub fn with_stop(mut self, stop: Arc<AtomicBool>) -> Control {
        self.stop = stop;
        self
    }

    /// Stops as well when this flag becomes true: what is found is good enough.
    pub fn with_settled(mut self, settled: Arc<AtomicBool>) -> Control {
        self.settled = settled;
        self
    }

    /// Calls `listener` now and then.
    pub fn with_listener(mut self, listener: impl Fn(Progress) + Send + Sync + 'static) -> Control {
        self.listener = Some(Arc::new(listener));
        self
    }

    /// The same stop flag and listener, ending at the earlier of the own deadline and `limit` from now.
    pub fn within(&self, limit: Duration) -> Control {
        let mine = Instant::now().checked_add(limit);
        let deadline = [self.deadline, mine].into_iter().flatten().min();
        Control { deadline, ..self.clone() }
    }

    /// The same with one part in `of` of the time that is left, where there is a limit.
    pub fn part(&self, of: u32) -> Control {
        self.time_left().map_or_else(|| self.clone(), |left| self.within(left / of))
    }

    /// True when somebody has asked it to stop.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// True when its own time is up.
    pub fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// True when the search must end.
    pub fn must_stop(&self) -> bool {
        let asked = self.is_stopped() || self.settled.load(Ordering::Relaxed);
        let is_late = self.is_late();
        if is_late {
            self.was_late.store(true, Ordering::Relaxed);
        }
        asked || is_late
    }

    /// True when anything that had this control, or a part of its time, was told to stop because the time was up. Otherwise time has
    /// decided nothing.
    pub fn was_late(&self) -> bool {
        self.was_late.load(Ordering::Relaxed)
    }

    /// Time left; `None` without a limit.
    pub fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Tells the listener, if any.
    pub fn report(&self, progress: Progress) {
        if let Some(listener) = &self.listener {
            listener(progress);
        }
    }
}
