//! What do importers make of the documents that foreign systems print? Golden text, and documents that are broken at random.
//!
//! The documents and where they are from: `data/README.md` beside this file.

#[path = "foreign/nomad_rules.rs"]
mod nomad_rules;
#[path = "foreign/openstack_rules.rs"]
mod openstack_rules;
#[path = "foreign/proxmox_rules.rs"]
mod proxmox_rules;
#[path = "foreign/recorded.rs"]
mod recorded;
#[path = "foreign/slurm_rules.rs"]
mod slurm_rules;
#[path = "foreign/wrong.rs"]
mod wrong;

use bayplan::adapter::notes::{Document, Imported, Refused, Stream};
use bayplan::adapter::table::SoftLimit;
use bayplan::adapter::{kubernetes, nomad, openb, openstack, proxmox, roadef, slurm, table};
use bayplan::model::{Faults, Problem, Snapshot, TaskSpec};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

type Import = fn(&[Document]) -> Result<Imported, Faults>;

fn recorded(names: &[&str]) -> Vec<Document> {
    let read = |name: &&str| {
        let path = format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
        Document { name: name.to_string(), bytes: std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}")) }
    };
    names.iter().map(read).collect()
}

/// Everything an import says, a line each. Nodes that are alike in all but name are not told apart by more than that.
fn told(imported: &Imported) -> String {
    let Snapshot { nodes, tasks, groups, resources, .. } = &imported.snapshot;
    let mut text = String::new();
    for resource in resources {
        writeln!(text, "resource {} [{}]", resource.name, resource.unit).unwrap();
    }
    for node in nodes {
        let devices: Vec<String> = node.devices.iter().map(|d| format!("{} {} {}", d.count, d.kind, d.model)).collect();
        let labels: Vec<String> = node.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let cordoned = if node.cordoned { " cordoned" } else { "" };
        writeln!(text, "node {}{cordoned} {:?} {devices:?}\n     {}", node.name, node.allocatable, labels.join(" "))
            .unwrap();
    }
    for task in tasks {
        writeln!(text, "{}", task_line(task)).unwrap();
    }
    for group in groups {
        writeln!(text, "group {} conflict {:?} gang {:?}", group.name, group.conflict, group.gang).unwrap();
    }
    for (fate, what, count) in imported.notes.lines() {
        writeln!(text, "{}: {count} {what}", fate.words()).unwrap();
    }
    text
}

fn task_line(task: &TaskSpec) -> String {
    let mut line = format!("task {} weight {} {:?}", task.name, task.weight, task.requirement);
    if let Some(device) = &task.device {
        write!(line, " {} {} {:?}", device.count, device.kind, device.models).unwrap();
    }
    for piece in &task.placement {
        write!(line, " on {} {:?}", piece.node, piece.devices).unwrap();
    }
    if task.pinned {
        line += " pinned";
    }
    if !task.selector.is_empty() {
        write!(line, " where {:?}", task.selector).unwrap();
    }
    write!(line, " from {:?}", task.origin).unwrap();
    line
}

#[track_caller]
fn golden(import: Import, files: &[&str]) -> String {
    let imported = import(&recorded(files)).unwrap_or_else(|faults| panic!("{faults}"));
    Problem::new(&imported.snapshot).unwrap_or_else(|faults| panic!("{faults}"));
    told(&imported)
}

#[test]
fn slurm_22_05() {
    insta::assert_snapshot!(golden(slurm::import, &["slurm/22.05-nodes.json", "slurm/22.05-jobs.json"]));
}

#[test]
fn slurm_24_11() {
    insta::assert_snapshot!(golden(slurm::import, &SLURM_24_11));
}

const SLURM_24_11: [&str; 4] =
    ["slurm/24.11-nodes.json", "slurm/24.11-jobs.json", "slurm/24.11-partitions.json", "slurm/24.11-topology.txt"];
/// What Nova 34 and Placement 16 answered.
const OPENSTACK_34: [&str; 6] = [
    "openstack-34/servers.json",
    "openstack-34/hypervisors.json",
    "openstack-34/services.json",
    "openstack-34/server_groups.json",
    "openstack-34/providers.json",
    "openstack-34/placement.json",
];

const OPENSTACK: [&str; 11] = [
    "openstack/servers.json",
    "openstack/hypervisors.json",
    "openstack/server_groups.json",
    "openstack/services.json",
    "openstack/providers.json",
    "openstack/inventories-00000101-7a3c-4d5e-8f90-1b2c3d4e5f60.json",
    "openstack/inventories-00000102-7a3c-4d5e-8f90-1b2c3d4e5f60.json",
    "openstack/inventories-00000103-7a3c-4d5e-8f90-1b2c3d4e5f60.json",
    "openstack/traits-00000101-7a3c-4d5e-8f90-1b2c3d4e5f60.json",
    "openstack/traits-00000102-7a3c-4d5e-8f90-1b2c3d4e5f60.json",
    "openstack/usages.json",
];
const PROXMOX: [&str; 2] = ["proxmox/resources.json", "proxmox/ha-rules.json"];
const PROXMOX_8: [&str; 2] = ["proxmox/resources.json", "proxmox/ha-groups.json"];
const NOMAD: [&str; 4] = ["nomad/nodes.json", "nomad/allocations.json", "nomad/jobs.json", "nomad/job-web-bound.json"];

#[test]
fn openstack_answers() {
    insta::assert_snapshot!(golden(openstack::import, &OPENSTACK));
}

#[test]
fn openstack_34() {
    insta::assert_snapshot!(golden(openstack::import, &OPENSTACK_34));
}

#[test]
fn proxmox_9() {
    insta::assert_snapshot!(golden(proxmox::import, &PROXMOX));
}

#[test]
fn proxmox_8() {
    insta::assert_snapshot!(golden(proxmox::import, &PROXMOX_8));
}

#[test]
fn nomad_answers() {
    insta::assert_snapshot!(golden(nomad::import, &NOMAD));
}

