//! The encoding of keys in Cosmos DB.
//!
//! An id contains neither `/`, `\`, `?` nor `#`, is never empty, and has at most 1,023 bytes; a sort key of isobar is any
//! UTF-8, and may be empty. Cosmos DB orders strings by UTF-16, in which U+1F600 is before U+FFEE; isobar orders by UTF-8
//! bytes. No single encoding serves both, so a sort key is stored twice:
//!
//! - `id` is `s` and the bytes in base64url, which has no forbidden character. With the `s`, the id of an empty sort key
//!   is not empty.
//! - `s` contains each byte of the UTF-8 as the character with that number: their order by UTF-16 is that of the bytes,
//!   and ASCII stays readable. Queries compare and order by it.
//!
//! A partition is stored unchanged. In its request header it is JSON with everything but ASCII escaped, since a header
//! contains only ASCII.

use std::fmt::Write as _;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use isobar_abstraction::driver::key_value::Key;
use isobar_abstraction::{Error, Origin, Result};

use crate::profile::{PROFILE, SORT_BYTES};

/// The id of a sort key.
pub(super) fn id(sort: &str) -> String {
    format!("s{}", BASE64_URL_SAFE_NO_PAD.encode(sort))
}

/// The sort key of an id; `None` where [`id`] never returns such a value.
pub(super) fn sort_of_id(id: &str) -> Option<String> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(id.strip_prefix('s')?).ok()?;
    String::from_utf8(bytes).ok()
}

/// The property `s` of a sort key.
pub(super) fn stored_sort(sort: &str) -> String {
    sort.bytes().map(char::from).collect()
}

/// The sort key of a property `s`; `None` where [`stored_sort`] never returns such a value.
pub(super) fn sort(stored: &str) -> Option<String> {
    let bytes = stored.chars().map(|character| u8::try_from(character).ok()).collect::<Option<_>>()?;
    String::from_utf8(bytes).ok()
}

/// The header `x-ms-documentdb-partitionkey`: a JSON array in ASCII.
pub(super) fn partition_header(partition: &str) -> String {
    let mut header = String::from("[\"");
    let mut units = [0; 2];
    for character in partition.chars() {
        match character {
            '"' | '\\' => header.extend(['\\', character]),
            ' '..='~' => header.push(character),
            _ => {
                for unit in character.encode_utf16(&mut units) {
                    // Writing to a string does not fail.
                    let _done = write!(header, "\\u{unit:04x}");
                }
            }
        }
    }
    header.push_str("\"]");
    header
}

/// Checks the sizes of a key. Errors: `TooLarge`.
pub(super) fn check_key(key: &Key) -> Result<()> {
    let (size, limit) = (key.partition.len() as u64, PROFILE.limits.partition_bytes);
    if size > limit {
        return Err(Error::too_large("the partition key", size, limit).with_origin(Origin::Request));
    }
    let size = key.sort.len() as u64;
    if size > SORT_BYTES {
        Err(Error::too_large("the sort key", size, SORT_BYTES).with_origin(Origin::Request))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Sort keys in byte order, with all characters that services forbid.
    fn sorts() -> Vec<String> {
        let mut sorts: Vec<String> = (0..=0x2FF_u32)
            .chain(0xD7F0..0xE010)
            .chain(0xFFF0..0x10010)
            .chain([0x1F600, 0x10FFFF])
            .filter_map(char::from_u32)
            .flat_map(|character| [character.to_string(), format!("a{character}"), format!("{character}a")])
            .chain(["", "/", "\\", "#", "?", "a/b", "..", ".", " ", "a ", "%2F", "s", "sQQ"].map(str::to_owned))
            .chain(["\u{0}".repeat(512), "\u{10FFFF}".repeat(128), "z".repeat(SORT_BYTES as usize)])
            .collect();
        sorts.sort();
        sorts.dedup();
        sorts
    }

    #[test]
    fn an_id_is_valid_for_the_service_and_unique() {
        let sorts = sorts();
        let ids: std::collections::HashSet<_> = sorts.iter().map(|sort| id(sort)).collect();
        assert_eq!(ids.len(), sorts.len());
        for id in &ids {
            assert!((1..=1_023).contains(&id.len()), "{id}");
            assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{id}");
        }
        assert_eq!((id("").as_str(), id("a").as_str()), ("s", "sYQ"));
        assert!(sorts.iter().all(|sort| sort_of_id(&id(sort)).as_ref() == Some(sort)));
        for invalid in ["", "YQ", "sY", "sYR", "s/w", "s_w", "sYQ="] {
            assert_eq!(sort_of_id(invalid), None, "{invalid}");
        }
    }

    #[test]
    fn the_order_by_utf_16_of_stored_sort_keys_is_the_order_by_bytes() {
        let utf_16 = |text: &str| text.encode_utf16().collect::<Vec<_>>();
        for pair in sorts().windows(2) {
            assert!(utf_16(&stored_sort(&pair[0])) < utf_16(&stored_sort(&pair[1])), "{pair:?}");
            assert_eq!(sort(&stored_sort(&pair[1])).as_ref(), Some(&pair[1]));
        }
        assert_eq!(stored_sort("2026-01/x"), "2026-01/x");
        for invalid in ["\u{100}", "\u{ff}", "\u{c3}"] {
            assert_eq!(sort(invalid), None, "{invalid}");
        }
    }

    #[test]
    fn a_partition_header_is_ascii_json_of_the_partition() {
        for partition in ["a", "\"\\", "\u{0}\n\u{7f}", "\u{e9}\u{1F600}", "/#?%", "a, b"] {
            let header = partition_header(partition);
            assert!(header.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{header}");
            assert_eq!(serde_json::from_str::<Value>(&header).unwrap(), json!([partition]));
        }
    }
}
