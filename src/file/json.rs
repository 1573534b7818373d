//! What exactly does the JSON say, and where is it wrong? A strict tree that reports every fault at once.
//!
//! serde's derive stops at the first fault and forgets where in the document it was. Here the document is read into a small
//! tree first (duplicate keys and fractions kept visible), then taken apart field by field; whatever does not suit becomes
//! a [`crate::model::Fault`] with its JSON path, and reading goes on.
//!
//! Codes: F101 not JSON, F102 wrong type, F103 unknown field, F104 missing field, F105 field given twice, F106 wrong format,
//! F107 a word that is not one of those allowed.

use crate::model::Faults;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

/// A JSON value; objects keep order and duplicates.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A whole number written without fraction or exponent.
    Int(i64),
    /// Such a number above the range of `Int` (a seed may be that large).
    Large(u64),
    /// Any other number: with fraction or exponent, or beyond 64 bits.
    Number(f64),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Value>),
    /// An object.
    Object(Vec<(String, Value)>),
}

impl Value {
    fn kind(&self) -> String {
        match self {
            Value::Null => "null".into(),
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => format!("the number {value}"),
            Value::Large(value) => format!("the number {value}"),
            // With its point or exponent: 1.0 is what was written, and what is wrong with it.
            Value::Number(value) => format!("the number {value:?}"),
            Value::Text(text) => format!("the text {:?}", shortened(text)),
            Value::List(_) => "a list".into(),
            Value::Object(_) => "an object".into(),
        }
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Large(value), Value::Int))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value))
    }
    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_string()))
    }
    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            fields.push(entry);
        }
        Ok(Value::Object(fields))
    }
}

/// Parses a document.
///
/// # Errors
/// One F101 fault with line and column: after an error of syntax nothing that follows means anything.
pub fn parse(bytes: &[u8]) -> Result<Value, Faults> {
    let fault = |place: String, cause: &str, remedy: &str| {
        let mut faults = Faults::new();
        faults.add("F101", place, cause, remedy);
        faults
    };
    let place = |line: usize, column: usize| format!("line {line} column {column}");
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(fault("the document".into(), "it is empty", "give a JSON document"));
    }
    if [&b"\xEF\xBB\xBF"[..], b"\xFF\xFE", b"\xFE\xFF"].iter().any(|mark| bytes.starts_with(mark)) {
        return Err(fault(place(1, 1), "there is a byte order mark", "save the document as UTF-8 without one"));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = &bytes[..error.valid_up_to()];
        let line = good.split(|byte| *byte == b'\n').count();
        let column = good.len() - good.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1) + 1;
        fault(place(line, column), "the bytes are not UTF-8 text", "give a JSON document in UTF-8")
    })?;
    serde_json::from_str(text).map_err(|error| {
        let text = error.to_string();
        let cause = text.split(" at line ").next().unwrap_or(&text);
        let remedy = match cause {
            "recursion limit exceeded" => "nest less deeply: nothing here needs more than ten levels",
            "number out of range" => "write a whole number",
            _ if error.is_eof() => "the document ends too early: is it complete?",
            _ => "correct the JSON there",
        };
        fault(place(error.line(), error.column()), cause, remedy)
    })
}

const TWO_TO_63: f64 = (1u64 << 63) as f64;

