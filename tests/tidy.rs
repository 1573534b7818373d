//! Does the source keep its shape? Direction of imports, one door per dependency, kernel pairs, opening lines, width.
//!
//! Every check is a function from text to objections, and every check is shown a text that it must object to.

use std::fs;
use std::path::Path;

/// Who may name whom with `crate::` (or `bayplan::` in main.rs). `control` is a leaf that all may use.
const ARROWS: [(&str, &[&str]); 19] = [
    ("main", &["cli"]),
    (
        "cli",
        &[
            "adapter", "generate", "exact", "bulk", "bound", "drill", "gpu", "kernel", "plan", "scale", "scrub",
            "simulate", "status", "file", "model",
        ],
    ),
    ("adapter", &["plan", "model"]),
    ("scrub", &["model"]),
    ("generate", &["random", "model"]),
    ("exact", &["plan", "model"]),
    ("bulk", &["gpu", "kernel", "plan", "model"]),
    ("gpu", &["kernel"]),
    ("bound", &["exact", "gpu", "kernel", "model"]),
    ("drill", &["bulk", "exact", "gpu", "kernel", "plan", "model"]),
    ("file", &["plan", "model"]),
    ("simulate", &["random", "plan", "model"]),
    ("scale", &["drill", "exact", "bulk", "plan", "model"]),
    ("plan", &["model"]),
    ("status", &["model"]),
    ("kernel", &[]),
    ("model", &[]),
    ("random", &[]),
    ("control", &[]),
];

/// Which module may use which dependency.
const DOORS: [(&str, &[&str]); 23] = [
    ("clap", &["cli", "main"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("comfy_table", &["cli"]),
    ("indicatif", &["cli"]),
    ("ctrlc", &["cli"]),
    ("nix", &["cli"]),
    ("csv", &["adapter"]),
    ("terminal_size", &["cli"]),
    ("tempfile", &["cli", "file"]),
    ("good_lp", &["exact"]),
    ("rayon", &["bound", "bulk", "control", "drill", "plan"]),
    ("jiff", &["cli"]),
    ("toml", &["file"]),
    ("wgpu", &["gpu"]),
    ("pollster", &["gpu"]),
    ("bytemuck", &["gpu", "kernel"]),
    ("sha2", &["model"]),
    ("serde", &["model", "file", "adapter", "cli"]),
    ("serde_ignored", &["adapter"]),
    ("serde_json", &["model", "file", "adapter", "cli"]),
    ("strsim", &["model", "file", "adapter", "cli"]),
    ("thiserror", &["scale", "gpu", "adapter", "exact", "file", "plan", "cli"]),
];

/// How the CPU holds what a device keeps in registers and shared memory: these have no other half.
const CPU_ONLY: [&str; 2] = ["lanes", "view"];

/// Shaders whose other half is no kernel, since it reads the problem itself.
const HALVES_ELSEWHERE: [(&str, &str); 1] = [("gather", "src/bulk/gather.rs")];

const WIDTH_MAX: usize = 140;

/// Top-level module of a file in src: `src/plan/verify.rs` → `plan`.
fn module(path: &str) -> &str {
    let inside = path.strip_prefix("src/").expect("paths start at the repository root");
    inside.split(['/', '.']).next().expect("split gives at least one part")
}

/// Lines of code with their numbers: no comments, and nothing from the test module at the foot on.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let code = text.lines().enumerate().take_while(|(_, line)| line.trim() != "#[cfg(test)]");
    code.map(|(i, line)| (i + 1, line.split("//").next().unwrap_or(""))).filter(|(_, line)| !line.trim().is_empty())
}

/// The words that follow `prefix` where it starts a path, e.g. `model` in `use crate::model::Node`.
fn words_after<'a>(line: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(prefix).filter(move |(at, _)| !line[..*at].ends_with(|c| is_word(c) || c == ':')).map(
        move |(at, _)| {
            let rest = &line[at + prefix.len()..];
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            &rest[..end]
        },
    )
}

