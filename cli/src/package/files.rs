//! The folder of a stage.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use isobar::manifest::Manifest;
use serde::{Deserialize, Serialize};

use super::oci::BLOBS;
use crate::failure::Failure;

/// The file that marks the folder of a stage.
pub(crate) const MARK: &str = "isobar.json";

/// The folder of an image.
pub(super) const IMAGE: &str = "image";

/// The form of the folder. A newer one is not written.
const VERSION: u32 = 1;

/// The first line of each Terraform file that is written again each time.
const HEAD: &str =
    "# Written by `isobar package`, and overwritten by it. Your own changes belong in custom.tf; see README.md.\n\n";

/// What a folder is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) version: u32,
    pub(crate) target: String,
    pub(crate) stage: String,
    /// Has the stage a function for each kind of trigger? A command without the option keeps it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) split: bool,
    /// Are its programs for arm64?
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) arm64: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Mark {
    pub(crate) fn new(target: &str, stage: &str) -> Self {
        Self { version: VERSION, target: target.to_owned(), stage: stage.to_owned(), split: false, arm64: false }
    }

    /// The mark of a folder; `None` without one. Failures: a file that this version cannot read.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, Failure> {
        let path = folder.join(MARK);
        let failed = || Failure::new(format!("{} cannot be read", path.display()));
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|error| failed().because(&error))?,
        };
        let mark: Self = serde_json::from_str(&text).map_err(|error| {
            failed()
                .because(&error)
                .hint("choose another folder with -o; or, if nothing is deployed from this one, delete it")
        })?;
        match mark.version {
            VERSION => Ok(Some(mark)),
            other => Err(Failure::new(format!(
                "{} is of another isobar: it has the form {other}, and this command writes {VERSION}",
                folder.display()
            ))
            .hint("use the version of isobar that made the stage, or go on with terraform in the folder")),
        }
    }

    /// May the folder be written for this stage? Failures: it is another stage's, or has files of others.
    pub(crate) fn check(&self, folder: &Path) -> Result<(), Failure> {
        let name = folder.display();
        match Self::read(folder)? {
            Some(mark) if mark.target == self.target && mark.stage == self.stage => Ok(()),
            Some(mark) => Err(Failure::new(format!("{name} is of the stage `{}` on {}", mark.stage, mark.target))
                .hint("choose another folder with -o")),
            None => match fs::read_dir(folder).map(|mut entries| entries.next().is_some()) {
                Ok(true) => Err(Failure::new(format!("{name} has other files, and no {MARK}"))
                    .hint("choose another folder with -o: isobar writes into no folder that it did not make")),
                _ => Ok(()),
            },
        }
    }
}

/// The files of a stage, until they are written together.
pub(super) struct Files {
    files: BTreeMap<String, Vec<u8>>,
    /// The names of those with a secret, which only their owner may read.
    private: BTreeSet<String>,
    /// Those that belong to the user after the first time.
    own: BTreeMap<String, String>,
}

impl Files {
    pub(super) fn new(mark: &Mark, manifest: &Manifest) -> Result<Self, Failure> {
        let mut files = Self { files: BTreeMap::new(), private: BTreeSet::new(), own: BTreeMap::new() };
        let mark =
            serde_json::to_string_pretty(mark).map_err(|error| Failure::new("the mark is no JSON").because(&error))?;
        files.raw(MARK, mark + "\n");
        files.raw("manifest.json", manifest.to_json()? + "\n");
        Ok(files)
    }

    /// A Terraform file, without one if there is no text.
    pub(super) fn terraform(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.raw(name, format!("{HEAD}{}\n", text.trim_end()));
        }
    }

    pub(super) fn raw(&mut self, name: &str, content: impl Into<Vec<u8>>) {
        self.files.insert(name.to_owned(), content.into());
    }

    /// A file with a secret.
    pub(super) fn private(&mut self, name: &str, content: impl Into<Vec<u8>>) {
        self.private.insert(name.to_owned());
        self.raw(name, content);
    }

    /// A file of the user, which is written only where none is.
    pub(super) fn own(&mut self, name: &str, text: impl Into<String>) {
        self.own.insert(name.to_owned(), text.into());
    }

    /// Writes the folder: each file as a whole, and only where it changes. Files that an earlier call wrote, and that are no
    /// part of the stage any more, are deleted.
    pub(super) fn write(self, folder: &Path) -> Result<Vec<String>, Failure> {
        let failed = |path: &Path, error: &io::Error| {
            let failure = Failure::new(format!("{} cannot be written", path.display())).because(error);
            failure.hint("choose a folder in which you may write, with -o")
        };
        fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
        for (name, content) in &self.files {
            let path = folder.join(name);
            replace(&path, content, self.private.contains(name)).map_err(|error| failed(&path, &error))?;
        }
        for (name, text) in &self.own {
            let path = folder.join(name);
            if !path.exists() {
                replace(&path, text.as_bytes(), false).map_err(|error| failed(&path, &error))?;
            }
        }
        self.delete_old(folder).map_err(|error| failed(folder, &error))?;
        Ok(self.files.into_keys().chain(self.own.into_keys()).collect())
    }

    fn delete_old(&self, folder: &Path) -> io::Result<()> {
        let old = Texts::read(folder).0.into_keys();
        let old = old.filter(|name| name.to_str().is_none_or(|name| !self.files.contains_key(name)));
        old.map(|name| folder.join(name)).try_for_each(fs::remove_file)?;
        // The contents of an earlier image.
        for entry in fs::read_dir(folder.join(IMAGE).join(BLOBS)).into_iter().flatten() {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if !self.files.contains_key(&format!("{IMAGE}/{BLOBS}/{name}")) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }
}

/// The Terraform files of a folder that `isobar package` writes.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Texts(BTreeMap<OsString, Vec<u8>>);

impl Texts {
    pub(crate) fn read(folder: &Path) -> Self {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let entries = entries.filter(|entry| entry.path().extension().is_some_and(|it| it == "tf"));
        let read = |entry: fs::DirEntry| Some((entry.file_name(), fs::read(entry.path()).ok()?));
        Self(entries.filter_map(read).filter(|(_, text)| text.starts_with(HEAD.as_bytes())).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Stores copies in another folder, and nothing else there.
    pub(crate) fn store(&self, folder: &Path) -> io::Result<()> {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir_all(folder)?,
        }
        self.0.iter().try_for_each(|(name, text)| fs::write(folder.join(name), text))
    }

    /// Replaces these files of a folder by others.
    pub(crate) fn replace(&self, folder: &Path, others: &Self) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::new(format!("{} cannot be written", folder.display())).because(&error);
        others.0.iter().try_for_each(|(name, text)| replace(&folder.join(name), text, false)).map_err(failed)?;
        let old = self.0.keys().filter(|name| !others.0.contains_key(*name));
        old.map(|name| folder.join(name)).try_for_each(fs::remove_file).map_err(failed)
    }
}

/// Replaces a file as a whole.
pub(crate) fn replace(path: &Path, content: &[u8], is_private: bool) -> io::Result<()> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let new = path.with_added_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if is_private {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    options.open(&new)?.write_all(content)?;
    fs::rename(&new, path)
}
