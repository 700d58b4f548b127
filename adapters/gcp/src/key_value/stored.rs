//! What an item is in Firestore.
//!
//! The item with partition `p` and sort key `s` of the table `links` is a document below one that stands for its
//! partition: how both are named is in [`key`](super::key).
//!
//! | field | what it is |
//! |---|---|
//! | `p`, `s` | partition and sort key, as they are; queries go by `s`, since no index has names in descending order |
//! | `n` | the value of a counter, an integer |
//! | `v` | any other value: text, or bytes where it is none; where there are both, `v` counts |
//! | `w` | 128 random bits, new with each write: a write that changes nothing would keep its time, and by it one whose answer was lost is known again |
//! | `expireAt` | when it expires |
//!
//! Other fields are left alone by reads, and are gone after a put. An item that somebody else wrote needs
//! its place, `p`, `s`, and `n` or `v`.

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

/// A value as Firestore has it. Integers are strings in its JSON.
#[derive(Debug, Serialize)]
pub(super) enum Typed<'a> {
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

/// The fields of an item as they are sent.
#[derive(Debug, Serialize)]
pub(super) struct Fields<'a> {
    p: Typed<'a>,
    s: Typed<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<Typed<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    v: Option<Typed<'a>>,
    w: Typed<'a>,
    #[serde(rename = "expireAt", skip_serializing_if = "Option::is_none")]
    expire_at: Option<Typed<'a>>,
}

impl<'a> Fields<'a> {
    pub(super) fn of(put: &'a Put, mark: &'a str) -> Self {
        let (mut n, mut v) = (None, None);
        match (parse_counter(&put.value), std::str::from_utf8(&put.value)) {
            (Some(number), _) => n = Some(Typed::Integer(number.to_string())),
            (None, Ok(text)) => v = Some(Typed::Text(text)),
            (None, Err(_)) => v = Some(Typed::Bytes(BASE64_STANDARD.encode(&put.value))),
        }
        Self {
            p: Typed::Text(&put.key.partition),
            s: Typed::Text(&put.key.sort),
            n,
            v,
            w: Typed::Text(mark),
            expire_at: put.expires_at.map(|at| Typed::Timestamp(timestamp(expiry(at)))),
        }
    }
}

/// When an item expires, in milliseconds, as it is stored: what lies behind the last time is that time.
pub(super) fn expiry(at: SystemTime) -> u64 {
    to_millis(at).min(LATEST)
}

/// Milliseconds, as RFC 3339 has them.
fn timestamp(millis: u64) -> String {
    let time = i64::try_from(millis).ok().and_then(DateTime::<Utc>::from_timestamp_millis).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The end of the year 9999, behind which Firestore takes no time.
const LATEST: u64 = 253_402_300_799_999;

/// A document as it is read, by whomever it was written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Found {
    #[serde(default)]
    name: String,
    #[serde(default)]
    fields: FoundFields,
    update_time: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct FoundFields {
    p: Option<Value>,
    s: Option<Value>,
    n: Option<Value>,
    v: Option<Value>,
    w: Option<Value>,
    #[serde(rename = "expireAt")]
    expire_at: Option<Value>,
}

/// Of all types those that an item may have.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Value {
    string_value: Option<String>,
    integer_value: Option<String>,
    bytes_value: Option<String>,
    timestamp_value: Option<String>,
}

impl Found {
    /// The key. Errors: `Config` where isobar would not have put the document: no read would find it there.
    pub(super) fn key(&self, collection: &str) -> Result<Key> {
        let strange = |what: &str| Error::config(format!("a document {what}; isobar needs a collection of its own"));
        let (Some(partition), Some(sort)) = (text(&self.fields.p), text(&self.fields.s)) else {
            return Err(strange("has no text in `p` or `s`"));
        };
        let key = Key::new(partition, sort);
        match path(collection, &key) {
            Ok(place) if place == self.place() => Ok(key),
            _ => Err(strange("is not in the place that its `p` and `s` make")),
        }
    }

    /// The time of the last write. Errors: `Internal` where there is none.
    pub(super) fn update_time(&self) -> Result<&str> {
        self.update_time.as_deref().ok_or_else(|| Error::internal("Firestore's answer has a document without its time"))
    }

