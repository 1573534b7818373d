//! Which objects are in the documents? Lists of mixed kinds, lists of one kind, single objects, any number in a file.
//!
//! A document is first cut into its objects, then each is read on its own: a fault names the object, and the rest is read all
//! the same. Pods are made small at once (`pod.rs`), since there are many.

use super::fields::Fields;
use super::pod::{Pod, Tables};
use super::records::{self, *};
use crate::adapter::notes::{Document, Fate, Notes};
use crate::model::Faults;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::{HashMap, HashSet};
use std::fmt;

/// Everything that is read of a cluster.
#[derive(Default)]
pub struct Objects {
    pub nodes: Vec<Node>,
    pub pods: Vec<Pod>,
    pub budgets: Vec<Budget>,
    pub classes: Vec<PriorityClass>,
    /// Labels by namespace.
    pub namespaces: HashMap<String, Texts>,
    /// Name of the volume by (namespace, claim).
    pub claims: HashMap<(String, String), String>,
    /// By name.
    pub volumes: HashMap<String, PersistentVolumeSpec>,
    /// Whether it can migrate live, by (namespace, name).
    pub machines: HashMap<(String, String), bool>,
    /// What pods share.
    pub tables: Tables,
}

/// A document, or an object: which is which is for `items` to say.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(default)]
    kind: String,
    #[serde(default, borrow)]
    items: Option<Vec<&'a RawValue>>,
}

/// The kind of an object; empty when it does not say. It stands near the front, and nothing behind it is looked at here: reading
/// ends there, by an error of our own.
fn kind_of(text: &str) -> Result<String, serde_json::Error> {
    struct Front<'a>(&'a mut Option<String>);
    impl<'de> Visitor<'de> for Front<'_> {
        type Value = ();
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
            while let Some(name) = fields.next_key::<String>()? {
                if name == "kind" {
                    *self.0 = fields.next_value()?;
                    return Err(serde::de::Error::custom("the rest does not matter"));
                }
                fields.next_value::<IgnoredAny>()?;
            }
            Ok(())
        }
    }
    let mut kind = None;
    let end = serde_json::Deserializer::from_str(text).deserialize_map(Front(&mut kind));
    match kind {
        Some(kind) => Ok(kind),
        None => end.map(|()| String::new()),
    }
}

/// Reads all objects of all documents.
pub struct Reader<'a> {
    pub objects: Objects,
    pub faults: &'a mut Faults,
    pub notes: &'a mut Notes,
    fields: Fields,
    /// Objects seen, by kind, namespace and name: several documents may overlap.
    seen: HashSet<(&'static str, String, String)>,
}

