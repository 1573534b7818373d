//! What do the fields of Slurm's nodes and jobs mean for who has room?

use super::*;

/// Node `n1` with some fields, and jobs.
fn with(node: Value, jobs: Value) -> Vec<Document> {
    let mut documents = slurm_with(jobs, "");
    let mut value: Value = serde_json::from_slice(&documents[0].bytes).unwrap();
    value["nodes"][0].as_object_mut().unwrap().extend(node.as_object().unwrap().clone());
    documents[0].bytes = value.to_string().into_bytes();
    documents
}

/// A job that runs on `n1` and holds some generic resource there.
fn holding(gres: &str) -> Value {
    json!([waiting(7, 1, json!({"job_state": "RUNNING", "nodes": "n1", "gres_detail": [gres]}))])
}

#[test]
fn texts_of_the_wrong_type_are_refused() {
    for wrong in [json!(["x"]), json!({"x": "y"}), json!(true)] {
        let said = refusals(slurm::import, &with(json!({"reservation": wrong}), json!([])));
        assert!(said.contains("I201") && said.contains("nodes[0], reservation"), "{said}");
        for field in ["resv_name", "licenses", "required_nodes", "excluded_nodes"] {
            let said = refusals(slurm::import, &slurm_with(json!([waiting(7, 1, json!({field: wrong}))]), ""));
            assert!(said.contains("I201") && said.contains(&format!("jobs[0], {field}")), "{said}");
        }
    }
    let none = json!({"resv_name": null, "licenses": [], "required_nodes": null});
    assert_eq!(sound(slurm::import, &slurm_with(json!([waiting(7, 1, none)]), "")).snapshot.tasks.len(), 1);
}

#[test]
fn what_no_job_of_the_list_holds_is_in_use() {
    let node = json!({"gres": "nic:a:1,nic:b:1", "gres_used": "nic:a:1,nic:b:1"});
    let outside = |jobs: Value| {
        let imported = sound(slurm::import, &with(node.clone(), jobs));
        let requirement = task(&imported, "outside-n1").requirement.clone();
        ["gres/nic", "gres/nic:a", "gres/nic:b"].map(|name| requirement.get(name).copied().unwrap_or(0))
    };
    assert_eq!((outside(json!([])), outside(holding("nic:a:1"))), ([2, 1, 1], [1, 0, 1]));
}

#[test]
fn no_other_type_will_do() {
    let jobs = json!([waiting(7, 1, json!({"tres_per_node": "gres/nic:a:2"}))]);
    let imported = sound(slurm::import, &with(json!({"gres": "nic:a:1,nic:b:1"}), jobs));
    assert_eq!(imported.snapshot.nodes[0].allocatable["gres/nic:a"], 1);
    assert_eq!(task(&imported, "job-7").requirement["gres/nic:a"], 2);
}

#[test]
fn a_type_that_nobody_uses_up_frees_no_other() {
    let node = json!({"gres": "bandwidth:lustre:no_consume:4G,bandwidth:eth:10"});
    let held = |gres: &str| {
        let imported = sound(slurm::import, &with(node.clone(), holding(gres)));
        assert_eq!(imported.snapshot.nodes[0].allocatable["gres/bandwidth"], 10);
        task(&imported, "job-7").requirement.get("gres/bandwidth").copied()
    };
    assert_eq!((held("bandwidth:eth:8"), held("bandwidth:lustre:8")), (Some(8), None));
}

#[test]
fn specialised_cores_are_nobodys() {
    let cpus = |node: Value| sound(slurm::import, &with(node, json!([]))).snapshot.nodes[0].allocatable["cpu"];
    let unset = json!({"set": false, "infinite": false, "number": 7});
    assert_eq!(cpus(json!({"specialized_cores": 1, "effective_cpus": null})), 7);
    assert_eq!(cpus(json!({"specialized_cores": 1, "effective_cpus": unset, "cpus": 16, "threads": 2})), 14);
    assert_eq!(cpus(json!({"specialized_cpus": "6-7"})), 6);
    assert_eq!(cpus(json!({"effective_cpus": 99})), 8);
}

#[test]
fn parts_of_gpus_are_held_by_the_word_of_the_job() {
    for used in [Value::Null, json!(""), json!("gpu:a100:0(IDX:N/A),shard:a100:0(0/4,0/4)")] {
        let node = json!({"gres": "gpu:a100:2,shard:a100:8", "gres_used": used});
        let imported = sound(slurm::import, &with(node, holding("shard:a100:2(0/4,2/4)")));
        assert_eq!(task(&imported, "outside-n1").placement[0].devices, [1]);
    }
}
