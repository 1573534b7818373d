//! How does the problem read as a mixed-integer program? Columns here, one function per group of rows.
//!
//! Identical tasks (same needs, weight, rules and current node) form a *class* k of n_k tasks, and count together:
//!
//! ```text
//! x_kj   whole, 0 … n_k   tasks of class k on node j (rigid and elastic; for divisible ones only where a rule needs it)
//! g_kj   0 … n_k          their shares, summed; g = x for rigid, min·x ≤ g ≤ x for elastic
//! y_kjd  whole            device d of node j given to class k
//! ```
//!
//! The start's broken rules are not relaxed here: this is the problem in which nothing is broken.

use super::lp::Program;
use crate::model::{
    DEVICE_MILLI, DeviceRequest, GroupId, LevelId, NodeId, Piece, Placement, Problem, SHARE_ONE, Share, Sharing, Spot,
    Task, TaskId, forbidden,
};
use std::collections::{BTreeMap, HashMap};

/// A problem as a program, with what is needed to read a solution back.
pub struct Formulation {
    /// The program.
    pub program: Program,
    /// Points of moves per column: what the budget row of `branch.rs` is made of.
    pub move_points: Vec<(usize, f64)>,
    /// Largest number of tasks moved within a group, when that costs points.
    pub most_moved: Option<usize>,
    classes: Vec<Class>,
}

/// Identical tasks.
struct Class {
    tasks: Vec<TaskId>,
    sharing: Sharing,
    home: Option<NodeId>,
    /// Per allowed node.
    places: Vec<Place>,
}

/// A class on a node.
struct Place {
    node: NodeId,
    /// Tasks; absent for divisible classes that no rule counts.
    count: Option<usize>,
    /// Shares.
    share: usize,
    /// Per device: (device, column).
    devices: Vec<(u32, usize)>,
}

impl Formulation {
    /// Writes the problem down; `None` when it has a term that is not written as rows (fragmentation).
    pub fn new(problem: &Problem) -> Option<Formulation> {
        if problem.objective.fragmentation_weight > 0 {
            return None;
        }
        let mut this =
            Formulation { program: Program::default(), move_points: Vec::new(), most_moved: None, classes: Vec::new() };
        for tasks in classes(problem) {
            this.add_class(problem, tasks);
        }
        this.assignment_rows(problem);
        this.capacity_rows(problem);
        this.device_rows(problem);
        for group in problem.group_ids() {
            this.conflict_rows(problem, group);
            this.spread_rows(problem, group);
            this.dependency_rows(problem, group);
            this.gang_rows(problem, group);
        }
        this.load_terms(problem);
        this.balance_terms(problem);
        this.move_terms(problem);
        this.price_terms(problem);
        this.center(problem);
        Some(this)
    }

    /// Columns of a class on every node it may use.
    fn add_class(&mut self, problem: &Problem, tasks: Vec<TaskId>) {
        let spec = &problem.tasks[tasks[0].index()];
        let home = problem.current.spot(tasks[0]);
        let size = tasks.len() as f64;
        let weight = spec.weight as f64;
        let mut places = Vec::new();
        for node in problem.node_ids().filter(|node| forbidden(problem, tasks[0], *node).is_none()) {
            if spec.pinned && !home.is_on(node) {
                continue;
            }
            let program = &mut self.program;
            let (count, share) = match spec.sharing {
                Sharing::Rigid => {
                    let column = program.column(0.0, size, weight, true);
                    (Some(column), column)
                }
                Sharing::Elastic { min } => {
                    let count = program.column(0.0, size, 0.0, true);
                    let share = program.column(0.0, size, weight, false);
                    let least = f64::from(min.parts()) / f64::from(SHARE_ONE);
                    program.at_most("share", vec![(share, 1.0), (count, -1.0)], 0.0);
                    program.at_most("share", vec![(count, least), (share, -1.0)], 0.0);
                    (Some(count), share)
                }
                Sharing::Divisible => {
                    let share = program.column(0.0, size, weight, false);
                    let count = is_counted(problem, spec, home).then(|| program.column(0.0, 1.0, 0.0, true));
                    if let Some(count) = count {
                        program.at_most("share", vec![(share, 1.0), (count, -1.0)], 0.0);
                    }
                    (count, share)
                }
            };
            if spec.pinned {
                let parts = home.pieces().iter().find(|p| p.node == node).map_or(0, |p| p.share.parts());
                let share_value = f64::from(parts) / f64::from(SHARE_ONE) * size;
                program.columns[share].lower = share_value;
                program.columns[share].upper = share_value;
                if let Some(count) = count {
                    program.columns[count].lower = size;
                }
            }
            let device_count = problem.nodes[node.index()].devices.len() as u32;
            let devices = match &spec.device {
                Some(request) => self.device_columns(problem, tasks[0], request, node, size),
                None => Vec::new(),
            };
            debug_assert!(devices.len() as u32 <= device_count);
            places.push(Place { node, count, share, devices });
        }
        self.classes.push(Class { tasks, sharing: spec.sharing, home: home.node(), places });
    }

