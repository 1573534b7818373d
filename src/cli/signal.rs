//! What happens on Ctrl-C and SIGTERM? The first asks a search to end, the next ends the process.

use super::failure::Failure;
use super::{io, screen};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Code of a process that a signal ended at once: 128 + SIGINT.
const QUIT_CODE: i32 = 130;

/// Quits at the first signal, leaving no partial output: for commands that have nothing to save.
pub fn quit_at_once() {
    install(|| quit());
}

/// What `read` gives, and a flag as of [`stop_first`]. While it reads there is nothing to save, and whoever feeds it may never end: a
/// signal quits at once.
pub fn read_then_stop_first<T>(
    then: Option<&'static str>,
    read: impl FnOnce() -> Result<T, Failure>,
) -> Result<(T, Arc<AtomicBool>), Failure> {
    let stop = Arc::new(AtomicBool::new(true));
    listen(&stop, then);
    let input = read()?;
    stop.store(false, Ordering::Relaxed);
    Ok((input, stop))
}

/// A flag that the first signal sets; the second quits. For commands that end well when told to stop; `then` says what they do.
pub fn stop_first(then: Option<&'static str>) -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    listen(&stop, then);
    stop
}

/// Sets the flag at a signal; quits where it is set already.
fn listen(stop: &Arc<AtomicBool>, then: Option<&'static str>) {
    let flag = Arc::clone(stop);
    install(move || {
        if flag.swap(true, Ordering::Relaxed) {
            quit();
        }
        if let Some(then) = then {
            screen::say(&format!("stopping: {then}; once more to quit at once"));
        }
    });
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
