//! The bot under test, and requests as Telegram and Slack send them.

use std::time::SystemTime;

use chatbot::Config;
use hmac::{Hmac, KeyInit, Mac};
use isobar::TestResponse;
use isobar::axum::http::Request;
use isobar::prelude::*;
use serde_json::Value;
use sha2::Sha256;

use crate::fake_service::FakeService;

pub(crate) const SECRET_TOKEN: &str = "telegram-secret-token";
pub(crate) const TELEGRAM_BOT_TOKEN: &str = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";
pub(crate) const SIGNING_SECRET: &str = "slack-signing-secret";
pub(crate) const SLACK_BOT_TOKEN: &str = "xoxb-slack-bot-token";
pub(crate) const SECRETS: [&str; 4] = [SECRET_TOKEN, TELEGRAM_BOT_TOKEN, SIGNING_SECRET, SLACK_BOT_TOKEN];

pub(crate) fn config(api: &str) -> Config {
    Config::from_vars(|name| {
        let value = match name {
            "TELEGRAM_SECRET_TOKEN" => SECRET_TOKEN,
            "TELEGRAM_BOT_TOKEN" => TELEGRAM_BOT_TOKEN,
            "SLACK_SIGNING_SECRET" => SIGNING_SECRET,
            "SLACK_BOT_TOKEN" => SLACK_BOT_TOKEN,
            _ => api,
        };
        Some(value.to_owned())
    })
}

pub(crate) fn bot(service: &FakeService) -> TestClient {
    TestClient::new(|cloud| chatbot::app_with(cloud, config(&service.url))).unwrap()
}

pub(crate) fn bot_that_sends_nothing() -> TestClient {
    TestClient::new(|cloud| chatbot::app_with(cloud, config("http://127.0.0.1:1"))).unwrap()
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
