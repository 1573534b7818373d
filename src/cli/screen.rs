//! How does Bayplan talk to a person? Lines, tables, colour and progress, on stderr; one place decides what is shown.

use super::log::{self, Level};
use bayplan::control::Progress;
use bayplan::model::scaled_text;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};

/// Narrowest table that is still readable.
const TABLE_WIDTH_MIN: u16 = 40;
/// Most characters of a cell: longer than any name that systems give, and short enough for a log.
const CELL_MAX: usize = 512;

/// Writes lines to stderr. Names come from files: control characters (which could steer a terminal) are replaced. A
/// closed stderr leaves nobody to tell.
pub fn say(text: &str) {
    if log::record(Level::Info, "note", text, Value::Null) {
        return;
    }
    print(text);
}

/// Says why a command fails.
pub fn complain(code: u8, text: &str) {
    if !log::record(Level::Error, "failed", text, json!({"code": code})) {
        print(text);
    }
}

/// Says what a run has done: to a person, and with figures to its log.
pub fn tell(event: &str, text: &str, figures: Value) {
    if !log::record(Level::Info, event, text, figures) {
        print(text);
    }
}

/// Says what is worth a look.
pub fn warn(event: &str, text: &str, figures: Value) {
    if !log::record(Level::Warn, event, text, figures) {
        print(text);
    }
}

fn print(text: &str) {
    let mut err = std::io::stderr().lock();
    let _ = writeln!(err, "{}", printable(text)).and_then(|()| err.flush());
}

/// Text in which what steers a terminal, is not seen or turns the text is replaced, line ends excepted.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if is_hidden(c) && c != '\n' { '?' } else { c }).collect()
}

/// A name from a file, or a sentence with names, in one line: what follows a line end in a name would else pass for our own words.
pub fn line(text: &str) -> String {
    text.chars().map(|c| if is_hidden(c) { '?' } else { c }).collect()
}

/// The same in a cell of a table, whose cells a bar would part; and no name makes a table wider than anyone can read.
fn cell(text: &str) -> String {
    let shown = line(text).replace('|', "\\|");
    match shown.char_indices().nth(CELL_MAX) {
        Some((end, _)) => format!("{}…", &shown[..end]),
        None => shown,
    }
}

/// Controls, marks of direction, what has no width (but joiners, which scripts and emoji need), separators of lines.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        )
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// What a verdict says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// All is well.
    Good,
    /// Something is wrong.
    Bad,
}

/// Says a verdict, in colour where a person is likely to see it and has not asked for none.
pub fn say_verdict(text: &str, tone: Tone) {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if !colour {
        return say(text);
    }
    let code = match tone {
        Tone::Good => 32,
        Tone::Bad => 31,
    };
    let mut err = std::io::stderr().lock();
    let _ = writeln!(err, "\x1b[{code}m{}\x1b[0m", printable(text)).and_then(|()| err.flush());
}

/// A table of text; all columns but the first are figures. As wide as the terminal allows, or as wide as it needs
/// where there is none, so that a log is the same everywhere.
pub fn table(header: &[&str], rows: &[Vec<String>], figures: bool) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(header.iter().map(|text| cell(text)));
    for row in rows {
        table.add_row(row.iter().map(|text| cell(text)));
    }
    if figures {
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    match terminal_width() {
        Some(width) => {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width.max(TABLE_WIDTH_MIN));
        }
        None => {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
    }
    table.trim_fmt()
}

fn terminal_width() -> Option<u16> {
    terminal_size::terminal_size_of(std::io::stderr()).map(|(width, _)| width.0)
}

/// A line that shows how far a search is; nothing where stderr is no terminal.
pub struct ProgressLine {
    bar: Option<ProgressBar>,
}

impl ProgressLine {
    /// A line, unless `quiet` or nobody can see it.
    pub fn new(quiet: bool) -> ProgressLine {
        if quiet || !std::io::stderr().is_terminal() {
            return ProgressLine { bar: None };
        }
        let bar = ProgressBar::new(1000);
        let style = ProgressStyle::with_template("{prefix:<10} [{bar:30}] {elapsed} {msg}")
            .expect("the template is a constant that the tests of this file read")
            .progress_chars("#>.");
        bar.set_style(style);
        ProgressLine { bar: Some(bar) }
    }

    /// What a solver calls now and then.
    pub fn listener(&self) -> impl Fn(Progress) + Send + Sync + 'static {
        let bar = self.bar.clone();
        move |progress| {
            if let Some(bar) = &bar {
                bar.set_prefix(progress.phase);
                bar.set_position(u64::from(progress.done));
                bar.set_message(progress_text(&progress));
            }
        }
    }

    /// Takes the line away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn progress_text(progress: &Progress) -> String {
    let objective = format!("objective {}", scaled_text(progress.objective));
    match progress.bound {
        Some(bound) => {
            let gap = super::report::gap_text(progress.objective, bound);
            format!("{objective}, bound {}, gap {gap}", scaled_text(bound))
        }
        None => objective,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_steer_the_terminal() {
        assert_eq!(printable("a\x1b[31mb\r\n\u{9b}c"), "a?[31mb?\n?c");
        assert_eq!(line("a\nverified: \u{202e}c\u{2028}d"), "a?verified: ?c?d");
        assert!(!table(&["no\nde"], &[vec!["x\nverified".to_string()]], false).contains("\nverified"));
        assert_eq!(line("a\u{200b}b\u{ad}c\u{180e}"), "a?b?c?");
    }

    #[test]
    fn names_stay_in_their_cell() {
        let long = "x".repeat(10_000);
        let rows = vec![vec!["a | b|".to_string(), "\u{202e}1".to_string()], vec![long, "2".to_string()]];
        let text = table(&["no|de", "n"], &rows, true);
        let bars = |line: &str| line.replace("\\|", "").matches('|').count();
        assert!(text.lines().all(|line| bars(line) == 3 && line.chars().count() < 600), "{text}");
        assert!(text.contains("a \\| b\\|") && text.contains("?1") && text.contains("xx…"), "{text}");
    }

    #[test]
    fn the_progress_template_is_valid() {
        assert!(ProgressStyle::with_template("{prefix:<10} [{bar:30}] {elapsed} {msg}").is_ok());
    }

    #[test]
    fn a_table_lines_up() {
        let rows = vec![vec!["cpu".to_string(), "6".to_string()], vec!["memory".to_string(), "1234".to_string()]];
        let text = table(&["resource", "used"], &rows, true);
        assert!(text.lines().all(|line| line.starts_with('|')), "{text}");
        assert!(text.contains("| cpu      |    6 |"), "{text}");
    }
}
