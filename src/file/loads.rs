//! How does a series of loads look? One JSON record per line: the format first, then what a pool needs at a time.

use super::json::{Path, Reader, Value, parse};
use crate::model::Faults;
use std::collections::BTreeMap;

/// Value of the `format` field of the first record of every series this version reads.
const LOADS_FORMAT: &str = "bayplan-loads/1";

/// What a pool needs from a time on.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// Line of the file, for faults.
    pub line: usize,
    /// Seconds from any beginning.
    pub time: i64,
    /// The pool; `None` = the nodes that name none.
    pub pool: Option<String>,
    /// Amounts by resource name.
    pub load: BTreeMap<String, i64>,
}

/// Reads a series. Empty lines are passed over.
///
/// # Errors
/// Every fault of syntax and form (F1xx), each with its line, and a negative load (P202). Names and times are the caller's to check.
pub fn read_loads(bytes: &[u8]) -> Result<Vec<Load>, Faults> {
    let mut faults = Faults::new();
    let mut loads = Vec::new();
    let lines = bytes.split(|byte| *byte == b'\n').enumerate().map(|(i, line)| (i + 1, line));
    let mut lines = lines.filter(|(_, line)| !line.iter().all(u8::is_ascii_whitespace));
    let first = lines.next().unwrap_or((1, &[]));
    let found = faulty_in(first.0, &mut faults, first.1, |reader, value| {
        let mut fields = reader.fields(Path::Root, value)?;
        let is_ours = fields.format(LOADS_FORMAT);
        fields.finish();
        is_ours.then_some(())
    });
    if found.is_none() {
        // Nothing that follows means anything.
        return Err(faults);
    }
    for (line, text) in lines {
        loads.extend(faulty_in(line, &mut faults, text, |reader, value| load(reader, line, value)));
    }
    if faults.is_empty() { Ok(loads) } else { Err(faults) }
}

/// Reads a line; its faults are told with its number.
fn faulty_in<T>(
    line: usize,
    faults: &mut Faults,
    text: &[u8],
    read: impl FnOnce(&Reader, Value) -> Option<T>,
) -> Option<T> {
    let reader = Reader::default();
    let (read, found) = match parse(text) {
        Err(found) => (None, found),
        Ok(value) => {
            let read = read(&reader, value);
            (read, reader.faults.into_inner())
        }
    };
    let is_right = found.is_empty();
    for fault in found.list() {
        let place = match fault.place.as_str() {
            "the document" => format!("line {line}"),
            place => format!("line {line}, {}", place.trim_start_matches("line 1 ")),
        };
        faults.add(fault.code, place, &fault.cause, &fault.remedy);
    }
    read.filter(|_| is_right)
}

fn load(reader: &Reader, line: usize, value: Value) -> Option<Load> {
    let mut fields = reader.fields(Path::Root, value)?;
    let amount = |reader: &Reader, path: Path<'_>, value: Value| {
        let amount = reader.int(path, value)?;
        if !(0..=crate::model::AMOUNT_MAX).contains(&amount) {
            reader.fault("P202", path, format!("{amount} is out of range"), "use a whole number from 0 to 2^40");
            return None;
        }
        Some(amount)
    };
    let load = Load {
        line,
        time: fields.required("time", Reader::int).unwrap_or_default(),
        pool: fields.optional("pool", Reader::text),
        load: fields.required("load", |r, p, v| Some(r.map(p, v, |p, v| amount(r, p, v)))).unwrap_or_default(),
    };
    if load.time.unsigned_abs() > 1 << 40 {
        reader.fault(
            "P202",
            Path::Field(&Path::Root, "time"),
            "it is out of range",
            "use seconds, at most 2^40 either way",
        );
    }
    fields.finish();
    Some(load)
}
