//! Google/ROADEF-EURO 2012 machine reassignment: model and assignment in, assignment out.
//!
//! The files are flat lists of non-negative integers (challenge statement, "Instance file format"). Processes become tasks
//! `p0`…, machines nodes `m0`…, services groups `s0`… with a conflict per node, spread over `location`s and dependencies
//! within `neighborhood`s. All moves are simultaneous. The machine move cost matrix is kept by classes of machines that
//! share rows and columns, so that a snapshot of 5,000 machines does not hold 25 million numbers.

use crate::model::*;
use std::collections::HashMap;

/// Largest figure in a file.
const FIGURE_MAX: u64 = u32::MAX as u64;

/// A model file and its initial assignment as a snapshot.
///
/// # Errors
/// Every malformed or missing number, with its position and the record it belongs to.
pub fn import(model: &[u8], assignment: &[u8]) -> Result<Snapshot, Faults> {
    let mut faults = Faults::new();
    let figures = integers("model", model, &mut faults);
    let homes = integers("assignment", assignment, &mut faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut reader = Reader { figures: &figures, next: 0, faults };
    let snapshot = reader.snapshot(&homes);
    match snapshot {
        Some(snapshot) if reader.faults.is_empty() => Ok(snapshot),
        _ => Err(reader.faults),
    }
}

/// The assignment file of a placement: one machine index per process.
///
/// # Errors
/// When a task is unplaced or split, or a node is none of the machines `m0`….
pub fn export(problem: &Problem, placement: &Placement) -> Result<String, Faults> {
    let mut faults = Faults::new();
    let mut text = String::with_capacity(problem.tasks.len() * 5);
    for task in problem.task_ids() {
        let name = &problem.tasks[task.index()].name;
        match placement.spot(task) {
            Spot::On(piece) => {
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(&piece.node.0.to_string());
            }
            _ => {
                faults.add("I301", format!("task {name}"), "it is not on one machine", "every process needs a machine")
            }
        }
    }
    let is_machine = |(i, node): (usize, &Node)| node.name == format!("m{i}");
    if !problem.nodes.iter().enumerate().all(is_machine) {
        let remedy = "export only snapshots made by `bayplan import roadef`";
        faults.add("I302", "nodes", "the nodes are not the machines m0, m1, … of a model file", remedy);
    }
    text.push('\n');
    if faults.is_empty() { Ok(text) } else { Err(faults) }
}

/// All whitespace-separated integers of a file.
fn integers(file: &str, bytes: &[u8], faults: &mut Faults) -> Vec<u64> {
    let mut list = Vec::with_capacity(bytes.len() / 3);
    for word in bytes.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
        let digits = word.len() <= 10 && word.iter().all(u8::is_ascii_digit);
        let value =
            word.iter().fold(0, |value, byte| if digits { value * 10 + u64::from(byte - b'0') } else { u64::MAX });
        if value > FIGURE_MAX {
            let shown: String = String::from_utf8_lossy(word).chars().take(24).collect();
            let place = format!("{file} file, number {}", list.len() + 1);
            let remedy = format!("the format has whole numbers from 0 to {FIGURE_MAX} only");
            faults.add("I201", place, format!("{shown:?} is no such number"), remedy);
        }
        list.push(value);
    }
    if list.is_empty() {
        faults.add("I101", format!("{file} file"), "it holds no number", "give a file of the challenge's format");
    }
    list
}

struct Reader<'a> {
    figures: &'a [u64],
    next: usize,
    faults: Faults,
}

