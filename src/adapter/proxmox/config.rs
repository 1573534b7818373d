//! What binds a guest to its node? Devices that it was handed, and disks that no other node can reach.
//!
//! The configuration of a guest does not say whose it is: the name of its file does, or the name it is wrapped in. VMIDs are unique
//! in a cluster, so a number is enough.
//!
//! Source: qemu-server, `check_local_resources`; `man qm.conf`, `man pct.conf`.

use crate::adapter::notes::Document;
use crate::model::Faults;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What matters of a guest's configuration.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// It has something of its node that is no disk.
    device: Option<String>,
    /// It is locked.
    lock: Option<String>,
    /// Its disks are here: they come along, to a storage of the same name.
    storages: BTreeSet<String>,
    /// Images in its drives are here, and do not.
    images: BTreeSet<String>,
    /// It has a disk that is a file or device of its node.
    has_path: bool,
}

/// By VMID.
pub type Configs = BTreeMap<String, Config>;

/// Takes an answer of `/nodes/NODE/qemu/VMID/config` or of the same for `lxc`, or several of them under the names of their guests.
/// Gives back what is none.
pub fn take(document: &Document, value: Value, configs: &mut Configs, faults: &mut Faults) -> Option<Value> {
    let Value::Object(fields) = &value else { return Some(value) };
    // An answer about HA has a digest, too.
    let is_config = |fields: &Map<String, Value>| {
        fields.get("digest").is_some_and(Value::is_string)
            && !fields.contains_key("sid")
            && !fields.contains_key("rule")
    };
    if is_config(fields) {
        match number(document.name.trim_end_matches(".json").trim_end_matches(".conf")) {
            Some(vmid) => insert(document, vmid, Config::read(fields), configs, faults),
            None => {
                let remedy = "name the file after the guest, as in 100.json, or wrap it as {\"100\": {…}}";
                faults.add("I301", &document.name, "nothing says whose configuration it is", remedy);
            }
        }
        return None;
    }
    let inner = |(name, value): (&String, &Value)| Some((number(name)?, Config::read(value.as_object()?)));
    let wrapped: Option<Vec<(String, Config)>> = fields.iter().map(inner).collect();
    match wrapped
        .filter(|list| !list.is_empty() && fields.values().all(|value| value.as_object().is_some_and(is_config)))
    {
        Some(list) => {
            list.into_iter().for_each(|(vmid, config)| insert(document, vmid, config, configs, faults));
            None
        }
        None => Some(value),
    }
}

fn insert(document: &Document, vmid: String, config: Config, configs: &mut Configs, faults: &mut Faults) {
    if configs.insert(vmid.clone(), config).is_some() {
        let cause = format!("there are two configurations of the guest {vmid}");
        faults.add("I301", &document.name, cause, "give one, as it is now");
    }
}

/// The VMID at the end of a name such as `qemu/100`.
fn number(name: &str) -> Option<String> {
    let digits = name.rsplit(|c: char| !c.is_ascii_digit()).next()?;
    (!digits.is_empty()).then(|| digits.to_string())
}

impl Config {
    fn read(fields: &Map<String, Value>) -> Config {
        let mut config = Config::default();
        for (key, value) in fields {
            // What ought to be a text and is none says nothing that would let the guest go.
            let value = &value.as_str().map_or_else(|| value.to_string(), String::from);
            let name = key.trim_end_matches(|c: char| c.is_ascii_digit());
            match (name, key != name) {
                ("usb", true) if ["spice", "host=spice"].contains(&value.split(',').next().unwrap_or("")) => {}
                ("serial", true) if value == "socket" => {}
                ("hostpci" | "usb" | "serial" | "parallel" | "virtiofs" | "dev", true)
                // Raw lines of LXC are a list of pairs.
                | ("ivshmem" | "args" | "lxc", false) => {
                    _ = config.device.get_or_insert(key.clone());
                }
                ("lock", false) => config.lock = Some(value.to_string()),
                ("ide" | "sata" | "scsi" | "virtio" | "efidisk" | "tpmstate" | "unused" | "mp", true)
                | ("rootfs", false) => config.disk(value),
                _ => {}
            }
        }
        config
    }

    /// `STORAGE:VOLUME,…`, a path of the node, its drive (`cdrom`), or nothing (`none`).
    fn disk(&mut self, value: &str) {
        let mut parts = value.split(',').map(str::trim);
        let volume = parts.clone().find_map(|part| part.strip_prefix("file=").or(part.strip_prefix("volume=")));
        let volume = volume.or(parts.next()).unwrap_or("");
        match volume.split_once(':').filter(|_| !volume.starts_with('/')) {
            // A drive with settings for the first start is made anew.
            Some((storage, name)) if value.contains("media=cdrom") && !name.contains("cloudinit") => {
                self.images.insert(storage.to_string());
            }
            Some((storage, _)) => _ = self.storages.insert(storage.to_string()),
            // Whoever says so vouches that the path is the same everywhere.
            None => self.has_path |= volume != "none" && !value.split(',').any(|part| part.trim() == "shared=1"),
        }
    }

