//! What does a Kubernetes cluster say of its nodes and pods?

use super::notes::{Document, Imported, Notes};
use crate::model::{Faults, Snapshot};

/// How the priority of a pod becomes its weight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Weight {
    /// By the place of its priority among all priorities in use.
    #[default]
    Rank,
    /// 1000 plus the priority.
    Value,
    /// The same for all.
    Equal,
}

/// What the caller decides.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Weights.
    pub weight: Weight,
    /// Pods with emptyDir volumes may move.
    pub delete_emptydir_data: bool,
}

/// Documents as `kubectl get -o json` prints them, as a snapshot.
///
/// # Errors
/// Every fault of the documents.
pub fn import(_documents: &[Document], _options: &Options) -> Result<Imported, Faults> {
    Ok(Imported { snapshot: Snapshot::default(), notes: Notes::default() })
}
