//! Items as documents of Firestore.
//!
//! The item with partition `p` and sort key `s` of the table `links` is a document below the document of its
//! partition; [`key`](super::key) describes their names.
//!
//! | field | content |
//! |---|---|
//! | `p`, `s` | partition and sort key, unescaped; queries use `s`, since no index has names in descending order |
//! | `n` | the value of a counter, an integer |
//! | `v` | any other value: a string, or bytes if it is not text; if both exist, `v` is the value |
//! | `w` | the mark, 128 random bits, new in each write: it changes the update time even if the value is the same, and identifies a write whose response was lost |
//! | `expireAt` | the time at which the item expires |
//!
//! Reads ignore other fields, and a put removes them. An item written by another program needs the right name, `p`,
//! `s`, and `n` or `v`.

use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use isobar_abstraction::clock::{from_millis, to_millis};
use isobar_abstraction::driver::key_value::{Item, Key, Put, Version, parse_counter};
use isobar_abstraction::{Error, Result};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::key::path;

/// A value in Firestore's JSON, in which integers are strings.
#[derive(Debug, Serialize)]
pub(super) enum TypedValue<'a> {
    #[serde(rename = "stringValue")]
    Text(&'a str),
    #[serde(rename = "integerValue")]
    Integer(String),
    #[serde(rename = "bytesValue")]
    Bytes(String),
    #[serde(rename = "timestampValue")]
    Timestamp(String),
    #[serde(rename = "referenceValue")]
    Reference(String),
}

/// The fields of an item in a write.
#[derive(Debug, Serialize)]
pub(super) struct Fields<'a> {
    p: TypedValue<'a>,
    s: TypedValue<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<TypedValue<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    v: Option<TypedValue<'a>>,
    w: TypedValue<'a>,
    #[serde(rename = "expireAt", skip_serializing_if = "Option::is_none")]
    expire_at: Option<TypedValue<'a>>,
}

impl<'a> Fields<'a> {
    pub(super) fn of(put: &'a Put, mark: &'a str) -> Self {
        let (mut n, mut v) = (None, None);
        match (parse_counter(&put.value), std::str::from_utf8(&put.value)) {
            (Some(number), _) => n = Some(TypedValue::Integer(number.to_string())),
            (None, Ok(text)) => v = Some(TypedValue::Text(text)),
            (None, Err(_)) => v = Some(TypedValue::Bytes(BASE64_STANDARD.encode(&put.value))),
        }
        Self {
            p: TypedValue::Text(&put.key.partition),
            s: TypedValue::Text(&put.key.sort),
            n,
            v,
            w: TypedValue::Text(mark),
            expire_at: put.expires_at.map(|at| TypedValue::Timestamp(timestamp(expiry(at)))),
        }
    }
}

/// The expiry of an item in milliseconds as stored: at most [`LATEST`].
pub(super) fn expiry(at: SystemTime) -> u64 {
    to_millis(at).min(LATEST)
}

/// A time in milliseconds, in RFC 3339.
fn timestamp(millis: u64) -> String {
    let time = i64::try_from(millis).ok().and_then(DateTime::<Utc>::from_timestamp_millis).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The end of the year 9999, the latest time of Firestore.
const LATEST: u64 = 253_402_300_799_999;

/// A document in a response, written by isobar or another program.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoredDocument {
    #[serde(default)]
    name: String,
    #[serde(default)]
    fields: StoredFields,
    update_time: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct StoredFields {
    p: Option<Value>,
    s: Option<Value>,
    n: Option<Value>,
    v: Option<Value>,
    w: Option<Value>,
    #[serde(rename = "expireAt")]
    expire_at: Option<Value>,
}

/// The types of values that an item may have.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Value {
    string_value: Option<String>,
    integer_value: Option<String>,
    bytes_value: Option<String>,
    timestamp_value: Option<String>,
}

impl StoredDocument {
    /// The key. Errors: `Config` for a name that isobar would not use for the key, under which no read would find it.
    pub(super) fn key(&self, collection: &str) -> Result<Key> {
        let foreign = |fault: &str| Error::config(format!("a document {fault}: use the collection for isobar only"));
        let (Some(partition), Some(sort)) = (text(&self.fields.p), text(&self.fields.s)) else {
            return Err(foreign("has no string in `p` or `s`"));
        };
        let key = Key::new(partition, sort);
        match path(collection, &key) {
            Ok(path) if path == self.path() => Ok(key),
            _ => Err(foreign("does not have the name of its `p` and `s`")),
        }
    }

    /// The time of the last write. Errors: `Internal` if it is missing.
    pub(super) fn update_time(&self) -> Result<&str> {
        self.update_time
            .as_deref()
            .ok_or_else(|| Error::internal("Firestore returned a document without its updateTime"))
    }

    /// The version. Errors: `Internal` if the update time is missing.
    pub(super) fn version(&self) -> Result<Version> {
        Ok(version(self.update_time()?, self.path(), self.expires()))
    }

