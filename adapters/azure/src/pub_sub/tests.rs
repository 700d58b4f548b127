//! Cases that the doubles and emulators under `tests/` do not have: the exact requests, and failures.

mod queue;
mod settle;
mod topic;

use std::time::Duration;

use http::{Request, Response};
use isobar_abstraction::clock::ManualClock;
use isobar_abstraction::driver::{Environment, ResourceKind, ResourceUrl};
use isobar_abstraction::{ErrorKind, TraceParent};
use serde_json::Value;

use super::*;
use crate::{AzureConfig, AzureProvider};
use isobar_testkit::Double;

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The time of the clock, in milliseconds.
const NOW: u64 = 1_767_225_600_250;

/// `hush-secret`, in the format of storage keys.
const KEY: &str = "aHVzaC1zZWNyZXQ=";

fn state(url: &str) -> Arc<State> {
    let bus = format!(
        "Endpoint={};SharedAccessKeyName=all;SharedAccessKey=hush-secret;UseDevelopmentEmulator=true",
        url.replacen("http", "sb", 1)
    );
    let storage =
        format!("AccountName=devstore;AccountKey={KEY};DefaultEndpointsProtocol=http;QueueEndpoint={url}/devstore");
    let environment = Environment::default()
        .with_var("AZURE_SERVICEBUS_CONNECTION_STRING", bus)
        .with_var("AZURE_STORAGE_CONNECTION_STRING", storage);
    let clock = ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_millis(NOW));
    AzureProvider::with_clock(AzureConfig::from_environment(&environment).unwrap(), Arc::new(clock)).state
}

fn at(url: &str) -> Location {
    Location::new(ResourceKind::Topic, "clicks").with_url(ResourceUrl::parse(url).unwrap())
}

fn plain(body: impl Into<Bytes>) -> RawMessage {
    let trace_parent = TRACE.parse::<TraceParent>().unwrap();
    RawMessage::new(body, trace_parent)
}

fn keyed(key: &str, body: &str) -> RawMessage {
    plain(body.to_owned()).with_ordering_key(key)
}

fn status(status: u16, body: &str) -> Response<String> {
    Response::builder().status(status).body(body.to_owned()).unwrap()
}

/// The bodies of the messages of a request to Service Bus.
fn bodies(request: &Request<Bytes>) -> Vec<String> {
    let items: Vec<Value> = serde_json::from_slice(request.body()).unwrap();
    items.iter().map(|item| item["Body"].as_str().unwrap().to_owned()).collect()
}

/// Kind and unknown outcome of each error, `None` for a stored message.
fn errors(results: &[Result<MessageId>]) -> Vec<Option<(ErrorKind, bool)>> {
    results.iter().map(|result| result.as_ref().err().map(|error| (error.kind(), error.outcome_unknown()))).collect()
}

#[tokio::test]
async fn a_rejected_token_is_renewed_once_for_all_calls_with_it() {
    let double = Double::new(|request| match request.uri().path() {
        "/msi" => status(200, "{\"access_token\":\"hush\",\"expires_on\":\"4102444800\"}"),
        _ => status(401, "<Error><Code>401</Code><Detail>ExpiredToken: The token is expired.</Detail></Error>"),
    })
    .await;
    for url in ["servicebus://clicks?endpoint=", "azqueue://clicks?account=acc&endpoint="] {
        let state = by_identity(&double.url);
        let topic = open(&state, &at(&format!("{url}{}", double.url))).unwrap();
        let before = double.requests().len();
        let unauthenticated = Some((ErrorKind::Unauthenticated, false));
        assert_eq!(errors(&topic.publish(vec![plain("a")]).await), [unauthenticated], "{url}");
        assert_eq!(double.requests().len() - before, 2, "a new token is neither renewed nor sent again: {url}");
        state.credentials.age();
        assert_eq!(errors(&topic.publish(vec![plain("a")]).await), [unauthenticated], "{url}");
        let requests = double.requests().split_off(before + 2);
        assert_eq!(requests.iter().filter(|it| it.starts_with("POST")).count(), 2, "{requests:?}");
        let token = double.request(before + 2, |request| request.headers()["authorization"].clone());
        assert_eq!(token, "Bearer hush");
    }
}

fn by_identity(url: &str) -> Arc<State> {
    let environment =
        Environment::default().with_var("IDENTITY_ENDPOINT", format!("{url}/msi")).with_var("IDENTITY_HEADER", "x");
    AzureProvider::new(AzureConfig::from_environment(&environment).unwrap()).state
}
