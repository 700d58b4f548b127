//! The host's doubled encodings.
//!
//! The host writes bytes as base64, an object as an object, and any other value by
//! `JsonConvert.SerializeObject` into a *string*: the message `hi` is `"\"hi\""`, the number 3 is `"3"`.
//! The examples of its documentation and its older versions have less quoting; both are read here. A value is
//! unwrapped at most twice.
//!
//! Source: `GetHttpScriptInvocationContextValue` in Azure/azure-functions-host.

use std::borrow::Cow;
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use isobar_abstraction::driver::host;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// How often a value may have been wrapped in a string.
const MOST: usize = 2;

/// A text. Another value is returned as its JSON: the host may pass a message `{"a":1}` as an object.
pub(crate) fn text(value: &RawValue) -> Cow<'_, str> {
    match host::text(value) {
        Some(outer) => inner(&outer).map_or(outer, Cow::Owned),
        None => Cow::Borrowed(value.get()),
    }
}

/// A time as the platform writes it. `None` for the year 1, which means that the time was never set.
pub(super) fn time(value: &Value) -> Option<SystemTime> {
    crate::pub_sub::wire::time(value.as_str()?)
}

/// The string in a text that is a JSON string.
fn inner(text: &str) -> Option<String> {
    text.starts_with('"').then(|| serde_json::from_str(text).ok()).flatten()
}

/// Bytes: base64, for bindings of the type `binary`; a JSON string or any other text is returned as text.
pub(crate) fn bytes(value: &RawValue) -> Bytes {
    let Some(outer) = host::text(value) else { return Bytes::copy_from_slice(value.get().as_bytes()) };
    if let Some(inner) = inner(&outer) {
        return Bytes::from(inner);
    }
    match BASE64_STANDARD.decode(outer.as_bytes()) {
        Ok(decoded) => Bytes::from(decoded),
        Err(_) => Bytes::from(outer.into_owned()),
    }
}

/// A non-negative integer.
pub(crate) fn number(value: &RawValue) -> Option<u64> {
    text(value).trim().parse().ok()
}

/// A non-negative integer in an object.
pub(super) fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.trim().trim_matches('"').parse().ok(),
        other => other.as_u64(),
    }
}

/// An object.
pub(crate) fn object(value: &RawValue) -> Option<Map<String, Value>> {
    let mut value = serde_json::from_str(value.get()).ok()?;
    for _ in 0..MOST {
        let Value::String(text) = &value else { break };
        value = serde_json::from_str(text).ok()?;
    }
    match value {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}

/// The items of an array. They are not parsed further, so that one of them cannot make the others unreadable.
pub(crate) fn items(value: &RawValue) -> Option<Vec<Box<RawValue>>> {
    let mut text = Cow::Borrowed(value.get());
    for _ in 0..MOST {
        let Some(inner) = inner(&text) else { break };
        text = Cow::Owned(inner);
    }
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_text_is_unwrapped_once_and_its_content_is_not_parsed() {
        for (json, expected) in [
            (r#""\"hi\"""#, "hi"),
            (r#""hi""#, "hi"),
            (r#""\"12\"""#, "12"),
            (r#""3""#, "3"),
            ("3", "3"),
            (r#""\"{\\\"a\\\":1}\"""#, r#"{"a":1}"#),
            (r#"{"a":1}"#, r#"{"a":1}"#),
            (r#""\"\\\"quoted\\\"\"""#, r#""quoted""#),
            (r#""\"broken""#, "\"broken"),
            (r#""""#, ""),
        ] {
            assert_eq!(text(&raw(json)), expected, "{json}");
        }
    }

    #[test]
    fn bytes_are_base64_or_text() {
        assert_eq!(bytes(&raw(r#""/wAB""#)), &[0xff, 0, 1][..]);
        assert_eq!(bytes(&raw(r#""\"abcd\"""#)), "abcd", "a text that is valid base64");
        assert_eq!(bytes(&raw(r#""/wA""#)), "/wA", "truncated base64 is a text");
        assert_eq!(bytes(&raw(r#"[1, 2]"#)), "[1, 2]");
        assert_eq!(bytes(&raw(r#""""#)), "");
    }

    #[test]
    fn a_number_is_read_with_up_to_two_levels_of_quotes() {
        for json in ["7", r#""7""#, r#""\"7\"""#, r#"" 7 ""#] {
            assert_eq!(number(&raw(json)), Some(7), "{json}");
        }
        for json in ["-1", "1.5", "true", "[]", r#""x""#, r#""99999999999999999999""#, "1e3"] {
            assert_eq!(number(&raw(json)), None, "{json}");
        }
    }

    #[test]
    fn an_array_is_unwrapped_twice_and_its_items_are_not_parsed() {
        let deep = format!("[1, {}1{}]", "[".repeat(100_000), "]".repeat(100_000));
        let mut json = deep;
        for wrapped in 0..4 {
            let found = items(&raw(&json)).map(|items| items.len());
            assert_eq!(found, (wrapped <= 2).then_some(2), "{wrapped}");
            json = Value::String(json).to_string();
        }
        for json in ["{}", "7", "null", r#""""#, r#""[1""#] {
            assert!(items(&raw(json)).is_none(), "{json}");
        }
    }

    #[test]
    fn an_object_is_unwrapped_twice_and_no_more() {
        let mut json = r#"{"a":"b"}"#.to_owned();
        for wrapped in 0..4 {
            assert_eq!(object(&raw(&json)).is_some(), wrapped <= 2, "{json}");
            json = Value::String(json).to_string();
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(object(&raw(&deep)).is_none() && text(&raw(&deep)).len() == 200_000);
    }
}
