//! What do the rows of a CSV file say? Headers looked up without regard to case, cells read with their line in every fault.

use crate::model::Faults;
use std::collections::HashMap;

/// A CSV file in memory.
pub struct Table {
    file: String,
    /// Header names, trimmed and in lower case.
    pub headers: Vec<String>,
    rows: Vec<(u64, Vec<String>)>,
    index: HashMap<String, usize>,
}

/// One row.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    table: &'a Table,
    line: u64,
    cells: &'a [String],
}

impl Table {
    /// Reads a file; the separator is the one of `,` `;` and tab that the header has most of.
    pub fn read(file: &str, bytes: &[u8], faults: &mut Faults) -> Option<Table> {
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let place = || format!("{file} file");
        if std::str::from_utf8(bytes).is_err() {
            faults.add("I101", place(), "it is not UTF-8 text", "save it as CSV in UTF-8");
            return None;
        }
        let header = bytes.split(|byte| *byte == b'\n').next().unwrap_or(&[]);
        let count = |separator: &u8| header.iter().filter(|byte| *byte == separator).count();
        let separator = [b',', b';', b'\t'].into_iter().rev().max_by_key(count).unwrap_or(b',');
        let mut reader =
            csv::ReaderBuilder::new().delimiter(separator).flexible(true).trim(csv::Trim::All).from_reader(bytes);
        let headers: Vec<String> = match reader.headers() {
            Ok(headers) if headers.iter().any(|name| !name.is_empty()) => {
                headers.iter().map(str::to_lowercase).collect()
            }
            _ => {
                faults.add("I101", place(), "it is empty", "give a CSV file whose first line names the columns");
                return None;
            }
        };
        let mut table = Table { file: file.to_string(), headers, rows: Vec::new(), index: HashMap::new() };
        for (i, name) in table.headers.iter().enumerate() {
            if let Some(first) = table.index.insert(name.clone(), i) {
                let cause = format!("columns {} and {} are both called {name:?}", first + 1, i + 1);
                faults.add("I106", place(), cause, "rename one of them");
            }
        }
        for record in reader.records() {
            match record {
                Ok(record) => {
                    let line = record.position().map_or(0, csv::Position::line);
                    if record.len() != table.headers.len() {
                        let cause = format!("{} cells, the header has {}", record.len(), table.headers.len());
                        faults.add("I107", format!("{file} file, line {line}"), cause, "give every column a cell");
                        continue;
                    }
                    table.rows.push((line, record.iter().map(str::to_string).collect()));
                }
                Err(error) => faults.add("I101", place(), error.to_string(), "save it as CSV again"),
            }
        }
        Some(table)
    }

    /// Column of a header.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// Column of a header that must be there.
    pub fn required(&self, name: &str, faults: &mut Faults) -> Option<usize> {
        let found = self.column(name);
        if found.is_none() {
            let cause = format!("there is no column {name:?}; there are {}", self.headers.join(", "));
            faults.add("I108", format!("{} file", self.file), cause, "is this the right file?");
        }
        found
    }

    /// The rows in file order.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|(line, cells)| Row { table: self, line: *line, cells })
    }
}

impl<'a> Row<'a> {
    /// File and line, for faults.
    pub fn place(&self) -> String {
        format!("{} file, line {}", self.table.file, self.line)
    }

    /// Text of a cell; empty when the column is absent.
    pub fn text(&self, column: Option<usize>) -> &'a str {
        column.map_or("", |column| self.cells[column].as_str())
    }

    /// A whole number; an empty cell is 0.
    pub fn amount(&self, column: Option<usize>, faults: &mut Faults) -> i64 {
        let text = self.text(column);
        if text.is_empty() {
            return 0;
        }
        let digits = text.len() <= 15 && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(value) if digits => value,
            _ => {
                let name = column.map_or("", |column| self.table.headers[column].as_str());
                let shown: String = text.chars().take(24).collect();
                let remedy = "write a whole number of up to 15 digits, in a smaller unit if it is a fraction";
                faults.add(
                    "I201",
                    format!("{}, column {name}", self.place()),
                    format!("{shown:?} is no whole number"),
                    remedy,
                );
                0
            }
        }
    }

    /// Yes or no; an empty cell is no.
    pub fn flag(&self, column: Option<usize>, faults: &mut Faults) -> bool {
        match self.text(column).to_lowercase().as_str() {
            "" | "0" | "no" | "false" => false,
            "1" | "yes" | "true" => true,
            other => {
                let name = column.map_or("", |column| self.table.headers[column].as_str());
                let cause = format!("{other:?} is neither yes nor no");
                faults.add("I203", format!("{}, column {name}", self.place()), cause, "write yes or no");
                false
            }
        }
    }
}