    /// The path of the document, relative to the database.
    pub(super) fn path(&self) -> &str {
        relative_path(&self.name)
    }

    /// Whether the write with this mark wrote the document.
    pub(super) fn is_marked(&self, mark: &str) -> bool {
        text(&self.fields.w) == Some(mark)
    }

    pub(super) fn has_expired(&self, now: SystemTime) -> bool {
        self.expires().is_some_and(|expires| expires <= to_millis(now))
    }

    /// The expiry in milliseconds. A fraction, which isobar does not write, is rounded up; a time before 1970 is 0.
    fn expires(&self) -> Option<u64> {
        let text = self.fields.expire_at.as_ref()?.timestamp_value.as_deref()?;
        let time = DateTime::parse_from_rfc3339(text).ok()?;
        let part = i64::from(time.timestamp_subsec_nanos() % 1_000_000 > 0);
        Some(u64::try_from(time.timestamp_millis() + part).unwrap_or(0))
    }

    /// The counter, if the value is one.
    pub(super) fn counter(&self) -> Option<i64> {
        match &self.fields {
            StoredFields { v: None, n: Some(Value { integer_value: Some(integer), .. }), .. } => integer.parse().ok(),
            _ => None,
        }
    }

    /// Whether a value hides a number in `n`.
    pub(super) fn hides_a_number(&self) -> bool {
        self.fields.v.is_some() && self.fields.n.is_some()
    }

    /// The item at `key`, unless it has expired. Errors: `Internal` if it has no value.
    pub(super) fn into_item(self, key: Key, now: SystemTime) -> Result<Option<Item>> {
        if self.has_expired(now) {
            return Ok(None);
        }
        let (version, expires_at) = (self.version()?, self.expires().map(from_millis));
        let value = match self.fields.v.or(self.fields.n) {
            Some(Value { string_value: Some(text), .. }) => Some(Bytes::from(text)),
            Some(Value { integer_value: Some(integer), .. }) => Some(Bytes::from(integer)),
            Some(Value { bytes_value: Some(base64), .. }) => BASE64_STANDARD.decode(base64).ok().map(Bytes::from),
            _ => None,
        };
        let no_value = || Error::internal(format!("the item at `{key}` has no string, bytes or integer in `v` or `n`"));
        let value = value.ok_or_else(no_value)?;
        Ok(Some(Item::new(key, value, version).with_expires_at(expires_at)))
    }
}

/// The path relative to the database, of the full name of a document.
pub(super) fn relative_path(name: &str) -> &str {
    name.split_once("/documents/").map_or(name, |(_, path)| path)
}

fn text(value: &Option<Value>) -> Option<&str> {
    value.as_ref()?.string_value.as_deref()
}

/// The version of a write: its update time, which all writes of its transaction share; a hash of the item's path; and
/// `@` with the expiry, if the item expires. Without the expiry an update could match an item that has expired but is
/// not deleted yet, and checking first would cost each update another request.
pub(super) fn version(update_time: &str, path: &str, expires: Option<u64>) -> Version {
    let hash = path_hash(path);
    match expires {
        Some(expires) => Version::new(format!("{update_time}.{hash}@{expires}")),
        None => Version::new(format!("{update_time}.{hash}")),
    }
}

/// 64 bits of the hash of a document's path, which distinguish the versions of different items.
fn path_hash(path: &str) -> String {
    let digest = digest(&SHA256, path.as_bytes());
    digest.as_ref().iter().take(8).fold(String::new(), |hash, byte| format!("{hash}{byte:02x}"))
}

/// The update time that a version of the item at `path` requires. `None` if no item that has not expired can have it.
pub(super) fn required_update_time<'a>(version: &'a Version, path: &str, now: SystemTime) -> Option<&'a str> {
    let (text, expires) = match version.as_str().split_once('@') {
        Some((text, expires)) => (text, Some(expires.parse::<u64>().ok()?)),
        None => (version.as_str(), None),
    };
    let (time, hash) = text.rsplit_once('.')?;
    (is_update_time(time) && hash == path_hash(path) && expires.is_none_or(|expires| expires > to_millis(now)))
        .then_some(time)
}

/// Whether the text is one of Firestore's times, which have microseconds. Firestore would reject another form as
/// malformed, where a conflict is the correct error.
fn is_update_time(text: &str) -> bool {
    let fits = |time: DateTime<_>| time.timestamp_subsec_nanos().is_multiple_of(1_000) && time.timestamp() > 0;
    // Firestore has no leap seconds, whose nanoseconds exceed a second.
    let is_regular = |time: &DateTime<_>| time.timestamp_subsec_nanos() < 1_000_000_000;
    text.len() <= 27
        && text.ends_with('Z')
        && DateTime::parse_from_rfc3339(text).is_ok_and(|time| is_regular(&time) && fits(time))
}
