//! Which whole numbers of nodes meet every row of a cover at least cost? Branch and bound, in integers.
//!
//! Two bounds, each valid wherever the search stands: prices of rows (weak duality, see `cover.rs`), and what each row alone costs with
//! the classes that are still free. The last free class needs no branching, since the rows say how many of it are needed.

use crate::control::Control;

/// Visits of the search times rows: about a second of one core.
const WORK_MAX: usize = 100_000_000;
/// Visits times rows between two questions whether to stop: well below a millisecond.
const WORK_BETWEEN: usize = 10_000;
/// What covering all of a row counts, so that parts of rows can be added up: fine enough, and sums times prices stay within 128 bits.
const COVERED_ONE: i128 = 1 << 40;

/// Minimise Σ price · y subject to Σ limit · y ≥ demand for every row, and 0 ≤ y ≤ most.
#[derive(Debug, Clone)]
pub(super) struct Covering {
    /// By class, above 0.
    pub price: Vec<i64>,
    /// By class.
    pub most: Vec<i64>,
    /// By class, then row; none below 0.
    pub limit: Vec<Vec<i128>>,
    /// By row, above 0.
    pub demand: Vec<i128>,
    /// Prices of rows, at least 0, in parts of `denominator`.
    pub weight: Vec<i128>,
    pub denominator: i128,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Whole {
    /// By class.
    pub counts: Vec<i64>,
    pub cost: i128,
    /// Nothing costs less: the search has seen everything.
    pub is_least: bool,
}

struct Search<'a> {
    covering: &'a Covering,
    /// Classes in the order in which they are decided.
    order: Vec<usize>,
    /// Σ weight · limit by class.
    worth: Vec<i128>,
    /// Least sum of what classes from here on can gain beyond their price: at most 0. By place in the order.
    gain: Vec<i128>,
    /// By place in the order, then row: price and limit of the class from here on that covers it at least cost.
    cheapest: Vec<Vec<Option<(i128, i128)>>>,
    left: Vec<i128>,
    counts: Vec<i64>,
    best: Option<(Vec<i64>, i128)>,
    steps: usize,
    control: &'a Control,
}

impl Covering {
    /// The cheapest numbers found until the control says stop; `None` where there are none, or figures are too large to be sure of
    /// anything.
    pub fn solve(mut self, control: &Control) -> Option<Whole> {
        for (most, limit) in self.most.iter_mut().zip(&self.limit) {
            // Who covers every row alone is never needed more often.
            let rows = limit.iter().zip(&self.demand).filter(|(limit, _)| **limit > 0);
            let useful = rows.map(|(limit, demand)| (demand + limit - 1).div_euclid(*limit)).max().unwrap_or(0);
            *most = i64::try_from(useful).unwrap_or(i64::MAX).min(*most);
        }
        self.searched(control)
    }

