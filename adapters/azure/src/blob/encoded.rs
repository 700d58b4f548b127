//! Names and parameters as they stand in URLs.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Characters that stand in URLs as they are, beside letters and digits.
const QUERY: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: AsciiSet = QUERY.remove(b'/');

/// A name.
pub(super) fn path(name: &str) -> String {
    utf8_percent_encode(name, &PATH).to_string()
}

/// `name=value&…`.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, &QUERY)));
    pairs.collect::<Vec<_>>().join("&")
}
