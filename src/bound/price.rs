//! Where does a task go at these prices? For each kind of task the cheapest place that admits it: the innermost loop of the bound.
//!
//! ```text
//! Shape   requirement [T][C]; price [K][C]; masks [M][words]; moves [F][K], all row by row; out: one best place per task
//! Units   1/denominator points, i64       Range   `Prices::fits` proves that no sum exceeds 2^62
//! Ties    the lowest place
//! ```

use super::form::{Form, NONE};

/// The cheapest place for a newcomer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Best {
    /// Price of a whole task there, the pair cost included, in 1/denominator points.
    pub cost: i128,
    /// The place.
    pub place: u32,
}

/// The cheapest place of a kind; `None` when no place admits it. `narrow` = all sums fit 64 bits.
pub(super) fn best_place(form: &Form, kind: usize, price: &[i64], denominator: i64, narrow: bool) -> Option<Best> {
    let requirement = form.requirement(kind);
    let (mask, from) = (form.kinds[kind].mask as usize, form.kinds[kind].from);
    let words = &form.masks[mask * form.mask_words..][..form.mask_words];
    if narrow {
        let moves = match from {
            NONE => &[][..],
            row => &form.moves[row as usize * form.places.len()..][..form.places.len()],
        };
        let (mut least, mut place) = (i64::MAX, NONE);
        for k in 0..form.places.len() {
            let row = &price[k * form.columns..][..form.columns];
            if words[k / 32] >> (k % 32) & 1 == 1 {
                let fee = moves.get(k).map_or(0, |cost| cost * denominator);
                let cost = row.iter().zip(requirement).fold(fee, |sum, (price, amount)| sum + price * amount);
                if cost < least {
                    (least, place) = (cost, k as u32);
                }
            }
        }
        return (place != NONE).then_some(Best { cost: i128::from(least), place });
    }
    let mut best: Option<Best> = None;
    for k in 0..form.places.len() {
        let row = &price[k * form.columns..][..form.columns];
        if words[k / 32] >> (k % 32) & 1 == 1 {
            let fee = i128::from(form.move_points(from, k)) * i128::from(denominator);
            let cost = fee + dot(row, requirement);
            if best.is_none_or(|best| cost < best.cost) {
                best = Some(Best { cost, place: k as u32 });
            }
        }
    }
    best
}

/// Σ price · amount.
pub(super) fn dot(price: &[i64], amount: &[i64]) -> i128 {
    price.iter().zip(amount).map(|(price, amount)| i128::from(*price) * i128::from(*amount)).sum()
}
