//! Where does each kind of task pay least? Tile of kinds × all places, at given prices: the innermost loop of the bound.
//!
//! ```text
//! Shape   requirement [T][C]; price [K][C]; masks [M][words]; moves [F][K]; out: one key per kind
//! Units   1/denominator points, i64       Range   the caller proves that no sum exceeds 2^62
//! Ties    least (cost, place): associative and commutative, so any order of reduction agrees
//! Source  the inner problem of a Lagrangian relaxation of generalised assignment (Fisher 1981); ours in integers
//! ```

/// Places per invocation on a device.
pub const CHUNK: u32 = 1024;
/// 64-bit words per answer that comes back from a device: cost, place.
pub const CHEAPEST_WIDES: u32 = 2;
/// No place; no row of moves.
pub const NOWHERE: u32 = u32::MAX;

/// All places with their prices.
pub struct Places<'a> {
    /// Number of places.
    pub count: usize,
    /// Resources and device rows.
    pub columns: usize,
    /// Shape: places × columns.
    pub price: &'a [i64],
    /// Who may enter, one bit per place. Shape: masks × `mask_words`.
    pub masks: &'a [u32],
    /// Words of a mask.
    pub mask_words: usize,
    /// Points for moving to a place. Shape: rows × places.
    pub moves: &'a [i64],
    /// Parts of a point that prices count.
    pub denominator: i64,
}

/// One kind of the tile.
pub struct Kind<'a> {
    /// Shape: columns.
    pub requirement: &'a [i64],
    /// Row of `Places::masks`.
    pub mask: u32,
    /// Row of `Places::moves`; [`NOWHERE`] = it moves for nothing.
    pub from: u32,
}

/// The cheapest place of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cheapest {
    /// What it pays there, the move included.
    pub cost: i64,
    /// The place.
    pub place: u32,
}

/// The cheapest place that a kind may enter, or `None` when it may enter none.
pub fn price(places: &Places<'_>, kind: &Kind<'_>) -> Option<Cheapest> {
    let words = &places.masks[kind.mask as usize * places.mask_words..][..places.mask_words];
    let moves = match kind.from {
        NOWHERE => &[][..],
        row => &places.moves[row as usize * places.count..][..places.count],
    };
    let mut best = Cheapest { cost: i64::MAX, place: NOWHERE };
    for place in 0..places.count {
        if words[place / 32] >> (place % 32) & 1 == 0 {
            continue;
        }
        let row = &places.price[place * places.columns..][..places.columns];
        let fee = moves.get(place).map_or(0, |points| points * places.denominator);
        let cost = row.iter().zip(kind.requirement).fold(fee, |sum, (price, amount)| sum + price * amount);
        if cost < best.cost {
            best = Cheapest { cost, place: place as u32 };
        }
    }
    (best.place != NOWHERE).then_some(best)
}
