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
use percent_encoding::percent_decode_str;
use ring::digest::{SHA256, digest};

use crate::profile::{ID_BYTES, PARTITION_BYTES, SORT_BYTES};

/// The number of possible hashes.
pub(super) const HASHES: u64 = 1 << 16;

/// The size of a hash.
const HASH_DIGITS: usize = 4;

/// The text of a hash before a partition.
pub(super) fn hash(number: u64) -> String {
    format!("{number:0HASH_DIGITS$x}")
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
pub(crate) fn path(collection: &str, key: &Key) -> Result<String> {
    let id = sort_id(&key.sort);
    check(&id, "the sort key", &key.sort, SORT_BYTES)?;
    Ok(format!("{}/{collection}/{id}", parent(collection, &key.partition)?))
}

/// The key of the item in a document, whose path is relative to the database. `None` for a document that isobar did not
/// write as an item of the collection.
pub(crate) fn key_of(collection: &str, document: &str) -> Option<Key> {
    let (partition, rest) = document.strip_prefix(collection)?.strip_prefix('/')?.split_once('/')?;
    let sort = rest.strip_prefix(collection)?.strip_prefix("/s")?;
    let partition = partition.get(HASH_DIGITS..)?.replace('.', "%");
    let partition = percent_decode_str(&partition).decode_utf8().ok()?;
    let key = Key::new(partition, sort.replace(".1", "/").replace(".0", "."));
    (path(collection, &key).ok()? == document).then_some(key)
}

fn check(id: &str, what: &str, key: &str, limit: u64) -> Result<()> {
    if id.len() <= ID_BYTES {
        Ok(())
    } else {
        Err(Error::too_large(what, key.len() as u64, limit).with_origin(Origin::Request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_from_its_document() {
        for (partition, sort) in [
            ("ada", ""),
            ("ada", "x"),
            ("a/b.c%2e käse\0", "//..%/.1.0.01/日本\n"),
            ("..", "."),
            ("__x__", "__y__"),
            ("%41", "s"),
        ] {
            let key = Key::new(partition, sort);
            assert_eq!(key_of("links", &path("links", &key).unwrap()), Some(key));
        }
    }

    #[test]
    fn a_foreign_document_has_no_key() {
        let own = path("links", &Key::new("ada", "x")).unwrap();
        assert!(own.ends_with("ada/links/sx"), "{own}");
        let hash = &own["links/".len()..][..4];
        for foreign in [
            "".to_owned(),
            "links".to_owned(),
            "links/ada".to_owned(),
            own.replacen("links", "words", 1),
            own.replace("/links/", "/words/"),
            own.replace("/sx", "/x"),
            own.replace("/sx", "/sx/links/sx"),
            own.replace("/sx", "/s.2"),
            own.replace("/sx", "/s."),
            own.replace(hash, "0000"),
            own.replace(hash, "é"),
            own.replace("ada", ".61da"),
            own.replace("ada", ".6"),
            own.replace("ada", "%61da"),
            own.replace("ada", ".ff"),
            format!("{own}/"),
        ] {
            assert_eq!(key_of("links", &foreign), None, "{foreign}");
        }
    }
}
