//! Do nodes and single pods come in as they are? Amounts, devices, taints, selectors, weights, and who is pinned and why.

use super::*;
use bayplan::adapter::kubernetes::Weight;
use bayplan::model::{DEVICE_MILLI, TaskKind};

fn owner(kind: &str) -> Value {
    json!([{"apiVersion": "v1", "kind": kind, "name": "own", "uid": "u", "controller": true}])
}

#[test]
fn amounts_are_rounded_to_the_safe_side() {
    let small = with(
        node("n1", "a"),
        &[("/status/allocatable/cpu", json!("1.9999")), ("/status/allocatable/memory", json!("1048575k"))],
    );
    let odd = json!({"cpu": "1500001u", "memory": "1000001"});
    let seen = imported(&[small, with(pod("p", "web", "n1"), &[("/spec/containers/0/resources/requests", odd)])]);
    assert_eq!(
        seen.snapshot.nodes[0].allocatable,
        [("cpu", 1999), ("memory", 999), ("pods", 110)].map(|(n, a)| (n.to_string(), a)).into()
    );
    assert_eq!(
        seen.task("p").requirement,
        [("cpu", 1501), ("memory", 1), ("pods", 1)].map(|(n, a)| (n.to_string(), a)).into()
    );
    assert_eq!(seen.task("p").placement[0].node, "n1");
    assert_eq!(seen.task("p").origin["uid"], "uid-p");
}

#[test]
fn gpus_are_devices_with_a_model_and_other_hardware_is_counted() {
    let gpu = |name: &str| {
        with(
            node(name, "a"),
            &[
                ("/metadata/labels/nvidia.com~1gpu.product", json!("A100")),
                ("/status/allocatable/nvidia.com~1gpu", json!("4")),
                ("/status/allocatable/example.com~1fpga", json!("2")),
                ("/status/allocatable/example.com~1idle", json!("2")),
            ],
        )
    };
    let wants = |name: &str, on: &str, count: &str| {
        let requests = json!({"cpu": "1", "nvidia.com/gpu": count, "example.com/fpga": "1"});
        with(pod(name, "train", on), &[("/spec/containers/0/resources/requests", requests)])
    };
    let seen =
        imported(&[gpu("n1"), node("n2", "a"), wants("a", "n1", "1"), wants("b", "n1", "2"), wants("c", "", "4")]);
    let devices = &seen.snapshot.nodes[0].devices[0];
    assert_eq!((devices.kind.as_str(), devices.model.as_str(), devices.count), ("gpu", "A100", 4));
    assert_eq!([&seen.task("a").placement[0].devices, &seen.task("b").placement[0].devices], [&vec![0], &vec![1, 2]]);
    let request = seen.task("c").device.as_ref().unwrap();
    assert_eq!((request.count, request.milli), (4, DEVICE_MILLI));
    assert_eq!(seen.task("c").requirement["example.com/fpga"], 1);
    assert_eq!(seen.told(Fate::Irrelevant, "example.com/idle"), 1);
    // A node cannot have so many devices: they are counted instead.
    let many = with(gpu("n1"), &[("/status/allocatable/nvidia.com~1gpu", json!("100"))]);
    let seen = imported(&[many, wants("a", "n1", "80")]);
    assert_eq!((seen.task("a").requirement["nvidia.com/gpu"], &seen.task("a").device), (80, &None));
}

