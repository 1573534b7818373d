//! Which kind of index is this? One newtype per noun, so that a node index is never used as a task index.

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// Position in the arrays of [`crate::model::Problem`].
            #[inline]
            pub fn index(self) -> usize {
                self.0 as usize
            }

            /// The id at a position; positions always fit, [`crate::model::Problem::new`] checks the counts.
            #[inline]
            pub fn new(index: usize) -> Self {
                Self(index as u32)
            }
        }
    };
}

id!(
    /// A machine.
    NodeId
);
id!(
    /// A task.
    TaskId
);
id!(
    /// A group of tasks.
    GroupId
);
id!(
    /// A resource, in the order of the snapshot.
    ResourceId
);
id!(
    /// A domain level; level 0 is the node itself.
    LevelId
);
id!(
    /// A domain within its level.
    DomainId
);
