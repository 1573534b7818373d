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
    /// Any other number.
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
            Value::Number(value) => format!("the number {value}"),
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
        Ok(i64::try_from(value).map_or(Value::Number(value as f64), Value::Int))
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
/// One F101 fault with line and column.
pub fn parse(bytes: &[u8]) -> Result<Value, Faults> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let fault = |place: String, cause: String, remedy: &str| {
        let mut faults = Faults::new();
        faults.add("F101", place, cause, remedy);
        faults
    };
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(fault("the document".into(), "it is empty".into(), "give a JSON document"));
    }
    if let Err(error) = std::str::from_utf8(bytes) {
        let cause = "the bytes are not UTF-8 text".to_string();
        return Err(fault(format!("byte {}", error.valid_up_to()), cause, "give a JSON document in UTF-8"));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        let text = error.to_string();
        let cause = text.split(" at line ").next().unwrap_or(&text).to_string();
        let remedy =
            if error.is_eof() { "the document ends too early: is it complete?" } else { "correct the JSON there" };
        fault(place, cause, remedy)
    })
}

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
            Path::Field(Path::Root, name) => f.write_str(name),
            Path::Field(parent, name) => write!(f, "{parent}.{name}"),
            Path::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
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
        match value {
            Value::Int(value) => Some(value),
            other => {
                self.wrong(path, &other, "a whole number (no fraction, exponent or quotes)");
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
        let mut found = None;
        // Fields mostly come in the order they are asked for.
        while let Some(at) = self.fields.iter().position(|(field, _)| field == name) {
            let (_, value) = self.fields.remove(at);
            if found.is_some() {
                self.reader.twice(Path::Field(&self.path, name));
            }
            found = Some(value);
        }
        found
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

    /// Checks the `format` field; `false` when this is another kind of document.
    pub fn format(&mut self, wanted: &str) -> bool {
        let found = self.take("format");
        let path = Path::Field(&self.path, "format");
        let (kind, _) = wanted.split_once('/').unwrap_or((wanted, ""));
        match found {
            Some(Value::Text(text)) if text == wanted => true,
            Some(Value::Text(text)) if text.split('/').next() == Some(kind) => {
                let cause = format!("the document is {text:?}, this program reads {wanted:?}");
                self.reader.fault("F106", path, cause, "use the program version that wrote it, or write it anew");
                false
            }
            Some(other) => {
                let cause = format!("{} stands where {wanted:?} is due", other.kind());
                self.reader.fault("F106", path, cause, format!("give a {kind} file; `bayplan import` makes snapshots"));
                false
            }
            None => {
                let remedy = format!("add \"format\": {wanted:?}, if this is a {kind} file");
                self.reader.fault("F106", self.path, "the field \"format\" is missing", remedy);
                false
            }
        }
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
