//! Which nodes does a constraint of Nomad let a task onto?
//!
//! A list of nodes tells few of their attributes and nothing of their metadata; whole nodes (`/v1/node/ID`) tell all. What is not
//! told is unknown, and so is the answer of a constraint that asks for it, or in a way that is not followed here.
//!
//! Source: hashicorp/nomad `scheduler/feasible/feasible.go` (`resolveTarget`, `checkConstraint`), hashicorp/go-version.

use crate::adapter::record::Record;
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// What constraints may ask of a node.
#[derive(Debug, Default)]
pub struct Facts {
    /// By the names of targets: `node.class`, `attr.kernel.name`, `meta.rack`.
    words: BTreeMap<String, String>,
    /// What is not among the words is not there at all.
    is_whole: bool,
    /// Host volumes by name: whether they can be written to.
    volumes: BTreeMap<String, bool>,
    /// Drivers by name: whether they work; `None` where the node says nothing of them.
    drivers: Option<BTreeMap<String, bool>>,
}

/// What a target stands for on a node.
enum Found<'a> {
    Word(&'a str),
    Missing,
    Unknown,
}

impl Facts {
    /// Of a node, or a line of the list of nodes.
    pub fn read(node: &Record<'_>) -> Facts {
        let own = [
            ("node.unique.id", "ID"),
            ("node.unique.name", "Name"),
            ("node.datacenter", "Datacenter"),
            ("node.class", "NodeClass"),
            ("node.pool", "NodePool"),
        ];
        let mut words: BTreeMap<String, String> = own.map(|(to, field)| (to.to_string(), node.text(field))).into();
        for (head, field) in [("attr", "Attributes"), ("meta", "Meta")] {
            let texts = node.texts_by_name(field).into_iter();
            words.extend(texts.map(|(name, text)| (format!("{head}.{name}"), text)));
        }
        let volumes = node.named("HostVolumes").into_iter();
        let volumes = volumes.map(|(name, volume)| (name.clone(), !volume.flag("ReadOnly"))).collect();
        let works = |driver: &Record<'_>| driver.flag("Detected") && driver.flag("Healthy");
        let drivers = node.named("Drivers").into_iter();
        let drivers = drivers.map(|(name, driver)| (name.clone(), works(&driver))).collect();
        let has_drivers = node.get("Drivers").is_some();
        Facts { words, is_whole: node.get("Meta").is_some(), volumes, drivers: has_drivers.then_some(drivers) }
    }

    /// What is known of a property, by its name without `${}`.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.words.get(name).map(String::as_str)
    }

    fn resolve<'a>(&'a self, target: &'a str) -> Found<'a> {
        let Some(name) = target.strip_prefix("${") else { return Found::Word(target) };
        let name = name.strip_suffix('}').unwrap_or(name);
        match self.words.get(name) {
            Some(word) => Found::Word(word),
            None if self.is_whole => Found::Missing,
            None => Found::Unknown,
        }
    }
}

/// Only a whole node has its metadata.
pub fn is_whole(node: &Value) -> bool {
    node.get("Meta").is_some()
}

/// What a group of tasks demands of a node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Demand {
    /// A constraint: left side, operand, right side.
    Constraint([String; 3]),
    /// A host volume, and whether it must be possible to write to it.
    Volume(String, bool),
    /// A property that it must have, whatever it is.
    Property(String),
    /// A driver of tasks.
    Driver(String),
}

impl Demand {
    /// Whether a node meets it; `None` where nobody here can tell.
    pub fn is_met(&self, facts: &Facts) -> Option<bool> {
        match self {
            Demand::Constraint([left, operand, right]) => check(operand, facts.resolve(left), facts.resolve(right)),
            Demand::Volume(name, writes) => {
                Some(facts.volumes.get(name).is_some_and(|may_write| *may_write || !writes))
            }
            Demand::Driver(name) => Some(facts.drivers.as_ref()?.get(name) == Some(&true)),
            Demand::Property(target) => match facts.resolve(target) {
                Found::Word(_) => Some(true),
                Found::Missing => Some(false),
                Found::Unknown => None,
            },
        }
    }
}

