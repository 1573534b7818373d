//! How does text become markup that is whole and harmless? Elements that are closed, and strings that are escaped, by their type.
//!
//! A [`Html`] can only be made of elements, of strings (which are escaped on the way), and of constants of ours. So whatever the
//! page is made of is well-formed XML, and no name from a file is ever markup. What would not be seen, or would turn the text
//! around it, is spelled out. (A template crate would do the same; those that are well kept need a compile-time parser.)

use crate::cli::screen::is_hidden;
use std::fmt::Write;

/// Longest name that is written out.
const NAME_CHARS_MAX: usize = 80;

/// A piece of the page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Html(String);

impl Html {
    /// Markup of our own, as it is.
    pub fn constant(markup: &'static str) -> Html {
        Html(markup.to_string())
    }

    /// Puts something behind it.
    pub fn push(&mut self, piece: impl Into<Html>) {
        self.0.push_str(&piece.into().0);
    }

    /// Pieces one behind the other.
    pub fn all(pieces: impl IntoIterator<Item = Html>) -> Html {
        Html(pieces.into_iter().map(|piece| piece.0).collect())
    }

    /// Pieces with a text between them.
    pub fn listed(pieces: impl IntoIterator<Item = Html>, between: &str) -> Html {
        let pieces: Vec<String> = pieces.into_iter().map(|piece| piece.0).collect();
        Html(pieces.join(&escaped(between)))
    }

    /// The markup.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl From<&str> for Html {
    fn from(text: &str) -> Html {
        Html(escaped(text))
    }
}

impl From<String> for Html {
    fn from(text: String) -> Html {
        Html(escaped(&text))
    }
}

impl From<&String> for Html {
    fn from(text: &String) -> Html {
        Html(escaped(text))
    }
}

impl From<Option<Html>> for Html {
    fn from(piece: Option<Html>) -> Html {
        piece.unwrap_or_default()
    }
}

impl From<Vec<Html>> for Html {
    fn from(pieces: Vec<Html>) -> Html {
        Html::all(pieces)
    }
}

/// Pieces of any kind, one behind the other.
macro_rules! html {
    ($($piece:expr),* $(,)?) => {{
        #[allow(unused_mut, reason = "there may be no piece")]
        let mut html = $crate::cli::page::html::Html::default();
        $(html.push($piece);)*
        html
    }};
}
pub(super) use html;

/// An element, opened and closed.
pub fn element(name: &'static str, attributes: &[(&'static str, &str)], content: impl Into<Html>) -> Html {
    let mut markup = format!("<{name}");
    for (attribute, value) in attributes {
        let _ = write!(markup, " {attribute}=\"{}\"", escaped(value));
    }
    let _ = write!(markup, ">{}</{name}>", content.into().0);
    Html(markup)
}

/// An element without attributes.
pub fn plain(name: &'static str, content: impl Into<Html>) -> Html {
    element(name, &[], content)
}

/// An element of a class.
pub fn of_class(name: &'static str, class: &str, content: impl Into<Html>) -> Html {
    element(name, &[("class", class)], content)
}

/// A name from a file. It may run from right to left; what stands beside it does not turn with it.
pub fn name(text: &str) -> Html {
    match text.char_indices().nth(NAME_CHARS_MAX) {
        Some((end, _)) => plain("bdi", format!("{}…", &text[..end])),
        None => plain("bdi", text),
    }
}

/// Text for content and quoted attributes.
fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '&' => shown.push_str("&amp;"),
            '"' => shown.push_str("&quot;"),
            _ if is_hidden(c) || matches!(c, '\u{fffe}' | '\u{ffff}') => _ = write!(shown, "⟨U+{:04X}⟩", u32::from(c)),
            _ => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hides_or_turns() {
        assert_eq!(escaped("a\u{202e}b\nc\0"), "a⟨U+202E⟩b⟨U+000A⟩c⟨U+0000⟩");
        assert_eq!(escaped("مرحبا, 日本, 👩‍💻"), "مرحبا, 日本, 👩‍💻");
    }

    #[test]
    fn names_are_escaped_and_not_endless() {
        assert_eq!(name("<b a=\"1\">&").into_string(), "<bdi>&lt;b a=&quot;1&quot;&gt;&amp;</bdi>");
        assert_eq!(name(&"é".repeat(81)).into_string(), format!("<bdi>{}…</bdi>", "é".repeat(80)));
        assert_eq!(element("p", &[("title", "\"<")], "x").into_string(), "<p title=\"&quot;&lt;\">x</p>");
    }
}
