use std::sync::atomic::{AtomicU32, Ordering};

use isobar_abstraction::ErrorKind;
use isobar_abstraction::driver::Environment;
use serde_json::json;

use super::*;
use crate::{GcpConfig, GcpProvider};
use isobar_testkit::Double;

#[allow(clippy::needless_pass_by_value)] // text, or JSON made in place
fn answer(status: u16, body: impl ToString) -> Response<String> {
    Response::builder().status(status).header("metadata-flavor", "Google").body(body.to_string()).unwrap()
}

/// A metadata server that numbers its tokens.
async fn metadata() -> Double {
    let count = AtomicU32::new(0);
    Double::new(move |_| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        answer(200, json!({"access_token": format!("token-{number}"), "expires_in": 3_600}))
    })
    .await
}

fn service(metadata: &Double, url: &str, access: Access) -> GoogleService {
    let host = metadata.url.strip_prefix("http://").unwrap();
    let environment = Environment::default().with_var("GCE_METADATA_HOST", host);
    let mut config = GcpConfig::from_environment(&environment).unwrap();
    config.client.min_backoff = std::time::Duration::from_millis(1);
    let state = GcpProvider::new(config).0;
    GoogleService::new(state, Endpoint { url: url.to_owned(), access }, "the topic `clicks` of Pub/Sub".to_owned())
}

async fn publish(service: &GoogleService) -> Result<ServiceResult<Bytes>> {
    service.json("Publish", Safety::Once, "/v1/projects/p/topics/clicks:publish", &json!({"messages": []})).await
}

#[tokio::test]
async fn a_token_is_sent_to_google_and_not_to_emulators() {
    let metadata = metadata().await;
    let double = Double::new(|_| answer(200, "{}")).await;
    publish(&service(&metadata, &double.url, Access::Anonymous)).await.unwrap().unwrap();
    assert!(metadata.requests().is_empty());
    assert!(double.request(0, |request| request.headers().get("authorization").is_none()));
    publish(&service(&metadata, &double.url, Access::Identity)).await.unwrap().unwrap();
    assert_eq!(double.request(1, |request| request.headers()["authorization"].clone()), "Bearer token-1");
    assert_eq!(double.requests()[1], "POST /v1/projects/p/topics/clicks:publish");
    assert_eq!(double.request(1, |request| request.body().clone()), r#"{"messages":[]}"#);
}

#[tokio::test]
async fn a_rejected_token_is_renewed_once() {
    let metadata = metadata().await;
    let accepting = |expected: &'static str| {
        Double::new(move |request| {
            let valid = request.headers()["authorization"] == expected;
            let service_error = json!({"error": {"code": 401, "status": "UNAUTHENTICATED", "message": "hush"}});
            if valid { answer(200, "{}") } else { answer(401, service_error) }
        })
    };
    let second = accepting("Bearer token-2").await;
    let service = service(&metadata, &second.url, Access::Identity);
    service.state.credentials.token().await.unwrap();
    service.state.credentials.age();
    publish(&service).await.unwrap().unwrap();
    assert_eq!(second.requests().len(), 2);

    let never = accepting("Bearer no").await;
    let service = GoogleService { endpoint: Endpoint { url: never.url.clone(), ..service.endpoint }, ..service };
    service.state.credentials.age();
    let error = Error::from(publish(&service).await.unwrap().unwrap_err());
    assert_eq!((error.kind(), never.requests().len()), (ErrorKind::Unauthenticated, 2));
    assert!(!error.message().contains("hush") && !error.outcome_unknown(), "{error}");
}

#[tokio::test]
async fn a_call_that_may_have_been_applied_is_not_repeated() {
    let metadata = metadata().await;
    let double = Double::new(|_| answer(503, "<html>")).await;
    let service = service(&metadata, &double.url, Access::Anonymous);
    let error = Error::from(publish(&service).await.unwrap().unwrap_err());
    assert_eq!((error.kind(), error.outcome_unknown(), double.requests().len()), (ErrorKind::Unavailable, true, 1));
    let read = service.json("Get", Safety::Read, "/v1/x", &json!({})).await.unwrap().unwrap_err();
    assert_eq!((read.uncertain, double.requests().len()), (false, 6), "a read is tried five times");
}
