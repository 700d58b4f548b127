//! Writing a backup file.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use isobar_abstraction::clock::to_millis;
use isobar_abstraction::driver::ResourceKind;
use isobar_abstraction::driver::blob::flat::FlatObjects;
use isobar_abstraction::driver::blob::{ListRequest, Listing};
use isobar_abstraction::driver::key_value::{
    Item, Items, Key, KeyValue, Put, QueryRange, ScanSegment, Version, Write as Change,
};
use isobar_abstraction::{Error, Origin, Result};
use object_store::{Attributes, ObjectMeta, PutMode, PutPayload, PutResult};
use parking_lot::Mutex;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, SpooledTempFile};

use super::{
    BUCKETS, Description, END, End, FORMAT, FileBucket, HEAD, Head, Line, PROFILE, SUMS, TABLES, VERSION, one_way,
    unusable,
};
use crate::digest::hex;
use crate::side::Side;

/// The bytes of lines in one entry, about.
const CHUNK: usize = 1 << 20;

/// The bytes of an object that are kept in memory until it is complete.
const IN_MEMORY: usize = 1 << 20;

/// The entries that one list of hashes has.
const SUMMED: usize = 4_096;

/// A backup file in the making.
///
/// It is made next to its place, and takes it in [`finish`](Self::finish). Without that it is removed.
#[derive(Debug, Clone)]
pub struct BackupWriter(Arc<Mutex<Writer>>);

impl BackupWriter {
    /// Begins a backup of these tables and buckets, from a side with this name. Errors: `Unavailable` of the disk.
    pub fn create(path: &Path, source: &Side) -> Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::metadata(folder).map_err(|error| unusable(error).with_resource(path.display().to_string()))?;
        let file = NamedTempFile::with_prefix_in(".isobar-backup-", folder);
        // Its own error names a temporary file.
        let file = file.map_err(|error| unusable(error.kind().into()).with_resource(path.display().to_string()))?;
        let names = |kind| source.names().filter(|(of, _)| *of == kind).map(|(_, name)| name.to_owned()).collect();
        let head = Head {
            format: FORMAT.to_owned(),
            version: VERSION,
            source: source.name().to_owned(),
            made_ms: to_millis(SystemTime::now()),
            tables: names(ResourceKind::Table),
            buckets: names(ResourceKind::Bucket),
        };
        let out = BufWriter::with_capacity(1 << 18, file.reopen().map_err(unusable)?);
        let mut writer = Writer {
            file: Some(file),
            out,
            path: path.to_owned(),
            sums: Vec::new(),
            sum_files: 0,
            all: Sha256::new(),
            entries: 0,
            chunks: BTreeMap::new(),
            objects: 0,
            made_ms: head.made_ms,
        };
        writer.json(HEAD, &head)?;
        Ok(Self(Arc::new(Mutex::new(writer))))
    }

    /// The file as the target of a move. The resources are those of `source`.
    pub fn side(&self, source: &Side) -> Side {
        let name = self.0.lock().path.display().to_string();
        source.names().fold(Side::new(format!("file:{name}")), |side, (kind, name)| {
            let (name_of, writer) = (name.to_owned(), Arc::clone(&self.0));
            match kind {
                ResourceKind::Table => side.with_table(name, Arc::new(FileTable { name: name_of, writer }), &PROFILE),
                _ => {
                    let objects = Arc::new(FileObjects { bucket: name_of, writer });
                    side.with_bucket(name, Arc::new(FileBucket(objects)), &PROFILE)
                }
            }
        })
    }

    /// Completes the file: it replaces one that has its name. Errors: `Unavailable` of the disk.
    pub fn finish(self) -> Result<()> {
        let mut writer = self.0.lock();
        for name in writer.chunks.keys().cloned().collect::<Vec<_>>() {
            writer.end_chunk(&name)?;
        }
        writer.end_sums()?;
        let end = End { entries: writer.entries, sha256: hex(&writer.all.clone().finalize()) };
        writer.json(END, &end)?;
        // An archive ends with two empty blocks.
        writer.out.write_all(&[0; 1024]).map_err(unusable)?;
        writer.out.flush().map_err(unusable)?;
        let Writer { file, path, .. } = &mut *writer;
        let file = file.take().ok_or_else(|| Error::internal("the backup was completed already"))?;
        file.as_file().sync_all().map_err(unusable)?;
        file.persist(path).map_err(|error| unusable(error.error))?;
        Ok(())
    }
}

