//! What could not be taken over as it is? Importers and exporters count it here, so that nothing is dropped silently.

use crate::model::{Faults, Snapshot};
use std::collections::BTreeMap;
use std::io::Read;

/// What became of something that the other side has no word for. The order is the order of the summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// The task may not move; the words say why.
    Pinned,
    /// Said more strictly than it is: what is allowed there may be forbidden here, never the other way round.
    Stricter,
    /// Left out, and it may matter.
    LeftOut,
    /// Left out, and it has no bearing on where anything runs.
    Irrelevant,
}

impl Fate {
    /// The words for it in a summary.
    pub fn words(self) -> &'static str {
        match self {
            Fate::Pinned => "pinned",
            Fate::Stricter => "kept stricter",
            Fate::LeftOut => "left out",
            Fate::Irrelevant => "no bearing on placement",
        }
    }
}

/// Counts by fate and words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    counts: BTreeMap<(Fate, String), u64>,
}

impl Notes {
    /// Counts one more.
    pub fn add(&mut self, fate: Fate, what: &str) {
        self.add_many(fate, what, 1);
    }

    /// Counts some more.
    pub fn add_many(&mut self, fate: Fate, what: &str, count: u64) {
        if count > 0 {
            *self.counts.entry((fate, what.to_string())).or_default() += count;
        }
    }

    /// Fate, words and count, in the order of the summary.
    pub fn lines(&self) -> impl Iterator<Item = (Fate, &str, u64)> {
        self.counts.iter().map(|((fate, what), count)| (*fate, what.as_str(), *count))
    }
}

/// A foreign document, and the name by which faults call it.
#[derive(Debug, Clone)]
pub struct Document {
    /// File name, or `stdin`.
    pub name: String,
    /// All of it.
    pub bytes: Vec<u8>,
}

/// A foreign document that is read piece by piece, since it may be larger than the memory.
pub struct Stream<'a> {
    /// File name, or `stdin`.
    pub name: String,
    /// Where it comes from.
    pub reader: Box<dyn Read + Send + 'a>,
}

impl<'a> From<&'a Document> for Stream<'a> {
    fn from(document: &'a Document) -> Stream<'a> {
        Stream { name: document.name.clone(), reader: Box::new(document.bytes.as_slice()) }
    }
}

/// Why a stream is not imported.
#[derive(Debug)]
pub enum Refused {
    /// It cannot be read to its end.
    Unreadable {
        /// Which stream.
        name: String,
        /// What the system says.
        cause: std::io::Error,
    },
    /// It says something wrong.
    Faulty(Faults),
}

impl From<Faults> for Refused {
    fn from(faults: Faults) -> Refused {
        Refused::Faulty(faults)
    }
}

/// What an importer makes of documents.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The cluster, not yet checked.
    pub snapshot: Snapshot,
    /// What it does not say.
    pub notes: Notes,
}

/// What an exporter makes of a plan.
#[derive(Debug, Clone)]
pub struct Exported {
    /// The foreign document.
    pub text: String,
    /// What is not in it.
    pub notes: Notes,
}
