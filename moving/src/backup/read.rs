//! Reading a backup file.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::{Bound, Range};
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt, try_unfold};
use isobar_abstraction::clock::{from_millis, to_utc};
use isobar_abstraction::driver::Clock;
use isobar_abstraction::driver::blob::flat::{FlatObjects, FlatStore, page_of, page_start};
use isobar_abstraction::driver::blob::{Blob, ListRequest, Listing, SignRequest, SignedUrl};
use isobar_abstraction::driver::key_value::{Item, Items, Key, KeyValue, Put, QueryRange, ScanSegment, Version, Write};
use isobar_abstraction::{Error, ErrorKind, Origin, Result};
use object_store::path::Path as Stored;
use object_store::{Attributes, ObjectMeta, ObjectStore, PutMode, PutPayload, PutResult};
use parking_lot::Mutex;
use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase, TableDefinition};
use sha2::{Digest, Sha256};

use super::write::hex;
use super::{
    BUCKETS, Description, END, End, FORMAT, Form, HEAD, Head, PROFILE, ReadLine, SUMS, TABLES, VERSION, one_way,
    unusable,
};
use crate::side::Side;

/// The memory of the index.
const CACHE: usize = 4 << 20;

/// The bytes of one read of an object.
const PIECE: u64 = 256 << 10;

/// The bytes of a block of an archive.
const BLOCK: u64 = 512;

/// The largest entry of JSON, which is read as a whole.
const LARGEST_JSON: u64 = 64 << 20;

/// The place of the lines of a table, by its name and their number: offset and size.
const CHUNKS: TableDefinition<'_, (&str, u64), (u64, u64)> = TableDefinition::new("chunks");
/// The place of a line, by table, partition and sort key.
const LINES: TableDefinition<'_, (&str, &str, &str), (u64, u64)> = TableDefinition::new("lines");
/// The offset of the content, its size, its hash, and the description of an object, by bucket and stored name.
const OBJECTS: TableDefinition<'_, (&str, &str), ObjectRow> = TableDefinition::new("objects");

type ObjectRow = (u64, u64, &'static str, &'static [u8]);

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

/// Reads all entries, compares them with their hashes, and makes the index. Returns the first entry.
fn check(file: &File, index: &Database) -> Result<Head> {
    let transaction = index.begin_write().map_err(failed)?;
    let mut found = None;
    {
        let mut chunks = transaction.open_table(CHUNKS).map_err(failed)?;
        let mut objects = transaction.open_table(OBJECTS).map_err(failed)?;
        transaction.open_table(LINES).map_err(failed)?;
        let mut sums = Sums::default();
        let mut described: Option<(String, Vec<u8>)> = None;
        let mut end: Option<End> = None;
        let mut archive = tar::Archive::new(BufReader::with_capacity(1 << 18, file));
        let mut after = 0;
        for entry in archive.entries().map_err(unusable)? {
            let mut entry = entry.map_err(no_backup)?;
            if end.is_some() {
                return Err(damaged("there are entries after the last one"));
            }
            let name = entry.path().ok().and_then(|path| path.to_str().map(str::to_owned));
            let name = name.ok_or_else(|| damaged("an entry has a name that is no text"))?;
            let (offset, size) = (entry.raw_file_position(), entry.size());
            after = offset.saturating_add(size).checked_next_multiple_of(BLOCK).unwrap_or(u64::MAX);
            if found.is_none() && name != HEAD {
                return Err(no_backup(io::Error::other("the first entry is another one")));
            }
            let parts: Vec<&str> = name.split('/').collect();
            let is_data = name.ends_with(".data");
            let is_whole = !is_data && !name.starts_with(TABLES);
            if is_whole && size > LARGEST_JSON {
                return Err(damaged(&format!("the entry {name} is too large")));
            }
            let mut text = Vec::new();
            let mut hash = Hasher { hash: Sha256::new(), copy: is_whole.then_some(&mut text) };
            let read = io::copy(&mut entry, &mut hash).map_err(cut)?;
            if read != size {
                return Err(not_complete());
            }
            let hash = hex(&hash.hash.finalize());
            match parts.as_slice() {
                [HEAD] => found = Some(head_of(&text)?),
                [END] => end = Some(serde_json::from_slice(&text).map_err(|_| damaged("its last entry is no JSON"))?),
                [SUMS, _] => {
                    sums.compare(&text)?;
                    sums.entries += 1;
                    continue;
                }
                [TABLES, table, number] => {
                    let number = number.strip_suffix(".jsonl").and_then(|number| number.parse().ok());
                    let number = number.ok_or_else(|| damaged(&format!("the entry {name} is unknown")))?;
                    chunks.insert((*table, number), (offset, size)).map_err(failed)?;
                }
                [BUCKETS, bucket, _] if is_data => {
                    let (of, text) = described.take().ok_or_else(|| damaged("an object has no description"))?;
                    let description: Description = serde_json::from_slice(&text)
                        .map_err(|_| damaged("the description of an object is no JSON"))?;
                    if Some(of.as_str()) != name.strip_suffix(".data") || description.size != size {
                        return Err(damaged("an object has the description of another one"));
                    }
                    let row = (offset, size, hash.as_str(), text.as_slice());
                    objects.insert((*bucket, description.name.as_str()), row).map_err(failed)?;
                }
                [BUCKETS, _, object] => {
                    let _ = object;
                    described = Some((name.strip_suffix(".json").unwrap_or(&name).to_owned(), text));
                }
                _ => return Err(damaged(&format!("the entry {name} is unknown"))),
            }
            sums.entries += 1;
            sums.found.insert(name, hash);
        }
        let end = end.ok_or_else(not_complete)?;
        check_end(file, after)?;
        // The last entry does not count itself, and its hash is in no list.
        sums.found.remove(END);
        if !sums.found.is_empty() || end.entries + 1 != sums.entries || end.sha256 != hex(&sums.all.finalize()) {
            return Err(damaged("entries are missing, or have no hash"));
        }
    }
    transaction.commit().map_err(failed)?;
    found.ok_or_else(not_complete)
}

