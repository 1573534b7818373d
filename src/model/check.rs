//! Is this snapshot a problem? Resolves names, checks every figure, and reports all faults at once.
//!
//! Codes: P1xx a name or reference, P2xx a figure, P3xx a placement, P4xx a rule or objective. Not here: the JSON form and
//! its syntax (`file/`), and broken *rules*, which are no fault of the input but something to repair.

mod pools;

use super::*;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;

/// Most nodes, tasks, groups: indices are 32 bits and products of two of them 63.
const COUNT_MAX: usize = 1 << 24;
/// Most move classes: their costs are held as a square.
const MOVE_CLASS_COUNT_MAX: usize = 8192;

impl Problem {
    /// Checks a snapshot and indexes it.
    ///
    /// # Errors
    /// Every fault found, each with place, cause and remedy; the caller shows them and ends.
    pub fn new(snapshot: &Snapshot) -> Result<Problem, Faults> {
        let mut check = Check { faults: Faults::new(), snapshot };
        let problem = check.problem();
        if check.faults.is_empty() { Ok(problem) } else { Err(check.faults) }
    }
}

struct Check<'a> {
    faults: Faults,
    snapshot: &'a Snapshot,
}

/// Names in the order first seen.
#[derive(Default)]
struct Names {
    index: HashMap<String, u32>,
    list: Vec<String>,
}

impl Names {
    fn intern(&mut self, name: &str) -> u32 {
        if let Some(index) = self.index.get(name) {
            return *index;
        }
        let index = self.list.len() as u32;
        self.index.insert(name.to_string(), index);
        self.list.push(name.to_string());
        index
    }
}