/// Imports, plans and exports with the program itself, as `format`; what the export says, and the folder of all files.
fn exported(format: &str, files: &[&str]) -> (String, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let paths: Vec<String> = files.iter().map(|name| data.join(name).display().to_string()).collect();
    let mut import = vec!["import".to_string(), format.to_string(), "-o".into(), "s.json".into()];
    import.extend(paths);
    let line = |words: &[&str]| words.iter().map(|word| word.to_string()).collect::<Vec<_>>();
    let plan = line(&["plan", "s.json", "--goal", "balance", "--effort", "50", "--seed", "1", "-o", "p.json"]);
    for words in [import, plan, line(&["export", format, "s.json", "p.json", "-o", "out"])] {
        let output = bayplan(&words, folder.path());
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    (std::fs::read_to_string(folder.path().join("out")).unwrap(), folder)
}

fn bayplan(words: &[String], folder: &Path) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_bayplan")).args(words).current_dir(folder).output().unwrap()
}

#[test]
fn openstack_moves_are_live_migrations() {
    let (text, _folder) = exported("openstack", &OPENSTACK);
    let document: Value = serde_json::from_str(&text).unwrap();
    let actions: Vec<&Value> =
        document["waves"].as_array().unwrap().iter().flat_map(|wave| wave["actions"].as_array().unwrap()).collect();
    assert!(!actions.is_empty(), "the cluster is out of balance");
    for action in actions {
        assert!(action["path"].as_str().unwrap().starts_with("/servers/0000000"), "{action}");
        assert!(action["body"]["os-migrateLive"]["host"].as_str().unwrap().starts_with("compute-"), "{action}");
        assert!(
            ["web-1", "web-2", "db"].iter().any(|name| action["server"] == *name)
                || action["server"].as_str().unwrap().starts_with("job.")
        );
    }
}

/// The commands that a script shows without being told to apply them.
fn shown(folder: &Path) -> Vec<String> {
    let output = Command::new("bash").arg("out").current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(String::from).collect()
}

#[test]
fn proxmox_moves_are_migrations() {
    let (text, folder) = exported("proxmox", &PROXMOX);
    assert!(text.contains("# wave 1"), "{text}");
    let lines = shown(folder.path());
    assert!(!lines.is_empty());
    for line in lines {
        assert!(line.starts_with("pvesh create /nodes/pve") && line.contains("/migrate --target pve"), "{line}");
    }
}

#[test]
fn nomad_moves_are_hints() {
    let (text, folder) = exported("nomad", &NOMAD);
    assert!(text.contains("(hint: client-2)"), "{text}");
    assert!(shown(folder.path()).iter().all(|line| line.starts_with("nomad alloc stop -namespace=default 0000")));
}

#[test]
fn a_plan_of_another_system_is_refused() {
    let (_, folder) = exported("proxmox", &PROXMOX);
    for format in ["slurm", "openstack", "nomad"] {
        let words = ["export", format, "s.json", "p.json"].map(String::from);
        let output = bayplan(&words, folder.path());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(65), "{said}");
        assert!(said.contains("I302"), "{said}");
        assert!(output.stdout.is_empty());
    }
}

/// Names from outside end up in scripts and requests: none of them may mean anything there.
#[test]
fn names_that_mean_something_to_a_shell_never_reach_a_script() {
    const SLURM: [&str; 2] = ["slurm/22.05-nodes.json", "slurm/22.05-jobs.json"];
    let keys = [
        ("slurm", &SLURM[..], "job_id"),
        ("openstack", &OPENSTACK, "server_id"),
        ("proxmox", &PROXMOX, "vmid"),
        ("nomad", &NOMAD, "allocation_id"),
    ];
    for (format, files, key) in keys {
        let (_, folder) = exported(format, files);
        let snapshot = folder.path().join("s.json");
        let whole: Value = serde_json::from_slice(&std::fs::read(&snapshot).unwrap()).unwrap();
        for bad in ["$(touch /x)", "a\nrm -r x", "-purge", "a/../b", "a'b", "a;b", "\u{0}", ""] {
            let mut value = whole.clone();
            for task in value["tasks"].as_array_mut().unwrap() {
                task["origin"][key] = json!(bad);
            }
            std::fs::write(&snapshot, serde_json::to_vec(&value).unwrap()).unwrap();
            let words = |words: &[&str]| words.iter().map(|word| word.to_string()).collect::<Vec<_>>();
            let plan = words(&["plan", "s.json", "--goal", "balance", "--effort", "50", "--seed", "1", "-o", "p.json"]);
            assert!(bayplan(&plan, folder.path()).status.success());
            let output = bayplan(&words(&["export", format, "s.json", "p.json"]), folder.path());
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!((output.status.code(), output.stdout.len()), (Some(65), 0), "{format} {bad:?}: {said}");
            assert!(said.contains("I304"), "{said}");
        }
    }
}

/// Names of tasks are shown as comments: whatever they hold, a script stays one command per line.
#[test]
fn names_of_guests_stay_comments() {
    let names = ["web\nrm -r /", "$(touch x)", "`touch x`", "'; touch x; '", "\r\n# wave 9"];
    let documents = changed(&PROXMOX, "proxmox/resources.json", |value| {
        let guests =
            value.as_array_mut().unwrap().iter_mut().filter(|item| item["type"] == "qemu" || item["type"] == "lxc");
        guests.zip(names.iter().cycle()).for_each(|(guest, name)| guest["name"] = json!(name));
    });
    let folder = tempfile::tempdir().unwrap();
    for document in &documents {
        std::fs::write(folder.path().join(document.name.replace('/', "-")), &document.bytes).unwrap();
    }
    let words = |line: &str| line.split(' ').map(String::from).collect::<Vec<_>>();
    for line in [
        "import proxmox proxmox-resources.json proxmox-ha-rules.json -o s.json",
        "plan s.json --goal balance --effort 50 --seed 1 -o p.json",
        "export proxmox s.json p.json -o out",
    ] {
        let output = bayplan(&words(line), folder.path());
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let lines = shown(folder.path());
    assert!(!lines.is_empty() && lines.iter().all(|line| line.starts_with("pvesh create /nodes/pve")), "{lines:?}");
    for more in [&["--aply"][..], &["--apply", "1"], &[""]] {
        let output = Command::new("bash").arg("out").args(more).current_dir(folder.path()).output().unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(64), 0), "{more:?} is refused");
    }
}

