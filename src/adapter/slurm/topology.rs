//! Which nodes are on one switch? From what `scontrol show topology` prints, which is no JSON.
//!
//! `SwitchName=s0 Level=0 LinkSpeed=1 Nodes=n[1-3]`: a line per switch, of which those of level 0 have the nodes. Jobs ask for a number
//! of these (`--switches`). Blocks (`BlockName=`) are counted and left out.

use super::hostlist::hosts;
use crate::adapter::notes::{Document, Fate, Notes};
use crate::model::Faults;
use std::collections::BTreeMap;

/// Level of the snapshot.
pub const LEVEL: &str = "switch";

/// The switch of each node.
pub type Switches = BTreeMap<String, String>;

/// Takes the lines about the topology out of a document, in which they may follow JSON.
pub fn take(document: &Document, switches: &mut Switches, notes: &mut Notes, faults: &mut Faults) -> Document {
    let is_topology = |line: &[u8]| line.starts_with(b"SwitchName=") || line.starts_with(b"BlockName=");
    let mut rest = Vec::with_capacity(document.bytes.len());
    for (i, line) in document.bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        if !is_topology(line) {
            rest.extend_from_slice(line);
        } else if add(&String::from_utf8_lossy(line), switches, notes).is_none() {
            let remedy = "give what scontrol show topology prints";
            faults.add("I203", format!("{}, line {}", document.name, i + 1), "it is no switch with its nodes", remedy);
        }
    }
    Document { name: document.name.clone(), bytes: rest }
}

fn add(line: &str, switches: &mut Switches, notes: &mut Notes) -> Option<()> {
    let words: BTreeMap<&str, &str> = line.split_whitespace().filter_map(|word| word.split_once('=')).collect();
    let Some(name) = words.get("SwitchName") else {
        notes.add(Fate::LeftOut, "blocks of nodes (topology/block)");
        return Some(());
    };
    if words.get("Level")?.parse::<u32>().ok()? > 0 {
        notes.add(Fate::Irrelevant, "switches of switches");
        return Some(());
    }
    for node in hosts(words.get("Nodes")?)? {
        switches.insert(node, name.to_string());
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_switches_are_taken_out() {
        let text = "{}\nSwitchName=s0 Level=0 LinkSpeed=1 Nodes=n[1-2]\nSwitchName=s1 Level=1 LinkSpeed=1 Nodes=n[1-2] Switches=s0\n{}";
        let (mut switches, mut notes, mut faults) = (Switches::new(), Notes::default(), Faults::new());
        let document = |text: &str| Document { name: "x".into(), bytes: text.into() };
        let rest = take(&document(text), &mut switches, &mut notes, &mut faults);
        assert_eq!((rest.bytes.as_slice(), switches.len(), faults.is_empty()), (&b"{}\n{}"[..], 2, true));
        assert_eq!(switches["n2"], "s0");
        for bad in ["SwitchName=s0", "SwitchName=s0 Level=x Nodes=n1", "SwitchName=s0 Level=0 Nodes=n[1-"] {
            let mut faults = Faults::new();
            take(&document(bad), &mut switches, &mut notes, &mut faults);
            assert_eq!(faults.list().len(), 1, "{bad}");
        }
    }
}
