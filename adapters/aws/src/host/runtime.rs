//! The loop: `lambda_runtime` fetches the events, and its innermost layer is ours.
//!
//! The handlers of `lambda_runtime` take parsed JSON and give what it turns into JSON: bytes would be
//! read and written once more each way. And it sends the error of a stream as a part of the body
//! (`requests.rs` of 1.5.0), where a client would take it for content. So our layer takes the event as
//! bytes, and sends the answer by itself.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use http::{HeaderValue, Request};
use http_body_util::BodyExt;
use isobar_abstraction::{Error, ErrorKind, Result};
use lambda_runtime::tower::layer::layer_fn;
use lambda_runtime::{Context, Diagnostic, LambdaEvent, LambdaInvocation, Runtime, Service, service_fn};
use lambda_runtime_api_client::body::Body;
use lambda_runtime_api_client::{BoxError, Client};
use serde::de::IgnoredAny;
use tokio::sync::watch;

use super::stream::{TRAILERS, Wire};
use super::{Lambda, LambdaCall, LambdaReply};

/// Tells Lambda's two copies of an invocation apart; what answers one must send it back.
const INVOCATION_ID: &str = "lambda-runtime-invocation-id";

/// Runs until Lambda says stop; an invocation that has begun is answered first.
///
/// Errors: `Config` where this is not Lambda, `Unavailable` where its runtime API breaks off.
pub(crate) async fn run(lambda: Lambda) -> Result<()> {
    let Some(function) = &lambda.state.config.lambda else { return Err(elsewhere()) };
    let endpoint = function.runtime_api.parse().map_err(|error| elsewhere().with_source(error))?;
    let client = Client::builder().with_endpoint(endpoint).build().map_err(broken)?;
    let (busy, mut idle) = watch::channel(false);
    let courier = Courier { lambda, client: Arc::new(client), busy };
    let runtime = runtime()?.layer(layer_fn(move |_| courier.clone()));
    let mut running = std::pin::pin!(runtime.run());
    tokio::select! {
        ended = &mut running => return ended.map_err(broken),
        () = signal() => tracing::debug!("stopping"),
    }
    tokio::select! {
        biased;
        ended = &mut running => ended.map_err(broken),
        _ = idle.wait_for(|busy| !*busy) => Ok(()),
    }
}

fn elsewhere() -> Error {
    Error::config(
        "the provider `aws` runs on AWS Lambda, and AWS_LAMBDA_RUNTIME_API is not set; on a laptop, build with \
         the feature `local` and leave out ISOBAR_PROVIDER, or run it below `cargo lambda watch`",
    )
}

fn broken(error: impl Into<BoxError>) -> Error {
    Error::new(ErrorKind::Unavailable, "Lambda's runtime API broke off").with_source(error)
}

async fn never(_: LambdaEvent<IgnoredAny>) -> Result<(), Infallible> {
    Ok(())
}

/// Errors: `Config` where the process does not have the variables that the configuration was made of;
/// `lambda_runtime` reads the process's own, and panics.
fn runtime() -> Result<Runtime<impl Service<LambdaInvocation, Response = (), Error = BoxError>>> {
    let made = std::panic::catch_unwind(|| Runtime::new(service_fn(never)));
    made.map_err(|_| Error::config("the process lacks variables that Lambda sets, AWS_LAMBDA_FUNCTION_NAME and others"))
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn signal() {
    let _ = tokio::signal::ctrl_c().await;
}

/// Takes an invocation to the app, and the answer back.
#[derive(Clone)]
struct Courier {
    lambda: Lambda,
    client: Arc<Client>,
    busy: watch::Sender<bool>,
}

impl Service<LambdaInvocation> for Courier {
    type Response = ();
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<(), BoxError>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, invocation: LambdaInvocation) -> Self::Future {
        self.busy.send_replace(true);
        let courier = self.clone();
        Box::pin(async move {
            let answered = courier.answer(invocation).await;
            courier.busy.send_replace(false);
            answered
        })
    }
}

impl Courier {
    async fn answer(&self, invocation: LambdaInvocation) -> Result<(), BoxError> {
        let LambdaInvocation { parts, body, context } = invocation;
        let id = context.request_id.clone();
        let handled = AssertUnwindSafe(self.lambda.handle(&body, LambdaCall::from(context))).catch_unwind().await;
        drop(body);
        let handled = handled.unwrap_or_else(|_| Err(Error::internal("the host panicked; this is a fault of isobar")));
        let mut request = match handled {
            Ok(LambdaReply::Json(answer)) => whole(&id, answer)?,
            Ok(LambdaReply::Stream(response)) => streamed(&id, Wire::new(response)?)?,
            Err(error) => {
                tracing::error!(invocation = id, ?error, "the invocation failed");
                failed(&id, &error)?
            }
        };
        if let Some(invocation_id) = parts.headers.get(INVOCATION_ID) {
            request.headers_mut().insert(INVOCATION_ID, invocation_id.clone());
        }
        let (taken, rest) = self.client.call(request).await?.into_parts();
        if !taken.status.is_success() {
            // An answer that is too large, or too late. Lambda has told the caller; the next event is to come.
            tracing::error!(invocation = id, status = %taken.status, "Lambda did not take the answer");
        }
        // A connection whose last answer was read is used again; what it says matters no more.
        if let Err(error) = rest.collect().await {
            tracing::debug!(?error, "Lambda's last word broke off");
        }
        Ok(())
    }
}

fn whole(id: &str, answer: Bytes) -> Result<Request<Body>, http::Error> {
    post(id, "response").body(Body::from(answer))
}

fn streamed(id: &str, wire: Wire) -> Result<Request<Body>, http::Error> {
    post(id, "response")
        .header("lambda-runtime-function-response-mode", "streaming")
        .header("content-type", "application/vnd.awslambda.http-integration-response")
        .header("transfer-encoding", "chunked")
        .header("trailer", TRAILERS.join(", "))
        .body(Body::new(wire))
}

fn failed(id: &str, error: &Error) -> Result<Request<Body>, http::Error> {
    post(id, "error")
        .header("lambda-runtime-function-error-type", HeaderValue::from_static(error.kind().name()))
        .body(Body::from(diagnostic(error)))
}

fn post(id: &str, what: &str) -> http::request::Builder {
    let uri = format!("/2018-06-01/runtime/invocation/{id}/{what}");
    lambda_runtime_api_client::build_request().method(http::Method::POST).uri(uri)
}

/// What a caller is told of an error: its kind and its text, without its sources.
pub(super) fn diagnostic(error: &Error) -> Vec<u8> {
    let told = Diagnostic { error_type: error.kind().name().to_owned(), error_message: error.to_string() };
    serde_json::to_vec(&told).unwrap_or_default()
}

impl From<Context> for LambdaCall {
    fn from(context: Context) -> Self {
        let deadline = context.deadline();
        Self {
            request_id: context.request_id,
            deadline,
            function_arn: context.invoked_function_arn,
            xray_trace: context.xray_trace_id,
        }
    }
}

#[cfg(test)]
mod tests;
