//! What was typed for the commands that are about the command line and its files, not about clusters?

use super::args::{OutputArg, source};
use super::io::Source;
use clap::{Args, ValueEnum};
use clap_complete::Shell;
use std::path::PathBuf;

/// Options of `completions`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bayplan completions bash > /etc/bash_completion.d/bayplan
  bayplan completions zsh > ~/.zfunc/_bayplan
  bayplan completions fish > ~/.config/fish/completions/bayplan.fish")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Options of `man`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bayplan man -o /usr/local/share/man/man1
  bayplan man > bayplan.1")]
pub struct ManArgs {
    /// Write one page per command into FOLDER, instead of the first page to stdout
    #[arg(short, long, value_name = "FOLDER")]
    pub output: Option<PathBuf>,
}

/// Options of `schema`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bayplan schema snapshot -o snapshot.schema.json
  bayplan schema plan > plan.schema.json

The schemas are in JSON Schema, draft 2020-12, complete in themselves. The program's own reader is stricter where a schema
cannot be: no field twice, names that exist, whole numbers without fraction or exponent.")]
pub struct SchemaArgs {
    /// The kind of file
    #[arg(value_enum)]
    pub kind: SchemaKind,
    #[command(flatten)]
    pub output: OutputArg,
}

/// Files and answers that a schema describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaKind {
    /// A cluster: what import and generate write, and most commands read.
    Snapshot,
    /// What plan writes, and verify, export and others read.
    Plan,
    /// Tasks on top of a snapshot, for --place.
    Jobs,
    /// The file of a nightly run (its form is TOML).
    Run,
    /// Kinds of nodes and tasks, for scale --shapes.
    Shapes,
    /// A record of loads over time, for scale --series.
    Loads,
    /// What scale -o json prints.
    Scale,
    /// What scale --series -o json prints.
    Schedule,
    /// What drill -o json prints.
    Drill,
    /// What status -o json prints.
    Status,
}

/// Options of `scrub`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  bayplan scrub snapshot.json -o scrubbed.json
  bayplan scrub snapshot.json plan.json -o scrubbed.json --plan-output scrubbed.plan.json

For a bug report: names of nodes, tasks, groups, resources, domains, pools, labels and their values, devices and models become
numbers, the same name always the same one. Amounts, rules and order stay, so the same effort gives the same plan up to names. What
is left is the shape of the cluster: its size, its figures, and who runs where.")]
pub struct ScrubArgs {
    /// Snapshot (`-` = stdin)
    #[arg(value_parser = source())]
    pub snapshot: Source,
    /// Plan for it
    #[arg(value_parser = source(), requires = "plan_output")]
    pub plan: Option<Source>,
    #[command(flatten)]
    pub output: OutputArg,
    /// Where the plan goes, for the snapshot under its new names
    #[arg(long, value_name = "FILE", value_parser = super::args::target(), requires = "plan")]
    pub plan_output: Option<super::io::Target>,
}

#[cfg(test)]
mod tests {
    use crate::cli::args;
    use clap::Command;

    /// The commands in a help's examples, word by word: what follows a pipe or && is one of its own, what follows a # is a comment.
    fn examples(help: &str) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        for line in help.lines().filter(|line| line.starts_with("  ")) {
            let words = words(line);
            for part in words.split(|word| ["|", "&&"].contains(&word.as_str())) {
                let end = part.iter().position(|word| [">", "<"].contains(&word.as_str())).unwrap_or(part.len());
                if part.first().is_some_and(|word| word == "bayplan") {
                    found.push(part[..end].to_vec());
                }
            }
        }
        found
    }

    /// Words as a shell splits them: quotes keep blanks.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
        for c in line.chars().chain([' ']) {
            match (c, quote) {
                ('#', None) if word.is_none() => break,
                (' ', None) => words.extend(word.take()),
                ('\'' | '"', None) => {
                    quote = Some(c);
                    word.get_or_insert_default();
                }
                (c, Some(open)) if c == open => quote = None,
                (c, _) => word.get_or_insert_default().push(c),
            }
        }
        words
    }

    /// Faults of a command's help, and of the help of its commands.
    fn objections(line: &Command, command: &Command, path: &str, found: &mut Vec<String>) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples = examples(&help);
        if !help.starts_with("Example") || examples.is_empty() {
            found.push(format!("{path}: its help has no example"));
        }
        let here = |example: &&Vec<String>| path == "bayplan" || example.join(" ").starts_with(path);
        if examples.iter().filter(here).count() == 0 {
            found.push(format!("{path}: no example is of this command"));
        }
        for example in examples {
            if let Err(error) = line.clone().try_get_matches_from(&example) {
                found.push(format!("{path}: {example:?}: {error}"));
            }
        }
        for inner in command.get_subcommands() {
            objections(line, inner, &format!("{path} {}", inner.get_name()), found);
        }
    }

    #[test]
    fn every_command_has_examples_and_all_of_them_parse() {
        let line = args::line();
        let mut found = Vec::new();
        objections(&line, &line, "bayplan", &mut found);
        assert!(found.is_empty(), "{}", found.join("\n"));
    }

    #[test]
    fn the_judge_of_examples_objects() {
        let judged = |help: &'static str| {
            let line = Command::new("bayplan")
                .after_help("Example:\n  bayplan inner 'a b' # c | d")
                .subcommand(Command::new("inner").arg(clap::Arg::new("file")).after_help(help));
            let mut found = Vec::new();
            objections(&line, &line, "bayplan", &mut found);
            found.len()
        };
        assert_eq!(judged("Examples:\n  cat x | bayplan inner - > y && bayplan inner \"z\""), 0);
        assert_eq!(judged("Example:\n  bayplan inner a b"), 1);
        assert_eq!(judged("Example:\n  bayplan inner --no-such-option"), 1);
        assert_eq!(judged("Example:\n  bayplan"), 1);
        assert_eq!(judged("Example:\n  none"), 2);
        assert_eq!(judged("No example"), 2);
    }
}