#[test]
fn documents_of_another_kind_are_refused() {
    let refused = |import: Import, text: &str| {
        let faults = import(&[Document { name: "x.json".into(), bytes: text.into() }]).unwrap_err();
        faults.list().iter().map(|fault| fault.code).collect::<Vec<_>>()
    };
    assert_eq!(refused(slurm::import, ""), ["I101"]);
    assert_eq!(refused(slurm::import, "{\"nodes\": ["), ["F101"]);
    assert_eq!(refused(slurm::import, "{\"sinfo\": []}"), ["I110"]);
    assert_eq!(refused(slurm::import, "[]"), ["I110"]);
    assert_eq!(refused(slurm::import, "{\"jobs\": []}"), ["I110"]);
    assert_eq!(refused(slurm::import, "{\"nodes\": [7]}"), ["F102"]);
    assert_eq!(
        refused(slurm::import, "{\"nodes\": [{\"name\": \"n\", \"cpus\": -1, \"real_memory\": \"x\"}]}"),
        ["I201", "I201"]
    );
}

#[test]
fn other_systems_refuse_as_well() {
    for (name, import) in
        [("openstack", openstack::import as Import), ("proxmox", proxmox::import), ("nomad", nomad::import)]
    {
        for text in
            ["", "{", "{\"x\": 1}", "[1]", "[[]]", "\"text\"", "null", "[]", "{\"servers\": []}", "{\"data\": []}"]
        {
            let faults = import(&[Document { name: "x".into(), bytes: text.into() }]);
            assert!(faults.is_err(), "{name} takes {text:?}");
        }
    }
}

/// One document, changed.
fn changed(files: &[&str], file: &str, change: impl Fn(&mut Value)) -> Vec<Document> {
    let mut documents = recorded(files);
    let document = documents.iter_mut().find(|document| document.name == file).expect("it is one of them");
    let mut value: Value = serde_json::from_slice(&document.bytes).unwrap();
    change(&mut value);
    document.bytes = serde_json::to_vec(&value).unwrap();
    documents
}

#[track_caller]
fn refusals(import: Import, documents: &[Document]) -> String {
    import(documents).expect_err("it is wrong").to_string()
}

#[track_caller]
fn sound(import: Import, documents: &[Document]) -> Imported {
    let imported = import(documents).unwrap_or_else(|faults| panic!("{faults}"));
    Problem::new(&imported.snapshot).unwrap_or_else(|faults| panic!("{faults}"));
    imported
}

fn task<'a>(imported: &'a Imported, name: &str) -> &'a TaskSpec {
    let found = imported.snapshot.tasks.iter().find(|task| task.name == name);
    found.unwrap_or_else(|| panic!("no task {name} in\n{}", told(imported)))
}

#[test]
fn a_page_of_a_longer_list_is_not_taken_for_the_whole() {
    let next = json!([{"href": "http://nova/servers/detail?limit=1000&marker=x", "rel": "next"}]);
    let cut = changed(&OPENSTACK, "openstack/servers.json", |value| value["servers_links"] = next.clone());
    let said = refusals(openstack::import, &cut);
    assert!(said.contains("I113") && said.contains("servers_links"), "{said}");
    // With its last page it is whole.
    let mut all = cut;
    all.push(Document { name: "last".into(), bytes: b"{\"servers\": []}".to_vec() });
    let said = told(&sound(openstack::import, &all));
    let (pages, rest): (Vec<&str>, Vec<&str>) = said.lines().partition(|line| line.contains("pages of the list"));
    assert_eq!(rest.join("\n") + "\n", golden(openstack::import, &OPENSTACK));
    // Nothing in a page says whose next it is, so one in between could be missing.
    assert!(pages[0].contains("left out: 1 pages of the list of servers that may be missing"), "{said}");
}

/// An inventory as Placement tells it: all six figures.
fn inventory(total: i64) -> Value {
    json!({"total": total, "reserved": 0, "min_unit": 1, "max_unit": total, "step_size": 1, "allocation_ratio": 1.0})
}

#[test]
fn figures_of_use_that_are_none_are_refused_and_missing_ones_told() {
    let uuid = "00000101-7a3c-4d5e-8f90-1b2c3d4e5f60";
    for bad in [json!("many"), json!(-1), json!({"VCPU": 2}), json!([1])] {
        let documents =
            changed(&OPENSTACK, "openstack/usages.json", |value| value[uuid]["usages"]["VCPU"] = bad.clone());
        let said = refusals(openstack::import, &documents);
        assert!(said.contains("I201") && said.contains("usages, VCPU"), "{said}");
    }
    let without: Vec<&str> = OPENSTACK.into_iter().filter(|name| !name.contains("usages")).collect();
    let said = told(&sound(openstack::import, &recorded(&without)));
    assert!(said.contains("left out: 3 what is in use on hypervisors without usages"), "{said}");
}

#[test]
fn lists_of_the_openstack_command_and_of_strangers_are_refused_with_the_right_request() {
    let list =
        json!([{"ID": "1", "Name": "web", "Status": "ACTIVE", "Networks": {}, "Image": "x", "Flavor": "m1.small"}]);
    let document = Document { name: "list.json".into(), bytes: serde_json::to_vec(&list).unwrap() };
    let said = refusals(openstack::import, &[document]);
    assert!(said.contains("openstack command") && said.contains("/servers/detail?all_tenants=1"), "{said}");
    let documents = changed(&OPENSTACK, "openstack/servers.json", |value| {
        for server in value["servers"].as_array_mut().unwrap() {
            server.as_object_mut().unwrap().retain(|name, _| !name.starts_with("OS-EXT-SRV-ATTR:h"));
        }
    });
    let said = refusals(openstack::import, &documents);
    assert!(said.contains("I301") && said.contains("as an administrator"), "{said}");
}

#[test]
fn nested_providers_are_told() {
    let documents = changed(&OPENSTACK, "openstack/providers.json", |value| {
        let mut child = value["resource_providers"][0].clone();
        child["uuid"] = json!("00000999-7a3c-4d5e-8f90-1b2c3d4e5f60");
        child["name"] = json!("compute-1.example_pgpu_0");
        value["resource_providers"].as_array_mut().unwrap().push(child);
    });
    let inventory = json!({"00000999-7a3c-4d5e-8f90-1b2c3d4e5f60": {"inventories": {"VGPU": inventory(4)}}});
    let child = Document { name: "child".into(), bytes: serde_json::to_vec(&inventory).unwrap() };
    let said = told(&sound(openstack::import, &[documents, vec![child]].concat()));
    assert!(said.contains("left out: 1 inventories of providers that are no hypervisor"), "{said}");
}

