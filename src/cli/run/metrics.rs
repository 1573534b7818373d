//! What does a run tell Prometheus? Gauges in the text format, for the textfile collector of the node exporter.
//!
//! No sample has a time of its own: the collector refuses them. What a run did not get to know (it failed before) is left out, so that
//! an old figure never passes for a new one; `bayplan_run_last_success_timestamp_seconds` is for an alert on age.

use super::Record;
use crate::cli::prometheus::Page;
use bayplan::model::SHARE_ONE;
use bayplan::plan::Reason;

/// The metrics of a run, each with the run's name as a label.
pub fn text(record: &Record) -> String {
    let mut gauges = Gauges { run: &record.name, page: Page::default() };
    gauges.gauge("bayplan_build_info", "Version that ran.", &[("version", env!("CARGO_PKG_VERSION"), 1.0)]);
    gauges.value("bayplan_run_timestamp_seconds", "When the last run began.", seconds(record.began));
    gauges.value("bayplan_run_success", "1 when the last run is complete, else 0.", flag(record.is_complete));
    gauges.value("bayplan_run_exit_code", "Exit code of the last run.", f64::from(record.code));
    if let Some(last) = record.last_success {
        gauges.value(
            "bayplan_run_last_success_timestamp_seconds",
            "When the newest complete run began.",
            seconds(last),
        );
    }
    let phases: Vec<_> = record.phases.iter().map(|(phase, took)| ("phase", *phase, took.as_secs_f64())).collect();
    gauges.gauge("bayplan_run_phase_duration_seconds", "Time of each phase of the last run.", &phases);
    if let Some([nodes, tasks]) = record.size {
        gauges.value("bayplan_snapshot_nodes", "Nodes of the snapshot.", nodes as f64);
        gauges.value("bayplan_snapshot_tasks", "Tasks of the snapshot.", tasks as f64);
    }
    if let Some(facts) = &record.facts {
        let moves = Reason::WORDS.map(|(word, reason)| ("reason", word, facts.count(reason) as f64));
        gauges.gauge("bayplan_plan_moves", "Moves of the plan by reason.", &moves);
        gauges.value("bayplan_plan_waves", "Waves of the plan.", facts.waves as f64);
        let pair = |name, before, after| [(name, "before", before), (name, "after", after)];
        let [before, after] = facts.objective.map(points);
        gauges.gauge("bayplan_objective_points", "Value less all costs.", &pair("state", before, after));
        let [before, after] = facts.violations.map(|count| count as f64);
        gauges.gauge("bayplan_broken_rules", "Broken rules before and after the plan.", &pair("state", before, after));
        let [before, after] = facts.waiting.map(|count| count as f64);
        gauges.gauge(
            "bayplan_waiting_tasks",
            "Tasks that run nowhere, before and after.",
            &pair("state", before, after),
        );
        if let Some(bound) = facts.bound {
            gauges.value("bayplan_bound_points", "No plan has a higher objective.", points(bound));
        }
        if let Some(gap) = facts.gap {
            gauges.value("bayplan_gap_points", "The bound less the objective after the plan.", points(gap));
        }
        gauges.value("bayplan_gpu_used", "1 when the search ran on a GPU, else 0.", flag(facts.gpu_used));
    }
    if let Some(is_verified) = record.is_verified {
        gauges.value("bayplan_plan_verified", "1 when the plan as written holds, else 0.", flag(is_verified));
    }
    gauges.page.text
}

fn seconds(time: jiff::Timestamp) -> f64 {
    time.as_millisecond() as f64 / 1000.0
}

fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

fn points(scaled: i128) -> f64 {
    scaled as f64 / f64::from(SHARE_ONE)
}

/// Gauges of one run.
struct Gauges<'a> {
    run: &'a str,
    page: Page,
}

impl Gauges<'_> {
    fn value(&mut self, metric: &'static str, help: &str, value: f64) {
        self.page.family(metric, help);
        self.page.sample(&[("run", self.run)], &value.to_string());
    }

    /// One sample per (label, its value, figure).
    fn gauge(&mut self, metric: &'static str, help: &str, samples: &[(&str, &str, f64)]) {
        if samples.is_empty() {
            return;
        }
        self.page.family(metric, help);
        for (label, of, value) in samples {
            self.page.sample(&[("run", self.run), (label, of)], &value.to_string());
        }
    }
}
