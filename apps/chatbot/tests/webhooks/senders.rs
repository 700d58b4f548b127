//! The bot under test, and requests as Telegram and Slack send them.

use std::time::SystemTime;

use hmac::{Hmac, KeyInit, Mac};
use isobar::TestResponse;
use isobar::axum::http::Request;
use isobar::memory::MemoryProvider;
use isobar::prelude::*;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::fake_service::FakeService;

pub(crate) const SECRET_TOKEN: &str = "known-to-telegram-only";
pub(crate) const TELEGRAM_BOT_TOKEN: &str = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";
pub(crate) const SIGNING_SECRET: &str = "known-to-slack-only";
pub(crate) const SLACK_BOT_TOKEN: &str = "xoxb-known-to-the-bot-only";
pub(crate) const SECRETS: [&str; 4] = [SECRET_TOKEN, TELEGRAM_BOT_TOKEN, SIGNING_SECRET, SLACK_BOT_TOKEN];

/// What a person sets: the secrets, and where the Web APIs are.
pub(crate) fn values(api: &str) -> MemoryProvider {
    let provider = MemoryProvider::default();
    let names = ["telegram-secret-token", "telegram-bot-token", "slack-signing-secret", "slack-bot-token"];
    for (name, value) in names.into_iter().zip(SECRETS) {
        provider.set_secret(name, value);
    }
    provider.set_config("apis", &json!({ "telegram": api, "slack": api }).to_string());
    provider
}

pub(crate) fn bot(service: &FakeService) -> TestClient {
    TestClient::on(values(&service.url), chatbot::app).unwrap()
}

pub(crate) fn bot_that_sends_nothing() -> TestClient {
    TestClient::on(values("http://127.0.0.1:1"), chatbot::app).unwrap()
}

pub(crate) fn fixture(name: &str) -> String {
    let path = format!("{}/tests/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// A fixture with some values replaced, by JSON pointer.
pub(crate) fn changed(name: &str, changes: &[(&str, Value)]) -> String {
    let mut json: Value = serde_json::from_str(&fixture(name)).unwrap();
    for (pointer, value) in changes {
        let (parent, last) = pointer.rsplit_once('/').unwrap();
        json.pointer_mut(parent).unwrap()[last] = value.clone();
    }
    json.to_string()
}

pub(crate) async fn post(
    client: &TestClient,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> TestResponse {
    let request = headers.iter().fold(Request::post(path), |request, (name, value)| request.header(*name, *value));
    client.http(request.body(body.into()).unwrap()).await.unwrap()
}

pub(crate) async fn telegram(client: &TestClient, body: impl Into<Body>) -> TestResponse {
    post(client, "/telegram", &[("x-telegram-bot-api-secret-token", SECRET_TOKEN)], body).await
}

pub(crate) async fn slack(client: &TestClient, body: impl AsRef<str>) -> TestResponse {
    let (timestamp, body) = (timestamp(client), body.as_ref());
    let signature = sign(SIGNING_SECRET, &timestamp, body);
    let headers = [("x-slack-signature", signature.as_str()), ("x-slack-request-timestamp", &timestamp)];
    post(client, "/slack", &headers, body.to_owned()).await
}

pub(crate) fn timestamp(client: &TestClient) -> String {
    use isobar::driver::Clock;
    let now = client.clock().now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    now.as_secs().to_string()
}

pub(crate) fn sign(secret: &str, timestamp: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("v0:{timestamp}:{body}").as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("v0={hex}")
}
