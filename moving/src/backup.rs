//! Backup files: a tar archive of JSON and of the contents of objects, which standard tools can read.
//!
//! | entry | content |
//! |---|---|
//! | `isobar.json` | the first entry: the version of the format, where the data is from, and the names of tables and buckets |
//! | `tables/NAME/0000000001.jsonl` | items, one JSON object on each line |
//! | `buckets/NAME/0000000001.json` | the name, the key and the attributes of an object |
//! | `buckets/NAME/0000000001.data` | the content of that object |
//! | `SHA256SUMS/0000000001` | the hashes of the entries before it, in the form of `sha256sum` |
//! | `isobar-end.json` | the last entry: the number of entries, and the hash of all `SHA256SUMS` |
//!
//! An item has the members `partition`, `sort`, `expires_ms` (milliseconds since 1970, if it expires), and either `value`, a
//! text, or `base64`. An object has the members `name` (its stored name, see
//! [`key`]), `key` (that of the app), `size`, `headers` and `metadata`.
//!
//! A file is written from its beginning to its end, and has its name only when it is complete. A later version of isobar reads
//! the versions before it.

mod check;
mod read;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use isobar_abstraction::clock::{from_millis, to_millis};
use isobar_abstraction::driver::Profile;
use isobar_abstraction::driver::blob::flat::{FlatObjects, FlatStore};
use isobar_abstraction::driver::blob::{Blob, ListRequest, Listing, STANDARD_HEADERS, SignRequest, SignedUrl, key};
use isobar_abstraction::driver::key_value::{Item, Key, Version};
use isobar_abstraction::{Error, ErrorKind, Result};
use object_store::{Attribute, Attributes, ObjectStore};
use serde::{Deserialize, Serialize};

pub use read::Backup;
pub use write::BackupWriter;

use crate::side::FILE;

/// The version of the format that this code writes, and the latest that it reads.
const VERSION: u32 = 1;

const FORMAT: &str = "isobar-backup";
const HEAD: &str = "isobar.json";
const END: &str = "isobar-end.json";
const TABLES: &str = "tables";
const BUCKETS: &str = "buckets";
const SUMS: &str = "SHA256SUMS";

/// A backup file has no limits of its own.
static PROFILE: Profile = {
    let mut profile = Profile::portable(FILE);
    profile.limits.partition_bytes = u64::MAX;
    profile.limits.sort_bytes = u64::MAX;
    profile.limits.item_bytes = u64::MAX;
    profile.limits.object_key_bytes = u64::MAX;
    profile.limits.metadata_bytes = u64::MAX;
    profile
};

/// What the heads of all versions have.
#[derive(Debug, Deserialize)]
struct Form {
    format: String,
    version: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Head {
    format: String,
    version: u32,
    source: String,
    /// Milliseconds since 1970.
    made_ms: u64,
    tables: Vec<String>,
    buckets: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct End {
    entries: u64,
    sha256: String,
}

/// An item as a line.
#[derive(Debug, Serialize, Deserialize)]
struct Line<'a> {
    partition: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_ms: Option<u64>,
    sort: &'a str,
}

/// A line that was read: JSON can escape any character, so its texts are copies.
#[derive(Debug, Deserialize)]
struct ReadLine {
    partition: String,
    sort: String,
    value: Option<String>,
    base64: Option<String>,
    expires_ms: Option<u64>,
}

impl<'a> Line<'a> {
    fn of(item_key: &'a Key, value: &'a [u8], expires_at: Option<SystemTime>) -> Self {
        let text = std::str::from_utf8(value).ok();
        let base64 = text.is_none().then(|| BASE64_STANDARD.encode(value));
        let (partition, sort) = (item_key.partition.as_str(), item_key.sort.as_str());
        Self { partition, sort, value: text, base64, expires_ms: expires_at.map(to_millis) }
    }
}

impl ReadLine {
    /// The item of a line. Its version is the place of the line. Errors: `InvalidInput` for a line that is no item.
    fn item(line: &[u8], version: String) -> Result<Item> {
        let wrong = || Error::new(ErrorKind::InvalidInput, "a line of the backup is no item");
        let Self { partition, sort, value, base64, expires_ms } =
            serde_json::from_slice(line).map_err(|source| wrong().with_source(source))?;
        let value = match (value, base64) {
            (Some(text), None) => Bytes::from(text),
            (None, Some(base64)) => Bytes::from(BASE64_STANDARD.decode(base64).map_err(|_| wrong())?),
            _ => return Err(wrong()),
        };
        let item = Item::new(Key::new(partition, sort), value, Version::new(version));
        Ok(item.with_expires_at(expires_ms.map(from_millis)))
    }
}

/// The description of an object.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Description {
    name: String,
    key: String,
    size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, String>,
}

impl Description {
    fn new(stored: &str, size: u64, attributes: &Attributes) -> Self {
        let (mut headers, mut metadata) = (BTreeMap::new(), BTreeMap::new());
        for (attribute, value) in attributes {
            let header = STANDARD_HEADERS.iter().find(|(_, known)| known == attribute);
            match (header, attribute) {
                (Some((name, _)), _) => drop(headers.insert((*name).to_owned(), value.to_string())),
                (_, Attribute::Metadata(name)) => drop(metadata.insert(name.to_string(), value.to_string())),
                _ => {}
            }
        }
        Self { name: stored.to_owned(), key: key::decode(stored), size, headers, metadata }
    }

    fn attributes(self) -> Attributes {
        let mut attributes = Attributes::new();
        for (name, value) in self.headers {
            if let Some((_, header)) = STANDARD_HEADERS.iter().find(|(known, _)| *known == name) {
                attributes.insert(header.clone(), value.into());
            }
        }
        for (name, value) in self.metadata {
            attributes.insert(Attribute::Metadata(name.into()), value.into());
        }
        attributes
    }
}

/// The error of a backup that is only read, or only written.
fn one_way(operation: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("a backup file cannot {operation}; it is written once, as a whole"))
}

fn unusable(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "the backup file cannot be used; check the path, its permissions and the disk")
        .with_source(error)
}

/// A bucket in a file.
#[derive(Debug)]
struct FileBucket<O>(Arc<O>);

#[async_trait]
impl<O: FlatObjects> Blob for FileBucket<O> {
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
