//! Moving one table.
//!
//! The target becomes equal to the source as follows.
//! 1. Each item of the source whose hash is not in the journal is written. Where an earlier process can have written it, or
//!    the target was not empty, the target is read before: an equal item is left alone.
//! 2. The journal has items that this scan did not see: those that the source does not have any more are deleted at the
//!    target, if they are still what was written.
//!
//! A scan is no snapshot: what is written to the source meanwhile is found by the next run, because its hash is another one.

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use futures_util::stream::{self, Stream, TryStreamExt};
use isobar_abstraction::driver::ResourceKind;
use isobar_abstraction::driver::key_value::{Item, Items, Key, Put, ScanSegment};
use isobar_abstraction::{Error, ErrorKind, Result};
use parking_lot::Mutex;

use crate::digest::{Digest, item_hash, part_of};
use crate::fit;
use crate::journal::{Change, ItemRecord, Records};
use crate::report::{Phase, Place, Sums};
use crate::run::Run;
use crate::side::TableSide;

/// The bytes of keys and values of one page, about.
const PAGE_BYTES: usize = 1 << 20;

/// The items of the first page of a segment, and the most of one.
const FIRST_PAGE: usize = 16;
const LARGEST_PAGE: usize = 2_000;

/// The pages of one segment that are written in parallel.
pub(crate) const PAGES: usize = 2;

/// The keys of one read by key.
const KEYS: usize = 100;

/// A table on both sides.
pub(crate) struct TableMove<'a> {
    pub(crate) run: &'a Run<'a>,
    pub(crate) name: &'a str,
    pub(crate) from: &'a TableSide,
    pub(crate) to: &'a TableSide,
    /// Its number in the journal.
    pub(crate) resource: u16,
}

