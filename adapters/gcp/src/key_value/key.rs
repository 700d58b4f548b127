//! Names of documents: how keys are escaped in Firestore.
//!
//! The item with partition `p` and sort key `s` of the table `links` is the document
//! `links/{hash}{p}/links/s{s}`: the items of a partition are a collection below a document that does not
//! need to exist. An id contains no `/`, is not empty, `.`, `..` or of the form `__…__`, and has at most 1,500 bytes
//! ("Quotas and limits" of Firestore); a key of isobar is any UTF-8, and a sort key may be empty. So both are
//! escaped:
//!
//! - A sort key has the prefix `s`, so that no id is empty or of the form `__…__`. In the sort key `/` becomes `.1`,
//!   and `.`, the escape character, becomes `.0`. Other characters stay, since this id is sent in bodies only.
//! - In a partition all bytes except ASCII letters, digits, `-` and `_` become `.` and two hexadecimal digits, since
//!   queries contain this id in their URL. Its prefix `hash` is four hexadecimal digits of the partition's SHA-256.
//!   Scans split a table into segments by it, and it distributes partitions that are written in the order of their
//!   names, which would be a hotspot in Firestore's terms.
//!
//! The order of ids does not matter: queries use the field `s`, which contains the unescaped sort key.

use std::fmt::Write as _;

use isobar_abstraction::driver::key_value::Key;
use isobar_abstraction::{Error, Origin, Result};
use ring::digest::{SHA256, digest};

use crate::profile::{ID_BYTES, PARTITION_BYTES, SORT_BYTES};

/// The number of possible hashes.
pub(super) const HASHES: u64 = 1 << 16;

/// The text of a hash before a partition.
pub(super) fn hash(number: u64) -> String {
    format!("{number:04x}")
}

fn partition_id(partition: &str) -> String {
    let digest = digest(&SHA256, partition.as_bytes());
    let first = digest.as_ref().iter().take(2).fold(0, |sum, byte| sum * 256 + u64::from(*byte));
    let mut id = hash(first);
    for byte in partition.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => id.push(char::from(byte)),
            // Writing to a string does not fail.
            _ => drop(write!(id, ".{byte:02x}")),
        }
    }
    id
}

fn sort_id(sort: &str) -> String {
    let mut id = String::with_capacity(sort.len() + 1);
    id.push('s');
    for character in sort.chars() {
        match character {
            '.' => id.push_str(".0"),
            '/' => id.push_str(".1"),
            other => id.push(other),
        }
    }
    id
}

/// The path of the document above the items of a partition, relative to the database. Errors: `TooLarge`.
pub(super) fn parent(collection: &str, partition: &str) -> Result<String> {
    let id = partition_id(partition);
    check(&id, "the partition key", partition, PARTITION_BYTES)?;
    Ok(format!("{collection}/{id}"))
}

/// The path of the document of an item, relative to the database. Errors: `TooLarge` for a key too long for an id.
pub(super) fn path(collection: &str, key: &Key) -> Result<String> {
    let id = sort_id(&key.sort);
    check(&id, "the sort key", &key.sort, SORT_BYTES)?;
    Ok(format!("{}/{collection}/{id}", parent(collection, &key.partition)?))
}

fn check(id: &str, what: &str, key: &str, limit: u64) -> Result<()> {
    if id.len() <= ID_BYTES {
        Ok(())
    } else {
        Err(Error::too_large(what, key.len() as u64, limit).with_origin(Origin::Request))
    }
}
