//! What did the round bring, and is it the best so far?                             other half: shaders/tally.wgsl
//!
//! ```text
//! Ties    sums and greatest values only: any order of blocks agrees; an equal result with fewer displaced tasks is better
//! ```

/// Sum over the blocks of a round.
#[derive(Debug, Clone, Copy, Default)]
pub struct RoundResult {
    /// Points, without the group term.
    pub delta: i64,
    /// Change in the number of tasks away from home.
    pub displaced: i64,
    /// Candidates judged.
    pub evaluations: u64,
    /// Quanta above limits after the round.
    pub overfull: i64,
}

/// Points and displaced tasks of a chain and of its best state so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Points; only differences count.
    pub points: i64,
    /// Tasks away from home.
    pub displaced: i64,
    /// Candidates judged.
    pub evaluations: u64,
    /// Points of the best state.
    pub best_points: i64,
    /// Tasks away from home in the best state.
    pub best_displaced: i64,
    /// Quanta above limits; a state that has any is never the best.
    pub overfull: i64,
    /// Part of `points` that is for the largest number of displaced tasks in one group.
    pub group_points: i64,
}

impl Tally {
    /// Books what a round changed; true when the state is the best so far among those with at most `displaced_max` tasks away from
    /// home.
    pub fn book(&mut self, round: &RoundResult, group_points: i64, displaced_max: u32) -> bool {
        self.points += round.delta + group_points - self.group_points;
        self.group_points = group_points;
        self.displaced += round.displaced;
        self.evaluations += round.evaluations;
        self.overfull = round.overfull;
        let is_best = self.overfull == 0
            && self.displaced <= i64::from(displaced_max)
            && (self.points, self.displaced) < (self.best_points, self.best_displaced);
        if is_best {
            (self.best_points, self.best_displaced) = (self.points, self.displaced);
        }
        is_best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: u32 = u32::MAX;

    #[test]
    fn the_best_has_least_points_then_fewest_displaced() {
        let mut tally = Tally { points: 10, best_points: 10, ..Tally::default() };
        let round = |delta, displaced| RoundResult { delta, displaced, evaluations: 5, overfull: 0 };
        assert!(!tally.book(&round(0, 1), 0, MANY), "a tie that displaces more");
        assert!(tally.book(&round(-4, 1), 3, MANY), "−4 and 3 for the groups");
        assert!(!tally.book(&round(0, 0), 3, MANY), "the same again");
        assert!(tally.book(&round(0, -1), 3, MANY), "a tie that displaces less");
        assert_eq!((tally.points, tally.displaced, tally.evaluations), (9, 1, 20));
        assert!(!tally.book(&RoundResult { overfull: 1, ..round(-5, 0) }, 3, MANY), "less, but above a limit");
        assert!(tally.book(&round(0, 0), 3, MANY), "the same within the limits");
        assert!(!tally.book(&round(-5, 2), 3, 2), "less, but one more than may be displaced");
        assert!(tally.book(&round(0, -1), 3, 2), "as many as may be");
    }
}
