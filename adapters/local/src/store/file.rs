//! The data file: how it comes to be, how it is opened, and how it is repaired.
//!
//! isobar changes no file that it could not read. redb writes to a file already while it
//! opens it, if it was not closed; so such a file is copied, the copy is repaired, and takes its place.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use isobar_abstraction::{Error, Result};
use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, ReadOnlyDatabase, StorageError};

use super::folder;

/// Memory that redb may use for pages while a file is checked or repaired. Its own default is 1 GiB.
const CACHE_BYTES: usize = 128 << 20;

/// The name of the data file in its folder.
const NAME: &str = "isobar.redb";

/// The data file of a folder that this process holds.
#[derive(Debug)]
pub(super) struct DataFile(PathBuf);

impl DataFile {
    pub(super) fn of(folder: &Path) -> Self {
        Self(folder.join(NAME))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Opens the file, and makes it where there is none.
    ///
    /// Errors: `Config` where another process has it, or where the disk refuses; `Internal` where it is
    /// damaged, and was left as it is.
    pub(super) fn open(&self, cache_bytes: usize) -> Result<Database> {
        self.opened(cache_bytes)
            .map_err(|error| error.with_operation("open").with_resource(self.0.display().to_string()))
    }

    fn opened(&self, cache_bytes: usize) -> Result<Database> {
        match self.0.try_exists() {
            Ok(true) => {}
            Ok(false) => self.create()?,
            Err(error) => return Err(unusable(error)),
        }
        if self.needs_repair()? {
            self.repair()?;
        }
        caught(|| builder().set_cache_size(cache_bytes).open(&self.0)).map_err(|error| open_error(error, DAMAGED))
    }

    /// The whole file appears under its name, or none: a start that breaks off leaves nothing in the way.
    fn create(&self) -> Result<()> {
        self.check_that_nothing_is_missing()?;
        let new = self.sibling("new");
        let create = || -> std::result::Result<(), DatabaseError> {
            let _ = std::fs::remove_file(&new);
            let file = folder::private_file().open(&new).map_err(StorageError::from)?;
            builder().create_with_backend(FileBackend::new(file)?)?.close()?;
            Ok(self.put_in_place(&new).map_err(StorageError::from)?)
        };
        caught(create).map_err(|error| {
            let _ = std::fs::remove_file(&new);
            let message = match io_of(&error).is_some_and(super::is_full) {
                true => "the disk is full, so the data file cannot be made; free space, then start the app again",
                false => "the data file cannot be made; check the disk, or set ISOBAR_DATA to another folder",
            };
            Error::config(message).with_source(error)
        })
    }

    /// Content without the file that names it is not ours to throw away.
    fn check_that_nothing_is_missing(&self) -> Result<()> {
        let objects = self.0.with_file_name("objects");
        let has_content = std::fs::read_dir(objects).is_ok_and(|mut entries| entries.next().is_some());
        match has_content {
            false => Ok(()),
            true => Err(Error::internal(
                "the data file is missing, while the content of objects is there; restore the file, or move the \
                 whole folder away to begin with an empty one",
            )),
        }
    }

    fn put_in_place(&self, new: &Path) -> io::Result<()> {
        File::open(new)?.sync_all()?;
        std::fs::rename(new, &self.0)?;
        self.0.parent().map_or(Ok(()), folder::sync)
    }

    fn sibling(&self, ending: &str) -> PathBuf {
        self.0.with_file_name(format!("{NAME}.{ending}"))
    }

    /// Was the file not closed by the process that had it last? Changes nothing.
    fn needs_repair(&self) -> Result<bool> {
        match caught(|| builder().open_read_only(&self.0)) {
            Ok(_) => Ok(false),
            Err(DatabaseError::RepairAborted) => Ok(true),
            Err(error) => Err(open_error(error, UNTOUCHED)),
        }
    }

    /// Repairs a copy, which takes the place of the file; the original file stays next to it.
    fn repair(&self) -> Result<()> {
        let copy = self.sibling("repair");
        let repaired = self.copied(&copy, NOT_REPAIRED).and_then(|()| repair(&copy));
        let backup = repaired.and_then(|lost| {
            let backup = self.backup_path(lost);
            let moved = self.keep(&backup).and_then(|()| self.put_in_place(&copy));
            moved.map_err(unusable).map(|()| (backup, lost))
        });
        let (backup, lost) = backup.inspect_err(|_| drop(std::fs::remove_file(&copy)))?;
        let (file, backup) = (self.0.display(), backup.display());
        match lost {
            false => tracing::warn!(%file, %backup, "the data file was not closed and is repaired; nothing is missing"),
            true => tracing::warn!(
                %file,
                %backup,
                "the data file was damaged and is repaired: the last writes may be missing; `backup` is the file before the repair"
            ),
        }
        Ok(())
    }

    /// One name for what a kill leaves; a name of its own for each file that lost something.
    fn backup_path(&self, lost: bool) -> PathBuf {
        let free = |number: &u32| !self.sibling(&format!("damaged-{number}")).exists();
        let number = lost.then(|| (1..).find(free)).flatten();
        self.sibling(&number.map_or("before-repair".to_owned(), |number| format!("damaged-{number}")))
    }

    /// Gives the file a second name. Where a file has one name only, it is copied.
    fn keep(&self, backup: &Path) -> io::Result<()> {
        let _ = std::fs::remove_file(backup);
        std::fs::hard_link(&self.0, backup).or_else(|_| copy(&self.0, backup))
    }

    fn copied(&self, to: &Path, failed: &str) -> Result<()> {
        let _ = std::fs::remove_file(to);
        copy(&self.0, to).map_err(|error| Error::config(failed).with_source(error))
    }

    /// Opens the file without a change; `None` where there is none.
    ///
    /// Errors: `Internal` where it is damaged, or was not closed.
    pub(super) fn look(&self) -> Result<Option<ReadOnlyDatabase>> {
        if !self.0.try_exists().map_err(unusable)? {
            return Ok(None);
        }
        caught(|| builder().open_read_only(&self.0)).map(Some).map_err(|error| match error {
            DatabaseError::RepairAborted => Error::internal(NOT_CLOSED),
            error => open_error(error, UNTOUCHED),
        })
    }

    /// Looks at every page of a copy, and changes nothing. Returns what it found, as a sentence.
    ///
    /// Errors: `Internal` where the file is damaged.
    pub(super) fn check(&self) -> Result<&'static str> {
        let named = |error: Error| error.with_operation("check").with_resource(self.0.display().to_string());
        if !self.0.try_exists().map_err(|error| named(unusable(error)))? {
            return Ok("there is no data file yet");
        }
        let copy = self.sibling("check");
        let checked = self.needs_repair().and_then(|unclosed| {
            self.copied(&copy, NOT_CHECKED)?;
            let lost = unclosed && repair(&copy)?;
            let whole = caught(|| builder().open(&copy)?.check_integrity());
            let whole = whole.map_err(|error| open_error(error, UNTOUCHED))?;
            match (whole && !lost, unclosed) {
                (false, _) => Err(Error::internal(UNTOUCHED)),
                (true, false) => Ok("the data file is whole"),
                (true, true) => Ok("the data file is whole; it was not closed, and the next start repairs that"),
            }
        });
        let _ = std::fs::remove_file(&copy);
        checked.map_err(named)
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut written = folder::private_file().open(to)?;
    io::copy(&mut File::open(from)?, &mut written)?;
    written.sync_all()
}

/// Repairs the file at this path. Was something given up for it, which had been written?
fn repair(file: &Path) -> Result<bool> {
    let lost = Rc::new(Cell::new(false));
    let sink = Rc::clone(&lost);
    let repaired = caught(move || {
        let mut builder = builder();
        builder.set_repair_callback(move |session| {
            // redb reports 0.3 only where it falls back to the commit before the last.
            sink.set(sink.get() || (0.2..0.5).contains(&session.progress()));
        });
        builder.open(file)?.close()
    });
    repaired.map_err(|error| open_error(error, UNTOUCHED))?;
    Ok(lost.get())
}

fn builder() -> Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// redb is written not to panic on a damaged file; a user's data deserves the doubt.
fn caught<T>(open: impl FnOnce() -> std::result::Result<T, DatabaseError>) -> std::result::Result<T, DatabaseError> {
    let opened = catch_unwind(AssertUnwindSafe(open));
    opened.unwrap_or_else(|_| Err(StorageError::Corrupted("it cannot be read".into()).into()))
}

fn io_of(error: &DatabaseError) -> Option<&io::Error> {
    match error {
        DatabaseError::Storage(StorageError::Io(error)) => Some(error),
        _ => None,
    }
}

fn unusable(error: io::Error) -> Error {
    Error::config("the data file cannot be opened; check its permissions and the disk").with_source(error)
}

const NOT_REPAIRED: &str = "the data file was not closed, and there is no copy of it to repair; free as much space on \
                            the disk as the file has";

const NOT_CLOSED: &str = "the data file was not closed; start the app and stop it, which repairs that";

const NOT_CHECKED: &str = "the check reads a copy of the data file, which cannot be made next to it; free as much space \
                           on the disk as the file has, then check again";

const DAMAGED: &str = "the data file is damaged; restore it, or move the whole folder away to begin with an empty one";

const UNTOUCHED: &str = "the data file is damaged, not isobar's or of a newer isobar, and was left as it is; restore it, \
                         update isobar, or move the whole folder away to begin with an empty one";

fn open_error(error: DatabaseError, damaged: &str) -> Error {
    let described = match &error {
        DatabaseError::DatabaseAlreadyOpen => folder::in_use(),
        DatabaseError::Storage(StorageError::Io(io)) if super::is_full(io) => Error::config(super::FULL),
        // Where what was read makes no sense, rather than the reading of it, the file is damaged.
        DatabaseError::Storage(StorageError::Io(io))
            if !matches!(io.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
        {
            Error::config("the data file cannot be opened; check its permissions and the disk")
        }
        _ => Error::internal(damaged),
    };
    described.with_source(error)
}
