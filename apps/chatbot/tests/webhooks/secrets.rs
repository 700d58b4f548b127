//! Secrets are needed, and never text.

use chatbot::Config;
use isobar::prelude::*;
use isobar_testkit::Log;
use serde_json::json;

use crate::fake_service::FakeService;
use crate::senders::{SECRETS, TELEGRAM_BOT_TOKEN, bot, config, fixture, post, slack, telegram};

fn assert_no_secret_in(text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "`{secret}` is in: {text}");
    }
}

#[test]
fn debug_of_the_configuration_hides_secrets() {
    let text = format!("{:?}", config("http://127.0.0.1:1"));
    assert!(text.contains("http://127.0.0.1:1"), "{text}");
    assert_no_secret_in(&text);
}

#[tokio::test]
async fn without_its_secrets_a_webhook_is_closed_and_the_log_says_what_to_set() -> Result<()> {
    let log = Log::start();
    for blank in [None, Some(String::new()), Some(" ".to_owned())] {
        let client = TestClient::new(|cloud| chatbot::app_with(cloud, Config::from_vars(|_| blank.clone())))?;
        for (path, header, body) in [
            ("/telegram", ("x-telegram-bot-api-secret-token", ""), fixture("telegram_message")),
            ("/slack", ("x-slack-signature", ""), fixture("slack_url_verification")),
        ] {
            let answer = post(&client, path, &[header], body).await;
            assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
            assert!(!answer.text().contains("TOKEN"), "{}", answer.text());
        }
        assert!(client.waiting("incoming").is_empty());
    }
    let log = log.text();
    assert!(log.contains("set TELEGRAM_SECRET_TOKEN and TELEGRAM_BOT_TOKEN in the environment"), "{log}");
    assert!(log.contains("set SLACK_SIGNING_SECRET and SLACK_BOT_TOKEN in the environment"), "{log}");
    Ok(())
}

#[tokio::test]
async fn one_service_can_be_used_without_the_other() -> Result<()> {
    let only_slack = |name: &str| name.starts_with("SLACK").then(|| "slack-signing-secret".to_owned());
    let client = TestClient::new(|cloud| chatbot::app_with(cloud, Config::from_vars(only_slack)))?;
    assert_eq!(slack(&client, fixture("slack_message_im")).await.status, StatusCode::OK);
    assert_eq!(telegram(&client, fixture("telegram_message")).await.status, StatusCode::SERVICE_UNAVAILABLE);
    Ok(())
}

#[tokio::test]
async fn a_message_whose_service_lost_its_secrets_is_kept_with_the_reason() -> Result<()> {
    let client = TestClient::new(|cloud| chatbot::app_with(cloud, Config::from_vars(|_| None)))?;
    let place = json!({"service": "telegram", "chat_id": 7});
    let message = json!({"event": "telegram/1", "place": place, "order": "1", "from": "Ada", "text": "hi"});
    client.publish("incoming", message).await?;
    assert_eq!(client.deliver_all().await?.dead, 1);
    let reason = &client.dead_letters("incoming")[0].reason;
    assert!(reason.contains("TELEGRAM_BOT_TOKEN"), "{reason}");
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
    let client = TestClient::new(|cloud| chatbot::app_with(cloud, config("no address at all")))?;
    telegram(&client, fixture("telegram_message")).await;
    assert_eq!(client.deliver_all().await?.dead, 1);
    let dead_letters = format!("{:?}", client.dead_letters("incoming"));
    assert!(dead_letters.contains("the address of the Web API or the token is malformed"), "{dead_letters}");
    assert_no_secret_in(&dead_letters);
    Ok(())
}
