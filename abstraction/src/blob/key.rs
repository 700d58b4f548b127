//! Keys of apps, and the names under which their objects are stored.
//!
//! The key of an app is any UTF-8 of 1 to 1,024 bytes. A service, or [`object_store`], rejects or changes some of them, so
//! these are escaped, segment by segment between slashes:
//! - an empty segment (`a//b`, `/a`, `a/`) is stored as `%`;
//! - a dot at the end of a segment is stored as `%2E` (`.` and `..` have a meaning in paths, and Azure removes the dot);
//! - the backslash (Azure makes a slash of it), control characters, U+E000 (which Azure rejects), U+FFFE and U+FFFF (which
//!   [XML](https://www.w3.org/TR/xml/#charsets) cannot contain; S3 and Azure list in XML) are stored as the bytes of their
//!   UTF-8, each as `%` and two hexadecimal digits: `%5C`, `%EF%BF%BE`;
//! - `.well-known/acme-challenge/`, which Cloud Storage rejects at the beginning of a name, is stored as
//!   `.well-known/acme-challeng%65/` ([names](https://cloud.google.com/storage/docs/naming-objects));
//! - `soap`, which S3 rejects as a name, is stored as `soa%70`;
//! - `%` itself is stored as `%25`.
//!
//! A key has at most 254 segments, the limit of Azure.
//!
//! Every other key is stored without change. The mapping is injective and keeps prefixes. It keeps the byte order except
//! where it escapes: such a key is listed at the place of its stored name.

use object_store::path::Path;
use percent_encoding::percent_decode_str;

use crate::{Error, Result};

/// The stored name of a key.
///
/// ```
/// use isobar_abstraction::blob::key::{decode, encode};
/// assert_eq!(encode("img/cat.png"), "img/cat.png");
/// assert_eq!(encode("a//../b"), "a/%/.%2E/b");
/// assert_eq!(decode("a/%/.%2E/b"), "a//../b");
/// ```
pub fn encode(key: &str) -> String {
    let stored = encode_segments(key);
    match stored.strip_prefix(ACME).filter(|rest| rest.starts_with('/')) {
        Some(rest) => format!(".well-known/acme-challeng%65{rest}"),
        None if stored == SOAP => "soa%70".to_owned(),
        None => stored,
    }
}

/// <https://cloud.google.com/storage/docs/naming-objects>
const ACME: &str = ".well-known/acme-challenge";
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>
const SOAP: &str = "soap";

fn encode_segments(key: &str) -> String {
    let mut stored = String::with_capacity(key.len());
    for (place, segment) in key.split('/').enumerate() {
        if place > 0 {
            stored.push('/');
        }
        encode_segment(&mut stored, segment);
    }
    stored
}

/// The common beginning of the stored names of all keys with this prefix.
///
/// Other names can begin with it too: a list must compare the decoded keys.
pub fn encode_prefix(prefix: &str) -> String {
    let (mut stored, open) = match prefix.rsplit_once('/') {
        Some((head, open)) => (encode_segments(head) + "/", open),
        None => (String::new(), prefix),
    };
    // Whether the last segment is empty, and its last dot escaped, depends on the rest of the key.
    let open = open.strip_suffix('.').unwrap_or(open);
    open.chars().for_each(|character| encode_character(&mut stored, character));
    match stored.strip_prefix(ACME) {
        // This depends on the rest of the key too.
        Some("") => stored.truncate(ACME.len() - 1),
        Some(rest) if rest.starts_with('/') => return format!(".well-known/acme-challeng%65{rest}"),
        _ if stored == SOAP => stored.truncate(SOAP.len() - 1),
        _ => {}
    }
    stored
}

fn encode_segment(stored: &mut String, segment: &str) {
    if segment.is_empty() {
        stored.push('%');
        return;
    }
    let body = segment.strip_suffix('.');
    body.unwrap_or(segment).chars().for_each(|character| encode_character(stored, character));
    if body.is_some() {
        stored.push_str("%2E");
    }
}

fn encode_character(stored: &mut String, character: char) {
    match character {
        '%' | '\\' | '\u{e000}' | '\u{fffe}' | '\u{ffff}' => escape(stored, character),
        control if control.is_control() => escape(stored, control),
        plain => stored.push(plain),
    }
}

fn escape(stored: &mut String, character: char) {
    for byte in character.encode_utf8(&mut [0; 4]).bytes() {
        stored.push_str(&format!("%{byte:02X}"));
    }
}

/// The key of a stored name. A name that isobar did not write is returned without change.
pub fn decode(stored: &str) -> String {
    let segment = |segment| match segment {
        "%" => Some(std::borrow::Cow::Borrowed("")),
        other => percent_decode_str(other).decode_utf8().ok(),
    };
    let segments: Option<Vec<_>> = stored.split('/').map(segment).collect();
    let key = segments.map(|segments| segments.join("/"));
    key.filter(|key| encode(key) == stored).unwrap_or_else(|| stored.to_owned())
}

/// The key prefix of a stored group name, which ends with the delimiter.
pub(super) fn decode_prefix(stored: &str) -> String {
    let key = decode(&format!("{stored}x"));
    key.strip_suffix('x').map(str::to_owned).unwrap_or(key)
}

/// The largest number of segments of a blob's name in Azure:
/// <https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata>.
const MOST_SEGMENTS: usize = 254;

