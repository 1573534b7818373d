//! What binds a guest of Proxmox to its node? Devices, disks, and what HA is doing.

use super::*;

/// The answer of `/cluster/resources` with more items, and a configuration for `100-web`.
fn with(config: Value, more: Value) -> Imported {
    let mut documents = changed(&PROXMOX, "proxmox/resources.json", |value| {
        value.as_array_mut().unwrap().extend(more.as_array().unwrap().iter().cloned());
    });
    documents.push(Document { name: "qemu-100.json".into(), bytes: serde_json::to_vec(&config).unwrap() });
    sound(proxmox::import, &documents)
}

fn config(more: Value) -> Value {
    let mut config = json!({
        "digest": "1b2c", "name": "web", "cores": 4, "memory": "8192", "scsihw": "virtio-scsi-single", "serial0": "socket",
        "net0": "virtio=BC:24:11:00:00:01,bridge=vmbr0", "ide2": "none,media=cdrom", "usb0": "spice"
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

fn storage(name: &str, node: &str, shared: u32) -> Value {
    json!({
        "id": format!("storage/{node}/{name}"), "node": node, "plugintype": "rbd", "shared": shared, "status": "available",
        "storage": name, "type": "storage"
    })
}

fn why(imported: &Imported) -> String {
    task(imported, "100-web").origin.get("pinned").cloned().unwrap_or_default()
}

#[test]
fn devices_and_disks_of_a_node_keep_its_guests() {
    let storages = json!([
        storage("ceph", "pve1", 1),
        storage("ceph", "pve2", 1),
        storage("ceph", "pve3", 1),
        storage("lvm", "pve1", 0)
    ]);
    let free = with(config(json!({"scsi0": "ceph:vm-100-disk-0,size=32G"})), storages.clone());
    assert_eq!((why(&free), task(&free, "100-web").selector.len()), (String::new(), 0));
    for (key, value) in [
        ("hostpci0", "0000:01:00,pcie=1"),
        ("hostpci1", "mapping=gpu"),
        ("usb1", "host=1234:5678"),
        ("serial1", "/dev/ttyS0"),
        ("args", "-device vfio-pci,host=01:00.0"),
        ("dev0", "/dev/dri/renderD128"),
    ] {
        let imported = with(config(json!({key: value})), storages.clone());
        assert_eq!(why(&imported), "it holds a device of its node", "{key}");
        assert!(told(&imported).contains("pinned: 1 guests: it holds a device of its node"), "{}", told(&imported));
    }
    for value in ["lvm:vm-100-disk-0,size=32G", "elsewhere:vm-100-disk-0", "/dev/sdb", "file=lvm:100/x.qcow2"] {
        let imported = with(config(json!({"scsi0": value})), storages.clone());
        assert_eq!(why(&imported), "it has a disk of its node", "{value}");
    }
    assert_eq!(why(&with(config(json!({"lock": "migrate"})), storages)), "it is locked (migrate)");
}

#[test]
fn a_guest_stays_among_the_nodes_that_share_its_storage() {
    let some = json!([storage("ceph", "pve1", 1), storage("ceph", "pve2", 1)]);
    let imported = with(config(json!({"scsi0": "ceph:vm-100-disk-0"})), some);
    assert_eq!(
        (why(&imported), &task(&imported, "100-web").selector["node"][..]),
        (String::new(), &["pve1", "pve2"].map(String::from)[..])
    );
    let others = json!([storage("ceph", "pve2", 1), storage("ceph", "pve3", 1)]);
    assert_eq!(why(&with(config(json!({"scsi0": "ceph:vm-100-disk-0"})), others)), "it has a disk of its node");
}

#[test]
fn guests_without_a_configuration_are_told() {
    let said = told(&sound(proxmox::import, &recorded(&PROXMOX)));
    assert!(said.contains("left out: 4 configurations of guests"), "{said}");
    let said = told(&with(config(json!({})), json!([])));
    assert!(said.contains("left out: 3 configurations of guests"), "{said}");
}

#[test]
fn configurations_belong_to_the_guest_that_their_file_or_wrapper_names() {
    let hostpci = config(json!({"hostpci0": "0000:01:00"}));
    let read = |name: &str, value: &Value| {
        let more = Document { name: name.into(), bytes: serde_json::to_vec(value).unwrap() };
        proxmox::import(&[recorded(&PROXMOX), vec![more]].concat())
    };
    for (name, value) in [
        ("100.json", hostpci.clone()),
        ("pve1/qemu/100.conf.json", json!({"data": hostpci})),
        ("all", json!({"qemu/100": hostpci, "lxc/103": {"digest": "x", "rootfs": "lvm:x"}})),
    ] {
        let imported = read(name, &value).unwrap_or_else(|faults| panic!("{name}: {faults}"));
        assert_eq!(why(&imported), "it holds a device of its node", "{name}");
    }
    let said = read("config.json", &hostpci).unwrap_err().to_string();
    assert!(said.contains("I301") && said.contains("100.json"), "{said}");
    for odd in [json!({"100": {"name": "x"}}), json!({"100": hostpci, "101": 7}), json!({"name": "x"})] {
        assert!(read("x", &odd).unwrap_err().to_string().contains("I110"), "{odd}");
    }
}

#[test]
fn guests_that_ha_is_at_work_with_or_has_given_up_stay() {
    let state = |state: &str| {
        let documents = proxmox_with("qemu/100", |item| drop(item.insert("hastate".into(), json!(state))));
        why(&sound(proxmox::import, &documents))
    };
    for free in ["", "started", "ignored"] {
        assert_eq!(state(free), "", "{free}");
    }
    for busy in ["error", "fence", "freeze", "migrate", "relocate", "recovery", "queued", "stopped", "request_stop"] {
        assert_eq!(state(busy), format!("its state in HA is {busy:?}"));
    }
    for (state, is_cordoned) in
        [("online", false), ("maintenance", true), ("fence", true), ("unknown", true), ("gone", true)]
    {
        let documents = proxmox_with("node/pve1", |item| drop(item.insert("hastate".into(), json!(state))));
        assert_eq!(sound(proxmox::import, &documents).snapshot.nodes[0].cordoned, is_cordoned, "{state}");
    }
}

#[test]
fn a_rule_that_ha_cannot_follow_pins_and_one_that_is_off_does_not() {
    let with = |rule: usize, field: &str, value: Value| {
        let documents =
            changed(&PROXMOX, "proxmox/ha-rules.json", |document| document["data"][rule][field] = value.clone());
        sound(proxmox::import, &documents)
    };
    let errors = json!({"resources": ["resource is in another rule"]});
    for (rule, guest) in [(0, "100-web"), (2, "102-db"), (3, "103-dns")] {
        let imported = with(rule, "errors", errors.clone());
        assert!(task(&imported, guest).pinned, "{guest}");
        assert!(told(&imported).contains("guests with an HA rule that is not understood"), "{}", told(&imported));
        assert_eq!(told(&with(rule, "errors", json!({}))), golden(proxmox::import, &PROXMOX));
    }
    let imported = with(1, "disable", json!(1));
    assert!(!task(&imported, "107-a").pinned, "they are kept together no more");
    let imported = with(2, "disable", json!(1));
    assert!(task(&imported, "102-db").selector.is_empty());
    assert!(told(&imported).contains("no bearing on placement: 1 HA rules that are off"), "{}", told(&imported));
}

#[test]
fn templates_and_locked_guests() {
    let documents = proxmox_with("qemu/100", |item| drop(item.insert("lock".into(), json!("snapshot"))));
    assert_eq!(why(&sound(proxmox::import, &documents)), "it is locked (snapshot)");
    let documents = proxmox_with("qemu/100", |item| drop(item.insert("template".into(), json!(1))));
    let imported = sound(proxmox::import, &documents);
    assert!(imported.snapshot.tasks.iter().all(|task| task.name != "100-web"));
    assert!(told(&imported).contains("left out: 2 templates"), "{}", told(&imported));
}

#[test]
fn no_machine_comes_to_a_node_with_fewer_cpus_than_it_has() {
    let wide = |kind: &str| {
        let documents = changed(&PROXMOX, "proxmox/resources.json", |value| {
            for item in value.as_array_mut().unwrap() {
                match (item["type"].as_str().unwrap(), item["node"].as_str()) {
                    ("node", node) => item["maxcpu"] = json!(if node == Some("pve2") { 8 } else { 16 }),
                    (guest, _) if guest == kind => item["maxcpu"] = json!(12),
                    _ => {}
                }
            }
        });
        let imported = sound(proxmox::import, &documents);
        let guests = imported.snapshot.tasks.iter().filter(|task| !task.pinned && task.requirement["cpu"] == 12);
        guests.map(|task| task.selector.get("node").cloned().unwrap_or_default()).collect::<Vec<_>>()
    };
    let machines = wide("qemu");
    assert!(!machines.is_empty() && machines.iter().all(|nodes| !nodes.is_empty() && !nodes.contains(&"pve2".into())));
    assert!(wide("lxc").iter().all(|nodes| nodes.is_empty() || nodes.contains(&"pve2".into())));
}

#[test]
fn what_is_said_of_ha_is_no_configuration_and_two_of_one_guest_are_a_fault() {
    let document =
        |name: &str, value: Value| Document { name: name.into(), bytes: serde_json::to_vec(&value).unwrap() };
    let real = || document("100.json", config(json!({"hostpci0": "0000:01:00.0"})));
    let ha =
        document("ha-resources-100.json", json!({"sid": "vm:100", "type": "vm", "digest": "abc", "state": "started"}));
    let all = |more: Document| recorded(&PROXMOX).into_iter().chain([real(), more]).collect::<Vec<_>>();
    assert!(refusals(proxmox::import, &all(ha)).contains("I110"));
    assert!(
        refusals(proxmox::import, &all(document("other-100.json", config(json!({}))))).contains("two configurations")
    );
}
