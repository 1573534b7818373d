//! What of a flavor, an image, a shared storage or a server group binds a server to hosts?

use super::*;

const UUIDS: [&str; 3] = [
    "00000101-7a3c-4d5e-8f90-1b2c3d4e5f60",
    "00000102-7a3c-4d5e-8f90-1b2c3d4e5f60",
    "00000103-7a3c-4d5e-8f90-1b2c3d4e5f60",
];

/// All documents with some extra specs and image properties for `web-1`.
fn with(specs: Value, properties: Value) -> Vec<Document> {
    changed(&OPENSTACK, "openstack/servers.json", |value| {
        value["servers"][0]["flavor"]["extra_specs"] = specs.clone();
        value["servers"][0]["image"]["properties"] = properties.clone();
    })
}

/// The same with one more document.
fn and(mut documents: Vec<Document>, more: Value) -> Vec<Document> {
    documents.push(Document { name: "more".into(), bytes: serde_json::to_vec(&more).unwrap() });
    documents
}

/// Dedicated CPUs on some hypervisors.
fn dedicated(documents: Vec<Document>, on: &[usize]) -> Vec<Document> {
    let inventory = |n: &usize| (UUIDS[*n].to_string(), json!({"inventories": {"PCPU": inventory(8)}}));
    and(documents, Value::Object(on.iter().map(inventory).collect()))
}

/// Requirement of CPUs (shared, dedicated) of `web-1`, and why it is pinned.
fn cpus(documents: &[Document]) -> ([i64; 2], String) {
    let imported = sound(openstack::import, documents);
    let web = task(&imported, "web-1");
    let amount = |class: &str| web.requirement.get(class).copied().unwrap_or(0);
    ([amount("VCPU"), amount("PCPU")], web.origin.get("pinned").cloned().unwrap_or_default())
}

#[test]
fn cpus_are_shared_or_dedicated_as_the_flavor_or_the_image_says() {
    let mask = |mask: &str| json!({"hw:cpu_policy": "mixed", "hw:cpu_dedicated_mask": mask});
    for (specs, properties, expected) in [
        (json!({}), json!({}), [2, 0]),
        (json!({"hw:cpu_policy": "shared"}), json!({}), [2, 0]),
        (json!({"hw:cpu_policy": "dedicated"}), json!({}), [0, 2]),
        (json!({}), json!({"hw_cpu_policy": "dedicated"}), [0, 2]),
        (json!({"hw:cpu_policy": "dedicated", "hw:emulator_threads_policy": "isolate"}), json!({}), [0, 3]),
        (mask("1"), json!({}), [1, 1]),
        (mask("^0"), json!({}), [1, 1]),
        (json!({"resources:PCPU": "2"}), json!({}), [0, 2]),
        (json!({"resources:VCPU": "1"}), json!({}), [1, 0]),
        (json!({"resources1:VCPU": "1", "resources2:VCPU": "1", "group_policy": "none"}), json!({}), [2, 0]),
        (json!({"resources_a:PCPU": "1"}), json!({}), [0, 1]),
    ] {
        let documents = dedicated(with(specs.clone(), properties.clone()), &[0, 1]);
        assert_eq!(cpus(&documents), (expected, String::new()), "{specs} {properties}");
    }
    for specs in
        [mask("0-9"), mask(""), mask("0-1"), json!({"hw:cpu_policy": "orbital"}), json!({"resources:PCPU": "x"})]
    {
        let (_, pinned) = cpus(&dedicated(with(specs.clone(), json!({})), &[0, 1]));
        assert!(!pinned.is_empty(), "{specs}");
    }
    assert_eq!(cpus(&dedicated(with(mask("x"), json!({})), &[0])).0, [2, 2], "nobody knows, so it holds both");
}

