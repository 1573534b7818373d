//! Where does a run's work go? A folder that appears complete or not at all; one run at a time; the oldest ones go.
//!
//! ```text
//! folder/.lock                          held by the run at work; the system lets go of it when the process ends, however it ends;
//!                                       it says whose runs these are
//! folder/.bayplan-run-XXXXXX.part       the run at work, or what is left of one that was killed
//! folder/20260102T030405.678Z           a complete run: when it began, UTC
//! folder/latest                         link to the newest
//! ```

use crate::cli::failure::Failure;
use crate::cli::io;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const PREFIX: &str = ".bayplan-run-";
const SUFFIX: &str = ".part";
const LATEST: &str = "latest";
const LOCK: &str = ".lock";
/// In the lock, what the name of the run stands behind.
const OWNER: &str = ", run ";
/// Form of a run's name; sorted by name, runs are sorted by time.
const NAME_FORMAT: &str = "%Y%m%dT%H%M%S%.3fZ";

/// The folder of all runs, held by this one.
pub struct Folder {
    path: PathBuf,
    /// Never read: it is held until the run ends.
    _lock: File,
}

/// The folder of a run that is not complete.
pub struct Draft {
    dir: TempDir,
}

impl Folder {
    /// Makes the folder where there is none, and holds it for the runs called `owner`; what killed runs left in it is taken away.
    pub fn hold(path: &Path, owner: &str) -> Result<Folder, Failure> {
        let failed = |cause| Failure::Io { doing: "use the folder", name: path.display().to_string(), cause };
        fs::create_dir_all(path).map_err(failed)?;
        check(path).map_err(failed)?;
        let mut file = open_lock(&path.join(LOCK)).map_err(failed)?;
        let mut holder = String::new();
        // Nothing, or not yet, written there is no reason to stop for.
        let locked = file.try_lock();
        let _ = file.read_to_string(&mut holder);
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let cause = format!("another run is at work there ({})", holder.trim());
                return Err(failed(std::io::Error::other(cause)));
            }
            Err(TryLockError::Error(cause)) => return Err(failed(cause)),
        }
        // Each would take away what the other keeps.
        if let Some((_, other)) = holder.trim_end_matches('\n').split_once(OWNER).filter(|(_, other)| *other != owner) {
            let cause = format!(
                "the runs there are those of {other:?}: give {owner:?} a folder of its own, or take the file {LOCK} away"
            );
            return Err(failed(std::io::Error::other(cause)));
        }
        let holder = format!("process {}, since {}{OWNER}{owner}\n", std::process::id(), Timestamp::now());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(holder.as_bytes()))
            .map_err(failed)?;
        let folder = Folder { path: path.to_path_buf(), _lock: file };
        folder.sweep().map_err(failed)?;
        Ok(folder)
    }

    /// An empty folder for a run.
    pub fn draft(&self) -> Result<Draft, Failure> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX).suffix(SUFFIX);
        #[cfg(unix)]
        {
            // As any other new folder; the process's mask applies. The default of a temporary one is private.
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(fs::Permissions::from_mode(0o777));
        }
        let dir = io::begin_partial(|| builder.tempdir_in(&self.path)).map_err(|cause| self.failed(cause))?;
        Ok(Draft { dir })
    }

    /// Makes a draft a complete run, begun at `began`, and gives its path.
    pub fn publish(&self, draft: Draft, began: Timestamp) -> Result<PathBuf, Failure> {
        let mut name = name(began);
        let mut later = began;
        // Two runs in one millisecond, or a clock that was set back.
        while self.path.join(&name).exists() {
            later += jiff::SignedDuration::from_millis(1);
            name = self::name(later);
        }
        let path = self.path.join(&name);
        fs::rename(draft.dir.path(), &path).map_err(|cause| self.failed(cause))?;
        // It is there under its name; nothing is left to take away under the old one.
        io::forget_partial(&draft.dir.keep());
        self.sync();
        self.link(&name)?;
        Ok(path)
    }

    /// Lets `latest` name a run.
    #[cfg(unix)]
    fn link(&self, name: &str) -> Result<(), Failure> {
        let (draft, latest) = (self.path.join(format!("{PREFIX}{LATEST}{SUFFIX}")), self.path.join(LATEST));
        let linked = std::os::unix::fs::symlink(name, &draft).and_then(|()| fs::rename(&draft, latest));
        self.sync();
        linked.map_err(|cause| self.failed(cause))
    }

    #[cfg(not(unix))]
    fn link(&self, _: &str) -> Result<(), Failure> {
        // Links need rights there that a nightly job has seldom; names sort by time.
        Ok(())
    }

    /// Takes away all complete runs but the newest `keep`, `newest` being one of these whatever its name; gives their names.
    pub fn retire(&self, keep: usize, newest: &Path) -> Result<Vec<String>, Failure> {
        let mut names = self.complete().map_err(|cause| self.failed(cause))?;
        names.retain(|name| newest.file_name().is_none_or(|newest| newest.to_string_lossy() != *name));
        names.truncate((names.len() + 1).saturating_sub(keep));
        for name in &names {
            // Out of sight first: a kill in the middle of removal must not leave a half run.
            let doomed = self.path.join(format!("{PREFIX}{name}{SUFFIX}"));
            let removed = fs::rename(self.path.join(name), &doomed).and_then(|()| fs::remove_dir_all(&doomed));
            removed.map_err(|cause| self.failed(cause))?;
        }
        Ok(names)
    }

    /// When the newest complete run began.
    pub fn last_success(&self) -> Option<Timestamp> {
        time(self.complete().ok()?.last()?).filter(|began| *began <= Timestamp::now())
    }

    /// Names of complete runs, oldest first. Whatever else is there is not ours.
    ///
    /// A run that is yet to begin was named by a clock that went ahead. It counts as the oldest, or it would outlive those that come,
    /// and pass for a success until its time has come.
    fn complete(&self) -> std::io::Result<Vec<String>> {
        let now = name(Timestamp::now());
        let mut names: Vec<String> = entries(&self.path)?.into_iter().filter(|name| time(name).is_some()).collect();
        names.sort_unstable_by(|a, b| (*a <= now, a).cmp(&(*b <= now, b)));
        Ok(names)
    }

    /// Takes away what killed runs left.
    fn sweep(&self) -> std::io::Result<()> {
        for name in entries(&self.path)? {
            if name.starts_with(PREFIX) && name.ends_with(SUFFIX) {
                let path = self.path.join(name);
                let is_folder = fs::symlink_metadata(&path)?.is_dir();
                if is_folder { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
            }
        }
        Ok(())
    }

    /// Renames survive a loss of power only when the folder itself is written.
    fn sync(&self) {
        #[cfg(unix)]
        let _ = File::open(&self.path).and_then(|folder| folder.sync_all());
    }

    fn failed(&self, cause: std::io::Error) -> Failure {
        Failure::Io { doing: "use the folder", name: self.path.display().to_string(), cause }
    }
}

