//! Topics of Service Bus.

use base64::Engine;

use super::*;

async fn publish(double: &Double, messages: Vec<RawMessage>) -> Vec<Result<MessageId>> {
    open(&state(&double.url), &at("servicebus://clicks")).unwrap().publish(messages).await
}

#[tokio::test]
async fn a_message_is_sent_with_its_id_its_properties_and_a_token() {
    let double = Double::new(|_| status(201, "")).await;
    let mut message = plain("a é");
    message.attributes.insert("Lang".to_owned(), "käse".to_owned());
    let id = publish(&double, vec![message]).await.remove(0).unwrap();
    assert_eq!(double.requests(), ["POST /clicks/messages"]);
    double.request(0, |request| {
        let item = &serde_json::from_slice::<Value>(request.body()).unwrap()[0];
        let expected = serde_json::json!({
            "Body": "a é", "BrokerProperties": {"MessageId": id.as_str()},
            "UserProperties": {
                // The copy is for readers over REST, where properties are headers.
                "Lang": "käse", "traceparent": TRACE, "isobar-meta": base64::prelude::BASE64_STANDARD.encode(
                    format!("{{\"id\":\"{id}\",\"at\":{NOW},\"exact\":{{\"Lang\":\"käse\"}}}}")
                ),
            },
        });
        assert_eq!(*item, expected);
        assert_eq!(request.headers()["content-type"], "application/vnd.microsoft.servicebus.json");
        let token = request.headers()["authorization"].to_str().unwrap();
        assert!(token.starts_with("SharedAccessSignature sr=http%3A%2F%2F127.0.0.1%3A"), "{token}");
        assert!(token.contains("%2Fclicks&sig=") && token.ends_with("&skn=all"), "{token}");
    });
}

#[tokio::test]
async fn a_delayed_message_is_scheduled_alone() {
    let double = Double::new(|_| status(201, "")).await;
    let later = plain("later").with_due(SystemTime::UNIX_EPOCH + Duration::from_millis(NOW + 60_000));
    assert_eq!(errors(&publish(&double, vec![plain("now"), later]).await), [None, None]);
    let times = double.request(0, |request| {
        let items: Vec<Value> = serde_json::from_slice(request.body()).unwrap();
        items.iter().map(|item| item["BrokerProperties"]["ScheduledEnqueueTimeUtc"].clone()).collect::<Vec<_>>()
    });
    assert_eq!(times, [Value::Null, "Thu, 01 Jan 2026 00:01:01 GMT".into()], "never too early");
}

#[tokio::test]
async fn a_topic_with_the_name_messages_is_signed_correctly() {
    let double = Double::new(|_| status(201, "")).await;
    let topic = open(&state(&double.url), &at("servicebus://messages")).unwrap();
    assert!(topic.publish(vec![plain("a")]).await[0].is_ok());
    assert_eq!(double.requests(), ["POST /messages/messages"]);
    let token = double.request(0, |request| request.headers()["authorization"].clone());
    assert!(token.to_str().unwrap().contains("%2Fmessages&sig="), "{token:?}");
}

#[tokio::test]
async fn a_batch_is_split_by_count_and_by_bytes() {
    let double = Double::new(|_| status(201, "")).await;
    let results = publish(&double, (0..230).map(|number| plain(number.to_string())).collect()).await;
    assert!(results.iter().all(Result::is_ok) && results.len() == 230);
    let mut sizes: Vec<_> = (0..3).map(|place| double.request(place, |request| bodies(request).len())).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [30, 100, 100]);
    let double = Double::new(|_| status(201, "")).await;
    publish(&double, (0..5).map(|_| plain("x".repeat(100_000))).collect()).await;
    let mut sizes: Vec<_> = (0..3).map(|place| double.request(place, |request| bodies(request).len())).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 2, 2]);
}

#[tokio::test]
async fn an_invalid_message_does_not_fail_the_others_of_its_batch() {
    let double = Double::new(|request| match bodies(request).iter().any(|body| body == "bad") {
        true => status(400, "<Error><Code>400</Code><Detail>no</Detail></Error>"),
        false => status(201, ""),
    })
    .await;
    let results = publish(&double, ["a", "bad", "b"].map(plain).into()).await;
    assert_eq!(errors(&results), [None, Some((ErrorKind::InvalidInput, false)), None]);
    let results = publish(&double, vec![keyed("k", "a"), keyed("k", "bad"), keyed("k", "b"), keyed("l", "c")]).await;
    let invalid = Some((ErrorKind::InvalidInput, false));
    assert_eq!(errors(&results), [None, invalid, invalid, None], "no message is sent after a failed one with its key");
}

