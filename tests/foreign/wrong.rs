//! Values of the wrong type, and values that are not there: read as nothing they would be room for others, or a rule less.

use super::*;

const TRAITS: &str = "openstack/traits-00000101-7a3c-4d5e-8f90-1b2c3d4e5f60.json";
const INVENTORIES: &str = "openstack/inventories-00000101-7a3c-4d5e-8f90-1b2c3d4e5f60.json";

/// One document whose value at a path is another.
fn set(files: &[&str], file: &str, path: &str, new: Value) -> Vec<Document> {
    changed(files, file, |value| {
        *value.pointer_mut(path).unwrap_or_else(|| panic!("{file} has no {path}")) = new.clone()
    })
}

/// One document that lacks what is at a path.
fn without(files: &[&str], file: &str, path: &str) -> Vec<Document> {
    let (parent, name) = path.rsplit_once('/').expect("paths begin with a slash");
    changed(files, file, |value| {
        let gone = value.pointer_mut(parent).and_then(Value::as_object_mut).and_then(|fields| fields.remove(name));
        gone.unwrap_or_else(|| panic!("{file} has no {path}"));
    })
}

#[track_caller]
fn refused(import: Import, documents: &[Document], code: &str, place: &str) {
    let said = refusals(import, documents);
    assert!(said.contains(code) && said.contains(place), "{code} at {place}, but: {said}");
}

#[test]
fn a_number_in_a_list_of_texts_is_refused_by_every_importer() {
    let list = || json!(["x", 7]);
    refused(openstack::import, &set(&OPENSTACK, TRAITS, "/traits", list()), "I201", "traits[1]");
    let members = set(&OPENSTACK, "openstack/server_groups.json", "/server_groups/0/members", list());
    refused(openstack::import, &members, "I201", "server_groups[0], members[1]");
    let aggregates = json!({"aggregates": list(), "resource_provider_generation": 1});
    let more = json!({"00000101-7a3c-4d5e-8f90-1b2c3d4e5f60": aggregates}).to_string();
    let mut documents = recorded(&OPENSTACK);
    documents.push(Document { name: "more".into(), bytes: more.into_bytes() });
    refused(openstack::import, &documents, "I201", "aggregates[1]");
    for field in ["job_state", "partition", "gres_detail"] {
        let job = waiting(7, 1, json!({"job_state": ["RUNNING"], "nodes": "n1", field: list()}));
        refused(slurm::import, &slurm_with(json!([job]), ""), "I201", &format!("{field}[1]"));
    }
    let rules = set(&PROXMOX, "proxmox/ha-rules.json", "/data/0/resources", json!(["vm:100", 7]));
    refused(proxmox::import, &rules, "I201", "resources[1]");
    let held = json!([{"Vendor": "nvidia", "Type": "gpu", "Name": "a100", "DeviceIDs": ["a", 7]}]);
    let devices = changed(&NOMAD, "nomad/allocations.json", |value| {
        let tasks = value[0]["AllocatedResources"]["Tasks"].as_object_mut().unwrap();
        tasks.values_mut().for_each(|task| task["Devices"] = held.clone());
    });
    refused(nomad::import, &devices, "I201", "DeviceIDs[1]");
}