#[test]
fn hosts_without_dedicated_cpus_are_closed_and_who_is_on_one_stays() {
    let specs = json!({"hw:cpu_policy": "dedicated"});
    let imported = sound(openstack::import, &dedicated(with(specs.clone(), json!({})), &[0]));
    let has: Vec<bool> = imported.snapshot.nodes.iter().map(|node| node.allocatable.contains_key("PCPU")).collect();
    assert_eq!((has, task(&imported, "web-1").pinned), (vec![true, false, false], false));
    assert!(
        told(&imported).contains("left out: 1 that dedicated CPUs of a server are of one cell"),
        "{}",
        told(&imported)
    );
    let imported = sound(openstack::import, &with(specs, json!({})));
    assert!(task(&imported, "web-1").pinned, "its CPUs are of a class that its host does not say it has");
    assert!(!task(&imported, "web-1").requirement.contains_key("PCPU"), "and its host is not overfull by them");
    assert!(
        told(&imported).contains("pinned: 1 servers: nothing says that its hypervisor has PCPU"),
        "{}",
        told(&imported)
    );
}

#[test]
fn policies_for_threads_are_traits() {
    let threads = |policy: &str, hyper: &[usize], by_image: bool| {
        let with = match by_image {
            true => with(json!({}), json!({"hw_cpu_thread_policy": policy})),
            false => with(json!({"hw:cpu_thread_policy": policy}), json!({})),
        };
        let traits = |n: &usize| (UUIDS[*n].to_string(), json!({"traits": ["HW_CPU_HYPERTHREADING"]}));
        let imported = sound(openstack::import, &and(with, Value::Object(hyper.iter().map(traits).collect())));
        let labels: Vec<String> = task(&imported, "web-1").selector.keys().cloned().collect();
        (labels, task(&imported, "web-1").pinned)
    };
    let labels = |label: &str| vec![label.to_string(), "zone".to_string()];
    for by_image in [false, true] {
        assert_eq!(threads("require", &[0], by_image), (labels("trait/HW_CPU_HYPERTHREADING"), false));
        assert_eq!(threads("isolate", &[1], by_image), (labels("not-trait/HW_CPU_HYPERTHREADING"), false));
        // Where it runs, its policy is followed in another way.
        assert!(threads("isolate", &[0], by_image).1 && threads("require", &[1], by_image).1);
        assert_eq!(threads("prefer", &[0], by_image), (vec!["zone".to_string()], false));
        assert!(threads("orbital", &[0], by_image).1);
    }
}

/// Who has no trait because nobody asked for its traits may have it.
#[test]
fn a_forbidden_trait_closes_hosts_whose_traits_are_unknown() {
    let imported = sound(openstack::import, &with(json!({"trait:CUSTOM_SSD": "forbidden"}), json!({})));
    let open: Vec<bool> =
        imported.snapshot.nodes.iter().map(|node| node.labels.contains_key("not-trait/CUSTOM_SSD")).collect();
    assert_eq!(open, [false, true, false]);
    let documents = changed(&OPENSTACK, "openstack/servers.json", |value| {
        value["servers"][7]["flavor"]["extra_specs"] = json!({"trait:CUSTOM_SSD": "forbidden"});
    });
    let said = told(&sound(openstack::import, &documents));
    assert!(said.contains("pinned: 1 servers: it is in an affinity group"), "an affinity group comes first: {said}");
    let documents = changed(&OPENSTACK, "openstack/servers.json", |value| {
        value["servers"][0]["OS-EXT-SRV-ATTR:hypervisor_hostname"] = json!("compute-3.example");
        value["servers"][0]["flavor"]["extra_specs"] = json!({"trait:CUSTOM_SSD": "required"});
    });
    let said = task(&sound(openstack::import, &documents), "web-1").origin["pinned"].clone();
    assert!(said.starts_with("nothing says which traits its hypervisor has"), "{said}");
}

