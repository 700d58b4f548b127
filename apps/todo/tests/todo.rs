//! Users and their items.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use isobar::memory::MemoryProvider;
use isobar::prelude::*;
use serde_json::{Value, json};

fn client_with_key(key: &str) -> TestClient {
    let provider = MemoryProvider::default();
    provider.set_secret("auth-key", key);
    TestClient::on(provider, todo::app).unwrap()
}

async fn client() -> TestClient {
    let client = client_with_key("an example of a key, which has 32 bytes");
    client.invoke::<()>("add-user", &json!({"username": "ada", "password": "pw"})).await.unwrap();
    client.invoke::<()>("add-user", &json!({"username": "bob", "password": "pw"})).await.unwrap();
    client
}

async fn login(c: &TestClient, name: &str) -> TestClient {
    let a = c.post("/login", &json!({"username": name, "password": "pw"})).await.unwrap();
    assert_eq!(a.status, StatusCode::OK, "{}", a.text());
    c.with_bearer(a.json::<Value>().unwrap()["token"].as_str().unwrap())
}

#[tokio::test]
async fn life_of_a_todo() -> Result<()> {
    let c = client().await;
    let ada = login(&c, "ada").await;
    let made = ada.post("/todos", &json!({"description": "buy milk"})).await?;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let uid = made.json::<Value>()?["uid"].as_str().unwrap().to_owned();
    let path = format!("/todos/{uid}");
    let put = ada.put(&path, &json!({"state": "completed"})).await?;
    assert_eq!(put.json::<Value>()?["state"], "completed");
    let listed = ada.get("/todos?state=completed").await?.json::<Value>()?;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let other = login(&c, "bob").await;
    let gone = other.get(&path).await?;
    assert_eq!(gone.status, StatusCode::NOT_FOUND, "{}", gone.text());
    assert_eq!(ada.delete(&path).await?.status, StatusCode::NO_CONTENT);
    assert_eq!(ada.get(&path).await?.status, StatusCode::NOT_FOUND);
    assert_eq!(ada.put(&path, &json!({"state": "started"})).await?.status, StatusCode::NOT_FOUND);
    Ok(())
}

#[tokio::test]
async fn lists_have_pages() -> Result<()> {
    let ada = login(&client().await, "ada").await;
    for number in 0..3 {
        ada.advance(std::time::Duration::from_millis(1));
        ada.post("/todos", &json!({"description": format!("number {number}")})).await?;
    }
    let first = ada.get("/todos?limit=2").await?.json::<Value>()?;
    assert_eq!(first["items"][1]["description"], "number 1");
    let rest = ada.get(&format!("/todos?after={}", first["next"].as_str().unwrap())).await?.json::<Value>()?;
    assert_eq!((&rest["items"][0]["description"], &rest["next"]), (&json!("number 2"), &Value::Null));
    Ok(())
}

#[tokio::test]
async fn no_token_no_todos() -> Result<()> {
    let c = client().await;
    for (token, detail) in [(None, "no token"), (Some("not.a.token"), "bad token")] {
        let a = token.map_or(c.clone(), |token| c.with_bearer(token)).get("/todos").await?;
        assert_eq!(a.status, StatusCode::UNAUTHORIZED, "{}", a.text());
        assert!(a.text().contains(detail), "{}", a.text());
    }
    Ok(())
}

#[tokio::test]
async fn a_token_is_good_for_an_hour() -> Result<()> {
    let ada = login(&client().await, "ada").await;
    ada.advance(std::time::Duration::from_secs(3_600));
    assert_eq!(ada.get("/todos").await?.status, StatusCode::OK);
    ada.advance(std::time::Duration::from_secs(1));
    assert_eq!(ada.get("/todos").await?.status, StatusCode::UNAUTHORIZED);
    Ok(())
}

#[tokio::test]
async fn wrong_password() -> Result<()> {
    for name in ["ada", "eve"] {
        let a = client().await.post("/login", &json!({"username": name, "password": "nope"})).await?;
        assert_eq!(a.status, StatusCode::UNAUTHORIZED, "{}", a.text());
    }
    Ok(())
}

#[tokio::test]
async fn malformed_json() -> Result<()> {
    let ada = login(&client().await, "ada").await;
    let a = ada.post("/todos", &json!({"descr": 7})).await?;
    assert_eq!(a.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", a.text());
    for query in ["after=zzz", "limit=abc"] {
        let a = ada.get(&format!("/todos?{query}")).await?;
        assert_eq!((a.status, a.json::<Value>()?["error"].as_str()), (StatusCode::BAD_REQUEST, Some("invalid-input")));
    }
    Ok(())
}

#[tokio::test]
async fn without_a_long_key_no_user_logs_in() -> Result<()> {
    let refused = TestClient::new(todo::app).unwrap_err();
    assert!(refused.message().contains("ISOBAR_SECRET_AUTH_KEY"), "{refused}");
    let c = client_with_key("short");
    c.invoke::<()>("add-user", &json!({"username": "ada", "password": "pw"})).await?;
    let a = c.post("/login", &json!({"username": "ada", "password": "pw"})).await?;
    assert_eq!(a.status, StatusCode::INTERNAL_SERVER_ERROR, "{}", a.text());
    Ok(())
}
