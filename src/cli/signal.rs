//! What happens on Ctrl-C and SIGTERM? The first asks a search to end, the next ends the process.

use super::failure::Failure;
use super::{io, screen};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is to be done before a signal ends the process.
type LastWords = Option<Box<dyn FnOnce() + Send>>;

static LAST_WORDS: Mutex<LastWords> = Mutex::new(None);

fn last_words() -> MutexGuard<'static, LastWords> {
    LAST_WORDS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has this done before a signal ends the process, until [`ending`].
pub fn before_quitting(work: impl FnOnce() + Send + 'static) {
    *last_words() = Some(Box::new(work));
}

/// The process comes to its own end: nothing is left to do before a signal ends it, and from here on none does. Where one is about to
/// end it already, this never returns.
pub fn ending() {
    let mut words = last_words();
    *words = None;
    // Never given back: a signal that waits for it would else end the process between the end of its work and its own exit.
    std::mem::forget(words);
}

/// Quits at the first signal, leaving no partial output: for commands that have nothing to save.
pub fn quit_at_once() {
    install(|| quit());
}

/// What `read` gives, and a flag that the first signal after that sets; the next one quits. While it reads there is nothing to save, and
/// whoever feeds it may never end: a signal quits at once. `then` says what is done at the first one.
pub fn read_then_stop_first<T>(
    then: Option<&'static str>,
    read: impl FnOnce() -> Result<T, Failure>,
) -> Result<(T, Arc<AtomicBool>), Failure> {
    let stop = Arc::new(AtomicBool::new(true));
    let flag = Arc::clone(&stop);
    install(move || {
        if flag.swap(true, Ordering::Relaxed) {
            quit();
        }
        if let Some(then) = then {
            screen::say(&format!("stopping: {then}; once more to quit at once"));
        }
    });
    let input = read()?;
    stop.store(false, Ordering::Relaxed);
    Ok((input, stop))
}

fn quit() -> ! {
    // Never given back: whoever waits for it has nothing more to say.
    let mut words = last_words();
    if let Some(say) = words.take() {
        say();
    }
    io::remove_partial();
    std::process::exit(Failure::Stopped.code().into())
}

fn install(handler: impl FnMut() + 'static + Send) {
    if let Err(error) = ctrlc::set_handler(handler) {
        // Without a handler a signal ends the process as the system does; that is safe, only less polite.
        screen::say(&format!("bayplan: signals are not handled: {error}"));
    }
}
