//! What was typed about Kubernetes?

use super::args::{OutputArg, source};
use super::io::Source;
use clap::{Args, ValueEnum};

/// Options of `import kubernetes`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kubectl get nodes,pods,pdb,priorityclass,namespaces,pv,pvc -A -o json | bayplan import kubernetes - -o snapshot.json
  bayplan import kubernetes nodes.json pods.json rules.json -o snapshot.json

What the snapshot cannot say exactly is mapped to the safe side, and what was left out is listed, by count, on stderr.")]
pub struct KubernetesArgs {
    /// Lists or single objects in JSON (`-` = stdin); several documents in one file will do
    #[arg(required = true, value_parser = source())]
    pub files: Vec<Source>,
    /// How the priority of a pod becomes its weight
    #[arg(long, value_enum, default_value_t = WeightArg::Rank)]
    pub weight: WeightArg,
    /// Pods with emptyDir volumes may move, as with kubectl drain; what is in such a volume is lost
    #[arg(long)]
    pub delete_emptydir_data: bool,
    #[command(flatten)]
    pub output: OutputArg,
}

/// Choice of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WeightArg {
    /// 1000 for the lowest priority in use, ten times as much for each priority above it (at most 10^9).
    Rank,
    /// 1000 plus the priority; priorities below 0 count as 0.
    Value,
    /// 1000 for every pod.
    Equal,
}

/// Options of `export kubernetes`.
#[derive(Debug, Args)]
pub struct KubernetesExportArgs {
    /// Objects to write, for kubernetes
    #[arg(long = "as", value_name = "FORM", value_enum, required_if_eq("format", "kubernetes"))]
    pub form: Option<FormArg>,
    /// Only this wave, counted from 1: the next one is due when it has ended (kubernetes only)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub wave: Option<u32>,
}

/// Choice of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormArg {
    /// Evictions (policy/v1) of the pods that move; where they land is up to the scheduler, so the target is a hint.
    Evictions,
    /// Koordinator Reservations on the targets, and paused PodMigrationJobs that use them: targets are bound.
    Reservations,
    /// KubeVirt VirtualMachineInstanceMigrations with the target as node selector: targets are bound.
    Migrations,
    /// Bindings of waiting pods to their nodes: targets are bound.
    Bindings,
}