#[test]
fn rules_of_ha_that_nobody_knows_pin_their_guests() {
    let affinity = changed(&PROXMOX, "proxmox/ha-rules.json", |value| value["data"][0]["affinity"] = json!("orbital"));
    let kind = changed(&PROXMOX, "proxmox/ha-rules.json", |value| {
        value["data"][0] = json!({"rule": "new", "type": "moon-affinity", "resources": "vm:100,vm:101"});
    });
    for documents in [affinity, kind] {
        let imported = sound(proxmox::import, &documents);
        assert!(task(&imported, "100-web").pinned && task(&imported, "101-web2").pinned);
        assert!(told(&imported).contains("pinned: 2 guests with an HA rule that is not understood"));
    }
    // One that is off says nothing.
    let off = changed(&PROXMOX, "proxmox/ha-rules.json", |value| {
        value["data"][0]["affinity"] = json!("orbital");
        value["data"][0]["disable"] = json!(1);
    });
    assert!(!task(&sound(proxmox::import, &off), "100-web").pinned);
}

#[test]
fn a_guest_in_two_rules_is_kept_apart_from_all() {
    let documents = changed(&PROXMOX, "proxmox/ha-rules.json", |value| {
        let rule =
            json!({"rule": "also", "type": "resource-affinity", "affinity": "negative", "resources": "vm:101,ct:103"});
        value["data"].as_array_mut().unwrap().push(rule);
    });
    let imported = sound(proxmox::import, &documents);
    let groups: std::collections::BTreeSet<_> =
        ["100-web", "101-web2"].map(|name| task(&imported, name).group.clone()).into();
    assert!(groups.len() == 1 && !groups.contains(&None), "{groups:?}");
    let third = imported.snapshot.tasks.iter().find(|task| task.name.starts_with("103-")).unwrap();
    assert!(groups.contains(&third.group), "{}", told(&imported));
    assert!(told(&imported).contains("kept stricter: 1 HA rules that share guests"));
}

/// Nodes n1 to n4, where n1 and n2 have the feature a, n3 and n4 b; and jobs that wait.
fn slurm_with(jobs: Value, more: &str) -> Vec<Document> {
    let node = |n: usize| {
        let features = [["a", "b"][n / 3], "all"];
        let gres = if n == 4 { "gpu:a100:2,shard:a100:8" } else { "" };
        json!({
            "name": format!("n{n}"), "cpus": 8, "sockets": 1, "cores": 8, "threads": 1, "real_memory": 16000, "state": ["IDLE"],
            "partitions": ["main"], "features": features, "gres": gres
        })
    };
    let documents = json!({"nodes": (1..5).map(node).collect::<Vec<_>>(), "jobs": jobs});
    vec![Document { name: "slurm".into(), bytes: format!("{documents:#}\n{more}").into_bytes() }]
}

fn waiting(id: u32, nodes: u32, more: Value) -> Value {
    let mut job = json!({
        "job_id": id, "name": "j", "user_name": "ada", "submit_time": 1, "job_state": ["PENDING"], "state_reason": "Resources",
        "partition": "main", "priority": 10, "node_count": nodes, "cpus": nodes, "memory_per_node": 100
    });
    job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    job
}

const TOPOLOGY: &str = "SwitchName=s0 Level=0 LinkSpeed=1 Nodes=n[1-2]\nSwitchName=s1 Level=0 LinkSpeed=1 Nodes=n[3-4]\n\
                        SwitchName=root Level=1 LinkSpeed=1 Nodes=n[1-4] Switches=s[0-1]\n";

fn within(imported: &Imported, group: &str) -> Option<String> {
    let group = imported.snapshot.groups.iter().find(|known| known.name == group).expect("a gang");
    group.gang.clone().expect("a gang").within
}

#[test]
fn one_switch_is_a_domain_where_the_topology_is_known() {
    let jobs = json!([waiting(7, 2, json!({"required_switches": 1})), waiting(8, 3, json!({"required_switches": 2}))]);
    let imported = sound(slurm::import, &slurm_with(jobs.clone(), TOPOLOGY));
    assert_eq!(imported.snapshot.nodes[3].domains["switch"], "s1");
    assert_eq!((within(&imported, "job-7").as_deref(), within(&imported, "job-8")), (Some("switch"), None));
    let said = told(&imported);
    assert!(said.contains("kept stricter: 1 waiting jobs that wish for one switch"), "{said}");
    assert!(said.contains("left out: 1 wishes of waiting jobs for few switches"), "{said}");
    let said = told(&sound(slurm::import, &slurm_with(jobs, "")));
    assert!(said.contains("left out: 2 wishes of waiting jobs for few switches"), "{said}");
    let said = refusals(slurm::import, &slurm_with(json!([]), "SwitchName=s0 Level=0 Nodes=n[1-\n"));
    assert!(said.contains("I203") && said.contains("scontrol show topology"), "{said}");
}

#[test]
fn the_same_feature_on_all_nodes_is_a_domain() {
    let job = |features: &str| slurm_with(json!([waiting(7, 2, json!({"features": features}))]), "");
    for features in ["[a|b]", "[a|b]&all", "all&[a|b]"] {
        let imported = sound(slurm::import, &job(features));
        assert_eq!(within(&imported, "job-7").as_deref(), Some("feature/[a|b]"), "{features}");
        assert_eq!(imported.snapshot.nodes[0].domains["feature/[a|b]"], "a");
        assert!(task(&imported, "job-7/0").selector.keys().any(|label| label.contains("[a|b]")), "{features}");
    }
    // A node with both, counts, and two of them cannot be said, and are told.
    for features in ["[a|all]", "[a*1&b*1]", "[a|b]&[b|a]", "a|[a|b]"] {
        let said = told(&sound(slurm::import, &job(features)));
        assert!(
            said.contains("left out: 1 waiting jobs with constraints that bind several nodes"),
            "{features}: {said}"
        );
    }
}