#[test]
fn what_no_document_tells_of_hosts_binds_and_how_a_server_is_run_does_not() {
    for key in
        ["hw:mem_page_size", "hw:numa_nodes", "hw:pmem", "hw:cpu_realtime", "capabilities:x", "ssd", "trait1:CUSTOM_X"]
    {
        let imported = sound(openstack::import, &with(json!({key: "2"}), json!({})));
        let pinned = task(&imported, "web-1").origin.get("pinned").cloned().unwrap_or_default();
        assert!(pinned.contains(key), "{key}: {pinned}");
        assert!(
            told(&imported).contains(&format!(" servers: its flavor says {key}, and no document")),
            "{}",
            told(&imported)
        );
    }
    for key in ["hw_mem_page_size", "hw_numa_nodes", "hw_tpm_version", "os_secure_boot", "trait:CUSTOM_X"] {
        let imported = sound(openstack::import, &with(json!({}), json!({key: "2"})));
        let pinned = task(&imported, "web-1").origin.get("pinned").cloned().unwrap_or_default();
        assert!(pinned.contains(key), "{key}: {pinned}");
    }
    let specs = json!({"quota:vif_inbound_average": "5", "hw_rng:allowed": "true", "hw:cpu_sockets": "2"});
    let properties =
        json!({"hw_disk_bus": "scsi", "os_distro": "debian", "base_image_ref": "x", "trait:CUSTOM_SSD": "required"});
    let imported = sound(openstack::import, &with(specs, properties));
    assert!(!task(&imported, "web-1").pinned, "{}", told(&imported));
    assert_eq!(task(&imported, "web-1").selector["trait/CUSTOM_SSD"], ["yes"]);
    let said = told(&imported);
    assert!(said.contains("no bearing on placement: 3 extra specs of flavors"), "{said}");
    assert!(said.contains("no bearing on placement: 3 properties of images"), "{said}");
    assert!(said.contains("left out: 8 properties of images of servers"), "{said}");
}

#[test]
fn a_resource_class_that_the_host_does_not_say_it_has_pins() {
    for key in ["resources:CUSTOM_FAST", "resources7:CUSTOM_FAST"] {
        let imported = sound(openstack::import, &with(json!({key: "1"}), json!({})));
        assert!(task(&imported, "web-1").pinned, "{key}");
        let inventory = json!({UUIDS[0]: {"inventories": {"CUSTOM_FAST": inventory(4)}}});
        let imported = sound(openstack::import, &and(with(json!({key: "1"}), json!({})), inventory));
        assert_eq!((task(&imported, "web-1").requirement["CUSTOM_FAST"], task(&imported, "web-1").pinned), (1, false));
    }
}

#[test]
fn servers_stay_on_hypervisors_of_their_kind() {
    let kinds = |change: &dyn Fn(&mut Value)| {
        let documents = changed(&OPENSTACK, "openstack/hypervisors.json", |value| change(&mut value["hypervisors"][1]));
        let imported = sound(openstack::import, &documents);
        task(&imported, "web-1").selector.clone()
    };
    assert_eq!(kinds(&|_| ()).keys().collect::<Vec<_>>(), ["zone"]);
    assert_eq!(kinds(&|node| node["hypervisor_type"] = json!("ironic"))["hypervisor_type"], ["QEMU"]);
    assert_eq!(kinds(&|node| node["cpu_info"] = json!({"arch": "aarch64"}))["architecture"], ["unknown"]);
}

/// Hypervisors 1 and 2 have their disks from a provider that they share, and no inventory of their own for them.
fn shared(storage: Value, aggregates: &[usize]) -> Vec<Document> {
    let mut documents = recorded(&OPENSTACK);
    for document in documents.iter_mut().filter(|document| document.name.contains("inventories-0000010")) {
        let mut value: Value = serde_json::from_slice(&document.bytes).unwrap();
        if !document.name.contains("00000103") {
            value["inventories"].as_object_mut().unwrap().remove("DISK_GB");
        }
        document.bytes = serde_json::to_vec(&value).unwrap();
    }
    let list = json!({"resource_providers": [{"uuid": "nfs", "name": "nfs"}]});
    let of =
        |n: &usize| (UUIDS[*n].to_string(), json!({"aggregates": ["a1", "a2"], "resource_provider_generation": 1}));
    let documents = and(and(documents, list), Value::Object(aggregates.iter().map(of).collect()));
    and(documents, json!({"nfs": storage}))
}

