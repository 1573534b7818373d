//! Does a document that is cut, twisted or absurd ever do worse than a fault? No panic, whatever it says.

use super::rng::{Rng, for_seeds};
use super::*;

const CLUSTER: &str = include_str!("../../data/kubernetes/cluster.json");

/// Imports, and makes a problem of what comes; both may refuse, neither may panic.
fn survive(bytes: Vec<u8>) -> bool {
    let document = Document { name: "mutated".to_string(), bytes };
    match import(&[document], &Options::default()) {
        Ok(imported) => Problem::new(&imported.snapshot).is_ok(),
        Err(faults) => {
            assert!(!faults.is_empty() && !faults.to_string().is_empty());
            false
        }
    }
}

/// The values of a document, by their paths.
fn paths(value: &Value, here: &mut Vec<String>, list: &mut Vec<String>) {
    list.push(here.concat());
    let escaped = |key: &String| format!("/{}", key.replace('~', "~0").replace('/', "~1"));
    let inner: Vec<(String, &Value)> = match value {
        Value::Array(items) => items.iter().enumerate().map(|(i, item)| (format!("/{i}"), item)).collect(),
        Value::Object(fields) => fields.iter().map(|(key, field)| (escaped(key), field)).collect(),
        _ => Vec::new(),
    };
    for (step, value) in inner {
        here.push(step);
        paths(value, here, list);
        here.pop();
    }
}

fn absurd(rng: &mut Rng) -> Value {
    let choices = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1.5e300),
        json!(u64::MAX),
        json!(i64::MIN),
        json!([]),
        json!({}),
        json!([[[[]]]]),
        json!(""),
        json!("9e18"),
        json!("9223372036854775807Ei"),
        json!("1e-999"),
        json!("-5%"),
        json!("99999999999999999999999999999999999999999999"),
        json!("\u{0}\u{202e}'; rm -rf /"),
        json!({"": {"": []}}),
        json!({"cpu": "9223372036854775807", "nvidia.com/gpu": "64", "amd.com/gpu": "64"}),
    ];
    rng.pick(&choices).clone()
}

#[test]
fn nothing_cut_off_passes() {
    assert!(survive(CLUSTER.as_bytes().to_vec()));
    for_seeds("nothing_cut_off_passes", 300, |_, rng| {
        let end = rng.below(CLUSTER.trim_end().len());
        assert!(!survive(CLUSTER.as_bytes()[..end].to_vec()), "cut at {end}");
    });
}

#[test]
fn swapped_bytes_never_panic() {
    for_seeds("swapped_bytes_never_panic", 300, |_, rng| {
        let mut bytes = CLUSTER.as_bytes().to_vec();
        for _ in 0..=rng.below(4) {
            let at = rng.below(bytes.len());
            bytes[at] = *rng.pick(b"\"{}[]:,0-9eE.\\ \xff\x00n");
        }
        survive(bytes);
    });
}

#[test]
fn swapped_values_never_panic() {
    let cluster: Value = serde_json::from_str(CLUSTER).unwrap();
    let mut list = Vec::new();
    paths(&cluster, &mut Vec::new(), &mut list);
    for_seeds("swapped_values_never_panic", 600, |_, rng| {
        let mut cluster = cluster.clone();
        for _ in 0..=rng.below(3) {
            let new = match rng.below(3) {
                // Another part of the document in its place.
                0 => cluster.pointer(rng.pick::<String>(&list)).cloned().unwrap_or(Value::Null),
                _ => absurd(rng),
            };
            if let Some(value) = cluster.pointer_mut(rng.pick::<String>(&list)) {
                *value = new;
            }
        }
        survive(serde_json::to_vec(&cluster).unwrap());
    });
}
