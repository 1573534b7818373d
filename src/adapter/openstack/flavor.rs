//! What does Nova ask a host for, by the flavor of a server and the properties of its image?
//!
//! CPUs are of two classes: shared ones (`VCPU`) and dedicated ones (`PCPU`), and a policy of the flavor or image says which. What
//! chooses hosts by something that no document tells of them (pages, cells of memory, aggregates) binds the server to where it is.
//!
//! Source: openstack/nova `nova/scheduler/utils.py` (`ResourceRequest.from_request_spec`), `nova/virt/hardware.py`.

use super::Placed;
use crate::adapter::notes::{Fate, Notes};
use crate::adapter::record::{Kind, Record, figure, needed};
use crate::model::{AMOUNT_MAX, Faults};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Texts by name.
pub type Words = BTreeMap<String, String>;

/// Extra specs that say how a server is run, wherever that is; `:` at the end stands for all that begin so.
const SPECS_IRRELEVANT: [&str; 19] = [
    "quota:",
    "hw_rng:",
    "hw_video:",
    "group_policy",
    "hide_hypervisor_id",
    "os_type",
    "hw:boot_menu",
    "hw:cpu_cores",
    "hw:cpu_max_cores",
    "hw:cpu_max_sockets",
    "hw:cpu_max_threads",
    "hw:cpu_sockets",
    "hw:cpu_threads",
    "hw:hide_hypervisor_id",
    "hw:input_bus",
    "hw:pmu",
    "hw:serial_port_count",
    "hw:vif_multiqueue_enabled",
    "hw:watchdog_action",
];
/// Extra specs that [`asked`] reads.
const SPECS_READ: [&str; 5] = [
    "hw:cpu_policy",
    "hw:cpu_thread_policy",
    "hw:cpu_dedicated_mask",
    "hw:cpu_realtime_mask",
    "hw:emulator_threads_policy",
];
/// Properties of images that [`asked`] reads.
const PROPERTIES_READ: [&str; 3] = ["hw_cpu_policy", "hw_cpu_thread_policy", "hw_cpu_realtime_mask"];
/// Properties of images that sound like a wish for hosts and are none, or none that tells hosts of one kind apart.
const PROPERTIES_IRRELEVANT: [&str; 30] = [
    "hw_architecture",
    "hw_boot_menu",
    "hw_cdrom_bus",
    "hw_cpu_cores",
    "hw_cpu_max_cores",
    "hw_cpu_max_sockets",
    "hw_cpu_max_threads",
    "hw_cpu_sockets",
    "hw_cpu_threads",
    "hw_disk_bus",
    "hw_firmware_type",
    "hw_floppy_bus",
    "hw_input_bus",
    "hw_ipxe_boot",
    "hw_machine_type",
    "hw_pointer_model",
    "hw_qemu_guest_agent",
    "hw_rescue_bus",
    "hw_rescue_device",
    "hw_rng_model",
    "hw_scsi_model",
    "hw_serial_port_count",
    "hw_time_hpet",
    "hw_video_model",
    "hw_video_ram",
    "hw_vif_model",
    "hw_vif_multiqueue_enabled",
    "hw_vm_mode",
    "hw_watchdog_action",
    "img_hv_type",
];

/// Sizes by flavor id.
pub struct Flavors(HashMap<String, Flavor>);

/// A size, and what else is said of it.
#[derive(Debug, Clone, Default)]
pub struct Flavor {
    vcpus: i64,
    ram: i64,
    /// Root disk, which a server that boots from a volume does not use.
    root: i64,
    /// Other disks.
    disk: i64,
    specs: Words,
    /// Whether it says which extra specs it has, be it none.
    pub has_specs: bool,
}

impl Flavor {
    /// From a flavor, or what a server has inside of its own.
    pub fn read(record: &Record<'_>, faults: &mut Faults) -> Flavor {
        let place = |name: &str| format!("{}, {name}", record.place);
        let [vcpus, ram, root] =
            ["vcpus", "ram", "disk"].map(|name| needed(record.get(name), || place(name), faults).min(AMOUNT_MAX));
        let mut amount = |names: &[&'static str]| {
            let value = names.iter().find_map(|name| record.get(name));
            figure(value, || place(names[0]), faults).unwrap_or(0).min(AMOUNT_MAX)
        };
        let ephemeral = amount(&["ephemeral", "OS-FLV-EXT-DATA:ephemeral"]);
        // Swap is in MiB, everything else of the disk in GiB.
        let disk = ephemeral + (amount(&["swap"]) + 1023) / 1024;
        let specs = record.texts_by_name("extra_specs").into_iter();
        let specs = specs.map(|(name, text)| (name.clone(), text)).collect();
        Flavor { vcpus, ram, root, disk, specs, has_specs: record.get("extra_specs").is_some() }
    }
}

