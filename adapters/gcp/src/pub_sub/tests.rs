//! Cases that the emulator does not cover: exact requests, and failures.

mod order;
mod publish;
mod settle;

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response};
use isobar_abstraction::clock::ManualClock;
use isobar_abstraction::driver::{Environment, ResourceKind, ResourceUrl};
use isobar_abstraction::{ErrorKind, TraceParent};
use serde_json::{Value, json};

use super::*;
use crate::{GcpConfig, GcpProvider};
use isobar_testkit::Double;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The time of the clock.
const NOW: &str = "2026-01-01T00:00:00.250Z";

fn state(url: &str) -> Arc<State> {
    let environment =
        Environment::default().with_var("PUBSUB_EMULATOR_HOST", url).with_var("GOOGLE_CLOUD_PROJECT", "proj-1");
    let clock = ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_225_600_250));
    let mut config = GcpConfig::from_environment(&environment).unwrap();
    config.client.min_backoff = Duration::from_millis(1);
    GcpProvider::with_clock(config, Arc::new(clock)).0
}

fn at() -> Location {
    Location::new(ResourceKind::Topic, "clicks")
}

async fn publish(double: &Double, messages: Vec<RawMessage>) -> Vec<Result<MessageId>> {
    open(&state(&double.url), &at()).unwrap().publish(messages).await
}

fn plain(body: impl Into<Bytes>) -> RawMessage {
    let trace_parent = TRACE.parse::<TraceParent>().unwrap();
    RawMessage::new(body, trace_parent)
}

fn keyed(key: &str, body: &str) -> RawMessage {
    plain(body.to_owned()).with_ordering_key(key)
}

fn status(status: u16, body: impl Into<String>) -> Response<String> {
    Response::builder().status(status).body(body.into()).unwrap()
}

/// An error of Google's APIs.
fn rejected(code: u16, name: &str, message: &str) -> Response<String> {
    status(code, json!({"error": {"code": code, "status": name, "message": message}}).to_string())
}

/// The response of a topic that accepts all messages. The id of a message is `id-` and its body.
fn accepted(request: &Request<Bytes>) -> Response<String> {
    let ids: Vec<_> = bodies(request).iter().map(|body| format!("id-{body}")).collect();
    status(200, json!({ "messageIds": ids }).to_string())
}

fn messages(request: &Request<Bytes>) -> Vec<Value> {
    let mut body: Value = serde_json::from_slice(request.body()).unwrap();
    serde_json::from_value(body["messages"].take()).unwrap()
}

/// The bodies of the messages of a request.
fn bodies(request: &Request<Bytes>) -> Vec<String> {
    let body = |message: &Value| String::from_utf8(STANDARD.decode(message["data"].as_str().unwrap()).unwrap());
    messages(request).iter().map(|message| body(message).unwrap()).collect()
}

/// The bodies of the messages of every request, in the order of the requests.
fn requests(double: &Double) -> Vec<Vec<String>> {
    (0..double.requests().len()).map(|index| double.request(index, bodies)).collect()
}

/// The kind and the unknown outcome of each error, `None` for a message that was stored.
fn errors(results: &[Result<MessageId>]) -> Vec<Option<(ErrorKind, bool)>> {
    results.iter().map(|result| result.as_ref().err().map(|error| (error.kind(), error.outcome_unknown()))).collect()
}

/// The ids; panics if a message failed.
fn ids(results: &[Result<MessageId>]) -> Vec<&str> {
    results.iter().map(|result| result.as_ref().unwrap().as_str()).collect()
}