    fn searched(&self, control: &Control) -> Option<Whole> {
        let (classes, rows) = (self.price.len(), self.demand.len());
        let best = self.greedy();
        let worth: Option<Vec<i128>> = (self.limit.iter())
            .map(|limit| {
                limit.iter().zip(&self.weight).try_fold(0i128, |sum, (l, w)| sum.checked_add(l.checked_mul(*w)?))
            })
            .collect();
        let value: Option<i128> =
            self.demand.iter().zip(&self.weight).try_fold(0i128, |sum, (d, w)| sum.checked_add(d.checked_mul(*w)?));
        let dearest = self.price.iter().zip(&self.most).try_fold(0i128, |sum, (price, most)| {
            sum.checked_add(i128::from(*price).checked_mul((*most).into())?.checked_mul(self.denominator)?)
        });
        let fits = |value: Option<i128>| value.is_some_and(|value| value < i128::MAX / 8);
        let most = worth.as_ref().map(|worth| {
            let mut sums = worth.iter().zip(&self.most).map(|(worth, most)| worth.checked_mul((*most).into()));
            sums.try_fold(0i128, |sum, own| sum.checked_add(own?))
        });
        if !fits(value) || !fits(dearest) || !most.is_some_and(fits) {
            return best.map(|(counts, cost)| Whole { counts, cost, is_least: false });
        }
        let worth = worth?;
        let reduced = |c: usize| i128::from(self.price[c]) * self.denominator - worth[c];
        // What is too dear by the prices first, of which there can be few; the two that fit best are left for the end.
        let mut order: Vec<usize> = (0..classes).collect();
        order.sort_by_key(|c| (std::cmp::Reverse(reduced(*c)), *c));
        let mut gain = vec![0; classes + 1];
        let mut cheapest: Vec<Vec<Option<(i128, i128)>>> = vec![vec![None; rows]; classes + 1];
        for place in (0..classes).rev() {
            let class = order[place];
            gain[place] = gain[place + 1] + reduced(class).min(0) * i128::from(self.most[class]);
            let price = i128::from(self.price[class]);
            for row in 0..rows {
                let (limit, known) = (self.limit[class][row], cheapest[place + 1][row]);
                let is_better = limit > 0
                    && known.is_none_or(|(other, most)| match (price.checked_mul(most), other.checked_mul(limit)) {
                        (Some(own), Some(other)) => own < other,
                        _ => false,
                    });
                cheapest[place][row] = if is_better { Some((price, limit)) } else { known };
            }
        }
        let mut search = Search {
            covering: self,
            order,
            worth,
            gain,
            cheapest,
            left: self.demand.clone(),
            counts: vec![0; classes],
            best,
            steps: WORK_MAX / rows.max(1) / 2,
            control,
        };
        let is_complete = search.decide(0, 0, value?);
        search.best.map(|(counts, cost)| Whole { counts, cost, is_least: is_complete })
    }

    fn cost(&self, counts: &[i64]) -> i128 {
        counts.iter().zip(&self.price).map(|(count, price)| i128::from(*count) * i128::from(*price)).sum()
    }

    /// Class by class what covers most of what is left per price, then without what turns out to be too much.
    fn greedy(&self) -> Option<(Vec<i64>, i128)> {
        let mut left = self.demand.clone();
        let mut counts = vec![0i64; self.price.len()];
        while left.iter().any(|left| *left > 0) {
            let open = (0..counts.len()).filter(|c| counts[*c] < self.most[*c]);
            let covers = |c: usize| -> i128 {
                let rows = (0..left.len()).filter(|row| left[*row] > 0);
                rows.map(|row| covered(self.limit[c][row].min(left[row]), self.demand[row])).sum()
            };
            let (_, c) = open.map(|c| (covers(c), c)).max_by(|a, b| {
                (a.0 * i128::from(self.price[b.1])).cmp(&(b.0 * i128::from(self.price[a.1]))).then(b.1.cmp(&a.1))
            })?;
            let needed = (0..left.len()).filter(|row| left[*row] > 0 && self.limit[c][*row] > 0);
            // Half of what a row needs at a time, so that others get a say.
            let times = needed.map(|row| (left[row] / self.limit[c][row] / 2).max(1)).min()?;
            let times = times.min((self.most[c] - counts[c]).into());
            counts[c] += times as i64;
            left.iter_mut().zip(&self.limit[c]).for_each(|(left, limit)| *left -= times * limit);
        }
        let mut order: Vec<usize> = (0..counts.len()).filter(|c| counts[*c] > 0).collect();
        order.sort_by_key(|c| (std::cmp::Reverse(self.price[*c]), *c));
        for c in order {
            let spare = |row: usize| (self.limit[c][row] > 0).then(|| -left[row] / self.limit[c][row]);
            let fewer = (0..left.len()).filter_map(spare).min().unwrap_or(0).max(0).min(counts[c].into());
            counts[c] -= fewer as i64;
            left.iter_mut().zip(&self.limit[c]).for_each(|(left, limit)| *left += fewer * limit);
        }
        Some((counts.clone(), self.cost(&counts)))
    }
}

