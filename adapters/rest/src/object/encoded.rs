//! Percent-encoding of names and parameters in URLs.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode, utf8_percent_encode};

/// The characters to encode: all except RFC 3986's unreserved ones, which are letters, digits and `-._~`.
pub const ESCAPED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: AsciiSet = ESCAPED.remove(b'/');

/// Encodes a name as one segment of a path, or a value of a query.
pub fn encode(text: impl AsRef<[u8]>) -> String {
    percent_encode(text.as_ref(), &ESCAPED).to_string()
}

/// Encodes a name as a path, with its slashes unchanged.
pub fn encode_path(name: &str) -> String {
    utf8_percent_encode(name, &PATH).to_string()
}

/// Encodes parameters as `name=value&…`.
pub fn encode_query(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}
