//! What was typed for `import`? One variant per format.

use super::args::{OutputArg, source};
use super::args_kubernetes::KubernetesArgs;
use super::io::Source;
use bayplan::adapter::table::SoftLimit;
use clap::{Args, Subcommand};

/// Options of `import`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  bayplan import csv nodes.csv tasks.csv -o snapshot.json")]
pub struct ImportArgs {
    /// The format.
    #[command(subcommand)]
    pub format: ImportFormat,
}

/// Formats that can be read.
#[derive(Debug, Subcommand)]
pub enum ImportFormat {
    /// Alibaba openb GPU trace: node list and pod list
    #[command(
        after_help = "Example:\n  bayplan import openb nodes.csv pods.csv --placement start.csv -o snapshot.json"
    )]
    Openb {
        /// Node list (CSV)
        #[arg(value_parser = source())]
        nodes: Source,
        /// Pod list (CSV)
        #[arg(value_parser = source())]
        pods: Source,
        /// Where the pods run at the start (CSV, as `export openb` writes it); without it all wait
        #[arg(long, value_name = "FILE", value_parser = source())]
        placement: Option<Source>,
        #[command(flatten)]
        output: OutputArg,
    },
    /// Google ROADEF/EURO 2012 machine reassignment: model and initial assignment
    #[command(after_help = "Example:\n  bayplan import roadef model_a1_1.txt assignment_a1_1.txt -o snapshot.json")]
    Roadef {
        /// Model
        #[arg(value_parser = source())]
        model: Source,
        /// Initial assignment
        #[arg(value_parser = source())]
        assignment: Source,
        #[command(flatten)]
        output: OutputArg,
    },
    /// Two tables: nodes and tasks, one column per resource
    #[command(after_help = "Example:\n  bayplan import csv nodes.csv tasks.csv -o snapshot.json")]
    Csv {
        /// Nodes: a name column, one column per resource, optional domains
        #[arg(value_parser = source())]
        nodes: Source,
        /// Tasks: a name column, one column per resource, optional weight, node, group
        #[arg(value_parser = source())]
        tasks: Source,
        /// Load that costs points: what is above the cluster's mean utilisation (mean), above a percentage of each
        /// node's capacity (e.g. 80%), or none
        #[arg(long, value_name = "LIMIT", default_value = "mean", value_parser = soft_limit)]
        soft_limit: SoftLimitArg,
        #[command(flatten)]
        output: OutputArg,
    },
    /// What kubectl get -o json prints: nodes, pods and what rules them
    Kubernetes(KubernetesArgs),
    /// Slurm: nodes and jobs, as its commands print them with --json
    #[command(after_help = SLURM_AFTER)]
    Slurm(DocumentsArgs),
    /// OpenStack: servers, hypervisors and Placement's inventories, as the APIs answer
    #[command(after_help = OPENSTACK_AFTER)]
    Openstack(DocumentsArgs),
    /// Proxmox VE: nodes, guests and HA rules, as pvesh prints them
    #[command(after_help = PROXMOX_AFTER)]
    Proxmox(DocumentsArgs),
    /// Nomad: nodes, allocations and jobs, as the API answers
    #[command(after_help = NOMAD_AFTER)]
    Nomad(DocumentsArgs),
}

/// Documents of one system, in any order.
#[derive(Debug, Args)]
pub struct DocumentsArgs {
    /// Documents in JSON (`-` = stdin); several may follow each other in one file
    #[arg(required = true, value_parser = source())]
    pub files: Vec<Source>,
    #[command(flatten)]
    pub output: OutputArg,
}

const SLURM_AFTER: &str = "Examples:
  (scontrol show nodes --json; scontrol show partitions --json; squeue --json; scontrol show topology) |
    bayplan import slurm - -o snapshot.json
  sinfo --json > nodes.json; squeue --json > jobs.json                     # Slurm 22.05
  bayplan import slurm nodes.json jobs.json -o snapshot.json

