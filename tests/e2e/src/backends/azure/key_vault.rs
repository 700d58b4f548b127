//! **A double** of Key Vault, made by isobar: no emulator of it runs here.
//!
//! It answers the requests for secrets that Azure's own library for Python makes, and checks what the service checks:
//! the token with its audience, the version of the protocol, names and states. A deleted secret is kept, and its name
//! cannot be used until it is purged. Sources: <https://learn.microsoft.com/rest/api/keyvault/secrets>,
//! <https://learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses>.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use isobar::{Body, Result};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::emulators::identity;
use crate::server::{Respond, response_of, start};

/// The service in tokens.
const RESOURCE: &str = "https://vault.azure.net";

/// The versions of the protocol, as Azure's library knows them.
const VERSIONS: [&str; 9] = ["2026-04-01", "2025-07-01", "7.6", "7.5", "7.4", "7.3", "7.2", "7.1", "7.0"];

/// The largest value, in bytes. <https://learn.microsoft.com/azure/key-vault/secrets/about-secrets>
const MOST_BYTES: usize = 25_600;

/// A double that runs as long as the trial's runtime lives.
#[derive(Debug, Clone)]
pub struct KeyVault(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    url: String,
    /// By name in lower case: names that differ in their case only are the same.
    secrets: Mutex<BTreeMap<String, Secret>>,
    fault: Mutex<Option<Fault>>,
}

/// What the vault does instead of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The identity has no role.
    Denied,
    /// No request is answered.
    Hangs,
}

#[derive(Debug, Default)]
struct Secret {
    versions: Vec<Version>,
    is_deleted: bool,
}

struct Version {
    value: String,
    is_enabled: bool,
}

// A trial searches `Debug` for values.
impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Status, code and message of an error, and the inner code, which may be empty.
type Rejection = (u16, &'static str, String, &'static str);

impl KeyVault {
    /// Starts an empty one on a free port.
    pub async fn start() -> Result<Self> {
        let new = |url| Shared { url, secrets: Mutex::default(), fault: Mutex::default() };
        Ok(Self(start(new).await?))
    }

    /// Its URL, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// The value of `ISOBAR_SECRETS`.
    pub fn secrets(&self) -> String {
        format!("keyvault://double?endpoint={}", self.0.url)
    }

    /// Sets or ends a fault.
    pub fn fail(&self, fault: Option<Fault>) {
        *self.0.fault.lock() = fault;
    }

    /// Sets a value; `None` deletes and purges it.
    pub fn set(&self, key: &str, value: Option<&str>) {
        let mut secrets = self.0.secrets.lock();
        match value {
            Some(value) => secrets.entry(key.to_owned()).or_default().add(value.to_owned(), true),
            None => drop(secrets.remove(key)),
        }
    }
}

impl Secret {
    fn add(&mut self, value: String, is_enabled: bool) {
        self.versions.push(Version { value, is_enabled });
    }

    /// The number of a version in a path; without one, of the current version.
    fn index(&self, version: &str) -> Option<usize> {
        let number = if version.is_empty() { self.versions.len() } else { usize::from_str_radix(version, 16).ok()? };
        number.checked_sub(1).filter(|index| *index < self.versions.len())
    }

    /// A version as the service describes it.
    fn json(&self, url: &str, name: &str, index: usize) -> Value {
        let version = self.versions.get(index);
        let attributes = json!({
            "enabled": version.is_some_and(|version| version.is_enabled), "created": 1_767_225_600,
            "updated": 1_767_225_600, "recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90,
        });
        let id = format!("{url}/secrets/{name}/{:032x}", index + 1);
        json!({"id": id, "attributes": attributes, "tags": {}})
    }
}

#[async_trait]
impl Respond for Shared {
    async fn respond(&self, parts: Parts, body: Bytes) -> Result<Response<Body>> {
        let fault = *self.fault.lock();
        if fault == Some(Fault::Hangs) {
            std::future::pending::<()>().await;
        }
        let token = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let checked = token.ok_or("AKV10000: Request is missing a Bearer or PoP token.".to_owned());
        if let Err(reason) = checked.and_then(|token| identity::check(token, RESOURCE)) {
            return Ok(challenge(&reason));
        }
        let body = serde_json::from_slice(&body).unwrap_or_default();
        Ok(self.answer(&parts, &body, fault).unwrap_or_else(rejected))
    }
}

