//! Who may call a trigger: tokens that Google made out for a service account.
//!
//! A token is a JWT: signed by a key of Google's with RS256 and nothing else, issued by Google's accounts, for one
//! of our audiences and one of our service accounts, and neither old nor of the future. What is wrong with one is
//! logged and not told. A refused token costs one verification at most, and no question to Google more
//! than once a minute.
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
use crate::event::Refused;

/// How far Google's clock and ours may be apart.
const SKEW: Duration = Duration::from_secs(60);

/// A token is some 1,000 bytes; headers are 32 KB at most on Cloud Run.
const LONGEST: usize = 8_192;

/// What is in the place of the signature of a token that Cloud Run itself has checked, which is no proof: who
/// reaches the service by another way can write so.
const REMOVED: &str = "SIGNATURE_REMOVED_BY_GOOGLE";

/// Since the start no key has come.
const NO_KEYS: &str = "the keys that would verify it have not come yet";

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

/// A token in its parts, of which nothing is believed yet.
struct Token<'a> {
    key: String,
    signed: &'a str,
    signature: Vec<u8>,
    claims: &'a str,
}

impl CloudRunService {
    /// Errors: 403 where no token would do, saying which variable to set; 401 for a call without a good one.
    ///
    /// The emulator of Pub/Sub sends no tokens. Then only this machine can connect, and pages of the web and what a
    /// proxy forwards are refused; so is HTTP/1.0, which nginx speaks unless told otherwise, without a header that
    /// would show that it forwards.
    pub(super) async fn authenticate(&self, Parts { uri, headers, version, .. }: &Parts) -> Result<(), Refused> {
        let forbidden = |message: &str| Refused {
            status: StatusCode::FORBIDDEN,
            error: Error::new(ErrorKind::PermissionDenied, message),
        };
        let settings = self.settings();
        if settings.emulated {
            if *version < Version::HTTP_11 {
                return Err(forbidden(
                    "the request is of HTTP/1.0, as many proxies send; call it on this machine by HTTP/1.1",
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
            return Err(forbidden(&format!("triggers take no calls: set {}", missing.join(" and "))));
        }
        self.verify(headers).await.map_err(|why| {
            tracing::warn!(why, "a call of a trigger is refused: its token is not good");
            // Nobody knows whether it is good: it is worth another try.
            if why == NO_KEYS {
                let error = Error::new(ErrorKind::Unavailable, "tokens cannot be verified now");
                return Refused { status: StatusCode::SERVICE_UNAVAILABLE, error };
            }
            let error = Error::new(ErrorKind::Unauthenticated, "no token, or none that is good here");
            Refused { status: StatusCode::UNAUTHORIZED, error }
        })
    }

    async fn verify(&self, headers: &HeaderMap) -> Result<(), &'static str> {
        let shown = headers.get(AUTHORIZATION).ok_or("there is none")?;
        let shown = shown.to_str().ok().filter(|shown| shown.len() <= LONGEST).ok_or("it is no text, or too long")?;
        let token = Token::parse(shown)?;
        let now = SystemTime::now();
        let missing = || if self.keys.are_at_hand() { "Google has no key of this id" } else { NO_KEYS };
        let key = self.keys.find(&token.key, now).await.ok_or_else(missing)?;
        key.verify(token.signed.as_bytes(), &token.signature).map_err(|_| "its signature is wrong")?;
        let claims: Claims = decoded(token.claims).ok_or("it lacks what a token of Google's has")?;
        claims.check(self.settings(), now)
    }
}

impl<'a> Token<'a> {
    fn parse(shown: &'a str) -> Result<Self, &'static str> {
        let (scheme, token) = shown.split_once(' ').ok_or("it is no bearer token")?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err("it is no bearer token");
        }
        let malformed = "it is no JWT";
        let (signed, signature) = token.trim().rsplit_once('.').ok_or(malformed)?;
        let (header, claims) = signed.split_once('.').filter(|(_, claims)| !claims.contains('.')).ok_or(malformed)?;
        let Header { alg, kid } = decoded(header).ok_or(malformed)?;
        if alg != "RS256" {
            return Err("it is not signed with RS256");
        }
        if signature == REMOVED {
            return Err("Cloud Run has checked it and taken its signature away: allow unauthenticated invocations");
        }
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| malformed)?;
        Ok(Self { key: kid, signed, signature, claims })
    }
}

impl Claims {
    fn check(&self, settings: &Settings, now: SystemTime) -> Result<(), &'static str> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let audience = |audience: &str| settings.audiences.iter().any(|ours| ours == audience);
        let for_us = match &self.aud {
            Value::String(one) => audience(one),
            Value::Array(many) => many.iter().any(|one| one.as_str().is_some_and(audience)),
            _ => false,
        };
        let email = self.email.as_deref().unwrap_or_default();
        match () {
            () if !ISSUERS.contains(&self.iss.as_str()) => Err("Google did not issue it"),
            () if !for_us => Err("it is for another audience than ISOBAR_EVENT_AUDIENCE names"),
            () if self.exp.saturating_add(SKEW.as_secs()) <= now => Err("it has expired"),
            () if self.iat > now.saturating_add(SKEW.as_secs()) => Err("it is of the future"),
            () if !self.email_verified || !settings.accounts.iter().any(|ours| ours == email) => {
                Err("it is for another service account than ISOBAR_EVENT_SERVICE_ACCOUNT names")
            }
            () => Ok(()),
        }
    }
}

fn decoded<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
