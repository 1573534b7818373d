//! Which rules does a placement break, and by how much? The one definition of every violation of a *state*.
//!
//! What only concerns the way there (waves, double usage in flight, moves per node) is defined in `plan/`.
//!
//! | rule | broken when |
//! |---|---|
//! | capacity | Σ requirement · share on a node exceeds its allocatable amount |
//! | transient | `simultaneous` only: transient resources (and devices) of everything on the node plus everything that left it exceed it |
//! | device | a device holds more than 1000 milli, or a task does not hold exactly the devices it asked for |
//! | device_memory | those who share a device that says how much memory it has hold more of it |
//! | device_model | a device held has the wrong kind or model, or less memory than one task asks for |
//! | drain | a task runs on a node that is to be emptied |
//! | selector, taint, cordon | a task runs on a node it may not enter, and was not there at the start |
//! | conflict | a domain of a conflict level holds more than one task of the group |
//! | spread | the group covers fewer than min(`min`, placed tasks) domains |
//! | dependency | a domain has tasks of the group and none of a group it depends on |
//! | gang | some tasks of the group are placed, but fewer than its least number (with fewer members than that: any); or those that are cover several domains of its level |
//! | pinned | a pinned task is not exactly where it was |
//! | eviction | a task that ran and is not evictable runs nowhere |
//! | share | a share outside what the task's sharing allows, or a node named twice |
//! | move_budget | more tasks moved than `moves.max_moves` |
//!
//! A snapshot may break rules already. *Never worse* ([`worsened`]) compares by (rule, place): each excess afterwards is at
//! most the excess before.

use super::cost::{Usage, is_moved};
use super::{
    DEVICE_MILLI, DomainId, GroupId, LevelId, NodeId, Placement, Problem, ResourceId, SHARE_ONE, Sharing, TaskId,
    scaled_text,
};
use std::collections::BTreeMap;

/// The rules of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the table above defines them")]
pub enum Rule {
    Capacity,
    Transient,
    Device,
    DeviceMemory,
    DeviceModel,
    Selector,
    Taint,
    Cordon,
    Drain,
    Conflict,
    Spread,
    Dependency,
    Gang,
    Pinned,
    Eviction,
    Share,
    MoveBudget,
}

impl Rule {
    /// All rules, in the order of every table.
    pub const ALL: [Rule; 17] = [
        Rule::Capacity,
        Rule::Transient,
        Rule::Device,
        Rule::DeviceMemory,
        Rule::DeviceModel,
        Rule::Selector,
        Rule::Taint,
        Rule::Cordon,
        Rule::Drain,
        Rule::Conflict,
        Rule::Spread,
        Rule::Dependency,
        Rule::Gang,
        Rule::Pinned,
        Rule::Eviction,
        Rule::Share,
        Rule::MoveBudget,
    ];

    /// Name in messages and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Rule::Capacity => "capacity",
            Rule::Transient => "transient",
            Rule::Device => "device",
            Rule::DeviceMemory => "device_memory",
            Rule::DeviceModel => "device_model",
            Rule::Selector => "selector",
            Rule::Taint => "taint",
            Rule::Cordon => "cordon",
            Rule::Drain => "drain",
            Rule::Conflict => "conflict",
            Rule::Spread => "spread",
            Rule::Dependency => "dependency",
            Rule::Gang => "gang",
            Rule::Pinned => "pinned",
            Rule::Eviction => "eviction",
            Rule::Share => "share",
            Rule::MoveBudget => "move_budget",
        }
    }
}

/// Where a rule is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A resource of a node.
    NodeResource(NodeId, ResourceId),
    /// A device of a node.
    NodeDevice(NodeId, u32),
    /// The memory of a device of a node.
    DeviceMemory(NodeId, u32),
    /// A task (wherever it is).
    Task(TaskId),
    /// A task on a node.
    TaskNode(TaskId, NodeId),
    /// A group in a domain.
    GroupDomain(GroupId, LevelId, DomainId),
    /// A group at a level.
    GroupLevel(GroupId, LevelId),
    /// A group that needs another in a domain.
    Needs(GroupId, GroupId, LevelId, DomainId),
    /// A group.
    Group(GroupId),
    /// The plan as a whole.
    Plan,
}

/// One broken rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// Where.
    pub place: Place,
    /// How far beyond the limit, > 0: scaled units for amounts, a count otherwise.
    pub excess: i128,
}

