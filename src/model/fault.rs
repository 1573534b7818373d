//! What is wrong with the input? Every fault has a code, a place, a cause and a remedy, and all are reported at once.

use std::fmt;

/// Most faults shown; the rest is counted.
pub const FAULT_SHOWN_MAX: usize = 50;

/// One fault of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Stable code, e.g. `P104`; `docs` by code are in ARCHITECTURE.md.
    pub code: &'static str,
    /// Where: file, path inside it, name.
    pub place: String,
    /// What is wrong.
    pub cause: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A place has names from the file in it: a line end there would let what follows pass for another line.
        let place = self.place.replace('\n', "?");
        write!(f, "{} {place}: {}; {}", self.code, self.cause, self.remedy)
    }
}

/// All faults of an input; never empty when returned as an error.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Faults {
    list: Vec<Fault>,
    dropped: usize,
}

impl Faults {
    /// No fault yet.
    pub fn new() -> Faults {
        Faults::default()
    }

    /// Adds a fault; beyond [`FAULT_SHOWN_MAX`] it is only counted.
    pub fn add(
        &mut self,
        code: &'static str,
        place: impl Into<String>,
        cause: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        if self.is_full() {
            self.dropped += 1;
        } else {
            self.list.push(Fault { code, place: place.into(), cause: cause.into(), remedy: remedy.into() });
        }
    }

    /// True when nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// True when further faults are only counted: no need to look for their remedies.
    pub fn is_full(&self) -> bool {
        self.list.len() >= FAULT_SHOWN_MAX
    }

    /// The faults kept.
    pub fn list(&self) -> &[Fault] {
        &self.list
    }

    /// How many there were in all.
    pub fn count(&self) -> usize {
        self.list.len() + self.dropped
    }

    /// Adds all faults of another input.
    pub fn append(&mut self, other: Faults) {
        for fault in other.list {
            self.add(fault.code, fault.place, fault.cause, fault.remedy);
        }
        self.dropped += other.dropped;
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} fault{} in the input", self.count(), if self.count() == 1 { "" } else { "s" })?;
        for fault in &self.list {
            write!(f, "\n  {fault}")?;
        }
        if self.dropped > 0 {
            write!(f, "\n  … and {} more", self.dropped)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
