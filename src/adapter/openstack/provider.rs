//! What does Placement say of a resource provider?

use crate::adapter::record::{Record, needed};
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
        && fields.get("aggregates").and_then(Value::as_array).is_some_and(|list| !list.iter().any(Value::is_object))
}

impl Provider {
    /// An item of `resource_providers`: its UUID, and a provider that is still empty.
    pub fn of(item: &Value) -> Option<(String, Provider)> {
        let text = |name: &str| item.get(name).and_then(Value::as_str).map(String::from);
        let uuid = text("uuid").filter(|uuid| !uuid.is_empty())?;
        Some((uuid, Provider { name: text("name").unwrap_or_default(), ..Provider::default() }))
    }

    /// Adds inventories, usages and traits. Of an inventory Placement tells every figure: one that is missing would look like room.
    pub fn add(&mut self, record: &Record<'_>, faults: &mut Faults) {
        for (class, inventory) in record.named("inventories") {
            let mut get =
                |name: &'static str| needed(inventory.get(name), || format!("{}, {name}", inventory.place), faults);
            let own = get("total").saturating_sub(get("reserved")).max(0);
            let units = Units { least: get("min_unit"), step: get("step_size").max(1), most: get("max_unit") };
            self.units.insert(class.clone(), units);
            let capacity = inventory.get("allocation_ratio").and_then(|ratio| times(own, ratio));
            if capacity.is_none() {
                faults.add(
                    "I201",
                    format!("{}, allocation_ratio", inventory.place),
                    "it is no such figure",
                    "mend the figure",
                );
            }
            self.capacity.insert(class.clone(), capacity.unwrap_or(0));
        }
        if let Some(usages) = record.part("usages") {
            let mut amount = |class: &String| {
                let value = usages.value(class);
                (class.clone(), needed(value, || format!("{}, {class}", usages.place), faults))
            };
            self.usages.get_or_insert_default().extend(usages.names().map(&mut amount));
        }
        if record.get("traits").is_some() {
            self.traits.get_or_insert_default().extend(record.text_list("traits"));
        }
        if record.get("resource_provider_generation").is_some() {
            self.aggregates.extend(record.text_list("aggregates"));
        }
    }
}

/// `amount` times a decimal ratio such as 16.0 or 1.5, rounded down; in integers, so that it is the same everywhere.
fn times(amount: i64, ratio: &Value) -> Option<i64> {
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
        assert_eq!(times(48, &json!(16.0)), Some(768));
        assert_eq!(times(3, &json!(1.5)), Some(4));
        assert_eq!(times(7, &json!(0.9)), Some(6));
        assert_eq!(times(10, &json!(0.1)), Some(1));
        for ratio in [json!("2"), json!(1e300), json!(-1.0), json!(-0.5), json!(-0.0), json!(1.1234567e-7)] {
            assert_eq!(times(5, &ratio), None, "{ratio}");
        }
    }
}
