//! The keys that Google signs tokens with: fetched at first use, kept, and fetched anew for a key that is not
//! known, never more often than once a minute.

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

/// Shortest time between two questions.
const PAUSE: Duration = Duration::from_secs(60);

/// The longest that a call waits for keys. They may come later, for others.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long keys are good if nobody says so, and the least and the most of what is believed.
const USUAL: Duration = Duration::from_secs(3_600);
const LEAST: Duration = Duration::from_secs(300);
const MOST: Duration = Duration::from_secs(86_400);

/// A public key for RS256.
#[derive(Debug)]
pub(super) struct Key(RsaPublicKeyComponents<Vec<u8>>);

impl Key {
    pub(super) fn verify(&self, text: &[u8], signature: &[u8]) -> std::result::Result<(), ring::error::Unspecified> {
        self.0.verify(&RSA_PKCS1_2048_8192_SHA256, text, signature)
    }
}

/// The keys, by their ids.
#[derive(Debug)]
pub(super) struct Keys {
    url: String,
    client: Client,
    flight: Arc<tokio::sync::Mutex<()>>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    keys: HashMap<String, Arc<Key>>,
    /// When they are to be fetched anew.
    renew: Option<SystemTime>,
    /// When they were asked for last.
    asked: Option<SystemTime>,
}

impl Keys {
    pub(super) fn new(state: &State) -> Self {
        // Tokens go by the machine's time, and so does the waiting for their keys.
        let client = Client::new(state.config.client.clone(), Arc::new(SystemClock));
        let url = state.config.run.keys.clone();
        Self { url, client, flight: Arc::default(), held: Mutex::default() }
    }

    /// The key of this id.
    pub(super) async fn find(self: &Arc<Self>, id: &str, now: SystemTime) -> Option<Arc<Key>> {
        if let Some(key) = self.fresh(id, now) {
            return Some(key);
        }
        let renewed = Arc::clone(self).renewed(id.to_owned(), now);
        // A task of its own: a caller who hangs up does not end the question for everybody.
        match timeout(PATIENCE, tokio::spawn(renewed)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the renewal of token keys broke off; those at hand are used"),
            Err(_) => tracing::warn!("the keys of tokens are long in coming; those at hand are used"),
        }
        self.held.lock().keys.get(id).cloned()
    }

    /// Has any key ever come?
    pub(super) fn are_at_hand(&self) -> bool {
        !self.held.lock().keys.is_empty()
    }

    /// Waits for whoever asks already, and asks where nobody did for a while.
    async fn renewed(self: Arc<Self>, id: String, now: SystemTime) {
        let _flight = self.flight.lock().await;
        if self.fresh(&id, now).is_some() || !self.may_ask(now) {
            return;
        }
        match self.fetch().await {
            Ok((keys, good_for)) => {
                let mut held = self.held.lock();
                (held.keys, held.renew) = (keys, now.checked_add(good_for));
            }
            Err(error) => tracing::error!(%error, "the keys of tokens cannot be fetched; those at hand are used"),
        }
    }

    /// A key that is known, if the keys are not to be fetched anew.
    fn fresh(&self, id: &str, now: SystemTime) -> Option<Arc<Key>> {
        let held = self.held.lock();
        held.keys.get(id).filter(|_| held.renew.is_some_and(|renew| now < renew)).cloned()
    }

    fn may_ask(&self, now: SystemTime) -> bool {
        let mut held = self.held.lock();
        let recent = held.asked.is_some_and(|asked| now.duration_since(asked).is_ok_and(|age| age < PAUSE));
        if !recent {
            held.asked = Some(now);
        }
        !recent
    }

    async fn fetch(&self) -> Result<(HashMap<String, Arc<Key>>, Duration)> {
        let request = Request::get(&self.url).body(PutPayload::new());
        let request = request.map_err(|_| Error::config("the URL of the keys is malformed"))?;
        let answer = self.client.call_unsigned("GetKeys", request, Unsigned::default()).await??;
        let keys = parse(answer.body()).ok_or_else(|| Error::internal("the keys are not answered with a JWKS"))?;
        Ok((keys, good_for(answer.headers())))
    }
}

/// `{"keys": [{"kty": "RSA", "kid", "n", "e"}]}`; keys of other kinds are left out. `None` for what has no key.
fn parse(body: &[u8]) -> Option<HashMap<String, Arc<Key>>> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    #[derive(Deserialize)]
    struct Told {
        kty: String,
        kid: String,
        n: String,
        e: String,
    }
    let Set { keys } = serde_json::from_slice(body).ok()?;
    let key = |told: Value| {
        let Told { kty, kid, n, e } = serde_json::from_value(told).ok()?;
        let part = |part: String| BASE64_URL_SAFE_NO_PAD.decode(part).ok();
        let key = Key(RsaPublicKeyComponents { n: part(n)?, e: part(e)? });
        (kty == "RSA").then(|| (kid, Arc::new(key)))
    };
    let keys: HashMap<_, _> = keys.into_iter().filter_map(key).collect();
    (!keys.is_empty()).then_some(keys)
}

fn good_for(headers: &HeaderMap) -> Duration {
    let text = headers.get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let seconds = text.split(',').find_map(|word| word.trim().strip_prefix("max-age=")?.parse().ok());
    seconds.map_or(USUAL, Duration::from_secs).clamp(LEAST, MOST)
}