fn arrow_objections(path: &str, text: &str) -> Vec<String> {
    let from = module(path);
    if from == "lib" {
        return Vec::new();
    }
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == from) else {
        return vec![format!("{path}: module {from} is not in the list of arrows")];
    };
    let mut objections = Vec::new();
    for (number, line) in code(text) {
        let prefix = if from == "main" { "bayplan::" } else { "crate::" };
        for to in words_after(line, prefix) {
            if to != from && to != "control" && !allowed.contains(&to) {
                objections.push(format!("{path}:{number}: {from} may not use {to:?} (one `use` per module)"));
            }
        }
        if line.contains("super::super::") {
            objections.push(format!("{path}:{number}: say crate:: instead of super::super::"));
        }
    }
    objections
}

fn door_objections(path: &str, text: &str) -> Vec<String> {
    let from = module(path);
    let mut objections = Vec::new();
    for (number, line) in code(text) {
        for (dependency, doors) in DOORS {
            let named = words_after(line, &format!("{dependency}::")).next().is_some();
            if named && !doors.contains(&from) {
                objections.push(format!("{path}:{number}: {dependency} may only be used in {doors:?}"));
            }
        }
    }
    objections
}

/// Dependencies of Cargo.toml that have no door.
fn undoored(cargo: &str) -> Vec<String> {
    let text = format!("\n{cargo}");
    let is_ours = |head: &str| head == "dependencies" || head.starts_with("target.") && head.ends_with(".dependencies");
    let sections = text.split("\n[").filter_map(|section| section.split_once("]\n")).filter(|(head, _)| is_ours(head));
    let lines = sections.flat_map(|(_, section)| section.lines()).filter(|line| !line.starts_with('#'));
    let names = lines.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.trim().replace('-', "_"));
    names.filter(|name| !DOORS.iter().any(|(known, _)| known == name)).collect()
}

fn form_objections(path: &str, text: &str) -> Vec<String> {
    let mut objections = Vec::new();
    if !text.starts_with("//! ") {
        objections.push(format!("{path}: the first line must say with //! which question the file answers"));
    }
    for (i, line) in text.lines().enumerate() {
        // A row of a table in a comment cannot be broken.
        if line.chars().count() > WIDTH_MAX && !line.trim_start().starts_with("//! |") {
            objections.push(format!("{path}:{}: wider than {WIDTH_MAX}", i + 1));
        }
    }
    if path.starts_with("src/") {
        let bare = code(text).filter(|(_, line)| line.contains(".unwrap()"));
        objections.extend(bare.map(|(number, _)| format!("{path}:{number}: unwrap; say with expect why it holds")));
    }
    objections
}

/// `kernels` and `shaders` are file stems; `elsewhere` the shaders whose other half is another file.
fn pair_objections(kernels: &[String], shaders: &[String], elsewhere: &[(&str, &str)]) -> Vec<String> {
    let has_half = |shader: &&String| kernels.contains(shader) || elsewhere.iter().any(|(name, _)| name == *shader);
    let orphans = shaders.iter().filter(|shader| !has_half(shader));
    let mut objections: Vec<String> =
        orphans.map(|shader| format!("shaders/{shader}.wgsl has no src/kernel/{shader}.rs")).collect();
    let halves = kernels.iter().filter(|kernel| !shaders.contains(kernel));
    objections.extend(halves.map(|kernel| format!("src/kernel/{kernel}.rs has no shaders/{kernel}.wgsl")));
    for (shader, half) in elsewhere {
        if !Path::new(env!("CARGO_MANIFEST_DIR")).join(half).is_file() || kernels.iter().any(|kernel| kernel == shader)
        {
            objections.push(format!("{half} is not the other half of shaders/{shader}.wgsl"));
        }
    }
    objections
}

