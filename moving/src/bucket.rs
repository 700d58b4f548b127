//! Moving and comparing one bucket. Both sides list their names in byte order, so the two lists are merged: nothing is kept.
//!
//! The journal has the versions that an object had on both sides when it was copied, and the hash of its content. While both
//! versions are the same, the object is. Otherwise both are read: no service has a hash of content that others have too.

use std::cmp::Ordering;
use std::sync::Arc;

use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use isobar_abstraction::driver::ResourceKind;
use isobar_abstraction::driver::blob::{ListRequest, Listing, key};
use isobar_abstraction::{Error, ErrorKind, Result};
use object_store::{Attribute, Attributes, GetOptions, GetResult, ObjectMeta};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use crate::digest::hex;
use crate::fit;
use crate::journal::{Change, ObjectRecord};
use crate::pace::Pace;
use crate::report::{Counts, Difference, Phase, Place, Sums};
use crate::run::{Repair, Run};
use crate::side::BucketSide;
use crate::upload;

/// The names of one page of a list.
pub(crate) const PAGE: usize = 1_000;

/// The objects that are copied in parallel.
const COPIED: usize = 32;

/// The objects that are compared in parallel.
const COMPARED: usize = 8;

pub(crate) const UNREADABLE: &str =
    "isobar did not write an object of this name, and cannot read it; copy it under another name";

/// How often an object is read that changes meanwhile.
const ATTEMPTS: usize = 5;

/// A bucket on both sides.
pub(crate) struct BucketMove<'a> {
    pub(crate) run: &'a Run<'a>,
    pub(crate) name: &'a str,
    pub(crate) from: &'a BucketSide,
    pub(crate) to: &'a BucketSide,
    /// Its number in the journal.
    pub(crate) resource: u16,
}

/// An object by what the two lists say.
#[derive(Debug, Clone)]
struct Pair {
    source: Option<ObjectMeta>,
    target: Option<ObjectMeta>,
}

impl Pair {
    fn name(&self) -> &str {
        self.source.as_ref().or(self.target.as_ref()).map_or("", |meta| meta.location.as_ref())
    }
}

