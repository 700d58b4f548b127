//! Reading a backup file.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::{Bound, Range};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt, try_unfold};
use isobar_abstraction::clock::{from_millis, to_utc};
use isobar_abstraction::driver::Clock;
use isobar_abstraction::driver::blob::flat::{FlatObjects, page_of, page_start};
use isobar_abstraction::driver::blob::{ListRequest, Listing};
use isobar_abstraction::driver::key_value::{Item, Items, Key, KeyValue, Put, QueryRange, ScanSegment, Version, Write};
use isobar_abstraction::{Error, Origin, Result};
use object_store::path::Path as Stored;
use object_store::{Attributes, ObjectMeta, PutMode, PutPayload, PutResult};
use parking_lot::Mutex;
use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase};

use super::check::{CHUNKS, LINES, OBJECTS, check, damaged, failed};
use super::{Description, FileBucket, Head, PROFILE, ReadLine, one_way, unusable};
use crate::side::Side;

/// The memory of the index.
const CACHE: usize = 4 << 20;

/// The bytes of one read of an object.
const PIECE: u64 = 256 << 10;

/// A backup file that was checked completely.
#[derive(Debug, Clone)]
pub struct Backup(Arc<Opened>);

#[derive(Debug)]
struct Opened {
    name: String,
    head: Head,
    file: Mutex<File>,
    index: Database,
    clock: Arc<dyn Clock>,
    /// The tables whose lines are in the index.
    indexed: Mutex<BTreeSet<String>>,
}

impl Backup {
    /// Opens a file, and compares all its entries with their hashes. `clock` says which items have expired.
    ///
    /// Errors: `InvalidInput` for a file that is no backup, is damaged, is not complete, or is of a later version.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        let named = |error: Error| error.with_resource(path.display().to_string());
        Opened::new(path, clock).map(|opened| Self(Arc::new(opened))).map_err(named)
    }

    /// The file as the source of a move.
    pub fn side(&self) -> Side {
        let Opened { name, head, .. } = &*self.0;
        let side = Side::new(format!("file:{name}"));
        let side = head.tables.iter().fold(side, |side, name| {
            let table = FileTable { name: name.clone(), opened: Arc::clone(&self.0), last: Mutex::default() };
            side.with_table(name, Arc::new(table), &PROFILE)
        });
        head.buckets.iter().fold(side, |side, name| {
            let objects = FileObjects { bucket: name.clone(), opened: Arc::clone(&self.0) };
            side.with_bucket(name, Arc::new(FileBucket(Arc::new(objects))), &PROFILE)
        })
    }

    /// Where the data is from.
    pub fn source(&self) -> &str {
        &self.0.head.source
    }
}

impl Opened {
    fn new(path: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        let file = File::open(path).map_err(unusable)?;
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE);
        let backend = FileBackend::new(tempfile::tempfile().map_err(unusable)?).map_err(failed)?;
        let index = builder.create_with_backend(backend).map_err(failed)?;
        let head = check(&file, &index)?;
        let name = path.display().to_string();
        Ok(Self { name, head, file: Mutex::new(file), index, clock, indexed: Mutex::default() })
    }

    fn read_at(&self, offset: u64, size: u64) -> Result<Vec<u8>> {
        let size = usize::try_from(size).map_err(|_| damaged("an entry is larger than the memory"))?;
        let mut bytes = vec![0; size];
        let mut file = self.file.lock();
        file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut bytes)).map_err(unusable)?;
        Ok(bytes)
    }

    /// The chunk of a table after this number.
    fn chunk_after(&self, table: &str, after: u64) -> Result<Option<(u64, (u64, u64))>> {
        let chunks = self.index.begin_read().map_err(failed)?.open_table(CHUNKS).map_err(failed)?;
        let range = (Bound::Excluded((table, after)), Bound::Included((table, u64::MAX)));
        let next = chunks.range::<(&str, u64)>(range).map_err(failed)?.next().transpose().map_err(failed)?;
        Ok(next.map(|(key, place)| (key.value().1, place.value())))
    }

    /// Adds the places of all lines of a table to the index, at the first call.
    fn index_lines(&self, table: &str) -> Result<()> {
        let mut indexed = self.indexed.lock();
        if indexed.contains(table) {
            return Ok(());
        }
        let mut number = 0;
        while let Some((next, (offset, size))) = self.chunk_after(table, number)? {
            let chunk = self.read_at(offset, size)?;
            let transaction = self.index.begin_write().map_err(failed)?;
            {
                let mut lines = transaction.open_table(LINES).map_err(failed)?;
                let mut at = offset;
                for line in chunk.split_inclusive(|byte| *byte == b'\n') {
                    let key = ReadLine::item(line, String::new())?.key;
                    let place = (at, line.len() as u64);
                    lines.insert((table, key.partition.as_str(), key.sort.as_str()), place).map_err(failed)?;
                    at += line.len() as u64;
                }
            }
            transaction.commit().map_err(failed)?;
            number = next;
        }
        indexed.insert(table.to_owned());
        Ok(())
    }

    fn is_live(&self, item: &Item) -> bool {
        item.expires_at.is_none_or(|expiry| self.clock.now() < expiry)
    }
}

