//! What do Slurm's resource strings say? `gpu:a100:2(IDX:0-1),nic:1` and `cpu=4,mem=120G,gres/gpu=2`.

use super::hostlist::{numbers, split_outside};
use crate::adapter::record::Record;
use crate::model::Faults;

/// One generic resource of a node, or wanted by a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gres {
    /// `gpu`, `nic` …
    pub name: String,
    /// Its type; may be empty.
    pub model: String,
    /// How many.
    pub count: i64,
    /// Which of the node's, where told.
    pub index: Option<Vec<u64>>,
    /// Which of a node's GPUs have parts in use, in the order of the GPUs, where told.
    pub parts: Option<Vec<bool>>,
    /// Jobs ask for it and do not use it up.
    pub no_consume: bool,
}

impl Gres {
    /// The resources under which it counts: its name, and its type as well, since no other type will do for who wants it.
    pub fn resources(&self) -> Vec<String> {
        let of_type = (!self.model.is_empty()).then(|| format!("gres/{}:{}", self.name, self.model));
        [format!("gres/{}", self.name)].into_iter().chain(of_type).collect()
    }
}

/// The entries of a `gres`, `gres_used`, `gres_detail` or `tres_per_…` string; those that cannot be read are left out and returned.
pub fn gres(text: &str) -> (Vec<Gres>, Vec<String>) {
    let (mut list, mut unread) = (Vec::new(), Vec::new());
    let Some(parts) = split_outside(text, '(', ')') else { return (list, vec![text.to_string()]) };
    for part in parts.into_iter().map(str::trim).filter(|part| !part.is_empty()) {
        match one(part) {
            Some(gres) => list.push(gres),
            None => unread.push(part.to_string()),
        }
    }
    (list, unread)
}

/// The same of a field, or of one of the texts in its list. What cannot be read is a fault: as nothing, it would be room for others.
pub fn listed(record: &Record<'_>, name: &str, text: &str, faults: &mut Faults) -> Vec<Gres> {
    let (list, unread) = gres(text);
    for entry in unread {
        let cause = format!("{entry:?} is no generic resource with its amount");
        faults.add("I203", format!("{}, {name}", record.place), cause, "give the command's output as it is");
    }
    list
}

fn one(part: &str) -> Option<Gres> {
    // What has no type.
    let part = &part.replace(":(null)", "");
    let (body, details) = part.split_once('(').unwrap_or((part, ""));
    let body = body.strip_prefix("gres:").or_else(|| body.strip_prefix("gres/")).unwrap_or(body);
    // `gres/gpu:a100=2` is the form of newer versions.
    let body = body.replace('=', ":");
    let is_mark = |word: &&str| *word == "no_consume";
    let no_consume = body.split(':').any(|word| is_mark(&word));
    let mut words: Vec<&str> = body.split(':').filter(|word| !is_mark(word)).collect();
    let count = match words.last().and_then(|word| amount(word)) {
        Some(count) if words.len() > 1 => {
            words.pop();
            count
        }
        _ => 1,
    };
    let (name, model) = (words.first()?, words.get(1..).unwrap_or_default().join(":"));
    let index = details.split_once("IDX:").and_then(|(_, list)| numbers(list.trim_end_matches(')')));
    let parts = parts_in_use(part);
    (!name.is_empty()).then(|| Gres { name: name.to_string(), model, count, index, parts, no_consume })
}

/// Which of a node's GPUs have parts in use, in the order of the GPUs: `shard:a100:2(2/4,0/4)` says that the first one has.
fn parts_in_use(text: &str) -> Option<Vec<bool>> {
    let (_, details) = text.rsplit_once('(')?;
    let used = |part: &str| part.split_once('/')?.0.trim().parse::<u64>().ok();
    details.trim_end_matches(')').split(',').map(|part| used(part).map(|used| used > 0)).collect()
}

