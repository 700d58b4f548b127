//! **A double** of Secret Manager, made by isobar: no emulator of it runs here.
//!
//! It answers the requests that Google's own library for Python makes over REST, and checks names, states and sizes as
//! the service does. It listens without TLS, so it accepts no token: a client must not send one in clear text. Source:
//! <https://docs.cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions>.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use isobar::{Body, Result};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::server::{Respond, response_of, start};

/// The largest value, in bytes. <https://docs.cloud.google.com/secret-manager/quotas>
const MOST_BYTES: usize = 65_536;

const CREATED: &str = "2026-01-01T00:00:00Z";

/// A double that runs as long as the trial's runtime lives.
#[derive(Debug, Clone)]
pub struct SecretManager(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    url: String,
    /// The versions of secrets, by `projects/P/secrets/S`.
    secrets: Mutex<BTreeMap<String, Vec<Version>>>,
    fault: Mutex<Option<Fault>>,
}

/// What the service does instead of its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The account has no role.
    Denied,
    /// The service is not enabled in the project.
    NotEnabled,
    /// No request is answered.
    Hangs,
}

struct Version {
    data: Vec<u8>,
    state: &'static str,
}

// A trial searches `Debug` for values.
impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Status, canonical code and message of an error.
type Rejection = (u16, &'static str, String);

type Answer = std::result::Result<Value, Rejection>;

impl SecretManager {
    /// Starts an empty one on a free port.
    pub async fn start() -> Result<Self> {
        let new = |url| Shared { url, secrets: Mutex::default(), fault: Mutex::default() };
        Ok(Self(start(new).await?))
    }

    /// Its URL, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// The value of `ISOBAR_SECRETS`, for the project of the provider.
    pub fn secrets(&self) -> String {
        format!("gsm://?endpoint={}", self.0.url)
    }

    /// Sets or ends a fault.
    pub fn fail(&self, fault: Option<Fault>) {
        *self.0.fault.lock() = fault;
    }

    /// Sets a value in a project; `None` deletes the secret.
    pub fn set(&self, project: &str, key: &str, value: Option<&str>) {
        let (mut secrets, name) = (self.0.secrets.lock(), format!("projects/{project}/secrets/{key}"));
        match value {
            Some(value) => secrets.entry(name).or_default().push(Version::new(value.as_bytes().to_vec())),
            None => drop(secrets.remove(&name)),
        }
    }
}

impl Version {
    fn new(data: Vec<u8>) -> Self {
        Self { data, state: "ENABLED" }
    }

    fn json(&self, secret: &str, number: usize) -> Value {
        json!({"name": format!("{secret}/versions/{number}"), "createTime": CREATED, "state": self.state})
    }
}

#[async_trait]
impl Respond for Shared {
    async fn respond(&self, parts: Parts, body: Bytes) -> Result<Response<Body>> {
        let fault = *self.fault.lock();
        if fault == Some(Fault::Hangs) {
            std::future::pending::<()>().await;
        }
        let body = serde_json::from_slice(&body).unwrap_or_default();
        let (status, answer) = match self.answer(&parts, &body, fault) {
            Ok(answer) => (200, answer),
            Err((status, code, message)) => {
                let mut error = json!({"code": status, "message": message, "status": code});
                if fault == Some(Fault::NotEnabled) {
                    error["details"] =
                        json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED"}]);
                }
                (status, json!({"error": error}))
            }
        };
        let mut response = response_of(StatusCode::from_u16(status).unwrap_or_default(), answer.to_string());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=UTF-8"));
        Ok(response)
    }
}

impl Shared {
    fn answer(&self, parts: &Parts, body: &Value, fault: Option<Fault>) -> Answer {
        if parts.headers.contains_key(AUTHORIZATION) {
            return Err((401, "UNAUTHENTICATED", "a token was sent in clear text".to_owned()));
        }
        let path = parts.uri.path().strip_prefix("/v1/").ok_or((404, "", String::new()))?;
        let (name, verb) = path.rsplit_once(':').unwrap_or((path, ""));
        let denied = |why: String| Err((403, "PERMISSION_DENIED", why));
        match fault {
            Some(Fault::Denied) => {
                return denied(format!(
                    "Permission 'secretmanager.versions.access' denied for resource '{name}' (or it may not exist)."
                ));
            }
            Some(Fault::NotEnabled) => {
                return denied(
                    "Secret Manager API has not been used in project 1 before or it is disabled.".to_owned(),
                );
            }
            _ => {}
        }
        let mut secrets = self.secrets.lock();
        let segments: Vec<&str> = name.split('/').collect();
        match (&parts.method, &segments[..], verb) {
            (&Method::POST, ["projects", _, "secrets"], "") => create(&mut secrets, name, parts.uri.query(), body),
            (&Method::DELETE, ["projects", _, "secrets", _], "") => {
                secrets.remove(name).map(|_| json!({})).ok_or_else(|| missing(name))
            }
            (&Method::POST, ["projects", _, "secrets", _], "addVersion") => {
                add(name, secrets.get_mut(name).ok_or_else(|| missing(name))?, body)
            }
            (method, ["projects", _, "secrets", _, "versions", version], verb) => {
                let (secret, _) = name.split_once("/versions/").unwrap_or_default();
                let versions = secrets.get_mut(secret).ok_or_else(|| missing(secret))?;
                let number = if *version == "latest" { versions.len() } else { version.parse().unwrap_or(0) };
                let found = number.checked_sub(1).and_then(|index| versions.get_mut(index));
                of_version(method, verb, secret, number, found.ok_or_else(|| missing(secret))?)
            }
            _ => Err((404, "NOT_FOUND", "Method not found.".to_owned())),
        }
    }
}

fn missing(secret: &str) -> Rejection {
    (404, "NOT_FOUND", format!("Secret [{secret}] not found or has no versions."))
}

fn invalid(why: &str) -> Rejection {
    (400, "INVALID_ARGUMENT", why.to_owned())
}

fn create(secrets: &mut BTreeMap<String, Vec<Version>>, parent: &str, query: Option<&str>, body: &Value) -> Answer {
    let mut pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let id = pairs.find(|(name, _)| name == "secretId").map(|(_, id)| id.into_owned()).unwrap_or_default();
    let fits = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if !fits || !(1..=255).contains(&id.len()) {
        return Err(invalid("The provided Secret ID does not match the expected format [[a-zA-Z_0-9]+]"));
    }
    if body["replication"].as_object().is_none_or(serde_json::Map::is_empty) {
        return Err(invalid("Secret.replication is required."));
    }
    let name = format!("{parent}/{id}");
    if secrets.contains_key(&name) {
        return Err((409, "ALREADY_EXISTS", format!("Secret [{name}] already exists.")));
    }
    secrets.insert(name.clone(), Vec::new());
    Ok(json!({"name": name, "replication": {"automatic": {}}, "createTime": CREATED}))
}

fn add(secret: &str, versions: &mut Vec<Version>, body: &Value) -> Answer {
    let data = BASE64_STANDARD.decode(body["payload"]["data"].as_str().unwrap_or_default());
    let data = data.map_err(|_| invalid("payload.data is not base64."))?;
    if data.is_empty() || data.len() > MOST_BYTES {
        return Err(invalid("The payload must have 1 to 65536 bytes."));
    }
    let version = Version::new(data);
    let answer = version.json(secret, versions.len() + 1);
    versions.push(version);
    Ok(answer)
}

fn of_version(method: &Method, verb: &str, secret: &str, number: usize, version: &mut Version) -> Answer {
    let in_state = |state: &str| {
        let why = format!("Secret Version [{secret}/versions/{number}] is in {state} state.");
        Err((400, "FAILED_PRECONDITION", why))
    };
    match (method, verb, version.state) {
        (&Method::GET, "access", "ENABLED") => {
            let payload = json!({"data": BASE64_STANDARD.encode(&version.data)});
            return Ok(json!({"name": format!("{secret}/versions/{number}"), "payload": payload}));
        }
        (&Method::GET, "access", state) => return in_state(state),
        (&Method::GET, "", _) => {}
        (&Method::POST, "disable" | "enable" | "destroy", "DESTROYED") => return in_state("DESTROYED"),
        (&Method::POST, "disable", _) => version.state = "DISABLED",
        (&Method::POST, "enable", _) => version.state = "ENABLED",
        (&Method::POST, "destroy", _) => (version.state, version.data) = ("DESTROYED", Vec::new()),
        _ => return Err((404, "NOT_FOUND", "Method not found.".to_owned())),
    }
    Ok(version.json(secret, number))
}
