//! The format of an item in Cosmos DB.
//!
//! | property | meaning |
//! |---|---|
//! | `id` | the sort key, encoded for an id: see [`key`](super::key) |
//! | `p` | the partition, unchanged: the partition key of the container |
//! | `s` | the sort key, encoded for its order: see [`key`](super::key) |
//! | `v` | the value: a number for a counter, else readable text |
//! | `b` | the value in base64 where it is not readable, instead of `v` |
//! | `w` | 128 random bits, new with each write: they identify a write whose response was lost |
//! | `x` | the expiry, in milliseconds since 1970 |
//! | `ttl` | the seconds after the write after which Cosmos DB deletes the item: rounded up, plus one |
//!
//! Reads ignore other properties, and a put removes them. An item of another writer needs `id`, `p` and `s` as above,
//! and `v` or `b`; its expiry is only its `x`.

use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use isobar_abstraction::clock::{from_millis, to_millis};
use isobar_abstraction::driver::key_value::{Item, Key, Put, Version, parse_counter};
use isobar_abstraction::{Error, Origin, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Number, Value};

use super::key::{check_key, id, sort, sort_of_id, stored_sort};
use crate::profile::PROFILE;

/// The largest item, and the largest request. Source: "Azure Cosmos DB service quotas".
pub(super) const REQUEST_BYTES: u64 = 2_097_152;

/// The longest text, in its JSON form, that is stored as text; of a longer one the base64 is shorter.
const TEXT_BYTES: usize = 2_000_000;

/// The size of the properties that Cosmos DB adds to an item: `_rid`, `_self`, `_etag`, `_attachments`, `_ts`.
const SYSTEM_BYTES: u64 = 400;

/// An item as it is sent.
#[derive(Debug, Serialize)]
struct Document<'a> {
    id: String,
    p: &'a str,
    s: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    v: Option<Readable<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    b: Option<String>,
    w: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<i32>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Readable<'a> {
    Counter(i64),
    Text(&'a str),
}

impl<'a> Readable<'a> {
    /// The readable form of a value. Text with control characters is not readable, and would be six times as long in
    /// JSON. A number past the limit of counters is text, since it would lose digits: Cosmos DB stores numbers as doubles.
    fn of(value: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let within = |number: &i64| number.unsigned_abs() <= PROFILE.limits.counter_max_abs.unsigned_abs();
        if let Some(number) = parse_counter(value).filter(within) {
            return Some(Self::Counter(number));
        }
        let control = |byte: &u8| *byte < b' ' && !b"\t\n\r".contains(byte);
        let escaped = value.iter().filter(|byte| b"\"\\\t\n\r".contains(byte)).count();
        (!value.iter().any(control) && value.len() + escaped <= TEXT_BYTES).then_some(Self::Text(text))
    }
}

/// The JSON of an item. Errors: `TooLarge`.
pub(super) fn document(put: &Put, mark: &str, now: SystemTime) -> Result<String> {
    check_key(&put.key)?;
    let v = Readable::of(&put.value);
    let b = v.is_none().then(|| BASE64_STANDARD.encode(&put.value));
    let x = put.expires_at.map(to_millis);
    let ttl = x.and_then(|x| seconds(x, now));
    let Key { partition, sort } = &put.key;
    let document = Document { id: id(sort), p: partition, s: stored_sort(sort), v, b, w: mark, x, ttl };
    let document = serde_json::to_string(&document)?;
    let (size, limit) = (document.len() as u64 + SYSTEM_BYTES, REQUEST_BYTES);
    if size > limit {
        Err(Error::too_large("the item in Cosmos DB's JSON", size, limit).with_origin(Origin::Request))
    } else {
        Ok(document)
    }
}

/// An item that expired long ago: in a transaction it replaces the delete of an absent item.
pub(super) fn tombstone(key: &Key, mark: &str) -> Result<String> {
    check_key(key)?;
    let (id, s) = (id(&key.sort), stored_sort(&key.sort));
    let (v, x) = (Some(Readable::Text("")), Some(0));
    Ok(serde_json::to_string(&Document { id, p: &key.partition, s, v, b: None, w: mark, x, ttl: Some(1) })?)
}

/// The property `ttl`, which counts from `_ts`, the second of the write: plus one, or the item would be deleted up to a
/// second too early. `None` where the lifetime is longer than `ttl` can represent.
/// Source: <https://learn.microsoft.com/azure/cosmos-db/nosql/time-to-live>.
fn seconds(expires: u64, now: SystemTime) -> Option<i32> {
    let seconds = expires.saturating_sub(to_millis(now)).div_ceil(1_000) + 1;
    i32::try_from(seconds).ok()
}

/// An item as it is read, whichever client wrote it.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Found {
    p: Option<Value>,
    s: Option<Value>,
    v: Option<Value>,
    b: Option<String>,
    w: Option<Value>,
    x: Option<Number>,
    #[serde(rename = "_etag")]
    etag: Option<String>,
}

