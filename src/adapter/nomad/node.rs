//! What does a client node of Nomad have? Amounts, devices, cores, and what constraints ask for.

use super::constraint::Facts;
use super::{inside, require};
use crate::adapter::notes::{Fate, Notes};
use crate::adapter::record::{Record, needed};
use crate::model::*;

/// A node, and what is asked of it beside its amounts.
pub struct Node {
    /// As it goes into the snapshot.
    pub spec: NodeSpec,
    /// Its devices by their own names.
    pub devices: Devices,
    /// What constraints may ask of it.
    pub facts: Facts,
    /// Cores that tasks can reserve, and MHz of each; `None` where it says nothing of them.
    pub cores: Option<(i64, i64)>,
}

/// A node, or its line in the list of nodes.
pub fn node(record: &Record<'_>, notes: &mut Notes, faults: &mut Faults) -> Node {
    require(record, "NodeResources", faults);
    let has_reserve = record.get("ReservedResources").is_some();
    if !has_reserve {
        notes.add(Fate::LeftOut, "what nodes keep to themselves: they have no ReservedResources");
    }
    let mut left = |group: &'static str, field: &'static str| {
        let own = inside(record, &["NodeResources", group, field], faults);
        let place = || format!("{}, ReservedResources.{group}.{field}", record.place);
        let kept = record.inner(&["ReservedResources", group, field]);
        own.saturating_sub(if has_reserve { needed(kept, place, faults) } else { 0 }).max(0)
    };
    let amounts =
        [("cpu", left("Cpu", "CpuShares")), ("memory", left("Memory", "MemoryMB")), ("disk", left("Disk", "DiskMB"))];
    let (name, id) = (record.id("Name", faults), record.id("ID", faults));
    let is_open =
        record.text("Status") == "ready" && record.text("SchedulingEligibility") == "eligible" && !record.flag("Drain");
    let mut node = NodeSpec {
        allocatable: amounts.map(|(name, amount)| (name.to_string(), amount)).into(),
        cordoned: !is_open,
        origin: [("node_id".to_string(), id)].into(),
        ..NodeSpec::default()
    };
    for (label, value) in
        [("node", name.clone()), ("datacenter", record.text("Datacenter")), ("node_pool", record.text("NodePool"))]
    {
        node.labels.insert(label.into(), value);
    }
    let devices = Devices::of(record);
    for (device, instances) in &devices.0 {
        match u32::try_from(instances.len()) {
            Ok(count) if device.is_gpu() && count > 0 => {
                node.devices.push(DevicesSpec { kind: "gpu".into(), model: device.name.clone(), count, memory: None });
            }
            _ if device.is_gpu() => {}
            _ => _ = node.allocatable.insert(device.resource(), instances.len() as i64),
        }
    }
    node.name = name;
    let numbers =
        |of: &'static str, which: &'static str| record.part(of)?.part("Cpu")?.numbers(which).map(|cores| cores.len());
    let reservable = numbers("NodeResources", "ReservableCpuCores");
    let reserved = numbers("ReservedResources", "ReservedCpuCores").unwrap_or(0);
    let own = inside(record, &["NodeResources", "Cpu", "CpuShares"], faults);
    let all = inside(record, &["NodeResources", "Cpu", "TotalCpuCores"], faults);
    let cores = reservable.map(|count| count.saturating_sub(reserved) as i64).filter(|_| all > 0);
    Node { spec: node, devices, facts: Facts::read(record), cores: cores.map(|cores| (cores, own / all)) }
}

/// What devices are called: those of one group are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    vendor: String,
    kind: String,
    name: String,
}

impl Device {
    /// From its vendor, type and name.
    pub fn of(record: &Record<'_>) -> Device {
        let text = |name| record.text(name);
        Device { vendor: text("Vendor"), kind: text("Type"), name: text("Name") }
    }

    /// Devices that a snapshot numbers.
    pub fn is_gpu(&self) -> bool {
        self.kind == "gpu"
    }

    /// Devices that are no GPUs are counted only.
    pub fn resource(&self) -> String {
        format!("device/{}/{}/{}", self.vendor, self.kind, self.name)
    }
}

/// The groups of devices of a node, each with the ids of its instances: those that are not healthy are left out, as Nomad gives
/// none of them away.
pub struct Devices(Vec<(Device, Vec<String>)>);

impl Devices {
    fn of(node: &Record<'_>) -> Devices {
        let list = node.part("NodeResources").map_or(Vec::new(), |resources| resources.parts("Devices"));
        let ids = |record: &Record<'_>| -> Vec<String> {
            let instances = record.parts("Instances").into_iter();
            instances.filter(|instance| instance.flag("Healthy")).map(|instance| instance.text("ID")).collect()
        };
        Devices(list.iter().map(|record| (Device::of(record), ids(record))).collect())
    }

    /// Is it one of its node's that work?
    pub fn has(&self, device: &Device, id: &str) -> bool {
        self.0.iter().any(|(group, ids)| group == device && ids.iter().any(|known| known == id))
    }

    /// The number of a GPU among those of its node.
    pub fn number(&self, device: &Device, id: &str) -> Option<u32> {
        let gpus = self.0.iter().filter(|(group, _)| group.is_gpu());
        let mut all = gpus.flat_map(|(group, ids)| ids.iter().map(move |id| (group, id)));
        u32::try_from(all.position(|(group, known)| group == device && known == id)?).ok()
    }
}