impl Reader<'_> {
    fn take(&mut self, record: impl Fn() -> String) -> Option<i64> {
        let value = self.figures.get(self.next).map(|value| *value as i64);
        if value.is_none() {
            let cause = format!("the file ends after {} numbers, in {}", self.figures.len(), record());
            self.faults.add("I102", "model file", cause, "the file is incomplete, or a count in it is too large");
        }
        self.next += 1;
        value
    }

    /// A count of records that take at least `least` numbers each, so that a wrong count cannot ask for the memory of millions.
    fn count(&mut self, what: &str, least: usize) -> Option<usize> {
        let count = self.take(|| format!("the number of {what}"))? as usize;
        let left = self.figures.len().saturating_sub(self.next);
        if count.saturating_mul(least) > left {
            let cause =
                format!("{count} {what} need at least {} numbers, {left} are left", count.saturating_mul(least));
            let place = format!("model file, number {}", self.next);
            self.faults.add("I103", place, cause, "the file is incomplete, or the count is wrong");
            return None;
        }
        Some(count)
    }

    fn snapshot(&mut self, homes: &[u64]) -> Option<Snapshot> {
        let mut snapshot = Snapshot {
            name: "roadef".into(),
            levels: vec!["location".into(), "neighborhood".into()],
            moves: MovesSpec { mode: MoveMode::Simultaneous, ..MovesSpec::default() },
            ..Snapshot::default()
        };
        let resource_count = self.count("resources", 2)?;
        for r in 0..resource_count {
            let record = || format!("resource {r}");
            let transient = self.take(record)?;
            let load_weight = self.take(record)?;
            if transient > 1 {
                let place = format!("model file, number {}", self.next - 1);
                self.faults.add(
                    "I202",
                    place,
                    format!("resource {r} has transient flag {transient}"),
                    "the flag is 0 or 1",
                );
            }
            let spec = ResourceSpec {
                name: format!("r{r}"),
                unit: String::new(),
                transient: transient == 1,
                load_weight,
                variance_weight: 0,
            };
            snapshot.resources.push(spec);
        }
        self.machines(&mut snapshot)?;
        self.services(&mut snapshot)?;
        self.processes(&mut snapshot, homes)?;
        self.objective(&mut snapshot)?;
        if self.next < self.figures.len() {
            let cause = format!("{} numbers are left over after the last record", self.figures.len() - self.next);
            self.faults.add(
                "I104",
                format!("model file, number {}", self.next + 1),
                cause,
                "a count in the file is too small",
            );
        }
        Some(snapshot)
    }

    fn machines(&mut self, snapshot: &mut Snapshot) -> Option<()> {
        let resource_count = snapshot.resources.len();
        let machine_count = self.count("machines", 3 + 2 * resource_count)?;
        let mut costs = Vec::new();
        for m in 0..machine_count {
            let record = || format!("machine {m}");
            let (neighborhood, location) = (self.take(record)?, self.take(record)?);
            let mut node = NodeSpec { name: format!("m{m}"), ..NodeSpec::default() };
            node.domains.insert("location".into(), format!("l{location}"));
            node.domains.insert("neighborhood".into(), format!("n{neighborhood}"));
            for r in 0..resource_count {
                node.allocatable.insert(format!("r{r}"), self.take(record)?);
            }
            for r in 0..resource_count {
                node.soft_limit.insert(format!("r{r}"), self.take(record)?);
            }
            let row = self.figures.get(self.next..self.next + machine_count);
            let Some(row) = row else {
                self.next = self.figures.len();
                self.take(|| format!("the move costs of machine {m}"));
                return None;
            };
            costs.push(row);
            self.next += machine_count;
            snapshot.nodes.push(node);
        }
        let (classes, spec) = move_classes(&costs);
        for (node, class) in snapshot.nodes.iter_mut().zip(classes) {
            node.move_class = Some(format!("c{class}"));
        }
        snapshot.objective.move_costs = Some(spec);
        Some(())
    }

    fn services(&mut self, snapshot: &mut Snapshot) -> Option<()> {
        let service_count = self.count("services", 2)?;
        for s in 0..service_count {
            let record = || format!("service {s}");
            let spread = self.take(record)?;
            let mut group = GroupSpec { name: format!("s{s}"), conflict: vec!["node".into()], ..GroupSpec::default() };
            if spread > 0 {
                group.spread.push(SpreadSpec { level: "location".into(), min: spread as u32 });
            }
            let dependency_count = self.count("dependencies", 1)?;
            for _ in 0..dependency_count {
                let other = self.take(record)?;
                if other as usize >= service_count {
                    let place = format!("model file, number {}", self.next);
                    let cause = format!("service {s} depends on service {other}, there are {service_count}");
                    self.faults.add("I301", place, cause, "services are numbered from 0");
                }
                group.depends_on.push(DependencySpec { group: format!("s{other}"), level: "neighborhood".into() });
            }
            snapshot.groups.push(group);
        }
        Some(())
    }

    fn processes(&mut self, snapshot: &mut Snapshot, homes: &[u64]) -> Option<()> {
        let resource_count = snapshot.resources.len();
        let process_count = self.count("processes", 2 + resource_count)?;
        if homes.len() != process_count {
            let cause = format!("{} machines for {process_count} processes", homes.len());
            self.faults.add("I105", "assignment file", cause, "give the assignment that belongs to this model");
        }
        for p in 0..process_count {
            let record = || format!("process {p}");
            let service = self.take(record)?;
            if service as usize >= snapshot.groups.len() {
                let place = format!("model file, number {}", self.next);
                let cause = format!("process {p} is of service {service}, there are {}", snapshot.groups.len());
                self.faults.add("I301", place, cause, "services are numbered from 0");
            }
            let mut task =
                TaskSpec { name: format!("p{p}"), group: Some(format!("s{service}")), ..TaskSpec::default() };
            for r in 0..resource_count {
                task.requirement.insert(format!("r{r}"), self.take(record)?);
            }
            task.move_cost = self.take(record)?;
            match homes.get(p) {
                Some(home) if *home < snapshot.nodes.len() as u64 => {
                    task.placement = vec![PieceSpec { node: format!("m{home}"), ..PieceSpec::default() }];
                }
                Some(home) => {
                    let cause = format!("process {p} is on machine {home}, there are {}", snapshot.nodes.len());
                    self.faults.add(
                        "I301",
                        format!("assignment file, number {}", p + 1),
                        cause,
                        "machines are numbered from 0",
                    );
                }
                None => {}
            }
            snapshot.tasks.push(task);
        }
        Some(())
    }

    fn objective(&mut self, snapshot: &mut Snapshot) -> Option<()> {
        let resource_count = snapshot.resources.len() as i64;
        let balance_count = self.count("balance costs", 4)?;
        for b in 0..balance_count {
            let record = || format!("balance cost {b}");
            let (resource, other) = (self.take(record)?, self.take(record)?);
            for r in [resource, other].into_iter().filter(|r| *r >= resource_count) {
                let place = format!("model file, number {}", self.next);
                let cause = format!("balance cost {b} names resource {r}, there are {resource_count}");
                self.faults.add("I301", place, cause, "resources are numbered from 0");
            }
            let (target, weight) = (self.take(record)?, self.take(record)?);
            let (resource, other) = (format!("r{resource}"), format!("r{other}"));
            snapshot.objective.balance.push(BalanceSpec { resource, other, target, weight });
        }
        let record = || "the weights of the move costs".to_string();
        snapshot.objective.task_move_weight = self.take(record)?;
        snapshot.objective.group_move_weight = self.take(record)?;
        snapshot.objective.node_move_weight = self.take(record)?;
        Some(())
    }
}