/// A table that is only read.
#[derive(Debug)]
struct FileTable {
    name: String,
    opened: Arc<Opened>,
    /// The chunk that was read last, because a page often ends within it.
    last: Mutex<Option<(u64, Arc<Vec<u8>>)>>,
}

impl FileTable {
    fn chunk(&self, number: u64, (offset, size): (u64, u64)) -> Result<Arc<Vec<u8>>> {
        let mut last = self.last.lock();
        if let Some((_, chunk)) = last.as_ref().filter(|(of, _)| *of == number) {
            return Ok(Arc::clone(chunk));
        }
        let chunk = Arc::new(self.opened.read_at(offset, size)?);
        *last = Some((number, Arc::clone(&chunk)));
        Ok(chunk)
    }
}

#[async_trait]
impl KeyValue for FileTable {
    async fn get(&self, key: &Key) -> Result<Option<Item>> {
        Ok(self.get_many(std::slice::from_ref(key)).await?.pop().flatten())
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>> {
        self.opened.index_lines(&self.name)?;
        let lines = self.opened.index.begin_read().map_err(failed)?.open_table(LINES).map_err(failed)?;
        let read = |key: &Key| {
            let place = lines.get((self.name.as_str(), key.partition.as_str(), key.sort.as_str())).map_err(failed)?;
            let Some((offset, size)) = place.map(|place| place.value()) else { return Ok(None) };
            let item = ReadLine::item(&self.opened.read_at(offset, size)?, offset.to_string())?;
            Ok(Some(item).filter(|item| self.opened.is_live(item)))
        };
        keys.iter().map(read).collect()
    }

    async fn put(&self, _put: Put) -> Result<Version> {
        Err(one_way("replace an item"))
    }

    async fn delete(&self, _key: &Key, _version: Option<&Version>) -> Result<()> {
        Err(one_way("delete an item"))
    }

    async fn query(&self, _range: &QueryRange) -> Result<Items> {
        Err(one_way("be queried"))
    }

    /// The segments are those of the chunks. A position is the number of a chunk and an offset in it.
    async fn scan(&self, segment: &ScanSegment) -> Result<Items> {
        let wrong = || Error::invalid_input("not a position of this scan").with_origin(Origin::Request);
        let (mut number, mut skip) = match &segment.after {
            None => (0, None),
            Some(after) => {
                let (number, offset) = after.split_once('/').ok_or_else(wrong)?;
                let (number, offset): (u64, usize) =
                    (number.parse().map_err(|_| wrong())?, offset.parse().map_err(|_| wrong())?);
                (number.checked_sub(1).ok_or_else(wrong)?, Some(offset))
            }
        };
        let mut items = Vec::new();
        while let Some((next, place)) = self.opened.chunk_after(&self.name, number)? {
            number = next;
            let skipped = skip.take().unwrap_or_default();
            if next % u64::from(segment.segments.max(1)) != u64::from(segment.segment) {
                continue;
            }
            let chunk = self.chunk(next, place)?;
            let mut at = skipped;
            for line in chunk.get(skipped..).ok_or_else(wrong)?.split_inclusive(|byte| *byte == b'\n') {
                at += line.len();
                let item = ReadLine::item(line, (place.0 + at as u64).to_string())?;
                if self.opened.is_live(&item) {
                    items.push(item);
                }
                if items.len() >= segment.limit {
                    return Ok(Items::new(items, Some(format!("{next}/{at}"))));
                }
            }
            return Ok(Items::new(items, Some(format!("{}/0", next + 1))));
        }
        Ok(Items::new(items, None))
    }

    async fn transact(&self, _writes: Vec<Write>) -> Result<Vec<Option<Version>>> {
        Err(one_way("make a transaction"))
    }

    async fn add(&self, _key: &Key, _delta: i64) -> Result<i64> {
        Err(one_way("add to a counter"))
    }
}

/// The objects of a bucket that is only read.
#[derive(Debug)]
struct FileObjects {
    bucket: String,
    opened: Arc<Opened>,
}

impl FileObjects {
    fn find(&self, name: &str) -> Result<(ObjectMeta, Attributes, u64)> {
        let objects = self.opened.index.begin_read().map_err(failed)?.open_table(OBJECTS).map_err(failed)?;
        let found = objects.get((self.bucket.as_str(), name)).map_err(failed)?;
        let found = found.ok_or_else(|| Error::not_found("no such object").with_origin(Origin::Data))?;
        let (offset, size, hash, description) = found.value();
        let description: Description = serde_json::from_slice(description)?;
        Ok((self.meta(name, size, hash)?, description.attributes(), offset))
    }

