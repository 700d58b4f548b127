//! The public keys of Google's tokens: fetched at first use, cached, and fetched again for an unknown key id, at most
//! once a minute.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::header::CACHE_CONTROL;
use http::{HeaderMap, Request};
use isobar_abstraction::{Error, Result};
use isobar_rest::{Client, SystemClock, Unsigned};
use object_store::PutPayload;
use parking_lot::Mutex;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;

use crate::State;

/// The minimum time between two fetches.
const MIN_FETCH_INTERVAL: Duration = Duration::from_secs(60);

/// The maximum time that a call waits for keys. The fetch continues for later calls.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// The lifetime of keys without a `max-age`, and its bounds.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(3_600);
const MIN_LIFETIME: Duration = Duration::from_secs(300);
const MAX_LIFETIME: Duration = Duration::from_secs(86_400);

/// A public key for RS256.
#[derive(Debug)]
pub(super) struct Key(RsaPublicKeyComponents<Vec<u8>>);

impl Key {
    pub(super) fn verify(&self, text: &[u8], signature: &[u8]) -> std::result::Result<(), ring::error::Unspecified> {
        self.0.verify(&RSA_PKCS1_2048_8192_SHA256, text, signature)
    }
}

/// The cache of keys, by key id.
#[derive(Debug)]
pub(super) struct Keys {
    url: String,
    client: Client,
    fetching: Arc<tokio::sync::Mutex<()>>,
    cache: Mutex<Cache>,
}

#[derive(Debug, Default)]
struct Cache {
    keys: HashMap<String, Arc<Key>>,
    /// When the keys expire.
    expires: Option<SystemTime>,
    /// When the last fetch began.
    last_fetch: Option<SystemTime>,
}

impl Keys {
    pub(super) fn new(state: &State) -> Self {
        // The expiry of tokens and of keys follows the real time.
        let client = Client::new(state.config.client.clone(), Arc::new(SystemClock));
        let url = state.config.run.keys.clone();
        Self { url, client, fetching: Arc::default(), cache: Mutex::default() }
    }

    /// The key with this id.
    pub(super) async fn find(self: &Arc<Self>, id: &str, now: SystemTime) -> Option<Arc<Key>> {
        if let Some(key) = self.fresh(id, now) {
            return Some(key);
        }
        let refresh = Arc::clone(self).refresh(id.to_owned(), now);
        // A separate task, so that a caller that disconnects does not cancel the fetch for others.
        match timeout(MAX_WAIT, tokio::spawn(refresh)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the fetch of token keys failed; the cached keys are used"),
            Err(_) => tracing::warn!("the keys of tokens were not fetched in time; the cached keys are used"),
        }
        self.cache.lock().keys.get(id).cloned()
    }

    /// Whether any key has been fetched.
    pub(super) fn are_loaded(&self) -> bool {
        !self.cache.lock().keys.is_empty()
    }

    /// Waits for a running fetch, and fetches if the last one is long enough ago.
    async fn refresh(self: Arc<Self>, id: String, now: SystemTime) {
        let _guard = self.fetching.lock().await;
        if self.fresh(&id, now).is_some() || !self.may_fetch(now) {
            return;
        }
        match self.fetch().await {
            Ok((keys, lifetime)) => {
                let mut cache = self.cache.lock();
                (cache.keys, cache.expires) = (keys, now.checked_add(lifetime));
            }
            Err(error) => tracing::error!(%error, "the keys of tokens cannot be fetched; the cached keys are used"),
        }
    }

    /// The cached key, if the keys have not expired.
    fn fresh(&self, id: &str, now: SystemTime) -> Option<Arc<Key>> {
        let cache = self.cache.lock();
        cache.keys.get(id).filter(|_| cache.expires.is_some_and(|expires| now < expires)).cloned()
    }

    fn may_fetch(&self, now: SystemTime) -> bool {
        let mut cache = self.cache.lock();
        let recent =
            cache.last_fetch.is_some_and(|last| now.duration_since(last).is_ok_and(|age| age < MIN_FETCH_INTERVAL));
        if !recent {
            cache.last_fetch = Some(now);
        }
        !recent
    }

    async fn fetch(&self) -> Result<(HashMap<String, Arc<Key>>, Duration)> {
        let request = Request::get(&self.url).body(PutPayload::new());
        let request =
            request.map_err(|_| Error::config("the URL of the keys is malformed: check ISOBAR_EVENT_KEYS"))?;
        let answer = self.client.call_unsigned("GetKeys", request, Unsigned::default()).await??;
        let keys = parse(answer.body()).ok_or_else(|| Error::internal("the response with the keys is not a JWKS"))?;
        Ok((keys, lifetime(answer.headers())))
    }
}

/// Reads `{"keys": [{"kty": "RSA", "kid", "n", "e"}]}`, without keys of other types. `None` if there is no key.
fn parse(body: &[u8]) -> Option<HashMap<String, Arc<Key>>> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    #[derive(Deserialize)]
    struct Jwk {
        kty: String,
        kid: String,
        n: String,
        e: String,
    }
    let Set { keys } = serde_json::from_slice(body).ok()?;
    let key = |jwk: Value| {
        let Jwk { kty, kid, n, e } = serde_json::from_value(jwk).ok()?;
        let part = |part: String| BASE64_URL_SAFE_NO_PAD.decode(part).ok();
        let key = Key(RsaPublicKeyComponents { n: part(n)?, e: part(e)? });
        (kty == "RSA").then(|| (kid, Arc::new(key)))
    };
    let keys: HashMap<_, _> = keys.into_iter().filter_map(key).collect();
    (!keys.is_empty()).then_some(keys)
}

fn lifetime(headers: &HeaderMap) -> Duration {
    let text = headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let seconds = text.split(',').find_map(|word| word.trim().strip_prefix("max-age=")?.parse().ok());
    seconds.map_or(DEFAULT_LIFETIME, Duration::from_secs).clamp(MIN_LIFETIME, MAX_LIFETIME)
}
