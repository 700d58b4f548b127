//! What is accepted from Slack, and what is replied.

use std::time::Duration;

use isobar::prelude::*;
use serde_json::{Value, json};

use crate::fake_service::FakeService;
use crate::senders::{
    SIGNING_SECRET, SLACK_BOT_TOKEN, bot, bot_that_sends_nothing, changed, fixture, post, sign, slack, timestamp,
};

const SIGNATURE: &str = "x-slack-signature";
const TIMESTAMP: &str = "x-slack-request-timestamp";

#[tokio::test]
async fn a_direct_message_is_echoed() -> Result<()> {
    let service = FakeService::start().await;
    let client = bot(&service);
    assert_eq!(slack(&client, fixture("slack_message_im")).await.status, StatusCode::OK);
    assert!(service.seen().is_empty());
    assert_eq!(client.deliver_all().await?.acked, 1);
    let seen = service.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].path, "/chat.postMessage");
    assert_eq!(seen[0].headers["authorization"], format!("Bearer {SLACK_BOT_TOKEN}"));
    let text = "Hello hello can you hear me?\n(message 1 of this conversation)";
    assert_eq!(seen[0].body, json!({"channel": "D024BE91L", "text": text}));
    Ok(())
}

#[tokio::test]
async fn a_mention_is_answered_in_its_thread_without_the_mention() -> Result<()> {
    let service = FakeService::start().await;
    let client = bot(&service);
    slack(&client, fixture("slack_app_mention")).await;
    client.deliver_all().await?;
    let text = "is it everything a river should be?\n(message 1 of this conversation)";
    let expected = json!({"channel": "C123ABC456", "text": text, "thread_ts": "1515449500.000001"});
    assert_eq!(service.seen()[0].body, expected);
    Ok(())
}

#[tokio::test]
async fn the_challenge_is_answered_only_when_it_is_signed() -> Result<()> {
    let client = bot_that_sends_nothing();
    let body = fixture("slack_url_verification");
    let answer = slack(&client, &body).await;
    assert_eq!(answer.status, StatusCode::OK);
    let challenge = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P";
    assert_eq!(answer.json::<Value>()?, json!({"challenge": challenge}));
    assert_eq!(post(&client, "/slack", &[], body).await.status, StatusCode::UNAUTHORIZED);
    Ok(())
}

#[tokio::test]
async fn a_missing_or_wrong_signature_is_refused() {
    let client = bot_that_sends_nothing();
    let (body, now) = (fixture("slack_message_im"), timestamp(&client));
    let good = sign(SIGNING_SECRET, &now, &body);
    let (other, unversioned) = (sign("another secret", &now, &body), good.trim_start_matches("v0="));
    let (empty, upper) = (sign("", &now, &body), good.to_uppercase());
    let cases: Vec<Vec<(&str, &str)>> = vec![
        vec![],
        vec![(SIGNATURE, &good)],
        vec![(TIMESTAMP, &now)],
        vec![(SIGNATURE, ""), (TIMESTAMP, &now)],
        vec![(SIGNATURE, "v0="), (TIMESTAMP, &now)],
        vec![(SIGNATURE, &other), (TIMESTAMP, &now)],
        vec![(SIGNATURE, &empty), (TIMESTAMP, &now)],
        vec![(SIGNATURE, unversioned), (TIMESTAMP, &now)],
        vec![(SIGNATURE, &upper), (TIMESTAMP, &now)],
        vec![(SIGNATURE, &good), (TIMESTAMP, "yesterday")],
        vec![(SIGNATURE, &good), (TIMESTAMP, "18446744073709551615")],
        vec![(SIGNATURE, &good), (TIMESTAMP, "-1")],
    ];
    for headers in cases {
        let answer = post(&client, "/slack", &headers, body.clone()).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{headers:?}");
    }
    assert!(client.waiting("incoming").is_empty());
}

#[tokio::test]
async fn a_request_is_good_for_five_minutes() {
    let client = bot_that_sends_nothing();
    let (body, then) = (fixture("slack_message_im"), timestamp(&client));
    let signature = sign(SIGNING_SECRET, &then, &body);
    let headers = [(SIGNATURE, signature.as_str()), (TIMESTAMP, &then)];
    client.advance(Duration::from_secs(300));
    assert_eq!(post(&client, "/slack", &headers, body.clone()).await.status, StatusCode::OK);
    client.advance(Duration::from_secs(1));
    let stale = post(&client, "/slack", &headers, body.clone()).await;
    assert_eq!(stale.status, StatusCode::UNAUTHORIZED);
    assert!(stale.text().contains("five minutes"), "{}", stale.text());
    let ahead = (then.parse::<u64>().unwrap() + 301 + 301).to_string();
    let signature = sign(SIGNING_SECRET, &ahead, &body);
    let headers = [(SIGNATURE, signature.as_str()), (TIMESTAMP, &ahead)];
    assert_eq!(post(&client, "/slack", &headers, body).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_signature_is_of_the_raw_body() {
    let client = bot_that_sends_nothing();
    let (pretty, now) = (fixture("slack_message_im"), timestamp(&client));
    let compact = changed("slack_message_im", &[]);
    let signature = sign(SIGNING_SECRET, &now, &pretty);
    let headers = [(SIGNATURE, signature.as_str()), (TIMESTAMP, &now)];
    for (body, status) in [
        (compact, StatusCode::UNAUTHORIZED),
        (format!("{pretty} "), StatusCode::UNAUTHORIZED),
        (pretty.replace("\n", "\r\n"), StatusCode::UNAUTHORIZED),
        (pretty, StatusCode::OK),
    ] {
        assert_eq!(post(&client, "/slack", &headers, body).await.status, status);
    }
}

#[tokio::test]
async fn events_that_are_not_for_the_bot_are_ignored_with_200() {
    let client = bot_that_sends_nothing();
    for body in [
        fixture("slack_bot_message"),
        fixture("slack_message_channel"),
        changed("slack_message_im", &[("/event/subtype", json!("message_changed"))]),
        changed("slack_message_im", &[("/event/user", Value::Null)]),
        changed("slack_message_im", &[("/event/type", json!("reaction_added"))]),
        changed("slack_message_im", &[("/type", json!("app_rate_limited"))]),
        changed("slack_message_im", &[("/event", json!("of the future"))]),
        "{}".to_owned(),
    ] {
        assert_eq!(slack(&client, &body).await.status, StatusCode::OK, "{body}");
    }
    assert!(client.waiting("incoming").is_empty());
}

#[tokio::test]
async fn what_is_no_json_is_refused() {
    let client = bot_that_sends_nothing();
    for body in ["", "{\"type\": \"event_callback\", ", "payload=%7B%7D"] {
        assert_eq!(slack(&client, body).await.status, StatusCode::BAD_REQUEST, "{body}");
    }
}

#[tokio::test]
async fn an_echo_notifies_no_channel() -> Result<()> {
    let service = FakeService::start().await;
    let client = bot(&service);
    let text = json!("<!channel> <@U061F7AUR> &amp; all");
    slack(&client, changed("slack_message_im", &[("/event/text", text)])).await;
    client.deliver_all().await?;
    assert!(service.texts()[0].starts_with("&lt;!channel&gt; &lt;@U061F7AUR&gt; &amp; all\n"), "{:?}", service.texts());
    Ok(())
}