#[derive(Debug)]
struct Writer {
    file: Option<NamedTempFile>,
    out: BufWriter<File>,
    path: PathBuf,
    /// The hashes of the entries since the last list of them, by name.
    sums: Vec<(String, String)>,
    sum_files: u64,
    /// The hash of all lists.
    all: Sha256,
    entries: u64,
    chunks: BTreeMap<String, Chunk>,
    objects: u64,
    made_ms: u64,
}

/// The lines of a table that are no entry yet.
#[derive(Debug, Default)]
struct Chunk {
    lines: Vec<u8>,
    number: u64,
}

impl Writer {
    fn json(&mut self, name: &str, value: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_vec(value)?;
        text.push(b'\n');
        self.entry(name, text.len() as u64, self.made_ms, &mut text.as_slice())
    }

    fn entry(&mut self, name: &str, size: u64, modified_ms: u64, content: &mut dyn Read) -> Result<()> {
        self.block(name, size, modified_ms, content).map_err(unusable)?;
        if self.sums.len() >= SUMMED {
            self.end_sums()?;
        }
        Ok(())
    }

    fn block(&mut self, name: &str, size: u64, modified_ms: u64, content: &mut dyn Read) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_path(name)?;
        header.set_size(size);
        header.set_mode(0o600);
        header.set_mtime(modified_ms / 1_000);
        header.set_cksum();
        self.out.write_all(header.as_bytes())?;
        let mut hashed = Hashed { out: &mut self.out, hash: Sha256::new() };
        let copied = io::copy(content, &mut hashed)?;
        let hash = hex(&hashed.hash.finalize());
        if copied != size {
            return Err(io::Error::other("an entry has another size than its header"));
        }
        let padding = usize::try_from((512 - size % 512) % 512).unwrap_or_default();
        self.out.write_all(&[0; 512][..padding])?;
        self.sums.push((hash, name.to_owned()));
        self.entries += 1;
        Ok(())
    }

    /// Writes the hashes of the entries before.
    fn end_sums(&mut self) -> Result<()> {
        if self.sums.is_empty() {
            return Ok(());
        }
        let mut text = String::new();
        for (hash, name) in self.sums.drain(..) {
            let _ = writeln!(text, "{hash}  {name}");
        }
        self.all.update(&text);
        self.sum_files += 1;
        let name = format!("{SUMS}/{:010}", self.sum_files);
        self.block(&name, text.len() as u64, self.made_ms, &mut text.as_bytes()).map_err(unusable)?;
        self.sums.clear();
        Ok(())
    }

    fn line(&mut self, table: &str, put: &Put) -> Result<()> {
        let chunk = match self.chunks.get_mut(table) {
            Some(chunk) => chunk,
            None => self.chunks.entry(table.to_owned()).or_default(),
        };
        serde_json::to_writer(&mut chunk.lines, &Line::of(&put.key, &put.value, put.expires_at))?;
        chunk.lines.push(b'\n');
        if chunk.lines.len() >= CHUNK { self.end_chunk(table) } else { Ok(()) }
    }

    fn end_chunk(&mut self, table: &str) -> Result<()> {
        let Some(chunk) = self.chunks.get_mut(table) else { return Ok(()) };
        if chunk.lines.is_empty() {
            return Ok(());
        }
        chunk.number += 1;
        let (lines, number) = (std::mem::take(&mut chunk.lines), chunk.number);
        let name = format!("{TABLES}/{table}/{number:010}.jsonl");
        self.entry(&name, lines.len() as u64, self.made_ms, &mut lines.as_slice())
    }

    /// Writes an object, and returns the hash of its content.
    fn object(&mut self, bucket: &str, description: &Description, content: &mut dyn Read) -> Result<String> {
        self.objects += 1;
        let name = format!("{BUCKETS}/{bucket}/{:010}", self.objects);
        self.json(&format!("{name}.json"), description)?;
        self.block(&format!("{name}.data"), description.size, self.made_ms, content).map_err(unusable)?;
        let hash = self.sums.last().map(|(hash, _)| hash.clone()).unwrap_or_default();
        if self.sums.len() >= SUMMED {
            self.end_sums()?;
        }
        Ok(hash)
    }
}