    /// y_kjd for the devices a class may use on a node: those that suit, and at home those it has.
    fn device_columns(
        &mut self,
        problem: &Problem,
        task: TaskId,
        request: &DeviceRequest,
        node: NodeId,
        size: f64,
    ) -> Vec<(u32, usize)> {
        let home = problem.current.spot(task);
        let held = home.pieces().iter().find(|piece| piece.node == node).map_or(0, |piece| piece.devices);
        let is_pinned = problem.tasks[task.index()].pinned;
        let set = if is_pinned { held } else { held | request.eligible(&problem.nodes[node.index()]) };
        let most = if request.milli < DEVICE_MILLI { size } else { 1.0 };
        (0..64).filter(|d| set >> d & 1 == 1).map(|d| (d, self.program.column(0.0, most, 0.0, true))).collect()
    }

    /// Each task runs at most once: Σ_j x_kj ≤ n_k; exactly once (=) if it runs now and may not be stopped.
    fn assignment_rows(&mut self, problem: &Problem) {
        for class in &self.classes {
            let spec = &problem.tasks[class.tasks[0].index()];
            let must_run = class.home.is_some() && !spec.evictable;
            let size = class.tasks.len() as f64;
            let terms: Vec<_> = class.places.iter().filter_map(|place| place.count.map(|c| (c, 1.0))).collect();
            if class.sharing != Sharing::Divisible {
                if must_run {
                    self.program.equal("eviction", terms, size);
                } else {
                    self.program.at_most("share", terms, size);
                }
                continue;
            }
            let shares: Vec<_> = class.places.iter().map(|place| (place.share, 1.0)).collect();
            if must_run {
                // Any share above 0 counts as running; one part is the least there is.
                let least = size / f64::from(SHARE_ONE);
                self.program.at_most("eviction", shares.iter().map(|(c, _)| (*c, -1.0)).collect(), -least);
            }
            self.program.at_most("share", shares, size);
        }
    }

    /// Σ_k c_kr · g_kj ≤ C_jr; for transient resources of simultaneous moves, what has left still counts:
    /// Σ_{k at home on j} c_kr · n_k + Σ_{k from elsewhere} c_kr · g_kj ≤ C_jr.
    fn capacity_rows(&mut self, problem: &Problem) {
        for node in problem.node_ids() {
            for (r, resource) in problem.resources.iter().enumerate() {
                let capacity = problem.allocatable(node)[r] as f64;
                let terms = self.usage(problem, node, r);
                if problem.moves.simultaneous && resource.transient {
                    // Who stays holds the new share only, who leaves the old one.
                    let (mut held, mut occupied) = (0.0, terms.clone());
                    for class in &self.classes {
                        let home = problem.current.spot(class.tasks[0]);
                        let Some(piece) = home.pieces().iter().find(|piece| piece.node == node) else { continue };
                        let place = class.places.iter().find(|place| place.node == node);
                        let Some(count) = place.and_then(|place| place.count) else { continue };
                        let need = problem.requirement(class.tasks[0])[r] as f64 * f64::from(piece.share.parts())
                            / f64::from(SHARE_ONE);
                        held += need * class.tasks.len() as f64;
                        occupied.push((count, -need));
                    }
                    self.program.at_most("transient", occupied, capacity - held);
                }
                self.program.at_most("capacity", terms, capacity);
            }
        }
    }

