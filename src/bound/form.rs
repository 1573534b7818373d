//! Which nodes and which tasks are alike? The problem as the bound sees it: places, kinds of tasks, and who may go where.
//!
//! Nodes that nothing but their name tells apart become one *place* with one set of prices, and tasks one *kind* that is judged
//! once. For the bound nothing is lost: it is convex in the prices, and swapping the prices of two nodes that are alike swaps
//! what they and the tasks get, so the mean of both sets of prices is at least as good as either (the same holds of the linear
//! program, see `linear.rs`). A node where something runs is like no other, unless the problem is too large for that.

use super::price::Desk;
use crate::control::Control;
use crate::exact;
use crate::model::{
    DEVICE_MILLI, DEVICE_ROW_COUNT, DeviceRequest, GroupId, NodeId, Place as Where, Placement, Problem, Rule,
    SHARE_ONE, Share, Sharing, Spot, TaskId, Toleration, Usage, device_units, newcomer_forbidden, violations,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Up to so many pairs of a task and a node, nodes where something runs have prices of their own.
const PAIRS_MAX: u64 = 1 << 27;
/// Most entries of the table of pair costs; beyond it they are left out (a cost is never negative).
const MOVES_MAX: usize = 1 << 24;
/// Tasks from one look at the clock to the next; fewer are always looked at.
const STOP_EVERY: usize = 4096;
/// No home, or no row of pair costs.
pub(super) const NONE: u32 = crate::kernel::price::NOWHERE;

/// Nodes that are alike.
pub(super) struct Place {
    /// Ascending.
    pub nodes: Vec<NodeId>,
    /// Most that may be used, scaled. Shape: resources.
    pub limit: Vec<i128>,
    /// What arrives finds so much room, scaled, over all nodes of the place. Shape: resources.
    pub room: Vec<i128>,
    /// The largest that one newcomer can be, scaled, on any node of the place. Shape: resources.
    pub largest: Vec<i128>,
    /// Room on the devices of one node. Shape: device rows.
    pub device: Vec<i128>,
}

impl Place {
    /// The node that speaks for all.
    pub fn first(&self) -> NodeId {
        self.nodes[0]
    }

    pub fn count(&self) -> i128 {
        self.nodes.len() as i128
    }
}

/// Tasks that are alike.
pub(super) struct Kind {
    /// The task that speaks for all.
    pub first: TaskId,
    pub count: i128,
    /// Pieces at the start: place and share.
    pub pieces: Vec<(u32, Share)>,
    /// Row of [`Form::masks`].
    pub mask: u32,
    /// Row of [`Form::moves`]; [`NONE`] = no pair costs.
    pub from: u32,
    /// Devices at home are not those it asks for, so they are not counted.
    pub is_loose: bool,
    /// Any share from 0 to 1, split over any nodes: divisible, or elastic with less than its least share at the start.
    pub is_fluid: bool,
    /// The gang it stands or falls with.
    pub gang: Option<GroupId>,
}

/// The problem, for the bound.
pub(super) struct Form<'a> {
    pub problem: &'a Problem,
    /// Resources.
    pub width: usize,
    /// Rows per kind of device, see [`Problem::device_row_count`].
    pub device_rows: usize,
    /// Resources and device rows.
    pub columns: usize,
    pub places: Vec<Place>,
    pub kinds: Vec<Kind>,
    /// Amounts and device units of every kind. Shape: kinds × columns.
    pub requirement: Vec<i64>,
    /// Which places admit newcomers, one bit each. Shape: masks × [`Form::mask_words`].
    pub masks: Vec<u32>,
    pub mask_words: usize,
    /// Weighted pair costs by row and place; empty = none.
    pub moves: Vec<i64>,
    /// Objectives are multiples of this.
    pub granularity: i128,
    /// Where kinds are priced.
    pub desk: Desk,
}

