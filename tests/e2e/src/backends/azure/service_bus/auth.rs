//! The tokens that Service Bus accepts.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{LISTENER, POLICY, Shared};
use crate::emulators::identity;

/// Why a request is rejected: the service's `Detail`.
pub(super) type Reason = String;

/// Checks the header `Authorization` of a request for `path`.
pub(super) fn check(shared: &Shared, header: Option<&str>, path: &str) -> Result<(), Reason> {
    let header = header.ok_or("MissingToken: the request has no Authorization")?;
    if let Some(token) = header.strip_prefix("Bearer ") {
        return identity::check(token, "https://servicebus.azure.net");
    }
    match header.strip_prefix("SharedAccessSignature ") {
        Some(token) => signature(shared, token, path),
        None => Err("MalformedToken: neither SharedAccessSignature nor Bearer".to_owned()),
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn signature(shared: &Shared, token: &str, path: &str) -> Result<(), Reason> {
    let mut fields: BTreeMap<&str, &str> = BTreeMap::new();
    for pair in token.split('&') {
        let (name, value) = pair.split_once('=').ok_or("MalformedToken: a part has no value")?;
        if fields.insert(name, value).is_some() || !["sr", "sig", "se", "skn"].contains(&name) {
            return Err(format!("MalformedToken: `{name}` is unknown or repeated"));
        }
    }
    let raw = |name: &str| fields.get(name).copied().ok_or(format!("MalformedToken: it has no {name}"));
    let (resource, end) = (raw("sr")?, raw("se")?);
    let policy = decoded(raw("skn")?);
    if ![POLICY, LISTENER].contains(&policy.as_str()) {
        return Err("InvalidPolicy: no policy has this name".to_owned());
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(shared.key.as_bytes()).map_err(|_| "the double's key")?;
    // The signature is of the resource as in the token, still encoded.
    mac.update(format!("{resource}\n{end}").as_bytes());
    let signature = STANDARD.decode(decoded(raw("sig")?)).map_err(|_| "MalformedToken: sig is not base64")?;
    mac.verify_slice(&signature).map_err(|_| "InvalidSignature: The token has an invalid signature.")?;
    let end: u64 = end.parse().map_err(|_| "MalformedToken: se is not a number")?;
    if end <= now() {
        return Err("ExpiredToken: The token is expired.".to_owned());
    }
    check_rights(shared, &policy, &decoded(resource), path)
}

/// Checks that a token of this policy for this resource allows a request of this path.
fn check_rights(shared: &Shared, policy: &str, resource: &str, path: &str) -> Result<(), Reason> {
    let (_, place) = resource.split_once("://").ok_or("MalformedToken: sr is not a URI")?;
    let requested = format!("{}{path}/", shared.host).to_lowercase();
    if !requested.starts_with(&format!("{}/", place.trim_end_matches('/').to_lowercase())) {
        return Err("InvalidAudience: the token is for another resource".to_owned());
    }
    match policy == LISTENER && path.ends_with("/messages") {
        true => Err("Unauthorized access. 'Send' claim(s) are required to perform this operation.".to_owned()),
        false if policy != POLICY && !path.contains("/messages") => {
            Err("Unauthorized access. 'Manage' claim(s) are required to perform this operation.".to_owned())
        }
        false => Ok(()),
    }
}

fn decoded(text: &str) -> String {
    let text = format!("x={text}");
    let mut pairs = url::form_urlencoded::parse(text.as_bytes());
    pairs.next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}