/// A number with Slurm's binary suffix.
fn amount(text: &str) -> Option<i64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = 1i64
        << (10 * ["", "K", "M", "G", "T", "P"].iter().position(|s| s.eq_ignore_ascii_case(&text[digits.len()..]))?);
    let whole = digits.bytes().all(|byte| byte.is_ascii_digit());
    whole.then(|| digits.parse::<i64>().ok()?.checked_mul(factor))?
}

/// The figure of a name in a `tres_…_str`; memory in MiB.
pub fn tres(text: &str, name: &str) -> Option<i64> {
    let entry = text.split(',').filter_map(|entry| entry.split_once('=')).find(|(key, _)| *key == name)?.1;
    if name != "mem" {
        return amount(entry);
    }
    // Bare digits are MiB as well; a fraction such as 7.50G is rounded up.
    let digits = entry.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let power =
        ["K", "M", "G", "T", "P"].iter().position(|s| s.eq_ignore_ascii_case(&entry[digits.len()..])).unwrap_or(1);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let hundredths = format!("{:0<2}", fraction.get(..2).unwrap_or(fraction));
    let hundredths = whole.parse::<i64>().ok()?.checked_mul(100)?.checked_add(hundredths.parse().ok()?)?;
    let kib = hundredths.checked_mul(1i64 << (10 * power))?;
    Some((kib + 102_399) / 102_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let (list, unread) = gres(text);
        let entry = |g: Gres| format!("{}/{}={} {:?}", g.name, g.model, g.count, g.index);
        list.into_iter()
            .map(entry)
            .chain(unread.into_iter().map(|text| format!("? {text}")))
            .collect::<Vec<_>>()
            .join("; ")
    }

    #[test]
    fn every_form_is_read() {
        assert_eq!(shown("gpu:a100:2(S:0-1),nic:1"), "gpu/a100=2 None; nic/=1 None");
        assert_eq!(shown("gpu:a100:3(IDX:0-1,5)"), "gpu/a100=3 Some([0, 1, 5])");
        assert_eq!(shown("gpu:a100:0(IDX:N/A)"), "gpu/a100=0 None");
        assert_eq!(shown("gres:gpu:a100:1"), "gpu/a100=1 None");
        assert_eq!(shown("gres/gpu=2,gres/gpu:a100=2"), "gpu/=2 None; gpu/a100=2 None");
        assert_eq!(shown("gres:gpu"), "gpu/=1 None");
        assert_eq!(shown("bandwidth:lustre:no_consume:4K"), "bandwidth/lustre=4096 None");
        assert_eq!(shown("gpu:(2"), "? gpu:(2");
        assert_eq!(shown(":::"), "? :::");
    }

    #[test]
    fn parts_of_gpus_say_of_which() {
        assert_eq!(parts_in_use("shard:a100:2(2/4,0/4)"), Some(vec![true, false]));
        assert_eq!(parts_in_use("shard:(null):2(2/4,0/4)"), Some(vec![true, false]));
        for text in ["shard:2", "shard:2(x/4)", "gpu:a100:1(IDX:0)", "shard:2()"] {
            assert_eq!(parts_in_use(text), None, "{text}");
        }
        let (list, _) = gres("gpu:a100:2,bandwidth:lustre:no_consume:4G,shard:(null):2(2/4,0/4)");
        assert_eq!(list.iter().map(|g| g.no_consume).collect::<Vec<_>>(), [false, true, false]);
        assert_eq!((list[2].count, list[2].parts.clone()), (2, Some(vec![true, false])));
    }

    #[test]
    fn figures_of_tres() {
        let text = "cpu=16,mem=120000M,node=1,billing=80,gres/gpu=8";
        assert_eq!((tres(text, "cpu"), tres(text, "mem"), tres(text, "gres/gpu")), (Some(16), Some(120_000), Some(8)));
        assert_eq!(tres("mem=7.50G", "mem"), Some(7680));
        assert_eq!(tres("mem=1K", "mem"), Some(1));
        assert_eq!(tres("mem=999999999999P", "mem"), None);
        assert_eq!(tres("mem=é", "mem"), None);
    }
}
