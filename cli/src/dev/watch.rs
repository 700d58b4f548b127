//! The files whose change causes a build.
//!
//! Each folder is watched by itself, because a watch of a whole tree would see all that cargo writes below `target/`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{EventKind, ModifyKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::{Instant, timeout_at};

use super::ignored;
use crate::failure::Failure;
use crate::project::Project;

/// Changes are one change until there was none for this time…
const QUIET: Duration = Duration::from_millis(50);

/// … and for at most this time.
const LONGEST: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Watch {
    watcher: RecommendedWatcher,
    changed: UnboundedReceiver<PathBuf>,
    watched: BTreeSet<PathBuf>,
    /// Those of `watched` whose files are sources.
    folders: BTreeSet<PathBuf>,
    /// The folders of packages.
    sources: Vec<PathBuf>,
    target: PathBuf,
    /// Files that count although their names are hidden or ignored.
    settings: Vec<PathBuf>,
    lock: PathBuf,
    /// The lock file as cargo left it.
    locked: Option<Vec<u8>>,
}

impl Watch {
    /// Watches the sources of a project, and these files of settings. Failures: the system watches no files.
    pub(super) fn start(project: &Project, settings: Vec<PathBuf>) -> Result<Self, Failure> {
        let (changing, changed) = mpsc::unbounded_channel();
        let report = move |event: notify::Result<Event>| {
            let event = event.ok().filter(is_of_content);
            // Without a receiver the command ends.
            event.into_iter().flat_map(|event| event.paths).for_each(|path| _ = changing.send(path));
        };
        let watcher = notify::recommended_watcher(report)
            .map_err(|error| Failure::new("this system cannot watch files").because(&error))?;
        let mut watch = Self {
            watcher,
            changed,
            watched: BTreeSet::new(),
            folders: BTreeSet::new(),
            sources: Vec::new(),
            target: project.target.clone(),
            settings,
            lock: project.root.join("Cargo.lock"),
            locked: None,
        };
        watch.follow(project)?;
        watch.settle();
        Ok(watch)
    }

    /// Watches the sources that the project has now. Failures: the limit of the system is reached.
    pub(super) fn follow(&mut self, project: &Project) -> Result<(), Failure> {
        self.sources.clone_from(&project.sources);
        self.add(&project.root)?;
        project.sources.iter().try_for_each(|folder| self.add_all(folder))
    }

    /// After a build, which may have written the lock file.
    pub(super) fn settle(&mut self) {
        self.locked = fs::read(&self.lock).ok();
        // They may be in a folder that did not exist before.
        for folder in self.settings.iter().filter_map(|file| file.parent()).map(Path::to_owned).collect::<Vec<_>>() {
            let _ = self.add(&folder);
        }
    }

    /// Waits for changes.
    pub(super) async fn changes(&mut self) -> Result<BTreeSet<PathBuf>, Failure> {
        loop {
            let mut found = BTreeSet::from([self.next().await]);
            let end = Instant::now() + LONGEST;
            while let Ok(path) = timeout_at(end.min(Instant::now() + QUIET), self.next()).await {
                found.insert(path);
            }
            // The files that an editor renames have no names any more.
            if found.iter().any(|path| path.exists()) {
                found.retain(|path| path.exists());
            }
            ignored::remove_ignored(&mut found, &self.settings);
            for folder in found.iter().filter(|path| path.is_dir()) {
                self.add_all(folder)?;
            }
            if !found.is_empty() {
                return Ok(found);
            }
        }
    }

    /// The next path that may be one of the sources.
    async fn next(&mut self) -> PathBuf {
        loop {
            let Some(path) = self.changed.recv().await else { return std::future::pending().await };
            if self.counts(&path) {
                return path;
            }
        }
    }

    /// A file that the program reads when it runs, which changes no build.
    pub(super) fn is_setting(&self, path: &Path) -> bool {
        self.settings.iter().any(|file| file == path)
    }

    fn counts(&self, path: &Path) -> bool {
        if self.is_setting(path) {
            return true;
        }
        if *path == *self.lock {
            return fs::read(path).ok() != self.locked;
        }
        let is_source = path.parent().is_some_and(|folder| self.folders.contains(folder));
        let is_manifest = path.file_name().is_some_and(|name| name == "Cargo.toml");
        (is_source || is_manifest) && !ignored::by_name(path, &self.target)
    }

    fn add(&mut self, folder: &Path) -> Result<(), Failure> {
        if self.watched.contains(folder) || !folder.is_dir() {
            return Ok(());
        }
        self.watcher.watch(folder, RecursiveMode::NonRecursive).map_err(|error| {
            let failure = Failure::new(format!("{} cannot be watched", folder.display())).because(&error);
            failure.hint("if the limit of watches is reached, raise it: sysctl fs.inotify.max_user_watches=524288")
        })?;
        self.watched.insert(folder.to_owned());
        Ok(())
    }

    /// Watches a folder and those in it, without other packages, and without those that git ignores.
    fn add_all(&mut self, folder: &Path) -> Result<(), Failure> {
        let mut level = BTreeSet::from([folder.to_owned()]);
        while !level.is_empty() {
            level.iter().try_for_each(|folder| self.add(folder))?;
            self.folders.extend(level.iter().cloned());
            let entries = level.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
            let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            let own = folders.map(|entry| entry.path()).filter(|path| {
                !ignored::by_name(path, &self.target)
                    && (!path.join("Cargo.toml").exists() || self.sources.contains(path))
            });
            level = own.collect();
            ignored::remove_ignored(&mut level, &[]);
        }
        Ok(())
    }
}

/// A read, and a change of times or rights, change no program.
fn is_of_content(event: &Event) -> bool {
    !matches!(event.kind, EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)))
}