/// The class of each machine, and the costs between classes.
///
/// Machines are of one class when their rows and their columns are equal (a cost from a machine to itself never counts, so
/// the diagonal is read as the cost to another machine of the class, when there is one).
fn move_classes(costs: &[&[u64]]) -> (Vec<usize>, MoveCostsSpec) {
    let count = costs.len();
    let mut hashes = vec![(0u64, 0u64); count];
    let mix = |sum: u64, value: u64| (sum ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    for (i, row) in costs.iter().enumerate() {
        for (j, value) in row.iter().enumerate() {
            hashes[i].0 = mix(hashes[i].0, *value);
            hashes[j].1 = mix(hashes[j].1, *value);
        }
    }
    // Rows and columns that hash alike are compared before they share a class.
    let equal = |a: usize, b: usize| costs[a] == costs[b] && costs.iter().all(|row| row[a] == row[b]);
    let mut members: HashMap<(u64, u64), Vec<usize>> = HashMap::new();
    let mut samples: Vec<usize> = Vec::new();
    let mut classes = vec![0; count];
    for i in 0..count {
        let known = members.entry(hashes[i]).or_default();
        classes[i] = match known.iter().find(|class| equal(samples[**class], i)) {
            Some(class) => *class,
            None => {
                known.push(samples.len());
                samples.push(i);
                samples.len() - 1
            }
        };
    }
    let mut frequency: HashMap<u64, usize> = HashMap::new();
    for a in &samples {
        for b in &samples {
            *frequency.entry(costs[*a][*b]).or_default() += 1;
        }
    }
    let default =
        frequency.into_iter().max_by_key(|(value, count)| (*count, std::cmp::Reverse(*value))).map_or(0, |(v, _)| v);
    let mut between = Vec::new();
    for (a, from) in samples.iter().enumerate() {
        for (b, to) in samples.iter().enumerate().filter(|(_, to)| costs[*from][**to] != default) {
            between.push((format!("c{a}"), format!("c{b}"), costs[*from][*to] as i64));
        }
    }
    (classes, MoveCostsSpec { default: default as i64, between })
}