impl Check<'_> {
    fn problem(&mut self) -> Problem {
        let snapshot = self.snapshot;
        let resource_names =
            self.unique("resources", snapshot.resources.iter().map(|r| r.name.as_str()), RESOURCE_COUNT_MAX);
        let node_names = self.unique("nodes", snapshot.nodes.iter().map(|n| n.name.as_str()), COUNT_MAX);
        self.unique("tasks", snapshot.tasks.iter().map(|t| t.name.as_str()), COUNT_MAX);
        let group_names = self.unique("groups", snapshot.groups.iter().map(|g| g.name.as_str()), COUNT_MAX);
        let level_names = std::iter::once("node").chain(snapshot.levels.iter().map(String::as_str));
        let level_names = self.unique("levels", level_names, 64);

        let resources = snapshot.resources.iter().enumerate().map(|(i, spec)| Resource {
            name: spec.name.clone(),
            unit: spec.unit.clone(),
            transient: spec.transient,
            load_weight: self.amount(spec.load_weight, || format!("resources[{i}] {}, load_weight", spec.name)),
            variance_weight: self
                .amount(spec.variance_weight, || format!("resources[{i}] {}, variance_weight", spec.name)),
            meter: None,
        });
        let resources: Vec<_> = resources.collect();
        let width = resources.len();

        let mut kinds = Names::default();
        let mut models = Names::default();
        let mut pools = Names::default();
        snapshot.pools.iter().for_each(|spec| _ = pools.intern(&spec.name));
        let mut tenants = Names::default();
        let mut classes = Names::default();
        let mut levels: Vec<Names> = (0..=snapshot.levels.len()).map(|_| Names::default()).collect();
        let mut allocatable = Vec::with_capacity(snapshot.nodes.len() * width);
        let mut soft_limit = Vec::with_capacity(snapshot.nodes.len() * width);
        let mut nodes = Vec::with_capacity(snapshot.nodes.len());
        for (i, spec) in snapshot.nodes.iter().enumerate() {
            let place = || format!("nodes[{i}] {}", spec.name);
            self.not_empty(spec.pool.as_deref(), "pool", place);
            let row = self.amounts(&spec.allocatable, &resource_names, || place() + ", allocatable");
            let mut soft = row.clone();
            for (name, value) in &spec.soft_limit {
                match resource_names.get(name.as_str()) {
                    Some(r) => soft[*r] = self.amount(*value, || format!("{}, soft_limit.{name}", place())),
                    None => self.unknown("resource", name, &resource_names, || place() + ", soft_limit"),
                }
            }
            allocatable.extend(row);
            soft_limit.extend(soft);
            for name in
                spec.domains.keys().filter(|name| name.as_str() == "node" || !level_names.contains_key(name.as_str()))
            {
                self.unknown("level", name, &level_names, || place() + ", domains");
            }
            let domains = std::iter::once(DomainId(levels[0].intern(&spec.name)));
            let domains = domains.chain(snapshot.levels.iter().enumerate().map(|(l, level)| {
                let own = || format!("(only {})", spec.name);
                DomainId(levels[l + 1].intern(&spec.domains.get(level).cloned().unwrap_or_else(own)))
            }));
            let domains = domains.collect();
            nodes.push(Node {
                name: spec.name.clone(),
                labels: spec.labels.clone(),
                taints: spec.taints.iter().map(|t| Taint { key: t.key.clone(), value: t.value.clone() }).collect(),
                domains,
                pool: spec.pool.as_ref().map(|pool| pools.intern(pool)),
                price: self.amount(spec.price, || place() + ", price"),
                cordoned: spec.cordoned,
                draining: false,
                devices: self.devices(spec, &mut kinds, &mut models, &place),
                move_class: classes.intern(spec.move_class.as_deref().unwrap_or("")),
            });
        }

        let mut groups = self.groups(&group_names, &level_names);
        let mut requirement = Vec::with_capacity(snapshot.tasks.len() * width);
        let mut tasks = Vec::with_capacity(snapshot.tasks.len());
        let mut spots = Vec::with_capacity(snapshot.tasks.len());
        let mut under_way = Vec::new();
        for (i, spec) in snapshot.tasks.iter().enumerate() {
            let place = || format!("tasks[{i}] {}", spec.name);
            self.not_empty(spec.tenant.as_deref(), "tenant", place);
            requirement.extend(self.amounts(&spec.requirement, &resource_names, || place() + ", requirement"));
            let group = spec.group.as_ref().and_then(|name| {
                let found = group_names.get(name.as_str()).map(|g| GroupId::new(*g));
                if found.is_none() {
                    self.unknown("group", name, &group_names, place);
                }
                found
            });
            if let Some(group) = group {
                groups[group.index()].members.push(TaskId::new(i));
            }
            let sharing = self.sharing(spec, &place);
            let device =
                spec.device.as_ref().map(|d| self.device_request(d, &mut kinds, &mut models, || place() + ", device"));
            tasks.push(Task {
                name: spec.name.clone(),
                kind: spec.kind,
                weight: self.amount(spec.weight, || place() + ", weight"),
                sharing,
                device,
                pinned: spec.pinned || !spec.moving_to.is_empty(),
                evictable: spec.evictable,
                restarts: spec.restart.unwrap_or_else(|| snapshot.moves.restart_kinds.contains(&spec.kind)),
                move_cost: self.amount(spec.move_cost, || place() + ", move_cost"),
                group,
                tenant: spec.tenant.as_ref().map(|tenant| tenants.intern(tenant)),
                selector: spec.selector.clone(),
                tolerations: spec
                    .tolerations
                    .iter()
                    .map(|t| Toleration { key: t.key.clone(), value: t.value.clone() })
                    .collect(),
                regions: spec.regions.clone(),
            });
            let here = self.spot(spec, &spec.placement, &node_names, &|| place() + ", placement");
            spots.push(match spec.moving_to.is_empty() {
                true => here,
                false => {
                    let there = self.spot(spec, &spec.moving_to, &node_names, &|| place() + ", moving_to");
                    self.journey(&here, &there, &place);
                    under_way.push((TaskId::new(i), here));
                    there
                }
            });
        }
        for (group, spec) in groups.iter_mut().zip(&self.snapshot.groups) {
            // A least number above that of the members stays: the others are not there yet, and the gang waits for them.
            let all = group.members.len().max(1) as u32;
            let least = spec.gang.as_ref().and_then(|gang| gang.min_members).unwrap_or(all).max(1);
            group.gang.iter_mut().for_each(|gang| gang.least = least);
        }
        let objective = self.objective(&resource_names, &mut classes, &mut kinds, &mut models);
        let moves = self.move_rules(&resource_names, &level_names);
        let levels = level_names_in_order(&level_names).into_iter().zip(levels);
        let mut problem = Problem {
            name: snapshot.name.clone(),
            resources,
            levels: levels.map(|(name, names)| Level { name, domains: names.list }).collect(),
            nodes,
            tasks,
            groups,
            pools: self.pools(&pools.list),
            tenants: tenants.list,
            device_kinds: kinds.list,
            device_models: models.list,
            objective,
            goal: None,
            value_scale: 1,
            moves,
            fingerprint: fingerprint(snapshot),
            current: Placement::from_spots(spots),
            under_way,
            allocatable,
            soft_limit,
            requirement,
        };
        self.pool_rules(&mut problem);
        problem.objective.variance = variance::variances(&problem);
        self.pool_costs(&mut problem);
        problem
    }

    fn unique<'b>(
        &mut self,
        what: &str,
        names: impl Iterator<Item = &'b str>,
        count_max: usize,
    ) -> HashMap<&'b str, usize> {
        let mut seen = HashMap::new();
        let mut count = 0;
        for (i, name) in names.enumerate() {
            count += 1;
            if name.is_empty() {
                self.faults.add("P101", format!("{what}[{i}]"), "the name is empty", "give it a unique name");
            }
            if let Some(first) = seen.insert(name, i) {
                let cause = format!("the name {name:?} is already used by {what}[{first}]");
                self.faults.add("P102", format!("{what}[{i}]"), cause, "rename one of the two");
                seen.insert(name, first);
            }
        }
        if count > count_max {
            let cause = format!("{count} entries, at most {count_max} are supported");
            self.faults.add("P201", what, cause, "split the snapshot");
        }
        seen
    }

    /// A name that need not be given, but says something where it is.
    fn not_empty(&mut self, name: Option<&str>, field: &str, place: impl Fn() -> String) {
        if name == Some("") {
            self.faults.add("P101", format!("{}, {field}", place()), "the name is empty", "name it, or leave it out");
        }
    }

    fn unknown(&mut self, what: &str, name: &str, known: &HashMap<&str, usize>, place: impl Fn() -> String) {
        // The search looks at every known name: only for faults that are shown.
        let candidates = known.keys().filter(|known| !known.is_empty() && !self.faults.is_full());
        let nearest = candidates.max_by(|a, b| {
            let closeness = |k: &str| strsim::jaro_winkler(k, name);
            closeness(a).total_cmp(&closeness(b)).then_with(|| b.cmp(a))
        });
        let remedy = match nearest {
            Some(known) => format!("define it, or did you mean {known:?}?"),
            None => format!("define the {what}, or drop the reference"),
        };
        self.faults.add("P103", place(), format!("there is no {what} {name:?}"), remedy);
    }

    fn amount(&mut self, value: i64, place: impl Fn() -> String) -> i64 {
        if !(0..=AMOUNT_MAX).contains(&value) {
            let remedy = format!("use a whole number from 0 to {AMOUNT_MAX}, in a larger unit if need be");
            self.faults.add("P202", place(), format!("{value} is out of range"), remedy);
            return 0;
        }
        value
    }

    fn amounts(
        &mut self,
        given: &BTreeMap<String, i64>,
        names: &HashMap<&str, usize>,
        place: impl Fn() -> String,
    ) -> Vec<i64> {
        // One slot per entry of the snapshot: where two share a name, positions go beyond the number of names.
        let mut row = vec![0; self.snapshot.resources.len()];
        for (name, value) in given {
            match names.get(name.as_str()) {
                Some(r) => row[*r] = self.amount(*value, || format!("{}.{name}", place())),
                None => self.unknown("resource", name, names, &place),
            }
        }
        row
    }

    fn devices(
        &mut self,
        spec: &NodeSpec,
        kinds: &mut Names,
        models: &mut Names,
        place: &dyn Fn() -> String,
    ) -> Vec<Device> {
        let count: u64 = spec.devices.iter().map(|d| u64::from(d.count)).sum();
        if count > DEVICE_COUNT_MAX as u64 {
            let cause = format!("{count} devices, at most {DEVICE_COUNT_MAX} per node are supported");
            self.faults.add("P203", place() + ", devices", cause, "split the node in two");
            return Vec::new();
        }
        let mut list = Vec::with_capacity(count as usize);
        for devices in &spec.devices {
            let memory = self.device_memory(devices.memory, || place() + ", devices");
            let device = Device { kind: kinds.intern(&devices.kind), model: models.intern(&devices.model), memory };
            list.extend(std::iter::repeat_n(device, devices.count as usize));
        }
        list
    }

    /// Memory of a device, 0 where none is counted.
    fn device_memory(&mut self, given: Option<i64>, place: impl Fn() -> String) -> i64 {
        if given == Some(0) {
            let remedy = "leave it out where memory is not counted, or say how much";
            self.faults.add("P207", place(), "the memory of a device is 0", remedy);
        }
        self.amount(given.unwrap_or(0), || place() + ", memory")
    }

    fn device_request(
        &mut self,
        spec: &DeviceRequestSpec,
        kinds: &mut Names,
        models: &mut Names,
        place: impl Fn() -> String,
    ) -> DeviceRequest {
        if spec.count == 0 || spec.count as usize > DEVICE_COUNT_MAX {
            let cause = format!("count is {}", spec.count);
            self.faults.add(
                "P204",
                place(),
                cause,
                format!("ask for 1 to {DEVICE_COUNT_MAX} devices, or drop the request"),
            );
        }
        if spec.milli == 0 || spec.milli > DEVICE_MILLI || (spec.milli < DEVICE_MILLI && spec.count > 1) {
            let cause = format!("{} milli of each of {} devices", spec.milli, spec.count);
            self.faults.add(
                "P204",
                place(),
                cause,
                "ask for whole devices (milli 1000) or 1 to 999 milli of one device",
            );
        }
        let mut accepted: Vec<u32> = spec.models.iter().map(|model| models.intern(model)).collect();
        accepted.sort_unstable();
        accepted.dedup();
        let memory = self.device_memory(spec.memory, place);
        DeviceRequest { kind: kinds.intern(&spec.kind), count: spec.count, milli: spec.milli, memory, models: accepted }
    }

    fn sharing(&mut self, spec: &TaskSpec, place: &dyn Fn() -> String) -> Sharing {
        if spec.device.is_some() && spec.sharing != SharingSpec::Rigid {
            self.faults.add(
                "P205",
                place(),
                "a task with a device request must be rigid",
                "drop `sharing` or `device`",
            );
        }
        match (spec.sharing, &spec.min_share) {
            (SharingSpec::Elastic, Some(text)) => match Share::parse(text) {
                Some(min) if min > Share::ZERO => Sharing::Elastic { min },
                _ => {
                    let cause = format!("{text:?} is no share above 0");
                    self.faults.add("P206", place() + ", min_share", cause, "write a fraction such as \"1/2\"");
                    Sharing::Rigid
                }
            },
            (SharingSpec::Elastic, None) => {
                self.faults.add("P206", place(), "an elastic task needs `min_share`", "add one, such as \"1/2\"");
                Sharing::Rigid
            }
            (_, Some(_)) => {
                self.faults.add(
                    "P206",
                    place(),
                    "`min_share` is only for elastic tasks",
                    "drop it, or set `sharing` to \"elastic\"",
                );
                Sharing::Rigid
            }
            (SharingSpec::Rigid, None) => Sharing::Rigid,
            (SharingSpec::Divisible, None) => Sharing::Divisible,
        }
    }

    /// A move that is under way leads from one spot to another.
    fn journey(&mut self, from: &Spot, to: &Spot, place: &dyn Fn() -> String) {
        let (cause, remedy) = match (from, to) {
            _ if self.snapshot.moves.mode == MoveMode::Simultaneous => {
                ("with mode simultaneous nothing can be under way", "plan in waves, or wait until it has arrived")
            }
            (Spot::Unplaced, _) => ("it runs nowhere, so it is on its way from nowhere", "say where it runs now"),
            (from, to) if from == to => ("it is there already", "drop the field"),
            _ => return,
        };
        self.faults.add("P305", place() + ", moving_to", cause, remedy);
    }

    fn spot(
        &mut self,
        spec: &TaskSpec,
        given: &[PieceSpec],
        nodes: &HashMap<&str, usize>,
        place: &dyn Fn() -> String,
    ) -> Spot {
        let mut pieces = Vec::with_capacity(given.len());
        for (k, piece) in given.iter().enumerate() {
            let here = || format!("{}[{k}]", place());
            let Some(node) = nodes.get(piece.node.as_str()) else {
                self.unknown("node", &piece.node, nodes, here);
                continue;
            };
            let share = match &piece.share {
                None => Share::ONE,
                Some(text) => Share::parse(text).unwrap_or_else(|| {
                    self.faults.add(
                        "P301",
                        here(),
                        format!("{text:?} is no share"),
                        "write a fraction such as \"3/10\"",
                    );
                    Share::ZERO
                }),
            };
            let mut devices = 0u64;
            for device in &piece.devices {
                let count = self.snapshot.nodes[*node].devices.iter().map(|d| u64::from(d.count)).sum::<u64>();
                if u64::from(*device) >= count.min(64) || devices >> device & 1 == 1 {
                    let cause = format!("device {device} does not exist on {} or is named twice", piece.node);
                    self.faults.add(
                        "P302",
                        here(),
                        cause,
                        format!("name each device once, from 0 to {}", count.saturating_sub(1)),
                    );
                } else {
                    devices |= 1 << device;
                }
            }
            if pieces.iter().any(|old: &Piece| old.node.index() == *node) {
                self.faults.add(
                    "P303",
                    here(),
                    format!("node {} is named twice", piece.node),
                    "add the shares up in one entry",
                );
            }
            pieces.push(Piece { node: NodeId::new(*node), share, devices });
        }
        let total: u64 = pieces.iter().map(|piece| u64::from(piece.share.parts())).sum();
        let legal = match spec.sharing {
            SharingSpec::Rigid => pieces.is_empty() || (pieces.len() == 1 && total == u64::from(SHARE_ONE)),
            SharingSpec::Elastic => pieces.len() <= 1,
            SharingSpec::Divisible => total <= u64::from(SHARE_ONE),
        };
        if !legal {
            let cause = format!(
                "{} pieces with a total share of {total}/{SHARE_ONE} do not suit the task's sharing",
                pieces.len()
            );
            let remedy = "rigid: one node, share 1; elastic: one node; divisible: shares up to 1";
            self.faults.add("P304", place(), cause, remedy);
        }
        Spot::from_pieces(pieces)
    }

    fn groups(&mut self, names: &HashMap<&str, usize>, levels: &HashMap<&str, usize>) -> Vec<Group> {
        let mut list = Vec::with_capacity(self.snapshot.groups.len());
        for (i, spec) in self.snapshot.groups.iter().enumerate() {
            let place = || format!("groups[{i}] {}", spec.name);
            let mut conflict: Vec<LevelId> =
                spec.conflict.iter().filter_map(|l| self.level(l, levels, &place)).collect();
            conflict.sort_unstable();
            conflict.dedup();
            let mut spread: Vec<Spread> = Vec::new();
            for rule in &spec.spread {
                let Some(level) = self.level(&rule.level, levels, &place) else { continue };
                match spread.iter_mut().find(|known| known.level == level) {
                    Some(known) => known.min = known.min.max(rule.min),
                    None => spread.push(Spread { level, min: rule.min }),
                }
            }
            let mut depends_on: Vec<Dependency> = Vec::new();
            for rule in &spec.depends_on {
                let level = self.level(&rule.level, levels, &place);
                let group = names.get(rule.group.as_str());
                if group.is_none() {
                    self.unknown("group", &rule.group, names, || place() + ", depends_on");
                }
                if let (Some(level), Some(group)) = (level, group) {
                    let dependency = Dependency { group: GroupId::new(*group), level };
                    if dependency.group != GroupId::new(i) && !depends_on.contains(&dependency) {
                        depends_on.push(dependency);
                    }
                }
            }
            let gang = spec.gang.as_ref().map(|gang| {
                if gang.min_members == Some(0) {
                    let remedy = "use 1 or more, or leave it out: then all members run or none";
                    self.faults.add("P403", place() + ", gang", "min_members 0 asks for nothing", remedy);
                }
                let within = gang.within.as_ref().and_then(|level| self.level(level, levels, &place));
                // How many is said when the members are known.
                Gang { least: 1, within }
            });
            if spec.max_unavailable == Some(0) {
                let remedy = "use 1 or more, or pin the tasks";
                self.faults.add("P401", place(), "max_unavailable 0 would forbid every move", remedy);
            }
            list.push(Group {
                name: spec.name.clone(),
                members: Vec::new(),
                conflict,
                spread,
                depends_on,
                gang,
                max_unavailable: spec.max_unavailable,
            });
        }
        list
    }

    fn move_rules(&mut self, resources: &HashMap<&str, usize>, levels: &HashMap<&str, usize>) -> MoveRules {
        let spec = &self.snapshot.moves;
        let mut max_per_domain = Vec::new();
        for (name, most) in &spec.max_per_domain {
            let level = self.level(name, levels, &|| "moves, max_per_domain".to_string());
            max_per_domain.extend(level.map(|level| (level, *most)));
        }
        let row = self.amounts(&spec.max_amounts, resources, || "moves, max_amounts".to_string());
        let is_capped = |name: &str| spec.max_amounts.contains_key(name);
        let capped = self.snapshot.resources.iter().zip(row).enumerate().filter(|(_, (spec, _))| is_capped(&spec.name));
        MoveRules {
            simultaneous: spec.mode == MoveMode::Simultaneous,
            max_moves: spec.max_moves,
            max_per_node: spec.max_per_node,
            max_in_flight: spec.max_in_flight,
            max_from_node: spec.max_from_node,
            max_to_node: spec.max_to_node,
            max_per_domain,
            max_amounts: capped.map(|(r, (_, most))| (ResourceId::new(r), most)).collect(),
            min_gain: 0,
        }
    }

    fn level(&mut self, name: &str, levels: &HashMap<&str, usize>, place: &dyn Fn() -> String) -> Option<LevelId> {
        let found = levels.get(name).map(|l| LevelId::new(*l));
        if found.is_none() {
            self.unknown("level", name, levels, place);
        }
        found
    }

    fn objective(
        &mut self,
        resources: &HashMap<&str, usize>,
        classes: &mut Names,
        kinds: &mut Names,
        models: &mut Names,
    ) -> Objective {
        let spec = &self.snapshot.objective;
        let place = |field: &str| format!("objective.{field}");
        let mut balance = Vec::new();
        for (i, term) in spec.balance.iter().enumerate() {
            let here = || format!("objective.balance[{i}]");
            let ids = [&term.resource, &term.other].map(|name| {
                let found = resources.get(name.as_str()).map(|r| ResourceId::new(*r));
                if found.is_none() {
                    self.unknown("resource", name, resources, here);
                }
                found
            });
            let (target, weight) = (self.amount(term.target, here), self.amount(term.weight, here));
            // Both meet an amount and a share: together they may be no more than one of them.
            if target.checked_mul(weight).is_none_or(|both| both > AMOUNT_MAX) {
                let remedy = format!("lower one of them: together they may be at most {AMOUNT_MAX}");
                self.faults.add("P202", here(), format!("target {target} times weight {weight} is too large"), remedy);
                continue;
            }
            if let [Some(resource), Some(other)] = ids {
                balance.push(Balance { resource, other, target, weight });
            }
        }
        let move_costs = self.move_costs(classes);
        let mut mix = Vec::new();
        for (i, item) in spec.fragmentation.iter().flat_map(|f| &f.mix).enumerate() {
            let here = || format!("objective.fragmentation.mix[{i}]");
            mix.push(MixItem {
                parts: self.amount(item.parts, here),
                requirement: self.amounts(&item.requirement, resources, here),
                device: self.device_request(&item.device, kinds, models, here),
            });
        }
        let mut weight = |value: i64, field: &str| self.amount(value, || place(field));
        Objective {
            balance,
            variance: Vec::new(),
            task_move_weight: weight(spec.task_move_weight, "task_move_weight"),
            group_move_weight: weight(spec.group_move_weight, "group_move_weight"),
            node_move_weight: weight(spec.node_move_weight, "node_move_weight"),
            price_weight: weight(spec.price_weight, "price_weight"),
            move_costs,
            fragmentation_weight: weight(spec.fragmentation.as_ref().map_or(0, |f| f.weight), "fragmentation.weight"),
            mix,
        }
    }

    fn move_costs(&mut self, classes: &mut Names) -> MoveCosts {
        let Some(spec) = &self.snapshot.objective.move_costs else { return MoveCosts::default() };
        let class_count = classes.list.len();
        if class_count > MOVE_CLASS_COUNT_MAX {
            let cause = format!("{class_count} move classes, at most {MOVE_CLASS_COUNT_MAX} are supported");
            self.faults.add("P402", "nodes", cause, "give nodes with the same costs the same move_class");
            return MoveCosts::default();
        }
        let default = self.amount(spec.default, || "objective.move_costs.default".to_string());
        let mut cost = vec![default; class_count * class_count];
        for (i, (from, to, value)) in spec.between.iter().enumerate() {
            let here = || format!("objective.move_costs.between[{i}]");
            let value = self.amount(*value, here);
            match (classes.index.get(from), classes.index.get(to)) {
                (Some(from), Some(to)) => cost[*from as usize * class_count + *to as usize] = value,
                (found, _) => {
                    let name = if found.is_none() { from } else { to };
                    let cause = format!("no node has the move_class {name:?}");
                    self.faults.add("P104", here(), cause, "set it on a node, or drop the entry");
                }
            }
        }
        MoveCosts { class_count, cost }
    }
}

fn level_names_in_order(levels: &HashMap<&str, usize>) -> Vec<String> {
    let mut list: Vec<_> = levels.iter().collect();
    list.sort_unstable_by_key(|(_, index)| **index);
    list.into_iter().map(|(name, _)| name.to_string()).collect()
}

/// SHA-256 over the JSON form, which is the same for the same snapshot however the file was laid out.
fn fingerprint(snapshot: &Snapshot) -> String {
    struct Sink(Sha256);
    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut sink = std::io::BufWriter::with_capacity(1 << 16, Sink(Sha256::new()));
    serde_json::to_writer(&mut sink, snapshot).expect("plain records always serialise");
    let sink = sink.into_inner().map_err(|_| ()).expect("hashing cannot fail");
    sink.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
