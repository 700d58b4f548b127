//! The format of an item in Table Storage.
//!
//! | property | type | meaning |
//! |---|---|---|
//! | `PartitionKey`, `RowKey` | String | the key; see `key` |
//! | `sort` | String | the unchanged sort key, for people; never read |
//! | `value`, `value1`, `value2` … | String or Binary | the value, in pieces |
//! | `write` | String | 128 random bits, new with each write: they identify the write |
//! | `expires` | Int64 | the expiry, in milliseconds since 1970 |
//!
//! Reads ignore other properties, and a put removes them. An item of another writer needs its key and `value`, which may
//! also be a number.

use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use isobar_abstraction::clock::{from_millis, to_millis};
use isobar_abstraction::driver::key_value::{Item, Key, Version};
use isobar_abstraction::{Error, Result};
use ring::digest::{Context, SHA256};
use serde_json::{Map, Value, json};

use super::key::RowKey;
use isobar_rest::attempt::random_bits;

/// The largest text and binary property: a property has at most 64 KiB, and text, in UTF-16, "about 32 K characters or
/// less".
///
/// Source: <https://learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model>.
const TEXT_UNITS: usize = 32_000;
const BINARY_BYTES: usize = 64_000;

/// Up to this size, a readable value is always stored as text, even where its JSON is longer than base64.
const SMALL: usize = 4_096;

const TYPE_OF_EXPIRY: &str = "expires@odata.type";

/// The content of a row to write.
#[derive(Debug, Clone, Copy)]
pub(super) struct Content<'a> {
    pub(super) key: &'a Key,
    pub(super) value: &'a [u8],
    pub(super) expires_at: Option<SystemTime>,
    /// The id of this write.
    pub(super) write: &'a str,
}

impl Content<'_> {
    /// The entity in JSON.
    pub(super) fn entity(&self, row: &RowKey) -> Bytes {
        let mut entity = Map::new();
        entity.insert("PartitionKey".to_owned(), json!(row.partition));
        entity.insert("RowKey".to_owned(), json!(row.row));
        if !self.key.sort.is_empty() && is_readable(&self.key.sort) {
            entity.insert("sort".to_owned(), json!(self.key.sort));
        }
        match text(self.value) {
            Some(text) => put_text(&mut entity, text),
            None => put_binary(&mut entity, self.value),
        }
        entity.insert("write".to_owned(), json!(self.write));
        if let Some(expiry) = self.expires_at {
            entity.insert("expires".to_owned(), json!(to_millis(expiry).to_string()));
            entity.insert(TYPE_OF_EXPIRY.to_owned(), json!("Edm.Int64"));
        }
        // Some parsers, such as Azurite's of transactions, treat these two as the end of a line.
        Value::Object(entity).to_string().replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029").into()
    }
}

/// The value as text, where it is readable and no longer in JSON than in base64: a transaction is at most 4 MiB.
fn text(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok().filter(|text| is_readable(text))?;
    let escaped = |byte: &&u8| matches!(byte, b'"' | b'\\' | b'\t' | b'\n' | b'\r');
    let size = value.len() + value.iter().filter(escaped).count();
    (value.len() <= SMALL || size <= value.len().div_ceil(3) * 4).then_some(text)
}

/// Whether all clients can represent the text: without control characters and noncharacters.
fn is_readable(text: &str) -> bool {
    let unreadable = |character: char| match character {
        '\t' | '\n' | '\r' => false,
        '\u{fffe}' | '\u{ffff}' => true,
        _ => character.is_control(),
    };
    !text.contains(unreadable)
}

fn name(piece: usize) -> String {
    if piece == 0 { "value".to_owned() } else { format!("value{piece}") }
}

fn put_text(entity: &mut Map<String, Value>, text: &str) {
    let mut rest = text;
    for piece in 0.. {
        let (head, tail) = rest.split_at(end_of_piece(rest));
        entity.insert(name(piece), json!(head));
        rest = tail;
        if rest.is_empty() {
            return;
        }
    }
}

fn end_of_piece(text: &str) -> usize {
    let mut units = 0;
    let past = |(_, character): &(usize, char)| {
        units += character.len_utf16();
        units > TEXT_UNITS
    };
    text.char_indices().find(past).map_or(text.len(), |(at, _)| at)
}

fn put_binary(entity: &mut Map<String, Value>, value: &[u8]) {
    for (piece, bytes) in value.chunks(BINARY_BYTES).enumerate() {
        let name = name(piece);
        entity.insert(format!("{name}@odata.type"), json!("Edm.Binary"));
        entity.insert(name, json!(BASE64_STANDARD.encode(bytes)));
    }
}

/// The boundary between the requests of a transaction: hex digits, since not every parser accepts the `-` of base64.
pub(super) fn boundary() -> Result<String> {
    Ok(format!("{:032x}", u128::from_be_bytes(random_bits()?)))
}

/// The content of a version: the id of its write, the expiry, and the service's ETag.
///
/// As text: `WRITE.MARK@MILLIS@ETAG`, without an expiry `WRITE.MARK@@ETAG`. The id of the write makes it unique. The mark
/// binds it to its row, since the rows of a transaction may share an ETag, which is a time. With the milliseconds, a
/// condition on the version of an expired item fails without a read. The service compares the ETag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag {
    /// The id of the write; empty in a row of another writer.
    pub(super) write: String,
    pub(super) expires_at: Option<SystemTime>,
    pub(super) etag: String,
}

