//! What of a job of Nomad binds its allocations to nodes, or keeps them apart?

use super::*;

const WEB: [&str; 2] = ["web.app[0].00001000", "web.app[1].00001001"];

/// Documents with the nodes as `/v1/node/ID` tells them, and the job `web` changed.
fn with(meta: [Value; 3], change: impl Fn(&mut Value)) -> Vec<Document> {
    let mut documents = recorded(&NOMAD);
    let mut jobs: Vec<Value> =
        serde_json::Deserializer::from_slice(&recorded(&NOMAD)[3].bytes).into_iter().map(Result::unwrap).collect();
    change(&mut jobs[0]);
    documents[3].bytes = serde_json::to_vec(&jobs).unwrap();
    let mut nodes: Value = serde_json::from_slice(&documents[0].bytes).unwrap();
    for (node, meta) in nodes.as_array_mut().unwrap().iter_mut().zip(meta) {
        node.as_object_mut().unwrap().extend(meta.as_object().unwrap().clone());
    }
    documents[0].bytes = serde_json::to_vec(&nodes).unwrap();
    documents
}

fn racks() -> [Value; 3] {
    ["r1", "r2", "r2"]
        .map(|rack| json!({"Meta": {"rack": rack}, "Attributes": {"kernel.name": "linux", "docker": "24.0.7"}}))
}

fn stubs() -> [Value; 3] {
    [(); 3].map(|()| json!({}))
}

fn constraint(left: &str, operand: &str, right: &str) -> Value {
    json!([{"LTarget": left, "Operand": operand, "RTarget": right}])
}

fn why(imported: &Imported, name: &str) -> String {
    task(imported, name).origin.get("pinned").cloned().unwrap_or_default()
}

/// Names of the nodes whose labels the selector of a task accepts.
fn open(imported: &Imported, name: &str) -> Vec<String> {
    let selector = &task(imported, name).selector;
    let accepts = |node: &bayplan::model::NodeSpec| {
        selector.iter().all(|(label, values)| node.labels.get(label).is_some_and(|value| values.contains(value)))
    };
    imported.snapshot.nodes.iter().filter(|node| accepts(node)).map(|node| node.name.clone()).collect()
}

#[test]
fn constraints_become_labels_of_the_nodes_that_meet_them() {
    for (left, operand, right, nodes) in [
        ("${meta.rack}", "=", "r1", &["client-1"][..]),
        ("${meta.rack}", "regexp", "^r1$|^r2$", &["client-1", "client-2", "client-3"]),
        ("${attr.docker}", "version", ">= 20.10, < 25", &["client-1", "client-2", "client-3"]),
        ("${attr.docker}", "semver", ">= 24.0.0", &["client-1", "client-2", "client-3"]),
        ("${node.unique.name}", "set_contains_any", "client-1,client-2", &["client-1", "client-2"]),
    ] {
        for level in ["/Constraints", "/TaskGroups/0/Constraints", "/TaskGroups/0/Tasks/0/Constraints"] {
            let documents = with(racks(), |job| *job.pointer_mut(level).unwrap() = constraint(left, operand, right));
            let imported = sound(nomad::import, &documents);
            assert_eq!(
                (why(&imported, WEB[0]), open(&imported, WEB[0])),
                (String::new(), nodes.iter().map(|n| n.to_string()).collect()),
                "{operand} {level}"
            );
        }
    }
}

#[test]
fn constraints_that_nobody_can_tell_or_the_node_does_not_meet_pin() {
    for (left, operand, right, words) in [
        ("${meta.rack}", "=", "r2", "its node does not meet the constraints"),
        ("${meta.rack}", "regexp", "^r[12]$", "nobody can tell"),
        ("${attr.docker}", "version", "~> 24", "nobody can tell"),
        ("${meta.rack}", "resembles", "r1", "nobody can tell"),
    ] {
        let documents = with(racks(), |job| job["Constraints"] = constraint(left, operand, right));
        let imported = sound(nomad::import, &documents);
        assert!(why(&imported, WEB[0]).contains(words), "{operand}: {}", why(&imported, WEB[0]));
        assert!(told(&imported).contains("pinned: 2 allocations: "), "{}", told(&imported));
        assert_eq!(open(&imported, WEB[0]).len(), 3, "who stays breaks no rule by staying");
    }
    // A line of the list of nodes does not tell.
    let documents = with(stubs(), |job| job["Constraints"] = constraint("${meta.rack}", "=", "r1"));
    assert!(why(&sound(nomad::import, &documents), WEB[0]).contains("nobody can tell"));
}

