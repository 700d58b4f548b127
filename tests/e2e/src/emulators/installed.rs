//! What tests install for themselves, under `target/emulators`.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::Absent;

/// The programs of `tests/e2e/emulators`, and what they need.
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

/// Where what is installed lies.
fn folder() -> PathBuf {
    target().join("emulators")
}

/// Where a program of this name may write what it prints: a file of this test's own.
pub(crate) fn log(name: &str) -> io::Result<(PathBuf, File)> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let logs = folder().join("logs");
    fs::create_dir_all(&logs)?;
    let number = STARTED.fetch_add(1, Ordering::Relaxed);
    let path = logs.join(format!("{}-{number}-{name}.log", test_name()));
    Ok((path.clone(), File::create(path)?))
}

/// The name of the test that runs, to tell its files from those of others.
fn test_name() -> String {
    let path = std::env::current_exe().unwrap_or_default();
    path.file_stem().and_then(OsStr::to_str).unwrap_or("test").to_owned()
}

/// The folder of this name, made where it is not there yet. Test binaries that run at the same time wait
/// for the one that makes it.
pub(super) fn once(
    need: &'static str,
    name: &str,
    make: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, Absent> {
    let (all, made) = (folder(), folder().join(name));
    let unwritable = |error: io::Error| Absent::new(need, format!("{} cannot be written: {error}", all.display()));
    fs::create_dir_all(&all).map_err(unwritable)?;
    let lock = File::create(all.join(format!("lock-{need}"))).map_err(unwritable)?;
    lock.lock().map_err(unwritable)?;
    // The mark is written last: without it, an installation ended half way.
    let mark = made.join("installed");
    if !mark.exists() {
        let _ = fs::remove_dir_all(&made);
        make(&made).map_err(|reason| Absent::new(need, reason))?;
        File::create(mark).map_err(unwritable)?;
    }
    Ok(made)
}

/// Tells one set of what is installed from another.
pub(super) fn hash(parts: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.iter().for_each(|part| hasher.write(part.as_bytes()));
    hasher.finish()
}

/// What a command printed; else why it failed, in a line.
pub(super) fn run(command: &mut Command) -> Result<String, String> {
    let Output { status, stdout, stderr } = command.output().map_err(|error| error.to_string())?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&stderr);
    Err(said.lines().rfind(|line| !line.trim().is_empty()).map_or_else(|| status.to_string(), str::to_owned))
}
