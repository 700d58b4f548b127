//! Checking a backup file: all its entries are read, and compared with their hashes.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};

use isobar_abstraction::{Error, ErrorKind, Result};
use redb::{Database, TableDefinition};
use sha2::{Digest, Sha256};

use super::{BUCKETS, Description, END, End, FORMAT, Form, HEAD, Head, SUMS, TABLES, VERSION, unusable};
use crate::digest::hex;

/// The bytes of a block of an archive.
const BLOCK: u64 = 512;

/// The largest entry of JSON, which is read as a whole.
const LARGEST_JSON: u64 = 64 << 20;

/// The place of the lines of a table, by its name and their number: offset and size.
pub(super) const CHUNKS: TableDefinition<'_, (&str, u64), (u64, u64)> = TableDefinition::new("chunks");
/// The place of a line, by table, partition and sort key.
pub(super) const LINES: TableDefinition<'_, (&str, &str, &str), (u64, u64)> = TableDefinition::new("lines");
/// The offset of the content, its size, its hash, and the description of an object, by bucket and stored name.
pub(super) const OBJECTS: TableDefinition<'_, (&str, &str), ObjectRow> = TableDefinition::new("objects");

pub(super) type ObjectRow = (u64, u64, &'static str, &'static [u8]);

/// Reads all entries, compares them with their hashes, and makes the index. Returns the first entry.
pub(super) fn check(file: &File, index: &Database) -> Result<Head> {
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
            let mut entry = entry.map_err(|_| no_backup())?;
            if end.is_some() {
                return Err(damaged("there are entries after the last one"));
            }
            let name = entry.path().ok().and_then(|path| path.to_str().map(str::to_owned));
            let name = name.ok_or_else(|| damaged("an entry has a name that is no text"))?;
            let (offset, size) = (entry.raw_file_position(), entry.size());
            after = offset.saturating_add(size).checked_next_multiple_of(BLOCK).unwrap_or(u64::MAX);
            if found.is_none() && name != HEAD {
                return Err(no_backup());
            }
            let parts: Vec<&str> = name.split('/').collect();
            let is_data = name.ends_with(".data");
            let is_whole = !is_data && !name.starts_with(TABLES);
            if is_whole && size > LARGEST_JSON {
                return Err(damaged(&format!("the entry {name} is too large")));
            }
            let mut text = Vec::new();
            let mut hash = Hasher { hash: Sha256::new(), copy: is_whole.then_some(&mut text) };
            let read = io::copy(&mut entry, &mut hash).map_err(|error| cut(&error))?;
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
                [BUCKETS, _, _] => {
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
        return Err(no_backup());
    }
    if version > VERSION {
        return Err(Error::invalid_input(format!(
            "the backup has version {version} of the format; this isobar reads up to version {VERSION}: use a newer one"
        )));
    }
    serde_json::from_slice(text).map_err(damaged)
}

pub(super) fn damaged(why: &str) -> Error {
    Error::invalid_input(format!("the backup is damaged: {why}; use another copy of it"))
}

fn not_complete() -> Error {
    Error::invalid_input("the backup is not complete: its end is missing; use another copy of it")
}

/// The text of a reader of archives can contain what it read, so it is left out.
fn no_backup() -> Error {
    Error::invalid_input("it is no backup file of isobar, or it is damaged")
}

fn cut(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => not_complete(),
        _ => no_backup(),
    }
}

pub(super) fn failed(error: impl Into<redb::Error>) -> Error {
    let message = "the index of the backup failed; free space in the folder of temporary files";
    Error::new(ErrorKind::Unavailable, message).with_source(error.into())
}