#[test]
fn servers_with_disks_in_a_shared_storage_stay_among_its_hosts() {
    let storage = json!({
        "inventories": {"DISK_GB": inventory(9000)}, "traits": ["MISC_SHARES_VIA_AGGREGATE"],
        "aggregates": ["a2"], "resource_provider_generation": 1
    });
    let imported = sound(openstack::import, &shared(storage.clone(), &[0, 1]));
    let web = task(&imported, "web-1");
    assert!(!web.pinned && !web.requirement.contains_key("DISK_GB"), "{}", told(&imported));
    assert_eq!(web.selector["shared/DISK_GB"], ["nfs"]);
    let has: Vec<bool> = imported.snapshot.nodes.iter().map(|n| n.labels.contains_key("shared/DISK_GB")).collect();
    assert_eq!(has, [true, true, false]);
    assert!(told(&imported).contains("left out: 1 room in shared inventories"), "{}", told(&imported));
    assert!(!told(&imported).contains("providers that are no hypervisor"), "{}", told(&imported));
    // One that is not known to share it, or nobody who says whose it is: servers there stay.
    let imported = sound(openstack::import, &shared(storage.clone(), &[1]));
    assert!(
        task(&imported, "web-1").pinned
            && !task(&imported, "job.00000005-7a3c-4d5e-8f90-1b2c3d4e5f60").selector.is_empty()
    );
    let mut alone = storage;
    alone["traits"] = json!([]);
    let imported = sound(openstack::import, &shared(alone, &[0, 1]));
    assert!(task(&imported, "web-1").pinned, "{}", told(&imported));
    assert!(
        told(&imported).contains("left out: 1 inventories of providers that are no hypervisor"),
        "{}",
        told(&imported)
    );
}

#[test]
fn a_shared_storage_that_no_hypervisor_has_is_told() {
    let storage = json!({"inventories": {"DISK_GB": inventory(9000)}, "traits": ["MISC_SHARES_VIA_AGGREGATE"]});
    let imported = sound(openstack::import, &shared(storage, &[0, 1]));
    assert!(task(&imported, "web-1").pinned);
    assert!(
        told(&imported).contains("left out: 1 shared inventories that no hypervisor is known to have"),
        "{}",
        told(&imported)
    );
}

#[test]
fn a_list_of_server_groups_as_long_as_a_page_goes_on() {
    let full = changed(&OPENSTACK, "openstack/server_groups.json", |value| {
        let groups = value["server_groups"].as_array_mut().unwrap();
        groups.extend(
            (groups.len()..1000)
                .map(|n| json!({"id": format!("g{n}"), "name": "g", "policy": "affinity", "members": []})),
        );
    });
    let said = refusals(openstack::import, &full);
    assert!(said.contains("I113") && said.contains("offset=1000"), "{said}");
    sound(openstack::import, &and(full, json!({"server_groups": []})));
    let without: Vec<&str> = OPENSTACK.into_iter().filter(|name| !name.contains("server_groups")).collect();
    let said = told(&sound(openstack::import, &recorded(&without)));
    assert!(said.contains("left out: 1 rules of server groups: no list of them"), "{said}");
}

#[test]
fn a_server_that_names_a_group_that_is_not_listed_stays_and_so_does_one_with_hints() {
    let with = |field: &str, value: Value| {
        let documents = changed(&OPENSTACK, "openstack/servers.json", |document| {
            document["servers"][2][field] = value.clone();
        });
        task(&sound(openstack::import, &documents), "db").origin.get("pinned").cloned().unwrap_or_default()
    };
    let [known, soft] = ["00000501-7a3c-4d5e-8f90-1b2c3d4e5f60", "00000503-7a3c-4d5e-8f90-1b2c3d4e5f60"];
    for value in [json!({"group": soft}), json!({"group": [soft]}), json!({"group": known}), json!({}), Value::Null] {
        assert_eq!(with("scheduler_hints", value.clone()), "", "{value}");
    }
    assert_eq!(with("server_groups", json!([soft])), "");
    for (field, value) in [("scheduler_hints", json!({"group": "lost"})), ("server_groups", json!(["lost"]))] {
        assert_eq!(with(field, value), "it is in a server group that is not in the list of them");
    }
    for key in ["same_host", "different_host", "build_near_host_ip", "query"] {
        assert_eq!(
            with("scheduler_hints", json!({key: ["x"]})),
            format!("its scheduler hint {key} holds wherever it goes")
        );
    }
}

#[test]
fn servers_that_are_locked_or_have_something_under_way_stay() {
    let states = ["migrating", "rebuilding", "image_snapshot", "powering-off"]
        .map(|state| ("OS-EXT-STS:task_state", json!(state)));
    for (field, value) in states.into_iter().chain([("locked", json!(true)), ("status", json!("VERIFY_RESIZE"))]) {
        let documents =
            changed(&OPENSTACK, "openstack/servers.json", |document| document["servers"][0][field] = value.clone());
        assert!(task(&sound(openstack::import, &documents), "web-1").pinned, "{field} {value}");
    }
}

