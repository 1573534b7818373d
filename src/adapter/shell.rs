//! How does foreign text get into a shell script without meaning anything there? And how does every script begin?

use crate::model::{Faults, TaskSpec};

/// The text as one word of a shell.
pub fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:,=@%+".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_string();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The text as the rest of a comment: on one line.
pub fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Letters, digits, `-`, `_` and single `.`: all that the names and ids of these systems are made of. Nothing of it means anything
/// to a shell, to JSON, in a path or in a list, and nothing that begins so is an option.
pub fn is_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=253).contains(&text.len())
        && text.bytes().all(is_plain)
        && !text.starts_with(['.', '-'])
        && !text.contains("..")
}

/// Refuses a name that no system would take.
pub fn check_name(place: impl FnOnce() -> String, key: &str, text: &str, faults: &mut Faults) {
    if !is_name(text) {
        let cause = format!("its {key} {text:?} is nothing that the system would accept");
        faults.add("I304", place(), cause, "use the snapshot as it was imported");
    }
}

/// What the system `from` calls a task; a fault where the snapshot does not say, or says something else.
pub fn origin<'a>(task: &'a TaskSpec, key: &str, from: &str, faults: &mut Faults) -> Option<&'a str> {
    let place = || format!("task {}", task.name);
    let Some(text) = task.origin.get(key) else {
        let remedy = format!("use a snapshot of import {from}");
        faults.add("I302", place(), format!("its origin has no {key}"), remedy);
        return None;
    };
    check_name(place, key, text, faults);
    Some(text)
}

/// The beginning of a script that shows its commands, each after `run`, unless it is told to carry them out. `about` is lines of text.
pub fn head(title: &str, about: &str) -> String {
    let about: String = about.lines().map(|line| format!("# {}\n", comment(line))).collect();
    format!(
        "#!/usr/bin/env bash\n# {}\n#\n\
         # bash FILE           shows what it would do\n\
         # bash FILE --apply   does it; the first command that fails ends it\n#\n{about}{BEGIN}",
        comment(title)
    )
}

const BEGIN: &str = r#"set -euo pipefail
case "$#:${1-}" in
  0:) run() { echo "$@"; } ;;
  1:--apply) run() { "$@"; } ;;
  *) echo "usage: bash $0 [--apply]" >&2; exit 64 ;;
esac
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_escapes() {
        assert_eq!(quoted("n1,n2"), "n1,n2");
        assert_eq!(quoted("$(rm x)"), "'$(rm x)'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
        assert_eq!(comment("a\nrm -r x\r"), "a rm -r x ");
        assert!(head("a\nrm", "b\rrm\nc").lines().all(|line| !line.starts_with("rm")));
    }

    #[test]
    fn names_are_names() {
        for name in ["n1", "17_3", "pve-a.example", "00001000-7a3c-4d5e-8f90-1b2c3d4e5f60"] {
            assert!(is_name(name), "{name}");
        }
        for other in
            ["", "-purge", ".", "..", "a..b", "a b", "a/b", "a,b", "a\nb", "é", "$(x)", "a;b", &"x".repeat(254)]
        {
            assert!(!is_name(other), "{other}");
        }
    }
}
