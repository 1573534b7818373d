//! What does Placement say of a resource provider?

use crate::adapter::record::{figure, needed};
use crate::model::Faults;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// One provider, filled from several answers.
#[derive(Debug, Default)]
pub struct Provider {
    /// The hypervisor's name, for compute nodes.
    pub name: String,
    /// By resource class: (total − reserved) × allocation_ratio, rounded down.
    pub capacity: BTreeMap<String, i64>,
    /// In use, by resource class; `None` where no document says so.
    pub usages: Option<BTreeMap<String, i64>>,
    /// Names of traits; `None` where no document says so.
    pub traits: Option<Vec<String>>,
    /// Placement's aggregates, which are no host aggregates of Nova.
    pub aggregates: BTreeSet<String>,
    /// What a single consumer may ask for, where that is not any amount; by resource class.
    pub units: BTreeMap<String, Units>,
}

/// Bounds of an amount that one consumer may ask for.
#[derive(Debug)]
pub struct Units {
    least: i64,
    step: i64,
    most: i64,
}

impl Units {
    /// Whether an amount keeps them.
    pub fn allow(&self, amount: i64) -> bool {
        (self.least..=self.most).contains(&amount) && amount % self.step == 0
    }
}

/// Whether an answer is about one provider.
pub fn is_part(fields: &Map<String, Value>) -> bool {
    let is = |name: &str| fields.get(name).is_some_and(Value::is_object);
    is("inventories") || is("usages") || fields.get("traits").is_some_and(Value::is_array) || has_aggregates(fields)
}

/// Nova's host aggregates are objects, those of Placement texts.
fn has_aggregates(fields: &Map<String, Value>) -> bool {
    fields.contains_key("resource_provider_generation")
        && fields.get("aggregates").and_then(Value::as_array).is_some_and(|list| list.iter().all(Value::is_string))
}

impl Provider {
    /// An item of `resource_providers`: its UUID, and a provider that is still empty.
    pub fn of(item: &Value) -> Option<(String, Provider)> {
        let text = |name: &str| item.get(name).and_then(Value::as_str).map(String::from);
        let uuid = text("uuid").filter(|uuid| !uuid.is_empty())?;
        Some((uuid, Provider { name: text("name").unwrap_or_default(), ..Provider::default() }))
    }

    /// Adds inventories, usages and traits.
    pub fn add(&mut self, place: &str, fields: &Map<String, Value>, faults: &mut Faults) {
        for (class, inventory) in fields.get("inventories").and_then(Value::as_object).into_iter().flatten() {
            let mut get = |name: &str, absent: i64| {
                figure(inventory.get(name), || format!("{place}, {class}.{name}"), faults).unwrap_or(absent)
            };
            let own = get("total", 0).saturating_sub(get("reserved", 0)).max(0);
            let (least, step, most) = (get("min_unit", 1), get("step_size", 1), get("max_unit", i64::MAX));
            let units = Units { least, step: step.max(1), most };
            if least > 1 || step > 1 || most < i64::MAX {
                self.units.insert(class.clone(), units);
            }
            let capacity = times(own, inventory.get("allocation_ratio"));
            if capacity.is_none() {
                let place = format!("{place}, {class}.allocation_ratio");
                faults.add("I201", place, "it is no such figure", "mend the figure");
            }
            self.capacity.insert(class.clone(), capacity.unwrap_or(0));
        }
        if let Some(usages) = fields.get("usages").and_then(Value::as_object) {
            let mut amount = |(class, value): (&String, &Value)| {
                (class.clone(), needed(Some(value), || format!("{place}, usages.{class}"), faults))
            };
            self.usages.get_or_insert_default().extend(usages.iter().map(&mut amount));
        }
        let texts = |list: &Vec<Value>| list.iter().filter_map(Value::as_str).map(String::from).collect::<Vec<_>>();
        if let Some(traits) = fields.get("traits").and_then(Value::as_array) {
            self.traits.get_or_insert_default().extend(texts(traits));
        }
        if has_aggregates(fields) {
            self.aggregates.extend(fields.get("aggregates").and_then(Value::as_array).map(texts).unwrap_or_default());
        }
    }
}

/// `amount` times a decimal ratio such as 16.0 or 1.5, rounded down; in integers, so that it is the same everywhere.
fn times(amount: i64, ratio: Option<&Value>) -> Option<i64> {
    let Some(ratio) = ratio.filter(|ratio| !ratio.is_null()) else { return Some(amount) };
    // Plain digits only: a sign would be lost with a whole part of zero, an exponent with a long fraction.
    let is_plain = |text: &String| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let text = ratio.is_number().then(|| ratio.to_string()).filter(is_plain)?;
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let digits = format!("{fraction:0<6}");
    let millionths = whole.parse::<i128>().ok()?.checked_mul(1_000_000)? + digits.get(..6)?.parse::<i128>().ok()?;
    i64::try_from(i128::from(amount).checked_mul(millionths)? / 1_000_000).ok().filter(|product| *product >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ratios_are_decimal() {
        assert_eq!(times(48, Some(&json!(16.0))), Some(768));
        assert_eq!(times(3, Some(&json!(1.5))), Some(4));
        assert_eq!(times(7, Some(&json!(0.9))), Some(6));
        assert_eq!(times(10, Some(&json!(0.1))), Some(1));
        assert_eq!(times(5, None), Some(5));
        for ratio in [json!("2"), json!(1e300), json!(-1.0), json!(-0.5), json!(-0.0), json!(1.1234567e-7)] {
            assert_eq!(times(5, Some(&ratio)), None, "{ratio}");
        }
    }
}
