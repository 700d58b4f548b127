//! **A double**, made by us, of Google's front end, which is between what pushes and a service: it hands on each push
//! of the emulator as it came, and remembers what was answered, since nothing tells what the emulator still has.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use isobar::{Body, Result};
use parking_lot::Mutex;
use serde_json::Value;

use crate::front::{Front, forward, listen, serve};

/// Subscription and id of a message.
pub(super) type Pushed = (String, String);

/// What hands pushes on.
#[derive(Debug, Default)]
pub(super) struct Pushes {
    url: String,
    /// The service, once it listens.
    service: Mutex<String>,
    /// The status of the last answer, and how often there was one.
    answers: Mutex<BTreeMap<Pushed, (StatusCode, u32)>>,
}

impl Pushes {
    pub(super) async fn start() -> Result<Arc<Self>> {
        let (listener, url) = listen().await?;
        let pushes = Arc::new(Self { url, ..Self::default() });
        serve(listener, Arc::clone(&pushes));
        Ok(pushes)
    }

    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    /// From now on pushes go there.
    pub(super) fn lead_to(&self, service: String) {
        *self.service.lock() = service;
    }

    /// Is the service done with it?
    pub(super) fn is_done(&self, pushed: &Pushed) -> bool {
        self.answers.lock().get(pushed).is_some_and(|(status, _)| status.is_success())
    }

    /// How many pushes there were of one message, at the most.
    pub(super) fn most(&self) -> u32 {
        self.answers.lock().values().map(|(_, count)| *count).max().unwrap_or(0)
    }
}

#[async_trait]
impl Front for Pushes {
    async fn pass(&self, parts: Parts, body: Bytes) -> Result<Response<Body>> {
        let (pushed, service) = (pushed(&body), self.service.lock().clone());
        // Where nobody listens Google's front end answers 503.
        let status = match forward(&service, &parts, body).await {
            Ok(answer) => answer.status(),
            Err(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let mut answers = self.answers.lock();
        let (last, count) = answers.entry(pushed).or_insert((status, 0));
        (*last, *count) = (status, *count + 1);
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = status;
        Ok(answer)
    }
}

fn pushed(body: &[u8]) -> Pushed {
    let told: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned();
    (text(&told["subscription"]), text(&told["message"]["messageId"]))
}