impl Violation {
    /// One line for people.
    pub fn describe(&self, problem: &Problem) -> String {
        let node = |n: NodeId| &problem.nodes[n.index()].name;
        let task = |t: TaskId| &problem.tasks[t.index()].name;
        let group = |g: GroupId| &problem.groups[g.index()].name;
        let level = |l: LevelId| &problem.levels[l.index()].name;
        let domain = |l: LevelId, d: DomainId| &problem.levels[l.index()].domains[d.index()];
        let place = match self.place {
            Place::NodeResource(n, r) => format!("node {}, {}", node(n), problem.resources[r.index()].name),
            Place::NodeDevice(n, d) => format!("node {}, device {d}", node(n)),
            Place::DeviceMemory(n, d) => format!("node {}, memory of device {d}", node(n)),
            Place::Task(t) => format!("task {}", task(t)),
            Place::TaskNode(t, n) => format!("task {} on node {}", task(t), node(n)),
            Place::GroupDomain(g, l, d) => format!("group {}, {} {}", group(g), level(l), domain(l, d)),
            Place::GroupLevel(g, l) => format!("group {}, level {}", group(g), level(l)),
            Place::Needs(g, other, l, d) => {
                format!("group {} needs {} in {} {}", group(g), group(other), level(l), domain(l, d))
            }
            Place::Group(g) => format!("group {}", group(g)),
            Place::Plan => "the plan".to_string(),
        };
        let by = match self.place {
            Place::NodeResource(..) => scaled_text(self.excess),
            _ => self.excess.to_string(),
        };
        format!("{}: {place}, beyond the limit by {by}", self.rule.name())
    }
}

/// Why a task may not be on a node, whatever else runs there; `None` when it may. A task may always stay where it is.
pub fn forbidden(problem: &Problem, task: TaskId, node: NodeId) -> Option<Rule> {
    if problem.current.spot(task).is_on(node) { None } else { newcomer_forbidden(problem, task, node) }
}

/// Why a task that is not on a node may not enter it, whatever else runs there; `None` when it may.
pub fn newcomer_forbidden(problem: &Problem, task: TaskId, node: NodeId) -> Option<Rule> {
    let (spec, host) = (&problem.tasks[task.index()], &problem.nodes[node.index()]);
    if host.cordoned {
        return Some(Rule::Cordon);
    }
    let selected =
        |(key, values): (&String, &Vec<String>)| host.labels.get(key).is_some_and(|value| values.contains(value));
    if !spec.selector.iter().all(selected) {
        return Some(Rule::Selector);
    }
    if !host.taints.iter().all(|taint| spec.tolerations.iter().any(|t| t.accepts(taint))) {
        return Some(Rule::Taint);
    }
    match &spec.device {
        Some(request) if request.eligible(host).count_ones() < request.count => Some(Rule::DeviceModel),
        _ => None,
    }
}

/// Every violation of a placement, sorted.
pub fn violations(problem: &Problem, placement: &Placement) -> Vec<Violation> {
    assert_eq!(placement.len(), problem.tasks.len(), "a placement has a spot for every task");
    let mut found = Vec::new();
    let mut add = |rule: Rule, place: Place, excess: i128| {
        if excess > 0 {
            found.push(Violation { rule, place, excess });
        }
    };
    node_rules(problem, placement, &mut add);
    task_rules(problem, placement, &mut add);
    group_rules(problem, placement, problem.group_ids(), &mut add);
    if let Some(most) = problem.moves.max_moves {
        let moved = problem.task_ids().filter(|task| is_moved(problem, placement, *task)).count();
        add(Rule::MoveBudget, Place::Plan, moved as i128 - i128::from(most));
    }
    found.sort();
    found
}

