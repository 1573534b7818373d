//! What was typed for `export`?

use super::args::{JobsArg, OutputArg, source};
use super::args_kubernetes::KubernetesExportArgs;
use super::io::Source;
use clap::{Args, ValueEnum};

/// Options of `export`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bayplan export roadef snapshot.json plan.json -o new_assignment.txt
  bayplan export kubernetes snapshot.json plan.json --as reservations --wave 1 | kubectl create -f -
  bayplan export shell snapshot.json plan.json -o plan.sh && less plan.sh && bash plan.sh   # a dry run
  kubectl get nodes,pods,pdb,priorityclass,namespaces,pv,pvc -A -o json | bayplan import kubernetes - |
    tee snapshot.json | bayplan plan - | bayplan export kubernetes snapshot.json - --as evictions -o evictions.json
  bayplan export slurm snapshot.json plan.json -o start.sh && bash start.sh    # shows; bash start.sh --apply does it

Snapshot and plan cannot both come from stdin; tee keeps the snapshot for the end of the pipe. A plan that comes through
the pipe is read to its end before the snapshot is opened.")]
pub struct ExportArgs {
    /// Format to write
    #[arg(value_enum)]
    pub format: ExportFormat,
    /// Snapshot (`-` = stdin)
    #[arg(value_parser = source())]
    pub snapshot: Source,
    /// Plan (`-` = stdin)
    #[arg(value_parser = source())]
    pub plan: Source,
    #[command(flatten)]
    pub jobs: JobsArg,
    #[command(flatten)]
    pub kubernetes: KubernetesExportArgs,
    #[command(flatten)]
    pub output: OutputArg,
}

impl ExportArgs {
    /// What is wrong with options that are each right.
    pub fn contradiction(&self) -> Option<String> {
        let KubernetesExportArgs { form, wave } = &self.kubernetes;
        let idle = (form.is_some() || wave.is_some()) && self.format != ExportFormat::Kubernetes;
        idle.then(|| "--as and --wave are for the format kubernetes".to_string())
    }
}

/// Formats that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// Pod, node and devices of every placed pod (CSV)
    Openb,
    /// Machine number of every process, in one line
    Roadef,
    /// The plan itself as a stream: one record per line, a version first, a summary last
    Ndjson,
    /// Objects for a Kubernetes cluster, one per line; which ones is for --as to say
    Kubernetes,
    /// A script of kubectl commands to review: one per line, waves marked, a dry run unless told otherwise
    Shell,
    /// Required nodes of the waiting Slurm jobs that start: a script to review, which only shows what it would do until --apply
    Slurm,
    /// Live migrations of OpenStack servers: the requests to make (JSON), wave by wave
    Openstack,
    /// Migrations of Proxmox VE guests: a script to review, which only shows what it would do until --apply
    Proxmox,
    /// Nomad allocations to place anew: such a script too; targets are hints, since Nomad chooses the node
    Nomad,
}