#[test]
fn parts_of_gpus_are_never_dropped_silently() {
    for name in ["shard", "mps"] {
        let jobs = json!([waiting(7, 1, json!({"tres_per_node": format!("gres:{name}:2")}))]);
        let said = told(&sound(slurm::import, &slurm_with(jobs, "")));
        assert!(said.contains("left out: 1 waiting jobs with parts of GPUs (shard, mps)"), "{said}");
    }
    // Parts in use close the GPUs that they are of, or all of their node where nothing says which those are.
    let mut documents = slurm_with(json!([]), "");
    let text = String::from_utf8(documents[0].bytes.clone()).unwrap();
    for (parts, gpus) in
        [("shard:a100:3(3/4,0/4)", &[0][..]), ("shard:a100:3(0/4,3/4)", &[1]), ("shard:a100:3", &[0, 1])]
    {
        let used = format!("\"gres_used\": \"gpu:a100:0(IDX:N/A),{parts}\", \"gres\": \"gpu");
        documents[0].bytes = text.replacen("\"gres\": \"gpu", &used, 1).into_bytes();
        let imported = sound(slurm::import, &documents);
        assert_eq!(task(&imported, "outside-n4").placement[0].devices, gpus, "{parts}");
        assert!(told(&imported).contains("pinned: 1 nodes with something in use"), "{}", told(&imported));
    }
}

#[test]
fn devices_of_nomad_are_those_that_are_held() {
    let devices = json!([
        {"Vendor": "nvidia", "Type": "gpu", "Name": "T4", "Instances": [
            {"ID": "g0", "Healthy": true}, {"ID": "g1", "Healthy": false}, {"ID": "g2", "Healthy": true}]},
        {"Vendor": "intel", "Type": "fpga", "Name": "F10", "Instances": [{"ID": "f0", "Healthy": true}]}
    ]);
    let files = &NOMAD[..2];
    let mut documents =
        changed(files, "nomad/nodes.json", |value| value[0]["NodeResources"]["Devices"] = devices.clone());
    let mut allocations: Value = serde_json::from_slice(&documents[1].bytes).unwrap();
    let held = json!([
        {"Vendor": "nvidia", "Type": "gpu", "Name": "T4", "DeviceIDs": ["g2"]},
        {"Vendor": "intel", "Type": "fpga", "Name": "F10", "DeviceIDs": ["f0"]}
    ]);
    allocations[0]["AllocatedResources"]["Tasks"]["main"]["Devices"] = held;
    let lost = json!([{"Vendor": "nvidia", "Type": "gpu", "Name": "T4", "DeviceIDs": ["g9"]}]);
    allocations[1]["AllocatedResources"]["Tasks"]["main"]["Devices"] = lost;
    documents[1].bytes = serde_json::to_vec(&allocations).unwrap();
    let imported = sound(nomad::import, &documents);
    let node = &imported.snapshot.nodes[0];
    assert_eq!((node.devices[0].count, node.devices[0].model.as_str()), (2, "T4"));
    assert_eq!(node.allocatable["device/intel/fpga/F10"], 1);
    let holder = imported.snapshot.tasks.iter().find(|task| task.device.is_some()).expect("one holds a GPU");
    assert_eq!((holder.placement[0].devices.as_slice(), holder.requirement["device/intel/fpga/F10"]), (&[1][..], 1));
    assert!(holder.pinned);
    assert!(told(&imported).contains("left out: 1 devices of allocations that their node does not have"));
}

#[test]
fn answers_of_nomad_without_resources_are_refused() {
    for (file, field) in [("nomad/nodes.json", "NodeResources"), ("nomad/allocations.json", "AllocatedResources")] {
        let documents = changed(&NOMAD, file, |value| drop(value[0].as_object_mut().unwrap().remove(field)));
        let said = refusals(nomad::import, &documents);
        assert!(said.contains("I301") && said.contains(field) && said.contains("?resources=true"), "{said}");
    }
    // One that is over holds nothing, and one on a node that is not listed is left out.
    let documents = changed(&NOMAD, "nomad/allocations.json", |value| {
        for i in [5, 6] {
            value[i].as_object_mut().unwrap().remove("AllocatedResources");
        }
    });
    assert_eq!(told(&sound(nomad::import, &documents)), golden(nomad::import, &NOMAD));
}

#[test]
fn a_job_of_nomad_says_more_than_its_line_in_the_list() {
    let line = |id: &str| json!({"ID": id, "Name": id, "Namespace": "default", "Type": "service", "Priority": 60});
    let bytes = serde_json::to_vec(&[line("web"), line("bound")]).unwrap();
    let lines = vec![Document { name: "list".into(), bytes }];
    let expected = golden(nomad::import, &NOMAD);
    for documents in [[recorded(&NOMAD), lines.clone()].concat(), [lines.clone(), recorded(&NOMAD)].concat()] {
        assert_eq!(told(&sound(nomad::import, &documents)), expected);
    }
    // Without the jobs themselves nobody knows of their constraints, and it is told for all that may move.
    let said = told(&sound(nomad::import, &[recorded(&NOMAD[..3]), lines].concat()));
    assert!(said.contains("left out: 4 constraints of jobs that are only in the list"), "{said}");
}

#[test]
fn allocations_of_nomad_hold_their_place_until_their_client_says_otherwise() {
    let with = |desired: &str, status: &str| {
        let documents = changed(&NOMAD, "nomad/allocations.json", |value| {
            value[0]["DesiredStatus"] = json!(desired);
            value[0]["ClientStatus"] = json!(status);
        });
        sound(nomad::import, &documents)
    };
    for (desired, status) in [("stop", "running"), ("evict", "pending"), ("run", "unknown")] {
        let imported = with(desired, status);
        let held = task(&imported, "web.app[0].00001000");
        assert!(held.pinned && held.requirement["cpu"] == 2000, "{desired} {status}");
        assert_eq!(held.group.is_some(), desired == "run", "one that stops does not keep the next one away");
    }
    for (desired, status) in [("run", "failed"), ("run", "lost"), ("stop", "complete")] {
        let imported = with(desired, status);
        assert!(imported.snapshot.tasks.iter().all(|task| task.name != "web.app[0].00001000"), "{desired} {status}");
    }
}

