//! What keeps a task off a node as things stand? The first rule in its way, with the numbers.

use super::slots::{Slots, domains};
use crate::model::{
    DEVICE_MILLI, DeviceRequest, DomainId, GroupId, LevelId, NodeId, Piece, Placement, Problem, ResourceId, Rule,
    SHARE_ONE, Share, Spot, TaskId, Usage, forbidden, scaled_text,
};
use std::collections::HashMap;

/// The first rule that keeps a task off a node. Amounts are in scaled units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// Cordon, selector or taint: the node is closed to it, whatever runs there.
    Entry(Rule),
    /// The node has too few devices of a kind and model that suit.
    FewDevices {
        /// Devices wanted.
        wanted: u32,
        /// Devices of the node that suit.
        suitable: u32,
    },
    /// A resource does not suffice: never if `needed` exceeds `capacity`, else because of what runs there.
    Amount {
        /// Which.
        resource: ResourceId,
        /// What the task needs at least.
        needed: i128,
        /// What is free; negative where the node is overfull.
        free: i128,
        /// What the node has.
        capacity: i128,
    },
    /// Too few of the devices that suit have room.
    Devices {
        /// Devices wanted.
        wanted: u32,
        /// Those with room.
        free: u32,
        /// Devices of the node that suit.
        suitable: u32,
        /// Those that would have room were it not for their memory.
        lack_memory: u32,
    },
    /// Another task of its group is in the domain.
    Conflict(LevelId),
    /// With one member more, its group must cover another domain, and this is one of those that it covers.
    Spread {
        /// Domains of which level.
        level: LevelId,
        /// How many must be covered then.
        wanted: u32,
        /// How many are.
        covered: u32,
    },
    /// A group that it depends on is not in the domain.
    Dependency(GroupId, LevelId),
    /// The rest of its gang is in another domain.
    Gang(LevelId),
}

impl Obstacle {
    /// True when no other task's leaving or coming would change it.
    pub fn is_permanent(&self) -> bool {
        match self {
            Obstacle::Entry(_) | Obstacle::FewDevices { .. } => true,
            Obstacle::Amount { needed, capacity, .. } => needed > capacity,
            _ => false,
        }
    }

    /// True when nothing but the memory of devices is in the way.
    pub fn is_memory(&self) -> bool {
        matches!(self, Obstacle::Devices { wanted, free, lack_memory, .. } if free + lack_memory >= *wanted)
    }

    /// What nodes are counted by: the rule, and for amounts the resource.
    pub fn name(&self, problem: &Problem) -> String {
        match self {
            Obstacle::Entry(rule) => rule.name().to_string(),
            Obstacle::FewDevices { .. } => Rule::DeviceModel.name().to_string(),
            Obstacle::Amount { resource, .. } => format!("capacity {}", problem.resources[resource.index()].name),
            Obstacle::Devices { .. } if self.is_memory() => Rule::DeviceMemory.name().to_string(),
            Obstacle::Devices { .. } => Rule::Device.name().to_string(),
            Obstacle::Conflict(_) => Rule::Conflict.name().to_string(),
            Obstacle::Spread { .. } => Rule::Spread.name().to_string(),
            Obstacle::Dependency(..) => Rule::Dependency.name().to_string(),
            Obstacle::Gang(_) => Rule::Gang.name().to_string(),
        }
    }

    /// How far the node is from taking the task, for nodes with the same name of obstacle: less is nearer.
    pub fn distance(&self) -> i128 {
        match self {
            Obstacle::Amount { needed, free, .. } => needed - free,
            Obstacle::Devices { wanted, free, .. } => i128::from(wanted - free),
            Obstacle::FewDevices { wanted, suitable } => i128::from(wanted - suitable),
            Obstacle::Spread { wanted, covered, .. } => i128::from(wanted - covered),
            _ => 0,
        }
    }