impl Draft {
    /// Where it is for now.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Whether runs can be kept in a folder, as far as can be seen before one begins.
pub fn check(path: &Path) -> std::io::Result<()> {
    let is_in_the_way = |entry: fs::Metadata| !entry.is_symlink();
    if fs::symlink_metadata(path.join(LATEST)).is_ok_and(is_in_the_way) {
        let cause = format!("{LATEST} there is no link: a run could not be linked to; take it away");
        return Err(std::io::Error::other(cause));
    }
    Ok(())
}

/// Opens the lock itself: a link there would let us write over somebody else's file.
fn open_lock(path: &Path) -> std::io::Result<File> {
    if fs::symlink_metadata(path).is_ok_and(|entry| !entry.is_file()) {
        return Err(std::io::Error::other(format!("{LOCK} there is no plain file: take it away")));
    }
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(nix::libc::O_NOFOLLOW);
    }
    options.open(path)
}

fn entries(folder: &Path) -> std::io::Result<Vec<String>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn name(began: Timestamp) -> String {
    began.strftime(NAME_FORMAT).to_string()
}

/// When the run of this name began; `None` for a name of another form.
fn time(name: &str) -> Option<Timestamp> {
    let began = TimeZone::UTC.to_timestamp(DateTime::strptime(NAME_FORMAT, name).ok()?).ok()?;
    (self::name(began) == name).then_some(began)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(path: &Path) -> Vec<String> {
        let mut names = entries(path).unwrap();
        names.sort();
        names
    }

    #[test]
    fn names_tell_the_time_and_nothing_else_is_a_name() {
        let began: Timestamp = "2026-01-02T03:04:05.678Z".parse().unwrap();
        assert_eq!(name(began), "20260102T030405.678Z");
        assert_eq!(time("20260102T030405.678Z"), Some(began));
        for other in
            ["", "latest", "20260102", "20260102T030405.678Z.old", "20261302T030405.678Z", "20260102T030405.6Z"]
        {
            assert_eq!(time(other), None, "{other}");
        }
    }

    #[test]
    fn a_second_run_is_refused_until_the_first_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let held = Folder::hold(dir.path(), "a").unwrap();
        let text = Folder::hold(dir.path(), "a").err().expect("it is held").to_string();
        assert!(text.contains(&format!("another run is at work there (process {}", std::process::id())), "{text}");
        drop(held);
        assert!(Folder::hold(dir.path(), "a").is_ok());
    }

    #[test]
    fn a_folder_is_for_runs_of_one_name_and_nothing_in_it_is_followed_or_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let refused = || Folder::hold(dir.path(), "b, run a").err().expect("it is refused").to_string();
        drop(Folder::hold(dir.path(), "a").unwrap());
        assert!(refused().contains(r#"the runs there are those of "a""#), "{}", refused());
        fs::remove_file(dir.path().join(LOCK)).unwrap();
        drop(Folder::hold(dir.path(), "b, run a").unwrap());
        fs::remove_file(dir.path().join(LOCK)).unwrap();
        drop(Folder::hold(dir.path(), " a ").unwrap());
        drop(Folder::hold(dir.path(), " a ").expect("the same name, blanks and all"));
        fs::remove_file(dir.path().join(LOCK)).unwrap();
        drop(Folder::hold(dir.path(), "b, run a").unwrap());
        assert!(Folder::hold(dir.path(), "b, run a").is_ok(), "whatever it is called");
        fs::create_dir(dir.path().join(LATEST)).unwrap();
        assert!(refused().contains("latest there is no link"), "{}", refused());
        fs::remove_dir(dir.path().join(LATEST)).unwrap();
        #[cfg(unix)]
        {
            let victim = dir.path().join("victim");
            fs::write(&victim, "mine").unwrap();
            fs::remove_file(dir.path().join(LOCK)).unwrap();
            std::os::unix::fs::symlink(&victim, dir.path().join(LOCK)).unwrap();
            assert!(refused().contains("no plain file"), "{}", refused());
            assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
        }
    }

    #[test]
    fn runs_appear_whole_and_the_oldest_go() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(".bayplan-run-killed.part")).unwrap();
        fs::write(dir.path().join("notes.txt"), "not ours").unwrap();
        let folder = Folder::hold(dir.path(), "a").unwrap();
        assert_eq!(folder.last_success(), None);
        let began: Timestamp = "2021-01-02T03:04:05.678Z".parse().unwrap();
        for run in 0..4 {
            let draft = folder.draft().unwrap();
            fs::write(draft.path().join("plan.json"), run.to_string()).unwrap();
            // The last two begin in the same millisecond.
            let began = began + jiff::SignedDuration::from_millis(run.min(2));
            let path = folder.publish(draft, began).unwrap();
            assert_eq!(fs::read_to_string(path.join("plan.json")).unwrap(), run.to_string());
            folder.retire(2, &path).unwrap();
        }
        drop(folder.draft().unwrap());
        let mut expected = vec![".lock", "20210102T030405.680Z", "20210102T030405.681Z", "notes.txt"];
        if cfg!(unix) {
            expected.insert(3, "latest");
            assert_eq!(fs::read_to_string(dir.path().join("latest/plan.json")).unwrap(), "3");
        }
        assert_eq!(listed(dir.path()), expected);
        assert_eq!(folder.last_success().unwrap().to_string(), "2021-01-02T03:04:05.681Z");
        // A clock that was set back: the run just made stays, although its name is the oldest.
        let old = folder.publish(folder.draft().unwrap(), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(folder.retire(1, &old).unwrap().len(), 2);
        assert!(old.is_dir());
        // And one that was ahead for two nights: what it named goes first, and is no success.
        for day in ["9998-01-01T00:00:00Z", "9998-01-02T00:00:00Z", "2021-01-03T00:00:00Z", "2021-01-04T00:00:00Z"] {
            let path = folder.publish(folder.draft().unwrap(), day.parse().unwrap()).unwrap();
            folder.retire(2, &path).unwrap();
        }
        assert_eq!(folder.last_success().unwrap().to_string(), "2021-01-04T00:00:00Z");
        let names = folder.complete().unwrap();
        assert_eq!(names, ["20210103T000000.000Z", "20210104T000000.000Z"]);
    }
}
