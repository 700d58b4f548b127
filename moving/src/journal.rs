//! The journal: what was written to the target, in a file of redb.
//!
//! A record is made after the write that it describes, and an intent before it. So a process that is killed leaves intents:
//! the next one asks the target which of them became writes.

use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use isobar_abstraction::driver::key_value::Key;
use isobar_abstraction::{Error, ErrorKind, Result};
use redb::backends::FileBackend;
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition, WriteTransaction,
};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use tokio::sync::oneshot;

/// The memory of the pages of the file, for reads and for writes.
const CACHE: usize = 4 << 20;

/// The changes that one transaction takes at most.
const GROUP: usize = 64;

const FORMAT: &str = "1";

const FACTS: TableDefinition<'_, &str, &str> = TableDefinition::new("facts");
/// The number of a resource, by its name.
const RESOURCES: TableDefinition<'_, &str, u16> = TableDefinition::new("resources");
/// The hash of an item, and whether this tool wrote it, by resource, partition and sort key.
const ITEMS: TableDefinition<'_, (u16, &str, &str), (u128, bool)> = TableDefinition::new("items");
/// The items that are about to be written, by number.
const INTENTS: TableDefinition<'_, (u16, u64), &[u8]> = TableDefinition::new("intents");
/// The record of an object as JSON, by resource and stored name.
const OBJECTS: TableDefinition<'_, (u16, &str), &[u8]> = TableDefinition::new("objects");

/// An item at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ItemRecord {
    pub(crate) hash: u128,
    /// Did this tool write it? Otherwise it was there already, and equal.
    pub(crate) ours: bool,
}

/// An object at the target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ObjectRecord {
    /// The version at the source.
    pub(crate) source: String,
    /// The version at the target.
    pub(crate) target: Option<String>,
    /// The time of its last write at the target, where a listing has stated it.
    pub(crate) written: Option<i64>,
    /// The SHA-256 of the content, in hexadecimal digits.
    pub(crate) hash: String,
    /// Did this tool write it? Otherwise it was there already, and equal.
    pub(crate) ours: bool,
    /// The hash of a content that is about to be written, and may have been.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) intent: Option<String>,
}

/// One change of the journal.
#[derive(Debug)]
pub(crate) enum Change {
    Intend { resource: u16, number: u64, items: Vec<(Key, u128)> },
    Wrote { resource: u16, number: Option<u64>, items: Vec<(Key, ItemRecord)> },
    Forget { resource: u16, keys: Vec<Key> },
    ForgetAll { resource: u16 },
    Object { resource: u16, name: String, record: Option<ObjectRecord> },
    Fact { name: String, value: Option<String> },
}

/// The number of an intent, and the items that are about to be written, with their hashes.
pub(crate) type Intent = (u64, Vec<(Key, u128)>);

type Job = (Change, Option<oneshot::Sender<Result<()>>>);

/// The journal of one pair of sides. Only one process can have it open.
#[derive(Debug)]
pub struct Journal {
    // Dropped first, which ends the thread.
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    database: Arc<Database>,
}

/// Reads the records of items. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Records(Arc<Database>);

impl Records {
    /// The records of items; `None` where there is none.
    pub(crate) fn of<'a>(&self, resource: u16, keys: impl Iterator<Item = &'a Key>) -> Result<Vec<Option<ItemRecord>>> {
        let items = self.0.begin_read().map_err(failed)?.open_table(ITEMS).map_err(failed)?;
        let record = |key: &Key| {
            let found = items.get((resource, key.partition.as_str(), key.sort.as_str())).map_err(failed)?;
            Ok(found.map(|found| {
                let (hash, ours) = found.value();
                ItemRecord { hash, ours }
            }))
        };
        keys.map(record).collect()
    }
}

