//! The path and query of a request in the client's encoding.
//!
//! REST APIs, Function URLs and load balancers forward the original path. HTTP APIs decode it,
//! even twice, so that it can contain blanks, `?`, `#` and `%` (captured on AWS in July
//! 2026, see `vokerhttp/testdata` of hotsock/voker). Escaping only bytes that are invalid in a path is correct for
//! both: an encoded path does not change.

use std::borrow::Cow;
use std::fmt::Write;

use http::Uri;
use isobar_abstraction::{Error, Result};
use isobar_rest::object::encode;

/// The URI of a request. Errors: `InvalidInput` if it is too long.
pub(super) fn uri(path: &str, query: &str) -> Result<Uri> {
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut text = format!("{slash}{}", path_text(path));
    if !query.is_empty() {
        text.push('?');
        text.push_str(&escaped(query, |_, byte| !in_query(byte)));
    }
    // Without its source: the error of `http` has no details, and the text may contain secrets.
    Uri::from_maybe_shared(bytes::Bytes::from(text))
        .map_err(|_| Error::invalid_input("the path and query of the request are too long or not a URI"))
}

/// A path with escapes for bytes that are invalid in it.
pub(super) fn path_text(path: &str) -> Cow<'_, str> {
    escaped(path, |rest, byte| match byte {
        b'%' => !matches!(rest, [_, high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit()),
        b'?' | b'`' | b'{' | b'}' => true,
        _ => !in_query(byte),
    })
}

fn in_query(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'#' | b'<' | b'>')
}

/// The text with escapes for all bytes for which `needs_escape` is true; its first argument is the text from that byte on.
fn escaped(text: &str, needs_escape: impl Fn(&[u8], u8) -> bool) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let Some(first) = (0..bytes.len()).find(|at| needs_escape(&bytes[*at..], bytes[*at])) else {
        return Cow::Borrowed(text);
    };
    let mut escaped = String::with_capacity(text.len() + 16);
    let mut clean = 0;
    for at in first..bytes.len() {
        if needs_escape(&bytes[at..], bytes[at]) {
            // A byte that must be escaped is ASCII or a part of a character that is escaped as a whole.
            escaped.push_str(text.get(clean..at).unwrap_or_default());
            let _ = write!(escaped, "%{:02X}", bytes[at]);
            clean = at + 1;
        }
    }
    escaped.push_str(text.get(clean..).unwrap_or_default());
    Cow::Owned(escaped)
}

/// Appends a decoded parameter.
pub(super) fn push_decoded(query: &mut String, name: &str, value: &str) {
    push_encoded(query, &encode(name), &encode(value));
}

/// Appends an encoded parameter.
pub(super) fn push_encoded(query: &mut String, name: &str, value: &str) {
    let and = if query.is_empty() { "" } else { "&" };
    let _ = write!(query, "{and}{name}={value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_path_is_unchanged_and_decoded_path_is_escaped() {
        for (path, expected) in [
            ("/capture/plain", "/capture/plain"),
            ("/capture/space%20value", "/capture/space%20value"),
            ("/capture/space value", "/capture/space%20value"),
            ("/capture/hash#value?x", "/capture/hash%23value%3Fx"),
            ("/capture/literal%value", "/capture/literal%25value"),
            ("/capture/unicode-λ", "/capture/unicode-%CE%BB"),
            ("/a%2Fb%zz%", "/a%2Fb%25zz%25"),
            ("/:@!$&'()*+,;=-._~|[]\\^", "/:@!$&'()*+,;=-._~|[]\\^"),
            ("", "/"),
            ("no/slash", "/no/slash"),
            ("//host/x", "//host/x"),
        ] {
            assert_eq!(uri(path, "").unwrap().path(), expected, "{path}");
        }
    }

    #[test]
    fn query_is_unchanged_except_for_invalid_bytes() {
        let uri = uri("/", "a[]=1&b=100%&c=x y#z&d=ü&e={\"f\"}&g=%20+").unwrap();
        assert_eq!(uri.query(), Some("a[]=1&b=100%&c=x%20y%23z&d=%C3%BC&e={%22f%22}&g=%20+"));
    }

    #[test]
    fn uri_that_is_too_long_is_an_error() {
        assert!(uri(&format!("/{}", "a".repeat(70_000)), "").is_err());
    }

    #[test]
    fn decoded_parameter_is_encoded() {
        let mut query = String::new();
        push_decoded(&mut query, "a b", "c+d&e=ü");
        push_decoded(&mut query, "f", "");
        push_encoded(&mut query, "g%20h", "i+j");
        assert_eq!(query, "a%20b=c%2Bd%26e%3D%C3%BC&f=&g%20h=i+j");
    }
}