#[test]
fn what_nomad_says_in_another_type_is_refused() {
    const FILE: &str = "nomad/1.0-allocation.json";
    let files = ["nomad/1.1-nodes.json", FILE];
    let nodes = |path: &str, new: Value| {
        let mut documents = recorded(&["nomad/nodes.json", "nomad/allocations.json"]);
        let mut value: Value = serde_json::from_slice(&documents[0].bytes).unwrap();
        *value.pointer_mut(path).expect("it is there") = new;
        documents[0].bytes = value.to_string().into_bytes();
        documents
    };
    refused(nomad::import, &nodes("/0/ReservedResources/Cpu", json!(7)), "I201", "ReservedResources, Cpu");
    refused(nomad::import, &nodes("/0/ReservedResources", json!("x")), "I201", "ReservedResources");
    refused(nomad::import, &nodes("/0/Drain", json!("yes")), "I201", "Drain");
    for (path, new) in [
        ("/Job/Constraints", json!("x")),
        ("/Job/TaskGroups/0/Tasks/0", json!("x")),
        ("/Job/TaskGroups/0/Networks/0/ReservedPorts", json!(9090)),
        ("/Job/TaskGroups/0/Networks", json!({"x": 1})),
        ("/Job/TaskGroups", json!({"web": 1})),
        ("/Job/Priority", json!("high")),
        ("/AllocatedResources/TaskLifecycles/connect-proxy-web/Sidecar", json!("yes")),
        ("/AllocatedResources/TaskLifecycles/connect-proxy-web", json!(7)),
        ("/AllocatedResources/Tasks/web", Value::Null),
        ("/AllocatedResources/Tasks/web/Cpu/CpuShares", Value::Null),
        ("/AllocatedResources/Shared/DiskMB", json!(-1)),
    ] {
        refused(
            nomad::import,
            &set(&files, FILE, path, new),
            "I201",
            path.rsplit('/').find(|word| word.parse::<u32>().is_err()).unwrap(),
        );
    }
    refused(
        nomad::import,
        &without(&files, FILE, "/AllocatedResources/Tasks/web/Memory"),
        "I201",
        "Memory.MemoryMB: there is no figure",
    );
    for (path, place) in
        [("/AllocatedResources/Tasks", "it has no Tasks"), ("/AllocatedResources", "it has no AllocatedResources")]
    {
        refused(nomad::import, &without(&files, FILE, path), "I301", place);
        refused(nomad::import, &set(&files, FILE, path, json!(false)), "I301", place);
    }
    let twice =
        set(&files, FILE, "/AllocatedResources/Tasks/web/Cpu", json!({"CpuShares": 500, "ReservedCores": [1, 1, 2]}));
    let held = |documents: &[Document]| sound(nomad::import, documents).snapshot.tasks[0].origin.get("pinned").cloned();
    assert!(held(&twice).is_some());
}

#[test]
fn a_node_of_nomad_that_keeps_nothing_is_told_and_only_devices_that_say_so_work() {
    let mut documents = recorded(&["nomad/nodes.json"]);
    let mut value: Value = serde_json::from_slice(&documents[0].bytes).unwrap();
    value[0].as_object_mut().unwrap().remove("ReservedResources");
    let instances = json!([{"ID": "a", "Healthy": null}, {"ID": "b", "Healthy": true}]);
    let device = json!({"Vendor": "nvidia", "Type": "gpu", "Name": "a100", "Instances": instances});
    value[0]["NodeResources"]["Devices"] = json!([device]);
    documents[0].bytes = value.to_string().into_bytes();
    let imported = sound(nomad::import, &documents);
    assert!(told(&imported).contains("left out: 1 what nodes keep to themselves"), "{}", told(&imported));
    assert_eq!(imported.snapshot.nodes[0].devices[0].count, 1);
}

#[test]
fn nodes_and_what_runs_on_them_have_names() {
    refused(openstack::import, &without(&OPENSTACK, "openstack/servers.json", "/servers/0/id"), "I301", "it has no id");
    let name = without(&OPENSTACK, "openstack/hypervisors.json", "/hypervisors/0/hypervisor_hostname");
    refused(openstack::import, &name, "I301", "it has no hypervisor_hostname");
    refused(
        proxmox::import,
        &proxmox_with("qemu/100", |item| drop(item.insert("vmid".into(), json!("x")))),
        "I201",
        "vmid",
    );
    for (file, path) in
        [("nomad/nodes.json", "/0/ID"), ("nomad/allocations.json", "/0/ID"), ("nomad/allocations.json", "/0/NodeID")]
    {
        refused(nomad::import, &without(&NOMAD, file, path), "I301", &format!("{file}[0]: it has no"));
    }
    let kept = without(&NOMAD, "nomad/nodes.json", "/0/ReservedResources/Memory");
    refused(nomad::import, &kept, "I201", "ReservedResources.Memory.MemoryMB");
    let nameless = waiting(7, 1, json!({"job_id": null}));
    refused(slurm::import, &slurm_with(json!([nameless]), ""), "I301", "jobs[0]: it has no job_id");
}