impl Found {
    /// The key. Errors: `Config` where the container has items without isobar's keys, `Internal` where isobar never
    /// writes such a sort key.
    pub(super) fn key(&self) -> Result<Key> {
        let (Some(partition), Some(stored)) = (text(&self.p), text(&self.s)) else {
            return Err(Error::config("an item has no text in `p` or `s`: use a separate container for isobar"));
        };
        let partition = partition.to_owned();
        match sort(stored) {
            Some(sort) => Ok(Key { partition, sort }),
            None => {
                let key = Key { partition, sort: stored.to_owned() };
                Err(malformed(&key, "isobar never writes such an `s`"))
            }
        }
    }

    /// The ETag. Errors: `Internal` without one.
    pub(super) fn etag(&self) -> Result<&str> {
        self.etag.as_deref().ok_or_else(|| Error::internal("Cosmos DB returned an item without its ETag"))
    }

    /// The version. Errors: `Internal` without an ETag.
    pub(super) fn version(&self) -> Result<Version> {
        Ok(version(self.etag()?, self.expires()))
    }

    /// Whether the write with this mark wrote it.
    pub(super) fn is_marked(&self, mark: &str) -> bool {
        text(&self.w) == Some(mark)
    }

    pub(super) fn has_expired(&self, now: SystemTime) -> bool {
        self.expires().is_some_and(|expires| expires <= to_millis(now))
    }

    /// The expiry. A fraction, which isobar does not write, is rounded up.
    fn expires(&self) -> Option<u64> {
        let x = self.x.as_ref()?;
        x.as_u64().or_else(|| x.as_f64().map(|x| x.ceil() as u64))
    }

    /// The counter in it, if it holds one.
    pub(super) fn counter(&self) -> Option<i64> {
        match &self.v {
            Some(Value::Number(number)) => parse_counter(digits(number).as_bytes()),
            _ => None,
        }
    }

    /// The item at `key`; `None` where it has expired. Errors: `Internal` without a value.
    pub(super) fn into_item(self, key: Key, now: SystemTime) -> Result<Option<Item>> {
        if self.has_expired(now) {
            return Ok(None);
        }
        let (version, expires_at) = (self.version()?, self.expires().map(from_millis));
        let value = match (self.v, self.b) {
            (Some(Value::String(text)), _) => Some(Bytes::from(text)),
            (Some(Value::Number(number)), _) => Some(Bytes::from(digits(&number))),
            (_, Some(base64)) => BASE64_STANDARD.decode(base64).ok().map(Bytes::from),
            (_, None) => None,
        };
        let value = value.ok_or_else(|| malformed(&key, "it has no text or number in `v`, and no base64 in `b`"))?;
        Ok(Some(Item::new(key, value, version).with_expires_at(expires_at)))
    }
}

/// The key of a document in the feed of its container. `Some(None)` for a [`tombstone`], which is no write; `None` for a
/// document without isobar's keys, which isobar cannot read.
///
/// The sort key is that of `id`: Functions may rewrite a text that looks like a time, and `s` can be one.
pub(crate) fn written_key(document: &RawValue) -> Option<Option<Key>> {
    #[derive(Deserialize)]
    struct Written<'a> {
        id: String,
        p: String,
        #[serde(borrow, default)]
        x: Option<&'a RawValue>,
    }
    let Written { id, p, x } = serde_json::from_str(document.get()).ok()?;
    let key = Key { partition: p, sort: sort_of_id(&id)? };
    Some(x.is_none_or(|x| x.get() != "0").then_some(key))
}

fn text(value: &Option<Value>) -> Option<&str> {
    value.as_ref().and_then(Value::as_str)
}

/// A number as isobar writes it: the service may return `6.0` after an increment.
fn digits(number: &Number) -> String {
    let limit = PROFILE.limits.counter_max_abs as f64;
    match number.as_f64() {
        Some(float) if !number.is_i64() && float.fract() == 0.0 && float.abs() <= limit => (float as i64).to_string(),
        _ => number.to_string(),
    }
}

fn malformed(key: &Key, why: &str) -> Error {
    Error::internal(format!("the item at `{key}` does not have isobar's format: {why}"))
}

/// The version of a write: its ETag, and for an item with an expiry `@` and the expiry. An ETag alone would still match
/// an expired item that is not deleted yet, and a read before each update would cost another request.
pub(super) fn version(etag: &str, expires: Option<u64>) -> Version {
    match expires {
        Some(expires) => Version::new(format!("{etag}@{expires}")),
        None => Version::new(etag),
    }
}

/// The ETag in a version; `None` where no live item can have it. Text that is not the ETag of one write, such as `*`,
/// must not reach the service.
pub(super) fn etag_of(version: &Version, now: SystemTime) -> Option<&str> {
    let (etag, expires) = match version.as_str().rsplit_once('@') {
        Some((etag, expires)) => (etag, Some(expires.parse::<u64>().ok()?)),
        None => (version.as_str(), None),
    };
    let bare = etag.strip_prefix('"').and_then(|etag| etag.strip_suffix('"')).unwrap_or(etag);
    let fits = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte));
    (fits && expires.is_none_or(|expires| expires > to_millis(now))).then_some(etag)
}

#[cfg(test)]
mod tests;
