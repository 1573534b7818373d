//! What happens on Ctrl-C and SIGTERM? The first asks a search to end, the next ends the process.

use super::{io, screen};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Code of a process that a signal ended at once: 128 + SIGINT.
const QUIT_CODE: i32 = 130;

/// Quits at the first signal, leaving no partial output: for commands that have nothing to save.
pub fn quit_at_once() {
    install(|| quit());
}

/// A flag that the first signal sets; the second quits. For commands that end well when told to stop; `then` says what they do.
pub fn stop_first(then: Option<&'static str>) -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    install(move || {
        if flag.swap(true, Ordering::Relaxed) {
            quit();
        }
        if let Some(then) = then {
            screen::say(&format!("stopping: {then}; once more to quit at once"));
        }
    });
    stop
}

fn quit() -> ! {
    io::remove_partial();
    std::process::exit(QUIT_CODE)
}

fn install(handler: impl FnMut() + 'static + Send) {
    if let Err(error) = ctrlc::set_handler(handler) {
        // Without a handler a signal ends the process as the system does; that is safe, only less polite.
        screen::say(&format!("bayplan: signals are not handled: {error}"));
    }
}
