//! Duplicates, order, retries and dead letters.

use std::time::Duration;

use futures_util::FutureExt;
use isobar::Delivered;
use isobar::axum::http::Request;
use isobar::prelude::*;
use serde_json::{Value, json};

use crate::fake_service::FakeService;
use crate::senders::{SIGNING_SECRET, bot, changed, fixture, post, sign, slack, telegram, timestamp};

#[tokio::test]
async fn an_update_that_telegram_sends_again_is_replied_to_once() -> Result<()> {
    let service = FakeService::start().await;
    let client = bot(&service);
    for _ in 0..3 {
        assert_eq!(telegram(&client, fixture("telegram_message")).await.status, StatusCode::OK);
    }
    assert_eq!(client.deliver_all().await?.acked, 3);
    telegram(&client, fixture("telegram_message")).await;
    client.deliver_all().await?;
    assert_eq!(service.seen().len(), 1);
    Ok(())
}

#[tokio::test]
async fn an_event_that_slack_retries_is_replied_to_once() -> Result<()> {
    let service = FakeService::start().await;
    let client = bot(&service);
    let body = fixture("slack_message_im");
    slack(&client, &body).await;
    let now = timestamp(&client);
    let signature = sign(SIGNING_SECRET, &now, &body);
    let headers = [
        ("x-slack-signature", signature.as_str()),
        ("x-slack-request-timestamp", &now),
        ("x-slack-retry-num", "1"),
        ("x-slack-retry-reason", "http_timeout"),
    ];
    assert_eq!(post(&client, "/slack", &headers, body).await.status, StatusCode::OK);
    client.deliver_all().await?;
    assert_eq!(service.seen().len(), 1);
    Ok(())
}

/// A copy of the message that waits in the queue, as two webhooks at the same time make it.
async fn queue_again(client: &TestClient) {
    let waiting: Value = serde_json::from_slice(&client.waiting("incoming")[0].body).unwrap();
    client.publish("incoming", waiting).await.unwrap();
}

