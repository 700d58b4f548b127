//! A proxy before fake-gcs-server, which ignores the condition of a copy: one that must create an object does not
//! overwrite.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use isobar::{Body, Result};
use tokio::sync::Mutex;

use crate::backends::send;
use crate::server::{Respond, forward, not_a_request, response_of, start};

/// The proxy.
#[derive(Debug)]
pub(super) struct Copies {
    /// Without a slash at the end.
    pub(super) url: String,
    emulator: String,
    /// Locked from the check of the target until the copy exists.
    one: Mutex<()>,
}

impl Copies {
    pub(super) async fn start(emulator: &str) -> Result<Arc<Self>> {
        start(|url| Self { url, emulator: emulator.to_owned(), one: Mutex::default() }).await
    }

    async fn exists(&self, target: &str) -> Result<bool> {
        let request = Request::get(format!("{}/storage/v1/{target}", self.emulator)).body(Body::empty());
        Ok(send(request.map_err(not_a_request)?).await?.status.is_success())
    }
}

#[async_trait]
impl Respond for Copies {
    /// <https://cloud.google.com/storage/docs/json_api/v1/objects/rewrite>
    async fn respond(&self, parts: Parts, body: Bytes) -> Result<Response<Body>> {
        let creates = parts.uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "ifGenerationMatch=0"));
        let Some((_, target)) = parts.uri.path().split_once("/rewriteTo/").filter(|_| creates) else {
            return forward(&self.emulator, &parts, body).await;
        };
        let _one = self.one.lock().await;
        if self.exists(target).await? {
            let conflict = r#"{"error": {"code": 412, "message": "At least one of the pre-conditions you specified did not hold.", "errors": [{"reason": "conditionNotMet"}]}}"#;
            return Ok(response_of(StatusCode::PRECONDITION_FAILED, conflict));
        }
        forward(&self.emulator, &parts, body).await
    }
}
