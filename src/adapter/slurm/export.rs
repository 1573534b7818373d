//! Starts of waiting jobs as required nodes: a script to review, one command per line.
//!
//! The target is bound: a job with required nodes starts on these when they are free, and nowhere else. When that is, Slurm decides.

use crate::adapter::notes::Exported;
use crate::adapter::shell::{check_name, comment, head, origin, quoted};
use crate::model::{Faults, Problem, Snapshot, TaskId};
use crate::plan::Plan;
use std::collections::BTreeMap;

const ABOUT: &str = "\
A job that no longer waits, or is another one by now, ends it. Targets are bound: a job starts on the nodes required here when
they are free, and nowhere else. To take a line back: scontrol update jobid=JOB reqnodelist=";
const WAITS: &str = r#"export SLURM_TIME_FORMAT=%s
waits() {
  [ "$(squeue --noheader --states=PENDING --jobs="$1" --format=%V | sort -u)" = "$2" ] ||
    { echo "job $1, submitted at $2, does not wait any more" >&2; exit 1; }
}
"#;

/// A job that starts.
struct Start {
    id: String,
    submitted: String,
    nodes: Vec<String>,
    comment: String,
    wave: usize,
}

/// The script.
///
/// # Errors
/// Moves that Slurm cannot make, or of tasks that did not come from Slurm.
pub fn export(snapshot: &Snapshot, problem: &Problem, plan: &Plan) -> Result<Exported, Faults> {
    let mut faults = Faults::new();
    let mut starts: BTreeMap<TaskId, Start> = BTreeMap::new();
    let mut of_job: BTreeMap<&str, TaskId> = BTreeMap::new();
    for (wave, moves) in plan.waves.iter().enumerate() {
        for step in moves {
            let spec = &snapshot.tasks[step.task.index()];
            let place = || format!("task {}", spec.name);
            let node = match step.to.pieces() {
                [piece] if !step.from.is_placed() => &problem.nodes[piece.node.index()].name,
                _ => {
                    faults.add("I302", place(), "the plan moves or stops it", "pin it: Slurm moves no running job");
                    continue;
                }
            };
            check_name(|| format!("node {node}"), "name", node, &mut faults);
            let Some(id) = origin(spec, "job_id", "slurm", &mut faults) else { continue };
            let first = *of_job.entry(id).or_insert(step.task);
            let told = |key: &str| spec.origin.get(key).cloned().unwrap_or_default();
            let start = starts.entry(first).or_insert_with(|| Start {
                id: id.to_string(),
                submitted: told("submit_time"),
                nodes: Vec::new(),
                comment: format!("{} of {}", told("job_name"), told("user")),
                wave,
            });
            start.nodes.push(node.clone());
            start.wave = start.wave.max(wave);
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(Exported { text: script(plan, starts.into_values().collect()), notes: Default::default() })
}

/// Waves in order; within one, jobs in the order of the queue.
fn script(plan: &Plan, starts: Vec<Start>) -> String {
    let title =
        format!("{} waiting Slurm jobs and where they start, for the snapshot {}.", starts.len(), plan.fingerprint);
    let mut text = head(&title, ABOUT) + WAITS;
    for wave in 0..plan.waves.len() {
        text.push_str(&format!("\n# wave {}\n", wave + 1));
        for start in starts.iter().filter(|start| start.wave == wave) {
            let (id, submitted) = (quoted(&start.id), quoted(&start.submitted));
            let update = [
                format!("jobid={}", start.id),
                format!("reqnodelist={}", start.nodes.join(",")),
                format!("numnodes={}", start.nodes.len()),
            ];
            let update: Vec<String> = update.iter().map(|word| quoted(word)).collect();
            let remark = comment(&start.comment);
            text.push_str(&format!("waits {id} {submitted}; run scontrol update {}  # {remark}\n", update.join(" ")));
        }
    }
    text
}