#[tokio::test]
async fn a_message_that_was_queued_twice_is_replied_to_once() -> Result<()> {
    let service = FakeService::start().await;
    let client = bot(&service);
    telegram(&client, fixture("telegram_message")).await;
    queue_again(&client).await;
    // Both are delivered at the same time: one replies, the other waits for it, and then has nothing to do.
    let first = client.deliver_all().await?;
    assert_eq!((first.acked, first.retried, first.dead), (1, 1, 0));
    client.advance(Duration::from_secs(60));
    let second = client.deliver_all().await?;
    assert_eq!((second.acked, second.retried, second.dead), (1, 0, 0));
    assert_eq!(service.seen().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_worker_that_died_is_replaced_when_its_lease_ends() -> Result<()> {
    let service = FakeService::start().await;
    let client = bot(&service);
    telegram(&client, fixture("telegram_message")).await;
    let cx = Context::new("memory", client.cloud().clock()).with_timeout(Duration::from_secs(30));
    let inbox = client.cloud().once("inbox");
    let reply = inbox.run(&cx, "telegram/10000", async |_| std::future::pending::<Result<()>>().await);
    assert!(reply.now_or_never().is_none());
    assert_eq!(client.deliver_all().await?.retried, 1);
    client.advance(Duration::from_secs(60));
    assert_eq!(client.deliver_all().await?.acked, 1);
    assert_eq!(service.seen().len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_chat_keeps_its_order_while_another_goes_on() -> Result<()> {
    let service = FakeService::start().await;
    let client = bot(&service);
    for (update, chat, text) in [(1, 7, "a1"), (2, 7, "a2"), (3, 8, "b1"), (4, 7, "a3")] {
        let changes = [
            ("/update_id", json!(update)),
            ("/message/message_id", json!(update)),
            ("/message/chat/id", json!(chat)),
            ("/message/text", json!(text)),
        ];
        telegram(&client, changed("telegram_message", &changes)).await;
    }
    let keys: Vec<_> = client.waiting("incoming").into_iter().map(|message| message.ordering_key.unwrap()).collect();
    assert_eq!(keys, ["telegram/7", "telegram/7", "telegram/8", "telegram/7"]);
    service.will_answer(502, &json!("bad gateway"));
    client.deliver_all().await?;
    client.advance(Duration::from_secs(10));
    client.deliver_all().await?;
    // A failed try shows as well: whichever chat had it, the order of each stays.
    let of = |chat: i64| {
        let seen = service.seen().into_iter().filter(move |seen| seen.body["chat_id"] == json!(chat));
        let mut texts: Vec<_> = seen.map(|seen| seen.body["text"].as_str().unwrap()[..2].to_owned()).collect();
        texts.dedup();
        texts
    };
    assert_eq!((of(7), of(8)), (vec!["a1".to_owned(), "a2".to_owned(), "a3".to_owned()], vec!["b1".to_owned()]));
    Ok(())
}

#[tokio::test]
async fn telegrams_429_waits_as_long_as_it_says() -> Result<()> {
    let service = FakeService::start().await;
    let client = bot(&service);
    let slow_down = json!({
        "ok": false,
        "error_code": 429,
        "description": "Too Many Requests: retry after 30",
        "parameters": {"retry_after": 30}
    });
    service.will_answer(429, &slow_down);
    telegram(&client, changed("telegram_message", &[("/message/text", json!("hi"))])).await;
    assert_eq!(client.deliver_all().await?.retried, 1);
    client.advance(Duration::from_secs(29));
    assert_eq!(client.deliver_all().await?, Delivered::default());
    client.advance(Duration::from_secs(1));
    assert_eq!(client.deliver_all().await?.acked, 1);
    // The second try is of the same message: it counts once.
    assert_eq!(service.texts()[1], "hi\n(message 1 of this conversation)");
    Ok(())
}

#[tokio::test]
async fn no_service_silences_a_conversation_for_longer_than_six_hours() -> Result<()> {
    for wait in [u64::MAX, i64::MAX.unsigned_abs(), 10_000_000_000_000_000] {
        let service = FakeService::start().await;
        let client = bot(&service);
        service.will_answer(429, &json!({"ok": false, "error_code": 429, "parameters": {"retry_after": wait}}));
        service.will_answer_text(429, Some(wait), "");
        telegram(&client, changed("telegram_message", &[("/message/text", json!("hi"))])).await;
        for _ in 0..2 {
            assert_eq!(client.deliver_all().await?.retried, 1, "{wait}");
            client.advance(Duration::from_secs(6 * 3600 - 1));
            assert_eq!(client.deliver_all().await?, Delivered::default());
            client.advance(Duration::from_secs(1));
        }
        assert_eq!(client.deliver_all().await?.acked, 1);
    }
    Ok(())
}

#[tokio::test]
async fn slacks_429_waits_as_long_as_it_says() -> Result<()> {
    let service = FakeService::start().await;
    let client = bot(&service);
    service.will_answer_text(429, Some(30), "");
    slack(&client, fixture("slack_message_im")).await;
    assert_eq!(client.deliver_all().await?.retried, 1);
    client.advance(Duration::from_secs(29));
    assert_eq!(client.deliver_all().await?, Delivered::default());
    client.advance(Duration::from_secs(1));
    assert_eq!(client.deliver_all().await?.acked, 1);
    Ok(())
}

#[tokio::test]
async fn faults_of_a_service_are_tried_again() -> Result<()> {
    let service = FakeService::start().await;
    service
        .will_answer(500, &json!({"ok": false}))
        .will_answer_text(502, None, "<html>Bad Gateway</html>")
        .will_answer(200, &json!({"ok": false, "error": "internal_error"}))
        .will_answer(200, &json!({"ok": false, "error": "ratelimited"}));
    let client = bot(&service);
    slack(&client, fixture("slack_message_im")).await;
    for _ in 0..4 {
        assert_eq!(client.deliver_all().await?.retried, 1);
        client.advance(Duration::from_secs(60));
    }
    assert_eq!(client.deliver_all().await?.acked, 1);
    Ok(())
}

#[tokio::test]
async fn a_service_that_cannot_be_reached_is_tried_again_and_then_given_up() -> Result<()> {
    let client = crate::senders::bot_that_sends_nothing();
    slack(&client, fixture("slack_message_im")).await;
    for _ in 0..7 {
        assert_eq!(client.deliver_all().await?.retried, 1);
        client.advance(Duration::from_secs(300));
    }
    assert_eq!(client.deliver_all().await?.dead, 1);
    let reason = &client.dead_letters("incoming")[0].reason;
    assert!(reason.starts_with("gave up after 8 attempts: the Web API cannot be reached"), "{reason}");
    Ok(())
}

#[tokio::test]
async fn what_a_service_refuses_becomes_a_dead_letter_with_the_reason() -> Result<()> {
    let service = FakeService::start().await;
    let client = bot(&service);
    let blocked = "Forbidden: bot was blocked by the user";
    service.will_answer(403, &json!({"ok": false, "error_code": 403, "description": blocked}));
    telegram(&client, fixture("telegram_message")).await;
    assert_eq!(client.deliver_all().await?.dead, 1);
    service.will_answer(200, &json!({"ok": false, "error": "channel_not_found"}));
    slack(&client, fixture("slack_message_im")).await;
    assert_eq!(client.deliver_all().await?.dead, 1);
    let reasons: Vec<_> = client.dead_letters("incoming").into_iter().map(|dead_letter| dead_letter.reason).collect();
    let expected = [
        "Telegram refused the reply with status 403: Forbidden: bot was blocked by the user (invalid-input)",
        "Slack refused the reply with status 200: channel_not_found (invalid-input)",
    ];
    assert_eq!(reasons, expected);
    Ok(())
}

#[tokio::test]
async fn a_dead_letter_that_is_put_back_is_replied_to() -> Result<()> {
    let service = FakeService::start().await;
    let client = bot(&service);
    service.will_answer(200, &json!({"ok": false, "error": "not_in_channel"}));
    slack(&client, fixture("slack_message_im")).await;
    assert_eq!(client.deliver_all().await?.dead, 1);
    assert_eq!(client.redrive("incoming"), 1);
    assert_eq!(client.deliver_all().await?.acked, 1);
    Ok(())
}

#[tokio::test]
async fn the_webhook_takes_post_only() -> Result<()> {
    let service = FakeService::start().await;
    let request = Request::put("/slack").body(Body::empty()).unwrap();
    assert_eq!(bot(&service).http(request).await?.status, StatusCode::METHOD_NOT_ALLOWED);
    Ok(())
}
