//! Which objects are in the documents? Lists of mixed kinds, lists of one kind, single objects, any number in a file.
//!
//! A document is cut into its objects while it is read (`stream.rs`), then each is read on its own: a fault names the object, and
//! the rest is read all the same. Batches of objects are read on all cores and put together in the order of the documents, so that
//! what comes of them does not depend on who was first. Pods are made small at once (`pod.rs`), since there are many.

use super::fields::Fields;
use super::machine::Machine;
use super::pod::{Pod, Tables};
use super::records::{self, *};
use super::stream::{Batch, Cutter, Part};
use super::volume::{self, Volume};
use crate::adapter::notes::{Fate, Notes, Refused, Stream};
use crate::model::Faults;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::{Mutex, mpsc};

/// Most threads that read: beyond that, one thread that puts together cannot keep up.
const READERS_MAX: usize = 6;

/// Everything that is read of a cluster.
#[derive(Default)]
pub struct Objects {
    pub nodes: Vec<Node>,
    pub pods: Vec<Pod>,
    pub budgets: Vec<Budget>,
    pub classes: Vec<PriorityClass>,
    /// Labels by namespace.
    pub namespaces: HashMap<String, Texts>,
    /// By namespace and name.
    pub claims: HashMap<(String, String), ClaimSpec>,
    /// By name.
    pub volumes: HashMap<String, Volume>,
    /// By namespace and name.
    pub machines: HashMap<(String, String), Machine>,
    /// Gangs of one pod or none, which bind nobody; by namespace and name.
    pub loose: HashSet<(String, String)>,
    /// What pods share.
    pub tables: Tables,
}

/// What is left of a document when its items are taken out.
#[derive(Deserialize)]
struct Frame {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    metadata: Option<ListMetadata>,
    #[serde(default, rename = "items")]
    _items: Option<Vec<Gap>>,
}

/// What a list says of itself.
#[derive(Deserialize)]
struct ListMetadata {
    /// There is more: the list is one page of it.
    #[serde(default, rename = "continue")]
    more: Option<String>,
}

/// What the API server answers when it does not do what it is asked.
#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    status: String,
    #[serde(default)]
    message: String,
}

/// Where an item was. Anything else there is no object.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Gap {}

/// The kind in a text that begins a document, as far as it is there.
pub fn kind_in(text: &str) -> Option<String> {
    kind_of(text).ok().filter(|kind| !kind.is_empty())
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
                    *self.0 = Some(fields.next_value::<Option<String>>()?.unwrap_or_default());
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

/// What a text is, once it is read.
enum Found {
    Node(Node),
    Pod(Box<records::Pod>),
    Budget(Budget),
    Class(PriorityClass),
    Namespace(Namespace),
    Claim(Claim),
    Volume(PersistentVolume),
    Machine(MachineInstance),
    Gang(PodGroup),
    /// An object of another kind.
    Other(String),
    /// An item that does not say its kind, in a list whose kind is not known yet.
    Unnamed(String),
    /// The end of a document that was a list, with its kind.
    End(String),
    Fault(Fault),
}

/// Why a text is none of these: code, cause, remedy.
type Fault = (&'static str, String, &'static str);

const GIVE: &str = "give what kubectl get -o json prints";
const AS_WRITTEN: &str = "give the object as the API server writes it";

fn unreadable(what: &str, error: &serde_json::Error) -> Found {
    let remedy = "give the object as the API server writes it (line and column are counted from its start)";
    Found::Fault(("I110", format!("the {what} cannot be read: {error}"), remedy))
}

/// Reads an object, counts the fields that nobody reads.
fn object(kind: &str, text: &str, fields: &mut Fields) -> Found {
    fn typed<T: Object>(text: &str, fields: &mut Fields, make: impl FnOnce(T) -> Found) -> Found {
        let mut json = serde_json::Deserializer::from_str(text);
        match serde_ignored::deserialize(&mut json, |path| fields.count(T::KIND, &path)) {
            Ok(object) => {
                let object: T = object;
                match object.metadata().name.is_empty() {
                    true => Found::Fault(("I111", format!("the {} has no name", T::KIND), AS_WRITTEN)),
                    false => make(object),
                }
            }
            Err(error) => unreadable(T::KIND, &error),
        }
    }
    match kind {
        Node::KIND => typed(text, fields, Found::Node),
        records::Pod::KIND => typed(text, fields, |pod| Found::Pod(Box::new(pod))),
        Budget::KIND => typed(text, fields, Found::Budget),
        PriorityClass::KIND => typed(text, fields, Found::Class),
        Namespace::KIND => typed(text, fields, Found::Namespace),
        Claim::KIND => typed(text, fields, Found::Claim),
        PersistentVolume::KIND => typed(text, fields, Found::Volume),
        MachineInstance::KIND => typed(text, fields, Found::Machine),
        PodGroup::KIND => typed(text, fields, Found::Gang),
        "" => {
            let remedy = "give what kubectl get -o json prints: a list, or an object with its kind";
            Found::Fault(("I111", "it does not say what kind of object it is".into(), remedy))
        }
        "Status" => match serde_json::from_str::<Status>(text) {
            Ok(Status { status, message }) if status == "Failure" => {
                let cause = format!("the API server refused to answer: {message}");
                Found::Fault(("I114", cause, "ask again, with the rights that deploy/ names"))
            }
            Ok(_) => Found::Other(kind.to_string()),
            Err(error) => unreadable("object", &error),
        },
        // What is no JSON might be several objects, to whoever counts brackets only.
        other => match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => Found::Other(other.to_string()),
            Err(error) => unreadable("object", &error),
        },
    }
}