    fn meta(&self, name: &str, size: u64, hash: &str) -> Result<ObjectMeta> {
        Ok(ObjectMeta {
            location: Stored::parse(name).map_err(object_store::Error::from)?,
            last_modified: to_utc(from_millis(self.opened.head.made_ms)),
            size,
            e_tag: Some(hash.to_owned()),
            version: None,
        })
    }
}

#[async_trait]
impl FlatObjects for FileObjects {
    type Staged = ();
    type Content = (Arc<Opened>, u64);

    async fn stage(&self) -> Result<()> {
        Err(one_way("replace an object"))
    }

    async fn append(&self, (): &mut (), _part: PutPayload) -> Result<()> {
        Err(one_way("replace an object"))
    }

    async fn commit(&self, _: &str, (): (), _: Attributes, _: PutMode) -> Result<PutResult> {
        Err(one_way("replace an object"))
    }

    async fn open(&self, name: &str) -> Result<(ObjectMeta, Attributes, Self::Content)> {
        let (meta, attributes, offset) = self.find(name)?;
        Ok((meta, attributes, (Arc::clone(&self.opened), offset)))
    }

    async fn head(&self, name: &str) -> Result<(ObjectMeta, Attributes)> {
        self.find(name).map(|(meta, attributes, _)| (meta, attributes))
    }

    fn read(&self, (opened, offset): Self::Content, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        try_unfold((opened, range), move |(opened, range)| async move {
            if range.is_empty() {
                return Ok(None);
            }
            let size = PIECE.min(range.end - range.start);
            let piece = opened.read_at(offset + range.start, size)?;
            Ok(Some((Bytes::from(piece), (opened, range.start + size..range.end))))
        })
        .boxed()
    }

    async fn remove(&self, _name: &str) -> Result<()> {
        Err(one_way("delete an object"))
    }

    async fn list(&self, request: &ListRequest) -> Result<Listing> {
        let objects = self.opened.index.begin_read().map_err(failed)?.open_table(OBJECTS).map_err(failed)?;
        let bucket = self.bucket.as_str();
        let first = page_start(request).map(|name| (bucket, name));
        let rows = objects.range::<(&str, &str)>((first, Bound::Unbounded)).map_err(failed)?;
        let mine = rows.map_while(|row| match row {
            Ok((place, _)) if place.value().0 != bucket => None,
            Ok((place, row)) => {
                let (_, size, hash, _) = row.value();
                Some(Ok((place.value().1.to_owned(), (size, hash.to_owned()))))
            }
            Err(error) => Some(Err(failed(error))),
        });
        page_of(request, mine, |name, (size, hash)| self.meta(name, size, &hash))
    }
}
