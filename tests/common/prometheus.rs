//! Is a page sound in the text format of Prometheus, as strict as the textfile collector and a little more?

use std::collections::BTreeSet;

/// What is wrong with a page in the text format of Prometheus; empty when nothing is.
pub fn page_objections(page: &str) -> Vec<String> {
    let mut objections = Vec::new();
    let is_name = |name: &str| {
        let starts = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
        starts && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let (mut family, mut families, mut series) = (String::new(), BTreeSet::new(), BTreeSet::new());
    if !page.ends_with('\n') {
        objections.push("the last line does not end".to_string());
    }
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split(' ').next().unwrap_or("").to_string();
            if !is_name(&family) || help.len() < family.len() + 2 || !families.insert(family.clone()) {
                objections.push(format!("{line}: no name, no help, or a family twice"));
            }
            if lines.next() != Some(format!("# TYPE {family} gauge").as_str()) {
                objections.push(format!("{line}: no TYPE follows"));
            }
            continue;
        }
        match sample(line) {
            Some((name, labels, value)) => {
                if name != family || !labels.iter().all(|(name, _)| is_name(name)) {
                    objections.push(format!("{line}: not of family {family}, or a label without a name"));
                }
                let distinct: BTreeSet<&String> = labels.iter().map(|(name, _)| name).collect();
                if distinct.len() != labels.len() || value.parse::<f64>().is_err() {
                    objections.push(format!("{line}: a label twice, or no number"));
                }
                if !series.insert((name, labels)) {
                    objections.push(format!("{line}: a series twice"));
                }
            }
            None => objections.push(format!("{line}: no sample")),
        }
    }
    objections
}

type Labels = Vec<(String, String)>;

/// Name, labels, value; `None` where the line is no sample, or has a time stamp.
fn sample(line: &str) -> Option<(String, Labels, String)> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, more) = rest.split_once("=\"")?;
            let mut value = String::new();
            let mut chars = more.char_indices();
            let close = loop {
                match chars.next()? {
                    (at, '"') => break at,
                    (_, '\\') => value.push(match chars.next()?.1 {
                        'n' => '\n',
                        c @ ('"' | '\\') => c,
                        _ => return None,
                    }),
                    (_, c) => value.push(c),
                }
            };
            labels.push((label.to_string(), value));
            rest = &more[close + 1..];
            match (rest.strip_prefix(','), rest.strip_prefix('}')) {
                (Some(more), _) => rest = more,
                (_, Some(more)) => {
                    rest = more;
                    break;
                }
                _ => return None,
            }
        }
    }
    let value = rest.strip_prefix(' ')?;
    (!value.contains(' ')).then(|| (name.to_string(), labels, value.to_string()))
}
