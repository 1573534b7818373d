//! Moves as live migrations: the requests to make, wave by wave.
//!
//! The target is bound: since microversion 2.30 Nova's scheduler is asked whether the host named will do, and no other is taken.

use crate::adapter::notes::{Exported, Notes};
use crate::adapter::shell::{check_name, origin};
use crate::model::{Faults, Problem, Snapshot};
use crate::plan::Plan;
use serde_json::{Value, json};

/// The first in which a target cannot be forced past the scheduler.
const MICROVERSION: &str = "2.68";

/// `POST` requests; those of one wave may run at the same time, and the next wave begins when all of them have ended.
///
/// # Errors
/// Moves that are no live migration, or of tasks that did not come from OpenStack.
pub fn export(snapshot: &Snapshot, problem: &Problem, plan: &Plan) -> Result<Exported, Faults> {
    let mut faults = Faults::new();
    let mut waves = Vec::new();
    for (number, moves) in plan.waves.iter().enumerate() {
        let mut actions: Vec<Value> = Vec::new();
        for step in moves {
            let spec = &snapshot.tasks[step.task.index()];
            let place = || format!("task {}", spec.name);
            let ([from], [to]) = (step.from.pieces(), step.to.pieces()) else {
                faults.add("I302", place(), "the plan starts or stops it", "a live migration needs a server that runs");
                continue;
            };
            let [from, to] = [from, to].map(|piece| &snapshot.nodes[piece.node.index()]);
            let Some(id) = origin(spec, "server_id", "openstack", &mut faults) else { continue };
            let Some(host) = to.origin.get("host") else {
                let remedy = "use a snapshot of import openstack";
                faults.add("I302", format!("node {}", to.name), "its origin has no host", remedy);
                continue;
            };
            check_name(|| format!("node {}", to.name), "host", host, &mut faults);
            actions.push(json!({
                "server": spec.name, "from": from.name, "to": to.name,
                "method": "POST", "path": format!("/servers/{id}/action"),
                "body": {"os-migrateLive": {"host": host, "block_migration": "auto"}},
            }));
        }
        waves.push(json!({"wave": number + 1, "actions": actions}));
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let document = json!({
        "snapshot": problem.fingerprint.to_string(), "binding": "bound",
        "headers": {"OpenStack-API-Version": format!("compute {MICROVERSION}")}, "waves": waves,
    });
    Ok(Exported { text: format!("{document:#}\n"), notes: Notes::default() })
}
