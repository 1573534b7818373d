//! What does a JSON document of a foreign system say? Lenient reading of objects, and a list of what nobody asked for.
//!
//! Foreign systems add fields with every version, so an unknown field is no fault. It is no secret either: a [`Kind`] remembers
//! every field that the importer asked for, and counts what the documents hold beyond that.

use super::notes::{Document, Fate, Notes};
use crate::model::Faults;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Numbers that stand for "no value" in the C programs behind some of these documents (0xfffffffe, 0xffffffff, and in 64 bits).
const NO_VALUE: [u64; 4] = [0xffff_fffe, 0xffff_ffff, u64::MAX - 1, u64::MAX];

/// All JSON values of a document; several may follow each other, as when two commands write into one pipe.
pub fn values(document: &Document, faults: &mut Faults) -> Vec<Value> {
    let mut list = Vec::new();
    for value in serde_json::Deserializer::from_slice(&document.bytes).into_iter::<Value>() {
        match value {
            Ok(value) => list.push(value),
            Err(error) => {
                faults.add("F101", &document.name, format!("it is no JSON: {error}"), "was the command cut off?");
                return list;
            }
        }
    }
    if list.is_empty() {
        faults.add("I101", &document.name, "it is empty", "did the command before it fail?");
    }
    list
}

/// The objects of one kind (nodes, jobs …), and which of their fields the importer asked for.
#[derive(Debug, Default)]
pub struct Kind {
    name: &'static str,
    asked: RefCell<BTreeSet<&'static str>>,
    /// Places of values of the wrong type, what stands there, and what it is not.
    wrong: RefCell<Vec<(String, String, &'static str)>>,
}

impl Kind {
    /// `name` is a plural for messages.
    pub fn new(name: &'static str) -> Kind {
        Kind { name, ..Kind::default() }
    }

    /// One object of the kind; anything else is a fault.
    pub fn record<'a>(&'a self, value: &'a Value, place: String, faults: &mut Faults) -> Option<Record<'a>> {
        match value {
            Value::Object(fields) => Some(Record { kind: self, fields, place, is_part: false }),
            _ => {
                faults.add("F102", place, "it is no object", "give the command's output as it is");
                None
            }
        }
    }

    /// When all are read: every value that was asked for and is of the wrong type is a fault. Read as if it were absent, it would be
    /// a wish that nobody keeps.
    pub fn check(&self, faults: &mut Faults) {
        for (place, shown, what) in self.wrong.take() {
            faults.add("I201", place, format!("{shown} is {what}"), "give the command's output as it is");
        }
    }

    /// The same; and counts every field that has a value and was never asked for, of which those in `irrelevant` have no bearing
    /// on placement.
    pub fn count_rest<'a>(
        &self,
        values: impl Iterator<Item = &'a Value>,
        irrelevant: &[&str],
        notes: &mut Notes,
        faults: &mut Faults,
    ) {
        self.check(faults);
        let asked = self.asked.borrow();
        for (name, value) in values.filter_map(Value::as_object).flatten() {
            if asked.contains(name.as_str()) || is_void(value) {
                continue;
            }
            match irrelevant.contains(&name.as_str()) {
                true => notes.add(Fate::Irrelevant, &format!("other fields of {}", self.name)),
                false => notes.add(Fate::LeftOut, &format!("{name} of {}", self.name)),
            }
        }
    }
}

/// Absent in all but name.
fn is_void(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0) || number.as_u64().is_some_and(|n| NO_VALUE.contains(&n)),
        Value::String(text) => ["", "N/A", "n/a", "(null)"].contains(&text.as_str()),
        Value::Array(list) => list.iter().all(is_void),
        Value::Object(fields) if fields.contains_key("set") => {
            fields.get("set") != Some(&Value::Bool(true)) || fields.get("number").is_none_or(is_void)
        }
        Value::Object(fields) => fields.values().all(is_void),
    }
}

/// One object, or an object inside one.
#[derive(Debug)]
pub struct Record<'a> {
    kind: &'a Kind,
    fields: &'a Map<String, Value>,
    /// For faults.
    pub place: String,
    /// It is inside of another: its fields are not among those that are counted.
    is_part: bool,
}