/// All files below a folder with this extension, as (path from the root, text); none if the folder does not exist.
fn files(folder: &str, extension: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == extension) {
                let name = path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn stems(folder: &str, extension: &str) -> Vec<String> {
    let stem = |(path, _): (String, String)| Path::new(&path).file_stem().unwrap().to_string_lossy().into_owned();
    files(folder, extension).into_iter().map(stem).filter(|stem| stem != "mod").collect()
}

#[track_caller]
fn none(objections: Vec<String>) {
    assert!(objections.is_empty(), "\n{}", objections.join("\n"));
}

#[test]
fn imports_run_one_way() {
    let sources = files("src", "rs");
    assert!(sources.len() > 10, "the walk over src found only {} files", sources.len());
    none(sources.iter().flat_map(|(path, text)| arrow_objections(path, text)).collect());
}

#[test]
fn each_dependency_has_its_door() {
    none(files("src", "rs").iter().flat_map(|(path, text)| door_objections(path, text)).collect());
    none(undoored(&fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap()));
}

#[test]
fn files_have_their_form() {
    let all = ["src", "tests", "benches"].into_iter().flat_map(|folder| files(folder, "rs"));
    none(all.flat_map(|(path, text)| form_objections(&path, &text)).collect());
}

#[test]
fn kernels_and_shaders_are_pairs() {
    let mut kernels = stems("src/kernel", "rs");
    for name in CPU_ONLY {
        let at = kernels.iter().position(|kernel| kernel == name);
        kernels.remove(at.unwrap_or_else(|| panic!("there is no src/kernel/{name}.rs")));
    }
    none(pair_objections(&kernels, &stems("shaders", "wgsl"), &HALVES_ELSEWHERE));
}

#[test]
fn each_check_objects_to_a_bad_text() {
    let arrows = |path: &str, text: &str| arrow_objections(path, text).len();
    assert_eq!(arrows("src/model/cost.rs", "use crate::plan::Move;"), 1);
    assert_eq!(arrows("src/plan/mod.rs", "fn f() { let x = crate::bulk::solve(); }"), 1);
    assert_eq!(arrows("src/plan/mod.rs", "use crate::{model, bulk};"), 1);
    assert_eq!(arrows("src/bulk/pack.rs", "use super::super::exact;"), 1);
    assert_eq!(arrows("src/main.rs", "use bayplan::bulk;"), 1);
    assert_eq!(arrows("src/gossip/mod.rs", ""), 1);
    assert_eq!(arrows("src/plan/mod.rs", "//! see crate::bulk\nuse crate::model::Node; // not crate::exact"), 0);

    assert_eq!(door_objections("src/model/cost.rs", "use rayon::prelude::*;").len(), 1);
    assert_eq!(door_objections("src/cli/mod.rs", "let p = good_lp::variables!();").len(), 1);
    assert_eq!(door_objections("src/exact/mod.rs", "use good_lp::variables;").len(), 0);
    assert_eq!(
        undoored("[dependencies]\nclap = \"4\"\nmystery-crate = \"1\"\n\n[features]\nx = []"),
        ["mystery_crate"]
    );
    assert_eq!(
        undoored("[target.'cfg(unix)'.dependencies]\nmystery = \"1\"\n[dev-dependencies]\nx = \"1\""),
        ["mystery"]
    );

    assert_eq!(form_objections("src/a.rs", "use std::fs;\n").len(), 1);
    assert_eq!(form_objections("tests/a.rs", &format!("//! What?\n// {}\n", "é".repeat(140))).len(), 1);
    assert_eq!(form_objections("src/a.rs", "//! What?\nfn f() { x.unwrap(); }\n").len(), 1);
    assert_eq!(form_objections("src/a.rs", "//! What?\n#[cfg(test)]\nmod tests { x.unwrap(); }\n").len(), 0);

    let list = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    assert_eq!(pair_objections(&list(&["score"]), &list(&["score", "orphan"]), &[]).len(), 1);
    assert_eq!(pair_objections(&list(&["score", "orphan"]), &list(&["score"]), &[]).len(), 1);
    assert_eq!(pair_objections(&list(&[]), &list(&["score"]), &[("score", "src/lib.rs")]).len(), 0);
    assert_eq!(pair_objections(&list(&[]), &list(&["score"]), &[("score", "src/gone.rs")]).len(), 1);
}
