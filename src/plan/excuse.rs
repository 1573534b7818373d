//! Why does a task wait at the end of a plan, worked out a second time?
//!
//! The verifier's own reading of the sentences in `unplaced.rs` and `build.rs`: it counts the nodes with its own arithmetic
//! (`recount.rs`) and says in its own words what a plan has to say. Whoever changes the words there changes what plans of this version
//! say, and has to say it here as well.

use super::Status;
use super::ladder::{Bits, Ladder};
use super::recount::{Held, covered, held, refusal, suits};
use crate::model::{
    DEVICE_MILLI, DeviceRequest, DomainId, GroupId, LevelId, NodeId, Problem, Rule, SHARE_ONE, Sharing, Spot, Spread,
    TaskId, TaskKind, Toleration, scaled_text,
};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What a plan says of a task that is not to start. Which tasks the command line left alone, the plan alone knows.
pub(super) const LEFT_ALONE: &str = "is to stay as it is";

/// How a search can end.
const ENDS: [&str; 4] = [
    "the search ended with its effort",
    "the search ended within the gap that was asked for",
    "the time limit ended the search",
    "a signal ended the search",
];

/// What opens and closes nodes to a task whatever runs there, but for amounts.
type Pass<'a> =
    (&'a BTreeMap<String, Vec<String>>, &'a [Toleration], &'a [String], TaskKind, Option<&'a DeviceRequest>);

/// What else decides what keeps a task out.
type Need<'a> = (&'a [i64], Sharing, Option<GroupId>);

/// The end of a plan, for whoever waits there.
pub(super) struct Excuses<'a> {
    problem: &'a Problem,
    spots: &'a [Spot],
    /// Tasks that would start, were there an order.
    blocked: BTreeSet<TaskId>,
    held: Vec<Held>,
    /// Domains in which members of a group run, for every level that rules of groups name.
    homes: HashMap<(GroupId, LevelId), BTreeSet<DomainId>>,
}

/// The nodes that a pass opens, with sets of their positions in the list.
struct Opened {
    closed: HashMap<Rule, usize>,
    nodes: Vec<NodeId>,
    /// By resource: what they have, and what nobody holds of it, in scaled units.
    amounts: Vec<[Ladder; 2]>,
    /// Those with the devices that are asked for, by their milli alone and with memory.
    equipped: [Bits; 2],
}