impl Shared {
    fn answer(
        &self,
        parts: &Parts,
        body: &Value,
        fault: Option<Fault>,
    ) -> std::result::Result<Response<Body>, Rejection> {
        let query: HashMap<_, _> =
            url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        let version = query.get("api-version").map(String::as_str).unwrap_or_default();
        if !VERSIONS.contains(&version) {
            return Err((400, "BadParameter", format!("The specified version ({version}) is not recognized."), ""));
        }
        let path: Vec<&str> = parts.uri.path().trim_matches('/').split('/').collect();
        let (collection, name, version) = match path[..] {
            [collection @ ("secrets" | "deletedsecrets"), name] => (collection, name, ""),
            ["secrets", name, version] => ("secrets", name, version),
            _ => return Err((404, "", String::new(), "")),
        };
        let fits = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !fits || !(1..=127).contains(&name.len()) {
            return Err((400, "BadParameter", format!("The request URI contains an invalid name: {name}"), ""));
        }
        if fault == Some(Fault::Denied) {
            let why = "Caller is not authorized to perform action on resource.";
            return Err((403, "Forbidden", why.to_owned(), "ForbiddenByRbac"));
        }
        let at = &Address { url: &self.url, name, version };
        let mut secrets = self.secrets.lock();
        match (collection, &parts.method) {
            ("secrets", &Method::PUT) => at.put(secrets.entry(name.to_lowercase()).or_default(), body),
            ("deletedsecrets", &Method::DELETE) => {
                at.existing(&mut secrets, true)?;
                secrets.remove(&name.to_lowercase());
                Ok(response_of(StatusCode::NO_CONTENT, ""))
            }
            ("deletedsecrets", &Method::GET) => Ok(at.deleted(at.existing(&mut secrets, true)?)),
            ("secrets", &Method::GET) => at.get(at.existing(&mut secrets, false)?),
            ("secrets", &Method::PATCH) => at.change(at.existing(&mut secrets, false)?, body),
            ("secrets", &Method::DELETE) => {
                let secret = at.existing(&mut secrets, false)?;
                secret.is_deleted = true;
                Ok(at.deleted(secret))
            }
            _ => Err((405, "", String::new(), "")),
        }
    }
}

/// The path of a request.
struct Address<'a> {
    url: &'a str,
    name: &'a str,
    version: &'a str,
}

type Answer = std::result::Result<Response<Body>, Rejection>;

impl Address<'_> {
    fn existing<'s>(
        &self,
        secrets: &'s mut BTreeMap<String, Secret>,
        is_deleted: bool,
    ) -> std::result::Result<&'s mut Secret, Rejection> {
        let found = secrets.get_mut(&self.name.to_lowercase());
        found.filter(|secret| secret.is_deleted == is_deleted).ok_or_else(|| self.missing())
    }

    fn missing(&self) -> Rejection {
        let name = self.name;
        (404, "SecretNotFound", format!("A secret with (name/id) {name} was not found in this key vault."), "")
    }

    fn put(&self, secret: &mut Secret, body: &Value) -> Answer {
        let value = body["value"].as_str().unwrap_or_default();
        if secret.is_deleted {
            let why = format!("Secret {} is currently in a deleted but recoverable state", self.name);
            return Err((409, "Conflict", why, "ObjectIsDeletedButRecoverable"));
        }
        if value.len() > MOST_BYTES {
            return Err((400, "BadParameter", "The value is too large.".to_owned(), ""));
        }
        secret.add(value.to_owned(), body["attributes"]["enabled"].as_bool().unwrap_or(true));
        Ok(self.with_value(secret, secret.versions.len() - 1))
    }

    fn get(&self, secret: &Secret) -> Answer {
        let index = secret.index(self.version).ok_or_else(|| self.missing())?;
        match secret.versions.get(index) {
            Some(version) if version.is_enabled => Ok(self.with_value(secret, index)),
            _ => {
                let why = "Operation get is not allowed on a disabled secret.";
                Err((403, "Forbidden", why.to_owned(), "SecretDisabled"))
            }
        }
    }

    fn change(&self, secret: &mut Secret, body: &Value) -> Answer {
        let index = secret.index(self.version).ok_or_else(|| self.missing())?;
        if let (Some(version), Some(enabled)) =
            (secret.versions.get_mut(index), body["attributes"]["enabled"].as_bool())
        {
            version.is_enabled = enabled;
        }
        Ok(ok(&secret.json(self.url, self.name, index)))
    }

    fn with_value(&self, secret: &Secret, index: usize) -> Response<Body> {
        let mut answer = secret.json(self.url, self.name, index);
        answer["value"] = secret.versions.get(index).map(|version| version.value.as_str()).into();
        ok(&answer)
    }

    fn deleted(&self, secret: &Secret) -> Response<Body> {
        let mut answer = secret.json(self.url, self.name, secret.versions.len().saturating_sub(1));
        answer["recoveryId"] = format!("{}/deletedsecrets/{}", self.url, self.name).into();
        answer["deletedDate"] = 1_767_225_600.into();
        answer["scheduledPurgeDate"] = 1_775_001_600.into();
        ok(&answer)
    }
}

fn ok(answer: &Value) -> Response<Body> {
    json_of(StatusCode::OK, answer)
}

fn json_of(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = response_of(status, body.to_string());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

fn rejected((status, code, message, inner): Rejection) -> Response<Body> {
    let mut error = json!({"code": code, "message": message});
    if !inner.is_empty() {
        error["innererror"] = json!({"code": inner});
    }
    json_of(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), &json!({"error": error}))
}

/// The response to a request without a valid token, from which a client learns what token to send.
fn challenge(reason: &str) -> Response<Body> {
    let mut response = rejected((401, "Unauthorized", reason.to_owned(), ""));
    let tenant = identity::TENANT;
    let text = format!("Bearer authorization=\"https://login.windows.net/{tenant}\", resource=\"{RESOURCE}\"");
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().insert(WWW_AUTHENTICATE, value);
    }
    response
}
