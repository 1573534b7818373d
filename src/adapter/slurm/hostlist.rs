//! Which nodes and numbers does Slurm's short form stand for? `n[1-3,05],gpu7` and `1-5,8%2`.

/// Most names or numbers of one list: a mistyped range must not fill the memory.
pub const LIST_MAX: usize = 1 << 17;
/// Most brackets of one name; Slurm itself reads five.
const BRACKETS_MAX: usize = 8;

/// The names of a host list, in its order; `None` when it is no such list or too long.
pub fn hosts(text: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for part in split_outside(text, '[', ']')? {
        if part.matches('[').count() > BRACKETS_MAX {
            return None;
        }
        if !part.is_empty() {
            expand(part, String::new(), &mut names)?;
        }
    }
    Some(names)
}

/// The parts between the commas that stand outside of brackets; `None` where brackets do not match.
pub fn split_outside(text: &str, open: char, close: char) -> Option<Vec<&str>> {
    let (mut depth, mut start, mut parts) = (0usize, 0, Vec::new());
    for (i, c) in text.char_indices() {
        match c {
            _ if c == open => depth += 1,
            _ if c == close => depth = depth.checked_sub(1)?,
            ',' if depth == 0 => {
                parts.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    (depth == 0).then_some(parts)
}

/// Appends every name that `rest` stands for behind `head`; each bracket multiplies them.
fn expand(rest: &str, head: String, names: &mut Vec<String>) -> Option<()> {
    let Some((before, after)) = rest.split_once('[') else {
        names.push(head + rest);
        return (names.len() <= LIST_MAX).then_some(());
    };
    let (inside, after) = after.split_once(']')?;
    for range in inside.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (from, to) = (number(first)?, number(last)?);
        if to.checked_sub(from)? as usize > LIST_MAX {
            return None;
        }
        for value in from..=to {
            expand(after, format!("{head}{before}{value:0width$}", width = first.len()), names)?;
        }
    }
    Some(())
}

fn number(text: &str) -> Option<u64> {
    (text.len() <= 12 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// The numbers of `1-5,8` or of an array's `1-9:2%3`, in order; `None` when it is no such list or too long.
pub fn numbers(text: &str) -> Option<Vec<u64>> {
    let text = text.split('%').next().unwrap_or("").trim_matches(['[', ']']);
    let mut list = Vec::new();
    for range in text.split(',') {
        let (range, step) = range.split_once(':').unwrap_or((range, "1"));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (from, to, step) = (number(first)?, number(last)?, number(step)?.max(1));
        if to.checked_sub(from)? / step >= LIST_MAX as u64 {
            return None;
        }
        list.extend((from..=to).step_by(step as usize));
        if list.len() > LIST_MAX {
            return None;
        }
    }
    Some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_lists_are_expanded() {
        let list = |text: &str| hosts(text).map(|names| names.join(" "));
        assert_eq!(list("n1").as_deref(), Some("n1"));
        assert_eq!(list("n[1-3,05],gpu7").as_deref(), Some("n1 n2 n3 n05 gpu7"));
        assert_eq!(list("r[1-2]n[08-10]x").as_deref(), Some("r1n08x r1n09x r1n10x r2n08x r2n09x r2n10x"));
        assert_eq!(list("").as_deref(), Some(""));
        for text in
            ["n[1-", "n[3-1]", "n[a-b]", "n]1[", "n[1-99999999]", "n[1-999][1-999]", "n[]", &"n[1]".repeat(60_000)]
        {
            assert_eq!(list(text), None, "{text}");
        }
    }

    #[test]
    fn arrays_are_expanded() {
        assert_eq!(numbers("1-5%2"), Some(vec![1, 2, 3, 4, 5]));
        assert_eq!(numbers("0,4-8:2"), Some(vec![0, 4, 6, 8]));
        for text in ["", "x", "5-1", "1-9999999", "1-..."] {
            assert_eq!(numbers(text), None, "{text}");
        }
    }
}
