//! Where does data come from and go to? Files, `-`, and output that appears complete or not at all.

use super::failure::Failure;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where an input comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `-`
    Stdin,
    /// A path.
    File(PathBuf),
}

impl From<OsString> for Source {
    fn from(text: OsString) -> Source {
        if text == "-" { Source::Stdin } else { Source::File(text.into()) }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Stdin => f.write_str("stdin"),
            Source::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Source {
    /// True for `-`.
    pub fn is_stdin(&self) -> bool {
        *self == Source::Stdin
    }

    /// It, to be read piece by piece; opened at the first read, so that any number of files may be named.
    pub fn reader(&self) -> Box<dyn Read + Send> {
        match self {
            Source::Stdin => Box::new(std::io::stdin()),
            Source::File(path) => Box::new(Later { path: path.clone(), file: None }),
        }
    }

    /// Everything in it.
    pub fn read(&self) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        let result = match self {
            Source::Stdin => std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes),
            Source::File(path) => std::fs::read(path),
        };
        result.map_err(|cause| Failure::Io { doing: "read", name: self.to_string(), cause })
    }
}

/// A file that is opened when it is read.
struct Later {
    path: PathBuf,
    file: Option<File>,
}

impl Read for Later {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.file.is_none() {
            self.file = Some(File::open(&self.path)?);
        }
        self.file.as_mut().expect("just opened").read(buffer)
    }
}

/// Where output goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `-`
    Stdout,
    /// A path.
    File(PathBuf),
}

impl From<OsString> for Target {
    fn from(text: OsString) -> Target {
        if text == "-" { Target::Stdout } else { Target::File(text.into()) }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Stdout => f.write_str("stdout"),
            Target::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Target {
    /// True when both are the same regular file.
    pub fn overwrites(&self, source: &Source) -> bool {
        let (Target::File(to), Source::File(from)) = (self, source) else { return false };
        match (std::fs::canonicalize(to), std::fs::canonicalize(from)) {
            (Ok(to), Ok(from)) => to == from && to.is_file(),
            _ => false,
        }
    }

    /// True when the name asks for one record per line.
    pub fn is_stream(&self) -> bool {
        matches!(self, Target::File(path) if path.extension().is_some_and(|extension| extension == "ndjson"))
    }

    /// Fails now, before the work, when the folder of the output does not exist.
    pub fn check(&self) -> Result<(), Failure> {
        let Target::File(path) = self else { return Ok(()) };
        let folder = folder_of(path);
        if folder.is_dir() && !path.is_dir() {
            return Ok(());
        }
        let cause = if path.is_dir() { "it is a folder" } else { "its folder does not exist" };
        Err(Failure::Io { doing: "write", name: self.to_string(), cause: std::io::Error::other(cause) })
    }

    /// Writes everything, or leaves the target as it was.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let failed = |cause: std::io::Error| match (self, cause.kind()) {
            (Target::Stdout, ErrorKind::BrokenPipe) => Failure::ClosedPipe,
            _ => Failure::Io { doing: "write", name: self.to_string(), cause },
        };
        match self {
            Target::Stdout => {
                let mut out = std::io::stdout().lock();
                out.write_all(bytes).and_then(|()| out.flush()).map_err(failed)
            }
            Target::File(path) => write_file(path, bytes).map_err(failed),
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Files and folders that a signal must take away: they are not complete yet.
static PARTIAL: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// How often the removal of a folder is tried. Whoever is still at work in it gets no further than the end of one file.
const REMOVALS_MAX: usize = 8;

fn partial() -> MutexGuard<'static, Vec<PathBuf>> {
    PARTIAL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes away output that is not complete; for a signal handler that ends the process: from here on no output can be begun or ended.
pub fn remove_partial() {
    let mut partial = partial();
    for path in partial.drain(..) {
        for _ in 0..REMOVALS_MAX {
            let _ = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            if !path.exists() {
                break;
            }
        }
    }
    std::mem::forget(partial);
}

/// Makes a file or folder that is not complete yet. No signal can come between its making and its being known.
pub fn begin_partial<T: AsRef<Path>>(make: impl FnOnce() -> std::io::Result<T>) -> std::io::Result<T> {
    let mut partial = partial();
    let made = make()?;
    partial.push(made.as_ref().to_path_buf());
    Ok(made)
}

/// This one is complete, or gone.
pub fn forget_partial(path: &Path) {
    partial().retain(|noted| noted != path);
}

fn write_file(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    // Through a link to the file it names; a rename would replace the link.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    if std::fs::metadata(&path).is_ok_and(|old| !old.is_file()) {
        // A device or a named pipe: nothing to rename onto.
        let mut file = std::fs::OpenOptions::new().write(true).open(&path)?;
        return file.write_all(bytes);
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(".bayplan-").suffix(".part");
    #[cfg(unix)]
    {
        // As any other new file; the process's mask applies. The default of a temporary file is private.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let temporary = begin_partial(|| builder.tempfile_in(folder_of(&path)))?;
    let partial = temporary.path().to_path_buf();
    let mut writer = BufWriter::new(temporary.as_file());
    let written = writer.write_all(bytes).and_then(|()| writer.flush()).and_then(|()| temporary.as_file().sync_all());
    drop(writer);
    let result = written.and_then(|()| temporary.persist(&path).map(|_| ()).map_err(|failed| failed.error));
    forget_partial(&partial);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        for text in ["first, and longer", "second"] {
            Target::File(path.clone()).write(text.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_folder_is_an_io_failure_before_any_work() {
        let target = Target::File("/nonexistent-folder/plan.json".into());
        assert_eq!(target.check().unwrap_err().code(), 1);
        assert_eq!(target.write(b"x").unwrap_err().code(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn links_and_devices_stay_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        std::fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        Target::File(link.clone()).write(b"new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_to_string(&real).unwrap(), "new");
        Target::File("/dev/null".into()).write(b"gone").unwrap();
        assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
    }
}
