//! What do importers make of the documents that foreign systems print? Golden text, and documents that are broken at random.
//!
//! The documents and where they are from: `data/README.md` beside this file.

use bayplan::adapter::notes::{Document, Imported};
use bayplan::adapter::{nomad, openstack, proxmox, slurm};
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
    insta::assert_snapshot!(golden(slurm::import, &["slurm/24.11-nodes.json", "slurm/24.11-jobs.json"]));
}

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

/// Every importer with a document set that it takes.
const IMPORTERS: [(&str, Import, &[&str]); 6] = [
    ("slurm", slurm::import, &["slurm/22.05-nodes.json", "slurm/22.05-jobs.json"]),
    ("slurm", slurm::import, &["slurm/24.11-nodes.json", "slurm/24.11-jobs.json"]),
    ("openstack", openstack::import, &OPENSTACK),
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