impl<'a> Reader<'a> {
    pub fn new(faults: &'a mut Faults, notes: &'a mut Notes) -> Reader<'a> {
        Reader { objects: Objects::default(), faults, notes, fields: Fields::default(), seen: HashSet::new() }
    }

    /// The objects, when all documents were read.
    pub fn finish(self) -> Objects {
        self.fields.tell(self.notes);
        self.objects
    }

    /// Reads one file or stream, of one document or several.
    pub fn document(&mut self, document: &Document) {
        let name = &document.name;
        let bytes = document.bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&document.bytes);
        let Ok(text) = std::str::from_utf8(bytes) else {
            self.faults.add("I101", name, "it is not UTF-8 text", "give what kubectl get -o json prints");
            return;
        };
        let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Head<'_>>();
        let mut count = 0;
        loop {
            let start = stream.byte_offset();
            let Some(head) = stream.next() else { break };
            count += 1;
            match head {
                Ok(head) => self.top(name, head, &text[start..stream.byte_offset()]),
                Err(error) => {
                    let remedy = if error.is_eof() {
                        "it ends too early: was kubectl interrupted?"
                    } else {
                        "give what kubectl get -o json prints"
                    };
                    self.faults.add("I110", name, error.to_string(), remedy);
                }
            }
        }
        if count == 0 {
            self.faults.add("I101", name, "it is empty", "give what kubectl get -o json prints");
        }
    }

    fn top(&mut self, name: &str, head: Head<'_>, text: &str) {
        let Some(items) = head.items else { return self.object(|| name.to_string(), &head.kind, text) };
        // The API server leaves the kind out of the items of a list of one kind.
        let usual = head.kind.strip_suffix("List").unwrap_or("");
        for (i, item) in items.into_iter().enumerate() {
            let place = || format!("{name}, items[{i}]");
            match kind_of(item.get()) {
                Ok(kind) if kind.is_empty() => self.object(place, usual, item.get()),
                Ok(kind) => self.object(place, &kind, item.get()),
                Err(error) => self.unreadable(place, "object", &error),
            }
        }
    }

    fn unreadable(&mut self, place: impl Fn() -> String, kind: &str, error: &serde_json::Error) {
        let remedy = "give the object as the API server writes it (line and column are counted from its start)";
        self.faults.add("I110", place(), format!("the {kind} cannot be read: {error}"), remedy);
    }

    fn object(&mut self, place: impl Fn() -> String, kind: &str, text: &str) {
        match kind {
            Node::KIND => self.with(place, text, |read, _, node| read.objects.nodes.push(node)),
            records::Pod::KIND => self.with(place, text, |read, place, pod| {
                let pod = Pod::new(&mut read.objects.tables, pod, place, read.faults, read.notes);
                read.objects.pods.extend(pod);
            }),
            Budget::KIND => self.with(place, text, |read, _, budget| read.objects.budgets.push(budget)),
            PriorityClass::KIND => self.with(place, text, |read, _, class| read.objects.classes.push(class)),
            Namespace::KIND => self.with(place, text, |read, _, Namespace { metadata }| {
                read.objects.namespaces.insert(metadata.name, metadata.labels);
            }),
            Claim::KIND => self.with(place, text, |read, _, Claim { metadata, spec }| {
                read.objects.claims.insert((metadata.namespace, metadata.name), spec.volume_name);
            }),
            PersistentVolume::KIND => self.with(place, text, |read, _, PersistentVolume { metadata, spec }| {
                read.objects.volumes.insert(metadata.name, spec);
            }),
            MachineInstance::KIND => self.with(place, text, |read, _, MachineInstance { metadata, status }| {
                let can = status.conditions.iter().any(|c| c.kind == "LiveMigratable" && c.status == "True");
                read.objects.machines.insert((metadata.namespace, metadata.name), can);
            }),
            "" => {
                let remedy = "give what kubectl get -o json prints: a list, or an object with its kind";
                self.faults.add("I111", place(), "it does not say what kind of object it is", remedy);
            }
            other => self.notes.add(Fate::LeftOut, &format!("objects of the kind {other}")),
        }
    }

    /// Reads an object, counts the fields that nobody reads, and hands it on unless it was there before.
    fn with<T: Object>(&mut self, place: impl Fn() -> String, text: &str, keep: impl FnOnce(&mut Self, &str, T)) {
        let (kind, fields) = (T::KIND, &mut self.fields);
        let mut json = serde_json::Deserializer::from_str(text);
        let object: T = match serde_ignored::deserialize(&mut json, |path| fields.count(kind, &path)) {
            Ok(object) => object,
            Err(error) => return self.unreadable(place, kind, &error),
        };
        let Metadata { name, namespace, .. } = object.metadata();
        if name.is_empty() {
            self.faults.add(
                "I111",
                place(),
                format!("the {kind} has no name"),
                "give the object as the API server writes it",
            );
            return;
        }
        let shown = if namespace.is_empty() { name.clone() } else { format!("{namespace}/{name}") };
        if self.seen.insert((kind, namespace.clone(), name.clone())) {
            keep(self, &format!("{kind} {shown}"), object);
        } else {
            self.notes
                .add(Fate::LeftOut, &format!("{kind} objects that were there before (several documents overlap)"));
        }
    }
}