#[test]
fn a_whole_node_takes_the_place_of_its_line() {
    let mut documents = with(stubs(), |job| job["Constraints"] = constraint("${meta.rack}", "=", "r1"));
    let mut whole: Value = serde_json::from_slice(&documents[0].bytes).unwrap();
    whole[0]["Meta"] = json!({"rack": "r1"});
    documents.push(Document { name: "node".into(), bytes: serde_json::to_vec(&whole[0]).unwrap() });
    let imported = sound(nomad::import, &documents);
    assert_eq!(
        (imported.snapshot.nodes.len(), why(&imported, WEB[0]), open(&imported, WEB[0])),
        (3, String::new(), vec!["client-1".to_string()])
    );
}

#[test]
fn host_volumes_close_nodes_without_them() {
    let volume = |more: Value| {
        let mut volume = json!({"Name": "data", "Type": "host", "Source": "certs", "ReadOnly": true});
        volume.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        volume
    };
    let volumes = |read_only: [Option<bool>; 3]| {
        read_only.map(|read_only| match read_only {
            Some(read_only) => {
                json!({"HostVolumes": {"certs": {"Name": "certs", "Path": "/x", "ReadOnly": read_only}}})
            }
            None => json!({"HostVolumes": {"other": {}}}),
        })
    };
    let read = |nodes: [Option<bool>; 3], more: Value| {
        sound(
            nomad::import,
            &with(volumes(nodes), |job| job["TaskGroups"][0]["Volumes"] = json!({"data": volume(more.clone())})),
        )
    };
    let imported = read([Some(true), None, Some(false)], json!({}));
    assert_eq!(
        (why(&imported, WEB[0]), open(&imported, WEB[0])),
        (String::new(), vec!["client-1".to_string(), "client-3".to_string()])
    );
    let imported = read([Some(false), Some(true), Some(false)], json!({"ReadOnly": false}));
    assert_eq!(open(&imported, WEB[0]), ["client-1", "client-3"]);
    for (nodes, more, words) in [
        ([None, Some(false), None], json!({}), "its node does not meet"),
        ([Some(false); 3], json!({"PerAlloc": true}), "a host volume to itself"),
        ([Some(false); 3], json!({"Sticky": true}), "a host volume to itself"),
        ([Some(false); 3], json!({"AccessMode": "single-node-writer"}), "few may use"),
        ([Some(false); 3], json!({"Type": "csi"}), "storage plugin (CSI)"),
    ] {
        let imported = read(nodes, more.clone());
        assert!(why(&imported, WEB[0]).contains(words), "{more}: {}", why(&imported, WEB[0]));
        assert!(told(&imported).contains("pinned: 2 allocations: it"), "{}", told(&imported));
    }
}

#[test]
fn ports_by_number_and_sticky_disks_pin() {
    for (path, value, words) in [
        ("Networks", json!([{"Mode": "host", "ReservedPorts": [{"Label": "http", "Value": 80}]}]), "ports by number"),
        ("EphemeralDisk", json!({"Sticky": true, "Migrate": false}), "sticky"),
    ] {
        let imported = sound(nomad::import, &with(racks(), |job| job["TaskGroups"][0][path] = value.clone()));
        assert!(why(&imported, WEB[0]).contains(words), "{}", why(&imported, WEB[0]));
    }
    for (path, value) in [
        ("Networks", json!([{"Mode": "bridge", "DynamicPorts": [{"Label": "http"}], "ReservedPorts": null}])),
        ("EphemeralDisk", json!({"Sticky": true, "Migrate": true})),
    ] {
        let imported = sound(nomad::import, &with(racks(), |job| job["TaskGroups"][0][path] = value.clone()));
        assert_eq!(why(&imported, WEB[0]), "", "{path}");
    }
}