    /// Errors: `Internal` where there is no time.
    pub(super) fn version(&self) -> Result<Version> {
        Ok(version(self.update_time()?, self.place(), self.expires()))
    }

    /// The document, below the database's own.
    pub(super) fn place(&self) -> &str {
        place(&self.name)
    }

    /// Was it written by the write with this mark?
    pub(super) fn is_marked(&self, mark: &str) -> bool {
        text(&self.fields.w) == Some(mark)
    }

    pub(super) fn has_expired(&self, now: SystemTime) -> bool {
        self.expires().is_some_and(|expires| expires <= to_millis(now))
    }

    /// A part of a millisecond, which isobar does not write, counts as a whole; what is before 1970 is 0.
    fn expires(&self) -> Option<u64> {
        let text = self.fields.expire_at.as_ref()?.timestamp_value.as_deref()?;
        let time = DateTime::parse_from_rfc3339(text).ok()?;
        let part = i64::from(time.timestamp_subsec_nanos() % 1_000_000 > 0);
        Some(u64::try_from(time.timestamp_millis() + part).unwrap_or(0))
    }

    /// The counter in it, if it holds one.
    pub(super) fn counter(&self) -> Option<i64> {
        match &self.fields {
            FoundFields { v: None, n: Some(Value { integer_value: Some(integer), .. }), .. } => integer.parse().ok(),
            _ => None,
        }
    }

    /// Is there a value that counts, and a number beside it that does not?
    pub(super) fn hides_a_number(&self) -> bool {
        self.fields.v.is_some() && self.fields.n.is_some()
    }

    /// The item at `key`, unless it has expired. Errors: `Internal` where there is no value in it.
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
        let strange = || Error::internal(format!("the item at `{key}` has no text, bytes or integer in `v` or `n`"));
        let value = value.ok_or_else(strange)?;
        Ok(Some(Item::new(key, value, version).with_expires_at(expires_at)))
    }
}

/// A document below the database's own, of its whole name.
pub(super) fn place(name: &str) -> &str {
    name.split_once("/documents/").map_or(name, |(_, place)| place)
}

fn text(value: &Option<Value>) -> Option<&str> {
    value.as_ref()?.string_value.as_deref()
}

/// The version of a write: its time, which it shares with all writes of its transaction; the item's mark; and
/// where the item expires, `@` and when. A time alone would still match what has expired but lies there
/// yet, and asking first would cost each update another request.
pub(super) fn version(update_time: &str, place: &str, expires: Option<u64>) -> Version {
    let mark = mark(place);
    match expires {
        Some(expires) => Version::new(format!("{update_time}.{mark}@{expires}")),
        None => Version::new(format!("{update_time}.{mark}")),
    }
}

/// Tells the versions of one item from those of others: 64 bits of the hash of its document's name.
fn mark(place: &str) -> String {
    let digest = digest(&SHA256, place.as_bytes());
    digest.as_ref().iter().take(8).fold(String::new(), |mark, byte| format!("{mark}{byte:02x}"))
}

/// The time that a version of the item at `place` asks for, unless nothing that lives can have it.
pub(super) fn wanted<'a>(version: &'a Version, place: &str, now: SystemTime) -> Option<&'a str> {
    let (text, expires) = match version.as_str().split_once('@') {
        Some((text, expires)) => (text, Some(expires.parse::<u64>().ok()?)),
        None => (version.as_str(), None),
    };
    let (time, of) = text.rsplit_once('.')?;
    (is_update_time(time) && of == mark(place) && expires.is_none_or(|expires| expires > to_millis(now)))
        .then_some(time)
}

/// Firestore's times have microseconds. Another form would be refused as malformed, where no such version is all
/// there is to say.
fn is_update_time(text: &str) -> bool {
    let fits = |time: DateTime<_>| time.timestamp_subsec_nanos().is_multiple_of(1_000) && time.timestamp() > 0;
    // A leap second has more than all the others, and Firestore knows none.
    let plain = |time: &DateTime<_>| time.timestamp_subsec_nanos() < 1_000_000_000;
    text.len() <= 27
        && text.ends_with('Z')
        && DateTime::parse_from_rfc3339(text).is_ok_and(|time| plain(&time) && fits(time))
}
