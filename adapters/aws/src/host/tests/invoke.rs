//! Direct calls, schedules, pings and events without a handler.

use super::*;

#[tokio::test]
async fn direct_call_returns_the_functions_json() {
    let host = Host::alone();
    let call = json!({"isobar": "invoke", "function": "echo", "payload": {"b": [1, null], "a": "ü"}});
    assert_eq!(host.ask(&call).await.unwrap(), json!({"b": [1, null], "a": "ü"}));
    assert_eq!(host.ask(&json!({"isobar": "invoke", "function": "echo"})).await.unwrap(), json!(null));
}

#[tokio::test]
async fn direct_call_that_fails_is_a_failed_invocation() {
    let host = Host::alone();
    let error = host.ask(&json!({"isobar": "invoke", "function": "fails"})).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::NotFound, "no such page"));
    for (call, kind, named) in [
        (json!({"isobar": "invoke", "function": "missing"}), ErrorKind::NotFound, "`missing`"),
        (json!({"isobar": "invoke"}), ErrorKind::InvalidInput, "`function`"),
        (json!({"isobar": "invoke", "function": 7}), ErrorKind::InvalidInput, "`function`"),
        (json!({"isobar": "schedule", "schedule": "missing"}), ErrorKind::NotFound, "`missing`"),
        (json!({"isobar": "schedule"}), ErrorKind::InvalidInput, "`schedule`"),
        (json!({"isobar": "schedule", "schedule": "sweep", "due": "soon"}), ErrorKind::InvalidInput, "`due`"),
        (json!({"isobar": "teleport"}), ErrorKind::InvalidInput, "`isobar`"),
    ] {
        let error = host.ask(&call).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{call}");
        assert!(error.message().contains(named), "{error}");
    }
}

/// Events from the documentation of each service, shortened.
fn foreign() -> Vec<(Value, &'static str)> {
    let (bucket, arn) = ("arn:aws:s3:::pages", "arn:aws:lambda:eu-west-1:123456789012:function:shop");
    vec![
        (
            json!({"messageVersion": "1.0", "invocationSource": "DialogCodeHook", "sessionId": "s", "inputTranscript": "hi",
                "bot": {"id": "B", "name": "Orders", "aliasId": "A", "localeId": "en_US", "version": "DRAFT"},
                "sessionState": {"intent": {"name": "Order", "state": "InProgress"}}}),
            "Lex",
        ),
        (
            json!({"currentIntent": {"name": "Order", "slots": {}}, "bot": {"name": "Orders", "alias": "$LATEST"},
                "userId": "u", "messageVersion": "1.0", "invocationSource": "FulfillmentIntent"}),
            "Lex",
        ),
        (
            json!({"invokingEvent": "{\"messageType\":\"ScheduledNotification\"}", "ruleParameters": "{}",
                "resultToken": "t", "executionRoleArn": "arn", "configRuleName": "rule", "accountId": "123456789012"}),
            "AWS Config",
        ),
        (
            json!({"token": "t", "signatureVerified": false, "protocols": ["mqtt"],
                "protocolData": {"mqtt": {"username": "u", "clientId": "c"}}, "connectionMetadata": {"id": "i"}}),
            "IoT Core",
        ),
        (
            json!({"invocationSchemaVersion": "1.0", "invocationId": "i", "job": {"id": "j"},
                "tasks": [{"taskId": "t", "s3Key": "a", "s3VersionId": "1", "s3BucketArn": bucket}]}),
            "S3 Batch",
        ),
        (
            json!({"xAmzRequestId": "r", "getObjectContext": {"inputS3Url": "https://x"}, "configuration": {},
                "userRequest": {"url": "https://x", "headers": {}}, "userIdentity": {}, "protocolVersion": "1.00"}),
            "S3 Object Lambda",
        ),
        (
            json!({"version": "1.0", "session": {"new": true}, "context": {"System": {}}, "request": {"type": "LaunchRequest"}}),
            "Alexa",
        ),
        (
            json!({"arguments": {"id": 1}, "identity": null, "source": {}, "request": {"headers": {}},
                "info": {"fieldName": "post", "parentTypeName": "Query"}, "prev": null}),
            "AppSync",
        ),
        (json!({"Name": "ContactFlowEvent", "Details": {"ContactData": {}, "Parameters": {}}}), "Connect"),
        (
            json!({"version": "1.0", "timestamp": "2026-01-01T00:00:00Z", "requestContext": {"requestId": "r",
                "functionArn": arn, "condition": "Success"}, "requestPayload": {}, "responsePayload": {}}),
            "another function",
        ),
        (
            json!({"version": "0", "id": "i", "source": "com.example", "detail-type": "Scheduled Event", "detail": {},
                "resources": ["arn:aws:events:eu-west-1:123456789012:rule/sweep"]}),
            "EventBridge",
        ),
        (json!({"Records": []}), "an event without records"),
        (json!({"id": "x"}), "the fields `id`"),
        (json!({"isobar": null, "function": "echo"}), "isobar does not know"),
        (json!([1]), "no fields"),
        (json!("text"), "no fields"),
        (json!(7), "no fields"),
    ]
}

