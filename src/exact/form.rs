//! Which columns does a problem have? Classes of identical tasks, how many of each run where, and what they hold.
//!
//! ```text
//! on    n_cj       tasks of class c on node j (for a divisible task: 1 when it has a piece there)
//! parts g_cj       granted parts of 1/720,720 of an elastic or divisible class on node j
//! held  z_cjd      devices d of node j held by tasks of class c
//! excess e         how far a rule that is broken at the start stays broken, in the units of `total_excess`
//! ```
//!
//! Tasks are identical when everything about them but the name is, also where they run now: then only their number
//! matters, and the answer can be dealt out to them in any way. A rule that holds at the start has no excess column, so it
//! must go on to hold; one that is broken may stay broken as far as it is: *never worse*.

use super::linear::{Linear, Sum};
use crate::model::{
    DomainId, GroupId, LevelId, NodeId, Place, Problem, ResourceId, Rule, SHARE_ONE, Sharing, TaskId, Violation,
    forbidden, task_violations, violations,
};
use std::collections::{BTreeMap, HashMap};

/// Scaled units of 1.
pub(super) const ONE: i128 = SHARE_ONE as i128;

/// Branch first on what many tasks depend on: counts over all tasks, then choices of groups and nodes, then single tasks.
pub(super) mod rank {
    pub const TOTAL: u8 = 0;
    pub const EXCESS: u8 = 1;
    pub const GROUP: u8 = 2;
    pub const NODE: u8 = 3;
    pub const TASK: u8 = 4;
    pub const DEVICE: u8 = 5;
}

/// Tasks that differ in nothing but their name.
#[derive(Debug, Clone)]
pub(super) struct Class {
    pub members: Vec<TaskId>,
    /// Where they may run.
    pub nodes: Vec<NodeId>,
}

impl Class {
    /// The one that speaks for all.
    pub fn first(&self) -> TaskId {
        self.members[0]
    }

    pub fn count(&self) -> i128 {
        self.members.len() as i128
    }
}

/// A problem as rows, and what its columns mean.
pub(super) struct Form<'a> {
    pub problem: &'a Problem,
    pub classes: Vec<Class>,
    pub linear: Linear,
    /// (class, node) → n_cj. A divisible class whose presence matters to no rule or cost has none.
    pub on: HashMap<(usize, NodeId), usize>,
    /// (class, node) → g_cj.
    pub parts: HashMap<(usize, NodeId), usize>,
    /// (class, node, device) → z_cjd.
    pub held: HashMap<(usize, NodeId, u32), usize>,
    /// (class, node) → tasks that keep devices they could not ask for today.
    pub kept: HashMap<(usize, NodeId), usize>,
    /// Columns that count the excess, and how much per unit.
    pub excess: Vec<(usize, i128)>,
    /// Excess that nothing can change: pinned tasks keep a wrong share or wrong devices.
    pub excess_fixed: i128,
    /// Amount rows count 1/unit of the resource's unit: 1 when all shares are whole, else 720,720.
    pub unit: i128,
    /// Excess at the start.
    pub before: BTreeMap<(Rule, Place), i128>,
    presence: HashMap<(GroupId, LevelId, DomainId), usize>,
    visits: HashMap<(usize, LevelId, DomainId), usize>,
    placed: HashMap<usize, usize>,
    moved: HashMap<usize, usize>,
}