fn node_rules(problem: &Problem, placement: &Placement, add: &mut impl FnMut(Rule, Place, i128)) {
    let one = i128::from(SHARE_ONE);
    let usage = Usage::of(problem, placement);
    for node in problem.node_ids() {
        for (r, capacity) in problem.allocatable(node).iter().enumerate() {
            let resource = ResourceId::new(r);
            add(
                Rule::Capacity,
                Place::NodeResource(node, resource),
                usage.amount(node, resource) - i128::from(*capacity) * one,
            );
        }
        for (device, used) in usage.devices(node).iter().enumerate() {
            add(Rule::Device, Place::NodeDevice(node, device as u32), i128::from(*used) - i128::from(DEVICE_MILLI));
        }
        for (device, used) in usage.device_memory(node).iter().enumerate() {
            let total = i128::from(problem.nodes[node.index()].devices[device].memory);
            add(Rule::DeviceMemory, Place::DeviceMemory(node, device as u32), used - total);
        }
    }
    if !problem.moves.simultaneous {
        return;
    }
    let with_leavers = Usage::of(problem, &occupied(problem, placement));
    for node in problem.node_ids() {
        for r in (0..problem.resources.len()).filter(|r| problem.resources[*r].transient) {
            let capacity = i128::from(problem.allocatable(node)[r]) * one;
            let r = ResourceId::new(r);
            let excess = with_leavers.amount(node, r) - capacity;
            // An excess that the final state has already is reported once, as capacity.
            if with_leavers.amount(node, r) > usage.amount(node, r) {
                add(Rule::Transient, Place::NodeResource(node, r), excess);
            }
        }
        for (device, used) in with_leavers.devices(node).iter().enumerate() {
            if *used > usage.devices(node)[device] {
                add(
                    Rule::Transient,
                    Place::NodeDevice(node, device as u32),
                    i128::from(*used) - i128::from(DEVICE_MILLI),
                );
            }
        }
        for (device, used) in with_leavers.device_memory(node).iter().enumerate() {
            if *used > usage.device_memory(node)[device] {
                let total = i128::from(problem.nodes[node.index()].devices[device].memory);
                add(Rule::Transient, Place::DeviceMemory(node, device as u32), used - total);
            }
        }
    }
}

/// Everything that is held while all moves run at once: new pieces, and old pieces on nodes that were left.
pub fn occupied(problem: &Problem, placement: &Placement) -> Placement {
    let spots = problem.task_ids().map(|task| {
        let after = placement.spot(task);
        let left = problem.current.spot(task).pieces().iter().filter(|piece| !after.is_on(piece.node));
        super::Spot::from_pieces(after.pieces().iter().chain(left).copied().collect())
    });
    Placement::from_spots(spots.collect())
}

fn task_rules(problem: &Problem, placement: &Placement, add: &mut impl FnMut(Rule, Place, i128)) {
    for task in problem.task_ids() {
        one_task_rules(problem, task, placement.spot(task), add);
    }
}

/// The violations that come from a task being on this spot, whatever the others do.
pub fn task_violations(problem: &Problem, task: TaskId, spot: &super::Spot) -> Vec<Violation> {
    let mut found = Vec::new();
    one_task_rules(problem, task, spot, &mut |rule, place, excess| {
        if excess > 0 {
            found.push(Violation { rule, place, excess });
        }
    });
    found
}

fn one_task_rules(problem: &Problem, task: TaskId, after: &super::Spot, add: &mut impl FnMut(Rule, Place, i128)) {
    let spec = &problem.tasks[task.index()];
    let before = problem.current.spot(task);
    let place = Place::Task(task);
    add(Rule::Pinned, place, i128::from(spec.pinned && before != after));
    add(Rule::Eviction, place, i128::from(!spec.evictable && before.is_placed() && !after.is_placed()));
    // A start below the least share excuses nobody who takes more than all.
    let beyond = after.total_parts().saturating_sub(u64::from(SHARE_ONE));
    let share = if share_is_legal(spec.sharing, after) { 0 } else { 1 + i128::from(beyond) };
    add(Rule::Share, place, share);
    for piece in after.pieces() {
        let place = Place::TaskNode(task, piece.node);
        // Too few suitable devices on the node shows below, in the devices held: each place has a rule broken once.
        if let Some(rule) = forbidden(problem, task, piece.node).filter(|rule| *rule != Rule::DeviceModel) {
            add(rule, place, 1);
        }
        let host = &problem.nodes[piece.node.index()];
        add(Rule::Drain, place, i128::from(host.draining));
        let (wanted, eligible) = match &spec.device {
            Some(request) => (request.count, request.eligible(host)),
            None => (0, 0),
        };
        let beyond = match host.devices.len() {
            64 => 0,
            count => piece.devices >> count,
        };
        let excess = i128::from(piece.devices.count_ones().abs_diff(wanted)) + i128::from(beyond.count_ones());
        add(Rule::Device, place, excess);
        let kept = before.pieces().iter().any(|old| old.node == piece.node && old.devices == piece.devices);
        if !kept {
            add(Rule::DeviceModel, place, i128::from((piece.devices & !eligible).count_ones()));
        }
    }
}

fn share_is_legal(sharing: Sharing, spot: &super::Spot) -> bool {
    let total = spot.total_parts();
    let one = u64::from(SHARE_ONE);
    let pieces = spot.pieces();
    match sharing {
        Sharing::Rigid => pieces.is_empty() || (pieces.len() == 1 && total == one),
        Sharing::Elastic { min } => {
            pieces.is_empty() || (pieces.len() == 1 && (u64::from(min.parts())..=one).contains(&total))
        }
        Sharing::Divisible => total <= one && pieces.windows(2).all(|pair| pair[0].node < pair[1].node),
    }
}