#[tokio::test]
async fn messages_with_a_key_go_to_the_second_topic_in_a_session_and_in_order() {
    let double = Double::new(|_| status(201, "")).await;
    let messages = (0..150).map(|number| keyed(["a", "b"][number % 2], &number.to_string()));
    assert!(publish(&double, messages.collect()).await.iter().all(Result::is_ok));
    assert_eq!(double.requests(), ["POST /clicks--fifo/messages"; 2]);
    let sent: Vec<_> = (0..2).flat_map(|place| double.request(place, bodies)).collect();
    assert_eq!(sent, (0..150).map(|number| number.to_string()).collect::<Vec<_>>());
    double.request(0, |request| {
        let items: Value = serde_json::from_slice(request.body()).unwrap();
        assert_eq!(items[1]["BrokerProperties"]["SessionId"], "b");
    });
}

#[tokio::test]
async fn errors_have_their_kind_and_show_no_secret() {
    let too_large = ErrorKind::TooLarge;
    let throttled = ErrorKind::Throttled;
    // The service's messages: <https://learn.microsoft.com/azure/service-bus-messaging/service-bus-messaging-exceptions>.
    for (code, detail, kind, unknown) in [
        (401, "InvalidSignature: The token has an invalid signature. hush", ErrorKind::Unauthenticated, false),
        (401, "Unauthorized access. 'Send' claim(s) are required to perform this operation. hush", PERMISSION, false),
        (403, "", PERMISSION, false),
        (403, "message size exceeded", too_large, false),
        (
            403,
            "The maximum entity size has been reached or exceeded for Topic: 'CLICKS'. Size of entity in bytes: 9",
            FULL,
            false,
        ),
        (413, "", too_large, false),
        (404, "", ErrorKind::NotFound, false),
        (410, "", ErrorKind::NotFound, false),
        (429, "", throttled, false),
        (503, "The request was terminated because the entity is being throttled.", throttled, false),
        (500, "", ErrorKind::Unavailable, true),
        (503, "", ErrorKind::Unavailable, true),
    ] {
        let body = format!("<Error><Code>{code}</Code><Detail>{detail}</Detail></Error>");
        let double = Double::new(move |_| status(code, &body)).await;
        let results = publish(&double, vec![plain("hush-body"), plain("x")]).await;
        assert_eq!(errors(&results), [Some((kind, unknown)); 2], "{code} {detail}");
        assert!(!format!("{results:?}").contains("hush"), "{results:?}");
    }
}

const PERMISSION: ErrorKind = ErrorKind::PermissionDenied;
/// A full topic accepts messages again after some were received.
const FULL: ErrorKind = ErrorKind::Unavailable;

#[tokio::test]
async fn a_missing_permission_and_a_full_topic_are_not_retried() {
    for (code, detail) in [(401, "'Send' claim(s) are required"), (403, "The maximum entity size has been reached")] {
        let body = format!("<Error><Code>{code}</Code><Detail>{detail}</Detail></Error>");
        let double = Double::new(move |_| status(code, &body)).await;
        publish(&double, vec![plain("a"), plain("b")]).await;
        assert_eq!(double.requests().len(), 1, "{detail}");
    }
}

#[tokio::test]
async fn a_rejected_signature_is_created_again_once() {
    let double = Double::new(|_| status(401, "")).await;
    publish(&double, vec![plain("a")]).await;
    assert_eq!(double.requests().len(), 2);
}

#[tokio::test]
async fn a_ready_signature_is_sent_unchanged_and_never_shown() {
    let double = Double::new(|request| match request.headers()["authorization"].to_str() {
        Ok("SharedAccessSignature sr=x&sig=hush%3D&se=9&skn=p") => status(201, ""),
        _ => status(400, ""),
    })
    .await;
    let connection = format!(
        "Endpoint={};SharedAccessSignature=SharedAccessSignature sr=x&sig=hush%3D&se=9&skn=p;UseDevelopmentEmulator=true",
        double.url.replacen("http", "sb", 1)
    );
    let environment = Environment::default().with_var("AZURE_SERVICEBUS_CONNECTION_STRING", connection);
    let state = AzureProvider::new(AzureConfig::from_environment(&environment).unwrap()).state;
    let topic = open(&state, &at("servicebus://clicks")).unwrap();
    assert_eq!(errors(&topic.publish(vec![plain("a")]).await), [None]);
    assert!(!format!("{topic:?}").contains("hush"));
}