/// Hashes what is written.
struct Hashed<'a> {
    out: &'a mut BufWriter<File>,
    hash: Sha256,
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A table that is only written.
#[derive(Debug)]
struct FileTable {
    name: String,
    writer: Arc<Mutex<Writer>>,
}

#[async_trait]
impl KeyValue for FileTable {
    async fn get(&self, _key: &Key) -> Result<Option<Item>> {
        Ok(None)
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>> {
        Ok(vec![None; keys.len()])
    }

    async fn put(&self, put: Put) -> Result<Version> {
        self.writer.lock().line(&self.name, &put)?;
        Ok(Version::new(""))
    }

    async fn put_many(&self, puts: Vec<Put>) -> Vec<Result<Version>> {
        let mut writer = self.writer.lock();
        puts.iter().map(|put| writer.line(&self.name, put).map(|()| Version::new(""))).collect()
    }

    async fn delete(&self, _key: &Key, _version: Option<&Version>) -> Result<()> {
        Err(one_way("delete an item"))
    }

    async fn query(&self, _range: &QueryRange) -> Result<Items> {
        Ok(Items::default())
    }

    async fn scan(&self, _segment: &ScanSegment) -> Result<Items> {
        Ok(Items::default())
    }

    async fn transact(&self, _writes: Vec<Change>) -> Result<Vec<Option<Version>>> {
        Err(one_way("make a transaction"))
    }

    async fn add(&self, _key: &Key, _delta: i64) -> Result<i64> {
        Err(one_way("add to a counter"))
    }
}

/// The objects of a bucket that is only written.
#[derive(Debug)]
struct FileObjects {
    bucket: String,
    writer: Arc<Mutex<Writer>>,
}

fn absent() -> Error {
    Error::not_found("no such object").with_origin(Origin::Data)
}

#[async_trait]
impl FlatObjects for FileObjects {
    type Staged = SpooledTempFile;
    type Content = ();

    async fn stage(&self) -> Result<SpooledTempFile> {
        Ok(SpooledTempFile::new(IN_MEMORY))
    }

    async fn append(&self, staged: &mut SpooledTempFile, part: PutPayload) -> Result<()> {
        part.iter().try_for_each(|bytes| staged.write_all(bytes)).map_err(unusable)
    }

    async fn commit(
        &self,
        name: &str,
        mut staged: SpooledTempFile,
        attributes: Attributes,
        _mode: PutMode,
    ) -> Result<PutResult> {
        let size = staged.stream_position().map_err(unusable)?;
        staged.rewind().map_err(unusable)?;
        let description = Description::new(name, size, &attributes);
        let hash = self.writer.lock().object(&self.bucket, &description, &mut staged)?;
        Ok(PutResult { e_tag: Some(hash), version: None, extensions: Default::default() })
    }

    async fn open(&self, _name: &str) -> Result<(ObjectMeta, Attributes, ())> {
        Err(absent())
    }

    async fn head(&self, _name: &str) -> Result<(ObjectMeta, Attributes)> {
        Err(absent())
    }

    fn read(&self, (): (), _range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        stream::empty().boxed()
    }

    async fn remove(&self, _name: &str) -> Result<()> {
        Err(one_way("delete an object"))
    }

    async fn list(&self, _request: &ListRequest) -> Result<Listing> {
        Ok(Listing::default())
    }
}
