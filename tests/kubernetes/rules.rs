//! Do rules between pods come in as they are, or stricter, and never looser? Affinity, spread, budgets.

use super::*;

fn apart(pod: Value, term: Value) -> Value {
    with(
        pod,
        &[("/spec/affinity", json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}))],
    )
}

fn together(pod: Value, term: Value) -> Value {
    with(pod, &[("/spec/affinity", json!({"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}))])
}

fn term(app: &str, key: &str) -> Value {
    json!({"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key})
}

const HOST: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";

fn nodes() -> Vec<Value> {
    [("n1", "a"), ("n2", "a"), ("n3", "b"), ("n4", "b")].map(|(name, zone)| node(name, zone)).into()
}

fn cluster(pods: impl IntoIterator<Item = Value>) -> Imported {
    imported(&nodes().into_iter().chain(pods).collect::<Vec<_>>())
}

#[test]
fn anti_affinity_within_a_workload_is_a_conflict() {
    let seen = cluster([
        apart(pod("w1", "web", "n1"), term("web", HOST)),
        apart(pod("w2", "web", "n2"), term("web", HOST)),
        apart(pod("z1", "zonal", "n1"), term("zonal", ZONE)),
        apart(pod("z2", "zonal", "n3"), term("zonal", ZONE)),
        apart(pod("s1", "some", "n1"), term("some", HOST)),
        pod("s2", "some", "n2"),
    ]);
    assert_eq!(seen.group("web").conflict, ["node"]);
    assert_eq!(seen.group("zonal").conflict, ["zone"]);
    assert_eq!(seen.group("some").conflict, ["node"]);
    assert_eq!(seen.told(Fate::Stricter, "anti-affinity of some pods"), 1);
    assert_eq!(seen.told(Fate::Pinned, ""), 0);
    assert_eq!(seen.snapshot.nodes[2].domains["zone"], "b");
}

#[test]
fn anti_affinity_with_others_pins_the_smaller_side_and_keeps_the_other_off() {
    let seen = cluster([
        apart(pod("loud", "loud", "n1"), term("quiet", ZONE)),
        pod("q1", "quiet", "n3"),
        pod("q2", "quiet", "n4"),
        pod("q3", "quiet", ""),
        pod("other", "other", "n1"),
    ]);
    assert_eq!(seen.pinned("loud"), "anti-affinity with pods of other owners");
    for quiet in ["q1", "q2", "q3"] {
        assert_eq!((seen.pinned(quiet), seen.nodes_of(quiet)), ("", vec!["n3", "n4"]), "{quiet}");
    }
    assert_eq!(seen.nodes_of("other").len(), 4);
    // Whoever has no pods to avoid is free.
    assert_eq!(cluster([apart(pod("loud", "loud", "n1"), term("nobody", ZONE))]).pinned("loud"), "");
    // Another namespace is another matter, unless the term says so.
    let far = with(pod("far", "quiet", "n3"), &[("/metadata/namespace", json!("elsewhere"))]);
    assert_eq!(cluster([apart(pod("loud", "loud", "n1"), term("quiet", ZONE)), far.clone()]).pinned("loud"), "");
    let mut wide = term("quiet", ZONE);
    wide["namespaceSelector"] = json!({});
    assert_ne!(cluster([apart(pod("loud", "loud", "n1"), wide), far]).pinned("loud"), "");
}

#[test]
fn affinity_to_a_workload_is_a_dependency_and_to_its_own_a_gang() {
    let seen = cluster([
        together(pod("a1", "app", "n1"), term("cache", ZONE)),
        pod("c1", "cache", "n2"),
        together(pod("o1", "own", "n3"), term("own", ZONE)),
        together(pod("o2", "own", "n4"), term("own", ZONE)),
    ]);
    let needs = &seen.group("app").depends_on[0];
    assert_eq!((needs.group.as_str(), needs.level.as_str()), ("shop/ReplicaSet/cache-1", "zone"));
    let gang = seen.group("own").gang.as_ref().unwrap();
    assert_eq!((gang.min_members, gang.within.as_deref()), (Some(1), Some("zone")));
    // A workload over two zones is left alone, and so is who needs pods that are no workload.
    let seen = cluster([
        together(pod("o1", "own", "n1"), term("own", ZONE)),
        together(pod("o2", "own", "n4"), term("own", ZONE)),
        together(pod("x", "x", "n1"), json!({"labelSelector": {}, "topologyKey": ZONE})),
    ]);
    assert!(seen.group("own").gang.is_none());
    assert_eq!(["o1", "o2", "x"].map(|name| seen.pinned(name).is_empty()), [false; 3]);
}

#[test]
fn wishes_are_left_out_and_told() {
    let affinity = json!({
        "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": {"matchExpressions": []}}]},
        "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": term("web", HOST)}]}
    });
    let soft = json!([{"maxSkew": 1, "topologyKey": ZONE, "whenUnsatisfiable": "ScheduleAnyway"}]);
    let seen = cluster([with(
        pod("w", "web", "n1"),
        &[
            ("/spec/affinity", affinity),
            ("/spec/topologySpreadConstraints", soft),
            ("/spec/schedulerName", json!("volcano")),
        ],
    )]);
    for what in ["preferred node affinity", "preferred pod anti-affinity", "ScheduleAnyway", "volcano"] {
        assert_eq!(seen.told(Fate::LeftOut, what), 1, "{what}");
    }
    assert!(seen.group("web").conflict.is_empty() && seen.task("w").selector.is_empty());
}

fn spread(pod: Value, app: &str, key: &str, skew: i64) -> Value {
    let rule = json!({
        "maxSkew": skew, "topologyKey": key, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": app}}
    });
    with(pod, &[("/spec/topologySpreadConstraints", json!([rule]))])
}

#[test]
fn spread_over_enough_domains_is_a_conflict() {
    let seen =
        cluster([spread(pod("w1", "web", "n1"), "web", HOST, 1), spread(pod("w2", "web", "n3"), "web", HOST, 1)]);
    assert_eq!(seen.group("web").conflict, ["node"]);
    assert!(seen.task("w1").selector.is_empty());
}

#[test]
fn spread_over_few_domains_keeps_the_counts() {
    let pods = |places: &[&str]| -> Vec<Value> {
        let pod = |(i, on): (usize, &&str)| spread(pod(&format!("w{i}"), "web", on), "web", ZONE, 1);
        places.iter().enumerate().map(pod).collect()
    };
    let seen = cluster(pods(&["n1", "n2", "n3", "n4"]));
    assert!(seen.group("web").conflict.is_empty());
    assert_eq!([seen.nodes_of("w0"), seen.nodes_of("w3")], [["n1", "n2"], ["n3", "n4"]]);
    assert_eq!(seen.told(Fate::Stricter, "stay in their domain"), 4);
    // Two in a, one in b: of three that wait one may go to b at once, and then none: each alone could be too many.
    let seen = cluster(pods(&["n1", "n2", "n3", "", "", ""]));
    assert_eq!(seen.nodes_of("w3"), ["n3", "n4"]);
    assert_eq!(["w4", "w5"].map(|name| seen.pinned(name).contains("no domain for it")), [true; 2]);
    // Three in a, none in b: the scheduler would not take one back in a.
    let seen = cluster(pods(&["n1", "n1", "n2"]));
    assert_eq!(["w0", "w1", "w2"].map(|name| seen.pinned(name).contains("uneven")), [true; 3]);
}

/// Nodes of the racks `r1` and `r2`, and one of none, which a rack would have to itself here.
fn racks() -> Vec<Value> {
    let in_rack = |node: Value, rack: &str| with(node, &[("/metadata/labels/rack", json!(rack))]);
    vec![in_rack(node("n1", "a"), "r1"), node("n2", "a"), in_rack(node("n3", "b"), "r2")]
}

#[test]
fn a_node_without_the_key_takes_nobody_with_the_constraint() {
    let pods = [spread(pod("w1", "web", "n1"), "web", "rack", 1), spread(pod("w2", "web", ""), "web", "rack", 1)];
    let seen = imported(&racks().into_iter().chain(pods).collect::<Vec<_>>());
    assert_eq!(seen.group("web").conflict, ["rack"]);
    assert_eq!([seen.nodes_of("w1"), seen.nodes_of("w2")], [["n1", "n3"]; 2]);
}

#[test]
fn a_node_that_lacks_any_of_the_keys_counts_for_none() {
    let both = |name: &str, on: &str| {
        let mut pod = spread(pod(name, "web", on), "web", ZONE, 1);
        let rack = spread(pod.clone(), "web", "rack", 1)["spec"]["topologySpreadConstraints"][0].clone();
        pod["spec"]["topologySpreadConstraints"].as_array_mut().unwrap().push(rack);
        pod
    };
    // Zone a has two pods, but on a node that the scheduler passes over: to it a is empty, and b is full.
    let pods = [pod("o1", "web", "n2"), pod("o2", "web", "n2"), both("w1", "n3"), both("w2", "")];
    let seen = imported(&racks().into_iter().chain(pods).collect::<Vec<_>>());
    assert_eq!(seen.nodes_of("w2"), ["n1"]);
    // Those two count for nothing where they are, and stay where they do not.
    assert_eq!([seen.nodes_of("o1"), seen.nodes_of("o2")], [["n2"]; 2]);
    assert_eq!(seen.told(Fate::Stricter, "count for no domain"), 4);
}

#[test]
fn a_pod_that_is_being_deleted_does_not_count_for_spread() {
    let ends = |pod: Value| with(pod, &[("/metadata/deletionTimestamp", json!("2026-11-24T08:00:00Z"))]);
    let web = |name: &str, on: &str| spread(pod(name, "web", on), "web", ZONE, 1);
    let seen = cluster([web("w0", "n1"), web("w1", "n2"), web("w2", "n3"), ends(web("w3", "n4")), web("new", "")]);
    assert_eq!(seen.nodes_of("new"), ["n3", "n4"], "two stay in a, one in b");
    assert_eq!((seen.pinned("w3"), seen.task("w3").placement[0].node.as_str()), ("it is being deleted", "n4"));
}

#[test]
fn a_pod_that_only_counts_does_not_spoil_the_spread_of_others() {
    let web = |name: &str, on: &str| spread(pod(name, "web", on), "web", ZONE, 1);
    let plain = |name: &str| pod(name, "web", "");
    // Whoever has the constraint comes first: one more in a, then one more in b, and then none.
    let seen = cluster([web("w0", "n1"), web("w1", "n3"), plain("x"), plain("y"), web("new", "")]);
    assert_eq!([seen.nodes_of("new"), seen.nodes_of("x")], [["n1", "n2"], ["n3", "n4"]]);
    assert!(seen.pinned("y").contains("no domain for it until others have started"));
    // What it cannot reach is no domain for it.
    let choosy = with(plain("x"), &[("/spec/nodeSelector", json!({ZONE: "b"}))]);
    let seen = cluster([web("w0", "n1"), web("w1", "n3"), choosy]);
    assert_eq!((seen.nodes_of("x"), seen.pinned("x")), (vec!["n3", "n4"], ""));
}

#[test]
fn a_waiting_pod_with_two_constraints_gets_domains_that_have_a_node_in_common() {
    let both = |name: &str, on: &str| {
        let mut pod = spread(pod(name, "web", on), "web", ZONE, 1);
        let host = spread(pod.clone(), "web", HOST, 2)["spec"]["topologySpreadConstraints"][0].clone();
        pod["spec"]["topologySpreadConstraints"].as_array_mut().unwrap().push(host);
        pod
    };
    let web = || [both("w0", "n1"), both("w1", "n1"), both("new", "")];
    // The zone has to be b: n2 is as empty as n3 and comes before it, and is in a.
    let seen = cluster(web());
    assert_eq!((seen.nodes_of("new"), seen.pinned("new")), (vec!["n3"], ""));
    // What takes nobody, or not this pod, is no domain for it either.
    let sick = json!([{"key": "sick", "effect": "NoSchedule"}]);
    for (path, value) in [("/spec/taints", sick), ("/spec/unschedulable", json!(true))] {
        let mut items = nodes();
        items[2] = with(items[2].clone(), &[(path, value)]);
        items.extend(web());
        assert_eq!(imported(&items).nodes_of("new"), ["n4"], "{path}");
    }
}

#[test]
fn taints_keep_a_domain_out_of_the_count_where_the_constraint_says_so() {
    let seen = |policy: &str, effect: &str, tolerations: Value| {
        let taints = json!([{"key": "sick", "effect": effect}]);
        let in_b = |node: Value| with(node, &[("/spec/taints", taints.clone())]);
        let web = |name: &str, on: &str| {
            let policy = ("/spec/topologySpreadConstraints/0/nodeTaintsPolicy", json!(policy));
            with(spread(pod(name, "web", on), "web", ZONE, 1), &[policy, ("/spec/tolerations", tolerations.clone())])
        };
        let nodes = [node("n1", "a"), node("n2", "a"), in_b(node("n3", "b")), in_b(node("n4", "b"))];
        imported(&nodes.into_iter().chain([web("w0", "n1"), web("w1", "n2"), web("new", "")]).collect::<Vec<_>>())
    };
    let for_a_while = json!([{"key": "sick", "operator": "Exists", "tolerationSeconds": 300}]);
    // Zone a is full where b counts, and b, which is empty, takes nobody.
    let is_held =
        |seen: Imported| (seen.pinned("w0").contains("uneven"), seen.pinned("new").contains("no domain for it"));
    for effect in ["NoSchedule", "NoExecute"] {
        let honored = seen("Honor", effect, json!([]));
        assert_eq!((honored.nodes_of("new"), honored.pinned("new"), honored.pinned("w0")), (vec!["n1", "n2"], "", ""));
        assert_eq!(is_held(seen("Ignore", effect, json!([]))), (true, true), "{effect}");
    }
    // Whom the scheduler lets in, if only for a while, finds b counted; and a wish keeps nobody away.
    assert_eq!(is_held(seen("Honor", "NoExecute", for_a_while)), (true, true));
    assert_eq!(seen("Honor", "PreferNoSchedule", json!([])).nodes_of("new"), ["n3", "n4"]);
}

#[test]
fn whoever_has_a_constraint_and_does_not_match_it_keeps_to_it() {
    let other = |name: &str, on: &str| spread(pod(name, "other", on), "web", ZONE, 1);
    let web = ["n1", "n2"].map(|on| pod(&format!("web-{on}"), "web", on));
    let seen = cluster(web.into_iter().chain([other("full", "n1"), other("empty", "n3")]));
    assert!(seen.pinned("full").contains("uneven"));
    assert_eq!(seen.nodes_of("empty"), ["n3", "n4"]);
}

fn budget(name: &str, selector: Value, allowed: i64) -> Value {
    json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name, "namespace": "shop", "generation": 1},
        "spec": {"minAvailable": 1, "selector": selector}, "status": {"disruptionsAllowed": allowed, "observedGeneration": 1}
    })
}

