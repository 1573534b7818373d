//! Is the page complete in itself, harmless, the same every time, true to the plan, and legible in a browser?

mod common;

use assert_cmd::Command;
use bayplan::file;
use bayplan::model::*;
use common::command::{path_in, run, written};
use common::*;
use roxmltree::{Document, Node, ParsingOptions};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const SMALL: &str = "data/small.json";

/// A plan for a snapshot, in `folder`.
fn planned(folder: &TempDir, snapshot: &str) -> String {
    let plan = path_in(folder, "plan.json");
    let (code, _, stderr) = run(&["plan", snapshot, "--effort", "500", "-o", &plan]);
    assert_eq!(code, 0, "{stderr}");
    plan
}

fn page(args: &[&str]) -> String {
    let (code, stdout, stderr) = run(&[&["report"], args].concat());
    assert_eq!((code, stderr.as_str()), (0, ""));
    stdout
}

fn json(args: &[&str]) -> Value {
    let (code, stdout, stderr) = run(args);
    assert_eq!(code, 0, "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

/// The page as strict XML: whatever is not closed, quoted or escaped fails here.
fn parsed(page: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(page, options).unwrap_or_else(|error| panic!("{error}"))
}

fn text(node: Node<'_, '_>) -> String {
    node.descendants().filter(Node::is_text).filter_map(|inner| inner.text()).collect()
}

/// The exact value of the figure with this id.
fn figure(document: &Document<'_>, id: &str) -> f64 {
    let found = document.descendants().find(|node| node.attribute("id") == Some(id));
    let node = found.unwrap_or_else(|| panic!("there is no figure {id}"));
    node.attribute("value").unwrap().parse().unwrap()
}

/// A table as rows of texts, the head first.
fn table(document: &Document<'_>, caption: &str) -> Vec<Vec<String>> {
    let is_it = |node: &Node<'_, '_>| {
        node.has_tag_name("table") && node.children().any(|c| c.has_tag_name("caption") && text(c) == caption)
    };
    let table = document.descendants().find(is_it).unwrap_or_else(|| panic!("there is no table {caption:?}"));
    let cells = |row: Node<'_, '_>| row.children().filter(|cell| cell.is_element()).map(text).collect();
    table.descendants().filter(|node| node.has_tag_name("tr")).map(cells).collect()
}

fn cell<'a>(table: &'a [Vec<String>], row: &str, column: &str) -> &'a str {
    let c = table[0].iter().position(|title| title == column).unwrap_or_else(|| panic!("{column:?}: {:?}", table[0]));
    let row = table[1..].iter().find(|cells| cells[0] == row).unwrap_or_else(|| panic!("{row:?}: {table:?}"));
    &row[c]
}

/// A figure written for people.
fn number(text: &str) -> f64 {
    let plain: String = text.chars().filter(|c| !",+% \u{a0}".contains(*c)).collect();
    plain.parse().unwrap_or_else(|_| panic!("{text:?} is no figure"))
}

/// What would make a browser load something, or run something.
fn reaches_out(page: &str) -> Vec<String> {
    let document = parsed(page);
    let mut objections = Vec::new();
    for node in document.descendants().filter(Node::is_element) {
        let name = node.tag_name().name();
        if ["script", "link", "img", "iframe", "object", "embed", "base", "form", "image", "use"].contains(&name) {
            objections.push(format!("<{name}>"));
        }
        for attribute in node.attributes() {
            let is_inside = attribute.name() != "href" || attribute.value().starts_with('#');
            if !is_inside || attribute.name() == "src" || attribute.name().starts_with("on") {
                objections.push(format!("{}={:?}", attribute.name(), attribute.value()));
            }
        }
        let style = if name == "style" { text(node) } else { node.attribute("style").unwrap_or("").to_string() };
        for word in ["url(", "@import", "@font-face", "http:", "https:"] {
            if style.contains(word) {
                objections.push(format!("{word} in a style"));
            }
        }
    }
    objections
}