#[tokio::test]
async fn only_the_envelope_calls_the_only_function_of_an_app() {
    let app = |_: &Cloud, _: &Seen| {
        App::new("one").on_invoke("echo", |_: Value, _| async { panic!("it ran") as Result<Value, Error> })
    };
    let host = Host::with("http://127.0.0.1:1", &[], app);
    for (event, kind) in foreign() {
        let error = host.ask(&event).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{event}");
        assert!(error.message().contains(kind), "{kind}: {error}");
        assert!(
            error.message().contains(r#"{"isobar":"invoke""#),
            "the error contains the envelope of a call: {error}"
        );
    }
    assert_eq!(host.reply(b"").await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn field_of_an_envelope_that_is_not_a_string_is_an_error() {
    let host = Host::alone();
    for wrong in [json!(5), json!(true), json!(["x"]), json!({}), json!(1.5)] {
        for (mut envelope, name) in [
            (json!({"isobar": "schedule", "schedule": "sweep"}), "due"),
            (json!({"isobar": "schedule"}), "schedule"),
            (json!({"isobar": "invoke"}), "function"),
        ] {
            envelope[name] = wrong.clone();
            let error = host.ask(&envelope).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{envelope}");
            assert!(error.message().contains(&format!("`{name}`")), "{error}");
        }
    }
    for due in ["", "soon", "2026-01-01", "<aws.scheduler.scheduled-time>", "1767225600"] {
        let error = host.ask(&json!({"isobar": "schedule", "schedule": "sweep", "due": due})).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{due}");
    }
    assert!(host.seen().is_empty());
}

#[tokio::test]
async fn schedule_runs_by_a_rule_by_the_scheduler_and_by_the_envelope() {
    let host = Host::alone();
    let rule = json!({
        "version": "0", "detail-type": "Scheduled Event", "source": "aws.events", "time": "2026-01-01T03:00:00Z",
        "resources": ["arn:aws:events:eu-west-1:123456789012:rule/sweep"], "detail": {},
    });
    assert_eq!(host.ask(&rule).await.unwrap(), json!(null));
    let mut scheduler = rule;
    scheduler["source"] = json!("aws.scheduler");
    scheduler["resources"] = json!(["arn:aws:scheduler:eu-west-1:123456789012:schedule/default/sweep"]);
    assert_eq!(host.ask(&scheduler).await.unwrap(), json!(null));
    let input = json!({"isobar": "schedule", "schedule": "sweep", "due": "2026-01-01T04:00:00+01:00"});
    assert_eq!(host.ask(&input).await.unwrap(), json!(null));
    assert_eq!(host.seen(), ["sweep 2026-01-01T03:00:00.000Z"; 3]);
    host.ask(&json!({"isobar": "schedule", "schedule": "sweep"})).await.unwrap();
    assert_eq!(host.seen(), ["sweep 2026-01-01T00:00:00.000Z"], "it is due now");
}

#[tokio::test]
async fn ping_is_answered_without_the_app() {
    let host = Host::alone();
    for ping in [json!({"isobar": "ping"}), json!({"source": "serverless-plugin-warmup"}), json!({"warmer": true})] {
        assert_eq!(host.ask(&ping).await.unwrap(), json!({"isobar": "pong"}));
    }
    let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "pages", "RequestId": "x"});
    assert_eq!(host.ask(&test).await.unwrap(), json!(null));
    assert!(host.seen().is_empty());
}

#[tokio::test]
async fn event_without_handler_is_an_error_with_its_kind() {
    let host = Host::alone();
    for (event, kind) in [
        (json!({"Records": [{"eventSource": "aws:kinesis"}]}), "records of a Kinesis stream"),
        (json!({"awslogs": {"data": "hunter2"}}), "a batch of CloudWatch Logs"),
        (json!({"triggerSource": "PreSignUp", "userPoolId": "hunter2"}), "a Cognito user pool"),
        (json!({"type": "TOKEN", "methodArn": "arn", "authorizationToken": "hunter2"}), "an authorizer"),
        (json!({"source": "hunter2", "detail-type": "hunter2"}), "EventBridge"),
        (json!({"password": "hunter2"}), "the fields `password`"),
        (json!(["hunter2"]), "no fields"),
    ] {
        let error = host.ask(&event).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{event}");
        let text = format!("{error} {error:?}");
        assert!(text.contains(kind) && text.contains("app `shop`"), "{text}");
        for handled in ["HTTP", "topic `clicks`", "bucket `pages`", "schedule `sweep`", "function `echo`"] {
            assert!(text.contains(handled), "{text}");
        }
        assert!(!text.contains("hunter2"), "{text}");
    }
}