#[test]
fn tasks_of_an_allocation_count_while_they_run() {
    let needs = |cpu: u32, memory: u32| json!({"Cpu": {"CpuShares": cpu}, "Memory": {"MemoryMB": memory}});
    let with = |lifecycles: Value| {
        let documents = changed(&NOMAD, "nomad/allocations.json", |value| {
            let given = &mut value[0]["AllocatedResources"];
            given["Tasks"] = json!({
                "fetch": needs(3000, 100), "proxy": needs(500, 500), "main": needs(1000, 1000), "warm": needs(200, 200),
                "clean": needs(100, 9000)
            });
            given["TaskLifecycles"] = lifecycles.clone();
        });
        let imported = sound(nomad::import, &documents);
        let requirement = &task(&imported, "web.app[0].00001000").requirement;
        (requirement["cpu"], requirement["memory"])
    };
    let hook = |hook: &str, is_sidecar: bool| json!({"Hook": hook, "Sidecar": is_sidecar});
    let lifecycles = |clean: Value| {
        json!({
            "fetch": hook("prestart", false), "proxy": hook("prestart", true), "main": null, "warm": hook("poststart", false),
            "clean": clean
        })
    };
    assert_eq!(with(lifecycles(hook("poststop", false))), (3000 + 500, 9000));
    assert_eq!(with(lifecycles(hook("poststart", true))), (3000 + 500, 500 + 1000 + 200 + 9000));
    assert_eq!(with(Value::Null), (4800, 10800));
}

#[test]
fn whole_allocations_of_nomad_have_their_job_inside() {
    let documents = changed(&NOMAD, "nomad/allocations.json", |value| {
        value[2].as_object_mut().unwrap().remove("JobType");
        value[2]["Job"] = json!({"ID": "cache", "Namespace": "default", "Type": "system", "TaskGroups": []});
    });
    let imported = sound(nomad::import, &documents);
    assert_eq!(task(&imported, "cache.redis[2].00001002").origin["pinned"], "it belongs to its node (system job)");
}

#[test]
fn hypervisors_of_unknown_size_are_refused() {
    let files: Vec<&str> = OPENSTACK.into_iter().filter(|name| !name.contains("inventories")).collect();
    let said = refusals(openstack::import, &recorded(&files));
    assert!(said.contains("I301") && said.contains("microversion 2.87"), "{said}");
    let documents = changed(&files, "openstack/hypervisors.json", |value| {
        for hypervisor in value["hypervisors"].as_array_mut().unwrap() {
            hypervisor["vcpus"] = json!(48);
            hypervisor["memory_mb"] = json!(256_000);
            hypervisor["local_gb"] = json!(2000);
        }
    });
    let imported = sound(openstack::import, &documents);
    assert_eq!(imported.snapshot.nodes[0].allocatable["VCPU"], 48);
    assert!(told(&imported).contains("kept stricter: 3 hypervisors without an inventory"), "{}", told(&imported));
}

#[test]
fn servers_of_a_cell_that_does_not_answer_are_told() {
    let documents = changed(&OPENSTACK, "openstack/servers.json", |value| {
        let server =
            json!({"created": "2026-01-10T09:00:30Z", "id": "x", "status": "UNKNOWN", "tenant_id": "t", "links": []});
        value["servers"].as_array_mut().unwrap().push(server);
    });
    let told = told(&sound(openstack::import, &documents));
    let rest = told.replace("left out: 1 servers of a cell that does not answer\n", "");
    assert_ne!(told, rest);
    let figures = |text: &str| text.lines().filter(|line| !line.starts_with("no bearing")).count();
    assert_eq!(figures(&rest), figures(&golden(openstack::import, &OPENSTACK)));
}

#[test]
fn servers_with_devices_of_their_host_stay() {
    for key in ["resources:VGPU", "resources1:VGPU", "resources2:PGPU", "accel:device_profile", "pci_passthrough:alias"]
    {
        let documents = changed(&OPENSTACK, "openstack/servers.json", |value| {
            value["servers"][0]["flavor"]["extra_specs"][key] = json!("1");
        });
        assert!(task(&sound(openstack::import, &documents), "web-1").pinned, "{key}");
    }
}

#[test]
fn rules_against_nodes_of_proxmox_leave_the_others() {
    let with = |affinity: &str| {
        let documents = changed(&PROXMOX, "proxmox/ha-rules.json", |value| {
            for i in [2, 3] {
                value["data"][i]["affinity"] = json!(affinity);
            }
        });
        sound(proxmox::import, &documents)
    };
    assert_eq!(told(&with("positive")), golden(proxmox::import, &PROXMOX));
    let imported = with("negative");
    assert_eq!(task(&imported, "102-db").selector["node"], ["pve3"]);
    assert!(task(&imported, "103-dns").selector.is_empty(), "it is not strict");
    assert!(told(&imported).contains("left out: 1 HA rules and groups that only prefer nodes"), "{}", told(&imported));
    assert!(task(&with("orbital"), "102-db").pinned);
}

/// The answer of Proxmox with one item changed.
fn proxmox_with(id: &str, change: impl Fn(&mut serde_json::Map<String, Value>)) -> Vec<Document> {
    changed(&PROXMOX, "proxmox/resources.json", |value| {
        let item = value.as_array_mut().unwrap().iter_mut().find(|item| item["id"] == id).expect("it is there");
        change(item.as_object_mut().unwrap());
    })
}

#[test]
fn nodes_of_proxmox_of_unknown_size_are_refused() {
    for field in ["maxmem", "maxcpu"] {
        let without = |id: &str| proxmox_with(id, |item| drop(item.remove(field)));
        let said = refusals(proxmox::import, &without("node/pve1"));
        assert!(said.contains("I301") && said.contains("Sys.Audit"), "{said}");
        // One that is off says nothing, and takes nobody.
        assert!(sound(proxmox::import, &without("node/pve3")).snapshot.nodes[2].cordoned);
    }
}

#[test]
fn a_guest_of_unknown_size_closes_its_node() {
    let imported = sound(proxmox::import, &proxmox_with("lxc/103", |item| drop(item.remove("maxmem"))));
    let cordoned: Vec<bool> = imported.snapshot.nodes.iter().map(|node| node.cordoned).collect();
    assert_eq!(cordoned, [false, true, true]);
    for task in &imported.snapshot.tasks {
        assert_eq!(task.pinned, task.placement[0].node == "pve2", "{}", task.name);
    }
    let said = told(&imported);
    assert!(said.contains("kept stricter: 1 nodes with a guest that does not say how large it is"), "{said}");
}

