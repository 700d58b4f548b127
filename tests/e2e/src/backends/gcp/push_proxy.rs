//! **A double**, made by isobar, of Google's front end, which is between Pub/Sub and a service. It passes each push of the
//! emulator unchanged, and records the response, since the emulator does not report which messages it still has.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use isobar::{Body, Result};
use parking_lot::Mutex;
use serde_json::Value;

use crate::server::{Respond, forward, response_of, start};

/// Subscription and id of a message.
pub(super) type MessageName = (String, String);

/// The proxy.
#[derive(Debug)]
pub(super) struct PushProxy {
    /// Without a slash at the end.
    pub(super) url: String,
    service: String,
    /// The status of the last response, and the number of responses.
    responses: Mutex<BTreeMap<MessageName, (StatusCode, u32)>>,
}

impl PushProxy {
    pub(super) async fn start(service: &str) -> Result<Arc<Self>> {
        start(|url| Self { url, service: service.to_owned(), responses: Mutex::default() }).await
    }

    /// Whether the service has acknowledged a message.
    pub(super) fn is_done(&self, message: &MessageName) -> bool {
        self.responses.lock().get(message).is_some_and(|(status, _)| status.is_success())
    }

    /// The largest number of pushes of one message.
    pub(super) fn most(&self) -> u32 {
        self.responses.lock().values().map(|(_, count)| *count).max().unwrap_or(0)
    }
}

#[async_trait]
impl Respond for PushProxy {
    async fn respond(&self, parts: Parts, body: Bytes) -> Result<Response<Body>> {
        let message = message_name(&body);
        // Google's front end answers 503 where the service does not listen.
        let status = match forward(&self.service, &parts, body).await {
            Ok(response) => response.status(),
            Err(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let mut responses = self.responses.lock();
        let (last, count) = responses.entry(message).or_insert((status, 0));
        (*last, *count) = (status, *count + 1);
        Ok(response_of(status, Body::empty()))
    }
}

fn message_name(body: &[u8]) -> MessageName {
    let push: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned();
    (text(&push["subscription"]), text(&push["message"]["messageId"]))
}