impl<'a> Record<'a> {
    /// A field that is there and not null.
    pub fn get(&self, name: &'static str) -> Option<&'a Value> {
        self.ask(name);
        self.fields.get(name).filter(|value| !value.is_null())
    }

    fn ask(&self, name: &'static str) {
        if !self.is_part {
            self.kind.asked.borrow_mut().insert(name);
        }
    }

    fn wrong(&self, at: &str, value: &Value, what: &'static str) {
        let shown = value.to_string().chars().take(40).collect();
        self.kind.wrong.borrow_mut().push((format!("{}, {at}", self.place), shown, what));
    }

    /// A text; numbers count as such. Empty where there is none.
    pub fn text(&self, name: &'static str) -> String {
        match self.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(other) if !is_void(other) => {
                self.wrong(name, other, "no text");
                String::new()
            }
            _ => String::new(),
        }
    }

    /// What it is called by: without it, rules for it and moves of it lead nowhere.
    pub fn id(&self, name: &'static str, faults: &mut Faults) -> String {
        let id = self.text(name);
        if id.is_empty() {
            faults.add("I301", &self.place, format!("it has no {name}"), "give the answer as it is");
        }
        id
    }

    /// A list of words: a JSON list of texts, or one text with commas.
    pub fn words(&self, name: &'static str) -> Vec<String> {
        let words: Vec<String> = match self.get(name) {
            Some(Value::Array(list)) => self.texts(name, list),
            _ => self.text(name).split(',').map(|word| word.trim().to_string()).collect(),
        };
        words.into_iter().filter(|word| !word.is_empty()).collect()
    }

    /// The texts of a list, as they are.
    pub fn text_list(&self, name: &'static str) -> Vec<String> {
        self.texts(name, self.list(name))
    }

    /// A field whose name is only known from elsewhere; null counts as absent.
    pub fn value(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    /// The names of all fields.
    pub fn names(&self) -> impl Iterator<Item = &'a String> {
        self.fields.keys()
    }

    fn texts(&self, name: &str, list: &[Value]) -> Vec<String> {
        let text = |(i, value): (usize, &Value)| match value {
            Value::String(text) => Some(text.clone()),
            other => {
                self.wrong(&format!("{name}[{i}]"), other, "no text");
                None
            }
        };
        list.iter().enumerate().filter_map(text).collect()
    }