/// The API server leaves the kind out of the items of a list of one kind, which its own kind tells: `PodList`.
fn usual(list: &str) -> &str {
    list.strip_suffix("List").unwrap_or("")
}

fn found(part: &Part, bytes: &[u8], fields: &mut Fields) -> Found {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Found::Fault(("I101", "it is not UTF-8 text".into(), GIVE));
    };
    match part {
        Part::Item(_, list) => match (kind_of(text), list) {
            (Err(error), _) => unreadable("object", &error),
            (Ok(kind), Some(list)) if kind.is_empty() => object(usual(list), text, fields),
            (Ok(kind), None) if kind.is_empty() => Found::Unnamed(text.to_string()),
            (Ok(kind), _) => object(&kind, text, fields),
        },
        Part::Frame { is_whole: false, .. } => {
            Found::Fault(("I110", "it ends in the middle of a document".into(), "was kubectl interrupted?"))
        }
        Part::Frame { has_items, .. } => match serde_json::from_str::<Frame>(text) {
            // Where in it does not help: its items are not there any more.
            Err(error) => Found::Fault(("I110", without_place(&error), GIVE)),
            Ok(frame) if *has_items => match frame.metadata.and_then(|metadata| metadata.more) {
                Some(more) if !more.is_empty() => {
                    let cause = "the list is one page of several: what is on the others would count as absent";
                    Found::Fault(("I113", cause.into(), "ask for all of it (kubectl get --chunk-size=0)"))
                }
                _ => Found::End(frame.kind),
            },
            Ok(frame) => object(&frame.kind, text, fields),
        },
    }
}

fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_string()
}

/// What a batch holds, each with its place in a list.
struct Read {
    found: Vec<(Option<usize>, Found)>,
    fields: Fields,
}

fn read(batch: &Batch) -> Read {
    let mut fields = Fields::default();
    let read = |(part, text): (&Part, &[u8])| match part {
        Part::Item(index, _) => (Some(*index), found(part, text, &mut fields)),
        Part::Frame { .. } => (None, found(part, text, &mut fields)),
    };
    Read { found: batch.parts().map(read).collect(), fields }
}

/// Puts together what is read.
pub struct Reader<'a> {
    objects: Objects,
    faults: &'a mut Faults,
    notes: &'a mut Notes,
    fields: Fields,
    /// Objects seen, by kind, namespace and name: several documents may overlap.
    seen: HashSet<(&'static str, String, String)>,
    /// Items without a kind, of the document at hand.
    unnamed: Vec<(usize, String)>,
}

