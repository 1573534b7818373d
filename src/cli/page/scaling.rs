//! How many nodes should each pool have? Headroom, nodes that can go, nodes that must come.

use super::facts::Facts;
use super::html::{Html, html, name, of_class, plain};
use super::outlook::Outlook;
use super::parts::{Column, figures, list, number, percent, plural, section as part, table, words};
use crate::cli::figures::{grouped, whole};
use bayplan::plan::Plan;
use bayplan::scale::{Addition, Advice, GivenUp, Hopeless, PoolAdvice, Room};

/// Names in one line.
const NAMED_MAX: usize = 8;

/// The section.
pub fn section(facts: &Facts<'_>, outlook: &Outlook) -> Html {
    let advice = match &outlook.advice {
        Ok(advice) => advice,
        Err(why) => return part("scaling", "How many nodes", "No advice was worked out.", plain("p", why)),
    };
    let end = if facts.planned.is_some() { "after the plan" } else { "now" };
    let lead = format!(
        "In the state {end}, with everything running on and all that waits placed. Running tasks stay in their pool. Headroom is \
         f(load, available) = available − load; an elastic task's load is its least share, what it holds beyond that is room for others."
    );
    let late = "The time limit or a signal cut the search short: more nodes may be able to go, and fewer or cheaper ones may do. ";
    let note = html![
        outlook.was_late.then(|| Html::from(late)),
        "Prices of nodes are those of the snapshot. bayplan scale searches longer, knows other policies, and writes the plans.",
    ];
    let found = html![plain("h3", "What follows"), list("plain", findings(advice))];
    let body = html![pools(advice), rooms(advice), found, of_class("p", "note", note)];
    part("scaling", "How many nodes", lead, body)
}

fn pool_name(pool: Option<&String>) -> Html {
    pool.map_or_else(|| of_class("span", "note", "no pool"), |pool| name(pool))
}

fn pools(advice: &Advice) -> Html {
    let columns = [
        words("pool"),
        figures("nodes"),
        figures("in use"),
        figures("can go"),
        figures("at most"),
        figures("price saved"),
    ];
    let row = |pool: &PoolAdvice| {
        let counts = [pool.nodes, pool.nodes_in_use, pool.release.len(), pool.release_at_most];
        let figures = counts.map(|count| Html::from(number(count)));
        std::iter::once(pool_name(pool.name.as_ref())).chain(figures).chain([whole(pool.saved).into()]).collect()
    };
    table("Nodes that can go", &columns, advice.pools.iter().map(row).collect())
}

fn rooms(advice: &Advice) -> Html {
    let amounts = ["held", "load", "available", "used", "headroom"].map(figures);
    let columns: Vec<Column> = [words("pool"), words("resource")].into_iter().chain(amounts).collect();
    let row = |pool: &PoolAdvice, room: &Room| {
        let unit = (!room.unit.is_empty()).then(|| html![" ", of_class("span", "unit", &room.unit)]);
        let mut row = vec![pool_name(pool.name.as_ref()), html![name(&room.title()), unit]];
        row.extend([room.held, room.load, room.available].map(|amount| Html::from(grouped(amount))));
        row.extend([percent(room.load, room.available), grouped(room.headroom)].map(Html::from));
        row
    };
    let rows = advice.pools.iter().flat_map(|pool| pool.rooms.iter().map(move |room| row(pool, room)));
    table("Room in each pool", &columns, rows.collect())
}

