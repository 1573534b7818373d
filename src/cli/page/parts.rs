//! What recurs on the page? Tables, figures, bars, sections.

use super::html::{Html, element, html, of_class, plain};
use crate::cli::figures::{self, grouped, whole};
use bayplan::model::scaled_text;

/// A column of a table.
#[derive(Debug, Clone)]
pub struct Column {
    title: String,
    class: &'static str,
}

/// A column of words, to the left.
pub fn words(title: impl Into<String>) -> Column {
    Column { title: title.into(), class: "words" }
}

/// A column of sentences, with room for a few words in a line.
pub fn sentences(title: impl Into<String>) -> Column {
    Column { title: title.into(), class: "words sentence" }
}

/// A column of figures, to the right.
pub fn figures(title: impl Into<String>) -> Column {
    Column { title: title.into(), class: "figure" }
}

/// A table; the first cell of each row heads it. Wider than the window, it scrolls by itself, by keyboard too.
pub fn table(caption: &str, columns: &[Column], rows: Vec<Vec<Html>>) -> Html {
    let head = columns.iter().map(|column| element("th", &[("scope", "col"), ("class", column.class)], &column.title));
    let row = |cells: Vec<Html>| {
        let cells = cells.into_iter().zip(columns).enumerate().map(|(c, (cell, column))| match c {
            0 => element("th", &[("scope", "row"), ("class", column.class)], cell),
            _ => of_class("td", column.class, cell),
        });
        plain("tr", Html::all(cells))
    };
    let content = html![
        plain("caption", caption),
        plain("thead", plain("tr", Html::all(head))),
        plain("tbody", Html::all(rows.into_iter().map(row))),
    ];
    let attributes = [("class", "scroll"), ("role", "region"), ("tabindex", "0"), ("aria-label", caption)];
    element("div", &attributes, plain("table", content))
}

/// A section with its heading and a line that says how to read it.
pub fn section(id: &str, title: &str, lead: impl Into<Html>, body: impl Into<Html>) -> Html {
    let heading = format!("{id}-title");
    let content = html![element("h2", &[("id", &heading)], title), of_class("p", "lead", lead), body];
    element("section", &[("id", id), ("aria-labelledby", &heading)], content)
}

/// A list.
pub fn list(class: &str, items: impl IntoIterator<Item = Html>) -> Html {
    of_class("ul", class, Html::all(items.into_iter().map(|item| plain("li", item))))
}

/// A scaled figure for people, with the exact one for programs.
pub fn exact(id: &str, value: i128) -> Html {
    element("data", &[("id", id), ("value", &scaled_text(value))], grouped(value))
}

/// A count for people and programs.
pub fn count(id: &str, value: usize) -> Html {
    element("data", &[("id", id), ("value", &value.to_string())], number(value))
}

/// A count with its thousands set apart.
pub fn number(value: usize) -> String {
    whole(value as i128)
}

/// `1 move`, `2 moves`.
pub fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", number(count), if count == 1 { one } else { many })
}

/// A ratio as text: `25.0 %`, or `-`. The sign stays on the line of its figure.
pub fn percent(part: i128, whole: i128) -> String {
    unbroken(&figures::percent(part, whole))
}

/// A text in which no sign of percent begins a line.
pub fn unbroken(text: &str) -> String {
    text.replace(" %", "\u{a0}%")
}

/// A share as a bar, for the eye only: the number beside it is what counts.
pub fn bar(part: i128, whole: i128) -> Html {
    let per_mille = if whole > 0 { (part.max(0) * 1000 / whole).min(1000) } else { 0 };
    let width = format!("width:{}.{}%", per_mille / 10, per_mille % 10);
    element("span", &[("class", "meter"), ("aria-hidden", "true")], element("span", &[("style", &width)], ""))
}

/// A share as a bar and a number.
pub fn meter(part: i128, whole: i128) -> Html {
    html![bar(part, whole), percent(part, whole)]
}
