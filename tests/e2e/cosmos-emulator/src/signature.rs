//! The check of the signature by the account's key.
//!
//! Source: <https://learn.microsoft.com/rest/api/cosmos-db/access-control-on-cosmosdb-resources>.
//! Tested with two other clients: Azure's libraries for Rust and for Python.

use azure_core::credentials::Secret;
use azure_core::hmac::hmac_sha256;
use hyper::http::request::Parts;

use crate::server::decoded;

const FORM: &str = "type=master&ver=1.0&sig=";

/// Errors: a message with the text whose signature is expected.
pub(crate) fn check(parts: &Parts, key: &str) -> Result<(), String> {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let authorization = decoded(header("authorization"));
    let signature = authorization.strip_prefix(FORM).ok_or(format!("authorization is not of the form {FORM}…"))?;
    let date = match header("x-ms-date") {
        "" => header("date"),
        date => date,
    };
    let (kind, link) = resource(parts.uri.path());
    let text = format!("{}\n{kind}\n{link}\n{}\n\n", parts.method.as_str().to_lowercase(), date.to_lowercase());
    let expected = hmac_sha256(&text, &Secret::new(key.to_owned())).map_err(|error| error.to_string())?;
    if signature == expected { Ok(()) } else { Err(format!("the signature is not that of {text:?}")) }
}

/// The resource type and the link of a path, as they are signed: the link of a feed is that of its parent, decoded.
fn resource(path: &str) -> (String, String) {
    let segments: Vec<String> = path.split('/').filter(|it| !it.is_empty()).map(decoded).collect();
    let (kind, link) = match segments.len() {
        0 => (None, &segments[..]),
        count if count % 2 == 1 => (segments.last(), &segments[..count - 1]),
        count => (segments.get(count - 2), &segments[..]),
    };
    (kind.cloned().unwrap_or_default(), link.join("/"))
}
