//! What if something fails, and how many nodes should there be? Both asked of the state at the end, in bounded work.
//!
//! A page is to come soon and to be the same every time. So failures get the first look at all of them and no search for what that
//! leaves open, searches for nodes get an effort that depends on the size alone, and clusters beyond a size get neither. A time limit is
//! there for what takes long all the same; the page says so when it has cut something short. `drill` and `scale` look further.

use bayplan::control::Control;
use bayplan::drill::{Drill, Options, drill};
use bayplan::model::{LevelId, Placement, Problem, Snapshot};
use bayplan::scale::{Advice, Ask, Search, advise};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Most nodes × tasks of a cluster that is looked at: 5,000 × 100,000 take three seconds of one core to drill.
const SIZE_MAX: usize = 1 << 30;
/// Candidates of each search for nodes, and the bounds of those per task.
const CANDIDATES: u64 = 2_000_000;
/// See [`CANDIDATES`].
const EFFORT: (u64, u64) = (20, 2_000);

/// What was found.
pub struct Outlook {
    /// The state that was drilled.
    pub settled: Problem,
    /// `None` where the cluster is too large for it.
    pub drill: Option<Drill>,
    /// The advice, or why there is none.
    pub advice: Result<Advice, String>,
    /// The time limit or a signal has cut the search for nodes short.
    pub was_late: bool,
}

impl Outlook {
    /// Looks at a state of the problem of a snapshot.
    pub fn new(
        snapshot: &Snapshot,
        problem: &Problem,
        state: &Placement,
        limit: Duration,
        stop: Arc<AtomicBool>,
    ) -> Outlook {
        let settled = problem.settled(state);
        let is_large = problem.nodes.len().saturating_mul(problem.tasks.len()) > SIZE_MAX;
        if is_large {
            let why = "The cluster is too large for it here; bayplan scale gives it.".to_string();
            return Outlook { settled, drill: None, advice: Err(why), was_late: false };
        }
        let levels = (0..problem.levels.len()).map(LevelId::new).collect();
        let first_look = Control::unlimited().with_time_limit(Duration::ZERO);
        let drill = drill(&settled, &Options { levels, ..Options::default() }, &first_look);
        let effort = (CANDIDATES / problem.tasks.len().max(1) as u64).clamp(EFFORT.0, EFFORT.1);
        let ask = Ask { search: Search { effort: Some(effort), ..Search::default() }, ..Ask::default() };
        let control = Control::unlimited().with_time_limit(limit).with_stop(stop);
        let advice = advise(&problem.snapshot_at(snapshot, state), &ask, &control);
        let advice = advice.map_err(|error| format!("It could not be worked out: {error}"));
        Outlook { settled, drill: Some(drill), advice, was_late: control.was_late() || control.is_stopped() }
    }
}
