//! In which order are things told? The question "may I run it?" first, what it changes next, how it was made last.

use super::facts::Facts;
use super::html::{Html, element, html, plain};
use super::outlook::Outlook;
use super::parts::list;
use super::{curve, drills, headline, heat, moves, pools, rules, scaling, usage, waiting};

/// The looks. A test of the repository sees to it that it has no `<` and no `&`, since it goes into the page as it is.
const STYLE: &str = include_str!("style.css");
/// Void elements closed, as XML wants them. The policy forbids to load or to run anything, should escaping ever fail.
const META: &str = r#"<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="color-scheme" content="light dark"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"/>
"#;

/// The page.
pub fn page(facts: &Facts<'_>, outlook: &Outlook) -> String {
    let sections = [
        ("usage", "Utilisation", Some(usage::section(facts))),
        ("heat", "Heat map", Some(heat::section(facts))),
        ("pools", "Pools and domains", pools::section(facts)),
        ("waves", "Gain and waves", curve::section(facts)),
        ("rules", "Rules", Some(rules::section(facts))),
        ("waiting", "What waits", Some(waiting::section(facts))),
        ("drills", "If something fails", Some(drills::section(facts, outlook))),
        ("scaling", "How many nodes", Some(scaling::section(facts, outlook))),
        ("moves", "Moves", moves::section(facts)),
    ];
    let links = sections.iter().filter(|(.., section)| section.is_some());
    let links = links.map(|(id, title, _)| element("a", &[("href", &format!("#{id}"))], *title));
    let nav = element("nav", &[("aria-label", "Sections")], list("links", links));
    let head = html![
        Html::constant(META),
        plain("title", format!("Placement report: {}", facts.problem.name)),
        plain("style", Html::constant(STYLE)),
    ];
    let main = html![headline::header(facts), nav, Html::all(sections.into_iter().filter_map(|(.., section)| section))];
    let body = html![
        element("a", &[("class", "skip"), ("href", "#main")], "Skip to the report"),
        element("main", &[("id", "main")], main),
        headline::footer(facts),
    ];
    let page = element("html", &[("lang", "en")], html![plain("head", head), plain("body", body)]);
    format!("<!DOCTYPE html>\n{}\n", page.into_string())
}
