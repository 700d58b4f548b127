//! `SharedKey` of storage accounts, for queues.
//!
//! <https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key>

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use percent_encoding::percent_decode_str;
use ring::hmac;

use crate::config::Secret;

/// What `x-ms-date` says.
pub(super) fn date(now: SystemTime) -> String {
    DateTime::<Utc>::from(now).format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// What `Authorization` says of a request whose other headers are there.
pub(super) fn shared_key(request: &Parts, body_bytes: usize, account: &str, key: &Secret) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key.0);
    let signature = hmac::sign(&key, string_to_sign(request, body_bytes, account).as_bytes());
    format!("SharedKey {account}:{}", STANDARD.encode(signature))
}

fn string_to_sign(request: &Parts, body_bytes: usize, account: &str) -> String {
    let length = if body_bytes == 0 { String::new() } else { body_bytes.to_string() };
    let content_type = request.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let method = &request.method;
    let mut text = format!("{method}\n\n\n{length}\n\n{content_type}\n\n\n\n\n\n\n");
    let mut headers: Vec<_> = request.headers.iter().filter(|(name, _)| name.as_str().starts_with("x-ms-")).collect();
    headers.sort_unstable_by_key(|(name, _)| name.as_str());
    for (name, value) in headers {
        text.push_str(&format!("{name}:{}\n", value.to_str().unwrap_or_default().trim()));
    }
    // An emulator's path begins with the account already, which then stands there twice.
    text.push_str(&format!("/{account}{}", request.uri.path()));
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let pairs = request.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name).to_lowercase(), decoded(value))
    };
    let mut pairs: Vec<_> = pairs.map(pair).collect();
    pairs.sort_unstable();
    for (name, value) in pairs {
        text.push_str(&format!("\n{name}:{value}"));
    }
    text
}
