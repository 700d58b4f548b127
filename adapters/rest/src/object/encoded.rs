//! Names and parameters as they stand in URLs.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode, utf8_percent_encode};

/// What stands for itself, beside letters and digits.
pub const ESCAPED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: AsciiSet = ESCAPED.remove(b'/');

/// A name as one part of a path, or a value of a query.
pub fn encode(text: impl AsRef<[u8]>) -> String {
    percent_encode(text.as_ref(), &ESCAPED).to_string()
}

/// A name whose slashes are those of the path.
pub fn encode_path(name: &str) -> String {
    utf8_percent_encode(name, &PATH).to_string()
}

/// `name=value&…`.
pub fn encode_query(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}
