//! Why does a task wait at the end of a plan, worked out a second time?
//!
//! The verifier's own reading of the sentences in `unplaced.rs` and `build.rs`: it counts the nodes with its own arithmetic
//! (`recount.rs`) and says in its own words what a plan has to say. Whoever changes the words there changes what plans of this version
//! say, and has to say it here as well.

use super::Status;
use super::recount::{Held, covered, held, refusal, suits};
use crate::model::{
    DEVICE_MILLI, DeviceRequest, DomainId, GroupId, LevelId, NodeId, Problem, Rule, SHARE_ONE, Sharing, Spot, TaskId,
    TaskKind, Toleration, scaled_text,
};
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

/// Tasks of which all is the same that decides what keeps them out.
type Kin<'a> = (
    (&'a [i64], Sharing, TaskKind, Option<GroupId>),
    (&'a BTreeMap<String, Vec<String>>, &'a [Toleration], &'a [String], Option<&'a DeviceRequest>),
);

/// The end of a plan, for whoever waits there.
pub(super) struct Excuses<'a> {
    problem: &'a Problem,
    spots: &'a [Spot],
    /// Tasks that would start, were there an order.
    blocked: BTreeSet<TaskId>,
    held: Vec<Held>,
    /// Domains in which members of a group run.
    homes: HashMap<(GroupId, LevelId), BTreeSet<DomainId>>,
    known: HashMap<Kin<'a>, String>,
}

impl<'a> Excuses<'a> {
    pub(super) fn new(problem: &'a Problem, spots: &'a [Spot], blocked: BTreeSet<TaskId>) -> Excuses<'a> {
        let (homes, known) = (HashMap::new(), HashMap::new());
        Excuses { problem, spots, blocked, held: held(problem, spots), homes, known }
    }

    /// What is to be said of a task that is nowhere.
    pub(super) fn of(&mut self, id: TaskId) -> String {
        let problem = self.problem;
        let task = &problem.tasks[id.index()];
        if !problem.current.spot(id).pieces().is_empty() {
            return "stopped by this plan to make room for others".to_string();
        }
        if task.pinned {
            return LEFT_ALONE.to_string();
        }
        if self.blocked.contains(&id) {
            return "would start, but no order of the moves is safe".to_string();
        }
        let has_say = |group: &GroupId| {
            let rules = &problem.groups[group.index()];
            !rules.conflict.is_empty() || !rules.depends_on.is_empty() || rules.gang.is_some()
        };
        let kin = (
            (problem.requirement(id), task.sharing, task.kind, task.group.filter(has_say)),
            (&task.selector, &task.tolerations[..], &task.regions[..], task.device.as_ref()),
        );
        if let Some(known) = self.known.get(&kin) {
            return known.clone();
        }
        let excuse = self.counted(id);
        self.known.insert(kin, excuse.clone());
        excuse
    }

    fn counted(&mut self, id: TaskId) -> String {
        let problem = self.problem;
        let mut closed: BTreeMap<String, usize> = BTreeMap::new();
        let (mut open, mut passing) = (0, 0);
        for node in problem.node_ids() {
            match self.closed(id, node) {
                None => open += 1,
                Some((what, is_for_good)) => {
                    passing += usize::from(!is_for_good);
                    *closed.entry(what).or_insert(0) += 1;
                }
            }
        }
        let group = problem.tasks[id.index()].group.map(|group| &problem.groups[group.index()]);
        let gang = group.and_then(|group| Some((group.gang?.least as usize, &group.members)));
        if let Some((least, members)) = gang.filter(|(least, members)| members.len() < *least) {
            return format!("its gang needs {least} members, and only {} are listed", members.len());
        }
        let runs = |member: &&TaskId| !self.spots[member.index()].pieces().is_empty();
        let is_torn = gang.is_some_and(|(least, members)| members.iter().filter(runs).count() < least);
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

    /// The first rule that closes a node to a task, and whether it does so whatever else runs there.
    fn closed(&mut self, id: TaskId, node: NodeId) -> Option<(String, bool)> {
        let problem = self.problem;
        let (task, host) = (&problem.tasks[id.index()], &problem.nodes[node.index()]);
        if let Some(rule) = refusal(problem, task, host) {
            return Some((rule.name().to_string(), true));
        }
        let parts = match task.sharing {
            Sharing::Rigid => i128::from(SHARE_ONE),
            Sharing::Elastic { min } => i128::from(min.parts()),
            Sharing::Divisible => 1,
        };
        let rows = || problem.requirement(id).iter().zip(problem.allocatable(node)).enumerate();
        let least = |amount: &i64| i128::from(*amount) * parts;
        let most = |amount: &i64| i128::from(*amount) * i128::from(SHARE_ONE);
        let capacity = |r: usize| format!("capacity {}", problem.resources[r].name);
        if let Some((r, _)) = rows().find(|(_, (needs, has))| least(needs) > most(has)) {
            return Some((capacity(r), true));
        }
        let taken = &self.held[node.index()];
        let is_short = |r: usize, needs: &i64, has: &i64| *needs > 0 && taken.amounts[r] + least(needs) > most(has);
        if let Some((r, _)) = rows().find(|(r, (needs, has))| is_short(*r, needs, has)) {
            return Some((capacity(r), false));
        }
        if let Some(request) = &task.device {
            let suited = || (0..host.devices.len()).filter(|d| suits(request, &host.devices[*d]));
            let has_milli = |d: &usize| taken.milli[*d] + i128::from(request.milli) <= i128::from(DEVICE_MILLI);
            let has_memory = |d: &usize| {
                let memory = i128::from(request.memory);
                memory == 0 || taken.memory[*d] + memory <= i128::from(host.devices[*d].memory)
            };
            let wanted = request.count as usize;
            if suited().filter(has_milli).count() < wanted {
                return Some((Rule::Device.name().to_string(), false));
            }
            if suited().filter(has_milli).filter(has_memory).count() < wanted {
                return Some((Rule::DeviceMemory.name().to_string(), false));
            }
        }
        let group = task.group?;
        let rules = &problem.groups[group.index()];
        let passing = |rule: Rule| Some((rule.name().to_string(), false));
        if rules.conflict.iter().any(|level| self.homes(group, *level).contains(&host.domains[level.index()])) {
            return passing(Rule::Conflict);
        }
        let is_alone = |need: &crate::model::Dependency| {
            !self.homes(need.group, need.level).contains(&host.domains[need.level.index()])
        };
        if rules.depends_on.iter().any(is_alone) {
            return passing(Rule::Dependency);
        }
        let level = rules.gang?.within?;
        let homes = self.homes(group, level);
        if homes.is_empty() || homes.contains(&host.domains[level.index()]) { None } else { passing(Rule::Gang) }
    }

    fn homes(&mut self, group: GroupId, level: LevelId) -> &BTreeSet<DomainId> {
        let (problem, spots) = (self.problem, self.spots);
        self.homes.entry((group, level)).or_insert_with(|| {
            let members = problem.groups[group.index()].members.iter();
            members.flat_map(|member| covered(problem, &spots[member.index()], level)).collect()
        })
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