impl BucketMove<'_> {
    pub(crate) fn place(&self, stored: &str) -> Place {
        let (name, key) = (self.name.to_owned(), key::decode(stored));
        Place { kind: ResourceKind::Bucket, name, key, sort: None }
    }

    /// Makes the target equal to the source.
    pub(crate) async fn copy(&self) -> Result<Sums> {
        self.run.watch.phase(ResourceKind::Bucket, self.name, Phase::Copying);
        let sums = Mutex::new(Sums::default());
        let unreadable = |name: &str| {
            sums.lock().unfit += 1;
            self.run.unfit(&self.place(name), UNREADABLE)
        };
        self.run.finish(self.pairs(unreadable).map_ok(|pair| self.copy_one(pair, &sums)), COPIED).await?;
        self.run.journal.flush().await?;
        Ok(sums.into_inner())
    }

    async fn copy_one(&self, pair: Pair, sums: &Mutex<Sums>) -> Result<()> {
        let record = self.run.journal.object(self.resource, pair.name())?;
        let name = pair.name().to_owned();
        let (unchanged, source) = match (&pair.source, &pair.target) {
            (None, None) => return Ok(()),
            (None, Some(target)) => {
                let is_ours = match &record {
                    Some(record) => record.ours && record.is_target(target) || self.is_intended(record, target).await?,
                    None => false,
                };
                if is_ours {
                    self.delete(target).await?;
                    sums.lock().deleted += 1;
                    self.run.watch.done(1, 0);
                }
                return Ok(());
            }
            (Some(source), None) => (false, source),
            (Some(source), Some(target)) => match &record {
                Some(record) => (record.is_pair(source, target), source),
                None => (self.difference(source, target).await?.is_none() && self.adopt(source, target)?, source),
            },
        };
        if unchanged {
            sums.lock().unchanged += 1;
            self.run.watch.done(1, 0);
            return Ok(());
        }
        if let Some(why) = fit::object(&name, None, &self.to.limits) {
            sums.lock().unfit += 1;
            return self.run.unfit(&self.place(&name), &why);
        }
        match self.write(source).await? {
            Written::Yes(bytes) => {
                let mut sums = sums.lock();
                sums.written += 1;
                sums.bytes += bytes;
            }
            Written::Gone => {}
            Written::Unfit => sums.lock().unfit += 1,
        }
        Ok(())
    }

    /// Notes that an object was at the target already.
    fn adopt(&self, source: &ObjectMeta, target: &ObjectMeta) -> Result<bool> {
        let record = ObjectRecord {
            source: version(source),
            target: target.e_tag.clone(),
            written: Some(target.last_modified.timestamp_millis()),
            ..ObjectRecord::default()
        };
        self.note(source, Some(record))?;
        Ok(true)
    }

    /// Has the target the content that a process was about to write when it ended?
    async fn is_intended(&self, record: &ObjectRecord, target: &ObjectMeta) -> Result<bool> {
        let Some(intent) = &record.intent else { return Ok(false) };
        let found = self.run.target.run(|| self.read(self.to, target, &self.run.target)).await?;
        Ok(found.is_some_and(|found| hex(&found.hash) == *intent))
    }

    fn note(&self, meta: &ObjectMeta, record: Option<ObjectRecord>) -> Result<()> {
        let name = meta.location.to_string();
        self.run.journal.note(Change::Object { resource: self.resource, name, record })
    }

    async fn delete(&self, target: &ObjectMeta) -> Result<()> {
        let store = self.to.driver.object_store();
        let delete = || async {
            let paths = stream::iter([Ok(target.location.clone())]).boxed();
            store.delete_stream(paths).try_for_each(|_| std::future::ready(Ok(()))).await.map_err(Error::from)
        };
        match self.run.target.run(delete).await {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            done => done?,
        }
        self.note(target, None)
    }

    /// Copies one object, with the attributes that it has now.
    async fn write(&self, source: &ObjectMeta) -> Result<Written> {
        let name = source.location.as_ref();
        // What an earlier run wrote stays known until this content is about to replace it.
        let before = self.run.journal.object(self.resource, name)?.unwrap_or_default();
        let units = upload::units(source.size);
        let _memory =
            self.run.memory.acquire_many(units).await.map_err(|_| Error::internal("the memory was closed"))?;
        let unfit = Mutex::new(None);
        let copy = || async {
            let Some(object) = self.open(self.from, source).await? else { return Ok(None) };
            self.run.source.request().await?;
            self.run.source.bytes(object.meta.size).await?;
            self.run.target.bytes(object.meta.size).await?;
            let attributes = carried(&object.attributes);
            if let Some(why) = fit::object(name, Some(&attributes), &self.to.limits) {
                *unfit.lock() = Some(why);
                return Ok(None);
            }
            let e_tag = object.meta.e_tag.clone();
            let store = self.to.driver.object_store();
            let intend = |hash| async {
                let record = Some(ObjectRecord { intent: Some(hash), ..before.clone() });
                let change = Change::Object { resource: self.resource, name: name.to_owned(), record };
                // A journal that fails is no fault of the target: nothing is repeated then.
                self.run.journal.write(change).await.inspect_err(|error| self.run.ending.fail(error.clone()))
            };
            let (hash, size, written) = upload::object(&*store, object, attributes, &self.run.ending, intend).await?;
            Ok(Some((hash, size, written.e_tag, e_tag)))
        };
        let copied = match self.run.target.run(copy).await {
            // The service knows better what it accepts.
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::TooLarge) => {
                *unfit.lock() = Some(error.message().to_owned());
                None
            }
            copied => copied?,
        };
        let Some((hash, size, target, read)) = copied else {
            let Some(why) = unfit.into_inner() else { return Ok(Written::Gone) };
            self.run.unfit(&self.place(name), &why)?;
            return Ok(Written::Unfit);
        };
        // Written since the list was made: the next run finds another version, and copies it again.
        let source_of = if read == source.e_tag { version(source) } else { String::new() };
        let target = target.or(Some(String::new()));
        let record = ObjectRecord { source: source_of, target, hash, ours: true, ..ObjectRecord::default() };
        self.note(source, Some(record))?;
        self.run.watch.done(1, size);
        Ok(Written::Yes(size))
    }

    /// Opens an object; `None` if it does not exist any more.
    async fn open(&self, side: &BucketSide, meta: &ObjectMeta) -> Result<Option<GetResult>> {
        let response = side.driver.object_store().get_opts(&meta.location, GetOptions::default()).await;
        match response.map_err(Error::from) {
            Ok(response) => Ok(Some(response)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Compares both sides, and repairs what differs. `trusted` are versions that the journal has: those are not read.
    pub(crate) async fn compare(&self, repair: Repair, trusted: bool) -> Result<Counts> {
        self.run.watch.phase(ResourceKind::Bucket, self.name, Phase::Verifying);
        let counts = Mutex::new(Counts::default());
        let compare = |pair| self.compare_one(pair, repair, trusted, &counts);
        let unreadable = |name: &str| {
            counts.lock().count(Difference::Missing);
            self.run.watch.difference(&self.place(name), Difference::Missing);
            Ok(())
        };
        self.run.finish(self.pairs(unreadable).map_ok(compare), COMPARED).await?;
        self.run.journal.flush().await?;
        Ok(counts.into_inner())
    }

    async fn compare_one(&self, pair: Pair, repair: Repair, trusted: bool, counts: &Mutex<Counts>) -> Result<()> {
        self.run.watch.done(1, 0);
        let name = pair.name().to_owned();
        let found = match (&pair.source, &pair.target) {
            (Some(source), Some(target)) => match trusted && self.is_as_noted(source, target)? {
                true => None,
                false => self.difference(source, target).await?,
            },
            (Some(_), None) => Some(Difference::Missing),
            (None, _) => Some(Difference::Extra),
        };
        let Some(mut difference) = found else {
            counts.lock().equal += 1;
            return Ok(());
        };
        match (&pair.source, &pair.target) {
            (Some(source), _) if repair.writes => {
                self.write(source).await?;
                let target = self.head(self.to, source).await?;
                let left = match &target {
                    Some(target) => self.difference(source, target).await?,
                    None => Some(Difference::Missing),
                };
                match left {
                    None => {
                        let mut counts = counts.lock();
                        counts.repaired += 1;
                        counts.equal += 1;
                        return Ok(());
                    }
                    Some(left) => difference = left,
                }
            }
            (None, Some(target)) if repair.deletes => {
                self.delete(target).await?;
                counts.lock().repaired += 1;
                return Ok(());
            }
            _ => {}
        }
        counts.lock().count(difference);
        self.run.watch.difference(&self.place(&name), difference);
        Ok(())
    }

    async fn head(&self, side: &BucketSide, meta: &ObjectMeta) -> Result<Option<ObjectMeta>> {
        let store = side.driver.object_store();
        let options = || GetOptions::default().with_head(true);
        let head = || async { store.get_opts(&meta.location, options()).await.map_err(Error::from) };
        match self.run.target.run(head).await {
            Ok(response) => Ok(Some(response.meta)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Are both versions those of the journal?
    fn is_as_noted(&self, source: &ObjectMeta, target: &ObjectMeta) -> Result<bool> {
        let Some(record) = self.run.journal.object(self.resource, source.location.as_ref())? else { return Ok(false) };
        if !record.is_pair(source, target) {
            return Ok(false);
        }
        if record.written.is_none() {
            let written = Some(target.last_modified.timestamp_millis());
            self.note(source, Some(ObjectRecord { written, ..record }))?;
        }
        Ok(true)
    }

    /// Reads an object on both sides. `None` if they are equal, or the object does not exist any more.
    async fn difference(&self, source: &ObjectMeta, target: &ObjectMeta) -> Result<Option<Difference>> {
        for _ in 0..ATTEMPTS {
            let one = || self.read(self.from, source, &self.run.source);
            let other = || self.read(self.to, target, &self.run.target);
            match tokio::try_join!(self.run.source.run(one), self.run.target.run(other)) {
                Ok((None, _)) => return Ok(None),
                Ok((Some(_), None)) => return Ok(Some(Difference::Missing)),
                Ok((Some(source), Some(target))) => return Ok(source.difference(&target)),
                // Overwritten while it was read.
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Some(Difference::Value))
    }

    async fn read(&self, side: &BucketSide, meta: &ObjectMeta, pace: &Pace) -> Result<Option<Content>> {
        let Some(object) = self.open(side, meta).await? else { return Ok(None) };
        pace.bytes(object.meta.size).await?;
        let (size, attributes) = (object.meta.size, carried(&object.attributes));
        let mut stream = object.into_stream();
        let mut hash = Sha256::new();
        while let Some(part) = stream.try_next().await.map_err(Error::from)? {
            hash.update(&part);
        }
        Ok(Some(Content { hash: hash.finalize().into(), size, attributes }))
    }

    /// The objects of both sides, in byte order. `unreadable` is called with each name of the source that cannot be read.
    fn pairs<'a>(
        &'a self,
        unreadable: impl Fn(&str) -> Result<()> + Send + Sync + 'a,
    ) -> impl Stream<Item = Result<Pair>> + Send + 'a {
        let source = Box::pin(objects(self.from, &self.run.source, unreadable).peekable());
        // What isobar cannot read there, it did not write.
        let target = Box::pin(objects(self.to, &self.run.target, |_| Ok(())).peekable());
        stream::try_unfold((source, target), |(mut source, mut target)| async move {
            let order = match (source.as_mut().peek().await, target.as_mut().peek().await) {
                (None, None) => return Ok(None),
                (Some(Err(_)), _) | (_, None) => Ordering::Less,
                (_, Some(Err(_))) | (None, _) => Ordering::Greater,
                (Some(Ok(source)), Some(Ok(target))) => source.location.as_ref().cmp(target.location.as_ref()),
            };
            let mut pair = Pair { source: None, target: None };
            if order.is_le() {
                pair.source = source.try_next().await?;
            }
            if order.is_ge() {
                pair.target = target.try_next().await?;
            }
            Ok(Some((pair, (source, target))))
        })
    }
}

impl ObjectRecord {
    /// Are both versions those of the record, and nothing else was about to be written?
    fn is_pair(&self, source: &ObjectMeta, target: &ObjectMeta) -> bool {
        self.intent.is_none() && self.source == version(source) && self.is_target(target)
    }

    /// Is it this object of the target that was written?
    fn is_target(&self, target: &ObjectMeta) -> bool {
        let is_time = self.written.is_none_or(|written| written == target.last_modified.timestamp_millis());
        self.target.is_some() && self.target == target.e_tag && is_time
    }
}

/// What became of a copy.
enum Written {
    Yes(u64),
    Gone,
    Unfit,
}

/// What is compared of an object.
struct Content {
    hash: [u8; 32],
    size: u64,
    attributes: Attributes,
}

impl Content {
    fn difference(&self, other: &Self) -> Option<Difference> {
        let kind = |it: &Self| it.attributes.get(&Attribute::ContentType).cloned();
        if (self.size, self.hash) != (other.size, other.hash) {
            Some(Difference::Value)
        } else if kind(self) != kind(other) {
            Some(Difference::Type)
        } else if self.attributes != other.attributes {
            Some(Difference::Metadata)
        } else {
            None
        }
    }
}

/// The attributes that are carried: all but the storage class, which each service has its own names for.
fn carried(attributes: &Attributes) -> Attributes {
    let mut carried = Attributes::new();
    for (name, value) in attributes {
        match name {
            Attribute::StorageClass => continue,
            // The names are those of headers.
            Attribute::Metadata(name) => {
                carried.insert(Attribute::Metadata(name.to_ascii_lowercase().into()), value.clone())
            }
            // S3 stores how a client sent an object, which is no property of the object.
            Attribute::ContentEncoding => {
                let codings = value.split(',').map(str::trim).filter(|coding| *coding != "aws-chunked");
                let codings = codings.collect::<Vec<_>>().join(", ");
                if codings.is_empty() {
                    continue;
                }
                carried.insert(Attribute::ContentEncoding, codings.into())
            }
            name => carried.insert(name.clone(), value.clone()),
        };
    }
    carried
}

/// The version of an object in a list. S3's ETag is that of the content, so the time is a part of it.
fn version(meta: &ObjectMeta) -> String {
    let e_tag = meta.e_tag.as_deref().unwrap_or_default();
    format!("{e_tag} {} {}", meta.size, meta.last_modified.timestamp_millis())
}

/// The objects of one side, in byte order. Errors: `Internal` for a service that lists in another order.
///
/// `unreadable` is called with each name that isobar did not write and cannot read.
pub(crate) fn objects<'a>(
    side: &'a BucketSide,
    pace: &'a Pace,
    unreadable: impl Fn(&str) -> Result<()> + Send + Sync + 'a,
) -> impl Stream<Item = Result<ObjectMeta>> + Send + 'a {
    let unreadable = Arc::new(unreadable);
    let pages = stream::try_unfold(Some(ListRequest::new("", PAGE)), move |request| {
        let unreadable = Arc::clone(&unreadable);
        async move {
            let Some(request) = request else { return Ok::<_, Error>(None) };
            let Listing { objects, resume, unreadable: names, .. } = pace.run(|| side.driver.list(&request)).await?;
            names.iter().try_for_each(|name| unreadable(name))?;
            let next = resume.map(|after| request.with_after(after));
            Ok(Some((stream::iter(objects.into_iter().map(Ok)), next)))
        }
    });
    let mut last = String::new();
    pages.try_flatten().map(move |object: Result<ObjectMeta>| {
        let object = object?;
        if !last.is_empty() && object.location.as_ref() <= last.as_str() {
            return Err(Error::internal("the service does not list its objects in byte order"));
        }
        object.location.as_ref().clone_into(&mut last);
        Ok(object)
    })
}
