//! The writer thread: waiting writes share one transaction and one fsync (group commit).

use std::fs::{File, Metadata};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use isobar_abstraction::{Error, ErrorKind, Result};
use redb::{Database, WriteTransaction};
use tokio::sync::Notify;

use super::{FULL, FULL_AT_COMMIT, commit_failed, failed};

/// Writes that one transaction takes at most.
const GROUP: usize = 1_000;

/// Runs one write in a transaction, or receives the error of its start; returns the function to call when the
/// transaction is durable, and a fault that aborts the whole transaction.
pub(super) type Job = Box<dyn FnOnce(Result<&WriteTransaction>) -> (Option<Error>, Finish) + Send>;

/// Called with the result of the transaction.
pub(super) type Finish = Box<dyn FnOnce(Result<()>) + Send>;

/// Why the store takes no more writes. It never takes one again: redb refuses all that follows a failure of
/// the file, and what is in memory is not known to be what is on the disk.
#[derive(Debug, Default)]
pub(super) struct End {
    why: OnceLock<Error>,
    ended: Notify,
}

impl End {
    /// Errors: why the store has ended.
    pub(super) fn check(&self) -> Result<()> {
        self.why.get().map_or(Ok(()), |why| Err(why.clone()))
    }

    /// Waits for the end of the store, without a limit.
    pub(super) async fn wait(&self) -> Error {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if let Some(why) = self.why.get() {
                return why.clone();
            }
            ended.await;
        }
    }

    fn set(&self, why: Error) {
        if self.why.set(why).is_ok() {
            self.ended.notify_waiters();
        }
    }
}

/// The thread. Dropping it waits for the writes that were asked for, so that the file is free for the next to
/// open it.
pub(super) struct Writer {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Without a sender the thread ends.
        drop(self.jobs.take());
        // A write may hold the last handle of its own store.
        let others = |thread: &JoinHandle<()>| thread.thread().id() != std::thread::current().id();
        if let Some(thread) = self.thread.take().filter(others) {
            let _ = thread.join();
        }
    }
}

impl Writer {
    pub(super) fn start(database: Arc<Database>, place: Arc<Place>, end: Arc<End>) -> Result<Self> {
        let (sender, jobs) = channel();
        let thread = std::thread::Builder::new().name("isobar-store".into());
        let work = move || Work { database, place, end }.run(&jobs);
        let failed = |error| Error::internal("the thread that writes cannot be started").with_source(error);
        Ok(Self { jobs: Some(sender), thread: Some(thread.spawn(work).map_err(failed)?) })
    }

    /// Errors: `Unavailable` where the thread is gone.
    pub(super) fn send(&self, job: Job) -> Result<()> {
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if sent { Ok(()) } else { Err(gone()) }
    }
}

pub(super) fn gone() -> Error {
    Error::new(ErrorKind::Unavailable, "the local store has stopped; start the app again")
}

struct Work {
    database: Arc<Database>,
    place: Arc<Place>,
    end: Arc<End>,
}

impl Work {
    /// Ends when the last handle of the store is dropped.
    fn run(self, jobs: &Receiver<Job>) {
        // If the thread unwound, its callers would wait without end.
        self.or_end(|| self.write_all(jobs));
    }

    /// A panic in this ends the store.
    fn or_end(&self, work: impl FnOnce()) {
        let ended = caught(|| {
            work();
            Ok(())
        });
        if let Err(error) = ended {
            self.end.set(last_word(&error, &self.place.file));
        }
    }

    fn write_all(&self, jobs: &Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            match self.end.check() {
                Ok(()) => self.write_group(std::iter::once(first).chain(jobs.try_iter().take(GROUP - 1))),
                Err(why) => first(Err(why)).1(Ok(())),
            }
        }
    }

    fn write_group(&self, group: impl Iterator<Item = Job>) {
        let mut finishes = Vec::new();
        let written = caught(|| commit(&self.database, group, &mut finishes));
        // A write to a file that has no name any more would be gone at the next start: it is not acknowledged.
        let written = written.and_then(|()| self.place.check().map_err(Error::with_outcome_unknown));
        if let Err(error) = &written
            && error.kind() == ErrorKind::Unavailable
        {
            self.end.set(last_word(error, &self.place.file));
        }
        for finish in finishes {
            // The panic of one must not keep the others from their answers.
            self.or_end(|| finish(written.as_ref().map_err(Error::clone).copied()));
        }
    }
}

/// What ends the host, with what to do about it.
pub(super) fn last_word(error: &Error, file: &Path) -> Error {
    let message = match error.message() {
        FULL | FULL_AT_COMMIT => {
            "the disk is full; free space, then start the app again: all that was acknowledged is kept"
        }
        other => other,
    };
    let ended = Error::new(ErrorKind::Unavailable, message).with_resource(file.display().to_string());
    match std::error::Error::source(error) {
        Some(source) => ended.with_source(source.to_string()),
        None => ended,
    }
}

fn commit(database: &Database, group: impl Iterator<Item = Job>, finishes: &mut Vec<Finish>) -> Result<()> {
    let transaction = match database.begin_write() {
        Ok(transaction) => transaction,
        Err(error) => {
            let error = failed(error);
            finishes.extend(group.map(|job| job(Err(error.clone())).1));
            return Err(error);
        }
    };
    for job in group {
        let (void, finish) = job(Ok(&transaction));
        finishes.push(finish);
        if let Some(fault) = void {
            return Err(fault);
        }
    }
    transaction.commit().map_err(commit_failed)
}

/// A panic in redb must not end the thread: it has found something in the file that makes no sense.
pub(super) fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let message = "the local store panicked, perhaps on a damaged data file; run the app with `--check`, and \
                       restore the data folder or move it away";
        Err(Error::new(ErrorKind::Unavailable, message).with_outcome_unknown())
    })
}

/// The data file as it was opened, to see that it is still the one under its name.
#[derive(Debug)]
pub(super) struct Place {
    file: PathBuf,
    opened: Metadata,
}

impl Place {
    pub(super) fn of(file: &Path) -> io::Result<Self> {
        Ok(Self { file: file.to_owned(), opened: File::open(file)?.metadata()? })
    }

    /// Errors: `Unavailable` where the file was removed, or another one is in its place.
    pub(super) fn check(&self) -> Result<()> {
        let removed = "the data file was removed or replaced while the app ran, and what was written since is lost \
                       with it; start the app again";
        match std::fs::metadata(&self.file) {
            Ok(found) if same_file(&found, &self.opened) => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let message = "the data file cannot be seen any more; check the disk, then start the app again";
                Err(Error::new(ErrorKind::Unavailable, message).with_source(error))
            }
            _ => Err(Error::new(ErrorKind::Unavailable, removed)),
        }
    }
}

#[cfg(unix)]
fn same_file(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// Elsewhere a file that is open cannot be replaced.
#[cfg(not(unix))]
fn same_file(_: &Metadata, _: &Metadata) -> bool {
    true
}
