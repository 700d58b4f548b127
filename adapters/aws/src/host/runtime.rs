//! The loop that fetches an event from Lambda's runtime API, handles it and sends the response.
//!
//! The HTTP client is that of `lambda_runtime`, but its loop is not used. That loop parses the headers of an event first
//! and ends the process at a malformed one: the caller of the function chooses `lambda-runtime-client-context`, so one
//! call could end the process without a response (`types.rs` of 1.5.0). It also copies bodies as parsed JSON, and
//! sends the error of a stream as a part of the body (`requests.rs`), which a client would read as content.
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

use super::stream::{StreamedResponse, TRAILERS};
use super::{Lambda, LambdaCall, LambdaReply};

/// Distinguishes Lambda's two copies of an invocation; the response must contain it.
const INVOCATION_ID: &str = "lambda-runtime-invocation-id";

/// Runs until Lambda sends a signal to stop; an invocation in progress is completed first.
///
/// Errors: `Config` outside Lambda, `Unavailable` if the runtime API fails.
pub(crate) async fn run(lambda: Lambda) -> Result<()> {
    let Some(function) = lambda.state.config.lambda.clone() else { return Err(not_on_lambda()) };
    let client = || {
        let endpoint = function.runtime_api.parse().map_err(|error| not_on_lambda().with_source(error))?;
        Client::builder().with_endpoint(endpoint).build().map_err(api_error)
    };
    if function.snap_start {
        // A separate client, since its connections are lost in the snapshot.
        wait_for_restore(&client()?).await.map_err(api_error)?;
    }
    let (busy, mut idle) = watch::channel(false);
    let service = InvocationService { lambda, client: client()?, busy };
    let mut running = Box::pin(service.run());
    tokio::select! {
        result = &mut running => return result.map_err(api_error),
        () = signal() => tracing::debug!("stopping"),
    }
    tokio::select! {
        biased;
        result = &mut running => result.map_err(api_error),
        _ = idle.wait_for(|busy| !*busy) => Ok(()),
    }
}

/// Reports to Lambda that it can take a snapshot, and returns after the restore.
async fn wait_for_restore(client: &Client) -> Result<(), BoxError> {
    let answer = client.call(get("/2018-06-01/runtime/restore/next")?).await?;
    if answer.status().is_success() { Ok(()) } else { Err(status_error(&answer)) }
}

fn not_on_lambda() -> Error {
    Error::config(
        "the provider `aws` hosts only on AWS Lambda, but AWS_LAMBDA_RUNTIME_API is not set: on a laptop, build with \
        the feature `local` and unset ISOBAR_PROVIDER, or run the app with `cargo lambda watch`",
    )
}

