//! The check of signed URLs: fake-gcs-server checks neither signature nor expiry, so a trial's client does before it
//! sends the request.
//!
//! Source: <https://cloud.google.com/storage/docs/authentication/canonical-requests>.

use std::collections::BTreeMap;
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use chrono::{DateTime, NaiveDateTime, Utc};
use http::{Request, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::json;
use sha2::{Digest, Sha256};

/// The service account that signs.
const EMAIL: &str = "app@double.iam.gserviceaccount.com";

/// Its key, which was made for this test and is used for nothing else.
const KEY: &str = include_str!("key.pem");

/// The status of a URL that is malformed or has expired.
const BAD: StatusCode = StatusCode::BAD_REQUEST;

/// The file of a service account whose key is public: for `GOOGLE_APPLICATION_CREDENTIALS`.
pub fn account() -> String {
    let account = json!({
        "type": "service_account", "project_id": "double", "private_key_id": "1", "private_key": KEY,
        "client_email": EMAIL, "universe_domain": "googleapis.com",
    });
    account.to_string()
}

/// Checks a request without a token to the service at `host`. `Err` is the status of the service error.
pub(super) fn check(request: &Request<Bytes>, host: &str, now: SystemTime) -> Result<(), StatusCode> {
    let query = request.uri().query().unwrap_or_default().as_bytes();
    let pairs: BTreeMap<_, _> = url::form_urlencoded::parse(query).into_owned().collect();
    let value = |name: &str| pairs.get(name).map(String::as_str).ok_or(BAD);
    if value("X-Goog-Algorithm")? != "GOOG4-RSA-SHA256" || value("X-Goog-SignedHeaders")? != "host" {
        return Err(BAD);
    }
    let (email, scope) = value("X-Goog-Credential")?.split_once('/').ok_or(BAD)?;
    let date = value("X-Goog-Date")?;
    let text = format!("GOOG4-RSA-SHA256\n{date}\n{scope}\n{}", canonical(request, host));
    let is_valid = email == EMAIL
        && scope == format!("{}/auto/storage/goog4_request", date.get(..8).unwrap_or_default())
        && request.uri().authority().is_some_and(|it| it.as_str() == host);
    if !is_valid || !is_signed(&text, &hex(value("X-Goog-Signature")?).ok_or(BAD)?) {
        return Err(StatusCode::FORBIDDEN);
    }
    let start = NaiveDateTime::parse_from_str(date, "%Y%m%dT%H%M%SZ").map_err(|_| BAD)?.and_utc();
    let lasts: i64 = value("X-Goog-Expires")?.parse().map_err(|_| BAD)?;
    let now = DateTime::<Utc>::from(now);
    match (1..=604_800).contains(&lasts) && (now - start).num_seconds() < lasts && (start - now).num_minutes() < 15 {
        true => Ok(()),
        false => Err(BAD),
    }
}

fn is_signed(text: &str, signature: &[u8]) -> bool {
    let body: String = KEY.lines().filter(|line| !line.starts_with("-----")).collect();
    let pair = BASE64_STANDARD.decode(body).ok().and_then(|key| RsaKeyPair::from_pkcs8(&key).ok());
    let public =
        pair.map(|pair| UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref().to_vec()));
    public.is_some_and(|public| public.verify(text.as_bytes(), signature).is_ok())
}

/// The hash of the canonical request, however the request is encoded.
fn canonical(request: &Request<Bytes>, host: &str) -> String {
    let query = request.uri().query().unwrap_or_default();
    let pairs = query.split('&').filter(|pair| !pair.starts_with("X-Goog-Signature="));
    let mut pairs: Vec<_> = pairs.map(|pair| encoded(pair, '=')).collect();
    pairs.sort_unstable();
    let (method, path, query) = (request.method(), encoded(request.uri().path(), '/'), pairs.join("&"));
    let text = format!("{method}\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD");
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Decodes each part, and encodes all but the unreserved characters of RFC 3986.
fn encoded(text: &str, separator: char) -> String {
    const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    let decoded = text.split(separator).map(|part| percent_decode_str(part).collect::<Vec<u8>>());
    let parts: Vec<_> = decoded.map(|part| percent_encode(&part, RESERVED).to_string()).collect();
    parts.join(separator.encode_utf8(&mut [0; 4]))
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(byte).collect()
}
