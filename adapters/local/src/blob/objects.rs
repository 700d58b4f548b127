//! The objects of one bucket.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use isobar_abstraction::clock::{from_millis, to_millis};
use isobar_abstraction::driver::Clock;
use isobar_abstraction::driver::blob::flat::{FlatObjects, page_of};
use isobar_abstraction::driver::blob::{ListRequest, Listing};
use isobar_abstraction::{Error, ObjectChange, ObjectEvent, Origin, Result};
use object_store::{Attributes, ObjectMeta, PutMode, PutPayload, PutResult};
use redb::WriteTransaction;

use super::files::{Files, Staged, blocking, damaged, read};
use super::records::{self, Names, RECORDS, Record};
use crate::pub_sub::Queue;
use crate::store::{Store, failed};

/// The objects of one bucket. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct LocalObjects {
    pub(super) bucket: Arc<str>,
    member: Arc<str>,
    store: Store,
    files: Files,
    pub(super) clock: Arc<dyn Clock>,
    queue: Queue,
}

impl LocalObjects {
    pub(super) fn new(bucket: &str, store: Store, clock: Arc<dyn Clock>, queue: Queue) -> Self {
        let files = Files::new(store.folder());
        Self { bucket: bucket.into(), member: RECORDS.member(bucket).into(), store, files, clock, queue }
    }

    fn find(&self, name: &str) -> Result<(Record, Attributes)> {
        let found = records::find(&self.store.read()?, &self.member, name)?;
        found.ok_or_else(|| Error::not_found("no such object").with_origin(Origin::Data))
    }

