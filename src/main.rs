//! How does a command line become an exit code? Parse, run, say once what went wrong, end.

mod cli;

use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let started = Instant::now();
    cli::failure::guarded(|| {
        let command = match cli::args::parse(std::env::args_os()) {
            Ok(command) => command,
            Err(usage) => return usage.show(),
        };
        match cli::run(command, started) {
            Ok(exit) => exit.into(),
            Err(failure) => failure.show(),
        }
    })
}