    /// One sentence about a task and a node, for people.
    pub fn describe(&self, problem: &Problem, task: TaskId, node: NodeId) -> String {
        let (spec, host) = (&problem.tasks[task.index()], &problem.nodes[node.index()]);
        let level = |level: LevelId| &problem.levels[level.index()].name;
        let devices = || {
            let request = spec.device.as_ref().expect("only a request for devices meets this obstacle");
            let kind = &problem.device_kinds[request.kind as usize];
            let memory = match request.memory {
                0 => String::new(),
                memory => format!(" with {memory} of memory"),
            };
            match request.milli {
                DEVICE_MILLI => (format!("needs {} whole {kind}{memory}", request.count), "free".to_string()),
                milli => {
                    (format!("needs {milli} milli of one {kind}{memory}"), format!("there with {milli} milli free"))
                }
            }
        };
        match self {
            Obstacle::Entry(Rule::Cordon) => "the node is cordoned".to_string(),
            Obstacle::Entry(Rule::Taint) => {
                let accepted = |taint: &&crate::model::Taint| spec.tolerations.iter().any(|t| t.accepts(taint));
                let taint = host.taints.iter().find(|taint| !accepted(taint));
                let text = taint.map_or(String::new(), |taint| format!(" {}={}", taint.key, taint.value));
                format!("does not tolerate the taint{text}")
            }
            Obstacle::Entry(_) => {
                let suits = |(key, values): &(&String, &Vec<String>)| {
                    host.labels.get(*key).is_some_and(|value| values.contains(value))
                };
                let missed = spec.selector.iter().find(|label| !suits(label));
                missed.map_or("does not suit the node".to_string(), |(key, values)| {
                    let value = host.labels.get(key).map_or("no such label".to_string(), |value| format!("{value:?}"));
                    format!("needs label {key} to be {}, the node has {value}", values.join(" or "))
                })
            }
            Obstacle::FewDevices { suitable, .. } => format!("{}, {suitable} of the node suit", devices().0),
            Obstacle::Amount { resource, needed, free, capacity } => {
                let name = &problem.resources[resource.index()].name;
                let [needed, free, capacity] = [*needed, *free, *capacity].map(scaled_text);
                match self.is_permanent() {
                    true => format!("needs {needed} {name}, the node has {capacity}"),
                    false => format!("needs {needed} {name}, {free} of {capacity} are free"),
                }
            }
            Obstacle::Devices { free, suitable, .. } => {
                let (need, mut room) = devices();
                if let Some(request) = spec.device.as_ref().filter(|_| self.is_memory()) {
                    room += &format!(" and {} of memory free", request.memory);
                }
                format!("{need}, {free} of {suitable} that suit are {room}")
            }
            Obstacle::Conflict(at) => format!("a task of its group is in the same {} already", level(*at)),
            Obstacle::Spread { level: at, wanted, covered } => {
                let level = level(*at);
                format!(
                    "with it, its group must cover {wanted} of level {level}, and covers {covered}, this one among them"
                )
            }
            Obstacle::Gang(at) => format!("its gang runs in another {}", level(*at)),
            Obstacle::Dependency(group, at) => {
                format!("group {} is not in the same {}", problem.groups[group.index()].name, level(*at))
            }
        }
    }
}

/// What a placement leaves free, with tasks taken away and put somewhere.
pub(super) struct Ground<'a> {
    problem: &'a Problem,
    usage: Usage,
    slots: Slots,
    /// Members in each domain that has any, by slot.
    present: Vec<HashMap<DomainId, u32>>,
    /// Members that run, by group.
    running: Vec<u32>,
}