    /// The items of a list; none where there is none.
    pub fn list(&self, name: &'static str) -> &'a [Value] {
        match self.get(name) {
            Some(Value::Array(list)) => list,
            Some(other) if !is_void(other) => {
                self.wrong(name, other, "no list");
                &[]
            }
            _ => &[],
        }
    }

    /// The objects of a list.
    pub fn parts(&self, name: &'static str) -> Vec<Record<'a>> {
        let items = self.list(name).iter().enumerate();
        items.filter_map(|(i, value)| self.inside(format!("{name}[{i}]"), value)).collect()
    }

    /// The object in a field.
    pub fn part(&self, name: &'static str) -> Option<Record<'a>> {
        let value = self.get(name)?;
        if is_void(value) && !value.is_object() {
            return None;
        }
        self.inside(name.to_string(), value)
    }

    /// The objects in the fields of the object in a field.
    pub fn named(&self, name: &'static str) -> Vec<(&'a String, Record<'a>)> {
        let Some(part) = self.part(name) else { return Vec::new() };
        let values = part.fields.iter();
        values.filter_map(|(key, value)| Some((key, part.inside(key.clone(), value)?))).collect()
    }

    /// The object in a field whose name is only known from elsewhere.
    pub fn find(&self, name: &str) -> Option<Record<'a>> {
        self.value(name).and_then(|value| self.inside(name.to_string(), value))
    }

    /// Which numbers a list has; `None` where there is no list.
    pub fn numbers(&self, name: &'static str) -> Option<BTreeSet<u64>> {
        self.get(name)?;
        let number = |(i, value): (usize, &Value)| {
            let number = value.as_u64();
            if number.is_none() {
                self.wrong(&format!("{name}[{i}]"), value, "no whole number");
            }
            number
        };
        Some(self.list(name).iter().enumerate().filter_map(number).collect())
    }

    /// The texts in the fields of the object in a field; numbers and flags count as such.
    pub fn texts_by_name(&self, name: &'static str) -> Vec<(&'a String, String)> {
        let Some(part) = self.part(name) else { return Vec::new() };
        let text = |(key, value): (&'a String, &'a Value)| match value {
            Value::String(text) => Some((key, text.clone())),
            Value::Number(_) | Value::Bool(_) => Some((key, value.to_string())),
            other => {
                part.wrong(key, other, "no text");
                None
            }
        };
        part.fields.iter().filter_map(text).collect()
    }

    fn inside(&self, at: String, value: &'a Value) -> Option<Record<'a>> {
        match value {
            Value::Object(fields) => {
                Some(Record { kind: self.kind, fields, place: format!("{}, {at}", self.place), is_part: true })
            }
            other => {
                self.wrong(&at, other, "no object");
                None
            }
        }
    }

    /// A field inside objects; `path` is its names from the outside in.
    pub fn inner(&self, path: &[&'static str]) -> Option<&'a Value> {
        match path {
            [] => None,
            [name] => self.get(name),
            [first, rest @ ..] => self.part(first)?.inner(rest),
        }
    }

    /// True or false, and false where there is no value; anything else is wrong.
    pub fn flag(&self, name: &'static str) -> bool {
        match self.get(name) {
            Some(Value::Bool(is)) => *is,
            Some(other) if !is_void(other) => {
                self.wrong(name, other, "neither true nor false");
                false
            }
            _ => false,
        }
    }

    /// True or false, and false where the field is absent; anything else is a fault, null too: it may stand for `true`.
    pub fn truth(&self, name: &'static str, faults: &mut Faults) -> bool {
        self.ask(name);
        match self.fields.get(name) {
            None => false,
            Some(Value::Bool(is)) => *is,
            Some(other) => {
                let shown: String = other.to_string().chars().take(40).collect();
                let cause = format!("{shown} is neither true nor false");
                faults.add("I201", format!("{}, {name}", self.place), cause, "give the answer of the API as it is");
                false
            }
        }
    }

    /// A whole number from 0; anything else that has a value is a fault.
    pub fn whole(&self, name: &'static str, faults: &mut Faults) -> Option<i64> {
        figure(self.get(name), || format!("{}, {name}", self.place), faults)
    }
}

/// The whole number that a value is, from 0; `None` where there is no value, and a fault at its place where it is anything else.
pub fn figure(value: Option<&Value>, place: impl FnOnce() -> String, faults: &mut Faults) -> Option<i64> {
    let value = value?;
    whole(value).unwrap_or_else(|()| {
        let shown: String = value.to_string().chars().take(40).collect();
        faults.add("I201", place(), format!("{shown} is no whole number"), "mend the figure");
        None
    })
}

/// The same where it must be there: what is missing would look like room.
pub fn needed(value: Option<&Value>, place: impl FnOnce() -> String, faults: &mut Faults) -> i64 {
    if value.is_none_or(|value| whole(value) == Ok(None)) {
        faults.add("I201", place(), "there is no figure", "mend the figure");
        return 0;
    }
    figure(value, place, faults).unwrap_or(0)
}

/// A whole number from 0: a bare one, or Slurm's `{"set": …, "infinite": …, "number": …}`. `None` where there is no value.
pub fn whole(value: &Value) -> Result<Option<i64>, ()> {
    match value {
        Value::Null => Ok(None),
        Value::Number(number) => match (number.as_u64(), number.as_f64()) {
            (Some(n), _) if NO_VALUE.contains(&n) => Ok(None),
            (Some(n), _) => i64::try_from(n).map(Some).map_err(|_| ()),
            // Up to 2^53 every whole number has its own f64.
            (None, Some(x)) if x.fract() == 0.0 && (0.0..9e15).contains(&x) => Ok(Some(x as i64)),
            _ => Err(()),
        },
        Value::Object(fields) => match (fields.get("set"), fields.get("infinite"), fields.get("number")) {
            (Some(Value::Bool(false)), ..) | (_, Some(Value::Bool(true)), _) => Ok(None),
            (_, _, Some(Value::Number(number))) => whole(&Value::Number(number.clone())),
            _ => Err(()),
        },
        Value::String(text) if is_void(value) => Ok(None.filter(|_: &i64| text.is_empty())),
        Value::String(text) => text.parse().ok().filter(|n: &i64| *n >= 0).map(Some).ok_or(()),
        _ => Err(()),
    }
}