impl<'a> Reader<'a> {
    pub fn new(faults: &'a mut Faults, notes: &'a mut Notes) -> Reader<'a> {
        let (objects, fields) = (Objects::default(), Fields::default());
        Reader { objects, faults, notes, fields, seen: HashSet::new(), unnamed: Vec::new() }
    }

    /// The objects, when all documents were read.
    pub fn finish(self) -> Objects {
        self.fields.tell(self.notes);
        self.objects
    }

    /// Reads one file or stream, of one document or several.
    ///
    /// # Errors
    /// A stream that cannot be read.
    pub fn stream(&mut self, stream: Stream<'_>) -> Result<(), Refused> {
        let Stream { name, reader } = stream;
        let cutter = Mutex::new((0, Cutter::new(reader)));
        let readers = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(READERS_MAX));
        let (mut count, mut broken) = (0, None);
        std::thread::scope(|scope| {
            let (sender, receiver) = mpsc::sync_channel(readers);
            for _ in 0..readers {
                let sender = sender.clone();
                scope.spawn(|| {
                    let sender = sender;
                    loop {
                        let (number, batch) = {
                            let mut cutter = cutter.lock().expect("a reader that panics ends the program");
                            cutter.0 += 1;
                            (cutter.0, cutter.1.next())
                        };
                        let read = match batch {
                            Ok(Some(batch)) => Ok(read(&batch)),
                            Ok(None) => return,
                            Err(error) => Err(error),
                        };
                        if sender.send((number, read)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            // Those that came before their turn.
            let (mut early, mut turn) = (BTreeMap::new(), 1);
            for (number, read) in receiver {
                early.insert(number, read);
                while let Some(read) = early.remove(&turn) {
                    turn += 1;
                    match read {
                        Ok(read) => count += self.add(&name, read),
                        Err(error) => broken = Some(error),
                    }
                }
                if broken.is_some() {
                    return;
                }
            }
        });
        if let Some(cause) = broken {
            return Err(Refused::Unreadable { name, cause });
        }
        if count == 0 {
            self.faults.add("I101", &name, "it is empty", GIVE);
        }
        Ok(())
    }

    /// Adds what a batch holds; how many parts that was.
    fn add(&mut self, name: &str, read: Read) -> usize {
        self.fields.add(read.fields);
        let count = read.found.len();
        for (index, found) in read.found {
            match found {
                Found::Unnamed(text) => self.unnamed.extend(index.map(|index| (index, text))),
                Found::End(kind) => {
                    for (index, text) in std::mem::take(&mut self.unnamed) {
                        let found = object(usual(&kind), &text, &mut self.fields);
                        self.keep(name, Some(index), found);
                    }
                }
                other => {
                    // Any other frame ends a document as well, and its items are of no use.
                    if index.is_none() {
                        self.unnamed.clear();
                    }
                    self.keep(name, index, other);
                }
            }
        }
        count
    }

    fn keep(&mut self, name: &str, index: Option<usize>, found: Found) {
        match found {
            Found::Node(node) => self.once(node, |read, node| read.objects.nodes.push(node)),
            Found::Pod(pod) => self.once(*pod, |read, pod| {
                let pod = Pod::new(&mut read.objects.tables, pod, read.faults, read.notes);
                read.objects.pods.extend(pod);
            }),
            Found::Budget(budget) => self.once(budget, |read, budget| read.objects.budgets.push(budget)),
            Found::Class(class) => self.once(class, |read, class| read.objects.classes.push(class)),
            Found::Namespace(namespace) => self.once(namespace, |read, Namespace { metadata }| {
                read.objects.namespaces.insert(metadata.name, metadata.labels);
            }),
            Found::Claim(claim) => self.once(claim, |read, Claim { metadata, spec }| {
                read.objects.claims.insert((metadata.namespace, metadata.name), spec);
            }),
            Found::Volume(volume) => self.once(volume, |read, PersistentVolume { metadata, spec }| {
                let zones = volume::zones(&metadata.labels);
                read.objects.volumes.insert(metadata.name, Volume { spec, zones });
            }),
            Found::Machine(machine) => self.once(machine, |read, machine| {
                let key = (machine.metadata.namespace.clone(), machine.metadata.name.clone());
                read.objects.machines.insert(key, Machine::new(&machine));
            }),
            Found::Gang(group) => self.once(group, |read, PodGroup { metadata, spec }| {
                if spec.min_member <= 1 {
                    read.objects.loose.insert((metadata.namespace, metadata.name));
                }
            }),
            Found::Other(kind) => self.notes.add(Fate::LeftOut, &format!("objects of the kind {kind}")),
            Found::Fault((code, cause, remedy)) => {
                let place = index.map_or_else(|| name.to_string(), |index| format!("{name}, items[{index}]"));
                self.faults.add(code, place, cause, remedy);
            }
            // These are for `add`.
            Found::Unnamed(_) | Found::End(_) => {}
        }
    }

    /// Hands an object on unless it was there before.
    fn once<T: Object>(&mut self, object: T, keep: impl FnOnce(&mut Self, T)) {
        let Metadata { name, namespace, .. } = object.metadata();
        if self.seen.insert((T::KIND, namespace.clone(), name.clone())) {
            return keep(self, object);
        }
        let what = format!("{} objects that were there before (several documents overlap)", T::KIND);
        self.notes.add(Fate::LeftOut, &what);
    }
}
