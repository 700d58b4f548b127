//! Messages without an ordering key.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

#[tokio::test]
async fn the_url_names_another_project_and_its_name_is_escaped() {
    let double = Double::new(accepted).await;
    let url = ResourceUrl::parse(&format!("pubsub://a%b+c~d?project=proj-2&endpoint={}", double.url)).unwrap();
    let topic = open(&state("http://127.0.0.1:1"), &at().with_url(url)).unwrap();
    assert_eq!(ids(&topic.publish(vec![plain("a")]).await), ["id-a"]);
    assert_eq!(double.requests(), ["POST /v1/projects/proj-2/topics/a%25b+c~d:publish"]);
}

#[tokio::test]
async fn a_batch_is_split_by_count_and_by_bytes_and_answered_in_its_order() {
    let double = Double::new(accepted).await;
    let results = publish(&double, (0..2_300).map(|number| plain(number.to_string())).collect()).await;
    assert_eq!(ids(&results), (0..2_300).map(|number| format!("id-{number}")).collect::<Vec<_>>());
    let mut sizes: Vec<_> = requests(&double).iter().map(Vec::len).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [300, 1_000, 1_000]);
    let double = Double::new(accepted).await;
    let results = publish(&double, (0..5).map(|_| plain("x".repeat(3_000_000))).collect()).await;
    assert_eq!(errors(&results), [None; 5]);
    let mut sizes: Vec<_> = requests(&double).iter().map(Vec::len).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 2, 2]);
    for index in 0..3 {
        assert!(double.request(index, |request| request.body().len()) <= 10_000_000);
    }
}

#[tokio::test]
async fn a_rejected_message_does_not_affect_the_others() {
    let double = Double::new(|request| match bodies(request).iter().any(|body| body == "bad") {
        true => rejected(400, "INVALID_ARGUMENT", "no"),
        false => accepted(request),
    })
    .await;
    let results = publish(&double, ["a", "bad", "b"].map(plain).into()).await;
    assert_eq!(errors(&results), [None, Some((ErrorKind::InvalidInput, false)), None]);
    assert_eq!((results[0].as_ref().unwrap().as_str(), results[2].as_ref().unwrap().as_str()), ("id-a", "id-b"));
}

#[tokio::test]
async fn a_response_without_an_id_for_each_message_leaves_all_unknown() {
    let unknown = Some((ErrorKind::Internal, true));
    for answer in [
        "",
        "{",
        "[]",
        "null",
        "{}",
        r#"{"messageIds":null}"#,
        r#"{"messageIds":["1"]}"#,
        r#"{"messageIds":["1","2","3"]}"#,
        r#"{"messageIds":["1",""]}"#,
        r#"{"messageIds":[1,2]}"#,
        "<html>",
    ] {
        let double = Double::new(move |_| status(200, answer)).await;
        assert_eq!(errors(&publish(&double, vec![plain("a"), plain("b")]).await), [unknown; 2], "{answer}");
        assert_eq!(double.requests().len(), 1, "the request is not repeated: {answer}");
    }
}

/// A response of Google that throttles, with a delay.
fn throttled() -> Response<String> {
    let retry = json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.5s"}]);
    let error = json!({"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "slow down", "details": retry});
    status(429, json!({ "error": error }).to_string())
}

#[tokio::test]
async fn the_error_of_a_throttled_call_has_the_delay() {
    let double = Double::new(|_| throttled()).await;
    let results = publish(&double, vec![plain("a"), keyed("k", "b")]).await;
    assert_eq!(errors(&results), [Some((ErrorKind::Throttled, false)); 2]);
    assert!(results.iter().all(|it| it.as_ref().unwrap_err().retry_after() == Some(Duration::from_millis(1_500))));
    assert!(double.requests().len() > 2);
}

#[tokio::test]
async fn a_service_error_after_a_lost_response_has_an_unknown_outcome() {
    let count = AtomicU32::new(0);
    let double = Double::new(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        0 => rejected(503, "UNAVAILABLE", "later"),
        _ => rejected(400, "INVALID_ARGUMENT", "no"),
    })
    .await;
    let results = publish(&double, vec![plain("a"), plain("b")]).await;
    assert_eq!(errors(&results), [Some((ErrorKind::InvalidInput, true)); 2]);
    assert_eq!(double.requests().len(), 2, "they may be stored: none is sent separately");
}

#[tokio::test]
async fn errors_contain_the_next_step() {
    let throttled = ErrorKind::Throttled;
    for (code, name, kind, unknown, text) in [
        (404, "NOT_FOUND", ErrorKind::NotFound, false, "gcloud pubsub topics create clicks --project proj-1"),
        (403, "PERMISSION_DENIED", ErrorKind::PermissionDenied, false, "roles/pubsub.publisher"),
        (401, "UNAUTHENTICATED", ErrorKind::Unauthenticated, false, "renew them"),
        (400, "INVALID_ARGUMENT", ErrorKind::InvalidInput, false, "clicks"),
        (413, "", ErrorKind::TooLarge, false, "bucket"),
        (429, "RESOURCE_EXHAUSTED", throttled, false, "clicks"),
        (409, "ABORTED", ErrorKind::Unavailable, false, "clicks"),
        (503, "UNAVAILABLE", ErrorKind::Unavailable, true, "clicks"),
        (500, "INTERNAL", ErrorKind::Unavailable, true, "clicks"),
        (504, "DEADLINE_EXCEEDED", ErrorKind::Timeout, true, "clicks"),
    ] {
        let double = Double::new(move |_| rejected(code, name, "as Google says")).await;
        let results = publish(&double, vec![plain("hush-body"), plain("x")]).await;
        assert_eq!(errors(&results), [Some((kind, unknown)); 2], "{code} {name}");
        let error = results[0].as_ref().unwrap_err();
        assert!(error.message().contains(text), "{code}: {}", error.message());
        assert!(!format!("{results:?}").contains("hush"), "{results:?}");
    }
}

#[tokio::test]
async fn a_message_that_is_too_large_has_its_own_kind_of_error() {
    for message in [
        "Request payload size exceeds the limit: 10485760 bytes.",
        "The value for 10159812 is too large. You passed request_size in the request, but the maximum value is 10000000.",
    ] {
        let double = Double::new(move |request| match bodies(request).iter().any(|body| body == "large") {
            true => rejected(400, "INVALID_ARGUMENT", message),
            false => accepted(request),
        })
        .await;
        let results = publish(&double, vec![plain("large"), plain("a")]).await;
        assert_eq!(errors(&results), [Some((ErrorKind::TooLarge, false)), None], "{message}");
    }
}

#[tokio::test]
async fn without_a_project_nothing_is_sent() {
    let double = Double::new(accepted).await;
    let environment = Environment::default().with_var("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json");
    let state = GcpProvider::new(GcpConfig::from_environment(&environment).unwrap()).0;
    let url = ResourceUrl::parse(&format!("pubsub://clicks?endpoint={}", double.url)).unwrap();
    let results = open(&state, &at().with_url(url)).unwrap().publish(vec![plain("a")]).await;
    assert_eq!(errors(&results), [Some((ErrorKind::Config, false))]);
    assert!(double.requests().is_empty());
}