    /// (column, amount) of everything that may use a resource of a node.
    fn usage(&self, problem: &Problem, node: NodeId, r: usize) -> Vec<(usize, f64)> {
        let used = |class: &Class| {
            let need = problem.requirement(class.tasks[0])[r] as f64;
            class.places.iter().find(|place| place.node == node && need > 0.0).map(|place| (place.share, need))
        };
        self.classes.iter().filter_map(used).collect()
    }

    /// Σ_d y_kjd = count_k · x_kj, and Σ_k milli_k · y_kjd ≤ 1000. With simultaneous moves a
    /// task that leaves still holds the devices it had.
    fn device_rows(&mut self, problem: &Problem) {
        let mut load: BTreeMap<(NodeId, u32), Vec<(usize, f64)>> = BTreeMap::new();
        let mut held: BTreeMap<(NodeId, u32), f64> = BTreeMap::new();
        for class in &self.classes {
            let Some(request) = &problem.tasks[class.tasks[0].index()].device else { continue };
            for place in &class.places {
                let count = place.count.expect("tasks with devices are rigid");
                let mut terms: Vec<_> = place.devices.iter().map(|(_, column)| (*column, 1.0)).collect();
                terms.push((count, -f64::from(request.count)));
                self.program.equal("device", terms, 0.0);
                let milli = f64::from(request.milli);
                for (device, column) in &place.devices {
                    load.entry((place.node, *device)).or_default().push((*column, milli));
                }
                let home = problem.current.spot(class.tasks[0]).pieces();
                let left = home.iter().filter(|piece| problem.moves.simultaneous && piece.node == place.node);
                for device in left.flat_map(|piece| (0..64).filter(|d| piece.devices >> d & 1 == 1)) {
                    *held.entry((place.node, device)).or_default() += milli;
                    load.entry((place.node, device)).or_default().push((count, -milli));
                }
            }
        }
        for (device, terms) in load {
            let held = held.get(&device).copied().unwrap_or(0.0);
            self.program.at_most("device", terms, f64::from(DEVICE_MILLI) - held);
        }
    }

    /// Columns that count members of a group in each domain of a level.
    fn members(&self, problem: &Problem, group: GroupId, level: LevelId) -> BTreeMap<u32, Vec<usize>> {
        let mut domains: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for class in self.classes.iter().filter(|class| problem.tasks[class.tasks[0].index()].group == Some(group)) {
            for place in &class.places {
                let count = place.count.expect("members of groups are counted");
                domains.entry(problem.domain(place.node, level).0).or_default().push(count);
            }
        }
        domains
    }

    /// Σ_{members in domain} x ≤ 1.
    fn conflict_rows(&mut self, problem: &Problem, group: GroupId) {
        for level in &problem.groups[group.index()].conflict {
            for columns in self.members(problem, group, *level).into_values() {
                self.program.at_most("conflict", ones(&columns, 1.0), 1.0);
            }
        }
    }

    /// u_d ≤ Σ_{members in d} x, 0 ≤ u_d ≤ 1, Σ_d u_d ≥ min(least, placed): with a switch s (1 = at least `least` are placed),
    /// Σ u ≥ least · s and Σ u ≥ placed − |group| · s.
    fn spread_rows(&mut self, problem: &Problem, group: GroupId) {
        let size = problem.groups[group.index()].members.len() as f64;
        for spread in &problem.groups[group.index()].spread {
            let domains = self.members(problem, group, spread.level);
            let placed: Vec<usize> = domains.values().flatten().copied().collect();
            let mut covered = Vec::new();
            for columns in domains.into_values() {
                let cover = self.program.column(0.0, 1.0, 0.0, true);
                let mut terms = ones(&columns, -1.0);
                terms.push((cover, 1.0));
                self.program.at_most("spread", terms, 0.0);
                covered.push((cover, -1.0));
            }
            let switch = self.program.column(0.0, 1.0, 0.0, true);
            let mut enough = covered.clone();
            enough.push((switch, f64::from(spread.min)));
            self.program.at_most("spread", enough, 0.0);
            let mut all_apart = covered;
            all_apart.extend(ones(&placed, 1.0));
            all_apart.push((switch, -size));
            self.program.at_most("spread", all_apart, 0.0);
        }
    }

