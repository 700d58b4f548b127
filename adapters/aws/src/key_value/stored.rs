//! The attributes of an item in DynamoDB.
//!
//! | attribute | type | content |
//! |---|---|---|
//! | `pk` | S | the partition |
//! | `sk` | S | the sort key, with a `!` before some: see [`key`](super::key) |
//! | `value` | N, S or B | the value: a counter, readable text, or any other bytes |
//! | `version` | S | 128 random bits, new with each write |
//! | `expires` | N | the time of expiry in milliseconds since 1970 |
//! | `ttl` | N | the same in seconds, rounded up: DynamoDB's attribute for time to live |
//!
//! Reads ignore other attributes, and a put removes them. An item of another writer needs `pk`, `sk` and `value`.
//! Its `ttl` is effective without `expires`, and without `version` it has the version [`UNVERSIONED`] until
//! isobar writes it.

use std::borrow::Cow;
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use isobar_abstraction::clock::{from_millis, to_millis};
use isobar_abstraction::driver::key_value::{Item, Key, Put, Version, parse_counter};
use isobar_abstraction::{Error, Result};
use serde::{Deserialize, Serialize, Serializer};

use super::key::{sort, stored_sort};

/// The version of an item without the attribute `version`. Two such writes of a key cannot be distinguished.
pub(super) const UNVERSIONED: &str = "unversioned";

/// An attribute in a request.
#[derive(Debug, Serialize)]
pub(super) enum Attribute<'a> {
    S(Cow<'a, str>),
    N(Cow<'a, str>),
    #[serde(serialize_with = "base64")]
    B(&'a [u8]),
}

fn base64<S: Serializer>(bytes: &&[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
}

impl<'a> Attribute<'a> {
    pub(super) fn text(text: &'a str) -> Self {
        Self::S(text.into())
    }

    pub(super) fn number(number: impl Copy + ToString) -> Self {
        Self::N(number.to_string().into())
    }

    /// The attribute of a value. A counter is a number, so that DynamoDB can add to it. Text with control characters
    /// is sent as bytes, because it is six times as long in JSON.
    fn value(value: &'a [u8]) -> Self {
        let control = |byte: &u8| *byte < b' ' && !b"\t\n\r".contains(byte);
        match std::str::from_utf8(value) {
            Ok(text) if parse_counter(value).is_some() => Self::N(text.into()),
            Ok(text) if !value.iter().any(control) => Self::S(text.into()),
            _ => Self::B(value),
        }
    }
}

/// The primary key of an item.
#[derive(Debug, Serialize)]
pub(super) struct StoredKey<'a> {
    pk: Attribute<'a>,
    sk: Attribute<'a>,
}

impl<'a> StoredKey<'a> {
    pub(super) fn new(partition: &'a str, sort: &'a str) -> Self {
        Self { pk: Attribute::text(partition), sk: Attribute::S(stored_sort(sort)) }
    }
}

impl<'a> From<&'a Key> for StoredKey<'a> {
    fn from(key: &'a Key) -> Self {
        Self::new(&key.partition, &key.sort)
    }
}

/// An item in a request.
#[derive(Debug, Serialize)]
pub(super) struct StoredItem<'a> {
    #[serde(flatten)]
    key: StoredKey<'a>,
    value: Attribute<'a>,
    version: Attribute<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Attribute<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<Attribute<'a>>,
}

impl<'a> StoredItem<'a> {
    pub(super) fn new(put: &'a Put, version: &'a Version) -> Self {
        let expires = put.expires_at.map(to_millis);
        Self {
            key: StoredKey::from(&put.key),
            value: Attribute::value(&put.value),
            version: Attribute::text(version.as_str()),
            expires: expires.map(Attribute::number),
            // Rounded up, so that DynamoDB does not delete an unexpired item.
            ttl: expires.map(|millis| Attribute::number(millis.div_ceil(1_000))),
        }
    }
}

