//! `bayplan import`: foreign files → snapshot. What it writes is checked first, so that no later command refuses it.

use super::args::ImportArgs;
use super::args_import::{ImportFormat, SoftLimitArg};
use super::args_kubernetes::WeightArg;
use super::failure::{Exit, Failure};
use super::io::Source;
use super::notes::say_notes;
use super::screen::say;
use super::signal;
use bayplan::adapter::notes::{Document, Imported, Notes, Refused, Stream};
use bayplan::adapter::{kubernetes, nomad, openb, openstack, proxmox, roadef, slurm, table};
use bayplan::file;
use bayplan::model::{Problem, Snapshot};

/// Runs the command.
pub fn run(args: &ImportArgs) -> Result<Exit, Failure> {
    signal::quit_at_once();
    let output = &args.format.output().output;
    output.check()?;
    let (snapshot, problem) = snapshot(&args.format)?;
    output.write(&file::write_snapshot(&snapshot))?;
    let [nodes, tasks, groups] = [problem.nodes.len(), problem.tasks.len(), problem.groups.len()];
    say(&format!("imported {nodes} nodes, {tasks} tasks and {groups} groups"));
    Ok(Exit::Done)
}

/// What the foreign files say, checked; what was not taken over is told.
pub fn snapshot(format: &ImportFormat) -> Result<(Snapshot, Problem), Failure> {
    let (files, imported) = match format {
        ImportFormat::Openb { nodes, pods, placement, .. } => {
            let start = placement.as_ref().map(|source| source.read()).transpose()?;
            (format!("{nodes}, {pods}"), openb::import(&nodes.read()?, &pods.read()?, start.as_deref()).map(whole))
        }
        ImportFormat::Roadef { model, assignment, .. } => {
            (format!("{model}, {assignment}"), roadef::import(&model.read()?, &assignment.read()?).map(whole))
        }
        ImportFormat::Csv { nodes, tasks, soft_limit, .. } => {
            let SoftLimitArg(soft_limit) = *soft_limit;
            (format!("{nodes}, {tasks}"), table::import(&nodes.read()?, &tasks.read()?, soft_limit).map(whole))
        }
        ImportFormat::Kubernetes(args) => {
            let weight = match args.weight {
                WeightArg::Rank => kubernetes::Weight::Rank,
                WeightArg::Value => kubernetes::Weight::Value,
                WeightArg::Equal => kubernetes::Weight::Equal,
            };
            let options = kubernetes::Options { weight, delete_emptydir_data: args.delete_emptydir_data };
            let imported =
                kubernetes::import(args.files.iter().map(stream), &options).map(Ok).or_else(|refused| match refused {
                    Refused::Faulty(faults) => Ok(Err(faults)),
                    Refused::Unreadable { name, cause } => Err(Failure::Io { doing: "read", name, cause }),
                });
            (listed(&args.files), imported?)
        }
        ImportFormat::Slurm(args) => (listed(&args.files), slurm::import(&documents(&args.files)?)),
        ImportFormat::Openstack(args) => (listed(&args.files), openstack::import(&documents(&args.files)?)),
        ImportFormat::Proxmox(args) => (listed(&args.files), proxmox::import(&documents(&args.files)?)),
        ImportFormat::Nomad(args) => (listed(&args.files), nomad::import(&documents(&args.files)?)),
    };
    let faulty = |faults| Failure::Input { file: files.clone(), faults };
    let Imported { snapshot, notes } = imported.map_err(faulty)?;
    let problem = Problem::new(&snapshot).map_err(faulty)?;
    say_notes(&notes);
    Ok((snapshot, problem))
}

/// A format that is taken over whole.
fn whole(snapshot: Snapshot) -> Imported {
    Imported { snapshot, notes: Notes::default() }
}

fn documents(sources: &[Source]) -> Result<Vec<Document>, Failure> {
    sources.iter().map(|source| Ok(Document { name: source.to_string(), bytes: source.read()? })).collect()
}

/// For what may be larger than the memory.
fn stream(source: &Source) -> Stream<'static> {
    Stream { name: source.to_string(), reader: source.reader() }
}

fn listed(sources: &[Source]) -> String {
    sources.iter().map(Source::to_string).collect::<Vec<_>>().join(", ")
}
