//! The host's doubled encodings.
//!
//! The host writes bytes as base64, what is an object as an object, and all else through
//! `JsonConvert.SerializeObject` into a *string*: the message `hi` is `"\"hi\""`, the number 3 is `"3"`.
//! Its documentation shows less quoting, and so did its older versions; both are read here. Nothing is
//! unwrapped more than twice, however often somebody wrapped it.
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

/// A text. What is none is the JSON that it is: a message `{"a":1}` may come as an object.
pub(crate) fn text(value: &RawValue) -> Cow<'_, str> {
    match host::text(value) {
        Some(outer) => inner(&outer).map_or(outer, Cow::Owned),
        None => Cow::Borrowed(value.get()),
    }
}

/// A time as the platform writes it. One that was never set is that of the year 1, which counts as none.
pub(super) fn time(told: &Value) -> Option<SystemTime> {
    crate::pub_sub::wire::time(told.as_str()?)
}

/// The string that a text holds as JSON.
fn inner(text: &str) -> Option<String> {
    text.starts_with('"').then(|| serde_json::from_str(text).ok()).flatten()
}

/// Bytes: base64 where the binding is of the type `binary`, which no JSON string is, else a text.
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

/// A whole number that is not negative.
pub(crate) fn number(value: &RawValue) -> Option<u64> {
    text(value).trim().parse().ok()
}

/// The same, of a value within an object.
pub(super) fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.trim().trim_matches('"').parse().ok(),
        other => other.as_u64(),
    }
}

/// An object.
pub(crate) fn object(value: &RawValue) -> Option<Map<String, Value>> {
    let mut told = serde_json::from_str(value.get()).ok()?;
    for _ in 0..MOST {
        let Value::String(text) = &told else { break };
        told = serde_json::from_str(text).ok()?;
    }
    match told {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_text_is_unwrapped_once_and_never_looked_into() {
        for (told, is) in [
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
            assert_eq!(text(&raw(told)), is, "{told}");
        }
    }

    #[test]
    fn bytes_are_base64_or_text() {
        assert_eq!(bytes(&raw(r#""/wAB""#)), &[0xff, 0, 1][..]);
        assert_eq!(bytes(&raw(r#""\"abcd\"""#)), "abcd", "a text that would be base64");
        assert_eq!(bytes(&raw(r#""/wA""#)), "/wA", "base64 that was cut off is a text");
        assert_eq!(bytes(&raw(r#"[1, 2]"#)), "[1, 2]");
        assert_eq!(bytes(&raw(r#""""#)), "");
    }

    #[test]
    fn numbers_come_in_three_ways_and_no_other() {
        for told in ["7", r#""7""#, r#""\"7\"""#, r#"" 7 ""#] {
            assert_eq!(number(&raw(told)), Some(7), "{told}");
        }
        for told in ["-1", "1.5", "true", "[]", r#""x""#, r#""99999999999999999999""#, "1e3"] {
            assert_eq!(number(&raw(told)), None, "{told}");
        }
    }

    #[test]
    fn an_object_is_unwrapped_twice_and_no_more() {
        let mut told = r#"{"a":"b"}"#.to_owned();
        for wrapped in 0..4 {
            assert_eq!(object(&raw(&told)).is_some(), wrapped <= 2, "{told}");
            told = Value::String(told).to_string();
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(object(&raw(&deep)).is_none() && text(&raw(&deep)).len() == 200_000);
    }
}