/// What a reader who cannot see, or has a small screen, would miss.
fn is_hard_to_read(page: &str) -> Vec<String> {
    let document = parsed(page);
    let mut objections = Vec::new();
    if document.root_element().attribute("lang").is_none_or(str::is_empty) {
        objections.push("no lang".to_string());
    }
    let mut last = 0;
    for node in document.descendants().filter(Node::is_element) {
        let name = node.tag_name().name();
        if let ["h", level] = [&name[..1], &name[1..]]
            && let Ok(level) = level.parse::<u32>()
        {
            if level > last + 1 {
                objections.push(format!("h{level} after h{last}"));
            }
            last = level;
        }
        if name == "table" && !node.children().any(|child| child.has_tag_name("caption") && !text(child).is_empty()) {
            objections.push("a table without caption".to_string());
        }
        if name == "th" && node.attribute("scope").is_none() {
            objections.push("a heading cell without scope".to_string());
        }
        if name == "svg"
            && (node.attribute("role") != Some("img") || node.attribute("aria-label").is_none_or(str::is_empty))
        {
            objections.push("a picture without text".to_string());
        }
        let is_own = |inner: &Node<'_, '_>| inner.is_text() && inner.text().is_some_and(|text| text.contains(" %"));
        // A name may say what it likes.
        if name != "bdi" && node.children().any(|inner| is_own(&inner)) {
            objections.push("a sign of percent may begin a line".to_string());
        }
    }
    objections
}

#[test]
fn each_check_objects_to_a_bad_page() {
    let outside = |body: &str| reaches_out(&format!("<!DOCTYPE html><html><body>{body}</body></html>")).len();
    assert_eq!(outside("<a href=\"#x\">x</a><p style=\"width:1%\"></p>"), 0);
    assert_eq!(outside("<script>x()</script>"), 1);
    assert_eq!(outside("<a href=\"https://example.org\">x</a>"), 1);
    assert_eq!(outside("<video src=\"x\" onload=\"y()\"></video>"), 2);
    assert_eq!(outside("<style>p { background: url(x) } @import 'x';</style>"), 2);
    let hard =
        |lang: &str, body: &str| is_hard_to_read(&format!("<html lang=\"{lang}\"><body>{body}</body></html>")).len();
    assert_eq!(hard("en", "<h1>x</h1><h2>y</h2><table><caption>z</caption></table>"), 0);
    assert_eq!(hard("", "<h1>x</h1><h3>y</h3><table></table><svg></svg>"), 4);
    assert_eq!(hard("en", "<p>5 %</p><p>5\u{a0}% of <bdi>5 %</bdi></p>"), 1);
    let broken = std::panic::catch_unwind(|| parsed("<html><body><p>a<br></body></html>").root_element().range());
    assert!(broken.is_err());
}

#[test]
fn the_page_is_whole_harmless_and_the_same_every_time() {
    let folder = TempDir::new().unwrap();
    let plan = planned(&folder, SMALL);
    for args in [&[SMALL, &plan][..], &[SMALL], &["data/abc.json"], &["data/broken.json"], &["data/hybrid.json"]] {
        // Where the clock cuts the advice short, the page says so, and may be another one.
        let args = &[args, &["--time-limit", "1h"]].concat()[..];
        let first = page(args);
        assert_eq!(reaches_out(&first), [""; 0], "{args:?}");
        assert_eq!(is_hard_to_read(&first), [""; 0], "{args:?}");
        for word in ["http:", "https:", "src=", "@import", "<script", "url("] {
            assert!(!first.contains(word), "{args:?}: {word}");
        }
        assert_eq!(first, page(args), "{args:?}");
        let target = path_in(&folder, "report.html");
        let (code, stdout, _) = run(&[&["report"], args, &["-o", &target]].concat());
        assert_eq!((code, stdout.as_str()), (0, ""));
        assert_eq!(std::fs::read_to_string(&target).unwrap(), first, "{args:?}");
    }
}

/// A cluster in which each name is an attack on the page, or on the eye.
fn hostile() -> Snapshot {
    let bad = "<script>alert(1)</script>";
    let mut first = in_rack(node(bad, &[("cpu", 10)]), "</title><img src=x onerror=alert(2)>");
    first.pool = Some("\" onmouseover=\"alert(3)".into());
    let mut snapshot = cluster(
        vec![first, node("\u{202e}evil\u{2066}", &[("cpu", 10)])],
        vec![
            at(task("</style><script>alert(4)</script>", 1, &[("cpu", 12)]), bad),
            at(task("a\u{0}b\u{fffe}c\u{1b}[31m", 1, &[("cpu", 1)]), bad),
            task("]]>&amp;<!--", 5, &[("cpu", 11)]),
            task(&"x".repeat(5000), 5, &[("cpu", 3)]),
        ],
    );
    snapshot.name = "</title><script>alert(5)</script>\u{202e}".into();
    snapshot.levels = vec!["rack".into()];
    snapshot.resources = vec![ResourceSpec { name: "cpu".into(), unit: "<u>\"'".into(), ..ResourceSpec::default() }];
    snapshot
}

