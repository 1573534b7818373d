//! How much is `1.5Gi`? Kubernetes quantities, exactly, in billionths of their unit.
//!
//! Grammar: a sign, digits with or without a point, and one of `n u m k M G T P E`, `Ki Mi Gi Ti Pi Ei`, or an exponent such as
//! `e3`. What is finer than a billionth is rounded up, as Kubernetes does it.

use serde::de::{Deserialize, Deserializer, Visitor};
use std::fmt;

/// Billionths of a unit: of a core, a byte, a piece.
pub const NANO: i128 = 1_000_000_000;
/// Largest quantity, in units: what Kubernetes can hold.
const UNITS_MAX: i128 = i64::MAX as i128;
/// Digits behind the point beyond these only tell that something is there.
const FRACTION_DIGITS_MAX: usize = 24;

const SUFFIXES: [(&str, i32, u32); 16] = [
    ("Ki", 0, 10),
    ("Mi", 0, 20),
    ("Gi", 0, 30),
    ("Ti", 0, 40),
    ("Pi", 0, 50),
    ("Ei", 0, 60),
    ("n", -9, 0),
    ("u", -6, 0),
    ("m", -3, 0),
    ("k", 3, 0),
    ("M", 6, 0),
    ("G", 9, 0),
    ("T", 12, 0),
    ("P", 15, 0),
    ("E", 18, 0),
    ("", 0, 0),
];

/// A quantity as written; a bare number of JSON is one too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quantity(pub String);

impl Quantity {
    /// Billionths of the unit, 0 or more; `None` when it is no quantity, negative, or beyond what Kubernetes can hold.
    pub fn nanos(&self) -> Option<i128> {
        let text = self.0.strip_prefix('+').unwrap_or(&self.0);
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (power, binary) = scale(suffix)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.len() + fraction.len() == 0 || fraction.contains('.') {
            return None;
        }
        let kept = &fraction[..fraction.len().min(FRACTION_DIGITS_MAX)];
        let is_cut = fraction[kept.len()..].bytes().any(|digit| digit != b'0');
        let mut digits = whole.bytes().chain(kept.bytes());
        let mantissa = digits.try_fold(0i128, |sum, digit| sum.checked_mul(10)?.checked_add(i128::from(digit - b'0')));
        let scaled = mantissa?.checked_mul(1 << binary)?;
        let power = power + 9 - kept.len() as i32;
        let nanos = match u32::try_from(power) {
            _ if scaled == 0 => 0,
            Ok(power) => scaled.checked_mul(10i128.checked_pow(power)?)?,
            Err(_) => match 10i128.checked_pow(power.unsigned_abs()) {
                Some(divisor) => (scaled + divisor - 1) / divisor,
                None => 1,
            },
        };
        let nanos = if is_cut && nanos == 0 { 1 } else { nanos };
        (nanos <= UNITS_MAX * NANO).then_some(nanos)
    }
}

/// Powers of ten and two of a suffix.
fn scale(suffix: &str) -> Option<(i32, u32)> {
    if let Some((_, power, binary)) = SUFFIXES.iter().find(|(known, ..)| *known == suffix) {
        return Some((*power, *binary));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?;
    let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let is_number = !digits.is_empty() && digits.len() <= 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { Some((exponent.parse().ok()?, 0)) } else { None }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Quantity, D::Error> {
        struct Words;
        impl Visitor<'_> for Words {
            type Value = Quantity;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quantity such as \"500m\"")
            }
            fn visit_str<E>(self, text: &str) -> Result<Quantity, E> {
                Ok(Quantity(text.to_string()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Quantity, E> {
                Ok(Quantity(value.to_string()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Quantity, E> {
                Ok(Quantity(value.to_string()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Quantity, E> {
                Ok(Quantity(value.to_string()))
            }
        }
        deserializer.deserialize_any(Words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(text: &str) -> Option<i128> {
        Quantity(text.to_string()).nanos()
    }

    #[test]
    fn every_form_of_the_grammar_is_read() {
        let same = [
            ("1", NANO),
            ("+1", NANO),
            ("0", 0),
            ("1.", NANO),
            (".5", NANO / 2),
            ("1.5", NANO * 3 / 2),
            ("250m", NANO / 4),
            ("7n", 7),
            ("7u", 7000),
            ("2k", 2000 * NANO),
            ("3M", 3_000_000 * NANO),
            ("1G", NANO * NANO),
            ("1T", NANO * NANO * 1000),
            ("1P", NANO * NANO * 1_000_000),
            ("1E", NANO * NANO * NANO),
            ("1Ki", 1024 * NANO),
            ("1.5Gi", 3 * (NANO << 29)),
            ("1Ti", NANO << 40),
            ("1Pi", NANO << 50),
            ("7Ei", 7 * (NANO << 60)),
            ("12e6", 12_000_000 * NANO),
            ("12E6", 12_000_000 * NANO),
            ("12e+6", 12_000_000 * NANO),
            ("12e-3", 12_000_000),
            ("128974848", 128_974_848 * NANO),
            ("0.0000000001", 1),
            ("1e-40", 1),
        ];
        for (text, expected) in same {
            assert_eq!(nanos(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        let long = format!("0.{}1", "0".repeat(5000));
        assert_eq!(nanos(&long), Some(1));
        for text in [
            "", ".", "-1", "m", "1 Gi", "1gi", "1ki", "1.2.3", "1e", "1e9999", "1e99999", "e3", "1Kim", "٣", "9e18k",
            "1e99",
        ] {
            assert_eq!(nanos(text), None, "{text}");
        }
        assert_eq!(nanos(&"9".repeat(500)), None);
    }
}
