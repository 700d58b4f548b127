//! The one file that holds everything but the content of objects: a redb database with one writer.
//!
//! redb allows one write transaction at a time, and makes it durable with an fsync. So all writes
//! go to one thread, which puts those that wait into one transaction: while one fsync runs, the
//! next transaction fills up (group commit).

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use isobar_abstraction::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use redb::{Database, DatabaseError, ReadTransaction, ReadableDatabase, StorageError, WriteTransaction};
use tokio::sync::oneshot;

/// Memory that redb may use for pages. Its own default is 1 GiB.
const CACHE_BYTES: usize = 128 * 1024 * 1024;

/// Writes that one transaction takes at most.
const GROUP: usize = 1_000;

/// The store of one data folder. Cheap to clone; the file is opened at first use.
#[derive(Clone)]
pub(crate) struct Store(Arc<Lazy>);

struct Lazy {
    folder: PathBuf,
    opened: OnceLock<Opened>,
    opening: Mutex<()>,
}

/// Dropped in the order of its fields: the writer ends when nobody can send to it any more.
struct Opened {
    writes: Sender<Job>,
    database: Arc<Database>,
    _writer: Writer,
}

/// The thread that writes. Dropping it waits for the writes that were asked for, so that the file is
/// free for the next to open it.
struct Writer(Option<JoinHandle<()>>);

impl Drop for Writer {
    fn drop(&mut self) {
        // A write may hold the last handle of its own store.
        let others = |thread: &JoinHandle<()>| thread.thread().id() != std::thread::current().id();
        if let Some(thread) = self.0.take().filter(others) {
            let _ = thread.join();
        }
    }
}

/// Runs one write in a transaction, or learns why there is none; returns what is to be done when the
/// transaction is durable, and a fault that makes the whole transaction void.
type Job = Box<dyn FnOnce(Result<&WriteTransaction>) -> (Option<Error>, Finish) + Send>;

/// Told whether the transaction is durable.
type Finish = Box<dyn FnOnce(Result<()>) + Send>;

impl Store {
    /// The store of this folder, which is made at first use.
    pub(crate) fn new(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self(Arc::new(Lazy { folder, opened: OnceLock::new(), opening: Mutex::new(()) }))
    }

    /// The data folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// Opens the file now. Errors: `Config` where another process has it, `Internal` where it is
    /// corrupt; nothing is changed then.
    pub(crate) fn open(&self) -> Result<()> {
        self.opened().map(drop)
    }

    fn opened(&self) -> Result<&Opened> {
        if let Some(opened) = self.0.opened.get() {
            return Ok(opened);
        }
        let _one_at_a_time = self.0.opening.lock();
        if let Some(opened) = self.0.opened.get() {
            return Ok(opened);
        }
        let opened = open(&self.0.folder)?;
        Ok(self.0.opened.get_or_init(|| opened))
    }

    /// A view of the store as it is now.
    pub(crate) fn read(&self) -> Result<ReadTransaction> {
        self.opened()?.database.begin_read().map_err(|error| fault(error.into()))
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
            let void = result.as_ref().err().filter(|error| is_fault(error)).map(Error::duplicate);
            let finish: Finish = Box::new(move |durable| {
                // Who asked may be gone; the write is durable all the same.
                let _ = sender.send(durable.and(result));
            });
            (void, finish)
        });
        let gone = || Error::new(ErrorKind::Unavailable, "the local store has stopped; start the app again");
        self.opened()?.writes.send(job).map_err(|_| gone())?;
        receiver.await.map_err(|_| gone().with_outcome_unknown())?
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.0.folder.display())
    }
}