/// What tells kinds apart.
type KindKey<'a> = (
    (i64, Sharing, Option<&'a DeviceRequest>, bool, bool, i64),
    (&'a BTreeMap<String, Vec<String>>, &'a Vec<Toleration>, &'a [i64]),
    (Vec<(u32, Share)>, bool, Option<GroupId>, u32),
);

impl<'a> Form<'a> {
    /// Finds places and kinds; without `merge`, every node is a place of its own. `None` when it must stop before the end.
    pub fn new(problem: &'a Problem, merge: bool, control: &Control) -> Option<Form<'a>> {
        let width = problem.resources.len();
        let device_rows = problem.device_row_count();
        let columns = width + problem.device_kinds.len() * device_rows;
        // Variance and fragmentation come in whole points.
        let has_others = !problem.objective.variance.is_empty() || problem.objective.fragmentation_weight > 0;
        let other = if has_others { i128::from(SHARE_ONE) } else { 0 };
        let (places, place_of) = places(problem, merge, device_rows);
        let mask_words = places.len().div_ceil(32);
        let mut form = Form {
            problem,
            width,
            device_rows,
            columns,
            places,
            kinds: Vec::new(),
            requirement: Vec::new(),
            masks: Vec::new(),
            mask_words,
            moves: Vec::new(),
            granularity: exact::granularity(problem, other),
            desk: Desk::closed(),
        };
        let is_whole = form.kinds(&place_of, control);
        is_whole.then_some(form)
    }

    /// Amounts and device units of a kind. Shape: columns.
    pub fn requirement(&self, kind: usize) -> &[i64] {
        &self.requirement[kind * self.columns..][..self.columns]
    }

    /// True when a newcomer of the mask may enter the place.
    pub fn admits(&self, mask: u32, place: usize) -> bool {
        self.masks[mask as usize * self.mask_words + place / 32] >> (place % 32) & 1 == 1
    }

    /// Weighted pair cost of a move to a place.
    pub fn move_points(&self, from: u32, place: usize) -> i64 {
        if from == NONE { 0 } else { self.moves[from as usize * self.places.len() + place] }
    }

    /// False when it must stop before all tasks have a kind.
    fn kinds(&mut self, place_of: &[u32], control: &Control) -> bool {
        let problem = self.problem;
        let before = violations(problem, &problem.current);
        let shared = before.iter().filter(|violation| violation.rule == Rule::Share);
        let illegal: BTreeSet<Where> = shared.map(|violation| violation.place).collect();
        let torn: BTreeSet<Where> = before.iter().filter(|v| v.rule == Rule::Gang).map(|v| v.place).collect();
        // A gang that can do without some of its members is left to each of them.
        let needs_all = |group: GroupId| {
            let spec = &problem.groups[group.index()];
            spec.gang.is_some_and(|gang| gang.least as usize >= spec.members.len())
        };
        let has_group = problem.objective.group_move_weight > 0;
        let has_pairs = problem.objective.node_move_weight > 0 && problem.objective.move_costs.class_count > 0;
        let mut known: HashMap<KindKey, usize> = HashMap::new();
        let mut masks = Masks::new(self);
        let mut rows: HashMap<u32, u32> = HashMap::new();
        for task in problem.task_ids() {
            // Not because a search is settled: that may be sooner than anything is proven.
            if task.index() % STOP_EVERY == STOP_EVERY - 1 && (control.is_stopped() || control.is_late()) {
                return false;
            }
            let spec = &problem.tasks[task.index()];
            let spot = problem.current.spot(task);
            let gang = spec.group.filter(|group| needs_all(*group) && !torn.contains(&Where::Group(*group)));
            let pieces: Vec<(u32, Share)> =
                spot.pieces().iter().map(|piece| (place_of[piece.node.index()], piece.share)).collect();
            let is_loose = has_other_devices(problem, task);
            let is_illegal = illegal.contains(&Where::Task(task));
            let own_group = spec.group.filter(|_| has_group || gang.is_some());
            let alone = if spec.pinned || is_illegal { task.0 } else { NONE };
            let key = (
                (spec.weight, spec.sharing, spec.device.as_ref(), spec.pinned, spec.evictable, spec.move_cost),
                (&spec.selector, &spec.tolerations, problem.requirement(task)),
                (pieces, is_loose, own_group, alone),
            );
            if let Some(kind) = known.get(&key) {
                self.kinds[*kind].count += 1;
                continue;
            }
            let home_class = spot.node().map(|node| problem.nodes[node.index()].move_class);
            let next = rows.len() as u32;
            let from = home_class.filter(|_| has_pairs && spot.pieces().len() == 1);
            let from = from.map_or(NONE, |class| *rows.entry(class).or_insert(next));
            let requirement = units(problem, task, self.device_rows);
            let is_fluid = spec.sharing == Sharing::Divisible || is_illegal;
            self.kinds.push(Kind {
                first: task,
                count: 1,
                pieces: key.2.0.clone(),
                mask: masks.of(self, task, &requirement, is_fluid),
                from,
                is_loose,
                is_fluid,
                gang,
            });
            self.requirement.extend(requirement);
            known.insert(key, self.kinds.len() - 1);
        }
        self.masks = masks.words;
        self.move_table(rows);
        true
    }

    fn move_table(&mut self, rows: HashMap<u32, u32>) {
        if rows.len() * self.places.len() > MOVES_MAX {
            self.kinds.iter_mut().for_each(|kind| kind.from = NONE);
            return;
        }
        let costs = &self.problem.objective.move_costs;
        self.moves = vec![0; rows.len() * self.places.len()];
        for (class, row) in rows {
            for (k, place) in self.places.iter().enumerate() {
                let to = self.problem.nodes[place.first().index()].move_class;
                let cost = costs.cost[class as usize * costs.class_count + to as usize];
                let weighted = i128::from(cost) * i128::from(self.problem.objective.node_move_weight);
                // Less than the true cost keeps the bound valid; no such cost is ever paid.
                self.moves[row as usize * self.places.len() + k] = weighted.min(1 << 60) as i64;
            }
        }
    }
}

/// Amounts, then device units by kind of device and row.
fn units(problem: &Problem, task: TaskId, rows: usize) -> Vec<i64> {
    let mut row = problem.requirement(task).to_vec();
    let request = problem.tasks[task.index()].device.as_ref();
    for kind in 0..problem.device_kinds.len() as u32 {
        let request = request.filter(|request| request.kind == kind);
        row.extend((0..rows).map(|k| request.map_or(0, |request| request.row_units(k) as i64)));
    }
    row
}

/// True when the devices that a task holds at the start are not those it asks for: it may keep them.
fn has_other_devices(problem: &Problem, task: TaskId) -> bool {
    let request = problem.tasks[task.index()].device.as_ref();
    problem.current.spot(task).pieces().iter().any(|piece| {
        let eligible = request.map_or(0, |request| request.eligible(&problem.nodes[piece.node.index()]));
        let count = request.map_or(0, |request| request.count);
        piece.devices & !eligible != 0 || piece.devices.count_ones() != count
    })
}

/// What decides where a task may enter, whatever its size.
type DoorKey<'a> = (&'a BTreeMap<String, Vec<String>>, &'a Vec<Toleration>, Option<&'a DeviceRequest>);

/// Sets of places that admit newcomers, each held once.
struct Masks<'a> {
    words: Vec<u32>,
    count: u32,
    by_rules: HashMap<DoorKey<'a>, u32>,
    by_words: HashMap<Vec<u32>, u32>,
    /// Least of the largest newcomers over all places: what is not above it fits everywhere.
    least: Vec<i128>,
}