    /// x_kj ≤ n_k · Σ_{members of the other group in j's domain} x.
    fn dependency_rows(&mut self, problem: &Problem, group: GroupId) {
        for dependency in &problem.groups[group.index()].depends_on {
            let other = self.members(problem, dependency.group, dependency.level);
            for (domain, columns) in self.members(problem, group, dependency.level) {
                let supply = other.get(&domain).cloned().unwrap_or_default();
                for column in columns {
                    let size = self.program.columns[column].upper;
                    let mut terms = ones(&supply, -size);
                    terms.push((column, 1.0));
                    self.program.at_most("dependency", terms, 0.0);
                }
            }
        }
    }

    /// All members run, or none: Σ_j x_kj = n_k · z for one z per gang.
    fn gang_rows(&mut self, problem: &Problem, group: GroupId) {
        if !problem.groups[group.index()].gang {
            return;
        }
        let all = self.program.column(0.0, 1.0, 0.0, true);
        for class in self.classes.iter().filter(|class| problem.tasks[class.tasks[0].index()].group == Some(group)) {
            let size = class.tasks.len() as f64;
            if class.sharing == Sharing::Divisible {
                // Running means any share: Σ g ≥ 1 part each, Σ g ≤ z.
                let shares: Vec<_> = class.places.iter().map(|place| (place.share, 1.0)).collect();
                let mut most = shares.clone();
                most.push((all, -size));
                self.program.at_most("gang", most, 0.0);
                let mut least: Vec<_> = shares.iter().map(|(c, _)| (*c, -1.0)).collect();
                least.push((all, size / f64::from(SHARE_ONE)));
                self.program.at_most("gang", least, 0.0);
                continue;
            }
            let mut terms: Vec<_> = class.places.iter().filter_map(|place| place.count.map(|c| (c, 1.0))).collect();
            terms.push((all, -size));
            self.program.equal("gang", terms, 0.0);
        }
    }

    /// −weight · max(0, U_jr − S_jr) on every node.
    fn load_terms(&mut self, problem: &Problem) {
        for (r, resource) in problem.resources.iter().enumerate().filter(|(_, resource)| resource.load_weight > 0) {
            let demand: f64 = problem.task_ids().map(|task| problem.requirement(task)[r] as f64).sum();
            let soft: f64 = problem.node_ids().map(|node| problem.soft_limit(node)[r] as f64).sum();
            for node in problem.node_ids() {
                let terms = self.usage(problem, node, r);
                let limit = problem.soft_limit(node)[r] as f64;
                self.convex_term(terms, -limit, resource.load_weight as f64, demand > soft);
            }
        }
    }

    /// −weight · max(0, target · free_r1 − free_r2) on every node.
    fn balance_terms(&mut self, problem: &Problem) {
        for term in &problem.objective.balance {
            let target = term.target as f64;
            let total = |r: usize| {
                let capacity: f64 = problem.node_ids().map(|node| problem.allocatable(node)[r] as f64).sum();
                capacity - problem.task_ids().map(|task| problem.requirement(task)[r] as f64).sum::<f64>()
            };
            let is_short = target * total(term.resource.index()) > total(term.other.index());
            for node in problem.node_ids() {
                let allocatable = problem.allocatable(node);
                let constant =
                    target * allocatable[term.resource.index()] as f64 - allocatable[term.other.index()] as f64;
                let mut sum: HashMap<usize, f64> = HashMap::new();
                for (column, amount) in self.usage(problem, node, term.resource.index()) {
                    *sum.entry(column).or_default() -= target * amount;
                }
                for (column, amount) in self.usage(problem, node, term.other.index()) {
                    *sum.entry(column).or_default() += amount;
                }
                let mut terms: Vec<_> = sum.into_iter().collect();
                terms.sort_by_key(|(column, _)| *column);
                self.convex_term(terms, constant, term.weight as f64, is_short);
            }
        }
    }

