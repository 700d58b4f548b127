//! Secrets are needed, and never text.

use std::time::Duration;

use isobar::prelude::*;
use isobar_testkit::Log;
use serde_json::json;

use crate::fake_service::FakeService;
use crate::senders::{SECRETS, TELEGRAM_BOT_TOKEN, bot, fixture, post, slack, telegram, values};

fn assert_no_secret_in(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "`{secret}` is in: {text}");
    }
}

#[tokio::test]
async fn without_its_secrets_a_webhook_is_closed_and_the_log_says_what_to_set() -> Result<()> {
    let log = Log::start();
    let client = TestClient::new(chatbot::app)?;
    for (path, header, body) in [
        ("/telegram", ("x-telegram-bot-api-secret-token", ""), fixture("telegram_message")),
        ("/slack", ("x-slack-signature", ""), fixture("slack_url_verification")),
    ] {
        let answer = post(&client, path, &[header], body).await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!answer.text().contains("secret"), "{}", answer.text());
    }
    assert!(client.waiting("incoming").is_empty());
    let log = log.text();
    assert!(log.contains("ISOBAR_SECRET_TELEGRAM_SECRET_TOKEN"), "{log}");
    assert!(log.contains("ISOBAR_SECRET_SLACK_SIGNING_SECRET"), "{log}");
    Ok(())
}

#[tokio::test]
async fn one_service_can_be_used_without_the_other() -> Result<()> {
    let provider = values("http://127.0.0.1:1");
    provider.remove_secret("telegram-secret-token");
    let client = TestClient::on(provider, chatbot::app)?;
    assert_eq!(slack(&client, fixture("slack_message_im")).await.status, StatusCode::OK);
    assert_eq!(telegram(&client, fixture("telegram_message")).await.status, StatusCode::INTERNAL_SERVER_ERROR);
    Ok(())
}

#[tokio::test]
async fn a_reply_waits_for_a_missing_token() -> Result<()> {
    let service = FakeService::start().await;
    let provider = values(&service.url);
    provider.remove_secret("telegram-bot-token");
    let client = TestClient::on(provider.clone(), chatbot::app)?;
    telegram(&client, fixture("telegram_message")).await;
    assert_eq!(client.deliver_all().await?.retried, 1);
    provider.set_secret("telegram-bot-token", TELEGRAM_BOT_TOKEN);
    client.advance(Duration::from_secs(60));
    assert_eq!(client.deliver_all().await?.acked, 1);
    assert_eq!(service.seen().len(), 1);
    Ok(())
}

#[tokio::test]
async fn no_secret_is_in_a_log_or_a_dead_letter() -> Result<()> {
    let log = Log::start();
    let service = FakeService::start().await;
    let client = bot(&service);
    // Services may say what was said to them.
    let echo = format!("Not Found: /bot{TELEGRAM_BOT_TOKEN}/sendMessage");
    service.will_answer(404, &json!({"ok": false, "error_code": 404, "description": echo}));
    telegram(&client, fixture("telegram_message")).await;
    slack(&client, fixture("slack_message_im")).await;
    client.deliver_all().await?;

    let unreachable = crate::senders::bot_that_sends_nothing();
    telegram(&unreachable, fixture("telegram_message")).await;
    slack(&unreachable, fixture("slack_message_im")).await;
    unreachable.deliver_all().await?;
    post(&unreachable, "/telegram", &[("x-telegram-bot-api-secret-token", "wrong")], "{}").await;

    let dead_letters = format!("{:?}", client.dead_letters("incoming"));
    assert!(dead_letters.contains("Not Found: /bot***/sendMessage"), "{dead_letters}");
    assert_no_secret_in(&dead_letters);
    let log = log.text();
    assert!(log.contains("the Web API cannot be reached") && log.contains("a webhook was refused"), "{log}");
    assert_no_secret_in(&log);
    Ok(())
}

#[tokio::test]
async fn a_malformed_address_is_an_error_without_the_token() -> Result<()> {
    let client = TestClient::on(values("no address at all"), chatbot::app)?;
    telegram(&client, fixture("telegram_message")).await;
    assert_eq!(client.deliver_all().await?.dead, 1);
    let dead_letters = format!("{:?}", client.dead_letters("incoming"));
    assert!(dead_letters.contains("the address of the Web API or the token is malformed"), "{dead_letters}");
    assert_no_secret_in(&dead_letters);
    Ok(())
}
