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
}

impl ImportFormat {
    /// All it reads.
    pub fn sources(&self) -> Vec<&Source> {
        match self {
            ImportFormat::Openb { nodes, pods, placement, .. } => [nodes, pods].into_iter().chain(placement).collect(),
            ImportFormat::Roadef { model, assignment, .. } => vec![model, assignment],
            ImportFormat::Csv { nodes, tasks, .. } => vec![nodes, tasks],
            ImportFormat::Kubernetes(args) => args.files.iter().collect(),
        }
    }

    /// Where the snapshot goes.
    pub fn output(&self) -> &OutputArg {
        match self {
            ImportFormat::Openb { output, .. }
            | ImportFormat::Roadef { output, .. }
            | ImportFormat::Csv { output, .. } => output,
            ImportFormat::Kubernetes(args) => &args.output,
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