    /// Record and open content of one and the same write.
    fn open_now(&self, name: &str) -> Result<(Record, Attributes, File)> {
        let mut missing = None;
        loop {
            let (record, attributes) = self.find(name)?;
            match self.files.open(record.id) {
                Ok(file) if file.metadata().is_ok_and(|found| found.len() == record.size) => {
                    return Ok((record, attributes, file));
                }
                Ok(_) => return Err(damaged("does not have the size that was written")),
                // Replaced since the record was read; then the record refers to other content now.
                Err(error) if error.kind() == io::ErrorKind::NotFound && missing != Some(record.id) => {
                    missing = Some(record.id);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(damaged("is missing")),
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// Writes the record of `staged` and its event.
    async fn show(self, name: String, staged: Staged, attributes: Vec<u8>, mode: PutMode) -> Result<PutResult> {
        let staged = blocking(move || staged.sync().map(|()| staged)).await?;
        let (size, modified_ms) = (staged.size(), to_millis(self.clock.now()));
        // From here on the record decides, also if this process ends before the result is known.
        let (id, at_work) = staged.keep();
        let record = Record { id, size, modified_ms };
        let (objects, e_tag) = (self.clone(), record.e_tag());
        let written = self.store.write(move |transaction| {
            let _at_work = at_work;
            let mut rows = RECORDS.open_in(transaction, &objects.member)?;
            let replaced = records::put(&mut rows, &name, &mode, record, &attributes)?;
            objects.enqueue_event(transaction, &name, ObjectChange::Created { size }, modified_ms)?;
            Ok(replaced)
        });
        match written.await {
            Ok(replaced) => self.clean_up(replaced),
            // A record may refer to it. If none does, the next start removes it.
            Err(error) if error.outcome_unknown() => return Err(error),
            Err(error) => {
                self.files.remove(id);
                return Err(error);
            }
        }
        Ok(PutResult { e_tag: Some(e_tag), version: None, extensions: Default::default() })
    }

    /// Removes the record, with an event if there was one.
    async fn hide(self, name: String) -> Result<()> {
        let (objects, now_ms) = (self.clone(), to_millis(self.clock.now()));
        let removed = self.store.write(move |transaction| {
            let mut rows = RECORDS.open_in(transaction, &objects.member)?;
            let removed = rows.remove(name.as_bytes()).map_err(failed)?.map(|row| row.value().0);
            if removed.is_some() {
                objects.enqueue_event(transaction, &name, ObjectChange::Deleted, now_ms)?;
            }
            Ok(removed)
        });
        self.clean_up(removed.await?);
        Ok(())
    }

    fn enqueue_event(
        &self,
        transaction: &WriteTransaction,
        name: &str,
        change: ObjectChange,
        now_ms: u64,
    ) -> Result<()> {
        let event = ObjectEvent::new(self.bucket.as_ref(), name, change, from_millis(now_ms));
        self.queue.enqueuer().enqueue_event(transaction, &event)
    }

    /// What follows a durable change.
    fn clean_up(&self, replaced: Option<u128>) {
        if let Some(id) = replaced {
            self.files.remove(id);
        }
        self.queue.wake();
    }
}

/// Continues when its caller is cancelled: an incomplete write would leave files behind.
async fn to_the_end<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let broken = |error| {
        Error::internal("bug in isobar: a write panicked; please report it").with_source(error).with_outcome_unknown()
    };
    tokio::spawn(work).await.map_err(broken)?
}

#[async_trait]
impl FlatObjects for LocalObjects {
    type Staged = Staged;
    type Content = File;

    async fn stage(&self) -> Result<Staged> {
        let (files, store) = (self.files.clone(), self.store.clone());
        // The file of records comes first: content without it looks as if that were lost.
        blocking(move || store.open().and_then(|()| files.stage())).await
    }

    async fn append(&self, staged: &mut Staged, part: PutPayload) -> Result<()> {
        staged.append(part).await
    }

    async fn commit(&self, name: &str, staged: Staged, attributes: Attributes, mode: PutMode) -> Result<PutResult> {
        let attributes = records::encode(&attributes)?;
        to_the_end(self.clone().show(name.to_owned(), staged, attributes, mode)).await
    }

    async fn open(&self, name: &str) -> Result<(ObjectMeta, Attributes, File)> {
        let (objects, name) = (self.clone(), name.to_owned());
        blocking(move || {
            let (record, attributes, file) = objects.open_now(&name)?;
            Ok((record.meta(&name)?, attributes, file))
        })
        .await
    }

    async fn head(&self, name: &str) -> Result<(ObjectMeta, Attributes)> {
        let (record, attributes) = self.find(name)?;
        Ok((record.meta(name)?, attributes))
    }

    fn read(&self, content: File, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        read(content, range)
    }

    async fn remove(&self, name: &str) -> Result<()> {
        to_the_end(self.clone().hide(name.to_owned())).await
    }

    async fn list(&self, request: &ListRequest) -> Result<Listing> {
        match RECORDS.open(&self.store.read()?, &self.member)? {
            Some(rows) => page_of(request, Names::new(request, rows)?, |name, record| record.meta(name)),
            None => Ok(Listing::default()),
        }
    }
}

/// Removes the content that a crash left behind, and returns the number of files.
pub(crate) async fn collect_orphans(store: &Store) -> Result<usize> {
    let (files, look) = (Files::new(store.folder()), store.clone());
    let found = blocking(move || {
        let mut suspects = unnamed(&look, files.all()?)?;
        suspects.retain(|id| files.is_abandoned(*id));
        Ok((files, look, suspects))
    });
    let (files, look, suspects) = found.await?;
    if suspects.is_empty() {
        return Ok(0);
    }
    // A writer that released a file since the first read has queued its record before this write, so
    // the second read finds it.
    store.write(|_| Ok(())).await?;
    blocking(move || {
        let orphans = unnamed(&look, suspects)?;
        orphans.iter().for_each(|id| files.remove(*id));
        Ok(orphans.len())
    })
    .await
}

/// The content that no record refers to.
fn unnamed(store: &Store, mut ids: Vec<u128>) -> Result<Vec<u128>> {
    if ids.is_empty() {
        return Ok(ids);
    }
    let (transaction, mut named) = (store.read()?, HashSet::new());
    for bucket in RECORDS.names(&transaction)? {
        if let Some(rows) = RECORDS.open(&transaction, &RECORDS.member(&bucket))? {
            records::named(&rows, &mut named)?;
        }
    }
    ids.retain(|id| !named.contains(id));
    Ok(ids)
}
