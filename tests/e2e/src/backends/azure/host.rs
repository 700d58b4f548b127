//! The handler of an app: in this process, called by a double of the host; or the app's own process, which another
//! double runs.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use isobar::{Body, Result, TestResponse};
use isobar_azure::CustomHandler;
use serde_json::Value;

use super::account::SECRET;
use crate::backends::{body_of, handler_error, read, read_body, send_to};
use crate::functions_host::{Call, Files, FunctionsHost, KEY, Trigger, output, response_value};
use crate::server::not_a_request;

/// A handler, and what calls it.
#[derive(Debug)]
pub(super) enum Host {
    /// **A double**: it calls the handler, and reads its responses.
    Here { handler: CustomHandler, files: Files },
    /// **A double** that runs the app's binary.
    Process(FunctionsHost),
}

impl Host {
    /// The functions that it runs.
    pub(super) fn files(&self) -> &Files {
        match self {
            Self::Here { files, .. } => files,
            Self::Process(host) => host.files(),
        }
    }

    /// Calls a function. Returns its response. Errors: where the host counts the invocation as failed, or waits for it
    /// until its timeout.
    pub(super) async fn call(&self, call: &Call) -> Result<Value> {
        let handler = match self {
            Self::Here { handler, .. } => handler,
            Self::Process(host) => return host.call(call).await,
        };
        let request = Request::post(format!("/{}", call.function))
            .header("host", "127.0.0.1:7071")
            .header("content-type", "application/json; charset=utf-8")
            .header("x-azure-functions-invocationid", invocation())
            .header("user-agent", "Azure-Functions-Host/4.1037.0.0")
            .body(Body::from(call.payload.to_string()));
        let (parts, body) = handler.handle(request.map_err(not_a_request)?).await.into_parts();
        let response = Response::from_parts(parts, read_body(body).await?);
        if response.status().is_success() { response_value(&response) } else { Err(handler_error(response.body())) }
    }

    /// A call of a function by its name without the secret. A function that does not exist is called too: the handler
    /// reports it.
    pub(super) fn call_of(&self, plain: &str, call: impl FnOnce(Trigger<'_>) -> Call) -> Call {
        match self.files().named(plain) {
            Ok(trigger) => call(trigger),
            Err(_) => {
                let (function, null) = (format!("{plain}-{SECRET}"), &Value::Null);
                call(Trigger { function: &function, binding: null, bindings: 1, retry: null })
            }
        }
    }

    /// A user's request, unchanged but for the id of the invocation.
    pub(super) async fn http(&self, mut request: Request<Body>) -> Result<TestResponse> {
        match self {
            Self::Here { handler, .. } => {
                let headers = request.headers_mut();
                let id = HeaderValue::try_from(invocation()).map_err(not_a_request)?;
                headers.insert("x-ms-invocation-id", id);
                headers.entry("host").or_insert(HeaderValue::from_static("app.azurewebsites.net"));
                read(handler.handle(request).await).await
            }
            Self::Process(host) => send_to(&format!("http://{}", host.address()), request).await,
        }
    }

    /// Calls a function directly, over HTTP with a function key.
    pub(super) async fn invoke(&self, function: &str, payload: Bytes) -> Result<Bytes> {
        let request = Request::post(format!("/.isobar/functions/{function}"))
            .header("content-type", "application/json")
            .header("x-functions-key", KEY)
            .body(Body::from(payload))
            .map_err(not_a_request)?;
        let response = match self {
            Self::Here { .. } => {
                let (parts, body) = request.into_parts();
                let body = read_body(body).await?;
                let call = self.call_of(&format!("invoke-{function}"), |trigger| trigger.http(&parts, &body));
                let (parts, body) = output(&self.call(&call).await?)?.into_parts();
                TestResponse::new(parts.status, parts.headers, body)
            }
            Self::Process(_) => self.http(request).await?,
        };
        body_of(response, StatusCode::OK)
    }
}

/// An id that no other invocation has.
fn invocation() -> String {
    static INVOCATIONS: AtomicU64 = AtomicU64::new(1);
    format!("3f2a0000-0000-0000-0000-{:012x}", INVOCATIONS.fetch_add(1, Ordering::Relaxed))
}
