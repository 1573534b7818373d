//! Which (group, level) pairs need a head count per domain? Shared by the two working states of the ordering.

use crate::model::{DomainId, GroupId, LevelId, Problem, Spot};
use std::collections::HashMap;

/// Numbers every (group, level) that a conflict, spread, dependency or gang rule looks at.
pub(super) struct Slots {
    index: HashMap<(GroupId, LevelId), usize>,
    of_group: Vec<Vec<(LevelId, usize)>>,
    dependants: Vec<Vec<(GroupId, LevelId)>>,
}

impl Slots {
    pub(super) fn new(problem: &Problem) -> Slots {
        let mut slots = Slots {
            index: HashMap::new(),
            of_group: vec![Vec::new(); problem.groups.len()],
            dependants: vec![Vec::new(); problem.groups.len()],
        };
        for group in problem.group_ids() {
            let spec = &problem.groups[group.index()];
            let spread = spec.spread.iter().map(|spread| &spread.level);
            let within = spec.gang.iter().filter_map(|gang| gang.within.as_ref());
            for level in spec.conflict.iter().chain(spread).chain(within) {
                slots.intern(group, *level);
            }
            for dependency in &spec.depends_on {
                slots.intern(group, dependency.level);
                slots.intern(dependency.group, dependency.level);
                slots.dependants[dependency.group.index()].push((group, dependency.level));
            }
        }
        slots
    }

    fn intern(&mut self, group: GroupId, level: LevelId) {
        let next = self.index.len();
        if let std::collections::hash_map::Entry::Vacant(entry) = self.index.entry((group, level)) {
            entry.insert(next);
            self.of_group[group.index()].push((level, next));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// The slot of a pair that a rule names.
    pub(super) fn get(&self, group: GroupId, level: LevelId) -> usize {
        self.index[&(group, level)]
    }

    /// Levels counted for a group, with their slots.
    pub(super) fn of_group(&self, group: GroupId) -> &[(LevelId, usize)] {
        &self.of_group[group.index()]
    }

    /// Groups that need this one, with the level compared.
    pub(super) fn dependants(&self, group: GroupId) -> &[(GroupId, LevelId)] {
        &self.dependants[group.index()]
    }
}

/// Domains of a level that a spot covers, ascending, each once.
pub(super) fn domains(problem: &Problem, spot: &Spot, level: LevelId) -> Vec<DomainId> {
    let mut list: Vec<DomainId> = spot.pieces().iter().map(|piece| problem.domain(piece.node, level)).collect();
    list.sort_unstable();
    list.dedup();
    list
}