impl Flavors {
    /// From `/flavors/detail`.
    pub fn read(list: &[Placed], faults: &mut Faults) -> Flavors {
        let kind = Kind::new("flavors");
        let mut flavors = HashMap::new();
        for (place, value) in list {
            if let Some(record) = kind.record(value, place.clone(), faults) {
                flavors.insert(record.text("id"), Flavor::read(&record, faults));
            }
        }
        kind.check(faults);
        Flavors(flavors)
    }

    /// By id.
    pub fn get(&self, id: &str) -> Option<Flavor> {
        self.0.get(id).cloned()
    }
}

/// Scopes of extra specs by which Nova may choose a host.
const SCOPES: [&str; 4] = ["capabilities", "aggregate_instance_extra_specs", "hw", "os"];

/// What a server asks of its host.
#[derive(Debug, Default)]
pub struct Asked {
    /// By resource class, as Nova asks Placement for it.
    pub requirement: BTreeMap<String, i64>,
    /// Traits that a host must have, or must not.
    pub traits: BTreeMap<String, bool>,
    /// The policy for threads asks for one of the traits: older hosts have other ways to follow it.
    pub has_thread_policy: bool,
    /// Why the server may not move.
    pub bound: Option<String>,
}

impl Asked {
    fn bind(&mut self, why: String) {
        self.bound.get_or_insert(why);
    }

    fn add(&mut self, class: &str, amount: i64) {
        let sum = self.requirement.entry(class.to_string()).or_default();
        *sum = sum.saturating_add(amount.clamp(0, AMOUNT_MAX)).min(AMOUNT_MAX);
    }

    /// An extra spec of the flavor.
    fn spec(&mut self, key: &str, value: &str, notes: &mut Notes) {
        let (head, name) = key.split_once(':').unwrap_or((key, ""));
        let is_device = |class: &str| ["VGPU", "PGPU", "FPGA", "PCI_DEVICE"].iter().any(|kind| class.starts_with(kind));
        match (head, name, value) {
            ("pci_passthrough", ..) | ("accel", "device_profile", _) => {
                self.bind("it holds a device of its host".into())
            }
            // Requests may come in groups: `resources1:VGPU`, `resources_x:VGPU`.
            (head, class, _) if head.starts_with("resources") => {
                match value.parse::<i64>() {
                    Ok(amount) if amount >= 0 => self.add(class, amount),
                    _ => self.bind(format!("its flavor asks for {class} in an amount that cannot be read")),
                }
                if is_device(class) {
                    self.bind("it holds a device of its host".into());
                }
            }
            ("trait", name, "required" | "forbidden") => _ = self.traits.insert(name.into(), value == "required"),
            _ if SPECS_READ.contains(&key) => {}
            _ if SPECS_IRRELEVANT
                .iter()
                .any(|known| key == *known || known.ends_with(':') && key.starts_with(known)) =>
            {
                notes.add(Fate::Irrelevant, "extra specs of flavors that say how a server is run");
            }
            // Nova's filters pass over keys of anybody else's scope.
            _ if key.contains(':') && !SCOPES.contains(&head) && !head.starts_with("trait") => {
                notes.add(Fate::Irrelevant, "extra specs of flavors with a scope that is not Nova's");
            }
            _ => self.bind(format!("its flavor says {key}, and no document tells which hosts will do")),
        }
    }

    /// A property of the image.
    fn property(&mut self, key: &str, value: &str, notes: &mut Notes) {
        match key.strip_prefix("trait:") {
            Some(name) if value == "required" => _ = self.traits.insert(name.into(), true),
            None if PROPERTIES_READ.contains(&key) => {}
            None if PROPERTIES_IRRELEVANT.contains(&key)
                || !["hw_", "img_hv_", "os_secure_boot"].iter().any(|head| key.starts_with(head)) =>
            {
                notes.add(Fate::Irrelevant, "properties of images that say how a server is run");
            }
            _ => self.bind(format!("its image says {key}, and no document tells which hosts will do")),
        }
    }