fn open(folder: &Path) -> Result<Opened> {
    let file = folder.join("isobar.redb");
    let named = |error: Error| error.with_operation("open").with_resource(file.display().to_string());
    make_folder(folder).map_err(|error| {
        named(Error::config("the data folder cannot be made; set ISOBAR_DATA to another").with_source(error))
    })?;
    let open = || Database::builder().set_cache_size(CACHE_BYTES).create(&file);
    // redb is written not to panic on a damaged file; a user's data deserves the doubt.
    let opened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(open));
    let database = opened.unwrap_or_else(|_| Err(StorageError::Corrupted("unreadable".into()).into()));
    let database = Arc::new(database.map_err(|error| named(open_error(error)))?);
    sync_folder(folder).map_err(|error| {
        named(
            Error::config("the data folder cannot be synced to its disk; set ISOBAR_DATA to another")
                .with_source(error),
        )
    })?;
    let (writes, jobs) = channel();
    let shared = Arc::clone(&database);
    let thread = std::thread::Builder::new().name("isobar-store".into());
    let thread = thread
        .spawn(move || write_groups(&shared, &jobs))
        .map_err(|error| named(Error::internal("the thread that writes cannot be started").with_source(error)))?;
    Ok(Opened { writes, database, _writer: Writer(Some(thread)) })
}

/// What an app stores is for its user's eyes.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

/// Makes the names in a folder durable: without this a loss of power may take the name of a new file,
/// and so all that was written to it.
pub(crate) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    // Elsewhere a folder cannot be opened, and its names are durable without that.
    if cfg!(unix) { std::fs::File::open(folder)?.sync_all() } else { Ok(()) }
}

fn open_error(error: DatabaseError) -> Error {
    let error_of = |kind, message: &str| Error::new(kind, message);
    let described = match &error {
        DatabaseError::DatabaseAlreadyOpen => error_of(
            ErrorKind::Config,
            "another process has this data folder open; stop it, or set ISOBAR_DATA to another folder",
        ),
        DatabaseError::Storage(StorageError::Io(io)) if !is_damage(io) => {
            error_of(ErrorKind::Config, "the data file cannot be opened; check its permissions and the disk")
        }
        _ => error_of(
            ErrorKind::Internal,
            "the data file is damaged or not isobar's, and was left as it is; restore it, or move it away to begin anew",
        ),
    };
    described.with_source(error)
}

/// Does what was read, rather than the reading of it, make no sense?
fn is_damage(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof)
}

/// The writer's thread: ends when the last handle of the store is dropped.
fn write_groups(database: &Database, jobs: &Receiver<Job>) {
    while let Ok(first) = jobs.recv() {
        let group = std::iter::once(first).chain(jobs.try_iter().take(GROUP - 1));
        write_group(database, group);
    }
}

fn write_group(database: &Database, group: impl Iterator<Item = Job>) {
    let transaction = match database.begin_write() {
        Ok(transaction) => transaction,
        Err(error) => {
            let error = fault(error.into());
            return group.for_each(|job| job(Err(error.duplicate())).1(Ok(())));
        }
    };
    let (mut finishes, mut void) = (Vec::new(), None);
    for job in group {
        let (fault, finish) = job(Ok(&transaction));
        finishes.push(finish);
        void = void.or(fault);
        if void.is_some() {
            break;
        }
    }
    let durable = match &void {
        Some(error) => Err(error.duplicate()),
        None => transaction.commit().map_err(broken_off),
    };
    for finish in finishes {
        finish(match &durable {
            Ok(()) => Ok(()),
            Err(error) => Err(error.duplicate()),
        });
    }
}

/// What a commit leaves behind when it fails shows when the file is opened again.
fn broken_off(error: redb::CommitError) -> Error {
    let message = "the store failed while it committed; free space on the disk or check it, then start the app again";
    Error::new(ErrorKind::Unavailable, message).with_source(error).with_outcome_unknown()
}

/// A failure of the file below, in which nothing that is asked can be true or false.
pub(crate) fn fault(error: redb::Error) -> Error {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    let full = matches!(&error, redb::Error::Io(io) if matches!(io.kind(), StorageFull | QuotaExceeded | FileTooLarge));
    let message = if full {
        "the disk is full; nothing was written"
    } else {
        "the local store failed; free space on the disk or check it, then start the app again"
    };
    Error::new(ErrorKind::Unavailable, message).with_source(error)
}

fn is_fault(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Internal)
}
