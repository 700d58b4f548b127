//! How a key is escaped in Firestore.
//!
//! The item with partition `p` and sort key `s` of the table `links` is the document
//! `links/{hash}{p}/links/s{s}`: the items of a partition are a collection below a document that need not
//! exist. An id takes no `/`, is never empty, `.`, `..` or of the form `__…__`, and has at most 1,500 bytes
//! ("Quotas and limits" of Firestore); a key of isobar is any UTF-8, and a sort key may be empty. So both are
//! escaped:
//!
//! - `s` stands before each sort key, so that no id is empty or of the form `__…__`. In the sort key `/` is `.1`, and
//!   `.`, by which the escape is known, is `.0`. All else is as it is: this id stands in bodies only.
//! - In the partition all bytes but letters, digits, `-` and `_` are `.` and two hexadecimal digits: queries have
//!   this id in their URL. Before it stands `hash`, four hexadecimal digits of the partition's SHA-256. By them a table is
//!   cut into segments, and partitions that are written in the order of their names do not all go to one place,
//!   which Firestore calls a hotspot.
//!
//! The order of ids does not matter: queries go by the field `s`, which has the sort key as it is.

use std::fmt::Write as _;

use isobar_abstraction::driver::key_value::Key;
use isobar_abstraction::{Error, Origin, Result};
use ring::digest::{SHA256, digest};

use crate::profile::{ID_BYTES, PARTITION_BYTES, SORT_BYTES};

/// How many hashes there are.
pub(super) const HASHES: u64 = 1 << 16;

/// The hash of a partition, as it stands before it.
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

/// The document under which the items of a partition are, below the database's own. Errors: `TooLarge`.
pub(super) fn parent(collection: &str, partition: &str) -> Result<String> {
    let id = partition_id(partition);
    check(&id, "the partition key", partition, PARTITION_BYTES)?;
    Ok(format!("{collection}/{id}"))
}

/// The document of an item, below the database's own. Errors: `TooLarge` for a key that fits into no id.
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