    /// Shared and dedicated CPUs, where no amount of either is asked for outright.
    fn cpus(&mut self, flavor: &Flavor, image: &Words) {
        let policy = |name: &str| {
            let (of_flavor, of_image) = (flavor.specs.get(&format!("hw:{name}")), image.get(&format!("hw_{name}")));
            of_flavor.or(of_image).map_or("", String::as_str)
        };
        match policy("cpu_thread_policy") {
            "" | "prefer" => {}
            threads @ ("isolate" | "require") => {
                self.traits.insert("HW_CPU_HYPERTHREADING".into(), threads == "require");
                self.has_thread_policy = true;
            }
            other => self.bind(format!("its policy for threads of CPUs is {other}")),
        }
        let more = i64::from(flavor.specs.get("hw:emulator_threads_policy").is_some_and(|policy| policy == "isolate"));
        let is_told = ["VCPU", "PCPU"].iter().any(|class| self.requirement.contains_key(*class));
        match policy("cpu_policy") {
            "dedicated" => self.add("PCPU", if is_told { more } else { flavor.vcpus.saturating_add(more) }),
            "mixed" if !is_told => {
                let masks = [
                    flavor.specs.get("hw:cpu_dedicated_mask"),
                    image.get("hw_cpu_realtime_mask"),
                    flavor.specs.get("hw:cpu_realtime_mask"),
                ];
                let dedicated = masks.into_iter().flatten().next().and_then(|mask| mask_size(mask, flavor.vcpus));
                if dedicated.is_none() {
                    self.bind("which of its CPUs are dedicated cannot be read".into());
                }
                self.add("PCPU", dedicated.unwrap_or(flavor.vcpus).saturating_add(more));
                self.add("VCPU", dedicated.map_or(flavor.vcpus, |dedicated| flavor.vcpus - dedicated));
            }
            "" | "shared" | "mixed" if is_told => {}
            "" | "shared" => self.add("VCPU", flavor.vcpus),
            other => {
                self.bind(format!("its policy for CPUs is {other}"));
                ["VCPU", "PCPU"].iter().for_each(|class| self.add(class, flavor.vcpus));
            }
        }
    }
}

/// Everything that a flavor and the properties of an image ask for.
pub fn asked(flavor: &Flavor, image: &Words, boots_from_volume: bool, notes: &mut Notes) -> Asked {
    let mut asked = Asked::default();
    flavor.specs.iter().for_each(|(key, value)| asked.spec(key, value, notes));
    image.iter().for_each(|(key, value)| asked.property(key, value, notes));
    asked.cpus(flavor, image);
    let disk = flavor.disk + if boots_from_volume { 0 } else { flavor.root };
    for (class, amount) in [("MEMORY_MB", flavor.ram), ("DISK_GB", disk)] {
        if !asked.requirement.contains_key(class) {
            asked.add(class, amount);
        }
    }
    asked.requirement.retain(|_, amount| *amount > 0);
    asked
}

/// How many of `count` CPUs a list such as `0-3,^2,6` means: some, and not all. One that begins with `^` begins with all.
fn mask_size(mask: &str, count: i64) -> Option<i64> {
    let (mut all, mut without) = (BTreeSet::new(), BTreeSet::new());
    if mask.trim().starts_with('^') {
        all.extend(0..count.min(4096));
    }
    for part in mask.split(',').map(str::trim) {
        let (list, part) = match part.strip_prefix('^') {
            Some(part) => (&mut without, part),
            None => (&mut all, part),
        };
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.trim().parse::<i64>().ok()?, last.trim().parse::<i64>().ok()?);
        if first < 0 || first > last || last >= count.min(4096) {
            return None;
        }
        list.extend(first..=last);
    }
    let size = i64::try_from(all.difference(&without).count()).ok()?;
    (0 < size && size < count).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_mean_some_cpus() {
        let sizes = [("0-3,^2,6", Some(4)), ("^0", Some(7)), ("^0-1, ^3", Some(5)), (" 1 - 2 ", Some(2))];
        for (mask, size) in sizes {
            assert_eq!(mask_size(mask, 8), size, "{mask}");
        }
        for mask in ["", "0-7", "^0-7", "8", "3-1", "a", "-1", "0-99999999999", "0,,1"] {
            assert_eq!(mask_size(mask, 8), None, "{mask}");
        }
    }
}