#[test]
fn hostile_names_are_text() {
    let folder = TempDir::new().unwrap();
    let snapshot = written(&folder, "s.json", file::write_snapshot(&hostile()));
    let plan = planned(&folder, &snapshot);
    for args in [&[snapshot.as_str(), &plan][..], &[&snapshot]] {
        let page = page(args);
        assert_eq!(reaches_out(&page), [""; 0]);
        let shown = text(parsed(&page).root_element());
        for name in ["<script>alert(1)</script>", "⟨U+202E⟩evil⟨U+2066⟩", "</title><script>alert(5)</script>⟨U+202E⟩"]
        {
            assert!(shown.contains(name), "{name} is not told as it is");
        }
        assert!(!page.contains(&"x".repeat(100)), "a name without end");
        let hidden = |c: char| c.is_control() && c != '\n' || "\u{202e}\u{2066}\u{fffe}".contains(c);
        assert!(!page.contains(hidden), "something cannot be seen");
    }
}

#[test]
fn the_figures_are_those_of_the_plan() {
    let folder = TempDir::new().unwrap();
    let plan = planned(&folder, SMALL);
    let page = page(&[SMALL, &plan]);
    let document = parsed(&page);
    let read: Value = serde_json::from_slice(&std::fs::read(&plan).unwrap()).unwrap();
    let (before, after) = (json(&["score", SMALL, "-o", "json"]), json(&["score", SMALL, &plan, "-o", "json"]));
    let is = |id: &str, expected: &Value| assert_eq!(figure(&document, id), expected.as_f64().unwrap(), "{id}");
    is("objective-before", &before["objective"]);
    is("objective-after", &after["objective"]);
    is("bound", &read["bound"]);
    is("gap", &read["gap"]);
    for (state, score) in [("before", &before), ("after", &after)] {
        is(&format!("tasks-{state}"), &score["tasks_placed"]);
        is(&format!("nodes-{state}"), &score["nodes_used"]);
        is(&format!("rules-{state}"), &score["violations"].as_array().unwrap().len().into());
        let amounts = table(&document, "Resources of the whole cluster");
        for resource in score["resources"].as_array().unwrap() {
            let (name, unit) = (resource["name"].as_str().unwrap(), resource["unit"].as_str().unwrap());
            let at = |column: &str| number(cell(&amounts, &format!("{name} {unit}"), column));
            assert_eq!(at(&format!("used {state}")), resource["granted"].as_f64().unwrap());
            assert_eq!(at("capacity"), resource["available"].as_f64().unwrap());
            assert_eq!(at("asked for"), resource["required"].as_f64().unwrap());
            let fullest = resource["fullest_node"].as_f64().unwrap() * 100.0;
            assert!((at(&format!("fullest node {state}")) - fullest).abs() < 0.051, "{name} {state}");
            if state == "after" {
                assert_eq!(at("headroom after"), resource["headroom"].as_f64().unwrap());
            }
        }
        let points = table(&document, "The objective, term by term");
        for cost in score["costs"].as_array().unwrap() {
            let told = points.iter().find(|row| row[0] == format!("cost: {}", cost["term"].as_str().unwrap()));
            let column = if state == "before" { 1 } else { 2 };
            assert_eq!(told.map_or(0.0, |row| number(&row[column])), cost["points"].as_f64().unwrap());
        }
    }
    moves_are_those_of_the_plan(&document, &read);
    waves_are_those_of_verify(&document, &json(&["verify", SMALL, &plan, "--states", "json"]), &read);
}

