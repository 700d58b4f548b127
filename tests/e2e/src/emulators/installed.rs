//! Programs and packages that the tests install for themselves, under `target/emulators`.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::progress::{self, Work};
use super::{Absent, NEEDS};

/// The folder with the programs of `tests/e2e/emulators` and the lists of their packages.
pub(super) fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("emulators")
}

/// The target folder that this test was built in.
pub(crate) fn target() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    let fallback = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    target.map_or_else(fallback, Path::to_owned)
}

/// The folder for everything that is installed.
fn folder() -> PathBuf {
    target().join("emulators")
}

/// A new log file of this test process for a program of this name.
pub(crate) fn log(name: &str) -> io::Result<(PathBuf, File)> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let logs = folder().join("logs");
    fs::create_dir_all(&logs)?;
    let number = STARTED.fetch_add(1, Ordering::Relaxed);
    let path = logs.join(format!("{}-{number}-{name}.log", test_name()));
    Ok((path.clone(), File::create(path)?))
}

/// The name of the test binary that runs, which distinguishes its files from those of others.
fn test_name() -> String {
    let path = std::env::current_exe().unwrap_or_default();
    path.file_stem().and_then(OsStr::to_str).unwrap_or("test").to_owned()
}

/// An installation below `target/emulators`.
pub(super) struct Installation<'a> {
    /// The need, as `ISOBAR_REQUIRE` and `ISOBAR_WITHOUT` name it.
    pub(super) need: &'static str,
    /// What is installed, such as `the Python packages`.
    pub(super) name: &'static str,
    /// Number, source and size of what is fetched.
    pub(super) source: &'a str,
    /// The folder below `target/emulators`, of which each version has another one.
    pub(super) folder: String,
}

impl Installation<'_> {
    /// Makes the folder if it does not exist, and returns it. Test binaries that run at the same time wait for the one
    /// that makes it. A folder of a failed installation is removed.
    pub(super) fn once(self, make: impl FnOnce(&Path, &mut Work) -> Result<(), String>) -> Result<PathBuf, Absent> {
        let Self { need, name, source, .. } = self;
        let (all, made) = (folder(), folder().join(&self.folder));
        let unwritable = |error: io::Error| NEEDS.absent(need, format!("cannot write to {}: {error}", all.display()));
        fs::create_dir_all(&all).map_err(unwritable)?;
        let lock = all.join(format!("lock-{need}"));
        let _lock = wait_for(&lock, name).map_err(unwritable)?;
        // Written last: without this mark an installation was interrupted.
        let mark = made.join("installed");
        if mark.exists() {
            return Ok(made);
        }
        let _ = fs::remove_dir_all(&made);
        let place = made.display();
        let announcement = format!("installing {name} ({source}) in {place}; skip with ISOBAR_WITHOUT={need}");
        let mut work = Work::new(name, announcement);
        if let Err(reason) = make(&made, &mut work) {
            let _ = fs::remove_dir_all(&made);
            return Err(NEEDS.absent(need, format!("{name} cannot be installed: {reason}")));
        }
        work.end();
        File::create(mark).map_err(unwritable)?;
        Ok(made)
    }
}

/// Locks a file until the result is dropped.
fn wait_for(path: &Path, name: &str) -> io::Result<File> {
    let lock = File::create(path)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            progress::print(&format!("waiting for another process that installs {name} ({})", path.display()));
            lock.lock()?;
        }
        Err(TryLockError::Error(error)) => return Err(error),
    }
    Ok(lock)
}

/// A hash that distinguishes one version of an installation from another.
pub(super) fn hash(parts: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.iter().for_each(|part| hasher.write(part.as_bytes()));
    hasher.finish()
}

/// Returns the output of a command. Errors: the last line of its error output.
pub(super) fn run(command: &mut Command) -> Result<String, String> {
    let Output { status, stdout, stderr } = command.output().map_err(|error| error.to_string())?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    let errors = String::from_utf8_lossy(&stderr);
    Err(errors.lines().rfind(|line| !line.trim().is_empty()).map_or_else(|| status.to_string(), str::to_owned))
}