#[test]
fn an_inventory_has_all_its_figures() {
    for field in ["total", "reserved", "min_unit", "max_unit", "step_size", "allocation_ratio"] {
        let path = format!("/inventories/VCPU/{field}");
        let place = format!("inventories, VCPU, {field}");
        refused(openstack::import, &set(&OPENSTACK, INVENTORIES, &path, Value::Null), "I201", &place);
        refused(openstack::import, &set(&OPENSTACK, INVENTORIES, &path, json!("many")), "I201", &place);
        refused(openstack::import, &without(&OPENSTACK, INVENTORIES, &path), "I201", &place);
    }
}

#[test]
fn members_of_server_groups_are_listed_and_found() {
    let path = "/server_groups/0/members";
    refused(openstack::import, &without(&OPENSTACK, "openstack/server_groups.json", path), "I301", "server_groups[0]");
    let strangers =
        set(&OPENSTACK, "openstack/server_groups.json", path, json!(["00000001-7a3c-4d5e-8f90-1b2c3d4e5f60", "gone"]));
    let said = told(&sound(openstack::import, &strangers));
    assert!(said.contains("left out: 1 members of server groups that are not in the list of servers"), "{said}");
    let specs = set(
        &OPENSTACK,
        "openstack/servers.json",
        "/servers/0/flavor/extra_specs",
        json!({"hw:cpu_policy": ["dedicated"]}),
    );
    refused(openstack::import, &specs, "I201", "extra_specs, hw:cpu_policy");
    let hidden = without(&OPENSTACK, "openstack/servers.json", "/servers/0/flavor/extra_specs");
    let said = told(&sound(openstack::import, &hidden));
    assert!(said.contains("left out: 1 extra specs of flavors of servers"), "{said}");
}

#[test]
fn lists_of_slurm_that_cannot_be_read_are_refused() {
    let node = |field: &str, text: &str| {
        let mut documents = slurm_with(json!([]), "");
        let mut value: Value = serde_json::from_slice(&documents[0].bytes).unwrap();
        value["nodes"][0][field] = json!(text);
        documents[0].bytes = value.to_string().into_bytes();
        documents
    };
    refused(slurm::import, &node("specialized_cpus", "0-x"), "I203", "nodes[0], specialized_cpus");
    refused(slurm::import, &node("gres_used", "gpu:a100:1(IDX:0"), "I203", "nodes[0], gres_used");
    assert_eq!(sound(slurm::import, &node("specialized_cpus", "0-1")).snapshot.nodes[0].allocatable["cpu"], 6);
    for field in ["memory_per_tres", "cpus_per_tres"] {
        for text in ["gres/gpu:lots", "gres/gpu(", ":5"] {
            let job = waiting(7, 1, json!({"tres_per_node": "gres/gpu:1", field: text}));
            refused(slurm::import, &slurm_with(json!([job]), ""), "I203", &format!("jobs[0], {field}"));
        }
    }
    let job = waiting(7, 1, json!({"job_state": ["RUNNING"], "nodes": "n1", "gres_detail": ["gpu:a100:1(IDX:0"]}));
    refused(slurm::import, &slurm_with(json!([job]), ""), "I203", "jobs[0], gres_detail");
    let job = |told: Value| {
        waiting(7, 1, json!({"job_state": ["RUNNING"], "job_resources": {"nodes": {"allocation": told}}}))
    };
    for told in [
        json!({"name": "n1"}),
        json!(["n1"]),
        json!([{"name": "n1", "cpus": {"count": "x"}}]),
        json!([{"name": ["n1"]}]),
    ] {
        refused(slurm::import, &slurm_with(json!([job(told)]), ""), "I201", "job_resources, nodes, allocation");
    }
}

#[test]
fn cpus_of_jobs_that_are_not_listed_do_not_count_for_their_partition_and_that_is_told() {
    let with = |most: u32| {
        let partition = json!({"name": "main", "maximums": {"cpus_per_node": most}});
        let mut documents = slurm_with(json!([]), &json!({"partitions": [partition]}).to_string());
        let text = String::from_utf8(documents[0].bytes.clone()).unwrap().replacen(
            "\"cpus\": 8",
            "\"alloc_cpus\": 3, \"cpus\": 8",
            1,
        );
        documents[0].bytes = text.into_bytes();
        told(&sound(slurm::import, &documents))
    };
    let what = "left out: 1 CPUs in use on nodes by no running job of the list";
    assert!(with(4).contains(what) && !with(0).contains(what), "{}", with(4));
}

