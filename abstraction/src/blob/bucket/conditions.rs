//! The range and the conditions of an HTTP request for an object, by
//! [RFC 9110, 13 and 14](https://www.rfc-editor.org/rfc/rfc9110#section-13).
//!
//! They are evaluated here and not by the services, so that the response is the same on every provider.

use std::time::SystemTime;

use http::header::{HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE};
use http::{HeaderValue, Method};
use object_store::GetRange;

use crate::clock::{parse, to_http, to_millis};

/// The method, the range and the conditions of a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Conditions {
    pub(super) is_head: bool,
    pub(super) range: Option<GetRange>,
    if_range: Option<String>,
    if_none_match: Vec<String>,
    if_modified_since: Option<SystemTime>,
}

impl Conditions {
    pub(super) fn new(method: &Method, headers: &HeaderMap) -> Self {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let texts = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let is_head = *method == Method::HEAD;
        Self {
            is_head,
            range: text(RANGE).filter(|_| !is_head).and_then(range),
            if_range: text(IF_RANGE).map(|text| text.trim().to_owned()),
            if_none_match: texts.map(str::to_owned).collect(),
            if_modified_since: text(IF_MODIFIED_SINCE).and_then(parse),
        }
    }

    /// Has the request a condition on the copy of the client?
    pub(super) fn is_conditional(&self) -> bool {
        !self.if_none_match.is_empty() || self.if_modified_since.is_some()
    }

    /// Has the client the object with this tag and this time already?
    pub(super) fn is_unchanged(&self, tag: Option<&HeaderValue>, modified: SystemTime) -> bool {
        if self.if_none_match.is_empty() {
            // Times of HTTP have whole seconds.
            return self.if_modified_since.is_some_and(|since| to_millis(modified) / 1_000 <= to_millis(since) / 1_000);
        }
        // The texts in quotes: RFC 9110, 13.1.2 compares weakly.
        let opaque = |text: &'_ str| text.split('"').nth(1).map(str::to_owned);
        let current = tag.and_then(|tag| opaque(tag.to_str().ok()?));
        self.if_none_match.iter().any(|list| {
            let mut tags = list.split('"').skip(1).step_by(2);
            list.trim() == "*" || current.as_deref().is_some_and(|current| tags.any(|tag| tag == current))
        })
    }

    /// Is the range a part of the object with this tag and this time? If not, the client must receive the whole object.
    pub(super) fn is_range_of(&self, tag: Option<&HeaderValue>, modified: SystemTime) -> bool {
        let Some(known) = &self.if_range else { return true };
        let is_tag = tag.is_some_and(|tag| tag.as_bytes() == known.as_bytes()) && !known.starts_with("W/");
        is_tag || *known == to_http(modified)
    }
}

/// The range of a header. `None` for several ranges and for other units: the response is the whole object then.
fn range(text: &str) -> Option<GetRange> {
    let (unit, text) = text.split_once('=')?;
    let (first, last) = text.trim().split_once('-')?;
    let range = match (number(first), number(last)) {
        _ if !unit.trim().eq_ignore_ascii_case("bytes") => return None,
        (Some(first), Some(last)) if first <= last => GetRange::Bounded(first..last.saturating_add(1)),
        (Some(first), None) if last.is_empty() => GetRange::Offset(first),
        (None, Some(last)) if first.is_empty() => GetRange::Suffix(last),
        _ => return None,
    };
    Some(range)
}

/// A number of any size; one that is too large for the type becomes the largest.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_of_bytes_is_parsed_and_other_headers_are_ignored() {
        for (text, expected) in [
            ("bytes=0-4", Some(GetRange::Bounded(0..5))),
            ("Bytes = 7-7", Some(GetRange::Bounded(7..8))),
            ("bytes=3-", Some(GetRange::Offset(3))),
            ("bytes=-2", Some(GetRange::Suffix(2))),
            ("bytes=-0", Some(GetRange::Suffix(0))),
            ("bytes=1-99999999999999999999", Some(GetRange::Bounded(1..u64::MAX))),
            ("bytes=99999999999999999999-", Some(GetRange::Offset(u64::MAX))),
            ("bytes=0-1,3-4", None),
            ("bytes=4-0", None),
            ("bytes=-", None),
            ("bytes=a-b", None),
            ("bytes=+1-2", None),
            ("bytes=--1", None),
            ("lines=0-4", None),
            ("0-4", None),
            ("", None),
        ] {
            assert_eq!(range(text), expected, "{text}");
        }
    }

    #[test]
    fn tags_are_compared_by_the_rules_of_http() {
        let tag = HeaderValue::from_static("\"a,b\"");
        let weak = HeaderValue::from_static("W/\"a,b\"");
        let conditions = |name: HeaderName, value: &str| {
            Conditions::new(&Method::GET, &HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())]))
        };
        for (value, expected) in [
            ("\"a,b\"", true),
            ("W/\"a,b\"", true),
            ("\"x\", W/\"y\" , \"a,b\"", true),
            ("*", true),
            ("\"a\"", false),
            ("a,b", false),
            ("", false),
        ] {
            let conditions = conditions(IF_NONE_MATCH, value);
            assert_eq!(conditions.is_unchanged(Some(&tag), SystemTime::UNIX_EPOCH), expected, "{value}");
            assert_eq!(conditions.is_unchanged(Some(&weak), SystemTime::UNIX_EPOCH), expected, "{value}");
            assert_eq!(conditions.is_unchanged(None, SystemTime::UNIX_EPOCH), value == "*", "{value}");
        }
        assert!(conditions(IF_RANGE, "\"a,b\"").is_range_of(Some(&tag), SystemTime::UNIX_EPOCH));
        assert!(!conditions(IF_RANGE, "W/\"a,b\"").is_range_of(Some(&weak), SystemTime::UNIX_EPOCH));
        assert!(!conditions(IF_RANGE, "\"a,b\"").is_range_of(None, SystemTime::UNIX_EPOCH));
    }
}