/// What can go, what must come, what can never run.
fn findings(advice: &Advice) -> Vec<Html> {
    let mut items = Vec::new();
    for pool in advice.pools.iter().filter(|pool| !pool.release.is_empty()) {
        let of = pool.name.as_ref().map(|pool| html![" from ", name(pool)]);
        items.push(html!["Can go", of, ": ", named(&pool.release), "."]);
    }
    let steps = steps_text(&advice.release_plan);
    if items.is_empty() {
        items.push("No node can go, as far as was found.".into());
    } else if advice.release_plan.waves.is_empty() {
        items.push("They are empty as it is.".into());
    } else {
        items.push(format!("A verified plan empties them: {steps}.").into());
    }
    items.extend(given_up(&advice.given_up));
    if advice.waiting > 0 {
        let (waiting, startable) = (plural(advice.waiting, "task waits", "tasks wait"), number(advice.startable));
        items.push(format!("{waiting}, of which {startable} find a place on the nodes that are there.").into());
    }
    if !advice.hopeless.is_empty() {
        let one = |one: &Hopeless| html![name(&one.task), " (", &one.why, ")"];
        let more = advice.hopeless.len().saturating_sub(NAMED_MAX);
        let more = (more > 0).then(|| Html::from(format!(" and {} more", number(more))));
        let names = Html::listed(advice.hopeless.iter().take(NAMED_MAX).map(one), ", ");
        items.push(html!["No node like those that are there can ever hold: ", names, more, "."]);
    }
    match &advice.addition {
        None => items.push("No node must come.".into()),
        Some(addition) => items.extend(coming(addition)),
    }
    if advice.kinds_left_out > 0 && advice.addition.is_some() {
        let count = plural(advice.kinds_left_out, "more kind of node", "more kinds of nodes");
        items.push(format!("{count} that are there were not among what could be bought.").into());
    }
    items
}

/// What elastic tasks have less of for it.
fn given_up(given_up: &[GivenUp]) -> Option<Html> {
    let one = |one: &GivenUp| html![name(&one.task), format!(" from {} to {}", one.before, one.after)];
    let more = given_up.len().saturating_sub(NAMED_MAX);
    let more = (more > 0).then(|| Html::from(format!(" and {} more", number(more))));
    let shares = Html::listed(given_up.iter().take(NAMED_MAX).map(one), ", ");
    (!given_up.is_empty()).then(|| html!["Shares that give way for it: ", shares, more, "."])
}

fn coming(addition: &Addition) -> Vec<Html> {
    let purchase = |purchase: &bayplan::scale::Purchase| {
        let price = (!addition.in_nodes).then(|| Html::from(format!(", price {} each", whole(purchase.price.into()))));
        let pool = purchase.pool.as_ref().map(|pool| html![" in ", name(pool)]);
        html![number(purchase.count), " like ", name(&purchase.shape), pool, price]
    };
    let bought: Vec<Html> = addition.purchases.iter().map(purchase).collect();
    let total = match (addition.in_nodes, addition.cost) {
        (true, 1) => "one node in all".to_string(),
        (true, cost) => format!("{} nodes in all", whole(cost)),
        (false, cost) => format!("price {} in all", whole(cost)),
    };
    let bound = match addition.cost_at_least {
        Some(bound) => format!("no choice needs less than {}", whole(bound)),
        None => "all that could be bought is proven to be too little".to_string(),
    };
    let total = format!("; {total}; {bound}.");
    let verdict = match (addition.is_enough, addition.is_least, addition.is_tried) {
        (true, true, _) => "That is enough, by a verified plan; one node fewer is proven not to be.",
        (true, false, true) => "That is enough, by a verified plan; one node fewer was not found to be, without proof.",
        (true, false, false) => "That is enough, by a verified plan; not every node was tried to be left out.",
        (false, ..) if addition.unordered > 0 => {
            "Everything has a place with that, but no safe order of moves was found."
        }
        (false, ..) => "That was not found to be enough.",
    };
    let items = [html!["Must come: ", Html::listed(bought, ", "), total], verdict.into()];
    items.into_iter().chain(given_up(&addition.given_up)).collect()
}

fn steps_text(plan: &Plan) -> String {
    format!("{} in {}", plural(plan.moves().count(), "step", "steps"), plural(plan.waves.len(), "wave", "waves"))
}

fn named(names: &[String]) -> Html {
    let more = names.len().saturating_sub(NAMED_MAX);
    let more = (more > 0).then(|| Html::from(format!(" and {} more", number(more))));
    html![Html::listed(names.iter().take(NAMED_MAX).map(|one| name(one)), ", "), more]
}
