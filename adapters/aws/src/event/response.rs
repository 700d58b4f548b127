//! From a response to the JSON that a gateway takes.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::SET_COOKIE;
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use isobar_abstraction::Result;
use isobar_abstraction::driver::host::escaped_size;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::Incoming;
use super::shape::Gateway;

/// How the sender of a request wants its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Headers with all their values: REST APIs, and load balancers that are set up so.
    Many,
    /// The same, with the status in words: a load balancer.
    ManyAndStatus,
    /// One value for each header, with the status in words: a load balancer.
    OneAndStatus,
    /// One value for each header, and the cookies apart: payload format 2.0.
    OneAndCookies,
}

/// Lambda takes an answer of 6 MB; what stands around a body takes some of it.
const ROOM: usize = 6_000_000;

impl Answer {
    /// What the sender of this event wants.
    pub(crate) fn to(gateway: Gateway, event: &Incoming<'_>) -> Self {
        match gateway {
            Gateway::Rest => Self::Many,
            // A load balancer refuses headers in the form that its target group is not set up for.
            Gateway::LoadBalancer if event.fields.has("multiValueHeaders") => Self::ManyAndStatus,
            Gateway::LoadBalancer => Self::OneAndStatus,
            Gateway::HttpApi | Gateway::FunctionUrl => Self::OneAndCookies,
        }
    }

    /// The answer with its body. Errors: none but a fault of `serde_json`.
    pub(crate) fn whole(self, parts: &Parts, body: &Bytes) -> Result<Bytes> {
        let (body, base64) = body_text(body);
        let mut json = Vec::with_capacity(body.len() + 512);
        let answer = Written { form: self, parts, body: Some((&body, base64)) };
        serde_json::to_writer(&mut json, &answer)?;
        Ok(Bytes::from(json))
    }

    /// The answer without its body, which is streamed behind it.
    pub(crate) fn prelude(self, parts: &Parts) -> Result<Bytes> {
        let answer = Written { form: self, parts, body: None };
        Ok(Bytes::from(serde_json::to_vec(&answer)?))
    }
}

/// The body as text where it is text, whatever its type says: REST APIs hand base64 on as it is unless
/// they are set up for it. Else, or where escapes would make it too large for Lambda, as base64.
fn body_text(body: &Bytes) -> (Cow<'_, str>, bool) {
    match std::str::from_utf8(body) {
        Ok(text) if body.len() < ROOM / 6 || escaped_size(body) < ROOM => (Cow::Borrowed(text), false),
        _ => (Cow::Owned(BASE64_STANDARD.encode(body)), true),
    }
}

struct Written<'a> {
    form: Answer,
    parts: &'a Parts,
    body: Option<(&'a str, bool)>,
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (status, headers) = (self.parts.status, &self.parts.headers);
        let mut json = serializer.serialize_map(None)?;
        json.serialize_entry("statusCode", &status.as_u16())?;
        if matches!(self.form, Answer::ManyAndStatus | Answer::OneAndStatus) {
            let words = status.canonical_reason().unwrap_or_default();
            json.serialize_entry("statusDescription", format!("{} {words}", status.as_u16()).trim_end())?;
        }
        match self.form {
            Answer::Many | Answer::ManyAndStatus => json.serialize_entry("multiValueHeaders", &Many(headers))?,
            Answer::OneAndStatus => json.serialize_entry("headers", &One { headers, cookies: true })?,
            Answer::OneAndCookies => {
                json.serialize_entry("headers", &One { headers, cookies: false })?;
                // Also where there are none: `cargo lambda` refuses an answer without it.
                json.serialize_entry("cookies", &texts(headers, &SET_COOKIE))?;
            }
        }
        if let Some((body, base64)) = self.body {
            json.serialize_entry("body", body)?;
            json.serialize_entry("isBase64Encoded", &base64)?;
        }
        json.end()
    }
}

/// Headers with all their values.
struct Many<'a>(&'a HeaderMap);

impl Serialize for Many<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.keys().map(|name| (name.as_str(), texts(self.0, name))))
    }
}

/// Headers with their values in one, as HTTP allows for all but cookies (RFC 9110, 5.3).
struct One<'a> {
    headers: &'a HeaderMap,
    cookies: bool,
}

impl Serialize for One<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_map(None)?;
        for name in self.headers.keys().filter(|name| *name != SET_COOKIE) {
            json.serialize_entry(name.as_str(), &texts(self.headers, name).join(", "))?;
        }
        if self.cookies {
            for (place, cookie) in texts(self.headers, &SET_COOKIE).iter().enumerate() {
                json.serialize_entry(&spelling(place), cookie)?;
            }
        }
        json.end()
    }
}

fn texts<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<Cow<'a, str>> {
    let text = |value: &'a HeaderValue| String::from_utf8_lossy(value.as_bytes());
    headers.get_all(name).iter().map(text).collect()
}

/// A load balancer that takes one value for each header takes several cookies under several
/// spellings of the name. There are 512 of them, and browsers take fewer cookies.
fn spelling(place: usize) -> String {
    let mut letter = 0;
    let spelt = |c: char| {
        let upper = c.is_ascii_alphabetic() && {
            letter += 1;
            place >> (letter - 1) & 1 == 1
        };
        if upper { c.to_ascii_uppercase() } else { c }
    };
    SET_COOKIE.as_str().chars().map(spelt).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_text_and_anything_else_is_base64() {
        assert_eq!(body_text(&Bytes::from("grün \0 \"x\"")), ("grün \0 \"x\"".into(), false));
        assert_eq!(body_text(&Bytes::from_static(&[0xff, 0, 1])), ("/wAB".into(), true));
        assert_eq!(body_text(&Bytes::new()), ("".into(), false));
    }

    #[test]
    fn text_that_escapes_would_make_too_large_is_base64() {
        let (body, base64) = (Bytes::from(vec![0; 4_500_000]), Bytes::from(vec![b'"'; 2_000_000]));
        assert!(body_text(&body).1 && body_text(&body).0.len() <= ROOM);
        assert!(!body_text(&base64).1);
    }

    #[test]
    fn the_escaped_size_is_what_serde_json_writes() {
        let text: String = (0..=0x2ff_u32).filter_map(char::from_u32).collect();
        assert_eq!(escaped_size(text.as_bytes()) + 2, serde_json::to_string(&text).unwrap().len());
    }

    #[test]
    fn spellings_of_one_name_differ() {
        assert_eq!(spelling(0), "set-cookie");
        assert_eq!(spelling(3), "SEt-cookie");
        let all: std::collections::HashSet<_> = (0..512).map(spelling).collect();
        assert_eq!(all.len(), 512);
        assert!(all.iter().all(|name| name.eq_ignore_ascii_case("set-cookie")));
    }
}
