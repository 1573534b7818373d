//! How is a person told what an importer or exporter left out?

use super::screen::{say, table};
use bayplan::adapter::notes::{Fate, Notes};

/// Says what the notes hold, on stderr: a table of what matters, and one line of what does not.
pub fn say_notes(notes: &Notes) {
    let lines: Vec<_> = notes.lines().collect();
    let (irrelevant, told): (Vec<_>, Vec<_>) = lines.into_iter().partition(|(fate, ..)| *fate == Fate::Irrelevant);
    let rows: Vec<Vec<String>> = told
        .into_iter()
        .map(|(fate, what, count)| vec![fate.words().to_string(), count.to_string(), what.to_string()])
        .collect();
    if !rows.is_empty() {
        say(&table(&["not as it was", "count", "what"], &rows, false));
    }
    if !irrelevant.is_empty() {
        let items: Vec<String> = irrelevant.into_iter().map(|(_, what, count)| format!("{what} ({count})")).collect();
        say(&format!("{}: {}", Fate::Irrelevant.words(), items.join(", ")));
    }
}