/// The path of a key in an [`object_store::ObjectStore`].
///
/// Errors: `InvalidInput` for an empty key; `TooLarge` for a stored name over `limit` bytes or more than 254 segments.
pub fn to_path(key: &str, limit: u64) -> Result<Path> {
    if key.is_empty() {
        return Err(Error::invalid_input("the object key is empty"));
    }
    let stored = encode(key);
    if stored.len() as u64 > limit {
        return Err(Error::too_large("the object key, as it is stored,", stored.len() as u64, limit));
    }
    let segments = key.split('/').count();
    if segments > MOST_SEGMENTS {
        let segments = segments as u64;
        return Err(Error::too_large("the number of segments of the object key", segments, MOST_SEGMENTS as u64));
    }
    Path::parse(&stored).map_err(|source| Error::invalid_input("the object key cannot be stored").with_source(source))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRANGE: &[&str] = &[
        "a",
        "a/b",
        "/",
        "//",
        "///",
        "/a",
        "a/",
        "a//b",
        "a///b",
        ".",
        "..",
        "...",
        "a/.",
        "a/..",
        "./a",
        "../../etc/passwd",
        "a.",
        "a./b",
        "a../b",
        ".../b",
        "%",
        "%2F",
        "a%2Fb",
        "\\",
        "a\\b",
        "\0",
        "\u{7f}",
        "a\nb",
        "\u{85}",
        "\u{fffd}",
        "\u{fffe}",
        "\u{ffff}",
        "a\u{ffff}.",
        "%EF%BF%BF",
        "\u{1fffe}",
        "ä/ö",
        "😀",
        "C:\\con",
        "con",
        " ",
        " a ",
        "a?b#c",
        "/./",
        "/../",
        "a/./b",
        "\u{81}",
        "a\u{9f}b",
        "\u{e000}",
        "a/\u{f8ff}.",
        ".well-known/acme-challenge",
        ".well-known/acme-challenge/",
        ".well-known/acme-challenge//",
        ".well-known/acme-challenge/a.",
        ".well-known/acme-challenge.",
        ".well-known/acme-challenges/a",
        ".well-known/acme-challeng%65/a",
        ".well-known/acme-challeng",
        "a/.well-known/acme-challenge/b",
        "soap",
        "soap/a",
        "soap.",
        "soaps",
        "soa",
        "soa%70",
        "a/soap",
        "..a",
        ".a",
        "././",
        "..//..",
    ];

    #[test]
    fn every_key_has_its_own_path_and_is_decoded_from_it() {
        let mut seen = std::collections::HashSet::new();
        for key in STRANGE {
            let path = to_path(key, 1_024).unwrap();
            assert_eq!(path.as_ref(), encode(key), "{key:?} is changed by the path");
            assert_eq!(decode(path.as_ref()), *key);
            assert!(seen.insert(path), "{key:?} shares its path");
        }
    }

    /// <https://cloud.google.com/storage/docs/naming-objects>, and the rules of S3 and Azure.
    #[test]
    fn no_stored_name_is_one_that_a_service_rejects() {
        for key in STRANGE {
            let stored = encode(key);
            assert!(!stored.starts_with(".well-known/acme-challenge/") && stored != "soap", "{key:?}");
            assert!(!stored.contains(|character: char| character.is_control() || character == '\u{e000}'), "{key:?}");
            assert!(!stored.split('/').any(|segment| segment.is_empty() || segment.ends_with('.')), "{key:?}");
        }
        assert_eq!(encode(".well-known/acme-challenge/x"), ".well-known/acme-challeng%65/x");
        let segments = |count| to_path(&vec!["a"; count].join("/"), 1_024).map_err(|error| error.kind());
        assert!(segments(254).is_ok());
        assert_eq!(segments(255), Err(crate::ErrorKind::TooLarge));
    }

    #[test]
    fn the_groups_of_stored_names_are_those_of_their_keys() {
        for key in STRANGE {
            for (end, _) in key.match_indices('/') {
                let slashes = key[..=end].matches('/').count();
                let stored = encode(key);
                let (end_of_group, _) = stored.match_indices('/').nth(slashes - 1).unwrap();
                assert_eq!(decode_prefix(&stored[..=end_of_group]), key[..=end], "{key:?}");
            }
        }
    }

    #[test]
    fn the_stored_names_of_keys_with_a_prefix_begin_with_the_stored_prefix() {
        for key in STRANGE {
            for end in (0..=key.len()).filter(|end| key.is_char_boundary(*end)) {
                let prefix = encode_prefix(&key[..end]);
                assert!(encode(key).starts_with(&prefix), "{key:?}, prefix {:?} stored {prefix:?}", &key[..end]);
            }
        }
    }

    /// <https://www.w3.org/TR/xml/#charsets>
    #[test]
    fn xml_can_contain_every_stored_name() {
        let every_character = (char::MIN..=char::MAX).collect::<String>();
        let held = |character| matches!(character, ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
        let stored = encode(&every_character);
        assert_eq!(stored.chars().find(|character| !held(*character)), None);
        assert_eq!(decode(&stored), every_character);
    }

    #[test]
    fn names_that_isobar_did_not_write_are_not_changed() {
        for foreign in ["100%", "a%zz", "a%2fb", "%41"] {
            assert_eq!(decode(foreign), foreign);
        }
    }
}
