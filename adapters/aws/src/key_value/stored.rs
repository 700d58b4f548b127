//! What an item is in DynamoDB.
//!
//! | attribute | type | what it is |
//! |---|---|---|
//! | `pk` | S | the partition, as it is |
//! | `sk` | S | the sort key, with a `!` before some: see [`key`](super::key) |
//! | `value` | N, S or B | a counter; readable text; anything else |
//! | `version` | S | 128 random bits, new with each write |
//! | `expires` | N | when it expires, in milliseconds since 1970 |
//! | `ttl` | N | the same in seconds, rounded up: the attribute by which DynamoDB deletes |
//!
//! Other attributes are left alone by reads, and are gone after a put. An item that somebody else
//! wrote needs `pk`, `sk` and `value`; its `ttl` counts without `expires` too, and without `version` it
//! has the version [`UNVERSIONED`] until isobar writes it.

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

/// The version of an item whose writer gave it none. Nothing tells two such writes of a key apart.
pub(super) const UNVERSIONED: &str = "unversioned";

/// An attribute as it is sent.
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

    /// A counter is a number, so that DynamoDB can add to it. Text with control characters is not
    /// readable anyway, and would be six times as long in JSON.
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

/// An item as it is sent.
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
            // Rounded up: DynamoDB must not delete what still lives.
            ttl: expires.map(|millis| Attribute::number(millis.div_ceil(1_000))),
        }
    }
}

/// An item as it is read, by whomever it was written.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Found {
    pk: Option<FoundAttribute>,
    sk: Option<FoundAttribute>,
    value: Option<FoundAttribute>,
    version: Option<FoundAttribute>,
    expires: Option<FoundAttribute>,
    ttl: Option<FoundAttribute>,
}

/// An attribute as it is read; of the types that isobar does not write, nothing is kept.
#[derive(Debug, Deserialize)]
struct FoundAttribute {
    #[serde(rename = "S")]
    text: Option<String>,
    #[serde(rename = "N")]
    number: Option<String>,
    #[serde(rename = "B")]
    binary: Option<String>,
}

impl FoundAttribute {
    fn into_value(self) -> Option<Bytes> {
        match self.binary {
            Some(base64) => BASE64_STANDARD.decode(base64).ok().map(Bytes::from),
            None => self.text.or(self.number).map(Bytes::from),
        }
    }

    /// What somebody else wrote may have a fraction or a sign: rounded up and not below 0, it is as a
    /// [`Condition`](super::condition::Condition), which compares it with whole numbers, has it too.
    fn millis(&self, unit: u64) -> Option<u64> {
        let text = self.number.as_deref()?;
        let rounded = || text.parse::<f64>().ok().map(|number| number.ceil() as u64);
        Some(text.parse().ok().or_else(rounded)?.saturating_mul(unit))
    }
}

impl Found {
    /// The version. Errors: `Internal` where it is not text.
    pub(super) fn version(&self, key: &Key) -> Result<Version> {
        match &self.version {
            None => Ok(Version::new(UNVERSIONED)),
            Some(FoundAttribute { text: Some(text), .. }) => Ok(Version::new(text.clone())),
            Some(_) => Err(strange(key, "its `version` is not of type S")),
        }
    }

    /// The earlier of both, as [`Condition`](super::condition::Condition) has it too.
    fn expires_at(&self) -> Option<SystemTime> {
        let expires = self.expires.as_ref().and_then(|expires| expires.millis(1));
        let ttl = self.ttl.as_ref().and_then(|ttl| ttl.millis(1_000));
        expires.into_iter().chain(ttl).min().map(from_millis)
    }

    /// The integer in it, if it holds one.
    pub(super) fn counter(self) -> Option<i64> {
        self.value.and_then(FoundAttribute::into_value).and_then(|value| parse_counter(&value))
    }

    /// The key. Errors: `Config` where the table has other keys, `Internal` where isobar makes no
    /// such sort key.
    pub(super) fn key(&mut self) -> Result<Key> {
        let mut text = |attribute: fn(&mut Self) -> &mut Option<FoundAttribute>| {
            let text = attribute(self).take().and_then(|attribute| attribute.text);
            text.ok_or_else(|| {
                Error::config("an item has no text in `pk` or `sk`; the table needs these keys, of type S")
            })
        };
        let (partition, stored) = (text(|found| &mut found.pk)?, text(|found| &mut found.sk)?);
        match sort(stored.clone()) {
            Some(sort) => Ok(Key { partition, sort }),
            None => Err(strange(&Key { partition, sort: stored }, "isobar would write its `sk` in another way")),
        }
    }

    /// The item at `key`, unless it has expired. Errors: `Internal` where there is no value in it.
    pub(super) fn into_item(self, key: Key, now: SystemTime) -> Result<Option<Item>> {
        let expires_at = self.expires_at();
        if expires_at.is_some_and(|expiry| expiry <= now) {
            return Ok(None);
        }
        let version = self.version(&key)?;
        let value = self.value.and_then(FoundAttribute::into_value);
        let value = value.ok_or_else(|| strange(&key, "it has no `value` of type S, N or B"))?;
        Ok(Some(Item::new(key, value, version).with_expires_at(expires_at)))
    }
}

fn strange(key: &Key, why: &str) -> Error {
    Error::internal(format!("the item at `{key}` is not one that isobar reads: {why}"))
}
