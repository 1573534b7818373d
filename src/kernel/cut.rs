//! Into which block does each node and task go this round?
//!
//! ```text
//! Shape   at, home [tasks]; pick, keys [nodes]; one invocation per task (link, task_key) or node (node_key)
//! Ties    the greatest (hash, node) wins a pick: associative and commutative, so any order agrees
//! Source  random spanning forests by local maxima (one round of Luby-like contraction); ours
//! ```
//!
//! Nodes are sorted by [`node_key`] and cut into equal chunks. In a random round every node is its own tree, so that the
//! keys are random. In a round *by home* a displaced task links the node it is on with its home; every node picks a random
//! link to a node of higher rank, and all nodes of a tree take the key of its root: they end up side by side.

use super::random::{below, mix};

/// Bits of a pick that name a node.
pub const NODE_BITS: u32 = 22;
/// Most nodes of a problem for this engine.
pub const NODE_COUNT_MAX: usize = 1 << NODE_BITS;
const NODE_MASK: u32 = (1 << NODE_BITS) - 1;
/// Number of different node keys.
pub const KEY_COUNT: usize = 1 << 16;
/// No node.
const NOWHERE: u32 = u32::MAX;

/// The round's random words: for picks, ranks and keys.
pub type Salts = [u32; 3];

/// Random order of the nodes, for links: a link always leads upwards, so that the picks form trees.
fn rank(node: u32, salts: Salts) -> (u32, u32) {
    (mix(node.wrapping_mul(0x9E37_79B9) ^ salts[1]), node)
}

/// Offers the link of a displaced task to the lower of its two nodes. `pick` of 0 = no link.
pub fn link(task: u32, at: u32, home: u32, salts: Salts, pick: &mut [u32]) {
    if at == NOWHERE || home == NOWHERE || at == home {
        return;
    }
    let (low, high) = if rank(at, salts) < rank(home, salts) { (at, home) } else { (home, at) };
    let offer = (mix(task.wrapping_mul(0x85EB_CA6B) ^ salts[0]) & !NODE_MASK) | high;
    pick[low as usize] = pick[low as usize].max(offer);
}

/// The key of a node: a hash of the root of its tree.
pub fn node_key(node: u32, pick: &[u32], salts: Salts) -> u32 {
    let mut root = node;
    while pick[root as usize] != 0 {
        root = pick[root as usize] & NODE_MASK;
    }
    mix(root.wrapping_mul(0xC2B2_AE35) ^ salts[2]) >> 16
}

/// The block of a task: that of its node; waiting ones are dealt at random.
pub fn task_key(task: u32, at: u32, block_of: &[u32], block_count: u32, salts: Salts) -> u32 {
    if at == NOWHERE {
        below(mix(task.wrapping_mul(0x27D4_EB2F) ^ salts[1]), block_count)
    } else {
        block_of[at as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nodes_of_a_tree_share_a_key_and_others_do_not() {
        let salts = [3, 5, 7];
        let mut pick = vec![0; 100];
        // 0–1–2–3 are linked in a chain by displaced tasks; 50 tasks at home link nothing.
        for (task, at, home) in [(7, 0, 1), (8, 2, 1), (9, 2, 3)].into_iter().chain((10..60).map(|t| (t, t, t))) {
            link(task, at, home, salts, &mut pick);
        }
        let keys: Vec<u32> = (0..100).map(|node| node_key(node, &pick, salts)).collect();
        let ends = (0..4).filter(|node| pick[*node] == 0).count();
        let trees: std::collections::BTreeSet<u32> = keys[..4].iter().copied().collect();
        assert_eq!(trees.len(), ends, "as many keys as roots");
        assert!(ends < 4 && pick[4..].iter().all(|pick| *pick == 0));
        let others: std::collections::BTreeSet<u32> = keys[4..].iter().copied().collect();
        assert!(others.len() > 90 && others.is_disjoint(&trees));
    }

    #[test]
    fn links_are_offered_in_any_order() {
        let offers = [(1, 0, 9), (2, 9, 0), (3, 0, 5), (4, 5, 9), (5, 9, 5)];
        let picks = |order: &[usize]| {
            let mut pick = vec![0; 10];
            for i in order {
                let (task, at, home) = offers[*i];
                link(task, at, home, [1, 2, 3], &mut pick);
            }
            pick
        };
        assert_eq!(picks(&[0, 1, 2, 3, 4]), picks(&[4, 2, 0, 3, 1]));
        assert_ne!(picks(&[0, 1, 2, 3, 4]), vec![0; 10]);
    }
}