impl Journal {
    /// Opens the file of a pair, or makes it. `from` and `to` are the names of the sides.
    ///
    /// Errors: `Conflict` while another process has it; `Config` for a file of another pair or version; `Internal` for one that
    /// is damaged.
    pub fn open(path: &Path, from: &str, to: &str) -> Result<Self> {
        let opened = caught(|| opened(path)).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => {
                Error::conflict("another process moves data between these sides; wait until it ends")
            }
            DatabaseError::Storage(StorageError::Io(error)) if !is_damage(&error) => {
                unwritable(error).with_resource(path.display().to_string())
            }
            error => damaged().with_source(error).with_resource(path.display().to_string()),
        })?;
        let journal = Self::start(opened)?;
        let facts = [("format", FORMAT), ("from", from), ("to", to)];
        let transaction = journal.database.begin_write().map_err(failed)?;
        {
            let mut stored = transaction.open_table(FACTS).map_err(failed)?;
            for (name, value) in facts {
                let before = stored.get(name).map_err(failed)?.map(|before| before.value().to_owned());
                if let Some(before) = before.filter(|before| before != value) {
                    return Err(Error::config(format!(
                        "the journal {} has the {name} `{before}`, not `{value}`; move it away",
                        path.display()
                    )));
                }
                stored.insert(name, value).map_err(failed)?;
            }
        }
        transaction.commit().map_err(failed)?;
        Ok(journal)
    }

    /// A journal that ends with the process.
    pub fn in_memory() -> Result<Self> {
        let file = tempfile::tempfile().map_err(unwritable)?;
        let backend = FileBackend::new(file).map_err(failed)?;
        Self::start(builder().create_with_backend(backend).map_err(failed)?)
    }

    fn start(database: Database) -> Result<Self> {
        let database = Arc::new(database);
        let transaction = database.begin_write().map_err(failed)?;
        {
            transaction.open_table(FACTS).map_err(failed)?;
            transaction.open_table(RESOURCES).map_err(failed)?;
            transaction.open_table(ITEMS).map_err(failed)?;
            transaction.open_table(INTENTS).map_err(failed)?;
            transaction.open_table(OBJECTS).map_err(failed)?;
        }
        transaction.commit().map_err(failed)?;
        let (sender, jobs) = channel();
        let writes = Arc::clone(&database);
        let thread = std::thread::Builder::new().name("isobar-journal".into());
        let thread = thread.spawn(move || write_all(&writes, &jobs)).map_err(unwritable)?;
        Ok(Self { jobs: Some(sender), thread: Some(thread), database })
    }

    /// The value of a fact; `None` where it does not hold.
    pub(crate) fn fact(&self, name: &str) -> Result<Option<String>> {
        let facts = self.database.begin_read().map_err(failed)?.open_table(FACTS).map_err(failed)?;
        Ok(facts.get(name).map_err(failed)?.map(|value| value.value().to_owned()))
    }

    /// The number of a resource, which the journal gives it at first use.
    pub(crate) fn resource(&self, name: &str) -> Result<u16> {
        let transaction = self.database.begin_write().map_err(failed)?;
        let number = {
            let mut resources = transaction.open_table(RESOURCES).map_err(failed)?;
            let known = resources.get(name).map_err(failed)?.map(|number| number.value());
            match known {
                Some(number) => number,
                None => {
                    let number = u16::try_from(redb::ReadableTableMetadata::len(&resources).map_err(failed)?);
                    let number = number.map_err(|_| Error::internal("the journal has too many resources"))?;
                    resources.insert(name, number).map_err(failed)?;
                    number
                }
            }
        };
        transaction.commit().map_err(failed)?;
        Ok(number)
    }

    /// Makes a change, and returns when it is durable.
    pub(crate) async fn write(&self, change: Change) -> Result<()> {
        let (sender, receiver) = oneshot::channel();
        self.send(change, Some(sender))?;
        receiver.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Returns when all changes are durable.
    pub(crate) async fn flush(&self) -> Result<()> {
        self.write(Change::Forget { resource: 0, keys: Vec::new() }).await
    }

    /// Makes a change, durable at the latest with the next one that is.
    pub(crate) fn note(&self, change: Change) -> Result<()> {
        self.send(change, None)
    }

    fn send(&self, change: Change, done: Option<oneshot::Sender<Result<()>>>) -> Result<()> {
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send((change, done)).map_err(|_| gone())
    }

    /// Reads the records of items.
    pub(crate) fn records(&self) -> Records {
        Records(Arc::clone(&self.database))
    }

    /// Has the journal no item of this resource?
    pub(crate) fn has_no_item(&self, resource: u16) -> Result<bool> {
        let mut is_empty = true;
        self.items_after(resource, None, |_, _| {
            is_empty = false;
            false
        })?;
        Ok(is_empty)
    }

    /// Calls `visit` with the items of a resource after this key, until it returns `false`.
    pub(crate) fn items_after(
        &self,
        resource: u16,
        after: Option<&Key>,
        mut visit: impl FnMut(Key, ItemRecord) -> bool,
    ) -> Result<()> {
        let items = self.database.begin_read().map_err(failed)?.open_table(ITEMS).map_err(failed)?;
        let first = after.map_or(Bound::Included((resource, "", "")), |key| {
            Bound::Excluded((resource, key.partition.as_str(), key.sort.as_str()))
        });
        for row in items.range::<(u16, &str, &str)>((first, Bound::Unbounded)).map_err(failed)? {
            let (key, record) = row.map_err(failed)?;
            let ((of, partition, sort), (hash, ours)) = (key.value(), record.value());
            if of != resource || !visit(Key::new(partition, sort), ItemRecord { hash, ours }) {
                break;
            }
        }
        Ok(())
    }

    /// The intents of a resource whose writes are not known to have been made.
    pub(crate) fn intents(&self, resource: u16) -> Result<Vec<Intent>> {
        let intents = self.database.begin_read().map_err(failed)?.open_table(INTENTS).map_err(failed)?;
        let mut found = Vec::new();
        for row in intents.range((resource, 0)..=(resource, u64::MAX)).map_err(failed)? {
            let (place, items) = row.map_err(failed)?;
            found.push((place.value().1, decode(items.value())?));
        }
        Ok(found)
    }

    /// The record of an object; `None` where there is none.
    pub(crate) fn object(&self, resource: u16, name: &str) -> Result<Option<ObjectRecord>> {
        let objects = self.database.begin_read().map_err(failed)?.open_table(OBJECTS).map_err(failed)?;
        let found = objects.get((resource, name)).map_err(failed)?;
        found.map(|found| serde_json::from_slice(found.value()).map_err(Error::from)).transpose()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Opens a file that is whole. One that is not there appears under its name as a whole.
fn opened(path: &Path) -> Result<Database, DatabaseError> {
    if !path.try_exists().map_err(StorageError::from)? {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let new = NamedTempFile::with_prefix_in(".isobar-journal-", folder).map_err(StorageError::from)?;
        drop(builder().create(new.path())?);
        match new.persist_noclobber(path) {
            Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(StorageError::from(error.error).into());
            }
            _ => {}
        }
    }
    let mut database = builder().open(path)?;
    match database.check_integrity()? {
        true => Ok(database),
        false => Err(StorageError::Corrupted("its sums are wrong".into()).into()),
    }
}

/// redb is written not to panic on a damaged file, and does.
fn caught<T>(open: impl FnOnce() -> Result<T, DatabaseError>) -> Result<T, DatabaseError> {
    let opened = catch_unwind(AssertUnwindSafe(open));
    opened.unwrap_or_else(|_| Err(StorageError::Corrupted("it cannot be read".into()).into()))
}

fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

fn damaged() -> Error {
    Error::internal(
        "the journal of the move is damaged; move it away, and run the command again: it compares both sides",
    )
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE);
    builder
}

