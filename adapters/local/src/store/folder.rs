//! The data folder: its permissions, its lock, and how its files are created.
//!
//! What an app stores is for its user's eyes: folders that isobar makes have mode 0700, files 0600.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::Path;

use isobar_abstraction::{Error, Result};

use super::is_full;

/// Locked by the process that has the folder.
const LOCK: &str = "isobar.lock";

/// The folder of the data of stages, in the data folder.
pub(crate) const STAGES: &str = "stages";

/// Keeps other processes out of a data folder until it is dropped.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _lock: File,
}

/// Makes the folder where it is missing, and takes it for this process.
///
/// Errors: `Config` where another process has it, or where it cannot be made or locked.
pub(crate) fn take(folder: &Path) -> Result<FolderLock> {
    make(folder).and_then(|()| restrict(folder)).map_err(cannot)?;
    let lock = mode(OpenOptions::new().write(true).create(true).truncate(false), 0o600).open(folder.join(LOCK));
    locked(lock.map_err(cannot)?)
}

/// Takes the folder for this process, and makes and changes nothing. `None` where no process has had it yet:
/// then there is no lock file.
///
/// Errors: `Config` where another process has it, or where it cannot be locked.
pub(crate) fn take_as_it_is(folder: &Path) -> Result<Option<FolderLock>> {
    match OpenOptions::new().write(true).open(folder.join(LOCK)) {
        Ok(lock) => locked(lock).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(cannot(error)),
    }
}

fn locked(lock: File) -> Result<FolderLock> {
    match lock.try_lock() {
        Ok(()) => Ok(FolderLock { _lock: lock }),
        Err(TryLockError::WouldBlock) => Err(in_use()),
        Err(TryLockError::Error(error)) => Err(cannot(error)),
    }
}

fn cannot(error: io::Error) -> Error {
    let message = match is_full(&error) {
        true => "the disk is full, so the data folder cannot be used; free space, then start the app again",
        false => "the data folder cannot be used; set ISOBAR_DATA to another folder",
    };
    Error::config(message).with_source(error)
}

pub(super) const IN_USE: &str =
    "another process has this data folder open; stop it, or set ISOBAR_DATA to another folder";

pub(crate) fn in_use() -> Error {
    Error::config(IN_USE)
}

/// Makes the folder where it is missing, and hides one that isobar makes from git.
pub(crate) fn make(folder: &Path) -> io::Result<()> {
    let stage = folder;
    let folder = root(stage);
    let is_new = !folder.exists();
    make_private(stage, true)?;
    if !is_new && let Some(rights) = rights_of_others(folder) {
        tracing::warn!(
            folder = %folder.display(),
            "others may enter the data folder (mode {rights:o}); its files are for you only, and `chmod 700` closes it"
        );
    }
    // An app's data must not end up in its repository. A folder that isobar did not create is not hidden.
    if is_new || folder.file_name().is_some_and(|name| name == ".isobar") || is_empty(folder)? {
        let ignore = folder.join(".gitignore");
        if !ignore.exists() {
            write_whole(&ignore, b"*\n")?;
        }
    }
    sync(folder)?;
    sync(stage)
}

/// The folder with `secrets.json`, which is above that of a stage.
fn root(folder: &Path) -> &Path {
    let stages = folder.parent().filter(|parent| parent.file_name().is_some_and(|name| name == STAGES));
    stages.and_then(Path::parent).unwrap_or(folder)
}

fn is_empty(folder: &Path) -> io::Result<bool> {
    Ok(std::fs::read_dir(folder)?.next().is_none())
}

/// Makes one folder, for its owner only; with those above it if `all`.
pub(crate) fn make_private(folder: &Path, all: bool) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(all).create(folder)
}

/// The mode of a folder that is open to others than its owner.
fn rights_of_others(folder: &Path) -> Option<u32> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = folder.metadata().ok()?.permissions().mode() & 0o777;
        (mode & 0o077 != 0).then_some(mode)
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        None
    }
}

/// Takes all rights from others on what an earlier version, or a copy by hand, left open.
fn restrict(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    for name in ["isobar.redb", "objects", "signing.key"] {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.join(name);
        let Ok(found) = path.metadata() else { continue };
        let mut permissions = found.permissions();
        if permissions.mode() & 0o077 != 0 {
            permissions.set_mode(permissions.mode() & 0o700);
            std::fs::set_permissions(path, permissions)?;
        }
    }
    let _ = folder;
    Ok(())
}

/// Options that make a new file which only its owner may read.
pub(crate) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    mode(&mut options, 0o600).clone()
}

#[cfg_attr(not(unix), allow(unused_variables))]
fn mode(options: &mut OpenOptions, mode: u32) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, mode);
    options
}

/// Writes a file whole or not at all, and only for the owner to read.
pub(crate) fn write_whole(file: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = file.with_file_name(name);
    // A file from a crash may be readable by every user.
    let _ = std::fs::remove_file(&new);
    let mut written = private_file().open(&new)?;
    let made = written.write_all(content).and_then(|()| written.sync_all()).and_then(|()| std::fs::rename(&new, file));
    if made.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    made?;
    file.parent().map_or(Ok(()), sync)
}

/// Makes the names in a folder durable: without this a loss of power may take the name of a new file,
/// and so all that was written to it.
pub(crate) fn sync(folder: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened, and its names are durable without that.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