impl<'a> Form<'a> {
    /// Classes and their own columns; rows and costs come from `rows.rs` and `costs.rs`.
    pub fn new(problem: &'a Problem) -> Form<'a> {
        let before = violations(problem, &problem.current);
        let whole = problem.tasks.iter().all(|task| task.sharing == Sharing::Rigid);
        let mut form = Form {
            problem,
            classes: Vec::new(),
            linear: Linear::default(),
            on: HashMap::new(),
            parts: HashMap::new(),
            held: HashMap::new(),
            kept: HashMap::new(),
            excess: Vec::new(),
            excess_fixed: before.iter().filter(|v| is_fixed(problem, v)).map(|v| v.excess).sum(),
            unit: if whole { 1 } else { ONE },
            before: before.iter().map(|v| ((v.rule, v.place), v.excess)).collect(),
            presence: HashMap::new(),
            visits: HashMap::new(),
            placed: HashMap::new(),
            moved: HashMap::new(),
        };
        for members in classes(problem) {
            let nodes = form.nodes_for(members[0]);
            form.classes.push(Class { members, nodes });
            form.class_columns(form.classes.len() - 1);
        }
        form
    }

    /// Nodes that a task may be on: where it is, and where it is neither forbidden nor larger than the node.
    fn nodes_for(&self, task: TaskId) -> Vec<NodeId> {
        let problem = self.problem;
        let spec = &problem.tasks[task.index()];
        let least = match spec.sharing {
            Sharing::Rigid => ONE,
            Sharing::Elastic { min } => i128::from(min.parts()),
            Sharing::Divisible => 0,
        };
        let fits = |node: NodeId| {
            let capacity = problem.allocatable(node).iter().enumerate().map(|(r, capacity)| {
                let place = Place::NodeResource(node, ResourceId::new(r));
                i128::from(*capacity) * ONE + self.before.get(&(Rule::Capacity, place)).copied().unwrap_or(0)
            });
            problem.requirement(task).iter().zip(capacity).all(|(own, most)| i128::from(*own) * least <= most)
        };
        let at_home = |node: NodeId| problem.current.spot(task).is_on(node);
        let may = |node: &NodeId| {
            at_home(*node) || (!spec.pinned && forbidden(problem, task, *node).is_none() && fits(*node))
        };
        problem.node_ids().filter(may).collect()
    }

    fn class_columns(&mut self, class: usize) {
        let problem = self.problem;
        let (task, count) = (self.classes[class].first(), self.classes[class].count());
        let spec = &problem.tasks[task.index()];
        let current = problem.current.spot(task);
        for node in self.classes[class].nodes.clone() {
            let piece = current.pieces().iter().find(|piece| piece.node == node).filter(|_| spec.pinned);
            let shares = spec.sharing != Sharing::Rigid;
            if !shares || needs_presence(problem, task) {
                let (lower, upper) = if piece.is_some() { (1, 1) } else { (0, count) };
                let column = self.linear.column(lower, upper, Some(rank::TASK));
                self.on.insert((class, node), column);
            }
            if shares {
                let (lower, upper) =
                    piece.map_or((0, ONE * count), |p| (p.share.parts().into(), p.share.parts().into()));
                let column = self.linear.column(lower, upper, None);
                self.parts.insert((class, node), column);
            }
        }
    }

    /// Column for the excess of a rule that is broken at the start, in whole units; `None` where the rule holds.
    pub fn excess_column(&mut self, rule: Rule, place: Place) -> Option<usize> {
        let most = self.excess_before(rule, place);
        (most > 0).then(|| {
            let column = self.linear.column(0, most, Some(rank::EXCESS));
            self.excess.push((column, 1));
            column
        })
    }

    /// Excess at the start, in the units of [`crate::model::total_excess`].
    pub fn excess_before(&self, rule: Rule, place: Place) -> i128 {
        let excess = self.before.get(&(rule, place)).copied().unwrap_or(0);
        if matches!(place, Place::NodeResource(..)) { (excess + ONE - 1) / ONE } else { excess }
    }

    pub fn is_divisible(&self, class: usize) -> bool {
        self.problem.tasks[self.classes[class].first().index()].sharing == Sharing::Divisible
    }

    /// Amount that a class uses of a resource on a node, in 1/unit.
    pub fn amount(&self, class: usize, node: NodeId, resource: usize) -> Sum {
        let requirement = i128::from(self.problem.requirement(self.classes[class].first())[resource]);
        match (self.parts.get(&(class, node)), self.on.get(&(class, node))) {
            (Some(parts), _) => Sum::default().plus_column(requirement, *parts),
            (None, Some(on)) => Sum::default().plus_column(requirement * self.unit, *on),
            (None, None) => Sum::default(),
        }
    }

    /// Amount that all tasks use of a resource on a node, in 1/unit.
    pub fn used(&self, node: NodeId, resource: usize) -> Sum {
        let classes = 0..self.classes.len();
        classes.fold(Sum::default(), |sum, class| sum.plus(1, &self.amount(class, node, resource)))
    }

    /// Number of tasks of a class on a node.
    pub fn on(&self, class: usize, node: NodeId) -> Sum {
        self.on.get(&(class, node)).map_or_else(Sum::default, |column| Sum::column(*column))
    }

    /// Number of tasks of a class with a piece in a domain.
    pub fn visits(&mut self, class: usize, level: LevelId, domain: DomainId) -> Sum {
        let nodes = self.classes[class].nodes.iter();
        let inside: Vec<NodeId> = nodes.filter(|node| self.problem.domain(**node, level) == domain).copied().collect();
        let pieces = inside.iter().fold(Sum::default(), |sum, node| sum.plus(1, &self.on(class, *node)));
        if !self.is_divisible(class) || inside.len() < 2 {
            return pieces;
        }
        // Several pieces of one task in the domain count once.
        if let Some(column) = self.visits.get(&(class, level, domain)) {
            return Sum::column(*column);
        }
        let column = self.any_of(pieces);
        self.visits.insert((class, level, domain), column);
        Sum::column(column)
    }

    /// Number of placed tasks of a class.
    pub fn placed(&mut self, class: usize) -> Sum {
        let nodes = self.classes[class].nodes.clone();
        let pieces = nodes.iter().fold(Sum::default(), |sum, node| sum.plus(1, &self.on(class, *node)));
        if !self.is_divisible(class) {
            return pieces;
        }
        if let Some(column) = self.placed.get(&class) {
            return Sum::column(*column);
        }
        let column = self.any_of(pieces);
        self.placed.insert(class, column);
        Sum::column(column)
    }

    /// 1 when the group has a task in the domain, else 0.
    pub fn presence(&mut self, group: GroupId, level: LevelId, domain: DomainId) -> usize {
        if let Some(column) = self.presence.get(&(group, level, domain)) {
            return *column;
        }
        let members = self.group_classes(group);
        let visits = members.iter().fold(Sum::default(), |sum, class| sum.plus(1, &self.visits(*class, level, domain)));
        let column = self.any_of(visits);
        self.presence.insert((group, level, domain), column);
        column
    }

    /// A column that is 1 when `sum` (≥ 0, of whole columns) is positive, else 0.
    pub fn any_of(&mut self, sum: Sum) -> usize {
        let most = self.linear.most(&sum).max(0);
        let column = self.linear.column(0, most.min(1), Some(rank::GROUP));
        // Each term on its own is tighter than their sum.
        for (term, factor) in &sum.terms {
            let most = factor * self.linear.columns[*term].upper;
            self.linear.at_most_zero(Sum::default().plus_column(*factor, *term).plus_column(-most, column));
        }
        self.linear.at_most_zero(Sum::column(column).plus(-1, &sum));
        column
    }

    /// Number of tasks of a class that are moved; `None` when none of them runs at the start.
    ///
    /// ```text
    /// rigid, elastic   count − n_c,home
    /// divisible        m ≥ n_cj for every new node j, m ≥ 1 − n_cj for every old one, m ≤ the sum of these
    /// ```
    pub fn moved(&mut self, class: usize) -> Option<Sum> {
        let task = self.classes[class].first();
        let current = self.problem.current.spot(task);
        let home = current.node()?;
        if !self.is_divisible(class) {
            return Some(Sum::constant(self.classes[class].count()).plus(-1, &self.on(class, home)));
        }
        if let Some(column) = self.moved.get(&class) {
            return Some(Sum::column(*column));
        }
        let column = self.linear.column(0, 1, Some(rank::GROUP));
        let mut all = Sum::default();
        for node in self.classes[class].nodes.clone() {
            let on = self.on(class, node);
            let changed = if current.is_on(node) { Sum::constant(1).plus(-1, &on) } else { on };
            self.linear.at_most_zero(changed.clone().plus_column(-1, column));
            all = all.plus(1, &changed);
        }
        self.linear.at_most_zero(Sum::column(column).plus(-1, &all));
        self.moved.insert(class, column);
        Some(Sum::column(column))
    }

    /// Number of moved tasks in all.
    pub fn moved_in_all(&mut self) -> Sum {
        let classes = 0..self.classes.len();
        classes.filter_map(|class| self.moved(class)).fold(Sum::default(), |sum, moved| sum.plus(1, &moved))
    }

    /// The classes whose tasks are in a group.
    pub fn group_classes(&self, group: GroupId) -> Vec<usize> {
        let group_of = |class: &usize| self.problem.tasks[self.classes[*class].first().index()].group;
        (0..self.classes.len()).filter(|class| group_of(class) == Some(group)).collect()
    }

    /// All domains of a level.
    pub fn domains(&self, level: LevelId) -> impl Iterator<Item = DomainId> + use<> {
        (0..self.problem.levels[level.index()].domains.len()).map(DomainId::new)
    }
}

/// True for what a pinned task breaks by itself.
fn is_fixed(problem: &Problem, violation: &Violation) -> bool {
    match (violation.rule, violation.place) {
        (Rule::Share, Place::Task(task)) | (Rule::Device, Place::TaskNode(task, _)) => {
            problem.tasks[task.index()].pinned
        }
        _ => false,
    }
}

/// Tasks by class, in the order of each class's first task.
pub(super) fn classes(problem: &Problem) -> Vec<Vec<TaskId>> {
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut list: Vec<Vec<TaskId>> = Vec::new();
    for task in problem.task_ids() {
        let spec = &problem.tasks[task.index()];
        // What is said of a pinned task, of wrong devices, or of where a divisible task is, is said of that task alone.
        let loose = spec.device.is_some() && !task_violations(problem, task, problem.current.spot(task)).is_empty();
        let alone = spec.pinned || loose || (spec.sharing == Sharing::Divisible && needs_presence(problem, task));
        let own = alone.then_some(task);
        let all_but_name = (
            (spec.weight, spec.sharing, &spec.device, spec.evictable, spec.move_cost, spec.group),
            (&spec.selector, &spec.tolerations, problem.requirement(task), problem.current.spot(task), own),
        );
        let next = list.len();
        let class = *known.entry(format!("{all_but_name:?}")).or_insert(next);
        if class == next {
            list.push(Vec::new());
        }
        list[class].push(task);
    }
    list
}

/// True when it matters for a rule or a cost on which nodes the task has pieces, and not only how large they are.
pub(super) fn needs_presence(problem: &Problem, task: TaskId) -> bool {
    let spec = &problem.tasks[task.index()];
    if spec.sharing != Sharing::Divisible {
        return true;
    }
    let points = &problem.objective;
    let moves_matter = points.task_move_weight > 0
        || points.node_move_weight > 0
        || points.group_move_weight > 0
        || problem.moves.max_moves.is_some()
        || problem.moves.simultaneous;
    let price = points.price_weight > 0 && problem.nodes.iter().any(|node| node.price > 0);
    let rules = |group: GroupId| {
        let own = &problem.groups[group.index()];
        let needed = problem.groups.iter().any(|other| other.depends_on.iter().any(|d| d.group == group));
        needed || own.gang.is_some() || !own.conflict.is_empty() || !own.spread.is_empty() || !own.depends_on.is_empty()
    };
    price || (moves_matter && problem.current.spot(task).is_placed()) || spec.group.is_some_and(rules)
}
