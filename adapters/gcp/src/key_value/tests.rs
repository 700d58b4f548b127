//! Cases that the emulator does not cover: throttling, lost and invalid responses, and exact requests.
#![allow(clippy::needless_pass_by_value, reason = "literals in tests are easier to read without `&`")]

mod counter;
mod hostile;
mod lost;
mod requests;
mod service_errors;
mod shape;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response};
use isobar_abstraction::ErrorKind;
use isobar_abstraction::clock::ManualClock;
use isobar_abstraction::driver::key_value::PutMode;
use isobar_abstraction::driver::{Environment, ResourceKind};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;
use crate::{GcpConfig, GcpProvider};
use isobar_testkit::Double;

/// The time of the clock, in milliseconds.
const NOW: u64 = 1_767_225_600_250;

/// The times of earlier writes and of new writes in responses.
const OLD: &str = "2026-01-01T00:00:00.123456Z";
const NEW: &str = "2026-01-01T00:00:01.654321Z";

/// The path of the item `a`: the SHA-256 of `a` begins with `ca97`.
const PATH: &str = "links/ca97a/links/s";
const ALL: &str = "projects/p-1/databases/(default)/documents";

/// A table on a double of Firestore whose responses a test sets.
struct Fixture {
    double: Double,
    table: FirestoreKeyValue,
}

type Answer = Response<String>;

impl Fixture {
    async fn new(answer: impl Fn(&Request<Bytes>) -> Answer + Send + Sync + 'static) -> Self {
        Self::with(&[("GOOGLE_CLOUD_PROJECT", "p-1")], 1 << 20, answer).await
    }

    async fn with(
        variables: &[(&str, &str)],
        max_response_bytes: usize,
        answer: impl Fn(&Request<Bytes>) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let double = Double::new(answer).await;
        let environment = Environment::default().with_var("FIRESTORE_EMULATOR_HOST", &double.url);
        let environment = variables.iter().fold(environment, |all, (name, value)| all.with_var(*name, *value));
        let mut config = GcpConfig::from_environment(&environment).unwrap();
        config.client.max_attempts = 3;
        config.client.max_response_bytes = max_response_bytes;
        let state = GcpProvider::with_clock(config, Arc::new(ManualClock::new(at(NOW)))).0;
        let table = FirestoreKeyValue::new(&state, &Location::new(ResourceKind::Table, "links")).unwrap();
        Self { double, table }
    }

    /// Returns one response after the other, and then repeats the last.
    async fn script(answers: impl Into<Vec<Answer>>) -> Self {
        let answers = answers.into();
        let count = Mutex::new(0);
        Self::new(move |_| {
            let mut count = count.lock();
            *count += 1;
            answers[(*count - 1).min(answers.len() - 1)].clone()
        })
        .await
    }

    fn count(&self) -> usize {
        self.double.requests().len()
    }

    /// The number of commits among the requests.
    fn commits(&self) -> usize {
        self.double.requests().iter().filter(|line| line.ends_with(":commit")).count()
    }

    fn body(&self, index: usize) -> Value {
        self.double.request(index, body_of)
    }
}

fn body_of(request: &Request<Bytes>) -> Value {
    serde_json::from_slice(request.body()).unwrap()
}

/// The mark of a write.
fn mark_of(request: &Request<Bytes>) -> Value {
    body_of(request)["writes"][0]["update"]["fields"]["w"]["stringValue"].clone()
}

fn at(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

fn answer(status: u16, body: Value) -> Answer {
    Response::builder().status(status).body(body.to_string()).unwrap()
}

fn written(count: usize) -> Answer {
    let results = vec![json!({"updateTime": NEW}); count];
    answer(200, json!({"writeResults": results, "commitTime": NEW}))
}

fn summed(sum: i64) -> Answer {
    let result = json!({"updateTime": NEW, "transformResults": [{"integerValue": sum.to_string()}]});
    answer(200, json!({"writeResults": [result], "commitTime": NEW}))
}

fn service_error(status: u16, name: &str, message: &str) -> Value {
    json!({"error": {"code": status, "status": name, "message": message}})
}

fn rejected(status: u16, name: &str, message: &str) -> Answer {
    answer(status, service_error(status, name, message))
}

fn stale() -> Answer {
    rejected(400, "FAILED_PRECONDITION", "the stored version (2) does not match the required base version (1)")
}

fn exists_already() -> Answer {
    rejected(409, "ALREADY_EXISTS", &format!("Document already exists: {ALL}/{PATH}"))
}

fn does_not_exist() -> Answer {
    rejected(404, "NOT_FOUND", &format!("No document to update: {ALL}/{PATH}"))
}

fn failed() -> Answer {
    rejected(503, "UNAVAILABLE", "lost")
}

/// The response to a read of the item `a`, with these fields and its keys.
fn found(mut fields: Value) -> Answer {
    fields["p"] = json!({"stringValue": "a"});
    fields["s"] = json!({"stringValue": ""});
    let document = json!({"name": format!("{ALL}/{PATH}"), "fields": fields, "updateTime": OLD, "createTime": OLD});
    answer(200, json!([{"found": document, "readTime": NEW}]))
}

fn text(value: &str, mark: &Value) -> Value {
    json!({"v": {"stringValue": value}, "w": {"stringValue": mark}})
}

fn number(value: i64, mark: &Value) -> Value {
    json!({"n": {"integerValue": value.to_string()}, "w": {"stringValue": mark}})
}

fn expiring(millis: u64) -> Value {
    let time = chrono::DateTime::from_timestamp_millis(i64::try_from(millis).unwrap()).unwrap();
    json!({"v": {"stringValue": "old"}, "expireAt": {"timestampValue": time.to_rfc3339()}})
}

fn missing() -> Answer {
    answer(200, json!([{"missing": format!("{ALL}/{PATH}"), "readTime": NEW}]))
}

fn key() -> Key {
    Key::from("a")
}

fn put(mode: PutMode) -> Put {
    Put::new(key(), "text").with_mode(mode)
}

fn version(time: &str) -> Version {
    stored::version(time, PATH, None)
}

fn update() -> PutMode {
    PutMode::Update(version(OLD))
}

fn kind_of<T: std::fmt::Debug>(result: Result<T>) -> (ErrorKind, bool) {
    let error = result.unwrap_err();
    (error.kind(), error.outcome_unknown())
}