impl<'a> Excuses<'a> {
    pub(super) fn new(problem: &'a Problem, spots: &'a [Spot], blocked: BTreeSet<TaskId>) -> Excuses<'a> {
        let mut homes = HashMap::new();
        for group in problem.group_ids() {
            let rules = &problem.groups[group.index()];
            let own = rules.conflict.iter().copied().chain(rules.gang.and_then(|gang| gang.within));
            let own = own.chain(rules.spread.iter().map(|spread| spread.level));
            let own = own.map(|level| (group, level));
            for (group, level) in own.chain(rules.depends_on.iter().map(|need| (need.group, need.level))) {
                homes.entry((group, level)).or_insert_with(|| {
                    let members = problem.groups[group.index()].members.iter();
                    members.flat_map(|member| covered(problem, &spots[member.index()], level)).collect()
                });
            }
        }
        Excuses { problem, spots, blocked, held: held(problem, spots), homes }
    }

    /// What is to be said of each of these tasks, which are nowhere.
    pub(super) fn of(&self, tasks: &[TaskId]) -> Vec<String> {
        let mut said: Vec<String> = tasks.iter().map(|id| self.at_once(*id).unwrap_or_default().to_string()).collect();
        let mut passes: HashMap<Pass, HashMap<Need, Vec<usize>>> = HashMap::new();
        for (at, id) in tasks.iter().enumerate().filter(|(at, _)| said[*at].is_empty()) {
            let task = &self.problem.tasks[id.index()];
            let has_say = |group: &GroupId| {
                let rules = &self.problem.groups[group.index()];
                let is_apart = !rules.conflict.is_empty() || !rules.spread.is_empty();
                is_apart || !rules.depends_on.is_empty() || rules.gang.is_some()
            };
            let pass = (&task.selector, &task.tolerations[..], &task.regions[..], task.kind, task.device.as_ref());
            let need = (self.problem.requirement(*id), task.sharing, task.group.filter(has_say));
            passes.entry(pass).or_default().entry(need).or_default().push(at);
        }
        for needs in passes.values() {
            let Some(first) = needs.values().next() else { continue };
            let opened = self.opened(tasks[first[0]]);
            let same: Vec<&Vec<usize>> = needs.values().collect();
            let counted: Vec<String> = same.par_iter().map(|at| self.counted(tasks[at[0]], &opened)).collect();
            for (places, text) in same.into_iter().zip(counted) {
                places.iter().for_each(|at| said[*at].clone_from(&text));
            }
        }
        said
    }

    /// What is said of a task whatever the nodes are like.
    fn at_once(&self, id: TaskId) -> Option<&'static str> {
        match () {
            () if !self.problem.current.spot(id).pieces().is_empty() => {
                Some("stopped by this plan to make room for others")
            }
            () if self.problem.tasks[id.index()].pinned => Some(LEFT_ALONE),
            () if self.blocked.contains(&id) => Some("would start, but no order of the moves is safe"),
            () => None,
        }
    }

    fn opened(&self, id: TaskId) -> Opened {
        let problem = self.problem;
        let task = &problem.tasks[id.index()];
        let (mut closed, mut nodes) = (HashMap::new(), Vec::new());
        for node in problem.node_ids() {
            match refusal(problem, task, &problem.nodes[node.index()]) {
                Some(rule) => *closed.entry(rule).or_insert(0) += 1,
                None => nodes.push(node),
            }
        }
        let all = |node: &NodeId, r: usize| i128::from(problem.allocatable(*node)[r]) * i128::from(SHARE_ONE);
        let rest = |node: &NodeId, r: usize| all(node, r) - self.held[node.index()].amounts[r];
        let ladder = |has: Vec<i128>| Ladder::new(&has);
        let both = |r: usize| {
            [nodes.iter().map(|node| all(node, r)).collect(), nodes.iter().map(|node| rest(node, r)).collect()]
        };
        let amounts = (0..problem.resources.len()).map(|r| both(r).map(ladder)).collect();
        let equipped = [false, true].map(|counts_memory| {
            let is_equipped = |at: &usize| {
                let Some(request) = &task.device else { return true };
                let (host, taken) = (&problem.nodes[nodes[*at].index()], &self.held[nodes[*at].index()]);
                let has_room = |d: &usize| {
                    let (milli, memory) = (i128::from(request.milli), i128::from(request.memory));
                    let is_short = memory > 0 && taken.memory[*d] + memory > i128::from(host.devices[*d].memory);
                    taken.milli[*d] + milli <= i128::from(DEVICE_MILLI) && !(counts_memory && is_short)
                };
                let suited = (0..host.devices.len()).filter(|d| suits(request, &host.devices[*d]));
                suited.filter(has_room).count() >= request.count as usize
            };
            Bits::of(nodes.len(), (0..nodes.len()).filter(is_equipped))
        });
        Opened { closed, nodes, amounts, equipped }
    }

    fn counted(&self, id: TaskId, opened: &Opened) -> String {
        let problem = self.problem;
        let parts = match problem.tasks[id.index()].sharing {
            Sharing::Rigid => i128::from(SHARE_ONE),
            Sharing::Elastic { min } => i128::from(min.parts()),
            Sharing::Divisible => 1,
        };
        let needs = problem.requirement(id).iter().map(|amount| i128::from(*amount) * parts);
        let needs: Vec<(usize, i128)> = needs.enumerate().collect();
        let mut open = Bits::all(opened.nodes.len());
        let mut lack = vec![0; needs.len()];
        // For good, then for now; of what is not needed a node may even be overfull.
        needs.iter().for_each(|(r, needs)| lack[*r] = open.keep(&opened.amounts[*r][0].at_least(*needs)));
        let could = open.count();
        for (r, needs) in needs.into_iter().filter(|(_, needs)| *needs > 0) {
            lack[r] += open.keep(&opened.amounts[r][1].at_least(needs));
        }
        let group = problem.tasks[id.index()].group.map(|group| &problem.groups[group.index()]);
        let runs = |member: &&TaskId| !self.spots[member.index()].pieces().is_empty();
        // Only what these rules say depends on it, and a group may have a million members.
        let counts = group.filter(|group| group.gang.is_some() || !group.spread.is_empty());
        let running = counts.map_or(0, |group| group.members.iter().filter(runs).count());
        let mut rules = opened.closed.clone();
        for (rule, equipped) in [Rule::Device, Rule::DeviceMemory].into_iter().zip(&opened.equipped) {
            rules.insert(rule, open.keep(equipped));
        }
        if group.is_some() {
            let apart = |at: usize| self.apart(id, opened.nodes[at], running);
            open.iter().filter_map(apart).for_each(|rule| *rules.entry(rule).or_insert(0) += 1);
        }
        let grouped: usize =
            [Rule::Conflict, Rule::Spread, Rule::Dependency, Rule::Gang].iter().filter_map(|r| rules.get(r)).sum();
        let open = open.count() - grouped;
        let passing = could - open;
        let amounts = lack.into_iter().enumerate().map(|(r, n)| (format!("capacity {}", problem.resources[r].name), n));
        let mut closed: Vec<(String, usize)> =
            rules.into_iter().map(|(rule, n)| (rule.name().to_string(), n)).collect();
        closed.extend(amounts);
        closed.retain(|(_, count)| *count > 0);
        let gang = group.and_then(|group| Some((group.gang?.least as usize, &group.members)));
        if let Some((least, members)) = gang.filter(|(least, members)| members.len() < *least) {
            return format!("its gang needs {least} members, and only {} are listed", members.len());
        }
        let is_torn = gang.is_some_and(|(least, _)| running < least);
        let nodes = |count: usize| if count == 1 { "1 node".to_string() } else { format!("{count} nodes") };
        // Most nodes first; of as many, by the name.
        let mut most: Vec<(usize, String)> = closed.into_iter().map(|(what, count)| (count, what)).collect();
        most.sort_by(|(a, what), (b, other)| b.cmp(a).then(what.cmp(other)));
        let list =
            most.iter().map(|(count, what)| format!("{what} on {}", nodes(*count))).collect::<Vec<_>>().join(", ");
        if open > 0 && is_torn {
            format!("fits {}, but its gang was not started as a whole", nodes(open))
        } else if open > 0 {
            format!("fits {} now, but was not started: not worth it, or not found by the search", nodes(open))
        } else if passing > 0 {
            format!("room exists only by moving others: {list}")
        } else if !list.is_empty() {
            format!("fits no node: {list}")
        } else {
            "there is no node".to_string()
        }
    }

    /// The rule of its group, of which `running` members run, that keeps a task off a node.
    fn apart(&self, id: TaskId, node: NodeId, running: usize) -> Option<Rule> {
        let problem = self.problem;
        let (task, host) = (&problem.tasks[id.index()], &problem.nodes[node.index()]);
        let group = task.group?;
        let rules = &problem.groups[group.index()];
        let runs = |group, level: LevelId| self.homes[&(group, level)].contains(&host.domains[level.index()]);
        if rules.conflict.iter().any(|level| runs(group, *level)) {
            return Some(Rule::Conflict);
        }
        let is_worse = |spread: &Spread| {
            let covered = self.homes[&(group, spread.level)].len();
            let lacks = |members: usize, covered: usize| (spread.min as usize).min(members).saturating_sub(covered);
            let then = covered + usize::from(!runs(group, spread.level));
            lacks(running + 1, then) > lacks(running, covered)
        };
        if rules.spread.iter().any(is_worse) {
            return Some(Rule::Spread);
        }
        if rules.depends_on.iter().any(|need| !runs(need.group, need.level)) {
            return Some(Rule::Dependency);
        }
        let level = rules.gang?.within?;
        let is_elsewhere = !self.homes[&(group, level)].is_empty() && !runs(group, level);
        is_elsewhere.then_some(Rule::Gang)
    }
}