/// How much of a row is covered, at most all of it; never too much.
fn covered(part: i128, of: i128) -> i128 {
    part.checked_mul(COVERED_ONE).map_or_else(|| part / (of / COVERED_ONE).max(1), |part| part / of)
}

impl Search<'_> {
    /// Decides the classes from `place` on; `value` is Σ weight · left. False when the budget is used up, or it is to stop.
    fn decide(&mut self, place: usize, cost: i128, value: i128) -> bool {
        let between = (WORK_BETWEEN / self.left.len().max(1)).max(1);
        if self.steps == 0 || (self.steps.is_multiple_of(between) && self.control.must_stop()) {
            return false;
        }
        self.steps -= 1;
        let covering = self.covering;
        let is_met = self.left.iter().all(|left| *left <= 0);
        if is_met {
            if self.best.as_ref().is_none_or(|(_, best)| cost < *best) {
                self.best = Some((self.counts.clone(), cost));
            }
            return true;
        }
        if place == self.order.len() || self.is_hopeless(place, cost, value) {
            return true;
        }
        let class = self.order[place];
        let limit = &covering.limit[class];
        let times = |row: usize| (self.left[row] + limit[row] - 1).div_euclid(limit[row]);
        let wanted = (0..limit.len()).filter(|row| self.left[*row] > 0 && limit[*row] > 0);
        let high = wanted.map(times).max().unwrap_or(0).min(covering.most[class].into());
        // Rows that nothing later covers say how many there must be.
        let own = (0..limit.len()).filter(|row| self.left[*row] > 0 && self.cheapest[place + 1][*row].is_none());
        let mut low = 0;
        for row in own {
            if limit[row] == 0 {
                return true;
            }
            low = low.max(times(row));
        }
        let mut is_complete = true;
        for count in low..=high {
            self.take(class, count);
            let cost = cost + count * i128::from(covering.price[class]);
            let is_too_dear = self.best.as_ref().is_some_and(|(_, best)| cost >= *best);
            if !is_too_dear {
                is_complete &= self.decide(place + 1, cost, value - count * self.worth[class]);
            }
            self.take(class, -count);
            if is_too_dear || !is_complete {
                break;
            }
        }
        self.counts[class] = 0;
        is_complete
    }

    fn take(&mut self, class: usize, count: i128) {
        self.counts[class] += count as i64;
        self.left.iter_mut().zip(&self.covering.limit[class]).for_each(|(left, limit)| *left -= count * limit);
    }

    /// True when nothing cheaper than the best known can come of it.
    fn is_hopeless(&self, place: usize, cost: i128, value: i128) -> bool {
        let rows = || self.left.iter().zip(&self.cheapest[place]).filter(|(left, _)| **left > 0);
        if rows().any(|(_, cheapest)| cheapest.is_none()) {
            return true;
        }
        let Some((_, best)) = &self.best else { return false };
        let rest = value + self.gain[place];
        let by_prices = -(-rest).div_euclid(self.covering.denominator);
        let by_rows = rows().filter_map(|(left, cheapest)| {
            let (price, limit) = (*cheapest)?;
            Some((left.checked_mul(price)? + limit - 1).div_euclid(limit))
        });
        cost + by_rows.max().unwrap_or(0).max(by_prices) >= *best
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Random};
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    impl Covering {
        /// True when every row is met.
        fn admits(&self, counts: &[i64]) -> bool {
            (0..self.demand.len()).all(|row| {
                let have: i128 =
                    counts.iter().zip(&self.limit).map(|(count, limit)| i128::from(*count) * limit[row]).sum();
                have >= self.demand[row]
            })
        }
    }

    /// All numbers up to `most`.
    fn brute(covering: &Covering, class: usize, counts: &mut Vec<i64>) -> Option<i128> {
        if class == covering.price.len() {
            return covering.admits(counts).then(|| covering.cost(counts));
        }
        let found = (0..=covering.most[class]).filter_map(|count| {
            counts[class] = count;
            brute(covering, class + 1, counts)
        });
        let least = found.min();
        counts[class] = 0;
        least
    }

    #[test]
    fn the_least_is_that_of_brute_force_whatever_the_prices_of_rows() {
        let mut random = Random::new(7, Purpose::Events);
        let mut met = 0;
        for _ in 0..2_000 {
            let (classes, rows) = (1 + random.below(3), 1 + random.below(3));
            let mut figures = |count: usize, least: i64, most: usize| -> Vec<i64> {
                (0..count).map(|_| least + random.below(most) as i64).collect()
            };
            let covering = Covering {
                price: figures(classes, 1, 9),
                most: figures(classes, 0, 6),
                limit: (0..classes).map(|_| figures(rows, 0, 8).into_iter().map(i128::from).collect()).collect(),
                demand: figures(rows, 1, 20).into_iter().map(i128::from).collect(),
                weight: figures(rows, 0, 5).into_iter().map(i128::from).collect(),
                denominator: figures(1, 1, 9)[0].into(),
            };
            let least = brute(&covering, 0, &mut vec![0; classes]);
            let judge = covering.clone();
            let found = covering.solve(&Control::unlimited());
            assert_eq!(found.as_ref().map(|found| found.cost), least);
            let Some(found) = found else { continue };
            assert!(found.is_least && judge.admits(&found.counts) && judge.cost(&found.counts) == found.cost);
            met += 1;
        }
        assert!(met > 500, "{met} cases can be met");
    }

    #[test]
    fn thousands_of_nodes_are_no_obstacle() {
        let covering = Covering {
            price: vec![70, 100, 130],
            most: vec![1 << 32; 3],
            limit: vec![vec![16, 64], vec![32, 64], vec![32, 128]],
            demand: vec![40_007, 120_001],
            weight: vec![0, 0],
            denominator: 1,
        };
        let judge = covering.clone();
        let found = covering.solve(&Control::unlimited()).expect("it can be met");
        assert!(found.is_least);
        // 625 of the second and of the third shape lack 7 of one resource and 1 of the other, which one of the first makes up for.
        assert!(judge.admits(&found.counts) && found.cost <= 143_820, "{found:?}");
    }

    /// Forty classes of nearly even worth: the search would go on for a long time. Told to stop, it says what it has and claims nothing.
    #[test]
    fn a_stop_ends_the_search_and_proves_nothing() {
        let covering = Covering {
            price: (0..40).map(|c| 1_000 + 7 * c).collect(),
            most: vec![50; 40],
            limit: (0..40).map(|c| vec![1_003 + 7 * c, 2_001 + 13 * (c * c % 17)]).collect(),
            demand: vec![90_001, 150_007],
            weight: vec![0, 0],
            denominator: 1,
        };
        let judge = covering.clone();
        let stop = Arc::new(AtomicBool::new(true));
        let found = covering.solve(&Control::unlimited().with_stop(stop)).expect("the greedy start is there");
        assert!(!found.is_least && judge.admits(&found.counts) && judge.cost(&found.counts) == found.cost);
    }

    /// What is covered best per price comes first, by integers: a row of 2^100 neither overflows nor counts as nothing.
    #[test]
    fn the_start_tells_large_figures_apart() {
        let row = 1i128 << 100;
        let covering = Covering {
            price: vec![3, 2],
            most: vec![9, 9],
            limit: vec![vec![row / 4], vec![row / 6 - 1]],
            demand: vec![row],
            weight: vec![0],
            denominator: 1,
        };
        // Four of the first cost 12; six of the second are just too few, and seven cost 14.
        assert_eq!(covering.greedy(), Some((vec![4, 0], 12)));
        assert_eq!((covered(row, row) >> 40, covered(row / 2, row) >> 39), (1, 1));
    }
}
