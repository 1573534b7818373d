//! Which nodes have at least so much? Sets of nodes as bits, for hundreds of thousands of questions about the same amounts.

/// Nodes between two sets that are kept.
const STEP: usize = 1024;

/// A set of numbers below a fixed count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    /// All numbers below `count`.
    pub fn all(count: usize) -> Bits {
        let mut words = vec![u64::MAX; count / 64];
        words.extend((!count.is_multiple_of(64)).then(|| (1 << (count % 64)) - 1));
        Bits(words)
    }

    /// Some numbers below `count`.
    pub fn of(count: usize, numbers: impl Iterator<Item = usize>) -> Bits {
        let mut bits = Bits(vec![0; count.div_ceil(64)]);
        bits.add(numbers);
        bits
    }

    fn add(&mut self, numbers: impl Iterator<Item = usize>) {
        numbers.for_each(|n| self.0[n / 64] |= 1 << (n % 64));
    }

    /// Leaves what is in the other as well; how many are gone.
    pub fn keep(&mut self, other: &Bits) -> usize {
        let mut gone = 0;
        for (own, other) in self.0.iter_mut().zip(&other.0) {
            gone += (*own & !other).count_ones() as usize;
            *own &= other;
        }
        gone
    }

    /// Ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        let word = |(w, word): (usize, &u64)| {
            let word = *word;
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| w * 64 + bit)
        };
        self.0.iter().enumerate().filter(|(_, word)| **word != 0).flat_map(word)
    }

    pub fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }
}

/// Numbers by their amount.
#[derive(Debug, Clone)]
pub(super) struct Ladder {
    /// Most first.
    order: Vec<u32>,
    /// Their amounts.
    amounts: Vec<i128>,
    /// The first `STEP` · n of the order, by n.
    steps: Vec<Bits>,
}

impl Ladder {
    /// What each number has.
    pub fn new(has: &[i128]) -> Ladder {
        let mut order: Vec<u32> = (0..has.len() as u32).collect();
        order.sort_by_key(|n| std::cmp::Reverse(has[*n as usize]));
        let amounts = order.iter().map(|n| has[*n as usize]).collect();
        let mut steps = vec![Bits::of(has.len(), std::iter::empty())];
        for part in order.chunks_exact(STEP) {
            let mut next = steps[steps.len() - 1].clone();
            next.add(part.iter().map(|n| *n as usize));
            steps.push(next);
        }
        Ladder { order, amounts, steps }
    }

    /// The numbers that have at least `needs`.
    pub fn at_least(&self, needs: i128) -> Bits {
        let count = self.amounts.partition_point(|has| *has >= needs);
        let mut bits = self.steps[count / STEP].clone();
        bits.add(self.order[count / STEP * STEP..count].iter().map(|n| *n as usize));
        bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Random};

    #[test]
    fn sets_are_those_that_looking_at_each_one_finds() {
        for count in [0, 1, 63, 64, 65, STEP - 1, STEP, STEP + 1, 3 * STEP + 17] {
            let mut random = Random::new(count as u64, Purpose::Sizes);
            let has: Vec<i128> = (0..count).map(|_| random.below(200) as i128 - 5).collect();
            let ladder = Ladder::new(&has);
            for needs in [-10, -5, 0, 1, 77, 194, 195, 1000] {
                let mut left = Bits::all(count);
                let gone = left.keep(&ladder.at_least(needs));
                let right: Vec<usize> = (0..count).filter(|n| has[*n] >= needs).collect();
                assert_eq!(left.iter().collect::<Vec<_>>(), right);
                assert_eq!((left.count(), gone), (right.len(), count - right.len()));
                assert_eq!(left, Bits::of(count, right.into_iter()));
            }
        }
    }
}