#[test]
fn what_proxmox_does_not_say_is_no_freedom() {
    const FILE: &str = "proxmox/resources.json";
    let lacks = |id: &str, field: &str| proxmox_with(id, |item| drop(item.remove(field).expect("it is there")));
    refused(proxmox::import, &lacks("node/pve1", "mem"), "I301", "what of it is in use");
    refused(proxmox::import, &lacks("qemu/100", "vmid"), "I301", FILE);
    refused(
        proxmox::import,
        &without(&PROXMOX, "proxmox/ha-rules.json", "/data/0/resources"),
        "I301",
        "ha-rules.json[0]",
    );
    refused(proxmox::import, &set(&PROXMOX, "proxmox/ha-rules.json", "/data/2/strict", json!([1])), "I201", "strict");
    let stranger = set(&PROXMOX, "proxmox/ha-rules.json", "/data/2/resources", json!("vm:10"));
    let said = told(&sound(proxmox::import, &stranger));
    assert!(said.contains("left out: 1 guests of HA rules and resources that are not in the list"), "{said}");
    // A rule of no known kind is one all the same.
    let imported = sound(proxmox::import, &without(&PROXMOX, "proxmox/ha-rules.json", "/data/2/type"));
    assert!(task(&imported, "102-db").pinned, "{}", told(&imported));
    // So is a group that nobody tells of.
    let groups = changed(&PROXMOX_8, "proxmox/ha-groups.json", |value| {
        for item in value.as_array_mut().into_iter().flatten().filter(|item| item.get("nodes").is_some()) {
            item["group"] = json!("elsewhere");
        }
    });
    let before = sound(proxmox::import, &recorded(&PROXMOX_8)).snapshot.tasks;
    let after = sound(proxmox::import, &groups).snapshot.tasks;
    let freed =
        |pairs: (&TaskSpec, &TaskSpec)| !pairs.0.selector.is_empty() && pairs.1.selector.is_empty() && !pairs.1.pinned;
    assert!(before.iter().any(|task| !task.selector.is_empty()) && !before.iter().zip(&after).any(freed));
    // A drive, a device or a lock that is no text keeps its guest.
    for key in ["hostpci0", "scsi0", "lock", "usb0", "args"] {
        for odd in [json!(7), Value::Null, json!([["a", "b"]])] {
            let text = json!({"digest": "x", key: odd}).to_string();
            let documents =
                [recorded(&PROXMOX), vec![Document { name: "100.json".into(), bytes: text.into_bytes() }]].concat();
            assert!(task(&sound(proxmox::import, &documents), "100-web").pinned, "{key}: {odd}");
        }
    }
}

#[test]
fn what_is_not_told_of_use_states_and_zones_is_told_of() {
    const USAGES: &str = "openstack/usages.json";
    let path = "/00000101-7a3c-4d5e-8f90-1b2c3d4e5f60/usages/VCPU";
    let said = told(&sound(openstack::import, &without(&OPENSTACK, USAGES, path)));
    assert!(said.contains("left out: 1 what is in use on hypervisors of resource classes"), "{said}");
    let zone = "/servers/0/OS-EXT-AZ:availability_zone";
    let said = told(&sound(openstack::import, &set(&OPENSTACK, "openstack/servers.json", zone, Value::Null)));
    assert!(said.contains("left out: 1 zones of servers"), "{said}");
    for state in [json!(["ODD"]), json!([]), json!(7)] {
        let said = told(&sound(slurm::import, &slurm_with(json!([waiting(7, 1, json!({"job_state": state}))]), "")));
        assert!(said.contains("left out: 1 waiting jobs that are in a state that is not known here"), "{said}");
    }
    let over =
        told(&sound(slurm::import, &slurm_with(json!([waiting(7, 1, json!({"job_state": ["COMPLETED"]}))]), "")));
    assert!(over.contains("no bearing on placement: 1 jobs that are over"), "{over}");
    const FILE: &str = "nomad/1.0-allocation.json";
    let path = "/AllocatedResources/TaskLifecycles/connect-proxy-web/Sidecar";
    let beside = sound(nomad::import, &without(&["nomad/1.1-nodes.json", FILE], FILE, path));
    assert_eq!(beside.snapshot.tasks[0].requirement["cpu"], 750);
}
