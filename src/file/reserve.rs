//! How does a plan file tell where the tasks of each domain go when it fails?

use super::json::{Path, Reader, Value};
use super::plan::{Names, pieces_json, unknown};
use crate::model::{DomainId, LevelId, Problem, TaskId};
use crate::plan::{Refuge, Reserve};
use serde_json::json;

/// One record per domain.
pub(super) fn records(problem: &Problem, reserve: &Reserve) -> Vec<serde_json::Value> {
    let name = |task: &TaskId| problem.tasks[task.index()].name.as_str();
    let names = &problem.levels[reserve.level.index()].domains;
    let record = |refuge: &Refuge| {
        let back = refuge.recovery.iter();
        let back = back.map(|(task, spot)| json!({"task": name(task), "to": pieces_json(problem, spot)}));
        json!({
            "domain": names[refuge.domain.index()],
            "recovery": back.collect::<Vec<_>>(),
            "lost": refuge.lost.iter().map(name).collect::<Vec<_>>(),
        })
    };
    reserve.refuges.iter().map(record).collect()
}

/// The field of a plan file.
pub(super) fn write(problem: &Problem, reserve: &Reserve) -> String {
    let level = json!(problem.levels[reserve.level.index()].name);
    let refuges: Vec<String> = records(problem, reserve).iter().map(|record| format!("\n      {record}")).collect();
    format!("{{\n    \"level\": {level},\n    \"refuges\": [{}\n    ]\n  }}", refuges.join(","))
}

impl Names<'_> {
    /// Reads it.
    pub(super) fn reserve(&self, problem: &Problem, r: &Reader, path: Path<'_>, value: Value) -> Option<Reserve> {
        let mut fields = r.fields(path, value)?;
        let level = fields.required("level", |r, p, v| {
            let name = r.text(p, v)?;
            let found = problem.levels.iter().position(|level| level.name == name);
            if found.is_none() {
                unknown(r, p, "level", &name);
            }
            found
        });
        let of = level.map(|level| problem.levels[level].domains.as_slice());
        let refuges = fields.required("refuges", |r, p, v| Some(r.list(p, v, |p, v| self.refuge(of, r, p, v))));
        fields.finish();
        Some(Reserve { level: LevelId::new(level?), refuges: refuges? })
    }

    /// `domains` are those of the level; without a level, no domain is looked up.
    fn refuge(&self, domains: Option<&[String]>, r: &Reader, path: Path<'_>, value: Value) -> Option<Refuge> {
        let mut fields = r.fields(path, value)?;
        let domain = fields.required("domain", |r, p, v| {
            let name = r.text(p, v)?;
            let found = domains?.iter().position(|domain| *domain == name);
            if found.is_none() {
                unknown(r, p, "domain", &name);
            }
            found
        });
        let recovery = fields.required("recovery", |r, p, v| {
            Some(r.list(p, v, |p, v| {
                let mut fields = r.fields(p, v)?;
                let task = fields.required("task", |r, p, v| self.task(r, p, v));
                let to = fields.required("to", |r, p, v| self.spot(r, p, v));
                fields.finish();
                Some((task?, to?))
            }))
        });
        let lost = fields.required("lost", |r, p, v| Some(r.list(p, v, |p, v| self.task(r, p, v))));
        fields.finish();
        Some(Refuge { domain: DomainId::new(domain?), recovery: recovery?, lost: lost? })
    }
}
