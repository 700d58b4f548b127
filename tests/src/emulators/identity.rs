//! A stand-in of our own for the endpoint that gives a Functions app the tokens of its managed identity.
//!
//! Source: <https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference>. Its
//! tokens are signed by nobody: Azurite looks at what they say, and at no signature.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{HeaderMap, StatusCode, Uri};
use isobar::clock::to_millis;
use isobar::{Error, Result};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// The directory that the tokens say to be of.
const TENANT: &str = "ab1f708d-50f6-404c-a006-d71b2ac7a606";

/// The endpoint. It ends with the runtime that started it.
#[derive(Debug, Clone)]
pub struct Identity(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    url: String,
    header: String,
    life: Duration,
    asked: Mutex<Vec<String>>,
}

impl Identity {
    /// Listens on a free port of the loopback, and gives out tokens that are good for so long.
    pub async fn start(life: Duration) -> Result<Self> {
        let failed = |error| Error::internal("no port").with_source(error);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let url = format!("http://{}/msi/token", listener.local_addr().map_err(failed)?);
        let header = "known-to-the-app-alone".to_owned();
        let identity = Self(Arc::new(Inner { url, header, life, asked: Mutex::default() }));
        let service = Router::new().route("/msi/token", get(answer)).with_state(identity.clone());
        tokio::spawn(async move { axum::serve(listener, service).await });
        Ok(identity)
    }

    /// What Functions tells its app of it.
    pub fn variables(&self) -> [(&'static str, &str); 2] {
        [("IDENTITY_ENDPOINT", &self.0.url), ("IDENTITY_HEADER", &self.0.header)]
    }

    /// The audiences that a token was given out for, in the order in which they were asked for.
    pub fn asked(&self) -> Vec<String> {
        self.0.asked.lock().clone()
    }
}

async fn answer(State(identity): State<Identity>, headers: HeaderMap, uri: Uri) -> (StatusCode, axum::Json<Value>) {
    let query: HashMap<_, _> = url_pairs(uri.query().unwrap_or_default());
    let known = headers.get("x-identity-header").is_some_and(|value| *value == *identity.0.header);
    let (true, Some("2019-08-01"), Some(audience)) =
        (known, query.get("api-version").map(String::as_str), query.get("resource"))
    else {
        let refused = json!({"statusCode": 401, "message": "another header, another version, or no resource"});
        return (StatusCode::UNAUTHORIZED, axum::Json(refused));
    };
    identity.0.asked.lock().push(audience.clone());
    let now = to_millis(SystemTime::now()) / 1_000;
    let expires = now + identity.0.life.as_secs();
    let token = token(audience.trim_end_matches('/'), now, expires);
    let told = json!({
        "access_token": token, "expires_on": expires.to_string(), "resource": audience, "token_type": "Bearer",
        "client_id": "stand-in",
    });
    (StatusCode::OK, axum::Json(told))
}

fn token(audience: &str, now: u64, expires: u64) -> String {
    let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({
        "aud": audience, "iss": format!("https://sts.windows.net/{TENANT}/"), "iat": now - 60, "nbf": now - 60,
        "exp": expires, "tid": TENANT, "ver": "1.0",
    });
    format!("{}.{}.", part(json!({"alg": "none", "typ": "JWT"})), part(claims))
}

fn url_pairs(query: &str) -> HashMap<String, String> {
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}