impl<'a> Ground<'a> {
    pub(super) fn new(problem: &'a Problem, placement: &Placement) -> Ground<'a> {
        let slots = Slots::new(problem);
        let present = vec![HashMap::new(); slots.len()];
        let running = vec![0; problem.groups.len()];
        let mut ground = Ground { problem, usage: Usage::of(problem, placement), slots, present, running };
        for task in problem.task_ids() {
            ground.count(task, placement.spot(task), true);
        }
        ground
    }

    pub(super) fn put(&mut self, task: TaskId, spot: &Spot) {
        self.usage.add(self.problem, task, spot);
        self.count(task, spot, true);
    }

    pub(super) fn take(&mut self, task: TaskId, spot: &Spot) {
        self.usage.remove(self.problem, task, spot);
        self.count(task, spot, false);
    }

    fn count(&mut self, task: TaskId, spot: &Spot, comes: bool) {
        let Some(group) = self.problem.tasks[task.index()].group.filter(|_| spot.is_placed()) else { return };
        let change = |count: &mut u32| *count = if comes { *count + 1 } else { *count - 1 };
        change(&mut self.running[group.index()]);
        for (level, slot) in self.slots.of_group(group) {
            for domain in domains(self.problem, spot, *level) {
                let count = self.present[*slot].entry(domain).or_default();
                change(count);
                if *count == 0 {
                    self.present[*slot].remove(&domain);
                }
            }
        }
    }

    /// The spot that a task would have on a node where nothing is in its way: least share, the first devices with room.
    pub(super) fn spot(&self, task: TaskId, node: NodeId) -> Spot {
        let spec = &self.problem.tasks[task.index()];
        let mut devices = 0u64;
        if let Some(request) = &spec.device {
            let free = self.usage.room_for(self.problem, node, request);
            let bits = (0..64).filter(|d| free >> d & 1 == 1).take(request.count as usize);
            devices = bits.fold(0, |set, d| set | 1 << d);
        }
        let share = Share::from_parts(self.problem.least_parts(task, 1)).expect("at most 1");
        Spot::On(Piece { node, share, devices })
    }

    /// What is left of a resource there, in scaled units; negative where the node is overfull.
    pub(super) fn free(&self, node: NodeId, resource: ResourceId) -> i128 {
        let capacity = i128::from(self.problem.allocatable(node)[resource.index()]) * i128::from(SHARE_ONE);
        capacity - self.usage.amount(node, resource)
    }

    /// Which devices keep a task out?
    pub(super) fn devices(&self, task: TaskId, node: NodeId) -> Option<Obstacle> {
        let request = self.problem.tasks[task.index()].device.as_ref()?;
        let roomy = |request: &DeviceRequest| self.usage.room_for(self.problem, node, request);
        let (wanted, free) = (request.count, roomy(request).count_ones());
        if free >= wanted {
            return None;
        }
        // Of those that suit with their memory, the ones that have milli.
        let eligible = request.eligible(&self.problem.nodes[node.index()]);
        let lack_memory = (roomy(&DeviceRequest { memory: 0, ..request.clone() }) & eligible).count_ones() - free;
        Some(Obstacle::Devices { wanted, free, suitable: eligible.count_ones(), lack_memory })
    }

    /// The first rule in the way of a task that is nowhere.
    pub(super) fn obstacle(&self, task: TaskId, node: NodeId) -> Option<Obstacle> {
        let problem = self.problem;
        let spec = &problem.tasks[task.index()];
        let request = spec.device.as_ref();
        let suitable = || request.map_or(0, |r| r.eligible(&problem.nodes[node.index()]).count_ones());
        match forbidden(problem, task, node) {
            Some(Rule::DeviceModel) => {
                let wanted = request.map_or(0, |request| request.count);
                return Some(Obstacle::FewDevices { wanted, suitable: suitable() });
            }
            Some(rule) => return Some(Obstacle::Entry(rule)),
            None => {}
        }
        let parts = i128::from(problem.least_parts(task, 1));
        let mut short = None;
        for (r, amount) in problem.requirement(task).iter().enumerate() {
            let resource = ResourceId::new(r);
            let needed = i128::from(*amount) * parts;
            let capacity = i128::from(problem.allocatable(node)[r]) * i128::from(SHARE_ONE);
            let obstacle = Obstacle::Amount { resource, needed, free: self.free(node, resource), capacity };
            if obstacle.is_permanent() {
                return Some(obstacle);
            }
            if needed > 0 && obstacle.distance() > 0 && short.is_none() {
                short = Some(obstacle);
            }
        }
        if short.is_some() {
            return short;
        }
        self.devices(task, node).or_else(|| self.group_rule(task, node))
    }

    /// Domains in which members of a group run.
    fn covered(&self, group: GroupId, level: LevelId) -> u32 {
        self.present[self.slots.get(group, level)].len() as u32
    }

    /// The rule of its group that keeps a task off a node: one that its coming would break, or break further.
    pub(super) fn group_rule(&self, task: TaskId, node: NodeId) -> Option<Obstacle> {
        let problem = self.problem;
        let group = problem.tasks[task.index()].group?;
        let rules = &problem.groups[group.index()];
        let is_present =
            |group, level| self.present[self.slots.get(group, level)].contains_key(&problem.domain(node, level));
        if let Some(level) = rules.conflict.iter().find(|level| is_present(group, **level)) {
            return Some(Obstacle::Conflict(*level));
        }
        for spread in &rules.spread {
            // A member that comes where the group is already asks for one domain more as long as fewer than `min` run.
            let wanted = spread.min.min(self.running[group.index()] + 1);
            let covered = self.covered(group, spread.level);
            if self.running[group.index()] < spread.min && covered < wanted && is_present(group, spread.level) {
                return Some(Obstacle::Spread { level: spread.level, wanted, covered });
            }
        }
        if let Some(need) = rules.depends_on.iter().find(|need| !is_present(need.group, need.level)) {
            return Some(Obstacle::Dependency(need.group, need.level));
        }
        let level = rules.gang.and_then(|gang| gang.within)?;
        (self.covered(group, level) > 0 && !is_present(group, level)).then_some(Obstacle::Gang(level))
    }
}
