use isobar::memory::MemoryProvider;
use isobar::prelude::*;
use serde_json::json;

fn client() -> Result<TestClient> {
    let provider = MemoryProvider::default();
    provider.set_secret("webhook-secret", "for-tests");
    provider.set_secret("bot-token", "1:for-tests");
    provider.set_config("telegram", r#"{"api": "log"}"#);
    TestClient::on(provider, {{crate}}::app)
}

async fn send(client: &TestClient, secret: &str) -> Result<StatusCode> {
    let update = json!({"update_id": 1, "message": {"chat": {"id": 7}, "text": "hello"}});
    let request = client.request(Method::POST, "/telegram");
    let request = request.header("x-telegram-bot-api-secret-token", secret);
    Ok(request.body(update.to_string()).send().await?.status)
}

#[tokio::test]
async fn an_update_that_is_sent_twice_gets_one_reply() -> Result<()> {
    let logs = TestLogs::start();
    let client = client()?;
    assert_eq!(send(&client, "for-tests").await?, StatusCode::OK);
    assert_eq!(send(&client, "for-tests").await?, StatusCode::OK);
    assert_eq!(client.deliver_all().await?.acked, 2);
    let replies = logs.text().matches("You wrote: hello").count();
    assert_eq!(replies, 1, "{}", logs.text());
    Ok(())
}

#[tokio::test]
async fn an_unknown_sender_is_rejected() -> Result<()> {
    let client = client()?;
    assert_eq!(send(&client, "a guess").await?, StatusCode::UNAUTHORIZED);
    assert!(client.waiting("incoming").is_empty());
    Ok(())
}
