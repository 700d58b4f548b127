//! A double of the endpoint from which a Functions app receives the tokens of its managed identity.
//!
//! Source: <https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference>. Its
//! tokens are signed with a key that the double of Service Bus knows. Azurite reads their claims and checks no signature.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use isobar::clock::to_millis;
use isobar::{Body, Result};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::server::{Respond, response_of, start};

/// The tenant in the tokens.
pub(crate) const TENANT: &str = "ab1f708d-50f6-404c-a006-d71b2ac7a606";

/// The object id in the tokens.
const OBJECT_ID: &str = "3a1c2f50-1f0e-4a57-9f9b-5c3d2a8f7b10";

/// The key that signs tokens: by HS256, where Entra uses RS256.
const SIGNING_KEY: &[u8] = b"of the double of an issuer";

/// The endpoint. It ends with the runtime that started it.
#[derive(Debug, Clone)]
pub struct Identity(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    url: String,
    header: String,
    issued: Issued,
    audiences: Mutex<Vec<String>>,
}

/// The tokens that the endpoint issues.
#[derive(Debug, Clone, Copy)]
pub struct Issued {
    /// The time for which a token is valid.
    pub life: Duration,
    /// The audience, if another one than the requested.
    pub audience: Option<&'static str>,
    /// Are the tokens signed with another key than the issuer's?
    pub forged: bool,
}

impl Default for Issued {
    /// Valid tokens, for an hour.
    fn default() -> Self {
        Self { life: Duration::from_secs(3_600), audience: None, forged: false }
    }
}

impl Identity {
    /// Listens on a free port of the loopback, and issues tokens.
    pub async fn start(issued: Issued) -> Result<Self> {
        let header = "known-to-the-app-alone".to_owned();
        let new = |url| Inner { url: format!("{url}/msi/token"), header, issued, audiences: Mutex::default() };
        Ok(Self(start(new).await?))
    }

    /// The variables by which Functions announces the endpoint to its app.
    pub fn variables(&self) -> [(&'static str, &str); 2] {
        [("IDENTITY_ENDPOINT", &self.0.url), ("IDENTITY_HEADER", &self.0.header)]
    }

    /// The audiences of all issued tokens, in the order of the requests.
    pub fn audiences(&self) -> Vec<String> {
        self.0.audiences.lock().clone()
    }
}

#[async_trait]
impl Respond for Inner {
    async fn respond(&self, parts: Parts, _: Bytes) -> Result<Response<Body>> {
        let query: HashMap<_, _> = url_pairs(parts.uri.query().unwrap_or_default());
        let known = parts.method == Method::GET
            && parts.uri.path() == "/msi/token"
            && parts.headers.get("x-identity-header").is_some_and(|value| *value == *self.header);
        let (true, Some("2019-08-01"), Some(audience)) =
            (known, query.get("api-version").map(String::as_str), query.get("resource"))
        else {
            let error = json!({"statusCode": 401, "message": "another header, another version, or no resource"});
            return Ok(response_of(StatusCode::UNAUTHORIZED, error.to_string()));
        };
        self.audiences.lock().push(audience.clone());
        let now = to_millis(SystemTime::now()) / 1_000;
        let Issued { life, audience: of, forged } = self.issued;
        let expires = now + life.as_secs();
        let key = if forged { b"another" } else { SIGNING_KEY };
        let token = token(of.unwrap_or(audience).trim_end_matches('/'), now, expires, key);
        let body = json!({
            "access_token": token, "expires_on": expires.to_string(), "resource": audience, "token_type": "Bearer",
            "client_id": "double",
        });
        Ok(Response::new(Body::from(body.to_string())))
    }
}

fn token(audience: &str, now: u64, expires: u64, key: &[u8]) -> String {
    let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({
        "aud": audience, "iss": format!("https://sts.windows.net/{TENANT}/"), "iat": now - 60, "nbf": now - 60,
        "exp": expires, "tid": TENANT, "oid": OBJECT_ID, "ver": "1.0",
    });
    let signed = format!("{}.{}", part(json!({"alg": "HS256", "typ": "JWT"})), part(claims));
    let signature = mac(&signed, key).map(|mac| BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()));
    format!("{signed}.{}", signature.unwrap_or_default())
}

fn mac(signed: &str, key: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(signed.as_bytes());
    Some(mac)
}

/// Checks a token of the double for a service, as the service does: signature, audience, time and issuer. Errors: the
/// reason of the rejection.
///
/// Source: <https://learn.microsoft.com/rest/api/servicebus/get-azure-active-directory-token>.
pub(crate) fn check(token: &str, service: &str) -> std::result::Result<(), String> {
    let claims = token.split('.').nth(1).and_then(|part| BASE64_URL_SAFE_NO_PAD.decode(part).ok());
    let claims: Option<Value> = claims.and_then(|claims| serde_json::from_slice(&claims).ok());
    let claims = claims.ok_or("MalformedToken: it is not a JWT")?;
    if !is_signed(token) {
        return Err("InvalidSignature: The token has an invalid signature.".to_owned());
    }
    if claims["aud"].as_str().unwrap_or_default().trim_end_matches('/') != service {
        return Err(format!("InvalidAudience: the token is not for {service}"));
    }
    let now = to_millis(SystemTime::now()) / 1_000;
    let (start, end) = (claims["nbf"].as_u64(), claims["exp"].as_u64());
    if start.is_none_or(|start| start > now) || end.is_none_or(|end| end <= now) {
        return Err("ExpiredToken: The token is expired.".to_owned());
    }
    if !claims["iss"].as_str().unwrap_or_default().starts_with("https://sts.windows.net/") {
        return Err("InvalidIssuer: The token has an invalid issuer.".to_owned());
    }
    Ok(())
}

/// Is the third part of a token the signature of the others, by the issuer's key?
fn is_signed(token: &str) -> bool {
    let Some((signed, signature)) = token.rsplit_once('.') else { return false };
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
    mac(signed, SIGNING_KEY).is_some_and(|mac| mac.verify_slice(&signature).is_ok())
}

fn url_pairs(query: &str) -> HashMap<String, String> {
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}
