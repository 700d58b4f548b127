//! One `isobar dev` for a project.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write as _;

use crate::failure::Failure;
use crate::project::Project;

/// Locked while the command runs.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Failures: another one runs, with its process and address.
    pub(super) fn take(project: &Project) -> Result<Self, Failure> {
        // Several projects may share a folder of cargo's output.
        let mut hash = DefaultHasher::new();
        project.folder.hash(&mut hash);
        let path = project.target.join("isobar-dev").join(format!("{}-{:016x}", project.package, hash.finish()));
        let cannot = |error| Failure::new(format!("{} cannot be locked", path.display())).because(&error);
        fs::create_dir_all(path.parent().unwrap_or(&project.target)).map_err(cannot)?;
        let open = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = open.map_err(cannot)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::Error(error)) => Err(cannot(error)),
            Err(TryLockError::WouldBlock) => {
                let other = fs::read_to_string(&path).unwrap_or_default();
                Err(Failure::new(format!("isobar dev already runs for `{}`: {}", project.package, other.trim()))
                    .hint("use that one, or stop it first"))
            }
        }
    }

    /// Writes what the failure of another one names.
    pub(super) fn describe(&mut self, url: &str) {
        // An empty description is a shorter failure, no other one.
        let _ = self.0.set_len(0);
        let _ = writeln!(self.0, "process {}, {url}", std::process::id());
    }
}
