//! Cases that emulators do not produce: throttling, lost responses and the exact requests.

mod batch;
mod counters;
mod items;
mod ranges;
mod requests;
mod service_errors;
mod transactions;
mod writes;

use std::time::{Duration, SystemTime};

use http::{Request, Response};
use isobar_abstraction::clock::ManualClock;
use isobar_abstraction::driver::key_value::PutMode;
use isobar_abstraction::driver::{Environment, ResourceKind};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;
use crate::{AwsConfig, AwsProvider};
use isobar_testkit::Double;

/// Attempts of the client for one call.
const ATTEMPTS: usize = 3;

/// The time of the clock in milliseconds.
const NOW: u64 = 1_767_225_600_250;

/// A table in a DynamoDB whose responses a test sets.
struct Fixture {
    double: Double,
    table: Arc<dyn KeyValue>,
    clock: ManualClock,
}

type Answer = (u16, Value);

impl Fixture {
    async fn new(answer: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static) -> Self {
        let double = Double::new(move |request| {
            let (operation, body) = operation_and_input(request);
            let (status, body) = answer(&operation, &body);
            Response::builder().status(status).body(body.to_string()).unwrap()
        })
        .await;
        let environment = Environment::default()
            .with_var("AWS_REGION", "eu-west-1")
            .with_var("AWS_ENDPOINT_URL", &double.url)
            .with_var("AWS_MAX_ATTEMPTS", ATTEMPTS.to_string())
            .with_var("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .with_var("AWS_SECRET_ACCESS_KEY", "hush-secret");
        let clock = ManualClock::new(at(NOW));
        let config = AwsConfig::from_environment(&environment).unwrap();
        let state = AwsProvider::with_clock(config, Arc::new(clock.clone())).0;
        let table = open(&state, &Location::new(ResourceKind::Table, "links")).unwrap();
        Self { double, table, clock }
    }

    /// Returns these responses in order, then the last one again.
    async fn script(answers: impl Into<Vec<Answer>>) -> Self {
        let answers = answers.into();
        let count = Mutex::new(0);
        Self::new(move |_, _| {
            let mut count = count.lock();
            *count += 1;
            answers[(*count - 1).min(answers.len() - 1)].clone()
        })
        .await
    }

    /// The requests: operations and inputs.
    fn requests(&self) -> Vec<(String, Value)> {
        (0..self.double.requests().len()).map(|index| self.double.request(index, operation_and_input)).collect()
    }

    fn count(&self) -> usize {
        self.double.requests().len()
    }

    /// The input of a request.
    fn input(&self, index: usize) -> Value {
        self.double.request(index, operation_and_input).1
    }
}

fn operation_and_input(request: &Request<Bytes>) -> (String, Value) {
    let target = request.headers()["x-amz-target"].to_str().unwrap();
    let operation = target.strip_prefix("DynamoDB_20120810.").unwrap().to_owned();
    (operation, serde_json::from_slice(request.body()).unwrap())
}

fn at(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

fn success(body: Value) -> Answer {
    (200, body)
}

fn failure(code: &str, message: &str) -> Answer {
    (400, json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": message}))
}

/// A failure of the service that may have written.
fn lost() -> Answer {
    (500, json!({"__type": "com.amazonaws.dynamodb.v20120810#InternalServerError", "message": "Internal error"}))
}

/// A failed condition on this item.
fn unmet(item: Option<Value>) -> Answer {
    let (status, mut body) = failure("ConditionalCheckFailedException", "The conditional request failed");
    if let Some(item) = item {
        body["Item"] = item;
    }
    (status, body)
}

fn stored(partition: &str, sort: &str, value: &str) -> Value {
    json!({"pk": {"S": partition}, "sk": {"S": sort}, "value": {"S": value}, "version": {"S": "v-1"}})
}

fn put(mode: PutMode) -> Put {
    Put::new("a", "text").with_mode(mode)
}

fn update() -> PutMode {
    PutMode::Update(Version::new("v-1"))
}

fn kind_of<T: std::fmt::Debug>(result: Result<T>) -> (ErrorKind, bool) {
    let error = result.unwrap_err();
    (error.kind(), error.outcome_unknown())
}

const THROTTLED: ErrorKind = ErrorKind::Throttled;