fn moves_are_those_of_the_plan(document: &Document<'_>, plan: &Value) {
    let told = table(document, "Moves one by one");
    let moves = || plan["waves"].as_array().unwrap().iter().flat_map(|wave| wave.as_array().unwrap());
    assert_eq!(told.len() - 1, moves().count());
    for step in moves() {
        let task = step["task"].as_str().unwrap();
        assert_eq!(cell(&told, task, "why"), step["reason"].as_str().unwrap());
        assert_eq!(number(cell(&told, task, "gain")), step["gain"].as_f64().unwrap());
        let to = step["to"][0]["node"].as_str().unwrap();
        assert!(cell(&told, task, "to").starts_with(to), "{task} goes to {to}");
    }
    let reasons = table(document, "Moves by reason");
    for reason in &reasons[1..] {
        let of = || moves().filter(|step| step["reason"] == reason[0].as_str());
        assert_eq!(number(&reason[2]), of().count() as f64);
        assert_eq!(number(&reason[3]), of().map(|step| step["gain"].as_f64().unwrap()).sum::<f64>());
    }
    assert_eq!(reasons[1..].iter().map(|row| number(&row[2])).sum::<f64>(), moves().count() as f64);
}

fn waves_are_those_of_verify(document: &Document<'_>, states: &Value, plan: &Value) {
    let told = table(document, "Waves: what runs at once, and where it leads");
    let states = states["states"].as_array().unwrap();
    assert_eq!(told.len(), states.len());
    for (w, state) in states.iter().enumerate().skip(1) {
        let at = |column: &str| number(cell(&told, &w.to_string(), column));
        assert_eq!(at("steps"), state["moves"].as_f64().unwrap());
        assert_eq!(at("objective after"), state["objective"].as_f64().unwrap());
        assert_eq!(at("broken rules"), state["violations"].as_array().unwrap().len() as f64);
        let starting =
            plan["waves"][w - 1].as_array().unwrap().iter().filter(|step| step["from"] == Value::Array(vec![]));
        assert_eq!(at("starting"), starting.count() as f64);
        assert_eq!(at("starting") + at("moving") + at("stopping"), at("steps"));
    }
}

/// Every cell of the heat map, added up here from the snapshot and the plan.
#[test]
fn the_heat_map_is_that_of_the_nodes() {
    let folder = TempDir::new().unwrap();
    let plan_path = planned(&folder, SMALL);
    let page = page(&[SMALL, &plan_path]);
    let told = table(&parsed(&page), "Used per node, in percent of its capacity");
    let read = |path: &Path| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let snapshot = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(SMALL));
    let plan = read(Path::new(&plan_path));
    let moves = || plan["waves"].as_array().unwrap().iter().flat_map(|wave| wave.as_array().unwrap());
    for node in snapshot["nodes"].as_array().unwrap() {
        for resource in ["cpu", "memory"] {
            let mut used = [0.0, 0.0];
            for task in snapshot["tasks"].as_array().unwrap() {
                let amount = task["requirement"][resource].as_f64().unwrap_or(0.0);
                let step = moves().rfind(|step| step["task"] == task["name"]);
                let places = [&task["placement"], step.map_or(&task["placement"], |step| &step["to"])];
                for (used, place) in used.iter_mut().zip(places) {
                    *used += if place[0]["node"] == node["name"] { amount } else { 0.0 };
                }
            }
            for (used, state) in used.iter().zip(["before", "after"]) {
                let shown = number(cell(&told, node["name"].as_str().unwrap(), &format!("{resource} {state}")));
                let expected = used / node["allocatable"][resource].as_f64().unwrap() * 100.0;
                assert!((shown - expected).abs() < 0.051, "{node} {resource} {state}: {shown} is not {expected}");
            }
        }
    }
}

/// While b moves, its memory is held on both nodes; its cpu is not.
#[test]
fn the_worst_moment_of_a_wave_counts_both_ends() {
    let mut snapshot = cluster(
        vec![node("n1", &[("cpu", 10), ("mem", 10)]), node("n2", &[("cpu", 10), ("mem", 10)])],
        vec![
            at(task("a", 100, &[("cpu", 9), ("mem", 2)]), "n1"),
            at(task("b", 100, &[("cpu", 4), ("mem", 3)]), "n1"),
            at(task("c", 100, &[("cpu", 1), ("mem", 6)]), "n2"),
        ],
    );
    snapshot.resources = resources(&["cpu", "mem"]);
    snapshot.resources[1].transient = true;
    (snapshot.tasks[0].pinned, snapshot.tasks[2].pinned) = (true, true);
    let folder = TempDir::new().unwrap();
    let path = written(&folder, "s.json", file::write_snapshot(&snapshot));
    let plan = planned(&folder, &path);
    let page = page(&[&path, &plan]);
    let told = table(&parsed(&page), "Waves: what runs at once, and where it leads");
    // n1 holds 13 of 10 cpu until b has gone.
    assert_eq!(
        (told.len(), cell(&told, "1", "fullest node on the way"), cell(&told, "1", "which")),
        (2, "130.0\u{a0}%", "cpu on n1")
    );
    assert_eq!(cell(&told, "1", "in flight"), "4 cpu, 3 mem");
}

