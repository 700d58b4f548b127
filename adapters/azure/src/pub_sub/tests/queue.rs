//! Topics in Storage Queues.

use super::*;

async fn publish(double: &Double, url: &str, messages: Vec<RawMessage>) -> Vec<Result<MessageId>> {
    open(&state(&double.url), &at(url)).unwrap().publish(messages).await
}

#[tokio::test]
async fn every_subscription_has_a_queue_and_a_partial_failure_has_an_unknown_outcome() {
    let double = Double::new(|request| {
        let missing = request.uri().path().contains("/gone/");
        if missing { status(404, "<Error><Code>QueueNotFound</Code></Error>") } else { status(201, "") }
    })
    .await;
    let results = publish(&double, "azqueue://clicks?subscriptions=clicks,audit", vec![plain("a")]).await;
    assert_eq!((errors(&results), double.requests().len()), (vec![None], 2));
    let results = publish(&double, "azqueue://clicks?subscriptions=clicks,gone", vec![plain("a")]).await;
    assert_eq!(errors(&results), [Some((ErrorKind::NotFound, true))]);
    assert!(results[0].as_ref().unwrap_err().message().contains("the queue `gone` of the storage account `devstore`"));
    for wrong in ["clicks,B", "clicks,", "clicks,a--b"] {
        let url = format!("azqueue://clicks?subscriptions={wrong}");
        assert_eq!(open(&state(&double.url), &at(&url)).unwrap_err().kind(), ErrorKind::Config, "{wrong}");
    }
}

#[tokio::test]
async fn a_message_that_the_service_does_not_support_is_rejected_without_a_request() {
    let double = Double::new(|_| status(201, "")).await;
    let large = plain("x".repeat(storage_queue::LARGEST));
    let results = publish(&double, "azqueue://clicks", vec![keyed("k", "a"), large, plain("b")]).await;
    let too_large = ErrorKind::TooLarge;
    assert_eq!(errors(&results), [Some((ErrorKind::Unsupported, false)), Some((too_large, false)), None]);
    assert_eq!(double.requests().len(), 1);
}

#[tokio::test]
async fn a_delayed_message_is_hidden() {
    let double = Double::new(|_| status(201, "")).await;
    let due = |millis| plain("a").with_due(SystemTime::UNIX_EPOCH + Duration::from_millis(millis));
    publish(&double, "azqueue://clicks", vec![due(NOW + 59_001)]).await;
    publish(&double, "azqueue://clicks", vec![due(NOW - 1)]).await;
    let path = "POST /devstore/clicks/messages?messagettl=-1";
    assert_eq!(double.requests(), [format!("{path}&visibilitytimeout=60"), path.to_owned()]);
}

#[tokio::test]
async fn errors_show_no_secret() {
    let throttled = ErrorKind::Throttled;
    for (code, name, kind, unknown) in [
        (403, "AuthenticationFailed", ErrorKind::Unauthenticated, false),
        (403, "AuthorizationFailure", ErrorKind::PermissionDenied, false),
        (403, "AuthorizationPermissionMismatch", ErrorKind::PermissionDenied, false),
        (409, "QueueBeingDeleted", ErrorKind::Unavailable, false),
        (503, "ServerBusy", throttled, false),
        (503, "OperationTimedOut", ErrorKind::Unavailable, true),
        (413, "RequestBodyTooLarge", ErrorKind::TooLarge, false),
        (500, "InternalError", ErrorKind::Unavailable, true),
    ] {
        let body = format!("<Error><Code>{name}</Code><Message>no</Message></Error>");
        let double = Double::new(move |_| status(code, &body)).await;
        let results = publish(&double, "azqueue://clicks", vec![plain("hush")]).await;
        assert_eq!(errors(&results), [Some((kind, unknown))], "{name}");
        assert!(!format!("{results:?}").contains("hush"));
    }
}
