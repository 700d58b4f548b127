//! Encodes a response as the JSON of a gateway.

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

/// The format of a gateway's responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResponseFormat {
    /// Headers with lists of values: REST APIs.
    MultiValue,
    /// Headers with lists of values, and the status as text: load balancers with multi-value headers.
    MultiValueWithStatus,
    /// One value for each header, and the status as text: load balancers.
    SingleValueWithStatus,
    /// One value for each header, and a list of cookies: payload format 2.0.
    SingleValueWithCookies,
}

/// The largest encoded body: Lambda accepts a response of 6 MiB, which includes the JSON around the body.
const BODY_BYTES: usize = 6_000_000;

impl ResponseFormat {
    /// The format for the sender of this event.
    pub(crate) fn of(gateway: Gateway, event: &Incoming<'_>) -> Self {
        match gateway {
            Gateway::Rest => Self::MultiValue,
            // A load balancer rejects headers in the form that its target group is not configured for.
            Gateway::LoadBalancer if event.fields.has("multiValueHeaders") => Self::MultiValueWithStatus,
            Gateway::LoadBalancer => Self::SingleValueWithStatus,
            Gateway::HttpApi | Gateway::FunctionUrl => Self::SingleValueWithCookies,
        }
    }

    /// Encodes the response with its body. Errors: only those of `serde_json`.
    pub(crate) fn encode(self, parts: &Parts, body: &Bytes) -> Result<Bytes> {
        let (body, base64) = body_text(body);
        let mut json = Vec::with_capacity(body.len() + 512);
        let response = EncodedResponse { format: self, parts, body: Some((&body, base64)) };
        serde_json::to_writer(&mut json, &response)?;
        Ok(Bytes::from(json))
    }

    /// Encodes the response without its body, which is streamed after it.
    pub(crate) fn prelude(self, parts: &Parts) -> Result<Bytes> {
        let response = EncodedResponse { format: self, parts, body: None };
        Ok(Bytes::from(serde_json::to_vec(&response)?))
    }
}

/// The body and whether it is base64. UTF-8 of any content type is sent as text, because REST APIs do not decode
/// base64 unless they are configured for it. Other bodies, and text whose escapes are too large for Lambda, are
/// sent as base64.
fn body_text(body: &Bytes) -> (Cow<'_, str>, bool) {
    match std::str::from_utf8(body) {
        Ok(text) if body.len() < BODY_BYTES / 6 || escaped_size(body) < BODY_BYTES => (Cow::Borrowed(text), false),
        _ => (Cow::Owned(BASE64_STANDARD.encode(body)), true),
    }
}

struct EncodedResponse<'a> {
    format: ResponseFormat,
    parts: &'a Parts,
    body: Option<(&'a str, bool)>,
}

impl Serialize for EncodedResponse<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (status, headers) = (self.parts.status, &self.parts.headers);
        let mut json = serializer.serialize_map(None)?;
        json.serialize_entry("statusCode", &status.as_u16())?;
        if matches!(self.format, ResponseFormat::MultiValueWithStatus | ResponseFormat::SingleValueWithStatus) {
            let reason = status.canonical_reason().unwrap_or_default();
            json.serialize_entry("statusDescription", format!("{} {reason}", status.as_u16()).trim_end())?;
        }
        match self.format {
            ResponseFormat::MultiValue | ResponseFormat::MultiValueWithStatus => {
                json.serialize_entry("multiValueHeaders", &MultiValueHeaders(headers))?;
            }
            ResponseFormat::SingleValueWithStatus => {
                json.serialize_entry("headers", &SingleValueHeaders { headers, cookies: true })?;
            }
            ResponseFormat::SingleValueWithCookies => {
                json.serialize_entry("headers", &SingleValueHeaders { headers, cookies: false })?;
                // Also without cookies: `cargo lambda` rejects a response without this field.
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

/// Headers with lists of values.
struct MultiValueHeaders<'a>(&'a HeaderMap);

impl Serialize for MultiValueHeaders<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.keys().map(|name| (name.as_str(), texts(self.0, name))))
    }
}

/// Headers with one value, into which several are joined, as HTTP allows except for cookies (RFC 9110, 5.3).
struct SingleValueHeaders<'a> {
    headers: &'a HeaderMap,
    cookies: bool,
}

impl Serialize for SingleValueHeaders<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_map(None)?;
        for name in self.headers.keys().filter(|name| *name != SET_COOKIE) {
            json.serialize_entry(name.as_str(), &texts(self.headers, name).join(", "))?;
        }
        if self.cookies {
            for (index, cookie) in texts(self.headers, &SET_COOKIE).iter().enumerate() {
                json.serialize_entry(&spelling(index), cookie)?;
            }
        }
        json.end()
    }
}

fn texts<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<Cow<'a, str>> {
    let text = |value: &'a HeaderValue| String::from_utf8_lossy(value.as_bytes());
    headers.get_all(name).iter().map(text).collect()
}

/// The name of a cookie header by the cookie's index. A load balancer without multi-value headers accepts several
/// cookies only under different spellings of the name. There are 512 spellings, and browsers accept fewer cookies.
fn spelling(index: usize) -> String {
    let mut count = 0;
    let spelt = |c: char| {
        let upper = c.is_ascii_alphabetic() && {
            count += 1;
            index >> (count - 1) & 1 == 1
        };
        if upper { c.to_ascii_uppercase() } else { c }
    };
    SET_COOKIE.as_str().chars().map(spelt).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf8_body_is_text_and_any_other_is_base64() {
        assert_eq!(body_text(&Bytes::from("grün \0 \"x\"")), ("grün \0 \"x\"".into(), false));
        assert_eq!(body_text(&Bytes::from_static(&[0xff, 0, 1])), ("/wAB".into(), true));
        assert_eq!(body_text(&Bytes::new()), ("".into(), false));
    }

    #[test]
    fn text_with_too_large_escapes_is_base64() {
        let (body, base64) = (Bytes::from(vec![0; 4_500_000]), Bytes::from(vec![b'"'; 2_000_000]));
        assert!(body_text(&body).1 && body_text(&body).0.len() <= BODY_BYTES);
        assert!(!body_text(&base64).1);
    }

    #[test]
    fn escaped_size_is_that_of_serde_json() {
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
