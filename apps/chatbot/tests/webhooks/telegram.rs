//! What is accepted from Telegram, and what is replied.

use isobar::prelude::*;
use serde_json::{Value, json};

use crate::fake_service::FakeService;
use crate::senders::{TELEGRAM_BOT_TOKEN, bot, bot_that_sends_nothing, changed, fixture, post, telegram};

const TOKEN: &str = "x-telegram-bot-api-secret-token";

#[tokio::test]
async fn a_command_gets_a_response_immediately_and_a_reply_afterwards() -> Result<()> {
    let service = FakeService::start().await;
    let client = bot(&service);
    assert_eq!(telegram(&client, fixture("telegram_message")).await.status, StatusCode::OK);
    assert!(service.seen().is_empty());
    assert_eq!(client.deliver_all().await?.acked, 1);
    let seen = service.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].path, format!("/bot{TELEGRAM_BOT_TOKEN}/sendMessage"));
    assert_eq!(seen[0].headers["content-type"], "application/json; charset=utf-8");
    assert_eq!(seen[0].body["chat_id"], json!(1111111));
    assert!(seen[0].body["text"].as_str().unwrap().contains("/history"), "{:?}", seen[0]);
    Ok(())
}

#[tokio::test]
async fn a_group_is_answered_in_the_group() -> Result<()> {
    let service = FakeService::start().await;
    let client = bot(&service);
    telegram(&client, fixture("telegram_group_message")).await;
    client.deliver_all().await?;
    assert_eq!(service.seen()[0].body["chat_id"], json!(-1001234567890_i64));
    Ok(())
}

#[tokio::test]
async fn nothing_is_accepted_without_the_secret_token() {
    let client = bot_that_sends_nothing();
    let missing = post(&client, "/telegram", &[], fixture("telegram_message")).await;
    assert_eq!(missing.status, StatusCode::UNAUTHORIZED);
    assert!(missing.text().contains("missing"), "{}", missing.text());
    for wrong in ["", "x", "telegram-secret-tokeN", "telegram-secret-token-and-more"] {
        let answer = post(&client, "/telegram", &[(TOKEN, wrong)], fixture("telegram_message")).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{wrong}");
    }
    assert!(client.waiting("incoming").is_empty());
}

#[tokio::test]
async fn the_secret_is_checked_before_the_body_is_read() {
    let client = bot_that_sends_nothing();
    let unreadable = Body::new(isobar::axum::body::Body::from_stream(Unreadable));
    assert_eq!(post(&client, "/telegram", &[(TOKEN, "wrong")], unreadable).await.status, StatusCode::UNAUTHORIZED);
}

/// A body that must not be touched.
struct Unreadable;

impl futures_util::Stream for Unreadable {
    type Item = Result<Vec<u8>>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        panic!("the body was read before its sender was verified")
    }
}

#[tokio::test]
async fn updates_that_are_not_for_the_bot_are_ignored_with_200() {
    let client = bot_that_sends_nothing();
    for body in [
        fixture("telegram_edited_message"),
        fixture("telegram_callback_query"),
        changed("telegram_message", &[("/message/from/is_bot", json!(true))]),
        changed("telegram_message", &[("/message/text", Value::Null)]),
        changed("telegram_message", &[("/message/from", Value::Null)]),
        json!({"update_id": 1, "message": {"of": "the future"}}).to_string(),
        json!({"update_id": "no number"}).to_string(),
        "[]".to_owned(),
    ] {
        assert_eq!(telegram(&client, body.clone()).await.status, StatusCode::OK, "{body}");
    }
    assert!(client.waiting("incoming").is_empty());
}

#[tokio::test]
async fn what_is_no_json_is_refused_with_the_position() {
    let client = bot_that_sends_nothing();
    let answer = telegram(&client, "{\"update_id\": 1,\n").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.text().contains("line 2 column 0"), "{}", answer.text());
}

#[tokio::test]
async fn an_oversize_body_is_refused() {
    let client = bot_that_sends_nothing();
    assert_eq!(telegram(&client, vec![b' '; 4_500_001]).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn echoes_count_and_the_history_shows_the_last_five() -> Result<()> {
    let service = FakeService::start().await;
    let client = bot(&service);
    for number in 1..=7 {
        let text = if number == 7 { "/history".to_owned() } else { format!("line {number}") };
        let changes =
            [("/update_id", json!(number)), ("/message/message_id", json!(number)), ("/message/text", json!(text))];
        telegram(&client, changed("telegram_message", &changes)).await;
    }
    assert_eq!(client.deliver_all().await?.acked, 7);
    let texts = service.texts();
    assert_eq!(texts[0], "line 1\n(message 1 of this conversation)");
    assert_eq!(texts[5], "line 6\n(message 6 of this conversation)");
    assert_eq!(texts[6], "2. Test: line 2\n3. Test: line 3\n4. Test: line 4\n5. Test: line 5\n6. Test: line 6");
    Ok(())
}

#[tokio::test]
async fn a_conversation_is_trimmed() -> Result<()> {
    let service = FakeService::start().await;
    let client = bot(&service);
    for number in 1..=105 {
        let changes = [("/update_id", json!(number)), ("/message/message_id", json!(number))];
        telegram(&client, changed("telegram_message", &changes)).await;
    }
    client.deliver_all().await?;
    let lines = client.cloud().table::<Value>("conversations").query("telegram/1111111").all().await?;
    assert_eq!(lines.len(), 100);
    assert_eq!((&lines[0].value["number"], &lines[99].value["number"]), (&json!(6), &json!(105)));
    assert!(lines.iter().all(|line| line.expires_at.is_some()));
    Ok(())
}
