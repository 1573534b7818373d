//! Which place is cheapest for each kind of task at these prices? By the kernel in 64 bits, here or on a device; beyond that, here.
//!
//! A device is not trusted: its first answer is worked out again here, all of it, later ones in part. What does not pass is told, and
//! the bound goes on on the CPU with the same result.

use super::form::Form;
use crate::gpu::{Error, Gpu, Market, Prices as Tiles};
use crate::kernel::price::{Cheapest, Kind, Places, price};
use rayon::prelude::*;
use std::sync::{Arc, Mutex, PoisonError};

/// Answers that are worked out again after the first time.
const SAMPLE: usize = 64;

/// A device for pricing, and what went wrong there.
#[derive(Debug, Clone)]
pub struct Device {
    gpu: Arc<Gpu>,
    trouble: Arc<Mutex<Option<String>>>,
}

impl Device {
    /// An opened device; only what is larger than it can hold stays on the CPU.
    pub fn new(gpu: Arc<Gpu>) -> Device {
        Device { gpu, trouble: Arc::default() }
    }

    /// What went wrong, if anything did. The bound is the same.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Where kinds are priced in bulk: nowhere but on a device, while that does well.
pub(super) struct Desk {
    /// The device with the problem on it, and how often it has answered.
    at_work: Mutex<Option<(Device, Tiles, usize)>>,
}

impl Desk {
    /// Without a device.
    pub fn closed() -> Desk {
        Desk { at_work: Mutex::new(None) }
    }

    /// Brings the problem to the device.
    pub fn open(device: &Device, form: &Form) -> Desk {
        let mask: Vec<u32> = form.kinds.iter().map(|kind| kind.mask).collect();
        let from: Vec<u32> = form.kinds.iter().map(|kind| kind.from).collect();
        let market = Market {
            places: form.places.len(),
            columns: form.columns,
            requirement: &form.requirement,
            masks: &form.masks,
            mask: &mask,
            from: &from,
            moves: &form.moves,
        };
        match Tiles::new(Arc::clone(&device.gpu), &market, usize::MAX) {
            Ok(tiles) => Desk { at_work: Mutex::new(Some((device.clone(), tiles, 0))) },
            Err(error) => {
                note(device, error.to_string());
                Desk::closed()
            }
        }
    }

    /// The cheapest place of every kind, from the device; `None` when there is none at work.
    pub fn ask(&self, form: &Form, prices: &[i64], denominator: i64) -> Option<Vec<Option<Cheapest>>> {
        let mut at_work = self.at_work.lock().unwrap_or_else(PoisonError::into_inner);
        let (device, tiles, asked) = at_work.as_mut()?;
        let step = if *asked == 0 { 1 } else { form.kinds.len().div_ceil(SAMPLE).max(1) };
        let from = if *asked == 0 { 0 } else { *asked % step };
        *asked += 1;
        let places = places(form, prices, denominator);
        let is_right = |list: &[Option<Cheapest>]| {
            (from..form.kinds.len())
                .into_par_iter()
                .step_by(step)
                .all(|kind| list[kind] == price(&places, &one(form, kind)))
        };
        let answer = tiles.cheapest(prices, denominator);
        let answer = answer.and_then(|list| match is_right(&list) {
            true => Ok(list),
            false => Err(Error::Failed("it prices wrongly".to_string())),
        });
        match answer {
            Ok(list) => Some(list),
            Err(error) => {
                note(device, error.to_string());
                *at_work = None;
                None
            }
        }
    }
}

fn note(device: &Device, text: String) {
    device.trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(text);
}

fn places<'a>(form: &'a Form, price: &'a [i64], denominator: i64) -> Places<'a> {
    let (count, columns) = (form.places.len(), form.columns);
    Places { count, columns, price, masks: &form.masks, mask_words: form.mask_words, moves: &form.moves, denominator }
}

fn one<'a>(form: &'a Form, kind: usize) -> Kind<'a> {
    Kind { requirement: form.requirement(kind), mask: form.kinds[kind].mask, from: form.kinds[kind].from }
}

/// The cheapest place for a newcomer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Best {
    /// Price of a whole task there, the pair cost included, in 1/denominator points.
    pub cost: i128,
    /// The place.
    pub place: u32,
}

impl From<Cheapest> for Best {
    fn from(cheapest: Cheapest) -> Best {
        Best { cost: i128::from(cheapest.cost), place: cheapest.place }
    }
}

/// The cheapest place of a kind; `None` when no place admits it. `narrow` = all sums fit 64 bits.
pub(super) fn best_place(form: &Form, kind: usize, prices: &[i64], denominator: i64, narrow: bool) -> Option<Best> {
    if narrow {
        return price(&places(form, prices, denominator), &one(form, kind)).map(Best::from);
    }
    let own = &form.kinds[kind];
    let requirement = form.requirement(kind);
    let mut best: Option<Best> = None;
    for k in (0..form.places.len()).filter(|k| form.admits(own.mask, *k)) {
        let fee = i128::from(form.move_points(own.from, k)) * i128::from(denominator);
        let cost = fee + dot(&prices[k * form.columns..][..form.columns], requirement);
        if best.is_none_or(|best| cost < best.cost) {
            best = Some(Best { cost, place: k as u32 });
        }
    }
    best
}

/// Σ price · amount.
pub(super) fn dot(price: &[i64], amount: &[i64]) -> i128 {
    price.iter().zip(amount).map(|(price, amount)| i128::from(*price) * i128::from(*amount)).sum()
}