/// The violations of the rules of some groups, sorted.
pub fn group_violations(
    problem: &Problem,
    placement: &Placement,
    groups: impl Iterator<Item = GroupId>,
) -> Vec<Violation> {
    let mut found = Vec::new();
    group_rules(problem, placement, groups, &mut |rule, place, excess| {
        if excess > 0 {
            found.push(Violation { rule, place, excess });
        }
    });
    found.sort();
    found
}

fn group_rules(
    problem: &Problem,
    placement: &Placement,
    groups: impl Iterator<Item = GroupId>,
    add: &mut impl FnMut(Rule, Place, i128),
) {
    // (domain, members there), ascending; a member with several pieces in a domain counts once.
    let present = |group: GroupId, level: LevelId| -> Vec<(DomainId, i128)> {
        let mut domains: Vec<(DomainId, TaskId)> = Vec::new();
        for task in &problem.groups[group.index()].members {
            domains.extend(placement.spot(*task).pieces().iter().map(|p| (problem.domain(p.node, level), *task)));
        }
        domains.sort_unstable();
        domains.dedup();
        domains.chunk_by(|a, b| a.0 == b.0).map(|members| (members[0].0, members.len() as i128)).collect()
    };
    // Groups that others depend on are asked for again and again.
    let mut needed: BTreeMap<(GroupId, LevelId), Vec<(DomainId, i128)>> = BTreeMap::new();
    for group in groups {
        let spec = &problem.groups[group.index()];
        let placed = spec.members.iter().filter(|task| placement.spot(**task).is_placed()).count();
        for level in &spec.conflict {
            for (domain, count) in present(group, *level) {
                add(Rule::Conflict, Place::GroupDomain(group, *level, domain), count - 1);
            }
        }
        for spread in &spec.spread {
            let wanted = (spread.min as usize).min(placed) as i128;
            let covered = present(group, spread.level).len() as i128;
            add(Rule::Spread, Place::GroupLevel(group, spread.level), wanted - covered);
        }
        for dependency in &spec.depends_on {
            let key = (dependency.group, dependency.level);
            let other = needed.entry(key).or_insert_with(|| present(key.0, key.1));
            let missing = |domain: &DomainId| other.binary_search_by_key(domain, |(known, _)| *known).is_err();
            let mine = present(group, dependency.level);
            for domain in mine.into_iter().map(|(domain, _)| domain).filter(missing) {
                let place = Place::Needs(group, dependency.group, dependency.level, domain);
                add(Rule::Dependency, place, 1);
            }
        }
        if let Some(gang) = spec.gang.filter(|_| placed > 0) {
            add(Rule::Gang, Place::Group(group), i128::from(gang.least) - placed as i128);
            if let Some(level) = gang.within {
                add(Rule::Gang, Place::GroupLevel(group, level), present(group, level).len() as i128 - 1);
            }
        }
    }
}

/// The violations of `after` that are new or larger than in `before`: empty means *never worse*.
///
/// What stays taken on a node while tasks leave it (`transient`) may exceed as much as the node is over its capacity
/// before: otherwise an overfull node could never be relieved.
pub fn worsened(before: &[Violation], after: &[Violation]) -> Vec<Violation> {
    let excess: BTreeMap<(Rule, Place), i128> = before.iter().map(|v| ((v.rule, v.place), v.excess)).collect();
    let at = |rule: Rule, place: Place| excess.get(&(rule, place)).copied().unwrap_or(0);
    let allowed = |v: &Violation| match (v.rule, v.place) {
        (Rule::Transient, Place::NodeDevice(..)) => at(v.rule, v.place).max(at(Rule::Device, v.place)),
        (Rule::Transient, Place::DeviceMemory(..)) => at(v.rule, v.place).max(at(Rule::DeviceMemory, v.place)),
        (Rule::Transient, _) => at(v.rule, v.place).max(at(Rule::Capacity, v.place)),
        _ => at(v.rule, v.place),
    };
    after.iter().filter(|v| v.excess > allowed(v)).copied().collect()
}

/// Σ excess over all violations, scaled amounts counted in whole units rounded up: what repair brings down first.
pub fn total_excess(violations: &[Violation]) -> i128 {
    let one = i128::from(SHARE_ONE);
    let units = |v: &Violation| match v.place {
        Place::NodeResource(..) => (v.excess + one - 1) / one,
        _ => v.excess,
    };
    violations.iter().map(units).sum()
}