impl TableMove<'_> {
    pub(crate) fn place(&self, key: &Key) -> Place {
        let (key, sort) = (key.partition.clone(), Some(key.sort.clone()));
        Place { kind: ResourceKind::Table, name: self.name.to_owned(), key, sort }
    }

    /// Makes the target equal to the source. Returns the sums of the items that the source had.
    pub(crate) async fn copy(&self) -> Result<(Sums, Digest)> {
        self.settle_intents().await?;
        self.run.watch.phase(ResourceKind::Table, self.name, Phase::Copying);
        let journal = self.run.journal;
        let (mut is_new, is_target_empty) = (journal.has_no_item(self.resource)?, self.is_target_empty().await?);
        if is_target_empty && !is_new {
            // What earlier runs wrote is gone.
            journal.write(Change::ForgetAll { resource: self.resource }).await?;
            is_new = true;
        }
        // What a process that ended has written to an empty target is that of this tool.
        let empty = format!("empty/{}", self.resource);
        let is_empty = journal.fact(&empty)?.is_some() || is_target_empty;
        if is_empty {
            journal.write(Change::Fact { name: empty.clone(), value: Some(String::new()) }).await?;
        }
        let copy = Copy {
            of: self,
            is_empty,
            records: (!is_new).then(|| journal.records()),
            source: Mutex::default(),
            sums: Mutex::default(),
            number: AtomicU64::new(1),
        };
        copy.run().await?;
        journal.write(Change::Fact { name: empty, value: None }).await?;
        let (mut sums, source) = (copy.sums.into_inner(), copy.source.into_inner());
        if !is_new {
            self.run.watch.phase(ResourceKind::Table, self.name, Phase::Deleting);
            sums.deleted = self.delete_what_is_gone(&source).await?;
            journal.flush().await?;
        }
        Ok((sums, source))
    }

    /// Asks the target which intents of a process that ended became writes.
    async fn settle_intents(&self) -> Result<()> {
        for (number, items) in self.run.journal.intents(self.resource)? {
            let keys: Vec<Key> = items.iter().map(|(key, _)| key.clone()).collect();
            let found = self.read(self.to, &self.run.target, &keys).await?;
            let written = items.into_iter().zip(found).filter_map(|((key, hash), item)| {
                let is_written = item.is_some_and(|item| item_hash(&item) == hash);
                is_written.then_some((key, ItemRecord { hash, ours: true }))
            });
            let change = Change::Wrote { resource: self.resource, number: Some(number), items: written.collect() };
            self.run.journal.write(change).await?;
        }
        Ok(())
    }

    pub(crate) async fn is_target_empty(&self) -> Result<bool> {
        let pages = pages(self.to, &self.run.target, 0, 1);
        let mut pages = std::pin::pin!(pages);
        while let Some(page) = pages.try_next().await? {
            if !page.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The items with these keys.
    pub(crate) async fn read(
        &self,
        side: &TableSide,
        pace: &crate::pace::Pace,
        keys: &[Key],
    ) -> Result<Vec<Option<Item>>> {
        let mut found = Vec::with_capacity(keys.len());
        for keys in keys.chunks(pace.most_items(KEYS)) {
            found.extend(pace.run_many(keys.len(), || side.driver.get_many(keys)).await?);
        }
        Ok(found)
    }

    /// Deletes what the journal has and the source does not have any more. Returns the number of deleted items.
    async fn delete_what_is_gone(&self, source: &Digest) -> Result<u64> {
        let mut known = Digest::default();
        self.run.journal.items_after(self.resource, None, |key, record| {
            known.add(part_of(&key), record.hash);
            true
        })?;
        let parts = known.differing(source);
        if parts.is_empty() {
            return Ok(0);
        }
        let mut deleted = 0;
        let mut after = None;
        loop {
            self.run.check_stop()?;
            let mut some: Vec<(Key, ItemRecord)> = Vec::new();
            self.run.journal.items_after(self.resource, after.as_ref(), |key, record| {
                if parts.contain(&key) {
                    some.push((key, record));
                }
                some.len() < KEYS
            })?;
            let Some((last, _)) = some.last() else { return Ok(deleted) };
            after = Some(last.clone());
            deleted += self.delete_some(some).await?;
        }
    }

    async fn delete_some(&self, some: Vec<(Key, ItemRecord)>) -> Result<u64> {
        let keys: Vec<Key> = some.iter().map(|(key, _)| key.clone()).collect();
        let at_source = self.read(self.from, &self.run.source, &keys).await?;
        let gone = some.into_iter().zip(at_source).filter(|(_, item)| item.is_none());
        let gone: Vec<(Key, ItemRecord)> = gone.map(|(it, _)| it).collect();
        let keys: Vec<Key> = gone.iter().map(|(key, _)| key.clone()).collect();
        let at_target = self.read(self.to, &self.run.target, &keys).await?;
        let (mut deleted, mut forgotten) = (0, Vec::new());
        for ((key, record), item) in gone.into_iter().zip(at_target) {
            if let Some(item) = item.filter(|item| record.ours && item_hash(item) == record.hash) {
                let done = self.run.target.run(|| self.to.driver.delete(&key, Some(&item.version))).await;
                match done {
                    Ok(()) => deleted += 1,
                    // Another writer was quicker: it is not what this tool wrote any more.
                    Err(error) if error.kind() == ErrorKind::Conflict => {}
                    Err(error) => return Err(error),
                }
            }
            forgotten.push(key);
        }
        self.run.watch.done(deleted, 0);
        self.run.journal.note(Change::Forget { resource: self.resource, keys: forgotten })?;
        Ok(deleted)
    }

    /// Writes items to the target. Those that it refuses are returned, with the reason.
    pub(crate) async fn write(&self, items: &[&Item]) -> Result<Vec<(Key, Error)>> {
        let bytes: usize = items.iter().map(|item| size(item)).sum();
        self.run.target.bytes(bytes as u64).await?;
        let put = |item: &&Item| Put::new(&item.key, item.value.clone()).with_expires_at(item.expires_at);
        let left = Mutex::new(items.iter().map(put).collect::<Vec<_>>());
        let refused = Mutex::new(Vec::new());
        let attempt = || async {
            let puts = left.lock().clone();
            let results = self.to.driver.put_many(puts.clone()).await;
            let mut retried = None;
            let mut again = Vec::new();
            for (put, result) in puts.into_iter().zip(results) {
                match result {
                    Ok(_) => {}
                    Err(error) if error.is_retryable() => {
                        again.push(put);
                        retried = Some(error);
                    }
                    Err(error) if matches!(error.kind(), ErrorKind::TooLarge | ErrorKind::InvalidInput) => {
                        refused.lock().push((put.key, error));
                    }
                    Err(error) => return Err(error),
                }
            }
            *left.lock() = again;
            retried.map_or(Ok(()), Err)
        };
        self.run.target.run_many(items.len(), attempt).await?;
        Ok(refused.into_inner())
    }
}

/// One scan of the source, and what it writes.
struct Copy<'a> {
    of: &'a TableMove<'a>,
    /// Is the target empty, but for what this tool wrote? Then it need not be read.
    is_empty: bool,
    /// The records of an earlier run.
    records: Option<Records>,
    /// The sums of the source.
    source: Mutex<Digest>,
    sums: Mutex<Sums>,
    /// The number of the next intent.
    number: AtomicU64,
}

/// An item of the source, and its hash.
type Hashed = (Item, u128);