#[test]
fn taints_keep_away_whom_they_do_in_kubernetes() {
    let taints = json!([
        {"key": "team", "value": "red", "effect": "NoSchedule"}, {"key": "sick", "effect": "NoExecute"},
        {"key": "old", "effect": "PreferNoSchedule"}
    ]);
    let tolerant = |name: &str, tolerations: Value| with(pod(name, "web", ""), &[("/spec/tolerations", tolerations)]);
    let seen = imported(&[
        with(node("n1", "a"), &[("/spec/taints", taints)]),
        tolerant("all", json!([{"operator": "Exists"}])),
        tolerant(
            "red",
            json!([{"key": "team", "value": "red"}, {"key": "sick", "operator": "Exists", "tolerationSeconds": 300}]),
        ),
        tolerant(
            "blue",
            json!([{"key": "team", "value": "blue"}, {"key": "sick", "operator": "Exists", "effect": "NoSchedule"}]),
        ),
        tolerant(
            "odd",
            json!([{"key": "team", "operator": "Resembles", "value": "red"}, {"key": "sick", "operator": "Exists"}]),
        ),
    ]);
    let keys: Vec<&str> = seen.snapshot.nodes[0].taints.iter().map(|taint| taint.key.as_str()).collect();
    assert_eq!(keys, ["team", "sick:NoExecute"]);
    let accepted =
        |name: &str| -> Vec<String> { seen.task(name).tolerations.iter().map(|t| t.key.clone().unwrap()).collect() };
    assert_eq!(accepted("all"), ["sick:NoExecute", "team"]);
    assert_eq!([accepted("red"), accepted("odd")], [["team"], ["sick:NoExecute"]]);
    assert!(accepted("blue").is_empty());
    assert_eq!(seen.told(Fate::LeftOut, "PreferNoSchedule"), 1);
}

#[test]
fn nodes_that_take_nobody_are_cordoned() {
    let seen = imported(&[
        node("n1", "a"),
        with(node("n2", "a"), &[("/spec/unschedulable", json!(true))]),
        with(node("n3", "a"), &[("/status/conditions/0/status", json!("Unknown"))]),
    ]);
    let cordoned: Vec<bool> = seen.snapshot.nodes.iter().map(|node| node.cordoned).collect();
    assert_eq!(cordoned, [false, true, true]);
    assert_eq!(seen.told(Fate::Stricter, "not ready"), 1);
}

#[test]
fn selectors_and_node_affinity_mean_the_same_nodes() {
    let choosy = |name: &str, terms: Value| {
        let affinity =
            json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}});
        with(pod(name, "web", ""), &[("/spec/affinity", affinity)])
    };
    let zone = |operator: &str, values: Value| json!({"key": "topology.kubernetes.io/zone", "operator": operator, "values": values});
    let seen = imported(&[
        node("n1", "a"),
        node("n2", "b"),
        node("n3", "c"),
        with(pod("plain", "web", ""), &[("/spec/nodeSelector", json!({"topology.kubernetes.io/zone": "b"}))]),
        choosy("in", json!([{"matchExpressions": [zone("In", json!(["a", "b"]))]}])),
        choosy("not_in", json!([{"matchExpressions": [zone("NotIn", json!(["a"]))]}])),
        choosy(
            "either",
            json!([{"matchExpressions": [zone("In", json!(["a"]))]}, {"matchExpressions": [zone("In", json!(["c"]))]}]),
        ),
        choosy("field", json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n3"]}]}])),
        choosy("none", json!([{"matchExpressions": [zone("In", json!(["z"]))]}])),
    ]);
    let expected: [(&str, &[&str]); 6] = [
        ("plain", &["n2"]),
        ("in", &["n1", "n2"]),
        ("not_in", &["n2", "n3"]),
        ("either", &["n1", "n3"]),
        ("field", &["n3"]),
        ("none", &[]),
    ];
    for (name, nodes) in expected {
        assert_eq!(seen.nodes_of(name), nodes, "{name}");
    }
    // What labels can say is said with them.
    assert_eq!(seen.task("in").selector.keys().collect::<Vec<_>>(), ["topology.kubernetes.io/zone"]);
}

