//! On which nodes may a job run? Partitions, features and named nodes become labels that selectors ask for.
//!
//! A selector asks for every label it names. What is not a plain "and" of words (one of several partitions, `a|b`, all nodes but
//! these) becomes a label of its own, which exactly the nodes that will do have.

use super::hostlist::hosts;
use super::node::Node;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What a task's selector is made of.
pub type Selector = BTreeMap<String, Vec<String>>;

const YES: &str = "yes";

/// The labels of all nodes, as jobs ask for them.
pub struct Places<'a> {
    nodes: &'a [Node],
    index: HashMap<&'a str, usize>,
    /// Labels made for jobs: which nodes have them.
    made: BTreeMap<String, Vec<usize>>,
    /// Levels made for jobs: which nodes have which domain.
    levels: BTreeMap<String, Vec<(usize, String)>>,
}

/// Labels made for jobs with their nodes, and levels with the domains of nodes.
pub type Made = (BTreeMap<String, Vec<usize>>, BTreeMap<String, Vec<(usize, String)>>);

impl<'a> Places<'a> {
    /// No label made yet.
    pub fn new(nodes: &'a [Node]) -> Places<'a> {
        let index = nodes.iter().enumerate().map(|(i, node)| (node.spec.name.as_str(), i)).collect();
        Places { nodes, index, made: BTreeMap::new(), levels: BTreeMap::new() }
    }

    /// Position of a node.
    pub fn node(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// The most CPUs that go together on any node of these partitions.
    pub fn cpus_per_core(&self, partitions: &[String]) -> i64 {
        let fits = |node: &&Node| partitions.iter().any(|partition| node.partitions.contains(partition));
        self.nodes.iter().filter(fits).map(|node| node.cpus_per_core).max().unwrap_or(1).max(1)
    }

    /// What was made for jobs.
    pub fn into_made(self) -> Made {
        (self.made, self.levels)
    }

    /// Whether it is known which node is on which switch.
    pub fn has_switches(&self) -> bool {
        self.nodes.iter().any(|node| node.spec.domains.contains_key(super::topology::LEVEL))
    }

    /// A level whose domains are the alternatives of `[a|b]`; `None` where a node has more than one of them, so that it is open
    /// which of them counts.
    fn level(&mut self, alternatives: &str) -> Option<String> {
        let level = format!("feature/[{alternatives}]");
        let words: Vec<&str> = alternatives.split('|').map(str::trim).collect();
        if words.iter().any(|word| word.is_empty() || word.contains(['&', ',', '(', ')', '[', ']', '*', '!'])) {
            return None;
        }
        let mut domains = Vec::new();
        for (n, node) in self.nodes.iter().enumerate() {
            let mut has = words.iter().filter(|word| node.features.contains(**word));
            match (has.next(), has.next()) {
                (_, Some(_)) => return None,
                (Some(one), None) => domains.push((n, one.to_string())),
                (None, None) => {}
            }
        }
        self.levels.insert(level.clone(), domains);
        Some(level)
    }

    fn ask(&mut self, selector: &mut Selector, label: String, fits: impl Fn(&Node) -> bool) {
        let nodes = self.nodes;
        let those = || nodes.iter().enumerate().filter(|(_, node)| fits(node)).map(|(i, _)| i).collect();
        self.made.entry(label.clone()).or_insert_with(those);
        selector.insert(label, vec![YES.into()]);
    }

    /// Asks for so much of a temporary disk, in MiB: Slurm looks at its size, whoever uses it.
    pub fn ask_temporary_disk(&mut self, selector: &mut Selector, least: i64) {
        if least > 0 {
            self.ask(selector, format!("temporary_disk/{least}"), |node| node.temporary_disk >= least);
        }
    }

    /// Asks for any of these partitions.
    pub fn ask_partitions(&mut self, selector: &mut Selector, partitions: &[String]) {
        match partitions {
            [] => {}
            [one] => {
                selector.insert(format!("partition/{one}"), vec![YES.into()]);
            }
            several => self.ask(selector, format!("partition/{}", several.join(",")), |node| {
                several.iter().any(|partition| node.partitions.contains(partition))
            }),
        }
    }

    /// Asks for what a constraint says; the level in one domain of which all nodes must be, if any. `None` for what can be said of
    /// neither.
    pub fn ask_features(&mut self, selector: &mut Selector, features: &str, is_single: bool) -> Option<Option<String>> {
        if features.is_empty() {
            return Some(None);
        }
        // `[a|b]`: the same of them on every node. Each node has any of them at least.
        let text = features.replace('[', "(").replace(']', ")");
        let mut level = None;
        if !is_single && let Some((_, rest)) = features.split_once('[') {
            let (alternatives, rest) = rest.split_once(']')?;
            if rest.contains('[') || features.split('[').next()?.contains('|') || rest.contains('|') {
                return None;
            }
            holds(&text, &BTreeSet::new())?;
            level = Some(self.level(alternatives)?);
        }
        holds(&text, &BTreeSet::new())?;
        let is_plain = !text.contains(['|', '(']);
        if is_plain {
            let labels = text.split(['&', ',']).map(|word| (format!("feature/{}", word.trim()), vec![YES.into()]));
            selector.extend(labels);
        } else {
            self.ask(selector, format!("feature/{features}"), |node| holds(&text, &node.features) == Some(true));
        }
        Some(level)
    }

    /// Asks for any node but these; `None` where it is no list.
    pub fn ask_not(&mut self, selector: &mut Selector, excluded: &str) -> Option<()> {
        if !excluded.is_empty() {
            let names: BTreeSet<String> = hosts(excluded)?.into_iter().collect();
            self.ask(selector, format!("not/{excluded}"), |node| !names.contains(&node.spec.name));
        }
        Some(())
    }
}

/// Whether features satisfy `a&b`, `a|b`, `(a|b)&c`; `None` for anything else, as for counts and `&` beside `|`.
fn holds(text: &str, features: &BTreeSet<String>) -> Option<bool> {
    let (value, rest) = alternatives(text.trim(), features, 0)?;
    rest.is_empty().then_some(value)
}

fn alternatives<'t>(text: &'t str, features: &BTreeSet<String>, depth: usize) -> Option<(bool, &'t str)> {
    let (mut value, mut rest) = word(text, features, depth)?;
    let mut first = None;
    while let Some(operator) = rest.chars().next().filter(|c| ['&', ',', '|'].contains(c)) {
        let is_or = operator == '|';
        if first.is_some_and(|was_or| was_or != is_or) {
            return None;
        }
        first = Some(is_or);
        let (next, after) = word(&rest[1..], features, depth)?;
        value = if is_or { value || next } else { value && next };
        rest = after;
    }
    Some((value, rest))
}

fn word<'t>(text: &'t str, features: &BTreeSet<String>, depth: usize) -> Option<(bool, &'t str)> {
    let text = text.trim_start();
    if let Some(inside) = text.strip_prefix('(') {
        // Nobody writes more; a hostile file must not use up the stack.
        if depth > 20 {
            return None;
        }
        let (value, rest) = alternatives(inside, features, depth + 1)?;
        return Some((value, rest.trim_start().strip_prefix(')')?.trim_start()));
    }
    let end = text.find(['&', ',', '|', '(', ')', '[', ']', '*', '!']).unwrap_or(text.len());
    let name = text[..end].trim();
    (!name.is_empty()).then(|| (features.contains(name), &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_are_judged() {
        let features: BTreeSet<String> = ["a", "b", "rack1"].map(String::from).into();
        for (text, value) in [
            ("a", Some(true)),
            ("c", Some(false)),
            ("a&b", Some(true)),
            ("a,c", Some(false)),
            ("c|b", Some(true)),
            ("(c|b)&rack1", Some(true)),
            ("a&(c|d)", Some(false)),
            ("a|b&c", None),
            ("a*2", None),
            ("[a|b]", None),
            ("!a", None),
            ("a&", None),
            ("", None),
            ("(a", None),
            ("a)b", None),
            ("é|a", Some(true)),
        ] {
            assert_eq!(holds(text, &features), value, "{text}");
        }
        assert_eq!(holds(&"(".repeat(100_000), &features), None);
    }
}
