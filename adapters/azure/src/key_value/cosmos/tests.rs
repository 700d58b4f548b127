//! Cases that emulators do not have: throttling, lost responses, and the exact requests.
#![allow(clippy::needless_pass_by_value, reason = "values that a test builds in place read better without `&`")]

mod charge;
mod lost;
mod requests;
mod service_errors;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response};
use isobar_abstraction::ErrorKind;
use isobar_abstraction::clock::ManualClock;
use isobar_abstraction::driver::key_value::PutMode;
use isobar_abstraction::driver::{Environment, Location, ResourceKind};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;
use crate::config::Placed;
use crate::{AzureConfig, AzureProvider};
use isobar_testkit::Double;

/// The time of the clock, in milliseconds.
const NOW: u64 = 1_767_225_600_250;

const KEY: &str = "C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw==";

/// A container in a Cosmos DB whose responses a test defines.
struct Scene {
    double: Double,
    table: CosmosKeyValue,
}

type Answer = Response<String>;

impl Scene {
    async fn new(answer: impl Fn(&Request<Bytes>) -> Answer + Send + Sync + 'static) -> Self {
        Self::with_access(&[("AZURE_COSMOS_KEY", KEY)], answer).await
    }

    async fn with_access(
        access: &[(&str, &str)],
        answer: impl Fn(&Request<Bytes>) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let double = Double::new(answer).await;
        let environment = Environment::default()
            .with_var("AZURE_COSMOS_ENDPOINT", &double.url)
            .with_var("AZURE_COSMOS_DATABASE", "iso");
        let environment = access.iter().fold(environment, |all, (name, value)| all.with_var(*name, *value));
        let mut config = AzureConfig::from_environment(&environment).unwrap();
        config.client.max_attempts = 3;
        let state = AzureProvider::with_clock(config, Arc::new(ManualClock::new(at(NOW)))).state;
        let placed = state.config.place(&Location::new(ResourceKind::Table, "links")).unwrap();
        let Placed::Cosmos { account, container } = placed else { panic!("{placed:?}") };
        Self { double, table: CosmosKeyValue::new(&state, &Sessions::default(), &account, container).unwrap() }
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

    fn header(&self, place: usize, name: &str) -> Option<String> {
        self.double
            .request(place, |request| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned()))
    }

    fn body(&self, place: usize) -> Value {
        self.double.request(place, |request| serde_json::from_slice(request.body()).unwrap())
    }

    /// The mark in a write.
    fn mark_of(request: &Request<Bytes>) -> Value {
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        match &body {
            Value::Array(operations) => operations[0]["resourceBody"]["w"].clone(),
            body if body.get("operations").is_some() => body["operations"][1]["value"].clone(),
            body => body["w"].clone(),
        }
    }
}

fn at(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

fn answer(status: u16, body: Value) -> Answer {
    Response::builder().status(status).body(body.to_string()).unwrap()
}

fn written(status: u16) -> Answer {
    Response::builder().status(status).header("etag", "\"e-2\"").body(String::new()).unwrap()
}

fn error_answer(status: u16, substatus: u32, message: &str) -> Answer {
    let body = json!({"code": "x", "message": message}).to_string();
    Response::builder().status(status).header("x-ms-substatus", substatus.to_string()).body(body).unwrap()
}

fn absent() -> Answer {
    error_answer(404, 0, "Entity with the specified id does not exist in the system.")
}

fn stored(value: Value, mark: &Value, expires: Option<u64>) -> Value {
    let mut item = json!({"id": "s", "p": "a", "s": "", "v": value, "w": mark, "_etag": "\"e-1\""});
    if let Some(expires) = expires {
        item["x"] = json!(expires);
    }
    item
}

fn put(mode: PutMode) -> Put {
    Put::new("a", "text").with_mode(mode)
}

fn update() -> PutMode {
    PutMode::Update(Version::new("\"e-1\""))
}

fn kind_of<T: std::fmt::Debug>(result: Result<T>) -> (ErrorKind, bool) {
    let error = result.unwrap_err();
    (error.kind(), error.outcome_unknown())
}