    /// −weight · max(0, e) for e = Σ terms + constant. Where e is positive in sum over the nodes it is written as
    /// −weight · (e + max(0, −e)): the large part is then linear, and what the backend has to resolve is small.
    fn convex_term(&mut self, terms: Vec<(usize, f64)>, constant: f64, weight: f64, is_positive: bool) {
        let excess = self.program.column(0.0, f64::INFINITY, -weight, false);
        let sign = if is_positive { -1.0 } else { 1.0 };
        if is_positive {
            self.program.constant -= weight * constant;
            for (column, factor) in &terms {
                self.program.columns[*column].points -= weight * factor;
            }
        }
        // ±e ≤ excess; the excess is counted in the unit of the largest factor, as the row will be.
        let unit = terms.iter().map(|(_, factor)| factor.abs()).fold(1.0, f64::max);
        self.program.columns[excess].points *= unit;
        let mut row: Vec<_> = terms.into_iter().map(|(column, factor)| (column, sign * factor)).collect();
        row.push((excess, -unit));
        self.program.at_most("excess", row, -sign * constant);
    }

    /// −(task cost + pair cost) per moved task, −weight · max over groups of tasks moved, and at most `max_moves` moves.
    fn move_terms(&mut self, problem: &Problem) {
        let objective = &problem.objective;
        let mut moved_rows: HashMap<GroupId, Vec<(usize, f64)>> = HashMap::new();
        let mut moved_constant: HashMap<GroupId, f64> = HashMap::new();
        let (mut all_moved, mut all_constant) = (Vec::new(), 0.0);
        for k in 0..self.classes.len() {
            let class = &self.classes[k];
            let Some(home) = class.home else { continue };
            let spec = &problem.tasks[class.tasks[0].index()];
            let cost = (objective.task_move_weight as f64) * spec.move_cost as f64;
            let pair = |node: NodeId| objective.node_move_weight as f64 * problem.pair_cost(home, node) as f64;
            // Moved tasks as Σ terms + constant.
            let (terms, constant): (Vec<(usize, f64)>, f64) = if class.sharing == Sharing::Divisible {
                if !is_counted(problem, spec, problem.current.spot(class.tasks[0])) {
                    continue;
                }
                let moved = self.program.column(0.0, 1.0, 0.0, true);
                let spot = problem.current.spot(self.classes[k].tasks[0]).clone();
                let mut costs = Vec::new();
                for place in &self.classes[k].places {
                    let count = place.count.expect("counted");
                    if spot.is_on(place.node) {
                        self.program.at_most("moved", vec![(count, -1.0), (moved, -1.0)], -1.0);
                        // Being counted must mean being there.
                        let least = 1.0 / f64::from(SHARE_ONE);
                        self.program.at_most("moved", vec![(count, least), (place.share, -1.0)], 0.0);
                    } else {
                        self.program.at_most("moved", vec![(count, 1.0), (moved, -1.0)], 0.0);
                        costs.push((count, pair(place.node)));
                    }
                }
                self.charge(&costs);
                self.charge(&[(moved, cost)]);
                (vec![(moved, 1.0)], 0.0)
            } else {
                let at_home = class.places.iter().find(|place| place.node == home).and_then(|place| place.count);
                let away = class.places.iter().filter(|place| place.node != home);
                let costs: Vec<_> =
                    away.filter_map(|place| place.count.map(|c| (c, pair(place.node) + cost))).collect();
                let size = class.tasks.len() as f64;
                self.charge(&costs);
                if spec.evictable {
                    // A stopped task is moved, too: n − Σ_j x.
                    self.program.constant -= cost * size;
                    let class = &self.classes[k];
                    let everywhere: Vec<usize> = class.places.iter().filter_map(|place| place.count).collect();
                    for column in everywhere {
                        self.program.columns[column].points += cost;
                    }
                }
                (at_home.map(|c| (c, -1.0)).into_iter().collect(), size)
            };
            if let Some(group) = spec.group {
                moved_rows.entry(group).or_default().extend(&terms);
                *moved_constant.entry(group).or_default() += constant;
            }
            all_constant += constant;
            all_moved.extend(terms);
        }
        if objective.group_move_weight > 0 && !moved_rows.is_empty() {
            let most = self.program.column(0.0, f64::INFINITY, 0.0, true);
            self.charge(&[(most, objective.group_move_weight as f64)]);
            // Only where every task that can move is in a group does any move make it 1 or more.
            let is_grouped = |class: &Class| problem.tasks[class.tasks[0].index()].group.is_some();
            self.most_moved = self.classes.iter().filter(|c| c.home.is_some()).all(is_grouped).then_some(most);
            let mut groups: Vec<_> = moved_rows.into_iter().collect();
            groups.sort_by_key(|(group, _)| *group);
            for (group, mut terms) in groups {
                terms.push((most, -1.0));
                self.program.at_most("group_move", terms, -moved_constant[&group]);
            }
        }
        if let Some(budget) = problem.moves.max_moves {
            self.program.at_most("move_budget", all_moved, f64::from(budget) - all_constant);
        }
    }

