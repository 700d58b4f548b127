//! Who may call the double: tokens that a service account has signed itself, and V4 signed URLs.

use std::time::UNIX_EPOCH;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, NaiveDateTime, Utc};
use http::Uri;
use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{EMAIL, Shared};

/// Why a request is refused: the status, and the code of the XML API.
pub(super) type Reason = (u16, &'static str);

/// The public half of a key in PEM.
pub(super) fn public(pem: &str) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let pair = RsaKeyPair::from_pkcs8(&BASE64_STANDARD.decode(body)?).map_err(|error| error.to_string())?;
    Ok(pair.public_key().as_ref().to_vec())
}

fn is_signed(shared: &Shared, text: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &shared.public).verify(text, signature).is_ok()
}

/// Checks a request for an object's content.
pub(super) fn check_content(shared: &Shared, request: &Parts) -> Result<(), Reason> {
    match request.uri.query().is_some_and(|query| query.contains("X-Goog-")) {
        true => signed_url(shared, request),
        false => check(shared, request),
    }
}

/// Checks the token of a request. Source: <https://google.aip.dev/auth/4111>.
pub(super) fn check(shared: &Shared, request: &Parts) -> Result<(), Reason> {
    let missing = (401, "AuthenticationRequired");
    let header = request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or(missing)?;
    let token = header.strip_prefix("Bearer ").ok_or(missing)?;
    let (text, signature) = token.rsplit_once('.').ok_or((401, "InvalidToken"))?;
    let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| (401, "InvalidToken"));
    if !is_signed(shared, text.as_bytes(), &decode(signature)?) {
        return Err((401, "InvalidToken"));
    }
    let claims = decode(text.split('.').nth(1).unwrap_or_default())?;
    let claims: Value = serde_json::from_slice(&claims).map_err(|_| (401, "InvalidToken"))?;
    let now = shared.now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let lasts = claims["exp"].as_u64().is_some_and(|end| end > now);
    match claims["iss"] == EMAIL && claims["sub"] == EMAIL && lasts {
        true => Ok(()),
        false => Err((401, "InvalidToken")),
    }
}

/// Source: <https://cloud.google.com/storage/docs/authentication/canonical-requests>.
fn signed_url(shared: &Shared, request: &Parts) -> Result<(), Reason> {
    let malformed = (400, "AuthenticationRequired");
    let pairs = pairs(&request.uri);
    let value = |name: &str| pairs.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str()).ok_or(malformed);
    if value("X-Goog-Algorithm")? != "GOOG4-RSA-SHA256" || value("X-Goog-SignedHeaders")? != "host" {
        return Err(malformed);
    }
    let (email, scope) = value("X-Goog-Credential")?.split_once('/').ok_or(malformed)?;
    let date = value("X-Goog-Date")?;
    if email != EMAIL || scope != format!("{}/auto/storage/goog4_request", date.get(..8).unwrap_or_default()) {
        return Err((403, "SignatureDoesNotMatch"));
    }
    let host = request.headers.get(HOST).and_then(|host| host.to_str().ok()).ok_or(malformed)?;
    let text = format!("GOOG4-RSA-SHA256\n{date}\n{scope}\n{}", canonical(request, host, &pairs));
    let signature = hex(value("X-Goog-Signature")?).ok_or(malformed)?;
    if host != shared.host || !is_signed(shared, text.as_bytes(), &signature) {
        return Err((403, "SignatureDoesNotMatch"));
    }
    let start = NaiveDateTime::parse_from_str(date, "%Y%m%dT%H%M%SZ").map_err(|_| malformed)?.and_utc();
    let lasts: i64 = value("X-Goog-Expires")?.parse().map_err(|_| malformed)?;
    let now = DateTime::<Utc>::from(shared.now());
    match (1..=604_800).contains(&lasts) && (now - start).num_seconds() < lasts && (start - now).num_minutes() < 15 {
        true => Ok(()),
        false => Err((400, "ExpiredToken")),
    }
}

/// The hash of what was signed.
fn canonical(request: &Parts, host: &str, pairs: &[(String, String)]) -> String {
    let signed = pairs.iter().filter(|(name, _)| name != "X-Goog-Signature");
    let query: Vec<_> = signed.map(|(name, value)| format!("{}={}", encode(name, ""), encode(value, ""))).collect();
    let path = encode(&decode(request.uri.path()), "/");
    let (method, query) = (&request.method, query.join("&"));
    let text = format!("{method}\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD");
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// In the order in which they are signed.
fn pairs(uri: &Uri) -> Vec<(String, String)> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    };
    let mut pairs: Vec<_> = uri.query().unwrap_or_default().split('&').map(pair).collect();
    pairs.sort();
    pairs
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn encode(text: &str, kept: &str) -> String {
    let encode = |it: char| match it.is_ascii_alphanumeric() || "-._~".contains(it) || kept.contains(it) {
        true => it.to_string(),
        false => utf8_percent_encode(it.encode_utf8(&mut [0; 4]), NON_ALPHANUMERIC).to_string(),
    };
    text.chars().map(encode).collect()
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(byte).collect()
}