#[test]
fn budgets_cap_and_none_allowed_pins() {
    let apps = [("web", 2), ("db", 0)];
    let mut items = nodes();
    for (app, allowed) in apps {
        items.extend((0..3).map(|i| pod(&format!("{app}{i}"), app, "n1")));
        items.push(budget(app, json!({"matchLabels": {"app": app}}), allowed));
    }
    items.extend((0..9).map(|i| pod(&format!("free{i}"), "free", "n2")));
    let seen = imported(&items);
    assert_eq!((seen.group("web").max_unavailable, seen.pinned("web0")), (Some(2), ""));
    assert_eq!(seen.pinned("db0"), "its disruption budget allows no disruption now");
    assert_eq!(seen.group("free").max_unavailable, Some(2));
    assert_eq!(seen.told(Fate::Stricter, "without a disruption budget"), 1);
    // Two budgets for a pod: Kubernetes evicts it never.
    items.push(budget("again", json!({"matchLabels": {"app": "web"}}), 9));
    assert!(imported(&items).pinned("web1").contains("two disruption budgets"));
}

#[test]
fn a_budget_over_several_workloads_is_shared_out() {
    let mut items = nodes();
    for app in ["web", "db", "mq"] {
        items.extend((0..3).map(|i| pod(&format!("{app}{i}"), app, "n1")));
    }
    items.push(budget("all", json!({}), 2));
    let seen = imported(&items);
    let caps = ["web", "db"].map(|app| seen.group(app).max_unavailable);
    assert_eq!((caps, seen.pinned("mq0").is_empty()), ([Some(1); 2], false));
    assert_eq!(seen.told(Fate::Stricter, "shared out"), 1);
}

