//! The loop: fetches an event from Lambda's runtime API, hands it to the app, and sends the answer.
//!
//! Only the client of the API is that of `lambda_runtime`. Its loop parses the headers of an event before anything of
//! ours runs, and ends at what it cannot parse: `lambda-runtime-client-context` is chosen by whoever invokes the function,
//! so that one call ended the process without an answer (`types.rs` of 1.5.0). It also copies bodies as parsed JSON, and
//! sends the error of a stream as a part of the body (`requests.rs`), where a client would take it for content.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::panic::AssertUnwindSafe;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::future::FutureExt;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::BodyExt;
use isobar_abstraction::clock::from_millis;
use isobar_abstraction::driver::host::describe;
use isobar_abstraction::{Error, ErrorKind, Result};
use lambda_runtime_api_client::body::Body;
use lambda_runtime_api_client::{BoxError, Client, build_request};
use tokio::sync::watch;

use super::stream::{TRAILERS, Wire};
use super::{Lambda, LambdaCall, LambdaReply};

/// Tells Lambda's two copies of an invocation apart; what answers one must send it back.
const INVOCATION_ID: &str = "lambda-runtime-invocation-id";

/// Runs until Lambda says stop; an invocation that has begun is answered first.
///
/// Errors: `Config` where this is not Lambda, `Unavailable` where its runtime API breaks off.
pub(crate) async fn run(lambda: Lambda) -> Result<()> {
    let Some(function) = lambda.state.config.lambda.clone() else { return Err(elsewhere()) };
    let client = || {
        let endpoint = function.runtime_api.parse().map_err(|error| elsewhere().with_source(error))?;
        Client::builder().with_endpoint(endpoint).build().map_err(broken)
    };
    if function.snap_start {
        // Its connections do not outlive the snapshot.
        restored(&client()?).await.map_err(broken)?;
    }
    let (busy, mut idle) = watch::channel(false);
    let courier = Courier { lambda, client: client()?, busy };
    let mut running = Box::pin(courier.run());
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

/// Tells Lambda that a snapshot may be taken, and goes on where one was restored.
async fn restored(client: &Client) -> Result<(), BoxError> {
    let answer = client.call(get("/2018-06-01/runtime/restore/next")?).await?;
    if answer.status().is_success() { Ok(()) } else { Err(refused(&answer)) }
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
struct Courier {
    lambda: Lambda,
    client: Client,
    busy: watch::Sender<bool>,
}

/// An event that can be answered.
struct Invocation {
    call: LambdaCall,
    /// Which of Lambda's two copies it is.
    copy: Option<HeaderValue>,
    event: Bytes,
}

impl Courier {
    /// Answers one event after the other. Errors: where there is no next one to be had. An answer that cannot be sent is
    /// logged only: its connection may have ended for its size, and where the whole API is gone there is no next event.
    async fn run(&self) -> Result<(), BoxError> {
        loop {
            if let Some(invocation) = self.next().await? {
                let id = invocation.call.request_id.clone();
                if let Err(error) = self.answer(invocation).await {
                    tracing::error!(invocation = id, ?error, "the answer could not be sent");
                }
            }
            self.busy.send_replace(false);
        }
    }

    /// Waits for an event; `None` for one that cannot be answered. Of its headers nothing but the request id is needed.
    async fn next(&self) -> Result<Option<Invocation>, BoxError> {
        let answer = self.client.call(get("/2018-06-01/runtime/invocation/next")?).await?;
        self.busy.send_replace(true);
        if !answer.status().is_success() {
            return Err(refused(&answer));
        }
        let (parts, body) = answer.into_parts();
        if parts.status == http::StatusCode::NO_CONTENT {
            // Emulators answer so when there was no event for a while.
            return Ok(None);
        }
        let event = body.collect().await?.to_bytes();
        let Some(call) = call_of(&parts.headers) else {
            tracing::error!("an event without a request id, or with one that no URL holds, cannot be answered");
            return Ok(None);
        };
        Ok(Some(Invocation { call, copy: parts.headers.get(INVOCATION_ID).cloned(), event }))
    }

    async fn answer(&self, invocation: Invocation) -> Result<(), BoxError> {
        let Invocation { call, copy, event } = invocation;
        let id = call.request_id.clone();
        let handled = AssertUnwindSafe(self.lambda.handle(&event, call)).catch_unwind().await;
        drop(event);
        let handled = handled.unwrap_or_else(|_| Err(Error::internal("the host panicked; this is a fault of isobar")));
        let unfit = |error: http::Error| Error::internal("the answer has no form that Lambda takes").with_source(error);
        let request = handled.and_then(|reply| match reply {
            LambdaReply::Json(answer) => post(&id, "response").body(Body::from(answer)).map_err(unfit),
            LambdaReply::Stream(response) => streamed(&id, Wire::new(response)?).map_err(unfit),
        });
        let mut request = match request {
            Ok(request) => request,
            Err(error) => {
                tracing::error!(invocation = id, ?error, "the invocation failed");
                failed(&id, &error)?
            }
        };
        if let Some(copy) = copy {
            request.headers_mut().insert(INVOCATION_ID, copy);
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

/// What the headers say of an invocation; `None` without a request id. A deadline that cannot be read counts as none,
/// and what a caller says of himself (`lambda-runtime-client-context`, `-cognito-identity`) is not read at all.
fn call_of(headers: &HeaderMap) -> Option<LambdaCall> {
    let text = |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let names_one =
        |id: &String| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte));
    let id = text("lambda-runtime-aws-request-id").filter(names_one)?;
    let deadline = text("lambda-runtime-deadline-ms").and_then(|millis| millis.parse().ok());
    let arn = text("lambda-runtime-invoked-function-arn").unwrap_or_default();
    let mut call = LambdaCall::new(id, deadline.map_or(SystemTime::UNIX_EPOCH, from_millis), arn);
    call.xray_trace = text("lambda-runtime-trace-id");
    Some(call)
}

fn get(path: &'static str) -> Result<Request<Body>, http::Error> {
    build_request().method(Method::GET).uri(path).body(Body::empty())
}

fn refused<B>(answer: &Response<B>) -> BoxError {
    format!("it answered status {}", answer.status()).into()
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
        .body(Body::from(describe(error)))
}

fn post(id: &str, what: &str) -> http::request::Builder {
    let uri = format!("/2018-06-01/runtime/invocation/{id}/{what}");
    build_request().method(Method::POST).uri(uri)
}

#[cfg(test)]
mod tests;