#[test]
fn large_clusters_stay_small_pages() {
    let node = |n: usize| node(&format!("n{n}"), &[("cpu", 100), ("mem", 100)]);
    let tasks = (0..6000)
        .map(|t| at(task(&format!("t{t}"), 1, &[("cpu", (t * 37 % 120) as i64), ("mem", 40)]), &format!("n{t}")));
    let mut snapshot = cluster((0..6000).map(node).collect(), tasks.collect());
    snapshot.resources = resources(&["cpu", "mem"]);
    let folder = TempDir::new().unwrap();
    let path = written(&folder, "s.json", file::write_snapshot(&snapshot));
    let page = page(&[&path]);
    assert!(page.len() < 500_000, "{} bytes", page.len());
    let document = parsed(&page);
    let nodes: f64 = table(&document, "cpu: number of nodes")[1..].iter().map(|row| number(&row[1])).sum();
    assert_eq!(nodes, 6000.0, "each node is counted, however many share a square");
    assert_eq!(table(&document, "Fullest nodes now")[1][3..], ["119.0\u{a0}%"]);
}

#[test]
fn a_plan_that_does_not_hold_has_no_page() {
    let folder = TempDir::new().unwrap();
    let plan = planned(&folder, SMALL);
    let text = std::fs::read_to_string(&plan).unwrap();
    let target = path_in(&folder, "report.html");
    let claimed = text.replace("\"status\": \"feasible\"", "\"status\": \"optimal\"");
    assert_ne!(claimed, text, "nothing was changed");
    let wrong = written(&folder, "wrong.json", claimed);
    let (code, stdout, stderr) = run(&["report", SMALL, &wrong, "-o", &target]);
    assert_eq!((code, stdout.as_str(), Path::new(&target).exists()), (3, "", false), "{stderr}");
    assert_eq!(run(&["report", "data/abc.json", &plan, "-o", &target]).0, 65);
    assert_eq!(run(&["report", SMALL, "-o", SMALL]).0, 64);
    assert_eq!(run(&["report", SMALL, "-o", "/nonexistent-folder/r.html"]).0, 1);
}

// ------------------------------------------------------------------------------------------------------------------ colours

/// The values of the variables `--h0` … in one block of the style.
fn colours(style: &str, letter: char) -> Vec<[f64; 3]> {
    let find = |i: usize| {
        let name = format!("--{letter}{i}: #");
        let at = style.find(&name).unwrap_or_else(|| panic!("{name}")) + name.len();
        let channel = |c: usize| f64::from(u8::from_str_radix(&style[at + 2 * c..][..2], 16).unwrap()) / 255.0;
        [channel(0), channel(1), channel(2)]
    };
    (0..8).map(find).collect()
}

/// Relative luminance of WCAG 2.
fn luminance(colour: &[f64; 3]) -> f64 {
    let linear = |c: f64| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) };
    0.2126 * linear(colour[0]) + 0.7152 * linear(colour[1]) + 0.0722 * linear(colour[2])
}

fn contrast(a: f64, b: f64) -> f64 {
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn colours_are_ordered_by_lightness_and_their_inks_legible() {
    let style = include_str!("../src/cli/page/style.css");
    assert!(!style.contains(['<', '&']), "it goes into the page as it is");
    let (light, dark) = style.split_once("prefers-color-scheme: dark").unwrap();
    for (scheme, darkens) in [(light, true), (dark, false)] {
        let fills: Vec<f64> = colours(scheme, 'h').iter().map(luminance).collect();
        let steps: Vec<f64> = fills.windows(2).map(|pair| contrast(pair[0], pair[1])).collect();
        assert!(fills.is_sorted_by(|a, b| if darkens { a > b } else { a < b }), "{fills:?}");
        assert!(steps.iter().all(|step| *step >= 1.12), "hard to tell apart: {steps:?}");
        for (fill, ink) in fills.iter().zip(colours(scheme, 'k').iter().map(luminance)) {
            assert!(contrast(*fill, ink) >= 4.5, "{}", contrast(*fill, ink));
        }
    }
}

// ------------------------------------------------------------------------------------------------------------------ browser

/// A browser; `None`, with a word on stderr, where there is none.
///
/// # Panics
/// When there is none although `BAYPLAN_REQUIRE_BROWSER=1` demands it.
fn browser(test: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found =
        std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name))).find(|file| file.is_file());
    if found.is_none() {
        let message = format!("skipped: {test} needs chromium");
        assert!(
            std::env::var("BAYPLAN_REQUIRE_BROWSER").as_deref() != Ok("1"),
            "{message}, and a skip is a failure here"
        );
        eprintln!("{message}");
    }
    found
}