/// The text of an ETag before and after the time of the write.
const OPENING: &str = "W/\"datetime'";
const CLOSING: &str = "'\"";

impl Tag {
    /// The tag of a write that was overwritten since: no row has it.
    pub(super) fn superseded(write: String) -> Self {
        Self { write, etag: format!("{OPENING}1601-01-01T00%3A00%3A00.0000000Z{CLOSING}"), expires_at: None }
    }

    /// The version of the item at `key`.
    pub(super) fn version(&self, key: &Key) -> Version {
        let millis = self.expires_at.map(|expiry| to_millis(expiry).to_string()).unwrap_or_default();
        let mark = mark(&[&self.write, &millis, &key.partition, &key.sort]);
        Version::new(format!("{}.{mark}@{millis}@{}", self.write, self.etag))
    }

    /// The content of a caller's version of the item at `key`; `None` where no write of it can have this version. The
    /// service interprets `*` as any version, and rejects an ETag of another form.
    pub(super) fn of(version: &Version, key: &Key) -> Option<Self> {
        let mut parts = version.as_str().splitn(3, '@');
        let (write, millis, etag) = (parts.next()?, parts.next()?, parts.next()?);
        let (write, _) = write.split_once('.')?;
        let expires_at = if millis.is_empty() { None } else { Some(from_millis(millis.parse().ok()?)) };
        let time = etag.strip_prefix(OPENING)?.strip_suffix(CLOSING)?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"%.:-".contains(&byte);
        let tag = Self { write: write.to_owned(), expires_at, etag: etag.to_owned() };
        let ours = is_write(write) && !time.is_empty() && time.bytes().all(fits) && tag.version(key) == *version;
        ours.then_some(tag)
    }

    pub(super) fn is_live(&self, now: SystemTime) -> bool {
        self.expires_at.is_none_or(|expiry| now < expiry)
    }
}

/// A row as it is read, whichever client wrote it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) row: RowKey,
    pub(super) tag: Tag,
    properties: Map<String, Value>,
}

impl Found {
    /// Reads a row. Errors: `Internal` without the properties that the service adds to each row.
    pub(super) fn read(mut properties: Map<String, Value>) -> Result<Self> {
        let expires_at = properties.get("expires").and_then(millis).map(from_millis);
        let mut text = |name: &str| match properties.remove(name) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(Error::internal(format!("Table Storage returned a row without `{name}`"))),
        };
        let row = RowKey { partition: text("PartitionKey")?, row: text("RowKey")? };
        let etag = text("odata.etag").unwrap_or_default();
        // Another writer may have stored another form: then it is not part of a version.
        let write = text("write").ok().filter(|write| is_write(write)).unwrap_or_default();
        Ok(Self { row, tag: Tag { write, expires_at, etag }, properties })
    }

    /// The key. Errors: `Internal` where isobar never writes such a row.
    pub(super) fn key(&self) -> Result<Key> {
        let malformed =
            || Error::internal(format!("the row with {} does not have isobar's format: its key differs", self.row));
        self.row.key().ok_or_else(malformed)
    }

    /// The item at `key`. Errors: `Internal` without a value.
    pub(super) fn into_item(self, key: Key) -> Result<Item> {
        let Some(value) = self.value() else {
            let why = "it has no `value` of type String, Binary or a number";
            return Err(Error::internal(format!("the item at `{key}` does not have isobar's format: {why}")));
        };
        let version = self.tag.version(&key);
        Ok(Item::new(key, value, version).with_expires_at(self.tag.expires_at))
    }

    fn value(&self) -> Option<Bytes> {
        let mut value = self.piece(0)?;
        for piece in 1.. {
            let name = name(piece);
            if self.properties.get(&name).is_none_or(Value::is_null) {
                break;
            }
            value.extend(self.piece(piece)?);
        }
        Some(value.into())
    }

    fn piece(&self, piece: usize) -> Option<Vec<u8>> {
        let name = name(piece);
        let kind = self.properties.get(&format!("{name}@odata.type")).and_then(Value::as_str);
        match (self.properties.get(&name)?, kind) {
            (Value::String(base64), Some("Edm.Binary")) => BASE64_STANDARD.decode(base64).ok(),
            (Value::String(text), _) => Some(text.clone().into_bytes()),
            (Value::Number(number), _) => Some(number.to_string().into_bytes()),
            _ => None,
        }
    }
}

/// Whether a text has the form of isobar's write ids; the empty text has.
fn is_write(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    text.bytes().all(fits)
}

/// 64 bits of a hash of these texts.
fn mark(texts: &[&str]) -> String {
    let mut hash = Context::new(&SHA256);
    for text in texts {
        hash.update(&(text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    hash.finish().as_ref().iter().take(8).fold(String::new(), |mark, byte| format!("{mark}{byte:02x}"))
}

/// A time in milliseconds, also of another numeric type, which another writer may have used.
fn millis(value: &Value) -> Option<u64> {
    let number = match value {
        Value::String(text) => text.parse::<i64>().ok()?,
        number => number.as_i64().or_else(|| number.as_f64().map(|number| number.ceil() as i64))?,
    };
    Some(u64::try_from(number).unwrap_or_default())
}
