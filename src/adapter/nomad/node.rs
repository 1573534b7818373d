//! What does a client node of Nomad have? Amounts, devices, cores, and what constraints ask for.

use super::constraint::Facts;
use super::{inside, require};
use crate::adapter::record::Record;
use crate::model::*;
use serde_json::Value;

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
pub fn node(record: &Record<'_>, value: &Value, faults: &mut Faults) -> Node {
    require(record, "NodeResources", faults);
    let mut left = |group: &'static str, field: &'static str| {
        let own = inside(record, &["NodeResources", group, field], faults);
        own.saturating_sub(inside(record, &["ReservedResources", group, field], faults)).max(0)
    };
    let amounts =
        [("cpu", left("Cpu", "CpuShares")), ("memory", left("Memory", "MemoryMB")), ("disk", left("Disk", "DiskMB"))];
    let (name, id) = (record.text("Name"), record.text("ID"));
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
    let count = |path: &[&'static str]| record.inner(path).and_then(Value::as_array).map(Vec::len);
    let reservable = count(&["NodeResources", "Cpu", "ReservableCpuCores"]);
    let reserved = count(&["ReservedResources", "Cpu", "ReservedCpuCores"]).unwrap_or(0);
    let own = inside(record, &["NodeResources", "Cpu", "CpuShares"], faults);
    let all = inside(record, &["NodeResources", "Cpu", "TotalCpuCores"], faults);
    let cores = reservable.map(|count| count.saturating_sub(reserved) as i64).filter(|_| all > 0);
    Node { spec: node, devices, facts: Facts::read(value), cores: cores.map(|cores| (cores, own / all)) }
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
    pub fn of(value: &Value) -> Device {
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_string();
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
        let list = node.inner(&["NodeResources", "Devices"]).and_then(Value::as_array);
        let ids = |value: &Value| -> Vec<String> {
            let instances = value.get("Instances").and_then(Value::as_array).into_iter().flatten();
            let healthy = instances.filter(|instance| instance.get("Healthy") != Some(&Value::Bool(false)));
            healthy.map(|instance| instance.get("ID").and_then(Value::as_str).unwrap_or_default().to_string()).collect()
        };
        Devices(list.into_iter().flatten().map(|value| (Device::of(value), ids(value))).collect())
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