impl Copy<'_> {
    async fn run(&self) -> Result<()> {
        let TableMove { from, run, .. } = self.of;
        let segment = |segment| {
            let pages = pages(from, &run.source, segment, from.segments);
            run.finish(pages.map_ok(|page| self.write_page(page)), PAGES)
        };
        join_all((0..from.segments).map(segment)).await;
        run.check_stop()
    }

    async fn write_page(&self, page: Vec<Item>) -> Result<()> {
        let TableMove { run, resource, .. } = *self.of;
        let count = page.len() as u64;
        let items = self.changed(page).await?;
        let items = if self.is_empty { items } else { self.without_equal(items).await? };
        let (items, unfit) = self.fitting(items)?;
        let bytes: u64 = items.iter().map(|(item, _)| size(item) as u64).sum();
        if !items.is_empty() {
            let number = self.number.fetch_add(1, Ordering::Relaxed);
            let intents = items.iter().map(|(item, hash)| (item.key.clone(), *hash)).collect();
            run.journal.write(Change::Intend { resource, number, items: intents }).await?;
            let some: Vec<&Item> = items.iter().map(|(item, _)| item).collect();
            let refused = self.of.write(&some).await?;
            for (key, error) in &refused {
                run.unfit(&self.of.place(key), error.message())?;
            }
            let is_written = |key: &Key| refused.iter().all(|(other, _)| other != key);
            let written = items.iter().filter(|(item, _)| is_written(&item.key));
            let written: Vec<_> =
                written.map(|(item, hash)| (item.key.clone(), ItemRecord { hash: *hash, ours: true })).collect();
            let mut sums = self.sums.lock();
            sums.unfit += refused.len() as u64;
            sums.written += written.len() as u64;
            sums.bytes += bytes;
            drop(sums);
            run.journal.note(Change::Wrote { resource, number: Some(number), items: written })?;
        }
        let mut sums = self.sums.lock();
        sums.unfit += unfit;
        sums.unchanged += count - unfit - items.len() as u64;
        drop(sums);
        run.watch.done(count, bytes);
        Ok(())
    }

    /// The items whose hash is not in the journal, each with its hash. Hashing is work for a thread of its own.
    async fn changed(&self, page: Vec<Item>) -> Result<Vec<Hashed>> {
        let (records, resource) = (self.records.clone(), self.of.resource);
        let work = move || {
            let records = match records {
                Some(records) => records.of(resource, page.iter().map(|item| &item.key))?,
                None => vec![None; page.len()],
            };
            let hashes: Vec<(usize, u128)> = page.iter().map(|item| (part_of(&item.key), item_hash(item))).collect();
            let all = page.into_iter().zip(&hashes).zip(records);
            let changed = all.filter(|((_, (_, hash)), record)| record.is_none_or(|record| record.hash != *hash));
            let changed: Vec<Hashed> = changed.map(|((item, (_, hash)), _)| (item, *hash)).collect();
            Ok((changed, hashes))
        };
        let (changed, hashes) = on_thread(work).await?;
        let mut source = self.source.lock();
        hashes.into_iter().for_each(|(part, hash)| source.add(part, hash));
        Ok(changed)
    }

    /// Reads the target, and leaves out what is equal there.
    async fn without_equal(&self, items: Vec<Hashed>) -> Result<Vec<Hashed>> {
        let TableMove { run, resource, to, .. } = *self.of;
        if items.is_empty() {
            return Ok(items);
        }
        let keys: Vec<Key> = items.iter().map(|(item, _)| item.key.clone()).collect();
        let found = self.of.read(to, &run.target, &keys).await?;
        let is_equal = |hash: u128, found: &Option<Item>| found.as_ref().is_some_and(|found| item_hash(found) == hash);
        let (equal, other): (Vec<_>, Vec<_>) =
            items.into_iter().zip(found).partition(|((_, hash), found)| is_equal(*hash, found));
        let equal: Vec<_> =
            equal.into_iter().map(|((item, hash), _)| (item.key, ItemRecord { hash, ours: false })).collect();
        if !equal.is_empty() {
            run.journal.note(Change::Wrote { resource, number: None, items: equal })?;
        }
        Ok(other.into_iter().map(|(item, _)| item).collect())
    }

    /// The items that the target can have, and the number of the others.
    fn fitting(&self, items: Vec<Hashed>) -> Result<(Vec<Hashed>, u64)> {
        let (mut fitting, mut unfit) = (Vec::with_capacity(items.len()), 0);
        for (item, hash) in items {
            match fit::item(&item, &self.of.to.limits) {
                None => fitting.push((item, hash)),
                Some(why) => {
                    self.of.run.unfit(&self.of.place(&item.key), &why)?;
                    unfit += 1;
                }
            }
        }
        Ok((fitting, unfit))
    }
}

/// Runs work of the processor on another thread than that of the requests.
pub(crate) async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Error::internal("a thread of the move ended").with_source(error)))
}

/// The bytes of an item: its keys and its value.
pub(crate) fn size(item: &Item) -> usize {
    item.key.partition.len() + item.key.sort.len() + item.value.len()
}

/// The pages of one segment of a table.
pub(crate) fn pages<'a>(
    side: &'a TableSide,
    pace: &'a crate::pace::Pace,
    segment: u32,
    segments: u32,
) -> impl Stream<Item = Result<Vec<Item>>> + Send + 'a {
    let first = ScanSegment::new(segment, segments, pace.most_items(FIRST_PAGE));
    stream::try_unfold(Some(first), move |request| async move {
        let Some(mut request) = request else { return Ok(None) };
        let Items { items, resume, .. } = pace.run(|| side.driver.scan(&request)).await?;
        let bytes: usize = items.iter().map(size).sum();
        pace.bytes(bytes as u64).await?;
        // The next page has about the same items: as many of them as fit, but not many more than before.
        let fitting = items.len().saturating_mul(PAGE_BYTES) / bytes.max(1);
        request.limit = fitting.clamp(1, request.limit.saturating_mul(4).min(pace.most_items(LARGEST_PAGE)));
        let next = resume.map(|after| request.with_after(after));
        Ok(Some((items, next)))
    })
}