    /// Books points lost per unit of a column as move points.
    fn charge(&mut self, costs: &[(usize, f64)]) {
        for (column, cost) in costs.iter().filter(|(_, cost)| *cost != 0.0) {
            self.program.columns[*column].points -= cost;
            self.move_points.push((*column, *cost));
        }
    }

    /// −weight · price_j · on_j, with x_kj ≤ n_k · on_j.
    fn price_terms(&mut self, problem: &Problem) {
        for node in problem.node_ids() {
            let points = problem.objective.price_weight as f64 * problem.nodes[node.index()].price as f64;
            if points == 0.0 {
                continue;
            }
            let on = self.program.column(0.0, 1.0, -points, true);
            for k in 0..self.classes.len() {
                let size = self.classes[k].tasks.len() as f64;
                if let Some(place) = self.classes[k].places.iter().find(|place| place.node == node) {
                    let column = place.count.unwrap_or(place.share);
                    self.program.at_most("price", vec![(column, 1.0), (on, -size)], 0.0);
                }
            }
        }
    }

    /// What a task costs wherever it runs is no choice if it must run: those points become part of the constant, so that
    /// the backend sees only differences.
    fn center(&mut self, problem: &Problem) {
        for class in self.classes.iter().filter(|class| class.sharing == Sharing::Rigid) {
            let spec = &problem.tasks[class.tasks[0].index()];
            let Some(home) = class.home.filter(|_| !spec.evictable) else { continue };
            let count = |place: &Place| place.count.expect("rigid classes are counted");
            let Some(at_home) = class.places.iter().find(|place| place.node == home).map(count) else { continue };
            let points = self.program.columns[at_home].points;
            self.program.constant += points * class.tasks.len() as f64;
            for place in &class.places {
                self.program.columns[count(place)].points -= points;
            }
        }
    }

    /// The placement of a solution: counts rounded, shares rounded down to whole parts. It may still break a rule by
    /// rounding; the caller asks the model.
    pub fn placement(&self, problem: &Problem, values: &[f64]) -> Placement {
        let mut placement = Placement::empty(problem.tasks.len());
        for class in &self.classes {
            if class.sharing == Sharing::Divisible {
                self.pour(class, values, &mut placement);
            } else {
                self.deal(problem, class, values, &mut placement);
            }
        }
        placement
    }