#[test]
fn a_part_of_a_cpu_counts_as_a_whole_one() {
    for (limit, cpus) in [(json!(0.5), 1), (json!("0.5"), 1), (json!(1.5), 2), (json!(2), 2)] {
        let imported = sound(proxmox::import, &proxmox_with("lxc/103", |item| item["maxcpu"] = limit.clone()));
        assert_eq!(task(&imported, "103-dns").requirement["cpu"], cpus, "{limit}");
    }
    for bad in [json!(-0.5), json!("many"), json!("NaN"), json!(1e300)] {
        let said = refusals(proxmox::import, &proxmox_with("lxc/103", |item| item["maxcpu"] = bad.clone()));
        assert!(said.contains("I201"), "{said}");
    }
}

#[test]
fn what_the_host_sees_of_a_guest_is_what_it_uses() {
    let memory = |of_host: u64| {
        let with =
            |item: &mut serde_json::Map<String, Value>| drop(item.insert("memhost".into(), json!(of_host << 30)));
        sound(proxmox::import, &proxmox_with("qemu/100", with)).snapshot.nodes[0].allocatable["memory"]
    };
    // The node has 64 GiB and uses 20, of which the guests say that they use 6 each.
    assert_eq!((memory(0), memory(7)), ((64 - 2) << 10, (64 - 1) << 10));
}

/// What no format expects: a fault each time, or a snapshot, and never a panic. The tables are of `csv`, `openb` and `roadef`.
#[test]
fn hostile_documents_never_panic() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000)).into_bytes();
    let huge = "9".repeat(400);
    let mut texts: Vec<Vec<u8>> = vec![
        deep("[", "]"),
        deep("{\"a\":", "}"),
        deep("{\"items\":[", "]}"),
        deep("{\"nodes\":[", "]}"),
        b"\xff\xfe\x00{\x00}".to_vec(),
        b"{\"nodes\":[{\"name\":\"\xff\"}]}".to_vec(),
        vec![0; 5000],
        "\r\n".repeat(5000).into_bytes(),
        b"{}\r\n{}\r\n[]".to_vec(),
        format!("{{\"nodes\":[{{\"name\":\"n\",\"cpus\":{huge},\"real_memory\":1e999}}]}}").into_bytes(),
        format!("[{{\"type\":\"node\",\"node\":\"n\",\"maxcpu\":{huge},\"maxmem\":-0.0}}]").into_bytes(),
        b"{\"nodes\":[{\"name\":\"n\",\"name\":\"n\"},{\"name\":\"n\"}]}".to_vec(),
        b"[{\"type\":\"node\",\"node\":\"n\"},{\"type\":\"node\",\"node\":\"n\"}]".to_vec(),
        b"[{\"ID\":\"a\",\"Name\":\"n\",\"NodeResources\":{}},{\"ID\":\"a\",\"Name\":\"n\",\"NodeResources\":{}}]"
            .to_vec(),
        format!("node,cpu\n{}\n", "n,1\n".repeat(1000)).into_bytes(),
        format!("node,cpu\nn,{huge}\n").into_bytes(),
        b"node,cpu\r\n\"n\r\n,1\r\n".to_vec(),
        format!("{huge} ").repeat(50).into_bytes(),
        b"-1 -1 -1 -1".to_vec(),
        "4000000000 ".repeat(100).into_bytes(),
    ];
    texts.extend((0..=255u8).map(|byte| vec![byte]));
    for text in &texts {
        let document = Document { name: "hostile".into(), bytes: text.clone() };
        for import in [slurm::import as Import, openstack::import, proxmox::import, nomad::import] {
            survives(import, std::slice::from_ref(&document));
        }
        if let Ok(imported) = kubernetes::import([Stream::from(&document)], &kubernetes::Options::default()) {
            let _ = Problem::new(&imported.snapshot);
        }
        let tables = [
            openb::import(text, b"name,cpu_milli\n", None),
            openb::import(b"sn,cpu_milli\n", text, Some(text)),
            roadef::import(text, b"0"),
            roadef::import(b"1\n1 10\n1\n0 0 5 5 0\n1\n0 0\n1\n0 1 1\n0\n1 1 1", text),
            table::import(text, b"task,cpu,node\na,1,n\n", SoftLimit::Mean),
            table::import(b"node,cpu\nn,1\n", text, SoftLimit::Mean),
        ];
        for snapshot in tables.into_iter().flatten() {
            let _ = Problem::new(&snapshot);
        }
    }
}

/// Every importer with a document set that it takes.
const IMPORTERS: [(&str, Import, &[&str]); 7] = [
    ("slurm", slurm::import, &["slurm/22.05-nodes.json", "slurm/22.05-jobs.json"]),
    ("slurm", slurm::import, SLURM_24_11.split_at(3).0),
    ("openstack", openstack::import, &OPENSTACK),
    ("openstack", openstack::import, &OPENSTACK_34),
    ("proxmox", proxmox::import, &PROXMOX),
    ("proxmox", proxmox::import, &PROXMOX_8),
    ("nomad", nomad::import, &NOMAD),
];

/// What may stand in place of any value.
fn wrong_values() -> Vec<Value> {
    let texts = [
        "",
        "n[1-",
        "n[0-99999999]",
        "gpu:a100:99999999999999999999",
        "gpu:-1",
        "é(((",
        "1-5%",
        "cpu=9223372036854775807,mem=9e9P",
        "\u{0}",
        "1e3k",
        "a\r\nb",
        "$(reboot)",
        "[a|b]",
    ];
    let numbers = [
        json!(-1),
        json!(0),
        json!(65),
        json!(4294967295u64),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1e300),
        json!(0.5),
    ];
    let others = [Value::Null, json!(true), json!([]), json!({}), json!([[[]]]), json!({"set": true, "number": "x"})];
    texts.into_iter().map(Value::from).chain(numbers).chain(others).collect()
}