impl<'a> Masks<'a> {
    fn new(form: &Form<'a>) -> Masks<'a> {
        let least = |r: usize| form.places.iter().map(|place| place.largest[r]).min().unwrap_or(0);
        let least = (0..form.width).map(least).collect();
        Masks { words: Vec::new(), count: 0, by_rules: HashMap::new(), by_words: HashMap::new(), least }
    }

    fn of(&mut self, form: &Form<'a>, task: TaskId, requirement: &[i64], is_fluid: bool) -> u32 {
        let spec = &form.problem.tasks[task.index()];
        let key = (&spec.selector, &spec.tolerations, spec.device.as_ref());
        let by_rules = match self.by_rules.get(&key) {
            Some(mask) => *mask,
            None => {
                let admits = |k: usize| {
                    let node = form.places[k].first();
                    newcomer_forbidden(form.problem, task, node).is_none()
                };
                let mask = self.add(form, admits);
                self.by_rules.insert(key, mask);
                mask
            }
        };
        let parts = match spec.sharing {
            Sharing::Rigid => i128::from(SHARE_ONE),
            Sharing::Elastic { min } if !is_fluid => i128::from(min.parts()),
            _ => 0,
        };
        let fits = |limit: &[i128]| limit.iter().zip(requirement).all(|(most, own)| i128::from(*own) * parts <= *most);
        if fits(&self.least) {
            return by_rules;
        }
        let old = self.words[by_rules as usize * form.mask_words..][..form.mask_words].to_vec();
        self.add(form, |k| old[k / 32] >> (k % 32) & 1 == 1 && fits(&form.places[k].largest))
    }

    fn add(&mut self, form: &Form, admits: impl Fn(usize) -> bool) -> u32 {
        let mut words = vec![0u32; form.mask_words];
        (0..form.places.len()).filter(|k| admits(*k)).for_each(|k| words[k / 32] |= 1 << (k % 32));
        if let Some(mask) = self.by_words.get(&words) {
            return *mask;
        }
        self.words.extend(&words);
        self.by_words.insert(words, self.count);
        self.count += 1;
        self.count - 1
    }
}

/// Nodes by place, and the place of every node.
fn places(problem: &Problem, merge: bool, device_rows: usize) -> (Vec<Place>, Vec<u32>) {
    let one = i128::from(SHARE_ONE);
    let usage = Usage::of(problem, &problem.current);
    let mut is_home = vec![false; problem.nodes.len()];
    problem.current.spots().iter().flat_map(|s| s.pieces()).for_each(|p| is_home[p.node.index()] = true);
    let is_small = problem.nodes.len() as u64 * problem.tasks.len() as u64 <= PAIRS_MAX;
    let pinned = pinned_usage(problem);
    let kept = kept_amounts(problem);
    let mut places: Vec<Place> = Vec::new();
    let mut place_of = Vec::with_capacity(problem.nodes.len());
    let mut known: HashMap<_, u32> = HashMap::new();
    for node in problem.node_ids() {
        let spec = &problem.nodes[node.index()];
        let used = usage.amounts(node);
        let capacity = problem.allocatable(node).iter().map(|amount| i128::from(*amount) * one);
        let limit: Vec<i128> = capacity.zip(used).map(|(capacity, used)| capacity.max(*used)).collect();
        let room: Vec<i128> = limit.iter().zip(used).map(|(limit, used)| limit - used).collect();
        let device = device_room(problem, node, device_rows, [&usage, &pinned]);
        let kept = &kept[node.index() * limit.len()..][..limit.len()];
        let largest = limit.iter().zip(kept).map(|(limit, kept)| limit - kept);
        let alone = if !merge || (is_small && is_home[node.index()]) { node.0 } else { NONE };
        let key = (
            (problem.allocatable(node), problem.soft_limit(node), limit.clone(), device.clone()),
            (&spec.labels, &spec.taints, &spec.devices, spec.cordoned, spec.price, spec.move_class, alone),
        );
        let next = places.len() as u32;
        let place = *known.entry(key).or_insert(next);
        if place == next {
            let nothing = vec![0; room.len()];
            places.push(Place {
                nodes: Vec::new(),
                limit: limit.clone(),
                room: nothing.clone(),
                largest: nothing,
                device,
            });
        }
        let own = &mut places[place as usize];
        own.nodes.push(node);
        own.room.iter_mut().zip(room).for_each(|(sum, room)| *sum += room);
        own.largest.iter_mut().zip(largest).for_each(|(most, own)| *most = own.max(*most));
        place_of.push(place);
    }
    (places, place_of)
}

/// Scaled amounts that those who are there hold to the end, whether they stay or leave; 0 unless moves are simultaneous and the
/// resource is transient. Shape: nodes × resources.
fn kept_amounts(problem: &Problem) -> Vec<i128> {
    let width = problem.resources.len();
    let mut kept = vec![0; problem.nodes.len() * width];
    if !problem.moves.simultaneous {
        return kept;
    }
    for task in problem.task_ids() {
        let spot = problem.current.spot(task);
        let [piece] = spot.pieces() else { continue };
        // Whoever leaves holds what it had, whoever stays may go down to its least share: that of a share against the rules is 0.
        let least = match problem.tasks[task.index()].sharing {
            Sharing::Rigid => Share::ONE,
            Sharing::Elastic { min } => min,
            Sharing::Divisible => continue,
        };
        let parts = if piece.share >= least { i128::from(least.parts()) } else { 0 };
        let row = &mut kept[piece.node.index() * width..][..width];
        for (r, amount) in problem.requirement(task).iter().enumerate().filter(|(r, _)| problem.resources[*r].transient)
        {
            row[r] += i128::from(*amount) * parts;
        }
    }
    kept
}

/// What pinned tasks hold for good.
fn pinned_usage(problem: &Problem) -> Usage {
    let spot = |task: TaskId| match problem.tasks[task.index()].pinned {
        true => problem.current.spot(task).clone(),
        false => Spot::Unplaced,
    };
    Usage::of(problem, &Placement::from_spots(problem.task_ids().map(spot).collect()))
}

/// Room in the rows of a node's devices, without what is held for good.
fn device_room(problem: &Problem, node: NodeId, rows: usize, [usage, pinned]: [&Usage; 2]) -> Vec<i128> {
    let mut room = vec![0; problem.device_kinds.len() * rows];
    let devices = &problem.nodes[node.index()].devices;
    for (d, device) in devices.iter().enumerate() {
        let own = &mut room[device.kind as usize * rows..][..rows];
        let left = i64::from(usage.devices(node)[d].max(DEVICE_MILLI)) - i64::from(pinned.devices(node)[d]);
        for (k, room) in own[..DEVICE_ROW_COUNT].iter_mut().enumerate() {
            *room += i128::from(device_units(k, left));
        }
        // Where no device of the node counts its memory, or this one does not, those who hold some of it hold other devices than they
        // ask for, and are not counted.
        if let (Some(used), Some(pinned)) = (usage.device_memory(node).get(d), pinned.device_memory(node).get(d)) {
            own[DEVICE_ROW_COUNT] += (*used).max(i128::from(device.memory)) - pinned;
        }
    }
    room
}