    /// Why the guest stays where it is, if it does.
    pub fn binds(&self, node: &str, storages: &Storages) -> Option<String> {
        if let Some(lock) = &self.lock {
            return Some(format!("it is locked ({lock})"));
        }
        if self.device.is_some() {
            return Some("it holds a device of its node".into());
        }
        if storages.nodes_of.is_empty() && !(self.storages.is_empty() && self.images.is_empty()) {
            return Some("no document tells which nodes have the storages of its disks (/cluster/resources)".into());
        }
        let has = |name: &String| storages.nodes_of.get(name).filter(|nodes| nodes.contains(node));
        let is_only_here =
            |name: &String| has(name).is_none_or(|nodes| !storages.shared.contains(name) && nodes.len() < 2);
        let is_local = |name: &String| has(name).is_none() || !storages.shared.contains(name);
        let stays = self.has_path || self.storages.iter().any(is_only_here) || self.images.iter().any(is_local);
        stays.then(|| "it has a disk of its node".into())
    }

    /// Nodes that reach all of its disks, where not all nodes do.
    pub fn reach<'a>(&'a self, storages: &'a Storages) -> impl Iterator<Item = &'a BTreeSet<String>> {
        let names = self.storages.iter().chain(&self.images);
        let nodes = names.filter_map(|name| storages.nodes_of.get(name));
        nodes.filter(|nodes| nodes.len() < storages.nodes)
    }
}

/// Storages, each with the nodes that have it, or one of the same name.
#[derive(Debug, Default)]
pub struct Storages {
    /// How many nodes there are.
    pub nodes: usize,
    nodes_of: BTreeMap<String, BTreeSet<String>>,
    /// Those that are one and the same on all of them.
    shared: BTreeSet<String>,
}

impl Storages {
    /// One of a node, as `/cluster/resources` lists it.
    pub fn add(&mut self, name: String, node: String, is_shared: bool) {
        self.shared.extend(is_shared.then(|| name.clone()));
        self.nodes_of.entry(name).or_default().insert(node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_binds_a_guest() {
        let mut storages = Storages::default();
        storages.add("ceph".into(), "pve1".into(), true);
        storages.add("zfs".into(), "pve1".into(), false);
        storages.add("zfs".into(), "pve2".into(), false);
        let binds = |key: &str, value: &str| {
            let fields =
                json!({"digest": "x", "scsi0": "ceph:vm-100-disk-0,size=32G", "ide2": "none,media=cdrom", key: value});
            Config::read(fields.as_object().unwrap()).binds("pve1", &storages)
        };
        for (key, value) in [
            ("usb0", "spice"),
            ("usb1", "host=spice,usb3=1"),
            ("serial0", "socket"),
            ("net0", "virtio=BC:24,bridge=vmbr0"),
            ("mp0", "/mnt/all,mp=/data,shared=1"),
            ("rootfs", "volume=ceph:x,size=8G"),
            ("virtio1", "iothread=1,file=ceph:y"),
            ("scsi1", "zfs:vm-100-disk-1,size=8G"),
            ("ide2", "zfs:vm-100-cloudinit,media=cdrom"),
            ("unused0", "zfs:vm-100-disk-2"),
            ("scsihw", "virtio-scsi-pci"),
        ] {
            assert_eq!(binds(key, value), None, "{key}: {value}");
        }
        for (key, value) in [
            ("usb0", "host=1234:5678"),
            ("serial0", "/dev/ttyS0"),
            ("hostpci0", "0000:01:00.0"),
            ("hostpci1", "mapping=gpu"),
            ("args", "-device vfio-pci"),
            ("dev0", "/dev/dri/renderD128"),
            ("mp0", "/mnt/bulk,mp=/data"),
            ("scsi1", "local-lvm:vm-100-disk-1,size=8G"),
            ("ide0", "local:iso/debian.iso,media=cdrom"),
            ("ide0", "zfs:iso/debian.iso,media=cdrom"),
            ("ide0", "cdrom,media=cdrom"),
            ("scsi2", "/dev/disk/by-id/x"),
            ("efidisk0", "file=local:100/x.qcow2"),
            ("lock", "backup"),
        ] {
            assert!(binds(key, value).is_some(), "{key}: {value}");
        }
    }

    #[test]
    fn without_a_word_of_storages_nobody_knows_where_disks_can_be() {
        let fields = json!({"digest": "x", "scsi0": "ceph:vm-100-disk-0"});
        let why = Config::read(fields.as_object().unwrap()).binds("pve1", &Storages::default());
        assert!(why.is_some_and(|why| why.contains("no document tells")));
        let fields = json!({"digest": "x"});
        assert_eq!(Config::read(fields.as_object().unwrap()).binds("pve1", &Storages::default()), None);
    }

    #[test]
    fn names_end_in_the_number_of_the_guest() {
        for (name, vmid) in
            [("qemu/100", Some("100")), ("pve2-101", Some("101")), ("102", Some("102")), ("config", None)]
        {
            assert_eq!(number(name).as_deref(), vmid, "{name}");
        }
    }
}