#[test]
fn affinities_and_spreads_are_counted() {
    let one = json!([{"LTarget": "${meta.rack}", "Operand": "=", "RTarget": "r1", "Weight": 50}]);
    let documents = with(racks(), |job| {
        job["Affinities"] = one.clone();
        job["Spreads"] = json!([{"Attribute": "${meta.rack}", "Weight": 100}]);
        job["TaskGroups"][0]["Spreads"] = json!([{"Attribute": "${node.datacenter}"}]);
        job["TaskGroups"][0]["Tasks"][0]["Affinities"] = one.clone();
    });
    let said = told(&sound(nomad::import, &documents));
    assert!(said.contains("left out: 4 affinities and spreads of jobs"), "{said}");
}

fn groups(imported: &Imported) -> Vec<(String, Vec<String>)> {
    imported.snapshot.groups.iter().map(|group| (group.name.clone(), group.conflict.clone())).collect()
}

#[test]
fn distinct_hosts_are_for_the_job_or_the_group_that_says_so() {
    let apart = |level: &str, right: &str| {
        let documents = with(racks(), |job| {
            job["TaskGroups"][0]["Constraints"] = Value::Null;
            *job.pointer_mut(level).unwrap() = constraint("", "distinct_hosts", right);
        });
        groups(&sound(nomad::import, &documents))
    };
    let expected = |name: &str| vec![(name.to_string(), vec!["node".to_string()])];
    for word in ["true", "", "odd"] {
        assert_eq!(apart("/Constraints", word), expected("default/web"));
        assert_eq!(apart("/TaskGroups/0/Constraints", word), expected("default/web/app"));
        assert_eq!(apart("/TaskGroups/0/Tasks/0/Constraints", word), expected("default/web/app"));
    }
    assert!(apart("/Constraints", "false").is_empty());
}

#[test]
fn a_distinct_property_keeps_apart_on_its_values() {
    let property = |left: &str, right: &str, nodes: [Value; 3]| {
        let documents = with(nodes, |job| {
            job["TaskGroups"][0]["Constraints"] = constraint(left, "distinct_property", right);
        });
        sound(nomad::import, &documents)
    };
    let imported = property("${meta.rack}", "", racks());
    assert_eq!(groups(&imported), [("default/web/app".to_string(), vec!["meta.rack".to_string()])]);
    assert_eq!(imported.snapshot.levels, ["meta.rack"]);
    assert_eq!(imported.snapshot.nodes[1].domains["meta.rack"], "r2");
    assert_eq!(why(&imported, WEB[0]), "");
    // Whoever is on a node without it, or with a value that nobody knows, stays.
    let mut nodes = racks();
    nodes[0]["Meta"] = json!({});
    assert!(why(&property("${meta.rack}", "1", nodes), WEB[0]).contains("its node does not meet"));
    assert!(why(&property("${meta.rack}", "1", stubs()), WEB[0]).contains("nobody can tell"));
    assert!(why(&property("${meta.rack}", "2", racks()), WEB[0]).contains("several allocations"));
    let imported = property("${node.datacenter}", "1", stubs());
    assert_eq!(imported.snapshot.nodes[1].domains["node.datacenter"], "dc1");
}

#[test]
fn the_job_says_that_it_is_a_system_job_where_its_allocations_do_not() {
    for kind in ["system", "sysbatch", "service"] {
        let mut documents = with(racks(), |job| job["Type"] = json!(kind));
        let mut allocations: Value = serde_json::from_slice(&documents[1].bytes).unwrap();
        allocations[0].as_object_mut().unwrap().remove("JobType");
        documents[1].bytes = serde_json::to_vec(&allocations).unwrap();
        assert_eq!(task(&sound(nomad::import, &documents), WEB[0]).pinned, kind != "service", "{kind}");
    }
}

#[test]
fn an_allocation_of_a_group_that_is_gone_stays() {
    let documents = with(racks(), |job| job["TaskGroups"][0]["Name"] = json!("other"));
    assert_eq!(why(&sound(nomad::import, &documents), WEB[0]), "its job has no longer the group that it is of");
}

