//! Which task runs where? A placement gives each task its pieces.

use super::{NodeId, Share, TaskId};

/// A part of a task on one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Piece {
    /// The node.
    pub node: NodeId,
    /// Granted fraction of the task's requirement.
    pub share: Share,
    /// Bit d is set when device d of the node is held.
    pub devices: u64,
}

impl Piece {
    /// The whole task on `node`, without devices.
    pub fn whole(node: NodeId) -> Piece {
        Piece { node, share: Share::ONE, devices: 0 }
    }
}

/// Where one task runs. `Split` has at least two pieces, on different nodes in ascending order: build it with
/// [`Spot::from_pieces`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Spot {
    /// On the pool of unplaced tasks.
    #[default]
    Unplaced,
    /// On one node.
    On(Piece),
    /// A divisible task on several nodes.
    Split(Box<[Piece]>),
}

impl Spot {
    /// Canonical spot for the pieces: zero shares dropped, sorted by node. A node named twice stays twice (a violation).
    pub fn from_pieces(mut pieces: Vec<Piece>) -> Spot {
        pieces.retain(|piece| piece.share > Share::ZERO);
        pieces.sort();
        match pieces.len() {
            0 => Spot::Unplaced,
            1 => Spot::On(pieces[0]),
            _ => Spot::Split(pieces.into_boxed_slice()),
        }
    }

    /// The pieces, in ascending node order.
    #[inline]
    pub fn pieces(&self) -> &[Piece] {
        match self {
            Spot::Unplaced => &[],
            Spot::On(piece) => std::slice::from_ref(piece),
            Spot::Split(pieces) => pieces,
        }
    }

    /// True when the task runs somewhere.
    #[inline]
    pub fn is_placed(&self) -> bool {
        !matches!(self, Spot::Unplaced)
    }

    /// The first node, if any.
    #[inline]
    pub fn node(&self) -> Option<NodeId> {
        self.pieces().first().map(|piece| piece.node)
    }

    /// Granted share over all pieces, in parts (a sum, so that an illegal total can be seen).
    pub fn total_parts(&self) -> u64 {
        self.pieces().iter().map(|piece| u64::from(piece.share.parts())).sum()
    }

    /// True when both are on the same nodes, whatever the shares and devices.
    pub fn same_nodes(&self, other: &Spot) -> bool {
        self.pieces().iter().map(|piece| piece.node).eq(other.pieces().iter().map(|piece| piece.node))
    }

    /// The same under other numbers of nodes.
    pub fn renamed(&self, node: impl Fn(NodeId) -> NodeId) -> Spot {
        Spot::from_pieces(self.pieces().iter().map(|piece| Piece { node: node(piece.node), ..*piece }).collect())
    }

    /// True when the task runs on `node`.
    pub fn is_on(&self, node: NodeId) -> bool {
        self.pieces().iter().any(|piece| piece.node == node)
    }
}

/// A spot for every task.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placement {
    spots: Vec<Spot>,
}

impl Placement {
    /// All tasks unplaced.
    pub fn empty(task_count: usize) -> Placement {
        Placement { spots: vec![Spot::Unplaced; task_count] }
    }

    /// Spots in task order.
    pub fn from_spots(spots: Vec<Spot>) -> Placement {
        Placement { spots }
    }

    /// Spots in task order.
    pub fn spots(&self) -> &[Spot] {
        &self.spots
    }

    /// Where a task runs.
    #[inline]
    pub fn spot(&self, task: TaskId) -> &Spot {
        &self.spots[task.index()]
    }

    /// Puts a task somewhere else.
    #[inline]
    pub fn set(&mut self, task: TaskId, spot: Spot) {
        self.spots[task.index()] = spot;
    }

    /// The same under other numbers of nodes.
    pub fn renamed(&self, node: impl Fn(NodeId) -> NodeId) -> Placement {
        Placement { spots: self.spots.iter().map(|spot| spot.renamed(&node)).collect() }
    }

    /// Number of tasks, placed or not.
    pub fn len(&self) -> usize {
        self.spots.len()
    }

    /// True when there is no task.
    pub fn is_empty(&self) -> bool {
        self.spots.is_empty()
    }
}
