//! `bayplan export`: plan → foreign format. A plan that does not hold is not exported: whoever reads the export cannot see that.

use super::args::ExportArgs;
use super::args_export::ExportFormat;
use super::args_kubernetes::FormArg;
use super::failure::{Exit, Failure};
use super::notes::say_notes;
use super::screen::{Tone, say_verdict};
use super::{faulty, read_planned, report, signal};
use bayplan::adapter::kubernetes::{self, Form};
use bayplan::adapter::notes::{Exported, Notes};
use bayplan::adapter::{nomad, openb, openstack, proxmox, roadef, slurm};
use bayplan::file;
use bayplan::model::Faults;
use bayplan::plan;

/// Runs the command.
pub fn run(args: &ExportArgs) -> Result<Exit, Failure> {
    signal::quit_at_once();
    export(args)
}

/// Reads, verifies, writes.
pub fn export(args: &ExportArgs) -> Result<Exit, Failure> {
    args.output.output.check()?;
    let (snapshot, problem, plan) = read_planned(&args.snapshot, &args.jobs, &args.plan)?;
    let verdict = plan::verify(&problem, &plan);
    if !verdict.is_right() {
        say_verdict(&report::verdict(&problem, &plan, &verdict), Tone::Bad);
        return Ok(Exit::Rejected);
    }
    let mut notes = Notes::default();
    let mut told = |exported: Result<Exported, Faults>| {
        let Exported { text, notes: left_out } = exported.map_err(|faults| faulty(&args.snapshot, faults))?;
        notes = left_out;
        Ok(text.into_bytes())
    };
    let text = match args.format {
        ExportFormat::Openb => openb::export(&problem, &verdict.reached).into_bytes(),
        ExportFormat::Ndjson => file::write_stream(&problem, &plan),
        ExportFormat::Roadef => {
            let text = roadef::export(&problem, &verdict.reached);
            text.map_err(|faults| faulty(&args.snapshot, faults))?.into_bytes()
        }
        ExportFormat::Kubernetes | ExportFormat::Shell => {
            let form = match args.kubernetes.form {
                None => Form::Shell,
                Some(FormArg::Evictions) => Form::Evictions,
                Some(FormArg::Reservations) => Form::Reservations,
                Some(FormArg::Migrations) => Form::Migrations,
                Some(FormArg::Bindings) => Form::Bindings,
            };
            let wave = args.kubernetes.wave.map(|wave| wave as usize - 1);
            let exported = kubernetes::export(&snapshot, &problem, &plan, form, wave);
            told(exported)?
        }
        ExportFormat::Slurm => told(slurm::export(&snapshot, &problem, &plan))?,
        ExportFormat::Openstack => told(openstack::export(&snapshot, &problem, &plan))?,
        ExportFormat::Proxmox => told(proxmox::export(&snapshot, &problem, &plan))?,
        ExportFormat::Nomad => told(nomad::export(&snapshot, &problem, &plan))?,
    };
    args.output.output.write(&text)?;
    say_notes(&notes);
    Ok(Exit::Done)
}
