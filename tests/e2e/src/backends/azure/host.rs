//! What calls are made to: a handler in this process, by a double of the host; or the app's own process, which the
//! stand-in of the host runs.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{HeaderValue, Request};
use http_body_util::BodyExt;
use isobar::{Body, Result, TestResponse};
use isobar_azure::CustomHandler;
use serde_json::Value;

use super::account::SECRET;
use crate::backends::{broken, send, told_error, whole};
use crate::front::not_a_request;
use crate::functions_host::{Call, Files, FunctionsHost, KEY, Trigger, output, response_value};

/// A handler, and how it is reached.
#[derive(Debug)]
pub(super) enum Host {
    /// **A double**: it hands calls over, and reads what is answered.
    Here { handler: CustomHandler, files: Files },
    /// The stand-in, with the app's binary.
    StandIn(FunctionsHost),
}

impl Host {
    /// The functions that it runs.
    pub(super) fn files(&self) -> &Files {
        match self {
            Self::Here { files, .. } => files,
            Self::StandIn(host) => host.files(),
        }
    }

    /// Calls a function. `Ok` has its answer. Errors: where the host counts the invocation as failed, or waits
    /// for it until its timeout.
    pub(super) async fn call(&self, call: &Call) -> Result<Value> {
        let handler = match self {
            Self::Here { handler, .. } => handler,
            Self::StandIn(host) => return host.call(call).await,
        };
        let request = Request::post(format!("/{}", call.function))
            .header("host", "127.0.0.1:7071")
            .header("content-type", "application/json; charset=utf-8")
            .header("x-azure-functions-invocationid", invocation())
            .header("user-agent", "Azure-Functions-Host/4.1037.0.0")
            .body(Body::from(call.payload.to_string()));
        let answer = whole(handler.handle(request.map_err(not_a_request)?).await).await?;
        if answer.status().is_success() { response_value(&answer) } else { Err(told_error(answer.body())) }
    }

    /// A call of a function that is named without its secret. One that there is not is called all the same, to
    /// hear what the handler says.
    pub(super) fn call_of(&self, plain: &str, call: impl FnOnce(Trigger<'_>) -> Call) -> Call {
        match self.files().named(plain) {
            Ok(trigger) => call(trigger),
            Err(_) => call(Trigger { function: &format!("{plain}-{SECRET}"), binding: &Value::Null, bindings: 1 }),
        }
    }

    /// A user's request, as it came, with the id of the invocation.
    pub(super) async fn http(&self, mut request: Request<Body>) -> Result<TestResponse> {
        match self {
            Self::Here { handler, .. } => {
                let headers = request.headers_mut();
                let id = HeaderValue::try_from(invocation()).map_err(|error| not_a_request(error.into()))?;
                headers.insert("x-ms-invocation-id", id);
                headers.entry("host").or_insert(HeaderValue::from_static("app.azurewebsites.net"));
                let (parts, body) = whole(handler.handle(request).await).await?.into_parts();
                Ok(TestResponse::new(parts.status, parts.headers, body))
            }
            Self::StandIn(host) => {
                let (mut parts, body) = request.into_parts();
                let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
                let uri = format!("http://{}{path}", host.address()).parse::<http::Uri>();
                parts.uri = uri.map_err(|error| not_a_request(error.into()))?;
                send(Request::from_parts(parts, body)).await
            }
        }
    }

    /// Calls a function directly, over HTTP with a function key.
    pub(super) async fn invoke(&self, function: &str, payload: Bytes) -> Result<Bytes> {
        let request = Request::post(format!("/.isobar/functions/{function}"))
            .header("content-type", "application/json")
            .header("x-functions-key", KEY)
            .body(Body::from(payload))
            .map_err(not_a_request)?;
        let (status, body) = match self {
            Self::Here { .. } => {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.map_err(broken)?.to_bytes();
                let call = self.call_of(&format!("invoke-{function}"), |trigger| trigger.http(&parts, &body));
                let answer = output(&self.call(&call).await?)?;
                (answer.status(), answer.into_body())
            }
            Self::StandIn(_) => {
                let answer = self.http(request).await?;
                (answer.status, answer.body)
            }
        };
        if status == 200 { Ok(body) } else { Err(told_error(&body)) }
    }
}

/// An id that no other invocation has.
fn invocation() -> String {
    static INVOCATIONS: AtomicU64 = AtomicU64::new(1);
    format!("3f2a0000-0000-0000-0000-{:012x}", INVOCATIONS.fetch_add(1, Ordering::Relaxed))
}
