//! Cases that Azurite does not have: throttling, lost responses, and the exact requests.

mod ranges;
mod requests;
mod service_errors;
mod transactions;
mod writes;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response};
use isobar_abstraction::ErrorKind;
use isobar_abstraction::clock::ManualClock;
use isobar_abstraction::driver::Environment;
use isobar_abstraction::driver::key_value::PutMode;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::stored::Tag;
use super::*;
use crate::{AzureConfig, AzureProvider};
use isobar_testkit::Double;

/// Attempts of the client for one call.
const ATTEMPTS: usize = 3;

/// The time of the clock, in milliseconds.
const NOW: u64 = 1_767_225_600_250;

const ETAG: &str = "W/\"datetime'2026-01-01T00%3A00%3A00.0000001Z'\"";
const THROTTLED: ErrorKind = ErrorKind::Throttled;

/// A table in a service whose responses a test defines.
struct Scene {
    double: Double,
    table: TableKeyValue,
}

/// Status, ETag and body.
#[derive(Debug, Clone)]
struct Answer(u16, Option<&'static str>, String);

impl Scene {
    async fn new(answer: impl Fn(&Request<Bytes>) -> Answer + Send + Sync + 'static) -> Self {
        Self::with_access(&[("AZURE_STORAGE_KEY", "aHVzaC1rZXk=")], answer).await
    }

    async fn with_access(
        access: &[(&str, &str)],
        answer: impl Fn(&Request<Bytes>) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let double = Double::new(move |request| {
            let Answer(status, etag, body) = answer(request);
            let response = Response::builder().status(status);
            let response = match etag {
                Some(next) if !next.starts_with("W/") => response.header("x-ms-continuation-NextPartitionKey", next),
                Some(etag) => response.header("etag", etag),
                None => response,
            };
            response.body(body).unwrap()
        })
        .await;
        let environment = Environment::default().with_var("AZURE_STORAGE_ACCOUNT", "acc");
        let environment = access.iter().fold(environment, |all, (name, value)| all.with_var(*name, *value));
        let mut config = AzureConfig::from_environment(&environment).unwrap();
        config.client.max_attempts = ATTEMPTS as u32;
        let mut account = config.storage.clone().unwrap();
        account.table = double.url.clone();
        let clock = ManualClock::new(at(NOW));
        let state = AzureProvider::with_clock(config, Arc::new(clock)).state;
        Self { double, table: TableKeyValue::new(&state, &account, "links".to_owned()) }
    }

    /// Returns one response after the other, then repeats the last one.
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

    fn methods(&self) -> Vec<String> {
        self.double.requests().iter().map(|request| request.split(' ').next().unwrap_or_default().to_owned()).collect()
    }

    fn body(&self, place: usize) -> String {
        self.double.request(place, |request| String::from_utf8(request.body().to_vec()).unwrap())
    }
}

fn at(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

fn written() -> Answer {
    Answer(204, Some(ETAG), String::new())
}

fn error_answer(status: u16, code: &str) -> Answer {
    Answer(status, None, error(code, "no"))
}

fn error(code: &str, message: &str) -> String {
    json!({"odata.error": {"code": code, "message": {"lang": "en-US", "value": format!("{message}\nRequestId:1")}}})
        .to_string()
}

/// The service failed after it may have written.
fn lost() -> Answer {
    error_answer(500, "OperationTimedOut")
}

/// A stored row of partition `a`.
fn row(sort: &str, write: &str, expires: Option<u64>) -> Value {
    let key = RowKey::from(&Key::new("a", sort));
    let mut row =
        json!({"odata.etag": ETAG, "PartitionKey": key.partition, "RowKey": key.row, "value": "x", "write": write});
    if let Some(expires) = expires {
        row["expires"] = json!(expires.to_string());
    }
    row
}

fn found(row: &Value) -> Answer {
    Answer(200, Some(ETAG), row.to_string())
}

/// The `write` of an entity that was sent.
fn write_of(request: &Request<Bytes>) -> String {
    let entity: Value = serde_json::from_slice(request.body()).unwrap();
    entity["write"].as_str().unwrap().to_owned()
}

fn put(mode: PutMode) -> Put {
    Put::new("a", "text").with_mode(mode)
}

/// A version of the item in partition `a`.
fn version(sort: &str) -> Version {
    let tag = Tag { write: "w-1".to_owned(), expires_at: None, etag: ETAG.to_owned() };
    tag.version(&Key::new("a", sort))
}

fn expired() -> Version {
    let tag = Tag { write: "w-1".to_owned(), expires_at: Some(at(NOW)), etag: ETAG.to_owned() };
    tag.version(&Key::from("a"))
}

fn kind_of<T: std::fmt::Debug>(result: Result<T>) -> (ErrorKind, bool) {
    let error = result.unwrap_err();
    (error.kind(), error.outcome_unknown())
}
