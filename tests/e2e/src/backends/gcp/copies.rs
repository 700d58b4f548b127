//! What fake-gcs-server leaves undone, before it: a copy that must create refuses to overwrite.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use isobar::{Body, Result};
use tokio::sync::Mutex;

use crate::backends::send;
use crate::front::{Front, forward, listen, not_a_request, serve};

/// A way to fake-gcs-server.
#[derive(Debug)]
pub(super) struct Copies {
    emulator: String,
    /// Held from the look at the target until the copy is there.
    one: Mutex<()>,
}

impl Copies {
    /// Starts it. Returns its URL, without a slash at the end.
    pub(super) async fn start(emulator: &str) -> Result<String> {
        let (listener, url) = listen().await?;
        serve(listener, Arc::new(Self { emulator: emulator.to_owned(), one: Mutex::default() }));
        Ok(url)
    }

    async fn is_there(&self, target: &str) -> Result<bool> {
        let request = Request::get(format!("{}/storage/v1/{target}", self.emulator)).body(Body::empty());
        Ok(send(request.map_err(not_a_request)?).await?.status.is_success())
    }
}

#[async_trait]
impl Front for Copies {
    /// <https://cloud.google.com/storage/docs/json_api/v1/objects/rewrite>
    async fn pass(&self, parts: Parts, body: Bytes) -> Result<Response<Body>> {
        let creates = parts.uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "ifGenerationMatch=0"));
        let Some((_, target)) = parts.uri.path().split_once("/rewriteTo/").filter(|_| creates) else {
            return forward(&self.emulator, &parts, body).await;
        };
        let _one = self.one.lock().await;
        if self.is_there(target).await? {
            let refused = r#"{"error": {"code": 412, "message": "At least one of the pre-conditions you specified did not hold.", "errors": [{"reason": "conditionNotMet"}]}}"#;
            let mut refused = Response::new(Body::from(refused));
            *refused.status_mut() = StatusCode::PRECONDITION_FAILED;
            return Ok(refused);
        }
        forward(&self.emulator, &parts, body).await
    }
}