/// Errors: `InvalidInput` unless the file ends with two empty blocks, and has nothing after them. An archive reader ends at them.
fn check_end(mut file: &File, after: u64) -> Result<()> {
    file.seek(SeekFrom::Start(after)).map_err(unusable)?;
    let (mut rest, mut read) = (BufReader::with_capacity(1 << 18, file), 0);
    loop {
        let some = rest.fill_buf().map_err(unusable)?;
        if some.iter().any(|byte| *byte != 0) {
            return Err(damaged("there is something after its end"));
        }
        match some.len() {
            0 if read < 2 * BLOCK => return Err(not_complete()),
            0 => return Ok(()),
            count => {
                read += count as u64;
                rest.consume(count);
            }
        }
    }
}

/// The hashes of entries.
#[derive(Default)]
struct Sums {
    /// Those that were computed and are in no list yet, by name.
    found: HashMap<String, String>,
    all: Sha256,
    entries: u64,
}

impl Sums {
    /// Compares the entries before a list with it.
    fn compare(&mut self, list: &[u8]) -> Result<()> {
        self.all.update(list);
        let list = std::str::from_utf8(list).map_err(|_| damaged("a list of hashes is no text"))?;
        for line in list.lines() {
            let (hash, name) = line.split_once("  ").ok_or_else(|| damaged("a list of hashes has another form"))?;
            match self.found.remove(name) {
                Some(found) if found == hash => {}
                Some(_) => return Err(damaged(&format!("the entry {name} has another hash than when it was written"))),
                None => return Err(damaged(&format!("the entry {name} is missing"))),
            }
        }
        Ok(())
    }
}

struct Hasher<'a> {
    hash: Sha256,
    copy: Option<&'a mut Vec<u8>>,
}

impl io::Write for Hasher<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hash.update(bytes);
        if let Some(copy) = &mut self.copy {
            copy.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn head_of(text: &[u8]) -> Result<Head> {
    let damaged = |_| damaged("its first entry is not that of a backup");
    // A later version may have other members.
    let Form { format, version } = serde_json::from_slice(text).map_err(damaged)?;
    if format != FORMAT {
        return Err(no_backup(io::Error::other("its first entry has another format")));
    }
    if version > VERSION {
        return Err(Error::invalid_input(format!(
            "the backup has version {version} of the format; this isobar reads up to version {VERSION}: use a newer one"
        )));
    }
    serde_json::from_slice(text).map_err(damaged)
}

fn damaged(why: &str) -> Error {
    Error::invalid_input(format!("the backup is damaged: {why}; use another copy of it"))
}

fn not_complete() -> Error {
    Error::invalid_input("the backup is not complete: its end is missing; use another copy of it")
}

/// The text of a reader of archives can contain what it read, so it is left out.
fn no_backup(_: io::Error) -> Error {
    Error::invalid_input("it is no backup file of isobar, or it is damaged")
}

fn cut(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => not_complete(),
        _ => no_backup(error),
    }
}

fn failed(error: impl Into<redb::Error>) -> Error {
    let message = "the index of the backup failed; free space in the folder of temporary files";
    Error::new(ErrorKind::Unavailable, message).with_source(error.into())
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

/// A bucket that is only read.
#[derive(Debug)]
struct FileBucket(Arc<FileObjects>);

#[async_trait]
impl Blob for FileBucket {
    fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::new(FlatStore::new(Arc::clone(&self.0)))
    }

    async fn list(&self, request: &ListRequest) -> Result<Listing> {
        self.0.list(request).await
    }

    async fn sign(&self, _request: &SignRequest) -> Result<SignedUrl> {
        Err(one_way("sign a URL"))
    }
}

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