/// Replaces the value that comes `at` steps into the document, in its order.
fn replace(value: &mut Value, at: &mut usize, with: &Value) -> bool {
    if *at == 0 {
        *value = with.clone();
        return true;
    }
    *at -= 1;
    match value {
        Value::Array(list) => list.iter_mut().any(|item| replace(item, at, with)),
        Value::Object(fields) => fields.iter_mut().any(|(_, item)| replace(item, at, with)),
        _ => false,
    }
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// Whatever comes out can be checked; nothing panics.
fn survives(import: Import, documents: &[Document]) {
    if let Ok(imported) = import(documents) {
        let _ = Problem::new(&imported.snapshot);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn values_of_the_wrong_kind_never_panic(
        which in 0..IMPORTERS.len(), file in 0usize..24, at in any::<prop::sample::Index>(), with in 0..wrong_values().len(),
    ) {
        let (_, import, files) = IMPORTERS[which];
        let mut documents = recorded(files);
        let document = &mut documents[file % files.len()];
        let stream = serde_json::Deserializer::from_slice(&document.bytes).into_iter::<Value>();
        let mut value: Value = stream.last().unwrap().unwrap();
        let mut at = at.index(count(&value));
        prop_assert!(replace(&mut value, &mut at, &wrong_values()[with]));
        document.bytes = serde_json::to_vec(&value).unwrap();
        survives(import, &documents);
    }

    #[test]
    fn broken_bytes_never_panic(
        which in 0..IMPORTERS.len(), file in 0usize..24,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(), cuts in any::<bool>(),
    ) {
        let (_, import, files) = IMPORTERS[which];
        let mut documents = recorded(files);
        let bytes = &mut documents[file % files.len()].bytes;
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if cuts {
            bytes.truncate(cut.index(bytes.len()));
        }
        survives(import, &documents);
    }
}

#[test]
fn what_slurm_would_refuse_is_not_planned() {
    let asks = [
        json!({"core_spec": 1}),
        json!({"threads_per_core": {"set": true, "infinite": false, "number": 1}}),
        json!({"sockets_per_node": 2}),
        json!({"mcs_label": "red"}),
        json!({"batch_features": "ssd"}),
        json!({"contiguous": true}),
    ];
    for more in asks {
        let imported = sound(slurm::import, &slurm_with(json!([waiting(7, 2, more.clone())]), ""));
        assert!(imported.snapshot.tasks.is_empty(), "{more}");
        assert!(told(&imported).contains("left out: 1 waiting jobs with"), "{}", told(&imported));
    }
    let unset =
        json!({"core_spec": null, "threads_per_core": {"set": false, "infinite": false, "number": 0}, "mcs_label": ""});
    assert_eq!(sound(slurm::import, &slurm_with(json!([waiting(7, 1, unset)]), "")).snapshot.tasks.len(), 1);
    let unset = json!({"core_spec": 0, "thread_spec": 32766});
    assert_eq!(sound(slurm::import, &slurm_with(json!([waiting(7, 1, unset)]), "")).snapshot.tasks.len(), 1);
    // Only nodes with the temporary disk, and none that is kept for somebody or has lost a device.
    let mut documents = slurm_with(json!([waiting(7, 1, json!({"minimum_tmp_disk_per_node": 500}))]), "");
    let mut value: Value = serde_json::from_slice(&documents[0].bytes).unwrap();
    value["nodes"][1]["temporary_disk"] = json!(500);
    value["nodes"][2]["owner"] = json!("ada");
    value["nodes"][3]["gres_drained"] = json!("gpu:a100:1");
    documents[0].bytes = value.to_string().into_bytes();
    let imported = sound(slurm::import, &documents);
    let label = task(&imported, "job-7").selector.keys().find(|key| key.contains("disk")).expect("a label").clone();
    let nodes = &imported.snapshot.nodes;
    assert_eq!([0, 1, 2, 3].map(|n| nodes[n].labels.contains_key(&label)), [false, true, false, false]);
    assert_eq!([0, 1, 2, 3].map(|n| nodes[n].cordoned), [false, false, true, true]);
    // A list that slurmctld could not complete is none.
    value["errors"] = json!([{"error_number": 1007, "description": "Protocol authentication error"}]);
    documents[0].bytes = value.to_string().into_bytes();
    let said = refusals(slurm::import, &documents);
    assert!(said.contains("I114") && said.contains("Protocol authentication error"), "{said}");
}

#[test]
fn what_a_partition_allows_of_a_node_is_kept() {
    let limit = |most: Value| {
        let partition = json!({"name": "main", "maximums": {"cpus_per_node": most}});
        json!({"partitions": [partition]}).to_string()
    };
    let jobs = json!([waiting(7, 1, json!({"cpus": 2})), waiting(8, 1, json!({"cpus": 2, "partition": "main,other"}))]);
    let two = json!({"set": true, "infinite": false, "number": 2});
    let imported = sound(slurm::import, &slurm_with(jobs.clone(), &limit(two)));
    let name = "cpu of partition main";
    assert_eq!((imported.snapshot.nodes[0].allocatable[name], task(&imported, "job-7").requirement[name]), (2, 2));
    assert!(told(&imported).contains("left out: 1 waiting jobs with several partitions"), "{}", told(&imported));
    // What no job says, and Slurm finds out when it tries to start one.
    let strict = |maximums: Value| json!({"partitions": [{"name": "main", "maximums": maximums}]}).to_string();
    let exclusive = sound(slurm::import, &slurm_with(json!([waiting(7, 1, json!({}))]), &strict(json!({"shares": 0}))));
    assert!(task(&exclusive, "job-7").requirement.contains_key("exclusive"));
    let memory = json!({"partition_memory_per_node": {"set": true, "infinite": false, "number": 100}});
    let said = told(&sound(slurm::import, &slurm_with(json!([]), &strict(memory))));
    assert!(said.contains("left out: 1 /maximums/partition_memory_per_node of partitions"), "{said}");
    let narrow = sound(slurm::import, &slurm_with(json!([waiting(7, 2, json!({}))]), &strict(json!({"nodes": 1}))));
    assert!(narrow.snapshot.tasks.is_empty() && told(&narrow).contains("more nodes than their partition allows"));
    let none = json!({"set": false, "infinite": true, "number": 0});
    let imported = sound(slurm::import, &slurm_with(jobs.clone(), &limit(none)));
    assert!(imported.snapshot.tasks.len() == 2 && !told(&imported).contains(name));
    let down = json!([waiting(7, 1, json!({"state_reason": "PartitionDown"}))]);
    let imported = sound(slurm::import, &slurm_with(down, ""));
    assert!(imported.snapshot.tasks.len() == 1 && told(&imported).contains("planned as if it were up"));
    let said = told(&sound(slurm::import, &slurm_with(jobs, "")));
    assert!(said.contains("limits of partitions"), "{said}");
}