#[test]
fn a_budget_without_a_word_of_its_controller_counts_ready_pods() {
    let ready = |i: usize, status: &str| {
        let conditions = json!([{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": status}]);
        with(pod(&format!("w{i}"), "web", "n1"), &[("/status/conditions", conditions)])
    };
    let seen = |spec: Value, pods: Vec<Value>| {
        let mut own = budget("web", json!({}), 0);
        own["spec"] = spec;
        own["spec"]["selector"] = json!({"matchLabels": {"app": "web"}});
        own["status"] = json!({});
        imported(&nodes().into_iter().chain(pods).chain([own]).collect::<Vec<_>>())
    };
    let cap = |spec: Value, pods: Vec<Value>| {
        let seen = seen(spec, pods);
        seen.pinned("w0").is_empty().then(|| seen.group("web").max_unavailable.unwrap())
    };
    let pods = |ready_count: usize| -> Vec<Value> {
        (0..5).map(|i| ready(i, if i < ready_count { "True" } else { "False" })).collect()
    };
    let (least, most) = (json!({"minAvailable": 3}), json!({"maxUnavailable": "40%"}));
    let caps = [5, 4, 3].map(|count| [cap(least.clone(), pods(count)), cap(most.clone(), pods(count))]);
    assert_eq!(caps, [[Some(2); 2], [Some(1); 2], [None; 2]]);
    // One that is being deleted is not healthy, and one in its place is asked for, which is not listed yet: 4 - 3 either way.
    let mut ends = pods(5);
    ends[4] = with(ends[4].clone(), &[("/metadata/deletionTimestamp", json!("2026-11-24T08:00:00Z"))]);
    assert_eq!([cap(least.clone(), ends.clone()), cap(most, ends)], [Some(1); 2]);
    // Whoever has no other word for it is told that the pods that are listed were counted.
    let guessed = "without a current status: those listed are counted";
    assert_eq!(seen(least, pods(5)).told(Fate::LeftOut, guessed), 1);
    let told = cluster([pod("w0", "web", "n1"), budget("web", json!({}), 1)]);
    assert_eq!(told.told(Fate::LeftOut, guessed), 0);
}

/// Processor time of this thread in hundredths of a second; `None` where the system does not tell.
fn thread_time() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

/// Processor time of an import of 20,000 pods, shared out among workloads, that wait for one of 5,000 nodes each, and for a zone.
fn time_of_waiting(workloads: usize) -> Option<u64> {
    let mut items: Vec<Value> = (0..5000).map(|n| node(&format!("n{n}"), &format!("z{}", n % 3))).collect();
    for p in 0..20_000 {
        let app = format!("app{}", p % workloads);
        let mut pod = spread(pod(&format!("p{p}"), &app, ""), &app, HOST, 5);
        let zone = spread(pod.clone(), &app, ZONE, 20_000)["spec"]["topologySpreadConstraints"][0].clone();
        pod["spec"]["topologySpreadConstraints"].as_array_mut().unwrap().push(zone);
        items.push(pod);
    }
    let documents = [document(&items)];
    let before = thread_time();
    let imported = import(&documents, &Options::default()).unwrap();
    let after = thread_time();
    let has_both = |task: &TaskSpec| [HOST, ZONE].iter().all(|key| task.selector.contains_key(*key));
    assert!(imported.snapshot.tasks.iter().all(has_both));
    Some(after? - before?)
}

/// Looking at all nodes for every pod and every constraint took six times as long for a thousand workloads as for one.
#[test]
fn a_thousand_waiting_workloads_do_not_look_at_all_nodes_each() {
    if let (Some(one), Some(thousand)) = (time_of_waiting(1), time_of_waiting(1000)) {
        assert!(thousand < 3 * one, "{thousand} and {one} hundredths of a second");
    }
}