/// An item in a response, from any writer.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ReadItem {
    pk: Option<ReadAttribute>,
    sk: Option<ReadAttribute>,
    value: Option<ReadAttribute>,
    version: Option<ReadAttribute>,
    expires: Option<ReadAttribute>,
    ttl: Option<ReadAttribute>,
}

/// An attribute in a response; types that isobar does not write are ignored.
#[derive(Debug, Deserialize)]
struct ReadAttribute {
    #[serde(rename = "S")]
    text: Option<String>,
    #[serde(rename = "N")]
    number: Option<String>,
    #[serde(rename = "B")]
    binary: Option<String>,
}

impl ReadAttribute {
    fn into_value(self) -> Option<Bytes> {
        match self.binary {
            Some(base64) => BASE64_STANDARD.decode(base64).ok().map(Bytes::from),
            None => self.text.or(self.number).map(Bytes::from),
        }
    }

    /// The number in milliseconds. Another writer may write a fraction or a sign: the number is rounded up and at least
    /// 0, which agrees with a [`Condition`](super::condition::Condition), since that compares it with whole numbers.
    fn millis(&self, unit: u64) -> Option<u64> {
        let text = self.number.as_deref()?;
        let rounded = || text.parse::<f64>().ok().map(|number| number.ceil() as u64);
        Some(text.parse().ok().or_else(rounded)?.saturating_mul(unit))
    }
}

impl ReadItem {
    /// The version. Errors: `Internal` if it is not text.
    pub(super) fn version(&self, key: &Key) -> Result<Version> {
        match &self.version {
            None => Ok(Version::new(UNVERSIONED)),
            Some(ReadAttribute { text: Some(text), .. }) => Ok(Version::new(text.clone())),
            Some(_) => Err(malformed(key, "its `version` is not of type S")),
        }
    }

    /// The earlier time of `expires` and `ttl`, as in [`Condition`](super::condition::Condition).
    fn expires_at(&self) -> Option<SystemTime> {
        let expires = self.expires.as_ref().and_then(|expires| expires.millis(1));
        let ttl = self.ttl.as_ref().and_then(|ttl| ttl.millis(1_000));
        expires.into_iter().chain(ttl).min().map(from_millis)
    }

    /// The integer in the value, if it is one.
    pub(super) fn counter(self) -> Option<i64> {
        self.value.and_then(ReadAttribute::into_value).and_then(|value| parse_counter(&value))
    }

    /// The key. Errors: `Config` if the table has other keys, `Internal` for a sort key that isobar does not
    /// write.
    pub(super) fn key(&mut self) -> Result<Key> {
        let mut text = |attribute: fn(&mut Self) -> &mut Option<ReadAttribute>| {
            let text = attribute(self).take().and_then(|attribute| attribute.text);
            text.ok_or_else(|| {
                Error::config("an item has no text in `pk` or `sk`: create a table with these keys of type S")
            })
        };
        let (partition, stored) = (text(|item| &mut item.pk)?, text(|item| &mut item.sk)?);
        match sort(stored.clone()) {
            Some(sort) => Ok(Key { partition, sort }),
            None => Err(malformed(&Key { partition, sort: stored }, "isobar writes this `sk` differently")),
        }
    }

    /// The item at `key`, unless it has expired. Errors: `Internal` for an item without a value.
    pub(super) fn into_item(self, key: Key, now: SystemTime) -> Result<Option<Item>> {
        let expires_at = self.expires_at();
        if expires_at.is_some_and(|expiry| expiry <= now) {
            return Ok(None);
        }
        let version = self.version(&key)?;
        let value = self.value.and_then(ReadAttribute::into_value);
        let value = value.ok_or_else(|| malformed(&key, "it has no `value` of type S, N or B"))?;
        Ok(Some(Item::new(key, value, version).with_expires_at(expires_at)))
    }
}

fn malformed(key: &Key, reason: &str) -> Error {
    Error::internal(format!("isobar cannot read the item at `{key}`: {reason}; write it again"))
}
