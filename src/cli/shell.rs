//! `bayplan completions` and `bayplan man`: what do a shell and `man` need to know? Everything comes from the command line's own structs.

use super::args;
use super::args_shell::{CompletionsArgs, ManArgs};
use super::failure::{Exit, Failure};
use super::io::Target;
use super::screen::say;
use super::signal;
use clap::Command;
use clap_mangen::Man;
use std::path::Path;

/// Runs `completions`.
pub fn completions(args: &CompletionsArgs) -> Result<Exit, Failure> {
    signal::quit_at_once();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::line(), "bayplan", &mut script);
    Target::Stdout.write(&script)?;
    Ok(Exit::Done)
}

/// Runs `man`.
pub fn man(args: &ManArgs) -> Result<Exit, Failure> {
    signal::quit_at_once();
    let mut line = args::line();
    // Gives every command its full name.
    line.build();
    let Some(folder) = &args.output else {
        Target::Stdout.write(&page(&line)?)?;
        return Ok(Exit::Done);
    };
    let failed = |cause| Failure::Io { doing: "write into", name: folder.display().to_string(), cause };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let count = pages(&line, folder)?;
    say(&format!("{count} pages in {}", folder.display()));
    Ok(Exit::Done)
}

/// Writes the page of a command and those of its commands; gives their number.
fn pages(command: &Command, folder: &Path) -> Result<usize, Failure> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    Target::File(folder.join(format!("{name}.1"))).write(&page(command)?)?;
    let mut count = 1;
    for inner in command.get_subcommands() {
        count += pages(inner, folder)?;
    }
    Ok(count)
}

fn page(command: &Command) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    let failed = |cause| Failure::Io { doing: "lay out", name: command.get_name().to_string(), cause };
    Man::new(command.clone()).render(&mut text).map_err(failed)?;
    Ok(text)
}
