//! Names and parameters as they stand in URLs.
//!
//! Source: <https://cloud.google.com/storage/docs/request-endpoints#encoding>

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Characters that stand in URLs as they are, beside letters and digits.
const PLAIN: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: AsciiSet = PLAIN.remove(b'/');

/// A name as one part of a path, or a value of a query.
pub(super) fn part(text: &str) -> String {
    utf8_percent_encode(text, &PLAIN).to_string()
}

/// A name whose slashes are those of the path.
pub(super) fn path(name: &str) -> String {
    utf8_percent_encode(name, &PATH).to_string()
}

/// `name=value&…`.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().map(|(name, value)| format!("{}={}", part(name), part(value)));
    pairs.collect::<Vec<_>>().join("&")
}