    /// Shares of a divisible class, filled task by task.
    fn pour(&self, class: &Class, values: &[f64], placement: &mut Placement) {
        let parts = |value: f64| (value * f64::from(SHARE_ONE) + 0.5).floor().max(0.0) as u64;
        let mut open: Vec<(NodeId, u64)> = class.places.iter().map(|p| (p.node, parts(values[p.share]))).collect();
        for task in &class.tasks {
            let (mut pieces, mut left) = (Vec::new(), u64::from(SHARE_ONE));
            for (node, available) in &mut open {
                let taken = left.min(*available);
                (*available, left) = (*available - taken, left - taken);
                pieces.push(Piece {
                    node: *node,
                    share: Share::from_parts(taken as u32).expect("at most one whole"),
                    devices: 0,
                });
            }
            placement.set(*task, Spot::from_pieces(pieces));
        }
    }

    /// Nodes and devices of a rigid or elastic class.
    fn deal(&self, problem: &Problem, class: &Class, values: &[f64], placement: &mut Placement) {
        let mut tasks = class.tasks.iter();
        for place in &class.places {
            let count = values[place.count.expect("rigid and elastic classes are counted")].round().max(0.0) as usize;
            if count == 0 {
                continue;
            }
            let each = values[place.share] / count as f64;
            let share = match class.sharing {
                Sharing::Elastic { min } => {
                    let parts =
                        (each * f64::from(SHARE_ONE) + 0.5).floor().clamp(f64::from(min.parts()), f64::from(SHARE_ONE));
                    Share::from_parts(parts as u32).expect("clamped")
                }
                _ => Share::ONE,
            };
            let mut free: Vec<u32> = Vec::new();
            for (device, column) in &place.devices {
                free.extend(std::iter::repeat_n(*device, values[*column].round().max(0.0) as usize));
            }
            for task in tasks.by_ref().take(count) {
                let wanted = problem.tasks[task.index()].device.as_ref().map_or(0, |request| request.count as usize);
                let devices = free.drain(..wanted.min(free.len())).fold(0u64, |set, d| set | 1 << d);
                placement.set(*task, Spot::On(Piece { node: place.node, share, devices }));
            }
        }
    }
}

fn ones(columns: &[usize], factor: f64) -> Vec<(usize, f64)> {
    columns.iter().map(|column| (*column, factor)).collect()
}

/// Does any rule or cost ask where a divisible task has a piece?
fn is_counted(problem: &Problem, spec: &Task, home: &Spot) -> bool {
    let holds = problem.moves.simultaneous && problem.resources.iter().any(|resource| resource.transient);
    let is_asked = holds || problem.moves.max_moves.is_some() || has_move_points(problem, spec);
    spec.group.is_some() || (home.is_placed() && is_asked)
}

fn has_move_points(problem: &Problem, spec: &Task) -> bool {
    let objective = &problem.objective;
    objective.task_move_weight * spec.move_cost > 0 || objective.node_move_weight > 0
}

/// Tasks that nothing tells apart. What runs on devices, and what is counted piece by piece, stays on its own.
fn classes(problem: &Problem) -> Vec<Vec<TaskId>> {
    let mut index: HashMap<String, usize> = HashMap::new();
    let mut classes: Vec<Vec<TaskId>> = Vec::new();
    for task in problem.task_ids() {
        let spec = &problem.tasks[task.index()];
        let home = problem.current.spot(task);
        let is_alone = (spec.device.is_some() && home.is_placed())
            || (spec.sharing == Sharing::Divisible && (is_counted(problem, spec, home) || spec.pinned));
        let alone = if is_alone { task.0 } else { u32::MAX };
        let flags = (spec.pinned, spec.evictable, spec.move_cost, spec.weight, spec.group, alone);
        let needs = (problem.requirement(task), &spec.sharing, &spec.device, &spec.selector, &spec.tolerations);
        let key = format!("{flags:?} {needs:?} {home:?}");
        let class = *index.entry(key).or_insert_with(|| {
            classes.push(Vec::new());
            classes.len() - 1
        });
        classes[class].push(task);
    }
    classes
}