#[test]
fn placement_gives_only_whole_units_and_a_host_that_is_down_gives_nobody_away() {
    let inventory = |units: Value| {
        let mut vcpu = inventory(64);
        vcpu["allocation_ratio"] = json!(16.0);
        vcpu.as_object_mut().unwrap().extend(units.as_object().unwrap().clone());
        json!({UUIDS[1]: {"inventories": {"VCPU": vcpu, "MEMORY_MB": inventory(262_144), "DISK_GB": inventory(2000)}}})
    };
    let open = |units: Value| {
        let imported = sound(openstack::import, &and(recorded(&OPENSTACK), inventory(units)));
        let web = task(&imported, "web-1");
        let label = web.selector.keys().find(|key| key.starts_with("unit/VCPU/")).cloned();
        label.map(|label| imported.snapshot.nodes.iter().map(|node| node.labels.contains_key(&label)).collect())
    };
    let not_the_second = Some(vec![true, false, true]);
    for (units, expected) in [
        (json!({"max_unit": 1}), not_the_second.clone()),
        (json!({"min_unit": 4}), not_the_second.clone()),
        (json!({"step_size": 3}), not_the_second),
        (json!({"min_unit": 1, "step_size": 2, "max_unit": 2}), None),
    ] {
        assert_eq!(open(units.clone()), expected, "{units}");
    }
    let down =
        changed(&OPENSTACK, "openstack/hypervisors.json", |value| value["hypervisors"][0]["state"] = json!("down"));
    let imported = sound(openstack::import, &down);
    assert!(task(&imported, "web-1").origin["pinned"].contains("down"), "{}", told(&imported));
}

#[test]
fn keys_of_anybody_elses_scope_choose_no_host() {
    let specs = json!({"scs:cpu-type": "shared-core", ":category": "General Purpose", "hw:pmu": "True"});
    assert_eq!(cpus(&with(specs, json!({}))), ([2, 0], String::new()));
    for key in ["ssd", "capabilities:cpu_info:vendor", "aggregate_instance_extra_specs:ssd"] {
        assert!(cpus(&with(json!({key: "true"}), json!({}))).1.contains("no document tells"), "{key}");
    }
}

#[test]
fn a_figure_that_is_missing_is_no_zero() {
    for field in ["vcpus", "ram", "disk"] {
        for nothing in [Value::Null, json!("")] {
            let documents = changed(&OPENSTACK, "openstack/servers.json", |value| {
                value["servers"][0]["flavor"][field] = nothing.clone();
            });
            let said = refusals(openstack::import, &documents);
            assert!(said.contains("I201") && said.contains(&format!("flavor, {field}")), "{said}");
        }
    }
    let usages = json!({UUIDS[0]: {"usages": {"VCPU": null}}});
    let said = refusals(openstack::import, &and(recorded(&OPENSTACK), usages));
    assert!(said.contains("I201") && said.contains("usages, VCPU"), "{said}");
    let mut negative = inventory(8);
    negative["allocation_ratio"] = json!(-0.5);
    let negative = json!({UUIDS[0]: {"inventories": {"VCPU": negative}}});
    let said = refusals(openstack::import, &and(recorded(&OPENSTACK), negative));
    assert!(said.contains("I201") && said.contains("VCPU, allocation_ratio"), "{said}");
}

#[test]
fn a_server_is_locked_or_not() {
    let with = |locked: Value| {
        changed(&OPENSTACK, "openstack/servers.json", |value| value["servers"][0]["locked"] = locked.clone())
    };
    for (locked, pinned) in [(json!(false), false), (json!(true), true)] {
        assert_eq!(task(&sound(openstack::import, &with(locked)), "web-1").pinned, pinned);
    }
    // Before microversion 2.9 nothing is said.
    let silent = changed(&OPENSTACK, "openstack/servers.json", |value| {
        value["servers"][0].as_object_mut().unwrap().remove("locked");
    });
    assert!(!task(&sound(openstack::import, &silent), "web-1").pinned);
    for bad in [json!(1), json!("None"), json!({}), json!([]), Value::Null] {
        let said = refusals(openstack::import, &with(bad));
        assert!(said.contains("I201") && said.contains("servers[0], locked"), "{said}");
    }
}
