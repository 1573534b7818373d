//! With which code and which words does a command end? The only place that knows the numbers.

use bayplan::model::Faults;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::process::ExitCode;

use super::screen;

/// How a command that did its work ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// Done, and there are moves to make (only with `--detailed-exitcode`).
    MovesToMake,
    /// The plan does not hold.
    Rejected,
    /// The plan holds, but not all of what was to be placed has a place.
    Unplaced,
    /// The plan holds, but does not keep all the room that was asked for.
    Uncovered,
}

impl Exit {
    /// The exit code of ARCHITECTURE's table.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::MovesToMake => 2,
            Exit::Rejected | Exit::Unplaced | Exit::Uncovered => 3,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A file or stream failed; the person checks paths, rights and room.
    #[error("cannot {doing} {name}: {cause}")]
    Io {
        /// `read`, `write` …
        doing: &'static str,
        /// The file, or the stream in words.
        name: String,
        /// What the system says.
        cause: std::io::Error,
    },
    /// Whoever read our output has gone; nobody is left to tell.
    #[error("the reader of the output has gone")]
    ClosedPipe,
    /// The options contradict each other.
    #[error("{0}")]
    Usage(String),
    /// The input is wrong.
    #[error("{file}: {faults}")]
    Input {
        /// The file, or files.
        file: String,
        /// Every fault.
        faults: Faults,
    },
    /// A signal ended the process before there was anything to save.
    #[error("stopped by a signal; nothing was written")]
    Stopped,
    /// There is no device for what was asked.
    #[error("{0}")]
    NoDevice(String),
    /// We computed something that our own verifier refuses.
    #[error("{0}")]
    Bug(String),
}

impl Failure {
    /// The exit code of ARCHITECTURE's table.
    pub fn code(&self) -> u8 {
        match self {
            Failure::ClosedPipe => 0,
            Failure::Io { .. } => 1,
            Failure::NoDevice(_) => 5,
            Failure::Usage(_) => 64,
            Failure::Input { .. } => 65,
            Failure::Bug(_) => 70,
            Failure::Stopped => 130,
        }
    }

    /// Says it once, on stderr, and gives the code.
    pub fn show(&self) -> ExitCode {
        let complain = |text: &str| screen::complain(self.code(), text);
        match self {
            Failure::ClosedPipe => {}
            Failure::Usage(_) => complain(&format!("bayplan: {self}\nFor help, try 'bayplan --help'.")),
            Failure::Bug(_) => complain(&format!("bayplan: {self}\n{REPORT_IT}")),
            Failure::Io { .. } | Failure::Input { .. } | Failure::NoDevice(_) | Failure::Stopped => {
                complain(&format!("bayplan: {self}"))
            }
        }
        ExitCode::from(self.code())
    }
}

const REPORT_IT: &str = "This is a bug in Bayplan, not in your input. Nothing was written.\n\
     Please report it with this text, the command line, the output of `bayplan --version` and, if you may share it, \
     the snapshot.";

/// Runs `work`; a panic anywhere in it becomes a message for a person, and exit code 70.
pub fn guarded(work: impl FnOnce() -> ExitCode) -> ExitCode {
    std::panic::set_hook(Box::new(|info| screen::complain(70, &panic_text(info))));
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(ExitCode::from(70))
}

fn panic_text(info: &PanicHookInfo<'_>) -> String {
    let payload = info.payload();
    let message = payload.downcast_ref::<&str>().copied();
    let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    let place = info.location().map(|place| format!(" ({}:{})", place.file(), place.line())).unwrap_or_default();
    format!("bayplan: internal error{place}: {message}\n{REPORT_IT}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_with_70() {
        let code = guarded(|| panic!("the sum 3 is not 4 (a test)"));
        let _ = std::panic::take_hook();
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(70)));
    }

    #[test]
    fn a_refused_plan_of_ours_ends_with_70() {
        assert_eq!(Failure::Bug("node a is overfull".into()).code(), 70);
    }
}
