//! The one file that holds everything but the content of objects: a redb database with one writer.
//!
//! redb allows one write transaction at a time, and makes it durable with an fsync. So all writes
//! go to one thread, which puts those that wait into one transaction: while one fsync runs, the
//! next transaction fills up (group commit).

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
use redb::{Database, ReadTransaction, ReadableDatabase, WriteTransaction};
use tokio::sync::oneshot;

use file::DataFile;
use folder::Held;
use writer::{End, Finish, Job, Place, Writer};

/// The store of one data folder. Cheap to clone; the file is opened at first use.
#[derive(Clone)]
pub(crate) struct Store(Arc<Lazy>);

struct Lazy {
    folder: PathBuf,
    opened: OnceLock<Opened>,
    opening: Mutex<()>,
    end: Arc<End>,
}

/// Dropped in the order of its fields: the writer ends first, and others may have the folder last.
struct Opened {
    writer: Writer,
    place: Arc<Place>,
    database: Arc<Database>,
    _folder: Held,
}

impl Store {
    /// The store of this folder, which is made at first use.
    pub(crate) fn new(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self(Arc::new(Lazy { folder, opened: OnceLock::new(), opening: Mutex::new(()), end: Arc::default() }))
    }

    /// The data folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// Opens the file now. Errors: `Config` where another process has it, `Internal` where it is
    /// damaged; nothing is changed then.
    pub(crate) fn open(&self) -> Result<()> {
        self.opened().map(drop)
    }

    /// Looks at every page of the file, and returns what it found, as a sentence. It makes and changes nothing,
    /// but for a copy that it removes.
    ///
    /// Errors: `Config` where another process has the folder, `Internal` where the file is damaged.
    pub(crate) fn check(&self) -> Result<&'static str> {
        let _held = folder::take_as_it_is(&self.0.folder)?;
        DataFile::of(&self.0.folder).check()
    }

    /// Waits until the store takes no more writes, and says why: the file failed, is gone, or made no sense.
    pub(crate) async fn ended(&self) -> Error {
        self.0.end.wait().await
    }

    /// Is the file still in its place? Errors: `Unavailable`, and the store ends.
    pub(crate) async fn check_place(&self) -> Result<()> {
        match self.opened()?.place.check() {
            Ok(()) => Ok(()),
            // The writer sees the same, and says so to all.
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
        let opened = open(&self.0.folder, &self.0.end)?;
        Ok(self.0.opened.get_or_init(|| opened))
    }

    /// A view of the store as it is now.
    pub(crate) fn read(&self) -> Result<ReadTransaction> {
        self.0.end.check()?;
        self.opened()?.database.begin_read().map_err(failed)
    }

    /// Applies a write; it is durable when this returns `Ok`.
    ///
    /// It happens also when the caller drops the future. `write` must check before it changes
    /// anything: an error of its own kinds (`Conflict`, `AlreadyExists`, `InvalidInput`, `NotFound`)
    /// leaves the transaction to its neighbours, while a [`fault`] voids it for all.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&WriteTransaction) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |transaction| {
            let result = transaction.and_then(write);
            let void = result.as_ref().err().filter(|error| is_fault(error)).map(Error::clone);
            let finish: Finish = Box::new(move |durable| {
                // Who asked may be gone; the write is durable all the same.
                let _ = sender.send(durable.and(result));
            });
            (void, finish)
        });
        self.opened()?.writer.send(job)?;
        match receiver.await {
            Ok(written) => written,
            // The write broke off in a panic, which ends the store.
            Err(_) => Err(self.ended().await.with_outcome_unknown()),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.0.folder.display())
    }
}

fn open(folder: &Path, end: &Arc<End>) -> Result<Opened> {
    let held = folder::take(folder)?;
    let file = DataFile::of(folder);
    let database = Arc::new(file.open()?);
    let place = Place::of(file.path()).map_err(failed)?;
    let place = Arc::new(place);
    let writer = Writer::start(Arc::clone(&database), Arc::clone(&place), Arc::clone(end))?;
    Ok(Opened { writer, place, database, _folder: held })
}

const FULL: &str = "the disk is full; nothing was written";

const FULL_AT_COMMIT: &str = "the disk is full; whether the last writes are kept shows at the next start";

pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::FileTooLarge | io::ErrorKind::QuotaExceeded | io::ErrorKind::StorageFull)
}

/// A failure of the file below, in which nothing that is asked can be true or false.
pub(crate) fn failed(error: impl Into<redb::Error>) -> Error {
    failure(error.into(), FULL)
}

/// A failure of the commit itself: what it leaves behind shows when the file is opened again.
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

fn is_fault(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Internal)
}
