//! Authentication of calls of triggers, by OIDC tokens of Google's service accounts.
//!
//! A token is a JWT, signed with RS256 only by a key of Google, issued by Google's accounts, for a configured audience
//! and a configured service account, neither expired nor issued in the future. The reason of a rejection is logged and
//! not returned. A rejected token costs at most one verification, and Google is asked for keys at most once a minute.
//!
//! Source: <https://docs.cloud.google.com/pubsub/docs/authenticate-push-subscriptions#validate_tokens>.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, StatusCode, Version};
use isobar_abstraction::{Error, ErrorKind};
use isobar_serve::check_loopback;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::CloudRunService;
use crate::config::{ISOBAR_EVENT_AUDIENCE, ISOBAR_EVENT_SERVICE_ACCOUNT, Settings};
use crate::event::Rejection;

/// The allowed difference between Google's clock and this machine's.
const SKEW: Duration = Duration::from_secs(60);

/// The maximum size of the header. A token has about 1,000 bytes; headers have at most 32 KB on Cloud Run.
const LONGEST: usize = 8_192;

/// The replacement of the signature in a token that Cloud Run itself has verified. It proves nothing: a client that
/// reaches the service by another way can send it too.
const REMOVED: &str = "SIGNATURE_REMOVED_BY_GOOGLE";

/// The reason if no key was ever fetched.
const NO_KEYS: &str = "no keys to verify it have been fetched yet";

const ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Value,
    exp: u64,
    iat: u64,
    email: Option<String>,
    #[serde(default)]
    email_verified: bool,
}

/// The parts of a token before verification.
struct Token<'a> {
    key: String,
    signed: &'a str,
    signature: Vec<u8>,
    claims: &'a str,
}

impl CloudRunService {
    /// Errors: 403 if no token can be accepted, naming the variable to set; 401 for a call without a valid token; 503
    /// while no keys are available.
    ///
    /// The emulator of Pub/Sub sends no tokens. With it only this machine can connect, and requests from web pages or
    /// through a proxy are rejected. So is HTTP/1.0, the default of nginx as a proxy, which then adds no header that
    /// would show the proxy.
    pub(super) async fn authenticate(&self, Parts { uri, headers, version, .. }: &Parts) -> Result<(), Rejection> {
        let forbidden = |message: &str| Rejection {
            status: StatusCode::FORBIDDEN,
            error: Error::new(ErrorKind::PermissionDenied, message),
        };
        let settings = self.settings();
        if settings.emulated {
            if *version < Version::HTTP_11 {
                return Err(forbidden(
                    "the request has HTTP/1.0, the version of many proxies: call it on this machine with HTTP/1.1",
                ));
            }
            return check_loopback(uri, headers).map_err(forbidden);
        }
        let missing: Vec<_> =
            [(ISOBAR_EVENT_AUDIENCE, &settings.audiences), (ISOBAR_EVENT_SERVICE_ACCOUNT, &settings.accounts)]
                .into_iter()
                .filter(|(_, values)| values.is_empty())
                .map(|(name, _)| name)
                .collect();
        if !missing.is_empty() {
            return Err(forbidden(&format!("triggers accept no calls: set {}", missing.join(" and "))));
        }
        self.verify(headers).await.map_err(|reason| {
            tracing::warn!(reason, "a call of a trigger is rejected: its token is not valid");
            // The token may be valid, so the caller should retry.
            if reason == NO_KEYS {
                let error = Error::new(ErrorKind::Unavailable, "tokens cannot be verified now");
                return Rejection { status: StatusCode::SERVICE_UNAVAILABLE, error };
            }
            let error = Error::new(ErrorKind::Unauthenticated, "the call has no valid token");
            Rejection { status: StatusCode::UNAUTHORIZED, error }
        })
    }

    async fn verify(&self, headers: &HeaderMap) -> Result<(), &'static str> {
        let authorization = headers.get(AUTHORIZATION).ok_or("the header `authorization` is missing")?;
        let authorization = authorization
            .to_str()
            .ok()
            .filter(|authorization| authorization.len() <= LONGEST)
            .ok_or("it is not text, or too long")?;
        let token = Token::parse(authorization)?;
        let now = SystemTime::now();
        let missing = || if self.keys.are_loaded() { "Google has no key of this id" } else { NO_KEYS };
        let key = self.keys.find(&token.key, now).await.ok_or_else(missing)?;
        key.verify(token.signed.as_bytes(), &token.signature).map_err(|_| "its signature is wrong")?;
        let claims: Claims = decoded(token.claims).ok_or("it lacks a claim of Google's tokens")?;
        claims.check(self.settings(), now)
    }
}

impl<'a> Token<'a> {
    fn parse(authorization: &'a str) -> Result<Self, &'static str> {
        let (scheme, token) = authorization.split_once(' ').ok_or("it is not a bearer token")?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err("it is not a bearer token");
        }
        let malformed = "it is not a JWT";
        let (signed, signature) = token.trim().rsplit_once('.').ok_or(malformed)?;
        let (header, claims) = signed.split_once('.').filter(|(_, claims)| !claims.contains('.')).ok_or(malformed)?;
        let Header { alg, kid } = decoded(header).ok_or(malformed)?;
        if alg != "RS256" {
            return Err("it is not signed with RS256");
        }
        if signature == REMOVED {
            return Err("Cloud Run has verified it and removed its signature: allow unauthenticated invocations");
        }
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| malformed)?;
        Ok(Self { key: kid, signed, signature, claims })
    }
}

impl Claims {
    fn check(&self, settings: &Settings, now: SystemTime) -> Result<(), &'static str> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let audience = |audience: &str| settings.audiences.iter().any(|accepted| accepted == audience);
        let audience_matches = match &self.aud {
            Value::String(one) => audience(one),
            Value::Array(many) => many.iter().any(|one| one.as_str().is_some_and(audience)),
            _ => false,
        };
        let email = self.email.as_deref().unwrap_or_default();
        match () {
            () if !ISSUERS.contains(&self.iss.as_str()) => Err("Google did not issue it"),
            () if !audience_matches => Err("it is for another audience than ISOBAR_EVENT_AUDIENCE names"),
            () if self.exp.saturating_add(SKEW.as_secs()) <= now => Err("it has expired"),
            () if self.iat > now.saturating_add(SKEW.as_secs()) => Err("it was issued in the future"),
            () if !self.email_verified || !settings.accounts.iter().any(|accepted| accepted == email) => {
                Err("it is for another service account than ISOBAR_EVENT_SERVICE_ACCOUNT names")
            }
            () => Ok(()),
        }
    }
}

fn decoded<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