Running jobs are pinned, since Slurm moves none; waiting jobs are what a plan starts. What could not be taken over is
listed, by count, on stderr. Stop Slurm's own scheduling before (scontrol update partitionname=P state=down), and let it go
on when the exported plan has been applied; hold the jobs that it leaves waiting meanwhile (scontrol hold), or they may take
the room first.";

const OPENSTACK_AFTER: &str = "Example (every answer in a file of its own, in any order):
  bayplan import openstack servers.json hypervisors.json server_groups.json services.json providers.json \\
    inventories-*.json usages-*.json traits-*.json aggregates-*.json -o snapshot.json

From GET /servers/detail?all_tenants=1, /os-hypervisors/detail, /os-server-groups?all_projects=1, /os-services (zones),
/flavors/detail (before microversion 2.47), asked as an administrator, all pages of each; and from Placement
/resource_providers, and for each of them
/resource_providers/UUID/inventories, /usages, /traits and, where hosts share a storage, /aggregates. The latter do not say
whose they are: have the UUID in the name of the file, or wrap the answer as {\"UUID\": {...}}. Servers tell the properties of
their images since microversion 2.98, and scheduler hints since 2.100.";

const PROXMOX_AFTER: &str = "Example:
  for path in resources ha/rules; do pvesh get /cluster/$path --output-format json; done |
    bayplan import proxmox - -o snapshot.json

Before Proxmox VE 9, ha/groups and ha/resources take the place of ha/rules. Devices and local disks of guests are only in their
configurations (/nodes/NODE/qemu/VMID/config, or lxc), which do not say whose they are: name each file after the VMID, as in
100.json, or wrap the answer as {\"100\": {...}}.";

const NOMAD_AFTER: &str = "Example:
  for path in 'nodes?resources=true' 'allocations?resources=true&namespace=*' 'jobs?namespace=*'; do
    nomad operator api \"/v1/$path\"; done | bayplan import nomad - -o snapshot.json

A list of jobs tells priorities, but only single jobs (/v1/job/ID) tell constraints and volumes; and only single nodes
(/v1/node/ID, in addition to the list) tell the attributes and metadata that constraints ask for.";

impl ImportFormat {
    /// All it reads.
    pub fn sources(&self) -> Vec<&Source> {
        match self {
            ImportFormat::Openb { nodes, pods, placement, .. } => [nodes, pods].into_iter().chain(placement).collect(),
            ImportFormat::Roadef { model, assignment, .. } => vec![model, assignment],
            ImportFormat::Csv { nodes, tasks, .. } => vec![nodes, tasks],
            ImportFormat::Kubernetes(args) => args.files.iter().collect(),
            ImportFormat::Slurm(args)
            | ImportFormat::Openstack(args)
            | ImportFormat::Proxmox(args)
            | ImportFormat::Nomad(args) => args.files.iter().collect(),
        }
    }

    /// Where the snapshot goes.
    pub fn output(&self) -> &OutputArg {
        match self {
            ImportFormat::Openb { output, .. }
            | ImportFormat::Roadef { output, .. }
            | ImportFormat::Csv { output, .. } => output,
            ImportFormat::Kubernetes(args) => &args.output,
            ImportFormat::Slurm(args)
            | ImportFormat::Openstack(args)
            | ImportFormat::Proxmox(args)
            | ImportFormat::Nomad(args) => &args.output,
        }
    }
}

/// `mean`, `80%` or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoftLimitArg(pub SoftLimit);

fn soft_limit(text: &str) -> Result<SoftLimitArg, String> {
    let limit = match text {
        "mean" => SoftLimit::Mean,
        "none" => SoftLimit::None,
        _ => {
            let percent = text.strip_suffix('%').and_then(|digits| digits.parse().ok());
            let percent = percent.filter(|percent| *percent <= 100);
            SoftLimit::Percent(percent.ok_or("write mean, none or a percentage up to 100%")?)
        }
    };
    Ok(SoftLimitArg(limit))
}