#[test]
fn reserved_cores_are_a_resource() {
    let cores = |of_first: Value| {
        let mut documents = with(racks(), |_| ());
        let mut nodes: Value = serde_json::from_slice(&documents[0].bytes).unwrap();
        nodes[0]["NodeResources"]["Cpu"]["ReservableCpuCores"] = of_first;
        nodes[0]["ReservedResources"]["Cpu"]["ReservedCpuCores"] = json!([0]);
        nodes[2]["NodeResources"]["Cpu"]["CpuShares"] = json!(12_000);
        documents[0].bytes = serde_json::to_vec(&nodes).unwrap();
        let mut allocations: Value = serde_json::from_slice(&documents[1].bytes).unwrap();
        allocations[0]["AllocatedResources"]["Tasks"]["main"]["Cpu"]["ReservedCores"] = json!([2, 3]);
        documents[1].bytes = serde_json::to_vec(&allocations).unwrap();
        sound(nomad::import, &documents)
    };
    let imported = cores(json!([0, 1, 2, 3]));
    let amounts: Vec<i64> = imported.snapshot.nodes.iter().map(|node| node.allocatable["cores"]).collect();
    assert_eq!((amounts, task(&imported, WEB[0]).requirement["cores"]), (vec![3, 4, 4], 2));
    assert_eq!(
        (open(&imported, WEB[0]), open(&imported, WEB[1]).len()),
        (vec!["client-1".to_string(), "client-2".to_string()], 3)
    );
    assert!(told(&imported).contains("kept stricter: 1 allocations that reserve cores"), "{}", told(&imported));
    let imported = cores(Value::Null);
    assert_eq!(why(&imported, WEB[0]), "it holds cores that its node does not tell of");
    assert!(
        !task(&imported, WEB[0]).requirement.contains_key("cores"),
        "a node is not overfull by what it does not tell of"
    );
}

#[test]
fn a_task_needs_a_driver_that_works() {
    let drivers = |healthy: bool| json!({"Drivers": {"docker": {"Detected": true, "Healthy": healthy}}});
    let imported = sound(nomad::import, &with([drivers(true), drivers(false), drivers(true)], |_| {}));
    assert_eq!(
        (why(&imported, WEB[0]), open(&imported, WEB[0])),
        (String::new(), vec!["client-1".into(), "client-3".into()])
    );
}

#[test]
fn networks_and_ports_that_not_every_node_has_bind() {
    for network in [
        json!([{"Mode": "cni/foo"}]),
        json!([{"Mode": "host", "DynamicPorts": [{"Label": "http", "HostNetwork": "public"}]}]),
    ] {
        let imported = sound(nomad::import, &with(racks(), |job| job["TaskGroups"][0]["Networks"] = network.clone()));
        assert!(why(&imported, WEB[0]).contains("a network that not every node has"), "{network}");
    }
    let plain = json!([{"Mode": "bridge", "DynamicPorts": [{"Label": "http", "HostNetwork": "default"}]}]);
    assert_eq!(
        why(&sound(nomad::import, &with(racks(), |job| job["TaskGroups"][0]["Networks"] = plain.clone())), WEB[0]),
        ""
    );
    // The allocation itself tells, where its job is only in the list.
    let mut documents = recorded(&NOMAD);
    let mut allocations: Value = serde_json::from_slice(&documents[1].bytes).unwrap();
    let held = json!([{"ReservedPorts": [{"Label": "http", "Value": 8080}]}]);
    allocations[0]["AllocatedResources"]["Shared"]["Networks"] = held;
    let name = allocations[0]["Name"].as_str().unwrap().to_string();
    documents[1].bytes = serde_json::to_vec(&allocations).unwrap();
    let imported = sound(nomad::import, &documents);
    let of_it = imported.snapshot.tasks.iter().find(|task| task.name.starts_with(&name)).unwrap();
    assert!(of_it.origin["pinned"].contains("ports by number"), "{}", told(&imported));
}
