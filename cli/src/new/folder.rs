//! A folder that appears with all its files, or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::template::File;

/// A folder next to its later place. It is deleted unless it was moved there.
pub(super) struct Draft(PathBuf);

impl Draft {
    pub(super) fn create(place: &Path) -> io::Result<Self> {
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        let draft = place.with_file_name(format!(".{name}-{}", std::process::id()));
        fs::create_dir(&draft).map(|()| Self(draft))
    }

    pub(super) fn write(&self, files: &[File]) -> io::Result<()> {
        for (path, text) in files {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap_or(&self.0))?;
            fs::write(path, text)?;
        }
        Ok(())
    }

    /// Makes it a repository of git, if git is installed.
    pub(super) fn init_git(&self) -> bool {
        let mut git = Command::new("git");
        git.args(["init", "--quiet"]).current_dir(&self.0).stdin(Stdio::null()).stdout(Stdio::null());
        // Variables of a hook would name another repository.
        git.env_remove("GIT_DIR").env_remove("GIT_WORK_TREE").stderr(Stdio::null());
        git.status().is_ok_and(|status| status.success())
    }

    /// Moves it to its place, which may be an empty folder.
    pub(super) fn finish(self, place: &Path) -> io::Result<()> {
        fs::rename(&self.0, place)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Whether a folder is in a repository of git.
pub(super) fn is_in_repository(folder: &Path) -> bool {
    folder.ancestors().any(|folder| folder.join(".git").exists())
}