fn check(operand: &str, left: Found<'_>, right: Found<'_>) -> Option<bool> {
    match (operand, &left, &right) {
        (_, Found::Unknown, _) | (_, _, Found::Unknown) => return None,
        ("is_set", ..) => return Some(matches!(left, Found::Word(_))),
        ("is_not_set", ..) => return Some(matches!(left, Found::Missing)),
        _ => {}
    }
    let word = |found: &Found<'_>| match found {
        Found::Word(word) => word.to_string(),
        Found::Missing | Found::Unknown => String::new(),
    };
    let is_there = matches!((&left, &right), (Found::Word(_), Found::Word(_)));
    let (left, right) = (word(&left), word(&right));
    // What is missing is an empty text here.
    if ["!=", "not"].contains(&operand) {
        return Some(left != right);
    }
    let holds = match operand {
        "" | "=" | "==" | "is" => Some(left == right),
        "<" | "<=" | ">" | ">=" => Some(stands(operand, order(&left, &right)?)),
        "set_contains" | "set_contains_all" => Some(parts(&right).all(|part| parts(&left).any(|own| own == part))),
        "set_contains_any" => Some(parts(&right).any(|part| parts(&left).any(|own| own == part))),
        "version" | "semver" => is_version(&left, &right, operand == "version"),
        "regexp" => is_match(&left, &right),
        _ => None,
    };
    if is_there { holds } else { Some(false) }
}

fn parts(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim)
}

fn stands(operand: &str, order: Ordering) -> bool {
    match operand {
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        ">=" => order.is_ge(),
        "!=" => order.is_ne(),
        _ => order.is_eq(),
    }
}

/// As whole numbers where both are, else as numbers, else as texts.
fn order(left: &str, right: &str) -> Option<Ordering> {
    if let (Ok(left), Ok(right)) = (left.parse::<i64>(), right.parse::<i64>()) {
        return Some(left.cmp(&right));
    }
    match (left.parse::<f64>(), right.parse::<f64>()) {
        (Ok(left), Ok(right)) => left.partial_cmp(&right),
        _ => Some(left.cmp(right)),
    }
}

/// Numbers of a version such as `1.24.0`; `None` for one that has more to it, as releases to come do.
fn version(text: &str) -> Option<Vec<u64>> {
    let text = text.trim();
    let text = text.strip_prefix('v').unwrap_or(text);
    text.split('+').next()?.split('.').map(|part| part.parse().ok()).collect()
}

/// Does a version meet all of a list such as `>= 1.2, < 2.0`? Only `version` knows `~>`.
fn is_version(left: &str, right: &str, has_pessimistic: bool) -> Option<bool> {
    let own = version(left)?;
    let mut meets = true;
    for part in parts(right) {
        let at = part.find(|c: char| !"<>=!~".contains(c)).unwrap_or(part.len());
        // A release comes after all that came before it: `1.7.1-dev` is less than 1.7.1, and more than 1.7.0.
        let (wanted, is_before) = match part[at..].split_once('-') {
            Some((wanted, _)) => (wanted, true),
            None => (&part[at..], false),
        };
        let (operator, wanted) = (&part[..at], version(wanted)?);
        let len = own.len().max(wanted.len()).max(3);
        let padded = |list: &[u64]| list.iter().copied().chain(std::iter::repeat(0)).take(len).collect::<Vec<_>>();
        let order =
            padded(&own).cmp(&padded(&wanted)).then(if is_before { Ordering::Greater } else { Ordering::Equal });
        meets &= match operator {
            "~>" if has_pessimistic && wanted.len() > 1 && !is_before => {
                order.is_ge() && padded(&own)[..wanted.len() - 1] == wanted[..wanted.len() - 1]
            }
            "" | "=" | "!=" | "<" | "<=" | ">" | ">=" => stands(operator, order),
            _ => return None,
        };
    }
    Some(meets)
}