fn api_error(error: impl Into<BoxError>) -> Error {
    Error::new(ErrorKind::Unavailable, "Lambda's runtime API failed").with_source(error)
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

/// Fetches invocations, handles them and sends the responses.
struct InvocationService {
    lambda: Lambda,
    client: Client,
    busy: watch::Sender<bool>,
}

/// An event with the metadata for its response.
struct Invocation {
    call: LambdaCall,
    /// The id of one of Lambda's two copies.
    copy: Option<HeaderValue>,
    event: Bytes,
}

impl InvocationService {
    /// Handles events one after the other. Errors: only those of fetching the next event. A response that cannot be sent is
    /// only logged: Lambda may have closed the connection because of its size, and if the API is down, fetching fails too.
    async fn run(&self) -> Result<(), BoxError> {
        loop {
            if let Some(invocation) = self.next().await? {
                let id = invocation.call.request_id.clone();
                if let Err(error) = self.respond(invocation).await {
                    tracing::error!(invocation = id, ?error, "the response cannot be sent to Lambda");
                }
            }
            self.busy.send_replace(false);
        }
    }

    /// Waits for an event; `None` for one without a valid request id, which cannot have a response. All other headers are
    /// optional.
    async fn next(&self) -> Result<Option<Invocation>, BoxError> {
        let answer = self.client.call(get("/2018-06-01/runtime/invocation/next")?).await?;
        self.busy.send_replace(true);
        if !answer.status().is_success() {
            return Err(status_error(&answer));
        }
        let (parts, body) = answer.into_parts();
        if parts.status == http::StatusCode::NO_CONTENT {
            // Emulators return this if there is no event for a while.
            return Ok(None);
        }
        let event = body.collect().await?.to_bytes();
        let Some(call) = read_call(&parts.headers) else {
            tracing::error!("an event is skipped: its request id is missing or invalid in a URL");
            return Ok(None);
        };
        Ok(Some(Invocation { call, copy: parts.headers.get(INVOCATION_ID).cloned(), event }))
    }

    async fn respond(&self, invocation: Invocation) -> Result<(), BoxError> {
        let Invocation { call, copy, event } = invocation;
        let id = call.request_id.clone();
        let result = AssertUnwindSafe(self.lambda.handle(&event, call)).catch_unwind().await;
        drop(event);
        let result =
            result.unwrap_or_else(|_| Err(Error::internal("bug in isobar: the host panicked; please report it")));
        let malformed = |error: http::Error| {
            Error::internal("bug in isobar: the response to Lambda is malformed; please report it").with_source(error)
        };
        let request = result.and_then(|reply| match reply {
            LambdaReply::Json(answer) => post(&id, "response").body(Body::from(answer)).map_err(malformed),
            LambdaReply::Stream(response) => stream_request(&id, StreamedResponse::new(response)?).map_err(malformed),
        });
        let mut request = match request {
            Ok(request) => request,
            Err(error) => {
                tracing::error!(invocation = id, ?error, "the invocation failed");
                error_request(&id, &error)?
            }
        };
        if let Some(copy) = copy {
            request.headers_mut().insert(INVOCATION_ID, copy);
        }
        let (parts, rest) = self.client.call(request).await?.into_parts();
        if !parts.status.is_success() {
            // The response is too large or too late. Lambda has reported that to the caller; the loop continues.
            tracing::error!(invocation = id, status = %parts.status, "Lambda rejected the response");
        }
        // Read to the end so that the connection is reused; the content is not needed.
        if let Err(error) = rest.collect().await {
            tracing::debug!(?error, "the runtime API's response to the result is incomplete");
        }
        Ok(())
    }
}

/// The metadata of an invocation from its headers; `None` without a valid request id. A malformed deadline is ignored,
/// and so are the headers that the caller chooses (`lambda-runtime-client-context`, `-cognito-identity`).
fn read_call(headers: &HeaderMap) -> Option<LambdaCall> {
    let text = |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let is_valid =
        |id: &String| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte));
    let id = text("lambda-runtime-aws-request-id").filter(is_valid)?;
    let deadline = text("lambda-runtime-deadline-ms").and_then(|millis| millis.parse().ok());
    let arn = text("lambda-runtime-invoked-function-arn").unwrap_or_default();
    let mut call = LambdaCall::new(id, deadline.map_or(SystemTime::UNIX_EPOCH, from_millis), arn);
    call.xray_trace = text("lambda-runtime-trace-id");
    Some(call)
}

fn get(path: &'static str) -> Result<Request<Body>, http::Error> {
    build_request().method(Method::GET).uri(path).body(Body::empty())
}

fn status_error<B>(answer: &Response<B>) -> BoxError {
    format!("it returned status {}", answer.status()).into()
}

fn stream_request(id: &str, body: StreamedResponse) -> Result<Request<Body>, http::Error> {
    post(id, "response")
        .header("lambda-runtime-function-response-mode", "streaming")
        .header("content-type", "application/vnd.awslambda.http-integration-response")
        .header("transfer-encoding", "chunked")
        .header("trailer", TRAILERS.join(", "))
        .body(Body::new(body))
}

fn error_request(id: &str, error: &Error) -> Result<Request<Body>, http::Error> {
    post(id, "error")
        .header("lambda-runtime-function-error-type", HeaderValue::from_static(error.kind().name()))
        .body(Body::from(describe(error)))
}

fn post(id: &str, path: &str) -> http::request::Builder {
    let uri = format!("/2018-06-01/runtime/invocation/{id}/{path}");
    build_request().method(Method::POST).uri(uri)
}

#[cfg(test)]
mod tests;
