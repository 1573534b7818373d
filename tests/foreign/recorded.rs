//! What did answers of real servers show that the samples had not? The answers: `data/README.md`.

use super::*;

/// In the shape that Nomad answered in, before and after tasks could have cores.
const NOMAD_RECORDED: [&str; 4] =
    ["nomad/1.1-nodes.json", "nomad/1.2-allocations.json", "nomad/1.0-allocation.json", "nomad/1.2-jobs.json"];

#[test]
fn proxmox_9_as_it_answers() {
    insta::assert_snapshot!(golden(proxmox::import, &["proxmox/9-resources.json", "proxmox/9-configs.json"]));
}

#[test]
fn proxmox_7_as_it_answers() {
    insta::assert_snapshot!(golden(proxmox::import, &["proxmox/7-resources.json"]));
}

#[test]
fn nomad_as_it_answers() {
    let said = golden(nomad::import, &NOMAD_RECORDED);
    // What whole allocations say twice is no news.
    assert!(!said.contains("left out"), "{said}");
    insta::assert_snapshot!(said);
    let said = refusals(nomad::import, &recorded(&["nomad/1.0-lines.json"]));
    assert!(said.contains("I301") && said.contains("?resources=true"), "{said}");
}

/// The API server's own lists: their items say of what kind they are only once, and `status.resources` of a pod has its memory alone.
#[test]
fn kubernetes_1_37_as_it_answers() {
    let documents = recorded(&["kubernetes/1.37-nodes.json", "kubernetes/1.37-pods.json"]);
    let imported = kubernetes::import(documents.iter().map(Stream::from), &kubernetes::Options::default());
    let imported = imported.unwrap_or_else(|refused| panic!("{refused:?}"));
    Problem::new(&imported.snapshot).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(imported.snapshot.tasks[0].requirement["cpu"], 500);
    insta::assert_snapshot!(told(&imported));
    // One without containers would take up nothing.
    let mut documents = documents;
    let mut value: Value = serde_json::from_slice(&documents[1].bytes).unwrap();
    value["items"][0].as_object_mut().unwrap().remove("spec");
    documents[1].bytes = value.to_string().into_bytes();
    let refused = kubernetes::import(documents.iter().map(Stream::from), &kubernetes::Options::default());
    assert!(matches!(refused, Err(Refused::Faulty(faults)) if faults.to_string().contains("it has no containers")));
}

/// With `--mem-per-gpu`, slurmctld 24.11 tells the figure of one GPU as memory per node as well.
#[test]
fn memory_per_gpu_is_of_each_gpu() {
    let more =
        json!({"memory_per_tres": "gres/gpu:100", "memory_per_node": 100, "tres_per_node": "gres/gpu:2", "cpus": 1});
    let imported = sound(slurm::import, &slurm_with(json!([waiting(7, 1, more)]), ""));
    assert_eq!(task(&imported, "job-7").requirement["memory"], 200);
    let recorded = sound(slurm::import, &recorded(&SLURM_24_11));
    let is_it = |task: &&TaskSpec| task.origin.get("job_name").is_some_and(|name| name == "gpumem");
    let job = recorded.snapshot.tasks.iter().find(is_it).expect("it waits");
    let gpus = job.device.as_ref().map_or(0, |device| i64::from(device.count));
    assert_eq!((gpus, job.requirement["memory"]), (2, 200));
}

/// Jobs ask for such a resource, and two of them may have more of it than there is.
#[test]
fn what_nobody_uses_up_fills_no_node() {
    let running = |id: u32| {
        let node = json!({"name": "n1", "cpus": {"count": 1}, "memory": {"allocated": 100}});
        let more = json!({
            "job_state": ["RUNNING"], "nodes": "n1", "gres_detail": ["bandwidth:lustre:3G"], "tres_alloc_str": "cpu=1,mem=100M",
            "job_resources": {"nodes": {"allocation": [node]}}
        });
        waiting(id, 1, more)
    };
    let mut documents = slurm_with(json!([running(7), running(8)]), "");
    let mut value: Value = serde_json::from_slice(&documents[0].bytes).unwrap();
    value["nodes"][0]["gres"] = json!("bandwidth:lustre:no_consume:4G");
    documents[0].bytes = value.to_string().into_bytes();
    let imported = sound(slurm::import, &documents);
    for name in ["job-7", "job-8"] {
        assert!(!task(&imported, name).requirement.contains_key("gres/bandwidth"), "{}", told(&imported));
    }
    assert!(told(&imported).contains("kept stricter: 1 nodes with generic resources that nobody uses up"));
}

/// The same plan, as requests, was carried out by the Nova that printed the answers.
#[test]
fn answers_of_nova_become_live_migrations_between_its_hosts() {
    let (text, folder) = exported("openstack", &OPENSTACK_34);
    let document: Value = serde_json::from_str(&text).unwrap();
    let actions: Vec<&Value> =
        document["waves"].as_array().unwrap().iter().flat_map(|wave| wave["actions"].as_array().unwrap()).collect();
    assert!(!actions.is_empty(), "one host holds two large servers");
    let snapshot: Value = serde_json::from_slice(&std::fs::read(folder.path().join("s.json")).unwrap()).unwrap();
    let zone = |name: &Value| {
        let node = snapshot["nodes"].as_array().unwrap().iter().find(|node| node["name"] == *name).unwrap();
        assert_ne!(node["cordoned"], true, "nothing goes to a host that is disabled");
        node["domains"]["zone"].clone()
    };
    for action in actions {
        assert_eq!(zone(&action["from"]), zone(&action["to"]), "{action}");
        assert!(action["body"]["os-migrateLive"]["host"].as_str().unwrap().starts_with("compute-"), "{action}");
    }
}

/// Nova holds the room at the target of a move under way for the server, and that at its source for the move.
#[test]
fn both_ends_of_a_move_under_way_are_held() {
    let imported = sound(openstack::import, &recorded(&OPENSTACK_34));
    let moving = task(&imported, "moving");
    let incoming = task(&imported, "outside-compute-3.example");
    assert!(moving.pinned && incoming.pinned);
    assert_eq!((moving.placement[0].node.as_str(), &incoming.requirement), ("compute-4.example", &moving.requirement));
}