/// A pattern that is plain words with `|` between them, `^` before and `$` after; `None` for any other.
fn is_match(left: &str, pattern: &str) -> Option<bool> {
    let mut meets = false;
    for part in pattern.split('|') {
        let (begins, part) = part.strip_prefix('^').map_or((false, part), |part| (true, part));
        let (ends, part) = part.strip_suffix('$').map_or((false, part), |part| (true, part));
        let word = part.replace("\\.", "\u{0}");
        if !word.chars().all(|c| c.is_ascii_alphanumeric() || "_-/ :\u{0}".contains(c)) {
            return None;
        }
        let word = word.replace('\u{0}', ".");
        meets |= match (begins, ends) {
            (true, true) => left == word,
            (true, false) => left.starts_with(&word),
            (false, true) => left.ends_with(&word),
            (false, false) => left.contains(&word),
        };
    }
    Some(meets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::record::Kind;
    use crate::model::Faults;
    use serde_json::json;

    fn is_met(node: &Value, demand: Demand) -> Option<bool> {
        let kind = Kind::new("nodes");
        let node = kind.record(node, String::new(), &mut Faults::new()).expect("it is an object");
        demand.is_met(&Facts::read(&node))
    }

    fn met(node: &Value, left: &str, operand: &str, right: &str) -> Option<bool> {
        is_met(node, Demand::Constraint([left, operand, right].map(String::from)))
    }

    #[test]
    fn constraints_hold_as_nomad_says() {
        let node = json!({
            "Name": "c1", "NodeClass": "big", "Attributes": {"kernel.name": "linux", "cpu.numcores": "16", "docker": "24.0.7"},
            "Meta": {"rack": "r1", "tags": "ssd, fast"}
        });
        for (left, operand, right, holds) in [
            ("${attr.kernel.name}", "=", "linux", Some(true)),
            ("${attr.kernel.name}", "!=", "linux", Some(false)),
            ("${meta.none}", "!=", "x", Some(true)),
            ("${meta.none}", "=", "", Some(false)),
            ("${meta.none}", "is_set", "", Some(false)),
            ("${meta.none}", "is_not_set", "", Some(true)),
            ("${node.class}", "is", "big", Some(true)),
            ("${attr.cpu.numcores}", ">=", "8", Some(true)),
            ("${attr.cpu.numcores}", "<", "9.5", Some(false)),
            ("${meta.tags}", "set_contains", "fast,ssd", Some(true)),
            ("${meta.tags}", "set_contains_any", "hdd,ssd", Some(true)),
            ("${meta.tags}", "set_contains_all", "hdd,ssd", Some(false)),
            ("${attr.docker}", "version", ">= 20.10, < 25", Some(true)),
            ("${attr.docker}", "version", "~> 24.0", Some(true)),
            ("${attr.docker}", "version", "~> 24.1", Some(false)),
            ("${attr.docker}", "version", "~> 23.1", Some(false)),
            ("${attr.docker}", "version", "~> 24", None),
            ("${attr.docker}", "semver", "~> 24.0", None),
            ("${attr.docker}", "semver", "> 24.0.6", Some(true)),
            ("${attr.docker}", "semver", "> 24.0.7-beta", Some(true)),
            ("${attr.docker}", "semver", ">= 24.0.8-dev", Some(false)),
            ("${attr.docker}", "version", "~> 24.0-dev", None),
            ("${attr.docker}", "version", "rubbish", None),
            ("${attr.kernel.name}", "regexp", "^(linux|darwin)$", None),
            ("${attr.kernel.name}", "regexp", "^linux$|^darwin$", Some(true)),
            ("${attr.kernel.name}", "regexp", "inu", Some(true)),
            ("${attr.docker}", "regexp", "^24\\.", Some(true)),
            ("${attr.docker}", "regexp", "24.0", None),
            ("${attr.kernel.name}", "resembles", "linux", None),
        ] {
            assert_eq!(met(&node, left, operand, right), holds, "{left} {operand} {right}");
        }
    }

    #[test]
    fn what_a_list_of_nodes_leaves_out_is_unknown() {
        let line = json!({"Name": "c1", "Attributes": {"os.name": "debian"}});
        let driver = |node: &Value, name: &str| is_met(node, Demand::Driver(name.into()));
        let drivers =
            json!({"docker": {"Detected": true, "Healthy": true}, "java": {"Detected": true, "Healthy": false}});
        let able = json!({"Drivers": drivers});
        assert_eq!(["docker", "java", "qemu"].map(|name| driver(&able, name)), [Some(true), Some(false), Some(false)]);
        assert_eq!(driver(&line, "docker"), None);
        assert_eq!(met(&line, "${attr.os.name}", "=", "debian"), Some(true));
        assert_eq!(met(&line, "${attr.kernel.name}", "=", "linux"), None);
        assert_eq!(met(&line, "${meta.rack}", "is_not_set", ""), None);
    }
}