/// Runs the browser on a file, and gives what it prints.
fn browse(browser: &Path, folder: &TempDir, more: &[&str], file: &str) -> String {
    let profile = path_in(folder, "profile");
    let mut command = Command::new(browser);
    command.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--no-first-run",
        "--disable-dev-shm-usage",
    ]);
    command.arg(format!("--user-data-dir={profile}")).args(more).arg(format!("file://{file}"));
    let output = command.timeout(std::time::Duration::from_secs(120)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A number about the page in a frame of a width, as the browser says. A window can be no narrower than some 500 px, a frame can.
fn measured(browser: &Path, folder: &TempDir, page: &str, width: u32, what: &str) -> f64 {
    // The page's own policy forbids scripts: only this copy measures itself, and tells the frame's owner.
    let policy = page.find("<meta http-equiv").unwrap();
    let end = policy + page[policy..].find("/>").unwrap() + 2;
    let measure = format!("<script>onload = () => parent.postMessage({what}, '*')</script>");
    let copy = format!("{}{measure}{}", &page[..policy], &page[end..]);
    written(folder, "copy.html", copy);
    let owner = format!(
        "<!DOCTYPE html><title>?</title><script>onmessage = e => document.title = e.data</script>\
         <iframe src=\"copy.html\" style=\"border:0;width:{width}px;height:900px\"></iframe>"
    );
    let owner = written(folder, "owner.html", owner);
    let dom = browse(browser, folder, &["--virtual-time-budget=4000", "--dump-dom"], &owner);
    let title = dom.split("<title>").nth(1).and_then(|rest| rest.split("</title>").next()).unwrap_or("");
    title.parse().unwrap_or_else(|_| panic!("the page did not measure itself: {title:?}"))
}

fn width_in(browser: &Path, folder: &TempDir, page: &str, width: u32) -> f64 {
    measured(browser, folder, page, width, "document.documentElement.scrollWidth")
}

/// The foot stands apart from what comes before it, and sentences have room for a few words in a line, on every screen and on paper.
fn is_crowded(browser: &Path, folder: &TempDir, page: &str, width: u32) -> Vec<String> {
    let below = "document.querySelector('footer h2').getBoundingClientRect().top - \
                 document.querySelector('main').getBoundingClientRect().bottom";
    let narrowest = "Math.min(...Array.from(document.querySelectorAll('tbody .sentence'), e => e.offsetWidth))";
    let gap = measured(browser, folder, page, width, below);
    let sentence = measured(browser, folder, page, width, narrowest);
    let mut objections = Vec::new();
    objections.extend((gap < 16.0).then(|| format!("{width}: the foot is {gap} px below the rest")));
    objections.extend((sentence < 150.0).then(|| format!("{width}: a sentence has {sentence} px")));
    objections
}

/// Width, height and number of colours of a screenshot.
fn screenshot(browser: &Path, folder: &TempDir, file: &str, width: u32) -> Vec<u8> {
    let picture = path_in(folder, "picture.png");
    let args = [format!("--screenshot={picture}"), format!("--window-size={width},1600")];
    browse(browser, folder, &args.each_ref().map(String::as_str), file);
    std::fs::read(&picture).unwrap()
}

#[test]
fn a_browser_shows_the_page_on_screens_and_phones() {
    let Some(browser) = browser("a_browser_shows_the_page_on_screens_and_phones") else { return };
    let folder = TempDir::new().unwrap();
    let plan = planned(&folder, SMALL);
    let hostile = written(&folder, "s.json", file::write_snapshot(&hostile()));
    let blank = written(&folder, "blank.html", "<!DOCTYPE html><title>blank</title>");
    for args in [&[SMALL, &plan][..], &[&hostile]] {
        let page = page(args);
        for width in [390, 1280] {
            assert_eq!(width_in(&browser, &folder, &page, width), f64::from(width), "{args:?}: scrolls sideways");
        }
        let file = written(&folder, "page.html", &page);
        let dom = browse(&browser, &folder, &["--dump-dom"], &file);
        assert!(dom.contains("id=\"waiting\"") && dom.trim_end().ends_with("</html>"), "{dom}");
        // A picture of nothing compresses to a tenth of one with text and colours.
        let (shown, nothing) =
            (screenshot(&browser, &folder, &file, 1280).len(), screenshot(&browser, &folder, &blank, 1280).len());
        assert!(shown > 5 * nothing, "{args:?}: {shown} bytes, a blank page has {nothing}");
    }
    // The measure itself objects: a page wider than its frame is told as such.
    let wide = page(&[SMALL]).replace("<main", "<div style=\"width:1000px\">x</div><main");
    assert_eq!(width_in(&browser, &folder, &wide, 390), 1000.0);
    let waiting = page(&[&hostile]);
    let paper = waiting.replace("@media print", "@media all");
    for (page, width) in [(&waiting, 390), (&waiting, 1280), (&paper, 700)] {
        assert_eq!(is_crowded(&browser, &folder, page, width), [""; 0]);
    }
    let crowded = waiting.replace("padding-left: 16px", "padding: 0").replace("min-width: 26ch", "width: 0");
    assert_eq!(is_crowded(&browser, &folder, &crowded, 390).len(), 2);
}

/// The page tells of failures what `drill` tells of the state after the plan, with the first look alone.
#[test]
fn failures_are_those_of_the_drill() {
    let folder = TempDir::new().unwrap();
    let plan = planned(&folder, SMALL);
    for args in [&[SMALL, plan.as_str()][..], &[SMALL]] {
        let page = page(args);
        let document = parsed(&page);
        let drill = json(&[&["drill"], args, &["--time-limit", "0s", "-o", "json"]].concat());
        let told = table(&document, "How failures end");
        let levels = drill["levels"].as_array().unwrap();
        assert_eq!(told.len() - 1, levels.len());
        for level in levels {
            let row = format!("one {}", level["level"].as_str().unwrap());
            for (column, key) in
                [("failures", "scenarios"), ("all runs on", "survives"), ("proven loss", "fails"), ("open", "unknown")]
            {
                assert_eq!(number(cell(&told, &row, column)), level[key].as_f64().unwrap(), "{row} {key}");
            }
        }
        let loses = |one: &&Value| !one["lost"].as_array().unwrap().is_empty();
        let worst = drill["scenarios"].as_array().unwrap().iter().find(loses).expect("something is lost");
        let told = table(&document, "The worst failures");
        let name = format!("{} {}", worst["level"].as_str().unwrap(), worst["domains"][0].as_str().unwrap());
        assert_eq!(told[1][0], name);
        let (lost, all) = (worst["lost"].as_array().unwrap().len(), &worst["tasks"]);
        assert_eq!(cell(&told, &name, "tasks lost"), format!("{lost} of {all}"));
        assert_eq!(number(cell(&told, &name, "starts elsewhere")), worst["moves"].as_f64().unwrap());
    }
}

/// What runs in burst and spot pools is what `status` says, before and after a plan that bursts; without such pools nothing is said.
#[test]
fn burst_and_spot_are_those_of_status() {
    let folder = TempDir::new().unwrap();
    let hybrid = "data/hybrid.json";
    let plan = planned(&folder, hybrid);
    let page = page(&[hybrid, &plan]);
    let told = table(&parsed(&page), "What runs in burst and spot pools");
    let states = [
        ("before", json(&["status", hybrid, "-o", "json"])),
        ("after", json(&["status", hybrid, &plan, "-o", "json"])),
    ];
    let by_pool = table(&parsed(&page), "By pool");
    for (label, status) in &states {
        let at = by_pool[0].iter().position(|title| *title == format!("used {label}")).unwrap();
        for pool in status["pools"].as_array().unwrap() {
            for amount in pool["amounts"].as_array().unwrap() {
                let (name, resource) = (pool["name"].as_str().unwrap(), amount["resource"].as_str().unwrap());
                let told = by_pool.iter().find(|cells| cells[0] == name && cells[1] == resource).unwrap();
                let share = amount["share"].as_f64().unwrap() * 100.0;
                assert!((number(&told[at]) - share).abs() < 0.051, "{name} {resource} {label}");
            }
        }
    }
    for (label, status) in &states {
        for (row, field) in [("burst", "burst_pools"), ("spot: weight at risk", "spot_pools")] {
            for figure in ["tasks", "weight", "cost"] {
                let figure_told = number(cell(&told, row, &format!("{figure} {label}")));
                assert_eq!(figure_told, status[field][figure].as_f64().unwrap(), "{row} {figure} {label}");
            }
        }
    }
    assert!(
        states[1].1["burst_pools"]["tasks"].as_u64() > Some(0)
            && states[1].1["spot_pools"]["weight"].as_f64() > Some(0.0)
    );
    assert!(page.contains("may vanish") && !self::page(&[SMALL]).contains("may vanish"));
}

/// Memory of devices has a row and a column of its own, beside a resource of that name.
#[test]
fn memory_of_devices_is_told() {
    let folder = TempDir::new().unwrap();
    let holder = with_memory(with_devices(task("a", 1, &[("gpu memory", 3)]), 1, 300), 60);
    let mut snapshot = cluster(vec![roomy_gpu_node("n", 2, 80)], vec![at_devices(holder, "n", &[0])]);
    snapshot.resources = resources(&["cpu", "gpu memory"]);
    snapshot.nodes[0].allocatable.insert("gpu memory".into(), 10);
    let path = written(&folder, "s.json", file::write_snapshot(&snapshot));
    let page = page(&[&path]);
    let document = parsed(&page);
    let told = table(&document, "Resources of the whole cluster");
    let row = |name: &str| ["capacity", "asked for", "used now"].map(|column| cell(&told, name, column).to_string());
    assert_eq!(row("gpu memory (of devices)"), ["160", "60", "60"]);
    assert_eq!(row("gpu memory"), ["10", "3", "3"]);
    let heat = table(&document, "Used per node, in percent of its capacity");
    assert_eq!(cell(&heat, "n", "gpu memory (of devices) now"), "37.5\u{a0}%");
}

/// Two nodes of three can go, and a large task needs one more; after the plan that places it none is missing.
#[test]
fn advice_on_nodes_is_that_of_scale() {
    let folder = TempDir::new().unwrap();
    let mut snapshot = cluster(
        (0..3).map(|n| node(&format!("n{n}"), &[("cpu", 10)])).collect(),
        (0..3).map(|n| at(task(&format!("t{n}"), 5, &[("cpu", 2)]), &format!("n{n}"))).collect(),
    );
    snapshot.nodes.iter_mut().for_each(|node| node.pool = Some("blue".into()));
    let path = written(&folder, "s.json", file::write_snapshot(&snapshot));
    let calm = page(&[&path]);
    let told = table(&parsed(&calm), "Nodes that can go");
    let row = ["nodes", "in use", "can go", "at most"].map(|column| cell(&told, "blue", column).to_string());
    assert_eq!(row, ["3", "3", "2", "2"]);
    let room = table(&parsed(&calm), "Room in each pool");
    assert_eq!(
        ["load", "available", "headroom"].map(|column| cell(&room, "blue", column).to_string()),
        ["6", "30", "24"]
    );
    assert!(text(parsed(&calm).root_element()).contains("No node must come."));
    snapshot.tasks.extend((0..4).map(|n| task(&format!("big{n}"), 5, &[("cpu", 8)])));
    let path = written(&folder, "s.json", file::write_snapshot(&snapshot));
    let short = page(&[&path]);
    let shown = text(parsed(&short).root_element());
    assert!(shown.contains("4 tasks wait, of which 3 find a place"), "{shown}");
    assert!(shown.contains("Must come: 1 like n0 in blue; one node in all; no choice needs less than 1."), "{shown}");
    assert!(shown.contains("one node fewer is proven not to be."), "{shown}");
    // Time decides nothing here; where it does, the page says so.
    assert!(!shown.contains("cut the search short"));
    assert!(page(&[&path, "--time-limit", "0s"]).contains("cut the search short"));
}
