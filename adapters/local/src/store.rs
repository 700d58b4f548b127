//! The data file, which contains everything except the content of objects: a redb database with one writer.
//!
//! redb allows one write transaction at a time, and makes it durable with an fsync. So one thread makes
//! all writes, and puts all that wait into one transaction: while an fsync runs, the writes of the next
//! transaction queue up (group commit).

mod file;
pub(crate) mod folder;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use isobar_abstraction::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use redb::{Database, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, WriteTransaction};
use tokio::sync::oneshot;

use file::DataFile;
use folder::FolderLock;
use writer::{End, Finish, Job, Place, Writer};

/// The store of one data folder. Cheap to clone; the file is opened at first use.
#[derive(Clone)]
pub(crate) struct Store(Arc<Lazy>);

struct Lazy {
    folder: PathBuf,
    /// The memory for pages.
    cache_bytes: usize,
    opened: OnceLock<Opened>,
    opening: Mutex<()>,
    end: Arc<End>,
}

/// The open store. Its fields are dropped in order: the writer ends first, and the lock of the folder last.
struct Opened {
    writer: Writer,
    place: Arc<Place>,
    database: Arc<Database>,
    _folder: FolderLock,
}

/// A snapshot of the file of a folder that no process uses. Its fields are dropped in order.
pub(crate) struct Look {
    pub(crate) read: ReadTransaction,
    _database: ReadOnlyDatabase,
    _lock: Option<FolderLock>,
}

impl Store {
    /// The store of this folder, which is created at first use, with memory for so many bytes of pages.
    pub(crate) fn new(folder: impl Into<PathBuf>, cache_bytes: usize) -> Self {
        let folder = folder.into();
        Self(Arc::new(Lazy {
            folder,
            cache_bytes,
            opened: OnceLock::new(),
            opening: Mutex::new(()),
            end: Arc::default(),
        }))
    }

    /// The data folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// Opens the file now. Errors: `Config` where another process uses it, `Internal` where it is
    /// damaged; nothing is changed then.
    pub(crate) fn open(&self) -> Result<()> {
        self.opened().map(drop)
    }

    /// Checks every page of the file, and returns the result as a sentence. It changes nothing; it makes a
    /// copy, which it removes.
    ///
    /// Errors: `Config` where another process uses the folder, `Internal` where the file is damaged.
    pub(crate) fn check(&self) -> Result<&'static str> {
        let _lock = folder::take_as_it_is(&self.0.folder)?;
        DataFile::of(&self.0.folder).check()
    }

    /// A snapshot for a tool, which changes nothing; `None` where there is no file yet. No other process can use the folder while
    /// it exists.
    ///
    /// Errors: `Config` where another process uses the folder, `Internal` where the file is damaged or was not closed.
    pub(crate) fn look(&self) -> Result<Option<Look>> {
        let lock = folder::take_as_it_is(&self.0.folder)?;
        let Some(database) = DataFile::of(&self.0.folder).look()? else { return Ok(None) };
        let read = database.begin_read().map_err(failed)?;
        Ok(Some(Look { read, _database: database, _lock: lock }))
    }

    /// Has another process the folder?
    pub(crate) fn is_in_use(&self) -> bool {
        folder::take_as_it_is(&self.0.folder).is_err_and(|error| error.message() == folder::IN_USE)
    }

    /// Waits until the store accepts no more writes, and returns the reason: the file failed, was removed, or is
    /// damaged.
    pub(crate) async fn ended(&self) -> Error {
        self.0.end.wait().await
    }

    /// Checks that the file is still the one that was opened. Errors: `Unavailable`, and the store ends.
    pub(crate) async fn check_place(&self) -> Result<()> {
        match self.opened()?.place.check() {
            Ok(()) => Ok(()),
            // The writer finds the same, and ends the store for all callers.
            Err(_) => self.write(|_| Ok(())).await,
        }
    }

    fn opened(&self) -> Result<&Opened> {
        if let Some(opened) = self.0.opened.get() {
            return Ok(opened);
        }
        let _one_at_a_time = self.0.opening.lock();
        if let Some(opened) = self.0.opened.get() {
            return Ok(opened);
        }
        let opened = open(&self.0.folder, self.0.cache_bytes, &self.0.end)?;
        Ok(self.0.opened.get_or_init(|| opened))
    }

    /// A snapshot of the store.
    pub(crate) fn read(&self) -> Result<ReadTransaction> {
        self.0.end.check()?;
        self.opened()?.database.begin_read().map_err(failed)
    }

    /// Applies a write; it is durable when this returns `Ok`.
    ///
    /// It is applied also when the caller drops the future. `write` must check before it changes
    /// anything: after an error of kind `Conflict`, `AlreadyExists`, `InvalidInput` or `NotFound` the
    /// transaction continues for the other writes, while a fault ([`is_fault`]) aborts it for all.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&WriteTransaction) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |transaction| {
            let result = transaction.and_then(write);
            let void = result.as_ref().err().filter(|error| is_fault(error)).cloned();
            let finish: Finish = Box::new(move |durable| {
                // The caller may have dropped the future; the write is durable nevertheless.
                let _ = sender.send(durable.and(result));
            });
            (void, finish)
        });
        self.opened()?.writer.send(job)?;
        match receiver.await {
            Ok(written) => written,
            // The write panicked, which ends the store.
            Err(_) => Err(self.ended().await.with_outcome_unknown()),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.0.folder.display())
    }
}

fn open(folder: &Path, cache_bytes: usize, end: &Arc<End>) -> Result<Opened> {
    let lock = folder::take(folder)?;
    let file = DataFile::of(folder);
    let database = Arc::new(file.open(cache_bytes)?);
    let place = Place::of(file.path()).map_err(failed)?;
    let place = Arc::new(place);
    let writer = Writer::start(Arc::clone(&database), Arc::clone(&place), Arc::clone(end))?;
    Ok(Opened { writer, place, database, _folder: lock })
}

const FULL: &str = "the disk is full; nothing was written";

const FULL_AT_COMMIT: &str = "the disk is full; the outcome of the last writes is known at the next start";

pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::FileTooLarge | io::ErrorKind::QuotaExceeded | io::ErrorKind::StorageFull)
}

/// The error of a failed file.
pub(crate) fn failed(error: impl Into<redb::Error>) -> Error {
    failure(error.into(), FULL)
}

/// The error of a failed commit: whether it was applied is known when the file is opened again.
fn commit_failed(error: impl Into<redb::Error>) -> Error {
    failure(error.into(), FULL_AT_COMMIT).with_outcome_unknown()
}

fn failure(error: redb::Error, full: &str) -> Error {
    let message = match &error {
        redb::Error::Io(io) if is_full(io) => full,
        _ => "the local store failed; free space on the disk or check it, then start the app again",
    };
    Error::new(ErrorKind::Unavailable, message).with_source(error)
}

pub(crate) fn is_fault(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Internal)
}
