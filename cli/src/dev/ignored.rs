//! The files that are no sources.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::package::MARK;

/// Hidden files and folders, cargo's output, stages of `isobar package`, and what editors write next to a file.
pub(super) fn by_name(path: &Path, target: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_of_editor = name.ends_with('~')
        || name.ends_with(".swp")
        || name.ends_with(".tmp")
        || name.starts_with('#')
        || name == "4913";
    // A stage has folders for its image and its registry.
    let is_in_stage = || path.ancestors().take(4).any(|folder| folder.join(MARK).is_file());
    name.starts_with('.') || is_of_editor || path == target || path.join("CACHEDIR.TAG").exists() || is_in_stage()
}

/// Removes what git ignores, but for these files. Without git, or outside of a repository, it removes nothing.
pub(super) fn remove_ignored(paths: &mut BTreeSet<PathBuf>, except: &[PathBuf]) {
    let Some(folder) = paths.first().and_then(|path| path.parent()).filter(|folder| folder.is_dir()) else { return };
    let found = check_ignore(folder, paths).unwrap_or_default();
    let ignored: BTreeSet<&str> = found.split('\0').collect();
    paths.retain(|path| except.contains(path) || !path.to_str().is_some_and(|path| ignored.contains(path)));
}

fn check_ignore(folder: &Path, paths: &BTreeSet<PathBuf>) -> Option<String> {
    let mut git = Command::new("git");
    git.args(["check-ignore", "--stdin", "-z"]).current_dir(folder);
    git.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut git = git.spawn().ok()?;
    let input: String = paths.iter().filter_map(|path| path.to_str()).map(|path| format!("{path}\0")).collect();
    let mut stdin = git.stdin.take()?;
    // Not before the output is read: both pipes could be full.
    let writing = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = git.wait_with_output().ok()?;
    let _ = writing.join();
    String::from_utf8(output.stdout).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_no_source() {
        let folder = tempfile::tempdir().unwrap();
        let stage = folder.path().join("deploy/aws-dev");
        std::fs::create_dir_all(stage.join("registry")).unwrap();
        std::fs::write(stage.join(MARK), "{}").unwrap();
        for (path, expected) in
            [("deploy/aws-dev", true), ("deploy/aws-dev/registry/main.tf", true), ("src/lib.rs", false)]
        {
            assert_eq!(by_name(&folder.path().join(path), Path::new("/target")), expected, "{path}");
        }
    }

    #[test]
    fn names_of_editors_hidden_files_and_outputs_are_no_sources() {
        let ignored = |name: &str| by_name(&Path::new("/demo/src").join(name), Path::new("/demo/src/target"));
        for name in [".lib.rs.swp", "lib.rs~", "4913", "#lib.rs#", ".git", ".isobar", "target", "lib.rs.tmp"] {
            assert!(ignored(name), "{name}");
        }
        for name in ["lib.rs", "Cargo.toml", "page.html", "targets"] {
            assert!(!ignored(name), "{name}");
        }
    }
}