/// The thread of the writes: changes that wait share one transaction.
fn write_all(database: &Database, jobs: &Receiver<Job>) {
    while let Ok(first) = jobs.recv() {
        let (changes, waiting): (Vec<_>, Vec<_>) =
            std::iter::once(first).chain(jobs.try_iter().take(GROUP - 1)).unzip();
        let written = write_group(database, changes);
        for done in waiting.into_iter().flatten() {
            let _ = done.send(written.clone());
        }
        // What was not awaited must not be lost without a word: the next change fails too, because the thread has ended.
        if written.is_err() {
            return;
        }
    }
}

fn write_group(database: &Database, changes: Vec<Change>) -> Result<()> {
    let transaction = database.begin_write().map_err(failed)?;
    for change in changes {
        apply(&transaction, change)?;
    }
    transaction.commit().map_err(failed)
}

fn apply(transaction: &WriteTransaction, change: Change) -> Result<()> {
    match change {
        Change::Intend { resource, number, items } => {
            let items = encode(&items);
            let mut intents = transaction.open_table(INTENTS).map_err(failed)?;
            intents.insert((resource, number), items.as_slice()).map_err(failed)?;
        }
        Change::Wrote { resource, number, items } => {
            let mut stored = transaction.open_table(ITEMS).map_err(failed)?;
            for (key, ItemRecord { hash, ours }) in items {
                let at = (resource, key.partition.as_str(), key.sort.as_str());
                stored.insert(at, (hash, ours)).map_err(failed)?;
            }
            if let Some(number) = number {
                let mut intents = transaction.open_table(INTENTS).map_err(failed)?;
                intents.remove((resource, number)).map_err(failed)?;
            }
        }
        Change::Forget { resource, keys } => {
            let mut stored = transaction.open_table(ITEMS).map_err(failed)?;
            for key in keys {
                stored.remove((resource, key.partition.as_str(), key.sort.as_str())).map_err(failed)?;
            }
        }
        Change::ForgetAll { resource } => {
            let mut stored = transaction.open_table(ITEMS).map_err(failed)?;
            let all = match resource.checked_add(1) {
                Some(next) => (Bound::Included((resource, "", "")), Bound::Excluded((next, "", ""))),
                None => (Bound::Included((resource, "", "")), Bound::Unbounded),
            };
            stored.retain_in::<(u16, &str, &str), _>(all, |_, _| false).map_err(failed)?;
        }
        Change::Fact { name, value } => {
            let mut facts = transaction.open_table(FACTS).map_err(failed)?;
            match value {
                Some(value) => drop(facts.insert(name.as_str(), value.as_str()).map_err(failed)?),
                None => drop(facts.remove(name.as_str()).map_err(failed)?),
            }
        }
        Change::Object { resource, name, record } => {
            let mut objects = transaction.open_table(OBJECTS).map_err(failed)?;
            match record {
                Some(record) => {
                    let record = serde_json::to_vec(&record)?;
                    objects.insert((resource, name.as_str()), record.as_slice()).map_err(failed)?;
                }
                None => drop(objects.remove((resource, name.as_str())).map_err(failed)?),
            }
        }
    }
    Ok(())
}