/// Where a value stands in the document.
#[derive(Clone, Copy)]
pub enum Path<'a> {
    /// The document itself.
    Root,
    /// A field.
    Field(&'a Path<'a>, &'a str),
    /// An element, with a name if it has one.
    Item(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => f.write_str("the document"),
            Path::Field(Path::Root, name) => f.write_str(&step(name)),
            Path::Field(parent, name) => write!(f, "{parent}.{}", step(name)),
            Path::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// A name as a step of a path: as it is where it is one word, else in quotes.
fn step(name: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_alphanumeric() || "-_./:".contains(c);
    if !name.is_empty() && name.chars().all(plain) { name.into() } else { format!("{:?}", shortened(name)).into() }
}

/// Collects faults while a document is taken apart.
#[derive(Default)]
pub struct Reader {
    /// What was found so far.
    pub faults: RefCell<Faults>,
}

/// The fields of one object, taken one after the other; what nobody takes is reported by [`Fields::finish`].
pub struct Fields<'a> {
    reader: &'a Reader,
    path: Path<'a>,
    fields: Vec<(String, Value)>,
    known: Vec<&'static str>,
}

impl Reader {
    /// Adds a fault.
    pub fn fault(&self, code: &'static str, path: Path<'_>, cause: impl Into<String>, remedy: impl Into<String>) {
        self.faults.borrow_mut().add(code, path.to_string(), cause, remedy);
    }

    /// Reports a value of the wrong type.
    pub fn wrong(&self, path: Path<'_>, value: &Value, wanted: &str) {
        self.fault("F102", path, format!("{} stands where {wanted} is due", value.kind()), format!("write {wanted}"));
    }

    /// The fields of an object.
    pub fn fields<'a>(&'a self, path: Path<'a>, value: Value) -> Option<Fields<'a>> {
        match value {
            Value::Object(fields) => Some(Fields { reader: self, path, fields, known: Vec::new() }),
            other => {
                self.wrong(path, &other, "an object");
                None
            }
        }
    }

    /// A list, read item by item; items that fail are left out (and reported).
    pub fn list<T>(&self, path: Path<'_>, value: Value, mut read: impl FnMut(Path<'_>, Value) -> Option<T>) -> Vec<T> {
        match value {
            Value::List(items) => {
                items.into_iter().enumerate().filter_map(|(i, item)| read(Path::Item(&path, i), item)).collect()
            }
            other => {
                self.wrong(path, &other, "a list");
                Vec::new()
            }
        }
    }

    /// An object whose keys are names of the user's.
    pub fn map<T>(
        &self,
        path: Path<'_>,
        value: Value,
        mut read: impl FnMut(Path<'_>, Value) -> Option<T>,
    ) -> BTreeMap<String, T> {
        let Value::Object(entries) = value else {
            self.wrong(path, &value, "an object");
            return BTreeMap::new();
        };
        let mut map = BTreeMap::new();
        for (name, value) in entries {
            if map.contains_key(&name) {
                self.twice(Path::Field(&path, &name));
            }
            if let Some(value) = read(Path::Field(&path, &name), value) {
                map.insert(name, value);
            }
        }
        map
    }

    fn twice(&self, path: Path<'_>) {
        self.fault("F105", path, "the field is given twice", "keep one of the two");
    }

    /// A whole number.
    pub fn int(&self, path: Path<'_>, value: Value) -> Option<i64> {
        let wanted = match value {
            Value::Int(value) => return Some(value),
            Value::Large(_) => "a whole number below 2^63",
            Value::Number(value) if value.abs() >= TWO_TO_63 => "a whole number below 2^63",
            _ => "a whole number (no fraction, exponent or quotes)",
        };
        self.wrong(path, &value, wanted);
        None
    }

    /// A whole number from 0 to the largest of 64 bits.
    pub fn natural(&self, path: Path<'_>, value: Value) -> Option<u64> {
        match value {
            Value::Int(value) if value >= 0 => Some(value as u64),
            Value::Large(value) => Some(value),
            other => {
                self.wrong(path, &other, "a whole number from 0 to 18446744073709551615");
                None
            }
        }
    }

    /// A count that fits 32 bits.
    pub fn count(&self, path: Path<'_>, value: Value) -> Option<u32> {
        match value {
            Value::Int(value) if u32::try_from(value).is_ok() => Some(value as u32),
            other => {
                self.wrong(path, &other, "a whole number from 0 to 4294967295");
                None
            }
        }
    }

    /// A list of texts.
    pub fn texts(&self, path: Path<'_>, value: Value) -> Option<Vec<String>> {
        Some(self.list(path, value, |p, v| self.text(p, v)))
    }

    /// A string.
    pub fn text(&self, path: Path<'_>, value: Value) -> Option<String> {
        match value {
            Value::Text(text) => Some(text),
            other => {
                self.wrong(path, &other, "a text");
                None
            }
        }
    }

    /// True or false.
    pub fn bool(&self, path: Path<'_>, value: Value) -> Option<bool> {
        match value {
            Value::Bool(value) => Some(value),
            other => {
                self.wrong(path, &other, "true or false");
                None
            }
        }
    }

    /// One of a few words.
    pub fn word<T: Copy>(&self, path: Path<'_>, value: Value, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(path, value)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
        if found.is_none() {
            let list: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            self.fault(
                "F107",
                path,
                format!("{:?} is not known here", shortened(&text)),
                format!("use {}", list.join(" or ")),
            );
        }
        found
    }
}

impl<'a> Fields<'a> {
    /// Takes a field out, if it is there; a second one of the same name is a fault.
    pub fn take(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        // One pass over all fields, however often the name is there.
        let mut found = self.fields.extract_if(.., |(field, _)| field == name).map(|(_, value)| value);
        let first = found.next();
        for _ in found {
            self.reader.twice(Path::Field(&self.path, name));
        }
        first
    }

    /// Takes a field and reads it; `None` when it is absent or wrong.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Reader, Path<'_>, Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.take(name)?;
        read(self.reader, Path::Field(&self.path, name), value)
    }

    /// Takes a field that must be there.
    pub fn required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&Reader, Path<'_>, Value) -> Option<T>,
    ) -> Option<T> {
        match self.take(name) {
            Some(value) => read(self.reader, Path::Field(&self.path, name), value),
            None => {
                self.reader.fault("F104", self.path, format!("the field {name:?} is missing"), "add it");
                None
            }
        }
    }

    /// Checks the `format` field; `false` when this is another kind of document, whose fields mean nothing here.
    pub fn format(&mut self, wanted: &str) -> bool {
        let version = |format: &str| -> Option<(String, u64)> {
            let (kind, version) = format.split_once('/')?;
            Some((kind.strip_prefix("bayplan-")?.to_string(), version.parse().ok()?))
        };
        let (kind, ours) = version(wanted).expect("our formats are bayplan-KIND/VERSION");
        let Some(found) = self.take("format") else {
            // The other fields tell whether this is such a file; all their faults are told too.
            let remedy = format!("give it the value {wanted:?}, if this is a {kind} file");
            self.reader.fault("F106", self.path, "the field \"format\" is missing", remedy);
            return true;
        };
        if matches!(&found, Value::Text(text) if text == wanted) {
            return true;
        }
        let given = if let Value::Text(text) = &found { version(text) } else { None };
        let (cause, remedy) = match given {
            Some((other, _)) if other != kind => {
                let other = shortened(&other);
                (format!("this is a {other}, and a {kind} is due"), format!("give the {kind} file here"))
            }
            Some((_, theirs)) if theirs > ours => {
                let cause =
                    format!("this is version {theirs} of the format, newer than version {ours}, the newest known");
                (cause, "use the newer program that wrote it".to_string())
            }
            _ => {
                let cause = format!("{} stands where {wanted:?} is due", found.kind());
                (cause, format!("give a {kind} file; `bayplan import` makes snapshots from other formats"))
            }
        };
        self.reader.fault("F106", Path::Field(&self.path, "format"), cause, remedy);
        false
    }

    /// Reports what nobody took; fields that begin with `x-` are the user's own.
    pub fn finish(self) {
        for (name, _) in self.fields.iter().filter(|(name, _)| !name.starts_with("x-")) {
            let closeness = |known: &&&str| (strsim::jaro_winkler(known, name) * 1e6) as u64;
            let remedy = match self.known.iter().max_by_key(closeness) {
                Some(known) if closeness(&known) > 700_000 => format!("did you mean {known:?}?"),
                _ => format!("known here: {}", self.known.join(", ")),
            };
            let remedy = format!("{remedy} (own fields begin with \"x-\")");
            self.reader.fault("F103", Path::Field(&self.path, name), "the field is not known", remedy);
        }
    }
}
