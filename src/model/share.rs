//! How is a granted fraction g = p/c written in integers?
//!
//! A share counts parts of [`SHARE_ONE`] = 720,720 = lcm(1, 2, …, 16), so every fraction with a denominator up to 16 is
//! exact (1/6 is 120,120 parts) and Σ r·p/c needs no rounding. A fraction that is not a whole number of parts is rounded
//! down, which is always the feasible side. Points and amounts multiplied by a share are *scaled*: they count
//! 1/720,720ths and live in `i128`.

use std::fmt;

/// Parts of a full grant: lcm(1, …, 16).
pub const SHARE_ONE: u32 = 720_720;

/// A granted fraction between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Share(u32);

impl Share {
    /// Nothing granted.
    pub const ZERO: Share = Share(0);
    /// Everything granted.
    pub const ONE: Share = Share(SHARE_ONE);

    /// A share of `parts` / 720,720; `None` above 1.
    pub fn from_parts(parts: u32) -> Option<Share> {
        (parts <= SHARE_ONE).then_some(Share(parts))
    }

    /// How many 720,720ths.
    #[inline]
    pub fn parts(self) -> u32 {
        self.0
    }

    /// Reads `"3/10"`, `"1"` or `"0"`, rounding down to whole parts.
    ///
    /// ```
    /// use bayplan::model::Share;
    /// assert_eq!(Share::parse("1/6").unwrap().parts(), 120_120);
    /// assert!(Share::parse("7/6").is_none());
    /// ```
    pub fn parse(text: &str) -> Option<Share> {
        let (top, bottom) = match text.split_once('/') {
            Some((top, bottom)) => (top.trim(), bottom.trim()),
            None => (text.trim(), "1"),
        };
        let digits = |s: &str| !s.is_empty() && s.len() <= 18 && s.bytes().all(|b| b.is_ascii_digit());
        if !digits(top) || !digits(bottom) {
            return None;
        }
        let (top, bottom): (u128, u128) = (top.parse().ok()?, bottom.parse().ok()?);
        if bottom == 0 || top > bottom {
            return None;
        }
        Some(Share((top * u128::from(SHARE_ONE) / bottom) as u32))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let divisor = gcd(self.0.into(), SHARE_ONE.into()) as u32;
        match SHARE_ONE / divisor {
            1 => write!(f, "{}", self.0 / divisor),
            bottom => write!(f, "{}/{}", self.0 / divisor, bottom),
        }
    }
}

/// A scaled quantity (points or amounts × 720,720) as text: whole where it is whole, else six decimals, rounded half away
/// from zero.
pub fn scaled_text(value: i128) -> String {
    let one = i128::from(SHARE_ONE);
    if value % one == 0 {
        return (value / one).to_string();
    }
    let sign = if value < 0 { "-" } else { "" };
    // The whole part is split off first: a figure read from a file may be as large as the type.
    let (whole, rest) = (value.unsigned_abs() / one.unsigned_abs(), value.unsigned_abs() % one.unsigned_abs());
    let millionths = (rest * 1_000_000 + u128::from(SHARE_ONE) / 2) / u128::from(SHARE_ONE);
    format!("{sign}{}.{:06}", whole + millionths / 1_000_000, millionths % 1_000_000)
}

/// Greatest common divisor.
pub(crate) fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_denominator_up_to_16_is_exact() {
        for bottom in 1..=16u32 {
            for top in 0..=bottom {
                let share = Share::parse(&format!("{top}/{bottom}")).unwrap();
                assert_eq!(share.parts() * bottom, top * SHARE_ONE);
                assert_eq!(Share::parse(&share.to_string()), Some(share));
            }
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "/", "1/0", "-1/2", "2", "1.5", "a/b", "1/2/3", "99999999999999999999/1"] {
            assert_eq!(Share::parse(text), None, "{text}");
        }
    }

    #[test]
    fn scaled_numbers_read_as_decimals() {
        assert_eq!(scaled_text(5 * i128::from(SHARE_ONE)), "5");
        assert_eq!(scaled_text(i128::from(SHARE_ONE) * 31 / 12), "2.583333");
        assert_eq!(scaled_text(-i128::from(SHARE_ONE) / 2), "-0.500000");
        assert_eq!(scaled_text(i128::from(SHARE_ONE) * 2 - 1), "1.999999");
        assert_eq!(scaled_text(i128::MAX).split('.').next(), Some("236071128122529181556897690803480"));
    }
}