/// Intents in bytes: for each item the length of the partition, that of the sort key, both, and the hash.
fn encode(items: &[(Key, u128)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(items.len() * 64);
    for (key, hash) in items {
        for text in [&key.partition, &key.sort] {
            bytes.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend(text.as_bytes());
        }
        bytes.extend(hash.to_le_bytes());
    }
    bytes
}

fn decode(mut bytes: &[u8]) -> Result<Vec<(Key, u128)>> {
    let mut items = Vec::new();
    while !bytes.is_empty() {
        let mut texts = [const { String::new() }; 2];
        for text in &mut texts {
            let (length, rest) = bytes.split_first_chunk().ok_or_else(damaged)?;
            let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| damaged())?;
            let (content, rest) = rest.split_at_checked(length).ok_or_else(damaged)?;
            *text = String::from_utf8(content.to_vec()).map_err(|_| damaged())?;
            bytes = rest;
        }
        let (hash, rest) = bytes.split_first_chunk().ok_or_else(damaged)?;
        bytes = rest;
        let [partition, sort] = texts;
        items.push((Key { partition, sort }, u128::from_le_bytes(*hash)));
    }
    Ok(items)
}

fn failed(error: impl Into<redb::Error>) -> Error {
    let message = "the journal of the move failed; free space on the disk or check it, then run the command again";
    Error::new(ErrorKind::Unavailable, message).with_source(error.into())
}

fn unwritable(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "the journal of the move cannot be made").with_source(error)
}

fn gone() -> Error {
    Error::new(ErrorKind::Unavailable, "the journal of the move has failed; run the command again")
}
