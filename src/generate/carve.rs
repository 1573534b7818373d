//! How does load become tasks? Each node's load is drawn first and then cut into pieces: the tasks.
//!
//! The other way round (draw tasks, then find places) is a packing problem, and fails or drifts where a cluster is to be
//! nearly full. Cut from what a node holds, tasks fit by construction, at any fill and any size.

use crate::random::Random;

/// A table of amounts, one row per node or task. Shape: rows × width, row-major.
#[derive(Debug, Clone)]
pub struct Rows {
    width: usize,
    amounts: Vec<i64>,
}

impl Rows {
    /// No rows yet.
    pub fn new(width: usize) -> Rows {
        assert!(width > 0, "there is at least one resource");
        Rows { width, amounts: Vec::new() }
    }

    /// Adds a row.
    pub fn push(&mut self, row: &[i64]) {
        assert_eq!(row.len(), self.width, "one amount per resource");
        self.amounts.extend_from_slice(row);
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.amounts.len() / self.width
    }

    /// Number of resources.
    pub fn width(&self) -> usize {
        self.width
    }

    /// One row.
    pub fn row(&self, index: usize) -> &[i64] {
        &self.amounts[index * self.width..][..self.width]
    }

    /// One row, to be changed.
    pub fn row_mut(&mut self, index: usize) -> &mut [i64] {
        &mut self.amounts[index * self.width..][..self.width]
    }

    /// All rows.
    pub fn iter(&self) -> impl Iterator<Item = &[i64]> {
        self.amounts.chunks_exact(self.width)
    }

    /// Sum of a column.
    pub fn total(&self, column: usize) -> i128 {
        self.iter().map(|row| i128::from(row[column])).sum()
    }
}

/// The load of every node: `per_mille` of its capacity as drawn, then brought to `fill_per_mille` of the whole, column by
/// column. Less is scaled down; more shrinks what is free: so no node is ever beyond its capacity.
pub fn loads(capacity: &Rows, fill_per_mille: &[i64], mut per_mille: impl FnMut(usize, &mut [i64])) -> Rows {
    let mut loads = Rows::new(capacity.width());
    let mut drawn = vec![0; capacity.width()];
    for (node, room) in capacity.iter().enumerate() {
        per_mille(node, &mut drawn);
        let row: Vec<i64> = room.iter().zip(&drawn).map(|(room, part)| part_of(*room, (*part).into(), 1000)).collect();
        loads.push(&row);
    }
    for (r, fill) in fill_per_mille.iter().enumerate() {
        let (all, is) = (capacity.total(r), loads.total(r));
        let wanted = all * i128::from(*fill) / 1000;
        for node in 0..loads.len() {
            let room = capacity.row(node)[r];
            let load = &mut loads.row_mut(node)[r];
            *load = match () {
                () if wanted <= is => part_of(*load, wanted, is.max(1)),
                () => room - part_of(room - *load, all - wanted, all - is),
            };
        }
    }
    loads
}

/// ⌊`amount` · `top` / `bottom`⌋.
pub fn part_of(amount: i64, top: i128, bottom: i128) -> i64 {
    (i128::from(amount) * top / bottom) as i64
}

/// Tasks with the node that each runs on.
#[derive(Debug, Clone)]
pub struct Carved {
    /// Node of every task, ascending.
    pub home: Vec<usize>,
    /// What every task requires.
    pub need: Rows,
}

/// Cuts the load of every node into `count` tasks altogether, as many per node as fit its share of all load. `weigh` draws
/// how large a task is beside the others of its node, per resource; 0 = it needs none.
pub fn carve(
    loads: &Rows,
    count: usize,
    random: &mut Random,
    mut weigh: impl FnMut(&mut Random, &mut [i64]),
) -> Carved {
    let width = loads.width();
    let mut carved = Carved { home: Vec::with_capacity(count), need: Rows::new(width) };
    for (node, (load, count)) in loads.iter().zip(counts(loads, count)).enumerate() {
        let mut weights = Rows::new(width);
        let mut row = vec![0; width];
        for _ in 0..count {
            weigh(random, &mut row);
            weights.push(&row);
        }
        let totals: Vec<i128> = (0..width).map(|r| weights.total(r).max(1)).collect();
        for weight in weights.iter() {
            for r in 0..width {
                row[r] = part_of(load[r], weight[r].into(), totals[r]);
            }
            carved.home.push(node);
            carved.need.push(&row);
        }
    }
    carved
}

/// How many tasks each node gets: in proportion to its load, with rounding carried on to the next node.
fn counts(loads: &Rows, count: usize) -> Vec<usize> {
    let width = loads.width();
    let totals: Vec<i128> = (0..width).map(|r| loads.total(r).max(1)).collect();
    // Each column weighs the same, in 2^32nds of its total.
    let shares: Vec<i128> =
        loads.iter().map(|row| (0..width).map(|r| (i128::from(row[r]) << 32) / totals[r]).sum::<i128>()).collect();
    let all = shares.iter().sum::<i128>().max(1);
    let (mut sum, mut given) = (0, 0);
    let mut counts = Vec::with_capacity(shares.len());
    for (node, share) in shares.iter().enumerate() {
        sum += share;
        let due = if node + 1 == shares.len() { count } else { (sum * count as i128 / all) as usize };
        counts.push(due - given);
        given = due;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    fn rows(list: &[[i64; 2]]) -> Rows {
        let mut rows = Rows::new(2);
        list.iter().for_each(|row| rows.push(row));
        rows
    }

    #[test]
    fn loads_come_to_the_fill_and_never_beyond_a_node() {
        let capacity = rows(&[[1000, 50], [2000, 50], [4001, 100]]);
        for fill in [0, 1, 300, 620, 950, 1000] {
            let loads = loads(&capacity, &[fill, fill], |node, part| part.fill([1000, 20, 500][node]));
            for r in 0..2 {
                let wanted = capacity.total(r) * i128::from(fill) / 1000;
                assert!((loads.total(r) - wanted).abs() <= 3, "fill {fill}: {} instead of {wanted}", loads.total(r));
                assert!((0..3).all(|node| (0..=capacity.row(node)[r]).contains(&loads.row(node)[r])));
            }
        }
    }

    #[test]
    fn pieces_are_never_more_than_the_load_and_nearly_all_of_it() {
        let loads = rows(&[[1000, 0], [0, 0], [70, 9000]]);
        for count in [1, 2, 7, 100] {
            let carved = carve(&loads, count, &mut Random::new(3, Purpose::Sizes), |random, row| {
                row.fill_with(|| random.range(1, 9));
            });
            assert_eq!((carved.home.len(), carved.need.len()), (count, count));
            for node in 0..3 {
                let mine: Vec<usize> = (0..count).filter(|task| carved.home[*task] == node).collect();
                for r in 0..2 {
                    let sum: i64 = mine.iter().map(|task| carved.need.row(*task)[r]).sum();
                    let load = loads.row(node)[r];
                    assert!(
                        sum <= load && (mine.is_empty() || sum > load - count as i64),
                        "node {node}: {sum} of {load}"
                    );
                }
            }
        }
    }
}