/// What is wrong with what a plan says of what nobody has looked at: how the search ended, and how many moves are blocked.
pub(super) fn hidden(status: Status, gap: Option<i128>, said: &[String], blocked: usize) -> Vec<String> {
    let end = match status {
        Status::Optimal => None,
        Status::Feasible | Status::Infeasible => Some(ENDS[0]),
        Status::Gap => Some(ENDS[1]),
        Status::Deadline => Some(ENDS[2]),
        Status::Interrupted => Some(ENDS[3]),
    };
    let due = end.map(|end| match gap {
        None => format!("{end}, and nothing is known of how much more is possible"),
        Some(gap) => format!("{end}: up to {} points more are not ruled out", scaled_text(gap)),
    });
    let tells_end = |text: &String| ENDS.iter().any(|end| text.starts_with(end));
    let mut wrong = Vec::new();
    if said.iter().filter(|text| tells_end(text)).count() > 1 {
        wrong.push("it says more than once how the search ended".to_string());
    }
    if let Some(due) = due.as_ref().filter(|_| !said.iter().any(tells_end)) {
        wrong.push(format!("it does not say: {due}"));
    }
    for text in said {
        let tells_moves = text.split_once(" blocked moves not every order was tried").map(|(counts, _)| counts);
        let counts = tells_moves.and_then(|counts| counts.strip_prefix("of ")?.split_once(" of the "));
        let is_right = match counts.map(|(some, all)| (some.parse::<usize>(), all.parse::<usize>())) {
            Some((Ok(some), Ok(all))) => all == blocked && (1..=all).contains(&some),
            Some(_) => false,
            None => !tells_end(text) || due.as_ref() == Some(text),
        };
        if !is_right {
            wrong.push(format!("it says what is not so: {text}"));
        }
    }
    wrong
}