#[test]
fn each_reason_pins_and_is_told() {
    let volume = |kind: Value| [("/spec/volumes", json!([kind]))];
    let note = |key: &str, value: &str| [("/metadata/annotations", json!({key: value}))];
    let claim = |name: &str| volume(json!({"name": "v", "persistentVolumeClaim": {"claimName": name}}));
    let p = |name: &str, changes: &[(&str, Value)]| with(pod(name, "web", "n1"), changes);
    let ports = json!([{"containerPort": 80, "hostPort": 80}]);
    let mapping =
        json!({"requestMappings": [{"containerName": "c", "resourceName": "example.com/nic", "requestName": "r"}]});
    let claimed = [
        ("/spec/containers/0/resources/requests/example.com~1nic", json!("1")),
        ("/status/extendedResourceClaimStatus", mapping),
    ];
    let cases = [
        (p("free", &[]), ""),
        (p("ds", &[("/metadata/ownerReferences", owner("DaemonSet"))]), "daemon set"),
        (p("static", &[("/metadata/ownerReferences", owner("Node"))]), "static pod"),
        (p("mirror", &note("kubernetes.io/config.mirror", "abc")), "static pod"),
        (p("bare", &[("/metadata/ownerReferences", json!(null))]), "no controller"),
        (p("going", &[("/metadata/deletionTimestamp", json!("2026-11-24T08:00:00Z"))]), "being deleted"),
        (p("karpenter", &note("karpenter.sh/do-not-disrupt", "true")), "annotation"),
        (p("karpenter-off", &note("karpenter.sh/do-not-disrupt", "false")), ""),
        (p("autoscaler", &note("cluster-autoscaler.kubernetes.io/safe-to-evict", "false")), "annotation"),
        (p("descheduler", &note("descheduler.alpha.kubernetes.io/prefer-no-eviction", "")), "annotation"),
        (p("koordinator", &note("scheduling.koordinator.sh/eviction-cost", "2147483647")), "annotation"),
        (p("gated", &[("/spec/schedulingGates", json!([{"name": "g"}]))]), "gates"),
        (p("group", &[("/spec/schedulingGroup", json!({"podGroupName": "g"}))]), "pod group"),
        (p("workload", &[("/spec/workloadRef", json!({"name": "w"}))]), "pod group"),
        (p("volcano", &note("scheduling.k8s.io/group-name", "g")), "pod group"),
        (p("coscheduling", &[("/metadata/labels/scheduling.x-k8s.io~1pod-group", json!("g"))]), "pod group"),
        (p("claims", &[("/spec/resourceClaims", json!([{"name": "g"}]))]), "resource claims"),
        (p("host-path", &volume(json!({"name": "v", "hostPath": {"path": "/data"}}))), "hostPath"),
        (p("scratch", &volume(json!({"name": "v", "emptyDir": {}}))), "emptyDir"),
        (p("generic", &volume(json!({"name": "v", "ephemeral": {"volumeClaimTemplate": {}}}))), "ends with the pod"),
        (p("config", &volume(json!({"name": "v", "configMap": {"name": "c"}}))), ""),
        (p("port", &[("/spec/containers/0/ports", ports)]), "port of its node"),
        (p("dynamic", &claimed), "resource claims"),
        (with(pod("bare-waits", "web", ""), &[("/metadata/ownerReferences", json!(null))]), ""),
        (with(pod("keep-waits", "web", ""), &note("karpenter.sh/do-not-disrupt", "true")), ""),
        (
            p("part", &[("/spec/containers/0/resources/requests/koordinator.sh~1gpu-core", json!("50"))]),
            "part of a device",
        ),
        (p("unknown-claim", &claim("nowhere")), "PersistentVolumeClaim"),
        (p("unknown-volume", &claim("lost")), "PersistentVolume of it"),
        (p("local-volume", &claim("local")), "PersistentVolume on its node"),
        (p("unbound", &claim("unbound")), ""),
        (with(pod("first-consumer", "web", ""), &claim("unbound")), "not bound yet"),
        (p("zonal", &claim("zonal")), ""),
        (p("vm", &[("/metadata/ownerReferences", owner("VirtualMachineInstance"))]), "VirtualMachineInstance"),
    ];
    let pvc = |name: &str, volume: &str| {
        let metadata = json!({"name": name, "namespace": "shop"});
        json!({"kind": "PersistentVolumeClaim", "metadata": metadata, "spec": {"volumeName": volume}})
    };
    let pv = |name: &str, spec: Value| json!({"kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec});
    let terms =
        json!([{"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["b"]}]}]);
    let mut items: Vec<Value> = cases.iter().map(|(pod, _)| pod.clone()).collect();
    items.extend([
        node("n1", "a"),
        node("n2", "b"),
        pvc("lost", "gone"),
        pvc("local", "pv-l"),
        pvc("unbound", ""),
        pvc("zonal", "pv-z"),
    ]);
    items.extend([
        pv("pv-l", json!({"local": {"path": "/d"}})),
        pv("pv-z", json!({"nodeAffinity": {"required": {"nodeSelectorTerms": terms}}})),
    ]);
    let seen = imported(&items);
    for (pod, reason) in &cases {
        let name = pod["metadata"]["name"].as_str().unwrap();
        let pinned = seen.pinned(name);
        assert!(
            pinned.contains(reason) && pinned.is_empty() == reason.is_empty(),
            "{name}: {pinned:?}, not {reason:?}"
        );
        assert!(reason.is_empty() || seen.told(Fate::Pinned, reason) > 0, "{reason}");
    }
    assert_eq!(seen.nodes_of("zonal"), ["n2"]);
    // What a claim gave it is not sought among what its node has.
    assert!(!seen.task("dynamic").requirement.contains_key("example.com/nic"));
    let seen = imported_with(&items, Options { delete_emptydir_data: true, ..Options::default() });
    assert_eq!(seen.pinned("scratch"), "");
    items.push(json!({"kind": "PodGroup", "metadata": {"name": "g", "namespace": "shop"}, "spec": {"minMember": 1}}));
    items.push(json!({
        "kind": "VirtualMachineInstance", "metadata": {"name": "own", "namespace": "shop"},
        "status": {"conditions": [{"type": "LiveMigratable", "status": "True"}]}
    }));
    let seen = imported(&items);
    assert_eq!((seen.pinned("vm"), seen.task("vm").kind), ("", TaskKind::Vm));
    // A gang of one pod binds nobody.
    assert_eq!((seen.pinned("volcano"), seen.pinned("coscheduling")), ("", ""));
    assert_eq!(seen.pinned("group"), "it is scheduled together with its pod group");
}

#[test]
fn zones_and_regions_that_labels_of_a_volume_name_are_required() {
    const ZONE: &str = "topology.kubernetes.io/zone";
    const ZONE_BEFORE: &str = "failure-domain.beta.kubernetes.io/zone";
    let seen = |labels: Value| {
        let mut nodes = vec![node("n1", "a"), node("n2", "b"), node("n3", "c"), node("n4", "c"), node("n5", "c")];
        nodes[2]["metadata"]["labels"] = json!({"failure-domain.beta.kubernetes.io/zone": "a"});
        nodes[3]["metadata"]["labels"] = json!({"topology.kubernetes.io/region": "r"});
        nodes[4]["metadata"]["labels"] = json!({"disk": "ssd"});
        let volume = json!([{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]);
        nodes.extend([
            with(pod("w", "web", "n1"), &[("/spec/volumes", volume)]),
            json!({
                "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": "shop"}, "spec": {"volumeName": "pv"}
            }),
            json!({"kind": "PersistentVolume", "metadata": {"name": "pv", "labels": labels}, "spec": {"csi": {}}}),
        ]);
        let seen = imported(&nodes);
        assert_eq!(seen.pinned("w"), "");
        seen.nodes_of("w").into_iter().map(str::to_string).collect::<Vec<_>>()
    };
    // A node that says nowhere where it is will always do.
    assert_eq!(seen(json!({ZONE: "a"})), ["n1", "n5"]);
    assert_eq!(seen(json!({ZONE: "a__ b"})), ["n1", "n2", "n5"]);
    // The label of before is found under both names.
    assert_eq!(seen(json!({ZONE_BEFORE: "a"})), ["n1", "n3", "n5"]);
    assert_eq!(seen(json!({"topology.kubernetes.io/region": "r"})), ["n4", "n5"]);
    assert_eq!(seen(json!({ZONE: "a", "topology.kubernetes.io/region": "r"})), ["n5"]);
    // The scheduler passes over what it cannot read.
    assert_eq!(seen(json!({ZONE: "a__", "disk": "hdd"})).len(), 5);
}

/// Pods of `app`, each on its node or waiting, that all have the claim `data` with this mode.
fn sharing(mode: &str, pods: &[(&str, &str)]) -> Imported {
    let volume = json!([{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]);
    let pods = pods.iter().map(|(name, on)| with(pod(name, name, on), &[("/spec/volumes", volume.clone())]));
    let modes = json!([mode]);
    let claim = json!({
        "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": "shop"},
        "spec": {"accessModes": modes, "volumeName": "pv"}
    });
    let volume =
        json!({"kind": "PersistentVolume", "metadata": {"name": "pv"}, "spec": {"accessModes": modes, "csi": {}}});
    let nodes = [node("n1", "a"), node("n2", "a")];
    imported(&nodes.into_iter().chain([claim, volume]).chain(pods).collect::<Vec<_>>())
}

#[test]
fn a_volume_for_one_node_keeps_those_that_share_it_together() {
    let seen = sharing("ReadWriteOnce", &[("one", "n1"), ("two", "n1"), ("next", "")]);
    assert_eq!(["one", "two"].map(|name| seen.pinned(name)), ["it shares a volume for one node at a time"; 2]);
    assert_eq!((seen.pinned("next"), seen.nodes_of("next")), ("", vec!["n1"]));
    // On two nodes already: nobody can say which of them has it.
    let seen = sharing("ReadWriteOnce", &[("one", "n1"), ("two", "n2"), ("next", "")]);
    assert!(["one", "two", "next"].iter().all(|name| seen.pinned(name).contains("for one node at a time")));
    // Nowhere yet: the first that starts says where.
    let seen = sharing("ReadWriteOnce", &[("first", ""), ("next", "")]);
    assert_eq!((seen.pinned("first"), seen.pinned("next").contains("for one node at a time")), ("", true));
    // A pod alone takes its volume along, and many nodes are many.
    assert_eq!(sharing("ReadWriteOnce", &[("one", "n1")]).pinned("one"), "");
    let seen = sharing("ReadWriteMany", &[("one", "n1"), ("two", "n2"), ("next", "")]);
    assert!(["one", "two", "next"].iter().all(|name| seen.pinned(name).is_empty()));
    assert_eq!(seen.nodes_of("next").len(), 2);
}

#[test]
fn a_volume_for_one_pod_lets_no_other_start() {
    let seen = sharing("ReadWriteOncePod", &[("one", "n1"), ("next", "")]);
    assert_eq!(seen.pinned("one"), "it shares a volume for one pod at a time");
    assert!(seen.pinned("next").contains("for one pod at a time"));
    let seen = sharing("ReadWriteOncePod", &[("first", ""), ("next", "")]);
    assert_eq!((seen.pinned("first"), seen.pinned("next").contains("for one pod at a time")), ("", true));
    assert_eq!(sharing("ReadWriteOncePod", &[("one", "n1")]).pinned("one"), "");
}

#[test]
fn priorities_become_weights_and_costs_follow_wishes() {
    let class = |name: &str, value: i64, default: bool| {
        let metadata = json!({"name": name});
        json!({"kind": "PriorityClass", "metadata": metadata, "value": value, "globalDefault": default})
    };
    let of = |name: &str, changes: &[(&str, Value)]| with(pod(name, "web", "n1"), changes);
    let null = ("/spec/priority", json!(null));
    let deletion_cost =
        |cost: &str| ("/metadata/annotations", json!({"controller.kubernetes.io/pod-deletion-cost": cost}));
    let items = [
        node("n1", "a"),
        class("high", 500, false),
        class("usual", 10, true),
        of("own", &[("/spec/priority", json!(-7))]),
        of("named", &[null.clone(), ("/spec/priorityClassName", json!("high")), deletion_cost("50")]),
        of("default", &[null, deletion_cost("-50")]),
        of("dear", &[deletion_cost("99999")]),
    ];
    let weights = |weight| {
        let seen = imported_with(&items, Options { weight, ..Options::default() });
        ["own", "dear", "default", "named"].map(|name| seen.task(name).weight)
    };
    assert_eq!(weights(Weight::Rank), [1000, 10_000, 100_000, 1_000_000]);
    assert_eq!(weights(Weight::Value), [1000, 1000, 1010, 1500]);
    assert_eq!(weights(Weight::Equal), [1000; 4]);
    let seen = imported(&items);
    assert_eq!(["own", "named", "default", "dear"].map(|name| seen.task(name).move_cost), [1, 51, 1, 1001]);
}

#[test]
fn what_takes_up_nothing_here_is_left_out() {
    let seen = imported(&[
        node("n1", "a"),
        with(pod("done", "web", "n1"), &[("/status/phase", json!("Succeeded"))]),
        pod("elsewhere", "web", "n9"),
        pod("here", "web", "n1"),
        pod("here", "web", "n1"),
        json!({"kind": "Gadget", "metadata": {"name": "g"}}),
        with(
            pod("novel", "web", "n1"),
            &[("/spec/gravity", json!({"g": 9})), ("/spec/containers/0/colour", json!("red"))],
        ),
    ]);
    assert_eq!(
        seen.snapshot.tasks.iter().map(|task| task.name.as_str()).collect::<Vec<_>>(),
        ["shop/here", "shop/novel"]
    );
    for told in
        ["not among the documents", "kind Gadget", "there before", "Pod spec.gravity", "Pod spec.containers.colour"]
    {
        assert_eq!(seen.told(Fate::LeftOut, told), 1, "{told}");
    }
    assert_eq!(seen.told(Fate::Irrelevant, "ended"), 1);
}

#[test]
fn lists_of_one_kind_single_objects_and_several_documents_are_read() {
    let bare = |mut object: Value| {
        object.as_object_mut().unwrap().retain(|key, _| key != "kind" && key != "apiVersion");
        object
    };
    let list = json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": [bare(pod("a", "web", "n1"))]});
    let both = format!("\u{feff}{}\n{list}", node("n1", "a"));
    let documents =
        [both, pod("b", "web", "").to_string()].map(|text| Document { name: "d".into(), bytes: text.into_bytes() });
    let seen = import(&documents, &Options::default()).unwrap();
    assert_eq!((seen.snapshot.nodes.len(), seen.snapshot.tasks.len()), (1, 2));
}

#[test]
fn every_fault_is_told_with_its_object() {
    let bad_quantity = with(pod("p", "web", ""), &[("/spec/containers/0/resources/requests/cpu", json!("lots"))]);
    let bad_type = with(pod("q", "web", ""), &[("/spec/containers", json!("none"))]);
    let bad_node = with(node("n2", "a"), &[("/status/allocatable/memory", json!("-1"))]);
    let nameless = with(node("n3", "a"), &[("/metadata/name", json!(null))]);
    let kindless = json!({"metadata": {"name": "x"}});
    let faults =
        import(&[document(&[node("n1", "a"), bad_quantity, bad_type, nameless, kindless])], &Options::default())
            .unwrap_err();
    let codes: Vec<&str> = faults.list().iter().map(|fault| fault.code).collect();
    assert_eq!(codes, ["I208", "I110", "I111", "I111"], "{faults}");
    let text = faults.to_string();
    for part in ["Pod shop/p", "container c, cpu", "\"lots\"", "list.json, items[2]", "list.json, items[4]"] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    // A stray quote in an object that nobody reads must not hide what stands between it and the next.
    let hidden = format!(
        r#"{{"kind":"List","items":[{},{{"kind":"ConfigMap","a":"x"y"}},{},{{"kind":"ConfigMap","a":"x"y"}}]}}"#,
        node("n1", "a"),
        pod("p", "web", "")
    );
    let hidden = Document { name: "hidden".into(), bytes: hidden.into_bytes() };
    assert_eq!(import(&[hidden], &Options::default()).unwrap_err().list()[0].code, "I110");
    let faults = import(&[document(&[bad_node])], &Options::default()).unwrap_err();
    assert!(faults.to_string().contains("Node n2"), "{faults}");
    let faults = import(&[document(&[pod("p", "web", "")])], &Options::default()).unwrap_err();
    assert_eq!(faults.list()[0].code, "I112");
}

#[test]
fn a_list_that_is_not_all_and_an_answer_that_is_a_refusal_are_no_cluster() {
    let codes = |metadata: Value, items: &[Value]| {
        let list = json!({"kind": "List", "items": items, "metadata": metadata});
        let document = Document { name: "list.json".into(), bytes: list.to_string().into_bytes() };
        match import(&[document], &Options::default()) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.list().iter().map(|fault| fault.code).collect(),
        }
    };
    let cluster = [node("n1", "a"), pod("p", "web", "n1")];
    assert_eq!(codes(json!({"continue": "", "remainingItemCount": null}), &cluster), [""; 0]);
    assert_eq!(codes(json!({"continue": "eyJ2Ijoi", "remainingItemCount": 2}), &cluster), ["I113"]);
    let status =
        |status: &str| json!({"kind": "Status", "status": status, "message": "pods is forbidden", "code": 403});
    assert_eq!(codes(json!({}), &[node("n1", "a"), status("Failure")]), ["I114"]);
    assert_eq!(codes(json!({}), &[node("n1", "a"), status("Success")]), [""; 0]);
    let alone = Document { name: "answer".into(), bytes: status("Failure").to_string().into_bytes() };
    let faults = import(&[document(&cluster), alone], &Options::default()).unwrap_err();
    assert!(faults.to_string().contains("pods is forbidden"), "{faults}");
}

#[test]
fn a_node_takes_nobody_made_for_another_system() {
    let mut nodes = vec![node("n1", "a"), node("n2", "a"), node("n3", "a")];
    for (node, system) in nodes.iter_mut().zip(["linux", "windows"]) {
        node["metadata"]["labels"]["kubernetes.io/os"] = json!(system);
    }
    nodes.extend([with(pod("p", "web", "n1"), &[("/spec/os", json!({"name": "linux"}))]), pod("any", "any", "n1")]);
    let seen = imported(&nodes);
    assert_eq!((seen.nodes_of("p"), seen.nodes_of("any").len()), (vec!["n1", "n3"], 3));
}

#[test]
fn what_the_scheduler_keeps_for_a_waiting_pod_is_not_given_away() {
    let cpu = |n: usize, seen: &Imported| seen.snapshot.nodes[n].allocatable["cpu"];
    let nominated = with(pod("boss", "boss", ""), &[("/status/nominatedNodeName", json!("n1"))]);
    let field = json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n2"]}]}]);
    let affinity =
        json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": field}}});
    let daemon =
        with(pod("ds", "ds", ""), &[("/metadata/ownerReferences", owner("DaemonSet")), ("/spec/affinity", affinity)]);
    let large = with(pod("w", "web", "n2"), &[("/spec/containers/0/resources/requests/cpu", json!("7800m"))]);
    let seen = imported(&[node("n1", "a"), node("n2", "a"), nominated, daemon, large]);
    assert_eq!(["boss", "ds"].map(|name| seen.pinned(name).is_empty()), [false; 2]);
    assert_eq!((cpu(0, &seen), cpu(1, &seen)), (7500, 7800), "no more than what is free");
    assert_eq!(seen.told(Fate::Stricter, "kept for waiting pods"), 2);
    // Who can never come keeps nobody away, and devices are kept one by one.
    let gpus = |name: &str, count: &str, on: &str| {
        with(pod(name, name, on), &[("/spec/containers/0/resources/requests/nvidia.com~1gpu", json!(count))])
    };
    let never = with(
        pod("never", "ds", ""),
        &[("/status/nominatedNodeName", json!("n1")), ("/spec/containers/0/resources/requests/cpu", json!("100"))],
    );
    let accelerated = with(node("n1", "a"), &[("/status/allocatable/nvidia.com~1gpu", json!("8"))]);
    let boss = with(gpus("boss", "3", ""), &[("/status/nominatedNodeName", json!("n1"))]);
    let seen = imported(&[accelerated, never, boss, gpus("w", "4", "n1")]);
    let first = &seen.snapshot.nodes[0];
    assert_eq!((first.devices[0].count, first.allocatable["cpu"], first.cordoned), (5, 7500, false));
}

#[test]
fn machines_migrate_one_at_a_time_and_to_nodes_that_have_their_cpu() {
    let vmi = |name: &str, changes: &[(&str, Value)]| {
        let machine = json!({
            "kind": "VirtualMachineInstance", "metadata": {"name": name, "namespace": "shop"},
            "spec": {"domain": {"cpu": {}}}, "status": {"conditions": [{"type": "LiveMigratable", "status": "True"}]}
        });
        with(machine, changes)
    };
    let launcher = |name: &str, vmi: &str, on: &str| {
        let mut owner = owner("VirtualMachineInstance");
        owner[0]["name"] = json!(vmi);
        with(pod(name, "vm", on), &[("/metadata/ownerReferences", owner)])
    };
    let mut nodes = vec![node("n1", "a"), node("n2", "a"), node("n3", "a"), node("n4", "a")];
    let labels = |node: &mut Value, keys: &[&str]| {
        keys.iter().for_each(|key| node["metadata"]["labels"][*key] = json!("true"));
    };
    let (model, feature) = ("cpu-model-migration.node.kubevirt.io/Skylake", "cpu-feature.node.kubevirt.io/avx2");
    let of_host = ["host-model-cpu.node.kubevirt.io/Skylake", "host-model-required-features.node.kubevirt.io/avx2"];
    labels(&mut nodes[0], &of_host);
    labels(&mut nodes[0], &[model, feature]);
    labels(&mut nodes[1], &[model, feature]);
    labels(&mut nodes[2], &[model]);
    nodes[3]["status"]["conditions"][0]["status"] = json!("Unknown");
    let host = [("/spec/domain/cpu/model", json!("host-model"))];
    let under_way = [("/status/migrationState", json!({"targetNode": "n2"}))];
    let done = [("/status/migrationState", json!({"targetNode": "n1", "completed": true}))];
    nodes.extend([vmi("host", &host), vmi("lost", &host), vmi("busy", &under_way), vmi("done", &done)]);
    nodes.extend([vmi("cut-off", &[]), vmi("twice", &[])]);
    nodes.extend([launcher("host", "host", "n1"), launcher("lost", "lost", "n2"), launcher("busy", "busy", "n1")]);
    nodes.extend([launcher("done", "done", "n1"), launcher("cut-off", "cut-off", "n4")]);
    nodes.extend([launcher("old", "twice", "n1"), launcher("new", "twice", "n2")]);
    let seen = imported(&nodes);
    assert_eq!((seen.pinned("host"), seen.nodes_of("host")), ("", vec!["n1", "n2"]));
    assert_eq!((seen.pinned("done"), seen.nodes_of("done").len()), ("", 4));
    for (name, reason) in [
        ("lost", "does not say"),
        ("busy", "under way"),
        ("old", "under way"),
        ("new", "under way"),
        ("cut-off", "not ready"),
    ] {
        assert!(seen.pinned(name).contains(reason), "{name}: {:?}", seen.pinned(name));
    }
}
