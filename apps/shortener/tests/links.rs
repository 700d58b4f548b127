//! Making links and following them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::time::Duration;

use isobar::TestResponse;
use isobar::axum::http::Request;
use isobar::prelude::*;
use serde_json::{Value, json};

fn client() -> TestClient {
    TestClient::new(shortener::app).unwrap()
}

async fn made(client: &TestClient, wish: Value) -> String {
    let answer = client.post("/", &wish).await.unwrap();
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    answer.json::<Value>().unwrap()["id"].as_str().unwrap().to_owned()
}

async fn post_text(client: &TestClient, body: impl Into<Body>) -> TestResponse {
    client.http(Request::post("/").body(body.into()).unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_link_leads_where_it_was_made_for() -> Result<()> {
    let client = client();
    let id = made(&client, json!({"url": "https://example.org/a?b=c#d"})).await;
    assert!(id.len() == 7 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
    let answer = client.get(&format!("/{id}")).await?;
    assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(answer.header("location"), Some("https://example.org/a?b=c#d"));
    Ok(())
}

#[tokio::test]
async fn the_short_url_is_absolute_and_as_the_client_sees_it() -> Result<()> {
    let client = client();
    for (headers, origin) in [
        (vec![("host", "sho.rt")], "http://sho.rt"),
        (vec![("host", "127.0.0.1:3000")], "http://127.0.0.1:3000"),
        (vec![("host", "sho.rt"), ("x-forwarded-proto", "https")], "https://sho.rt"),
        (vec![("host", "sho.rt"), ("x-forwarded-proto", "https, http")], "https://sho.rt"),
        (vec![("host", "sho.rt"), ("x-forwarded-proto", "javascript")], "http://sho.rt"),
        (vec![("host", "a b\"<")], "http://localhost"),
        (vec![], "http://localhost"),
    ] {
        let body = json!({"url": "https://example.org"}).to_string();
        let request = headers.iter().fold(Request::post("/"), |request, (name, value)| request.header(*name, *value));
        let answer: Value = client.http(request.body(body).unwrap()).await?.json()?;
        let expected = format!("{origin}/{}", answer["id"].as_str().unwrap());
        assert_eq!(answer, json!({"id": answer["id"], "url": "https://example.org", "short": expected}));
    }
    Ok(())
}

#[tokio::test]
async fn ids_differ() {
    let client = client();
    let mut ids = HashSet::new();
    for _ in 0..100 {
        ids.insert(made(&client, json!({"url": "https://example.org"})).await);
    }
    assert_eq!(ids.len(), 100);
}

#[tokio::test]
async fn an_unknown_id_is_not_found_and_says_so_in_json() -> Result<()> {
    let client = client();
    let long = "x".repeat(2_000);
    for path in ["/abcdefg", "/abcdefg/stats", "/x", "/%2e%2e%2fsecret", "/newest", &format!("/{long}")] {
        let answer = client.get(path).await?;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.json::<Value>()?["error"], "not-found", "{path}");
    }
    assert!(client.waiting("clicks").is_empty());
    Ok(())
}

#[tokio::test]
async fn a_link_ends_with_its_time_to_live() -> Result<()> {
    let client = client();
    let id = made(&client, json!({"url": "https://example.org", "ttl_seconds": 60})).await;
    client.advance(Duration::from_secs(59));
    assert_eq!(client.get(&format!("/{id}")).await?.status, StatusCode::TEMPORARY_REDIRECT);
    client.advance(Duration::from_secs(1));
    assert_eq!(client.get(&format!("/{id}")).await?.status, StatusCode::NOT_FOUND);
    assert_eq!(client.get(&format!("/{id}/stats")).await?.status, StatusCode::NOT_FOUND);
    Ok(())
}

#[tokio::test]
async fn a_click_that_is_counted_late_leaves_nothing_that_lives_for_ever() -> Result<()> {
    let client = client();
    let id = made(&client, json!({"url": "https://example.org", "ttl_seconds": 60})).await;
    client.get(&format!("/{id}")).await?;
    client.advance(Duration::from_secs(3_600));
    assert_eq!(client.deliver_all().await?.acked, 1);
    client.advance(Duration::from_secs(30 * 24 * 3_600));
    let left = client.cloud().table::<Value>("links").scan().all().await?;
    let left: Vec<_> = left.iter().map(|entry| entry.key.to_string()).collect();
    assert_eq!(left, ["total / clicks"]);
    Ok(())
}

#[tokio::test]
async fn a_bad_url_is_refused_with_the_reason() -> Result<()> {
    let client = client();
    for (url, reason) in [
        ("ftp://example.org", "must begin with http:// or https://"),
        ("https://ada:secret@example.org", "user name or password"),
        ("https://", "cannot be read"),
        ("https://example.org/\nx", "at byte 20"),
        (&format!("https://example.org/{}", "a".repeat(3_000)), "the most is 2048"),
    ] {
        let answer = client.post("/", &json!({"url": url})).await?;
        let detail = answer.json::<Value>()?["detail"].to_string();
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(detail.contains(reason), "{url}: {detail}");
    }
    assert!(client.cloud().table::<Value>("links").scan().all().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn malformed_and_mistyped_json_is_refused_with_reason_and_position() -> Result<()> {
    let client = client();
    for (body, reason) in [
        ("", "EOF while parsing a value at line 1 column 0"),
        ("{\n  \"url\": \"https://example.org\",\n}", "trailing comma at line 3 column 1"),
        ("{\"url\": 7}", "invalid type: integer `7`, expected a string at line 1 column 9"),
        ("{}", "missing field `url` at line 1 column 2"),
        ("[]", "line 1"),
        ("{\"url\": \"https://a.example\", \"ttl\": 5}", "unknown field `ttl`, expected `url` or `ttl_seconds`"),
        ("{\"url\": \"https://a.example\", \"ttl_seconds\": 0}", "expected a nonzero u32 at line 1 column"),
        ("{\"url\": \"https://a.example\", \"ttl_seconds\": -1}", "expected a nonzero u32"),
        ("{\"url\": \"https://a.example\", \"ttl_seconds\": 5000000000}", "expected a nonzero u32"),
        ("{\"url\": \"https://a.example\"} x", "trailing characters at line 1 column 30"),
    ] {
        let answer = post_text(&client, body).await;
        let problem: Value = answer.json()?;
        assert_eq!((answer.status, &problem["error"]), (StatusCode::BAD_REQUEST, &json!("invalid-input")), "{body}");
        assert!(problem["detail"].as_str().unwrap().contains(reason), "{body}: {problem}");
    }
    let not_text = post_text(&client, vec![b'{', b'"', 0xFF]).await;
    assert_eq!(not_text.status, StatusCode::BAD_REQUEST);
    Ok(())
}

#[tokio::test]
async fn an_oversize_body_is_refused() {
    let answer = post_text(&client(), vec![b' '; 4_500_001]).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn the_app_declares_its_triggers_and_resources() {
    let client = client();
    let manifest = client.manifest();
    let resources: Vec<_> = manifest.resources.iter().map(|it| (it.kind.as_str(), it.name.as_str())).collect();
    assert_eq!(resources, [("table", "links"), ("bucket", "pages"), ("topic", "clicks")]);
    assert_eq!(manifest.schedules().next().unwrap().cron, "0 3 * * *");
    assert_eq!(manifest.functions().collect::<Vec<_>>(), ["stats"]);
}
